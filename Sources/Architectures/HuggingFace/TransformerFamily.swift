import FormatKit
import ModelIR

/// One family of Hugging Face models: configuration, name table and graph, in one file that reads like the paper.
///
/// A value of a conforming type is one model: a configuration with the class (head) that it is for.
protocol TransformerFamily: Sendable {
    /// Values of `model_type` in config.json.
    static var modelTypes: [String] { get }
    /// Classes of transformers that can be run, without TensorFlow's prefix; the first is taken where the configuration names none.
    static var classNames: [String] { get }
    /// Keys of the configuration that change what is computed.
    static var modelledKeys: Set<String> { get }
    /// Keys that don't, beyond those that no model computes with (`TransformerKeys.inert`).
    static var inertKeys: Set<String> { get }
    /// Whether a tensor of a PyTorch file is a buffer that is computed anew, not a parameter: `attn.masked_bias`.
    static func isBuffer(_ name: String) -> Bool

    /// - Parameter stored: tells which parameters the file holds, where that decides (an untied head, a pooler).
    /// - Throws: `UnsupportedError` for a class, or a value of a modelled key, that can't be run; `FormatError` for a broken configuration.
    init(_ config: TransformerConfig, className: String, stored: StoredNames) throws

    var table: TransformerTable { get }
    /// Whether the class is the base model itself, whose parameters have no prefix.
    var isBaseClass: Bool { get }
    /// Parameters that are one and the same, by canonical names with their prefix; the first name of each is the parameter.
    var ties: [Checkpoint.Tie] { get }
    var inputs: [InputDescription] { get }
    var probeSizes: [String: Int] { get }
    /// Lines for people on what the file leaves open.
    var assumptions: [String] { get }

    /// Adds inputs, the computation, layer outputs and outputs; outputs have the field names of the class of transformers.
    func build(_ builder: inout TransformerBuilder) throws

    /// What `Model.completed` promises.
    func completed(_ inputs: [String: Tensor]) throws -> (inputs: [String: Tensor], notes: [String])
}

extension TransformerFamily {
    static var inertKeys: Set<String> { [] }
    static func isBuffer(_ name: String) -> Bool { false }
    var assumptions: [String] { [] }
    var ties: [Checkpoint.Tie] { [] }

    /// The canonical name of a row: with the base model's prefix where the class has a head.
    func canonicalName(_ row: TransformerParameter) -> String {
        row.isBase && !isBaseClass && !table.base.isEmpty ? "\(table.base).\(row.name)" : row.name
    }
}

/// Which parameters a file holds, whatever its naming convention and prefixes.
struct StoredNames: Sendable {
    /// PyTorch: as stored. TensorFlow: paths below the model's own scope, without `:0`.
    let names: Set<String>

    /// Whether any of these is stored, as it stands or behind some prefix: `pooler.dense.weight`, `bert/pooler/dense/kernel`.
    func contains(_ suffixes: String...) -> Bool {
        suffixes.contains { suffix in names.contains(suffix) || names.contains { $0.hasSuffix(".\(suffix)") || $0.hasSuffix("/\(suffix)") }
        }
    }
}
