import ByteIO
import FormatKit
import ModelIR

/// Reformer (Kitaev et al. 2020): reversible layers whose tokens attend to their neighbourhood, or to tokens that hash alike.
struct Reformer: TransformerFamily {
    enum Head: String, Hashable, Sendable, CaseIterable {
        case model = "ReformerModel"
        case languageModel = "ReformerModelWithLMHead"
        case maskedLM = "ReformerForMaskedLM"
        case sequence = "ReformerForSequenceClassification"
        case question = "ReformerForQuestionAnswering"
    }

    enum LayerKind: String, Hashable, Sendable {
        case local, lsh
    }

    /// Chunks of one kind of layer: their length, and neighbours that are seen.
    struct Chunks: Hashable, Sendable {
        var length: Int
        var before: Int
        var after: Int
    }

    /// Two tables, of rows and columns of positions; the embedding of a position is one's row beside the other's.
    struct Axes: Hashable, Sendable {
        var counts: [Int]
        var sizes: [Int]
    }

    static let modelTypes = ["reformer"]
    static let classNames = Head.allCases.map(\.rawValue)
    static let tensorFlowClassNames: [String] = []
    static let modelledKeys: Set<String> = [
        "attention_head_size", "attn_layers", "axial_pos_embds", "axial_pos_embds_dim", "axial_pos_shape", "feed_forward_size", "hash_seed",
        "hidden_act", "hidden_size", "is_decoder", "layer_norm_eps", "local_attn_chunk_length", "local_num_chunks_after",
        "local_num_chunks_before", "lsh_attn_chunk_length", "lsh_num_chunks_after", "lsh_num_chunks_before", "max_position_embeddings",
        "num_attention_heads", "num_buckets", "num_hashes", "pad_token_id", "vocab_size",
    ]
    /// The length of `attn_layers` is the number of layers.
    static let inertKeys: Set<String> = [
        "axial_norm_std", "chunk_size_lm_head", "local_attention_probs_dropout_prob", "lsh_attention_probs_dropout_prob", "num_hidden_layers",
        "tie_word_embeddings", "is_encoder_decoder", "seed", "sinusoidal_pos_embds", "attn_type",
    ]

    let head: Head
    let vocabularySize: Int
    let hiddenSize: Int
    let headCount: Int
    let headSize: Int
    let innerSize: Int
    let epsilon: Double
    let activation: Activation
    let layers: [LayerKind]
    let local: Chunks
    let lsh: Chunks
    let hashCount: Int
    /// None where the number of buckets follows from the length.
    let buckets: [Int]
    /// nil where the configuration has none: rotations are then random in transformers.
    let seed: Int?
    let isCausal: Bool
    /// nil: one table.
    let axes: Axes?
    /// Of the longest sequence, and of the plain table.
    let positionCount: Int
    let padding: Int
    let labelCount: Int
    /// Whether the logits' bias is stored where transformers 4 adds it.
    let hasDecoderBias: Bool
    let table: TransformerTable

    static func className(_ config: TransformerConfig, stored: StoredNames) -> String {
        if stored.contains("lm_head.decoder.weight") {
            let isCausal = (try? config.bool("is_decoder", default: false)) ?? false
            return (isCausal ? Head.languageModel : Head.maskedLM).rawValue
        }
        if stored.contains("qa_outputs.weight") { return Head.question.rawValue }
        return (stored.contains("classifier.out_proj.weight") ? Head.sequence : Head.model).rawValue
    }

    /// Buffers of masks, which old versions stored.
    static func isBuffer(_ name: String) -> Bool { name.hasSuffix("mask_value_float16") || name.hasSuffix("mask_value_float32") }

    init(_ config: TransformerConfig, className: String, stored: StoredNames) throws {
        guard let head = Head(rawValue: className) else { throw UnsupportedError("the class \(className) can't be run") }
        self.head = head
        vocabularySize = try config.size("vocab_size", default: 320)
        hiddenSize = try config.size("hidden_size", default: 256)
        headCount = try config.size("num_attention_heads", default: 12)
        headSize = try config.size("attention_head_size", default: 64)
        innerSize = try config.size("feed_forward_size", default: 512)
        epsilon = try config.double("layer_norm_eps", default: 1e-12)
        activation = try config.activation("hidden_act", default: "relu")
        layers = try Self.layers(config)
        local = try Self.chunks(config, .local)
        lsh = try Self.chunks(config, .lsh)
        hashCount = try config.size("num_hashes", default: 1)
        buckets = try Self.buckets(config)
        seed = try config.optionalInt("hash_seed")
        isCausal = try config.bool("is_decoder", default: false)
        axes = try Self.axes(config, hiddenSize: hiddenSize)
        positionCount = try config.size("max_position_embeddings", default: 4096)
        padding = try config.int("pad_token_id", default: 0)
        labelCount = try config.labelCount()
        hasDecoderBias = stored.contains("lm_head.decoder.bias")

        guard (0..<vocabularySize).contains(padding) else {
            throw transformerError("bad-config", expected: "a pad_token_id below \(vocabularySize)", found: "\(padding)")
        }
        switch head {
        case .languageModel where !isCausal:
            throw UnsupportedError("\(className) without is_decoder: transformers has no such model")
        case .maskedLM where isCausal: throw UnsupportedError("\(className) with is_decoder: transformers has no such model")
        case .question where labelCount != 2: throw UnsupportedError("question answering with \(labelCount) labels, not 2, can't be run")
        case .model, .languageModel, .maskedLM, .sequence, .question: break
        }
        var table = TransformerTable(base: "reformer")
        Self.addBody(
            to: &table, vocabularySize: vocabularySize, hiddenSize: hiddenSize, attentionSize: headCount * headSize, innerSize: innerSize,
            positionCount: positionCount, axes: axes, layers: layers)
        table.isBase = false
        switch head {
        case .model: break
        case .languageModel, .maskedLM:
            func row(_ name: String, _ shape: [Int]) -> TransformerParameter { TransformerParameter(name: name, shape: shape, isBase: false) }
            if stored.contains("lm_head.bias") { table.add(row("lm_head.bias", [vocabularySize])) }
            table.add(row("lm_head.decoder.weight", [vocabularySize, 2 * hiddenSize]))
            if hasDecoderBias { table.add(row("lm_head.decoder.bias", [vocabularySize])) }
        case .sequence:
            table.linear("classifier.dense", 2 * hiddenSize, hiddenSize)
            table.linear("classifier.out_proj", hiddenSize, labelCount)
        case .question: table.linear("qa_outputs", 2 * hiddenSize, labelCount)
        }
        self.table = table
    }

