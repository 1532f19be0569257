import ByteIO
import FormatKit
import JSON
import ModelIR

/// LED (Beltagy et al. 2020): an encoder of Longformer's layers and BART's decoder, each layer normalised after its residuals.
struct LED: TransformerFamily {
    /// Classes, by their names without the prefix.
    enum Head: String, CaseIterable, Sendable {
        case languageModel = "ForConditionalGeneration"
        case model = "Model"
        /// Of transformers 4 alone.
        case sequence = "ForSequenceClassification"
        case question = "ForQuestionAnswering"
    }

    static let modelTypes = ["led"]
    static let classNames = Head.allCases.map { "LED\($0.rawValue)" }
    static let tensorFlowClassNames = [Head.languageModel, .model].map { "LED\($0.rawValue)" }
    static let modelledKeys: Set<String> = [
        "vocab_size", "d_model", "encoder_layers", "decoder_layers", "encoder_attention_heads", "decoder_attention_heads",
        "encoder_ffn_dim",
        "decoder_ffn_dim", "activation_function", "attention_window", "max_encoder_position_embeddings", "max_decoder_position_embeddings",
        "decoder_start_token_id", "pad_token_id", "eos_token_id", "tie_word_embeddings",
    ]
    static let inertKeys: Set<String> = [
        "activation_dropout", "dropout", "encoder_layerdrop", "decoder_layerdrop", "init_std", "is_encoder_decoder", "num_hidden_layers",
        "hidden_size", "num_attention_heads", "attention_dropout", "classif_dropout",
    ]

    let head: Head
    let labelCount: Int
    let table: TransformerTable
    private let vocabularySize: Int
    private let width: Int
    private let encoderHeads: Int
    private let decoderHeads: Int
    private let decoderLayers: Int
    private let activation: Activation
    /// Tokens that an encoder layer's tokens see on either side.
    private let windows: [Int]
    private let positionCount: Int
    private let padding: Int
    private let startToken: Int
    private let endToken: Int
    private let isHeadTied: Bool
    private let statesTie: Bool
    private let hasLogitsBias: Bool
    private let epsilon = 1e-5

    static func className(_ config: TransformerConfig, stored: StoredNames) -> String {
        let head: Head =
            stored.contains("qa_outputs.weight")
            ? .question : stored.contains("classification_head.dense.weight") ? .sequence : .languageModel
        return "LED\(head.rawValue)"
    }

    init(_ config: TransformerConfig, className: String, stored: StoredNames) throws {
        head = Head(rawValue: String(className.dropFirst(3))) ?? .model
        vocabularySize = try config.size("vocab_size", default: 50265)
        width = try config.size("d_model", default: 1024)
        encoderHeads = try config.size("encoder_attention_heads", default: 16)
        decoderHeads = try config.size("decoder_attention_heads", default: 16)
        guard width % encoderHeads == 0, width % decoderHeads == 0 else {
            throw transformerError(
                "bad-config", expected: "a d_model that \(encoderHeads) and \(decoderHeads) heads divide", found: "\(width)")
        }
        decoderLayers = try config.count("decoder_layers", default: 12)
        activation = try config.activation("activation_function", default: "gelu")
        windows = try Longformer.windows(config, layerCount: config.count("encoder_layers", default: 12), default: 512)
        positionCount = try config.size("max_encoder_position_embeddings", default: 16384)
        let decoderPositions = try config.size("max_decoder_position_embeddings", default: 1024)
        let widths = (
            encoder: try config.size("encoder_ffn_dim", default: 4096), decoder: try config.size("decoder_ffn_dim", default: 4096)
        )
        padding = try config.int("pad_token_id", default: 1)
        startToken = try config.int("decoder_start_token_id", default: 2)
        endToken = try config.int("eos_token_id", default: 2)
        labelCount = try config.labelCount()
        guard head != .question || labelCount == 2 else {
            throw UnsupportedError("question answering with \(labelCount) labels, not 2, can't be run")
        }
        statesTie = try config.bool("tie_word_embeddings", default: true)
        isHeadTied = stored.isTensorFlow || statesTie && !stored.areSeparate(["lm_head.weight"], ["shared.weight"])
        hasLogitsBias = stored.contains("final_logits_bias")

        var table = TransformerTable(base: "led")
        table.tensorFlowIndexMark = "."
        var shared = table.parameter("shared.weight", [vocabularySize, width], tensorFlow: "embeddings", .same)
        shared.tensorFlow?.paths = ["led.shared/embeddings"]
        table.add(shared)
        Self.addEmbeddings(&table, "encoder", positionCount, width)
        for layer in windows.indices { Self.addEncoderLayer(&table, "encoder.layers.\(layer)", width, widths.encoder) }
        Self.addEmbeddings(&table, "decoder", decoderPositions, width)
        for layer in 0..<decoderLayers { Self.addDecoderLayer(&table, "decoder.layers.\(layer)", width, widths.decoder) }
        table.isBase = false
        switch head {
        case .model: break
        case .languageModel:
            if hasLogitsBias {
                table.add(
                    TransformerParameter(
                        name: "final_logits_bias", shape: [1, vocabularySize], isBase: false,
                        tensorFlow: .init(paths: ["final_logits_bias"], layout: .same)))
            }
            if !isHeadTied { table.add(TransformerParameter(name: "lm_head.weight", shape: [vocabularySize, width], isBase: false)) }
        case .sequence:
            table.linear("classification_head.dense", width, width)
            table.linear("classification_head.out_proj", width, labelCount)
        case .question: table.linear("qa_outputs", width, labelCount)
        }
        self.table = table
    }

