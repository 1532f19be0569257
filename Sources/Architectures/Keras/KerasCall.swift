import ByteIO
import JSON

/// One call of a layer in a functional model.
struct KerasCall: Sendable {
    /// Positional arguments. Keras 2 lists the tensors of a layer's first argument one by one.
    var arguments: [KerasArgument]
    /// Keyword arguments in document order.
    var keywords: [(name: String, value: KerasArgument)]
    /// The keyword `mask` names what travels along with the input anyway: Keras 3 writes that down.
    var hasAutomaticMask = false
    /// Written by Keras 3, with arguments in an object.
    var isKeras3 = false

    /// Positional arguments with lists flattened and nulls left out.
    var inputs: [KerasArgument] { arguments.flatMap(\.flattened) }
    var references: [KerasTensorReference] { arguments.flatMap(\.references) + keywords.flatMap(\.value.references) }

    /// What must be computed before the call: masks that travel along need no operations of their own.
    var computedReferences: [KerasTensorReference] {
        arguments.flatMap(\.references) + keywords.filter { !($0.name == "mask" && hasAutomaticMask) }.flatMap(\.value.references)
    }
}

/// An argument of a call: a tensor, a constant (null included), or a list of arguments.
indirect enum KerasValue<Tensor: Hashable & Sendable>: Hashable, Sendable {
    case tensor(Tensor)
    case constant(JSONValue)
    case list([KerasValue])

    /// Tensors and constants in order, without lists and nulls.
    var flattened: [KerasValue] {
        switch self {
        case .tensor: [self]
        case .constant(let value): value.isNull ? [] : [self]
        case .list(let elements): elements.flatMap(\.flattened)
        }
    }

    /// Tensors in order, without constants.
    var tensors: [Tensor] {
        flattened.compactMap { if case .tensor(let tensor) = $0 { tensor } else { nil } }
    }

    /// The constant, if it is one.
    var constant: JSONValue? { if case .constant(let value) = self { value } else { nil } }

    func map<Other>(_ transform: (Tensor) throws -> Other) rethrows -> KerasValue<Other> {
        switch self {
        case .tensor(let tensor): .tensor(try transform(tensor))
        case .constant(let value): .constant(value)
        case .list(let elements): .list(try elements.map { try $0.map(transform) })
        }
    }
}

/// An argument as the configuration has it, and with its value.
typealias KerasArgument = KerasValue<KerasTensorReference>
typealias KerasOperand = KerasValue<KerasTensor>

extension KerasValue<KerasTensorReference> {
    var reference: KerasTensorReference? { if case .tensor(let reference) = self { reference } else { nil } }
    var references: [KerasTensorReference] { tensors }
}

extension KerasCall {
    init(parsing node: JSONValue, layer: KerasLayerSpec) throws(FormatError) {
        arguments = []
        keywords = []
        if let list = node["args"] {
            isKeras3 = true
            // Keras 3: {"args": [..], "kwargs": {..}}, tensors as objects of class __keras_tensor__.
            for element in list.array ?? [list] { arguments.append(try KerasArgument(parsing: element)) }
            for member in node["kwargs"]?.object?.members ?? [] { keywords.append((member.key, try KerasArgument(parsing: member.value))) }
            return
        }
        // Keras 2: a list of [layer, node, tensor, keywords], or one such entry by itself.
        guard let list = node.array else {
            throw kerasError("bad-config", expected: "calls of layer '\(layer.name)' as lists", found: node.kind)
        }
        let isSingle = list.first?.string != nil
        for entry in isSingle ? [node] : list {
            if entry[0]?.string == "_CONSTANT_VALUE", let value = entry[2] {
                arguments.append(.constant(value))
            } else if let reference = KerasTensorReference(entry) {
                arguments.append(.tensor(reference))
            } else {
                throw kerasError(
                    "bad-config", expected: "[layer, node, tensor] in the calls of '\(layer.name)'", found: entry.serializedPrefix)
            }
            for member in entry[3]?.object?.members ?? [] where !keywords.contains(where: { $0.name == member.key }) {
                keywords.append((member.key, try KerasArgument(parsing: member.value)))
            }
        }
        // The first argument of an operation may be a list; the form of the node says so.
        if layer.isOperation && !isSingle { arguments = [.list(arguments)] }
    }
}

