import ByteIO
import ModelIR

/// Rows of attention and einsum layers, and of the cells inside RNN.
extension KerasLayerTable {
    private static let projection: [String: Key] = [
        "use_bias": .modelled, "kernel_initializer": .initializer, "bias_initializer": .initializer, "kernel_regularizer": .regularizer,
        "bias_regularizer": .regularizer, "activity_regularizer": .regularizer, "kernel_constraint": .constraint,
        "bias_constraint": .constraint,
    ]

    static let attentionLayers: [String: KerasLayerTable] = [
        "Attention": KerasLayerTable(
            { try AttentionLayer($0) }, ["use_scale": .modelled, "score_mode": .modelled, "dropout": .inert],
            keras2: ["causal": .modelled], keras3: ["seed": .inert]),
        "AdditiveAttention": KerasLayerTable(
            { try AttentionLayer($0) }, ["use_scale": .modelled, "dropout": .inert], keras2: ["causal": .modelled],
            keras3: ["seed": .inert]),
        "MultiHeadAttention": KerasLayerTable(
            { try MultiHeadAttentionLayer($0) },
            projection.merging([
                "num_heads": .modelled, "key_dim": .modelled, "value_dim": .modelled, "dropout": .modelled, "output_shape": .modelled,
                "attention_axes": .modelled,
            ]) { a, _ in a },
            keras2: ["query_shape": .inert, "key_shape": .inert, "value_shape": .inert],
            keras3: ["seed": .inert, "sliding_window": .modelled, "use_gate": .modelled, "flash_attention": .inert]),
        "EinsumDense": KerasLayerTable(
            { try EinsumDenseLayer($0) },
            projection.filter { $0.key != "use_bias" }.merging([
                "equation": .modelled, "output_shape": .modelled, "bias_axes": .modelled, "activation": .activation,
            ]) { a, _ in a },
            keras3: ["quantization_config": .inert, "lora_rank": .inert]),
    ]

    private static let cell: [String: Key] = [
        "units": .inert, "activation": .activation, "use_bias": .modelled, "kernel_initializer": .initializer,
        "recurrent_initializer": .initializer, "bias_initializer": .initializer, "kernel_regularizer": .regularizer,
        "recurrent_regularizer": .regularizer, "bias_regularizer": .regularizer, "kernel_constraint": .constraint,
        "recurrent_constraint": .constraint, "bias_constraint": .constraint, "dropout": .inert, "recurrent_dropout": .inert,
    ]

    private static func cell(_ more: [String: Key]) -> KerasLayerTable {
        KerasLayerTable(
            { throw UnsupportedError("layer '\($0.name)' is the cell \($0.spec.className), which isn't a layer by itself") },
            cell.merging(more) { a, _ in a }, keras2: ["implementation": .inert], keras3: ["seed": .inert])
    }

    /// What stands inside RNN; no layers by themselves.
    static let cells: [String: KerasLayerTable] = [
        "SimpleRNNCell": cell([:]), "LSTMCell": cell(["recurrent_activation": .activation, "unit_forget_bias": .inert]),
        "GRUCell": cell(["recurrent_activation": .activation, "reset_after": .modelled]),
        "StackedRNNCells": KerasLayerTable(
            { throw UnsupportedError("layer '\($0.name)' is StackedRNNCells, which aren't a layer by themselves") },
            ["cells": .layer], keras2: ["reverse_state_order": .modelled]),
    ]
}
