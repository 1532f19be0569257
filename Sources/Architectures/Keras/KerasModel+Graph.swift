import ByteIO
import FormatKit
import JSON
import ModelIR

extension KerasModel {
    /// The model's computation, derived from the configuration.
    public func graph() throws -> Graph {
        var builder = KerasBuilder(
            graph: Graph(name: container.name), version: version, dtype: computeDType,
            shapes: Dictionary(parameters.map { ($0.name, $0.tensor.shape) }, uniquingKeysWith: { first, _ in first }))
        var lift = KerasGraphLift(model: self)
        try lift.run(in: &builder)
        return try builder.graph.removingDeadNodes()
    }

    /// f64 if a layer's policy asks for it, else f32: half precision is computed in f32.
    var computeDType: DType {
        let usesDouble = instances.flatMap(\.flattened).contains { instance in
            instance.spec.className != "InputLayer" && dtypeName(instance.spec.config["dtype"]) == "float64"
        }
        return usesDouble ? .f64 : .f32
    }
}

/// The name in a dtype or dtype policy: `float32`, `mixed_float16`.
func dtypeName(_ value: JSONValue?) -> String? { value?.string ?? value?["config"]?["name"]?.string }

/// Walks the layers in order of computation and appends each one's nodes.
struct KerasGraphLift {
    let model: KerasModel

    mutating func run(in builder: inout KerasBuilder) throws {
        let container = model.container
        var inputs: [KerasTensor] = []
        let specs = try inputSpecs()
        var obstacles: [String] = []
        if container.isSequential {
            obstacles = model.instances.flatMap(\.obstacles)
        } else {
            let needed = Set(try KerasCallOrder(container).calls.map(\.layer))
            obstacles = model.instances.filter { needed.contains($0.spec.name) }.flatMap(\.obstacles)
        }
        guard obstacles.isEmpty else { throw UnsupportedError("the model can't be run", items: obstacles) }
        let openCount = specs.reduce(0) { $0 + $1.shape.dropFirst().count { $0 == nil } }
        for spec in specs {
            let dims = spec.shape.enumerated().map { axis, size -> Dim in
                if let size { return .fixed(size) }
                if axis == 0 { return .symbol("batch") }
                return .symbol(openCount == 1 ? "time" : "\(spec.name)_\(axis)")
            }
            inputs.append(KerasTensor(try builder.graph.addInput(spec.name, ValueType(spec.dtype, Shape(dims)))))
        }
        let outputs = try lift(container, model.instances, inputs: inputs, in: &builder)
        var counts: [String: Int] = [:]
        for (name, output) in outputs {
            let count = counts[name, default: 0]
            counts[name] = count + 1
            builder.graph.outputs.append(NamedValue(count == 0 ? name : "\(name)_\(count)", output.value))
        }
    }

    /// Runs a container on inputs; gives its outputs with the names of the layers they come from.
    private func lift(
        _ container: KerasContainer, _ instances: [KerasInstance], inputs: [KerasTensor], in builder: inout KerasBuilder
    ) throws -> [(String, KerasTensor)] {
        if container.isSequential {
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
        let byName = Dictionary(uniqueKeysWithValues: instances.map { ($0.spec.name, $0) })
        guard inputs.count == container.inputs.count else {
            throw kerasError("bad-config", expected: "\(container.inputs.count) inputs for '\(container.name)'", found: "\(inputs.count)")
        }
        var values: [KerasTensorReference: KerasTensor] = [:]
        for (reference, input) in zip(container.inputs, inputs) { values[reference] = input }
        let order = try KerasCallOrder(container)
        for step in order.calls {
            guard let instance = byName[step.layer], instance.spec.className != "InputLayer" else { continue }
            let call = instance.spec.calls[step.call]
            let outputs = try apply(instance, arguments(call, of: instance, values), call: step.call, in: &builder)
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

    /// The arguments of a call with their values: states apart from inputs, an explicit mask laid over the one that travels along.
    private func arguments(
        _ call: KerasCall, of instance: KerasInstance, _ values: [KerasTensorReference: KerasTensor]
    ) throws -> KerasLayerCall {
        func value(_ reference: KerasTensorReference) throws -> KerasTensor {
            guard let tensor = values[reference] else {
                throw kerasError(
                    "bad-config", expected: "output \(reference.tensor) of call \(reference.node) of layer '\(reference.layer)'",
                    found: "nothing, for layer '\(instance.spec.name)'")
            }
            return tensor
        }
        var result = KerasLayerCall(try call.inputs.compactMap(\.reference).map(value))
        guard call.inputs.allSatisfy({ $0.reference != nil }) else {
            throw UnsupportedError("layer '\(instance.spec.name)' (\(instance.spec.className)) is called with constants; not supported")
        }
        for keyword in call.keywords {
            let references = keyword.value.compactMap(\.reference)
            switch keyword.name {
            case "training": break
            case "initial_state": result.initialState = try references.map { try value($0).value }
            case "mask":
                // Keras 3 writes down the masks that travel along anyway; only others must be there.
                guard let reference = references.first, !result.inputs.isEmpty else { break }
                if let mask = values[reference] {
                    result.inputs[0].mask = mask.value
                } else if result.inputs[0].mask == nil {
                    throw UnsupportedError(
                        "layer '\(instance.spec.name)' (\(instance.spec.className)) gets an explicit mask; not supported")
                }
            default: result.keywords[keyword.name] = keyword.value
            }
        }
        guard result.keywords.isEmpty else {
            throw UnsupportedError(
                "layer '\(instance.spec.name)' (\(instance.spec.className)) is called with "
                    + result.keywords.keys.sorted().joined(separator: ", ") + "; not supported")
        }
        // Keras 2 passes initial states as further inputs.
        if instance.layer is RecurrentLayer || instance.layer is BidirectionalLayer, result.inputs.count > 1 {
            result.initialState = result.inputs.dropFirst().map(\.value)
            result.inputs = [result.inputs[0]]
        }
        return result
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
        builder.prefix = instance.path
        builder.graph.origin = String(instance.path.dropLast())
        let outputs: [KerasTensor]
        if let nested = instance.spec.container {
            outputs = try lift(nested, instance.children, inputs: call.inputs, in: &builder).map(\.1)
        } else if let layer = instance.layer {
            outputs = try layer.call(call, in: &builder)
        } else {
            throw UnsupportedError("the model can't be run", items: instance.obstacles)
        }
        if let first = outputs.first, instance.spec.container == nil {
            let name = String(instance.path.dropLast())
            builder.graph.layerOutputs.append(NamedValue(index == 0 ? name : "\(name)_\(index)", first.value))
        }
        return outputs
    }
}
