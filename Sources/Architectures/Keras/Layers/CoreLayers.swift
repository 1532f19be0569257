import ByteIO
import ModelIR

/// y = activation(x W + b), over the last axis. Kernel [in, units], bias [units].
struct DenseLayer: KerasLayer {
    let config: KerasLayerConfig
    let activation: Activation
    let usesBias: Bool
    let units: Int?

    init(_ config: KerasLayerConfig) throws {
        self.config = config
        units = try config.size("units")
        usesBias = try config.bool("use_bias", default: true)
        activation = try KerasActivation.parse(config.spec.config["activation"], layer: config)
    }

    var variables: [KerasVariable] {
        [KerasVariable("kernel", shape: [nil, units])] + (usesBias ? [KerasVariable("bias", shape: [units])] : [])
    }

    func call(_ call: KerasLayerCall, in builder: inout KerasBuilder) throws -> [KerasTensor] {
        let input = try call.input(of: config)
        var y = try builder.graph.append(.matmul, [builder.float(input), builder.parameter("kernel")])
        if usesBias { y = try builder.graph.binary(.add, y, builder.parameter("bias")) }
        return [KerasTensor(try builder.graph.activation(activation, y), mask: input.mask)]
    }
}

/// Rows of a table [input_dim, output_dim] by id; mask_zero masks id 0. Float ids are truncated, as Keras does.
struct EmbeddingLayer: KerasLayer {
    let config: KerasLayerConfig
    let masksZero: Bool
    let shape: [Int?]

    init(_ config: KerasLayerConfig) throws {
        self.config = config
        shape = [try config.size("input_dim"), try config.size("output_dim")]
        masksZero = try config.bool("mask_zero", default: false)
    }

    var variables: [KerasVariable] { [KerasVariable("embeddings", shape: shape)] }

    func call(_ call: KerasLayerCall, in builder: inout KerasBuilder) throws -> [KerasTensor] {
        let input = try call.input(of: config)
        let type = builder.type(of: input)
        let ids = type.dtype.isInteger ? input.value : try builder.graph.append(.cast(.i32), [input.value])
        let rows = try builder.graph.append(.gather(axis: 0), [builder.parameter("embeddings"), ids])
        guard masksZero else { return [KerasTensor(rows)] }
        return [KerasTensor(rows, mask: try builder.notEqual(input.value, to: 0))]
    }
}

/// Masks the steps whose features all equal mask_value, and zeroes them.
struct MaskingLayer: KerasLayer {
    let config: KerasLayerConfig
    let maskValue: Double

    init(_ config: KerasLayerConfig) throws {
        self.config = config
        maskValue = try config.double("mask_value", default: 0)
    }

    func call(_ call: KerasLayerCall, in builder: inout KerasBuilder) throws -> [KerasTensor] {
        let x = try builder.float(call.input(of: config))
        let differs = try builder.notEqual(x, to: maskValue)
        let kept = try builder.graph.append(.reduce(.any, axes: [-1], keepsDimensions: true), [differs])
        let output = try builder.graph.binary(.multiply, x, builder.graph.append(.cast(builder.dtype), [kept]))
        let mask = try builder.graph.append(.reduce(.any, axes: [-1], keepsDimensions: false), [differs])
        return [KerasTensor(output, mask: mask)]
    }
}

/// Layers that do nothing at inference: Dropout and its relatives, ActivityRegularization.
struct IdentityLayer: KerasLayer {
    let config: KerasLayerConfig

    init(_ config: KerasLayerConfig) throws { self.config = config }

    var seedGenerators: [String] {
        // Keras 3 makes a generator only for a rate that is not zero.
        switch config.spec.className {
        case "Dropout", "SpatialDropout1D", "SpatialDropout2D", "SpatialDropout3D", "GaussianDropout", "AlphaDropout":
            (config.spec.config["rate"]?.double ?? 0) > 0 ? ["seed_generator"] : []
        case "GaussianNoise": (config.spec.config["stddev"]?.double ?? 0) > 0 ? ["seed_generator"] : []
        default: []
        }
    }

    func call(_ call: KerasLayerCall, in builder: inout KerasBuilder) throws -> [KerasTensor] {
        var input = try call.input(of: config)
        // Keras 2 lets no mask through Identity.
        if config.spec.className == "Identity" && config.generation < 3 { input.mask = nil }
        return [input]
    }
}

