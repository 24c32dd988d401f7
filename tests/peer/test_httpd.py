"""net/httpd over raw sockets, through the small server httpd_echo.c: the rules of
specs/triggers.md §2 and §12.3. Every hostile case is followed by "another client is still
served", and every server must end with status 0: it counts contradictions it sees itself."""

import contextlib
import resource
import socket
import threading
import time

from httpd_lib import HOST, chunked, get, one_answer, post, server, served, stats, zkt


# ---- hostile heads -----------------------------------------------------------------------------

HOSTILE = [
    ("length +2", 400, post("Content-Length: +2", body="hi")),
    ("length -1", 400, post("Content-Length: -1", body="hi")),
    ("length 0x2", 400, post("Content-Length: 0x2", body="hi")),
    ("length 2, 2", 400, post("Content-Length: 2, 2", body="hi")),
    ("length empty", 400, post("Content-Length:", body="hi")),
    ("length of 23 digits", 400, post("Content-Length: " + 23 * "9", body="hi")),
    ("two equal lengths", 400, post("Content-Length: 2", "Content-Length: 2", body="hi")),
    ("two lengths", 400, post("Content-Length: 2", "Content-Length: 3", body="hi")),
    ("length and chunked", 400,
     post("Content-Length: 2", "Transfer-Encoding: chunked", body="0\r\n\r\n")),
    ("chunked and length", 400,
     post("Transfer-Encoding: chunked", "Content-Length: 5", body="0\r\n\r\n")),
    ("gzip, chunked", 400, post("Transfer-Encoding: gzip, chunked", body="0\r\n\r\n")),
    ("identity", 400, post("Transfer-Encoding: identity", body="hi")),
    ("xchunked", 400, post("Transfer-Encoding: xchunked", body="0\r\n\r\n")),
    ("two codings", 400,
     post("Transfer-Encoding: chunked", "Transfer-Encoding: chunked", body="0\r\n\r\n")),
    ("chunked in 1.0", 400, post("Transfer-Encoding: chunked", version="1.0", body="0\r\n\r\n")),
    ("no Host", 400, get(host="")),
    ("two Hosts", 400, get("/", HOST.strip())),
    ("Host with a path", 400, get(host="Host: a/b\r\n")),
    ("a name with a space", 400, get("/", "X A: b")),
    ("a space before the colon", 400, get("/", "X-A : b")),
    ("a length with a space before the colon", 400, post("Content-Length : 2", body="hi")),
    ("an empty name", 400, get("/", ": b")),
    ("no colon", 400, get("/", "X-A")),
    ("a folded line", 400, get("/", "X-A: b", " c")),
    ("a folded length", 400, post("X-A: b", " Content-Length: 2", body="hi")),
    ("bare LF", 400, "GET / HTTP/1.1\nHost: a\n\n"),
    ("bare LF in a value", 400, get("/", "X-A: b\nX-B: c")),
    ("bare CR in a value", 400, get("/", "X-A: b\rX-B: c")),
    ("NUL in the target", 400, get("/a\0b")),
    ("NUL in a name", 400, get("/", "X\0A: b")),
    ("NUL in a value", 400, get("/", "X-A: b\0c")),
    ("an escape in a value", 400, get("/", "X-A: \x1b[2J")),
    ("a method in brackets", 400, "[GET] / HTTP/1.1\r\n" + HOST + "\r\n"),
    ("no version", 400, "GET /\r\n\r\n"),
    ("HTTP/1.10", 400, get(version="1.10")),
    ("HTTP/2.0", 505, get(version="2.0")),
    ("the preface of HTTP/2", 505, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    ("GET *", 400, get("*")),
    ("an authority as target", 400, get("a:80")),
    ("ftp://", 400, get("ftp://a/b")),
    ("UTF-8 in the target", 400, get("/\xe4")),
    ("two spaces", 400, "GET  / HTTP/1.1\r\n" + HOST + "\r\n"),
    ("a TLS hello", 400, "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"),
    ("empty lines only", 400, 5 * "\r\n"),
    ("a long target", 414, get("/" + 9000 * "x")),
    ("a long target without end", 414, "GET /" + 9000 * "x"),
    ("a long head", 431, get("/", "X-A: " + 17000 * "y")),
    ("a long head without end", 431, "GET / HTTP/1.1\r\nX-A: " + 17000 * "y"),
    ("many header lines", 431, get("/", *(101 * ["X: y"]))),
    ("a chunk size that is none", 400,
     post("Transfer-Encoding: chunked", body="zz\r\nhi\r\n0\r\n\r\n")),
    ("a chunk size of 9 digits", 400,
     post("Transfer-Encoding: chunked", body="000000002\r\nhi\r\n0\r\n\r\n")),
    ("a chunk that is longer than it says", 400,
     post("Transfer-Encoding: chunked", body="2\r\nhi!\r\n0\r\n\r\n")),
    ("a bare LF behind a chunk size", 400,
     post("Transfer-Encoding: chunked", body="2\nhi\r\n0\r\n\r\n")),
    ("a long chunk extension", 431,
     post("Transfer-Encoding: chunked", body="2;" + 9000 * "x" + "\r\nhi\r\n0\r\n\r\n")),
    ("a long trailer", 431,
     post("Transfer-Encoding: chunked", body="0\r\nX: " + 9000 * "x" + "\r\n\r\n")),
    ("a declared body that is too long", 413, post("Content-Length: 524289")),
    ("a declared body of 10 digits", 413, post("Content-Length: 9999999999")),
]


def test_hostile_heads():
    with server() as s:
        for name, status, text in HOSTILE:
            with s.raw() as c:
                # What stands behind must never be taken for a request.
                c.send(text + get("/big?n=1"))
                one_answer(c, status, name)
            served(s, name)


def test_hostile_heads_in_pieces():
    """The same verdicts when every byte comes alone."""
    with server() as s:
        for name, status, text in HOSTILE:
            if len(text) > 1000:
                continue
            with s.raw() as c:
                for i in range(len(text)):
                    try:
                        c.send(text[i])
                    except (BrokenPipeError, ConnectionResetError):
                        break  # the verdict came before the end
                one_answer(c, status, name + ", byte by byte")
        served(s, "bytes that came alone")


def test_sound_but_unusual():
    with server() as s:
        for name, text, status in [
                ("HTTP/1.0 without Host", get(version="1.0", host=""), 202),
                ("HTTP/1.2", get(version="1.2"), 202),
                ("absolute form", get("http://b:81/item/x?y"), 200),
                ("absolute form without a path", get("http://b"), 202),
                ("absolute form with a query only", get("http://b?q"), 202),
                ("four empty lines in front", 4 * "\r\n" + get(), 202),
                ("tabs and blanks around a value", get("/", "X-A:\t b \t"), 202),
                ("an unknown method", "BREW /echo HTTP/1.1\r\n" + HOST + "\r\n", 405),
                ("CONNECT", "CONNECT a:443 HTTP/1.1\r\n" + HOST + "\r\n", 404),
                ("the longest target", get("/item/" + (8192 - 6) * "x"), 200),
                ("100 header lines", get("/", *(99 * ["X: y"])), 202),
                ("the longest head", get("/", "X: " + (16384 - 32) * "y"), 202),
        ]:
            with s.raw() as c:
                r = c.send(text).response()
                zkt.ok(r.status == status, name, r)
        r = s.raw().send(get("http://b:81/item/x?y")).response()
        zkt.equal((r.json["authority"], r.json["path"], r.json["query"]),
                  ("b:81", "/item/x", "y"), "the absolute form overrules Host")


# ---- routes ------------------------------------------------------------------------------------

def test_routes():
    with server() as s:
        for target, a, b, pattern in [
                ("/item/x", "x", "", "/item/:a"),
                ("/item/x/", "x", "", "/item/:a"),
                ("/item/x/y", "x", "y", "/item/:a/:b"),
                ("/item/x/y/deep", "x", "y", "/item/:a/:b/deep"),
                ("/item/special", "", "", "/item/special"),
                ("/item/special/y", "special", "y", "/item/:a/:b"),
                ("/it%65m/%78", "x", "", "/item/:a"),
                ("/item/a%20b%2B+c", "a b++c", "", "/item/:a"),
                ("/item/%C3%A4", "ä", "", "/item/:a"),
                ("/item/%2525", "%25", "", "/item/:a"),
                ("/item/...", "...", "", "/item/:a"),
                ("/item/x?a/b=%2F..", "x", "", "/item/:a"),
        ]:
            r = s.request("GET", target)
            zkt.ok(r.status == 200 and (r.json["a"], r.json["b"]) == (a, b)
                   and r.json["pattern"] == pattern, f"GET {target}", r)
        for target in ["/nope", "/item", "/item//", "/item//x", "/item/..", "/item/../item/x",
                       "/item/%2e%2e", "/item/.%2E/x", "/item/a%2Fb", "/item/a%2fb", "/item/%00",
                       "/item/%", "/item/%4", "/item/%zz", "/item/%ff", "//item/x", "/ITEM/x",
                       "/item/x//", "/a/b/c/d/e/f/g/h/i/j", "/item/x/y/z", "//"]:
            zkt.equal(s.request("GET", target).status, 404, f"GET {target}")
        r = s.request("DELETE", "/echo")
        zkt.equal((r.status, r.header("allow")), (405, "POST, PUT"), "405 says what is allowed")
        r = s.request("GET", "/item/other")
        zkt.equal((r.status, r.header("allow")), (405, "POST"),
                  "the more specific pattern decides about 405")
        r = s.request("OPTIONS", "/echo")
        zkt.equal((r.status, r.header("allow")), (405, "POST, PUT"), "OPTIONS without a hook")
        r = s.request("HEAD", "/item/x")
        zkt.ok(r.status == 200 and int(r.header("content-length")) > 50 and r.body == b"",
               "HEAD has the length and no body", r)
        zkt.equal(s.request("HEAD", "/big").status, 405, "HEAD is in the table or 405")
        r = s.request("GET", "/nothing")
        zkt.ok(r.status == 204 and r.header("content-length") is None, "204 has no length", r)


def test_own_errors_and_options():
    with server("own_errors=1", "options=1") as s:
        for name, text, status in [("bad", "x\r\n\r\n", 400), ("404", get("/no"), 404),
                                   ("405", get("/echo"), 405),
                                   ("413", post("Content-Length: 9999999"), 413)]:
            with s.raw() as c:
                r = c.send(text).response()
                zkt.ok(r.status == status and r.header("x-own") == "yes",
                       f"the hook answers {name}", r)
        r = s.request("OPTIONS", "/echo")
        zkt.equal((r.status, r.header("access-control-allow-methods")), (204, "POST, PUT"),
                  "the hook answers OPTIONS")
        r = s.request("OPTIONS", "*")
        zkt.ok(r.status == 204 and "PUT" in r.header("access-control-allow-methods"),
               "OPTIONS * names every method", r)
        zkt.equal(s.request("OPTIONS", "/no").status, 404, "OPTIONS of an unknown path")
        zkt.equal(stats(s)["errors"], 5, "the hook was called once each")


def test_default_errors():
    with server() as s:
        r = s.request("GET", "/no")
        zkt.equal((r.status, r.json["error"], r.header("content-type"), r.header("cache-control")),
                  (404, "Not Found", "application/json", "no-store"), "a JSON error by default")
        zkt.matches(r"\w{3}, \d\d \w{3} 20\d\d \d\d:\d\d:\d\d GMT", r.header("date"), "Date")


def test_statuses_and_kept_texts():
    with server() as s:
        c = s.raw()
        bad = []
        for n in range(200, 600):
            r = c.request("GET", f"/status?n={n}")
            if r.status != n or r.body != (b"" if n in (204, 304) else b"text"):
                bad.append(r)
        zkt.ok(not bad, "every status has a sound status line", bad[:3])
        zkt.equal(c.request("GET", "/status?n=404").reason, "Not Found", "with its reason")
        for n, kept in [(0, 0), (1, 1), (12, 12), (13, 13), (100, 100), (300, 300),
                        (50000, 50000)]:
            zkt.equal(c.request("GET", f"/keep?n={n}").body.decode(), 20 * f"{kept} ",
                      f"20 texts of {n} bytes are kept")
        zkt.equal(c.request("GET", "/keep?n=400000").body.decode(),
                  2 * "400000 " + 18 * "0 ", "no more than a megabyte of them")


# ---- bodies ------------------------------------------------------------------------------------

def test_bodies():
    with server() as s:
        c = s.raw()
        for n in [0, 1, 100, 7000, 8100, 8191, 8192, 9000, 65536, 524288]:
            data = bytes(zkt.rng.randrange(256) for _ in range(min(n, 1000))) * (n // 1000 + 1)
            data = data[:n]
            r = c.request("POST", "/echo", data)
            zkt.ok(r.status == 200 and r.body == data, f"a body of {n} bytes", r)
            for size in (n or 1, 1000) if n > 20 else (1, 3):
                c.send(post("Transfer-Encoding: chunked").encode() + chunked(data, size))
                r = c.response()
                zkt.ok(r.status == 200 and r.body == data,
                       f"{n} bytes in chunks of {size}", r)
        data = b"0123456789" * 30
        c.send(post(f"Content-Length: {len(data)}").encode() + data, piece=1)
        zkt.equal(c.response().body, data, "a body byte by byte")
        c.send(post("Transfer-Encoding: chunked").encode()
               + chunked(data, 7).replace(b"\r\n0\r\n\r\n", b"\r\n00;x=y\r\nT: u\r\n\r\n"), piece=1)
        zkt.equal(c.response().body, data, "chunks, extension and trailer byte by byte")
        # A head that fills the buffer leaves room for chunks all the same.
        for pad in (7900, 8060, 8100, 8140, 8192, 15000, 16200):
            c.send(post("Transfer-Encoding: chunked", "X: " + pad * "y").encode()
                   + chunked(data, 11))
            zkt.equal(c.response().body, data, f"chunks behind a head of {pad} bytes and more")
            c.send(post(f"Content-Length: {len(data)}", "X: " + pad * "y").encode() + data)
            zkt.equal(c.response().body, data, f"a body behind a head of {pad} bytes and more")
        zkt.equal(stats(s)["in_progress"], 1, "nothing but this question is in progress")


def test_body_limits():
    with server() as s:
        for name, text, body in [
                ("declared", post("Content-Length: 3000000"), b"x"),
                ("declared, all of it sent", post("Content-Length: 3000000"), 3000000 * b"x"),
                ("chunked", post("Transfer-Encoding: chunked"), chunked(600000 * b"x", 5000)),
                ("one chunk", post("Transfer-Encoding: chunked"), b"80001\r\n" + 600000 * b"x"),
        ]:
            with s.raw() as c:
                c.send(text)
                with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                    c.send(body)
                one_answer(c, 413, name)
            served(s, name)
        r = s.request("POST", "/small", 100 * b"x")
        zkt.equal(r.status, 200, "a route's own limit")
        zkt.equal(s.request("POST", "/small", 101 * b"x").status, 413, "a byte more than it")
        with s.raw() as c:
            c.send(post("Transfer-Encoding: chunked").replace("/echo", "/small").encode()
                   + chunked(101 * b"x", 9))
            one_answer(c, 413, "a byte more than it in chunks")
        zkt.equal(stats(s)["bodies"], 5, "no handler saw a part of a body")


def test_global_body_limit():
    with server("max_bodies=100000") as s:
        a, b = s.raw(), s.raw()
        a.send(post("Content-Length: 90000").encode() + 80000 * b"x")
        zkt.wait_for(lambda: stats(s)["in_progress"] == 2, "the first body")
        b.send(post("Content-Length: 90000").encode() + 80000 * b"x")
        one_answer(b, 503, "the second body")
        a.send(10000 * b"x")
        zkt.equal(a.response().status, 200, "the first one ends well")
        b = s.raw()
        zkt.equal(b.request("POST", "/echo", 90000 * b"x").status, 200, "and gives its room back")


def test_unread_bodies():
    """What a handler did not want must not be taken for the next request."""
    with server() as s:
        for name, text, stays in [
                ("a short body", b"Content-Length: 20\r\n\r\n" + b"GET /stats HTTP/1.1\r", True),
                ("chunks", b"Transfer-Encoding: chunked\r\n\r\n5\r\nGET /\r\n0\r\n\r\n", True)]:
            c = s.raw()
            c.send(b"POST /deny HTTP/1.1\r\nHost: a\r\n" + text + get().encode())
            r = c.response()
            zkt.equal(r.status, 401, f"{name} is not read")
            zkt.equal(c.response().status, 202, f"{name}: the next request is")
        c = s.raw().send("POST /deny HTTP/1.1\r\nHost: a\r\nContent-Length: 20000\r\n\r\n")
        r = c.response()
        zkt.ok(r.status == 401 and r.header("connection") is None, "answered before the body", r)
        c.send(20000 * b"x" + get().encode())
        zkt.equal(c.response().status, 202, "the body that came later is thrown away")
        c = s.raw().send("POST /deny HTTP/1.1\r\nHost: a\r\nContent-Length: 200000\r\n\r\n")
        one_answer(c, 401, "a long unread body")
        c = s.raw().send("POST /deny HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n")
        one_answer(c, 401, "unread chunks")
        c = s.raw().send("POST /no HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc" + get())
        zkt.equal((c.response().status, c.response().status), (404, 202), "404 with a body")


def test_expect():
    with server() as s:
        head = "POST {} HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: {}\r\n\r\n"
        c = s.raw().send(head.format("/echo", 5))
        zkt.equal(c.head().status, 100, "100 when the body is wanted")
        zkt.equal(c.send("hello").response().body, b"hello", "then the answer")
        zkt.equal(c.send(head.format("/echo", 5) + "hello").response().body, b"hello",
                  "with the body at once")
        c = s.raw().send(head.format("/deny", 5))
        r = c.head()
        zkt.equal((r.status, r.header("connection")), (401, "close"), "no 100 without a key")
        c = s.raw().send(head.format("/echo", 9999999))
        zkt.equal(c.head().status, 413, "no 100 for a body that is too long")
        c = s.raw().send(head.format("/no", 5))
        zkt.equal(c.head().status, 404, "no 100 for an unknown path")
        c = s.raw().send(head.format("/echo", 5).replace("POST", "PATCH"))
        zkt.equal(c.head().status, 405, "no 100 for a wrong method")
        c = s.raw().send(head.format("/gate?ms=30", 5).replace("\r\n\r\n", "\r\nX-Gate: open\r\n\r\n"))
        zkt.equal(c.head().status, 100, "100 after the handler made up its mind")
        zkt.equal(c.send("hello").response().body, b"hello", "and the answer")


def test_wait():
    with server() as s:
        for how in ("open", "at once"):
            for n in (0, 5, 9000, 100000):
                data = n * b"w"
                r = s.request("POST", "/gate?ms=5", data, {"X-Gate": how})
                zkt.ok(r.status == 200 and r.body == data, f"gate {how}, {n} bytes", r)
            c = s.raw().send(f"POST /gate?ms=20 HTTP/1.1\r\nHost: a\r\nX-Gate: {how}\r\n"
                             "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")
            c.send("2\r\nde\r\n0\r\n\r\n" + get())
            zkt.equal(c.response().body, b"abcde", f"gate {how}, chunks")
            zkt.equal(c.response().status, 202, "and the request behind them")
        c = s.raw().send("POST /gate?ms=20 HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc" + get())
        zkt.equal((c.response().status, c.response().status), (401, 202), "a closed gate")


# ---- pipelining and keep-alive -----------------------------------------------------------------

def test_pipelining():
    with server() as s:
        for name, piece in (("at once", 0), ("byte by byte", 1), ("in pieces of 700", 700)):
            c = s.raw()
            c.send("".join(get(f"/item/{i}") for i in range(50)), piece=piece)
            got = [c.response().json["a"] for _ in range(50)]
            zkt.equal(got, [str(i) for i in range(50)], f"50 requests {name}, in order")
            zkt.ok(c.silent(0.05), "and nothing more")
        c = s.raw()
        text = b""
        for i in range(40):
            body = b"%d" % i * (1 + 400 * (i % 5))
            if i % 3 == 0:
                text += post("Transfer-Encoding: chunked").encode() + chunked(body, 100)
            elif i % 3 == 1:
                text += post(f"Content-Length: {len(body)}").encode() + body
            else:
                text += f"POST /later?ms={i % 4} HTTP/1.1\r\nHost: a\r\n" \
                    f"Content-Length: {len(body)}\r\n\r\n".encode() + body
        threading.Thread(target=c.send, args=(text, 1234)).start()
        for i in range(40):
            r = c.response()
            if r.body != b"%d" % i * (1 + 400 * (i % 5)):
                zkt.ok(False, f"pipelined body {i}", r)
        zkt.ok(c.silent(0.05), "40 mixed bodies, some answered later, in order")


def test_answers_wait_for_the_one_before():
    with server() as s:
        c = s.raw()
        c.send("POST /hold HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nwait" + 300 * get("/item/x"))
        zkt.ok(c.silent(0.1), "nothing is answered while the first one is held")
        zkt.equal(stats(s)["in_progress"], 2, "only one request of a connection is in progress")
        s.request("POST", "/release")
        zkt.equal(c.response().body, b"wait", "the held one first, its body untouched")
        zkt.ok(all(c.response().status == 200 for _ in range(300)), "then the 300 others")
        many = [s.raw() for _ in range(100)]
        for i, m in enumerate(many):
            m.send(post("Content-Length: 3").replace("/echo", "/hold") + f"{i:03}")
        zkt.wait_for(lambda: stats(s)["in_progress"] == 101, "100 held requests")
        zkt.equal(s.request("POST", "/release").body, b"100", "100 answers in one turn")
        zkt.ok(all(m.response().body == b"%03d" % i for i, m in enumerate(many)),
               "each client gets its own")


def test_unread_answers_hold_the_rest_back():
    """A client that sends requests and reads no answers must not fill our memory."""
    with server() as s:
        before = s.rss_bytes()
        c = s.raw()
        c.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 32768)
        c.sock.settimeout(0.3)
        with contextlib.suppress(TimeoutError):
            for _ in range(300):
                c.send(get("/big?n=1000000"))
        zkt.ok(s.rss_bytes() - before < 40e6, "300 answers of 1 MB do not pile up",
               s.rss_bytes() - before)
        served(s, "a client that does not read")
        c.sock.settimeout(10)
        zkt.equal(len(c.response().body), 1000000, "the first answer is whole when it is read")
        zkt.equal(len(c.response().body), 1000000, "and the second")
        c.close()


def test_keep_alive():
    with server("max_requests=5") as s:
        c = s.raw()
        heads = [c.request("GET", "/").header("connection") for _ in range(5)]
        zkt.equal(heads, [None, None, None, None, "close"], "the last request says close")
        zkt.ok(c.closed(), "and the connection ends")
        c = s.raw().send(get("/", "Connection: close"))
        one_answer(c, 202, "Connection: close")
        c = s.raw().send(get(version="1.0"))
        one_answer(c, 202, "HTTP/1.0")
        c = s.raw().send(get("/", "Connection: Keep-Alive", version="1.0"))
        zkt.equal(c.response().header("connection"), "keep-alive", "HTTP/1.0 with keep-alive")
        zkt.equal(c.send(get(version="1.0")).response().status, 202, "goes on")
        c = s.raw().send(post("Content-Length: 2").replace("/echo", "/close") + "ab" + get())
        one_answer(c, 200, "a handler that closes")


# ---- time --------------------------------------------------------------------------------------

def drip(c, data, pause):
    """Sends byte after byte until the peer ends the connection; seconds that took."""
    start = time.monotonic()
    c.sock.settimeout(pause)
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        for b in data:
            c.sock.sendall(bytes([b]))
            try:
                more = c.sock.recv(65536)
                if not more:
                    break
                c.buffer += more
                if b"\r\n\r\n" in c.buffer:
                    break
            except TimeoutError:
                pass
    c.sock.settimeout(10 * zkt.SLOW)
    return time.monotonic() - start


def test_deadlines():
    with server("head_timeout_ms=400", "body_timeout_ms=400", "body_bytes_per_s=0",
                "idle_timeout_ms=300") as s:
        c = s.raw()
        took = drip(c, get("/", "X: " + 500 * "y").encode(), 0.02)
        one_answer(c, 408, "one byte of the head at a time")
        zkt.ok(0.35 < took < 6 * zkt.SLOW, "the time of the head is absolute", took)
        c = s.raw()
        start = time.monotonic()
        zkt.ok(c.closed(), "a connection that says nothing is closed without a word")
        zkt.ok(0.35 < time.monotonic() - start < 6 * zkt.SLOW, "in time")
        c = s.raw().send(post("Content-Length: 500"))
        took = drip(c, 500 * b"x", 0.02)
        one_answer(c, 408, "one byte of the body at a time")
        zkt.ok(0.35 < took < 6 * zkt.SLOW, "the time of the body is absolute", took)
        c = s.raw().send(post("Transfer-Encoding: chunked"))
        drip(c, 200 * b"1\r\nx\r\n", 0.01)
        one_answer(c, 408, "one byte of a chunk at a time")
        c = s.raw()
        c.request("GET", "/")
        start = time.monotonic()
        zkt.ok(c.closed(), "an idle connection is closed")
        zkt.ok(0.25 < time.monotonic() - start < 6 * zkt.SLOW, "in time")
        c = s.raw()
        c.request("GET", "/")
        drip(c, get("/", "X: " + 500 * "y").encode(), 0.02)
        one_answer(c, 408, "the second head of a connection")
        c = s.raw().send("POST /deny HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n")
        c.response()
        zkt.ok(c.closed(), "the rest of an unwanted body has its time too")
        c = s.raw().send("POST /later?ms=1200 HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nok")
        zkt.equal(c.response().body, b"ok", "a handler may take longer than any of them")
        served(s, "deadlines")
        st = stats(s)
        zkt.equal(st["in_progress"], 1, "nothing is left")
        zkt.ok(st["connections"] <= 2, "the connections are closed", st)


def test_deadline_grows_with_the_body():
    with server("body_timeout_ms=300", "body_bytes_per_s=100") as s:
        c = s.raw().send(post("Content-Length: 200"))
        drip(c, 60 * b"x", 0.01)
        zkt.equal(c.send(140 * b"x").response().status, 200,
                  "200 bytes at 100 bytes/s have 2 s more")


def test_write_timeout():
    with server("write_timeout_ms=300") as s:
        c = s.raw()
        c.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 32768)
        c.send(get("/big?n=30000000"))
        zkt.wait_for(lambda: stats(s)["connections"] == 1, "the slow reader to be cut")
        served(s, "a reader that takes nothing")
        c = s.raw()
        c.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 131072)
        c.send(get("/big?n=6000000"))
        c.read_until(b"\r\n\r\n")
        got = len(c.buffer)
        start = time.monotonic()
        while got < 6000000 and time.monotonic() - start < 60:
            n = len(c.sock.recv(200000))
            if not n:
                break
            got += n
            time.sleep(0.03)
        zkt.equal(got, 6000000, "a slow but steady reader gets all of it")


