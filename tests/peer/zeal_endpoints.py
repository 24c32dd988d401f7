"""Every row of the endpoint index (specs/zeal-zip.md §3) by its number: the command that drives it,
and the exact request that the server gets."""

import json
import os
import pathlib
import re
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../lib"))
import zeal  # noqa: E402
import zkt  # noqa: E402

ZIP, GRAPH = "/api/zip", "/api/zip/orchestrator"


class Rows:
    """Runs commands and looks for the request of a row among those that came of it."""

    def __init__(self, server):
        self.s = server

    def __call__(self, row, args, method, url, body=None, status=0):
        self.s.log(forget=True)
        r = self.s.zk(*args)
        log = self.s.log()
        zkt.equal(r.status, status, f"row {row}: zk {' '.join(map(str, args[:3]))}", r.err)
        hits = [q for q in log if (q["method"], q["url"]) == (method, url)]
        zkt.equal(len(hits), 1, f"row {row}: {method} {url}", [(q["method"], q["url"]) for q in log])
        if hits:
            sent = hits[0]["json"]
            zkt.equal(sent, body(sent) if callable(body) else body, f"row {row}: its body")
            zkt.equal(hits[0]["headers"].get("content-type"), "application/json" if sent else None,
                      f"row {row}: its type")
        return r


def test_health_and_templates():
    with zeal.Server() as s:
        row = Rows(s)
        row(1, ["health"], "GET", f"{ZIP}/health")
        row(2, ["health", "--deep"], "GET", f"{ZIP}/websocket")
        path = zeal.DATA / "templates/valid/csv-reader.json"
        one = json.loads(path.read_text())
        row(3, ["template", "register", "-n", "a b", path], "POST", f"{ZIP}/templates/register",
            {"namespace": "a b", "templates": [one]})
        row(4, ["template", "list", "-n", "a b"], "GET", f"{ZIP}/templates/a%20b")
        changed = zkt.write(zkt.tmp() + "/t.json", json.dumps({**one, "title": "Other"}))
        rest = {k: v for k, v in {**one, "title": "Other"}.items() if k != "id"}
        row(5, ["template", "register", "-n", "a b", changed], "PUT", f"{ZIP}/templates/a%20b/{one['id']}",
            lambda sent: {**rest, "inputs": sent["inputs"], "outputs": sent["outputs"]})
        row(6, ["template", "delete", "-n", "a b", one["id"]], "DELETE", f"{ZIP}/templates/a%20b/{one['id']}")
        row(7, ["template", "category", "list"], "GET", f"{ZIP}/categories")
        categories = [{"name": "machine-vision", "displayName": "Machine Vision"}]
        path = zkt.write(zkt.tmp() + "/c.json", json.dumps(categories))
        row(7, ["template", "category", "register", path], "POST", f"{ZIP}/categories",
            {"categories": categories})
        path = zkt.write(zkt.tmp() + "/b.js", "export default 1;\n")
        r = row(8, ["template", "bundle", "upload", "-n", "zk", path, "-o", "json"], "POST",
                f"{ZIP}/components", {"namespace": "zk", "source": "export default 1;\n"})
        bundle = r.json["bundleId"]
        row(8, ["template", "bundle", "get", "-n", "zk", bundle], "GET", f"{ZIP}/components/zk/{bundle}")


def test_orchestrator():
    with zeal.Server() as s:
        row = Rows(s)
        wf = row(9, ["workflow", "create", "demo", "-o", "json"], "POST", f"{GRAPH}/workflows",
                 {"name": "demo"}).json["workflowId"]
        row(9, ["workflow", "list"], "GET", f"{GRAPH}/workflows?limit=100&offset=0")
        row(10, ["workflow", "show", wf], "GET", f"{GRAPH}/workflows/{wf}/state?graphId=main")
        at = {"workflowId": wf, "graphId": "main"}
        row(11, ["node", "add", wf, "zk/a", "--at", "1,2.5"], "POST", f"{GRAPH}/nodes",
            {**at, "templateId": "zk/a", "position": {"x": 1, "y": 2.5}})
        s.zk("node", "add", wf, "zk/b")
        a, b = (n["id"] for n in s.graph()["nodes"])
        row(12, ["node", "set", wf, a, "k=v"], "PATCH", f"{GRAPH}/nodes/{a}", {**at, "properties": {"k": "v"}})
        row(13, ["connection", "add", wf, f"{a}.out", f"{b}.in"], "POST", f"{GRAPH}/connections",
            {**at, "source": {"nodeId": a, "portId": "out"}, "target": {"nodeId": b, "portId": "in"}})
        conn = s.graph()["connections"][0]["id"]
        row(13, ["connection", "delete", wf, conn], "DELETE", f"{GRAPH}/connections",
            {**at, "connectionId": conn})
        row(14, ["group", "add", wf, "G", a, b], "POST", f"{GRAPH}/groups",
            {**at, "title": "G", "nodeIds": [a, b]})
        group = s.graph()["groups"][0]["id"]
        row(14, ["group", "delete", wf, group], "DELETE", f"{GRAPH}/groups", {**at, "groupId": group})
        row(12, ["node", "delete", wf, a], "DELETE", f"{GRAPH}/nodes/{a}?workflowId={wf}&graphId=main")


