import ByteIO
import FormatKit
import JSON
import ModelIR
import SafetensorsFormat
import TestSupport
import Testing

@Suite("safetensors: what the reference library wrote")
struct ReadingTests {
    static let rows = (try? FixtureFiles.rows("safetensors/manifest.json")) ?? []

    @Test func fixturesAreThere() { #expect(Self.rows.count >= 7) }

    @Test("tensors, attributes and ties are what was saved", arguments: rows)
    func contents(row: JSONObject) throws {
        let bytes = try FixtureFiles.bytes(try #require(row["path"]?.string))
        #expect(SafetensorsFormat.matches(ByteRegion(bytes: bytes)))
        let checkpoint = try open(bytes)
        #expect(checkpoint.format == "safetensors")
        #expect(checkpoint.groups.map(\.path) == [""])
        let wanted = try #require(row["tensors"]?.array)
        #expect(Set(checkpoint.tensors.map(\.name)) == Set(wanted.compactMap { $0["name"]?.string }))
        #expect(checkpoint.tensors.count == wanted.count)
        for tensor in wanted {
            let entry = try #require(checkpoint.tensors.first { $0.name == tensor["name"]?.string })
            #expect(entry.tensor.dtype.rawValue == tensor["dtype"]?.string, "\(entry.name)")
            #expect(entry.tensor.shape == tensor["shape"]?.array?.compactMap(\.int), "\(entry.name)")
            #expect(try hexadecimalText(entry.tensor.bytes()) == tensor["bytes"]?.string, "\(entry.name)")
            #expect(entry.attributes == [])
        }
        let attributes = try #require(row["attributes"]?.object).members.map { Attribute($0.key, .text($0.value.string ?? "")) }
        #expect(checkpoint.attributes == attributes)
        let ties = try #require(row["ties"]?.array).map { Checkpoint.Tie(names: $0.array?.compactMap(\.string) ?? []) }
        #expect(checkpoint.ties == ties)
    }

    @Test("written again, the bytes are the reference writer's, or come back the same", arguments: rows)
    func rewriting(row: JSONObject) throws {
        let bytes = try FixtureFiles.bytes(try #require(row["path"]?.string))
        let checkpoint = try open(bytes)
        let again = try written(checkpoint)
        #expect((again == bytes) == row["rewritten_equal"]?.bool)
        #expect(try differences(checkpoint, open(again)) == [])
        #expect(try written(open(again)) == again)
        // The header ends where a tensor of any dtype may begin.
        #expect(again[0] % 8 == 0)
    }

    @Test func tensorsLieInTheFile() throws {
        let path = FixtureFiles.path("safetensors/dtypes.safetensors")
        let checkpoint = try SafetensorsFormat.open(try ByteRegion(path: path), limits: Limits())
        for entry in checkpoint.tensors where entry.tensor.count > 0 {
            let region = try #require(entry.tensor.storage.region)
            #expect(region.path == path)
            #expect(region.offset % entry.tensor.dtype.size == 0)
        }
    }

    @Test func namesAreInTheOrderOfTheirNumbers() throws {
        let checkpoint = try open(try FixtureFiles.bytes("safetensors/names.safetensors"))
        let layers = checkpoint.tensors.map(\.name).filter { $0.hasPrefix("layer.") }
        #expect(layers == (0..<12).map { "layer.\($0).weight" })
        #expect(precedesInNameOrder("a.2.b", "a.10.a"))
        #expect(precedesInNameOrder("a", "a1"))
        #expect(precedesInNameOrder("a1", "ab"))
        #expect(precedesInNameOrder("a01", "a1") != precedesInNameOrder("a1", "a01"))
        #expect(!precedesInNameOrder("a1", "a1"))
        #expect(precedesInNameOrder("x99999999999999999999999", "x100000000000000000000000"))
    }

    @Test func tiesOfTorchAreTakenForOnesOnlyWhereNamesAgree() throws {
        func ties(_ metadata: String) throws -> [Checkpoint.Tie] {
            let header =
                #"{"__metadata__":{\#(metadata)},"pt":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"a.weight":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}}"#
            return try open(file(header, [1, 2])).ties
        }
        #expect(try ties(#""format":"pt""#) == [])
        #expect(try ties(#""b.weight":"a.weight""#) == [.init(names: ["a.weight", "b.weight"])])
        #expect(try ties(#""b.weight":"a.weight","c.weight":"a.weight""#) == [.init(names: ["a.weight", "b.weight", "c.weight"])])
        #expect(try ties(#""main":"a.weight""#) == [])
        #expect(try ties(#""a.weight":"pt""#) == [])
        #expect(try ties(#""b.weight":"d.weight""#) == [])
    }
}
