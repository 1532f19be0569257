import ModelIR

extension ConcreteGraph {
    /// Lets attention read queries, keys and values where one projection has put them side by side (GPT-2), instead of from copies of the
    /// parts: `reshape(slice(x))` of the last axis becomes x with an offset.
    mutating func fuseAttention(kept: Set<Int>) {
        let known = ValueUses(self, kept: kept)
        let producer = known.producers
        var uses = known.counts
        var isDropped = [Bool](repeating: false, count: nodes.count)
        /// One reader less; a node without any goes, and its own inputs have one less.
        func release(_ value: Int) {
            uses[value] -= 1
            guard uses[value] == 0, producer[value] >= 0 else { return }
            isDropped[producer[value]] = true
            nodes[producer[value]].inputs.forEach(release)
        }
        for position in nodes.indices {
            guard case .composite(.attention) = nodes[position].op else { continue }
            var views: [HeadView?] = [nil, nil, nil]
            for i in 0..<3 {
                let heads = nodes[position].inputs[i]
                guard let (source, offset) = slicedSource(heads, producer) else { continue }
                views[i] = HeadView(shape: types[heads].shape, offset: offset, rowStep: types[source].shape[2])
                nodes[position].inputs[i] = source
                uses[source] += 1
                release(heads)
            }
            nodes[position].headViews = views
        }
        nodes = zip(nodes, isDropped).filter { !$0.1 }.map(\.0)
    }

    /// x and the first column, where `heads` [batch, positions, heads, size] is made of columns of x [batch, positions, width].
    private func slicedSource(_ heads: Int, _ producer: [Int]) -> (source: Int, offset: Int)? {
        guard producer[heads] >= 0, case .reshape = nodes[producer[heads]].op else { return nil }
        let slice = nodes[producer[heads]].inputs[0]
        let shape = types[heads].shape
        guard producer[slice] >= 0, case .slice(let ranges) = nodes[producer[slice]].op,
            types[slice].shape == [shape[0], shape[1], shape[2] * shape[3]]
        else { return nil }
        let source = nodes[producer[slice]].inputs[0]
        let whole = types[source].shape
        guard whole[0] == shape[0], whole[1] == shape[1], ranges[2].step == 1 else { return nil }
        return (source, ranges[2].bounds(whole[2]).lowerBound)
    }
}
