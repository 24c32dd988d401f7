"""specs/triggers.md §18.3 and 11: kill -9 under load, a full disk, shutdown under load, a second
TERM, a locked, damaged or newer database.

TEST_ROUNDS (default 5) is the number of kill rounds; scripts/test --all runs 50."""

import bisect
import collections
import os
import signal
import sqlite3
import sys
import threading
import time

import zkt
from triggers_lib import FAST, LEASE_S, Load, Triggers, stored

ROUNDS = int(os.environ.get("TEST_ROUNDS", "5"))


def mark(sink):
    """The number of a connection that is made now: they are numbered as they were made."""
    with zkt.Raw((sink.host, sink.port)) as c:
        zkt.need(c.request("POST", "/killed", b"").status == 200, "the sink to answer")
    return next(r.connection for r in reversed(sink.requests) if r.path == "/killed")


def test_kill_under_load():
    """Every 202 is in the inbox exactly once; every due delivery happens, and none twice outside
    the crash window (an attempt whose answer came, but whose outcome was not yet on disk)."""
    s = Triggers(*FAST)
    with zkt.Sink() as sink:
        push, pull = s.org("push"), s.org("pull")
        push.webhook(sink.url)
        keys = [push.key, pull.key]
        accepted, crashes, marks = {}, [], []
        for _ in range(ROUNDS):
            load = Load(s, keys)
            zkt.wait_for(lambda: len(load.accepted) > 20, "the load to run")
            time.sleep(zkt.rng.uniform(0.01, 0.4))
            s.kill()
            crashes.append(time.monotonic())
            marks.append(mark(sink))
            load.join()
            accepted.update({id: o for id, o in load.accepted.values()})
            s = s.restart(*FAST)
            push.server = pull.server = s
        zkt.note(f"{len(accepted)} events accepted in {ROUNDS} rounds, seed {zkt.SEED}")
        found = stored(push) + stored(pull)
        lost = [i for i in accepted if not found[i]]
        double = [i for i, n in found.items() if n > 1]
        zkt.equal((lost, double), ([], []), f"every 202 is there exactly once ({ROUNDS} rounds)")
        due = {id for id, o in accepted.items() if o == 0}
        zkt.wait_for(lambda: push.inbox(status="pending", limit=1)["count"] == 0,
                     "all deliveries to be done", timeout_s=60 + LEASE_S)
        # The connections of one server come before the mark that was set when it was killed.
        times = collections.defaultdict(list)
        for r in sink.requests:
            if r.path != "/killed":
                times[r.header("webhook-id")].append((bisect.bisect(marks, r.connection), r.at))
        again = [pair for t in map(sorted, times.values()) for pair in zip(t, t[1:])]
        zkt.equal([i for i in due if i not in times], [], "every due delivery happened")
        zkt.equal([(x, y) for x, y in again if x[0] == y[0]], [],
                  f"no server delivers one twice ({len(again)} came again after a crash)")
        before = [crashes[x[0]] - x[1] for x, y in again if x[0] < y[0]]
        zkt.ok(max(before, default=0) < 2 * zkt.SLOW, "and only what was not known to be done: "
               f"at most {max(before, default=0):.2f} s before the crash")
    zkt.equal(s.stop(), 0, "the last server ends well")


def test_stop_under_load():
    s = Triggers(*FAST)
    with zkt.Sink() as sink:
        org = s.org()
        org.webhook(sink.url)
        load = Load(s, [org.key], threads=16)
        zkt.wait_for(lambda: len(load.accepted) > 100, "the load to run")
        start = time.monotonic()
        s.signal(signal.SIGTERM)
        load.join()
        zkt.equal(s.wait(15), 0, "exit 0 within the grace time")
        zkt.ok(time.monotonic() - start < 12, "in time")
        zkt.ok(set(load.other) <= {503}, "answers are 202 or 503", load.other)
        with s.restart(*FAST) as again:
            org.server = again
            found = stored(org)
            zkt.equal([i for i, _ in load.accepted.values() if found[i] != 1], [], "no 202 lost")
            zkt.ok(len(found) - len(load.accepted) <= load.unanswered,
                   "no request that was stored went without an answer",
                   len(found), len(load.accepted), load.unanswered)


def test_second_term():
    with Triggers(*FAST) as s, zkt.Sink([zkt.Answer(200, delay_s=30)] * 5) as sink:
        org = s.org()
        org.webhook(sink.url)
        id = org.sent()
        zkt.wait_for(lambda: sink.requests, "an attempt under way")
        s.signal(signal.SIGTERM)
        time.sleep(0.3)
        zkt.equal(s.status, None, "the first TERM waits for the attempt")
        start = time.monotonic()
        s.signal(signal.SIGTERM)
        zkt.equal(s.wait(5), 128 + signal.SIGTERM, "the second ends it now, by the signal's number")
        zkt.ok(time.monotonic() - start < 5, "at once")
        with s.restart("--no-delivery") as again:
            org.server = again
            zkt.equal(org.event(id).status, 200, "and nothing is lost")


