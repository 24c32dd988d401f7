"""The Arrow IPC reader (codec/arrow) on the fixtures of tests/data/arrow: every good file gives
the rows that stand beside it, every bad one its named error.
specs/zerobus.md §23."""

import json
import math
import os
import pathlib
import subprocess

import zkt

DATA = pathlib.Path(os.environ["TEST_SRC"], "tests/data/arrow")
DRIVER = pathlib.Path(os.environ["TEST_BUILD"], "tests/peer/arrow_rows")

# Rows that stand under another name.
ROWS = {
    "primitives.arrow": "primitives.ndjson",
    "dictionary.arrow": "dictionary.ndjson",
    "multi_batch_std.arrow": "multi_batch.ndjson",
    "compressed_lz4.arrows": "compressed_zstd.ndjson",
    "compressed_zstd.arrow": "compressed_zstd.ndjson",
}
NO_ROWS = {"big.arrows", "wide2001.arrows", "dup_names.arrows"}

# File, code, part of the message; a number: so many rows come without an error, or before it.
BAD = [
    ("batch_first.arrows", 4152, "before any schema"),
    ("big_endian.arrows", 4153, "big-endian"),
    ("body_len_huge.arrows", 4155, "batch 0: the body has 4611686018427387904 bytes"),
    ("body_len_negative.arrows", 4152, "batch 0: the body has the length -8"),
    ("buffer_offset_negative.arrows", 4152, "batch 0: column 'id': a buffer has a negative"),
    ("buffer_past_body.arrows", 4152, "column 'id': a buffer reaches past the body"),
    ("buffer_short.arrows", 4152, "column 'id': the data buffer has 16 bytes, the rows need 24"),
    ("buffer_wrap.arrows", 4152, "column 'id': a buffer reaches past the body"),
    ("deep_list.arrows", 4155, "nested more than 64 deep"),
    ("dict_missing.arrows", 4152, "column 'c': the dictionary has not come"),
    ("empty.arrows", 4150, "empty"),
    ("field_bomb.arrows", 4155, "more than 65536 fields"),
    ("file_footer_len.arrow", 4152, "--from arrow-stream"),
    ("file_no_footer.arrow", 4151, "--from arrow-stream"),
    ("int_width_24.arrows", 4152, "field 'x' is an integer of no possible width"),
    ("list_offset_past_child.arrows", 4152, "column 'l': the offsets reach past the data"),
    ("map_without_struct.arrows", 4152, "field 'm' is a map whose child is not a struct"),
    ("metadata_len_huge.arrows", 4155, "2147483647 bytes"),
    ("metadata_len_negative.arrows", 4152, "the length -"),
    ("node_nulls_gt_rows.arrows", 4152, "column 'id': the number of nulls"),
    ("node_rows_huge.arrows", 4152, "column 'id': the number of rows"),
    ("node_rows_mismatch.arrows", 4152, "column 'id': it does not have as many rows"),
    ("node_rows_negative.arrows", 4152, "column 'id': the number of rows is negative"),
    ("offsets_decrease.arrows", 4152, "column 'name': the offsets decrease"),
    ("offsets_negative.arrows", 4152, "column 'name': the first offset is negative"),
    ("offsets_past_data.arrows", 4152, "column 'name': the offsets reach past the data"),
    ("root_offset.arrows", 4152, "outside the metadata"),
    ("text.arrows", 4150, "not Arrow"),
    ("torn_body.arrows", 4151, "in the body of a message, after 0 complete batches"),
    ("torn_length.arrows", 4151, "in the length of a message"),
    ("torn_metadata.arrows", 4151, "in the metadata of a message"),
    ("type_unknown.arrows", 4152, "unknown type 99"),
    ("view_buffer_index.arrows", 4152, "column 'v': a view names a data buffer"),
    ("view_negative_len.arrows", 4152, "column 'v': a view has a negative length"),
    ("view_past_buffer.arrows", 4152, "column 'v': a view reaches past"),
    ("zstd_bomb.arrows", 4155, "--arrow-max-body"),
    ("zstd_garbage.arrows", 4154, "not a ZSTD frame"),
    ("zstd_negative.arrows", 4154, "the length -2"),
    ("zstd_wrong_len.arrows", 4154, "does not expand to"),
]
# What concerns rows only is not the reader's business.
ROWS_ONLY = {"dict_index_high.arrows": 3, "dict_index_negative.arrows": 3,
             "utf8_invalid.arrows": 3, "utf8_surrogate.arrows": 3}


def driver(path, *args):
    done = subprocess.run([DRIVER, path, *map(str, args)], capture_output=True, timeout=60)
    return done.returncode, done.stdout, done.stderr.decode()


def parse(text):
    return [json.loads(line) for line in text.splitlines()]


def same(a, b):
    """Values, not bytes: 1e-8 and 1e-08, 1 and 1.0 are equal; -0.0 and 0 are not."""
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(same(a[k], b[k]) for k in a)
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, bool) or isinstance(b, bool) or isinstance(a, str) or a is None:
        return type(a) is type(b) and a == b
    if isinstance(a, float) and isinstance(b, float) and a == 0 == b:
        return math.copysign(1, a) == math.copysign(1, b)
    return not isinstance(b, (str, type(None))) and a == b


def good_files():
    return sorted(p for p in DATA.iterdir() if p.suffix in (".arrow", ".arrows"))


def test_good_files():
    for path in good_files():
        if path.name in NO_ROWS:
            continue
        name = ROWS.get(path.name, path.with_suffix(".ndjson").name)
        expected = parse((DATA / name).read_bytes())
        status, out, err = driver(path)
        rows = parse(out)
        zkt.ok(status == 0 and len(rows) == len(expected) and all(map(same, rows, expected)),
               f"{path.name} gives the rows of {name}", err, out[:2000].decode())


def test_big():
    status, out, err = driver(DATA / "big.arrows")
    rows = parse(out)
    expected = [{"id": k, "user": "user-%x" % (k * 2654435761 % 2 ** 32),
                 "at": 1700000000000000 + k * 1000003, "v": k % 1000 / 4, "ok": k % 3 == 0}
                for k in range(10000)]
    zkt.ok(status == 0 and all(map(same, rows, expected)) and len(rows) == 10000,
           "big.arrows gives the rows that its rule says", err, rows[:2])


def test_file_through_a_pipe():
    status, out, err = driver(DATA / "multi_batch_std.arrow", 10)
    zkt.ok(status == 0 and parse(out) == parse((DATA / "multi_batch.ndjson").read_bytes()),
           "a file with its schema in front is read through a pipe", err)
    status, out, err = driver(DATA / "multi_batch.arrow", 10)
    zkt.ok(status == 1 and "ZK4152" in err and "as a FILE" in err,
           "one with its schema at the end asks for a seekable file", err)


def test_bad_files():
    seen = {name for name, _, _ in BAD} | ROWS_ONLY.keys()
    zkt.equal(seen, {p.name for p in (DATA / "bad").iterdir()}, "every bad file has its test")
    for name, code, text in BAD:
        status, _, err = driver(DATA / "bad" / name)
        zkt.ok(status == 1 and f"ZK{code}" in err and text in err and "Sanitizer" not in err,
               f"bad/{name} is ZK{code}", err)
    for name, rows in ROWS_ONLY.items():
        status, out, err = driver(DATA / "bad" / name)
        zkt.ok(status == 0 and out.count(b"\n") == rows, f"bad/{name} is a file of {rows} rows",
               err)


zkt.main()
