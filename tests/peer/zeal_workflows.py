"""zk workflow, node, connection and group against the stand-in: the exact requests, the ids that
were really stored, every write under every fault (specs/zeal-zip.md §5)."""

import collections
import json
import os
import resource
import sys
import urllib.request

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../lib"))
import zeal  # noqa: E402
import zkt  # noqa: E402

W = zeal.DATA / "workflows"
AFTER = ["status-after", "reset-after", "truncate", "reset-in-answer", "garbage"]


def graph_of(state):
    """A graph as texts: what it means, without ids."""
    key = {n["id"]: n["metadata"]["propertyValues"].get("zk.key", n["id"]) for n in state["nodes"]}
    return {
        "nodes": sorted((key[n["id"]], n["metadata"]["templateId"], n["position"]["x"], n["position"]["y"],
                         json.dumps(n["metadata"]["propertyValues"], sort_keys=True)) for n in state["nodes"]),
        "conns": sorted(f'{key.get(c["source"]["nodeId"])}.{c["source"]["portId"]} -> '
                        f'{key.get(c["target"]["nodeId"])}.{c["target"]["portId"]}' for c in state["connections"]),
        "groups": sorted((g["title"], g["color"], tuple(sorted(key.get(i) for i in g["nodeIds"])))
                         for g in state["groups"]),
    }


def bag(ops):
    return collections.Counter(json.dumps(o, sort_keys=True) for o in ops)


def test_verdicts():
    for name, rule in json.loads((W / "invalid/EXPECTED.json").read_text()).items():
        r = zkt.zk("workflow", "lint", W / "invalid" / name)
        zkt.equal(r.status, 0 if rule == "W202" else 65, f"{name}: exit status", r)
        zkt.ok(rule in [q["rule"] for q in r.rows], f"{name}: {rule}", r)
        zkt.ok(all(q["line"] and q["excerpt"] for q in r.rows), f"{name}: places")
    for name in ["etl.yaml", "etl.json", "etl-v2.json", "single-node.json", "grid-300.json"]:
        r = zkt.zk("workflow", "lint", W / name)
        zkt.equal((r.status, r.out), (0, ""), f"{name} is fine", r)
    folder = zkt.tmp()
    wf = zkt.write(folder + "/w.yaml", "zk: workflow/1\nname: w\nnodes:\n  a: {template: acme/csv-reader}\n"
                   "  b: {template: acme/csv-reader}\nconnections:\n  - a.rows -> b.path\n  - a.errors -> b.path\n"
                   "  - a.nope -> b.path\n  - a.path -> b.rows\n")
    r = zkt.zk("workflow", "lint", wf, "--templates", zeal.DATA / "templates/valid")
    zkt.equal(sorted({q["rule"] for q in r.rows}), ["W211", "W212", "W213"], "ports are checked", r)


