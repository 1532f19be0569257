"""Saves the cases with transformers' PyTorch classes and records what they compute: run it with transformers 5, then with 4.49.

    transformers_pt.py [--only 'bert_*']

Every model is loaded again from what was saved (no missing and no unexpected key, unless the row says so) and has to compute the same."""

import sys

sys.dont_write_bytecode = True

import argparse
import copy
import fnmatch
import inspect
import io
import json
import logging
import os
import shutil
import warnings

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ.setdefault("USE_TF", "0")
os.environ["HF_HUB_DISABLE_PROGRESS_BARS"] = os.environ["TQDM_DISABLE"] = "1"
os.environ["TRANSFORMERS_VERBOSITY"] = "error"
warnings.filterwarnings("ignore")

import numpy as np
import torch
import transformers

import transformers_common as tc
from transformers_cases import CASES

torch.set_num_threads(1)
logging.getLogger("transformers").setLevel(logging.ERROR)
FIVE = transformers.__version__.startswith("5.")
FRAMEWORK = f"transformers {transformers.__version__}, torch {torch.__version__}"
SUFFIX = "_pt5" if FIVE else "_pt4"


# -- models ----------------------------------------------------------------------------------------

def parameter_kind(module, name, shape, case):
    """The role of a module's own parameter, and its number of inputs."""
    kind = type(module).__name__
    if "relative_attention_bias" in name:
        return "table", 0
    if isinstance(module, torch.nn.Embedding) or "position" in kind.lower() or "Embedding" in kind:
        return "embedding", 0
    if ("LayerNorm" in kind or "RMSNorm" in kind) and name.endswith("weight"):
        return "norm", 0
    if len(shape) < 2:
        return "bias", 0
    return "matrix", shape[0] if kind == "Conv1D" else shape[-1]


def randomise(model, case):
    seen = set()
    with torch.no_grad():
        for path, module in model.named_modules():
            for local, parameter in module.named_parameters(recurse=False):
                if id(parameter) in seen:
                    continue
                seen.add(id(parameter))
                name = f"{path}.{local}" if path else local
                if name == "cls.predictions.bias" and (not FIVE or model.config.tie_word_embeddings):
                    name = "cls.predictions.decoder.bias"  # one tensor, but for an untied model of transformers 5, which uses the decoder's
                kind, fan_in = parameter_kind(module, name, tuple(parameter.shape), case)
                parameter.copy_(torch.from_numpy(tc.weight(case.name, name, kind, tuple(parameter.shape), fan_in)))


    for name, buffer in model.named_buffers():
        if name.endswith("final_logits_bias"):
            buffer.copy_(torch.from_numpy(tc.weight(case.name, name, "bias", tuple(buffer.shape), 0)))


def configuration(case):
    model = getattr(transformers, case.cls)
    return model.config_class(**case.config)


def build(case):
    cls = getattr(transformers, case.cls)
    torch.manual_seed(0)
    model = cls._from_config(configuration(case), attn_implementation=attention(cls), **case.init)
    randomise(model, case)
    model.tie_weights()
    if "dtype" in case.options:
        model.to(getattr(torch, case.options["dtype"])).float()  # values that the narrower type holds
    if FIVE and case.options.get("untied_head"):
        # transformers 5 ties T5's head whatever the configuration says, unless a checkpoint holds two different tensors.
        head = torch.nn.Parameter(torch.from_numpy(tc.weight(case.name, "lm_head.weight", "matrix", tuple(model.lm_head.weight.shape), case.config["d_model"])))
        model.lm_head.weight = head
    return model.eval()


def attention(cls):
    return "eager"


def run(model, inputs):
    if model.config.model_type == "reformer":
        model = copy.deepcopy(model)  # the first call's length decides on num_buckets, for the model's life
    return run_copy(model, inputs)


