import ByteIO
import FormatKit
import JSON
import ModelIR

extension TransformerModel {
    public func lower(to target: LoweringTarget) throws -> Lowered {
        switch target {
        case .pytorch, .canonical: return try loweredToPyTorch()
        case .tensorflow: return try loweredToTensorFlow()
        case .keras2, .keras3, .keras3Weights:
            throw UnsupportedError("a model of transformers can't be written as a Keras model")
        }
    }

    /// PyTorch's names and layouts, in PyTorch's order. Names of a tie are all there, and listed as a tie.
    private func loweredToPyTorch() throws -> Lowered {
        guard let family else { throw obstacle ?? UnsupportedError("the model can't be rewritten") }
        try confirmAliases()
        var tensors = Dictionary(parameters.map { ($0.name, $0.tensor) }, uniquingKeysWith: { first, _ in first })
        for tie in family.ties { for name in tie.names.dropFirst() { tensors[name] = tensors[tie.names[0]] } }
        let rows = family.table.rows.map { family.canonicalName($0) }
        let others = family.ties.flatMap(\.names).filter { !rows.contains($0) }
        var lowered = frame(.pytorch)
        for name in rows + others {
            guard let tensor = tensors[name] else { continue }
            lowered.checkpoint.tensors.append(.init(name: name, tensor: tensor))
        }
        lowered.checkpoint.ties = family.ties
        return lowered
    }

    /// The groups and datasets that a TensorFlow class of transformers 4 writes. A variable of several layers of Keras is a dataset of each:
    /// one tensor under several names.
    private func loweredToTensorFlow() throws -> Lowered {
        guard let family else { throw obstacle ?? UnsupportedError("the model can't be rewritten") }
        guard type(of: family).tensorFlowClassNames.contains(className) else {
            throw UnsupportedError("transformers has no TensorFlow class for \(className)")
        }
        if let (_, name) = config.activation(among: type(of: family).modelledKeys),
            TransformerConfig.tensorFlowName(ofActivation: name) == nil
        {
            throw UnsupportedError("TensorFlow's classes of transformers don't know the activation \"\(name)\"")
        }
        if let obstacle = family.tensorFlowObstacle { throw UnsupportedError(obstacle) }
        if convention == .pytorch, let other = config.values(contradicting: type(of: family).tensorFlowConstants).first {
            throw UnsupportedError(
                "TensorFlow's classes compute with \(other.key) \(other.value.serialized()) whatever the configuration says; it says \(other.stated.serialized())"
            )
        }
        try confirmAliases()
        let tensors = Dictionary(parameters.map { ($0.name, $0.tensor) }, uniquingKeysWith: { first, _ in first })
        let primary = Dictionary(
            family.ties.flatMap { tie in tie.names.dropFirst().map { ($0, tie.names[0]) } }, uniquingKeysWith: { first, _ in first })
        var variables: [(path: String, tensor: Tensor)] = []
        var homeless: [String] = []
        for row in family.table.rows {
            let name = family.canonicalName(row)
            guard let tensor = tensors[primary[name] ?? name] else { continue }
            if let cell = row.tensorFlow {
                variables.append((cell.paths[0], try cell.layout.apply(tensor)))
            } else if primary[name] == nil {
                homeless.append(name)
            }
        }
        guard homeless.isEmpty else {
            throw UnsupportedError("TF\(className) has no variables for some parameters", items: homeless)
        }

        var lowered = frame(.tensorflow)
        let scope = kerasSnakeCase("TF\(className)")
        let layers = family.tensorFlowLayers
        lowered.checkpoint.attributes =
            splitAttribute("layer_names", layers.map(\.name)) + [
                Attribute("backend", .asciiText("tensorflow")), Attribute("keras_version", .asciiText("2.18.0")),
            ]
        var places: [String: [String]] = [:]
        for layer in layers {
            let owned = layer.paths.flatMap { prefix in variables.filter { $0.path.hasPrefix(prefix) } }
            let names = owned.map { variable in
                let scope = family.tensorFlowScopes.first { variable.path.hasPrefix($0.prefix) }?.scope ?? scope
                return (scope.isEmpty ? "" : "\(scope)/") + "\(variable.path):0"
            }
            lowered.checkpoint.groups.append(Checkpoint.Group(path: layer.name, attributes: splitAttribute("weight_names", names)))
            for (variable, name) in zip(owned, names) {
                lowered.checkpoint.tensors.append(.init(name: "\(layer.name)/\(name)", tensor: variable.tensor))
                places[variable.path, default: []].append("\(layer.name)/\(name)")
            }
        }
        lowered.checkpoint.groups.append(
            Checkpoint.Group(path: "top_level_model_weights", attributes: splitAttribute("weight_names", [])))
        addParentGroups(&lowered.checkpoint)
        lowered.checkpoint.ties = variables.compactMap { variable in
            places[variable.path].flatMap { $0.count > 1 ? Checkpoint.Tie(names: $0) : nil }
        }
        return lowered
    }

