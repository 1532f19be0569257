import ByteIO
import Conversion
import FormatKit
import Glibc
import JSON
import ModelIR
import SafetensorsFormat

/// A model of a well-known size with made-up weights, written as PyTorch and transformers write it, so that every peer opens the same file.
struct BenchModel {
    var name: String
    /// `config.json`; nil for a bare state dict.
    var configuration: JSONObject?
    /// Names, shapes, deviations and means of the weights.
    var weights: [(name: String, shape: [Int], deviation: Double, mean: Double)] = []

    /// The path that `ingot` and the peers are given.
    func path(in folder: String) -> String { configuration == nil ? "\(folder)/\(name).safetensors" : "\(folder)/\(name)" }

    /// Written where it is missing.
    func write(in folder: String) throws -> String {
        let path = path(in: folder)
        let file = configuration == nil ? path : "\(path)/model.safetensors"
        guard access(file, R_OK) != 0 else { return path }
        for directory in configuration == nil ? [folder] : [folder, path] { mkdir(directory, 0o777) }
        if let configuration {
            let config = try OutputFile(target: "\(path)/config.json", replacesExisting: true)
            try config.append(Array(JSONValue.object(configuration).serialized().utf8))
            try config.commit()
        }
        var checkpoint = Checkpoint(format: SafetensorsFormat.name)
        checkpoint.attributes = [Attribute("format", .text("pt"))]
        checkpoint.tensors = try weights.map {
            Checkpoint.Entry(
                name: $0.name, tensor: try BenchTensors.tensor(named: $0.name, shape: $0.shape, deviation: $0.deviation, mean: $0.mean))
        }
        let output = try OutputFile(target: file, replacesExisting: true)
        try SafetensorsFormat.write(checkpoint, to: output, options: WriteOptions())
        try output.commit()
        return path
    }

    mutating func add(_ name: String, _ shape: [Int], _ deviation: Double, mean: Double = 0) {
        weights.append((name, shape, deviation, mean))
    }

    /// PyTorch's Linear, [out, in].
    mutating func linear(_ name: String, _ input: Int, _ output: Int) {
        add("\(name).weight", [output, input], 1 / Double(input).squareRoot())
        add("\(name).bias", [output], 0.05)
    }

    mutating func norm(_ name: String, _ width: Int) {
        add("\(name).weight", [width], 0.1, mean: 1)
        add("\(name).bias", [width], 0.05)
    }

    static var bertBase: BenchModel { bert("bert-base", layers: 12, width: 768, heads: 12, inner: 3_072) }
    static var gpt2Small: BenchModel { gpt2("gpt2", layers: 12, width: 768, heads: 12) }
    static var t5Small: BenchModel { t5("t5-small", layers: 6, width: 512, heads: 8, inner: 2_048) }

    /// BERT without a head (Devlin et al. 2019).
    static func bert(_ name: String, layers: Int, width: Int, heads: Int, inner: Int, positions: Int = 512, vocabulary: Int = 30_522)
        -> BenchModel
    {
        var model = BenchModel(
            name: name,
            configuration: [
                "model_type": "bert", "architectures": ["BertModel"], "vocab_size": .int(vocabulary), "hidden_size": .int(width),
                "num_hidden_layers": .int(layers), "num_attention_heads": .int(heads), "intermediate_size": .int(inner),
                "hidden_act": "gelu", "max_position_embeddings": .int(positions), "type_vocab_size": 2, "layer_norm_eps": .double(1e-12),
                "pad_token_id": 0,
            ])
        for (table, rows) in [("word", vocabulary), ("position", positions), ("token_type", 2)] {
            model.add("embeddings.\(table)_embeddings.weight", [rows, width], 0.5)
        }
        model.norm("embeddings.LayerNorm", width)
        for layer in (0..<layers).map({ "encoder.layer.\($0)" }) {
            for part in ["query", "key", "value"] { model.linear("\(layer).attention.self.\(part)", width, width) }
            model.linear("\(layer).attention.output.dense", width, width)
            model.norm("\(layer).attention.output.LayerNorm", width)
            model.linear("\(layer).intermediate.dense", width, inner)
            model.linear("\(layer).output.dense", inner, width)
            model.norm("\(layer).output.LayerNorm", width)
        }
        model.linear("pooler.dense", width, width)
        return model
    }

