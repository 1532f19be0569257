import ByteIO
import FormatKit
import ModelIR

/// RoBERTa (Liu et al. 2019), with XLM-R and CamemBERT, which are it under other names: BERT whose positions count from the padding id on,
/// past padding, with heads of its own.
struct RoBERTa: BERTRelative {
    static let modelTypes = ["roberta", "xlm-roberta", "camembert"]
    private static let prefixes = ["roberta": "Roberta", "xlm-roberta": "XLMRoberta", "camembert": "Camembert"]
    private static let heads: [BERTHead] = [.model, .maskedLM, .sequence, .token, .question, .multipleChoice]
    static let classNames = prefixes.values.sorted().flatMap { prefix in heads.map { prefix + $0.rawValue } } + causalClassNames
    private static let causalClassNames = prefixes.values.sorted().map { "\($0)ForCausalLM" }
    static let modelledKeys = BERTBody.modelledKeys.union(["pad_token_id"])
    static let inertKeys = BERTBody.inertKeys.subtracting(["pad_token_id"])

    let body: BERTBody
    let head: BERTHead
    let labelCount: Int
    let hasPooler: Bool
    let decoder: TiedDecoder?
    let table: TransformerTable
    /// Positions are `padding` for padding, and count from `padding` + 1 for the rest.
    private let padding: Int

    static func className(_ config: TransformerConfig, stored: StoredNames) -> String {
        let head: BERTHead =
            stored.contains("lm_head.bias", "lm_head/bias") ? .maskedLM : .inferred(stored, pooler: "pooler.dense.weight")
        return (prefixes[config.modelType] ?? "Roberta") + head.rawValue
    }

    init(_ config: TransformerConfig, className: String, stored: StoredNames) throws {
        let prefix = Self.prefixes[config.modelType] ?? "Roberta"
        head = className == "\(prefix)ForCausalLM" ? .languageModel : try BERTHead(className, prefix: prefix)
        var body = try BERTBody(config, defaults: (config.modelType == "roberta" ? 50265 : 30522, 768, 12, 3072, "gelu"))
        padding = body.padding ?? 1
        body.padding = padding
        self.body = body
        labelCount = try config.labelCount()
        switch head {
        case .model: hasPooler = stored.contains("pooler.dense.weight", "pooler/dense/kernel")
        case .multipleChoice: hasPooler = true
        case .preTraining, .maskedLM, .languageModel, .nextSentence, .sequence, .token, .question: hasPooler = false
        }
        decoder =
            [.maskedLM, .languageModel].contains(head)
            ? try TiedDecoder(config, "lm_head.decoder", bias: "lm_head.bias", stored: stored) : nil
        table = Self.table(body, head, hasPooler: hasPooler, decoder: decoder, labelCount: labelCount)
        try checkLabels()
    }

    var assumptions: [String] { head == .model && !hasPooler ? ["no pooler is stored, so the model has none"] : [] }
    var decoderLayer: TensorFlowLayer? { TensorFlowLayer("lm_head", ["lm_head/", "roberta/embeddings/"]) }

    // MARK: - Names

    private static func table(
        _ body: BERTBody, _ head: BERTHead, hasPooler: Bool, decoder: TiedDecoder?, labelCount: Int
    ) -> TransformerTable {
        let hidden = body.hiddenSize
        var table = TransformerTable(base: "roberta")
        body.addEmbeddings(to: &table)
        for layer in 0..<body.layerCount { body.addLayer("encoder.layer.\(layer)", to: &table) }
        if hasPooler { table.linear("pooler.dense", hidden, hidden) }
        table.isBase = false
        if let decoder {
            table.linear("lm_head.dense", hidden, hidden)
            table.layerNorm("lm_head.layer_norm", hidden)
            decoder.add(to: &table, hidden, body.vocabularySize)
        }
        if head == .sequence {
            table.linear("classifier.dense", hidden, hidden)
            table.linear("classifier.out_proj", hidden, labelCount)
        } else {
            head.addClassifier(to: &table, hidden, labelCount: labelCount)
        }
        return table
    }

    // MARK: - Computation

    func completed(_ inputs: [String: Tensor]) throws -> (inputs: [String: Tensor], notes: [String]) {
        let filled = try filled(inputs) { tokens, shape in
            let ids = try tokens.doubles()
            let length = max(shape.last ?? 1, 1)
            var positions: [Int64] = []
            var count: Int64 = 0
            for (i, id) in ids.enumerated() {
                if i % length == 0 { count = 0 }
                let counts = id != Double(padding)
                count += counts ? 1 : 0
                positions.append(Int64(padding) + (counts ? count : 0))
            }
            return Tensor(positions, shape: shape)
        }
        return (filled, [])
    }

    func build(_ b: inout TransformerBuilder) throws {
        let inputs = try addInputs(&b)
        var x = try body.embeddings(&b, inputs)
        for layer in 0..<body.layerCount { x = try body.layer(&b, x, "encoder.layer.\(layer)", mask: inputs.mask) }

        switch head {
        case .model, .preTraining, .nextSentence:
            b.output("last_hidden_state", x)
            if hasPooler { b.output("pooler_output", try pool(&b, x)) }
        case .maskedLM, .languageModel:
            let logits = try b.layer("lm_head", "language model head") { b in
                let hidden = try b.activation(b.linear(x, "lm_head.dense"), .gelu)
                let normal = try b.layerNorm(hidden, "lm_head.layer_norm", epsilon: body.epsilon)
                return try decoder?.apply(&b, normal) ?? normal
            }
            b.output("logits", logits)
        case .sequence:
            let logits = try b.layer("classifier", "classifier") { b in
                let hidden = try b.activation(b.linear(b.index(x, axis: 1, at: 0), "classifier.dense"), .tanh)
                return try b.linear(hidden, "classifier.out_proj")
            }
            b.output("logits", logits)
        case .token: try classifyTokens(&b, x)
        case .question: try answer(&b, x)
        case .multipleChoice: try choose(&b, pool(&b, x))
        }
    }

    private func pool(_ b: inout TransformerBuilder, _ x: ValueID) throws -> ValueID {
        try b.layer("pooler", "pooler") { b in try b.activation(b.linear(b.index(x, axis: 1, at: 0), "pooler.dense"), .tanh) }
    }
}
