import ByteIO
import Digests

/// The last 64 bytes of a file: where the index is, and checksums (SPEC.md, "Footer").
struct Footer: Equatable, Sendable {
    var indexOffset: UInt64
    /// Bytes of the index in the file.
    var storedLength: UInt64
    /// Bytes of the index when decoded; equal to `storedLength` if it isn't compressed.
    var indexLength: UInt64
    var indexChecksum: UInt64
    var minorVersion = IngotLayout.minorVersion

    func encoded() -> [UInt8] {
        var writer = ByteWriter()
        writer.append(indexOffset)
        writer.append(storedLength)
        writer.append(indexLength)
        writer.append(indexChecksum)
        writer.append(indexOffset + storedLength + UInt64(IngotLayout.footerSize))
        writer.append(IngotLayout.header(minorVersion: minorVersion).suffix(8))
        writer.append(xxh3(writer.bytes))
        writer.append(IngotLayout.endMagic)
        return writer.bytes
    }

    /// Reads header and footer and checks all that they say of the file (I1 to I7).
    /// - Throws: `FormatError`; `FileError` if the file can't be read.
    init(of input: ByteRegion, limits: Limits) throws {
        let length = UInt64(input.count)
        let headerBytes = try input.bytes(0..<min(IngotLayout.headerSize, input.count))
        guard headerBytes.starts(with: IngotLayout.magic) else {
            throw ingotError("bad-magic", "I1", at: 0, expected: "the magic bytes of an .ingot file", found: "others")
        }
        guard input.count >= IngotLayout.headerSize + IngotLayout.footerSize else {
            throw ingotError("truncated", "I2", at: length, expected: "at least 80 bytes", found: "\(length)")
        }
        var header = ByteReader(headerBytes, format: "ingot")
        _ = try header.take(8, "magic")
        let major = try header.u16("major version")
        let minor = try header.u16("minor version")
        guard major == IngotLayout.majorVersion else {
            throw ingotError(
                "unsupported-version", "I3", at: 8, expected: "version \(IngotLayout.majorVersion)", found: "version \(major).\(minor)")
        }
        guard try header.u32("reserved bytes") == 0 else {
            throw ingotError("bad-header", "I4", at: 12, expected: "reserved bytes of 0", found: "others")
        }

        let start = length - UInt64(IngotLayout.footerSize)
        let bytes = try input.bytes(input.count - IngotLayout.footerSize..<input.count)
        guard bytes.suffix(8).elementsEqual(IngotLayout.endMagic) else {
            throw ingotError(
                "truncated", "I2", at: length - 8, expected: "the end magic", found: "other bytes: the file may have been cut off")
        }
        var reader = ByteReader(bytes, format: "ingot", origin: start)
        indexOffset = try reader.u64("index offset")
        storedLength = try reader.u64("index stored length")
        indexLength = try reader.u64("index length")
        indexChecksum = try reader.u64("index XXH3")
        let fileLength = try reader.u64("file length")
        let version = try reader.take(8, "version")
        let checksum = try reader.u64("footer XXH3")
        minorVersion = minor

        let actual = bytes.withUnsafeBytes { xxh3(UnsafeRawBufferPointer(rebasing: $0[0..<48])) }
        guard checksum == actual else {
            throw ingotError(
                "checksum-mismatch", "I5", at: start, expected: "XXH3 \(hexadecimal64(checksum)) of the footer",
                found: hexadecimal64(actual))
        }
        guard fileLength == length else {
            throw ingotError("truncated", "I2", at: start + 32, expected: "\(fileLength) bytes", found: "\(length)")
        }
        guard version.elementsEqual(headerBytes.suffix(8)) else {
            throw ingotError("bad-header", "I4", at: 8, expected: "the version that the footer repeats", found: "another")
        }
        let (end, overflow) = indexOffset.addingReportingOverflow(storedLength)
        guard indexOffset >= UInt64(IngotLayout.headerSize), !overflow, end == start else {
            throw ingotError(
                "bad-index-position", "I6", at: start, expected: "an index between header and footer that ends at byte \(start)",
                found: "\(storedLength) bytes at byte \(indexOffset)")
        }
        guard Self.isBelievable(indexLength: indexLength, storedLength: storedLength, limits: limits) else {
            throw ingotError(
                "index-too-large", "I7", at: start + 16, expected: "a length that \(storedLength) stored bytes can have",
                found: "\(indexLength) bytes")
        }
    }

    init(indexOffset: UInt64, storedLength: UInt64, indexLength: UInt64, indexChecksum: UInt64) {
        self.indexOffset = indexOffset
        self.storedLength = storedLength
        self.indexLength = indexLength
        self.indexChecksum = indexChecksum
    }

    /// Rule I7, also the writer's: an index that shrinks more is stored as it is.
    static func isBelievable(indexLength: UInt64, storedLength: UInt64, limits: Limits) -> Bool {
        guard indexLength >= storedLength, indexLength <= UInt64(limits.metadataByteCount) else { return false }
        let (bound, overflow) = storedLength.multipliedReportingOverflow(by: IngotLayout.indexExpansion)
        return indexLength <= IngotLayout.freeIndexLength || overflow || indexLength <= bound
    }
}
