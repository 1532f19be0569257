import ByteIO
import FormatKit
import JSON
import ModelIR

/// One family of Hugging Face models: configuration, name table and graph, in one file that reads like the paper.
///
/// A value of a conforming type is one model: a configuration with the class (head) that it is for.
protocol TransformerFamily: Sendable {
    /// Values of `model_type` in config.json.
    static var modelTypes: [String] { get }
    /// Classes of transformers that can be run, without TensorFlow's prefix.
    static var classNames: [String] { get }
    /// Those of them that transformers 4 has for TensorFlow too.
    static var tensorFlowClassNames: [String] { get }
    /// Keys of the configuration that change what is computed.
    static var modelledKeys: Set<String> { get }
    /// Keys that don't, beyond those that no model computes with (`TransformerKeys.inert`).
    static var inertKeys: Set<String> { get }
    /// Whether a tensor of a PyTorch file is a buffer that is computed anew, not a parameter: `attn.masked_bias`.
    static func isBuffer(_ name: String) -> Bool
    /// The class of a file whose configuration names none, by the parameters that it holds.
    static func className(_ config: TransformerConfig, stored: StoredNames) -> String

    /// - Parameter stored: tells which parameters the file holds, where that decides (an untied head, a pooler).
    /// - Throws: `UnsupportedError` for a class, or a value of a modelled key, that can't be run; `FormatError` for a broken configuration.
    init(_ config: TransformerConfig, className: String, stored: StoredNames) throws

    var table: TransformerTable { get }
    /// Whether the class is the base model itself, whose parameters have no prefix.
    var isBaseClass: Bool { get }
    /// Parameters that are one and the same, by canonical names with their prefix; the first name of each is the parameter. Names that are
    /// no rows of the table are only read and written.
    var ties: [Checkpoint.Tie] { get }
    /// Groups of `tf_model.h5`.
    var tensorFlowLayers: [TensorFlowLayer] { get }
    /// What stands before the paths of some variables instead of the model's own scope, by how the paths begin (T5's `shared`).
    var tensorFlowScopes: [(prefix: String, scope: String)] { get }
    /// What TensorFlow's classes compute with, whatever the configuration says.
    static var tensorFlowConstants: [(key: String, value: JSONValue)] { get }
    /// Why the TensorFlow class computes something else from the same configuration and weights; nil where it doesn't.
    var tensorFlowObstacle: String? { get }
    var inputs: [InputDescription] { get }
    var probeSizes: [String: Int] { get }
    /// Lines for people on what the file leaves open.
    var assumptions: [String] { get }
    /// Keys that the configuration must state for a loader of the target to build this very model; nil removes one.
    func configurationChanges(for target: LoweringTarget) -> [(key: String, value: JSONValue?)]
    /// Lines for people on what versions of the target's loader make of the model.
    func notes(for target: LoweringTarget) -> [String]

    /// Adds inputs, the computation, layer outputs and outputs; outputs have the field names of the class of transformers.
    func build(_ builder: inout TransformerBuilder) throws

    /// What `Model.completed` promises.
    func completed(_ inputs: [String: Tensor]) throws -> (inputs: [String: Tensor], notes: [String])
}

/// A layer of a TensorFlow class: a group of `tf_model.h5`, with the variables that its layer owns or shares.
struct TensorFlowLayer: Hashable, Sendable {
    var name: String
    /// Variables whose paths start so, in this order.
    var paths: [String]

    init(_ name: String, _ paths: [String]) {
        self.name = name
        self.paths = paths
    }
}

extension TransformerFamily {
    static var tensorFlowClassNames: [String] { classNames }
    static var inertKeys: Set<String> { [] }
    static func isBuffer(_ name: String) -> Bool { false }
    static func className(_ config: TransformerConfig, stored: StoredNames) -> String { classNames[0] }
    var assumptions: [String] { [] }
    var ties: [Checkpoint.Tie] { [] }
    var probeSizes: [String: Int] { [:] }
    var tensorFlowScopes: [(prefix: String, scope: String)] { [] }
    static var tensorFlowConstants: [(key: String, value: JSONValue)] { [] }
    var tensorFlowObstacle: String? { nil }
    func notes(for target: LoweringTarget) -> [String] { [] }
    func configurationChanges(for target: LoweringTarget) -> [(key: String, value: JSONValue?)] { [] }

    /// One for each first component of a path.
    var tensorFlowLayers: [TensorFlowLayer] {
        var names: [String] = []
        for row in table.rows {
            guard let path = row.tensorFlow?.paths.first, let name = path.split(separator: "/").first.map(String.init) else { continue }
            if !names.contains(name) { names.append(name) }
        }
        return names.map { TensorFlowLayer($0, ["\($0)/"]) }
    }

    /// The canonical name of a row: with the base model's prefix where the class has a head.
    func canonicalName(_ row: TransformerParameter) -> String {
        row.isBase && !isBaseClass && !table.base.isEmpty ? "\(table.base).\(row.name)" : row.name
    }
}
