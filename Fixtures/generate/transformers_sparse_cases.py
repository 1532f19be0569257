"""Cases of Longformer, LED, GPT-Neo and Reformer; imported by transformers_cases."""

import numpy as np

from transformers_cases import case, tokens

# -- Longformer ------------------------------------------------------------------------------------


def longformer(**more):
    value = dict(vocab_size=53, hidden_size=12, num_hidden_layers=2, num_attention_heads=2, intermediate_size=19, max_position_embeddings=50,
                 type_vocab_size=2, attention_window=[4, 8], layer_norm_eps=1e-5, pad_token_id=1, bos_token_id=0, eos_token_id=2, sep_token_id=2)
    value.update(more)
    return value


def with_global(value, *positions):
    """Global tokens at these positions, a tuple for each row."""
    mask = np.zeros(value["input_ids"].shape, "int64")
    for row, at in enumerate(positions):
        mask[row, list(at)] = 1
    return value | {"global_attention_mask": mask}


def longformer_main(seed, batch=3, length=21):
    return with_global(tokens(seed, batch, length, types=2, mask="right", pad=1, low=3), (0, 7), (3,), ())


def longformer_variants(seed):
    short = tokens(seed + "/short", 2, 3, mask=None, low=3)
    inside = tokens(seed + "/inside", 3, 19)
    inside["input_ids"][0, 5:8] = 1  # padding under mask 1: only its positions change
    inside["input_ids"][1, 0] = 1
    inside["attention_mask"][0, 10:15] = 0  # real tokens under mask 0
    return {
        "": longformer_main(seed),
        "short": short,
        "short_global": with_global(tokens(seed + "/short_global", 2, 3, mask=None, low=3), (1,), (0, 2)),
        "window": tokens(seed + "/window", 2, 8, mask=None, low=3),
        "two_windows": with_global(tokens(seed + "/two_windows", 2, 16, mask=None, low=3), (9,), ()),
        "two_windows_local": tokens(seed + "/two_windows_local", 2, 16, mask="right", pad=1, low=3),
        "masked_inside": with_global(inside, (2, 12), (9,), (0, 17, 18)),  # row 0's second is global under mask 0
        "all_global": with_global(tokens(seed + "/all_global", 2, 13, low=3), tuple(range(13)), (0,)),
        "positions": with_global(tokens(seed + "/positions", 2, 11, positions=50), (4,), (10,)),
        "long": with_global(tokens(seed + "/long", 1, 45, mask=None, low=3), (20, 33)),
    }


def separators(value, *positions):
    """Three separators a row, as question answering wants: the question's end, and two before and after the context."""
    value["input_ids"][value["input_ids"] == 2] = 5
    for row, at in enumerate(positions):
        value["input_ids"][row, list(at)] = 2
    return value


