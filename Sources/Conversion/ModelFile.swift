import Architectures
import ByteIO
import FormatKit
import Glibc
import JSON
import ModelIR

/// An opened model: what is in the file, and the model in it where an architecture recognises one.
public struct ModelFile: Sendable {
    /// The weights' file.
    public let path: String
    public let region: ByteRegion
    public let format: any ModelFormat.Type
    public let checkpoint: Checkpoint
    /// nil where no architecture recognises the checkpoint.
    public let model: (any Model)?
    /// Lines for people: what was found beside, what was taken.
    public let notes: [String]

    /// Opens a file, or the one recognised weights file of a directory.
    /// - Parameters:
    ///   - path: the MODEL of the command line.
    ///   - configuration: a configuration for weights that carry none; otherwise `config.json` of the directory or the file's basename with `.json` is taken.
    /// - Throws: `FileError` (input), `FormatError` with the path, `UnsupportedError`.
    public static func open(_ path: String, configuration: String? = nil, limits: Limits = Limits()) throws -> ModelFile {
        var notes: [String] = []
        var file = path
        var isDirectory = false
        var status = stat()
        guard stat(path, &status) == 0 else { throw FileError.last(.input, path: path, doing: "can't open") }
        if status.st_mode & S_IFMT == S_IFDIR {
            isDirectory = true
            file = try weightsFile(in: path, notes: &notes)
        }
        let region = try ByteRegion(path: file)
        guard let format = Registry.formats.first(where: { $0.matches(region) }) else {
            throw FormatError(
                "model", region.count == 0 ? "empty-file" : "unknown-format", path: file,
                expected: "one of \(Registry.formats.map { $0.name }.joined(separator: ", "))", found: "bytes of no format that Ingot reads"
            )
        }
        do {
            var checkpoint = try format.open(region, limits: limits)
            let beside = try configurationBeside(file, explicit: configuration, inDirectory: isDirectory, checkpoint: checkpoint)
            if let beside {
                checkpoint.documents.removeAll { $0.name == "config.json" }
                checkpoint.documents.append(Checkpoint.Document(name: "config.json", bytes: try ByteRegion(path: beside).bytes()))
                notes.append("configuration: \(beside)")
            }
            return ModelFile(
                path: file, region: region, format: format, checkpoint: checkpoint, model: try lift(checkpoint), notes: notes)
        } catch let error as FormatError {
            throw error.inFile(file)
        }
    }

    init(
        path: String, region: ByteRegion, format: any ModelFormat.Type, checkpoint: Checkpoint, model: (any Model)?, notes: [String]
    ) {
        self.path = path
        self.region = region
        self.format = format
        self.checkpoint = checkpoint
        self.model = model
        self.notes = notes
    }

    /// The model in a checkpoint, by the first architecture that recognises it.
    static func lift(_ checkpoint: Checkpoint) throws -> (any Model)? {
        for architecture in Registry.architectures {
            if let model = try architecture.lift(checkpoint) { return model }
        }
        return nil
    }

    /// Verifies every checksum of the file, also over what no layer uses (optimizer state, documents).
    /// - Returns: one line for each kind of thing that was verified.
    /// - Throws: `FormatError` with the path for the first thing that is damaged.
    @discardableResult
    public func checkStorage(limits: Limits = Limits()) throws -> [String] {
        do {
            return try format.check(region, limits: limits)
        } catch let error as FormatError {
            throw error.inFile(path)
        }
    }

    /// Verifies the checksums that reading the tensors does not, before the numbers are used.
    public func checkBeforeReading() throws {
        if !format.verifiesOnReading { try checkStorage() }
    }

    /// Size of all its files, in bytes.
    public var byteCount: Int { region.count }

    /// The model, or the reason why there is none.
    public func requireModel() throws -> any Model {
        if let model { return model }
        let hint = missingConfigurationHint.map { "; \($0)" } ?? ""
        throw UnsupportedError("\(path): no architecture recognises this \(format.name) file\(hint)")
    }

    /// For weights that some architecture would recognise if their configuration were there.
    var missingConfigurationHint: String? {
        guard checkpoint.attributes.strings("layer_names") != nil || checkpoint.group("layers") != nil else { return nil }
        return "these are Keras weights without a configuration: give it by --config FILE, as config.json beside them in a directory, "
            + "or under the weights' name with .json"
    }

    /// Preference among several weights files of a directory.
    private static let preference = [".safetensors", ".bin", "tf_model.h5", ".keras", ".h5", ".hdf5", ".ingot"]

    private static func weightsFile(in directory: String, notes: inout [String]) throws -> String {
        let names = try directoryEntries(directory)
        var found: [(rank: Int, path: String)] = []
        for name in names {
            guard let rank = preference.firstIndex(where: { name.hasSuffix($0) }) else { continue }
            let path = "\(directory)/\(name)"
            var status = stat()
            guard stat(path, &status) == 0, status.st_mode & S_IFMT == S_IFREG else { continue }
            if let region = try? ByteRegion(path: path), Registry.formats.contains(where: { $0.matches(region) }) {
                found.append((rank, path))
            }
        }
        found.sort { ($0.rank, $0.path) < ($1.rank, $1.path) }
        guard let first = found.first else {
            throw FileError(.input, path: directory, message: "holds no weights file that Ingot reads")
        }
        if found.count > 1 {
            notes.append("took \(first.path); also there: \(found.dropFirst().map { splitPath($0.path).name }.joined(separator: ", "))")
        }
        return first.path
    }

    private static func directoryEntries(_ path: String) throws -> [String] {
        guard let directory = opendir(path) else { throw FileError.last(.input, path: path, doing: "can't list") }
        defer { closedir(directory) }
        var names: [String] = []
        while let entry = readdir(directory) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            names.append(name)
        }
        return names.sorted()
    }

    /// Whether a file that only happens to lie there is a model's configuration: people keep other JSON beside their weights.
    private static func isModelConfiguration(_ path: String) -> Bool {
        guard let bytes = try? ByteRegion(path: path).bytes(), let document = try? JSONValue.parse(bytes) else { return false }
        return document["class_name"] != nil && document["config"] != nil
    }

    /// Where the configuration of weights that carry none lies.
    private static func configurationBeside(
        _ file: String, explicit: String?, inDirectory: Bool, checkpoint: Checkpoint
    ) throws -> String? {
        if let explicit { return explicit }
        guard checkpoint.attributes["model_config"] == nil, checkpoint.document("config.json") == nil else { return nil }
        let (directory, name) = splitPath(file)
        var candidates: [String] = []
        for suffix in [".weights.h5", ".h5", ".hdf5", ".ingot"] where name.hasSuffix(suffix) {
            candidates.append("\(directory)/\(name.dropLast(suffix.count)).json")
        }
        if inDirectory { candidates.append("\(directory)/config.json") }
        return candidates.first { isModelConfiguration($0) }
    }
}

/// A model's tensors for the executor, by canonical name.
func parameterTensors(_ model: any Model) -> [String: Tensor] {
    Dictionary(model.parameters.map { ($0.name, $0.tensor) }, uniquingKeysWith: { first, _ in first })
}
