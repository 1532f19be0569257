import ModelIR
import Testing

@testable import Executor

extension SerialTests {
    /// Random graphs of many small ops: the fast backend's buffers, views and folded constants against the reference backend, value by value.
    @Suite(.serialized) struct RandomGraphTests {
        struct Model {
            var graph: Graph
            var inputs: [String: Tensor]
            var parameters: [String: Tensor]
        }

        static func model(seed: UInt64) throws -> Model {
            var random = SeededGenerator(seed: seed)
            var graph = Graph(name: "random \(seed)")
            var (inputs, parameters): ([String: Tensor], [String: Tensor]) = ([:], [:])
            let (rows, columns) = (random.integer(in: 1..<7), random.integer(in: 1..<40))
            // All values have one of three shapes, so that any two of a shape combine.
            var wide: [ValueID] = []
            for i in 0..<2 {
                wide.append(try graph.addInput("x\(i)", ValueType(.f32, Shape(fixed: [rows, columns]))))
                inputs["x\(i)"] = random.tensor([rows, columns])
            }
            for i in 0..<3 {
                wide.append(try graph.addParameter("w\(i)", ValueType(.f32, Shape(fixed: [rows, columns]))))
                parameters["w\(i)"] = random.tensor([rows, columns])
            }
            let square = try graph.addParameter("square", ValueType(.f32, Shape(fixed: [columns, columns])))
            parameters["square"] = random.tensor([columns, columns], scale: 0.3)
            let scale = try graph.addParameter("scale", ValueType(.f32, [.fixed(columns)]))
            parameters["scale"] = random.tensor([columns])
            func pick() -> ValueID { wide[max(0, random.integer(in: -3..<wide.count))] }
            for step in 0..<60 {
                graph.origin = "step \(step)"
                let (a, b) = (pick(), pick())
                let result: ValueID
                switch random.integer(in: 0..<14) {
                case 0: result = try graph.unary(.tanh, graph.binary(.add, a, b))
                case 1: result = try graph.unary(.tanh, graph.binary(.multiply, a, b))
                case 2: result = try graph.unary(.tanh, graph.append(.matmul, [a, square]))
                case 3:
                    let turned = try graph.append(.transpose([1, 0]), [a])
                    result = try graph.unary(.sin, graph.append(.matmul, [b, graph.append(.matmul, [turned, b])]))
                case 4: result = try graph.append(.composite(.softmax(axis: random.integer(in: -2..<2))), [a])
                case 5:
                    let norm = LayerNorm(axes: [1], epsilon: 0.1, hasScale: true, hasOffset: false)
                    result = try graph.append(.composite(.layerNorm(norm)), [a, scale])
                case 6: result = try graph.append(.select, [graph.append(.compare(.less), [a, b]), b, a])
                case 7:
                    let both = try graph.append(.concat(axis: 0), [a, b])
                    result = try graph.append(.slice([SliceRange(-rows), SliceRange()]), [both])
                case 8:
                    let mean = try graph.append(.reduce(.mean, axes: [random.integer(in: 0..<2)], keepsDimensions: true), [a])
                    result = try graph.binary(.subtract, b, mean)
                case 9: result = try graph.activation(.gelu, a)
                case 10:
                    let flat = try graph.append(.reshape([.fixed(rows * columns)]), [a])
                    result = try graph.append(.reshape(Shape(fixed: [rows, columns])), [graph.append(.reverse(axes: [0]), [flat])])
                case 11: result = try graph.append(.reshape(Shape(fixed: [rows, columns])), [a])
                case 12: result = try graph.append(.cast(.f32), [graph.append(.cast(.bf16), [a])])
                default:
                    let indices = try graph.append(.iota(ValueType(.i64, [.fixed(rows)]), axis: 0), [])
                    result = try graph.append(.gather(axis: 0), [a, indices])
                }
                wide.append(result)
                if random.integer(in: 0..<4) == 0 { graph.layerOutputs.append(NamedValue("layer \(step)", result)) }
            }
            graph.outputs = (0..<3).map { NamedValue("y\($0)", wide[wide.count - 1 - $0]) }
            return Model(graph: graph, inputs: inputs, parameters: parameters)
        }

        @Test(arguments: 0..<40)
        func fastMatchesReference(_ seed: Int) throws {
            let model = try Self.model(seed: UInt64(seed))
            func run(_ backend: Backend, _ capture: Capture, isRepeated: Bool = false) throws -> ExecutionResult {
                let options = ExecutionOptions(backend: backend, threadCount: 2, isRepeated: isRepeated)
                return try Executor.run(
                    model.graph, parameters: model.parameters, inputs: model.inputs, options: options, capturing: capture)
            }
            let (reference, fast) = (try run(.reference, .layerOutputs), try run(.fast, .layerOutputs))
            for (a, b) in zip(fast.captured + fast.outputs, reference.captured + reference.outputs) {
                // Rounding grows along 60 steps; a wrong buffer is off by its own size.
                let comparison = try compare(a.tensor, b.tensor, tolerance: Tolerance(absolute: 1e-4, relative: 1e-3))
                #expect(comparison.passes, "seed \(seed), \(a.name): \(comparison)")
            }
            #expect(fast.captured.count == model.graph.layerOutputs.count)
            // Capturing changes no bit.
            let plain = try run(.fast, .nothing)
            for (a, b) in zip(plain.outputs, fast.outputs) { #expect(try a.tensor.bytes() == b.tensor.bytes()) }
        }

        /// An executor run again, and another one, give the same bits for every number of threads.
        @Test(arguments: 1...4)
        func deterministic(_ threads: Int) throws {
            let model = try Self.model(seed: 99)
            let plan = try Planner.plan(
                model.graph, inputShapes: model.inputs.mapValues(\.shape), options: ExecutionOptions(threadCount: threads, isRepeated: true)
            )
            let executor = try Executor(plan: plan, parameters: model.parameters)
            let first = try executor.run(inputs: model.inputs).outputs.map { try $0.tensor.bytes() }
            for _ in 0..<3 { #expect(try executor.run(inputs: model.inputs).outputs.map { try $0.tensor.bytes() } == first) }
            let other = try Executor(plan: plan, parameters: model.parameters)
            #expect(try other.run(inputs: model.inputs).outputs.map { try $0.tensor.bytes() } == first)
        }
    }
}
