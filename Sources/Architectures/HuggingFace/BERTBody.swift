import ByteIO
import FormatKit
import JSON
import ModelIR

/// What BERT and its relatives share: embeddings, and layers of self-attention and feed-forward, each followed by layer normalisation.
struct BERTBody: Sendable {
    /// Names of the parts of a layer, which differ between relatives.
    struct LayerNames: Sendable {
        var query = "attention.self.query"
        var key = "attention.self.key"
        var value = "attention.self.value"
        var output = "attention.output.dense"
        var attentionNorm = "attention.output.LayerNorm"
        var intermediate = "intermediate.dense"
        /// The module of an activation with weights of its own.
        var activation = "intermediate.intermediate_act_fn"
        var feedForward = "output.dense"
        var norm = "output.LayerNorm"
    }

    /// How positions enter.
    enum Positions: String, Sendable {
        /// Embeddings, added to the tokens'.
        case absolute
        /// Embeddings of distances, whose products with the queries, or with queries and keys, are added to the scores (Shaw et al. 2018;
        /// Huang et al. 2020).
        case relativeKey = "relative_key"
        case relativeKeyQuery = "relative_key_query"
    }

    var vocabularySize: Int
    /// Of the embeddings; only relatives have another one than `hiddenSize`.
    var embeddingSize: Int
    var hiddenSize: Int
    var intermediateSize: Int
    var layerCount: Int
    var headCount: Int
    var positionCount: Int
    /// 0 where there are no segments.
    var typeCount: Int
    var epsilon: Double
    var positions = Positions.absolute
    /// nil: a PReLU, with a weight.
    var activation: Activation?
    /// What each token sees: all, or those before it.
    var pattern: AttentionPattern
    var padding: Int?
    var names = LayerNames()

    static let modelledKeys: Set<String> = [
        "vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size", "max_position_embeddings",
        "type_vocab_size", "layer_norm_eps", "hidden_act", "position_embedding_type", "is_decoder", "add_cross_attention",
        "tie_word_embeddings", "is_encoder_decoder", "cross_attention_hidden_size",
    ]
    static let inertKeys: Set<String> = [
        "pad_token_id", "pooler_fc_size", "pooler_num_attention_heads", "pooler_num_fc_layers", "pooler_size_per_head", "pooler_type",
        "directionality", "pruned_heads", "tie_encoder_decoder", "decoder_start_token_id", "unk_token_id", "attention_type",
        "net_structure_type",
        "down_scale_factor", "gap_size", "num_memory_blocks", "classifier_dropout_prob", "layers_to_keep", "model_max_length",
        "vocab_file", "language", "name", "output_past",
    ]

    /// By BERT's keys.
    init(_ config: TransformerConfig, defaults: (vocabulary: Int, hidden: Int, heads: Int, intermediate: Int, activation: String)) throws {
        vocabularySize = try config.size("vocab_size", default: defaults.vocabulary)
        hiddenSize = try config.size("hidden_size", default: defaults.hidden)
        embeddingSize = hiddenSize
        intermediateSize = try config.size("intermediate_size", default: defaults.intermediate)
        layerCount = try config.count("num_hidden_layers", default: 12)
        headCount = try config.size("num_attention_heads", default: defaults.heads)
        positionCount = try config.size("max_position_embeddings", default: 512)
        typeCount = try config.count("type_vocab_size", default: 2)
        epsilon = try config.double("layer_norm_eps", default: 1e-12)
        activation = try Self.activation(config, "hidden_act", default: defaults.activation)
        pattern = try config.bool("is_decoder", default: false) ? .causal : .full
        padding = try config.optionalInt("pad_token_id")
        let kind = try config.string("position_embedding_type", default: "absolute")
        guard let positions = Positions(rawValue: kind) else { throw UnsupportedError("position_embedding_type \"\(kind)\" isn't known") }
        self.positions = positions
        if try config.bool("add_cross_attention", default: false) {
            throw UnsupportedError("add_cross_attention: a decoder that attends an encoder of another model can't be run")
        }
        if try config.bool("is_encoder_decoder", default: false) {
            throw UnsupportedError("is_encoder_decoder: pairs of models can't be run")
        }
        if let heads = config.json["pruned_heads"]?.object, !heads.isEmpty {
            throw UnsupportedError("pruned_heads: pruned models can't be run")
        }
        try checkHeads()
    }

    func checkHeads() throws {
        guard hiddenSize % headCount == 0 else {
            throw transformerError("bad-config", expected: "a hidden size that \(headCount) heads divide", found: "\(hiddenSize)")
        }
    }

    static func activation(_ config: TransformerConfig, _ key: String, default fallback: String) throws -> Activation? {
        try config.string(key, default: fallback) == "prelu" ? nil : try config.activation(key, default: fallback)
    }

    // MARK: - Names

    func addEmbeddings(to table: inout TransformerTable) {
        table.embedding("embeddings.word_embeddings", vocabularySize, embeddingSize, tensorFlow: ["weight", "embeddings"])
        table.embedding("embeddings.position_embeddings", positionCount, embeddingSize)
        if typeCount > 0 { table.embedding("embeddings.token_type_embeddings", typeCount, embeddingSize) }
        table.layerNorm("embeddings.LayerNorm", embeddingSize)
    }

