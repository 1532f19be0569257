import ModelIR

// Totals in Double: a hostile graph may exceed any integer, and the limit they are held against needs no last digit.

extension ConcreteGraph {
    /// Bytes of live values at the fullest moment, 8 per element: what the reference backend holds, parameters from first to last use.
    func referencePeakBytes() -> Double {
        let last = lastUses()
        let isParameter = Set(parameters.map(\.value))
        var isLive = [Bool](repeating: false, count: types.count)
        var live = 0.0
        func bytes(_ value: Int) -> Double { Double(types[value].count) * 8 }
        for input in inputs {
            isLive[input] = true
            live += bytes(input)
        }
        var peak = live
        for (position, node) in nodes.enumerated() {
            for input in node.inputs where isParameter.contains(input) && !isLive[input] {
                isLive[input] = true
                live += bytes(input)
            }
            for output in node.outputs {
                isLive[output] = true
                live += bytes(output)
            }
            // The expansion shares its inputs with this graph, and its outputs become this node's.
            let inner = node.expansion.map { $0.referencePeakBytes() - node.inputs.reduce(0) { $0 + bytes($1) } } ?? 0
            peak = max(peak, live + max(0, inner))
            for value in node.inputs + node.outputs where isLive[value] && last[value] <= position {
                isLive[value] = false
                live -= bytes(value)
            }
        }
        return peak
    }

    /// Floating-point operations of one pass.
    func operations() -> Double { nodes.reduce(0) { $0 + operations($1) } }

    private func operations(_ node: ConcreteNode) -> Double {
        if let expansion = node.expansion, !node.op.hasPattern { return expansion.operations() }
        func count(_ value: Int) -> Double { Double(types[value].count) }
        let output = node.outputs.first.map(count) ?? 0
        switch node.op {
        case .constant, .reshape, .transpose, .broadcast, .slice, .reverse, .pad, .concat, .gather, .scatter, .iota: return 0
        case .unary, .binary, .compare, .select, .cast: return output
        case .reduce, .sort, .argmax, .cumulativeSum: return count(node.inputs[0])
        case .matmul: return 2 * output * Double(types[node.inputs[0]].shape.last ?? 0)
        case .convolution:
            let kernel = types[node.inputs[1]].shape
            return 2 * output * kernel.dropLast().reduce(1.0) { $0 * Double($1) }
        case .pool(let pool): return output * pool.sizes.reduce(1.0) { $0 * Double($1) }
        case .composite(.attention(let attention)):
            let (query, key) = (types[node.inputs[0]].shape, types[node.inputs[1]].shape)
            let widths = Double(query[3]) + Double(types[node.inputs[2]].shape[3])
            return Double(query[0]) * attention.pattern.estimatedPairs(queries: query[1], keys: key[1], heads: query[2]) * 2 * widths
        case .composite(.longformerAttention(let attention)):
            // Which tokens are global isn't known yet.
            let shape = types[node.inputs[0]].shape
            return 4 * output * Double(min(2 * attention.window + 1, shape[1]))
        case .composite(.recurrence):
            let (x, kernel, recurrent) = (types[node.inputs[0]].shape, types[node.inputs[1]].shape, types[node.inputs[2]].shape)
            let rows = Double(x[0]) * Double(x[1])
            return rows * Double(kernel[1]) * 2 * (Double(kernel[0]) + Double(recurrent[0]) + 1)
        case .composite: return output
        }
    }
}

extension Op {
    /// Whether its definition computes also what a pattern leaves out.
    fileprivate var hasPattern: Bool {
        if case .composite(.attention) = self { return true }
        if case .composite(.longformerAttention) = self { return true }
        return false
    }
}
