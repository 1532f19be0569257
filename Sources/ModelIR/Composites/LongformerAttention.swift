/// Attention in a window, with global tokens (Beltagy et al. 2020; transformers `modeling_longformer.py`).
///
/// Inputs, in order, each [batch, positions, heads, size]: query, key and value of the window, then query, key and value of the global
/// tokens; then two masks, bool [batch, positions]: which tokens count, and which of them are global.
/// Output: [batch, positions, heads, size].
///
/// A local token attends to the tokens at most `window` away and to all global ones, through the first query, key and value; a global
/// token attends to all tokens, through the second ones. Tokens that don't count are attended by none and get zeros.
public struct LongformerAttention: Hashable, Sendable {
    /// Tokens seen on either side.
    public var window: Int
    /// Scores are multiplied by it.
    public var scale: Double

    public init(window: Int, scale: Double) {
        self.window = window
        self.scale = scale
    }

    func inferTypes(_ inputs: [ValueType]) throws(GraphError) -> [ValueType] {
        guard inputs.count == 8 else { throw GraphError("longformer_attention takes 8 inputs, not \(inputs.count)") }
        guard window >= 0, window < 1 << 31 else { throw GraphError("longformer_attention has no window of \(window)") }
        let query = inputs[0]
        guard query.dtype.isFloat, query.shape.rank == 4 else {
            throw GraphError("longformer_attention takes floats [batch, positions, heads, size], not \(query)")
        }
        for input in inputs[1..<6] {
            guard input.dtype == query.dtype, input.shape.rank == 4,
                zip(input.shape.dims, query.shape.dims).allSatisfy({ $0.equals($1) != false })
            else { throw GraphError("longformer_attention takes one type, not \(query) and \(input)") }
        }
        for mask in inputs[6...] {
            guard mask.dtype == .bool, mask.shape.rank == 2, mask.shape[0].equals(query.shape[0]) != false,
                mask.shape[1].equals(query.shape[1]) != false
            else { throw GraphError("longformer_attention's masks are \(ValueType(.bool, [query.shape[0], query.shape[1]])), not \(mask)") }
        }
        return [query]
    }

    /// Two full attentions, each masked to what its tokens see, and the choice between them.
    var definition: CompositeDefinition {
        .graph { graph, inputs throws(GraphError) in
            let type = graph.type(of: inputs[0])
            guard let sizes = type.shape.fixedSizes else {
                throw GraphError("longformer_attention is defined for sizes in numbers, not for \(type.shape)")
            }
            let (batch, positions) = (sizes[0], sizes[1])
            func scores(_ query: ValueID, _ key: ValueID) throws(GraphError) -> ValueID {
                let q = try graph.append(.transpose([0, 2, 1, 3]), [query])
                let k = try graph.append(.transpose([0, 2, 3, 1]), [key])
                return try graph.binary(.multiply, graph.append(.matmul, [q, k]), graph.scalar(scale, type.dtype))
            }
            /// Of a query without keys: not a number; it is replaced by zeros in the end.
            func mixed(_ scores: ValueID, _ allowed: ValueID, _ value: ValueID) throws(GraphError) -> ValueID {
                let lowest = try graph.scalar(-.infinity, type.dtype)
                let weights = try graph.append(.composite(.softmax(axis: -1)), [graph.append(.select, [allowed, scores, lowest])])
                let product = try graph.append(.matmul, [weights, graph.append(.transpose([0, 2, 1, 3]), [value])])
                return try graph.append(.transpose([0, 2, 1, 3]), [product])
            }
            func mask(_ value: ValueID, _ shape: [Int]) throws(GraphError) -> ValueID {
                try graph.append(.reshape(Shape(fixed: shape)), [value])
            }
            let counts = try mask(inputs[6], [batch, 1, 1, positions])
            let isGlobal = try mask(inputs[7], [batch, 1, 1, positions])
            let distance = try graph.binary(
                .subtract, graph.append(.iota(ValueType(.i64, Shape(fixed: [positions, 1])), axis: 0), []),
                graph.append(.iota(ValueType(.i64, Shape(fixed: [1, positions])), axis: 1), []))
            let isNear = try graph.append(
                .compare(.lessOrEqual), [graph.unary(.absolute, distance), graph.scalar(Double(window), .i64)])
            let allowed = try graph.binary(.and, graph.binary(.or, isNear, isGlobal), counts)
            let local = try mixed(scores(inputs[0], inputs[1]), allowed, inputs[2])
            let everything = try graph.append(.broadcast(Shape(fixed: [batch, 1, positions, positions])), [counts])
            let global = try mixed(scores(inputs[3], inputs[4]), everything, inputs[5])
            let rows = [batch, positions, 1, 1]
            let chosen = try graph.append(.select, [mask(inputs[7], rows), global, local])
            return [try graph.append(.select, [mask(inputs[6], rows), chosen, graph.scalar(0, type.dtype)])]
        }
    }
}
