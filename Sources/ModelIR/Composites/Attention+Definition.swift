extension Attention {
    /// softmax(query x key^T * scale + bias, where allowed) x value.
    var definition: CompositeDefinition {
        .graph { graph, inputs throws(GraphError) in
            let (query, key, value) = (graph.type(of: inputs[0]), graph.type(of: inputs[1]).shape, graph.type(of: inputs[2]).shape)
            guard let sizes = query.shape.fixedSizes, let keySizes = key.fixedSizes, let valueSize = value[3].fixedValue else {
                throw GraphError("attention is defined for sizes in numbers, not for \(query.shape) and \(key)")
            }
            let (batch, queries, heads, size) = (sizes[0], sizes[1], sizes[2], sizes[3])
            let (keys, keyHeads) = (keySizes[1], keySizes[2])
            let dtype = query.dtype
            // Heads that share a key head make an axis of their own, along which keys and values broadcast.
            func split(_ input: ValueID, _ shape: [Int], _ order: [Int]) throws(GraphError) -> ValueID {
                let split = try graph.append(.reshape(Shape(fixed: shape)), [input])
                return try graph.append(.transpose(order), [split])
            }
            let q = try split(inputs[0], [batch, queries, keyHeads, heads / keyHeads, size], [0, 2, 3, 1, 4])
            let k = try split(inputs[1], [batch, keys, keyHeads, 1, size], [0, 2, 3, 4, 1])
            let v = try split(inputs[2], [batch, keys, keyHeads, 1, valueSize], [0, 2, 3, 1, 4])
            let weightShape = Shape(fixed: [batch, heads, queries, keys])
            var scores = try graph.append(.reshape(weightShape), [graph.append(.matmul, [q, k])])
            scores = try graph.binary(.multiply, scores, graph.scalar(scale, dtype))
            if let biasIndex { scores = try graph.binary(.add, scores, inputs[biasIndex]) }

            let masks = try pattern.masks(&graph, queries: queries, keys: keys, heads: heads)
            if let repeats = masks.repeats {
                // A key that counts n times weighs n e^score.
                scores = try graph.binary(.add, scores, graph.unary(.log, graph.append(.cast(dtype), [repeats])))
            }
            var allowed = masks.allowed
            if let keyMaskIndex {
                let mask = try graph.append(.reshape(Shape(fixed: [batch, 1, 1, keys])), [inputs[keyMaskIndex]])
                if let mine = allowed { allowed = try graph.binary(.and, mine, mask) } else { allowed = mask }
            }
            var weights: ValueID
            if let allowed {
                let lowest = try graph.scalar(-.infinity, dtype)
                let hasAny = try graph.append(.reduce(.any, axes: [-1], keepsDimensions: true), [allowed])
                scores = try graph.append(.select, [allowed, scores, lowest])
                // What stands in for the scores of a query without keys; finite somewhere, so that its softmax is a number.
                var filler = try graph.scalar(0, dtype)
                if unattended == .uniform {
                    if let repeats = masks.repeats { filler = try graph.unary(.log, graph.append(.cast(dtype), [repeats])) }
                    if let domain = masks.domain { filler = try graph.append(.select, [domain, filler, lowest]) }
                }
                weights = try graph.append(.composite(.softmax(axis: -1)), [graph.append(.select, [hasAny, scores, filler])])
                if unattended == .zero { weights = try graph.append(.select, [hasAny, weights, graph.scalar(0, dtype)]) }
            } else {
                weights = try graph.append(.composite(.softmax(axis: -1)), [scores])
            }
            let grouped = try graph.append(.reshape(Shape(fixed: [batch, keyHeads, heads / keyHeads, queries, keys])), [weights])
            let mixed = try graph.append(.transpose([0, 3, 1, 2, 4]), [graph.append(.matmul, [grouped, v])])
            let output = try graph.append(.reshape(Shape(fixed: [batch, queries, heads, valueSize])), [mixed])
            return returnsWeights ? [output, weights] : [output]
        }
    }
}

/// A pattern as values of a graph, each broadcastable to [heads, queries, keys]; nil where nothing is said.
struct AttentionMasks {
    /// bool: what may be attended.
    var allowed: ValueID?
    /// bool: what a query without keys spreads over.
    var domain: ValueID?
    /// i64: how often a key counts, where one counts more than once.
    var repeats: ValueID?
}

