"""Several `zk triggers serve` on one PostgreSQL and one Redis (specs/triggers.md §3.3, §7, §11.4):
each event once, keys and limits shared, and what happens when one of the parts fails.

TEST_EVENTS (default 1,000) is the number of events of the first test, TEST_ROUNDS (default 1) that
of the rounds in which PostgreSQL is restarted; TEST_LEASES=1 also waits for a lease to end."""

import collections
import os
import pathlib
import re
import signal
import subprocess
import sys
import threading
import time

import services
import triggers_lib
import zkt
from triggers_lib import FAST, Load, Triggers, psql, stored

EVENTS = int(os.environ.get("TEST_EVENTS", "1000"))
ROUNDS = int(os.environ.get("TEST_ROUNDS", "1"))
both = services.start()
os.environ["PGBIN"] = both.env["PGBIN"]
triggers_lib.PG_URL = both.db_url
HERE = ("--listen", "127.0.0.1:0")
SECRET = {"WEBHOOK_SECRET": "a secret that all servers of a test share"}


def pg_ctl(*args):
    command = [both.env["PGBIN"] + "/pg_ctl", "-D", both.env["PGDATA"], "-w", "-t", "60", "-s",
               "-l", both.dir + "/pg.log", *args]
    if os.geteuid() == 0:
        user = both.env["DEV_PG_USER"]
        command = ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups", *command]
    subprocess.run(command, check=True, cwd="/", stdout=subprocess.DEVNULL)


def metric(server, name):
    text = server.api("GET", "/metrics").body.decode()
    m = re.search(rf"^{name} (\S+)$", text, re.M)
    return float(m[1]) if m else None


def pair(*args, a=(), b=(), **kwargs):
    """Two servers on one database."""
    first = Triggers(*args, *a, **kwargs)
    return first, Triggers(*args, *b, db=first.db, **kwargs)


def on(server, org):
    """The same organization through another server."""
    other = object.__new__(triggers_lib.Org)
    other.__dict__.update(org.__dict__, server=server)
    return other


