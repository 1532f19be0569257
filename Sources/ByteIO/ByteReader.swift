/// A cursor over bytes from a file: every read is checked against what remains, little-endian, and fails with the format's own error.
public struct ByteReader: Sendable {
    private let bytes: [UInt8]
    /// Position of the next byte, relative to `bytes`.
    public private(set) var position = 0
    private let format: String
    /// Where `bytes` begins in the file, so that errors name positions in the file.
    private let origin: UInt64

    public init(_ bytes: [UInt8], format: String, origin: UInt64 = 0) {
        self.bytes = bytes
        self.format = format
        self.origin = origin
    }

    public var remaining: Int { bytes.count - position }
    /// Position in the file of the next byte.
    public var fileOffset: UInt64 { origin + UInt64(position) }

    /// The error `code` at the current position.
    public func error(_ code: FormatError.Code, rule: String? = nil, expected: String? = nil, found: String? = nil) -> FormatError {
        FormatError(format, code, at: fileOffset, rule: rule, expected: expected, found: found)
    }

    public mutating func take(_ count: UInt64, _ what: String) throws(FormatError) -> ArraySlice<UInt8> {
        guard count <= UInt64(remaining) else {
            throw error("truncated", expected: "\(count) bytes of \(what)", found: "\(remaining) bytes")
        }
        defer { position += Int(count) }
        return bytes[position..<position + Int(count)]
    }

    public mutating func integer<T: FixedWidthInteger & UnsignedInteger>(
        _ what: String, as type: T.Type = T.self
    ) throws(FormatError) -> T {
        var value: T = 0
        for (i, byte) in try take(UInt64(MemoryLayout<T>.size), what).enumerated() { value |= T(byte) << T(8 * i) }
        return value
    }

    public mutating func u8(_ what: String) throws(FormatError) -> UInt8 { try integer(what) }
    public mutating func u16(_ what: String) throws(FormatError) -> UInt16 { try integer(what) }
    public mutating func u32(_ what: String) throws(FormatError) -> UInt32 { try integer(what) }
    public mutating func u64(_ what: String) throws(FormatError) -> UInt64 { try integer(what) }

    /// A count that a later loop or allocation relies on: at most `limit`, and at most what the remaining bytes could hold at `minimumSize` bytes each.
    public mutating func count(_ what: String, limit: Int, minimumSize: Int = 1) throws(FormatError) -> Int {
        let before = self
        let value = try u64(what)
        guard value <= UInt64(limit), value <= UInt64(remaining / max(minimumSize, 1)) else {
            throw before.error(
                "count-too-large", expected: "at most \(min(limit, remaining / max(minimumSize, 1))) \(what)", found: "\(value)")
        }
        return Int(value)
    }

    /// UTF-8 text of `count` bytes.
    public mutating func text(_ count: UInt64, _ what: String) throws(FormatError) -> String {
        let before = self
        let slice = try take(count, what)
        guard let text = String(validating: slice, as: UTF8.self) else {
            throw before.error("bad-text", expected: "\(what) in UTF-8", found: "other bytes")
        }
        return text
    }

    /// Fails unless everything has been read.
    public func finish(_ what: String) throws(FormatError) {
        guard remaining == 0 else { throw error("trailing-bytes", expected: "the end of \(what)", found: "\(remaining) more bytes") }
    }
}

/// Little-endian bytes put together for a file; the writer's side of `ByteReader`.
public struct ByteWriter: Sendable {
    public private(set) var bytes: [UInt8] = []

    public init() {}

    public mutating func append<T: FixedWidthInteger & UnsignedInteger>(_ value: T) {
        withUnsafeBytes(of: value.littleEndian) { bytes.append(contentsOf: $0) }
    }

    public mutating func append(_ other: some Sequence<UInt8>) { bytes.append(contentsOf: other) }

    /// A count of bytes as u64, then the text in UTF-8.
    public mutating func appendCounted(_ text: String) {
        append(UInt64(text.utf8.count))
        append(text.utf8)
    }
}
