import ByteIO
import FormatKit
import ModelIR
import Testing

@testable import IngotFormat

/// No damaged file passes: not at `check`, and not on the way to anything that was read.
@Suite struct DamageTests {
    static let files: [[UInt8]] = [0, 1].compactMap { try? written(smallCheckpoint(), level: $0) }

    /// Few attributes, so that every bit of the file can be tried.
    static func smallCheckpoint() -> Checkpoint {
        var checkpoint = sampleCheckpoint()
        checkpoint.attributes = Array(everyAttribute().prefix(4))
        return checkpoint
    }

    @Test(arguments: [0, 1]) func everyTruncationIsRefused(file: Int) throws {
        let bytes = Self.files[file]
        for count in 0..<bytes.count {
            let damaged = Array(bytes.prefix(count))
            #expect(try formatError { _ = try opened(damaged) } != nil, "\(count) bytes of \(bytes.count)")
        }
        #expect(try formatError { _ = try opened(bytes + [0]) }?.rule == "I2")
    }

    @Test(arguments: [0, 1]) func everyFlippedBitIsRefused(file: Int) throws {
        var bytes = Self.files[file]
        let unchanged = try opened(bytes)
        for position in bytes.indices {
            for bit in 0..<8 {
                bytes[position] ^= 1 << bit
                let checked = try formatError { _ = try IngotFormat.check(ByteRegion(bytes: bytes), limits: Limits()) }
                #expect(checked?.rule != nil, "check: byte \(position), bit \(bit)")
                let read = try formatError { try readAll(bytes) }
                #expect(read?.rule != nil, "read: byte \(position), bit \(bit)")
                bytes[position] ^= 1 << bit
            }
        }
        try expectEqual(unchanged, try opened(bytes))
    }

    /// Every byte set to other values, at the structural bytes of the file: no trap, always an error.
    @Test(arguments: [0, 1]) func everyByteReplacedIsRefused(file: Int) throws {
        let bytes = Self.files[file]
        for position in bytes.indices {
            for value: UInt8 in [0x00, 0x7F, 0xFF] where value != bytes[position] {
                var damaged = bytes
                damaged[position] = value
                #expect(try formatError { try readAll(damaged) } != nil, "byte \(position) to \(value)")
            }
        }
    }

    /// With checksums made right again, so that the structure itself meets the damage: an error or a checkpoint, never a trap.
    @Test func damageBehindTheChecksumsNeverTraps() throws {
        let file = try IngotParts(written(sampleCheckpoint(), level: 1))
        var generator = SeededGenerator(seed: 11)
        for position in file.index.indices {
            for value in [0x00, 0xFF, UInt8.random(in: 0...255, using: &generator)] {
                var damaged = file
                damaged.index[position] = value
                _ = try formatError {
                    try readAll(damaged.bytes)
                    _ = try IngotFormat.check(ByteRegion(bytes: damaged.bytes), limits: Limits())
                }
            }
        }
        for position in file.data.indices {
            var damaged = file
            damaged.data[position] ^= UInt8.random(in: 1...255, using: &generator)
            damaged.fixChunkChecksums()
            // A wrong chunk with a right XXH3 doesn't decode, or to something else that SHA-256 finds; but zstd ignores a bit of a frame
            // here and there, and then nothing is wrong with the tensor.
            let error = try formatError { _ = try IngotFormat.check(ByteRegion(bytes: damaged.bytes), limits: Limits()) }
            if error == nil { try expectEqual(sampleCheckpoint(), try opened(damaged.bytes)) }
        }
    }

    @Test func damageIsNamedByTensor() throws {
        let bytes = try written(
            Checkpoint(
                format: "test",
                tensors: [
                    .init(name: "first", tensor: Tensor(weights(1_000, seed: 1), shape: [1_000])),
                    .init(name: "second", tensor: Tensor(weights(1_000, seed: 2), shape: [1_000])),
                ]))
        let file = try IngotFile(ByteRegion(bytes: bytes), limits: Limits(), threadCount: 1)
        var damaged = bytes
        damaged[Int(file.chunkOffsets[1][0]) + 5] ^= 1
        let error = try #require(try formatError { _ = try IngotFormat.check(ByteRegion(bytes: damaged), limits: Limits()) })
        #expect(error.code == "checksum-mismatch" && error.rule == "I15")
        #expect(error.offset == file.chunkOffsets[1][0])
        #expect(error.description.contains("chunk 0 of tensor \"second\""))
        // The other one is still readable.
        let checkpoint = try opened(damaged)
        #expect(try checkpoint.tensors[0].tensor.floats() == weights(1_000, seed: 1))
    }
}
