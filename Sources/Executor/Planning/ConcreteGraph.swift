import ModelIR

/// Element type and shape of a value, in numbers.
struct ConcreteType: Hashable, Sendable {
    var dtype: DType
    var shape: [Int]

    var count: Int { shape.reduce(1, *) }
    var valueType: ValueType { ValueType(dtype, Shape(fixed: shape)) }
}

/// A node whose sizes are all numbers and whose axes count from the front.
struct ConcreteNode: Sendable {
    var op: Op
    /// Positions in `ConcreteGraph.types`.
    var inputs: [Int]
    var outputs: [Int]
    /// Name of the source's layer.
    var origin: String
    /// A composite's definition, where it is made of primitives.
    var expansion: ConcreteGraph?
    /// What the fast backend does in the same step as a matmul.
    var fusion = MatmulFusion()
    /// For attention of the fast backend: where query, key and value lie within wider rows; see `ConcreteGraph.fuseAttention`.
    var headViews: [HeadView?] = []
    /// For a matmul of the fast backend whose result nobody needs where these tokens are few; see `ConcreteGraph.fuseLongformer`.
    var onlyForMany: GlobalTokens?
    /// For a gather or scatter: the graph's input that the indices come from, unchanged.
    var indexInput: String?
}

/// Neighbours that a matmul of the fast backend has taken in; see `ConcreteGraph.fuseMatmuls`.
struct MatmulFusion: Hashable, Sendable {
    /// The right side is stored as [.., n, k].
    var transposesRight = false
    /// Input 2, [n], is added to every row.
    var hasBias = false
    /// The last input, of the result's shape, is added to it.
    var hasResidual = false
    /// Applied to the result, element by element.
    var activation: Activation?
}

/// [batch, positions, heads, size] read from rows of `rowStep` elements, from element `offset` of each on.
struct HeadView: Hashable, Sendable {
    var shape: [Int]
    var offset: Int
    var rowStep: Int
}

/// Who makes and who reads each value of a graph.
struct ValueUses {
    /// Reading nodes of each value, an output or a kept value having one reader more.
    var counts: [Int]
    /// Position of the node that makes each value, -1 for inputs and parameters.
    var producers: [Int]
    /// Position of the last node that reads each value, -1 where none does.
    var readers: [Int]

    /// - Parameter kept: values that somebody may ask for.
    init(_ graph: ConcreteGraph, kept: Set<Int>) {
        counts = [Int](repeating: 0, count: graph.types.count)
        producers = [Int](repeating: -1, count: graph.types.count)
        readers = producers
        for (position, node) in graph.nodes.enumerated() {
            for input in node.inputs { (counts[input], readers[input]) = (counts[input] + 1, position) }
            for output in node.outputs { producers[output] = position }
        }
        for value in graph.outputs + kept { counts[value] += 1 }
    }
}

/// A graph with every size a number, checked; composites carry their definitions.
struct ConcreteGraph: Sendable {
    var types: [ConcreteType]
    var nodes: [ConcreteNode]
    var inputs: [Int]
    /// Value and name.
    var parameters: [(value: Int, name: String)]
    var outputs: [Int]

    /// For every value the position of the last node that reads it; `nodes.count` for outputs, -1 if nothing does.
    func lastUses() -> [Int] {
        var last = [Int](repeating: -1, count: types.count)
        for (position, node) in nodes.enumerated() {
            for input in node.inputs { last[input] = position }
        }
        for output in outputs { last[output] = nodes.count }
        return last
    }
}
