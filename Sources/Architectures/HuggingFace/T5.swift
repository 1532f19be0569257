import ByteIO
import FormatKit
import JSON
import ModelIR

/// T5, v1.1 and Flan (Raffel et al. 2020, Shazeer 2020; `modeling_t5.py`).
struct T5: T5Family {
    static let modelTypes = ["t5"]
    static let prefix = "T5"
    let core: T5Core

    init(_ config: TransformerConfig, className: String, stored: StoredNames) throws {
        let ties = try config.bool("tie_word_embeddings", default: true)
        core = try T5Core(
            config, head: Self.head(className), stored: stored, scalesOutputs: config.bool("scale_decoder_outputs", default: ties))
    }
}

/// mT5 (Xue et al. 2021): T5 v1.1 by another name and with other defaults.
struct MT5: T5Family {
    static let modelTypes = ["mt5"]
    static let prefix = "MT5"
    let core: T5Core

    func notes(for target: LoweringTarget) -> [String] {
        guard target == .pytorch, core.head == .languageModel, core.scalesOutputs else { return [] }
        return [
            "transformers 5 doesn't scale mT5's outputs by d_model^-0.5, as transformers 4 does where tie_word_embeddings is true: it computes something else"
        ]
    }

    init(_ config: TransformerConfig, className: String, stored: StoredNames) throws {
        // transformers 5 never scales, whatever the key says; 4 does where it is true, which isn't the default.
        let scales = try config.writerGeneration < 5 && config.bool("tie_word_embeddings", default: false)
        core = try T5Core(config, head: Self.head(className), stored: stored, scalesOutputs: scales, defaults: .multilingual)
    }
}

/// UMT5 (Chung et al. 2023): mT5 with relative positions in every layer.
struct UMT5: T5Family {
    static let modelTypes = ["umt5"]
    static let prefix = "UMT5"
    static let tensorFlowClassNames: [String] = []
    let core: T5Core

    func notes(for target: LoweringTarget) -> [String] {
        guard target == .pytorch, core.head == .languageModel, !core.scalesOutputs else { return [] }
        return [
            "transformers 5 always scales UMT5's outputs by d_model^-0.5, transformers 4 not where tie_word_embeddings is false: 5 computes something else"
        ]
    }

    init(_ config: TransformerConfig, className: String, stored: StoredNames) throws {
        core = try T5Core(
            config, head: Self.head(className), stored: stored, scalesOutputs: config.bool("tie_word_embeddings", default: true),
            defaults: .multilingual, biasesEveryLayer: true)
    }
}

/// What T5's relatives share: all but the name of their classes and the defaults of their configurations.
protocol T5Family: TransformerFamily {
    /// Of the classes' names.
    static var prefix: String { get }
    var core: T5Core { get }
}

extension T5Family {
    static var classNames: [String] { T5Core.Head.allCases.map { prefix + $0.rawValue } }
    static var tensorFlowClassNames: [String] { [T5Core.Head.languageModel, .model, .encoder].map { prefix + $0.rawValue } }
    static var modelledKeys: Set<String> { T5Core.modelledKeys }
    static var inertKeys: Set<String> { T5Core.inertKeys }
    static func isBuffer(_ name: String) -> Bool { false }
    static func head(_ className: String) -> T5Core.Head { T5Core.Head(rawValue: String(className.dropFirst(prefix.count))) ?? .model }

    var table: TransformerTable { core.table }
    var isBaseClass: Bool { core.table.base.isEmpty }
    var ties: [Checkpoint.Tie] { core.ties }
    var inputs: [InputDescription] { core.inputs }
    var probeSizes: [String: Int] { core.probeSizes }
    var tensorFlowLayers: [TensorFlowLayer] { core.tensorFlowLayers }
    var tensorFlowScopes: [(prefix: String, scope: String)] { [("shared/", "shared")] }
    var tensorFlowObstacle: String? { core.tensorFlowObstacle }
    func configurationChanges(for target: LoweringTarget) -> [(key: String, value: JSONValue?)] { core.configurationChanges(for: target) }

    /// The class that writes such weights: with a decoder or without.
    static func className(_ config: TransformerConfig, stored: StoredNames) -> String {
        let hasDecoder = stored.contains("decoder.final_layer_norm.weight", "decoder/final_layer_norm/weight")
        return prefix + (hasDecoder ? T5Core.Head.languageModel : .encoder).rawValue
    }

