extension Graph {
    /// The graph with each op replaced by what `transform` makes of it. Types must not change.
    public func mappingOps(_ transform: (Op, _ origin: String) -> Op) throws(GraphError) -> Graph {
        try rebuilt(keeping: { _ in true }, transform: transform)
    }

    /// The graph without nodes that no output and no layer output needs.
    public func removingDeadNodes() throws(GraphError) -> Graph {
        var live = [Bool](repeating: false, count: types.count)
        for port in outputs + layerOutputs { live[port.value.index] = true }
        var keeps = [Bool](repeating: false, count: nodes.count)
        for (i, node) in nodes.enumerated().reversed() where node.outputs.contains(where: { live[$0.index] }) {
            keeps[i] = true
            for input in node.inputs { live[input.index] = true }
        }
        return try rebuilt(keeping: { keeps[$0] }, transform: { op, _ in op })
    }

    /// Built anew: values are numbered in the order inputs, then parameters and nodes as they are first needed.
    private func rebuilt(keeping keeps: (Int) -> Bool, transform: (Op, String) -> Op) throws(GraphError) -> Graph {
        var result = Graph(name: name)
        var images: [ValueID: ValueID] = [:]
        for input in inputs { images[input.value] = try result.addInput(input.name, type(of: input.value)) }
        let names = Dictionary(parameters.map { ($0.value, $0.name) }, uniquingKeysWith: { first, _ in first })
        func image(_ value: ValueID, _ graph: inout Graph) throws(GraphError) -> ValueID {
            if let image = images[value] { return image }
            guard let name = names[value] else { throw GraphError("value %\(value.index) is used before it is defined") }
            let image = try graph.addParameter(name, type(of: value))
            images[value] = image
            return image
        }
        for (i, node) in nodes.enumerated() where keeps(i) {
            result.origin = node.origin
            var inputs: [ValueID] = []
            for input in node.inputs { inputs.append(try image(input, &result)) }
            for (old, new) in zip(node.outputs, try result.appendAll(transform(node.op, node.origin), inputs)) { images[old] = new }
        }
        for port in outputs { result.outputs.append(NamedValue(port.name, try image(port.value, &result))) }
        for port in layerOutputs { result.layerOutputs.append(NamedValue(port.name, try image(port.value, &result))) }
        result.origin = ""
        return result
    }
}
