"""`zk procwire worker` against hostile and dying parents: every row of specs/procwire.md §16.  TAP."""

import contextlib
import hashlib
import json
import os
import pathlib
import signal
import socket
import stat
import struct
import subprocess
import time

import zkt

YAML = str(zkt.SRC / "tests/peer/worker.yaml")
HEAD = struct.Struct(">HBII")
PING = b'{"jsonrpc":"2.0","method":"$ping"}\n'
SHUTDOWN = b'{"jsonrpc":"2.0","method":"$shutdown","params":{}}\n'


def frame(method, flags, request, payload=b""):
    return HEAD.pack(method, flags, request, len(payload)) + payload


class Worker:
    """A worker with stdin and stdout on socket pairs, as Node has it."""

    def __init__(self, *args, env=None, umask=None, token=None, wait=True):
        self.dir = zkt.tmp()
        self.control, theirs = socket.socketpair()
        self.control.settimeout(20 * zkt.SLOW)
        e = {k: v for k, v in os.environ.items() if not k.startswith(("ZK_", "TEST_", "PROCWIRE"))}
        e.update({"XDG_RUNTIME_DIR": self.dir, "PROCWIRE_MODULE_NAME": "t"})
        e.update(env or {})
        if token:
            e["PROCWIRE_TOKEN"] = token
        self.p = subprocess.Popen(
            [zkt.ZK, "procwire", "worker", *(args or ["--config", YAML])], stdin=theirs, stdout=theirs,
            env=e, preexec_fn=(lambda: os.umask(umask)) if umask is not None else None)
        theirs.close()
        self.buffer = b""
        self.lines = b""
        self.sock = None
        if wait:
            self.init = self.line()
            zkt.need(self.init and self.init["method"] == "$init", f"no $init: {self.init}")
            params = self.init["params"]
            self.path = params["pipe"]
            self.ids = {n: m["id"] for n, m in params["schema"]["methods"].items()}

    def line(self):
        while b"\n" not in self.lines:
            data = self.control.recv(65536)
            if not data:
                return None
            self.lines += data
        one, _, self.lines = self.lines.partition(b"\n")
        return json.loads(one)

    def connect(self, adopt=True):
        s = socket.socket(socket.AF_UNIX)
        s.settimeout(20 * zkt.SLOW)
        s.connect(self.path)
        if adopt:
            self.sock = s
        return s

    def send(self, data):
        self.sock.sendall(data)

    def read(self):
        """The next frame: (method, flags, request, payload); None at the end."""
        try:
            while len(self.buffer) < 11 or len(self.buffer) < 11 + HEAD.unpack(self.buffer[:11])[3]:
                data = self.sock.recv(1 << 20)
                if not data:
                    return None
                self.buffer += data
        except ConnectionResetError:
            return None
        method, flags, request, n = HEAD.unpack(self.buffer[:11])
        payload, self.buffer = self.buffer[11:11 + n], self.buffer[11 + n:]
        return method, flags, request, payload

    def call(self, name, request, payload):
        self.send(frame(self.ids[name], 0, request, payload))
        return self.read()

    def ping(self):
        self.control.sendall(PING)
        return self.line()

    def wait(self, timeout_s=10):
        """The exit status."""
        try:
            return self.p.wait(timeout_s * zkt.SLOW)
        except subprocess.TimeoutExpired as e:
            raise zkt.Failure("the worker does not end") from e

    def files(self):
        return [f for f in os.listdir(self.dir) if f.startswith("procwire-")]

    def rss_kb(self, key="VmRSS"):
        for line in pathlib.Path(f"/proc/{self.p.pid}/status").read_text().splitlines():
            if line.startswith(key + ":"):
                return int(line.split()[1])
        return 0

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        if self.sock:
            self.sock.close()
        self.control.close()
        if self.p.poll() is None:
            try:
                self.p.wait(10 * zkt.SLOW)
            except subprocess.TimeoutExpired:
                self.p.kill()
                self.p.wait()


