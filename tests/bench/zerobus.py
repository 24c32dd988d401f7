"""Measures `zk zerobus send` against `zk fake zerobus --fast`: the goals of specs/zerobus.md §20,
and rows per CPU second against @grpc/grpc-js streaming the same bytes. scripts/bench runs it.

usage: zerobus.py BENCH-BUILD-DIR [--rounds N] [--only GOAL[,GOAL...]] [--tsan PROGRAM]

Every goal is one or a few lines. CPU seconds are user and system time of the whole sender; PROGRAM
is tests/stress/stress_zb_feed of a build with -Db_sanitize=thread, for goal 4.
"""

import argparse
import json
import os
import pathlib
import random
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
PEER = HERE.parent / "peer"
sys.path.insert(0, str(HERE.parent / "lib"))
import arrow_write  # noqa: E402

TABLE = "main.default.t"
SUMS = re.compile(r"read ([\d,]+) = acked ([\d,]+) .*?p50/p95 ack (\d+)/(\d+) ms", re.S)


class Bench:
    def __init__(self, build, folder, tsan):
        self.tsan = tsan
        self.zk = os.path.abspath(os.path.join(build, "zk"))
        self.rows_program = os.path.join(build, "tests/bench/bench_zb_rows")
        self.bare = os.path.abspath(os.path.join(build, "tests/bench/zk_without_debug"))
        self.dir = folder
        self.env = {**os.environ, "HOME": folder}

    def path(self, name):
        return os.path.join(self.dir, name)

    def ndjson(self, name, rows, size=100):
        """Lines of `size` bytes with their line end."""
        path = self.path(name)
        with open(path, "w", encoding="ascii") as f:
            for i in range(rows):
                head = '{"id":%d,"name":"sensor-%06d","value":%d.5,"text":"' % (i, i, i % 1000)
                f.write(head + "x" * (size - len(head) - 3) + '"}\n')
        return path

    def fake(self, *more):
        ready = self.path("ready.json")
        if os.path.exists(ready):
            os.unlink(ready)
        p = subprocess.Popen([self.zk, "fake", "zerobus", "--ready-file", ready, *more],
                             env=self.env, stderr=subprocess.DEVNULL)
        while not os.path.exists(ready):
            time.sleep(0.02)
        return p, json.load(open(ready, encoding="utf8"))["grpc"]

    def run(self, command, feed=None, stdin=None):
        """(wall s, CPU s, peak RSS MB, stderr); `feed` is an iterable of bytes for stdin."""
        # Through a small program: a child of Python begins with the size of Python.
        rss = self.path("rss")
        before = time.monotonic()
        p = subprocess.Popen(["/usr/bin/time", "-q", "-f", "%M", "-o", rss, *command], env=self.env,
                             stderr=subprocess.PIPE, stdout=subprocess.PIPE,
                             stdin=subprocess.PIPE if feed is not None else stdin)
        if feed is not None:
            for chunk in feed:
                p.stdin.write(chunk)
            p.stdin.close()
        err = p.stderr.read().decode() + p.stdout.read().decode()
        _, status, usage = os.wait4(p.pid, 0)
        p.returncode = os.waitstatus_to_exitcode(status)
        if p.returncode != 0:
            raise SystemExit(f"{command[:3]} ended with {p.returncode}: {err[-500:]}")
        return (time.monotonic() - before, usage.ru_utime + usage.ru_stime,
                int(pathlib.Path(rss).read_text()) / 1024, err)

    def command(self, endpoint, *more, zk=None):
        return [zk or self.zk, "zerobus", "send", "-t", TABLE, "--endpoint", endpoint, "--auth",
                "none", "-v", "--log-level", "warn", "--progress", "none", *more]

    def send(self, endpoint, *more, zk=None, **how):
        return self.run(self.command(endpoint, *more, zk=zk), **how)


def transports(b):
    return (("plain", [], []),
            ("TLS", ["--tls-cert", b.path("c.pem"), "--tls-key", b.path("k.pem")],
             ["--ca-file", b.path("c.pem")]))


def arrow_batches(b, rows, text):
    """The schema message, and one batch of `rows` with a text of so many bytes each."""
    path = b.path("one.arrows")
    n = range(rows)
    arrow_write.stream(path, {"id": ("i64", list(n)), "text": ("utf8", ["y" * text] * rows)}, rows)
    data = open(path, "rb").read()
    meta = int.from_bytes(data[4:8], "little")
    body = data[8 + meta:]
    end = b"\xff\xff\xff\xff\0\0\0\0"
    return data[:8 + meta], body[:-8] if body.endswith(end) else body


