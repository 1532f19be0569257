import Architectures
import ByteIO
import Conversion
import Executor
import TestSupport
import Testing

/// Weights without a configuration: what follows from them runs, what they leave open is asked for.
@Suite struct BareWeightsTests {
    private let open = "legacy/legacy_bare_open_gates.h5"
    private let unordered = "legacy/legacy_bare_simple.weights.h5"

    @Test func whatIsOpenIsAskedFor() throws {
        let file = try ModelFile.open(Fixtures.path(open))
        let error = #expect(throws: UnsupportedError.self) { try file.requireModel() }
        #expect(error?.description.contains("--assume lstm.recurrent_activation=sigmoid (TensorFlow 2) or hard_sigmoid") == true)
        #expect(try Inspection(file).notes.contains { $0.contains("recurrent_activation of layer 'lstm_1' is open") })
    }

    @Test func whatIsSettledRuns() throws {
        let model = Fixtures.model("legacy/legacy_bare_text.h5")
        for choices in [
            ["recurrent_activation": "sigmoid"], ["lstm.recurrent_activation": "sigmoid", "lstm_1.recurrent_activation": "sigmoid"],
        ] {
            let opened = try ModelFile.open(Fixtures.path(open), choices: choices).requireModel()
            // The generator made both of one model but for their weights.
            #expect(opened.layers.map(\.kind) == ["Embedding", "LSTM", "Dropout", "LSTM", "Dense"])
            #expect(opened.report.assumptions.contains { $0.contains("recurrent_activation sigmoid, as told") })
            _ = try opened.graph()
        }
        let other = try ModelFile.open(Fixtures.path(open), choices: ["recurrent_activation": "hard_sigmoid"]).requireModel()
        let same = try ModelFile.open(Fixtures.path(open), choices: ["recurrent_activation": "sigmoid"]).requireModel()
        #expect(try other.graph().firstDifference(from: same.graph()) != nil)
        #expect(try model.open().requireModel().report.assumptions.contains { $0.contains("activation linear is assumed for dense") })
    }

    @Test func expectedOutputsWithChoices() throws {
        for (path, choices) in [
            (open, ["recurrent_activation": "sigmoid"]),
            (unordered, ["order": "simple_rnn,gru,batch_normalization,global_average_pooling1d,dense"]),
        ] {
            let stem = String(path.dropFirst("legacy/".count).prefix { $0 != "." })
            let model = try ModelFile.open(Fixtures.path(path), choices: choices).requireModel()
            let graph = try model.graph()
            let inputs = try matchedInputs(Arrays.read(Fixtures.path("expected/\(stem).inputs.npz")), to: model, graph: graph).inputs
            let expected = try Arrays.read(Fixtures.path("expected/\(stem).outputs.npz"))
            let weights = Dictionary(uniqueKeysWithValues: model.parameters.map { ($0.name, $0.tensor) })
            let outputs = try Executor.run(graph, parameters: weights, inputs: inputs).outputs
            #expect(outputs.count == expected.count)
            for (actual, wanted) in zip(outputs, expected) {
                #expect(try compare(actual.tensor, wanted.tensor, tolerance: Tolerance(absolute: 5e-5, relative: 5e-5)).passes, "\(path)")
            }
        }
    }

    /// A `.weights.h5` of CuDNNLSTM alone: gates and biases are told, what a Bidirectional merges by is not.
    @Test func layersOfCuDNN() throws {
        let scratch = try TemporaryDirectory()
        let path = try scratch.write(Fixtures.bytes("legacy/legacy_cudnn_stack_lstm.weights.h5"), to: "bare.weights.h5")
        #expect(try ModelFile.open(path).model == nil)
        let model = try ModelFile.open(path, choices: ["merge_mode": "mul", "cu_dnnlstm_1.go_backwards": "true"]).requireModel()
        let whole = try ModelFile.open(Fixtures.path("legacy/legacy_cudnn_stack_lstm.keras")).requireModel()
        #expect(try model.parameters.map { try $0.tensor.bytes() } == whole.parameters.map { try $0.tensor.bytes() })
        #expect(try model.graph().nodes.map(\.op) == whole.graph().nodes.map(\.op))
    }

