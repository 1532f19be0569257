import ByteIO
import FormatKit
import JSON
import ModelIR

/// The `config.json` of a Hugging Face model, kept verbatim, read with types.
struct TransformerConfig: Hashable, Sendable {
    var json: JSONObject
    /// `model_type`: `bert`, `gpt2`, `t5`, ...
    let modelType: String
    /// The class that wrote the weights, without TensorFlow's prefix: `BertForMaskedLM`; nil where the configuration names none.
    let className: String?

    /// nil where a checkpoint carries no such configuration: neither a document nor a root attribute `config.json`.
    init?(_ checkpoint: Checkpoint) throws {
        let bytes: [UInt8]
        if let document = checkpoint.document("config.json") {
            bytes = document.bytes
        } else if let text = checkpoint.attributes["config.json"]?.text {
            bytes = Array(text.utf8)
        } else {
            return nil
        }
        let value: JSONValue
        do {
            value = try JSONValue.parse(bytes)
        } catch {
            throw transformerError("bad-config-json", expected: "JSON in config.json", found: "\(error.code) at byte \(error.offset ?? 0)")
        }
        guard let object = value.object, let modelType = object["model_type"]?.string else { return nil }
        json = object
        self.modelType = modelType
        let named = object["architectures"]?[0]?.string
        className = named.map { $0.hasPrefix("TF") ? String($0.dropFirst(2)) : $0.hasPrefix("Flax") ? String($0.dropFirst(4)) : $0 }
    }

    /// The first number of the transformers version that wrote it; 4 where none is named.
    var writerGeneration: Int {
        json["transformers_version"]?.string.flatMap { Int($0.prefix { $0 != "." }) } ?? 4
    }

    /// Whether the key is there and not null.
    func has(_ key: String) -> Bool { json[key].map { !$0.isNull } ?? false }

    /// - Throws: `FormatError` where the value isn't an integer.
    func int(_ key: String, default fallback: Int) throws -> Int {
        guard let value = json[key], !value.isNull else { return fallback }
        guard let int = value.int else { throw mismatch(key, "an integer", value) }
        return int
    }

    func optionalInt(_ key: String) throws -> Int? { has(key) ? try int(key, default: 0) : nil }

    /// A size: positive, and small enough that products of two don't overflow.
    func size(_ key: String, default fallback: Int) throws -> Int {
        let value = try int(key, default: fallback)
        guard (1...1 << 31).contains(value) else {
            throw transformerError("bad-config", expected: "a positive size for \(key)", found: "\(value)")
        }
        return value
    }

    /// A number of layers; zero is possible.
    func count(_ key: String, default fallback: Int) throws -> Int {
        let value = try int(key, default: fallback)
        guard (0...1 << 16).contains(value) else {
            throw transformerError("bad-config", expected: "a number of layers for \(key)", found: "\(value)")
        }
        return value
    }

    func double(_ key: String, default fallback: Double) throws -> Double {
        guard let value = json[key], !value.isNull else { return fallback }
        guard let double = value.double else { throw mismatch(key, "a number", value) }
        return double
    }

    func bool(_ key: String, default fallback: Bool) throws -> Bool {
        guard let value = json[key], !value.isNull else { return fallback }
        guard let bool = value.bool else { throw mismatch(key, "true or false", value) }
        return bool
    }

    func string(_ key: String, default fallback: String) throws -> String {
        guard let value = json[key], !value.isNull else { return fallback }
        guard let string = value.string else { throw mismatch(key, "text", value) }
        return string
    }

    func ints(_ key: String) throws -> [Int]? {
        guard let value = json[key], !value.isNull else { return nil }
        guard let array = value.array else { throw mismatch(key, "a list of integers", value) }
        return try array.map {
            guard let int = $0.int else { throw mismatch(key, "a list of integers", value) }
            return int
        }
    }

    func strings(_ key: String) throws -> [String]? {
        guard let value = json[key], !value.isNull else { return nil }
        guard let array = value.array else { throw mismatch(key, "a list of names", value) }
        return try array.map {
            guard let string = $0.string else { throw mismatch(key, "a list of names", value) }
            return string
        }
    }

    /// `num_labels`, or the size of `id2label`.
    func labelCount(default fallback: Int = 2) throws -> Int {
        if let labels = json["id2label"]?.object { return labels.count }
        return try size("num_labels", default: fallback)
    }

    /// An activation by the name that transformers gives it (`transformers/activations.py`).
    /// - Throws: `UnsupportedError` for a name that Ingot doesn't know.
    func activation(_ key: String, default fallback: String) throws -> Activation {
        let name = try string(key, default: fallback)
        guard let activation = Self.activations[name] else { throw UnsupportedError("\(key) \"\(name)\" isn't known") }
        return activation
    }

    static let activations: [String: Activation] = [
        "gelu": .gelu, "gelu_python": .gelu, "gelu_10": .clippedGELU(minimum: -10, maximum: 10),
        "gelu_new": .geluTanh, "gelu_fast": .geluTanh, "gelu_accurate": .geluTanh, "gelu_pytorch_tanh": .geluTanh,
        "gelu_python_tanh": .geluTanh, "quick_gelu": .quickGELU,
        "relu": .relu, "relu2": .reluSquared, "relu6": .relu6, "leaky_relu": .leakyReLU(negativeSlope: 0.01),
        "silu": .silu, "swish": .silu, "hardswish": .hardSiLU, "mish": .mish,
        "sigmoid": .sigmoid, "tanh": .tanh, "linear": .linear, "sqrtsoftplus": .sqrtSoftplus,
        "laplace": .laplace(mean: 0.707107, deviation: 0.282095),
    ]
    /// Those that transformers 4 has for TensorFlow, too.
    static let tensorFlowActivations: Set<String> = [
        "gelu", "gelu_10", "gelu_fast", "gelu_new", "mish", "quick_gelu", "relu", "sigmoid", "silu", "swish", "tanh",
    ]

    /// What TensorFlow's classes call an activation, by its own name or that of an equal one; nil where they have none.
    static func tensorFlowName(ofActivation name: String) -> String? {
        if tensorFlowActivations.contains(name) { return name }
        guard let activation = activations[name] else { return nil }
        return ["gelu", "gelu_new"].first { activations[$0] == activation }
    }

    private func mismatch(_ key: String, _ expected: String, _ value: JSONValue) -> FormatError {
        transformerError("bad-config", expected: "\(expected) for \(key)", found: value.kind)
    }
}

func transformerError(_ code: FormatError.Code, expected: String, found: String? = nil) -> FormatError {
    FormatError("transformers", code, expected: expected, found: found)
}
