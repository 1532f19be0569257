import ByteIO
import FormatKit
import JSON
import SafetensorsFormat
import TestSupport
import Testing

@Suite("safetensors: bad files")
struct RuleTests {
    static let rows = ((try? FixtureFiles.rows("invalid/manifest.json")) ?? []).filter { $0["format"]?.string == "safetensors" }

    @Test func everyRuleHasAFile() {
        let rules = Set(Self.rows.compactMap { $0["constraint"]?.string })
        #expect(rules == Set((1...14).map { "S\($0)" }))
        #expect(Self.rows.count > 50)
    }

    @Test("each is refused by its code and rule", arguments: rows)
    func isRefused(row: JSONObject) throws {
        let bytes = try FixtureFiles.bytes(try #require(row["path"]?.string))
        let error = try #require(try errorOfReading(bytes))
        #expect(error.code.rawValue == row["rule"]?.string, "\(error)")
        #expect(error.rule == row["constraint"]?.string, "\(error)")
        #expect(!error.description.contains("\n"))
        #expect(error.description.count < 400)
    }

    @Test func dtypesThatAreNotSupportedAreAllNamed() throws {
        let header =
            #"{"x":{"dtype":"F4","shape":[2],"data_offsets":[0,1]},"y":{"dtype":"F8_E8M0","shape":[1],"data_offsets":[1,2]},"z":{"dtype":"U8","shape":[1],"data_offsets":[2,3]}}"#
        let error = #expect(throws: UnsupportedError.self) { try open(file(header, [0, 0, 0])) }
        #expect(error?.items == ["x: F4", "y: F8_E8M0"])
    }

    @Test func everyTruncationIsRefused() throws {
        for row in ReadingTests.rows {
            let bytes = try FixtureFiles.bytes(try #require(row["path"]?.string))
            for count in 0..<bytes.count { #expect(try errorOfReading(Array(bytes[..<count])) != nil, "\(count) bytes") }
        }
    }

    @Test func damageNeverTraps() throws {
        let bytes = try FixtureFiles.bytes("safetensors/tied.safetensors")
        var refused = 0
        for seed in 0..<20_000 as Range<UInt64> {
            let part = damaged(bytes, seed: seed)
            _ = SafetensorsFormat.matches(ByteRegion(bytes: part))
            if try errorOfReading(part) != nil { refused += 1 }
        }
        #expect(refused > 5_000)
    }

    /// Headers made of fragments of good and bad ones: what flips of bytes seldom reach.
    @Test func strangeHeadersNeverTrap() throws {
        let values = [
            "0", "1", "24", "-1", "9223372036854775807", "9223372036854775808", "18446744073709551615", "18446744073709551616", "1e300",
            "[]",
            "[0,0]", "[0,24]", "[24,0]", "[4294967296,4294967296,0]", "\"F32\"", "\"I64\"", "null", "{}", "NaN", "\"\\ud800\"",
        ]
        for seed in 0..<5_000 as Range<UInt64> {
            var numbers = SplitMix(seed: seed)
            func value() -> String { values.randomElement(using: &numbers) ?? "" }
            let entries = (0..<3).map {
                #""t\#($0)":{"dtype":\#(value()),"shape":[\#(value()),\#(value())],"data_offsets":[\#(value()),\#(value())]}"#
            }
            let metadata = #""__metadata__":{"ingot.ties":\#(value()),"x":\#(value())}"#
            _ = try errorOfReading(
                file("{" + (entries + [metadata]).shuffled(using: &numbers).joined(separator: ",") + "}", Array(repeating: 7, count: 24)))
        }
    }

    @Test func limits() throws {
        let bytes = try FixtureFiles.bytes("safetensors/names.safetensors")
        for change in [{ $0.objectCount = 3 }, { $0.nameByteCount = 4 }, { $0.rank = 1 }] as [(inout Limits) -> Void] {
            var limits = Limits()
            change(&limits)
            #expect(try errorOfReading(bytes, limits: limits)?.rule == "S13")
        }
    }

    @Test func detection() {
        func matches(_ bytes: [UInt8]) -> Bool { SafetensorsFormat.matches(ByteRegion(bytes: bytes)) }
        #expect(matches(file("{}")))
        #expect(!matches(Array(file("{}").prefix(8))))
        #expect(!matches(file("[]")))
        #expect(!matches([0x50, 0x4B, 3, 4, 0, 0, 0, 0, 0x7B]))
        #expect(!matches([2, 0, 0, 0, 1, 0, 0, 0, 0x7B, 0x7D]))
    }
}
