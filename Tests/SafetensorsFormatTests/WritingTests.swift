import ByteIO
import FormatKit
import JSON
import ModelIR
import SafetensorsFormat
import TestSupport
import Testing

@Suite("safetensors: writing")
struct WritingTests {
    private func sample() -> Checkpoint {
        var checkpoint = Checkpoint(format: "hdf5")
        checkpoint.tensors = [
            .init(name: "wte.weight", tensor: Tensor([1, 2, 3, 4, 5, 6] as [Float], shape: [2, 3])),
            .init(name: "ids", tensor: Tensor([3] as [Int64], shape: [])),
            .init(name: "mask", tensor: Tensor(dtype: .bool, shape: [3], bytes: [1, 0, 1])),
            .init(name: "lm_head.weight", tensor: Tensor([1, 2, 3, 4, 5, 6] as [Float], shape: [2, 3])),
        ]
        checkpoint.ties = [.init(names: ["wte.weight", "lm_head.weight"])]
        return checkpoint
    }

    private func header(_ bytes: [UInt8]) throws -> JSONValue {
        let count = bytes.prefix(8).reversed().reduce(0) { $0 << 8 | Int($1) }
        return try JSONValue.parse(Array(bytes[8..<8 + count]))
    }

    @Test func orderAlignmentAndTies() throws {
        let bytes = try written(sample())
        let header = try #require(try header(bytes).object)
        #expect(header.keys == ["__metadata__", "ids", "wte.weight", "mask"])
        #expect(header["__metadata__"]?["format"] == "pt")
        #expect(header["__metadata__"]?["ingot.ties"]?.string == #"[["wte.weight","lm_head.weight"]]"#)
        let again = try open(bytes)
        #expect(again.ties == sample().ties)
        #expect(again.attributes == [])
        #expect(Set(again.tensors.map(\.name)) == Set(sample().tensors.map(\.name)))
        for entry in sample().tensors {
            #expect(try again.tensors.first { $0.name == entry.name }?.tensor.bytes() == entry.tensor.bytes())
        }
    }

    @Test func whatIsLeftOutIsSaid() throws {
        var checkpoint = sample()
        checkpoint.attributes = [
            Attribute("keras_version", .text("2.18.0")),
            Attribute("epoch", .numbers(.init(dtype: .i64, shape: [], bytes: [1, 0, 0, 0, 0, 0, 0, 0]))),
        ]
        checkpoint.groups.append(.init(path: "dense", attributes: splitAttribute("weight_names", ["kernel:0"])))
        checkpoint.groups.append(.init(path: "empty"))
        checkpoint.tensors[0].attributes = [Attribute("trainable", .text("yes"))]
        checkpoint.documents = [
            .init(name: "config.json", bytes: Array(#"{"model_type":"gpt2"}"#.utf8)), .init(name: "vocab.json", bytes: [0x7B, 0x7D]),
        ]
        #expect(throws: UnsupportedError.self) { try written(checkpoint) }
        let (fitted, notes) = SafetensorsFormat.fitted(checkpoint)
        #expect(notes.count == 4)
        for word in ["epoch", "dense/weight_names", "wte.weight/trainable", "vocab.json"] {
            #expect(notes.contains { $0.contains(word) }, "\(word)")
        }
        let again = try open(try written(fitted))
        #expect(again.attributes.map(\.name) == ["keras_version", "config.json"])
        #expect(again.attributes["config.json"]?.text == #"{"model_type":"gpt2"}"#)
        #expect(SafetensorsFormat.fitted(again).notes == [])
    }

    @Test func whatCanNotBeWrittenIsNamed() throws {
        func error(_ change: (inout Checkpoint) -> Void) -> UnsupportedError? {
            var checkpoint = sample()
            change(&checkpoint)
            return #expect(throws: UnsupportedError.self) { try written(checkpoint) }
        }
        #expect(error { $0.opaque = [.init(name: "table", description: "strings [3]")] }?.items == ["table: strings [3]"])
        #expect(error { $0.tensors[0].name = "__metadata__" }?.items.count == 1)
        #expect(error { $0.tensors[0].name = "" }?.items.count == 1)
        #expect(error { $0.tensors[0].name = "ids" }?.items == ["two tensors ids"])
        #expect(error { $0.attributes = [Attribute("ingot.ties", .text("[]"))] }?.items.count == 1)
        #expect(error { $0.attributes = [Attribute("ids", .text("wte.weight"))] }?.items.count == 1)
        #expect(error { $0.attributes = [Attribute("x", .text("1")), Attribute("x", .text("2"))] }?.items.count == 1)
        #expect(error { $0.ties = [.init(names: ["ids", "mask"])] }?.items.count == 1)
    }

    /// Names that a tie lists and no tensor has are of no concern; a tensor is left out once.
    @Test func tiesThatOverlap() throws {
        var checkpoint = sample()
        checkpoint.ties = [
            .init(names: ["gone", "wte.weight", "lm_head.weight"]), .init(names: ["lm_head.weight", "wte.weight"]), .init(names: ["ids"]),
        ]
        let again = try open(try written(checkpoint))
        #expect(again.ties == [.init(names: ["wte.weight", "lm_head.weight"])])
        #expect(again.tensors.count == 4)
    }
}
