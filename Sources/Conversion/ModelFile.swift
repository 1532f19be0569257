import Architectures
import ByteIO
import FormatKit
import Glibc
import ModelIR

/// An opened model: what is in its file or shards, and the model in them where an architecture recognises one.
public struct ModelFile: Sendable {
    /// One file with weights.
    public struct Part: Sendable {
        public let path: String
        public let region: ByteRegion
        public let format: any ModelFormat.Type
    }

    /// The weights' file, or the index of its shards.
    public let path: String
    /// The file itself, or its shards in the order of their names; at least one, all of one format.
    public let parts: [Part]
    public let checkpoint: Checkpoint
    /// nil where no architecture recognises the checkpoint.
    public let model: (any Model)?
    /// Lines for people: what was found beside, what was taken.
    public let notes: [String]
    /// Why no configuration follows from bare weights.
    let inferenceObstacle: UnsupportedError?

    public var format: any ModelFormat.Type { parts[0].format }
    /// Size of all its files with weights, in bytes.
    public var byteCount: Int { parts.reduce(0) { $0 + $1.region.count } }

    /// Opens a file, an index of shards, or what a directory holds of them.
    /// - Parameters:
    ///   - path: the MODEL of the command line.
    ///   - configuration: a configuration for weights that carry none; otherwise one that lies beside them is taken, as `configurationBeside` says.
    ///   - choices: what the user settles of bare weights, by key or by layer and key (`KerasArchitecture.inferredConfiguration`).
    /// - Throws: `FileError` (input), `FormatError` with the path of the file that is broken, `UnsupportedError`.
    public static func open(_ path: String, configuration: String? = nil, choices: [String: String] = [:], limits: Limits = Limits()) throws
        -> ModelFile
    {
        var notes: [String] = []
        var file = path
        var status = stat()
        guard stat(path, &status) == 0 else { throw FileError.last(.input, path: path, doing: "can't open") }
        let isDirectory = status.st_mode & S_IFMT == S_IFDIR
        if isDirectory { file = try weightsFile(in: path, notes: &notes) }
        var (parts, checkpoint) = try contents(of: file, limits: limits, notes: &notes)
        do {
            let beside = try configurationBeside(file, explicit: configuration, inDirectory: isDirectory, checkpoint: checkpoint)
            if let beside {
                checkpoint.documents.removeAll { $0.name == "config.json" }
                checkpoint.documents.append(Checkpoint.Document(name: "config.json", bytes: try ByteRegion(path: beside).bytes()))
                notes.append("configuration: \(beside)")
            }
            // A part of a model could be taken for a whole one.
            let shard = parts.count == 1 && parts[0].path == file ? KerasShard(file) : nil
            if let shard { notes.append(shard.note) }
            if let shard, shard.isPart {
                return ModelFile(path: file, parts: parts, checkpoint: checkpoint, model: nil, notes: notes)
            }
            var model: (any Model)?
            do {
                model = try lift(checkpoint)
            } catch var error as FormatError where error.code == "missing-weight" {
                if let shard { error.found = "\(error.found ?? "nothing"); \(shard.note)" }
                throw error
            }
            var obstacle: UnsupportedError?
            if model == nil {
                do {
                    (model, checkpoint) = try inferred(checkpoint, choices: choices)
                } catch let error as UnsupportedError {
                    obstacle = error
                }
            } else if !choices.isEmpty {
                notes.append("--assume has no effect: the file has a configuration")
            }
            return ModelFile(
                path: file, parts: parts, checkpoint: checkpoint, model: model, notes: notes, inferenceObstacle: obstacle)
        } catch let error as FormatError {
            throw error.inFile(file)
        }
    }

    init(
        path: String, parts: [Part], checkpoint: Checkpoint, model: (any Model)?, notes: [String],
        inferenceObstacle: UnsupportedError? = nil
    ) {
        self.path = path
        self.parts = parts
        self.checkpoint = checkpoint
        self.model = model
        self.notes = notes
        self.inferenceObstacle = inferenceObstacle
    }

