import ByteIO
import FormatKit
import JSON
import ModelIR

/// A chain of recurrent Keras layers as the state dict of nn.RNN, nn.LSTM or nn.GRU.
extension KerasModel {
    /// One recurrent layer on its way, with where its variables are.
    private struct Stage {
        var name: String
        var path: String
        var module: PyTorchRNNModule
        var isLastStepOnly: Bool
        var usesReLU: Bool

        /// Paths of the two directions' variables.
        var directions: [String] { module.isBidirectional ? [path + "forward_layer/", path + "backward_layer/"] : [path] }
    }

    /// - Throws: `UnsupportedError` that names every layer that PyTorch's recurrent modules can't express.
    func lowerToPyTorch() throws -> Lowered {
        _ = try graph()
        var obstacles: [String] = []
        var notes: [String] = []
        var stages: [Stage] = []
        for instance in try chain() where instance.spec.className != "InputLayer" {
            do {
                switch instance.layer {
                case let layer as RecurrentLayer: stages.append(try stage(instance, layer, backward: nil, mergeMode: nil, &notes))
                case let layer as BidirectionalLayer:
                    stages.append(
                        try stage(instance, layer.forward, backward: layer.backward, mergeMode: layer.mergeMode ?? "none", &notes))
                case is IdentityLayer:
                    notes.append("layer '\(instance.spec.name)' (\(instance.spec.className)) does nothing at inference and is left out")
                default:
                    throw UnsupportedError(
                        "layer '\(instance.spec.name)' (\(instance.spec.className)) is no part of nn.RNN, nn.LSTM or nn.GRU")
                }
            } catch let error as UnsupportedError {
                obstacles += error.items.isEmpty ? [error.message] : error.items
            }
        }
        for stage in stages.dropLast() where stage.isLastStepOnly {
            obstacles.append("layer '\(stage.name)' gives its last step to another recurrent layer")
        }
        let simple = stages.filter { $0.module.gates == 1 }
        if simple.contains(where: \.usesReLU) && !simple.allSatisfy(\.usesReLU) {
            obstacles.append("some simple RNN layers compute with relu and some with tanh")
        }
        if stages.isEmpty && obstacles.isEmpty { obstacles.append("there are no recurrent layers") }
        guard obstacles.isEmpty else { throw UnsupportedError("PyTorch's recurrent modules can't express the model", items: obstacles) }
        return try write(Self.joined(stages), notes: notes)
    }

    /// The layers in order, if each takes what the one before gives.
    private func chain() throws -> [KerasInstance] {
        if container.isSequential {
            return instances.flatMap { $0.spec.container == nil ? [$0] : $0.flattened.filter { $0.children.isEmpty } }
        }
        let byName = Dictionary(instances.map { ($0.spec.name, $0) }, uniquingKeysWith: { first, _ in first })
        var result: [KerasInstance] = []
        for step in try KerasCallOrder(container).calls {
            guard let instance = byName[step.layer], instance.spec.className != "InputLayer" else { continue }
            let references = instance.spec.calls.first?.references ?? []
            let isFirst = references.count == 1 && byName[references[0].layer]?.spec.className == "InputLayer"
            let isNext = result.isEmpty ? isFirst : references.map(\.layer) == [result[result.count - 1].spec.name]
            guard isNext, instance.spec.calls.count <= 1, instance.children.isEmpty else {
                throw UnsupportedError(
                    "PyTorch's recurrent modules can't express the model", items: ["its layers don't form a chain at '\(step.layer)'"])
            }
            result.append(instance)
        }
        return result
    }

