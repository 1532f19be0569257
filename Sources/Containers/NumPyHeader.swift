import ByteIO
import ModelIR

/// What a `.npy` header says.
struct NumPyHeader: Hashable {
    var descr: String
    var isFortranOrder: Bool
    var shape: [Int]
}

/// An element type as NumPy spells it: byte order, kind, size.
struct NumPyElement: Hashable {
    var dtype: DType
    var isBigEndian: Bool

    init(_ descr: String) throws {
        let kinds: [String: DType] = [
            "b1": .bool, "u1": .u8, "u2": .u16, "u4": .u32, "u8": .u64, "i1": .i8, "i2": .i16, "i4": .i32, "i8": .i64, "f2": .f16,
            "f4": .f32, "f8": .f64, "V2": .bf16,
        ]
        guard let order = descr.first, let dtype = kinds[String(descr.dropFirst())], "<>|".contains(order),
            order != "|" || dtype.size == 1 || dtype == .bf16
        else {
            throw UnsupportedError("npy: elements of type '\(descr)'")
        }
        self.dtype = dtype
        self.isBigEndian = order == ">" && dtype.size > 1
    }

    /// How `numpy.save` spells it; nil for what NumPy doesn't have.
    static func descr(_ dtype: DType) -> String? {
        switch dtype {
        case .bool: "|b1"
        case .u8: "|u1"
        case .u16: "<u2"
        case .u32: "<u4"
        case .u64: "<u8"
        case .i8: "|i1"
        case .i16: "<i2"
        case .i32: "<i4"
        case .i64: "<i8"
        case .f16: "<f2"
        case .f32: "<f4"
        case .f64: "<f8"
        case .bf16, .f8e4m3, .f8e5m2: nil
        }
    }
}

/// Parses `{'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }`: just that dictionary, keys in any order; no Python beyond it.
struct NumPyHeaderParser {
    let bytes: [UInt8]
    let origin: UInt64
    let rankLimit: Int
    var position = 0

    init(bytes: [UInt8], origin: UInt64, rankLimit: Int) {
        self.bytes = bytes
        self.origin = origin
        self.rankLimit = rankLimit
    }

    mutating func header() throws(FormatError) -> NumPyHeader {
        var descr: String?
        var isFortranOrder: Bool?
        var shape: [Int]?
        try expect("{")
        while !skip("}") {
            let start = position
            let key = try string()
            try expect(":")
            switch key {
            case "descr" where descr == nil: descr = try string()
            case "fortran_order" where isFortranOrder == nil: isFortranOrder = try boolean()
            case "shape" where shape == nil: shape = try tuple()
            default:
                position = start
                throw failure("each of descr, fortran_order and shape once")
            }
            if !skip(",") {
                try expect("}")
                break
            }
        }
        skipSpace()
        guard position == bytes.count else { throw failure("nothing but space after the dictionary") }
        guard let descr, let isFortranOrder, let shape else { throw failure("descr, fortran_order and shape") }
        return NumPyHeader(descr: descr, isFortranOrder: isFortranOrder, shape: shape)
    }

    private func failure(_ expected: String) -> FormatError {
        FormatError("npy", "bad-header", at: origin + UInt64(position), expected: expected)
    }

    private mutating func skipSpace() {
        while position < bytes.count, [0x20, 0x0A, 0x0D, 0x09].contains(bytes[position]) { position += 1 }
    }

    /// Skips a character after space.
    private mutating func skip(_ character: Unicode.Scalar) -> Bool {
        skipSpace()
        guard position < bytes.count, bytes[position] == UInt8(ascii: character) else { return false }
        position += 1
        return true
    }

    private mutating func expect(_ character: Unicode.Scalar) throws(FormatError) {
        guard skip(character) else { throw failure("`\(character)`") }
    }

    /// A string without escapes; a structured dtype, which is a list, fails here.
    private mutating func string() throws(FormatError) -> String {
        skipSpace()
        guard position < bytes.count, bytes[position] == UInt8(ascii: "'") || bytes[position] == UInt8(ascii: "\"") else {
            throw failure("a string")
        }
        let quote = bytes[position]
        position += 1
        let start = position
        while position < bytes.count, bytes[position] != quote {
            guard bytes[position] >= 0x20, bytes[position] < 0x7F, bytes[position] != UInt8(ascii: "\\") else {
                throw failure("plain characters")
            }
            position += 1
        }
        guard position < bytes.count else { throw failure("the end of the string") }
        defer { position += 1 }
        return String(decoding: bytes[start..<position], as: UTF8.self)
    }

    private mutating func boolean() throws(FormatError) -> Bool {
        skipSpace()
        for (word, value) in [("True", true), ("False", false)] where bytes[position...].starts(with: word.utf8) {
            position += word.utf8.count
            return value
        }
        throw failure("True or False")
    }

    private mutating func tuple() throws(FormatError) -> [Int] {
        try expect("(")
        var sizes: [Int] = []
        var hasComma = true
        while !skip(")") {
            guard hasComma else { throw failure("`,` or `)`") }
            guard sizes.count < rankLimit else { throw failure("at most \(rankLimit) dimensions") }
            sizes.append(try size())
            hasComma = skip(",")
        }
        // `(3)` is a number in Python, not a tuple.
        guard hasComma || sizes.count != 1 else { throw failure("a tuple") }
        return sizes
    }

    private mutating func size() throws(FormatError) -> Int {
        skipSpace()
        let start = position
        while position < bytes.count, (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(bytes[position]) { position += 1 }
        guard let value = Int(String(decoding: bytes[start..<position], as: UTF8.self)) else {
            position = start
            throw failure("a size")
        }
        return value
    }
}
