/// An operation that stays whole in the graph, for speed, inspection and export; one file each in this folder.
///
/// A composite's definition is its specification, its fallback kernel, and the test oracle of every fused kernel.
public enum Composite: Hashable, Sendable {
    /// x -> x, element by element or along the last axis.
    case activation(Activation)
    case softmax(axis: Int)
    case layerNorm(LayerNorm)
    case batchNorm(BatchNorm)
    /// Simple RNN, LSTM or GRU over time.
    case recurrence(Recurrence)
    case attention(Attention)
    case longformerAttention(LongformerAttention)
    case lshAttention(LSHAttention)
}

/// What a composite computes, in simpler terms.
public enum CompositeDefinition: Sendable {
    /// Appends primitives that compute the outputs from the inputs.
    case graph(@Sendable (inout Graph, [ValueID]) throws(GraphError) -> [ValueID])
    /// A plain loop in double precision, where primitives can't say it (recurrences).
    case loop(@Sendable ([RealArray]) throws(GraphError) -> [RealArray])
}

/// A dense array of `Double`, row-major; bool as 0 and 1. The currency of reference loops.
public struct RealArray: Hashable, Sendable {
    public var shape: [Int]
    public var values: [Double]

    public init(shape: [Int], values: [Double]) {
        self.shape = shape
        self.values = values
    }
}

extension Composite {
    public var definition: CompositeDefinition {
        switch self {
        case .activation(let activation): activation.definition
        case .softmax(let axis): softmaxDefinition(axis: axis, logarithm: false)
        case .layerNorm(let norm): norm.definition
        case .batchNorm(let norm): norm.definition
        case .recurrence(let recurrence): .loop { inputs throws(GraphError) in try recurrence.reference(inputs) }
        case .attention(let attention): attention.definition
        case .longformerAttention(let attention): attention.definition
        case .lshAttention(let attention): .loop { inputs throws(GraphError) in try attention.reference(inputs) }
        }
    }

    func inferTypes(_ inputs: [ValueType]) throws(GraphError) -> [ValueType] {
        switch self {
        case .activation(let activation): try activation.inferTypes(inputs)
        case .softmax(let axis):
            try inferUnaryFloat(inputs, "softmax", axis: axis)
        case .layerNorm(let norm): try norm.inferTypes(inputs)
        case .batchNorm(let norm): try norm.inferTypes(inputs)
        case .recurrence(let recurrence): try recurrence.inferTypes(inputs)
        case .attention(let attention): try attention.inferTypes(inputs)
        case .longformerAttention(let attention): try attention.inferTypes(inputs)
        case .lshAttention(let attention): try attention.inferTypes(inputs)
        }
    }
}

/// One float input whose type is the output's.
func inferUnaryFloat(_ inputs: [ValueType], _ name: String, axis: Int? = nil) throws(GraphError) -> [ValueType] {
    guard inputs.count == 1 else { throw GraphError("\(name) takes 1 input, not \(inputs.count)") }
    guard inputs[0].dtype.isFloat else { throw GraphError("\(name) takes floats, not \(inputs[0].dtype.rawValue)") }
    if let axis {
        guard axis >= -inputs[0].shape.rank, axis < inputs[0].shape.rank else {
            throw GraphError("\(name) has no axis \(axis) in \(inputs[0].shape)")
        }
    }
    return inputs
}

func requireSameDType(_ inputs: [ValueType], _ name: String) throws(GraphError) {
    if let other = inputs.first(where: { $0.dtype != inputs[0].dtype }) {
        throw GraphError("\(name) takes one dtype, not \(inputs[0]) and \(other)")
    }
}

func softmaxDefinition(axis: Int, logarithm: Bool) -> CompositeDefinition {
    .graph { graph, inputs throws(GraphError) in
        let top = try graph.append(.reduce(.maximum, axes: [axis], keepsDimensions: true), inputs)
        let shifted = try graph.binary(.subtract, inputs[0], top)
        let exponentials = try graph.unary(.exp, shifted)
        let sum = try graph.append(.reduce(.sum, axes: [axis], keepsDimensions: true), [exponentials])
        if logarithm { return [try graph.binary(.subtract, shifted, graph.unary(.log, sum))] }
        return [try graph.binary(.divide, exponentials, sum)]
    }
}
