import JSON

/// Models whose attention is sparse.
extension BenchModel {
    /// Longformer without pooler (Beltagy et al. 2020).
    static func longformer(_ name: String, layers: Int, width: Int, heads: Int, inner: Int, window: Int, positions: Int) -> BenchModel {
        let vocabulary = 50_265
        var model = BenchModel(
            name: name,
            configuration: [
                "model_type": "longformer", "architectures": ["LongformerModel"], "attention_window": .int(window),
                "vocab_size": .int(vocabulary), "hidden_size": .int(width), "num_hidden_layers": .int(layers),
                "num_attention_heads": .int(heads), "intermediate_size": .int(inner), "hidden_act": "gelu",
                "max_position_embeddings": .int(positions), "type_vocab_size": 1, "layer_norm_eps": .double(1e-5), "pad_token_id": 1,
            ])
        for (table, rows) in [("word", vocabulary), ("position", positions), ("token_type", 1)] {
            model.add("embeddings.\(table)_embeddings.weight", [rows, width], 0.5)
        }
        model.norm("embeddings.LayerNorm", width)
        for layer in (0..<layers).map({ "encoder.layer.\($0)" }) {
            for part in ["query", "key", "value", "query_global", "key_global", "value_global"] {
                model.linear("\(layer).attention.self.\(part)", width, width)
            }
            model.linear("\(layer).attention.output.dense", width, width)
            model.norm("\(layer).attention.output.LayerNorm", width)
            model.linear("\(layer).intermediate.dense", width, inner)
            model.linear("\(layer).output.dense", inner, width)
            model.norm("\(layer).output.LayerNorm", width)
        }
        return model
    }

    /// Reformer (Kitaev et al. 2020) as transformers configures it by default: six layers, local and LSH in turns, 12 heads of 64.
    static func reformer(_ name: String, rows: Int, columns: Int) -> BenchModel {
        let (width, attention, inner, vocabulary) = (256, 768, 512, 320)
        let layers = ["local", "lsh", "local", "lsh", "local", "lsh"]
        var model = BenchModel(
            name: name,
            configuration: [
                "model_type": "reformer", "architectures": ["ReformerModel"], "attn_layers": .array(layers.map { .string($0) }),
                "vocab_size": .int(vocabulary), "hidden_size": .int(width), "num_attention_heads": 12, "attention_head_size": 64,
                "feed_forward_size": .int(inner), "hidden_act": "relu", "axial_pos_embds": true,
                "axial_pos_shape": [.int(rows), .int(columns)], "axial_pos_embds_dim": [64, 192],
                "max_position_embeddings": .int(rows * columns), "local_attn_chunk_length": 64, "lsh_attn_chunk_length": 64,
                "num_buckets": .null, "num_hashes": 1, "hash_seed": 0, "layer_norm_eps": .double(1e-12), "pad_token_id": 0,
                "is_decoder": false,
            ])
        model.add("embeddings.word_embeddings.weight", [vocabulary, width], 1)
        model.add("embeddings.position_embeddings.weights.0", [rows, 1, 64], 0.5)
        model.add("embeddings.position_embeddings.weights.1", [1, columns, 192], 0.5)
        func matrix(_ name: String, _ input: Int, _ output: Int) {
            model.add("\(name).weight", [output, input], 1 / Double(input).squareRoot())
        }
        for (layer, kind) in layers.enumerated() {
            let prefix = "encoder.layers.\(layer)"
            model.norm("\(prefix).attention.layer_norm", width)
            for part in kind == "lsh" ? ["query_key", "value"] : ["query", "key", "value"] {
                matrix("\(prefix).attention.self_attention.\(part)", width, attention)
            }
            matrix("\(prefix).attention.output.dense", attention, width)
            model.norm("\(prefix).feed_forward.layer_norm", width)
            model.linear("\(prefix).feed_forward.dense.dense", width, inner)
            model.linear("\(prefix).feed_forward.output.dense", inner, width)
        }
        model.norm("encoder.layer_norm", 2 * width)
        return model
    }
}
