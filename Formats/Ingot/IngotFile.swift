import ByteIO
import Digests
import FormatKit
import ModelIR
import Synchronization

/// An open .ingot file: its index, and where each chunk lies.
final class IngotFile: Sendable {
    let input: ByteRegion
    let footer: Footer
    let index: Index
    /// Where each blob's chunks begin in the file, and after the last one where they end; without the padding before an unsplit blob.
    let chunkOffsets: [[UInt64]]
    /// Zero bytes before each blob.
    let paddingLengths: [Int]
    /// Whose bytes each blob is, for errors: the first tensor's, or the document's.
    let owners: [String]
    let threadCount: Int
    let decoders = WorkerPool { try ChunkDecoder() }
    private let lastChunk = Mutex<CachedChunk?>(nil)

    /// One decoded chunk, so that many small reads in a row decode it once.
    private struct CachedChunk {
        var blob: Int
        var chunk: Int
        var bytes: [UInt8]
    }

    /// Reads header, footer and index and checks every rule that needs no stored bytes.
    /// - Throws: `FormatError`; `FileError` if the file can't be read.
    init(_ input: ByteRegion, limits: Limits, threadCount: Int) throws {
        self.input = input
        self.threadCount = threadCount
        footer = try Footer(of: input, limits: limits)
        let stored = try input.bytes(Int(footer.indexOffset)..<Int(footer.indexOffset + footer.storedLength))
        let checksum = xxh3(stored)
        guard checksum == footer.indexChecksum else {
            throw ingotError(
                "checksum-mismatch", "I8", at: footer.indexOffset, expected: "XXH3 \(hexadecimal64(footer.indexChecksum)) of the index",
                found: hexadecimal64(checksum))
        }
        let isCompressed = footer.indexLength != footer.storedLength
        index = try IndexDecoder.decode(
            isCompressed ? Self.decompress(stored, footer) : stored, origin: footer.indexOffset, isCompressed: isCompressed,
            minorVersion: footer.minorVersion, limits: limits)
        (chunkOffsets, paddingLengths) = try Self.place(index.blobs, upTo: footer.indexOffset)

        var owners = [String](repeating: "no tensor", count: index.blobs.count)
        for tensor in index.tensors.reversed() { owners[tensor.blob] = "tensor \"\(tensor.name)\"" }
        for document in index.documents { owners[document.blob] = "document \"\(document.name)\"" }
        self.owners = owners

        // The index as decoded: a chunk of one repeated byte takes a row there, however small the index is when compressed.
        let length = UInt64(input.count) - footer.storedLength + footer.indexLength
        let declared = index.declaredByteCount
        guard !limits.isShapeBomb(declared: declared, stored: length) else {
            throw ingotError(
                "shape-bomb", "I27", expected: "at most \(limits.expansionFactor) times the \(length) bytes of the file",
                found: "\(declared) bytes of tensors")
        }
        guard index.documentsAreBelievable(fileLength: UInt64(input.count), limits: limits) else {
            throw ingotError(
                "bad-document", "I24", expected: "at most \(limits.expansionFactor) times the \(input.count) bytes of the file",
                found: "\(index.documentByteCount) bytes of documents")
        }
    }

    private static func decompress(_ stored: [UInt8], _ footer: Footer) throws -> [UInt8] {
        let decompressor = try ZstdDecompressor()
        return try [UInt8](unsafeUninitializedCapacity: Int(footer.indexLength)) { buffer, count in
            let flaw = stored.withUnsafeBytes { decompressor.decompress($0, into: UnsafeMutableRawBufferPointer(buffer)) }
            guard flaw == nil else {
                throw ingotError(
                    "bad-frame", "I9", at: footer.indexOffset, expected: "one zstd frame of \(footer.indexLength) bytes for the index",
                    found: flaw)
            }
            count = Int(footer.indexLength)
        }
    }

    /// Lays the blobs one after another, as SPEC.md says, and checks that they end where the index begins (I13).
    static func place(_ blobs: [Blob], upTo end: UInt64) throws -> (chunkOffsets: [[UInt64]], paddingLengths: [Int]) {
        var position = UInt64(IngotLayout.headerSize)
        var chunkOffsets: [[UInt64]] = []
        var paddingLengths: [Int] = []
        chunkOffsets.reserveCapacity(blobs.count)
        paddingLengths.reserveCapacity(blobs.count)
        func tilingError(_ found: String) -> FormatError {
            ingotError("bad-tiling", "I13", expected: "blobs that end at byte \(end)", found: found)
        }
        for blob in blobs {
            let start = blob.layout == .unsplit ? IngotLayout.aligned(position) : position
            guard let start, start <= end else { throw tilingError("more bytes of blobs") }
            paddingLengths.append(Int(start - position))
            position = start
            var offsets = [position]
            offsets.reserveCapacity(blob.chunkCount + 1)
            for chunk in 0..<blob.chunkCount {
                // A chunk is at most 512 KiB and `position` at most `end`, so the sum can't overflow.
                position += blob.planeLengths(chunk).reduce(0) { $0 + UInt64($1) }
                guard position <= end else { throw tilingError("more bytes of blobs") }
                offsets.append(position)
            }
            chunkOffsets.append(offsets)
        }
        guard position == end else { throw tilingError("blobs that end at byte \(position)") }
        return (chunkOffsets, paddingLengths)
    }

    /// Fails unless the bytes before an unsplit blob are 0 (I14).
    func checkPadding(before blob: Int) throws {
        let length = paddingLengths[blob]
        guard length > 0 else { return }
        let end = Int(chunkOffsets[blob][0])
        let bytes = try input.bytes(end - length..<end)
        guard let wrong = bytes.firstIndex(where: { $0 != 0 }) else { return }
        throw ingotError(
            "bad-padding", "I14", at: UInt64(end - length + wrong), expected: "padding of 0 before \(owners[blob])",
            found: "\(bytes[wrong])")
    }

    /// Verifies and decodes one chunk into exactly its length.
    func read(chunk: Int, of blob: Int, into target: UnsafeMutableRawBufferPointer, with decoder: ChunkDecoder) throws {
        try decoder.decode(
            chunk: chunk, of: index.blobs[blob], at: chunkOffsets[blob][chunk], in: input, into: target, owner: owners[blob])
    }

    /// Lends a decoded chunk, from memory if it was the last one lent.
    func withChunk(_ chunk: Int, of blob: Int, _ body: (UnsafeRawBufferPointer) -> Void) throws {
        let cached = lastChunk.withLock { $0?.blob == blob && $0?.chunk == chunk ? $0?.bytes : nil }
        if let cached {
            cached.withUnsafeBytes(body)
            return
        }
        let length = index.blobs[blob].chunkLength(chunk)
        let bytes = try [UInt8](unsafeUninitializedCapacity: length) { buffer, count in
            try decoders.with { try read(chunk: chunk, of: blob, into: UnsafeMutableRawBufferPointer(buffer), with: $0) }
            count = length
        }
        bytes.withUnsafeBytes(body)
        lastChunk.withLock { $0 = CachedChunk(blob: blob, chunk: chunk, bytes: bytes) }
    }
}
