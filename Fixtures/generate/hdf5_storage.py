"""HDF5 storage variants, made with h5py: run with the interpreter of requirements-keras3.txt, after keras2.py."""

import sys

sys.dont_write_bytecode = True

import ctypes
import json
import pathlib

import h5py
import ml_dtypes
import numpy as np
from common import EXPECTED, FIXTURES, MANIFEST, merge_manifest, rng_for, row, write_json, write_npz

FOLDER = FIXTURES / "hdf5"
V110 = ("v110", "v110")  # superblock 3 and new-style groups, still readable by libhdf5 1.10
CASES = {}


def case(name, libver=None, userblock=0, order=False, setup=None, notes=""):
    def register(function):
        CASES[name] = (function, libver, userblock, order, setup, notes)
        return function
    return register


def open_new(path, libver, userblock, order, setup=None):
    """A new file without time stamps, also in the root group."""
    properties = h5py.h5p.create(h5py.h5p.FILE_CREATE)
    properties.set_obj_track_times(False)
    if userblock:
        properties.set_userblock(userblock)
    if order:
        properties.set_link_creation_order(h5py.h5p.CRT_ORDER_TRACKED | h5py.h5p.CRT_ORDER_INDEXED)
    if setup:
        setup(properties)
    access = h5py.h5p.create(h5py.h5p.FILE_ACCESS)
    access.set_fclose_degree(h5py.h5f.CLOSE_STRONG)
    if libver:
        access.set_libver_bounds(*(h5py.h5f.LIBVER_V110 if bound == "v110" else bound for bound in (V110 if libver is True else libver)))
    return h5py.File(h5py.h5f.create(str(path).encode(), h5py.h5f.ACC_TRUNC, properties, access))


def group(parent, name, order=False):
    properties = h5py.h5p.create(h5py.h5p.GROUP_CREATE)
    properties.set_obj_track_times(False)
    if order:
        properties.set_link_creation_order(h5py.h5p.CRT_ORDER_TRACKED | h5py.h5p.CRT_ORDER_INDEXED)
    return h5py.Group(h5py.h5g.create(parent.id, name.encode(), gcpl=properties))


INTEGERS = ["i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8"]
FLOATS = ["f2", "f4", "f8"]


def sample(rng, kind, shape):
    dtype = np.dtype(kind)
    if dtype.kind == "f":
        value = rng.standard_normal(shape).astype(dtype)
        value.flat[:4] = [np.inf, -0.0, np.finfo(dtype).max, np.finfo(dtype).smallest_subnormal]
        return value
    limits = np.iinfo(dtype)
    value = rng.integers(limits.min, limits.max, shape, dtype=dtype.newbyteorder("="), endpoint=True).astype(dtype)
    value.flat[:2] = [limits.min, limits.max]
    return value


@case("integers", notes="i8 to u64, both byte orders")
def _(f, rng):
    for kind in INTEGERS:
        for order, label in (("<", "little"), (">", "big")):
            f.create_dataset(f"{kind}_{label}", data=sample(rng, order + kind, (3, 5)))


@case("floats", notes="f16, f32, f64, both byte orders, with infinity, -0 and subnormals")
def _(f, rng):
    for kind in FLOATS:
        for order, label in (("<", "little"), (">", "big")):
            f.create_dataset(f"{kind}_{label}", data=sample(rng, order + kind, (3, 5)))


@case("bool_enum")
def _(f, rng):
    f["flags"] = rng.integers(0, 2, (3, 4)).astype(bool)
    f["initialized:0"] = np.bool_(True)


@case("scalars_and_empty")
def _(f, rng):
    f["scalar_f4"] = np.float32(0.7)
    f["scalar_i8"] = np.int64(-123456789012)
    f["size_zero"] = np.zeros((0,), "f4")
    f["size_zero_rank2"] = np.zeros((3, 0), "i4")
    f.create_dataset("null_space", dtype="f4", data=h5py.Empty("f4"))


