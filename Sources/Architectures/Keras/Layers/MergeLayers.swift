import ByteIO
import ModelIR

/// Add and its relatives, element by element. Masks: Keras 2 takes the conjunction of those that are there;
/// Keras 3 the disjunction, and none unless every input has one.
struct MergeLayer: KerasLayer {
    let config: KerasLayerConfig

    init(_ config: KerasLayerConfig) throws { self.config = config }

    /// Keras 3 leaves masked elements out of products and extremes.
    func masks(usedBy call: KerasLayerCall) -> [ValueID?] {
        config.generation == 3 && ["Multiply", "Maximum", "Minimum"].contains(config.spec.className) ? call.inputs.map(\.mask) : []
    }

    func call(_ call: KerasLayerCall, in builder: inout KerasBuilder) throws -> [KerasTensor] {
        let inputs = call.inputs
        let isBinary = config.spec.className == "Subtract"
        guard inputs.count >= 2, !isBinary || inputs.count == 2 else {
            throw kerasError(
                "bad-config", expected: "\(isBinary ? "2" : "2 or more") inputs for layer '\(config.name)'", found: "\(inputs.count)")
        }
        let mask = try mergedMask(inputs.map(\.mask), in: &builder)
        // Inputs of lower rank get axes of size 1 after the batch.
        let rank = inputs.map { builder.shape(of: $0).rank }.max() ?? 0
        var values: [ValueID] = []
        for input in inputs {
            let dims = builder.shape(of: input).dims
            var value = try builder.float(input)
            if dims.count < rank {
                let expanded = [dims[0]] + Array(repeating: Dim.fixed(1), count: rank - dims.count) + dims.dropFirst()
                value = try builder.graph.append(.reshape(Shape(expanded)), [value])
            }
            values.append(value)
        }
        if config.generation == 3, inputs.contains(where: { $0.mask != nil }) {
            switch config.spec.className {
            case "Multiply": return [KerasTensor(try maskedProduct(values, inputs.map(\.mask), in: &builder), mask: mask)]
            case "Maximum": return [KerasTensor(try maskedExtreme(.maximum, values, inputs.map(\.mask), in: &builder), mask: mask)]
            case "Minimum": return [KerasTensor(try maskedExtreme(.minimum, values, inputs.map(\.mask), in: &builder), mask: mask)]
            default: break
            }
        }
        let function: BinaryFunction =
            switch config.spec.className {
            case "Subtract": .subtract
            case "Multiply": .multiply
            case "Maximum": .maximum
            case "Minimum": .minimum
            default: .add
            }
        var result = values[0]
        for value in values.dropFirst() { result = try builder.graph.binary(function, result, value) }
        if config.spec.className == "Average" {
            result = try builder.graph.binary(.divide, result, builder.graph.scalar(Double(values.count), builder.dtype))
        }
        return [KerasTensor(result, mask: mask)]
    }

    /// A mask [batch, time] with an axis for the features.
    private func aligned(_ mask: ValueID, to value: ValueID, in builder: inout KerasBuilder) throws -> ValueID {
        let dims = builder.graph.type(of: mask).shape.dims
        guard dims.count + 1 == builder.graph.type(of: value).shape.rank else {
            throw GraphError("can't apply a mask \(Shape(dims)) to \(builder.graph.type(of: value).shape)", origin: config.name)
        }
        return try builder.graph.append(.reshape(Shape(dims + [1])), [mask])
    }

    /// Keras 3: what is masked counts as 1; where every input has a mask, a product of masked elements only is 0.
    private func maskedProduct(_ values: [ValueID], _ masks: [ValueID?], in builder: inout KerasBuilder) throws -> ValueID {
        var product: ValueID?
        var anyMask: ValueID?
        for (value, mask) in zip(values, masks) {
            var factor = value
            if let mask = try mask.map({ try aligned($0, to: value, in: &builder) }) {
                factor = try builder.graph.append(.select, [mask, value, builder.graph.scalar(1, builder.dtype)])
                anyMask = try anyMask.map { try builder.graph.binary(.or, $0, mask) } ?? mask
            }
            product = try product.map { try builder.graph.binary(.multiply, $0, factor) } ?? factor
        }
        guard let product else { throw kerasError("bad-config", expected: "inputs for layer '\(config.name)'", found: "none") }
        guard let anyMask, masks.allSatisfy({ $0 != nil }) else { return product }
        return try builder.graph.append(.select, [anyMask, product, builder.graph.scalar(0, builder.dtype)])
    }

