import ByteIO
import FormatKit
import JSON
import ModelIR

/// State dicts of PyTorch's nn.RNN, nn.LSTM and nn.GRU, alone or several in a chain, recognised by names and shapes.
public enum PyTorchRNNArchitecture: Architecture {
    public static let name = "pytorch-rnn"
    public static let summary = "PyTorch nn.RNN, nn.LSTM and nn.GRU: state dicts, several layers, both directions"

    public static func lift(_ checkpoint: Checkpoint) throws -> (any Model)? {
        let modules = try PyTorchRNNModule.all(in: checkpoint)
        return modules.isEmpty ? nil : try PyTorchRNNModel(modules, checkpoint: checkpoint)
    }
}

/// A chain of recurrent modules. Its parameters and its computation are those of the Keras layers that compute the same.
public struct PyTorchRNNModel: Model {
    private let checkpoint: Checkpoint
    private let keras: KerasModel
    /// Why the modules form no chain.
    private let obstacle: UnsupportedError?
    public let parameters: [Parameter]
    public let report: LiftReport

    public var architecture: String { PyTorchRNNArchitecture.name }
    public let naming = "pytorch"
    public let writer = "PyTorch, by the names of the tensors"
    public var layers: [LayerSummary] { keras.layers.filter { $0.kind != "InputLayer" } }

    init(_ modules: [PyTorchRNNModule], checkpoint: Checkpoint) throws {
        self.checkpoint = checkpoint
        var obstacle: UnsupportedError?
        var chain = modules
        do {
            chain = try PyTorchRNNModule.chained(modules)
        } catch let error as UnsupportedError {
            obstacle = error
        }
        self.obstacle = obstacle
        var writer = PyTorchRNNReader(checkpoint)
        for module in chain { try writer.add(module) }
        keras = try writer.model(inputs: chain[0].inputs)
        let sources = writer.sources
        parameters = keras.parameters.map { parameter in
            let names = sources[parameter.source] ?? [parameter.source]
            return Parameter(name: parameter.name, tensor: parameter.tensor, source: names[0], moreSources: Array(names.dropFirst()))
        }
        var report = LiftReport()
        let known = Set(sources.values.joined())
        report.unused = checkpoint.tensors.map(\.name).filter { !known.contains($0) }
        if modules.contains(where: { $0.gates == 1 }), checkpoint.attributes[PyTorchRNNTable.nonlinearityAttribute] == nil {
            report.assumptions.append("a state dict doesn't say the nonlinearity of nn.RNN; tanh, its default, is assumed")
        }
        report.assumptions.append("the output is the last layer's at every step, batch first; states start at zero")
        if modules.count > 1 && obstacle == nil {
            report.assumptions.append(
                "the modules follow each other as their sizes allow: \(chain.map(\.description).joined(separator: ", "))")
        }
        self.report = report
    }

    public func graph() throws -> Graph {
        if let obstacle { throw obstacle }
        var graph = try keras.graph()
        graph.outputs[0].name = "output"
        return graph
    }

    public func lower(to target: LoweringTarget) throws -> Lowered {
        if let obstacle { throw obstacle }
        switch target {
        case .pytorch, .canonical: return restated()
        case .keras2, .keras3, .keras3Weights:
            var lowered = try keras.lower(to: target)
            lowered.notes += report.assumptions.filter { $0.contains("nn.RNN") }
            if !report.unused.isEmpty {
                lowered.notes.append("not written, since they belong to no recurrent module: \(report.unused.joined(separator: ", "))")
            }
            return lowered
        case .tensorflow: throw UnsupportedError("recurrent modules of PyTorch have no counterpart among the models of transformers")
        }
    }

    public func restated() -> Lowered { Lowered(checkpoint: checkpoint) }

    public func lowered(toConventionOf other: any Model) throws -> Lowered? {
        guard let other = other as? KerasModel else { return nil }
        return try lower(to: other.version.generation == 3 ? .keras3 : .keras2)
    }
}