@case("layouts")
def _(f, rng):
    value = rng.standard_normal((6, 5)).astype("f4")
    properties = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    properties.set_layout(h5py.h5d.COMPACT)
    properties.set_obj_track_times(False)
    space = h5py.h5s.create_simple((6, 5))
    h5py.Dataset(h5py.h5d.create(f.id, b"compact", h5py.h5t.IEEE_F32LE, space, properties))[...] = value
    f.create_dataset("contiguous", data=value)
    f.create_dataset("chunked", data=value, chunks=(4, 2))
    f.create_dataset("one_chunk", data=value, chunks=(6, 5))
    f.create_dataset("rank1", data=value.ravel(), chunks=(7,))
    f.create_dataset("rank4", data=rng.standard_normal((3, 4, 2, 5)).astype("f8"), chunks=(2, 3, 1, 4))


@case("filters")
def _(f, rng):
    value = (rng.integers(-40, 40, (20, 30)) / 8).astype("f4")
    f.create_dataset("deflate", data=value, chunks=(8, 16), compression="gzip", compression_opts=1)
    f.create_dataset("shuffle_deflate", data=value, chunks=(8, 16), compression="gzip", compression_opts=9, shuffle=True)
    f.create_dataset("shuffle", data=value, chunks=(8, 16), shuffle=True)
    f.create_dataset("fletcher32", data=value, chunks=(8, 16), fletcher32=True)
    f.create_dataset("shuffle_deflate_fletcher32", data=value.astype("f8"), chunks=(8, 16), compression="gzip", shuffle=True, fletcher32=True)
    f.create_dataset("lzf", data=value, chunks=(8, 16), compression="lzf")
    f.create_dataset("lzf_random", data=rng.standard_normal((8, 16)).astype("f4"), chunks=(8, 16), compression="lzf")
    f.create_dataset("shuffle_i2_big", data=rng.integers(0, 99, (20, 30)).astype(">i2"), chunks=(8, 16), compression="gzip", shuffle=True)


@case("chunk_edges", notes="37 x 53 in chunks of 8 x 16")
def _(f, rng):
    value = rng.integers(0, 1000, (37, 53)).astype("i2")
    f.create_dataset("plain", data=value, chunks=(8, 16))
    f.create_dataset("shuffle_deflate", data=value, chunks=(8, 16), compression="gzip", shuffle=True)


@case("partial_chunks", notes="some chunks never written: fill value; datasets never written")
def _(f, rng):
    part = f.create_dataset("with_fill", (20, 30), "f4", chunks=(8, 16), fillvalue=-1.5)
    part[2:5, 3:9] = rng.standard_normal((3, 6))
    part = f.create_dataset("without_fill", (20, 30), "i4", chunks=(8, 16), compression="gzip")
    part[17:, 20:] = 7
    f.create_dataset("unallocated", (4, 5), "f4")
    f.create_dataset("unallocated_fill", (4, 5), "f8", fillvalue=2.25)
    f.create_dataset("unallocated_chunked", (4, 5), "f4", chunks=(2, 2), fillvalue=3)
    f.create_dataset("unallocated_big_endian", (4,), ">i4", fillvalue=258)


@case("resizable", notes="unlimited dimensions, shrunk after writing")
def _(f, rng):
    d = f.create_dataset("grown", (4, 6), "f4", chunks=(3, 4), maxshape=(None, None))
    d[...] = rng.standard_normal((4, 6))
    d.resize((7, 9))
    d[6, 8] = 1.25
    d.resize((7, 5))


@case("user_block", userblock=512, notes="512 bytes of user block; contiguous and chunked data")
def _(f, rng):
    f["contiguous"] = rng.standard_normal((5, 7)).astype("f4")
    f.create_dataset("chunked", data=rng.standard_normal((9, 7)).astype("f4"), chunks=(4, 4), compression="gzip")
    f.attrs["note"] = "behind a user block"


