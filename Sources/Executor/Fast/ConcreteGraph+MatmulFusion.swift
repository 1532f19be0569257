import ModelIR

extension ConcreteGraph {
    /// Lets every matmul take in what stands around it: a transposition of its right side's last two axes, the bias added to its result,
    /// another value of its shape added to that, and an element-wise activation after it. One pass over memory instead of up to five, and no
    /// transposed copy of weights.
    ///
    /// A value in `kept` is never swallowed, so that capturing it later changes nothing.
    mutating func fuseMatmuls(kept: Set<Int>) {
        let known = ValueUses(self, kept: kept)
        let (producer, reader) = (known.producers, known.readers)
        var uses = known.counts
        var isDropped = [Bool](repeating: false, count: nodes.count)
        let isParameter = Set(parameters.map(\.value))

        for position in nodes.indices where nodes[position].op == .matmul {
            let right = nodes[position].inputs[1]
            if producer[right] >= 0, case .transpose(let permutation) = nodes[producer[right]].op, swapsLastTwo(permutation) {
                nodes[position].inputs[1] = nodes[producer[right]].inputs[0]
                nodes[position].fusion.transposesRight = true
                uses[right] -= 1
                isDropped[producer[right]] = uses[right] == 0
            }
            // The matmul moves to where the last swallowed node was, since the bias may be made between them.
            var last = position
            while true {
                let result = nodes[last].outputs[0]
                guard uses[result] == 1, reader[result] > last, !isDropped[reader[result]] else { break }
                var merged = nodes[last]
                let next = nodes[reader[result]]
                guard merged.fusion.activation == nil, types[next.outputs[0]].shape == types[result].shape else { break }
                if next.op == .binary(.add), !merged.fusion.hasBias, !merged.fusion.hasResidual,
                    let bias = next.inputs.first(where: { $0 != result }),
                    isParameter.contains(bias),
                    types[bias].shape == [types[result].shape.last ?? 0]
                {
                    merged.inputs.append(bias)
                    merged.fusion.hasBias = true
                } else if next.op == .binary(.add), !merged.fusion.hasResidual, merged.multipliesRows(types),
                    let residual = next.inputs.first(where: { $0 != result }), types[residual].shape == types[result].shape
                {
                    merged.inputs.append(residual)
                    merged.fusion.hasResidual = true
                } else if case .composite(.activation(let activation)) = next.op, activation.isElementwise {
                    merged.fusion.activation = activation
                } else {
                    break
                }
                merged.outputs = next.outputs
                isDropped[last] = true
                last = reader[result]
                nodes[last] = merged
            }
        }
        nodes = zip(nodes, isDropped).filter { !$0.1 }.map(\.0)
    }

    private func swapsLastTwo(_ permutation: [Int]) -> Bool {
        let rank = permutation.count
        return rank >= 2 && permutation == Array(0..<rank - 2) + [rank - 1, rank - 2]
    }
}

extension ConcreteNode {
    /// Whether it is a matmul of all rows of its left side, those of leading dimensions too, by one matrix.
    func multipliesRows(_ types: [ConcreteType]) -> Bool {
        guard op == .matmul else { return false }
        let (left, right, result) = (types[inputs[0]].shape, types[inputs[1]].shape, types[outputs[0]].shape)
        return right.dropLast(2).allSatisfy { $0 == 1 } && left.dropLast(2).reduce(1, *) == result.dropLast(2).reduce(1, *)
            && types[inputs[0]].count > 0 && types[outputs[0]].count > 0
    }
}
