import ByteIO
import Containers
import FormatKit
import HDF5File

extension KerasFormat {
    /// Writes metadata.json, config.json, model.weights.h5 and the other documents, in this order, stored.
    /// - Throws: `UnsupportedError` without the two documents, and for what neither HDF5 nor a zip archive can hold.
    public static func write(_ checkpoint: Checkpoint, to output: OutputFile, options: WriteOptions) throws {
        // Both come from Keras; what we made up would claim a version that never saw the model.
        let required = [Member.metadata, Member.config]
        let missing = required.filter { checkpoint.document($0) == nil }
        guard missing.isEmpty else { throw UnsupportedError("a .keras archive can't be written without its documents", items: missing) }
        let reserved = checkpoint.documents.map(\.name).filter { $0 == Member.weights || Member.otherWeights.contains($0) }
        guard reserved.isEmpty else { throw UnsupportedError("documents named as a .keras archive names its weights", items: reserved) }
        guard Set(checkpoint.documents.map(\.name)).count == checkpoint.documents.count else {
            throw UnsupportedError("a .keras archive with two documents of one name")
        }

        let writer = ZipWriter(output)
        for name in required {
            if let document = checkpoint.document(name) { try writer.addMember(name, bytes: document.bytes) }
        }
        try addWeights(checkpoint, to: writer, beside: output.targetPath, options: options)
        for document in checkpoint.documents where !required.contains(document.name) {
            try writer.addMember(document.name, bytes: document.bytes)
        }
        try writer.finish()
    }

    /// libhdf5 wants a file of its own; it lies beside the target, never gets its name and is gone when this returns.
    private static func addWeights(
        _ checkpoint: Checkpoint, to writer: ZipWriter, beside target: String, options: WriteOptions
    ) throws {
        let scratch = try OutputFile(target: "\(target).weights", replacesExisting: true)
        try HDF5Checkpoint.write(checkpoint, to: scratch, options: options)
        // Aligned, so that the weights can be mapped where they are.
        try writer.addMember(Member.weights, contentsOf: try ByteRegion(path: scratch.temporaryPath), alignment: 64)
        withExtendedLifetime(scratch) {}
    }
}
