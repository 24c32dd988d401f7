"""specs/triggers.md §18.4, 5, 8, 9, 10 and the endpoints of §5: tenants, rotation, limits, paging,
payload fidelity, batches, acknowledgements, streams."""

import json
import shutil
import subprocess
import sys
import threading
import time

import zkt
from triggers_lib import Triggers

UNKNOWN = "0199f3c0-5a7e-7a10-8f3e-0f8d8f1f2a3b"


def test_tenants():
    with Triggers() as s:
        a, b = s.org("A"), s.org("B")
        mine = a.sent(dedup_id="shared")
        zkt.equal(b.send(dedup_id="shared").status, 202, "the same dedup_id in two organizations")
        zkt.equal(b.event(mine).status, 404, "B cannot read A's event")
        zkt.equal(b.api("POST", f"/api/ack/{mine}").status, 404, "nor acknowledge it")
        zkt.equal(b.api("POST", f"/api/inbox/ack/{mine}").status, 404, "nor by the other path")
        b.webhook("http://127.0.0.1:9/")
        zkt.equal(b.api("POST", f"/api/events/{mine}/replay").status, 404, "nor replay it")
        r = b.api("POST", "/api/inbox/ack", {"event_ids": [mine]})
        zkt.equal(r.json, {"acknowledged": 0, "failed": 1}, "nor in a batch")
        zkt.ok(mine not in [e["id"] for e in b.all()], "nor see it in the inbox")
        ours = [e["id"] for e in a.all()]
        zkt.equal(ours, [mine], "A has it")
        zkt.equal(a.inbox()["events"][0]["status"], "pending", "untouched")
        same = b.api("POST", f"/api/ack/{mine}").json
        other = b.api("POST", f"/api/ack/{UNKNOWN}").json
        same.pop("request_id"), other.pop("request_id")
        zkt.equal(same, other, "a foreign id and an unknown one look the same")
        zkt.equal(b.inbox(cursor=mine)["events"], [e for e in b.inbox()["events"]
                  if e["id"] < mine], "a foreign cursor is only a position")


def test_rotation():
    with Triggers() as s:
        org = s.org()
        id = org.sent()
        old = org.key
        zkt.equal(org.api("GET", "/api/keys").status, 200, "the key works (and is cached)")
        r = org.api("POST", "/api/keys/rotate", {})
        zkt.equal(r.status, 200, "rotation")
        new = r.json["api_key"]
        zkt.equal(r.json["rotated_at"], r.json["old_key_expires_at"], "the old key ends at once")
        endpoints = [("GET", "/api/keys"), ("POST", "/api/keys/rotate"), ("GET", "/api/inbox"),
                     ("POST", "/api/webhook/config"), ("GET", "/api/webhook/config"),
                     ("POST", "/api/webhook/secret/rotate"), ("POST", "/api/webhook/test"),
                     ("POST", "/api/events"), ("POST", "/api/events/batch"),
                     ("GET", f"/api/events/{id}"), ("POST", f"/api/events/{id}/replay"),
                     ("POST", "/api/replay"), ("GET", "/api/inbox/stream"),
                     ("POST", f"/api/ack/{id}"), ("POST", f"/api/inbox/ack/{id}"),
                     ("POST", "/api/inbox/ack")]
        for method, path in endpoints:
            zkt.equal(s.api(method, path, key=old).status, 401, f"old key: {method} {path}")
        zkt.equal(s.api("GET", "/api/keys", key=new).status, 200, "the new key works")
        r = s.api("POST", "/api/keys/rotate", {"grace_seconds": 1}, key=new)
        newest = r.json["api_key"]
        zkt.equal(s.api("GET", "/api/keys", key=new).status, 200, "with grace the old key goes on")
        zkt.wait_for(lambda: s.api("GET", "/api/keys", key=new).status == 401, "the end of grace")
        zkt.equal(s.api("GET", "/api/keys", key=newest).status, 200, "the newest stays")
        zkt.equal(s.api("POST", "/api/keys/rotate", {"grace_seconds": 86401}, key=newest).status,
                  422, "grace is at most a day")
        s2 = s
        s.kill()
        with s2.restart() as s:
            for k, status in ((old, 401), (new, 401), (newest, 200)):
                zkt.equal(s.api("GET", "/api/keys", key=k).status, status, "after a restart too")


