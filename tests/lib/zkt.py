"""The library of the black-box tests in Python: TAP, processes, servers, raw sockets, sinks.

    import zkt

    def test_health():
        with zkt.Server("triggers", "serve", "--db", zkt.tmp() + "/t.db") as s:
            r = s.request("GET", "/health")
            zkt.equal(r.status, 200, "a fresh server is healthy")

    zkt.main()

main() runs the functions named test_* in their order (or those named as arguments), prints one
TAP line per check, and turns an exception into a failed check with its traceback. What a test
started and did not end is ended by main(): processes by their pid, sinks and temporary folders.

Nothing here sleeps for a fixed time: wait_for() polls with a deadline. TEST_SLOW (a factor)
stretches every deadline, for valgrind and slow machines. TEST_SEED repeats a run of zkt.rng.
"""

import base64
import contextlib
import ctypes
import hashlib
import hmac
import json
import os
import pathlib
import random
import re
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import time
import traceback

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "fault"))
from proxy import Fault, Proxy  # noqa: E402,F401  part of what is offered here
from responder import Answer, Request, Responder  # noqa: E402,F401

ZK = os.environ.get("ZK", "zk")
SRC = pathlib.Path(__file__).resolve().parent.parent.parent
SLOW = float(os.environ.get("TEST_SLOW", "1"))
# What is only waited for, and measures nothing, may take longer on a machine that is busy.
PATIENCE = 3
SEED = int(os.environ.get("TEST_SEED") or time.time_ns() % 1000000007)
rng = random.Random(SEED)

_count = 0
_failed = 0
_running = []
_folders = []


# ---- TAP -------------------------------------------------------------------------------------

def note(text):
    for line in str(text).splitlines():
        print("# " + line, flush=True)


def ok(condition, name, *details):
    """One check; details are shown when it fails. Returns whether it held."""
    global _count, _failed
    _count += 1
    _failed += not condition
    print(f"{'ok' if condition else 'not ok'} {_count} - {name}", flush=True)
    if not condition:
        caller = next((f for f in reversed(traceback.extract_stack())
                       if f.filename != __file__), None)
        if caller:
            note(f"at {os.path.basename(caller.filename)}:{caller.lineno}")
        for d in details:
            note(d() if callable(d) else d)
    return bool(condition)


def equal(got, expected, name, *details):
    return ok(got == expected, name, f"got      {got!r}", f"expected {expected!r}", *details)


def matches(pattern, text, name):
    return ok(re.search(pattern, text) is not None, name, f"text {text!r}", f"lacks {pattern!r}")


def contains(part, whole, name):
    return ok(part in whole, name, f"{part!r} is not in", repr(whole))


def skip(name, why):
    global _count
    _count += 1
    print(f"ok {_count} - {name} # SKIP {why}", flush=True)


class Failure(Exception):
    """Ends the test function; main() reports it as a failed check."""


def need(condition, what):
    """For what the rest of a test cannot do without."""
    if not condition:
        raise Failure(what)
    return condition


# ---- time ------------------------------------------------------------------------------------

def wait_for(condition, what, timeout_s=10):
    """Polls until condition() is true; returns its value or raises Failure."""
    end = time.monotonic() + timeout_s * SLOW * PATIENCE
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() >= end:
            raise Failure(f"waited {timeout_s * SLOW * PATIENCE:g} s for {what}")
        time.sleep(0.005)


def tmp():
    """A fresh folder, removed after the test."""
    folder = tempfile.mkdtemp(prefix="t")
    _folders.append(folder)
    return folder


class SmallDisk:
    """A file system of `size` ("3m") at a fresh folder, until the end of the `with` block; `folder`
    is None where mounting is not allowed."""

    def __init__(self, size):
        self.folder = tmp()
        libc = ctypes.CDLL(None, use_errno=True)
        if os.geteuid() or libc.mount(b"none", self.folder.encode(), b"tmpfs", 0,
                                      f"size={size}".encode()):
            self.folder = None

    def grow(self, size):
        subprocess.run(["mount", "-o", f"remount,size={size}", self.folder], check=True)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        if self.folder:
            subprocess.run(["umount", "-l", self.folder], check=False)


