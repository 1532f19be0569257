import ByteIO
import FormatKit
import JSON
import ModelIR

/// ELECTRA (Clark et al. 2020): BERT with embeddings of their own size; the discriminator tells replaced tokens, the generator fills masks.
struct ELECTRA: BERTRelative {
    static let modelTypes = ["electra"]
    private static let heads: [BERTHead] = [.model, .preTraining, .maskedLM, .sequence, .token, .question, .multipleChoice]
    static let classNames = tensorFlowClassNames + ["ElectraForCausalLM"]
    static let tensorFlowClassNames = heads.map { "Electra\($0.rawValue)" }
    static let modelledKeys = BERTBody.modelledKeys.union([
        "embedding_size", "summary_type", "summary_use_proj", "summary_activation", "summary_proj_to_labels",
    ])
    static let inertKeys = BERTBody.inertKeys.union(["summary_last_dropout", "summary_first_dropout"])

    let body: BERTBody
    let head: BERTHead
    let labelCount: Int
    let decoder: TiedDecoder?
    let table: TransformerTable
    /// What a choice's summary is put through.
    private let summaryActivation: Activation
    private let hasNullActivation: Bool

    static func className(_ config: TransformerConfig, stored: StoredNames) -> String {
        let head: BERTHead =
            stored.contains("generator_lm_head.bias", "generator_lm_head/bias")
            ? .maskedLM
            : stored.contains("discriminator_predictions.dense.weight", "discriminator_predictions/dense/kernel")
                ? .preTraining : .inferred(stored, pooler: "sequence_summary.summary.weight")
        return "Electra\(head.rawValue)"
    }

    init(_ config: TransformerConfig, className: String, stored: StoredNames) throws {
        head = className == "ElectraForCausalLM" ? .languageModel : try BERTHead(className, prefix: "Electra")
        var body = try BERTBody(config, defaults: (30522, 256, 4, 1024, "gelu"))
        body.embeddingSize = try config.size("embedding_size", default: 128)
        self.body = body
        labelCount = try config.labelCount()
        decoder =
            head == .maskedLM || head == .languageModel ? try TiedDecoder(config, "generator_lm_head", bias: nil, stored: stored) : nil
        // Left out it is gelu; null, or nothing in quotes, is none.
        let hasActivation = config.json["summary_activation"].map { !$0.isNull && $0 != "" } ?? true
        summaryActivation = hasActivation ? try config.activation("summary_activation", default: "gelu") : .linear
        hasNullActivation = config.json["summary_activation"]?.isNull ?? false
        if head == .multipleChoice {
            let type = try config.string("summary_type", default: "first")
            guard type == "first" else { throw UnsupportedError("summary_type \"\(type)\" can't be run, only \"first\"") }
            guard try config.bool("summary_use_proj", default: true), try !config.bool("summary_proj_to_labels", default: false) else {
                throw UnsupportedError("a summary without a projection of its own size can't be run")
            }
        }
        table = Self.table(body, head, decoder: decoder, labelCount: labelCount)
        try checkLabels()
    }

    /// transformers 5 refuses null.
    func configurationChanges(for target: LoweringTarget) -> [(key: String, value: JSONValue?)] {
        (decoder?.configurationChanges ?? []) + (hasNullActivation && target == .pytorch ? [("summary_activation", "")] : [])
    }

    var decoderLayer: TensorFlowLayer? { TensorFlowLayer("generator_lm_head", ["generator_lm_head/", "electra/embeddings/"]) }

    // MARK: - Names

    private static func table(_ body: BERTBody, _ head: BERTHead, decoder: TiedDecoder?, labelCount: Int) -> TransformerTable {
        let (hidden, embedding) = (body.hiddenSize, body.embeddingSize)
        var table = TransformerTable(base: "electra")
        body.addEmbeddings(to: &table)
        if embedding != hidden { table.linear("embeddings_project", embedding, hidden) }
        for layer in 0..<body.layerCount { body.addLayer("encoder.layer.\(layer)", to: &table) }
        table.isBase = false
        switch head {
        case .preTraining:
            table.linear("discriminator_predictions.dense", hidden, hidden)
            if body.activation == nil {
                table.add(TransformerParameter(name: "discriminator_predictions.activation.weight", shape: [1], isBase: false))
            }
            table.linear("discriminator_predictions.dense_prediction", hidden, 1)
        case .maskedLM, .languageModel:
            table.layerNorm("generator_predictions.LayerNorm", embedding)
            table.linear("generator_predictions.dense", hidden, embedding)
            decoder?.add(to: &table, embedding, body.vocabularySize)
        case .sequence:
            table.linear("classifier.dense", hidden, hidden)
            table.linear("classifier.out_proj", hidden, labelCount)
        case .multipleChoice:
            table.linear("sequence_summary.summary", hidden, hidden)
            table.linear("classifier", hidden, 1)
        case .model, .nextSentence, .token, .question:
            head.addClassifier(to: &table, hidden, labelCount: labelCount)
        }
        return table
    }

    // MARK: - Computation

    func build(_ b: inout TransformerBuilder) throws {
        let inputs = try addInputs(&b)
        var x = try body.embeddings(&b, inputs)
        if b.has("embeddings_project.weight") {
            x = try b.layer("embeddings_project", "projection") { b in try b.linear(x, "embeddings_project") }
        }
        for layer in 0..<body.layerCount { x = try body.layer(&b, x, "encoder.layer.\(layer)", mask: inputs.mask) }

        switch head {
        case .model, .nextSentence: b.output("last_hidden_state", x)
        case .preTraining:
            let logits = try b.layer("discriminator_predictions", "discriminator head") { b in
                let hidden = try body.activate(
                    &b, b.linear(x, "discriminator_predictions.dense"), "discriminator_predictions.activation")
                return try b.index(b.linear(hidden, "discriminator_predictions.dense_prediction"), axis: 2, at: 0)
            }
            b.output("logits", logits)
        case .maskedLM, .languageModel:
            let name = "generator_predictions"
            let logits = try predict(&b, x, name, dense: "\(name).dense", norm: "\(name).LayerNorm") { b, x in try b.activation(x, .gelu) }
            b.output("logits", logits)
        case .sequence: try classifyFirst(&b, x, .gelu)
        case .multipleChoice:
            let summary = try b.layer("sequence_summary", "pooler") { b in
                try b.activation(b.linear(b.index(x, axis: 1, at: 0), "sequence_summary.summary"), summaryActivation)
            }
            try choose(&b, summary)
        case .token: try classifyTokens(&b, x)
        case .question: try answer(&b, x)
        }
    }
}
