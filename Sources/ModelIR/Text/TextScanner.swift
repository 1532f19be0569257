import ByteIO

/// What is wrong at a byte of the text; `Graph.parse` turns the offset into line and column.
struct TextFailure: Error {
    var offset: Int
    var message: String
}

/// Reads words, names, numbers and punctuation. Newlines are spaces: only `//` before an origin means more than what it separates.
struct TextScanner {
    let bytes: [UInt8]
    let limits: Limits
    private(set) var offset = 0

    init(_ text: String, limits: Limits) {
        bytes = Array(text.utf8)
        self.limits = limits
    }

    func failure(_ message: String, at place: Int? = nil) -> TextFailure { TextFailure(offset: place ?? offset, message: message) }

    mutating func skipSpaces() {
        while offset < bytes.count, [0x20, 0x09, 0x0A, 0x0D].contains(bytes[offset]) { offset += 1 }
    }

    /// The next byte that is no space; nil at the end.
    mutating func peek() -> UInt8? {
        skipSpaces()
        return offset < bytes.count ? bytes[offset] : nil
    }

    /// Whether the text goes on with `text`, here and not after spaces.
    func nextIs(_ text: String) -> Bool { bytes[offset...].starts(with: text.utf8) }

    /// Takes the punctuation if it comes next.
    mutating func take(_ text: String) -> Bool {
        skipSpaces()
        guard nextIs(text) else { return false }
        offset += text.utf8.count
        return true
    }

    mutating func expect(_ text: String) throws(TextFailure) {
        guard take(text) else { throw failure("expected '\(text)' \(found())") }
    }

    /// "before ..." for a message.
    func found() -> String {
        guard offset < bytes.count else { return "before the end of the text" }
        let rest = bytes[offset..<min(offset + 12, bytes.count)].prefix { $0 > 0x20 && $0 < 0x7F }
        return rest.isEmpty ? "here" : "before \(String(decoding: rest, as: UTF8.self))"
    }

    /// The bytes that `isPart` accepts, from here on; possibly none.
    mutating func run(_ isPart: (UInt8) -> Bool) -> ArraySlice<UInt8> {
        let start = offset
        while offset < bytes.count, isPart(bytes[offset]) { offset += 1 }
        return bytes[start..<offset]
    }

    /// A keyword or an op.
    mutating func word() throws(TextFailure) -> String {
        skipSpaces()
        let start = offset
        let word = run(TextName.isBare)
        guard !word.isEmpty else { throw failure("expected a word \(found())") }
        return try string(word, at: start)
    }

    mutating func expectWord(_ expected: String) throws(TextFailure) {
        skipSpaces()
        let start = offset
        guard try word() == expected else { throw failure("expected '\(expected)'", at: start) }
    }

    /// A bare or quoted name, directly here.
    mutating func name() throws(TextFailure) -> String {
        if nextIs("\"") { return try quoted() }
        let start = offset
        let name = run(TextName.isBare)
        guard !name.isEmpty else { throw failure("expected a name \(found())") }
        return try string(name, at: start)
    }

    func string(_ bytes: some Collection<UInt8>, at start: Int) throws(TextFailure) -> String {
        guard bytes.count <= limits.nameByteCount else { throw failure("a name is longer than \(limits.nameByteCount) bytes", at: start) }
        return String(decoding: bytes, as: UTF8.self)
    }

    mutating func quoted() throws(TextFailure) -> String {
        let start = offset
        offset += 1
        var name: [UInt8] = []
        while offset < bytes.count, bytes[offset] != UInt8(ascii: "\"") {
            if bytes[offset] == UInt8(ascii: "\\") {
                name += String(try escape()).utf8
            } else {
                guard bytes[offset] >= 0x20 else { throw failure("a quoted name holds a control character") }
                name.append(bytes[offset])
                offset += 1
            }
        }
        guard offset < bytes.count else { throw failure("a quoted name has no end", at: start) }
        offset += 1
        return try string(name, at: start)
    }

    /// `\"`, `\\`, `\n`, `\r`, `\t`, `\u{1f}`.
    private mutating func escape() throws(TextFailure) -> Unicode.Scalar {
        let start = offset
        offset += 1
        guard offset < bytes.count else { throw failure("a quoted name has no end", at: start) }
        offset += 1
        switch bytes[offset - 1] {
        case UInt8(ascii: "\""): return "\""
        case UInt8(ascii: "\\"): return "\\"
        case UInt8(ascii: "n"): return "\n"
        case UInt8(ascii: "r"): return "\r"
        case UInt8(ascii: "t"): return "\t"
        case UInt8(ascii: "u"):
            guard nextIs("{") else { throw failure("an escape is \\u{hexadecimal digits}", at: start) }
            offset += 1
            let digits = String(decoding: run { $0 != UInt8(ascii: "}") && TextName.isBare($0) }.prefix(9), as: UTF8.self)
            guard nextIs("}"), let value = UInt32(digits, radix: 16), let scalar = Unicode.Scalar(value) else {
                throw failure("an escape is \\u{hexadecimal digits}", at: start)
            }
            offset += 1
            return scalar
        default: throw failure("unknown escape", at: start)
        }
    }

    /// An integer, with a sign or without.
    mutating func integer() throws(TextFailure) -> Int {
        skipSpaces()
        let start = offset
        let digits = run { $0 == UInt8(ascii: "-") || (0x30...0x39).contains($0) }
        guard let value = Int(String(decoding: digits, as: UTF8.self)) else {
            throw failure(digits.isEmpty ? "expected a number \(found())" : "this is no number of 64 bits", at: start)
        }
        return value
    }
}
