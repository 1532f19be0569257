/// Attention among vectors that hash alike (Kitaev et al. 2020; `LSHSelfAttention` of transformers' `modeling_reformer.py`).
///
/// Inputs, in order: query and key in one, [batch, positions, heads, size]; value [batch, positions, heads, valueSize]; mask, bool
/// [batch, positions]: which positions count.
/// Output: [batch, positions, heads, valueSize].
///
/// In each of `hashes` rounds positions are sorted by bucket, and cut into chunks; a position attends to its chunk and to neighbouring
/// ones, in a circle around the chunks of all rounds, and to itself only where it has no other key. What rounds give is weighed by the sums
/// of their exponentials. A sequence that fits one chunk is attended whole.
public struct LSHAttention: Hashable, Sendable {
    /// Positions of a chunk; they divide the length of a sequence that is longer.
    public var chunk: Int
    /// Chunks seen before and after the own one.
    public var before: Int
    public var after: Int
    /// Rounds.
    public var hashes: Int
    /// Factors of the number of buckets, each of them even; none where the number follows from the length.
    public var buckets: [Int]
    /// Positions of the longest sequence; it bounds buckets that follow from the length.
    public var longest: Int
    /// Of the random rotations, as `torch.manual_seed` takes it.
    public var seed: Int
    /// Whether positions attend to those before them alone.
    public var isCausal: Bool

    public init(
        chunk: Int, before: Int, after: Int, hashes: Int, buckets: [Int], longest: Int, seed: Int, isCausal: Bool
    ) {
        self.chunk = chunk
        self.before = before
        self.after = after
        self.hashes = hashes
        self.buckets = buckets
        self.longest = longest
        self.seed = seed
        self.isCausal = isCausal
    }

    /// Added under the square root of a key's length.
    public static let epsilon = 1e-6
    /// Score of a position with itself.
    public static let selfScore = -1e5
    /// Score of a key that a position may not attend to.
    public static let maskedScore = -1e9

    func inferTypes(_ inputs: [ValueType]) throws(GraphError) -> [ValueType] {
        guard inputs.count == 3 else { throw GraphError("lsh_attention takes 3 inputs, not \(inputs.count)") }
        let (vectors, value, mask) = (inputs[0], inputs[1], inputs[2])
        func agree(_ a: Shape, _ b: Shape, _ axes: Range<Int>) -> Bool { axes.allSatisfy { a[$0].equals(b[$0]) != false } }
        guard vectors.dtype.isFloat, value.dtype == vectors.dtype, vectors.shape.rank == 4, value.shape.rank == 4,
            agree(vectors.shape, value.shape, 0..<3)
        else { throw GraphError("lsh_attention takes floats [batch, positions, heads, size], not \(vectors) and \(value)") }
        guard mask.dtype == .bool, mask.shape.rank == 2, agree(mask.shape, vectors.shape, 0..<2) else {
            throw GraphError("lsh_attention's mask is \(ValueType(.bool, [vectors.shape[0], vectors.shape[1]])), not \(mask)")
        }
        try check(positions: vectors.shape[1].fixedValue, heads: vectors.shape[2].fixedValue, size: vectors.shape[3].fixedValue)
        return [ValueType(vectors.dtype, [vectors.shape[0], vectors.shape[1], vectors.shape[2], value.shape[3]])]
    }

    /// - Throws: `GraphError` for a number out of range; products of those that pass fit 64 bits.
    private func check(positions: Int?, heads: Int?, size: Int?) throws(GraphError) {
        let sizes = 1...1 << 31
        guard sizes.contains(chunk), sizes.contains(longest), (0...1 << 10).contains(before), (0...1 << 10).contains(after),
            (1...1 << 10).contains(hashes)
        else { throw GraphError("lsh_attention has chunk=\(chunk) before=\(before) after=\(after) hashes=\(hashes) longest=\(longest)") }
        guard buckets.count <= 16, buckets.allSatisfy({ $0 > 0 && $0 % 2 == 0 && $0 <= 1 << 20 }),
            buckets.reduce(1.0, { $0 * Double($1) }) < 0x1p40
        else { throw GraphError("lsh_attention has buckets=\(buckets); their numbers are positive and even") }
        guard let positions, positions > chunk else { return }
        guard positions % chunk == 0 else { throw GraphError("lsh_attention has \(positions) positions, no multiple of its chunk \(chunk)") }
        guard let heads, let size else { return }
        let rotations = Double(heads) * Double(size) * Double(hashes) * Double(factors(positions: positions).reduce(0, +) / 2)
        guard rotations < 0x1p31, Double(positions) * Double(hashes) < 0x1p40 else {
            throw GraphError("lsh_attention has rotations of \(rotations) numbers")
        }
    }

    /// Factors of the number of buckets for a sequence of this length: those given, or a power of two near twice the number of chunks, in two
    /// factors where it exceeds what the chunk and the longest sequence allow (`_set_num_buckets` of transformers).
    public func factors(positions: Int) -> [Int] {
        guard buckets.isEmpty else { return buckets }
        let power = max(2 * (positions / chunk), 2)
        let exponent = Int.bitWidth - 1 - power.leadingZeroBitCount
        let limit = 2 * max(Int(Double(longest / chunk).squareRoot()), chunk)
        return 1 << exponent <= limit ? [1 << exponent] : [1 << (exponent / 2), 1 << (exponent - exponent / 2)]
    }

    /// Random rotations [heads, size, hashes, half the sum of `factors`].
    public func rotations(heads: Int, size: Int, factors: [Int]) -> [Float] {
        var generator = TorchGenerator(seed: seed)
        return generator.normals(heads * size * hashes * (factors.reduce(0, +) / 2))
    }
}
