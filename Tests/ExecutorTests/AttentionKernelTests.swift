import CKernels
import ModelIR
import Testing

@testable import Executor

extension SerialTests {
    /// The attention kernel against the definition, at every instruction-set level of this machine.
    @Suite(.serialized) struct AttentionKernelTests {
        /// A pattern with random numbers, of every kind in turn.
        static func pattern(_ kind: Int, _ random: inout SeededGenerator, heads: Int) -> AttentionPattern {
            func number(_ range: ClosedRange<Int>) -> Int { random.integer(in: range.lowerBound..<range.upperBound + 1) }
            let stride = number(1...9)
            switch kind % 12 {
            case 0: return .full
            case 1: return .causal
            case 2: return .slidingWindow(before: number(0...40), after: number(0...40), dilation: 1)
            case 3: return .slidingWindow(before: number(0...9), after: number(0...9), dilation: number(2...4))
            case 4: return .strided(stride: stride)
            case 5: return .fixed(stride: stride, summary: number(1...stride))
            case 6: return .blockLocal(block: number(1...40), before: number(0...2), after: number(0...5), causal: false)
            case 7: return .blockLocal(block: number(1...40), before: number(0...4), after: number(0...1), causal: true)
            case 8: return .union([.slidingWindow(before: stride, after: 0, dilation: 1), .strided(stride: stride)])
            case 9:
                return .union([
                    .blockLocal(block: stride, before: 0, after: 0, causal: true), .fixed(stride: stride, summary: number(1...stride)),
                ])
            case 10: return .union([.strided(stride: stride + 1), .fixed(stride: 3, summary: 1), .causal])
            default:
                let first = number(1...max(1, heads - 1))
                guard first < heads else { return Self.pattern(8, &random, heads: 1) }
                return .heads([
                    .init(count: first, pattern: .slidingWindow(before: stride, after: 0, dilation: 1)),
                    .init(count: heads - first, pattern: .strided(stride: stride)),
                ])
            }
        }

        @Test(arguments: 0..<12, VectorKernelTests.levels) func agreesWithDefinition(_ kind: Int, _ level: Int) throws {
            var random = SeededGenerator(seed: UInt64(kind * 3 + level + 1))
            try VectorKernelTests.at(level) {
                for round in 0..<14 {
                    let keyHeads = random.integer(in: 1..<4)
                    let heads = keyHeads * random.integer(in: 1..<4)
                    let batch = random.integer(in: 1..<4)
                    let keys = [1, 3, 17, 40, 70, 150, 200][round % 7]
                    let queries = round % 3 == 0 ? random.integer(in: 1..<keys + 1) : round == 8 ? keys + 5 : keys
                    let (size, valueSize) = (random.integer(in: 1..<40), random.integer(in: 1..<40))
                    let pattern = Self.pattern(kind, &random, heads: heads)
                    var attention = Attention(pattern: pattern, scale: 0.3, unattended: round % 2 == 0 ? .uniform : .zero)
                    var inputs = [
                        random.tensor([batch, queries, heads, size]), random.tensor([batch, keys, keyHeads, size]),
                        random.tensor([batch, keys, keyHeads, valueSize]),
                    ]
                    if random.uniform() < 0.5 {
                        attention.hasKeyMask = true
                        // The last row has hardly a key.
                        inputs.append(
                            bools(
                                [batch, keys], (0..<batch * keys).map { random.uniform() < ($0 / keys == batch - 1 ? 0.03 : 0.7) ? 1 : 0 }))
                    }
                    if random.uniform() < 0.5 {
                        attention.hasBias = true
                        let shapes = [
                            [batch, heads, queries, keys], [1, heads, queries, keys], [heads, 1, keys], [batch, 1, queries, 1], [keys], [],
                        ]
                        inputs.append(random.tensor(shapes[random.integer(in: 0..<shapes.count)]))
                    }
                    attention.returnsWeights = random.uniform() < 0.3
                    try expectFastRoundsLikeDefinition(.attention(attention), inputs, factor: 4)
                }
            }
        }

        @Test(arguments: VectorKernelTests.levels) func extremes(_ level: Int) throws {
            try VectorKernelTests.at(level) {
                var random = SeededGenerator(seed: 7)
                let (query, key, value) = (random.tensor([1, 40, 2, 8]), random.tensor([1, 40, 2, 8]), random.tensor([1, 40, 2, 8]))
                // Scores of some thousands, a bias that is the lowest float or -infinity, and a row where it hides every key.
                var bias = [Float](repeating: 0, count: 40 * 40)
                for key in 0..<40 {
                    bias[3 * 40 + key] = -.greatestFiniteMagnitude
                    bias[4 * 40 + key] = key % 3 == 0 ? -.infinity : 1
                    bias[5 * 40 + key] = -.infinity
                    bias[6 * 40 + key] = key == 9 ? 0 : -.greatestFiniteMagnitude
                }
                let biased = Attention(scale: 1000, hasBias: true, returnsWeights: true)
                try expectFastMatches(.composite(.attention(biased)), [query, key, value, Tensor(bias, shape: [40, 40])], tolerance: 2e-3)
                // One query attends to a not-a-number, which stays with it.
                var odd = try query.floats()
                odd[3 * 16 + 2] = .nan
                try expectFastMatches(
                    .composite(.attention(Attention(pattern: .causal, scale: 0.5))), [Tensor(odd, shape: [1, 40, 2, 8]), key, value])
            }
        }

