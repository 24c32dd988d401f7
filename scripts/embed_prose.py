#!/usr/bin/env python3
"""Turns the texts of man/prose or the schemas of man/schema into C:
embed_prose.py prose TEXT.md... > prose.c
embed_prose.py schemas SCHEMA.json... > schemas.c"""
import json
import pathlib
import sys


def c_bytes(name, data):
    rows = [", ".join(str(b) for b in data[i:i + 20]) for i in range(0, len(data), 20)]
    return "static const char %s[] = {\n\t%s,\n};\n" % (name, ",\n\t".join(rows))


def texts(paths):
    for n, path in enumerate(sorted(map(pathlib.Path, paths), key=lambda p: p.stem)):
        data = path.read_text(encoding="ascii")
        print(c_bytes("text_%d" % n, data.encode()))
        yield n, path.stem, data


def prose(paths):
    print('#include "cli/prose.h"\n')
    rows = ['\t{ "%s", { text_%d, sizeof(text_%d) } },' % (name, n, n)
            for n, name, _ in texts(paths)]
    print("const struct zk_prose zk_proses[] = {\n%s\n\t{ 0 },\n};" % "\n".join(rows))


def schemas(paths):
    print('#include "cli/schemas.h"\n')
    rows = ['\t{ "%s", ZK_STR_INIT(%s), { text_%d, sizeof(text_%d) } },'
            % (name, json.dumps(json.loads(data)["title"]), n, n)
            for n, name, data in texts(paths)]
    print("const struct zk_schema_text zk_schemas[] = {\n%s\n\t{ 0 },\n};" % "\n".join(rows))


def main():
    print("/* Made from %s by the build. */" % ", ".join(sorted({
        "man/" + pathlib.Path(p).parent.name for p in sys.argv[2:]})))
    {"prose": prose, "schemas": schemas}[sys.argv[1]](sys.argv[2:])


main()