def longformer_cases():
    case("longformer_model", "longformer", "LongformerModel", longformer(), longformer_variants("longformer_model"))
    case("longformer_one_window", "longformer", "LongformerModel", longformer(attention_window=6, num_hidden_layers=3, hidden_act="relu"),
         {"": longformer_main("longformer_one_window"), "two_windows": tokens("longformer_one_window/two", 2, 12, mask=None)},
         ("safetensors5",), init={"add_pooling_layer": False}, notes="attention_window is a number")
    case("longformer_small", "longformer", "LongformerModel", longformer(num_hidden_layers=1, attention_window=[4]), longformer_variants("longformer_small"), ("tf4",))
    case("longformer_twelve_layers", "longformer", "LongformerModel",
         longformer(hidden_size=6, intermediate_size=7, num_hidden_layers=12, attention_window=[6, 4, 8, 4, 6, 4, 8, 4, 6, 4, 8, 24]),
         {"": longformer_main("longformer_twelve_layers")}, init={"add_pooling_layer": False})
    one = dict(num_hidden_layers=1, attention_window=[6])
    local = lambda seed: tokens(seed, 3, 14, mask="right", pad=1, low=3)
    case("longformer_masked_lm", "longformer", "LongformerForMaskedLM", longformer(**one),
         {"": longformer_main("longformer_masked_lm"), "local": local("longformer_masked_lm/local")}, ("safetensors5", "bin4", "tf4"))
    case("longformer_sequence", "longformer", "LongformerForSequenceClassification", longformer(**one, num_labels=5),
         {"": local("longformer_sequence"), "global": longformer_main("longformer_sequence/global")}, ("safetensors5", "tf4"),
         notes="without global_attention_mask the first token is global")
    case("longformer_token", "longformer", "LongformerForTokenClassification", longformer(**one, num_labels=7),
         {"": longformer_main("longformer_token"), "local": local("longformer_token/local")})
    question = separators(local("longformer_question"), (4, 5, 9), (2, 7, 8), (6, 7, 8))
    case("longformer_question", "longformer", "LongformerForQuestionAnswering", longformer(**one),
         {"": question, "global": separators(longformer_main("longformer_question/global"), (4, 5, 9), (2, 7, 8), (6, 7, 8))},
         ("safetensors5", "tf4"), notes="without global_attention_mask all tokens before the first separator are global")
    choices = separators(tokens("longformer_multiple_choice", 6, 11, low=3, types=2, mask="right", pad=1), *[(3, 5, 6)] * 6)
    explicit = with_global(tokens("longformer_multiple_choice/global", 6, 11, low=3, types=2, mask="right", pad=1), (0,), (3, 4), (), (1,), (2,), (0, 9))
    grouped = lambda inputs: {k: v.reshape(2, 3, 11) for k, v in inputs.items()}
    case("longformer_multiple_choice", "longformer", "LongformerForMultipleChoice", longformer(**one),
         {"": grouped(choices), "global": grouped(explicit)}, ("safetensors5",), not_in_tf=("",),
         notes="without global_attention_mask all tokens after the first separator are global; in TensorFlow none")


# -- LED -------------------------------------------------------------------------------------------

def led(**more):
    value = dict(vocab_size=53, d_model=12, encoder_layers=1, decoder_layers=2, encoder_attention_heads=2, decoder_attention_heads=3, encoder_ffn_dim=19,
                 decoder_ffn_dim=17, max_encoder_position_embeddings=48, max_decoder_position_embeddings=20, attention_window=[6],
                 pad_token_id=1, bos_token_id=0, eos_token_id=2, decoder_start_token_id=2)
    value.update(more)
    return value


def led_inputs(seed, length=15, decoder=9, mask="right"):
    value = tokens(seed, 3, length, mask=mask, pad=1 if mask else None, low=3)
    target = tokens(seed + "/decoder", 3, decoder, mask="right" if mask else None, low=3)
    return value | {f"decoder_{k}": v for k, v in target.items()}


def led_variants(seed):
    return {"": with_global(led_inputs(seed), (0, 5), (2,), ()), "local": led_inputs(seed + "/local"),
            "ids_only": tokens(seed + "/ids", 2, 4, mask=None, low=3)}


def with_ends(value, *rows):
    """Tokens of rows are eos_token_id at the positions given: as many in each row."""
    for row, positions in enumerate(rows):
        value["input_ids"][row, list(positions)] = 2
    return value


def led_cases():
    case("led_model", "led", "LEDModel", led(encoder_layers=2, attention_window=[4, 8]), led_variants("led_model"), ("safetensors5",), not_in_tf=("ids_only",),
         notes="without decoder_input_ids: input_ids shifted right behind decoder_start_token_id")
    case("led_lm", "led", "LEDForConditionalGeneration", led(), led_variants("led_lm"), ("safetensors5", "bin4", "tf4"), not_in_tf=("ids_only",),
         notes="final_logits_bias is random")
    case("led_question", "led", "LEDForQuestionAnswering", led(activation_function="relu"), {"": led_variants("led_question")[""]})
    case("led_sequence", "led", "LEDForSequenceClassification", led(num_labels=4),
         {"": with_ends(with_global(led_inputs("led_sequence", 11, 11), (0,), (3, 4), ()), (2, 5), (0, 4), (3, 10)),
          "ids_only": with_ends(tokens("led_sequence/ids", 2, 8, mask=None, low=3), (7,), (2,))}, ("bin4",),
         notes="transformers 5 has no such class")


