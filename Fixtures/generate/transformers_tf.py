"""Saves the cases with transformers 4.49's TensorFlow classes (tf_model.h5) and records what they compute. Run after transformers_pt.py.

    transformers_tf.py [--only 'bert_*']

The weights are those of the case in PyTorch, which transformers itself carries over; every variable is checked to have been given."""

import sys

sys.dont_write_bytecode = True

import argparse
import fnmatch
import inspect
import os
import shutil
import tempfile
import warnings

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["USE_TF"] = os.environ["USE_TORCH"] = "AUTO"
os.environ["HF_HUB_DISABLE_PROGRESS_BARS"] = os.environ["TQDM_DISABLE"] = "1"
os.environ["TRANSFORMERS_VERBOSITY"] = "error"
os.environ["CUDA_VISIBLE_DEVICES"] = ""
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
os.environ["TF_ENABLE_ONEDNN_OPTS"] = "0"
os.environ["TF_USE_LEGACY_KERAS"] = "1"
warnings.filterwarnings("ignore")

import h5py
import numpy as np
import tensorflow as tf
import torch
import transformers

import transformers_common as tc
import transformers_pt as pt
from transformers_cases import CASES

tf.get_logger().setLevel("ERROR")
tf.config.threading.set_intra_op_parallelism_threads(1)
FRAMEWORK = f"transformers {transformers.__version__}, tensorflow {tf.__version__}"


def run(model, inputs):
    known = inspect.signature(model.call).parameters
    unknown = set(inputs) - set(known)
    if unknown:
        raise ValueError(f"{type(model).__name__} doesn't take {unknown}")
    # Ids are i32 in TensorFlow's classes.
    arguments = {k: tf.constant(v.astype("int32") if v.dtype.kind == "i" else v) for k, v in inputs.items()}
    if "use_cache" in known:
        arguments["use_cache"] = False
    result = model(**arguments, training=False, return_dict=True)
    return {k: v.numpy() for k, v in result.items() if isinstance(v, tf.Tensor)}


def save(model, case, source):
    folder = tc.FOLDER / case.name / source
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    shard = {"max_shard_size": case.options.get("shard", "16KB")} if source.endswith("_sharded") else {}
    model.save_pretrained(folder, safe_serialization=False, **shard)
    if source == "tf4_old":
        old_names(folder / "tf_model.h5")
    tc.tidy(folder)
    return folder


def old_names(path):
    """The same file as TensorFlow 2.0's days had it: tables called `weight`, names as fixed-length strings, layers without weights listed too."""
    temporary = path.with_suffix(".new")

    def text(value):
        return value if isinstance(value, str) else value.decode()

    def rename(value):
        return text(value).replace("embeddings:0", "weight:0")

    with h5py.File(path) as source, h5py.File(temporary, "w") as target:
        names = [text(n) for n in source.attrs["layer_names"]]
        for layer in names:
            group = target.create_group(layer)
            weights = list(source[layer].attrs["weight_names"])
            for name in weights:
                group.create_dataset(rename(name), data=source[layer][text(name)][()], track_times=False)
            group.attrs["weight_names"] = np.array([rename(n).encode() for n in weights])
        target.create_group("dropout_37").attrs["weight_names"] = np.array([])
        target.attrs["layer_names"] = np.array([n.encode() for n in names[:1] + ["dropout_37"] + names[1:]])
        target.attrs["backend"], target.attrs["keras_version"] = np.bytes_(b"tensorflow"), np.bytes_(b"2.2.4-tf")
    os.replace(temporary, path)


def generate(case):
    sources = [s for s in case.sources if s.startswith("tf4")]
    if not sources:
        return []
    cls = getattr(transformers, "TF" + case.cls)
    tf.keras.backend.clear_session()
    with tempfile.TemporaryDirectory() as temporary:
        original = pt.build(case)
        original.save_pretrained(temporary, safe_serialization=False)
        model, info = cls.from_pretrained(temporary, from_pt=True, output_loading_info=True, **case.init)
    told = {k: sorted(str(i) for i in v) for k, v in info.items() if v}
    if told:
        print(f"  {case.name}: from PyTorch: {told}")
    rows, expected = [], {}
    own = not any(not s.startswith("tf4") for s in case.sources)
    inputs_of = {v: i for v, i in case.inputs.items() if v not in case.options.get("not_in_tf", ())}
    for variant, inputs in inputs_of.items():
        if own:
            tc.write_npz(tc.FOLDER / case.name / tc.file_name("inputs", variant), inputs)
        outputs = run(model, inputs)
        path, gap = tc.write_outputs(case.name, variant, "_tf4", outputs, own)
        expected[variant] = (path, outputs, f"differs from PyTorch by {gap:.1g}" if gap > tc.SHARED else "")
        if gap > 1e-5:
            print(f"  {case.name} {variant}: TensorFlow differs from PyTorch by {gap:.2g}")
    for source in sources:
        folder = save(model, case, source)
        tf.keras.backend.clear_session()
        loaded, info = cls.from_pretrained(folder, output_loading_info=True, **case.init)
        told = {k: sorted(str(i) for i in v) for k, v in info.items() if v}
        if told:
            print(f"  {case.name}/{source}: {told}")
        for variant, inputs in inputs_of.items():
            path, outputs, said = expected[variant]
            again = tc.difference(outputs, run(loaded, inputs))
            if again > 1e-6:
                raise ValueError(f"{folder}: computes something else when loaded again: {again}")
            notes = [case.notes, said, f"loading reports {told}" if told else ""]
            rows.append(tc.row(case, variant, source, FRAMEWORK, path, notes, init=case.init, padded_positions=case.padded_positions(variant)))
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
        if made:
            print(f"{case.name}: {len(made)} rows", flush=True)
    tc.merge(rows, lambda r: r["path"].split("/")[1] in done and r["dialect"].startswith("tf4"))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
