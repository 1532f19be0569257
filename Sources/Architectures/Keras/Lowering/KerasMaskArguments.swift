import ByteIO
import JSON
import ModelIR

/// Masks as arguments of calls, where the one that travels along in the target isn't the source's.
///
/// The generations combine masks differently: merges of Keras 2 take the conjunction of their inputs' masks, those of Keras 3 the disjunction;
/// layers with states take no notice in Keras 3 of a mask that isn't an argument. What a layer computes with is written down there: operations
/// that compute the mask, or one that takes it off.
struct KerasMaskArguments {
    let version: KerasVersion
    /// 2 or 3.
    let target: Int
    /// The source's computation with the operations of the target, as it was built.
    private let graph: Graph
    private let calls: [KerasCallKey: [KerasCallRecord]]
    private let numbers: [Int]
    private let numbering: ValueNumbering
    /// The node that makes each value, by the value's index.
    private let makers: [Int?]

    init(version: KerasVersion, target: Int, source: KerasBuilder, rewrites: KerasRewrites) throws {
        self.version = version
        self.target = target
        graph = source.graph
        calls = source.calls
        var renumbered = ValueNumbering()
        numbers = renumbered.numbers(of: source.graph) { rewrites.target($0, origin: $1) }
        numbering = renumbered
        var makers = [Int?](repeating: nil, count: source.graph.types.count)
        for (i, node) in source.graph.nodes.enumerated() { for output in node.outputs { makers[output.index] = i } }
        self.makers = makers
    }

    /// The layers of a container with the first call corrected whose masks in the written model aren't the source's; nil where there is none,
    /// or none that can be.
    func corrected(
        _ container: KerasContainer, _ instances: [KerasInstance], written: KerasBuilder
    ) throws -> (KerasContainer, [KerasInstance])? {
        var numbering = numbering
        let theirs = numbering.numbers(of: written.graph)
        let inputs = Dictionary(zip(container.inputs, graph.inputs.map(\.value)), uniquingKeysWith: { first, _ in first })
        return try corrected(container, instances, inputs, written.calls, theirs)
    }

    private func corrected(
        _ container: KerasContainer, _ instances: [KerasInstance], _ inputs: [KerasTensorReference: ValueID],
        _ written: [KerasCallKey: [KerasCallRecord]], _ theirs: [Int]
    ) throws -> (KerasContainer, [KerasInstance])? {
        guard !container.isSequential else { return nil }
        let order = try KerasCallOrder(container)
        var places: [String: Int] = [:]
        for (i, instance) in instances.enumerated() { places[instance.spec.name] = i }
        // The target leaves out calls that no output needs.
        let needed = Dictionary(grouping: order.calls, by: \.layer).mapValues { $0.map(\.call).sorted() }
        var leaves: [Int: KerasTensorReference] = [:]
        for (reference, value) in inputs where leaves[numbers[value.index]] == nil { leaves[numbers[value.index]] = reference }
        for step in order.calls {
            guard let place = places[step.layer], let position = needed[step.layer]?.firstIndex(of: step.call) else { continue }
            let instance = instances[place]
            guard let record = only(calls, instance.path, step.call), let image = only(written, instance.path, position) else { continue }
            var changed: [KerasInstance]?
            let wanted = record.masks.map { $0.map { numbers[$0.index] } }
            let found = image.masks.map { $0.map { theirs[$0.index] } }
            // Merges that have become operations are what they should be.
            let differs = wanted.filter({ $0 != nil }) != found.filter({ $0 != nil }) || wanted.count == found.count && wanted != found
            if differs && !instance.spec.isOperation {
                let draft = KerasExpansionDraft(instance, version: version, names: Set(container.layers.map(\.name)))
                changed = try corrected(instance, step.call, record.masks, image.masks, leaves, draft)
            }
            if changed == nil, let nested = instance.spec.container {
                let inner = Dictionary(zip(nested.inputs, record.inputs), uniquingKeysWith: { first, _ in first })
                if let (container, children) = try corrected(nested, instance.children, inner, written, theirs) {
                    var spec = instance.spec
                    spec.container = container
                    changed = [KerasInstance(spec: spec, layer: nil, obstacle: nil, path: instance.path, children: children)]
                }
            }
            if let changed {
                var instances = instances
                instances.replaceSubrange(place...place, with: changed)
                var container = container
                container.layers = instances.map(\.spec)
                return (container, instances)
            }
            for (i, output) in record.outputs.enumerated() where leaves[numbers[output.index]] == nil {
                leaves[numbers[output.index]] = KerasTensorReference(
                    layer: step.layer, node: step.call + order.offset(step.layer), tensor: i)
            }
        }
        return nil
    }

