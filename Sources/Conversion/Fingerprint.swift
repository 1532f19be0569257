import Architectures
import ByteIO
import Digests
import FormatKit
import ModelIR

/// What identifies the weights whatever file they are in: a SHA-256 tree over canonical names, dtypes, shapes and bytes in canonical layout.
///
/// leaf = SHA-256(name, 0, dtype, 0, shape in decimal separated by commas, 0, SHA-256(bytes)); the fingerprint is the SHA-256 of all leaves
/// in the order of their names' UTF-8. The same weights as .h5, .keras and .ingot have the same fingerprint.
/// - Parameter digests: what is known of the tensors' bytes already; takes in what is found.
public func fingerprint(
    of tensors: [(name: String, tensor: Tensor)], digests: TensorDigests = TensorDigests(), threadCount: Int = processorCount()
) throws -> String {
    var leaves: [(key: [UInt8], digest: [UInt8])] = []
    for ((name, tensor), content) in zip(tensors, try digests.digests(of: tensors.map(\.tensor), threadCount: threadCount)) {
        var leaf = SHA256()
        let shape = tensor.shape.map(String.init).joined(separator: ",")
        leaf.update(Array(name.utf8) + [0] + Array(tensor.dtype.rawValue.utf8) + [0] + Array(shape.utf8) + [0])
        leaf.update(content)
        leaves.append((Array(name.utf8), leaf.finish()))
    }
    leaves.sort { $0.key.lexicographicallyPrecedes($1.key) }
    var root = SHA256()
    for leaf in leaves { root.update(leaf.digest) }
    return hexadecimal(root.finish())
}

/// Of a model's parameters; of all tensors under their own names where no architecture recognises the checkpoint.
func fingerprint(of model: (any Model)?, _ checkpoint: Checkpoint, threadCount: Int = processorCount()) throws -> String {
    let tensors = model.map { $0.parameters.map { ($0.name, $0.tensor) } } ?? checkpoint.tensors.map { ($0.name, $0.tensor) }
    return try fingerprint(of: tensors, digests: checkpoint.digests, threadCount: threadCount)
}

extension ModelFile {
    /// Of the model's parameters; of all tensors under their own names where no architecture recognises the file.
    public func fingerprint(threadCount: Int = processorCount()) throws -> String {
        try Conversion.fingerprint(of: model, checkpoint, threadCount: threadCount)
    }
}