def test_rate_limits():
    with Triggers("--rate-limit", "pro=5", "--rate-limit", "enterprise=0") as s:
        org = s.org(tier="pro")
        before = time.time()
        for i in range(5):
            r = org.send()
            zkt.equal((r.status, r.header("X-RateLimit-Limit"), r.header("X-RateLimit-Remaining")),
                      (202, "5", str(4 - i)), f"event {i + 1} of 5")
        reset = int(r.header("X-RateLimit-Reset"))
        zkt.ok(before + 55 < reset < before + 66, "the window ends within a minute", reset - before)
        r = org.send()
        zkt.equal(r.status, 429, "the sixth")
        zkt.equal((r.json["limit"], r.json["remaining"], r.json["window"]), (5, 0, "1 minute"),
                  "429 tells the limit")
        zkt.equal(str(r.json["retry_after"]), r.header("Retry-After"), "and when")
        zkt.ok(1 <= r.json["retry_after"] <= 60, "in whole seconds")
        zkt.equal(org.api("GET", "/api/inbox").status, 200, "reads are not limited")
        zkt.equal(org.api("GET", "/api/inbox").header("X-RateLimit-Limit"), None, "nor counted")
        zkt.equal(s.org(tier="pro").send().status, 202, "another organization has its own window")
        batch = s.org(tier="pro")
        r = batch.api("POST", "/api/events/batch", [{"type": "a", "payload": 1}] * 6)
        zkt.equal(r.status, 429, "a batch over the budget is refused whole")
        zkt.equal(batch.inbox()["count"], 0, "and nothing of it is stored")
        r = batch.api("POST", "/api/events/batch", [{"type": "a", "payload": 1}] * 5)
        zkt.equal((r.status, r.json["accepted"]), (202, 5), "one within it is accepted")
        bad = s.org(tier="pro")
        for _ in range(5):
            bad.api("POST", "/api/events", b"{bad", headers={"Content-Type": "application/json"})
        zkt.equal(bad.send().status, 429, "refused bodies count as well")
        free = s.org(tier="enterprise")
        r = free.send()
        zkt.equal((r.status, r.header("X-RateLimit-Limit")), (202, None), "0 is unlimited")


def test_window_end():
    """The window really ends: 60 s, so this one waits."""
    with Triggers("--rate-limit", "free=1") as s:
        org = s.org(tier="free")
        zkt.equal([org.send().status, org.send().status], [202, 429], "one a minute")
        wait = org.send().json["retry_after"]
        time.sleep(wait * 0.9)
        zkt.wait_for(lambda: org.send().status == 202, "the next window", timeout_s=15)


def test_paging():
    with Triggers() as s:
        org = s.org()
        ids = [org.sent(payload={"n": i}) for i in range(300)]
        stop = threading.Event()

        def noise():
            n = 0
            while not stop.is_set():
                org.sent(type="noise", payload={"n": n})
                org.api("POST", f"/api/ack/{ids[(n * 37) % 300]}")
                n += 1

        t = threading.Thread(target=noise)
        t.start()
        try:
            for limit in (1, 7, 100):
                got = [e["id"] for e in org.all(limit=limit) if e["type"] != "noise"]
                zkt.equal(got, ids[::-1], f"pages of {limit} while others write: each once")
            got = [e["id"] for e in org.all(limit=13, order="asc") if e["type"] != "noise"]
            zkt.equal(got, ids, "oldest first")
        finally:
            stop.set()
            t.join()
        zkt.equal([e["id"] for e in org.all(after=ids[289], type="test.event")], ids[290:],
                  "after an id")
        for query, why in [({"limit": "x"}, "Invalid limit"), ({"cursor": "x"}, "Invalid cursor"),
                           ({"status": "x"}, "Invalid status"), ({"offset": "-1"}, "Invalid offset"),
                           ({"order": "x"}, "Invalid order"), ({"since": "x"}, "Invalid since"),
                           ({"after": "x"}, "Invalid after")]:
            r = org.api("GET", "/api/inbox?" + "&".join(f"{k}={v}" for k, v in query.items()))
            zkt.equal((r.status, r.json["error"]), (400, why), f"400 for {query}")
        for limit, want in ((0, 1), (-5, 1), (99999, 1000), (1000, 1000)):
            zkt.equal(org.inbox(limit=limit)["limit"], want, f"limit {limit} is moved to {want}")
        zkt.equal(org.inbox(cursor=UNKNOWN)["events"], [], "an unknown cursor is a position")


