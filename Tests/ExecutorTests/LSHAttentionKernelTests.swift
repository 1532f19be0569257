import CKernels
import ModelIR
import Testing

@testable import Executor

extension SerialTests {
    /// The kernel of LSH attention against the definition, at every instruction-set level of this machine.
    @Suite(.serialized) struct LSHAttentionKernelTests {
        @Test(arguments: VectorKernelTests.levels) func agreesWithDefinition(_ level: Int) throws {
            var random = SeededGenerator(seed: UInt64(level + 11))
            try VectorKernelTests.at(level) {
                for round in 0..<36 {
                    func number(_ range: ClosedRange<Int>) -> Int { random.integer(in: range.lowerBound..<range.upperBound + 1) }
                    let chunk = [1, 2, 5, 16, 19, 40, 150][round % 7]
                    let chunks = number(2...5)
                    let attention = LSHAttention(
                        chunk: chunk, before: number(0...2), after: number(0...2), hashes: number(1...3),
                        buckets: [[], [2], [8], [4, 6], [2, 2, 4]][round % 5], longest: 600, seed: number(-9...99),
                        isCausal: random.uniform() < 0.5)
                    // Each third fits a chunk.
                    let positions = round % 3 == 0 ? number(1...chunk) : chunks * chunk
                    let (batch, heads, size, valueSize) = (number(1...2), number(1...3), number(1...40), number(1...40))
                    let vectors = Self.vectors([batch, positions, heads, size], attention, &random)
                    let isMasked = random.uniform() < 0.5
                    // The last row has hardly a key.
                    let mask = (0..<batch * positions).map { i -> UInt8 in
                        !isMasked || random.uniform() < (i / positions == batch - 1 ? 0.1 : 0.8) ? 1 : 0
                    }
                    try expectFastMatches(
                        .composite(.lshAttention(attention)),
                        [vectors, random.tensor([batch, positions, heads, valueSize]), bools([batch, positions], mask)], tolerance: 1e-5)
                }
            }
        }

        /// Random vectors none of which lies between two buckets, where single and double precision may differ.
        private static func vectors(_ shape: [Int], _ attention: LSHAttention, _ random: inout SeededGenerator) -> Tensor {
            let (positions, heads, size) = (shape[1], shape[2], shape[3])
            var values: [Float] = []
            let factors = positions > attention.chunk ? attention.factors(positions: positions) : []
            let rotations = attention.rotations(heads: heads, size: size, factors: factors)
            let width = factors.reduce(0, +) / 2
            for place in 0..<shape[0] * positions * heads {
                var vector: [Float]
                var margin: Double
                repeat {
                    vector = (0..<size).map { _ in Float(random.normal()) }
                    margin = .infinity
                    for round in 0..<attention.hashes where width > 0 {
                        var start = 0
                        for factor in factors {
                            let rotated = (start..<start + factor / 2).map { column in
                                (0..<size).reduce(0.0) { sum, i in
                                    let row = (place % heads * size + i) * attention.hashes + round
                                    return sum + Double(vector[i]) * Double(rotations[row * width + column])
                                }
                            }
                            let sorted = rotated.map(abs).sorted(by: >)
                            margin = min(margin, factor == 2 ? sorted[0] : sorted[0] - sorted[1])
                            start += factor / 2
                        }
                    }
                } while margin < 1e-4
                values += vector
            }
            return Tensor(values, shape: shape)
        }

        @Test func threadsDontMatter() throws {
            var random = SeededGenerator(seed: 5)
            let attention = LSHAttention(
                chunk: 8, before: 1, after: 0, hashes: 2, buckets: [], longest: 512, seed: 1, isCausal: true)
            let inputs = [
                random.tensor([3, 128, 3, 16]), random.tensor([3, 128, 3, 16]), bools([3, 128], [UInt8](repeating: 1, count: 384)),
            ]
            let (graph, named, _) = try oneOp(.composite(.lshAttention(attention)), inputs)
            let results = try [1, 2, 5, 16].map { count in
                try Executor.run(graph, parameters: [:], inputs: named, options: ExecutionOptions(threadCount: count)).outputs[0].tensor
                    .bytes()
            }
            #expect(Set(results).count == 1)
        }
    }
}
