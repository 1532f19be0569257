import ByteIO
import Containers
import Conversion
import Executor
import FormatKit
import ModelIR
import TestSupport

@testable import Architectures

extension TransformerFixture {
    /// Rows of families that Ingot runs.
    static let supported = Fixtures.transformers.filter { row in
        HuggingFaceArchitecture.families.contains { $0.modelTypes.contains(row.architecture) }
    }
    /// One row for each folder: the main inputs.
    static let models: [TransformerFixture] = {
        var seen: Set<String> = []
        return supported.filter { seen.insert($0.path).inserted }
    }()

    func model() throws -> TransformerModel {
        guard let model = try ModelFile.open(absolutePath).model as? TransformerModel else {
            throw UnsupportedError("\(path) is no model of transformers")
        }
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
