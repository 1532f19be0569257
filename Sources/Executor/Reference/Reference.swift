import ModelIR

/// The reference backend: each op as plainly as it can be said, in f64.
enum Reference {
    /// The outputs of one node. A composite runs by its definition.
    static func apply(_ node: ConcreteNode, _ inputs: [ReferenceArray], _ types: [ConcreteType]) throws -> [ReferenceArray] {
        if let expansion = node.expansion { return try run(expansion, inputs: inputs) }
        let type = types[0]
        switch node.op {
        case .constant(let literal): return [ReferenceArray(type, converting: literal.values)]
        case .unary(let function): return [unary(function, inputs[0], type)]
        case .binary(let function): return [binary(function, inputs[0], inputs[1], type)]
        case .compare(let comparison): return [compare(comparison, inputs[0], inputs[1], type)]
        case .select: return [select(inputs[0], inputs[1], inputs[2], type)]
        case .cast: return [cast(inputs[0], type)]
        case .reduce(let reduction, let axes, _): return [reduce(reduction, axes: axes, inputs[0], type)]
        case .matmul: return [matmul(inputs[0], inputs[1], type)]
        case .reshape: return [reshape(inputs[0], type)]
        case .transpose(let permutation): return [transpose(permutation, inputs[0], type)]
        case .broadcast: return [broadcast(inputs[0], type)]
        case .slice(let ranges): return [slice(ranges, inputs[0], type)]
        case .reverse(let axes): return [reverse(axes: axes, inputs[0], type)]
        case .pad(let widths, let value): return [pad(widths, value: value, inputs[0], type)]
        case .concat(let axis): return [concat(axis: axis, inputs, type)]
        case .gather(let axis): return [try gather(axis: axis, inputs[0], inputs[1], type, node)]
        case .scatter(let axis): return [try scatter(axis: axis, inputs[0], inputs[1], inputs[2], type, node)]
        case .sort(let axis): return sort(axis: axis, inputs[0], types)
        case .argmax(let axis, _): return [argmax(axis: axis, inputs[0], type)]
        case .cumulativeSum(let axis): return [cumulativeSum(axis: axis, inputs[0], type)]
        case .iota(_, let axis): return [iota(axis: axis, type)]
        case .convolution(let value): return [convolution(value, inputs[0], inputs[1], type)]
        case .pool(let value): return [pool(value, inputs[0], type)]
        case .composite(let composite):
            switch composite.definition {
            case .graph: return try run(ConcreteGraph(definitionOf: composite, inputs: inputs.map(\.type)), inputs: inputs)
            case .loop(let body):
                let results = try body(inputs.map { RealArray(shape: $0.shape, values: $0.doubles) })
                return zip(results, types).map { ReferenceArray($1, converting: $0.values) }
            }
        }
    }

    /// Runs a graph whose inputs are given in order; values are freed after their last use.
    /// - Parameters:
    ///   - load: gives a parameter's elements, asked once when it is first needed.
    ///   - produced: told of every value as it comes to be.
    static func run(
        _ graph: ConcreteGraph, inputs: [ReferenceArray], load: (String, ConcreteType) throws -> ReferenceArray = noParameters,
        produced: (Int, ReferenceArray) -> Void = { _, _ in }
    ) throws -> [ReferenceArray] {
        let last = graph.lastUses()
        var values = [ReferenceArray?](repeating: nil, count: graph.types.count)
        var names: [Int: String] = [:]
        for (value, name) in graph.parameters { names[value] = name }
        func value(_ index: Int) throws -> ReferenceArray {
            if let known = values[index] { return known }
            guard let name = names[index] else { throw GraphError("value %\(index) is used before it is defined") }
            let loaded = try load(name, graph.types[index])
            values[index] = loaded
            return loaded
        }
        for (index, input) in zip(graph.inputs, inputs) {
            values[index] = input
            produced(index, input)
        }
        for (position, node) in graph.nodes.enumerated() {
            let results = try apply(node, node.inputs.map(value), node.outputs.map { graph.types[$0] })
            for (index, result) in zip(node.outputs, results) {
                values[index] = result
                produced(index, result)
            }
            for index in node.inputs + node.outputs where last[index] <= position { values[index] = nil }
        }
        return try graph.outputs.map(value)
    }

    private static func noParameters(_ name: String, _ type: ConcreteType) throws -> ReferenceArray {
        throw GraphError("a definition has no parameter '\(name)'")
    }
}