def test_filters():
    with Triggers() as s:
        org = s.org()
        a = org.sent(type="order.created")
        b = org.sent(type="order.paid")
        c = org.sent(type="user.created")
        org.api("POST", f"/api/ack/{b}")
        ids = lambda **q: [e["id"] for e in org.inbox(**q)["events"]]
        zkt.equal(ids(type="order.*"), [b, a], "a prefix")
        zkt.equal(ids(type="order.paid"), [b], "an exact type")
        zkt.equal(ids(status="pending"), [c, a], "pending")
        zkt.equal(ids(status="delivered"), [b], "delivered")
        zkt.equal(ids(status="acknowledged"), [b], "acknowledged")
        zkt.equal(ids(status="failed"), [], "failed")
        zkt.equal(ids(status="dead_letter"), [], "dead letters")
        zkt.equal(ids(status="retrying"), [], "retrying")
        at = org.event(b).json["created_at"]
        zkt.equal(ids(since=at), [c, b], "since")
        zkt.equal(ids(until=at), [a], "until (exclusive)")
        p = org.inbox(offset=1, limit=1)
        zkt.equal((p["events"][0]["id"], p["total"], p["offset"], p["has_more"]), (b, 3, 1, True),
                  "an offset, with the exact total")
        zkt.ok("total" not in org.inbox(), "no total without one")


FIDELITY = [
    "12345678901234567890", "1.10", "1e400", "-0", "0.1e-7", '"\\u0000"', '"\\ud800"',
    '{"a":1,"a":2}', '"\\u00e9\\n\\/"', '"😀 é"', "true", "false", "[]", "{}", '""', "0",
    "[1,2.50,3e0]", '{"z":1,"a":{"y":[null]}}', "[" * 64 + "]" * 64,
]


def test_payloads():
    with Triggers() as s:
        org = s.org()

        def post(text):
            return org.api("POST", "/api/events", b'{"type":"t","payload":' + text + b"}",
                           headers={"Content-Type": "application/json"})

        for text in FIDELITY:
            r = post(text.encode())
            zkt.equal(r.status, 202, f"accepted: {text[:30]}", r)
            stored = org.event(r.json["id"]).body
            zkt.contains(b'"payload":' + text.encode() + b",", stored, f"unchanged: {text[:30]}")
        r = post(b' { "a" : [ 1 , "b c" ] } ')
        zkt.contains(b'"payload":{"a":[1,"b c"]},', org.event(r.json["id"]).body,
                     "white space between tokens goes, inside strings it stays")
        zkt.equal(post(b"[" * 65 + b"]" * 65).status, 400, "65 levels")
        zkt.equal(post(b"null").status, 422, "null is no payload")
        zkt.equal(post(b'"' + b"x" * 262142 + b'"').status, 202, "262,144 bytes")
        zkt.equal(post(b'"' + b"x" * 262143 + b'"').status, 413, "262,145 bytes")
        zkt.equal(post(b" " * 9000 + b'"' + b"x" * 262142 + b'"').status, 202,
                  "white space does not count")
        for bad in (b"01", b"1.", b"+1", b"'a'", b"{a:1}", b"[1,]", b'"\t"', b'"\\x"', b"nul",
                    b"\xff", b'"\xc0\x80"', b"NaN", b"", b'"\\ud800', b"1 2"):
            zkt.equal(post(bad).status, 400, f"not JSON: {bad!r}")


