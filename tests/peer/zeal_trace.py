"""`zk trace` against the stand-in of a Zeal server: every command, every kind of failure."""

import json
import os
import pathlib
import signal
import sys
import time
import urllib.request

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "lib"))
import otlp  # noqa: E402
import zeal  # noqa: E402
import zkt  # noqa: E402

TRACES = zeal.DATA / "traces"
E50 = str(TRACES / "events-50.ndjson")
E5000 = str(TRACES / "events-5000.ndjson")
EVENTS = "POST /traces/*/events"


def session(s, i=0):
    return s.state()["sessions"][i]


def marks(events):
    return [e["metadata"]["custom"]["zk"]["n"] for e in events]


def bare(event):
    """An event without what zk and the server add."""
    e = {k: v for k, v in event.items() if k != "id" and v is not None}
    meta = json.loads(json.dumps(e.get("metadata") or {}))
    custom = meta.get("custom", {})
    custom.pop("zk", None)
    custom.pop("error", None)
    if not custom:
        meta.pop("custom", None)
    e.pop("metadata", None)
    if meta:
        e["metadata"] = meta
    e.pop("error", None)
    return e


def input_of(path):
    return [json.loads(line) for line in pathlib.Path(path).read_text().splitlines() if line]


def test_push_whole():
    with zeal.Server("as-built") as s:
        r = s.zk("trace", "push", E5000, "-w", "wf_1", "--execution", "job-1", "--batch", "700")
        zkt.equal((r.status, r.out, r.err), (0, "", ""), "success without a terminal is silent")
        got = session(s)
        zkt.equal(marks(got["events"]), list(range(5000)), "5,000 in, 5,000 stored, same order")
        zkt.equal([bare(e) for e in got["events"]], [bare(e) for e in input_of(E5000)],
                  "byte for byte what was in the file")
        zkt.equal((got["status"], got["summary"]["totalNodes"], got["executionId"]),
                  ("failed", 4, "job-1"), "the session is closed, with its sums")
        log = s.log()
        zkt.equal([x["json"]["events"].__len__() for x in log if x["url"].endswith("/events")],
                  [700] * 7 + [100], "in batches of --batch")
        zkt.equal(log[0]["json"], {"workflowId": "wf_1", "executionId": "job-1"},
                  "the request that opens the session, without nulls")
        zkt.equal(set(log[-1]["json"]), {"status", "summary"}, "the one that closes it")
        zkt.ok(all(x["headers"].get("content-encoding") is None for x in log),
               "no body is compressed")
        r = s.zk("trace", "push", E50, "-w", "wf_1", "-o", "json", "--jq", ".session_id")
        zkt.equal(r.out.strip(), session(s, 1)["id"], "the session id on request")
        zkt.equal(list(pathlib.Path(s.home).rglob("*.run")), [], "nothing is left of a run")
        for name, n in (("crlf-no-final-newline.ndjson", 3), ("one-big-event.ndjson", 1)):
            r = s.zk("trace", "push", str(TRACES / name), "-w", "wf_1")
            zkt.equal((r.status, len(s.state()["sessions"][-1]["events"])), (0, n), name)


def test_push_bad_lines():
    mixed = str(TRACES / "mixed-good-bad.ndjson")
    with zeal.Server("as-built") as s:
        r = s.zk("trace", "push", mixed, "-w", "wf_1")
        zkt.equal((r.status, s.log()), (65, []), "a bad line of a file: nothing is sent")
        zkt.matches(r"mixed-good-bad.ndjson:3 \(byte \d+\)", r.err, "its place is named")
        bad = zkt.tmp() + "/bad.ndjson"
        r = s.zk("trace", "push", mixed, "-w", "wf_1", "--on-error", "skip", "--rejects", bad)
        zkt.equal((r.status, len(session(s)["events"])), (3, 15), "15 stored", r.err)
        lines = [json.loads(x) for x in pathlib.Path(bad).read_text().splitlines()]
        zkt.equal([x["line"] for x in lines], [3, 7, 11, 15, 17, 21], "6 rejected, by number")
        zkt.equal([x["reason"].split(":")[0] for x in lines],
                  ["invalid_enum_value", "invalid_type", "json_syntax", "range", "nul",
                   "invalid_type"], "each with its reason")
        zkt.matches("read 21 = accepted 15 . rejected 6", r.err.replace("+", "."), "the sums")
        r = s.zk("trace", "push", mixed, "-w", "wf_1", "--strict", "--on-error", "skip",
                 "--rejects", bad)
        zkt.equal((r.status, len(s.state()["sessions"][-1]["events"])), (3, 12),
                  "--strict mends nothing")
        r = s.zk("trace", "push", "-s", "x", "-w", "y", E50)
        zkt.equal(r.status, 64, "--session and --workflow exclude each other")
        r = s.zk("trace", "push", E50)
        zkt.equal(r.status, 64, "no session is an error")
        zkt.equal(s.zk("trace", "push", E50, "--optional").status, 0, "but for --optional")
        zkt.equal(s.zk("trace", "push", "/nonexistent", "-w", "x").status, 66, "no file")
        r = s.zk("trace", "push", E50, "-w", "x", "--map", "node=.x")
        zkt.equal(r.status, 64, "a wrong --map")


