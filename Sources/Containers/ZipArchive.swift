import ByteIO

/// A zip archive, read strictly: whatever two readers could understand in two ways is refused.
///
/// Every member is checked against its local header when the archive is opened; sizes and checksums of contents when they are read.
public struct ZipArchive: Sendable {
    public enum Method: UInt16, Hashable, Sendable {
        case stored = 0
        case deflated = 8
    }

    public struct Entry: Sendable {
        /// A relative path of plain components; a directory's ends in a slash.
        public let name: String
        public let method: Method
        public let compressedSize: UInt64
        /// Size of the contents, as declared.
        public let size: UInt64
        public let crc32: UInt32
        /// The member's bytes as they lie in the archive.
        let data: ByteRegion
        /// Where its local header begins.
        let headerOffset: UInt64

        public var isDirectory: Bool { name.hasSuffix("/") }
        /// The contents in place, for a member that isn't compressed; their checksum is not verified.
        public var storedRegion: ByteRegion? { method == .stored ? data : nil }
    }

    /// Members in the order of the central directory.
    public let entries: [Entry]

    /// Reads the central directory and every local header.
    /// - Throws: `FormatError` of format `zip`: `not-a-zip`, `zip-truncated`, `zip-bad-header`, `zip-multi-disk`, `zip-encrypted`,
    ///   `zip-unsupported-method`, `zip-path-escape`, `zip-duplicate-member`, `zip-bomb`, `zip-overlap`, `zip-mismatch` or `too-large`.
    public init(_ region: ByteRegion, limits: Limits = Limits()) throws {
        do {
            entries = try ZipDirectoryReader(region: region, limits: limits).entries()
        } catch var error as FormatError {
            // Where a header's own counts reach past the directory.
            if error.code == "truncated" { error.code = "zip-truncated" }
            throw error
        }
    }

    /// Whether the bytes begin as an archive does, with a member or the end of an empty one.
    public static func matches(_ region: ByteRegion) -> Bool {
        guard region.count >= 4, let magic = try? region.bytes(0..<4) else { return false }
        return magic == [0x50, 0x4B, 3, 4] || magic == [0x50, 0x4B, 5, 6]
    }

    /// The name in the first local header, whatever follows: tells what a damaged archive was meant to be.
    public static func firstMemberName(_ region: ByteRegion) -> String? {
        guard region.count >= ZipFormat.localSize, let header = try? region.bytes(0..<ZipFormat.localSize),
            header.starts(with: [0x50, 0x4B, 3, 4])
        else { return nil }
        let count = UInt64(header[26]) | UInt64(header[27]) << 8
        guard let name = region.subregion(offset: UInt64(ZipFormat.localSize), count: count), let bytes = try? name.bytes() else {
            return nil
        }
        return String(validating: bytes, as: UTF8.self)
    }

    public func entry(_ name: String) -> Entry? { entries.first { $0.name == name } }
}
