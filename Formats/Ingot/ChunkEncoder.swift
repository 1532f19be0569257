import ByteIO
import CKernels
import Glibc

/// Turns chunks into their stored form; a worker for one thread, with memory of its own.
final class ChunkEncoder {
    /// Planes shorter than this are simply tried.
    private static let probeThreshold = 16 << 10
    private static let samplePieceSize = 4 << 10
    private static let samplePieceCount = 4
    /// From this level on time matters less than size, and every plane is tried.
    private static let exhaustiveLevel = 10
    /// Bytes of the shortest frame: magic number, descriptor, content size, block header.
    private static let smallestFrame = 9

    /// Room that `encode` asks of its target.
    static let outputCapacity = IngotLayout.chunkSize + ZstdCompressor.bound(IngotLayout.chunkSize)

    private let level: Int
    private let compressor: ZstdCompressor
    private let planes = UnsafeMutableRawBufferPointer.allocate(byteCount: IngotLayout.chunkSize, alignment: 64)
    private let sample = UnsafeMutableRawBufferPointer.allocate(byteCount: samplePieceSize * samplePieceCount, alignment: 64)
    private let sampleOutput = UnsafeMutableRawBufferPointer.allocate(
        byteCount: ZstdCompressor.bound(samplePieceSize * samplePieceCount), alignment: 64)

    /// - Parameter level: zstd's, 1 to 19.
    init(level: Int) throws {
        self.level = level
        compressor = try ZstdCompressor()
    }

    deinit {
        planes.deallocate()
        sample.deallocate()
        sampleOutput.deallocate()
    }

    /// Stores a chunk in the shortest way.
    /// - Parameters:
    ///   - raw: the chunk, a multiple of `width` bytes and at most `IngotLayout.chunkSize`.
    ///   - target: at least `outputCapacity` bytes.
    /// - Returns: the stored lengths of the planes, which lie one after another in `target`.
    func encode(
        _ raw: UnsafeRawBufferPointer, layout: BlobLayout, width: Int, into target: UnsafeMutableRawBufferPointer
    ) -> [UInt32] {
        let count = raw.count / width
        let source: UnsafeRawBufferPointer
        if width == 1 {
            source = raw
        } else {
            ck_planes_split(
                raw.baseAddress?.assumingMemoryBound(to: UInt8.self), planes.baseAddress?.assumingMemoryBound(to: UInt8.self), count,
                Int32(width), layout == .rotatedPlanes ? 1 : 0)
            source = UnsafeRawBufferPointer(planes)
        }
        var lengths: [UInt32] = []
        var position = 0
        for k in 0..<width {
            let plane = UnsafeRawBufferPointer(rebasing: source[k * count..<(k + 1) * count])
            let rest = UnsafeMutableRawBufferPointer(rebasing: target[position...])
            let length = store(plane, into: rest)
            lengths.append(UInt32(length))
            position += length
        }
        return lengths
    }

    private func store(_ plane: UnsafeRawBufferPointer, into target: UnsafeMutableRawBufferPointer) -> Int {
        if let base = plane.baseAddress, plane.count > 1, memcmp(base, base + 1, plane.count - 1) == 0 {
            target[0] = plane[0]
            return 1
        }
        if isWorthTrying(plane), let length = compressor.compress(plane, into: target, level: level), length < plane.count { return length }
        target.copyMemory(from: plane)
        return plane.count
    }

    /// Compresses a sample from four places: a plane of mantissa bits costs as much time as the rest together and gives nothing.
    private func isWorthTrying(_ plane: UnsafeRawBufferPointer) -> Bool {
        guard plane.count > Self.smallestFrame else { return false }
        guard plane.count > Self.probeThreshold, level < Self.exhaustiveLevel else { return true }
        let step = (plane.count - Self.samplePieceSize) / (Self.samplePieceCount - 1)
        for i in 0..<Self.samplePieceCount {
            UnsafeMutableRawBufferPointer(rebasing: sample[i * Self.samplePieceSize..<(i + 1) * Self.samplePieceSize])
                .copyMemory(from: UnsafeRawBufferPointer(rebasing: plane[i * step..<i * step + Self.samplePieceSize]))
        }
        guard let length = compressor.compress(UnsafeRawBufferPointer(sample), into: sampleOutput, level: 1) else { return false }
        return length < sample.count - sample.count / 64
    }
}
