import ByteIO
import Digests
import FormatKit
import ModelIR
import Synchronization
import Testing

@Suite struct DigestJobTests {
    /// Bytes that have to be read, or are lent, of lengths that end a block, a piece, or in between.
    @Test(arguments: [1, 2, 5]) func digestsOfAnyLengths(threadCount: Int) throws {
        final class Decoded: TensorStorage {
            let bytes: [UInt8]
            var byteCount: Int { bytes.count }
            var region: ByteRegion? { nil }
            init(_ bytes: [UInt8]) { self.bytes = bytes }
            func read(into buffer: UnsafeMutableRawBufferPointer, at offset: Int) throws {
                bytes.withUnsafeBytes { buffer.copyMemory(from: UnsafeRawBufferPointer(rebasing: $0[offset..<offset + buffer.count])) }
            }
        }
        let lengths = [700_001, 524_288, 0, 1, 63, 64, 65, 131_072, 131_073, 131_071, 0, 262_144 + 64, 100, 128, 300_000]
        let contents = lengths.enumerated().map { randomBytes($1, seed: UInt64($0)) }
        for isLent in [false, true] {
            let storages: [any TensorStorage] = contents.map { isLent ? ByteRegion(bytes: $0) as any TensorStorage : Decoded($0) }
            let job = DigestJob(storages)
            try inOrder(count: threadCount, threadCount: threadCount, makeSlot: {}) { _, _ in
                try job.run()
            } consume: { _, _ in
            }
            #expect(job.digests == contents.map { SHA256.hash($0) })
        }
    }

    @Test func errorsOfReadingComeThrough() throws {
        struct Unreadable: TensorStorage {
            let byteCount = 300_000
            var region: ByteRegion? { nil }
            func read(into buffer: UnsafeMutableRawBufferPointer, at offset: Int) throws {
                guard offset < 200_000 else { throw InputError("at \(offset)") }
            }
        }
        #expect(throws: InputError.self) { try DigestJob([ByteRegion(bytes: [1, 2]), Unreadable()]).run() }
        #expect(throws: InputError.self) {
            try TensorDigests().digests(of: [Tensor(dtype: .u8, shape: [300_000], storage: Unreadable())], threadCount: 2)
        }
    }
}