def body(f, rng):
    a = group(f, "layer")
    b = group(a, "inner")
    b.create_dataset("kernel", data=rng.standard_normal((5, 7)).astype("f4"))
    a.create_dataset("single_chunk", data=rng.standard_normal((5, 7)).astype("f4"), chunks=(5, 7), compression="gzip")
    a.create_dataset("fixed_array", data=rng.standard_normal((11, 7)).astype("f4"), chunks=(2, 3))
    a.create_dataset("fixed_array_filtered", data=rng.standard_normal((11, 7)).astype("f4"), chunks=(2, 3), compression="gzip", shuffle=True)
    a.create_dataset("extensible_array", data=rng.standard_normal((11, 7)).astype("f4"), chunks=(2, 3), maxshape=(None, 7))
    a.create_dataset("btree2", data=rng.standard_normal((11, 7)).astype("f4"), chunks=(2, 3), maxshape=(None, None))
    early = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    early.set_chunk((4, 3))
    early.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
    early.set_obj_track_times(False)
    d = h5py.Dataset(h5py.h5d.create(a.id, b"implicit_index", h5py.h5t.IEEE_F32LE, h5py.h5s.create_simple((11, 7)), early))
    d[...] = rng.standard_normal((11, 7))
    f.attrs["format"] = "latest"


@case("latest", libver=V110, notes="superblock 3, new-style groups, all five chunk indexes of HDF5 1.10")
def _(f, rng):
    body(f, rng)


@case("dense_groups_and_attributes", libver=V110, notes="40 attributes (dense storage) and 40 links (fractal heap)")
def _(f, rng):
    g = group(f, "many")
    for n in range(40):
        g.create_dataset(f"weight_{n}", data=np.float32(n) / 4)
        g.attrs[f"attribute_{n}"] = n
    f.attrs["long"] = "x" * 3000


@case("old_groups_many", notes="300 links in an old-style group: a B-tree of several nodes")
def _(f, rng):
    f.create_group("empty")
    for n in range(300):
        if n % 30:
            f[f"g{n}"] = f["empty"]
        else:
            f.create_dataset(f"d{n}", data=np.int16(n))


@case("attributes_strings")
def _(f, rng):
    f.attrs.create("vlen_ascii", b"plain", dtype=h5py.string_dtype("ascii"))
    f.attrs.create("vlen_utf8", "gr\u00fc\u00dfe \u4f60\u597d", dtype=h5py.string_dtype("utf-8"))
    f.attrs.create("vlen_empty", "", dtype=h5py.string_dtype("utf-8"))
    f.attrs.create("vlen_array", ["a", "bc\u00e9", ""], dtype=h5py.string_dtype("utf-8"))
    f.attrs.create("vlen_array_rank2", [[b"a", b"b"], [b"c", b"dd"]], dtype=h5py.string_dtype("ascii"))
    f.attrs["fixed_ascii"] = np.bytes_(b"twelve bytes")
    f.attrs.create("fixed_utf8", "caf\u00e9".encode(), dtype=h5py.string_dtype("utf-8", 5))
    f.attrs["fixed_array"] = np.array([b"lstm", b"dense_1", b""], dtype="S7")
    f.attrs["fixed_longer_than_text"] = np.array([b"ab"], dtype="S9")
    f.attrs["vlen_no_elements"] = np.array([], dtype=h5py.string_dtype())

    def padded(name, text, size, padding):
        kind = h5py.h5t.C_S1.copy()
        kind.set_size(size)
        kind.set_strpad(padding)
        a = h5py.h5a.create(f.id, name.encode(), kind, h5py.h5s.create(h5py.h5s.SCALAR))
        fill = b" " if padding == h5py.h5t.STR_SPACEPAD else b"\0"
        a.write(np.array(text.ljust(size, fill), dtype=f"S{size}"), mtype=kind)

    padded("space_padded", b"fortran", 12, h5py.h5t.STR_SPACEPAD)
    padded("null_padded", b"full", 4, h5py.h5t.STR_NULLPAD)
    padded("null_terminated", b"ends", 8, h5py.h5t.STR_NULLTERM)


