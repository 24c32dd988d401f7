"""A scripted HTTP/1.1 server: gives the answers that no real peer gives on request, and records
every request. Also the webhook sink of the tests.

In a test (Python):

    from responder import Responder, Answer

    with Responder([500, Answer(429, headers=[("Retry-After", "1")]), 200]) as r:
        ...POST to r.url + "/hook"...
        r.wait(3)                    # polls until three requests have come
        r.requests[0].header("webhook-id"), r.requests[0].body, r.requests[0].at

Each request takes the next answer of the script; after the last one `default` (200) serves.
`routes` maps a path to a script of its own. An answer is

    200                      that status, empty body
    b"HTTP/1.1 200 OK..."    exactly these bytes, then the connection is closed
    Answer(status, headers=[], body=b"", ...)   see below
    [step, ...]              see STEPS
    callable(request)        returns one of those

STEPS, done in order:
    b"bytes"                 send them
    0.5                      wait so many seconds
    callable()               call it: to wait for the test, or to tell it
    ("drip", data, n, s)     send n bytes at a time, s seconds apart
    ("repeat", data, times)  send data again and again, or until the peer closes
    "hang"                   keep the connection open and silent until the peer or stop() ends it
    "reset"                  end with RST
    "close"                  end with FIN
    "next"                   go on with the next request of this connection

A chunked or length-delimited body is read before the answer starts, unless the answer is an
Answer with early=True.  A request that could not be read has .error set. With tls=(CERT, KEY)
the server speaks TLS.

From another language:

    python3 responder.py [--script '[500, {"status": 429, "headers": [["Retry-After", "1"]]}]']
                         [--default 204] [--tls CERT KEY]

prints {"port": N}, then one line of JSON per request (body in base64), and ends with its stdin.
In JSON a step with bytes is {"send": "text"}, and {"drip": ["text", n, s]}, {"repeat": [...]}.
"""

import argparse
import base64
import contextlib
import dataclasses
import http
import json
import socket
import ssl
import struct
import sys
import threading
import time

RESET = struct.pack("ii", 1, 0)
MAX_HEAD = 256 * 1024
MAX_BODY = 64 * 1024 * 1024


@dataclasses.dataclass
class Answer:
    status: int = 200
    headers: list = dataclasses.field(default_factory=list)
    body: bytes = b""
    reason: str = None
    delay_s: float = 0
    chunked: bool = False
    close: bool = False
    early: bool = False

    def steps(self):
        body = self.body.encode() if isinstance(self.body, str) else self.body
        reason = self.reason
        if reason is None:
            try:
                reason = http.HTTPStatus(self.status).phrase
            except ValueError:
                reason = "Odd"
        lines = [f"HTTP/1.1 {self.status} {reason}"]
        lines += [f"{k}: {v}" for k, v in self.headers]
        names = {k.lower() for k, _ in self.headers}
        if self.chunked:
            lines.append("Transfer-Encoding: chunked")
            body = (b"%x\r\n%s\r\n" % (len(body), body) if body else b"") + b"0\r\n\r\n"
        elif "content-length" not in names and self.status not in (204, 304):
            lines.append(f"Content-Length: {len(body)}")
        if self.close and "connection" not in names:
            lines.append("Connection: close")
        head = ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")
        return [*([self.delay_s] if self.delay_s else []), head + body,
                "close" if self.close else "next"]


@dataclasses.dataclass
class Request:
    method: str = ""
    target: str = ""
    headers: list = dataclasses.field(default_factory=list)
    body: bytes = b""
    at: float = 0          # time.monotonic() when the head was complete
    wall: float = 0        # time.time() of the same moment
    connection: int = 0    # number of the connection it came on
    error: str = None
    raw: bytes = b""       # the head as it came

    @property
    def path(self):
        return self.target.split("?", 1)[0]

    def header(self, name, default=None):
        """The value of a header that occurs once; several are joined by ', '."""
        values = [v for k, v in self.headers if k.lower() == name.lower()]
        return ", ".join(values) if values else default

    def json(self):
        return json.loads(self.body)


