import JSON

/// Masks as arguments of recurrent layers that are given states: those of Keras 3 take no notice then of the mask that travels along.
///
/// What is written for Keras 3 must be read back as the same computation, so that a wrong guess here is refused later.
struct KerasMaskArguments {
    let version: KerasVersion
    /// 2 or 3.
    let target: Int

    /// The layers of a container with the masks written down, and the operations that compute them.
    func written(_ container: KerasContainer, _ instances: [KerasInstance]) throws -> (
        KerasContainer, [KerasInstance]
    ) {
        guard target == 3, version.generation < 3 else { return (container, instances) }
        let specs = Dictionary(
            container.layers.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
        var names = Set(container.layers.map(\.name))
        var result: [KerasInstance] = []
        for instance in instances {
            if let nested = instance.spec.container {
                let (inner, children) = try written(nested, instance.children)
                var spec = instance.spec
                spec.container = inner
                result.append(
                    KerasInstance(
                        spec: spec, layer: nil, obstacle: nil, path: instance.path, children: children))
                continue
            }
            guard instance.layer is any StatefulKerasLayer, instance.spec.calls.count == 1,
                let call = instance.spec.calls.first,
                call.inputs.count > 1 || call.keywords.contains(where: { $0.name == "initial_state" }),
                !call.keywords.contains(where: { $0.name == "mask" }),
                let input = call.inputs.first?.reference,
                let source = Self.source(of: input, specs),
                let ids = source.calls.first?.inputs.first?.reference
            else {
                result.append(instance)
                continue
            }
            var draft = KerasExpansionDraft(instance, version: version, names: names)
            let isMasking = source.className == "Masking"
            let value = isMasking ? source.config["mask_value"] ?? 0.0 : 0
            var mask = try draft.operation("NotEqual", [:], [ids], constants: [value])
            if isMasking { mask = try draft.operation("Any", ["axis": -1, "keepdims": false], [mask]) }
            names = draft.names
            var spec = instance.spec
            spec.calls[0].keywords.append(("mask", .tensor(mask)))
            result += draft.made
            result.append(
                KerasInstance(
                    spec: spec, layer: instance.layer, obstacle: nil, path: instance.path,
                    children: instance.children))
        }
        var masked = container
        masked.layers = result.map(\.spec)
        return (masked, result)
    }

    /// Layers that hand on the mask of their one input.
    private static let passing: Set<String> = [
        "Dense", "Dropout", "SpatialDropout1D", "GaussianNoise", "GaussianDropout", "Activation",
        "ReLU", "LeakyReLU", "ELU", "PReLU",
        "LayerNormalization", "BatchNormalization", "TimeDistributed", "LSTM", "GRU", "SimpleRNN",
        "RNN", "Bidirectional",
    ]

    /// The Embedding or Masking layer whose mask travels with a tensor; nil where there is none, or where layers between may change it.
    private static func source(of tensor: KerasTensorReference, _ specs: [String: KerasLayerSpec])
        -> KerasLayerSpec?
    {
        var tensor = tensor
        for _ in 0..<specs.count {
            guard let spec = specs[tensor.layer], spec.calls.indices.contains(tensor.node),
                tensor.tensor == 0
            else { return nil }
            if spec.className == "Masking"
                || spec.className == "Embedding" && spec.config["mask_zero"]?.bool == true
            {
                return spec.calls.count == 1 ? spec : nil
            }
            guard passing.contains(spec.className),
                let input = spec.calls[tensor.node].inputs.first?.reference
            else { return nil }
            tensor = input
        }
        return nil
    }
}
