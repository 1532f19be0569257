import ByteIO
import JSON

/// Writes the calls of a functional model's layers as a generation spells them.
struct KerasCallWriter {
    let target: Int
    let numbering: KerasNumbering

    /// Layers whose first argument is a list of tensors.
    private static let merges: Set<String> = [
        "Add", "Subtract", "Multiply", "Average", "Maximum", "Minimum", "Concatenate", "Dot", "Attention", "AdditiveAttention",
    ]
    /// Layers whose tensors are arguments with names of their own, in this order.
    private static let named: [String: [String]] = ["MultiHeadAttention": ["query", "value", "key"]]

    func document(_ call: KerasCall, of instance: KerasInstance) -> JSONValue {
        let spec = instance.spec
        var inputs = call.inputs.filter { $0.reference != nil }
        var keywords: [(name: String, value: KerasArgument)] = []
        for keyword in call.keywords {
            if case .constant(let value) = keyword.value, value.isNull { continue }
            if keyword.name == "training" || keyword.name == "mask" && call.hasAutomaticMask { continue }
            keywords.append(keyword)
        }
        if let names = Self.named[spec.className] {
            // Two arguments by position in Keras 3, one in Keras 2; the rest by name.
            let positional = inputs
            inputs = []
            for (i, name) in names.enumerated() {
                let value: KerasArgument?
                if i < positional.count {
                    value = positional[i]
                } else if let j = keywords.firstIndex(where: { $0.name == name }) {
                    value = keywords.remove(at: j).value
                } else {
                    value = nil
                }
                guard let value else { continue }
                if i < (target == 3 ? 2 : 1) {
                    inputs.append(value)
                } else {
                    keywords.insert((name, value), at: min(i - 1, keywords.count))
                }
            }
        }
        if let attention = instance.layer as? AttentionLayer, attention.isCausal, target == 3,
            !keywords.contains(where: { $0.name == "use_causal_mask" })
        {
            keywords.append(("use_causal_mask", .constant(.bool(true))))
        }
        if instance.layer is any StatefulKerasLayer {
            // Keras 2 has initial states among the inputs.
            let states = inputs.dropFirst() + (keywords.first { $0.name == "initial_state" }?.value.flattened ?? [])
            keywords.removeAll { $0.name == "initial_state" }
            inputs = Array(inputs.prefix(1))
            if !states.isEmpty {
                if target == 3 {
                    keywords.append(("initial_state", .list(Array(states))))
                } else {
                    inputs += states
                }
            }
        }
        if target == 3 {
            let arguments = inputs.map(value)
            let isListed = Self.merges.contains(spec.className) || arguments.count > 1 && Self.named[spec.className] == nil
            var kwargs: JSONObject = [:]
            for keyword in keywords { kwargs[keyword.name] = value(keyword.value) }
            return ["args": isListed ? [.array(arguments)] : .array(arguments), "kwargs": .object(kwargs)]
        }
        var kwargs: JSONObject = [:]
        for keyword in keywords { kwargs[keyword.name] = value(keyword.value) }
        return .array(
            inputs.compactMap(\.reference).map { .array((numbering.reference($0).array ?? []) + [.object(kwargs)]) })
    }

    /// An argument in the target's form.
    func value(_ argument: KerasArgument) -> JSONValue {
        switch argument {
        case .tensor(let reference): target == 3 ? numbering.tensor(reference) : numbering.reference(reference)
        case .constant(let value): value
        case .list(let elements): .array(elements.map(value))
        }
    }
}
