import ByteIO
import FormatKit
import Glibc
import JSON

/// An output on its way: written, read back for the proof, and put in place only then.
protocol PendingOutput {
    func write(_ checkpoint: Checkpoint) throws
    /// Bytes written.
    func byteCount() throws -> Int
    /// What was written, read back.
    func reopened(_ checkpoint: Checkpoint) throws -> Checkpoint
    func commit() throws
}

/// A single file.
struct PendingFile: PendingOutput {
    let place: OutputPlace
    let options: ConversionOptions
    private let output: OutputFile
    private let companions: [(document: Checkpoint.Document, file: OutputFile)]
    private let format: any ModelFormat.Type

    init(_ place: OutputPlace, _ options: ConversionOptions, besides companions: [Checkpoint.Document]) throws {
        self.place = place
        self.options = options
        format = try writer(of: place.kind)
        output = try OutputFile(target: place.path, replacesExisting: options.replacesExisting)
        let directory = splitPath(place.path).directory
        self.companions = try companions.map { ($0, try OutputFile(target: "\(directory)/\($0.name)", replacesExisting: false)) }
    }

    func write(_ checkpoint: Checkpoint) throws {
        try format.write(checkpoint, to: output, options: writeOptions(options))
        for (document, file) in companions { try file.append(document.bytes) }
    }

    func byteCount() throws -> Int { Int(try output.size()) }

    func reopened(_ checkpoint: Checkpoint) throws -> Checkpoint {
        let region = try ByteRegion(path: output.temporaryPath)
        guard format.matches(region) else { throw FormatError(format.name, "unreadable-output", path: output.targetPath) }
        do {
            var written = try format.open(region, limits: Limits())
            // Bare weights are read with the configuration that they were made for.
            if place.kind == .kerasWeights { written.documents = checkpoint.documents }
            return written
        } catch let error as FormatError {
            throw error.inFile(output.targetPath)
        }
    }

    func commit() throws {
        try output.commit()
        for (_, file) in companions { try file.commit() }
    }
}

/// A directory as transformers keeps models: weights in one file or in shards with an index, `config.json`, and documents.
struct PendingDirectory: PendingOutput {
    let place: OutputPlace
    let options: ConversionOptions
    private let output: OutputDirectory
    private let format: any ModelFormat.Type

    init(_ place: OutputPlace, _ options: ConversionOptions) throws {
        self.place = place
        self.options = options
        format = try writer(of: place.kind)
        output = try OutputDirectory(target: place.path, replacesExisting: options.replacesExisting)
    }

    func write(_ checkpoint: Checkpoint) throws {
        let shards = try Shards(checkpoint, kind: place.kind, maxByteCount: options.maxShardByteCount)
        for shard in shards.files {
            let file = try output.file(shard.name)
            try format.write(shard.checkpoint, to: file, options: writeOptions(options))
            try file.commit()
        }
        for document in checkpoint.documents + (shards.index.map { [$0] } ?? []) {
            let file = try output.file(document.name)
            try file.append(document.bytes)
            try file.commit()
        }
    }

    func byteCount() throws -> Int {
        try directoryEntries(output.stagingPath).reduce(0) { total, name in
            var status = stat()
            return stat("\(output.stagingPath)/\(name)", &status) == 0 ? total + Int(status.st_size) : total
        }
    }

    func reopened(_ checkpoint: Checkpoint) throws -> Checkpoint { try ModelFile.open(output.stagingPath).checkpoint }

    func commit() throws {
        let names = Shards.Names(place.kind)
        try output.commit { names.matches($0) }
    }
}

func writer(of kind: OutputKind) throws -> any ModelFormat.Type {
    guard let format = Registry.format(named: kind.formatName), format.canWrite else {
        throw UnsupportedError("no format that Ingot writes is named \(kind.formatName)")
    }
    return format
}

func writeOptions(_ options: ConversionOptions) -> WriteOptions {
    WriteOptions(level: options.level, threadCount: options.threadCount, compresses: options.compresses)
}

func fileExists(_ path: String) -> Bool { access(path, F_OK) == 0 }
