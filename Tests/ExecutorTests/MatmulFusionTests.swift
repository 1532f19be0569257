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
        // Rows a multiple of 4 KiB apart, several parts of a row, several blocks of rows; columns that fill a vector, and some that don't.
        ([14, 1_024], [48, 1_024]), ([2, 9, 1_640], [35, 1_640]), ([250, 20], [100, 20]),
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

    /// activation(x . w + b + r), r a value of the result's shape or of one row.
    private static func residual(_ x: [Int], _ n: Int, residual: [Int], bias: Bool) throws -> (Graph, [String: Tensor], [String: Tensor]) {
        var random = SeededGenerator(seed: 22)
        var graph = Graph(name: "residual")
        let k = x[x.count - 1]
        let inputs = ["x": random.tensor(x), "r": random.tensor(residual)]
        let parameters = ["w": random.tensor([k, n]), "b": random.tensor([n])]
        let input = try graph.addInput("x", ValueType(.f32, Shape(fixed: x)))
        var added = try graph.addInput("r", ValueType(.f32, Shape(fixed: residual)))
        // Made by a node, not the caller's.
        added = try graph.unary(.tanh, added)
        var y = try graph.append(.matmul, [input, graph.addParameter("w", ValueType(.f32, [.fixed(k), .fixed(n)]))])
        let offset = try graph.addParameter("b", ValueType(.f32, [.fixed(n)]))
        if bias { y = try graph.binary(.add, y, offset) }
        y = try graph.binary(.add, added, y)
        // A second bias comes too late.
        if !bias { y = try graph.binary(.add, y, offset) }
        graph.outputs = [NamedValue("y", try graph.activation(.gelu, y))]
        return (graph, inputs, parameters)
    }

    @Test(arguments: [
        ([5, 7], [5, 9]), ([2, 3, 7], [2, 3, 40]), ([64, 33], [64, 17]), ([1, 1, 16], [1, 1, 16]), ([2, 3, 7], [1, 1, 40]),
        ([5, 7], [5, 1]), ([14, 2_048], [14, 48]), ([200, 900], [200, 16]),
    ])
    func addsResiduals(_ x: [Int], _ residual: [Int]) throws {
        for options in 0..<8 {
            let n = residual.last == 1 ? 9 : residual[residual.count - 1]
            let (graph, inputs, parameters) = try Self.residual(x, n, residual: residual, bias: options & 1 == 0)
            func run(_ backend: Backend) throws -> Tensor {
                try Executor.run(
                    graph, parameters: parameters, inputs: inputs,
                    options: ExecutionOptions(
                        backend: backend, threadCount: 2, isRepeated: options & 2 == 0, keepsLayerOutputs: options & 4 == 0)
                ).outputs[0].tensor
            }
            let comparison = try compare(run(.fast), run(.reference))
            #expect(comparison.passes, "options \(options): \(comparison)")
            let steps = try #require(Planner.plan(graph, inputShapes: inputs.mapValues(\.shape)).layout).graph.nodes
            let isWhole = residual.dropLast() == x.dropLast() && residual.last == n
            #expect(steps.contains { $0.fusion.hasResidual } == isWhole)
        }
    }

    /// An output that its matmul writes where it leaves the program stays as it is when the program runs again.
    @Test(arguments: [Precision.f32, .bf16])
    func outputsStay(_ precision: Precision) throws {
        var random = SeededGenerator(seed: 23)
        var graph = Graph(name: "output")
        let input = try graph.addInput("x", ValueType(.f32, [.fixed(3), .fixed(50), .fixed(20)]))
        let weights = try graph.addParameter("w", ValueType(.f32, [.fixed(20), .fixed(130)]))
        let product = try graph.append(.matmul, [input, weights])
        let flat = try graph.append(.reshape(Shape(fixed: [150, 130])), [product])
        graph.outputs = [NamedValue("flat", flat), NamedValue("product", product)]
        let options = ExecutionOptions(threadCount: 2, isRepeated: true, precision: precision, keepsLayerOutputs: false)
        let plan = try Planner.plan(graph, inputShapes: ["x": [3, 50, 20]], options: options)
        #expect(try #require(plan.layout).handedOut.count == 1)
        let parameters = ["w": random.tensor([20, 130])]
        let executor = try Executor(plan: plan, parameters: parameters)
        let inputs = (0..<4).map { _ in random.tensor([3, 50, 20]) }
        var kept: [[Tensor]] = []
        for input in inputs {
            kept.append(try executor.run(inputs: ["x": input]).outputs.map(\.tensor))
            // One that nobody keeps, in between.
            _ = try executor.run(inputs: ["x": inputs[0]])
        }
        let captured = try executor.run(inputs: ["x": inputs[1]], capturing: .values([NamedValue("p", product)])).captured[0].tensor
        for (input, outputs) in zip(inputs, kept) {
            let expected = try Executor.run(
                graph, parameters: parameters, inputs: ["x": input], options: ExecutionOptions(backend: .reference)
            ).outputs
            for (a, b) in zip(outputs, expected) {
                #expect(a.shape == b.tensor.shape)
                let tolerance = precision == .f32 ? 4e-6 : 2e-2
                #expect(try largestDifference(a.doubles(), b.tensor.doubles()).worst <= tolerance)
            }
        }
        #expect(try captured.doubles() == kept[1][1].doubles())
    }
}
