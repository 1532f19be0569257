import Glibc
import ModelIR
import Testing

@testable import Executor

/// Attention's definition on the reference backend against a plain loop over `keyRanges`: two statements of the same patterns.
@Suite struct AttentionDefinitionTests {
    static let patterns: [AttentionPattern] = [
        .full, .causal, .slidingWindow(before: 2, after: 0, dilation: 1), .slidingWindow(before: 1, after: 3, dilation: 1),
        .slidingWindow(before: 2, after: 1, dilation: 3), .strided(stride: 3), .strided(stride: 1), .fixed(stride: 4, summary: 1),
        .fixed(stride: 4, summary: 3), .fixed(stride: 5, summary: 5), .blockLocal(block: 4, before: 1, after: 0, causal: true),
        .blockLocal(block: 4, before: 1, after: 0, causal: false), .blockLocal(block: 3, before: 1, after: 1, causal: false),
        .blockLocal(block: 5, before: 2, after: 2, causal: false), .blockLocal(block: 7, before: 2, after: 2, causal: true),
        .blockLocal(block: 4, before: 5, after: 0, causal: true), .blockLocal(block: 4, before: 2, after: 6, causal: false),
        .union([.slidingWindow(before: 3, after: 0, dilation: 1), .strided(stride: 3)]),
        .union([.blockLocal(block: 4, before: 0, after: 0, causal: true), .fixed(stride: 4, summary: 2)]),
        .union([.causal, .full]),
        .heads([.init(count: 1, pattern: .slidingWindow(before: 3, after: 0, dilation: 1)), .init(count: 3, pattern: .strided(stride: 3))]),
        .heads([.init(count: 2, pattern: .blockLocal(block: 6, before: 1, after: 1, causal: false)), .init(count: 2, pattern: .full)]),
    ]

    /// The sum over allowed keys, written out.
    static func expected(
        _ attention: Attention, _ q: [Double], _ k: [Double], _ v: [Double], mask: [Bool]?, bias: [Double]?, batch: Int, queries: Int,
        keys: Int, heads: Int, keyHeads: Int, size: Int, valueSize: Int
    ) -> [Double] {
        var result: [Double] = []
        for b in 0..<batch {
            for i in 0..<queries {
                for h in 0..<heads {
                    let pattern = attention.pattern.pattern(ofHead: h)
                    let kh = h / (heads / keyHeads)
                    var attended = pattern.keyRanges(query: i, queries: queries, keys: keys).flatMap { Array($0.keys) }
                        .filter { mask?[b * keys + $0] ?? true }
                    var scores: [Double] = attended.map { j in
                        let dot = (0..<size).reduce(0.0) {
                            $0 + q[((b * queries + i) * heads + h) * size + $1] * k[((b * keys + j) * keyHeads + kh) * size + $1]
                        }
                        return dot * attention.scale + (bias?[(h * queries + i) * keys + j] ?? 0)
                    }
                    if attended.isEmpty && attention.unattended == .uniform {
                        attended = pattern.domain(query: i, queries: queries, keys: keys).flatMap { Array($0.keys) }
                        scores = attended.map { _ in 0 }
                    }
                    let top = scores.max() ?? 0
                    let weights = scores.map { exp($0 - top) }
                    let sum = weights.reduce(0, +)
                    for c in 0..<valueSize {
                        result.append(
                            attended.isEmpty
                                ? 0
                                : zip(attended, weights).reduce(0.0) { $0 + $1.1 * v[((b * keys + $1.0) * keyHeads + kh) * valueSize + c] }
                                    / sum)
                    }
                }
            }
        }
        return result
    }

