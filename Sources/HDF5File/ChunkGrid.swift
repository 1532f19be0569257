/// How a dataset is cut into chunks; those at the far edges reach past it.
struct ChunkGrid: Hashable, Sendable {
    /// Shape of the dataset, in elements; no dimension is zero.
    let shape: [Int]
    /// Shape of a chunk, in elements.
    let chunk: [Int]
    /// Number of chunks along each dimension.
    let counts: [Int]

    init(shape: [Int], chunk: [Int]) {
        self.shape = shape
        self.chunk = chunk
        self.counts = zip(shape, chunk).map { ($0 - 1) / $1 + 1 }
    }

    var count: Int { counts.reduce(1, *) }

    /// Whether a chunk holds places outside the dataset.
    func reachesPastEdge(_ index: Int) -> Bool {
        let position = position(ofIndex: index)
        return shape.indices.contains { (position[$0] + 1) * chunk[$0] > shape[$0] }
    }

    /// Chunks of one band: all that share a range of rows (positions along the outermost dimension).
    var chunksPerBand: Int { counts.dropFirst().reduce(1, *) }

    /// Row-major number of the chunk whose first element is at `corner`, or nil if no chunk begins there.
    func index(ofCorner corner: [UInt64]) -> Int? {
        var index = 0
        for d in shape.indices {
            guard corner[d] < UInt64(shape[d]), corner[d] % UInt64(chunk[d]) == 0 else { return nil }
            index = index * counts[d] + Int(corner[d]) / chunk[d]
        }
        return index
    }

    /// Position of a chunk in units of chunks.
    func position(ofIndex index: Int) -> [Int] {
        var rest = index
        var position = [Int](repeating: 0, count: counts.count)
        for d in counts.indices.reversed() {
            position[d] = rest % counts[d]
            rest /= counts[d]
        }
        return position
    }

    /// Copies a decoded chunk to its place in a band of whole rows.
    ///
    /// `source` is the chunk, dense and full; `band` begins at the band's first row and holds its rows of the dataset.
    func copy(
        _ source: UnsafeRawBufferPointer, ofIndex index: Int, to band: UnsafeMutableRawBufferPointer, elementSize: Int
    ) {
        let position = position(ofIndex: index)
        let rank = shape.count
        // What of the chunk lies inside the dataset.
        let extent = (0..<rank).map { min(chunk[$0], shape[$0] - position[$0] * chunk[$0]) }
        let run = extent[rank - 1] * elementSize
        var sourceStrides = [Int](repeating: elementSize, count: rank)
        var targetStrides = sourceStrides
        for d in (0..<rank - 1).reversed() {
            sourceStrides[d] = sourceStrides[d + 1] * chunk[d + 1]
            targetStrides[d] = targetStrides[d + 1] * shape[d + 1]
        }
        var targetOffset = 0
        for d in 1..<max(rank, 1) { targetOffset += position[d] * chunk[d] * targetStrides[d] }
        var sourceOffset = 0
        // An odometer over all dimensions but the innermost, which is copied as one run.
        var counter = [Int](repeating: 0, count: rank)
        while true {
            UnsafeMutableRawBufferPointer(rebasing: band[targetOffset..<targetOffset + run])
                .copyMemory(from: UnsafeRawBufferPointer(rebasing: source[sourceOffset..<sourceOffset + run]))
            var d = rank - 2
            while d >= 0 {
                counter[d] += 1
                sourceOffset += sourceStrides[d]
                targetOffset += targetStrides[d]
                if counter[d] < extent[d] { break }
                sourceOffset -= extent[d] * sourceStrides[d]
                targetOffset -= extent[d] * targetStrides[d]
                counter[d] = 0
                d -= 1
            }
            if d < 0 { return }
        }
    }
}
