"""Shared by the fixture generators: seeds, random weights, deterministic files, the manifest."""

import io
import json
import os
import zipfile
import zlib
from pathlib import Path

import numpy as np

FIXTURES = Path(__file__).resolve().parent.parent
EXPECTED = FIXTURES / "expected"
MANIFEST = FIXTURES / "manifest.json"
EPOCH = (1980, 1, 1, 0, 0, 0)


def rng_for(text):
    return np.random.default_rng(zlib.crc32(text.encode()))


# -- weights ---------------------------------------------------------------------------------------

def random_value(rng, role, shape):
    """A value for a variable called `role` (the last part of its name)."""
    if role in ("moving_variance", "variance"):
        return rng.uniform(0.4, 1.8, shape)
    if role in ("gamma", "scale"):
        return 1 + 0.3 * rng.standard_normal(shape)
    if role == "alpha":
        return rng.uniform(0.05, 0.45, shape)
    if role == "embeddings":
        return 0.8 * rng.standard_normal(shape)
    return 0.3 * rng.standard_normal(shape)


def randomise(model, rng):
    """Gives every weight of the model a random value, also where frameworks start at zero or one."""
    for variable in model.weights:
        role = variable.name.split("/")[-1].split(":")[0]
        dtype = getattr(variable.dtype, "name", variable.dtype)
        if "int" in str(dtype) or str(dtype) == "bool":
            continue
        value = np.asarray(random_value(rng, role, tuple(variable.shape)), "float32")
        if dtype != "bfloat16":
            value = value.astype(dtype)
        variable.assign(value)
    for layer in model.layers:
        if hasattr(layer, "finalize_state"):
            layer.finalize_state()  # Normalization computes with copies of its weights


# -- inputs ----------------------------------------------------------------------------------------

def ids(rng, batch=3, time=7, vocabulary=11, masked=False, full=True):
    """Ids; masked: row 0 padded at the right, row 1 at the left and in the middle, row 2 fully (full) or not at all."""
    value = rng.integers(1, vocabulary, (batch, time)).astype("int32")
    if masked:
        value[0, time - 3:] = 0
        value[1, :2] = 0
        value[1, time - 3] = 0
        if full:
            value[2, :] = 0
    else:
        value[0, 1] = 0
    return value


def floats(rng, *shape, scale=1.0, dtype="float32"):
    return (scale * rng.standard_normal(shape)).astype(dtype)


def masked_floats(rng, batch, time, features, mask_value=0.0, full=True):
    value = floats(rng, batch, time, features)
    mask = ids(rng, batch, time, masked=True, full=full) == 0
    value[mask] = mask_value
    return value


# -- files -----------------------------------------------------------------------------------------

def write_zip(path, members, deflated=False):
    """A zip without dates; members: [(name, bytes)], all stored or all deflated."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED if deflated else zipfile.ZIP_STORED, compresslevel=9) as archive:
        for name, data in members:
            info = zipfile.ZipInfo(name, EPOCH)
            info.external_attr = 0o600 << 16
            info.compress_type = archive.compression
            archive.writestr(info, data)


# Keras stores the members of a .keras file, and most of them is HDF5's own. Past this many bytes they are deflated here, which Keras reads too.
STORED_KERAS = 22_000


def write_keras(path, members):
    """A .keras file without dates, deflated if it is large."""
    write_zip(path, members, deflated=sum(len(data) for _, data in members) > STORED_KERAS)


def strip_dates(path):
    """Rewrites a .keras file in place with the same members and no dates."""
    with zipfile.ZipFile(path) as archive:
        members = [(i.filename, archive.read(i)) for i in archive.infolist()]
    result = []
    for name, data in members:
        if name == "metadata.json":
            value = json.loads(data)
            if "date_saved" in value:
                value["date_saved"] = "2000-01-01@00:00:00"
            data = json.dumps(value).encode()
        result.append((name, data))
    write_keras(path, result)


def write_npz(path, arrays):
    """np.savez_compressed without dates (np.load reads it)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    members = []
    for name, value in arrays.items():
        buffer = io.BytesIO()
        np.lib.format.write_array(buffer, np.ascontiguousarray(value) if np.ndim(value) else np.asarray(value), allow_pickle=False)
        members.append((name + ".npy", buffer.getvalue()))
    write_zip(path, members, deflated=True)


def write_expected(name, inputs, outputs):
    paths = (EXPECTED / f"{name}.inputs.npz", EXPECTED / f"{name}.outputs.npz")
    write_npz(paths[0], inputs)
    write_npz(paths[1], outputs)
    return [str(p.relative_to(FIXTURES)) for p in paths]


def unique(names):
    """A repeated name gets _1, _2, ..."""
    result = []
    for name in names:
        candidate, n = name, 0
        while candidate in result:
            n += 1
            candidate = f"{name}_{n}"
        result.append(candidate)
    return result


def write_json(path, value):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, indent=1, ensure_ascii=True) + "\n")


# -- manifest --------------------------------------------------------------------------------------

def merge_manifest(rows, replaced):
    """Replaces the rows for which `replaced(row)` holds by `rows`."""
    old = json.loads(MANIFEST.read_text()) if MANIFEST.exists() else []
    paths = {r["path"] for r in rows}
    kept = [r for r in old if r["path"] not in paths and not replaced(r)]
    rows = sorted(kept + rows, key=lambda r: r["path"])
    text = ",\n".join(" " + json.dumps(r, ensure_ascii=True) for r in rows)
    temporary = MANIFEST.with_suffix(".tmp")
    temporary.write_text("[\n" + text + "\n]\n")
    os.replace(temporary, MANIFEST)
    return rows


def merge_invalid(rows, *folders):
    """Replaces the rows of these folders in the manifest of bad files."""
    path = FIXTURES / "invalid" / "manifest.json"
    old = json.loads(path.read_text()) if path.exists() else []
    kept = [r for r in old if r["path"].split("/")[1] not in folders]
    rows = sorted(kept + rows, key=lambda r: r["path"])
    path.write_text("[\n" + ",\n".join(" " + json.dumps(r) for r in rows) + "\n]\n")


def row(name, path, framework, dialect, inputs, outputs, layers, notes="", config=None, **more):
    value = {"name": name, "path": str(Path(path).relative_to(FIXTURES))}
    if config is not None:
        value["config"] = str(Path(config).relative_to(FIXTURES))
    value.update(framework=framework, dialect=dialect, inputs=inputs, outputs=outputs, layers=layers, notes=notes, **more)
    return value


def class_names(model):
    """Class names of all layers, wrapped and nested ones too, sorted."""
    names = set()

    def visit(layer):
        names.add(type(layer).__name__)
        for attribute in ("forward_layer", "backward_layer", "layer", "cell"):
            inner = getattr(layer, attribute, None)
            if inner is not None and attribute in ("forward_layer", "backward_layer", "layer"):
                visit(inner)
        for inner in getattr(layer, "layers", None) or []:
            visit(inner)

    for layer in model.layers:
        visit(layer)
    return sorted(names)


def stable_object_ids(serialization_lib):
    """Configs hold Python's id() of shared objects: replaces it by a counter, and keeps the objects alive."""
    known, kept = {}, []

    def counter(value):
        key = id(value)
        if key not in known:
            known[key] = len(known) + 1
            kept.append(value)
        return known[key]

    def reset():
        known.clear()
        kept.clear()

    serialization_lib.id = counter
    return reset
