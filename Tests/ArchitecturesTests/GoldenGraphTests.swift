import Conversion
import ModelIR
import TestSupport
import Testing

/// The graphs of models that cover the layers between them, as text; `INGOT_RENEW=1` writes them anew.
@Suite struct GoldenGraphTests {
    static let paths = [
        "keras2/keras2_conv1d_text.h5", "keras2/keras2_lstm_stacked_mask.h5", "keras2/keras2_gru_reset_before_sequences_mask.h5",
        "keras2/keras2_bidirectional_lstm_modes_mask.h5", "keras2/keras2_functional_nested.h5", "keras2/keras2_activation_classes.h5",
        "keras3/keras3_functional_shared.keras", "keras3/keras3_time_distributed_conv1d.weights.h5",
        "keras3/keras3_mask_through_layers.keras",
        "keras3/keras3_batch_normalization.h5", "keras2/keras2_rnn_stack_mask.h5", "keras3/keras3_transformer_block.keras",
        "keras2/keras2_ops_common.h5", "keras2/keras2_conv1d_transpose.h5",
    ]

    @Test(arguments: paths) func graphIsAsItWas(path: String) throws {
        let row = Fixtures.model(path)
        let graph = try ModelFile.open(row.absolutePath, configuration: row.configurationPath).requireModel().graph()
        #expect(try Golden.difference(graph.text, "graphs/\(row.name).txt") == nil)
        // The golden text is itself a graph.
        #expect(try Graph.parse(graph.text) == graph)
    }

    /// One model in all files that hold it has one graph.
    @Test(arguments: ["keras3_functional_small", "keras3_gru_basic", "keras3_lstm_mask"]) func dialectsAgree(name: String) throws {
        let rows = Fixtures.models.filter { $0.name == name }
        #expect(rows.count > 1)
        let texts = try rows.map { try ModelFile.open($0.absolutePath, configuration: $0.configurationPath).requireModel().graph().text }
        #expect(Set(texts).count == 1)
    }
}
