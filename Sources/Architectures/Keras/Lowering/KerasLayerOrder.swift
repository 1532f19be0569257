/// The order in which Keras numbers a functional model's layers when it builds one from a configuration.
///
/// Loaders pair weights with layers by position in this order, so a file must be written in it. Both generations walk depth first from the outputs
/// and sort layers by their distance from the outputs, then by the first visit (`map_graph` in `keras/src/ops/function.py`,
/// `_map_graph_network` in `tf_keras/src/engine/functional.py`).
enum KerasLayerOrder {
    static func sorted(_ container: KerasContainer) throws -> [KerasLayerSpec] {
        guard !container.isSequential else { return container.layers }
        let walk = try Walk(container)
        // First visits: depth first from the outputs, a layer counted when it is entered.
        var visits: [String: Int] = [:]
        var seen = Set<KerasCallOrder.Step>()
        for output in container.outputs {
            var stack = [KerasCallOrder.Step(layer: output.layer, call: max(output.node - walk.order.offset(output.layer), 0))]
            while let step = stack.popLast() {
                guard seen.insert(step).inserted else { continue }
                if visits[step.layer] == nil { visits[step.layer] = visits.count }
                stack += walk.parents(step).reversed()
            }
        }
        let layerDepths = walk.layerDepths
        return container.layers.enumerated().filter { layerDepths[$0.element.name] != nil || $0.element.className == "InputLayer" }
            .sorted { a, b in
                let (x, y) = (layerDepths[a.element.name] ?? 0, layerDepths[b.element.name] ?? 0)
                if x != y { return x > y }
                let (i, j) = (visits[a.element.name] ?? -1, visits[b.element.name] ?? -1)
                return i != j ? i < j : a.offset < b.offset
            }.map(\.element)
    }

    /// The calls in the order in which Keras computes them: those farthest from the outputs first.
    static func steps(_ container: KerasContainer) throws -> [KerasCallOrder.Step] {
        let walk = try Walk(container)
        let visited = walk.order.calls.reversed().enumerated()
        return visited.sorted { a, b in
            let (x, y) = (walk.depths[a.element] ?? 0, walk.depths[b.element] ?? 0)
            return x != y ? x > y : a.offset < b.offset
        }.map(\.element)
    }

    /// Distances of calls and layers from the outputs.
    private struct Walk {
        let order: KerasCallOrder
        private let specs: [String: KerasLayerSpec]
        private(set) var depths: [KerasCallOrder.Step: Int] = [:]
        private(set) var layerDepths: [String: Int] = [:]

        init(_ container: KerasContainer) throws {
            specs = Dictionary(container.layers.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
            order = try KerasCallOrder(container)
            // `calls` is in the order in which the walk finishes nodes; depths go the other way.
            for step in order.calls.reversed() {
                let depth = max(depths[step] ?? 0, layerDepths[step.layer] ?? 0)
                layerDepths[step.layer] = depth
                depths[step] = depth
                for parent in parents(step) { depths[parent] = max(depth + 1, depths[parent] ?? 0) }
            }
        }

        func parents(_ step: KerasCallOrder.Step) -> [KerasCallOrder.Step] {
            guard let spec = specs[step.layer], spec.calls.indices.contains(step.call) else { return [] }
            return spec.calls[step.call].computedReferences.map {
                KerasCallOrder.Step(
                    layer: $0.layer, call: specs[$0.layer]?.className == "InputLayer" ? 0 : max($0.node - order.offset($0.layer), 0))
            }
        }
    }
}
