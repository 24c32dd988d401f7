"""specs/triggers.md §14.1: every client command against the real server."""

import hashlib
import json
import os
import pathlib
import pty
import shlex
import signal
import subprocess
import time

import zkt
from triggers_lib import Triggers, free_port, is_uuid

FAST = ("--retry-schedule", "100ms,200ms", "--delivery-timeout", "1s", "--allow-private-webhooks")


class Client:
    """The commands of one user: a home of its own, with a server and perhaps a key."""

    def __init__(self, url, key=None):
        self.home = zkt.tmp()
        self.url = url
        self.key = key
        self.env = {"HOME": self.home, "XDG_STATE_HOME": self.home, "XDG_CONFIG_HOME": self.home,
                    "ZK_TRIGGERS_URL": url, "ZK_TRIGGERS_KEY": key}

    def __call__(self, *args, stdin=b"", env=None, **kwargs):
        """`zk triggers ARGS...`"""
        return self.zk("triggers", *args, stdin=stdin, env=env, **kwargs)

    def zk(self, *args, stdin=b"", env=None, **kwargs):
        r = zkt.zk(*args, stdin=stdin, env={**self.env, **(env or {})}, cwd=self.home, **kwargs)
        if self.key:
            zkt.need(self.key not in r.err, f"the key in stderr of {args}:\n{r.err}")
        return r

    def start(self, *args, **kwargs):
        env = kwargs.pop("env", {})
        return zkt.Process("triggers", *args, env={**self.env, **env}, cwd=self.home, **kwargs)

    def shell(self, line, **kwargs):
        """A line of bash with pipefail; $ZK is the program."""
        p = subprocess.run(["bash", "-o", "pipefail", "-c", line], capture_output=True, text=True,
                           env={**os.environ, **self.env, "ZK": zkt.ZK}, cwd=self.home,
                           timeout=60 * zkt.SLOW, check=False, **kwargs)
        return p

    def file(self, name, text):
        return zkt.write(os.path.join(self.home, name), text)


def client(server, tier="enterprise"):
    org = server.org("Client", tier)
    return org, Client(server.url, org.key)


def lines(n, type="t", start=0):
    return "".join(json.dumps({"type": type, "payload": {"n": i}}) + "\n"
                   for i in range(start, start + n))


def numbers(org):
    return sorted(e["payload"]["n"] if isinstance(e["payload"], dict) else e["payload"]
                  for e in org.all())


def acknowledged(org, id):
    return org.event(id).json["acknowledged_at"] is not None


def ndjson(path):
    return [json.loads(line) for line in pathlib.Path(path).read_text("utf-8").splitlines()]


# ---- keys --------------------------------------------------------------------------------------

def test_keys():
    with Triggers() as s:
        c = Client(s.url)
        r = c("keys", "generate", "--name", "dev")
        zkt.equal(r.status, 0, "keys generate", r)
        zkt.matches(r"^zap_live_[0-9a-f]{64}$", r.json["api_key"], "prints the key")
        r = c("keys", "show")
        zkt.equal(r.status, 77, "without a key: 77", r)
        zkt.contains("keys generate --name NAME --save", r.err, "and a hint how to make one")
        r = c("keys", "generate", "--name", "kept", "--tier", "pro", "--save")
        zkt.equal(r.status, 0, "keys generate --save", r)
        zkt.ok("zap_live" not in r.out + r.err, "--save prints no key", r)
        kept = list(pathlib.Path(c.home).rglob("*.key"))
        zkt.equal(len(kept), 1, "--save makes one file")
        zkt.equal(kept[0].stat().st_mode & 0o777, 0o600, "of mode 0600")
        r = c("keys", "show")
        zkt.equal((r.status, r.json["organization_name"], r.json["tier"]), (0, "kept", "pro"),
                  "keys show uses the saved key", r)
        old = kept[0].read_text("utf-8").strip()
        r = c("keys", "rotate", "--save")
        zkt.equal(r.status, 0, "keys rotate --save", r)
        new = kept[0].read_text("utf-8").strip()
        zkt.ok(old != new, "the saved key is another one")
        zkt.equal(c("keys", "show").status, 0, "and works")
        zkt.equal(c("keys", "show", env={"ZK_TRIGGERS_KEY": old}).status, 77, "the old one is dead")
        with Triggers() as other:
            r = c("keys", "show", "--url", other.url)
            zkt.equal(r.status, 77, "a saved key is for its own server only", r)
            zkt.ok("ZK5001" in r.err, "and is not sent to another one", r.err)


