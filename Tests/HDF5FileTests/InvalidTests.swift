import ByteIO
import FormatKit
import JSON
import ModelIR
import Testing

@testable import HDF5File

@Suite struct InvalidTests {
    static let rows: [(path: String, rule: String)] = ((try? Fixtures.rows("invalid/manifest.json")) ?? []).compactMap { row in
        guard row["format"]?.text == "hdf5", let path = row["path"]?.text, let rule = row["rule"]?.text else { return nil }
        return (path, rule)
    }

    @Test func fixturesAreThere() { #expect(!Self.rows.isEmpty) }

    @Test(arguments: rows) func isRefused(path: String, rule: String) throws {
        let bytes = try Fixtures.bytes(path)
        // What is no tensor is listed, and the writer refuses it.
        if rule == "unsupported-dtype" {
            let checkpoint = try read(bytes)
            #expect(!checkpoint.opaque.isEmpty)
            #expect(throws: UnsupportedError.self) { try written(checkpoint) }
            return
        }
        let error = try #require(try readingError(bytes))
        #expect(error.code.rawValue == rule, "\(error)")
        #expect(error.rule?.hasPrefix("H") == true)
        #expect(!error.description.contains("\n"))
    }

    /// However much of a file is left, there is one error and no trap.
    @Test func everyTruncation() throws {
        let bytes = try written(sample)
        for count in Array(stride(from: 0, to: bytes.count, by: 61)) + [bytes.count - 1] {
            #expect(try readingError(Array(bytes[..<count])) != nil, "\(count) bytes")
        }
    }

    private let sample: Checkpoint = {
        var checkpoint = Checkpoint(format: "hdf5")
        checkpoint.attributes = [Attribute("text", .text("hello")), Attribute("more", .text("hello again"))]
        checkpoint.groups.append(.init(path: "a", attributes: []))
        checkpoint.groups.append(.init(path: "a/b", attributes: []))
        checkpoint.tensors = [
            .init(name: "a/b/x", tensor: Tensor([Float](repeating: 1, count: 12), shape: [3, 4])),
            .init(name: "y", tensor: Tensor([Float](repeating: 2, count: 5), shape: [5])),
        ]
        return checkpoint
    }()

    @Test func limits() throws {
        let bytes = try written(sample)
        func code(_ change: (inout Limits) -> Void) throws -> String? {
            var limits = Limits()
            change(&limits)
            return try readingError(bytes, limits: limits)?.code.rawValue
        }
        #expect(try code { _ in } == nil)
        #expect(try code { $0.objectCount = 4 } == "too-many-objects")
        #expect(try code { $0.objectCount = 5 } == nil)
        #expect(try code { $0.depth = 2 } == "depth-limit")
        #expect(try code { $0.depth = 3 } == nil)
        #expect(try code { $0.nameByteCount = 5 } == "name-too-long")
        #expect(try code { $0.attributeCount = 1 } == "too-many-attributes")
        #expect(try code { $0.documentByteCount = 40 } == nil)
        #expect(try code { $0.documentByteCount = 10 } == "attribute-too-large")
        #expect(try code { $0.metadataByteCount = 100 } == "metadata-too-large")
        #expect(try code { ($0.expansionFloor, $0.expansionFactor) = (10, 0) } == "shape-bomb")
        #expect(try code { $0.rank = 1 } == "corrupt")
    }

    /// Every byte of the heap of strings, damaged: libhdf5 would crash on some of these.
    @Test func damagedHeapOfStrings() throws {
        let bytes = try written(sample)
        let start = try #require((0..<bytes.count - 4).first { bytes[$0..<$0 + 4].elementsEqual("GCOL".utf8) })
        for offset in start..<start + 64 {
            for value: UInt8 in [0, 1, 0x7F, 0xFF] {
                var copy = bytes
                copy[offset] = value
                _ = try readingError(copy)
            }
        }
    }

    @Test func longOrOddNamesOfLinksAreNotFollowed() throws {
        // A name of two components would make `a/b` look like b in a.
        var bytes = try written(sample)
        let heap = try #require((0..<bytes.count - 4).first { bytes[$0..<$0 + 4].elementsEqual("HEAP".utf8) })
        let name = try #require((heap..<bytes.count - 2).first { bytes[$0..<$0 + 2].elementsEqual([UInt8(ascii: "y"), 0]) })
        bytes[name] = UInt8(ascii: "/")
        #expect(try readingError(bytes)?.code == "bad-name")
    }
}