def alive(tag):
    """Processes with the tag in their command line."""
    found = []
    for p in os.listdir("/proc"):
        if p.isdigit():
            with contextlib.suppress(OSError):
                if tag.encode() in pathlib.Path(f"/proc/{p}/cmdline").read_bytes().split(b"\0"):
                    found.append(int(p))
    return found


def runs(pid):
    """False also of a zombie, which waits for a process that is not ours."""
    with contextlib.suppress(OSError):
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] not in "ZX"
    return False


def ended(w, status, what, timeout_s=10):
    zkt.equal(w.wait(timeout_s), status, what)
    zkt.equal(w.files(), [], what + ": no socket file is left")


NIL = b"\xc0"


def test_golden_frames():
    with Worker("--handle", "a,codec=raw=echo", "--expose", "echo") as w:
        w.connect()
        zkt.equal(w.call("echo", 1, bytes.fromhex("81a568656c6c6fa5776f726c64")),
                  (w.ids["echo"], 3, 1, bytes.fromhex("81a568656c6c6fa5776f726c64")), "vectors 1 and 2")
        for request in (2, 0xffffffff, 0x80000000):
            zkt.equal(w.call("echo", request, NIL), (w.ids["echo"], 3, request, NIL), f"id {request}")
        w.send(bytes.fromhex("0063000000002a00000001c0"))
        zkt.equal(w.read(), (0x63, 7, 42, bytes.fromhex("b5556e6b6e6f776e206d6574686f642049443a203939")),
                  "vectors 25 and 26")
        zkt.equal(w.call("a", 10, bytes.fromhex("000102ff")), (w.ids["a"], 3, 10, b"\0\1\2\xff"),
                  "vectors 19 and 20")
        zkt.equal(w.call("a", 11, b""), (w.ids["a"], 3, 11, b""), "vector 21")
        zkt.equal(w.call("echo", 12, b"")[1], 7, "an empty msgpack payload is an error")
        w.control.sendall(SHUTDOWN)
        ended(w, 0, "$shutdown")


def test_kinds_on_the_wire():
    with Worker() as w:
        w.connect()
        zkt.equal(w.call("enqueue", 4, b"\x81\xa1a\x01"), (w.ids["enqueue"], 0x23, 4, NIL), "vector 11")
        zkt.equal(w.call("sink", 5, b"abc"), (w.ids["sink"], 0x23, 5, b""), "a raw ack is empty")
        w.send(frame(w.ids["count"], 0, 3, b"\x81\xa1n\x02"))
        zkt.equal([w.read() for _ in range(3)],
                  [(w.ids["count"], 0x0b, 3, b"\0"), (w.ids["count"], 0x0b, 3, b"\1"),
                   (w.ids["count"], 0x1b, 3, b"")], "a stream and its end")
        f = w.call("failstream", 6, NIL)
        zkt.equal(f[1:3], (0x0f, 6), "the error of a stream")
        zkt.contains(b"boom", f[3], "with its text")
        f = w.call("fail", 7, NIL)
        zkt.equal(f[1:3], (0x07, 7), "the error of a result")
        w.send(frame(w.ids["note"], 0, 0, b"\xa2hi") + frame(w.ids["fail"], 0, 0, NIL) +
               frame(999, 0, 0, NIL))
        zkt.equal(w.call("echo", 8, NIL), (w.ids["echo"], 3, 8, NIL), "id 0 is never answered")
        w.sock.close()
        ended(w, 0, "the connection is closed")


def test_one_byte_at_a_time():
    with Worker() as w:
        w.connect()
        text = frame(w.ids["echo"], 0, 1, b"\xa5hello") + frame(w.ids["raw"], 0, 2, b"xyz")
        for i in range(len(text)):
            w.send(text[i:i + 1])
        zkt.equal(w.read(), (w.ids["echo"], 3, 1, b"\xa5hello"), "a frame in single bytes")
        zkt.equal(w.read(), (w.ids["raw"], 3, 2, b"xyz"), "and the next")
        many = b"".join(frame(w.ids["raw"], 0, i + 1, b"p%d" % i) for i in range(5000))
        w.send(many)
        got = sorted(w.read()[2] for _ in range(5000))
        zkt.equal(got, list(range(1, 5001)), "5,000 frames at once")


