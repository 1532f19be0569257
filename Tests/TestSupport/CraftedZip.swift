import ByteIO

/// A zip archive put together field by field, so that tests can break any one of them.
public struct CraftedZip: Sendable {
    public struct Member: Sendable {
        public var name: [UInt8]
        /// The bytes as they lie in the archive.
        public var data: [UInt8]
        public var flags: UInt16 = 0
        public var method: UInt16 = 0
        public var crc32: UInt32
        public var compressedSize: UInt32
        public var size: UInt32
        public var disk: UInt16 = 0
        public var extra: [UInt8] = []
        /// What the local header says instead; nil for the same as the central directory.
        public var localName: [UInt8]?
        public var localFlags: UInt16?
        public var localMethod: UInt16?
        public var localCRC32: UInt32?
        public var localSize: UInt32?
        public var localExtra: [UInt8] = []
        public var localSignature: UInt32 = 0x0403_4B50
        public var signature: UInt32 = 0x0201_4B50
        /// What the central directory says of the local header's place.
        public var offset: UInt32?

        /// A stored member.
        public init(_ name: String, _ contents: [UInt8] = []) {
            self.name = Array(name.utf8)
            data = contents
            crc32 = crc32Checksum(contents)
            compressedSize = UInt32(contents.count)
            size = UInt32(contents.count)
        }

        /// A member that counts as deflated: its contents in blocks of deflate's stored kind.
        public static func deflated(_ name: String, _ contents: [UInt8]) -> Member {
            var member = Member(name, contents)
            member.data = storedDeflate(contents)
            member.compressedSize = UInt32(member.data.count)
            member.method = 8
            return member
        }
    }

    public var members: [Member]
    public var comment: [UInt8] = []
    public var beforeDirectory: [UInt8] = []
    public var afterDirectory: [UInt8] = []
    /// What the end record says instead of the truth.
    public var count: UInt16?
    public var countHere: UInt16?
    public var disk: UInt16 = 0
    public var directorySize: UInt32?
    public var directoryOffset: UInt32?

    public init(_ members: [Member]) { self.members = members }

    public var bytes: [UInt8] {
        var writer = ByteWriter()
        var offsets: [UInt32] = []
        for member in members {
            offsets.append(UInt32(writer.bytes.count))
            writer.append(member.localSignature)
            writer.append(UInt16(20))
            writer.append(member.localFlags ?? member.flags)
            writer.append(member.localMethod ?? member.method)
            writer.append(UInt32(0x21_0000))
            writer.append(member.localCRC32 ?? member.crc32)
            writer.append(member.localSize ?? member.compressedSize)
            writer.append(member.localSize ?? member.size)
            let name = member.localName ?? member.name
            writer.append(UInt16(name.count))
            writer.append(UInt16(member.localExtra.count))
            writer.append(name)
            writer.append(member.localExtra)
            writer.append(member.data)
        }
        writer.append(beforeDirectory)
        let start = UInt32(writer.bytes.count)
        for (member, offset) in zip(members, offsets) {
            writer.append(member.signature)
            writer.append(UInt32(0x0014_0314))
            writer.append(member.flags)
            writer.append(member.method)
            writer.append(UInt32(0x21_0000))
            writer.append(member.crc32)
            writer.append(member.compressedSize)
            writer.append(member.size)
            writer.append(UInt16(member.name.count))
            writer.append(UInt16(member.extra.count))
            writer.append(UInt16(0))
            writer.append(member.disk)
            writer.append(UInt16(0))
            writer.append(UInt32(member.name.last == 0x2F ? 0o40755 : 0o100644) << 16)
            writer.append(member.offset ?? offset)
            writer.append(member.name)
            writer.append(member.extra)
        }
        let size = UInt32(writer.bytes.count) - start
        writer.append(afterDirectory)
        writer.append(UInt32(0x0605_4B50))
        writer.append(disk)
        writer.append(UInt16(0))
        writer.append(countHere ?? count ?? UInt16(members.count))
        writer.append(count ?? UInt16(members.count))
        writer.append(directorySize ?? size)
        writer.append(directoryOffset ?? start)
        writer.append(UInt16(comment.count))
        writer.append(comment)
        return writer.bytes
    }
}

/// zip's checksum, computed bit by bit: independent of the library under test.
public func crc32Checksum(_ bytes: [UInt8]) -> UInt32 {
    var crc: UInt32 = 0xFFFF_FFFF
    for byte in bytes {
        crc ^= UInt32(byte)
        for _ in 0..<8 { crc = crc >> 1 ^ (crc & 1 == 0 ? 0 : 0xEDB8_8320) }
    }
    return ~crc
}

/// Deflate without compression: blocks of up to 65,535 bytes as they are.
public func storedDeflate(_ bytes: [UInt8]) -> [UInt8] {
    var writer = ByteWriter()
    var rest = bytes[...]
    repeat {
        let block = rest.prefix(0xFFFF)
        rest = rest.dropFirst(block.count)
        writer.append(UInt8(rest.isEmpty ? 1 : 0))
        writer.append(UInt16(block.count))
        writer.append(~UInt16(block.count))
        writer.append(block)
    } while !rest.isEmpty
    return writer.bytes
}
