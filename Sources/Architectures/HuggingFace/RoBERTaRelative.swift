import ByteIO
import FormatKit
import JSON
import ModelIR

/// RoBERTa and what is built on it: positions that count past padding, and heads of its own.
protocol RoBERTaRelative: BERTRelative {
    var hasPooler: Bool { get }
    /// The id of padding, and the position of it; others count from the next.
    var padding: Int { get }
    static func addLayer(_ prefix: String, _ body: BERTBody, to table: inout TransformerTable)
}

extension RoBERTaRelative {
    static var tensorFlowConstants: [(key: String, value: JSONValue)] { [("position_embedding_type", "absolute"), ("pad_token_id", 1)] }
    var tensorFlowObstacle: String? { poolerObstacle(hasPooler: hasPooler) }
    var assumptions: [String] { head == .model && !hasPooler ? ["no pooler is stored, so the model has none"] : [] }
    var decoderLayer: TensorFlowLayer? { TensorFlowLayer("lm_head", ["lm_head/", "\(table.base)/embeddings/"]) }

    static func addLayer(_ prefix: String, _ body: BERTBody, to table: inout TransformerTable) { body.addLayer(prefix, to: &table) }

    func completed(_ inputs: [String: Tensor]) throws -> (inputs: [String: Tensor], notes: [String]) {
        (try filled(inputs, positions: positionsPastPadding), [])
    }

    /// `padding` where the token is padding, and one more for every token that isn't.
    func positionsPastPadding(_ tokens: Tensor, _ shape: [Int]) throws -> Tensor {
        let length = max(shape.last ?? 1, 1)
        var positions: [Int64] = []
        var count: Int64 = 0
        for (i, id) in try tokens.doubles().enumerated() {
            if i % length == 0 { count = 0 }
            let counts = id != Double(padding)
            count += counts ? 1 : 0
            positions.append(Int64(padding) + (counts ? count : 0))
        }
        return Tensor(positions, shape: shape)
    }

    // MARK: - Names

    static func table(
        base: String, _ body: BERTBody, _ head: BERTHead, hasPooler: Bool, decoder: TiedDecoder?, labelCount: Int
    ) -> TransformerTable {
        let hidden = body.hiddenSize
        var table = TransformerTable(base: base)
        body.addEmbeddings(to: &table)
        for layer in 0..<body.layerCount { addLayer("encoder.layer.\(layer)", body, to: &table) }
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

    /// The head on the encoder's output, [batch, sequence, hidden].
    func addOutputs(_ b: inout TransformerBuilder, _ x: ValueID) throws {
        switch head {
        case .model, .preTraining, .nextSentence:
            b.output("last_hidden_state", x)
            if hasPooler { b.output("pooler_output", try pool(&b, x)) }
        case .maskedLM, .languageModel:
            let logits = try predict(&b, x, "lm_head", dense: "lm_head.dense", norm: "lm_head.layer_norm") { b, x in
                try b.activation(x, .gelu)
            }
            b.output("logits", logits)
        case .sequence: try classifyFirst(&b, x, .tanh)
        case .token: try classifyTokens(&b, x)
        case .question: try answer(&b, x)
        case .multipleChoice: try choose(&b, pool(&b, x))
        }
    }

    private func pool(_ b: inout TransformerBuilder, _ x: ValueID) throws -> ValueID { try pool(&b, x, "pooler.dense") }
}
