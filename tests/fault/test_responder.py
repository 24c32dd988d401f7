"""The scripted HTTP responder does what it says, and so does the client of zkt."""
import json
import subprocess
import sys
import urllib.request

import zkt
from zkt import Answer, Raw


def post(sink, body=b"hello", target="/hook"):
    with Raw(("127.0.0.1", sink.port)) as c:
        return c.request("POST", target, body, {"X-Test": "1"})


def test_script():
    sink = zkt.Sink([500, Answer(429, headers=[("Retry-After", "1")]), lambda r: Answer(
        201, body=r.body[::-1])])
    zkt.equal([post(sink).status for _ in range(2)], [500, 429], "answers in order")
    r = post(sink)
    zkt.equal((r.status, r.body), (201, b"olleh"), "an answer computed from the request")
    zkt.equal(post(sink).status, 200, "then the default")
    zkt.ok(sink.wait(4, 1), "counts four requests")
    q = sink.requests[0]
    zkt.equal((q.method, q.target, q.header("x-test"), q.body),
              ("POST", "/hook", "1", b"hello"), "records the request")


def test_routes_and_keep_alive():
    sink = zkt.Sink(routes={"/a": [204, 410]})
    with Raw(("127.0.0.1", sink.port)) as c:
        got = [c.request("GET", t).status for t in ("/a?x=1", "/b", "/a", "/a")]
    zkt.equal(got, [204, 200, 410, 200], "scripts per path, one connection")
    zkt.equal({q.connection for q in sink.requests}, {1}, "on one connection")


def test_bodies():
    sink = zkt.Sink([Answer(body=b"x" * 100000, chunked=True), Answer(chunked=True)])
    zkt.equal(len(post(sink).body), 100000, "a chunked answer")
    zkt.equal(post(sink).body, b"", "an empty chunked answer")
    with Raw(("127.0.0.1", sink.port)) as c:
        c.send("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
               "3\r\nabc\r\n2;x=y\r\nde\r\n0\r\nTrailer: t\r\n\r\n", piece=1)
        zkt.equal(c.response().status, 200, "answers a chunked request")
    zkt.equal(sink.requests[-1].body, b"abcde", "reads a chunked request, byte by byte")
    big = zkt.Sink([[b"HTTP/1.1 200 OK\r\n\r\n", ("repeat", b"y" * 65536, 10**6)]])
    with Raw(("127.0.0.1", big.port)) as c:
        c.send("GET / HTTP/1.1\r\n\r\n")
        zkt.equal(len(c.head() and c.read_exactly(10**6)), 10**6, "an endless answer")


def test_rude():
    sink = zkt.Sink([
        [b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf", "close"],
        ["hang"],
        ["reset"],
        [("drip", b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", 1, 0.001), "next"],
        b"garbage\r\n\r\n",
        Answer(413, close=True, early=True)])

    def end():
        c = Raw(("127.0.0.1", sink.port))
        c.send("POST / HTTP/1.1\r\nContent-Length: 1\r\n\r\nx")
        return c
    c = end()
    zkt.equal(c.read_all(), b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf", "half an answer")
    zkt.ok(end().silent(0.1), "hangs")
    try:
        got = end().sock.recv(1)
    except ConnectionResetError:
        got = "rst"
    zkt.equal(got, "rst", "resets")
    zkt.equal(end().response().body, b"ok", "drips")
    zkt.equal(end().read_all(), b"garbage\r\n\r\n", "garbage")
    c = Raw(("127.0.0.1", sink.port))
    c.send("POST / HTTP/1.1\r\nContent-Length: 1000000\r\n\r\n")
    zkt.equal(c.response().status, 413, "answers before the body has come")
    zkt.ok(c.closed(2), "and closes")


def test_tls():
    cert, key = zkt.certificate()
    sink = zkt.Sink(tls=(cert, key))
    with urllib.request.urlopen(sink.url + "/x", context=zkt.tls_client(cert)) as r:
        zkt.equal(r.status, 200, "speaks TLS")


def test_program():
    p = subprocess.Popen([sys.executable, zkt.SRC / "tests/fault/responder.py", "--script",
                          '[[{"send": "HTTP/1.1 299 Odd\\r\\n\\r\\n"}, "close"]]'],
                         stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    port = json.loads(p.stdout.readline())["port"]
    with Raw(("127.0.0.1", port)) as c:
        zkt.equal(c.request("GET", "/q").status, 299, "runs as a program")
    zkt.equal(json.loads(p.stdout.readline())["target"], "/q", "prints the requests")
    p.stdin.close()
    zkt.equal(p.wait(5), 0, "ends with its stdin")


zkt.main()