@case("attributes_numbers")
def _(f, rng):
    for kind in INTEGERS + FLOATS:
        for order, label in (("<", "little"), (">", "big")):
            value = sample(rng, order + kind, (5,))
            if value.dtype.kind == "f":
                value[0] = 0.5
            f.attrs.create(f"{kind}_{label}", value[0], dtype=order + kind)
            f.attrs.create(f"{kind}_{label}_array", value)
    f.attrs["bool"] = True
    f.attrs["bools"] = np.array([True, False, True])
    f.attrs["rank2"] = np.arange(6, dtype="i4").reshape(2, 3)
    f.attrs["not_finite"] = np.array([np.nan, np.inf, -np.inf])
    f.attrs["null"] = h5py.Empty("f8")
    f.attrs["null_string"] = h5py.Empty("S4")
    f.attrs["no_elements"] = np.zeros((0,), "f8")
    g = f.create_group("group")
    g.attrs["on_group"] = 1
    f["data"] = np.float32(1.5)
    f["data"].attrs["on_dataset"] = "yes"


@case("groups", notes="6 deep, empty groups, odd names")
def _(f, rng):
    f["a/b/c/d/e/f/deep"] = rng.standard_normal((2, 3)).astype("f4")
    f.create_group("empty")
    f.create_group("a/b/empty")
    f["kernel:0"] = np.float32(1.25)
    f["with space"] = np.float32(2.25)
    f["m\u00e9moire"] = np.float32(3.25)
    f["dots.and-dashes_._x"] = np.float32(4.25)


@case("links", notes="hard link twice, soft links inside the file, one dangling soft link (not in the npz)")
def _(f, rng):
    f["one/data"] = rng.standard_normal((4, 3)).astype("f4")
    f["two"] = f["one/data"]
    f["one/again"] = f["one/data"]
    f["soft"] = h5py.SoftLink("/one/data")
    f["soft_group"] = h5py.SoftLink("/one")
    f["soft_to_soft"] = h5py.SoftLink("/soft")
    f["dangling"] = h5py.SoftLink("/nowhere")


@case("creation_order", order=True, notes="track_order: creation order is zeta, alpha, mu")
def _(f, rng):
    for n, name in enumerate(("zeta", "alpha", "mu")):
        g = group(f, name, order=True)
        for inner in ("9", "10", "1"):
            g.create_dataset(inner, data=np.float32(n) + float(inner))


def native_bfloat16():
    kind = h5py.h5t.IEEE_F32LE.copy()
    kind.set_fields(15, 7, 8, 0, 7)
    kind.set_size(2)
    kind.set_ebias(127)
    return kind


@case("bfloat16", notes="opaque of 2 bytes: with Keras' attribute dtype, without; uint16 with it; npz holds the bits as uint16")
def _(f, rng):
    value = rng.standard_normal((3, 5)).astype(ml_dtypes.bfloat16)
    d = f.create_dataset("opaque_with_attribute", data=value)
    d.attrs["dtype"] = "bfloat16"
    f.create_dataset("opaque", data=value)
    d = f.create_dataset("uint16", data=value.view("u2"))
    d.attrs["dtype"] = "bfloat16"
    kind = native_bfloat16()
    space = h5py.h5s.create_simple(value.shape)
    properties = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    properties.set_obj_track_times(False)
    h5py.Dataset(h5py.h5d.create(f.id, b"native", kind, space, properties)).id.write(h5py.h5s.ALL, h5py.h5s.ALL, value.astype("f4"), h5py.h5t.NATIVE_FLOAT)
    f.create_dataset("float8_e4m3fn", data=rng.standard_normal(6).astype(ml_dtypes.float8_e4m3fn))
    f["float8_e4m3fn"].attrs["dtype"] = "float8_e4m3fn"