    // MARK: - Names

    private static func addEmbeddings(_ table: inout TransformerTable, _ stack: String, _ positions: Int, _ width: Int) {
        table.embedding("\(stack).embed_positions", positions, width, tensorFlow: ["embeddings"])
        table.layerNorm("\(stack).layernorm_embedding", width)
    }

    private static func addEncoderLayer(_ table: inout TransformerTable, _ prefix: String, _ width: Int, _ inner: Int) {
        for part in Longformer.projections { table.linear("\(prefix).self_attn.longformer_self_attn.\(part)", width, width) }
        table.linear("\(prefix).self_attn.output", width, width)
        table.layerNorm("\(prefix).self_attn_layer_norm", width)
        addFeedForward(&table, prefix, width, inner)
    }

    private static func addDecoderLayer(_ table: inout TransformerTable, _ prefix: String, _ width: Int, _ inner: Int) {
        for attention in ["self_attn", "encoder_attn"] {
            for part in ["k_proj", "v_proj", "q_proj", "out_proj"] { table.linear("\(prefix).\(attention).\(part)", width, width) }
            table.layerNorm("\(prefix).\(attention)_layer_norm", width)
        }
        addFeedForward(&table, prefix, width, inner)
    }

    private static func addFeedForward(_ table: inout TransformerTable, _ prefix: String, _ width: Int, _ inner: Int) {
        table.linear("\(prefix).fc1", width, inner)
        table.linear("\(prefix).fc2", inner, width)
        table.layerNorm("\(prefix).final_layer_norm", width)
    }

    var isBaseClass: Bool { head == .model }

    var ties: [Checkpoint.Tie] {
        let prefix = isBaseClass ? "" : "led."
        let names = ["\(prefix)shared.weight", "\(prefix)encoder.embed_tokens.weight", "\(prefix)decoder.embed_tokens.weight"]
        return [Checkpoint.Tie(names: names + (head == .languageModel && isHeadTied ? ["lm_head.weight"] : []))]
    }

    var tensorFlowLayers: [TensorFlowLayer] {
        [TensorFlowLayer("led", ["led.shared/", "led/"])]
            + (head == .languageModel && hasLogitsBias ? [TensorFlowLayer("final_logits_bias", ["final_logits_bias"])] : [])
    }

    var tensorFlowScopes: [(prefix: String, scope: String)] { [("led.shared/", "led.shared"), ("final_logits_bias", "")] }

    func configurationChanges(for target: LoweringTarget) -> [(key: String, value: JSONValue?)] {
        head == .languageModel && isHeadTied != statesTie ? [("tie_word_embeddings", .bool(isHeadTied))] : []
    }

    // MARK: - Inputs

    var inputs: [InputDescription] {
        [
            InputDescription("input_ids", .tokens(vocabulary: vocabularySize, padding: padding)),
            InputDescription("attention_mask", .mask(of: "input_ids"), isOptional: true),
            InputDescription("decoder_input_ids", .tokens(vocabulary: vocabularySize, padding: padding), isOptional: true),
            InputDescription("decoder_attention_mask", .mask(of: "decoder_input_ids"), isOptional: true),
            InputDescription("global_attention_mask", .globalAttention, isOptional: true),
        ]
    }

    var probeSizes: [String: Int] { ["sequence": min(4 * (windows.max() ?? 1) + 5, positionCount), "decoder_sequence": 7] }

    func completed(_ given: [String: Tensor]) throws -> (inputs: [String: Tensor], notes: [String]) {
        var inputs = given
        var notes: [String] = []
        if given["decoder_input_ids"] == nil, let ids = given["input_ids"], ids.shape.count == 2, ids.shape[1] > 0 {
            var values = try ids.doubles()
            let length = ids.shape[1]
            for start in stride(from: 0, to: values.count, by: length) {
                values[start..<start + length] = [Double(startToken)] + values[start..<start + length - 1]
            }
            inputs["decoder_input_ids"] = Tensor(values, dtype: ids.dtype, shape: ids.shape)
            notes.append("no decoder_input_ids given: input_ids moved on by one behind the start token \(startToken)")
        }
        return (try filled(inputs) { _, shape in try Tensor.positions(shape) }, notes)
    }

    // MARK: - Computation

