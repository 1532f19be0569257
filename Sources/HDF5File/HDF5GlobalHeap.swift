import ByteIO

/// The global heap: collections of byte strings that variable-length elements refer to (HDF5 File Format Specification, III.E).
///
/// libhdf5 1.10 trusts the sizes in it; damaged ones let it read past its memory or loop for ever, so the strings are fetched here.
struct HDF5GlobalHeap {
    let region: ByteRegion
    var addressing = HDF5Addressing()
    /// Collections seen so far, by address: for each object its place in the region.
    private var collections: [UInt64: [UInt16: Range<Int>]] = [:]
    /// Bytes of all collections seen so far. They don't overlap in a sound file, so this bounds the work on one that isn't.
    private var collectionByteCount: UInt64 = 0

    init(region: ByteRegion) { self.region = region }

    /// Bytes of a reference: length of the string, address of the collection, number of the object.
    var referenceByteCount: Int { 4 + addressing.addressByteCount + 4 }

    /// The string behind a reference, up to its first zero byte as every C reader sees it.
    mutating func string(_ reference: ArraySlice<UInt8>, shown: String) throws -> [UInt8] {
        let start = reference.startIndex
        let count = Int(integer(reference[start..<start + 4]))
        let address = integer(reference[(start + 4)..<(start + 4 + addressing.addressByteCount)])
        let number = integer(reference[(start + 4 + addressing.addressByteCount)...])
        // A string that was never written refers to nothing.
        guard count > 0, address > 0 else { return [] }
        guard let number = UInt16(exactly: number), let place = try collection(at: address, shown: shown)[number] else {
            throw HDF5Error.corrupt(found: "\(shown), a string that is not in the heap at byte \(address)")
        }
        guard count <= place.count else {
            throw HDF5Error.corrupt(found: "\(shown), a string of \(count) bytes", expected: "at most \(place.count) bytes in the heap")
        }
        return region.withBytes { Array($0[place.lowerBound..<place.lowerBound + count].prefix { $0 != 0 }) }
    }

    private mutating func collection(at address: UInt64, shown: String) throws -> [UInt16: Range<Int>] {
        if let known = collections[address] { return known }
        let found = try parse(address, shown: shown)
        collections[address] = found
        return found
    }

    /// Lists the objects of a collection: a header of 16 bytes, then objects of 16 bytes and their data in multiples of 8.
    private mutating func parse(_ address: UInt64, shown: String) throws -> [UInt16: Range<Int>] {
        let headerByteCount: UInt64 = 16
        let (position, overflow) = addressing.base.addingReportingOverflow(address)
        guard !overflow, let header = region.subregion(offset: position, count: headerByteCount) else {
            throw HDF5Error.make(
                "truncated", "H2", at: overflow ? nil : position, expected: "a heap of \(shown)", found: "the end of the file")
        }
        let (isHeap, size) = header.withBytes {
            ($0[0..<5].elementsEqual([0x47, 0x43, 0x4F, 0x4C, 1]), integer($0[8..<8 + addressing.lengthByteCount]))
        }
        guard isHeap, size >= headerByteCount else {
            throw HDF5Error.make("corrupt", "H14", at: position, expected: "a heap of \(shown)", found: "other bytes")
        }
        guard let whole = region.subregion(offset: position, count: size) else {
            throw HDF5Error.make("out-of-bounds", "H17", at: position, expected: "a heap of \(size) bytes", found: "the end of the file")
        }
        collectionByteCount += size
        guard collectionByteCount <= UInt64(region.count) else {
            throw HDF5Error.make("corrupt", "H14", at: position, expected: "heaps that do not overlap", found: "one inside another")
        }
        var objects: [UInt16: Range<Int>] = [:]
        let regionPosition = Int(position)
        try whole.withBytes { bytes in
            var next = 16
            while bytes.count - next >= 16 {
                let number = UInt16(truncatingIfNeeded: integer(bytes[next..<next + 2]))
                // Object 0 is the free space behind the last one.
                guard number > 0 else { return }
                let size = integer(bytes[next + 8..<next + 8 + addressing.lengthByteCount])
                guard size <= UInt64(bytes.count - next - 16) else {
                    throw HDF5Error.make(
                        "corrupt", "H14", at: position + UInt64(next), expected: "an object inside its heap", found: "one of \(size) bytes")
                }
                objects[number] = regionPosition + next + 16..<regionPosition + next + 16 + Int(size)
                next += 16 + (Int(size) + 7) / 8 * 8
            }
        }
        return objects
    }

    private func integer(_ bytes: some BidirectionalCollection<UInt8>) -> UInt64 {
        bytes.reversed().reduce(0) { $0 << 8 | UInt64($1) }
    }
}
