import ByteIO

extension JSONValue {
    /// Reads one document: RFC 8259 in UTF-8, with or without a byte order mark, plus Python's `NaN`, `Infinity` and `-Infinity`.
    ///
    /// Stricter than the RFC in one thing: an object with two equal keys is refused, for readers disagree about which one counts. Keys are
    /// equal as Swift's strings are, under canonical equivalence. Laxer in one: an escaped surrogate without its other half, which no
    /// UTF-8 can hold, becomes U+FFFD.
    /// - Throws: `FormatError` of format `json` with the byte's position: `bad-json`, `bad-text` (not UTF-8), `duplicate-key`, `too-deep`,
    ///   `too-large`.
    public static func parse(_ bytes: some Collection<UInt8>, limits: JSONLimits = JSONLimits()) throws(FormatError) -> JSONValue {
        guard bytes.count <= limits.byteCount else {
            throw FormatError(
                "json", "too-large", at: UInt64(limits.byteCount), expected: "at most \(limits.byteCount) bytes", found: "\(bytes.count)")
        }
        return try Array(bytes).withUnsafeBufferPointer { buffer throws(FormatError) in
            var parser = JSONParser(buffer, limits: limits)
            return try parser.document()
        }
    }

    /// Reads one document from text; see `parse(_:limits:)` for bytes.
    public static func parse(_ text: String, limits: JSONLimits = JSONLimits()) throws(FormatError) -> JSONValue {
        try parse(text.utf8, limits: limits)
    }
}

/// A cursor over a document's bytes. Nesting is kept in an array, not in calls, so that depth costs no stack.
struct JSONParser {
    let bytes: UnsafeBufferPointer<UInt8>
    let limits: JSONLimits
    var position = 0

    init(_ bytes: UnsafeBufferPointer<UInt8>, limits: JSONLimits) {
        self.bytes = bytes
        self.limits = limits
        if bytes.count >= 3 && bytes[0] == 0xEF && bytes[1] == 0xBB && bytes[2] == 0xBF { position = 3 }
    }

    /// The next byte; 0, which is no part of any token, at the end.
    var next: UInt8 { position < bytes.count ? bytes[position] : 0 }

    /// An array or object that has begun and not ended.
    private struct Frame {
        var isObject: Bool
        var elements: [JSONValue] = []
        var object = JSONObject()
        /// Of the member whose value comes next.
        var key = ""
    }

    mutating func document() throws(FormatError) -> JSONValue {
        var stack: [Frame] = []
        skipSpace()
        while true {
            var value: JSONValue
            switch next {
            case UInt8(ascii: "["), UInt8(ascii: "{"):
                let isObject = next == UInt8(ascii: "{")
                guard stack.count < limits.depth else {
                    throw error("too-deep", expected: "at most \(limits.depth) levels", found: "one more")
                }
                position += 1
                skipSpace()
                if next == (isObject ? UInt8(ascii: "}") : UInt8(ascii: "]")) {
                    position += 1
                    value = isObject ? .object(JSONObject()) : .array([])
                } else {
                    stack.append(Frame(isObject: isObject))
                    if isObject { try key(into: &stack[stack.count - 1]) }
                    continue
                }
            case UInt8(ascii: "\""): value = .string(try string())
            default: value = try scalar()
            }

            // The value is whole: hand it to what it lies in, which may thereby be whole itself.
            while true {
                skipSpace()
                guard !stack.isEmpty else {
                    guard position == bytes.count else { throw error("bad-json", expected: "the end of the document") }
                    return value
                }
                let top = stack.count - 1
                if stack[top].isObject {
                    let key = stack[top].key
                    stack[top].object.append(newKey: key, value)
                } else {
                    stack[top].elements.append(value)
                }
                if next == UInt8(ascii: ",") {
                    position += 1
                    skipSpace()
                    if stack[top].isObject { try key(into: &stack[top]) }
                    break
                }
                guard next == (stack[top].isObject ? UInt8(ascii: "}") : UInt8(ascii: "]")) else {
                    throw error("bad-json", expected: stack[top].isObject ? "',' or '}'" : "',' or ']'")
                }
                position += 1
                let frame = stack.removeLast()
                value = frame.isObject ? .object(frame.object) : .array(frame.elements)
            }
        }
    }

    /// Reads a member's key and colon, up to its value.
    private mutating func key(into frame: inout Frame) throws(FormatError) {
        guard next == UInt8(ascii: "\"") else { throw error("bad-json", expected: "a key in quotes") }
        let start = position
        let key = try string()
        guard !frame.object.contains(key) else {
            position = start
            throw error("duplicate-key", expected: "each key once", found: "'\(key)' again")
        }
        frame.key = key
        skipSpace()
        guard next == UInt8(ascii: ":") else { throw error("bad-json", expected: "':'") }
        position += 1
        skipSpace()
    }

    private mutating func skipSpace() {
        while position < bytes.count {
            switch bytes[position] {
            case 0x20, 0x09, 0x0A, 0x0D: position += 1
            default: return
            }
        }
    }

    /// The error `code` at the current position; `found` is by default the byte there.
    func error(_ code: FormatError.Code, expected: String, found: String? = nil) -> FormatError {
        FormatError("json", code, at: UInt64(position), expected: expected, found: found ?? described)
    }

    private var described: String {
        guard position < bytes.count else { return "the end" }
        let byte = bytes[position]
        return byte > 0x20 && byte < 0x7F ? "'\(Unicode.Scalar(byte))'" : "byte \(byte)"
    }
}
