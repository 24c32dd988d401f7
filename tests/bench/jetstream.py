"""Measures `zk jetstream`: each goal of specs/jetstream.md §21 with the baselines of the same run;
prints one line per figure. scripts/bench runs it.

usage: jetstream.py BENCH-BUILD-DIR [--events N] [--rounds N] [--only PART,PART…]

Parts: ws file store cached redis latency live query. Events are those of the fixtures with moving
times, revisions and keys. Each rate is also told as a multiple of what the baseline of the same run
does, Node with `ws` and JSON.parse (part ws), which stores and looks up nothing. CPU seconds are
those of zk, all threads; a figure in events/CPU s does not depend on what else the machine does,
one in events/s does. Starting the program, and loading and saving the caches, is not counted.
"""

import argparse
import json
import os
import pathlib
import re
import shutil
import socket
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
USERS, POSTS = 50000, 40000
BARE, NODE = "bare loop of libwebsockets (the ceiling)", "Node, ws and JSON.parse (the baseline)"
MINE = "zk jetstream tail --host, all to /dev/null"


def fixtures():
    return ROOT / "tests/data/jetstream"


FIX = fixtures()


def make_events(path, n, kinds=None, start=0):
    """n events; `kinds`: only those (operation, collection-prefix) pass."""
    base = []
    for line in (FIX / "events.ndjson").read_text().rstrip("\n").split("\n"):
        e = json.loads(line)
        c = e.get("commit", {})
        if kinds and (c.get("operation") != "create" or not c["collection"].startswith(kinds)):
            continue
        base.append((line, e["time_us"], c.get("rev"), (e.get("identity") or e.get("account") or {}).get("seq")))
    first = base[0][1]
    span = base[-1][1] - first + 1000
    with open(path, "w", encoding="utf-8") as f:
        for i in range(n):
            k, j = divmod(i, len(base))
            line, t, rev, seq = base[j]
            line = line.replace(str(t), str((start or first) + t - first + k * span), 1)
            if rev:
                line = line.replace(rev, f"{rev[:8]}{k:05d}", 1)
            if seq:
                line = line.replace(str(seq), str(seq + k * 1000000), 1)
            f.write(line + "\n")
    return os.path.getsize(path) / n


def make_cache(path):
    """A saved cache that is full: what the fixtures know, and invented ones."""
    db = sqlite3.connect(path)
    db.execute("CREATE TABLE cache(kind INTEGER, id TEXT, json TEXT, put_us INTEGER)")
    db.execute("PRAGMA user_version=1")
    now = time.time_ns() // 1000
    for kind, name, want, key in ((0, "profiles.json", USERS, "did:plc:"), (1, "posts.json", POSTS, "at://did:plc:")):
        known = json.loads((FIX / name).read_text())
        dump = {k: json.dumps(v, separators=(",", ":"), ensure_ascii=False) for k, v in known.items()}
        rows, texts = list(dump.items()), list(dump.items())
        for i in range(want - len(rows)):
            old, text = texts[i % len(texts)]
            new = old[:len(key)] + f"{i:06d}" + old[len(key) + 6:]
            rows.append((new, text.replace(old, new)))
        # The real ones last: the first to go are the invented ones.
        db.executemany("INSERT INTO cache VALUES(?,?,?,?)", [(kind, k, v, now) for k, v in reversed(rows)])
    db.commit()
    db.close()


class Result:
    def __init__(self, seconds, use, rss_kb):
        self.seconds, self.use = seconds, use
        self.cpu = use.ru_utime + use.ru_stime
        self.rss = rss_kb * 1024