    /// A model of bare weights, with the configuration that follows from them among the documents.
    private static func inferred(_ checkpoint: Checkpoint, choices: [String: String]) throws -> ((any Model)?, Checkpoint) {
        guard checkpoint.document("config.json") == nil,
            let configuration = try KerasArchitecture.inferredConfiguration(for: checkpoint, choices: choices)
        else { return (nil, checkpoint) }
        var complete = checkpoint
        complete.documents.append(Checkpoint.Document(name: "config.json", bytes: configuration))
        return (try lift(complete), complete)
    }

    /// What is in a file, or in the shards of an index, as one checkpoint.
    private static func contents(of file: String, limits: Limits, notes: inout [String]) throws -> ([Part], Checkpoint) {
        if ShardIndex.isIndex(splitPath(file).name) {
            let index = try ShardIndex(path: file, limits: limits)
            return try index.open(limits: limits, notes: &notes)
        }
        if KerasShards.isIndex(file) {
            let shards = try KerasShards(index: file, limits: limits)
            return (shards.parts, shards.checkpoint)
        }
        if let shard = ShardName(splitPath(file).name) {
            notes.append("one of \(shard.count) shards; their index, \(shard.indexName), opens them all")
        }
        let part = try Part(path: file)
        do {
            return ([part], try part.format.open(part.region, limits: limits))
        } catch let error as FormatError {
            throw error.inFile(file)
        }
    }

    /// The model in a checkpoint, by the first architecture that recognises it.
    static func lift(_ checkpoint: Checkpoint) throws -> (any Model)? {
        for architecture in Registry.architectures {
            if let model = try architecture.lift(checkpoint) { return model }
        }
        return nil
    }

    /// Verifies every checksum of the files, also over what no layer uses (optimizer state, documents).
    /// - Returns: one line for each kind of thing that was verified.
    /// - Throws: `FormatError` with the path for the first thing that is damaged.
    @discardableResult
    public func checkStorage(limits: Limits = Limits()) throws -> [String] {
        var lines: [String] = []
        for part in parts {
            do {
                let verified = try part.format.check(part.region, limits: limits)
                lines += parts.count == 1 ? verified : verified.map { "\(splitPath(part.path).name): \($0)" }
            } catch let error as FormatError {
                throw error.inFile(part.path)
            }
        }
        return lines
    }

    /// Verifies the checksums that reading the tensors does not, before the numbers are used.
    public func checkBeforeReading() throws {
        if parts.contains(where: { !$0.format.verifiesOnReading }) { try checkStorage() }
    }

    /// The model, or the reason why there is none.
    public func requireModel() throws -> any Model {
        if let model { return model }
        if let shard = KerasShard(path), shard.isPart { throw UnsupportedError("\(path): a part of a model: \(shard.note)") }
        let hint = missingConfigurationHint.map { "; \($0)" } ?? ""
        throw UnsupportedError("\(path): no architecture recognises this \(format.name) file\(hint)")
    }

    /// For weights that some architecture would recognise if their configuration were there.
    var missingConfigurationHint: String? {
        if let shard = KerasShard(path), shard.isPart { return nil }
        guard checkpoint.document("config.json") == nil,
            checkpoint.attributes.strings("layer_names") != nil || checkpoint.group("layers") != nil
        else { return nil }
        let reason = inferenceObstacle.map { "\($0.description); " } ?? ""
        return reason
            + "these are Keras weights without a configuration: give it by --config FILE, as config.json beside them in a directory, "
            + "or under the weights' name with .json"
    }
}

extension ModelFile.Part {
    /// Maps a file and tells its format.
    /// - Throws: `FileError`; `FormatError` for a file of no format that Ingot reads.
    init(path: String) throws {
        let region = try ByteRegion(path: path)
        guard let format = Registry.formats.first(where: { $0.matches(region) }) else {
            throw FormatError(
                "model", region.count == 0 ? "empty-file" : "unknown-format", path: path,
                expected: "one of \(Registry.formats.map { $0.name }.joined(separator: ", "))", found: "bytes of no format that Ingot reads"
            )
        }
        self.init(path: path, region: region, format: format)
    }
}

/// A model's tensors for the executor, by canonical name.
func parameterTensors(_ model: any Model) -> [String: Tensor] {
    Dictionary(model.parameters.map { ($0.name, $0.tensor) }, uniquingKeysWith: { first, _ in first })
}