def test_violations():
    for name, bytes_ in {
        "reserved flag": "0001400000000300000001c0",
        "method id 0": "0000000000000300000001c0",
        "length 0xffffffff": "00010000000003ffffffff",
    }.items():
        with Worker() as w:
            w.connect()
            w.send(frame(w.ids["slow"], 0, 1, b"\x81\xa2ms\xcd\x4e\x20"))
            w.send(bytes.fromhex(bytes_))
            zkt.equal(w.read(), None, name + ": closed without an answer")
            ended(w, 76, name)


def test_a_long_payload_that_does_not_come():
    with Worker() as w:
        w.connect()
        w.send(HEAD.pack(w.ids["echo"], 0, 1, 900 << 20) + b"x" * 1024)
        zkt.equal(w.ping(), {"jsonrpc": "2.0", "method": "$pong"}, "a ping is answered")
        zkt.ok(w.rss_kb() < 120000, "memory stays small", w.rss_kb())


def test_a_parent_that_closes_in_the_middle():
    for name, unread in (("echo", b""), ("raw", b""), ("raw", b"u" * 3000000), ("cat", b"")):
        with Worker() as w:
            w.connect()
            if unread:
                w.sock.setblocking(False)
                text = b"".join(frame(w.ids["raw"], 0, i + 1, b"x" * 60000) for i in range(20))
            else:
                text = b""
            # Where the first ones do not fit, it is closed in the middle of one of them.
            with contextlib.suppress(BlockingIOError):
                w.send(text)
                w.send(HEAD.pack(w.ids[name], 0, 99, 10 << 20) + b"y" * 500000)
            w.sock.close()
            ended(w, 0, f"closed in the middle of {name}")


def test_ignored_frames():
    with Worker() as w:
        w.connect()
        w.send(frame(0xffff, 0, 1) + frame(0xffff, 0, 0) + frame(0xffff, 0, 77, b"payload"))
        w.send(frame(0xfffe, 0, 0, b"a" * 64) * 2)
        w.send(frame(w.ids["echo"], 0x01, 5, NIL) + frame(w.ids["echo"], 0x03, 6, NIL))
        w.send(frame(0xfffe, 0, 0, b"a" * 700000) + frame(999, 0, 9, b"b" * 700000))
        zkt.equal(w.read()[:3], (999, 7, 9), "an unknown method with a long payload is answered")
        zkt.equal(w.call("echo", 7, NIL), (w.ids["echo"], 3, 7, NIL), "the others are ignored")


def test_aborts():
    slow = b"\x81\xa2ms\xcd\x4e\x20"
    with Worker() as w:
        w.connect()
        w.send(frame(w.ids["slow"], 0, 1, slow) + frame(0xffff, 0, 1) * 2)
        w.send(frame(w.ids["slow"], 0, 1, b"\x81\xa2ms\x01"))
        zkt.equal(w.read(), (w.ids["slow"], 3, 1, b"\xa4late"), "an id is fresh after its abort")
        w.send(frame(w.ids["slow"], 0, 2, slow) * 2)
        w.send(frame(0xffff, 0, 2))
        zkt.equal(w.call("echo", 3, NIL), (w.ids["echo"], 3, 3, NIL), "an id that is in use")
    with Worker("--config", YAML, "--max-concurrency", "1") as w:
        w.connect()
        w.send(frame(w.ids["slow"], 0, 1, slow) + frame(w.ids["slow"], 0, 2, b"\x81\xa2ms\x01") +
               frame(w.ids["slow"], 0, 3, b"\x81\xa2ms\x01") + frame(0xffff, 0, 2) + frame(0xffff, 0, 1))
        zkt.equal(w.read(), (w.ids["slow"], 3, 3, b"\xa4late"), "waiting and running ones are aborted")


