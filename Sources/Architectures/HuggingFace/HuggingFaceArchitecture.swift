import ByteIO
import FormatKit
import ModelIR

/// Models of transformers: a configuration with a `model_type`, and weights named as PyTorch or TensorFlow name them.
public enum HuggingFaceArchitecture: Architecture {
    public static let name = "transformers"
    public static var summary: String {
        "Hugging Face models: \(families.flatMap { $0.modelTypes }.joined(separator: ", "))"
    }

    /// All families: the list to add to.
    static let families: [any TransformerFamily.Type] = [
        BERT.self, RoBERTa.self, DistilBERT.self, ELECTRA.self, ALBERT.self,
        GPT2.self, T5.self, MT5.self, UMT5.self,
        Longformer.self, LED.self, Reformer.self, SparseTransformer.self, GPTNeo.self,
    ]

    public static func lift(_ checkpoint: Checkpoint) throws -> (any Model)? {
        guard let config = try TransformerConfig(checkpoint) else { return nil }
        guard let family = families.first(where: { $0.modelTypes.contains(config.modelType) }) else { return nil }
        return try TransformerModel(config, family: family, checkpoint: checkpoint)
    }
}

/// Keys of configurations that no forward pass depends on.
enum TransformerKeys {
    static let inert: Set<String> = [
        "_attn_implementation", "_attn_implementation_autoset", "_name_or_path", "add_cross_attention_decoder", "architectures",
        "bad_words_ids", "begin_suppress_tokens",
        "chunk_size_feed_forward", "diversity_penalty", "do_sample", "dtype", "early_stopping", "encoder_no_repeat_ngram_size",
        "exponential_decay_length_penalty", "finetuning_task", "forced_bos_token_id", "forced_eos_token_id", "gradient_checkpointing",
        "id2label", "initializer_factor", "initializer_range", "label2id", "length_penalty", "max_length", "min_length", "model_type",
        "no_repeat_ngram_size", "num_beam_groups", "num_beams", "num_labels", "num_return_sequences", "output_attentions",
        "output_hidden_states", "output_past", "output_scores", "prefix", "problem_type", "remove_invalid_values", "repetition_penalty",
        "return_dict", "return_dict_in_generate", "sep_token_id", "suppress_tokens", "task_specific_params", "temperature",
        "tokenizer_class", "top_k", "top_p", "torch_dtype", "torchscript", "transformers_version", "typical_p", "use_bfloat16",
        "use_cache", "bos_token_id", "eos_token_id", "cls_token_id", "mask_token_id", "attention_dropout", "attention_probs_dropout_prob",
        "hidden_dropout_prob", "classifier_dropout", "auto_map",
    ]
}
