import ByteIO
import ModelIR

/// Max and average pooling over one or two dimensions.
struct PoolingLayer: KerasLayer {
    let config: KerasLayerConfig
    let layout: ChannelLayout
    let pool: Pool

    init(_ config: KerasLayerConfig) throws {
        self.config = config
        layout = try ChannelLayout(config)
        // Keras 1 said pool_length and stride.
        let size = try config.sizes(
            config.has("pool_size") ? "pool_size" : "pool_length", default: Array(repeating: 2, count: config.spatialRank))
        let strides = try config.sizes(config.has("strides") ? "strides" : "stride", default: size)
        let padding = try config.padding()
        guard padding != .causal else { throw config.error("padding", expected: "valid or same") }
        pool = Pool(kind: config.spec.className.hasPrefix("Max") ? .maximum : .average, sizes: size, strides: strides, padding: padding)
    }

    func call(_ call: KerasLayerCall, in builder: inout KerasBuilder) throws -> [KerasTensor] {
        let input = try call.input(of: config)
        _ = try builder.requireRank(pool.sizes.count + 2, of: input, config)
        let x = try layout.toLast(builder.float(input), in: &builder)
        return [KerasTensor(try layout.fromLast(builder.graph.append(.pool(pool), [x]), in: &builder))]
    }
}

/// Pooling over all positions; GlobalAveragePooling1D averages over unmasked steps.
struct GlobalPoolingLayer: KerasLayer {
    let config: KerasLayerConfig
    let layout: ChannelLayout
    let keepsDimensions: Bool

    init(_ config: KerasLayerConfig) throws {
        self.config = config
        layout = try ChannelLayout(config)
        keepsDimensions = try config.bool("keepdims", default: false)
    }

    func masks(usedBy call: KerasLayerCall) -> [ValueID?] {
        config.spec.className == "GlobalAveragePooling1D" ? call.inputs.map(\.mask) : []
    }

    func call(_ call: KerasLayerCall, in builder: inout KerasBuilder) throws -> [KerasTensor] {
        let input = try call.input(of: config)
        let rank = try builder.requireRank(config.spatialRank + 2, of: input, config)
        let x = try builder.float(input)
        let axes = Array(layout.spatialAxes(rank: rank))
        if config.spec.className.hasPrefix("GlobalMax") {
            return [KerasTensor(try builder.graph.append(.reduce(.maximum, axes: axes, keepsDimensions: keepsDimensions), [x]))]
        }
        guard let mask = input.mask, rank == 3 else {
            return [KerasTensor(try builder.graph.append(.reduce(.mean, axes: axes, keepsDimensions: keepsDimensions), [x]))]
        }
        let dims = builder.graph.type(of: mask).shape.dims
        guard dims.count == 2 else { throw GraphError("takes a mask [batch, time], not \(Shape(dims))", origin: config.name) }
        let aligned: Shape = layout.isFirst ? [dims[0], 1, dims[1]] : [dims[0], dims[1], 1]
        let weights = try builder.float(builder.graph.append(.reshape(aligned), [mask]))
        let sum = try builder.graph.append(
            .reduce(.sum, axes: axes, keepsDimensions: keepsDimensions), [builder.graph.binary(.multiply, x, weights)])
        let count = try builder.graph.append(.reduce(.sum, axes: axes, keepsDimensions: keepsDimensions), [weights])
        return [KerasTensor(try builder.graph.binary(.divide, sum, count))]
    }
}