def test_log_shipping():
    """The README's one-liner: tail -F app.ndjson | zk trace push -s $S --map ... --every 500ms"""
    with zeal.Server("as-built") as s:
        sid = s.zk("trace", "start", "-w", "wf_1").out.strip()
        path = zkt.write(zkt.tmp() + "/app.ndjson", '{"ts":"2026-01-01T00:00:00Z","component":"db","msg":"a"}\n')
        tail = zkt.Process("-n", "+1", "-F", path, argv0="tail")
        p = s.process("trace", "push", "-s", sid, "--map", "nodeId=.component,timestamp=.ts",
                      "--every", "50ms", stdin=open(tail._proc("fd/1"), "rb")
                      if False else zkt.PIPE)
        p.stdin.write(pathlib.Path(path).read_bytes())
        p.stdin.flush()
        zkt.wait_for(lambda: len(session(s)["events"]) == 1, "the first line")
        tail.stop()
        for i in range(3):
            p.stdin.write(json.dumps({"ts": 1767225600.25 + i, "component": i, "n": i}).encode()
                          + b"\n")
        p.stdin.flush()
        zkt.wait_for(lambda: len(session(s)["events"]) == 4, "lines while the pipe is open")
        p.stdin.close()
        zkt.equal(p.wait(), 0, "the end of the pipe ends it")
        e = session(s)["events"]
        zkt.equal([(x["nodeId"], x["timestamp"], x["eventType"]) for x in e],
                  [("db", 1767225600000, "log"), ("0", 1767225600250, "log"),
                   ("1", 1767225601250, "log"), ("2", 1767225602250, "log")], "mapped")
        zkt.equal(e[0]["data"]["preview"]["msg"], "a", "the line is the preview")
        zkt.equal(session(s)["status"], "running", "a session that was given stays open")


def test_cron_job():
    """The README's cron job: start, two commands, complete; each with its own exit status."""
    with zeal.Server("as-built") as s:
        work = zkt.tmp()
        zkt.write(work + "/fetch.sh", "#!/bin/sh\ncat\necho fetched\n", 0o755)
        zkt.write(work + "/load.sh", "#!/bin/sh\necho no >&2\nexit 4\n", 0o755)
        script = ('eval "$($ZK trace start -w wf_9 --trigger cron --export-env)"\n'
                  '$ZK trace exec --node fetch -- ./fetch.sh < in && '
                  '$ZK trace exec --node load -- ./load.sh\necho "load: $?"; '
                  '$ZK trace complete --status auto\n')
        zkt.write(work + "/in", "input\n")
        p = zkt.Process("-c", script, argv0="/bin/sh", cwd=work, env={**s.env, "ZK": zkt.ZK})
        zkt.equal(p.wait(), 0, "the job")
        zkt.equal(p.out, "input\nfetched\nload: 4\n", "stdin, stdout and exit status are its own")
        zkt.equal(p.err, "no\n", "stderr too, and nothing else")
        got = session(s)
        zkt.equal([(e["nodeId"], e["eventType"]) for e in got["events"]],
                  [("fetch", "input"), ("fetch", "output"), ("load", "input"), ("load", "error")],
                  "what the session holds")
        zkt.equal(got["events"][3]["metadata"]["custom"]["exit_status"], 4, "the exit status")
        zkt.equal(got["events"][3]["data"]["preview"], "no\n", "the end of stderr")
        zkt.equal((got["status"], got["summary"]["totalNodes"], got["summary"]["failedNodes"]),
                  ("failed", 2, 1), "auto is error when a node failed")
        zkt.equal(got["metadata"], {"trigger": "cron"}, "the trigger")


