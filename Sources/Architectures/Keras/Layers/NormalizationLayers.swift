import ByteIO
import ModelIR

/// Batch normalisation with the moving statistics.
struct BatchNormalizationLayer: KerasLayer {
    let config: KerasLayerConfig
    let scales: Bool
    let centres: Bool
    let epsilon: Double

    init(_ config: KerasLayerConfig) throws {
        self.config = config
        scales = try config.bool("scale", default: true)
        centres = try config.bool("center", default: true)
        epsilon = try config.double("epsilon", default: 1e-3)
        for key in ["renorm", "virtual_batch_size"] where config.has(key) {
            guard config.spec.config[key]?.bool == false else {
                throw UnsupportedError("layer '\(config.name)' (BatchNormalization) uses \(key), which isn't supported")
            }
        }
    }

    var variables: [KerasVariable] {
        (scales ? [KerasVariable("gamma")] : []) + (centres ? [KerasVariable("beta")] : [])
            + [KerasVariable("moving_mean", isTrainable: false), KerasVariable("moving_variance", isTrainable: false)]
    }

    func call(_ call: KerasLayerCall, in builder: inout KerasBuilder) throws -> [KerasTensor] {
        let input = try call.input(of: config)
        let axis = try config.axis("axis", default: -1, rank: builder.shape(of: input).rank)
        let norm = BatchNorm(axis: axis, epsilon: epsilon, hasScale: scales, hasOffset: centres)
        var inputs = [try builder.float(input)]
        for variable in variables { inputs.append(try builder.parameter(variable.role)) }
        return [KerasTensor(try builder.graph.append(.composite(.batchNorm(norm)), inputs), mask: input.mask)]
    }
}

/// Layer normalisation.
struct LayerNormalizationLayer: KerasLayer {
    let config: KerasLayerConfig
    let scales: Bool
    let centres: Bool
    let epsilon: Double
    /// Keras 3: divides by the standard deviation, without subtracting the mean.
    let usesRMS: Bool

    init(_ config: KerasLayerConfig) throws {
        self.config = config
        usesRMS = try config.bool("rms_scaling", default: false)
        scales = try config.bool("scale", default: true) || usesRMS
        centres = try config.bool("center", default: true) && !usesRMS
        epsilon = try config.double("epsilon", default: 1e-3)
    }

    var variables: [KerasVariable] { (scales ? [KerasVariable("gamma")] : []) + (centres ? [KerasVariable("beta")] : []) }

    func call(_ call: KerasLayerCall, in builder: inout KerasBuilder) throws -> [KerasTensor] {
        let input = try call.input(of: config)
        let axes = try config.axes("axis", default: -1, rank: builder.shape(of: input).rank)
        var inputs = [try builder.float(input)]
        for variable in variables { inputs.append(try builder.parameter(variable.role)) }
        if usesRMS {
            let variance = try builder.variance(inputs[0], axes: axes, keepsDimensions: true)
            let shifted = try builder.graph.binary(.add, variance, builder.graph.scalar(epsilon, builder.dtype))
            let y = try builder.graph.binary(.multiply, inputs[0], builder.graph.unary(.rsqrt, shifted))
            return [KerasTensor(try builder.graph.binary(.multiply, y, builder.aligned(inputs[1], axes, like: y)), mask: input.mask)]
        }
        let norm = LayerNorm(axes: axes, epsilon: epsilon, hasScale: scales, hasOffset: centres)
        return [KerasTensor(try builder.graph.append(.composite(.layerNorm(norm)), inputs), mask: input.mask)]
    }
}

/// x / sqrt(mean(x^2) + epsilon) * scale (Zhang and Sennrich 2019).
struct RMSNormalizationLayer: KerasLayer {
    let config: KerasLayerConfig
    let epsilon: Double

    init(_ config: KerasLayerConfig) throws {
        self.config = config
        epsilon = try config.double("epsilon", default: 1e-6)
    }

    var variables: [KerasVariable] { [KerasVariable("scale")] }

    func call(_ call: KerasLayerCall, in builder: inout KerasBuilder) throws -> [KerasTensor] {
        let input = try call.input(of: config)
        let axes = try config.axes("axis", default: -1, rank: builder.shape(of: input).rank)
        let norm = LayerNorm(axes: axes, epsilon: epsilon, hasScale: true, hasOffset: false, usesRMS: true)
        let inputs = [try builder.float(input), try builder.parameter("scale")]
        return [KerasTensor(try builder.graph.append(.composite(.layerNorm(norm)), inputs))]
    }
}

