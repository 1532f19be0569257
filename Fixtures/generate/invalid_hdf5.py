"""Handcrafted bad files (HDF5, .keras, Keras .h5): run with the interpreter of requirements-keras3.txt, after keras2.py and keras3.py."""

import sys

sys.dont_write_bytecode = True

import io
import json
import shutil
import struct
import zipfile
import zlib

import h5py
import numpy as np
from common import EPOCH, FIXTURES, merge_invalid, rng_for, write_zip
from hdf5_storage import group, open_new

HDF5 = FIXTURES / "invalid" / "hdf5"
KERAS = FIXTURES / "invalid" / "keras"
# Small models as bases; the ones with an LSTM only where it matters.
BASE_H5 = FIXTURES / "keras2" / "keras2_dense_small.h5"
BASE_KERAS = FIXTURES / "keras3" / "keras3_dense_small.keras"
LSTM_H5 = FIXTURES / "keras2" / "keras2_lstm_sequences.h5"
LSTM_KERAS = FIXTURES / "keras3" / "keras3_lstm_sequences.keras"
ROWS = []


def add(path, kind, rule, notes="", **more):
    assert path.exists(), path
    ROWS.append({"path": str(path.relative_to(FIXTURES)), "format": kind, "rule": rule, "notes": notes, **more})


# -- HDF5 --------------------------------------------------------------------------------------------

def hdf5(name, rule, notes=""):
    """A file with one good dataset and what the function adds."""
    def register(function):
        path = HDF5 / f"{name}.h5"
        with h5py.File(path, "w") as f:
            f["good"] = rng_for(name).standard_normal((3, 4)).astype("f4")
            function(f)
        add(path, "hdf5", rule, notes)
        return path
    return register


def raw(name, rule, data, notes=""):
    path = HDF5 / name
    path.write_bytes(data)
    add(path, "hdf5", rule, notes)


def patch(path, old, new, every=False):
    data = path.read_bytes()
    assert len(old) == len(new) and (data.count(old) == 1 or every), (path, data.count(old))
    path.write_bytes(data.replace(old, new))


