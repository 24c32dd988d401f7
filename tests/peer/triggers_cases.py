"""specs/triggers.md §18.1: the sixteen cases that every server of this API must pass, in the four
roles that the shared suite takes a server for (by its port), and on any other port."""

import sys

import zkt
from triggers_lib import Org, Triggers, free_port, is_uuid

ROLES = {"python": 8000, "elixir": 4000, "rust": 8090, "lisp": 5001, "other": 0}
HEALTHY = {"ok", "healthy", "up", "ready"}


def case_keys(s, role):
    r = s.api("POST", "/api/keys/generate", {"organization_name": "Suite Org", "tier": "free"})
    zkt.ok(r.status in (200, 201), f"{role}: 1 a key is generated", r)
    zkt.ok(r.json["api_key"].startswith("zap_") and len(r.json["api_key"]) == 73,
           f"{role}: 1 the key has its form", r)
    org = Org(s, r.json)
    info = org.api("GET", "/api/keys")
    zkt.equal((info.status, info.json["organization_name"], info.json["tier"]),
              (200, "Suite Org", "free"), f"{role}: 2 the key tells its organization")
    zkt.ok("api_key" not in info.json, f"{role}: 2 the key itself is not shown")


def case_events(s, role):
    org = s.org()
    member = "data" if role == "python" else "payload"
    r = org.api("POST", "/api/events", {"type": "user.created", member: {"a": 1}})
    zkt.ok(r.status in (200, 201, 202), f"{role}: 3 an event is accepted", r)
    got = r.json["event_id" if role == "lisp" else "id"]
    zkt.ok(is_uuid(got), f"{role}: 3 the id is a UUID", r)
    zkt.ok(got in [e["id"] for e in org.inbox()["events"]], f"{role}: 3 it is in the inbox at once")
    first = org.send(dedup_id="same")
    again = org.send(dedup_id="same")
    zkt.equal((first.status, again.status), (202, 409), f"{role}: 4 the second of two is refused")
    zkt.equal(again.json["event_id"], first.json["id"], f"{role}: 4 and names the first")
    r = org.send(payload={"text": "x" * 100 * 1024})
    zkt.equal(r.status, 202, f"{role}: 5 100 KB are accepted")
    r = org.send(payload={"text": "x" * 300 * 1024})
    zkt.equal(r.status, 413, f"{role}: 6 300 KB are refused")
    ids = [org.sent(payload={"n": i}) for i in range(10)]
    zkt.equal(len(set(ids)), 10, f"{role}: 7 ten in a row")


def case_inbox(s, role):
    org = s.org()
    page = org.inbox()
    zkt.equal((page["events"], page["next_cursor"]), ([], None), f"{role}: 8 an empty inbox")
    ids = [org.sent(payload={"n": i}) for i in range(25)]
    page = org.inbox()
    zkt.equal([e["id"] for e in page["events"]], ids[::-1], f"{role}: 9 newest first")
    for e in page["events"][:1]:
        for name in ("type", "event_type", "payload", "status", "delivery_status", "attempts",
                     "created_at", "updated_at", "response_status", "last_error"):
            zkt.ok(name in e, f"{role}: 9 an inbox event has '{name}'")
    if role == "elixir":
        pages = [org.inbox(limit=10, offset=o) for o in (0, 10, 20)]
        zkt.equal([p["total"] for p in pages], [25] * 3, f"{role}: 10 the total is exact")
        walked = [e["id"] for p in pages for e in p["events"]]
    else:
        walked = [e["id"] for e in org.all(limit=10)]
    zkt.equal(walked, ids[::-1], f"{role}: 10 paging gives each event once")


def case_limits(s, role):
    org = s.org(tier="free")
    statuses = [org.send().status for _ in range(110)]
    zkt.equal(statuses.count(202), 100, f"{role}: 11 a free organization may send 100 a minute")
    zkt.equal(statuses[100:], [429] * 10, f"{role}: 11 and is told to wait after that")


def case_webhook(s, role):
    org = s.org()
    r = org.api("POST", "/api/webhook/config", {"webhook_url": "http://localhost:8888/webhook"})
    zkt.equal(r.status, 200, f"{role}: 12 a webhook is configured", r)
    zkt.equal(r.json["webhook_url"], "http://localhost:8888/webhook", f"{role}: 12 and returned")


def case_health(s, role):
    path = "/health/ready" if role == "elixir" else "/health"
    r = s.api("GET", path)
    zkt.ok(r.status == 200 and r.json["status"] in HEALTHY, f"{role}: 13 {path}", r)
    if role != "elixir":
        zkt.equal(r.body, b'{"status":"healthy"}', f"{role}: 13 the body that clients compare")


def case_refusals(s, role):
    org = s.org()
    body = {"type": "a", "payload": {}}
    r = s.api("POST", "/api/events", body)
    zkt.equal((r.status, r.json["error"]), (401, "Missing API key"), f"{role}: 14 no key")
    r = s.api("POST", "/api/events", body, key="zap_live_" + "0" * 64)
    zkt.equal((r.status, r.json["error"]), (401, "Invalid API key"), f"{role}: 15 a wrong key")
    r = org.api("POST", "/api/events", {"invalid": "event"})
    zkt.equal((r.status, len(r.json["errors"])), (422, 2), f"{role}: 16 a wrong event", r)


CASES = [case_keys, case_events, case_inbox, case_limits, case_webhook, case_health, case_refusals]


def run(role):
    port = ROLES[role]
    listen = f"127.0.0.1:{port}"
    try:
        server = Triggers(listen=listen)
    except zkt.Failure as e:
        # Another program may hold a well-known port of this machine: any port serves the role,
        # because the role only decides how the suite talks.
        if "in use" not in str(e):
            raise
        zkt.note(f"port {port} is taken; the role is played on another")
        server = Triggers(listen=f"127.0.0.1:{free_port()}")
    with server:
        for case in CASES:
            case(server, role)
    zkt.equal(server.status, 0, f"{role}: the server ends with 0")


def test_roles():
    for role in ROLES:
        run(role)


if __name__ == "__main__":
    sys.exit(zkt.main())
