import ByteIO
import FormatKit
import ModelIR

/// DistilBERT (Sanh et al. 2019): half of BERT's layers, without segments and pooler, under names of its own.
struct DistilBERT: BERTRelative {
    static let modelTypes = ["distilbert"]
    private static let heads: [BERTHead] = [.model, .maskedLM, .sequence, .token, .question, .multipleChoice]
    static let classNames = heads.map { "DistilBert\($0.rawValue)" }
    static let modelledKeys: Set<String> = [
        "vocab_size", "dim", "n_layers", "n_heads", "hidden_dim", "max_position_embeddings", "activation", "tie_word_embeddings",
        // Where version 5 keeps BERT's names.
        "hidden_size", "num_hidden_layers", "num_attention_heads",
    ]
    static let inertKeys: Set<String> = [
        "pad_token_id", "dropout", "qa_dropout", "seq_classif_dropout", "sinusoidal_pos_embds", "tie_weights_", "is_decoder",
        "add_cross_attention", "output_past",
    ]

    let body: BERTBody
    let head: BERTHead
    let labelCount: Int
    let decoder: TiedDecoder?
    let table: TransformerTable

    static func className(_ config: TransformerConfig, stored: StoredNames) -> String {
        let head: BERTHead =
            stored.contains("vocab_projector.bias", "vocab_projector/bias") ? .maskedLM : .inferred(stored, pooler: "pre_classifier.weight")
        return "DistilBert\(head.rawValue)"
    }

    init(_ config: TransformerConfig, className: String, stored: StoredNames) throws {
        head = try BERTHead(className, prefix: "DistilBert")
        body = try BERTBody(distilBERT: config)
        labelCount = try config.labelCount()
        decoder = head == .maskedLM ? try TiedDecoder(config, "vocab_projector", bias: nil, stored: stored) : nil
        table = Self.table(body, head, decoder: decoder, labelCount: labelCount)
        try checkLabels()
    }

    /// Behind one dropout of the embeddings and three a layer.
    var dropoutLayer: String? {
        switch head {
        case .sequence, .multipleChoice, .token, .question: "dropout_\(3 * body.layerCount + 1)"
        case .model, .preTraining, .maskedLM, .languageModel, .nextSentence: nil
        }
    }

    var decoderLayer: TensorFlowLayer? { TensorFlowLayer("vocab_projector", ["vocab_projector/", "distilbert/embeddings/"]) }

    // MARK: - Names

    private static func table(_ body: BERTBody, _ head: BERTHead, decoder: TiedDecoder?, labelCount: Int) -> TransformerTable {
        let hidden = body.hiddenSize
        var table = TransformerTable(base: "distilbert")
        body.addEmbeddings(to: &table)
        for layer in 0..<body.layerCount { body.addLayer("transformer.layer.\(layer)", to: &table) }
        table.isBase = false
        if let decoder {
            table.linear("vocab_transform", hidden, hidden)
            if body.activation == nil { table.add(TransformerParameter(name: "activation.weight", shape: [1], isBase: false)) }
            table.layerNorm("vocab_layer_norm", hidden)
            decoder.add(to: &table, hidden, body.vocabularySize)
        }
        if head == .sequence || head == .multipleChoice { table.linear("pre_classifier", hidden, hidden) }
        head.addClassifier(to: &table, hidden, labelCount: labelCount)
        return table
    }

    // MARK: - Computation

    func build(_ b: inout TransformerBuilder) throws {
        let inputs = try addInputs(&b)
        var x = try body.embeddings(&b, inputs)
        for layer in 0..<body.layerCount { x = try body.layer(&b, x, "transformer.layer.\(layer)", mask: inputs.mask) }

        switch head {
        case .model, .preTraining, .languageModel, .nextSentence: b.output("last_hidden_state", x)
        case .maskedLM:
            let logits = try predict(&b, x, "vocab_projector", dense: "vocab_transform", norm: "vocab_layer_norm") { b, x in
                try body.activate(&b, x, "activation")
            }
            b.output("logits", logits)
        case .sequence: try classify(&b, preclassify(&b, x))
        case .multipleChoice: try choose(&b, preclassify(&b, x))
        case .token: try classifyTokens(&b, x)
        case .question: try answer(&b, x)
        }
    }

    /// relu(W x_0 + b), of the first token.
    private func preclassify(_ b: inout TransformerBuilder, _ x: ValueID) throws -> ValueID {
        try b.layer("pre_classifier", "pooler") { b in try b.activation(b.linear(b.index(x, axis: 1, at: 0), "pre_classifier"), .relu) }
    }
}

extension BERTBody {
    /// By DistilBERT's keys.
    fileprivate init(distilBERT config: TransformerConfig) throws {
        vocabularySize = try config.size("vocab_size", default: 30522)
        hiddenSize = try config.size(config.has("dim") ? "dim" : "hidden_size", default: 768)
        embeddingSize = hiddenSize
        intermediateSize = try config.size("hidden_dim", default: 4 * 768)
        layerCount = try config.count(config.has("n_layers") ? "n_layers" : "num_hidden_layers", default: 6)
        headCount = try config.size(config.has("n_heads") ? "n_heads" : "num_attention_heads", default: 12)
        positionCount = try config.size("max_position_embeddings", default: 512)
        typeCount = 0
        epsilon = 1e-12
        activation = try Self.activation(config, "activation", default: "gelu")
        pattern = .full
        padding = try config.optionalInt("pad_token_id")
        names = LayerNames(
            query: "attention.q_lin", key: "attention.k_lin", value: "attention.v_lin", output: "attention.out_lin",
            attentionNorm: "sa_layer_norm", intermediate: "ffn.lin1", activation: "ffn.activation", feedForward: "ffn.lin2",
            norm: "output_layer_norm")
        try checkHeads()
    }
}
