import ByteIO
import CHDF5
import FormatKit
import ModelIR

extension HDF5Checkpoint {
    /// Writes groups, attributes and tensors; documents and the record are no part of an HDF5 file.
    ///
    /// libhdf5 lays the file out (oldest structures, no times, contiguous data); the tensors' bytes then stream to their places in pieces of
    /// 1 MiB. Equal checkpoints give equal bytes. Names of a tie become hard links to one dataset. bf16 and 8-bit floats are opaque bytes
    /// with an attribute `dtype`, as Keras 3 writes them.
    /// - Throws: `UnsupportedError` with the full list of what HDF5 can't hold; `FileError` of kind `output`; errors of reading the tensors.
    public static func write(_ checkpoint: Checkpoint, to output: OutputFile) throws {
        let plan = try HDF5WritePlan(checkpoint)
        for (tensor, offset) in zip(plan.datasets, try layOut(plan, in: output)) {
            guard let offset else { continue }
            var position = offset
            try tensor.tensor.forEachPiece { piece in
                try output.write(piece, at: position)
                position += UInt64(piece.count)
            }
        }
    }

    /// Makes the file without the elements.
    /// - Returns: the position of each dataset's elements; nil for those without any.
    private static func layOut(_ plan: HDF5WritePlan, in output: OutputFile) throws -> [UInt64?] {
        do {
            return try HDF5Library.with {
                let file = try HDF5Handle(ch_create_file(output.temporaryPath), "create the file")
                for group in plan.groups {
                    // The root is there from the start.
                    let path = "/" + group.path
                    let handle = try HDF5Handle(
                        group.path.isEmpty ? H5Oopen(file.id, "/", 0) : ch_create_group(file.id, path), "create the group \(path)")
                    for attribute in group.attributes { try HDF5AttributeWriter.write(attribute, on: handle.id, path: path) }
                }
                let offsets = try plan.datasets.map { try createDataset($0, in: file) }
                for link in plan.links {
                    try check(H5Lcreate_hard(file.id, "/" + link.target, file.id, "/" + link.name, 0, 0), "link /\(link.name)")
                }
                try file.closeFile()
                return offsets
            }
        } catch let error as FormatError {
            throw FileError(.output, path: output.targetPath, message: "can't write: \(error.found ?? error.description)")
        }
    }

    private static func createDataset(_ entry: Checkpoint.Entry, in file: borrowing HDF5Handle) throws -> UInt64? {
        let path = "/" + entry.name
        let type = try HDF5Handle(HDF5AttributeWriter.datasetType(entry.tensor.dtype), "make a type for \(path)")
        let space = try HDF5AttributeWriter.space(entry.tensor.shape)
        let dataset = try HDF5Handle(ch_create_dataset(file.id, path, type.id, space.id), "create \(path)")
        for attribute in entry.attributes { try HDF5AttributeWriter.write(attribute, on: dataset.id, path: path) }
        guard entry.tensor.byteCount > 0 else { return nil }
        let offset = UInt64(H5Dget_offset(dataset.id))
        guard offset != .max else { throw HDF5Error.corrupt("allocate \(path)") }
        return offset
    }
}
