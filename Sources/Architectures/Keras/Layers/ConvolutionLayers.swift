import ByteIO
import ModelIR

/// Conv1D, Conv2D, DepthwiseConv1D and 2D, SeparableConv1D and 2D.
///
/// x [batch, spatial.., in]; kernel [sizes.., in / groups, filters]; depthwise kernel [sizes.., in, multiplier], whose outputs are ordered
/// by channel, then by multiple; pointwise kernel [1.., in * multiplier, filters]; bias [filters].
struct ConvolutionLayer: KerasLayer {
    enum Kind: Sendable { case plain, depthwise, separable }

    let config: KerasLayerConfig
    let kind: Kind
    let layout: ChannelLayout
    let convolution: Convolution
    let activation: Activation
    let usesBias: Bool
    let filters: Int?
    let sizes: [Int?]
    let multiplier: Int

    init(_ config: KerasLayerConfig) throws {
        self.config = config
        kind =
            config.spec.className.hasPrefix("Depthwise") ? .depthwise : config.spec.className.hasPrefix("Separable") ? .separable : .plain
        layout = try ChannelLayout(config)
        let rank = config.spatialRank
        filters = kind == .depthwise ? nil : try config.size("filters")
        sizes = config.has("kernel_size") ? try config.sizes("kernel_size", default: []) : Array(repeating: nil, count: rank)
        let ones = Array(repeating: 1, count: rank)
        let padding = try config.padding()
        guard padding != .causal || rank == 1 else { throw config.error("padding", expected: "valid or same") }
        convolution = Convolution(
            strides: try config.sizes("strides", default: ones), dilations: try config.sizes("dilation_rate", default: ones),
            padding: padding, groups: kind == .plain ? try config.int("groups", default: 1) : 1)
        guard convolution.groups > 0 else { throw config.error("groups", expected: "a positive integer") }
        multiplier = kind == .plain ? 1 : try config.int("depth_multiplier", default: 1)
        guard multiplier > 0 else { throw config.error("depth_multiplier", expected: "a positive integer") }
        usesBias = try config.bool("use_bias", default: true)
        activation = try KerasActivation.parse(config.spec.config["activation"], layer: config)
    }

    var variables: [KerasVariable] {
        let bias = usesBias ? [KerasVariable("bias", shape: [filters])] : []
        switch kind {
        case .plain: return [KerasVariable("kernel", shape: sizes + [nil, filters])] + bias
        case .depthwise:
            // tf_keras calls it depthwise_kernel, Keras 3 kernel.
            return [KerasVariable("depthwise_kernel", shape: sizes + [nil, multiplier])] + bias
        case .separable:
            let point = Array(repeating: 1 as Int?, count: sizes.count)
            return [
                KerasVariable("depthwise_kernel", shape: sizes + [nil, multiplier]),
                KerasVariable("pointwise_kernel", shape: point + [nil, filters]),
            ] + bias
        }
    }

    /// The parameters whose products go straight to the activation.
    var lastRoles: [String] {
        [kind == .plain ? "kernel" : kind == .depthwise ? "depthwise_kernel" : "pointwise_kernel"] + (usesBias ? ["bias"] : [])
    }

    func call(_ call: KerasLayerCall, in builder: inout KerasBuilder) throws -> [KerasTensor] {
        let input = try call.input(of: config)
        _ = try builder.requireRank(sizes.count + 2, of: input, config)
        var y = try layout.toLast(builder.float(input), in: &builder)
        switch kind {
        case .plain: y = try builder.graph.append(.convolution(convolution), [y, builder.parameter("kernel")])
        case .depthwise: y = try depthwise(y, in: &builder)
        case .separable:
            let ones = Array(repeating: 1, count: sizes.count)
            let point = Convolution(strides: ones, dilations: ones, padding: .valid, groups: 1)
            y = try builder.graph.append(.convolution(point), [depthwise(y, in: &builder), builder.parameter("pointwise_kernel")])
        }
        if usesBias { y = try builder.graph.binary(.add, y, builder.parameter("bias")) }
        return [KerasTensor(try layout.fromLast(builder.activation(activation, y), in: &builder))]
    }

    /// A convolution with as many groups as channels.
    private func depthwise(_ x: ValueID, in builder: inout KerasBuilder) throws -> ValueID {
        let kernel = try builder.parameter("depthwise_kernel")
        let dims = builder.graph.type(of: kernel).shape
        guard dims.rank == sizes.count + 2, let channels = dims[-2].fixedValue, channels > 0, let multiple = dims[-1].fixedValue else {
            throw GraphError("has a depthwise kernel of shape \(dims)", origin: config.name)
        }
        var convolution = convolution
        convolution.groups = channels
        let (count, overflows) = channels.multipliedReportingOverflow(by: multiple)
        guard !overflows else { throw GraphError("has a depthwise kernel of shape \(dims)", origin: config.name) }
        let shape = Shape(dims.dims.dropLast(2) + [1, .fixed(count)])
        return try builder.graph.append(.convolution(convolution), [x, builder.graph.append(.reshape(shape), [kernel])])
    }
}

extension KerasBuilder {
    mutating func activation(_ activation: Activation, _ x: ValueID) throws -> ValueID { try graph.activation(activation, x) }
}
