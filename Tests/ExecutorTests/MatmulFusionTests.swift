import ModelIR
import Testing

@testable import Executor

/// Matmuls that have taken in a transposition, a bias and an activation.
@Suite struct MatmulFusionTests {
    /// activation(x . w^T + b), w: [.., n, k].
    static func dense(
        _ x: [Int], _ w: [Int], bias: Bool, activation: Activation, keeping kept: Bool = false, constant: Bool = true
    ) throws -> (Graph, [String: Tensor], [String: Tensor]) {
        var random = SeededGenerator(seed: 21)
        var graph = Graph(name: "dense")
        var (inputs, parameters) = (["x": random.tensor(x)], [String: Tensor]())
        let input = try graph.addInput("x", ValueType(.f32, Shape(fixed: x)))
        let type = ValueType(.f32, Shape(fixed: w))
        let weights = constant ? try graph.addParameter("w", type) : try graph.addInput("w", type)
        if constant { parameters["w"] = random.tensor(w) } else { inputs["w"] = random.tensor(w) }
        let permutation = Array(0..<w.count - 2) + [w.count - 1, w.count - 2]
        var y = try graph.append(.matmul, [input, graph.append(.transpose(permutation), [weights])])
        if kept { graph.layerOutputs.append(NamedValue("product", y)) }
        if bias {
            y = try graph.binary(.add, graph.addParameter("b", ValueType(.f32, [.fixed(w[w.count - 2])])), y)
            parameters["b"] = random.tensor([w[w.count - 2]])
        }
        graph.outputs = [NamedValue("y", try graph.activation(activation, y))]
        return (graph, inputs, parameters)
    }

    @Test(arguments: [
        ([5, 7], [9, 7]), ([2, 3, 7], [40, 7]), ([64, 33], [17, 33]), ([2, 3, 4, 7], [2, 3, 5, 7]), ([2, 3, 4, 7], [3, 5, 7]),
        ([4, 7], [3, 5, 7]),
        ([3, 0], [4, 0]), ([0, 3], [4, 3]),
    ])
    func matchesReference(_ x: [Int], _ w: [Int]) throws {
        for options in 0..<16 {
            let (graph, inputs, parameters) = try Self.dense(
                x, w, bias: options & 1 == 0, activation: options & 2 == 0 ? .gelu : .linear, keeping: options & 4 != 0,
                constant: options & 8 == 0)
            func run(_ backend: Backend, repeated: Bool = false) throws -> ExecutionResult {
                try Executor.run(
                    graph, parameters: parameters, inputs: inputs,
                    options: ExecutionOptions(backend: backend, threadCount: 2, isRepeated: repeated), capturing: .layerOutputs)
            }
            let reference = try run(.reference)
            for repeated in [false, true] {
                let fast = try run(.fast, repeated: repeated)
                #expect(fast.captured.count == reference.captured.count)
                for (a, b) in zip(fast.outputs + fast.captured, reference.outputs + reference.captured) {
                    let comparison = try compare(a.tensor, b.tensor)
                    #expect(comparison.passes, "options \(options), \(a.name): \(comparison)")
                }
            }
        }
    }

    @Test func takesInWhatItMay() throws {
        func steps(kept: Bool) throws -> [ConcreteNode] {
            let (graph, inputs, _) = try Self.dense([5, 7], [9, 7], bias: true, activation: .relu, keeping: kept)
            return try #require(Planner.plan(graph, inputShapes: inputs.mapValues(\.shape)).layout).graph.nodes
        }
        let fused = try steps(kept: false)
        #expect(fused.count == 1)
        #expect(fused[0].fusion == MatmulFusion(transposesRight: true, hasBias: true, activation: .relu))
        // A captured product is not swallowed.
        let whole = try steps(kept: true)
        #expect(whole.count == 3)
        #expect(whole[0].fusion == MatmulFusion(transposesRight: true))
    }
}
