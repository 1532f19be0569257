"""safetensors files, good ones by the reference library and bad ones by hand: run with the interpreter of requirements-pytorch.txt."""

import sys

sys.dont_write_bytecode = True

import json
import shutil
import struct

import torch
from common import FIXTURES, merge_invalid, rng_for, write_json
from safetensors.torch import save_file, save_model

GOOD = FIXTURES / "safetensors"
BAD = FIXTURES / "invalid" / "safetensors"
ROWS, BAD_ROWS = [], []

NAMES = {
    torch.bool: "bool", torch.uint8: "u8", torch.int8: "i8", torch.int16: "i16", torch.uint16: "u16", torch.int32: "i32",
    torch.uint32: "u32", torch.int64: "i64", torch.uint64: "u64", torch.float8_e4m3fn: "f8e4m3", torch.float8_e5m2: "f8e5m2",
    torch.float16: "f16", torch.bfloat16: "bf16", torch.float32: "f32", torch.float64: "f64",
}


def floats(rng, *shape):
    return torch.from_numpy(rng.standard_normal(shape).astype("float32"))


def of_dtype(rng, dtype, *shape):
    if dtype is torch.bool:
        return torch.from_numpy(rng.integers(0, 2, shape).astype("bool"))
    if dtype.is_floating_point:
        return floats(rng, *shape).to(dtype)
    low, high = (0, 200) if not dtype.is_signed else (-100, 100)
    return torch.from_numpy(rng.integers(low, high, shape).astype("int64")).to(dtype)


def row(name, tensors, attributes=None, ties=(), rewritten_equal=True):
    """What a reader has to find; rewritten_equal: whether writing it again gives the same bytes."""
    ROWS.append({
        "path": f"safetensors/{name}.safetensors", "attributes": attributes or {}, "ties": list(ties), "rewritten_equal": rewritten_equal,
        "tensors": [
            {"name": key, "dtype": NAMES[value.dtype], "shape": list(value.shape),
             "bytes": bytes(value.contiguous().reshape(-1).view(torch.uint8).tolist()).hex() if value.numel() else ""}
            for key, value in tensors.items()
        ],
    })


def make_good():
    rng = rng_for("safetensors")
    tensors = {f"t.{name}": of_dtype(rng, dtype, 3, 5) for dtype, name in NAMES.items()}
    tensors |= {"scalar": floats(rng), "empty": floats(rng, 0, 7), "empty_last": floats(rng, 7, 0).to(torch.bfloat16)}
    save_file(tensors, GOOD / "dtypes.safetensors", {"format": "pt"})
    row("dtypes", tensors)

    tensors = {f"layer.{i}.weight": floats(rng, 2, 3) for i in range(12)}
    tensors |= {"größe": floats(rng, 3), "a/b:0": floats(rng, 1), 'quote"\\': floats(rng, 2), "tab\t": floats(rng, 2)}
    save_file(tensors, GOOD / "names.safetensors")
    row("names", tensors, rewritten_equal=False)

    # One entry more than the usual: the reference writer gives several in no particular order.
    tensors = {"weight": floats(rng, 3, 2)}
    save_file(tensors, GOOD / "metadata.safetensors", {"config.json": json.dumps({"model_type": "none", "größe": [1, 2]})})
    row("metadata", tensors, {"config.json": json.dumps({"model_type": "none", "größe": [1, 2]})}, rewritten_equal=False)
    save_file(tensors, GOOD / "format_tf.safetensors", {"format": "tf"})
    row("format_tf", tensors, {"format": "tf"})
    save_file({}, GOOD / "no_tensors.safetensors", {"format": "pt"})
    row("no_tensors", {})

    class Tied(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.embedding = torch.nn.Embedding(7, 3)
            self.norm = torch.nn.LayerNorm(3)
            self.head = torch.nn.Linear(3, 7)
            self.head.weight = self.embedding.weight
            for p in self.parameters():
                p.data = floats(rng, *p.shape)

    model = Tied()
    save_model(model, GOOD / "tied.safetensors", {"format": "pt"})
    row("tied", model.state_dict(), ties=[["embedding.weight", "head.weight"]], rewritten_equal=False)

    # As writers before 0.3 left it: ordered by name, not by dtype, and no padding.
    a, b = of_dtype(rng, torch.uint8, 3), floats(rng, 2, 2)
    header = {"a": {"dtype": "U8", "shape": [3], "data_offsets": [0, 3]}, "b": {"dtype": "F32", "shape": [2, 2], "data_offsets": [3, 19]}}
    write("old", json.dumps({"b": header["b"], "a": header["a"]}).encode(), a.numpy().tobytes() + b.numpy().tobytes())
    row("old", {"a": a, "b": b}, rewritten_equal=False)


def write(name, header, data, folder=GOOD, length=None):
    (folder / f"{name}.safetensors").write_bytes(struct.pack("<Q", len(header) if length is None else length) + header + data)


# -- bad files: one deviation each from `base` ---------------------------------------------------------

def base():
    return {"__metadata__": {"format": "pt"}, "a": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]},
            "b": {"dtype": "I16", "shape": [5], "data_offsets": [24, 34]}}


