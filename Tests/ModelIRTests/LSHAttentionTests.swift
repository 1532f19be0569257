import ModelIR
import Testing

@Suite struct LSHAttentionTests {
    private func attention(chunk: Int, longest: Int, buckets: [Int] = []) -> LSHAttention {
        LSHAttention(chunk: chunk, before: 1, after: 0, hashes: 1, buckets: buckets, longest: longest, seed: 0, isCausal: false)
    }

    /// What `_set_num_buckets` of transformers 5.23 gives for these chunks, longest sequences and lengths.
    @Test func bucketsFollowFromTheLength() {
        let cases: [(chunk: Int, longest: Int, positions: Int, factors: [Int])] = [
            (64, 4096, 128, [4]), (64, 4096, 4096, [128]), (64, 524_288, 16_384, [16, 32]), (64, 524_288, 524_288, [128, 128]),
            (2, 72, 24, [4, 4]), (2, 72, 60, [4, 8]), (4, 64, 12, [4]), (1, 16, 2, [4]), (1, 64, 64, [8, 16]),
            (100, 40_000, 39_900, [16, 32]),
        ]
        for item in cases {
            #expect(attention(chunk: item.chunk, longest: item.longest).factors(positions: item.positions) == item.factors, "\(item)")
        }
        #expect(attention(chunk: 2, longest: 72, buckets: [6, 2]).factors(positions: 60) == [6, 2])
    }

    @Test func refusesWhatItCantHash() throws {
        func types(_ attention: LSHAttention, _ positions: Dim, size: Dim = 5) throws -> [ValueType] {
            var graph = Graph(name: "test")
            let x = try graph.addInput("x", f32(2, positions, 3, size))
            let value = try graph.addInput("value", f32(2, positions, 3, 4))
            let mask = try graph.addInput("mask", bool(2, positions))
            return try graph.appendAll(.composite(.lshAttention(attention)), [x, value, mask]).map { graph.type(of: $0) }
        }
        #expect(try types(attention(chunk: 4, longest: 64), 12) == [f32(2, 12, 3, 4)])
        #expect(try types(attention(chunk: 4, longest: 64), time) == [f32(2, time, 3, 4)])
        #expect(try types(attention(chunk: 40, longest: 64), 13) == [f32(2, 13, 3, 4)])
        #expect(throws: GraphError.self) { try types(attention(chunk: 4, longest: 64), 13) }
        #expect(throws: GraphError.self) { try types(attention(chunk: 0, longest: 64), 12) }
        #expect(throws: GraphError.self) { try types(attention(chunk: 4, longest: 64, buckets: [3]), 12) }
        #expect(throws: GraphError.self) { try types(attention(chunk: 4, longest: 64, buckets: [-2]), 12) }
        #expect(throws: GraphError.self) { try types(attention(chunk: 4, longest: 64, buckets: [1 << 20, 1 << 20, 1 << 20]), 12) }
        #expect(throws: GraphError.self) { try types(attention(chunk: 4, longest: 64, buckets: [1 << 20]), 12, size: .fixed(1 << 20)) }
    }
}
