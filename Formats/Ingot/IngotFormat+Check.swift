import ByteIO
import Digests
import FormatKit

extension IngotFormat {
    /// Verifies every byte of the file: header, footer and index, the padding, each chunk's XXH3, that it decodes, each blob's SHA-256.
    public static func check(_ input: ByteRegion, limits: Limits) throws -> [String] {
        let file = try IngotFile(input, limits: limits, threadCount: processorCount())
        let blobs = file.index.blobs
        for blob in blobs.indices { try file.checkPadding(before: blob) }
        let places = blobs.indices.flatMap { blob in (0..<blobs[blob].chunkCount).map { (blob: blob, chunk: $0) } }
        var hasher = SHA256()
        try inOrder(
            count: places.count, threadCount: file.threadCount, makeSlot: { TransferBuffer(byteCount: IngotLayout.chunkSize) }
        ) { i, slot in
            let target = UnsafeMutableRawBufferPointer(rebasing: slot.bytes[0..<blobs[places[i].blob].chunkLength(places[i].chunk)])
            try file.decoders.with { try file.read(chunk: places[i].chunk, of: places[i].blob, into: target, with: $0) }
        } consume: { i, slot in
            let (blob, chunk) = places[i]
            if chunk == 0 { hasher = SHA256() }
            hasher.update(UnsafeRawBufferPointer(rebasing: slot.bytes[0..<blobs[blob].chunkLength(chunk)]))
            if chunk == blobs[blob].chunkCount - 1 {
                let finished = hasher
                hasher = SHA256()
                try compare(finished.finish(), with: blob, of: file)
            }
        }
        for blob in blobs.indices where blobs[blob].byteCount == 0 { try compare(SHA256.hash([]), with: blob, of: file) }

        var lines = ["header, footer and index: XXH3 matches", "\(places.count) chunks: XXH3 matches"]
        lines.append("\(file.index.tensors.count) tensors in \(blobs.count - file.index.documents.count) blobs: SHA-256 matches")
        if !file.index.documents.isEmpty { lines.append("\(file.index.documents.count) documents: SHA-256 matches") }
        let padding = file.paddingLengths.reduce(0, +)
        if padding > 0 { lines.append("\(padding) bytes of padding: all 0") }
        return lines
    }

    private static func compare(_ digest: [UInt8], with blob: Int, of file: IngotFile) throws {
        let expected = file.index.blobs[blob].digest
        guard digest == expected else {
            throw ingotError(
                "digest-mismatch", "I17", at: file.chunkOffsets[blob][0],
                expected: "SHA-256 \(hexadecimal(expected)) of \(file.owners[blob])",
                found: hexadecimal(digest))
        }
    }
}
