import ArgumentParser
import ByteIO
import Conversion
import Executor
import FormatKit
import Glibc
import IngotFormat
import JSON
import ModelIR

/// Compression without loss, held against ZipNN.
struct CodecCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "codec",
        abstract: "Times the compression of weights, in turns with ZipNN.",
        discussion: """
            Weights as f32, and rounded to bf16 and f16, from memory into an .ingot file in memory and back, at one and at two threads. A peer
            is a Python that has zipnn, which takes the same bytes; it computes no digest, so our time is given with SHA-256 and without.
            Ratios of sizes hold for trained weights only: without a file the weights are normal deviates.
            """)

    @Argument(help: "A file with trained weights.")
    var weights: String?

    @Option(help: ArgumentHelp("A Python interpreter with zipnn.", valueName: "python"))
    var peer: String?

    @Option(help: ArgumentHelp("Where the peers' script is.", valueName: "file"))
    var peerScript = "Fixtures/generate/bench_peers.py"

    @Option(help: ArgumentHelp("A folder in memory.", valueName: "folder"))
    var folder = "/dev/shm"

    @Option(name: .customLong("repeat"), help: ArgumentHelp("Runs of each, after one to warm up.", valueName: "n"))
    var repetitions = 7

    @Option(name: .customLong("dtype"), help: ArgumentHelp("Only f32, bf16 or f16; may be given several times.", valueName: "dtype"))
    var chosen: [String] = []

    @Flag(help: "One JSON document instead of a table.")
    var json = false

    private static let dtypes = [DType.f32, .bf16, .f16]
    /// A few chunks of the format.
    private static let pieceSize = 2 << 20

    func validate() throws {
        guard repetitions > 0 else { throw ValidationError("--repeat takes a positive number") }
        for name in chosen where !Self.dtypes.contains(where: { "\($0)" == name }) {
            throw ValidationError("--dtype takes f32, bf16 or f16, not \(name)")
        }
    }

    func run() throws {
        let source = try loaded()
        var rows: [CodecRow] = []
        if !json { print(CodecRow.header) }
        for dtype in Self.dtypes where chosen.isEmpty || chosen.contains("\(dtype)") {
            let tensors = try source.map { tensor in
                let rounded = tensor.rounded(to: dtype)
                return Tensor(dtype: dtype, shape: rounded.shape, bytes: try rounded.bytes())
            }
            for threadCount in [1, 2] {
                let row = try measure(tensors, dtype, threadCount: threadCount)
                rows.append(row)
                if !json {
                    print(row.text)
                    fflush(nil)
                }
            }
        }
        if json { print(JSONValue.object(["repeat": .int(repetitions), "rows": .array(rows.map(\.document))]).serialized()) }
    }

    /// Floats of 32 bits, in memory.
    private func loaded() throws -> [Tensor] {
        if let weights {
            let tensors = try ModelFile.open(weights).checkpoint.tensors.map(\.tensor).filter { $0.dtype == .f32 }
            guard !tensors.isEmpty else { throw InputError("\(weights) has no tensors of f32") }
            return tensors
        }
        var generator = SeededGenerator(seed: 1)
        return (0..<24).map { _ in
            Tensor((0..<1 << 20).map { _ in Float(generator.normal() * 0.04) }, shape: [1 << 10, 1 << 10])
        }
    }

    private func measure(_ tensors: [Tensor], _ dtype: DType, threadCount: Int) throws -> CodecRow {
        var row = CodecRow(dtype: dtype, threadCount: threadCount, byteCount: tensors.reduce(0) { $0 + $1.byteCount })
        let peers = try startPeers(tensors, dtype, threadCount: threadCount)
        var checkpoint = Checkpoint(format: IngotFormat.name)
        checkpoint.tensors = tensors.enumerated().map { Checkpoint.Entry(name: "\($0)", tensor: $1) }
        let digests = TensorDigests()
        _ = try digests.digests(of: tensors, threadCount: threadCount)
        let targets = tensors.map { TransferBuffer(byteCount: $0.byteCount) }
        for repetition in 0...repetitions {
            let isWarm = repetition > 0
            for isHashed in [false, true] {
                func write() throws -> OutputMemory {
                    checkpoint.digests = isHashed ? digests : TensorDigests()
                    // As large as the weights, so that it doesn't grow; ZipNN's is too.
                    let output = OutputMemory(capacity: row.byteCount)
                    try IngotFormat.write(checkpoint, to: output, options: WriteOptions(threadCount: threadCount))
                    return output
                }
                // A processor that has slept takes milliseconds to come back: each is timed right after a run that isn't.
                settle()
                _ = try write()
                var start = milliseconds()
                let output = try write()
                if isWarm { row[isHashed ? .compressHashed : .compress].append(milliseconds() - start) }
                guard isHashed else { continue }
                row.storedByteCount = output.bytes.count
                let region = ByteRegion(ByteStore(output))
                try Self.read(region, into: targets, threadCount: threadCount)
                start = milliseconds()
                try Self.read(region, into: targets, threadCount: threadCount)
                if isWarm { row[.decompress].append(milliseconds() - start) }
                for (tensor, target) in zip(tensors, targets) {
                    guard try tensor.bytes().elementsEqual(target.bytes[0..<tensor.byteCount]) else {
                        throw InputError("\(dtype) doesn't come back bit for bit")
                    }
                }
            }
            for (kind, peer) in peers {
                settle()
                _ = try peer.time()
                let time = try peer.time()
                if isWarm { row[kind].append(time) }
            }
        }
        if let (_, peer) = peers.first { row.peerRatio = Double(try peer.output().first ?? .nan) }
        return row
    }

    /// Opens an .ingot file and reads each of its tensors.
    private static func read(_ file: ByteRegion, into targets: [TransferBuffer], threadCount: Int) throws {
        let tensors = try IngotFormat.open(file, limits: Limits(), threadCount: 1).tensors.map(\.tensor)
        let pieces = tensors.indices.flatMap { i in
            let count = tensors[i].byteCount
            return stride(from: 0, to: count, by: pieceSize).map { (i, $0..<min($0 + pieceSize, count)) }
        }
        try inOrder(
            count: pieces.count, threadCount: threadCount, slotCount: pieces.count, makeSlot: {},
            work: { i, _ in
                let (tensor, range) = pieces[i]
                try tensors[tensor].storage.read(
                    into: UnsafeMutableRawBufferPointer(rebasing: targets[tensor].bytes[range]), at: range.lowerBound)
            }, consume: { _, _ in })
    }

    private func startPeers(_ tensors: [Tensor], _ dtype: DType, threadCount: Int) throws -> [(CodecRow.Kind, Peer)] {
        guard let peer else { return [] }
        let raw = "\(folder)/ingot-bench-\(getpid()).raw"
        let file = try OutputFile(target: raw, replacesExisting: true)
        for tensor in tensors { try file.append(tensor.bytes()) }
        try file.commit()
        defer { unlink(raw) }
        return try [CodecRow.Kind.peerCompress: "in", .peerDecompress: "out"].sorted { $0.value < $1.value }.compactMap { kind, direction in
            try Peer(python: peer, script: peerScript, arguments: ["zipnn", raw, "\(dtype)", direction, "\(threadCount)"]).map {
                (kind, $0)
            }
        }
    }
}

