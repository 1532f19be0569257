import Testing

@testable import HDF5File

@Suite struct ChunkGridTests {
    @Test func numbersChunksRowMajor() {
        let grid = ChunkGrid(shape: [5, 7], chunk: [2, 3])
        #expect(grid.counts == [3, 3])
        #expect(grid.chunksPerBand == 3)
        #expect(grid.index(ofCorner: [4, 6]) == 8)
        #expect(grid.position(ofIndex: 5) == [1, 2])
    }

    @Test func refusesCornersOffTheGrid() {
        let grid = ChunkGrid(shape: [5, 7], chunk: [2, 3])
        #expect(grid.index(ofCorner: [1, 0]) == nil)
        #expect(grid.index(ofCorner: [6, 0]) == nil)
        #expect(grid.index(ofCorner: [.max, 0]) == nil)
    }

    @Test(arguments: [([7], [3]), ([5, 7], [2, 3]), ([3, 4, 5], [2, 4, 2]), ([3, 4, 5], [1, 5, 9]), ([2, 3, 2, 3], [2, 2, 2, 2])])
    func puttingChunksTogetherGivesTheWhole(shape: [Int], chunk: [Int]) {
        let grid = ChunkGrid(shape: shape, chunk: chunk)
        let count = shape.reduce(1, *)
        let rowCount = count / shape[0]
        var result: [UInt16] = []
        for band in 0..<grid.counts[0] {
            let rows = min(chunk[0], shape[0] - band * chunk[0])
            var elements = [UInt16](repeating: .max, count: rows * rowCount)
            for index in band * grid.chunksPerBand..<(band + 1) * grid.chunksPerBand {
                let source = chunkElements(grid, index)
                source.withUnsafeBytes { from in
                    elements.withUnsafeMutableBytes { grid.copy(from, ofIndex: index, to: $0, elementSize: 2) }
                }
            }
            result += elements
        }
        #expect(result == (0..<count).map { UInt16($0) })
    }

    /// A chunk of an array that counts its elements; 9999 past the edges.
    private func chunkElements(_ grid: ChunkGrid, _ index: Int) -> [UInt16] {
        let position = grid.position(ofIndex: index)
        return (0..<grid.chunk.reduce(1, *)).map { number in
            var rest = number
            var element = 0
            var stride = 1
            for d in grid.shape.indices.reversed() {
                let place = position[d] * grid.chunk[d] + rest % grid.chunk[d]
                rest /= grid.chunk[d]
                if place >= grid.shape[d] { return 9999 }
                element += place * stride
                stride *= grid.shape[d]
            }
            return UInt16(element)
        }
    }
}