def test_alias_bomb():
    """Nine levels of nine aliases, as they stand in every book: refused before they are made."""
    text = "zk: workflow/1\nname: bomb\nnodes:\n  a0: &a0 [x, x, x, x, x, x, x, x, x]\n" + "".join(
        f"  a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 10))
    bomb = zkt.write(zkt.tmp() + "/bomb.yaml", text)
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    r = zkt.zk("workflow", "lint", bomb)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    zkt.equal(r.status, 65, "an alias bomb", r)
    zkt.equal((r.rows[0]["rule"], r.rows[0]["line"]), ("limit", 9), "where it passes the limit")
    # 100 ms and 20 MB without sanitizers, which take ten times that.
    zkt.ok(cpu < 0.1 * 10 * zkt.SLOW, "in no time", cpu)


def test_apply():
    with zeal.Server() as s:
        r = s.zk("workflow", "apply", "-f", W / "etl.yaml", "--dry-run")
        zkt.equal((r.status, collections.Counter(q["op"] for q in r.rows)),
                  (1, {"add-node": 4, "connect": 5, "replace-group": 1}), "--dry-run: the plan", r)
        zkt.equal(s.state()["workflows"], [], "and nothing is made")
        s.log(forget=True)
        r = s.zk("workflow", "apply", "-f", W / "etl.yaml", "-o", "json")
        zkt.equal(r.status, 0, "apply", r)
        log = s.log(forget=True)
        zkt.equal(log[0]["headers"]["x-user-id"], "zip-integration", "lists with the user")
        create = next(q for q in log if q["method"] == "POST")
        zkt.equal((create["url"], create["json"]), ("/api/zip/orchestrator/workflows", {
            "name": "nightly-etl", "description": "Load yesterday's orders and keep the rejects."}), "create")
        wf = s.state()["workflows"][0]["id"]
        zkt.equal(r.json["workflowId"], wf, "its id")
        add = next(q for q in log if q["url"].endswith("/nodes"))
        zkt.equal(add["json"], {"workflowId": wf, "graphId": "main", "templateId": "zk-demo/csv-reader",
                                "position": {"x": 80, "y": 120}, "propertyValues": {
                                    "delimiter": ";", "skip": 1, "header": True, "zk.key": "read"}}, "add a node")
        stored = {n["id"] for n in s.graph()["nodes"]}
        conn = [q["json"] for q in log if q["url"].endswith("/connections")]
        zkt.equal(len(conn), 5, "connections")
        zkt.ok(all(c["source"]["nodeId"] in stored and c["target"]["nodeId"] in stored
                   and set(c) == {"workflowId", "graphId", "source", "target"} for c in conn),
               "with the ids that were stored")
        group = next(q["json"] for q in log if q["url"].endswith("/groups"))
        zkt.equal((group["title"], group["color"], len(group["nodeIds"])), ("Intake", "#2563eb", 2), "group")
        zkt.ok(all(None not in (q["json"] or {}).values() for q in log), "no nulls")
        want = graph_of(s.graph())
        for again in [W / "etl.yaml", W / "etl.json"]:
            r = s.zk("workflow", "apply", "-f", again)
            zkt.equal((r.status, r.out), (0, ""), f"{again.name} again: no operation", r)
            zkt.ok(all(q["method"] == "GET" for q in s.log(forget=True)), "and no write")
        r = s.zk("workflow", "diff", "-f", W / "etl.json")
        zkt.equal((r.status, r.out), (0, ""), "diff: the same")
        plan = json.loads((W / "etl-v2.plan.json").read_text())["operations"]
        r = s.zk("workflow", "diff", "-f", W / "etl-v2.json")
        zkt.equal((r.status, bag(r.rows)), (1, bag(plan)), "the plan of the second version", r)
        order = [q["op"] for q in r.rows]
        zkt.ok(order.index("delete-node") > max(i for i, o in enumerate(order) if o == "disconnect")
               and order.index("connect") > order.index("add-node"), "in its order", order)
        r = s.zk("workflow", "apply", "-f", W / "etl-v2.json")
        zkt.equal(r.status, 0, "apply it", r)
        zkt.equal(s.zk("workflow", "diff", "-f", W / "etl-v2.json").status, 0, "then nothing differs")
        zkt.equal(s.zk("workflow", "apply", "-f", W / "etl.yaml").status, 0, "and back")
        zkt.equal(graph_of(s.graph()), want, "the same graph as before")
        yaml = s.zk("workflow", "export", wf).out
        path = zkt.write(s.home + "/out.yaml", yaml)
        r = s.zk("workflow", "diff", "-f", path)
        zkt.equal((r.status, r.out), (0, ""), "what is exported declares the same", yaml)
        zkt.equal(s.zk("workflow", "export", wf).out, yaml, "always in the same order")
        dot = s.zk("workflow", "export", wf, "-o", "dot").out
        zkt.contains('"read" -> "check" [taillabel="rows", headlabel="in"]', dot, "for Graphviz")
        zkt.matches(r'n\d+ -- "rows" --> n\d+', s.zk("workflow", "export", wf, "-o", "mermaid").out, "Mermaid")


def test_ownership():
    with zeal.Server() as s:
        s.zk("workflow", "apply", "-f", W / "etl.yaml")
        wf = s.state()["workflows"][0]["id"]
        own = s.zk("node", "add", wf, "x/y", "--at", "5,5").rows[0]["id"]
        r = s.zk("workflow", "diff", "-f", W / "etl.yaml")
        zkt.equal(r.status, 0, "a node of somebody else is left alone", r)
        r = s.zk("workflow", "diff", "-f", W / "etl.yaml", "--prune")
        zkt.equal([(q["op"], q["node"]) for q in r.rows], [("delete-node", own)], "--prune")
        os.remove(s.home + "/state/zk/zeal.db")
        zkt.equal(s.zk("workflow", "diff", "-f", W / "etl.yaml").status, 0, "found by its name")
        s.zk("workflow", "create", "nightly-etl")
        zkt.equal(s.zk("workflow", "diff", "-f", W / "etl.yaml").status, 69, "a name that two have")
        zkt.equal(s.zk("workflow", "diff", "-f", W / "etl.yaml", "-w", wf).status, 0, "--workflow")
        one = zkt.write(s.home + "/one.yaml", "zk: workflow/1\nname: one\nnodes: {a: {template: t/x, "
                        "properties: {p: 1, q: [1, {r: null}]}}}\n")
        two = zkt.write(s.home + "/two.yaml", "zk: workflow/1\nname: one\nnodes: {a: {template: t/x}}\n")
        s.zk("workflow", "apply", "-f", one)
        r = s.zk("workflow", "apply", "-f", two)
        zkt.equal(r.rows, [{"op": "update-node", "node": "a", "properties": {"p": None, "q": None}}],
                  "properties that go become null", r)
        zkt.equal(s.zk("workflow", "diff", "-f", two).status, 0, "once")
        three = zkt.write(s.home + "/three.yaml", "zk: workflow/1\nname: one\nnodes: {a: {template: t/other}}\n")
        r = s.zk("workflow", "apply", "-f", three)
        zkt.equal([q["op"] for q in r.rows], ["delete-node", "add-node"], "another template: another node")


def check_grid(s, name):
    g = s.graph()
    zkt.equal((len(g["nodes"]), len(g["connections"])), (300, 299), f"{name}: 300 nodes, 299 connections")
    keys = {n["metadata"]["propertyValues"]["zk.key"] for n in g["nodes"]}
    zkt.equal(len(keys), 300, f"{name}: each once")
    r = s.zk("workflow", "apply", "-f", W / "grid-300.json")
    zkt.equal((r.status, r.out), (0, ""), f"{name}: a second apply changes nothing", r)


def test_grid():
    with zeal.Server() as s:
        r = s.zk("workflow", "apply", "-f", W / "grid-300.json")
        zkt.equal((r.status, len(r.rows)), (0, 599), "300 nodes, 299 connections", r.err)
        zkt.ok(len(s.log()) < 610, "one request each and a few reads")
        check_grid(s, "plain")


def test_grid_under_faults():
    kinds = AFTER + ["reset"] if os.environ.get("TEST_ALL") else ["reset-after"]
    for i, do in enumerate(kinds):
        with zeal.Server() as s:
            s.faults([{"on": "POST /orchestrator/*", "do": do, "every": 5 + i}])
            r = s.zk("workflow", "apply", "-f", W / "grid-300.json", timeout_s=120)
            zkt.equal(r.status, 0, f"{do}: apply", r.err)
            s.faults([])
            check_grid(s, do)


def test_grid_killed():
    with zeal.Server() as s:
        for _ in range(int(os.environ.get("TEST_KILLS", "4"))):
            before = len(s.log())
            with s.process("workflow", "apply", "-f", W / "grid-300.json") as p:
                n = zkt.rng.randrange(1, 120)
                zkt.wait_for(lambda: len(s.log()) >= before + n or p.status is not None, "requests", 60)
                p.kill()
        r = s.zk("workflow", "apply", "-f", W / "grid-300.json")
        zkt.equal(r.status, 0, "apply after kill -9", r.err)
        zkt.equal(len(s.state()["workflows"]), 1, "of one workflow")
        check_grid(s, "killed")


def test_etl_under_every_fault():
    """Each single write of both versions fails once, in each way: the graph is the same."""
    with zeal.Server() as s:
        s.zk("workflow", "apply", "-f", W / "etl.yaml")
        s.zk("workflow", "apply", "-f", W / "etl-v2.json")
        want = graph_of(s.graph())
    for do in AFTER:
        with zeal.Server() as s:
            s.faults([{"on": f"{m} /orchestrator/*", "do": do, "every": 2} for m in ("POST", "PATCH", "DELETE")])
            for f in ["etl.yaml", "etl-v2.json"]:
                r = s.zk("workflow", "apply", "-f", W / f)
                zkt.equal(r.status, 0, f"{do}: {f}", r)
            zkt.equal(len(s.state()["workflows"]), 1, f"{do}: one workflow")
            zkt.equal(graph_of(s.graph()), want, f"{do}: the graph")


def test_nodes():
    with zeal.Server() as s:
        wf = s.zk("workflow", "create", "w", "--description", "d").json["workflowId"]
        r = s.zk("node", "add", wf, "ns/t", "--at", "1,2.5", "--set", "a=1", "--set", "b:=[1,null]")
        node = r.rows[0]["id"]
        zkt.equal((r.status, node), (0, s.graph()["nodes"][0]["id"]), "the id that was stored", r)
        zkt.ok(node.startswith("node-"), "not the one that was answered")
        zkt.equal(s.graph()["nodes"][0]["metadata"]["propertyValues"], {"a": "1", "b": [1, None]}, "properties")
        zkt.equal(s.zk("node", "set", wf, node, "c=x", "a:=2").status, 0, "set")
        zkt.equal(s.log()[-1]["json"], {"workflowId": wf, "graphId": "main", "properties": {"c": "x", "a": 2}}, "PATCH")
        zkt.equal(s.zk("node", "move", wf, node, "7,-8").status, 0, "move")
        zkt.equal(s.graph()["nodes"][0]["position"], {"x": 7, "y": -8}, "it stands there")
        r = s.zk("node", "list", wf)
        zkt.equal((r.rows[0]["x"], r.rows[0]["template"]), (7, "ns/t"), "list", r)
        zkt.equal(s.zk("node", "add", "wf_none", "ns/t").status, 69, "no such workflow")
        zkt.equal(s.zk("node", "add", wf, "ns/t", "--graph", "nope").status, 69, "no such graph")
        zkt.equal(s.zk("node", "set", wf, "node-none", "a=1").status, 69, "no such node")
        r = s.zk("node", "add", wf, "ns/t", "--no-verify")
        zkt.equal((r.status, r.rows[0]["status"]), (0, "unverified"), "--no-verify says so", r)
        lines = "".join(json.dumps({"template": "ns/t", "position": [i, 0], "properties": {"i": i}}) + "\n"
                        for i in range(20))
        r = s.zk("node", "add", wf, "-", stdin=lines.encode())
        zkt.equal([q["x"] for q in r.rows], list(range(20)), "NDJSON, in order", r)
        ids = [q["id"] for q in r.rows]
        zkt.equal(ids, [n["id"] for n in s.graph()["nodes"]][-20:], "their ids")
        r = s.zk("node", "list", wf, "--where", "template=ns/* && properties.i>=18 && x!=19")
        zkt.equal([q["id"] for q in r.rows], [ids[18]], "list --where", r)
        r = s.zk("node", "list", wf, "--where", "key", "--exit-status")
        zkt.equal((r.status, r.out), (1, ""), "of which there is none", r)
        zkt.equal(s.zk("node", "list", wf, "--where", "x >").status, 64, "no expression")
        r = s.zk("connection", "add", wf, f"{ids[0]}.out", f"{ids[1]}.in")
        zkt.equal((r.status, r.rows[0]["id"]), (0, s.graph()["connections"][0]["id"]), "connection", r)
        zkt.equal(s.zk("connection", "add", wf, f"{ids[0]}.out", f"{ids[1]}.in").status, 69, "twice")
        zkt.equal(s.zk("connection", "add", wf, f"{ids[0]}.out", f"{ids[1]}.in", "--allow-duplicate").status, 0,
                  "--allow-duplicate")
        zkt.equal(s.zk("connection", "add", wf, f"{ids[0]}.out", "ghost.in").status, 69, "a dangling end")
        lines = "".join(json.dumps({"from": f"{a}.out", "to": {"node": b, "port": "in"}}) + "\n"
                        for a, b in zip(ids[1:], ids[2:]))
        r = s.zk("connection", "add", wf, "-", stdin=lines.encode())
        zkt.equal((r.status, len(r.rows)), (0, 18), "NDJSON", r)
        zkt.equal(len(s.zk("connection", "list", wf).rows), 20, "list")
        s.log(forget=True)
        r = s.zk("connection", "delete", wf, f"{ids[1]}.out", f"{ids[2]}.in")
        zkt.equal(r.status, 0, "delete by its ends", r)
        q = s.log()[-1]
        zkt.equal((q["method"], q["url"], set(q["json"])), ("DELETE", "/api/zip/orchestrator/connections",
                  {"workflowId", "graphId", "connectionId"}), "DELETE with a body")
        zkt.equal(s.zk("node", "delete", wf, ids[5], ids[0]).status, 0, "delete nodes")
        g = s.graph()
        there = {n["id"] for n in g["nodes"]}
        zkt.ok(all(c["source"]["nodeId"] in there and c["target"]["nodeId"] in there for c in g["connections"]),
               "no connection dangles")
        r = s.zk("group", "add", wf, "G", ids[6], ids[7], "--color", "#111111")
        gid = r.rows[0]["id"]
        zkt.equal((r.status, gid), (0, s.graph()["groups"][0]["id"]), "group", r)
        r = s.zk("group", "update", wf, gid, "--title", "H")
        g = s.graph()["groups"]
        zkt.equal((len(g), g[0]["title"], g[0]["nodeIds"], g[0]["color"], g[0]["id"]),
                  (1, "H", [ids[6], ids[7]], "#111111", r.rows[0]["id"]), "group update: read, delete, create", r)
        zkt.equal(len(s.zk("group", "list", wf).rows), 1, "group list")
        zkt.equal(s.zk("group", "delete", wf, g[0]["id"]).status, 0, "group delete")
        zkt.equal(s.zk("group", "delete", wf, "group-none").status, 69, "of none")
        r = s.zk("workflow", "list", "--name", "w*")
        zkt.equal([q["workflowId"] for q in r.rows], [wf], "workflow list", r)
        zkt.equal(s.zk("workflow", "list", "--as-user", "else").out, "", "of another user: none")
        zkt.equal(s.zk("workflow", "show", wf, "-o", "json").json["name"], "w", "show")
        for _ in range(250):
            rq = urllib.request.Request(s.url + "/api/zip/orchestrator/workflows", b'{"name": "many"}',
                                        {"content-type": "application/json"})
            urllib.request.urlopen(rq).close()
        zkt.equal(len(s.zk("workflow", "list", "--all").rows), 251, "every page")
        r = s.zk("workflow", "list")
        zkt.ok(len(r.rows) == 100 and "--all" in r.err, "a cut list says so", r.err)


def test_dry_runs_write_nothing():
    with zeal.Server() as s:
        wf = s.zk("workflow", "create", "w").json["workflowId"]
        a, b = (s.zk("node", "add", wf, "ns/t").rows[0]["id"] for _ in range(2))
        s.zk("connection", "add", wf, f"{a}.o", f"{b}.i")
        group = s.zk("group", "add", wf, "G", a).rows[0]["id"]
        s.log(forget=True)
        for args in (["workflow", "create", "v"], ["node", "add", wf, "ns/t"], ["node", "set", wf, a, "k=v"],
                     ["node", "move", wf, a, "1,1"], ["node", "delete", wf, a],
                     ["connection", "add", wf, f"{b}.o", f"{a}.i"], ["connection", "delete", wf, f"{a}.o", f"{b}.i"],
                     ["group", "add", wf, "H", b], ["group", "update", wf, group, "--title", "H"],
                     ["group", "delete", wf, group]):
            r = s.zk(*args, "--dry-run")
            zkt.ok(r.status == 0 and "would be" in r.out, " ".join(args[:2]) + " --dry-run", r)
        zkt.ok(all(q["method"] == "GET" for q in s.log()), "nothing but GETs")
        zkt.equal(s.zk("node", "set", wf, "ghost", "k=v", "--dry-run").status, 69, "what is missing is missed")


def test_watch():
    with zeal.Server() as s:
        wf = s.zk("workflow", "create", "w").json["workflowId"]
        with s.process("workflow", "watch", wf, "--every", "50ms", "-o", "ndjson") as p:
            zkt.wait_for(lambda: len(s.log()) > 3, "the first look")
            node = s.zk("node", "add", wf, "ns/t").rows[0]["id"]
            zkt.wait_for(lambda: "node.added" in p.out, "the new node")
            s.zk("node", "move", wf, node, "3,4")
            zkt.wait_for(lambda: "node.updated" in p.out, "the move")
            s.zk("node", "delete", wf, node)
            zkt.wait_for(lambda: "node.deleted" in p.out, "its end")
            zkt.equal(p.stop(), 143, "a signal ends it")


def test_single_writes_under_faults():
    for do in AFTER:
        with zeal.Server() as s:
            s.faults([{"on": "POST /orchestrator/workflows", "do": do, "at": [1]}])
            r = s.zk("workflow", "create", "w")
            zkt.equal((r.status, len(s.state()["workflows"])), (0, 1), f"{do}: create", r)
            wf = s.state()["workflows"][0]["id"]
            s.faults([{"on": f"{m} /orchestrator/{k}*", "do": do, "every": 2}
                      for m in ("POST", "PATCH", "DELETE") for k in ("nodes", "connections", "groups")])
            lines = "".join(json.dumps({"template": "ns/t", "position": [i, 0]}) + "\n" for i in range(10))
            r = s.zk("node", "add", wf, "-", stdin=lines.encode())
            ids = [q["id"] for q in r.rows]
            zkt.equal((r.status, ids), (0, [n["id"] for n in s.graph()["nodes"]]), f"{do}: ten nodes", r)
            if r.status:
                continue
            for a, b in zip(ids, ids[1:5]):
                s.zk("connection", "add", wf, f"{a}.o", f"{b}.i")
            zkt.equal(len(s.graph()["connections"]), 4, f"{do}: four connections")
            for t in ("A", "B"):
                s.zk("group", "add", wf, t, ids[0])
            zkt.equal([g["title"] for g in s.graph()["groups"]], ["A", "B"], f"{do}: two groups")
            for i in (0, 1):
                s.zk("node", "set", wf, ids[i], "k=v")
                s.zk("group", "delete", wf, s.graph()["groups"][0]["id"])
            zkt.equal([n["metadata"]["propertyValues"].get("k") for n in s.graph()["nodes"][:2]], ["v", "v"],
                      f"{do}: set")
            s.zk("node", "delete", wf, ids[2], ids[3])
            g = s.graph()
            zkt.equal((len(g["nodes"]), len(g["groups"]), len(g["connections"])), (8, 0, 1), f"{do}: deletions")


def test_other_servers():
    with zeal.Server("ideal") as s:
        r = s.zk("workflow", "apply", "-f", W / "etl.yaml")
        zkt.equal((r.status, len(s.graph()["nodes"])), (0, 4), "an ideal server", r)
        zkt.equal(s.zk("workflow", "apply", "-f", W / "etl-v2.json").status, 0, "and its second version")
        zkt.equal(s.zk("workflow", "diff", "-f", W / "etl-v2.json").status, 0, "is there")
    with zeal.Server("path-blind") as s:
        wf = s.zk("workflow", "create", "w").json["workflowId"]
        r = s.zk("node", "add", wf, "ns/t")
        g = s.graph()
        zkt.equal((r.status, r.rows[0]["id"], len(g["nodes"])), (0, g["nodes"][0]["id"], 1),
                  "path-blind: the editor's API tells of the 500 that stored", r)
        posts = [q for q in s.log() if q["method"] == "POST" and q["url"].endswith("/nodes")]
        zkt.equal(len(posts), 1, "and it is not sent twice")
        home = zkt.tmp()
        for _ in range(2):
            r = s.zk("node", "list", wf, env={"XDG_STATE_HOME": home})
            zkt.equal((r.status, len(r.rows), r.err.count("server-unfit")), (0, 1, 1), "read through the editor", r)
        gets = [q["url"].split("?")[0] for q in s.log()][-3:]
        zkt.equal(gets, [f"/api/zip/orchestrator/workflows/{wf}/state", *["/api/orchestrator/nodes"] * 2],
                  "at once while it is remembered what this server is")
        zkt.equal(s.zk("node", "add", wf, "ns/t", "--compat=off").status, 76, "--compat=off")
        r = s.zk("workflow", "apply", "-f", W / "etl.yaml", "--log-format", "json")
        zkt.equal((r.status, "ZK3017" in r.err), (76, True), "apply says that it cannot", r)


zkt.main()
