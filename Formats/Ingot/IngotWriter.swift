import ByteIO
import Digests
import FormatKit
import ModelIR

/// Writes a checkpoint in one pass: header, blobs, index, footer.
struct IngotWriter {
    private let checkpoint: Checkpoint
    private let output: any ByteSink
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
    /// Bytes of tensors that are hashed beside the compression of the same ones: what is read twice is still in the system's memory.
    private static let groupByteCount: UInt64 = 512 << 20
    /// Chunks on their way: between two matrices of a layer are several vectors of a few bytes each.
    private static let slotCount = 16

    /// - Throws: `InputError` for a level that isn't there; `UnsupportedError` for a checkpoint that the format can't hold; what reading
    ///   its tensors throws.
    init(_ checkpoint: Checkpoint, to output: any ByteSink, options: WriteOptions) throws {
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
        var planeLengths: [UInt32] = []
        var checksum: UInt64 = 0

        /// Nothing is transformed at level 0.
        init(level: Int) { stored = TransferBuffer(byteCount: level == 0 ? 1 : IngotLayout.chunkSize) }

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
        try output.append(IngotLayout.header())
        var begin = 0
        while begin < index.blobs.count {
            var end = begin
            var byteCount: UInt64 = 0
            repeat {
                byteCount += index.blobs[end].byteCount
                end += 1
            } while end < index.blobs.count && byteCount < Self.groupByteCount
            try writeBlobs(begin..<end)
            begin = end
        }
        if let fingerprint = checkpoint.fingerprint { index.record?.fingerprint = try fingerprint() }
        try writeIndex()
    }

    /// Compresses the blobs chunk by chunk, and beside it hashes those whose digest isn't known.
    private mutating func writeBlobs(_ range: Range<Int>) throws {
        let blobs = index.blobs
        let sources = sources
        let level = level
        let places = range.flatMap { blob in (0..<blobs[blob].chunkCount).map { ChunkPlace(blob: blob, chunk: $0) } }
        let encoders = WorkerPool { try ChunkEncoder(level: level) }
        let unhashed = range.filter { !hashed.contains($0) }.sorted { (blobs[$1].byteCount, $0) < (blobs[$0].byteCount, $1) }
        // Two are hashed in the time of one, so what is read at no cost is read twice; one thread decodes nothing twice.
        let inHand = Set(unhashed.filter { threadCount <= 1 && sources[$0].region == nil && blobs[$0].byteCount > 0 })
        let beside = unhashed.filter { !inHand.contains($0) }
        let digests = DigestJob(beside.map { sources[$0] })
        var hasher = SHA256()
        var started = range.lowerBound
        /// Pads up to and with `blob`.
        func start(through blob: Int) throws {
            while started <= blob {
                if blobs[started].layout == .unsplit, let aligned = IngotLayout.aligned(output.position) {
                    try output.append([UInt8](repeating: 0, count: Int(aligned - output.position)))
                }
                started += 1
            }
        }
        try inOrder(
            count: places.count, threadCount: threadCount, slotCount: Self.slotCount, beside: { try digests.run() },
            makeSlot: { ChunkSlot(level: level) }
        ) { i, slot in
            let blob = blobs[places[i].blob]
            let source = sources[places[i].blob]
            let begin = places[i].chunk * IngotLayout.chunkSize
            let bytes = begin..<begin + blob.chunkLength(places[i].chunk)
            if blob.layout == .unsplit {
                try source.read(into: UnsafeMutableRawBufferPointer(rebasing: slot.raw.bytes[0..<bytes.count]), at: begin)
                slot.planeLengths = [UInt32(bytes.count)]
            } else {
                slot.planeLengths = try encoders.with { encoder in
                    try source.lend(bytes, scratch: slot.raw.bytes) {
                        encoder.encode($0, layout: blob.layout, width: blob.width, into: slot.stored.bytes)
                    }
                }
            }
            slot.checksum = xxh3(slot.storedBytes(of: blob))
        } consume: { i, slot in
            let blob = places[i].blob
            try start(through: blob)
            index.blobs[blob].planeLengths += slot.planeLengths
            index.blobs[blob].checksums.append(slot.checksum)
            try output.append(slot.storedBytes(of: blobs[blob]))
            guard inHand.contains(blob) else { return }
            // Without a region nothing was lent: the slot has the chunk.
            if places[i].chunk == 0 { hasher = SHA256() }
            hasher.update(UnsafeRawBufferPointer(rebasing: slot.raw.bytes[0..<blobs[blob].chunkLength(places[i].chunk)]))
            guard places[i].chunk == blobs[blob].chunkCount - 1 else { return }
            let finished = hasher
            hasher = SHA256()
            index.blobs[blob].digest = finished.finish()
        }
        try start(through: range.upperBound - 1)
        for (blob, digest) in zip(beside, digests.digests) { index.blobs[blob].digest = digest }
        for blob in unhashed { checkpoint.digests.note(index.blobs[blob].digest, of: sources[blob]) }
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
