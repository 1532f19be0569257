import ByteIO
import FormatKit
import JSON
import ModelIR

/// A Keras model: layer tree, version and parameters under canonical names `<layer>/<variable>`, in Keras' own layouts.
public struct KerasModel: Model {
    let source: KerasSource
    let checkpoint: Checkpoint
    var container: KerasContainer
    var instances: [KerasInstance]
    public internal(set) var parameters: [Parameter]
    public let report: LiftReport

    var version: KerasVersion { source.version }
    public var architecture: String { KerasArchitecture.name }
    public var naming: String { source.dialect }

    public var writer: String {
        let name = version.text.isEmpty ? "Keras 1, as it seems: the file names no version" : "Keras \(version)"
        return name + (source.backend.map { ", backend \($0)" } ?? "")
    }

    init(_ source: KerasSource, checkpoint: Checkpoint) throws {
        self.source = source
        self.checkpoint = checkpoint
        container = try KerasContainer(parsing: source.configuration)
        instances = try KerasInstance.make(container, version: source.version)
        var report = LiftReport()
        var binder = KerasWeightBinder(checkpoint: checkpoint, source: source)
        switch source.weights {
        case .named(let base): try binder.bindNamed(instances, base: base)
        case .canonical: try binder.bindCanonical(instances)
        case .store(let container): try binder.bindStore(instances, isSequential: self.container.isSequential, root: container)
        }
        parameters = binder.parameters
        report.assumptions += binder.assumptions
        for entry in checkpoint.tensors where !binder.bound.contains(entry.name) {
            if entry.name.hasPrefix("optimizer_weights/") || entry.name.hasPrefix("optimizer/")
                || entry.name.hasPrefix("_layer_checkpoint_dependencies/optimizer/") || entry.name.hasPrefix("metrics/")
            {
                report.optimizer.append(entry.name)
            } else if entry.name.contains("seed_generator/vars/") {
                report.state.append(entry.name)
            } else {
                report.unused.append(entry.name)
            }
        }
        report.assumptions += (source.original["ingot_assumptions"]?.array ?? []).compactMap(\.string)
        for name in CuDNNConfiguration.layers(in: source.original) {
            report.assumptions.append(
                "layer '\(name.name)' (\(name.className)) is read as \(name.plain), which computes the same on every processor")
        }
        if source.version.text.isEmpty {
            report.assumptions.append("the file names no Keras version; Keras 1 is assumed, as it wrote none")
        }
        let policies = Set(instances.flatMap(\.flattened).compactMap { dtypeName($0.spec.config["dtype"]) })
        for policy in policies.sorted() where policy.contains("float16") {
            report.assumptions.append("the dtype policy \(policy) is computed in f32, which is more exact than Keras' own half precision")
        }
        for instance in instances.flatMap(\.flattened) {
            report.assumptions += instance.layer?.assumptions ?? []
            if let row = KerasLayerTable.rows[instance.spec.className], instance.obstacle == nil {
                for key in instance.spec.config.keys where row.key(key, generation: source.version.generation) == nil {
                    report.unknownKeys.append("\(instance.path)\(key)")
                }
            }
        }
        self.report = report
    }

    public var layers: [LayerSummary] {
        instances.flatMap(\.flattened).filter { $0.children.isEmpty }.map { instance in
            let isPlain = instance.layer != nil || instance.spec.className == "InputLayer"
            return LayerSummary(
                name: String(instance.path.dropLast()), kind: instance.spec.className,
                parameters: parameters.map(\.name).filter { $0.hasPrefix(instance.path) },
                isSupported: isPlain)
        }
    }
}
