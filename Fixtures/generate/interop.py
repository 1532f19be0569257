"""Loads what Ingot wrote with the real framework, predicts, and compares with the expected outputs.

    interop.py --framework keras2|keras3 --directory DIR [--directory DIR ..] [--manifest FILE]

DIR holds <case>.keras, <case>.h5, or <case>.weights.h5 with its configuration beside it: <case>.json, or the .keras file <case>.configuration.
<case> is a name of the manifest.

A file that fails is held against the fixture that it was made from, where the same framework wrote that: if the framework can't load the fixture
either, or predicts the same from it, the file is what the fixture was, and is printed as "as the original", not as failed."""

import sys

sys.dont_write_bytecode = True

import argparse
import json
import os
import zipfile
from pathlib import Path

FIXTURES = Path(__file__).resolve().parent.parent
os.environ["CUDA_VISIBLE_DEVICES"] = ""
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
os.environ["TF_ENABLE_ONEDNN_OPTS"] = "0"
os.environ["TF_USE_LEGACY_KERAS"] = "1"
os.environ["KERAS_BACKEND"] = "tensorflow"

parser = argparse.ArgumentParser()
parser.add_argument("--framework", choices=["keras2", "keras3"], required=True)
parser.add_argument("--directory", type=Path, required=True, action="append")
parser.add_argument("--manifest", type=Path, default=FIXTURES / "manifest.json")
parser.add_argument("--tolerance", type=float, default=5e-5, help="of the largest difference, relative to the scale of the output")
options = parser.parse_args()

import numpy as np
import tensorflow as tf

tf.get_logger().setLevel("ERROR")
if options.framework == "keras2":
    import tf_keras as keras
else:
    import keras


def load(path, case):
    archive = path.with_name(case + ".configuration")
    if archive.exists():
        with zipfile.ZipFile(archive) as f:
            model = keras.models.model_from_json(f.read("config.json").decode())
        model.load_weights(str(path))
        return model
    if path.name.endswith(".weights.h5") or (path.with_name(case + ".json").exists() and path.suffix == ".h5"):
        model = keras.models.model_from_json(path.with_name(case + ".json").read_text())
        model.load_weights(str(path))
        return model
    return keras.models.load_model(str(path), compile=False)


def input_names(model):
    if options.framework == "keras2":
        return list(model.input_names)
    return [t._keras_history.operation.name for t in model.inputs]


def predict(model, inputs):
    names = input_names(model)
    values = [inputs[n] for n in names] if set(names) == set(inputs) else list(inputs.values())
    if len(values) != len(names):
        raise ValueError(f"the model has inputs {names}, the fixture {list(inputs)}")
    values = [tf.constant(v) for v in values]
    result = model(values if len(values) > 1 else values[0], training=False)
    result = result if isinstance(result, (list, tuple)) else [result]
    return [tf.cast(r, tf.float32).numpy() if r.dtype == tf.bfloat16 else r.numpy() for r in result]


def compare(expected, actual):
    if len(expected) != len(actual):
        raise ValueError(f"{len(actual)} outputs, expected {len(expected)}")
    worst = 0.0
    for (name, a), b in zip(expected.items(), actual):
        if a.shape != b.shape:
            raise ValueError(f"{name}: shape {b.shape}, expected {a.shape}")
        if a.size == 0:
            continue
        scale = max(1.0, float(np.abs(a.astype("f8")).max()))
        difference = float(np.abs(a.astype("f8") - b.astype("f8")).max()) / scale
        limit = options.tolerance if a.dtype != np.float16 else 5e-3
        worst = max(worst, difference if np.isfinite(difference) else np.inf)
        if not difference <= limit:
            raise ValueError(f"{name}: differs by {difference:.3g} of its scale")
    return worst


def fails_as_original(path, case, rows):
    """Why the framework fails on the fixture too, if it does and wrote it."""
    row = next((r for r in rows if path.parent.name.startswith(r["dialect"] + "-to-")), rows[0])
    if row["framework"].startswith("tf_keras") != (options.framework == "keras2"):
        return None
    with np.load(FIXTURES / row["inputs"]) as f:
        inputs = dict(f)
    keras.backend.clear_session()
    try:
        original = predict(load_fixture(row), inputs)
    except Exception as error:
        return f"{type(error).__name__}: {first_line(error)}"
    try:
        compare({str(i): a for i, a in enumerate(original)}, predict(load(path, case), inputs))
        return "predicts the same, which isn't what is expected"
    except Exception:
        return None


def load_fixture(row):
    path = FIXTURES / row["path"]
    if not row.get("config"):
        return keras.models.load_model(str(path), compile=False)
    model = keras.models.model_from_json((FIXTURES / row["config"]).read_text())
    model.load_weights(str(path))
    return model


def first_line(error):
    return (str(error).strip().splitlines() or [""])[0][:300]


def main():
    rows = {}
    for r in json.loads(options.manifest.read_text()):
        rows.setdefault(r["name"], []).append(r)
    passed = failed = 0
    for path in sorted(p for d in options.directory if d.exists() for p in d.iterdir()):
        case = next((path.name[:-len(s)] for s in (".weights.h5", ".keras", ".h5") if path.name.endswith(s)), None)
        if case is None:
            continue
        name = f"{path.parent.name}/{path.name}"
        try:
            if case not in rows:
                raise ValueError("no such case in the manifest")
            keras.backend.clear_session()
            with np.load(FIXTURES / rows[case][0]["inputs"]) as f:
                inputs = dict(f)
            with np.load(FIXTURES / rows[case][0]["outputs"]) as f:
                outputs = dict(f)
            worst = compare(outputs, predict(load(path, case), inputs))
            print(f"passed {name} (largest difference {worst:.2g})", flush=True)
            passed += 1
        except Exception as error:
            reason = fails_as_original(path, case, rows[case]) if case in rows else None
            if reason:
                print(f"as the original {name}: {reason}", flush=True)
                continue
            print(f"FAILED {name}: {type(error).__name__}: {first_line(error)}", flush=True)
            failed += 1
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
