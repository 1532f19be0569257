import ModelIR
import Testing

/// What attention makes of its inputs' types.
@Suite struct AttentionTests {
    static func types(_ attention: Attention, _ inputs: [ValueType]) throws -> String {
        try Op.composite(.attention(attention)).inferTypes(inputs).map(\.description).joined(separator: " ")
    }

    @Test func accepted() throws {
        let (query, key, value) = (f32(batch, 7, 6, 5), f32(batch, time, 2, 5), f32(batch, time, 2, 4))
        #expect(try Self.types(Attention(scale: 1), [query, key, value]) == "f32[batch, 7, 6, 4]")
        #expect(
            try Self.types(Attention(scale: 1, hasKeyMask: true, returnsWeights: true), [query, key, value, bool(batch, time)])
                == "f32[batch, 7, 6, 4] f32[batch, 6, 7, time]")
        for bias in [f32(), f32(time), f32(7, 1), f32(6, 7, time), f32(1, 6, 1, time), f32(batch, 6, 7, time)] {
            #expect(try Self.types(Attention(scale: 1, hasBias: true), [query, key, value, bias]) == "f32[batch, 7, 6, 4]")
        }
        let groups = AttentionPattern.heads([.init(count: 1, pattern: .causal), .init(count: 5, pattern: .strided(stride: 2))])
        #expect(try Self.types(Attention(pattern: groups, scale: 1), [query, key, value]) == "f32[batch, 7, 6, 4]")
    }

    @Test func picturesAndWords() {
        #expect(AttentionPattern.causal.picture(tokens: 4, size: 4) == ["#...", "##..", "###.", "####"])
        #expect(AttentionPattern.causal.picture(tokens: 8, size: 4) == ["+...", "#+..", "##+.", "###+"])
        #expect(AttentionPattern.strided(stride: 2).picture(tokens: 5, size: 9) == ["#....", ".#...", "#.#..", ".#.#.", "#.#.#"])
        #expect(
            AttentionPattern.blockLocal(block: 2, before: 1, after: 0, causal: false).picture(tokens: 6, size: 3) == ["#.#", "##.", ".##"])
        // Cells of one and two keys.
        #expect(AttentionPattern.fixed(stride: 3, summary: 1).picture(tokens: 5, size: 3) == ["...", ".+.", ".+."])
        for pattern in [AttentionPattern.full, .causal, .strided(stride: 5)] {
            #expect(pattern.picture(tokens: 100, size: 7).allSatisfy { $0.count == 7 })
        }
        #expect(AttentionPattern.slidingWindow(before: 3, after: 0, dilation: 1).summary == "itself, 3 before it")
        #expect(
            AttentionPattern.blockLocal(block: 64, before: 1, after: 0, causal: true).summary
                == "its chunk of 64, 1 before in a circle, up to itself")
    }

    @Test func refused() {
        let (query, key, value) = (f32(batch, 7, 6, 5), f32(batch, 9, 2, 5), f32(batch, 9, 2, 4))
        let cases: [(Attention, [ValueType], String)] = [
            (Attention(scale: 1), [query, key], "attention takes 3 inputs, not 2"),
            (Attention(scale: 1, hasBias: true), [query, key, value], "attention takes 4 inputs, not 3"),
            (
                Attention(scale: 1), [f32(7, 6, 5), key, value],
                "attention takes floats [batch, positions, heads, size], not f32[7, 6, 5], f32[batch, 9, 2, 5] and f32[batch, 9, 2, 4]"
            ),
            (
                Attention(scale: 1), [query, f32(batch, 9, 2, 4), value],
                "attention can't match query [batch, 7, 6, 5], key [batch, 9, 2, 4] and value [batch, 9, 2, 4]"
            ),
            (
                Attention(scale: 1), [query, key, f32(batch, 8, 2, 4)],
                "attention can't match query [batch, 7, 6, 5], key [batch, 9, 2, 5] and value [batch, 8, 2, 4]"
            ),
            (
                Attention(scale: 1), [query, f32(batch, 9, 4, 5), f32(batch, 9, 4, 4)],
                "attention can't share 4 key heads among 6 heads"
            ),
            (Attention(scale: 1), [query, f32(batch, 0, 2, 5), f32(batch, 0, 2, 4)], "attention has no keys"),
            (
                Attention(scale: 1, hasKeyMask: true), [query, key, value, bool(batch, 8)],
                "attention's key mask is bool[batch, 8], not bool[batch, 9]"
            ),
            (
                Attention(scale: 1, hasKeyMask: true), [query, key, value, i64(batch, 9)],
                "attention's key mask is i64[batch, 9], not bool[batch, 9]"
            ),
            (
                Attention(scale: 1, hasBias: true), [query, key, value, f32(5, 1, 9)],
                "attention can't broadcast a bias [5, 1, 9] to [batch, 6, 7, 9]"
            ),
            (
                Attention(pattern: .heads([.init(count: 4, pattern: .full)]), scale: 1), [query, key, value],
                "attention has patterns for 4 heads, not for 6"
            ),
        ]
        for (attention, inputs, message) in cases { #expect(throws: GraphError(message)) { try Self.types(attention, inputs) } }
        let patterns: [AttentionPattern] = [
            .strided(stride: 0), .fixed(stride: 3, summary: 4), .fixed(stride: 3, summary: 0),
            .slidingWindow(before: -1, after: 0, dilation: 1), .slidingWindow(before: 1, after: .max, dilation: 1),
            .slidingWindow(before: 1, after: 0, dilation: 0), .blockLocal(block: 0, before: 0, after: 0, causal: true),
            .blockLocal(block: 4, before: 1 << 20, after: 0, causal: true), .union([]),
            .union([.union([.union([.union([.union([.full])])])])]),
            .union([.strided(stride: 0)]), .heads([]), .heads([.init(count: 6, pattern: .heads([.init(count: 6, pattern: .full)]))]),
            .union([.heads([.init(count: 6, pattern: .full)])]),
        ]
        for pattern in patterns {
            #expect(throws: GraphError.self, "\(pattern)") { try Self.types(Attention(pattern: pattern, scale: 1), [query, key, value]) }
        }
    }
}