def several(head, batch, n):
    yield head
    for _ in range(n):
        yield batch
    yield b"\xff\xff\xff\xff\0\0\0\0"


def goal_1(b, rounds):
    head, batch = arrow_batches(b, 10000, 1020)
    for name, fake, more in (
            (f"{name}, windows of {window}", [*fake, *how], more)
            for name, fake, more in transports(b)
            for window, how in (("1 MiB", []), ("64 KiB", ["--window", "65535B"]))):
        p, endpoint = b.fake("--fast", *fake)
        wall, cpu, _, err = b.send(endpoint, "-", "--from", "arrow", "--batch-rows", "100000",
                                   "--batch-bytes", "10MiB", "--max-inflight", "1",
                                   "--max-inflight-bytes", "10MiB", *more,
                                   feed=several(head, batch, 200))
        p.terminate()
        p.wait()
        _, _, p50, p95 = SUMS.search(err).groups()
        print(f"goal 1: 200 batches of 10 MB, 1 in flight, {name}: p50 {p50} p95 {p95} ms from "
              f"stream to acknowledgement; {wall / 200 * 1000:.0f} ms of wall time and "
              f"{cpu / 200 * 1000:.0f} ms of CPU per batch with reading and conversion", flush=True)


def goal_2(b, rounds):
    path = b.ndjson("ten.ndjson", 1000000)
    plan = b.path("plan.json")
    streams = [{"close_after": 100000, "close_ms": 1000} for _ in range(99)]
    streams.insert(50, {"end_after": 50000, "cut": "tcp"})
    json.dump(streams, open(plan, "w", encoding="utf8"))
    p, endpoint = b.fake("--fast", "--plan", plan)
    wall, _, rss, err = b.send(endpoint, *[path] * 10)
    p.terminate()
    p.wait()
    read, acked, _, _ = SUMS.search(err).groups()
    print(f"goal 2: {read} rows, 100 streams rotated, one of them cut: acked {acked} in the first "
          f"run, exit 0, {wall:.1f} s; goal 10: peak RSS {rss:.0f} MB", flush=True)


def instructions(b, zk, path):
    """Of a dry run, which reads, checks and batches, and depends on nobody's time."""
    done = subprocess.run(["valgrind", "--tool=cachegrind", "--cache-sim=no",
                           "--cachegrind-out-file=/dev/null", zk, "zerobus", "send", "--dry-run",
                           "-t", TABLE, path], env=b.env, check=True, capture_output=True, text=True)
    return int(re.search(r"I +refs: +([\d,]+)", done.stderr)[1].replace(",", ""))


def goal_3(b, rounds):
    """The hooks of the debug files are in the client, and off; or they are not in it at all."""
    path = b.ndjson("one.ndjson", 1000000)
    p, endpoint = b.fake("--fast")
    ratios = []
    for i in range(2 * rounds):
        cpu = {}
        for zk in (b.zk, b.bare) if i % 2 else (b.bare, b.zk):
            cpu[zk] = b.send(endpoint, zk=zk, stdin=open(path, "rb"))[1]
        ratios.append(cpu[b.zk] / cpu[b.bare])
    p.terminate()
    p.wait()
    ratios.sort()
    print(f"goal 3: debug files off, against a client without them: CPU ratio "
          f"{statistics.median(ratios):.3f} ({ratios[0]:.3f} to {ratios[-1]:.3f} in {len(ratios)} "
          "rounds)", flush=True)
    if not shutil.which("valgrind"):
        return
    few = b.ndjson("few.ndjson", 50000)
    with_, without = instructions(b, b.zk, few), instructions(b, b.bare, few)
    print(f"goal 3: the same in instructions of a dry run of 50,000 rows: {with_ / without:.5f} "
          f"({with_:,} against {without:,})", flush=True)


def goal_4(b, rounds):
    if not b.tsan:
        print("goal 4: not measured: give --tsan PROGRAM", flush=True)
        return
    done = subprocess.run([b.tsan], env={**b.env, "TSAN_OPTIONS": "halt_on_error=0"},
                          capture_output=True, text=True)
    races = done.stderr.count("WARNING: ThreadSanitizer")
    good = len(re.findall(r"^ok ", done.stdout, re.M))
    print(f"goal 4: 8 streams, reader lane, mailbox and debug files under ThreadSanitizer: {races} "
          f"races, {good} checks, exit {done.returncode}", flush=True)


