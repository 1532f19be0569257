import ByteIO
import JSON

/// A node of TensorFlow's own graph, as TensorFlow 2.0 to 2.3 wrote it for a bare operation: `TensorFlowOpLayer` with a `node_def`, and the
/// constant operands apart by position.
enum TensorFlowNode {
    /// The operands with the constants in their places, and the attributes that say how to compute, as keywords of the function of the same
    /// name.
    /// - Throws: `UnsupportedError` for attributes that aren't known to be without effect.
    static func arguments<Tensor: Hashable & Sendable>(
        _ spec: KerasLayerSpec, _ tensors: [KerasValue<Tensor>]
    ) throws -> (positional: [KerasValue<Tensor>], keywords: [String: KerasValue<Tensor>]) {
        let title = "node '\(spec.name)' (\(KerasOperation.name(of: spec)))"
        var operands = tensors
        if operands.count == 1, case .list(let elements) = operands[0] { operands = elements }
        let constants = try (spec.config["constants"]?.object?.members ?? []).map { member in
            guard let position = Int(member.key), position >= 0, position < 64 else {
                throw kerasError("bad-config", expected: "positions of constants in \(title)", found: member.key)
            }
            return (position, member.value)
        }
        for (position, value) in constants.sorted(by: { $0.0 < $1.0 }) {
            guard position <= operands.count else {
                throw kerasError("bad-config", expected: "operand \(operands.count) of \(title)", found: "none")
            }
            operands.insert(.constant(value), at: position)
        }
        let attributes = spec.config["node_def"]?["attr"]
        func flag(_ name: String) -> Bool { attributes?[name]?["b"]?.bool ?? false }
        func ints(_ name: String) -> [JSONValue]? {
            if let one = integer(attributes?[name]?["i"]) { return [.int(one)] }
            return attributes?[name]?["list"]?["i"]?.array?.compactMap { integer($0).map { .int($0) } }
        }
        var keywords: [String: KerasValue<Tensor>] = [:]
        func set(_ name: String, _ value: JSONValue) { keywords[name] = .constant(value) }
        switch spec.config["node_def"]?["op"]?.string ?? "" {
        case "Sum", "Mean", "Prod", "Max", "Min", "Any", "All": set("keepdims", .bool(flag("keep_dims")))
        case "MatMul":
            set("transpose_a", .bool(flag("transpose_a")))
            set("transpose_b", .bool(flag("transpose_b")))
        case "BatchMatMul", "BatchMatMulV2":
            guard operands.count == 2 else { break }
            set("transpose_a", .bool(flag("adj_x")))
            set("transpose_b", .bool(flag("adj_y")))
        case "ArgMax", "ArgMin":
            if let type = attributes?["output_type"]?["type"]?.string { set("output_type", .string(dtypes[type] ?? type)) }
        case "Squeeze":
            if let axes = ints("squeeze_dims"), !axes.isEmpty { set("axis", .array(axes)) }
        case "Cast":
            guard let name = dtypes[attributes?["DstT"]?["type"]?.string ?? ""] else {
                throw UnsupportedError("\(title) casts to an unknown type")
            }
            set("dtype", .string(name))
        case "LeakyRelu":
            if let slope = attributes?["alpha"]?["f"]?.double { set("alpha", .double(slope)) }
        case "Cumsum":
            guard !flag("exclusive"), !flag("reverse") else {
                throw UnsupportedError("\(title) sums in another way, which isn't supported")
            }
        case "ConcatV2":
            guard let axis = operands.popLast()?.constant else {
                throw UnsupportedError("\(title) computes its axis, which isn't supported")
            }
            set("axis", axis)
            operands = [.list(operands)]
        case "Pack":
            set("axis", ints("axis")?.first ?? 0)
            operands = [.list(operands)]
        case "Split":
            guard operands.count == 2, let axis = operands[0].constant, let count = ints("num_split")?.first else {
                throw UnsupportedError("\(title) computes its axis, which isn't supported")
            }
            set("axis", axis)
            set("num_or_size_splits", count)
            operands.removeFirst()
        case "StridedSlice":
            set("slice_spec", .array(try indices(operands.dropFirst().map(\.constant), attributes, title)))
            operands = Array(operands.prefix(1))
        default: break
        }
        return (operands, keywords)
    }

    /// `begin`, `end`, `strides` and the masks of a strided slice as the entries of `x[..]`.
    private static func indices(_ bounds: [JSONValue?], _ attributes: JSONValue?, _ title: String) throws -> [JSONValue] {
        let lists = bounds.map { $0?.array?.compactMap(\.int) ?? [] }
        guard lists.count == 3, lists[0].count == lists[1].count, lists[0].count == lists[2].count, !lists[0].isEmpty, lists[0].count <= 16
        else {
            throw UnsupportedError("\(title) computes where it is cut, which isn't supported")
        }
        func mask(_ name: String) -> Int { integer(attributes?[name]?["i"]) ?? 0 }
        let (begins, ends) = (mask("begin_mask"), mask("end_mask"))
        let (ellipsis, newAxes, single) = (mask("ellipsis_mask"), mask("new_axis_mask"), mask("shrink_axis_mask"))
        return lists[0].indices.map { i in
            func isSet(_ mask: Int) -> Bool { mask >> i & 1 == 1 }
            if isSet(ellipsis) { return ["class_name": "__ellipsis__"] }
            if isSet(newAxes) { return .null }
            if isSet(single) { return .int(lists[0][i]) }
            return [
                "start": isSet(begins) ? .null : .int(lists[0][i]), "stop": isSet(ends) ? .null : .int(lists[1][i]),
                "step": .int(lists[2][i]),
            ]
        }
    }

    /// Protocol buffers write 64-bit integers as text.
    private static func integer(_ value: JSONValue?) -> Int? { value?.int ?? value?.string.flatMap { Int($0) } }

    private static let dtypes = [
        "DT_FLOAT": "float32", "DT_DOUBLE": "float64", "DT_HALF": "float16", "DT_BFLOAT16": "bfloat16", "DT_INT8": "int8",
        "DT_INT16": "int16",
        "DT_INT32": "int32", "DT_INT64": "int64", "DT_UINT8": "uint8", "DT_BOOL": "bool",
    ]
}
