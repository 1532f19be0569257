import ByteIO
import Containers
import Executor
import ModelIR

/// Named arrays as people exchange them: NumPy's .npz and .npy.
public enum Arrays {
    /// Reads an .npz, or an .npy as one array without a name.
    public static func read(_ path: String) throws -> [(name: String, tensor: Tensor)] {
        do {
            return try NPZArchive.read(path: path)
        } catch let error as FormatError {
            throw error.inFile(path)
        }
    }

    /// Writes an .npz, whole or not at all.
    public static func write(_ arrays: [(name: String, tensor: Tensor)], to path: String, replacesExisting: Bool) throws {
        let output = try OutputFile(target: path, replacesExisting: replacesExisting)
        try NPZArchive.write(arrays, to: output)
        try output.commit()
    }
}

extension Graph {
    /// Arrays matched to the graph's inputs by name; a single input accepts any name.
    /// - Throws: `InputError` that lists what is missing and what isn't known.
    public func matched(_ arrays: [(name: String, tensor: Tensor)]) throws -> [String: Tensor] {
        if inputs.count == 1, arrays.count == 1 { return [inputs[0].name: arrays[0].tensor] }
        let given = Dictionary(arrays.map { ($0.name, $0.tensor) }, uniquingKeysWith: { first, _ in first })
        let missing = inputs.map(\.name).filter { given[$0] == nil }
        let unknown = arrays.map(\.name).filter { name in !inputs.contains { $0.name == name } }
        guard missing.isEmpty, unknown.isEmpty else {
            var parts: [String] = []
            if !missing.isEmpty { parts.append("missing: \(missing.joined(separator: ", "))") }
            if !unknown.isEmpty { parts.append("not an input: \(unknown.joined(separator: ", "))") }
            throw InputError("inputs don't fit the model (\(inputs.map(\.name).joined(separator: ", "))); \(parts.joined(separator: "; "))")
        }
        return given
    }
}
