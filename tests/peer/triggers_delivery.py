"""specs/triggers.md §18.6 and 7: every outcome of a delivery, signatures by an independent
implementation, the address guard, fairness, a crash during an attempt."""

import json
import socket
import sys
import threading
import time

import zkt
from triggers_lib import LEASE_S, Triggers

FAST = ("--retry-schedule", "100ms,200ms,300ms", "--delivery-timeout", "1s",
        "--allow-private-webhooks")


def settled(org, id, status, timeout_s=15):
    def check():
        e = org.event(id).json
        return e if e["status"] == status else None
    return zkt.wait_for(check, f"event to be {status} (is {org.event(id).json})", timeout_s)


def attempts(org, id):
    return org.event(id).json["delivery_attempts"]


def test_success_and_signature():
    with Triggers(*FAST) as s, zkt.Sink() as sink:
        org = s.org()
        secret = org.webhook(sink.url + "/hook?x=1")["signing_secret"]
        zkt.matches(r"^whsec_[A-Za-z0-9+/]{43}=$", secret, "the signing secret's form")
        zkt.ok("signing_secret" not in org.webhook(sink.url + "/hook?x=1"), "shown once")
        start = time.monotonic()
        r = org.api("POST", "/api/events", '{"type":"order é","payload":{"n":12345678901234567890,'
                    '"x":1.10}}'.encode(), headers={"Content-Type": "application/json"})
        id = r.json["id"]
        e = settled(org, id, "delivered")
        zkt.ok(time.monotonic() - start < 8, "delivered at once")
        r = sink.requests[0]
        zkt.equal((r.method, r.target), ("POST", "/hook?x=1"), "the request line")
        zkt.equal(r.header("content-type"), "application/json", "content type")
        zkt.matches(r"^zk-triggers/", r.header("user-agent"), "user agent")
        zkt.equal((r.header("x-event-id"), r.header("webhook-id")), (id, id), "event id")
        zkt.equal(r.header("x-event-type"), "order%20%C3%A9", "event type, percent-encoded")
        zkt.equal(r.header("x-delivery-attempt"), "1", "attempt number")
        zkt.equal(r.header("webhook-signature"),
                  zkt.webhook_signature(secret, id, r.header("webhook-timestamp"), r.body),
                  "the signature")
        created = org.event(id).json["created_at"]
        zkt.equal(r.body.decode(),
                  f'{{"id":"{id}","event_id":"{id}","type":"order é","timestamp":"{created}",'
                  '"data":{"n":12345678901234567890,"x":1.10}}', "the body, byte for byte")
        zkt.equal((e["response_status"], e["attempts"]), (200, 1), "the outcome is stored")
        r = org.api("POST", "/api/webhook/secret/rotate", {"grace_seconds": 100})
        new = r.json["signing_secret"]
        id = org.sent()
        settled(org, id, "delivered")
        r = sink.requests[-1]
        both = r.header("webhook-signature").split(" ")
        want = [zkt.webhook_signature(k, id, r.header("webhook-timestamp"), r.body)
                for k in (new, secret)]
        zkt.equal(both, want, "two signatures during a rotation, the new first")
        r = org.api("POST", "/api/webhook/test")
        zkt.equal((r.status, r.json["delivered"], r.json["response_status"], r.json["address"]),
                  (200, True, 200, "127.0.0.1"), "a test call")
        zkt.equal(json.loads(sink.requests[-1].body)["type"], "zk.test", "of its own type")
        zkt.equal(len(org.all()), 2, "which is not stored")


def test_retry_then_success():
    with Triggers(*FAST) as s, zkt.Sink([500, 503, 200]) as sink:
        org = s.org()
        org.webhook(sink.url)
        id = org.sent()
        e = settled(org, id, "delivered")
        zkt.equal(e["attempts"], 3, "three attempts")
        zkt.equal([a["response_status"] for a in attempts(org, id)], [500, 503, 200], "each kept")
        zkt.equal(len({r.body for r in sink.requests}), 1, "the same bytes each time")
        zkt.equal([r.header("x-delivery-attempt") for r in sink.requests], ["1", "2", "3"], "counted")


