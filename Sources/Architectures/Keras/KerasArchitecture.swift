import ByteIO
import FormatKit
import JSON

/// Keras models, generations 1 to 3: Sequential and functional, from every dialect that a checkpoint may hold.
public enum KerasArchitecture: Architecture {
    public static let name = "keras"
    public static let summary = "Keras 2 and 3: Sequential and functional models of recurrent, convolutional and dense layers"

    public static func lift(_ checkpoint: Checkpoint) throws -> (any Model)? {
        guard let source = try KerasSource(checkpoint) else { return nil }
        return try KerasModel(source, checkpoint: checkpoint)
    }

    /// A configuration for weights that carry none, where they are of a plain stack of layers.
    /// - Parameter choices: what the user settles by key (`recurrent_activation`) or by layer and key (`lstm_1.activation`).
    /// - Returns: nil if Keras did not write the weights.
    /// - Throws: `UnsupportedError` that names what stands in the way and what must be settled; `InputError` for a choice that nothing takes.
    public static func inferredConfiguration(for checkpoint: Checkpoint, choices: [String: String]) throws -> [UInt8]? {
        try KerasInference.configuration(for: checkpoint, assuming: choices).map { Array($0.serialized(.python).utf8) }
    }
}

/// Where a Keras checkpoint keeps its configuration and weights.
struct KerasSource: Sendable {
    enum Weights: Hashable, Sendable {
        /// Groups by layer name with `weight_names`, below this path (``, `model_weights`): Keras 1, 2 and the legacy .h5 of Keras 3.
        case named(base: String)
        /// `layers/<class>/vars/<n>`: `.weights.h5` and `.keras`. Older writers said `_layer_checkpoint_dependencies`.
        case store(container: String)
        /// Every parameter under its canonical name, whatever the format.
        case canonical
    }

    /// In the words of Keras 2 where Keras 1 wrote it.
    var configuration: JSONValue
    /// As the file has it.
    let original: JSONValue
    let version: KerasVersion
    let backend: String?
    let weights: Weights
    /// `keras2-h5`, `keras2-weights`, `keras3-h5`, `keras3`, `keras3-weights`, ...
    let dialect: String
    /// Weights whose bias has the size of cuDNN's two are in cuDNN's layouts.
    var readsCuDNN = true

    /// nil if the checkpoint is no Keras model with a configuration.
    init?(_ checkpoint: Checkpoint) throws {
        let metadata = try checkpoint.document("metadata.json").map { try parse($0.bytes, "metadata.json") }
        let configuration: JSONValue
        if let attribute = checkpoint.attributes["model_config"] {
            guard let text = attribute.text else {
                throw kerasError("bad-config-json", expected: "text in the attribute model_config")
            }
            configuration = try parse(Array(text.utf8), "the attribute model_config")
        } else if let document = checkpoint.document("config.json") {
            let value = try parse(document.bytes, "config.json")
            // Other ecosystems have a config.json too.
            guard value["class_name"] != nil, value["config"] != nil else {
                // tf_model.h5 lists layers as Keras does, beside a configuration of Hugging Face.
                if value["model_type"]?.string != nil { return nil }
                guard metadata?["keras_version"] != nil || checkpoint.attributes["layer_names"] != nil || checkpoint.group("layers") != nil
                else { return nil }
                throw kerasError("config-not-a-model", expected: "class_name and config in config.json", found: value.kind)
            }
            configuration = value
        } else if checkpoint.format == "keras" {
            throw kerasError("zip-no-config", expected: "config.json in the archive")
        } else {
            return nil
        }

        let hasModelWeights = checkpoint.group("model_weights") != nil
        let group = checkpoint.group("model_weights")?.attributes ?? checkpoint.attributes
        let text =
            checkpoint.attributes["keras_version"]?.text ?? group["keras_version"]?.text ?? metadata?["keras_version"]?.string
            ?? configuration["keras_version"]?.string
        let looksLikeKeras3 = configuration["module"] != nil || configuration["registered_name"] != nil
        version = KerasVersion(text ?? (looksLikeKeras3 ? "3" : nil))
        backend = checkpoint.attributes["backend"]?.text ?? group["backend"]?.text
        original = configuration
        self.configuration = version.generation == 1 ? Keras1Configuration.translated(configuration) : configuration

        let isWhole = checkpoint.attributes["model_config"] != nil
        if checkpoint.attributes[KerasModel.namingAttribute]?.text == "canonical" {
            weights = .canonical
        } else if hasModelWeights {
            weights = .named(base: "model_weights")
        } else if checkpoint.attributes.strings("layer_names") != nil {
            weights = .named(base: "")
        } else if checkpoint.group("_layer_checkpoint_dependencies") != nil && checkpoint.group("layers") == nil {
            weights = .store(container: "_layer_checkpoint_dependencies")
        } else {
            weights = .store(container: "layers")
        }
        let isArchive = metadata != nil
        switch weights {
        case .named: dialect = "keras\(version.generation)-" + (isWhole ? "h5" : "weights-h5")
        case .canonical: dialect = "keras\(version.generation)-canonical"
        case .store: dialect = "keras\(version.generation)-" + (isArchive ? "archive" : "weights")
        }
    }

}

private func parse(_ bytes: [UInt8], _ what: String) throws(FormatError) -> JSONValue {
    do {
        return try JSONValue.parse(bytes)
    } catch {
        throw kerasError("bad-config-json", expected: "JSON in \(what)", found: "\(error.code) at byte \(error.offset ?? 0)")
    }
}
