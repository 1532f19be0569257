import ByteIO
import JSON
import ModelIR

/// An operation's name and attributes, in the words of both generations.
struct KerasOperationSpelling {
    /// Row of the table.
    var name: String
    /// Attributes: the keyword of TensorFlow (nil: it has none), the configuration's key in Keras 3 (nil: none), the value for each.
    var attributes: [Attribute] = []
    /// Names of the inputs after the first, in TensorFlow.
    var inputs: [String] = ["y"]
    /// Whether the first argument is a list of tensors.
    var takesList = false
    /// Why one generation can't say it.
    var obstacles: [Int: String] = [:]

    struct Attribute {
        var keras2: String?
        var keras3: String?
        var value2: JSONValue
        var value3: JSONValue

        init(_ keras2: String?, _ keras3: String?, _ value: JSONValue, keras3Value: JSONValue? = nil) {
            self.keras2 = keras2
            self.keras3 = keras3
            value2 = value
            value3 = keras3Value ?? value
        }
    }

    init(_ name: String, _ attributes: [Attribute] = [], inputs: [String] = ["y"], takesList: Bool = false) {
        self.name = name
        self.attributes = attributes
        self.inputs = inputs
        self.takesList = takesList
    }

    init(_ kind: KerasOperationKind) {
        func list(_ values: [Int]?) -> JSONValue { values.map { .array($0.map { .int($0) }) } ?? .null }
        func reduced(_ name: String, _ axes: [Int]?, _ keeps: Bool, extra: [Attribute] = []) -> KerasOperationSpelling {
            // One axis is written as a number, which every version takes.
            let value: JSONValue = axes?.count == 1 ? .int(axes?[0] ?? 0) : list(axes)
            return KerasOperationSpelling(
                name, extra + [Attribute("axis", "axis", value), Attribute("keepdims", "keepdims", .bool(keeps))])
        }
        switch kind {
        case .binary(let function):
            let names: [BinaryFunction: String] = [
                .add: "add", .subtract: "subtract", .multiply: "multiply", .divide: "floor_divide", .maximum: "maximum",
                .minimum: "minimum",
                .power: "power", .remainder: "remainder", .and: "logical_and", .or: "logical_or",
            ]
            self.init(names[function] ?? "")
        case .trueDivide: self.init("true_divide")
        case .squaredDifference: self.init("squared_difference")
        case .compare(let comparison):
            let names: [Comparison: String] = [
                .equal: "equal", .notEqual: "not_equal", .less: "less", .lessOrEqual: "less_equal", .greater: "greater",
                .greaterOrEqual: "greater_equal",
            ]
            self.init(names[comparison] ?? "")
        case .select: self.init("where", inputs: ["x", "y"])
        case .unary(let function):
            let names: [UnaryFunction: String] = [
                .negate: "negative", .absolute: "absolute", .sign: "sign", .reciprocal: "reciprocal", .sqrt: "sqrt", .rsqrt: "rsqrt",
                .exp: "exp", .log: "log", .log1p: "log1p", .sin: "sin", .cos: "cos", .tanh: "tanh", .erf: "erf", .floor: "floor",
                .ceil: "ceil", .round: "round", .not: "logical_not",
            ]
            self.init(names[function] ?? "")
        case .square: self.init("square")
        case .activation(let activation): self.init(activation)
        case .softmax(let axis): self.init("softmax", [Attribute("axis", "axis", .int(axis))])
        case .logSoftmax(let axis): self.init("log_softmax", [Attribute("axis", "axis", .int(axis))])
        case .clip(let low, let high):
            self.init("clip", [Attribute("clip_value_min", "x_min", .double(low)), Attribute("clip_value_max", "x_max", .double(high))])
        case .reduce(let reduction, let axes, let keeps):
            let names: [Reduction: String] = [
                .sum: "sum", .mean: "mean", .product: "prod", .maximum: "max", .minimum: "min", .any: "any", .all: "all",
            ]
            self = reduced(names[reduction] ?? "", axes, keeps)
            if reduction == .maximum || reduction == .minimum { attributes.append(Attribute(nil, "initial", .null)) }
        case .variance(let axes, let keeps): self = reduced("variance", axes, keeps)
        case .deviation(let axes, let keeps): self = reduced("deviation", axes, keeps)
        case .logSumExp(let axes, let keeps): self = reduced("logsumexp", axes, keeps)
        case .norm(let axes, let keeps):
            self = reduced("norm", axes, keeps, extra: [Attribute("ord", "ord", "euclidean", keras3Value: .null)])
        case .argmax(let axis, let keeps, let dtype), .argmin(let axis, let keeps, let dtype):
            var name = "argmax"
            if case .argmin = kind { name = "argmin" }
            self.init(name, [Attribute("axis", "axis", .int(axis)), Attribute(nil, "keepdims", .bool(keeps))])
            if dtype == .i32 { attributes.append(Attribute("output_type", nil, "int32")) }
            if keeps { obstacles[2] = "keeps the axis" }
            if dtype != .i32 { obstacles[3] = "gives int64" }
        case .cumulativeSum(let axis): self.init("cumsum", [Attribute("axis", "axis", .int(axis))])
        case .getItem: self.init("getitem")
        case .concat(let axis): self.init("concat", [Attribute("axis", "axis", .int(axis))], takesList: true)
        case .stack(let axis): self.init("stack", [Attribute("axis", "axis", .int(axis))], takesList: true)
        case .reshape(let shape): self.init("reshape", [Attribute("shape", "newshape", list(shape))])
        case .transpose(let axes): self.init("transpose", [Attribute("perm", "axes", list(axes))])
        case .swapAxes(let a, let b): self.init("swapaxes", [Attribute(nil, "axis1", .int(a)), Attribute(nil, "axis2", .int(b))])
        case .expandDimensions(let axes):
            self.init(
                "expand_dims", [Attribute("axis", "axis", .int(axes.first ?? 0), keras3Value: axes.count == 1 ? .int(axes[0]) : list(axes))]
            )
            if axes.count != 1 { obstacles[2] = "adds several axes" }
        case .squeeze(let axes): self.init("squeeze", [Attribute("axis", "axis", axes?.count == 1 ? .int(axes?[0] ?? 0) : list(axes))])
        case .cast(let name): self.init("cast", [Attribute("dtype", "dtype", .string(name))])
        case .matmul(let left, let right):
            self.init("matmul", [Attribute("transpose_a", nil, .bool(left)), Attribute("transpose_b", nil, .bool(right))], inputs: ["b"])
            if left || right { obstacles[3] = "transposes an operand" }
        case .split(let split, let axis):
            self.init("split")
            switch split {
            case .equal(let count): attributes.append(Attribute("num_or_size_splits", "indices_or_sections", .int(count)))
            case .at(let positions):
                attributes.append(Attribute(nil, "indices_or_sections", list(positions)))
                obstacles[2] = "splits at positions"
            case .sizes(let sizes):
                let ends = sizes.indices.dropLast().map { sizes[...$0].reduce(0, +) }
                attributes.append(Attribute("num_or_size_splits", "indices_or_sections", list(sizes), keras3Value: list(ends)))
                if sizes.contains(-1) { obstacles[3] = "leaves a size open" }
            }
            attributes.append(Attribute("axis", "axis", .int(axis)))
        case .tile(let counts): self.init("tile", [Attribute("multiples", "repeats", list(counts))])
        case .flip(let axes):
            self.init("flip", [Attribute("axis", "axis", list(axes), keras3Value: axes?.count == 1 ? .int(axes?[0] ?? 0) : list(axes))])
            if axes == nil { obstacles[2] = "turns all axes round" }
        case .repeatElements(let count, let axis):
            self.init("repeat", [Attribute("repeats", "repeats", .int(count)), Attribute("axis", "axis", .int(axis))])
        case .pad(let widths, let value):
            let pairs = JSONValue.array(widths.map { [.int($0.before), .int($0.after)] })
            self.init(
                "pad",
                [
                    Attribute("paddings", "pad_width", pairs), Attribute("mode", "mode", "CONSTANT", keras3Value: "constant"),
                    Attribute("constant_values", nil, .double(value)),
                ])
        case .oneHot(let count):
            self.init(
                "one_hot",
                [
                    Attribute("depth", "num_classes", .int(count)), Attribute(nil, "axis", -1), Attribute(nil, "dtype", "float32"),
                    Attribute(nil, "sparse", false),
                ])
        case .einsum(let text): self.init("einsum", [Attribute(nil, "subscripts", .string(text))])
        case .identity: self.init("identity")
        case .filled(let value): self.init(value == 0 ? "zeros_like" : "ones_like")
        }
    }