/// Normalises over groups of channels and all other axes but the batch (Wu and He 2018). gamma and beta: [channels].
struct GroupNormalizationLayer: KerasLayer {
    let config: KerasLayerConfig
    let groups: Int
    let scales: Bool
    let centres: Bool
    let epsilon: Double

    init(_ config: KerasLayerConfig) throws {
        self.config = config
        groups = try config.int("groups", default: 32)
        guard groups > 0 || groups == -1 else { throw config.error("groups", expected: "a positive integer, or -1 for one per channel") }
        scales = try config.bool("scale", default: true)
        centres = try config.bool("center", default: true)
        epsilon = try config.double("epsilon", default: 1e-3)
    }

    var variables: [KerasVariable] { (scales ? [KerasVariable("gamma")] : []) + (centres ? [KerasVariable("beta")] : []) }

    func call(_ call: KerasLayerCall, in builder: inout KerasBuilder) throws -> [KerasTensor] {
        let input = try call.input(of: config)
        guard input.mask == nil || config.generation == 3 else {
            throw UnsupportedError("layer '\(config.name)' (GroupNormalization) normalises over what a mask leaves; not supported")
        }
        let x = try builder.float(input)
        let dims = builder.shape(of: input).dims
        let axis = try config.axis("axis", default: -1, rank: dims.count)
        guard axis > 0, let channels = dims[axis].fixedValue, channels > 0 else {
            throw config.error("axis", expected: "an axis of known size, but the batch's")
        }
        let count = groups == -1 ? channels : groups
        guard channels % count == 0 else { throw config.error("groups", expected: "a divisor of the \(channels) channels") }
        var grouped = dims
        grouped[axis] = .fixed(channels / count)
        grouped.insert(.fixed(count), at: axis)
        let apart = try builder.graph.append(.reshape(Shape(grouped)), [x])
        let axes = (1..<grouped.count).filter { $0 != axis }
        let norm = LayerNorm(axes: axes, epsilon: epsilon, hasScale: false, hasOffset: false)
        var y = try builder.graph.append(.reshape(Shape(dims)), [builder.graph.append(.composite(.layerNorm(norm)), [apart])])
        if scales { y = try builder.graph.binary(.multiply, y, builder.aligned(builder.parameter("gamma"), [axis], like: y)) }
        if centres { y = try builder.graph.binary(.add, y, builder.aligned(builder.parameter("beta"), [axis], like: y)) }
        return [KerasTensor(y, mask: input.mask)]
    }
}

/// Scales to unit length over some axes.
struct UnitNormalizationLayer: KerasLayer {
    let config: KerasLayerConfig

    init(_ config: KerasLayerConfig) throws { self.config = config }

    func call(_ call: KerasLayerCall, in builder: inout KerasBuilder) throws -> [KerasTensor] {
        let input = try call.input(of: config)
        let axes = try config.axes("axis", default: -1, rank: builder.shape(of: input).rank)
        return [KerasTensor(try builder.unit(builder.float(input), axes: axes, epsilon: 1e-12), mask: input.mask)]
    }
}

extension KerasBuilder {
    /// A parameter with the shape of `axes`, given axes of size 1 for the others of `value`.
    mutating func aligned(_ parameter: ValueID, _ axes: [Int], like value: ValueID) throws -> ValueID {
        let rank = graph.type(of: value).shape.rank
        let own = graph.type(of: parameter).shape.dims
        guard own.count == axes.count else { throw GraphError("has a parameter of shape \(Shape(own)) for the axes \(axes)") }
        if axes == Array(rank - axes.count..<rank) { return parameter }
        var dims = Array(repeating: Dim.fixed(1), count: rank)
        for (axis, dim) in zip(axes, own) { dims[axis] = dim }
        return try graph.append(.reshape(Shape(dims)), [parameter])
    }

    /// Mean of the squares of what differs from the mean.
    mutating func variance(_ x: ValueID, axes: [Int], keepsDimensions: Bool) throws -> ValueID {
        let mean = try graph.append(.reduce(.mean, axes: axes, keepsDimensions: true), [x])
        let centred = try graph.binary(.subtract, x, mean)
        return try graph.append(
            .reduce(.mean, axes: axes, keepsDimensions: keepsDimensions), [graph.binary(.multiply, centred, centred)])
    }
}
