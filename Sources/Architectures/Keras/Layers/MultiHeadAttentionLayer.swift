import ByteIO
import ModelIR

/// Attention of several heads (Vaswani et al. 2017) over one or several axes: query [batch, T.., d], value [batch, S.., d'], key likewise.
///
/// Kernels: query and key [d, heads, key_dim], value [d', heads, value_dim], output [heads, value_dim, out..], each with its bias.
struct MultiHeadAttentionLayer: KerasLayer {
    let config: KerasLayerConfig
    let heads: Int
    let keyWidth: Int
    let valueWidth: Int
    let usesBias: Bool
    let usesGate: Bool
    /// Keys at most this far away, less one, on either side.
    let window: Int?
    let hasDropout: Bool
    let outputShape: [Int]?

    init(_ config: KerasLayerConfig) throws {
        self.config = config
        guard let heads = try config.size("num_heads"), let width = try config.size("key_dim") else {
            throw config.error("num_heads", expected: "num_heads and key_dim")
        }
        self.heads = heads
        keyWidth = width
        valueWidth = config.has("value_dim") ? try config.size("value_dim") ?? width : width
        usesBias = try config.bool("use_bias", default: true)
        usesGate = try config.bool("use_gate", default: false)
        window = config.has("sliding_window") ? try config.int("sliding_window") : nil
        hasDropout = try config.double("dropout", default: 0) > 0
        outputShape = config.has("output_shape") ? try config.ints("output_shape") : nil
    }

    private var parts: [(role: String, store: String, kernel: [Int?], bias: [Int?])] {
        let output = outputShape ?? []
        let free: [Int?] = outputShape == nil ? [nil] : output.map { $0 }
        return [
            ("query", "query_dense", [nil, heads, keyWidth], [heads, keyWidth]),
            ("key", "key_dense", [nil, heads, keyWidth], [heads, keyWidth]),
        ]
            + (usesGate ? [("gate", "_gate_dense", [nil, heads, valueWidth], [heads, valueWidth])] : [])
            + [
                ("value", "value_dense", [nil, heads, valueWidth], [heads, valueWidth]),
                ("attention_output", "output_dense", [heads, valueWidth] + free, free),
            ]
    }

    var variables: [KerasVariable] {
        // tf_keras names groups of archives by its private attributes.
        let prefix = config.generation < 3 ? "_" : ""
        return parts.flatMap { part in
            [KerasVariable("\(part.role)/kernel", store: prefix + part.store, shape: part.kernel)]
                + (usesBias ? [KerasVariable("\(part.role)/bias", store: prefix + part.store, shape: part.bias)] : [])
        }
    }

    var keywords: Set<String> { ["value", "key", "attention_mask", "use_causal_mask", "return_attention_scores"] }

    func call(_ call: KerasLayerCall, in builder: inout KerasBuilder) throws -> [KerasTensor] {
        var inputs = call.inputs
        for name in ["value", "key"] { inputs += call.keywords[name]?.tensors ?? [] }
        guard inputs.count == 2 || inputs.count == 3 else {
            throw kerasError(
                "bad-config", expected: "query, value and perhaps a key for layer '\(config.name)'", found: "\(inputs.count) inputs")
        }
        let (query, value, key) = (inputs[0], inputs[1], inputs.count > 2 ? inputs[2] : inputs[1])
        let rank = builder.shape(of: query).rank
        guard rank >= 3, builder.shape(of: value).rank == rank, builder.shape(of: key).rank == rank, rank < 8 else {
            throw GraphError("takes queries, values and keys of one rank, 3 or more", origin: config.name)
        }
        let q = try projected(builder.float(query), "query", rank, in: &builder)
        let k = try projected(builder.float(key), "key", rank, in: &builder)
        let v = try projected(builder.float(value), "value", rank, in: &builder)
        let scaled = try builder.graph.binary(
            .multiply, q, builder.graph.scalar(1 / Double(keyWidth).squareRoot(), builder.dtype))

        // Letters of the projected query, [batch, T.., heads, width]; keys have their own along the axes of attention.
        let axes = config.has("attention_axes") ? try config.axes("attention_axes", default: 1, rank: rank) : Array(1..<rank - 1)
        guard !axes.contains(0), !axes.contains(rank - 1) else {
            throw config.error("attention_axes", expected: "axes between batch and features")
        }
        let target = Array("abcdefghijklm".prefix(rank + 1))
        var source = target
        for axis in axes { source[axis] = Array("nopqrstuvwxyz")[axis] }
        let batch = target.indices.dropLast().filter { !axes.contains($0) }.map { target[$0] }
        let product = batch + axes.map { target[$0] } + axes.map { source[$0] }
        let scores = try builder.einsum(EinsumEquation(source, target, product), k, scaled)

        let softmaxAxes = Array(product.count - axes.count..<product.count)
        let hasKey = inputs.count > 2
        let mask = try mask(query, value, hasKey ? key : nil, call, axes: axes, rank: product.count, in: &builder)
        // Keras 3 has two ways to compute this, and zeroes rows without keys in the one that it takes where scores are needed themselves.
        let returnsScores = call.flag("return_attention_scores")
        let zeroes = config.generation == 3 && (hasDropout || returnsScores || rank != 3)
        let weights =
            try mask.map { try builder.maskedSoftmax(scores, axes: softmaxAxes, mask: $0, zeroesEmptyRows: zeroes) }
            ?? builder.softmax(scores, axes: softmaxAxes)
        var context = try builder.einsum(EinsumEquation(product, source, target), weights, v)
        if usesGate {
            let gate = try builder.activation(.sigmoid, projected(builder.float(query), "gate", rank, in: &builder))
            context = try builder.graph.binary(.multiply, context, gate)
        }
        let result = KerasTensor(try output(context, rank, in: &builder), mask: query.mask)
        return returnsScores ? [result, KerasTensor(weights)] : [result]
    }

