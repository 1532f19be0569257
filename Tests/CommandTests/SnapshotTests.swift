import ByteIO
import Glibc
import JSON
import TestSupport
import Testing

/// What the program prints, word for word; `INGOT_RENEW=1` writes it anew. It runs in the fixtures' folder, so that no path is a machine's.
@Suite struct SnapshotTests {
    struct Snapshot: Sendable, CustomStringConvertible {
        var name: String
        var arguments: [String]

        init(_ name: String, _ arguments: String) {
            self.name = name
            self.arguments = arguments.split(separator: " ").map(String.init)
        }

        var description: String { name }
    }

    static let snapshots: [Snapshot] =
        [Snapshot("help", "--help"), Snapshot("version", "--version")]
        + ["inspect", "convert", "run", "verify", "diff", "explain", "check", "formats"].map { Snapshot("help-\($0)", "\($0) --help") }
        + [
            Snapshot("formats", "formats"), Snapshot("formats-json", "formats --json"),
            Snapshot("inspect-keras2", "inspect keras2/keras2_lstm_trained.h5"),
            Snapshot("inspect-keras2-json", "inspect keras2/keras2_lstm_trained.h5 --json"),
            Snapshot("inspect-keras3", "inspect keras3/keras3_functional_small.keras --tensors --stats"),
            Snapshot("inspect-keras3-json", "inspect keras3/keras3_functional_small.keras --json --tensors --graph"),
            Snapshot("inspect-graph", "inspect keras2/keras2_conv1d_text.h5 --graph"),
            Snapshot("inspect-filter", "inspect keras2/keras2_lstm_trained.h5 --tensors --filter *lstm*"),
            Snapshot("inspect-unsupported", "inspect keras2/keras2_conv_lstm.h5"),
            Snapshot("inspect-longformer", "inspect transformers/longformer_small/tf4"),
            Snapshot("inspect-reformer", "inspect transformers/reformer_mixed/safetensors5 --filter *attention"),
            Snapshot("inspect-sparse", "inspect sparse/strided_heads/model"),
            Snapshot("inspect-sparse-json", "inspect sparse/fixed_merged/model --json --filter h.*"),
            Snapshot("inspect-plain", "inspect hdf5/groups.h5 --tensors"),
            Snapshot("explain-keras3", "explain keras2/keras2_lstm_hard_sigmoid_gates.h5 --for keras3"),
            Snapshot("explain-refused", "explain keras2/keras2_gru_reset_before_basic.h5 --for pytorch"),
            Snapshot("explain-json", "explain legacy/legacy_cudnn_lstm.h5 --for keras3 --json"),
            Snapshot("check", "check keras2/keras2_lstm_trained.h5"),
            Snapshot("check-json", "check invalid/keras/weight_not_finite.h5 --json"),
        ]

    @Test(arguments: snapshots) func isAsItWas(snapshot: Snapshot) throws {
        let result = try Tool.run(snapshot.arguments)
        #expect(result.code == (snapshot.name == "check-json" ? 1 : 0))
        #expect(result.errorText == "")
        #expect(!result.text.contains(Fixtures.repository))
        // As many threads as the machine has processors.
        let processors = "Threads to use. (default: \(sysconf(Int32(_SC_NPROCESSORS_ONLN))))"
        let text = result.text.replacing(processors, with: "Threads to use. (default: all)")
        #expect(try Golden.difference(text, "command/\(snapshot.name).txt") == nil)
        if snapshot.arguments.contains("--json") { _ = try JSONValue.parse(result.output) }
    }
}
