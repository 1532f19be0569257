import ByteIO
import CHDF5
import FormatKit
import Glibc
import ModelIR

extension HDF5Checkpoint {
    /// Writes groups, attributes and tensors; documents and the record are no part of an HDF5 file.
    ///
    /// libhdf5 lays the file out in memory (oldest structures, no times), so that it never sees a disk that is full. Without compression the
    /// tensors' bytes then stream to their places; with it, larger tensors are cut into chunks, shuffled and deflated, which
    /// go to the file as soon as they have a place. Equal checkpoints give equal bytes at any number of threads. Names of a tie become hard links
    /// to one dataset. bf16 and 8-bit floats are opaque bytes with an attribute `dtype`, as Keras 3 writes them.
    /// - Throws: `UnsupportedError` with the full list of what HDF5 can't hold; `FileError` of kind `output`; errors of reading the tensors.
    public static func write(_ checkpoint: Checkpoint, to output: OutputFile, options: WriteOptions = WriteOptions()) throws {
        let plan = try HDF5WritePlan(checkpoint)
        let layout: HDF5Layout
        do {
            layout = try layOut(plan, in: output, ChunkCompression(options))
        } catch let error as Chunking.SourceError {
            throw error.underlying
        } catch let error as FormatError {
            throw UnsupportedError("libhdf5 can't lay out this file", items: [error.found ?? error.description])
        }
        try layout.write(to: output)
        let places = zip(plan.datasets, layout.offsets).compactMap { entry, offset in offset.map { TensorPlace(entry.tensor, at: $0) } }
        try output.write(places, threadCount: options.threadCount)
    }

    /// Makes the file without the elements, or with those only that are compressed.
    private static func layOut(_ plan: HDF5WritePlan, in output: OutputFile, _ compression: ChunkCompression?) throws -> HDF5Layout {
        try HDF5Library.with {
            var memory = ch_memory()
            memory.descriptor = output.fileDescriptor
            defer { ch_memory_free(&memory) }
            let offsets = try withUnsafeMutablePointer(to: &memory) { memory in
                let file = try HDF5Handle(
                    ch_create_file(try HDF5Library.memoryDriver(), memory, plan.hasLargeAttributes ? 1 : 0), "create a file")
                let offsets = try fill(file, with: plan, compression)
                try file.closeFile()
                return offsets
            }
            if memory.error != 0 {
                errno = memory.error
                throw FileError.last(.output, path: output.targetPath, doing: "can't write")
            }
            var pages: [HDF5Layout.Page] = []
            for slot in 0..<memory.capacity {
                guard let bytes = memory.slots[slot].bytes else { continue }
                pages.append(
                    .init(
                        offset: memory.slots[slot].number * UInt64(CH_PAGE_SIZE),
                        bytes: Array(UnsafeBufferPointer(start: bytes, count: Int(CH_PAGE_SIZE)))))
            }
            return HDF5Layout(pages: pages.sorted { $0.offset < $1.offset }, byteCount: memory.byte_count, offsets: offsets)
        }
    }

    /// - Returns: the position of each dataset's elements; nil for those without any, and those that are written already.
    private static func fill(
        _ file: borrowing HDF5Handle, with plan: HDF5WritePlan, _ compression: ChunkCompression?
    ) throws -> [UInt64?] {
        let large: Int32 = plan.hasLargeAttributes ? 1 : 0
        for group in plan.groups {
            // The root is there from the start.
            let path = "/" + group.path
            let handle = try HDF5Handle(
                group.path.isEmpty ? H5Oopen(file.id, "/", 0) : ch_create_group(file.id, path, large), "create the group \(path)")
            for attribute in group.attributes { try HDF5AttributeWriter.write(attribute, on: handle.id, path: path) }
        }
        var offsets: [UInt64?] = []
        for entry in plan.datasets { offsets.append(try createDataset(entry, in: file, compression, large)) }
        for link in plan.links {
            try check(H5Lcreate_hard(file.id, "/" + link.target, file.id, "/" + link.name, 0, 0), "link /\(link.name)")
        }
        return offsets
    }

    private static func createDataset(
        _ entry: Checkpoint.Entry, in file: borrowing HDF5Handle, _ compression: ChunkCompression?, _ large: Int32
    ) throws -> UInt64? {
        let path = "/" + entry.name
        let type = try HDF5Handle(HDF5AttributeWriter.datasetType(entry.tensor.dtype), "make a type for \(path)")
        let space = try HDF5AttributeWriter.space(entry.tensor.shape)
        let chunking = compression.flatMap { Chunking(entry.tensor, compression: $0) }
        let id =
            if let chunking {
                ch_create_chunked_dataset(
                    file.id, path, type.id, space.id, Int32(chunking.shape.count), chunking.shape.map { hsize_t($0) },
                    UInt32(chunking.compression.level), large)
            } else { ch_create_dataset(file.id, path, type.id, space.id, large) }
        let dataset = try HDF5Handle(id, "create \(path)")
        for attribute in entry.attributes { try HDF5AttributeWriter.write(attribute, on: dataset.id, path: path) }
        if let chunking {
            try chunking.write(entry.tensor, to: dataset.id, path: path)
            return nil
        }
        guard entry.tensor.byteCount > 0 else { return nil }
        let offset = UInt64(H5Dget_offset(dataset.id))
        guard offset != .max else { throw HDF5Error.corrupt("allocate \(path)") }
        return offset
    }
}

/// A file without its tensors' bytes.
private struct HDF5Layout {
    struct Page {
        var offset: UInt64
        var bytes: [UInt8]
    }

    /// Ascending; what no page covers is zeros, or elements still to come.
    var pages: [Page]
    var byteCount: UInt64
    /// Where the elements of each dataset go.
    var offsets: [UInt64?]

    func write(to output: OutputFile) throws {
        guard ftruncate(output.fileDescriptor, off_t(byteCount)) == 0 else {
            throw FileError.last(.output, path: output.targetPath, doing: "can't write")
        }
        for page in pages where page.offset < byteCount {
            try page.bytes.withUnsafeBytes { bytes in
                let count = min(bytes.count, Int(byteCount - page.offset))
                try output.write(UnsafeRawBufferPointer(rebasing: bytes[..<count]), at: page.offset)
            }
        }
    }
}
