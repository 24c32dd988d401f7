"""zk webhook against the stand-in of a Zeal server: management, the receiver with its 23 cases,
registration bound to its life, commands, posting on, the store, kill -9 and restart
(specs/zeal-zip.md §8, §14)."""

import concurrent.futures
import hashlib
import hmac
import json
import os
import signal
import sqlite3
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../lib"))
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../fault"))
import zeal  # noqa: E402
import zkt  # noqa: E402
from responder import Answer  # noqa: E402

CASES = json.loads((zeal.DATA / "webhooks/cases.json").read_text("utf-8"))
# The long form of the issue: TEST_ROUNDS=20 TEST_DELIVERIES=10000.
ROUNDS = int(os.environ.get("TEST_ROUNDS", "3"))
DELIVERIES = int(os.environ.get("TEST_DELIVERIES", "600"))


def listener(*args, **kwargs):
    """A receiver without a registration."""
    return zkt.Server("webhook", "listen", "--listen", "127.0.0.1:0", "--no-register", *args,
                      **kwargs)


def event(i, **more):
    return {"id": f"evt_{i}", "type": "node.added", "workflowId": "wf_1", **more}


def delivery(events):
    return {"webhook_id": "w", "events": events, "metadata": {"namespace": "default"}}


def post(server, events, headers=None):
    return server.request("POST", "/webhooks", delivery(events), headers)


def rows(process):
    return [json.loads(line) for line in process.out.splitlines()]


def test_cases():
    secret = zkt.write(zkt.tmp() + "/secret", CASES["secret"])
    check = f"{CASES['header_check']['name']}={CASES['header_check']['value']}"
    ran = {}

    def receiver(c):
        if c.get("mode") == "header":
            return listener("--header-check", check)
        return listener("--secret-file", secret,
                        *(["--events", c["filter"]] if "filter" in c else []))

    for c in CASES["cases"]:
        body = (zeal.DATA / "webhooks" / c["body"]).read_bytes()
        with receiver(c) as s:
            before = 0
            if "after" in c:
                first = ran[c["after"]]
                first_body = (zeal.DATA / "webhooks" / first["body"]).read_bytes()
                s.request("POST", "/webhooks", first_body, list(first["headers"].items()))
                before = first["expect_events"]
            r = s.request(c.get("method", "POST"), c.get("path", "/webhooks"), body,
                          list(c["headers"].items()))
            zkt.equal(r.status, c["expect_status"], f"case {c['case']}: status", r)
            if c["expect_status"] == 405:
                zkt.equal(r.header("Allow"), "POST", "405 says what is allowed")
            zkt.equal(s.stop(), 0, f"case {c['case']}: a receiver ends with 0", s.err)
            zkt.equal(len(rows(s)) - before, c["expect_events"],
                      f"case {c['case']}: events passed on")
            zkt.ok(CASES["secret"] not in s.err and "s3cret" not in s.err,
                   "secrets are never printed")
            if c["case"] == "unicode":
                zkt.equal(s.out.rstrip("\n").encode() in body, True, "events come byte for byte")
        ran[c["case"]] = c
    zkt.equal(len(ran), 23, "all 23 cases")


