import ByteIO
import Glibc
import ModelIR

/// T5's relative positions (Raffel et al. 2020; `_relative_position_bucket`): a table of biases by bucket of distance, key - query.
///
/// Near distances have a bucket each, far ones share buckets that grow with the logarithm, and all past `maximumDistance` are one.
/// Looking both ways, the second half of the buckets is for keys behind the query; else only keys before it are told apart.
struct RelativePositionBuckets: Hashable, Sendable {
    let isBidirectional: Bool
    /// Of one direction.
    let count: Int
    /// Distances below it have a bucket each.
    let exactCount: Int
    /// From distance `thresholds[k]` on the bucket is at least `exactCount + k + 1`.
    let thresholds: [Int]

    /// The largest number of buckets that a graph is built for; T5 has 32.
    private static let greatestCount = 4096

    /// - Parameter count: of the table, both directions together.
    init(count total: Int, maximumDistance: Int, isBidirectional: Bool) throws {
        self.isBidirectional = isBidirectional
        count = isBidirectional ? total / 2 : total
        exactCount = count / 2
        guard exactCount >= 1, maximumDistance > exactCount else {
            throw transformerError(
                "bad-config", expected: "relative_attention_max_distance above half of a direction's relative_attention_num_buckets",
                found: "\(maximumDistance) for \(total) buckets")
        }
        guard total <= Self.greatestCount else {
            throw UnsupportedError("relative_attention_num_buckets \(total): at most \(Self.greatestCount) can be run")
        }
        // In f32 step by step, as the framework computes them.
        let logarithmicCount = count - exactCount
        let range = Float(log(Double(maximumDistance) / Double(exactCount)))
        let first = exactCount
        func bucket(_ distance: Int) -> Int { Int(logf(Float(distance) / Float(first)) / range * Float(logarithmicCount)) }
        thresholds = (1..<max(logarithmicCount, 1)).map { k in
            // The first distance at which it is k: it never falls, and is there at the maximum.
            var (low, high) = (first, maximumDistance)
            while low < high {
                let middle = low + (high - low) / 2
                if bucket(middle) >= k { high = middle } else { low = middle + 1 }
            }
            return low
        }
    }

    /// A sequence of this length meets every bucket.
    var reachingLength: Int { max(thresholds.last ?? 0, exactCount) + 2 }

    /// The bias of each head for queries and keys of one sequence.
    ///
    /// Buckets depend on the distance alone: they are found once for each of the 2n - 1 distances, then laid out over queries and keys.
    /// - Parameters:
    ///   - table: f32 [buckets, heads]
    ///   - length: n
    /// - Returns: f32 [heads, n, n]
    func bias(_ b: inout TransformerBuilder, table: ValueID, length: Dim) throws -> ValueID {
        let places = try b.graph.append(.iota(ValueType(.i64, [length]), axis: 0), [])
        let fromEnd = try b.graph.append(.reverse(axes: [0]), [places])  // n - 1 ... 0
        let before = try b.graph.unary(.negate, fromEnd)  // -(n - 1) ... 0
        let behind = try b.graph.append(.slice([SliceRange(1)]), [places])  // 1 ... n - 1
        let distances = try b.graph.append(.concat(axis: 0), [before, behind])
        let buckets = try bucket(&b, distances)
        let byDistance = try b.graph.append(.transpose([1, 0]), [b.graph.append(.gather(axis: 0), [table, buckets])])  // [heads, 2n - 1]

        // Query i and key j: distance j - i, at j + (n - 1 - i).
        let columns = try b.graph.append(.reshape([1, length]), [places])
        let rows = try b.graph.append(.reshape([length, 1]), [fromEnd])
        return try b.graph.append(.gather(axis: 1), [byDistance, b.graph.binary(.add, columns, rows)])
    }

    /// The bucket of each distance, i64 [m] -> i64 [m].
    private func bucket(_ b: inout TransformerBuilder, _ distances: ValueID) throws -> ValueID {
        let zero = try b.graph.scalar(0, .i64)
        let length = b.shape(distances)[0]
        let steps =
            isBidirectional
            ? try b.graph.unary(.absolute, distances) : try b.graph.binary(.maximum, b.graph.unary(.negate, distances), zero)
        var bucket = try b.graph.binary(.minimum, steps, b.graph.scalar(Double(exactCount), .i64))
        // One more for each threshold that is reached; a constant holds 16.
        let column = try b.graph.append(.reshape([length, 1]), [steps])
        for start in stride(from: 0, to: thresholds.count, by: 16) {
            let some = thresholds[start..<min(start + 16, thresholds.count)].map(Double.init)
            let limits = try b.graph.append(.constant(Literal(.i64, shape: [1, some.count], some)), [])
            let isReached = try b.graph.append(.compare(.greaterOrEqual), [column, limits])
            let reached = try b.graph.append(.reduce(.sum, axes: [1], keepsDimensions: false), [b.graph.append(.cast(.i64), [isReached])])
            bucket = try b.graph.binary(.add, bucket, reached)
        }
        guard isBidirectional else { return bucket }
        let isBehind = try b.graph.append(.compare(.greater), [distances, zero])
        let shifted = try b.graph.binary(.add, bucket, b.graph.scalar(Double(count), .i64))
        return try b.graph.append(.select, [isBehind, shifted, bucket])
    }
}