def test_exec_is_transparent():
    with zeal.Server("as-built") as s:
        sid = s.zk("trace", "start", "-w", "wf").out.strip()

        def run(*argv, **kw):
            return s.zk("trace", "exec", "-s", sid, "--", *argv, **kw)
        zkt.equal([run("sh", "-c", f"exit {n}").status for n in (0, 1, 42, 255)],
                  [0, 1, 42, 255], "exit statuses")
        zkt.equal(run("/nonexistent/x").status, 127, "no such command")
        zkt.equal(run("/etc/passwd").status, 126, "not executable")
        for sig in (signal.SIGTERM, signal.SIGKILL, signal.SIGUSR1):
            r = run("sh", "-c", f"kill -{sig.value} $$")
            zkt.equal(r.status, 128 + sig.value, f"killed by {sig.name}")
        p = s.process("trace", "exec", "-s", sid, "--", "sh", "-c",
                      "trap 'echo got; exit 7' TERM; echo ready; while :; do sleep 0.05; done")
        zkt.wait_for(lambda: "ready" in p.out, "the command")
        p.signal(signal.SIGTERM)
        zkt.equal((p.wait(), p.out), (7, "ready\ngot\n"), "signals are passed on")
        r = run("sh", "-c", "printf '%s' \"$ZK_TRACE_SESSION $ZK_TRACE_PARENT\"")
        zkt.equal(r.out, f"{sid} sh", "nested commands find the session")
        n = len(session(s)["events"])
        r = s.zk("trace", "exec", "-s", sid, "--node", "out", "--", zkt.ZK, "trace", "exec", "--",
                 "true")
        nested = session(s)["events"][n:]
        zkt.equal([(e["nodeId"], e["metadata"]["custom"].get("parent")) for e in nested],
                  [("out", None), ("true", "out"), ("true", "out"), ("out", None)],
                  "nested ones name their parent")
        r = s.zk("trace", "exec", "--optional", "--", "sh", "-c", "echo a; exit 5")
        zkt.equal((r.status, r.out, r.err), (5, "a\n", ""), "without a session it is not there")
        r = s.zk("trace", "exec", "--", "sh", "-c", "exit 5")
        zkt.equal(r.status, 5, "nor is it without --optional, but for a word", r.err)


def test_exec_without_a_server():
    with zeal.Server("as-built") as s:
        sid = s.zk("trace", "start", "-w", "wf").out.strip()
        s.faults([{"on": "*", "do": "hang"}])
        began = time.monotonic()
        r = s.zk("trace", "exec", "-s", sid, "--", "sh", "-c", "exit 3")
        zkt.equal(r.status, 3, "a server that hangs does not change the exit status")
        zkt.ok(time.monotonic() - began < 6 * zkt.SLOW, "nor hold the job up for long")
        r = s.zk("trace", "exec", "-s", sid, "--fail", "--", "true")
        zkt.equal(r.status, 75, "--fail makes it visible", r.err)
        r = s.zk("trace", "exec", "-s", sid, "--fail", "--", "false")
        zkt.equal(r.status, 1, "but never instead of the command's own failure")
        s.faults([])
        r = s.zk("spool", "flush")
        zkt.equal((r.status, len(session(s)["events"])), (0, 6), "the spool had it all", r.err)
        n = s.url
        s.env["ZK_ZEAL_BASE_URL"] = "http://127.0.0.1:1"
        r = s.zk("trace", "start", "-w", "wf2", "--export-env")
        zkt.matches("export ZK_TRACE_SESSION='local-", r.out, "a session begins without a server")
        s.env["ZK_ZEAL_BASE_URL"] = n