    func addLayer(_ prefix: String, to table: inout TransformerTable) {
        table.linear("\(prefix).\(names.query)", hiddenSize, hiddenSize)
        table.linear("\(prefix).\(names.key)", hiddenSize, hiddenSize)
        table.linear("\(prefix).\(names.value)", hiddenSize, hiddenSize)
        if positions != .absolute {
            // transformers has these in PyTorch alone.
            let distances = 2 * positionCount - 1
            table.add(
                TransformerParameter(
                    name: distanceEmbedding(prefix), shape: [distances, hiddenSize / headCount], isBase: true))
        }
        table.linear("\(prefix).\(names.output)", hiddenSize, hiddenSize)
        table.layerNorm("\(prefix).\(names.attentionNorm)", hiddenSize)
        table.linear("\(prefix).\(names.intermediate)", hiddenSize, intermediateSize)
        if activation == nil {
            table.add(TransformerParameter(name: "\(prefix).\(names.activation).weight", shape: [1], isBase: true))
        }
        table.linear("\(prefix).\(names.feedForward)", intermediateSize, hiddenSize)
        table.layerNorm("\(prefix).\(names.norm)", hiddenSize)
    }

    private func distanceEmbedding(_ prefix: String) -> String { "\(prefix).attention.self.distance_embedding.weight" }

    // MARK: - Computation

    /// Inputs, each of the shape `shape` and given as [.., sequence].
    struct Inputs {
        var tokens: ValueID
        /// bool [batch, sequence]: what counts.
        var mask: ValueID
        var types: ValueID?
        var positions: ValueID?
    }

    /// LayerNorm(word + type + position), [batch, sequence, embedding].
    func embeddings(_ b: inout TransformerBuilder, _ inputs: Inputs) throws -> ValueID {
        try b.layer("embeddings", "embeddings") { b in
            var x = try b.embedding(inputs.tokens, "embeddings.word_embeddings")
            if let types = inputs.types { x = try b.add(x, b.embedding(types, "embeddings.token_type_embeddings")) }
            if positions == .absolute, let positions = inputs.positions {
                x = try b.add(x, b.embedding(positions, "embeddings.position_embeddings"))
            }
            return try b.layerNorm(x, "embeddings.LayerNorm", epsilon: epsilon)
        }
    }

    /// x = LayerNorm(x + attention(x)); x = LayerNorm(x + feedForward(x)).
    func layer(_ b: inout TransformerBuilder, _ input: ValueID, _ prefix: String, mask: ValueID) throws -> ValueID {
        try layer(&b, input, prefix) { b, query, key, value in
            let bias = positions == .absolute ? nil : try distanceBias(&b, prefix, query, key, scale: scale)
            return try b.attention(query, key, value, heads: headCount, pattern: pattern, scale: scale, keyMask: mask, bias: bias)
        }
    }

    /// What scores are multiplied by: 1 / sqrt(size of a head).
    var scale: Double { 1 / Double(hiddenSize / headCount).squareRoot() }

    /// - Parameter attend: the context, [batch, sequence, hidden], from query, key and value of the same shape.
    func layer(
        _ b: inout TransformerBuilder, _ input: ValueID, _ prefix: String,
        attend: (inout TransformerBuilder, ValueID, ValueID, ValueID) throws -> ValueID
    ) throws -> ValueID {
        let x = try b.layer("\(prefix).attention", "self-attention") { b in
            let query = try b.linear(input, "\(prefix).\(names.query)")
            let key = try b.linear(input, "\(prefix).\(names.key)")
            let value = try b.linear(input, "\(prefix).\(names.value)")
            let context = try attend(&b, query, key, value)
            let output = try b.linear(context, "\(prefix).\(names.output)")
            return try b.layerNorm(b.add(output, input), "\(prefix).\(names.attentionNorm)", epsilon: epsilon)
        }
        return try b.layer("\(prefix).output", "feed-forward") { b in
            let inner = try activate(&b, b.linear(x, "\(prefix).\(names.intermediate)"), "\(prefix).\(names.activation)")
            let output = try b.linear(inner, "\(prefix).\(names.feedForward)")
            return try b.layerNorm(b.add(output, x), "\(prefix).\(names.norm)", epsilon: epsilon)
        }
    }

    /// The activation; where it has a weight, under the module's name.
    func activate(_ b: inout TransformerBuilder, _ x: ValueID, _ module: String) throws -> ValueID {
        if let activation { return try b.activation(x, activation) }
        // max(x, 0) + weight min(x, 0)
        let zero = try b.graph.scalar(0, .f32)
        let negative = try b.graph.binary(.multiply, b.graph.binary(.minimum, x, zero), b.parameter("\(module).weight"))
        return try b.add(b.graph.binary(.maximum, x, zero), negative)
    }

    /// What distances add to the scores, [batch, heads, queries, keys], scaled as the scores are.
    private func distanceBias(
        _ b: inout TransformerBuilder, _ prefix: String, _ query: ValueID, _ key: ValueID, scale: Double
    ) throws -> ValueID {
        let sequence = b.shape(query)[1]
        let type = ValueType(.i64, [sequence, sequence])
        let distance = try b.graph.binary(
            .subtract, b.graph.append(.iota(type, axis: 0), []), b.graph.append(.iota(type, axis: 1), []))
        let row = try b.graph.binary(.add, distance, b.graph.scalar(Double(positionCount - 1), .i64))
        // [queries, keys, size]
        let table = try b.graph.append(.gather(axis: 0), [b.parameter(distanceEmbedding(prefix)), row])
        let queries = try b.splitHeads(query, headCount)
        let forQueries = try b.graph.append(.matmul, [queries, b.graph.append(.transpose([0, 2, 1]), [table])])
        var bias = try b.graph.append(.transpose([0, 2, 1, 3]), [forQueries])
        if positions == .relativeKeyQuery {
            let keys = try b.splitHeads(key, headCount)
            let forKeys = try b.graph.append(.matmul, [keys, b.graph.append(.transpose([1, 2, 0]), [table])])
            bias = try b.add(bias, b.graph.append(.transpose([0, 2, 3, 1]), [forKeys]))
        }
        return try b.multiply(bias, by: scale)
    }
}
