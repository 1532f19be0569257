import ByteIO
import FormatKit
import JSON
import KerasFormat
import TestSupport
import Testing

@Suite(".keras: bad files")
struct InvalidTests {
    /// Codes of this format; the other rows of the manifest break rules of the weights or the configuration.
    static let ownCodes: Set<String> = ["not-a-zip", "not-hdf5", "external-link", "truncated", "too-large"]
    static let rows = ((try? FixtureFiles.rows("invalid/manifest.json")) ?? []).filter {
        guard $0["format"]?.string == "keras-zip", let code = $0["rule"]?.string else { return false }
        return ownCodes.contains(code) || code.hasPrefix("zip-") && $0["path"]?.string?.hasSuffix("metadata_no_version.keras") == false
    }

    @Test func fixturesAreThere() { #expect(Self.rows.count > 20) }

    @Test("each is refused by its code and a rule", arguments: rows)
    func isRefused(row: JSONObject) throws {
        var limits = Limits()
        if let count = row["documentByteCount"]?.int { limits.documentByteCount = count }
        if let floor = row["expansionFloor"]?.int { limits.expansionFloor = UInt64(floor) }
        let bytes = try FixtureFiles.bytes(try #require(row["path"]?.string))
        let error = try #require(try errorOfReading(bytes, limits: limits))
        #expect(error.code.rawValue == row["rule"]?.string, "\(error)")
        #expect(error.rule?.hasPrefix(error.format == "hdf5" ? "H" : "K") == true, "\(error)")
        #expect(!error.description.contains("\n"))
    }

    static let document = CraftedZip.Member("config.json", Array("{}".utf8))
    static let metadata = CraftedZip.Member("metadata.json", Array("{}".utf8))

    @Test("detection: what is claimed, so that opening can say what is missing")
    func detection() throws {
        func check(_ members: [CraftedZip.Member], matches: Bool, code: String?) throws {
            let bytes = CraftedZip(members).bytes
            #expect(KerasFormat.matches(ByteRegion(bytes: bytes)) == matches, "\(members.map(\.name))")
            if let code { #expect(try errorOfReading(bytes)?.code.rawValue == code, "\(members.map(\.name))") }
        }
        let weights = CraftedZip.Member("model.weights.h5", [1, 2, 3])
        try check([Self.metadata, Self.document, weights], matches: true, code: "not-hdf5")
        try check([Self.document, weights], matches: true, code: "zip-no-metadata")
        try check([Self.metadata, weights], matches: true, code: "zip-no-config")
        try check([Self.metadata], matches: true, code: "zip-no-config")
        try check([Self.metadata, Self.document], matches: true, code: "zip-no-weights")
        try check([Self.metadata, Self.document, .init("model.weights.npz")], matches: true, code: "unsupported")
        try check([Self.metadata, Self.document, .init("model.weights.json")], matches: true, code: "unsupported")
        try check([Self.document], matches: false, code: nil)
        try check([.init("x.npy")], matches: false, code: nil)
        try check([.init("archive/data.pkl"), .init("archive/data/0")], matches: false, code: nil)
        try check([.init("folder/config.json"), .init("folder/model.weights.h5")], matches: false, code: nil)
        for bytes in [[], [0x50], Array("PK\u{3}\u{4}".utf8), [0x50, 0x4B, 5, 6]] as [[UInt8]] {
            #expect(!KerasFormat.matches(ByteRegion(bytes: bytes)))
        }
    }

    @Test("limits on documents")
    func limits() throws {
        let bytes = try FixtureFiles.bytes("keras3/keras3_dense_small.keras")
        func error(_ change: (inout Limits) -> Void) throws -> FormatError? {
            var limits = Limits()
            change(&limits)
            return try errorOfReading(bytes, limits: limits)
        }
        let documents = try open(bytes).documents
        #expect(try error { $0.documentByteCount = documents[1].bytes.count } == nil)
        let single = try error { $0.documentByteCount = documents[1].bytes.count - 1 }
        #expect(single?.code == "too-large")
        #expect(single?.rule == "K5")
        let archive = try error { $0.objectCount = 2 }
        #expect(archive?.code == "too-large")
        #expect(archive?.rule == "K1")
    }

    @Test("every truncation is refused, and still told to be a .keras file")
    func truncations() throws {
        let bytes = try FixtureFiles.bytes("keras3/keras3_dense_small.keras")
        for count in 0..<bytes.count {
            let part = Array(bytes[..<count])
            #expect(try errorOfReading(part) != nil, "\(count) bytes")
            // The name of the first member ends at byte 43.
            #expect(KerasFormat.matches(ByteRegion(bytes: part)) == (count >= 43), "\(count) bytes")
        }
    }

    @Test("damage to the archive never traps")
    func damage() throws {
        let bytes = try FixtureFiles.bytes("keras3/keras3_dense_small.keras")
        let weights = try #require(bytes.indices.first { bytes[$0...].starts(with: [0x89, 0x48, 0x44, 0x46]) })
        let count = try #require(bytes[weights...].firstRange(of: [0x50, 0x4B, 1, 2])).lowerBound - weights
        for seed in 0..<5_000 as Range<UInt64> {
            // Damage to the weights is libhdf5's affair, and read in a process of its own for that reason.
            var part = damaged(bytes, seed: seed)
            part.replaceSubrange(weights..<weights + count, with: bytes[weights..<weights + count])
            _ = KerasFormat.matches(ByteRegion(bytes: part))
            _ = try errorOfReading(part)
        }
    }
}
