import ByteIO
import Digests
import FormatKit
import ModelIR
import Testing

@testable import IngotFormat

/// One deviation from a valid file, and the rule of SPEC.md that must refuse it.
struct Deviation: Sendable, CustomTestStringConvertible {
    let what: String
    let code: FormatError.Code
    let rule: String
    let limits: Limits
    let change: @Sendable (inout IngotParts) throws -> Void

    init(
        _ what: String, _ code: FormatError.Code, _ rule: String, limits: Limits = Limits(),
        _ change: @escaping @Sendable (inout IngotParts) throws -> Void
    ) {
        self.what = what
        self.code = code
        self.rule = rule
        self.limits = limits
        self.change = change
    }

    var testDescription: String { "\(rule): \(what)" }

    /// A change of the index as a value.
    static func index(
        _ what: String, _ code: FormatError.Code, _ rule: String, limits: Limits = Limits(),
        _ change: @escaping @Sendable (inout Index) throws -> Void
    ) -> Deviation {
        Deviation(what, code, rule, limits: limits) { try $0.change(change) }
    }

    /// Other content of a section.
    static func section(
        _ name: String, _ what: String, _ code: FormatError.Code, _ rule: String, limits: Limits = Limits(),
        _ content: [UInt8]
    ) -> Deviation {
        Deviation(what, code, rule, limits: limits) { $0.replace(name, with: content) }
    }
}

@Suite struct RuleTests {
    /// Blob 0: a planes, b ties to it; 1: words; 2: the document.
    static func base() -> Checkpoint {
        let kernel = Tensor(weights(60, seed: 1), shape: [20, 3])
        var checkpoint = Checkpoint(
            format: "test", formatDetail: "by hand",
            groups: [.init(path: "", attributes: [Attribute("a", .text("b"))]), .init(path: "g"), .init(path: "g/h")],
            tensors: [
                .init(name: "a", tensor: kernel), .init(name: "b", tensor: kernel),
                .init(name: "words", tensor: Tensor(dtype: .u16, shape: [600], bytes: (0..<1_200).map { UInt8($0 / 2 % 3) })),
            ])
        checkpoint.ties = [.init(names: ["a", "b"])]
        checkpoint.documents = [.init(name: "config.json", bytes: Array(repeating: UInt8(ascii: "x"), count: 40) + Array("yz".utf8))]
        checkpoint.record = sampleRecord()
        return checkpoint
    }

    @Test func theBaseIsValid() throws {
        let parts = try IngotParts(written(Self.base(), level: 1))
        _ = try IngotFormat.check(ByteRegion(bytes: parts.bytes), limits: Limits())
        try expectEqual(Self.base(), try opened(parts.bytes))
    }

    @Test(arguments: deviations) func refused(_ deviation: Deviation) throws {
        var parts = try IngotParts(written(Self.base(), level: deviation.what.hasPrefix("unsplit") ? 0 : 1))
        try deviation.change(&parts)
        let bytes = parts.bytes
        let error = try formatError { _ = try IngotFormat.check(ByteRegion(bytes: bytes), limits: deviation.limits) }
        #expect(error?.code == deviation.code, "\(error.map(\.description) ?? "accepted")")
        #expect(error?.rule == deviation.rule, "\(error.map(\.description) ?? "accepted")")
    }

    static let deviations: [Deviation] = container + indexFrame + blobs + objects + attributes + values

    static let container: [Deviation] = [
        Deviation("other magic", "bad-magic", "I1") { $0.headerChange = { $0[1] = UInt8(ascii: "i") } },
        Deviation("file length of another file", "truncated", "I2") { $0.footerChange = { $0[32] &+= 1 } },
        Deviation("other end magic", "truncated", "I2") { $0.footerChange = { $0[63] = 0 } },
        Deviation("major version 2", "unsupported-version", "I3") { $0.headerChange = { $0[8] = 2 } },
        Deviation("major version 0", "unsupported-version", "I3") { $0.headerChange = { $0[8] = 0 } },
        Deviation("reserved bytes", "bad-header", "I4") { $0.headerChange = { $0[15] = 1 } },
        Deviation("another version in the footer", "bad-header", "I4") { $0.footerChange = { $0[42] = 1 } },
        Deviation("index inside the header", "bad-index-position", "I6") { $0.footerChange = { $0.replaceSubrange(0..<8, with: u64(15)) } },
        Deviation("index past the footer", "bad-index-position", "I6") { $0.footerChange = { $0[8] &+= 1 } },
        Deviation("index offset past 64 bits", "bad-index-position", "I6") {
            $0.footerChange = { $0.replaceSubrange(0..<8, with: u64(.max)) }
        },
        Deviation("index shorter than stored", "index-too-large", "I7") { $0.footerChange = { $0.replaceSubrange(16..<24, with: u64(5)) } },
        Deviation("index of 2 EiB", "index-too-large", "I7") { $0.footerChange = { $0.replaceSubrange(16..<24, with: u64(1 << 61)) } },
        Deviation("index that expands too far", "index-too-large", "I7") {
            $0.footerChange = { $0.replaceSubrange(16..<24, with: u64(512 << 20)) }
        },
        Deviation("index checksum", "checksum-mismatch", "I8") { $0.footerChange = { $0[24] ^= 1 } },
    ]

