import ByteIO
import FormatKit
import JSON
import ModelIR

/// GPT-Neo (Black et al. 2021; `modeling_gpt_neo.py`): GPT-2's blocks with scores that aren't scaled, and layers in turns that see all
/// tokens before or only the nearest. Other models' sliding windows (Mistral's) are the same pattern.
struct GPTNeo: CausalFamily {
    static let modelTypes = ["gpt_neo"]
    static let classNames = [
        "GPTNeoModel", "GPTNeoForCausalLM", "GPTNeoForSequenceClassification", "GPTNeoForTokenClassification", "GPTNeoForQuestionAnswering",
    ]
    static let tensorFlowClassNames: [String] = []
    static let modelledKeys: Set<String> = [
        "vocab_size", "max_position_embeddings", "hidden_size", "num_layers", "num_heads", "attention_types", "attention_layers",
        "intermediate_size", "window_size", "activation_function", "layer_norm_epsilon", "tie_word_embeddings", "pad_token_id",
    ]
    static let inertKeys: Set<String> = [
        "resid_dropout", "embed_dropout", "summary_activation", "summary_first_dropout", "summary_proj_to_labels", "summary_type",
        "summary_use_proj", "gradient_checkpointing",
    ]

    /// The causal mask, and what masked scores were set to.
    static func isBuffer(_ name: String) -> Bool {
        name.hasSuffix(".attn.attention.bias") || name.hasSuffix(".attn.attention.masked_bias")
    }

    let decoder: CausalDecoder
    let heads: Int
    let innerWidth: Int
    let activation: Activation
    /// Of each layer: the number of tokens that it sees, its own the last; nil for all before it.
    let windows: [Int?]

    /// Made once: names are asked for row by row.
    private(set) var table = TransformerTable(base: "transformer")

    init(_ config: TransformerConfig, className: String, stored: StoredNames) throws {
        let width = try config.size("hidden_size", default: 2048)
        heads = try config.size("num_heads", default: 16)
        innerWidth = try config.has("intermediate_size") ? config.size("intermediate_size", default: 0) : 4 * width
        activation = try config.activation("activation_function", default: "gelu_new")
        let count = try config.count("num_layers", default: 24)
        let window = try config.size("window_size", default: 256)
        windows = try Self.attentionLayers(config, count: count).map { $0 == "local" ? window : nil }

        let head: CausalDecoder.Head =
            switch className {
            case "GPTNeoForCausalLM": .languageModel
            case "GPTNeoForSequenceClassification":
                .sequenceClassification(labels: try config.labelCount(), padding: try config.optionalInt("pad_token_id"))
            case "GPTNeoForTokenClassification": .tokenClassification(labels: try config.labelCount())
            case "GPTNeoForQuestionAnswering": .questionAnswering
            default: .none
            }
        decoder = CausalDecoder(
            vocabularySize: try config.size("vocab_size", default: 50257),
            positionCount: try config.size("max_position_embeddings", default: 2048), width: width,
            epsilon: try config.double("layer_norm_epsilon", default: 1e-5), head: head, isHeadTied: try isHeadTied(config, stored),
            statesTie: try config.bool("tie_word_embeddings", default: true),
            probeLength: windows.contains { $0 != nil } ? 2 * window + 3 : 11)
        table = madeTable
    }

    /// `global` or `local` for each layer: `attention_layers`, or `attention_types` [[[type, ..], repetitions], ..] written out.
    private static func attentionLayers(_ config: TransformerConfig, count: Int) throws -> [String] {
        var layers: [String] = []
        if let named = try config.strings("attention_layers") {
            layers = named
        } else if config.has("attention_types") {
            for group in config.json["attention_types"]?.array ?? [] {
                guard let repetitions = group[1]?.int, (0...1 << 16).contains(repetitions), let types = group[0]?.array else {
                    throw transformerError("bad-config", expected: "attention_types of the form [[[type, ..], repetitions], ..]")
                }
                let names = types.compactMap(\.string)
                guard layers.count + names.count * repetitions <= count else { break }
                for _ in 0..<repetitions { layers += names }
            }
        } else {
            layers = (0..<24).map { $0 % 2 == 0 ? "global" : "local" }
        }
        guard layers.count == count else {
            throw transformerError("bad-config", expected: "a type of attention for each of \(count) layers", found: "\(layers.count)")
        }
        if let other = layers.first(where: { $0 != "global" && $0 != "local" }) {
            throw UnsupportedError("the type of attention \"\(other)\" isn't known")
        }
        return layers
    }

