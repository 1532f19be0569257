import ByteIO
import FormatKit
import Glibc
import ModelIR

extension ShardIndex {
    /// Opens all shards and puts them together, tensors where they lie.
    /// - Throws: `FileError`, `FormatError` and `UnsupportedError`, with the path of the shard or the index that is at fault.
    func open(limits: Limits, notes: inout [String]) throws -> ([ModelFile.Part], Checkpoint) {
        let directory = splitPath(path).directory
        let missing = shards.map(\.name).filter { access("\(directory)/\($0)", F_OK) != 0 }
        guard missing.isEmpty else {
            throw shardError("missing-shard", in: path, expected: "\(missing.joined(separator: ", ")) beside the index", found: "none")
        }
        var parts: [ModelFile.Part] = []
        var merged = ShardMerge(indexPath: path)
        for shard in shards {
            let part = try ModelFile.Part(path: "\(directory)/\(shard.name)")
            if let first = parts.first, first.format != part.format {
                throw shardError(
                    "mixed-formats", in: part.path, expected: "\(first.format.name), as the other shards", found: part.format.name)
            }
            let checkpoint: Checkpoint
            do {
                checkpoint = try part.format.open(part.region, limits: limits)
            } catch let error as FormatError {
                throw error.inFile(part.path)
            } catch let error as UnsupportedError {
                throw UnsupportedError("\(part.path): \(error.message)", items: error.items)
            }
            try merged.add(checkpoint, from: part.path, listed: shard.tensors)
            guard merged.checkpoint.tensors.count <= limits.objectCount else {
                throw shardError("too-large", in: path, expected: "at most \(limits.objectCount) tensors")
            }
            parts.append(part)
        }
        let byteCount = merged.byteCount
        if let totalByteCount, totalByteCount != Double(byteCount) {
            notes.append(
                "the index states \(Int(exactly: totalByteCount).map { "\($0)" } ?? "\(totalByteCount)") bytes of tensors; there are \(byteCount)"
            )
        }
        return (parts, merged.finished(shardCount: parts.count))
    }
}

/// Checkpoints of shards on their way to one.
private struct ShardMerge {
    let indexPath: String
    private(set) var checkpoint = Checkpoint(format: "")
    /// Of all tensors, tied ones once.
    private(set) var byteCount = 0

    /// The shard that each tensor is in.
    private var homes: [String: String] = [:]
    private var layerNames: [String] = []
    private var groupNumbers: [String: Int] = ["": 0]

    private static let layerNamesKey = "layer_names"

    init(indexPath: String) { self.indexPath = indexPath }

    mutating func add(_ shard: Checkpoint, from path: String, listed: [String]) throws {
        if checkpoint.format.isEmpty {
            checkpoint.format = shard.format
            checkpoint.formatDetail = shard.formatDetail
        }
        let ownNames = shard.attributes.strings(Self.layerNamesKey)
        let names = Set(shard.tensors.map(\.name))
        let stored = listed.map { names.contains($0) || ownNames == nil ? $0 : Self.withoutScope($0) }
        let wanted = Set(stored)
        let absent = zip(listed, stored).filter { !names.contains($0.1) }.map(\.0)
        guard absent.isEmpty else {
            throw shardError("missing-tensor", in: path, expected: "the tensors that the index names in it", found: "no \(shown(absent))")
        }
        let unlisted = shard.tensors.map(\.name).filter { !wanted.contains($0) && !isTied($0, to: wanted, in: shard) }
        guard unlisted.isEmpty else {
            if let twice = unlisted.first(where: { homes[$0] != nil }), let home = homes[twice] {
                throw shardError(
                    "duplicate-tensor", in: path, expected: "`\(twice)` in one shard", found: "it in \(splitPath(home).name) too")
            }
            throw shardError("unlisted-tensor", in: path, expected: "only tensors that the index names in it", found: shown(unlisted))
        }
        for entry in shard.tensors {
            guard homes.updateValue(path, forKey: entry.name) == nil else {
                throw shardError("duplicate-tensor", in: path, expected: "`\(entry.name)` in one shard", found: "several")
            }
            var entry = entry
            if entry.tensor.storage.region == nil { entry.tensor.storage = ShardStorage(base: entry.tensor.storage, path: path) }
            checkpoint.tensors.append(entry)
            byteCount += entry.tensor.byteCount
        }
        for tie in shard.ties {
            let sizes = tie.names.compactMap { name in shard.tensors.first { $0.name == name }?.tensor.byteCount }
            byteCount -= sizes.dropFirst().reduce(0, +)
        }
        checkpoint.ties += shard.ties
        checkpoint.opaque += shard.opaque
        layerNames += ownNames ?? []
        for group in shard.groups { merge(group) }
    }

    func finished(shardCount: Int) -> Checkpoint {
        var result = checkpoint
        result.formatDetail += ", the first of \(shardCount) shards"
        if !layerNames.isEmpty { result.attributes += splitAttribute(Self.layerNamesKey, layerNames) }
        return result
    }

    /// TensorFlow's shards leave the model's scope out of names; the index keeps it.
    private static func withoutScope(_ name: String) -> String {
        name.firstIndex(of: "/").map { String(name[name.index(after: $0)...]) } ?? name
    }

    /// A tensor that the shard itself says is another's: an index need not list it.
    private func isTied(_ name: String, to wanted: Set<String>, in shard: Checkpoint) -> Bool {
        shard.ties.contains { $0.names.contains(name) && $0.names.contains { wanted.contains($0) } }
    }

    /// Attributes of one name are kept once, the first shard's; the lists of layers are put together.
    private mutating func merge(_ group: Checkpoint.Group) {
        let attributes = group.attributes.filter { !(group.path.isEmpty && isLayerNames($0.name)) }
        guard let number = groupNumbers[group.path] else {
            groupNumbers[group.path] = checkpoint.groups.count
            checkpoint.groups.append(.init(path: group.path, attributes: attributes))
            return
        }
        let known = Set(checkpoint.groups[number].attributes.map(\.name))
        checkpoint.groups[number].attributes += attributes.filter { !known.contains($0.name) }
    }

    /// `layer_names`, or a part of it where it was too long for one attribute.
    private func isLayerNames(_ name: String) -> Bool {
        name.hasPrefix(Self.layerNamesKey) && name.dropFirst(Self.layerNamesKey.count).allSatisfy { $0.isASCII && $0.isNumber }
    }

    private func shown(_ names: [String]) -> String {
        names.prefix(3).map { "`\($0)`" }.joined(separator: ", ") + (names.count > 3 ? " and \(names.count - 3) more" : "")
    }
}

/// Elements that are decoded when they are read: damage found then is the shard's.
private struct ShardStorage: TensorStorage {
    let base: any TensorStorage
    let path: String

    var byteCount: Int { base.byteCount }
    var region: ByteRegion? { nil }

    func read(into buffer: UnsafeMutableRawBufferPointer, at offset: Int) throws {
        do {
            try base.read(into: buffer, at: offset)
        } catch let error as FormatError {
            throw error.inFile(path)
        }
    }
}