def make_hdf5():
    hdf5("external_link", "external-link")(lambda f: f.__setitem__("weights", h5py.ExternalLink("other.h5", "/data")))
    hdf5("external_link_absolute", "external-link", "names a file that exists on most machines")(
        lambda f: f.__setitem__("weights", h5py.ExternalLink("/etc/hostname", "/")))

    path = hdf5("user_defined_link", "user-defined-link", "an external link whose class byte is changed from 64 to 65")(
        lambda f: f.__setitem__("weights", h5py.ExternalLink("other.h5", "/data")))
    data = bytearray(path.read_bytes())
    at = data.index(b"weights")
    while True:  # the link message: version 1, flags, class, [order], [charset], length, name
        window = data[at - 16:at]
        if 0x40 in window and 1 in window:
            data[at - 16 + window.rindex(0x40)] = 0x41
            break
        at = data.index(b"weights", at + 1)
    path.write_bytes(data)

    def soft_cycle(f):
        f["a"] = h5py.SoftLink("/b")
        f["b"] = h5py.SoftLink("/a")
    hdf5("soft_link_cycle", "link-cycle")(soft_cycle)
    hdf5("soft_link_self", "link-cycle")(lambda f: f.__setitem__("self", h5py.SoftLink("self")))

    def hard_cycle(f):
        f.create_group("a/b")
        f["a/b/up"] = f["a"]
    hdf5("group_hard_link_cycle", "link-cycle", "hard link to an ancestor")(hard_cycle)

    def root_cycle(f):
        f["root"] = f["/"]
    hdf5("group_hard_link_root", "link-cycle", "hard link to the root group")(root_cycle)
    hdf5("external_storage", "external-storage", "raw data in another file")(
        lambda f: f.create_dataset("weights", (4, 4), "f4", external=[("weights.raw", 0, 64)]))

    def virtual(f):
        layout = h5py.VirtualLayout((4, 4), "f4")
        layout[...] = h5py.VirtualSource("other.h5", "data", (4, 4))
        f.create_virtual_dataset("weights", layout)
    clear_modification_time(hdf5("virtual_dataset", "virtual-dataset")(virtual))
    hdf5("shape_bomb", "shape-bomb", "2^40 elements declared, chunked, nothing stored")(
        lambda f: f.create_dataset("weights", (1 << 20, 1 << 20), "f4", chunks=(64, 64)))
    hdf5("shape_bomb_contiguous", "shape-bomb", "2^40 elements declared, contiguous, never allocated")(
        lambda f: f.create_dataset("weights", (1 << 40,), "f4"))

    def many(f):
        for n in range(30):
            f.create_dataset(f"weights_{n}", (1 << 29,), "f4", chunks=(1024,))
    hdf5("shape_bomb_many", "shape-bomb", "30 datasets of 2 GiB each, nothing stored")(many)

    def deflate_bomb(f):
        d = f.create_dataset("weights", (1 << 24,), "f4", chunks=(1 << 24,), compression="gzip", compression_opts=9)
        d.id.write_direct_chunk((0,), zlib.compress(bytes(4096), 9))
    hdf5("chunk_inflates_short", "chunk-size-mismatch", "one chunk of 64 MiB declared, its deflate stream holds 4 KiB")(deflate_bomb)

    def inflates_long(f):
        d = f.create_dataset("weights", (8,), "f4", chunks=(8,), compression="gzip")
        d.id.write_direct_chunk((0,), zlib.compress(bytes(1 << 20), 9))
    hdf5("chunk_inflates_long", "chunk-size-mismatch", "a chunk of 32 bytes whose deflate stream holds 1 MiB")(inflates_long)

    def broken_deflate(f):
        d = f.create_dataset("weights", (64,), "f4", chunks=(64,), compression="gzip")
        d.id.write_direct_chunk((0,), b"\x78\x9c" + bytes(range(100, 140)))
    hdf5("chunk_bad_deflate", "filter-failed", "the chunk isn't a deflate stream")(broken_deflate)

    path = hdf5("chunk_bad_fletcher32", "checksum-mismatch", "one byte of a chunk with fletcher32 is changed")(
        lambda f: f.create_dataset("weights", data=np.arange(1000, 1064, dtype="i4"), chunks=(64,), fletcher32=True))
    patch(path, struct.pack("<3i", 1010, 1011, 1012), struct.pack("<3i", 1010, 9999, 1012))

    path = hdf5("address_past_end", "out-of-bounds", "a contiguous dataset whose address lies far beyond the file")(
        lambda f: f.create_dataset("weights", data=np.full(33, 2.5, "f4")))
    with h5py.File(path) as f:
        offset = f["weights"].id.get_offset()
    data = bytearray(path.read_bytes())
    pattern = struct.pack("<QQ", offset, 33 * 4)
    assert data.count(pattern) == 1
    at = data.index(pattern)
    data[at:at + 8] = struct.pack("<Q", 1 << 40)
    path.write_bytes(data)

    hdf5("vlen_dataset", "unsupported-dtype", "variable-length sequences")(
        lambda f: f.create_dataset("ragged", (3,), h5py.vlen_dtype("f4")).__setitem__(0, np.ones(2, "f4")))
    hdf5("compound_dataset", "unsupported-dtype", "compound")(lambda f: f.__setitem__("pairs", np.zeros(3, [("a", "f4"), ("b", "i8")])))
    hdf5("complex_dataset", "unsupported-dtype", "complex numbers: a compound of r and i")(lambda f: f.__setitem__("z", np.ones(3, "c8")))

    def reference(f):
        f.create_dataset("pointer", (1,), h5py.ref_dtype)[0] = f["good"].ref
    hdf5("reference_dataset", "unsupported-dtype", "object references")(reference)
    hdf5("string_dataset", "unsupported-dtype", "a dataset of strings of variable length")(
        lambda f: f.create_dataset("texts", data=["a", "bc"], dtype=h5py.string_dtype()))
    hdf5("fixed_string_dataset", "unsupported-dtype", "a dataset of strings of fixed length")(lambda f: f.__setitem__("texts", np.array([b"ab", b"c"])))
    hdf5("array_dataset", "unsupported-dtype", "array datatype")(lambda f: f.create_dataset("rows", (3,), np.dtype(("f4", (2,)))))
    hdf5("float80", "unsupported-dtype", "x87 long double of 16 bytes")(lambda f: f.__setitem__("long", np.zeros(3, np.longdouble)))

    def filtered(identifier):
        def function(f):
            properties = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
            properties.set_chunk((16,))
            properties.set_obj_track_times(False)
            properties.set_filter(identifier, h5py.h5z.FLAG_OPTIONAL, (1,))
            d = h5py.h5d.create(f.id, b"weights", h5py.h5t.IEEE_F32LE, h5py.h5s.create_simple((16,)), properties)
            d.write_direct_chunk((0,), bytes(range(40)), 0)
        return function
    hdf5("unknown_filter", "unknown-filter", "filter 32001 (blosc), mandatory for reading the chunk")(filtered(32001))
    hdf5("unknown_filter_reserved", "unknown-filter", "filter 65000")(filtered(65000))

    def deep(f):
        g = f
        for n in range(150):
            g = g.create_group("d")
    path = HDF5 / "deep_groups.h5"
    with h5py.File(path, "w", libver=("v110", "v110")) as f:
        f["good"] = np.ones(3, "f4")
        deep(f)
    clear_times(path)
    add(path, "hdf5", "depth-limit", "groups nested 150 deep")

    make_chunk_indexes()
    raw("empty.h5", "not-hdf5", b"", "no bytes at all")
    raw("text.h5", "not-hdf5", b"this is no HDF5 file\n" * 10)
    raw("signature_only.h5", "truncated", b"\x89HDF\r\n\x1a\n")
    raw("zeros.h5", "not-hdf5", bytes(2048))
    raw("html.h5", "not-hdf5", b"<!DOCTYPE html><html><body>Not found</body></html>\n", "a failed download")
    raw("git_lfs_pointer.h5", "git-lfs-pointer", b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"4d" * 32 + b"\nsize 123456\n")
    data = BASE_H5.read_bytes()
    for label, length in (("superblock", 60), ("root", 120), ("quarter", len(data) // 4), ("half", len(data) // 2), ("most", len(data) * 9 // 10),
                          ("last_byte", len(data) - 1)):
        raw(f"truncated_{label}.h5", "truncated", data[:length], f"{length} of {len(data)} bytes")
    latest = (FIXTURES / "hdf5" / "keras_latest_chunked.h5").read_bytes()
    raw("superblock_checksum.h5", "checksum-mismatch", latest[:44] + bytes([latest[44] ^ 1]) + latest[45:], "superblock 3, one bit of its checksum")
    at = latest.index(b"OHDR", 60)
    raw("object_header_checksum.h5", "checksum-mismatch", latest[:at + 9] + bytes([latest[at + 9] ^ 4]) + latest[at + 10:], "one bit of an object header")
    raw("superblock_version.h5", "unsupported-version", latest[:8] + b"\x09" + latest[9:], "superblock version 9")
    at = data.index(b"TREE")
    raw("btree_signature.h5", "corrupt", data[:at] + b"TRXX" + data[at + 4:], "a B-tree node without its signature")
    at = data.index(b"SNOD")
    raw("symbol_node_count.h5", "corrupt", data[:at + 6] + b"\xff\xff" + data[at + 8:], "65535 symbols in a node")
    at = data.index(b"GCOL")
    raw("global_heap.h5", "corrupt", data[:at] + b"XXXX" + data[at + 4:], "the global heap, where attribute strings are, has no signature")


def make_chunk_indexes():
    def chunked(f):
        f.create_dataset("weights", data=np.arange(24, dtype="f4").reshape(6, 4), chunks=(2, 4))

    def edited(name, rule, notes, mark, edit, latest=False, maximum=None):
        """The dataset in chunks, and its index edited from `mark` on."""
        path = HDF5 / f"{name}.h5"
        with open_new(path, ("v110", "v110") if latest else None, 0, False) as f:
            f.create_dataset("weights", data=np.arange(24, dtype="f4").reshape(6, 4), chunks=(2, 4), maxshape=maximum)
        data = bytearray(path.read_bytes())
        edit(data, data.index(mark))
        path.write_bytes(data)
        add(path, "hdf5", rule, notes)

    def put(offset, form, value):
        return lambda data, at: struct.pack_into("<" + form, data, at + offset, value)

    # A version 1 B-tree of chunks: signature, type 1, level, entries, two siblings; then a key of 32 bytes and an address for each entry.
    tree = b"TREE\x01\x00"
    edited("chunk_address_past_end", "out-of-bounds", "the first chunk's address lies far beyond the file", tree, put(24 + 32, "Q", 1 << 40))
    edited("chunk_size_past_end", "out-of-bounds", "the first chunk's size goes past the end of the file", tree, put(24, "I", 1 << 30))
    edited("chunk_off_grid", "corrupt", "the first chunk begins inside another", tree, put(24 + 8, "Q", 1))
    edited("chunk_twice", "corrupt", "the second chunk lies where the first does", tree, put(24 + 40 + 8, "Q", 0))
    edited("chunk_too_many_entries", "out-of-bounds", "a node that says it has 65535 entries", tree, put(6, "H", 65535))

    def circle(data, at):
        data[at + 5] = 1
        for entry in range(3):
            struct.pack_into("<Q", data, at + 24 + 32 + 40 * entry, at)
    edited("chunk_tree_circle", "corrupt", "a node of level 1 whose children are itself", tree, circle)

    def flip(offset):
        def edit(data, at):
            data[at + offset] ^= 1
        return edit
    edited("chunk_fixed_array_checksum", "checksum-mismatch", "one bit of a fixed array's data block", b"FADB", flip(14), True)
    edited("chunk_extensible_array_checksum", "checksum-mismatch", "one bit of an extensible array's index block", b"EAIB", flip(14), True, (None, 4))
    edited("chunk_tree2_checksum", "checksum-mismatch", "one bit of a leaf of a version 2 B-tree", b"BTLF", flip(6), True, (None, None))

    def long_array(data, at):
        struct.pack_into("<Q", data, at + 8, 1 << 40)
        struct.pack_into("<I", data, at + 24, lookup3(bytes(data[at:at + 24])))
    edited("chunk_fixed_array_long", "corrupt", "a fixed array that says it has 2^40 entries, with a true checksum", b"FAHD", long_array, True)

    path = HDF5 / "shared_strings.h5"
    with h5py.File(path, "w") as f:
        f.attrs["one"] = "x" * 60000
        f.attrs["many"] = ["y"] * 1000
    data = path.read_bytes()
    large = data.index(struct.pack("<I", 60000) + data[data.index(struct.pack("<I", 60000)) + 4:][:12])
    small = data.index(struct.pack("<I", 1), data.index(b"many\0"))
    data = bytearray(data)
    while data[small + 16:small + 20] != struct.pack("<I", 1):
        small = data.index(struct.pack("<I", 1), small + 1)
    for n in range(1000):
        assert data[small + 16 * n:small + 16 * n + 4] == struct.pack("<I", 1), n
        data[small + 16 * n:small + 16 * n + 16] = data[large:large + 16]
    path.write_bytes(data)
    add(path, "hdf5", "metadata-too-large", "1000 strings that are all the same 60,000 bytes of the heap")

    # Found by ingot-fuzz; kept beside this script, since only chance made them.
    for source in sorted((FIXTURES / "generate" / "found").glob("crash_*.h5")):
        shutil.copy(source, HDF5 / source.name)
        add(HDF5 / source.name, "hdf5", "parser-crash", "libhdf5 1.10.8 crashes on it")


def clear_modification_time(path):
    """Virtual datasets always hold their time of modification: a message of type 0x12 and 8 bytes in the old object header."""
    data = bytearray(path.read_bytes())
    at = data.index(b"\x12\x00\x08\x00") + 12
    data[at:at + 4] = struct.pack("<I", 946684800)
    path.write_bytes(data)


def clear_times(path):
    """Groups of the new style hold times; zeroes them and corrects the header checksums."""
    data = bytearray(path.read_bytes())
    at = data.find(b"OHDR")
    while at >= 0:
        flags = data[at + 5]
        position = at + 6
        if flags & 0x20:
            data[position:position + 16] = struct.pack("<4I", *[946684800] * 4)
            position += 16
        if flags & 0x10:
            position += 4
        width = 1 << (flags & 3)
        size = int.from_bytes(data[position:position + width], "little")
        end = position + width + size
        data[end:end + 4] = struct.pack("<I", lookup3(bytes(data[at:end])))
        at = data.find(b"OHDR", end)
    path.write_bytes(data)


def lookup3(key):
    """Bob Jenkins' hashlittle, the checksum of HDF5 metadata."""
    m = 0xFFFFFFFF
    rot = lambda x, k: ((x << k) | (x >> (32 - k))) & m
    a = b = c = (0xDEADBEEF + len(key)) & m
    while len(key) > 12:
        x, y, z = struct.unpack_from("<3I", key)
        a, b, c = (a + x) & m, (b + y) & m, (c + z) & m
        a = ((a - c) & m) ^ rot(c, 4); c = (c + b) & m
        b = ((b - a) & m) ^ rot(a, 6); a = (a + c) & m
        c = ((c - b) & m) ^ rot(b, 8); b = (b + a) & m
        a = ((a - c) & m) ^ rot(c, 16); c = (c + b) & m
        b = ((b - a) & m) ^ rot(a, 19); a = (a + c) & m
        c = ((c - b) & m) ^ rot(b, 4); b = (b + a) & m
        key = key[12:]
    if not key:
        return c
    x, y, z = struct.unpack("<3I", key.ljust(12, b"\0"))
    a, b, c = (a + x) & m, (b + y) & m, (c + z) & m
    c ^= b; c = (c - rot(b, 14)) & m
    a ^= c; a = (a - rot(c, 11)) & m
    b ^= a; b = (b - rot(a, 25)) & m
    c ^= b; c = (c - rot(b, 16)) & m
    a ^= c; a = (a - rot(c, 4)) & m
    b ^= a; b = (b - rot(a, 14)) & m
    c ^= b; c = (c - rot(b, 24)) & m
    return c


# -- Keras .h5 ---------------------------------------------------------------------------------------

def compacted(source):
    """The same content in groups of the new style and strings of fixed length: a third of the size."""
    path = KERAS / "compacted.tmp"
    with h5py.File(source) as old, open_new(path, True, 0, False) as new:
        def attributes(node, made):
            for key, value in node.attrs.items():
                if isinstance(value, str):
                    value = np.bytes_(value.encode())
                elif value.dtype.kind == "O":
                    value = np.array([v if isinstance(v, bytes) else v.encode() for v in value])
                made.attrs[key] = value

        def visit(where, node):
            made = group(new, where) if isinstance(node, h5py.Group) else new.create_dataset(where, data=node[()])
            attributes(node, made)
        attributes(old, new)
        old.visititems(visit)
    data = path.read_bytes()
    path.unlink()
    return data


def keras_h5(name, rule, notes="", base=BASE_H5):
    def register(function):
        path = KERAS / f"{name}.h5"
        path.write_bytes(compacted(base))
        with h5py.File(path, "r+") as f:
            function(f)
        add(path, "keras-h5", rule, notes)
    return register


def set_config(f, text):
    del f.attrs["model_config"]
    f.attrs["model_config"] = np.bytes_(text.encode() or b"\0")


def edit_config(change):
    def function(f):
        config = json.loads(f.attrs["model_config"])
        set_config(f, json.dumps(change(config) or config))
    return function


def names(f, where, attribute, values):
    del f[where].attrs[attribute]
    f[where].attrs[attribute] = np.array([v.encode() for v in values])


def layer(config, class_name):
    return next(l for l in config["config"]["layers"] if l["class_name"] == class_name)


def replace_data(f, where, value):
    del f[where]
    f[where] = value


LSTM_KERNEL = "model_weights/lstm/lstm/lstm_cell/kernel:0"


def custom_layer(config):
    layer(config, "Dense").update(class_name="MyAttention", module="my.code", registered_name="Custom>MyAttention")


def lambda_layer(config):
    config["config"]["layers"].append({"class_name": "Lambda", "config": {
        "name": "lambda", "trainable": True, "dtype": "float32", "function": ["4wEAAAAAAAAAAAAAAAEAAAACAAAAUwAAAHMIAAAAfABkARsAUwA=\n", None, None],
        "function_type": "lambda", "module": "__main__", "output_shape": None, "output_shape_type": "raw", "output_shape_module": None, "arguments": {}}})


def make_keras_h5():
    keras_h5("config_not_json", "bad-config-json")(lambda f: set_config(f, "{\"class_name\": \"Sequential\", "))
    keras_h5("config_number", "config-not-a-model")(lambda f: set_config(f, "17"))
    keras_h5("config_string", "config-not-a-model")(lambda f: set_config(f, "\"Sequential\""))
    keras_h5("config_empty", "bad-config-json")(lambda f: set_config(f, ""))
    keras_h5("config_unknown_model_class", "config-not-a-model", "a subclassed model")(edit_config(lambda c: c.update(class_name="MyModel")))
    keras_h5("config_no_layers", "config-not-a-model")(edit_config(lambda c: c["config"].pop("layers") and None))
    keras_h5("config_deep_json", "bad-config-json", "arrays nested 4000 deep")(lambda f: set_config(f, "[" * 4000 + "]" * 4000))
    keras_h5("config_duplicate_keys", "duplicate-key", "units twice in the Dense layer")(
        lambda f: set_config(f, f.attrs["model_config"].decode().replace('"units": 3', '"units": 3, "units": 4')))
    keras_h5("config_attribute_not_string", "config-not-a-model")(lambda f: f.attrs.__setitem__("model_config", np.arange(4)))
    keras_h5("weight_names_missing_dataset", "missing-weight", "weight_names names a dataset that isn't there")(
        lambda f: names(f, "model_weights/dense", "weight_names", ["dense/kernel:0", "dense/bias_x:0"]))
    keras_h5("weight_names_to_group", "missing-weight", "weight_names names a group")(
        lambda f: names(f, "model_weights/dense", "weight_names", ["dense/kernel:0", "dense"]))
    keras_h5("weight_names_escape", "missing-weight", "weight_names climbs with .. (HDF5 has no such thing)")(
        lambda f: names(f, "model_weights/dense", "weight_names", ["../dense/dense/kernel:0", "dense/bias:0"]))
    keras_h5("weight_transposed", "weight-shape-mismatch", "Dense kernel (3,4) for (4,3)")(
        lambda f: replace_data(f, "model_weights/dense/dense/kernel:0", f["model_weights/dense/dense/kernel:0"][()].T))
    keras_h5("weight_wrong_rank", "weight-shape-mismatch", "bias of rank 2")(
        lambda f: replace_data(f, "model_weights/dense/dense/bias:0", f["model_weights/dense/dense/bias:0"][()][None]))
    keras_h5("lstm_kernel_three_gates", "weight-shape-mismatch", "LSTM kernel with 3 x units columns", base=LSTM_H5)(
        lambda f: replace_data(f, LSTM_KERNEL, f[LSTM_KERNEL][()][:, :12]))
    keras_h5("lstm_bias_cudnn", "unsupported-cudnn", "LSTM with a bias of 8 x units: a CuDNNLSTM's weights in a layer called LSTM", base=LSTM_H5)(
        lambda f: replace_data(f, "model_weights/lstm/lstm/lstm_cell/bias:0", np.linspace(-1, 1, 32, dtype="f4")))
    keras_h5("weight_is_integer", "weight-dtype", "LSTM kernel of int32", base=LSTM_H5)(lambda f: replace_data(f, LSTM_KERNEL, np.ones((3, 16), "i4")))
    keras_h5("weight_is_string", "weight-dtype", "Dense bias of strings")(
        lambda f: replace_data(f, "model_weights/dense/dense/bias:0", np.array([b"a", b"b", b"c"])))
    keras_h5("layer_names_missing_layer", "missing-weight", "layer_names leaves out dense, whose weights are there")(
        lambda f: names(f, "model_weights", "layer_names", ["dropout"]))
    keras_h5("layer_names_unknown_layer", "extra-weight", "layer_names holds a layer that the config doesn't")(
        lambda f: (f.copy("model_weights/dense", "model_weights/dense_9"), names(f, "model_weights", "layer_names", ["dropout", "dense", "dense_9"])))
    keras_h5("layer_names_duplicate", "duplicate-layer")(lambda f: names(f, "model_weights", "layer_names", ["dropout", "dense", "dense"]))
    keras_h5("layer_group_missing", "missing-weight", "the group of a named layer isn't there")(lambda f: f["model_weights"].pop("dense"))
    keras_h5("no_layer_names", "missing-weight")(lambda f: f["model_weights"].attrs.pop("layer_names"))

    def extra(f):
        f["model_weights/dense/dense/extra:0"] = np.ones(5, "f4")
        names(f, "model_weights/dense", "weight_names", ["dense/kernel:0", "dense/bias:0", "dense/extra:0"])
    keras_h5("extra_weight", "extra-weight", "a third weight in Dense")(extra)
    keras_h5("missing_weight", "missing-weight", "LSTM with two weights but use_bias", base=LSTM_H5)(
        lambda f: names(f, "model_weights/lstm", "weight_names", ["lstm/lstm_cell/kernel:0", "lstm/lstm_cell/recurrent_kernel:0"]))
    keras_h5("unlisted_dataset", "extra-weight", "a dataset in a layer's group that weight_names doesn't list")(
        lambda f: f.__setitem__("model_weights/dense/dense/stray:0", np.ones(5, "f4")))
    keras_h5("unknown_layer_class", "unknown-layer-class", "can be inspected, not run")(edit_config(custom_layer))
    keras_h5("lambda_layer", "lambda-layer", "can be inspected, never executed (marshalled code)")(edit_config(lambda_layer))
    keras_h5("unknown_activation", "unknown-activation")(edit_config(lambda c: layer(c, "Dense")["config"].update(activation="my_activation")))
    keras_h5("activation_function_object", "unknown-activation", "activation is a serialised function")(edit_config(
        lambda c: layer(c, "Dense")["config"].update(activation={"class_name": "function", "config": "my_activation", "registered_name": "my_activation"})))
    keras_h5("units_negative", "bad-config-value", base=LSTM_H5)(edit_config(lambda c: layer(c, "LSTM")["config"].update(units=-4)))
    keras_h5("units_huge", "bad-config-value", "units 2^62: products overflow", base=LSTM_H5)(edit_config(lambda c: layer(c, "LSTM")["config"].update(units=1 << 62)))
    keras_h5("units_float", "bad-config-value", "units 4.5", base=LSTM_H5)(edit_config(lambda c: layer(c, "LSTM")["config"].update(units=4.5)))
    keras_h5("units_null", "bad-config-value", base=LSTM_H5)(edit_config(lambda c: layer(c, "LSTM")["config"].update(units=None)))
    keras_h5("units_other", "weight-shape-mismatch", "units 5 in the config, weights of 4", base=LSTM_H5)(edit_config(lambda c: layer(c, "LSTM")["config"].update(units=5)))
    keras_h5("weight_not_finite", "not-finite", "one NaN in a kernel: `check` reports it", base=LSTM_H5)(lambda f: f[LSTM_KERNEL].__setitem__((2, 3), np.nan))
    keras_h5("config_nan", "not-finite", "\"rate\": NaN, as Python writes it")(
        lambda f: set_config(f, f.attrs["model_config"].decode().replace('"rate": 0.3', '"rate": NaN')))
    keras_h5("nested_twice", "too-many-nodes", "30 models, each of which calls the next one twice: 2^30 layers")(lambda f: nested_twice(f, 30))
    functional = FIXTURES / "keras2" / "keras2_functional_small.h5"

    def inbound(class_name, target):
        def change(config):
            layer(config, class_name)["inbound_nodes"][0][0][0] = target
        return change
    keras_h5("inbound_missing_layer", "missing-layer", "an inbound node names a layer that isn't there", functional)(
        edit_config(inbound("Concatenate", "nowhere")))
    keras_h5("inbound_cycle", "graph-cycle", "the side Dense reads the Concatenate that it feeds", functional)(edit_config(inbound("Dense", "joined")))
    keras_h5("inbound_self", "graph-cycle", "a layer reads itself", functional)(edit_config(inbound("Concatenate", "joined")))

    def node_index(config):
        layer(config, "Concatenate")["inbound_nodes"][0][0][1] = 3
    keras_h5("inbound_missing_node", "missing-layer", "an inbound node names call 3 of a layer called once", functional)(edit_config(node_index))
    keras_h5("duplicate_layer_name", "duplicate-layer", "two layers of the config are called encoder", functional)(
        edit_config(lambda c: [l for l in c["config"]["layers"] if l["name"] == "side"][0].update(name="encoder")))
    keras_h5("output_missing_layer", "missing-layer", "", functional)(edit_config(lambda c: c["config"]["output_layers"][0].__setitem__(0, "nowhere")))


def nested_twice(f, levels):
    """Models that call a model twice, `levels` deep: 2^levels calls of the innermost layer."""
    def model(level):
        name, source = f"m_{level}", f"i_{level}"
        layers = [{"class_name": "InputLayer", "name": source, "inbound_nodes": [],
                   "config": {"batch_input_shape": [None, 4], "dtype": "float32", "sparse": False, "ragged": False, "name": source}}]
        if level == 0:
            inner = {"class_name": "Activation", "name": "act", "config": {"name": "act", "trainable": True, "dtype": "float32", "activation": "relu"}}
        else:
            inner = model(level - 1)
        # A model counts its own making as its first call.
        first = 0 if level == 0 else 1
        inner["inbound_nodes"] = [[[source, 0, 0, {}]], [[inner["name"], first, 0, {}]]]
        layers.append(inner)
        return {"class_name": "Functional", "name": name, "config": {
            "name": name, "trainable": True, "layers": layers, "input_layers": [[source, 0, 0]], "output_layers": [[inner["name"], first + 1, 0]]}}
    set_config(f, json.dumps(model(levels)))
    del f["model_weights/dense"]
    top = [f"i_{levels}", f"m_{levels - 1}"]
    del f["model_weights"].attrs["layer_names"]
    f["model_weights"].attrs["layer_names"] = np.array([n.encode() for n in top])
    for name in list(f["model_weights"]):
        del f["model_weights"][name]
    for name in top:
        group(f["model_weights"], name).attrs["weight_names"] = np.zeros((0,), "f8")


# -- .keras ------------------------------------------------------------------------------------------

def members_of(path=BASE_KERAS):
    with zipfile.ZipFile(path) as archive:
        members = {i.filename: archive.read(i) for i in archive.infolist()}
    members["model.weights.h5"] = compacted(io.BytesIO(members["model.weights.h5"]))
    return members


def keras_zip(name, rule, members, notes=""):
    path = KERAS / f"{name}.keras"
    write_zip(path, members.items() if isinstance(members, dict) else members)
    add(path, "keras-zip", rule, notes)
    return path


def keras_bytes(name, rule, data, notes=""):
    path = KERAS / f"{name}.keras"
    path.write_bytes(data)
    add(path, "keras-zip", rule, notes)


def with_weights(change, base=BASE_KERAS):
    """The members with the HDF5 file inside changed."""
    members = members_of(base)
    buffer = io.BytesIO(members["model.weights.h5"])
    with h5py.File(buffer, "r+") as f:
        change(f)
    members["model.weights.h5"] = buffer.getvalue()
    return members


def with_config(change, path=BASE_KERAS):
    members = members_of(path)
    config = json.loads(members["config.json"])
    change(config)
    members["config.json"] = json.dumps(config).encode()
    return members


def make_zip_mismatches(good):
    path = keras_zip("zip_path_nul", "zip-path-escape", {**good, "assets/a_b.txt": b"out"}, "a name with a zero byte in it")
    path.write_bytes(path.read_bytes().replace(b"assets/a_b.txt", b"assets/a\0b.txt"))

    def local(name):
        path = KERAS / f"{name}.keras"
        data = bytearray(path.read_bytes())
        return path, data, data.index(b"PK\3\4", data.index(b"config.json") - 40)
    keras_zip("zip_size_mismatch", "zip-mismatch", good, "the local header of config.json tells another size than the central directory")
    path, data, at = local("zip_size_mismatch")
    struct.pack_into("<II", data, at + 18, *[n + 1 for n in struct.unpack_from("<II", data, at + 18)])
    path.write_bytes(data)
    keras_zip("zip_crc_mismatch", "zip-mismatch", good, "the local header of config.json tells another checksum than the central directory")
    path, data, at = local("zip_crc_mismatch")
    data[at + 14] ^= 1
    path.write_bytes(data)

    # The member `assets/b` lies inside the member `assets/a`.
    inner = io.BytesIO()
    with zipfile.ZipFile(inner, "w") as archive:
        archive.writestr(zipfile.ZipInfo("assets/b", EPOCH), b"twice")
    inner = inner.getvalue()
    record, central = inner[:inner.index(b"PK\1\2")], inner[inner.index(b"PK\1\2"):inner.index(b"PK\5\6")]
    path = keras_zip("zip_overlap", "zip-overlap", {**good, "assets/a": record}, "a member inside another one")
    data = bytearray(path.read_bytes())
    end = data.rindex(b"PK\5\6")
    central = bytearray(central)
    struct.pack_into("<I", central, 42, data.index(record, data.index(b"assets/a")))
    count, size = struct.unpack_from("<H", data, end + 10)[0], struct.unpack_from("<I", data, end + 12)[0]
    struct.pack_into("<HHI", data, end + 8, count + 1, count + 1, size + len(central))
    data[end:end] = central
    path.write_bytes(data)


def make_keras_zip():
    good = members_of()
    keras_zip("base", "", good)
    ROWS.pop()
    path = KERAS / "base.keras"
    data = path.read_bytes()
    path.unlink()
    for label, length in (("half", len(data) // 2), ("directory", len(data) - 60), ("last_byte", len(data) - 1)):
        keras_bytes(f"zip_truncated_{label}", "zip-truncated", data[:length], f"{length} of {len(data)} bytes")
    keras_bytes("empty", "not-a-zip", b"")
    keras_bytes("text", "not-a-zip", b"not a zip\n")
    keras_bytes("hdf5_inside", "not-a-zip", BASE_H5.read_bytes(), "an HDF5 file called .keras: may be read as what it is")
    keras_zip("zip_no_config", "zip-no-config", {k: v for k, v in good.items() if k != "config.json"})
    keras_zip("zip_no_weights", "zip-no-weights", {k: v for k, v in good.items() if k != "model.weights.h5"})
    keras_zip("zip_no_metadata", "zip-no-metadata", {k: v for k, v in good.items() if k != "metadata.json"}, "the Keras generation is unknown")
    keras_zip("zip_path_escape", "zip-path-escape", {**good, "../escape.txt": b"out"})
    keras_zip("zip_path_absolute", "zip-path-escape", {**good, "/tmp/escape.txt": b"out"})
    keras_zip("zip_path_backslash", "zip-path-escape", {**good, "..\\escape.txt": b"out"})
    make_zip_mismatches(good)
    items = list(good.items())
    import warnings
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        keras_zip("zip_duplicate_member", "zip-duplicate-member", [*items, ("config.json", b"{}")], "config.json twice")

    path = KERAS / "zip_bomb.keras"
    with zipfile.ZipFile(path, "w") as archive:
        for name, value in items:
            archive.writestr(zipfile.ZipInfo(name, EPOCH), value)
        info = zipfile.ZipInfo("assets/zeros", EPOCH)
        info.compress_type = zipfile.ZIP_DEFLATED
        archive.writestr(info, bytes(16 << 20), compresslevel=9)
    add(path, "keras-zip", "zip-bomb", "a member of 16 MiB of zeros, deflated to 16 KiB; a bomb where the floor is 1 MiB", expansionFloor=1 << 20)

    path = KERAS / "zip_bomb_config.keras"
    with zipfile.ZipFile(path, "w") as archive:
        for name, value in items:
            info = zipfile.ZipInfo(name, EPOCH)
            if name == "config.json":
                value = b" " * (16 << 20) + value
                info.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(info, value, compresslevel=9)
    add(path, "keras-zip", "too-large", "config.json of 16 MiB, deflated; too large where documents may have 1 MiB", documentByteCount=1 << 20)

    changed = bytearray(data)
    at = changed.index(b"\"class_name\"")
    changed[at + 1] = ord("k")
    keras_bytes("zip_crc", "zip-bad-crc", bytes(changed), "one byte of config.json changed, CRC no longer fits")
    changed = bytearray(data)
    at = data.rindex(b"PK\x01\x02")
    changed[at + 42:at + 46] = struct.pack("<I", 0x7FFFFFFF)
    keras_bytes("zip_offset", "zip-truncated", bytes(changed), "a member's header lies beyond the file")
    changed = bytearray(data)
    at = data.index(b"PK\x01\x02")
    changed[at + 8] |= 1
    keras_bytes("zip_encrypted", "zip-encrypted", bytes(changed), "the flag of encryption on metadata.json")
    changed = bytearray(data)
    at = data.index(b"PK\x01\x02")
    changed[at + 46:at + 54] = b"metadat2"
    keras_bytes("zip_name_mismatch", "zip-mismatch", bytes(changed), "name in the directory differs from the local header")
    at = data.index(b"PK\x01\x02")
    changed = bytearray(data)
    changed[at + 10:at + 12] = struct.pack("<H", 99)
    keras_bytes("zip_method", "zip-unsupported-method", bytes(changed), "compression method 99")

    keras_zip("config_not_json", "bad-config-json", {**good, "config.json": b"{"})
    keras_zip("config_not_utf8", "bad-config-json", {**good, "config.json": good["config.json"].replace(b'"dense"', b'"de\xffnse"')})
    keras_zip("config_number", "config-not-a-model", {**good, "config.json": b"17"})
    keras_zip("config_empty_object", "config-not-a-model", {**good, "config.json": b"{}"})
    keras_zip("config_duplicate_keys", "duplicate-key", {**good, "config.json": good["config.json"].replace(b'"units": 3', b'"units": 3, "units": 4')})
    text = good
    assert b'"rate": 0.3' in text["config.json"]
    keras_zip("config_nan", "not-finite", {**text, "config.json": text["config.json"].replace(b'"rate": 0.3', b'"rate": NaN')}, "as Python writes it")
    keras_zip("metadata_no_version", "zip-no-metadata", {**good, "metadata.json": b"{}"})
    keras_zip("weights_not_hdf5", "not-hdf5", {**good, "model.weights.h5": b"nothing"})
    keras_zip("weights_truncated", "truncated", {**good, "model.weights.h5": good["model.weights.h5"][:1000]})

    def swap(where, value):
        def change(f):
            replace_data(f, where, value(f[where][()]))
        return change
    keras_zip("weight_transposed", "weight-shape-mismatch", with_weights(swap("layers/dense/vars/0", lambda v: v.T)), "Dense kernel (3,4)")
    keras_zip("weight_missing", "missing-weight", with_weights(lambda f: f["layers/dense/vars"].pop("1")), "no bias in Dense")
    keras_zip("weight_missing_layer", "missing-weight", with_weights(lambda f: f["layers"].pop("lstm"), LSTM_KERAS), "no group for LSTM")
    keras_zip("weight_extra", "extra-weight", with_weights(lambda f: f.__setitem__("layers/dense/vars/2", np.ones(3, "f4"))))
    keras_zip("weight_extra_layer", "extra-weight", with_weights(lambda f: f.copy("layers/dense", "layers/dense_1")))
    keras_zip("weight_gap", "missing-weight", with_weights(lambda f: f.move("layers/lstm/cell/vars/1", "layers/lstm/cell/vars/7"), LSTM_KERAS), "vars 0, 2, 7")
    keras_zip("weight_external_link", "external-link",
              with_weights(lambda f: (f["layers/dense/vars"].pop("1"), f.__setitem__("layers/dense/vars/1", h5py.ExternalLink("/etc/hostname", "/")))))
    keras_zip("unknown_layer_class", "unknown-layer-class", with_config(custom_layer), "can be inspected, not run")
    keras_zip("lambda_layer", "lambda-layer", with_config(lambda c: c["config"]["layers"].append({
        "module": "keras.layers", "class_name": "Lambda", "registered_name": None, "build_config": {"input_shape": [None, 3]},
        "config": {"name": "lambda", "trainable": True, "dtype": "float32", "arguments": {}, "function": {
            "class_name": "__lambda__", "config": {"code": "4wEAAAAAAAAAAAAAAAEAAAACAAAAUwAAAHMIAAAAfABkARsAUwA=\n", "defaults": None, "closure": None}}}})),
        "can be inspected, never executed (marshalled code)")
    keras_zip("module_not_keras", "unknown-layer-class", with_config(lambda c: layer(c, "Dense").update(module="os", class_name="system")))
    functional = FIXTURES / "keras3" / "keras3_functional_small.keras"

    def inbound(name, target):
        def change(config):
            node = next(l for l in config["config"]["layers"] if l["name"] == name)
            value = node["inbound_nodes"][0]["args"][0]
            value = value[0] if isinstance(value, list) else value
            value["config"]["keras_history"][0] = target
        return change
    keras_zip("inbound_missing_layer", "missing-layer", with_config(inbound("joined", "nowhere"), functional))
    keras_zip("inbound_cycle", "graph-cycle", with_config(inbound("encoder", "joined"), functional), "the encoder reads the Concatenate that it feeds")
    keras_zip("inbound_self", "graph-cycle", with_config(inbound("side", "side"), functional))


def main():
    for folder in (HDF5, KERAS):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
    make_hdf5()
    make_keras_h5()
    make_keras_zip()
    merge_invalid(ROWS, "hdf5", "keras")
    print(f"{len(ROWS)} invalid files")


if __name__ == "__main__":
    main()