def test_a_queue_drops_nothing():
    with Worker("--config", YAML, "--max-concurrency", "2", "--max-queue", "8") as w:
        w.connect()
        w.send(b"".join(frame(w.ids["slow"], 0, i + 1, b"\x81\xa2ms\x01") for i in range(500)))
        zkt.equal(sorted(w.read()[2] for _ in range(500)), list(range(1, 501)), "500 of 2 at a time")


def test_a_parent_that_does_not_read():
    with Worker() as w:
        w.connect()
        w.send(frame(w.ids["source"], 0, 1, b"\x82\xa1n\xce\x7f\xff\xff\xff\xa4size\xcd\xff\xff"))
        w.send(frame(w.ids["count"], 0, 2, b"\x81\xa1n\xce\x7f\xff\xff\xff"))
        zkt.equal(w.ping()["method"], "$pong", "a ping is answered while the data socket is full")
        time.sleep(0.2)
        zkt.ok(w.rss_kb() < 120000, "memory stays small", w.rss_kb())
        w.send(frame(0xffff, 0, 1))
        w.send(frame(0xffff, 0, 2))
        w.send(frame(w.ids["echo"], 0, 3, NIL))
        while (f := w.read())[2] != 3:
            pass
        zkt.equal(f, (w.ids["echo"], 3, 3, NIL), "aborts are seen on a full socket")
        w.send(frame(w.ids["source"], 0, 4, b"\x82\xa1n\xce\x7f\xff\xff\xff\xa4size\xcd\xff\xff"))
        w.ping()
        w.control.sendall(SHUTDOWN)
        ended(w, 0, "$shutdown while a stream is blocked", 4)


def test_pings_nobody_reads():
    with Worker() as w:
        for _ in range(3000):
            w.control.sendall(PING)
        w.connect()
        zkt.equal(w.call("echo", 1, NIL)[1], 3, "served meanwhile")
        w.control.sendall(SHUTDOWN)
        ended(w, 0, "$shutdown with unread pongs")


def test_control_lines():
    with Worker() as w:
        w.control.sendall(b"\n{}\nhello\n[1]\n{\"method\":5}\n {\"method\":\"$shutdown\"}\n\xff\xfe\n")
        piece = b"x" * (1 << 20)
        for _ in range(32):
            w.control.sendall(piece)
        w.control.sendall(b"\n")
        for b in PING.replace(b"\n", b"\r\n"):
            w.control.sendall(bytes([b]))
        zkt.equal(w.line(), {"jsonrpc": "2.0", "method": "$pong"}, "control works after 32 MB of a line")
        w.control.shutdown(socket.SHUT_WR)
        ended(w, 0, "the end of stdin before a connection", 5)


def test_signals():
    with Worker() as w:
        os.kill(w.p.pid, signal.SIGINT)
        zkt.equal(w.ping()["method"], "$pong", "SIGINT is ignored")
        os.kill(w.p.pid, signal.SIGTERM)
        ended(w, 0, "SIGTERM while listening")
    for sig in (signal.SIGTERM, signal.SIGHUP):
        with Worker() as w:
            w.connect()
            w.send(frame(w.ids["hold"], 0, 1, b"\x81\xa3tag\xa8tag-term"))
            zkt.wait_for(lambda: alive("tag-term"), "the command")
            os.kill(w.p.pid, sig)
            ended(w, 0, f"{sig.name} with a command")
            zkt.equal(alive("tag-term"), [], "the command is gone")


