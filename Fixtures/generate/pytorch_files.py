"""Files of torch.save, good ones and, patched or put together by hand, bad ones: run with the interpreter of requirements-pytorch.txt."""

import sys

sys.dont_write_bytecode = True

import collections
import io
import json
import pickle
import shutil
import struct
import zipfile

import numpy as np
import torch
from common import FIXTURES, merge_invalid, rng_for, write_zip
from safetensors_files import NAMES, floats, of_dtype

GOOD = FIXTURES / "pytorch"
BAD = FIXTURES / "invalid" / "pytorch"
ROWS, BAD_ROWS = [], []


def tensor_row(name, value):
    value = value.detach()
    data = value.contiguous().reshape(-1)
    return {"name": name, "dtype": NAMES[value.dtype], "shape": list(value.shape),
            "bytes": bytes(data.view(torch.uint8).tolist()).hex() if value.numel() else ""}


def save(name, value, tensors, ties=(), attributes=None, forms=("zip", "stack"), **options):
    """Saves `value` in both forms, with what a reader has to find: attributes as {group: {name: value}}."""
    for form in forms:
        path = GOOD / f"{name}_{form}.pt"
        torch.save(value, path, _use_new_zipfile_serialization=form == "zip", **options)
        torch.load(path, weights_only=options.get("pickle_protocol", 2) == 2)
        ROWS.append({"path": f"pytorch/{path.name}", "ties": list(ties), "attributes": attributes or {},
                     "tensors": [tensor_row(key, tensor) for key, tensor in tensors.items()]})


class Net(torch.nn.Module):
    """A tied head, a buffer that is an integer, a bias."""

    def __init__(self, rng):
        super().__init__()
        self.embedding = torch.nn.Embedding(7, 3)
        self.norm = torch.nn.BatchNorm1d(3)
        self.head = torch.nn.Linear(3, 7)
        self.head.weight = self.embedding.weight
        for p in [*self.parameters(), self.norm.running_mean, self.norm.running_var]:
            p.data = floats(rng, *p.shape)
        self.norm.num_batches_tracked.fill_(41)

    def forward(self, ids):
        return self.head(self.norm(self.embedding(ids)))


