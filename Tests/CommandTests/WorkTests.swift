import ByteIO
import Containers
import Conversion
import FormatKit
import JSON
import ModelIR
import TestSupport
import Testing

/// The commands do their work: files appear, results are right, and standard output holds results alone.
@Suite struct WorkTests {
    static let models = [
        "keras2/keras2_conv1d_text.h5", "keras3/keras3_functional_small.keras", "keras2/keras2_functional_repeated_output.h5",
    ]

    @Test(arguments: models, ["fast", "reference"]) func runWritesTheOutputs(path: String, backend: String) throws {
        let scratch = try TemporaryDirectory()
        let row = Fixtures.model(path)
        let out = scratch.file("out.npz")
        let result = try Tool.run(["run", path, "--inputs", row.inputs, "--output", out, "--backend", backend, "--threads", "1"])
        #expect(result.code == 0, "\(result.errorText)")
        let (found, expected) = (try NPZArchive.read(path: out), try NPZArchive.read(path: Fixtures.path(row.outputs)))
        #expect(found.map(\.name) == expected.map(\.name))
        for (a, b) in zip(found, expected) {
            #expect(a.tensor.shape == b.tensor.shape)
            let difference = try zip(a.tensor.doubles(), b.tensor.doubles()).map { abs($0 - $1) }.max() ?? 0
            #expect(difference <= 5e-5)
        }
        // Nothing is replaced unasked.
        #expect(try Tool.run(["run", path, "--inputs", row.inputs, "--output", out]).code == 73)
        #expect(try Tool.run(["run", path, "--inputs", row.inputs, "--output", out, "--force"]).code == 0)
    }

    /// Also where no layer looks: the optimizer's tensors are most of this file.
    @Test func verifyFindsEveryFlippedByte() throws {
        let scratch = try TemporaryDirectory()
        let path = scratch.file("model.ingot")
        #expect(try Tool.run(["convert", "keras2/keras2_lstm_trained.h5", path]).code == 0)
        let bytes = try ByteRegion(path: path).bytes()
        for position in stride(from: 0, to: bytes.count, by: max(1, bytes.count / 60)) {
            var flipped = bytes
            flipped[position] ^= 1 << UInt8(position % 8)
            let result = try Tool.run(["verify", try scratch.write(flipped, to: "flipped.ingot")])
            #expect(result.code == 65, "byte \(position): \(result.output)")
            #expect(result.errorText.contains("flipped.ingot"), "\(result.errorText)")
            let truncated = try scratch.write(Array(bytes.prefix(position)), to: "truncated.ingot")
            #expect(try Tool.run(["verify", truncated]).code == 65, "cut at \(position)")
        }
    }

    @Test func convertThenVerify() throws {
        let scratch = try TemporaryDirectory()
        let path = "keras2/keras2_lstm_trained.h5"
        for name in ["model.ingot", "model.keras", "again.h5"] {
            let converted = try Tool.run(["convert", path, scratch.file(name), "--json"])
            #expect(converted.code == 0, "\(converted.errorText)")
            let report = try JSONValue.parse(converted.output)
            #expect(report["written"]?.bool == true)
            #expect(report["verification"]?["passes"]?.bool == true)
            let verified = try Tool.run(["verify", path, scratch.file(name), "--json"])
            #expect(verified.code == 0)
            #expect(try JSONValue.parse(verified.output)["passes"]?.bool == true)
        }
        let proof = try Tool.run(["verify", scratch.file("model.ingot")])
        #expect(proof.code == 0)
        #expect(proof.text.contains("sketches agree"))
        #expect(try Tool.run(["check", scratch.file("model.ingot")]).text.contains("ok: fingerprint matches"))
        #expect(scratch.names == ["again.h5", "model.ingot", "model.keras"])
    }

    @Test func jsonAloneOnStandardOutput() throws {
        let scratch = try TemporaryDirectory()
        let path = "keras2/keras2_old_lstm_224tf_absent.h5"
        for arguments in [
            ["inspect", path, "--json", "--tensors", "--stats", "--graph"], ["run", path, "--json", "--repeat", "2"],
            ["convert", path, scratch.file("x.keras"), "--json"], ["check", path, "--json"], ["formats", "--json"],
            ["verify", path, path, "--json"],
        ] {
            let result = try Tool.run(arguments)
            #expect(result.code == 0, "\(arguments): \(result.errorText)")
            #expect(throws: Never.self, "\(arguments)") { try JSONValue.parse(result.output) }
        }
        // What was assumed is said beside the result, unless it is asked to be quiet.
        #expect(try Tool.run(["run", path, "--json"]).errorText.contains("recurrent_activation isn't stated"))
        #expect(try Tool.run(["run", path, "--json", "--quiet"]).errorText == "")
        let times = try JSONValue.parse(Tool.run(["run", path, "--json", "--quiet", "--repeat", "3"]).output)
        #expect(times["forward_ms"]?["median"]?.double ?? -1 > 0)
        #expect(times["load_ms"]?.double ?? -1 > 0)
        #expect(times["peak_rss_bytes"]?.int ?? 0 > 0)
    }

    @Test func probeOut() throws {
        let scratch = try TemporaryDirectory()
        let path = "keras3/keras3_functional_small.keras"
        let probe = scratch.file("probe.npz")
        let result = try Tool.run(["verify", path, "--probe-out", probe])
        #expect(result.code == 0, "\(result.errorText)")
        let graph = try ModelFile.open(Fixtures.path(path)).requireModel().graph()
        let arrays = try NPZArchive.read(path: probe)
        for name in graph.inputs.map(\.name) + graph.outputs.map(\.name) { #expect(arrays.contains { $0.name.hasSuffix(name) }, "\(name)") }
        #expect(arrays.count == graph.inputs.count + graph.outputs.count)
        #expect(try Tool.run(["verify", path, "--probe-out", probe]).code == 73)
        #expect(try Tool.run(["verify", path, "--probe-out", probe, "--force"]).code == 0)
    }

    /// No name in a file, and no file's name, can move the cursor.
    @Test func controlCharactersAreEscaped() throws {
        let scratch = try TemporaryDirectory()
        var checkpoint = Checkpoint(format: "hdf5")
        checkpoint.tensors = [.init(name: "evil\u{1B}[2J\nname", tensor: Tensor([Float](repeating: 1, count: 3), shape: [3]))]
        let format = try #require(Registry.format(named: "ingot"))
        let output = try OutputFile(target: scratch.file("evil.ingot"), replacesExisting: false)
        try format.write(checkpoint, to: output, options: WriteOptions())
        try output.commit()
        let result = try Tool.run(["inspect", "evil.ingot", "--tensors"], in: scratch.path)
        #expect(result.code == 0, "\(result.errorText)")
        #expect(!result.output.contains(0x1B))
        #expect(result.text.contains("evil\\u{1b}[2J\\u{a}name"))
        let missing = try Tool.run(["inspect", "no\u{1B}[2J\nfile"], in: scratch.path)
        #expect(missing.code == 66)
        #expect(!missing.errors.contains(0x1B))
        #expect(missing.errorText.split(separator: "\n").count == 1)
    }
}
