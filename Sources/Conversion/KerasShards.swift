import ByteIO
import FormatKit
import HDF5Format
import JSON

/// Weights of Keras 3 in shards: `x.weights.json` says in which of the files beside it each group of variables lies.
///
/// A group may lie in several files. Index and files must agree in both directions: weights that are missing or left over are errors.
struct KerasShards {
    /// All shards as one.
    let checkpoint: Checkpoint
    let parts: [ModelFile.Part]

    static func isIndex(_ path: String) -> Bool { path.hasSuffix(".weights.json") }

    /// - Parameter places: where shards lie that aren't in place yet, by name; the others lie beside the index.
    /// - Throws: `FormatError` with the path of the index or of a shard, `FileError` for a shard that can't be opened.
    init(index path: String, places: [String: String] = [:], limits: Limits) throws {
        let map: [(group: String, files: [String])]
        do {
            map = try Self.map(try ByteRegion(path: path).bytes())
        } catch let error as FormatError {
            throw error.inFile(path)
        }
        let directory = splitPath(path).directory
        var names: [String] = []
        for file in map.flatMap(\.files) where !names.contains(file) { names.append(file) }
        var checkpoint = Checkpoint(format: HDF5Format.name, formatDetail: "HDF5 in \(names.count) shards with an index")
        var parts: [ModelFile.Part] = []
        var attributes: [String: [Attribute]] = [:]
        /// Groups of variables that each file holds.
        var held: [String: Set<String>] = [:]
        var seen = Set<String>()
        for name in names {
            let file = places[name] ?? "\(directory)/\(name)"
            guard (try? ByteRegion(path: file)) != nil else {
                throw Self.error("missing-shard", expected: "the shard \(name) beside the index", found: "no file that can be read").inFile(
                    path)
            }
            let part = try ModelFile.Part(path: file)
            guard part.format == HDF5Format.self else {
                throw Self.error("bad-shard", expected: "an HDF5 file", found: "one of the format \(part.format.name)").inFile(file)
            }
            let shard: Checkpoint
            do {
                shard = try HDF5Format.open(part.region, limits: limits)
            } catch let error as FormatError {
                throw error.inFile(file)
            }
            parts.append(part)
            for group in shard.groups { attributes[group.path, default: []] += attributes[group.path] == nil ? group.attributes : [] }
            for entry in shard.tensors {
                guard seen.insert(entry.name).inserted else {
                    throw Self.error("shard-index-mismatch", expected: "each tensor in one shard", found: "\(entry.name) again").inFile(
                        file)
                }
                held[name, default: []].insert(splitPath(entry.name).directory)
                checkpoint.tensors.append(entry)
            }
        }
        for (group, files) in map {
            for name in files where held[name]?.contains(group) != true {
                throw Self.error("shard-index-mismatch", expected: "weights of /\(group) in \(name)", found: "none").inFile(path)
            }
        }
        for name in names {
            for group in (held[name] ?? []).sorted() where !map.contains(where: { $0.group == group && $0.files.contains(name) }) {
                throw Self.error("shard-index-mismatch", expected: "/\(group) of \(name) in the index", found: "nothing").inFile(path)
            }
        }
        checkpoint.groups = attributes.map { Checkpoint.Group(path: $0.key, attributes: $0.value) }
            .sorted { $0.path.split(separator: "/").lexicographicallyPrecedes($1.path.split(separator: "/")) }
        if checkpoint.groups.first?.path != "" { checkpoint.groups.insert(Checkpoint.Group(path: ""), at: 0) }
        self.checkpoint = checkpoint
        self.parts = parts
    }

    private static func error(_ code: FormatError.Code, expected: String, found: String? = nil) -> FormatError {
        FormatError("keras", code, expected: expected, found: found)
    }

    /// Groups by path without the leading slash, with their files in order.
    static func map(_ bytes: [UInt8]) throws(FormatError) -> [(group: String, files: [String])] {
        let document: JSONValue
        do {
            document = try JSONValue.parse(bytes)
        } catch {
            throw Self.error("bad-shard-index", expected: "JSON", found: "\(error.code) at byte \(error.offset ?? 0)")
        }
        let isOfNothing = document["metadata"]?["total_size"]?.double == 0
        guard let members = document["weight_map"]?.object?.members, !members.isEmpty || isOfNothing else {
            throw Self.error("bad-shard-index", expected: "a weight_map with groups")
        }
        var map: [(group: String, files: [String])] = []
        for member in members {
            let files = member.value.string.map { [$0] } ?? member.value.array?.compactMap(\.string) ?? []
            guard !files.isEmpty, files.count == member.value.array?.count ?? 1 else {
                throw Self.error("bad-shard-index", expected: "one or several names for \(member.key)")
            }
            for name in files where name.isEmpty || name.contains("/") || name.utf8.contains(0) || name == "." || name == ".." {
                throw Self.error("shard-name", expected: "names of files in the same directory", found: "'\(name)'")
            }
            map.append((String(member.key.drop { $0 == "/" }), files))
        }
        return map
    }
}
