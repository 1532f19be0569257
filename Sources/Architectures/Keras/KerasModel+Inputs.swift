import ByteIO
import JSON
import ModelIR

/// An input of the model: its name, element type, and shape with the batch first; nil is open.
struct KerasInputSpec: Hashable, Sendable {
    var name: String
    var dtype: DType
    var shape: [Int?]
}

extension KerasModel {
    func inputSpecs() throws -> [KerasInputSpec] {
        guard container.isSequential else {
            let byName = Dictionary(container.layers.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
            return try container.inputs.map { reference in
                guard let spec = byName[reference.layer] else {
                    throw kerasError("missing-layer", expected: "an input layer '\(reference.layer)'", found: "none")
                }
                guard let shape = try inputShape(spec) else {
                    throw kerasError("bad-config", expected: "a shape for the input layer '\(spec.name)'", found: "none")
                }
                return KerasInputSpec(name: spec.name, dtype: try inputDType(spec), shape: shape)
            }
        }
        guard let first = container.layers.first else { throw kerasError("config-not-a-model", expected: "layers", found: "none") }
        if first.className == "InputLayer", let shape = try inputShape(first) {
            return [KerasInputSpec(name: first.name, dtype: try inputDType(first), shape: shape)]
        }
        // A chain that begins with another Sequential takes that one's input.
        var leaf = first
        while let nested = leaf.container, nested.isSequential, let inner = nested.layers.first { leaf = inner }
        let name = leaf.className == "InputLayer" ? leaf.name : "\(first.name)_input"
        if let shape = try inputShape(leaf) ?? container.buildInputShape {
            return [KerasInputSpec(name: name, dtype: try inputDType(leaf), shape: shape)]
        }
        guard let shape = shapeFromWeights(leaf) else {
            throw UnsupportedError(
                "the model states no input shape, and none follows from the weights of its first layer '\(first.name)' (\(first.className))"
            )
        }
        return [KerasInputSpec(name: name, dtype: try inputDType(leaf), shape: shape)]
    }

    private func inputShape(_ spec: KerasLayerSpec) throws -> [Int?]? {
        for key in ["batch_input_shape", "batch_shape"] {
            if let value = spec.config[key], !value.isNull { return try parseShape(value) }
        }
        if let value = spec.config["shape"] ?? spec.config["input_shape"], !value.isNull { return [nil] + (try parseShape(value)) }
        return nil
    }

    private func inputDType(_ spec: KerasLayerSpec) throws -> DType {
        // Keras 1 kept an Embedding's integers apart.
        let name = spec.config["input_dtype"]?.string ?? dtypeName(spec.config["dtype"]) ?? "float32"
        switch name {
        case "float32", "float16", "bfloat16", "mixed_float16", "mixed_bfloat16": return computeDType
        case "float64": return .f64
        case "int32": return .i32
        case "int64": return .i64
        case "int16": return .i16
        case "int8": return .i8
        case "uint8": return .u8
        case "uint16": return .u16
        case "uint32": return .u32
        case "bool": return .bool
        default: throw UnsupportedError("the input '\(spec.name)' has dtype \(name), which isn't supported")
        }
    }

    /// The input of a first layer that states none, as far as its weights tell.
    private func shapeFromWeights(_ spec: KerasLayerSpec) -> [Int?]? {
        func shape(_ role: String) -> [Int]? { parameters.first { $0.name == "\(spec.name)/\(role)" }?.tensor.shape }
        switch spec.className {
        case "Embedding": return [nil, nil]
        case "Dense": return shape("kernel").map { [nil, $0[0]] }
        case "LSTM", "GRU", "SimpleRNN": return shape("kernel").map { [nil, nil, $0[0]] }
        case "Bidirectional": return shape("forward_layer/kernel").map { [nil, nil, $0[0]] }
        case "Conv1D": return shape("kernel").map { [nil, nil, $0[1] * (spec.config["groups"]?.int ?? 1)] }
        default: return nil
        }
    }
}
