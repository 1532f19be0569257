import ByteIO

extension JSONParser {
    /// A number or a word.
    mutating func scalar() throws(FormatError) -> JSONValue {
        switch next {
        case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"): return .number(try number())
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
        default: throw error("bad-json", expected: "a value")
        }
    }

    private mutating func word(_ word: StaticString) throws(FormatError) {
        for i in 0..<word.utf8CodeUnitCount {
            guard next == word.utf8Start[i] else { throw error("bad-json", expected: "\(word)") }
            position += 1
        }
    }

    private mutating func number() throws(FormatError) -> JSONNumber {
        let start = position
        if next == UInt8(ascii: "-") {
            position += 1
            if next == UInt8(ascii: "I") {
                try word("Infinity")
                return JSONNumber(literal: "-Infinity")
            }
        }
        if next == UInt8(ascii: "0") {
            position += 1
            guard !isDigit(next) else { throw error("bad-json", expected: "no digit after a leading 0") }
        } else {
            try digits()
        }
        if next == UInt8(ascii: ".") {
            position += 1
            try digits()
        }
        if next | 0x20 == UInt8(ascii: "e") {
            position += 1
            if next == UInt8(ascii: "+") || next == UInt8(ascii: "-") { position += 1 }
            try digits()
        }
        return JSONNumber(literal: String(decoding: bytes[start..<position], as: UTF8.self))
    }

    private mutating func digits() throws(FormatError) {
        guard isDigit(next) else { throw error("bad-json", expected: "a digit") }
        repeat { position += 1 } while isDigit(next)
    }

    private func isDigit(_ byte: UInt8) -> Bool { byte >= UInt8(ascii: "0") && byte <= UInt8(ascii: "9") }

    /// A string in quotes, its escapes resolved.
    mutating func string() throws(FormatError) -> String {
        position += 1
        let start = position
        // Without escapes the text is one run of the document; else the runs between escapes are put together.
        var unescaped: [UInt8] = []
        var runStart = start
        var hasEscapes = false
        while true {
            while position < bytes.count, isPlain(bytes[position]) { position += 1 }
            guard position < bytes.count else { throw error("bad-json", expected: "'\"'") }
            if bytes[position] == UInt8(ascii: "\"") { break }
            guard bytes[position] == UInt8(ascii: "\\") else {
                throw error("bad-json", expected: "control characters escaped")
            }
            hasEscapes = true
            unescaped.append(contentsOf: bytes[runStart..<position])
            try escape(into: &unescaped)
            runStart = position
        }
        let end = position
        position += 1
        let text: String?
        if hasEscapes {
            unescaped.append(contentsOf: bytes[runStart..<end])
            text = String(validating: unescaped, as: UTF8.self)
        } else {
            text = String(validating: UnsafeBufferPointer(rebasing: bytes[start..<end]), as: UTF8.self)
        }
        guard let text else {
            // Escapes are ASCII, so what is wrong is wrong in the document too.
            position = start + validPrefix(of: UnsafeBufferPointer(rebasing: bytes[start..<end]))
            throw error("bad-text", expected: "UTF-8")
        }
        return text
    }

    /// Whether a byte inside a string stands for itself.
    private func isPlain(_ byte: UInt8) -> Bool { byte >= 0x20 && byte != UInt8(ascii: "\"") && byte != UInt8(ascii: "\\") }

    /// Resolves the escape that begins here.
    private mutating func escape(into text: inout [UInt8]) throws(FormatError) {
        position += 1
        let plain: UInt8
        switch next {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): plain = next
        case UInt8(ascii: "b"): plain = 0x08
        case UInt8(ascii: "f"): plain = 0x0C
        case UInt8(ascii: "n"): plain = 0x0A
        case UInt8(ascii: "r"): plain = 0x0D
        case UInt8(ascii: "t"): plain = 0x09
        case UInt8(ascii: "u"):
            position += 1
            var code = try hexadecimal()
            if code & 0xFC00 == 0xD800, bytes[position...].starts(with: "\\u".utf8) {
                let before = position
                position += 2
                let low = try hexadecimal()
                if low & 0xFC00 == 0xDC00 {
                    code = 0x10000 + (code & 0x3FF) << 10 + (low & 0x3FF)
                } else {
                    // No pair: what follows is an escape of its own.
                    position = before
                }
            }
            text.append(contentsOf: Array(String(Unicode.Scalar(code) ?? "\u{FFFD}").utf8))
            return
        default: throw error("bad-json", expected: "one of \"\\/bfnrtu after a backslash")
        }
        text.append(plain)
        position += 1
    }

    private mutating func hexadecimal() throws(FormatError) -> UInt32 {
        var value: UInt32 = 0
        for _ in 0..<4 {
            switch next {
            case UInt8(ascii: "0")...UInt8(ascii: "9"): value = value << 4 | UInt32(next - UInt8(ascii: "0"))
            case UInt8(ascii: "a")...UInt8(ascii: "f"): value = value << 4 | UInt32(next - UInt8(ascii: "a") + 10)
            case UInt8(ascii: "A")...UInt8(ascii: "F"): value = value << 4 | UInt32(next - UInt8(ascii: "A") + 10)
            default: throw error("bad-json", expected: "4 hexadecimal digits after \\u")
            }
            position += 1
        }
        return value
    }

    /// Length of the longest prefix that is UTF-8, in bytes.
    private func validPrefix(of bytes: UnsafeBufferPointer<UInt8>) -> Int {
        var decoder = UTF8()
        var iterator = bytes.makeIterator()
        var length = 0
        while true {
            switch decoder.decode(&iterator) {
            case .scalarValue(let scalar): length += UTF8.width(scalar)
            case .emptyInput, .error: return length
            }
        }
    }
}
