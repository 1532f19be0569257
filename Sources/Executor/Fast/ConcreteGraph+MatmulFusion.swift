import ModelIR

extension ConcreteGraph {
    /// Lets every matmul take in what stands around it: a transposition of its right side's last two axes, the bias added to its result,
    /// and an element-wise activation after that. One pass over memory instead of up to four, and no transposed copy of weights.
    ///
    /// A value in `kept` is never swallowed, so that capturing it later changes nothing.
    mutating func fuseMatmuls(kept: Set<Int>) {
        var uses = [Int](repeating: 0, count: types.count)
        var reader = [Int](repeating: -1, count: types.count)
        var producer = [Int](repeating: -1, count: types.count)
        for (position, node) in nodes.enumerated() {
            for input in node.inputs { (uses[input], reader[input]) = (uses[input] + 1, position) }
            for output in node.outputs { producer[output] = position }
        }
        var isDropped = [Bool](repeating: false, count: nodes.count)
        let isParameter = Set(parameters.map(\.value))

        for position in nodes.indices where nodes[position].op == .matmul {
            let right = nodes[position].inputs[1]
            if producer[right] >= 0, case .transpose(let permutation) = nodes[producer[right]].op, swapsLastTwo(permutation) {
                nodes[position].inputs[1] = nodes[producer[right]].inputs[0]
                nodes[position].fusion.transposesRight = true
                uses[right] -= 1
                isDropped[producer[right]] = uses[right] == 0 && !kept.contains(right)
            }
            // The matmul moves to where the last swallowed node was, since the bias may be made between them.
            var last = position
            while true {
                let result = nodes[last].outputs[0]
                guard uses[result] == 1, !kept.contains(result), reader[result] > last, !isDropped[reader[result]] else { break }
                var merged = nodes[last]
                let next = nodes[reader[result]]
                guard merged.fusion.activation == nil, types[next.outputs[0]].shape == types[result].shape else { break }
                if next.op == .binary(.add), !merged.fusion.hasBias, let bias = next.inputs.first(where: { $0 != result }),
                    isParameter.contains(bias),
                    types[bias].shape == [types[result].shape.last ?? 0]
                {
                    merged.inputs.append(bias)
                    merged.fusion.hasBias = true
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
