import ByteIO
import JSON
import ModelIR

/// SimpleRNN, LSTM and GRU.
struct RecurrentLayer: KerasLayer {
    let config: KerasLayerConfig
    let cell: Recurrence.Cell
    let activation: Activation
    let recurrentActivation: Activation
    let usesBias: Bool
    let returnsSequences: Bool
    let returnsState: Bool
    let goesBackwards: Bool
    let isTimeMajor: Bool
    let units: Int?
    /// Bidirectional forces it where sequences are returned.
    var zeroesMaskedOutput: Bool

    init(_ config: KerasLayerConfig) throws {
        self.config = config
        let version = config.version
        units = try config.size("units")
        switch config.spec.className {
        case "LSTM": cell = .lstm
        case "GRU": cell = .gru(resetAfter: try config.bool("reset_after", default: version.generation == 3))
        default: cell = .simple
        }
        activation = try KerasActivation.parse(config.spec.config["activation"], fallback: .tanh, layer: config)
        let gateDefault: Activation = version.gatesDefaultToHardSigmoid ? .hardSigmoid(slope: 0.2, offset: 0.5) : .sigmoid
        recurrentActivation = try KerasActivation.parse(config.spec.config["recurrent_activation"], fallback: gateDefault, layer: config)
        usesBias = try config.bool("use_bias", default: true)
        returnsSequences = try config.bool("return_sequences", default: false)
        returnsState = try config.bool("return_state", default: false)
        goesBackwards = try config.bool("go_backwards", default: false)
        isTimeMajor = try config.bool("time_major", default: false)
        zeroesMaskedOutput = try config.bool("zero_output_for_mask", default: false)
    }

    /// What the file leaves open and was assumed, for the report.
    var assumptions: [String] {
        var lines: [String] = []
        if cell != .simple && config.spec.config["recurrent_activation"] == nil {
            let name = recurrentActivation == .sigmoid ? "sigmoid" : "hard_sigmoid"
            let doubt =
                config.version.gateDefaultIsAmbiguous ? " (TensorFlow 1.13 to 1.15 wrote the same version and used hard_sigmoid)" : ""
            lines.append("layer '\(config.name)': recurrent_activation isn't stated; \(name) as in Keras \(config.version)\(doubt)")
        }
        if case .gru(let resetAfter) = cell, config.spec.config["reset_after"] == nil {
            lines.append("layer '\(config.name)': reset_after isn't stated; \(resetAfter) as in Keras \(config.version)")
        }
        if config.spec.config["stateful"]?.bool == true {
            lines.append("layer '\(config.name)' is stateful; every run starts from zero states")
        }
        return lines
    }

    var variables: [KerasVariable] {
        let cellName = Self.cellName(config.spec.className)
        let width = units.map { $0 * cell.gateCount }
        var shapes: [(String, [Int?])] = [("kernel", [nil, width]), ("recurrent_kernel", [units, width])]
        if usesBias { shapes.append(("bias", cell == .gru(resetAfter: true) ? [2, width] : [width])) }
        return shapes.map { KerasVariable($0, store: "cell", keras2: "\(cellName)/\($0)", shape: $1) }
    }

    /// A parameter of the layer. Two biases one behind the other, as cuDNN and PyTorch keep them, are added.
    private func parameter(_ role: String, in builder: inout KerasBuilder) throws -> ValueID {
        let value = try builder.parameter(role)
        guard role == "bias", let units, let shape = builder.shape(of: role), shape == [2 * units * cell.gateCount] else { return value }
        let width = units * cell.gateCount
        return try builder.graph.binary(
            .add, builder.graph.append(.slice([SliceRange(0, width)]), [value]), builder.graph.append(.slice([SliceRange(width)]), [value]))
    }

    static func cellName(_ className: String) -> String {
        switch className {
        case "LSTM": "lstm_cell"
        case "GRU": "gru_cell"
        default: "simple_rnn_cell"
        }
    }

    var seedGenerators: [String] { ["cell/seed_generator"] }

    func call(_ call: KerasLayerCall, in builder: inout KerasBuilder) throws -> [KerasTensor] {
        guard let input = call.inputs.first, call.inputs.count == 1 else {
            throw kerasError("bad-config", expected: "1 input for layer '\(config.name)'", found: "\(call.inputs.count)")
        }
        var x = try builder.float(input)
        var mask = input.mask
        if isTimeMajor {
            x = try builder.graph.append(.transpose([1, 0, 2]), [x])
            mask = try mask.map { try builder.graph.append(.transpose([1, 0]), [$0]) }
        }
        let recurrence = Recurrence(
            cell: cell, activation: activation, recurrentActivation: cell == .simple ? .linear : recurrentActivation, hasBias: usesBias,
            hasMask: mask != nil, hasInitialState: !call.initialState.isEmpty, goesBackwards: goesBackwards,
            zeroesMaskedOutput: zeroesMaskedOutput && mask != nil)
        var inputs = [x]
        for variable in variables { inputs.append(try parameter(variable.role, in: &builder)) }
        if let mask { inputs.append(mask) }
        inputs += call.initialState
        let outputs = try builder.graph.appendAll(.composite(.recurrence(recurrence)), inputs)

        var result: KerasTensor
        if returnsSequences {
            result = KerasTensor(outputs[0], mask: input.mask)
            if isTimeMajor { result.value = try builder.graph.append(.transpose([1, 0, 2]), [outputs[0]]) }
        } else if recurrence.zeroesMaskedOutput {
            // The last output, which is zero where the last step is masked, and not the last state.
            let last = try builder.graph.append(.slice([SliceRange(), SliceRange(-1), SliceRange()]), [outputs[0]])
            let dims = builder.graph.type(of: outputs[1]).shape
            result = KerasTensor(try builder.graph.append(.reshape(dims), [last]))
        } else {
            result = KerasTensor(outputs[1])
        }
        return [result] + (returnsState ? outputs.dropFirst().map { KerasTensor($0) } : [])
    }
}

