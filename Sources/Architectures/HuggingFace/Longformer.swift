import ByteIO
import FormatKit
import ModelIR

/// Longformer (Beltagy et al. 2020): RoBERTa whose tokens attend to a window around them, but for a few that attend to, and are attended by,
/// all, through projections of their own.
struct Longformer: RoBERTaRelative {
    static let modelTypes = ["longformer"]
    private static let heads: [BERTHead] = [.model, .maskedLM, .sequence, .token, .question, .multipleChoice]
    static let classNames = heads.map { "Longformer\($0.rawValue)" }
    static let modelledKeys = BERTBody.modelledKeys.union(["pad_token_id", "attention_window", "sep_token_id", "onnx_export"])
    static let inertKeys = BERTBody.inertKeys.subtracting(["pad_token_id"]).union([
        "attention_mode", "autoregressive", "attention_dilation", "ignore_attention_mask",
    ])

    let body: BERTBody
    let head: BERTHead
    let labelCount: Int
    let hasPooler: Bool
    let decoder: TiedDecoder?
    let table: TransformerTable
    let padding: Int
    /// Tokens that a layer's tokens see on either side.
    private let windows: [Int]
    private let separator: Int
    private let isTensorFlow: Bool

    static func className(_ config: TransformerConfig, stored: StoredNames) -> String {
        let head: BERTHead =
            stored.contains("lm_head.bias", "lm_head/bias") ? .maskedLM : .inferred(stored, pooler: "pooler.dense.weight")
        return "Longformer\(head.rawValue)"
    }

    init(_ config: TransformerConfig, className: String, stored: StoredNames) throws {
        head = try BERTHead(className, prefix: "Longformer")
        var body = try BERTBody(config, defaults: (30522, 768, 12, 3072, "gelu"))
        guard body.positions == .absolute, body.pattern == .full else {
            throw UnsupportedError("a Longformer with relative positions, or as a decoder, can't be run")
        }
        padding = body.padding ?? 1
        body.padding = padding
        self.body = body
        windows = try Self.windows(config, layerCount: body.layerCount)
        separator = try config.int("sep_token_id", default: 2)
        isTensorFlow = stored.isTensorFlow
        labelCount = try config.labelCount()
        hasPooler =
            switch head {
            case .model: stored.contains("pooler.dense.weight", "pooler/dense/kernel")
            case .multipleChoice: true
            case .preTraining, .maskedLM, .languageModel, .nextSentence, .sequence, .token, .question: false
            }
        decoder = head == .maskedLM ? try TiedDecoder(config, "lm_head.decoder", bias: "lm_head.bias", stored: stored) : nil
        table = Self.table(base: "longformer", body, head, hasPooler: hasPooler, decoder: decoder, labelCount: labelCount)
        try checkLabels()
    }

    /// `attention_window`, a number or one a layer, counts both sides.
    static func windows(_ config: TransformerConfig, layerCount: Int, default fallback: Int = 512) throws -> [Int] {
        let stated: [Int]
        if config.json["attention_window"]?.array != nil {
            stated = try config.ints("attention_window") ?? []
        } else {
            stated = [Int](repeating: try config.size("attention_window", default: fallback), count: layerCount)
        }
        guard stated.count == layerCount, stated.allSatisfy({ $0 > 0 && $0 % 2 == 0 && $0 < 1 << 31 }) else {
            throw transformerError(
                "bad-config", expected: "an attention_window, positive and even, for each of \(layerCount) layers", found: "\(stated)")
        }
        return stated.map { $0 / 2 }
    }

    // MARK: - Names

    /// Of the window, then of the global tokens.
    static let projections = ["query", "key", "value", "query_global", "key_global", "value_global"]

    static func addLayer(_ prefix: String, _ body: BERTBody, to table: inout TransformerTable) {
        body.addLayer(prefix, to: &table)
        for part in projections.dropFirst(3) {
            table.linear("\(prefix).attention.self.\(part)", body.hiddenSize, body.hiddenSize)
        }
    }

    func notes(for target: LoweringTarget) -> [String] {
        guard head == .multipleChoice, target == .tensorflow else { return [] }
        return ["where global_attention_mask isn't given, TensorFlow's class makes no token global, PyTorch's those of the answers"]
    }

    // MARK: - Inputs

