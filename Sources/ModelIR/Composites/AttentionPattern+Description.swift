extension AttentionPattern {
    /// The pattern in words: `itself and 3 keys before it`.
    public var summary: String {
        switch self {
        case .full: return "every key"
        case .causal: return "itself and every key before it"
        case .slidingWindow(let before, let after, let dilation):
            let sides = [before > 0 ? "\(before) before it" : "", after > 0 ? "\(after) after it" : ""].filter { !$0.isEmpty }
            let reach = sides.isEmpty ? "itself alone" : "itself, \(sides.joined(separator: " and "))"
            return dilation > 1 ? "\(reach), in steps of \(dilation)" : reach
        case .strided(let stride): return "itself and the keys before it in steps of \(stride)"
        case .fixed(let stride, let summary): return "the last \(summary) of every \(stride) keys, up to itself"
        case .blockLocal(let block, let before, let after, let causal):
            let sides = [before > 0 ? "\(before) before" : "", after > 0 ? "\(after) after" : ""].filter { !$0.isEmpty }
            let chunks = "its chunk of \(block)" + (sides.isEmpty ? "" : ", \(sides.joined(separator: " and ")) in a circle")
            return causal ? "\(chunks), up to itself" : chunks
        case .union(let parts): return parts.map(\.summary).joined(separator: "; and ")
        case .heads(let groups):
            return groups.map { "\($0.count) \($0.count == 1 ? "head" : "heads"): \($0.pattern.summary)" }.joined(separator: "; ")
        }
    }

    /// A drawing of `size` rows of queries and columns of keys for a sequence of `tokens`: `#` where all pairs of a cell are attended, `+`
    /// where some are, `.` where none. For patterns by heads, that of the first group.
    public func picture(tokens: Int, size: Int) -> [String] {
        let pattern = pattern(ofHead: 0)
        return AttentionOutline.picture(tokens: tokens, size: size) { pattern.keyRanges(query: $0, queries: tokens, keys: tokens) }
    }

    /// How far back or ahead it reaches, roughly: some times this length shows its shape. 0 for `full` and `causal`.
    var reach: Int {
        switch self {
        case .full, .causal: 0
        case .slidingWindow(let before, let after, let dilation): max(before, after, 1) * dilation
        case .strided(let stride), .fixed(let stride, _): stride
        case .blockLocal(let block, let before, let after, _): block * (before + 1 + after)
        case .union(let parts): parts.map(\.reach).max() ?? 0
        case .heads(let groups): groups.map(\.pattern.reach).max() ?? 0
        }
    }
}
