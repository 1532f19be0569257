#!/usr/bin/env python3
"""Reads an .ingot file, by Formats/Ingot/SPEC.md alone: a check that the page is enough.

    python3 read_ingot.py FILE [OUTPUT.json]

Needs `zstandard` and `xxhash`. Verifies every checksum and prints what is in the file; with OUTPUT.json, also as JSON, tensors in hexadecimal.
"""

import hashlib
import json
import struct
import sys

import xxhash
import zstandard

CHUNK = 512 * 1024
DTYPES = [("bool", 1), ("u8", 1), ("u16", 2), ("u32", 4), ("u64", 8), ("i8", 1), ("i16", 2), ("i32", 4), ("i64", 8),
          ("f8e4m3", 1), ("f8e5m2", 1), ("f16", 2), ("bf16", 2), ("f32", 4), ("f64", 8)]


def require(condition, rule):
    if not condition:
        raise SystemExit(f"refused by rule {rule}")


def xxh3(data):
    return xxhash.xxh3_64_intdigest(data)


def unzstd(stored, size, rule):
    """Exactly one frame with its content size, no dictionary."""
    parameters = zstandard.get_frame_parameters(stored)
    require(parameters.content_size == size and parameters.dict_id == 0, rule)
    decompressor = zstandard.ZstdDecompressor().decompressobj()
    data = decompressor.decompress(stored)
    require(decompressor.eof and not decompressor.unused_data and len(data) == size, rule)
    return data


class Cursor:
    def __init__(self, data):
        self.data, self.position = data, 0

    def take(self, count):
        require(count <= len(self.data) - self.position, "I10")
        self.position += count
        return self.data[self.position - count:self.position]

    def number(self, form):
        return struct.unpack("<" + form, self.take(struct.calcsize(form)))[0]

    def u8(self):
        return self.number("B")

    def u64(self):
        return self.number("Q")

    def f64(self):
        return self.number("d")

    def bytes(self):
        return self.take(self.u64())

    def text(self):
        return self.bytes().decode("utf-8")

    def list(self, item):
        return [item() for _ in range(self.u64())]

    def shape(self):
        return self.list(self.u64)

    def flag(self):
        value = self.u8()
        require(value <= 1, "I25")
        return bool(value)


def product(shape):
    result = 1
    for dimension in shape:
        result *= dimension
    return result


def blob_row(c):
    layout, width, length = c.u8(), c.u8(), c.u64()
    require(layout <= 2 and width in (1, 2, 4, 8) and length % width == 0 and not (layout == 2 and width in (1, 8)), "I11")
    digest = c.take(32)
    planes = 1 if layout == 0 else width
    chunks = []
    for start in range(0, length, CHUNK):
        lengths = [c.number("I") for _ in range(planes)]
        size = min(CHUNK, length - start) // planes
        require(all(0 < n <= size and (layout or n == size) for n in lengths), "I12")
        chunks.append((lengths, c.u64()))
    return {"layout": layout, "width": width, "length": length, "digest": digest, "chunks": chunks}


def attribute(c):
    name, kind = c.text(), c.u8()
    require(kind <= 3, "I21")
    if kind == 0:
        return [name, None]
    if kind == 1:
        return [name, [DTYPES[c.u8()][0]]]
    if kind == 2:
        dtype, size = DTYPES[c.u8()]
        shape = c.shape()
        return [name, [dtype, shape, c.take(product(shape) * size).hex()]]
    storage, charset, size = c.u8(), c.u8(), c.u64()
    shape = c.shape()
    strings = [c.bytes().hex() for _ in range(product(shape))]
    require(storage <= 3 and charset <= 1 and (storage or size == 0), "I21")
    return [name, [["variable", "terminated", "zeros", "spaces"][storage], ["ascii", "utf8"][charset], size, shape, strings]]


def record(c):
    if not c.flag():
        return None
    result = {"architecture": c.text(), "naming": c.text(), "ir": c.u64(), "graph": c.text(), "fingerprint": c.text(),
              "provenance": c.list(lambda: [c.text(), c.text()])}
    if c.flag():
        result["seed"], result["atol"], result["rtol"] = c.u64(), c.f64(), c.f64()
        result["inputs"] = c.list(lambda: [c.text(), DTYPES[c.u8()][0], c.shape(), c.list(c.f64)])
        result["sketches"] = c.list(lambda: [c.text(), c.flag(), c.shape(), c.f64(), c.f64(), c.list(c.f64), c.list(c.f64)])
    return result


