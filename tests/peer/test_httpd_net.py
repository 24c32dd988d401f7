"""net/httpd over raw sockets: streams, upgrades, the end, addresses, TLS, random clients."""

import contextlib
import os
import random
import signal
import socket
import ssl
import stat
import threading
import time

from httpd_lib import ECHO, chunked, get, one_answer, post, server, served, stats, zkt


# ---- streams -----------------------------------------------------------------------------------

def test_streams():
    with server("max_out=200000") as s:
        with s.raw() as c:
            r, events = c.events("GET", "/events?n=5&ms=2")
            zkt.equal((r.status, r.header("transfer-encoding"), r.header("content-type"),
                       r.header("connection")),
                      (200, "chunked", "text/event-stream", "close"), "the head of a stream")
            zkt.equal([e["data"] for e in events], ["5", "4", "3", "2", "1"], "five events")
            zkt.ok(c.closed(), "the connection ends with the stream")
        c = s.raw().send(get("/events?n=3", version="1.0"))
        r = c.response()
        zkt.ok(r.header("transfer-encoding") is None and r.body.count(b"data:") == 3,
               "HTTP/1.0 gets it without chunks", r)
        c = s.raw().send(get("/events?n=100000&ms=1"))
        c.head()
        c.chunk()
        zkt.equal(stats(s)["in_progress"], 1, "a stream is no request in progress")
        c.close()
        zkt.wait_for(lambda: stats(s)["streams_closed"] == 1, "the stream to hear of it")
        c = s.raw()
        c.send(get("/events?n=100000&ms=1")).send("junk behind the request" * 10)
        c.head()
        c.chunk()
        zkt.ok(len(c.chunk()) > 0, "input behind the request does not matter")
        with contextlib.suppress(ConnectionResetError, BrokenPipeError):
            c.send(1000000 * b"x")
        zkt.wait_for(lambda: stats(s)["streams_closed"] == 2, "too much of it ends the stream")
        c = s.raw()
        c.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 32768)
        c.send(get("/flood"))
        zkt.wait_for(lambda: stats(s)["streams_closed"] == 3, "a slow reader to be cut")
        zkt.equal(stats(s)["streams_slow"], 1, "its handler was told by the write")
        served(s, "a slow reader")
        c = s.raw().send(get("/pour?n=5000000"))
        zkt.equal(len(c.response().body), 5000000, "5 MB through a stream of 200 kB")
        c = s.raw()
        c.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 32768)
        c.send(get("/pour?n=1000000"))
        time.sleep(0.05)
        zkt.equal(len(c.response().body), 1000000, "also to a reader that starts late")


def test_upgrade():
    with server() as s:
        up = get("/ws", "Connection: Upgrade", "Upgrade: echo")
        c = s.raw().send(up + "early")
        zkt.equal(c.head().status, 101, "101")
        zkt.equal(c.read_exactly(5), b"early", "what came behind the head is not lost")
        zkt.equal(c.send("more").read_exactly(4), b"more", "the socket has a new owner")
        zkt.equal(stats(s)["connections"], 1, "the server does not count it")
        c.close()
        c = s.raw().send(get() + up)
        zkt.equal((c.response().status, c.head().status), (202, 101), "behind another request")
        c.close()
        c = s.raw().send(up.replace("\r\n\r\n", "\r\nContent-Length: 2\r\n\r\nab"))
        zkt.equal(c.response().status, 500, "not with a body")


# ---- the end -----------------------------------------------------------------------------------