    // MARK: - Configuration

    private static func layers(_ config: TransformerConfig) throws -> [LayerKind] {
        let names = try config.strings("attn_layers") ?? ["local", "lsh", "local", "lsh", "local", "lsh"]
        guard !names.isEmpty, names.count <= 1 << 16 else {
            throw transformerError("bad-config", expected: "layers in attn_layers", found: "\(names.count)")
        }
        return try names.map {
            guard let kind = LayerKind(rawValue: $0) else { throw UnsupportedError("attn_layers has \"\($0)\", which isn't known") }
            return kind
        }
    }

    private static func chunks(_ config: TransformerConfig, _ kind: LayerKind) throws -> Chunks {
        let name = kind.rawValue
        return Chunks(
            length: try config.size("\(name)_attn_chunk_length", default: 64), before: try config.count("\(name)_num_chunks_before", default: 1),
            after: try config.count("\(name)_num_chunks_after", default: 0))
    }

    /// `num_buckets`: nothing, a number, or factors of it.
    private static func buckets(_ config: TransformerConfig) throws -> [Int] {
        guard config.has("num_buckets") else { return [] }
        let isList = config.json["num_buckets"]?.array != nil
        let factors = isList ? try config.ints("num_buckets") ?? [] : [try config.int("num_buckets", default: 0)]
        guard !factors.isEmpty, factors.allSatisfy({ $0 > 0 && $0 % 2 == 0 }) else {
            throw transformerError("bad-config", expected: "positive, even num_buckets", found: "\(factors)")
        }
        return factors
    }

    private static func axes(_ config: TransformerConfig, hiddenSize: Int) throws -> Axes? {
        guard try config.bool("axial_pos_embds", default: true) else { return nil }
        let axes = Axes(
            counts: try config.ints("axial_pos_shape") ?? [64, 64], sizes: try config.ints("axial_pos_embds_dim") ?? [64, 192])
        guard axes.counts.count == 2, axes.sizes.count == 2 else {
            throw UnsupportedError("axial_pos_shape \(axes.counts) with axial_pos_embds_dim \(axes.sizes): only two axes can be run")
        }
        let sizes = 1...1 << 31
        guard axes.counts.allSatisfy(sizes.contains), axes.sizes.allSatisfy(sizes.contains), axes.sizes[0] + axes.sizes[1] == hiddenSize else {
            throw transformerError(
                "bad-config", expected: "axial_pos_embds_dim that add up to the hidden size \(hiddenSize)",
                found: "\(axes.sizes) for \(axes.counts)")
        }
        return axes
    }

    // MARK: - Names

    private static func addBody(
        to table: inout TransformerTable, vocabularySize: Int, hiddenSize: Int, attentionSize: Int, innerSize: Int, positionCount: Int,
        axes: Axes?, layers: [LayerKind]
    ) {
        table.embedding("embeddings.word_embeddings", vocabularySize, hiddenSize)
        if let axes {
            for axis in 0..<2 {
                var shape = [1, 1, axes.sizes[axis]]
                shape[axis] = axes.counts[axis]
                table.add(
                    TransformerParameter(name: "embeddings.position_embeddings.weights.\(axis)", shape: shape, isBase: true))
            }
        } else {
            table.embedding("embeddings.position_embeddings.embedding", positionCount, hiddenSize)
        }
        for (layer, kind) in layers.enumerated() {
            let prefix = "encoder.layers.\(layer)"
            table.layerNorm("\(prefix).attention.layer_norm", hiddenSize)
            for part in kind == .lsh ? ["query_key", "value"] : ["query", "key", "value"] {
                table.linear("\(prefix).attention.self_attention.\(part)", hiddenSize, attentionSize, hasBias: false)
            }
            table.linear("\(prefix).attention.output.dense", attentionSize, hiddenSize, hasBias: false)
            table.layerNorm("\(prefix).feed_forward.layer_norm", hiddenSize)
            table.linear("\(prefix).feed_forward.dense.dense", hiddenSize, innerSize)
            table.linear("\(prefix).feed_forward.output.dense", innerSize, hiddenSize)
        }
        table.layerNorm("encoder.layer_norm", 2 * hiddenSize)
    }

    var isBaseClass: Bool { head == .model }

    var assumptions: [String] {
        var lines: [String] = []
        if seed == nil, layers.contains(.lsh) {
            lines.append("hash_seed isn't set, so transformers hashes at random at every call; here the seed is \(Self.usualSeed)")
        }
        if head == .languageModel || head == .maskedLM {
            lines.append(
                hasDecoderBias
                    ? "lm_head.decoder.bias is stored, so it is added to the logits, as transformers 4 does; transformers 5 leaves it out"
                    : "lm_head.bias isn't added to the logits: transformers 5 leaves it out")
        }
        return lines
    }

    /// Taken where the configuration has no seed.
    static let usualSeed = 0
}
