/// A value in a graph, by its position in `Graph.types`.
public struct ValueID: Hashable, Sendable {
    public var index: Int
    public init(_ index: Int) { self.index = index }
}

/// One application of an op.
public struct Node: Hashable, Sendable {
    public var op: Op
    public var inputs: [ValueID]
    public var outputs: [ValueID]
    /// Name of the layer in the source that this node comes from.
    public var origin: String
}

/// A name for a value: an input, a parameter, an output, or a layer's output.
public struct NamedValue: Hashable, Sendable {
    public var name: String
    public var value: ValueID

    public init(_ name: String, _ value: ValueID) {
        self.name = name
        self.value = value
    }
}

/// A model's computation: static single assignment in topological order, a value type.
///
/// Built by `addInput`, `addParameter` and `append`, which infers and checks types, so that a graph that exists is well formed.
public struct Graph: Hashable, Sendable {
    public var name: String
    public private(set) var inputs: [NamedValue] = []
    public private(set) var parameters: [NamedValue] = []
    public private(set) var nodes: [Node] = []
    /// Type of every value.
    public private(set) var types: [ValueType] = []
    public var outputs: [NamedValue] = []
    /// The output of each layer of the source, in order of computation: what `verify` compares. A layer that is called twice appears as
    /// `name`, `name_1`.
    public var layerOutputs: [NamedValue] = []
    /// Origin of the nodes that are appended next; no part of what the graph is.
    public var origin = ""

    public init(name: String) { self.name = name }

    public func type(of value: ValueID) -> ValueType { types[value.index] }

    private mutating func newValue(_ type: ValueType) -> ValueID {
        types.append(type)
        return ValueID(types.count - 1)
    }

    private func checkSizes(_ type: ValueType, _ what: String) throws(GraphError) {
        guard type.shape.dims.allSatisfy({ $0.fixedValue ?? 0 >= 0 }) else {
            throw GraphError("\(what) has a negative size: \(type)", origin: origin.isEmpty ? nil : origin)
        }
    }

    public mutating func addInput(_ name: String, _ type: ValueType) throws(GraphError) -> ValueID {
        try checkSizes(type, "input '\(name)'")
        guard inputNames.insert(name).inserted else { throw GraphError("two inputs are named '\(name)'") }
        let value = newValue(type)
        inputs.append(NamedValue(name, value))
        return value
    }

    /// A parameter; asked for again under the same name and type it is the same value (a shared layer).
    public mutating func addParameter(_ name: String, _ type: ValueType) throws(GraphError) -> ValueID {
        if let known = parameterIDs[name] {
            guard self.type(of: known) == type else {
                throw GraphError("parameter '\(name)' is used as \(type) and as \(self.type(of: known))")
            }
            return known
        }
        try checkSizes(type, "parameter '\(name)'")
        let value = newValue(type)
        parameters.append(NamedValue(name, value))
        parameterIDs[name] = value
        return value
    }

    private var inputNames: Set<String> = []
    private var parameterIDs: [String: ValueID] = [:]

    /// Appends a node and infers its outputs.
    /// - Throws: `GraphError` if the inputs definitely don't fit the op.
    public mutating func appendAll(_ op: Op, _ inputs: [ValueID]) throws(GraphError) -> [ValueID] {
        for input in inputs where input.index < 0 || input.index >= types.count {
            throw GraphError("value %\(input.index) is used before it is defined", origin: origin)
        }
        let outputTypes: [ValueType]
        do {
            outputTypes = try op.inferTypes(inputs.map { types[$0.index] })
        } catch {
            throw GraphError(error.message, origin: origin.isEmpty ? nil : origin)
        }
        for type in outputTypes { try checkSizes(type, op.name) }
        var outputs: [ValueID] = []
        for type in outputTypes { outputs.append(newValue(type)) }
        nodes.append(Node(op: op, inputs: inputs, outputs: outputs, origin: origin))
        return outputs
    }

    /// Appends a node and gives its first output.
    public mutating func append(_ op: Op, _ inputs: [ValueID]) throws(GraphError) -> ValueID { try appendAll(op, inputs)[0] }

    public mutating func unary(_ function: UnaryFunction, _ x: ValueID) throws(GraphError) -> ValueID { try append(.unary(function), [x]) }

    public mutating func binary(_ function: BinaryFunction, _ a: ValueID, _ b: ValueID) throws(GraphError) -> ValueID {
        try append(.binary(function), [a, b])
    }

    public mutating func scalar(_ value: Double, _ dtype: DType) throws(GraphError) -> ValueID {
        try append(.constant(Literal(dtype, [value])), [])
    }

    public mutating func activation(_ activation: Activation, _ x: ValueID) throws(GraphError) -> ValueID {
        activation == .linear ? x : try append(.composite(.activation(activation)), [x])
    }
}

extension Graph {
    /// Equal in everything but the origin of nodes to come.
    public static func == (a: Graph, b: Graph) -> Bool {
        a.name == b.name && a.inputs == b.inputs && a.parameters == b.parameters && a.nodes == b.nodes && a.types == b.types
            && a.outputs == b.outputs && a.layerOutputs == b.layerOutputs
    }

    public func hash(into hasher: inout Hasher) {
        hasher.combine(name)
        hasher.combine(inputs)
        hasher.combine(parameters)
        hasher.combine(nodes)
        hasher.combine(types)
        hasher.combine(outputs)
        hasher.combine(layerOutputs)
    }
}
