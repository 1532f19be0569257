import Glibc
import ModelIR
import Testing

func expectClose(
    _ actual: [Double], _ expected: [Double], tolerance: Double = 1e-12, _ comment: Comment? = nil,
    sourceLocation: SourceLocation = #_sourceLocation
) {
    let isClose =
        actual.count == expected.count
        && zip(actual, expected).allSatisfy { $0 == $1 || abs($0 - $1) <= tolerance * max(1, abs($1)) || $0.isNaN && $1.isNaN }
    #expect(isClose, "\(comment?.rawValue ?? "") \(actual) against \(expected)", sourceLocation: sourceLocation)
}

/// Runs a composite's definition, so that it can be compared with known numbers without the executor.
func runDefinition(_ composite: Composite, _ inputs: [RealArray]) throws -> [RealArray] {
    switch composite.definition {
    case .loop(let loop): return try loop(inputs)
    case .graph(let build):
        var graph = Graph(name: "definition")
        var ids: [ValueID] = []
        for (i, input) in inputs.enumerated() { ids.append(try graph.addInput("x\(i)", ValueType(.f64, Shape(fixed: input.shape)))) }
        let expected = try Op.composite(composite).inferTypes(ids.map { graph.type(of: $0) })
        let outputs = try build(&graph, ids)
        #expect(outputs.map { graph.type(of: $0) } == expected, "the definition's types are not those that are inferred")
        var values = Dictionary(uniqueKeysWithValues: zip(ids, inputs))
        for node in graph.nodes {
            let shape = graph.type(of: node.outputs[0]).shape.fixedSizes ?? []
            values[node.outputs[0]] = try run(node.op, node.inputs.compactMap { values[$0] }, shape)
        }
        return outputs.compactMap { values[$0] }
    }
}

/// The few primitives that definitions use.
private func run(_ op: Op, _ inputs: [RealArray], _ shape: [Int]) throws -> RealArray {
    switch op {
    case .constant(let literal): return RealArray(shape: literal.shape, values: literal.values)
    case .reshape: return RealArray(shape: shape, values: inputs[0].values)
    case .unary(let function):
        return RealArray(
            shape: shape,
            values: try inputs[0].values.map {
                switch function {
                case .exp: exp($0)
                case .log: log($0)
                case .rsqrt: 1 / $0.squareRoot()
                default: throw GraphError("\(function) is in no definition")
                }
            })
    case .binary(let function):
        let (a, b) = (broadcast(inputs[0], shape), broadcast(inputs[1], shape))
        return RealArray(
            shape: shape,
            values: try zip(a, b).map {
                switch function {
                case .add: $0 + $1
                case .subtract: $0 - $1
                case .multiply: $0 * $1
                case .divide: $0 / $1
                default: throw GraphError("\(function) is in no definition")
                }
            })
    case .reduce(let reduction, let axes, keepsDimensions: true):
        let x = inputs[0]
        let reduced = Set(axes.map { $0 < 0 ? $0 + x.shape.count : $0 })
        var groups = [[Double]](repeating: [], count: shape.reduce(1, *))
        for (i, value) in x.values.enumerated() {
            var position = 0
            for (axis, index) in indices(i, x.shape).enumerated() {
                position = position * shape[axis] + (reduced.contains(axis) ? 0 : index)
            }
            groups[position].append(value)
        }
        return RealArray(
            shape: shape,
            values: try groups.map { group in
                switch reduction {
                case .sum: group.reduce(0, +)
                case .mean: group.reduce(0, +) / Double(group.count)
                case .maximum: group.max() ?? -.infinity
                default: throw GraphError("\(reduction) is in no definition")
                }
            })
    default: throw GraphError("\(op.name) is in no definition")
    }
}

private func indices(_ position: Int, _ shape: [Int]) -> [Int] {
    var rest = position
    var result: [Int] = []
    for size in shape.reversed() {
        result.append(rest % size)
        rest /= size
    }
    return result.reversed()
}

private func broadcast(_ array: RealArray, _ shape: [Int]) -> [Double] {
    (0..<shape.reduce(1, *)).map { i in
        var position = 0
        for (size, index) in zip(array.shape, indices(i, shape).suffix(array.shape.count)) {
            position = position * size + min(index, size - 1)
        }
        return array.values[position]
    }
}
