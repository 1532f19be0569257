import ByteIO
import JSON
import TestSupport
import Testing

/// Exit codes are part of the interface: 0 done, 1 a difference, 64 usage, 65 bad data, 66 no input, 69 unsupported, 73 can't write.
@Suite struct ExitCodeTests {
    struct Case: Sendable, CustomStringConvertible {
        var code: Int32
        var arguments: [String]
        /// Words of the one line on standard error.
        var words: String

        init(_ code: Int32, _ arguments: String, _ words: String = "") {
            self.code = code
            self.arguments = arguments.split(separator: " ").map(String.init)
            self.words = words
        }

        var description: String { "\(code): \(arguments.joined(separator: " "))" }
    }

    static let lstm = "keras2/keras2_lstm_basic.h5"

    static let failures = [
        Case(64, "nonsense"), Case(64, "inspect"), Case(64, "inspect \(lstm) --nonsense"), Case(64, "run \(lstm) --threads 0"),
        Case(64, "convert \(lstm)"), Case(64, "convert \(lstm) OUT/x.ingot --level 99"), Case(64, "verify \(lstm) --expect out.npz"),
        Case(65, "inspect invalid/hdf5/truncated_half.h5", "invalid/hdf5/truncated_half.h5: hdf5: truncated"),
        Case(65, "check invalid/hdf5/chunk_bad_deflate.h5", "filter-failed"), Case(65, "inspect invalid/hdf5/text.h5", "unknown-format"),
        Case(65, "convert invalid/keras/zip_crc.keras OUT/x.ingot", "zip-bad-crc"),
        Case(65, "run invalid/keras/units_other.h5", "weight-shape-mismatch"),
        Case(65, "run \(lstm) --inputs expected/keras2_functional_small.inputs.npz", "inputs don't fit the model"),
        Case(65, "run \(lstm) --inputs invalid/hdf5/text.h5"),
        Case(66, "inspect nowhere.h5", "nowhere.h5: can't open: No such file or directory"), Case(66, "run \(lstm) --inputs nowhere.npz"),
        Case(66, "verify \(lstm) nowhere.h5"), Case(66, "inspect generate", "holds no weights file"),
        Case(69, "run keras2/keras2_conv_lstm.h5", "'weather' is of the class ConvLSTM1D"),
        Case(69, "run keras2/keras2_weights_lstm.h5 --config OUT/none.json", ""),
        Case(69, "convert \(lstm) OUT/x.what", "--to takes one of ingot, hdf5, keras, keras-weights"),
        Case(69, "convert keras2/keras2_multi_head_attention_masks.h5 OUT/x.keras", "masks"),
        Case(69, "verify \(lstm)", "carries no proof"),
        Case(73, "convert \(lstm) OUT/there.h5", "exists already"), Case(73, "convert \(lstm) OUT/nowhere/x.ingot"),
        Case(73, "run \(lstm) --output OUT/there.h5", "exists already"),
    ].filter { !$0.arguments.contains("OUT/none.json") }

    @Test(arguments: failures) func failsWithItsCode(failure: Case) throws {
        let scratch = try TemporaryDirectory()
        let there = try scratch.write(Array("there".utf8), to: "there.h5")
        let result = try Tool.run(failure.arguments.map { $0.hasPrefix("OUT/") ? scratch.file(String($0.dropFirst(4))) : $0 })
        #expect(result.code == failure.code, "\(result.errorText)")
        // Results alone go to standard output, and there are none.
        #expect(result.text == "")
        #expect(result.errorText.contains(failure.words), "\(result.errorText)")
        if failure.code != 64 {
            #expect(result.errorText.hasPrefix("ingot: "))
            #expect(result.errorText.split(separator: "\n").count == 1, "\(result.errorText)")
        }
        #expect(scratch.names == ["there.h5"])
        #expect(try ByteRegion(path: there).bytes() == Array("there".utf8))
    }

    @Test func differencesAreOne() throws {
        let other = "keras2/keras2_lstm_sequences.h5"
        let models = try Tool.run(["verify", Self.lstm, other])
        #expect(models.code == 1)
        let document = try Tool.run(["verify", Self.lstm, other, "--json"])
        #expect(document.code == 1)
        #expect(try JSONValue.parse(document.output)["passes"]?.bool == false)
        let outputs = try Tool.run([
            "verify", Self.lstm, "--inputs", "expected/keras2_lstm_basic.inputs.npz", "--expect", "expected/keras2_lstm_basic.inputs.npz",
        ])
        #expect(outputs.code == 1 || outputs.code == 69, "\(outputs.errorText)")
        let report = try Tool.run(["check", "invalid/keras/weight_not_finite.h5"])
        #expect(report.code == 1)
        #expect(report.text.contains("not finite: 1 values of"))
        // No line is broken inside, or carries an escaped break.
        #expect(!models.text.contains("\\u{a}") && !outputs.text.contains("\\u{a}"))
    }

    @Test func directoriesAndConfigurations() throws {
        let scratch = try TemporaryDirectory()
        // What bare weights leave open has to be said.
        let open = try Tool.run(["run", "legacy/legacy_bare_open_gates.h5"])
        #expect(open.code == 69)
        #expect(open.errorText.contains("weights without a configuration") && open.errorText.contains("--assume recurrent_activation"))
        #expect(try Tool.run(["run", "legacy/legacy_bare_open_gates.h5", "--assume", "recurrent_activation=sigmoid"]).code == 0)
        #expect(try Tool.run(["run", "legacy/legacy_bare_open_gates.h5", "--assume", "recurrent_activation"]).code == 64)
        _ = try scratch.write(Fixtures.bytes("keras2/keras2_weights_lstm.h5"), to: "model.h5")
        let configured = try Tool.run(["run", scratch.path, "--config", "keras2/keras2_weights_lstm.json"])
        #expect(configured.code == 0)
        _ = try scratch.write(Fixtures.bytes("keras2/keras2_weights_lstm.json"), to: "config.json")
        let found = try Tool.run(["run", scratch.path])
        #expect(found.code == 0)
        #expect(found.text == configured.text)
    }
}
