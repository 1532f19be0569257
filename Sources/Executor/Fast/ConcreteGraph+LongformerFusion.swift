import ModelIR

/// The tokens that Longformer's attention treats as global: known when it runs.
struct GlobalTokens: Hashable, Sendable {
    /// Values, bool [batch, positions]: which tokens count, and which of them are global.
    var counts: Int
    var isGlobal: Int
    /// Up to this many in every batch row are few.
    var few: Int
}

extension ConcreteGraph {
    /// Lets Longformer's attention see what its global queries, keys and values are projected from: those projections then run only where
    /// global tokens are many, as they seldom are; else the kernel does without them (`LongformerRun.attendFew`).
    mutating func fuseLongformer(kept: Set<Int>) {
        let known = ValueUses(self, kept: kept)
        let (uses, producer) = (known.counts, known.producers)
        let isParameter = Set(parameters.map(\.value))

        /// Position of the matmul with bias whose rows, split into heads, are `value`, and nothing else.
        func projection(_ value: Int) -> Int? {
            guard uses[value] == 1, producer[value] >= 0, case .reshape = nodes[producer[value]].op else { return nil }
            let product = nodes[producer[value]].inputs[0]
            guard uses[product] == 1, producer[product] >= 0 else { return nil }
            let node = nodes[producer[product]]
            guard node.op == .matmul, node.fusion.transposesRight, node.fusion.hasBias, node.fusion.activation == nil,
                types[node.inputs[0]].shape.count == 3, types[node.inputs[1]].shape.count == 2,
                node.inputs.dropFirst().allSatisfy(isParameter.contains)
            else { return nil }
            return producer[product]
        }
        for position in nodes.indices {
            guard case .composite(.longformerAttention) = nodes[position].op, nodes[position].inputs.count == 8 else { continue }
            let inputs = nodes[position].inputs
            let made = inputs[3..<6].compactMap(projection)
            guard made.count == 3, Set(made.map { nodes[$0].inputs[0] }).count == 1,
                // Whether to run the projections is known by then.
                max(producer[inputs[6]], producer[inputs[7]]) < (made.min() ?? 0)
            else { continue }
            let (query, key, value) = (nodes[made[0]].inputs, nodes[made[1]].inputs, nodes[made[2]].inputs)
            nodes[position].inputs += query + [key[1]] + value.dropFirst()
            let size = types[inputs[0]].shape[3]
            for matmul in made {
                nodes[matmul].onlyForMany = GlobalTokens(
                    counts: inputs[6], isGlobal: inputs[7], few: LongformerKernels.Sizes.few(size: size))
            }
        }
    }
}
