import ByteIO
import FormatKit
import JSON
import ModelIR

/// BERT (Devlin et al. 2018): a Transformer's encoder with learned positions and segments, layers normalised after each residual.
struct BERT: BERTRelative {
    static let modelTypes = ["bert"]
    static let classNames = BERTHead.allCases.map { "Bert\($0.rawValue)" }
    static let modelledKeys = BERTBody.modelledKeys
    static let inertKeys = BERTBody.inertKeys

    let body: BERTBody
    let head: BERTHead
    let labelCount: Int
    let hasPooler: Bool
    let decoder: TiedDecoder?
    let table: TransformerTable

    static func className(_ config: TransformerConfig, stored: StoredNames) -> String {
        let predicts = stored.contains("cls.predictions.bias", "mlm___cls/predictions/bias")
        let relates = stored.contains("cls.seq_relationship.weight", "nsp___cls/seq_relationship/kernel")
        let head: BERTHead =
            predicts && relates
            ? .preTraining
            : predicts ? .maskedLM : relates ? .nextSentence : .inferred(stored, pooler: "pooler.dense.weight")
        return "Bert\(head.rawValue)"
    }

    init(_ config: TransformerConfig, className: String, stored: StoredNames) throws {
        head = try BERTHead(className, prefix: "Bert")
        body = try BERTBody(config, defaults: (30522, 768, 12, 3072, "gelu"))
        labelCount = try config.labelCount()
        switch head {
        case .model: hasPooler = stored.contains("pooler.dense.weight", "pooler/dense/kernel")
        case .preTraining, .nextSentence, .sequence, .multipleChoice: hasPooler = true
        case .maskedLM, .languageModel, .token, .question: hasPooler = false
        }
        let hasDecoder = [.preTraining, .maskedLM, .languageModel].contains(head)
        decoder =
            hasDecoder ? try TiedDecoder(config, "cls.predictions.decoder", bias: "cls.predictions.bias", stored: stored) : nil
        table = Self.table(body, head, hasPooler: hasPooler, decoder: decoder, labelCount: labelCount)
        try checkLabels()
    }

    var assumptions: [String] { head == .model && !hasPooler ? ["no pooler is stored, so the model has none"] : [] }

    // MARK: - Names

    private static func table(
        _ body: BERTBody, _ head: BERTHead, hasPooler: Bool, decoder: TiedDecoder?, labelCount: Int
    ) -> TransformerTable {
        let hidden = body.hiddenSize
        var table = TransformerTable(base: "bert")
        body.addEmbeddings(to: &table)
        for layer in 0..<body.layerCount { body.addLayer("encoder.layer.\(layer)", to: &table) }
        if hasPooler { table.linear("pooler.dense", hidden, hidden) }

        table.isBase = false
        if head == .preTraining || head == .nextSentence {
            table.tensorFlowScopes["cls"] = "nsp___cls"
            table.linear("cls.seq_relationship", hidden, 2)
        }
        if let decoder {
            table.tensorFlowScopes["cls"] = "mlm___cls"
            table.linear("cls.predictions.transform.dense", hidden, hidden)
            if body.activation == nil {
                table.add(TransformerParameter(name: "cls.predictions.transform.transform_act_fn.weight", shape: [1], isBase: false))
            }
            table.layerNorm("cls.predictions.transform.LayerNorm", hidden)
            decoder.add(to: &table, hidden, body.vocabularySize)
        }
        head.addClassifier(to: &table, hidden, labelCount: labelCount)
        return table
    }

    var decoderLayer: TensorFlowLayer? { TensorFlowLayer("mlm___cls", ["mlm___cls/", "bert/embeddings/"]) }

    // MARK: - Computation

    func build(_ b: inout TransformerBuilder) throws {
        let inputs = try addInputs(&b)
        var x = try body.embeddings(&b, inputs)
        for layer in 0..<body.layerCount { x = try body.layer(&b, x, "encoder.layer.\(layer)", mask: inputs.mask) }

        switch head {
        case .model:
            b.output("last_hidden_state", x)
            if hasPooler { b.output("pooler_output", try pool(&b, x)) }
        case .preTraining:
            b.output("prediction_logits", try predict(&b, x))
            b.output("seq_relationship_logits", try relate(&b, pool(&b, x)))
        case .maskedLM, .languageModel: b.output("logits", try predict(&b, x))
        case .nextSentence: b.output("logits", try relate(&b, pool(&b, x)))
        case .sequence: try classify(&b, pool(&b, x))
        case .multipleChoice: try choose(&b, pool(&b, x))
        case .token: try classifyTokens(&b, x)
        case .question: try answer(&b, x)
        }
    }

    private func pool(_ b: inout TransformerBuilder, _ x: ValueID) throws -> ValueID { try pool(&b, x, "pooler.dense") }

    private func predict(_ b: inout TransformerBuilder, _ x: ValueID) throws -> ValueID {
        let transform = "cls.predictions.transform"
        return try predict(&b, x, "cls.predictions", dense: "\(transform).dense", norm: "\(transform).LayerNorm") { b, x in
            try body.activate(&b, x, "\(transform).transform_act_fn")
        }
    }

    /// Whether the second sentence follows the first, [batch, 2].
    private func relate(_ b: inout TransformerBuilder, _ pooled: ValueID) throws -> ValueID {
        try b.layer("cls.seq_relationship", "classifier") { b in try b.linear(pooled, "cls.seq_relationship") }
    }
}
