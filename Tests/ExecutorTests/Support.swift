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

/// How far an output's floats are from others, of the larger of the element and the output's RMS: the largest, and where.
func largestDifference(_ a: [Double], _ b: [Double]) -> (worst: Double, place: Int, rms: Double) {
    let finite = b.filter(\.isFinite)
    let rms = finite.isEmpty ? 0 : (finite.reduce(0) { $0 + $1 * $1 } / Double(finite.count)).squareRoot()
    var (worst, place) = (0.0, 0)
    for (i, (x, y)) in zip(a, b).enumerated() where !(x == y || x.isNaN && y.isNaN) {
        let off = abs(x - y) / max(rms, abs(y), 1e-3)
        if !(off <= worst) { (worst, place) = (off.isNaN ? .infinity : off, i) }
    }
    return (worst, place, rms)
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
        #expect(a.shape == b.shape, sourceLocation: sourceLocation)
        let (worst, place, rms) = largestDifference(a.values, b.values)
        #expect(
            worst <= tolerance,
            "\(op) of \(inputs.map(\.shape)): element \(place) is \(a.values[place]), not \(b.values[place]); rms \(rms)",
            sourceLocation: sourceLocation)
    }
}

/// Expects a kernel to be no farther from the reference, which computes in f64, than `factor` times what the definition is when its
/// primitives run in f32: the rounding that these inputs bring with them, whoever computes.
func expectFastRoundsLikeDefinition(
    _ composite: Composite, _ inputs: [Tensor], factor: Double, sourceLocation: SourceLocation = #_sourceLocation
) throws {
    guard case .graph(let define) = composite.definition else { throw GraphError("\(composite) is defined by a loop") }
    var graph = Graph(name: "definition")
    var values: [ValueID] = []
    var named: [String: Tensor] = [:]
    for (i, tensor) in inputs.enumerated() {
        values.append(try graph.addInput("x\(i)", ValueType(tensor.dtype, Shape(fixed: tensor.shape))))
        named["x\(i)"] = tensor
    }
    graph.outputs = try define(&graph, values).enumerated().map { NamedValue("y\($0.offset)", $0.element) }
    let plain = try Executor.run(graph, parameters: [:], inputs: named, options: ExecutionOptions(threadCount: 2)).outputs
    let fast = try evaluate(.composite(composite), inputs, backend: .fast)
    let reference = try evaluate(.composite(composite), inputs)
    #expect(fast.count == reference.count && plain.count == reference.count, sourceLocation: sourceLocation)
    for ((a, b), c) in zip(zip(fast, reference), plain) {
        #expect(a.shape == b.shape, sourceLocation: sourceLocation)
        let (worst, place, rms) = largestDifference(a.values, b.values)
        let rounding = max(largestDifference(try c.tensor.doubles(), b.values).worst, 0x1p-22)
        #expect(
            worst <= factor * rounding,
            "\(composite) of \(inputs.map(\.shape)): element \(place) is \(a.values[place]), not \(b.values[place]); rms \(rms), f32 rounding \(rounding)",
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
