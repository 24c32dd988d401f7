"""`zk zerobus send` when everything goes wrong: kill -9 at random moments, with resume by receipts
and with the spool; random cuts, lost acknowledgements and expiring tokens of the stand-in; input
that never ends; a closed stdout; no socket in a dry run; secrets nowhere (specs/zerobus.md §23, end
to end).

TEST_ROUNDS (2), TEST_ROWS (20000): 20 and 1000000 are the long form of the issue.
"""

import contextlib
import json
import os
import pathlib
import re
import signal
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../lib"))
import zkt  # noqa: E402

ROUNDS = int(os.environ.get("TEST_ROUNDS", "2"))
ROWS = int(os.environ.get("TEST_ROWS", "20000"))
TABLE = "main.default.t"
# Chaos cuts within the first 60,000 rows of a stream.
CHAOS_ROWS = max(ROWS, 100000)
LIMIT_S = 60 + CHAOS_ROWS // 1000
SUMS = re.compile(r"read ([\d,]+) = acked ([\d,]+) \+ rejected ([\d,]+) \+ spooled ([\d,]+) \+ "
                  r"skipped ([\d,]+)")


def rows(n, start=0):
    return b"".join(b'{"n":%d,"text":"row of the test"}\n' % (start + i) for i in range(n))


class Fake(zkt.Server):
    def __init__(self, *more):
        self.out_dir = zkt.tmp()
        super().__init__("fake", "zerobus", "--out", self.out_dir, *more)
        self.grpc, self.http = self.ready["grpc"], self.ready["http"]

    def stats(self):
        with zkt.Raw(self.addresses[1]) as c:
            return json.loads(c.request("GET", "/stats").body)

    def numbers(self):
        """The rows of the table, by number; the stand-in writes them when it is asked."""
        self.stats()
        path = pathlib.Path(self.out_dir, TABLE + ".ndjson")
        if not path.exists():
            return []
        return [json.loads(line)["n"] for line in path.read_text().splitlines()]


def send(fake, home, *more):
    return ("zerobus", "send", "-t", TABLE, "--endpoint", fake.grpc, "--auth", "none", "-v",
            "--progress", "none", "--retry-base", "5ms", "--retry-cap", "20ms", "--retries", "30",
            "--batch-rows", "200", "--ack-timeout", "2s", *more), {"HOME": home}


def sums(err):
    found = SUMS.search(err)
    return [int(t.replace(",", "")) for t in found.groups()] if found else None


def killed_after(p, seconds):
    """Lets it run for so long, then KILL; False when it ended before."""
    until = time.monotonic() + seconds
    while time.monotonic() < until and p.status is None:
        with contextlib.suppress(InterruptedError):
            os.sched_yield()
    ended = p.status is not None
    p.kill()
    return not ended


def test_kill_9_of_a_file_and_resume():
    kills = 0
    for i in range(ROUNDS):
        home = zkt.tmp()
        file = zkt.write(home + "/rows.ndjson", rows(ROWS))
        receipts = home + "/receipts"
        with Fake("--chaos", str(100 + i)) as fake:
            for _ in range(3):
                args, env = send(fake, home, file, "--receipts", receipts, "--on-error", "skip",
                                 "--rejects", home + "/rejects",
                                 *(["--resume", receipts] if os.path.exists(receipts) else []))
                kills += killed_after(zkt.Process(*args, env=env), zkt.rng.uniform(0.05, 0.6))
            args, env = send(fake, home, file, "--receipts", receipts, "--resume", receipts)
            last = zkt.zk(*args, env=env, timeout_s=LIMIT_S)
            got, st = fake.numbers(), fake.stats()
            zkt.ok(last.status == 0 and set(got) == set(range(ROWS)) and not st["violations"],
                   f"round {i}: every row of the file arrived", last, st, len(set(got)))
    zkt.ok(kills > 0, f"killed {kills} times")


def test_kill_9_with_durable_then_flush():
    for i in range(ROUNDS):
        home = zkt.tmp()
        with Fake("--chaos", str(200 + i)) as fake:
            args, env = send(fake, home, "--durable")
            env.update(ZK_ZEROBUS_ENDPOINT=fake.grpc, ZK_ZEROBUS_AUTH="none")
            p = zkt.Process(*args, env=env, stdin=zkt.PIPE)
            data, at = rows(ROWS), 0
            os.set_blocking(p.stdin.fileno(), False)
            until = time.monotonic() + zkt.rng.uniform(0.3, 1.5)
            while time.monotonic() < until and at < len(data):
                with contextlib.suppress(BlockingIOError):
                    at += os.write(p.stdin.fileno(), data[at:at + 65536])
            p.kill()
            exported = zkt.zk("spool", "export", env=env)
            kept = {r["body"]["n"] for r in exported.rows if r["type"] == "record"}
            flushed = zkt.zk("spool", "flush", "--retries", "30", "--retry-base", "5ms",
                             "--retry-cap", "20ms", env=env, timeout_s=LIMIT_S)
            got = set(fake.numbers())
            left = [r for r in zkt.zk("spool", "export", env=env).rows if r["type"] == "record"]
            zkt.ok(flushed.status == 0 and not left and kept <= got and
                   got == set(range(len(got))),
                   f"round {i}: what was read is at the service, {len(kept)} rows by the spool",
                   flushed, len(kept), len(got), len(left))