# -- GPT-Neo ---------------------------------------------------------------------------------------

def gpt_neo(**more):
    value = dict(vocab_size=53, hidden_size=12, num_layers=3, num_heads=2, attention_types=[[["global", "local"], 1], [["local"], 1]], window_size=4,
                 max_position_embeddings=40, intermediate_size=19, bos_token_id=52, eos_token_id=52)
    value.update(more)
    return value


def gpt_neo_cases():
    case("gpt_neo_model", "gpt_neo", "GPTNeoModel", gpt_neo(),
         {"": tokens("gpt_neo_model", mask="right"), "ids_only": tokens("gpt_neo_model/ids", 2, 3, mask=None),
          "types": tokens("gpt_neo_model/types", 2, 9, types=53, positions=40), "longest": tokens("gpt_neo_model/longest", 1, 40, mask=None),
          "left_padded": tokens("gpt_neo_model/left", 3, 9)})
    two = dict(num_layers=2, attention_types=[[["local", "global"], 1]])
    case("gpt_neo_lm", "gpt_neo", "GPTNeoForCausalLM", gpt_neo(**two, window_size=3), {"": tokens("gpt_neo_lm", mask="right")},
         ("safetensors5", "safetensors4", "bin4_buffers"))
    case("gpt_neo_lm_untied", "gpt_neo", "GPTNeoForCausalLM", gpt_neo(**two, tie_word_embeddings=False, intermediate_size=None, activation_function="relu"),
         {"": tokens("gpt_neo_lm_untied", mask="right")}, notes="intermediate_size not given: 4 hidden_size")
    case("gpt_neo_twelve_layers", "gpt_neo", "GPTNeoForCausalLM",
         gpt_neo(hidden_size=6, intermediate_size=7, num_layers=12, attention_types=[[["global", "local"], 5], [["local"], 2]]),
         {"": tokens("gpt_neo_twelve_layers", mask="right")})
    case("gpt_neo_sequence", "gpt_neo", "GPTNeoForSequenceClassification", gpt_neo(**two, num_labels=5, pad_token_id=7),
         {"": tokens("gpt_neo_sequence", 3, 9, mask="right", pad=7)})
    case("gpt_neo_token", "gpt_neo", "GPTNeoForTokenClassification", gpt_neo(**two, num_labels=7), {"": tokens("gpt_neo_token", mask="right")})
    case("gpt_neo_question", "gpt_neo", "GPTNeoForQuestionAnswering", gpt_neo(**two), {"": tokens("gpt_neo_question", mask="right")})


# -- Reformer --------------------------------------------------------------------------------------

def reformer(layers, **more):
    """Heads times head size isn't the hidden size; chunks of local and LSH layers differ, so lengths are padded to multiples of 12."""
    value = dict(attn_layers=layers, vocab_size=53, hidden_size=12, num_attention_heads=3, attention_head_size=5, feed_forward_size=17,
                 axial_pos_embds=True, axial_pos_shape=[8, 9], axial_pos_embds_dim=[5, 7], max_position_embeddings=72, local_attn_chunk_length=4,
                 lsh_attn_chunk_length=6, num_buckets=4, num_hashes=1, hash_seed=0, pad_token_id=0, eos_token_id=2)
    value.update(more)
    return value


def reformer_inputs(seed, *lengths, mask="mixed"):
    """Several lengths: multiples of what the chunks ask for, others, shorter than a chunk; the first also masked."""
    value = {"": tokens(seed, 2, lengths[0], mask=mask)}
    for length in lengths:
        value[f"length{length}"] = tokens(f"{seed}/{length}", 2, length, mask=None)
    return value


