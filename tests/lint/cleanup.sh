#!/bin/bash
# A variable with ZK_CLEANUP has a value before any way out of its scope: it is set where it is
# declared, or no `return` and no `goto` stands before the first line that takes its address.
# (Neither compiler warns about it, and ASan does not see what the stack happened to hold.)
set -euo pipefail
# shellcheck source=tests/lint/lib.sh
. "$(dirname "$0")/lib.sh"
need python3

# shellcheck disable=SC2016  # Python, not shell
findings_from < <(tree_files 'src/*.c' 'tests/*.c' | python3 -c '
import re, sys

ATTRIBUTE = re.compile(r"ZK_CLEANUP\(\w+\)")

def names(declaration):
    """The declared names that get no value."""
    body = ATTRIBUTE.sub("", declaration).strip().rstrip(";")
    # Commas inside braces and parentheses belong to initialisers.
    flat, n = body, 1
    while n:
        flat, n = re.subn(r"\{[^{}]*\}|\([^()]*\)", "", flat)
    found = [re.search(r"(\w+)\s*(\[.*\])?$", part.strip())
             for part in flat.split(",") if "=" not in part]
    return [m[1] for m in found if m]

for path in sys.stdin.read().splitlines():
    lines = open(path, encoding="utf-8").read().split("\n")
    code = [re.sub(r"\"(\\.|[^\"\\])*\"|/\*.*?\*/", "\"\"", l) for l in lines]
    i = 0
    while i < len(code):
        if not ATTRIBUTE.search(code[i]) or code[i].lstrip().startswith(("#", "*")):
            i += 1
            continue
        at, text = i, code[i]
        while ";" not in text and i + 1 < len(code):
            i += 1
            text += " " + code[i].strip()
        i += 1
        depth = len(lines[at]) - len(lines[at].lstrip("\t"))
        for name in names(text[:text.index(";") + 1]):
            for n in range(i, len(code)):
                if re.search(rf"&{name}\b|\b{name}\s*=[^=]", code[n]):
                    break
                if re.search(r"\b(return|goto)\b", code[n]):
                    print(f"{path}:{n + 1}: leaves before `{name}` (line {at + 1}) has a value")
                    break
                if re.match("\t" * max(depth - 1, 0) + "}", code[n]) and depth:
                    print(f"{path}:{at + 1}: `{name}` never gets a value")
                    break
')
finish
