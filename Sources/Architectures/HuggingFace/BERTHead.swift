import ByteIO
import FormatKit
import JSON
import ModelIR

/// What stands on the encoder, in BERT and its relatives.
enum BERTHead: String, Hashable, Sendable, CaseIterable {
    case model = "Model"
    case preTraining = "ForPreTraining"
    case maskedLM = "ForMaskedLM"
    case languageModel = "LMHeadModel"
    case nextSentence = "ForNextSentencePrediction"
    case sequence = "ForSequenceClassification"
    case token = "ForTokenClassification"
    case question = "ForQuestionAnswering"
    case multipleChoice = "ForMultipleChoice"

    /// - Parameter className: `BertForMaskedLM`, of a family whose classes begin with `prefix`.
    init(_ className: String, prefix: String) throws {
        guard className.hasPrefix(prefix), let head = BERTHead(rawValue: String(className.dropFirst(prefix.count))) else {
            throw UnsupportedError("the class \(className) can't be run")
        }
        self = head
    }

    /// The head that a file's weights belong to, where its configuration doesn't say.
    static func inferred(_ stored: StoredNames, pooler: String) -> BERTHead {
        if stored.contains("qa_outputs.weight", "qa_outputs/kernel") { return .question }
        if stored.contains("classifier.weight", "classifier/kernel") { return stored.contains(pooler) ? .sequence : .token }
        if stored.contains("classifier.out_proj.weight", "classifier/out_proj/kernel") { return .sequence }
        return .model
    }

    /// A plain classifier's rows: `classifier`, or `qa_outputs`.
    func addClassifier(to table: inout TransformerTable, _ inputSize: Int, labelCount: Int) {
        switch self {
        case .sequence, .token: table.linear("classifier", inputSize, labelCount)
        case .multipleChoice: table.linear("classifier", inputSize, 1)
        case .question: table.linear("qa_outputs", inputSize, labelCount)
        case .model, .preTraining, .maskedLM, .languageModel, .nextSentence: break
        }
    }
}

/// A family of encoders that share BERT's heads.
protocol BERTRelative: TransformerFamily {
    var body: BERTBody { get }
    var head: BERTHead { get }
    /// Labels of classifiers.
    var labelCount: Int { get }
    var decoder: TiedDecoder? { get }
    /// The layer of Keras that holds the decoder, with the variables that it shares.
    var decoderLayer: TensorFlowLayer? { get }
    /// The name that Keras gives a class' own dropout in a fresh process, where the class' loader misses it.
    var dropoutLayer: String? { get }
}

extension BERTRelative {
    var isBaseClass: Bool { head == .model }
    var dropoutLayer: String? { nil }

    static var tensorFlowConstants: [(key: String, value: JSONValue)] { [("position_embedding_type", "absolute")] }

    func notes(for target: LoweringTarget) -> [String] {
        guard target == .pytorch, body.positions != .absolute else { return [] }
        return [
            "transformers 5 ignores position_embedding_type \"\(body.positions.rawValue)\": it reports distance_embedding.weight as unexpected and computes something else; transformers 4 doesn't"
        ]
    }

    static func isBuffer(_ name: String) -> Bool {
        ["embeddings.position_ids", "embeddings.token_type_ids"].contains { name == $0 || name.hasSuffix(".\($0)") }
    }

    var ties: [Checkpoint.Tie] {
        let prefix = isBaseClass ? "" : "\(table.base)."
        return decoder?.ties(embeddings: "\(prefix)embeddings.word_embeddings.weight") ?? []
    }

    func configurationChanges(for target: LoweringTarget) -> [(key: String, value: JSONValue?)] { decoder?.configurationChanges ?? [] }

    /// Layers in the order of the classes' attributes; the decoder's layer also owns the embeddings that it is tied to.
    var tensorFlowLayers: [TensorFlowLayer] {
        var layers: [TensorFlowLayer] = []
        for row in table.rows {
            guard let path = row.tensorFlow?.paths.first, let name = path.split(separator: "/").first.map(String.init) else { continue }
            if layers.contains(where: { $0.name == name }) { continue }
            layers.append(decoderLayer?.name == name ? decoderLayer ?? TensorFlowLayer(name, []) : TensorFlowLayer(name, ["\(name)/"]))
        }
        return layers + (dropoutLayer.map { [TensorFlowLayer($0, [])] } ?? [])
    }

    // MARK: - Inputs

    var inputs: [InputDescription] { encoderInputs }