    /// Keras makes no Dropout without a rate.
    @Test func layersOfTrainingAreWrittenWhole() throws {
        let scratch = try TemporaryDirectory()
        _ = try Fixtures.model("legacy/legacy_bare_text.h5").convert(to: scratch.file("x.keras"))
        let document = try #require(try ModelFile.open(scratch.file("x.keras")).checkpoint.document("config.json"))
        let text = String(decoding: document.bytes, as: UTF8.self)
        #expect(text.contains(#""class_name": "Dropout", "config": {"name": "dropout", "trainable": true, "rate": 0.5}"#), "\(text)")
    }

    @Test func unknownChoicesAndOrdersAreRefused() throws {
        #expect(throws: InputError.self) {
            try ModelFile.open(Fixtures.path("legacy/legacy_bare_text.h5"), choices: ["nothing": "1"])
        }
        #expect(throws: InputError.self) { try ModelFile.open(Fixtures.path(unordered), choices: ["order": "gru,dense"]) }
        let error = #expect(throws: UnsupportedError.self) { try ModelFile.open(Fixtures.path(unordered)).requireModel() }
        #expect(error?.description.contains("more than one order of the layers fits") == true)
    }

    /// What was assumed goes into the .ingot, so that the file stands by itself.
    @Test func choicesStayWithTheFile() throws {
        let scratch = try TemporaryDirectory()
        _ = try convert(
            Fixtures.path(open), to: scratch.file("out.ingot"),
            options: ConversionOptions(threadCount: 1, choices: ["recurrent_activation": "hard_sigmoid"]))
        let written = try ModelFile.open(scratch.file("out.ingot"))
        #expect(try written.requireModel().report.assumptions.contains { $0.contains("recurrent_activation hard_sigmoid, as told") })
    }
}

/// Shards of Keras: index and files must agree in both directions.
@Suite struct KerasShardsTests {
    private static let stem = "legacy_sharded"
    private static let shards = (0..<5).map { "\(stem)_0000\($0).weights.h5" }

    /// A copy of the fixture with its index changed.
    private func copy(without missing: String? = nil, index change: (String) -> String = { $0 }) throws -> TemporaryDirectory {
        let scratch = try TemporaryDirectory()
        for name in Self.shards + ["\(Self.stem).json"] where name != missing {
            _ = try scratch.write(FixtureFiles.bytes("legacy/\(name)"), to: name)
        }
        let index = String(decoding: try FixtureFiles.bytes("legacy/\(Self.stem).weights.json"), as: UTF8.self)
        _ = try scratch.write(Array(change(index).utf8), to: "\(Self.stem).weights.json")
        return scratch
    }

    private func code(_ scratch: TemporaryDirectory) -> String? {
        do {
            _ = try ModelFile.open(scratch.file("\(Self.stem).weights.json"))
            return nil
        } catch let error as FormatError {
            return error.code.rawValue
        } catch {
            return "\(error)"
        }
    }

    @Test func wholeCopiesOpen() throws {
        let scratch = try copy()
        #expect(code(scratch) == nil)
        // A directory too, by the index and not by one of the shards.
        #expect(try ModelFile.open(scratch.path, configuration: scratch.file("\(Self.stem).json")).path.hasSuffix(".weights.json"))
    }

    @Test func disagreementsAreRefused() throws {
        #expect(code(try copy(without: Self.shards[2])) == "missing-shard")
        #expect(code(try copy { $0.replacing("_00003.weights.h5", with: "_00009.weights.h5") }) == "missing-shard")
        // A group that its shard doesn't hold, and a shard with a group that the index doesn't list there.
        #expect(code(try copy { $0.replacing("\"/layers/embedding/vars\"", with: "\"/layers/other/vars\"") }) == "shard-index-mismatch")
        #expect(code(try copy { $0.replacing("\"/layers/dense_1/vars\"", with: "\"/layers/dense/vars2\"") }) == "shard-index-mismatch")
        #expect(code(try copy { $0.replacing("\(Self.stem)_00000.weights.h5", with: "../\(Self.stem)_00000.weights.h5") }) == "shard-name")
        #expect(code(try copy { _ in "{\"weight_map\": {}}" }) == "bad-shard-index")
        #expect(code(try copy { _ in "{\"weight_map\": {\"/a\": [1]}}" }) == "bad-shard-index")
        #expect(code(try copy { _ in "[" }) == "bad-shard-index")
    }
}
