import ByteIO
import FormatKit
import JSON
import ModelIR

/// A Hugging Face model: configuration, class, and parameters in PyTorch's layout under PyTorch's names.
public struct TransformerModel: Model {
    let config: TransformerConfig
    let className: String
    /// nil where the class, or something in its configuration, can't be run: the tensors are then carried under their own names.
    let family: (any TransformerFamily)?
    /// Why there is no family.
    let obstacle: UnsupportedError?
    let checkpoint: Checkpoint
    let store: TransformerStore
    /// Parameters stored more than once.
    let aliases: [TransformerBinding.Alias]
    public let parameters: [Parameter]
    public let report: LiftReport

    var convention: TransformerNaming { store.convention }
    public var architecture: String { HuggingFaceArchitecture.name }
    public var naming: String { "\(config.modelType)-\(convention.rawValue)" }

    public var writer: String {
        let version = config.json["transformers_version"]?.string.map { "transformers \($0)" } ?? "transformers, no version named"
        return "\(version), class \(convention == .tensorflow ? "TF" : "")\(className)"
    }

    init(_ config: TransformerConfig, family: any TransformerFamily.Type, checkpoint: Checkpoint) throws {
        self.config = config
        self.checkpoint = checkpoint
        store = TransformerStore(checkpoint)
        let stored = StoredNames(store)
        className = config.className ?? family.className(config, stored: stored)
        var report = LiftReport()
        report.optimizer = checkpoint.optimizerTensors
        if config.className == nil { report.assumptions.append("the configuration names no class; by its weights it is \(className)") }
        let known = family.modelledKeys.union(family.inertKeys).union(TransformerKeys.inert)
        report.unknownKeys = config.json.keys.filter { !known.contains($0) }

        do {
            guard family.classNames.contains(className) else {
                throw UnsupportedError("the class \(className) of \(config.modelType) can't be run")
            }
            let read = store.convention == .tensorflow ? config.replacing(family.tensorFlowConstants) : config
            let instance = try family.init(read, className: className, stored: stored)
            let binding = try TransformerBinding(instance, store)
            self.family = instance
            obstacle = nil
            parameters = binding.parameters
            aliases = binding.aliases
            report.assumptions += instance.assumptions + binding.notes
            report.unused = binding.unused
        } catch let error as UnsupportedError {
            self.family = nil
            obstacle = error
            aliases = []
            let optimizer = Set(report.optimizer)
            parameters = checkpoint.tensors.filter { !optimizer.contains($0.name) }.map {
                Parameter(name: $0.name, tensor: $0.tensor, source: $0.name)
            }
        }
        self.report = report
    }

    public var inputDescriptions: [InputDescription] { family?.inputs ?? [] }
    public var probeSizes: [String: Int] { family?.probeSizes ?? [:] }

    public func completed(_ inputs: [String: Tensor]) throws -> (inputs: [String: Tensor], notes: [String]) {
        try family?.completed(inputs) ?? (inputs, [])
    }

    public func graph() throws -> Graph { try built().graph }

    private func built() throws -> TransformerBuilder {
        guard let family else { throw obstacle ?? UnsupportedError("the model can't be run") }
        var builder = TransformerBuilder(name: config.modelType, family: family)
        do {
            try family.build(&builder)
        } catch let error as GraphError {
            throw transformerError("bad-config", expected: "sizes that fit each other", found: error.message)
        }
        return builder
    }

    /// One row for each layer that the graph names, in order of computation, with the parameters that it is the first to use; what no layer
    /// uses, by its own module.
    public var layers: [LayerSummary] {
        guard let builder = try? built() else {
            return byModule(parameters.map(\.name), isSupported: false)
        }
        let graph = builder.graph
        let names = Dictionary(graph.parameters.map { ($0.value, $0.name) }, uniquingKeysWith: { first, _ in first })
        var members: [String: [String]] = [:]
        var claimed: Set<String> = []
        for node in graph.nodes {
            for input in node.inputs {
                if let name = names[input], claimed.insert(name).inserted { members[node.origin, default: []].append(name) }
            }
        }
        var listed: Set<String> = []
        let rows = graph.layerOutputs.compactMap { output -> LayerSummary? in
            guard listed.insert(output.name).inserted else { return nil }
            // An output `name_1` is of weights that `name` has shown.
            return LayerSummary(
                name: output.name, kind: builder.kinds[output.name] ?? "again", parameters: members[output.name] ?? [], isSupported: true)
        }
        let shown = Set(rows.flatMap(\.parameters))
        return rows + byModule(parameters.map(\.name).filter { !shown.contains($0) }, isSupported: true)
    }

    private func byModule(_ names: [String], isSupported: Bool) -> [LayerSummary] {
        var order: [String] = []
        var members: [String: [String]] = [:]
        for name in names {
            let module = name.split(separator: ".").dropLast().joined(separator: ".")
            if members[module] == nil { order.append(module) }
            members[module, default: []].append(name)
        }
        return order.map {
            LayerSummary(name: $0.isEmpty ? className : $0, kind: "module", parameters: members[$0] ?? [], isSupported: isSupported)
        }
    }

    public func restated() -> Lowered { Lowered(checkpoint: checkpoint) }

    public func lowered(toConventionOf other: any Model) throws -> Lowered? {
        guard let other = other as? TransformerModel, other.convention != convention else { return nil }
        return try lower(to: other.convention == .tensorflow ? .tensorflow : .pytorch)
    }
}
