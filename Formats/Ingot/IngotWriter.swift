import ByteIO
import Digests
import FormatKit
import ModelIR

/// Writes a checkpoint in one pass: header, blobs, index, footer.
struct IngotWriter {
    private let checkpoint: Checkpoint
    private let output: OutputFile
    private let level: Int
    private let threadCount: Int
    /// The bytes of each blob, and how they will be stored.
    private var sources: [any TensorStorage] = []
    private var index = Index()
    /// Blobs whose digest was known beforehand.
    private var hashed: Set<Int> = []

    /// On the exponents of trained weights level 1 is both faster and smaller than 3: what zstd searches for, matches, only get in the way there.
    static let defaultLevel = 1
    static let levels = 0...19

    /// - Throws: `InputError` for a level that isn't there; `UnsupportedError` for a checkpoint that the format can't hold; what reading
    ///   its tensors throws.
    init(_ checkpoint: Checkpoint, to output: OutputFile, options: WriteOptions) throws {
        let level = options.level ?? Self.defaultLevel
        guard Self.levels.contains(level) else { throw InputError("level \(level): an .ingot file takes 0 (stored) to 19") }
        guard checkpoint.opaque.isEmpty else {
            throw UnsupportedError(
                "an .ingot file can't hold objects that aren't tensors", items: checkpoint.opaque.map { "\($0.name) (\($0.description))" })
        }
        self.checkpoint = checkpoint
        self.output = output
        self.level = level
        threadCount = options.threadCount
        try layOut()
        try tryIndex()
    }

    /// Gives every tensor and document its blob, equal tensors the same one, and fills in all of the index but the blobs' rows.
    private mutating func layOut() throws {
        index.source = checkpoint.source ?? Checkpoint.Source(format: checkpoint.format, detail: checkpoint.formatDetail)
        index.groups = checkpoint.groups
        index.record = checkpoint.record
        let shared = try SharedBlobs(checkpoint.tensors.map(\.tensor), digests: checkpoint.digests)
        var positions: [[UInt8]: Int] = [:]
        for (i, entry) in checkpoint.tensors.enumerated() {
            let representative = shared.representatives[i]
            let blob: Int
            if representative < i {
                blob = index.tensors[representative].blob
            } else {
                blob = addBlob(
                    entry.tensor.storage, layout: BlobLayout(compressing: entry.tensor.dtype), width: entry.tensor.dtype.size)
                if let digest = checkpoint.digests[entry.tensor] {
                    index.blobs[blob].digest = digest
                    hashed.insert(blob)
                }
            }
            index.tensors.append(
                Index.TensorRow(
                    name: entry.name, dtype: entry.tensor.dtype, shape: entry.tensor.shape, blob: blob, attributes: entry.attributes))
            positions[Array(entry.name.utf8)] = i
        }
        for tie in checkpoint.ties {
            let members = tie.names.map { positions[Array($0.utf8)] }
            let unknown = zip(tie.names, members).filter { $0.1 == nil }.map(\.0)
            guard unknown.isEmpty else { throw UnsupportedError("tied names without a tensor", items: unknown) }
            index.ties.append(members.compactMap(\.self))
        }
        for document in checkpoint.documents {
            let blob = addBlob(ByteRegion(bytes: document.bytes), layout: .planes, width: 1)
            index.documents.append(Index.DocumentRow(name: document.name, blob: blob))
        }
    }

    private mutating func addBlob(_ storage: any TensorStorage, layout: BlobLayout, width: Int) -> Int {
        sources.append(storage)
        index.blobs.append(Blob(layout: level == 0 ? .unsplit : layout, width: width, byteCount: UInt64(storage.byteCount)))
        return index.blobs.count - 1
    }

    /// Refuses before anything is written what no reader would accept: names, groups, ties and sizes, by the reader's own rules.
    private func tryIndex() throws {
        var draft = index
        draft.blobs = index.blobs.map { $0.withEmptyRows() }
        do {
            _ = try IndexDecoder.decode(
                try draft.encoded(), origin: 0, isCompressed: false, minorVersion: IngotLayout.minorVersion, limits: Limits())
        } catch var error as FormatError {
            error.offset = nil
            throw UnsupportedError("the checkpoint breaks a rule of the format", items: [error.description])
        }
    }

    // MARK: Blobs

    /// A chunk on its way: its bytes, their stored form, and the stored lengths of its planes.
    private final class ChunkSlot: @unchecked Sendable {
        let raw = TransferBuffer(byteCount: IngotLayout.chunkSize)
        let stored: TransferBuffer
        var rawCount = 0
        var planeLengths: [UInt32] = []
        var checksum: UInt64 = 0

        /// Nothing is transformed at level 0.
        init(level: Int) { stored = TransferBuffer(byteCount: level == 0 ? 1 : ChunkEncoder.outputCapacity) }

        func storedBytes(of blob: Blob) -> UnsafeRawBufferPointer {
            let buffer = blob.layout == .unsplit ? raw.bytes : stored.bytes
            return UnsafeRawBufferPointer(rebasing: buffer[0..<planeLengths.reduce(0) { $0 + Int($1) }])
        }
    }

