"""Writes Arrow IPC streams of plain columns, for benchmarks and tests that need large ones.

    arrow_write.stream(path, {"id": ("i64", values), "name": ("utf8", texts)}, rows_per_batch)

Kinds: bool i8 i16 i32 i64 u32 f32 f64 date32 ts_us utf8. Nothing is null. Layout:
specs/zerobus.md, appendix B.
"""

import array
import struct


class Table:
    """A flatbuffer table: fields by id, each (format, value) or ("ref", Table, Vector, bytes)."""

    def __init__(self, **fields):
        self.fields = {int(k[1:]): v for k, v in fields.items()}


class Vector:
    def __init__(self, items, raw=None):
        self.items, self.raw = items, raw


def _pad(n, to=8):
    return -n % to


class _Writer:
    """Places every object behind the one that refers to it: offsets only lead forwards."""

    def __init__(self):
        self.out = bytearray()

    def root(self, table):
        self.out += bytes(4)
        struct.pack_into("<I", self.out, 0, self.table(table))
        self.out += bytes(_pad(len(self.out)))
        return bytes(self.out)

    def refer(self, at, obj):
        self.out += bytes(_pad(len(self.out)))
        struct.pack_into("<I", self.out, at, self.place(obj) - at)

    def place(self, obj):
        if isinstance(obj, Table):
            return self.table(obj)
        if isinstance(obj, bytes):
            at = len(self.out)
            self.out += struct.pack("<I", len(obj)) + obj + b"\0"
            return at
        return self.vector(obj)

    def vector(self, v):
        self.out += bytes(4 if len(self.out) % 8 == 0 else 0)  # elements of 8 bytes lie at 8
        at = len(self.out)
        if v.raw is not None:
            self.out += struct.pack("<I", v.items) + v.raw
            return at
        self.out += struct.pack("<I", len(v.items)) + bytes(4 * len(v.items))
        for i, item in enumerate(v.items):
            self.refer(at + 4 + 4 * i, item)
        return at

    def table(self, t):
        order = sorted(t.fields, key=lambda k: -self.size(t.fields[k]))
        slots, pos = {}, 4
        for k in order:
            size = self.size(t.fields[k])
            pos += _pad(pos, size)
            slots[k] = pos
            pos += size
        n = 4 + 2 * (max(slots, default=-1) + 1)
        vtable = struct.pack("<HH", n, pos) + b"".join(
            struct.pack("<H", slots.get(i, 0)) for i in range((n - 4) // 2))
        self.out += bytes(_pad(len(self.out) + n))
        start = len(self.out)
        self.out += vtable
        at = len(self.out)
        self.out += struct.pack("<i", at - start) + bytes(pos - 4)
        for k in order:
            fmt, value = t.fields[k]
            if fmt == "ref":
                self.refer(at + slots[k], value)
            else:
                struct.pack_into("<" + fmt, self.out, at + slots[k], value)
        return at

    @staticmethod
    def size(field):
        return 4 if field[0] == "ref" else struct.calcsize(field[0])


_TYPES = {  # kind: (type number, fields of its table, array code)
    "bool": (6, {}, None), "i8": (2, {"_0": ("i", 8), "_1": ("?", True)}, "b"),
    "i16": (2, {"_0": ("i", 16), "_1": ("?", True)}, "h"),
    "i32": (2, {"_0": ("i", 32), "_1": ("?", True)}, "i"),
    "i64": (2, {"_0": ("i", 64), "_1": ("?", True)}, "q"),
    "u32": (2, {"_0": ("i", 32)}, "I"), "f32": (3, {"_0": ("h", 1)}, "f"),
    "f64": (3, {"_0": ("h", 2)}, "d"), "date32": (8, {"_0": ("h", 0)}, "i"),
    "ts_us": (10, {"_0": ("h", 2)}, "q"), "utf8": (5, {}, None),
}


def _field(name, kind):
    number, fields, _ = _TYPES[kind]
    return Table(_0=("ref", name.encode()), _2=("B", number), _3=("ref", Table(**fields)),
                 _5=("ref", Vector([])))


def _message(kind, header, body_n):
    meta = _Writer().root(Table(_0=("h", 4), _1=("B", kind), _2=("ref", header), _3=("q", body_n)))
    return struct.pack("<II", 0xFFFFFFFF, len(meta)) + meta


def _buffers(kind, values):
    if kind == "bool":
        bits = bytearray((len(values) + 7) // 8)
        for i, v in enumerate(values):
            bits[i >> 3] |= bool(v) << (i & 7)
        return [b"", bytes(bits)]
    if kind == "utf8":
        texts = [v.encode() for v in values]
        offsets, at = array.array("i", [0]), 0
        for t in texts:
            at += len(t)
            offsets.append(at)
        return [b"", offsets.tobytes(), b"".join(texts)]
    return [b"", array.array(_TYPES[kind][2], values).tobytes()]


def _batch(columns, rows):
    body, places = bytearray(), b""
    for kind, values in columns:
        for buf in _buffers(kind, values):
            places += struct.pack("<qq", len(body), len(buf))
            body += buf + bytes(_pad(len(buf)))
    nodes = struct.pack("<qq", rows, 0) * len(columns)
    header = Table(_0=("q", rows), _1=("ref", Vector(len(columns), nodes)),
                   _2=("ref", Vector(len(places) // 16, places)))
    return _message(3, header, len(body)) + bytes(body)


def stream(path, columns, rows_per_batch):
    """Writes the columns, all of one length, in batches of so many rows."""
    n = len(next(iter(columns.values()))[1])
    schema = Table(_1=("ref", Vector([_field(name, kind) for name, (kind, _) in columns.items()])))
    with open(path, "wb") as f:
        f.write(_message(1, schema, 0))
        for at in range(0, n, rows_per_batch):
            rows = min(rows_per_batch, n - at)
            f.write(_batch([(k, v[at:at + rows]) for k, v in columns.values()], rows))
        f.write(struct.pack("<II", 0xFFFFFFFF, 0))
