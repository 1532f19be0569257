import ByteIO
import FormatKit
import JSON
import ModelIR

/// GPT-2 (Radford et al. 2019; `modeling_gpt2.py`): pre-norm blocks of causal attention, weights kept as [input, output].
struct GPT2: CausalFamily {
    static let modelTypes = ["gpt2"]
    static let classNames = [
        "GPT2Model", "GPT2LMHeadModel", "GPT2DoubleHeadsModel", "GPT2ForSequenceClassification", "GPT2ForTokenClassification",
        "GPT2ForQuestionAnswering",
    ]
    static let tensorFlowClassNames = ["GPT2Model", "GPT2LMHeadModel", "GPT2DoubleHeadsModel", "GPT2ForSequenceClassification"]
    static let modelledKeys: Set<String> = [
        "vocab_size", "n_positions", "n_embd", "n_layer", "n_head", "n_inner", "activation_function", "layer_norm_epsilon",
        "scale_attn_weights", "scale_attn_by_inverse_layer_idx", "add_cross_attention", "tie_word_embeddings", "pad_token_id",
        "summary_type", "summary_use_proj", "summary_activation", "summary_proj_to_labels",
    ]
    static let inertKeys: Set<String> = [
        "n_ctx", "attn_pdrop", "embd_pdrop", "resid_pdrop", "summary_first_dropout", "n_special", "predict_special_tokens",
        // Another order of the same operations, for 16 bits.
        "reorder_and_upcast_attn",
    ]

    static let tensorFlowConstants: [(key: String, value: JSONValue)] = [
        ("scale_attn_weights", true), ("scale_attn_by_inverse_layer_idx", false),
    ]

    /// `attn.bias`, the causal mask, and `attn.masked_bias`, what masked scores were set to.
    static func isBuffer(_ name: String) -> Bool { name.hasSuffix(".attn.bias") || name.hasSuffix(".attn.masked_bias") }

    let decoder: CausalDecoder
    let block: GPT2Block
    let blockCount: Int
    /// What scores of each layer are multiplied by.
    let scales: [Double]
    /// Made once: names are asked for row by row.
    private(set) var table = TransformerTable(base: "transformer")

    init(_ config: TransformerConfig, className: String, stored: StoredNames) throws {
        guard try !config.bool("add_cross_attention", default: false) else {
            throw UnsupportedError("GPT-2 with cross-attention (add_cross_attention) can't be run")
        }
        let width = try config.size("n_embd", default: 768)
        let heads = try config.size("n_head", default: 12)
        blockCount = try config.count("n_layer", default: 12)
        let epsilon = try config.double("layer_norm_epsilon", default: 1e-5)
        block = GPT2Block(
            width: width, heads: heads, innerWidth: try config.has("n_inner") ? config.size("n_inner", default: 0) : 4 * width,
            activation: try config.activation("activation_function", default: "gelu_new"), epsilon: epsilon)
        let head: CausalDecoder.Head =
            switch className {
            case "GPT2LMHeadModel": .languageModel
            case "GPT2DoubleHeadsModel": .doubleHeads(try SequenceSummary(config, width: width))
            case "GPT2ForSequenceClassification":
                .sequenceClassification(labels: try config.labelCount(), padding: try config.optionalInt("pad_token_id"))
            case "GPT2ForTokenClassification": .tokenClassification(labels: try config.labelCount())
            case "GPT2ForQuestionAnswering": .questionAnswering
            default: .none
            }
        decoder = CausalDecoder(
            vocabularySize: try config.size("vocab_size", default: 50257), positionCount: try config.size("n_positions", default: 1024),
            width: width, epsilon: epsilon, head: head, isHeadTied: try isHeadTied(config, stored),
            statesTie: try config.bool("tie_word_embeddings", default: true))

        let isScaled = try config.bool("scale_attn_weights", default: true)
        let scale = isScaled ? 1 / (Double(width) / Double(heads)).squareRoot() : 1
        let scalesByLayer = try config.bool("scale_attn_by_inverse_layer_idx", default: false)
        scales = (0..<blockCount).map { scalesByLayer ? scale / Double($0 + 1) : scale }
        table = madeTable
    }

    private var madeTable: TransformerTable { decoder.table { table in for layer in 0..<blockCount { block.addRows(to: &table, layer) } } }

    func build(_ builder: inout TransformerBuilder) throws {
        try decoder.build(
            &builder,
            block: { b, hidden, keyMask, layer in
                try block.build(&b, hidden, layer, pattern: .causal, scale: scales[layer], keyMask: keyMask)
            }, blockCount: blockCount)
    }
}

/// h + attn(ln_1(h)), then + mlp(ln_2(h)): GPT-2's block, also the Sparse Transformer's.
struct GPT2Block: Sendable {
    var width: Int
    var heads: Int
    var innerWidth: Int
    var activation: Activation
    var epsilon: Double

    func addRows(to table: inout TransformerTable, _ layer: Int) {
        let h = "h.\(layer)"
        table.layerNorm("\(h).ln_1", width, hasLegacyNames: false)
        table.conv1D("\(h).attn.c_attn", width, 3 * width)  // queries, keys and values side by side
        table.conv1D("\(h).attn.c_proj", width, width)
        table.layerNorm("\(h).ln_2", width, hasLegacyNames: false)
        table.conv1D("\(h).mlp.c_fc", width, innerWidth)
        table.conv1D("\(h).mlp.c_proj", innerWidth, width)
    }

    func build(
        _ b: inout TransformerBuilder, _ hidden: ValueID, _ layer: Int, pattern: AttentionPattern, scale: Double, keyMask: ValueID,
        unattended: Attention.Unattended = .uniform
    ) throws -> ValueID {
        let h = "h.\(layer)"
        let normed = try b.layerNorm(hidden, "\(h).ln_1", epsilon: epsilon)
        let parts = try b.split(b.conv1D(normed, "\(h).attn.c_attn"), 3)  // each [batch, sequence, width]
        let context = try b.attention(
            parts[0], parts[1], parts[2], heads: heads, pattern: pattern, scale: scale, keyMask: keyMask, unattended: unattended)
        let attended = try b.add(hidden, b.conv1D(context, "\(h).attn.c_proj"))

        let inner = try b.conv1D(b.layerNorm(attended, "\(h).ln_2", epsilon: epsilon), "\(h).mlp.c_fc")
        return try b.add(attended, b.conv1D(b.graph.activation(activation, inner), "\(h).mlp.c_proj"))
    }
}
