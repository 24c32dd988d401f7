"""specs/triggers.md §18.2: each rule of §2 and each row of §4 over raw sockets, each followed by
"another client is still served"."""

import json
import re
import signal
import socket
import sys

import zkt
from triggers_lib import Triggers, is_uuid

LIMITS = ("--head-timeout", "700ms", "--body-timeout", "900ms", "--idle-timeout", "1200ms")


class Server(Triggers):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.o = self.org("HTTP rules")

    def still_served(self, after):
        zkt.equal(self.api("GET", "/health").status, 200, f"another client is served after {after}")

    def event(self, extra="", body=b'{"type":"a","payload":{}}', length=True):
        head = f"POST /api/events HTTP/1.1\r\nHost: x\r\nX-API-Key: {self.o.key}\r\n{extra}"
        if length:
            head += f"Content-Length: {len(body)}\r\n"
        return head.encode() + b"\r\n" + body


def check_error(r, status, code, name):
    zkt.equal(r.status, status, f"{name}: status", repr(r))
    if r.status != status or not r.body:
        return
    j = r.json
    zkt.equal(j["code"], code, f"{name}: code")
    zkt.ok(j["error"] == j["detail"] and j["message"] and j["request_id"], f"{name}: members", r)
    zkt.equal(j["request_id"], r.header("X-Request-Id"), f"{name}: request id in head and body")


FRAMING = [
    ("length and chunked", "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n"),
    ("two lengths", "Content-Length: 2\r\nContent-Length: 2\r\n"),
    ("two different lengths", "Content-Length: 2\r\nContent-Length: 3\r\n"),
    ("length +2", "Content-Length: +2\r\n"),
    ("length -1", "Content-Length: -1\r\n"),
    ("length 0x2", "Content-Length: 0x2\r\n"),
    ("length 2, 2", "Content-Length: 2, 2\r\n"),
    ("empty length", "Content-Length: \r\n"),
    ("length of 23 digits", "Content-Length: 12345678901234567890123\r\n"),
    ("length with a space before the colon", "Content-Length : 2\r\n"),
    ("coding gzip, chunked", "Transfer-Encoding: gzip, chunked\r\n"),
    ("coding identity", "Transfer-Encoding: identity\r\n"),
    ("coding xchunked", "Transfer-Encoding: xchunked\r\n"),
    ("two codings", "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"),
    ("header name with a space", "X A: b\r\n"),
    ("empty header name", ": b\r\n"),
    ("folded line", "X-A: b\r\n c\r\n"),
    ("bare CR in a value", "X-A: b\rc\r\n"),
    ("NUL in a value", "X-A: b\0c\r\n"),
    ("NUL in a name", "X\0A: b\r\n"),
    ("bare LF line end", "X-A: b\nX-B: c\r\n"),
    ("header without a colon", "nothing\r\n"),
    ("two hosts", "Host: y\r\n"),
]

