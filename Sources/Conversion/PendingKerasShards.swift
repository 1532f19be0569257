import ByteIO
import FormatKit
import JSON

/// Weights of Keras 3 in shards, on their way: an index `x.weights.json` and files `x_00000.weights.h5` beside it, as Keras cuts them: variables
/// in order, a file full before the next, so that a layer's group may lie in several.
struct PendingKerasShards: PendingOutput {
    private let options: ConversionOptions
    private let index: OutputFile
    private let shards: [(file: OutputFile, checkpoint: Checkpoint)]
    private let document: JSONValue
    private let format: any ModelFormat.Type

    /// - Throws: `UnsupportedError` for a tensor that is larger than a shard may be, `FileError` for files that are there already.
    init(_ checkpoint: Checkpoint, _ place: OutputPlace, _ options: ConversionOptions) throws {
        self.options = options
        format = try writer(of: place.kind)
        let limit = options.maxShardByteCount
        let large = checkpoint.tensors.filter { UInt64($0.tensor.byteCount) > limit }
        guard large.isEmpty else {
            throw UnsupportedError("tensors are larger than a shard may be (\(limit) bytes)", items: large.map(\.name))
        }
        var parts: [[Checkpoint.Entry]] = [[]]
        var size: UInt64 = 0
        for entry in checkpoint.tensors {
            size += UInt64(entry.tensor.byteCount)
            if size > limit {
                parts.append([])
                size = UInt64(entry.tensor.byteCount)
            }
            parts[parts.count - 1].append(entry)
        }
        let (directory, name) = splitPath(place.path)
        let stem = String(name.dropLast(".weights.json".count))
        index = try OutputFile(target: place.path, replacesExisting: options.replacesExisting)
        shards = try parts.enumerated().map { number, entries in
            let digits = String(number)
            let padding = String(repeating: "0", count: max(0, 5 - digits.count))
            let file = try OutputFile(
                target: "\(directory)/\(stem)_\(padding)\(digits).weights.h5", replacesExisting: options.replacesExisting)
            return (file, Self.shard(of: checkpoint, holding: entries))
        }
        var map = JSONObject()
        for shard in shards {
            let name = JSONValue.string(splitPath(shard.file.targetPath).name)
            var groups = Set<String>()
            for entry in shard.checkpoint.tensors {
                let group = "/\(splitPath(entry.name).directory)"
                guard groups.insert(group).inserted else { continue }
                switch map[group] {
                case .array(let names): map[group] = .array(names + [name])
                case let other?: map[group] = [other, name]
                case nil: map[group] = name
                }
            }
        }
        // Keras writes a float.
        let total = checkpoint.tensors.reduce(0.0) { $0 + Double($1.tensor.byteCount) }
        document = ["metadata": ["total_size": .double(total)], "weight_map": .object(map)]
    }

    /// Some tensors, with the groups above them.
    private static func shard(of checkpoint: Checkpoint, holding entries: [Checkpoint.Entry]) -> Checkpoint {
        var shard = checkpoint
        shard.documents = []
        shard.tensors = entries
        var parents: Set<String> = [""]
        for entry in entries {
            var path = splitPath(entry.name).directory
            while path != "." && parents.insert(path).inserted { path = splitPath(path).directory }
        }
        shard.groups = checkpoint.groups.filter { parents.contains($0.path) }
        return shard
    }

    func write(_ checkpoint: Checkpoint) throws {
        for shard in shards { try format.write(shard.checkpoint, to: shard.file, options: writeOptions(options)) }
        try index.append(Array((document.serialized(.pretty) + "\n").utf8))
    }

    func byteCount() throws -> Int { try shards.reduce(Int(index.size())) { try $0 + Int($1.file.size()) } }

    func reopened(_ checkpoint: Checkpoint) throws -> Checkpoint {
        let places = Dictionary(uniqueKeysWithValues: shards.map { (splitPath($0.file.targetPath).name, $0.file.temporaryPath) })
        var written = try KerasShards(index: index.temporaryPath, places: places, limits: Limits()).checkpoint
        written.documents = checkpoint.documents
        return written
    }

    /// The index last: what it names is there.
    func commit() throws {
        for shard in shards { try shard.file.commit() }
        try index.commit()
    }
}
