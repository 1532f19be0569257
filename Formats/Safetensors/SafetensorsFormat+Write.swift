import ByteIO
import FormatKit
import JSON
import ModelIR

extension SafetensorsFormat {
    /// Text on the root is all that a file holds beside tensors and ties.
    public static func fitted(_ checkpoint: Checkpoint) -> (checkpoint: Checkpoint, notes: [String]) {
        var result = checkpoint
        var notes: [String] = []
        func leftOut(_ what: String, _ names: [String]) {
            guard !names.isEmpty else { return }
            let shown = names.prefix(3).joined(separator: ", ") + (names.count > 3 ? ", ..." : "")
            notes.append("safetensors can't hold \(what), left out: \(names.count) (\(shown))")
        }
        result.groups = [Checkpoint.Group(path: "", attributes: checkpoint.attributes.filter { $0.value.metadataText != nil })]
        leftOut("attributes that aren't one text", checkpoint.attributes.filter { $0.value.metadataText == nil }.map(\.name))
        let groups = checkpoint.groups.dropFirst().filter { !$0.attributes.isEmpty }
        leftOut("attributes of groups", groups.flatMap { group in group.attributes.map { "\(group.path)/\($0.name)" } })
        let attributed = checkpoint.tensors.filter { !$0.attributes.isEmpty }
        leftOut("attributes of tensors", attributed.flatMap { entry in entry.attributes.map { "\(entry.name)/\($0.name)" } })
        for i in result.tensors.indices { result.tensors[i].attributes = [] }
        if let document = checkpoint.document(Key.configuration), let text = String(validating: document.bytes, as: UTF8.self) {
            result.attributes.removeAll { $0.name == Key.configuration }
            result.attributes.append(Attribute(Key.configuration, .text(text)))
            result.documents.removeAll { $0.name == Key.configuration }
        }
        leftOut("documents", result.documents.map(\.name))
        result.documents = []
        result.record = nil
        return (result, notes)
    }

    /// Writes header and tensors in one pass.
    /// - Throws: `UnsupportedError` for objects that aren't tensors, for everything that `fitted(_:)` would leave out, and for names that
    ///   would be read as something else; `FileError`; what reading the tensors throws.
    public static func write(_ checkpoint: Checkpoint, to output: OutputFile, options: WriteOptions) throws {
        let plan = try SafetensorsWritePlan(checkpoint)
        let header = plan.header
        guard UInt64(header.count) <= maximumHeaderByteCount else {
            throw UnsupportedError("safetensors takes a header of at most \(maximumHeaderByteCount) bytes; this one has \(header.count)")
        }
        var writer = ByteWriter()
        writer.append(UInt64(header.count))
        writer.append(header)
        try output.append(writer.bytes)
        var offset = UInt64(writer.bytes.count)
        var places: [TensorPlace] = []
        for entry in plan.entries {
            places.append(TensorPlace(entry.tensor, at: offset))
            offset += UInt64(entry.tensor.byteCount)
        }
        try output.write(places, threadCount: options.threadCount)
    }
}

/// What goes into a file, in its order.
private struct SafetensorsWritePlan {
    /// Each tensor once, under the first of its names.
    private(set) var entries: [Checkpoint.Entry] = []
    private var metadata = JSONObject()

    init(_ checkpoint: Checkpoint) throws {
        guard checkpoint.opaque.isEmpty else {
            throw UnsupportedError(
                "safetensors can't hold objects that aren't tensors", items: checkpoint.opaque.map { "\($0.name): \($0.description)" })
        }
        let (_, leftOut) = SafetensorsFormat.fitted(checkpoint)
        guard leftOut.isEmpty, checkpoint.documents.isEmpty else {
            throw UnsupportedError("safetensors holds tensors and text on the file only", items: leftOut)
        }
        var tensors: [String: Tensor] = [:]
        var obstacles: [String] = []
        for entry in checkpoint.tensors {
            if entry.name.isEmpty || entry.name == SafetensorsFormat.Key.metadata { obstacles.append("the name `\(entry.name)`") }
            if tensors.updateValue(entry.tensor, forKey: entry.name) != nil { obstacles.append("two tensors \(entry.name)") }
        }
        var leftOutNames: Set<String> = []
        var ties: [JSONValue] = []
        for tie in checkpoint.ties {
            var names: [String] = []
            for name in tie.names where tensors[name] != nil && !leftOutNames.contains(name) && !names.contains(name) { names.append(name) }
            guard let kept = names.first, names.count > 1 else { continue }
            for name in names.dropFirst() {
                if tensors[name]?.dtype != tensors[kept]?.dtype || tensors[name]?.shape != tensors[kept]?.shape {
                    obstacles.append("the tie of \(kept) and \(name), which differ in dtype or shape")
                }
                leftOutNames.insert(name)
            }
            ties.append(.array(names.map { .string($0) }))
        }
        if checkpoint.attributes[SafetensorsFormat.Key.format] == nil {
            metadata[SafetensorsFormat.Key.format] = .string(SafetensorsFormat.Key.usualFormat)
        }
        for attribute in checkpoint.attributes {
            if attribute.name == SafetensorsFormat.Key.ties || tensors[attribute.name] != nil {
                obstacles.append("the attribute \(attribute.name)")
            }
            if metadata[attribute.name] != nil { obstacles.append("two attributes \(attribute.name)") }
            metadata[attribute.name] = attribute.value.metadataText.map { .string($0) }
        }
        if !ties.isEmpty { metadata[SafetensorsFormat.Key.ties] = .string(JSONValue.array(ties).serialized()) }
        guard obstacles.isEmpty else { throw UnsupportedError("safetensors can't hold these", items: obstacles) }
        entries = checkpoint.tensors.filter { !leftOutNames.contains($0.name) }.sorted {
            let (a, b) = ($0.tensor.dtype.safetensorsRank, $1.tensor.dtype.safetensorsRank)
            return a != b ? a > b : $0.name.utf8.lexicographicallyPrecedes($1.name.utf8)
        }
    }

    /// JSON, padded so that the tensors after it begin at a multiple of 8.
    var header: [UInt8] {
        var object = JSONObject()
        object[SafetensorsFormat.Key.metadata] = .object(metadata)
        var offset = 0
        for entry in entries {
            let end = offset + entry.tensor.byteCount
            object[entry.name] = [
                "dtype": .string(entry.tensor.dtype.safetensorsName), "shape": .array(entry.tensor.shape.map { .int($0) }),
                "data_offsets": [.int(offset), .int(end)],
            ]
            offset = end
        }
        var bytes = Array(JSONValue.object(object).serialized().utf8)
        let length = SafetensorsFormat.lengthByteCount
        bytes.append(contentsOf: repeatElement(UInt8(ascii: " "), count: (length - bytes.count % length) % length))
        return bytes
    }
}

extension AttributeValue {
    /// The text of a scalar: what metadata can hold.
    fileprivate var metadataText: String? {
        guard case .strings(let strings) = self, strings.shape.isEmpty else { return nil }
        return text
    }
}
