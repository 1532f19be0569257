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
    let convention: TransformerNaming
    public let parameters: [Parameter]
    public let report: LiftReport

    public var architecture: String { HuggingFaceArchitecture.name }
    public var naming: String { "\(config.modelType)-\(convention.rawValue)" }

    public var writer: String {
        let version = config.json["transformers_version"]?.string.map { "transformers \($0)" } ?? "transformers, no version named"
        return "\(version), class \(convention == .tensorflow ? "TF" : "")\(className)"
    }

    init(_ config: TransformerConfig, family: any TransformerFamily.Type, checkpoint: Checkpoint) throws {
        self.config = config
        self.checkpoint = checkpoint
        let store = try TransformerStore(checkpoint)
        convention = store.convention
        className = config.className ?? family.classNames[0]
        var report = LiftReport()
        if config.className == nil { report.assumptions.append("the configuration names no class; \(className) is assumed") }
        let known = family.modelledKeys.union(family.inertKeys).union(TransformerKeys.inert)
        report.unknownKeys = config.json.keys.filter { !known.contains($0) }

        do {
            guard family.classNames.contains(className) else {
                throw UnsupportedError("the class \(className) of \(config.modelType) can't be run")
            }
            let instance = try family.init(config, className: className, stored: store.names)
            let binding = try TransformerBinding(instance, store)
            self.family = instance
            obstacle = nil
            parameters = binding.parameters
            report.assumptions += instance.assumptions + binding.notes
            report.unused = binding.unused
        } catch let error as UnsupportedError {
            self.family = nil
            obstacle = error
            parameters = checkpoint.tensors.map { Parameter(name: $0.name, tensor: $0.tensor, source: $0.name) }
        }
        self.report = report
    }

    public var layers: [LayerSummary] {
        // One row for each module that the graph names; what no module of the graph claims, under the parameter's own module.
        var order: [String] = []
        var members: [String: [String]] = [:]
        for parameter in parameters {
            let module = parameter.name.split(separator: ".").dropLast().joined(separator: ".")
            if members[module] == nil { order.append(module) }
            members[module, default: []].append(parameter.name)
        }
        return order.map { LayerSummary(name: $0, kind: className, parameters: members[$0] ?? [], isSupported: family != nil) }
    }

    public var inputDescriptions: [InputDescription] { family?.inputs ?? [] }
    public var probeSizes: [String: Int] { family?.probeSizes ?? [:] }

    public func completed(_ inputs: [String: Tensor]) throws -> (inputs: [String: Tensor], notes: [String]) {
        try family?.completed(inputs) ?? (inputs, [])
    }

    public func graph() throws -> Graph {
        guard let family else { throw obstacle ?? UnsupportedError("the model can't be run") }
        var builder = TransformerBuilder(name: config.modelType, family: family)
        do {
            try family.build(&builder)
        } catch let error as GraphError {
            throw transformerError("bad-config", expected: "sizes that fit each other", found: error.message)
        }
        return builder.graph
    }

    public func restated() -> Lowered { Lowered(checkpoint: checkpoint) }

    public func lowered(toConventionOf other: any Model) throws -> Lowered? {
        guard let other = other as? TransformerModel, other.convention != convention else { return nil }
        return try lower(to: other.convention == .tensorflow ? .tensorflow : .pytorch)
    }
}

/// How a file names the parameters.
enum TransformerNaming: String, Hashable, Sendable {
    case pytorch, tensorflow
}
