"""The cases of Transformer fixtures: configurations, classes, inputs. No framework is imported here."""

from dataclasses import dataclass, field

import numpy as np

from common import rng_for

CASES = {}
# How a model is saved: by transformers 5, by 4.49's PyTorch classes (safetensors, zip, legacy pickle), by its TensorFlow classes; in shards.
ALL = ("safetensors5", "safetensors4", "bin4", "tf4")


@dataclass
class Case:
    name: str
    architecture: str
    cls: str
    config: dict
    inputs: dict
    sources: tuple
    init: dict = field(default_factory=dict)
    notes: str = ""
    options: dict = field(default_factory=dict)

    def padded_positions(self, variant):
        """meaningful: outputs at masked positions are defined too; undefined: some query attends nothing, where implementations differ: compare only
        where attention_mask is 1."""
        local = self.architecture == "gpt_neo" and "attention_mask" in self.inputs[variant]
        return "undefined" if variant in ("left_padded", "masked_row") or local else "meaningful"


def case(name, architecture, cls, config, inputs, sources=("safetensors5",), notes="", init=None, **options):
    """`inputs`: {variant: {name: array}}; the variant "" is the main one. `options`: what the generators must do about it."""
    assert name not in CASES, name
    CASES[name] = Case(name, architecture, cls, dict(config), inputs, tuple(sources), init or {}, notes, options)


# -- inputs ----------------------------------------------------------------------------------------

def token_ids(rng, batch, length, vocabulary, low=0):
    """Ids that reach both ends of the vocabulary."""
    value = rng.integers(low, vocabulary, (batch, length)).astype("int64")
    if length > 2:
        value[0, 1], value[-1, 0] = vocabulary - 1, low
    return value


