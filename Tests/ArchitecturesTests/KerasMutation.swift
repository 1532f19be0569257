import FormatKit
import JSON
import ModelIR

@testable import Architectures

/// One way to read a Keras model wrongly: a value of a configuration taken for another, or a variable for another.
struct KerasMutation: Hashable, CustomStringConvertible {
    enum Kind: Hashable {
        /// A value under this key of every layer of the class, taken for another; `label` says which.
        case value(key: String, label: String)
        /// An argument of every operation of this name, taken for another.
        case argument(key: String, label: String)
        /// Two variables of one shape exchanged.
        case swapped(String, String)
        case transposed(String)
        /// Two gates, by their number, in every matrix and bias of a cell.
        case gates(Int, Int)
        case zeroed(String)
    }

    var className: String
    var kind: Kind

    var description: String {
        switch kind {
        case .value(let key, let label): "\(className).\(key) \(label)"
        case .argument(let key, let label): "\(className)(\(key)) \(label)"
        case .swapped(let a, let b): "\(className): \(a) <-> \(b)"
        case .transposed(let role): "\(className): \(role) transposed"
        case .gates(let a, let b): "\(className): gates \(a) <-> \(b)"
        case .zeroed(let role): "\(className): \(role) zeroed"
        }
    }

    // MARK: Values of configurations

    /// Keys that say how an input is shaped, for which the inputs at hand are no test.
    private static let inputKeys: Set<String> = ["batch_input_shape", "batch_shape"]

    /// What a configuration's values may be taken for, for every layer of a class in the table.
    static func values(in document: JSONValue, generation: Int) -> Set<KerasMutation> {
        var result: Set<KerasMutation> = []
        visit(document) { className, config in
            guard let row = KerasLayerTable.rows[className] else { return }
            for member in config.members where !inputKeys.contains(member.key) {
                let isActivation = row.key(member.key, generation: generation) == .activation
                guard isActivation || row.key(member.key, generation: generation) == .modelled else { continue }
                for label in alternatives(member.value, isActivation: isActivation).map(\.label) {
                    result.insert(KerasMutation(className: className, kind: .value(key: member.key, label: label)))
                }
            }
        }
        _ = KerasOperationArguments.mapped(document) { name, arguments in
            for member in arguments.members {
                guard let other = KerasOperationArguments.alternative(member.value) else { continue }
                result.insert(KerasMutation(className: name, kind: .argument(key: member.key, label: other.label)))
            }
        }
        return result
    }

    /// The document with this mutation, for `.value` and `.argument`.
    func applied(to document: JSONValue) -> JSONValue {
        if case .argument(let key, let label) = kind {
            return KerasOperationArguments.mapped(document) { name, arguments in
                guard name == className, let value = arguments[key], let other = KerasOperationArguments.alternative(value),
                    other.label == label
                else { return }
                arguments[key] = other.value
            }
        }
        guard case .value(let key, let label) = kind else { return document }
        return Self.rewritten(document) { name, config in
            guard name == className, let value = config[key] else { return }
            for isActivation in [true, false] {
                if let other = Self.alternatives(value, isActivation: isActivation).first(where: { $0.label == label })?.value {
                    config[key] = other
                    return
                }
            }
        }
    }

    private static let words = [
        "valid": "same", "same": "valid", "causal": "valid", "channels_last": "channels_first", "channels_first": "channels_last",
        "concat": "sum", "sum": "ave", "ave": "mul", "mul": "sum", "dot": "concat", "nearest": "bilinear", "bilinear": "nearest",
        "one_hot": "multi_hot", "multi_hot": "one_hot", "count": "multi_hot",
    ]

    private static func alternatives(_ value: JSONValue, isActivation: Bool) -> [(label: String, value: JSONValue)] {
        if isActivation {
            // Two others, since a layer whose activation is one of them tells nothing by it.
            return [("as softsign", "softsign"), ("as exponential", "exponential")].filter { value != $0.1 }.map { ($0.0, $0.1) }
        }
        switch value {
        case .bool(let flag): return [(flag ? "as false" : "as true", .bool(!flag))]
        case .string(let word): return words[word].map { [("\(word) as \($0)", .string($0))] } ?? []
        case .number, .array: return enlarged(value).map { [("enlarged", $0)] } ?? []
        case .null, .object: return []
        }
    }

    /// The last number of a value made greater.
    private static func enlarged(_ value: JSONValue) -> JSONValue? {
        switch value {
        case .number(let number):
            // An integer stands for a size or an axis, and is followed by another one.
            return number.isInteger ? number.int.map { .int($0 + 1) } : .double(number.double * 1.5 + 0.1)
        case .array(let elements):
            guard let last = elements.last, let other = enlarged(last) else { return nil }
            return .array(elements.dropLast() + [other])
        case .bool, .string, .null, .object: return nil
        }
    }