FIELDS = [
    ({"payload": 1}, ["type"]), ({"type": "a"}, ["payload"]), ({}, ["type", "payload"]),
    ({"type": 1, "payload": 1}, ["type"]), ({"type": "", "payload": 1}, ["type"]),
    ({"type": "a\n", "payload": 1}, ["type"]), ({"type": "é" * 256, "payload": 1}, ["type"]),
    ({"type": "a", "payload": 1, "dedup_id": 7}, ["dedup_id"]),
    ({"type": "a", "payload": 1, "dedup_id": "x" * 256}, ["dedup_id"]),
    ({"type": "a", "payload": None}, ["payload"]),
]


def test_fields():
    with Triggers() as s:
        org = s.org()
        for body, fields in FIELDS:
            r = org.api("POST", "/api/events", body)
            zkt.equal((r.status, [e["field"] for e in r.json.get("errors", [])]), (422, fields),
                      f"422 for {str(body)[:50]}")
        for body in ({"type": "é" * 255, "payload": 1}, {"type": "a", "payload": 0, "dedup_id": None},
                     {"type": "a", "payload": [], "dedup_id": ""}, {"type": "a", "data": False},
                     {"type": "a", "payload": 1, "other": {}}):
            zkt.equal(org.api("POST", "/api/events", body).status, 202, f"202 for {str(body)[:50]}")
        r = org.send(headers={"Idempotency-Key": "k1"})
        zkt.equal((r.status, org.event(r.json["id"]).json["dedup_id"]), (202, "k1"),
                  "Idempotency-Key is the dedup_id")
        zkt.equal(org.send(headers={"Idempotency-Key": "k1"}).status, 409, "and refuses the second")
        zkt.equal(org.send(dedup_id="k2", headers={"Idempotency-Key": "k1"}).status, 202,
                  "the body's dedup_id wins")
        for body, field in (({}, "organization_name"), ({"organization_name": "a", "tier": "gold"},
                            "tier"), ({"organization_name": ""}, "organization_name"),
                            ({"organization_name": "a\u0007"}, "organization_name"),
                            ({"organization_name": "x" * 256}, "organization_name")):
            r = s.api("POST", "/api/keys/generate", body)
            zkt.equal((r.status, r.json["errors"][0]["field"]), (422, field), f"{str(body)[:40]}")
        r = s.api("POST", "/api/keys/generate", {"org_name": "alias"})
        zkt.equal((r.status, r.json["tier"], r.json["rate_limit_per_minute"]), (201, "free", 100),
                  "org_name is an alias, free the default")
        zkt.matches(r"^zap_live_[0-9a-f]{64}$", r.json["api_key"], "the key's form")
        zkt.equal(r.json["api_key"][9:25], r.json["key_id"], "the key id is its public part")
        zkt.equal(len({s.org(f"Same").id for _ in range(3)}), 3, "names are not unique")


def test_batch():
    with Triggers() as s:
        org = s.org()
        r = org.api("POST", "/api/events/batch", [
            {"type": "a", "payload": 1, "dedup_id": "d"}, {"type": "a", "payload": 2, "dedup_id": "d"},
            {"type": "", "payload": 3}, {"type": "b", "payload": 1.50}, 7])
        j = r.json
        zkt.equal((r.status, j["accepted"], j["rejected"]), (207, 2, 3), "some of a batch")
        zkt.equal([x["status"] for x in j["results"]], [202, 409, 422, 202, 422], "each its status")
        zkt.equal(j["results"][1]["id"], j["results"][0]["id"], "a duplicate names the first")
        zkt.equal([x["index"] for x in j["results"]], list(range(5)), "in order")
        lines = b'{"type":"n1","payload":1}\n\n{"type":"n2","payload":1}\r\n{bad\n{"type":"n3","payload":1}'
        r = org.api("POST", "/api/events/batch", lines,
                    headers={"Content-Type": "application/x-ndjson"})
        zkt.equal((r.status, [x["status"] for x in r.json["results"]]), (207, [202, 202, 400, 202]),
                  "NDJSON, one bad line among good ones")
        zkt.equal([e["type"] for e in org.inbox(limit=3)["events"]], ["n3", "n2", "n1"], "all stored")
        r = org.api("POST", "/api/events/batch", [{"type": "a", "payload": 1}] * 500)
        zkt.equal((r.status, r.json["accepted"]), (202, 500), "500 at once")
        for body, status in (([], 422), ({}, 422), ([{"type": "a", "payload": 1}] * 501, 422)):
            zkt.equal(org.api("POST", "/api/events/batch", body).status, status, f"{str(body)[:30]}")
        r = org.api("POST", "/api/events/batch", b"[" + b" " * (4 * 1024 * 1024) + b"]",
                    headers={"Content-Type": "application/json"})
        zkt.equal(r.status, 413, "over 4 MiB")