def library():
    """h5py's own libhdf5, for what h5py has no name for."""
    folder = pathlib.Path(h5py.__file__).resolve().parent.parent / "h5py.libs"
    result = ctypes.CDLL(str(next(folder.glob("libhdf5-*.so*"))))
    result.H5Pset_chunk_opts.argtypes = [ctypes.c_int64, ctypes.c_uint]
    result.H5Pset_istore_k.argtypes = [ctypes.c_int64, ctypes.c_uint]
    return result


def zstd(data):
    shared = ctypes.CDLL("libzstd.so.1")
    shared.ZSTD_compress.restype = ctypes.c_size_t
    shared.ZSTD_compress.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_char_p, ctypes.c_size_t, ctypes.c_int]
    room = ctypes.create_string_buffer(len(data) + 512)
    count = shared.ZSTD_compress(room, len(room), data, len(data), 3)
    return room.raw[:count]


def low_level(f, name, kind, shape, chunk, maximum=None, setup=None):
    properties = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    properties.set_obj_track_times(False)
    properties.set_chunk(chunk)
    if setup:
        setup(properties)
    return h5py.Dataset(h5py.h5d.create(f.id, name.encode(), kind, h5py.h5s.create_simple(shape, maximum), properties))


@case("filters_more", notes="zstd (32015), chunks with filters left out by their masks; h5py knows no zstd, so the numbers are the generator's")
def _(f, rng):
    value = (rng.integers(-40, 40, (10, 8)) / 8).astype("<f4")
    arrays = {}

    def shuffled(data):
        return np.frombuffer(data, "u1").reshape(-1, 4).T.tobytes()

    def store(name, filters, encode, masks=(0, 0, 0)):
        def setup(properties):
            for identifier, values in filters:
                if identifier == 2:
                    properties.set_shuffle()
                elif identifier == 1:
                    properties.set_deflate(6)
                else:
                    properties.set_filter(identifier, h5py.h5z.FLAG_OPTIONAL, values)
        d = low_level(f, name, h5py.h5t.IEEE_F32LE, value.shape, (4, 8), setup=setup)
        for number, row in enumerate((0, 4, 8)):
            chunk = np.zeros((4, 8), "<f4")
            chunk[: min(4, 10 - row)] = value[row:row + 4]
            d.id.write_direct_chunk((row, 0), encode(chunk.tobytes(), masks[number]), masks[number])
        arrays[name] = value
    store("zstd", [(32015, (3,))], lambda data, mask: zstd(data))
    store("shuffle_zstd", [(2, ()), (32015, (3,))], lambda data, mask: zstd(shuffled(data)))
    import zlib
    def masked(data, mask):
        data = data if mask & 1 else shuffled(data)
        return data if mask & 2 else zlib.compress(data)
    store("masks", [(2, ()), (1, ())], masked, (1, 2, 3))
    return arrays


