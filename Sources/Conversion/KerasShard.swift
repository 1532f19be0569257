import ByteIO

/// A file by itself that is one of the shards of Keras 3 weights, as the index beside it says.
struct KerasShard {
    /// Name of the index, `x.weights.json` for `x_00001.weights.h5`.
    let indexName: String
    /// Files that the index names; nil where there is no such index beside, and the name alone speaks for a shard.
    let count: Int?

    /// nil for names that aren't a shard's, and for files that an index beside them doesn't name.
    init?(_ path: String) {
        let (directory, name) = splitPath(path)
        let suffix = ".weights.h5"
        guard name.hasSuffix(suffix), let underscore = name.dropLast(suffix.count).lastIndex(of: "_") else { return nil }
        let number = name[name.index(after: underscore)...].dropLast(suffix.count)
        guard number.count >= 5, number.allSatisfy({ $0.isASCII && $0.isNumber }), underscore != name.startIndex else { return nil }
        indexName = name[..<underscore] + ".weights.json"
        guard let bytes = try? ByteRegion(path: "\(directory)/\(indexName)").bytes(), let map = try? KerasShards.map(bytes) else {
            count = nil
            return
        }
        let files = Set(map.flatMap(\.files))
        guard files.contains(name) else { return nil }
        count = files.count
    }

    /// Whether the file holds a part of a model only.
    var isPart: Bool { count.map { $0 > 1 } ?? false }

    /// What to tell people.
    var note: String {
        count.map { "one of \($0) shards; their index, \(indexName), opens them all" }
            ?? "the name is that of one of several shards, whose index, \(indexName), is not beside the file"
    }
}
