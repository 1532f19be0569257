import ByteIO
import FormatKit
import JSON

/// A configuration for Keras weights that carry none: a plain stack told from names and shapes, everything else stated as assumed.
///
/// What the weights leave open, and neither a default nor the user settles, is an error that says what to settle.
struct KerasInference {
    private let version: KerasVersion
    private let layers: [KerasStoredLayer]
    /// What the user has settled: `recurrent_activation`, or `lstm_1.activation` for one layer.
    private let settled: [String: String]
    private var used: Set<String> = ["order"]
    /// `key value` to the layers that it is assumed for, in order of appearance.
    private var assumed: [(what: String, layers: [String])] = []
    private var obstacles: [String] = []
    /// What flows between the layers.
    private var width: Int?
    private var isSequence = false
    /// Length in time that a Flatten tells.
    private var time: Int?

    /// The model's document; lines on what is assumed are in its member `ingot_assumptions`.
    /// - Parameter settled: choices of the user by key, or by `layer.key`.
    /// - Returns: nil if the checkpoint holds no weights that Keras wrote.
    /// - Throws: `UnsupportedError` that names everything that stands in the way; `InputError` for a choice that no layer takes.
    static func configuration(for checkpoint: Checkpoint, assuming settled: [String: String]) throws -> JSONValue? {
        guard let (layers, version) = try KerasStoredLayer.all(in: checkpoint, order: settled["order"]) else { return nil }
        var inference = KerasInference(version: version, layers: layers.filter { $0.kind != .input }, settled: settled)
        return try inference.document()
    }

    private init(version: KerasVersion, layers: [KerasStoredLayer], settled: [String: String]) {
        self.version = version
        self.layers = layers
        self.settled = settled
    }

    private mutating func document() throws -> JSONValue {
        guard layers.contains(where: { $0.kind.isEmbedding || $0.kind.inputWidth != nil }) else {
            throw UnsupportedError("no graph follows from the weights", items: layers.isEmpty ? ["there are no layers"] : unknownLayers)
        }
        var documents: [JSONValue] = []
        for index in layers.indices { documents.append(document(of: index)) }
        if let time, layers[0].kind.isEmbedding, var config = documents[0]["config"]?.object {
            config["batch_input_shape"] = [.null, .int(time)]
            documents[0] = ["class_name": "Embedding", "config": .object(config)]
        }
        if !layers[0].kind.isEmbedding, let firstInput = layers.lazy.compactMap(\.kind.inputWidth).first {
            let overTime = layers.contains { $0.kind.wantsTime }
            var first = documents[0].object ?? [:]
            var config = first["config"]?.object ?? [:]
            config["batch_input_shape"] = overTime ? [.null, time.map { .int($0) } ?? .null, .int(firstInput)] : [.null, .int(firstInput)]
            config["dtype"] = "float32"
            first["config"] = .object(config)
            documents[0] = .object(first)
        }
        if let open = Set(settled.keys).subtracting(used).min() {
            throw InputError("--assume \(open)=\(settled[open] ?? ""): the weights leave no such thing open")
        }
        guard obstacles.isEmpty else { throw UnsupportedError("no graph follows from the weights", items: obstacles) }
        let lines = assumed.map { "\($0.what) is assumed for \($0.layers.joined(separator: ", "))" }
        return [
            "class_name": "Sequential", "keras_version": .string(version.text.isEmpty ? "\(version.generation)" : version.text),
            "config": ["name": "sequential", "layers": .array(documents)],
            "ingot_assumptions": .array(
                (["the file has no configuration; a plain stack is told from its names and shapes"] + lines).map { .string($0) }),
        ]
    }

    private var unknownLayers: [String] {
        layers.compactMap { layer in if case .unknown(let reason) = layer.kind { "layer '\(layer.name)' \(reason)" } else { nil } }
    }

    private mutating func document(of index: Int) -> JSONValue {
        let layer = layers[index]
        let className = layer.kind.className
        var config: JSONObject = ["name": .string(layer.name), "trainable": true]
        if let input = layer.kind.inputWidth, let width, input != width {
            obstacles.append("layer '\(layer.name)' takes \(input) values where \(width) come from the layers before it")
        }
        switch layer.kind {
        case .input: break
        case .embedding(let vocabulary, let size):
            if index > 0 { obstacles.append("layer '\(layer.name)' is an Embedding that isn't first") }
            config["input_dim"] = .int(vocabulary)
            config["output_dim"] = .int(size)
            config["mask_zero"] = .bool(choice("mask_zero", layer, or: "false") == "true")
            config["batch_input_shape"] = [.null, .null]
            config["dtype"] = "float32"
            (width, isSequence) = (size, true)
        case .dense(_, let units, let usesBias):
            config["units"] = .int(units)
            config["use_bias"] = .bool(usesBias)
            config["activation"] = .string(choice("activation", layer, or: "linear"))
            width = units
        case .recurrent(let cell):
            let sequences = returnsSequences(index)
            config = recurrent(cell, layer, named: layer.name, sequences: sequences)
            (width, isSequence) = (cell.units, sequences)
        case .bidirectional(let cell):
            let sequences = returnsSequences(index)
            config["layer"] = [
                "class_name": .string(cell.className),
                "config": .object(recurrent(cell, layer, named: cell.name ?? "\(layer.name)_layer", sequences: sequences)),
            ]
            let next = layers[(index + 1)...].lazy.compactMap(\.kind.inputWidth).first
            let mode = choice("merge_mode", layer, or: next == nil || next == 2 * cell.units || sequences ? "concat" : nil)
            config["merge_mode"] = .string(mode)
            (width, isSequence) = (mode == "concat" ? 2 * cell.units : cell.units, sequences)
        case .normalization(_, let size, let hasScale, let hasCenter):
            config["axis"] = className == "BatchNormalization" ? -1 : [-1]
            config["epsilon"] = 0.001
            config["scale"] = .bool(hasScale)
            config["center"] = .bool(hasCenter)
            assume("epsilon 0.001", layer)
            width = size
        case .weightless(let name):
            if name == "Activation" { config["activation"] = .string(choice("activation", layer, or: nil)) }
            // Keras makes no such layer without; what it is matters in training only.
            if name.hasSuffix("Dropout") || name == "SpatialDropout1D" { config["rate"] = 0.5 }
            if name == "GaussianNoise" { config["stddev"] = 0.5 }
            if name == "Masking" {
                config["mask_value"] = 0.0
                assume("mask_value 0", layer)
            }
            if ["GlobalMaxPooling1D", "GlobalAveragePooling1D"].contains(name) { isSequence = false }
            if name == "Flatten" { flatten(before: layers[(index + 1)...].lazy.compactMap(\.kind.inputWidth).first) }
        case .unknown(let reason): obstacles.append("layer '\(layer.name)' \(reason)")
        }
        return ["class_name": .string(className), "config": .object(config)]
    }