def test_exit_codes_and_hints():
    with Triggers() as s:
        c = Client(s.url, "zap_live_" + "0" * 64)
        for args in (("keys", "show"), ("inbox",), ("send",), ("ack", "-"), ("webhook", "show")):
            ids = b"0199f3c1-5a7e-7a10-8f3e-0f8d8f1f2a3b\n" if args[0] == "ack" else \
                lines(1).encode()
            r = c(*args, stdin=ids)
            zkt.equal(r.status, 77, f"a wrong key: {args[0]} is 77", r)
            zkt.contains("fix:", r.err, "with what to do")
        r = c("inbox", "--folow")
        zkt.equal(r.status, 64, "a wrong option is 64", r)
        zkt.contains("--follow", r.err, "with the right one")
        zkt.equal(c("ack", "not-an-id").status, 65, "a bad id is 65")
        zkt.equal(c("send", "nowhere.ndjson").status, 66, "a missing file is 66")
        zkt.equal(c("listen").status, 64, "listen needs --forward or --exec")
        zkt.equal(c("inbox", "--ack").status, 64, "--ack needs --follow")
        c.env["ZK_TRIGGERS_KEY"] = None
        zkt.equal(c("send", stdin=lines(1).encode()).status, 77, "send without a key is 77")
    r = c("inbox", "--retries", "1", env={"ZK_TRIGGERS_KEY": "zap_live_" + "0" * 64})
    zkt.equal(r.status, 75, "a dead server is 75", r)
    zkt.contains("zk triggers serve", r.err, "with a hint")


# ---- send --------------------------------------------------------------------------------------

def test_send_sources():
    with Triggers() as s:
        o, c = client(s)
        r = c("send", stdin=lines(1200).encode())
        zkt.equal((r.status, r.out, r.err), (0, "", ""), "stdin: success says nothing")
        zkt.equal(numbers(o), list(range(1200)), "every line is there once")
        path = c.file("a.ndjson", "\ufeff" + lines(3, start=2000) + "\n  \n" + lines(1, start=3000))
        r = c("send", path, "-v")
        zkt.equal(r.status, 0, "a file with a BOM and blank lines", r)
        zkt.matches(r"read 4 = \S+ 4 \+ rejected 0 \+ spooled 0", r.err, "-v shows the sums")
        r = c("send", "a.ndjson", "-v")
        zkt.contains("duplicates 4", r.err, "the same file again: all duplicates")
        zkt.equal(len(o.all()), 1204, "and nothing twice")
        c("send", "-", path, stdin=lines(1, start=4000).encode())
        zkt.equal(len(o.all()), 1205, "'-' among files is stdin")
        big = '{"type":"big","payload":{"n":12345678901234567890,"x":1.10,"x":"\\u00e9"}}'
        c("send", stdin=big.encode() + b"\n")
        e = o.api("GET", "/api/inbox?type=big")
        zkt.contains(b'{"n":12345678901234567890,"x":1.10,"x":"\\u00e9"}', e.body,
                     "payloads are bytes")
        r = c("send", stdin=b'{"type":"mine","payload":1,"dedup_id":"d-1"}\n' * 2)
        zkt.equal([e["dedup_id"] for e in o.all(type="mine")], ["d-1"], "a dedup_id of the line")
        c("send", "--idempotency-key", "none", stdin=b'{"type":"none","payload":1}\n')
        zkt.equal([e["dedup_id"] for e in o.all(type="none")], [None], "--idempotency-key none")
        for _ in range(2):
            c("send", "--idempotency-key", "run-7", stdin=lines(2, "text").encode())
        zkt.equal(len(o.all(type="text")), 2, "--idempotency-key TEXT: the same input once")