def goal_5(b, rounds):
    """Retries with jitter, token refresh without a pause, flush of debug files: the tests of §23."""
    counts = []
    for name in ("zb_send", "zb_files"):
        done = subprocess.run(["node", str(PEER / f"{name}.mjs")], env={**b.env, "ZK": b.zk},
                              capture_output=True, text=True)
        good = len(re.findall(r"^ok ", done.stdout, re.M))
        bad = re.findall(r"^not ok .*", done.stdout, re.M)
        counts.append(f"{name} {good} of {good + len(bad)}" + "".join(f" ({t})" for t in bad))
    print("goal 5: checks of retries, tokens, rotation and debug files: " + ", ".join(counts),
          flush=True)


def goal_6(b, rounds):
    path = b.ndjson("one.ndjson", 1000000)
    p, endpoint = b.fake("--fast")
    rates = []
    for _ in range(rounds):
        wall, _, _, _ = b.send(endpoint, stdin=open(path, "rb"))
        rates.append(1e6 / wall)
    p.terminate()
    p.wait()
    print(f"goal 6: rows of 100 bytes: {statistics.median(rates):,.0f} rows/s "
          f"({min(rates):,.0f} to {max(rates):,.0f} in {rounds} rounds)", flush=True)


def goal_7(b, rounds):
    rng = random.Random(1)
    n = range(100000)
    path = b.path("ten.arrows")
    arrow_write.stream(path, {
        "id": ("i64", list(n)),
        "device": ("utf8", [f"sensor-{rng.randrange(100000):05}" for _ in n]),
        "temp": ("i32", [rng.randrange(-400, 1200) for _ in n]),
        "humidity": ("f64", [rng.random() * 100 for _ in n]),
        "at": ("ts_us", [1700000000000000 + i * 1000003 for i in n]),
        "day": ("date32", [19700 + i % 365 for i in n]),
        "ok": ("bool", [i % 3 == 0 for i in n]),
        "level": ("i16", [i % 1000 for i in n]),
        "ratio": ("f32", [rng.random() for _ in n]),
        "note": ("utf8", [f"reading number {i} of the day, all is well" for i in n]),
    }, 20000)
    done = subprocess.run([b.rows_program, path, "30"], check=True, capture_output=True, text=True)
    print("goal 7: ten scalar columns of Arrow to protobuf: " + done.stdout, end="", flush=True)


def goal_8(b, rounds):
    head, batch = arrow_batches(b, 10000, 1020)
    for name, fake, more in transports(b):
        p, endpoint = b.fake("--fast", *fake)
        rates = []
        for _ in range(rounds):
            wall, cpu, _, _ = b.send(endpoint, "-", "--from", "arrow", "--batch-rows", "100000",
                                     *more, feed=several(head, batch, 50))
            rates.append(50 * 10.3 / wall)
        p.terminate()
        p.wait()
        print(f"goal 8: wire, {name}, requests and windows of 1 MiB, Arrow from a pipe: "
              f"{statistics.median(rates):.0f} MB/s (best {max(rates):.0f}), {cpu / 0.515:.2f} CPU s "
              "per GB", flush=True)


def cpu_of(pid):
    """Nanoseconds that its threads ran."""
    return sum(int(t.read_text().split()[0]) for t in pathlib.Path(f"/proc/{pid}/task").glob(
        "*/schedstat"))


def goal_9(b, rounds):
    plan = b.path("stall.json")
    json.dump([{"stall_ms": 12000}], open(plan, "w", encoding="utf8"))
    path = b.ndjson("one.ndjson", 1000000)
    for name, fake, more in transports(b):
        p, endpoint = b.fake("--fast", "--plan", plan, *fake)
        with open(path, "rb") as f, subprocess.Popen(b.command(endpoint, *more), env=b.env, stdin=f,
                                                     stderr=subprocess.DEVNULL) as zk:
            # Until it has filled what there is to fill: a quarter of a second without work.
            since, before = time.monotonic(), cpu_of(zk.pid)
            while time.monotonic() - since < 0.25:
                time.sleep(0.05)
                now = cpu_of(zk.pid)
                if now - before > 2e6:
                    since = time.monotonic()
                before = now
            time.sleep(10)
            used = cpu_of(zk.pid) - before
            zk.wait()
        p.terminate()
        p.wait()
        print(f"goal 9: a peer that reads nothing for 10 s, {name}: {used / 1e9:.4f} s of CPU",
              flush=True)