def test_offline_job():
    """Everything of a job goes to the spool, and arrives later in order."""
    with zeal.Server("as-built") as s:
        r = s.zk("trace", "start", "-w", "wf", "--spool-only", "--tag", "a", "--tag", "b",
                 "--env", "test")
        sid = r.out.strip()
        zkt.ok(sid.startswith("local-"), "a local session")
        for args in (["event", "--node", "a", "--data", "text"],
                     ["exec", "--node", "b", "--", "true"], ["complete"]):
            r = s.zk("trace", args[0], "-s", sid, *args[1:])
            zkt.equal(r.status, 0, f"trace {args[0]}", r.err)
        zkt.equal(s.log(), [], "nothing was sent")
        rows = s.zk("spool", "list").rows
        zkt.equal([x["records"] for x in rows], [5], "five records in the spool")
        mode = [f.stat().st_mode & 0o777 for f in pathlib.Path(s.home).rglob("*.db")]
        zkt.equal(set(mode), {0o600}, "spool files are their owner's")
        r = s.zk("spool", "flush")
        zkt.equal(r.status, 0, "flush", r.err)
        got = session(s)
        zkt.equal([(e["nodeId"], e["eventType"]) for e in got["events"]],
                  [("a", "log"), ("b", "input"), ("b", "output")], "in order")
        zkt.equal((got["status"], got["metadata"]),
                  ("completed", {"environment": "test", "tags": ["a", "b"]}), "opened and closed")
        r = s.zk("trace", "push", E5000, "-w", "wf", "--spool-only")
        zkt.equal((r.status, len(s.state()["sessions"])), (0, 1), "push --spool-only", r.err)
        r = s.zk("spool", "flush")
        zkt.equal((r.status, len(session(s, 1)["events"]), session(s, 1)["status"]),
                  (0, 5000, "failed"), "and flush", r.err)


def test_event_and_complete():
    with zeal.Server("as-built") as s:
        sid = s.zk("trace", "start", "-w", "wf").out.strip()
        env = {"ZK_TRACE_SESSION": sid, "ZK_TRACE_NODE": "here"}
        r = s.zk("trace", "event", env=env)
        zkt.equal(r.status, 0, "an event", r.err)
        s.zk("trace", "event", "--type", "output", "--size", "4096", "--duration", "1.5s",
             "--node", "n", "--data", "-", env=env, stdin=b'{"a":5000000000000001}')
        s.zk("trace", "event", "--error", "disk full", "--data", "@" + E50, env=env)
        e = [x["json"]["events"][0] for x in s.log() if x["url"].endswith("/events")]
        zkt.equal([(x["nodeId"], x["eventType"], x["data"]["size"]) for x in e[:2]],
                  [("here", "log", 0), ("n", "output", 4096)], "what was sent")
        zkt.contains("5000000000000001", s.log()[2]["body"], "numbers survive")
        zkt.equal((e[1]["duration"], e[2]["metadata"]["custom"]["error"]["message"]),
                  (1500, "disk full"), "duration; the error where the server keeps it")
        r = s.zk("trace", "complete", "--summary", '{"totalNodes":1}', env=env)
        zkt.equal(r.status, 65, "a summary needs five numbers")
        r = s.zk("trace", "complete", "--error", "because", env=env)
        got = session(s)
        zkt.equal((r.status, got["status"], got["summary"]["failedNodes"]), (0, "failed", 1),
                  "completed with an error")
        zkt.equal(got["events"][-1]["metadata"]["custom"]["error"], {"message": "because"},
                  "which is an event as well")
        r = s.zk("trace", "event", "--data", '"a\\u0000"', env=env)
        zkt.equal(r.status, 65, "U+0000 is refused here")
        zkt.equal(s.zk("trace", "event", "--optional").status, 0, "no session, --optional")
        zkt.equal(s.zk("trace", "complete").status, 64, "no session")
        s.conf(token="t0ken")
        r = s.zk("trace", "event", env={**env, "ZK_ZEAL_TOKEN": "wrong!"})
        zkt.equal(r.status, 77, "a refused token", r.err)
        r = s.zk("trace", "event", env={**env, "ZK_ZEAL_TOKEN": "t0ken"})
        zkt.equal(r.status, 0, "a good one", r.err)