def test_send_payloads():
    with Triggers() as s:
        o, c = client(s)
        r = c("send", "--type", "log.line", stdin=b'{"a":1}\n[2]\n"three"\n')
        zkt.equal(r.status, 0, "--type: each line is a payload", r)
        zkt.equal(sorted(json.dumps(e["payload"]) for e in o.all(type="log.line")),
                  ['"three"', "[2]", '{"a": 1}'], "as they are")
        r = c("send", "--type", "doc", "--raw", stdin=b'\n{\n  "a": [1,\n 2]\n}\n')
        zkt.equal(r.status, 0, "--raw: the whole input", r)
        zkt.equal([e["payload"] for e in o.all(type="doc")], [{"a": [1, 2]}], "is one payload")
        zkt.equal(c("send", "--raw", stdin=b"1").status, 64, "--raw needs --type")
        zkt.equal(c("send", "--type", "", stdin=b"1").status, 64, "--type must not be empty")
        r = c("send", "--type", "x", stdin=b"plain text\n")
        zkt.equal(r.status, 65, "text is no payload", r)
        zkt.contains("stdin:1 (byte 0)", r.err, "and the place is named")


BAD = '{"type":"t","payload":{"n":1}}\n{"type":"t"}\n{"type":"t","payload":{"n":2}}\n{oops\n'


def test_send_bad_lines():
    with Triggers() as s:
        o, c = client(s)
        path = c.file("bad.ndjson", BAD)
        r = c("send", path)
        zkt.equal(r.status, 65, "a bad line in a file: 65", r)
        zkt.contains(f"{path}:2 (byte 31)", r.err, "with its place")
        zkt.equal(o.all(), [], "and nothing was sent")
        zkt.equal(c("send", path, "--on-error", "skip").status, 64, "skip needs --rejects")
        r = c("send", path, "--on-error", "skip", "--rejects", "rej", "--receipts", "rec")
        zkt.equal(r.status, 3, "skip: 3", r)
        zkt.equal(numbers(o), [1, 2], "the good lines are there")
        zkt.matches(r"read 4 = \S+ 2 \+ rejected 2", r.err, "the sums are shown")
        rejects = ndjson(c.home + "/rej")
        zkt.equal([(x["line"], x["offset"], x["file"], x["text"]) for x in rejects],
                  [(2, 31, path, '{"type":"t"}'), (4, 75, path, "{oops")], "the rejects")
        receipts = ndjson(c.home + "/rec")
        zkt.equal([(x["line"], x["result"], is_uuid(x["remote_id"])) for x in receipts],
                  [(1, "sent", True), (3, "sent", True)], "the receipts")
        r = c("send", path, "--on-error", "skip", "--rejects", "rej", "--resume", "rec", "-v")
        zkt.contains("skipped 2", r.err, "--resume skips what receipts prove")
        large = json.dumps({"type": "t", "payload": {"n": "x" * 300000}})
        r = c("send", "--rejects", "rej", stdin=(lines(1, start=5) + large + "\n"
                                                 + lines(1, start=6)).encode())
        zkt.equal(r.status, 3, "what the server refuses: 3", r)
        zkt.equal(numbers(o), [1, 2, 5, 6], "the others are there")
        x = ndjson(c.home + "/rej")
        zkt.equal([(y["line"], y["code"], y["text"]) for y in x], [(2, "413", large)],
                  "with the line as it came")
        r = c("send", path, "--dry-run")
        zkt.equal(r.status, 65, "--dry-run checks", r)
        r = c("send", "--dry-run", stdin=lines(3, start=100).encode())
        zkt.equal(r.status, 0, "--dry-run of good lines", r)
        zkt.equal(len(o.all()), 4, "sends nothing")


def test_send_rate_limit():
    with Triggers("--rate-limit", "free=3") as s:
        o, c = client(s, "free")
        r = c("send", "--retries", "0", stdin=lines(5).encode())
        zkt.equal(r.status, 75, "over the limit without retries: 75", r)
        zkt.equal(numbers(o), [0, 1, 2], "batches are no larger than the limit")
        r = c.zk("spool", "list")
        zkt.equal([x["records"] for x in r.rows], [2], "the rest is in the spool", r)


