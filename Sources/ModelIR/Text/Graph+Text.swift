extension Graph {
    /// Version of the text form, in its first line.
    public static let textVersion = 1

    /// The graph as text that `parse` reads back to an equal graph.
    ///
    /// Declarations stand in the order of creation, so that values keep their numbers:
    ///
    ///     ingot graph 1
    ///     graph @model(%input: f32[batch, 4]) -> (scores: f32[batch, 2]) {
    ///       parameter @dense/kernel: f32[4, 2]
    ///       %2 = matmul(%input, @dense/kernel) : f32[batch, 2]  // dense
    ///       %3 = softmax(%2) axis=-1 : f32[batch, 2]  // softmax
    ///       output scores = %3
    ///       layer dense = %2
    ///       layer softmax = %3
    ///     }
    public var text: String { GraphPrinter(self).text() }
}

private struct GraphPrinter {
    let graph: Graph
    /// How each value is written where it is used.
    var references: [String]

    init(_ graph: Graph) {
        self.graph = graph
        references = graph.types.indices.map { "%\($0)" }
        for input in graph.inputs { references[input.value.index] = "%" + TextName.inputText(input.name) }
        for parameter in graph.parameters { references[parameter.value.index] = "@" + TextName.text(parameter.name) }
    }

    /// `outputs` and `layerOutputs` are open to change, so a value may be none of the graph's; the parser refuses it.
    func reference(_ value: ValueID) -> String {
        references.indices.contains(value.index) ? references[value.index] : "%\(value.index)"
    }

    func type(_ value: ValueID) -> String {
        graph.types.indices.contains(value.index) ? graph.types[value.index].description : "?"
    }

    func text() -> String {
        var result = "ingot graph \(Graph.textVersion)\ngraph @\(TextName.text(graph.name))("
        result += graph.inputs.enumerated().map { position, input in
            // An input that comes after other values says its number.
            let number = input.value.index == position ? "" : " = %\(input.value.index)"
            return "\(reference(input.value))\(number): \(type(input.value))"
        }.joined(separator: ", ")
        result += ") -> ("
        result += graph.outputs.map { "\(TextName.text($0.name)): \(type($0.value))" }.joined(separator: ", ")
        result += ") {\n"

        var parameters = graph.parameters[...]
        func declareParameters(before index: Int) {
            while let parameter = parameters.first, parameter.value.index < index {
                result += "  parameter \(reference(parameter.value)): \(type(parameter.value))\n"
                parameters.removeFirst()
            }
        }
        var next = 0
        for node in graph.nodes {
            next = node.outputs.first?.index ?? next
            declareParameters(before: next)
            result += line(node)
        }
        declareParameters(before: Int.max)
        for output in graph.outputs { result += "  output \(TextName.text(output.name)) = \(reference(output.value))\n" }
        for layer in graph.layerOutputs { result += "  layer \(TextName.text(layer.name)) = \(reference(layer.value))\n" }
        return result + "}\n"
    }

    func line(_ node: Node) -> String {
        var line = "  " + node.outputs.map { "%\($0.index)" }.joined(separator: ", ")
        line += " = \(node.op.name)(\(node.inputs.map(reference).joined(separator: ", ")))"
        for attribute in node.op.textAttributes { line += " " + attribute }
        line += " : " + node.outputs.map(type).joined(separator: ", ")
        if !node.origin.isEmpty { line += "  // " + TextName.text(node.origin) }
        return line + "\n"
    }
}
