"""A workload of ingot-bench in ONNX Runtime or PyTorch, whichever this Python has: `bench_peers.py WORKLOAD THREADS`.

Lines in: `run` is answered by the milliseconds of one run, `output` by a count and that many floats of the first output.
Weights and inputs are made from names, as Workload.swift says.
"""

import os
import sys
import time

workload, threads = sys.argv[1], int(sys.argv[2])
os.environ["OMP_NUM_THREADS"] = str(threads)

import numpy as np


def tensor(name, shape, scale):
    seed = 2166136261
    for byte in name.encode():
        seed = (seed ^ byte) * 16777619 & 0xFFFFFFFF
    index = np.arange(int(np.prod(shape)), dtype=np.uint32)
    bits = index * np.uint32(2654435761) + np.uint32(seed)
    return (((bits >> np.uint32(8)).astype(np.float32) / np.float32(16777216) - np.float32(0.5)) * np.float32(scale)).reshape(shape)


def weight(name, shape):
    return tensor(name, shape, np.sqrt(12 / shape[0]) if len(shape) == 2 else 0.2)


def bert_onnx(tokens, layers=12, width=768, heads=12, inner=3072, vocabulary=30522):
    """The graph of Transformer.swift, in the ops that PyTorch's exporter writes."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    nodes, initializers = [], []

    def constant(name, array):
        initializers.append(numpy_helper.from_array(array, name))
        return name

    def add(op, inputs, **attributes):
        name = f"v{len(nodes)}"
        nodes.append(helper.make_node(op, inputs, [name], name=name, **attributes))
        return name

    def norm(x, name):
        return add("LayerNormalization", [x, constant(f"{name}.scale", weight(f"{name}.scale", [width])),
                                          constant(f"{name}.offset", weight(f"{name}.offset", [width]))], axis=-1, epsilon=1e-12)

    def dense(x, name, a, b):
        product = add("MatMul", [x, constant(f"{name}.weight", weight(f"{name}.weight", [a, b]))])
        return add("Add", [product, constant(f"{name}.bias", weight(f"{name}.bias", [b]))])

    size = width // heads
    split = constant("split", np.array([1, tokens, heads, size], dtype=np.int64))
    joined = constant("joined", np.array([1, tokens, width], dtype=np.int64))
    root, two, one, half = (constant(n, np.array(v, dtype=np.float32))
                            for n, v in [("root", size**0.5), ("two", 2**0.5), ("one", 1), ("half", 0.5)])
    embedded = add("Gather", [constant("words.weight", weight("words.weight", [vocabulary, width])), "input_ids"], axis=0)
    hidden = norm(add("Add", [embedded, constant("positions.weight", weight("positions.weight", [tokens, width]))]), "embeddings")
    for layer in range(layers):
        q, k, v = (add("Reshape", [dense(hidden, f"layer{layer}.{part}", width, width), split]) for part in ("query", "key", "value"))
        q, k, v = add("Transpose", [q], perm=[0, 2, 1, 3]), add("Transpose", [k], perm=[0, 2, 3, 1]), add("Transpose", [v], perm=[0, 2, 1, 3])
        weights = add("Softmax", [add("Div", [add("MatMul", [q, k]), root])], axis=-1)
        mixed = add("Reshape", [add("Transpose", [add("MatMul", [weights, v])], perm=[0, 2, 1, 3]), joined])
        hidden = norm(add("Add", [dense(mixed, f"layer{layer}.output", width, width), hidden]), f"layer{layer}.norm1")
        up = dense(hidden, f"layer{layer}.up", width, inner)
        active = add("Mul", [add("Mul", [up, add("Add", [add("Erf", [add("Div", [up, two])]), one])]), half])
        hidden = norm(add("Add", [dense(active, f"layer{layer}.down", inner, width), hidden]), f"layer{layer}.norm2")
    graph = helper.make_graph(
        nodes, "bert", [helper.make_tensor_value_info("input_ids", TensorProto.INT64, [1, tokens])],
        [helper.make_tensor_value_info(hidden, TensorProto.FLOAT, [1, tokens, width])], initializers)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def in_onnxruntime():
    import onnxruntime

    name = f"onnxruntime {onnxruntime.__version__}"
    if not workload.startswith("bert-base-"):
        return None
    tokens = int(workload.split("-")[2])
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    # With bf16 ours is held against the same f32 model.
    session = onnxruntime.InferenceSession(bert_onnx(tokens).SerializeToString(), options, providers=["CPUExecutionProvider"])
    ids = (np.arange(tokens, dtype=np.int64) * 7919 % 30522).reshape(1, tokens)
    return name, lambda: session.run(None, {"input_ids": ids})[0]


def in_torch():
    import torch

    torch.set_num_threads(threads)
    name = f"torch {torch.__version__}"
    if not workload.startswith("attention-"):
        return None
    parts = workload.split("-")
    batch, tokens = map(int, parts[1].split("x"))
    window = int(parts[2].removeprefix("window")) if len(parts) > 2 else None
    q, k, v = (torch.from_numpy(tensor(n, [batch, tokens, 12, 64], 2)).transpose(1, 2) for n in ("query", "key", "value"))
    mask = None
    if window is not None:
        distance = torch.arange(tokens)[:, None] - torch.arange(tokens)[None, :]
        mask = distance.abs() <= window

    def run():
        with torch.inference_mode():
            return torch.nn.functional.scaled_dot_product_attention(q, k, v, attn_mask=mask).transpose(1, 2).contiguous().numpy()

    return name, run


SPARSE = {
    "longformer-base-4096": ("Longformer", 4096, 50265, dict(
        attention_window=512, vocab_size=50265, max_position_embeddings=4098, type_vocab_size=1, layer_norm_eps=1e-5, pad_token_id=1)),
    "reformer-16384": ("Reformer", 16384, 320, dict(axial_pos_shape=[128, 128], max_position_embeddings=16384, hash_seed=0, vocab_size=320)),
}


def in_transformers():
    """Longformer-base and Reformer, as SparseModel.swift has them."""
    if workload not in SPARSE:
        return None
    os.environ["USE_TF"] = "0"
    os.environ["TRANSFORMERS_VERBOSITY"] = "critical"
    import torch
    import transformers

    torch.set_num_threads(threads)
    family, tokens, vocabulary, options = SPARSE[workload]
    more = {"add_pooling_layer": False} if family == "Longformer" else {}
    model = getattr(transformers, family + "Model")(getattr(transformers, family + "Config")(**options), **more).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            scale = 0.2 if parameter.dim() == 1 else np.sqrt(12 / parameter.shape[-1])
            parameter.copy_(torch.from_numpy(tensor(name, list(parameter.shape), scale)))
    inputs = {"input_ids": torch.arange(tokens).mul(7919).remainder(vocabulary).view(1, -1)}
    if family == "Longformer":
        inputs["global_attention_mask"] = torch.zeros((1, tokens), dtype=torch.int64)
        inputs["global_attention_mask"][0, 0] = 1

    def run():
        with torch.inference_mode():
            return model(**inputs).last_hidden_state.numpy()

    return f"transformers {transformers.__version__}", run


def main():
    try:
        made = in_onnxruntime()
    except ImportError:
        try:
            made = in_transformers() or in_torch()
        except ImportError:
            made = None
    out = sys.stdout.buffer
    if made is None:
        out.write(b"unknown\n")
        out.flush()
        return
    name, run = made
    result = run()
    out.write(f"ready {name}\n".encode())
    out.flush()
    for line in sys.stdin:
        if line.strip() == "run":
            start = time.perf_counter()
            result = run()
            out.write(f"{(time.perf_counter() - start) * 1e3}\n".encode())
        else:
            flat = np.ascontiguousarray(result, dtype=np.float32).reshape(-1)
            out.write(f"{flat.size}\n".encode() + flat.tobytes())
        out.flush()


main()
