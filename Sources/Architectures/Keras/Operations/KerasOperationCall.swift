import ByteIO
import JSON
import ModelIR

/// One call of an operation: what it computes and on what.
struct KerasOperationCall<Tensor: Hashable & Sendable> {
    let kind: KerasOperationKind
    /// Tensors, or constants in their place.
    let inputs: [KerasValue<Tensor>]

    /// - Throws: `UnsupportedError` for operations and arguments that aren't known.
    init(_ spec: KerasLayerSpec, _ positional: [KerasValue<Tensor>], _ keywords: [String: KerasValue<Tensor>]) throws {
        guard let row = KerasOperation.row(of: spec) else {
            throw UnsupportedError("node '\(spec.name)' is the operation \(KerasOperation.name(of: spec))")
        }
        let isNode = spec.className == "TensorFlowOpLayer"
        let arguments = try isNode ? TensorFlowNode.arguments(spec, positional) : (positional, keywords)
        var reader = KerasOperationReader(spec, arguments.0, arguments.1)
        (kind, inputs) = try Self.read(row.name, &reader, isKeras3: spec.config["function"] == nil && !isNode)
        try reader.finish()
    }

    private static func read(
        _ name: String, _ reader: inout KerasOperationReader<Tensor>, isKeras3: Bool
    ) throws -> (KerasOperationKind, [KerasValue<Tensor>]) {
        func first() throws -> [KerasValue<Tensor>] {
            [
                try reader.operand(
                    "x", "input", "input_tensor", "a", "t", "tensor", "features", "logits", "value", "values", "indices", at: 0)
            ]
        }
        func both() throws -> [KerasValue<Tensor>] { [try reader.operand("x", "x1", at: 0), try reader.operand("y", "x2", at: 1)] }
        func list() throws -> [KerasValue<Tensor>] {
            let value = try reader.operand("values", "xs", "x", at: 0)
            guard case .list(let elements) = value else { return [value] }
            return elements
        }
        /// Where an argument after the first stands.
        func axes() throws -> [Int]? { try reader.ints("axis", "reduction_indices", at: isKeras3 ? nil : 1) }
        func keeps() throws -> Bool { try reader.flag("keepdims", "keep_dims", at: isKeras3 ? nil : 2) }
        func axis(_ fallback: Int?) throws -> Int { try reader.int("axis", "dim", at: isKeras3 ? nil : 1, default: fallback) }

        switch name {
        case "add": return (.binary(.add), try biased(&reader) ?? both())
        case "subtract": return (.binary(.subtract), try both())
        case "multiply": return (.binary(.multiply), try both())
        case "true_divide": return (.trueDivide, try both())
        case "floor_divide":
            return (.binary(.divide), try both())
        case "remainder": return (.binary(.remainder), try both())
        case "power": return (.binary(.power), try both())
        case "maximum": return (.binary(.maximum), try both())
        case "minimum": return (.binary(.minimum), try both())
        case "squared_difference": return (.squaredDifference, try both())
        case "logical_and": return (.binary(.and), try both())
        case "logical_or": return (.binary(.or), try both())
        case "equal": return (.compare(.equal), try both())
        case "not_equal": return (.compare(.notEqual), try both())
        case "less": return (.compare(.less), try both())
        case "less_equal": return (.compare(.lessOrEqual), try both())
        case "greater": return (.compare(.greater), try both())
        case "greater_equal": return (.compare(.greaterOrEqual), try both())
        case "where":
            return (
                .select,
                [try reader.operand("condition", at: 0), try reader.operand("x", "x1", at: 1), try reader.operand("y", "x2", at: 2)]
            )
        case "logical_not": return (.unary(.not), try first())
        case "negative": return (.unary(.negate), try first())
        case "absolute": return (.unary(.absolute), try first())
        case "sign": return (.unary(.sign), try first())
        case "sqrt": return (.unary(.sqrt), try first())
        case "rsqrt": return (.unary(.rsqrt), try first())
        case "reciprocal": return (.unary(.reciprocal), try first())
        case "exp": return (.unary(.exp), try first())
        case "log": return (.unary(.log), try first())
        case "log1p": return (.unary(.log1p), try first())
        case "sin": return (.unary(.sin), try first())
        case "cos": return (.unary(.cos), try first())
        case "tanh": return (.activation(.tanh), try first())
        case "erf": return (.unary(.erf), try first())
        case "floor": return (.unary(.floor), try first())
        case "ceil": return (.unary(.ceil), try first())
        case "round":
            guard try reader.int("decimals", default: 0) == 0 else { throw reader.failure("rounds to decimals") }
            return (.unary(.round), try first())
        case "square": return (.square, try first())
        case "clip":
            let low = try reader.number("x_min", "clip_value_min", at: isKeras3 ? nil : 1, default: -.infinity)
            let high = try reader.number("x_max", "clip_value_max", at: isKeras3 ? nil : 2, default: .infinity)
            return (.clip(low, high), try first())

        case "relu": return (.activation(.relu), try first())
        case "relu6": return (.activation(.relu6), try first())
        case "rectifier":
            let maximum = try reader.number("max_value", default: .infinity)
            let slope = try reader.number("negative_slope", default: 0)
            let threshold = try reader.number("threshold", default: 0)
            if maximum == .infinity && slope == 0 && threshold == 0 { return (.activation(.relu), try first()) }
            return (
                .activation(.rectifier(maximum: maximum == .infinity ? nil : maximum, negativeSlope: slope, threshold: threshold)),
                try first()
            )
        case "leaky_relu":
            return (.activation(.leakyReLU(negativeSlope: try reader.number("negative_slope", "alpha", at: 1, default: 0.2))), try first())
        case "elu": return (.activation(.elu(alpha: try reader.number("alpha", default: 1))), try first())
        case "celu": return (.activation(.celu(alpha: try reader.number("alpha", default: 1))), try first())
        case "selu": return (.activation(.selu), try first())
        case "gelu": return (.activation(try reader.flag("approximate", at: 1) ? .geluTanh : .gelu), try first())
        case "sigmoid": return (.activation(.sigmoid), try first())
        case "hard_sigmoid": return (.activation(.hardSigmoid(slope: 1.0 / 6, offset: 0.5)), try first())
        case "hard_tanh": return (.activation(.hardTanh), try first())
        case "hard_silu": return (.activation(.hardSiLU), try first())
        case "log_sigmoid": return (.activation(.logSigmoid), try first())
        case "silu":
            guard try reader.number("beta", default: 1) == 1 else { throw reader.failure("has a beta") }
            return (.activation(.silu), try first())
        case "softplus": return (.activation(.softplus), try first())
        case "softsign": return (.activation(.softsign), try first())
        case "softmax": return (.softmax(axis: try axis(-1)), try first())
        case "log_softmax": return (.logSoftmax(axis: try axis(-1)), try first())

        case "sum": return (.reduce(.sum, axes: try axes(), keeps: try keeps()), try first())
        case "mean": return (.reduce(.mean, axes: try axes(), keeps: try keeps()), try first())
        case "prod": return (.reduce(.product, axes: try axes(), keeps: try keeps()), try first())
        case "max", "min":
            guard try reader.json("initial") == nil else { throw reader.failure("has an initial value") }
            return (.reduce(name == "max" ? .maximum : .minimum, axes: try axes(), keeps: try keeps()), try first())
        case "any": return (.reduce(.any, axes: try axes(), keeps: try keeps()), try first())
        case "all": return (.reduce(.all, axes: try axes(), keeps: try keeps()), try first())
        case "variance": return (.variance(axes: try axes(), keeps: try keeps()), try first())
        case "deviation": return (.deviation(axes: try axes(), keeps: try keeps()), try first())
        case "logsumexp": return (.logSumExp(axes: try axes(), keeps: try keeps()), try first())
        case "norm":
            let order = try reader.json("ord", at: isKeras3 ? nil : 1)
            guard order == nil || order?.string == "euclidean" || order?.double == 2 else { throw reader.failure("has an order") }
            let axes = try reader.ints("axis", at: isKeras3 ? nil : 2)
            guard order?.double != 2 || axes?.count == 1 else { throw reader.failure("is the norm of matrices") }
            return (.norm(axes: axes, keeps: try reader.flag("keepdims", at: isKeras3 ? nil : 3)), try first())
        case "argmax", "argmin":
            // TensorFlow counts in int64 unless told otherwise, Keras 3 in int32.
            let type = try reader.text("output_type", default: "int64")
            guard type == "int64" || type == "int32" else { throw reader.failure("gives \(type)") }
            let dtype = isKeras3 || type == "int32" ? DType.i32 : .i64
            let axis = try reader.int("axis", "dimension", at: isKeras3 ? nil : 1, default: isKeras3 ? nil : 0)
            let keeps = try reader.flag("keepdims")
            return (
                name == "argmax" ? .argmax(axis: axis, keeps: keeps, dtype: dtype) : .argmin(axis: axis, keeps: keeps, dtype: dtype),
                try first()
            )
        case "cumsum": return (.cumulativeSum(axis: try axis(isKeras3 ? nil : 0)), try first())

        case "getitem": return (.getItem(try indices(&reader)), try first())
        case "concat": return (.concat(axis: try axis(isKeras3 ? -1 : nil)), try list())
        case "stack": return (.stack(axis: try axis(0)), try list())
        case "reshape":
            guard let shape = try reader.ints("newshape", "shape", at: isKeras3 ? nil : 1) else {
                throw reader.failure("computes its shape")
            }
            return (.reshape(shape), try first())
        case "transpose":
            _ = try reader.json("conjugate")
            return (.transpose(try reader.ints("axes", "perm", at: isKeras3 ? nil : 1)), try first())
        case "swapaxes":
            return (
                .swapAxes(try reader.int("axis1", at: isKeras3 ? nil : 1), try reader.int("axis2", at: isKeras3 ? nil : 2)), try first()
            )
        case "expand_dims":
            guard let axes = try reader.ints("axis", "dim", at: isKeras3 ? nil : 1) else { throw reader.failure("has no axis") }
            return (.expandDimensions(axes), try first())
        case "squeeze": return (.squeeze(try reader.ints("axis", "squeeze_dims", at: isKeras3 ? nil : 1)), try first())
        case "cast": return (.cast(try reader.text("dtype", at: isKeras3 ? nil : 1, default: "float32")), try first())
        case "matmul":
            let flags = (try reader.flag("transpose_a", at: isKeras3 ? nil : 2), try reader.flag("transpose_b", at: isKeras3 ? nil : 3))
            return (
                .matmul(transposesLeft: flags.0, transposesRight: flags.1),
                [try reader.operand("a", "x1", "x", at: 0), try reader.operand("b", "x2", "y", at: 1)]
            )
        case "split":
            guard let parts = try reader.json("indices_or_sections", "num_or_size_splits", at: isKeras3 ? nil : 1) else {
                throw reader.failure("has no number of parts")
            }
            let axis = try reader.int("axis", at: isKeras3 ? nil : 2, default: 0)
            let list = parts.array?.compactMap(\.int)
            guard list?.count == parts.array?.count,
                let split = parts.int.map({ KerasOperationKind.Split.equal($0) }) ?? list.map({ isKeras3 ? .at($0) : .sizes($0) })
            else { throw reader.failure("has parts \(parts.serializedPrefix)") }
            return (.split(split, axis: axis), try first())
        case "tile":
            guard let counts = try reader.ints("repeats", "multiples", at: isKeras3 ? nil : 1) else {
                throw reader.failure("has no counts")
            }
            return (.tile(counts), try first())
        case "flip": return (.flip(try axes()), try first())
        case "repeat":
            return (
                .repeatElements(try reader.int("repeats", at: isKeras3 ? nil : 1), axis: try reader.int("axis", at: isKeras3 ? nil : 2)),
                try first()
            )
        case "pad":
            guard try reader.text("mode", default: "constant").lowercased() == "constant" else {
                throw reader.failure("pads by other than a constant")
            }
            guard let widths = try reader.json("pad_width", "paddings", at: isKeras3 ? nil : 1)?.array else {
                throw reader.failure("has no widths")
            }
            let pairs = widths.map { $0.array?.compactMap(\.int) ?? [] }
            guard pairs.allSatisfy({ $0.count == 2 && $0.allSatisfy { $0 >= 0 && $0 < 1 << 31 } }) else {
                throw reader.failure("has widths of another form")
            }
            return (.pad(pairs.map { PadWidth($0[0], $0[1]) }, value: try reader.number("constant_values", default: 0)), try first())
        case "one_hot":
            let count = try reader.int("num_classes", "depth", at: isKeras3 ? nil : 1)
            guard count > 0, try reader.int("axis", default: -1) == -1 else { throw reader.failure("has an axis of its own") }
            guard try reader.text("dtype", default: "float32").hasPrefix("float") else { throw reader.failure("has a dtype of its own") }
            return (.oneHot(count), try first())
        case "einsum":
            guard isKeras3, reader.positional.count == 2 else { throw reader.failure("has other than two operands") }
            return (.einsum(try reader.text("subscripts", default: "")), reader.positional)
        case "identity":
            _ = try reader.json("dtype")
            return (.identity, try first())
        case "zeros_like", "ones_like":
            _ = try reader.json("dtype", "optimize")
            return (.filled(name == "zeros_like" ? 0 : 1), try first())
        default: throw reader.failure("is an operation")
        }
    }