def test_management():
    with zeal.Server() as s:
        r = s.zk("webhook", "register", "http://127.0.0.1:9/a", "--events", "node.*", "--header",
                 "X-A=b")
        zkt.equal(r.status, 0, "registered", r)
        wid = r.json["webhookId"]
        sent = [q for q in s.log() if q["method"] == "POST"][0]["json"]
        zkt.equal(sent, {"namespace": "default", "url": "http://127.0.0.1:9/a",
                         "events": ["crdt.node.added", "crdt.node.deleted", "crdt.node.updated"],
                         "headers": {"X-A": "b"}}, "patterns are translated")
        r = s.zk("webhook", "register", "http://127.0.0.1:9/a")
        zkt.equal((r.status, wid in r.err), (69, True), "an address is registered once", r)
        r = s.zk("webhook", "register", "http://127.0.0.1:9/b", "--raw-patterns", "--events",
                 "node.*")
        zkt.equal(r.status, 0, "another one")
        r = s.zk("webhook", "list")
        zkt.equal([q["url"] for q in r.rows], ["http://127.0.0.1:9/a", "http://127.0.0.1:9/b"],
                  "list", r)
        zkt.equal(r.rows[1]["events"], ["node.*"], "raw patterns")
        for verb, expect in (("pause", {"isActive": False}), ("resume", {"isActive": True})):
            zkt.equal(s.zk("webhook", verb, wid).status, 0, verb)
            zkt.equal(s.log()[-1]["json"], expect, f"{verb} is sent")
        zkt.equal(s.zk("webhook", "update", wid, "--events", "trace.event").status, 0, "update")
        zkt.equal(s.log()[-1]["json"], {"events": ["trace.trace.event"]}, "only what changes")
        zkt.equal(s.zk("webhook", "update", wid).status, 64, "nothing to change")
        r = s.zk("webhook", "pause", "nope", "--retries", "0")
        zkt.ok(r.status != 0 and "not there" in r.err, "an unknown id is explained", r)
        r = s.zk("webhook", "test", wid)
        zkt.equal((r.status, r.json["success"]), (1, False), "a test that does not arrive", r)
        zkt.equal(s.zk("webhook", "prune").status, 64, "prune everything must be meant")
        r = s.zk("webhook", "prune", "--url", "*/a", "--dry-run")
        zkt.equal([q["status"] for q in r.rows], ["would be deleted"], "dry run", r)
        zkt.equal(len(s.zk("webhook", "list").rows), 2, "nothing was deleted")
        r = s.zk("webhook", "prune", "--url", "*/a")
        zkt.equal(([q["id"] for q in r.rows], len(s.zk("webhook", "list").rows)), ([wid], 1),
                  "prune", r)
        zkt.equal(s.zk("webhook", "delete", "nope").status, 0, "deleting twice is fine")
        s.faults([{"on": "POST /webhooks", "do": "reset-after"}])
        r = s.zk("webhook", "register", "http://127.0.0.1:9/c")
        zkt.equal((r.status, [q["url"][-1] for q in s.zk("webhook", "list").rows]),
                  (0, ["b", "c"]), "a registration whose answer was lost is found", r)


def test_life():
    with zeal.Server() as s:
        args = ("webhook", "listen", "--listen", "127.0.0.1:0", "--path", "/in", "--events",
                "workflow.*")
        with zkt.Server(*args, env=s.env) as w:
            hooks = s.zk("webhook", "list").rows
            zkt.equal([h["url"] for h in hooks], [w.url + "/in"], "registered at the start")
            sent = [q for q in s.log() if q["method"] == "POST"][0]["json"]
            zkt.equal(list(sent["headers"]), ["X-Zk-Secret"], "with a header of its own")
            zkt.equal(len(sent["headers"]["X-Zk-Secret"]), 32, "of 32 random digits")
            zkt.ok(sent["headers"]["X-Zk-Secret"] not in w.err, "which is never printed")
            zkt.equal(w.ready["webhook_id"], hooks[0]["id"], "the ready file names it")
            r = w.request("POST", "/in", delivery([event(1)]))
            zkt.equal(r.status, 401, "without the header: refused")
            r = w.request("GET", "/healthz")
            zkt.equal(r.status, 200, "health")
            r = s.zk("webhook", "test", hooks[0]["id"])
            zkt.equal((r.status, r.json["success"]), (0, True), "the server's own test arrives", r)
            port = w.port
            w.kill()
        zkt.equal(len(s.zk("webhook", "list").rows), 1, "after kill -9 it stays registered")
        args = args[:3] + (f"127.0.0.1:{port}",) + args[4:]
        with zkt.Server(*args, env=s.env) as w:
            hooks = s.zk("webhook", "list").rows
            zkt.equal(len(hooks), 1, "the next start removes the stale one", hooks)
            s.faults([{"on": "DELETE /webhooks/:id", "at": [1], "do": "reset-before"}])
            zkt.equal(w.stop(), 0, "TERM ends it with 0", w.err)
        zkt.equal(s.zk("webhook", "list").rows, [], "and removes the registration, at the second try")
        r = s.zk("webhook", "listen", "--listen", "127.0.0.1:0", "--no-register")
        zkt.equal((r.status, "--insecure" in r.err), (64, True), "some proof is needed", r)


