import ByteIO
import FormatKit
import JSON
import ModelIR

/// What GPT-2, GPT-Neo and the Sparse Transformer share around their blocks: tables of tokens and positions, a final norm, and the heads.
///
/// hidden = wte[ids] + wpe[positions] (+ wte[types]); blocks; ln_f; head.
struct CausalDecoder: Sendable {
    /// What stands on top of the last hidden state.
    enum Head: Hashable, Sendable {
        /// `last_hidden_state`
        case none
        /// `logits` for the next token at each position.
        case languageModel
        /// `logits` at the last token of each row that isn't padding; without padding at the last one.
        case sequenceClassification(labels: Int, padding: Int?)
        /// `logits` of classes at each position.
        case tokenClassification(labels: Int)
        /// `start_logits` and `end_logits`.
        case questionAnswering
        /// `logits` of a language model for each of several choices, and `mc_logits` from one token of each.
        case doubleHeads(SequenceSummary)
    }

    var vocabularySize: Int
    var positionCount: Int
    /// Width of the hidden states.
    var width: Int
    var epsilon: Double
    var head: Head
    /// Whether `lm_head.weight` is `wte.weight`.
    var isHeadTied = true
    /// Whether the configuration says so.
    var statesTie = true
    /// Whether there is an input of token types, whose embeddings are those of tokens.
    var hasTokenTypes = true
    /// Length of a probe that reaches every feature, as far as there are positions.
    var probeLength = 11

    var hasLanguageModel: Bool {
        switch head {
        case .languageModel, .doubleHeads: true
        case .none, .sequenceClassification, .tokenClassification, .questionAnswering: false
        }
    }

    private var hasChoices: Bool { if case .doubleHeads = head { true } else { false } }

    // MARK: - Names

    /// - Parameter blocks: adds the rows of the blocks.
    func table(base: String = "transformer", blocks: (inout TransformerTable) -> Void) -> TransformerTable {
        var table = TransformerTable(base: base)
        table.embedding("wte", vocabularySize, width)
        table.embedding("wpe", positionCount, width)
        blocks(&table)
        table.layerNorm("ln_f", width, hasLegacyNames: false)
        table.isBase = false
        if hasLanguageModel {
            // TensorFlow's classes have no head of their own.
            table.add(TransformerParameter(name: "lm_head.weight", shape: [vocabularySize, width], isBase: false, tensorFlow: nil))
        }
        switch head {
        case .none, .languageModel: break
        case .sequenceClassification(let labels, _): table.linear("score", width, labels, hasBias: false)
        case .tokenClassification(let labels): table.linear("classifier", width, labels)
        case .questionAnswering: table.linear("qa_outputs", width, 2)
        case .doubleHeads(let summary):
            if let size = summary.projectionSize { table.linear("multiple_choice_head.summary", width, size) }
        }
        return table
    }

    var ties: [Checkpoint.Tie] {
        hasLanguageModel && isHeadTied ? [Checkpoint.Tie(names: ["transformer.wte.weight", "lm_head.weight"])] : []
    }

    // MARK: - Inputs

    private var inputShape: Shape {
        hasChoices ? [.symbol("batch"), .symbol("choices"), .symbol("sequence")] : [.symbol("batch"), .symbol("sequence")]
    }

    var probeSizes: [String: Int] {
        var sizes = ["sequence": min(probeLength, positionCount)]
        if hasChoices { sizes["choices"] = 2 }
        return sizes
    }

    var inputs: [InputDescription] {
        var padding: Int?
        if case .sequenceClassification(_, let id) = head { padding = id }
        var inputs = [
            InputDescription("input_ids", .tokens(vocabulary: vocabularySize, padding: padding)),
            InputDescription("attention_mask", .mask(of: "input_ids"), isOptional: true),
        ]
        if hasTokenTypes {
            inputs.append(InputDescription("token_type_ids", .tokens(vocabulary: vocabularySize, padding: nil), isOptional: true))
        }
        inputs.append(InputDescription("position_ids", .positions(count: positionCount), isOptional: true))
        if hasChoices {
            inputs.append(InputDescription("mc_token_ids", .positions(count: min(probeLength, positionCount)), isOptional: true))
        }
        return inputs
    }