    /// The record of a call, if there is one: layers of a model that is called twice have no masks of their own.
    private func only(_ calls: [KerasCallKey: [KerasCallRecord]], _ path: String, _ call: Int) -> KerasCallRecord? {
        guard let records = calls[KerasCallKey(path: path, call: call)], records.count == 1 else { return nil }
        return records[0]
    }

    /// The layer with its masks given by argument or taken off, after the operations for that; nil where it can't be.
    private func corrected(
        _ instance: KerasInstance, _ index: Int, _ wanted: [ValueID?], _ found: [ValueID?], _ leaves: [Int: KerasTensorReference],
        _ draft: KerasExpansionDraft
    ) throws -> [KerasInstance]? {
        var draft = draft
        var spec = instance.spec
        var call = spec.calls[index]
        call.keywords.removeAll { $0.name == "mask" }
        call.hasAutomaticMask = false
        if wanted.contains(where: { $0 != nil }) {
            // Merges take no masks as arguments; of models, those of one input.
            guard !(instance.layer is ConcatenateLayer), instance.layer != nil || wanted.count == 1 else { return nil }
            var masks: [KerasArgument] = []
            var known: [Int: KerasTensorReference] = [:]
            for mask in wanted {
                guard let mask else {
                    masks.append(.constant(.null))
                    continue
                }
                guard let reference = try expressed(mask, leaves, &known, &draft, depth: 0) else { return nil }
                masks.append(.tensor(reference))
            }
            if instance.layer is MergeLayer { return try spelledOut(instance, index, masks.map(\.reference), &draft) }
            call.keywords.append(("mask", instance.layer is AttentionLayer ? .list(masks) : masks[0]))
        } else {
            var position = 0
            func bare(_ argument: KerasArgument) throws -> KerasArgument {
                switch argument {
                case .tensor(let reference):
                    defer { position += 1 }
                    guard found.indices.contains(position), found[position] != nil else { return argument }
                    return .tensor(
                        try draft.operation("GetItem", [:], [reference], constants: [[["class_name": "__ellipsis__", "config": [:]]]]))
                case .constant: return argument
                case .list(let elements): return .list(try elements.map(bare))
                }
            }
            call.arguments = try call.arguments.map(bare)
        }
        spec.calls[index] = call
        return draft.made
            + [KerasInstance(spec: spec, layer: instance.layer, obstacle: nil, path: instance.path, children: instance.children)]
    }

    /// A product or an extreme that leaves masked elements out, as Keras 3 computes it, in operations: Keras 2 has no layer for it.
    /// - Returns: nil where the inputs aren't tensors of one call.
    private func spelledOut(
        _ instance: KerasInstance, _ index: Int, _ masks: [KerasTensorReference?], _ draft: inout KerasExpansionDraft
    ) throws -> [KerasInstance]? {
        let inputs = instance.spec.calls[index].inputs.compactMap(\.reference)
        guard instance.spec.calls.count == 1, inputs.count == masks.count, inputs.count >= 2 else { return nil }
        let aligned = try masks.map { try $0.map { try draft.operation("ExpandDims", ["axis": -1], [$0]) } }
        if instance.spec.className == "Multiply" {
            var factors: [KerasTensorReference] = []
            for (input, mask) in zip(inputs, aligned) {
                factors.append(try mask.map { try draft.operation("Where", [:], [$0, input], constants: [1.0]) } ?? input)
            }
            let isLast = aligned.contains(nil)
            var product = factors[0]
            for factor in factors.dropFirst().dropLast(isLast ? 1 : 0) {
                product = try draft.operation("Multiply", [:], [product, factor])
            }
            if isLast {
                try draft.last("Multiply", [:], [product, factors[factors.count - 1]])
            } else {
                let known = aligned.compactMap { $0 }
                let any = try known.dropFirst().reduce(known[0]) { try draft.operation("LogicalOr", [:], [$0, $1]) }
                try draft.last("Where", [:], [any, product], constants: [0.0])
            }
            return draft.made
        }
        let name = instance.spec.className
        guard name == "Maximum" || name == "Minimum" else { return nil }
        var output = inputs[0]
        var outputMask = aligned[0]
        for (i, (input, mask)) in zip(inputs, aligned).enumerated().dropFirst() {
            let other = try mask.map { try draft.operation("Where", [:], [$0, input, output]) } ?? input
            if let outputMask { output = try draft.operation("Where", [:], [outputMask, output, other]) }
            if let known = outputMask, let mask {
                outputMask = i == inputs.count - 1 ? nil : try draft.operation("LogicalOr", [:], [known, mask])
            } else {
                outputMask = nil
            }
            if i == inputs.count - 1 {
                try draft.last(name, [:], [output, other])
            } else {
                output = try draft.operation(name, [:], [output, other])
            }
        }
        return draft.made
    }

