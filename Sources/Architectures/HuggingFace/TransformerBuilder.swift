import ByteIO
import ModelIR

/// The graph of a Transformer while it is being built: parameters by the names of the table, and the pieces that all families share.
///
/// Activations are [batch, sequence, hidden] throughout, all in f32.
struct TransformerBuilder {
    var graph: Graph
    /// What each layer is, by its name.
    private(set) var kinds: [String: String] = [:]
    /// How often each layer was called so far.
    private var callCounts: [String: Int] = [:]
    /// By the row's name, without prefix.
    private let rows: [String: TransformerParameter]
    private let canonicalNames: [String: String]

    init(name: String, family: any TransformerFamily) {
        graph = Graph(name: name)
        rows = Dictionary(family.table.rows.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
        canonicalNames = Dictionary(family.table.rows.map { ($0.name, family.canonicalName($0)) }, uniquingKeysWith: { first, _ in first })
    }

    /// The parameter of a row.
    mutating func parameter(_ name: String) throws -> ValueID {
        guard let row = rows[name], let canonical = canonicalNames[name] else {
            throw transformerError("missing-parameter", expected: "a row of the name table for \(name)")
        }
        return try graph.addParameter(canonical, ValueType(.f32, Shape(fixed: row.shape)))
    }

    func has(_ name: String) -> Bool { rows[name] != nil }
    func shape(_ value: ValueID) -> Shape { graph.type(of: value).shape }

    /// Integers [batch, sequence] or of another shape, by the name of transformers' argument.
    mutating func input(_ name: String, _ shape: Shape = [.symbol("batch"), .symbol("sequence")]) throws -> ValueID {
        try graph.addInput(name, ValueType(.i64, shape))
    }

    /// Names what the nodes to come belong to, and runs `body`; its result is compared by `verify` under that name.
    /// - Parameter kind: what it is, for people: `self-attention`.
    mutating func layer(
        _ name: String, _ kind: String = "", _ body: (inout TransformerBuilder) throws -> ValueID
    ) throws -> ValueID {
        let outer = graph.origin
        graph.origin = name
        defer { graph.origin = outer }
        let value = try body(&self)
        // A layer whose weights are used again appears as `name`, `name_1`.
        let count = callCounts[name, default: 0]
        callCounts[name] = count + 1
        graph.layerOutputs.append(NamedValue(count == 0 ? name : "\(name)_\(count)", value))
        kinds[name] = kind
        return value
    }

    // MARK: - Pieces

    /// x W^T + b, weight [output, input].
    mutating func linear(_ x: ValueID, _ name: String) throws -> ValueID {
        try linear(x, weight: "\(name).weight", bias: has("\(name).bias") ? "\(name).bias" : nil)
    }

    /// x W^T + b by the names of the rows, where they aren't of one module (a decoder tied to the embeddings).
    mutating func linear(_ x: ValueID, weight: String, bias: String?) throws -> ValueID {
        let product = try graph.append(.matmul, [x, graph.append(.transpose([1, 0]), [parameter(weight)])])
        return try bias.map { try graph.binary(.add, product, parameter($0)) } ?? product
    }

    /// x W + b, weight [input, output].
    mutating func conv1D(_ x: ValueID, _ name: String) throws -> ValueID {
        try graph.binary(.add, graph.append(.matmul, [x, parameter("\(name).weight")]), parameter("\(name).bias"))
    }

    /// Rows of a table by id.
    mutating func embedding(_ ids: ValueID, _ name: String) throws -> ValueID {
        try graph.append(.gather(axis: 0), [parameter("\(name).weight"), ids])
    }

    /// Over the last axis.
    mutating func layerNorm(_ x: ValueID, _ name: String, epsilon: Double) throws -> ValueID {
        let axis = shape(x).rank - 1
        let norm = LayerNorm(axes: [axis], epsilon: epsilon, hasScale: true, hasOffset: has("\(name).bias"))
        let offset = has("\(name).bias") ? [try parameter("\(name).bias")] : []
        return try graph.append(.composite(.layerNorm(norm)), [x, parameter("\(name).weight")] + offset)
    }

    /// Without mean and offset (T5).
    mutating func rmsNorm(_ x: ValueID, _ name: String, epsilon: Double) throws -> ValueID {
        let norm = LayerNorm(axes: [shape(x).rank - 1], epsilon: epsilon, hasScale: true, hasOffset: false, usesRMS: true)
        return try graph.append(.composite(.layerNorm(norm)), [x, parameter("\(name).weight")])
    }

    mutating func add(_ a: ValueID, _ b: ValueID) throws -> ValueID { try graph.binary(.add, a, b) }

    mutating func multiply(_ x: ValueID, by factor: Double) throws -> ValueID {
        factor == 1 ? x : try graph.binary(.multiply, x, graph.scalar(factor, .f32))
    }

    /// [.., heads * size] -> [.., heads, size]
    mutating func splitHeads(_ x: ValueID, _ heads: Int) throws -> ValueID {
        let dims = shape(x).dims
        guard let width = dims.last?.fixedValue, width % heads == 0 else {
            throw transformerError("bad-config", expected: "a width that \(heads) heads divide", found: "\(shape(x))")
        }
        return try graph.append(.reshape(Shape(dims.dropLast() + [.fixed(heads), .fixed(width / heads)])), [x])
    }

    /// [.., heads, size] -> [.., heads * size]
    mutating func joinHeads(_ x: ValueID) throws -> ValueID {
        let dims = shape(x).dims
        return try graph.append(.reshape(Shape(dims.dropLast(2) + [dims[dims.count - 2] * dims[dims.count - 1]])), [x])
    }

    /// Integers, 0 or not, as a mask.
    mutating func mask(_ integers: ValueID) throws -> ValueID {
        try graph.append(.compare(.notEqual), [integers, graph.scalar(0, .i64)])
    }

    /// Elements of the axis `axis`, which goes away; from the end where `position` is -1.
    mutating func index(_ x: ValueID, axis: Int, at position: Int) throws -> ValueID {
        if position >= 0 { return try graph.append(.gather(axis: axis), [x, graph.scalar(Double(position), .i64)]) }
        var ranges = [SliceRange](repeating: SliceRange(), count: shape(x).rank)
        ranges[axis] = SliceRange(position, position == -1 ? nil : position + 1)
        let slice = try graph.append(.slice(ranges), [x])
        var dims = shape(x).dims
        dims.remove(at: axis)
        return try graph.append(.reshape(Shape(dims)), [slice])
    }

    /// Parts of the last axis.
    mutating func split(_ x: ValueID, _ count: Int) throws -> [ValueID] {
        guard let width = shape(x).dims.last?.fixedValue, width % count == 0 else {
            throw transformerError("bad-config", expected: "a last axis of \(count) equal parts", found: "\(shape(x))")
        }
        let part = width / count
        return try (0..<count).map { k in
            var ranges = [SliceRange](repeating: SliceRange(), count: shape(x).rank)
            ranges[ranges.count - 1] = SliceRange(k * part, (k + 1) * part)
            return try graph.append(.slice(ranges), [x])
        }
    }

    /// Attention of several heads: query, key and value [batch, positions, heads * size], the result [batch, queries, heads * size].
    /// - Parameters:
    ///   - keyMask: bool [batch, keys].
    ///   - bias: broadcastable to [batch, heads, queries, keys].
    mutating func attention(
        _ query: ValueID, _ key: ValueID, _ value: ValueID, heads: Int, pattern: AttentionPattern = .full, scale: Double,
        keyMask: ValueID? = nil, bias: ValueID? = nil, unattended: Attention.Unattended = .uniform
    ) throws -> ValueID {
        let attention = Attention(
            pattern: pattern, scale: scale, hasKeyMask: keyMask != nil, hasBias: bias != nil, unattended: unattended)
        let parts = [try splitHeads(query, heads), try splitHeads(key, heads), try splitHeads(value, heads)]
        return try joinHeads(graph.append(.composite(.attention(attention)), parts + [keyMask, bias].compactMap { $0 }))
    }

    mutating func activation(_ x: ValueID, _ activation: Activation) throws -> ValueID { try graph.activation(activation, x) }

    mutating func output(_ name: String, _ value: ValueID) { graph.outputs.append(NamedValue(name, value)) }
}
