import ByteIO
import ModelIR

/// The fixed numbers of the format (SPEC.md, "Overview" and "Blobs").
enum IngotLayout {
    static let magic: [UInt8] = [0x89] + Array("INGOT\r\n".utf8)
    static let endMagic: [UInt8] = Array("INGOTEND".utf8)
    static let majorVersion: UInt16 = 1
    static let minorVersion: UInt16 = 0
    static let headerSize = 16
    static let footerSize = 64
    /// Bytes of a chunk before compression. The planes of f32 are then 128 KiB each: one block of zstd, and all of a chunk's work stays in cache.
    static let chunkSize = 512 << 10
    /// Where unsplit blobs begin, so that a mapping can be used as it is.
    static let alignment: UInt64 = 64
    /// The largest window of a frame that isn't a single segment; what RFC 8878 asks every decoder to support.
    static let largestWindow: UInt64 = 8 << 20
    /// An index longer than this may be at most `indexExpansion` times as long as its stored form.
    static let freeIndexLength: UInt64 = 1 << 20
    static let indexExpansion: UInt64 = 64
    /// Documents longer than this all together may be at most `Limits.expansionFactor` times as long as the file.
    static let freeDocumentLength: UInt64 = 16 << 20
    static let sections = ["BLOB", "SRCE", "GRUP", "TENS", "TIES", "DOCS", "RECD"]

    /// The first multiple of `alignment` from `offset` on; nil past the end of 64 bits.
    static func aligned(_ offset: UInt64) -> UInt64? {
        let (sum, overflow) = offset.addingReportingOverflow(alignment - 1)
        return overflow ? nil : sum & ~(alignment - 1)
    }

    static func header(minorVersion: UInt16 = minorVersion) -> [UInt8] {
        var writer = ByteWriter()
        writer.append(magic)
        writer.append(majorVersion)
        writer.append(minorVersion)
        writer.append(UInt32(0))
        return writer.bytes
    }
}

/// How the bytes of a blob are rearranged before they are stored.
enum BlobLayout: UInt8, Sendable {
    /// As they are, aligned, for mapping.
    case unsplit = 0
    /// In byte planes.
    case planes = 1
    /// In byte planes, each element rotated left by one bit first, so that the exponent of a float is one byte.
    case rotatedPlanes = 2

    /// The layout that Ingot writes elements of this type in, if it compresses at all.
    init(compressing dtype: DType) {
        switch dtype {
        case .f16, .bf16, .f32: self = .rotatedPlanes
        case .bool, .u8, .u16, .u32, .u64, .i8, .i16, .i32, .i64, .f8e4m3, .f8e5m2, .f64: self = .planes
        }
    }
}

extension DType {
    private static let ingotOrder: [DType] = [
        .bool, .u8, .u16, .u32, .u64, .i8, .i16, .i32, .i64, .f8e4m3, .f8e5m2, .f16, .bf16, .f32, .f64,
    ]

    /// The number that stands for the dtype in a file.
    var ingotCode: UInt8 {
        switch self {
        case .bool: 0
        case .u8: 1
        case .u16: 2
        case .u32: 3
        case .u64: 4
        case .i8: 5
        case .i16: 6
        case .i32: 7
        case .i64: 8
        case .f8e4m3: 9
        case .f8e5m2: 10
        case .f16: 11
        case .bf16: 12
        case .f32: 13
        case .f64: 14
        }
    }

    init?(ingotCode: UInt8) {
        guard Int(ingotCode) < Self.ingotOrder.count else { return nil }
        self = Self.ingotOrder[Int(ingotCode)]
    }
}

/// The error for a broken rule of SPEC.md.
func ingotError(
    _ code: FormatError.Code, _ rule: String, at offset: UInt64? = nil, expected: String? = nil, found: String? = nil
) -> FormatError {
    FormatError("ingot", code, at: offset, rule: rule, expected: expected, found: found)
}

/// A checksum for people.
func hexadecimal64(_ value: UInt64) -> String {
    let digits = String(value, radix: 16)
    return String(repeating: "0", count: 16 - digits.count) + digits
}