def test_acknowledge():
    with Triggers() as s:
        org = s.org()
        id = org.sent()
        first = org.api("POST", f"/api/ack/{id}")
        zkt.equal((first.status, first.json["status"], first.json["id"]), (200, "delivered", id),
                  "acknowledged")
        again = org.api("POST", f"/api/inbox/ack/{id}")
        zkt.equal(again.json["acknowledged_at"], first.json["acknowledged_at"],
                  "again: the first time stands")
        e = org.event(id).json
        zkt.equal((e["status"], e["acknowledged_at"]), ("delivered", first.json["acknowledged_at"]),
                  "the event is kept")
        more = [org.sent() for _ in range(3)]
        r = org.api("POST", "/api/inbox/ack", {"event_ids": [*more, id, UNKNOWN, "junk"]})
        zkt.equal(r.json, {"acknowledged": 3, "failed": 3}, "many at once")
        for ids in ([], ["x"] * 1001, "x", None):
            zkt.equal(org.api("POST", "/api/inbox/ack", {"event_ids": ids}).status, 422,
                      f"event_ids {str(ids)[:20]}")
        r = org.api("POST", f"/api/ack/{UNKNOWN}")
        zkt.equal((r.status, r.json["code"]), (404, "event_not_found"), "an unknown id")


def test_dedup_window():
    with Triggers("--dedup-window", "1s") as s:
        org = s.org()
        zkt.equal([org.send(dedup_id="w").status, org.send(dedup_id="w").status], [202, 409],
                  "inside the window")
        zkt.wait_for(lambda: org.send(dedup_id="w").status == 202, "the end of the window")


def next_event(events):
    for e in events:
        if "data" in e:
            return e
    raise zkt.Failure("the stream ended")


def test_stream():
    with Triggers() as s:
        org = s.org()
        old = org.sent(type="old")
        with s.raw() as c:
            head, events = c.events("GET", "/api/inbox/stream", {"X-API-Key": org.key})
            zkt.equal((head.status, head.header("Content-Type")), (200, "text/event-stream"), "open")
            id = org.sent(type="order created%", payload={"n": 12345678901234567890})
            e = next_event(events)
            zkt.equal((e["id"], e["event"]), (id, "order%20created%25"), "a new event comes")
            zkt.contains('"payload":{"n":12345678901234567890}', e["data"], "as the inbox shows it")
        many = [org.sent(payload={"n": i}) for i in range(250)]
        with s.raw() as c:
            head, events = c.events("GET", "/api/inbox/stream",
                                    {"X-API-Key": org.key, "Last-Event-ID": old})
            got = [next_event(events)["id"] for _ in range(251)]
            zkt.equal(got, [id, *many], "resumed behind the last event, nothing missing")
        with s.raw() as c:
            _, events = c.events("GET", f"/api/inbox/stream?after={old}&type=order*",
                                 {"X-API-Key": org.key})
            zkt.equal(next_event(events)["id"], id, "?after and a type")
        zkt.equal(s.api("GET", "/api/inbox/stream?after=x", key=org.key).status, 400, "a bad start")
        open_ones = [s.raw() for _ in range(64)]
        for c in open_ones:
            zkt.need(c.events("GET", "/api/inbox/stream", {"X-API-Key": org.key})[0].status == 200,
                     "64 streams")
        zkt.equal(s.api("GET", "/api/inbox/stream", key=org.key).status, 503, "the 65th is refused")
        with s.raw() as c:
            head, _ = c.events("GET", "/api/inbox/stream", {"X-API-Key": s.org().key})
            zkt.equal(head.status, 200, "another organization has its own")
        for c in open_ones:
            c.close()