    static let indexFrame: [Deviation] = [
        Deviation("index frame is no frame", "bad-frame", "I9") { $0.storedIndex = Array($0.index.dropLast()) },
        Deviation("index frame of another size", "bad-frame", "I9") { $0.storedIndex = frame($0.index + [0]) },
        Deviation("index frame without content size", "bad-frame", "I9") { $0.storedIndex = frame($0.index, contentSize: false) },
        Deviation("index frame with a byte after it", "bad-frame", "I9") { $0.storedIndex = frame($0.index) + [0] },
        Deviation("two index frames", "bad-frame", "I9") { $0.storedIndex = frame($0.index) + frame([]) },
        Deviation("index frame after a skippable one", "bad-frame", "I9") {
            $0.storedIndex = u32(0x184D_2A50) + u32(1) + [0] + frame($0.index)
        },
        Deviation("sections in another order", "bad-section", "I10") { $0.index.replaceSubrange(0..<4, with: Array("TENS".utf8)) },
        Deviation("no section", "truncated", "I10") { $0.index = [] },
        Deviation("section past the end", "truncated", "I10") { $0.index.replaceSubrange(4..<12, with: u64(.max)) },
        Deviation("additional section", "bad-section", "I10") { $0.index += Array("MORE".utf8) + u64(0) },
        Deviation("section longer than its content", "trailing-bytes", "I10") { $0.replace("SRCE", with: text("a") + text("b") + [0]) },
        Deviation("section shorter than its content", "truncated", "I10") { $0.replace("SRCE", with: text("a")) },
    ]

    static let blobs: [Deviation] = [
        Deviation("layout 3", "bad-blob", "I11") { $0.index[$0.section("BLOB") + 8] = 3 },
        Deviation("width 3", "bad-blob", "I11") { $0.index[$0.section("BLOB") + 9] = 3 },
        Deviation("width 0", "bad-blob", "I11") { $0.index[$0.section("BLOB") + 9] = 0 },
        .index("rotated planes of width 8", "bad-blob", "I11") {
            $0.blobs[0].width = 8; $0.blobs[0].planeLengths += [1, 1, 1, 1]
        },
        .index("length no multiple of the width", "bad-blob", "I11") { $0.blobs[0].byteCount -= 1 },
        Deviation("length past 2^63", "bad-blob", "I11") {
            let start = $0.section("BLOB") + 10
            $0.index.replaceSubrange(start..<start + 8, with: u64(.max - 3))
        },
        Deviation("more chunks than bytes", "truncated", "I10") {
            let start = $0.section("BLOB") + 10
            $0.index.replaceSubrange(start..<start + 8, with: u64(1 << 60))
        },
        .index("plane of 0 bytes", "bad-plane-length", "I12") { $0.blobs[0].planeLengths[0] = 0 },
        .index("plane longer than itself", "bad-plane-length", "I12") { $0.blobs[0].planeLengths[0] = 61 },
        .index("unsplit blob that is shortened", "bad-plane-length", "I12") { $0.blobs[0].planeLengths[0] = 1 },
        Deviation("a byte that no blob has", "bad-tiling", "I13") { $0.data.append(0) },
        Deviation("a byte too few", "bad-tiling", "I13") { $0.data.removeLast() },
        Deviation("unsplit blobs with padding that isn't 0", "bad-padding", "I14") { $0.data[10] = 1 },
        .index("unsplit blobs with a chunk checksum that's wrong", "checksum-mismatch", "I15") { $0.blobs[1].checksums[0] ^= 1 },
        .index("chunk checksum", "checksum-mismatch", "I15") { $0.blobs[2].checksums[0] ^= 1 },
        .index("digest", "digest-mismatch", "I17") { $0.blobs[1].digest[31] ^= 1 },
        .index("unsplit blobs with a digest that's wrong", "digest-mismatch", "I17") { $0.blobs[0].digest[0] ^= 1 },
        .index("blob past the end", "bad-blob-reference", "I18") { $0.tensors[2].blob = 9 },
        .index("blob out of turn", "bad-blob-reference", "I18") { $0.tensors[0].blob = 1 },
        .index("document that shares a blob", "bad-blob-reference", "I18") { $0.documents[0].blob = 1 },
        .index("blob that nobody uses", "bad-blob-reference", "I18") { $0.documents = [] },
        .index("blob of another width", "bad-blob-reference", "I18") {
            $0.tensors[2].dtype = .u8; $0.tensors[2].shape = [1_200]
        },
        .index("blob of another length", "bad-blob-reference", "I18") { $0.tensors[2].shape = [599] },
        .index("document of width 2", "bad-blob-reference", "I18") {
            $0.blobs[2] = Blob(layout: .planes, width: 2, byteCount: 42, planeLengths: [1, 1], checksums: [0])
        },
    ]