def test_drain():
    with server(ends=False) as s:
        idle, held, partial, stream = s.raw(), s.raw(), s.raw(), s.raw()
        idle.request("GET", "/")
        held.send(post("Content-Length: 3").replace("/echo", "/hold") + "abc")
        late = s.raw().send("POST /later?ms=300 HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nok")
        partial.send(post("Content-Length: 3") + "ab")
        _, events = stream.events("GET", "/events?n=100000&ms=1")
        next(events)
        zkt.wait_for(lambda: stats(s)["in_progress"] == 4, "three requests")
        s.signal(signal.SIGTERM)
        zkt.ok(idle.closed(), "an idle connection is closed at once")
        zkt.wait_for(lambda: refused(s), "new connections to be refused")
        zkt.ok(list(events)[-1] == {"event": "bye"} and stream.closed(),
               "a stream says goodbye and ends properly")
        r = late.response()
        zkt.equal((r.body, r.header("connection")), (b"ok", "close"), "a request is answered")
        r = partial.send("c").response()
        zkt.equal((r.body, r.header("connection")), (b"abc", "close"), "one that was half there")
        zkt.ok(held.silent(0.1) and s.status is None, "the last request is waited for")
        held.reset()
        s.signal(signal.SIGKILL)
    with server(ends=False) as s:
        held = s.raw().send("POST /later?ms=300 HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nok")
        zkt.wait_for(lambda: stats(s)["in_progress"] == 2, "the request")
        s.signal(signal.SIGTERM)
        zkt.equal(held.response().body, b"ok", "answered")
        zkt.equal(s.wait(), 0, "and the server ends")


    with server(ends=False) as s:
        s.signal(signal.SIGSTOP)
        waiting = [s.raw().send(get()) for _ in range(20)]
        s.signal(signal.SIGTERM)
        s.signal(signal.SIGCONT)
        zkt.ok(all(c.response().status == 202 and c.closed() for c in waiting),
               "requests in connections that were not accepted yet are answered")
        zkt.equal(s.wait(), 0, "then the server ends")


def refused(s):
    try:
        s.raw().close()
        return False
    except ConnectionRefusedError:
        return True


def test_end_in_the_middle():
    """The server is freed by a handler, while requests wait and clients talk."""
    with server(ends=False) as s:
        held = [s.raw() for _ in range(5)]
        for c in held:
            c.send(post("Content-Length: 3").replace("/echo", "/hold") + "abc")
        later = s.raw().send("POST /later?ms=1000 HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nok")
        body = s.raw().send(post("Content-Length: 100000").encode() + 50000 * b"x")
        stream = s.raw().send(get("/events?n=10000&ms=1"))
        stream.head()
        slow = s.raw()
        slow.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 32768)
        slow.send(get("/big?n=9000000"))
        gate = s.raw().send(post("Content-Length: 9", "X-Gate: open")
                            .replace("/echo", "/gate?ms=1000"))
        zkt.wait_for(lambda: stats(s)["in_progress"] == 9, "all of them")
        s.raw().send(post("Content-Length: 0").replace("/echo", "/quit"))
        zkt.equal(s.wait(), 0, "everything is given back")
        for c in (*held, later, body, gate):
            zkt.ok(c.read_all() == b"", "no answer is half sent")


# ---- addresses ---------------------------------------------------------------------------------

def test_addresses():
    with server("listen=localhost:0") as s:
        ports = {p for _, p in s.addresses}
        zkt.equal(len(ports), 1, "localhost has one port")
        for host, port in s.addresses:
            with zkt.Raw((host, port)) as c:
                r = c.request("GET", "/item/x")
                zkt.equal((r.json["client"], r.json["loopback"]), (host, True),
                          f"the client at {host}")
        port = ports.pop()
        for ip, p, answer in [("127.0.0.1", port, "yes"), ("0.0.0.0", port, "yes"),
                              ("::ffff:127.0.0.1", port, "yes"), ("127.0.0.2", port, "no"),
                              ("127.0.0.1", port ^ 1, "no"), ("192.0.2.1", port, "no"),
                              ("nonsense", port, "no")]:
            zkt.equal(s.request("GET", f"/self/{ip}/{p}").body.decode(), answer,
                      f"is {ip}:{'the port' if p == port else 'another port'} ours?")
        p = zkt.Process(f"listen=127.0.0.1:{port}", argv0=ECHO)
        zkt.ok(p.wait() == 1 and "127.0.0.1" in p.err and "in use" in p.err,
               "an address in use", p.err)
        p = zkt.Process(f"listen=localhost:{port}", argv0=ECHO)
        zkt.ok(p.wait() == 1 and "in use" in p.err, "localhost in use", p.err)
    with server("listen=:0") as s:
        port = s.addresses[0][1]
        for ip, answer in [("127.0.0.1", "yes"), ("127.9.9.9", "yes"), ("::1", "yes"),
                           ("192.0.2.1", "no")]:
            if ip != "::1" or ":" in s.addresses[0][0]:
                with zkt.Raw(("127.0.0.1", port)) as c:
                    zkt.equal(c.request("GET", f"/self/{ip}/{port}").body.decode(), answer,
                              f"all addresses: is {ip} ours?")
    for bad in ("localhost", "127.0.0.1:", "127.0.0.1:65536", "127.0.0.1:-1", "::1:80", ":x",
                "192.0.2.1:0", "no.such.host.invalid:0", "unix:", "unix:" + 200 * "x",
                "unix:/nonexistent/dir/sock"):
        p = zkt.Process(f"listen={bad}", argv0=ECHO)
        zkt.ok(p.wait() == 1 and "error 1303" in p.err, f"{bad[:30]} is refused", p.err)


