import Architectures
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

/// Arrays matched to a model's inputs by name, and what was left out filled in as the framework does.
///
/// An array under a name of its own is taken where the model has one input that it needs.
/// - Returns: a tensor for each of the graph's inputs, and lines for people on what was filled in.
/// - Throws: `InputError` that lists what is missing and what isn't known.
public func matchedInputs(
    _ arrays: [(name: String, tensor: Tensor)], to model: any Model, graph: Graph
) throws -> (inputs: [String: Tensor], notes: [String]) {
    let names = graph.inputs.map(\.name)
    let optional = Set(model.inputDescriptions.filter(\.isOptional).map(\.name))
    let required = names.filter { !optional.contains($0) }
    var given = Dictionary(arrays.map { ($0.name, $0.tensor) }, uniquingKeysWith: { first, _ in first })
    if arrays.count == 1, required.count == 1, !names.contains(arrays[0].name) { given = [required[0]: arrays[0].tensor] }
    let missing = required.filter { given[$0] == nil }
    let unknown = given.keys.filter { !names.contains($0) }.sorted()
    guard missing.isEmpty, unknown.isEmpty else {
        var parts: [String] = []
        if !missing.isEmpty { parts.append("missing: \(missing.joined(separator: ", "))") }
        if !unknown.isEmpty { parts.append("not an input: \(unknown.joined(separator: ", "))") }
        throw InputError("inputs don't fit the model (\(names.joined(separator: ", "))); \(parts.joined(separator: "; "))")
    }
    return try model.completed(given)
}
