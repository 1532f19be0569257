"""Fixtures written by tf_keras 2.18: run with the interpreter of requirements-keras2.txt."""

import sys

sys.dont_write_bytecode = True

import argparse
import fnmatch
import importlib
import os

os.environ["TF_USE_LEGACY_KERAS"] = "1"
os.environ["CUDA_VISIBLE_DEVICES"] = ""
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
os.environ["TF_ENABLE_ONEDNN_OPTS"] = "0"

import numpy as np
import tensorflow as tf
import tf_keras as keras

import common
import families

tf.get_logger().setLevel("ERROR")
reset_object_ids = common.stable_object_ids(importlib.import_module("tf_keras.src.saving.serialization_lib"))
tf.config.threading.set_intra_op_parallelism_threads(1)
tf.config.threading.set_inter_op_parallelism_threads(1)
FRAMEWORK = f"tf_keras {keras.__version__}"
FOLDER = common.FIXTURES / "keras2"


def build(name, builder):
    """Model with random weights, inputs by name, options."""
    keras.backend.clear_session()
    keras.utils.set_random_seed(7)
    reset_object_ids()
    rng = common.rng_for("keras2 " + name)
    model, values, *options = builder(rng)
    options = options[0] if options else {}
    common.randomise(model, rng)
    if "fit" in options:
        model.fit(values[0], options["fit"], epochs=1, batch_size=3, shuffle=False, verbose=0)
    return model, dict(zip(model.input_names, values, strict=True)), options


def predict(model, inputs):
    values = [tf.constant(v) for v in inputs.values()]
    if any(getattr(layer, "stateful", False) for layer in model.layers):
        model.reset_states()
    result = model(values if len(values) > 1 else values[0], training=False)
    result = result if isinstance(result, (list, tuple)) else [result]
    names = common.unique(model.output_names)
    return {n: (r.numpy() if r.dtype != tf.bfloat16 else tf.cast(r, tf.float32).numpy()) for n, r in zip(names, result, strict=True)}


def check(name, expected, actual):
    for (n, a), b in zip(expected.items(), actual.values(), strict=True):
        if not np.all(np.isfinite(a)):
            raise ValueError(f"{name}: {n} isn't finite")
        if a.dtype != b.dtype or not np.allclose(a, b, rtol=1e-5, atol=1e-6):
            raise ValueError(f"{name}: {n} differs after reloading by {np.abs(a - b).max()}")


def whole_model(name, builder):
    model, inputs, options = build(name, builder)
    outputs = predict(model, inputs)
    path = FOLDER / f"{name}.h5"
    FOLDER.mkdir(parents=True, exist_ok=True)
    model.save(path, save_format="h5", include_optimizer=True)
    notes = options.get("notes", "")
    try:
        check(name, outputs, predict(keras.models.load_model(path, compile=False), inputs))
    except (ValueError, TypeError) as error:
        if "differs" in str(error) or "finite" in str(error):
            raise
        notes = (notes + "; " if notes else "") + "tf_keras itself can't reload this file"
        print("  can't reload:", name, repr(error)[:300])
    paths = common.write_expected(name, inputs, outputs)
    return [common.row(name, path, FRAMEWORK, "keras2-h5", *paths, common.class_names(model), notes)]


def table():
    import keras2_more  # imports this module
    result = {}
    for name, builder in families.cases(keras, 2).items():
        result["keras2_" + name] = (whole_model, builder)
    keras2_more.add(result)
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
    common.merge_manifest(rows, lambda r: all_of_them and r["framework"] == FRAMEWORK and r["path"].startswith("keras2/"))
    print(f"{len(rows)} fixtures, {failures} failures")
    return 1 if failures else 0


if __name__ == "__main__":
    import keras2  # one module, also for keras2_more

    raise SystemExit(keras2.main())