def test_reading():
    with zeal.Server("as-built") as s:
        for wf in ("wf_a", "wf_b", "wf_a"):
            s.zk("trace", "push", E50, "-w", wf)
        s.zk("trace", "start", "-w", "wf_a")
        rows = s.zk("trace", "list").rows
        zkt.equal(len(rows), 4, "list")
        rows = s.zk("trace", "list", "-w", "wf_a", "--status", "completed").rows
        zkt.equal([x["workflowId"] for x in rows], ["wf_a", "wf_a"], "by workflow and status")
        urls = [x["url"] for x in s.log() if "/executions?" in x["url"]]
        zkt.ok(all("workflowId" not in u for u in urls), "the server's filter is not used")
        r = s.zk("trace", "list", "--limit", "2")
        zkt.equal(len(r.rows), 2, "--limit")
        zkt.matches("--all for the rest", r.err, "a cut list says so")
        zkt.equal(s.zk("trace", "list", "--since", "2000-01-01T00:00:00Z", "--all").status, 0,
                  "--since")
        zkt.equal(s.zk("trace", "list", "--since", "soon").status, 64, "a wrong --since")
        r = s.zk("trace", "list", "-w", "none", "--exit-status")
        zkt.equal((r.status, r.out), (1, ""), "--exit-status")
        old = session(s)["id"]
        r = s.zk("trace", "show", old)
        zkt.equal(r.status, 69, "an execution that is not the newest cannot be read")
        zkt.matches("newest", r.err, "and zk says why")
    with zeal.Server("as-built") as s:
        s.zk("trace", "push", E50, "-w", "wf_a")
        sid = session(s)["id"]
        r = s.zk("trace", "show", sid, "-o", "json")
        zkt.equal((len(r.json["events"]), r.json["status"]), (50, "completed"), "show")
        r = s.zk("trace", "export", sid)
        again = zkt.write(zkt.tmp() + "/again.ndjson", r.out_bytes)
        zkt.equal([bare(e) for e in r.rows], [bare(e) for e in input_of(E50)],
                  "export gives what was pushed")
        r = s.zk("trace", "push", again, "-w", "wf_a", "--strict")
        zkt.equal((r.status, marks(session(s, 1)["events"])), (0, list(range(50))),
                  "and can be pushed again", r.err)
        sid = session(s, 1)["id"]
        r = s.zk("trace", "export", sid, "-o", "csv")
        zkt.equal(len(r.out.splitlines()), 51, "CSV")
        types = [e["eventType"] for e in input_of(E50)]
        r = s.zk("trace", "export", sid, "--filter", f"eventType={types[0]}", "--skip", "1", "--count", "3", "--buffer", "2")
        zkt.equal([[e["eventType"] for e in a] for a in r.rows], [[types[0]] * 2, [types[0]]], "operators", r.err)
        spans = otlp.decode(s.zk("trace", "export", sid, "-o", "otlp").out)
        zkt.equal((len(spans), len({x.trace_id for x in spans})), (51, 1), "OTLP, one trace")
        root = next(x for x in spans if not x.parent_id)
        zkt.ok(all(x.parent_id == root.span_id for x in spans if x is not root), "one root")
        r = s.zk("trace", "replay", sid, "--speed", "1000")
        zkt.equal([x["nodeId"] for x in r.rows], [e["nodeId"] for e in input_of(E50)], "replay")
        r = s.zk("trace", "replay", sid, "--speed", "0", "--to-events")
        zkt.equal({x["type"] for x in r.rows} <= {"node.executing", "node.completed",
                                                    "node.failed", "node.warning"}, True,
                  "as runtime events")


def test_ambiguous_writes():
    """Failures on every write: exactly 5,000 distinct events are stored."""
    kinds = ("status-after", "reset-after", "reset-in-answer", "truncate", "garbage")
    for do in kinds if os.environ.get("TEST_LONG") else kinds[:2]:
        with zeal.Server("as-built") as s:
            s.faults([{"on": "POST /traces/*", "every": 2, "do": do},
                      {"on": EVENTS, "every": 5, "do": "status", "status": 500, "body": "{}"},
                      {"on": EVENTS, "every": 3, "do": "status", "status": 429,
                       "headers": {"retry-after": "0"}, "body": "{}"}])
            r = s.zk("trace", "push", E5000, "-w", "wf", "--batch", "250")
            got = [x for x in s.state()["sessions"] if x["events"]]
            zkt.equal((r.status, len(got)), (0, 1), f"{do} on every other write", r.err)
            zkt.equal(sorted(marks(got[0]["events"])), list(range(5000)),
                      f"{do}: 5,000 events, each once")
            zkt.equal(len(s.state()["sessions"]), 1, f"{do}: one session")


def test_unreadable_sessions():
    """--on-ambiguous, when the detail cannot be read."""
    for mode, status, stored in (("resend", 0, None), ("skip", 0, 5000), ("stop", 76, 1000)):
        with zeal.Server("as-built") as s:
            s.faults([{"on": EVENTS, "at": [2], "do": "reset-after"},
                      {"on": "GET /executions/*", "do": "status", "status": 404,
                       "body": '{"error":{"code":"RESOURCE_NOT_FOUND","message":"no"}}'}])
            r = s.zk("trace", "push", E5000, "-w", "wf", "--batch", "500",
                     "--on-ambiguous", mode)
            seqs = marks(session(s)["events"])
            zkt.equal(r.status, status, f"{mode}: exit status", r.err)
            if mode == "resend":
                zkt.equal((set(seqs), len(seqs)), (set(range(5000)), 5500),
                          "resend: nothing is lost, one batch is there twice")
            else:
                zkt.equal(len(seqs), stored, f"{mode}: what is stored")
            if mode == "stop":
                rows = s.zk("spool", "list").rows
                zkt.equal((rows[0]["failed"], rows[0]["records"] >= 500), (500, True),
                          "stop: what is in doubt is kept, and not sent by itself", r.err)


