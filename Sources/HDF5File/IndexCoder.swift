/// Writes numbers and bytes one after the other: unsigned integers in groups of seven bits, the lowest first, as most are small.
struct IndexEncoder {
    private(set) var bytes: [UInt8] = []

    mutating func add(_ value: UInt64) {
        var rest = value
        while rest >= 0x80 {
            bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        bytes.append(UInt8(rest))
    }

    mutating func add(_ value: Int) { add(UInt64(value)) }

    mutating func add(_ flag: Bool) { bytes.append(flag ? 1 : 0) }

    mutating func add(_ value: [UInt8]) {
        add(value.count)
        bytes += value
    }

    mutating func add(_ text: String) {
        add(text.utf8.count)
        bytes += text.utf8
    }

    mutating func add<T>(_ items: [T], _ body: (inout IndexEncoder, T) -> Void) {
        add(items.count)
        for item in items { body(&self, item) }
    }

    mutating func add(_ sizes: [Int]) { add(sizes) { $0.add($1) } }

    /// nil as 0, else a 1 and the value.
    mutating func add<T>(_ value: T?, _ body: (inout IndexEncoder, T) -> Void) {
        add(value != nil)
        if let value { body(&self, value) }
    }
}

/// Reads what `IndexEncoder` wrote, in a process that parsed a stranger's file: every count is held against the bytes that are left.
struct IndexDecoder {
    /// What was sent is no index.
    struct Failure: Error {}

    private let bytes: [UInt8]
    private var position = 0

    init(_ bytes: [UInt8]) { self.bytes = bytes }

    var isAtEnd: Bool { position == bytes.count }

    mutating func byte() throws(Failure) -> UInt8 {
        guard position < bytes.count else { throw Failure() }
        defer { position += 1 }
        return bytes[position]
    }

    mutating func integer() throws(Failure) -> UInt64 {
        var value: UInt64 = 0
        for shift in stride(from: UInt64(0), to: 64, by: 7) {
            let byte = try byte()
            guard shift < 63 || byte <= 1 else { throw Failure() }
            value |= UInt64(byte & 0x7F) << shift
            if byte < 0x80 { return value }
        }
        throw Failure()
    }

    mutating func int() throws(Failure) -> Int {
        guard let value = Int(exactly: try integer()) else { throw Failure() }
        return value
    }

    /// A number of things that take a byte each at least.
    mutating func count() throws(Failure) -> Int {
        let count = try int()
        guard count <= bytes.count - position else { throw Failure() }
        return count
    }

    mutating func flag() throws(Failure) -> Bool {
        let byte = try byte()
        guard byte <= 1 else { throw Failure() }
        return byte == 1
    }

    mutating func blob() throws(Failure) -> [UInt8] {
        let count = try count()
        defer { position += count }
        return Array(bytes[position..<position + count])
    }

    mutating func text() throws(Failure) -> String {
        let count = try count()
        defer { position += count }
        guard let text = String(validating: bytes[position..<position + count], as: UTF8.self) else { throw Failure() }
        return text
    }

    mutating func array<T>(_ body: (inout IndexDecoder) throws(Failure) -> T) throws(Failure) -> [T] {
        let count = try count()
        var items: [T] = []
        // An item in memory is larger than its byte in the message: no room is made for what may not come.
        items.reserveCapacity(min(count, 4_096))
        for _ in 0..<count { items.append(try body(&self)) }
        return items
    }

    mutating func sizes() throws(Failure) -> [Int] { try array { (decoder) throws(Failure) in try decoder.int() } }

    mutating func optional<T>(_ body: (inout IndexDecoder) throws(Failure) -> T) throws(Failure) -> T? {
        try flag() ? try body(&self) : nil
    }
}
