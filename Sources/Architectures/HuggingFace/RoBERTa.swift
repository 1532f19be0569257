import ByteIO
import FormatKit
import ModelIR

/// RoBERTa (Liu et al. 2019), with XLM-R and CamemBERT, which are it under other names: BERT whose positions count from the padding id on,
/// past padding, with heads of its own.
struct RoBERTa: RoBERTaRelative {
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
    let padding: Int

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
        table = Self.table(base: "roberta", body, head, hasPooler: hasPooler, decoder: decoder, labelCount: labelCount)
        try checkLabels()
    }

    func build(_ b: inout TransformerBuilder) throws {
        let inputs = try addInputs(&b)
        var x = try body.embeddings(&b, inputs)
        for layer in 0..<body.layerCount { x = try body.layer(&b, x, "encoder.layer.\(layer)", mask: inputs.mask) }
        try addOutputs(&b, x)
    }
}
