import ByteIO
import JSON

/// The layer tree of a Keras model as its configuration states it, in one form for all generations.
struct KerasContainer: Sendable {
    var className: String
    var name: String
    /// Sequential: a chain, with no calls written down.
    var isSequential: Bool
    var layers: [KerasLayerSpec]
    /// Functional only: where inputs enter and outputs leave.
    var inputs: [KerasTensorReference]
    var outputs: [KerasTensorReference]
    /// A deferred Sequential's shape, batch included; nil entries are open.
    var buildInputShape: [Int?]?
    /// The configuration's own members but the layers, verbatim.
    var config: JSONObject
}

/// A layer, and the calls made to it.
struct KerasLayerSpec: Sendable {
    var className: String
    var name: String
    /// Import path in Keras 3, `keras.layers`; nil in Keras 2.
    var module: String?
    /// Set for classes that a user registered.
    var registeredName: String?
    var config: JSONObject
    /// Functional models only.
    var calls: [KerasCall]
    /// The layers of a nested model.
    var container: KerasContainer?
    /// CuDNNLSTM or CuDNNGRU where the file says so and `className` is the plain layer; `.weights.h5` names its groups after it.
    var cuDNNClass: String?
}

/// Output `tensor` of call `node` of a layer.
struct KerasTensorReference: Hashable, Sendable {
    var layer: String
    var node: Int
    var tensor: Int
}

func kerasError(_ code: FormatError.Code, expected: String? = nil, found: String? = nil) -> FormatError {
    FormatError("keras", code, expected: expected, found: found)
}

extension KerasContainer {
    static let containerClasses: Set<String> = ["Sequential", "Functional", "Model"]

    /// Parses `{"class_name": .., "config": ..}`.
    /// - Throws: `FormatError` `config-not-a-model`, `bad-config`.
    init(parsing document: JSONValue, depth: Int = 0) throws(FormatError) {
        guard depth < 64 else { throw kerasError("bad-config", expected: "models nested at most 64 deep") }
        guard let className = document["class_name"]?.string, let config = document["config"] else {
            throw kerasError("config-not-a-model", expected: "an object with class_name and config", found: document.kind)
        }
        self.className = className
        switch className {
        case "Sequential":
            // Keras 1 and early 2 wrote the bare list of layers.
            guard let layers = config.array ?? config["layers"]?.array else {
                throw kerasError("bad-config", expected: "a list of layers", found: config.kind)
            }
            isSequential = true
            name = config["name"]?.string ?? "sequential"
            self.layers = []
            for layer in layers { self.layers.append(try KerasLayerSpec(parsing: layer, depth: depth)) }
            inputs = []
            outputs = []
            buildInputShape = try config["build_input_shape"].flatMap { $0.isNull ? nil : $0 }.map(parseShape)
        case "Functional", "Model":
            guard let layers = config["layers"]?.array, let inputLayers = config["input_layers"], let outputLayers = config["output_layers"]
            else {
                throw kerasError(
                    "config-not-a-model", expected: "a functional model with layers, input_layers and output_layers",
                    found: "\(className) without them")
            }
            isSequential = false
            name = config["name"]?.string ?? "model"
            self.layers = []
            for layer in layers { self.layers.append(try KerasLayerSpec(parsing: layer, depth: depth)) }
            inputs = try references(inputLayers)
            outputs = try references(outputLayers)
            buildInputShape = nil
        default:
            throw kerasError("config-not-a-model", expected: "Sequential, Functional or Model", found: className)
        }
        var rest = config.object ?? [:]
        rest["layers"] = nil
        self.config = rest
        var names = Set<String>()
        for layer in self.layers where !names.insert(layer.name).inserted {
            throw kerasError("bad-config", expected: "layers with names of their own", found: "'\(layer.name)' twice")
        }
        // Keras 3 counts the calls of nested models from 1 in the list of outputs, from 0 everywhere else.
        let nested = Set(
            self.layers.filter { $0.className != "Sequential" && $0.container != nil && $0.calls.contains(where: \.isKeras3) }.map(\.name))
        for i in outputs.indices where nested.contains(outputs[i].layer) && outputs[i].node > 0 { outputs[i].node -= 1 }
        markAutomaticMasks()
    }
}

extension KerasLayerSpec {
    init(parsing document: JSONValue, depth: Int) throws(FormatError) {
        guard let className = document["class_name"]?.string, let config = document["config"] else {
            throw kerasError("bad-config", expected: "a layer with class_name and config", found: document.kind)
        }
        // A nested Sequential of old has a bare list for its configuration.
        self.className = className
        self.config = config.object ?? [:]
        if let plain = CuDNNConfiguration.plain(className, self.config) {
            (self.className, self.config) = plain
            cuDNNClass = className
        }
        guard let name = document["name"]?.string ?? config["name"]?.string ?? (config.array != nil ? className.lowercased() : nil) else {
            throw kerasError("bad-config", expected: "a name for a layer of class \(className)")
        }
        self.name = name
        module = document["module"]?.string
        registeredName = document["registered_name"]?.string
        if KerasContainer.containerClasses.contains(className), config.array != nil || config["layers"] != nil {
            container = try KerasContainer(parsing: document, depth: depth + 1)
            container?.name = name
        } else {
            container = nil
        }
        calls = []
        for node in document["inbound_nodes"]?.array ?? [] { calls.append(try KerasCall(parsing: node, layer: self)) }
    }

    /// Not one of Keras' own: a class of the user's.
    var isCustom: Bool {
        guard let module else { return registeredName != nil && registeredName?.contains(">") == true }
        return
            !(module == "keras" || module.hasPrefix("keras.") || module.hasPrefix("tf_keras")
            || module.hasPrefix("tensorflow.python.keras"))
    }
}

extension KerasTensorReference {
    /// `[layer, node, tensor, ..]`; nil for anything else.
    init?(_ value: JSONValue) {
        guard let list = value.array, list.count == 3 || list.count == 4, let layer = list[0].string, let node = list[1].int,
            let tensor = list[2].int, node >= 0, tensor >= 0
        else { return nil }
        self.init(layer: layer, node: node, tensor: tensor)
    }
}

/// `input_layers` and `output_layers`: a list of references, one reference by itself, or (Keras 3) a dictionary of them.
private func references(_ value: JSONValue) throws(FormatError) -> [KerasTensorReference] {
    if let one = KerasTensorReference(value) { return [one] }
    guard let elements = value.array ?? value.object?.members.map(\.value) else {
        throw kerasError("bad-config", expected: "references to layers", found: value.kind)
    }
    var result: [KerasTensorReference] = []
    for element in elements { result += try references(element) }
    return result
}

/// `[null, 10, 3]`, batch included.
func parseShape(_ value: JSONValue) throws(FormatError) -> [Int?] {
    guard let dims = value.array else { throw kerasError("bad-config", expected: "a shape", found: value.kind) }
    var shape: [Int?] = []
    for dim in dims {
        if dim.isNull {
            shape.append(nil)
        } else {
            guard let size = dim.int, size >= 0, size < 1 << 40 else {
                throw kerasError("bad-config", expected: "a shape", found: value.serializedPrefix)
            }
            shape.append(size)
        }
    }
    return shape
}

extension JSONValue {
    /// What kind of value it is, for messages.
    var kind: String {
        switch self {
        case .null: "null"
        case .bool: "a boolean"
        case .number: "a number"
        case .string: "a string"
        case .array: "a list"
        case .object: "an object"
        }
    }

    /// The beginning of its text, for messages.
    var serializedPrefix: String {
        let text = serialized(.compact)
        return text.count <= 60 ? text : text.prefix(57) + "..."
    }
}
