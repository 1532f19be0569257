import ByteIO
import ModelIR
import Synchronization

/// A dataset in chunks, decoded a band of rows at a time; the last band is kept, since readers go forward in small pieces.
final class ChunkedStorage: TensorStorage {
    private let dataset: HDF5Index.Dataset
    private let chunks: HDF5Index.Chunks
    private let file: ByteRegion
    private let addressing: HDF5Addressing
    private let path: String
    private let grid: ChunkGrid
    private let filters: ChunkFilters
    /// Stored chunks by their number in the grid, from the first read on.
    private let table = Mutex<[Int: HDF5Index.Chunk]?>(nil)
    private let lastBand = Mutex<(number: Int, bytes: [UInt8])>((-1, []))

    /// Work done so far: how often the table was read, and chunks decoded.
    private let work = Mutex<(tables: Int, chunks: Int)>((0, 0))
    var tableCount: Int { work.withLock { $0.tables } }
    var decodedChunkCount: Int { work.withLock { $0.chunks } }

    /// Rows that are decoded at a time: one row of chunks.
    private let bandRowCount: Int

    let byteCount: Int
    var region: ByteRegion? { nil }
    var identity: StorageIdentity? { StorageIdentity(owner: self, byteCount: byteCount) }

    init(dataset: HDF5Index.Dataset, chunks: HDF5Index.Chunks, file: ByteRegion, addressing: HDF5Addressing, path: String) {
        self.dataset = dataset
        self.chunks = chunks
        self.file = file
        self.addressing = addressing
        self.path = path
        grid = ChunkGrid(shape: dataset.shape, chunk: chunks.shape)
        filters = ChunkFilters(filters: chunks.filters, byteCount: chunks.shape.reduce(dataset.dtype.size, *), path: path)
        byteCount = dataset.byteCount
        bandRowCount = min(chunks.shape[0], dataset.shape[0])
    }

    func read(into buffer: UnsafeMutableRawBufferPointer, at offset: Int) throws {
        let bandByteCount = byteCount / dataset.shape[0] * bandRowCount
        var done = 0
        while done < buffer.count {
            let number = (offset + done) / bandByteCount
            let start = offset + done - number * bandByteCount
            let band = try band(number)
            let count = min(band.count - start, buffer.count - done)
            band.withUnsafeBytes {
                UnsafeMutableRawBufferPointer(rebasing: buffer[done..<done + count])
                    .copyMemory(from: UnsafeRawBufferPointer(rebasing: $0[start..<start + count]))
            }
            done += count
        }
    }

    private func band(_ number: Int) throws -> [UInt8] {
        if let bytes = lastBand.withLock({ $0.number == number ? $0.bytes : nil }) { return bytes }
        // Decoded outside the lock: two readers may both decode, none waits for the other.
        let bytes = try decodedBand(number)
        lastBand.withLock { $0 = (number, bytes) }
        return bytes
    }

    private func decodedBand(_ number: Int) throws -> [UInt8] {
        try filters.checkKnown()
        let stored = try storedChunks()
        let rowCount = min(bandRowCount, dataset.shape[0] - number * bandRowCount)
        let bandByteCount = byteCount / dataset.shape[0] * rowCount
        let first = number * grid.chunksPerBand
        var band: [UInt8] = []
        var decodedCount = 0
        for index in first..<first + grid.chunksPerBand {
            guard let chunk = stored[index] else { continue }
            guard let part = file.subregion(offset: chunk.offset, count: chunk.byteCount) else {
                throw HDF5Error.truncated(path, expected: Int(clamping: chunk.byteCount), found: "a file of \(file.count) bytes")
            }
            decodedCount += 1
            let bytes = try filters.decode(try part.bytes(0..<part.count), mask: chunk.filterMask)
            // After the first chunk has shown that it is what it says; one of many gigabytes that is not takes no memory.
            if band.isEmpty { band = filled(bandByteCount) }
            band.withUnsafeMutableBytes { band in
                bytes.withUnsafeBytes { grid.copy($0, ofIndex: index, to: band, elementSize: dataset.dtype.size) }
            }
        }
        work.withLock { $0.chunks += decodedCount }
        if band.isEmpty { band = filled(bandByteCount) }
        if dataset.isBigEndian { band.withUnsafeMutableBytes { swapElements($0, size: dataset.dtype.size) } }
        return band
    }

    private func filled(_ count: Int) -> [UInt8] {
        [UInt8](unsafeUninitializedCapacity: count) { buffer, n in
            fill(UnsafeMutableRawBufferPointer(buffer), with: chunks.fill)
            n = count
        }
    }

    private func storedChunks() throws -> [Int: HDF5Index.Chunk] {
        try table.withLock { table in
            if let table { return table }
            let found = try ChunkTable(
                chunks, grid: grid, elementSize: dataset.dtype.size, in: file, addressing: addressing, path: path)
            let places = Dictionary(found.chunks.map { ($0.index, $0) }, uniquingKeysWith: { first, _ in first })
            table = places
            work.withLock { $0.tables += 1 }
            return places
        }
    }
}