def test_outage():
    with zeal.Server("as-built") as s:
        s.faults([{"on": EVENTS, "at": list(range(3, 100)), "do": "status", "status": 503,
                   "body": "{}"},
                  {"on": "GET /executions/*", "do": "status", "status": 503, "body": "{}"}])
        r = s.zk("trace", "push", E5000, "-w", "wf", "--batch", "500", "--retries", "1")
        zkt.equal((r.status, len(session(s)["events"])), (75, 1000), "an outage: the rest waits")
        zkt.matches("events are in the spool", r.err, "and zk says where")
        s.faults([])
        r = s.zk("spool", "flush")
        zkt.equal((r.status, sorted(marks(session(s)["events"])), session(s)["status"]),
                  (0, list(range(5000)), "failed"), "flush sends it, and closes", r.err)
        s.faults([{"on": EVENTS, "do": "reset"}])
        r = s.zk("trace", "push", E50, "-w", "wf", "--no-spool", "--retries", "1")
        zkt.ok(r.status in (75, 76), "without a spool", r.status, r.err)
        s.faults([])
        r = s.zk("trace", "push", "--resume")
        zkt.equal((r.status, len(session(s, 1)["events"]), session(s, 1)["status"]),
                  (0, 50, "completed"), "the file still has it: --resume", r.err)
        r = s.zk("trace", "push", "--resume")
        zkt.equal((r.status, len(s.state()["sessions"])), (0, 2), "then there is nothing to do")


def test_too_large_and_refused():
    with zeal.Server("as-built") as s:
        s.faults([{"on": EVENTS, "at": [1, 2, 3], "do": "status", "status": 413, "body":
                   '{"error":{"code":"PAYLOAD_TOO_LARGE","message":"no"}}'}])
        r = s.zk("trace", "push", E5000, "-w", "wf")
        sizes = [len(x["json"]["events"]) for x in s.log() if x["url"].endswith("/events")]
        zkt.equal((r.status, sizes[:4]), (0, [1000, 500, 250, 125]), "413 halves the batch")
        zkt.ok(max(sizes[4:]) > 125, "which grows again")
        zkt.equal(marks(session(s)["events"]), list(range(5000)), "nothing is lost")
        issues = {"error": {"code": "VALIDATION_ERROR", "message": "bad", "details": [
            {"code": "invalid_type", "path": ["events", 7, "data", "size"], "message": "no"},
            {"code": "invalid_type", "path": ["events", 9, "nodeId"], "message": "no"}]}}
        s.faults([{"on": EVENTS, "at": [1], "do": "status", "status": 400,
                   "body": json.dumps(issues)}])
        bad = zkt.tmp() + "/bad"
        r = s.zk("trace", "push", E50, "-w", "wf", "--rejects", bad)
        lines = [json.loads(x) for x in pathlib.Path(bad).read_text().splitlines()]
        zkt.equal((r.status, [(x["line"], x["reason"]) for x in lines]),
                  (3, [(8, "data.size: no"), (10, "nodeId: no")]), "what the server names", r.err)
        zkt.equal(len(session(s, 1)["events"]), 48, "the others are stored")


def test_poison():
    """An event that makes the server fail is found and set aside."""
    with zeal.Server("as-built") as s:
        lines = pathlib.Path(E50).read_text().splitlines()
        for i in (20, 33):
            lines[i] = lines[i].replace('"type":"', '"type":"poison/')
        path = zkt.write(zkt.tmp() + "/e.ndjson", "\n".join(lines) + "\n")
        s.conf(poison="poison/")
        bad = zkt.tmp() + "/bad"
        r = s.zk("trace", "push", path, "-w", "wf", "--rejects", bad)
        rejected = [json.loads(x)["line"] for x in pathlib.Path(bad).read_text().splitlines()]
        zkt.equal((r.status, rejected), (3, [21, 34]), "poison goes to the rejects", r.err)
        zkt.equal(sorted(marks(session(s)["events"])),
                  [n for n in range(50) if n not in (20, 33)], "all others are stored once")


