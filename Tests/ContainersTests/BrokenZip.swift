import ByteIO
import TestSupport
import Testing

/// An archive that breaks one rule, and the code that says so.
struct BrokenZip: CustomTestStringConvertible, Sendable {
    var code: String
    var bytes: [UInt8]
    var testDescription: String { "\(code), \(bytes.count) bytes" }

    /// Three members to break, of both methods.
    static let sample = CraftedZip([.init("a.txt", [1, 2, 3]), .deflated("b/c.bin", [UInt8](repeating: 7, count: 500)), .init("d", [9])])

    static func zip(_ code: String, _ change: (inout CraftedZip) -> Void) -> BrokenZip {
        var zip = sample
        change(&zip)
        return BrokenZip(code: code, bytes: zip.bytes)
    }

    /// Breaks the first member, which is stored.
    static func member(_ code: String, _ change: (inout CraftedZip.Member) -> Void) -> BrokenZip { zip(code) { change(&$0.members[0]) } }
    /// Breaks the second member, which is deflated.
    static func deflated(_ code: String, _ change: (inout CraftedZip.Member) -> Void) -> BrokenZip { zip(code) { change(&$0.members[1]) } }

    /// A zip64 field of these numbers.
    static func zip64(_ numbers: [UInt64]) -> [UInt8] {
        var writer = ByteWriter()
        writer.append(UInt16(1))
        writer.append(UInt16(numbers.count * 8))
        for number in numbers { writer.append(number) }
        return writer.bytes
    }

    static let all: [BrokenZip] = ends + members + names + contents + zip64Fields

    static let ends: [BrokenZip] = [
        BrokenZip(code: "not-a-zip", bytes: []),
        BrokenZip(code: "not-a-zip", bytes: Array("PK".utf8)),
        BrokenZip(code: "not-a-zip", bytes: [0] + sample.bytes),
        BrokenZip(code: "zip-truncated", bytes: [0x50, 0x4B, 3, 4]),
        BrokenZip(code: "zip-truncated", bytes: sample.bytes + [0]),
        zip("zip-truncated") { $0.directoryOffset = 0x7FFF_FFFF },
        zip("zip-truncated") { $0.directoryOffset = 0xFFFF_FFFF },
        zip("zip-truncated") { $0.directorySize = 0x7FFF_FFFF },
        zip("zip-truncated") { $0.count = 9999 },
        zip("zip-mismatch") { $0.count = 2 },
        zip("zip-mismatch") { $0.directorySize = 10 },
        zip("zip-mismatch") { $0.afterDirectory = [0] },
        zip("zip-bad-header") { ($0.directoryOffset, $0.directorySize) = (0, UInt32($0.bytes.count - 22)) },
        zip("zip-multi-disk") { $0.disk = 1 },
        zip("zip-multi-disk") { $0.countHere = 2 },
    ]

    static let members: [BrokenZip] = [
        member("zip-truncated") { $0.offset = 0x7FFF_FFFF },
        member("zip-truncated") { $0.offset = 0xFFFF_FFFF },
        member("zip-bad-header") { $0.signature += 1 },
        member("not-a-zip") { $0.localSignature += 1 },
        deflated("zip-mismatch") { $0.localSignature += 1 },
        member("zip-multi-disk") { $0.disk = 1 },
        member("zip-encrypted") { $0.flags = 1 },
        member("zip-encrypted") { $0.flags = 1 << 6 },
        member("zip-encrypted") { $0.flags = 1 << 13 },
        member("zip-unsupported-method") { $0.method = 12 },
        member("zip-unsupported-method") { $0.method = 99 },
        member("zip-unsupported-method") { $0.flags = 1 << 5 },
        member("zip-mismatch") { $0.size = 4 },
        member("zip-mismatch") { $0.compressedSize = 2 },
        member("zip-mismatch") { $0.name = Array("dir/".utf8) },
        member("zip-mismatch") { $0.localName = Array("b.txt".utf8) },
        member("zip-mismatch") { $0.localName = Array("a.txt/".utf8) },
        member("zip-mismatch") { $0.localMethod = 8 },
        member("zip-mismatch") { $0.localCRC32 = 0 },
        member("zip-mismatch") { $0.localSize = 2 },
        member("zip-mismatch") { $0.localFlags = 1 },
        member("zip-mismatch") { $0.localFlags = 8 },
        zip("zip-duplicate-member") { $0.members[2].name = Array("a.txt".utf8) },
        zip("zip-duplicate-member") { $0.members.append(.init("d/")) },
        // The second member's header lies in the first one's contents.
        zip("zip-overlap") { zip in
            zip.members = [.init("a", CraftedZip([.init("b", [5])]).bytes), .init("b", [5])]
            zip.members[1].offset = 31
        },
        // Contents that reach into the directory.
        zip("zip-truncated") { zip in
            zip.members = [.init("a", [1])]
            (zip.members[0].size, zip.members[0].compressedSize) = (2, 2)
        },
    ]