def test_disk_full():
    with zkt.SmallDisk("3m") as disk:
        if not disk.folder:
            zkt.skip("disk full", "needs the right to mount a small file system")
            return
        with Triggers(*FAST, db=disk.folder + "/t.db") as s:
            org = s.org()
            ids, refused = [], 0
            for i in range(200):
                r = org.send(payload={"text": "x" * 50000, "i": i})
                if r.status == 202:
                    ids.append(r.json["id"])
                else:
                    refused += 1
                    zkt.need(r.status == 503 and r.json["code"] == "storage_unavailable",
                             f"a clean refusal, not {r!r}")
                    if refused > 20:
                        break
            zkt.ok(ids and refused > 20, f"{len(ids)} fit, then 503 storage_unavailable")
            zkt.equal(s.api("GET", "/health").status, 503, "health says so")
            zkt.equal(s.api("GET", "/health/ready").json["status"], "not_ready", "readiness too")
            zkt.equal(s.api("GET", "/health/live").status, 200, "the process lives")
            found = stored(org)
            zkt.equal([i for i in ids if found[i] != 1], [], "every 202 is there")
            disk.grow("30m")
            zkt.wait_for(lambda: s.api("GET", "/health").status == 200, "health to come back", 20)
            ids.append(org.sent())
            s.kill()
            with s.restart(*FAST) as again:
                org.server = again
                found = stored(org)
                zkt.equal([i for i in ids if found[i] != 1], [], "also after a crash")


def test_store_refused():
    with Triggers(db=zkt.tmp() + "/t.db") as s:
        p = zkt.zk("triggers", "serve", "--listen", "127.0.0.1:0", "--db", s.db)
        zkt.equal(p.status, 73, "a second server on the same file")
        zkt.contains(str(s.pid), p.err, "is told who has it")
        taken = zkt.zk("triggers", "serve", "--listen", f"127.0.0.1:{s.port}", "--db",
                       zkt.tmp() + "/x.db")
        zkt.equal(taken.status, 71, "a taken port")
        zkt.contains("ZK1303", taken.err, "with its code")
    db = sqlite3.connect(s.db)
    db.execute("PRAGMA user_version=9999")
    db.commit()
    db.close()
    p = zkt.zk("triggers", "serve", "--listen", "127.0.0.1:0", "--db", s.db)
    zkt.equal(p.status, 78, "a newer database", p.err)
    bad = zkt.write(zkt.tmp() + "/bad.db", b"this is not a database " * 1000)
    p = zkt.zk("triggers", "serve", "--listen", "127.0.0.1:0", "--db", bad)
    zkt.equal(p.status, 74, "a damaged database", p.err)
    zkt.contains("ZK8003", p.err, "with its code")
    zkt.equal(open(bad, "rb").read(23), b"this is not a database ", "and it is left as it was")
    p = zkt.zk("triggers", "serve", "--listen", "127.0.0.1:0", "--db", "/nonexistent/x/t.db")
    zkt.equal(p.status, 73, "a folder that is not there", p.err)


def test_new_secret():
    one = zkt.write(zkt.tmp() + "/one", "first-server-secret-0123456789\n")
    two = zkt.write(zkt.tmp() + "/two", "second-server-secret-0123456789\n")
    with Triggers("--webhook-secret-file", one) as s:
        org = s.org()
        secret = org.webhook("http://127.0.0.1:9/")["signing_secret"]
    p = zkt.zk("triggers", "serve", "--listen", "127.0.0.1:0", "--db", s.db,
               "--webhook-secret-file", two)
    zkt.equal(p.status, 78, "another server secret is refused", p.err)
    zkt.contains("--accept-new-secret", p.err, "with the way out")
    with s.restart("--webhook-secret-file", two, "--accept-new-secret") as again:
        org.server = again
        zkt.equal(org.api("GET", "/api/keys").status, 200, "accepted: keys still work")
        r = org.api("POST", "/api/webhook/secret/rotate", {})
        zkt.ok(r.json["signing_secret"] != secret, "signing secrets changed")
    with s.restart("--webhook-secret-file", two) as again:
        zkt.equal(again.api("GET", "/health").status, 200, "from then on it is the server's secret")
    short = zkt.write(zkt.tmp() + "/short", "short\n")
    p = zkt.zk("triggers", "serve", "--listen", "127.0.0.1:0", "--db", zkt.tmp() + "/n.db",
               "--webhook-secret-file", short)
    zkt.equal(p.status, 78, "a secret under 16 bytes is refused", p.err)


def test_wal_is_bounded():
    """The write-ahead log stays small under a steady load."""
    with Triggers("--rate-limit", "enterprise=0", "--no-delivery",
                  db=zkt.tmp() + "/t.db") as s:
        org = s.org()
        load = Load(s, [org.key], threads=12)
        largest = 0
        end = time.monotonic() + 6
        while time.monotonic() < end:
            largest = max(largest, os.path.getsize(s.db + "-wal"))
            time.sleep(0.05)
        load.over.set()
        load.join()
        zkt.ok(largest < 64 << 20, f"largest WAL {largest >> 20} MiB of {len(load.accepted)} events")


if __name__ == "__main__":
    sys.exit(zkt.main())