    /// Inputs whose defaults aren't those of their role: no token types, the last token of each choice.
    /// - Throws: `InputError` for negative token types, which mean none in the graph.
    fileprivate func prefilled(_ given: [String: Tensor]) throws -> (inputs: [String: Tensor], notes: [String]) {
        var inputs = given
        if hasTokenTypes, let value = try given["token_type_ids"]?.doubles().first(where: { $0 < 0 }) {
            throw InputError("the input token_type_ids holds \(value), expected ids from 0 on")
        }
        guard let shape = given["input_ids"]?.shape, let length = shape.last else { return (inputs, []) }
        func constant(_ value: Int, _ shape: [Int]) -> Tensor {
            Tensor([Int64](repeating: Int64(value), count: shape.reduce(1, *)), shape: shape)
        }
        // Types of 0 are something else than none.
        if hasTokenTypes, inputs["token_type_ids"] == nil { inputs["token_type_ids"] = constant(-1, shape) }
        if hasChoices, inputs["mc_token_ids"] == nil { inputs["mc_token_ids"] = constant(length - 1, Array(shape.dropLast())) }
        guard case .sequenceClassification(_, nil) = head, shape[0] > 1 else { return (inputs, []) }
        return (inputs, ["the configuration has no pad_token_id: each row is classified at its last token"])
    }

    // MARK: - Graph

    /// - Parameter block: (builder, hidden [rows, sequence, width], key mask [rows, sequence], layer) -> hidden.
    func build(
        _ b: inout TransformerBuilder,
        block: (inout TransformerBuilder, ValueID, ValueID, Int) throws -> ValueID, blockCount: Int
    ) throws {
        let ids = try b.input("input_ids", inputShape)
        let mask = try b.input("attention_mask", inputShape)
        let types = hasTokenTypes ? try b.input("token_type_ids", inputShape) : nil
        let positions = try b.input("position_ids", inputShape)
        let choiceTokens = hasChoices ? try b.input("mc_token_ids", Shape(inputShape.dims.dropLast())) : nil

        var hidden = try b.layer("embeddings", "embeddings") { b in
            let tokens = try asRows(&b, ids)
            let places = try asRows(&b, positions)
            let sum = try b.add(b.embedding(tokens, "wte"), b.embedding(places, "wpe"))
            guard let types else { return sum }
            let rows = try asRows(&b, types)
            let embedded = try typeEmbedding(&b, rows)
            return try b.add(sum, embedded)
        }
        let maskRows = try asRows(&b, mask)
        let keyMask = try b.mask(maskRows)
        for layer in 0..<blockCount { hidden = try b.layer("h.\(layer)", "block") { b in try block(&b, hidden, keyMask, layer) } }
        hidden = try b.layer("ln_f", "layer norm") { b in try b.layerNorm(hidden, "ln_f", epsilon: epsilon) }

        switch head {
        case .none: b.output("last_hidden_state", hidden)
        case .languageModel:
            let logits = try languageModel(&b, hidden)
            b.output("logits", logits)
        case .sequenceClassification(_, let padding):
            let pooled: ValueID
            if let padding {
                pooled = try b.rows(of: hidden, at: b.lastPosition(where: b.compare(ids, .notEqual, padding)))
            } else {
                pooled = try b.index(hidden, axis: 1, at: -1)
            }
            b.output("logits", try b.linear(pooled, "score"))
        case .tokenClassification: b.output("logits", try b.linear(hidden, "classifier"))
        case .questionAnswering: try b.outputSpan(hidden, "qa_outputs")
        case .doubleHeads(let summary):
            let choices = Shape(inputShape.dims + [.fixed(width)])
            let byChoice = try b.graph.append(.reshape(choices), [hidden])
            let logits = try languageModel(&b, byChoice)
            b.output("logits", logits)
            guard let choiceTokens else { return }
            let scores = try summary.build(&b, hidden, choiceTokens, shape: choices)
            b.output("mc_logits", scores)
        }
    }

    /// [batch, choices, sequence] -> [batch * choices, sequence]; others stay.
    private func asRows(_ b: inout TransformerBuilder, _ x: ValueID) throws -> ValueID {
        guard hasChoices else { return x }
        let dims = b.shape(x).dims
        return try b.graph.append(.reshape([dims[0] * dims[1], dims[2]]), [x])
    }

    /// Zeros where the type is -1: none.
    private func typeEmbedding(_ b: inout TransformerBuilder, _ types: ValueID) throws -> ValueID {
        let zero = try b.graph.scalar(0, .i64)
        let isThere = try b.graph.append(.compare(.greaterOrEqual), [types, zero])
        let rows = try b.embedding(b.graph.binary(.maximum, types, zero), "wte")
        let aligned = try b.graph.append(.reshape(Shape(b.shape(isThere).dims + [1])), [isThere])
        return try b.graph.append(.select, [aligned, rows, b.graph.scalar(0, .f32)])
    }

