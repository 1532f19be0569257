import ByteIO

extension ChunkTable {
    // MARK: Fixed arrays (VI.C)

    mutating func readFixedArray(_ address: UInt64) throws {
        var reader = try structure(at: address)
        try reader.signature("FAHD")
        let version = try reader.byte()
        let client = try reader.byte()
        let entryByteCount = try reader.byte()
        let pageBits = try reader.byte()
        let count = try reader.length()
        let block = try reader.address()
        try reader.checksum()
        try self.count(reader)
        try checkEntry(entryByteCount, client: client, reader)
        guard version == 0, pageBits < 32 else { throw reader.corrupt(expected: "a fixed array", found: "another") }
        guard let block else { return }

        reader = try structure(at: block)
        try reader.signature("FADB")
        try reader.skip(2 + addressing.addressByteCount)
        // A byte at least in the file for each, before a loop believes the number.
        guard count <= UInt64(reader.remaining) else { throw reader.corrupt(expected: "an array in the file", found: "\(count) entries") }
        let pageCount = UInt64(1) << UInt64(pageBits)
        guard count > pageCount else {
            for number in 0..<count { try addEntry(number: number, from: &reader, entryByteCount: entryByteCount) }
            try reader.checksum()
            return try self.count(reader)
        }
        let pages = Int((count - 1) / pageCount) + 1
        let bitmap = try readBitmap(&reader, count: pages)
        try reader.checksum()
        for page in 0..<pages {
            let first = UInt64(page) * pageCount
            try readPage(&reader, first: first, count: min(pageCount, count - first), entryByteCount: entryByteCount, isThere: bitmap[page])
        }
        try self.count(reader)
    }

    /// Bits for the pages that were ever written, the highest of each byte first.
    private func readBitmap(_ reader: inout StructureReader, count: Int) throws -> [Bool] {
        var bits: [Bool] = []
        for _ in 0..<(count + 7) / 8 {
            let byte = try reader.byte()
            for bit in 0..<8 { bits.append(byte & (0x80 >> bit) != 0) }
        }
        return bits
    }

    /// Entries followed by their checksum; what lies in a page that was never written means nothing.
    private mutating func readPage(
        _ reader: inout StructureReader, first: UInt64, count: UInt64, entryByteCount: Int, isThere: Bool
    ) throws {
        guard isThere else {
            let (size, overflow) = Int(count).multipliedReportingOverflow(by: entryByteCount)
            guard !overflow else { throw reader.corrupt(expected: "a page in the file", found: "\(count) entries") }
            return try reader.skip(size + 4)
        }
        let start = reader.position
        for i in 0..<count { try addEntry(number: first + i, from: &reader, entryByteCount: entryByteCount) }
        try reader.checksum(from: start)
    }

    // MARK: Extensible arrays (VI.D)

    /// What the blocks of an extensible array share.
    private struct ExtensibleArray {
        var entryByteCount: Int
        /// Of all entries there can be.
        var countBits: Int
        /// Entries in the smallest data block.
        var smallestBlock: UInt64
        /// Entries in a page of a data block.
        var pageCount: UInt64
        /// Bytes of a block's position in the array.
        var offsetByteCount: Int { (countBits + 7) / 8 }

        /// Data blocks of super block `number`, and entries in each of them.
        func blocks(ofSuperBlock number: Int) -> (count: Int, entries: UInt64) {
            (1 << (number / 2), smallestBlock << UInt64((number + 1) / 2))
        }
    }

