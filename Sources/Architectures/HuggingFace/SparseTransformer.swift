import ByteIO
import FormatKit
import JSON
import ModelIR

/// The Sparse Transformer (Child et al. 2019): GPT-2's blocks and names, over patterns of keys whose number grows with the root of the length.
///
/// There is no common format for its checkpoints; the configuration is ours (README, "Sparse Transformer").
struct SparseTransformer: CausalFamily {
    static let modelTypes = ["sparse_transformer"]
    static let classNames = ["SparseTransformerLMHeadModel"]
    static let tensorFlowClassNames: [String] = []
    static let modelledKeys: Set<String> = [
        "vocab_size", "n_embd", "n_layer", "n_head", "n_positions", "n_inner", "layer_norm_epsilon", "activation_function",
        "tie_word_embeddings", "sparse_attention",
    ]

    let decoder: CausalDecoder
    let block: GPT2Block
    /// Of each layer.
    let patterns: [AttentionPattern]

    /// Made once: names are asked for row by row.
    private(set) var table = TransformerTable(base: "transformer")

    init(_ config: TransformerConfig, className: String, stored: StoredNames) throws {
        let width = try config.size("n_embd", default: 768)
        let heads = try config.size("n_head", default: 12)
        let epsilon = try config.double("layer_norm_epsilon", default: 1e-5)
        let sparsity = try SparseAttention(config)
        block = GPT2Block(
            width: width, heads: heads, innerWidth: try config.has("n_inner") ? config.size("n_inner", default: 0) : 4 * width,
            activation: try config.activation("activation_function", default: "quick_gelu"), epsilon: epsilon)
        patterns = try (0..<config.count("n_layer", default: 12)).map { sparsity.pattern(layer: $0, heads: heads) }
        decoder = CausalDecoder(
            vocabularySize: try config.size("vocab_size", default: 50257), positionCount: try config.size("n_positions", default: 1024),
            width: width, epsilon: epsilon, head: .languageModel, isHeadTied: try isHeadTied(config, stored),
            statesTie: try config.bool("tie_word_embeddings", default: true), hasTokenTypes: false,
            probeLength: 2 * sparsity.stride + 3)
        table = madeTable
    }

    private var madeTable: TransformerTable {
        decoder.table { table in for layer in patterns.indices { block.addRows(to: &table, layer) } }
    }

    func build(_ builder: inout TransformerBuilder) throws {
        let scale = 1 / (Double(block.width) / Double(block.heads)).squareRoot()
        try decoder.build(
            &builder,
            block: { b, hidden, keyMask, layer in
                // Under A2 of the fixed kind the first queries have no keys: nothing is added to them.
                try block.build(&b, hidden, layer, pattern: patterns[layer], scale: scale, keyMask: keyMask, unattended: .zero)
            }, blockCount: patterns.count)
    }
}

/// `sparse_attention` of the configuration: two patterns A1 and A2 for query i and key j <= i, and how they are put together.
struct SparseAttention: Hashable, Sendable {
    enum Kind: String, Hashable, Sendable {
        /// A1 = {i - j <= stride}, A2 = {(i - j) mod stride = 0}
        case strided
        /// A1 = {j div stride = i div stride}, A2 = {j mod stride >= stride - summary}
        case fixed
    }

    enum Integration: String, Hashable, Sendable {
        /// Layers take A1 and A2 in turns.
        case interleaved
        /// Every head takes the union.
        case merged
        /// The first half of the heads, rounded down, takes A1, the others A2.
        case heads
    }

    let kind: Kind
    let stride: Int
    /// Of `fixed`: the keys at the end of each block of `stride` that all later queries see.
    let summary: Int
    let integration: Integration

    init(_ config: TransformerConfig) throws {
        guard let object = config.json["sparse_attention"]?.object else {
            throw transformerError("bad-config", expected: "an object for sparse_attention", found: config.json["sparse_attention"]?.kind)
        }
        let known: Set<String> = ["kind", "stride", "summary", "integration"]
        let unknown = object.keys.filter { !known.contains($0) }
        guard unknown.isEmpty else { throw UnsupportedError("sparse_attention holds keys that aren't known", items: unknown) }
        func name(_ key: String) throws -> String {
            guard let name = object[key]?.string else {
                throw transformerError("bad-config", expected: "a name for sparse_attention.\(key)", found: object[key]?.kind)
            }
            return name
        }
        func size(_ key: String, upTo limit: Int) throws -> Int {
            guard let value = object[key]?.int, (1...limit).contains(value) else {
                throw transformerError(
                    "bad-config", expected: "1 to \(limit) for sparse_attention.\(key)",
                    found: object[key].map { $0.int.map { "\($0)" } ?? $0.kind })
            }
            return value
        }
        guard let kind = try Kind(rawValue: name("kind")) else {
            throw UnsupportedError("sparse_attention.kind \"\(try name("kind"))\" isn't known")
        }
        guard let integration = try Integration(rawValue: name("integration")) else {
            throw UnsupportedError("sparse_attention.integration \"\(try name("integration"))\" isn't known")
        }
        self.kind = kind
        self.integration = integration
        stride = try size("stride", upTo: 1 << 30)
        summary = kind == .fixed ? try size("summary", upTo: stride) : 0
    }

    private var first: AttentionPattern {
        switch kind {
        case .strided: .slidingWindow(before: stride, after: 0, dilation: 1)
        case .fixed: .blockLocal(block: stride, before: 0, after: 0, causal: true)
        }
    }

    private var second: AttentionPattern {
        switch kind {
        case .strided: .strided(stride: stride)
        case .fixed: .fixed(stride: stride, summary: summary)
        }
    }

    func pattern(layer: Int, heads: Int) -> AttentionPattern {
        switch integration {
        case .interleaved: return layer % 2 == 0 ? first : second
        case .merged: return .union([first, second])
        case .heads:
            let half = heads / 2
            let groups = [AttentionPattern.HeadGroup(count: half, pattern: first), .init(count: heads - half, pattern: second)]
            return .heads(groups.filter { $0.count > 0 })
        }
    }
}