def make_good():
    rng = rng_for("pytorch")
    model = Net(rng)
    save("state_dict", model.state_dict(), model.state_dict(), [["embedding.weight", "head.weight"]])

    tensors = {f"t.{name}": of_dtype(rng, dtype, 3, 5) for dtype, name in NAMES.items()}
    tensors |= {"scalar": floats(rng), "empty": floats(rng, 0, 7), "empty_last": floats(rng, 7, 0).to(torch.bfloat16)}
    save("dtypes", tensors, tensors, forms=["zip"])
    # What torch itself can read back of the stacked form: dtypes that have a storage class of their own.
    newer = (torch.uint16, torch.uint32, torch.uint64, torch.float8_e4m3fn, torch.float8_e5m2)
    old = {key: value for key, value in tensors.items() if value.dtype not in newer}
    save("dtypes", old, old, forms=["stack"])

    base = floats(rng, 4, 6)
    whole = floats(rng, 5)
    tensors = {
        "base": base, "row": base[2], "column": base[:, 3], "transposed": base.t(), "inner": base[1:3, 2:5], "steps": base[::2, 1::3],
        "expanded": whole.expand(3, 5), "expanded_scalar": floats(rng).expand(2, 2), "permuted": floats(rng, 2, 3, 4).permute(2, 0, 1),
        "tail": whole[3:], "same": base, "same_view": base.view(4, 6), "reshaped": base.view(6, 4), "one": base[1:2, :],
        "ones": floats(rng, 6, 1, 2).transpose(0, 1), "half_transposed": floats(rng, 3, 2).half().t(), "byte_steps": of_dtype(rng, torch.int8, 9)[::4],
        "diagonal": base.diagonal(), "double_steps": floats(rng, 8).double()[1::2],
    }
    save("views", tensors, tensors, [["base", "same", "same_view"]])

    optimizer = torch.optim.Adam(model.parameters(), lr=0.01, weight_decay=0.25)
    model(torch.tensor([[1, 2], [3, 4]])[0]).sum().backward()
    optimizer.step()
    state = optimizer.state_dict()
    flat = {f"optimizer/state/{i}/{k}": v for i, s in state["state"].items() for k, v in s.items()}
    groups = json.loads(json.dumps(state["param_groups"]))
    checkpoint = {"epoch": 3, "model_state_dict": model.state_dict(), "optimizer_state_dict": state, "loss": 0.5, "best": True,
                  "note": "größe", "nothing": None, "history": [1, 2.5, (3, "x")], "rng": torch.arange(5, dtype=torch.uint8)}
    save("training", checkpoint, {**model.state_dict(), **flat, "rng": checkpoint["rng"]}, [["embedding.weight", "head.weight"]],
         {"": {"epoch": 3, "loss": 0.5, "best": True, "note": "größe", "nothing": None, "history": [1, 2.5, [3, "x"]]},
          "optimizer": {"param_groups": groups}})
    save("optimizer", state, flat, attributes={"optimizer": {"param_groups": groups}}, forms=["zip"])
    lightning = {"state_dict": {f"model.{k}": v for k, v in model.state_dict().items()}, "epoch": 1, "loops": {"a": {}}}
    save("lightning", lightning, lightning["state_dict"], [["model.embedding.weight", "model.head.weight"]],
         {"": {"epoch": 1, "loops": {"a": {}}}}, forms=["zip"])

    nested = {"encoder": collections.OrderedDict(a=floats(rng, 2), b={"c": floats(rng, 3)}), "list": [floats(rng, 1), floats(rng, 2)], 7: floats(rng, 4)}
    save("nested", nested, {"encoder.a": nested["encoder"]["a"], "encoder.b.c": nested["encoder"]["b"]["c"], "list.0": nested["list"][0],
                            "list.1": nested["list"][1], "7": nested[7]})
    one = floats(rng, 2, 3)
    save("tensor", one, {"tensor": one}, forms=["zip"])
    save("tuple", (one, [one.t()]), {"0": one, "1.0": one.t()}, forms=["zip"])
    parameters = {"weight": torch.nn.Parameter(floats(rng, 3, 2)), "buffer": torch.nn.Parameter(floats(rng, 2), requires_grad=False)}
    parameters["weight"].note = "an attribute"
    save("parameters", parameters, parameters, forms=["zip"])
    numbers(one)
    for protocol in (3, 4, 5):
        save(f"protocol_{protocol}", model.state_dict(), model.state_dict(), [["embedding.weight", "head.weight"]], pickle_protocol=protocol)

    torch.serialization.set_crc32_options(False)
    save("no_checksums", model.state_dict(), model.state_dict(), [["embedding.weight", "head.weight"]], forms=["zip"])
    torch.serialization.set_crc32_options(True)

    # As a machine with a GPU leaves it: the location is text.
    data = (GOOD / "state_dict_zip.pt").read_bytes()
    rewrite("cuda", data, lambda pkl: pkl.replace(b"X\x03\x00\x00\x00cpu", b"X\x06\x00\x00\x00cuda:1"))
    ROWS.append({**ROWS[0], "path": "pytorch/cuda.bin"})
    # Other tools write other folders, and deflate.
    rewrite("deflated", data, lambda pkl: pkl, zipfile.ZIP_DEFLATED, folder="model.best")
    ROWS.append({**ROWS[0], "path": "pytorch/deflated.bin"})