    func completed(_ inputs: [String: Tensor]) throws -> (inputs: [String: Tensor], notes: [String]) {
        let (prefilled, notes) = try core.prefilled(inputs)
        return (try filled(prefilled) { _, shape in try Tensor.positions(shape) }, notes)
    }

    func build(_ builder: inout TransformerBuilder) throws { try core.build(&builder) }
}

/// Configuration, names and graph of T5 and its relatives.
struct T5Core: Sendable {
    /// Classes, by their names without the prefix.
    enum Head: String, CaseIterable, Sendable {
        case languageModel = "ForConditionalGeneration"
        case model = "Model"
        case encoder = "EncoderModel"
        case sequenceClassification = "ForSequenceClassification"
        case tokenClassification = "ForTokenClassification"
        case questionAnswering = "ForQuestionAnswering"

        var hasDecoder: Bool { self != .encoder && self != .tokenClassification }
    }

    /// Where configurations of T5 and of mT5 leave a key out.
    enum Defaults: Sendable { case t5, multilingual }

    static let modelledKeys: Set<String> = [
        "vocab_size", "d_model", "d_kv", "d_ff", "num_layers", "num_decoder_layers", "num_heads", "relative_attention_num_buckets",
        "relative_attention_max_distance", "layer_norm_epsilon", "feed_forward_proj", "tie_word_embeddings", "scale_decoder_outputs",
        "decoder_start_token_id", "pad_token_id", "eos_token_id",
    ]
    // Two of them restate feed_forward_proj, and are computed from it.
    static let inertKeys: Set<String> = [
        "dense_act_fn", "is_gated_act", "dropout_rate", "is_encoder_decoder", "is_decoder", "n_positions", "scalable_attention",
    ]

    let head: Head
    let labels: Int
    let vocabularySize: Int
    let width: Int
    /// Width of a head; heads times it need not be `width`.
    let headSize: Int
    let heads: Int
    let innerWidth: Int
    let encoderLayers: Int
    let decoderLayers: Int
    let epsilon: Double
    let activation: Activation
    /// As transformers calls it.
    let activationName: String
    let isGated: Bool
    let bucketCount: Int
    let encoderBuckets: RelativePositionBuckets
    let decoderBuckets: RelativePositionBuckets
    /// UMT5: a table of relative positions in every layer, not only in the first.
    let biasesEveryLayer: Bool
    /// Whether hidden states are scaled by 1 / sqrt(width) before the language model's head.
    let scalesOutputs: Bool
    let isHeadTied: Bool
    /// Whether the configuration has a key for that (T5's own).
    let statesScale: Bool
    private let startToken: Int
    /// Ends the encoder's rows; a classified sequence is taken there.
    let endToken: Int
    private let paddingToken: Int?
    /// Made once: names are asked for row by row.
    private(set) var table = TransformerTable(base: "")

    init(
        _ config: TransformerConfig, head: Head, stored: StoredNames, scalesOutputs: Bool, defaults: Defaults = .t5,
        biasesEveryLayer: Bool = false
    ) throws {
        self.head = head
        self.scalesOutputs = scalesOutputs
        self.biasesEveryLayer = biasesEveryLayer
        let isT5 = defaults == .t5
        statesScale = isT5
        vocabularySize = try config.size("vocab_size", default: isT5 ? 32128 : 250112)
        width = try config.size("d_model", default: 512)
        headSize = try config.size("d_kv", default: 64)
        heads = try config.size("num_heads", default: isT5 ? 8 : 6)
        innerWidth = try config.size("d_ff", default: isT5 ? 2048 : 1024)
        encoderLayers = try config.count("num_layers", default: isT5 ? 6 : 8)
        decoderLayers = try config.count("num_decoder_layers", default: encoderLayers)
        epsilon = try config.double("layer_norm_epsilon", default: 1e-6)

        let projection = try config.string("feed_forward_proj", default: isT5 ? "relu" : "gated-gelu")
        isGated = projection.hasPrefix("gated-")
        let function = isGated ? String(projection.dropFirst("gated-".count)) : projection
        // "gated-gelu" has always meant the approximation by tanh; "gelu" alone doesn't.
        activationName = projection == "gated-gelu" ? "gelu_new" : function
        guard let activation = TransformerConfig.activations[activationName] else {
            throw UnsupportedError("feed_forward_proj \"\(projection)\" isn't known")
        }
        self.activation = activation

        bucketCount = try config.size("relative_attention_num_buckets", default: 32)
        let distance = try config.size("relative_attention_max_distance", default: 128)
        encoderBuckets = try RelativePositionBuckets(count: bucketCount, maximumDistance: distance, isBidirectional: true)
        decoderBuckets =
            head.hasDecoder
            ? try RelativePositionBuckets(count: bucketCount, maximumDistance: distance, isBidirectional: false) : encoderBuckets

        paddingToken = try config.optionalInt("pad_token_id")
        startToken = try config.int("decoder_start_token_id", default: paddingToken ?? 0)
        endToken = try config.int("eos_token_id", default: 1)
        switch head {
        case .sequenceClassification, .tokenClassification: labels = try config.labelCount()
        case .questionAnswering:
            labels = try config.labelCount()
            guard labels == 2 else { throw UnsupportedError("question answering with num_labels \(labels): it takes 2") }
        case .languageModel, .model, .encoder: labels = 0
        }

        // A head that isn't scaled has a weight of its own for transformers 4, be it the same; 5 ties whatever isn't two different tensors.
        isHeadTied = scalesOutputs && !stored.contains("lm_head/kernel") && !stored.areSeparate(["lm_head.weight"], ["shared.weight"])
        table = madeTable
    }

