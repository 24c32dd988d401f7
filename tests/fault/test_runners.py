"""The runners of the tests do not let a failure pass: sandbox.sh, the golden tests, the count."""
import json
import os
import subprocess
import sys

import zkt

SANDBOX = zkt.SRC / "tests/lib/sandbox.sh"
GOLDEN = zkt.SRC / "tests/cli/run.py"
COUNT = zkt.SRC / "tests/lib/count.py"


def run(*args, **env):
    return subprocess.run([str(a) for a in args], capture_output=True, text=True, check=False,
                          env={**os.environ, **env})


def compiled(source, *flags):
    folder = zkt.tmp()
    zkt.write(folder + "/x.c", source)
    p = run("gcc", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-o",
            folder + "/x", folder + "/x.c", *flags)
    zkt.need(p.returncode == 0, p.stderr)
    return folder + "/x"


LEAK = """#include <stdlib.h>
static void *volatile keep;
static void leak(void) { keep = malloc(10); keep = NULL; }
"""


def test_sandbox():
    p = run(SANDBOX, compiled("int main(void) { return 0; }"))
    zkt.equal((p.returncode, p.stderr), (0, ""), "a clean program passes")
    zkt.equal(run(SANDBOX, "sh", "-c", "exit 77").returncode, 77, "a status is passed on")
    p = run(SANDBOX, compiled(LEAK + "int main(void) { leak(); return 0; }"))
    zkt.equal(p.returncode, 99, "a leak fails")
    zkt.contains("LeakSanitizer", p.stderr, "and is reported")
    p = run(SANDBOX, "sh", "-c", compiled(LEAK + "int main(void) { leak(); return 0; }")
            + "; exit 0")
    zkt.equal(p.returncode, 99, "a leak of a child fails")
    criterion = compiled("#include <criterion/criterion.h>\n" + LEAK
                         + "Test(x, leaks) { leak(); cr_assert(1); }", "-lcriterion")
    zkt.equal(run(SANDBOX, criterion).returncode, 99, "a leak of a Criterion test fails")
    p = run(SANDBOX, "sh", "-c", 'echo "$HOME:$ZK_PROFILE:$NO_COLOR:$LC_ALL:$TEST_X"; ls -A "$HOME"',
            ZK_PROFILE="x", NO_COLOR="1", TEST_X="y")
    home, _, rest = p.stdout.strip().partition(":")
    zkt.equal(rest, "::C.UTF-8:y", "the environment is clean, HOME empty")
    zkt.ok(not os.path.exists(home), "HOME is removed")


def golden(files, **env):
    folder = zkt.tmp() + "/area"
    os.mkdir(folder)
    for name, text in files.items():
        zkt.write(f"{folder}/{name}", text)
    return folder, run(sys.executable, GOLDEN, folder, **env)


def test_golden():
    script = "echo one; echo two 123 ms; echo three; echo oops >&2; exit 3\n"
    good = {"a.sh": script, "a.out": "one\nglob: two * ms\nthree\n", "a.err": "oops\n",
            "a.exit": "3\n"}
    zkt.equal(golden(good)[1].returncode, 0, "what matches passes")
    zkt.equal(golden({**good, "a.out": "one\n...\n"})[1].returncode, 0, "... stands for any lines")
    zkt.equal(golden({**good, "a.out": "...\nthree\n...\n"})[1].returncode, 0, "also for none")
    for name, text, what in (
            ("a.out", "one\nglob: two *ms \nthree\n", "a pattern that does not fit"),
            ("a.out", "one\ntwo * ms\nthree\n", "a star without glob:"),
            ("a.out", "one\nglob: two * ms\n", "a line too much"),
            ("a.out", "one\nglob: two * ms\nthree\nfour\n", "a line too few"),
            ("a.out", "one\n...\ntwo\n", "a wrong line after ..."),
            ("a.err", "", "a line on stderr"),
            ("a.exit", "0\n", "another exit status")):
        p = golden({**good, name: text})[1]
        zkt.ok(p.returncode == 1 and "not ok 1 - area/a" in p.stdout, f"{what} fails", p.stdout)
    p = golden({"a.sh": "printf x", "a.out": "x\n"})[1]
    zkt.equal(p.returncode, 1, "a missing newline at the end fails")
    p = golden({"a.sh": 'false; echo "after"'})[1]
    zkt.equal(p.returncode, 1, "a command that fails ends the script")
    folder, p = golden({**good, "a.err": "", "b.sh": "pwd -P | grep -q work; env | grep ^ZK_ && exit 9; "
                        "echo hi"}, ZK_UPDATE="1", ZK_PROFILE="x")
    zkt.equal(p.returncode, 0, "ZK_UPDATE passes")
    read = lambda n: open(f"{folder}/{n}", encoding="utf-8").read()  # noqa: E731
    zkt.equal(read("a.err"), "oops\n", "and rewrites what differed")
    zkt.equal(read("a.out"), good["a.out"], "but keeps what matched")
    zkt.equal((read("b.out"), os.path.exists(folder + "/b.exit")), ("hi\n", False),
              "and writes what was missing; the environment is clean")


def count(*entries):
    path = zkt.write(zkt.tmp() + "/log", "".join(json.dumps(e) + "\n" for e in entries))
    return run(sys.executable, COUNT, path).stdout.strip()


def test_count():
    def entry(result, stdout="", returncode=0):
        return {"name": "x", "result": result, "stdout": stdout, "returncode": returncode}
    tap = "1..3\nok 1 - a\nok 2 - b # SKIP no\nok - c\n"
    zkt.equal(count(entry("OK", tap)), "2 0 1", "counts lines of TAP")
    zkt.equal(count(entry("ERROR", "1..2\nok 1\nnot ok 2\n", 1)), "1 1 0", "and failed ones")
    zkt.equal(count(entry("ERROR", tap, 99)), "2 1 1", "a leak after the last line is a failure")
    zkt.equal(count(entry("ERROR", "1..3\nok 1\n", -11)), "1 1 0", "so is a crash in between")
    zkt.equal(count(entry("ERROR", "", -11)), "0 1 0", "and one before the plan")
    zkt.equal(count(entry("ERROR", "ok 1\n", -11)), "1 1 0", "and a missing plan")
    zkt.equal(count(entry("OK"), entry("FAIL", "", 1), entry("SKIP", "", 77),
                    entry("TIMEOUT")), "1 2 1", "others count as one")
    zkt.equal(count(entry("SKIP", "1..0 # SKIP no seeds\n")), "0 0 1", "all skipped")


zkt.main()