def padding_mask(batch, length, kind="mixed"):
    """Row 0 whole; the others padded at the right, at the left (mixed) and in the middle, in turns."""
    mask = np.ones((batch, length), "int64")
    for row in range(1, batch):
        count = max(1, length // 3) + row % 2
        if kind == "right" or row % 3 == 1:
            mask[row, length - count:] = 0
        elif row % 3 == 2:
            mask[row, :count] = 0
        else:
            mask[row, 1:1 + count] = 0
    return mask


def tokens(seed, batch=3, length=13, vocabulary=53, types=0, mask="mixed", positions=0, pad=None, low=0, shape=None):
    """Inputs of an encoder or decoder; `pad`: masked places hold this id."""
    rng = rng_for(seed)
    value = {"input_ids": token_ids(rng, batch, length, vocabulary, low)}
    if mask:
        value["attention_mask"] = padding_mask(batch, length, mask)
        if pad is not None:
            value["input_ids"][value["attention_mask"] == 0] = pad
    if types:
        value["token_type_ids"] = rng.integers(0, types, (batch, length)).astype("int64")
    if positions:
        value["position_ids"] = np.stack([rng.permutation(positions)[:length] for _ in range(batch)]).astype("int64")
    if shape:
        value = {k: v.reshape(shape + (length,)) for k, v in value.items()}
    return value


def masked_row(value):
    """The last row is masked as a whole."""
    value["attention_mask"][-1] = 0
    return value


# -- BERT and relatives ----------------------------------------------------------------------------

def bert(**more):
    value = dict(vocab_size=53, hidden_size=18, num_hidden_layers=2, num_attention_heads=3, intermediate_size=29, max_position_embeddings=40,
                 type_vocab_size=3)
    value.update(more)
    return value


def small(**more):
    """For heads: files stay small."""
    return bert(**(dict(hidden_size=12, num_attention_heads=2, intermediate_size=19, num_hidden_layers=1, max_position_embeddings=24) | more))


def bert_inputs(seed, long=False, **more):
    value = {"": tokens(seed, types=3, **more)}
    if long:
        value["ids_only"] = tokens(seed + "/ids", batch=2, length=5, mask=None)
        value["positions"] = tokens(seed + "/positions", batch=2, length=9, types=3, positions=40)
        value["masked_row"] = masked_row(tokens(seed + "/row", batch=3, length=6, types=3))
        value["longest"] = tokens(seed + "/longest", batch=1, length=40, types=3)
    return value


def bert_cases():
    case("bert_model", "bert", "BertModel", bert(), bert_inputs("bert_model", long=True),
         ("safetensors5", "tf4", "legacy4", "bin4_prefixed"))
    case("bert_shards", "bert", "BertModel", small(num_hidden_layers=2), bert_inputs("bert_shards"),
         ("safetensors5_sharded", "safetensors4_sharded", "bin4_sharded", "tf4_sharded"), shard="8KB")
    case("bert_no_pooler", "bert", "BertModel", bert(hidden_size=14, num_attention_heads=2, intermediate_size=23, num_hidden_layers=1), bert_inputs("bert_no_pooler"),
         init={"add_pooling_layer": False})
    case("bert_twelve_layers", "bert", "BertModel", bert(hidden_size=6, num_attention_heads=2, intermediate_size=7, num_hidden_layers=12),
         bert_inputs("bert_twelve_layers"))
    case("bert_masked_lm", "bert", "BertForMaskedLM", small(), bert_inputs("bert_masked_lm"), ("safetensors5", "bin4", "tf4"))
    case("bert_masked_lm_untied", "bert", "BertForMaskedLM", small(tie_word_embeddings=False), bert_inputs("bert_masked_lm_untied"),
         ("safetensors5", "bin4"), notes="cls.predictions.decoder.weight is a tensor of its own")
    case("bert_next_sentence", "bert", "BertForNextSentencePrediction", small(), bert_inputs("bert_next_sentence"), ("safetensors5", "tf4"))
    case("bert_pretraining", "bert", "BertForPreTraining", small(), bert_inputs("bert_pretraining"),
         ("safetensors5", "tf4", "bin4_google", "safetensors4_gamma"))
    case("bert_sequence", "bert", "BertForSequenceClassification", small(num_labels=5, problem_type="single_label_classification"),
         bert_inputs("bert_sequence"))
    case("bert_sequence_multi", "bert", "BertForSequenceClassification", small(num_labels=4, problem_type="multi_label_classification"),
         bert_inputs("bert_sequence_multi"), ("safetensors4",))
    case("bert_sequence_regression", "bert", "BertForSequenceClassification", small(num_labels=1, problem_type="regression"),
         bert_inputs("bert_sequence_regression"), ("bin4",))
    case("bert_token", "bert", "BertForTokenClassification", small(num_labels=7), bert_inputs("bert_token"),
         ("safetensors5", "bin4_unnamed"))
    case("bert_question", "bert", "BertForQuestionAnswering", small(), bert_inputs("bert_question"), ("safetensors5", "tf4"))
    case("bert_causal", "bert", "BertLMHeadModel", small(is_decoder=True), {"": tokens("bert_causal", types=3, mask="right")}, notes="is_decoder: causal")
    case("bert_multiple_choice", "bert", "BertForMultipleChoice", small(),
         {"": tokens("bert_multiple_choice", batch=6, length=8, types=3, shape=(2, 3))})


ACTIVATIONS = ("gelu", "gelu_10", "gelu_accurate", "gelu_fast", "gelu_new", "gelu_python", "gelu_python_tanh", "gelu_pytorch_tanh", "hardswish", "laplace",
               "leaky_relu", "linear", "mish", "prelu", "quick_gelu", "relu", "relu2", "relu6", "sigmoid", "silu", "sqrtsoftplus", "swish", "tanh")


def bert_more_cases():
    for dtype, sources in (("bfloat16", ("safetensors5", "bin4")), ("float16", ("safetensors4", "legacy4"))):
        case(f"bert_{dtype}", "bert", "BertForMaskedLM", small(), bert_inputs(f"bert_{dtype}"), sources, dtype=dtype,
             notes=f"stored as {dtype}, computed in f32 (torch_dtype given)")
    for name in ACTIVATIONS:
        five = ("safetensors5",)
        case(f"bert_{name}", "bert", "BertModel",
             dict(hidden_act=name, vocab_size=13, hidden_size=6, num_hidden_layers=1, num_attention_heads=2, intermediate_size=11, max_position_embeddings=8),
             {"": tokens(f"bert_{name}", 2, 7, 13, types=2)}, five, init={"add_pooling_layer": False})
    for name in ("relative_key", "relative_key_query"):
        case(f"bert_{name}", "bert", "BertForTokenClassification", small(position_embedding_type=name, num_labels=3), bert_inputs(f"bert_{name}"),
             ("safetensors4",), notes="transformers 5 ignores position_embedding_type and computes something else")


def roberta(**more):
    return small(**(dict(type_vocab_size=1, pad_token_id=1, bos_token_id=0, eos_token_id=2, max_position_embeddings=26, layer_norm_eps=1e-5) | more))


def roberta_inputs(seed, long=False, **more):
    value = {"": tokens(seed, pad=1, low=2, **more)}
    if long:
        # Position ids follow from the ids alone: padding under mask 1, other ids under mask 0.
        inside = tokens(seed + "/inside", batch=3, length=11)
        inside["input_ids"][1, 4:6] = 1
        inside["input_ids"][2, 0] = 1
        value["pads_inside"] = inside
        value["ids_only"] = tokens(seed + "/ids", batch=2, length=5, mask=None)
        value["positions"] = tokens(seed + "/positions", batch=2, length=9, positions=26)
        value["longest"] = tokens(seed + "/longest", batch=1, length=24, mask=None, low=2)
    return value


def roberta_cases():
    case("roberta_model", "roberta", "RobertaModel", roberta(num_hidden_layers=2), roberta_inputs("roberta_model", long=True), ("safetensors5", "bin4"))
    case("roberta_twelve_layers", "roberta", "RobertaModel", roberta(hidden_size=6, intermediate_size=7, num_hidden_layers=12),
         roberta_inputs("roberta_twelve_layers"), init={"add_pooling_layer": False})
    case("roberta_masked_lm", "roberta", "RobertaForMaskedLM", roberta(), roberta_inputs("roberta_masked_lm"), ("safetensors5", "bin4_positions", "tf4"))
    case("roberta_padding", "roberta", "RobertaForTokenClassification", roberta(pad_token_id=3, num_labels=3), {"": tokens("roberta_padding", pad=3)},
         ("safetensors5", "tf4"), notes="TensorFlow's class takes 1 for padding, whatever pad_token_id is")
    case("roberta_sequence", "roberta", "RobertaForSequenceClassification", roberta(num_labels=5, type_vocab_size=2), 
         {"": tokens("roberta_sequence", pad=1, low=2, types=2)}, ("safetensors5", "tf4"))
    case("roberta_token", "roberta", "RobertaForTokenClassification", roberta(num_labels=7), roberta_inputs("roberta_token"))
    case("roberta_question", "roberta", "RobertaForQuestionAnswering", roberta(), roberta_inputs("roberta_question"))
    case("roberta_multiple_choice", "roberta", "RobertaForMultipleChoice", roberta(),
         {"": tokens("roberta_multiple_choice", batch=6, length=8, pad=1, low=2, shape=(2, 3))})


def distilbert(**more):
    value = dict(vocab_size=53, dim=12, n_layers=1, n_heads=2, hidden_dim=19, max_position_embeddings=24)
    value.update(more)
    return value


def distilbert_cases():
    case("distilbert_model", "distilbert", "DistilBertModel", distilbert(n_layers=2),
         {"": tokens("distilbert_model"), "ids_only": tokens("distilbert_model/ids", 2, 24, mask=None)})
    case("distilbert_sinusoidal", "distilbert", "DistilBertModel", distilbert(sinusoidal_pos_embds=True, activation="relu", n_layers=12, dim=6, hidden_dim=7),
         {"": tokens("distilbert_sinusoidal")})
    for name, cls, more in (("masked_lm", "MaskedLM", {}), ("sequence", "SequenceClassification", {"num_labels": 5}),
                            ("token", "TokenClassification", {"num_labels": 7}), ("question", "QuestionAnswering", {}),
                            ("multiple_choice", "MultipleChoice", {})):
        inputs = tokens(f"distilbert_{name}", 6, 8, shape=(2, 3)) if name == "multiple_choice" else tokens(f"distilbert_{name}")
        case(f"distilbert_{name}", "distilbert", f"DistilBertFor{cls}", distilbert(**more), {"": inputs},
             ("safetensors5", "bin4", "tf4") if name == "masked_lm" else ("safetensors5",))


def electra(**more):
    return small(**(dict(embedding_size=10) | more))


def electra_cases():
    case("electra_model", "electra", "ElectraModel", electra(num_hidden_layers=2), bert_inputs("electra_model"))
    case("electra_same_size", "electra", "ElectraModel", electra(embedding_size=12), bert_inputs("electra_same_size"),
         notes="embedding_size = hidden_size: no embeddings_project")
    case("electra_twelve_layers", "electra", "ElectraForPreTraining", electra(hidden_size=6, embedding_size=5, intermediate_size=7, num_hidden_layers=12),
         bert_inputs("electra_twelve_layers"))
    case("electra_causal", "electra", "ElectraForCausalLM", electra(is_decoder=True), {"": tokens("electra_causal", types=3, mask="right")})
    for name, cls, more in (("pretraining", "PreTraining", {}), ("sequence", "SequenceClassification", {"num_labels": 5}), ("masked_lm", "MaskedLM", {}),
                            ("token", "TokenClassification", {"num_labels": 7}), ("question", "QuestionAnswering", {}),
                            ("multiple_choice", "MultipleChoice", {})):
        inputs = tokens(f"electra_{name}", 6, 8, types=3, shape=(2, 3)) if name == "multiple_choice" else tokens(f"electra_{name}", types=3)
        case(f"electra_{name}", "electra", f"ElectraFor{cls}", electra(**more), {"": inputs},
             ("safetensors5", "bin4", "tf4") if name == "masked_lm" else ("safetensors5",))


def albert(**more):
    return small(**(dict(embedding_size=10, num_hidden_layers=3) | more))


def albert_cases():
    case("albert_model", "albert", "AlbertModel", albert(), bert_inputs("albert_model"))
    case("albert_groups", "albert", "AlbertModel", albert(num_hidden_layers=12, num_hidden_groups=2, inner_group_num=2, hidden_act="gelu"),
         bert_inputs("albert_groups"), ("safetensors5", "tf4"))
    case("albert_no_pooler", "albert", "AlbertModel", albert(), bert_inputs("albert_no_pooler"), init={"add_pooling_layer": False})
    for name, cls, more in (("masked_lm", "MaskedLM", {}), ("pretraining", "PreTraining", {}), ("sequence", "SequenceClassification", {"num_labels": 5}),
                            ("token", "TokenClassification", {"num_labels": 7}), ("question", "QuestionAnswering", {}),
                            ("multiple_choice", "MultipleChoice", {})):
        inputs = tokens(f"albert_{name}", 6, 8, types=3, shape=(2, 3)) if name == "multiple_choice" else tokens(f"albert_{name}", types=3)
        case(f"albert_{name}", "albert", f"AlbertFor{cls}", albert(**more), {"": inputs},
             ("safetensors5", "bin4", "tf4") if name == "masked_lm" else ("safetensors5",))


# -- GPT-2 -----------------------------------------------------------------------------------------

def gpt2(**more):
    value = dict(vocab_size=53, n_embd=16, n_layer=2, n_head=2, n_positions=40, bos_token_id=52, eos_token_id=52)
    value.update(more)
    return value


def gpt2_inputs(seed, long=False, **more):
    value = {"": tokens(seed, mask="right", **more)}
    if long:
        value["left_padded"] = tokens(seed + "/left", length=7, **more)
        value["ids_only"] = tokens(seed + "/ids", batch=2, length=7, mask=None)
        value["types"] = tokens(seed + "/types", batch=2, length=9, types=53, positions=40)
        value["longest"] = tokens(seed + "/longest", batch=1, length=40, mask=None)
    return value


def gpt2_cases():
    case("gpt2_model", "gpt2", "GPT2Model", gpt2(n_inner=37), gpt2_inputs("gpt2_model", long=True), ("safetensors5", "tf4"))
    case("gpt2_lm", "gpt2", "GPT2LMHeadModel", gpt2(n_embd=15, n_head=3), gpt2_inputs("gpt2_lm", long=True),
         ("safetensors5", "safetensors4", "tf4", "legacy4_buffers", "bin4_base"), notes="n_inner not given: 4 n_embd; head tied")
    case("gpt2_lm_untied", "gpt2", "GPT2LMHeadModel", tiny_gpt2(tie_word_embeddings=False), gpt2_inputs("gpt2_lm_untied"), ("safetensors5", "bin4"),
         notes="TensorFlow's class ties always")
    case("gpt2_twelve_layers", "gpt2", "GPT2LMHeadModel", tiny_gpt2(n_layer=12, n_embd=6), gpt2_inputs("gpt2_twelve_layers"))
    case("gpt2_inverse_layer", "gpt2", "GPT2Model", tiny_gpt2(n_layer=3, scale_attn_by_inverse_layer_idx=True), gpt2_inputs("gpt2_inverse_layer"))
    case("gpt2_upcast", "gpt2", "GPT2Model", tiny_gpt2(n_layer=2, reorder_and_upcast_attn=True, scale_attn_by_inverse_layer_idx=True),
         gpt2_inputs("gpt2_upcast"), ("safetensors5", "safetensors4"), single=True)
    case("gpt2_unscaled", "gpt2", "GPT2Model", tiny_gpt2(scale_attn_weights=False, activation_function="relu", layer_norm_epsilon=1e-3),
         gpt2_inputs("gpt2_unscaled"), ("safetensors5", "safetensors4"))
    padded = tokens("gpt2_sequence", 3, 9, mask="right", pad=7)
    inside = tokens("gpt2_sequence/inside", 3, 9, mask=None)
    inside["input_ids"][1, 3] = inside["input_ids"][2, 6:] = 7
    case("gpt2_sequence", "gpt2", "GPT2ForSequenceClassification", tiny_gpt2(num_labels=5, pad_token_id=7), {"": padded, "pads_inside": inside},
         ("safetensors5", "bin4", "tf4", "tf4_old"), notes="logits of the last token that isn't pad_token_id, whatever the mask says")
    case("gpt2_sequence_no_pad", "gpt2", "GPT2ForSequenceClassification", tiny_gpt2(num_labels=3), {"": tokens("gpt2_sequence_no_pad", 1, 9, mask=None)},
         notes="without pad_token_id: the last token; batches of one only")
    case("gpt2_token", "gpt2", "GPT2ForTokenClassification", tiny_gpt2(num_labels=7), gpt2_inputs("gpt2_token"))
    case("gpt2_question", "gpt2", "GPT2ForQuestionAnswering", tiny_gpt2(), gpt2_inputs("gpt2_question"))
    choices = tokens("gpt2_double_heads", 6, 8, mask=None, types=53, shape=(2, 3))
    given = dict(choices, mc_token_ids=np.array([[7, 3, 0], [5, 7, 2]], "int64"))
    case("gpt2_double_heads", "gpt2", "GPT2DoubleHeadsModel", tiny_gpt2(), {"": given, "last": choices}, ("safetensors5", "bin4", "tf4"),
         notes="without mc_token_ids: the last position")
    for kind in ("last", "first", "mean"):
        case(f"gpt2_summary_{kind}", "gpt2", "GPT2DoubleHeadsModel",
             tiny_gpt2(summary_type=kind, summary_use_proj=kind != "first", summary_proj_to_labels=kind != "mean", summary_activation="tanh"), {"": choices},
             ("safetensors5",))


def tiny_gpt2(**more):
    return gpt2(**(dict(n_embd=10, n_head=2, n_layer=1, n_positions=24) | more))


# -- T5 --------------------------------------------------------------------------------------------

def t5(**more):
    value = dict(vocab_size=53, d_model=16, d_kv=7, d_ff=23, num_layers=1, num_decoder_layers=2, num_heads=3, decoder_start_token_id=0)
    value.update(more)
    return value


def t5_inputs(seed, length=13, decoder=9, batch=3, mask="mixed", decoder_mask=True):
    encoder = tokens(seed, batch, length, mask=mask)
    target = tokens(seed + "/decoder", batch, decoder, mask="right" if decoder_mask else None)
    return encoder | {f"decoder_{k}": v for k, v in target.items()}


def t5_variants(seed, long=False):
    value = {"": t5_inputs(seed)}
    if long:
        value["ids_only"] = t5_inputs(seed + "/ids", 7, 1, 2, None, False)
        value["longest"] = t5_inputs(seed + "/longest", 140, 140, 1, None, False)
    return value


def t5_cases():
    case("t5_lm", "t5", "T5ForConditionalGeneration", t5(num_layers=3), t5_variants("t5_lm", long=True),
         ("safetensors5",), notes="v1.0: relu, head tied and scaled")
    case("t5_lm_small", "t5", "T5ForConditionalGeneration", t5(), t5_variants("t5_lm_small"), ("safetensors5", "tf4", "bin4_stale"), notes="v1.0: relu, head tied and scaled")
    case("t5_v11", "t5", "T5ForConditionalGeneration", t5(feed_forward_proj="gated-gelu", tie_word_embeddings=False, num_decoder_layers=1),
         t5_variants("t5_v11"), ALL, notes="v1.1: gelu_new gate, own head, not scaled", untied_head=True)
    case("t5_model", "t5", "T5Model", t5(feed_forward_proj="gated-silu", num_decoder_layers=1), t5_variants("t5_model"))
    case("t5_encoder", "t5", "T5EncoderModel", t5(num_layers=11, d_model=6, d_ff=7, d_kv=4, num_heads=2, relative_attention_num_buckets=10, relative_attention_max_distance=20),
         {"": tokens("t5_encoder"), "longest": tokens("t5_encoder/longest", 1, 60, mask=None)}, ("safetensors5", "tf4"))
    one = dict(d_model=10, d_kv=4, d_ff=13, num_heads=3, num_layers=1, num_decoder_layers=1)
    case("t5_twelve_layers", "t5", "T5ForConditionalGeneration", t5(**one | dict(d_model=6, d_ff=7, d_kv=3, num_heads=2, num_layers=12, num_decoder_layers=11)),
         t5_variants("t5_twelve_layers"))
    case("t5_v11_fresh", "t5", "T5ForConditionalGeneration", t5(**one, feed_forward_proj="gated-gelu", tie_word_embeddings=False), t5_variants("t5_v11_fresh"),
         notes="made from a v1.1 configuration by transformers 5: head tied, not scaled (scale_decoder_outputs false)")
    case("t5_relu_untied", "t5", "T5ForConditionalGeneration", t5(**one, tie_word_embeddings=False), t5_variants("t5_relu_untied"),
         ("safetensors4", "safetensors5"), untied_head=True)
    case("t5_gated_silu_tied", "t5", "T5ForConditionalGeneration", t5(**one, feed_forward_proj="gated-silu", layer_norm_epsilon=1e-4),
         t5_variants("t5_gated_silu_tied"), ("safetensors4", "safetensors5"))
    case("t5_gated_relu", "t5", "T5Model", t5(**one, feed_forward_proj="gated-relu"), t5_variants("t5_gated_relu"))
    case("t5_gelu", "t5", "T5Model", t5(**one, feed_forward_proj="gelu"), t5_variants("t5_gelu"))
    case("t5_buckets", "t5", "T5Model", t5(**one, relative_attention_num_buckets=7, relative_attention_max_distance=11),
         {"": t5_inputs("t5_buckets", 40, 30, 2)})
    few = one | dict(d_model=6, d_ff=7, d_kv=3, num_heads=2, relative_attention_num_buckets=6, relative_attention_max_distance=9, eos_token_id=1)
    ended = tokens("t5_sequence", 3, 9, low=2)
    ended["input_ids"][:, 6] = 1  # the class wants as many ends in each row
    case("t5_sequence", "t5", "T5ForSequenceClassification", t5(**few, num_labels=4), {"": ended},
         notes="decoder_input_ids follow from input_ids; a row is classified at its last eos_token_id")
    case("t5_token", "t5", "T5ForTokenClassification", t5(**few, num_labels=5), {"": tokens("t5_token", 3, 9)})
    case("t5_question", "t5", "T5ForQuestionAnswering", t5(**few, feed_forward_proj="gated-gelu"), {"": t5_inputs("t5_question"), "ids_only": tokens("t5_question/ids", 2, 7, mask=None)})
    for name, cls in (("mt5", "MT5"), ("umt5", "UMT5")):
        gate = dict(feed_forward_proj="gated-gelu")
        case(f"{name}_lm", name, f"{cls}ForConditionalGeneration", t5(**one | gate), t5_variants(f"{name}_lm"),
             ("safetensors5", "safetensors4"))
        case(f"{name}_untied", name, f"{cls}ForConditionalGeneration", t5(**one | gate, tie_word_embeddings=False), t5_variants(f"{name}_untied"),
             ("safetensors5", "safetensors4", "bin4"), untied_head=True)
        case(f"{name}_model", name, f"{cls}Model", t5(**one | gate), t5_variants(f"{name}_model"))
        case(f"{name}_encoder", name, f"{cls}EncoderModel", t5(**one | gate | dict(num_layers=2)),
             {"": tokens(f"{name}_encoder"), "longest": tokens(f"{name}_encoder/longest", 1, 140, mask=None)})


bert_cases()
bert_more_cases()
roberta_cases()
distilbert_cases()
electra_cases()
albert_cases()
gpt2_cases()
t5_cases()

import transformers_sparse_cases  # noqa: E402: adds to CASES
