#!/usr/bin/env python3
"""Turns the files of the triggers page into C: embed.py PAGE.html OPENAPI.json > assets.c

The page's inline <style> and <script> are hashed for its Content-Security-Policy; a page that
names an outside resource is refused."""
import base64
import hashlib
import json
import re
import sys


def c_bytes(name, data):
    rows = [", ".join(str(b) for b in data[i:i + 20]) for i in range(0, len(data), 20)]
    return "static const unsigned char %s[] = {\n\t%s,\n};\n" % (name, ",\n\t".join(rows))


def hashes(page, tag):
    found = re.findall(r"<%s>(.*?)</%s>" % (tag, tag), page, re.S)
    return " ".join(
        "'sha256-%s'" % base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        for text in found)


def accessor(function, variable):
    return ("zk_str %s(void)\n{\n\treturn zk_str_n((const char *)%s, sizeof(%s));\n}\n"
            % (function, variable, variable))


def main():
    page = open(sys.argv[1], encoding="utf-8").read()
    openapi = json.load(open(sys.argv[2], encoding="utf-8"))
    if re.search(r"""(src|href)\s*=\s*["']?(https?:)?//""", page):
        sys.exit("the page names an outside resource")
    policy = ("default-src 'none'; connect-src 'self'; img-src data:; style-src %s; script-src %s; "
              "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
              % (hashes(page, "style"), hashes(page, "script")))
    headers = ("Content-Security-Policy: %s\r\nX-Frame-Options: DENY\r\n"
               "Referrer-Policy: no-referrer\r\nVary: Accept\r\n" % policy)
    compact = json.dumps(openapi, separators=(",", ":"), ensure_ascii=False)
    print("/* Made from page.html and openapi.json by the build. */")
    print('#include "triggers/assets.h"\n')
    print(c_bytes("page", page.encode()))
    print(c_bytes("headers", headers.encode()))
    print(c_bytes("openapi", compact.encode()))
    print(accessor("zk_trig_page", "page"))
    print(accessor("zk_trig_page_headers", "headers"))
    print(accessor("zk_trig_openapi", "openapi"), end="")


main()