    private struct ChunkPlace {
        var blob: Int
        var chunk: Int
    }

    consuming func write() throws {
        // A digest is computed from end to end, so several threads hash a blob each, beforehand; one hashes what it has in hand anyhow.
        if threadCount > 1 { try hashBlobs() }
        try output.append(IngotLayout.header())
        try writeBlobs()
        if let fingerprint = checkpoint.fingerprint { index.record?.fingerprint = try fingerprint() }
        try writeIndex()
    }

    private mutating func hashBlobs() throws {
        // Of the tensors; documents are short.
        let tensors = Dictionary(
            zip(index.tensors, checkpoint.tensors).map { ($0.blob, $1.tensor) }, uniquingKeysWith: { first, _ in first })
        let blobs = tensors.keys.sorted()
        let digests = try checkpoint.digests.digests(of: blobs.compactMap { tensors[$0] }, threadCount: threadCount)
        for (blob, digest) in zip(blobs, digests) {
            index.blobs[blob].digest = digest
            hashed.insert(blob)
        }
    }

    private mutating func writeBlobs() throws {
        let blobs = index.blobs
        let sources = sources
        let level = level
        let hashed = hashed
        let digests = checkpoint.digests
        let places = blobs.indices.flatMap { blob in (0..<blobs[blob].chunkCount).map { ChunkPlace(blob: blob, chunk: $0) } }
        let encoders = WorkerPool { try ChunkEncoder(level: level) }
        var hasher = SHA256()
        var started = 0
        /// Pads, and gives empty blobs their digest, up to and with `blob`.
        func start(through blob: Int) throws {
            while started <= blob {
                if blobs[started].layout == .unsplit, let aligned = IngotLayout.aligned(output.position) {
                    try output.append([UInt8](repeating: 0, count: Int(aligned - output.position)))
                }
                if blobs[started].byteCount == 0 { index.blobs[started].digest = SHA256.hash([]) }
                started += 1
            }
        }
        try inOrder(count: places.count, threadCount: threadCount, makeSlot: { ChunkSlot(level: level) }) { i, slot in
            let blob = blobs[places[i].blob]
            slot.rawCount = blob.chunkLength(places[i].chunk)
            let raw = UnsafeMutableRawBufferPointer(rebasing: slot.raw.bytes[0..<slot.rawCount])
            try sources[places[i].blob].read(into: raw, at: places[i].chunk * IngotLayout.chunkSize)
            if blob.layout == .unsplit {
                slot.planeLengths = [UInt32(slot.rawCount)]
            } else {
                slot.planeLengths = try encoders.with {
                    $0.encode(UnsafeRawBufferPointer(raw), layout: blob.layout, width: blob.width, into: slot.stored.bytes)
                }
            }
            slot.checksum = xxh3(slot.storedBytes(of: blob))
        } consume: { i, slot in
            let (blob, chunk) = (places[i].blob, places[i].chunk)
            try start(through: blob)
            let isHashed = hashed.contains(blob)
            if !isHashed {
                if chunk == 0 { hasher = SHA256() }
                hasher.update(UnsafeRawBufferPointer(rebasing: slot.raw.bytes[0..<slot.rawCount]))
            }
            index.blobs[blob].planeLengths += slot.planeLengths
            index.blobs[blob].checksums.append(slot.checksum)
            try output.append(slot.storedBytes(of: blobs[blob]))
            if !isHashed, chunk == blobs[blob].chunkCount - 1 {
                let finished = hasher
                hasher = SHA256()
                index.blobs[blob].digest = finished.finish()
                digests.note(index.blobs[blob].digest, of: sources[blob])
            }
        }
        try start(through: blobs.count - 1)
    }

    // MARK: Index

    private func writeIndex() throws {
        let offset = output.position
        let decoded = try index.encoded()
        let stored = level == 0 ? decoded : try Self.compress(decoded, level: level)
        let footer = Footer(
            indexOffset: offset, storedLength: UInt64(stored.count), indexLength: UInt64(decoded.count), indexChecksum: xxh3(stored))
        try output.append(stored)
        try output.append(footer.encoded())
        let length = output.position - UInt64(stored.count) + UInt64(decoded.count)
        let limits = Limits()
        guard !limits.isShapeBomb(declared: index.declaredByteCount, stored: length),
            index.documentsAreBelievable(fileLength: output.position, limits: limits)
        else {
            throw UnsupportedError("almost all bytes are equal: readers would take so much out of \(output.position) bytes for an attack")
        }
    }

    private static func compress(_ index: [UInt8], level: Int) throws -> [UInt8] {
        let compressor = try ZstdCompressor()
        var stored = [UInt8](repeating: 0, count: ZstdCompressor.bound(index.count))
        let length = index.withUnsafeBytes { source in stored.withUnsafeMutableBytes { compressor.compress(source, into: $0, level: level) }
        }
        guard let length, length < index.count,
            Footer.isBelievable(indexLength: UInt64(index.count), storedLength: UInt64(length), limits: Limits())
        else { return index }
        stored.removeLast(stored.count - length)
        return stored
    }
}