def test_cuts_lost_acknowledgements_and_expiring_tokens():
    cuts = 0
    for i in range(ROUNDS):
        home = zkt.tmp()
        secret = zkt.write(home + "/secret", "not-a-secret-at-all\n")
        file = zkt.write(home + "/rows.ndjson", rows(CHAOS_ROWS))
        with Fake("--chaos", str(1 + i), "--auth", "--token-life", "1s") as fake:
            args, env = send(fake, home, file, "--workspace-url", fake.http, "--workspace-id", "1",
                             "--client-id", "c", "--client-secret-file", secret, "--schema", "input",
                             "--rate", f"{CHAOS_ROWS // 3}/s", "--max-inflight", "50")
            args = tuple(a for k, a in enumerate(args)
                         if a != "--auth" and args[k - 1] != "--auth")
            r = zkt.zk(*args, env=env, timeout_s=LIMIT_S)
            got, st = fake.numbers(), fake.stats()
            cuts += st["cuts"]
            twice = len(got) - len(set(got))
            resent = int(re.search(r"resent ([\d,]+)", r.err)[1].replace(",", ""))
            zkt.ok(r.status == 0 and set(got) == set(range(CHAOS_ROWS)) and not st["violations"] and
                   sums(r.err) == [CHAOS_ROWS, CHAOS_ROWS, 0, 0, 0] and twice <= resent and st["tokens"] > 1,
                   f"seed {1 + i}: all there, {st['cuts']} cuts, {st['tokens']} tokens, {twice} twice "
                   f"of {resent} sent again", r, st)
    zkt.ok(cuts > 0, f"{cuts} cuts in all")


def test_eight_streams_one_of_which_is_refused():
    home = zkt.tmp()
    plan = zkt.write(home + "/plan", json.dumps(
        [{}, {}, {}, {"refuse": True, "code": 5, "text": "no"}, {}]))
    with Fake("--plan", plan) as fake:
        args, env = send(fake, home, zkt.write(home + "/rows.ndjson", rows(ROWS)), "--streams", "8")
        r = zkt.zk(*args, env=env, timeout_s=LIMIT_S)
        zkt.ok(r.status == 0 and set(fake.numbers()) == set(range(ROWS)),
               "its rows go to the others", r, fake.stats())


def test_input_that_never_ends():
    home = zkt.tmp()
    with Fake() as fake:
        args, env = send(fake, home, "--linger", "50ms")
        with zkt.Process(*args, env=env, stdin=zkt.PIPE) as p:
            n = 0
            for _ in range(20):
                p.stdin.write(rows(5, n))
                p.stdin.flush()
                n += 5
                zkt.wait_for(lambda: fake.stats()["rows"] >= n,
                             f"{n} rows to be there while stdin stays open")
            p.stdin.write(b'{"n":100}\n{"n":')
            p.stdin.flush()
            zkt.wait_for(lambda: fake.stats()["rows"] >= n + 1, "one more row")
            p.signal(signal.SIGTERM)
            status = p.wait()
            read = sums(p.err)
            zkt.ok(status == 128 + signal.SIGTERM and read and read[0] == sum(read[1:]) and
                   read[1] == n + 1, "TERM ends it; what was read is acknowledged", p.err)


def test_a_closed_stdout():
    home = zkt.tmp()
    with Fake() as fake:
        args, env = send(fake, home, zkt.write(home + "/rows.ndjson", rows(100)))
        r = zkt.Process("-c", 'exec "$@" >&-', "sh", zkt.ZK, *args, env=env, argv0="/bin/sh")
        zkt.ok(r.wait() == 0 and len(fake.numbers()) == 100, "everything is delivered", r.err)


def test_a_dry_run_opens_no_socket():
    home = zkt.tmp()
    log = home + "/strace"
    file = zkt.write(home + "/rows.ndjson", rows(100))
    p = zkt.Process("-f", "-o", log, "-e", "trace=socket,connect", zkt.ZK, "zerobus", "send", "-t",
                    TABLE, "--endpoint", "https://127.0.0.1:9", "--dry-run", file,
                    env={"HOME": home, "ASAN_OPTIONS": "detect_leaks=0"}, argv0="strace")
    p.wait()
    text = pathlib.Path(log).read_text() if os.path.exists(log) else ""
    if "ptrace" in p.err or not text:
        zkt.skip("dry run", "strace does not work here")
        return
    zkt.ok(p.status == 0 and "socket(" not in text and "100 rows" in p.err,
           "no socket, and it says what it would send", p.err, text[-500:])


def test_secrets_are_nowhere():
    home = zkt.tmp()
    canary = "canary-9f3c8e71-secret"
    secret = zkt.write(home + "/secret", canary + "\n")
    with Fake("--auth") as fake:
        args, env = send(fake, home, "--workspace-url", fake.http, "--workspace-id", "1",
                         "--client-id", "c", "--client-secret-file", secret, "-vv",
                         "--trace=headers,bodies,curl", "--schema", "input",
                         "--status-fd", home + "/status", "--receipts", home + "/receipts")
        args = tuple(a for k, a in enumerate(args) if a != "--auth" and args[k - 1] != "--auth")
        p = zkt.Process(*args, env=env, stdin=zkt.PIPE)
        p.stdin.write(rows(3))
        p.stdin.flush()
        zkt.wait_for(lambda: fake.stats()["rows"] >= 3, "rows to be there")
        line = pathlib.Path(f"/proc/{p.pid}/cmdline").read_bytes()
        p.stdin.close()
        status = p.wait()
        texts = [p.err, p.out, line.decode(), fake.err]
        for file in pathlib.Path(home).rglob("*"):
            if file.is_file() and file.name != "secret":
                texts.append(file.read_text("utf-8", "replace"))
        zkt.ok(status == 0 and not any(canary in t for t in texts), "the client secret", p.err)
        zkt.ok(not any("fake-token-" in t for t in texts), "the token",
               [t for t in texts if "fake-token-" in t][:1])


zkt.main()
