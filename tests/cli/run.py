"""Golden tests of the command line: runs every NAME.sh of one folder and prints TAP.

usage: run.py FOLDER [NAME...]

NAME.sh    runs under `bash -euo pipefail` in a fresh, empty directory with $ZK (the binary)
           and $AREA (its folder, read-only by habit), stdin empty
NAME.out   what it must write to stdout; no file = nothing
NAME.err   the same for stderr
NAME.exit  its exit status; no file = 0

A line of .out or .err is compared exactly, except:
  glob: TEXT   the line must match TEXT, in which `*` stands for any characters (also none)
  ...          any number of lines, also none
A line that itself begins with `glob: ` or is `...` cannot be told from those.

ZK_UPDATE=1 rewrites the files from what happened; a file that matches already stays as it is,
and so do its glob lines. Look at the difference before it is committed.
"""

import difflib
import os
import pathlib
import re
import subprocess
import sys
import tempfile

TIMEOUT_S = 60


def line_matches(pattern, line):
    if pattern.startswith("glob: "):
        parts = [re.escape(p) for p in pattern[len("glob: "):].split("*")]
        return re.fullmatch(".*".join(parts), line) is not None
    return pattern == line


def matches(expected, actual):
    """Whether the lines `actual` fit the pattern lines `expected`."""
    # reach[j]: the patterns so far can match the first j lines.
    reach = [True] + [False] * len(actual)
    for pattern in expected:
        if pattern == "...":
            seen = False
            for j, ok in enumerate(reach):
                seen = seen or ok
                reach[j] = seen
        else:
            reach = [False] + [
                reach[j] and line_matches(pattern, line) for j, line in enumerate(actual)
            ]
    return reach[-1]


def split(text):
    """Lines of a text; an unfinished last line is marked, as diff does."""
    lines = text.split("\n")
    if lines[-1] == "":
        lines.pop()
    else:
        lines.append("\\ no newline at the end")
    return lines


def read(path):
    return path.read_text(encoding="utf-8") if path.exists() else ""


def write(path, text, default):
    if text == default:
        path.unlink(missing_ok=True)
    else:
        path.write_text(text, encoding="utf-8")


def run(script):
    env = {k: v for k, v in os.environ.items() if not k.startswith(("ZK_", "TEST_"))}
    env["AREA"] = str(script.parent)
    with tempfile.TemporaryDirectory() as cwd:
        env["HOME"] = os.path.join(cwd, "home")
        work = os.path.join(cwd, "work")
        os.mkdir(env["HOME"])
        os.mkdir(work)
        try:
            p = subprocess.run(
                ["bash", "-euo", "pipefail", str(script)], cwd=work, env=env,
                stdin=subprocess.DEVNULL, capture_output=True, timeout=TIMEOUT_S, check=False)
        except subprocess.TimeoutExpired as e:
            late = f"\nstill running after {TIMEOUT_S} s\n"
            return (e.stdout or b"").decode(errors="replace"), \
                (e.stderr or b"").decode(errors="replace") + late, "timeout"
    # A lone bad byte must show in the difference, not end the runner.
    out = p.stdout.decode("utf-8", "backslashreplace")
    err = p.stderr.decode("utf-8", "backslashreplace")
    return out, err, str(p.returncode)


def check(script, update):
    """Runs one test; returns a list of lines that say what differs."""
    out, err, status = run(script)
    base = script.with_suffix("")
    wrong = []
    for suffix, text in ((".out", out), (".err", err)):
        path = base.with_suffix(suffix)
        expected = read(path)
        if matches(split(expected), split(text)):
            continue
        if update:
            write(path, text, "")
            continue
        wrong += difflib.unified_diff(split(expected), split(text), path.name, "happened",
                                      lineterm="")
    path = base.with_suffix(".exit")
    expected = read(path).strip() or "0"
    if expected != status:
        if update:
            write(path, status + "\n", "0\n")
        else:
            wrong.append(f"exit status {status}, expected {expected}")
    return wrong


def main():
    if len(sys.argv) < 2:
        print(__doc__, file=sys.stderr)
        return 64
    folder = pathlib.Path(sys.argv[1]).resolve()
    scripts = sorted(folder.glob("*.sh"))
    if len(sys.argv) > 2:
        scripts = [s for s in scripts if s.stem in sys.argv[2:]]
    if not scripts:
        print(f"Bail out! no tests in {folder.name}")
        return 1
    failed = 0
    print(f"1..{len(scripts)}")
    for i, script in enumerate(scripts, 1):
        wrong = check(script, os.environ.get("ZK_UPDATE") == "1")
        failed += bool(wrong)
        print(f"{'not ok' if wrong else 'ok'} {i} - {folder.name}/{script.stem}", flush=True)
        for line in wrong:
            print("# " + line.replace("\n", "\n# "), flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
