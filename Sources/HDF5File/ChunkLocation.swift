import ByteIO

extension HDF5Index {
    /// Where the places of a dataset's chunks are written down. Addresses are as in the file, behind the user block.
    public enum ChunkLocation: Hashable, Sendable {
        /// No chunk was ever written.
        case nowhere
        /// The one chunk there is; its stored size where it went through filters.
        case single(address: UInt64, byteCount: UInt64?, filterMask: UInt32)
        /// All chunks side by side in row-major order, unfiltered.
        case implicit(address: UInt64)
        /// Of datasets that can't grow.
        case fixedArray(address: UInt64)
        /// Of datasets that grow along one dimension.
        case extensibleArray(address: UInt64)
        /// Of all datasets before version 1.10 of the library.
        case tree1(address: UInt64)
        /// Of datasets that grow along several dimensions.
        case tree2(address: UInt64)
    }
}

/// What a dataset's layout message says of its chunks (HDF5 File Format Specification, IV.A.2.i).
struct ChunkLayout {
    /// Shape of a chunk, in elements.
    var shape: [UInt64]
    var elementSize: UInt64
    var location: HDF5Index.ChunkLocation
    /// Chunks that reach past the dataset's edge are stored as they are.
    var skipsFiltersAtEdges = false

    /// - Throws: `FormatError` if the message is none of a chunked dataset.
    init(_ message: StructureReader) throws {
        var reader = message
        let version = try reader.byte()
        switch version {
        case 1, 2:
            let rank = try reader.byte()
            let layoutClass = try reader.byte()
            try reader.skip(5)
            try Self.check(layoutClass, reader)
            let address = try reader.address()
            let sizes = try Self.sizes(&reader, rank: rank, width: 4)
            (shape, elementSize) = (sizes.dropLast(), sizes.last ?? 0)
            location = address.map { .tree1(address: $0) } ?? .nowhere
        case 3:
            try Self.check(try reader.byte(), reader)
            let rank = try reader.byte()
            let address = try reader.address()
            let sizes = try Self.sizes(&reader, rank: rank, width: 4)
            (shape, elementSize) = (sizes.dropLast(), sizes.last ?? 0)
            location = address.map { .tree1(address: $0) } ?? .nowhere
        case 4:
            try Self.check(try reader.byte(), reader)
            let flags = try reader.byte()
            let rank = try reader.byte()
            let width = try reader.byte()
            guard (1...8).contains(width) else { throw reader.corrupt(expected: "sizes of 1 to 8 bytes", found: "\(width)") }
            let sizes = try Self.sizes(&reader, rank: rank, width: width)
            (shape, elementSize) = (sizes.dropLast(), sizes.last ?? 0)
            skipsFiltersAtEdges = flags & 1 != 0
            location = try Self.location(&reader, isFilteredSingle: flags & 2 != 0)
        default: throw reader.corrupt(expected: "a layout of version 1 to 4", found: "\(version)")
        }
    }

    private static func check(_ layoutClass: Int, _ reader: StructureReader) throws {
        guard layoutClass == 2 else { throw reader.corrupt(expected: "a layout in chunks", found: "class \(layoutClass)") }
    }

    /// As many sizes as the dataset has dimensions, and the element's.
    private static func sizes(_ reader: inout StructureReader, rank: Int, width: Int) throws -> [UInt64] {
        guard (2...33).contains(rank) else { throw reader.corrupt(expected: "chunks of 1 to 32 dimensions", found: "\(rank - 1)") }
        var sizes: [UInt64] = []
        for _ in 0..<rank { sizes.append(try reader.integer(width)) }
        return sizes
    }

    private static func location(_ reader: inout StructureReader, isFilteredSingle: Bool) throws -> HDF5Index.ChunkLocation {
        let kind = try reader.byte()
        switch kind {
        case 1:
            let byteCount = isFilteredSingle ? try reader.length() : nil
            let mask = isFilteredSingle ? UInt32(truncatingIfNeeded: try reader.integer(4)) : 0
            return try reader.address().map { .single(address: $0, byteCount: byteCount, filterMask: mask) } ?? .nowhere
        case 2: return try reader.address().map { .implicit(address: $0) } ?? .nowhere
        case 3:
            try reader.skip(1)
            return try reader.address().map { .fixedArray(address: $0) } ?? .nowhere
        case 4:
            try reader.skip(5)
            return try reader.address().map { .extensibleArray(address: $0) } ?? .nowhere
        case 5:
            try reader.skip(6)
            return try reader.address().map { .tree2(address: $0) } ?? .nowhere
        default: throw reader.corrupt(expected: "an index of chunks of kind 1 to 5", found: "\(kind)")
        }
    }
}
