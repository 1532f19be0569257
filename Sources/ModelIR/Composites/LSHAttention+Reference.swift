import Glibc

extension LSHAttention {
    /// The bucket of each position, [batch, heads, hashes, positions], counted from 0 in each round; positions that don't count have one of
    /// their own behind the others.
    /// - Parameters:
    ///   - vectors: [batch, positions, heads, size], longer than a chunk.
    ///   - mask: [batch, positions].
    public func hashed(_ vectors: RealArray, mask: RealArray) -> [Int] {
        let (batch, positions, heads, size) = (vectors.shape[0], vectors.shape[1], vectors.shape[2], vectors.shape[3])
        let factors = factors(positions: positions)
        let width = factors.reduce(0, +) / 2
        let rotations = rotations(heads: heads, size: size, factors: factors)
        let padding = factors.reduce(1, *)
        var result: [Int] = []
        result.reserveCapacity(batch * heads * hashes * positions)
        for b in 0..<batch {
            for head in 0..<heads {
                for round in 0..<hashes {
                    for position in 0..<positions {
                        guard mask.values[b * positions + position] != 0 else {
                            result.append(padding)
                            continue
                        }
                        let vector = ((b * positions + position) * heads + head) * size
                        let rotated = (0..<width).map { column in
                            (0..<size).reduce(0.0) { sum, i in
                                let rotation = Double(rotations[((head * size + i) * hashes + round) * width + column])
                                return sum + vectors.values[vector + i] * rotation
                            }
                        }
                        result.append(Self.bucket(rotated, factors))
                    }
                }
            }
        }
        return result
    }

    /// For each factor n the greatest of n / 2 numbers and their negatives, the first of equals; combined, the first factor fastest.
    private static func bucket(_ rotated: [Double], _ factors: [Int]) -> Int {
        var (bucket, product, start) = (0, 1, 0)
        for factor in factors {
            let part = rotated[start..<start + factor / 2]
            let both = part + part.map { -$0 }
            var best = 0
            for i in both.indices where both[i] > both[both.startIndex + best] { best = i - both.startIndex }
            bucket += product * best
            product *= factor
            start += factor / 2
        }
        return bucket
    }

    /// The definition, as plainly as it can be said.
    func reference(_ inputs: [RealArray]) throws(GraphError) -> [RealArray] {
        let (vectors, value, mask) = (inputs[0], inputs[1], inputs[2])
        let (batch, positions, heads, size) = (vectors.shape[0], vectors.shape[1], vectors.shape[2], vectors.shape[3])
        let valueSize = value.shape[3]
        let isWhole = positions <= chunk
        let rounds = isWhole ? 1 : hashes
        let length = isWhole ? max(positions, 1) : chunk
        let buckets = isWhole ? [] : hashed(vectors, mask: mask)
        var output = RealArray(shape: value.shape, values: [Double](repeating: 0, count: value.values.count))
        for b in 0..<batch {
            for head in 0..<heads {
                func start(_ position: Int, _ width: Int) -> Int { ((b * positions + position) * heads + head) * width }
                let queries = (0..<positions).map { Array(vectors.values[start($0, size)..<start($0, size) + size]) }
                let keys = queries.map { query in
                    let square = query.reduce(0) { $0 + $1 * $1 } / Double(size)
                    let factor = 1 / ((square + Self.epsilon).squareRoot() * Double(size).squareRoot())
                    return query.map { $0 * factor }
                }
                // Positions in the order of buckets, round after round.
                var order: [Int] = []
                for round in 0..<rounds {
                    let first = ((b * heads + head) * rounds + round) * positions
                    order += isWhole ? Array(0..<positions) : (0..<positions).sorted { (buckets[first + $0], $0) < (buckets[first + $1], $1) }
                }
                // What each round gives, and the logarithm of its sum of exponentials.
                var sums = [Double](repeating: 0, count: rounds * positions)
                var mixed = [[Double]](repeating: [], count: rounds * positions)
                let chunks = order.count / length
                for chunk in 0..<chunks {
                    let seen = (isWhole ? 0...0 : -before...after).flatMap { step in
                        // A step past the circle is none (slices in Python end where the list does).
                        let neighbour = abs(step) < chunks ? (chunk + step + chunks) % chunks : chunk
                        return order[neighbour * length..<(neighbour + 1) * length]
                    }
                    for place in chunk * length..<(chunk + 1) * length {
                        let position = order[place]
                        let scores = seen.map { key in
                            if key == position { return Self.selfScore }
                            if mask.values[b * positions + key] == 0 || isCausal && key > position { return Self.maskedScore }
                            return zip(queries[position], keys[key]).reduce(0) { $0 + $1.0 * $1.1 }
                        }
                        let top = scores.max() ?? 0
                        let weights = scores.map { exp($0 - top) }
                        let sum = weights.reduce(0, +)
                        var result = [Double](repeating: 0, count: valueSize)
                        for (key, weight) in zip(seen, weights) where weight > 0 {
                            for i in 0..<valueSize { result[i] += weight / sum * value.values[start(key, valueSize) + i] }
                        }
                        let at = place / max(positions, 1) * positions + position
                        (mixed[at], sums[at]) = (result, top + log(sum))
                    }
                }
                for position in 0..<positions {
                    let logarithms = (0..<rounds).map { sums[$0 * positions + position] }
                    let top = logarithms.max() ?? 0
                    let weights = logarithms.map { exp($0 - top) }
                    let total = weights.reduce(0, +)
                    for (round, weight) in weights.enumerated() {
                        let part = mixed[round * positions + position]
                        for i in 0..<valueSize { output.values[start(position, valueSize) + i] += weight / total * part[i] }
                    }
                }
            }
        }
        return [output]
    }
}