def test_duplicates_and_deliveries():
    with listener("--insecure", "--deliveries") as w:
        for i in (1, 2, 2, 3, 1):
            zkt.equal(post(w, [event(i)]).status, 200, "accepted")
        zkt.equal(w.stop(), 0, "ends")
        zkt.equal([d["events"][0]["id"] for d in rows(w)], ["evt_1", "evt_2", "evt_3"],
                  "whole deliveries, each event once")
    with listener("--insecure", "--filter", "data.n>1 && type=node.*") as w:
        post(w, [event(1, data={"n": 1}), event(2, data={"n": 2}), event(3)])
        w.stop()
        zkt.equal([e["id"] for e in rows(w)], ["evt_2"], "--filter")
    with listener("--insecure", "--fields", "id", "-o", "plain", "--count", "2") as w:
        post(w, [event(1), event(2)])
        zkt.equal((w.wait(), w.out), (0, "evt_1\nevt_2\n"), "--fields, --count")
    with listener("--insecure", "--distinct", "data.n", "--skip", "1", "--count", "3", "--buffer", "2") as w:
        post(w, [event(i, data={"n": n}) for i, n in enumerate((1, 1, 2, 3, 4, 5))])
        zkt.equal((w.wait(), [[e["id"] for e in r] for r in rows(w)]), (0, [["evt_2", "evt_3"], ["evt_4"]]),
                  "--distinct, --skip, --count, --buffer")
    db = zkt.tmp() + "/ops.db"
    with listener("--insecure", "--store", db, "--debounce", "100ms", "--key", "workflowId", "--every", "10s") as w:
        post(w, [event(i) for i in range(5)])
        zkt.equal((w.stop(), [[e["id"] for e in r] for r in rows(w)]), (0, [["evt_4"]]), "--debounce, --every")
    zkt.equal(sqlite3.connect(db).execute("SELECT count(*) FROM event WHERE state = 'done'").fetchone()[0], 5,
              "all of them are done, in the store too")


def test_exec():
    out = zkt.tmp()
    script = zkt.write(out + "/do.sh", f"""#!/bin/sh
cat > {out}/$ZK_EVENT_ID.json
echo "$ZK_EVENT_TYPE $ZK_EVENT_WORKFLOW $ZK_EVENT_NODE $ZK_EVENT_ATTEMPT" >> {out}/$ZK_EVENT_ID.env
case $ZK_EVENT_ID in
evt_bad) exit 3 ;;
evt_twice) [ "$ZK_EVENT_ATTEMPT" -ge 2 ] || exit 1 ;;
evt_none) exit 127 ;;
evt_slow) sleep 60 ;;
esac
""", 0o755)
    dead = out + "/dead.ndjson"
    with listener("--insecure", "--exec", script, "--dead-letter", dead, "--jobs", "4",
                  "--exec-timeout", "1500ms", "--retries", "2",
                  env={"ZK_RETRY_BASE": "1ms", "ZK_RETRY_CAP": "2ms"}) as w:
        ids = ["ok", "bad", "twice", "none", "slow"]
        zkt.equal(post(w, [{"id": f"evt_{i}", "type": "node.added", "workflowId": "w 1",
                            "nodeId": "$(touch x)"} for i in ids]).status, 200, "accepted at once")
        zkt.wait_for(lambda: os.path.exists(dead) and len(open(dead).readlines()) == 3,
                     "three dead letters", 30)
        zkt.equal(w.stop(), 3, "3: some were given up", w.err)
    letters = {json.loads(line)["event"]["id"]: json.loads(line) for line in open(dead)}
    zkt.equal({k: v["attempts"] for k, v in letters.items()},
              {"evt_bad": 3, "evt_none": 1, "evt_slow": 3}, "attempts; 127 is not repeated")
    zkt.equal(open(out + "/evt_ok.env").read(), "node.added w 1 $(touch x) 1\n",
              "the environment, never a shell's words")
    zkt.equal(len(open(out + "/evt_twice.env").readlines()), 2, "one retry")
    zkt.equal(json.loads(open(out + "/evt_ok.json").read())["id"], "evt_ok", "the event on stdin")


