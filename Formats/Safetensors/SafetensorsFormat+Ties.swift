import ByteIO
import FormatKit
import JSON
import ModelIR

extension SafetensorsFormat {
    /// The ties that metadata tells of, the tensor's own name first.
    static func ties(in metadata: [(key: String, text: String)], tensors: [String: Tensor]) throws -> [Checkpoint.Tie] {
        var ties: [Checkpoint.Tie] = []
        if let text = metadata.first(where: { $0.key == Key.ties })?.text { ties = try parsedTies(text, tensors: tensors) }
        var restored = Set(ties.flatMap(\.names))
        // As safetensors.torch.save_model leaves a word on what it left out.
        for (name, kept) in metadata
        where name != Key.format && name != Key.ties && tensors[name] == nil && tensors[kept] != nil
            && lastComponent(name) == lastComponent(kept)
        {
            guard !name.isEmpty, restored.insert(name).inserted else { continue }
            if let known = ties.firstIndex(where: { $0.names[0] == kept }) {
                ties[known].names.append(name)
            } else {
                ties.append(Checkpoint.Tie(names: [kept, name]))
            }
        }
        return ties
    }

    private static func parsedTies(_ text: String, tensors: [String: Tensor]) throws -> [Checkpoint.Tie] {
        func failure(_ expected: String, _ found: String) -> FormatError {
            safetensorsError("bad-ties", "S14", expected: expected, found: found)
        }
        let document: JSONValue
        do {
            document = try JSONValue.parse(text, limits: JSONLimits(depth: 2, byteCount: Int(maximumHeaderByteCount)))
        } catch {
            throw failure("JSON in \(Key.ties)", "\(error.code)")
        }
        guard let rows = document.array else { throw failure("an array in \(Key.ties)", "something else") }
        var seen: Set<String> = []
        return try rows.map { row in
            let names = (row.array ?? []).compactMap(\.string)
            guard names.count >= 2, names.count == row.array?.count else { throw failure("two or more names in a tie", "something else") }
            for (i, name) in names.enumerated() {
                guard (tensors[name] != nil) == (i == 0) else {
                    throw failure(i == 0 ? "a tensor `\(name)`" : "no tensor `\(name)` beside its tie", i == 0 ? "none" : "one")
                }
                guard !name.isEmpty, name != Key.metadata, seen.insert(name).inserted else {
                    throw failure("every name once", "`\(name)`")
                }
            }
            return Checkpoint.Tie(names: names)
        }
    }

    private static func lastComponent(_ name: String) -> Substring {
        name.lastIndex(of: ".").map { name[name.index(after: $0)...] } ?? name[...]
    }
}