class _Reader:
    """Reads requests from one connection."""

    def __init__(self, sock):
        self._sock = sock
        self._buffer = b""

    def _more(self):
        data = self._sock.recv(65536)
        if not data:
            raise EOFError
        self._buffer += data

    def _until(self, mark, limit):
        while mark not in self._buffer:
            if len(self._buffer) > limit:
                raise ValueError("head too large")
            self._more()
        text, _, self._buffer = self._buffer.partition(mark)
        return text

    def _exactly(self, n):
        if n > MAX_BODY:
            raise ValueError("body too large")
        while len(self._buffer) < n:
            self._more()
        data, self._buffer = self._buffer[:n], self._buffer[n:]
        return data

    def head(self):
        """The next request without its body; None at an orderly end between requests."""
        try:
            text = self._until(b"\r\n\r\n", MAX_HEAD).decode("latin-1")
        except EOFError:
            if self._buffer:
                raise
            return None
        line, *fields = text.split("\r\n")
        method, target, version = line.split(" ")
        if version not in ("HTTP/1.1", "HTTP/1.0"):
            raise ValueError("version " + version)
        headers = []
        for f in fields:
            name, colon, value = f.partition(":")
            if not colon:
                raise ValueError("header without a colon")
            headers.append((name, value.strip(" \t")))
        return Request(method, target, headers, at=time.monotonic(), wall=time.time(),
                       raw=text.encode("latin-1") + b"\r\n\r\n")

    def body(self, request):
        if (request.header("expect") or "").lower() == "100-continue":
            self._sock.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        if (request.header("transfer-encoding") or "").lower() == "chunked":
            parts = []
            while True:
                size = int(self._until(b"\r\n", 1024).split(b";")[0], 16)
                if size == 0:
                    break
                parts.append(self._exactly(size))
                if self._exactly(2) != b"\r\n":
                    raise ValueError("chunk without its end")
            while self._until(b"\r\n", MAX_HEAD):
                pass
            return b"".join(parts)
        return self._exactly(int(request.header("content-length") or 0))