def numbers(one):
    """Values beside tensors; torch.load wants NumPy's types allowed, so that it isn't asked."""
    value = {"weight": one, "np": np.float64(0.25), "np_small": np.int16(-3), "np_bool": np.bool_(True), "np_single": np.float32(1.5),
             "big": 2 ** 70, "negative": -2 ** 40, "size": one.shape, "device": torch.device("cpu"), "dtype": torch.bfloat16,
             "bytes": b"\x00\xff", "set": {5}}
    for protocol in (2, 4):
        path = GOOD / f"numbers_{protocol}.pt"
        torch.save(value, path, pickle_protocol=protocol)
        ROWS.append({"path": f"pytorch/{path.name}", "ties": [], "tensors": [tensor_row("weight", one)], "attributes": {"": {
            "np": 0.25, "np_small": -3, "np_bool": True, "np_single": 1.5, "big": "0x400000000000000000", "negative": -2 ** 40,
            "size": [2, 3], "device": "cpu", "dtype": "torch.bfloat16", "bytes": {"u8": "00ff"}, "set": [5]}}})


def rewrite(name, data, change, method=zipfile.ZIP_STORED, folder=None):
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = [(i.filename, archive.read(i)) for i in archive.infolist()]
    with zipfile.ZipFile(GOOD / f"{name}.bin", "w", method) as archive:
        for member, content in members:
            if folder:
                member = folder + member[member.index("/"):]
            info = zipfile.ZipInfo(member, (1980, 1, 1, 0, 0, 0))
            info.compress_type = method
            archive.writestr(info, change(content) if member.endswith("/data.pkl") else content)


# -- bad files: a pickle by hand around one storage of six floats ----------------------------------------

P = {name: getattr(pickle, name) for name in dir(pickle) if isinstance(getattr(pickle, name), bytes) and name.isupper()}


def text(value):
    value = value.encode() if isinstance(value, str) else value
    return P["BINUNICODE"] + struct.pack("<I", len(value)) + value


def number(value):
    return P["BININT"] + struct.pack("<i", value) if -2 ** 31 <= value < 2 ** 31 else P["LONG1"] + b"\x09" + value.to_bytes(9, "little", signed=True)


def glob(module, name):
    return P["GLOBAL"] + f"{module}\n{name}\n".encode()


def tup(*items):
    return P["MARK"] + b"".join(items) + P["TUPLE"]


def call(function, *items):
    return function + tup(*items) + P["REDUCE"]


def storage(kind=glob("torch", "FloatStorage"), key=text("0"), location=text("cpu"), count=number(6), tag=text("storage"), more=b""):
    return tup(tag, kind, key, location, count, more) + P["BINPERSID"]


HOOKS = call(glob("collections", "OrderedDict"))


def tensor(storage=storage(), offset=number(0), size=tup(number(2), number(3)), stride=tup(number(3), number(1)), more=P["NEWFALSE"] + HOOKS):
    return call(glob("torch._utils", "_rebuild_tensor_v2"), storage, offset, size, stride, more)


def state(*pairs):
    return P["EMPTY_DICT"] + P["MARK"] + b"".join(text(k) + v for k, v in pairs) + P["SETITEMS"]


def program(body):
    return P["PROTO"] + b"\x02" + body + P["STOP"]


DATA = np.arange(6, dtype="<f4").tobytes()


def archive(name, pkl, members=None):
    write_zip(BAD / f"{name}.pt", members if members is not None else [("a/data.pkl", pkl), ("a/byteorder", b"little"), ("a/data/0", DATA)])


def bad(name, code, rule, body=None, pkl=None, notes="", **more):
    archive(name, pkl if pkl is not None else program(body if body is not None else state(("w", tensor()))), **more)
    BAD_ROWS.append({"path": f"invalid/pytorch/{name}.pt", "format": "pytorch", "rule": code, "constraint": rule, "notes": notes})


class Evil:
    def __init__(self, function, *arguments):
        self.pair = function, arguments

    def __reduce__(self):
        return self.pair


