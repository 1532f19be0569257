import ByteIO

extension JSONParser {
    mutating func word(_ word: StaticString) throws(FormatError) {
        let count = word.utf8CodeUnitCount
        for i in 0..<count {
            guard current == word.utf8Start[i] else { throw failure("`\(word)`") }
            position += 1
        }
    }

    mutating func number() throws(FormatError) -> JSONNumber {
        let start = position
        if current == UInt8(ascii: "-") { position += 1 }
        if position > start, current == UInt8(ascii: "I") {
            try word("Infinity")
            return JSONNumber(literal: "-Infinity")
        }
        if current == UInt8(ascii: "0") { position += 1 } else { try digits() }
        if current == UInt8(ascii: ".") {
            position += 1
            try digits()
        }
        if current == UInt8(ascii: "e") || current == UInt8(ascii: "E") {
            position += 1
            if current == UInt8(ascii: "+") || current == UInt8(ascii: "-") { position += 1 }
            try digits()
        }
        return JSONNumber(literal: ascii(start..<position))
    }

    /// Text of bytes that are known to be ASCII; most of a document is, and this is the quick way to it.
    private func ascii(_ range: Range<Int>) -> String {
        bytes.withUnsafeBufferPointer { String(decoding: UnsafeBufferPointer(rebasing: $0[range]), as: UTF8.self) }
    }

    private mutating func digits() throws(FormatError) {
        let start = position
        while position < bytes.count, bytes[position] >= UInt8(ascii: "0"), bytes[position] <= UInt8(ascii: "9") { position += 1 }
        guard position > start else { throw failure("a digit") }
    }

    /// A string; the position is at its opening quote.
    mutating func string() throws(FormatError) -> String {
        position += 1
        let start = position
        var hasEscapes = false
        var isASCII = true
        scan: while true {
            guard position < bytes.count else { throw failure("`\"` at the end of the string") }
            switch bytes[position] {
            case UInt8(ascii: "\""): break scan
            case UInt8(ascii: "\\"):
                hasEscapes = true
                // Past the escaped byte, which may be a quote; what it is gets checked below.
                position = min(position + 2, bytes.count)
            case 0..<0x20: throw failure("no control characters in strings")
            case 0x80...:
                isASCII = false
                position += 1
            default: position += 1
            }
        }
        let end = position
        // Escapes are ASCII: with them or without, the bytes are UTF-8 or they aren't.
        guard let raw = isASCII ? ascii(start..<end) : String(validating: bytes[start..<end], as: UTF8.self) else {
            throw FormatError("json", "bad-text", at: UInt64(start + firstInvalidUTF8(in: bytes[start..<end])), expected: "UTF-8")
        }
        guard hasEscapes else {
            position = end + 1
            return raw
        }
        let text = try unescaped(start..<end)
        position = end + 1
        return text
    }

    private mutating func unescaped(_ range: Range<Int>) throws(FormatError) -> String {
        var result: [UInt8] = []
        result.reserveCapacity(range.count)
        position = range.lowerBound
        while position < range.upperBound {
            guard bytes[position] == UInt8(ascii: "\\") else {
                result.append(bytes[position])
                position += 1
                continue
            }
            position += 1
            switch bytes[position] {
            case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): result.append(bytes[position])
            case UInt8(ascii: "b"): result.append(0x08)
            case UInt8(ascii: "f"): result.append(0x0C)
            case UInt8(ascii: "n"): result.append(0x0A)
            case UInt8(ascii: "r"): result.append(0x0D)
            case UInt8(ascii: "t"): result.append(0x09)
            case UInt8(ascii: "u"):
                position += 1
                result.append(contentsOf: String(try escapedScalar()).utf8)
                continue
            default: throw failure("an escape: one of \"\\/bfnrtu")
            }
            position += 1
        }
        return String(decoding: result, as: UTF8.self)
    }

    /// The scalar of `XXXX`, or of `XXXX\uXXXX` where the two are a surrogate pair.
    private mutating func escapedScalar() throws(FormatError) -> Unicode.Scalar {
        let unit = try fourHexDigits()
        guard UTF16.isLeadSurrogate(unit) else { return Unicode.Scalar(unit) ?? "\u{FFFD}" }
        guard position + 1 < bytes.count, bytes[position] == UInt8(ascii: "\\"), bytes[position + 1] == UInt8(ascii: "u") else {
            return "\u{FFFD}"
        }
        let afterLead = position
        position += 2
        let trail = try fourHexDigits()
        guard UTF16.isTrailSurrogate(trail) else {
            // It belongs to itself: read again as an escape of its own.
            position = afterLead
            return "\u{FFFD}"
        }
        return Unicode.Scalar(0x1_0000 + (UInt32(unit) - 0xD800) << 10 + (UInt32(trail) - 0xDC00)) ?? "\u{FFFD}"
    }

    private mutating func fourHexDigits() throws(FormatError) -> UInt16 {
        var unit: UInt16 = 0
        for _ in 0..<4 {
            let digit: UInt8
            switch current {
            case let byte? where byte >= UInt8(ascii: "0") && byte <= UInt8(ascii: "9"): digit = byte - UInt8(ascii: "0")
            case let byte? where byte >= UInt8(ascii: "a") && byte <= UInt8(ascii: "f"): digit = byte - UInt8(ascii: "a") + 10
            case let byte? where byte >= UInt8(ascii: "A") && byte <= UInt8(ascii: "F"): digit = byte - UInt8(ascii: "A") + 10
            default: throw failure("four hexadecimal digits")
            }
            unit = unit << 4 | UInt16(digit)
            position += 1
        }
        return unit
    }
}

/// How many bytes at the start of `bytes` are UTF-8; only errors need to know.
private func firstInvalidUTF8(in bytes: ArraySlice<UInt8>) -> Int {
    // Validity of a prefix is monotonic but for a character that is cut, which is at most three bytes.
    var low = 0
    var high = bytes.count
    func isValid(_ count: Int) -> Bool {
        (0...3).contains { count >= $0 && String(validating: bytes.prefix(count - $0), as: UTF8.self) != nil }
    }
    while low < high {
        let middle = (low + high + 1) / 2
        if isValid(middle) { low = middle } else { high = middle - 1 }
    }
    // `low` may lie up to three bytes into what is invalid or cut.
    for back in 0...3 where low >= back && String(validating: bytes.prefix(low - back), as: UTF8.self) != nil { return low - back }
    return low
}
