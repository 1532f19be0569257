import ByteIO
import JSON
import ModelIR

/// Rewrites layer configurations from one Keras generation to another: the words change, the function doesn't.
struct KerasTranslator {
    let version: KerasVersion
    /// 2 or 3.
    let target: Int
    /// What a user should know, one line each.
    private(set) var notes: [String] = []
    /// What the target can't express.
    private(set) var obstacles: [String] = []

    init(version: KerasVersion, target: Int) {
        self.version = version
        self.target = target
    }

    var source: Int { version.generation == 3 ? 3 : 2 }

    /// The configuration of a layer in the target's words; the layer's class is in the table.
    mutating func config(_ spec: KerasLayerSpec, layer: (any KerasLayer)?) -> JSONObject {
        guard let row = KerasLayerTable.rows[spec.className] else { return spec.config }
        if !row.generations.contains(target) {
            obstacles.append("layer '\(spec.name)': Keras \(target) has no class \(spec.className)")
        }
        var result: JSONObject = ["name": .string(spec.name)]
        for member in spec.config.members where member.key != "name" && member.key != "shared_object_id" {
            let key = renamed(member.key, className: spec.className)
            guard let meaning = row.key(key, generation: target),
                !(key == "build_config" || key == "batch_shape" || key == "batch_input_shape")
            else {
                drop(member.key, member.value, of: spec, meaning: row.key(member.key, generation: source))
                continue
            }
            switch meaning {
            case .activation: result[key] = activation(member.value, of: spec)
            case .initializer: if let value = object(member.value, module: "keras.initializers", of: spec) { result[key] = value }
            case .regularizer: if let value = object(member.value, module: "keras.regularizers", of: spec) { result[key] = value }
            case .constraint: if let value = object(member.value, module: "keras.constraints", of: spec) { result[key] = value }
            case .modelled, .inert:
                if key == "dtype" {
                    result[key] = policy(member.value)
                } else if key == "layer" || key == "backward_layer" {
                    result[key] = wrapped(member.value, key: key, of: spec)
                } else {
                    result[key] = member.value
                }
            }
        }
        stateDefaults(spec, layer, in: &result)
        return result
    }

    private func renamed(_ key: String, className: String) -> String {
        guard className == "LeakyReLU" else { return key }
        switch (key, target) {
        case ("alpha", 3): return "negative_slope"
        case ("negative_slope", 2): return "alpha"
        default: return key
        }
    }

    /// A key that the target doesn't take.
    private mutating func drop(_ key: String, _ value: JSONValue, of spec: KerasLayerSpec, meaning: KerasLayerTable.Key?) {
        switch meaning {
        case nil: notes.append("layer '\(spec.name)': the key \(key) isn't known and is left out")
        case .modelled where key == "time_major" && value.bool == true:
            obstacles.append("layer '\(spec.name)': Keras \(target) has no time_major")
        case .modelled, .activation, .initializer, .regularizer, .constraint, .inert: break
        }
    }

    /// Defaults that differ between generations, or that the file leaves to its version, are written down.
    private func stateDefaults(_ spec: KerasLayerSpec, _ layer: (any KerasLayer)?, in result: inout JSONObject) {
        if let layer = layer as? RecurrentLayer {
            if layer.cell != .simple && result["recurrent_activation"] == nil {
                result["recurrent_activation"] = layer.recurrentActivation == .sigmoid ? "sigmoid" : "hard_sigmoid"
            }
            if case .gru(let resetAfter) = layer.cell { result["reset_after"] = .bool(resetAfter) }
            if target == 2 && result["zero_output_for_mask"]?.bool == false { result["zero_output_for_mask"] = nil }
        }
        if let layer = layer as? ActivationLayer, case .leakyReLU(let slope) = layer.activation {
            result[target == 3 ? "negative_slope" : "alpha"] = .double(slope)
        }
    }

