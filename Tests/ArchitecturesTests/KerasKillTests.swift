import Conversion
import Executor
import FormatKit
import JSON
import ModelIR
import TestSupport
import Testing

@testable import Architectures

/// Wrong readings of Keras models are noticed: each value that matters to a layer class is taken for another, each variable for another, and some
/// fixture must then give something else than its framework.
@Suite struct KerasKillTests {
    @Test func everyWrongReadingIsNoticed() throws {
        var killed: Set<KerasMutation> = []
        var alive: Set<KerasMutation> = []
        for fixture in Fixtures.models where ["keras2-h5", "keras3-keras"].contains(fixture.dialect) && !fixture.name.contains("dtype_") {
            let checkpoint = try ModelFile.open(fixture.absolutePath, configuration: fixture.configurationPath).checkpoint
            guard let model = try KerasArchitecture.lift(checkpoint) as? KerasModel, let graph = try? model.graph() else { continue }
            let expectation = try Expectation(fixture, model: model, graph: graph)
            let document = model.source.original
            let all = KerasMutation.values(in: document, generation: model.version.generation).union(KerasMutation.variables(of: model))
            for mutation in all.sorted(by: { $0.description < $1.description }) where !killed.contains(mutation) {
                let isNoticed: Bool
                switch mutation.kind {
                case .value, .argument: isNoticed = try expectation.isNoticed(checkpoint.with(mutation.applied(to: document)))
                case .swapped, .transposed, .gates, .zeroed: isNoticed = try !expectation.holds(graph, mutation.parameters(of: model))
                }
                if isNoticed {
                    killed.insert(mutation)
                    alive.remove(mutation)
                } else {
                    alive.insert(mutation)
                }
            }
        }
        #expect(killed.count > 400)
        let survivors = Set(alive.map(\.description)).subtracting(Self.inert)
        #expect(survivors.sorted() == [], "these may be read wrong unnoticed")
        #expect(Self.inert.subtracting(alive.map(\.description)).sorted() == [], "these are noticed by now")
        #expect(unseen(killed.union(alive)) == Self.unseen, "no fixture has another value of these keys than null")
    }

    /// Keys of the table that no mutation has touched.
    private func unseen(_ mutations: Set<KerasMutation>) -> [String] {
        var seen: Set<String> = []
        for mutation in mutations {
            if case .value(let key, _) = mutation.kind { seen.insert("\(mutation.className).\(key)") }
        }
        var result: [String] = []
        for (className, row) in KerasLayerTable.rows {
            for (key, meaning) in row.keys.merging(row.keras2Keys, uniquingKeysWith: { a, _ in a }).merging(
                row.keras3Keys, uniquingKeysWith: { a, _ in a })
            where (meaning == .modelled || meaning == .activation) && !seen.contains("\(className).\(key)") {
                result.append("\(className).\(key)")
            }
        }
        return result.sorted()
    }

    /// What makes no difference to a forward pass.
    private static let inert: Set<String> = [
        // Every run starts from states of zero.
        "GRU.stateful as true", "LSTM.stateful as false", "LSTM.stateful as true", "RNN.stateful as true",
        "SimpleRNN.stateful as true",
        // The layer after takes the first output.
        "RNN.return_state as true",
        // Softmax takes away what is added to all scores of a query.
        "MultiHeadAttention: key/bias zeroed",
        // Follows from the equation and the kernel.
        "EinsumDense.output_shape enlarged",
        // The order of axes that are reduced, the form in which a result is stored, the conjugate of what is real.
        "Min(axis) exchanged", "Sum(axis) exchanged", "math.reduce_min(axis) exchanged", "math.reduce_sum(axis) exchanged",
        "OneHot(sparse) as true", "compat.v1.transpose(conjugate) as true",
        // How many samples the statistics are of.
        "Normalization: count zeroed",
    ]

    /// Keys that fixtures have null, or that hold words for which there is no other.
    private static let unseen: [String] = [
        "BatchNormalization.virtual_batch_size", "EinsumDense.bias_axes", "EinsumDense.equation",
        "RNN.num_constants", "StackedRNNCells.reverse_state_order",
    ]
}

/// What a framework computed, with the inputs that it was given.
private struct Expectation {
    let inputs: [String: Tensor]
    let outputs: [(name: String, tensor: Tensor)]

    init(_ fixture: FixtureModel, model: KerasModel, graph: Graph) throws {
        inputs = try matchedInputs(Arrays.read(Fixtures.path(fixture.inputs)), to: model, graph: graph).inputs
        outputs = try Arrays.read(Fixtures.path(fixture.outputs))
    }

    /// Whether a file is refused, or computes something else.
    func isNoticed(_ checkpoint: Checkpoint) throws -> Bool {
        guard let model = try? KerasArchitecture.lift(checkpoint) as? KerasModel, let graph = try? model.graph() else { return true }
        return try !holds(graph, Dictionary(model.parameters.map { ($0.name, $0.tensor) }, uniquingKeysWith: { first, _ in first }))
    }

    func holds(_ graph: Graph, _ parameters: [String: Tensor]) throws -> Bool {
        guard
            let result = try? Executor.run(
                graph, parameters: parameters, inputs: inputs, options: ExecutionOptions(backend: .fast, threadCount: 1)),
            result.outputs.map(\.name) == outputs.map(\.name)
        else { return false }
        let tolerance = Tolerance(absolute: 5e-5, relative: 5e-5)
        return try zip(result.outputs, outputs).allSatisfy { try compare($0.tensor, $1.tensor, tolerance: tolerance).passes }
    }
}

extension Checkpoint {
    /// The same weights with another configuration.
    fileprivate func with(_ configuration: JSONValue) -> Checkpoint {
        var result = self
        let text = configuration.serialized(.python)
        for i in result.attributes.indices where result.attributes[i].name == "model_config" { result.attributes[i].value = .text(text) }
        for i in result.documents.indices where result.documents[i].name == "config.json" { result.documents[i].bytes = Array(text.utf8) }
        return result
    }
}
