import ByteIO
import FormatKit
import JSON
import ModelIR
import PyTorchFormat
import TestSupport
import Testing

@Suite("PyTorch: what torch.save wrote")
struct ReadingTests {
    static let rows = (try? FixtureFiles.rows("pytorch/manifest.json")) ?? []

    @Test func fixturesAreThere() { #expect(Self.rows.count >= 25) }

    @Test("tensors and ties are what was saved, in its order", arguments: rows)
    func tensors(row: JSONObject) throws {
        let bytes = try FixtureFiles.bytes(try #require(row["path"]?.string))
        #expect(PyTorchFormat.matches(ByteRegion(bytes: bytes)))
        let checkpoint = try open(bytes)
        #expect(checkpoint.format == "pytorch")
        let wanted = try #require(row["tensors"]?.array)
        #expect(Set(checkpoint.tensors.map(\.name)) == Set(wanted.compactMap { $0["name"]?.string }))
        #expect(checkpoint.tensors.count == wanted.count)
        for tensor in wanted {
            let entry = try #require(checkpoint.tensors.first { $0.name == tensor["name"]?.string })
            #expect(entry.tensor.dtype.rawValue == tensor["dtype"]?.string, "\(entry.name)")
            #expect(entry.tensor.shape == tensor["shape"]?.array?.compactMap(\.int), "\(entry.name)")
            #expect(try hexadecimalText(entry.tensor.bytes()) == tensor["bytes"]?.string, "\(entry.name)")
        }
        let ties = try #require(row["ties"]?.array).map { Checkpoint.Tie(names: $0.array?.compactMap(\.string) ?? []) }
        #expect(checkpoint.ties == ties)
        #expect(try !PyTorchFormat.check(ByteRegion(bytes: bytes), limits: Limits()).isEmpty)
    }

    @Test("what stands beside tensors is kept", arguments: rows)
    func attributes(row: JSONObject) throws {
        let checkpoint = try open(try FixtureFiles.bytes(try #require(row["path"]?.string)))
        let wanted = try #require(row["attributes"]?.object)
        for group in checkpoint.groups where !group.attributes.isEmpty { #expect(wanted[group.path] != nil, "\(group.path)") }
        for member in wanted.members {
            let attributes = try #require(checkpoint.group(member.key)).attributes
            let values = try #require(member.value.object)
            #expect(attributes.map(\.name) == values.keys)
            for (attribute, value) in zip(attributes, values.members.map(\.value)) {
                #expect(isEqual(attribute.value, value), "\(attribute.name): \(attribute.value), expected \(value)")
            }
        }
    }

    private func isEqual(_ attribute: AttributeValue, _ value: JSONValue) -> Bool {
        func number(_ dtype: DType) -> Double? {
            guard case .numbers(let numbers) = attribute, numbers.dtype == dtype, numbers.shape == [] else { return nil }
            return (try? Tensor(dtype: dtype, shape: [], bytes: numbers.bytes).doubles())?.first
        }
        switch value {
        case .null: return attribute == .null(nil)
        case .bool(let bool): return number(.bool) == (bool ? 1 : 0)
        case .number(let literal): return number(literal.isInteger ? .i64 : .f64) == literal.double
        case .string(let text): return attribute.text.map { $0 == text || (try? JSONValue.parse($0)) == value } ?? false
        case .object(let object) where object.keys == ["u8"]:
            guard case .numbers(let numbers) = attribute else { return false }
            return numbers.dtype == .u8 && numbers.shape == [numbers.bytes.count] && hexadecimalText(numbers.bytes) == object["u8"]?.string
        case .array, .object: return attribute.text.flatMap { try? JSONValue.parse($0) } == value
        }
    }

    @Test func tensorsLieInTheFile() throws {
        for name in ["state_dict_zip", "state_dict_stack"] {
            let path = FixtureFiles.path("pytorch/\(name).pt")
            let checkpoint = try PyTorchFormat.open(try ByteRegion(path: path), limits: Limits())
            for entry in checkpoint.tensors {
                #expect(try #require(entry.tensor.storage.region).path == path)
            }
        }
    }

    @Test func viewsThatAreNotContiguousAreReadInPieces() throws {
        let checkpoint = try open(try FixtureFiles.bytes("pytorch/views_zip.pt"))
        for entry in checkpoint.tensors {
            var pieces: [UInt8] = []
            try entry.tensor.forEachPiece(ofSize: 8) { pieces += $0 }
            #expect(try pieces == entry.tensor.bytes(), "\(entry.name)")
        }
    }

    @Test func writingIsRefused() throws {
        let checkpoint = try open(try FixtureFiles.bytes("pytorch/by_hand.pt"))
        let file = try TemporaryPath()
        #expect(throws: UnsupportedError.self) {
            try file.bytes { try PyTorchFormat.write(checkpoint, to: $0, options: WriteOptions()) }
        }
    }
}
