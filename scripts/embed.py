#!/usr/bin/env python3
"""Turns a page, and perhaps an API description, into C:
embed.py HEADER PREFIX HEAD.html PAGE.html [OPENAPI.json] > assets.c

HEADER declares <PREFIX>_page, <PREFIX>_page_headers and <PREFIX>_openapi. HEAD is what all pages
share; the <title> and the <style> that PAGE begins with are put into it. Indentation is taken
away. The page's inline <style> and <script> are hashed for its Content-Security-Policy; a page that names an outside
resource is refused."""
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


def headers(page):
    policy = ("default-src 'none'; connect-src 'self'; img-src data:; style-src %s; script-src %s; "
              "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
              % (hashes(page, "style"), hashes(page, "script")))
    return ("Content-Security-Policy: %s\r\nX-Frame-Options: DENY\r\n"
            "Referrer-Policy: no-referrer\r\nVary: Accept\r\n" % policy)


def merge(head, page):
    own = re.match(r"<title>(.*?)</title>\n<style>\n(.*?)</style>\n", page, re.S)
    if not own:
        sys.exit("the page does not begin with its title and its style")
    head = head.replace("<title></title>", "<title>%s</title>" % own.group(1))
    head = head.replace("</style>", own.group(2) + "</style>")
    return re.sub(r"(?m)^[ \t]+", "", head + page[own.end():])


def main():
    header, prefix = sys.argv[1:3]
    page = merge(*(open(name, encoding="utf-8").read() for name in sys.argv[3:5]))
    if re.search(r"""(src|href)\s*=\s*["']?(https?:)?//""", page):
        sys.exit("the page names an outside resource")
    parts = {"page": page, "page_headers": headers(page)}
    if len(sys.argv) > 5:
        openapi = json.load(open(sys.argv[5], encoding="utf-8"))
        parts["openapi"] = json.dumps(openapi, separators=(",", ":"), ensure_ascii=False)
    print("/* Made by the build. */")
    print('#include "%s"\n' % header)
    for name, text in parts.items():
        print(c_bytes(name, text.encode()))
    print("\n".join(accessor("%s_%s" % (prefix, name), name) for name in parts), end="")


main()
