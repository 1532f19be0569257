import ModelIR

/// Attention layers of one length, 4 heads of 64.
struct GrowthWorkload {
    let tokens: Int

    static let names = [
        "Longformer, window of 512, one global token", "Reformer, LSH in chunks of 64", "Reformer, chunks of 64 and the one before",
        "causal window of 256", "strided, merged", "strided, by heads", "fixed, merged", "fixed, by heads", "causal",
    ]

    private var shape: [Int] { [1, tokens, 4, 64] }

    /// A graph with the inputs that it takes, and the pairs that its pattern attends to.
    func made(_ name: String) throws -> (graph: Graph, inputs: [String: Tensor], pairs: Double?) {
        var graph = Graph(name: name)
        var tensors: [String: Tensor] = [:]
        func add(_ names: [String]) throws -> [ValueID] {
            try names.map { input in
                // Of one kind for all layers, so that memory is shared.
                tensors[input] = try BenchTensors.tensor(named: input, shape: shape, deviation: 0.6)
                return try graph.addInput(input, ValueType(.f32, Shape(fixed: shape)))
            }
        }
        func addMask(_ name: String, _ isSet: (Int) -> Bool) throws -> ValueID {
            tensors[name] = Tensor(dtype: .bool, shape: [1, tokens], bytes: (0..<tokens).map { isSet($0) ? 1 : 0 })
            return try graph.addInput(name, ValueType(.bool, Shape(fixed: [1, tokens])))
        }
        let composite: Composite
        var values: [ValueID]
        var pairs: Double?
        switch name {
        case Self.names[0]:
            composite = .longformerAttention(LongformerAttention(window: 256, scale: 0.125))
            values = try add(["query", "key", "value", "global_query", "global_key", "global_value"])
            values += [try addMask("counts") { _ in true }, try addMask("is_global") { $0 == 0 }]
        case Self.names[1]:
            composite = .lshAttention(
                LSHAttention(chunk: 64, before: 1, after: 0, hashes: 1, buckets: [], longest: 1 << 20, seed: 0, isCausal: false))
            values = try add(["query", "value"]) + [addMask("counts") { _ in true }]
        default:
            let pattern = pattern(name)
            composite = .attention(Attention(pattern: pattern, scale: 0.125))
            values = try add(["query", "key", "value"])
            pairs = pattern.estimatedPairs(queries: tokens, keys: tokens, heads: 4)
        }
        graph.outputs = [NamedValue("output", try graph.append(.composite(composite), values))]
        return (graph, tensors, pairs)
    }

    private func pattern(_ name: String) -> AttentionPattern {
        let root = Int(Double(tokens).squareRoot().rounded())
        let (local, strided) = (AttentionPattern.slidingWindow(before: root, after: 0, dilation: 1), AttentionPattern.strided(stride: root))
        let block = AttentionPattern.blockLocal(block: root, before: 0, after: 0, causal: true)
        let summary = AttentionPattern.fixed(stride: root, summary: 8)
        func halves(_ first: AttentionPattern, _ second: AttentionPattern) -> AttentionPattern {
            .heads([.init(count: 2, pattern: first), .init(count: 2, pattern: second)])
        }
        return switch name {
        case Self.names[2]: .blockLocal(block: 64, before: 1, after: 0, causal: true)
        case Self.names[3]: .slidingWindow(before: 255, after: 0, dilation: 1)
        case Self.names[4]: .union([local, strided])
        case Self.names[5]: halves(local, strided)
        case Self.names[6]: .union([block, summary])
        case Self.names[7]: halves(block, summary)
        default: .causal
        }
    }
}