def test_key_order():
    out = zkt.tmp()
    with listener("--insecure", "--jobs", "8", "--key", "workflowId", "--exec",
                  f'echo "$ZK_EVENT_WORKFLOW $ZK_EVENT_ID" >> {out}/$ZK_EVENT_WORKFLOW') as w:
        post(w, [{"id": f"e{i:03}", "type": "t", "workflowId": f"wf{i % 3}"} for i in range(60)])
        zkt.equal(w.stop(30), 0, "TERM with events queued: all are done", w.err)
    for k in range(3):
        got = [line.split()[1] for line in open(f"{out}/wf{k}")]
        zkt.equal(got, [f"e{i:03}" for i in range(60) if i % 3 == k], f"order of key {k}")


def test_forward():
    secret = zkt.write(zkt.tmp() + "/secret", "s3cret-of-webhooks")
    with zkt.Sink([503, Answer(429, headers=[("Retry-After", "0")]), 200, 404]) as sink:
        with listener("--header-check", "X-K=v", "--secret-file", secret, "--forward",
                      sink.url + "/h", env={"ZK_RETRY_BASE": "1ms"}) as w:
            body = json.dumps(delivery([event(1), event(2)])).encode()
            sig = "sha256=" + hmac.new(b"s3cret-of-webhooks", body, hashlib.sha256).hexdigest()
            r = w.request("POST", "/webhooks", body, [("X-K", "v"), ("X-Zeal-Signature", sig)])
            zkt.equal(r.status, 200, "both proofs hold", r)
            zkt.equal(w.request("POST", "/webhooks", body, [("X-K", "v")]).status, 401,
                      "one is not enough")
            sink.wait(4)
            zkt.equal(w.stop(), 3, "a 404 is lasting", w.err)
        first = sink.requests[2]
        posted = json.loads(first.body)["id"]
        zkt.ok(posted in ("evt_1", "evt_2"), "the event is posted on", posted)
        zkt.equal((first.header("X-Zeal-Event"), first.header("X-Zeal-Event-Id")),
                  ("node.added", posted), "with its headers")
        zkt.equal(first.header("X-Zeal-Signature"), "sha256=" + hmac.new(
            b"s3cret-of-webhooks", first.body, hashlib.sha256).hexdigest(), "signed")


def test_busy():
    gate = zkt.tmp() + "/gate"
    with listener("--insecure", "--queue", "3", "--exec", f"while ! [ -e {gate} ]; do sleep 0.02; done"
                  ) as w:
        zkt.equal([post(w, [event(i)]).status for i in range(3)], [200] * 3, "up to the bound")
        r = post(w, [event(9)])
        zkt.equal((r.status, r.header("Retry-After")), (503, "1"), "then: come again")
        zkt.write(gate, "")
        zkt.wait_for(lambda: post(w, [event(9)]).status == 200, "room")
        zkt.equal(w.stop(), 0, "nothing is lost", w.err)
        zkt.contains("done=4", w.err, "four were done")


