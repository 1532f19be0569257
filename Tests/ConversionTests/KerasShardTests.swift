import ByteIO
import Conversion
import FormatKit
import JSON
import TestSupport
import Testing

/// Weights of Keras 3 written in shards: cut by size, listed by group, put in place together or not at all.
@Suite struct KerasShardTests {
    private static let source = Fixtures.path("keras3/keras3_lstm_stacked_mask.keras")

    private func options(_ size: UInt64, force: Bool = false) -> ConversionOptions {
        var options = ConversionOptions.quick(force: force)
        options.maxShardByteCount = size
        return options
    }

    @Test func groupsSpanShards() throws {
        let scratch = try TemporaryDirectory()
        let index = scratch.file("x.weights.json")
        let report = try Conversion.convert(Self.source, to: index, options: options(700))
        #expect(report.verification?.passes == true)
        let names = scratch.names
        #expect(names.count > 3 && names.contains("x_00000.weights.h5") && names.contains("x_00001.weights.h5"))
        let tensors = try ModelFile.open(index).checkpoint.tensors
        let total = tensors.reduce(0) { $0 + $1.tensor.byteCount }
        #expect(try tensors.count == ModelFile.open(Self.source).checkpoint.tensors.count)
        let document = try JSONValue.parse(try ByteRegion(path: index).bytes())
        #expect(document["metadata"]?["total_size"] == .double(Double(total)))
        let files = try #require(document["weight_map"]?.object).members.map(\.value)
        #expect(files.contains { ($0.array?.count ?? 0) > 1 })
    }

    /// One shard is no model, whatever its layers could be taken for.
    @Test func aShardByItselfIsSaidToBeOne() throws {
        let folder = Fixtures.path("legacy")
        for name in ["legacy_sharded_00000.weights.h5", "legacy_sharded_00003.weights.h5"] {
            let file = try ModelFile.open("\(folder)/\(name)")
            let words = "one of 5 shards; their index, legacy_sharded.weights.json, opens them all"
            #expect(file.notes.contains(words))
            let error = #expect(throws: UnsupportedError.self) { try file.requireModel() }
            #expect(error?.description.contains(words) == true)
        }
        let scratch = try TemporaryDirectory()
        let alone = try scratch.write(Fixtures.bytes("legacy/legacy_sharded_00001.weights.h5"), to: "x_00001.weights.h5")
        let error = #expect(throws: FormatError.self) {
            try ModelFile.open(alone, configuration: "\(folder)/legacy_sharded.json")
        }
        #expect(error?.code == "missing-weight")
        #expect(error?.description.contains("one of several shards, whose index, x.weights.json, is not beside the file") == true)
    }

    @Test func aTensorLargerThanAShardIsRefused() throws {
        let scratch = try TemporaryDirectory()
        let error = #expect(throws: UnsupportedError.self) {
            try Conversion.convert(Self.source, to: scratch.file("x.weights.json"), options: options(100))
        }
        #expect(error?.description.contains("larger than a shard may be (100 bytes)") == true)
        #expect(scratch.names == [])
    }

    @Test func aShardThatIsThereStopsAll() throws {
        let scratch = try TemporaryDirectory()
        _ = try scratch.write(Array("precious".utf8), to: "x_00001.weights.h5")
        #expect(throws: FileError.self) {
            try Conversion.convert(Self.source, to: scratch.file("x.weights.json"), options: options(700))
        }
        #expect(scratch.names == ["x_00001.weights.h5"])
        _ = try Conversion.convert(Self.source, to: scratch.file("x.weights.json"), options: options(700, force: true))
        #expect(scratch.names.contains("x.weights.json"))
    }
}
