/// Which keys each query may attend to: a value, by which the definition masks, the kernels choose what they compute, and `inspect` counts
/// and draws.
///
/// Positions are aligned at the end: query `i` of `queries` stands at position `i + keys - queries` among the keys, as it does behind
/// cached ones.
public indirect enum AttentionPattern: Hashable, Sendable {
    /// Every key.
    case full
    /// key <= position.
    case causal
    /// position - before * dilation ... position + after * dilation, in steps of `dilation` (Beltagy et al. 2020; GPT-Neo's and Mistral's
    /// local layers with `after` 0: they see `before` + 1 keys).
    case slidingWindow(before: Int, after: Int, dilation: Int)
    /// key <= position, (position - key) mod stride = 0: A2 of the strided Sparse Transformer (Child et al. 2019); its A1 is
    /// `slidingWindow(before: stride, after: 0, dilation: 1)`.
    case strided(stride: Int)
    /// key <= position, key mod stride >= stride - summary: A2 of the fixed Sparse Transformer; its A1 is
    /// `blockLocal(block: stride, before: 0, after: 0, causal: true)`.
    case fixed(stride: Int, summary: Int)
    /// The chunk of `block` keys that the position is in, with `before` chunks before it and `after` after it, in a circle: the first
    /// chunk's neighbour is the last one, and a chunk that is met twice counts twice; a step of as many chunks as there are, or more, leads
    /// to the own chunk (Reformer's local layers, `_look_adjacent` in transformers). With `causal` only keys <= position of these.
    case blockLocal(block: Int, before: Int, after: Int, causal: Bool)
    /// Keys of any of these, each once.
    case union([AttentionPattern])
    /// Another pattern for each group of neighbouring heads, first to last.
    case heads([HeadGroup])

    /// Neighbouring heads that share a pattern.
    public struct HeadGroup: Hashable, Sendable {
        public var count: Int
        /// Not `heads`.
        public var pattern: AttentionPattern

        public init(count: Int, pattern: AttentionPattern) {
            self.count = count
            self.pattern = pattern
        }
    }

    /// The pattern of one head.
    public func pattern(ofHead head: Int) -> AttentionPattern {
        guard case .heads(let groups) = self else { return self }
        var end = 0
        for group in groups {
            end += group.count
            if head < end { return group.pattern }
        }
        return groups.last?.pattern ?? .full
    }

    /// Groups of heads with one pattern each; a single group of all heads but for `heads`.
    public func headGroups(heads: Int) -> [HeadGroup] {
        if case .heads(let groups) = self { return groups }
        return [HeadGroup(count: heads, pattern: self)]
    }

    /// What a number in a pattern may be; products of two fit 64 bits.
    private static let sizes = 1...1 << 31
    private static let neighbours = 0...1 << 10

    /// - Throws: `GraphError` for a number out of range.
    func check(depth: Int = 0) throws(GraphError) {
        func require(_ condition: Bool) throws(GraphError) {
            guard condition else { throw GraphError("attention has no pattern \(self)") }
        }
        switch self {
        case .full, .causal: break
        case .slidingWindow(let before, let after, let dilation):
            try require(before >= 0 && after >= 0 && max(before, after) <= Self.sizes.upperBound && Self.sizes.contains(dilation))
        case .strided(let stride): try require(Self.sizes.contains(stride))
        case .fixed(let stride, let summary): try require(Self.sizes.contains(stride) && (1...stride).contains(summary))
        case .blockLocal(let block, let before, let after, _):
            try require(Self.sizes.contains(block) && Self.neighbours.contains(before) && Self.neighbours.contains(after))
        case .union(let parts):
            try require(!parts.isEmpty && depth < 4)
            for part in parts {
                if case .heads = part { try require(false) }
                try part.check(depth: depth + 1)
            }
        case .heads(let groups):
            try require(!groups.isEmpty && depth == 0)
            for group in groups {
                if case .heads = group.pattern { try require(false) }
                try require(Self.sizes.contains(group.count))
                try group.pattern.check(depth: depth + 1)
            }
        }
    }
}
