"""Sparse Transformers (Child et al. 2019): no framework saves them, so the model is defined here, with dense masks in plain torch.

    sparse_transformer.py [--only 'strided_*']

Writes `sparse/<case>/` with config.json, model.safetensors, inputs*.npz and outputs*.npz, and `sparse/manifest.json`. Needs torch and safetensors."""

import sys

sys.dont_write_bytecode = True

import argparse
import fnmatch
import json
import shutil

import numpy as np
import torch
from safetensors.torch import save_file
from torch.nn import functional

from common import FIXTURES, rng_for, write_npz

FOLDER = FIXTURES / "sparse"
MANIFEST = FOLDER / "manifest.json"
torch.set_num_threads(1)


# -- the model -------------------------------------------------------------------------------------

def allowed(kind, part, stride, summary, length):
    """A1 or A2 (part 1 or 2) as a bool matrix [query, key]."""
    i, j = torch.arange(length).view(-1, 1), torch.arange(length).view(1, -1)
    if kind == "strided":
        pattern = i - j <= stride if part == 1 else (i - j) % stride == 0
    else:
        pattern = i // stride == j // stride if part == 1 else j % stride >= stride - summary
    return pattern & (j <= i)


def masks(config, layer, length):
    """[heads, query, key] of a layer."""
    sparse, heads = config["sparse_attention"], config["n_head"]
    first, second = (allowed(sparse["kind"], part, sparse["stride"], sparse.get("summary", 1), length) for part in (1, 2))
    if sparse["integration"] == "interleaved":
        return (second if layer % 2 else first).expand(heads, -1, -1)
    if sparse["integration"] == "merged":
        return (first | second).expand(heads, -1, -1)
    return torch.stack([first if head < heads // 2 else second for head in range(heads)])


def attention(x, weights, prefix, mask, heads):
    batch, length, size = x.shape
    q, k, v = (x @ weights[prefix + "c_attn.weight"] + weights[prefix + "c_attn.bias"]).split(size, -1)
    q, k, v = (t.view(batch, length, heads, size // heads).transpose(1, 2) for t in (q, k, v))
    scores = q @ k.transpose(-1, -2) / (size // heads) ** 0.5
    scores = scores.masked_fill(~mask, float("-inf"))
    # Under A2 of the fixed kind, queries before the first summary position attend nothing: their attention is zero.
    probabilities = torch.where(mask.any(-1, keepdim=True), scores, 0).softmax(-1) * mask
    out = (probabilities @ v).transpose(1, 2).reshape(batch, length, size)
    return out @ weights[prefix + "c_proj.weight"] + weights[prefix + "c_proj.bias"]


def forward(weights, config, ids):
    def norm(x, name):
        return functional.layer_norm(x, (config["n_embd"],), weights[name + ".weight"], weights[name + ".bias"], config["layer_norm_epsilon"])

    length = ids.shape[1]
    h = weights["transformer.wte.weight"][ids] + weights["transformer.wpe.weight"][:length]
    for n in range(config["n_layer"]):
        prefix = f"transformer.h.{n}."
        h = h + attention(norm(h, prefix + "ln_1"), weights, prefix + "attn.", masks(config, n, length), config["n_head"])
        inner = norm(h, prefix + "ln_2") @ weights[prefix + "mlp.c_fc.weight"] + weights[prefix + "mlp.c_fc.bias"]
        inner = inner * torch.sigmoid(1.702 * inner)
        h = h + inner @ weights[prefix + "mlp.c_proj.weight"] + weights[prefix + "mlp.c_proj.bias"]
    head = weights["transformer.wte.weight" if config["tie_word_embeddings"] else "lm_head.weight"]
    return norm(h, "transformer.ln_f") @ head.T


def parameters(name, config):
    """Random everywhere, each drawn by its name."""
    size, vocabulary = config["n_embd"], config["vocab_size"]
    shapes = {"transformer.wte.weight": (vocabulary, size), "transformer.wpe.weight": (config["n_positions"], size)}
    for n in range(config["n_layer"]):
        for part, shape in (("ln_1", (size,)), ("attn.c_attn", (size, 3 * size)), ("attn.c_proj", (size, size)), ("ln_2", (size,)),
                            ("mlp.c_fc", (size, 4 * size)), ("mlp.c_proj", (4 * size, size))):
            shapes[f"transformer.h.{n}.{part}.weight"] = shape
            shapes[f"transformer.h.{n}.{part}.bias"] = shape[-1:]
    shapes["transformer.ln_f.weight"] = shapes["transformer.ln_f.bias"] = (size,)
    if not config["tie_word_embeddings"]:
        shapes["lm_head.weight"] = (vocabulary, size)
    result = {}
    for key, shape in shapes.items():
        value = rng_for(f"{name}/{key}").standard_normal(shape)
        if key.endswith("bias"):
            value *= 0.25
        elif ".ln_" in key:
            value = 1 + 0.25 * value
        elif "wte" in key or "wpe" in key:
            value *= 0.5
        else:
            value *= 1.1 / np.sqrt(shape[-1 if key == "lm_head.weight" else 0])
        result[key] = torch.from_numpy(value.astype("float32"))
    return result


# -- cases -----------------------------------------------------------------------------------------

def configuration(kind, integration, stride, summary=None, **more):
    sparse = {"kind": kind, "stride": stride, "integration": integration}
    if summary is not None:
        sparse["summary"] = summary
    value = {"model_type": "sparse_transformer", "architectures": ["SparseTransformerLMHeadModel"], "vocab_size": 29, "n_embd": 10, "n_layer": 2, "n_head": 2,
             "n_positions": 48, "layer_norm_epsilon": 1e-5, "activation_function": "quick_gelu", "tie_word_embeddings": True, "sparse_attention": sparse}
    return value | more


CASES = {
    "strided_interleaved": configuration("strided", "interleaved", 5, 2, n_layer=3),
    "strided_merged": configuration("strided", "merged", 4, 1, tie_word_embeddings=False),
    "strided_heads": configuration("strided", "heads", 6, 1, n_embd=15, n_head=3),
    "strided_without_summary": configuration("strided", "interleaved", 7),
    "strided_stride_one": configuration("strided", "heads", 1, 1, n_layer=1),
    "fixed_interleaved": configuration("fixed", "interleaved", 5, 2, n_layer=3, tie_word_embeddings=False),
    "fixed_merged": configuration("fixed", "merged", 6, 1),
    "fixed_heads": configuration("fixed", "heads", 4, 2, n_embd=20, n_head=5, layer_norm_epsilon=1e-3),
    "fixed_all_summary": configuration("fixed", "interleaved", 4, 4),
    "fixed_one_head": configuration("fixed", "heads", 3, 1, n_head=1, n_layer=1),
    "twelve_layers": configuration("strided", "interleaved", 8, 1, n_layer=12, n_embd=6),
}
NOTES = {
    "strided_heads": "an odd number of heads: one has A1, two have A2",
    "strided_stride_one": "A2 is all of the past",
    "fixed_all_summary": "A2 is all of the past",
    "fixed_one_head": "a single head has A2",
    "fixed_interleaved": "A2 leaves the first stride - summary queries without keys: their attention is zero",
    "fixed_heads": "A2 leaves the first stride - summary queries without keys: their attention is zero",
}


def inputs_of(name, config):
    """Lengths: no multiple of the stride; a multiple; shorter than it; all positions."""
    stride = config["sparse_attention"]["stride"]
    for variant, batch, length in (("", 2, 4 * stride + 3), ("multiple", 2, 2 * stride), ("short", 2, max(1, stride - 1)), ("longest", 1, config["n_positions"])):
        rng = rng_for(f"{name}/{variant}")
        ids = rng.integers(0, config["vocab_size"], (batch, min(length, config["n_positions"]))).astype("int64")
        ids[0, 0], ids[-1, -1] = config["vocab_size"] - 1, 0
        yield variant, ids


def generate(name):
    config = CASES[name]
    folder = FOLDER / name
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "model").mkdir(parents=True)
    weights = parameters(name, config)
    (folder / "model" / "config.json").write_text(json.dumps(config, indent=2) + "\n")
    save_file(weights, folder / "model" / "model.safetensors", {"format": "pt"})
    (folder / "model" / "model.safetensors").chmod(0o644)
    rows = []
    for variant, ids in inputs_of(name, config):
        with torch.no_grad():
            logits = forward(weights, config, torch.from_numpy(ids))
            double = forward({k: v.double() for k, v in weights.items()}, config, torch.from_numpy(ids))
        gap = float((logits - double).abs().max())
        if not gap < 2e-5 or logits.abs().max() > 20:
            print(f"  {name} {variant}: ill-conditioned: f32 to f64 {gap:.2g}, largest {logits.abs().max():.3g}")
        end = f"_{variant}" if variant else ""
        write_npz(folder / f"inputs{end}.npz", {"input_ids": ids})
        write_npz(folder / f"outputs{end}.npz", {"logits": logits.numpy()})
        rows.append({"name": f"sparse_{name}{end}", "path": f"sparse/{name}/model", "framework": f"torch {torch.__version__}", "dialect": "sparse_transformer",
                     "architecture": "sparse_transformer", "class": "SparseTransformerLMHeadModel", "inputs": f"sparse/{name}/inputs{end}.npz",
                     "outputs": f"sparse/{name}/outputs{end}.npz", "notes": NOTES.get(name, ""), "float64_difference": float(f"{gap:.2g}")})
    return rows


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--only", default="*")
    options = parser.parse_args()
    names = [n for n in CASES if fnmatch.fnmatch(n, options.only)]
    old = json.loads(MANIFEST.read_text()) if MANIFEST.exists() else []
    rows = [r for r in old if r["path"].split("/")[1] not in names]
    for name in names:
        rows += generate(name)
        print(name)
    rows.sort(key=lambda r: (r["path"], r["name"]))
    MANIFEST.write_text("[\n" + ",\n".join(" " + json.dumps(r) for r in rows) + "\n]\n")


if __name__ == "__main__":
    main()