def reformer_cases():
    plain = dict(axial_pos_embds=False, max_position_embeddings=60)
    around = dict(local_num_chunks_before=1, local_num_chunks_after=1, lsh_num_chunks_before=1, lsh_num_chunks_after=1)
    # Seeds of the hashes differ, also beyond 32 bits; so do the sizes of the rotations: below 16 values, a multiple of 16 and not.
    case("reformer_local", "reformer", "ReformerModel", reformer(["local", "local"], **plain, **around), reformer_inputs("reformer_local", 16, 13, 3))
    case("reformer_lsh", "reformer", "ReformerModel", reformer(["lsh"], num_hashes=2, num_buckets=4), reformer_inputs("reformer_lsh", 24, 17, 5))
    case("reformer_mixed", "reformer", "ReformerModel",
         reformer(["local", "lsh", "lsh", "local"], num_buckets=[2, 4], num_hashes=3, hash_seed=1234567, chunk_size_feed_forward=3),
         reformer_inputs("reformer_mixed", 36, 31, 3))
    case("reformer_causal", "reformer", "ReformerModelWithLMHead",
         reformer(["lsh", "local", "lsh"], is_decoder=True, num_hashes=2, num_buckets=[4, 2], hash_seed=42, chunk_size_lm_head=2),
         reformer_inputs("reformer_causal", 24, 40, 4, mask="right"), ("safetensors5", "bin4"),
         notes="transformers 5 doesn't use lm_head.bias; 4.49 does, but loses it when it loads safetensors")
    case("reformer_around", "reformer", "ReformerForMaskedLM",
         reformer(["lsh", "local"], **plain, **around, hidden_act="gelu", layer_norm_eps=1e-6, num_buckets=8, hash_seed=4294967301),
         reformer_inputs("reformer_around", 36, 25))
    case("reformer_past_the_circle", "reformer", "ReformerModel",
         reformer(["local", "lsh"], **plain, local_num_chunks_before=5, local_num_chunks_after=4, lsh_num_chunks_before=4, lsh_num_chunks_after=3, hash_seed=5),
         reformer_inputs("reformer_past_the_circle", 24, 11), notes="more neighbours than chunks")
    case("reformer_buckets_unset", "reformer", "ReformerModel",
         reformer(["lsh", "lsh"], num_buckets=None, lsh_attn_chunk_length=2, num_hashes=2, hash_seed=7, num_attention_heads=2, attention_head_size=4),
         reformer_inputs("reformer_buckets_unset", 24, 15, 6, 60), notes="num_buckets follows from the first call's length; a new model for each input")
    case("reformer_few_rotations", "reformer", "ReformerModel",
         reformer(["lsh"], num_buckets=2, num_attention_heads=1, attention_head_size=7, hash_seed=-3, lsh_num_chunks_before=2), reformer_inputs("reformer_few_rotations", 24))
    case("reformer_sixteen_rotations", "reformer", "ReformerModel",
         reformer(["lsh"], num_buckets=8, num_attention_heads=2, attention_head_size=6, hash_seed=99, lsh_num_chunks_before=0), reformer_inputs("reformer_sixteen_rotations", 24))
    case("reformer_no_seed", "reformer", "ReformerModel", reformer(["lsh", "local"], hash_seed=None),
         {"": tokens("reformer_no_seed", 2, 4), "chunk": tokens("reformer_no_seed/chunk", 2, 3, mask=None)},
         notes="not longer than a chunk, so nothing is hashed")
    case("reformer_twelve_layers", "reformer", "ReformerModel",
         reformer(["local", "lsh"] * 6, hidden_size=6, axial_pos_embds_dim=[2, 4], feed_forward_size=7, num_attention_heads=2, attention_head_size=4),
         reformer_inputs("reformer_twelve_layers", 24))
    case("reformer_sequence", "reformer", "ReformerForSequenceClassification", reformer(["lsh", "local"], num_labels=5, num_hashes=2),
         reformer_inputs("reformer_sequence", 24, 9))
    case("reformer_question", "reformer", "ReformerForQuestionAnswering", reformer(["local", "lsh"], num_hashes=2), reformer_inputs("reformer_question", 24, 19))


longformer_cases()
led_cases()
gpt_neo_cases()
reformer_cases()
