import JSON

/// Configurations of Keras 1 in the words of Keras 2. Classes that Keras 2 no longer has keep their names, and are refused by them.
struct Keras1Configuration {
    /// Nested Sequentials of Keras 1 are bare lists without a name.
    private var sequentialCount = 0

    /// A model's `{"class_name": .., "config": ..}`.
    static func translated(_ document: JSONValue) -> JSONValue {
        var translation = Keras1Configuration()
        return translation.model(document, depth: 0)
    }

    private mutating func model(_ document: JSONValue, depth: Int) -> JSONValue {
        guard depth < 64, var object = document.object, let className = object["class_name"]?.string, let config = object["config"] else {
            return document
        }
        switch className {
        case "Sequential":
            guard let layers = config.array ?? config["layers"]?.array else { return document }
            if layers.first?["class_name"]?.string == "Merge", let functional = functional(layers, depth: depth) { return functional }
            let translated = JSONValue.array(layers.map { layer($0, depth: depth + 1) })
            if var config = config.object {
                config["layers"] = translated
                object["config"] = .object(config)
            } else if depth > 0 {
                sequentialCount += 1
                object["config"] = ["name": object["name"] ?? .string("sequential_\(sequentialCount)"), "layers": translated]
            } else {
                object["config"] = translated
            }
        case "Model", "Functional":
            guard var config = config.object, let layers = config["layers"]?.array else { return document }
            config["layers"] = .array(layers.map { layer($0, depth: depth + 1) })
            object["config"] = .object(config)
        default: break
        }
        return .object(object)
    }

    private mutating func layer(_ document: JSONValue, depth: Int) -> JSONValue {
        guard depth < 64, var object = document.object, let className = object["class_name"]?.string else { return document }
        if ["Sequential", "Model", "Functional"].contains(className) { return model(document, depth: depth) }
        guard let config = object["config"]?.object else { return document }
        var translated: JSONObject = [:]
        for member in config.members {
            guard let key = Self.key(member.key, of: className) else { continue }
            translated[key] = Self.value(member.value, key: key, layer: { self.layer($0, depth: depth + 1) })
        }
        var newClass = Self.classNames[className] ?? className
        switch className {
        case "LSTM", "GRU":
            // What Keras 1 computed, whatever later loaders take where nothing is said.
            if translated["recurrent_activation"] == nil { translated["recurrent_activation"] = "hard_sigmoid" }
            if className == "GRU" && translated["reset_after"] == nil { translated["reset_after"] = false }
        case "Convolution2D", "AtrousConvolution2D", "SeparableConvolution2D":
            if let rows = config["nb_row"], let columns = config["nb_col"] { translated["kernel_size"] = [rows, columns] }
        case "BatchNormalization":
            // Mode 1 normalises each sample by itself.
            if config["mode"]?.int == 1 { newClass = "BatchNormalization of mode 1" }
        case "Merge":
            guard let merge = Self.merge(config) else { break }
            newClass = merge.className
            translated = merge.config
        default: break
        }
        object["class_name"] = .string(newClass)
        object["config"] = .object(translated)
        return .object(object)
    }

    /// A Merge layer by its mode; nil for functions and for modes that Keras 2 has no class for.
    private static func merge(_ config: JSONObject) -> (className: String, config: JSONObject)? {
        let classes = [
            "sum": "Add", "mul": "Multiply", "concat": "Concatenate", "ave": "Average", "max": "Maximum", "dot": "Dot",
        ]
        guard let mode = config["mode"]?.string, let className = classes[mode] else { return nil }
        var result: JSONObject = [:]
        for key in ["name", "trainable"] { if let value = config[key] { result[key] = value } }
        if mode == "concat" { result["axis"] = config["concat_axis"] ?? -1 }
        if mode == "dot" {
            result["axes"] = config["dot_axes"] ?? -1
            result["normalize"] = false
        }
        return (className, result)
    }

    // MARK: Sequentials that begin with a Merge of branches

    /// As a functional model; nil where a branch isn't a chain of layers.
    private mutating func functional(_ layers: [JSONValue], depth: Int) -> JSONValue? {
        var nodes: [JSONValue] = []
        var inputs: [JSONValue] = []
        guard let last = branch(layers, depth: depth, &nodes, &inputs) else { return nil }
        return [
            "class_name": "Model",
            "config": [
                "name": "model", "layers": .array(nodes), "input_layers": .array(inputs),
                "output_layers": [[.string(last), 0, 0]],
            ],
        ]
    }

    /// Appends a chain of layers; gives the last one's name.
    private mutating func branch(_ layers: [JSONValue], depth: Int, _ nodes: inout [JSONValue], _ inputs: inout [JSONValue]) -> String? {
        guard depth < 64, let first = layers.first, let firstName = Self.name(first) else { return nil }
        var sources: [String] = []
        var rest = layers[...]
        if first["class_name"]?.string == "Merge", let branches = first["config"]?["layers"]?.array {
            for document in branches {
                guard document["class_name"]?.string == "Sequential",
                    let chain = document["config"]?.array ?? document["config"]?["layers"]?.array,
                    let last = branch(chain, depth: depth + 1, &nodes, &inputs)
                else { return nil }
                sources.append(last)
            }
        } else {
            guard let config = first["config"], let shape = config["batch_input_shape"] else { return nil }
            let isInput = first["class_name"]?.string == "InputLayer"
            let name = isInput ? firstName : firstName + "_input"
            let type = config["input_dtype"] ?? "float32"
            nodes.append([
                "class_name": "InputLayer", "name": .string(name), "inbound_nodes": [],
                "config": ["batch_input_shape": shape, "dtype": type, "name": .string(name)],
            ])
            inputs.append([.string(name), 0, 0])
            sources = [name]
            if isInput { rest = rest.dropFirst() }
        }
        for document in rest {
            guard let name = Self.name(document), var node = layer(document, depth: depth + 1).object else { return nil }
            node["name"] = .string(name)
            node["inbound_nodes"] = [.array(sources.map { [.string($0), 0, 0] })]
            nodes.append(.object(node))
            sources = [name]
        }
        return sources.first
    }

    private static func name(_ document: JSONValue) -> String? { document["name"]?.string ?? document["config"]?["name"]?.string }
}
