import ByteIO
import JSON
import ModelIR

/// Activation functions by Keras' names. Where the generations compute different things under one name, the generation decides.
enum KerasActivation {
    /// The activation that `config[key]` names; `fallback` where the key is absent.
    /// - Throws: `UnsupportedError` for a function that isn't built in.
    static func parse(_ value: JSONValue?, fallback: Activation = .linear, layer: KerasLayerConfig) throws -> Activation {
        guard let value, !value.isNull else { return value == nil ? fallback : .linear }
        if let name = value.string {
            guard let activation = named(name, generation: layer.generation) else {
                throw UnsupportedError(
                    "layer '\(layer.name)' (\(layer.spec.className)) uses the activation '\(name)', which isn't built in")
            }
            return activation
        }
        // A layer as an activation, `Dense(8, activation=LeakyReLU(0.1))`, or a Keras 3 function object.
        if let className = value["class_name"]?.string {
            if className == "function", let name = value["config"]?.string, value["module"]?.string != "builtins",
                let activation = named(name, generation: layer.generation)
            {
                return activation
            }
            let spec = KerasLayerSpec(
                className: className, name: layer.name, module: nil, registeredName: nil, config: value["config"]?.object ?? [:], calls: [],
                container: nil)
            if let activation = try layerActivation(KerasLayerConfig(spec: spec, version: layer.version)) { return activation }
            let name = className == "function" ? value["config"]?.string.map { "'\($0)'" } ?? className : className
            throw UnsupportedError("layer '\(layer.name)' (\(layer.spec.className)) uses the activation \(name), which isn't built in")
        }
        throw layer.error("activation", expected: "a name")
    }

    /// The activation of one of Keras' activation layers; nil for other classes, and for Softmax along an axis of choice.
    static func layerActivation(_ config: KerasLayerConfig) throws -> Activation? {
        switch config.spec.className {
        case "ReLU":
            let maximum = try config.optionalDouble("max_value")
            let slope = try config.double("negative_slope", default: 0)
            let threshold = try config.double("threshold", default: 0)
            if maximum == nil && slope == 0 && threshold == 0 { return .relu }
            return .rectifier(maximum: maximum, negativeSlope: slope, threshold: threshold)
        case "LeakyReLU":
            // Keras 3 renamed alpha.
            return .leakyReLU(negativeSlope: try config.double(config.has("negative_slope") ? "negative_slope" : "alpha", default: 0.3))
        case "ELU": return .elu(alpha: try config.double("alpha", default: 1))
        case "ThresholdedReLU": return .threshold(threshold: try config.double("theta", default: 1), value: 0)
        default: return nil
        }
    }

    static func named(_ name: String, generation: Int) -> Activation? {
        switch name {
        case "linear": .linear
        case "relu": .relu
        case "relu6": .relu6
        case "leaky_relu": .leakyReLU(negativeSlope: 0.2)
        case "elu": .elu(alpha: 1)
        case "celu": .celu(alpha: 1)
        case "selu": .selu
        case "sigmoid": .sigmoid
        case "hard_sigmoid": generation == 3 ? .hardSigmoid(slope: 1.0 / 6, offset: 0.5) : .hardSigmoid(slope: 0.2, offset: 0.5)
        case "tanh": .tanh
        case "hard_tanh": .hardTanh
        case "tanh_shrink": .tanhShrink
        case "softplus": .softplus
        case "softsign": .softsign
        case "exponential": .exponential
        case "silu", "swish": .silu
        case "hard_silu", "hard_swish": .hardSiLU
        case "mish": .mish
        case "gelu": .gelu
        case "log_sigmoid": .logSigmoid
        case "squareplus": .squareplus(b: 4)
        case "soft_shrink": .softShrink(threshold: 0.5)
        case "hard_shrink": .hardShrink(threshold: 0.5)
        case "sparse_plus": .sparsePlus
        case "sparse_sigmoid": .sparseSigmoid
        case "softmax": .softmax
        case "log_softmax": .logSoftmax
        case "sparsemax": .sparsemax
        case "glu": .glu
        default: nil
        }
    }

    /// Names that tf_keras 2.18 knows; the rest exist in Keras 3 only.
    static let keras2Names: Set<String> = [
        "linear", "relu", "relu6", "leaky_relu", "elu", "selu", "sigmoid", "hard_sigmoid", "tanh", "softplus", "softsign", "exponential",
        "silu",
        "swish", "mish", "gelu", "softmax", "log_softmax",
    ]
}
