import ByteIO
import ModelIR

extension ConcreteGraph {
    /// Puts numbers for all symbols, checks every node again with them, and expands composites.
    /// - Throws: `GraphError` that names the layer, where sizes don't fit each other.
    init(_ graph: Graph, bindings: [String: Int]) throws(GraphError) {
        types = []
        for type in graph.types { types.append(ConcreteType(dtype: type.dtype, shape: try type.shape.evaluate(bindings))) }
        inputs = graph.inputs.map(\.value.index)
        parameters = graph.parameters.map { ($0.value.index, $0.name) }
        outputs = graph.outputs.map(\.value.index)
        nodes = []
        nodes.reserveCapacity(graph.nodes.count)
        // Values that are a graph input or a cast or reshape of one, so that an index out of range can be traced to the user's input.
        var sources = [String?](repeating: nil, count: types.count)
        for input in graph.inputs { sources[input.value.index] = input.name }

        for type in types { _ = try type.checkedCount() }
        for node in graph.nodes {
            do throws(GraphError) {
                let inputTypes = node.inputs.map { types[$0.index].valueType }
                let op = try node.op.concrete(bindings: bindings, inputs: inputTypes)
                let inferred = try op.inferTypes(inputTypes)
                for (output, type) in zip(node.outputs, inferred) where types[output.index].valueType != type {
                    throw GraphError("\(op.name) gives \(type) where the graph expects \(types[output.index].valueType)")
                }
                var concrete = ConcreteNode(
                    op: op, inputs: node.inputs.map(\.index), outputs: node.outputs.map(\.index), origin: node.origin)
                switch op {
                case .cast, .reshape: sources[concrete.outputs[0]] = sources[concrete.inputs[0]]
                case .gather, .scatter: concrete.indexInput = sources[concrete.inputs[1]]
                case .argmax(let axis, _):
                    guard types[concrete.inputs[0]].shape[axis] > 0 || types[concrete.outputs[0]].count == 0 else {
                        throw GraphError("argmax of an empty axis")
                    }
                case .composite(let composite):
                    if case .graph(let build) = composite.definition {
                        concrete.expansion = try ConcreteGraph(definition: build, inputs: inputTypes, name: op.name)
                    }
                case .constant, .unary, .binary, .compare, .select, .reduce, .matmul, .transpose, .broadcast, .slice, .reverse, .pad,
                    .concat,
                    .sort, .cumulativeSum, .iota, .convolution, .pool:
                    break
                }
                nodes.append(concrete)
            } catch {
                throw GraphError(error.message, origin: node.origin.isEmpty ? error.origin : node.origin)
            }
        }
    }

    /// The graph of a composite whose definition is made of primitives.
    init(definitionOf composite: Composite, inputs: [ConcreteType]) throws(GraphError) {
        guard case .graph(let build) = composite.definition else { throw GraphError("\(composite) is defined by a loop, not by a graph") }
        try self.init(definition: build, inputs: inputs.map(\.valueType), name: "definition")
    }

    /// The graph of a composite's definition for inputs of these types.
    private init(
        definition build: (inout Graph, [ValueID]) throws(GraphError) -> [ValueID], inputs: [ValueType], name: String
    ) throws(GraphError) {
        var graph = Graph(name: name)
        var values: [ValueID] = []
        for (i, type) in inputs.enumerated() { values.append(try graph.addInput("\(i)", type)) }
        let results = try build(&graph, values)
        graph.outputs = results.enumerated().map { NamedValue("\($0.offset)", $0.element) }
        try self.init(graph, bindings: [:])
    }
}

extension ConcreteType {
    /// The number of elements, with its bytes sure to fit an Int.
    func checkedCount() throws(GraphError) -> Int {
        var count = 1
        for size in shape where size > 0 {
            let (product, overflow) = count.multipliedReportingOverflow(by: size)
            guard !overflow, product <= Int.max / 64 else { throw GraphError("shape \(shape) is too large") }
            count = product
        }
        return shape.contains(0) ? 0 : count
    }
}

extension Op {
    /// The op with shapes in numbers and axes counted from the front.
    func concrete(bindings: [String: Int], inputs: [ValueType]) throws(GraphError) -> Op {
        func front(_ axis: Int, _ rank: Int? = nil) -> Int { axis < 0 ? axis + (rank ?? inputs.first?.shape.rank ?? 0) : axis }
        switch self {
        case .reshape(let shape): return .reshape(Shape(fixed: try shape.evaluate(bindings)))
        case .broadcast(let shape): return .broadcast(Shape(fixed: try shape.evaluate(bindings)))
        case .iota(let type, let axis):
            return .iota(ValueType(type.dtype, Shape(fixed: try type.shape.evaluate(bindings))), axis: front(axis, type.shape.rank))
        case .reduce(let reduction, let axes, let keeps): return .reduce(reduction, axes: axes.map { front($0) }, keepsDimensions: keeps)
        case .reverse(let axes): return .reverse(axes: axes.map { front($0) })
        case .concat(let axis): return .concat(axis: front(axis))
        case .gather(let axis): return .gather(axis: front(axis))
        case .scatter(let axis): return .scatter(axis: front(axis))
        case .sort(let axis): return .sort(axis: front(axis))
        case .argmax(let axis, let keeps): return .argmax(axis: front(axis), keepsDimensions: keeps)
        case .cumulativeSum(let axis): return .cumulativeSum(axis: front(axis))
        case .composite(.softmax(let axis)): return .composite(.softmax(axis: front(axis)))
        case .constant, .unary, .binary, .compare, .select, .cast, .matmul, .transpose, .slice, .pad, .convolution, .pool, .composite:
            return self
        }
    }
}
