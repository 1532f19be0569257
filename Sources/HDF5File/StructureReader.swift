import ByteIO

/// How addresses and lengths are written in a file, and where they count from.
public struct HDF5Addressing: Hashable, Sendable {
    /// Position in the region that addresses count from: behind the user block.
    var base: UInt64 = 0
    /// Bytes of an address and of a length, as the superblock says: 2, 4 or 8.
    var addressByteCount = 8
    var lengthByteCount = 8
}

/// A cursor over one structure of a file; every read is held against the region, and fails with the position.
struct StructureReader {
    let region: ByteRegion
    let addressing: HDF5Addressing
    /// Of the dataset, for errors.
    let path: String
    private let start: Int
    private(set) var position: Int

    /// - Parameter address: as in the file, relative to the addressing's base.
    init(_ region: ByteRegion, _ addressing: HDF5Addressing, at address: UInt64, path: String) throws {
        let (position, overflow) = addressing.base.addingReportingOverflow(address)
        guard !overflow, position <= UInt64(region.count) else {
            throw HDF5Error.make("out-of-bounds", "H17", expected: "a structure of \(path) in the file", found: "byte \(address)")
        }
        self.region = region
        self.addressing = addressing
        self.path = path
        self.start = Int(position)
        self.position = Int(position)
    }

    var remaining: Int { region.count - position }
    /// Bytes read since the start.
    var byteCount: Int { position - start }

    func corrupt(expected: String, found: String) -> any Error {
        HDF5Error.make("corrupt", "H14", at: UInt64(position), expected: "\(expected) of \(path)", found: found)
    }

    mutating func skip(_ count: Int) throws {
        guard count >= 0, count <= remaining else {
            throw HDF5Error.make(
                "out-of-bounds", "H17", at: UInt64(position), expected: "\(count) bytes of a structure of \(path)",
                found: "the end of the file")
        }
        position += count
    }

    /// An unsigned little-endian integer of 1 to 8 bytes.
    mutating func integer(_ count: Int) throws -> UInt64 {
        let at = position
        try skip(count)
        return region.withBytes { bytes in
            var value: UInt64 = 0
            for i in 0..<count { value |= UInt64(bytes[at + i]) << UInt64(8 * i) }
            return value
        }
    }

    mutating func byte() throws -> Int { Int(try integer(1)) }

    /// nil for the address that stands for none: all ones.
    mutating func address() throws -> UInt64? {
        let value = try integer(addressing.addressByteCount)
        return value == .max >> UInt64(64 - 8 * addressing.addressByteCount) ? nil : value
    }

    mutating func length() throws -> UInt64 { try integer(addressing.lengthByteCount) }

    mutating func signature(_ text: String) throws {
        let at = position
        try skip(4)
        guard region.withBytes({ $0[at..<at + 4].elementsEqual(text.utf8) }) else {
            throw HDF5Error.make("corrupt", "H14", at: UInt64(at), expected: "\(text) for \(path)", found: "other bytes")
        }
    }

    /// Reads the checksum over everything since `start`, or since `from`, and compares it.
    mutating func checksum(from: Int? = nil) throws {
        let range = (from ?? start)..<position
        let found = region.withBytes { jenkinsChecksum(UnsafeRawBufferPointer(rebasing: $0[range])) }
        let stored = try integer(4)
        guard stored == UInt64(found) else {
            throw HDF5Error.make(
                "checksum-mismatch", "H14", at: UInt64(range.lowerBound),
                expected: "\(String(stored, radix: 16)) over a structure of \(path)", found: String(found, radix: 16))
        }
    }
}

/// Bob Jenkins' lookup3 hash of bytes, with which HDF5 guards its newer structures.
func jenkinsChecksum(_ bytes: UnsafeRawBufferPointer) -> UInt32 {
    func rotated(_ x: UInt32, _ k: UInt32) -> UInt32 { x << k | x >> (32 - k) }
    var a = 0xDEAD_BEEF &+ UInt32(truncatingIfNeeded: bytes.count)
    var b = a
    var c = a
    var position = 0
    /// Up to four bytes at `offset` from the position, missing ones as zeros.
    func word(_ offset: Int) -> UInt32 {
        let at = position + offset
        if at + 4 <= bytes.count { return UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: at, as: UInt32.self)) }
        var value: UInt32 = 0
        for i in 0..<max(0, bytes.count - at) { value |= UInt32(bytes[at + i]) << UInt32(8 * i) }
        return value
    }
    while bytes.count - position > 12 {
        a &+= word(0)
        b &+= word(4)
        c &+= word(8)
        a &-= c; a ^= rotated(c, 4); c &+= b
        b &-= a; b ^= rotated(a, 6); a &+= c
        c &-= b; c ^= rotated(b, 8); b &+= a
        a &-= c; a ^= rotated(c, 16); c &+= b
        b &-= a; b ^= rotated(a, 19); a &+= c
        c &-= b; c ^= rotated(b, 4); b &+= a
        position += 12
    }
    guard bytes.count > position else { return c }
    a &+= word(0)
    b &+= word(4)
    c &+= word(8)
    c ^= b; c &-= rotated(b, 14)
    a ^= c; a &-= rotated(c, 11)
    b ^= a; b &-= rotated(a, 25)
    c ^= b; c &-= rotated(b, 16)
    a ^= c; a &-= rotated(c, 4)
    b ^= a; b &-= rotated(a, 14)
    c ^= b; c &-= rotated(b, 24)
    return c
}
