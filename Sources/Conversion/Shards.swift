import ByteIO
import FormatKit
import JSON
import ModelIR

/// The weights' files of a directory: one, or several with an index, cut as transformers cuts them: in order, a file full before the next.
struct Shards {
    /// Names of weights' files of one kind: `model.safetensors`, `model-00001-of-00003.safetensors`, `model.safetensors.index.json`.
    struct Names {
        let single: String
        private let stem: String
        private let suffix: String

        init(_ kind: OutputKind) {
            single = kind.weightsName ?? ""
            let dot = single.lastIndex(of: ".") ?? single.endIndex
            stem = String(single[..<dot])
            suffix = String(single[dot...])
        }

        var index: String { "\(single).index.json" }
        func shard(_ number: Int, of count: Int) -> String { "\(stem)-\(padded(number))-of-\(padded(count))\(suffix)" }
        func matches(_ name: String) -> Bool {
            name == single || name == index || (name.hasPrefix("\(stem)-") && name.contains("-of-") && name.hasSuffix(suffix))
        }

        private func padded(_ number: Int) -> String {
            let digits = String(number)
            return String(repeating: "0", count: max(0, 5 - digits.count)) + digits
        }
    }

    private(set) var files: [(name: String, checkpoint: Checkpoint)] = []
    private(set) var index: Checkpoint.Document?

    init(_ checkpoint: Checkpoint, kind: OutputKind, maxByteCount: UInt64) throws {
        let names = Names(kind)
        var whole = checkpoint
        whole.documents = []
        // One name of a tie is stored; readers restore the others.
        let tied = Set(checkpoint.ties.flatMap { $0.names.dropFirst() })
        let stored = checkpoint.tensors.filter { !tied.contains($0.name) }
        let total = stored.reduce(0) { $0 + $1.tensor.byteCount }
        guard total > maxByteCount else {
            files = [(names.single, whole)]
            return
        }
        var groups: [[Checkpoint.Entry]] = [[]]
        var size: UInt64 = 0
        for entry in stored {
            let count = UInt64(entry.tensor.byteCount)
            if size > 0 && size + count > maxByteCount {
                groups.append([])
                size = 0
            }
            groups[groups.count - 1].append(entry)
            size += count
        }
        var map: [(name: String, file: String)] = []
        for (number, entries) in groups.enumerated() {
            let file = names.shard(number + 1, of: groups.count)
            var shard = kind == .tensorFlow ? Self.flat(entries) : whole
            if kind != .tensorFlow {
                let present = Set(entries.map(\.name))
                shard.ties = checkpoint.ties.filter { $0.names.first.map { present.contains($0) } ?? false }
                // A tie is written where its tensor is; the index lists the tensor alone.
                let others = Set(shard.ties.flatMap(\.names)).subtracting(present)
                shard.tensors = entries + checkpoint.tensors.filter { others.contains($0.name) }
            }
            files.append((file, shard))
            // TensorFlow's index has names with the model's scope, the shards without.
            map += entries.map { (kind == .tensorFlow ? Self.withoutComponents(1, $0.name) : $0.name, file) }
        }
        map.sort { $0.name < $1.name }
        var weights = JSONObject()
        for (name, file) in map { weights[name] = .string(file) }
        let document: JSONValue = ["metadata": ["total_size": .int(total)], "weight_map": .object(weights)]
        index = Checkpoint.Document(name: names.index, bytes: Array((document.serialized(.pretty) + "\n").utf8))
    }

    private static func withoutComponents(_ count: Int, _ path: String) -> String {
        path.split(separator: "/").dropFirst(count).joined(separator: "/")
    }

    /// A shard of TensorFlow: datasets by their path below the model's scope, listed whole in `layer_names`.
    private static func flat(_ entries: [Checkpoint.Entry]) -> Checkpoint {
        var shard = Checkpoint(format: "lowered")
        for entry in entries {
            var renamed = entry
            renamed.name = withoutComponents(2, entry.name)
            shard.tensors.append(renamed)
        }
        shard.tensors.sort { $0.name < $1.name }
        let names = shard.tensors.map { Array($0.name.utf8) }
        let width = names.map(\.count).max() ?? 1
        shard.attributes = [
            Attribute(
                "layer_names",
                .strings(
                    .init(values: names, shape: [names.count], storage: .fixed(byteCount: width, padding: .nullPadded), charset: .ascii)))
        ]
        return shard
    }
}
