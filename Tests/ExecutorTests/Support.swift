import Executor
import ModelIR
import Testing

/// Tests that force an instruction set, which is global, and tests that ask for equal bits: never at the same time.
@Suite(.serialized) struct SerialTests {}

/// A graph of one op; the inputs whose positions are in `constants` are parameters.
func oneOp(_ op: Op, _ inputs: [Tensor], constants: Set<Int> = []) throws -> (
    graph: Graph, inputs: [String: Tensor], parameters: [String: Tensor]
) {
    var graph = Graph(name: "test")
    var values: [ValueID] = []
    var (named, parameters): ([String: Tensor], [String: Tensor]) = ([:], [:])
    for (i, tensor) in inputs.enumerated() {
        let type = ValueType(tensor.dtype, Shape(fixed: tensor.shape))
        if constants.contains(i) {
            values.append(try graph.addParameter("x\(i)", type))
            parameters["x\(i)"] = tensor
        } else {
            values.append(try graph.addInput("x\(i)", type))
            named["x\(i)"] = tensor
        }
    }
    graph.outputs = try graph.appendAll(op, values).enumerated().map { NamedValue("y\($0.offset)", $0.element) }
    return (graph, named, parameters)
}

/// Runs a graph of one op; gives every output's elements as numbers.
func evaluate(
    _ op: Op, _ inputs: [Tensor], backend: Backend = .reference, constants: Set<Int> = [], isRepeated: Bool = false
) throws -> [(shape: [Int], values: [Double])] {
    let (graph, named, parameters) = try oneOp(op, inputs, constants: constants)
    let options = ExecutionOptions(backend: backend, threadCount: 2, isRepeated: isRepeated)
    let result = try Executor.run(graph, parameters: parameters, inputs: named, options: options)
    return try result.outputs.map { ($0.tensor.shape, try $0.tensor.doubles()) }
}

/// Expects the fast backend to agree with the reference: floats within `tolerance` of the element and the output's RMS, others exactly.
func expectFastMatches(
    _ op: Op, _ inputs: [Tensor], constants: Set<Int> = [], isRepeated: Bool = false, tolerance: Double = 1e-6,
    sourceLocation: SourceLocation = #_sourceLocation
) throws {
    let fast = try evaluate(op, inputs, backend: .fast, constants: constants, isRepeated: isRepeated)
    let reference = try evaluate(op, inputs, constants: constants)
    #expect(fast.count == reference.count, sourceLocation: sourceLocation)
    for (a, b) in zip(fast, reference) {
        let finite = b.values.filter(\.isFinite)
        let rms = finite.isEmpty ? 0 : (finite.reduce(0) { $0 + $1 * $1 } / Double(finite.count)).squareRoot()
        #expect(a.shape == b.shape, sourceLocation: sourceLocation)
        var (worst, place) = (0.0, 0)
        for (i, (x, y)) in zip(a.values, b.values).enumerated() where !(x == y || x.isNaN && y.isNaN) {
            let off = abs(x - y) / max(rms, abs(y), 1e-3)
            if !(off <= worst) { (worst, place) = (off.isNaN ? .infinity : off, i) }
        }
        #expect(
            worst <= tolerance,
            "\(op) of \(inputs.map(\.shape)): element \(place) is \(a.values[place]), not \(b.values[place]); rms \(rms)",
            sourceLocation: sourceLocation)
    }
}

/// A real tensor (f64, so that the reference backend shows all its digits).
func real(_ shape: [Int], _ values: [Double]) -> Tensor { Tensor(values, shape: shape) }
func integers(_ shape: [Int], _ values: [Int64]) -> Tensor { Tensor(values, shape: shape) }
func bools(_ shape: [Int], _ values: [UInt8]) -> Tensor { Tensor(dtype: .bool, shape: shape, bytes: values) }

extension SeededGenerator {
    mutating func tensor(_ shape: [Int], scale: Double = 1) -> Tensor {
        Tensor((0..<shape.reduce(1, *)).map { _ in Float(normal() * scale) }, shape: shape)
    }
}

/// Expects equal shapes and elements within `tolerance`, NaN matching NaN.
func expect(
    _ actual: (shape: [Int], values: [Double]), _ shape: [Int], _ values: [Double], tolerance: Double = 1e-12,
    sourceLocation: SourceLocation = #_sourceLocation
) {
    #expect(actual.shape == shape, sourceLocation: sourceLocation)
    #expect(actual.values.count == values.count, sourceLocation: sourceLocation)
    for (i, (a, b)) in zip(actual.values, values).enumerated() {
        let same = a == b || (a.isNaN && b.isNaN) || abs(a - b) <= tolerance * max(1, abs(b))
        #expect(same, "element \(i): \(a), expected \(b)", sourceLocation: sourceLocation)
    }
}
