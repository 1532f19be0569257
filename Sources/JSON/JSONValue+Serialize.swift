/// How JSON text is laid out.
public enum JSONStyle: Hashable, Sendable {
    /// No spaces; UTF-8.
    case compact
    /// As Python's `json.dumps` writes by default: a space after `,` and `:`, everything past ASCII escaped.
    case python
    /// A line per member, indented by two spaces; UTF-8.
    case pretty
}

extension JSONValue {
    /// JSON text of the value; numbers keep their spelling, members their order.
    ///
    /// Control characters (also DEL and C1) are escaped in every style, in `pretty` also the marks that reorder text, so that it can be shown.
    public func serialized(_ style: JSONStyle = .compact) -> String {
        var writer = JSONTextWriter(style: style)
        writer.write(self)
        return String(decoding: writer.bytes, as: UTF8.self)
    }
}

/// Like the parser, it keeps nesting in an array, not in calls, so that depth costs no stack.
private struct JSONTextWriter {
    /// An array or object that is begun and not ended.
    private struct Level {
        var elements: [JSONValue] = []
        var members: [JSONObject.Member] = []
        var isObject = false
        /// Position of the element that comes next.
        var next = 0
    }

    let style: JSONStyle
    var bytes: [UInt8] = []

    init(style: JSONStyle) { self.style = style }

    mutating func write(_ root: JSONValue) {
        var stack: [Level] = []
        if let level = begin(root) { stack.append(level) }
        while let depth = stack.indices.last {
            let next = stack[depth].next
            let isObject = stack[depth].isObject
            guard next < (isObject ? stack[depth].members.count : stack[depth].elements.count) else {
                close(isObject ? UInt8(ascii: "}") : UInt8(ascii: "]"), isEmpty: next == 0, depth: depth)
                stack.removeLast()
                continue
            }
            separate(next, depth: depth)
            stack[depth].next = next + 1
            if isObject {
                let member = stack[depth].members[next]
                write(member.key)
                bytes.append(UInt8(ascii: ":"))
                if style != .compact { bytes.append(0x20) }
                if let level = begin(member.value) { stack.append(level) }
            } else if let level = begin(stack[depth].elements[next]) {
                stack.append(level)
            }
        }
    }

    /// Writes a scalar, or the opening bracket of what is returned.
    private mutating func begin(_ value: JSONValue) -> Level? {
        switch value {
        case .null: bytes.append(contentsOf: "null".utf8)
        case .bool(let bool): bytes.append(contentsOf: (bool ? "true" : "false").utf8)
        case .number(let number): bytes.append(contentsOf: number.literal.utf8)
        case .string(let text): write(text)
        case .array(let elements):
            bytes.append(UInt8(ascii: "["))
            return Level(elements: elements)
        case .object(let object):
            bytes.append(UInt8(ascii: "{"))
            return Level(members: object.members, isObject: true)
        }
        return nil
    }

    /// What stands before the element `index` of a container.
    private mutating func separate(_ index: Int, depth: Int) {
        if index > 0 { bytes.append(UInt8(ascii: ",")) }
        switch style {
        case .compact: break
        case .python: if index > 0 { bytes.append(0x20) }
        case .pretty: newLine(depth + 1)
        }
    }

    private mutating func close(_ bracket: UInt8, isEmpty: Bool, depth: Int) {
        if style == .pretty && !isEmpty { newLine(depth) }
        bytes.append(bracket)
    }

    private mutating func newLine(_ depth: Int) {
        bytes.append(0x0A)
        bytes.append(contentsOf: repeatElement(0x20, count: 2 * depth))
    }

    private mutating func write(_ text: String) {
        bytes.append(UInt8(ascii: "\""))
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": bytes.append(contentsOf: "\\\"".utf8)
            case "\\": bytes.append(contentsOf: "\\\\".utf8)
            case "\n": bytes.append(contentsOf: "\\n".utf8)
            case "\r": bytes.append(contentsOf: "\\r".utf8)
            case "\t": bytes.append(contentsOf: "\\t".utf8)
            case "\u{08}": bytes.append(contentsOf: "\\b".utf8)
            case "\u{0C}": bytes.append(contentsOf: "\\f".utf8)
            case " "..."~": bytes.append(UInt8(truncatingIfNeeded: scalar.value))
            case "\u{00}"..<" ", "\u{7F}"..."\u{9F}": escape(UInt16(truncatingIfNeeded: scalar.value))
            default:
                if style == .python || style == .pretty && reordersText(scalar) {
                    for unit in UTF16.encode(scalar) ?? UTF16.encodedReplacementCharacter { escape(unit) }
                } else {
                    bytes.append(contentsOf: UTF8.encode(scalar) ?? UTF8.encodedReplacementCharacter)
                }
            }
        }
        bytes.append(UInt8(ascii: "\""))
    }

    /// Bidirectional marks and overrides, line separators and the byte order mark: what `escapingControlCharacters` keeps from a terminal.
    private func reordersText(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.value {
        case 0x200E, 0x200F, 0x2028...0x202E, 0x2066...0x2069, 0xFEFF: true
        default: false
        }
    }

    private mutating func escape(_ unit: UInt16) {
        bytes.append(contentsOf: "\\u".utf8)
        for shift in [12, 8, 4, 0] {
            let digit = UInt8(truncatingIfNeeded: unit >> UInt16(shift) & 15)
            bytes.append(digit < 10 ? UInt8(ascii: "0") + digit : UInt8(ascii: "a") + digit - 10)
        }
    }
}
