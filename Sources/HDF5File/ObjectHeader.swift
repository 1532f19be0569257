import ByteIO

/// Finds messages in an object's header (HDF5 File Format Specification, IV.A), for what libhdf5 knows and does not tell: where the index of
/// a dataset's chunks lies.
struct ObjectHeader {
    enum Message: UInt64 {
        case dataLayout = 0x08
        case continuation = 0x10
    }

    private let region: ByteRegion
    private let addressing: HDF5Addressing
    private let path: String
    /// Bytes of all blocks so far; sound blocks don't overlap, so this bounds the work on a header that runs in circles.
    private var byteCount = 0

    init(_ region: ByteRegion, _ addressing: HDF5Addressing, path: String) {
        self.region = region
        self.addressing = addressing
        self.path = path
    }

    /// A reader at the data of the first message of a kind, in the header at `address`.
    mutating func message(_ wanted: Message, at address: UInt64) throws -> StructureReader {
        var reader = try StructureReader(region, addressing, at: address, path: path)
        // Blocks still to be looked through: where their messages begin and end. Later ones begin with a signature in version 2.
        var blocks: [(reader: StructureReader, byteCount: UInt64)] = []
        var preambleByteCount = 8
        let isOld = try reader.byte() == 1
        if isOld {
            try reader.skip(7)
            let size = try reader.integer(4)
            try reader.skip(4)
            blocks.append((reader, size))
        } else {
            reader = try StructureReader(region, addressing, at: address, path: path)
            try reader.signature("OHDR")
            guard try reader.byte() == 2 else { throw reader.corrupt(expected: "an object header of version 1 or 2", found: "another") }
            let flags = try reader.byte()
            try reader.skip((flags & 0x20 != 0 ? 16 : 0) + (flags & 0x10 != 0 ? 4 : 0))
            preambleByteCount = flags & 0x04 != 0 ? 6 : 4
            let size = try reader.integer(1 << (flags & 3))
            blocks.append((reader, size))
        }
        while let block = blocks.popLast() {
            guard block.byteCount <= UInt64(block.reader.remaining) else {
                throw block.reader.corrupt(expected: "a header inside the file", found: "one of \(block.byteCount) bytes")
            }
            byteCount += Int(block.byteCount) + 1
            guard byteCount <= 2 * region.count else {
                throw block.reader.corrupt(expected: "a header that ends", found: "one that doesn't")
            }
            var reader = block.reader
            let end = reader.position + Int(block.byteCount)
            while end - reader.position >= preambleByteCount {
                let kind = try reader.integer(isOld ? 2 : 1)
                let size = Int(try reader.integer(2))
                try reader.skip(preambleByteCount - (isOld ? 4 : 3))
                guard size <= end - reader.position else {
                    throw reader.corrupt(expected: "a message inside its header", found: "one of \(size) bytes")
                }
                if kind == wanted.rawValue { return reader }
                if kind == Message.continuation.rawValue { blocks.append(try continuation(reader, isOld: isOld)) }
                try reader.skip(size)
            }
        }
        throw reader.corrupt(expected: "a message of kind \(wanted.rawValue) in the header", found: "none")
    }

    private func continuation(_ message: StructureReader, isOld: Bool) throws -> (StructureReader, UInt64) {
        var message = message
        guard let address = try message.address() else { throw message.corrupt(expected: "a continuation", found: "none") }
        let length = try message.length()
        var reader = try StructureReader(region, addressing, at: address, path: path)
        guard !isOld else { return (reader, length) }
        // A signature before, a checksum behind.
        try reader.signature("OCHK")
        guard length >= 8 else { throw message.corrupt(expected: "a continuation of 8 bytes at least", found: "\(length)") }
        return (reader, length - 8)
    }
}