    private var innerSize: Int { heads * headSize }

    // MARK: - Names

    private var madeTable: TransformerTable {
        // Two classes keep the whole model under a prefix, the others nothing.
        var table = TransformerTable(base: head == .sequenceClassification || head == .tokenClassification ? "transformer" : "")
        var shared = table.parameter("shared.weight", [vocabularySize, width], tensorFlow: "embeddings", .same)
        shared.tensorFlow?.paths = ["shared/embeddings", "shared/weight"]
        table.add(shared)
        addStack(&table, "encoder", layers: encoderLayers, isDecoder: false)
        if head.hasDecoder { addStack(&table, "decoder", layers: decoderLayers, isDecoder: true) }
        table.isBase = false
        switch head {
        case .model, .encoder: break
        case .languageModel:
            guard !isHeadTied else { break }
            var row = table.parameter("lm_head.weight", [vocabularySize, width], tensorFlow: "kernel", .transposedMatrix)
            // transformers 5 leaves out a head that is the table of tokens, also where none is expected of the configuration.
            if !biasesEveryLayer { row.legacyNames = ["shared.weight"] }  // it expects none such of UMT5
            table.add(row)
        case .sequenceClassification:
            table.linear("classification_head.dense", width, width)
            table.linear("classification_head.out_proj", width, labels)
        case .tokenClassification: table.linear("classifier", width, labels)
        case .questionAnswering: table.linear("qa_outputs", width, labels)
        }
        return table
    }

    private func addStack(_ table: inout TransformerTable, _ stack: String, layers: Int, isDecoder: Bool) {
        for layer in 0..<layers {
            let block = "\(stack).block.\(layer)"
            let own = "\(block).layer.0.SelfAttention"
            addAttention(&table, own)
            if layer == 0 || biasesEveryLayer {
                table.embedding("\(own).relative_attention_bias", bucketCount, heads, tensorFlow: ["embeddings"])
            }
            addNorm(&table, "\(block).layer.0.layer_norm")
            if isDecoder {
                addAttention(&table, "\(block).layer.1.EncDecAttention")
                addNorm(&table, "\(block).layer.1.layer_norm")
            }
            let feedForward = "\(block).layer.\(isDecoder ? 2 : 1)"
            for name in isGated ? ["wi_0", "wi_1"] : ["wi"] {
                table.linear("\(feedForward).DenseReluDense.\(name)", width, innerWidth, hasBias: false)
            }
            table.linear("\(feedForward).DenseReluDense.wo", innerWidth, width, hasBias: false)
            addNorm(&table, "\(feedForward).layer_norm")
        }
        addNorm(&table, "\(stack).final_layer_norm")
    }

    private func addAttention(_ table: inout TransformerTable, _ name: String) {
        for part in ["q", "k", "v"] { table.linear("\(name).\(part)", width, innerSize, hasBias: false) }
        table.linear("\(name).o", innerSize, width, hasBias: false)
    }

    private func addNorm(_ table: inout TransformerTable, _ name: String) {
        table.add(table.parameter("\(name).weight", [width], tensorFlow: "weight", .same))
    }

