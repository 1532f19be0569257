import ByteIO
import Containers
import Conversion
import Executor
import FormatKit
import Glibc
import JSON
import ModelIR
import TestSupport

@testable import Architectures

/// A row of `Fixtures/transformers/manifest.json`, a model of transformers with inputs and what it computed, or of `sparse/manifest.json`,
/// where a definition in torch stands for transformers.
struct TransformerFixture: Hashable, Sendable, CustomStringConvertible {
    var name: String
    /// The model's folder.
    var path: String
    var dialect: String
    var architecture: String
    var className: String
    var inputs: String
    var outputs: String
    /// Whether rows that attend nothing are defined differently by implementations.
    var hasUndefinedPositions: Bool

    static let all: [TransformerFixture] = ["transformers/manifest.json", "sparse/manifest.json"].flatMap {
        manifest -> [TransformerFixture] in
        guard let bytes = try? Fixtures.bytes(manifest), let rows = try? JSONValue.parse(bytes).array else { return [] }
        return rows.compactMap { row -> TransformerFixture? in
            guard let name = row["name"]?.string, let path = row["path"]?.string, let dialect = row["dialect"]?.string,
                let architecture = row["architecture"]?.string, let className = row["class"]?.string,
                let inputs = row["inputs"]?.string, let outputs = row["outputs"]?.string
            else { return nil }
            return TransformerFixture(
                name: name, path: path, dialect: dialect, architecture: architecture, className: className, inputs: inputs,
                outputs: outputs, hasUndefinedPositions: row["padded_positions"]?.string == "undefined")
        }
    }

    /// Families that Ingot runs; the rest of the rows waits for theirs.
    static let supported = all.filter { row in
        HuggingFaceArchitecture.families.contains { $0.modelTypes.contains(row.architecture) } && row.weightsFile != nil
    }
    /// One row for each folder: the main inputs.
    static let models = supported.filter { row in row == supported.first { $0.path == row.path } }

    var description: String { "\(path) \(name)" }

    /// The weights, where they are one file of a format that Ingot reads.
    var weightsFile: String? {
        ["model.safetensors", "tf_model.h5", "pytorch_model.bin"].map { "\(Fixtures.path(path))/\($0)" }.first { file in
            guard access(file, R_OK) == 0, let region = try? ByteRegion(path: file) else { return false }
            return Registry.formats.contains { $0.matches(region) }
        }
    }

    func open() throws -> ModelFile {
        try ModelFile.open(weightsFile ?? Fixtures.path(path), configuration: "\(Fixtures.path(path))/config.json")
    }

    func model() throws -> TransformerModel {
        guard let model = try open().model as? TransformerModel else { throw UnsupportedError("\(path) is no model of transformers") }
        return model
    }

    static func arrays(_ path: String) throws -> [String: Tensor] {
        Dictionary(try NPZArchive.read(path: Fixtures.path(path)).map { ($0.name, $0.tensor) }, uniquingKeysWith: { first, _ in first })
    }

    /// What differs from what the framework computed, one line for each output.
    func differences(
        of model: TransformerModel, parameters: [Parameter]? = nil, graph: Graph? = nil, on backend: Backend = .fast
    ) throws -> [String] {
        let given = try Self.arrays(inputs)
        let expected = try Self.arrays(outputs)
        let values = Dictionary(
            (parameters ?? model.parameters).map { ($0.name, $0.tensor) }, uniquingKeysWith: { first, _ in first })
        let result = try Executor.run(
            graph ?? model.graph(), parameters: values, inputs: model.completed(given).inputs,
            options: ExecutionOptions(backend: backend, threadCount: 1))
        guard Set(result.outputs.map(\.name)) == Set(expected.keys) else {
            return ["outputs \(result.outputs.map(\.name)), expected \(expected.keys.sorted())"]
        }
        return try result.outputs.compactMap { output in
            guard let wanted = expected[output.name] else { return nil }
            return try difference(output.tensor, wanted, mask: given["attention_mask"]).map { "\(output.name): \($0)" }
        }
    }

    private func difference(_ actual: Tensor, _ expected: Tensor, mask: Tensor?) throws -> String? {
        guard actual.shape == expected.shape else { return "shape \(actual.shape), expected \(expected.shape)" }
        let (x, y) = (try actual.doubles(), try expected.doubles())
        // Places that hold no token, where they mean nothing.
        var counts: [Bool]?
        if hasUndefinedPositions, let mask, mask.shape.count == 2, expected.shape.first == mask.shape[0] {
            let values = try mask.doubles()
            let rows = expected.shape.count > 1 && expected.shape[1] == mask.shape[1] ? mask.count : mask.shape[0]
            let width = y.count / rows
            let isToken =
                rows == mask.count
                ? values.map { $0 != 0 }
                : (0..<rows).map { row in values[row * mask.shape[1]..<(row + 1) * mask.shape[1]].contains { $0 != 0 } }
            counts = isToken.flatMap { [Bool](repeating: $0, count: width) }
        }
        var worst = 0.0
        for i in x.indices where counts?[i] ?? true {
            guard x[i].isFinite else { return "element \(i) is \(x[i])" }
            worst = max(worst, abs(x[i] - y[i]))
        }
        return worst <= 5e-5 ? nil : "differs by \(worst)"
    }
}