    var inputs: [InputDescription] {
        encoderInputs + [InputDescription("global_attention_mask", .globalAttention, isOptional: true)]
    }

    /// Past two windows, and no multiple of one.
    var probeSizes: [String: Int] {
        ["sequence": min(2 * 2 * (windows.max() ?? 1) + 5, max(body.positionCount - padding - 1, 1))]
    }

    func completed(_ inputs: [String: Tensor]) throws -> (inputs: [String: Tensor], notes: [String]) {
        var filled = try filled(inputs, positions: positionsPastPadding)
        guard inputs["global_attention_mask"] == nil, let tokens = filled["input_ids"] else { return (filled, []) }
        var notes: [String] = []
        switch head {
        case .sequence:
            filled["global_attention_mask"] = try globalMask(tokens) { position, _ in position == 0 }
            notes = ["global_attention_mask isn't given: the first token is global"]
        case .question:
            try checkSeparators(tokens)
            filled["global_attention_mask"] = try globalMask(tokens) { position, separator in position < separator }
            notes = ["global_attention_mask isn't given: the tokens before the first separator are global"]
        // TensorFlow's class makes none global.
        case .multipleChoice where !isTensorFlow:
            try checkSeparators(tokens)
            filled["global_attention_mask"] = try globalMask(tokens) { position, separator in position > separator + 1 }
            notes = ["global_attention_mask isn't given: the tokens behind the first two separators are global"]
        case .model, .preTraining, .maskedLM, .languageModel, .nextSentence, .token, .multipleChoice: break
        }
        return (filled, notes)
    }

    /// - Parameter isGlobal: asked with a position, and that of its row's first separator.
    private func globalMask(_ tokens: Tensor, where isGlobal: (Int, Int) -> Bool) throws -> Tensor {
        let ids = try tokens.doubles()
        let length = max(tokens.shape.last ?? 1, 1)
        var mask: [Int64] = []
        for row in 0..<ids.count / length {
            let first = ids[row * length..<(row + 1) * length].firstIndex(of: Double(separator)).map { $0 - row * length } ?? length
            for position in 0..<length { mask.append(isGlobal(position, first) ? 1 : 0) }
        }
        return Tensor(mask, shape: tokens.shape)
    }

    /// transformers finds question and answer by exactly three separators a row.
    private func checkSeparators(_ tokens: Tensor) throws {
        let length = max(tokens.shape.last ?? 1, 1)
        let ids = try tokens.doubles()
        for row in 0..<ids.count / length {
            let count = ids[row * length..<(row + 1) * length].count { $0 == Double(separator) }
            guard count == 3 else {
                throw InputError(
                    "input_ids has \(count) separators (\(separator)) in row \(row), not 3; give global_attention_mask to say which tokens are global"
                )
            }
        }
    }

    // MARK: - Computation

    func build(_ b: inout TransformerBuilder) throws {
        let inputs = try addInputs(&b)
        let isGlobal = try b.mask(addInput(&b, "global_attention_mask"))
        var x = try body.embeddings(&b, inputs)
        for (layer, window) in windows.enumerated() {
            let input = x
            let prefix = "encoder.layer.\(layer)"
            x = try body.layer(&b, input, prefix) { b, query, key, value in
                let global = try Self.projections.dropFirst(3).map { try b.linear(input, "\(prefix).attention.self.\($0)") }
                return try b.longformerAttention(
                    [query, key, value] + global, heads: body.headCount, window: window, mask: inputs.mask, isGlobal: isGlobal)
            }
        }
        try addOutputs(&b, x)
    }
}

extension TransformerBuilder {
    /// - Parameters:
    ///   - parts: what the projections give, [batch, positions, heads * size] each.
    ///   - mask: bool [batch, positions]; so is `isGlobal`.
    mutating func longformerAttention(
        _ parts: [ValueID], heads: Int, window: Int, mask: ValueID, isGlobal: ValueID
    ) throws -> ValueID {
        let split = try parts.map { try splitHeads($0, heads) }
        guard let size = shape(split[0])[3].fixedValue else { throw GraphError("heads have no size") }
        let attention = LongformerAttention(window: window, scale: 1 / Double(size).squareRoot())
        return try joinHeads(graph.append(.composite(.longformerAttention(attention)), split + [mask, isGlobal]))
    }
}