def test_each_event_once():
    with zkt.Sink() as sink:
        a, b = pair(*FAST)
        with a, b:
            org = a.org()
            org.webhook(sink.url)
            ids, lock = [], threading.Lock()

            def send(server, part):
                mine = []
                for at in range(0, part, 50):
                    n = min(50, part - at)
                    r = on(server, org).api("POST", "/api/events/batch",
                                            [{"type": "t", "payload": {"n": at + i}}
                                             for i in range(n)])
                    zkt.need(r.status == 202, f"a batch: {r!r}")
                    mine += [e["id"] for e in r.json["results"]]
                with lock:
                    ids.extend(mine)

            threads = [threading.Thread(target=send, args=(s, EVENTS // 4))
                       for s in (a, b, a, b)]
            for t in threads:
                t.start()
            for t in threads:
                t.join()
            zkt.equal(len(set(ids)), EVENTS, f"{EVENTS} events accepted by two servers")
            zkt.wait_for(lambda: org.inbox(status="pending", limit=1)["count"] == 0,
                         "all deliveries", timeout_s=120)
            seen = collections.Counter(r.header("webhook-id") for r in sink.requests)
            zkt.equal((set(seen) == set(ids), max(seen.values())), (True, 1),
                      "the sink sees each id, and each once")
            shares = [metric(s, r'webhook_deliveries_total\{status="delivered"\}')
                      for s in (a, b)]
            zkt.ok(all(shares), f"both servers delivered: {shares}")


def test_rotation_is_heard():
    """The median of five: one may meet a moment in which the machine does something else."""
    a, b = pair()
    took = []
    with a, b:
        org = a.org()
        there = on(b, org)
        for _ in range(5):
            zkt.equal(there.api("GET", "/api/keys").status, 200, "B knows the key")
            r = org.api("POST", "/api/keys/rotate", {})
            start = time.monotonic()
            zkt.equal(r.status, 200, "rotated on A")
            zkt.equal(org.api("GET", "/api/keys").status, 401, "A refuses the old key at once")
            zkt.wait_for(lambda: there.api("GET", "/api/keys").status == 401, "B to refuse it", 5)
            took.append(round((time.monotonic() - start) * 1000))
            org.key = there.key = r.json["api_key"]
        zkt.ok(sorted(took)[2] < 100 * zkt.SLOW, f"B refuses them after {took} ms")
        zkt.equal(there.api("GET", "/api/keys").status, 200, "B takes the new one")


def send_many(servers, org, n):
    codes = collections.Counter()
    for i in range(n):
        r = on(servers[i % len(servers)], org).send()
        codes[r.status] += 1
    return codes


def test_limit_is_shared():
    a, b = pair("--redis", both.redis_url)
    with a, b:
        zkt.wait_for(lambda: metric(a, "zk_triggers_redis_up") == 1 and
                     metric(b, "zk_triggers_redis_up") == 1, "Redis to be known")
        org = a.org(tier="free")
        codes = send_many([a, b], org, 150)
        zkt.ok(98 <= codes[202] <= 100 and codes[202] + codes[429] == 150,
               f"150 requests on free over two servers: {dict(codes)}")
        r = on(b, org).send()
        zkt.equal((r.status, r.header("X-RateLimit-Limit"), r.header("X-RateLimit-Remaining")),
                  (429, "100", "0"), "headers of a refusal")
        zkt.ok(1 <= int(r.header("Retry-After")) <= 60, "Retry-After")
        zkt.equal(both.redis("KEYS", "*"), f"zk:rl:{org.id}", "what Redis holds")
        other = a.org(tier="pro")
        r = on(a, other).api("POST", "/api/events/batch",
                             [{"type": "t", "payload": i} for i in range(400)])
        zkt.equal((r.status, r.header("X-RateLimit-Remaining")), (202, "600"), "a batch counts")


def test_redis_killed():
    with Triggers("--redis", both.redis_url, "--rate-limit", "pro=0") as s:
        org = s.org(tier="free")
        zkt.wait_for(lambda: metric(s, "zk_triggers_redis_up") == 1, "Redis to be known")
        zkt.equal(org.send().status, 202, "with Redis")
        both.redis_signal(signal.SIGSTOP)
        start = time.monotonic()
        codes = send_many([s], org, 20)
        took = time.monotonic() - start
        both.redis_signal(signal.SIGCONT)
        zkt.ok(set(codes) == {202} and took < 5 * zkt.SLOW,
               f"Redis does not answer: {dict(codes)} in {took:.2f} s")
        both.redis_kill()
        zkt.wait_for(lambda: metric(s, "zk_triggers_redis_up") == 0, "the metric")
        codes = send_many([s], org, 110)
        zkt.ok(set(codes) == {202, 429} and 80 <= codes[202] <= 100,
               f"Redis away: limits of its own, no 5xx: {dict(codes)}")
        zkt.equal(s.err.count("Redis is away"), 1, "one warning", s.err)
        both.redis_start()
        zkt.wait_for(lambda: metric(s, "zk_triggers_redis_up") == 1, "Redis to be back")
        zkt.equal(s.org(tier="free") and s.status, None, "and it goes on")
    with Triggers("--redis", "redis://127.0.0.1:1") as s:
        zkt.equal(s.org(tier="free").send().status, 202, "a server starts without Redis")


def test_restarts_under_load():
    s = Triggers(*FAST)
    with s, zkt.Sink() as sink:
        push, pull = s.org("push"), s.org("pull")
        push.webhook(sink.url)
        accepted, others = {}, collections.Counter()
        for _ in range(ROUNDS):
            load = Load(s, [push.key, pull.key])
            zkt.wait_for(lambda: len(load.accepted) > 20, "the load to run")
            time.sleep(zkt.rng.uniform(0.01, 0.3))
            pg_ctl("restart", "-m", "immediate")
            before = len(load.accepted)
            zkt.wait_for(lambda: len(load.accepted) > before + 20, "events to be taken again", 30)
            load.over.set()
            load.join()
            others.update(load.other)
            accepted.update({id: o for id, o in load.accepted.values()})
        zkt.ok(set(others) <= {503}, f"{len(accepted)} accepted, others {dict(others)}")
        zkt.equal(s.api("GET", "/health").status, 200, "healthy again")
        found = stored(push) + stored(pull)
        zkt.equal([i for i in accepted if found[i] != 1], [],
                  f"no 202 is lost in {ROUNDS} rounds of restart -m immediate")
        if os.environ.get("TEST_LEASES"):
            zkt.wait_for(lambda: push.inbox(status="pending", limit=1)["count"] == 0,
                         "all deliveries to be done", timeout_s=150)
            due = {id for id, o in accepted.items() if o == 0}
            seen = {r.header("webhook-id") for r in sink.requests}
            zkt.equal(due - seen, set(), "and each is delivered")


def test_cut_between_commit_and_answer():
    port = int(re.search(r":(\d+)/", both.db_url)[1])
    direct = Triggers()
    with direct, zkt.Proxy("127.0.0.1", port) as proxy:
        url = direct.db.replace(f":{port}/", f":{proxy.port}/")
        with Triggers(db=url) as s:
            org = direct.org()
            there = on(s, org)
            zkt.equal(there.send(dedup_id="warm").status, 202, "through the proxy")
            # What the server sends is held back from now on; then everything is reset.
            psql("CREATE OR REPLACE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS"
                 " 'BEGIN PERFORM pg_sleep(0.3); RETURN NULL; END'; CREATE TRIGGER slow AFTER INSERT"
                 " ON events FOR EACH STATEMENT EXECUTE FUNCTION slow()", url=direct.db)
            result = []
            t = threading.Thread(target=lambda: result.append(there.send(dedup_id="cut")))
            t.start()
            zkt.wait_for(lambda: psql("SELECT count(*) FROM pg_stat_activity WHERE state='active'"
                                      " AND query LIKE '%deduplication_cache AS c%'"
                                      " AND pid<>pg_backend_pid()") != [["0"]], "the statement")
            proxy.stall_all()
            zkt.wait_for(lambda: psql("SELECT count(*) FROM events WHERE dedup_id='cut'",
                                      url=direct.db) == [["1"]], "the commit")
            proxy.reset_all()
            t.join()
            zkt.equal((result[0].status, result[0].json["code"]), (503, "storage_unavailable"),
                      "committed, but not known to be: 503")
            zkt.wait_for(lambda: s.api("GET", "/health").status == 200, "the server to reconnect")
            zkt.wait_for(lambda: there.api("GET", "/api/keys").status == 200, "its readers")
            r = there.send(dedup_id="cut")
            id = psql("SELECT id FROM events WHERE dedup_id='cut'", url=direct.db)
            zkt.equal((r.status, [[r.json["id"]]]), (409, id), "the retry hears of the first event")


def test_killed_server_loses_its_claims():
    if not os.environ.get("TEST_LEASES"):
        zkt.skip("claims of a killed server", "takes more than a minute: TEST_LEASES=1")
        return
    with zkt.Sink([zkt.Answer(200, delay_s=600)] * 3) as sink:
        a, b = pair(*FAST)
        with a, b:
            org = a.org()
            org.webhook(sink.url)
            ids = {org.sent() for _ in range(6)}
            zkt.wait_for(lambda: psql("SELECT count(DISTINCT locked_by) FROM event_deliveries"
                                      " WHERE locked_by IS NOT NULL", url=a.db) != [["0"]],
                         "claims")
            a.kill()
            start = time.monotonic()
            there = on(b, org)
            zkt.wait_for(lambda: there.inbox(status="delivered", limit=100)["count"] == 6,
                         "the other server to deliver all", 150)
            zkt.note(f"{time.monotonic() - start:.0f} s after the kill")
            seen = collections.Counter(r.header("webhook-id") for r in sink.requests)
            zkt.equal(set(seen), ids, "each event came")


def test_clocks_that_differ():
    skew = os.path.join(os.environ["TEST_BUILD"], "tests", "peer", "skewed_clock.so")
    asan = os.environ.get("ASAN_OPTIONS", "") + ":verify_asan_link_order=0"
    with zkt.Sink([zkt.Answer(500), zkt.Answer(200)]) as sink:
        with Triggers(*FAST, "--no-delivery") as a:
            ahead = {"LD_PRELOAD": skew, "ASAN_OPTIONS": asan, "SKEW_S": "3600"}
            with Triggers(*FAST, db=a.db, env=ahead) as b:
                org = a.org()
                there = on(b, org)
                zkt.equal(there.api("GET", "/api/keys").status, 200, "B knows the key")
                there.webhook(sink.url)
                start = time.monotonic()
                id = there.sent()
                zkt.wait_for(lambda: there.event(id).json["status"] == "delivered",
                             "the delivery", 20)
                zkt.ok(time.monotonic() - start < 15 * zkt.SLOW, "a retry is not an hour late")
                zkt.equal(len(sink.requests), 2, "one failure, one retry")
                rows = psql(f"SELECT count(*) FROM event_deliveries WHERE event_id='{id}' AND"
                            " (next_attempt_at IS NOT NULL OR locked_by IS NOT NULL)", url=a.db)
                zkt.equal(rows, [["0"]], "settled")
                zkt.contains("clock differs", b.err, "B says that its clock differs")
                old = org.key
                r = there.api("POST", "/api/keys/rotate", {})
                zkt.equal(r.status, 200, "rotated by the server whose clock is ahead")
                org.key = old
                zkt.wait_for(lambda: org.api("GET", "/api/keys").status == 401,
                             "the other server to refuse the old key", 5)


def refused(url, env=None, *args):
    return zkt.zk("triggers", "serve", *HERE, "--db", url, *args, env={**SECRET, **(env or {})})


def test_refused():
    url = triggers_lib.fresh_schema()
    with Triggers(db=url):
        pass
    p = refused(url, {"WEBHOOK_SECRET": None})
    zkt.equal(p.status, 78, "no server secret", p.err)
    zkt.contains("--webhook-secret-file", p.err, "says what to do")
    p = refused(url, {"WEBHOOK_SECRET": "quite another secret, also long enough"})
    zkt.equal(p.status, 78, "another server secret", p.err)
    zkt.contains("--accept-new-secret", p.err, "with the way out")
    psql("INSERT INTO schema_migrations VALUES(99, now())", url=url)
    p = refused(url)
    zkt.equal(p.status, 78, "a newer schema", p.err)
    zkt.contains("ZK8005", p.err, "with its code")
    foreign = triggers_lib.fresh_schema()
    psql("CREATE TABLE events(id INT)", url=foreign)
    p = refused(foreign)
    zkt.equal(p.status, 78, "tables of another program", p.err)
    zkt.equal(psql("SELECT count(*) FROM events", url=foreign), [["0"]], "are left alone")
    p = refused(url.replace("?", "?sslmode=require&"))
    zkt.equal(p.status, 76, "TLS that the server does not offer", p.err)
    zkt.contains("SSL", p.err, "says so")
    p = refused("postgres://zk@127.0.0.1:1/zk")
    zkt.equal(p.status, 75, "nobody listens", p.err)
    p = refused(both.db_url.replace("/zk", "/nosuch", 2).replace("//nosuch:", "//zk:"))
    zkt.equal(p.status, 78, "no such database", p.err)
    p = refused("postgres://zk:%zz@h/zk")
    zkt.ok(p.status == 78 and "%zz" not in p.err, "a malformed URL, whose text is not shown", p.err)


def test_passwords():
    url = triggers_lib.fresh_schema()
    bare = url.replace("zk:zk-dev@", "zk@")
    p = refused(bare)
    zkt.equal(p.status, 77, "no password", p.err)
    zkt.contains("PGPASSFILE", p.err, "says where to put it")
    p = refused(url.replace("zk-dev", "hunter2"))
    zkt.equal(p.status, 77, "a wrong one", p.err)
    zkt.ok("hunter2" not in p.err, "which is not shown", p.err)
    file = zkt.write(zkt.tmp() + "/pass", "*:*:*:zk:zk-dev\n")
    with Triggers(db=bare, env={"PGPASSFILE": file}) as s:
        zkt.equal(s.org().send().status, 202, "the password of PGPASSFILE")
        out = pathlib.Path(f"/proc/{s.pid}/cmdline").read_text() + s.err
        zkt.ok("zk-dev" not in out, "which is seen nowhere")
    with Triggers(db=url) as s:
        zkt.ok("zk-dev" not in s.err, "nor is that of the URL in the log", s.err)


def main():
    try:
        return zkt.main()
    finally:
        both.stop()


sys.exit(main())
