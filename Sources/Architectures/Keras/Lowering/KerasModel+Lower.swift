import ByteIO
import FormatKit
import JSON
import ModelIR

extension KerasModel {
    /// Versions that written files name: those whose loaders they were tried with.
    static let keras2Version = "2.18.0"
    static let keras3Version = "3.15.1"

    public func lower(to target: LoweringTarget) throws -> Lowered {
        switch target {
        case .keras2, .keras3, .keras3Weights: break
        case .canonical: return canonical()
        case .pytorch: return try lowerToPyTorch()
        case .tensorflow: throw UnsupportedError("a Keras model has no counterpart among the models of transformers")
        }
        // A model that can't be run can't be rewritten either: its layers are not understood.
        var plain = self
        let sums = plain.sumPairsOfBiases()
        let generation = target == .keras2 ? 2 : 3
        let shapes = try plain.lifted().inputShapes
        var expansion = KerasExpansion(version: version, target: generation, inputShapes: shapes)
        (plain.container, plain.instances) = try expansion.expanded(container, instances)
        let lifted = try plain.lifted()
        let graph = try lifted.graph.removingDeadNodes()
        var rewrites = KerasRewrites(from: version.generation, to: generation)
        rewrites.add(plain.instances, shapes: [:])
        var obstacles = rewrites.obstacles
        if generation == 2 {
            for parameter in parameters where parameter.tensor.dtype == .bf16 {
                obstacles.append("weight \(parameter.name): Keras 2 can't load bf16 from HDF5")
            }
        }
        let declared = Rewrite.inOrder(sums + rewrites.rewrites)
        let changes = Dictionary(declared.map { ($0.parameter, $0) }, uniquingKeysWith: { first, _ in first })
        var tensors: [String: Tensor] = [:]
        for parameter in parameters { tensors[parameter.name] = try changes[parameter.name]?.apply(parameter.tensor) ?? parameter.tensor }

        // The written configuration must compute what the source does: semantics that differ between generations show up here. Masks that
        // differ are made arguments, one after the other, since the next layers' follow from them.
        let wanted = try graph.mappingOps { rewrites.target($0, origin: $1) }
        let masks = try KerasMaskArguments(version: version, target: generation, source: lifted, rewrites: rewrites)
        var (container, instances) = (plain.container, plain.instances)
        var corrections = 0
        let known = lifted.inputShapes.merging(shapes) { new, _ in new }
        while true {
            var writer = KerasConfigWriter(version: version, target: generation, inputShapes: known)
            let document = try writer.document(container, instances, inputs: inputSpecs())
            let reasons = writer.translator.obstacles + obstacles
            guard reasons.isEmpty else { throw UnsupportedError("Keras \(generation) can't express the model", items: reasons) }
            let checkpoint = try checkpoint(document, tensors, generation)
            guard let written = try KerasArchitecture.lift(checkpoint) as? KerasModel else {
                throw UnsupportedError("the configuration for Keras \(generation) is not recognised as a model")
            }
            let builder: KerasBuilder
            do {
                builder = try written.lifted()
            } catch let error as UnsupportedError {
                throw UnsupportedError(
                    "Keras \(generation) would compute something else", items: error.items.isEmpty ? [error.message] : error.items)
            }
            let difference = try wanted.firstDifference(from: builder.graph.removingDeadNodes())
            if difference != nil || !builder.unbuildable.isEmpty {
                if corrections < Self.mostCorrections, let next = try masks.corrected(container, instances, written: builder) {
                    (container, instances) = next
                    corrections += 1
                    continue
                }
                guard let difference else {
                    throw UnsupportedError(
                        "Keras \(generation) can't express the model",
                        items: builder.unbuildable.map {
                            "layer '\($0)' (Concatenate): Keras 2 can't join masked and unmasked inputs along time"
                        })
                }
                throw UnsupportedError(
                    "Keras \(generation) would compute something else", items: ["\(difference)"] + self.reasons(generation))
            }
            var notes = expansion.notes + writer.translator.notes
            if !report.optimizer.isEmpty {
                notes.append(
                    "optimizer state (\(report.optimizer.count) tensors) and training_config are not carried across Keras generations")
            }
            if !report.unused.isEmpty {
                notes.append("not written, since no layer asks for them: \(report.unused.joined(separator: ", "))")
            }
            return Lowered(checkpoint: checkpoint, rewrites: declared, notes: notes)
        }
    }