    private static func visit(_ value: JSONValue, _ body: (String, JSONObject) -> Void) {
        if let object = value.object {
            if let name = object["class_name"]?.string, let config = object["config"]?.object { body(name, config) }
            for member in object.members { visit(member.value, body) }
        }
        for element in value.array ?? [] { visit(element, body) }
    }

    private static func rewritten(_ value: JSONValue, _ body: (String, inout JSONObject) -> Void) -> JSONValue {
        if let elements = value.array { return .array(elements.map { rewritten($0, body) }) }
        guard var object = value.object else { return value }
        for member in object.members { object[member.key] = rewritten(member.value, body) }
        if let name = object["class_name"]?.string, var config = object["config"]?.object {
            body(name, &config)
            object["config"] = .object(config)
        }
        return .object(object)
    }

    // MARK: Variables

    /// What the variables of a model's layers may be taken for.
    static func variables(of model: KerasModel) -> Set<KerasMutation> {
        var result: Set<KerasMutation> = []
        let shapes = Dictionary(model.parameters.map { ($0.name, $0.tensor.shape) }, uniquingKeysWith: { first, _ in first })
        for instance in model.instances.flatMap(\.flattened) where instance.children.isEmpty {
            let roles = instance.variables.map { String($0.name.dropFirst(instance.path.count)) }
            let className = className(of: instance)
            for (i, role) in roles.enumerated() {
                guard let shape = shapes[instance.path + role] else { continue }
                result.insert(KerasMutation(className: className, kind: .zeroed(role)))
                if shape.count == 2, shape[0] == shape[1], shape[0] > 1 {
                    result.insert(KerasMutation(className: className, kind: .transposed(role)))
                }
                if let other = roles[(i + 1)...].first(where: { shapes[instance.path + $0] == shape }) {
                    result.insert(KerasMutation(className: className, kind: .swapped(role, other)))
                }
                if role.hasSuffix("recurrent_kernel"), shape.count == 2, shape[0] > 0, shape[1] / shape[0] > 1 {
                    for gate in 1..<(shape[1] / shape[0]) {
                        result.insert(KerasMutation(className: className, kind: .gates(gate - 1, gate)))
                    }
                }
            }
        }
        return result
    }

    /// The class, with that of what it wraps.
    private static func className(of instance: KerasInstance) -> String {
        var name = instance.spec.className
        var config = instance.spec.config
        while let inner = config["layer"]?.object ?? config["cell"]?.object, let innerName = inner["class_name"]?.string {
            name += "(\(innerName))"
            config = inner["config"]?.object ?? [:]
        }
        return name
    }

    /// The model's parameters with this mutation in every layer of the class, for all kinds but `.value` and `.argument`.
    func parameters(of model: KerasModel) throws -> [String: Tensor] {
        var result = Dictionary(model.parameters.map { ($0.name, $0.tensor) }, uniquingKeysWith: { first, _ in first })
        for instance in model.instances.flatMap(\.flattened) where instance.children.isEmpty && Self.className(of: instance) == className {
            switch kind {
            case .value, .argument: break
            case .zeroed(let role):
                if let tensor = result[instance.path + role] {
                    result[instance.path + role] = Tensor(
                        [Double](repeating: 0, count: tensor.count), dtype: tensor.dtype, shape: tensor.shape)
                }
            case .swapped(let a, let b):
                let pair = (result[instance.path + a], result[instance.path + b])
                guard let x = pair.0, let y = pair.1, x.shape == y.shape else { continue }
                (result[instance.path + a], result[instance.path + b]) = (y, x)
            case .transposed(let role):
                guard let tensor = result[instance.path + role], tensor.shape.count == 2, tensor.shape[0] == tensor.shape[1] else {
                    continue
                }
                result[instance.path + role] = try Layout.transposedMatrix.apply(tensor)
            case .gates(let a, let b):
                for variable in instance.variables {
                    guard let tensor = result[variable.name], let exchanged = try exchanging(a, b, in: tensor, of: variable, in: result)
                    else { continue }
                    result[variable.name] = exchanged
                }
            }
        }
        return result
    }

    private func exchanging(_ a: Int, _ b: Int, in tensor: Tensor, of variable: KerasVariableRow, in tensors: [String: Tensor]) throws
        -> Tensor?
    {
        let stem = variable.name.split(separator: "/").dropLast().joined(separator: "/")
        guard ["kernel", "recurrent_kernel", "bias"].contains(variable.name.split(separator: "/").last ?? ""),
            let shape = tensors[stem + "/recurrent_kernel"]?.shape, shape.count == 2, let width = tensor.shape.last, width == shape[1],
            b < width / shape[0]
        else { return nil }
        let units = shape[0]
        let values = try tensor.doubles()
        var result = values
        for i in values.indices {
            let column = i % width
            let gate = column / units
            guard gate == a || gate == b else { continue }
            result[i] = values[i - column + (gate == a ? b : a) * units + column % units]
        }
        return Tensor(result, dtype: tensor.dtype, shape: tensor.shape)
    }
}
