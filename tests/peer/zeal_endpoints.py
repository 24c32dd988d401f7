"""Every row of the endpoint index (specs/zeal-zip.md §3) by its number: the command that drives it,
and the exact request that the server gets."""

import json
import os
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


zkt.main()