/// What was measured of one dtype at one number of threads.
private struct CodecRow {
    enum Kind: Int, CaseIterable { case compress, compressHashed, decompress, peerCompress, peerDecompress }

    var dtype: DType
    var threadCount: Int
    var byteCount: Int
    var storedByteCount = 0
    /// nil without a peer.
    var peerRatio: Double?
    private var times = [[Double]](repeating: [], count: Kind.allCases.count)

    init(dtype: DType, threadCount: Int, byteCount: Int) {
        self.dtype = dtype
        self.threadCount = threadCount
        self.byteCount = byteCount
    }

    /// Milliseconds, in order of the runs.
    subscript(kind: Kind) -> [Double] {
        get { times[kind.rawValue] }
        set { times[kind.rawValue] = newValue }
    }

    private func median(_ kind: Kind) -> Double? { self[kind].isEmpty ? nil : Row.median(self[kind].sorted()) }

    static let header = "dtype, threads: size by size before, ZipNN's; ms in, without SHA-256, ZipNN's, ratios; ms out, ZipNN's, ratio"

    var text: String {
        func decimal(_ value: Double?, _ digits: Int = 1) -> String { value.map { Row.decimal($0, digits) } ?? "-" }
        func ratio(_ kind: Kind, _ peer: Kind) -> String {
            guard let own = median(kind), let other = median(peer) else { return "-" }
            return Row.decimal(own / other)
        }
        return "\(dtype), \(threadCount): \(decimal(Double(storedByteCount) / Double(byteCount), 4)), \(decimal(peerRatio, 4)); "
            + "in \(decimal(median(.compress))), \(decimal(median(.compressHashed))), \(decimal(median(.peerCompress))), "
            + "\(ratio(.compress, .peerCompress)) and \(ratio(.compressHashed, .peerCompress)); "
            + "out \(decimal(median(.decompress))), \(decimal(median(.peerDecompress))), \(ratio(.decompress, .peerDecompress))"
    }

    var document: JSONValue {
        func number(_ value: Double?) -> JSONValue { value.map { .double($0) } ?? .null }
        return [
            "dtype": .string("\(dtype)"), "threads": .int(threadCount), "bytes": .int(byteCount), "stored_bytes": .int(storedByteCount),
            "zipnn_ratio": number(peerRatio), "compress_ms": number(median(.compress)),
            "compress_without_sha256_ms": number(median(.compressHashed)), "zipnn_compress_ms": number(median(.peerCompress)),
            "decompress_ms": number(median(.decompress)), "zipnn_decompress_ms": number(median(.peerDecompress)),
        ]
    }
}
