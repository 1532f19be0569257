import ModelIR

/// One parameter of a model: a row of its family's name table, with a column for each naming convention.
struct TransformerParameter: Hashable, Sendable {
    /// Where TensorFlow keeps it.
    struct TensorFlowCell: Hashable, Sendable {
        /// Paths below the model's own scope, without `:0`, the one that is written first: `bert/encoder/layer_._0/attention/self/query/kernel`.
        var paths: [String]
        /// From PyTorch's layout to TensorFlow's.
        var layout: Layout
    }

    /// Canonical name: PyTorch's of today. Of the base model as the base class alone has it, without the prefix of the models with a head.
    var name: String
    /// In PyTorch's layout.
    var shape: [Int]
    /// Whether it belongs to the base model, whose parameters models with a head keep under a prefix.
    var isBase: Bool
    /// Its name in PyTorch files, where that isn't the canonical one.
    var pytorchName: String?
    /// Names that older versions gave it in PyTorch files, without the base model's prefix.
    var legacyNames: [String] = []
    /// nil where the TensorFlow class has no such parameter.
    var tensorFlow: TensorFlowCell?
}

/// The name table of one model, in PyTorch's order of parameters.
struct TransformerTable: Sendable {
    private(set) var rows: [TransformerParameter] = []
    /// Prefix of the base model's parameters in models with a head, and its scope in TensorFlow: `bert`.
    let base: String
    /// Whether rows that are added belong to the base model.
    var isBase = true
    /// Where TensorFlow keeps what is added next, for scopes that don't follow from PyTorch's name: `cls` -> `mlm___cls`.
    var tensorFlowScopes: [String: String] = [:]

    /// What stands between a list's name and an index in TensorFlow; BART and its relatives write `layers.0`.
    var tensorFlowIndexMark = "_._"

    init(base: String) { self.base = base }

    mutating func add(_ row: TransformerParameter) { rows.append(row) }

    /// y = x W^T + b: weight [output, input], bias [output]; TensorFlow's kernel is transposed.
    mutating func linear(_ name: String, _ input: Int, _ output: Int, hasBias: Bool = true) {
        add(parameter("\(name).weight", [output, input], tensorFlow: "kernel", .transposedMatrix))
        if hasBias { add(parameter("\(name).bias", [output], tensorFlow: "bias", .same)) }
    }

    /// GPT's Conv1D, y = x W + b: weight [input, output], bias [output]; TensorFlow has the same weight and a bias of [1, output].
    mutating func conv1D(_ name: String, _ input: Int, _ output: Int) {
        add(parameter("\(name).weight", [input, output], tensorFlow: "weight", .same))
        add(parameter("\(name).bias", [output], tensorFlow: "bias", .reshaped(from: [output], to: [1, output])))
    }

    /// A table [rows, columns]; TensorFlow calls it `weight`, or `embeddings` where Keras' own layer is used.
    mutating func embedding(_ name: String, _ count: Int, _ size: Int, tensorFlow leaves: [String] = ["embeddings", "weight"]) {
        var row = parameter("\(name).weight", [count, size], tensorFlow: leaves[0], .same)
        row.tensorFlow?.paths = leaves.map { tensorFlowPath(name, $0) }
        add(row)
    }

    /// Scale `weight` and offset `bias`; `gamma` and `beta` in TensorFlow and, of models that are that old, in the oldest PyTorch files.
    mutating func layerNorm(_ name: String, _ size: Int, hasLegacyNames: Bool = true) {
        for (leaf, old) in [("weight", "gamma"), ("bias", "beta")] {
            var row = parameter("\(name).\(leaf)", [size], tensorFlow: old, .same)
            if hasLegacyNames { row.legacyNames = ["\(name).\(old)"] }
            add(row)
        }
    }

    /// A parameter whose TensorFlow path follows from its name but for the last component.
    func parameter(_ name: String, _ shape: [Int], tensorFlow leaf: String, _ layout: Layout) -> TransformerParameter {
        let module = name.split(separator: ".").dropLast().joined(separator: ".")
        return TransformerParameter(
            name: name, shape: shape, isBase: isBase,
            tensorFlow: .init(paths: [tensorFlowPath(module, leaf)], layout: layout))
    }

    /// `encoder.layer.0.output` -> `bert/encoder/layer_._0/output`: TensorFlow writes a list's index behind `_._`.
    func tensorFlowPath(_ module: String, _ leaf: String) -> String {
        var parts: [String] = isBase && !base.isEmpty ? [base] : []
        for part in module.split(separator: ".").map(String.init) {
            if part.allSatisfy(\.isNumber), let last = parts.last {
                parts[parts.count - 1] = "\(last)\(tensorFlowIndexMark)\(part)"
            } else {
                parts.append(part)
            }
        }
        if let first = parts.first, let scope = tensorFlowScopes[first] { parts[0] = scope }
        return (parts + [leaf]).joined(separator: "/")
    }
}
