import ByteIO
import FormatKit
import JSON
import ModelIR

extension KerasModel {
    /// The model's computation, derived from the configuration.
    public func graph() throws -> Graph { try lifted().graph.removingDeadNodes() }

    /// The graph as it was built, with what else the walk found out.
    func lifted() throws -> KerasBuilder {
        var builder = KerasBuilder(
            graph: Graph(name: container.name), version: version, dtype: computeDType,
            shapes: Dictionary(parameters.map { ($0.name, $0.tensor.shape) }, uniquingKeysWith: { first, _ in first }))
        try appendInputsAndLayers(to: &builder)
        return builder
    }

    /// f64 if a layer's policy asks for it, else f32: half precision is computed in f32.
    var computeDType: DType {
        let usesDouble = instances.flatMap(\.flattened).contains { instance in
            instance.spec.className != "InputLayer" && dtypeName(instance.spec.config["dtype"]) == "float64" && !instance.spec.isOperation
        }
        return usesDouble ? .f64 : .f32
    }

    private func appendInputsAndLayers(to builder: inout KerasBuilder) throws {
        let specs = try inputSpecs()
        let obstacles = try KerasContainerLift(container: container, instances: instances).obstacles
        guard obstacles.isEmpty else { throw UnsupportedError("the model can't be run", items: obstacles) }
        let openCount = specs.reduce(0) { $0 + $1.shape.dropFirst().count { $0 == nil } }
        var inputs: [KerasTensor] = []
        for spec in specs {
            let dims = spec.shape.enumerated().map { axis, size -> Dim in
                if let size { return .fixed(size) }
                if axis == 0 { return .symbol("batch") }
                return .symbol(openCount == 1 ? "time" : "\(spec.name)_\(axis)")
            }
            inputs.append(KerasTensor(try builder.graph.addInput(spec.name, ValueType(spec.dtype, Shape(dims)))))
        }
        let outputs = try KerasContainerLift(container: container, instances: instances).outputs(of: inputs, in: &builder)
        // As tf_keras does it: of the layers `lstm`, of two tensors, and `lstm_1` the outputs are `lstm`, `lstm_1` and `lstm_1_1`.
        var used = Set<String>()
        for (name, output) in outputs {
            var (unique, count) = (name, 0)
            while used.contains(unique) {
                count += 1
                unique = "\(name)_\(count)"
            }
            used.insert(unique)
            builder.graph.outputs.append(NamedValue(unique, output.value))
        }
    }
}

/// The name in a dtype or dtype policy: `float32`, `mixed_float16`.
func dtypeName(_ value: JSONValue?) -> String? { value?.string ?? value?["config"]?["name"]?.string }

/// Walks the layers of a model in order of computation and appends each one's nodes.
struct KerasContainerLift {
    let container: KerasContainer
    let instances: [KerasInstance]
    /// Put before the paths of `instances`, for a model inside a wrapper.
    var base = ""

    /// What is in the way of the layers that the outputs need.
    var obstacles: [String] {
        get throws {
            guard !container.isSequential else { return instances.flatMap(\.obstacles) }
            let needed = Set(try KerasCallOrder(container).calls.map(\.layer))
            return instances.filter { needed.contains($0.spec.name) }.flatMap(\.obstacles)
        }
    }

    /// Runs the model on inputs; gives its outputs with the names of the layers they come from.
    func outputs(of inputs: [KerasTensor], in builder: inout KerasBuilder) throws -> [(String, KerasTensor)] {
        guard !container.isSequential else { return try chain(inputs, in: &builder) }
        let byName = Dictionary(uniqueKeysWithValues: instances.map { ($0.spec.name, $0) })
        guard inputs.count == container.inputs.count else {
            throw kerasError("bad-config", expected: "\(container.inputs.count) inputs for '\(container.name)'", found: "\(inputs.count)")
        }
        var values: [KerasTensorReference: KerasTensor] = [:]
        for (reference, input) in zip(container.inputs, inputs) { values[reference] = input }
        let order = try KerasCallOrder(container)
        // The order of computation matters only where a layer takes masks off its arguments.
        let hasAttention = instances.contains { $0.layer is MultiHeadAttentionLayer }
        let takesMasks = hasAttention && builder.version.generation == 3
        for step in hasAttention ? try KerasLayerOrder.steps(container) : order.calls {
            guard let instance = byName[step.layer], instance.spec.className != "InputLayer" else { continue }
            let call = instance.spec.calls[step.call]
            let masks = call.hasAutomaticMask ? writtenMasks(of: call, byName, values, in: &builder) : [:]
            let arguments = try arguments(call, of: instance, values, masks) { builder.isSame($0, $1) }
            let outputs = try apply(instance, arguments, call: step.call, in: &builder)
            if takesMasks, instance.layer is MultiHeadAttentionLayer {
                // Layers that hand their input on share its mask.
                let seen = Set(call.references.filter { values[$0]?.mask != nil }.compactMap { values[$0]?.value })
                for reference in values.keys {
                    if let value = values[reference]?.value, seen.contains(value) { values[reference]?.foundMask = .other(nil) }
                }
            }
            for (i, output) in outputs.enumerated() {
                values[KerasTensorReference(layer: step.layer, node: step.call + order.offset(step.layer), tensor: i)] = output
            }
        }
        return try container.outputs.map { reference in
            guard let output = values[reference] else {
                throw kerasError(
                    "bad-config", expected: "output \(reference.tensor) of call \(reference.node) of layer '\(reference.layer)'")
            }
            return (reference.layer, output)
        }
    }

