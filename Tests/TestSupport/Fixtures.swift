import ByteIO
import Glibc
import JSON
import ModelIR

/// The repository's fixtures, found from where this file lies.
public enum Fixtures {
    /// The folder that holds Package.swift.
    public static let repository: String = {
        var folder = splitPath(#filePath).directory
        while folder != "/" && access("\(folder)/Package.swift", R_OK) != 0 { folder = splitPath(folder).directory }
        return folder
    }()
    public static let folder = "\(repository)/Fixtures"

    /// The rows of `Fixtures/manifest.json`; empty if it can't be read, which a test of its own notices.
    public static let models: [FixtureModel] = rows("manifest.json").compactMap(FixtureModel.init)
    /// The rows of `Fixtures/invalid/manifest.json`.
    public static let invalid: [InvalidFixture] = rows("invalid/manifest.json").compactMap(InvalidFixture.init)

    /// Files of tensors without a model's inputs and outputs: the rows of these folders' own manifests, by their paths.
    public static let plain: [String] = ["safetensors", "pytorch"].flatMap { rows("\($0)/manifest.json") }.compactMap { $0["path"]?.string }

    public static func path(_ relative: String) -> String { "\(folder)/\(relative)" }
    public static func bytes(_ relative: String) throws -> [UInt8] { try ByteRegion(path: path(relative)).bytes() }

    /// The row of one file.
    /// - Precondition: there is one.
    public static func model(_ path: String) -> FixtureModel {
        guard let model = models.first(where: { $0.path == path }) else { preconditionFailure("no row for \(path)") }
        return model
    }

    static func rows(_ manifest: String) -> [JSONValue] {
        guard let bytes = try? bytes(manifest), let value = try? JSONValue.parse(bytes) else { return [] }
        return value.array ?? []
    }
}

/// A model file with inputs and the outputs that its framework computed.
public struct FixtureModel: Hashable, Sendable, CustomStringConvertible {
    public var name: String
    /// Relative to the fixtures' folder, as are the others.
    public var path: String
    /// `keras2-h5`, `keras2-weights`, `keras3-keras`, `keras3-h5`, `keras3-weights`.
    public var dialect: String
    public var inputs: String
    public var outputs: String
    public var configuration: String?

    init?(_ row: JSONValue) {
        guard let name = row["name"]?.string, let path = row["path"]?.string, let dialect = row["dialect"]?.string,
            let inputs = row["inputs"]?.string, let outputs = row["outputs"]?.string
        else { return nil }
        self.name = name
        self.path = path
        self.dialect = dialect
        self.inputs = inputs
        self.outputs = outputs
        configuration = row["config"]?.string
    }

    public var description: String { path }
    public var absolutePath: String { Fixtures.path(path) }
    public var configurationPath: String? { configuration.map { Fixtures.path($0) } }
}

/// A bad file, with the rule that refuses it.
public struct InvalidFixture: Hashable, Sendable, CustomStringConvertible {
    public var path: String
    public var format: String
    public var rule: String

    init?(_ row: JSONValue) {
        guard let path = row["path"]?.string, let format = row["format"]?.string, let rule = row["rule"]?.string else { return nil }
        self.path = path
        self.format = format
        self.rule = rule
    }

    public var description: String { path }
}