    static let objects: [Deviation] = [
        .index("empty tensor name", "bad-name", "I19") { $0.tensors[0].name = "" },
        .index("tensor name twice", "bad-name", "I19") { $0.tensors[1].name = "a" },
        .index("name past the limit", "bad-text", "I19") { $0.tensors[0].name = String(repeating: "n", count: 4_097) },
        Deviation("name that isn't UTF-8", "bad-text", "I19") { $0.index[$0.section("TENS") + 16] = 0xFF },
        Deviation("source that isn't UTF-8", "bad-text", "I19") { $0.index[$0.section("SRCE") + 8] = 0xC0 },
        .index("no group", "bad-group", "I20") { $0.groups = [] },
        .index("first group not the root", "bad-group", "I20") { $0.groups[0].path = "x" },
        .index("root twice", "bad-group", "I20") { $0.groups[1].path = "" },
        .index("group twice", "bad-group", "I20") { $0.groups[2].path = "g" },
        .index("group before its parent", "bad-group", "I20") { $0.groups.swapAt(1, 2) },
        .index("slash at the beginning", "bad-group", "I20") { $0.groups[2].path = "/g" },
        .index("slash at the end", "bad-group", "I20") { $0.groups[2].path = "g/" },
        .index("empty component", "bad-group", "I20") { $0.groups[2].path = "g//h" },
        Deviation("unknown dtype", "bad-dtype", "I22") { $0.index[$0.section("TENS") + 17] = 15 },
        .index("too many dimensions", "bad-shape", "I22") { $0.tensors[0].shape += [Int](repeating: 1, count: 31) },
        .index("shape past 64 bits", "bad-shape", "I22") { $0.tensors[0].shape = [1 << 40, 1 << 40] },
        .index("shape past 64 bits behind a 0", "bad-shape", "I22") { $0.tensors[0].shape = [1 << 40, 1 << 40, 0] },
        .index("tie of one", "bad-tie", "I23") { $0.ties[0] = [0] },
        .index("tie with itself", "bad-tie", "I23") { $0.ties[0] = [1, 1] },
        .index("tie with nothing", "bad-tie", "I23") { $0.ties[0] = [0, 3] },
        .index("tie of different tensors", "bad-tie", "I23") { $0.ties[0] = [0, 2] },
        .index("tie of different shapes", "bad-tie", "I23") { $0.tensors[1].shape = [60] },
        .index("too many objects", "count-too-large", "I26", limits: tightened { $0.objectCount = 5 }) { _ in },
        .index("too many groups", "count-too-large", "I26", limits: tightened { $0.objectCount = 2 }) { _ in },
        .section("TENS", "more tensors than bytes", "count-too-large", "I26", u64(1_000)),
        .section("GRUP", "more groups than anything", "count-too-large", "I26", u64(.max)),
        .section("TIES", "more tied tensors than bytes", "count-too-large", "I26", u64(1) + u64(3) + u64(0) + u64(1)),
        .index(
            "bomb", "shape-bomb", "I27",
            limits: tightened {
                $0.expansionFloor = 100; $0.expansionFactor = 0
            }
        ) { _ in },
    ]

