import Executor
import ModelIR

/// A stack of Transformer layers of a well-known size, from embedded tokens to the last hidden states.
struct Transformer {
    var name: String
    var vocabulary: Int
    var (layers, width, heads, inner): (Int, Int, Int, Int)

    static let bertBase = Transformer(name: "bert-base", vocabulary: 30_522, layers: 12, width: 768, heads: 12, inner: 3_072)

    /// BERT (Devlin et al. 2019): embeddings of tokens, positions and one type, then post-norm layers with erf gelu.
    private func bert(batch: Int, tokens: Int) throws -> Graph {
        var graph = Graph(name: name)
        let ids = try graph.addInput("input_ids", ValueType(.i64, Shape(fixed: [batch, tokens])))
        func parameter(_ name: String, _ shape: [Int]) throws -> ValueID {
            try graph.addParameter(name, ValueType(.f32, Shape(fixed: shape)))
        }
        func norm(_ x: ValueID, _ name: String) throws -> ValueID {
            let norm = LayerNorm(axes: [2], epsilon: 1e-12, hasScale: true, hasOffset: true)
            return try graph.append(
                .composite(.layerNorm(norm)), [x, parameter("\(name).scale", [width]), parameter("\(name).offset", [width])])
        }
        func dense(_ x: ValueID, _ name: String, _ from: Int, _ to: Int) throws -> ValueID {
            let product = try graph.append(.matmul, [x, parameter("\(name).weight", [from, to])])
            return try graph.binary(.add, product, parameter("\(name).bias", [to]))
        }
        let embedded = try graph.append(.gather(axis: 0), [parameter("words.weight", [vocabulary, width]), ids])
        var hidden = try norm(graph.binary(.add, embedded, parameter("positions.weight", [tokens, width])), "embeddings")
        let split = Shape(fixed: [batch, tokens, heads, width / heads])
        for layer in 0..<layers {
            let parts = try ["query", "key", "value"].map { part in
                try graph.append(.reshape(split), [dense(hidden, "layer\(layer).\(part)", width, width)])
            }
            let attention = Attention(scale: 1 / Double(width / heads).squareRoot())
            let mixed = try graph.append(
                .reshape(Shape(fixed: [batch, tokens, width])), [graph.append(.composite(.attention(attention)), parts)])
            hidden = try norm(graph.binary(.add, dense(mixed, "layer\(layer).output", width, width), hidden), "layer\(layer).norm1")
            let active = try graph.activation(.gelu, dense(hidden, "layer\(layer).up", width, inner))
            hidden = try norm(graph.binary(.add, dense(active, "layer\(layer).down", inner, width), hidden), "layer\(layer).norm2")
        }
        graph.outputs = [NamedValue("last_hidden_state", hidden)]
        return graph
    }

    func prepared(batch: Int, tokens: Int, threads: Int, precision: Precision) throws -> Workload.Prepared {
        let graph = try bert(batch: batch, tokens: tokens)
        let shapes = graph.parameters.map { ($0.name, graph.type(of: $0.value).shape.fixedSizes ?? []) }
        let ids = Tensor((0..<batch * tokens).map { Int64($0 * 7_919 % vocabulary) }, shape: [batch, tokens])
        return try Workload.prepared(
            graph, parameters: BenchTensors.weights(shapes: Dictionary(shapes, uniquingKeysWith: { first, _ in first })),
            inputs: ["input_ids": ids], threads: threads, precision: precision)
    }
}
