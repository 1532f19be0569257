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
    var obstacles: [String] = []

    /// Shapes of the tensors that a layer is called with, by its path; nil entries are open.
    let inputShapes: [String: [[Int?]]]

    init(version: KerasVersion, target: Int, inputShapes: [String: [[Int?]]] = [:]) {
        self.version = version
        self.target = target
        self.inputShapes = inputShapes
    }

    mutating func note(_ line: String) { notes.append(line) }

    var source: Int { version.generation == 3 ? 3 : 2 }

    /// The configuration of a layer in the target's words; the layer's class is in the table.
    /// - Parameter path: of the layer in the model; empty for a layer inside another.
    mutating func config(_ spec: KerasLayerSpec, layer: (any KerasLayer)?, path: String = "") -> JSONObject {
        guard let row = KerasLayerTable.rows[spec.className] else { return spec.config }
        if !row.generations.contains(target) {
            obstacles.append("layer '\(spec.name)': Keras \(target) has no class \(spec.className)")
        }
        var result: JSONObject = ["name": .string(spec.name)]
        for member in spec.config.members where member.key != "name" && member.key != "shared_object_id" {
            let key = renamed(member.key, className: spec.className)
            guard let meaning = row.key(key, generation: target),
                !(key == "build_config" || key == "batch_shape" || key == "batch_input_shape" || key == "input_dtype")
            else {
                drop(member.key, member.value, of: spec, meaning: row.key(member.key, generation: source))
                continue
            }
            switch meaning {
            case .activation: result[key] = activation(member.value, of: spec)
            case .initializer: if let value = object(member.value, module: "keras.initializers", of: spec) { result[key] = value }
            case .regularizer: if let value = object(member.value, module: "keras.regularizers", of: spec) { result[key] = value }
            case .constraint: if let value = object(member.value, module: "keras.constraints", of: spec) { result[key] = value }
            case .layer:
                if let list = member.value.array {
                    result[key] = .array(list.map { wrapped($0, key: key, of: spec, path: path) })
                } else {
                    result[key] = wrapped(member.value, key: key, of: spec, path: path)
                }
            case .modelled, .inert:
                // The first layer of old stacks holds its input's dtype; weights have never been integers.
                if key == "dtype", layer?.variables.isEmpty == false, dtypeName(member.value)?.contains("int") == true { continue }
                result[key] = key == "dtype" ? policy(member.value) : member.value
            }
        }
        stateDefaults(spec, layer, in: &result)
        adaptToLoader(spec, layer, path: path, in: &result)
        if target == 3, result["backward_layer"] == nil, let layer = layer as? BidirectionalLayer, layer.forward.goesBackwards {
            result["backward_layer"] = turnedRound(spec)
        }
        return result
    }

    /// The second direction of a Bidirectional whose first walks backwards: Keras 2 turns the copy round by itself, Keras 3 doesn't.
    private mutating func turnedRound(_ spec: KerasLayerSpec) -> JSONValue? {
        guard var document = spec.config["layer"]?.object, var config = document["config"]?.object else { return nil }
        config["go_backwards"] = false
        if let name = config["name"]?.string { config["name"] = .string("backward_\(name)") }
        document["config"] = .object(config)
        return wrapped(.object(document), key: "backward_layer", of: spec, path: "")
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
        case .modelled where ["sliding_window", "use_gate"].contains(key) && !value.isNull && value.bool != false:
            obstacles.append("layer '\(spec.name)': \(spec.className) of Keras \(target) has no \(key)")
        case .modelled, .activation, .layer, .initializer, .regularizer, .constraint, .inert: break
        }
    }

    /// Defaults that differ between generations, or that the file leaves to its version, are written down.
    private func stateDefaults(_ spec: KerasLayerSpec, _ layer: (any KerasLayer)?, in result: inout JSONObject) {
        let configuration = KerasLayerConfig(spec: spec, version: version)
        let cell =
            RecurrentCell.classes.contains(spec.className)
            ? try? RecurrentCell(configuration, part: "", store: "")
            : (layer as? RecurrentLayer).flatMap { spec.className == "RNN" ? nil : $0.cells.first }
        if let cell {
            if cell.kind != .simple && result["recurrent_activation"] == nil {
                result["recurrent_activation"] = cell.recurrentActivation == .sigmoid ? "sigmoid" : "hard_sigmoid"
            }
            if case .gru(let resetAfter) = cell.kind { result["reset_after"] = .bool(resetAfter) }
        }
        if layer is RecurrentLayer {
            if target == 2 && result["zero_output_for_mask"]?.bool == false { result["zero_output_for_mask"] = nil }
        }
        if spec.className == "LeakyReLU", let layer = layer as? ActivationLayer, case .leakyReLU(let slope) = layer.activation {
            result[target == 3 ? "negative_slope" : "alpha"] = .double(slope)
        }
    }

    /// What the target's loader insists on, beyond the keys it knows.
    private mutating func adaptToLoader(
        _ spec: KerasLayerSpec, _ layer: (any KerasLayer)?, path: String, in result: inout JSONObject
    ) {
        if target == 2, spec.className == "MultiHeadAttention" {
            // tf_keras builds the layer from these before it is called.
            guard let shapes = inputShapes[path], shapes.count >= 2 else {
                obstacles.append(
                    "layer '\(spec.name)': Keras 2 must know the shapes of its inputs, which aren't known inside another layer")
                return
            }
            for (key, shape) in zip(
                ["query_shape", "value_shape", "key_shape"], [shapes[0], shapes[1], shapes.count > 2 ? shapes[2] : shapes[1]])
            {
                result[key] = .array(shape.map { $0.map { .int($0) } ?? .null })
            }
        }
        if target == 3, spec.className.hasPrefix("SeparableConv"), result["padding"]?.string == "causal" {
            obstacles.append("layer '\(spec.name)': Keras 3 has no causal padding for \(spec.className)")
        }
        // tf.keras writes the one axis as a list.
        if spec.className == "BatchNormalization", let axis = result["axis"]?.array, axis.count == 1 { result["axis"] = axis[0] }
        if target == 3 && spec.className.hasPrefix("SpatialDropout") { result["trainable"] = nil }
        if target == 3 && spec.name.contains("/") { obstacles.append("layer '\(spec.name)': Keras 3 takes no '/' in names") }
        if target == 2 && !Self.isScopeName(spec.name) {
            obstacles.append("layer '\(spec.name)': TensorFlow takes only letters, digits and _.\\/>- in the names of Keras 2 layers")
        }
        if target == 3, let layer = layer as? BidirectionalLayer, layer.mergeMode == "concat",
            layer.forward.cells.last?.units != layer.backward.cells.last?.units
        {
            obstacles.append("layer '\(spec.name)': Keras 3 takes two directions of different widths for ones of the same")
        }
        if target == 2, let layer = layer as? BidirectionalLayer, layer.forward.variables.count != layer.backward.variables.count {
            obstacles.append("layer '\(spec.name)': Keras 2 can't load directions with different numbers of weights")
        }
    }

    /// A root scope name of TensorFlow: `^[A-Za-z0-9.][A-Za-z0-9_.\\/>-]*$`.
    private static func isScopeName(_ name: String) -> Bool {
        let letters = Set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.".unicodeScalars)
        guard let first = name.unicodeScalars.first, letters.contains(first) else { return false }
        return name.unicodeScalars.dropFirst().allSatisfy { letters.contains($0) || "_\\/>-".unicodeScalars.contains($0) }
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
    /// - Parameter path: of the wrapper.
    private mutating func wrapped(_ value: JSONValue, key: String, of spec: KerasLayerSpec, path: String) -> JSONValue {
        guard !value.isNull, var inner = try? KerasLayerSpec(parsing: value, depth: 0) else { return value }
        // Keras 3 mixes up the states of a stack of one cell; the cell by itself is the same.
        if target == 3, key == "cell", inner.className == "StackedRNNCells", let cells = inner.config["cells"]?.array, cells.count == 1 {
            return wrapped(cells[0], key: key, of: spec, path: path)
        }
        // Keras 3 keeps the prefixes in the children's names; Keras 2 adds them itself.
        if target == 2 && spec.className == "Bidirectional" {
            for prefix in ["forward_", "backward_"] where inner.name.hasPrefix(prefix) && source == 3 {
                inner.name = String(inner.name.dropFirst(prefix.count))
            }
        }
        let layer = (try? KerasLayerTable.make(KerasLayerConfig(spec: inner, version: version))) ?? nil
        if let model = layer as? ModelLayer {
            let shapes = inputShapes.inside(path)
            var writer = KerasConfigWriter(version: version, target: target, inputShapes: shapes)
            do {
                var expansion = KerasExpansion(version: version, target: target, inputShapes: shapes)
                let (container, instances) = try expansion.expanded(model.container, model.instances)
                let document = try writer.document(container, instances, inputs: nil)
                notes += writer.translator.notes
                obstacles += writer.translator.obstacles
                return document
            } catch {
                obstacles.append("layer '\(spec.name)': \(error)")
                return value
            }
        }
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
