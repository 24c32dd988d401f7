#!/bin/bash
# `zk COMMAND --help` and `-h` of every command: exit status 0, at most 80 columns, nothing on
# stderr, no tab, no escape and no trailing space; `-h` fits a screen of 40 lines.
set -euo pipefail
# shellcheck source=tests/lint/lib.sh
. "$(dirname "$0")/lib.sh"
need python3
[ -n "${ZK:-}" ] || ZK=$root/build/zk
export ZK
"$ZK" emit json >/dev/null 2>&1 || skip "this zk cannot emit"
# shellcheck disable=SC2016  # Python, not shell
findings_from < <("$ZK" emit json | python3 -c '
import json, os, subprocess, sys, unicodedata

def width(line):
    return sum(0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF"
               else 1 for c in line)

def judge(path, flag):
    what = " ".join(["zk", path, flag]).replace("  ", " ")
    p = subprocess.run([os.environ["ZK"], *path.split(), flag], stdin=subprocess.DEVNULL,
                       capture_output=True, check=False)
    if p.returncode:
        print(f"{what}: exit status {p.returncode}")
    if p.stderr:
        print(f"{what}: writes to stderr")
    text = p.stdout.decode()
    lines = text.splitlines()
    if not lines:
        print(f"{what}: prints nothing")
    if flag == "-h" and len(lines) > 40:
        print(f"{what}: {len(lines)} lines do not fit a screen")
    for n, line in enumerate(lines, 1):
        if width(line) > 80:
            print(f"{what}:{n}: {width(line)} columns")
        if "\t" in line or "\x1b" in line or line != line.rstrip():
            print(f"{what}:{n}: a tab, an escape or a trailing space")

for command in [{"path": ""}, *json.load(sys.stdin)["commands"]]:
    if not command.get("hidden"):
        for flag in ("--help", "-h"):
            judge(command["path"], flag)
')
finish
