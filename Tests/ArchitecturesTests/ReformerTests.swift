import ByteIO
import Executor
import ModelIR
import TestSupport
import Testing

@testable import Architectures

@Suite struct ReformerTests {
    static let hashing = TransformerFixture.supported.filter { $0.buckets != nil }

    /// Every bucket of every layer, head, round and token is the one that transformers chose, by what either backend gives the layer.
    @Test(arguments: hashing) func bucketsAreTransformers(fixture: TransformerFixture) throws {
        let expected = try TransformerFixture.arrays(try #require(fixture.buckets))
        let model = try fixture.model()
        let graph = try model.graph()
        let inputs = try model.completed(TransformerFixture.arrays(fixture.inputs)).inputs
        let parameters = Dictionary(model.parameters.map { ($0.name, $0.tensor) }, uniquingKeysWith: { first, _ in first })
        var checked = 0
        for backend in Backend.allCases {
            for node in graph.nodes {
                guard case .composite(.lshAttention(let attention)) = node.op else { continue }
                let wanted = [NamedValue("vectors", node.inputs[0]), NamedValue("mask", node.inputs[2])]
                let result = try Executor.run(
                    graph, parameters: parameters, inputs: inputs, options: ExecutionOptions(backend: backend, threadCount: 1),
                    capturing: .values(wanted))
                let given = try result.captured.map { RealArray(shape: $0.tensor.shape, values: try $0.tensor.doubles()) }
                let theirs = try #require(expected["\(node.origin).self_attention"], "\(node.origin)")
                #expect(attention.hashed(given[0], mask: given[1]).map(Double.init) == (try theirs.doubles()), "\(node.origin), \(backend)")
                checked += 1
            }
        }
        #expect(checked == 2 * expected.count)
        #expect(checked > 0)
    }

    @Test func hashingFixturesAreThere() { #expect(Self.hashing.count > 15) }

    private func model(_ name: String) throws -> TransformerModel {
        try #require(TransformerFixture.models.first { $0.name == name }, "\(name)").model()
    }

    @Test func lengthsArePaddedOrRefused() throws {
        // Chunks of 6 and 4, 60 positions.
        let model = try model("reformer_around")
        func tokens(_ count: Int) -> Tensor { Tensor([Int64](repeating: 1, count: count), shape: [1, count]) }
        #expect(try model.completed(["input_ids": tokens(4)]).notes == [])
        #expect(try model.completed(["input_ids": tokens(24)]).notes == [])
        #expect(
            try model.completed(["input_ids": tokens(5)]).notes == [
                "5 tokens are padded to 12, a multiple of the chunks, and the outputs cut back"
            ])
        #expect(try model.completed(["input_ids": tokens(49)]).notes.count == 1)
        #expect(throws: InputError.self) { try model.completed(["input_ids": tokens(61)]) }
        #expect(throws: InputError.self) { try model.completed(["input_ids": tokens(25), "position_ids": tokens(25)]) }
        #expect(try model.completed(["input_ids": tokens(24), "position_ids": tokens(24)]).notes == [])
    }

    @Test func statesWhatIsLeftOpen() throws {
        #expect(try model("reformer_no_seed").report.assumptions.contains { $0.contains("hash_seed isn't set") })
        #expect(try model("reformer_lsh").report.assumptions == [])
        #expect(try model("reformer_around").report.assumptions == ["lm_head.bias isn't added to the logits: transformers 5 leaves it out"])
    }

    @Test func graphParsesBack() throws {
        for fixture in TransformerFixture.models where fixture.architecture == "reformer" {
            let graph = try fixture.model().graph()
            #expect(try Graph.parse(graph.text) == graph, "\(fixture)")
        }
    }
}