    private func stage(
        _ instance: KerasInstance, _ layer: RecurrentLayer, backward: RecurrentLayer?, mergeMode: String?, _ notes: inout [String]
    ) throws -> Stage {
        let name = instance.spec.name
        let layers = [layer] + (backward.map { [$0] } ?? [])
        guard let cell = layer.cells.first, layers.allSatisfy({ $0.cells.count == 1 && $0.config.spec.className != "RNN" }) else {
            throw UnsupportedError("layer '\(name)' runs cells of its own, which PyTorch's recurrent modules don't")
        }
        let gates = cell.kind.gateCount
        var obstacles: [String] = []
        for (layer, cell) in layers.map({ ($0, $0.cells[0]) }) {
            if cell.activation != .tanh && !(cell.kind == .simple && cell.activation == .relu) {
                obstacles.append("layer '\(name)': \(PyTorchRNNTable.moduleName[gates] ?? "PyTorch") computes with tanh only")
            }
            if cell.kind != .simple && cell.recurrentActivation != .sigmoid {
                obstacles.append("layer '\(name)': PyTorch's gates are sigmoid, these are not")
            }
            if cell.kind == .gru(resetAfter: false) {
                obstacles.append("layer '\(name)': a GRU with reset_after=False resets before the product, which nn.GRU has no option for")
            }
            if layer.isTimeMajor { obstacles.append("layer '\(name)': time_major") }
            if layer.returnsState { obstacles.append("layer '\(name)': return_state") }
        }
        if layer.goesBackwards { obstacles.append("layer '\(name)': nn modules go backwards only beside a forward direction") }
        if let mergeMode, mergeMode != "concat" {
            obstacles.append("layer '\(name)': PyTorch joins directions by concat, not by \(mergeMode)")
        }
        if let other = backward?.cells[0], other.kind != cell.kind || other.units != cell.units || other.usesBias != cell.usesBias {
            obstacles.append("layer '\(name)': its directions differ")
        }
        if cell.kind == .simple && cell.activation == .relu {
            notes.append("layer '\(name)' needs nn.RNN(nonlinearity='relu'); a state dict can't say so")
        }
        let path = instance.path + (backward == nil ? "" : "forward_layer/")
        guard let kernel = parameters.first(where: { $0.name == path + "kernel" })?.tensor.shape, let units = cell.units, kernel.count == 2
        else {
            throw UnsupportedError("layer '\(name)' has no kernel")
        }
        guard obstacles.isEmpty else { throw UnsupportedError("", items: obstacles) }
        let module = PyTorchRNNModule(
            prefix: "", gates: gates, inputs: kernel[0], units: units, layerCount: 1, isBidirectional: backward != nil,
            hasBias: cell.usesBias)
        return Stage(
            name: name, path: instance.path, module: module, isLastStepOnly: !layer.returnsSequences, usesReLU: cell.activation == .relu)
    }

    /// Layers of one kind are the layers of one module, without a prefix; others are modules under the layers' names.
    private static func joined(_ stages: [Stage]) -> [(module: PyTorchRNNModule, stages: [Stage])] {
        let first = stages[0].module
        let isUniform = stages.allSatisfy {
            $0.module.gates == first.gates && $0.module.units == first.units && $0.module.isBidirectional == first.isBidirectional
                && $0.module.hasBias == first.hasBias
        }
        func module(_ stage: Stage, prefix: String, count: Int) -> PyTorchRNNModule {
            PyTorchRNNModule(
                prefix: prefix, gates: stage.module.gates, inputs: stage.module.inputs, units: stage.module.units, layerCount: count,
                isBidirectional: stage.module.isBidirectional, hasBias: stage.module.hasBias)
        }
        if isUniform { return [(module(stages[0], prefix: "", count: stages.count), stages)] }
        return stages.map { (module($0, prefix: $0.name.replacing(".", with: "_") + ".", count: 1), [$0]) }
    }