    static let names: [BrokenZip] =
        [
            "", "/", "/a.txt", "..", "../a", "a/../b", "a/..", ".", "./a", "a//b", "a//", "a\\b", "..\\a", "C:\\a", "a\0b", "a\nb",
            "a\u{7F}",
            "\u{1B}[2J",
        ].map { name in member("zip-path-escape") { $0.name = Array(name.utf8) } } + [
            member("bad-text") { $0.name = [0xFF, 0xFE] },
            member("too-large") { $0.name = [UInt8](repeating: 0x78, count: 5000) },
        ]

    static let contents: [BrokenZip] = [
        member("zip-bad-crc") { $0.crc32 ^= 1 },
        member("zip-bad-crc") { $0.data = [1, 2, 4] },
        deflated("zip-bad-crc") { $0.data[100] ^= 1 },
        // An invalid kind of block; no last block; bytes behind the last block; nothing at all.
        deflated("zip-bad-deflate") { $0.data[0] = 0xFF },
        deflated("zip-bad-deflate") { $0.data[0] = 0 },
        deflated("zip-bad-deflate") {
            $0.data += [0]
            $0.compressedSize += 1
        },
        deflated("zip-bad-deflate") { ($0.data, $0.compressedSize) = ([], 0) },
        deflated("zip-bomb") { $0.size -= 1 },
        deflated("zip-mismatch") { $0.size += 1 },
    ]

    static let zip64Fields: [BrokenZip] = [
        member("zip-bad-header") { $0.extra = [1, 2, 3, 4] },
        member("zip-bad-header") { $0.localExtra = [1, 2, 3, 4] },
        member("zip-bad-header") { ($0.size, $0.extra) = (0xFFFF_FFFF, zip64([])) },
        member("zip-bad-header") { $0.extra = zip64([]) + zip64([]) },
        deflated("zip-bomb") {
            ($0.size, $0.extra) = (0xFFFF_FFFF, zip64([5 << 30]))
            ($0.localSize, $0.localExtra) = (0xFFFF_FFFF, zip64([5 << 30, UInt64($0.data.count)]))
        },
        deflated("zip-bomb") {
            ($0.size, $0.extra) = (0xFFFF_FFFF, zip64([.max]))
            ($0.localSize, $0.localExtra) = (0xFFFF_FFFF, zip64([.max, UInt64($0.data.count)]))
        },
        member("zip-truncated") { ($0.offset, $0.extra) = (0xFFFF_FFFF, zip64([.max])) },
        member("zip-truncated") { ($0.offset, $0.extra) = (0xFFFF_FFFF, zip64([.max - 20])) },
        member("zip-truncated") {
            ($0.size, $0.compressedSize, $0.extra) = (0xFFFF_FFFF, 0xFFFF_FFFF, zip64([.max - 40, .max - 40]))
            ($0.localSize, $0.localExtra) = (0xFFFF_FFFF, zip64([.max - 40, .max - 40]))
        },
    ]
}