def many_chunks(f, rng, grows=True):
    unlimited = h5py.h5s.UNLIMITED

    def filled(name, shape, chunk, maximum=None, setup=None, only=None, kind=h5py.h5t.STD_U8LE):
        if maximum and unlimited in maximum and not grows:
            return
        d = low_level(f, name, kind, shape, chunk, maximum, setup)
        value = rng.integers(1, 200, shape)
        for where in only or [...]:
            d[where] = value[where]
    deflate = lambda p: p.set_deflate(1)
    filled("fixed", (60,), (1,))
    filled("fixed_paged", (1300,), (1,))
    filled("fixed_paged_part", (2600,), (1,), only=[slice(3, 7), slice(2590, 2600)])
    filled("fixed_filtered_paged", (1100,), (1,), setup=deflate)
    filled("fixed_room_to_grow", (5, 7), (2, 2), (9, 20))
    filled("extensible", (1500,), (1,), (unlimited,))
    filled("extensible_part", (9000,), (1,), (unlimited,), only=[slice(0, 2), slice(700, 705), slice(8990, 9000)])
    filled("extensible_second", (3, 300), (2, 1), (3, unlimited))
    filled("extensible_second_room", (3, 30), (2, 1), (8, unlimited))
    filled("extensible_filtered", (2, 500), (1, 2), (2, unlimited), setup=deflate)
    filled("tree", (30, 40), (1, 1), (unlimited, unlimited))
    filled("tree_filtered", (10, 20), (1, 1), (unlimited, unlimited), setup=deflate)
    filled("tree_part", (300, 400), (1, 1), (unlimited, unlimited), only=[(299, slice(0, 20)), (5, 7)])
    filled("single", (5, 7), (5, 7))
    filled("single_filtered", (5, 7), (5, 7), setup=deflate)
    filled("implicit_room", (5, 7), (2, 3), (9, 11), setup=lambda p: p.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY))
    filled("edges_unfiltered", (11, 7), (4, 3), setup=lambda p: (p.set_deflate(6), library().H5Pset_chunk_opts(p.id, 2)), kind=h5py.h5t.STD_U16LE)


@case("many_chunks", notes="version 1 B-trees of chunks, several levels deep")
def _(f, rng):
    many_chunks(f, rng)


@case("many_chunks_latest", libver=V110, notes="each index of HDF5 1.10 large enough for pages, super blocks and levels, and partly written")
def _(f, rng):
    many_chunks(f, rng)


@case("many_chunks_user_block", libver=V110, userblock=2048, notes="the same behind a user block")
def _(f, rng):
    many_chunks(f, rng)


@case("superblock_1", setup=lambda p: library().H5Pset_istore_k(p.id, 3), notes="superblock 1: another fan-out of chunk B-trees")
def _(f, rng):
    f.create_dataset("chunked", data=rng.standard_normal((40, 6)).astype("f4"), chunks=(1, 2))


@case("superblock_2", libver=(h5py.h5f.LIBVER_V18, h5py.h5f.LIBVER_V18), notes="superblock 2, without the indexes of 1.10")
def _(f, rng):
    f.create_dataset("chunked", data=rng.standard_normal((9, 6)).astype("f4"), chunks=(2, 4))
    f["contiguous"] = rng.standard_normal((3, 4)).astype("f8")
    f.attrs["note"] = "of HDF5 1.8"


@case("short_addresses", setup=lambda p: p.set_sizes(4, 4), notes="addresses and lengths of four bytes")
def _(f, rng):
    f.create_dataset("chunked", data=rng.standard_normal((9, 6)).astype("f4"), chunks=(2, 4), compression="gzip")
    f["contiguous"] = rng.standard_normal((3, 4)).astype("f8")
    f.create_dataset("unallocated", (4, 5), "f4", fillvalue=0.5)
    f.attrs["text"] = "of variable length"


@case("short_addresses_latest", libver=V110, setup=lambda p: p.set_sizes(4, 4), notes="the same with the indexes of 1.10; without endless dimensions, which HDF5 1.10 does not find in such files")
def _(f, rng):
    many_chunks(f, rng, grows=False)


@case("committed_types", notes="datasets and attributes of a named datatype")
def _(f, rng):
    for kind in ("f4", ">i2"):
        f[f"type_{kind[-2:]}"] = np.dtype(kind)
        f.create_dataset(f"data_{kind[-2:]}", data=rng.integers(-9, 9, (3, 4)), dtype=f[f"type_{kind[-2:]}"])
    f.attrs.create("number", 2.5, dtype=f["type_f4"])


@case("fletcher32_odd", notes="checksums over chunks of an odd number of bytes, and of filters in another order")
def _(f, rng):
    f.create_dataset("bytes", data=rng.integers(0, 255, (7, 5)).astype("u1"), chunks=(3, 3), fletcher32=True)
    low_level(f, "deflate_last", h5py.h5t.IEEE_F32LE, (7, 5), (3, 3), setup=lambda p: (p.set_fletcher32(), p.set_shuffle(), p.set_deflate(3)))[...] = (
        rng.standard_normal((7, 5)))


