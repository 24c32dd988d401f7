"""The HTTP client (src/net) against servers that misbehave on purpose.

Steers build/tests/peer/http_client, which is steered by lines of JSON; see http_client.c.
TEST_LIBCURL=1 has libcurl carry plain http too, which zk itself carries otherwise: every test has
to pass both ways."""

import contextlib
import gzip
import json
import os
import pathlib
import re
import shutil
import socket
import subprocess
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "lib"))
import zkt  # noqa: E402
from zkt import Answer, Fault, Proxy, Responder  # noqa: E402

DRIVER = os.environ.get("TEST_HTTP_CLIENT") or \
    os.path.join(os.environ["TEST_BUILD"], "tests", "peer", "http_client")

# A scheme in capitals is nothing for the engine of plain URLs.
LIBCURL = os.environ.get("TEST_LIBCURL") == "1"

# enum zk_http_flags
IDEMPOTENT, FOLLOW, NO_PROXY, HTTP_1_1, ANY_STATUS, DECODE, TRUNCATE, TRUST_BUSY = \
    (1 << n for n in range(8))

# src/errors.def
TIMEOUT, INTERRUPTED, NO_INPUT, DATA, LIMIT, URL = 1307, 1308, 1305, 2001, 2002, 2006
HTTP, BUSY, CONNECT, TLS, PROTOCOL, TRANSFER, UNKNOWN, BLOCKED = range(3001, 3009)
AUTH, FORBIDDEN, NOT_FOUND, CONFLICT, CONFIG_VALUE = 3010, 3011, 3012, 3013, 1104


class Client:
    """One driver process. A `with` block ends with a clean exit, or the check fails."""

    def __init__(self, env=None, **net):
        self.p = zkt.Process(argv0=DRIVER, stdin=zkt.PIPE, env=env)
        self.seen = 0
        self.events = []
        self.ids = 0
        self.say(op="net", **net)

    def __enter__(self):
        return self

    def __exit__(self, kind, *rest):
        if kind is None:
            self.quit()
        self.p.stop()

    def say(self, **what):
        self.p.stdin.write(json.dumps(what).encode() + b"\n")
        self.p.stdin.flush()

    def _read(self):
        text = self.p.out_bytes[self.seen:]
        end = text.rfind(b"\n") + 1
        self.seen += end
        self.events += [json.loads(line.replace(b"HTTP://", b"http://"))
                        for line in text[:end].splitlines()]
        zkt.need(self.p.status in (None, 0), f"the client died\n{self.p.err}")

    def find(self, ev, id=None, n=1):
        """The n-th event of a kind (of a request), or None."""
        self._read()
        found = [e for e in self.events if e["ev"] == ev and id in (None, e["id"])]
        return found[n - 1] if len(found) >= n else None

    def event(self, ev, id=None, n=1, timeout_s=10):
        return zkt.wait_for(lambda: self.find(ev, id, n), f"event {ev} {n} of {id}", timeout_s)

    def start(self, url, op="start", **what):
        self.ids += 1
        if LIBCURL and url.startswith("http://"):
            url = "HTTP://" + url.removeprefix("http://")
        self.say(op=op, id=self.ids, url=url, **what)
        return self.ids

    def get(self, url, timeout_s=10, **what):
        """One request to its end."""
        return self.event("done", self.start(url, **what), timeout_s=timeout_s)

    def send(self, url, **what):
        return self.event("done", self.start(url, op="send", **what))

    def wait(self, url, **what):
        return self.event("waited", self.start(url, op="wait", **what))

    def refused(self, url, **what):
        return self.event("refused", self.start(url, **what))["err"]

    def quit(self):
        if self.p.stdin.closed:
            return
        self.say(op="quit")
        self.p.stdin.close()
        status = self.p.wait()
        if status != 0:
            zkt.ok(False, "the client ends with 0", f"status {status}", self.p.err)


def closed_port():
    with socket.create_server(("127.0.0.1", 0)) as s:
        return s.getsockname()[1]


def error(e):
    return (e.get("err") or {}).get("code", 0)


def expect_error(e, code, retryable, name):
    err = e.get("err") or {}
    return zkt.equal((err.get("code"), err.get("retryable")), (code, retryable), name, e)


# ---- answers -----------------------------------------------------------------------------------

def test_nothing_of_libcurl_is_mapped_before_it_is_needed():
    with Client() as c, Responder() as r:
        c.say(op="maps")
        zkt.equal(c.event("maps")["libcurl"], False, "a net alone opens no libcurl")
        c.get(r.url)
        c.say(op="maps")
        zkt.equal(c.event("maps", n=2)["libcurl"], LIBCURL, "nor does a plain request")
        c.get(f"https://127.0.0.1:{closed_port()}/")
        c.say(op="maps")
        zkt.equal(c.event("maps", n=3)["libcurl"], True, "the first one with TLS does")


def test_an_answer():
    with Client() as c, Responder([Answer(200, [("X-Test", "one"), ("x-test", " two ")],
                                          b"hello")]) as r:
        e = c.get(r.url + "/a/b?c=d", headers=["X-Thing: v", "X-Empty:"])
        zkt.equal((e["status"], e["body"], e["x_test"], e["peer"], e["peer_port"], e["version"]),
                  (200, "hello", "two", "127.0.0.1", r.port, 11), "what came back")
        zkt.ok("err" not in e and e["sent"] and not e["reused"], "is no error", e)
        zkt.ok(0 < e["connect_us"] <= e["first_byte_us"] <= e["total_us"] < 5e6,
               "times in their order", e)
        q = r.requests[0]
        zkt.equal((q.method, q.target, q.header("x-thing"), q.header("x-empty")),
                  ("GET", "/a/b?c=d", "v", ""), "what was asked")
        zkt.ok(q.header("user-agent").startswith("zk/"), "names itself")
        zkt.equal([q.header(n) for n in ("accept-encoding", "cookie", "expect", "content-type",
                                         "content-length", "traceparent", "authorization")],
                  [None] * 7, "nothing that was not asked for")


def test_request_bodies():
    with Client() as c, Responder() as r:
        c.get(r.url, method="POST", body="{}", content_type="application/json", bearer="s3cret")
        c.get(r.url, method="POST", body="x")
        c.get(r.url, method="POST")
        c.get(r.url, method="PUT")
        c.get(r.url, method="DELETE")
        c.get(r.url, method="PATCH", body_bytes=70000)
        c.get(r.url, method="PATCH", body_bytes=70000, body_borrowed=True)
        e = c.get(r.url, method="HEAD")
        c.get(r.url, body="with a body")
        q = r.requests
        zkt.equal([x.method for x in q],
                  ["POST", "POST", "POST", "PUT", "DELETE", "PATCH", "PATCH", "HEAD", "GET"],
                  "methods")
        zkt.equal([len(x.body) for x in q], [2, 1, 0, 0, 0, 70000, 70000, 0, 11], "bodies")
        zkt.equal([x.header("content-length") for x in q],
                  ["2", "1", "0", "0", None, "70000", "70000", None, "11"], "lengths")
        zkt.equal([x.header("content-type") for x in q], ["application/json"] + [None] * 8,
                  "no type that nobody gave")
        zkt.equal([x.header("expect") for x in q], [None] * 9, "no Expect")
        zkt.equal(q[0].header("authorization"), "Bearer s3cret", "bearer")
        zkt.equal(q[5].body, bytes(ord("a") + i % 26 for i in range(70000)), "bytes of a body")
        zkt.equal((e["status"], e["bytes"]), (200, 0), "HEAD")


def test_refused_before_anything_is_sent():
    with Client() as c, Responder() as r:
        for what, code, name in [
                (dict(headers=["X: a\r\nEvil: 1"]), DATA, "line break in a header"),
                (dict(headers=["X: a\nEvil: 1"]), DATA, "line feed in a header"),
                (dict(headers=["no colon"]), DATA, "header without a colon"),
                (dict(headers=["a b: c"]), DATA, "header name with a space"),
                (dict(headers=[": c"]), DATA, "header without a name"),
                (dict(method="GET /x"), DATA, "method with a space"),
                (dict(method=""), DATA, "empty method"),
                (dict(bearer="a\r\nb"), DATA, "line break in a token"),
                (dict(content_type="a\r\nb"), DATA, "line break in a content type")]:
            zkt.equal(c.refused(r.url, **what)["code"], code, name)
        for url in (r.url + "/a b", r.url + "/\n", r.url + "/\x7f"):
            zkt.equal(c.refused(url)["code"], URL, f"URL {url!r}")
        for url in ("ftp://127.0.0.1/", "file:///etc/passwd", "gopher://127.0.0.1/", "http://",
                    "127.0.0.1:70000", "http://127.0.0.1:70000/",
                    f"http://user:s3cr3t@127.0.0.1:{r.port}/"):
            e = c.get(url)
            expect_error(e, URL, False, f"URL {url}")
            zkt.ok("s3cr3t" not in json.dumps(e["err"]), "no password in the message", e)
        zkt.equal(r.requests, [], "nothing arrived")