def test_unix_sockets():
    path = zkt.tmp() + "/http.sock"
    with server("listen=unix:" + path) as s:
        zkt.equal(stat.S_IMODE(os.stat(path).st_mode), 0o600, "only the owner may connect")
        r = s.request("GET", "/item/x")
        zkt.equal((r.status, r.json["client"], r.json["loopback"]), (200, "", True),
                  "a request over a unix socket")
        p = zkt.Process("listen=unix:" + path, argv0=ECHO)
        zkt.ok(p.wait() == 1 and "in use" in p.err, "a socket that is in use stays", p.err)
        zkt.equal(s.request("GET", "/").status, 202, "and works")
        c = s.raw().send("POST /hold HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nok")
        zkt.wait_for(lambda: stats(s)["in_progress"] == 2, "the request")
        c.close()
        s.request("POST", "/release")
    zkt.ok(not os.path.exists(path), "the socket is removed at the end")
    with server("listen=unix:" + path, ends=False) as s:
        s.kill()
    zkt.ok(os.path.exists(path), "a crash leaves it")
    with server("listen=unix:" + path) as s:
        zkt.equal(s.request("GET", "/").status, 202, "and the next server replaces it")
        os.unlink(path)
        zkt.write(path, "mine")
    zkt.ok(os.path.exists(path), "what another one has put there is not removed")
    p = zkt.Process("listen=unix:" + path, argv0=ECHO)
    zkt.ok(p.wait() == 1 and os.path.exists(path), "a file that is no socket stays", p.err)


def test_inherited_sockets():
    with socket.socket() as a, socket.socket(socket.AF_UNIX) as b, socket.socket() as bad:
        path = zkt.tmp() + "/s"
        a.bind(("127.0.0.1", 0))
        a.listen()
        b.bind(path)
        b.listen()
        with server(f"fd={a.fileno()}", f"fd={b.fileno()}",
                    pass_fds=(a.fileno(), b.fileno())) as s:
            zkt.equal(s.addresses, [a.getsockname(), path], "the addresses of inherited sockets")
            for address in s.addresses:
                with zkt.Raw(address) as c:
                    zkt.equal(c.request("GET", "/").status, 202, f"served at {address}")
        zkt.ok(os.path.exists(path), "an inherited unix socket is not ours to remove")
        p = zkt.Process(f"fd={bad.fileno()}", argv0=ECHO, pass_fds=(bad.fileno(),))
        zkt.ok(p.wait() == 1 and "no listening" in p.err, "a socket that does not listen", p.err)
    p = zkt.Process("fd=77", argv0=ECHO)
    zkt.ok(p.wait() == 1 and "descriptor 77" in p.err, "no socket at all", p.err)


def test_reload():
    with server("own_errors=1") as s:
        c = s.raw()
        zkt.equal(c.request("POST", "/echo", 1000 * b"x").status, 200, "before")
        s.request("POST", "/limits?max_body=999&head.max_head=500&head.max_target=100")
        zkt.equal(c.request("POST", "/echo", 1000 * b"x").status, 413, "a new limit")
        zkt.equal(s.raw().send(get("/", "X: " + 600 * "y")).response().status, 431, "of the head")
        zkt.equal(s.raw().send(get("/" + 101 * "x")).response().status, 414, "of the target")
        c = s.raw().send(get("/", "X: " + 20000 * "y")[:300])
        s.request("POST", "/limits?max_body=5000000&head.max_head=60000&head.max_target=8000")
        c.send(get("/", "X: " + 20000 * "y")[300:])
        zkt.equal(c.response().status, 431, "a request that began keeps its limits")
        c = s.raw()
        zkt.equal(c.request("POST", "/echo", 1000000 * b"x").status, 200, "raised again")
        zkt.equal(c.send(get("/", "X: " + 50000 * "y")).response().status, 202, "heads too")


