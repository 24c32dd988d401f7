"""Measures `zk events tail` against a server that floods it, with socket.io-client as the baseline
of the same run; prints one line per figure. Rates are per second of the reader's CPU. scripts/bench
runs it.

usage: events.py BENCH-BUILD-DIR [--events N] [--sockets N] [--seconds N]
"""

import argparse
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent


class Flood:
    def __init__(self, ping_ms=25000):
        self.p = subprocess.Popen(["node", str(HERE / "events_flood.mjs"), str(ping_ms)],
                                  stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.port = int(self.p.stdout.readline())

    def stats(self):
        self.p.stdin.write("{}\n")
        self.p.stdin.flush()
        return json.loads(self.p.stdout.readline())

    def close(self):
        self.p.stdin.close()
        self.p.wait()


def start(argv, port, stdout):
    home = tempfile.mkdtemp()
    env = {"PATH": os.environ["PATH"], "HOME": home, "ZK_ZEAL_WS_URL": f"http://127.0.0.1:{port}"}
    return subprocess.Popen(argv, env=env, stdin=subprocess.DEVNULL, stdout=stdout)


def cpu(argv, port, total):
    """CPU seconds of a program that prints `total` lines into a pipe that is read."""
    p = start(argv, port, subprocess.PIPE)
    count = subprocess.Popen(["wc", "-l"], stdin=p.stdout, stdout=subprocess.PIPE, text=True)
    p.stdout.close()
    _, status, use = os.wait4(p.pid, 0)
    lines = int(count.communicate()[0])
    if status or lines != total:
        sys.exit(f"{argv[0]} ended with {status}, {lines} lines of {total}")
    return use.ru_utime + use.ru_stime


def memory(pid, what="VmRSS"):
    text = pathlib.Path(f"/proc/{pid}/status").read_text("utf-8")
    return int(re.search(what + r":\s+(\d+) kB", text)[1]) / 1e3


def cpu_of(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def end(p):
    p.terminate()
    p.wait()


def rates(zk, a, flood):
    t = cpu([zk, "events", "tail", "-w", f"flood-{a.events}", "--count", str(a.events)],
            flood.port, a.events)
    filtered = cpu([zk, "events", "tail", "-w", f"flood-{a.events}", "--count", str(a.events),
                    "--filter", "type=node.* && duration<100"], flood.port, a.events)
    n = a.events // 5
    base = n / cpu(["node", str(HERE / "events_client.mjs"), str(flood.port), str(n)],
                   flood.port, n)
    rate = a.events / t
    print(f"events received and printed/CPU s  {rate:12,.0f}  {rate / 500e3:.2f} of 500,000  "
          f"{rate / base:.1f} times socket.io-client ({base:,.0f})")
    print(f"the same with a filter             {a.events / filtered:12,.0f}")


def wait_for(what, condition):
    for _ in range(1200):
        if condition():
            return
        time.sleep(0.05)
    sys.exit(f"waited for {what}")


def idle(zk, flood):
    p = start([zk, "events", "tail", "-w", "idle"], flood.port, subprocess.DEVNULL)
    wait_for("a socket", lambda: flood.stats()["sockets"] == 1)
    time.sleep(1)
    print(f"RSS of one idle socket             {memory(p.pid):9.1f} MB  of 10 "
          f"({memory(p.pid, 'RssAnon'):.1f} private)")
    end(p)


def many(zk, n):
    flood = Flood(ping_ms=2000)
    names = ",".join(f"wf{i}" for i in range(n))
    p = start([zk, "events", "tail", "--sockets", "0", "-w", names], flood.port,
              subprocess.DEVNULL)
    wait_for("the sockets", lambda: flood.stats()["sockets"] == n)
    wait_for("pongs", lambda: flood.stats()["pongs"] >= 2 * n)
    print(f"RSS of {n:,} sockets               {memory(p.pid):9.1f} MB  of 20 "
          f"({memory(p.pid, 'RssAnon'):.1f} private), "
          f"{flood.stats()['sockets']} alive after {flood.stats()['pongs']} pongs")
    end(p)
    flood.close()


def slow(zk, seconds):
    flood = Flood(ping_ms=2000)
    p = start([zk, "events", "tail", "-w", "flood-100000000"], flood.port, subprocess.PIPE)
    p.stdout.read(65536)
    before = memory(p.pid)
    time.sleep(seconds)
    s = flood.stats()
    print(f"RSS while stdout is not read {seconds:3} s  {memory(p.pid, 'VmHWM'):8.1f} MB, "
          f"{memory(p.pid, 'VmHWM') - before:.1f} more than before (of 80); "
          f"{s['pongs']} pongs, {s['sockets']} connection")
    p.stdout.close()
    end(p)
    flood.close()


def overhead(zk, flood, seconds):
    p = start([zk, "events", "tail", "-w", "rate-1000", "--filter", "duration>100"], flood.port,
              subprocess.DEVNULL)
    wait_for("a socket", lambda: flood.stats()["sockets"] == 1)
    time.sleep(0.5)
    before = cpu_of(p.pid)
    time.sleep(seconds)
    print(f"CPU at 1,000 events/s with a filter {(cpu_of(p.pid) - before) / seconds * 100:7.1f} %"
          f"  of 5")
    end(p)


def main():
    p = argparse.ArgumentParser()
    p.add_argument("build")
    p.add_argument("--events", type=int, default=2000000)
    p.add_argument("--sockets", type=int, default=1000)
    p.add_argument("--seconds", type=int, default=60)
    a = p.parse_args()
    zk = os.path.join(a.build, "zk")
    flood = Flood()
    rates(zk, a, flood)
    idle(zk, flood)
    overhead(zk, flood, min(a.seconds, 10))
    flood.close()
    many(zk, a.sockets)
    slow(zk, a.seconds)


main()