def test_statuses():
    cases = [(301, HTTP), (304, 0), (400, HTTP), (401, AUTH), (403, FORBIDDEN), (404, NOT_FOUND),
             (409, CONFLICT), (410, HTTP), (412, CONFLICT), (422, HTTP), (429, BUSY), (500, BUSY),
             (502, BUSY), (503, BUSY), (504, BUSY), (501, HTTP), (599, HTTP)]
    with Client() as c, Responder([Answer(s, body=b"" if s == 304 else b"why")
                                   for s, _ in cases for _ in range(3)]) as r:
        for status, code in cases:
            e = c.get(r.url + "/secret-free?token=abc", method="POST")
            zkt.equal((e["status"], error(e)), (status, code), f"{status}")
            if code:
                zkt.equal((e["err"]["where"], e["err"]["retryable"], e["body"]),
                          (f"POST {r.url}/secret-free", False, "why"),
                          f"{status} of a POST is not to be repeated")
            e = c.get(r.url)
            if code:
                zkt.equal(e["err"]["retryable"], code == BUSY, f"{status} of a GET")
            e = c.get(r.url, flags=ANY_STATUS)
            zkt.equal((e["status"], error(e), (e.get("fault") or {}).get("code", 0)),
                      (status, 0, code), f"{status} as an answer")


def test_retry_after_and_request_id():
    with Client() as c, Responder([
            Answer(429, [("Retry-After", "7"), ("X-Request-Id", "req-1")]),
            Answer(503, [("Retry-After", time.strftime("%a, %d %b %Y %H:%M:%S GMT",
                                                       time.gmtime(time.time() + 60)))]),
            Answer(503, [("Retry-After", "soon")]), Answer(503, [("Retry-After", "-1")]),
            Answer(503, [("X-Request-Id", "a b")])]) as r:
        e = [c.get(r.url)["err"] for _ in range(5)]
        zkt.equal(e[0]["retry_after_ms"], 7000, "seconds")
        zkt.ok(55000 < e[1]["retry_after_ms"] <= 61000, "a date", e[1])
        zkt.equal([x["retry_after_ms"] for x in e[2:]], [0, 0, 0], "malformed or none")
        zkt.equal([e[0]["remote_id"], e[4]["remote_id"]], ["req-1", ""], "the server's own id")


def test_interim_answers_and_trailers():
    odd = b"HTTP/1.1 500 Odd: x" if LIBCURL else b"HTTP1.1: 500 Odd"  # the first is no header
    with Client() as c, Responder([
            [b"HTTP/1.1 103 Early Hints\r\nX-Test: early\r\n\r\n",
             b"HTTP/1.1 100 Continue\r\n\r\n",
             b"HTTP/1.1 200 OK\r\nX-Test: real\r\nTransfer-Encoding: chunked\r\n\r\n"
             b"3\r\nabc\r\n", 0.05, b"4;x=y\r\ndefg\r\n0\r\nX-Test: trailer\r\n" +
             odd + b"\r\n\r\n", "next"], Answer(204)]) as r:
        e = c.get(r.url, head=True)
        zkt.equal((e["status"], e["body"], e["x_test"]), (200, "abcdefg", "real"),
                  "the final head counts, the trailer changes nothing", e)
        zkt.equal([x["status"] for x in c.events if x["ev"] == "head"], [200], "one head")
        zkt.equal(c.get(r.url)["reused"], True, "and the connection goes on")