def write(path, data, mode=0o600):
    """Writes text or bytes; returns the path as text."""
    path = pathlib.Path(path)
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    path.chmod(mode)
    return str(path)


# ---- processes -------------------------------------------------------------------------------

def _environment(extra):
    """A clean one: no ZK_* and TEST_* of the caller."""
    env = {k: v for k, v in os.environ.items() if not k.startswith(("ZK_", "TEST_"))}
    env.update({k: v for k, v in (extra or {}).items() if v is not None})
    for k, v in (extra or {}).items():
        if v is None:
            env.pop(k, None)
    return env


class Process:
    """`zk ARGS...` in the background (or another program, with argv0). stdout and stderr go to
    files, so that nothing blocks; `stdin` is bytes, a file, or zkt.PIPE to write to p.stdin."""

    def __init__(self, *args, stdin=b"", env=None, cwd=None, argv0=None, pass_fds=()):
        self.args = [argv0 or ZK, *map(str, args)]
        self._out = tempfile.TemporaryFile()
        self._err = tempfile.TemporaryFile()
        feed = stdin
        if isinstance(stdin, bytes):
            feed = tempfile.TemporaryFile()
            feed.write(stdin)
            feed.seek(0)
        self._p = subprocess.Popen(
            self.args, stdin=feed, stdout=self._out, stderr=self._err,
            env=_environment(env), cwd=cwd, pass_fds=pass_fds, start_new_session=True)
        if isinstance(stdin, bytes):
            feed.close()
        self.stdin = self._p.stdin
        self.pid = self._p.pid
        _running.append(self)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.stop()

    @staticmethod
    def _text(file):
        return os.pread(file.fileno(), os.fstat(file.fileno()).st_size, 0)

    @property
    def out_bytes(self):
        return self._text(self._out)

    @property
    def out(self):
        return self.out_bytes.decode("utf-8", "backslashreplace")

    @property
    def err(self):
        return self._text(self._err).decode("utf-8", "backslashreplace")

    @property
    def status(self):
        """The exit status; None while it runs, 128 + n after signal n, as a shell has it."""
        code = self._p.poll()
        return 128 - code if code is not None and code < 0 else code

    def wait(self, timeout_s=30):
        """Waits for its end; returns the exit status."""
        try:
            self._p.wait(timeout_s * SLOW)
        except subprocess.TimeoutExpired as e:
            raise Failure(f"{' '.join(self.args)} still runs after {timeout_s} s\n{self.err}") \
                from e
        return self.status

    def signal(self, number):
        if self._p.poll() is None:
            os.kill(self.pid, number)

    def stop(self, timeout_s=20):
        """TERM and, when that does not end it in time, KILL (a failed check). The status."""
        if self._p.poll() is None:
            self.signal(signal.SIGTERM)
            try:
                self._p.wait(timeout_s * SLOW)
            except subprocess.TimeoutExpired:
                ok(False, f"{self.args[1:3]} ends within {timeout_s} s of TERM", self.err)
                self.kill()
        self._done()
        return self.status

    def kill(self):
        """KILL, as a crash would be; waits until it is gone."""
        if self._p.poll() is None:
            self._p.kill()
        self._p.wait()
        self._done()

    def _done(self):
        if self.stdin:
            with contextlib.suppress(OSError):
                self.stdin.close()
        if self in _running:
            _running.remove(self)

    # What the kernel knows about it.

    def _proc(self, name):
        return pathlib.Path(f"/proc/{self.pid}/{name}")

    def rss_bytes(self):
        return int(re.search(r"VmRSS:\s+(\d+) kB", self._proc("status").read_text())[1]) * 1024

    def cpu_s(self):
        fields = self._proc("stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def open_fds(self):
        return len(os.listdir(self._proc("fd")))


PIPE = subprocess.PIPE


def zk(*args, stdin=b"", env=None, cwd=None, timeout_s=60):
    """Runs zk to its end: .status .out .err .out_bytes, and .json, .rows of stdout."""
    with Process(*args, stdin=stdin, env=env, cwd=cwd) as p:
        status = p.wait(timeout_s)
        return Finished(status, p.out_bytes, p.err)


class Finished:
    def __init__(self, status, out_bytes, err):
        self.status = status
        self.out_bytes = out_bytes
        self.out = out_bytes.decode("utf-8", "backslashreplace")
        self.err = err

    @property
    def json(self):
        return json.loads(self.out)

    @property
    def rows(self):
        """stdout as NDJSON."""
        return [json.loads(line) for line in self.out.splitlines()]

    def __repr__(self):
        return f"status {self.status}\nstdout {self.out!r}\nstderr {self.err}"


def _addresses(value):
    """Every address in a ready document: (host, port), or a path for a unix socket."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        return [a for v in value for a in _addresses(v)]
    if isinstance(value, str):
        m = re.fullmatch(r"(?:\w+://)?(\[[^]]+\]|[^/:\[\]]+):(\d+)(?:/.*)?", value)
        if m and int(m[2]) > 0:
            return [(m[1].strip("[]"), int(m[2]))]
        if value.startswith("unix:"):
            return [value[len("unix:"):]]
    return []


class Server(Process):
    """`zk ARGS... --ready-file F`, started and ready: .ready is the document of the ready file,
    .host and .port (or .path of a unix socket) its first address, .url the root."""

    def __init__(self, *args, timeout_s=20, **kwargs):
        self.ready_file = os.path.join(tmp(), "ready")
        super().__init__(*args, "--ready-file", self.ready_file, **kwargs)
        try:
            wait_for(self._is_ready, f"{' '.join(map(str, args))} to be ready", timeout_s)
        except Failure as e:
            err = self.err
            self.kill()
            raise Failure(f"{e}\nstatus {self.status}, stderr:\n{err}") from e
        self.ready = json.loads(pathlib.Path(self.ready_file).read_text("utf-8"))
        self.addresses = _addresses(self.ready)
        need(self.addresses, f"no address in the ready file: {self.ready}")
        self.host = self.port = self.path = None
        if isinstance(self.addresses[0], str):
            self.path = self.addresses[0]
        else:
            self.host, self.port = self.addresses[0]
            host = f"[{self.host}]" if ":" in self.host else self.host
            self.url = f"http://{host}:{self.port}"

    def _is_ready(self):
        if self.status is not None:
            raise Failure("it ended")
        return os.path.exists(self.ready_file)

    def raw(self, timeout_s=10):
        """A new connection."""
        return Raw(self.path or (self.host, self.port), timeout_s=timeout_s)

    def request(self, method, target, body=None, headers=None, timeout_s=30):
        """One request on a connection of its own. A body that is not bytes is sent as JSON."""
        with self.raw(timeout_s) as c:
            return c.request(method, target, body, headers)


# ---- HTTP over raw sockets ---------------------------------------------------------------------

class Response:
    def __init__(self, status, reason, headers, body=b""):
        self.status = status
        self.reason = reason
        self.headers = headers    # list of (name, value), as sent
        self.body = body

    def header(self, name, default=None):
        values = [v for k, v in self.headers if k.lower() == name.lower()]
        return ", ".join(values) if values else default

    @property
    def json(self):
        return json.loads(self.body)

    def __repr__(self):
        return f"<{self.status} {self.headers} {self.body[:2000]!r}>"


class Raw:
    """A socket that speaks exactly the bytes it is told, and reads answers strictly: a sloppy
    head, a wrong length or a second answer where one is due is a Failure."""

    def __init__(self, address, timeout_s=10, tls=None):
        if isinstance(address, str):
            self.sock = socket.socket(socket.AF_UNIX)
            self.sock.settimeout(timeout_s * SLOW)
            self.sock.connect(address)
            self.host = "localhost"
        else:
            self.sock = socket.create_connection(address, timeout=timeout_s * SLOW)
            self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            host = f"[{address[0]}]" if ":" in address[0] else address[0]
            self.host = f"{host}:{address[1]}"
        if tls:
            self.sock = tls.wrap_socket(self.sock, server_hostname=address[0])
        self.buffer = b""

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()

    def close(self):
        self.sock.close()

    def reset(self):
        """Ends with RST instead of FIN."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self.sock.close()

    def send(self, data, piece=0):
        """Sends text or bytes, in pieces of so many bytes when given."""
        data = data.encode("latin-1") if isinstance(data, str) else data
        for i in range(0, len(data), piece or max(len(data), 1)):
            self.sock.sendall(data[i:i + piece] if piece else data)
        return self

    def half_close(self):
        self.sock.shutdown(socket.SHUT_WR)
        return self

    def _more(self):
        try:
            data = self.sock.recv(65536)
        except TimeoutError as e:
            raise Failure(f"no answer in time; so far {self.buffer[:500]!r}") from e
        if not data:
            raise EOFError
        self.buffer += data

    def read_until(self, mark):
        while mark not in self.buffer:
            self._more()
        text, _, self.buffer = self.buffer.partition(mark)
        return text

    def read_exactly(self, n):
        while len(self.buffer) < n:
            self._more()
        data, self.buffer = self.buffer[:n], self.buffer[n:]
        return data

    def read_line(self):
        return self.read_until(b"\n").rstrip(b"\r").decode()

    def read_all(self):
        """Everything until the peer closes."""
        with contextlib.suppress(EOFError, ConnectionResetError):
            while True:
                self._more()
        data, self.buffer = self.buffer, b""
        return data

    def closed(self, timeout_s=10):
        """Whether the peer ends the connection in time without sending anything more."""
        self.sock.settimeout(timeout_s * SLOW)
        try:
            return not self.buffer and self.sock.recv(1) == b""
        except ConnectionResetError:
            return not self.buffer
        except TimeoutError:
            return False

    def silent(self, timeout_s=0.2):
        """Whether the peer sends nothing and closes nothing for that long."""
        if self.buffer:
            return False
        self.sock.settimeout(timeout_s)
        try:
            self.buffer += self.sock.recv(65536)
            return False
        except TimeoutError:
            return True
        finally:
            self.sock.settimeout(10 * SLOW)

    def head(self):
        """Reads the head of an answer; .body is empty."""
        text = self.read_until(b"\r\n\r\n").decode("latin-1")
        line, *fields = text.split("\r\n")
        m = re.fullmatch(r"HTTP/1\.1 (\d{3}) ([^\r\n]*)", line)
        need(m, f"bad status line {line!r}")
        headers = []
        for f in fields:
            h = re.fullmatch(r"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*(.*?)[ \t]*", f)
            need(h, f"bad header line {f!r}")
            headers.append((h[1], h[2]))
        return Response(int(m[1]), m[2], headers)

    def chunk(self):
        """The next chunk of a chunked body; b"" at its end."""
        size = int(self.read_until(b"\r\n").split(b";")[0], 16)
        data = self.read_exactly(size)
        need(self.read_exactly(2) == b"\r\n", "chunk without its end")
        return data

    def response(self, method="GET"):
        """Reads one whole answer."""
        r = self.head()
        while 100 <= r.status < 200:
            r = self.head()
        lengths = [v for k, v in r.headers if k.lower() == "content-length"]
        chunked = (r.header("transfer-encoding") or "").lower() == "chunked"
        need(len(lengths) <= 1, f"{len(lengths)} content-lengths")
        need(not (chunked and lengths), "both a length and chunks")
        if method == "HEAD" or r.status in (204, 304):
            return r
        if chunked:
            r.body = b"".join(iter(self.chunk, b""))
        elif lengths:
            r.body = self.read_exactly(int(lengths[0]))
        else:
            r.body = self.read_all()
        return r

    def request(self, method, target, body=None, headers=None):
        """Sends a sound request and reads its answer; the connection stays open."""
        fields = {"Host": self.host}
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
        if body is not None:
            fields["Content-Type"] = "application/json"
            fields["Content-Length"] = str(len(body))
        fields.update(headers or {})
        head = f"{method} {target} HTTP/1.1\r\n"
        head += "".join(f"{k}: {v}\r\n" for k, v in fields.items() if v is not None)
        self.send(head.encode("utf-8") + b"\r\n" + (body or b""))
        return self.response(method)

    def events(self, method, target, headers=None):
        """Opens a stream of server-sent events; (response head, iterator of dictionaries with
        event, id, data and comment). The iterator ends with the stream."""
        fields = {"Host": self.host, "Accept": "text/event-stream", **(headers or {})}
        self.send(f"{method} {target} HTTP/1.1\r\n"
                  + "".join(f"{k}: {v}\r\n" for k, v in fields.items()) + "\r\n")
        r = self.head()
        return r, self._events((r.header("transfer-encoding") or "").lower() == "chunked")

    def _events(self, chunked):
        text = b""
        while True:
            while b"\n\n" not in text:
                try:
                    if chunked:
                        piece = self.chunk()
                    else:
                        if not self.buffer:
                            self._more()
                        piece, self.buffer = self.buffer, b""
                except EOFError:
                    piece = b""
                if not piece:
                    return
                text += piece
            block, _, text = text.partition(b"\n\n")
            event = {}
            for line in block.decode().split("\n"):
                name, _, value = line.partition(":")
                name, value = name or "comment", value.removeprefix(" ")
                event[name] = event[name] + "\n" + value if name in event else value
            yield event


def Sink(script=(), default=200, **kwargs):
    """A webhook receiver that main() ends: see tests/fault/responder.py."""
    sink = Responder(script, default, **kwargs)
    _running.append(sink)
    return sink


def webhook_signature(secret, message_id, timestamp, body):
    """The v1 signature of Standard Webhooks 1.0; secret as `whsec_...`."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    text = f"{message_id}.{timestamp}.".encode() + body
    return "v1," + base64.b64encode(hmac.new(key, text, hashlib.sha256).digest()).decode()


def peer_verifies(secret, request):
    """Whether the reference implementation (npm, tests/peer) accepts a recorded webhook; the
    reason for a refusal goes to a note."""
    tool = SRC / "tests/peer/tools/standardwebhooks.mjs"
    line = json.dumps({"secret": secret, "headers": {k.lower(): v for k, v in request.headers},
                       "body": base64.b64encode(request.body).decode()})
    p = subprocess.run(["node", tool], input=line + "\n", capture_output=True, text=True,
                       check=False)
    need(p.returncode == 0, f"standardwebhooks.mjs failed: {p.stderr}")
    answer = json.loads(p.stdout)
    if not answer["ok"]:
        note(f"standardwebhooks: {answer['error']}")
    return answer["ok"]


def certificate(folder=None, name="localhost"):
    """A self-signed certificate for the name and 127.0.0.1: (cert path, key path)."""
    folder = folder or tmp()
    cert, key = os.path.join(folder, "cert.pem"), os.path.join(folder, "key.pem")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
         "-nodes", "-days", "2", "-subj", f"/CN={name}", "-addext",
         f"subjectAltName=DNS:{name},IP:127.0.0.1", "-keyout", key, "-out", cert],
        check=True, stderr=subprocess.DEVNULL)
    return cert, key


def tls_client(cert):
    """A TLS context that trusts exactly this certificate."""
    return ssl.create_default_context(cafile=cert)


def metrics(text):
    """Prometheus text as {'name{label="v"}': value}."""
    values = {}
    for line in text.splitlines():
        if line and not line.startswith("#"):
            name, _, value = line.rpartition(" ")
            values[name] = float(value)
    return values


# ---- main ------------------------------------------------------------------------------------

def clean_up():
    for thing in list(_running):
        if isinstance(thing, Process):
            thing.kill()
        else:
            thing.stop()
    _running.clear()
    while _folders:
        shutil.rmtree(_folders.pop(), ignore_errors=True)


def main():
    """Runs the test_* functions of the program and exits."""
    # A TERM (timeout of the test runner) must not leave servers behind.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    module = sys.modules["__main__"]
    tests = {name: f for name, f in vars(module).items()
             if name.startswith("test_") and callable(f)}
    wanted = sys.argv[1:] or list(tests)
    note(f"TEST_SEED={SEED}")
    for name in wanted:
        before = _count
        try:
            tests[name]()
            if _count == before:
                ok(False, name, "the test checked nothing")
        except Exception as e:
            ok(False, name, traceback.format_exc() if not isinstance(e, Failure) else str(e),
               *([] if not isinstance(e, Failure) else
                 [f"in line {e.__traceback__.tb_next.tb_lineno}"]))
            for p in _running:
                if isinstance(p, Process):
                    note(f"stderr of {' '.join(p.args)}:")
                    note(p.err[-4000:])
        finally:
            clean_up()
    print(f"1..{_count}", flush=True)
    sys.exit(1 if _failed or not _count else 0)