def test_kill_9_of_the_parent():
    """50 commands run; the parent is killed; nothing of it is left after a second."""
    script = """
import os, socket, struct, subprocess, sys, json
a, b = socket.socketpair()
env = dict(os.environ, XDG_RUNTIME_DIR=sys.argv[3], PROCWIRE_MODULE_NAME="t")
p = subprocess.Popen([sys.argv[1], "procwire", "worker", "--config", sys.argv[2]], stdin=b, stdout=b, env=env)
b.close()
line = b""
while not line.endswith(b"\\n"):
    line += a.recv(65536)
init = json.loads(line)["params"]
s = socket.socket(socket.AF_UNIX)
s.connect(init["pipe"])
m = init["schema"]["methods"]["hold"]["id"]
tag = sys.argv[4].encode()
for i in range(50):
    payload = b"\\x81\\xa3tag" + bytes([0xa0 + len(tag)]) + tag
    s.sendall(struct.pack(">HBII", m, 0, i + 1, len(payload)) + payload)
print(p.pid, flush=True)
s.recv(1)
"""
    folder, tag = zkt.tmp(), f"tag-{os.getpid()}"

    def seconds():
        parent = subprocess.Popen(["python3", "-c", script, zkt.ZK, YAML, folder, tag], stdout=subprocess.PIPE)
        worker = int(parent.stdout.readline())
        zkt.wait_for(lambda: len(alive(tag)) >= 50, "50 commands", 60)
        parent.kill()
        parent.wait()
        begin = time.monotonic()
        zkt.wait_for(lambda: not alive(tag), "the commands to end", 10)
        zkt.wait_for(lambda: not runs(worker), "the worker to end", 10)
        return time.monotonic() - begin

    took = [seconds()]
    while min(took) >= 1 * max(zkt.SLOW, 1) and len(took) < 3:  # a machine that pauses is not the worker's fault
        took.append(seconds())
    zkt.ok(min(took) < 1 * max(zkt.SLOW, 1), "within a second", took)
    zkt.note(f"{min(took) * 1000:.0f} ms, load {os.getloadavg()[0]:.1f}")
    zkt.equal([f for f in os.listdir(folder) if f.startswith("procwire-")], [], "no socket file")


def test_socket_is_private():
    with Worker(umask=0) as w:
        zkt.equal(stat.S_IMODE(os.stat(w.path).st_mode) & 0o077, 0, "private under umask 0")
        zkt.ok(len(os.path.basename(w.path)) > 40, "the name is long", w.path)
        a = w.connect()
        zkt.equal(w.call("echo", 1, NIL)[1], 3, "adopted")
        zkt.equal(w.files(), [], "the file is gone after the adoption")
        a.close()
        ended(w, 0, "closed")


def test_socket_folders():
    long = os.path.join(zkt.tmp(), "x" * 100)
    os.mkdir(long)
    for name, folder in (("missing", "/nonexistent"), ("too long", long), ("empty", "")):
        with Worker(env={"XDG_RUNTIME_DIR": folder, "TMPDIR": zkt.tmp()}) as w:
            zkt.ok(not w.path.startswith(folder or "//"), f"{name}: the next folder is used", w.path)


def test_second_connection():
    with Worker() as w:
        w.connect()
        b = None
        with contextlib.suppress(ConnectionError, FileNotFoundError):
            b = w.connect(adopt=False)
            b.sendall(frame(w.ids["echo"], 0, 1, NIL))
        zkt.equal(w.call("echo", 2, NIL), (w.ids["echo"], 3, 2, NIL), "the first one is served")
        with contextlib.suppress(ConnectionError):
            zkt.ok(b is None or b.recv(1) == b"", "the second one is refused or closed")


TOKEN = "00112233445566778899aabbccddeeff" * 2


def auth(token=TOKEN):
    return frame(0xfffe, 0, 0, token.encode())


