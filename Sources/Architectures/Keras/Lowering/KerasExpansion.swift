import ByteIO
import JSON
import ModelIR

/// Layers that another generation has no word for, or the same word for something else, put in words that both have.
///
/// hard_sigmoid is clip(x/5 + 1/2) in Keras 2 and clip(x/6 + 1/2) in Keras 3: a layer that computes it becomes a Rescaling and a ReLU. The result
/// is still a model of the source's generation, which computes what it computed before.
struct KerasExpansion {
    let version: KerasVersion
    /// 2 or 3.
    let target: Int
    /// Shapes of what each layer is called with, by its path; nil entries are open.
    let inputShapes: [String: [[Int?]]]
    /// What a user should know, one line each.
    private(set) var notes: [String] = []

    init(version: KerasVersion, target: Int, inputShapes: [String: [[Int?]]]) {
        self.version = version
        self.target = target
        self.inputShapes = inputShapes
    }

    /// The layers of a container with those replaced that the target can't take as they are.
    mutating func expanded(_ container: KerasContainer, _ instances: [KerasInstance]) throws -> (KerasContainer, [KerasInstance]) {
        guard (version.generation == 3) != (target == 3) else { return (container, instances) }
        var names = Set(container.layers.map(\.name))
        var result: [KerasInstance] = []
        for instance in instances {
            if let nested = instance.spec.container {
                let (inner, children) = try expanded(nested, instance.children)
                var spec = instance.spec
                spec.container = inner
                result.append(KerasInstance(spec: spec, layer: nil, obstacle: nil, path: instance.path, children: children))
            } else {
                result += try replacement(of: instance, isFunctional: !container.isSequential, names: &names)
            }
        }
        var expanded = container
        expanded.layers = result.map(\.spec)
        return (expanded, result)
    }

    private mutating func replacement(of instance: KerasInstance, isFunctional: Bool, names: inout Set<String>) throws -> [KerasInstance] {
        var draft = KerasExpansionDraft(instance, version: version, names: names)
        defer { names = draft.names }
        switch instance.layer {
        case let layer as ActivationLayer:
            if case .hardSigmoid(let slope, let offset) = layer.activation {
                note(instance.spec.name)
                return try draft.rescaled(slope, offset, keepsMask: true)
            }
            // Both give x above theta, and 0 elsewhere.
            guard target == 3, instance.spec.className == "ThresholdedReLU", case .threshold(let theta, _) = layer.activation, theta >= 0
            else { return [instance] }
            return [try draft.rectifier(maximum: nil, threshold: theta)]
        case var layer as TimeDistributedLayer:
            if var model = layer.child as? ModelLayer {
                var inner = KerasExpansion(version: version, target: target, inputShapes: inputShapes.inside(instance.path))
                (model.container, model.instances) = try inner.expanded(model.container, model.instances)
                notes += inner.notes.map { "\($0) (inside layer '\(instance.spec.name)')" }
                layer.child = model
                return [KerasInstance(spec: instance.spec, layer: layer, obstacle: nil, path: instance.path, children: [])]
            }
            guard let child = layer.child as? ActivationLayer, case .hardSigmoid(let slope, let offset) = child.activation else {
                return [instance]
            }
            note(instance.spec.name)
            return [try draft.distributed(slope, offset, child: layer.childConfig.spec)]
        case is KerasOperation where isFunctional: return try operations(instance, &draft)
        default: return [instance]
        }
    }

    private mutating func note(_ name: String) {
        notes.append(
            "layer '\(name)': hard_sigmoid, another function in Keras \(target), is written as Rescaling and ReLU, which compute the same")
    }

    private mutating func operations(_ instance: KerasInstance, _ draft: inout KerasExpansionDraft) throws -> [KerasInstance] {
        let spec = instance.spec
        let calls = try spec.calls.map { call in
            try KerasOperationCall(
                spec, call.arguments, Dictionary(call.keywords.map { ($0.name, $0.value) }, uniquingKeysWith: { first, _ in first }))
        }
        // Nodes are called once, but for those of shared models, which are written as they are.
        guard calls.count == 1, let call = calls.first else { return [instance] }
        let inputs = call.inputs.compactMap(\.reference)
        let isOfTensors = inputs.count == call.inputs.count
        switch call.kind {
        case .activation(.hardSigmoid(let slope, let offset)) where target == 2 && isOfTensors:
            note(spec.name)
            return try draft.rescaled(slope, offset, keepsMask: false)
        case .matmul(let left, let right) where target == 3 && (left || right) && isOfTensors && inputs.count == 2:
            let a = left ? try draft.operation("Swapaxes", ["axis1": -1, "axis2": -2], [inputs[0]]) : inputs[0]
            let b = right ? try draft.operation("Swapaxes", ["axis1": -1, "axis2": -2], [inputs[1]]) : inputs[1]
            try draft.last("Matmul", [:], [a, b])
        case .swapAxes(let first, let second) where target == 2 && isOfTensors:
            guard let rank = inputShapes[instance.path]?.first?.count, (-rank..<rank).contains(first), (-rank..<rank).contains(second)
            else {
                return [instance]
            }
            var axes = Array(0..<rank)
            axes.swapAt((first + rank) % rank, (second + rank) % rank)
            try draft.last("Transpose", ["axes": .array(axes.map { .int($0) })], inputs)
        case .argmax(let axis, let keeps, let dtype), .argmin(let axis, let keeps, let dtype):
            let name = if case .argmax = call.kind { "Argmax" } else { "Argmin" }
            guard isOfTensors, target == 3 && dtype == .i64 || target == 2 && keeps else { return [instance] }
            let index = try draft.operation(name, ["axis": .int(axis), "keepdims": .bool(keeps && target == 3)], inputs)
            if target == 3 {
                try draft.last("Cast", ["dtype": "int64"], [index])
            } else {
                try draft.last("ExpandDims", ["axis": .int(axis)], [index])
            }
        case .einsum(let text) where target == 2 && isOfTensors && inputs.count == 2:
            guard let shapes = inputShapes[instance.path], shapes.count == 2,
                let equation = try? EinsumEquation(text, ranks: shapes.map(\.count), title: spec.name)
            else { return [instance] }
            guard try draft.product(equation, shapes, inputs) else { return [instance] }
        default: return [instance]
        }
        return draft.made
    }
}

extension [String: [[Int?]]] {
    /// The entries of layers inside another, by their paths in it.
    func inside(_ path: String) -> [String: [[Int?]]] {
        var inner: [String: [[Int?]]] = [:]
        for (key, value) in self where !path.isEmpty && key.count > path.count && key.hasPrefix(path) {
            inner[String(key.dropFirst(path.count))] = value
        }
        return inner
    }
}