        /// Nothing of the order of queries x keys is held, and the work that a plan states follows the pattern.
        @Test func costFollowsThePattern() throws {
            let patterns: [AttentionPattern] = [
                .slidingWindow(before: 128, after: 128, dilation: 1),
                .union([.slidingWindow(before: 64, after: 0, dilation: 1), .strided(stride: 64)]),
                .blockLocal(block: 64, before: 1, after: 0, causal: true), .causal,
            ]
            for pattern in patterns {
                var graph = Graph(name: "long")
                let type = ValueType(.f32, [1, .symbol("time"), 2, 4])
                let inputs = try ["q", "k", "v"].map { try graph.addInput($0, type) }
                graph.outputs = [NamedValue("y", try graph.append(.composite(.attention(Attention(pattern: pattern, scale: 1))), inputs))]
                let plan = try Planner.plan(graph, inputShapes: ["q": [1, 8192, 2, 4], "k": [1, 8192, 2, 4], "v": [1, 8192, 2, 4]])
                #expect(plan.bufferBytes < 8192 * 2 * 4 * 4 * 4 + (4 << 20), "\(pattern)")
                let pairs = Double(pattern.attendedPairs(queries: 8192, keys: 8192, heads: 2))
                #expect(abs(Double(plan.operations) / (pairs * 16) - 1) < 0.05, "\(pattern)")
            }
        }

        /// Queries, keys and values side by side in one product are read in place.
        @Test func readsPartsOfOneProjection() throws {
            var random = SeededGenerator(seed: 17)
            for (isKept, parts) in [(false, [6, 6, 6]), (true, [6, 6, 6]), (false, [6, 3, 9])] {
                let (heads, keyHeads) = (2, parts[1] == 3 ? 1 : 2)
                var graph = Graph(name: "projection")
                let x = try graph.addInput("x", ValueType(.f32, [2, 11, 5]))
                let width = parts.reduce(0, +)
                let product = try graph.append(.matmul, [x, graph.addParameter("w", ValueType(.f32, [5, .fixed(width)]))])
                var values: [ValueID] = []
                var start = 0
                for (i, part) in parts.enumerated() {
                    let ranges = [SliceRange(), SliceRange(), SliceRange(start, start + part == width && i == 2 ? nil : start + part)]
                    let slice = try graph.append(.slice(ranges), [product])
                    if isKept { graph.layerOutputs.append(NamedValue("part\(i)", slice)) }
                    let count = i == 0 ? heads : keyHeads
                    values.append(try graph.append(.reshape([2, 11, .fixed(count), .fixed(part / count)]), [slice]))
                    start += part
                }
                let attention = Attention(pattern: .causal, scale: 0.4)
                graph.outputs = [NamedValue("y", try graph.append(.composite(.attention(attention)), values))]
                let parameters = ["w": random.tensor([5, width])]
                let inputs = ["x": random.tensor([2, 11, 5])]
                func run(_ backend: Backend) throws -> ExecutionResult {
                    try Executor.run(
                        graph, parameters: parameters, inputs: inputs, options: ExecutionOptions(backend: backend, threadCount: 2),
                        capturing: .layerOutputs)
                }
                let (fast, reference) = (try run(.fast), try run(.reference))
                for (a, b) in zip(fast.outputs + fast.captured, reference.outputs + reference.captured) {
                    #expect(try compare(a.tensor, b.tensor).passes)
                }
                let plan = try Planner.plan(graph, inputShapes: ["x": [2, 11, 5]])
                let slices = plan.layout?.graph.nodes.count { if case .slice = $0.op { true } else { false } }
                #expect(slices == (isKept ? 3 : 0))
            }
        }

        @Test func unionsThatOverlapFallBackOnTheDefinition() throws {
            let pattern = AttentionPattern.union([.fixed(stride: 4, summary: 1), .slidingWindow(before: 6, after: 0, dilation: 1)])
            #expect(AttentionPhases(pattern, queries: 30, keys: 30) == nil)
            var random = SeededGenerator(seed: 3)
            let inputs = (0..<3).map { _ in random.tensor([2, 30, 3, 5]) }
            try expectFastMatches(.composite(.attention(Attention(pattern: pattern, scale: 0.4))), inputs, tolerance: 4e-6)
        }
    }
}
