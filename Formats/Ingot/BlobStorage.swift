import ByteIO
import ModelIR

/// A tensor's bytes in an .ingot file. Every read verifies the checksums of the chunks that it touches.
struct BlobStorage: TensorStorage {
    let file: IngotFile
    let blob: Int
    let byteCount: Int

    /// Reads of at least so many bytes decode their chunks on all of the file's threads.
    private static let parallelThreshold = 4 * IngotLayout.chunkSize

    init(file: IngotFile, blob: Int) {
        self.file = file
        self.blob = blob
        byteCount = Int(file.index.blobs[blob].byteCount)
    }

    /// The file's own bytes where the blob is unsplit; whoever maps them does without the checksums.
    var region: ByteRegion? {
        guard file.index.blobs[blob].layout == .unsplit else { return nil }
        return file.input.subregion(offset: file.chunkOffsets[blob][0], count: UInt64(byteCount))
    }

    var identity: StorageIdentity? { StorageIdentity(owner: file, offset: blob, byteCount: byteCount) }

    /// - Throws: `FormatError` by rules I14 to I16; `FileError` if the file can't be read.
    func read(into buffer: UnsafeMutableRawBufferPointer, at offset: Int) throws {
        precondition(offset >= 0 && buffer.count <= byteCount - offset, "read past the end of a tensor")
        if offset == 0 { try file.checkPadding(before: blob) }
        guard !buffer.isEmpty else { return }
        let size = IngotLayout.chunkSize
        let chunks = offset / size...(offset + buffer.count - 1) / size
        let target = SendableBuffer(bytes: buffer)
        @Sendable func readPart(_ chunk: Int) throws {
            let start = max(chunk * size, offset)
            let end = min(chunk * size + file.index.blobs[blob].chunkLength(chunk), offset + target.bytes.count)
            let part = UnsafeMutableRawBufferPointer(rebasing: target.bytes[start - offset..<end - offset])
            if part.count == file.index.blobs[blob].chunkLength(chunk) {
                try file.decoders.with { try file.read(chunk: chunk, of: blob, into: part, with: $0) }
            } else {
                let begin = start - chunk * size
                try file.withChunk(chunk, of: blob) {
                    part.copyMemory(from: UnsafeRawBufferPointer(rebasing: $0[begin..<begin + part.count]))
                }
            }
        }
        try inOrder(
            count: chunks.count, threadCount: buffer.count < Self.parallelThreshold ? 1 : file.threadCount, makeSlot: {},
            work: { i, _ in try readPart(chunks.lowerBound + i) }, consume: { _, _ in })
    }
}

/// Memory whose parts are written by one thread each.
private struct SendableBuffer: @unchecked Sendable { let bytes: UnsafeMutableRawBufferPointer }