def test_spool_and_flush():
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    with Triggers(listen=f"127.0.0.1:{port}") as s:
        o, c = client(s)
        s.stop()
        r = c("send", "--retries", "1", "--receipts", "rec", stdin=lines(700).encode())
        zkt.equal(r.status, 75, "a dead server: 75", r)
        zkt.matches(r"read 700 = \S+ 0 \+ rejected 0 \+ spooled 700", r.err, "the sums")
        zkt.contains("zk spool flush", r.err, "and what to do")
        zkt.equal({x["result"] for x in ndjson(c.home + "/rec")}, {"spooled"}, "receipts say so")
        r = c("send", "--retries", "0", "--no-spool", stdin=lines(2).encode())
        zkt.equal(r.status, 75, "--no-spool: 75 as well", r)
        r = c.zk("spool", "flush", "--retries", "0")
        zkt.equal(r.status, 75, "a flush without a server: 75", r)
        s2 = s.restart(listen=f"127.0.0.1:{port}")
        with s2:
            o.server = s2
            flushes = [zkt.Process("spool", "flush", env=c.env) for _ in range(2)]
            zkt.equal([p.wait() for p in flushes], [0, 0], "two flushes at once",
                      lambda: [p.err for p in flushes])
            zkt.equal(numbers(o), list(range(700)), "every event is there once")
            zkt.equal(c.zk("spool", "list").out, "", "the spool is empty")
            zkt.equal(c.zk("spool", "flush").status, 0, "a flush of nothing: 0")
            with Triggers() as other:
                c("send", "--retries", "0", stdin=lines(1, start=900).encode(),
                  env={"ZK_TRIGGERS_URL": f"http://127.0.0.1:{free_port()}"})
                r = c.zk("spool", "flush", "--retries", "0")
                zkt.equal(r.status, 77, "the key of one server is not sent to another", r)
                zkt.equal(other.status, None, "which runs")


def test_spool_rejects():
    with zkt.Sink(default=503) as sink:
        c = Client(sink.url, "zap_live_" + "1" * 64)
        c("send", "--retries", "0", stdin=(lines(1) + lines(1, start=1)).encode())
        zkt.equal([x["records"] for x in c.zk("spool", "list").rows], [2], "two wait")

        def answer(request):
            if request.path == "/api/keys":
                return zkt.Answer(200, body=b"{}")
            return zkt.Answer(207, body=b'{"results":[{"status":422,"code":"validation_failed"},'
                              b'{"status":202,"id":"x"}]}')
        sink.default = answer
        r = c.zk("spool", "flush")
        zkt.equal(r.status, 3, "one was refused: 3", r)
        x = c.zk("spool", "list").rows
        zkt.equal([(y["records"], y["failed"]) for y in x], [(1, 1)], "it stays as failed")


def test_durable_kill():
    port = free_port()
    with Triggers(listen=f"127.0.0.1:{port}") as s:
        o, c = client(s)
        sent = 0
        for i in range(3):
            p = c.start("send", "--durable", "--linger", "1ms", stdin=subprocess.PIPE)
            zkt.need(p.status is None, "send runs")
            end = len(o.all()) + 100 + 200 * i
            # Written in pieces, so that the kill comes between them.
            while len(o.all()) < end:
                p.stdin.write(lines(50, start=sent).encode())
                p.stdin.flush()
                sent += 50
                zkt.need(sent < 20000, "events arrive")
            p.kill()
        zkt.equal(c.zk("spool", "flush").status, 0, "a flush after the crashes")
        got = numbers(o)
        zkt.equal(len(got), len(set(got)), "nothing is there twice")
        # A pipe holds what the killed process never read; what it acknowledged to nobody counts
        # as unread: per run the events are a prefix.
        zkt.ok(len(got) >= 100, "most are there", len(got))
        r = c.zk("spool", "list")
        zkt.equal(r.out, "", "the spool is empty", r)


def test_durable_file():
    """With a server that never answers: all lines of a file are in the spool at a kill."""
    with zkt.Sink(routes={"/api/keys": [401] * 0}, default=["hang"]) as sink:
        sink.routes = {"/api/keys": [zkt.Answer(404)] * 9}
        c = Client(sink.url, "zap_live_" + "1" * 64)
        path = c.file("f.ndjson", lines(1000))
        p = c.start("send", "--durable", path)
        zkt.wait_for(lambda: [x["records"] for x in c.zk("spool", "list").rows] == [1000],
                     "the spool to hold every line")
        p.kill()
        x = c.zk("spool", "list").rows
        zkt.equal([(y["records"], y["waiting"]) for y in x], [(1000, 1000)],
                  "after kill -9 all wait for a flush")
    with Triggers(listen=f"127.0.0.1:{sink.port}") as s:
        o = s.org()
        c.env["ZK_TRIGGERS_KEY"] = c.key = o.key
        zkt.equal(c.zk("spool", "flush").status, 0, "flush")
        zkt.equal(numbers(o), list(range(1000)), "all are there exactly once")
        c("send", path)
        zkt.equal(len(o.all()), 1000, "the file again adds nothing")