def merge(planes, width, rotated):
    """Byte planes back to elements."""
    out = bytearray(len(planes[0]) * width)
    for k, plane in enumerate(planes):
        out[k::width] = plane
    if rotated:
        form = {2: "H", 4: "I"}[width]
        bits = 8 * width
        values = struct.unpack(f"<{len(planes[0])}{form}", out)
        out = struct.pack(f"<{len(planes[0])}{form}", *(v >> 1 | (v & 1) << (bits - 1) for v in values))
    return bytes(out)


def read_blob(file, start, row):
    out = bytearray()
    for lengths, checksum in row["chunks"]:
        stored = file[start:start + sum(lengths)]
        start += len(stored)
        require(xxh3(stored) == checksum, "I15")
        size = min(CHUNK, row["length"] - len(out)) // len(lengths)
        planes, position = [], 0
        for m in lengths:
            part = stored[position:position + m]
            position += m
            planes.append(part if m == size else part * size if m == 1 else unzstd(part, size, "I16"))
        out += planes[0] if len(planes) == 1 else merge(planes, row["width"], row["layout"] == 2)
    require(hashlib.sha256(out).digest() == row["digest"], "I17")
    return bytes(out)


def read(path):
    with open(path, "rb") as f:
        file = f.read()
    require(file[:8] == b"\x89INGOT\r\n", "I1")
    require(len(file) >= 80 and file[-8:] == b"INGOTEND", "I2")
    major, minor, reserved = struct.unpack("<HHI", file[8:16])
    require(major == 1, "I3")
    footer = file[-64:]
    offset, stored_length, length, checksum, file_length = struct.unpack("<5Q", footer[:40])
    require(xxh3(footer[:48]) == struct.unpack("<Q", footer[48:56])[0], "I5")
    require(file_length == len(file), "I2")
    require(reserved == 0 and footer[40:48] == file[8:16], "I4")
    require(16 <= offset and offset + stored_length + 64 == len(file), "I6")
    stored = file[offset:offset + stored_length]
    require(xxh3(stored) == checksum, "I8")
    index = Cursor(stored if stored_length == length else unzstd(stored, length, "I9"))

    content = {}
    for name in ["BLOB", "SRCE", "GRUP", "TENS", "TIES", "DOCS", "RECD"]:
        require(index.take(4) == name.encode(), "I10")
        c = Cursor(index.bytes())
        attributes = lambda: c.list(lambda: attribute(c))
        content[name] = {
            "BLOB": lambda: c.list(lambda: blob_row(c)),
            "SRCE": lambda: [c.text(), c.text()],
            "GRUP": lambda: c.list(lambda: [c.text(), attributes()]),
            "TENS": lambda: c.list(lambda: [c.text(), DTYPES[c.u8()], c.shape(), c.u64(), attributes()]),
            "TIES": lambda: c.list(lambda: c.list(c.u64)),
            "DOCS": lambda: c.list(lambda: [c.text(), c.u64()]),
            "RECD": lambda: record(c),
        }[name]()
        require(c.position == len(c.data), "I10")
    require(minor > 0 or index.position == len(index.data), "I10")

    position, blobs = 16, []
    for row in content["BLOB"]:
        if row["layout"] == 0:
            start = (position + 63) // 64 * 64
            require(not any(file[position:start]), "I14")
            position = start
        blobs.append(read_blob(file, position, row))
        position += sum(sum(lengths) for lengths, _ in row["chunks"])
    require(position == offset, "I13")

    for name, (dtype, size), shape, blob, _ in content["TENS"]:
        require(content["BLOB"][blob]["width"] == size and len(blobs[blob]) == product(shape) * size, "I18")
    return {
        "version": [major, minor], "source": content["SRCE"], "groups": content["GRUP"],
        "tensors": [[n, d[0], s, blobs[b], a] for n, d, s, b, a in content["TENS"]],
        "ties": [[content["TENS"][i][0] for i in tie] for tie in content["TIES"]],
        "documents": [[name, blobs[b]] for name, b in content["DOCS"]], "record": content["RECD"],
    }


def main():
    result = read(sys.argv[1])
    print(f"version {result['version'][0]}.{result['version'][1]}, from {': '.join(result['source'])}")
    for name, dtype, shape, data, _ in result["tensors"]:
        print(f"{name!r} {dtype}{shape} SHA-256 {hashlib.sha256(data).hexdigest()}")
    for tie in result["ties"]:
        print("tied:", *tie)
    for name, data in result["documents"]:
        print(f"document {name!r}, {len(data)} bytes")
    if len(sys.argv) > 2:
        with open(sys.argv[2], "w") as f:
            json.dump(result, f, indent=1, default=bytes.hex)


if __name__ == "__main__":
    main()