# ---- clients that leave ------------------------------------------------------------------------

def test_half_closed_clients():
    with server() as s:
        c = s.raw().send(get()).half_close()
        zkt.equal(c.response().status, 202, "an answer after the half-close")
        zkt.ok(c.closed(), "then the end")
        c = s.raw().send("POST /later?ms=100 HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nok")
        c.half_close()
        zkt.equal(c.response().body, b"ok", "also when it takes a while")
        c = s.raw().send(5 * get("/item/x")).half_close()
        zkt.ok(all(c.response().status == 200 for _ in range(5)) and c.closed(),
               "all pipelined requests are answered")
        for name, text in [("a part of a head", get()[:-5]), ("a part of a body",
                           post("Content-Length: 9") + "abc"), ("a part of a chunk",
                           post("Transfer-Encoding: chunked") + "9\r\nabc"), ("nothing", "")]:
            c = s.raw().send(text).half_close()
            zkt.ok(c.closed(), f"{name}, then the half-close: closed")
            c = s.raw().send(get() + text).half_close()
            zkt.ok(c.response().status == 202 and c.closed(), f"a request and {name}")
        st = stats(s)
        zkt.equal((st["in_progress"], st["dropped"]), (1, 4), "the dropped bodies were reported")


def test_answers_after_the_client_left():
    with server() as s:
        for leave in ("reset", "close"):
            before = stats(s)
            clients = [s.raw() for _ in range(20)]
            for c in clients:
                c.send(post("Content-Length: 3").replace("/echo", "/hold") + "abc" + get())
            zkt.wait_for(lambda n=21: stats(s)["in_progress"] == n, "20 held requests")
            for c in clients:
                getattr(c, leave)()
            if leave == "reset":
                zkt.wait_for(lambda: stats(s)["connections"] == 1, "the resets to be seen")
            zkt.equal(s.request("POST", "/release").body, b"20", f"20 answers after {leave}")
            served(s, leave)
            zkt.wait_for(lambda: stats(s)["connections"] == 1, "the connections to go")
            after = stats(s)
            zkt.equal(after["in_progress"], 1, "no request is left")
            zkt.equal(after["gone"] - before["gone"], 20 if leave == "reset" else 0,
                      f"the handlers could see the {leave}")
        # In the middle of everything else.
        for text in (get()[:20], post("Content-Length: 100") + "abc", get("/big?n=9000000"),
                     post("Content-Length: 9", "X-Gate: open").replace("/echo", "/gate?ms=50"),
                     get("/events?n=1000&ms=1"), get("/pour?n=90000000")):
            for _ in range(3):
                c = s.raw().send(text)
                if zkt.rng.random() < 0.5:
                    time.sleep(0.01)
                c.reset()
            served(s, "a reset")
        zkt.wait_for(lambda: stats(s)["in_progress"] == 1, "all requests to end")
        zkt.wait_for(lambda: stats(s)["connections"] == 1, "all connections to go")


