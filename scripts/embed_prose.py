#!/usr/bin/env python3
"""Turns the texts of man/prose into C: embed_prose.py TEXT.md... > prose.c"""
import pathlib
import sys


def c_bytes(name, data):
    rows = [", ".join(str(b) for b in data[i:i + 20]) for i in range(0, len(data), 20)]
    return "static const char %s[] = {\n\t%s,\n};\n" % (name, ",\n\t".join(rows))


def main():
    print("/* Made from man/prose by the build. */")
    print('#include "cli/prose.h"\n')
    rows = []
    for n, path in enumerate(sorted(map(pathlib.Path, sys.argv[1:]), key=lambda p: p.stem)):
        data = path.read_text(encoding="ascii").encode()
        print(c_bytes("text_%d" % n, data))
        rows.append('\t{ "%s", { text_%d, sizeof(text_%d) } },' % (path.stem, n, n))
    print("const struct zk_prose zk_proses[] = {\n%s\n\t{ 0 },\n};" % "\n".join(rows))


main()