def test_ends_of_bodies():
    """How each kind of answer ends, and whether its connection serves the next request."""
    cases = [
        ("GET", b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", "ok", True, "a length"),
        ("HEAD", b"HTTP/1.1 200 OK\r\nContent-Length: 200\r\n\r\n", "", True, "HEAD"),
        ("GET", b"HTTP/1.1 204 No Content\r\nContent-Length: 9\r\n\r\n", "", True, "204"),
        ("GET", b"HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n", "", True, "304"),
        ("GET", b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", "ok", False, "HTTP/1.0"),
        ("GET", b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok", "ok",
         True, "HTTP/1.0 that goes on"),
        ("GET", b"HTTP/1.1 200 OK\r\nConnection: x, close\r\nContent-Length: 2\r\n\r\nok", "ok",
         False, "Connection: close"),
        ("GET", b"HTTP/1.1 200 OK\nContent-Length: 2\n\nok", "ok", True, "bare LFs"),
        ("GET", b"HTTP/1.1 200\r\nX-Test: a\r\n b\r\nContent-Length: 2\r\n\r\nok", "ok", True,
         "a folded line"),
        ("GET", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
         "ok", True, "chunks"),
    ]
    for cut in (False, True):
        for method, answer, body, goes_on, name in cases:
            steps = [bytes([b]) for b in answer] if cut else [answer]
            with Client() as c, Responder([[*steps, "next"]]) as r:
                e = c.get(r.url, method=method)
                zkt.equal((e["body"], error(e)), (body, 304 == e["status"] and error(e) or 0),
                          f"{name}, in pieces {cut}", e)
                if not cut:
                    zkt.equal(c.get(r.url)["reused"], goes_on, f"{name}: the next request")
    with Client() as c, Responder([[b"HTTP/1.1 200 OK\r\n\r\nto the ", b"end", "close"]]) as r:
        zkt.equal(c.get(r.url)["body"], "to the end", "no length: to the end of the connection")


def test_no_answer_is_taken_for_another():
    """What a server, or somebody between, puts behind an answer or makes two of."""
    if LIBCURL:
        zkt.skip("answers behind answers", "libcurl 7.88 believes them")
        return
    evil = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"
    fine = Answer(200, body=b"fine")
    for first, name in [
            (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", "behind a length"),
            (b"HTTP/1.1 204 No Content\r\n\r\n", "behind no body"),
            (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "behind chunks"),
            (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n"
             b"0\r\n\r\n", "behind two framings")]:
        for late in (False, True):
            go, sent = threading.Event(), threading.Event()
            steps = [first, go.wait, evil, sent.set] if late else [first + evil]
            with Client() as c, Responder([[*steps, "next"], fine]) as r:
                c.get(r.url)
                go.set()
                zkt.ok(not late or sent.wait(30), "it is there before the next request is made")
                e = c.get(r.url, method="POST", body="x")
                zkt.equal((e["body"], e["reused"]), ("fine", False), f"{name}, later {late}", e)
    for head, name in [(b"Content-Length: 2\r\nContent-Length: 3\r\n", "two lengths"),
                       (b"Content-Length: 2, 3\r\n", "two lengths in a line"),
                       (b"Content-Length : 2\r\n", "a space before the colon"),
                       (b"Transfer-Encoding: gzip, chunked\r\n", "a coding nobody asked for"),
                       (b"X: a\rb\r\n", "a bare CR"), (b"X\r\n", "no colon")]:
        with Client() as c, Responder([[b"HTTP/1.1 200 OK\r\n" + head + b"\r\nok", "hang"]]) as r:
            e = c.get(r.url, timeout_ms=5000)
            expect_error(e, PROTOCOL, False, f"{name} is refused")


def test_the_request_to_the_byte():
    with Client(user_agent="ua/1") as c, Responder() as r:
        c.get(r.url + "/a%20b/c;d=e?q=1&r=%2F", headers=["X-One: 1", "X-Empty:", "Accept: a/b"],
              method="POST", body="{}", content_type="application/json", bearer="tok")
        zkt.equal(r.requests[0].raw.decode(), f"POST /a%20b/c;d=e?q=1&r=%2F HTTP/1.1\r\n"
                  f"Host: 127.0.0.1:{r.port}\r\nUser-Agent: ua/1\r\nX-One: 1\r\nX-Empty:\r\n"
                  "Accept: a/b\r\nAuthorization: Bearer tok\r\nContent-Type: application/json\r\n"
                  "Content-Length: 2\r\n\r\n", "head")
        c.get(f"http://localhost:{r.port}?q", flags=DECODE, headers=["User-Agent: mine"])
        zkt.equal(r.requests[1].raw.decode(), f"GET /?q HTTP/1.1\r\nHost: localhost:{r.port}\r\n"
                  "Accept: */*\r\nAccept-Encoding: gzip\r\nUser-Agent: mine\r\n\r\n", "another")


# ---- failures ----------------------------------------------------------------------------------

def test_nothing_listens():
    port = closed_port()
    with Client() as c:
        for method in ("GET", "POST"):
            e = c.get(f"http://127.0.0.1:{port}/x", method=method)
            expect_error(e, CONNECT, True, f"{method}: nothing was sent, it may be repeated")
            zkt.equal((e["sent"], e["status"]), (False, 0), "nothing was sent")
            zkt.equal(e["err"]["msg"],
                      f"cannot connect to 'http://127.0.0.1:{port}': Connection refused", "says why")
        e = c.get("http://" + "x" * 64 + ".example/")
        expect_error(e, CONNECT, True, "a name that does not resolve")


def test_time_limits():
    with Client() as c, Responder(default=["hang"]) as r:
        t = time.monotonic()
        e = c.get(r.url, timeout_ms=300)
        expect_error(e, TRANSFER, True, "GET without an answer")
        zkt.equal(e["err"]["msg"], "no answer within 300ms", "says so")
        zkt.ok(0.29 < time.monotonic() - t < 5, "in time")
        e = c.get(r.url, method="POST", body="x", timeout_ms=300)
        expect_error(e, UNKNOWN, False, "POST without an answer")
        zkt.contains("idempotency key", e["err"]["why"], "says why it is not repeated")
        e = c.get(r.url, method="POST", body="x", timeout_ms=300,
                  headers=["idempotency-key: k1"])
        expect_error(e, TRANSFER, True, "POST with a key")
        e = c.get(r.url, method="POST", body="x", timeout_ms=300, flags=IDEMPOTENT)
        expect_error(e, TRANSFER, True, "POST that says it is idempotent")
    with Client(request_timeout_ms=300) as c, Responder(default=["hang"]) as r:
        expect_error(c.get(r.url), TRANSFER, True, "the limit of the net")
    # A listener whose backlog is full: SYNs get no answer.
    with socket.create_server(("127.0.0.1", 0), backlog=0) as s, contextlib.ExitStack() as stack:
        port = s.getsockname()[1]
        for _ in range(4):
            x = stack.enter_context(socket.socket())
            x.setblocking(False)
            x.connect_ex(("127.0.0.1", port))
        with Client() as c:
            e = c.get(f"http://127.0.0.1:{port}/", method="POST", connect_timeout_ms=300)
            expect_error(e, CONNECT, True, "no connection")
            zkt.contains("no connection within 300ms", e["err"]["msg"], "says so")
            e = c.get(f"http://127.0.0.1:{port}/", method="POST", timeout_ms=300)
            expect_error(e, CONNECT, True, "no connection within the whole limit")


def test_a_name_service_that_hangs():
    slow = os.path.join(os.environ["TEST_BUILD"], "tests", "peer", "slow_dns.so")
    asan = os.environ.get("ASAN_OPTIONS", "") + ":verify_asan_link_order=0"
    with Client(env={"LD_PRELOAD": slow, "ASAN_OPTIONS": asan}) as c:
        for limit in (dict(connect_timeout_ms=300), dict(timeout_ms=300)):
            t = time.monotonic()
            e = c.get("http://slow.test/", method="POST", **limit)
            expect_error(e, CONNECT, True, f"is given up {limit}")
            zkt.ok(time.monotonic() - t < 20, "in time", time.monotonic() - t)
        i = c.start("http://slow.test/")
        time.sleep(0.2)
        t = time.monotonic()
        c.say(op="cancel", id=i)
        c.start("http://slow.test/")
        c.say(op="maps")
        c.event("maps")
        zkt.ok(time.monotonic() - t < 20, "cancelling does not wait for it", time.monotonic() - t)
        t = time.monotonic()
        c.quit()
        zkt.ok(time.monotonic() - t < 20, "ending neither", time.monotonic() - t)


def test_idle_limit():
    drip = ("drip", b"x" * 20, 1, 0.05)
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n"
    with Client() as c, Responder([[head, drip, "next"], [head, b"xx", "hang"]]) as r:
        zkt.equal(c.get(r.url, idle_timeout_ms=400)["bytes"], 20,
                  "a slow body is fine as long as something comes")
        e = c.get(r.url, idle_timeout_ms=400, timeout_ms=-1)
        expect_error(e, TRANSFER, True, "silence is not")
        zkt.equal((e["err"]["msg"], e["bytes"]), ("no data for 400ms", 2), "says so")


def test_broken_answers():
    whole = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello"
    cases = [
        ([whole, "close"], TRANSFER, True, "half a body, FIN"),
        ([whole, "reset"], TRANSFER, True, "half a body, RST"),
        ([b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel", "close"], TRANSFER,
         True, "half a chunk"),
        ([b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nhel", "close"], TRANSFER,
         True, "no chunk size"),
        (["close"], TRANSFER, True, "no answer"),
        (["reset"], TRANSFER, True, "a reset"),
        ([b"HTTP/1.1 200 OK\r\nX: y", "close"], TRANSFER, None, "half a head"),
        ([b"what?\r\n\r\n", "close"], PROTOCOL, False, "no HTTP"),
        ([b"HTTP/9.9 200 OK\r\n\r\n", "close"], PROTOCOL, False, "HTTP/9.9"),
        ([b"\x15\x03\x01\x00\x02\x02\x46", "close"], PROTOCOL, False, "a TLS alert"),
        ([b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n", "close"], None, None, "bad length"),
    ]
    for steps, code, retryable, name in cases:
        with Client() as c, Responder([steps], default=["hang"]) as r:
            e = c.get(r.url, timeout_ms=3000)
            if code is None:
                zkt.ok(True, f"{name}: {error(e)}")
            elif retryable is None:
                zkt.ok(error(e) in (TRANSFER, PROTOCOL, 0), name, e)
            else:
                expect_error(e, code, retryable, f"GET: {name}")
        with Client() as c, Responder([steps], default=["hang"]) as r:
            e = c.get(r.url, method="POST", body="x", timeout_ms=3000)
            if code == TRANSFER and retryable:
                expect_error(e, UNKNOWN, False, f"POST: {name}")
            zkt.equal(len(r.requests), 1, f"POST: {name}: sent once")


def test_an_answer_without_end_is_cut():
    piece = b"x" * 65536
    endless = [b"HTTP/1.1 200 OK\r\n\r\n", ("repeat", piece, 16384), "close"]
    gig = [b"HTTP/1.1 200 OK\r\nContent-Length: 1073741824\r\n\r\n", ("repeat", piece, 16384),
           "close"]
    with Client() as c, Responder([endless, gig, gig, endless, gig]) as r:
        e = c.get(r.url, max_body=65536)
        expect_error(e, LIMIT, False, "unknown length")
        expect_error(c.get(r.url, max_body=65536), LIMIT, False, "a length of 1 GiB")
        before = c.p.rss_bytes()
        expect_error(c.get(r.url), LIMIT, False, "without a limit of the caller: 16 MiB")
        e = c.get(r.url, max_body=65536, flags=TRUNCATE)
        zkt.equal((e["status"], e["bytes"], e["truncated"], error(e)), (200, 65536, True, 0),
                  "a caller who wants the beginning gets it")
        e = c.get(r.url, max_body=1, method="POST", flags=TRUNCATE)
        zkt.equal((e["bytes"], e["truncated"], error(e)), (1, True, 0), "one byte of it")
        zkt.ok(c.p.rss_bytes() - before < 100 << 20, "in bounded memory",
               f"{before} {c.p.rss_bytes()}")
    with Client() as c, Responder(default=Answer(200, body=b"y" * 1000)) as r:
        e = c.get(r.url, max_body=1000, flags=TRUNCATE)
        zkt.equal((e["bytes"], e["truncated"]), (1000, False), "a body of exactly the limit")
        zkt.equal(error(c.get(r.url, max_body=999)), LIMIT, "one byte more")


def test_a_head_without_end_is_cut():
    line = b"X-Filler: " + b"y" * 1000 + b"\r\n"
    with Client() as c, Responder([
            [b"HTTP/1.1 200 OK\r\n", ("repeat", line, 100000), "close"],
            [b"HTTP/1.1 200 OK\r\nX: ", ("repeat", b"y" * 65536, 1000), "close"],
            [("repeat", b"HTTP/1.1 100 Continue\r\n\r\n", 1000000), "close"]]) as r:
        e = c.get(r.url)
        expect_error(e, PROTOCOL, False, "too many lines")
        zkt.contains("larger than 65536 bytes", e["err"]["msg"], "says so")
        zkt.ok(error(c.get(r.url)) != 0, "a line without end")
        zkt.ok(error(c.get(r.url, timeout_ms=2000)) != 0, "interim answers without end")


def test_compressed_answers():
    text = gzip.compress(b"hello " * 1000)
    bomb = gzip.compress(b"\0" * (200 << 20))
    gz = [("Content-Encoding", "gzip")]
    with Client() as c, Responder([Answer(200, gz, text), Answer(200, gz, text),
                                   Answer(200, gz, bomb), Answer(200, gz, text[:-20] + b"x" * 20),
                                   Answer(200, gz, text[:-1]), Answer(200, gz, b""),
                                   Answer(200, [("Content-Encoding", "br")], b"xyz"),
                                   Answer(200, gz, bomb)]) as r:
        e = c.get(r.url)
        zkt.equal((e["bytes"], r.requests[0].header("accept-encoding")), (len(text), None),
                  "is left alone unless asked for")
        e = c.get(r.url, flags=DECODE)
        zkt.equal((e["bytes"], r.requests[1].header("accept-encoding")), (6000, "gzip"), "gzip")
        before = c.p.rss_bytes()
        expect_error(c.get(r.url, flags=DECODE), LIMIT, False, "a bomb")
        zkt.ok(c.p.rss_bytes() - before < 100 << 20, "goes off in bounded memory")
        expect_error(c.get(r.url, flags=DECODE), PROTOCOL, False, "a damaged one")
        expect_error(c.get(r.url, flags=DECODE), PROTOCOL, False, "one that lacks its last byte")
        e = c.get(r.url, flags=DECODE, method="HEAD")
        zkt.equal((e["status"], error(e)), (200, 0), "none at all")
        expect_error(c.get(r.url, flags=DECODE), PROTOCOL, False, "one that was not asked for")
        e = c.get(r.url, flags=DECODE | TRUNCATE, max_body=65536)
        zkt.ok(e["truncated"] and 0 < e["bytes"] <= 65536 and not error(e), "the beginning", e)


def test_redirects():
    with Responder() as other, Client() as c, Responder(
            routes={"/to": [Answer(302, [("Location", "/end?q=1")], b"moved")] * 9,
                    "/see": [Answer(303, [("Location", "/end")])] * 9,
                    "/keep": [Answer(307, [("Location", "/end")])] * 9,
                    "/loop": [Answer(301, [("Location", "/loop")])] * 99,
                    "/away": [Answer(302, [("Location", other.url + "/x")])] * 9,
                    "/user": [Answer(302, [("Location", "//u:p@127.0.0.1/x")])] * 9,
                    "/file": [Answer(302, [("Location", "file:///etc/passwd")])] * 9,
                    "/none": [Answer(302)] * 9,
                    "/big": [Answer(302, [("Location", "/end")], b"x" * 200000)] * 9}) as r:
        e = c.get(r.url + "/to")
        expect_error(e, HTTP, False, "is not followed")
        zkt.equal((e["err"]["msg"], e["status"], e["body"]),
                  ("HTTP 302 (redirects are not followed)", 302, "moved"), "says so")
        zkt.equal(len(r.requests), 1, "one request")
        r.clear()
        e = c.get(r.url + "/to", flags=FOLLOW, head=True, bearer="tok")
        zkt.equal((e["status"], [q.target for q in r.requests]), (200, ["/to", "/end?q=1"]),
                  "is followed when asked for")
        zkt.equal([q.header("authorization") for q in r.requests], ["Bearer tok"] * 2,
                  "with the credential: it is the same origin")
        zkt.equal([x["status"] for x in c.events if x["ev"] == "head"], [200],
                  "one head is reported")
        r.clear()
        c.get(r.url + "/see", flags=FOLLOW, method="POST", body="abc")
        c.get(r.url + "/keep", flags=FOLLOW, method="POST", body="abc",
              headers=["Idempotency-Key: k"])
        zkt.equal([(q.method, q.target, q.body) for q in r.requests],
                  [("POST", "/see", b"abc"), ("GET", "/end", b""),
                   ("POST", "/keep", b"abc"), ("POST", "/end", b"abc")], "303 and 307")
        r.clear()
        e = c.get(r.url + "/to", flags=FOLLOW, method="POST", body="abc")
        zkt.equal((error(e), len(r.requests)), (HTTP, 1), "302 of a POST")
        r.clear()
        e = c.get(r.url + "/loop", flags=FOLLOW)
        zkt.equal((error(e), len(r.requests)), (HTTP, 6), "a loop ends")
        for path, why in (("/away", "the target is on another origin"),
                          ("/user", "the target is on another origin"),
                          ("/file", "the target is no http or https URL"),
                          ("/none", None)):
            e = c.get(r.url + path, flags=FOLLOW, bearer="tok")
            zkt.equal(error(e), HTTP, f"{path} is not followed", e)
            if why:
                zkt.contains(why, e["err"]["msg"], f"{path} says why")
        zkt.equal(other.requests, [], "no credential left the origin")
        zkt.ok(error(c.get(r.url + "/big", flags=FOLLOW)) != 0, "a large body of a redirect")
        r.clear()
        e = c.get(r.url + "/away", flags=FOLLOW | ANY_STATUS, head=True)
        zkt.equal((e["status"], error(e)), (302, 0), "as an answer")


# ---- connections -------------------------------------------------------------------------------

def test_connections_are_used_again():
    with Client() as c, Responder() as r:
        zkt.equal([c.get(r.url)["reused"] for _ in range(20)], [False] + [True] * 19, "in turn")
        zkt.equal(r.connections, 1, "one connection")
        c.say(op="idle")
        zkt.ok(c.event("idle")["ms"] < 2000, "an idle one keeps no loop alive")


def test_a_pooled_connection_that_dies():
    close = [b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "next"]
    with Client() as c, Responder([close, ["close"], 200]) as r:
        c.get(r.url)
        e = c.get(r.url)
        zkt.equal((e["status"], len(r.requests)), (200, 3), "GET is sent again")
    with Client() as c, Responder([close, ["reset"], 200]) as r:
        c.get(r.url)
        e = c.get(r.url, method="POST", body="pay")
        expect_error(e, UNKNOWN, False, "POST is not")
        zkt.equal((e["sent"], [q.method for q in r.requests]), (True, ["GET", "POST"]),
                  "the server saw it once")
    with Client() as c, Responder([close, ["close"], 200]) as r:
        c.get(r.url)
        e = c.get(r.url, method="POST", body="pay")
        expect_error(e, UNKNOWN, False, "POST is not, even where libcurl would")
        zkt.equal((e["sent"], [q.method for q in r.requests]), (True, ["GET", "POST"]),
                  "the server saw it once")
    with Client() as c, Responder([close, ["close"], 200]) as r:
        c.get(r.url)
        e = c.get(r.url, method="POST", body="pay", headers=["Idempotency-Key: 1"])
        zkt.equal((e["status"], [q.body for q in r.requests]), (200, [b"", b"pay", b"pay"]),
                  "POST with a key is")
    # Closed while idle: noticed before anything is sent.
    with Client() as c, Responder([Answer(200, close=True), 200]) as r:
        c.get(r.url)
        e = c.get(r.url, method="POST", body="pay")
        zkt.equal((e["status"], e["reused"]), (200, False), "a closed one is not used")


def test_many_at_once():
    open_now, most, lock = [0], [0], threading.Lock()

    def slow(request):
        with lock:
            open_now[0] += 1
            most[0] = max(most[0], open_now[0])
        time.sleep(0.02)
        with lock:
            open_now[0] -= 1
        return Answer(200, body=request.target.encode())

    with Client(max_per_host=10) as c, Responder(default=slow) as r:
        ids = [c.start(f"{r.url}/{i}", timeout_ms=20000) for i in range(200)]
        done = [c.event("done", i, timeout_s=30) for i in ids]
        zkt.equal([e["body"] for e in done], [f"/{i}" for i in range(200)], "200 answers")
        zkt.ok(most[0] <= 10 and r.connections <= 10, "at most 10 at a time",
               f"{most} {r.connections}")
        zkt.ok(most[0] >= 5, "but many", f"{most}")
    with Client(max_connections=7) as c, Responder(default=slow) as r:
        ids = [c.start(f"{r.url}/{i}", timeout_ms=20000) for i in range(100)]
        zkt.equal([c.event("done", i, timeout_s=30)["status"] for i in ids], [200] * 100,
                  "100 answers")
        zkt.ok(r.connections <= 7, "over at most 7 connections", r.connections)


def test_a_request_that_hangs_holds_up_no_other():
    cert, key = certificate()
    for tls in (None, (cert, key)):
        with Client(ca_file=cert) as c, Responder([["hang"]], tls=tls) as r:
            c.start(r.url + "/first", timeout_ms=-1)
            r.wait(1)
            e = c.get(r.url + "/second", timeout_ms=3000)
            zkt.equal((e["status"], e["reused"]), (200, False), "the second")
        with Client(ca_file=cert) as c, Responder(routes={"/hang": [["hang"]] * 5}, tls=tls) as r:
            for _ in range(5):
                c.start(r.url + "/hang", timeout_ms=-1)
            ids = [c.start(r.url + "/ok", timeout_ms=3000) for _ in range(20)]
            zkt.equal([c.event("done", i)["status"] for i in ids], [200] * 20, "all at once")


def test_waiting_for_a_connection_counts():
    with Client(max_per_host=1) as c, Responder(default=["hang"]) as r:
        c.start(r.url, timeout_ms=-1)
        e = c.get(r.url, timeout_ms=300, method="POST", body="x")
        expect_error(e, CONNECT, True, "it never began")
        zkt.equal(e["sent"], False, "nothing was sent")


def test_cancel():
    with Client() as c, Responder(default=["hang"],
                                  routes={"/ok": [200] * 99,
                                          "/body": [Answer(200, body=b"x" * 100000)] * 99}) as r:
        i = c.start(r.url + "/early")
        c.say(op="cancel", id=i)
        i = c.start(r.url + "/flying")
        r.wait(1)
        c.say(op="cancel", id=i)
        c.event("cancelled", i)
        for cancel_on, what, path in ((1, dict(head=True), "/ok"), (2, dict(stream=True), "/body"),
                                      (1, dict(head=True), "/body"),
                                      (3, dict(pull=1000, method="POST"), "/ok")):
            i = c.start(r.url + path, cancel_on=cancel_on, **what)
            c.event("cancelled", i)
        zkt.equal(c.get(r.url + "/ok")["status"], 200, "the client goes on")
        zkt.equal([e["id"] for e in c.events if e["ev"] == "done"], [c.ids],
                  "what was cancelled does not call back")


def test_start_inside_a_callback():
    with Client() as c, Responder() as r:
        r.routes["/first"] = [Answer(200, [("X-Next", r.url + "/second")])]
        i = c.start(r.url + "/first", head=True, start_on_head=77)
        zkt.equal(c.event("done", i)["status"], 200, "the first")
        zkt.equal(c.event("done", 77)["status"], 200, "the one that its head started")


def test_exit_with_requests_in_flight():
    with Responder(default=["hang"], routes={"/body": [[
            b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nabc", "hang"]] * 9}) as r:
        with Client(max_per_host=8) as c:
            for _ in range(30):
                c.start(r.url + "/x", timeout_ms=-1)
            c.start(r.url + "/body", stream=True)
            c.start(r.url, op="send", method="POST", body="x", headers=["Idempotency-Key: k"])
            c.start(f"http://127.0.0.1:{closed_port()}", op="send", base_ms=10000, cap_ms=20000)
            c.event("retry")
            r.wait(8)
            t = time.monotonic()
            c.quit()
            zkt.ok(time.monotonic() - t < 5, "ends at once")
            zkt.equal(c.find("done"), None, "without calling back")
        with Client() as c:
            c.start(r.url)
            r.wait(9)
            c.say(op="net")
            zkt.equal(c.get(r.url + "/body", timeout_ms=300)["status"], 200,
                      "a second net after the first")


# ---- guard -------------------------------------------------------------------------------------

def test_private_addresses_are_blocked():
    with Client() as c, Responder() as r:
        for host in ("127.0.0.1", "2130706433", "0x7f.1", "0177.0.0.1", "127.1", "localhost",
                     "[::ffff:127.0.0.1]", "[::1]", "0", "[::]", "%31%32%37.0.0.1"):
            e = c.get(f"http://{host}:{r.port}/", guard={})
            expect_error(e, BLOCKED, False, f"{host}")
            zkt.matches(r"^blocked address [0-9a-f:.]+ \((private|reserved)\); see --webhook-allow$",
                        e["err"]["msg"], f"{host} says so")
        e = c.get(r.url, guard={})
        zkt.equal(e["err"]["msg"], "blocked address 127.0.0.1 (private); see --webhook-allow",
                  "the text of specs/triggers.md §10")
        zkt.equal((e["sent"], r.requests), (False, []), "nothing arrived")
        zkt.equal(c.get(r.url, guard={"all": True})["status"], 200, "all allowed")
        zkt.equal(c.get(r.url, guard={"allow": ["127.0.0.0/8"]})["status"], 200, "one range")
        zkt.equal(error(c.get(r.url, guard={"allow": ["10.0.0.0/8"]})), BLOCKED, "another range")


def test_one_blocked_address_is_not_yet_a_failure():
    with Client() as c, Responder(host="0.0.0.0") as r:
        def get(addresses, **what):
            return c.get(f"http://hook.test:{r.port}/", resolve=f"hook.test:{r.port}:{addresses}",
                         **what)

        e = get("10.0.0.1,127.0.0.2", guard={"allow": ["127.0.0.2"]})
        zkt.equal((e["status"], e["peer"]), (200, "127.0.0.2"), "the allowed one is used")
        c.say(op="net")
        e = get("10.0.0.1,192.168.0.1", guard={"allow": ["127.0.0.2"]})
        expect_error(e, BLOCKED, False, "all blocked")
        c.say(op="net")
        port = closed_port()
        e = c.get(f"http://hook.test:{port}/", resolve=f"hook.test:{port}:10.0.0.1,127.0.0.2",
                  guard={"allow": ["127.0.0.2"]})
        expect_error(e, CONNECT, True, "one blocked, the other refuses: no connection")


def test_a_pooled_connection_is_judged_again():
    with Client() as c, Responder(host="0.0.0.0") as r:
        url = f"http://127.0.0.1:{r.port}/"
        zkt.equal(c.get(url)["status"], 200, "without a guard")
        e = c.get(url, guard={}, method="POST", body="x")
        expect_error(e, BLOCKED, False, "the connection is there, and may not be used")
        zkt.equal((e["sent"], len(r.requests)), (False, 1), "nothing was sent")
        zkt.equal(c.get(url, guard={"allow": ["127.0.0.1"]})["status"], 200, "allowed again")
        # The name leads elsewhere now: what is in the pool must not count.
        c.say(op="net")
        url = f"http://hook.test:{r.port}/"
        zkt.equal(c.get(url, resolve=f"hook.test:{r.port}:127.0.0.1")["peer"], "127.0.0.1", "first")
        e = c.get(url, resolve=f"hook.test:{r.port}:127.0.0.2", guard={"allow": ["127.0.0.2"]},
                  method="POST", body="x")
        zkt.equal((e["status"], e["peer"], e["reused"]), (200, "127.0.0.2", False),
                  "a new connection to the new address", e)
        e = c.get(url, resolve=f"hook.test:{r.port}:127.0.0.3", guard={"allow": ["10.0.0.0/8"]})
        expect_error(e, BLOCKED, False, "rebound to a blocked address")


def test_an_address_that_hangs_gets_company():
    if LIBCURL:
        zkt.skip("two addresses", "libcurl gives one of the same family no company")
        return
    with socket.create_server(("127.0.0.2", 0), backlog=0) as s, contextlib.ExitStack() as stack:
        port = s.getsockname()[1]
        for _ in range(4):
            x = stack.enter_context(socket.socket())
            x.setblocking(False)
            x.connect_ex(("127.0.0.2", port))
        with socket.create_server(("127.0.0.1", port)) as good, Client() as c:
            threading.Thread(target=lambda: good.accept()[0].sendall(
                b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"), daemon=True).start()
            e = c.get(f"http://hook.test:{port}/", resolve=f"hook.test:{port}:127.0.0.2,127.0.0.1",
                      connect_timeout_ms=9000)
            zkt.equal((e["status"], e["peer"]), (200, "127.0.0.1"), "the next one is tried beside it",
                      e)


def test_proxies():
    with Responder(default=Answer(200, body=b"via proxy")) as proxy, Responder() as r:
        env = {"http_proxy": proxy.url, "no_proxy": ""}
        with Client(env=env) as c:
            zkt.equal(c.get("http://api.test/x")["body"], "via proxy", "of the environment")
            zkt.equal(proxy.requests[-1].target, "http://api.test/x", "in absolute form")
            zkt.equal(c.get(r.url, flags=NO_PROXY)["body"], "", "unless not wanted")
            zkt.equal(error(c.get(r.url, guard={})), BLOCKED, "never with a guard")
        with Client(env=env, proxy="") as c:
            zkt.equal(c.get(r.url)["body"], "", "none at all")
        n = len(proxy.requests)
        with Client(proxy=proxy.url, env={"no_proxy": "*"}) as c:
            zkt.equal(c.get("http://api.test/x")["body"], "via proxy", "the one that was named")
            zkt.equal(c.get("http://api.test/x", guard={})["body"], "via proxy",
                      "judges names itself")
            e = c.refused("http://169.254.169.254/latest", guard={})
            zkt.equal((e["code"], e["msg"]),
                      (BLOCKED, "blocked address 169.254.169.254 (link-local); see --webhook-allow"),
                      "an address is judged here")
            zkt.equal(len(proxy.requests), n + 2, "two requests reached the proxy")
        with Client(proxy=f"http://127.0.0.1:{closed_port()}") as c:
            expect_error(c.get("http://api.test/x", method="POST"), CONNECT, True, "proxy is down")
    with Responder([407, 403, 503]) as proxy, Client(proxy=proxy.url) as c:
        e = [c.get("https://api.test/x", method="POST") for _ in range(3)]
        zkt.equal([error(x) for x in e], [AUTH, HTTP, CONNECT], "a refused tunnel", e)


# ---- streams -----------------------------------------------------------------------------------

def letters(n):
    return (b"abcdefghijklmnopqrstuvwxyz" * (n // 26 + 1))[:n]


def test_uploads():
    with Client() as c, Responder() as r:
        c.get(r.url, method="POST", pull=1000000)
        c.get(r.url, method="PUT", pull=1000000, length=1000000)
        c.get(r.url, method="POST", pull=0)
        zkt.equal([(q.method, q.body == letters(n)) for q, n in zip(r.requests, (10 ** 6, 10 ** 6, 0))],
                  [("POST", True), ("PUT", True), ("POST", True)], "bodies")
        zkt.equal([(q.header("transfer-encoding"), q.header("content-length"), q.header("expect"))
                   for q in r.requests],
                  [("chunked", None, None), (None, "1000000", None), ("chunked", None, None)],
                  "framing")
        r.clear()
        i = c.start(r.url, method="POST", pull=500000, pull_pause=100000)
        for n in range(1, 5):
            zkt.equal(c.event("paused_up", i, n)["done"], n * 100000, f"pause {n}")
            c.say(op="resume_up", id=i)
        zkt.equal(c.event("done", i)["status"], 200, "the answer")
        zkt.equal(r.requests[0].body == letters(500000), True, "nothing lost or doubled")
        e = c.get(r.url, method="POST", pull=5000, pull_abort=True)
        zkt.equal(error(e), NO_INPUT, "a source that gives up", e)
        zkt.equal(c.get(r.url)["status"], 200, "the client goes on")


def test_a_pause_is_no_silence_of_the_peer():
    with Client() as c, Responder() as r:
        i = c.start(r.url, method="POST", pull=200000, pull_pause=100000, idle_timeout_ms=200)
        c.event("paused_up", i)
        time.sleep(0.6)
        c.say(op="resume_up", id=i)
        zkt.equal(c.event("done", i)["status"], 200, "upload")


def test_an_answer_before_the_upload_has_ended():
    with Client() as c, Responder([Answer(413, body=b"no", early=True, close=True)]) as r:
        i = c.start(r.url, method="POST", pull=50000000, pull_pause=49000000)
        e = c.event("done", i)
        zkt.equal((e["status"], error(e)), (413, HTTP), "is the answer", e)


def test_downloads_wait_for_their_reader():
    size = 4 << 20
    blob = os.urandom(size)
    total = 0
    for b in blob:
        total = (total * 31 + b) % 1000000007
    for chunked in (False, True):
        with Client() as c, Responder(default=Answer(200, body=blob, chunked=chunked)) as r:
            i = c.start(r.url, stream=True, head=True, data_pause=1 << 20, idle_timeout_ms=1000)
            c.event("head", i)
            n = 0
            while not c.find("done", i):
                if c.find("paused_down", i, n + 1):
                    n += 1
                    seen = c.find("paused_down", i, n)["seen"]
                    if n == 2:
                        time.sleep(1.5)
                        zkt.equal(c.find("paused_down", i, n + 1), None,
                                  "nothing comes during a pause, and it is no silence", seen)
                    c.say(op="resume_down", id=i)
                time.sleep(0.002)
            e = c.event("done", i)
            zkt.equal((e["data_seen"], e["data_sum"], e["bytes"], error(e)), (size, total, 0, 0),
                      f"every byte once, chunked {chunked}", e)
            zkt.ok(n >= 3, "with pauses", n)
            i = c.start(r.url, stream=True, max_body=1 << 20)
            zkt.equal(error(c.event("done", i)), LIMIT, "a limit counts here too")
    with Client() as c, Responder(default=Answer(200, body=blob)) as r:
        e = c.get(r.url, stream=True, data_pause=100000, method="POST", pull=500000,
                  pull_pause=20000, wake=True)
        zkt.equal((e["data_seen"], e["data_sum"], r.requests[0].body == letters(500000)),
                  (size, total, True), "resumed before the pause began, in both directions")
    with Client() as c, Responder(default=Answer(404, body=b"nope")) as r:
        i = c.start(r.url, stream=True, data_text=True)
        e = c.event("done", i)
        zkt.equal((error(e), c.event("data", i)["text"]), (NOT_FOUND, "nope"), "of an error too")


def test_an_event_stream_comes_piece_by_piece():
    with Client() as c, Responder([[
            b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n",
            b"data: 1\n\n", 0.2, b"data: 2\n\n", "hang"]]) as r:
        i = c.start(r.url, stream=True, data_text=True, timeout_ms=-1, idle_timeout_ms=600)
        zkt.equal(c.event("data", i)["text"], "data: 1\n\n", "the first at once")
        zkt.equal(c.event("data", i, 2)["text"], "data: 2\n\n", "the second later")
        zkt.equal(c.find("done", i), None, "while it goes on")
        zkt.equal(error(c.event("done", i)), TRANSFER, "until it falls silent")


# ---- repeats -----------------------------------------------------------------------------------

def test_send_repeats():
    half = [b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab", "close"]
    with Client() as c, Responder([500, Answer(429, [("Retry-After", "0")]), half,
                                   Answer(200, body=b"fine")]) as r:
        i = c.start(r.url, op="send", method="POST", body="abc", headers=["Idempotency-Key: k"],
                    content_type="text/plain", bearer="tok")
        e = c.event("done", i)
        zkt.equal((e["status"], e["body"], error(e)), (200, "fine", 0), "until it works")
        zkt.equal([(q.method, q.body, q.header("idempotency-key"), q.header("authorization"))
                   for q in r.requests], [("POST", b"abc", "k", "Bearer tok")] * 4,
                  "the same request each time")
        zkt.equal([(x["retry"], x["max"], x["err"]["code"]) for x in c.events
                   if x["ev"] == "retry"], [(1, 5, BUSY), (2, 5, BUSY), (3, 5, TRANSFER)],
                  "every retry is reported")


def test_send_gives_up():
    with Client() as c, Responder(default=503) as r:
        e = c.send(r.url, retries=2)
        expect_error(e, BUSY, True, "when the retries are used up")
        zkt.equal(len(r.requests), 3, "three attempts")
        zkt.contains("gave up after 3 attempts", e["err"]["why"], "says so")
        r.clear()
        e = c.send(r.url, retries=0)
        zkt.equal((error(e), len(r.requests)), (BUSY, 1), "without retries")
        r.clear()
        e = c.send(r.url, retries=2, flags=ANY_STATUS)
        zkt.equal((e["status"], error(e), len(r.requests)), (503, 0, 3), "the last answer")
        r.clear()
        e = c.send(r.url, retries=1000, base_ms=50, cap_ms=100, max_time_ms=400)
        zkt.ok(error(e) == BUSY and 3 <= len(r.requests) < 100, "when the time is used up", e)
        e = c.send(f"http://127.0.0.1:{closed_port()}", retries=2, method="POST")
        expect_error(e, CONNECT, True, "nothing listens")


def test_send_does_not_repeat():
    with Client() as c, Responder() as r:
        for script, what, code, n, name in [
                ([503], dict(method="POST"), BUSY, 1, "503 of a POST without a key"),
                ([429], dict(method="POST"), BUSY, 1, "429 of a POST without a key"),
                ([429], dict(method="POST", flags=TRUST_BUSY), 0, 2, "429 that is trusted"),
                ([503], dict(method="POST", flags=TRUST_BUSY), BUSY, 1, "503 without Retry-After"),
                ([Answer(503, [("Retry-After", "0")])], dict(method="POST", flags=TRUST_BUSY), 0, 2,
                 "503 with Retry-After that is trusted"),
                ([["reset"]], dict(method="POST"), UNKNOWN, 1, "a lost answer"),
                ([["reset"]], dict(method="DELETE"), 0, 2, "the lost answer of a DELETE"),
                ([404], dict(), NOT_FOUND, 1, "404"),
                ([400], dict(), HTTP, 1, "400"),
                ([b"nonsense"], dict(), PROTOCOL, 1, "nonsense"),
                ([Answer(503, [("Retry-After", "3600")])], dict(), BUSY, 1,
                 "a Retry-After beyond the cap")]:
            r.clear()
            r.script = list(script)
            e = c.send(r.url, **what)
            zkt.equal((error(e), len(r.requests)), (code, n), name, e)
        zkt.contains("3600 s", e["err"]["why"], "which is named")
        r.clear()
        r.script = [Answer(503, [("Retry-After", "1")])]
        e = c.send(r.url, cap_ms=2000)
        at = [q.at for q in r.requests]
        zkt.ok(e["status"] == 200 and 0.99 <= at[1] - at[0] < 5, "Retry-After is a floor", at)


def test_send_is_stopped():
    with Client() as c, Responder(default=503, routes={"/hang": [["hang"]] * 9}) as r:
        slow = dict(base_ms=60000, cap_ms=60000)
        i = c.start(r.url, op="send", **slow)
        c.event("retry", i)
        c.say(op="cancel", id=i)
        c.event("cancelled", i)
        i = c.start(r.url, op="send", cancel_on=4, **slow)
        c.event("cancelled", i)
        r.clear()
        i = c.start(r.url, op="send", retries=3, **slow)
        for n in range(1, 4):
            c.event("retry", i, n)
            c.say(op="hurry" if n < 3 else "hurry_all", id=i)
        zkt.equal((error(c.event("done", i)), len(r.requests)), (BUSY, 4),
                  "waits that are cut short")
        a = c.start(r.url, op="send", **slow)
        b = c.start(r.url + "/hang", op="send", **slow)
        p = c.start(r.url + "/hang", op="send", method="POST", body="x", **slow)
        c.event("retry", a)
        r.wait(7)
        c.say(op="end_all", code=INTERRUPTED)
        expect_error(c.event("done", a), INTERRUPTED, False, "ended while it waited")
        zkt.contains("HTTP 503", c.event("done", a)["err"]["why"], "tells of the latest attempt")
        e = c.event("done", b)
        zkt.equal(error(e), INTERRUPTED, "ended in flight", e)
        expect_error(c.event("done", p), UNKNOWN, False, "a POST in flight")
        c.say(op="cancel_all")


def test_wait():
    with Client() as c, Responder([503, Answer(201, body=b"made"), Answer(409, body=b"there"),
                                   Answer(404, body=b"gone")]) as r:
        e = c.wait(r.url)
        zkt.equal((e["r"], e["status"], e["body"]), (0, 201, "made"), "after a retry")
        e = c.wait(r.url)
        zkt.equal((e["r"], e["status"], e["body"], e["err"]["code"]),
                  (-CONFLICT, 409, "there", CONFLICT), "an error has its body too")
        e = c.wait(r.url, flags=ANY_STATUS)
        zkt.equal((e["r"], e["status"], e["body"]), (0, 404, "gone"), "as an answer")
        e = c.wait(f"http://127.0.0.1:{closed_port()}", retries=1)
        zkt.equal((e["r"], e["status"]), (-CONNECT, 0), "no connection")
        e = c.wait("ftp://x/")
        zkt.equal(e["r"], -URL, "not even started")
        r.default = ["hang"]
        i = c.start(r.url, op="wait")
        r.wait(5)
        c.say(op="end_all", code=TIMEOUT)
        zkt.equal(c.event("waited", i)["r"], -TIMEOUT, "ended from outside")


# ---- trace -------------------------------------------------------------------------------------

def test_trace():
    folder = zkt.tmp()
    answer = Answer(201, [("Set-Cookie", "sid=COOKIE1"), ("X-Odd", "a\x1b[31mb")],
                    b'{"api_key": "zap_live_KEY1", "ok": true}', chunked=True)
    secrets = ("TOKEN1", "COOKIE1", "KEY1", "KEY2", "PARAM1", "PLAIN1")

    def run(trace, script=(), **what):
        file = f"{folder}/{trace}"
        with Client(trace=trace, trace_file=file, secret="PLAIN1") as c, \
                Responder(script or [answer]) as r:
            e = c.get(r.url + "/x?api_key=PARAM1&page=2", method="POST", bearer="TOKEN1",
                      headers=["X-API-Key: KEY2", "X-Note: has PLAIN1 inside"],
                      content_type="application/json",
                      body='{"secret":"TOKEN1","note":"it\'s PLAIN1"}', **what)
        text = pathlib.Path(file).read_text()
        zkt.equal(os.stat(file).st_mode & 0o777, 0o600, f"{trace}: the file is private")
        zkt.equal([s for s in secrets if s in text], [], f"{trace}: no secret", text)
        zkt.ok("\x1b" not in text, f"{trace}: nothing a terminal would obey")
        return text, e, r

    text, e, r = run("headers")
    zkt.equal(e["status"], 201, "the request itself")
    for line in ("#1 > POST /x?api_key=***&page=2 HTTP/1.1", "#1 > Authorization: Bearer ***",
                 "#1 > X-API-Key: ***", "#1 > X-Note: has *** inside", "#1 < HTTP/1.1 201 Created",
                 "#1 < Set-Cookie: ***", "#1 < X-Odd: a\\x1b[31mb"):
        zkt.contains(line + "\n", text, line)
    zkt.ok("note" not in text.replace("X-Note", ""), "no bodies", text)
    text, e, r = run("bodies,timing")
    zkt.contains('#1 > {"secret":"***","note":"it\'s ***"}\n', text, "body of the request")
    zkt.contains('#1 < {"api_key": "***", "ok": true}\n', text, "body of the answer")
    zkt.matches(rf"(?i)#1 = POST {re.escape(r.url)}/x: 201 in \d+\.\d ms \(connect \d+\.\d ms, "
                rf"first byte \d+\.\d ms\), 40 bytes, 127\.0\.0\.1 port {r.port}\n", text, "timing")
    text, e, r = run("errors,headers")
    zkt.equal(text, "", "nothing of an exchange that went well")
    text, e, r = run("errors", script=[500])
    zkt.contains("#1 < HTTP/1.1 500 Internal Server Error\n", text, "all of one that did not")
    zkt.contains("#1 ! error[ZK3002]: the server failed (HTTP 500)\n", text, "and why")
    with Client(trace="headers,nonsense") as c:
        zkt.equal(c.refused("http://127.0.0.1/")["code"], 1001, "an unknown word is an error")
    with Client(trace="", trace_file="/nonexistent/x") as c:
        zkt.equal(c.refused("http://127.0.0.1/")["code"], 1304, "so is a file that cannot be made")


def test_trace_as_curl():
    if not shutil.which("curl"):
        zkt.skip("curl", "no curl here")
        return
    file = zkt.tmp() + "/t"
    body = "it's a \"body\"\n\twith $(everything) `in` it \\n % \u00e4"
    with Client(trace="curl", trace_file=file) as c, Responder() as r:
        url = r.url + "/a'b?x=$HOME&y=%20"
        c.get(url, method="PUT", body=body, headers=["X-One: it's", "X-Two: $(date)"],
              content_type="text/plain")
        c.get(url)
        c.get(url, method="HEAD")
        c.get(url, method="DELETE", bearer="t0ps3cret")
        c.get(url, method="POST", body="x")
        lines = pathlib.Path(file).read_text().splitlines()
        zkt.equal(len(lines), 5, "one line each", lines)
        zkt.ok("t0ps3cret" not in "".join(lines), "no token")
        sent = r.requests
        r.clear()
        for line in lines:
            subprocess.run(["bash", "-c", line], check=True, capture_output=True, timeout=20)
        zkt.equal([(q.method, q.target, q.body, q.header("x-one"), q.header("x-two"),
                    q.header("content-type")) for q in r.requests],
                  [(q.method, q.target, q.body, q.header("x-one"), q.header("x-two"),
                    q.header("content-type")) for q in sent], "the shell sends the same requests")


def test_traceparent_and_metrics():
    good = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    with Responder([200, 404, 200]) as r:
        with Client(traceparent=good) as c:
            c.get(r.url, target="api")
            c.get(r.url, target="api", method="POST", headers=["traceparent: mine"])
            c.get(f"http://127.0.0.1:{closed_port()}", target="api")
            c.get(r.url)
            c.say(op="metrics")
            text = c.event("metrics")["text"]
        with Client(traceparent="00-nonsense\r\nEvil: 1") as c:
            c.get(r.url)
        zkt.equal([q.header("traceparent") for q in r.requests], [good, "mine", good, None],
                  "is sent when it is one")
        for labels in (('method="GET"', 'class="2xx"'), ('method="POST"', 'class="4xx"'),
                       ('method="GET"', 'class="error"')):
            zkt.ok(any(line.startswith("zk_request_duration_seconds_count") and
                       all(x in line for x in (*labels, 'target="api"')) and
                       line.endswith(" 1") for line in text.splitlines()),
                   f"counted as {labels}", text)


# ---- TLS ---------------------------------------------------------------------------------------

def certificate():
    folder = zkt.tmp()
    cert, key = folder + "/cert.pem", folder + "/key.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                    "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj",
                    "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1",
                    "-keyout", key, "-out", cert], check=True, capture_output=True)
    return cert, key


def test_tls():
    cert, key = certificate()
    with Responder(tls=(cert, key)) as r, Responder() as plain:
        with Client() as c:
            e = c.get(r.url, method="POST", body="x")
            expect_error(e, TLS, False, "a certificate nobody vouches for")
            zkt.contains("certificate", e["err"]["msg"], "says so")
            zkt.contains("--ca-file", e["err"]["hint"], "and how to mend it")
            zkt.equal(r.requests, [], "nothing was sent")
            with socket.create_server(("127.0.0.1", 0)) as s:
                threading.Thread(target=lambda: s.accept()[0].sendall(b"HTTP/1.1 400 No\r\n\r\n"),
                                 daemon=True).start()
                e = c.get(f"https://127.0.0.1:{s.getsockname()[1]}/")
                expect_error(e, TLS, False, "TLS to a plain server")
            e = c.get(plain.url.replace("http:", "https:"), connect_timeout_ms=300)
            expect_error(e, CONNECT, True, "TLS to a server that says nothing")
            e = c.get(r.url.replace("https:", "http:"))
            zkt.ok(error(e) != 0 and not e["err"]["retryable"] or error(e) == TRANSFER,
                   "plain to a TLS server", e)
        with Client(ca_file=cert) as c:
            e = c.get(r.url)
            zkt.equal((e["status"], e["version"]), (200, 11), "with its CA")
            zkt.equal(c.get(r.url)["reused"], True, "and again")
            e = c.get(f"https://wrong.test:{r.port}/", resolve=f"wrong.test:{r.port}:127.0.0.1")
            expect_error(e, TLS, False, "another name")
        with Client(ca_file=cert) as c:
            t = time.monotonic()
            ids = [c.start(r.url, method="POST", body="x") for _ in range(60)]
            zkt.equal({c.event("done", i)["status"] for i in ids}, {200}, "60 at once")
            zkt.ok(r.connections > 5, "over several connections: it is no HTTP/2",
                   f"{r.connections} {time.monotonic() - t}")
        with Client(insecure=True) as c:
            zkt.equal(c.get(r.url)["status"], 200, "without verification")
            zkt.contains("certificates of servers are not verified", c.p.err, "with a warning")
        with Client(ca_file="/nonexistent") as c:
            expect_error(c.get(r.url), CONFIG_VALUE, False, "a CA file that is not there")
    with Responder(tls=(cert, key)) as r, Proxy("127.0.0.1", r.port,
                                                [Fault(reset_up_at=100)]) as p, \
            Client(ca_file=cert) as c:
        e = c.get(f"https://127.0.0.1:{p.port}/", method="POST", body="x")
        expect_error(e, CONNECT, True, "a handshake that breaks off may be repeated")


HTTP2 = """
const http2 = require('http2'), fs = require('fs');
const s = http2.createSecureServer({ cert: fs.readFileSync(process.argv[1]),
	key: fs.readFileSync(process.argv[2]), allowHTTP1: true });
let sessions = 0;
s.on('session', () => sessions++);
s.on('request', (q, a) => {
	let n = 0;
	q.on('data', (d) => n += d.length);
	q.on('end', () => {
		if (q.url === '/abort') { q.stream ? q.stream.close(2) : q.socket.destroy(); return; }
		a.setHeader('x-test', q.httpVersion + ' ' + n + ' ' + sessions);
		if (q.url === '/slow') setTimeout(() => a.end('slow'), 300);
		else if (q.url.startsWith('/big')) a.end(Buffer.alloc(3 << 20, 'x'));
		else a.end('ok');
	});
});
s.listen(0, '127.0.0.1', () => console.log(s.address().port));
process.stdin.on('end', () => process.exit(0)).resume();
"""


def test_http2():
    node = shutil.which("node")
    if not node:
        zkt.skip("HTTP/2", "no node here")
        return
    cert, key = certificate()
    server = subprocess.Popen([node, "-e", HTTP2, cert, key], stdin=subprocess.PIPE,
                              stdout=subprocess.PIPE, text=True)
    try:
        url = f"https://127.0.0.1:{int(server.stdout.readline())}"
        with Client(ca_file=cert) as c:
            e = c.get(url, method="POST", body_bytes=60000)
            zkt.equal((e["status"], e["version"], e["x_test"]), (200, 20, "2.0 60000 1"),
                      "small requests", e)
            e = c.get(url, method="POST", body_bytes=70000)
            zkt.equal((e["version"], e["x_test"][:9]), (11, "1.1 70000"),
                      "a large body goes by HTTP/1.1")
            e = c.get(url, method="POST", pull=300000)
            zkt.equal((e["version"], e["x_test"][:10]), (11, "1.1 300000"), "an upload too")
            e = c.get(url, flags=HTTP_1_1)
            zkt.equal(e["version"], 11, "so does who asks for it")
            sessions = int(e["x_test"].split()[2])
            c.say(op="net", ca_file=cert)
            ids = [c.start(url + "/slow") for _ in range(50)]
            done = [c.event("done", i) for i in ids]
            zkt.equal({(e["status"], e["version"]) for e in done}, {(200, 20)}, "50 at once")
            zkt.equal(int(done[-1]["x_test"].split()[2]) - sessions, 1, "on one connection")
            ids = [c.start(url + "/big", stream=i % 2 == 0, data_pause=1 << 20 if i == 0 else 0)
                   for i in range(6)]
            for i in ids[1:]:
                e = c.event("done", i)
                zkt.equal((e["status"], e["bytes"] + e["data_seen"]), (200, 3 << 20),
                          "a paused download stops no other")
            c.say(op="cancel", id=ids[0])
            # libcurl 7.88 takes a busy connection of HTTP/1.1 for one that can be shared, once it
            # knows that the host speaks HTTP/2.
            c.say(op="net", ca_file=cert)
            big = c.start(url + "/big", stream=True, data_pause=1 << 20)
            c.event("paused_down", big)
            done = [c.get(url + "/x") for _ in range(5)]
            zkt.equal([(e["status"], e["version"]) for e in done], [(200, 20)] * 5,
                      "requests beside a download that pauses")
            n = 0
            while not c.find("done", big):
                if c.find("paused_down", big, n + 1):
                    n += 1
                    c.say(op="resume_down", id=big)
                time.sleep(0.002)
            e = c.event("done", big)
            zkt.equal((error(e), e["data_seen"]), (0, 3 << 20), "which is whole", e)
            e = c.get(url + "/abort", method="POST", body="x")
            expect_error(e, UNKNOWN, False, "a stream that is reset: POST")
            expect_error(c.get(url + "/abort"), TRANSFER, True, "GET")
            zkt.equal(c.get(url)["version"], 20, "the client goes on")
    finally:
        server.stdin.close()
        server.wait(10)


zkt.main()