    private func write(_ modules: [(module: PyTorchRNNModule, stages: [Stage])], notes: [String]) throws -> Lowered {
        let tensors = Dictionary(parameters.map { ($0.name, $0.tensor) }, uniquingKeysWith: { first, _ in first })
        var checkpoint = Checkpoint(format: "lowered")
        if modules.contains(where: { $0.stages.contains(where: \.usesReLU) }) {
            checkpoint.attributes.append(Attribute(PyTorchRNNTable.nonlinearityAttribute, .text("relu")))
        }
        var lowered = Lowered(checkpoint: checkpoint, notes: notes)
        for (module, stages) in modules {
            for (layer, stage) in stages.enumerated() {
                for (direction, path) in stage.directions.enumerated() {
                    for row in module.rows {
                        let source = path + row.role
                        guard var tensor = tensors[source] else { throw kerasError("missing-weight", expected: "the weight \(source)") }
                        if row.role == "bias", let rewrite = Self.pairing(source, tensor, module) {
                            lowered.rewrites.append(rewrite)
                            tensor = try rewrite.apply(tensor)
                        }
                        let names = module.names(row, layer: layer, isReverse: direction == 1)
                        for (name, part) in zip(names, try row.layout.inverse.apply([tensor])) {
                            checkpoint.tensors.append(Checkpoint.Entry(name: name, tensor: part))
                        }
                        let base = module.layerName(layer) + "/"
                        let part = module.isBidirectional ? (direction == 0 ? "forward_layer/" : "backward_layer/") : ""
                        lowered.renames[source] = base + part + row.role
                    }
                }
            }
            let options =
                ["num_layers=\(module.layerCount)"] + (module.isBidirectional ? ["bidirectional=True"] : [])
                + (module.hasBias ? [] : ["bias=False"])
            let name = module.description
            lowered.notes.append(
                "\(name) of input_size=\(module.inputs), hidden_size=\(module.units), \(options.joined(separator: ", ")), batch_first=True")
        }
        lowered.checkpoint = checkpoint
        if let last = modules.last?.stages.last, last.isLastStepOnly {
            lowered.notes.append(
                "layer '\(last.name)' gives its last step alone: take output[:, -1]"
                    + (last.module.isBidirectional ? " of the forward half, and [:, 0] of the reverse one" : "")
                    + "; the proof compares every step")
            lowered.subject = try returningSequences(last.name)
        }
        return lowered
    }

    /// The one bias of a Keras layer as PyTorch's two, of which the second is zero; nil where there are two already.
    private static func pairing(_ name: String, _ bias: Tensor, _ module: PyTorchRNNModule) -> Rewrite? {
        guard module.gates != 3, bias.shape == [module.gates * module.units] else { return nil }
        return Rewrite(parameter: name, description: "\(name): beside bias_ih a bias_hh of zeros, as PyTorch keeps two") { tensor in
            let zeros = Tensor([Double](repeating: 0, count: tensor.count), dtype: tensor.dtype, shape: tensor.shape)
            return try Layout.concatenated(.equal(2), axis: 0).apply([tensor, zeros])[0]
        }
    }

    /// The model with a layer that returns every step.
    private func returningSequences(_ name: String) throws -> KerasModel {
        func changed(_ value: JSONValue) -> JSONValue {
            switch value {
            case .array(let elements): return .array(elements.map(changed))
            case .object(var object):
                for member in object.members { object[member.key] = changed(member.value) }
                let isNamed = object["name"]?.string == name || object["config"]?["name"]?.string == name
                guard isNamed, object["class_name"] != nil, var config = object["config"]?.object else { return .object(object) }
                for key in ["layer", "backward_layer"] {
                    guard var inner = config[key]?.object, var innerConfig = inner["config"]?.object else { continue }
                    innerConfig["return_sequences"] = true
                    inner["config"] = .object(innerConfig)
                    config[key] = .object(inner)
                }
                if config["layer"] == nil { config["return_sequences"] = true }
                object["config"] = .object(config)
                return .object(object)
            case .null, .bool, .number, .string: return value
            }
        }
        var source = self.source
        source.configuration = changed(source.configuration)
        return try KerasModel(source, checkpoint: checkpoint)
    }
}
