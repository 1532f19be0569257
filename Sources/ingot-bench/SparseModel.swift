import Architectures
import ByteIO
import Executor
import FormatKit
import ModelIR

/// A model of transformers whose attention is sparse, of a well-known size, with weights that its peer makes alike.
struct SparseModel {
    var name: String
    /// `config.json`.
    var configuration: String
    var vocabulary: Int
    var tokens: Int
    /// Tensors by their names in PyTorch.
    var shapes: [(name: String, shape: [Int])]
    /// Further inputs, [1, tokens]: 1 at these positions.
    var marked: [String: [Int]] = [:]

    /// Longformer-base (Beltagy et al. 2020) without pooler, windows of 512; the first token is global.
    static let longformerBase: SparseModel = {
        let (width, inner, layers) = (768, 3_072, 12)
        var shapes: [(name: String, shape: [Int])] = [
            ("embeddings.word_embeddings.weight", [50_265, width]), ("embeddings.position_embeddings.weight", [4_098, width]),
            ("embeddings.token_type_embeddings.weight", [1, width]),
        ]
        func linear(_ name: String, _ from: Int, _ to: Int) { shapes += [("\(name).weight", [to, from]), ("\(name).bias", [to])] }
        func norm(_ name: String) { shapes += [("\(name).weight", [width]), ("\(name).bias", [width])] }
        norm("embeddings.LayerNorm")
        for layer in 0..<layers {
            let prefix = "encoder.layer.\(layer)"
            for part in ["query", "key", "value", "query_global", "key_global", "value_global"] {
                linear("\(prefix).attention.self.\(part)", width, width)
            }
            linear("\(prefix).attention.output.dense", width, width)
            norm("\(prefix).attention.output.LayerNorm")
            linear("\(prefix).intermediate.dense", width, inner)
            linear("\(prefix).output.dense", inner, width)
            norm("\(prefix).output.LayerNorm")
        }
        return SparseModel(
            name: "longformer-base-4096",
            configuration: """
                {"model_type": "longformer", "architectures": ["LongformerModel"], "attention_window": 512, "vocab_size": 50265,
                 "hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12, "intermediate_size": 3072, "hidden_act": "gelu",
                 "max_position_embeddings": 4098, "type_vocab_size": 1, "layer_norm_eps": 1e-05, "pad_token_id": 1}
                """, vocabulary: 50_265, tokens: 4_096, shapes: shapes, marked: ["global_attention_mask": [0]])
    }()

    /// Reformer (Kitaev et al. 2020) as transformers configures it by default, with positions for 16384 tokens.
    static let reformer: SparseModel = {
        let (width, attention, inner) = (256, 768, 512)
        let layers = ["local", "lsh", "local", "lsh", "local", "lsh"]
        var shapes: [(name: String, shape: [Int])] = [
            ("embeddings.word_embeddings.weight", [320, width]), ("embeddings.position_embeddings.weights.0", [128, 1, 64]),
            ("embeddings.position_embeddings.weights.1", [1, 128, 192]),
        ]
        func norm(_ name: String, _ width: Int) { shapes += [("\(name).weight", [width]), ("\(name).bias", [width])] }
        for (layer, kind) in layers.enumerated() {
            let prefix = "encoder.layers.\(layer)"
            norm("\(prefix).attention.layer_norm", width)
            for part in kind == "lsh" ? ["query_key", "value"] : ["query", "key", "value"] {
                shapes.append(("\(prefix).attention.self_attention.\(part).weight", [attention, width]))
            }
            shapes.append(("\(prefix).attention.output.dense.weight", [width, attention]))
            norm("\(prefix).feed_forward.layer_norm", width)
            shapes += [
                ("\(prefix).feed_forward.dense.dense.weight", [inner, width]), ("\(prefix).feed_forward.dense.dense.bias", [inner]),
            ]
            shapes += [
                ("\(prefix).feed_forward.output.dense.weight", [width, inner]), ("\(prefix).feed_forward.output.dense.bias", [width]),
            ]
        }
        norm("encoder.layer_norm", 2 * width)
        let names = layers.map { "\"\($0)\"" }.joined(separator: ", ")
        return SparseModel(
            name: "reformer-16384",
            configuration: """
                {"model_type": "reformer", "architectures": ["ReformerModel"], "attn_layers": [\(names)], "vocab_size": 320,
                 "hidden_size": 256, "num_attention_heads": 12, "attention_head_size": 64, "feed_forward_size": 512, "hidden_act": "relu",
                 "axial_pos_embds": true, "axial_pos_shape": [128, 128], "axial_pos_embds_dim": [64, 192], "max_position_embeddings": 16384,
                 "local_attn_chunk_length": 64, "lsh_attn_chunk_length": 64, "num_buckets": null, "num_hashes": 1, "hash_seed": 0,
                 "layer_norm_eps": 1e-12, "pad_token_id": 0, "is_decoder": false}
                """, vocabulary: 320, tokens: 16_384, shapes: shapes)
    }()

    /// - Throws: `GraphError` if the model isn't recognised by its own names.
    func prepared(threads: Int) throws -> Workload.Prepared {
        var checkpoint = Checkpoint(format: "bench")
        checkpoint.documents = [Checkpoint.Document(name: "config.json", bytes: Array(configuration.utf8))]
        for (name, shape) in shapes {
            let scale = shape.count == 1 ? 0.2 : (12 / Double(shape.last ?? 1)).squareRoot()
            checkpoint.tensors.append(
                Checkpoint.Entry(name: name, tensor: BenchTensors.tensor(named: name, shape: shape, scale: scale)))
        }
        guard let model = try HuggingFaceArchitecture.lift(checkpoint) else { throw GraphError("\(name) isn't recognised") }
        var inputs = ["input_ids": Tensor((0..<tokens).map { Int64($0 * 7_919 % vocabulary) }, shape: [1, tokens])]
        for (input, positions) in marked {
            inputs[input] = Tensor((0..<tokens).map { Int64(positions.contains($0) ? 1 : 0) }, shape: [1, tokens])
        }
        let parameters = Dictionary(model.parameters.map { ($0.name, $0.tensor) }, uniquingKeysWith: { first, _ in first })
        return try Workload.prepared(model.graph(), parameters: parameters, inputs: model.completed(inputs).inputs, threads: threads)
    }
}