    /// What the operations compute that Keras 3 wrote down for a mask; without those that can't be computed from what is known so far.
    private func writtenMasks(
        of call: KerasCall, _ byName: [String: KerasInstance], _ values: [KerasTensorReference: KerasTensor], in builder: inout KerasBuilder
    ) -> [KerasTensorReference: KerasTensor] {
        let notes = builder.notesOutputs
        builder.notesOutputs = false
        defer { builder.notesOutputs = notes }
        var known = values
        var masks: [KerasTensorReference: KerasTensor] = [:]
        func compute(_ reference: KerasTensorReference, _ depth: Int) throws -> Bool {
            if known[reference] != nil { return true }
            guard depth < 32, let operation = byName[reference.layer], operation.spec.isOperation,
                operation.spec.calls.indices.contains(reference.node)
            else { return false }
            let call = operation.spec.calls[reference.node]
            for input in call.references { guard try compute(input, depth + 1) else { return false } }
            let outputs = try apply(operation, arguments(call, of: operation, known, [:]), call: reference.node, in: &builder)
            for (i, output) in outputs.enumerated() {
                let place = KerasTensorReference(layer: reference.layer, node: reference.node, tensor: i)
                known[place] = output
                masks[place] = output
            }
            return known[reference] != nil
        }
        for reference in call.keywords.first(where: { $0.name == "mask" })?.value.references ?? [] {
            // What fills with zeros or ones says nothing of its dtype; such masks Keras 3 makes of those that travel along.
            guard !container.fillsMask(reference), (try? compute(reference, 0)) == true else { continue }
            masks[reference] = known[reference]
        }
        return masks
    }

    private func chain(_ inputs: [KerasTensor], in builder: inout KerasBuilder) throws -> [(String, KerasTensor)] {
        guard inputs.count == 1 else {
            throw kerasError("bad-config", expected: "1 input for '\(container.name)'", found: "\(inputs.count)")
        }
        var current = inputs
        var name = container.name
        for instance in instances where instance.spec.className != "InputLayer" {
            guard current.count == 1 else {
                throw kerasError("bad-config", expected: "1 output before layer '\(instance.spec.name)'", found: "\(current.count)")
            }
            current = try apply(instance, KerasLayerCall(current), call: 0, in: &builder)
            name = instance.spec.name
        }
        return current.map { (name, $0) }
    }

    private func apply(
        _ instance: KerasInstance, _ call: KerasLayerCall, call index: Int, in builder: inout KerasBuilder
    ) throws -> [KerasTensor] {
        try builder.countCall()
        let savedPrefix = builder.prefix
        let savedOrigin = builder.graph.origin
        defer {
            builder.prefix = savedPrefix
            builder.graph.origin = savedOrigin
        }
        builder.prefix = base + instance.path
        let name = String(builder.prefix.dropLast())
        let shown = builder.shownName(name)
        if builder.notesOutputs { builder.graph.origin = name }
        if let nested = instance.spec.container {
            let inputs = call.masked(asFound: false).inputs
            let around = builder.callOfModel
            defer { builder.callOfModel = around }
            if index > 0 { builder.callOfModel = (builder.prefix, "\(shown)_\(index)/") }
            let outputs = try KerasContainerLift(container: nested, instances: instance.children, base: base)
                .outputs(of: inputs, in: &builder).map(\.1)
            builder.note(
                KerasCallRecord(inputs: inputs.map(\.value), masks: inputs.map(\.mask), outputs: outputs.map(\.value)), call: index)
            return outputs
        }
        guard let layer = instance.layer else { throw UnsupportedError("the model can't be run", items: instance.obstacles) }
        if builder.inputShapes[builder.prefix] == nil {
            // Arguments by name are part of what a layer is called with.
            let tensors = call.inputs + ["value", "key"].flatMap { call.keywords[$0]?.tensors ?? [] }
            builder.inputShapes[builder.prefix] = tensors.map { builder.shape(of: $0).dims.map(\.fixedValue) }
        }
        let outputs = try call.hasFoundMasks ? applyTwice(layer, call, in: &builder) : layer.call(call, in: &builder)
        builder.note(
            KerasCallRecord(
                inputs: call.inputs.map(\.value), masks: layer.masks(usedBy: call.masked(asFound: false)), outputs: outputs.map(\.value)),
            call: index)
        if let first = outputs.first, builder.notesOutputs {
            builder.graph.layerOutputs.append(NamedValue(index == 0 ? shown : "\(shown)_\(index)", first.value))
        }
        return outputs
    }

    /// Applies a layer to tensors whose masks changed after the model was built. Layers with an argument for the mask get the one of that
    /// time, since Keras 3 writes it into the call; others look at the tensor.
    private func applyTwice(_ layer: any KerasLayer, _ call: KerasLayerCall, in builder: inout KerasBuilder) throws -> [KerasTensor] {
        let built = try layer.call(call.masked(asFound: false), in: &builder)
        if layer is any StatefulKerasLayer || layer is TimeDistributedLayer || layer is GlobalPoolingLayer || layer is SoftmaxLayer {
            return built
        }
        let found = try layer.call(call.masked(asFound: true), in: &builder)
        return zip(built, found).map { built, found in
            var result = KerasTensor(found.value, mask: built.mask)
            if found.mask != built.mask { result.foundMask = .other(found.mask) }
            return result
        }
    }
}