    /// GPT-2 with its tied head (Radford et al. 2019); matrices are [in, out].
    static func gpt2(_ name: String, layers: Int, width: Int, heads: Int, positions: Int = 1_024, vocabulary: Int = 50_257) -> BenchModel {
        var model = BenchModel(
            name: name,
            configuration: [
                "model_type": "gpt2", "architectures": ["GPT2LMHeadModel"], "vocab_size": .int(vocabulary), "n_embd": .int(width),
                "n_layer": .int(layers), "n_head": .int(heads), "n_positions": .int(positions), "activation_function": "gelu_new",
                "layer_norm_epsilon": .double(1e-5),
            ])
        model.add("transformer.wte.weight", [vocabulary, width], 1 / Double(width).squareRoot())
        model.add("transformer.wpe.weight", [positions, width], 0.02)
        for layer in (0..<layers).map({ "transformer.h.\($0)" }) {
            for (part, input, output) in [
                ("attn.c_attn", width, 3 * width), ("attn.c_proj", width, width), ("mlp.c_fc", width, 4 * width),
                ("mlp.c_proj", 4 * width, width),
            ] {
                model.add("\(layer).\(part).weight", [input, output], 1 / Double(input).squareRoot())
                model.add("\(layer).\(part).bias", [output], 0.05)
            }
            model.norm("\(layer).ln_1", width)
            model.norm("\(layer).ln_2", width)
        }
        model.norm("transformer.ln_f", width)
        return model
    }

    /// T5 with its tied head (Raffel et al. 2020).
    static func t5(_ name: String, layers: Int, width: Int, heads: Int, inner: Int, vocabulary: Int = 32_128) -> BenchModel {
        var model = BenchModel(
            name: name,
            configuration: [
                "model_type": "t5", "architectures": ["T5ForConditionalGeneration"], "vocab_size": .int(vocabulary), "d_model": .int(width),
                "d_kv": .int(width / heads), "d_ff": .int(inner), "num_layers": .int(layers), "num_heads": .int(heads),
                "relative_attention_num_buckets": 32, "relative_attention_max_distance": 128, "feed_forward_proj": "relu",
                "layer_norm_epsilon": .double(1e-6), "pad_token_id": 0, "decoder_start_token_id": 0, "eos_token_id": 1,
                "tie_word_embeddings": true,
            ])
        model.add("shared.weight", [vocabulary, width], 1)
        let scale = 1 / Double(width).squareRoot()
        for stack in ["encoder", "decoder"] {
            for layer in 0..<layers {
                let block = "\(stack).block.\(layer).layer"
                let attentions = stack == "encoder" ? ["0.SelfAttention"] : ["0.SelfAttention", "1.EncDecAttention"]
                for (i, attention) in attentions.enumerated() {
                    // Scores aren't scaled: the queries' weights are.
                    model.add("\(block).\(attention).q.weight", [width, width], scale / Double(width / heads).squareRoot())
                    for part in ["k", "v", "o"] { model.add("\(block).\(attention).\(part).weight", [width, width], scale) }
                    if layer == 0 && i == 0 {
                        model.add("\(block).\(attention).relative_attention_bias.weight", [32, heads], 0.5)
                    }
                    model.add("\(block).\(i).layer_norm.weight", [width], 0.1, mean: 1)
                }
                let last = attentions.count
                model.add("\(block).\(last).DenseReluDense.wi.weight", [inner, width], scale)
                model.add("\(block).\(last).DenseReluDense.wo.weight", [width, inner], 1 / Double(inner).squareRoot())
                model.add("\(block).\(last).layer_norm.weight", [width], 0.1, mean: 1)
            }
            model.add("\(stack).final_layer_norm.weight", [width], 0.1, mean: 1)
        }
        return model
    }

    /// Layers of torch.nn's LSTM (4 gates), GRU (3) or RNN (1), in its own names.
    static func recurrent(
        _ name: String, gates: Int, layers: Int, features: Int, units: Int, isBidirectional: Bool = false
    ) -> BenchModel {
        var model = BenchModel(name: name)
        let directions = isBidirectional ? ["", "_reverse"] : [""]
        for layer in 0..<layers {
            let input = layer == 0 ? features : units * directions.count
            for direction in directions {
                let place = "l\(layer)\(direction)"
                model.add("weight_ih_\(place)", [gates * units, input], 1 / Double(input).squareRoot())
                model.add("weight_hh_\(place)", [gates * units, units], 0.6 / Double(units).squareRoot())
                model.add("bias_ih_\(place)", [gates * units], 0.1)
                model.add("bias_hh_\(place)", [gates * units], 0.1)
            }
        }
        return model
    }
}