def goal_10(b, rounds):
    path = b.ndjson("one.ndjson", 1000000)
    plan = b.path("slow.json")
    json.dump([{"ack_delay_ms": 1000, "ack_every": 1000000}], open(plan, "w", encoding="utf8"))
    for name, fake in (("acknowledged at once", []), ("a full window", ["--plan", plan])):
        p, endpoint = b.fake("--fast", *fake)
        peaks = [b.send(endpoint, *[path] * n)[2] for n in (2, 20)]
        p.terminate()
        p.wait()
        print(f"goal 10: NDJSON, {name}: peak RSS {peaks[0]:.0f} MB with 2,000,000 rows, "
              f"{peaks[1]:.0f} MB with 20,000,000 (2 GB); window of 64 MiB", flush=True)


def goal_11(b, rounds):
    p, endpoint = b.fake("--fast")
    walls = sorted(b.send(endpoint, feed=[b'{"a":1}\n'])[0] for _ in range(4 * rounds))
    p.terminate()
    p.wait()
    print(f"goal 11: one row of stdin, start to exit (acknowledged, closed): median "
          f"{statistics.median(walls) * 1000:.0f} ms, best {walls[0] * 1000:.0f} ms", flush=True)


def goal_12(b, rounds):
    path = b.ndjson("one.ndjson", 1000000)
    p, endpoint = b.fake("--fast")
    off, on = [], []
    for i in range(2 * rounds):
        off.append(b.send(endpoint, stdin=open(path, "rb"))[:2])
        on.append(b.send(endpoint, "--debug-dir", b.path("debug"), "--debug-proto", "--debug-keep",
                         "1", stdin=open(path, "rb"))[:2])
    p.terminate()
    p.wait()
    ratios = sorted(x[0] / y[0] for x, y in zip(off, on))
    cpu = [statistics.median(c for _, c in v) for v in (off, on)]
    print(f"goal 12: rate with debug files on: {statistics.median(ratios) * 100:.0f} % of the rate "
          f"without ({ratios[0] * 100:.0f} to {ratios[-1] * 100:.0f} % in {len(ratios)} rounds); "
          f"CPU {cpu[1]:.2f} against {cpu[0]:.2f} s per million rows", flush=True)


def ratio(b, rounds):
    """The same file by node and by zk, taking turns; CPU seconds of each process."""
    path = b.ndjson("one.ndjson", 1000000)
    p, endpoint = b.fake("--fast")
    ways = {
        "node": lambda: b.run(["node", str(HERE / "zerobus_grpc_js.mjs"), endpoint, path]),
        "zk FILE": lambda: b.send(endpoint, path),
        "zk stdin": lambda: b.send(endpoint, stdin=open(path, "rb")),
    }
    cpu = {name: [] for name in ways}
    rss = {name: 0 for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            _, c, r, _ = way()
            cpu[name].append(c)
            rss[name] = max(rss[name], r)
    p.terminate()
    p.wait()
    for name in ways:
        line = f"{name}: {statistics.median(cpu[name]):.2f} CPU s per million rows of 100 bytes, " \
               f"peak RSS {rss[name]:.0f} MB"
        if name != "node":
            r = sorted(x / y for x, y in zip(cpu["node"], cpu[name]))
            line += f"; {statistics.median(r):.1f} times node's rows per CPU second " \
                    f"({r[0]:.1f} to {r[-1]:.1f} in {rounds} rounds)"
        print(line, flush=True)


GOALS = {"1": goal_1, "2": goal_2, "3": goal_3, "4": goal_4, "5": goal_5, "6": goal_6, "7": goal_7,
         "8": goal_8, "9": goal_9, "10": goal_10, "11": goal_11, "12": goal_12, "ratio": ratio}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("build")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", default=",".join(GOALS))
    parser.add_argument("--tsan")
    a = parser.parse_args()
    print(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} CPUs", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        b = Bench(a.build, folder, a.tsan)
        for name in a.only.split(","):
            GOALS[name](b, a.rounds)
    return 0


sys.exit(main())