/// Puts the Keras model together that computes what modules of PyTorch do.
private struct PyTorchRNNReader {
    private let tensors: [String: Tensor]
    /// Of nn.RNN.
    private let nonlinearity: String
    private var layers: [JSONValue] = []
    private var entries: [Checkpoint.Entry] = []
    private var groups: [Checkpoint.Group] = []
    /// Tensors of the state dict by the name of the Keras tensor made of them.
    private(set) var sources: [String: [String]] = [:]

    init(_ checkpoint: Checkpoint) {
        tensors = Dictionary(checkpoint.tensors.map { ($0.name, $0.tensor) }, uniquingKeysWith: { first, _ in first })
        nonlinearity = checkpoint.attributes[PyTorchRNNTable.nonlinearityAttribute]?.text == "relu" ? "relu" : "tanh"
    }

    mutating func add(_ module: PyTorchRNNModule) throws {
        for layer in 0..<module.layerCount {
            let name = module.layerName(layer)
            let className = PyTorchRNNTable.className[module.gates] ?? ""
            var config: JSONObject = [
                "name": .string(name), "trainable": true, "dtype": "float32", "return_sequences": true, "units": .int(module.units),
                "activation": .string(module.gates == 1 ? nonlinearity : "tanh"), "use_bias": .bool(module.hasBias),
            ]
            if module.gates > 1 { config["recurrent_activation"] = "sigmoid" }
            if module.gates == 3 { config["reset_after"] = true }
            var document: JSONValue = ["class_name": .string(className), "config": .object(config)]
            if module.isBidirectional {
                config["name"] = .string(className.lowercased())
                document = [
                    "class_name": "Bidirectional",
                    "config": [
                        "name": .string(name), "trainable": true, "dtype": "float32", "merge_mode": "concat",
                        "layer": ["class_name": .string(className), "config": .object(config)],
                    ],
                ]
            }
            layers.append(document)
            var names: [String] = []
            for isReverse in module.isBidirectional ? [false, true] : [false] {
                for row in module.rows {
                    let parts = module.names(row, layer: layer, isReverse: isReverse)
                    let tensor = try row.layout.apply(parts.compactMap { tensors[$0] })[0]
                    let weight = "\(isReverse ? "backward" : "forward")/\(row.role)"
                    names.append(weight)
                    entries.append(Checkpoint.Entry(name: "model_weights/\(name)/\(weight)", tensor: tensor))
                    sources["model_weights/\(name)/\(weight)"] = parts
                }
            }
            groups.append(Checkpoint.Group(path: "model_weights/\(name)", attributes: splitAttribute("weight_names", names)))
        }
    }

    func model(inputs: Int) throws -> KerasModel {
        let input: JSONValue = [
            "class_name": "InputLayer",
            "config": ["batch_input_shape": [.null, .null, .int(inputs)], "dtype": "float32", "name": "input"],
        ]
        let document: JSONValue = ["class_name": "Sequential", "config": ["name": "rnn", "layers": .array([input] + layers)]]
        var checkpoint = Checkpoint(format: "lowered")
        checkpoint.attributes = [
            Attribute("keras_version", .text(KerasModel.keras2Version)), Attribute("model_config", .text(document.serialized(.python))),
        ]
        let names = groups.map { String($0.path.dropFirst("model_weights/".count)) }
        checkpoint.groups.append(Checkpoint.Group(path: "model_weights", attributes: splitAttribute("layer_names", names)))
        checkpoint.groups += groups
        checkpoint.tensors = entries
        guard var source = try KerasSource(checkpoint) else { throw kerasError("config-not-a-model") }
        // Two biases one behind the other tell cuDNN in files of Keras; here they are PyTorch's.
        source.readsCuDNN = false
        return try KerasModel(source, checkpoint: checkpoint)
    }
}
