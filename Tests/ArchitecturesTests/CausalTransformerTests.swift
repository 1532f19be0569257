import ByteIO
import FormatKit
import JSON
import ModelIR
import TestSupport
import Testing

@testable import Architectures

/// What GPT-2, T5, GPT-Neo and the Sparse Transformer have of their own: graphs, buckets, defaults of inputs, and what they refuse.
@Suite struct CausalTransformerTests {
    static let golden = [
        "transformers/gpt2_lm/safetensors5", "transformers/t5_v11/safetensors5", "transformers/gpt_neo_lm/safetensors5",
        "sparse/strided_heads/model",
    ]

    private func model(_ path: String) throws -> TransformerModel {
        try #require(TransformerFixture.models.first { $0.path == path }).model()
    }

    /// `INGOT_RENEW=1` writes them anew.
    @Test(arguments: golden) func graphIsAsItWas(path: String) throws {
        let graph = try model(path).graph()
        #expect(try Golden.difference(graph.text, "graphs/\(path.split(separator: "/")[1]).txt") == nil)
        #expect(try Graph.parse(graph.text) == graph)
    }

    // MARK: - Relative positions

    /// Distances at which the bucket changes, as the framework computes them in f32.
    @Test func bucketsBeginWhereTheFrameworksDo() throws {
        let encoder = try RelativePositionBuckets(count: 32, maximumDistance: 128, isBidirectional: true)
        #expect(encoder.thresholds == [12, 16, 23, 32, 46, 64, 91])
        let decoder = try RelativePositionBuckets(count: 32, maximumDistance: 128, isBidirectional: false)
        #expect(decoder.thresholds == [19, 21, 24, 27, 31, 35, 40, 46, 52, 59, 67, 77, 87, 99, 113])
        #expect(decoder.reachingLength == 115)
        #expect(throws: FormatError.self) { try RelativePositionBuckets(count: 32, maximumDistance: 8, isBidirectional: true) }
        #expect(throws: FormatError.self) { try RelativePositionBuckets(count: 2, maximumDistance: 8, isBidirectional: true) }
        #expect(throws: UnsupportedError.self) {
            try RelativePositionBuckets(count: 1 << 20, maximumDistance: 1 << 30, isBidirectional: true)
        }
    }

    // MARK: - Inputs

    @Test func decoderStartsFromItsToken() throws {
        let ids = Tensor([Int64]([5, 6, 7, 8, 9, 10]), shape: [2, 3])
        let (inputs, notes) = try model("transformers/t5_v11/safetensors5").completed(["input_ids": ids])
        #expect(try inputs["decoder_input_ids"]?.doubles() == [0, 0])
        #expect(inputs["decoder_attention_mask"]?.shape == [2, 1])
        #expect(try inputs["attention_mask"]?.doubles() == [1, 1, 1, 1, 1, 1])
        #expect(notes.count == 1)
    }

    @Test func tokenTypesLeftOutAreNone() throws {
        let gpt2 = try model("transformers/gpt2_lm/safetensors5")
        let ids = Tensor([Int64]([5, 6, 7]), shape: [1, 3])
        let inputs = try gpt2.completed(["input_ids": ids]).inputs
        #expect(try inputs["token_type_ids"]?.doubles() == [-1, -1, -1])
        #expect(try inputs["position_ids"]?.doubles() == [0, 1, 2])
        let negative = Tensor([Int64]([0, -1, 0]), shape: [1, 3])
        #expect(throws: InputError.self) { try gpt2.completed(["input_ids": ids, "token_type_ids": negative]) }
        #expect(throws: InputError.self) { try gpt2.completed([:]) }
    }

    @Test func choicesAreScoredAtTheirLastToken() throws {
        let heads = try model("transformers/gpt2_double_heads/safetensors5")
        let ids = Tensor([Int64](repeating: 3, count: 12), shape: [1, 3, 4])
        #expect(try heads.completed(["input_ids": ids]).inputs["mc_token_ids"]?.doubles() == [3, 3, 3])
    }

    // MARK: - What can't be written or run

    @Test func tensorFlowRefusesWhatItsClassesIgnore() throws {
        for path in ["gpt2_unscaled", "gpt2_inverse_layer", "gpt2_token", "gpt2_question", "gpt2_lm_untied", "gpt_neo_lm", "umt5_lm"] {
            let model = try model("transformers/\(path)/safetensors5")
            #expect(throws: UnsupportedError.self, "\(path)") { try model.lower(to: .tensorflow) }
        }
    }

    /// Version 4 scales a head where it is tied: a head that isn't scaled says so to both versions, with a weight of its own.
    @Test func scalingIsStatedForBothVersions() throws {
        for (path, scales) in [("t5_v11", false), ("t5_lm", true), ("t5_v11_fresh", false)] {
            let written = try model("transformers/\(path)/safetensors5").lower(to: .pytorch).checkpoint
            let config = try JSONValue.parse(try #require(written.document("config.json")).bytes)
            #expect(config["tie_word_embeddings"]?.bool == scales, "\(path)")
            #expect(config["scale_decoder_outputs"]?.bool == scales, "\(path)")
            let isTied = written.ties.contains { $0.names.contains("lm_head.weight") }
            #expect(isTied == scales, "\(path)")
            #expect(written.tensors.contains { $0.name == "lm_head.weight" })
        }
    }

    @Test(arguments: [
        #"{"kind": "strided", "integration": "merged"}"#, #"{"kind": "strided", "stride": 0, "integration": "merged"}"#,
        #"{"kind": "fixed", "stride": 4, "integration": "merged"}"#,
        #"{"kind": "fixed", "stride": 4, "summary": 5, "integration": "heads"}"#,
        #"{"kind": "spiral", "stride": 4, "integration": "heads"}"#, #"{"kind": "strided", "stride": 4, "integration": "stacked"}"#,
        #"{"kind": "strided", "stride": 4, "integration": "heads", "dilation": 2}"#, #"[1]"#,
    ])
    func sparseAttentionIsChecked(text: String) throws {
        var checkpoint = Checkpoint(format: "test")
        let json = #"{"model_type": "sparse_transformer", "sparse_attention": \#(text)}"#
        checkpoint.documents.append(.init(name: "config.json", bytes: Array(json.utf8)))
        let config = try #require(try TransformerConfig(checkpoint))
        #expect(throws: (any Error).self) { try SparseAttention(config) }
    }

    @Test func patternsFollowTheirIntegration() throws {
        func patterns(_ path: String) throws -> [AttentionPattern] {
            try #require(try model(path).family as? SparseTransformer).patterns
        }
        #expect(
            try patterns("sparse/strided_interleaved/model") == [
                .slidingWindow(before: 5, after: 0, dilation: 1), .strided(stride: 5), .slidingWindow(before: 5, after: 0, dilation: 1),
            ])
        #expect(try patterns("sparse/fixed_one_head/model") == [.heads([.init(count: 1, pattern: .fixed(stride: 3, summary: 1))])])
    }
}