    /// `tf.nn.bias_add(value, bias)`.
    private static func biased(_ reader: inout KerasOperationReader<Tensor>) throws -> [KerasValue<Tensor>]? {
        guard reader.keywords["bias"] != nil else { return nil }
        return [try reader.operand("value", at: 0), try reader.operand("bias", at: 1)]
    }

    /// `x[..]`: a list of entries, or one by itself.
    private static func indices(_ reader: inout KerasOperationReader<Tensor>) throws -> [KerasOperationKind.Index] {
        let position = ["TFOpLambda", "SlicingOpLambda", "TensorFlowOpLayer"].contains(reader.spec.className) ? nil : 1
        guard let key = try reader.json("slice_spec", "key", at: position) else { return [] }
        // A list is a tuple of entries: arrays of positions would be lists of lists.
        let entries = key.array ?? [key]
        return try entries.map { entry in
            if entry.isNull { return .newAxis }
            if let int = entry.int { return .at(int) }
            if entry["class_name"]?.string == "__ellipsis__" || entry.string == "..." { return .ellipsis }
            guard let object = entry["class_name"]?.string == "__slice__" ? entry["config"] : entry["class_name"] == nil ? entry : nil,
                object.object != nil
            else { throw reader.failure("is indexed by \(entry.serializedPrefix)") }
            func bound(_ name: String) throws -> Int? {
                guard let value = object[name], !value.isNull else { return nil }
                guard let int = value.int, abs(int) < 1 << 40 else { throw reader.failure("is indexed by \(entry.serializedPrefix)") }
                return int
            }
            return .slice(start: try bound("start"), stop: try bound("stop"), step: try bound("step"))
        }
    }
}