    private var madeTable: TransformerTable {
        decoder.table { table in
            let width = decoder.width
            for layer in windows.indices {
                let h = "h.\(layer)"
                table.layerNorm("\(h).ln_1", width, hasLegacyNames: false)
                for part in ["k_proj", "v_proj", "q_proj"] { table.linear("\(h).attn.attention.\(part)", width, width, hasBias: false) }
                table.linear("\(h).attn.attention.out_proj", width, width)
                table.layerNorm("\(h).ln_2", width, hasLegacyNames: false)
                table.linear("\(h).mlp.c_fc", width, innerWidth)
                table.linear("\(h).mlp.c_proj", innerWidth, width)
            }
        }
    }

    func build(_ builder: inout TransformerBuilder) throws {
        var counts: [Int?: Unattended] = [:]
        try decoder.build(
            &builder,
            block: { b, hidden, keyMask, layer in
                let h = "h.\(layer)"
                let normed = try b.layerNorm(hidden, "\(h).ln_1", epsilon: decoder.epsilon)
                let attention = "\(h).attn.attention"
                let query = try b.linear(normed, "\(attention).q_proj")
                let key = try b.linear(normed, "\(attention).k_proj")
                let value = try b.linear(normed, "\(attention).v_proj")
                let window = windows[layer]
                var context = try b.attention(
                    query, key, value, heads: heads,
                    pattern: window.map { .slidingWindow(before: $0 - 1, after: 0, dilation: 1) } ?? .causal, scale: 1, keyMask: keyMask,
                    unattended: .zero)
                let unattended = try counts[window] ?? Unattended(&b, keyMask, window: window)
                counts[window] = unattended
                context = try unattended.filled(&b, context, value)
                let attended = try b.add(hidden, b.linear(context, "\(attention).out_proj"))

                let inner = try b.linear(b.layerNorm(attended, "\(h).ln_2", epsilon: decoder.epsilon), "\(h).mlp.c_fc")
                return try b.add(attended, b.linear(b.graph.activation(activation, inner), "\(h).mlp.c_proj"))
            }, blockCount: windows.count)
    }
}

/// What a token gets whose own window is padding, itself included: it is padding then, and no other token sees it.
///
/// transformers sets scores outside the window to the lowest float and then adds a mask that is the lowest float again. So all weigh the
/// same that only one of the two hides: keys within the window, all of them padding, and keys before it that aren't.
private struct Unattended {
    let window: Int?
    /// bool [batch, sequence, 1]
    private let isEmpty: ValueID
    /// bool [batch, sequence, 1]: keys that aren't padding.
    private let isSeen: ValueID
    /// f32 [batch, sequence, 1]: keys that weigh the same.
    private let total: ValueID

    init(_ b: inout TransformerBuilder, _ keyMask: ValueID, window: Int?) throws {
        self.window = window
        isSeen = try b.graph.append(.reshape(Shape(b.shape(keyMask).dims + [1])), [keyMask])
        let counted = try b.graph.append(.cast(.f32), [isSeen])
        let zero = try b.graph.scalar(0, .f32)
        let before = try b.graph.append(.cumulativeSum(axis: 1), [counted])
        let within = try Self.windowSum(&b, counted, window)
        isEmpty = try b.graph.append(.compare(.equal), [within, zero])
        let ones = try b.graph.append(.broadcast(b.shape(counted)), [b.graph.scalar(1, .f32)])
        let size = try Self.windowSum(&b, ones, window)
        total = try b.add(before, size)
    }

    /// - Parameters:
    ///   - context: f32 [batch, sequence, width], attention's result.
    ///   - value: of the same shape, what it mixes.
    func filled(_ b: inout TransformerBuilder, _ context: ValueID, _ value: ValueID) throws -> ValueID {
        let seen = try b.graph.append(.select, [isSeen, value, b.graph.scalar(0, .f32)])
        let before = try b.graph.append(.cumulativeSum(axis: 1), [seen])
        let within = try Self.windowSum(&b, value, window)
        let mean = try b.graph.binary(.divide, b.add(before, within), total)
        return try b.graph.append(.select, [isEmpty, mean, context])
    }

    /// The sum over the window that ends at each position: [batch, sequence, width] -> the same.
    private static func windowSum(_ b: inout TransformerBuilder, _ x: ValueID, _ window: Int?) throws -> ValueID {
        let sums = try b.graph.append(.cumulativeSum(axis: 1), [x])
        guard let window else { return sums }
        // What was summed before the window began: moved on by its size.
        let moved = try b.graph.append(.pad([PadWidth(0, 0), PadWidth(window, -window), PadWidth(0, 0)], value: 0), [sums])
        return try b.graph.binary(.subtract, sums, moved)
    }
}
