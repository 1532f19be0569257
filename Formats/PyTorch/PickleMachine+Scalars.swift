import ByteIO

/// Numbers and text, in the binary forms and in the lines of protocol 0.
extension PickleMachine {
    /// A count of protocol 2 and before, which is signed.
    mutating func signedCount() throws -> UInt64 {
        let count = Int32(bitPattern: try input.integer())
        guard count >= 0 else { throw error("bad-operand", "P5", expected: "a count", found: "\(count)") }
        return UInt64(count)
    }

    func text(_ bytes: [UInt8]) throws -> String {
        guard let text = String(validating: bytes, as: UTF8.self) else {
            throw error("bad-text", "P5", expected: "text in UTF-8", found: "other bytes")
        }
        return text
    }

    /// Two's complement, little-endian, of any length.
    func longInteger(_ bytes: [UInt8]) -> PickleValue {
        let filler: UInt8 = (bytes.last ?? 0) & 0x80 != 0 ? 0xFF : 0
        // Past 64 bits only if what lies there isn't the sign alone.
        guard bytes.dropFirst(8).allSatisfy({ $0 == filler }), bytes.count <= 8 || bytes[7] & 0x80 == filler & 0x80 else {
            return .long(bytes)
        }
        let pattern = (0..<8).reduce(UInt64(0)) { $0 | UInt64($1 < bytes.count ? bytes[$1] : filler) << UInt64(8 * $1) }
        return .int(Int64(bitPattern: pattern))
    }

    private mutating func numberLine() throws -> String { try text(try input.line(limit: 1_000)) }

    private func badNumber(_ line: String) -> FormatError {
        error("bad-operand", "P5", expected: "a number", found: "`\(line.prefix(40))`")
    }

    mutating func intLine() throws -> PickleValue {
        let line = try numberLine()
        // Protocol 0 has no other bools.
        if line == "00" { return .bool(false) }
        if line == "01" { return .bool(true) }
        guard let value = Int64(line) else { throw badNumber(line) }
        return .int(value)
    }

    mutating func longLine() throws -> PickleValue {
        let line = try numberLine()
        guard let value = Int64(line.hasSuffix("L") ? String(line.dropLast()) : line) else { throw badNumber(line) }
        return .int(value)
    }

    mutating func floatLine() throws -> PickleValue {
        let line = try numberLine()
        guard let value = Double(line) else { throw badNumber(line) }
        return .double(value)
    }

    mutating func memoLine() throws -> UInt64 {
        let line = try numberLine()
        guard let value = UInt64(line) else { throw badNumber(line) }
        return value
    }

    /// Text in quotes. Escapes would have to be understood as Python 2 did; names need none.
    mutating func stringLine() throws -> PickleValue {
        let line = try input.line(limit: limits.nameByteCount)
        guard line.count >= 2, let quote = line.first, quote == line.last, quote == UInt8(ascii: "'") || quote == UInt8(ascii: "\""),
            !line.contains(UInt8(ascii: "\\"))
        else { throw error("bad-operand", "P5", expected: "text in quotes, without escapes", found: "something else") }
        return .text(try text(Array(line.dropFirst().dropLast())))
    }

    mutating func unicodeLine() throws -> PickleValue {
        let line = try input.line(limit: limits.nameByteCount)
        guard !line.contains(UInt8(ascii: "\\")) else { throw error("bad-operand", "P5", expected: "text without escapes", found: "`\\`") }
        return .text(try text(line))
    }

    mutating func globalLines() throws -> PickleGlobal {
        let module = try text(try input.line(limit: limits.nameByteCount))
        let name = try text(try input.line(limit: limits.nameByteCount))
        return try global(module: module, name: name)
    }

    func global(module: String, name: String) throws -> PickleGlobal {
        guard let global = PickleGlobal(module: module, name: name) else {
            throw error("unsafe-global", "P8", expected: "only what a state dict needs", found: "\(module).\(name)")
        }
        return global
    }
}
