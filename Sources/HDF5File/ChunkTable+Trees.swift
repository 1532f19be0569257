import ByteIO

extension ChunkTable {
    /// A node of a version 1 B-tree and all below it (III.A.1).
    mutating func readTree1(_ address: UInt64, isRoot: Bool, level expected: Int?) throws {
        var reader = try structure(at: address)
        try reader.signature("TREE")
        let kind = try reader.byte()
        let level = try reader.byte()
        let count = Int(try reader.integer(2))
        guard kind == 1, expected == nil || level == expected else {
            throw reader.corrupt(expected: "a node of level \(expected ?? 0)", found: "kind \(kind), level \(level)")
        }
        // The siblings.
        try reader.skip(2 * addressing.addressByteCount)
        var children: [UInt64] = []
        for _ in 0..<count {
            let size = try reader.integer(4)
            let mask = UInt32(truncatingIfNeeded: try reader.integer(4))
            var corner: [UInt64] = []
            for _ in grid.shape.indices { corner.append(try reader.integer(8)) }
            // A position inside the element, always zero.
            try reader.skip(8)
            guard let child = try reader.address() else { throw reader.corrupt(expected: "a chunk", found: "none") }
            if level > 0 {
                children.append(child)
            } else if let index = grid.index(ofCorner: corner) {
                try add(index: index, address: child, byteCount: size, mask: mask)
            } else if !zip(corner, grid.chunk).allSatisfy({ $0 % UInt64($1) == 0 }) {
                throw reader.corrupt(expected: "chunks on the grid", found: "one at \(corner)")
            }
        }
        try self.count(reader)
        // At most 255 levels, since they go down by one.
        for child in children { try readTree1(child, isRoot: false, level: level - 1) }
    }

    /// What the nodes of a version 2 B-tree share (III.A.2).
    private struct Tree2 {
        var kind: Int
        var recordByteCount: Int
        /// Bytes of the number of records in a child, and of the number of all records below it, for children at each level.
        var countByteCounts: [Int]
        var totalByteCounts: [Int]
    }

    mutating func readTree2(_ address: UInt64) throws {
        var reader = try structure(at: address)
        try reader.signature("BTHD")
        let version = try reader.byte()
        let kind = try reader.byte()
        let nodeByteCount = Int(try reader.integer(4))
        let recordByteCount = Int(try reader.integer(2))
        let depth = Int(try reader.integer(2))
        try reader.skip(2)
        let root = try reader.address()
        let count = Int(try reader.integer(2))
        try reader.skip(addressing.lengthByteCount)
        try reader.checksum()
        try self.count(reader)
        let positionByteCount = addressing.addressByteCount + 8 * grid.shape.count
        let isSound = isFiltered ? (5...12).contains(recordByteCount - positionByteCount) : recordByteCount == positionByteCount
        guard version == 0, kind == (isFiltered ? 11 : 10), isSound, depth < 64, nodeByteCount >= 10 + recordByteCount else {
            throw reader.corrupt(expected: "a tree of chunks", found: "kind \(kind), records of \(recordByteCount) bytes, depth \(depth)")
        }
        guard let root, count > 0 else { return }

        // How much a node of each level can hold decides how its counts are written.
        var tree = Tree2(kind: kind, recordByteCount: recordByteCount, countByteCounts: [], totalByteCounts: [])
        var total = (nodeByteCount - 10) / recordByteCount
        let countByteCount = Self.byteCount(of: total)
        var totalByteCount = 0
        for _ in 0..<depth {
            tree.countByteCounts.append(countByteCount)
            tree.totalByteCounts.append(totalByteCount)
            let pointerByteCount = addressing.addressByteCount + countByteCount + totalByteCount
            let most = (nodeByteCount - 10 - pointerByteCount) / (recordByteCount + pointerByteCount)
            let (product, overflow) = (most + 1).multipliedReportingOverflow(by: total)
            guard most > 0, !overflow else { throw reader.corrupt(expected: "nodes with room for records", found: "none") }
            total = product &+ most
            totalByteCount = Self.byteCount(of: total)
        }
        try readNode2(root, of: tree, level: depth, count: count)
    }

    /// Bytes of the numbers up to a limit.
    private static func byteCount(of limit: Int) -> Int { limit <= 0 ? 1 : (Int.bitWidth - 1 - limit.leadingZeroBitCount) / 8 + 1 }

    private mutating func readNode2(_ address: UInt64, of tree: Tree2, level: Int, count: Int) throws {
        var reader = try structure(at: address)
        try reader.signature(level == 0 ? "BTLF" : "BTIN")
        guard try reader.byte() == 0, try reader.byte() == tree.kind else {
            throw reader.corrupt(expected: "a node of the tree", found: "another")
        }
        for _ in 0..<count { try readRecord2(&reader, byteCount: tree.recordByteCount) }
        var children: [(address: UInt64, count: Int)] = []
        if level > 0 {
            for _ in 0...count {
                guard let child = try reader.address() else { throw reader.corrupt(expected: "a node", found: "none") }
                children.append((child, Int(try reader.integer(tree.countByteCounts[level - 1]))))
                try reader.skip(tree.totalByteCounts[level - 1])
            }
        }
        try reader.checksum()
        try self.count(reader)
        for child in children { try readNode2(child.address, of: tree, level: level - 1, count: child.count) }
    }

    private mutating func readRecord2(_ reader: inout StructureReader, byteCount recordByteCount: Int) throws {
        guard let address = try reader.address() else { throw reader.corrupt(expected: "a chunk", found: "none") }
        var size = UInt64(byteCount)
        var mask: UInt32 = 0
        if isFiltered {
            size = try reader.integer(recordByteCount - addressing.addressByteCount - 4 - 8 * grid.shape.count)
            mask = UInt32(truncatingIfNeeded: try reader.integer(4))
        }
        var index: Int? = 0
        for count in grid.counts {
            // In units of chunks.
            let along = try reader.integer(8)
            index = along < UInt64(count) ? index.map { $0 * count + Int(along) } : nil
        }
        if let index { try add(index: index, address: address, byteCount: size, mask: mask) }
    }
}