    private init(_ activation: Activation) {
        switch activation {
        case .relu: self.init("relu")
        case .relu6: self.init("relu6")
        case .rectifier(let maximum, let slope, let threshold):
            self.init(
                "rectifier",
                [
                    Attribute(nil, "negative_slope", .double(slope)), Attribute(nil, "max_value", maximum.map { .double($0) } ?? .null),
                    Attribute(nil, "threshold", .double(threshold)),
                ])
        case .leakyReLU(let slope): self.init("leaky_relu", [Attribute("alpha", "negative_slope", .double(slope))])
        case .elu(let alpha):
            self.init("elu", [Attribute(nil, "alpha", .double(alpha))])
            if alpha != 1 { obstacles[2] = "has an alpha" }
        case .celu(let alpha): self.init("celu", [Attribute(nil, "alpha", .double(alpha))])
        case .selu: self.init("selu")
        case .gelu, .geluTanh: self.init("gelu", [Attribute("approximate", "approximate", .bool(activation == .geluTanh))])
        case .sigmoid: self.init("sigmoid")
        case .hardSigmoid: self.init("hard_sigmoid")
        case .tanh: self.init("tanh")
        case .hardTanh: self.init("hard_tanh")
        case .hardSiLU: self.init("hard_silu")
        case .logSigmoid: self.init("log_sigmoid")
        case .silu: self.init("silu")
        case .softplus: self.init("softplus")
        case .softsign: self.init("softsign")
        case .linear, .tanhShrink, .exponential, .mish, .squareplus, .softShrink, .hardShrink, .threshold, .sparsePlus, .sparseSigmoid,
            .softmax, .logSoftmax, .sparsemax, .glu, .quickGELU, .clippedGELU, .reluSquared, .laplace, .sqrtSoftplus:
            self.init("")
            obstacles = [2: "is another activation", 3: "is another activation"]
        }
    }
}
