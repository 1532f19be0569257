import ModelIR

/// Queries that share a list of keys, each attending to one range of that list: the unit that the attention kernel works on.
///
/// A window is one strand over all keys; a strided pattern falls into one strand for each remainder, whose keys lie `stride` apart, so that
/// the work is that of small causal attentions and nothing outside the pattern is computed.
struct AttentionStrand: Sendable {
    /// Positions among the queries.
    var queries: [Int32] = []
    /// Positions among the keys, ascending; one that counts twice appears twice.
    var keys: [Int32] = []
    /// For each query the half-open range of `keys` that it attends to.
    var ranges: [Range<Int32>] = []
}

/// Strands one after the other; in each phase a query is in one strand at most.
struct AttentionPhases: Sendable {
    var phases: [[AttentionStrand]]

    /// nil for a union whose parts overlap in the midst of their keys.
    init?(_ pattern: AttentionPattern, queries: Int, keys: Int) {
        if let strand = Self.contiguous(pattern, queries, keys) {
            phases = [[strand]]
            return
        }
        let offset = keys - queries
        switch pattern {
        case .full, .causal, .heads: return nil
        case .slidingWindow(_, _, let step), .strided(let step):
            phases = [Self.byRemainder(pattern, step, queries, keys)]
        case .fixed(let stride, let summary):
            var strand = AttentionStrand()
            for key in 0..<keys where key % stride >= stride - summary { strand.keys.append(Int32(key)) }
            var end = 0
            for query in 0..<queries {
                while end < strand.keys.count && Int(strand.keys[end]) <= query + offset { end += 1 }
                strand.queries.append(Int32(query))
                strand.ranges.append(0..<Int32(end))
            }
            phases = [[strand]]
        case .blockLocal(let block, _, _, _):
            phases = [Self.byChunk(pattern, block, queries, keys)]
        case .union(let parts):
            phases = []
            for (i, part) in parts.enumerated() {
                guard let own = Self(part, queries: queries, keys: keys) else { return nil }
                for phase in own.phases {
                    guard let rest = Self.without(parts[..<i], phase, queries: queries, keys: keys) else { return nil }
                    phases.append(rest)
                }
            }
        }
    }

    /// One strand over all keys, where every query's keys are neighbours.
    private static func contiguous(_ pattern: AttentionPattern, _ queries: Int, _ keys: Int) -> AttentionStrand? {
        var strand = AttentionStrand()
        strand.ranges.reserveCapacity(queries)
        for query in 0..<queries {
            var range: Range<Int>?
            for part in pattern.keyRanges(query: query, queries: queries, keys: keys) where part.count > 0 {
                guard part.stride == 1 || part.count == 1 else { return nil }
                guard let known = range else {
                    range = part.start..<part.start + part.count
                    continue
                }
                guard part.start == known.upperBound else { return nil }
                range = known.lowerBound..<part.start + part.count
            }
            strand.ranges.append(range.map { Int32($0.lowerBound)..<Int32($0.upperBound) } ?? 0..<0)
        }
        strand.queries = (0..<queries).map { Int32($0) }
        strand.keys = (0..<keys).map { Int32($0) }
        return strand
    }

    /// A strand for each remainder of positions by `step`.
    private static func byRemainder(_ pattern: AttentionPattern, _ step: Int, _ queries: Int, _ keys: Int) -> [AttentionStrand] {
        let offset = keys - queries
        var strands: [Int: AttentionStrand] = [:]
        for query in 0..<queries {
            let remainder = ((query + offset) % step + step) % step
            let range = pattern.keyRanges(query: query, queries: queries, keys: keys).first
            let start = range.map { ($0.start - remainder) / step } ?? 0
            strands[remainder, default: AttentionStrand()].queries.append(Int32(query))
            strands[remainder]?.ranges.append(Int32(start)..<Int32(start + (range?.count ?? 0)))
        }
        return strands.sorted { $0.key < $1.key }.map { remainder, strand in
            var strand = strand
            strand.keys = stride(from: remainder, to: keys, by: step).map { Int32($0) }
            return strand
        }
    }

    /// A strand for each chunk of positions.
    private static func byChunk(_ pattern: AttentionPattern, _ block: Int, _ queries: Int, _ keys: Int) -> [AttentionStrand] {
        let offset = keys - queries
        var strands: [AttentionStrand] = []
        var query = 0
        while query < queries {
            let position = query + offset
            // Up to the end of the chunk, which for a position before the first key is a chunk before the first.
            let end = min(queries, query + block - (position % block + block) % block)
            var strand = AttentionStrand()
            // Sorted, so that what is before a position comes first, chunks that repeat too.
            strand.keys = pattern.domain(query: query, queries: queries, keys: keys).flatMap { $0.keys.map { Int32($0) } }.sorted()
            for query in query..<end {
                let count = pattern.keyRanges(query: query, queries: queries, keys: keys).reduce(0) { $0 + $1.count }
                strand.queries.append(Int32(query))
                strand.ranges.append(0..<Int32(count))
            }
            strands.append(strand)
            query = end
        }
        return strands
    }

    /// The strands less the keys that earlier parts of a union have; nil if they are not at the ends of the ranges.
    private static func without(
        _ parts: ArraySlice<AttentionPattern>, _ strands: [AttentionStrand], queries: Int, keys: Int
    ) -> [AttentionStrand]? {
        guard !parts.isEmpty else { return strands }
        var result = strands
        for i in result.indices {
            for (t, query) in result[i].queries.enumerated() {
                let earlier = parts.flatMap { $0.keyRanges(query: Int(query), queries: queries, keys: keys) }
                func isKnown(_ u: Int32) -> Bool { earlier.contains { $0.contains(Int(result[i].keys[Int(u)])) } }
                var range = result[i].ranges[t]
                while let first = range.first, isKnown(first) { range = first + 1..<range.upperBound }
                while let last = range.last, isKnown(last) { range = range.lowerBound..<last }
                for u in range where isKnown(u) { return nil }
                // A key counts once in a union, whatever its part says.
                for u in range.dropFirst() where result[i].keys[Int(u)] == result[i].keys[Int(u - 1)] { return nil }
                result[i].ranges[t] = range
            }
        }
        return result
    }
}
