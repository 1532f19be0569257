import ByteIO
import Conversion
import Executor
import FormatKit
import JSON
import ModelIR
import TestSupport
import Testing

@testable import Architectures

/// Every model that transformers wrote computes what transformers computed, as read and after each change of names.
@Suite struct TransformerTests {
    @Test func fixturesAreThere() {
        #expect(Fixtures.transformers.count > 200)
        #expect(TransformerFixture.supported.count > 100)
        for family in HuggingFaceArchitecture.families {
            for type in family.modelTypes where !["xlm-roberta", "camembert", "sparse_transformer"].contains(type) {
                #expect(TransformerFixture.supported.contains { $0.architecture == type }, "\(type) has no fixture")
            }
        }
    }

    @Test(arguments: TransformerFixture.supported) func computesWhatTransformersDid(fixture: TransformerFixture) throws {
        let model = try fixture.model()
        #expect(model.className == fixture.className)
        for backend in Backend.allCases { #expect(try fixture.differences(of: model, on: backend) == [], "\(backend)") }
        #expect(model.report.unknownKeys == [])
        #expect(!model.layers.isEmpty)
        #expect(Set(model.layers.flatMap(\.parameters)) == Set(model.parameters.map(\.name)))
    }

    /// To the other convention, or to PyTorch's own, and back: the same parameters bit for bit, and the same graph.
    @Test(arguments: TransformerFixture.models) func survivesBothConventions(fixture: TransformerFixture) throws {
        let model = try fixture.model()
        let pytorch = try lifted(model.lower(to: .pytorch))
        try expectSame(model, pytorch)
        #expect(pytorch.convention == .pytorch)
        let again = try lifted(pytorch.lower(to: .pytorch))
        try expectSame(model, again)
        guard let lowered = try? model.lower(to: .tensorflow) else {
            #expect(model.convention == .pytorch, "a TensorFlow file can't be written again")
            return
        }
        let tensorFlow = try lifted(lowered)
        #expect(tensorFlow.convention == .tensorflow)
        try expectSame(model, tensorFlow)
        try expectSame(model, lifted(tensorFlow.lower(to: .pytorch)))
        // Where the input isn't given, TensorFlow's class makes no token global.
        guard model.className != "LongformerForMultipleChoice" else { return }
        #expect(try fixture.differences(of: tensorFlow) == [])
    }

    /// What a TensorFlow class wrote is written again with the same groups, datasets, shapes and lists of names.
    @Test(arguments: TransformerFixture.models.filter { $0.dialect == "tf4" })
    func writesWhatTensorFlowWrote(fixture: TransformerFixture) throws {
        let model = try fixture.model()
        let written = try model.lower(to: .tensorflow).checkpoint
        let source = model.checkpoint
        let theirs = source.tensors.map { "\($0.name) \($0.tensor.shape)" }
        #expect(written.tensors.map { "\($0.name) \($0.tensor.shape)" }.sorted() == theirs.sorted())
        let owners = try #require(source.attributes.strings("layer_names")).filter { name in
            source.group(name)?.attributes.strings("weight_names")?.isEmpty == false
        }
        #expect(written.attributes.strings("layer_names")?.sorted() == owners.sorted())
        for name in owners {
            let names = try #require(written.group(name)?.attributes.strings("weight_names"))
            #expect(names.sorted() == source.group(name)?.attributes.strings("weight_names")?.sorted(), "\(name)")
        }
        #expect(written.attributes["backend"] == source.attributes["backend"])
        #expect(written.attributes["keras_version"] == source.attributes["keras_version"])
        #expect(written.group("top_level_model_weights") != nil)
    }

