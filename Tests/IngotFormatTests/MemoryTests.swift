import ByteIO
import FormatKit
import Glibc
import ModelIR
import Testing

@testable import IngotFormat

/// 256 MiB of floats that are made when they are read.
private struct Generated: TensorStorage {
    let byteCount = 256 << 20
    var region: ByteRegion? { nil }

    func read(into buffer: UnsafeMutableRawBufferPointer, at offset: Int) {
        // The same bytes whatever pieces they are read in, of whole elements.
        for i in stride(from: 0, to: buffer.count - 3, by: 4) {
            var generator = SeededGenerator(seed: UInt64(offset + i))
            let bits = 0x3C00_0000 | UInt32(truncatingIfNeeded: generator.next()) & 0x81FF_FFFF
            buffer.storeBytes(of: bits, toByteOffset: i, as: UInt32.self)
        }
    }
}

/// Peak resident memory of the process, in bytes.
private func peakMemory() -> Int {
    var usage = rusage()
    getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
    return usage.ru_maxrss << 10
}

@Suite struct MemoryTests {
    /// In a process of its own, since the others' memory would hide this one's.
    @Test func memoryIsBoundedWhateverTheSize() async {
        await #expect(processExitsWith: .success) {
            let path = "/tmp/ingot-test-\(getpid()).ingot"
            defer { unlink(path) }
            let checkpoint = Checkpoint(
                format: "test", tensors: [.init(name: "big", tensor: Tensor(dtype: .f32, shape: [64 << 20], storage: Generated()))])
            let before = peakMemory()
            let output = try OutputFile(target: path, replacesExisting: false)
            try IngotFormat.write(checkpoint, to: output, options: WriteOptions(threadCount: 2))
            try output.commit()
            _ = try IngotFormat.check(ByteRegion(path: path), limits: Limits())
            let tensor = try IngotFormat.open(ByteRegion(path: path), limits: Limits()).tensors[0].tensor
            var position = 0
            try tensor.forEachPiece(ofSize: IngotLayout.chunkSize) { piece in
                if position == 64 << 20 {
                    let expected = UnsafeMutableRawBufferPointer.allocate(byteCount: piece.count, alignment: 8)
                    defer { expected.deallocate() }
                    Generated().read(into: expected, at: position)
                    #expect(piece.elementsEqual(expected))
                }
                position += piece.count
            }
            #expect(position == tensor.byteCount)
            let growth = peakMemory() - before
            #expect(growth < 64 << 20, "\(growth >> 20) MiB")
            print("peak memory grew by \(growth >> 20) MiB")
        }
    }
}