def test_send_term():
    with zkt.Sink(default=["hang"]) as sink:
        sink.routes = {"/api/keys": [zkt.Answer(404)] * 9}
        c = Client(sink.url, "zap_live_" + "1" * 64)
        p = c.start("send", "--grace", "300ms", stdin=subprocess.PIPE)
        p.stdin.write(lines(10).encode())
        p.stdin.flush()
        zkt.wait_for(lambda: any(q.path == "/api/events/batch" for q in sink.requests)
                     or sink.connections > 1, "the batch")
        begin = time.monotonic()
        p.signal(signal.SIGTERM)
        zkt.equal(p.wait(), 128 + signal.SIGTERM, "TERM: drained, then ended by it")
        zkt.ok(time.monotonic() - begin < 5 * zkt.SLOW, "within the grace time")
        zkt.matches(r"read 10 = \S+ 0 \+ rejected 0 \+ spooled 10", p.err, "the rest is spooled")
        zkt.equal([x["records"] for x in c.zk("spool", "list").rows], [10], "and there")


def test_send_status():
    with Triggers() as s:
        _, c = client(s)
        c("send", "--status-fd", "status", "--on-error", "skip", "--rejects", "rej",
          stdin=BAD.encode())
        events = ndjson(c.home + "/status")
        kinds = [e["type"] for e in events]
        zkt.equal([k for k in kinds if k != "progress"],
                  ["start", "reject", "reject", "summary", "exit"], "the status channel")
        zkt.equal([e for e in events if e["type"] == "exit"][0]["status"], 3, "knows the exit")


# ---- inbox, ack --------------------------------------------------------------------------------

def test_inbox():
    with Triggers() as s:
        o, c = client(s)
        r = c("inbox")
        zkt.equal((r.status, r.out), (0, ""), "an empty inbox")
        zkt.contains("no events", r.err, "is said on stderr")
        zkt.equal(c("inbox", "--exit-status").status, 1, "--exit-status makes it 1")
        c("send", stdin=(lines(150, "a") + lines(2, "b.x")).encode())
        r = c("inbox")
        zkt.equal(len(r.rows), 100, "one page")
        zkt.contains("--all", r.err, "a cut list says so")
        zkt.equal(len(c("inbox", "--all").rows), 152, "--all")
        zkt.equal(len(c("inbox", "--limit", "7").rows), 7, "--limit")
        zkt.equal(len(c("inbox", "--type", "b.*").rows), 2, "--type with a pattern")
        zkt.equal(len(c("inbox", "--status", "failed").rows), 0, "--status")
        zkt.equal(len(c("inbox", "--since", "1h", "--all").rows), 152, "--since a duration")
        zkt.equal(c("inbox", "--since", "2099-01-01T00:00:00Z").rows, [], "--since a time")
        zkt.equal(c("inbox", "--since", "soon").status, 64, "--since nonsense is 64")
        r = c("inbox", "--type", "b.x", "--format", "{type} {payload.n}")
        zkt.equal(sorted(r.out.splitlines()), ["b.x 0", "b.x 1"], "--format")
        r = c("inbox", "--limit", "1", "--fields", "type,status")
        zkt.equal(r.rows, [{"type": "b.x", "status": "pending"}], "--fields")
        first = c("inbox", "--limit", "5").rows
        rest = c("inbox", "--limit", "5", "--cursor", first[-1]["id"]).rows
        zkt.equal(len({e["id"] for e in first + rest}), 10, "--cursor goes on")
        r = c("inbox", "--limit", "2", "-o", "json")
        zkt.equal(len(r.json), 2, "-o json is one document", r)
        r = c("inbox", "--limit", "1", "-o", "csv", "--fields", "type,status")
        zkt.equal(r.out.split(), ["type,status", "b.x,pending"], "-o csv")
        p = c.shell('"$ZK" triggers inbox --all | head -1')
        zkt.equal((p.returncode, len(p.stdout.splitlines()), p.stderr), (0, 1, ""),
                  "| head -1 under pipefail")
        ids = [e["id"] for e in o.all(type="b.x")]
        many = "\n".join([ids[0]] * 1500 + ["no-id"]).encode()
        zkt.equal((c("ack", "-", stdin=many).status, acknowledged(o, ids[0])), (65, False),
                  "one bad id among 1,500: nothing is acknowledged")
        r = c("ack", ids[0])
        zkt.equal((r.status, r.json), (0, {"acknowledged": 1, "failed": 0}), "ack", r)
        r = c("ack", *ids)
        zkt.equal((r.status, r.json["failed"]), (3, 1), "one was acknowledged before: 3", r)
        p = c.shell("""set -e; "$ZK" triggers inbox --all --status pending --format '{id}' |
                    "$ZK" triggers ack -""")
        zkt.equal((p.returncode, json.loads(p.stdout)["acknowledged"]), (0, 150),
                  "ack - takes ids from stdin")


