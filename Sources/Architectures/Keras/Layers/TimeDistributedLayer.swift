import ByteIO
import ModelIR

/// A layer applied to every step: [batch, time, ..] is run as [batch * time, ..].
struct TimeDistributedLayer: KerasLayer {
    let config: KerasLayerConfig
    let child: any KerasLayer
    let childConfig: KerasLayerConfig

    init(_ config: KerasLayerConfig) throws {
        self.config = config
        guard let document = config.spec.config["layer"] else { throw config.error("layer", expected: "a layer") }
        let spec = try KerasLayerSpec(parsing: document, depth: 0)
        childConfig = KerasLayerConfig(spec: spec, version: config.version)
        guard spec.container == nil, let layer = try KerasLayerTable.make(childConfig) else {
            throw UnsupportedError("layer '\(config.name)' (TimeDistributed) wraps \(spec.className), which isn't supported")
        }
        child = layer
    }

    var variables: [KerasVariable] {
        // The wrapped layer's own name does not appear in Keras 2 files.
        child.variables.map {
            KerasVariable(
                $0.role, isTrainable: $0.isTrainable, store: $0.store.isEmpty ? "layer" : "layer/\($0.store)", keras2: $0.keras2,
                shape: $0.shape)
        }
    }

    var seedGenerators: [String] { child.seedGenerators.map { "layer/\($0)" } }

    func call(_ call: KerasLayerCall, in builder: inout KerasBuilder) throws -> [KerasTensor] {
        let input = try call.input(of: config)
        let dims = builder.shape(of: input).dims
        guard dims.count >= 3 || childConfig.spec.className == "Embedding" && dims.count >= 2 else {
            throw GraphError("takes [batch, time, ..], not \(builder.shape(of: input))", origin: config.name)
        }
        if input.mask != nil && (child is RecurrentLayer || child is BidirectionalLayer) {
            throw UnsupportedError("layer '\(config.name)' (TimeDistributed) passes a mask to \(childConfig.spec.className); not supported")
        }
        let merged = try builder.graph.append(.reshape(Shape([dims[0] * dims[1]] + dims.dropFirst(2))), [input.value])
        let outputs = try child.call(KerasLayerCall([KerasTensor(merged)]), in: &builder)
        guard outputs.count == 1, outputs[0].mask == nil else {
            throw UnsupportedError("layer '\(config.name)' (TimeDistributed) wraps a layer with several outputs or a mask; not supported")
        }
        let inner = builder.shape(of: outputs[0]).dims.dropFirst()
        return [KerasTensor(try builder.graph.append(.reshape(Shape([dims[0], dims[1]] + inner)), [outputs[0].value]), mask: input.mask)]
    }
}
