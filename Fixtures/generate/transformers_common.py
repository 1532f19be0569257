"""Shared by the generators of Transformer fixtures: seeded weights, folders, expected outputs, the manifest.

A case is a model of one class with one configuration. Its folder `transformers/<case>/` holds `inputs*.npz`, `outputs*.npz` and a folder for each
way in which the model is saved: `safetensors5` (transformers 5), `safetensors4`, `bin4`, `tf4` (transformers 4.49: PyTorch and TensorFlow classes).
Every weight is drawn by the names of case and parameter, so both versions of transformers, whichever runs first, build the same model."""

import io
import json
import os
from pathlib import Path

import numpy as np

import common
from common import FIXTURES, rng_for, write_npz

FOLDER = FIXTURES / "transformers"
MANIFEST = FOLDER / "manifest.json"
# Largest difference between two versions or implementations at which they share one file of expected outputs, of the output's scale.
SHARED = 2e-6


def weight(case, name, kind, shape, fan_in):
    """A random value for parameter `name`; `kind` is norm, embedding, table (relative bias), matrix or bias."""
    rng = rng_for(f"{case}/{name}")
    value = rng.standard_normal(shape)
    if kind == "norm":
        value = 1 + 0.25 * value
    elif kind == "embedding":
        value = 0.5 * value
    elif kind == "table":
        value = 0.8 * value
    elif kind == "matrix":
        value = 1.1 * value / np.sqrt(fan_in)
    else:
        value = 0.25 * value
    return value.astype("float32")


def difference(a, b):
    """Largest difference of two sets of outputs, relative to the larger of 1 and the output's scale."""
    if set(a) != set(b):
        raise ValueError(f"outputs {sorted(a)} and {sorted(b)}")
    worst = 0.0
    for name in a:
        if a[name].shape != b[name].shape:
            raise ValueError(f"{name}: {a[name].shape} and {b[name].shape}")
        scale = max(1.0, float(np.abs(a[name]).max()))
        worst = max(worst, float(np.abs(a[name].astype("f8") - b[name].astype("f8")).max()) / scale)
    return worst


def read_npz(path):
    with np.load(path) as f:
        return dict(f)


def file_name(stem, variant, suffix=""):
    return f"{stem}{'_' + variant if variant else ''}{suffix}.npz"


def write_outputs(case, variant, suffix, outputs, authoritative):
    """Where the outputs lie: the case's own file, or another with `suffix` where they differ from it by more than rounding."""
    folder = FOLDER / case
    shared = folder / file_name("outputs", variant)
    if authoritative or not shared.exists():
        write_npz(shared, outputs)
        return shared, 0.0
    gap = difference(read_npz(shared), outputs)
    for path in [shared] + [folder / file_name("outputs", variant, s) for s in ("_pt4", "_pt5") if s != suffix]:
        if path.exists() and difference(read_npz(path), outputs) <= SHARED:
            return path, gap
    own = folder / file_name("outputs", variant, suffix)
    write_npz(own, outputs)
    return own, gap


def merge(rows, replaced):
    """Replaces the rows for which `replaced(row)` holds by `rows`."""
    old = json.loads(MANIFEST.read_text()) if MANIFEST.exists() else []
    kept = [r for r in old if not replaced(r)]
    rows = sorted(kept + rows, key=lambda r: (r["path"], r["name"]))
    text = ",\n".join(" " + json.dumps(r, ensure_ascii=True) for r in rows)
    temporary = MANIFEST.with_suffix(".tmp")
    temporary.write_text("[\n" + text + "\n]\n")
    os.replace(temporary, MANIFEST)


def row(case, variant, source, framework, outputs, notes, **more):
    value = {
        "name": case.name + (f"_{variant}" if variant else ""),
        "path": f"transformers/{case.name}/{source}",
        "framework": framework,
        "dialect": source,
        "architecture": case.architecture,
        "class": case.cls,
        "inputs": f"transformers/{case.name}/{file_name('inputs', variant)}",
        "outputs": str(Path(outputs).relative_to(FIXTURES)),
        "notes": "; ".join(n for n in notes if n),
    }
    value.update(more)
    return value


def clean_json(path):
    """The same configuration without the machine's paths."""
    value = json.loads(path.read_text())
    value.pop("_name_or_path", None)
    path.write_text(json.dumps(value, indent=2, sort_keys=True) + "\n")


def tidy(folder):
    """Leaves configuration and weights only."""
    for path in sorted(folder.iterdir()):
        if path.name == "config.json":
            clean_json(path)
        elif path.name in ("generation_config.json", "README.md"):
            path.unlink()
            continue
        path.chmod(0o644)
