/// How a document is laid out.
public enum JSONStyle: Hashable, Sendable {
    /// `{"a":1}`, in UTF-8.
    case compact
    /// As Python's `json.dumps` writes by default: `{"a": 1}`, everything but printable ASCII escaped.
    case python
    /// Two spaces a level, in UTF-8; characters that could move a terminal's cursor are escaped.
    case pretty
}

extension JSONValue {
    /// The document as text: members in their order, numbers as they were spelled. Equal values give equal text.
    public func serialized(_ style: JSONStyle = .compact) -> String {
        var writer = JSONWriter(style: style)
        writer.append(self)
        return String(decoding: writer.bytes, as: UTF8.self)
    }
}

/// Puts a document's bytes together; like the parser, it keeps nesting in an array.
private struct JSONWriter {
    private enum Level {
        case array(ArraySlice<JSONValue>)
        case object(ArraySlice<JSONObject.Member>)
    }

    let style: JSONStyle
    var bytes: [UInt8] = []

    init(style: JSONStyle) { self.style = style }

    mutating func append(_ root: JSONValue) {
        var stack: [Level] = []
        if let level = begin(root) { stack.append(level) }
        while let level = stack.popLast() {
            let child: JSONValue
            switch level {
            case .array(let rest):
                guard let first = rest.first else {
                    end("]", depth: stack.count)
                    continue
                }
                stack.append(.array(rest.dropFirst()))
                separate(depth: stack.count)
                child = first
            case .object(let rest):
                guard let first = rest.first else {
                    end("}", depth: stack.count)
                    continue
                }
                stack.append(.object(rest.dropFirst()))
                separate(depth: stack.count)
                append(first.key)
                bytes.append(contentsOf: style == .compact ? ":".utf8 : ": ".utf8)
                child = first.value
            }
            if let level = begin(child) { stack.append(level) }
        }
    }

    /// Writes a scalar, or an array's or object's opening bracket.
    /// - Returns: what lies inside, unless there is nothing.
    private mutating func begin(_ value: JSONValue) -> Level? {
        switch value {
        case .null: bytes.append(contentsOf: "null".utf8)
        case .bool(let value): bytes.append(contentsOf: value ? "true".utf8 : "false".utf8)
        case .number(let number): bytes.append(contentsOf: number.literal.utf8)
        case .string(let text): append(text)
        case .array(let elements):
            guard !elements.isEmpty else {
                bytes.append(contentsOf: "[]".utf8)
                return nil
            }
            bytes.append(UInt8(ascii: "["))
            return .array(elements[...])
        case .object(let object):
            guard !object.isEmpty else {
                bytes.append(contentsOf: "{}".utf8)
                return nil
            }
            bytes.append(UInt8(ascii: "{"))
            return .object(object.members[...])
        }
        return nil
    }

    /// What stands before an element: a comma unless it is the first, and the line's indentation.
    private mutating func separate(depth: Int) {
        // Only an opening bracket is followed by a first element; a string that ends in a bracket ends in a quote.
        let isFirst = bytes.last == UInt8(ascii: "[") || bytes.last == UInt8(ascii: "{")
        if !isFirst { bytes.append(UInt8(ascii: ",")) }
        switch style {
        case .compact: break
        case .python: if !isFirst { bytes.append(UInt8(ascii: " ")) }
        case .pretty: newLine(depth: depth)
        }
    }

    private mutating func end(_ bracket: Unicode.Scalar, depth: Int) {
        if style == .pretty { newLine(depth: depth) }
        bytes.append(UInt8(ascii: bracket))
    }

    private mutating func newLine(depth: Int) {
        bytes.append(UInt8(ascii: "\n"))
        bytes.append(contentsOf: repeatElement(UInt8(ascii: " "), count: 2 * depth))
    }

    private mutating func append(_ text: String) {
        bytes.append(UInt8(ascii: "\""))
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": bytes.append(contentsOf: "\\\"".utf8)
            case "\\": bytes.append(contentsOf: "\\\\".utf8)
            case "\n": bytes.append(contentsOf: "\\n".utf8)
            case "\r": bytes.append(contentsOf: "\\r".utf8)
            case "\t": bytes.append(contentsOf: "\\t".utf8)
            case "\u{8}": bytes.append(contentsOf: "\\b".utf8)
            case "\u{C}": bytes.append(contentsOf: "\\f".utf8)
            case " "..."~": bytes.append(UInt8(truncatingIfNeeded: scalar.value))
            default:
                if mustEscape(scalar) {
                    for unit in UTF16.encode(scalar) ?? UTF16.encodedReplacementCharacter { appendEscape(unit) }
                } else {
                    bytes.append(contentsOf: UTF8.encode(scalar) ?? UTF8.encodedReplacementCharacter)
                }
            }
        }
        bytes.append(UInt8(ascii: "\""))
    }

    /// Whether a scalar outside printable ASCII is escaped.
    private func mustEscape(_ scalar: Unicode.Scalar) -> Bool {
        switch style {
        case .compact: scalar.value < 0x20
        case .python: true
        case .pretty:
            switch scalar.value {
            case 0..<0x20, 0x7F..<0xA0, 0x200E, 0x200F, 0x2028...0x202E, 0x2066...0x2069, 0xFEFF: true
            default: false
            }
        }
    }

    private mutating func appendEscape(_ unit: UInt16) {
        bytes.append(contentsOf: "\\u".utf8)
        for shift in [12, 8, 4, 0] {
            let digit = UInt8(truncatingIfNeeded: unit >> UInt16(shift)) & 15
            bytes.append(digit < 10 ? UInt8(ascii: "0") + digit : UInt8(ascii: "a") + digit - 10)
        }
    }
}