    private mutating func flatten(before next: Int?) {
        guard let width, let next, isSequence else { return }
        if next % width == 0 { time = next / width }
        self.width = next
        isSequence = false
    }

    /// Sequences go on as long as a layer over time follows; of the last such layer only the last step is assumed to be used.
    private mutating func returnsSequences(_ index: Int) -> Bool {
        let isForced = layers[(index + 1)...].contains { $0.kind.wantsTime }
        return choice("return_sequences", layers[index], or: isForced ? "true" : "false", isStated: !isForced) == "true"
    }

    private mutating func recurrent(_ cell: KerasStoredLayer.Cell, _ layer: KerasStoredLayer, named name: String, sequences: Bool)
        -> JSONObject
    {
        var config: JSONObject = [
            "name": .string(name), "trainable": true, "units": .int(cell.units), "return_sequences": .bool(sequences),
            "use_bias": .bool(cell.biasRank != nil),
        ]
        config["go_backwards"] = .bool(choice("go_backwards", layer, or: "false", isStated: false) == "true")
        config["activation"] = .string(choice("activation", layer, or: "tanh"))
        guard cell.gates > 1 else { return config }
        config["recurrent_activation"] = .string(choice("recurrent_activation", layer, or: gateActivation(cell)))
        if cell.gates == 3 {
            let told = cell.biasRank.map { $0 == 2 || cell.isCuDNN ? "true" : "false" }
            config["reset_after"] = .bool(choice("reset_after", layer, or: told, isStated: false) == "true")
        }
        return config
    }

    /// The default of the version that wrote the file; nil where that is open.
    private func gateActivation(_ cell: KerasStoredLayer.Cell) -> String? {
        if cell.isCuDNN { return "sigmoid" }
        if cell.isKeras1 { return "hard_sigmoid" }
        if version.text.isEmpty { return nil }
        if version.gateDefaultIsAmbiguous {
            // A GRU tells the generation of TensorFlow: two biases came with 2.0, and sigmoid gates with them.
            let ranks = layers.compactMap(\.kind.cell).filter { $0.gates == 3 && !$0.isCuDNN }.compactMap(\.biasRank)
            guard let rank = ranks.first, ranks.allSatisfy({ $0 == rank }) else { return nil }
            return rank == 2 ? "sigmoid" : "hard_sigmoid"
        }
        return version.gatesDefaultToHardSigmoid ? "hard_sigmoid" : "sigmoid"
    }

    // MARK: What is open

    private mutating func assume(_ what: String, _ layer: KerasStoredLayer) {
        if let position = assumed.firstIndex(where: { $0.what == what }) {
            if !assumed[position].layers.contains(layer.name) { assumed[position].layers.append(layer.name) }
        } else {
            assumed.append((what, [layer.name]))
        }
    }

    /// The user's word on a key, for the layer or for all layers; otherwise what is assumed, and said.
    private mutating func choice(_ key: String, _ layer: KerasStoredLayer, or fallback: String?, isStated: Bool = true) -> String {
        for name in ["\(layer.name).\(key)", key] {
            guard let value = settled[name] else { continue }
            used.insert(name)
            assume("\(key) \(value), as told,", layer)
            return value
        }
        guard let fallback else {
            let values = Self.examples[key] ?? "VALUE"
            let reason = key == "recurrent_activation" ? " in a file of \(version.text.isEmpty ? "no version" : "Keras \(version)")" : ""
            obstacles.append(
                "\(key) of layer '\(layer.name)' is open\(reason): --assume \(layer.name).\(key)=\(values), or --assume \(key)=.. for all")
            return ""
        }
        if isStated { assume("\(key) \(fallback)", layer) }
        return fallback
    }

    private static let examples = [
        "recurrent_activation": "sigmoid (TensorFlow 2) or hard_sigmoid (TensorFlow 1, Keras before 2.3)", "merge_mode": "sum, mul or ave",
        "reset_after": "true or false", "activation": "relu",
    ]
}