def test_path_blind():
    with zeal.Server("path-blind") as s:
        r = s.zk("trace", "push", E50, "-w", "wf", "--retries", "2")
        zkt.ok(r.status in (75, 76) and "spool" in r.err, "such a server takes no events",
               r.status, r.err)
        zkt.equal(s.zk("spool", "list").rows[0]["records"], 51, "they wait")


def kill_points():
    return int(os.environ.get("TEST_KILLS", "2"))


def test_killed_and_resumed():
    """kill -9 at random points, then --resume: complete, and nothing twice."""
    for i in range(kill_points()):
        with zeal.Server("as-built") as s:
            s.faults([{"on": EVENTS, "every": 1, "do": "slow", "ms": 4}])
            extra = ["--durable"] if i % 3 == 2 else []
            p = s.process("trace", "push", E5000, "-w", "wf", "--batch", "100", *extra)
            delay = zkt.rng.random() * 0.8
            end = time.monotonic() + 0.15 + delay
            zkt.wait_for(lambda: time.monotonic() > end or p.status is not None, "the moment")
            p.signal(signal.SIGKILL)
            p.wait()
            tries = 0
            while tries < 5:
                r = s.zk("trace", "push", "--resume")
                tries += 1
                if r.status == 0:
                    break
            st = [x for x in s.state()["sessions"] if x["events"]]
            if not st:  # killed before the session was known
                r = s.zk("trace", "push", E5000, "-w", "wf")
                st = [x for x in s.state()["sessions"] if x["events"]]
            seqs = marks(st[0]["events"])
            zkt.equal((r.status, len(st), len(seqs), set(seqs) == set(range(5000))),
                      (0, 1, 5000, True), f"point {i} ({delay:.2f} s{' durable' if extra else ''})",
                      r.err, tries)
            zkt.equal(st[0]["status"], "failed", f"point {i}: closed")


def test_stopped():
    with zeal.Server("as-built") as s:
        s.faults([{"on": EVENTS, "every": 1, "do": "slow", "ms": 100}])
        p = s.process("trace", "push", E5000, "-w", "wf", "--batch", "100")
        zkt.wait_for(lambda: s.state()["sessions"] and session(s)["events"], "some events", 20)
        p.signal(signal.SIGTERM)
        zkt.equal(p.wait(), 128 + signal.SIGTERM, "TERM ends it by the signal", p.err)
        n = len(session(s)["events"])
        zkt.ok(n < 5000, "before the end of the file")
        r = s.zk("trace", "push", E5000, "--resume")
        zkt.equal((r.status, sorted(marks(session(s)["events"]))), (0, list(range(5000))),
                  "--resume FILE goes on", r.err)


def test_idle_connections_close():
    """The server closes what is idle [T 1]: nothing is lost, nothing is there twice."""
    with zeal.Server("as-built", "--keep-alive", "200") as s:
        lines = pathlib.Path(E50).read_bytes().splitlines(keepends=True)
        p = s.process("trace", "push", "-w", "wf", "--every", "20ms", stdin=zkt.PIPE)
        for i in range(0, 12, 4):
            p.stdin.write(b"".join(lines[i:i + 4]))
            p.stdin.flush()
            zkt.wait_for(lambda n=i + 4: s.state()["sessions"]
                         and len(session(s)["events"]) == n, f"{i + 4} events")
            zkt.wait_for(lambda: s.connections() == 0, "the server closed the connection")
        p.stdin.close()
        zkt.equal((p.wait(), marks(session(s)["events"]), session(s)["status"]),
                  (0, list(range(12)), "completed"), "each once, in order", p.err)
        zkt.ok("attempt" not in p.err, "and without a word", p.err)