    /// Names and shapes of the classes of which there is no such file, as TensorFlow's classes write them.
    @Test func writesTheNamesOfEveryTensorFlowClass() throws {
        let names = try #require(try JSONValue.parse(Fixtures.bytes("transformers/tf_names.json")).object)
        var checked = 0
        for member in names.members {
            guard
                let fixture = TransformerFixture.models.first(where: {
                    $0.className == member.key && $0.name == member.value["case"]?.string
                }),
                let layers = member.value["layers"]?.array
            else { continue }
            let written = try fixture.model().lower(to: .tensorflow).checkpoint
            let shapes = Dictionary(written.tensors.map { ($0.name, $0.tensor.shape) }, uniquingKeysWith: { first, _ in first })
            var wanted: [String: [Int]] = [:]
            for layer in layers {
                let group = try #require(layer[0]?.string)
                for weight in layer[1]?.array ?? [] {
                    wanted["\(group)/\(try #require(weight[0]?.string))"] = weight[1]?.array?.compactMap(\.int)
                }
            }
            #expect(shapes == wanted, "\(member.key)")
            checked += 1
        }
        #expect(checked > 5)
    }

    /// Graphs read like the paper; `INGOT_RENEW=1` writes them anew.
    @Test(arguments: ["bert_pretraining", "albert_groups"]) func graphIsAsItWas(name: String) throws {
        let fixture = try #require(TransformerFixture.models.first { $0.name == name })
        let graph = try fixture.model().graph()
        #expect(try Golden.difference(graph.text, "graphs/\(name).txt") == nil)
        #expect(try Graph.parse(graph.text) == graph)
    }

    // MARK: - What isn't there, isn't known, or differs

    /// A head's weights that are missing are named; a base model leaves a head's weights aside and says so.
    @Test func missingAndUnusedWeightsAreNamed() throws {
        let fixture = try #require(TransformerFixture.models.first { $0.name == "bert_sequence" && $0.dialect == "safetensors5" })
        var checkpoint = try fixture.model().checkpoint
        try changeConfig(&checkpoint) { $0["architectures"] = ["BertModel"] }
        let base = try #require(try HuggingFaceArchitecture.lift(checkpoint) as? TransformerModel)
        #expect(base.report.unused.sorted() == ["classifier.bias", "classifier.weight"])
        #expect(try base.lower(to: .pytorch).notes.contains { $0.contains("classifier.weight") })
        #expect(base.parameters.contains { $0.name == "pooler.dense.weight" })
        try changeConfig(&checkpoint) { $0["architectures"] = ["BertForMaskedLM"] }
        let error = #expect(throws: FormatError.self) { try HuggingFaceArchitecture.lift(checkpoint) }
        #expect(error?.code == "missing-weight")
        #expect(error?.description.contains("cls.predictions.transform.dense.weight") == true)
    }

    /// What a configuration asks for and Ingot can't do stops a run, not the carrying of tensors under their names.
    @Test func unsupportedConfigurationsAreCarried() throws {
        let fixture = try #require(TransformerFixture.models.first { $0.name == "bert_model" && $0.dialect == "safetensors5" })
        for (key, value) in [("hidden_act", "xielu"), ("add_cross_attention", true), ("position_embedding_type", "rotary")]
            as [(String, JSONValue)]
        {
            var checkpoint = try fixture.model().checkpoint
            try changeConfig(&checkpoint) { $0[key] = value }
            let model = try #require(try HuggingFaceArchitecture.lift(checkpoint))
            #expect(throws: UnsupportedError.self) { try model.graph() }
            #expect(throws: UnsupportedError.self) { try model.lower(to: .tensorflow) }
            #expect(model.parameters.count == checkpoint.tensors.count)
            #expect(!model.layers.isEmpty && model.layers.allSatisfy { !$0.isSupported })
        }
        var checkpoint = try fixture.model().checkpoint
        try changeConfig(&checkpoint) { $0["brand_new_key"] = 3 }
        #expect(try HuggingFaceArchitecture.lift(checkpoint)?.report.unknownKeys == ["brand_new_key"])
        try changeConfig(&checkpoint) { $0["model_type"] = "no_such_model" }
        #expect(try HuggingFaceArchitecture.lift(checkpoint) == nil)
    }

