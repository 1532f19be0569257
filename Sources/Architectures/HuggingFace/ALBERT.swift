import ByteIO
import FormatKit
import ModelIR

/// ALBERT (Lan et al. 2019): BERT with small embeddings that are projected up, and layers that share their weights in groups.
struct ALBERT: BERTRelative {
    static let modelTypes = ["albert"]
    private static let heads: [BERTHead] = [.model, .preTraining, .maskedLM, .sequence, .token, .question, .multipleChoice]
    static let classNames = heads.map { "Albert\($0.rawValue)" }
    static let modelledKeys = BERTBody.modelledKeys.union(["embedding_size", "num_hidden_groups", "inner_group_num"])
    static let inertKeys = BERTBody.inertKeys

    let body: BERTBody
    let head: BERTHead
    let labelCount: Int
    let hasPooler: Bool
    let decoder: TiedDecoder?
    let table: TransformerTable
    private let groupCount: Int
    /// Layers of a group, one after the other.
    private let layersPerGroup: Int

    static func className(_ config: TransformerConfig, stored: StoredNames) -> String {
        let predicts = stored.contains("predictions.bias", "predictions/bias")
        let orders = stored.contains("sop_classifier.classifier.weight", "sop_classifier/classifier/kernel")
        let head: BERTHead = predicts ? orders ? .preTraining : .maskedLM : .inferred(stored, pooler: "pooler.weight")
        return "Albert\(head.rawValue)"
    }

    init(_ config: TransformerConfig, className: String, stored: StoredNames) throws {
        head = try BERTHead(className, prefix: "Albert")
        var body = try BERTBody(config, defaults: (30000, 4096, 64, 16384, "gelu_new"))
        body.embeddingSize = try config.size("embedding_size", default: 128)
        body.names = BERTBody.LayerNames(
            query: "attention.query", key: "attention.key", value: "attention.value", output: "attention.dense",
            attentionNorm: "attention.LayerNorm", intermediate: "ffn", activation: "activation", feedForward: "ffn_output",
            norm: "full_layer_layer_norm")
        self.body = body
        groupCount = try config.size("num_hidden_groups", default: 1)
        layersPerGroup = try config.size("inner_group_num", default: 1)
        guard groupCount <= 1 << 16, layersPerGroup <= (1 << 16) / groupCount else {
            throw transformerError("bad-config", expected: "a number of groups and layers", found: "\(groupCount) and \(layersPerGroup)")
        }
        guard body.positions == .absolute else { throw UnsupportedError("position_embedding_type of ALBERT: only \"absolute\" can be run") }
        labelCount = try config.labelCount()
        switch head {
        case .model: hasPooler = stored.contains("pooler.weight", "pooler/kernel")
        case .preTraining, .sequence, .multipleChoice: hasPooler = true
        case .maskedLM, .languageModel, .nextSentence, .token, .question: hasPooler = false
        }
        decoder =
            head == .preTraining || head == .maskedLM
            ? try TiedDecoder(
                config, "predictions.decoder", bias: "predictions.bias", stored: stored, tensorFlowBias: "predictions/decoder/bias") : nil
        table = Self.table(
            body, head, groups: groupCount, layersPerGroup: layersPerGroup, hasPooler: hasPooler, decoder: decoder, labelCount: labelCount)
        try checkLabels()
    }

    var tensorFlowObstacle: String? {
        layersPerGroup > body.layerCount / groupCount
            ? "TensorFlow's class fails where inner_group_num is more than num_hidden_layers / num_hidden_groups"
            : poolerObstacle(hasPooler: hasPooler)
    }
    var assumptions: [String] { head == .model && !hasPooler ? ["no pooler is stored, so the model has none"] : [] }
    var decoderLayer: TensorFlowLayer? { TensorFlowLayer("predictions", ["predictions/", "albert/embeddings/"]) }

    // MARK: - Names

    private static func table(
        _ body: BERTBody, _ head: BERTHead, groups: Int, layersPerGroup: Int, hasPooler: Bool, decoder: TiedDecoder?, labelCount: Int
    ) -> TransformerTable {
        let (hidden, embedding) = (body.hiddenSize, body.embeddingSize)
        var table = TransformerTable(base: "albert")
        body.addEmbeddings(to: &table)
        table.linear("encoder.embedding_hidden_mapping_in", embedding, hidden)
        for group in 0..<groups {
            for layer in 0..<layersPerGroup { body.addLayer(prefix(group, layer), to: &table) }
        }
        if hasPooler { table.linear("pooler", hidden, hidden) }
        table.isBase = false
        if let decoder {
            table.layerNorm("predictions.LayerNorm", embedding)
            table.linear("predictions.dense", hidden, embedding)
            if body.activation == nil {
                table.add(TransformerParameter(name: "predictions.activation.weight", shape: [1], isBase: false))
            }
            decoder.add(to: &table, embedding, body.vocabularySize, tensorFlowBias: "predictions/decoder/bias")
        }
        if head == .preTraining { table.linear("sop_classifier.classifier", hidden, 2) }
        head.addClassifier(to: &table, hidden, labelCount: labelCount)
        return table
    }

    private static func prefix(_ group: Int, _ layer: Int) -> String { "encoder.albert_layer_groups.\(group).albert_layers.\(layer)" }

    // MARK: - Computation

    func build(_ b: inout TransformerBuilder) throws {
        let inputs = try addInputs(&b)
        let embeddings = try body.embeddings(&b, inputs)
        var x = try b.layer("encoder.embedding_hidden_mapping_in", "projection") { b in
            try b.linear(embeddings, "encoder.embedding_hidden_mapping_in")
        }
        for step in 0..<body.layerCount {
            // As many consecutive steps for each group.
            let group = Int(Double(step) / (Double(body.layerCount) / Double(groupCount)))
            for layer in 0..<layersPerGroup { x = try body.layer(&b, x, Self.prefix(group, layer), mask: inputs.mask) }
        }

        switch head {
        case .model, .languageModel, .nextSentence:
            b.output("last_hidden_state", x)
            if hasPooler { b.output("pooler_output", try pool(&b, x)) }
        case .preTraining:
            b.output("prediction_logits", try predict(&b, x))
            let pooled = try pool(&b, x)
            b.output(
                "sop_logits", try b.layer("sop_classifier", "classifier") { b in try b.linear(pooled, "sop_classifier.classifier") })
        case .maskedLM: b.output("logits", try predict(&b, x))
        case .sequence: try classify(&b, pool(&b, x))
        case .multipleChoice: try choose(&b, pool(&b, x))
        case .token: try classifyTokens(&b, x)
        case .question: try answer(&b, x)
        }
    }

    private func pool(_ b: inout TransformerBuilder, _ x: ValueID) throws -> ValueID { try pool(&b, x, "pooler") }

    private func predict(_ b: inout TransformerBuilder, _ x: ValueID) throws -> ValueID {
        try predict(&b, x, "predictions", dense: "predictions.dense", norm: "predictions.LayerNorm") { b, x in
            try body.activate(&b, x, "predictions.activation")
        }
    }
}