def test_authentication():
    with Worker(token=TOKEN) as w:
        silent = [w.connect(adopt=False) for _ in range(10)]
        for name, first in {
            "a wrong token": auth("f" * 64),
            "a short token": auth("f" * 63),
            "no AUTH": frame(w.ids["note"], 0, 1, NIL),
            "an abort": frame(0xffff, 0, 1),
            "a long AUTH": HEAD.pack(0xfffe, 0, 0, 1 << 30),
            "flags": HEAD.pack(0xfffe, 1, 0, 64) + TOKEN.encode(),
        }.items():
            s = w.connect(adopt=False)
            s.sendall(first + frame(w.ids["echo"], 0, 1, NIL))
            with contextlib.suppress(ConnectionResetError):
                zkt.equal(s.recv(1), b"", name + " is closed unanswered")
            s.close()
        w.connect()
        for b in auth():
            w.send(bytes([b]))
        w.send(frame(w.ids["echo"], 0, 1, NIL))
        zkt.equal(w.read(), (w.ids["echo"], 3, 1, NIL), "the parent gets in, past silent strangers")
        for s in silent:
            with contextlib.suppress(ConnectionResetError):
                s.recv(1)
            s.close()
        environ = pathlib.Path(f"/proc/{w.p.pid}/environ")
        with contextlib.suppress(PermissionError):
            zkt.ok(TOKEN.encode() not in environ.read_bytes(), "the token is not in the environment")
    with Worker(token=TOKEN) as w:
        w.connect()
        w.send(auth() + frame(w.ids["echo"], 0, 1, NIL) + auth() + frame(w.ids["echo"], 0, 2, NIL))
        zkt.equal([w.read()[2], w.read()[2]], [1, 2], "frames behind AUTH in the same write")


def test_leaked_descriptors():
    with Worker("--handle", "fds,out=lines=exec:ls /proc/self/fd", "--handle",
                "out=sh:echo to stdout; cat", "--handle", "in=exec:cat") as w:
        w.connect()
        got = w.call("fds", 1, NIL)
        zkt.equal(got[3], b"\x94\xa10\xa11\xa12\xa13", "a command has stdin, stdout, stderr (and what ls opens)")
        zkt.equal(w.call("out", 2, b"\x81\xa5stdin\xa2hi")[3], b"\xac" + b"to stdout\nhi", "its output is the answer")
        zkt.equal(w.ping()["method"], "$pong", "stdout stays the protocol's")
        zkt.equal(w.call("in", 3, b"\x81\xa1a\x01")[3], b"\xa7" + b'{"a":1}', "stdin is the JSON of the request")


def test_startup_failure_waits():
    with Worker("--handle", "x=nothing", wait=False) as w:
        begin = time.monotonic()
        error = w.line()
        zkt.equal(error["method"], "$error", "the parent is told")
        zkt.contains("nothing", error["params"]["message"], "with the reason")
        zkt.ok(w.p.poll() is None, "it stays")
        w.control.shutdown(socket.SHUT_WR)
        zkt.equal(w.wait(), 78, "the ordinary status")
        zkt.ok(time.monotonic() - begin < 60, "soon")


def test_a_large_payload_into_a_command():
    """128 MiB; with TEST_ALL 1 GiB."""
    size = 1 << (30 if os.environ.get("TEST_ALL") else 27)
    with Worker("--handle", "sum,codec=raw=exec:sha256sum") as w:
        w.connect()
        block, digest = os.urandom(1 << 20), hashlib.sha256()
        w.send(HEAD.pack(w.ids["sum"], 0, 1, size - 1))
        left = size - 1
        while left:
            piece = block[:min(left, len(block))]
            digest.update(piece)
            w.send(piece)
            left -= len(piece)
        answer = w.read()
        zkt.equal(answer[3][:64].decode(), digest.hexdigest(), "the right digest")
        zkt.note(f"peak RSS {w.rss_kb('VmHWM')} kB")
        asan = b"asan" in pathlib.Path(f"/proc/{w.p.pid}/maps").read_bytes()
        zkt.ok(w.rss_kb("VmHWM") < (50000 if not asan else 200000), "memory stays small", w.rss_kb("VmHWM"))


zkt.main()