    /// Equal bytes are no tie: a decoder stored apart that equals the embeddings stays apart if the configuration says so.
    @Test func equalIsNotTied() throws {
        let fixture = try #require(TransformerFixture.models.first { $0.name == "bert_masked_lm_untied" && $0.dialect == "safetensors5" })
        var checkpoint = try fixture.model().checkpoint
        let embeddings = try #require(checkpoint.tensors.first { $0.name == "bert.embeddings.word_embeddings.weight" }).tensor
        let position = try #require(checkpoint.tensors.firstIndex { $0.name == "cls.predictions.decoder.weight" })
        checkpoint.tensors[position].tensor = Tensor(dtype: embeddings.dtype, shape: embeddings.shape, bytes: try embeddings.bytes())
        let model = try #require(try HuggingFaceArchitecture.lift(checkpoint))
        let written = try model.lower(to: .pytorch).checkpoint
        #expect(written.ties == [])
        #expect(written.tensors.contains { $0.name == "cls.predictions.decoder.weight" })
        #expect(throws: UnsupportedError.self) { try model.lower(to: .tensorflow) }
        // And the other way round: said to be tied, but stored with other values.
        var other = try fixture.model().checkpoint
        try changeConfig(&other) { $0["tie_word_embeddings"] = true }
        let separate = try #require(try HuggingFaceArchitecture.lift(other) as? TransformerModel)
        #expect(try fixture.differences(of: separate) == [])
        let config = try JSONValue.parse(try #require(try separate.lower(to: .pytorch).checkpoint.document("config.json")).bytes)
        #expect(config["tie_word_embeddings"]?.bool == false)
    }

    private func fixture(_ name: String, _ dialect: String) throws -> TransformerFixture {
        try #require(TransformerFixture.models.first { $0.name == name && $0.dialect == dialect })
    }

    private func configuration(_ lowered: Lowered) throws -> JSONValue {
        try JSONValue.parse(try #require(lowered.checkpoint.document("config.json")).bytes)
    }

    /// TensorFlow's classes leave some keys aside: their files compute the same whatever these say, and PyTorch's classes get to read what
    /// was computed with.
    @Test(arguments: [
        ("roberta_masked_lm", "pad_token_id", JSONValue.int(3), JSONValue.int(1)),
        ("gpt2_lm", "scale_attn_by_inverse_layer_idx", true, false),
        ("gpt2_lm", "scale_attn_weights", false, true),
        ("gpt2_lm", "tie_word_embeddings", false, true),
        ("bert_masked_lm", "position_embedding_type", "relative_key", "absolute"),
    ])
    func tensorFlowComputesWithConstants(name: String, key: String, stated: JSONValue, computed: JSONValue) throws {
        let written = try fixture(name, "tf4")
        var checkpoint = try written.model().checkpoint
        try changeConfig(&checkpoint) { $0[key] = stated }
        let model = try #require(try HuggingFaceArchitecture.lift(checkpoint) as? TransformerModel)
        #expect(try written.differences(of: model) == [])
        let lowered = try model.lower(to: .pytorch)
        #expect(try configuration(lowered)[key] == computed)
        #expect(try written.differences(of: lifted(lowered)) == [])
        #expect(try configuration(model.lower(to: .tensorflow))[key] == stated || key == "tie_word_embeddings")

        var other = try fixture(name, "safetensors5").model().checkpoint
        try changeConfig(&other) { $0[key] = stated }
        guard key != "tie_word_embeddings", key != "position_embedding_type" else { return }
        #expect(throws: UnsupportedError.self) { try HuggingFaceArchitecture.lift(other)?.lower(to: .tensorflow) }
    }

    /// An activation that TensorFlow's classes have under another name gets that; one that they don't have is refused.
    @Test(
        arguments: [
            ("gelu_python", "gelu"), ("gelu_accurate", "gelu_new"), ("gelu_pytorch_tanh", "gelu_new"), ("gelu_python_tanh", "gelu_new"),
            ("gelu_fast", "gelu_fast"), ("laplace", nil), ("hardswish", nil), ("leaky_relu", nil),
        ] as [(String, String?)])
    func activationsAreCalledAsTensorFlowDoes(name: String, wanted: String?) throws {
        let fixture = try fixture("bert_\(name)", "safetensors5")
        let model = try fixture.model()
        guard let wanted else {
            #expect(throws: UnsupportedError.self) { try model.lower(to: .tensorflow) }
            return
        }
        let lowered = try model.lower(to: .tensorflow)
        #expect(try configuration(lowered)["hidden_act"]?.string == wanted)
        #expect(lowered.notes.contains { $0.contains("hidden_act") } == (wanted != name))
        #expect(try fixture.differences(of: lifted(lowered)) == [])
    }

    /// What transformers 5 makes of a model otherwise than 4 is said.
    @Test(
        arguments: [
            ("bert_relative_key", "safetensors4", nil, "position_embedding_type"), ("mt5_lm", "safetensors4", true, "doesn't scale mT5's"),
            ("umt5_lm", "safetensors4", false, "always scales UMT5's"), ("umt5_lm", "safetensors4", true, nil),
        ] as [(String, String, Bool?, String?)])
    func versionsThatDisagreeAreNoted(name: String, dialect: String, ties: Bool?, words: String?) throws {
        var checkpoint = try fixture(name, dialect).model().checkpoint
        if let ties { try changeConfig(&checkpoint) { $0["tie_word_embeddings"] = .bool(ties) } }
        // An untied head is stored.
        if ties == false, let shared = checkpoint.tensors.first(where: { $0.name == "shared.weight" }) {
            checkpoint.tensors.append(.init(name: "lm_head.weight", tensor: shared.tensor))
        }
        let notes = try #require(try HuggingFaceArchitecture.lift(checkpoint)).lower(to: .pytorch).notes
        #expect(notes.contains { words.map($0.contains) ?? $0.contains("scale") } == (words != nil), "\(notes)")
    }

    /// TFDistilBert's classifiers miss a dropout of their own if a file doesn't list it, under the number that Keras gives it.
    @Test(arguments: ["sequence", "token", "question", "multiple_choice"]) func distilBERTListsItsDropout(head: String) throws {
        let written = try fixture("distilbert_\(head)", "safetensors5").model().lower(to: .tensorflow).checkpoint
        #expect(written.attributes.strings("layer_names")?.contains("dropout_4") == true)
        #expect(written.group("dropout_4")?.attributes.strings("weight_names") == [])
    }

    @Test(arguments: ["roberta_twelve_layers", "albert_no_pooler"]) func aPoolerThatIsMissingIsNotMadeUp(name: String) throws {
        #expect(throws: UnsupportedError.self) { try fixture(name, "safetensors5").model().lower(to: .tensorflow) }
    }

    private func changeConfig(_ checkpoint: inout Checkpoint, _ change: (inout JSONObject) -> Void) throws {
        let position = try #require(checkpoint.documents.firstIndex { $0.name == "config.json" })
        var json = try #require(try JSONValue.parse(checkpoint.documents[position].bytes).object)
        change(&json)
        checkpoint.documents[position].bytes = Array(JSONValue.object(json).serialized().utf8)
    }

    private func lifted(_ lowered: Lowered) throws -> TransformerModel {
        try #require(try HuggingFaceArchitecture.lift(lowered.checkpoint) as? TransformerModel)
    }

    private func expectSame(_ a: TransformerModel, _ b: TransformerModel) throws {
        #expect(a.className == b.className)
        #expect(a.parameters.map(\.name) == b.parameters.map(\.name))
        for (x, y) in zip(a.parameters, b.parameters) {
            #expect(x.tensor.shape == y.tensor.shape && x.tensor.dtype == y.tensor.dtype)
            #expect(try x.tensor.bytes() == y.tensor.bytes(), "\(x.name)")
        }
        #expect(b.report.unused == [])
        guard a.family != nil else { return }
        #expect(try a.graph() == b.graph())
    }
}