def test_dead_letter_and_replay():
    # Two attempts each: ten failures in a row would open the circuit.
    with zkt.Sink() as alerts, Triggers("--retry-schedule", "100ms", "--allow-private-webhooks",
                                        "--alert-url", alerts.url) as s, \
            zkt.Sink(default=500) as sink:
        org = s.org()
        org.webhook(sink.url)
        id = org.sent()
        e = settled(org, id, "failed")
        zkt.equal((e["attempts"], e["last_error"]), (2, "HTTP 500"), "two attempts, then failed")
        zkt.equal([x["id"] for x in org.inbox(status="dead_letter")["events"]], [id], "dead letter")
        zkt.wait_for(lambda: alerts.requests, "the alert")
        zkt.equal(json.loads(alerts.requests[0].body)["data"]["event_id"], id, "the alert names it")
        zkt.contains("delivery.dead_letter", s.err, "so does the log")
        sink.default = 200
        r = org.api("POST", f"/api/events/{id}/replay")
        zkt.equal((r.status, r.json), (202, {"id": id, "status": "pending"}), "replay")
        settled(org, id, "delivered")
        sink.default = 500
        more = [org.sent(type=t) for t in ("user.a", "user.b", "other")]
        for m in more:
            settled(org, m, "failed")
        sink.default = 200
        r = org.api("POST", "/api/replay", {"status": "failed", "type": "user.*"})
        zkt.equal((r.status, r.json), (202, {"scheduled": 2}), "replay by filter")
        settled(org, more[0], "delivered")
        zkt.equal(org.event(more[2]).json["status"], "failed", "the other stays")
        zkt.equal(len(alerts.requests), 1, "one alert per organization and hour")


def test_gone():
    with Triggers(*FAST) as s, zkt.Sink([410]) as sink:
        org = s.org()
        org.webhook(sink.url)
        id = org.sent()
        settled(org, id, "failed")
        w = zkt.wait_for(lambda: (lambda j: j if j["disabled_reason"] else None)(
            org.api("GET", "/api/webhook/config").json), "the webhook to be disabled")
        zkt.equal((w["enabled"], w["disabled_reason"]), (False, "gone"), "410 disables the webhook")
        later = org.sent()
        zkt.equal(org.event(later).json["next_attempt_at"], None, "later events wait in the inbox")
        org.webhook(sink.url, deliver_backlog=True)
        settled(org, later, "delivered")
        zkt.equal(len(sink.requests), 2, "configured again: the backlog is delivered")


def test_retry_after():
    for value in ("1", None):
        with Triggers("--retry-schedule", "50ms,5s", "--allow-private-webhooks") as s:
            at = int(time.time()) + 3
            date = time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(at))
            with zkt.Sink([zkt.Answer(429, headers=[("Retry-After", value or date)]), 200]) as sink:
                org = s.org()
                org.webhook(sink.url)
                start = time.monotonic()
                settled(org, org.sent(), "delivered")
                took = time.monotonic() - start
                if value:
                    zkt.ok(took >= 0.9, f"Retry-After as seconds: {took:.2f} s")
                else:
                    zkt.ok(time.time() >= at, f"Retry-After as date: {took:.2f} s, not before it")


