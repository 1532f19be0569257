import ByteIO

/// Writes a zip archive of stored members, deterministically: one timestamp (1980-01-01), one mode (0644), zip64 only where it is needed.
public final class ZipWriter {
    private struct Member {
        var name: [UInt8]
        var flags: UInt16
        var size: UInt64
        var crc32: UInt32
        var offset: UInt64
    }

    private let output: OutputFile
    /// Where the archive begins in the output; offsets count from there.
    private let origin: UInt64
    private var members: [Member] = []
    private var names: Set<String> = []

    /// An archive that begins at the output's position. Nothing else may append to the output until `finish()`.
    public init(_ output: OutputFile) {
        self.output = output
        origin = output.position
    }

    private var position: UInt64 { output.position - origin }

    /// Adds a member whose contents `write` hands over in pieces.
    /// - Parameters:
    ///   - size: Bytes in all; more or fewer are an error.
    ///   - alignment: The contents begin at a multiple of it, by an extra field before them; 1 for no such field.
    /// - Throws: `UnsupportedError` for a name that isn't a relative path of plain components, or that is there already.
    public func addMember(
        _ name: String, size: UInt64, alignment: Int = 1, write: ((UnsafeRawBufferPointer) throws -> Void) throws -> Void
    ) throws {
        if let objection = ZipFormat.objection(toName: name) { throw UnsupportedError("a zip member named \(objection)") }
        guard names.insert(name).inserted else { throw UnsupportedError("two zip members named `\(name)`") }
        guard name.utf8.count <= 0xFFFF else { throw UnsupportedError("a zip member with a name of \(name.utf8.count) bytes") }
        var member = Member(
            name: Array(name.utf8), flags: name.utf8.allSatisfy { $0 < 0x80 } ? 0 : ZipFormat.utf8Flag, size: size, crc32: 0,
            offset: position)
        let headerOffset = output.position
        try output.append(localHeader(member, alignment: alignment))
        var crc = CRC32()
        var written: UInt64 = 0
        try write { piece in
            crc.update(piece)
            written += UInt64(piece.count)
            guard written <= size else { throw FileError(.output, path: output.targetPath, message: "`\(name)` grew while it was written") }
            try output.append(piece)
        }
        guard written == size else { throw FileError(.output, path: output.targetPath, message: "`\(name)` shrank while it was written") }
        member.crc32 = crc.value
        // The header stands before the contents, and its checksum is known only after them.
        try withUnsafeBytes(of: crc.value.littleEndian) { try output.write($0, at: headerOffset + 14) }
        members.append(member)
    }

    /// Adds a member of bytes in memory.
    public func addMember(_ name: String, bytes: [UInt8], alignment: Int = 1) throws {
        try addMember(name, size: UInt64(bytes.count), alignment: alignment) { append in try bytes.withUnsafeBytes(append) }
    }

    /// Adds a member of bytes from a file or from memory, in bounded memory.
    public func addMember(_ name: String, contentsOf region: ByteRegion, alignment: Int = 1) throws {
        try addMember(name, size: UInt64(region.count), alignment: alignment) { append in
            try ZipArchive.forEachStoredPiece(of: region, append)
        }
    }

    /// Writes the central directory; the archive is complete then.
    public func finish() throws {
        let start = position
        var writer = ByteWriter()
        for member in members { appendCentralHeader(member, to: &writer) }
        let size = UInt64(writer.bytes.count)
        let count = UInt64(members.count)
        if count >= ZipFormat.countSentinel || size >= ZipFormat.sentinel || start >= ZipFormat.sentinel {
            let end64 = start + size
            writer.append(ZipFormat.end64Signature)
            writer.append(UInt64(ZipFormat.end64Size - 12))
            writer.append(UInt16(45))
            writer.append(UInt16(45))
            writer.append(UInt64(0))
            for number in [count, count, size, start] { writer.append(number) }
            writer.append(ZipFormat.locatorSignature)
            writer.append(UInt32(0))
            writer.append(end64)
            writer.append(UInt32(1))
        }
        writer.append(ZipFormat.endSignature)
        writer.append(UInt32(0))
        for _ in 0..<2 { writer.append(UInt16(min(count, ZipFormat.countSentinel))) }
        writer.append(UInt32(min(size, ZipFormat.sentinel)))
        writer.append(UInt32(min(start, ZipFormat.sentinel)))
        writer.append(UInt16(0))
        try output.append(writer.bytes)
    }

    private func localHeader(_ member: Member, alignment: Int) -> [UInt8] {
        let isWide = member.size >= ZipFormat.sentinel
        var extra = ByteWriter()
        if isWide {
            extra.append(ZipFormat.zip64Extra)
            extra.append(UInt16(16))
            extra.append(member.size)
            extra.append(member.size)
        }
        let end = output.position + UInt64(ZipFormat.localSize + member.name.count + extra.bytes.count)
        if alignment > 1, end % UInt64(alignment) != 0 {
            // The field itself takes six bytes: id, size, alignment.
            let padding = (UInt64(alignment) - (end + 6) % UInt64(alignment)) % UInt64(alignment)
            extra.append(ZipFormat.alignmentExtra)
            extra.append(UInt16(2 + padding))
            extra.append(UInt16(truncatingIfNeeded: alignment))
            extra.append(repeatElement(0, count: Int(padding)))
        }
        var writer = ByteWriter()
        writer.append(ZipFormat.localSignature)
        writer.append(UInt16(isWide ? 45 : 20))
        appendShared(member, isWide: isWide, to: &writer)
        writer.append(UInt16(extra.bytes.count))
        writer.append(member.name)
        writer.append(extra.bytes)
        return writer.bytes
    }

    /// From the flags to the name's size: central and local headers have these in common.
    private func appendShared(_ member: Member, isWide: Bool, to writer: inout ByteWriter) {
        writer.append(member.flags)
        writer.append(ZipArchive.Method.stored.rawValue)
        // 00:00:00 on 1980-01-01, the earliest that the format can say.
        writer.append(UInt16(0))
        writer.append(UInt16(1 << 5 | 1))
        writer.append(member.crc32)
        for _ in 0..<2 { writer.append(UInt32(isWide ? ZipFormat.sentinel : member.size)) }
        writer.append(UInt16(member.name.count))
    }

    private func appendCentralHeader(_ member: Member, to writer: inout ByteWriter) {
        var extra = ByteWriter()
        let isWide = member.size >= ZipFormat.sentinel
        let isFar = member.offset >= ZipFormat.sentinel
        if isWide || isFar {
            extra.append(ZipFormat.zip64Extra)
            extra.append(UInt16((isWide ? 16 : 0) + (isFar ? 8 : 0)))
            if isWide { for _ in 0..<2 { extra.append(member.size) } }
            if isFar { extra.append(member.offset) }
        }
        writer.append(ZipFormat.centralSignature)
        let version = UInt16(isWide || isFar ? 45 : 20)
        // Made on Unix: tools take names of other systems for their old character sets, whatever the flag says.
        writer.append(version | 3 << 8)
        writer.append(version)
        appendShared(member, isWide: isWide, to: &writer)
        writer.append(UInt16(extra.bytes.count))
        // No comment, disk 0, no internal attributes.
        writer.append(UInt16(0))
        writer.append(UInt16(0))
        writer.append(UInt16(0))
        writer.append(UInt32(member.name.last == UInt8(ascii: "/") ? 0o40755 : 0o100644) << 16)
        writer.append(UInt32(min(member.offset, ZipFormat.sentinel)))
        writer.append(member.name)
        writer.append(extra.bytes)
    }
}