class Bench:
    def __init__(self, args):
        self.a = args
        self.zk = os.path.abspath(os.path.join(args.build, "zk"))
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="zk-bench-"))
        self.env = {"PATH": os.environ["PATH"], "HOME": str(self.dir), "XDG_DATA_HOME": str(self.dir),
                    "XDG_CACHE_HOME": str(self.dir)}
        self.events = self.dir / "events.ndjson"
        self.size = make_events(self.events, args.events)
        self.node = None  # events/s of the baseline

    def run(self, *args, check=True):
        # Through a small program: a child of Python begins with the size of Python.
        argv = ["/usr/bin/time", "-q", "-o", self.dir / "rss", "-f", "%M", self.zk, "jetstream", *args]
        start = time.monotonic()
        with open(self.dir / "err", "w+") as err:
            p = subprocess.Popen([str(x) for x in argv], env=self.env, stdin=subprocess.DEVNULL,
                                 stdout=subprocess.DEVNULL, stderr=err)
            _, status, use = os.wait4(p.pid, 0)
            seconds = time.monotonic() - start
            err.seek(0)
            text = err.read()
        if status and check:
            sys.exit(f"zk jetstream {' '.join(map(str, args))} ended with {status}: {text}")
        return Result(seconds, use, int((self.dir / "rss").read_text()))

    def rounds(self, *args, before=None):
        """After one run to warm up: all results."""
        out = []
        for i in range(self.a.rounds + 1):
            if before:
                before()
            r = self.run(*args)
            if i:
                out.append(r)
        return out

    def say(self, name, n, results, goal=None, extra=""):
        rates = [n / r.seconds for r in results]
        cpus = [n / r.cpu for r in results]
        rate = statistics.median(rates)
        note = f"; {rate / goal:.2f} of the goal {goal:,}" if goal else ""
        if self.node:
            note += f"; {rate / self.node:.1f} times Node"
        print(f"{name:52} {rate:11,.0f}/s ({min(rates):,.0f} to {max(rates):,.0f}){note}; "
              f"{statistics.median(cpus):,.0f}/CPU s; RSS {max(r.rss for r in results) / 2**20:.0f} MiB{extra}",
              flush=True)

    def without(self, args, results, before=None):
        """The results without what the same takes with one event, at best."""
        runs = []
        for _ in range(3):
            if before:
                before()
            runs.append(self.run(*[self.one if x in (self.events, self.creates) else x for x in args]))
        idle = Result(min(r.seconds for r in runs), runs[0].use, 0)
        idle.cpu = min(r.cpu for r in runs)
        for r in results:
            r.seconds -= idle.seconds
            r.cpu -= idle.cpu
        return results

    # ---- parts ----

    def file(self):
        for name, goal, flags in (
                ("a collection of nobody's", 2000000, ["--collection", "a.b.none", "--kind", "commit"]),
                ("an account of nobody's", 2000000, ["--collection", "*", "--did", "did:plc:nobody"]),
                ("--match of no text", None, ["--collection", "*", "--match", 'text ~ "zyzzyva"'])):
            self.tail(name, flags, goal)
        self.tail("everything to /dev/null", ["--collection", "*", "-o", "ndjson"])

    def tail(self, name, flags, goal=None):
        args = ("tail", "--from", self.events, *flags)
        self.say(f"tail --from FILE, {name}", self.a.events, self.without(args, self.rounds(*args)), goal)

    def host(self, file, n, rate=None):
        p = subprocess.Popen(["node", str(HERE / "jetstream_host.mjs"), str(file), str(n), *([str(rate)] if rate else [])],
                             stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        return p, int(p.stdout.readline())

    def ws(self):
        n = min(self.a.events, 300000)
        p, port = self.host(self.events, n)
        url = f"ws://127.0.0.1:{port}"
        peers = {
            BARE: [os.path.join(self.a.build, "tests/bench/bare_ws"), str(port), str(n)],
            NODE: ["node", str(HERE / "jetstream_node.mjs"), "ws", url, str(n)],
            "@skyware/jetstream": ["node", str(HERE / "jetstream_node.mjs"), "skyware", url, str(n)],
        }
        found = {}
        for i in range(self.a.rounds + 1):  # they take turns; the first turn warms up
            for name, argv in peers.items():
                out = subprocess.run(argv, check=True, capture_output=True, text=True, env=self.env).stdout
                if i:
                    found.setdefault(name, []).append([float(x) for x in out.split()])
            # The others begin to count with their first event.
            one, r = (self.run("tail", "--host", url, "--wire", "v1", "--collection", "*", "--limit", k, "-o", "ndjson")
                      for k in (1, n))
            if i:
                found.setdefault(MINE, []).append([r.seconds - one.seconds, r.cpu - one.cpu])
        p.communicate("x\n")
        rates = {name: n / statistics.median(x[0] for x in xs) for name, xs in found.items()}
        bare, self.node = rates[BARE], rates[NODE]
        for name, xs in found.items():
            goal = f"; {rates[name] / bare / 0.8:.2f} of the goal 0.8 of the ceiling" if name == MINE else ""
            print(f"{name:52} {rates[name]:11,.0f}/s; {rates[name] / bare:.2f} of the ceiling; "
                  f"{rates[name] / self.node:.1f} times Node{goal}; "
                  f"{n / statistics.median(x[1] for x in xs):,.0f}/CPU s", flush=True)

    def store_args(self, *more):
        return ["run", "--from", self.creates, "--collection", "*", "--store", self.dir / "store", "--min-free", "0",
                "--listen", "off", "--retention", "0", "--rotate", "24h", "--rotate-bytes", "16GiB", *more]

    @property
    def creates(self):
        path = self.dir / "creates.ndjson"
        if not path.exists():
            make_events(path, self.a.events, kinds="app.bsky.")
        return path

    @property
    def one(self):
        """A file of one event."""
        path = self.dir / "one.ndjson"
        if not path.exists():
            with self.creates.open() as f:
                path.write_text(f.readline())
        return path

    def fresh(self, cache=None):
        shutil.rmtree(self.dir / "store", ignore_errors=True)
        (self.dir / "store").mkdir()
        if cache:
            shutil.copy(cache, self.dir / "store/cache.db")

    def full_cache(self):
        path = self.dir / "cache.db"
        if not path.exists():
            make_cache(path)
        return path

    def count(self):
        n = full = 0
        for f in (self.dir / "store").glob("jetstream_*.db"):
            db = sqlite3.connect(f)
            a, b = db.execute("SELECT count(*), coalesce(sum(hydration = 2), 0) FROM records").fetchone()
            n, full = n + a, full + b
            db.close()
        return n, full

    def checked(self, full):
        n, hydrated = self.count()
        if n != self.a.events or (full and hydrated < n * 0.9):
            sys.exit(f"{n} of {self.a.events} events are stored, {hydrated} complete")
        return f"; lost 0, {hydrated / n:.0%} complete" if full else "; lost 0"

    def store(self):
        args = self.store_args("--hydrate", "none")
        results = self.rounds(*args, before=self.fresh)
        extra = self.checked(False)
        self.say("run --from FILE --hydrate none", self.a.events, self.without(args, results, self.fresh), extra=extra)

    CACHED = ("--hydrate", "cached", "--post-ttl", "12h", "--user-ttl", "12h")

    def cached(self):
        cache = self.full_cache()
        args, again = self.store_args(*self.CACHED), lambda: self.fresh(cache)
        results = self.rounds(*args, before=again)
        extra = self.checked(True)
        # Loading 90,000 objects and saving them again is no part of the rate.
        self.say("run --from FILE --hydrate cached, full caches", self.a.events, self.without(args, results, again),
                 100000, extra)

    def redis(self):
        binary = next((b for b in ("/usr/bin/redis-server", "/usr/bin/redis-check-rdb") if os.path.exists(b)), None)
        if not binary:
            print("redis: not installed")
            return
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            port = s.getsockname()[1]
        p = subprocess.Popen(["redis-server", "--port", str(port), "--save", "", "--appendonly", "no", "--bind", "127.0.0.1",
                              "--dir", str(self.dir)], executable=binary, stdout=subprocess.DEVNULL)
        while True:
            try:
                socket.create_connection(("127.0.0.1", port)).close()
                break
            except OSError:
                time.sleep(0.02)
        cache = self.full_cache()
        args = self.store_args(*self.CACHED, "--sink", "redis", "--redis", f"redis://127.0.0.1:{port}", "--grace", "10m")
        again = lambda: self.fresh(cache)
        results = self.rounds(*args, before=again)
        added = self.redis_added(port)
        want = self.a.events * (self.a.rounds + 1)
        if added != want:
            sys.exit(f"Redis got {added} of {want} records")
        extra = self.checked(True)
        self.say("the same with Redis as well", self.a.events, self.without(args, results, again), 60000, extra)
        p.terminate()
        p.wait()

    @staticmethod
    def redis_added(port):
        with socket.create_connection(("127.0.0.1", port)) as s:
            s.sendall(b"XINFO STREAM hydrated_jetstream\r\n")
            return int(re.search(rb"entries-added\r\n:(\d+)", s.recv(65536)).group(1))

    def latency(self, rate=5000, seconds=20, linger=("--linger", "5ms")):
        n = rate * seconds
        path = self.dir / "paced.ndjson"
        make_events(path, n, kinds="app.bsky.")
        p, port = self.host(path, n, rate)
        self.fresh(self.full_cache())
        ready = self.dir / "ready"
        ready.unlink(missing_ok=True)
        z = subprocess.Popen([self.zk, "jetstream", "run", "--host", f"ws://127.0.0.1:{port}", "--wire", "v1", "--collection",
                              "*", *self.CACHED, "--store", str(self.dir / "store"), "--min-free", "0", *linger,
                              "--listen", "127.0.0.1:0", "--ready-file", str(ready)], env=self.env, stderr=subprocess.DEVNULL)
        while not ready.exists() or not ready.read_text():
            time.sleep(0.02)
        api = "http://" + json.loads(ready.read_text())["api"][0]
        get = lambda path: urllib.request.urlopen(api + path).read().decode()
        before = self.cpu_of(z.pid)
        end = time.monotonic() + 3 * seconds + 60
        while json.loads(get("/stats"))["data"]["events_stored"] < n:
            if time.monotonic() > end:
                sys.exit(f"{n} events were sent, stored are {get('/stats')}")
            time.sleep(0.5)
        buckets = [(float(le), int(c)) for le, c in
                   re.findall(r'zk_jetstream_latency_seconds_bucket\{le="([0-9.]+)"\} (\d+)', get("/metrics"))]
        cpu = self.cpu_of(z.pid) - before
        rss = int(re.search(r"VmHWM:\s+(\d+)", open(f"/proc/{z.pid}/status").read()).group(1))
        z.terminate()
        z.wait()
        p.communicate("x\n")

        def quantile(q):
            last = 0.0, 0
            for le, c in buckets:
                if c >= q * n:
                    return last[0] + (le - last[0]) * (q * n - last[1]) / max(c - last[1], 1)
                last = le, c
            return float("inf")
        within = dict(buckets)[0.01] / n
        print(f"receipt to commit at {rate:,}/s, {linger[1] if linger else '50ms'} of linger: p50 {quantile(.5) * 1000:.1f}, "
              f"p99 {quantile(.99) * 1000:.1f}, p99.9 {quantile(.999) * 1000:.1f} ms, {within:.2%} within 10 ms; "
              f"CPU {cpu / seconds:.1%} of one core; RSS {rss / 1024:.0f} MiB; lost 0", flush=True)

    @staticmethod
    def cpu_of(pid):
        with open(f"/proc/{pid}/stat") as f:
            return sum(map(int, f.read().rsplit(")", 1)[1].split()[11:13])) / os.sysconf("SC_CLK_TCK")

    def live(self):
        self.latency(rate=1000, seconds=15, linger=())

    def query(self):
        self.fresh()
        plain = ("--hydrate", "none", "--rotate-bytes", "64MiB", "--compress", "none")
        self.run(*self.store_args(*plain, "--limit", min(self.a.events, 200000)))
        # The first makes a new file for its one event, the second seals what the first left.
        for _ in range(2):
            self.run(*[self.one if x == self.creates else x for x in self.store_args(*plain, "--rotate", "1ms")])
        files = len(list((self.dir / "store").glob("jetstream_*.db"))) - 1
        did = json.loads(self.creates.open().readline())["did"]
        idle = self.run("query", "--store", self.dir / "nothing", "--did", did, check=False)
        times = []
        for i in range(self.a.rounds + 1):
            r = self.run("query", "--store", self.dir / "store", "--did", did, "--limit", "1000000", "--fields", "at_uri")
            if i:
                times.append((r.seconds - idle.seconds) * 1000 / files)
        ms = statistics.median(times)
        print(f"query --did over {files} sealed files: {ms:.1f} ms a file; {ms / 10:.2f} of the 10 ms that are allowed", flush=True)


def main():
    p = argparse.ArgumentParser()
    p.add_argument("build")
    p.add_argument("--events", type=int, default=500000)
    p.add_argument("--rounds", type=int, default=5)
    p.add_argument("--only", default="ws,file,store,cached,redis,latency,live,query")
    a = p.parse_args()
    b = Bench(a)
    print(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} CPUs; {a.events:,} events of {b.size:.0f} bytes", flush=True)
    try:
        for part in a.only.split(","):
            getattr(b, part)()
    finally:
        shutil.rmtree(b.dir, ignore_errors=True)


main()
