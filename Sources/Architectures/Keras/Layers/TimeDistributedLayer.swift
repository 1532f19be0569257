import ByteIO
import ModelIR

/// A layer, or a model, applied to every step: [batch, time, ..] is run as [batch * time, ..].
struct TimeDistributedLayer: KerasLayer {
    let config: KerasLayerConfig
    var child: any KerasLayer
    let childConfig: KerasLayerConfig

    init(_ config: KerasLayerConfig) throws {
        self.config = config
        guard let document = config.spec.config["layer"] else { throw config.error("layer", expected: "a layer") }
        let spec = try KerasLayerSpec(parsing: document, depth: 0)
        childConfig = KerasLayerConfig(spec: spec, version: config.version)
        guard let layer = try KerasLayerTable.make(childConfig) else {
            throw UnsupportedError("layer '\(config.name)' (TimeDistributed) wraps \(spec.className), which isn't supported")
        }
        child = layer
    }

    var assumptions: [String] { child.assumptions }

    var variables: [KerasVariable] {
        // The wrapped layer's own name does not appear in Keras 2 files.
        child.variables.map {
            var variable = $0
            variable.store = $0.store.isEmpty ? "layer" : "layer/\($0.store)"
            return variable
        }
    }

    var seedGenerators: [String] { child.seedGenerators.map { "layer/\($0)" } }

    func masks(usedBy call: KerasLayerCall) -> [ValueID?] { call.inputs.map(\.mask) }

    func call(_ call: KerasLayerCall, in builder: inout KerasBuilder) throws -> [KerasTensor] {
        let input = try call.input(of: config)
        let dims = builder.shape(of: input).dims
        // Keras 2 lets an Embedding take [batch, time].
        guard dims.count >= 3 || childConfig.spec.className == "Embedding" && dims.count >= 2 else {
            throw GraphError("takes [batch, time, ..], not \(builder.shape(of: input))", origin: config.name)
        }
        let steps = dims[0] * dims[1]
        let merged = try builder.graph.append(.reshape(Shape([steps] + dims.dropFirst(2))), [input.value])
        var mask: ValueID?
        // A mask of steps within the step, [batch, time, inner], reaches the child in Keras 2; Keras 3 gives its child the mask's slice.
        if let outer = input.mask {
            let shape = builder.graph.type(of: outer).shape.dims
            if shape.count > 2 {
                mask = try builder.graph.append(.reshape(Shape([steps] + shape.dropFirst(2))), [outer])
            } else if child is any StatefulKerasLayer {
                throw UnsupportedError(
                    "layer '\(config.name)' (TimeDistributed) passes a mask of whole steps to \(childConfig.spec.className); not supported")
            }
        }
        let notes = builder.notesOutputs
        builder.notesOutputs = false
        defer { builder.notesOutputs = notes }
        let outputs = try child.call(KerasLayerCall([KerasTensor(merged, mask: mask)]), in: &builder)
        return try outputs.map { output in
            let inner = builder.shape(of: output).dims.dropFirst()
            let value = try builder.graph.append(.reshape(Shape([dims[0], dims[1]] + inner)), [output.value])
            return KerasTensor(value, mask: try outputMask(input.mask, output.mask, [dims[0], dims[1]], in: &builder))
        }
    }

    /// Keras 2 asks the child for its mask, and without one reduces the input's to steps; Keras 3 hands the input's mask on.
    private func outputMask(_ input: ValueID?, _ inner: ValueID?, _ steps: [Dim], in builder: inout KerasBuilder) throws -> ValueID? {
        guard config.generation < 3 else { return input }
        if let inner {
            let dims = builder.graph.type(of: inner).shape.dims.dropFirst()
            return try builder.graph.append(.reshape(Shape(steps + dims)), [inner])
        }
        guard let input else { return nil }
        let rank = builder.graph.type(of: input).shape.rank
        return rank == 2 ? input : try builder.graph.append(.reduce(.any, axes: Array(2..<rank), keepsDimensions: false), [input])
    }
}

/// A model in the place of a layer, inside a wrapper.
struct ModelLayer: KerasLayer {
    let config: KerasLayerConfig
    var container: KerasContainer
    var instances: [KerasInstance]

    init(_ config: KerasLayerConfig) throws {
        self.config = config
        guard let container = config.spec.container else { throw config.error("layers", expected: "a model") }
        self.container = container
        instances = try KerasInstance.make(container, version: config.version)
        let obstacles = try KerasContainerLift(container: container, instances: instances).obstacles
        guard obstacles.isEmpty else { throw UnsupportedError(obstacles.joined(separator: "; ")) }
    }

    var assumptions: [String] { instances.flatMap { $0.layer?.assumptions ?? [] } }

    var variables: [KerasVariable] {
        KerasInstance.variables(instances, isSequential: container.isSequential).map {
            KerasVariable($0.name, isTrainable: $0.isTrainable, store: $0.store, keras2: $0.keras2, shape: $0.shape)
        }
    }

    func call(_ call: KerasLayerCall, in builder: inout KerasBuilder) throws -> [KerasTensor] {
        try KerasContainerLift(container: container, instances: instances, base: builder.prefix)
            .outputs(of: call.inputs, in: &builder).map(\.1)
    }
}