class Responder:
    """Listens on a free loopback port until the end of the `with` block, or stop()."""

    def __init__(self, script=(), default=200, routes=None, tls=None, host="127.0.0.1"):
        self.script = list(script)
        self.default = default
        self.routes = {path: list(s) for path, s in (routes or {}).items()}
        self.on_request = None      # callable(request), in the connection's thread
        self._requests = []
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._open = set()
        self.connections = 0
        self._tls = None
        if tls:
            self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self._tls.load_cert_chain(*tls)
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._listener = socket.create_server((host, 0), family=family, backlog=256)
        self.host = host
        self.port = self._listener.getsockname()[1]
        name = f"[{host}]" if ":" in host else host
        self.url = f"{'https' if tls else 'http'}://{name}:{self.port}"
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.stop()

    @property
    def requests(self):
        with self._lock:
            return list(self._requests)

    def clear(self):
        """Forgets the requests so far."""
        with self._lock:
            self._requests.clear()

    def wait(self, n, timeout_s=10):
        """Waits for n requests to have come; whether they did."""
        end = time.monotonic() + timeout_s
        while time.monotonic() < end:
            with self._lock:
                if len(self._requests) >= n:
                    return True
            time.sleep(0.005)
        return False

    def stop(self):
        self._over.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()
        with self._lock:
            still = list(self._open)
        for s in still:
            with contextlib.suppress(OSError):
                s.shutdown(socket.SHUT_RDWR)

    def _accept(self):
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._serve, args=(sock, self.connections), daemon=True).start()

    def _serve(self, sock, number):
        try:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self._tls:
                sock = self._tls.wrap_socket(sock, server_side=True)
            with self._lock:
                self._open.add(sock)
            reader = _Reader(sock)
            while not self._over.is_set() and self._one(sock, reader, number):
                pass
        except (OSError, EOFError):
            pass
        finally:
            with self._lock:
                self._open.discard(sock)
            sock.close()

    def _one(self, sock, reader, number):
        """One request and its answer; whether the connection goes on."""
        request = None
        try:
            request = reader.head()
            if request is None:
                return False
            request.connection = number
            answer = self._answer(request)
            if not (isinstance(answer, Answer) and answer.early):
                request.body = reader.body(request)
        except (ValueError, EOFError) as e:
            request = request or Request(at=time.monotonic(), wall=time.time())
            request.connection = number
            request.error = str(e) or "ended early"
            self._keep(request)
            return False
        if callable(answer):
            answer = answer(request)
        self._keep(request)
        return self._play(sock, answer)

    def _answer(self, request):
        with self._lock:
            script = self.routes.get(request.path, self.script)
            return script.pop(0) if script else self.default

    def _keep(self, request):
        with self._lock:
            self._requests.append(request)
        if self.on_request:
            self.on_request(request)

    def _play(self, sock, answer):
        if isinstance(answer, int):
            answer = Answer(answer)
        if isinstance(answer, Answer):
            answer = answer.steps()
        elif isinstance(answer, bytes):
            answer = [answer, "close"]
        for step in answer:
            if isinstance(step, (bytes, bytearray)):
                sock.sendall(step)
            elif isinstance(step, (int, float)):
                if self._over.wait(step):
                    return False
            elif callable(step):
                step()
            elif step == "next":
                return True
            elif step == "close":
                return self._close(sock)
            elif step == "reset":
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
                return False
            elif step == "hang":
                self._hang(sock)
                return False
            elif step[0] == "drip":
                _, data, n, pause_s = step
                for i in range(0, len(data), n):
                    sock.sendall(data[i:i + n])
                    if self._over.wait(pause_s):
                        return False
            elif step[0] == "repeat":
                for _ in range(step[2]):
                    sock.sendall(step[1])
            else:
                raise ValueError(f"unknown step {step!r}")
        return False

    def _close(self, sock):
        """Sends FIN and reads what still comes, so that the close is no reset."""
        sock.shutdown(socket.SHUT_WR)
        self._hang(sock)
        return False

    def _hang(self, sock):
        sock.settimeout(0.05)
        while not self._over.is_set():
            try:
                if not sock.recv(65536):
                    return
            except TimeoutError:
                continue


def _from_json(value):
    """An answer of the command line's script."""
    if isinstance(value, dict):
        if "body" in value:
            value["body"] = value["body"].encode()
        return Answer(**value)
    if isinstance(value, list):
        steps = []
        for step in value:
            if isinstance(step, dict):
                (kind, args), = step.items()
                if kind == "send":
                    step = args.encode()
                else:
                    step = (kind, args[0].encode(), *args[1:])
            steps.append(step)
        return steps
    return value


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--script", default="[]", metavar="JSON")
    parser.add_argument("--default", default="200", metavar="JSON")
    parser.add_argument("--tls", nargs=2, metavar=("CERT", "KEY"))
    args = parser.parse_args()
    script = [_from_json(v) for v in json.loads(args.script)]
    default = _from_json(json.loads(args.default))
    lock = threading.Lock()

    def show(q):
        with lock:
            print(json.dumps({
                "method": q.method, "target": q.target, "headers": q.headers,
                "body": base64.b64encode(q.body).decode(), "connection": q.connection,
                "wall": q.wall, "error": q.error}), flush=True)

    with Responder(script, default, tls=args.tls) as r:
        r.on_request = show
        print(json.dumps({"port": r.port, "url": r.url}), flush=True)
        sys.stdin.buffer.read()


if __name__ == "__main__":
    main()