def test_slow_stream():
    """A reader that takes nothing is closed; the server's memory does not follow it."""
    with Triggers() as s:
        org = s.org()
        with s.raw() as c:
            c.events("GET", "/api/inbox/stream", {"X-API-Key": org.key})
            before = s.rss_bytes()
            for _ in range(120):
                org.sent(payload={"text": "x" * 200000})
            grown = s.rss_bytes() - before
            zkt.ok(grown < 64 << 20, f"memory grew by {grown >> 20} MiB")
        zkt.equal(org.send().status, 202, "others are served")


def test_admin_token():
    token = zkt.write(zkt.tmp() + "/token", "s3cret-admin-token\n")
    with Triggers("--admin-token-file", token) as s:
        for auth, status in ((None, 401), ("Bearer wrong", 401), ("Bearer s3cret-admin-token", 201)):
            r = s.api("POST", "/api/keys/generate", {"organization_name": "x"},
                      headers={"Authorization": auth} if auth else {})
            zkt.equal(r.status, status, f"making an organization with {auth}")
        zkt.ok("s3cret-admin-token" not in s.err, "the token is in no log")
    with Triggers("--keygen-per-minute", "3") as s:
        statuses = [s.api("POST", "/api/keys/generate", {"organization_name": "x"}).status
                    for _ in range(5)]
        zkt.equal(statuses, [201, 201, 201, 429, 429], "organizations per minute and client")


def test_metrics():
    with Triggers("--metrics-listen", "127.0.0.1:0") as s:
        org = s.org()
        org.sent(dedup_id="x")
        org.send(dedup_id="x")
        zkt.equal(s.api("GET", "/metrics").status, 404, "not on the main listener")
        host, port = s.addresses[-1]
        with zkt.Raw((host, port)) as c:
            r = c.request("GET", "/metrics")
        m = zkt.metrics(r.body.decode())
        zkt.equal((m["events_ingested_total"], m["zk_triggers_duplicates_total"]), (1, 1), "counted")
        zkt.ok(json.dumps(org.id) not in r.body.decode(), "no label names an organization")
        text = r.body.decode()
        for name in """events_ingested_total event_ingestion_latency_seconds auth_checks_total
                auth_latency_seconds rate_limit_checks_total rate_limit_check_latency_seconds
                rate_limit_exceeded_total db_operations_total db_operation_latency_seconds
                webhook_deliveries_total event_queue_size cache_lookups_total events_failed_total
                zk_triggers_http_requests_total zk_triggers_http_request_seconds
                zk_triggers_connections zk_triggers_commit_batch_events zk_triggers_commit_seconds
                zk_triggers_duplicates_total zk_triggers_delivery_seconds
                zk_triggers_deliveries_in_flight zk_triggers_deliveries_due
                zk_triggers_delivery_oldest_due_seconds zk_triggers_dead_letter_total
                zk_triggers_circuit_open zk_triggers_wal_bytes zk_triggers_db_bytes
                zk_triggers_redis_up zk_build_info process_resident_memory_bytes""".split():
            zkt.ok(f"# TYPE {name} " in text, f"metric {name}")
        if shutil.which("promtool"):
            p = subprocess.run(["promtool", "check", "metrics"], input=text.encode(),
                               capture_output=True, check=False)
            zkt.equal(p.returncode, 0, "promtool check metrics", p.stdout + p.stderr)
        else:
            zkt.skip("promtool check metrics", "promtool is not installed")


if __name__ == "__main__":
    sys.exit(zkt.main())