    /// Keras 3: a masked element takes the value that it is compared with, from the left to the right.
    private func maskedExtreme(
        _ function: BinaryFunction, _ values: [ValueID], _ masks: [ValueID?], in builder: inout KerasBuilder
    ) throws -> ValueID {
        var output = values[0]
        var outputMask = try masks[0].map { try aligned($0, to: values[0], in: &builder) }
        for (value, mask) in zip(values, masks).dropFirst() {
            let mask = try mask.map { try aligned($0, to: value, in: &builder) }
            var other = value
            if let mask { other = try builder.graph.append(.select, [mask, value, output]) }
            if let outputMask { output = try builder.graph.append(.select, [outputMask, output, other]) }
            if let mask, let known = outputMask {
                outputMask = try builder.graph.binary(.or, known, mask)
            } else {
                outputMask = nil
            }
            output = try builder.graph.binary(function, output, other)
        }
        return output
    }

    private func mergedMask(_ masks: [ValueID?], in builder: inout KerasBuilder) throws -> ValueID? {
        let present = masks.compactMap { $0 }
        guard let first = present.first, config.generation < 3 || present.count == masks.count else { return nil }
        var result = first
        for mask in present.dropFirst() where mask != result {
            result = try builder.graph.binary(config.generation < 3 ? .and : .or, result, mask)
        }
        return result
    }
}

/// Joins along an axis. Masks are joined likewise where the axis is time; along the features Keras 2 takes the conjunction,
/// Keras 3 the disjunction, an unmasked input counting as all true.
struct ConcatenateLayer: KerasLayer {
    let config: KerasLayerConfig

    init(_ config: KerasLayerConfig) throws { self.config = config }

    /// Keras 2 can't join a mask, which has no features, and the ones that it takes for an unmasked input, which have them.
    func masks(usedBy call: KerasLayerCall) -> [ValueID?] {
        let axis = config.spec.config["axis"]?.int ?? -1
        return config.generation < 3 && (axis == 1 || axis == -2) && call.inputs.contains { $0.mask == nil } ? call.inputs.map(\.mask) : []
    }

    func call(_ call: KerasLayerCall, in builder: inout KerasBuilder) throws -> [KerasTensor] {
        let inputs = call.inputs
        guard let first = inputs.first else { throw kerasError("bad-config", expected: "inputs for layer '\(config.name)'", found: "none") }
        let rank = builder.shape(of: first).rank
        let requested = try config.int("axis", default: -1)
        guard requested >= -rank, requested < rank else { throw config.error("axis", expected: "an axis of inputs of rank \(rank)") }
        let axis = requested < 0 ? requested + rank : requested
        var values: [ValueID] = []
        let dtypes = Set(inputs.map { builder.type(of: $0).dtype })
        for input in inputs { values.append(dtypes.count == 1 ? input.value : try builder.float(input)) }
        let output = try builder.graph.append(.concat(axis: axis), values)
        guard inputs.contains(where: { $0.mask != nil }) else { return [KerasTensor(output)] }
        return [KerasTensor(output, mask: try mergedMask(inputs, axis: axis, rank: rank, in: &builder))]
    }

    private func mergedMask(_ inputs: [KerasTensor], axis: Int, rank: Int, in builder: inout KerasBuilder) throws -> ValueID {
        /// All true, [batch, time] of `input`.
        func allTrue(_ input: KerasTensor, _ builder: inout KerasBuilder) throws -> ValueID {
            let one = try builder.graph.append(.constant(Literal(.bool, [1])), [])
            return try builder.graph.append(.broadcast(Shape(Array(builder.shape(of: input).dims.prefix(2)))), [one])
        }
        if rank == 3 && axis == 1 {
            if config.generation < 3, inputs.contains(where: { $0.mask == nil }), builder.shape(of: inputs[0]).dims[2] != 1 {
                builder.unbuildable.append(config.name)
            }
            var masks: [ValueID] = []
            for input in inputs { masks.append(try input.mask ?? allTrue(input, &builder)) }
            return try builder.graph.append(.concat(axis: 1), masks)
        }
        guard rank == 3 && axis == 2 else {
            throw UnsupportedError(
                "layer '\(config.name)' (Concatenate) joins masked inputs of rank \(rank) along axis \(axis); not supported")
        }
        let present = inputs.compactMap(\.mask)
        if config.generation == 3 && present.count < inputs.count { return try allTrue(inputs[0], &builder) }
        var result = present[0]
        for mask in present.dropFirst() where mask != result {
            result = try builder.graph.binary(config.generation < 3 ? .and : .or, result, mask)
        }
        return result
    }
}