extension KerasValue<KerasTensorReference> {
    init(parsing value: JSONValue, depth: Int = 0) throws(FormatError) {
        guard depth < 32 else { throw kerasError("bad-config", expected: "arguments nested at most 32 deep") }
        if value["class_name"]?.string == "__keras_tensor__" {
            guard let history = value["config"]?["keras_history"], let reference = KerasTensorReference(history) else {
                throw kerasError("bad-config", expected: "a keras_history", found: value.serializedPrefix)
            }
            self = .tensor(reference)
        } else if let reference = KerasTensorReference(value) {
            self = .tensor(reference)
        } else if let list = value.array {
            var elements: [KerasArgument] = []
            for element in list { elements.append(try KerasArgument(parsing: element, depth: depth + 1)) }
            // Plain data stays data.
            self = elements.contains(where: { !$0.references.isEmpty }) ? .list(elements) : .constant(value)
        } else {
            self = .constant(value)
        }
    }
}

extension KerasContainer {
    /// Whether a mask is made of tensors filled with zeros or ones, as Concatenate of Keras 3 makes it along the features.
    func fillsMask(_ mask: KerasTensorReference) -> Bool {
        let operations = Dictionary(layers.filter(\.isOperation).map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
        var pending = [mask]
        var seen = Set<KerasTensorReference>()
        while let current = pending.popLast() {
            guard seen.insert(current).inserted, let operation = operations[current.layer],
                operation.calls.indices.contains(current.node)
            else { continue }
            if ["ZerosLike", "OnesLike"].contains(operation.className) { return true }
            pending += operation.calls[current.node].references
        }
        return false
    }

    /// Marks the masks that Keras 3 writes down although they travel along: those computed from the ids or values of an Embedding or a
    /// Masking layer here, by the operations that Keras itself uses for it.
    mutating func markAutomaticMasks() {
        struct Source: Hashable {
            var input: KerasTensorReference
            var value: Double
        }
        var sources = Set<Source>()
        for layer in layers {
            let value: Double
            switch layer.className {
            case "Embedding" where layer.config["mask_zero"]?.bool == true: value = 0
            case "Masking": value = layer.config["mask_value"]?.double ?? 0
            default: continue
            }
            for call in layer.calls { if let input = call.inputs.first?.reference { sources.insert(Source(input: input, value: value)) } }
        }
        guard layers.contains(where: \.isOperation) else { return }
        let operations = Dictionary(layers.filter(\.isOperation).map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
        let combining: Set<String> = [
            "ConvertToTensor", "Any", "Concatenate", "LogicalOr", "ZerosLike", "OnesLike", "ExpandDims", "BroadcastTo",
        ]

        func isAutomatic(_ reference: KerasTensorReference) -> Bool {
            var pending = [reference]
            var seen = Set<KerasTensorReference>()
            var comparisons = 0
            while let current = pending.popLast() {
                guard seen.insert(current).inserted else { continue }
                guard let operation = operations[current.layer], operation.calls.indices.contains(current.node) else { return false }
                let call = operation.calls[current.node]
                if operation.className == "NotEqual" {
                    let inputs = call.inputs
                    guard inputs.count == 2, let input = inputs[0].reference, case .constant(let value) = inputs[1],
                        let number = value.double ?? value["config"]?["value"]?.double,
                        sources.contains(Source(input: input, value: number))
                    else { return false }
                    comparisons += 1
                } else if combining.contains(operation.className) {
                    // Of tensors that aren't masks only the shape matters.
                    if ["ZerosLike", "OnesLike"].contains(operation.className) { continue }
                    pending += call.references
                } else {
                    return false
                }
            }
            return comparisons > 0
        }
        for i in layers.indices {
            for j in layers[i].calls.indices {
                guard let mask = layers[i].calls[j].keywords.first(where: { $0.name == "mask" })?.value.references, !mask.isEmpty else {
                    continue
                }
                layers[i].calls[j].hasAutomaticMask = mask.allSatisfy(isAutomatic)
            }
        }
    }
}