def test_store():
    home = zkt.tmp()
    db, out = home + "/hooks.db", home + "/out"
    fail = f'[ -e {home}/works ] && cat >> {out} && echo >> {out}'
    with listener("--insecure", "--store", db, "--exec", fail, "--retries", "0") as w:
        zkt.equal(post(w, [event(1), event(2)]).status, 200, "kept")
        second = zkt.zk("webhook", "listen", "--listen", "127.0.0.1:0", "--no-register",
                        "--insecure", "--store", db)
        zkt.equal(second.status, 73, "one receiver for one store", second)
        zkt.equal(w.stop(), 3, "both failed", w.err)
    zkt.equal([r[0] for r in sqlite3.connect(db).execute("SELECT state FROM event ORDER BY seq")],
              ["failed", "failed"], "any SQLite tool reads it")
    zkt.write(home + "/works", "")
    r = zkt.zk("webhook", "replay", db)
    zkt.equal([e["id"] for e in r.rows], ["evt_1", "evt_2"], "replay prints", r)
    sqlite3.connect(db, isolation_level=None).execute("UPDATE event SET state = 'failed'")
    r = zkt.zk("webhook", "replay", db, "--exec", fail, "--filter", "id=evt_2")
    zkt.equal((r.status, [json.loads(x)["id"] for x in open(out) if x.strip()]), (0, ["evt_2"]),
              "replay runs", r)
    zkt.equal(zkt.zk("webhook", "replay", db, "--state", "all", "--since", "1h").rows[0]["id"],
              "evt_1", "--state, --since")
    with listener("--insecure", "--store", db) as w:
        zkt.equal(post(w, [event(1), event(3)]).status, 200, "again")
        w.stop()
        zkt.equal([e["id"] for e in rows(w)], ["evt_3"], "ids are remembered across runs")


def test_killed():
    """kill -9 at random moments while deliveries come: what was answered 200 is done."""
    home = zkt.tmp()
    db, out = home + "/hooks.db", home + "/out"
    open(out, "w").close()
    accepted, number = set(), 0
    for round_ in range(ROUNDS):
        with listener("--insecure", "--store", db, "--jobs", "4", "--exec", f'printf "%s\\n" "$(cat)" >> {out}'
                      ) as w:
            end = time.monotonic() + 0.15 + 0.1 * (round_ % 3)
            with w.raw() as c:
                while time.monotonic() < end:
                    events = [event(number + k) for k in range(5)]
                    number += 5
                    if c.request("POST", "/webhooks", delivery(events)).status == 200:
                        accepted |= {e["id"] for e in events}
            w.kill()
    with listener("--insecure", "--store", db, "--jobs", "4", "--exec", f'printf "%s\\n" "$(cat)" >> {out}'
                  ) as w:
        zkt.equal(w.stop(60), 0, "the rest is done", w.err)
    done = set()
    for line in open(out):
        # A command that was killed in the middle leaves half a line.
        try:
            done.add(json.loads(line)["id"])
        except ValueError:
            continue
    zkt.ok(len(accepted) > 10, "something was accepted", len(accepted))
    zkt.equal(sorted(accepted - done), [], f"{len(accepted)} accepted events, none lost")
    left = sqlite3.connect(db).execute("SELECT count(*) FROM event WHERE state <> 'done'").fetchone()
    zkt.equal(left, (0,), "nothing is left open")


