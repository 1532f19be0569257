import ByteIO
import JSON

/// Writes operations of functional models as a generation spells them: `TFOpLambda` of TensorFlow functions, or the operations of Keras 3.
struct KerasOperationWriter {
    let calls: KerasCallWriter
    private var target: Int { calls.target }

    /// The node with its calls, ready for the list of layers.
    /// - Throws: `UnsupportedError` for what the target has no word for.
    func document(_ spec: KerasLayerSpec, calls needed: [KerasCall]) throws -> JSONObject {
        let title = "node '\(spec.name)' (\(KerasOperation.name(of: spec)))"
        var operations: [KerasOperationCall<KerasTensorReference>] = []
        for call in needed {
            operations.append(
                try KerasOperationCall(
                    spec, call.arguments, Dictionary(call.keywords.map { ($0.name, $0.value) }, uniquingKeysWith: { first, _ in first })))
        }
        guard let kind = operations.first?.kind, operations.allSatisfy({ $0.kind == kind }) else {
            throw UnsupportedError("\(title) is called in different ways")
        }
        let spelling = KerasOperationSpelling(kind)
        if let reason = spelling.obstacles[target] { throw UnsupportedError("\(title) \(reason), which Keras \(target) has no word for") }
        guard let row = KerasOperationTable.byName[spelling.name], let name = target == 3 ? row.keras3.first : row.keras2.first else {
            throw UnsupportedError("\(title) has no counterpart in Keras \(target)")
        }
        if target == 3 {
            var config: JSONObject = ["name": .string(spec.name)]
            for attribute in spelling.attributes { if let key = attribute.keras3 { config[key] = attribute.value3 } }
            let module = row.module == "activations" ? "keras.src.activations.activations" : "keras.src.ops.\(row.module)"
            return [
                "module": .string(module), "class_name": .string(name), "config": .object(config), "registered_name": .string(name),
                "name": .string(spec.name), "inbound_nodes": .array(operations.map { keras3($0, spelling) }),
            ]
        }
        var isSlicing = false
        if case .getItem = kind { isSlicing = true }
        let config: JSONObject = ["name": .string(spec.name), "trainable": true, "dtype": "float32", "function": .string(name)]
        return [
            "class_name": .string(isSlicing ? "SlicingOpLambda" : "TFOpLambda"), "config": .object(config), "name": .string(spec.name),
            "inbound_nodes": .array(try operations.map { try keras2($0, spelling, title) }),
        ]
    }

    private func keras3(_ operation: KerasOperationCall<KerasTensorReference>, _ spelling: KerasOperationSpelling) -> JSONValue {
        let inputs = operation.inputs.map { value($0) }
        var arguments = spelling.takesList ? [JSONValue.array(inputs)] : inputs
        var keywords: JSONObject = [:]
        if case .getItem(let indices) = operation.kind { arguments.append(.array(indices.map(index))) }
        if case .pad(_, let number) = operation.kind { keywords["constant_values"] = number == 0 ? .null : .double(number) }
        return ["args": .array(arguments), "kwargs": .object(keywords)]
    }

    /// The first argument with all others as its keywords.
    private func keras2(
        _ operation: KerasOperationCall<KerasTensorReference>, _ spelling: KerasOperationSpelling, _ title: String
    ) throws -> JSONValue {
        var keywords: JSONObject = [:]
        if !spelling.takesList {
            for (name, input) in zip(spelling.inputs, operation.inputs.dropFirst()) { keywords[name] = value(input) }
        }
        for attribute in spelling.attributes { if let key = attribute.keras2 { keywords[key] = attribute.value2 } }
        if case .getItem(let indices) = operation.kind { keywords["slice_spec"] = .array(indices.map(index)) }
        func entry(_ input: KerasArgument) throws -> JSONValue {
            switch input {
            case .tensor(let reference): .array((calls.numbering.reference(reference).array ?? []) + [.object(keywords)])
            case .constant: ["_CONSTANT_VALUE", -1, value(input), .object(keywords)]
            case .list: throw UnsupportedError("\(title) takes lists in lists, which Keras 2 has no word for")
            }
        }
        if spelling.takesList { return .array(try operation.inputs.map(entry)) }
        guard let first = operation.inputs.first else { throw UnsupportedError("\(title) has no inputs") }
        return try entry(first)
    }

    /// A tensor, or a constant in the target's form: arrays are objects in Keras 3, lists in Keras 2.
    private func value(_ argument: KerasArgument) -> JSONValue {
        guard case .constant(let constant) = argument else { return calls.value(argument) }
        if target == 2 { return constant["class_name"]?.string == "__numpy__" ? constant["config"]?["value"] ?? constant : constant }
        guard constant.array != nil, let array = ConstantArray(constant) else { return constant }
        let dtype = array.isBool ? "bool" : array.isInteger ? "int32" : "float32"
        return ["class_name": "__numpy__", "config": ["value": constant, "dtype": .string(dtype)]]
    }

    private func index(_ index: KerasOperationKind.Index) -> JSONValue {
        func bound(_ value: Int?) -> JSONValue { value.map { .int($0) } ?? .null }
        switch index {
        case .newAxis: return .null
        case .at(let position): return .int(position)
        case .ellipsis: return target == 3 ? ["class_name": "__ellipsis__", "config": [:]] : ["class_name": "__ellipsis__"]
        case .slice(let start, let stop, let step):
            let bounds: JSONObject = ["start": bound(start), "stop": bound(stop), "step": bound(step)]
            return target == 3 ? ["class_name": "__slice__", "config": .object(bounds)] : .object(bounds)
        }
    }
}