    /// A mask as operations on what the container's layers give; nil where it isn't made of such.
    private func expressed(
        _ mask: ValueID, _ leaves: [Int: KerasTensorReference], _ known: inout [Int: KerasTensorReference],
        _ draft: inout KerasExpansionDraft, depth: Int
    ) throws -> KerasTensorReference? {
        let number = numbers[mask.index]
        if let reference = leaves[number] ?? known[number] { return reference }
        guard depth < 64, let maker = makers[mask.index] else { return nil }
        let node = graph.nodes[maker]
        func operands() throws -> [KerasTensorReference]? {
            var references: [KerasTensorReference] = []
            for input in node.inputs {
                guard let reference = try expressed(input, leaves, &known, &draft, depth: depth + 1) else { return nil }
                references.append(reference)
            }
            return references
        }
        var result: KerasTensorReference?
        if case .compare(.notEqual) = node.op {
            guard let constant = constant(node.inputs[1]),
                let input = try expressed(node.inputs[0], leaves, &known, &draft, depth: depth + 1)
            else { return nil }
            let isInteger = !graph.type(of: node.inputs[0]).dtype.isFloat && constant == constant.rounded() && abs(constant) < 1e15
            result = try draft.operation("NotEqual", [:], [input], constants: [isInteger ? .int(Int(constant)) : .double(constant)])
        } else if case .reduce(.any, let axes, let keeps) = node.op {
            guard let inputs = try operands() else { return nil }
            let list: JSONValue = axes.count == 1 ? .int(axes[0]) : .array(axes.map { .int($0) })
            result = try draft.operation("Any", ["axis": list, "keepdims": .bool(keeps)], inputs)
        } else if case .binary(let function) = node.op, function == .and || function == .or {
            guard let inputs = try operands() else { return nil }
            result = try draft.operation(function == .and ? "LogicalAnd" : "LogicalOr", [:], inputs)
        } else if case .concat(let axis) = node.op {
            guard let inputs = try operands() else { return nil }
            result = try draft.operation("Concatenate", ["axis": .int(axis)], inputs, isList: true)
        } else if case .broadcast = node.op, constant(node.inputs[0]) == 1 {
            // All true: ones in the form of another mask, which isn't made of such again.
            guard let other = try maskLike(mask, leaves, &known, &draft, depth: depth + 32) else { return nil }
            result = try draft.operation("OnesLike", [:], [other])
        }
        known[number] = result
        return result
    }

    /// Another mask of the same type that can be expressed.
    private func maskLike(
        _ mask: ValueID, _ leaves: [Int: KerasTensorReference], _ known: inout [Int: KerasTensorReference],
        _ draft: inout KerasExpansionDraft, depth: Int
    ) throws -> KerasTensorReference? {
        for node in graph.nodes where graph.type(of: node.outputs[0]) == graph.type(of: mask) {
            var isMask = if case .compare(.notEqual) = node.op { true } else { false }
            if case .reduce(.any, _, _) = node.op { isMask = true }
            guard isMask else { continue }
            if let reference = try expressed(node.outputs[0], leaves, &known, &draft, depth: depth) { return reference }
        }
        return nil
    }

    /// The value of a constant with one element.
    private func constant(_ value: ValueID) -> Double? {
        guard let maker = makers[value.index], case .constant(let literal) = graph.nodes[maker].op, literal.values.count == 1 else {
            return nil
        }
        return literal.values[0]
    }
}