    mutating func readExtensibleArray(_ address: UInt64) throws {
        var reader = try structure(at: address)
        try reader.signature("EAHD")
        let version = try reader.byte()
        let client = try reader.byte()
        let entryByteCount = try reader.byte()
        let countBits = try reader.byte()
        let inIndexBlock = try reader.byte()
        let smallestBlock = try reader.byte()
        let smallestSuperBlock = try reader.byte()
        let pageBits = try reader.byte()
        try reader.skip(6 * addressing.lengthByteCount)
        let indexBlock = try reader.address()
        try reader.checksum()
        try self.count(reader)
        try checkEntry(entryByteCount, client: client, reader)
        func isPowerOfTwo(_ value: Int) -> Bool { value > 0 && value & (value - 1) == 0 }
        guard version == 0, countBits <= 64, pageBits < 32, isPowerOfTwo(smallestBlock), isPowerOfTwo(smallestSuperBlock) else {
            throw reader.corrupt(expected: "an extensible array", found: "another")
        }
        guard let indexBlock else { return }
        let array = ExtensibleArray(
            entryByteCount: entryByteCount, countBits: countBits, smallestBlock: UInt64(smallestBlock), pageCount: 1 << UInt64(pageBits))

        // Some entries, the data blocks of the first super blocks, and the other super blocks.
        reader = try structure(at: indexBlock)
        try reader.signature("EAIB")
        try reader.skip(2 + addressing.addressByteCount)
        var next: UInt64 = 0
        for _ in 0..<inIndexBlock {
            try addEntry(number: next, from: &reader, entryByteCount: entryByteCount)
            next += 1
        }
        let superBlocks = max(0, 1 + countBits - smallestBlock.trailingZeroBitCount)
        let direct = min(superBlocks, 2 * smallestSuperBlock.trailingZeroBitCount)
        var dataBlocks: [(address: UInt64?, first: UInt64, entries: UInt64)] = []
        var others: [(address: UInt64?, number: Int, first: UInt64)] = []
        for number in 0..<superBlocks {
            let (count, entries) = array.blocks(ofSuperBlock: number)
            if number < direct {
                for _ in 0..<count {
                    dataBlocks.append((try reader.address(), next, entries))
                    next &+= entries
                }
            } else {
                others.append((try reader.address(), number, next))
                next &+= UInt64(count) &* entries
            }
        }
        try reader.checksum()
        try self.count(reader)
        for block in dataBlocks {
            if let address = block.address { try readDataBlock(address, of: array, first: block.first, entries: block.entries, pages: nil) }
        }
        for block in others {
            if let address = block.address { try readSuperBlock(address, of: array, number: block.number, first: block.first) }
        }
    }

    private mutating func readSuperBlock(_ address: UInt64, of array: ExtensibleArray, number: Int, first: UInt64) throws {
        var reader = try structure(at: address)
        try reader.signature("EASB")
        try reader.skip(2 + addressing.addressByteCount + array.offsetByteCount)
        let (count, entries) = array.blocks(ofSuperBlock: number)
        guard count <= reader.remaining else { throw reader.corrupt(expected: "a super block in the file", found: "\(count) blocks") }
        // Large blocks are cut into pages, and whether each was written stands here.
        let pages = entries > array.pageCount ? Int(entries / array.pageCount) : 0
        var bitmaps: [[Bool]] = []
        if pages > 0 {
            for _ in 0..<count { bitmaps.append(try readBitmap(&reader, count: pages)) }
        }
        var addresses: [UInt64?] = []
        for _ in 0..<count { addresses.append(try reader.address()) }
        try reader.checksum()
        try self.count(reader)
        for (i, address) in addresses.enumerated() {
            guard let address else { continue }
            try readDataBlock(
                address, of: array, first: first &+ UInt64(i) &* entries, entries: entries, pages: pages > 0 ? bitmaps[i] : nil)
        }
    }

    private mutating func readDataBlock(
        _ address: UInt64, of array: ExtensibleArray, first: UInt64, entries: UInt64, pages: [Bool]?
    ) throws {
        var reader = try structure(at: address)
        try reader.signature("EADB")
        try reader.skip(2 + addressing.addressByteCount + array.offsetByteCount)
        guard entries <= UInt64(reader.remaining) else {
            throw reader.corrupt(expected: "a block in the file", found: "\(entries) entries")
        }
        if let pages {
            try reader.checksum()
            for page in 0..<Int(entries / array.pageCount) {
                try readPage(
                    &reader, first: first &+ UInt64(page) &* array.pageCount, count: array.pageCount, entryByteCount: array.entryByteCount,
                    isThere: pages[page])
            }
        } else {
            for i in 0..<entries { try addEntry(number: first &+ i, from: &reader, entryByteCount: array.entryByteCount) }
            try reader.checksum()
        }
        try self.count(reader)
    }
}
