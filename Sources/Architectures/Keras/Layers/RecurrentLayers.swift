import ByteIO
import JSON
import ModelIR

/// SimpleRNN, LSTM and GRU, and RNN over cells: one cell, or several stacked at every step.
///
/// Cells stacked at every step compute what layers one after the other compute: a masked step leaves each state alone, and what a cell
/// gives at such a step reaches no other.
struct RecurrentLayer: StatefulKerasLayer {
    let config: KerasLayerConfig
    let cells: [RecurrentCell]
    let returnsSequences: Bool
    let returnsState: Bool
    let goesBackwards: Bool
    let isTimeMajor: Bool
    /// Bidirectional forces it where sequences are returned.
    var zeroesMaskedOutput: Bool

    static let classes: Set<String> = ["SimpleRNN", "LSTM", "GRU", "RNN"]

    init(_ config: KerasLayerConfig) throws {
        self.config = config
        cells =
            config.spec.className == "RNN"
            ? try RecurrentCell.cells(of: config) : [try RecurrentCell(config, part: "", store: Self.store(of: config.spec))]
        returnsSequences = try config.bool("return_sequences", default: false)
        returnsState = try config.bool("return_state", default: false)
        goesBackwards = try config.bool("go_backwards", default: false)
        isTimeMajor = try config.bool("time_major", default: false)
        zeroesMaskedOutput = try config.bool("zero_output_for_mask", default: false)
        guard try config.int("num_constants", default: 0) == 0 else {
            throw UnsupportedError("layer '\(config.name)' (\(config.spec.className)) gives its cell constants; not supported")
        }
    }

    /// Layers of cuDNN have no cell that owns their variables.
    private static func store(of spec: KerasLayerSpec) -> String { spec.cuDNNClass == nil ? "cell" : "" }

    var stateCount: Int { cells.reduce(0) { $0 + $1.kind.stateCount } }

    var assumptions: [String] {
        var lines = cells.flatMap(\.assumptions)
        if config.spec.config["stateful"]?.bool == true {
            lines.append("layer '\(config.name)' is stateful; every run starts from zero states")
        }
        return lines
    }

    var variables: [KerasVariable] { cells.flatMap(\.variables) }
    var seedGenerators: [String] { cells.map { "\($0.store)/seed_generator" } }

    func masks(usedBy call: KerasLayerCall) -> [ValueID?] { call.computesWithoutMask ? [nil] : call.inputs.prefix(1).map(\.mask) }

    func call(_ call: KerasLayerCall, in builder: inout KerasBuilder) throws -> [KerasTensor] {
        let input = try call.input(of: config)
        guard call.initialState.isEmpty || call.initialState.count == stateCount else {
            throw kerasError(
                "bad-config", expected: "\(stateCount) initial states for layer '\(config.name)'", found: "\(call.initialState.count)")
        }
        var sequence = try builder.float(input)
        var mask = call.computesWithoutMask ? nil : input.mask
        if isTimeMajor {
            sequence = try builder.graph.append(.transpose([1, 0, 2]), [sequence])
            mask = try mask.map { try builder.graph.append(.transpose([1, 0]), [$0]) }
        }
        var initial = call.initialState[...]
        var states: [ValueID] = []
        for (i, cell) in cells.enumerated() {
            let isLast = i == cells.count - 1
            let recurrence = Recurrence(
                cell: cell.kind, activation: cell.activation,
                recurrentActivation: cell.kind == .simple ? .linear : cell.recurrentActivation, hasBias: cell.usesBias,
                hasMask: mask != nil, hasInitialState: !initial.isEmpty, goesBackwards: goesBackwards && i == 0,
                zeroesMaskedOutput: isLast && zeroesMaskedOutput && mask != nil)
            var inputs = [sequence]
            for variable in cell.variables { inputs.append(try cell.parameter(variable.role, in: &builder)) }
            if let mask { inputs.append(mask) }
            for state in initial.prefix(cell.kind.stateCount) { inputs.append(try builder.float(state)) }
            initial = initial.dropFirst(cell.kind.stateCount)
            let outputs = try builder.graph.appendAll(.composite(.recurrence(recurrence)), inputs)
            sequence = outputs[0]
            states += outputs.dropFirst()
            // The sequence is in the order of walking from here on.
            if i == 0 && goesBackwards && !isLast, let given = mask { mask = try builder.graph.append(.reverse(axes: [1]), [given]) }
        }

        var result: KerasTensor
        let last = states[states.count - (cells.last?.kind.stateCount ?? 1)]
        if returnsSequences {
            result = KerasTensor(sequence, mask: input.mask)
            if isTimeMajor { result.value = try builder.graph.append(.transpose([1, 0, 2]), [sequence]) }
        } else if mask != nil && (zeroesMaskedOutput || !call.initialState.isEmpty) {
            // The last output isn't the last state where the last step is masked and zeroed, or where all steps are masked.
            let output = try builder.graph.append(.slice([SliceRange(), SliceRange(-1), SliceRange()]), [sequence])
            result = KerasTensor(try builder.graph.append(.reshape(builder.graph.type(of: last).shape), [output]))
        } else {
            result = KerasTensor(last)
        }
        return [result] + (returnsState ? states.map { KerasTensor($0) } : [])
    }
}

/// A cell of a recurrent layer: its mathematics and where its variables are.
struct RecurrentCell: Sendable {
    let config: KerasLayerConfig
    let kind: Recurrence.Cell
    let activation: Activation
    let recurrentActivation: Activation
    let usesBias: Bool
    let units: Int?
    /// Put before the roles of its variables: ``, `cells/0/`.
    let part: String
    /// Group in `.weights.h5`, relative to the layer.
    let store: String
    /// Put before the variables' names in Keras 2 .h5.
    let keras2: String