def test_killed_store():
    """Signed deliveries to --store alone, four senders, kill -9 in each round: each that was
    answered 200 is a row, and each is sent until it was."""
    db = zkt.tmp() + "/hooks.db"
    secret = zkt.write(zkt.tmp() + "/secret", "s3cret-of-webhooks")
    todo, accepted = list(range(DELIVERIES)), []

    def send(w, enough):
        try:
            with w.raw() as c:
                while todo and len(accepted) < enough:
                    k = todo.pop()
                    body = json.dumps(delivery([event(k)])).encode()
                    sig = "sha256=" + hmac.new(b"s3cret-of-webhooks", body, hashlib.sha256).hexdigest()
                    try:
                        status = c.request("POST", "/webhooks", body, [("X-Zeal-Signature", sig)]).status
                    except BaseException:
                        todo.append(k)
                        raise
                    (accepted if status == 200 else todo).append(k)
        except (OSError, EOFError, zkt.Failure):
            pass  # the receiver is gone: what was under way is sent again

    for round_ in range(ROUNDS):
        # Killed while the senders are at work, but in the last round, which takes the rest.
        enough = DELIVERIES * (round_ + 1) // ROUNDS - zkt.rng.randrange(1 + DELIVERIES // ROUNDS // 2)
        with listener("--secret-file", secret, "--store", db) as w, \
                concurrent.futures.ThreadPoolExecutor(4) as pool:
            jobs = [pool.submit(send, w, DELIVERIES) for _ in range(4)]
            while len(accepted) < enough and not all(j.done() for j in jobs):
                time.sleep(0.001)
            w.kill()
    with listener("--secret-file", secret, "--store", db) as w:
        send(w, DELIVERIES)
        zkt.equal(w.stop(60), 0, "the last one ends", w.err)
    zkt.equal((len(accepted), todo), (DELIVERIES, []), f"{DELIVERIES} deliveries were accepted")
    have = [i for i, in sqlite3.connect(db).execute("SELECT id FROM event")]
    zkt.equal((len(have), set(have)), (DELIVERIES, {f"evt_{k}" for k in accepted}),
              f"{DELIVERIES} rows after {ROUNDS} times kill -9, none lost, none twice")


def test_tools():
    home = zkt.tmp()
    secret = zkt.write(home + "/secret", CASES["secret"] + "\n")
    body = str(zeal.DATA / "webhooks/unicode.body")
    want = next(c for c in CASES["cases"] if c["case"] == "unicode")["headers"]["X-Zeal-Signature"]
    r = zkt.zk("webhook", "sign", "--secret-file", secret, body)
    zkt.equal((r.status, r.out), (0, want + "\n"), "sign", r)
    raw = open(body, "rb").read()
    r = zkt.zk("webhook", "verify", "--secret-file", secret, "--signature", want, stdin=raw)
    zkt.equal((r.status, r.out), (0, ""), "verify", r)
    r = zkt.zk("webhook", "verify", "--secret-file", secret, "--signature", want, stdin=raw + b" ")
    zkt.equal(r.status, 1, "verify: changed", r)
    with listener("--secret-file", secret) as w:
        r = zkt.zk("webhook", "send", w.url + "/webhooks", body, "--secret-file", secret)
        zkt.equal((r.status, r.json["status"]), (0, 200), "send", r)
        r = zkt.zk("webhook", "send", w.url + "/webhooks", body)
        zkt.equal(r.status, 77, "send unsigned: refused", r)
        r = zkt.zk("webhook", "send", w.url + "/webhooks", stdin=b"{}")
        zkt.equal(r.status, 65, "send checks what it sends", r)
        w.stop()
        zkt.equal(len(rows(w)), 1, "it arrived")


def test_many_at_once():
    with listener("--insecure", "--store", zkt.tmp() + "/s.db", "--queue", "100000") as w:
        def one(k):
            with w.raw() as c:
                return [c.request("POST", "/webhooks", delivery([event(f"{k}_{i}")])).status
                        for i in range(50)]
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            zkt.ok(all(s == 200 for r in pool.map(one, range(8)) for s in r), "all accepted")
        w.signal(signal.SIGTERM)
        zkt.equal(w.wait(), 0, "ends", w.err)
        ids = [e["id"] for e in rows(w)]
        zkt.equal((len(ids), len(set(ids))), (400, 400), "each event once")


if __name__ == "__main__":
    zkt.main()
