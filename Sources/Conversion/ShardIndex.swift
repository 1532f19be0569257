import ByteIO
import FormatKit
import JSON

/// The index of a model in several files, as transformers writes it (`model.safetensors.index.json`): which tensor is in which file.
///
/// Index and files have to agree in both directions; a set of shards that is incomplete in any way is an error, never a model with gaps.
struct ShardIndex: Sendable {
    static let suffix = ".index.json"

    let path: String
    /// File names in the index's directory, in order, each with its tensors.
    let shards: [(name: String, tensors: [String])]
    /// What the index states as the size of all tensors, in bytes.
    let totalByteCount: Double?

    /// Whether a file is called as an index of weights: `model.safetensors.index.json`, `tf_model.h5.index.json`.
    static func isIndex(_ name: String) -> Bool {
        [".safetensors", ".bin", ".h5"].contains { name.hasSuffix($0 + suffix) }
    }

    /// - Throws: `FileError`; `FormatError` with the index's path.
    init(path: String, limits: Limits) throws {
        self.path = path
        let document: JSONValue
        do {
            document = try JSONValue.parse(try ByteRegion(path: path).bytes(), limits: JSONLimits(limits))
        } catch let error as FormatError {
            let code: FormatError.Code = error.code == "bad-json" ? "bad-index" : error.code
            throw FormatError("shards", code, path: path, at: error.offset, expected: error.expected, found: error.found)
        }
        guard let map = document["weight_map"]?.object, !map.isEmpty else {
            throw shardError("bad-index", in: path, expected: "a weight_map with tensors", found: "none")
        }
        guard map.count <= limits.objectCount else {
            throw shardError("too-large", in: path, expected: "at most \(limits.objectCount) tensors", found: "\(map.count)")
        }
        var tensors: [String: [String]] = [:]
        for member in map.members {
            guard let name = member.value.string else {
                throw shardError("bad-index", in: path, expected: "the name of a file for `\(member.key)`", found: "another kind of value")
            }
            guard !name.isEmpty, name != ".", name != "..", !name.contains("/"), !name.utf8.contains(0) else {
                throw shardError(
                    "path-escape", in: path, expected: "the name of a file beside the index for `\(member.key)`", found: "`\(name)`")
            }
            tensors[name, default: []].append(member.key)
        }
        shards = tensors.sorted { precedesInNameOrder($0.key, $1.key) }.map { ($0.key, $0.value) }
        totalByteCount = document["metadata"]?["total_size"]?.double
    }
}

/// The name of one of several files: `model-00002-of-00005.safetensors`.
struct ShardName {
    let count: Int
    /// The index that goes with it: `model.safetensors.index.json`.
    let indexName: String

    /// nil for names that aren't a shard's.
    init?(_ name: String) {
        guard let dot = name.lastIndex(of: ".") else { return nil }
        let fields = name[..<dot].split(separator: "-", omittingEmptySubsequences: false)
        guard fields.count >= 4, fields[fields.count - 2] == "of", let number = Int(fields[fields.count - 3]),
            let count = Int(fields[fields.count - 1]), (1...count).contains(number)
        else { return nil }
        self.count = count
        indexName = fields.dropLast(3).joined(separator: "-") + name[dot...] + ShardIndex.suffix
    }
}

func shardError(
    _ code: FormatError.Code, in path: String, expected: String, found: String? = nil
) -> FormatError {
    FormatError("shards", code, path: path, expected: expected, found: found)
}
