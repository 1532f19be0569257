import ByteIO

/// The places of a dataset's chunks, read from the file's own index in time proportional to its size.
///
/// libhdf5's look-up is linear in the number of chunks for each of them, and leaves out the user block; and it would run on a stranger's
/// bytes in our process. HDF5 File Format Specification, III.A and VI.
struct ChunkTable {
    private(set) var chunks: [HDF5Index.Chunk] = []

    let region: ByteRegion
    let addressing: HDF5Addressing
    let path: String
    let grid: ChunkGrid
    /// Bytes of a chunk that went through no filter.
    let byteCount: Int
    let isFiltered: Bool
    let skipsFiltersAtEdges: Bool
    /// Row-major steps between chunks along each dimension, in a grid that covers the dataset at its largest.
    let maximumSteps: [UInt64]
    /// The dimension along which the dataset grows without end; nil if there is none.
    let endlessDimension: Int?
    /// Bytes of all structures so far. They don't overlap in a sound file, so this bounds the work on one that isn't.
    private(set) var structureByteCount = 0
    private var seen: Set<UInt64> = []
    var structureCount: Int { seen.count }

    init(
        _ chunks: HDF5Index.Chunks, grid: ChunkGrid, elementSize: Int, in region: ByteRegion, addressing: HDF5Addressing, path: String
    ) throws {
        self.region = region
        self.addressing = addressing
        self.path = path
        self.grid = grid
        byteCount = chunks.shape.reduce(elementSize, *)
        isFiltered = !chunks.filters.isEmpty
        skipsFiltersAtEdges = chunks.skipsFiltersAtEdges
        // Counts of chunks at the dataset's largest; the endless dimension comes first in the order of an extensible array.
        endlessDimension = chunks.maximumShape.firstIndex(of: .max)
        let counts = zip(chunks.maximumShape, chunks.shape).map { $0 == .max ? 1 : ($0 == 0 ? 0 : ($0 - 1) / UInt64($1) + 1) }
        var steps = [UInt64](repeating: 0, count: counts.count)
        var step: UInt64 = 1
        for d in counts.indices.reversed() where d != endlessDimension {
            steps[d] = step
            let (next, overflow) = step.multipliedReportingOverflow(by: counts[d])
            guard !overflow else { throw HDF5Error.shapeBomb(path, found: "chunks past counting") }
            step = next
        }
        if let endlessDimension { steps[endlessDimension] = step }
        maximumSteps = steps

        switch chunks.location {
        case .nowhere: break
        case .single(let address, let size, let mask):
            guard grid.count == 1 else { throw HDF5Error.corrupt(found: "\(path), of one chunk and \(grid.count) places") }
            try add(index: 0, address: address, byteCount: size ?? UInt64(byteCount), mask: mask)
        case .implicit(let address): try addImplicit(address)
        case .fixedArray(let address): try readFixedArray(address)
        case .extensibleArray(let address): try readExtensibleArray(address)
        case .tree1(let address): try readTree1(address, isRoot: true, level: nil)
        case .tree2(let address): try readTree2(address)
        }
        if Set(self.chunks.map(\.index)).count != self.chunks.count { throw HDF5Error.corrupt(found: "\(path) with a chunk stored twice") }
    }

    // MARK: For the readers of each kind of index

    /// A reader at a structure that has not been read before.
    mutating func structure(at address: UInt64) throws -> StructureReader {
        guard seen.insert(address).inserted else {
            throw HDF5Error.make("corrupt", "H14", at: address, expected: "an index of \(path) that is a tree", found: "a circle")
        }
        return try StructureReader(region, addressing, at: address, path: path)
    }

    mutating func count(_ reader: StructureReader) throws {
        structureByteCount += reader.byteCount
        guard structureByteCount <= region.count else {
            throw reader.corrupt(expected: "an index without overlaps", found: "one larger than the file")
        }
    }

    /// Notes a chunk at a place in the grid.
    mutating func add(index: Int, address: UInt64, byteCount: UInt64, mask: UInt32) throws {
        let (offset, overflow) = addressing.base.addingReportingOverflow(address)
        guard !overflow, region.subregion(offset: offset, count: byteCount) != nil else {
            throw HDF5Error.make(
                "out-of-bounds", "H17", at: overflow ? nil : offset, expected: "\(byteCount) bytes of a chunk of \(path)",
                found: "a file of \(region.count) bytes")
        }
        let isRaw = skipsFiltersAtEdges && grid.reachesPastEdge(index)
        chunks.append(.init(index: index, offset: offset, byteCount: byteCount, filterMask: isRaw ? .max : mask))
    }

    /// Notes a chunk by its number in an array over the largest grid; those outside the dataset as it is now are left out.
    mutating func add(number: UInt64, address: UInt64, byteCount: UInt64, mask: UInt32) throws {
        guard let index = index(ofNumber: number) else { return }
        try add(index: index, address: address, byteCount: byteCount, mask: mask)
    }

    /// An element of a fixed or extensible array: an address, and where chunks are filtered their size and mask.
    /// - Parameter entryByteCount: as the array's header says.
    mutating func addEntry(number: UInt64, from reader: inout StructureReader, entryByteCount: Int) throws {
        let address = try reader.address()
        guard isFiltered else {
            if let address { try add(number: number, address: address, byteCount: UInt64(byteCount), mask: 0) }
            return
        }
        let size = try reader.integer(entryByteCount - addressing.addressByteCount - 4)
        let mask = UInt32(truncatingIfNeeded: try reader.integer(4))
        if let address { try add(number: number, address: address, byteCount: size, mask: mask) }
    }

    /// The size of such an element must be what its parts need.
    func checkEntry(_ entryByteCount: Int, client: Int, _ reader: StructureReader) throws {
        let sizeByteCount = entryByteCount - addressing.addressByteCount - 4
        guard client == (isFiltered ? 1 : 0), isFiltered ? (1...8).contains(sizeByteCount) : entryByteCount == addressing.addressByteCount
        else { throw reader.corrupt(expected: "entries of the chunks", found: "entries of \(entryByteCount) bytes of kind \(client)") }
    }

    private mutating func addImplicit(_ address: UInt64) throws {
        guard !isFiltered else { throw HDF5Error.corrupt(found: "\(path), filtered and without an index of its chunks") }
        // The file holds all of them, which bounds their number.
        for index in 0..<grid.count {
            let number = zip(grid.position(ofIndex: index), maximumSteps).reduce(UInt64(0)) { $0 &+ UInt64($1.0) &* $1.1 }
            let (distance, overflow) = number.multipliedReportingOverflow(by: UInt64(byteCount))
            let (place, overflow2) = address.addingReportingOverflow(distance)
            guard !overflow, !overflow2 else { throw HDF5Error.shapeBomb(path, found: "chunks past counting") }
            try add(index: index, address: place, byteCount: UInt64(byteCount), mask: 0)
        }
    }

    private func index(ofNumber number: UInt64) -> Int? {
        var rest = number
        var index = 0
        var position = [Int](repeating: 0, count: maximumSteps.count)
        // The largest steps first: the endless dimension, then the others in order.
        let order = (endlessDimension.map { [$0] } ?? []) + maximumSteps.indices.filter { $0 != endlessDimension }
        for d in order {
            guard maximumSteps[d] > 0, let along = Int(exactly: rest / maximumSteps[d]), along < grid.counts[d] else { return nil }
            position[d] = along
            rest %= maximumSteps[d]
        }
        for d in position.indices { index = index * grid.counts[d] + position[d] }
        return index
    }
}
