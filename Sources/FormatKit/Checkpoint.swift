import ByteIO
import ModelIR

/// What is in a model file: ordered tensors with lazy bytes, ordered groups, typed attributes, explicit ties, documents beside them.
///
/// Not kept: chunking, filters, byte order, timestamps. A checkpoint knows nothing of architectures.
public struct Checkpoint: Sendable {
    /// A tensor under its full name; in HDF5 the dataset's path without the leading slash.
    public struct Entry: Sendable {
        public var name: String
        public var tensor: Tensor
        public var attributes: [Attribute]

        public init(name: String, tensor: Tensor, attributes: [Attribute] = []) {
            self.name = name
            self.tensor = tensor
            self.attributes = attributes
        }
    }

    /// A group by its path without leading or trailing slash; the root is the empty path, and always first.
    public struct Group: Hashable, Sendable {
        public var path: String
        public var attributes: [Attribute]

        public init(path: String, attributes: [Attribute] = []) {
            self.path = path
            self.attributes = attributes
        }
    }

    /// Names of one and the same tensor, in file order; each also appears among `tensors`. Equal bytes alone are not a tie.
    public struct Tie: Hashable, Sendable {
        public var names: [String]
        public init(names: [String]) { self.names = names }
    }

    /// An object in the file that is no tensor (a table of strings, say): listed, never converted in silence.
    public struct Opaque: Hashable, Sendable {
        public var name: String
        /// What it is, for people: `compound dataset [3]`.
        public var description: String

        public init(name: String, description: String) {
            self.name = name
            self.description = description
        }
    }

    /// A document beside the weights: `config.json`, `metadata.json`, a tokenizer's files.
    public struct Document: Hashable, Sendable {
        /// A relative path of plain components.
        public var name: String
        public var bytes: [UInt8]

        public init(name: String, bytes: [UInt8]) {
            self.name = name
            self.bytes = bytes
        }
    }

    /// The format that a checkpoint came from before it was converted to the one it was read from.
    public struct Source: Hashable, Sendable {
        public var format: String
        public var detail: String

        public init(format: String, detail: String) {
            self.format = format
            self.detail = detail
        }
    }

    /// `ModelFormat.name` of the format it was read from.
    public var format: String
    /// One line for people on the container: `HDF5, superblock 0`.
    public var formatDetail: String
    /// What the file remembers of its own source; only the .ingot format stores it.
    public var source: Source?
    /// Groups in file order, the root first; a parent precedes its children.
    public var groups: [Group]
    public var tensors: [Entry]
    public var ties: [Tie] = []
    public var opaque: [Opaque] = []
    public var documents: [Document] = []
    /// What Ingot itself adds to a file; only the .ingot format stores it.
    public var record: Record?
    /// What is known of the tensors' bytes, so that nobody hashes them again.
    public var digests = TensorDigests()
    /// Gives the record's fingerprint. A writer that keeps the record asks for it last, when it has hashed the tensors on their way.
    public var fingerprint: (@Sendable () throws -> String)?

    public init(format: String, formatDetail: String = "", groups: [Group] = [Group(path: "")], tensors: [Entry] = []) {
        self.format = format
        self.formatDetail = formatDetail
        self.groups = groups
        self.tensors = tensors
    }

    /// Attributes of the root.
    public var attributes: [Attribute] {
        get { groups[0].attributes }
        set { groups[0].attributes = newValue }
    }

    /// Names of an optimizer's state, where no architecture says better: formats put it into a group of that name.
    public var optimizerTensors: [String] {
        tensors.map(\.name).filter { $0.hasPrefix("optimizer/") || $0.hasPrefix("optimizer_weights/") }
    }

    public func group(_ path: String) -> Group? { groups.first { $0.path == path } }
    public func document(_ name: String) -> Document? { documents.first { $0.name == name } }
}

/// What Ingot proves and remembers about a model, stored in .ingot beside the weights.
public struct Record: Hashable, Sendable {
    /// Name of the architecture that lifted it: `keras`, `bert`, ...
    public var architecture: String
    /// The naming convention of the tensors: `keras2-h5`, ...
    public var naming: String
    /// Version of the graph's text form.
    public var irVersion: Int
    /// The graph in text form; advisory, held against a fresh lift by `verify`.
    public var graphText: String
    /// SHA-256 tree over canonical names, shapes, dtypes and bytes, hexadecimal.
    public var fingerprint: String
    public var proof: Proof?
    /// What wrote it and from what, without paths and dates; ordered.
    public var provenance: [Provenance]

    public struct Provenance: Hashable, Sendable {
        public var key: String
        public var value: String
        public init(_ key: String, _ value: String) {
            self.key = key
            self.value = value
        }
    }

    public init(
        architecture: String, naming: String, irVersion: Int, graphText: String, fingerprint: String, proof: Proof?,
        provenance: [Provenance]
    ) {
        self.architecture = architecture
        self.naming = naming
        self.irVersion = irVersion
        self.graphText = graphText
        self.fingerprint = fingerprint
        self.proof = proof
        self.provenance = provenance
    }
}