# ---- limits of connections ---------------------------------------------------------------------

def test_too_many_connections():
    with server("max_connections=5") as s:
        open_ones = [s.raw() for _ in range(5)]
        zkt.ok(all(c.request("GET", "/").status == 202 for c in open_ones), "five are served")
        for i in range(3):
            c = s.raw()
            with contextlib.suppress(ConnectionResetError, BrokenPipeError):
                c.send(get())
            one_answer(c, 503, f"one too many ({i})")
        open_ones.pop().close()
        zkt.wait_for(lambda: s.request("GET", "/").status == 202, "room after one left")
        zkt.ok(all(c.request("GET", "/").status == 202 for c in open_ones), "the others stay")
        for c in open_ones:
            c.close()


def test_thousand_connections():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 8192), hard))
    if min(hard, 8192) < 2200:
        zkt.skip("1000 connections", "too few descriptors")
        return
    with server() as s:
        fds = s.open_fds()
        clients = [s.raw() for _ in range(1000)]
        zkt.equal(stats(s)["connections"], 1001, "1000 connections are open")
        for c in clients:
            c.send(get("/item/x"))
        zkt.ok(all(c.response().status == 200 for c in clients), "all are served")
        rss = s.rss_bytes()
        for c in clients:
            c.send(get()[:-2])
        for c in clients:
            c.send("\r\n")
        zkt.ok(all(c.response().status == 202 for c in clients), "and again, in two pieces")
        zkt.ok(s.rss_bytes() - rss < 30e6, "without much memory", s.rss_bytes() - rss)
        for c in clients[:500]:
            c.close()
        for c in clients[500:]:
            c.reset()
        zkt.wait_for(lambda: stats(s)["connections"] == 1, "all to go")
        zkt.wait_for(lambda: s.open_fds() <= fds, "their descriptors to be closed")


zkt.main()