DATA = bytes(range(34))


def bad(name, code, rule, header=None, data=DATA, text=None, length=None, notes=""):
    text = json.dumps(header if header is not None else base()).encode() if text is None else text
    write(name, text, data, BAD, length)
    BAD_ROWS.append({"path": f"invalid/safetensors/{name}.safetensors", "format": "safetensors", "rule": code, "constraint": rule, "notes": notes})


def changed(path, value):
    header = base()
    place = header
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    return header


def make_bad():
    good = json.dumps(base())
    bad("header_too_large", "header-too-large", "S2", length=100_000_001)
    bad("header_past_end", "truncated", "S3", length=5_000)
    bad("header_huge", "header-too-large", "S2", length=2 ** 63 + 1, notes="not recognised by itself: what else begins so")
    bad("header_array", "bad-header", "S4", text=b"{]")
    bad("header_not_json", "bad-header", "S4", text=b"{'a': 1}")
    bad("header_not_utf8", "bad-text", "S4", text=good.replace('"a"', '"\udcff"').encode("utf-8", "surrogateescape"))
    bad("header_trailing", "bad-header", "S4", text=good.encode() + b" {}")
    bad("header_trailing_zeros", "bad-header", "S4", text=good.encode() + bytes(8))
    bad("header_comma", "bad-header", "S4", text=good[:-1].encode() + b",}")
    bad("header_deep", "too-deep", "S4", text=b'{"a":' + b"[" * 2_000 + b"]" * 2_000 + b"}")
    bad("duplicate_tensor", "duplicate-key", "S4", text=good.replace('"b"', '"a"').encode())
    bad("duplicate_escaped", "duplicate-key", "S4", text=good.replace('"b"', '"\\u0061"').encode())
    bad("duplicate_shape", "duplicate-key", "S4", text=good.replace('"dtype": "F32"', '"shape": [6], "dtype": "F32"').encode())
    bad("duplicate_metadata", "duplicate-key", "S4", text=good.replace('"a":', '"__metadata__": {}, "a":').encode())
    bad("metadata_array", "bad-metadata", "S5", changed(["__metadata__"], ["pt"]))
    bad("metadata_number", "bad-metadata", "S5", changed(["__metadata__", "epoch"], 3))
    bad("metadata_nested", "bad-metadata", "S5", changed(["__metadata__", "config"], {}))
    bad("entry_null", "bad-entry", "S6", changed(["b"], None))
    bad("entry_no_dtype", "bad-entry", "S6", changed(["b"], {"shape": [5], "data_offsets": [24, 34]}))
    bad("entry_more", "bad-entry", "S6", changed(["b", "stride"], [1]))
    bad("dtype_number", "bad-entry", "S6", changed(["b", "dtype"], 3))
    bad("shape_number", "bad-entry", "S6", changed(["b", "shape"], 5))
    bad("dtype_unknown", "unknown-dtype", "S7", changed(["b", "dtype"], "I17"))
    bad("dtype_lower_case", "unknown-dtype", "S7", changed(["b", "dtype"], "i16"))
    bad("shape_negative", "bad-shape", "S8", changed(["b", "shape"], [-5]))
    bad("shape_fraction", "bad-shape", "S8", text=good.replace("[5]", "[5.0]").encode())
    bad("shape_exponent", "bad-shape", "S8", text=good.replace("[5]", "[5e0]").encode())
    bad("shape_text", "bad-shape", "S8", changed(["b", "shape"], ["5"]))
    bad("shape_past_64_bits", "bad-shape", "S8", changed(["b", "shape"], [2 ** 64 + 5]))
    bad("shape_overflow", "shape-overflow", "S8", changed(["b", "shape"], [2 ** 32, 2 ** 32]))
    bad("shape_overflow_bytes", "shape-overflow", "S8", changed(["b", "shape"], [2 ** 62]), notes="the elements fit, the bytes don't")
    bad("shape_overflow_zero", "shape-overflow", "S8", changed(["b", "shape"], [2 ** 40, 2 ** 40, 0]))
    bad("offsets_reversed", "bad-offsets", "S9", changed(["b", "data_offsets"], [34, 24]))
    bad("offsets_one", "bad-offsets", "S9", changed(["b", "data_offsets"], [24]))
    bad("offsets_negative", "bad-offsets", "S9", changed(["b", "data_offsets"], [-10, 0]))
    bad("size_small", "size-mismatch", "S10", changed(["b", "shape"], [4]))
    bad("size_dtype", "size-mismatch", "S10", changed(["b", "dtype"], "I32"))
    header = base()
    header["b"]["data_offsets"] = [26, 36]
    bad("hole", "hole", "S11", header, DATA + b"xx")
    header = base()
    header["a"]["data_offsets"], header["b"]["data_offsets"] = [2, 26], [26, 36]
    bad("hole_first", "hole", "S11", header, b"xx" + DATA)
    bad("overlap", "overlap", "S11", changed(["b", "data_offsets"], [22, 32]), DATA[:32])
    bad("overlap_same", "overlap", "S11", changed(["b"], {"dtype": "F32", "shape": [6], "data_offsets": [0, 24]}), DATA[:24])
    bad("data_short", "truncated", "S12", data=DATA[:-1])
    bad("data_long", "trailing-bytes", "S12", data=DATA + b"x")
    bad("offsets_huge", "truncated", "S12", changed(["b"], {"dtype": "U8", "shape": [2 ** 62], "data_offsets": [24, 24 + 2 ** 62]}))
    bad("rank_33", "too-large", "S13", changed(["b", "shape"], [5] + [1] * 32))
    bad("name_long", "too-large", "S13", changed(["c" * 5_000], {"dtype": "I16", "shape": [0], "data_offsets": [34, 34]}))
    for name, value in {"json": "[", "object": "{}", "single": '[["a"]]', "number": '[["a", 1]]', "absent": '[["c", "d"]]',
                        "present": '[["a", "b"]]', "twice": '[["a", "c"], ["b", "c"]]'}.items():
        bad(f"ties_{name}", "bad-ties", "S14", changed(["__metadata__", "ingot.ties"], value))
    for dtype, shape, size in (("F4", [48], 24), ("F8_E8M0", [24], 24), ("C64", [3], 24), ("F8_E4M3FNUZ", [24], 24)):
        bad(f"dtype_{dtype.lower()}", "unsupported-dtype", "S7", changed(["a"], {"dtype": dtype, "shape": shape, "data_offsets": [0, size]}))
    (BAD / "short.safetensors").write_bytes(b"\x10\0\0\0")
    BAD_ROWS.append({"path": "invalid/safetensors/short.safetensors", "format": "safetensors", "rule": "truncated", "constraint": "S1", "notes": ""})


def main():
    for folder in (GOOD, BAD):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
    make_good()
    make_bad()
    (GOOD / "manifest.json").write_text("[\n" + ",\n".join(" " + json.dumps(r) for r in ROWS) + "\n]\n")
    merge_invalid(BAD_ROWS, "safetensors")
    print(f"{len(ROWS)} files, {len(BAD_ROWS)} bad ones")


if __name__ == "__main__":
    main()
