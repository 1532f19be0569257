import ByteIO
extension JSONValue {
    public static func parse(_ bytes: [UInt8]) throws(FormatError) -> JSONValue {
        var p = P(b: bytes)
        let v = try p.value(0)
        p.ws()
        if p.i != bytes.count { throw p.err() }
        return v
    }
    private struct P {
        let b: [UInt8]
        var i = 0
        func err() -> FormatError { FormatError("json", "bad-json", at: UInt64(i)) }
        mutating func ws() { while i < b.count, [32, 9, 10, 13].contains(b[i]) { i += 1 } }
        mutating func value(_ d: Int) throws(FormatError) -> JSONValue {
            ws()
            guard i < b.count else { throw err() }
            switch b[i] {
            case UInt8(ascii: "{"):
                i += 1
                var o = JSONObject()
                ws()
                if i < b.count, b[i] == UInt8(ascii: "}") { i += 1; return .object(o) }
                while true {
                    ws()
                    let k = try string()
                    ws()
                    guard i < b.count, b[i] == UInt8(ascii: ":") else { throw err() }
                    i += 1
                    if o[k] != nil { throw FormatError("json", "duplicate-key", at: UInt64(i)) }
                    o[k] = try value(d + 1)
                    ws()
                    guard i < b.count else { throw err() }
                    if b[i] == UInt8(ascii: ",") { i += 1; continue }
                    if b[i] == UInt8(ascii: "}") { i += 1; return .object(o) }
                    throw err()
                }
            case UInt8(ascii: "["):
                i += 1
                var a: [JSONValue] = []
                ws()
                if i < b.count, b[i] == UInt8(ascii: "]") { i += 1; return .array(a) }
                while true {
                    a.append(try value(d + 1))
                    ws()
                    guard i < b.count else { throw err() }
                    if b[i] == UInt8(ascii: ",") { i += 1; continue }
                    if b[i] == UInt8(ascii: "]") { i += 1; return .array(a) }
                    throw err()
                }
            case UInt8(ascii: "\""): return .string(try string())
            default:
                let s = i
                while i < b.count, !",]} \n\t\r".utf8.contains(b[i]) { i += 1 }
                let t = String(decoding: b[s..<i], as: UTF8.self)
                switch t {
                case "null": return .null
                case "true": return .bool(true)
                case "false": return .bool(false)
                default:
                    guard Double(t) != nil || ["NaN", "Infinity", "-Infinity"].contains(t) else { throw err() }
                    return .number(JSONNumber(literal: t))
                }
            }
        }
        mutating func string() throws(FormatError) -> String {
            guard i < b.count, b[i] == UInt8(ascii: "\"") else { throw err() }
            i += 1
            var u: [UInt8] = []
            while i < b.count, b[i] != UInt8(ascii: "\"") {
                if b[i] == UInt8(ascii: "\\"), i + 1 < b.count {
                    i += 1
                    switch b[i] {
                    case UInt8(ascii: "n"): u.append(10)
                    case UInt8(ascii: "t"): u.append(9)
                    case UInt8(ascii: "r"): u.append(13)
                    case UInt8(ascii: "u"):
                        guard i + 4 < b.count, let x = UInt32(String(decoding: b[i + 1...i + 4], as: UTF8.self), radix: 16) else { throw err() }
                        u += Array(String(Character(Unicode.Scalar(x) ?? "?")).utf8)
                        i += 4
                    default: u.append(b[i])
                    }
                    i += 1
                } else { u.append(b[i]); i += 1 }
            }
            guard i < b.count else { throw err() }
            i += 1
            return String(decoding: u, as: UTF8.self)
        }
    }
    public enum JSONStyle { case compact, python, pretty }
    public func serialized(_ style: JSONStyle = .compact) -> String {
        switch self {
        case .null: return "null"
        case .bool(let x): return x ? "true" : "false"
        case .number(let n): return n.literal
        case .string(let s): return "\"" + s.replacing("\\", with: "\\\\").replacing("\"", with: "\\\"").replacing("\n", with: "\\n") + "\""
        case .array(let a): return "[" + a.map { $0.serialized(style) }.joined(separator: style == .python ? ", " : ",") + "]"
        case .object(let o): return "{" + o.members.map { "\"\($0.key)\":" + (style == .python ? " " : "") + $0.value.serialized(style) }.joined(separator: style == .python ? ", " : ",") + "}"
        }
    }
}
