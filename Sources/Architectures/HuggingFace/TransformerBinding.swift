import ByteIO
import FormatKit
import ModelIR

/// Which stored tensor each row of a family's table is.
struct TransformerBinding: Sendable {
    /// A parameter stored under further names of its own, which are taken to be it.
    struct Alias: Hashable, Sendable {
        var name: String
        var key: String
        /// Key of the tensor that was taken.
        var kept: String
    }

    private(set) var parameters: [Parameter] = []
    /// Names in the checkpoint that nothing asks for.
    private(set) var unused: [String] = []
    private(set) var aliases: [Alias] = []
    private(set) var notes: [String] = []

    /// - Throws: `FormatError` that lists every parameter that is missing or has another shape.
    init(_ family: any TransformerFamily, _ store: TransformerStore) throws {
        // TensorFlow's paths are compared without what Keras put before PyTorch's names.
        let keys =
            store.convention == .tensorflow
            ? Dictionary(store.order.map { (TransformerStore.plainPath($0), $0) }, uniquingKeysWith: { first, _ in first }) : [:]
        func stored(_ candidate: String) -> String? {
            if store.tensors[candidate] != nil { return candidate }
            return store.convention == .tensorflow ? keys[TransformerStore.plainPath(candidate)] : nil
        }

        var missing: [String] = []
        var wrong: [String] = []
        var bound: Set<String> = []
        let rows = family.table.rows
        let rowsByName = Dictionary(rows.map { (family.canonicalName($0), $0) }, uniquingKeysWith: { first, _ in first })
        let aliasNames = Dictionary(family.ties.map { ($0.names[0], $0.names.dropFirst()) }, uniquingKeysWith: { $0 + $1 })
        let isAlias = Set(aliasNames.values.joined())

        for row in rows {
            let name = family.canonicalName(row)
            guard !isAlias.contains(name) else { continue }
            var places = Self.candidates(row, family, store.convention).map { (name: name, key: $0, row: row) }
            for alias in aliasNames[name] ?? [] {
                let aliasRow = rowsByName[alias] ?? TransformerParameter(name: alias, shape: row.shape, isBase: false)
                places += Self.candidates(aliasRow, family, store.convention).map { (alias, $0, aliasRow) }
            }
            let found = places.compactMap { place in stored(place.key).map { (name: place.name, key: $0, row: place.row) } }
            guard let first = found.first, let tensor = store.tensors[first.key], let source = store.sources[first.key] else {
                missing.append(name)
                continue
            }
            bound.formUnion(found.map(\.key))
            for other in found where other.name != name && other.key != first.key && !aliases.contains(where: { $0.key == other.key }) {
                aliases.append(Alias(name: other.name, key: other.key, kept: first.key))
            }
            guard let restored = try? Self.restored(tensor, first.row, store.convention), restored.shape == row.shape else {
                wrong.append("\(name) \(row.shape), stored \(tensor.shape)")
                continue
            }
            guard tensor.dtype.isFloat else {
                throw transformerError("weight-dtype", expected: "floats for \(name)", found: tensor.dtype.rawValue)
            }
            parameters.append(Parameter(name: name, tensor: restored, source: source))
        }
        guard missing.isEmpty else {
            throw transformerError("missing-weight", expected: "the weights \(listed(missing, ", "))", found: "none of them")
        }
        guard wrong.isEmpty else {
            throw transformerError(
                "weight-shape-mismatch", expected: "the shapes that the configuration states", found: listed(wrong, "; "))
        }
        let type = type(of: family)
        var buffers = 0
        for key in store.order where !bound.contains(key) {
            if type.isBuffer(key) { buffers += 1 } else { unused.append(store.sources[key] ?? key) }
        }
        if buffers > 0 { notes.append("\(buffers) buffers, which are computed anew, are left aside") }
    }

    /// A stored tensor in PyTorch's layout. TensorFlow's classes take any shape with the elements in order, so axes of size 1 may differ.
    private static func restored(_ tensor: Tensor, _ row: TransformerParameter, _ convention: TransformerNaming) throws -> Tensor {
        guard convention == .tensorflow, let cell = row.tensorFlow else { return tensor }
        if case .reshaped = cell.layout, tensor.count == row.shape.reduce(1, *) { return tensor.reshaped(row.shape) }
        if cell.layout == .same, tensor.shape.filter({ $0 != 1 }) == row.shape.filter({ $0 != 1 }) { return tensor.reshaped(row.shape) }
        return try cell.layout.inverse.apply(tensor)
    }

    /// Keys under which a row may be stored, the likeliest first.
    static func candidates(_ row: TransformerParameter, _ family: any TransformerFamily, _ convention: TransformerNaming) -> [String] {
        switch convention {
        case .tensorflow: return row.tensorFlow?.paths ?? []
        case .pytorch:
            let names = [row.pytorchName ?? row.name] + row.legacyNames
            guard row.isBase, !family.table.base.isEmpty else { return names }
            let prefixed = names.map { "\(family.table.base).\($0)" }
            return family.isBaseClass ? names + prefixed : prefixed + names
        }
    }
}

/// Names for a message of one line.
private func listed(_ names: [String], _ separator: String) -> String {
    let shown = names.prefix(12).joined(separator: separator)
    return names.count > 12 ? "\(shown) and \(names.count - 12) more" : shown
}
