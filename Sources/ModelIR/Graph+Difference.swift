/// Where two graphs first compute something else.
public struct GraphDifference: Hashable, Sendable, CustomStringConvertible {
    /// Name of the layer, or of the input, parameter or output.
    public var place: String
    public var first: String
    public var second: String

    public var description: String { "\(place): \(first) against \(second)" }
}

extension Graph {
    /// The first difference between this graph and another in inputs, operations with their attributes and operands, types and outputs;
    /// nil if they compute the same on equal parameters. Names of the graphs and the order of operations don't count.
    public func firstDifference(from other: Graph) -> GraphDifference? {
        func list(_ mine: [NamedValue], _ theirs: [NamedValue], _ what: String) -> GraphDifference? {
            for (a, b) in zip(mine, theirs) {
                if a.name != b.name || type(of: a.value) != other.type(of: b.value) {
                    return GraphDifference(
                        place: "\(what) '\(a.name)'", first: "\(a.name): \(type(of: a.value))",
                        second: "\(b.name): \(other.type(of: b.value))")
                }
            }
            if mine.count != theirs.count { return GraphDifference(place: "\(what)s", first: "\(mine.count)", second: "\(theirs.count)") }
            return nil
        }
        if let difference = list(inputs, other.inputs, "input") { return difference }
        // Values correspond when they are made the same way.
        var images: [ValueID: ValueID] = [:]
        for (a, b) in zip(inputs, other.inputs) { images[a.value] = b.value }
        let theirParameters = Dictionary(other.parameters.map { ($0.name, $0.value) }, uniquingKeysWith: { first, _ in first })
        for parameter in parameters {
            guard let image = theirParameters[parameter.name] else {
                return GraphDifference(place: "parameter '\(parameter.name)'", first: "used", second: "not used")
            }
            guard type(of: parameter.value) == other.type(of: image) else {
                return GraphDifference(
                    place: "parameter '\(parameter.name)'", first: "\(type(of: parameter.value))", second: "\(other.type(of: image))")
            }
            images[parameter.value] = image
        }
        var numbering = ValueNumbering()
        let (mine, theirs) = (numbering.numbers(of: self), numbering.numbers(of: other))
        if outputs.map(\.name) == other.outputs.map(\.name),
            outputs.map({ mine[$0.value.index] }) == other.outputs.map({ theirs[$0.value.index] })
        {
            return nil
        }
        for (a, b) in zip(nodes, other.nodes) {
            guard a.op == b.op else {
                return GraphDifference(place: "layer '\(a.origin)'", first: a.op.textForm, second: b.op.textForm)
            }
            guard a.inputs.map({ images[$0] }) == b.inputs.map({ Optional($0) }) else {
                return GraphDifference(place: "layer '\(a.origin)'", first: "\(a.op.name) of some values", second: "\(b.op.name) of others")
            }
            for (x, y) in zip(a.outputs, b.outputs) { images[x] = y }
        }
        if nodes.count != other.nodes.count {
            let extra = nodes.count > other.nodes.count ? nodes[other.nodes.count] : other.nodes[nodes.count]
            return GraphDifference(
                place: "layer '\(extra.origin)'", first: "\(nodes.count) operations", second: "\(other.nodes.count) operations")
        }
        for (a, b) in zip(outputs, other.outputs) where a.name != b.name || images[a.value] != b.value {
            return GraphDifference(place: "output '\(a.name)'", first: "\(a.name)", second: a.name == b.name ? "another value" : b.name)
        }
        if outputs.count != other.outputs.count {
            return GraphDifference(place: "outputs", first: "\(outputs.count)", second: "\(other.outputs.count)")
        }
        return nil
    }
}

extension Op {
    /// Name and attributes as in the graph's text form.
    fileprivate var textForm: String { ([name] + textAttributes).joined(separator: " ") }
}
