import ModelIR

extension TransformerBuilder {
    /// softmax(Q K^T * scale + bias) V, apart for each head, over the keys that the pattern and the mask allow.
    ///
    /// - Parameters:
    ///   - query: [batch, queries, heads * size]; `key` [batch, keys, heads * size] and `value` [batch, keys, heads * valueSize] likewise.
    ///   - scale: nil for 1 / sqrt(size).
    ///   - keyMask: bool [batch, keys]: what may be attended.
    ///   - bias: broadcastable to [batch, heads, queries, keys].
    /// - Returns: [batch, queries, heads * valueSize]
    mutating func attention(
        _ query: ValueID, _ key: ValueID, _ value: ValueID, heads: Int, pattern: AttentionPattern = .full, scale: Double? = nil,
        keyMask: ValueID? = nil, bias: ValueID? = nil, unattended: Attention.Unattended = .uniform
    ) throws -> ValueID {
        let inputs = [try splitHeads(query, heads), try splitHeads(key, heads), try splitHeads(value, heads)]
        let size = shape(inputs[0])[-1].fixedValue ?? 1
        let attention = Attention(
            pattern: pattern, scale: scale ?? 1 / Double(size).squareRoot(), hasKeyMask: keyMask != nil, hasBias: bias != nil,
            unattended: unattended)
        let context = try graph.append(.composite(.attention(attention)), inputs + [keyMask, bias].compactMap { $0 })
        return try joinHeads(context)
    }
}
