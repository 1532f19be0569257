import ByteIO
import FormatKit
import ModelIR

/// How a file names the parameters.
enum TransformerNaming: String, Hashable, Sendable {
    case pytorch, tensorflow
}

/// The tensors of a checkpoint under the keys of its convention.
///
/// PyTorch: names as stored, less what wrappers put before all of them. TensorFlow: paths below the model's own scope, without `:0`.
struct TransformerStore: Sendable {
    let convention: TransformerNaming
    let tensors: [String: Tensor]
    /// Names in the checkpoint.
    let sources: [String: String]
    /// In file order.
    let order: [String]
    /// Keys that the file says are one and the same tensor.
    let ties: [Set<String>]

    init(_ checkpoint: Checkpoint) {
        let isTensorFlow =
            checkpoint.attributes.strings("layer_names") != nil
            || checkpoint.tensors.contains { $0.name.hasSuffix(":0") && $0.name.contains("/") }
        convention = isTensorFlow ? .tensorflow : .pytorch
        let optimizer = Set(checkpoint.optimizerTensors)
        let entries = checkpoint.tensors.filter { !optimizer.contains($0.name) }
        let key: (String) -> String
        if isTensorFlow {
            let groups = checkpoint.groups.filter { $0.attributes.strings("weight_names") != nil }.map(\.path)
            key = { Self.tensorFlowKey($0, groups: groups) }
        } else {
            let wrapper = Self.wrapper(of: entries.map(\.name))
            key = { String($0.dropFirst(wrapper)).replacing("/", with: ".") }
        }
        var tensors: [String: Tensor] = [:]
        var sources: [String: String] = [:]
        var order: [String] = []
        var keys: [String: String] = [:]
        for entry in entries {
            let key = key(entry.name)
            keys[entry.name] = key
            // The first keeps the key: others are the same variable under further layers of Keras.
            guard tensors[key] == nil else { continue }
            tensors[key] = entry.tensor
            sources[key] = entry.name
            order.append(key)
        }
        self.tensors = tensors
        self.sources = sources
        self.order = order
        ties = checkpoint.ties.map { Set($0.names.compactMap { keys[$0] }) }.filter { $0.count > 1 }
    }

    /// `bert/tf_bert_model_3/bert/encoder/../kernel:0` (layer, scope of the model, path) -> `bert/encoder/../kernel`. In shards there is neither.
    private static func tensorFlowKey(_ name: String, groups: [String]) -> String {
        var path = name
        if let group = groups.first(where: { !$0.isEmpty && name.hasPrefix("\($0)/") }) {
            path = String(name.dropFirst(group.count + 1))
            if let slash = path.firstIndex(of: "/") { path = String(path[path.index(after: slash)...]) }
        }
        return path.hasSuffix(":0") ? String(path.dropLast(2)) : path
    }

    /// How many characters stand before every name because the model was wrapped: by DataParallel, by torch.compile.
    private static func wrapper(of names: [String]) -> Int {
        var count = 0
        while let prefix = ["module.", "_orig_mod."].first(where: { prefix in
            !names.isEmpty && names.allSatisfy { $0.dropFirst(count).hasPrefix(prefix) }
        }) { count += prefix.count }
        return count
    }

    /// The component of a path in which Keras' name for a layer hides PyTorch's: `mlm___cls` is `cls`.
    static func plainPath(_ path: String) -> String {
        guard path.contains("___") else { return path }
        return path.split(separator: "/", omittingEmptySubsequences: false).map { part in
            part.ranges(of: "___").first.map { String(part[$0.upperBound...]) } ?? String(part)
        }.joined(separator: "/")
    }
}

/// Which parameters a file holds, whatever its naming convention and prefixes.
struct StoredNames: Sendable {
    private let store: TransformerStore

    init(_ store: TransformerStore) { self.store = store }

    var names: Set<String> { Set(store.order) }
    var isTensorFlow: Bool { store.convention == .tensorflow }

    /// Whether any of these is stored, as it stands or behind some prefix: `pooler.dense.weight`, `bert/pooler/dense/kernel`.
    func contains(_ suffixes: String...) -> Bool { suffixes.contains { key($0) != nil } }

    /// Whether the file holds two tensors of different values under these names: then they aren't one tensor, whatever the configuration
    /// says of ties. Other names of the same are tried in turn. Large tensors are compared in samples; `TransformerModel.lower` compares
    /// the rest.
    func areSeparate(_ a: [String], _ b: [String]) -> Bool {
        guard let first = a.lazy.compactMap(key).first, let second = b.lazy.compactMap(key).first, first != second,
            let x = store.tensors[first], let y = store.tensors[second],
            !store.ties.contains(where: { $0.contains(first) && $0.contains(second) })
        else { return false }
        guard x.dtype == y.dtype, x.shape == y.shape else { return true }
        return (try? samplesDiffer(x, y)) ?? true
    }

    private func key(_ suffix: String) -> String? {
        if store.tensors[suffix] != nil { return suffix }
        return store.order.first { $0.hasSuffix(".\(suffix)") || $0.hasSuffix("/\(suffix)") }
    }
}

/// Whether two tensors of one shape differ in any of at most 64 pieces of 1 KiB, spread evenly.
private func samplesDiffer(_ a: Tensor, _ b: Tensor) throws -> Bool {
    let size = min(1024, a.byteCount)
    let steps = size == a.byteCount ? 1 : 64
    var (x, y) = ([UInt8](repeating: 0, count: size), [UInt8](repeating: 0, count: size))
    for step in 0..<steps where size > 0 {
        let offset = steps == 1 ? 0 : (a.byteCount - size) / (steps - 1) * step
        try x.withUnsafeMutableBytes { try a.storage.read(into: $0, at: offset) }
        try y.withUnsafeMutableBytes { try b.storage.read(into: $0, at: offset) }
        if x != y { return true }
    }
    return false
}
