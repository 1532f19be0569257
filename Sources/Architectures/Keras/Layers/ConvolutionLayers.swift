import ByteIO
import ModelIR

/// Convolution over time: x [batch, time, in], kernel [size, in / groups, filters], bias [filters].
struct Conv1DLayer: KerasLayer {
    let config: KerasLayerConfig
    let convolution: Convolution
    let activation: Activation
    let usesBias: Bool
    let filters: Int?
    let size: Int?

    init(_ config: KerasLayerConfig) throws {
        self.config = config
        try config.requireChannelsLast()
        filters = try config.size("filters")
        size = config.has("kernel_size") ? try config.single("kernel_size", default: 1) : nil
        convolution = Convolution(
            strides: [try config.single("strides", default: 1)], dilations: [try config.single("dilation_rate", default: 1)],
            padding: try config.padding(), groups: try config.int("groups", default: 1))
        guard convolution.groups > 0 else { throw config.error("groups", expected: "a positive integer") }
        usesBias = try config.bool("use_bias", default: true)
        activation = try KerasActivation.parse(config.spec.config["activation"], layer: config)
    }

    var variables: [KerasVariable] {
        [KerasVariable("kernel", shape: [size, nil, filters])] + (usesBias ? [KerasVariable("bias", shape: [filters])] : [])
    }

    func call(_ call: KerasLayerCall, in builder: inout KerasBuilder) throws -> [KerasTensor] {
        var y = try builder.graph.append(.convolution(convolution), [builder.float(call.input(of: config)), builder.parameter("kernel")])
        if usesBias { y = try builder.graph.binary(.add, y, builder.parameter("bias")) }
        return [KerasTensor(try builder.graph.activation(activation, y))]
    }
}

/// MaxPooling1D and AveragePooling1D.
struct Pooling1DLayer: KerasLayer {
    let config: KerasLayerConfig
    let pool: Pool

    init(_ config: KerasLayerConfig) throws {
        self.config = config
        try config.requireChannelsLast()
        // Keras 1 said pool_length.
        let size = try config.single(config.has("pool_size") ? "pool_size" : "pool_length", default: 2)
        let stride = try config.single(config.has("strides") ? "strides" : "stride", default: size)
        let padding = try config.padding()
        guard padding != .causal else { throw config.error("padding", expected: "valid or same") }
        pool = Pool(
            kind: config.spec.className.hasPrefix("Max") ? .maximum : .average, sizes: [size], strides: [stride], padding: padding)
    }

    func call(_ call: KerasLayerCall, in builder: inout KerasBuilder) throws -> [KerasTensor] {
        [KerasTensor(try builder.graph.append(.pool(pool), [builder.float(call.input(of: config))]))]
    }
}

/// GlobalMaxPooling1D, and GlobalAveragePooling1D, which averages over unmasked steps.
struct GlobalPooling1DLayer: KerasLayer {
    let config: KerasLayerConfig
    let keepsDimensions: Bool

    init(_ config: KerasLayerConfig) throws {
        self.config = config
        try config.requireChannelsLast()
        keepsDimensions = try config.bool("keepdims", default: false)
    }

    func call(_ call: KerasLayerCall, in builder: inout KerasBuilder) throws -> [KerasTensor] {
        let input = try call.input(of: config)
        let x = try builder.float(input)
        if config.spec.className.hasPrefix("GlobalMax") {
            return [KerasTensor(try builder.graph.append(.reduce(.maximum, axes: [1], keepsDimensions: keepsDimensions), [x]))]
        }
        guard let mask = input.mask else {
            return [KerasTensor(try builder.graph.append(.reduce(.mean, axes: [1], keepsDimensions: keepsDimensions), [x]))]
        }
        let dims = builder.shape(of: input).dims
        let weights = try builder.graph.append(
            .reshape([dims[0], dims[1], 1]), [builder.graph.append(.cast(builder.dtype), [mask])])
        let sum = try builder.graph.append(
            .reduce(.sum, axes: [1], keepsDimensions: keepsDimensions), [builder.graph.binary(.multiply, x, weights)])
        let count = try builder.graph.append(.reduce(.sum, axes: [1], keepsDimensions: keepsDimensions), [weights])
        return [KerasTensor(try builder.graph.binary(.divide, sum, count))]
    }
}
