"""zk health against the stand-in of a Zeal server: kinds, real probes, errors in every form,
retries, the breaker (specs/zeal-zip.md §1, §2, §10, §11)."""

import json
import os
import socket
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../lib"))
import zeal  # noqa: E402
import zkt  # noqa: E402


def test_kinds():
    for kind in ["as-built", "ideal", "older", "path-blind"]:
        with zeal.Server(kind) as s:
            r = s.zk("health", "--server-kind-detect")
            zkt.equal(r.json["server_kind"], kind, f"{kind} is told apart")
            zkt.equal(r.status, kind == "path-blind", f"{kind}: exit status")
            zkt.ok(all(q["method"] == "GET" for q in s.log()), f"{kind}: nothing is changed")
    zkt.equal("server-unfit" in r.err, True, "a path-blind server is named in one line")


def test_deep():
    with zeal.Server() as s:
        r = s.zk("health", "--deep")
        zkt.equal([q["check"] for q in r.rows], ["health", "database", "traces", "paths", "socket"],
                  "one row per check", r)
        zkt.equal(r.status, 0, "all is well")
        s.conf(dbDown=True)
        r = s.zk("health")
        zkt.equal((r.status, r.rows[0]["status"], r.rows[0]["services"]["database"]),
                  (1, "unhealthy", "unhealthy"), "a 503 of the health endpoint is an answer", r)
        zkt.equal(len(s.log()) > 0, True, "requests are recorded")
        s.conf(frozen=True)
        r = s.zk("health")
        zkt.equal((r.status, r.rows[0]["cached"]), (0, True), "a frozen answer is marked")
        r = s.zk("health", "--deep")
        zkt.equal((r.status, [q["check"] for q in r.rows if q["status"] == "failed"]),
                  (1, ["database", "traces"]), "--deep finds a dead database behind it", r)
        r = s.zk("health", "--nagios")
        zkt.equal((r.status, r.out[:12]), (1, "ZEAL WARNING"), "nagios: frozen is a warning")
        r = s.zk("health", "--nagios", "--deep")
        zkt.equal((r.status, r.out[:13]), (2, "ZEAL CRITICAL"), "nagios: critical", r)
        s.conf(frozen=False, dbDown=False, socketDown=True)
        r = s.zk("health", "--deep")
        zkt.equal((r.status, r.rows[-1]["status"]), (1, "failed"), "a dead socket server is found")
        s.conf(socketDown=False)
        r = s.zk("health", "--deep", "--ws-url", s.ws_url.replace("http", "ws"))
        zkt.equal(r.status, 0, "the socket server may be named")


def test_requests():
    with zeal.Server("as-built", "--token", "tok-0123456789") as s:
        secret = zkt.write(s.home + "/token", "tok-0123456789\n")
        r = s.zk("health", "--deep", "--token-file", secret, "-vv", "--trace=headers,bodies,curl",
                 "--base-url", s.url + "///", "--client-id", "job-7")
        zkt.equal(r.status, 0, "the token opens every route", r)
        log = s.log(forget=True)
        zkt.ok(all(q["headers"].get("authorization") == "Bearer tok-0123456789" for q in log),
               "it is sent with every request, health included")
        zkt.ok(all("//" not in q["url"] and not q["url"].endswith("/") for q in log),
               "no double slash, none at the end")
        zkt.ok(all(q["headers"]["x-user-id"] == "zip-integration"
                   and q["headers"]["x-client-id"] == "job-7"
                   and q["headers"]["accept"] == "application/json"
                   and q["headers"]["user-agent"].startswith("zk/")
                   and "expect" not in q["headers"] and "upgrade" not in q["headers"]
                   for q in log), "the headers of every request", log)
        zkt.ok("tok-0123456789" not in r.out + r.err, "it is never printed")
        key = zkt.write(s.home + "/key", "tok-0123456789")
        s.zk("health", "--deep", "--api-key-file", key, "--as-user", "me")
        zkt.ok(all(q["headers"].get("x-api-key") == "tok-0123456789"
                   and q["headers"]["x-user-id"] == "me" for q in s.log(forget=True)),
               "an API key in its own header")
        r = s.zk("health", "--deep")
        zkt.equal((r.status, r.rows[1]["code"]), (1, "ZK3010"), "without a credential", r)
        bad = zkt.write(s.home + "/bad", "tok 1")
        zkt.equal(s.zk("health", "--token-file", bad).status, 65, "no header takes such a token")


