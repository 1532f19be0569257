/// Which keys an attention layer's queries attend to, in words, a count and drawings, for a sequence of a length that shows it.
public struct AttentionOutline: Hashable, Sendable {
    public struct Picture: Hashable, Sendable {
        /// Heads that share it.
        public var heads: Int
        /// See `AttentionPattern.picture`.
        public var rows: [String]
    }

    /// The pattern in words.
    public var words: String
    /// What the count and the drawings suppose; empty where they suppose nothing.
    public var assumption = ""
    public var heads: Int
    /// Length of the sequence that is counted and drawn, in tokens.
    public var tokens: Int
    /// Pairs of query and key that all heads attend to, without masks.
    public var pairs: Int
    /// None where the words say it all: `full` and `causal`.
    public var pictures: [Picture] = []

    /// Pairs of full attention.
    public var allPairs: Int { heads * tokens * tokens }

    private static let pictureSize = 16
    private static let longest = 2048

    /// nil for what is no attention.
    /// - Parameter inputs: types of the composite's inputs.
    public init?(_ composite: Composite, inputs: [ValueType]) {
        guard inputs.count > 2, inputs[0].shape.rank == 4, let heads = inputs[0].shape[2].fixedValue, heads > 0, heads < 1 << 20 else {
            return nil
        }
        switch composite {
        case .activation, .softmax, .layerNorm, .batchNorm, .recurrence: return nil
        case .attention(let attention): self.init(attention.pattern, heads: heads)
        case .longformerAttention(let attention): self.init(attention, heads: heads)
        case .lshAttention(let attention): self.init(attention, heads: heads)
        }
    }

    private init(_ pattern: AttentionPattern, heads: Int) {
        self.heads = heads
        words = pattern.summary
        let length = Self.length(reach: pattern.reach)
        tokens = length
        pairs = pattern.attendedPairs(queries: tokens, keys: tokens, heads: heads)
        guard pattern.reach > 0 else { return }
        pictures = pattern.headGroups(heads: heads).map { group in
            Picture(heads: group.count, rows: group.pattern.picture(tokens: length, size: Self.pictureSize))
        }
    }

    private init(_ attention: LongformerAttention, heads: Int) {
        let window = AttentionPattern.slidingWindow(before: attention.window, after: attention.window, dilation: 1)
        self.heads = heads
        words = "\(window.summary); and every global token, which attends to every token"
        assumption = "the first token is global"
        let length = Self.length(reach: window.reach)
        tokens = length
        func ranges(_ query: Int) -> [KeyRange] {
            guard query > 0 else { return [KeyRange(start: 0, count: length)] }
            let near = window.keyRanges(query: query, queries: length, keys: length)
            return near.contains { $0.contains(0) } ? near : [KeyRange(start: 0, count: 1)] + near
        }
        pairs = heads * (0..<length).reduce(0) { $0 + ranges($1).reduce(0) { $0 + $1.count } }
        pictures = [Picture(heads: heads, rows: Self.picture(tokens: length, size: Self.pictureSize, ranges))]
    }

    private init(_ attention: LSHAttention, heads: Int) {
        // What a round does with sorted positions; causality is of positions before they are sorted.
        let isCounted = attention.chunk <= Self.longest
        let sorted: AttentionPattern =
            isCounted ? .blockLocal(block: attention.chunk, before: attention.before, after: attention.after, causal: false) : .full
        self.heads = heads
        let length = Self.length(reach: sorted.reach, multiple: isCounted ? attention.chunk : 1)
        tokens = length
        guard isCounted else {
            words = "every key, up to \(attention.chunk) tokens; itself only where there is no other"
            pairs = heads * length * length
            return
        }
        let buckets = attention.factors(positions: length).map { "\($0)" }.joined(separator: " x ")
        words =
            "sorted into \(buckets) buckets in each of \(attention.hashes) rounds, \(sorted.summary)"
            + (attention.isCausal ? ", of these those before it" : "") + "; itself only where there is no other"
        assumption = "tokens in the order of a round's buckets, pairs of all rounds"
        pairs = attention.hashes * sorted.attendedPairs(queries: length, keys: length, heads: heads)
        pictures = [Picture(heads: heads, rows: sorted.picture(tokens: length, size: Self.pictureSize))]
    }

    /// A few times what a pattern reaches, but not so many that counting takes long.
    private static func length(reach: Int, multiple: Int = 1) -> Int {
        var length = multiple
        while length < max(4 * reach, pictureSize) && length < longest { length *= 2 }
        return length
    }

    /// - Parameter ranges: the keys of a query; those that are not equal are disjoint.
    static func picture(tokens: Int, size: Int, _ ranges: (Int) -> [KeyRange]) -> [String] {
        let size = max(1, min(size, tokens))
        return (0..<size).map { row in
            var counts = [Int](repeating: 0, count: size)
            let queries = row * tokens / size..<(row + 1) * tokens / size
            for query in queries {
                for range in Set(ranges(query)) {
                    // The cell c with c * tokens / size <= key < (c + 1) * tokens / size.
                    for key in range.keys { counts[((key + 1) * size - 1) / tokens] += 1 }
                }
            }
            return String(
                (0..<size).map { column -> Character in
                    let cell = queries.count * ((column + 1) * tokens / size - column * tokens / size)
                    return counts[column] == 0 ? "." : counts[column] == cell ? "#" : "+"
                })
        }
    }
}
