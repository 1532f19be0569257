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
        case .strided(let stride): return "itself and every \(stride)th key back from it"
        case .fixed(let stride, let summary): return "the last \(summary) of every \(stride) keys, up to itself"
        case .blockLocal(let block, let before, let after, let causal):
            let sides = [before > 0 ? "\(before) before" : "", after > 0 ? "\(after) after" : ""].filter { !$0.isEmpty }
            let chunks = "its chunk of \(block)" + (sides.isEmpty ? "" : ", \(sides.joined(separator: " and ")) in a circle")
            return causal ? "\(chunks), up to itself" : chunks
        case .union(let parts): return parts.map(\.summary).joined(separator: "; and ")
        case .heads(let groups): return groups.map { "\($0.count) heads: \($0.pattern.summary)" }.joined(separator: "; ")
        }
    }

    /// A drawing of `size` rows of queries and columns of keys for a sequence of `tokens`: `#` where all pairs of a cell are attended, `+`
    /// where some are, `.` where none. For patterns by heads, that of the first group.
    public func picture(tokens: Int, size: Int) -> [String] {
        let size = max(1, min(size, tokens))
        let pattern = pattern(ofHead: 0)
        return (0..<size).map { row in
            var counts = [Int](repeating: 0, count: size)
            let queries = row * tokens / size..<(row + 1) * tokens / size
            for query in queries {
                var seen = Set<Int>()
                for range in pattern.keyRanges(query: query, queries: tokens, keys: tokens) {
                    for key in range.keys where seen.insert(key).inserted {
                        // The cell c with c * tokens / size <= key < (c + 1) * tokens / size.
                        counts[((key + 1) * size - 1) / tokens] += 1
                    }
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
