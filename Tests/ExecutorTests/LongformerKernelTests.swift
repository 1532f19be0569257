import CKernels
import ModelIR
import Testing

@testable import Executor

extension SerialTests {
    /// The kernel of Longformer's attention against the definition, at every instruction-set level of this machine.
    @Suite(.serialized) struct LongformerKernelTests {
        /// Which tokens count, or are global, by the number of a kind: of each kind of set there is.
        static func flags(_ kind: Int, _ batch: Int, _ positions: Int, _ random: inout SeededGenerator) -> Tensor {
            let share = [0, 0.05, 0.5, 1, 0.9][kind % 5]
            return bools([batch, positions], (0..<batch * positions).map { _ in random.uniform() < share ? 1 : 0 })
        }

        @Test(arguments: VectorKernelTests.levels) func agreesWithDefinition(_ level: Int) throws {
            var random = SeededGenerator(seed: UInt64(level + 31))
            try VectorKernelTests.at(level) {
                for round in 0..<60 {
                    func number(_ range: ClosedRange<Int>) -> Int { random.integer(in: range.lowerBound..<range.upperBound + 1) }
                    let window = [0, 1, 2, 8, 17, 60, 400][round % 7]
                    // Below a window, two windows exactly, and anything else.
                    let positions = [number(1...max(1, window)), 2 * window + 1, 4 * max(window, 1), number(1...260)][round % 4]
                    let shape = [number(1...3), min(positions, 300), number(1...3), [1, 7, 16, 20, 33, 48][round % 6]]
                    let attention = LongformerAttention(window: window, scale: 0.3)
                    var inputs = (0..<6).map { _ in random.tensor(shape) }
                    inputs.append(Self.flags(round % 3 == 0 ? 4 : round % 7 == 5 ? 1 : 3, shape[0], shape[1], &random))
                    inputs.append(Self.flags(round / 2, shape[0], shape[1], &random))
                    try expectFastRoundsLikeDefinition(.longformerAttention(attention), inputs, factor: 4)
                }
            }
        }

        /// Global queries, keys and values that are made by projections: few tokens do without them, many don't, and it is the same.
        @Test(arguments: VectorKernelTests.levels) func agreesWithProjections(_ level: Int) throws {
            var random = SeededGenerator(seed: UInt64(level + 3))
            let (heads, size, width, positions) = (3, 20, 60, 90)
            var graph = Graph(name: "longformer")
            let x = try graph.addInput("x", ValueType(.f32, [2, .fixed(positions), .fixed(width)]))
            let masks = try ["counts", "global"].map { try graph.addInput($0, ValueType(.bool, [2, .fixed(positions)])) }
            var parameters: [String: Tensor] = [:]
            var parts: [ValueID] = []
            for name in ["q", "k", "v", "qg", "kg", "vg"] {
                parameters["\(name).weight"] = random.tensor([heads * size, width], scale: 0.13)
                parameters["\(name).bias"] = random.tensor([heads * size], scale: 0.5)
                let weight = try graph.addParameter("\(name).weight", ValueType(.f32, [.fixed(heads * size), .fixed(width)]))
                let bias = try graph.addParameter("\(name).bias", ValueType(.f32, [.fixed(heads * size)]))
                let product = try graph.append(.matmul, [x, graph.append(.transpose([1, 0]), [weight])])
                parts.append(
                    try graph.append(
                        .reshape([2, .fixed(positions), .fixed(heads), .fixed(size)]), [graph.binary(.add, product, bias)]))
            }
            let attention = LongformerAttention(window: 7, scale: 0.2)
            graph.outputs = [NamedValue("y", try graph.append(.composite(.longformerAttention(attention)), parts + masks))]
            let plan = try Planner.plan(
                graph, inputShapes: ["x": [2, positions, width], "counts": [2, positions], "global": [2, positions]])
            #expect(plan.layout?.graph.nodes.count { $0.onlyForMany != nil } == 3)
            try VectorKernelTests.at(level) {
                // Of 5 that are few: none; one; 2 and 4; 5; 6; all.
                for globals in [
                    [[], []], [[3], []], [[0, 89], [1, 2, 40, 50]], [[5, 6, 7, 8, 9], [1]], [[1], [1, 2, 3, 4, 5, 60]],
                    [Array(0..<90), []],
                ] {
                    var flags = [UInt8](repeating: 0, count: 2 * positions)
                    for (row, places) in globals.enumerated() { for place in places { flags[row * positions + place] = 1 } }
                    let inputs = [
                        "x": random.tensor([2, positions, width]), "counts": Self.flags(4, 2, positions, &random),
                        "global": bools([2, positions], flags),
                    ]
                    func run(_ backend: Backend, isRepeated: Bool = false) throws -> [Double] {
                        let options = ExecutionOptions(backend: backend, threadCount: 2, isRepeated: isRepeated)
                        return try Executor.run(graph, parameters: parameters, inputs: inputs, options: options).outputs[0].tensor.doubles()
                    }
                    let reference = try run(.reference)
                    for isRepeated in [false, true] {
                        #expect(largestDifference(try run(.fast, isRepeated: isRepeated), reference).worst < 4e-6, "\(globals)")
                    }
                }
            }
        }

        @Test func threadsDontMatter() throws {
            var random = SeededGenerator(seed: 5)
            let shape = [2, 300, 3, 16]
            var inputs = (0..<6).map { _ in random.tensor(shape) }
            inputs += [Self.flags(4, 2, 300, &random), Self.flags(1, 2, 300, &random)]
            let (graph, named, _) = try oneOp(.composite(.longformerAttention(.init(window: 20, scale: 0.25))), inputs)
            let results = try [1, 2, 5, 16].map { count in
                try Executor.run(graph, parameters: [:], inputs: named, options: ExecutionOptions(threadCount: count)).outputs[0].tensor
                    .bytes()
            }
            for result in results.dropFirst() { #expect(result == results[0]) }
        }

        /// Neither memory nor the work that a plan states grows with the square of the length.
        @Test func costFollowsTheWindow() throws {
            func plan(_ positions: Int) throws -> Plan {
                var graph = Graph(name: "long")
                let type = ValueType(.f32, [1, .symbol("time"), 2, 4])
                var inputs = try (0..<6).map { try graph.addInput("x\($0)", type) }
                for i in 0..<2 { inputs.append(try graph.addInput("mask\(i)", ValueType(.bool, [1, .symbol("time")]))) }
                let attention = LongformerAttention(window: 32, scale: 1)
                graph.outputs = [NamedValue("y", try graph.append(.composite(.longformerAttention(attention)), inputs))]
                let shapes = Dictionary(
                    uniqueKeysWithValues: (0..<6).map { ("x\($0)", [1, positions, 2, 4]) } + (0..<2).map { ("mask\($0)", [1, positions]) })
                return try Planner.plan(graph, inputShapes: shapes)
            }
            let (short, long) = (try plan(8_192), try plan(32_768))
            #expect(Double(long.bufferBytes) < 4.1 * Double(short.bufferBytes))
            #expect(long.bufferBytes < 32_768 * 2 * 4 * 4 * 9)
            #expect(long.operations == 4 * short.operations)
        }
    }
}
