extension Op {
    /// The op of a name, with its attributes. `type` is the first output's, for the ops that take it from there.
    init(name: String, _ attributes: inout TextAttributes, type: ValueType) throws(TextFailure) {
        switch name {
        case "constant":
            guard let shape = type.shape.fixedSizes else {
                throw TextFailure(offset: attributes.offset, message: "a constant has a fixed shape, not \(type.shape)")
            }
            self = .constant(Literal(type.dtype, shape: shape, try attributes.numbers("value")))
        case "select": self = .select
        case "cast": self = .cast(type.dtype)
        case "matmul": self = .matmul
        case "reshape": self = .reshape(type.shape)
        case "transpose": self = .transpose(try attributes.ints("permutation"))
        case "broadcast": self = .broadcast(type.shape)
        case "slice": self = .slice(try attributes.ranges("ranges"))
        case "reverse": self = .reverse(axes: try attributes.ints("axes"))
        case "pad": self = .pad(try attributes.widths("widths"), value: try attributes.number("value"))
        case "concat": self = .concat(axis: try attributes.int("axis"))
        case "gather": self = .gather(axis: try attributes.int("axis"))
        case "scatter": self = .scatter(axis: try attributes.int("axis"))
        case "sort": self = .sort(axis: try attributes.int("axis"))
        case "argmax": self = .argmax(axis: try attributes.int("axis"), keepsDimensions: try attributes.flag("keeps_dimensions"))
        case "cumulative_sum": self = .cumulativeSum(axis: try attributes.int("axis"))
        case "iota": self = .iota(type, axis: try attributes.int("axis"))
        case "convolution":
            self = .convolution(
                Convolution(
                    strides: try attributes.ints("strides"), dilations: try attributes.ints("dilations"),
                    padding: try attributes.option("padding"), groups: try attributes.int("groups")))
        default:
            if let function = UnaryFunction(rawValue: name) {
                self = .unary(function)
            } else if let function = BinaryFunction(rawValue: name) {
                self = .binary(function)
            } else if let comparison = Comparison(rawValue: name) {
                self = .compare(comparison)
            } else if name.hasPrefix("reduce_"), let reduction = Reduction(rawValue: String(name.dropFirst(7))) {
                let axes = try attributes.ints("axes")
                self = .reduce(reduction, axes: axes, keepsDimensions: try attributes.flag("keeps_dimensions"))
            } else if name.hasPrefix("pool_"), let kind = Pool.Kind(rawValue: String(name.dropFirst(5))) {
                self = .pool(
                    Pool(
                        kind: kind, sizes: try attributes.ints("sizes"), strides: try attributes.ints("strides"),
                        padding: try attributes.option("padding")))
            } else if let composite = try Composite(name: name, &attributes) {
                self = .composite(composite)
            } else {
                throw TextFailure(offset: attributes.offset, message: "unknown operation '\(name)'")
            }
        }
    }
}

extension Composite {
    fileprivate init?(name: String, _ attributes: inout TextAttributes) throws(TextFailure) {
        switch name {
        case "activation": self = .activation(try attributes.activation("function"))
        case "softmax": self = .softmax(axis: try attributes.int("axis"))
        case "layer_norm":
            self = .layerNorm(
                LayerNorm(
                    axes: try attributes.ints("axes"), epsilon: try attributes.number("epsilon"), hasScale: try attributes.flag("scale"),
                    hasOffset: try attributes.flag("offset"), usesRMS: try attributes.flag("rms")))
        case "batch_norm":
            self = .batchNorm(
                BatchNorm(
                    axis: try attributes.int("axis"), epsilon: try attributes.number("epsilon"), hasScale: try attributes.flag("scale"),
                    hasOffset: try attributes.flag("offset")))
        case "simple_rnn": self = .recurrence(try Recurrence(.simple, &attributes))
        case "lstm": self = .recurrence(try Recurrence(.lstm, &attributes))
        case "gru": self = .recurrence(try Recurrence(.gru(resetAfter: try attributes.flag("reset_after")), &attributes))
        case "attention": self = .attention(try Attention(&attributes))
        case "longformer_attention":
            self = .longformerAttention(LongformerAttention(window: try attributes.int("window"), scale: try attributes.number("scale")))
        case "lsh_attention": self = .lshAttention(try LSHAttention(&attributes))
        default: return nil
        }
    }
}

