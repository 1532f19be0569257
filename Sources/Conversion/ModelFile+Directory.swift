import ByteIO
import FormatKit
import Glibc
import JSON

extension ModelFile {
    /// Endings of weights, by preference among several in a directory.
    private static let preference = [
        ".safetensors", ".bin", ".pt", ".pth", ".ckpt", "tf_model.h5", ".keras", ".weights.json", ".h5", ".hdf5", ".ingot",
    ]

    /// What trainers leave beside weights under the same endings.
    private static let otherFiles = ["training_args.", "optimizer.", "scheduler.", "scaler.", "rng_state", "random_states"]

    /// The one weights file or index of a directory.
    ///
    /// A single file comes before shards of its kind, and the name that Hugging Face gives it before others. Shards are found by their index.
    static func weightsFile(in directory: String, notes: inout [String]) throws -> String {
        var found: [(rank: Int, order: Int, name: String)] = []
        var shards: [ShardName] = []
        for name in try directoryEntries(directory) where !name.hasPrefix(".") {
            let isIndex = ShardIndex.isIndex(name) || KerasShards.isIndex(name)
            let weights = ShardIndex.isIndex(name) ? String(name.dropLast(ShardIndex.suffix.count)) : name
            guard let rank = preference.firstIndex(where: { weights.hasSuffix($0) }), !otherFiles.contains(where: { name.hasPrefix($0) })
            else {
                continue
            }
            let path = "\(directory)/\(name)"
            var status = stat()
            guard stat(path, &status) == 0, status.st_mode & S_IFMT == S_IFREG else { continue }
            if !isIndex, let shard = ShardName(name) {
                shards.append(shard)
                continue
            }
            guard
                isIndex || Registry.formats.contains(where: { format in (try? ByteRegion(path: path)).map { format.matches($0) } ?? false })
            else { continue }
            found.append((rank, (isUsual(weights) ? 0 : 2) + (isIndex ? 1 : 0), name))
        }
        found.sort { ($0.rank, $0.order, $0.name) < ($1.rank, $1.order, $1.name) }
        guard let first = found.first?.name else {
            if let shard = shards.first {
                throw FormatError(
                    "shards", "missing-index", path: directory, expected: "\(shard.indexName) beside the shards", found: "none")
            }
            throw FileError(.input, path: directory, message: "holds no weights file that Ingot reads")
        }
        if found.count > 1 {
            notes.append("took \(directory)/\(first); also there: \(found.dropFirst().map(\.name).joined(separator: ", "))")
        }
        return "\(directory)/\(first)"
    }

    /// Whether weights are called as Hugging Face calls them, or a variant of them (`model.fp16.safetensors`): their configuration lies beside.
    static func isUsual(_ name: String) -> Bool {
        guard let dot = name.firstIndex(of: ".") else { return false }
        switch (name[..<dot], name[dot...].split(separator: ".").last) {
        case ("model", "safetensors"), ("pytorch_model", "bin"), ("tf_model", "h5"): return true
        default: return false
        }
    }

    // MARK: Configurations

    /// Whether a file that only happens to lie there is a model's configuration, of Keras or of Hugging Face: people keep other JSON beside
    /// their weights.
    private static func isModelConfiguration(_ path: String) -> Bool {
        guard let bytes = try? ByteRegion(path: path).bytes(), let document = try? JSONValue.parse(bytes) else { return false }
        return document["class_name"] != nil && document["config"] != nil || document["model_type"]?.string != nil
            || document["architectures"]?.array != nil
    }

    /// Where the configuration of weights that carry none lies: under the weights' name with `.json`, or as `config.json` in the directory
    /// that was opened, or beside weights that are called as Hugging Face calls them.
    static func configurationBeside(
        _ file: String, explicit: String?, inDirectory: Bool, checkpoint: Checkpoint
    ) throws -> String? {
        if let explicit { return explicit }
        guard checkpoint.attributes["model_config"] == nil, checkpoint.attributes["config.json"] == nil,
            checkpoint.document("config.json") == nil
        else { return nil }
        let (directory, name) = splitPath(file)
        var candidates: [String] = []
        for suffix in [".weights.h5", ".weights.json", ".h5", ".hdf5", ".ingot"] where name.hasSuffix(suffix) {
            candidates.append("\(directory)/\(name.dropLast(suffix.count)).json")
        }
        let weights = ShardIndex.isIndex(name) ? String(name.dropLast(ShardIndex.suffix.count)) : name
        if inDirectory || isUsual(weights) { candidates.append("\(directory)/config.json") }
        return candidates.first { isModelConfiguration($0) }
    }
}
