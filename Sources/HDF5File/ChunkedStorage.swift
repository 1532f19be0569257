import ByteIO
import CHDF5
import ModelIR
import Synchronization

/// A dataset in chunks, decoded a band of rows at a time; the last band is kept, since readers go forward in small pieces.
final class ChunkedStorage: TensorStorage {
    private let dataset: HDF5Index.Dataset
    private let chunks: HDF5Index.Chunks
    private let file: ByteRegion
    /// Where the dataset's header lies, for what only libhdf5 can find.
    private let address: UInt64
    private let path: String
    private let grid: ChunkGrid
    private let filters: ChunkFilters
    /// Stored chunks by their number in the grid; nil if libhdf5 has to find them.
    private let stored: [Int: HDF5Index.Chunk]?
    private let lastBand = Mutex<(number: Int, bytes: [UInt8])>((-1, []))

    /// Rows that are decoded at a time: one row of chunks, or several where each call of libhdf5 opens the file anew.
    private let bandRowCount: Int
    private static let libraryBandByteCount = 8 << 20

    let byteCount: Int
    var region: ByteRegion? { nil }

    init(dataset: HDF5Index.Dataset, chunks: HDF5Index.Chunks, file: ByteRegion, address: UInt64, path: String) {
        self.dataset = dataset
        self.chunks = chunks
        self.file = file
        self.address = address
        self.path = path
        grid = ChunkGrid(shape: dataset.shape, chunk: chunks.shape)
        filters = ChunkFilters(filters: chunks.filters, byteCount: chunks.shape.reduce(dataset.dtype.size, *), path: path)
        stored = chunks.stored.map { Dictionary($0.map { ($0.index, $0) }, uniquingKeysWith: { first, _ in first }) }
        byteCount = dataset.byteCount
        let rowsOfChunks = min(chunks.shape[0], dataset.shape[0])
        let bandByteCount = byteCount / dataset.shape[0] * rowsOfChunks
        let repetitions = chunks.stored == nil ? max(1, Self.libraryBandByteCount / bandByteCount) : 1
        bandRowCount = min(dataset.shape[0], rowsOfChunks * repetitions)
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
        try filters.checkKnown(byLibrary: stored == nil)
        let firstRow = number * bandRowCount
        let rowCount = min(bandRowCount, dataset.shape[0] - firstRow)
        var band = [UInt8](repeating: 0, count: byteCount / dataset.shape[0] * rowCount)
        try band.withUnsafeMutableBytes { band in
            if let stored {
                try decode(stored, band: number, into: band)
            } else {
                try readThroughLibrary(rows: firstRow..<firstRow + rowCount, into: band)
            }
            if dataset.isBigEndian { swapElements(band, size: dataset.dtype.size) }
        }
        return band
    }

    private func decode(_ stored: [Int: HDF5Index.Chunk], band number: Int, into band: UnsafeMutableRawBufferPointer) throws {
        fill(band, with: chunks.fill)
        let first = number * grid.chunksPerBand
        for index in first..<first + grid.chunksPerBand {
            guard let chunk = stored[index] else { continue }
            guard let part = file.subregion(offset: chunk.offset, count: chunk.byteCount) else {
                throw HDF5Error.truncated(path, expected: Int(clamping: chunk.byteCount), found: "a file of \(file.count) bytes")
            }
            let bytes = try filters.decode(try part.bytes(0..<part.count), mask: chunk.filterMask)
            bytes.withUnsafeBytes { grid.copy($0, ofIndex: index, to: band, elementSize: dataset.dtype.size) }
        }
    }

    /// libhdf5 finds the chunks and undoes the filters; for datasets of very many chunks and files with a user block.
    private func readThroughLibrary(rows: Range<Int>, into band: UnsafeMutableRawBufferPointer) throws {
        try HDF5Image.with(file) { file in
            let handle = try HDF5Handle(H5Oopen_by_addr(file.id, haddr_t(address)), "open \(path)")
            // The file's own type, so that nothing is converted.
            let type = try HDF5Handle(H5Dget_type(handle.id), "read the type of \(path)")
            let space = try HDF5Handle(H5Dget_space(handle.id), "read the shape of \(path)")
            let start = [hsize_t(rows.lowerBound)] + [hsize_t](repeating: 0, count: dataset.shape.count - 1)
            let count = [hsize_t(rows.count)] + dataset.shape.dropFirst().map { hsize_t($0) }
            guard H5Tget_size(type.id) == dataset.dtype.size, Int(H5Sget_simple_extent_ndims(space.id)) == count.count else {
                throw HDF5Error.corrupt(found: "\(path) other than in the index")
            }
            try check(H5Sselect_hyperslab(space.id, H5S_SELECT_SET, start, nil, count, nil), "select rows of \(path)")
            let memory = try HDF5Handle(H5Screate_simple(Int32(count.count), count, nil), "select rows of \(path)")
            try check(H5Dread(handle.id, type.id, memory.id, space.id, 0, band.baseAddress), "read \(path)")
        }
    }
}