def test_traces():
    with zeal.Server() as s:
        row = Rows(s)
        sid = row(15, ["trace", "start", "-w", "wf_1", "--execution", "job-42", "--trigger", "cron"], "POST",
                  f"{ZIP}/traces/sessions", {"workflowId": "wf_1", "executionId": "job-42",
                                             "metadata": {"trigger": "cron"}}).out.strip()

        def event(sent):
            e = sent["events"][0]
            return {"events": [{"timestamp": e["timestamp"], "nodeId": "n", "eventType": "log",
                                "data": {"size": 3, "type": e["data"]["type"], "preview": e["data"]["preview"]},
                                "metadata": e["metadata"]}]}
        row(16, ["trace", "event", "-s", sid, "--node", "n", "--data", "abc"], "POST",
            f"{ZIP}/traces/{sid}/events", event)
        row(17, ["trace", "complete", "-s", sid], "POST", f"{ZIP}/traces/{sid}/complete",
            lambda sent: {"status": "success", "summary": {"totalNodes": 1, "successfulNodes": 1, "failedNodes": 0,
                          "totalDuration": sent["summary"]["totalDuration"], "totalDataProcessed": 3}})
        row(18, ["trace", "list", "--limit", "1"], "GET", f"{ZIP}/executions?limit=100&offset=0")
        row(19, ["trace", "show", sid], "GET", f"{ZIP}/executions/{sid}")
        row(19, ["trace", "replay", sid, "--speed", "0"], "GET", f"{ZIP}/executions/{sid}/replay")


def test_webhooks():
    with zeal.Server() as s:
        row = Rows(s)
        hook = row(20, ["webhook", "register", "http://127.0.0.1:9/h", "-o", "json"], "POST", f"{ZIP}/webhooks",
                   lambda sent: {"namespace": "default", "url": "http://127.0.0.1:9/h",
                                 "events": sent["events"]}).json["webhookId"]
        row(20, ["webhook", "list"], "GET", f"{ZIP}/webhooks?namespace=default")
        row(21, ["webhook", "pause", hook], "PATCH", f"{ZIP}/webhooks/{hook}", {"isActive": False})
        # Nobody listens there, which the server says with a 200.
        row(21, ["webhook", "test", hook], "POST", f"{ZIP}/webhooks/{hook}", status=1)
        row(21, ["webhook", "delete", hook], "DELETE", f"{ZIP}/webhooks/{hook}")


# The acceptance checklist (specs/zeal-zip.md §14) but for events and webhooks, which stand in
# zeal_events.mjs and zeal_webhook.py: number, line, and the tests that show it.
ACCEPTANCE = """
R1 base with trailing slash | zeal_health.test_requests
R2 percent-encoded ids | zeal_templates.test_reading
R3 no nulls | zeal_workflows.test_apply zeal_trace.test_push_whole
R4 no compressed bodies | zeal_templates.test_register zeal_trace.test_push_whole
R5 X-User-Id on lists | zeal_health.test_requests zeal_workflows.test_apply
R6 token on every call, never printed | zeal_health.test_requests zeal_trace.test_event_and_complete
E1 each row of errors/bodies.json | test_zip_fault.every_row_of_the_table
E2 HTML 404 | test_zip_fault.every_row_of_the_table zeal_templates.test_categories_and_bundles
E3 empty 500, truncated body | test_zip_fault.a_good_status_needs_a_good_body zeal_templates.test_a_broken_answer
E4 chunked reply split at every byte | zeal_health.test_drip_and_redirects http_client.test_ends_of_bodies
E5 reset before and after storing | zeal_templates.test_faults zeal_trace.test_ambiguous_writes
T1 429 with each of the three hints | test_zip_fault.each_of_the_three_hints zeal_health.test_retries
T2 breaker opens and recovers | zeal_health.test_breaker
T3 R2 never repeated blindly | zeal_workflows.test_single_writes_under_faults zeal_trace.test_ambiguous_writes
P1 all fixture verdicts | zeal_templates.test_verdicts zeal_templates.test_the_servers_own_validator
P2 mixed register result: exit 3 and lines | zeal_templates.test_mixed_result
P3 upsert of 200 templates | zeal_templates.test_register
P4 diff after register is empty | zeal_templates.test_register
W1 returned node id is in the state | zeal_workflows.test_nodes
W2 apply twice = no operation | zeal_workflows.test_apply
W3 plan file matched | zeal_workflows.test_apply
W4 300-node grid after one run | zeal_workflows.test_grid
W5 kill -9 in the middle, apply again | zeal_workflows.test_grid_killed
W6 delete leaves no dangling connection | zeal_workflows.test_nodes
X1 5000 events in, 5000 stored, same order | zeal_trace.test_push_whole
X2 mixed file: 15 stored, 6 rejected | zeal_trace.test_push_bad_lines
X3 crash and resume without loss | zeal_trace.test_killed_and_resumed zeal_trace.test_stopped
X4 poison event isolated | zeal_trace.test_poison
X5 exec keeps statuses and signals | zeal_trace.test_exec_is_transparent
H1 frozen answer marked | zeal_health.test_deep
H2 --deep finds a dead database | zeal_health.test_deep
"""


def defines(test):
    """Whether the file of a test defines it: a function of Python, or a Test(suite, name) in C."""
    file, name = test.split(".")
    here = pathlib.Path(__file__).resolve().parent
    if not file.startswith("test_"):
        return bool(re.search(rf"^def {name}\(\):", (here / f"{file}.py").read_text(), re.M))
    suite = file.removeprefix("test_")
    return bool(re.search(rf"^Test\({suite}, {name}\)", (here.parent / f"unit/{file}.c").read_text(), re.M))


def test_acceptance_checklist():
    for line in ACCEPTANCE.strip().splitlines():
        what, _, tests = line.partition(" | ")
        zkt.equal([t for t in tests.split() if not defines(t)], [], what)


zkt.main()
