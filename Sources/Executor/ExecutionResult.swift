import ModelIR

/// A tensor under the name of an output or a layer.
public struct NamedTensor: Sendable {
    public var name: String
    public var tensor: Tensor

    public init(_ name: String, _ tensor: Tensor) {
        self.name = name
        self.tensor = tensor
    }
}

/// Which values besides the outputs a run copies out. Capturing never changes what is computed.
public enum Capture: Hashable, Sendable {
    case nothing
    /// The graph's `layerOutputs`, in their order.
    case layerOutputs
    /// These values, in this order.
    case values([NamedValue])
}

/// What one forward pass gave.
public struct ExecutionResult: Sendable {
    /// In the graph's order. Float outputs are f32, from the reference backend f64 where the graph says f64; others have the graph's dtype.
    public var outputs: [NamedTensor]
    /// What was captured: floats as f64 from the reference backend and f32 from the fast one, integers as i64, bool as bool.
    public var captured: [NamedTensor]

    public subscript(name: String) -> Tensor? { outputs.first { $0.name == name }?.tensor }
}
