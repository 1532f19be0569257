import ByteIO
import CZlib

/// Constants of the zip format (APPNOTE.TXT 6.3).
enum ZipFormat {
    static let localSignature: UInt32 = 0x0403_4B50
    static let centralSignature: UInt32 = 0x0201_4B50
    static let endSignature: UInt32 = 0x0605_4B50
    static let end64Signature: UInt32 = 0x0606_4B50
    static let locatorSignature: UInt32 = 0x0706_4B50

    static let localSize = 30
    static let centralSize = 46
    static let endSize = 22
    static let end64Size = 56
    static let locatorSize = 20

    /// Bits of the general purpose flags.
    static let encryptedFlags: UInt16 = 1 << 0 | 1 << 6 | 1 << 13
    static let descriptorFlag: UInt16 = 1 << 3
    static let patchFlag: UInt16 = 1 << 5
    static let utf8Flag: UInt16 = 1 << 11

    /// Extra fields: sizes of 64 bits, and the one that Android's tools pad with.
    static let zip64Extra: UInt16 = 0x0001
    static let alignmentExtra: UInt16 = 0xD935

    /// What a 32-bit field holds when the number stands in a zip64 field.
    static let sentinel: UInt64 = 0xFFFF_FFFF
    static let countSentinel: UInt64 = 0xFFFF

    static func error(_ code: FormatError.Code, at offset: UInt64? = nil, expected: String? = nil, found: String? = nil) -> FormatError {
        FormatError("zip", code, at: offset, expected: expected, found: found)
    }

    /// Why a name can't be a member's, or nil: only relative paths of plain components can be trusted further on.
    static func objection(toName name: String) -> String? {
        if name.isEmpty { return "no name" }
        if name.utf8.contains(where: { $0 < 0x20 || $0 == 0x7F }) { return "control characters in `\(name)`" }
        if name.utf8.contains(UInt8(ascii: "\\")) { return "a backslash in `\(name)`" }
        if name.hasPrefix("/") { return "the absolute path `\(name)`" }
        let path = name.hasSuffix("/") ? name.dropLast() : name[...]
        let components = path.split(separator: "/", omittingEmptySubsequences: false)
        if components.contains(where: { $0.isEmpty || $0 == "." || $0 == ".." }) { return "`\(name)`" }
        return nil
    }
}

/// The checksum that zip keeps of each member.
struct CRC32: Sendable {
    private(set) var value: UInt32 = 0

    mutating func update(_ bytes: UnsafeRawBufferPointer) {
        value = UInt32(
            truncatingIfNeeded: crc32_z(UInt(value), bytes.baseAddress?.assumingMemoryBound(to: UInt8.self), bytes.count))
    }
}
