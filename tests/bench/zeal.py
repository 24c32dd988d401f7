"""Measures `zk trace push` against a server that does nothing (null_zeal.c); prints one line per
figure. Figures are per second of zk's CPU. scripts/bench runs it.

usage: zeal.py BENCH-BUILD-DIR [--events N] [--bytes N]
"""

import argparse
import os
import pathlib
import subprocess
import sys
import tempfile

from pin import one_cpu

HERE = pathlib.Path(__file__).resolve().parent
DATA = HERE.parent / "data/zeal/traces/events-5000.ndjson"


class Null:
    def __init__(self, build, *how):
        self.p = subprocess.Popen([os.path.join(build, "tests/bench/null_zeal"), *how],
                                  stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.url = f"http://127.0.0.1:{self.p.stdout.readline().strip()}"

    def close(self):
        """Ends it; the 99th percentile of the time from an answer to the next request."""
        self.p.stdin.close()
        gap_us = int(self.p.stdout.readline())
        self.p.wait()
        return gap_us


def run(zk, null, args, feed=None):
    """CPU seconds and peak RSS of one run of zk; `feed` yields its stdin.

    A child's ru_maxrss begins with the size of this process, so time(1) starts zk and measures;
    its own share of the CPU time is below a millisecond."""
    home = tempfile.mkdtemp()
    env = {"PATH": os.environ["PATH"], "HOME": home, "ZK_ZEAL_BASE_URL": null.url}
    p = subprocess.Popen(["time", "-q", "-f", "%M", "-o", home + "/peak",
                          zk, "trace", "push", "-s", "fts_bench", *args], env=env,
                         stdin=subprocess.PIPE if feed else subprocess.DEVNULL)
    if feed:
        for block in feed:
            p.stdin.write(block)
        p.stdin.close()
    _, status, use = os.wait4(p.pid, 0)
    if status:
        sys.exit(f"zk ended with {status}")
    peak = int(pathlib.Path(home, "peak").read_text()) * 1024
    subprocess.run(["rm", "-r", home], check=True)
    return use.ru_utime + use.ru_stime, peak


def single(build, block, start, where, *how):
    n = 20000
    gaps, null = Null(build, *how), Null(build, *how)
    cpu, _ = run(os.path.join(build, "zk"), gaps, ["--batch", "1"],
                 feed=(block for _ in range(n // 5000)))
    print(f"from an answer to the next request, p99   {gaps.close() / 1000:9.2f} ms  of 1 ms "
          f"(zk's own part of a push, and the way there and back), {where}")
    rate = n / (cpu - start)
    node = float(subprocess.run(["node", str(HERE / "zeal_fetch.mjs"), null.url, str(n)],
                                input=block, stdout=subprocess.PIPE, check=True).stdout)
    null.close()
    print(f"requests of one event/CPU s               {rate:12,.0f}  "
          f"{rate / (n / node):.1f} times plain fetch in Node ({n / node:,.0f}), {where}")


def main():
    p = argparse.ArgumentParser()
    p.add_argument("build")
    p.add_argument("--events", type=int, default=2000000)
    p.add_argument("--bytes", type=int, default=1 << 30)
    a = p.parse_args()
    zk = os.path.join(a.build, "zk")
    block = DATA.read_bytes()
    null = Null(a.build)
    times = a.events // 5000
    start, _ = run(zk, null, [], feed=[block[:block.index(b"\n") + 1]])
    cpu, rss = run(zk, null, [], feed=(block for _ in range(times)))
    rate = times * 5000 / (cpu - start)
    print(f"events/CPU s at batch 1000, from a pipe   {rate:12,.0f}  "
          f"{rate / 1e6:.2f} of 1,000,000   peak RSS {rss / 1e6:.1f} MB")

    with one_cpu():
        single(a.build, block, start, "on one CPU")
    single(a.build, block, start, "on all")
    single(a.build, block, start, "on all, the server does not sleep", "awake")

    with tempfile.NamedTemporaryFile(suffix=".ndjson") as f:
        while f.tell() < a.bytes:
            f.write(block)
        f.flush()
        cpu, rss = run(zk, null, ["--on-error", "skip", "--rejects", "/dev/null", f.name])
        print(f"peak RSS while pushing {f.tell() / 1e9:.2f} GB from a file {rss / 1e6:9.1f} MB  "
              f"{rss / 1e7:.2f} of 10 MB   CPU {cpu:.1f} s")
    null.close()


main()
