import ByteIO
import Conversion
import FormatKit
import JSON
import ModelIR
import TestSupport
import Testing

/// What `explain` says is what the conversion does, in the words that the targets print.
@Suite struct ExplanationTests {
    private func explain(_ path: String, _ target: Explanation.Target) throws -> Explanation {
        let model = Fixtures.model(path)
        return try Explanation(try model.open(), for: target)
    }

    @Test func keras2ForKeras3() throws {
        let explanation = try explain("keras2/keras2_lstm_hard_sigmoid_gates.h5", .keras3)
        #expect(explanation.symptoms.contains { $0.message == "Unrecognized keyword arguments passed to LSTM: {'time_major': False}" })
        #expect(explanation.symptoms.contains { $0.message.isEmpty && $0.reason.contains("hard_sigmoid is clip(x/6 + 1/2)") })
        #expect(explanation.isConvertible && explanation.rewrites.count == 3 && explanation.rewrittenCount > 0)
        #expect(try #require(explanation.drift) < 1e-6)
        #expect(explanation.command?.contains("ingot convert") == true)
    }

    @Test func symptomsByFile() throws {
        let cases: [(String, Explanation.Target, String)] = [
            ("legacy/legacy_cudnn_lstm.h5", .keras3, "Unknown layer: 'CuDNNLSTM'"),
            ("legacy/legacy_cudnn_under_lstm.h5", .keras3, "Shape mismatch in layer"),
            ("keras1/keras1_text.h5", .keras3, "pop expected at most 1 argument, got 2"),
            ("keras1/keras1_merge.h5", .keras3, "Unknown layer: 'Merge'"),
            ("keras1/keras1_text.h5", .tfKeras, "('Keyword argument not understood:'"),
            ("keras3/keras3_dtype_bfloat16.h5", .keras3, "No cast function available."),
            ("keras3/keras3_functional_small.keras", .tfKeras, "Could not deserialize class 'Functional'"),
            ("keras3/keras3_functional_small.keras", .tfKeras, "Unrecognized keyword arguments: ['batch_shape', 'optional']"),
            ("keras2/keras2_names_odd.h5", .keras3, "cannot contain character `/`"),
            ("keras2/keras2_gru_basic.h5", .pytorch, "Missing key(s) in state_dict"),
        ]
        for (path, target, words) in cases {
            let messages = try explain(path, target).symptoms.map(\.message)
            #expect(messages.contains { $0.contains(words) }, "\(path): \(messages)")
        }
    }

    /// TensorFlow computes `channels_first` on CPUs with oneDNN alone; the words are what it prints without.
    @Test func channelsFirst() throws {
        let scratch = try TemporaryDirectory()
        let configuration: JSONValue = [
            "class_name": "Sequential",
            "config": [
                "name": "s",
                "layers": [
                    ["class_name": "InputLayer", "config": ["name": "x", "batch_input_shape": [.null, 3, 7], "dtype": "float32"]],
                    [
                        "class_name": "Conv1D",
                        "config": ["name": "conv", "filters": 4, "kernel_size": [2], "data_format": "channels_first", "use_bias": false],
                    ],
                ],
            ],
        ]
        var checkpoint = Checkpoint(format: "made")
        checkpoint.attributes = [
            Attribute("model_config", .text(configuration.serialized(.python))), Attribute("ingot_naming", .text("canonical")),
            Attribute("keras_version", .text("2.18.0")),
        ]
        checkpoint.tensors = [.init(name: "conv/kernel", tensor: Tensor([Double](repeating: 1, count: 24), dtype: .f32, shape: [2, 3, 4]))]
        let path = scratch.file("first.safetensors")
        let output = try OutputFile(target: path, replacesExisting: false)
        try #require(Registry.format(named: "safetensors")).write(checkpoint, to: output, options: WriteOptions())
        try output.commit()
        for target in [Explanation.Target.keras3, .tfKeras] {
            let symptom = try Explanation(ModelFile.open(path), for: target).symptoms.first { $0.reason.contains("channels_first") }
            #expect(symptom?.message == "The Conv2D op currently only supports the NHWC tensor format on the CPU")
            #expect(symptom?.places.isEmpty == false && symptom?.reason.contains("oneDNN") == true)
        }
        let last = try explain("keras2/keras2_conv2d.h5", .keras3)
        #expect(!last.symptoms.contains { $0.message.contains("NHWC") })
    }

    @Test func whatIsRefusedIsSaid() throws {
        let explanation = try explain("keras2/keras2_gru_reset_before_basic.h5", .pytorch)
        #expect(!explanation.isConvertible && explanation.command == nil)
        #expect(explanation.obstacles.contains { $0.contains("reset_after=False") })
        #expect(try explain("keras2/keras2_lstm_trained.h5", .transformers5).isConvertible == false)
    }

    @Test(arguments: ["keras2/keras2_gru_basic.h5", "keras3/keras3_lstm_basic.keras"]) func nothingStopsItsOwnEcosystem(path: String) throws
    {
        let explanation = try explain(path, path.hasPrefix("keras2") ? .tfKeras : .keras3)
        #expect(explanation.symptoms.isEmpty, "\(explanation.symptoms)")
        #expect(explanation.isConvertible && explanation.rewrites.isEmpty)
    }
}
