"""Fixtures written by Keras 3.15: run with the interpreter of requirements-keras3.txt."""

import sys

sys.dont_write_bytecode = True

import argparse
import fnmatch
import importlib
import json
import os

os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ["CUDA_VISIBLE_DEVICES"] = ""
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
os.environ["TF_ENABLE_ONEDNN_OPTS"] = "0"

import warnings

import keras
import numpy as np
import tensorflow as tf

import common
import families

warnings.filterwarnings("ignore")
tf.get_logger().setLevel("ERROR")
import absl.logging

absl.logging.set_verbosity(absl.logging.ERROR)
reset_object_ids = common.stable_object_ids(importlib.import_module("keras.src.saving.serialization_lib"))
tf.config.threading.set_intra_op_parallelism_threads(1)
tf.config.threading.set_inter_op_parallelism_threads(1)
FRAMEWORK = f"keras {keras.__version__}"
FOLDER = common.FIXTURES / "keras3"

# Cases that are also written as .h5 and as .weights.h5 with the configuration beside it.
ALL_FORMS = {
    "lstm_mask", "lstm_trained", "gru_basic", "gru_reset_before_basic", "bidirectional_lstm_concat_mask",
    "batch_normalization", "time_distributed_conv1d", "functional_shared", "functional_nested", "functional_small", "names_odd", "dtype_bfloat16",
}


def build(name, builder):
    keras.backend.clear_session()
    keras.utils.set_random_seed(7)
    reset_object_ids()
    rng = common.rng_for("keras3 " + name)
    model, values, *options = builder(rng)
    options = options[0] if options else {}
    common.randomise(model, rng)
    if "fit" in options:
        model.fit(values[0], options["fit"], epochs=1, batch_size=3, shuffle=False, verbose=0)
    return model, dict(zip([t._keras_history.operation.name for t in model.inputs], values, strict=True)), options


def predict(model, inputs):
    for layer in model.layers:
        if getattr(layer, "stateful", False):
            layer.reset_states()
    values = [tf.constant(v) for v in inputs.values()]
    result = model(values if len(values) > 1 else values[0], training=False)
    result = result if isinstance(result, (list, tuple)) else [result]
    names = common.unique([t._keras_history.operation.name for t in model.outputs])
    return {n: (r.numpy() if r.dtype != tf.bfloat16 else tf.cast(r, tf.float32).numpy()) for n, r in zip(names, result, strict=True)}


def check(name, expected, actual):
    for (n, a), b in zip(expected.items(), actual.values(), strict=True):
        if not np.all(np.isfinite(a)):
            raise ValueError(f"{name}: {n} isn't finite")
        if a.dtype != b.dtype or not np.allclose(a, b, rtol=1e-5, atol=1e-6):
            raise ValueError(f"{name}: {n} differs after reloading by {np.abs(a - b).max()}")


def load_weights_form(path, config):
    model = keras.models.model_from_json(config.read_text())
    model.load_weights(path)
    return model


def write_forms(name, builder):
    model, inputs, options = build(name, builder)
    outputs = predict(model, inputs)
    FOLDER.mkdir(parents=True, exist_ok=True)
    paths = common.write_expected(name, inputs, outputs)
    rows = []

    def add(path, dialect, load, **more):
        notes = options.get("notes", "")
        try:
            check(name, outputs, predict(load(), inputs))
        except Exception as error:
            if "differs" in str(error) or "finite" in str(error):
                raise
            notes = (notes + "; " if notes else "") + "Keras 3.15 itself can't reload this file: " + str(error).splitlines()[0][:90]
            print("  can't reload:", path.name, repr(error)[:300])
        rows.append(common.row(name, path, FRAMEWORK, dialect, *paths, common.class_names(model), notes, **more))

    path = FOLDER / f"{name}.keras"
    model.save(path)
    common.strip_dates(path)
    add(path, "keras3-keras", lambda: keras.models.load_model(path, compile=False))
    if name.removeprefix("keras3_") in ALL_FORMS:
        legacy = FOLDER / f"{name}.h5"
        model.save(legacy)
        add(legacy, "keras3-h5", lambda: keras.models.load_model(legacy, compile=False))
        weights, config = FOLDER / f"{name}.weights.h5", FOLDER / f"{name}.json"
        model.save_weights(weights)
        config.write_text(model.to_json() + "\n")
        add(weights, "keras3-weights", lambda: load_weights_form(weights, config), config=config)
    return rows


def table():
    result = {}
    for name, builder in families.cases(keras, 3).items():
        result["keras3_" + name] = (write_forms, builder)
    return result


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--only", default="*", help="a glob over case names")
    only = parser.parse_args().only
    rows, failures = [], 0
    for name, (write, builder) in table().items():
        if fnmatch.fnmatch(name, only):
            try:
                rows += write(name, builder)
            except Exception as error:
                failures += 1
                print("FAILED", name, repr(error)[:400])
    all_of_them = only == "*"
    common.merge_manifest(rows, lambda r: all_of_them and r["framework"] == FRAMEWORK and r["path"].startswith("keras3/"))
    print(f"{len(rows)} fixtures, {failures} failures")
    return 1 if failures else 0


if __name__ == "__main__":
    raise SystemExit(main())
