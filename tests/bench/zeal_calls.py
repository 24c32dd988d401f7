"""Figures of the Zeal client against a server that does nothing. usage: zeal_calls.py BUILD [--calls N]

health on one connection beside Node's fetch, the lint of 1,000 templates, and the time from the
start of the process to the first byte that a server sees. They take turns; medians are printed."""

import argparse
import json
import pathlib
import shutil
import socket
import statistics
import subprocess
import tempfile
import time

from pin import one_cpu

HERE = pathlib.Path(__file__).resolve().parent
DATA = HERE.parent / "data/zeal"


def null_server(build, *how):
    p = subprocess.Popen([build / "tests/bench/null_zeal", *how], stdin=subprocess.PIPE,
                         stdout=subprocess.PIPE, text=True)
    return p, f"http://127.0.0.1:{p.stdout.readline().strip()}"


def run(*argv):
    return json.loads(subprocess.run(list(map(str, argv)), check=True, capture_output=True, text=True).stdout)


def health(build, calls, rounds, where, *how):
    server, url = null_server(build, *how)
    ours, theirs = [], []
    for _ in range(rounds):
        ours.append(run(build / "tests/bench/bench_zeal", url, calls))
        theirs.append(run("node", HERE / "zeal_health.mjs", url, calls // 4))
    server.stdin.close()
    server.wait()
    rate = statistics.median(r["rate"] for r in ours)
    cpu = statistics.median(r["per_cpu_s"] for r in ours)
    base = statistics.median(r["per_cpu_s"] for r in theirs)
    p99 = statistics.median(r["p99_us"] for r in ours)
    print(f"health on one connection: {rate:,.0f} req/s, {cpu:,.0f} per CPU second, "
          f"{cpu / base:.1f} of Node's {base:,.0f}; a whole call p99 {p99 / 1000:.2f} ms, {where}")


def lint(build, rounds):
    folder = pathlib.Path(tempfile.mkdtemp())
    one = json.loads((DATA / "templates/valid/csv-reader.json").read_text())
    for i in range(1000):
        (folder / f"t{i}.json").write_text(json.dumps({**one, "id": f"t{i}"}, indent=2))
    times = []
    for _ in range(rounds):
        begin = time.monotonic()
        subprocess.run([build / "zk", "template", "lint", folder], check=True, capture_output=True)
        times.append(time.monotonic() - begin)
    shutil.rmtree(folder)
    print(f"lint of 1,000 templates in 1,000 files: {statistics.median(times) * 1000:.0f} ms")


def first_byte(build, rounds):
    s = socket.create_server(("127.0.0.1", 0))
    url = f"http://127.0.0.1:{s.getsockname()[1]}"
    times = []
    for _ in range(rounds):
        begin = time.monotonic()
        p = subprocess.Popen([build / "zk", "health", "--base-url", url, "--no-config"],
                             stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        c, _ = s.accept()
        c.recv(1)
        times.append(time.monotonic() - begin)
        c.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n{\"status\":\"healthy\"}")
        p.wait()
        c.close()
    times.sort()
    print(f"start to first byte: {statistics.median(times) * 1000:.1f} ms, "
          f"{times[0] * 1000:.1f} at best")


def main():
    a = argparse.ArgumentParser()
    a.add_argument("build", type=pathlib.Path)
    a.add_argument("--calls", type=int, default=20000)
    a.add_argument("--rounds", type=int, default=5)
    o = a.parse_args()
    with one_cpu():
        health(o.build.resolve(), o.calls, o.rounds, "on one CPU")
    health(o.build.resolve(), o.calls, o.rounds, "on all")
    health(o.build.resolve(), o.calls, o.rounds, "on all, the server does not sleep", "awake")
    lint(o.build.resolve(), o.rounds)
    first_byte(o.build.resolve(), o.rounds * 6)


main()