def run_with(answers, *args, **env):
    with zkt.Sink(answers) as sink:
        home = zkt.tmp()
        r = zkt.zk("health", *args, "--base-url", sink.url, "--log-format", "json",
                   env={"HOME": home, "ZK_RETRY_BASE": "1ms", **env})
        return r, list(sink.requests)


GOOD = zkt.Answer(200, [("Content-Type", "application/json")], b'{"status":"healthy"}')


def test_retries():
    for hint, value in [("Retry-After", "1"), ("X-RateLimit-Reset", None), (None, None)]:
        at = time.time() + 1
        body = b""
        headers = [("Content-Type", "application/json")]
        if hint:
            headers.append((hint, value or str(int(at * 1000))))
        else:
            stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(at + 1)) + ".000Z"
            body = json.dumps({"error": {"code": "RATE_LIMIT_EXCEEDED", "message": "slow",
                                         "details": {"resetTime": stamp}}}).encode()
        r, requests = run_with([zkt.Answer(429, headers, body), GOOD])
        zkt.equal((r.status, len(requests)), (0, 2), f"429 with {hint or 'details'}: once more", r)
        if len(requests) == 2:
            zkt.ok(requests[1].at - requests[0].at >= 0.9 or time.time() > at,
                   f"429 with {hint or 'details'}: not before the time named")
    r, requests = run_with([zkt.Answer(429, [("Retry-After", "3600")])])
    zkt.equal((r.status, len(requests)), (1, 1), "a wait longer than the cap ends it")
    r, requests = run_with([[b"HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n{\"status\"", "close"], GOOD])
    zkt.equal((r.status, len(requests)), (0, 2), "a truncated answer to a GET is asked for again")
    r, requests = run_with([zkt.Answer(200, [("Content-Type", "text/html")], b"<p>"), GOOD])
    zkt.equal((r.status, len(requests)), (0, 2), "so is one that is no JSON")
    r, requests = run_with([["reset"], GOOD])
    zkt.equal((r.status, len(requests)), (0, 2), "a reset before the answer")


def test_drip_and_redirects():
    with zeal.Server() as s:
        s.faults([{"on": "GET /health", "do": "drip"}])
        zkt.equal(s.zk("health").status, 0, "an answer that comes byte by byte")
    r, requests = run_with([zkt.Answer(308, [("Location", "/a")]), zkt.Answer(307, [("Location", "/b")]),
                            GOOD])
    zkt.equal((r.status, [q.target for q in requests]), (0, ["/api/zip/health", "/a", "/b"]),
              "307 and 308 are followed", r)
    r, requests = run_with([zkt.Answer(308, [("Location", "/a")])] * 6)
    zkt.equal((r.status, len(requests)), (1, 4), "three at most", r)
    r, requests = run_with([zkt.Answer(302, [("Location", "/a")]), GOOD])
    zkt.equal((r.status, len(requests)), (1, 1), "no other redirect")


def test_breaker():
    """Nothing listens: five tries, then rest for 5 s, then one probe; it closes by success."""
    probe = socket.socket()
    probe.bind(("127.0.0.1", 0))
    port = probe.getsockname()[1]
    home = zkt.tmp()
    with zkt.Process("health", "--watch", "100ms", "--base-url", f"http://127.0.0.1:{port}",
                     "-o", "ndjson", env={"HOME": home}) as p:
        zkt.wait_for(lambda: p.out.count('"failed"') >= 5, "five failures")
        seen = p.out.count("\n")
        time.sleep(0.5)
        zkt.equal(p.out.count("\n"), seen, "then the server is left alone")
        probe.listen(16)

        def serve():
            while True:
                try:
                    c, _ = probe.accept()
                except OSError:
                    return
                threading.Thread(target=answer, args=(c,), daemon=True).start()

        def answer(c):
            while c.recv(65536):
                c.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n{\"status\":\"healthy\"}")

        threading.Thread(target=serve, daemon=True).start()
        zkt.wait_for(lambda: p.out.count('"healthy"') >= 2, "recovery", timeout_s=20)
        zkt.ok(True, "it recovers by itself")
    probe.close()


def test_wait():
    with zeal.Server() as s:
        s.conf(dbDown=True)
        with s.process("health", "--wait", "30s") as p:
            zkt.wait_for(lambda: len(s.log()) >= 3, "looks")
            s.conf(dbDown=False)
            zkt.equal(p.wait(), 0, "--wait ends when it is healthy", p.err)
        s.conf(dbDown=True)
        zkt.equal(s.zk("health", "--wait", "300ms").status, 1, "and says no when the time is over")


zkt.main()