def test_follow():
    with Triggers() as s:
        o, c = client(s)
        p = c.start("inbox", "--follow", "-v")
        zkt.wait_for(lambda: "live" in p.err, "the stream")
        o.sent("one")
        zkt.wait_for(lambda: "\n" in p.out, "an event")
        zkt.equal(json.loads(p.out.splitlines()[0])["type"], "one", "--follow shows it")
        p.signal(signal.SIGTERM)
        p.wait()
        ids = [o.sent("two", {"n": i}) for i in range(5)]
        q = subprocess.Popen(["bash", "-o", "pipefail", "-c",
                              '"$ZK" triggers inbox --follow --ack --type two | head -2'],
                             env={**os.environ, **c.env, "ZK": zkt.ZK}, stdout=subprocess.PIPE,
                             stderr=subprocess.PIPE, text=True)
        # What is printed after head has gone ends it.
        end = time.monotonic() + 20 * zkt.SLOW
        while q.poll() is None and time.monotonic() < end:
            o.sent("two", {"n": 9})
            time.sleep(0.05)
        out, err = q.communicate(timeout=10)
        zkt.equal((q.returncode, len(out.splitlines()), err), (0, 2, ""),
                  "--follow | head ends quietly with 0")
        zkt.equal([json.loads(x)["id"] for x in out.splitlines()], ids[:2],
                  "--ack begins with the oldest pending one")
        for i in ids[:2]:
            zkt.ok(acknowledged(o, i), "what was read is acknowledged")


def test_follow_exec():
    with Triggers() as s:
        o, c = client(s)
        bad = o.sent("job", {"n": 1})
        good = o.sent("job", {"n": 2})
        c.file("work.sh", """echo "$ZK_EVENT_ID $ZK_EVENT_TYPE $(cat)" >> log
                [ "$ZK_EVENT_ID" != "%s" ]""" % bad)
        p = c.start("inbox", "--follow", "--ack", "--exec", "sh work.sh")
        zkt.wait_for(lambda: acknowledged(o, good), "the second one")
        p.signal(signal.SIGTERM)
        p.wait()
        zkt.equal(o.event(bad).json["status"], "pending", "a failing command leaves it pending")
        log = pathlib.Path(c.home, "log").read_text("utf-8").splitlines()
        zkt.equal([x.split()[:2] for x in log], [[bad, "job"], [good, "job"]],
                  "each ran once, in order, with its variables")
        zkt.equal(json.loads(log[0].split(" ", 2)[2])["payload"], {"n": 1}, "and the event on stdin")
        p = c.start("inbox", "--follow", "--ack", "--exec", "true")
        zkt.wait_for(lambda: acknowledged(o, bad), "the first one again")


# ---- webhook, replay, listen, verify -----------------------------------------------------------