def test_observed():
    """Metrics of §10, and spans that name the workflow."""
    with zeal.Server("as-built") as s:
        path, spans = zkt.tmp() + "/m.prom", zkt.tmp() + "/spans"
        r = s.zk("trace", "push", E5000, "-w", "wf_7", "--metrics-file", path, "--otlp-file", spans)
        text = pathlib.Path(path).read_text()
        for line in ('zk_trace_events_total{result="stored"} 5000',
                     'zk_requests_total{method="POST",route="/traces/{session}/events",status="200"} 5',
                     'zk_requests_total{method="POST",route="/traces/sessions",status="200"} 1',
                     "zk_active_connections 1"):
            zkt.ok(line + "\n" in text, line, text if line + "\n" not in text else "", r.err)
        zkt.equal(list(pathlib.Path(path).parent.iterdir()), [pathlib.Path(path)], "no half is left")
        got = [x for t in pathlib.Path(spans).read_text().splitlines() for x in otlp.decode(t)]
        calls = [x for x in got if "http.request.method" in x.attrs]
        zkt.equal({x.attrs.get("zeal.workflow_id") for x in calls}, {"wf_7"},
                  "spans of requests name the workflow")
        p = s.process("trace", "push", "-w", "wf", "--metrics-listen", "127.0.0.1:0", stdin=zkt.PIPE)
        zkt.wait_for(lambda: "metrics at http" in p.err, "the listener")
        url = p.err.split("metrics at ")[1].split()[0]
        p.stdin.write(pathlib.Path(E50).read_bytes())
        p.stdin.flush()

        def answer():
            with urllib.request.urlopen(url, timeout=30 * zkt.SLOW) as a:
                return a.read().decode()
        zkt.wait_for(lambda: 'zk_trace_events_total{result="stored"} 50' in answer(),
                     "GET /metrics while it runs")
        p.stdin.close()
        zkt.equal(p.wait(), 0, "it ends as ever", p.err)
        r = s.zk("trace", "list", "--metrics-file", "/nonexistent/m")
        zkt.equal(r.status, 73, "a file that cannot be made")


def test_receipts_and_disk_full():
    with zeal.Server("as-built") as s:
        path = zkt.tmp() + "/r.ndjson"
        r = s.zk("trace", "push", E50, "-w", "wf", "--receipts", path)
        rows = [json.loads(x) for x in pathlib.Path(path).read_text().splitlines()]
        zkt.equal((r.status, len(rows), {x["result"] for x in rows}, rows[4]["line"]),
                  (0, 50, {"sent"}, 5), "one receipt per event")
        s.faults([{"on": EVENTS, "do": "status", "status": 503, "body": "{}"},
                  {"on": "GET /executions/*", "do": "status", "status": 503, "body": "{}"}])
        r = s.zk("trace", "push", E5000, "-w", "wf", "--retries", "0",
                 "--spool-max-bytes", "64KiB", "--spool-when-full", "fail")
        zkt.equal(r.status, 74, "a spool without room fails aloud", r.err)
        # A disk that is full: no file may grow beyond 256 KiB.
        s.faults([{"on": EVENTS, "at": list(range(3, 99)), "do": "status", "status": 503, "body": "{}"}])
        p = zkt.Process("-c", 'trap "" XFSZ; ulimit -f 512; exec "$ZK" trace push "$0" -w full '
                        "--retries 0", E5000, argv0="/bin/sh", env={**s.env, "ZK": zkt.ZK})
        zkt.equal(p.wait(), 74, "so does a full disk", p.err)
        zkt.matches("free some space", p.err, "which zk says how to mend")
        s.faults([])
        got = next(x for x in s.state()["sessions"] if x["workflowId"] == "full")
        zkt.equal(len(got["events"]), 2000, "until then all was sent")
        # Both runs are taken up, the older one first.
        runs = [s.zk("trace", "push", E5000, "--resume").status for _ in range(2)]
        whole = [marks(x["events"]) == list(range(5000)) for x in s.state()["sessions"][-2:]]
        zkt.equal((runs, whole), ([0, 0], [True, True]), "--resume FILE finds the rest in the file")


def test_full_file_system():
    """The spool on a file system without room: what it took is kept, the rest is found again."""
    with zkt.SmallDisk("640k") as disk, zeal.Server("as-built") as s:
        if not disk.folder:
            zkt.skip("disk full", "needs the right to mount a small file system")
            return
        spool = disk.folder + "/spool"
        s.faults([{"on": EVENTS, "at": list(range(3, 99)), "do": "status", "status": 503, "body": "{}"}])
        r = s.zk("trace", "push", E5000, "-w", "wf", "--retries", "0", "--spool", spool)
        zkt.equal(r.status, 74, "a full disk fails aloud", r.err)
        zkt.matches("free some space", r.err, "and zk says how to mend it")
        s.faults([])
        r = s.zk("trace", "push", E5000, "--resume", "--spool", spool)
        got = marks(s.state()["sessions"][-1]["events"])
        if r.status:  # there may be no room for what was kept to be marked as sent
            disk.grow("30m")
            r = s.zk("trace", "push", E5000, "--resume", "--spool", spool)
            got = marks(s.state()["sessions"][-1]["events"])
        zkt.equal((r.status, got), (0, list(range(5000))), "once there is room, all 5000 are there", r.err)


zkt.main()
