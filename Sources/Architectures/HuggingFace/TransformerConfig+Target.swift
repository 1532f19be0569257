import JSON
import ModelIR

extension TransformerConfig {
    /// The configuration as a target's loader must find it: class, dtype under the target's key, what the family must state; all other keys
    /// verbatim and in order.
    /// - Returns: with lines for people.
    func stated(
        for target: LoweringTarget, className: String, family: (any TransformerFamily)?, parameters: [Parameter], isTensorFlow: Bool
    ) -> (json: JSONObject, notes: [String]) {
        var changes: [(key: String, value: JSONValue?)] = [("architectures", .array([.string(className)]))]
        changes += family?.configurationChanges(for: target) ?? []
        var notes: [String] = []
        let type = family.map { Swift.type(of: $0) }
        if isTensorFlow, target != .tensorflow {
            for (key, value, stated) in values(contradicting: type?.tensorFlowConstants ?? []) {
                changes.append((key, value))
                notes.append(
                    "\(key) becomes \(value.serialized()), as TensorFlow's classes compute whatever it is; it was \(stated.serialized())")
            }
        }
        if target == .tensorflow, let (key, name) = activation(among: type?.modelledKeys ?? []),
            let other = Self.tensorFlowName(ofActivation: name), other != name
        {
            changes.append((key, .string(other)))
            notes.append("\(key) becomes \"\(other)\", as TensorFlow's classes call \"\(name)\"")
        }
        if json["auto_map"] != nil {
            changes.append(("auto_map", nil))
            notes.append("auto_map, which names code to run, is removed from config.json")
        }

        // Version 5 reads both keys and writes `dtype`; version 4 reads `torch_dtype` alone.
        let key = target == .tensorflow ? "torch_dtype" : "dtype"
        let otherKey = target == .tensorflow ? "dtype" : "torch_dtype"
        var result = JSONObject()
        for member in json.members {
            if member.key == otherKey {
                if json[key] == nil { result[key] = member.value }
            } else {
                result[member.key] = member.value
            }
        }
        let dtypes = Set(parameters.map(\.tensor.dtype))
        if dtypes.count == 1, let name = dtypes.first.flatMap({ Self.dtypeNames[$0] }) { result[key] = .string(name) }
        for (key, value) in changes { result[key] = value }
        return (result, notes)
    }

    private static let dtypeNames: [DType: String] = [.f64: "float64", .f32: "float32", .f16: "float16", .bf16: "bfloat16"]

    /// The activation that the configuration names, under whichever key the family computes with.
    func activation(among keys: Set<String>) -> (key: String, name: String)? {
        ["hidden_act", "activation_function", "activation"].first { keys.contains($0) && has($0) }
            .flatMap { key in json[key]?.string.map { (key, $0) } }
    }

    /// The configuration with other values for keys that it has.
    func replacing(_ values: [(key: String, value: JSONValue)]) -> TransformerConfig {
        var result = self
        for (key, value) in values where has(key) { result.json[key] = value }
        return result
    }

    /// Those of the values whose keys the configuration has with another value.
    func values(contradicting values: [(key: String, value: JSONValue)]) -> [(key: String, value: JSONValue, stated: JSONValue)] {
        values.compactMap { key, value in json[key].flatMap { !$0.isNull && $0 != value ? (key, value, $0) : nil } }
    }
}
