import ByteIO
import FormatKit
import ModelIR

/// The tensors of a checkpoint under the names of its convention.
struct TransformerStore: Sendable {
    let convention: TransformerNaming
    /// PyTorch: as stored. TensorFlow: the path below the model's own scope, without `:0`.
    let tensors: [String: Tensor]
    /// Names in the checkpoint.
    let sources: [String: String]
    /// In file order.
    let order: [String]
    /// Names of the file that are the same tensor, under the names above.
    let ties: [[String]]

    var names: StoredNames { StoredNames(names: Set(order)) }

    init(_ checkpoint: Checkpoint) throws {
        let isTensorFlow = checkpoint.attributes.strings("layer_names") != nil
        convention = isTensorFlow ? .tensorflow : .pytorch
        var tensors: [String: Tensor] = [:]
        var sources: [String: String] = [:]
        var order: [String] = []
        var keys: [String: String] = [:]
        for entry in checkpoint.tensors {
            let key = isTensorFlow ? Self.tensorFlowKey(entry.name) : entry.name
            keys[entry.name] = key
            // The first keeps the name: others are aliases under further scopes.
            guard tensors[key] == nil else { continue }
            tensors[key] = entry.tensor
            sources[key] = entry.name
            order.append(key)
        }
        self.tensors = tensors
        self.sources = sources
        self.order = order
        ties = checkpoint.ties.map { $0.names.compactMap { keys[$0] } }
    }

    /// `bert/tf_bert_model_3/bert/encoder/../kernel:0` (group, scope of the model, path) -> `bert/encoder/../kernel`.
    private static func tensorFlowKey(_ name: String) -> String {
        let parts = name.split(separator: "/").map(String.init)
        var path = parts.dropFirst(parts.count > 2 ? 2 : 0).joined(separator: "/")
        if path.hasSuffix(":0") { path.removeLast(2) }
        return path
    }
}

/// Which stored tensor each row of a family's table is.
struct TransformerBinding: Sendable {
    private(set) var parameters: [Parameter] = []
    /// Names in the checkpoint that nothing asks for.
    private(set) var unused: [String] = []
    private(set) var notes: [String] = []

    /// - Throws: `FormatError` that lists every parameter that is missing or has another shape.
    init(_ family: any TransformerFamily, _ store: TransformerStore) throws {
        var missing: [String] = []
        var bound: Set<String> = []
        let aliases = Set(family.ties.flatMap { $0.names.dropFirst() })
        for row in family.table.rows {
            let name = family.canonicalName(row)
            guard !aliases.contains(name) else { continue }
            guard let key = Self.candidates(row, family, store.convention).first(where: { store.tensors[$0] != nil }),
                let stored = store.tensors[key], let source = store.sources[key]
            else {
                missing.append(name)
                continue
            }
            var tensor = stored
            if store.convention == .tensorflow, let cell = row.tensorFlow { tensor = try cell.layout.inverse.apply(stored) }
            guard tensor.shape == row.shape else {
                throw transformerError(
                    "weight-shape-mismatch", expected: "the shape \(row.shape) that the configuration states for \(name)",
                    found: "\(tensor.shape)")
            }
            guard tensor.dtype.isFloat else {
                throw transformerError("weight-dtype", expected: "floats for \(name)", found: tensor.dtype.rawValue)
            }
            bound.insert(key)
            parameters.append(Parameter(name: name, tensor: tensor, source: source))
        }
        guard missing.isEmpty else {
            throw transformerError("missing-weight", expected: "the weights \(missing.joined(separator: ", "))", found: "none")
        }
        let family = type(of: family)
        var buffers = 0
        for key in store.order where !bound.contains(key) {
            if family.isBuffer(key) { buffers += 1 } else { unused.append(store.sources[key] ?? key) }
        }
        if buffers > 0 { notes.append("\(buffers) buffers, which are computed anew, are left aside") }
    }

    /// Keys under which a row may be stored, the likeliest first.
    private static func candidates(
        _ row: TransformerParameter, _ family: any TransformerFamily, _ convention: TransformerNaming
    ) -> [String] {
        switch convention {
        case .tensorflow: return row.tensorFlow?.paths ?? []
        case .pytorch:
            let names = [row.name] + row.legacyNames
            guard row.isBase, !family.table.base.isEmpty else { return names }
            let prefixed = names.map { "\(family.table.base).\($0)" }
            return family.isBaseClass ? names + prefixed : prefixed + names
        }
    }
}