    func build(_ b: inout TransformerBuilder) throws {
        let ids = try b.input("input_ids")
        let mask = try b.mask(b.input("attention_mask"))
        // A classified sequence is found in the decoder by its place in the encoder: both have one length.
        let decoderShape: Shape = [.symbol("batch"), .symbol(head == .sequence ? "sequence" : "decoder_sequence")]
        let targets = try b.input("decoder_input_ids", decoderShape)
        let targetMask = try b.mask(b.input("decoder_attention_mask", decoderShape))
        let isGlobal = try b.mask(b.input("global_attention_mask"))

        var encoded = try embeddings(&b, "encoder", ids)
        for (layer, window) in windows.enumerated() {
            encoded = try encoderLayer(&b, encoded, "encoder.layers.\(layer)", window: window, mask: mask, isGlobal: isGlobal)
        }
        var x = try embeddings(&b, "decoder", targets)
        for layer in 0..<decoderLayers {
            x = try decoderLayer(&b, x, "decoder.layers.\(layer)", mask: targetMask, encoded: encoded, encodedMask: mask)
        }
        switch head {
        case .model: b.output("last_hidden_state", x)
        case .languageModel:
            let logits = try b.layer("lm_head", "language model head") { b in
                let logits = try b.linear(x, weight: isHeadTied ? "shared.weight" : "lm_head.weight", bias: nil)
                return hasLogitsBias ? try b.add(logits, b.parameter("final_logits_bias")) : logits
            }
            b.output("logits", logits)
        case .sequence:
            let sentence = try b.rows(of: x, at: b.lastPosition(where: b.compare(ids, .equal, endToken)))
            let dense = try b.graph.activation(.tanh, b.linear(sentence, "classification_head.dense"))
            b.output("logits", try b.linear(dense, "classification_head.out_proj"))
        case .question: try b.outputSpan(x, "qa_outputs")
        }
        b.output("encoder_last_hidden_state", encoded)
    }

    /// LayerNorm(word + position), [batch, length, width].
    private func embeddings(_ b: inout TransformerBuilder, _ stack: String, _ ids: ValueID) throws -> ValueID {
        try b.layer("\(stack).layernorm_embedding", "embeddings") { b in
            let positions = try b.graph.append(.iota(ValueType(.i64, [b.shape(ids)[1]]), axis: 0), [])
            let x = try b.add(b.embedding(ids, "shared"), b.embedding(positions, "\(stack).embed_positions"))
            return try b.layerNorm(x, "\(stack).layernorm_embedding", epsilon: epsilon)
        }
    }

    private func encoderLayer(
        _ b: inout TransformerBuilder, _ input: ValueID, _ prefix: String, window: Int, mask: ValueID, isGlobal: ValueID
    ) throws -> ValueID {
        let x = try b.layer("\(prefix).self_attn", "self-attention") { b in
            let parts = try Longformer.projections.map { try b.linear(input, "\(prefix).self_attn.longformer_self_attn.\($0)") }
            let context = try b.longformerAttention(parts, heads: encoderHeads, window: window, mask: mask, isGlobal: isGlobal)
            return try b.layerNorm(
                b.add(input, b.linear(context, "\(prefix).self_attn.output")), "\(prefix).self_attn_layer_norm", epsilon: epsilon)
        }
        return try feedForward(&b, x, prefix)
    }

    private func decoderLayer(
        _ b: inout TransformerBuilder, _ input: ValueID, _ prefix: String, mask: ValueID, encoded: ValueID, encodedMask: ValueID
    ) throws -> ValueID {
        func attention(
            _ b: inout TransformerBuilder, _ x: ValueID, _ name: String, keys: ValueID, mask: ValueID, pattern: AttentionPattern
        ) throws -> ValueID {
            try b.layer("\(prefix).\(name)", name == "self_attn" ? "self-attention" : "cross-attention") { b in
                let module = "\(prefix).\(name)"
                let context = try b.attention(
                    b.linear(x, "\(module).q_proj"), b.linear(keys, "\(module).k_proj"), b.linear(keys, "\(module).v_proj"),
                    heads: decoderHeads, pattern: pattern, scale: 1 / Double(width / decoderHeads).squareRoot(), keyMask: mask)
                return try b.layerNorm(b.add(x, b.linear(context, "\(module).out_proj")), "\(module)_layer_norm", epsilon: epsilon)
            }
        }
        var x = try attention(&b, input, "self_attn", keys: input, mask: mask, pattern: .causal)
        x = try attention(&b, x, "encoder_attn", keys: encoded, mask: encodedMask, pattern: .full)
        return try feedForward(&b, x, prefix)
    }

    private func feedForward(_ b: inout TransformerBuilder, _ x: ValueID, _ prefix: String) throws -> ValueID {
        try b.layer("\(prefix).fc2", "feed-forward") { b in
            let inner = try b.activation(b.linear(x, "\(prefix).fc1"), activation)
            return try b.layerNorm(b.add(x, b.linear(inner, "\(prefix).fc2")), "\(prefix).final_layer_norm", epsilon: epsilon)
        }
    }
}
