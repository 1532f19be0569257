/// Scaled dot-product attention of several heads (Vaswani et al. 2017), over a pattern of allowed keys.
///
/// Inputs, in order: query [batch, queries, heads, size]; key [batch, keys, keyHeads, size]; value [batch, keys, keyHeads, valueSize], where
/// keyHeads divides heads and head h reads key head h / (heads / keyHeads); keyMask where `hasKeyMask`: bool [batch, keys], false is never
/// attended; bias where `hasBias`: broadcastable to [batch, heads, queries, keys], added to the scaled scores.
/// Outputs: [batch, queries, heads, valueSize]; with `returnsWeights` also the weights [batch, heads, queries, keys].
public struct Attention: Hashable, Sendable {
    /// What a query gets whose allowed keys are none.
    public enum Unattended: String, CaseIterable, Hashable, Sendable {
        /// All keys weigh the same, whatever their masks: what adding the lowest float to every score gives. `blockLocal` spreads over its
        /// own chunks only.
        case uniform
        /// Zeros, in the weights too.
        case zero
    }

    public var pattern: AttentionPattern
    /// Scores are multiplied by it; 1 for T5 and GPT-Neo.
    public var scale: Double
    public var hasKeyMask: Bool
    public var hasBias: Bool
    public var returnsWeights: Bool
    public var unattended: Unattended

    public init(
        pattern: AttentionPattern = .full, scale: Double, hasKeyMask: Bool = false, hasBias: Bool = false, returnsWeights: Bool = false,
        unattended: Unattended = .uniform
    ) {
        self.pattern = pattern
        self.scale = scale
        self.hasKeyMask = hasKeyMask
        self.hasBias = hasBias
        self.returnsWeights = returnsWeights
        self.unattended = unattended
    }

    /// Position of the key mask among the inputs.
    public var keyMaskIndex: Int? { hasKeyMask ? 3 : nil }
    /// Position of the bias among the inputs.
    public var biasIndex: Int? { hasBias ? 3 + (hasKeyMask ? 1 : 0) : nil }

    func inferTypes(_ inputs: [ValueType]) throws(GraphError) -> [ValueType] {
        let count = 3 + (hasKeyMask ? 1 : 0) + (hasBias ? 1 : 0)
        guard inputs.count == count else { throw GraphError("attention takes \(count) inputs, not \(inputs.count)") }
        let (query, key, value) = (inputs[0], inputs[1], inputs[2])
        try requireSameDType(inputs.enumerated().filter { $0.offset != keyMaskIndex }.map(\.element), "attention")
        guard query.dtype.isFloat, [query, key, value].allSatisfy({ $0.shape.rank == 4 }) else {
            throw GraphError("attention takes floats [batch, positions, heads, size], not \(query), \(key) and \(value)")
        }
        func agree(_ a: Dim, _ b: Dim) -> Bool { a.equals(b) != false }
        guard agree(query.shape[0], key.shape[0]), agree(query.shape[0], value.shape[0]), agree(key.shape[1], value.shape[1]),
            agree(key.shape[2], value.shape[2]), agree(query.shape[3], key.shape[3])
        else { throw GraphError("attention can't match query \(query.shape), key \(key.shape) and value \(value.shape)") }
        if let heads = query.shape[2].fixedValue, let keyHeads = key.shape[2].fixedValue {
            guard keyHeads > 0, heads % keyHeads == 0 else {
                throw GraphError("attention can't share \(keyHeads) key heads among \(heads) heads")
            }
        }
        guard key.shape[1] != .fixed(0) else { throw GraphError("attention has no keys") }
        try pattern.check()
        if case .heads(let groups) = pattern {
            let total = groups.reduce(0) { $0 + $1.count }
            guard agree(query.shape[2], .fixed(total)) else {
                throw GraphError("attention has patterns for \(total) heads, not for \(query.shape[2])")
            }
        }
        if let keyMaskIndex {
            let mask = inputs[keyMaskIndex]
            guard mask.dtype == .bool, mask.shape.rank == 2, agree(mask.shape[0], query.shape[0]), agree(mask.shape[1], key.shape[1]) else {
                throw GraphError("attention's key mask is \(mask), not \(ValueType(.bool, [query.shape[0], key.shape[1]]))")
            }
        }
        let weights = Shape([query.shape[0], query.shape[2], query.shape[1], key.shape[1]])
        if let biasIndex {
            let bias = inputs[biasIndex].shape
            let fits = bias.rank <= 4 && zip(bias.dims.reversed(), weights.dims.reversed()).allSatisfy { $0 == .fixed(1) || agree($0, $1) }
            guard fits else { throw GraphError("attention can't broadcast a bias \(bias) to \(weights)") }
        }
        let output = ValueType(query.dtype, [query.shape[0], query.shape[1], query.shape[2], value.shape[3]])
        return returnsWeights ? [output, ValueType(query.dtype, weights)] : [output]
    }
}