    /// [.., d] to [.., heads, width].
    private func projected(_ x: ValueID, _ role: String, _ rank: Int, in builder: inout KerasBuilder) throws -> ValueID {
        let letters = Array("abcdefghijklm")
        let free = Array(letters.prefix(rank - 1))
        let equation = EinsumEquation(free + ["x"], ["x", "y", "z"], free + ["y", "z"])
        let y = try builder.einsum(equation, x, builder.parameter("\(role)/kernel"))
        return usesBias ? try builder.graph.binary(.add, y, builder.parameter("\(role)/bias")) : y
    }

    /// [.., heads, width] to [.., out..].
    private func output(_ x: ValueID, _ rank: Int, in builder: inout KerasBuilder) throws -> ValueID {
        let free = Array("abcdefghijklm".prefix(rank - 1))
        let kernel = try builder.parameter("attention_output/kernel")
        let count = builder.graph.type(of: kernel).shape.rank - 2
        guard count >= 1, count <= 8 else { throw GraphError("has an output kernel of rank \(count + 2)", origin: config.name) }
        let out = Array("nopqrstu".prefix(count))
        let y = try builder.einsum(EinsumEquation(free + ["y", "z"], ["y", "z"] + out, free + out), x, kernel)
        return usesBias ? try builder.graph.binary(.add, y, builder.parameter("attention_output/bias")) : y
    }

    /// The masks of query, value and key, the explicit one and those by position, together; nil where there is none.
    /// - Parameter rank: of the scores, to which the mask is broadcast.
    private func mask(
        _ query: KerasTensor, _ value: KerasTensor, _ key: KerasTensor?, _ call: KerasLayerCall, axes: [Int], rank: Int,
        in builder: inout KerasBuilder
    ) throws -> ValueID? {
        var masks: [ValueID] = []
        let (rows, columns) = (builder.shape(of: query)[1], builder.shape(of: value)[1])
        func own(_ tensor: KerasTensor, isRow: Bool) throws {
            guard let mask = tensor.mask else { return }
            let dims = builder.graph.type(of: mask).shape.dims
            guard dims.count == 2 else { throw GraphError("takes a mask [batch, time], not \(Shape(dims))", origin: config.name) }
            masks.append(
                try builder.graph.append(
                    .reshape(isRow ? [dims[0], dims[1], 1] : [dims[0], 1, dims[1]]), [builder.asMask(mask)]))
        }
        try own(query, isRow: true)
        try own(value, isRow: false)
        if let key, key.mask != value.mask { try own(key, isRow: false) }
        if call.flag("use_causal_mask") { masks.append(try builder.causalMask(rows: rows, columns: columns)) }
        if let window {
            let shape = ValueType(.i32, [rows, columns])
            let distance = try builder.graph.unary(
                .absolute,
                builder.graph.binary(
                    .subtract, builder.graph.append(.iota(shape, axis: 0), []), builder.graph.append(.iota(shape, axis: 1), [])))
            masks.append(try builder.graph.append(.compare(.less), [distance, builder.graph.scalar(Double(window), .i32)]))
        }
        if let explicit = call.keywords["attention_mask"]?.tensors.first { masks.append(try builder.asMask(explicit.value)) }
        guard var result = masks.first else { return nil }
        for mask in masks.dropFirst() { result = try builder.graph.binary(.and, result, mask) }
        // Axes are inserted before those of attention until the ranks agree.
        var dims = builder.graph.type(of: result).shape.dims
        guard dims.count <= rank, dims.count >= axes.count * 2 else {
            throw GraphError("can't apply a mask \(Shape(dims)) to attention over \(axes.count) axes", origin: config.name)
        }
        let position = dims.count - axes.count * 2
        dims.insert(contentsOf: Array(repeating: .fixed(1), count: rank - dims.count), at: position)
        return try builder.reshaped(result, Shape(dims))
    }
}
