"""A model of ingot-bench in another runtime: `bench_peers.py onnxruntime|torch MODEL INPUTS.npz OUTPUT THREADS`; or a compression:
`bench_peers.py zipnn BYTES f32|bf16|f16 in|out THREADS`.

MODEL is a directory that transformers opens, or a .safetensors file with the state dict of torch.nn's LSTM, GRU or RNN. ONNX Runtime is
given what torch exports of it. ZipNN's output is one number, the size by the size before. Lines in: `run` is answered by the milliseconds of one run, `output` by a count and that many floats.
"""

import inspect
import os
import sys
import time
import warnings

runtime, model_path, inputs_path, output, threads = sys.argv[1:5] + [int(sys.argv[5])]
os.environ["OMP_NUM_THREADS"] = str(threads)
os.environ["HF_HUB_OFFLINE"] = "1"
warnings.filterwarnings("ignore")

import numpy as np


def answer(bytes):
    os.write(answers, bytes)


# Libraries print where they like; answers have the first output to themselves.
answers = os.dup(1)
os.dup2(2, 1)


def module(attention):
    """The model as a function of the inputs, in their order."""
    import torch
    from safetensors.torch import load_file

    if model_path.endswith(".safetensors"):
        weights = load_file(model_path)
        units, features = weights["weight_hh_l0"].shape[1], weights["weight_ih_l0"].shape[1]
        kind = {1: torch.nn.RNN, 3: torch.nn.GRU, 4: torch.nn.LSTM}[weights["weight_ih_l0"].shape[0] // units]
        both = "weight_hh_l0_reverse" in weights
        layers = sum(name.startswith("weight_hh_l") for name in weights) // (2 if both else 1)
        network = kind(features, units, layers, batch_first=True, bidirectional=both)
        network.load_state_dict(weights)

        class Sequence(torch.nn.Module):
            def __init__(self):
                super().__init__()
                self.network = network

            def forward(self, x):
                return self.network(x)[0]

        return Sequence().eval()
    import transformers

    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    config = transformers.AutoConfig.from_pretrained(model_path)
    # What torch can't export, and what has one form of attention only.
    if config.model_type in ("longformer", "reformer"):
        attention = "eager" if runtime == "torch" else None
    if attention is None:
        raise ImportError(config.model_type)
    loaded = getattr(transformers, config.architectures[0]).from_pretrained(model_path, attn_implementation=attention).eval()

    class Named(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.model = loaded

        def forward(self, *tensors):
            return self.model(**dict(zip(names, tensors)), **options, return_dict=True)[output]

    options = {"use_cache": False} if "use_cache" in inspect.signature(loaded.forward).parameters else {}

    return Named().eval()


arrays = {} if runtime == "zipnn" else dict(np.load(inputs_path))
names = sorted(arrays)


def in_torch():
    import torch

    torch.set_num_threads(threads)
    network = module("sdpa")
    tensors = [torch.from_numpy(arrays[name]) for name in names]

    def run():
        with torch.inference_mode():
            return network(*tensors).numpy()

    return f"torch {torch.__version__}", run


def in_onnxruntime():
    import onnxruntime

    path = inputs_path.removesuffix(".npz").removesuffix("-bf16") + ".onnx"
    if not os.path.exists(path):
        import torch

        with torch.no_grad():
            torch.onnx.export(
                module("eager"), tuple(torch.from_numpy(arrays[name]) for name in names), path, dynamo=False, opset_version=17,
                input_names=names, output_names=[output])
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return f"onnxruntime {onnxruntime.__version__}", lambda: session.run(None, arrays)[0]


def in_zipnn():
    import importlib.metadata

    from zipnn import ZipNN

    with open(model_path, "rb") as file:
        data = file.read()
    dtype = {"f32": "float32", "bf16": "bfloat16", "f16": "float16"}[inputs_path]
    codec = ZipNN(input_format="byte", bytearray_dtype=dtype, threads=threads)
    compressed = codec.compress(bytearray(data))
    assert bytes(codec.decompress(compressed)) == data
    ratio = np.array([len(compressed) / len(data)], np.float32)
    # It works in its input's memory, so each run has its own.
    given = []

    def prepare():
        given[:] = [bytearray(data) if output == "in" else compressed]

    def run():
        codec.compress(given[0]) if output == "in" else codec.decompress(given[0])
        return ratio

    return f"zipnn {importlib.metadata.version('zipnn')}", run, prepare


def main():
    try:
        name, run, *prepare = {"torch": in_torch, "onnxruntime": in_onnxruntime, "zipnn": in_zipnn}[runtime]()
    except ImportError:
        answer(b"unknown\n")
        return
    for step in prepare:
        step()
    result = run()
    answer(f"ready {name}\n".encode())
    for line in sys.stdin:
        if line.strip() == "run":
            for step in prepare:
                step()
            start = time.perf_counter()
            result = run()
            answer(f"{(time.perf_counter() - start) * 1e3}\n".encode())
        else:
            data = memoryview(f"{result.size}\n".encode() + np.ascontiguousarray(result, dtype=np.float32).tobytes())
            while data:
                data = data[os.write(answers, data):]


main()