    var ties: [Checkpoint.Tie] {
        let prefix = table.base.isEmpty ? "" : "\(table.base)."
        var names = ["\(prefix)shared.weight", "\(prefix)encoder.embed_tokens.weight"]
        if head.hasDecoder { names.append("\(prefix)decoder.embed_tokens.weight") }
        if head == .languageModel && isHeadTied { names.append("lm_head.weight") }
        return [Checkpoint.Tie(names: names)]
    }

    // MARK: - Targets

    /// The shared table is a variable of three layers of Keras.
    var tensorFlowLayers: [TensorFlowLayer] {
        var layers = [TensorFlowLayer("shared", ["shared/"]), TensorFlowLayer("encoder", ["shared/", "encoder/"])]
        if head.hasDecoder { layers.append(TensorFlowLayer("decoder", ["shared/", "decoder/"])) }
        if head == .languageModel && !isHeadTied { layers.append(TensorFlowLayer("lm_head", ["lm_head/"])) }
        return layers
    }

    var tensorFlowObstacle: String? {
        guard TransformerConfig.tensorFlowActivations.contains(activationName) else {
            return "TensorFlow's classes of transformers don't know the activation \"\(activationName)\""
        }
        return scalesOutputs && head == .languageModel && !isHeadTied
            ? "TensorFlow's classes scale the outputs of a head that is the table of tokens only, and this one isn't" : nil
    }

    /// Version 4 scales, and ties, where `tie_word_embeddings` is true; version 5 where `scale_decoder_outputs` is, and ties by the weights.
    func configurationChanges(for target: LoweringTarget) -> [(key: String, value: JSONValue?)] {
        guard head == .languageModel else { return [] }
        var changes: [(key: String, value: JSONValue?)] = [("tie_word_embeddings", .bool(scalesOutputs))]
        if statesScale { changes.append(("scale_decoder_outputs", target == .tensorflow ? nil : .bool(scalesOutputs))) }
        return changes
    }

    // MARK: - Inputs

    var inputs: [InputDescription] {
        var inputs = [
            InputDescription("input_ids", .tokens(vocabulary: vocabularySize, padding: paddingToken)),
            InputDescription("attention_mask", .mask(of: "input_ids"), isOptional: true),
        ]
        if head.hasDecoder {
            inputs.append(
                InputDescription("decoder_input_ids", .tokens(vocabulary: vocabularySize, padding: paddingToken), isOptional: true))
            inputs.append(InputDescription("decoder_attention_mask", .mask(of: "decoder_input_ids"), isOptional: true))
        }
        return inputs
    }

    var probeSizes: [String: Int] {
        var sizes = ["sequence": encoderBuckets.reachingLength]
        switch head {
        case .sequenceClassification: sizes["sequence"] = max(encoderBuckets.reachingLength, decoderBuckets.reachingLength)
        case .languageModel, .model, .questionAnswering: sizes["decoder_sequence"] = decoderBuckets.reachingLength
        case .encoder, .tokenClassification: break
        }
        return sizes
    }

    /// Inputs whose defaults aren't those of their role: what the decoder starts from.
    func prefilled(_ given: [String: Tensor]) throws -> (inputs: [String: Tensor], notes: [String]) {
        guard head.hasDecoder, given["decoder_input_ids"] == nil, let ids = given["input_ids"], ids.shape.count == 2 else {
            return (given, [])
        }
        var inputs = given
        switch head {
        case .languageModel, .model, .encoder, .tokenClassification:
            inputs["decoder_input_ids"] = Tensor([Int64](repeating: Int64(startToken), count: ids.shape[0]), shape: [ids.shape[0], 1])
            return (inputs, ["no decoder_input_ids given: the start token \(startToken) alone, for each row"])
        case .sequenceClassification, .questionAnswering:
            inputs["decoder_input_ids"] = try shiftedRight(ids)
            return (inputs, ["no decoder_input_ids given: input_ids moved on by one behind the start token \(startToken)"])
        }
    }

    private func shiftedRight(_ ids: Tensor) throws -> Tensor {
        var values = try ids.doubles()
        let length = ids.shape[1]
        for start in stride(from: 0, to: values.count, by: max(length, 1)) {
            values[start..<start + length] = [Double(startToken)] + values[start..<start + length - 1]
        }
        return Tensor(values, dtype: ids.dtype, shape: ids.shape)
    }
}
