"""`zk triggers migrate --from FILE --to postgres://…` while the server on the file goes on: every
accepted event arrives, byte for byte, with its state, and keys and deduplication go on.

TEST_EVENTS (default 2,000) events are there before it starts."""

import hashlib
import json
import os
import sqlite3
import subprocess
import sys
import time

import services
import triggers_lib
import zkt
from triggers_lib import FAST, Load, Triggers, psql, stored

EVENTS = int(os.environ.get("TEST_EVENTS", "2000"))
pg = services.start("pg")
os.environ["PGBIN"] = pg.env["PGBIN"]
triggers_lib.PG_URL = pg.db_url


def fill(org, n):
    done = 0
    with org.server.raw(timeout_s=60) as c:
        while done < n:
            part = min(500, n - done)
            body = [{"type": f"type.{i % 7}", "dedup_id": f"fill-{done + i}",
                     "payload": {"n": done + i, "text": "ä\u0000☃" * (i % 5), "x": 1.10}}
                    for i in range(part)]
            r = c.request("POST", "/api/events/batch", body, {"X-API-Key": org.key})
            zkt.need(r.status == 202, f"a batch: {r!r}")
            done += part
            if r.header("Connection") == "close":
                return fill(org, n - done)


def digest(rows):
    """Of ids and payloads, in the order of ids."""
    h = hashlib.sha256()
    n = 0
    for id, payload in rows:
        h.update(id)
        h.update(payload)
        n += 1
    return n, h.hexdigest()


def of_file(path):
    db = sqlite3.connect(path)
    try:
        return digest(db.execute("SELECT id, CAST(payload AS BLOB) FROM events ORDER BY id"))
    finally:
        db.close()


def of_server(url):
    p = subprocess.Popen([pg.env["PGBIN"] + "/psql", url, "-qAtX", "-c",
                          "COPY (SELECT encode(uuid_send(id),'hex'),"
                          "encode(convert_to(payload::text,'UTF8'),'hex') FROM events ORDER BY id)"
                          " TO STDOUT"], stdout=subprocess.PIPE, text=True)
    with p.stdout:
        result = digest(map(bytes.fromhex, line.split("\t")) for line in p.stdout)
    p.wait()
    return result


def test_moves_while_writes_go_on():
    url = triggers_lib.fresh_schema()
    old = Triggers(*FAST, "--head-timeout", "60s", "--max-requests", "100000000",
                   db=zkt.tmp() + "/t.db")
    with old, zkt.Sink() as sink:
        push, pull = old.org("push"), old.org("pull")
        push.webhook(sink.url)
        fill(pull, EVENTS)
        first = push.sent(dedup_id="first")
        acked = pull.sent(dedup_id="acked")
        load = Load(old, [push.key, pull.key], threads=4)
        zkt.wait_for(lambda: len(load.accepted) > 20, "the load to run")
        start = time.monotonic()
        p = zkt.Process("triggers", "migrate", "--from", old.db, "--to", url, "-o", "json", "-v")
        zkt.wait_for(lambda: psql("SELECT to_regclass('server_state') IS NOT NULL", url=url) ==
                     [["t"]], "the copy to begin", 30)
        zkt.equal(pull.api("POST", f"/api/ack/{acked}", {}).status, 200, "acknowledged meanwhile")
        zkt.wait_for(lambda: "up to date" in p.err or p.status is not None, "it to catch up", 600)
        zkt.need(p.status is None, f"it waits: {p.err}")
        caught_up = time.monotonic() - start
        refused = zkt.zk("triggers", "serve", "--listen", "127.0.0.1:0", "--db", url,
                         env={"WEBHOOK_SECRET": "x" * 32})
        zkt.equal(refused.status, 75, "no server starts on a half-copied database", refused.err)
        before = len(load.accepted)
        zkt.wait_for(lambda: len(load.accepted) > before + 20, "writes to go on")
        load.over.set()
        load.join()
        zkt.wait_for(lambda: push.inbox(status="pending", limit=1)["count"] == 0, "deliveries")
        zkt.equal(old.stop(), 0, "the old server ends")
    stopped = time.monotonic()
    zkt.equal(p.wait(300), 0, "the migration ends well", p.err)
    done = json.loads(p.out)
    zkt.note(f"{done['events']} events: caught up after {caught_up:.1f} s, finished "
             f"{time.monotonic() - stopped:.1f} s after the stop, {done['changed']} rows changed")
    zkt.equal(done["events"], EVENTS + 2 + len(load.accepted), "each accepted event")
    zkt.equal(of_server(url), of_file(old.db), "ids and payload bytes are equal")
    secret = os.path.join(os.path.dirname(old.db), "server.secret")
    with Triggers(*FAST, "--webhook-secret-file", secret, db=url,
                  env={"WEBHOOK_SECRET": None}) as new:
        push.server = pull.server = new
        found = stored(push) + stored(pull) if EVENTS <= 20000 else None
        if found:
            zkt.equal([i for i, _ in load.accepted.values() if found[i] != 1], [],
                      "every 202 is there, under its old key")
        zkt.equal(push.event(first).json["status"], "delivered", "delivered stays delivered")
        e = pull.event(acked).json
        zkt.ok(e["acknowledged_at"], "acknowledged stays acknowledged", e)
        r = push.send(dedup_id="first")
        zkt.equal((r.status, r.json["id"]), (409, first), "a dedup_id is remembered")
        seen = len(sink.requests)
        push.sent()
        zkt.ok(seen == len(sink.requests), "nothing is delivered a second time")
    again = zkt.zk("triggers", "migrate", "--from", old.db, "--to", url, "-o", "json",
                   timeout_s=300)
    zkt.equal(again.status, 69, "a database in use is not overwritten", again.err)


def test_refused():
    url = triggers_lib.fresh_schema()
    p = zkt.zk("triggers", "migrate", "--from", "/nonexistent/t.db", "--to", url)
    zkt.equal(p.status, 66, "no such file", p.err)
    p = zkt.zk("triggers", "migrate", "--from", url)
    zkt.equal(p.status, 64, "half of the pair", p.err)
    p = zkt.zk("triggers", "migrate", "--from", url, "--to", url)
    zkt.equal(p.status, 64, "from a server", p.err)
    p = zkt.zk("triggers", "migrate", "--db", url, "-o", "json")
    zkt.equal((p.status, p.json["from"], p.json["to"]), (0, 0, 1), "the schema alone", p.err)
    zkt.ok("zk-dev" not in p.out + p.err, "without the password")
    p = zkt.zk("triggers", "migrate", "--db", url, "-o", "json")
    zkt.equal((p.status, p.json["from"], p.json["to"]), (0, 1, 1), "which is done once")


def main():
    try:
        return zkt.main()
    finally:
        pg.stop()


sys.exit(main())
