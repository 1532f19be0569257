import ByteIO
import FormatKit
import ModelIR
import TestSupport
import Testing

@testable import HDF5File

@Suite struct WriterTests {
    static let fixtures =
        FixtureTests.names.map { "hdf5/\($0).h5" }
        + [
            "hdf5/keras_chunked_shuffle_gzip.h5", "hdf5/keras_lzf_fletcher32.h5", "hdf5/keras_user_block.h5", "hdf5/keras_big_endian.h5",
            "keras2/keras2_gru_basic.h5", "keras2/keras2_lstm_basic.h5",
        ]

    @Test(arguments: fixtures) func readWriteReadIsEqual(path: String) throws {
        var checkpoint = try Fixtures.checkpoint(path)
        checkpoint.opaque = []
        let bytes = try written(checkpoint)
        try expectEqual(checkpoint, try read(bytes))
        #expect(try written(checkpoint) == bytes, "bytes differ between two runs")
    }

    @Test func everyDTypeAndShape() throws {
        var checkpoint = Checkpoint(format: "hdf5")
        for dtype in DType.allCases {
            for (number, shape) in [[], [3], [0], [2, 0, 3], [2, 3, 4]].enumerated() {
                let count = shape.reduce(dtype.size, *)
                let bytes = (0..<count).map { dtype == .bool ? UInt8($0 % 2) : UInt8(truncatingIfNeeded: $0 * 7 + 1) }
                checkpoint.tensors.append(.init(name: "\(dtype)/\(number)", tensor: Tensor(dtype: dtype, shape: shape, bytes: bytes)))
            }
        }
        let result = try read(try written(checkpoint))
        #expect(result.groups.map(\.path) == [""] + DType.allCases.map(\.rawValue).sorted())
        for entry in result.tensors {
            let original = try #require(checkpoint.tensors.first { $0.name == entry.name })
            #expect(entry.tensor.dtype == original.tensor.dtype, "\(entry.name)")
            #expect(entry.tensor.shape == original.tensor.shape, "\(entry.name)")
            #expect(try entry.tensor.bytes() == original.tensor.bytes(), "\(entry.name)")
            #expect(entry.attributes["dtype"]?.text == entry.tensor.dtype.opaqueTag)
        }
    }

    @Test func everyKindOfAttribute() throws {
        typealias Strings = AttributeValue.Strings
        func strings(_ values: [String], _ shape: [Int], _ storage: Strings.Storage, _ charset: Strings.Charset) -> AttributeValue {
            .strings(Strings(values: values.map { Array($0.utf8) }, shape: shape, storage: storage, charset: charset))
        }
        var values: [AttributeValue] = [
            .text("é"), .asciiText("plain"), .text(""), .null(nil), .null(.f32), .null(.bool),
            strings(["a", "", "bcd"], [3], .variable, .utf8), strings([], [0], .variable, .ascii),
            strings(["a", "bc", "", "d"], [2, 2], .variable, .ascii),
            strings(["ab", ""], [2], .fixed(byteCount: 2, padding: .nullPadded), .ascii),
            strings(["ab "], [], .fixed(byteCount: 5, padding: .nullTerminated), .utf8),
            strings(["ab"], [1], .fixed(byteCount: 5, padding: .spacePadded), .ascii),
        ]
        for dtype in DType.allCases {
            let bytes = (0..<2 * dtype.size).map { dtype == .bool ? UInt8($0 % 2) : UInt8(truncatingIfNeeded: $0 * 31 + 5) }
            values.append(.numbers(.init(dtype: dtype, shape: [2, 1], bytes: bytes)))
            values.append(.numbers(.init(dtype: dtype, shape: [], bytes: Array(bytes[..<dtype.size]))))
            values.append(.numbers(.init(dtype: dtype, shape: [0], bytes: [])))
        }
        var checkpoint = Checkpoint(format: "hdf5")
        checkpoint.attributes = values.enumerated().map { Attribute(String(1000 + $0.offset), $0.element) }
        checkpoint.groups.append(.init(path: "g", attributes: [Attribute("näme", .text("x"))]))
        let tensor = Tensor([Float](repeating: 1, count: 1), shape: [])
        checkpoint.tensors = [.init(name: "g/t", tensor: tensor, attributes: checkpoint.attributes)]
        try expectEqual(checkpoint, try read(try written(checkpoint)))
    }