    static let attributes: [Deviation] = [
        .section(
            "GRUP", "more attributes than allowed", "count-too-large", "I26", limits: tightened { $0.attributeCount = 0 },
            group([name("a") + [0]])),
        .section("GRUP", "attribute twice", "bad-attribute", "I21", group([name("a") + [0], name("a") + [0]])),
        .section("GRUP", "unknown kind", "bad-attribute", "I21", group([name("a") + [4]])),
        .section("GRUP", "unknown dtype of an attribute", "bad-dtype", "I22", group([name("a") + [1, 99]])),
        .section("GRUP", "numbers past the end", "truncated", "I10", group([name("a") + [2, 13] + u64(1) + u64(2) + u32(0)])),
        .section("GRUP", "numbers past the limit", "bad-attribute", "I21", group([name("a") + [2, 13] + u64(1) + u64(1 << 40)])),
        .section("GRUP", "unknown storage", "bad-attribute", "I21", group([name("a") + [3, 4, 0] + u64(0) + u64(0) + text("")])),
        .section("GRUP", "unknown charset", "bad-attribute", "I21", group([name("a") + [3, 0, 2] + u64(0) + u64(0) + text("")])),
        .section(
            "GRUP", "variable strings with a size", "bad-attribute", "I21", group([name("a") + [3, 0, 0] + u64(1) + u64(0) + text("")])),
        .section(
            "GRUP", "string longer than its size", "bad-attribute", "I21", group([name("a") + [3, 1, 0] + u64(1) + u64(0) + text("ab")])),
        .section(
            "GRUP", "more strings than bytes", "count-too-large", "I26", group([name("a") + [3, 0, 0] + u64(0) + u64(1) + u64(1 << 40)])),
        .section("GRUP", "string past the end", "truncated", "I10", group([name("a") + [3, 0, 0] + u64(0) + u64(0) + u64(.max)])),
        .section(
            "GRUP", "strings past the limit", "bad-attribute", "I21", limits: tightened { $0.documentByteCount = 60 },
            group([name("a") + [3, 0, 0] + u64(0) + u64(0) + text(String(repeating: "s", count: 61))])),
    ]

    static let values: [Deviation] =
        ["", "/etc/passwd", "..", "a/../b", "./a", "a//b", "a/", "a\\b", "a\u{0}", "a\nb", "\u{7F}"].map { path in
            .index("document \"\(path)\"", "bad-document", "I24") { $0.documents[0].name = path }
        } + [
            Deviation("document twice", "bad-document", "I24") {
                try $0.change { index in
                    index.blobs.append(Blob(layout: .planes, width: 1, byteCount: 0))
                    index.documents.append(.init(name: "config.json", blob: 3))
                }
            },
            .index("document past the limit", "bad-document", "I24", limits: tightened { $0.documentByteCount = 41 }) { $0.record = nil },
            Deviation("documents that expand too far", "bad-document", "I24") { parts in
                let constant = Blob(layout: .planes, width: 1, byteCount: 32 << 20).withEmptyRows()
                let old = try parts.decodedIndex().blobs[2].storedLength
                parts.data = Array(parts.data.dropLast(Int(old))) + [UInt8](repeating: 0, count: 64)
                try parts.change { index in
                    index.blobs[2] = constant
                    index.blobs[2].planeLengths = [UInt32](repeating: 1, count: 64)
                }
            },
            .section("RECD", "flag of 2", "bad-record", "I25", [2]),
            .section("RECD", "graph version past 2^63", "bad-record", "I25", [1] + text("a") + text("n") + u64(1 << 63)),
            .section("RECD", "text past the limit", "bad-record", "I25", [1] + u64(1 << 30)),
            .section(
                "RECD", "flag of the proof", "bad-record", "I25", [1] + text("a") + text("n") + u64(1) + text("") + text("") + u64(0) + [7]),
            .index("values that don't fit their shape", "bad-record", "I25") { $0.record?.proof?.inputs[0].values.removeLast() },
            .section("RECD", "no record where one is said to be", "truncated", "I10", [1]),
            .section("RECD", "more than the record", "trailing-bytes", "I10", [0, 0]),
        ]

    private static func tightened(_ change: (inout Limits) -> Void) -> Limits {
        var limits = Limits()
        change(&limits)
        return limits
    }

    /// The groups section with the root alone and these attributes.
    private static func group(_ attributes: [[UInt8]]) -> [UInt8] {
        u64(1) + text("") + u64(UInt64(attributes.count)) + attributes.flatMap { $0 } + [UInt8](repeating: 0, count: 0)
    }

    private static func name(_ name: String) -> [UInt8] { text(name) }
}