# -- expected ----------------------------------------------------------------------------------------

def walk(f):
    """All objects by path, also through soft links; a path is visited once per link."""
    result = {"/": f}

    def visit(g, prefix):
        for name in g:
            link = g.get(name, getlink=True)
            try:
                node = g[name]
            except KeyError:
                continue
            result[prefix + name] = node
            if isinstance(node, h5py.Group) and not isinstance(link, h5py.SoftLink):
                visit(node, prefix + name + "/")
            elif isinstance(node, h5py.Group):
                for inner in node:
                    result[prefix + name + "/" + inner] = node[inner]
    visit(f, "")
    return result


def array_of(d):
    if d.shape is None:
        return None
    value = d[()]
    if d.dtype.kind == "V":
        return np.asarray(value).view({1: "u1", 2: "u2"}[d.dtype.itemsize])
    if d.name == "/native":
        return (np.asarray(value, "f4").view("u4") >> 16).astype("u2")
    return np.asarray(value).astype(d.dtype.newbyteorder("="))


def json_number(v):
    if isinstance(v, (bool, np.bool_)):
        return bool(v)
    if isinstance(v, (int, np.integer)):
        return int(v)
    v = float(v)
    return v if np.isfinite(v) else repr(v)


def attribute_of(node, name):
    a = h5py.h5a.open(node.id, name.encode())
    value = node.attrs[name]
    kind = a.get_type()
    text = kind.get_class() == h5py.h5t.STRING
    label = "string" if text else "bool" if kind.get_class() == h5py.h5t.ENUM else np.dtype(kind.dtype).newbyteorder("=").name
    if isinstance(value, h5py.Empty):
        return {"dtype": label, "shape": None, "value": None}

    def plain(v):
        if isinstance(v, np.ndarray):
            return [plain(x) for x in v]
        if isinstance(v, (bytes, np.bytes_)):
            return v.decode("utf-8").rstrip(" ") if kind.get_strpad() == h5py.h5t.STR_SPACEPAD else v.decode("utf-8")
        return str(v) if isinstance(v, str) else json_number(v)
    return {"dtype": label, "shape": list(a.shape), "value": plain(value)}


def write_case(name):
    function, libver, userblock, order, setup, notes = CASES[name]
    path = FOLDER / f"{name}.h5"
    with open_new(path, libver, userblock, order, setup) as f:
        known = function(f, rng_for("hdf5 " + name)) or {}
    if userblock:
        data = bytearray(path.read_bytes())
        data[:24] = b"this is the user block!\n"
        path.write_bytes(data)
    arrays, attributes = {}, {}
    with h5py.File(path) as f:
        for where, node in walk(f).items():
            if isinstance(node, h5py.Dataset):
                value = known[where] if where in known else array_of(node)
                if value is not None:
                    arrays[where] = value
            if len(node.attrs):
                attributes[where] = {n: attribute_of(node, n) for n in node.attrs}
    write_npz(EXPECTED / f"hdf5_{name}.npz", arrays)
    write_json(EXPECTED / f"hdf5_{name}.attributes.json", attributes)
    return {"name": name, "path": f"hdf5/{name}.h5", "arrays": f"expected/hdf5_{name}.npz", "attributes": f"expected/hdf5_{name}.attributes.json", "notes": notes}


# -- a Keras model in other storage ------------------------------------------------------------------

