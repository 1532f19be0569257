import ModelIR

extension Inspection {
    /// What an attention layer's queries attend to.
    public struct AttentionLayer: Hashable, Sendable {
        /// Name of the layer, as in `layers`.
        public var name: String
        public var outline: AttentionOutline
    }

    /// Attention layers of the graph, in order; layers mostly share an outline, which is made once.
    static func attention(in graph: Graph) -> [AttentionLayer] {
        struct Key: Hashable {
            var composite: Composite
            var inputs: [ValueType]
        }
        var known: [Key: AttentionOutline?] = [:]
        var layers: [AttentionLayer] = []
        for node in graph.nodes {
            // What belongs to no layer only counts keys.
            guard case .composite(let composite) = node.op, !node.origin.isEmpty else { continue }
            let key = Key(composite: composite, inputs: node.inputs.map { graph.type(of: $0) })
            let outline = known[key] ?? AttentionOutline(composite, inputs: key.inputs)
            known[key] = outline
            if let outline { layers.append(AttentionLayer(name: node.origin, outline: outline)) }
        }
        return layers
    }

    /// Attention layers by outline, each with the layers that have it, in order.
    public var attentionGroups: [(outline: AttentionOutline, layers: [String])] {
        var groups: [(outline: AttentionOutline, layers: [String])] = []
        var index: [AttentionOutline: Int] = [:]
        for layer in attention {
            if let known = index[layer.outline] {
                groups[known].layers.append(layer.name)
            } else {
                index[layer.outline] = groups.count
                groups.append((layer.outline, [layer.name]))
            }
        }
        return groups
    }
}
