import ByteIO
import Containers
import FormatKit
import JSON
import ModelIR
import Testing

@testable import HDF5File

/// Files that h5py wrote, against what h5py read from them.
@Suite struct FixtureTests {
    static let names = (try? Fixtures.rows("hdf5/manifest.json"))?.compactMap { $0["name"]?.text } ?? []

    @Test func fixturesAreThere() { #expect(!Self.names.isEmpty) }

    @Test(arguments: names) func arrays(name: String) throws {
        let checkpoint = try Fixtures.checkpoint("hdf5/\(name).h5")
        let expected = try NPZArchive.read(path: "\(Fixtures.folder)/expected/hdf5_\(name).npz")
        #expect(Set(checkpoint.tensors.map(\.name)) == Set(expected.map(\.name)))
        for (name, tensor) in expected {
            let entry = try #require(checkpoint.tensors.first { $0.name == name })
            #expect(entry.tensor.shape == tensor.shape, "\(name)")
            #expect(try entry.tensor.bytes() == tensor.bytes(), "\(name)")
        }
    }

    /// Reading a tensor in odd pieces gives what reading it whole gives.
    @Test(arguments: names) func pieces(name: String) throws {
        for entry in try Fixtures.checkpoint("hdf5/\(name).h5").tensors {
            let whole = try entry.tensor.bytes()
            var pieces: [UInt8] = []
            let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 37, alignment: 1)
            defer { buffer.deallocate() }
            for start in stride(from: 0, to: whole.count, by: 37) {
                let piece = UnsafeMutableRawBufferPointer(rebasing: buffer[0..<min(37, whole.count - start)])
                try entry.tensor.storage.read(into: piece, at: start)
                pieces += piece
            }
            #expect(pieces == whole, "\(entry.name)")
        }
    }

    @Test(arguments: names) func attributes(name: String) throws {
        let checkpoint = try Fixtures.checkpoint("hdf5/\(name).h5")
        guard case .object(let expected) = try JSONValue.parse(try Fixtures.bytes("expected/hdf5_\(name).attributes.json")) else {
            Issue.record("no object")
            return
        }
        for member in expected.members {
            guard case .object(let values) = member.value else { continue }
            let path = String(member.key.drop { $0 == "/" })
            let found = checkpoint.group(path)?.attributes ?? checkpoint.tensors.first { $0.name == path }?.attributes ?? []
            for attribute in values.members {
                guard case .object(let fields) = attribute.value, let value = found[attribute.key] else {
                    Issue.record("\(path)@\(attribute.key) is missing")
                    continue
                }
                #expect(rendered(value) == flattened(fields), "\(path)@\(attribute.key)")
            }
        }
    }

    /// Shape and values as text; nil for the shape of null.
    private func rendered(_ value: AttributeValue) -> [String] {
        switch value {
        case .null: return ["null"]
        case .strings(let strings): return ["\(strings.shape)"] + strings.values.map { String(decoding: $0, as: UTF8.self) }
        case .numbers(let numbers):
            let doubles = (try? Tensor(dtype: numbers.dtype, shape: numbers.shape, bytes: numbers.bytes).doubles()) ?? []
            return ["\(numbers.shape)"] + doubles.map { "\($0)" }
        }
    }

    private func flattened(_ fields: JSONObject) -> [String] {
        func leaves(_ value: JSONValue) -> [String] {
            switch value {
            case .array(let items): items.flatMap(leaves)
            case .number(let number): ["\(number.double)"]
            case .bool(let flag): [flag ? "1.0" : "0.0"]
            case .string(let text): [["Infinity": "inf", "-Infinity": "-inf", "NaN": "nan"][text] ?? text]
            case .null: []
            case .object: ["object"]
            }
        }
        guard case .array(let shape)? = fields["shape"] else { return ["null"] }
        let sizes = shape.compactMap { if case .number(let number) = $0 { number.int } else { nil } }
        return ["\(sizes)"] + (fields["value"].map(leaves) ?? [])
    }

    @Test func linksBecomeTies() throws {
        let checkpoint = try Fixtures.checkpoint("hdf5/links.h5")
        #expect(checkpoint.ties.count == 1)
        #expect(checkpoint.ties.first?.names.contains("one/data") == true)
        #expect(checkpoint.opaque.count == 1)
    }

    @Test func bfloat16InAllItsForms() throws {
        let checkpoint = try Fixtures.checkpoint("hdf5/bfloat16.h5")
        #expect(checkpoint.tensors.filter { $0.tensor.dtype == .bf16 }.allSatisfy { $0.attributes["dtype"]?.text == "bfloat16" })
        #expect(checkpoint.formatDetail.contains("taken for bf16"))
    }

    /// A dataset that needs no decoding is a range of the file.
    @Test func contiguousDataIsLentFromTheFile() throws {
        for entry in try Fixtures.checkpoint("keras2/keras2_gru_basic.h5").tensors {
            let region = try #require(entry.tensor.storage.region)
            #expect(try region.bytes(0..<region.count) == entry.tensor.bytes())
        }
    }
}
