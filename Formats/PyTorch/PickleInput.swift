import ByteIO

/// The bytes of pickles, read through a window: the stacked form may hold gigabytes after them.
struct PickleInput {
    private let region: ByteRegion
    /// Where the region begins in the file, for errors.
    private let origin: UInt64
    private let limit: Int
    private(set) var position = 0
    private var window: [UInt8] = []
    private var windowStart = 0

    private static let windowByteCount = 1 << 16

    init(_ region: ByteRegion, origin: UInt64, limits: Limits) {
        self.region = region
        self.origin = origin
        limit = limits.documentByteCount
    }

    /// Position in the file of the next byte.
    var fileOffset: UInt64 { origin + UInt64(position) }

    mutating func byte() throws -> UInt8 {
        let index = position - windowStart
        if index >= 0 && index < window.count {
            position += 1
            return window[index]
        }
        try check(1)
        window = try region.bytes(position..<min(position + Self.windowByteCount, region.count))
        windowStart = position
        position += 1
        return window[0]
    }

    mutating func take(_ count: UInt64) throws -> [UInt8] {
        try check(count)
        defer { position += Int(count) }
        let start = position - windowStart
        if start >= 0 && start + Int(count) <= window.count { return Array(window[start..<start + Int(count)]) }
        return try region.bytes(position..<position + Int(count))
    }

    mutating func integer<T: FixedWidthInteger & UnsignedInteger>(_ type: T.Type = T.self) throws -> T {
        try take(UInt64(MemoryLayout<T>.size)).reversed().reduce(0) { $0 << 8 | T($1) }
    }

    /// The bytes up to a line feed, without it.
    mutating func line(limit: Int) throws -> [UInt8] {
        var line: [UInt8] = []
        while true {
            let byte = try byte()
            if byte == 0x0A { return line }
            guard line.count < limit else {
                throw torchError("too-large", "P6", at: fileOffset, expected: "a line of at most \(limit) bytes")
            }
            line.append(byte)
        }
    }

    private func check(_ count: UInt64) throws(FormatError) {
        guard count <= UInt64(region.count - position) else {
            throw torchError("truncated", "P5", at: fileOffset, expected: "\(count) bytes", found: "\(region.count - position)")
        }
        guard count <= UInt64(max(limit - position, 0)) else {
            throw torchError("too-large", "P6", at: fileOffset, expected: "at most \(limit) bytes of pickle")
        }
    }
}
