"""Measures `zk triggers serve` against the bare server of bare_mhd.c, in the same run, with the
same wrk script (events.lua); prints one line per figure, each as a ratio where there is a
baseline. The two take turns, and what is printed are medians of all rounds: a single run on a
machine that does other things as well says little. scripts/bench runs it.

usage: triggers.py BENCH-BUILD-DIR [--seconds N] [--rounds N] [--stored N]
    --seconds N   duration of each load (3)
    --rounds N    loads of each kind (7)
    --stored N    first store N events, then measure start-up and the inbox on them
"""

import argparse
import os
import pathlib
import statistics
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "lib"))
import zkt  # noqa: E402

HERE = pathlib.Path(__file__).resolve().parent
CONNECTIONS = (1, 50, 200)


class Load:
    """What one run of wrk saw, and what the server used meanwhile; or the medians of several."""

    FIELDS = ("per_second", "p50", "p95", "p99", "cpu_server", "cpu_wrk", "cpu_us", "rss_mb")

    @classmethod
    def of(cls, numbers, cpu_server_s, cpu_wrk_s, took_s, rss_bytes):
        load = cls()
        (requests, load.p50, load.p95, load.p99, _, errors,
         load.per_second) = map(float, numbers)
        load.errors = int(errors)
        load.cpu_server, load.cpu_wrk = cpu_server_s / took_s, cpu_wrk_s / took_s
        load.cpu_us = cpu_server_s * 1e6 / max(requests, 1)
        load.rss_mb = rss_bytes / 1e6
        return load

    @classmethod
    def median(cls, loads):
        load = cls()
        for f in cls.FIELDS:
            setattr(load, f, statistics.median(getattr(one, f) for one in loads))
        load.errors = sum(one.errors for one in loads)
        return load

    def __str__(self):
        return (f"p50 {self.p50:.2f} p95 {self.p95:.2f} p99 {self.p99:.2f} ms  "
                f"CPU {self.cpu_server:.0%} ({self.cpu_us:.1f} µs each) + wrk "
                f"{self.cpu_wrk:.0%}  RSS {self.rss_mb:.1f} MB"
                + (f"  ERRORS {self.errors}" if self.errors else ""))


def children_cpu_s():
    t = os.times()
    return t.children_user + t.children_system


def wrk(script, server, connections, seconds, args, delay_ms=0):
    """Runs wrk against a process that has .port, .cpu_s() and .rss_bytes()."""
    env = {**os.environ, "BENCH_DELAY_MS": str(delay_ms)}
    begin, cpu, own = time.monotonic(), server.cpu_s(), children_cpu_s()
    out = subprocess.run(
        ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "10s", "-s",
         str(HERE / script), f"http://127.0.0.1:{server.port}", "--", *args],
        env=env, check=True, stdout=subprocess.PIPE, text=True).stdout
    took = time.monotonic() - begin
    return Load.of(out.splitlines()[-1].split(), server.cpu_s() - cpu,
                   children_cpu_s() - own, took, server.rss_bytes())


def bare(build):
    p = zkt.Process(stdin=zkt.PIPE, argv0=os.path.join(build, "tests/bench/bare_mhd"))
    p.port = int(zkt.wait_for(lambda: p.out.strip(), "the port of the baseline"))
    return p


def serve(db, *args):
    return zkt.Server("triggers", "serve", "--listen", "127.0.0.1:0", "--db", db, "--no-delivery",
                      "--rate-limit", "free=0", *args)


def make_key(server):
    r = server.request("POST", "/api/keys/generate", {"organization_name": "bench"})
    if r.status != 201:
        raise zkt.Failure(f"no key: {r}")
    return r.json["api_key"]


def throughput(build, seconds, rounds):
    with bare(build) as base, serve(zkt.tmp() + "/bench.db") as zk:
        key = make_key(zk)
        for n in CONNECTIONS:
            b, z = [], []
            for _ in range(rounds):
                b.append(wrk("events.lua", base, n, seconds, ["", "base"]))
                z.append(wrk("events.lua", zk, n, seconds, [key, f"{time.time_ns()}"]))
            ratios = sorted(own.per_second / its.per_second for own, its in zip(z, b))
            b, z = Load.median(b), Load.median(z)
            print(f"events/s, {n} connections: {z.per_second:.0f}, "
                  f"{statistics.median(ratios):.3f} of the baseline's {b.per_second:.0f} "
                  f"({ratios[0]:.3f} to {ratios[-1]:.3f} in {rounds} rounds)")
            print(f"    zk        {z}\n    baseline  {b}", flush=True)
        # 50 connections, one request each per 50 ms.
        z = wrk("events.lua", zk, 50, seconds * rounds, [key, f"{time.time_ns()}"], delay_ms=50)
        print(f"at {z.per_second:.0f} events/s: {z}", flush=True)
        print(f"load of the machine: {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors")


def stored(count, seconds):
    """Start-up to the first 200 of /health, and the inbox, on `count` stored events."""
    db = zkt.tmp() + "/stored.db"
    with serve(db) as zk:
        key = make_key(zk)
        event = b'{"type":"bench.event","payload":{"data":"' + b"x" * 189 + b'"}}\n'
        with zk.raw(60) as c:
            for at in range(0, count, 500):
                n = min(500, count - at)
                r = c.request("POST", "/api/events/batch", event * n,
                              {"X-API-Key": key, "Content-Type": "application/x-ndjson"})
                if r.status != 202:
                    raise zkt.Failure(f"batch refused: {r}")
    times = []
    for _ in range(5):
        begin = time.monotonic()
        with serve(db) as zk:
            r = zk.request("GET", "/health")
            times.append((time.monotonic() - begin) * 1000)
            if r.status != 200:
                raise zkt.Failure(f"not healthy: {r}")
    print(f"start with {count} events: {min(times):.0f} ms at best, {max(times):.0f} ms at worst "
          "(poll of 5 ms included)")
    with serve(db) as zk:
        z = wrk("inbox.lua", zk, 10, seconds, [key])
        print(f"inbox pages of 100 with {count} events, 10 connections: {z.per_second:.0f}/s  {z}",
              flush=True)
        z = wrk("inbox.lua", zk, 1, seconds, [key])
        print(f"inbox pages of 100 with {count} events, 1 connection: {z.per_second:.0f}/s  {z}",
              flush=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("build")
    parser.add_argument("--seconds", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--stored", type=int, default=0)
    args = parser.parse_args()
    zkt.ZK = os.path.join(args.build, "zk")
    try:
        if args.stored:
            stored(args.stored, args.seconds)
        else:
            throughput(args.build, args.seconds, args.rounds)
    except zkt.Failure as e:
        sys.exit(f"triggers.py: {e}")
    finally:
        zkt.clean_up()


if __name__ == "__main__":
    main()
