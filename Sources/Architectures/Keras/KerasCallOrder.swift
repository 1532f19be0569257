import ByteIO

/// The calls of a functional model in an order of computation: those that its outputs need, each after what it uses.
struct KerasCallOrder {
    struct Step: Hashable {
        var layer: String
        /// Position in the layer's list of calls.
        var call: Int
    }

    private(set) var calls: [Step] = []
    private let offsets: [String: Int]

    /// Numbers of calls count from 1 for nested models that keep a call of their own, from 0 otherwise.
    func offset(_ layer: String) -> Int { offsets[layer] ?? 0 }

    /// - Throws: `FormatError` for calls of layers or outputs that aren't there, and for cycles.
    init(_ container: KerasContainer) throws(FormatError) {
        let specs = Dictionary(container.layers.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
        var highest: [String: Int] = [:]
        func note(_ reference: KerasTensorReference) { highest[reference.layer] = max(highest[reference.layer] ?? 0, reference.node) }
        for layer in container.layers { for call in layer.calls { call.references.forEach(note) } }
        container.outputs.forEach(note)
        var offsets: [String: Int] = [:]
        for layer in container.layers where layer.container != nil && !layer.calls.isEmpty {
            if highest[layer.name] == layer.calls.count { offsets[layer.name] = 1 }
        }
        self.offsets = offsets
        let inputs = Set(container.inputs)

        func step(_ reference: KerasTensorReference, from user: String) throws(FormatError) -> Step {
            guard let spec = specs[reference.layer] else {
                throw kerasError("missing-layer", expected: "a layer '\(reference.layer)', used by \(user)", found: "none")
            }
            let call = reference.node - (offsets[reference.layer] ?? 0)
            guard inputs.contains(reference) || spec.className == "InputLayer" || spec.calls.indices.contains(call) else {
                throw kerasError(
                    "missing-layer", expected: "call \(reference.node) of layer '\(reference.layer)', used by \(user)", found: "none")
            }
            return Step(layer: reference.layer, call: max(call, 0))
        }

        enum State { case open, done }
        var states: [Step: State] = [:]
        // Depth first with a stack of our own: models are as deep as their authors like.
        for output in container.outputs {
            var stack: [(step: Step, isLeaving: Bool)] = [(try step(output, from: "the model's outputs"), false)]
            while let (current, isLeaving) = stack.popLast() {
                if isLeaving {
                    states[current] = .done
                    calls.append(current)
                    continue
                }
                guard states[current] == nil else { continue }
                states[current] = .open
                stack.append((current, true))
                guard let spec = specs[current.layer], spec.className != "InputLayer", spec.calls.indices.contains(current.call) else {
                    continue
                }
                for reference in spec.calls[current.call].computedReferences.reversed() where !inputs.contains(reference) {
                    let next = try step(reference, from: "layer '\(current.layer)'")
                    if states[next] == .open {
                        throw kerasError("cyclic-graph", expected: "layers without a cycle", found: "'\(next.layer)' uses its own output")
                    }
                    stack.append((next, false))
                }
            }
        }
    }
}
