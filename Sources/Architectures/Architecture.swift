import ByteIO
import FormatKit
import ModelIR

/// A family of models: recognises its checkpoints, knows their names and wiring. Never sees a format.
public protocol Architecture: Sendable {
    /// Name on the command line and in files: `keras`.
    static var name: String { get }
    /// One line for `ingot formats`.
    static var summary: String { get }

    /// The model in a checkpoint; nil if it isn't of this architecture.
    /// - Throws: `FormatError` if it claims to be and breaks the architecture's rules.
    static func lift(_ checkpoint: Checkpoint) throws -> (any Model)?
}

/// A model: configuration and parameters under canonical names. The configuration is the truth; the graph is derived from it.
public protocol Model: Sendable {
    /// `Architecture.name`.
    var architecture: String { get }
    /// The naming convention of the source, for people and for records: `keras2-h5`.
    var naming: String { get }
    /// What wrote it, for people: `Keras 2.2.4-tf, backend tensorflow`.
    var writer: String { get }
    /// In canonical order, in canonical layout.
    var parameters: [Parameter] { get }
    var report: LiftReport { get }
    /// The layers in source order, also those that can't be run.
    var layers: [LayerSummary] { get }

    /// The computation.
    /// - Throws: `UnsupportedError` that names every layer in the way.
    func graph() throws -> Graph

    /// The model in the shape of another ecosystem, or of its own.
    /// - Throws: `UnsupportedError` for what the target can't express.
    func lower(to target: LoweringTarget) throws -> Lowered

    /// What each input of the graph means; empty where a general probe does.
    var inputDescriptions: [InputDescription] { get }
    /// Sizes of the graph's open dimensions at which a probe reaches every feature: longer than twice the largest window, past the
    /// largest relative distance. Those left out are the probe's choice.
    var probeSizes: [String: Int] { get }

    /// The inputs with what was left out filled in as the framework does: masks of ones, positions from 0, the decoder's start token.
    /// - Returns: all inputs of the graph, and a line for people on each decision that isn't plain.
    /// - Throws: `InputError` where a required input is missing.
    func completed(_ inputs: [String: Tensor]) throws -> (inputs: [String: Tensor], notes: [String])

    /// The source's own checkpoint, with defaults that later loaders would take otherwise written down.
    func restated() -> Lowered

    /// This model in the convention that another one follows; nil where both follow the same.
    func lowered(toConventionOf other: any Model) throws -> Lowered?
}

extension Model {
    public var inputDescriptions: [InputDescription] { [] }
    public var probeSizes: [String: Int] { [:] }
    public func completed(_ inputs: [String: Tensor]) throws -> (inputs: [String: Tensor], notes: [String]) { (inputs, []) }
}

/// What an input means: for probes, for defaults and for messages.
public struct InputDescription: Hashable, Sendable {
    public enum Role: Hashable, Sendable {
        /// Ids below `vocabulary`; `padding` is the id that fills short rows, where there is one.
        case tokens(vocabulary: Int, padding: Int?)
        /// 1 for what counts and 0 for padding, over the elements of the input `of`.
        case mask(of: String)
        /// Ids of sentences below `count`.
        case segments(count: Int)
        /// Positions below `count`.
        case positions(count: Int)
        /// 1 for tokens that attend, and are attended by, every token.
        case globalAttention
        /// Numbers of no further meaning.
        case values
    }

    /// The graph's input.
    public var name: String
    public var role: Role
    /// Whether `Model.completed` knows what to take where it is left out.
    public var isOptional: Bool

    public init(_ name: String, _ role: Role, isOptional: Bool = false) {
        self.name = name
        self.role = role
        self.isOptional = isOptional
    }
}

/// A tensor of the model under its canonical name.
public struct Parameter: Sendable {
    public var name: String
    public var tensor: Tensor
    /// Its name in the checkpoint.
    public var source: String
    /// Names of further tensors in the checkpoint that it was put together from.
    public var moreSources: [String]

    public init(name: String, tensor: Tensor, source: String, moreSources: [String] = []) {
        self.name = name
        self.tensor = tensor
        self.source = source
        self.moreSources = moreSources
    }
}

/// One layer for `inspect`.
public struct LayerSummary: Hashable, Sendable {
    public var name: String
    /// Class in the source's terms: `LSTM`.
    public var kind: String
    /// Canonical names of its parameters.
    public var parameters: [String]
    /// Whether Ingot can run it.
    public var isSupported: Bool

    public init(name: String, kind: String, parameters: [String], isSupported: Bool) {
        self.name = name
        self.kind = kind
        self.parameters = parameters
        self.isSupported = isSupported
    }
}

/// What became of the tensors and keys of a checkpoint: nothing is dropped without a word.
public struct LiftReport: Hashable, Sendable {
    /// Tensors that no layer asks for, by their names in the checkpoint.
    public var unused: [String] = []
    /// The optimizer's tensors.
    public var optimizer: [String] = []
    /// State that doesn't affect inference (seeds of random generators).
    public var state: [String] = []
    /// Decisions that the file leaves open, with what was assumed.
    public var assumptions: [String] = []
    /// Configuration keys that we don't know; carried verbatim, assumed inert, refused by `--strict`.
    public var unknownKeys: [String] = []

    public init() {}
}

/// What a model is lowered to.
public enum LoweringTarget: Hashable, Sendable {
    /// Keras 2 whole-model HDF5.
    case keras2
    /// The contents of a Keras 3 `.keras` archive: documents and weights.
    case keras3
    /// Keras 3 `.weights.h5`: weights alone.
    case keras3Weights
    /// Canonical names and layouts, the configuration in root attributes: for formats without groups.
    case canonical
    /// PyTorch's names and layouts, ties listed, `config.json` as transformers 5 writes it among the documents.
    case pytorch
    /// The groups, attributes and names of `tf_model.h5` as transformers 4 writes it, `config.json` among the documents.
    case tensorflow
}

/// A lowered model, with everything that the user must know about it.
public struct Lowered: Sendable {
    public var checkpoint: Checkpoint
    public var rewrites: [Rewrite]
    /// Lines for people: what was rewritten in the configuration, what was dropped.
    public var notes: [String]
    /// Canonical names that change on the way, from the source's to the written model's.
    public var renames: [String: String] = [:]
    /// The source as the target's convention can express it, where that returns something else: what a proof compares.
    public var subject: (any Model)?

    public init(checkpoint: Checkpoint, rewrites: [Rewrite] = [], notes: [String] = []) {
        self.checkpoint = checkpoint
        self.rewrites = rewrites
        self.notes = notes
    }
}

/// A declared change of values, excluded from the bit-exact promise: the written tensor equals the source's with this applied.
public struct Rewrite: Sendable {
    /// Canonical name of the parameter.
    public var parameter: String
    /// What and why, for people.
    public var description: String
    public var apply: @Sendable (Tensor) throws -> Tensor

    public init(parameter: String, description: String, apply: @escaping @Sendable (Tensor) throws -> Tensor) {
        self.parameter = parameter
        self.description = description
        self.apply = apply
    }
}