def chunks_of(shape):
    return tuple(max(1, (n + 1) // 2) for n in shape)


def store(**options):
    def write(target, name, value):
        if np.ndim(value) == 0:
            return target.create_dataset(name, data=value)
        return target.create_dataset(name, data=value, chunks=chunks_of(value.shape), **options)
    return write


def compact(target, name, value):
    properties = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    properties.set_layout(h5py.h5d.COMPACT)
    properties.set_obj_track_times(False)
    space = h5py.h5s.create_simple(value.shape)
    links = h5py.h5p.create(h5py.h5p.LINK_CREATE)
    links.set_create_intermediate_group(True)
    h5py.Dataset(h5py.h5d.create(target.id, name.encode(), h5py.h5t.IEEE_F32LE, space, properties, links))[...] = value


def bits(value):
    """bf16, which h5py reads as two bytes without a meaning, as unsigned integers."""
    return np.ascontiguousarray(value).view("u2")


def native(target, name, value):
    properties = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    properties.set_obj_track_times(False)
    links = h5py.h5p.create(h5py.h5p.LINK_CREATE)
    links.set_create_intermediate_group(True)
    kind = native_bfloat16()
    data = h5py.h5d.create(target.id, name.encode(), kind, h5py.h5s.create_simple(value.shape), properties, links)
    data.write(h5py.h5s.ALL, h5py.h5s.ALL, bits(value), mtype=kind)


# Keras 3 saves bf16 into .h5 and can't read it: the same model with other spellings of bf16.
HALF_CASES = {
    "keras_bf16_integers": lambda t, n, v: t.create_dataset(n, data=bits(v)),
    "keras_bf16_native": native,
}

MODEL_CASES = {
    "keras_chunked_shuffle_gzip": (store(compression="gzip", shuffle=True), None, 0),
    "keras_lzf_fletcher32": (store(compression="lzf", fletcher32=True), None, 0),
    "keras_compact": (compact, None, 0),
    "keras_latest_chunked": (store(compression="gzip", shuffle=True), V110, 0),
    "keras_user_block": (lambda t, n, v: t.create_dataset(n, data=v), None, 1024),
    "keras_big_endian": (lambda t, n, v: t.create_dataset(n, data=v.astype(">f4")), None, 0),
    "keras_float64_storage": (lambda t, n, v: t.create_dataset(n, data=v.astype("f8")), None, 0),
}


def write_models():
    halves = {name: (write, None, 0) for name, write in HALF_CASES.items()}
    return stored_again("keras2/keras2_lstm_mask.h5", MODEL_CASES) + stored_again("keras3/keras3_dtype_bfloat16.h5", halves)


def stored_again(source_path, cases):
    source_row = next(r for r in json.loads(MANIFEST.read_text()) if r["path"] == source_path)
    rows = []
    for name, (write, libver, userblock) in cases.items():
        path = FOLDER / f"{name}.h5"
        with h5py.File(FIXTURES / source_row["path"]) as source, open_new(path, libver, userblock, False) as target:
            def visit(where, node):
                if isinstance(node, h5py.Group):
                    made = group(target, where)
                else:
                    write(target, where, node[()])
                    made = target[where]
                copy_attributes(node, made)
            copy_attributes(source, target)
            source.visititems(visit)
        rows.append(row("hdf5_" + name, path, source_row["framework"] + ", stored again by h5py", source_row["dialect"], source_row["inputs"],
                        source_row["outputs"], source_row["layers"], f"{source_row['name']} in another storage"))
    return rows


def copy_attributes(node, made):
    for key in node.attrs:
        value = node.attrs[key]
        if isinstance(value, str):
            made.attrs.create(key, value.encode(), dtype=h5py.string_dtype("ascii"))
        elif value.dtype.kind == "O":
            made.attrs.create(key, list(value), dtype=h5py.string_dtype("ascii"), shape=value.shape)
        else:
            made.attrs.create(key, value)


def main():
    FOLDER.mkdir(parents=True, exist_ok=True)
    rows = [write_case(name) for name in sorted(CASES)]
    write_json(FOLDER / "manifest.json", rows)
    models = write_models()
    merge_manifest(models, lambda r: r["path"].startswith("hdf5/"))
    print(f"{len(rows)} storage fixtures, {len(models)} stored models")


if __name__ == "__main__":
    main()