extension Recurrence {
    fileprivate init(_ cell: Cell, _ attributes: inout TextAttributes) throws(TextFailure) {
        self.init(
            cell: cell, activation: try attributes.activation("activation"),
            recurrentActivation: try attributes.activation("recurrent_activation"), hasBias: try attributes.flag("bias"),
            hasMask: try attributes.flag("mask"), hasInitialState: try attributes.flag("initial_state"),
            goesBackwards: try attributes.flag("backwards"), zeroesMaskedOutput: try attributes.flag("zeroes_masked_output"))
    }
}

extension Activation {
    /// nil for an unknown name, a missing argument, or one too many.
    init?(name: String, arguments: [(String, Double)]) {
        var values = Dictionary(arguments, uniquingKeysWith: { first, _ in first })
        guard values.count == arguments.count else { return nil }
        /// All arguments that the function takes, in order.
        func take(_ names: String...) -> [Double]? {
            let found = names.compactMap { values.removeValue(forKey: $0) }
            return found.count == names.count ? found : nil
        }
        switch name {
        case "linear": self = .linear
        case "relu": self = .relu
        case "relu6": self = .relu6
        case "rectifier":
            let maximum = values.removeValue(forKey: "maximum")
            guard let a = take("negative_slope", "threshold") else { return nil }
            self = .rectifier(maximum: maximum, negativeSlope: a[0], threshold: a[1])
        case "leaky_relu":
            guard let a = take("negative_slope") else { return nil }
            self = .leakyReLU(negativeSlope: a[0])
        case "elu":
            guard let a = take("alpha") else { return nil }
            self = .elu(alpha: a[0])
        case "celu":
            guard let a = take("alpha") else { return nil }
            self = .celu(alpha: a[0])
        case "selu": self = .selu
        case "sigmoid": self = .sigmoid
        case "hard_sigmoid":
            guard let a = take("slope", "offset") else { return nil }
            self = .hardSigmoid(slope: a[0], offset: a[1])
        case "tanh": self = .tanh
        case "hard_tanh": self = .hardTanh
        case "tanh_shrink": self = .tanhShrink
        case "softplus": self = .softplus
        case "softsign": self = .softsign
        case "exponential": self = .exponential
        case "silu": self = .silu
        case "hard_silu": self = .hardSiLU
        case "mish": self = .mish
        case "gelu": self = .gelu
        case "gelu_tanh": self = .geluTanh
        case "quick_gelu": self = .quickGELU
        case "clipped_gelu":
            guard let a = take("minimum", "maximum") else { return nil }
            self = .clippedGELU(minimum: a[0], maximum: a[1])
        case "relu_squared": self = .reluSquared
        case "laplace":
            guard let a = take("mean", "deviation") else { return nil }
            self = .laplace(mean: a[0], deviation: a[1])
        case "sqrt_softplus": self = .sqrtSoftplus
        case "log_sigmoid": self = .logSigmoid
        case "squareplus":
            guard let a = take("b") else { return nil }
            self = .squareplus(b: a[0])
        case "soft_shrink":
            guard let a = take("threshold") else { return nil }
            self = .softShrink(threshold: a[0])
        case "hard_shrink":
            guard let a = take("threshold") else { return nil }
            self = .hardShrink(threshold: a[0])
        case "threshold":
            guard let a = take("threshold", "value") else { return nil }
            self = .threshold(threshold: a[0], value: a[1])
        case "sparse_plus": self = .sparsePlus
        case "sparse_sigmoid": self = .sparseSigmoid
        case "softmax": self = .softmax
        case "log_softmax": self = .logSoftmax
        case "sparsemax": self = .sparsemax
        case "glu": self = .glu
        default: return nil
        }
        guard values.isEmpty else { return nil }
    }
}
