/// Keys `start`, `start + stride`, ...: `count` of them.
public struct KeyRange: Hashable, Sendable {
    public var start: Int
    public var count: Int
    /// Positive.
    public var stride: Int

    public init(start: Int, count: Int, stride: Int = 1) {
        self.start = start
        self.count = count
        self.stride = stride
    }

    public func contains(_ key: Int) -> Bool { key >= start && key < start + count * stride && (key - start) % stride == 0 }

    public var keys: StrideTo<Int> { Swift.stride(from: start, to: start + count * stride, by: stride) }
}

extension AttentionPattern {
    /// The keys that a query attends to, without masks: ranges in order of their keys; disjoint, but for `blockLocal` where chunks repeat.
    /// - Precondition: `query < queries`; the pattern is not `heads` (see `pattern(ofHead:)`).
    public func keyRanges(query: Int, queries: Int, keys: Int) -> [KeyRange] {
        let position = query + keys - queries
        switch self {
        case .full, .heads: return [KeyRange(start: 0, count: keys)]
        case .causal: return Self.range(0, position, keys)
        case .slidingWindow(let before, let after, let dilation):
            return Self.range(position - before * dilation, position + after * dilation, keys, step: dilation)
        case .strided(let stride):
            guard position >= 0 else { return [] }
            return Self.range(position % stride, position, keys, step: stride)
        case .fixed(let stride, let summary):
            let end = min(position, keys - 1)
            return Swift.stride(from: stride - summary, through: end, by: stride).flatMap {
                Self.range($0, min($0 + summary - 1, end), keys)
            }
        case .blockLocal(_, _, _, let causal):
            let chunks = chunkRanges(position: position, keys: keys)
            return causal ? chunks.flatMap { Self.range($0.start, min($0.start + $0.count - 1, position), keys) } : chunks
        case .union(let parts):
            let ranges = parts.flatMap { $0.keyRanges(query: query, queries: queries, keys: keys) }.filter { $0.count > 0 }
            return Set(ranges).count > 1 ? Self.compressed(Set(ranges.flatMap { $0.keys }).sorted()) : Array(ranges.prefix(1))
        }
    }

    /// The keys among which a query whose allowed keys are none spreads its weight: all, or its chunks whatever their masks.
    public func domain(query: Int, queries: Int, keys: Int) -> [KeyRange] {
        if case .blockLocal = self { return chunkRanges(position: query + keys - queries, keys: keys) }
        return [KeyRange(start: 0, count: keys)]
    }

    /// Pairs of query and key that heads attend to, without masks, over all heads.
    public func attendedPairs(queries: Int, keys: Int, heads: Int) -> Int {
        headGroups(heads: heads).reduce(0) { total, group in
            let pairs = (0..<queries).reduce(0) { sum, query in
                sum + group.pattern.keyRanges(query: query, queries: queries, keys: keys).reduce(0) { $0 + $1.count }
            }
            return total + pairs * group.count
        }
    }

    /// `attendedPairs` from a few hundred queries: close enough to plan by, at no cost that grows with the sequence.
    public func estimatedPairs(queries: Int, keys: Int, heads: Int) -> Double {
        // A prime, so that samples don't fall on the same place of every block.
        let samples = min(queries, 251)
        guard samples > 0 else { return 0 }
        return headGroups(heads: heads).reduce(0.0) { total, group in
            let pairs = (0..<samples).reduce(0.0) { sum, sample in
                let query = (2 * sample + 1) * queries / (2 * samples)
                return sum + group.pattern.keyRanges(query: query, queries: queries, keys: keys).reduce(0.0) { $0 + Double($1.count) }
            }
            return total + pairs / Double(samples) * Double(queries) * Double(group.count)
        }
    }

    /// Chunks around the one of `position`, in order of their keys, none of them empty.
    private func chunkRanges(position: Int, keys: Int) -> [KeyRange] {
        guard case .blockLocal(let block, let before, let after, _) = self, keys > 0 else { return [] }
        let chunks = (keys + block - 1) / block
        let own = Int((Double(position) / Double(block)).rounded(.down))
        func chunk(_ i: Int) -> Int { ((own + i) % chunks + chunks) % chunks }
        // A step past the circle is none: the own chunk once more.
        let (first, last) = (min(before, chunks - 1), min(after, chunks - 1))
        let seen = (-first...last).map(chunk) + Array(repeating: chunk(0), count: before - first + after - last)
        return seen.sorted().map { KeyRange(start: $0 * block, count: min(block, keys - $0 * block)) }
    }

    /// The keys from `first` through `last`, cut to 0 ..< keys.
    private static func range(_ first: Int, _ last: Int, _ keys: Int, step: Int = 1) -> [KeyRange] {
        let start = first >= 0 ? first : first + (step - 1 - first) / step * step
        let end = min(last, keys - 1)
        return start > end ? [] : [KeyRange(start: start, count: (end - start) / step + 1, stride: step)]
    }

    /// Ascending keys as few ranges.
    private static func compressed(_ keys: [Int]) -> [KeyRange] {
        var ranges: [KeyRange] = []
        for key in keys {
            guard let last = ranges.last else {
                ranges.append(KeyRange(start: key, count: 1))
                continue
            }
            if last.count == 1 && key > last.start {
                ranges[ranges.count - 1] = KeyRange(start: last.start, count: 2, stride: key - last.start)
            } else if key == last.start + last.count * last.stride {
                ranges[ranges.count - 1].count += 1
            } else {
                ranges.append(KeyRange(start: key, count: 1))
            }
        }
        return ranges
    }
}
