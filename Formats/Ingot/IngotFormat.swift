import ByteIO
import FormatKit
import ModelIR

/// The compressed binary format `.ingot`; SPEC.md is its definition.
public enum IngotFormat: ModelFormat {
    public static let name = "ingot"
    public static let summary = "Ingot's own: lossless compression, a checksum over every byte, the graph and a proof beside the weights"
    public static let fileExtensions = [".ingot"]
    public static let canWrite = true
    public static let verifiesOnReading = true

    public static func matches(_ input: ByteRegion) -> Bool {
        guard input.count >= IngotLayout.magic.count else { return false }
        return input.withBytes { $0.prefix(IngotLayout.magic.count).elementsEqual(IngotLayout.magic) }
    }

    /// Reads everything but the tensors' bytes; large tensors are later decoded on all processors.
    public static func open(_ input: ByteRegion, limits: Limits) throws -> Checkpoint {
        try open(input, limits: limits, threadCount: processorCount())
    }

    /// - Parameter threadCount: threads that one read of a large tensor may use.
    /// - Throws: `FormatError` without a path for a broken file; `FileError` if it can't be read.
    public static func open(_ input: ByteRegion, limits: Limits, threadCount: Int) throws -> Checkpoint {
        try checkpoint(of: IngotFile(input, limits: limits, threadCount: threadCount))
    }

    private static func checkpoint(of file: IngotFile) throws -> Checkpoint {
        let index = file.index
        var checkpoint = Checkpoint(
            format: name, formatDetail: "version \(IngotLayout.majorVersion).\(file.footer.minorVersion)", groups: index.groups)
        checkpoint.source = index.source
        checkpoint.tensors = index.tensors.map { row in
            Checkpoint.Entry(
                name: row.name, tensor: Tensor(dtype: row.dtype, shape: row.shape, storage: BlobStorage(file: file, blob: row.blob)),
                attributes: row.attributes)
        }
        checkpoint.ties = index.ties.map { tie in Checkpoint.Tie(names: tie.map { index.tensors[$0].name }) }
        checkpoint.documents = try index.documents.map { row in
            let storage = BlobStorage(file: file, blob: row.blob)
            let bytes = try [UInt8](unsafeUninitializedCapacity: storage.byteCount) { buffer, count in
                let target = UnsafeMutableRawBufferPointer(rebasing: UnsafeMutableRawBufferPointer(buffer)[0..<storage.byteCount])
                try storage.read(into: target, at: 0)
                count = storage.byteCount
            }
            return Checkpoint.Document(name: row.name, bytes: bytes)
        }
        checkpoint.record = index.record
        return checkpoint
    }

    /// Writes in one pass and in bounded memory. Level 0 stores, 1 to 19 are zstd's levels, the default is 1.
    /// - Throws: `UnsupportedError` for a checkpoint that the format can't hold (opaque objects, names that no reader would accept);
    ///   `InputError` for another level; `FileError`; what reading the tensors throws.
    public static func write(_ checkpoint: Checkpoint, to output: OutputFile, options: WriteOptions) throws {
        try write(checkpoint, to: output as any ByteSink, options: options)
    }

    /// The same into memory, or wherever bytes can be appended.
    public static func write(_ checkpoint: Checkpoint, to output: any ByteSink, options: WriteOptions) throws {
        try IngotWriter(checkpoint, to: output, options: options).write()
    }
}