    /// What every encoder takes.
    var encoderInputs: [InputDescription] {
        var inputs = [
            InputDescription("input_ids", .tokens(vocabulary: body.vocabularySize, padding: body.padding)),
            InputDescription("attention_mask", .mask(of: "input_ids"), isOptional: true),
        ]
        if body.typeCount > 0 { inputs.append(InputDescription("token_type_ids", .segments(count: body.typeCount), isOptional: true)) }
        if body.positions == .absolute {
            inputs.append(InputDescription("position_ids", .positions(count: body.positionCount), isOptional: true))
        }
        return inputs
    }

    /// [batch, sequence]; with several choices [batch, choices, sequence], which the model takes as a batch of batch * choices.
    func addInputs(_ b: inout TransformerBuilder) throws -> BERTBody.Inputs {
        let tokens = try addInput(&b, "input_ids")
        let mask = try addInput(&b, "attention_mask")
        var inputs = BERTBody.Inputs(tokens: tokens, mask: mask)
        if body.typeCount > 0 { inputs.types = try addInput(&b, "token_type_ids") }
        if body.positions == .absolute { inputs.positions = try addInput(&b, "position_ids") }
        inputs.mask = try b.mask(mask)
        return inputs
    }

    /// One input, [batch, sequence], whatever the number of choices.
    func addInput(_ b: inout TransformerBuilder, _ name: String) throws -> ValueID {
        guard head == .multipleChoice else { return try b.input(name) }
        let value = try b.input(name, [.symbol("batch"), .symbol("choices"), .symbol("sequence")])
        return try b.graph.append(.reshape([.symbol("batch") * .symbol("choices"), .symbol("sequence")]), [value])
    }

    // MARK: - Heads

    /// tanh(W x_0 + b), of the first token.
    func pool(_ b: inout TransformerBuilder, _ x: ValueID, _ name: String) throws -> ValueID {
        try b.layer("pooler", "pooler") { b in try b.activation(b.linear(b.index(x, axis: 1, at: 0), name), .tanh) }
    }

    /// The vocabulary's logits, [batch, sequence, vocabulary]: decoder(LayerNorm(activate(dense(x)))).
    func predict(
        _ b: inout TransformerBuilder, _ x: ValueID, _ layer: String, dense: String, norm: String,
        activate: (inout TransformerBuilder, ValueID) throws -> ValueID
    ) throws -> ValueID {
        try b.layer(layer, "language model head") { b in
            let hidden = try activate(&b, b.linear(x, dense))
            let normal = try b.layerNorm(hidden, norm, epsilon: body.epsilon)
            return try decoder?.apply(&b, normal) ?? normal
        }
    }

    /// logits [batch, labels] of the first token, by two linear layers.
    func classifyFirst(_ b: inout TransformerBuilder, _ x: ValueID, _ activation: Activation) throws {
        let logits = try b.layer("classifier", "classifier") { b in
            let hidden = try b.activation(b.linear(b.index(x, axis: 1, at: 0), "classifier.dense"), activation)
            return try b.linear(hidden, "classifier.out_proj")
        }
        b.output("logits", logits)
    }

    /// logits [batch, sequence, labels].
    func classifyTokens(_ b: inout TransformerBuilder, _ x: ValueID) throws {
        b.output("logits", try b.layer("classifier", "classifier") { b in try b.linear(x, "classifier") })
    }

    /// logits [batch, labels] of one vector for each row.
    func classify(_ b: inout TransformerBuilder, _ pooled: ValueID) throws {
        b.output("logits", try b.layer("classifier", "classifier") { b in try b.linear(pooled, "classifier") })
    }

    /// logits [batch, choices] of one vector for each choice.
    func choose(_ b: inout TransformerBuilder, _ pooled: ValueID) throws {
        let logits = try b.layer("classifier", "classifier") { b in
            try b.graph.append(.reshape([.symbol("batch"), .symbol("choices")]), [b.linear(pooled, "classifier")])
        }
        b.output("logits", logits)
    }

    /// start_logits and end_logits [batch, sequence].
    func answer(_ b: inout TransformerBuilder, _ x: ValueID) throws {
        let logits = try b.layer("qa_outputs", "classifier") { b in try b.linear(x, "qa_outputs") }
        b.output("start_logits", try b.index(logits, axis: 2, at: 0))
        b.output("end_logits", try b.index(logits, axis: 2, at: 1))
    }

    /// Of families whose TensorFlow classes can't be built without a pooler.
    func poolerObstacle(hasPooler: Bool) -> String? {
        head == .model && !hasPooler ? "TensorFlow's class always has a pooler, and none is stored" : nil
    }

    /// - Throws: `UnsupportedError` where spans would have more than a start and an end.
    func checkLabels() throws {
        guard head != .question || labelCount == 2 else {
            throw UnsupportedError("question answering with \(labelCount) labels, not 2, can't be run")
        }
    }
}