    private func languageModel(_ b: inout TransformerBuilder, _ hidden: ValueID) throws -> ValueID {
        try b.linear(hidden, isHeadTied ? "wte" : "lm_head")
    }
}

/// A family whose models are such decoders.
protocol CausalFamily: TransformerFamily {
    var decoder: CausalDecoder { get }
}

extension CausalFamily {
    var isBaseClass: Bool { decoder.head == .none }
    var ties: [Checkpoint.Tie] { decoder.ties }
    var inputs: [InputDescription] { decoder.inputs }
    var probeSizes: [String: Int] { decoder.probeSizes }

    /// All tokens count, and positions run from 0 whatever the mask.
    func completed(_ inputs: [String: Tensor]) throws -> (inputs: [String: Tensor], notes: [String]) {
        let (prefilled, notes) = try decoder.prefilled(inputs)
        return (try filled(prefilled) { _, shape in try Tensor.positions(shape) }, notes)
    }

    func configurationChanges(for target: LoweringTarget) -> [(key: String, value: JSONValue?)] {
        // Two tensors are two parameters, and one is one, whatever the configuration said.
        decoder.hasLanguageModel && decoder.isHeadTied != decoder.statesTie ? [("tie_word_embeddings", .bool(decoder.isHeadTied))] : []
    }
}

/// Whether the head of a language model is the table of tokens: where the configuration says so, unless the file holds two tensors
/// (`tie_weights` of transformers 5); in TensorFlow's classes always.
func isHeadTied(_ config: TransformerConfig, _ stored: StoredNames) throws -> Bool {
    try stored.isTensorFlow
        || config.bool("tie_word_embeddings", default: true) && !stored.areSeparate(["lm_head.weight"], ["wte.weight"])
}

/// One vector for each choice, from its hidden states: the multiple-choice head of `GPT2DoubleHeadsModel` (`GPT2SequenceSummary`).
struct SequenceSummary: Hashable, Sendable {
    enum Kind: String, Hashable, Sendable {
        /// The state of a token named by an input.
        case token = "cls_index"
        /// transformers takes these three along the axis of choices, not of tokens.
        case last, first, mean
    }

    var kind: Kind
    /// Outputs of the projection; nil where there is none.
    var projectionSize: Int?
    var activation: Activation

    init(_ config: TransformerConfig, width: Int) throws {
        let name = try config.string("summary_type", default: "cls_index")
        guard let kind = Kind(rawValue: name) else { throw UnsupportedError("summary_type \"\(name)\" isn't known") }
        self.kind = kind
        // The class sets num_labels to 1.
        let projects = try config.bool("summary_use_proj", default: true)
        projectionSize = projects ? (try config.bool("summary_proj_to_labels", default: true) ? 1 : width) : nil
        let hasActivation = try !config.string("summary_activation", default: "").isEmpty
        activation = hasActivation ? try config.activation("summary_activation", default: "linear") : .linear
    }

    /// - Parameters:
    ///   - hidden: [batch * choices, sequence, width]
    ///   - tokens: i64 [batch, choices]
    ///   - shape: [batch, choices, sequence, width]
    /// - Returns: [batch, choices], or [batch, sequence] for kinds other than `token`; wider ones keep their last axis.
    fileprivate func build(_ b: inout TransformerBuilder, _ hidden: ValueID, _ tokens: ValueID, shape: Shape) throws -> ValueID {
        var pooled: ValueID
        switch kind {
        case .token:
            let position = try b.graph.append(.reshape([shape[0] * shape[1]]), [tokens])
            pooled = try b.graph.append(.reshape([shape[0], shape[1], shape[3]]), [b.rows(of: hidden, at: position)])
        case .last, .first, .mean:
            let whole = try b.graph.append(.reshape(shape), [hidden])
            switch kind {
            case .last: pooled = try b.index(whole, axis: 1, at: -1)
            case .first: pooled = try b.index(whole, axis: 1, at: 0)
            case .mean, .token: pooled = try b.graph.append(.reduce(.mean, axes: [1], keepsDimensions: false), [whole])
            }
        }
        if projectionSize != nil { pooled = try b.linear(pooled, "multiple_choice_head.summary") }
        pooled = try b.graph.activation(activation, pooled)
        let dims = b.shape(pooled).dims
        return dims[2] == .fixed(1) ? try b.graph.append(.reshape(Shape(dims.dropLast())), [pooled]) : pooled
    }
}