def test_webhook():
    with Triggers(*FAST) as s, zkt.Sink() as sink:
        o, c = client(s)
        zkt.equal(c("webhook", "test").status, 69, "no webhook: 69")
        r = c("webhook", "set", sink.url + "/hook")
        zkt.equal(r.status, 0, "webhook set", r)
        secret = r.json["signing_secret"]
        zkt.matches("^whsec_", secret, "shows the secret once")
        zkt.ok("signing_secret" not in c("webhook", "set", sink.url + "/hook").json, "only once")
        zkt.equal(c("webhook", "show").json["webhook_url"], sink.url + "/hook", "webhook show")
        r = c("webhook", "test")
        zkt.equal((r.status, r.json["delivered"]), (0, True), "webhook test", r)
        sink.default = 500
        zkt.equal(c("webhook", "test").status, 1, "a failing one: 1")
        event = o.sent("hooked")
        zkt.wait_for(lambda: o.event(event).json["status"] == "failed", "the dead letter")
        sink.default = 200
        sink.clear()
        r = c("replay", event)
        zkt.equal(r.status, 0, "replay ID", r)
        zkt.wait_for(lambda: o.event(event).json["status"] == "delivered", "the delivery")
        r = c("replay", "--status", "failed", "--since", "1d")
        zkt.equal(r.status, 0, "replay by filter", r)
        # What was delivered can be verified by hand.
        delivered = sink.requests[-1]
        text = "".join(f"{k}: {v}\n" for k, v in delivered.headers) + "\n"
        c.file("secret", secret + "\n")
        request = text.encode() + delivered.body
        r = c("verify", "--secret-file", "secret", stdin=request)
        zkt.equal(r.status, 0, "verify: a valid one", r)
        zkt.equal(c("verify", "--secret-file", "secret", stdin=request + b" ").status, 1,
                  "verify: another body")
        old = "".join(f"{k}: {1600000000 if k.lower() == 'webhook-timestamp' else v}\n"
                      for k, v in delivered.headers)
        sig = zkt.webhook_signature(secret, delivered.header("webhook-id"), 1600000000,
                                    delivered.body)
        old = old.replace(delivered.header("webhook-signature"), sig)
        r = c("verify", "--secret-file", "secret", stdin=old.encode() + b"\n" + delivered.body)
        zkt.equal(r.status, 1, "verify: a valid one that is old", r)
        r = c("verify", "--secret-file", "secret", "--tolerance", "3650d",
              stdin=old.encode() + b"\n" + delivered.body)
        zkt.equal(r.status, 0, "unless the tolerance allows it", r)
        zkt.equal(c("verify", "--secret-file", "secret", stdin=b"x: y\n\nbody").status, 1,
                  "verify: no signature")
        r = c("webhook", "rotate-secret")
        zkt.ok(r.status == 0 and r.json["signing_secret"] != secret, "webhook rotate-secret", r)
        zkt.equal(c("webhook", "disable").status, 0, "webhook disable")
        zkt.equal(c("webhook", "show").json["enabled"], False, "which shows")
        zkt.equal(c("webhook", "set", "ftp://x").status in (64, 65, 69), True, "a bad URL")


def test_listen():
    with Triggers() as s, zkt.Sink([500]) as sink:
        o, c = client(s)
        secret = "whsec_" + "QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUE="
        c.file("secret", secret + "\n")
        first = o.sent("l", {"n": 1})
        p = c.start("listen", "--forward", sink.url + "/local", "--secret-file", "secret",
                    "--backlog")
        sink.wait(1)
        second = o.sent("l", {"n": 2})
        sink.wait(2)
        zkt.wait_for(lambda: acknowledged(o, second), "the second one")
        zkt.equal(o.event(first).json["status"], "pending", "500 leaves it pending")
        q = sink.requests[1]
        zkt.equal(q.header("webhook-signature"),
                  zkt.webhook_signature(secret, q.header("webhook-id"),
                                        q.header("webhook-timestamp"), q.body),
                  "the signature is valid")
        zkt.equal((q.json()["id"], q.json()["data"]), (second, {"n": 2}), "the body of a delivery")
        zkt.wait_for(lambda: p.err.count(" l ") >= 2, "a line per event")
        p.signal(signal.SIGINT)
        zkt.equal(p.wait(), 128 + signal.SIGINT, "INT ends it")
        p = c.start("listen", "--backlog", "--exec", "cat > got; echo seen")
        zkt.wait_for(lambda: acknowledged(o, first), "--exec")
        zkt.equal(json.loads(pathlib.Path(c.home, "got").read_text("utf-8"))["id"], first,
                  "gets the event")
        zkt.wait_for(lambda: "seen" in p.out, "its output on stdout")