extension AttentionPattern {
    /// The pattern by comparing positions, apart from `keyRanges`, which tests hold against it.
    func masks(_ graph: inout Graph, queries: Int, keys: Int, heads: Int) throws(GraphError) -> AttentionMasks {
        guard case .heads(let groups) = self else {
            let position = try graph.binary(
                .add, graph.append(.iota(ValueType(.i64, Shape(fixed: [queries, 1])), axis: 0), []),
                graph.scalar(Double(keys - queries), .i64))
            let key = try graph.append(.iota(ValueType(.i64, Shape(fixed: [1, keys])), axis: 1), [])
            return try masks(&graph, position: position, key: key, keys: keys)
        }
        var parts: [AttentionMasks] = []
        for group in groups { parts.append(try group.pattern.masks(&graph, queries: queries, keys: keys, heads: group.count)) }
        func joined(_ part: (AttentionMasks) -> ValueID?, _ dtype: DType) throws(GraphError) -> ValueID? {
            guard parts.contains(where: { part($0) != nil }) else { return nil }
            var values: [ValueID] = []
            for (group, masks) in zip(groups, parts) {
                var value = try graph.scalar(1, dtype)
                if let mine = part(masks) { value = mine }
                values.append(try graph.append(.broadcast(Shape(fixed: [group.count, queries, keys])), [value]))
            }
            return try graph.append(.concat(axis: 0), values)
        }
        return AttentionMasks(
            allowed: try joined({ $0.allowed }, .bool), domain: try joined({ $0.domain }, .bool), repeats: try joined({ $0.repeats }, .i64))
    }

    /// - Parameters:
    ///   - position: i64 [queries, 1].
    ///   - key: i64 [1, keys].
    private func masks(_ graph: inout Graph, position: ValueID, key: ValueID, keys: Int) throws(GraphError) -> AttentionMasks {
        func number(_ value: Int) throws(GraphError) -> ValueID { try graph.scalar(Double(value), .i64) }
        func compare(_ a: ValueID, _ comparison: Comparison, _ b: ValueID) throws(GraphError) -> ValueID {
            try graph.append(.compare(comparison), [a, b])
        }
        func divided(_ a: ValueID, by n: Int) throws(GraphError) -> ValueID { try graph.binary(.divide, a, number(n)) }
        func remainder(_ a: ValueID, by n: Int) throws(GraphError) -> ValueID { try graph.binary(.remainder, a, number(n)) }

        switch self {
        case .full, .heads: return AttentionMasks()
        case .causal: return AttentionMasks(allowed: try compare(key, .lessOrEqual, position))
        case .slidingWindow(let before, let after, let dilation):
            let distance = try graph.binary(.subtract, position, key)
            var allowed = try graph.binary(
                .and, compare(distance, .lessOrEqual, number(before * dilation)),
                compare(distance, .greaterOrEqual, number(-after * dilation)))
            if dilation > 1 { allowed = try graph.binary(.and, allowed, compare(remainder(distance, by: dilation), .equal, number(0))) }
            return AttentionMasks(allowed: allowed)
        case .strided(let stride):
            let isMultiple = try compare(remainder(graph.binary(.subtract, position, key), by: stride), .equal, number(0))
            return AttentionMasks(allowed: try graph.binary(.and, isMultiple, compare(key, .lessOrEqual, position)))
        case .fixed(let stride, let summary):
            let isSummary = try compare(remainder(key, by: stride), .greaterOrEqual, number(stride - summary))
            return AttentionMasks(allowed: try graph.binary(.and, isSummary, compare(key, .lessOrEqual, position)))
        case .blockLocal(let block, let before, let after, let causal):
            // Chunks from the first neighbour on, around the circle: 0 ..< chunks. A step past the circle is none.
            let chunks = (keys + block - 1) / block
            let (nearBefore, nearAfter) = (min(before, chunks - 1), min(after, chunks - 1))
            let first = try graph.binary(.subtract, divided(position, by: block), number(nearBefore))
            let step = try remainder(graph.binary(.subtract, divided(key, by: block), first), by: chunks)
            let domain = try compare(step, .lessOrEqual, number(nearBefore + nearAfter))
            var masks = AttentionMasks(allowed: domain, domain: domain)
            if causal { masks.allowed = try graph.binary(.and, domain, compare(key, .lessOrEqual, position)) }
            if nearBefore + nearAfter >= chunks || before > nearBefore || after > nearAfter {
                // Of step, step + chunks, ... those that are at most the last neighbour's; and the own chunk for each step past the circle.
                let room = try graph.binary(.subtract, number(nearBefore + nearAfter + chunks), step)
                let isOwn = try compare(step, .equal, number(nearBefore))
                let more = try graph.append(
                    .select, [isOwn, number(before - nearBefore + after - nearAfter), number(0)])
                masks.repeats = try graph.binary(.add, divided(room, by: chunks), more)
            }
            return masks
        case .union(let parts):
            var allowed: ValueID?
            for part in parts {
                guard let mine = try part.masks(&graph, position: position, key: key, keys: keys).allowed else { return AttentionMasks() }
                if let other = allowed { allowed = try graph.binary(.or, other, mine) } else { allowed = mine }
            }
            return AttentionMasks(allowed: allowed)
        }
    }
}
