import Executor
import ModelIR
import Testing

/// Builds and runs a graph of one op on constant inputs; gives every output's elements as numbers.
func evaluate(_ op: Op, _ inputs: [Tensor], backend: Backend = .reference) throws -> [(shape: [Int], values: [Double])] {
    var graph = Graph(name: "test")
    var values: [ValueID] = []
    var named: [String: Tensor] = [:]
    for (i, tensor) in inputs.enumerated() {
        values.append(try graph.addInput("x\(i)", ValueType(tensor.dtype, Shape(fixed: tensor.shape))))
        named["x\(i)"] = tensor
    }
    graph.outputs = try graph.appendAll(op, values).enumerated().map { NamedValue("y\($0.offset)", $0.element) }
    let options = ExecutionOptions(backend: backend, threadCount: 2)
    let result = try Executor.run(graph, parameters: [String: Tensor](), inputs: named, options: options)
    return try result.outputs.map { ($0.tensor.shape, try $0.tensor.doubles()) }
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
