import ByteIO

extension JSONValue {
    /// Parses a document of RFC 8259, with what Python's `json` adds: `NaN`, `Infinity` and `-Infinity`.
    ///
    /// Strict otherwise: no trailing bytes, commas or comments, no `01`, `+1` or `.5`, no control characters in strings, no key twice
    /// (canonically equivalent keys count as the same). A byte order mark at the start is skipped. A surrogate without its other half,
    /// which Python writes and no Unicode string can hold, becomes U+FFFD.
    /// - Throws: format `json`; `bad-json`, `bad-text` (no UTF-8), `duplicate-key`, `too-deep` or `too-large`, at a byte.
    public static func parse(_ bytes: [UInt8], limits: JSONLimits = .init()) throws(FormatError) -> JSONValue {
        guard bytes.count <= limits.byteCount else {
            throw FormatError("json", "too-large", at: 0, expected: "at most \(limits.byteCount) bytes", found: "\(bytes.count)")
        }
        var parser = JSONParser(bytes: bytes, depthLimit: limits.depth)
        return try parser.document()
    }

    /// Parses text as `parse(_:limits:)` parses its UTF-8.
    public static func parse(_ text: String, limits: JSONLimits = .init()) throws(FormatError) -> JSONValue {
        try parse(Array(text.utf8), limits: limits)
    }
}

/// Scans bytes with a stack of its own: a hostile document's depth costs heap, never the thread's stack.
struct JSONParser {
    let bytes: [UInt8]
    let depthLimit: Int
    var position = 0

    /// An array or object whose end hasn't been seen.
    private struct Open {
        let isObject: Bool
        var elements: [JSONValue] = []
        /// Its last member waits for the value that comes next.
        var object = JSONObject()

        init(isObject: Bool) { self.isObject = isObject }
    }

    init(bytes: [UInt8], depthLimit: Int) {
        self.bytes = bytes
        self.depthLimit = depthLimit
        if bytes.starts(with: [0xEF, 0xBB, 0xBF]) { position = 3 }
    }

    /// The byte at the position, nil at the end.
    var current: UInt8? { position < bytes.count ? bytes[position] : nil }

    mutating func skipSpace() {
        while position < bytes.count {
            switch bytes[position] {
            case 0x20, 0x09, 0x0A, 0x0D: position += 1
            default: return
            }
        }
    }

    func failure(_ expected: String) -> FormatError {
        let found = current.map { $0 > 0x20 && $0 < 0x7F ? "`\(Character(Unicode.Scalar($0)))`" : "byte \($0)" }
        return FormatError("json", "bad-json", at: UInt64(position), expected: expected, found: found ?? "the end")
    }

    /// One value and nothing else.
    mutating func document() throws(FormatError) -> JSONValue {
        var stack: [Open] = []
        while true {
            var value: JSONValue
            if let opened = try valueOrOpening(depth: stack.count) {
                value = opened
            } else {
                let isObject = bytes[position - 1] == UInt8(ascii: "{")
                skipSpace()
                if let empty = closeIfEmpty(isObject: isObject) {
                    value = empty
                } else {
                    stack.append(Open(isObject: isObject))
                    if isObject { try key(into: &stack[stack.count - 1].object) }
                    continue
                }
            }
            // The value ends here; it may be the last of its container, of that one's, and so on.
            var isComplete = true
            while isComplete {
                skipSpace()
                guard !stack.isEmpty else {
                    guard position == bytes.count else { throw failure("the end of the document") }
                    return value
                }
                isComplete = try add(value, to: &stack[stack.count - 1])
                if isComplete, let closed = stack.popLast() {
                    value = closed.isObject ? .object(closed.object) : .array(closed.elements)
                }
            }
        }
    }

    /// Adds a value to its container and reads what follows it.
    /// - Returns: whether that was the end of the container.
    private mutating func add(_ value: JSONValue, to container: inout Open) throws(FormatError) -> Bool {
        if container.isObject { container.object.setLastValue(value) } else { container.elements.append(value) }
        switch (current, container.isObject) {
        case (UInt8(ascii: ","), let isObject):
            position += 1
            if isObject { try key(into: &container.object) }
            return false
        case (UInt8(ascii: "}"), true), (UInt8(ascii: "]"), false):
            position += 1
            return true
        case (_, let isObject): throw failure(isObject ? "`,` or `}`" : "`,` or `]`")
        }
    }

    private mutating func closeIfEmpty(isObject: Bool) -> JSONValue? {
        switch (current, isObject) {
        case (UInt8(ascii: "}"), true):
            position += 1
            return .object(JSONObject())
        case (UInt8(ascii: "]"), false):
            position += 1
            return .array([])
        default: return nil
        }
    }

    /// A member's key and the colon after it.
    private mutating func key(into object: inout JSONObject) throws(FormatError) {
        skipSpace()
        guard current == UInt8(ascii: "\"") else { throw failure("a key in quotes") }
        let start = position
        let key = try string()
        guard object.appendKey(key) else {
            throw FormatError("json", "duplicate-key", at: UInt64(start), expected: "every key once", found: "`\(key)` again")
        }
        skipSpace()
        guard current == UInt8(ascii: ":") else { throw failure("`:`") }
        position += 1
    }

    /// A scalar; or, for `[` and `{`, nothing, with the position after it.
    private mutating func valueOrOpening(depth: Int) throws(FormatError) -> JSONValue? {
        skipSpace()
        switch current {
        case UInt8(ascii: "\""): return .string(try string())
        case UInt8(ascii: "{"), UInt8(ascii: "["):
            guard depth < depthLimit else {
                throw FormatError("json", "too-deep", at: UInt64(position), expected: "at most \(depthLimit) levels")
            }
            position += 1
            return nil
        case UInt8(ascii: "t"):
            try word("true")
            return .bool(true)
        case UInt8(ascii: "f"):
            try word("false")
            return .bool(false)
        case UInt8(ascii: "n"):
            try word("null")
            return .null
        case UInt8(ascii: "N"):
            try word("NaN")
            return .number(JSONNumber(literal: "NaN"))
        case UInt8(ascii: "I"):
            try word("Infinity")
            return .number(JSONNumber(literal: "Infinity"))
        case let byte? where byte == UInt8(ascii: "-") || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte):
            return .number(try number())
        default: throw failure("a value")
        }
    }
}