    private mutating func activation(_ value: JSONValue, of spec: KerasLayerSpec) -> JSONValue {
        if let name = value.string ?? (value["class_name"]?.string == "function" ? value["config"]?.string : nil) {
            if target == 2 && !KerasActivation.keras2Names.contains(name) {
                obstacles.append("layer '\(spec.name)': Keras 2 has no activation '\(name)'")
            }
            return .string(name)
        }
        if let className = value["class_name"]?.string {
            // A layer as an activation.
            let inner = KerasLayerSpec(
                className: className, name: spec.name, module: nil, registeredName: nil, config: value["config"]?.object ?? [:], calls: [],
                container: nil)
            let layer = try? KerasLayerTable.make(KerasLayerConfig(spec: inner, version: version))
            return serialized(className, module: "keras.layers", config(inner, layer: layer ?? nil))
        }
        return value
    }

    /// A wrapped layer.
    private mutating func wrapped(_ value: JSONValue, key: String, of spec: KerasLayerSpec) -> JSONValue {
        guard !value.isNull, var inner = try? KerasLayerSpec(parsing: value, depth: 0) else { return value }
        // Keras 3 keeps the prefixes in the children's names; Keras 2 adds them itself.
        if target == 2 && spec.className == "Bidirectional" {
            for prefix in ["forward_", "backward_"] where inner.name.hasPrefix(prefix) && source == 3 {
                inner.name = String(inner.name.dropFirst(prefix.count))
            }
        }
        let layer = (try? KerasLayerTable.make(KerasLayerConfig(spec: inner, version: version))) ?? nil
        return serialized(inner.className, module: "keras.layers", config(inner, layer: layer))
    }

    /// `{"module": .., "class_name": .., "config": .., "registered_name": null}`, which both generations read.
    func serialized(_ className: String, module: String, _ config: JSONObject) -> JSONValue {
        ["module": .string(module), "class_name": .string(className), "config": .object(config), "registered_name": .null]
    }

    func policy(_ value: JSONValue) -> JSONValue {
        guard let name = dtypeName(value) else { return value }
        if target == 3 { return serialized("DTypePolicy", module: "keras", ["name": .string(name)]) }
        return name.hasPrefix("mixed_") ? ["class_name": "Policy", "config": ["name": .string(name)]] : .string(name)
    }

    /// Initializers, regularizers and constraints: of training only. One that the target doesn't know is left out, so that its default applies.
    private mutating func object(_ value: JSONValue, module: String, of spec: KerasLayerSpec) -> JSONValue? {
        if value.isNull { return .null }
        if let name = value.string { return Self.trainingObjects[pascalCase(name)] != nil ? .string(name) : nil }
        guard let className = value["class_name"]?.string else { return nil }
        guard let keys = Self.trainingObjects[pascalCase(className)] else {
            notes.append("layer '\(spec.name)': \(className) isn't known to Keras \(target) and is left out (training only)")
            return nil
        }
        var config: JSONObject = [:]
        for member in value["config"]?.object?.members ?? [] where keys.contains(member.key) {
            if member.key == "distribution" && member.value == "normal" {
                config[member.key] = "truncated_normal"
            } else {
                config[member.key] = member.value
            }
        }
        return serialized(pascalCase(className), module: module, config)
    }

    private func pascalCase(_ name: String) -> String {
        if let first = name.first, first.isUppercase { return name }
        return name.split(separator: "_").map { $0.prefix(1).uppercased() + $0.dropFirst() }.joined()
    }

    /// Classes of both generations with the keys that both take.
    private static let trainingObjects: [String: Set<String>] = [
        "Zeros": [], "Ones": [], "Constant": ["value"], "RandomUniform": ["minval", "maxval", "seed"],
        "RandomNormal": ["mean", "stddev", "seed"],
        "TruncatedNormal": ["mean", "stddev", "seed"], "VarianceScaling": ["scale", "mode", "distribution", "seed"],
        "Orthogonal": ["gain", "seed"], "Identity": ["gain"], "GlorotUniform": ["seed"], "GlorotNormal": ["seed"], "HeUniform": ["seed"],
        "HeNormal": ["seed"], "LecunUniform": ["seed"], "LecunNormal": ["seed"],
        "L1": ["l1"], "L2": ["l2"], "L1L2": ["l1", "l2"], "OrthogonalRegularizer": ["factor", "mode"],
        "MaxNorm": ["max_value", "axis"], "NonNeg": [], "UnitNorm": ["axis"], "MinMaxNorm": ["min_value", "max_value", "rate", "axis"],
    ]
}