def run_copy(model, inputs):
    known = inspect.signature(model.forward).parameters
    unknown = set(inputs) - set(known)
    if unknown:
        raise ValueError(f"{type(model).__name__} doesn't take {unknown}")
    arguments = {k: torch.from_numpy(v) for k, v in inputs.items()}
    if "use_cache" in known:
        arguments["use_cache"] = False
    with torch.no_grad():
        result = model(**arguments, return_dict=True)
    return {k: v.numpy() for k, v in result.items() if isinstance(v, torch.Tensor)}


def hashed(model, inputs):
    """The buckets of each LSH layer: [batch, heads, rounds, padded length], rounds not offset; and the smallest margin by which one was chosen."""
    buckets, margins = {}, []
    model = copy.deepcopy(model)

    def watch(name, layer):
        original = layer._hash_vectors

        def hash_vectors(vectors, rounds, mask, *more):
            result = original(vectors, rounds, mask, *more)
            factors = [layer.num_buckets] if isinstance(layer.num_buckets, int) else list(layer.num_buckets)
            total = int(np.prod(factors)) + (mask is not None and bool(mask.sum() < mask.numel()))
            value = result.view(result.shape[0], result.shape[1], rounds, -1) - total * torch.arange(rounds).view(1, 1, -1, 1)
            buckets[name] = value.numpy().astype("int32")
            torch.manual_seed(layer.hash_seed)
            rotations = torch.randn(vectors.shape[1], vectors.shape[-1], rounds, sum(factors) // 2)
            rotated = torch.einsum("bmtd,mdhr->bmhtr", vectors, rotations)
            for part in torch.split(rotated, [f // 2 for f in factors], -1):
                best = torch.cat([part, -part], -1).topk(2).values
                margins.append(float((best[..., 0] - best[..., 1]).min()))
            return result

        layer._hash_vectors = hash_vectors

    for name, module in model.named_modules():
        if type(module).__name__ == "LSHSelfAttention":
            watch(name.removeprefix("reformer."), module)
    run_copy(model, inputs)
    return buckets, min(margins, default=1.0)


# -- saving ----------------------------------------------------------------------------------------

def save(model, case, source):
    folder = tc.FOLDER / case.name / source
    path = folder / "pytorch_model.bin"
    before = path.read_bytes() if path.exists() else None
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    shard = {"max_shard_size": case.options.get("shard", "16KB")} if source.endswith("_sharded") else {}
    if "dtype" in case.options:
        model = copy.deepcopy(model).to(getattr(torch, case.options["dtype"]))
    if source.startswith("safetensors"):
        model.save_pretrained(folder, **shard)
    else:
        model.save_pretrained(folder, safe_serialization=False, **shard)
    way, _, rewrite = source.partition("_")
    if rewrite not in ("", "sharded") or way == "legacy4":
        again(folder, model.config, way, rewrite)
    tc.tidy(folder)
    if before and way == "legacy4" and same_state(before, path.read_bytes()):
        path.write_bytes(before)  # the legacy form names storages by their addresses: other bytes every time
    return folder


def same_state(a, b):
    a, b = (torch.load(io.BytesIO(v), weights_only=True) for v in (a, b))
    return list(a) == list(b) and all(a[k].dtype == b[k].dtype and torch.equal(a[k], b[k]) for k in a)


def again(folder, config, way, rewrite):
    """Writes what was saved with the names and the form of older files."""
    if way.startswith("safetensors"):
        from safetensors.torch import load_file, save_file

        path = folder / "model.safetensors"
        state = REWRITES[rewrite](load_file(path), config, folder)
        save_file(state, path, {"format": "pt"})
        return
    path = folder / "pytorch_model.bin"
    state = REWRITES[rewrite](torch.load(path, weights_only=True), config, folder)
    torch.save(state, path, _use_new_zipfile_serialization=way != "legacy4")


def renamed(state, rename):
    result = type(state)()
    for name, value in state.items():
        result[rename(name)] = value
    return result


def gamma(state, config, folder):
    """Names of the first ports from TensorFlow."""
    return renamed(state, lambda n: n.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta"))


def google(state, config, folder):
    """The first BERT files: gamma and beta, the decoder's weight but not its second bias, position ids as a buffer."""
    state = gamma(state, config, folder)
    del state["cls.predictions.decoder.bias"]
    return positions(state, config, folder)


def positions(state, config, folder):
    """Position ids were a buffer that was saved until 2023."""
    table = next(n for n in state if n.endswith("embeddings.position_embeddings.weight"))
    state[table.replace("position_embeddings.weight", "position_ids")] = torch.arange(config.max_position_embeddings).unsqueeze(0)
    return state


def prefixed(state, config, folder):
    """A base model out of a file that was saved from one with heads."""
    state = renamed(state, lambda n: "bert." + n)
    state["cls.predictions.bias"] = torch.from_numpy(tc.weight("prefixed", "cls.predictions.bias", "bias", (config.vocab_size,), 0))
    return state


def base(state, config, folder):
    """A model with a head out of a file that was saved from the base model."""
    state.pop("lm_head.weight")
    return renamed(state, lambda n: n.removeprefix("transformer."))


def stale(state, config, folder):
    """T5 files until 2020 had a table that nothing uses."""
    name = "decoder.block.0.layer.1.EncDecAttention.relative_attention_bias.weight"
    shape = (config.relative_attention_num_buckets, config.num_heads)
    state[name] = torch.from_numpy(tc.weight("stale", name, "table", shape, 0))
    return state


def unnamed(state, config, folder):
    """The configuration doesn't say which class was saved."""
    path = folder / "config.json"
    value = json.loads(path.read_text())
    del value["architectures"]
    path.write_text(json.dumps(value))
    return state


def buffers(state, config, folder):
    """What files of GPT-2 and GPT-Neo held until 2023: the causal mask and the masked value of each layer."""
    result = type(state)()
    for name, value in state.items():
        result[name] = value
        last = "attn.attention.out_proj.bias" if config.model_type == "gpt_neo" else "attn.c_proj.bias"
        if name.endswith(last):
            prefix = name[:-len(last.split(".")[-2] + ".bias")]
            n = config.max_position_embeddings
            result[prefix + "bias"] = torch.tril(torch.ones((n, n), dtype=torch.uint8)).view(1, 1, n, n)
            result[prefix + "masked_bias"] = torch.tensor(-1e4)
    return result


REWRITES = {"": lambda state, config, folder: state, "gamma": gamma, "google": google, "prefixed": prefixed, "base": base, "stale": stale,
            "unnamed": unnamed, "buffers": buffers, "positions": positions}


def reload(folder, case):
    cls = getattr(transformers, case.cls)
    model, info = cls.from_pretrained(folder, output_loading_info=True, attn_implementation=attention(cls), torch_dtype=torch.float32, **case.init)
    return model.eval(), {k: sorted(str(i) for i in v) for k, v in info.items() if v}


def sdpa_outputs(folder, case, inputs):
    cls = getattr(transformers, case.cls)
    try:
        model = cls.from_pretrained(folder, attn_implementation="sdpa", torch_dtype=torch.float32, **case.init).eval()
    except (ValueError, ImportError):
        return None
    if model.config._attn_implementation != "sdpa":
        return None
    return run(model, inputs)


def defined(case, variant, value):
    """Where an output is defined: everywhere, or at tokens that aren't masked; without an axis of tokens, in rows that aren't masked as a whole."""
    if case.padded_positions(variant) == "undefined":
        mask = case.inputs[variant]["attention_mask"] == 1
        if value.shape[:2] == mask.shape:
            return mask.reshape(mask.shape + (1,) * (value.ndim - 2))
        if value.shape[:1] == mask.shape[:1]:
            return mask.any(1).reshape(mask.shape[:1] + (1,) * (value.ndim - 1))
    return np.ones_like(value, bool)


def check_defined(case, variant, outputs, others):
    """Where outputs are defined, implementations agree."""
    for name, value in outputs.items():
        if case.padded_positions(variant) == "undefined" and np.abs(np.where(defined(case, variant, value), value - others[name], 0)).max() > 1e-5:
            raise ValueError(f"{name} differs at tokens that aren't masked")


def mine(source):
    return source.startswith("safetensors5") if FIVE else not source.startswith(("tf4", "safetensors5"))


def generate(case):
    sources = [s for s in case.sources if mine(s)]
    if not sources:
        return []
    model = build(case)
    expected, notes, extra = {}, {}, {}
    for variant, inputs in case.inputs.items():
        tc.write_npz(tc.FOLDER / case.name / tc.file_name("inputs", variant), inputs)
        outputs = run(model, inputs)
        double = outputs if case.options.get("single") or case.architecture in ("reformer", "led") else run(model.double(), {k: v.astype("f8") if v.dtype.kind == "f" else v for k, v in inputs.items()})
        model.float()
        double = {k: np.where(defined(case, variant, v), v, outputs[k]) for k, v in double.items()}
        precision = tc.difference(double, outputs)
        largest = max(float(np.abs(v).max()) for v in outputs.values())
        if not all(np.isfinite(v).all() for v in outputs.values()) or precision > 5e-6 or largest > 30:
            print(f"  {case.name} {variant}: ill-conditioned: f32 to f64 {precision:.2g}, largest {largest:.3g}")
        first = any(s.startswith("safetensors5") for s in case.sources)
        expected[variant], gap = tc.write_outputs(case.name, variant, SUFFIX, outputs, FIVE or not first)
        notes[variant] = [f"differs from transformers 5 by {gap:.1g}" if gap > tc.SHARED else ""]
        extra[variant] = {"float64_difference": float(f"{precision:.2g}")}
        if case.architecture == "reformer":
            buckets, margin = hashed(model, inputs)
            if margin < 1e-4:
                print(f"  {case.name} {variant}: a bucket is chosen by {margin:.2g} only")
            if buckets:
                path = tc.FOLDER / case.name / tc.file_name("buckets", variant)
                tc.write_npz(path, buckets)
                extra[variant]["buckets"] = str(path.relative_to(tc.FIXTURES))
    rows = []
    for source in sources:
        folder = save(model, case, source)
        loaded, info = reload(folder, case)
        for variant, inputs in case.inputs.items():
            gap = tc.difference(run(model, inputs), run(loaded, inputs))
            if gap > 1e-6:
                raise ValueError(f"{folder}: computes something else when loaded again: {gap}")
            other = sdpa_outputs(folder, case, inputs) if source == sources[0] else None
            if other is not None:
                gap = extra[variant]["sdpa_difference"] = float(f"{tc.difference(run(model, inputs), other):.2g}")
                check_defined(case, variant, run(model, inputs), other)
            extra[variant]["padded_positions"] = case.padded_positions(variant)
            if other is not None and gap > 1e-5:
                path = tc.FOLDER / case.name / tc.file_name("outputs", variant, SUFFIX + "_sdpa")
                tc.write_npz(path, other)
                extra[variant]["sdpa_outputs"] = str(path.relative_to(tc.FIXTURES))
                if case.padded_positions(variant) == "meaningful":
                    print(f"  {case.name} {variant}: eager and sdpa differ by {gap:.2g}")
            said = [case.notes] + notes[variant] + [f"loading reports {info}" if info else ""]
            rows.append(tc.row(case, variant, source, FRAMEWORK, expected[variant], said, init=case.init, **extra[variant]))
        if info:
            print(f"  {folder.parent.name}/{source}: {info}")
    return rows


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--only", default="*")
    options = parser.parse_args()
    rows, done, failed = [], set(), 0
    for case in CASES.values():
        if not fnmatch.fnmatch(case.name, options.only):
            continue
        try:
            made = generate(case)
        except Exception as error:
            failed += 1
            print(f"FAILED {case.name}: {type(error).__name__}: {error}", flush=True)
            if os.environ.get("TRACE"):
                raise
            continue
        done.add(case.name)
        rows += made
        print(f"{case.name}: {len(made)} rows", flush=True)
    tc.merge(rows, lambda r: r["path"].split("/")[1] in done and mine(r["dialect"]))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
