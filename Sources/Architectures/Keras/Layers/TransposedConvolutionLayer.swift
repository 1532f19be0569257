import ByteIO
import ModelIR

/// Conv1DTranspose and Conv2DTranspose, the gradient of a convolution with respect to its input: kernel [sizes.., filters, in], bias [filters].
///
/// Written as the convolution that it equals: the input with `stride - 1` zeros between its elements, the kernel turned round.
struct TransposedConvolutionLayer: KerasLayer {
    let config: KerasLayerConfig
    let layout: ChannelLayout
    let strides: [Int]
    let dilations: [Int]
    let padding: Padding
    let outputPadding: [Int]?
    let activation: Activation
    let usesBias: Bool
    let filters: Int?
    let sizes: [Int?]

    init(_ config: KerasLayerConfig) throws {
        self.config = config
        layout = try ChannelLayout(config)
        let ones = Array(repeating: 1, count: config.spatialRank)
        filters = try config.size("filters")
        sizes = config.has("kernel_size") ? try config.sizes("kernel_size", default: []) : ones.map { _ in nil }
        strides = try config.sizes("strides", default: ones)
        dilations = try config.sizes("dilation_rate", default: ones)
        guard zip(strides, dilations).allSatisfy({ $0 == 1 || $1 == 1 }) else {
            throw UnsupportedError("layer '\(config.name)' (\(config.spec.className)) has both strides and dilation_rate; not supported")
        }
        padding = try config.padding()
        guard padding != .causal else { throw config.error("padding", expected: "valid or same") }
        if config.has("output_padding") {
            let list = try config.ints("output_padding")
            let all = list.count == 1 ? ones.map { _ in list[0] } : list
            guard all.count == ones.count, zip(all, strides).allSatisfy({ $0 >= 0 && $0 < $1 }) else {
                throw config.error("output_padding", expected: "counts less than the strides")
            }
            outputPadding = all
        } else {
            outputPadding = nil
        }
        guard try config.int("groups", default: 1) == 1 else {
            throw UnsupportedError("layer '\(config.name)' (\(config.spec.className)) has groups; not supported")
        }
        usesBias = try config.bool("use_bias", default: true)
        activation = try KerasActivation.parse(config.spec.config["activation"], layer: config)
    }

    var variables: [KerasVariable] {
        [KerasVariable("kernel", shape: sizes + [filters, nil])] + (usesBias ? [KerasVariable("bias", shape: [filters])] : [])
    }

    func call(_ call: KerasLayerCall, in builder: inout KerasBuilder) throws -> [KerasTensor] {
        let input = try call.input(of: config)
        let spatial = strides.count
        _ = try builder.requireRank(spatial + 2, of: input, config)
        var x = try layout.toLast(builder.float(input), in: &builder)
        let kernel = try builder.parameter("kernel")
        guard let shape = builder.graph.type(of: kernel).shape.fixedSizes, shape.count == spatial + 2, shape.allSatisfy({ $0 < 1 << 31 })
        else {
            throw GraphError("has a kernel of shape \(builder.graph.type(of: kernel).shape)", origin: config.name)
        }
        var widths = [PadWidth(0, 0)]
        for axis in 0..<spatial {
            let stride = strides[axis]
            if stride > 1 { x = try spread(x, axis: axis + 1, stride: stride, in: &builder) }
            let margin = try margin(axis, size: (shape[axis] - 1) * dilations[axis] + 1)
            widths.append(margin)
        }
        x = try builder.graph.append(.pad(widths + [PadWidth(0, 0)], value: 0), [x])
        let turned = try builder.graph.append(.reverse(axes: Array(0..<spatial)), [kernel])
        let swapped = try builder.graph.append(.transpose(Array(0..<spatial) + [spatial + 1, spatial]), [turned])
        let convolution = Convolution(strides: strides.map { _ in 1 }, dilations: dilations, padding: .valid, groups: 1)
        var y = try builder.graph.append(.convolution(convolution), [x, swapped])
        if usesBias { y = try builder.graph.binary(.add, y, builder.parameter("bias")) }
        return [KerasTensor(try layout.fromLast(builder.activation(activation, y), in: &builder))]
    }

    /// Zeros around the spread input, for a window of `size`: the output has (n - 1) * stride + c elements, c from the padding
    /// (`deconv_output_length` in `tf_keras/src/utils/conv_utils.py`).
    private func margin(_ axis: Int, size: Int) throws(GraphError) -> PadWidth {
        let stride = strides[axis]
        let c: Int
        switch (padding, outputPadding) {
        case (.same, nil): c = stride
        case (.same, let extra?): c = size % 2 + extra[axis]
        case (_, nil): c = max(size, stride)
        case (_, let extra?): c = size + extra[axis]
        }
        // The forward convolution of that output pads by this much before its first element.
        let before = padding == .same ? max(size - c, 0) / 2 : 0
        let after = c - 1 + before
        guard after >= 0 else { throw GraphError("has no output for output_padding \(outputPadding ?? [])", origin: config.name) }
        return PadWidth(size - 1 - before, after)
    }

    /// `stride - 1` zeros between elements: n becomes (n - 1) * stride + 1.
    private func spread(_ x: ValueID, axis: Int, stride: Int, in builder: inout KerasBuilder) throws -> ValueID {
        var dims = builder.graph.type(of: x).shape.dims
        let size = dims[axis]
        dims.insert(1, at: axis + 1)
        let apart = try builder.graph.append(.reshape(Shape(dims)), [x])
        var widths = dims.map { _ in PadWidth(0, 0) }
        widths[axis + 1].after = stride - 1
        let padded = try builder.graph.append(.pad(widths, value: 0), [apart])
        dims.remove(at: axis + 1)
        dims[axis] = size * .fixed(stride)
        let joined = try builder.graph.append(.reshape(Shape(dims)), [padded])
        return try builder.graph.append(
            .slice(dims.indices.map { $0 == axis ? SliceRange(0, -(stride - 1)) : SliceRange() }), [joined])
    }
}
