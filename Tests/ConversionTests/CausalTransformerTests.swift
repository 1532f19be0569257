import Architectures
import ByteIO
import Conversion
import Executor
import FormatKit
import ModelIR
import TestSupport
import Testing

/// GPT-2, T5, GPT-Neo and the Sparse Transformer compute what transformers, or the definition in torch, computed.
@Suite struct CausalTransformerTests {
    static let architectures: Set<String> = ["gpt2", "t5", "mt5", "umt5", "gpt_neo", "sparse_transformer"]
    static let dialects: Set<String> = ["safetensors5", "safetensors4", "tf4", "sparse_transformer"]
    static let fixtures = Fixtures.transformers.filter { architectures.contains($0.architecture) && dialects.contains($0.dialect) }

    @Test func fixturesAreThere() {
        #expect(Self.fixtures.count > 100)
        #expect(Set(Self.fixtures.map(\.architecture)) == Self.architectures)
    }

    @Test(arguments: fixtures) func computesWhatTheFrameworkDid(fixture: TransformerFixture) throws {
        let model = try fixture.model()
        #expect(model.report.unused == [])
        #expect(model.report.unknownKeys == [])
        for backend in Backend.allCases { #expect(try fixture.differences(of: model, on: backend) == [], "\(backend)") }
    }
}

extension TransformerFixture {
    func model() throws -> any Model {
        let names = ["model.safetensors", "tf_model.h5"]
        for name in names {
            guard let region = try? ByteRegion(path: "\(absolutePath)/\(name)") else { continue }
            let format = try #require(Registry.formats.first { $0.matches(region) })
            var checkpoint = try format.open(region, limits: Limits())
            checkpoint.documents.append(
                .init(name: "config.json", bytes: try ByteRegion(path: "\(absolutePath)/config.json").bytes()))
            return try #require(try HuggingFaceArchitecture.lift(checkpoint))
        }
        throw UnsupportedError("no weights in \(path)")
    }

    /// Outputs that aren't what the framework computed, one line each.
    func differences(of model: any Model, on backend: Backend) throws -> [String] {
        let graph = try model.graph()
        let given = Dictionary(uniqueKeysWithValues: try Arrays.read(Fixtures.path(inputs)).map { ($0.name, $0.tensor) })
        let inputs = try model.completed(given).inputs
        let expected = try Arrays.read(Fixtures.path(outputs))
        let parameters = Dictionary(model.parameters.map { ($0.name, $0.tensor) }, uniquingKeysWith: { first, _ in first })
        let result = try Executor.run(
            graph, parameters: parameters, inputs: inputs, options: ExecutionOptions(backend: backend, threadCount: 1))
        let actual = Dictionary(uniqueKeysWithValues: result.outputs.map { ($0.name, $0.tensor) })
        guard Set(actual.keys) == Set(expected.map(\.name)) else {
            return ["outputs \(actual.keys.sorted()), expected \(expected.map(\.name).sorted())"]
        }
        return try expected.compactMap { expected in
            guard let tensor = actual[expected.name] else { return "\(expected.name) is missing" }
            var (ours, theirs) = (tensor, expected.tensor)
            if hasUndefinedPositions, let mask = given["attention_mask"] {
                (ours, theirs) = (try ours.zeroed(where: mask), try theirs.zeroed(where: mask))
            }
            let comparison = try compare(ours, theirs, tolerance: Tolerance(absolute: 5e-5, relative: 0))
            return comparison.passes ? nil : "\(expected.name): \(comparison)"
        }
    }
}

extension Tensor {
    /// Zeros where a mask over the leading axes is 0; tensors of fewer axes as they are.
    fileprivate func zeroed(where mask: Tensor) throws -> Tensor {
        guard shape.starts(with: mask.shape), mask.count > 0 else { return self }
        let keep = try mask.doubles()
        let width = count / mask.count
        let values = try doubles().enumerated().map { keep[$0.offset / width] == 0 ? 0 : $0.element }
        return Tensor(values, dtype: dtype, shape: shape)
    }
}
