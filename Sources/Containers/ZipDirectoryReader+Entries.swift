import ByteIO

extension ZipDirectoryReader {
    /// A member as the central directory or its local header describes it.
    struct Header {
        var flags: UInt16
        var method: UInt16
        var crc32: UInt32
        var compressedSize: UInt64
        var size: UInt64
        var nameBytes: [UInt8]
    }

    /// All members, each checked by itself, against its local header and against the others.
    func entries() throws -> [ZipArchive.Entry] {
        let directory = try directory()
        guard directory.count <= UInt64(limits.objectCount), directory.size <= UInt64(limits.metadataByteCount) else {
            throw ZipFormat.error("too-large", at: directory.offset, found: "\(directory.count) members in \(directory.size) bytes")
        }
        guard directory.count <= directory.size / UInt64(ZipFormat.centralSize) else {
            throw ZipFormat.error("zip-truncated", at: directory.offset, expected: "\(directory.count) members")
        }
        var reader = try reader(at: directory.offset, count: directory.size, "central directory")
        var entries: [ZipArchive.Entry] = []
        var names: Set<String> = []
        var declared: UInt64 = 0
        for _ in 0..<directory.count {
            let start = reader.fileOffset
            let entry = try entry(&reader, directoryOffset: directory.offset)
            guard names.insert(entry.isDirectory ? String(entry.name.dropLast()) : entry.name).inserted else {
                throw ZipFormat.error("zip-duplicate-member", at: start, found: "`\(entry.name)` again")
            }
            let (sum, overflow) = declared.addingReportingOverflow(entry.size)
            declared = sum
            guard !overflow, !limits.isShapeBomb(declared: entry.size, stored: entry.compressedSize),
                !limits.isShapeBomb(declared: declared, stored: UInt64(region.count))
            else {
                throw ZipFormat.error("zip-bomb", at: start, found: "\(entry.size) bytes from \(entry.compressedSize)")
            }
            entries.append(entry)
        }
        guard reader.remaining == 0 else {
            throw reader.error("zip-mismatch", expected: "the end of the central directory", found: "\(reader.remaining) more bytes")
        }
        try refuseOverlaps(entries)
        return entries
    }

    private func entry(_ reader: inout ByteReader, directoryOffset: UInt64) throws -> ZipArchive.Entry {
        let start = reader.fileOffset
        guard try reader.u32("signature") == ZipFormat.centralSignature else {
            throw ZipFormat.error("zip-bad-header", at: start, expected: "a central header")
        }
        _ = try reader.take(4, "versions")
        var header = try header(&reader)
        let counts = [try reader.u16("name size"), try reader.u16("extra size"), try reader.u16("comment size")].map(UInt64.init)
        let disk = try reader.u16("disk")
        _ = try reader.take(6, "attributes")
        var offset = UInt64(try reader.u32("offset"))
        header.nameBytes = Array(try reader.take(counts[0], "name"))
        try readExtra(Array(try reader.take(counts[1], "extra fields")), into: &header, offset: &offset, at: start)
        _ = try reader.take(counts[2], "comment")

        guard disk == 0 || disk == 0xFFFF else { throw ZipFormat.error("zip-multi-disk", at: start) }
        let name = try name(header.nameBytes, at: start)
        guard header.flags & ZipFormat.encryptedFlags == 0 else { throw ZipFormat.error("zip-encrypted", at: start, found: "`\(name)`") }
        guard let method = ZipArchive.Method(rawValue: header.method), header.flags & ZipFormat.patchFlag == 0 else {
            throw ZipFormat.error("zip-unsupported-method", at: start, expected: "stored or deflated", found: "method \(header.method)")
        }
        guard method != .stored || header.compressedSize == header.size, !name.hasSuffix("/") || header.size == 0 else {
            throw ZipFormat.error(
                "zip-mismatch", at: start, expected: "equal sizes", found: "\(header.compressedSize) and \(header.size) of `\(name)`")
        }
        let dataOffset = try checkLocalHeader(at: offset, against: header)
        let (end, overflow) = dataOffset.addingReportingOverflow(header.compressedSize)
        guard !overflow, end <= directoryOffset, let data = region.subregion(offset: dataOffset, count: header.compressedSize) else {
            throw ZipFormat.error("zip-truncated", at: start, expected: "\(header.compressedSize) bytes at byte \(dataOffset)")
        }
        return ZipArchive.Entry(
            name: name, method: method, compressedSize: header.compressedSize, size: header.size, crc32: header.crc32, data: data,
            headerOffset: offset)
    }