# ---- TLS ---------------------------------------------------------------------------------------

class Tls(zkt.Raw):
    def half_close(self):
        self.sock = self.sock.unwrap()
        return self


def test_tls():
    cert, key = zkt.certificate()
    client = zkt.tls_client(cert)
    with server("listen=127.0.0.1:0", f"tls_cert={cert}", f"tls_key={key}",
                f"head_timeout_ms={int(1500 * zkt.SLOW)}", "max_out=200000") as s:
        address = (s.host, s.port)
        with zkt.Raw(address, tls=client) as c:
            zkt.equal(c.request("GET", "/").status, 202, "a request over TLS")
            data = zkt.rng.randbytes(300000)
            zkt.equal(c.request("POST", "/echo", data).body, data, "300 kB both ways")
            zkt.equal(len(c.request("GET", "/big?n=5000000").body), 5000000, "a large answer")
            c.send(b"".join(get(f"/item/{i}").encode() for i in range(50)))
            zkt.equal([c.response().json["a"] for _ in range(50)], [str(i) for i in range(50)],
                      "50 pipelined requests")
            c.send(post(f"Content-Length: 5").encode() + b"hello", piece=1)
            zkt.equal(c.response().body, b"hello", "a record per byte")
            zkt.equal(c.request("POST", "/later?ms=30", b"ok").body, b"ok", "answered later")
            c.send(post("Transfer-Encoding: chunked").encode() + chunked(data, 3000))
            zkt.equal(c.response().body, data, "300 kB in chunks")
        with zkt.Raw(address, tls=client) as c:
            one_answer(c.send("bad\r\n\r\n"), 400, "a bad request over TLS")
        with zkt.Raw(address, tls=client) as c:
            _, events = c.events("GET", "/events?n=3&ms=5")
            zkt.equal([e["data"] for e in events], ["3", "2", "1"], "a stream over TLS")
        with zkt.Raw(address, tls=client) as c:
            zkt.equal(len(c.send(get("/pour?n=3000000")).response().body), 3000000,
                      "a long stream over TLS")
        with zkt.Raw(address, tls=client) as c:
            c.send(get("/ws", "Connection: Upgrade", "Upgrade: echo"))
            zkt.equal(c.response().status, 500, "its socket cannot be taken")
        with zkt.Raw(address, tls=client) as c:
            c.send(get("/big?n=2000000"))
            time.sleep(0.1)
            zkt.equal(len(c.response().body), 2000000, "a reader that starts late")
        alpn = zkt.tls_client(cert)
        alpn.set_alpn_protocols(["h2", "http/1.1"])
        with zkt.Raw(address, tls=alpn) as c:
            zkt.equal(c.sock.selected_alpn_protocol(), "http/1.1", "ALPN")
            zkt.ok(c.sock.version() in ("TLSv1.2", "TLSv1.3"), "a version in use")
        for name, change in [("only h2", lambda x: x.set_alpn_protocols(["h2"])),
                             ("TLS 1.1", lambda x: setattr(x, "maximum_version",
                                                           ssl.TLSVersion.TLSv1_1))]:
            old = zkt.tls_client(cert)
            with contextlib.suppress(ValueError):
                change(old)
            try:
                zkt.Raw(address, tls=old).close()
                zkt.ok(False, f"{name} is refused")
            except (ssl.SSLError, ConnectionResetError, OSError) as e:
                zkt.ok(True, f"{name} is refused ({type(e).__name__})")
        c = zkt.Raw(address).send(get())
        c.read_all()
        c = zkt.Raw(address).send(b"\x16\x03\x01\x40\x00" + 5000 * b"\0")
        c.read_all()
        start = time.monotonic()
        c = zkt.Raw(address).send(b"\x16\x03\x01")
        zkt.ok(c.closed() and time.monotonic() - start < 5 * zkt.SLOW,
               "a handshake has the time of a head")
        for _ in range(5):
            c = zkt.Raw(address, tls=client).send(get("/big?n=9000000"))
            c.reset()
            c = zkt.Raw(address, tls=client).send(post("Content-Length: 100"))
            c.close()
        with zkt.Raw(address, tls=client) as c:
            zkt.wait_for(lambda: c.request("GET", "/stats").json["connections"] == 1,
                         "all others to go")
            zkt.equal(c.request("GET", "/stats").json["in_progress"], 1, "nothing is left")


