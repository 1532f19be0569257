import JSON
import ModelIR

extension Inspection {
    /// The document of `ingot inspect --json`, of a stable shape: README describes it.
    public func json(withTensors: Bool, withGraph: Bool, filter: (String) -> Bool = { _ in true }) -> JSONValue {
        var object: JSONObject = [
            "path": .string(path), "format": .string(format), "format_detail": .string(formatDetail),
            "file_bytes": .int(fileByteCount), "architecture": architecture.map { .string($0) } ?? .null,
            "naming": naming.map { .string($0) } ?? .null, "writer": writer.map { .string($0) } ?? .null,
            "fingerprint": fingerprint.map { .string($0) } ?? .null, "parameters": .int(parameterCount),
            "parameter_bytes": .int(parameterByteCount),
            "dtypes": .object(
                dtypes.reduce(into: JSONObject()) { $0[$1.dtype.rawValue] = .int($1.count) }),
            "optimizer": ["tensors": .int(optimizerTensorCount), "bytes": .int(optimizerByteCount)],
            "inputs": .array(inputs.map { Self.port($0.name, $0.type) }), "outputs": .array(outputs.map { Self.port($0.name, $0.type) }),
            "layers": .array(
                layers.filter { filter($0.name) }.map { layer in
                    [
                        "name": .string(layer.name), "class": .string(layer.kind),
                        "output": layer.output.map { .string($0.description) } ?? .null, "parameters": .int(layer.elementCount),
                        "bytes": .int(layer.byteCount), "supported": .bool(layer.isSupported),
                    ]
                }),
            "attention": .array(attention.filter { filter($0.name) }.map { Self.attention($0) }),
            "runnable": .bool(graph != nil), "obstacles": Self.list(obstacles), "unused": Self.list(unused), "opaque": Self.list(opaque),
            "assumptions": Self.list(assumptions), "unknown_keys": Self.list(unknownKeys), "has_proof": .bool(hasProof),
            "provenance": .object(provenance.reduce(into: JSONObject()) { $0[$1.key] = .string($1.value) }),
        ]
        if withTensors {
            object["tensors"] = .array(
                tensors.filter { filter($0.name) }.map { tensor in
                    var row: JSONObject = [
                        "name": .string(tensor.name), "canonical": tensor.canonicalName.map { .string($0) } ?? .null,
                        "dtype": .string(tensor.dtype.rawValue), "shape": .array(tensor.shape.map { .int($0) }),
                        "bytes": .int(tensor.byteCount),
                    ]
                    if let statistics = tensor.statistics {
                        row["statistics"] = [
                            "minimum": .double(statistics.minimum), "maximum": .double(statistics.maximum),
                            "mean": .double(statistics.mean),
                            "standard_deviation": .double(statistics.standardDeviation), "non_finite": .int(statistics.nonFiniteCount),
                        ]
                    }
                    return .object(row)
                })
        }
        if withGraph { object["graph"] = graph.map { .string($0.text) } ?? .null }
        return .object(object)
    }

    private static func attention(_ layer: AttentionLayer) -> JSONValue {
        let outline = layer.outline
        return [
            "layer": .string(layer.name), "heads": .int(outline.heads), "pattern": .string(outline.words), "tokens": .int(outline.tokens),
            "attended_pairs": .int(outline.pairs), "all_pairs": .int(outline.allPairs),
            "assumption": outline.assumption.isEmpty ? .null : .string(outline.assumption),
            "pictures": .array(outline.pictures.map { ["heads": .int($0.heads), "rows": list($0.rows)] }),
        ]
    }

    private static func port(_ name: String, _ type: ValueType) -> JSONValue {
        ["name": .string(name), "dtype": .string(type.dtype.rawValue), "shape": .array(type.shape.dims.map { dimension($0) })]
    }

    /// A number, or an open dimension as text.
    private static func dimension(_ dim: Dim) -> JSONValue { dim.fixedValue.map { .int($0) } ?? .string(dim.description) }

    private static func list(_ texts: [String]) -> JSONValue { .array(texts.map { .string($0) }) }
}
