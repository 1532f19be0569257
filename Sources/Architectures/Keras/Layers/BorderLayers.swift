import ByteIO
import ModelIR

/// ZeroPadding1D and 2D.
struct ZeroPaddingLayer: KerasLayer {
    let config: KerasLayerConfig
    let layout: ChannelLayout
    let widths: [PadWidth]

    init(_ config: KerasLayerConfig) throws {
        self.config = config
        layout = try ChannelLayout(config)
        widths = try config.margins("padding", default: 1)
    }

    func call(_ call: KerasLayerCall, in builder: inout KerasBuilder) throws -> [KerasTensor] {
        let input = try call.input(of: config)
        let rank = try builder.requireRank(widths.count + 2, of: input, config)
        var all = Array(repeating: PadWidth(0, 0), count: rank)
        all.replaceSubrange(layout.spatialAxes(rank: rank), with: widths)
        return [KerasTensor(try builder.graph.append(.pad(all, value: 0), [input.value]))]
    }
}

/// Cropping1D and 2D.
struct CroppingLayer: KerasLayer {
    let config: KerasLayerConfig
    let layout: ChannelLayout
    let widths: [PadWidth]

    init(_ config: KerasLayerConfig) throws {
        self.config = config
        layout = try ChannelLayout(config)
        widths = try config.margins("cropping", default: config.spatialRank == 1 ? 1 : 0)
    }

    func call(_ call: KerasLayerCall, in builder: inout KerasBuilder) throws -> [KerasTensor] {
        let input = try call.input(of: config)
        let rank = try builder.requireRank(widths.count + 2, of: input, config)
        var ranges = Array(repeating: SliceRange(), count: rank)
        ranges.replaceSubrange(
            layout.spatialAxes(rank: rank), with: widths.map { SliceRange($0.before, $0.after == 0 ? nil : -$0.after) })
        return [KerasTensor(try builder.graph.append(.slice(ranges), [input.value]))]
    }
}

/// UpSampling1D and 2D: each element repeated, or interpolated linearly between pixel centres.
struct UpSamplingLayer: KerasLayer {
    let config: KerasLayerConfig
    let layout: ChannelLayout
    let factors: [Int]
    let isBilinear: Bool

    init(_ config: KerasLayerConfig) throws {
        self.config = config
        layout = try ChannelLayout(config)
        factors = try config.sizes("size", default: Array(repeating: 2, count: config.spatialRank))
        let interpolation = try config.string("interpolation", default: "nearest")
        guard interpolation == "nearest" || interpolation == "bilinear" else {
            throw UnsupportedError(
                "layer '\(config.name)' (\(config.spec.className)) interpolates by \(interpolation); only nearest and bilinear are supported"
            )
        }
        isBilinear = interpolation == "bilinear"
        guard !isBilinear || factors.allSatisfy({ $0 <= 256 }) else { throw config.error("size", expected: "factors up to 256") }
    }

    func call(_ call: KerasLayerCall, in builder: inout KerasBuilder) throws -> [KerasTensor] {
        let input = try call.input(of: config)
        let rank = try builder.requireRank(factors.count + 2, of: input, config)
        var x = isBilinear ? try builder.float(input) : input.value
        for (axis, factor) in zip(layout.spatialAxes(rank: rank), factors) where factor > 1 {
            x = isBilinear ? try builder.interpolate(x, axis: axis, by: factor) : try builder.repeatElements(x, axis: axis, count: factor)
        }
        return [KerasTensor(x)]
    }
}

extension KerasBuilder {
    /// - Throws: `GraphError` for an input of another rank; gives the rank.
    func requireRank(_ rank: Int, of tensor: KerasTensor, _ config: KerasLayerConfig) throws(GraphError) -> Int {
        guard shape(of: tensor).rank == rank else {
            throw GraphError("takes an input of rank \(rank), not \(shape(of: tensor))", origin: config.name)
        }
        return rank
    }

    /// Each element `count` times in a row along an axis.
    mutating func repeatElements(_ x: ValueID, axis: Int, count: Int) throws -> ValueID {
        var dims = graph.type(of: x).shape.dims
        let size = dims[axis]
        dims.insert(1, at: axis + 1)
        let apart = try graph.append(.reshape(Shape(dims)), [x])
        dims[axis + 1] = .fixed(count)
        let repeated = try graph.append(.broadcast(Shape(dims)), [apart])
        dims.remove(at: axis + 1)
        dims[axis] = size * .fixed(count)
        return try graph.append(.reshape(Shape(dims)), [repeated])
    }

    /// Linear interpolation with half-pixel centres: output j samples (j + 1/2) / count - 1/2, held at the borders.
    mutating func interpolate(_ x: ValueID, axis: Int, by count: Int) throws -> ValueID {
        var dims = graph.type(of: x).shape.dims
        let rank = dims.count
        func range(_ range: SliceRange) -> [SliceRange] { (0..<rank).map { $0 == axis ? range : SliceRange() } }
        let first = try graph.append(.slice(range(SliceRange(0, 1))), [x])
        let last = try graph.append(.slice(range(SliceRange(-1))), [x])
        let earlier = try graph.append(.concat(axis: axis), [first, graph.append(.slice(range(SliceRange(0, -1))), [x])])
        let later = try graph.append(.concat(axis: axis), [graph.append(.slice(range(SliceRange(1))), [x]), last])
        let size = dims[axis]
        dims.insert(1, at: axis + 1)
        var phases: [ValueID] = []
        for phase in 0..<count {
            let offset = (Double(phase) + 0.5) / Double(count) - 0.5
            let own = try graph.binary(.multiply, x, graph.scalar(1 - abs(offset), dtype))
            let other = try graph.binary(.multiply, offset < 0 ? earlier : later, graph.scalar(abs(offset), dtype))
            phases.append(try graph.append(.reshape(Shape(dims)), [graph.binary(.add, own, other)]))
        }
        let stacked = try graph.append(.concat(axis: axis + 1), phases)
        dims.remove(at: axis + 1)
        dims[axis] = size * .fixed(count)
        return try graph.append(.reshape(Shape(dims)), [stacked])
    }
}
