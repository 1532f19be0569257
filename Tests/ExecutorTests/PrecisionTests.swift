import CKernels
import ModelIR
import Testing

@testable import Executor

extension SerialTests {
    /// Matmuls in bf16, and what is fused where no layer is captured.
    @Suite(.serialized) struct PrecisionTests {
        @Test(arguments: VectorKernelTests.levels) func roundsToNearestEven(_ level: Int) {
            VectorKernelTests.at(level) {
                var random = SeededGenerator(seed: 5)
                let special: [Float] = [
                    0, -0.0, .infinity, -.infinity, .greatestFiniteMagnitude, .leastNonzeroMagnitude, 1.00390625, 1.01171875,
                ]
                let values = special + (0..<1003).map { _ in Float(bitPattern: UInt32(truncatingIfNeeded: random.next())) }
                var rounded = [UInt16](repeating: 0, count: values.count)
                ck_math_table().pointee.round_to_bf16(values.count, values, &rounded)
                for (value, bits) in zip(values, rounded) {
                    #expect(bits == encodeBFloat16(value), "\(value)")
                }
                var nan: UInt16 = 0
                ck_math_table().pointee.round_to_bf16(1, [Float.nan], &nan)
                #expect(Float(bitPattern: UInt32(nan) << 16).isNaN)
            }
        }

        /// Rounding both operands first gives the same as asking for bf16, but for the order of sums; not rounding them doesn't.
        @Test(arguments: [true, false], VectorKernelTests.halfLevels) func multipliesInHalfPrecision(_ isTransposed: Bool, _ level: Int)
            throws
        {
            try VectorKernelTests.at(level) { try multiplyInHalfPrecision(isTransposed) }
        }

        private func multiplyInHalfPrecision(_ isTransposed: Bool) throws {
            var random = SeededGenerator(seed: 9)
            // Pairs that lack their second; rows of pairs a multiple of 4 KiB apart; too many long rows for our own kernel without tiles; several tiles
            // of rows, the last of 16 or fewer; more pairs than a thread goes through at a time; a panel cut between threads.
            let sizes = [
                (1, 70, 33), (5, 64, 48), (40, 130, 17), (3, 71, 40), (7, 2_048, 35), (50, 1_601, 16), (19, 33, 95), (100, 1_700, 40),
                (97, 16, 32),
            ]
            for (m, k, n) in sizes {
                let scale = k < 1_000 ? 1 : 0.1
                let (x, weights) = (random.tensor([2, m, k]), random.tensor(isTransposed ? [n, k] : [k, n], scale: scale))
                let bias = random.tensor([n])
                var graph = Graph(name: "dense")
                let input = try graph.addInput("x", ValueType(.f32, Shape(fixed: x.shape)))
                var right = try graph.addParameter("w", ValueType(.f32, Shape(fixed: weights.shape)))
                if isTransposed { right = try graph.append(.transpose([1, 0]), [right]) }
                let product = try graph.append(.matmul, [input, right])
                let sum = try graph.binary(.add, product, graph.addParameter("b", ValueType(.f32, [.fixed(n)])))
                graph.outputs = [NamedValue("y", try graph.activation(.gelu, sum))]

                func run(_ x: Tensor, _ weights: Tensor, _ precision: Precision, isRepeated: Bool) throws -> [Float] {
                    let options = ExecutionOptions(threadCount: 2, isRepeated: isRepeated, precision: precision)
                    let parameters = ["w": weights, "b": bias]
                    return try Executor.run(graph, parameters: parameters, inputs: ["x": x], options: options).outputs[0].tensor.floats()
                }
                func rounded(_ tensor: Tensor) throws -> Tensor {
                    Tensor(try tensor.floats().map { Float(bitPattern: UInt32(encodeBFloat16($0)) << 16) }, shape: tensor.shape)
                }
                let exact = try run(x, weights, .f32, isRepeated: false)
                let expected = try run(rounded(x), rounded(weights), .f32, isRepeated: false)
                for isRepeated in [false, true] {
                    let half = try run(x, weights, .bf16, isRepeated: isRepeated)
                    let worst = zip(half, expected).reduce(0) { max($0, abs($1.0 - $1.1)) }
                    #expect(worst < 2e-5, "\(m) \(k) \(n)")
                    #expect(zip(half, exact).contains { abs($0 - $1) > 1e-3 })
                }
            }
        }

        /// A table that is looked up in and multiplied with, twice, is packed once.
        @Test func tiedWeights() throws {
            var random = SeededGenerator(seed: 11)
            var graph = Graph(name: "tied")
            let ids = try graph.addInput("ids", ValueType(.i64, [3]))
            let table = try graph.addParameter("table", ValueType(.f32, [40, 24]))
            let x = try graph.append(.gather(axis: 0), [table, ids])
            let right = try graph.append(.transpose([1, 0]), [table])
            let first = try graph.append(.matmul, [x, right])
            let second = try graph.append(.matmul, [graph.unary(.tanh, x), right])
            graph.outputs = [NamedValue("a", first), NamedValue("b", second)]
            let parameters = ["table": random.tensor([40, 24])]
            let inputs = ["ids": integers([3], [7, 39, 0])]
            let reference = try Executor.run(graph, parameters: parameters, inputs: inputs, options: ExecutionOptions(backend: .reference))
            for isRepeated in [false, true] {
                let options = ExecutionOptions(threadCount: 2, isRepeated: isRepeated)
                let fast = try Executor.run(graph, parameters: parameters, inputs: inputs, options: options)
                for (a, b) in zip(fast.outputs, reference.outputs) { #expect(try compare(a.tensor, b.tensor).passes) }
            }
        }

        @Test func fusesMoreWithoutLayers() throws {
            var random = SeededGenerator(seed: 13)
            var graph = Graph(name: "dense")
            let x = try graph.addInput("x", ValueType(.f32, [4, 6]))
            let product = try graph.append(.matmul, [x, graph.addParameter("w", ValueType(.f32, [6, 5]))])
            graph.layerOutputs = [NamedValue("product", product)]
            graph.outputs = [NamedValue("y", try graph.activation(.relu, product))]
            let parameters = ["w": random.tensor([6, 5])]
            let inputs = ["x": random.tensor([4, 6])]
            let options = ExecutionOptions(threadCount: 2, keepsLayerOutputs: false)
            let plan = try Planner.plan(graph, inputShapes: ["x": [4, 6]], options: options)
            #expect(plan.layout?.graph.nodes.count == 1)
            let executor = try Executor(plan: plan, parameters: parameters)
            let kept = try Executor.run(graph, parameters: parameters, inputs: inputs, capturing: .layerOutputs)
            #expect(try compare(executor.run(inputs: inputs).outputs[0].tensor, kept.outputs[0].tensor).passes)
            #expect(throws: (any Error).self) { try executor.run(inputs: inputs, capturing: .layerOutputs) }
        }
    }
}