    /// Variable strings lie outside the object header and its 64 KiB.
    @Test func longConfiguration() throws {
        var checkpoint = Checkpoint(format: "hdf5")
        let text = String(repeating: "configuration ", count: 100_000)
        checkpoint.attributes = [Attribute("model_config", .text(text))]
        #expect(try read(try written(checkpoint)).attributes["model_config"]?.text == text)
    }

    @Test func tiesAreHardLinks() throws {
        var checkpoint = Checkpoint(format: "hdf5")
        let tensor = Tensor((0..<10_000).map { Float($0) }, shape: [10_000])
        checkpoint.groups += [.init(path: "a"), .init(path: "b")]
        checkpoint.tensors = ["a/x", "b/x", "b/y"].map { .init(name: $0, tensor: tensor) }
        checkpoint.ties = [.init(names: ["a/x", "b/x"])]
        let bytes = try written(checkpoint)
        // Two datasets of 40 KB, not three: equal bytes alone are no tie.
        #expect(bytes.count > 80_000 && bytes.count < 100_000)
        try expectEqual(checkpoint, try read(bytes))
    }

    @Test func saysEverythingThatStandsInTheWay() throws {
        let tensor = Tensor([Float](repeating: 1, count: 1), shape: [1])
        func refusal(_ change: (inout Checkpoint) -> Void) throws -> UnsupportedError? {
            var checkpoint = Checkpoint(format: "hdf5")
            change(&checkpoint)
            do {
                _ = try written(checkpoint)
                return nil
            } catch let error as UnsupportedError {
                return error
            }
        }
        let names = ["", "/a", "a//b", "a/./b", "b/", "a\0"]
        #expect(try refusal { $0.tensors = names.map { .init(name: $0, tensor: tensor) } }?.items.count == names.count)
        #expect(
            try refusal { $0.tensors = ["a", "a/b"].map { .init(name: $0, tensor: tensor) } }?.items == ["a, both a tensor and a group"])
        #expect(try refusal { $0.tensors = ["a", "a"].map { .init(name: $0, tensor: tensor) } } != nil)
        #expect(try refusal { $0.opaque = [.init(name: "table", description: "compound dataset [3]")] }?.items.count == 1)
        #expect(try refusal { $0.attributes = [Attribute("x", .text("a\0b"))] } != nil)
        #expect(try refusal { $0.attributes = [Attribute("x", .text("a")), Attribute("x", .text("b"))] } != nil)
        let deep = Tensor(dtype: .u8, shape: [Int](repeating: 1, count: 33), bytes: [1])
        #expect(try refusal { $0.tensors = [.init(name: "x", tensor: deep)] } != nil)
    }

    /// Past 64 KiB an attribute leaves the object header for a heap.
    @Test(arguments: [59_999, 60_001, 65_500, 65_536, 100_000, 3_000_000]) func largeAttributes(byteCount: Int) throws {
        var checkpoint = Checkpoint(format: "hdf5")
        let bytes = (0..<byteCount).map { UInt8(truncatingIfNeeded: $0 &* 37) }
        let names = (0..<9_000).map { Array("name \($0)".utf8) }
        let attributes = [
            Attribute("big", .numbers(.init(dtype: .u8, shape: [byteCount], bytes: bytes))),
            Attribute("names", .strings(.init(values: names, shape: [9_000], storage: .variable, charset: .ascii))),
            Attribute("small", .text("text")),
        ]
        checkpoint.attributes = attributes
        checkpoint.groups.append(.init(path: "group", attributes: attributes))
        checkpoint.tensors = [
            .init(name: "group/x", tensor: Tensor([Float](repeating: 2, count: 6), shape: [2, 3]), attributes: attributes),
            .init(name: "y", tensor: Tensor([Float](repeating: 3, count: 2), shape: [2])),
        ]
        let bytesWritten = try written(checkpoint)
        try expectEqual(checkpoint, try read(bytesWritten))
        #expect(try written(checkpoint) == bytesWritten)
    }

    /// Shuffled and deflated in chunks: the same contents, at any number of threads the same bytes.
    @Test func compressed() throws {
        var checkpoint = Checkpoint(format: "hdf5")
        var generator = SplitMix(seed: 5)
        func tensor(_ dtype: DType, _ shape: [Int], isRandom: Bool) -> Tensor {
            let count = shape.reduce(dtype.size, *)
            return Tensor(
                dtype: dtype, shape: shape,
                bytes: (0..<count).map { isRandom ? UInt8.random(in: 0...255, using: &generator) : UInt8($0 / 999 % 200) })
        }
        checkpoint.tensors = [
            .init(name: "whole", tensor: tensor(.f32, [70, 90], isRandom: false)),
            .init(name: "rows", tensor: tensor(.f32, [1_001, 333], isRandom: false)),
            .init(name: "random", tensor: tensor(.f64, [3, 5, 10_007], isRandom: true)),
            .init(name: "long", tensor: tensor(.u8, [3, 1_200_001], isRandom: false)),
            .init(name: "half", tensor: tensor(.bf16, [30_000], isRandom: false), attributes: [Attribute("dtype", .text("bfloat16"))]),
            .init(name: "small", tensor: tensor(.f32, [7, 9], isRandom: true)),
            .init(name: "none", tensor: tensor(.f32, [0, 9], isRandom: true)),
            .init(name: "scalar", tensor: tensor(.f32, [], isRandom: true)),
        ]
        checkpoint.tensors.sort { $0.name < $1.name }
        let plain = try written(checkpoint)
        let bytes = try written(checkpoint, options: WriteOptions(threadCount: 1, compresses: true))
        #expect(bytes.count < plain.count / 2)
        try expectEqual(checkpoint, try read(bytes))
        #expect(try written(checkpoint, options: WriteOptions(threadCount: 8, compresses: true)) == bytes)
        #expect(try written(checkpoint, options: WriteOptions(level: 9, threadCount: 2)).count <= bytes.count)
        #expect(try written(checkpoint, options: WriteOptions(level: 0, compresses: true)) == plain)
        // Damage in the source is the source's error.
        let region = try ByteRegion(path: "\(Fixtures.folder)/invalid/hdf5/chunk_bad_deflate.h5")
        let damaged = try HDF5Checkpoint.read(region, format: "hdf5", limits: Limits())
        #expect(throws: FormatError.self) { try written(damaged, options: WriteOptions(compresses: true)) }
    }

    /// A conversion to another dtype must not leave the file saying what its bytes are not.
    @Test func dtypeAttributeIsTrue() throws {
        var checkpoint = Checkpoint(format: "hdf5")
        let stale = [Attribute("dtype", .text("bfloat16"))]
        checkpoint.tensors = [
            .init(name: "a", tensor: Tensor([Float](repeating: 1, count: 2), shape: [2]), attributes: stale),
            .init(name: "b", tensor: Tensor(dtype: .f8e5m2, shape: [2], bytes: [1, 2]), attributes: stale),
            .init(name: "c", tensor: Tensor(dtype: .i8, shape: [2], bytes: [1, 2]), attributes: [Attribute("dtype", .text("int8"))]),
        ]
        let result = try read(try written(checkpoint))
        #expect(result.tensors.map { $0.attributes["dtype"]?.text } == [nil, "float8_e5m2", "int8"])
    }

    @Test func indexIsAValueThatCanBeSent() throws {
        let path = "\(Fixtures.folder)/hdf5/filters.h5"
        let region = try ByteRegion(path: path)
        let index = try HDF5Index.build(region: region, limits: Limits())
        guard case .index(let sent) = try IndexReply(decoding: IndexReply.index(index).encoded) else {
            Issue.record("no index")
            return
        }
        #expect(sent == index)
        let checkpoint = try HDF5Checkpoint.checkpoint(from: sent, over: region, format: "hdf5", limits: Limits())
        try expectEqual(checkpoint, try Fixtures.checkpoint("hdf5/filters.h5"))
    }
}