    /// - Parameter config: of the cell, or of a layer that is one cell.
    init(_ config: KerasLayerConfig, part: String, store: String, keras2: String? = nil) throws {
        self.config = config
        self.part = part
        self.store = store
        let version = config.version
        units = try config.size("units")
        switch config.spec.className {
        case "LSTM", "LSTMCell":
            kind = .lstm
            self.keras2 = keras2 ?? "lstm_cell/"
        case "GRU", "GRUCell":
            kind = .gru(resetAfter: try config.bool("reset_after", default: version.generation == 3))
            self.keras2 = keras2 ?? "gru_cell/"
        default:
            kind = .simple
            self.keras2 = keras2 ?? "simple_rnn_cell/"
        }
        activation = try KerasActivation.parse(config.spec.config["activation"], fallback: .tanh, layer: config)
        let gateDefault: Activation = version.gatesDefaultToHardSigmoid ? .hardSigmoid(slope: 0.2, offset: 0.5) : .sigmoid
        recurrentActivation = try KerasActivation.parse(config.spec.config["recurrent_activation"], fallback: gateDefault, layer: config)
        usesBias = try config.bool("use_bias", default: true)
    }

    static let classes: Set<String> = ["SimpleRNNCell", "LSTMCell", "GRUCell"]

    /// The cells of an RNN: its `cell`, which may be StackedRNNCells.
    static func cells(of layer: KerasLayerConfig) throws -> [RecurrentCell] {
        guard let document = layer.spec.config["cell"], !document.isNull else { throw layer.error("cell", expected: "a cell") }
        let spec = try KerasLayerSpec(parsing: document, depth: 0)
        guard spec.className == "StackedRNNCells" && !spec.isCustom else {
            try requireKnown(spec, in: layer)
            return [
                try RecurrentCell(
                    KerasLayerConfig(spec: spec, version: layer.version), part: "", store: "cell", keras2: "\(spec.name)/")
            ]
        }
        guard spec.config["reverse_state_order"]?.bool != true else {
            throw UnsupportedError("layer '\(layer.name)' (RNN) has the states of its cells in reverse order; not supported")
        }
        let documents = spec.config["cells"]?.array ?? []
        guard !documents.isEmpty, documents.count <= 1024 else { throw layer.error("cell", expected: "cells to stack") }
        var counts: [String: Int] = [:]
        var used: [String: Int] = [:]
        return try documents.enumerated().map { position, document in
            let cell = try KerasLayerSpec(parsing: document, depth: 0)
            try requireKnown(cell, in: layer)
            let kind = snakeCase(cell.className)
            let count = counts[kind, default: 0]
            counts[kind] = count + 1
            // Cells of one name would share names of variables.
            let repeated = used[cell.name, default: 0]
            used[cell.name] = repeated + 1
            return try RecurrentCell(
                KerasLayerConfig(spec: cell, version: layer.version),
                // A stack of one is that cell.
                part: documents.count == 1 ? "" : "cells/\(position)/",
                store: "cell/cells/\(kind)" + (count == 0 ? "" : "_\(count)"),
                keras2: "\(spec.name)/\(cell.name)" + (repeated == 0 ? "/" : "_\(repeated)/"))
        }
    }

    private static func requireKnown(_ cell: KerasLayerSpec, in layer: KerasLayerConfig) throws {
        guard !cell.isCustom, classes.contains(cell.className) else {
            throw UnsupportedError("layer '\(layer.name)' (RNN) has the cell \(cell.className), which isn't supported")
        }
    }

    var variables: [KerasVariable] {
        let width = units.map { $0 * kind.gateCount }
        var shapes: [(String, [Int?])] = [("kernel", [nil, width]), ("recurrent_kernel", [units, width])]
        if usesBias { shapes.append(("bias", kind == .gru(resetAfter: true) ? [2, width] : [width])) }
        return shapes.map { KerasVariable(part + $0, store: store, keras2: keras2 + $0, shape: $1) }
    }

    /// A parameter of the cell. Two biases one behind the other, as cuDNN and PyTorch keep them, are added.
    func parameter(_ role: String, in builder: inout KerasBuilder) throws -> ValueID {
        let value = try builder.parameter(role)
        guard role == part + "bias", let units, builder.shape(of: role) == [2 * units * kind.gateCount] else { return value }
        let width = units * kind.gateCount
        return try builder.graph.binary(
            .add, builder.graph.append(.slice([SliceRange(0, width)]), [value]), builder.graph.append(.slice([SliceRange(width)]), [value]))
    }

    /// What the file leaves open and was assumed, for the report.
    var assumptions: [String] {
        var lines: [String] = []
        if kind != .simple && config.spec.config["recurrent_activation"] == nil {
            let name = recurrentActivation == .sigmoid ? "sigmoid" : "hard_sigmoid"
            let doubt =
                config.version.gateDefaultIsAmbiguous ? " (TensorFlow 1.13 to 1.15 wrote the same version and used hard_sigmoid)" : ""
            lines.append("layer '\(config.name)': recurrent_activation isn't stated; \(name) as in Keras \(config.version)\(doubt)")
        }
        if case .gru(let resetAfter) = kind, config.spec.config["reset_after"] == nil {
            lines.append("layer '\(config.name)': reset_after isn't stated; \(resetAfter) as in Keras \(config.version)")
        }
        return lines
    }
}
