import ByteIO
import CCodec
import Digests
import Glibc

/// Turns stored chunks back into their bytes; a worker for one thread, with memory of its own.
final class ChunkDecoder {
    private let decompressor: ZstdDecompressor
    /// Holds a chunk's stored bytes, which are never more than the chunk.
    private let stored = UnsafeMutableRawBufferPointer.allocate(byteCount: IngotLayout.chunkSize, alignment: 64)
    private let planes = UnsafeMutableRawBufferPointer.allocate(byteCount: IngotLayout.chunkSize, alignment: 64)

    init() throws { decompressor = try ZstdDecompressor() }

    deinit {
        stored.deallocate()
        planes.deallocate()
    }

    /// Reads, verifies and decodes one chunk.
    /// - Parameters:
    ///   - offset: of the chunk in `input`.
    ///   - target: exactly the chunk's length.
    ///   - owner: whose bytes these are, for errors: `tensor "a"`.
    /// - Throws: `FormatError` by rules I15 and I16; `FileError` if the file can't be read.
    func decode(
        chunk: Int, of blob: Blob, at offset: UInt64, in input: ByteRegion, into target: UnsafeMutableRawBufferPointer, owner: String
    ) throws {
        let lengths = blob.planeLengths(chunk)
        let count = Int(lengths.reduce(0) { $0 + UInt64($1) })
        // Where nothing is to be undone the target takes the stored bytes at once.
        let isStoredWhole = blob.planeCount == 1 && count == target.count
        let range = Int(offset)..<Int(offset) + count
        try input.lend(range, scratch: isStoredWhole ? target : stored) { bytes in
            let checksum = xxh3(bytes)
            guard checksum == blob.checksums[chunk] else {
                throw ingotError(
                    "checksum-mismatch", "I15", at: offset,
                    expected: "XXH3 \(hexadecimal64(blob.checksums[chunk])) of chunk \(chunk) of \(owner)", found: hexadecimal64(checksum))
            }
            if !isStoredWhole {
                try decode(bytes, planeLengths: lengths, of: blob, chunk: chunk, at: offset, into: target, owner: owner)
            } else if bytes.baseAddress != UnsafeRawPointer(target.baseAddress) {
                target.copyMemory(from: bytes)
            }
        }
    }

    private func decode(
        _ bytes: UnsafeRawBufferPointer, planeLengths: some Collection<UInt32>, of blob: Blob, chunk: Int, at offset: UInt64,
        into target: UnsafeMutableRawBufferPointer, owner: String
    ) throws {
        let planeSize = target.count / blob.planeCount
        var pointers: [UnsafePointer<UInt8>?] = []
        var position = 0
        for (k, length) in planeLengths.enumerated() {
            let source = UnsafeRawBufferPointer(rebasing: bytes[position..<position + Int(length)])
            let plane =
                blob.planeCount == 1 ? target : UnsafeMutableRawBufferPointer(rebasing: planes[k * planeSize..<(k + 1) * planeSize])
            if source.count == planeSize {
                pointers.append(source.baseAddress?.assumingMemoryBound(to: UInt8.self))
            } else {
                if source.count == 1, let base = plane.baseAddress {
                    memset(base, Int32(source[0]), planeSize)
                } else if let flaw = decompressor.decompress(source, into: plane) {
                    throw ingotError(
                        "bad-frame", "I16", at: offset + UInt64(position),
                        expected: "one zstd frame of \(planeSize) bytes for plane \(k) of chunk \(chunk) of \(owner)", found: flaw)
                }
                pointers.append(UnsafePointer(plane.baseAddress?.assumingMemoryBound(to: UInt8.self)))
            }
            position += Int(length)
        }
        guard blob.planeCount > 1 else { return }
        pointers.withUnsafeBufferPointer {
            cc_planes_merge(
                $0.baseAddress, target.baseAddress?.assumingMemoryBound(to: UInt8.self), planeSize, Int32(blob.width),
                blob.layout == .rotatedPlanes ? 1 : 0)
        }
    }
}
