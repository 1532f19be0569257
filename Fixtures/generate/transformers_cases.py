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
        return "undefined" if variant in ("left_padded", "masked_row") else "meaningful"


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
    value = dict(vocab_size=53, hidden_size=20, num_hidden_layers=2, num_attention_heads=4, intermediate_size=37, max_position_embeddings=40,
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
         ALL + ("legacy4", "safetensors5_sharded", "bin4_sharded", "tf4_sharded"))
    case("bert_no_pooler", "bert", "BertModel", bert(hidden_size=14, num_attention_heads=2, intermediate_size=23, num_hidden_layers=3), bert_inputs("bert_no_pooler"),
         ("safetensors5", "tf4"), init={"add_pooling_layer": False})
    case("bert_twelve_layers", "bert", "BertModel", bert(hidden_size=6, num_attention_heads=2, intermediate_size=7, num_hidden_layers=12),
         bert_inputs("bert_twelve_layers"), ("safetensors5", "tf4"))
    case("bert_masked_lm", "bert", "BertForMaskedLM", small(), bert_inputs("bert_masked_lm"), ALL)
    case("bert_masked_lm_untied", "bert", "BertForMaskedLM", small(tie_word_embeddings=False), bert_inputs("bert_masked_lm_untied"),
         ("safetensors5", "bin4"), notes="cls.predictions.decoder.weight is a tensor of its own")
    case("bert_next_sentence", "bert", "BertForNextSentencePrediction", small(), bert_inputs("bert_next_sentence"), ("safetensors5", "tf4"))
    case("bert_pretraining", "bert", "BertForPreTraining", small(), bert_inputs("bert_pretraining"), ALL)
    case("bert_sequence", "bert", "BertForSequenceClassification", small(num_labels=5, problem_type="single_label_classification"),
         bert_inputs("bert_sequence"), ("safetensors5", "tf4"))
    case("bert_sequence_multi", "bert", "BertForSequenceClassification", small(num_labels=4, problem_type="multi_label_classification"),
         bert_inputs("bert_sequence_multi"), ("safetensors4",))
    case("bert_sequence_regression", "bert", "BertForSequenceClassification", small(num_labels=1, problem_type="regression"),
         bert_inputs("bert_sequence_regression"), ("bin4",))
    case("bert_token", "bert", "BertForTokenClassification", small(num_labels=7), bert_inputs("bert_token"), ("safetensors5", "tf4"))
    case("bert_question", "bert", "BertForQuestionAnswering", small(), bert_inputs("bert_question"), ("safetensors5", "tf4"))
    case("bert_multiple_choice", "bert", "BertForMultipleChoice", small(),
         {"": tokens("bert_multiple_choice", batch=6, length=8, types=3, shape=(2, 3))}, ("safetensors5", "tf4"))


# -- GPT-2 -----------------------------------------------------------------------------------------

def gpt2(**more):
    value = dict(vocab_size=53, n_embd=16, n_layer=2, n_head=2, n_positions=40, bos_token_id=52, eos_token_id=52)
    value.update(more)
    return value


def gpt2_inputs(seed, long=False, **more):
    value = {"": tokens(seed, mask="right", **more)}
    if long:
        value["left_padded"] = tokens(seed + "/left", **more)
        value["ids_only"] = tokens(seed + "/ids", batch=2, length=7, mask=None)
        value["types"] = tokens(seed + "/types", batch=2, length=9, types=53, positions=40)
        value["longest"] = tokens(seed + "/longest", batch=1, length=40, mask=None)
    return value


def gpt2_cases():
    case("gpt2_model", "gpt2", "GPT2Model", gpt2(n_inner=37), gpt2_inputs("gpt2_model", long=True), ALL)
    case("gpt2_lm", "gpt2", "GPT2LMHeadModel", gpt2(n_embd=15, n_head=3), gpt2_inputs("gpt2_lm", long=True),
         ALL + ("legacy4_buffers",), notes="n_inner not given: 4 n_embd; head tied")


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
         ("safetensors5", "bin4"), notes="v1.0: relu, head tied and scaled")
    case("t5_lm_small", "t5", "T5ForConditionalGeneration", t5(), t5_variants("t5_lm_small"), ALL, notes="v1.0: relu, head tied and scaled")
    case("t5_v11", "t5", "T5ForConditionalGeneration", t5(feed_forward_proj="gated-gelu", tie_word_embeddings=False, num_decoder_layers=1),
         t5_variants("t5_v11"), ALL, notes="v1.1: gelu_new gate, own head, not scaled", untied_head=True)
    case("t5_model", "t5", "T5Model", t5(feed_forward_proj="gated-silu", num_decoder_layers=1), t5_variants("t5_model"), ("safetensors5", "tf4"))
    case("t5_encoder", "t5", "T5EncoderModel", t5(num_layers=2, relative_attention_num_buckets=10, relative_attention_max_distance=20),
         {"": tokens("t5_encoder"), "longest": tokens("t5_encoder/longest", 1, 60, mask=None)}, ("safetensors5", "tf4"))


bert_cases()
gpt2_cases()
t5_cases()