def test_tls_too_many_connections():
    cert, key = zkt.certificate()
    old = zkt.tls_client(cert)
    old.maximum_version = ssl.TLSVersion.TLSv1_2
    with server("listen=127.0.0.1:0", f"tls_cert={cert}", f"tls_key={key}",
                f"head_timeout_ms={int(1500 * zkt.SLOW)}", "max_connections=2") as s:
        address = (s.host, s.port)
        open_ones = [zkt.Raw(address, tls=zkt.tls_client(cert)) for _ in range(2)]
        zkt.ok(all(c.request("GET", "/").status == 202 for c in open_ones), "two are served")
        for name, client in [("TLS 1.3", zkt.tls_client(cert)), ("TLS 1.2", old)]:
            one_answer(zkt.Raw(address, tls=client), 503, f"one too many, {name}")
            c = zkt.Raw(address, tls=client)
            with contextlib.suppress(ConnectionResetError, BrokenPipeError):
                c.send(post("Content-Length: 5") + "hello")
            one_answer(c, 503, f"one too many with a request, {name}")
        c = zkt.Raw(address).send(b"\x16\x03\x01")
        zkt.ok(c.closed(), "one too many that never ends its handshake")
        c = zkt.Raw(address).send(b"\x16\x03\x01")
        c.close()
        zkt.ok(all(c.request("GET", "/").status == 202 for c in open_ones), "the others stay")
        open_ones.pop().close()
        zkt.wait_for(lambda: open_ones[0].request("GET", "/stats").json["connections"] == 1,
                     "the refused ones to go")
        with zkt.Raw(address, tls=zkt.tls_client(cert)) as c:
            zkt.equal(c.request("GET", "/").status, 202, "there is room again")
        open_ones.pop().close()


def test_tls_reload():
    cert, key = zkt.certificate()
    new_cert, new_key = zkt.certificate()
    with server("listen=127.0.0.1:0", f"tls_cert={cert}", f"tls_key={key}") as s:
        address = (s.host, s.port)
        old = zkt.Raw(address, tls=zkt.tls_client(cert))
        zkt.equal(old.request("GET", "/").status, 202, "the first certificate")
        zkt.write(cert, "no certificate")
        s.signal(signal.SIGHUP)
        zkt.wait_for(lambda: "reload: cannot use the TLS certificate" in s.err,
                     "the complaint about a bad file")
        os.replace(new_cert, cert)
        os.replace(new_key, key)
        s.signal(signal.SIGHUP)
        zkt.wait_for(lambda: "reloaded" in s.err, "the reload")
        with zkt.Raw(address, tls=zkt.tls_client(cert)) as c:
            zkt.equal(c.request("GET", "/").status, 202, "the second certificate")
        zkt.equal(old.request("GET", "/").status, 202, "old connections go on")
        old.close()
    for name, args in [("no key", [f"tls_cert={cert}"]),
                       ("a key of another", [f"tls_cert={cert}", f"tls_key={zkt.certificate()[1]}"]),
                       ("no file", ["tls_cert=/nonexistent", "tls_key=/nonexistent"])]:
        p = zkt.Process("listen=127.0.0.1:0", *args, argv0=ECHO)
        zkt.ok(p.wait() == 1 and "TLS" in p.err, f"{name}: not started", p.err)


# ---- the end of the buffer ---------------------------------------------------------------------

def test_head_ends_with_the_buffer():
    """The input of a connection has 24 KiB; what waits there behind a request makes a later head end
    with its last byte, or near it. The body still has its place."""
    def head(path, size):
        text = f"POST {path} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nX-Pad: "
        return (text + "p" * (size - len(text) - 4) + "\r\n\r\n").encode()

    body, room = zkt.rng.randbytes(3000), 24576
    with server() as s:
        for left in (0, 1, 2, 7, 100):
            first = head("/later?ms=200", 7500) + chunked(b"a", 1) \
                + head("/later?ms=200", 5000) + chunked(b"b", 1)
            with s.raw() as c:
                c.send(first + head("/echo", room - left - len(first)))
                got = [c.response().body, c.response().body]
                c.send(chunked(body, 1000))
                zkt.equal([*got, c.response().body], [b"a", b"b", body], f"{left} bytes before its end")