    /// The fields that central and local headers share, up to the sizes.
    private func header(_ reader: inout ByteReader) throws -> Header {
        let (flags, method) = (try reader.u16("flags"), try reader.u16("method"))
        _ = try reader.take(4, "time")
        return Header(
            flags: flags, method: method, crc32: try reader.u32("checksum"), compressedSize: UInt64(try reader.u32("size")),
            size: UInt64(try reader.u32("size")), nameBytes: [])
    }

    /// Puts the numbers of a zip64 field where the header holds a sentinel.
    private func readExtra(_ bytes: [UInt8], into header: inout Header, offset: inout UInt64, at start: UInt64) throws {
        var reader = ByteReader(bytes, format: "zip", origin: start)
        var hasZip64 = false
        // Fewer than four bytes are padding, which some tools leave.
        while reader.remaining >= 4 {
            let (id, count) = (try reader.u16("extra field"), try reader.u16("extra field"))
            guard UInt64(count) <= UInt64(reader.remaining) else {
                throw ZipFormat.error("zip-bad-header", at: start, expected: "extra fields inside their header")
            }
            let field = Array(try reader.take(UInt64(count), "extra field"))
            guard id == ZipFormat.zip64Extra else { continue }
            guard !hasZip64 else { throw ZipFormat.error("zip-bad-header", at: start, found: "two zip64 fields") }
            hasZip64 = true
            var wide = ByteReader(field, format: "zip", origin: start)
            do throws(FormatError) {
                if header.size == ZipFormat.sentinel { header.size = try wide.u64("size") }
                if header.compressedSize == ZipFormat.sentinel { header.compressedSize = try wide.u64("size") }
                if offset == ZipFormat.sentinel { offset = try wide.u64("offset") }
            } catch {
                throw ZipFormat.error("zip-bad-header", at: start, expected: "a zip64 field for every wide number")
            }
        }
    }

    /// UTF-8 with or without the flag: tools that leave it out write UTF-8 all the same, or ASCII.
    private func name(_ bytes: [UInt8], at start: UInt64) throws(FormatError) -> String {
        guard bytes.count <= limits.nameByteCount else {
            throw ZipFormat.error("too-large", at: start, found: "a name of \(bytes.count) bytes")
        }
        guard let name = String(validating: bytes, as: UTF8.self) else {
            throw ZipFormat.error("bad-text", at: start, expected: "a name in UTF-8")
        }
        if let objection = ZipFormat.objection(toName: name) {
            throw ZipFormat.error("zip-path-escape", at: start, expected: "a relative path", found: objection)
        }
        return name
    }

    /// Readers that trust local headers must see the same members.
    /// - Returns: where the member's bytes begin.
    private func checkLocalHeader(at offset: UInt64, against central: Header) throws -> UInt64 {
        var reader = try reader(at: offset, count: UInt64(ZipFormat.localSize), "local header")
        guard try reader.u32("signature") == ZipFormat.localSignature else {
            throw ZipFormat.error("zip-mismatch", at: offset, expected: "a local header")
        }
        _ = try reader.take(2, "version")
        var local = try header(&reader)
        let (nameCount, extraCount) = (UInt64(try reader.u16("name size")), UInt64(try reader.u16("extra size")))
        let start = offset + UInt64(ZipFormat.localSize)
        var rest = try self.reader(at: start, count: nameCount + extraCount, "local header")
        local.nameBytes = Array(try rest.take(nameCount, "name"))
        var unused: UInt64 = 0
        try readExtra(Array(try rest.take(extraCount, "extra fields")), into: &local, offset: &unused, at: start)

        let flags = ZipFormat.encryptedFlags | ZipFormat.descriptorFlag
        // With a descriptor behind the data, checksum and sizes may be left zero here.
        let isDeferred = local.flags & ZipFormat.descriptorFlag != 0
        func agrees<T: FixedWidthInteger>(_ a: T, _ b: T) -> Bool { a == b || isDeferred && a == 0 }
        guard local.nameBytes == central.nameBytes, local.method == central.method, local.flags & flags == central.flags & flags,
            agrees(local.crc32, central.crc32), agrees(local.size, central.size), agrees(local.compressedSize, central.compressedSize)
        else {
            throw ZipFormat.error("zip-mismatch", at: offset, expected: "what the central directory says of this member")
        }
        return start + nameCount + extraCount
    }

    private func refuseOverlaps(_ entries: [ZipArchive.Entry]) throws(FormatError) {
        var end: UInt64 = 0
        for entry in entries.sorted(by: { $0.headerOffset < $1.headerOffset }) {
            guard entry.headerOffset >= end else { throw ZipFormat.error("zip-overlap", at: entry.headerOffset, found: "`\(entry.name)`") }
            end = UInt64(entry.data.offset - region.offset) + entry.compressedSize
        }
    }
}
