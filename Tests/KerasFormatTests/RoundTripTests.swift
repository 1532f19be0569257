import ByteIO
import FormatKit
import KerasFormat
import ModelIR
import TestSupport
import Testing

@Suite(".keras: reading and writing")
struct RoundTripTests {
    static let fixtures =
        FixtureFiles.names(in: "keras3", suffix: ".keras") + FixtureFiles.names(in: "keras2", suffix: ".keras")

    @Test func fixturesAreThere() { #expect(Self.fixtures.count > 50) }

    @Test("what Keras wrote comes back the same", arguments: fixtures)
    func roundTrip(path: String) throws {
        let bytes = try FixtureFiles.bytes(path)
        #expect(KerasFormat.matches(ByteRegion(bytes: bytes)))
        #expect(try KerasFormat.check(ByteRegion(bytes: bytes), limits: Limits()).count == 1)
        let checkpoint = try open(bytes)
        #expect(checkpoint.format == "keras")
        #expect(checkpoint.documents.prefix(2).map(\.name) == ["metadata.json", "config.json"])

        let again = try written(checkpoint)
        #expect(try written(checkpoint) == again)
        #expect(KerasFormat.matches(ByteRegion(bytes: again)))
        let reopened = try open(again)
        try expectEqual(checkpoint, reopened)
        #expect(try written(reopened) == again)
    }

    @Test("weights lie in the archive, aligned")
    func isMapped() throws {
        let checkpoint = try open(try FixtureFiles.bytes("keras3/keras3_dense_small.keras"))
        let file = try TemporaryPath()
        _ = try file.bytes { try KerasFormat.write(checkpoint, to: $0, options: WriteOptions()) }
        let mapped = try KerasFormat.open(try ByteRegion(path: file.path), limits: Limits())
        let region = try #require(mapped.tensors.first?.tensor.storage.region)
        #expect(region.path == file.path)
        #expect(region.offset % 8 == 0)
    }

    @Test("assets are kept, in order and byte for byte; directories are implied")
    func assets() throws {
        var checkpoint = try open(try FixtureFiles.bytes("keras3/keras3_dense_small.keras"))
        checkpoint.documents.append(.init(name: "assets/layers/text/vocabulary.txt", bytes: Array("größe\n".utf8)))
        checkpoint.documents.append(.init(name: "größe.bin", bytes: [0, 1, 2]))
        try expectEqual(try open(try written(checkpoint)), checkpoint)
        // Written in another order than they were given: the first two have their places.
        var turned = checkpoint
        turned.documents = [checkpoint.documents[1], checkpoint.documents[2], checkpoint.documents[0], checkpoint.documents[3]]
        #expect(try written(turned) == written(checkpoint))
    }

    @Test("deflated members")
    func deflated() throws {
        let checkpoint = try open(try FixtureFiles.bytes("keras3/keras3_dense_small.keras"))
        let weights = try weightBytes(checkpoint)
        var zip = CraftedZip(checkpoint.documents.map { .deflated($0.name, $0.bytes) })
        zip.members += [.deflated("model.weights.h5", weights), .init("assets/")]
        try expectEqual(try open(zip.bytes), checkpoint)
        zip.members[2].size -= 1
        #expect(try errorOfReading(zip.bytes)?.rule == "K2")
    }

    @Test("what can't be written")
    func refused() throws {
        let checkpoint = try open(try FixtureFiles.bytes("keras3/keras3_dense_small.keras"))
        for name in ["metadata.json", "config.json"] {
            var less = checkpoint
            less.documents.removeAll { $0.name == name }
            let error = #expect(throws: UnsupportedError.self) { try written(less) }
            #expect(error?.items == [name])
        }
        for name in ["model.weights.h5", "model.weights.npz", "../escape", "/etc/passwd", "config.json"] {
            var more = checkpoint
            more.documents.append(.init(name: name, bytes: []))
            #expect(throws: UnsupportedError.self) { try written(more) }
        }
    }

    /// The HDF5 file in what we write.
    private func weightBytes(_ checkpoint: Checkpoint) throws -> [UInt8] {
        let bytes = try written(checkpoint)
        let magic: [UInt8] = [0x89, 0x48, 0x44, 0x46, 0x0D, 0x0A, 0x1A, 0x0A]
        let start = try #require(bytes.indices.first { bytes[$0...].starts(with: magic) })
        let count = Int(bytes[start + 40]) | Int(bytes[start + 41]) << 8
        return Array(bytes[start..<start + count])
    }
}