/// A recurrent layer forwards and another backwards, merged.
struct BidirectionalLayer: KerasLayer {
    let config: KerasLayerConfig
    let forward: RecurrentLayer
    let backward: RecurrentLayer
    /// nil: both outputs, unmerged.
    let mergeMode: String?

    init(_ config: KerasLayerConfig) throws {
        self.config = config
        guard let layer = config.spec.config["layer"] else { throw config.error("layer", expected: "a layer") }
        func child(_ document: JSONValue, backwards: Bool?) throws -> RecurrentLayer {
            var spec = try KerasLayerSpec(parsing: document, depth: 0)
            guard !spec.isCustom, ["SimpleRNN", "LSTM", "GRU"].contains(spec.className) else {
                throw UnsupportedError("layer '\(config.name)' (Bidirectional) wraps \(spec.className), which isn't supported")
            }
            if let backwards { spec.config["go_backwards"] = .bool(backwards) }
            var layer = try RecurrentLayer(KerasLayerConfig(spec: spec, version: config.version))
            layer.zeroesMaskedOutput = layer.returnsSequences
            return layer
        }
        forward = try child(layer, backwards: nil)
        if let document = config.spec.config["backward_layer"], !document.isNull {
            backward = try child(document, backwards: nil)
        } else {
            // Keras 2 turns the copy round; Keras 3 always makes it walk backwards.
            backward = try child(layer, backwards: config.generation == 3 ? true : !forward.goesBackwards)
        }
        guard forward.goesBackwards != backward.goesBackwards else {
            throw kerasError("bad-config", expected: "opposite go_backwards in the two directions of '\(config.name)'")
        }
        guard forward.returnsSequences == backward.returnsSequences, forward.returnsState == backward.returnsState else {
            throw kerasError("bad-config", expected: "equal return_sequences and return_state in both directions of '\(config.name)'")
        }
        let mode = config.spec.config["merge_mode"]
        if let mode, !mode.isNull {
            guard let name = mode.string, ["concat", "sum", "mul", "ave"].contains(name) else {
                throw config.error("merge_mode", expected: "concat, sum, mul, ave or null")
            }
            mergeMode = name
        } else {
            mergeMode = mode == nil ? "concat" : nil
        }
    }

    var variables: [KerasVariable] {
        [("forward_layer", "forward", forward), ("backward_layer", "backward", backward)].flatMap { part, prefix, layer in
            layer.variables.map {
                KerasVariable(
                    "\(part)/\($0.role)", store: "\(part)/\($0.store)", keras2: "\(prefix)_\(layer.config.name)/\($0.keras2)",
                    shape: $0.shape)
            }
        }
    }

    var seedGenerators: [String] {
        forward.seedGenerators.map { "forward_layer/\($0)" } + backward.seedGenerators.map { "backward_layer/\($0)" }
    }

    func call(_ call: KerasLayerCall, in builder: inout KerasBuilder) throws -> [KerasTensor] {
        var forwardCall = call
        var backwardCall = call
        let half = call.initialState.count / 2
        forwardCall.initialState = Array(call.initialState.prefix(half))
        backwardCall.initialState = Array(call.initialState.dropFirst(half))
        let ahead = try builder.within("forward_layer") { try forward.call(forwardCall, in: &$0) }
        let back = try builder.within("backward_layer") { try backward.call(backwardCall, in: &$0) }
        let a = ahead[0]
        var b = back[0]
        if forward.returnsSequences { b.value = try builder.graph.append(.reverse(axes: [forward.isTimeMajor ? 0 : 1]), [b.value]) }
        let states = Array(ahead.dropFirst() + back.dropFirst())
        guard let mergeMode else { return [a, KerasTensor(b.value, mask: a.mask)] + states }
        let merged: ValueID
        switch mergeMode {
        case "sum": merged = try builder.graph.binary(.add, a.value, b.value)
        case "mul": merged = try builder.graph.binary(.multiply, a.value, b.value)
        case "ave":
            merged = try builder.graph.binary(
                .divide, builder.graph.binary(.add, a.value, b.value), builder.graph.scalar(2, builder.dtype))
        default: merged = try builder.graph.append(.concat(axis: -1), [a.value, b.value])
        }
        return [KerasTensor(merged, mask: a.mask)] + states
    }
}