def test_failures_named():
    with Triggers("--retry-schedule", "1h", "--delivery-timeout", "700ms",
                  "--allow-private-webhooks") as s, zkt.Sink() as sink:
        closed = socket.socket()
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
        closed.close()
        cases = [
            ("302", zkt.Answer(302, headers=[("Location", "http://127.0.0.1:1/")]), r"redirects"),
            ("404", 404, r"HTTP 404"),
            ("hang", zkt.Answer(200, delay_s=30), r"no answer within 700ms"),
            ("half an answer", [b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nxxxx", "close"], r"."),
        ]
        for name, answer, pattern in cases:
            sink.default = answer
            org = s.org()
            org.webhook(sink.url)
            id = org.sent()
            e = settled(org, id, "retrying")
            zkt.matches(pattern, e["last_error"] or "", f"{name}: named")
        org = s.org()
        org.webhook(f"http://127.0.0.1:{port}/")
        e = settled(org, org.sent(), "retrying")
        zkt.equal(e["response_status"], None, "refused: no status")
        zkt.matches("connect|refused", e["last_error"], "refused: named")


def test_big_answer():
    """1 GB of answer: little is read, nothing is kept beyond 1 KiB, memory does not follow."""
    with Triggers(*FAST) as s:
        listener = socket.create_server(("127.0.0.1", 0))
        sent = []

        def flood():
            c, _ = listener.accept()
            c.recv(65536)
            c.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1073741824\r\n\r\n")
            block, n = b"y" * 1048576, 0
            try:
                for _ in range(1024):
                    c.sendall(block)
                    n += len(block)
            except OSError:
                pass
            sent.append(n)
            c.close()

        t = threading.Thread(target=flood)
        t.start()
        org = s.org()
        before = s.rss_bytes()
        org.webhook(f"http://127.0.0.1:{listener.getsockname()[1]}/")
        id = org.sent()
        settled(org, id, "delivered")
        t.join(20)
        zkt.ok(sent and sent[0] < 64 << 20, "the flood was cut", sent)
        zkt.ok(s.rss_bytes() - before < 48 << 20, "memory is bounded")
        zkt.equal(len(attempts(org, id)[0]["response_body"]), 1024, "1 KiB is kept")
        listener.close()


def test_isolation():
    """A dead endpoint beside a healthy one: the healthy organization is not slowed."""
    with Triggers("--delivery-timeout", "2s", "--allow-private-webhooks", "--delivery-max", "32",
                  "--retry-schedule", "1s") as s, zkt.Sink() as good:
        dead_socket = socket.create_server(("127.0.0.1", 0))
        dead, healthy = s.org("dead"), s.org("healthy")
        dead.webhook(f"http://127.0.0.1:{dead_socket.getsockname()[1]}/")
        healthy.webhook(good.url)
        dead.api("POST", "/api/events/batch", [{"type": "d", "payload": i} for i in range(200)])
        start = time.monotonic()
        ids = [healthy.sent(payload=i) for i in range(20)]
        for id in ids:
            settled(healthy, id, "delivered")
        took = time.monotonic() - start
        zkt.ok(took < 8, f"20 deliveries beside a dead endpoint took {took:.2f} s")
        dead_socket.close()


def test_breaker():
    with Triggers("--retry-schedule", "10ms,10ms", "--allow-private-webhooks") as s, \
            zkt.Sink(default=500) as sink:
        org = s.org()
        org.webhook(sink.url)
        for i in range(12):
            org.sent(payload=i)
        zkt.wait_for(lambda: org.api("GET", "/api/webhook/config").json["circuit"] == "open",
                     "the circuit to open")
        n = len(sink.requests)
        time.sleep(0.5)
        zkt.ok(len(sink.requests) - n <= 10, "an open circuit lets nothing new through")
        w = org.api("GET", "/api/webhook/config").json
        zkt.ok(w["consecutive_failures"] >= 10 and w["last_error"] == "HTTP 500", "and is shown", w)
        sink.default = 200
        org.webhook(sink.url)
        zkt.wait_for(lambda: org.inbox(status="pending")["count"] == 0, "a new URL closes it", 20)


def test_ordered():
    with Triggers("--retry-schedule", "200ms,200ms", "--allow-private-webhooks") as s, \
            zkt.Sink([200, 500, 200]) as sink:
        org = s.org()
        org.webhook(sink.url, ordered=True)
        ids = [org.sent(payload=i) for i in range(6)]
        for id in ids:
            settled(org, id, "delivered")
        got = [r.header("webhook-id") for r in sink.requests]
        zkt.equal(got, [ids[0], ids[1], ids[1], *ids[2:]], "strict order, the failed one first")


def test_guard():
    with Triggers("--retry-schedule", "1h") as s, zkt.Sink() as sink:
        org = s.org()
        r = org.api("POST", "/api/webhook/config", {"webhook_url": sink.url})
        zkt.equal(r.status, 200, "a private address is configured")
        zkt.contains("private", r.json["notice"], "with a notice")
        e = settled(org, org.sent(), "retrying")
        zkt.matches(r"^blocked address 127\.0\.0\.1 \(.*\); see --webhook-allow", e["last_error"],
                    "but not contacted")
        zkt.equal((e["response_status"], sink.requests), (None, []), "nothing was sent")
        for host in ("2130706433", "0x7f.1", "0177.0.0.1", "127.1", "0", "[::1]", "[::ffff:127.0.0.1]",
                     "localhost"):
            org.webhook(f"http://{host}:{sink.port}/")
            r = org.api("POST", "/api/webhook/test").json
            zkt.equal(r["delivered"], False, f"blocked: {host}", r)
        zkt.equal(sink.requests, [], "none of them got through")
        for url in ("ftp://x.example/", "http://", "http://u:p@x.example/", "http://a b/", "nonsense",
                    "http://x.example/" + "a" * 2048, "file:///etc/passwd", "gopher://x.example/"):
            r = org.api("POST", "/api/webhook/config", {"webhook_url": url})
            zkt.equal((r.status, r.json["code"]), (400, "invalid_webhook_url"), f"refused: {url[:30]}")
    with Triggers("--webhook-allow", "127.0.0.0/8", "--require-https") as s:
        r = s.org().api("POST", "/api/webhook/config", {"webhook_url": "http://127.0.0.1:1/"})
        zkt.equal(r.status, 400, "--require-https")
    with Triggers("--webhook-allow", "127.0.0.0/8") as s, zkt.Sink() as sink:
        org = s.org()
        org.webhook(sink.url)
        settled(org, org.sent(), "delivered")
        org.webhook(s.url + "/api/events")
        r = org.api("POST", "/api/webhook/test").json
        zkt.matches("blocked address", r["error"] or "", "its own listener is never a target")


def test_crash_during_attempt():
    with Triggers(*FAST) as s, zkt.Sink([zkt.Answer(200, delay_s=20)]) as sink:
        org = s.org()
        org.webhook(sink.url)
        id = org.sent()
        zkt.wait_for(lambda: sink.requests, "the attempt")
        s.kill()
        with s.restart(*FAST) as again:
            org.server = again
            e = settled(org, id, "delivered", 15 + LEASE_S)
            # On PostgreSQL the claim counts the attempt, which another server cannot see.
            zkt.equal(e["attempts"], 2 if s.is_pg else 1, "the attempt that was cut")
            zkt.equal([r.header("webhook-id") for r in sink.requests], [id, id], "sent again")


def test_no_delivery():
    with Triggers("--no-delivery") as s, zkt.Sink() as sink:
        org = s.org()
        org.webhook(sink.url)
        e = org.event(org.sent()).json
        zkt.equal((e["status"], e["response_status"]), ("delivered", 200), "delivery switched off")
        zkt.equal(sink.requests, [], "no request is made")
    with Triggers(env={"DISABLE_WEBHOOK_DELIVERY": "true"}) as s:
        zkt.equal(s.api("GET", "/api/health/detailed").json["config"]["delivery_enabled"], False,
                  "DISABLE_WEBHOOK_DELIVERY")


def test_legacy_body():
    with Triggers(*FAST, "--delivery-body", "legacy") as s, zkt.Sink() as sink:
        org = s.org()
        org.webhook(sink.url)
        id = org.sent(payload={"a": 1})
        settled(org, id, "delivered")
        body = json.loads(sink.requests[0].body)
        zkt.equal(list(body), ["event_id", "event_type", "payload", "created_at"], "legacy members")


def test_acknowledged_meanwhile():
    with Triggers("--retry-schedule", "1s,1s", "--allow-private-webhooks") as s, \
            zkt.Sink(default=500) as sink:
        org = s.org()
        org.webhook(sink.url)
        id = org.sent()
        settled(org, id, "retrying")
        zkt.equal(org.api("POST", f"/api/ack/{id}").status, 200, "acknowledged while it retries")
        n = len(attempts(org, id))
        time.sleep(1.5)
        zkt.equal((len(attempts(org, id)), len(sink.requests)), (n, n), "no further attempt")
        zkt.equal(org.event(id).json["status"], "delivered", "and it stays delivered")


if __name__ == "__main__":
    sys.exit(zkt.main())
