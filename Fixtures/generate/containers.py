"""Small .npy, .npz and .zip files by NumPy and Python's zipfile, and what is in them: run with the interpreter of requirements-keras3.txt.

Writes ../containers/*, and ../containers/manifest.json: for each file its arrays (bytes little-endian, row-major, in hexadecimal) or members."""

import sys

sys.dont_write_bytecode = True

import io
import json
import zipfile

import ml_dtypes
import numpy as np

from common import EPOCH, FIXTURES, rng_for

FOLDER = FIXTURES / "containers"
NAMES = {"bool": "bool", "uint8": "u8", "uint16": "u16", "uint32": "u32", "uint64": "u64", "int8": "i8", "int16": "i16", "int32": "i32",
         "int64": "i64", "float16": "f16", "float32": "f32", "float64": "f64", "bfloat16": "bf16"}
rows = []


def described(name, array):
    little = np.ascontiguousarray(array).astype(array.dtype.newbyteorder("<")) if array.dtype.itemsize > 1 else np.ascontiguousarray(array)
    return {"name": name, "dtype": NAMES[array.dtype.name], "shape": list(array.shape), "bytes": little.tobytes().hex()}


def value(case, dtype, shape):
    rng = rng_for(case)
    if dtype == "bool":
        return rng.integers(0, 2, shape).astype(bool)
    if np.issubdtype(np.dtype(dtype), np.integer):
        info = np.iinfo(dtype)
        return rng.integers(info.min, info.max, shape, dtype=dtype, endpoint=True)
    return (10 * rng.standard_normal(shape)).astype(dtype)


def npy(case, array, version=(1, 0), same=True):
    """`same`: what we write for the array is this very file."""
    with open(FOLDER / f"{case}.npy", "wb") as file:
        np.lib.format.write_array(file, array, version=version)
    rows.append({"path": f"{case}.npy", "arrays": [described("arr_0", array)], "same": same})


def make_npy():
    for dtype in NAMES:
        if dtype != "bfloat16":
            npy(f"npy_{dtype}", value(dtype, dtype, (3, 5)))
    for dtype in ["uint16", "int16", "uint32", "int32", "uint64", "int64", "float16", "float32", "float64"]:
        array = value(dtype, dtype, (3, 5))
        npy(f"npy_big_endian_{dtype}", array.astype(array.dtype.newbyteorder(">")), same=False)
    npy("npy_bfloat16", value("bfloat16", "float32", (3, 5)).astype(ml_dtypes.bfloat16), same=False)
    npy("npy_scalar", np.float32(2.5) * np.ones(()))
    npy("npy_one", value("one", "float32", (1,)))
    npy("npy_empty", np.zeros((0, 3), "f4"))
    npy("npy_rank_6", value("rank_6", "int16", (2, 1, 3, 1, 2, 2)))
    npy("npy_special", np.array([np.nan, np.inf, -np.inf, -0.0, 5e-324], "f8"))
    npy("npy_fortran_2", np.asfortranarray(value("fortran_2", "float32", (3, 5))), same=False)
    npy("npy_fortran_3", np.asfortranarray(value("fortran_3", "int64", (2, 3, 4))), same=False)
    npy("npy_fortran_empty", np.asfortranarray(np.zeros((3, 0, 2), "f4")), same=False)
    npy("npy_fortran_big_endian", np.asfortranarray(value("fortran_big", "float64", (4, 3)).astype(">f8")), same=False)
    npy("npy_version_2", value("version_2", "float32", (2, 3)), version=(2, 0), same=False)
    npy("npy_version_3", value("version_3", "float32", (2, 3)), version=(3, 0), same=False)


def make_npz():
    arrays = {"b": value("npz_b", "float32", (4, 3)), "a/nested": value("npz_a", "int64", (5,)), "größe": value("npz_c", "float16", (2, 2)),
              "scalar": np.int32(7) * np.ones((), "i4")}
    for case, save in [("npz_stored", np.savez), ("npz_deflated", np.savez_compressed)]:
        save(FOLDER / f"{case}.npz", **arrays)
        rows.append({"path": f"{case}.npz", "arrays": [described(n, a) for n, a in arrays.items()]})
    np.savez(FOLDER / "npz_unnamed.npz", arrays["b"], arrays["scalar"])
    rows.append({"path": "npz_unnamed.npz", "arrays": [described("arr_0", arrays["b"]), described("arr_1", arrays["scalar"])]})
    np.savez(FOLDER / "npz_none.npz")
    rows.append({"path": "npz_none.npz", "arrays": []})


class Pipe(io.RawIOBase):
    """A stream that can't seek: zipfile then writes descriptors behind the members."""

    def __init__(self):
        self.bytes = b""

    def writable(self):
        return True

    def write(self, data):
        self.bytes += bytes(data)
        return len(data)


def make_zip(case, members, method=zipfile.ZIP_STORED, comment=b"", zip64=False, pipe=False, error=None):
    target = Pipe() if pipe else io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        archive.comment = comment
        for name, data in members:
            info = zipfile.ZipInfo(name, EPOCH)
            info.compress_type = method
            if name.endswith("/"):
                archive.writestr(info, b"")
            else:
                with archive.open(info, "w", force_zip64=zip64) as file:
                    file.write(data)
    (FOLDER / f"{case}.zip").write_bytes(target.bytes if pipe else target.getvalue())
    row = {"path": f"{case}.zip", "members": [{"name": n, "bytes": d.hex()} for n, d in members]}
    if error:
        row["error"] = error
    rows.append(row)


def make_zips():
    data = rng_for("zip").integers(0, 4, 300).astype(np.uint8).tobytes()
    members = [("metadata.json", b"{}"), ("folder/", b""), ("folder/data.bin", data), ("größe 中.txt", "größe".encode()), ("empty", b"")]
    make_zip("zip_stored", members)
    make_zip("zip_deflated", members, zipfile.ZIP_DEFLATED)
    make_zip("zip_comment", members, comment=b"a comment with PK\x05\x06 inside")
    make_zip("zip_zip64", members, zip64=True)
    make_zip("zip_zip64_deflated", members, zipfile.ZIP_DEFLATED, zip64=True)
    make_zip("zip_descriptors", members, pipe=True)
    make_zip("zip_descriptors_deflated", members, zipfile.ZIP_DEFLATED, pipe=True)
    make_zip("zip_descriptors_zip64", members, zipfile.ZIP_DEFLATED, zip64=True, pipe=True)
    make_zip("zip_none", [])
    make_zip("zip_bzip2", members[:1], zipfile.ZIP_BZIP2, error="zip-unsupported-method")
    make_zip("zip_lzma", members[:1], zipfile.ZIP_LZMA, error="zip-unsupported-method")


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    make_npy()
    make_npz()
    make_zips()
    text = ",\n".join(json.dumps(row, ensure_ascii=False) for row in rows)
    (FOLDER / "manifest.json").write_text(f"[\n{text}\n]\n")
