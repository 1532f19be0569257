import ByteIO
import JSON
import ModelIR

/// (x - mean) / max(sqrt(variance), 1e-7), or back again; the statistics are weights, or in the configuration.
struct NormalizationLayer: KerasLayer {
    let config: KerasLayerConfig
    let inverts: Bool
    /// Whether mean and variance are in the configuration.
    let isStated: Bool

    init(_ config: KerasLayerConfig) throws {
        self.config = config
        inverts = try config.bool("invert", default: false)
        isStated = config.has("mean")
        guard config.has("variance") == isStated else { throw config.error("variance", expected: "stated where the mean is") }
    }

    /// Statistics are no trainable weights; the count says how much was seen.
    var variables: [KerasVariable] {
        isStated
            ? []
            : [
                KerasVariable("mean", isTrainable: false), KerasVariable("variance", isTrainable: false),
                KerasVariable("count", isTrainable: false, shape: [], allowsIntegers: true),
            ]
    }

    var namesVariablesAlone: Bool { true }

    func call(_ call: KerasLayerCall, in builder: inout KerasBuilder) throws -> [KerasTensor] {
        let input = try call.input(of: config)
        let x = try builder.float(input)
        let rank = builder.shape(of: input).rank
        // An axis of null: one number for everything.
        let axes = config.spec.config["axis"]?.isNull == true ? [] : try config.axes("axis", default: -1, rank: rank)
        func statistic(_ name: String) throws -> ValueID {
            guard isStated else { return try builder.aligned(builder.parameter(name), axes, like: x) }
            guard let array = ConstantArray(config.spec.config[name] ?? .null) else { throw config.error(name, expected: "numbers") }
            let value = try builder.constant(array, dtype: builder.dtype)
            return array.shape.count == axes.count ? try builder.aligned(value, axes, like: x) : value
        }
        let mean = try statistic("mean")
        let deviation = try builder.graph.binary(
            .maximum, builder.graph.unary(.sqrt, statistic("variance")), builder.graph.scalar(1e-7, builder.dtype))
        let y =
            inverts
            ? try builder.graph.binary(.add, mean, builder.graph.binary(.multiply, x, deviation))
            : try builder.graph.binary(.divide, builder.graph.binary(.subtract, x, mean), deviation)
        return [KerasTensor(y, mask: config.generation == 3 ? input.mask : nil)]
    }
}

/// x * scale + offset.
struct RescalingLayer: KerasLayer {
    let config: KerasLayerConfig
    let scale: ConstantArray
    let offset: ConstantArray
    /// nil: as the generation does.
    var keepsMask: Bool?

    init(_ config: KerasLayerConfig) throws {
        self.config = config
        guard let scale = ConstantArray(config.spec.config["scale"] ?? .null) else { throw config.error("scale", expected: "numbers") }
        guard let offset = ConstantArray(config.spec.config["offset"] ?? 0) else { throw config.error("offset", expected: "numbers") }
        self.scale = scale
        self.offset = offset
    }

    func call(_ call: KerasLayerCall, in builder: inout KerasBuilder) throws -> [KerasTensor] {
        let input = try call.input(of: config)
        let scaled = try builder.graph.binary(.multiply, builder.float(input), builder.constant(scale, dtype: builder.dtype))
        let y = try builder.graph.binary(.add, scaled, builder.constant(offset, dtype: builder.dtype))
        return [KerasTensor(y, mask: keepsMask ?? (config.generation == 3) ? input.mask : nil)]
    }
}

/// Ids [batch, n] to which of `num_tokens` there are (multi_hot), how many of each (count), or one row for each id (one_hot).
struct CategoryEncodingLayer: KerasLayer {
    let config: KerasLayerConfig
    let count: Int
    let mode: String

    init(_ config: KerasLayerConfig) throws {
        self.config = config
        guard let count = try config.size("num_tokens") else { throw config.error("num_tokens", expected: "a positive integer") }
        self.count = count
        mode = try config.string("output_mode", default: "multi_hot")
        guard ["multi_hot", "one_hot", "count"].contains(mode) else {
            throw config.error("output_mode", expected: "multi_hot, one_hot or count")
        }
        guard try !config.bool("sparse", default: false) else {
            throw UnsupportedError("layer '\(config.name)' (CategoryEncoding) gives sparse tensors; not supported")
        }
    }

    func call(_ call: KerasLayerCall, in builder: inout KerasBuilder) throws -> [KerasTensor] {
        let input = try call.input(of: config)
        var dims = builder.shape(of: input).dims
        guard dims.count == 2 else { throw GraphError("takes [batch, n], not \(builder.shape(of: input))", origin: config.name) }
        let isSingle = dims[1].fixedValue == 1
        dims.append(1)
        let type = builder.type(of: input)
        let ids = type.dtype.isInteger ? input.value : try builder.graph.append(.cast(.i32), [input.value])
        let column = try builder.graph.append(.reshape(Shape(dims)), [ids])
        let tokens = try builder.graph.append(.iota(ValueType(builder.graph.type(of: ids).dtype, [.fixed(count)]), axis: 0), [])
        let hits = try builder.graph.append(.compare(.equal), [column, tokens])
        switch mode {
        case "one_hot" where !isSingle: return [KerasTensor(try builder.float(hits))]
        case "count":
            return [KerasTensor(try builder.graph.append(.reduce(.sum, axes: [1], keepsDimensions: false), [builder.float(hits)]))]
        default:
            return [KerasTensor(try builder.float(builder.graph.append(.reduce(.any, axes: [1], keepsDimensions: false), [hits])))]
        }
    }
}
