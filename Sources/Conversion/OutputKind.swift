import ByteIO

/// What an output is, by its name or by `--to`.
public enum OutputKind: String, CaseIterable, Sendable {
    case ingot
    /// A Keras 2 whole model, or plain groups of datasets for everything else.
    case hdf5
    case keras
    case kerasWeights = "keras-weights"
    /// Weights of Keras 3 in shards: an index `x.weights.json`, and `x_00000.weights.h5` beside it.
    case kerasShards = "keras-shards"
    /// `tf_model.h5`, as TensorFlow's classes of transformers read it.
    case tensorFlow = "tf-hdf5"
    case safetensors

    public init?(fileName: String) {
        let name = fileName.lowercased()
        if name.hasSuffix(".ingot") {
            self = .ingot
        } else if name.hasSuffix(".keras") {
            self = .keras
        } else if name.hasSuffix(".weights.h5") {
            self = .kerasWeights
        } else if name.hasSuffix(".weights.json") {
            self = .kerasShards
        } else if name == Self.tensorFlow.weightsName {
            self = .tensorFlow
        } else if name.hasSuffix(".h5") || name.hasSuffix(".hdf5") {
            self = .hdf5
        } else if name.hasSuffix(".safetensors") {
            self = .safetensors
        } else {
            return nil
        }
    }

    /// `ModelFormat.name` of what is written.
    var formatName: String {
        switch self {
        case .ingot: "ingot"
        case .hdf5, .kerasWeights, .kerasShards, .tensorFlow: "hdf5"
        case .keras: "keras"
        case .safetensors: "safetensors"
        }
    }

    /// The weights' file in a directory of transformers; nil for kinds that are single files.
    var weightsName: String? {
        switch self {
        case .tensorFlow: "tf_model.h5"
        case .safetensors: "model.safetensors"
        case .ingot, .hdf5, .keras, .kerasWeights, .kerasShards: nil
        }
    }
}

/// Where an output goes: a file, or a directory of weights, configuration and what belongs to them.
struct OutputPlace: Sendable {
    let path: String
    let kind: OutputKind
    let isDirectory: Bool

    /// A directory is what ends with a slash, exists as one, or has no format's name while `--to` names a kind that may be one.
    /// - Throws: `UnsupportedError` where no kind follows.
    init(_ path: String, to explicit: OutputKind?) throws {
        self.path = path
        let named = OutputKind(fileName: splitPath(path).name)
        let looksLikeDirectory = path.hasSuffix("/") || isExistingDirectory(path)
        if looksLikeDirectory || (named == nil && explicit?.weightsName != nil) {
            kind = explicit ?? .safetensors
            isDirectory = true
            guard kind.weightsName != nil else {
                throw UnsupportedError("\(path) is a directory; --to \(kind.rawValue) writes a file")
            }
        } else if let kind = explicit ?? named {
            self.kind = kind
            isDirectory = false
        } else {
            throw UnsupportedError(
                "can't tell a format from the name \(splitPath(path).name); --to takes one of "
                    + OutputKind.allCases.map(\.rawValue).joined(separator: ", "))
        }
    }
}
