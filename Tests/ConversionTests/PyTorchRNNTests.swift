import Architectures
import ByteIO
import Conversion
import FormatKit
import ModelIR
import TestSupport
import Testing

/// Keras' recurrent stacks as state dicts of PyTorch, and back.
@Suite struct PyTorchRNNTests {
    /// Keras fixtures that are nothing but recurrent layers PyTorch can express.
    static let expressible = Fixtures.models.filter { model in
        // One has modules whose sizes leave their order open: it is written, and the proof then refuses it.
        guard model.dialect.hasPrefix("keras"), model.name != "keras2_short_names", let opened = try? model.open().model else {
            return false
        }
        return (try? opened.lower(to: .pytorch)) != nil
    }

    @Test func someAreExpressible() {
        let names = Self.expressible.map(\.name)
        #expect(names.contains("keras2_gru_sequences"), "\(names)")
        #expect(names.count > 10)
    }

    @Test(arguments: expressible) func thereAndBack(model: FixtureModel) throws {
        let scratch = try TemporaryDirectory()
        let options = ConversionOptions(naming: .pytorch, threadCount: 1, configuration: model.configurationPath)
        let report = try convert(model.absolutePath, to: scratch.file("state.safetensors"), options: options)
        #expect(report.verification?.passes == true)
        #expect(report.verification?.layers.contains { $0.isOutput } == true)
        let state = try ModelFile.open(scratch.file("state.safetensors"))
        #expect(state.checkpoint.tensors.allSatisfy { $0.name.contains("_l") })
        #expect(try state.requireModel().naming == "pytorch")
        // A bias of the states that is zero adds nothing: back in Keras every parameter has its own bits again.
        let back = try convert(
            scratch.file("state.safetensors"), to: scratch.file("back.keras"), options: ConversionOptions(threadCount: 1))
        #expect(back.verification?.passes == true)
        let original = try model.open().requireModel().parameters
        let returned = try ModelFile.open(scratch.file("back.keras")).requireModel().parameters
        #expect(original.count == returned.count)
        for (a, b) in zip(original, returned) where a.tensor.shape == b.tensor.shape {
            #expect(try a.tensor.bytes() == b.tensor.bytes(), "\(a.name)")
        }
    }

    @Test func whatPyTorchCannotExpressIsRefused() throws {
        let reasons = [
            "keras2_gru_reset_before_basic": "reset_after=False", "keras2_lstm_trained": "is no part of nn.RNN",
            "keras2_gru_hard_sigmoid_gates": "PyTorch's gates are sigmoid",
            "keras2_bidirectional_lstm_modes_mask": "layers don't form a chain",
        ]
        for (name, words) in reasons {
            let fixture = try #require(Fixtures.models.first { $0.name == name })
            let model = try fixture.open().requireModel()
            let error = #expect(throws: UnsupportedError.self, "\(name)") { try model.lower(to: .pytorch) }
            #expect(error?.description.contains(words) == true, "\(error?.description ?? name)")
        }
    }

    private func lift(_ tensors: [(String, [Int])]) throws -> (any Model)? {
        var checkpoint = Checkpoint(format: "safetensors")
        for (name, shape) in tensors {
            let count = shape.reduce(1, *)
            checkpoint.tensors.append(.init(name: name, tensor: Tensor((0..<count).map { Float($0 % 7) * 0.1 }, shape: shape)))
        }
        return try PyTorchRNNArchitecture.lift(checkpoint)
    }

    @Test func recognisedByShapes() throws {
        let lstm = [("weight_ih_l0", [20, 3]), ("weight_hh_l0", [20, 5]), ("bias_ih_l0", [20]), ("bias_hh_l0", [20])]
        #expect(try lift(lstm)?.layers.map(\.kind) == ["LSTM"])
        #expect(try lift([("a.b.weight_ih_l0", [15, 3]), ("a.b.weight_hh_l0", [15, 5])])?.layers.map(\.kind) == ["GRU"])
        #expect(try lift([("weight_ih_l0", [5, 3]), ("weight_hh_l0", [5, 5])])?.layers.map(\.kind) == ["SimpleRNN"])
        #expect(try lift([("fc.weight", [5, 3]), ("fc.bias", [5])]) == nil)
        let withMore = try #require(try lift(lstm + [("fc.weight", [2, 5])]))
        #expect(withMore.report.unused == ["fc.weight"])
        let projected = #expect(throws: UnsupportedError.self) { try lift(lstm + [("weight_hr_l0", [2, 5])]) }
        #expect(projected?.description.contains("proj_size") == true)
        for broken in [
            [lstm[0], ("weight_hh_l0", [20, 6])], Array(lstm[..<3]),
            [("weight_ih_l0", [20, 3]), ("weight_hh_l0", [20, 5]), ("weight_ih_l2", [20, 5])],
            [("weight_ih_l0", [10, 3]), ("weight_hh_l0", [10, 5])], lstm + [("weight_ih_l0_reverse", [20, 3])],
        ] {
            #expect(throws: FormatError.self, "\(broken)") { try lift(broken) }
        }
        // Two modules of one size may come in either order.
        let pair = ["a.", "b."].flatMap { prefix in [(prefix + "weight_ih_l0", [20, 5]), (prefix + "weight_hh_l0", [20, 5])] }
        let model = try #require(try lift(pair))
        #expect(throws: UnsupportedError.self) { try model.graph() }
    }
}