# ---- everything at random ----------------------------------------------------------------------

def random_request(n):
    """A sound request and what its answer must hold."""
    body = zkt.rng.randbytes(zkt.rng.choice((0, 3, 500, 9000, 40000)))
    pad = f"X-Pad: {zkt.rng.choice((0, 10, 3000)) * 'p'}\r\n"
    kind = zkt.rng.randrange(6)
    if kind == 0:
        return get(f"/item/{n}", pad.strip()).encode(), lambda r: r.json["a"] == str(n)
    if kind == 1:
        return (f"POST /deny HTTP/1.1\r\nHost: a\r\n{pad}Content-Length: 5\r\n\r\nabcde".encode(),
                lambda r: r.status == 401)
    path = zkt.rng.choice(("/echo", "/later?ms=1", "/gate?ms=1", "/gate"))
    pad += f"X-Gate: {'at once' if path == '/gate' else 'open'}\r\n"
    head = f"POST {path} HTTP/1.1\r\nHost: a\r\n{pad}"
    if kind < 4:
        text = f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body
    else:
        text = f"{head}Transfer-Encoding: chunked\r\n\r\n".encode() \
            + chunked(body, zkt.rng.choice((1000, 17, 5000)) if len(body) < 10000 else 7000)
    return text, lambda r: r.status == 200 and r.body == body


def talk(s, n, seed, failures):
    """One client: n random requests, pipelined, in random pieces."""
    checks, text = zip(*[(c, t) for t, c in (random_request(i) for i in range(n))])
    data = b"".join(text)
    c = s.raw(30)

    def send():
        at = 0
        with contextlib.suppress(OSError):
            while at < len(data):
                step = seed.choice((1, 7, 100, 3000, 20000))
                c.sock.sendall(data[at:at + step])
                at += step

    sender = threading.Thread(target=send)
    sender.start()
    try:
        for i, check in enumerate(checks):
            r = c.response()
            if not check(r):
                failures.append((i, text[i][:300], r))
                return
    except Exception as e:  # noqa: BLE001  whatever it is, it is a failure
        failures.append((repr(e), text[i][:300]))
    finally:
        c.close()
        sender.join()


def test_random_clients():
    with server() as s:
        failures = []
        seeds = [random.Random(zkt.rng.random()) for _ in range(12)]
        threads = [threading.Thread(target=talk, args=(s, 60, seed, failures)) for seed in seeds]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        zkt.ok(not failures, "12 clients with 60 random requests each", failures[:2])
        st = stats(s)
        zkt.equal((st["in_progress"], st["wrong"]), (1, 0), "nothing is left, nothing was wrong")
        zkt.equal(st["dropped"], 0, "nothing was dropped")


def test_random_bytes():
    """Mutated requests: whatever happens, the server goes on."""
    with server("head_timeout_ms=300", "body_timeout_ms=300", "idle_timeout_ms=300") as s:
        for _ in range(300):
            text = bytearray(random_request(1)[0][:3000])
            for _ in range(zkt.rng.choice((1, 1, 2, 5))):
                at = zkt.rng.randrange(len(text))
                what = zkt.rng.randrange(3)
                if what == 0:
                    text[at] = zkt.rng.choice(b"\0\r\n :;,\t\x7f\xff0aZ%")
                elif what == 1:
                    del text[at:at + zkt.rng.randrange(1, 20)]
                else:
                    text[at:at] = zkt.rng.randbytes(zkt.rng.randrange(1, 5))
                if not text:
                    break
            c = s.raw()
            with contextlib.suppress(OSError):
                c.send(bytes(text))
            if zkt.rng.random() < 0.3:
                c.half_close()
            c.reset() if zkt.rng.random() < 0.5 else c.close()
        zkt.wait_for(lambda: stats(s)["connections"] == 1, "all to go")
        zkt.wait_for(lambda: stats(s)["in_progress"] == 1, "all answers to be given up")
        zkt.equal(stats(s)["wrong"], 0, "300 broken requests leave nothing behind")
        served(s, "broken requests")


zkt.main()
