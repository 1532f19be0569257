extension Op {
    /// Attributes in the text form: `key=value`, or a key alone for a flag that is set. What the output's type says isn't said again:
    /// the dtype of `cast`, the shape of `reshape` and `broadcast`, the type of `constant` and `iota`.
    var textAttributes: [String] {
        switch self {
        case .constant(let literal):
            let values = literal.values.map(TextName.number)
            return [literal.shape.isEmpty ? "value=\(values.joined())" : "value=[\(values.joined(separator: ", "))]"]
        case .unary, .binary, .compare, .select, .matmul, .cast, .reshape, .broadcast: return []
        case .reduce(_, let axes, let keepsDimensions): return ["axes=\(axes)"] + flag("keeps_dimensions", keepsDimensions)
        case .transpose(let permutation): return ["permutation=\(permutation)"]
        case .slice(let ranges): return ["ranges=[\(ranges.map(\.text).joined(separator: ", "))]"]
        case .reverse(let axes): return ["axes=\(axes)"]
        case .pad(let widths, let value):
            return ["widths=[\(widths.map { "(\($0.before), \($0.after))" }.joined(separator: ", "))]", "value=\(TextName.number(value))"]
        case .concat(let axis), .gather(let axis), .scatter(let axis), .sort(let axis), .cumulativeSum(let axis), .iota(_, let axis):
            return ["axis=\(axis)"]
        case .argmax(let axis, let keepsDimensions): return ["axis=\(axis)"] + flag("keeps_dimensions", keepsDimensions)
        case .convolution(let convolution):
            return [
                "strides=\(convolution.strides)", "dilations=\(convolution.dilations)", "padding=\(convolution.padding.rawValue)",
                "groups=\(convolution.groups)",
            ]
        case .pool(let pool): return ["sizes=\(pool.sizes)", "strides=\(pool.strides)", "padding=\(pool.padding.rawValue)"]
        case .composite(let composite): return composite.textAttributes
        }
    }
}

extension Composite {
    var textAttributes: [String] {
        switch self {
        case .activation(let activation): ["function=\(activation.text)"]
        case .softmax(let axis): ["axis=\(axis)"]
        case .layerNorm(let norm):
            ["axes=\(norm.axes)", "epsilon=\(TextName.number(norm.epsilon))"] + flag("scale", norm.hasScale)
                + flag("offset", norm.hasOffset) + flag("rms", norm.usesRMS)
        case .batchNorm(let norm):
            ["axis=\(norm.axis)", "epsilon=\(TextName.number(norm.epsilon))"] + flag("scale", norm.hasScale)
                + flag("offset", norm.hasOffset)
        case .recurrence(let recurrence): recurrence.textAttributes
        case .attention(let attention): attention.textAttributes
        case .longformerAttention(let attention): ["window=\(attention.window)", "scale=\(TextName.number(attention.scale))"]
        case .lshAttention(let attention): attention.textAttributes
        }
    }
}

extension Recurrence {
    var textAttributes: [String] {
        let resetsAfter =
            switch cell {
            case .simple, .lstm: false
            case .gru(let resetAfter): resetAfter
            }
        return ["activation=\(activation.text)", "recurrent_activation=\(recurrentActivation.text)"] + flag("reset_after", resetsAfter)
            + flag("bias", hasBias) + flag("mask", hasMask) + flag("initial_state", hasInitialState) + flag("backwards", goesBackwards)
            + flag("zeroes_masked_output", zeroesMaskedOutput)
    }
}

extension SliceRange {
    /// As in Python: `:`, `1:`, `:-1`, `0:10:2` without the zero.
    var text: String {
        "\(start == 0 ? "" : "\(start)"):\(end.map { "\($0)" } ?? "")\(step == 1 ? "" : ":\(step)")"
    }
}

func flag(_ name: String, _ isSet: Bool) -> [String] { isSet ? [name] : [] }