    @Test(arguments: patterns.indices) func agreesWithKeyRanges(_ index: Int) throws {
        let pattern = Self.patterns[index]
        var random = SeededGenerator(seed: UInt64(index))
        for (queries, keys) in [(11, 11), (1, 9), (4, 13), (16, 16), (7, 3)] {
            for flags in 0..<8 {
                let (batch, heads, size, valueSize) = (2, 4, 3, 2)
                let keyHeads = flags & 4 != 0 ? 2 : 4
                func numbers(_ count: Int) -> [Double] { (0..<count).map { _ in random.normal() } }
                let q = numbers(batch * queries * heads * size)
                let (k, v) = (numbers(batch * keys * keyHeads * size), numbers(batch * keys * keyHeads * valueSize))
                // Row 1 has no key at all.
                let mask = flags & 1 != 0 ? (0..<batch * keys).map { $0 < keys && random.uniform() < 0.6 } : nil
                let bias = flags & 2 != 0 ? numbers(heads * queries * keys) : nil
                let attention = Attention(
                    pattern: pattern, scale: 0.7, hasKeyMask: mask != nil, hasBias: bias != nil, returnsWeights: true,
                    unattended: flags & 4 != 0 ? .zero : .uniform)
                var inputs = [
                    real([batch, queries, heads, size], q), real([batch, keys, keyHeads, size], k),
                    real([batch, keys, keyHeads, valueSize], v),
                ]
                if let mask { inputs.append(bools([batch, keys], mask.map { $0 ? 1 : 0 })) }
                if let bias { inputs.append(real([heads, queries, keys], bias)) }
                let outputs = try evaluate(.composite(.attention(attention)), inputs)
                expect(
                    outputs[0], [batch, queries, heads, valueSize],
                    Self.expected(
                        attention, q, k, v, mask: mask, bias: bias, batch: batch, queries: queries, keys: keys, heads: heads,
                        keyHeads: keyHeads, size: size, valueSize: valueSize))
                #expect(outputs[1].shape == [batch, heads, queries, keys])
                for row in 0..<batch * heads * queries {
                    let sum = outputs[1].values[row * keys..<(row + 1) * keys].reduce(0, +)
                    #expect(abs(sum - 1) < 1e-12 || sum == 0 && attention.unattended == .zero)
                }
            }
        }
    }

    @Test func causalAtKnownNumbers() throws {
        // Equal scores: position i averages values 0 ... i.
        let outputs = try evaluate(
            .composite(.attention(Attention(pattern: .causal, scale: 1))),
            [real([1, 3, 1, 1], [0, 0, 0]), real([1, 3, 1, 1], [1, 2, 3]), real([1, 3, 1, 1], [1, 3, 8])])
        expect(outputs[0], [1, 3, 1, 1], [1, 2, 4])
        // One query behind three keys sees all of them; scores 0, ln 2 and ln 3 weigh 1, 2 and 3 sixths.
        let last = try evaluate(
            .composite(.attention(Attention(pattern: .causal, scale: 0.5))),
            [real([1, 1, 1, 1], [2]), real([1, 3, 1, 1], [0, log(2), log(3)]), real([1, 3, 1, 1], [6, 12, 18])])
        expect(last[0], [1, 1, 1, 1], [14])
    }

    @Test func countsPairs() {
        #expect(AttentionPattern.full.attendedPairs(queries: 5, keys: 7, heads: 2) == 70)
        #expect(AttentionPattern.causal.attendedPairs(queries: 5, keys: 5, heads: 1) == 15)
        #expect(AttentionPattern.slidingWindow(before: 1, after: 1, dilation: 1).attendedPairs(queries: 4, keys: 4, heads: 1) == 10)
        #expect(AttentionPattern.strided(stride: 2).attendedPairs(queries: 4, keys: 4, heads: 1) == 6)
        let merged = AttentionPattern.union([.slidingWindow(before: 2, after: 0, dilation: 1), .strided(stride: 2)])
        #expect(merged.keyRanges(query: 7, queries: 9, keys: 9) == [KeyRange(start: 1, count: 3, stride: 2), KeyRange(start: 6, count: 2)])
        #expect(
            AttentionPattern.blockLocal(block: 4, before: 1, after: 1, causal: false).attendedPairs(queries: 8, keys: 8, heads: 1) == 96)
        #expect(abs(AttentionPattern.causal.estimatedPairs(queries: 1000, keys: 1000, heads: 3) / 1_501_500 - 1) < 0.02)
    }
}