# ---- top ---------------------------------------------------------------------------------------

def test_top():
    with Triggers() as s:
        o, c = client(s)
        c("send", stdin=lines(100).encode())
        r = c("top", "--once")
        zkt.equal(r.status, 0, "top --once", r)
        row = r.json
        zkt.equal((row["status"], row["accepted"], row["dead_letters"]), ("healthy", 100, 0),
                  "one row")
        zkt.ok(row["p95_ms"] > 0 and row["requests_per_second"] is None, "latency, no rate", row)
        r = c("top", "--once", "-o", "json")
        zkt.equal(r.json["queue"], 0, "-o json")
        p = c.start("top", "--interval", "100ms")
        zkt.wait_for(lambda: len(p.out.splitlines()) >= 2, "a second row")
        c("send", stdin=lines(300, start=1000).encode())
        zkt.wait_for(lambda: any((json.loads(x)["accepted_per_second"] or 0) > 0
                                 for x in p.out.splitlines()), "a rate")
        zkt.ok(True, "a row per interval, with rates")
        p.signal(signal.SIGTERM)
        p.wait()
        screen, tty = pty.openpty()
        p = zkt.Process("triggers", "top", "--interval", "100ms", env=c.env, stdin=b"")
        p.kill()
        q = subprocess.Popen([zkt.ZK, "triggers", "top", "--interval", "100ms"], stdout=tty,
                             stderr=subprocess.PIPE, stdin=subprocess.DEVNULL,
                             env={**os.environ, **c.env, "TERM": "xterm"})
        os.close(tty)
        text = b""
        end = time.monotonic() + 20 * zkt.SLOW
        while text.count(b"\x1b[5A") < 2 and time.monotonic() < end:
            text += os.read(screen, 65536)
        q.terminate()
        q.communicate(timeout=20)
        os.close(screen)
        zkt.contains(b"circuits open 0", text, "on a terminal: drawn in place")
        zkt.ok(b"\x1b[?25l" not in text, "the cursor is never hidden")
    r = c("top", "--once", "--retries", "0")
    zkt.equal(r.status, 75, "without a server: 75", r)


# ---- secrets -----------------------------------------------------------------------------------

def test_the_key_is_nowhere():
    with Triggers() as s:
        o, c = client(s)
        canary = o.key
        hidden = hashlib.sha256(canary.encode()).hexdigest()  # a value that must not matter
        c.file("key", canary + "\n")
        p = c.start("inbox", "--follow", "--trace=headers,bodies,curl", "-vv", "--key-file", "key",
                    env={"ZK_TRIGGERS_KEY": None})
        zkt.wait_for(lambda: "live" in p.err, "the stream")
        cmdline = pathlib.Path(f"/proc/{p.pid}/cmdline").read_bytes()
        zkt.ok(canary.encode() not in cmdline, "not in the command line")
        o.sent("x")
        zkt.wait_for(lambda: p.out, "an event")
        p.signal(signal.SIGTERM)
        p.wait()
        zkt.ok(canary not in p.err and canary[9:] not in p.err, "not in the wire log",
               shlex.quote(p.err[-2000:]))
        r = c("send", "--trace=headers,bodies,curl,errors", "-vv", "--log-format", "json",
              stdin=lines(2).encode())
        zkt.ok(r.status == 0 and canary not in r.err + r.out, "not in that of send")
        r = c("keys", "rotate", "--save", "--trace=headers,bodies", "-vv")
        new = next(pathlib.Path(c.home).rglob("*.key")).read_text("utf-8").strip()
        zkt.ok(r.status == 0 and new not in r.err + r.out, "not the new one of a rotation", r.err)
        c.key = new
        for path in pathlib.Path(c.home).rglob("*"):
            if path.is_file() and path.suffix != ".key" and path.name != "key":
                data = path.read_bytes()
                zkt.ok(canary.encode() not in data and new.encode() not in data
                       and hidden.encode() not in data, f"not in {path.name}")


zkt.main()
