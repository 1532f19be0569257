import ByteIO
import Conversion
import Executor
import FormatKit
import JSON
import ModelIR
import TestSupport
import Testing

@testable import Architectures

/// Every model that transformers wrote computes what transformers computed, as read and after each change of names.
@Suite struct TransformerTests {
    @Test func fixturesAreThere() {
        #expect(TransformerFixture.all.count > 200)
        #expect(TransformerFixture.supported.count > 100)
        for family in HuggingFaceArchitecture.families {
            for type in family.modelTypes where !["xlm-roberta", "camembert"].contains(type) {
                #expect(TransformerFixture.supported.contains { $0.architecture == type }, "\(type) has no fixture")
            }
        }
    }

    @Test(arguments: TransformerFixture.supported) func computesWhatTransformersDid(fixture: TransformerFixture) throws {
        let model = try fixture.model()
        #expect(model.className == fixture.className.replacing(/^TF/, with: ""))
        for backend in Backend.allCases { #expect(try fixture.differences(of: model, on: backend) == [], "\(backend)") }
        #expect(model.report.unknownKeys == [])
        #expect(!model.layers.isEmpty)
        #expect(Set(model.layers.flatMap(\.parameters)) == Set(model.parameters.map(\.name)))
    }

    /// To the other convention, or to PyTorch's own, and back: the same parameters bit for bit, and the same graph.
    @Test(arguments: TransformerFixture.models) func survivesBothConventions(fixture: TransformerFixture) throws {
        let model = try fixture.model()
        let pytorch = try lifted(model.lower(to: .pytorch))
        try expectSame(model, pytorch)
        #expect(pytorch.convention == .pytorch)
        let again = try lifted(pytorch.lower(to: .pytorch))
        try expectSame(model, again)
        guard let lowered = try? model.lower(to: .tensorflow) else {
            #expect(model.convention == .pytorch, "a TensorFlow file can't be written again")
            return
        }
        let tensorFlow = try lifted(lowered)
        #expect(tensorFlow.convention == .tensorflow)
        try expectSame(model, tensorFlow)
        try expectSame(model, lifted(tensorFlow.lower(to: .pytorch)))
        #expect(try fixture.differences(of: tensorFlow) == [])
    }

    /// What a TensorFlow class wrote is written again with the same groups, datasets, shapes and lists of names.
    @Test(arguments: TransformerFixture.models.filter { $0.dialect == "tf4" })
    func writesWhatTensorFlowWrote(fixture: TransformerFixture) throws {
        let model = try fixture.model()
        let written = try model.lower(to: .tensorflow).checkpoint
        let source = model.checkpoint
        let theirs = source.tensors.map { "\($0.name) \($0.tensor.shape)" }
        #expect(written.tensors.map { "\($0.name) \($0.tensor.shape)" }.sorted() == theirs.sorted())
        let owners = try #require(source.attributes.strings("layer_names")).filter { name in
            source.group(name)?.attributes.strings("weight_names")?.isEmpty == false
        }
        #expect(written.attributes.strings("layer_names")?.sorted() == owners.sorted())
        for name in owners {
            let names = try #require(written.group(name)?.attributes.strings("weight_names"))
            #expect(names.sorted() == source.group(name)?.attributes.strings("weight_names")?.sorted(), "\(name)")
        }
        #expect(written.attributes["backend"] == source.attributes["backend"])
        #expect(written.attributes["keras_version"] == source.attributes["keras_version"])
        #expect(written.group("top_level_model_weights") != nil)
    }

    /// Names and shapes of the classes of which there is no such file, as TensorFlow's classes write them.
    @Test func writesTheNamesOfEveryTensorFlowClass() throws {
        let names = try #require(try JSONValue.parse(Fixtures.bytes("transformers/tf_names.json")).object)
        var checked = 0
        for member in names.members {
            guard let fixture = TransformerFixture.models.first(where: { $0.className == member.key && $0.name == member.value["case"]?.string }),
                let layers = member.value["layers"]?.array
            else { continue }
            let written = try fixture.model().lower(to: .tensorflow).checkpoint
            let shapes = Dictionary(written.tensors.map { ($0.name, $0.tensor.shape) }, uniquingKeysWith: { first, _ in first })
            var wanted: [String: [Int]] = [:]
            for layer in layers {
                let group = try #require(layer[0]?.string)
                for weight in layer[1]?.array ?? [] {
                    wanted["\(group)/\(try #require(weight[0]?.string))"] = weight[1]?.array?.compactMap(\.int)
                }
            }
            #expect(shapes == wanted, "\(member.key)")
            checked += 1
        }
        #expect(checked > 5)
    }

    private func lifted(_ lowered: Lowered) throws -> TransformerModel {
        try #require(try HuggingFaceArchitecture.lift(lowered.checkpoint) as? TransformerModel)
    }

    private func expectSame(_ a: TransformerModel, _ b: TransformerModel) throws {
        #expect(a.className == b.className)
        #expect(a.parameters.map(\.name) == b.parameters.map(\.name))
        for (x, y) in zip(a.parameters, b.parameters) {
            #expect(x.tensor.shape == y.tensor.shape && x.tensor.dtype == y.tensor.dtype)
            #expect(try x.tensor.bytes() == y.tensor.bytes(), "\(x.name)")
        }
        #expect(b.report.unused == [])
        guard a.family != nil else { return }
        #expect(try a.graph() == b.graph())
    }
}