/// Activation, ReLU, LeakyReLU, ELU, ThresholdedReLU.
struct ActivationLayer: KerasLayer {
    let config: KerasLayerConfig
    let activation: Activation

    init(_ config: KerasLayerConfig) throws {
        self.config = config
        activation =
            try KerasActivation.layerActivation(config) ?? KerasActivation.parse(config.spec.config["activation"], layer: config)
    }

    func call(_ call: KerasLayerCall, in builder: inout KerasBuilder) throws -> [KerasTensor] {
        let input = try call.input(of: config)
        return [KerasTensor(try builder.graph.activation(activation, builder.float(input)), mask: input.mask)]
    }
}

/// Softmax along one axis or over several. What a mask, broadcast against the input, leaves out is excluded: Keras 2 gives a row without
/// anything left the softmax of the input, Keras 3 zeros.
struct SoftmaxLayer: KerasLayer {
    let config: KerasLayerConfig

    init(_ config: KerasLayerConfig) throws { self.config = config }

    func masks(usedBy call: KerasLayerCall) -> [ValueID?] { call.inputs.map(\.mask) }

    func call(_ call: KerasLayerCall, in builder: inout KerasBuilder) throws -> [KerasTensor] {
        let input = try call.input(of: config)
        let x = try builder.float(input)
        let axes = try config.axes("axis", default: -1, rank: builder.shape(of: input).rank)
        guard let given = input.mask else { return [KerasTensor(try builder.softmax(x, axes: axes))] }
        let mask = try builder.asMask(given)
        let output = try builder.maskedSoftmax(x, axes: axes, mask: mask, zeroesEmptyRows: config.generation == 3)
        return [KerasTensor(output, mask: mask)]
    }
}

extension KerasBuilder {
    /// Softmax over one or several axes.
    mutating func softmax(_ x: ValueID, axes: [Int]) throws -> ValueID {
        if axes.count == 1 { return try graph.append(.composite(.softmax(axis: axes[0])), [x]) }
        let top = try graph.append(.reduce(.maximum, axes: axes, keepsDimensions: true), [x])
        let exponentials = try graph.unary(.exp, graph.binary(.subtract, x, top))
        let sum = try graph.append(.reduce(.sum, axes: axes, keepsDimensions: true), [exponentials])
        return try graph.binary(.divide, exponentials, sum)
    }

    /// Softmax of what the mask lets through.
    /// - Parameter zeroesEmptyRows: what is masked is zero afterwards, also where nothing is left of a row; else such a row is uniform.
    mutating func maskedSoftmax(_ x: ValueID, axes: [Int], mask: ValueID, zeroesEmptyRows: Bool) throws -> ValueID {
        // In f32 a score that a large number was taken from is that number, so masked ones are equal.
        let lowered = try graph.append(.select, [mask, x, graph.scalar(-1e9, graph.type(of: x).dtype)])
        let output = try softmax(lowered, axes: axes)
        guard zeroesEmptyRows else { return output }
        return try graph.append(.select, [mask, output, graph.scalar(0, graph.type(of: x).dtype)])
    }

    /// A mask as bool: a number counts as true where it isn't 0.
    mutating func asMask(_ value: ValueID) throws -> ValueID {
        graph.type(of: value).dtype == .bool ? value : try graph.append(.cast(.bool), [value])
    }
}

/// max(x, 0) + alpha * min(x, 0), alpha learnt per element (1 on shared axes).
struct PReLULayer: KerasLayer {
    let config: KerasLayerConfig

    init(_ config: KerasLayerConfig) throws { self.config = config }

    var variables: [KerasVariable] { [KerasVariable("alpha")] }

    func call(_ call: KerasLayerCall, in builder: inout KerasBuilder) throws -> [KerasTensor] {
        let input = try call.input(of: config)
        let x = try builder.float(input)
        let zero = try builder.graph.scalar(0, builder.dtype)
        let negative = try builder.graph.binary(.minimum, x, zero)
        let scaled = try builder.graph.binary(.multiply, negative, builder.parameter("alpha"))
        return [KerasTensor(try builder.graph.binary(.add, builder.graph.binary(.maximum, x, zero), scaled), mask: input.mask)]
    }
}
