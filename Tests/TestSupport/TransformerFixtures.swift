import JSON

/// A model of transformers (or of its kind) with inputs and the outputs that its framework computed: a row of `transformers/manifest.json`
/// or `sparse/manifest.json`.
public struct TransformerFixture: Hashable, Sendable, CustomStringConvertible {
    public var name: String
    /// The model's folder, relative to the fixtures' folder, as are the others.
    public var path: String
    /// How it was saved: `safetensors5`, `tf4`, ...
    public var dialect: String
    /// `model_type`
    public var architecture: String
    /// The class that computed the outputs, without TensorFlow's prefix.
    public var className: String
    public var inputs: String
    public var outputs: String
    /// Whether some query attends nothing, where implementations differ: outputs count only where the mask is 1.
    public var hasUndefinedPositions: Bool

    init?(_ row: JSONValue) {
        guard let name = row["name"]?.string, let path = row["path"]?.string, let dialect = row["dialect"]?.string,
            let architecture = row["architecture"]?.string, let inputs = row["inputs"]?.string, let outputs = row["outputs"]?.string
        else { return nil }
        self.name = name
        self.path = path
        self.dialect = dialect
        self.architecture = architecture
        let named = row["class"]?.string ?? ""
        className = named.hasPrefix("TF") ? String(named.dropFirst(2)) : named
        self.inputs = inputs
        self.outputs = outputs
        hasUndefinedPositions = row["padded_positions"]?.string == "undefined"
    }

    public var description: String { "\(path) \(name)" }
    public var absolutePath: String { Fixtures.path(path) }
}

extension Fixtures {
    public static let transformers: [TransformerFixture] =
        (rows("transformers/manifest.json") + rows("sparse/manifest.json")).compactMap(TransformerFixture.init)
}