    /// An empty checkpoint with the configuration for the target, and what is lost on the way there.
    private func frame(_ target: LoweringTarget) -> Lowered {
        var lowered = Lowered(checkpoint: Checkpoint(format: "lowered"))
        let (json, notes) = config.stated(
            for: target, className: className, family: family, parameters: parameters, isTensorFlow: convention == .tensorflow)
        lowered.checkpoint.documents = [
            .init(name: "config.json", bytes: Array((JSONValue.object(json).serialized(.pretty) + "\n").utf8))
        ]
        lowered.checkpoint.documents += checkpoint.documents.filter { $0.name != "config.json" }
        lowered.notes = notes + (family?.notes(for: target) ?? [])
        if !report.optimizer.isEmpty {
            lowered.notes.append("optimizer state (\(report.optimizer.count) tensors) is not carried across dialects")
        }
        if !report.unused.isEmpty {
            lowered.notes.append("left out, since \(className) has no such parameters: \(report.unused.joined(separator: ", "))")
        }
        return lowered
    }

    /// Parameters stored twice were compared in samples when the file was opened; what is left out is compared whole.
    private func confirmAliases() throws {
        for alias in aliases {
            guard let a = store.tensors[alias.key], let b = store.tensors[alias.kept],
                !store.ties.contains(where: { $0.contains(alias.key) && $0.contains(alias.kept) })
            else { continue }
            guard a.dtype == b.dtype, a.count == b.count, try a.holdsSameBytes(as: b) else {
                throw UnsupportedError(
                    "\(alias.key) and \(alias.kept) are one parameter for \(className), but the file holds different values for them")
            }
        }
    }
}

extension Tensor {
    /// Whether all bytes are equal; in bounded memory.
    fileprivate func holdsSameBytes(as other: Tensor) throws -> Bool {
        let size = 1 << 20
        var (x, y) = ([UInt8](repeating: 0, count: size), [UInt8](repeating: 0, count: size))
        for offset in stride(from: 0, to: byteCount, by: size) {
            let count = min(size, byteCount - offset)
            try x.withUnsafeMutableBytes { try storage.read(into: .init(rebasing: $0[..<count]), at: offset) }
            try y.withUnsafeMutableBytes { try other.storage.read(into: .init(rebasing: $0[..<count]), at: offset) }
            if x[..<count] != y[..<count] { return false }
        }
        return true
    }
}

/// Groups for every level of every path, parents first, in the order of their names as HDF5 keeps them.
private func addParentGroups(_ checkpoint: inout Checkpoint) {
    var paths = Set(checkpoint.groups.map(\.path))
    for path in checkpoint.tensors.map(\.name) {
        var components = path.split(separator: "/").dropLast()
        while !components.isEmpty {
            let parent = components.joined(separator: "/")
            if paths.insert(parent).inserted { checkpoint.groups.append(Checkpoint.Group(path: parent)) }
            components = components.dropLast()
        }
    }
    checkpoint.groups.sort { $0.path.split(separator: "/").lexicographicallyPrecedes($1.path.split(separator: "/")) }
}

/// Keras' name for a layer of a class: `TFBertModel` is `tf_bert_model`, `TFGPT2Model` is `tfgpt2_model`.
func kerasSnakeCase(_ name: String) -> String {
    let characters = Array(name)
    var result = ""
    for (i, character) in characters.enumerated() {
        if character.isUppercase, i > 0 {
            let previous = characters[i - 1]
            let startsWord = i + 1 < characters.count && characters[i + 1].isLowercase
            if previous.isLowercase || startsWord { result += "_" }
        }
        result += character.lowercased()
    }
    return result
}
