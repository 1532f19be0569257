/// Numbers for what graphs compute: values of one graph, or of several, get the same number when they are made the same way from inputs and
/// parameters of the same names and types.
public struct ValueNumbering: Sendable {
    private enum Source: Hashable {
        case input(String, ValueType)
        case parameter(String, ValueType)
        case output(Op, inputs: [Int], position: Int)
    }

    private var known: [Source: Int] = [:]

    public init() {}

    private mutating func number(_ source: Source) -> Int {
        if let number = known[source] { return number }
        known[source] = known.count
        return known.count - 1
    }

    /// The number of each value of a graph, by the value's index.
    /// - Parameter transform: what takes the place of an op, with the layer that it comes from; it keeps types.
    public mutating func numbers(of graph: Graph, mappingOps transform: (Op, _ origin: String) -> Op = { op, _ in op }) -> [Int] {
        var result = [Int](repeating: -1, count: graph.types.count)
        for input in graph.inputs { result[input.value.index] = number(.input(input.name, graph.type(of: input.value))) }
        for parameter in graph.parameters {
            result[parameter.value.index] = number(.parameter(parameter.name, graph.type(of: parameter.value)))
        }
        for node in graph.nodes {
            let rank = node.inputs.first.map { graph.type(of: $0).shape.rank } ?? 0
            let op = transform(node.op, node.origin).countingAxesFromFront(rank: rank)
            let inputs = node.inputs.map { result[$0.index] }
            for (position, output) in node.outputs.enumerated() {
                result[output.index] = number(.output(op, inputs: inputs, position: position))
            }
        }
        return result
    }
}

extension Op {
    /// The same op with axes counted from the front, where it takes them either way.
    /// - Parameter rank: of the first input.
    fileprivate func countingAxesFromFront(rank: Int) -> Op {
        func front(_ axis: Int) -> Int { axis < 0 ? axis + rank : axis }
        if case .reduce(let reduction, let axes, let keeps) = self {
            return .reduce(reduction, axes: axes.map(front).sorted(), keepsDimensions: keeps)
        }
        if case .concat(let axis) = self { return .concat(axis: front(axis)) }
        return self
    }
}
