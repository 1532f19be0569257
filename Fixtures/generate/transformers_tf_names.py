"""Writes transformers/tf_names.json: what tf_model.h5 holds, by names and shapes, for the classes of which there is no such fixture.

    transformers_tf_names.py

Run with transformers 4.49. {class: {"case": whose configuration it is, "layers": [[layer, [[weight name, shape], ..]], ..]}}, in the file's order."""

import sys

sys.dont_write_bytecode = True

import json
import tempfile
from pathlib import Path

import transformers_tf as tt  # first: it sets up the environment
import h5py
import transformers

import transformers_common as tc
from transformers_cases import CASES


def layers(path):
    with h5py.File(path) as f:
        text = lambda v: v.decode() if isinstance(v, bytes) else str(v)
        result = []
        for layer in f.attrs["layer_names"]:
            group = f[text(layer)]
            result.append([text(layer), [[text(n), list(group[text(n)].shape)] for n in group.attrs["weight_names"]]])
        return result


def main():
    written = {c.cls for c in CASES.values() if any(s.startswith("tf4") for s in c.sources)}
    result = {}
    for case in CASES.values():
        if case.cls in written or case.cls in result or case.init:
            continue
        cls = getattr(transformers, "TF" + case.cls, None)
        if cls is None:
            continue
        tt.tf.keras.backend.clear_session()
        try:
            model = cls(cls.config_class(**case.config))
            tt.run(model, {k: v for k, v in case.inputs[""].items()})
        except (ValueError, KeyError, AttributeError) as error:
            print(f"{case.name}: {type(error).__name__}: {str(error).splitlines()[0]}")
            continue
        with tempfile.TemporaryDirectory() as folder:
            model.save_pretrained(folder, safe_serialization=False)
            result[case.cls] = {"case": case.name, "layers": layers(Path(folder) / "tf_model.h5")}
        print(case.cls, flush=True)
    lines = [f' {json.dumps(k)}: {json.dumps(v)}' for k, v in sorted(result.items())]
    (tc.FOLDER / "tf_names.json").write_text("{\n" + ",\n".join(lines) + "\n}\n")


if __name__ == "__main__":
    main()