def make_bad():
    import os
    torch.manual_seed(0)
    good = program(state(("w", tensor())))
    members = [("a/data.pkl", good), ("a/byteorder", b"little"), ("a/data/0", DATA)]

    # P2, P3
    bad("folder_two", "unknown-format", "", members=members + [("b/data/1", DATA)])
    bad("no_pickle", "unknown-format", "", members=members[1:])
    bad("big_endian", "unsupported", "", members=[members[0], ("a/byteorder", b"big"), members[2]])
    bad("byteorder", "bad-byteorder", "P2", members=[members[0], ("a/byteorder", b"middle"), members[2]])
    bad("torchscript", "unsupported", "", members=members + [("a/constants.pkl", b"\x80\x02).")])
    bad("pickle_crc", "zip-bad-crc", "P3")
    path = BAD / "pickle_crc.pt"
    path.write_bytes(path.read_bytes().replace(b"cpu", b"cpv"))
    bad("storage_crc", "zip-bad-crc", "P3", notes="found by check")
    path = BAD / "storage_crc.pt"
    path.write_bytes(path.read_bytes().replace(DATA, DATA[::-1]))

    # P4, P5
    bad("opcode_unknown", "bad-opcode", "P4", P["NONE"] + b"\xff")
    bad("opcode_text", "bad-opcode", "P4", pkl=b"<html>")
    bad("protocol_6", "bad-protocol", "P4", pkl=good.replace(b"\x80\x02", b"\x80\x06", 1))
    for name, code in {
        "inst": P["MARK"] + P["INST"] + b"os\nsystem\n", "obj": P["MARK"] + glob("torch", "Size") + P["OBJ"],
        "ext1": P["EXT1"] + b"\x01", "ext2": P["EXT2"] + b"\x01\x00", "ext4": P["EXT4"] + b"\x01\x00\x00\x00",
        "persid": P["PERSID"] + b"0\n", "next_buffer": P["NEXT_BUFFER"], "readonly_buffer": P["NONE"] + P["READONLY_BUFFER"],
        "newobj_ex": glob("torch", "Size") + P["EMPTY_TUPLE"] + P["EMPTY_DICT"] + P["NEWOBJ_EX"],
    }.items():
        bad(f"opcode_{name}", "forbidden-opcode", "P4", code)
    bad("empty_pickle", "truncated", "P5", pkl=b"")
    bad("no_stop", "truncated", "P5", pkl=good[:-1])
    bad("text_past_end", "truncated", "P5", P["BINUNICODE"] + struct.pack("<I", 2 ** 32 - 1) + b"x")
    bad("text_8_past_end", "truncated", "P5", P["BINUNICODE8"] + struct.pack("<Q", 2 ** 64 - 1) + b"x")
    bad("bytes_8_past_end", "truncated", "P5", P["BINBYTES8"] + struct.pack("<Q", 2 ** 63) + b"x")
    bad("bytearray_past_end", "truncated", "P5", P["BYTEARRAY8"] + struct.pack("<Q", 2 ** 62) + b"x")
    bad("long_past_end", "truncated", "P5", P["LONG4"] + struct.pack("<i", 2 ** 31 - 1) + b"x")
    bad("global_no_newline", "truncated", "P5", P["GLOBAL"] + b"torch")
    bad("long_negative", "bad-operand", "P5", P["LONG4"] + struct.pack("<i", -1) + b"x")
    bad("string_negative", "bad-operand", "P5", P["BINSTRING"] + struct.pack("<i", -5) + b"x")
    bad("stack_empty", "bad-stack", "P5", b"")
    bad("stack_two", "bad-stack", "P5", P["NONE"] + P["NONE"])
    bad("stack_mark", "bad-stack", "P5", P["NONE"] + P["MARK"])
    bad("mark_missing", "bad-stack", "P5", P["NONE"] + P["TUPLE"])
    bad("below_mark", "bad-stack", "P5", P["NONE"] + P["MARK"] + P["TUPLE1"])
    bad("dup_empty", "bad-stack", "P5", P["DUP"])
    bad("memoize_empty", "bad-stack", "P5", P["MEMOIZE"])
    bad("items_odd", "bad-operand", "P5", P["EMPTY_DICT"] + P["MARK"] + P["NONE"] + P["SETITEMS"])
    bad("items_on_list", "bad-operand", "P5", P["EMPTY_LIST"] + P["MARK"] + P["NONE"] + P["NONE"] + P["SETITEMS"])
    bad("append_on_tuple", "bad-operand", "P5", P["EMPTY_TUPLE"] + P["NONE"] + P["APPEND"])
    bad("reduce_number", "bad-operand", "P5", number(3) + P["EMPTY_TUPLE"] + P["REDUCE"])
    bad("reduce_list", "bad-operand", "P5", glob("torch", "Size") + P["EMPTY_LIST"] + P["REDUCE"])
    bad("text_not_utf8", "bad-text", "P5", text(b"\xff\xfe"))
    bad("int_line_words", "bad-operand", "P5", P["INT"] + b"many\n")
    bad("string_escape", "bad-operand", "P5", P["STRING"] + b"'\\x41'\n")

    # P6, P7
    bad("marks_deep", "too-deep", "P6", P["MARK"] * 10_000)
    bad("line_long", "too-large", "P6", P["GLOBAL"] + b"x" * 5_000 + b"\n\n")
    bad("lists_deep", "too-deep", "P6", P["EMPTY_LIST"] * 2_000 + P["APPEND"] * 1_999)
    bad("tuples_deep", "too-deep", "P6", P["EMPTY_TUPLE"] + P["TUPLE1"] * 5_000)
    bad("rank_33", "too-deep", "P6", state(("w", tensor(size=tup(*[number(1)] * 33), stride=tup(*[number(1)] * 33)))))
    bad("name_long", "too-large", "P6", state(("w" * 5_000, tensor())))
    # Each tuple holds the one before twice: 2^60 values as JSON.
    doubled = P["NONE"] + b"".join(P["DUP"] + P["TUPLE2"] for _ in range(60))
    bad("json_bomb", "too-large", "P6", state(("w", tensor()), ("x", doubled)))
    bad("memo_missing", "bad-memo", "P7", P["BINGET"] + b"\x05")
    bad("memo_huge", "bad-memo", "P7", P["LONG_BINGET"] + b"\xff\xff\xff\xff")
    bad("memo_negative", "bad-operand", "P5", P["GET"] + b"-1\n")

    # P8: written by Python, so that they would run.
    for name, value in {
        "os_system": Evil(os.system, "echo hello"), "eval": Evil(eval, "1"), "exec": Evil(exec, "1"), "getattr": Evil(getattr, "a", "upper"),
        "import": Evil(__import__, "os"), "open": Evil(open, "/etc/hostname"), "print": Evil(print, "hello"),
    }.items():
        for protocol in (2, 4):
            body = io.BytesIO()
            pickle.Pickler(body, protocol).dump({"w": value})
            bad(f"global_{name}_{protocol}", "unsafe-global", "P8", pkl=body.getvalue())
    for name, pair in {
        "dotted": ("torch", "Size.__class__"), "module_dotted": ("torch.Size", "__class__"), "spaces": ("torch ", "Size"), "empty": ("", ""),
        "carriage": ("torch\r", "Size\r"), "null": ("torch\0", "Size"), "case": ("Torch", "Size"), "dict_attribute": ("collections", "OrderedDict.fromkeys"),
        "load": ("torch", "load"), "from_file": ("torch", "FloatStorage.from_file"), "load_bytes": ("torch.storage", "_load_from_bytes"),
        "builtins_list": ("builtins", "list"), "argparse": ("argparse", "Namespace"), "numpy_array": ("numpy.core.multiarray", "_reconstruct"),
        "control": ("os\x1b[31m", "system"),
    }.items():
        bad(f"global_{name}", "unsafe-global", "P8", glob(*pair))
    bad("global_stack", "unsafe-global", "P8", text("os") + text("system") + P["STACK_GLOBAL"])
    bad("global_stack_newline", "unsafe-global", "P8", text("torch\nSize") + text("") + P["STACK_GLOBAL"])
    bad("global_stack_number", "bad-operand", "P5", number(1) + text("system") + P["STACK_GLOBAL"])
    torch.save(torch.nn.Sequential(torch.nn.Linear(2, 3)), BAD / "module_zip.pt")
    BAD_ROWS.append({"path": "invalid/pytorch/module_zip.pt", "format": "pytorch", "rule": "unsupported", "constraint": "", "notes": "a pickled module"})

    # P9
    bad("call_dtype", "bad-call", "P9", call(glob("torch", "float32")))
    bad("call_storage", "bad-call", "P9", call(glob("torch", "FloatStorage"), number(10)))
    bad("call_ordered_dict", "bad-call", "P9", call(glob("collections", "OrderedDict"), number(3)))
    bad("call_pairs", "bad-call", "P9", call(glob("collections", "OrderedDict"), P["EMPTY_LIST"] + tup(number(1)) + P["APPEND"]))
    bad("call_encode", "bad-call", "P9", call(glob("_codecs", "encode"), text("x"), text("rot13")))
    bad("call_encode_wide", "bad-call", "P9", call(glob("_codecs", "encode"), text("\u0101"), text("latin1")))
    bad("call_from_type", "bad-call", "P9", call(glob("torch._tensor", "_rebuild_from_type_v2"), glob("torch._tensor", "_rebuild_from_type_v2"),
                                               glob("torch", "Tensor"), tup(), P["NONE"]))
    bad("call_parameter", "bad-call", "P9", call(glob("torch._utils", "_rebuild_parameter"), number(1), P["NEWTRUE"], HOOKS))
    bad("call_few", "bad-call", "P9", call(glob("torch._utils", "_rebuild_tensor_v2"), storage()))
    bad("call_no_storage", "bad-call", "P9", state(("w", tensor(storage=number(0)))))
    bad("call_untyped", "bad-call", "P9", state(("w", tensor(storage=storage(kind=glob("torch.storage", "UntypedStorage"), count=number(24))))))
    bad("build_tensor", "bad-call", "P9", tensor() + P["EMPTY_DICT"] + P["BUILD"])
    bad("build_list", "bad-call", "P9", P["EMPTY_LIST"] + P["EMPTY_DICT"] + P["BUILD"])
    bad("numpy_object", "bad-call", "P9", call(glob("numpy.core.multiarray", "scalar"), call(glob("numpy", "dtype"), text("O8"), P["NEWFALSE"], P["NEWTRUE"]), text("x")))

    # P10, P11
    def pid(name, value, code="bad-persistent-id", rule="P10", **more):
        bad(f"pid_{name}", code, rule, state(("w", tensor(storage=value))), **more)
    pid("number", number(1) + P["BINPERSID"])
    pid("short", tup(text("storage")) + P["BINPERSID"])
    pid("empty", tup() + P["BINPERSID"])
    pid("kind", storage(tag=text("file")))
    pid("type", storage(kind=glob("torch", "Size")))
    pid("type_text", storage(kind=text("FloatStorage")))
    pid("key", storage(key=P["NONE"]))
    pid("count_negative", storage(count=number(-6)))
    pid("count_float", storage(count=P["BINFLOAT"] + struct.pack(">d", 6.0)))
    pid("count_huge", storage(count=number(2 ** 62)))
    pid("view_outside", storage(more=tup(text("1"), number(4), number(3))))
    pid("view_negative", storage(more=tup(text("1"), number(-1), number(3))))
    pid("view_number", storage(more=number(1)))
    pid("module", tup(text("module"), P["NONE"], text("x.py"), text("class X")) + P["BINPERSID"], "unsupported", "")
    pid("complex", storage(kind=glob("torch", "ComplexFloatStorage"), count=number(3)), "unsupported", "")
    bad("storage_conflict", "storage-conflict", "P10", state(("w", tensor()), ("v", tensor(storage(kind=glob("torch", "IntStorage"))))))
    bad("storage_conflict_size", "storage-conflict", "P10", state(("w", tensor()), ("v", tensor(storage(count=number(5)), size=tup(number(1)), stride=tup(number(1))))))
    bad("storage_missing", "missing-storage", "P11", state(("w", tensor(storage(key=text("1"))))))
    bad("storage_escape", "missing-storage", "P11", state(("w", tensor(storage(key=text("../byteorder"))))))
    bad("storage_absolute", "missing-storage", "P11", state(("w", tensor(storage(key=text("/etc/hostname"))))))
    bad("storage_small", "storage-size-mismatch", "P11", state(("w", tensor(storage(count=number(7))))))
    bad("storage_large", "storage-size-mismatch", "P11", state(("w", tensor(storage(count=number(5)), size=tup(number(5)), stride=tup(number(1))))))

    # P12
    def shape(name, code, **more):
        bad(f"shape_{name}", code, "P12", state(("w", tensor(**more))))
    shape("negative", "bad-shape", size=tup(number(-2), number(3)))
    shape("stride_negative", "bad-shape", stride=tup(number(-3), number(1)), offset=number(3))
    shape("offset_negative", "bad-shape", offset=number(-1))
    shape("rank", "bad-shape", stride=tup(number(1)))
    shape("text", "bad-shape", size=tup(text("2"), text("3")))
    shape("overflow", "bad-shape", size=tup(number(2 ** 40), number(2 ** 40)), stride=tup(number(0), number(0)))
    shape("outside", "out-of-bounds", size=tup(number(3), number(3)))
    shape("offset_outside", "out-of-bounds", offset=number(1))
    shape("offset_huge", "out-of-bounds", offset=number(2 ** 63 - 1), size=tup(), stride=tup())
    shape("stride_outside", "out-of-bounds", stride=tup(number(4), number(1)))
    shape("stride_overflow", "out-of-bounds", stride=tup(number(2 ** 63 - 1), number(2 ** 63 - 1)), size=tup(number(4), number(4)))
    shape("expanded_bomb", "shape-bomb", size=tup(number(2 ** 20), number(2 ** 20)), stride=tup(number(0), number(0)))

    # P13
    bad("key_none", "bad-key", "P13", P["EMPTY_DICT"] + P["NONE"] + tensor() + P["SETITEM"])
    bad("key_tensor", "bad-key", "P13", P["EMPTY_DICT"] + tensor() + tensor() + P["SETITEM"])
    bad("name_twice", "duplicate-name", "P13", state(("w", tensor()), ("w", tensor())))
    bad("name_joined", "duplicate-name", "P13", state(("a", state(("b", tensor()))), ("a.b", tensor())))
    loop = P["EMPTY_LIST"] + P["BINPUT"] + b"\0" + P["BINGET"] + b"\0" + P["APPEND"]
    bad("cycle_list", "cyclic-object", "P13", state(("w", tensor()), ("x", loop)))
    bad("cycle_root", "cyclic-object", "P13", P["EMPTY_DICT"] + P["BINPUT"] + b"\0" + text("x") + P["BINGET"] + b"\0" + P["SETITEM"])
    bad("cycle_tuple", "cyclic-object", "P13", P["EMPTY_LIST"] + P["BINPUT"] + b"\0" + P["BINGET"] + b"\0" + P["TUPLE1"] + P["APPEND"])
    bad("no_tensors", "unsupported", "", number(3))

    # Kinds of tensors, by torch itself.
    def refused(name, value):
        torch.save({"w": value}, BAD / f"{name}.pt")
        BAD_ROWS.append({"path": f"invalid/pytorch/{name}.pt", "format": "pytorch", "rule": "unsupported", "constraint": "", "notes": ""})
    refused("quantized", torch.quantize_per_tensor(torch.arange(6.0).view(2, 3), 0.1, 0, torch.quint8))
    refused("sparse", torch.eye(3).to_sparse())
    refused("complex", torch.zeros(2, dtype=torch.complex64))
    refused("meta", torch.empty(2, device="meta"))
    refused("float8_fnuz", torch.zeros(2).to(torch.float8_e4m3fnuz))
    refused("neg_bit", torch.zeros(2, dtype=torch.complex64).conj().imag)

    # P14: the stacked form.
    def stack(name, code, rule, magic=None, protocol=1001, info=None, keys=b"", tail=struct.pack("<Q", 6) + DATA):
        parts = [magic or program(P["LONG1"] + b"\x0a" + (0x1950A86A20F9469CFC6C).to_bytes(10, "little")), program(number(protocol)),
                 info or program(state(("little_endian", P["NEWTRUE"]))), program(state(("w", tensor(storage(more=P["NONE"]))))),
                 program(P["EMPTY_LIST"] + (keys or text("0") + P["APPEND"]))]
        (BAD / f"{name}.pt").write_bytes(b"".join(parts) + tail)
        BAD_ROWS.append({"path": f"invalid/pytorch/{name}.pt", "format": "pytorch", "rule": code, "constraint": rule, "notes": ""})
    stack("stack_protocol", "bad-header", "P14", protocol=1000)
    stack("stack_info", "bad-header", "P14", info=program(state(("big_endian", P["NEWTRUE"]))))
    stack("stack_info_list", "bad-header", "P14", info=program(P["EMPTY_LIST"]))
    stack("stack_big_endian", "unsupported", "", info=program(state(("little_endian", P["NEWFALSE"]))))
    stack("stack_key_twice", "bad-header", "P14", keys=(text("0") + P["APPEND"]) * 2, tail=(struct.pack("<Q", 6) + DATA) * 2)
    stack("stack_key_unknown", "bad-header", "P14", keys=text("0") + P["APPEND"] + text("1") + P["APPEND"], tail=(struct.pack("<Q", 6) + DATA) * 2)
    stack("stack_key_missing", "missing-storage", "P11", keys=P["NONE"] + P["POP"], tail=b"")
    stack("stack_count", "storage-size-mismatch", "P11", tail=struct.pack("<Q", 5) + DATA)
    stack("stack_count_huge", "storage-size-mismatch", "P11", tail=struct.pack("<Q", 2 ** 63 + 6) + DATA)
    stack("stack_short", "truncated", "P14", tail=struct.pack("<Q", 6) + DATA[:-1])
    stack("stack_no_count", "truncated", "P14", tail=b"\x06\0\0")
    stack("stack_trailing", "trailing-bytes", "P14", tail=struct.pack("<Q", 6) + DATA + b"x")
    import tarfile
    with tarfile.open(BAD / "tar.pt", "w") as tar:
        for member in ("sys_info", "pickle", "tensors", "storages"):
            tar.addfile(tarfile.TarInfo(member), io.BytesIO())
    BAD_ROWS.append({"path": "invalid/pytorch/tar.pt", "format": "pytorch", "rule": "unsupported", "constraint": "", "notes": "before torch 0.1.10"})
    # The base itself is good.
    archive("../../pytorch/by_hand", good)
    ROWS.append({"path": "pytorch/by_hand.pt", "ties": [], "attributes": {}, "tensors": [tensor_row("w", torch.arange(6).float().view(2, 3))]})


def main():
    for folder in (GOOD, BAD):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
    make_good()
    make_bad()
    (GOOD / "manifest.json").write_text("[\n" + ",\n".join(" " + json.dumps(r) for r in ROWS) + "\n]\n")
    merge_invalid(BAD_ROWS, "pytorch")
    print(f"{len(ROWS)} files, {len(BAD_ROWS)} bad ones")


if __name__ == "__main__":
    main()
