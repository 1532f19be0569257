import ByteIO
import ModelIR
import Testing

@testable import HDF5File

/// Reading a dataset of many chunks: work is counted, in structures, bytes of structures and chunks decoded, and grows as the number of
/// chunks.
@Suite struct ChunkWorkTests {
    private static let chunkByteCount = 8

    /// A file that is nothing but a version 1 B-tree of chunks, 64 entries a node as libhdf5 writes it, and the chunks; chunk i holds the
    /// number i.
    private static func file(chunkCount: Int) -> (region: ByteRegion, root: UInt64) {
        var bytes: [UInt8] = []
        func append(_ value: UInt64, _ count: Int) {
            for i in 0..<count { bytes.append(UInt8(truncatingIfNeeded: value >> UInt64(8 * i))) }
        }
        for i in 0..<chunkCount { append(UInt64(i), chunkByteCount) }
        /// Entries of a level: the first chunk below, and where it lies.
        var entries = (0..<chunkCount).map { (first: $0, address: UInt64($0 * chunkByteCount)) }
        var level: UInt64 = 0
        repeat {
            var nodes: [(first: Int, address: UInt64)] = []
            for start in stride(from: 0, to: entries.count, by: 64) {
                let children = entries[start..<min(start + 64, entries.count)]
                nodes.append((entries[start].first, UInt64(bytes.count)))
                bytes += Array("TREE".utf8)
                append(1, 1)
                append(level, 1)
                append(UInt64(children.count), 2)
                append(.max, 8)
                append(.max, 8)
                for child in children {
                    append(UInt64(chunkByteCount), 4)
                    append(0, 4)
                    append(UInt64(child.first), 8)
                    append(0, 8)
                    append(child.address, 8)
                }
            }
            entries = nodes
            level += 1
        } while entries.count > 1
        return (ByteRegion(bytes: bytes), entries[0].address)
    }

    private static func chunks(_ count: Int, root: UInt64) -> HDF5Index.Chunks {
        HDF5Index.Chunks(
            shape: [1], filters: [], fill: [UInt8](repeating: 0, count: 8), maximumShape: [UInt64(count)], location: .tree1(address: root))
    }

    @Test func workGrowsAsTheNumberOfChunks() throws {
        for count in [5_000, 10_000, 20_000, 40_000] {
            let (region, root) = Self.file(chunkCount: count)
            let chunks = Self.chunks(count, root: root)
            let grid = ChunkGrid(shape: [count], chunk: [1])
            let table = try ChunkTable(chunks, grid: grid, elementSize: 8, in: region, addressing: HDF5Addressing(), path: "/x")
            #expect(table.chunks.count == count)
            // 64 to a node on each level: 1/64 + 1/64^2 + .. nodes a chunk, and the roundings of three levels.
            #expect(table.structureCount <= count / 63 + 3, "\(count): \(table.structureCount) nodes")
            // An entry of 32 bytes for each chunk, and what its nodes above take of it.
            #expect(table.structureByteCount <= 34 * count, "\(count): \(table.structureByteCount) bytes")

            let dataset = HDF5Index.Dataset(dtype: .i64, isBigEndian: false, encoding: .native, shape: [count], storage: .chunked(chunks))
            let storage = ChunkedStorage(dataset: dataset, chunks: chunks, file: region, addressing: HDF5Addressing(), path: "/x")
            // In pieces that end within chunks; each chunk is decoded once all the same.
            var found: [UInt8] = []
            var piece = [UInt8](repeating: 0, count: 1_001)
            while found.count < storage.byteCount {
                let size = min(piece.count, storage.byteCount - found.count)
                try piece.withUnsafeMutableBytes {
                    try storage.read(into: UnsafeMutableRawBufferPointer(rebasing: $0[..<size]), at: found.count)
                }
                found += piece[..<size]
            }
            #expect(found.elementsEqual(try region.bytes(0..<count * 8)))
            #expect(storage.decodedChunkCount == count)
            #expect(storage.tableCount == 1)
        }
    }
}