HEADS = [
    ("no host in 1.1", b"GET /health HTTP/1.1\r\n\r\n", 400),
    ("bare LF after the request line", b"GET /health HTTP/1.1\nHost: x\r\n\r\n", 400),
    ("NUL in the target", b"GET /hea\0lth HTTP/1.1\r\nHost: x\r\n\r\n", 400),
    ("two spaces", b"GET  /health HTTP/1.1\r\nHost: x\r\n\r\n", 400),
    ("no version", b"GET /health\r\nHost: x\r\n\r\n", 400),
    ("lower-case protocol", b"GET /health http/1.1\r\nHost: x\r\n\r\n", 400),
    ("method with a separator", b"G(T /health HTTP/1.1\r\nHost: x\r\n\r\n", 400),
    ("HTTP/2 preface", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
    ("binary rubbish", bytes(range(256)) + b"\r\n\r\n", 400),
    ("a TLS client hello", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\r\n\r\n", 400),
]


def test_framing():
    with Server() as s:
        for name, lines in FRAMING:
            with s.raw() as c:
                c.send(s.event(lines, b"{}", length=False))
                r = c.response()
                check_error(r, 400, "invalid_request", name)
                zkt.equal(r.header("Connection", "").lower(), "close", f"{name}: closes")
                zkt.ok(c.closed(), f"{name}: one answer, then the end")
            s.still_served(name)
        for name, data, status in HEADS:
            with s.raw() as c:
                c.send(data)
                zkt.equal(c.response().status, status, name)
            s.still_served(name)


def test_head_limits():
    with Server() as s:
        cases = [
            ("target over 8 KiB", b"GET /" + b"a" * 8192 + b" HTTP/1.1\r\nHost: x\r\n\r\n", 414,
             "uri_too_long"),
            ("one huge header",
             b"GET / HTTP/1.1\r\nHost: x\r\nX-A: " + b"a" * 17000 + b"\r\n\r\n", 431,
             "headers_too_large"),
            ("101 header lines",
             b"GET / HTTP/1.1\r\nHost: x\r\n" + b"X-A: b\r\n" * 100 + b"\r\n", 431,
             "headers_too_large"),
        ]
        for name, data, status, code in cases:
            with s.raw() as c:
                c.send(data)
                check_error(c.response(), status, code, name)
            s.still_served(name)
        with s.raw() as c:
            c.send(b"GET /health HTTP/1.1\r\nHost: x\r\n" + b"X-A: b\r\n" * 99 + b"\r\n")
            zkt.equal(c.response().status, 200, "100 header lines are allowed")


def test_order_of_checks():
    with Server("--rate-limit", "free=1") as s:
        r = s.api("POST", "/nowhere", b"{bad", headers={"Content-Type": "text/plain"})
        check_error(r, 404, "not_found", "the route comes before everything")
        r = s.api("PUT", "/api/events", b"{bad")
        check_error(r, 405, "method_not_allowed", "then the method")
        zkt.equal(r.header("Allow"), "POST", "405 names what is allowed")
        with s.raw() as c:
            c.send(f"POST /api/events HTTP/1.1\r\nHost: x\r\nContent-Length: {600 * 1024}\r\n\r\n")
            r = c.response()
            check_error(r, 413, "payload_too_large", "then the declared length, before the key")
            zkt.ok(c.closed(), "and the connection ends without the body")
        with s.raw() as c:
            c.send("POST /api/events HTTP/1.1\r\nHost: x\r\nContent-Length: 400000\r\n\r\n")
            check_error(c.response(), 401, "unauthorized", "then the key: no body was needed")
        org = s.org(tier="free")
        zkt.equal(org.send().status, 202, "the first of one event a minute")
        r = org.api("POST", "/api/events", b"{bad", headers={"Content-Type": "text/plain"})
        check_error(r, 429, "rate_limit_exceeded", "then the rate limit")
        full = s.o
        r = full.api("POST", "/api/events", b"{bad", headers={"Content-Type": "text/plain"})
        check_error(r, 415, "unsupported_media_type", "then the content type")
        zkt.contains("Content-Type", r.json["message"], "415 names the header to send")
        r = full.api("POST", "/api/events", b"{bad", headers={"Content-Type": "application/json"})
        check_error(r, 400, "invalid_json", "then the syntax")
        zkt.equal(r.json["position"], 1, "400 gives the byte")
        r = full.api("POST", "/api/events", {"payload": "x" * 300000})
        check_error(r, 422, "validation_error", "then the shape")
        r = full.api("POST", "/api/events", {"type": "a", "payload": "x" * 300000})
        check_error(r, 413, "payload_too_large", "then the size")
        zkt.equal((r.json["size"], r.json["limit"]), (300002, 262144), "413 gives the numbers")
        zkt.equal(r.json["error"], "Payload too large (max 256KB)", "413 text of earlier servers")


def test_content_types():
    with Server() as s:
        for ctype, status in [(None, 202), ("application/json", 202),
                              ("application/json; charset=utf-8", 202),
                              ("Application/JSON;Charset=\"UTF-8\"", 202),
                              ("application/vnd.x+json", 202), ("text/plain", 415),
                              ("application/json; charset=latin1", 415), ("application/xml", 415),
                              ("+json", 415), ("application/x-ndjson", 415)]:
            extra = f"Content-Type: {ctype}\r\n" if ctype else ""
            with s.raw() as c:
                c.send(s.event(extra))
                zkt.equal(c.response().status, status, f"content type {ctype}")
        with s.raw() as c:
            c.send(s.event("", b'\xef\xbb\xbf{"type":"bom","payload":1}'))
            zkt.equal(c.response().status, 202, "a leading BOM is skipped")
            c.send(s.event("", b'{"type":"\xff","payload":1}'))
            check_error(c.response(), 400, "invalid_json", "a body that is not UTF-8")
            c.send(s.event("", b'{"type":"first","type":"last","payload":1}'))
            zkt.equal(c.response().json["type"], "last", "the last of duplicate members counts")
            c.send(s.event("", b""))
            check_error(c.response(), 400, "invalid_json", "an empty body")
            for body in (b"[]", b'"x"', b"7", b"null"):
                c.send(s.event("", body))
                check_error(c.response(), 422, "validation_error", f"a body of {body}")


def test_bodies_and_pipelining():
    with Server() as s:
        with s.raw() as c:
            for i in range(20):
                c.send(s.event("", b'{"type":"p%d","payload":%d}' % (i, i)))
            got = [c.response().json["type"] for i in range(20)]
            zkt.equal(got, [f"p{i}" for i in range(20)], "20 pipelined requests in order")
            c.send(b"\r\n" + s.event())
            zkt.equal(c.response().status, 202, "a stray CRLF between requests")
        data = s.event("Transfer-Encoding: chunked\r\n",
                       b'5;x="y"\r\n{"typ\r\n14\r\ne":"a","payload":{}}\r\n0\r\nX-T: 1\r\n\r\n',
                       length=False)
        for piece in (0, 1, 7):
            with s.raw() as c:
                c.send(data, piece)
                zkt.equal(c.response().status, 202, f"a chunked body in pieces of {piece}")
                c.send(s.event(), piece)
                zkt.equal(c.response().status, 202, f"and another request, pieces of {piece}")
        for name, body in [("chunk size not hexadecimal", b"x\r\n"), ("chunk too long for its size",
                           b"2\r\n{}}\r\n"), ("huge chunk size", b"fffffffffffffffff\r\n"),
                           ("negative chunk size", b"-1\r\n")]:
            with s.raw() as c:
                c.send(s.event("Transfer-Encoding: chunked\r\n", body, length=False))
                zkt.equal(c.response().status, 400, name)
            s.still_served(name)
        with s.raw() as c:
            c.send(s.event("Transfer-Encoding: chunked\r\n", b"", length=False))
            piece = b"10000\r\n" + b" " * 65536 + b"\r\n"
            try:
                for _ in range(20):
                    c.send(piece)
            except OSError:
                pass
            zkt.equal(c.response().status, 413, "a chunked body over the limit")
        s.still_served("a chunked body over the limit")


def test_expect():
    with Server() as s:
        with s.raw() as c:
            body = b'{"type":"a","payload":{}}'
            c.send(f"POST /api/events HTTP/1.1\r\nHost: x\r\nX-API-Key: {s.o.key}\r\n"
                   f"Expect: 100-continue\r\nContent-Length: {len(body)}\r\n\r\n")
            zkt.equal(c.read_until(b"\r\n\r\n"), b"HTTP/1.1 100 Continue", "100 after the key")
            c.send(body)
            zkt.equal(c.response().status, 202, "then the answer")
        for name, key, length, status in [("a wrong key", "zap_bad_key_0123456789", 10, 401),
                                          ("a length over the limit", s.o.key, 600000, 413)]:
            with s.raw() as c:
                c.send(f"POST /api/events HTTP/1.1\r\nHost: x\r\nX-API-Key: {key}\r\n"
                       f"Expect: 100-continue\r\nContent-Length: {length}\r\n\r\n")
                zkt.equal(c.response().status, status, f"no 100 for {name}")


def test_deadlines():
    with Server(*LIMITS) as s:
        for name, first, drip in [
                ("head", b"GET /health HTTP/1.1\r\n", b"X"),
                ("body", s.event("", b"", False)[:-2] + b"Content-Length: 1000\r\n\r\n", b" ")]:
            with s.raw(timeout_s=10) as c:
                c.send(first)
                start = zkt.time.monotonic()
                try:
                    while zkt.time.monotonic() - start < 8:
                        c.send(drip)
                        zkt.time.sleep(0.1)
                        if not c.silent(0.01):
                            break
                except OSError:
                    pass
                took = zkt.time.monotonic() - start
                zkt.ok(took < 5, f"{name}: one byte now and then keeps no slot ({took:.1f} s)")
                zkt.equal(c.response().status, 408, f"{name}: 408")
            s.still_served(f"a slow {name}")
        with s.raw() as c:
            zkt.ok(c.closed(), "an idle connection is closed without an answer")
        with s.raw() as c:
            c.send("GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
            zkt.equal(c.response().status, 200, "a request")
            zkt.ok(c.closed(), "then the idle end")


def test_connections():
    with Server("--max-requests", "3", "--max-connections", "20") as s:
        with s.raw() as c:
            for i in range(3):
                c.send("GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
                r = c.response()
                want = "close" if i == 2 else None
                zkt.equal(r.header("Connection"), want, f"request {i + 1} of 3")
            zkt.ok(c.closed(), "the connection ends after the last")
        with s.raw() as c:
            c.send("GET /health HTTP/1.0\r\n\r\n")
            zkt.equal(c.response().status, 200, "HTTP/1.0 without a host")
            zkt.ok(c.closed(), "1.0 closes")
        open_ones = [s.raw() for _ in range(20)]
        for c in open_ones:
            c.send("GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
        zkt.equal({c.response().status for c in open_ones}, {200}, "20 connections")
        with s.raw() as c:
            zkt.equal(c.response().status, 503, "the 21st is told 503")
        for c in open_ones:
            c.close()
        zkt.wait_for(lambda: s.api("GET", "/health").status == 200, "room again")
        s.still_served("too many connections")


def test_headers():
    with Server() as s:
        r = s.o.send()
        zkt.equal(r.header("Content-Type"), "application/json", "content type")
        zkt.equal(r.header("Cache-Control"), "no-store", "cache control")
        zkt.equal(r.header("X-Content-Type-Options"), "nosniff", "nosniff")
        zkt.ok(is_uuid(r.header("X-Request-Id")), "a fresh request id")
        zkt.matches(r"^\d+\.\d\dms$", r.header("X-Response-Time"), "response time")
        for value, kept in [("abc-1.2_3", True), ("a" * 128, True), ("a" * 129, False),
                            ("a b", False), ("ä", False), ("a;b", False)]:
            r = s.api("GET", "/health", headers={"X-Request-Id": value})
            zkt.equal(r.header("X-Request-Id") == value, kept, f"request id {value[:10]!r}")


def test_cors():
    with Server() as s:
        r = s.api("GET", "/health", headers={"Origin": "https://a.example"})
        zkt.equal(r.header("Access-Control-Allow-Origin"), "*", "any origin by default")
        for name in ("X-RateLimit-Limit", "Retry-After", "X-Request-Id", "X-Response-Time"):
            zkt.contains(name, r.header("Access-Control-Expose-Headers"), f"{name} is exposed")
        r = s.api("OPTIONS", "/api/events", headers={
            "Origin": "https://a.example", "Access-Control-Request-Headers": "x-api-key"})
        zkt.equal((r.status, r.body), (204, b""), "a preflight")
        zkt.equal(r.header("Access-Control-Allow-Methods"), "GET, POST, OPTIONS", "its methods")
        zkt.equal(r.header("Access-Control-Max-Age"), "600", "its age")
        zkt.contains("x-api-key", r.header("Access-Control-Allow-Headers"), "its headers")
        zkt.equal(r.header("Access-Control-Allow-Credentials"), None, "never credentials")
    with Server("--cors", "https://a.example,https://b.example") as s:
        for origin, allowed in [("https://b.example", "https://b.example"),
                                ("https://c.example", None), (None, None)]:
            r = s.api("GET", "/health", headers={"Origin": origin} if origin else {})
            zkt.equal(r.header("Access-Control-Allow-Origin"), allowed, f"origin {origin}")
    with Server("--cors", "off") as s:
        r = s.api("GET", "/health", headers={"Origin": "https://a.example"})
        zkt.equal(r.header("Access-Control-Allow-Origin"), None, "CORS off")
        zkt.equal(s.api("OPTIONS", "/api/events").status, 405, "no preflight then")


def test_paths():
    with Server() as s:
        zkt.equal(s.api("GET", "/health/").status, 200, "one trailing slash is ignored")
        zkt.equal(s.api("GET", "/%68ealth").status, 200, "segments are decoded once")
        for path in ("/health//", "//health", "/api/../health", "/api%2Fhealth", "/api/%2e%2e/x",
                     "/health%00", "/HEALTH", "/health%2", "/api/events/%252e%252e"):
            zkt.ok(s.api("GET", path).status in (404, 400, 401), f"{path} is nothing",
                   s.api("GET", path))
        zkt.equal(s.o.api("POST", "/api/ack/nonsense").status, 400, "a malformed id")
        zkt.equal(s.o.api("GET", "/api/events/nonsense").status, 400, "also when shown")


def test_keys_in_requests():
    with Server() as s:
        key = s.o.key
        for headers, status in [({"X-API-Key": key}, 200), ({"x-api-KEY": key}, 200),
                                ({"Authorization": f"Bearer {key}"}, 200),
                                ({"Authorization": f"bearer {key}"}, 200),
                                ({"X-API-Key": key, "Authorization": f"Bearer {key}"}, 200),
                                ({"X-API-Key": key, "Authorization": "Bearer zap_other"}, 401),
                                ({"Authorization": "Basic abc"}, 401), ({}, 401),
                                ({"X-API-Key": "x" * 500}, 401), ({"X-API-Key": key[:-1]}, 401),
                                ({"X-API-Key": key.upper()}, 401)]:
            r = s.api("GET", "/api/keys", headers=headers)
            shown = {k: v[:16] for k, v in headers.items()}
            zkt.equal(r.status, status, f"key as {shown}")
            if status == 401:
                zkt.equal(r.header("WWW-Authenticate"), "ApiKey", f"challenge for {shown}")
        r = s.api("GET", f"/api/keys?api_key={key}")
        zkt.equal(r.status, 401, "a key in the URL is no key")


def test_draining():
    with Server() as s:
        with s.raw() as c, s.raw() as slow:
            slow.send(s.event("", b"", False)[:-2] + b"Content-Length: 25\r\n\r\n")
            c.send("GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
            c.response()
            s.signal(zkt.signal.SIGTERM)
            zkt.need(c.closed(), "an idle connection ends at once")
            slow.send(b'{"type":"a","payload":{}}')
            r = slow.response()
            zkt.ok(r.status in (202, 503), "a request in progress is answered", r)
            zkt.equal(r.header("Connection"), "close", "and the connection ends")
        zkt.equal(s.wait(), 0, "a stopped server ends with 0")


def test_ready_answers():
    with Server() as s:
        r = s.api("GET", "/openapi.json")
        doc = r.json
        listed = {p: set(m) for p, m in doc["paths"].items()}
        for path, methods in listed.items():
            for m in methods:
                real = re.sub(r"\{\w+\}", "0199f3c0-5a7e-7a10-8f3e-0f8d8f1f2a3b", path)
                got = s.api(m.upper(), real)
                zkt.ok(got.status not in (404, 405) or b"event_not_found" in got.body,
                       f"openapi: {m.upper()} {path} exists", got)
        r = s.api("GET", "/")
        zkt.equal(r.json, {"status": "ok", "message": "Zapier Triggers API"}, "the root")
        r = s.api("GET", "/", headers={"Accept": "text/html"})
        zkt.ok(r.body.startswith(b"<!doctype html>") and len(r.body) <= 16384, "the page", len(r.body))
        zkt.contains("default-src 'none'", r.header("Content-Security-Policy"), "its policy")
        zkt.equal(json.loads(s.api("GET", "/api/health").body)["service"], "Zapier Triggers API",
                  "the service's name")
    with Server("--no-ui") as s:
        r = s.api("GET", "/", headers={"Accept": "text/html"})
        zkt.equal(r.header("Content-Type"), "application/json", "no page with --no-ui")


def test_sockets_of_the_service_manager():
    """LISTEN_FDS: the port is the manager's, so that a restart refuses nobody."""
    script = 'exec 3<&"$0"; export LISTEN_PID=$$ LISTEN_FDS=1 LISTEN_FDNAMES=$1; shift; exec "$@"'
    for name, command, path in [
            ("api", ["triggers", "serve", "--db", zkt.tmp() + "/t.db", "--listen", "127.0.0.1:1"], "/health"),
            ("", ["webhook", "listen", "--no-register", "--insecure", "--listen", "127.0.0.1:1"], "/healthz")]:
        with socket.create_server(("127.0.0.1", 0)) as given:
            port = given.getsockname()[1]
            with zkt.Process("-c", script, given.fileno(), name, zkt.ZK, *command, argv0="bash",
                             pass_fds=[given.fileno()]) as p:
                with zkt.Raw(("127.0.0.1", port)) as c:  # it waits in the manager's queue
                    zkt.equal(c.request("GET", path).status, 200, f"{command[0]} answers on the port it was given")
                p.signal(signal.SIGTERM)
                zkt.equal(p.wait(), 0, "and ends", p.err)
            with zkt.Raw(("127.0.0.1", port)):
                zkt.ok(True, "the port is still there")


if __name__ == "__main__":
    sys.exit(zkt.main())
