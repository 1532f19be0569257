/// Layer normalisation over `axes`: (x - mean) / sqrt(variance + epsilon) * scale + offset.
///
/// Inputs: x, then scale and offset where present, each with the shape of the normalised axes.
/// With `usesRMS` the mean is not subtracted: x / sqrt(mean(x^2) + epsilon) * scale (Zhang and Sennrich 2019).
public struct LayerNorm: Hashable, Sendable {
    public var axes: [Int]
    public var epsilon: Double
    public var hasScale: Bool
    public var hasOffset: Bool
    public var usesRMS: Bool

    public init(axes: [Int], epsilon: Double, hasScale: Bool, hasOffset: Bool, usesRMS: Bool = false) {
        self.axes = axes
        self.epsilon = epsilon
        self.hasScale = hasScale
        self.hasOffset = hasOffset
        self.usesRMS = usesRMS
    }

    func inferTypes(_ inputs: [ValueType]) throws(GraphError) -> [ValueType] {
        let count = 1 + (hasScale ? 1 : 0) + (hasOffset ? 1 : 0)
        guard inputs.count == count else { throw GraphError("layer_norm takes \(count) inputs, not \(inputs.count)") }
        let x = inputs[0]
        guard x.dtype.isFloat else { throw GraphError("layer_norm takes floats, not \(x.dtype.rawValue)") }
        try requireSameDType(inputs, "layer_norm")
        guard !axes.isEmpty, axes.allSatisfy({ $0 >= 0 && $0 < x.shape.rank }), Set(axes).count == axes.count, axes == axes.sorted() else {
            throw GraphError("layer_norm has no axes \(axes) in \(x.shape)")
        }
        for input in inputs.dropFirst() {
            guard input.shape.rank == axes.count, zip(axes, input.shape.dims).allSatisfy({ x.shape.dims[$0].equals($1) != false }) else {
                throw GraphError("layer_norm's scale and offset have shape \(input.shape), not that of axes \(axes) of \(x.shape)")
            }
        }
        return [x]
    }

    var definition: CompositeDefinition {
        .graph { graph, inputs throws(GraphError) in
            let type = graph.type(of: inputs[0])
            var centred = inputs[0]
            if !usesRMS {
                let mean = try graph.append(.reduce(.mean, axes: axes, keepsDimensions: true), [inputs[0]])
                centred = try graph.binary(.subtract, inputs[0], mean)
            }
            let squares = try graph.binary(.multiply, centred, centred)
            let variance = try graph.append(.reduce(.mean, axes: axes, keepsDimensions: true), [squares])
            let shifted = try graph.binary(.add, variance, graph.scalar(epsilon, type.dtype))
            var result = try graph.binary(.multiply, centred, graph.unary(.rsqrt, shifted))
            let aligned = Shape(type.shape.dims.enumerated().map { axes.contains($0.offset) ? $0.element : .fixed(1) })
            if hasScale { result = try graph.binary(.multiply, result, graph.append(.reshape(aligned), [inputs[1]])) }
            if hasOffset { result = try graph.binary(.add, result, graph.append(.reshape(aligned), [inputs[inputs.count - 1]])) }
            return [result]
        }
    }
}

/// Batch normalisation at inference: (x - mean) / sqrt(variance + epsilon) * scale + offset, per element of `axis`.
///
/// Inputs: x, scale and offset where present, moving mean, moving variance, each [size of axis].
public struct BatchNorm: Hashable, Sendable {
    public var axis: Int
    public var epsilon: Double
    public var hasScale: Bool
    public var hasOffset: Bool

    public init(axis: Int, epsilon: Double, hasScale: Bool, hasOffset: Bool) {
        self.axis = axis
        self.epsilon = epsilon
        self.hasScale = hasScale
        self.hasOffset = hasOffset
    }

    func inferTypes(_ inputs: [ValueType]) throws(GraphError) -> [ValueType] {
        let count = 3 + (hasScale ? 1 : 0) + (hasOffset ? 1 : 0)
        guard inputs.count == count else { throw GraphError("batch_norm takes \(count) inputs, not \(inputs.count)") }
        let x = inputs[0]
        guard x.dtype.isFloat else { throw GraphError("batch_norm takes floats, not \(x.dtype.rawValue)") }
        try requireSameDType(inputs, "batch_norm")
        guard axis >= 0, axis < x.shape.rank else { throw GraphError("batch_norm has no axis \(axis) in \(x.shape)") }
        for input in inputs.dropFirst() {
            guard input.shape.rank == 1, input.shape[0].equals(x.shape[axis]) != false else {
                throw GraphError("batch_norm's statistics have shape \(input.shape), not [\(x.shape[axis])]")
            }
        }
        return [x]
    }

    var definition: CompositeDefinition {
        .graph { graph, inputs throws(GraphError) in
            let type = graph.type(of: inputs[0])
            let aligned = Shape(type.shape.dims.enumerated().map { $0.offset == axis ? $0.element : .fixed(1) })
            var parameters: [ValueID] = []
            for input in inputs.dropFirst() { parameters.append(try graph.append(.reshape(aligned), [input])) }
            let variance = parameters.removeLast()
            let mean = parameters.removeLast()
            let shifted = try graph.binary(.add, variance, graph.scalar(epsilon, type.dtype))
            var result = try graph.binary(.multiply, graph.binary(.subtract, inputs[0], mean), graph.unary(.rsqrt, shifted))
            if hasScale { result = try graph.binary(.multiply, result, parameters[0]) }
            if hasOffset { result = try graph.binary(.add, result, parameters[parameters.count - 1]) }
            return [result]
        }
    }
}
