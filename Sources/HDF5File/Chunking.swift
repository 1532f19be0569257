import ByteIO
import CHDF5
import CZlib
import FormatKit
import ModelIR

/// How hard tensors are compressed as they are written.
struct ChunkCompression {
    /// Of zlib, 1 to 9.
    var level: Int
    var threadCount: Int

    /// nil where nothing was asked for: not every reader of HDF5 has deflate, and none maps what is compressed.
    init?(_ options: WriteOptions) {
        // h5py's own level, where none is given.
        let level = options.level ?? (options.compresses ? 4 : 0)
        guard level > 0 else { return nil }
        self.level = min(level, 9)
        threadCount = options.threadCount
    }
}

/// A tensor cut into chunks that are each a range of its bytes: ones along the outer dimensions, some rows of one, all of the inner ones.
struct Chunking {
    /// Shape of a chunk, in elements.
    let shape: [Int]
    let compression: ChunkCompression
    /// The dimension along which chunks have more than one row, and are not whole.
    private let axis: Int

    private static let chunkByteCount = 512 << 10
    /// A dataset in chunks has an index of 2 KiB, and smaller ones gain nothing.
    private static let smallestByteCount = 16 << 10

    /// - Returns: nil for tensors that are better left in one piece.
    init?(_ tensor: Tensor, compression: ChunkCompression) {
        guard tensor.byteCount >= Self.smallestByteCount else { return nil }
        var axis = tensor.shape.count - 1
        var rowByteCount = tensor.dtype.size
        while axis > 0, rowByteCount * tensor.shape[axis] <= Self.chunkByteCount {
            rowByteCount *= tensor.shape[axis]
            axis -= 1
        }
        var shape = tensor.shape
        for d in 0..<axis { shape[d] = 1 }
        shape[axis] = min(shape[axis], max(1, Self.chunkByteCount / rowByteCount))
        self.shape = shape
        self.axis = axis
        self.compression = compression
    }

    /// The tensor can't be read: no fault of what is written.
    struct SourceError: Error { var underlying: any Error }

    /// One chunk on its way.
    private final class Slot: @unchecked Sendable {
        var stored: [UInt8] = []
        var mask: UInt32 = 0
    }

    /// Compresses all chunks, on several threads, and gives them to libhdf5 in order.
    func write(_ tensor: Tensor, to dataset: hid_t, path: String) throws {
        let grid = ChunkGrid(shape: tensor.shape, chunk: shape)
        let rowByteCount = tensor.shape[(axis + 1)...].reduce(tensor.dtype.size, *)
        let chunkByteCount = rowByteCount * shape[axis]
        let (axis, shape, level) = (axis, shape, compression.level)
        try inOrder(count: grid.count, threadCount: compression.threadCount, makeSlot: { Slot() }) { index, slot in
            // Chunks before this one along the outer dimensions are whole; along the axis the last may be cut short, and is padded by zeros.
            let outer = index / grid.counts[axis]
            let start = index % grid.counts[axis] * shape[axis]
            let rowCount = min(shape[axis], tensor.shape[axis] - start)
            var bytes = [UInt8](repeating: 0, count: chunkByteCount)
            do {
                try bytes.withUnsafeMutableBytes {
                    try tensor.storage.read(
                        into: UnsafeMutableRawBufferPointer(rebasing: $0[..<(rowCount * rowByteCount)]),
                        at: (outer * tensor.shape[axis] + start) * rowByteCount)
                }
            } catch {
                throw SourceError(underlying: error)
            }
            let shuffled = Self.shuffled(bytes, elementSize: tensor.dtype.size)
            let deflated = try Self.deflated(shuffled, level: level, path: path)
            // Bit 1: the second filter was left out, as it would have gained nothing.
            (slot.stored, slot.mask) = deflated.map { ($0, 0) } ?? (shuffled, 1 << 1)
        } consume: { index, slot in
            let corner = zip(grid.position(ofIndex: index), shape).map { hsize_t($0 * $1) }
            try check(H5Dwrite_chunk(dataset, 0, slot.mask, corner, slot.stored.count, slot.stored), "write \(path)")
        }
    }

    /// All first bytes of the elements, then all second ones, ...
    private static func shuffled(_ bytes: [UInt8], elementSize size: Int) -> [UInt8] {
        guard size > 1 else { return bytes }
        let count = bytes.count / size
        return [UInt8](unsafeUninitializedCapacity: bytes.count) { target, n in
            bytes.withUnsafeBufferPointer { source in
                for plane in 0..<size {
                    for i in 0..<count { target[plane * count + i] = source[i * size + plane] }
                }
            }
            n = bytes.count
        }
    }

    /// - Returns: nil if it would not be smaller.
    private static func deflated(_ bytes: [UInt8], level: Int, path: String) throws -> [UInt8]? {
        var count = uLong(bytes.count - 1)
        var result = [UInt8](repeating: 0, count: bytes.count)
        let status = bytes.withUnsafeBufferPointer { compress2(&result, &count, $0.baseAddress, uLong($0.count), Int32(level)) }
        if status == Z_BUF_ERROR { return nil }
        guard status == Z_OK else { throw HDF5Error.corrupt(found: "zlib without memory for \(path)") }
        result.removeLast(result.count - Int(count))
        return result
    }
}
