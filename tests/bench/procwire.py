"""Measures `zk procwire worker` against the real Node child (@procwire/client), both driven by
`zk procwire bench` in the same run; prints one line per figure. scripts/bench runs it.

usage: procwire.py BENCH-BUILD-DIR [--seconds N]
"""

import argparse
import json
import os
import pathlib
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
CHILD = HERE.parent / "peer/tools/procwire_child.mjs"
YAML = HERE.parent / "peer/worker.yaml"
# Name, options, and whether both processes share one CPU.
CASES = (
    ("1 KB raw, 128 in flight", ["--raw", "-m", "raw"], None),
    ("1 KB msgpack echo, 128 in flight", ["-m", "echo"], None),
    ("10 MB raw echo, 4 in flight", ["--raw", "-m", "raw", "-s", "10MB", "-w", "4"], None),
    ("1 KB round trip, one CPU", ["--raw", "-m", "raw", "-w", "1"], 1),
    ("1 KB round trip, two CPUs", ["--raw", "-m", "raw", "-w", "1"], 2),
)


def bench(zk, options, seconds, command, cpus):
    args = [zk, "procwire", "bench", "-o", "json", "-t", f"{seconds}s", *options, "--"]
    if cpus == 1:
        args = ["taskset", "-c", "1", *args, *command]
    elif cpus == 2:
        args = ["taskset", "-c", "0", *args, "taskset", "-c", "1", *command]
    else:
        args = [*args, *command]
    return json.loads(subprocess.run(args, check=True, capture_output=True, text=True).stdout)


def line(r):
    return (f"{r['calls_per_s']:,}/s  {r['mb_per_s'] / 1000:.2f} GB/s  p50 {r['p50_us']} p99 {r['p99_us']} us  "
            f"worker CPU {r['worker_cpu_us_per_call']:.2f} us/call {r['worker_cpu_s_per_gb']:.2f} s/GB  "
            f"RSS idle {r['worker_idle_kb'] / 1000:.1f} peak {r['worker_peak_kb'] / 1000:.1f} MB")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("build")
    parser.add_argument("--seconds", type=int, default=5)
    a = parser.parse_args()
    zk = os.path.abspath(os.path.join(a.build, "zk"))
    ours = [zk, "procwire", "worker", "--config", str(YAML)]
    node = ["node", str(CHILD)]
    print(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} CPUs", flush=True)
    for name, options, cpus in CASES:
        x = bench(zk, options, a.seconds, ours, cpus)
        y = bench(zk, options, a.seconds, node, cpus)
        print(f"{name}\n  zk    {line(x)}\n  Node  {line(y)}\n"
              f"  ratio {x['calls_per_s'] / max(y['calls_per_s'], 1):.1f} in calls, "
              f"{y['worker_cpu_us_per_call'] / x['worker_cpu_us_per_call']:.1f} in CPU", flush=True)
    return 0


sys.exit(main())