    /// Calls whose masks are written down, each after a look at the whole model.
    private static let mostCorrections = 200

    private func checkpoint(_ document: JSONValue, _ tensors: [String: Tensor], _ generation: Int) throws -> Checkpoint {
        let container = try KerasContainer(parsing: document)
        let instances: [KerasInstance]
        do {
            instances = try KerasInstance.make(container, version: KerasVersion(generation == 3 ? Self.keras3Version : Self.keras2Version))
        } catch let error as FormatError {
            // What one generation allows, the other may call an error.
            throw UnsupportedError("Keras \(generation) can't express the model", items: [error.description])
        }
        let weights = KerasWeightWriter(tensors: tensors)
        return generation == 2
            ? try weights.named(instances, isSequential: container.isSequential, document: document)
            : try weights.store(instances, container: container, document: document)
    }

    /// Where the generations are known to compute different things, as far as this model uses them.
    private func reasons(_ target: Int) -> [String] {
        let classes = Set(instances.flatMap(\.flattened).map(\.spec.className))
        var reasons: [String] = []
        if !classes.isDisjoint(with: ["Add", "Subtract", "Multiply", "Average", "Maximum", "Minimum", "Concatenate"]) {
            reasons.append("merge layers combine the masks of their inputs differently in Keras 2 and 3")
        }
        if !classes.isDisjoint(with: ["Softmax", "MultiHeadAttention"]) {
            reasons.append(
                "a row of which a mask leaves nothing is uniform in Keras 2, zero in Keras 3's Softmax and in its MultiHeadAttention with dropout or scores"
            )
        }
        if classes.contains("MultiHeadAttention") {
            reasons.append("MultiHeadAttention of Keras 3 takes the masks off its arguments, so that a second one finds none")
        }
        if calls(container.layers).contains(where: { $0.keywords.contains { $0.name == "initial_state" } || $0.inputs.count > 1 }),
            !classes.isDisjoint(with: RecurrentLayer.classes.union(["Bidirectional"]))
        {
            reasons.append("recurrent layers of Keras 3 that are given states take no notice of a mask that isn't an argument of the call")
        }
        if classes.contains("TimeDistributed") { reasons.append("TimeDistributed of Keras 3 gives its layer no mask of its own") }
        return reasons
    }

    private func calls(_ layers: [KerasLayerSpec]) -> [KerasCall] {
        layers.flatMap { layer in
            RecurrentLayer.classes.contains(layer.className) || layer.className == "Bidirectional"
                ? layer.calls : calls(layer.container?.layers ?? [])
        }
    }

    public func lowered(toConventionOf other: any Model) throws -> Lowered? {
        if other is PyTorchRNNModel { return try lower(to: .pytorch) }
        guard let other = other as? KerasModel else { return nil }
        guard other.version.generation != version.generation || (hasPairsOfBiases && !other.hasPairsOfBiases) else { return nil }
        return try lower(to: other.version.generation == 3 ? .keras3 : .keras2)
    }

    /// Attribute of the root that says how the tensors are named.
    static let namingAttribute = "ingot_naming"

    /// Every parameter under its canonical name, as it is; configuration and version as attributes of the root.
    private func canonical() -> Lowered {
        var checkpoint = Checkpoint(format: "lowered")
        checkpoint.tensors = parameters.map { Checkpoint.Entry(name: $0.name, tensor: $0.tensor) }
        checkpoint.attributes = [
            Attribute("model_config", .text(CuDNNConfiguration.plain(source.configuration).serialized(.python))),
            Attribute(Self.namingAttribute, .text("canonical")),
        ]
        if !version.text.isEmpty { checkpoint.attributes.append(Attribute("keras_version", .text(version.text))) }
        if let backend = source.backend { checkpoint.attributes.append(Attribute("backend", .text(backend))) }
        var notes: [String] = []
        if !report.optimizer.isEmpty { notes.append("optimizer state (\(report.optimizer.count) tensors) is left out") }
        if !report.unused.isEmpty { notes.append("not written, since no layer asks for them: \(report.unused.joined(separator: ", "))") }
        return Lowered(checkpoint: checkpoint, notes: notes)
    }
}
