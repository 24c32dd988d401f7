"""zk template: the lint against the fixtures and against the server's own validator, and every
command against the stand-in (specs/zeal-zip.md §4)."""

import hashlib
import json
import os
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../lib"))
import zeal  # noqa: E402
import zkt  # noqa: E402

T = zeal.DATA / "templates"
KEYS = ("path", "code", "expected", "received")


def expected(folder):
    return json.loads((T / folder / "EXPECTED.json").read_text())


def lint(*paths):
    return zkt.zk("template", "lint", *paths, "-o", "ndjson")


def test_verdicts():
    for name, issues in expected("invalid").items():
        r = lint(T / "invalid" / name)
        if issues[0]["code"] == "json_syntax":
            got = [{"code": q["rule"], "line": q["line"], "column": q["column"]} for q in r.rows]
            zkt.equal(got, issues, f"{name}: place of the error")
        elif issues[0]["code"] == "lint":
            zkt.ok(issues[0]["rule"] in [q["rule"] for q in r.rows], f"{name}: rule")
        else:
            got = [{k: q[k] for k in KEYS if k in q} for q in r.rows if q["rule"] == "schema"]
            want = [{k: i[k] for k in KEYS if k in i} for i in issues]
            got = [{k: v for k, v in g.items() if k in w} for g, w in zip(got, want)] + got[len(want):]
            zkt.equal(got, want, f"{name}: verdict", r)
        zkt.equal(r.status, 65, f"{name}: exit status")
        zkt.ok(all(q["excerpt"] for q in r.rows), f"{name}: excerpts")
    for name, rule in expected("lint").items():
        r = lint(T / "lint" / name)
        zkt.ok(rule in [q["rule"] for q in r.rows], f"{name}: {rule}", r)
        zkt.ok("schema" not in [q["rule"] for q in r.rows], f"{name}: the schema has nothing against it")
    for path in sorted((T / "valid").glob("*.json")):
        r = lint(path)
        zkt.equal(r.status, 0, f"{path.name}: no error", r)
    zkt.equal([q["rule"] for q in lint(T / "valid/minimal.json").rows], ["T115"], "minimal.json: T115")
    zkt.ok("T110" in [q["rule"] for q in lint(T / "valid/extra-keys.json").rows], "extra-keys.json: T110")
    for name in ["bundle-array.json", "register-request.json", "two-documents.yaml"]:
        zkt.equal(lint(T / name).status, 0, f"{name} is read")


def test_the_servers_own_validator():
    """Every issue that zod finds, the lint finds in the same words, and the other way round."""
    with zeal.Server() as s:
        files = [p for p in sorted(T.glob("*/*.json")) if p.name not in
                 ("EXPECTED.json", "truncated.json", "duplicate-key.json")]
        for path in files:
            doc = json.loads(path.read_text())
            answer = post(s, {"namespace": "x", "templates": [doc]})
            theirs = [{"path": i["path"][2:], "code": i["code"],
                       **{k: i[k] for k in ("expected", "received") if k in i}}
                      for i in answer.get("error", {}).get("details", [])
                      if isinstance(i, dict)]
            ours = [{k: q[k] for k in KEYS if k in q} for q in lint(path).rows if q["rule"] == "schema"]
            zkt.equal(ours, theirs, f"{path.name}: the same as the server's validator")


def post(s, value):
    import urllib.error
    import urllib.request
    rq = urllib.request.Request(s.url + "/api/zip/templates/register", json.dumps(value).encode(),
                                {"content-type": "application/json"})
    try:
        with urllib.request.urlopen(rq) as a:
            return json.load(a)
    except urllib.error.HTTPError as e:
        return json.load(e)


def make(n, title="T"):
    base = json.loads((T / "valid/csv-reader.json").read_text())
    return [{**base, "id": f"t{i:04}", "title": f"{title} {i}"} for i in range(n)]


def test_a_thousand():
    folder = zkt.tmp()
    for i, t in enumerate(make(1000)):
        zkt.write(f"{folder}/{t['id']}.json", json.dumps(t, indent=1))
    begin = time.monotonic()
    r = zkt.zk("template", "lint", folder)
    zkt.equal((r.status, r.out), (0, ""), "1,000 templates are fine")
    zkt.note(f"lint of 1,000 files: {time.monotonic() - begin:.2f} s with sanitizers")


def test_forms():
    one = json.loads((T / "valid/minimal.json").read_text())
    lines = "\n".join(json.dumps({**one, "id": f"n{i}"}) for i in range(3)) + "\n\n"
    r = zkt.zk("template", "lint", "-", "--fields", "file,line,item", stdin=lines.encode())
    zkt.equal([(q["line"], q["item"]) for q in r.rows], [(1, "n0"), (2, "n1"), (3, "n2")],
              "NDJSON on stdin", r)
    r = zkt.zk("template", "lint", "-", stdin=(T / "two-documents.yaml").read_bytes())
    zkt.equal(r.status, 0, "YAML on stdin")
    zkt.equal(zkt.zk("template", "lint", "/nowhere").status, 66, "a missing file")
    bomb = "a: &a [x,x,x,x,x,x,x,x,x,x]\n" + "".join(
        f"{c}: &{c} [" + ",".join([f"*{p}"] * 10) + "]\n" for p, c in zip("abcdefgh", "bcdefghi"))
    path = zkt.write(zkt.tmp() + "/bomb.yaml", bomb)
    begin = time.monotonic()
    r = lint(path)
    zkt.equal((r.status, r.rows[0]["rule"]), (65, "limit"), "an alias bomb fails", r)
    zkt.ok(time.monotonic() - begin < 5, "at once")
    deep = zkt.write(zkt.tmp() + "/deep.json", "[" * 100000 + "]" * 100000)
    zkt.equal(lint(deep).rows[0]["rule"], "limit", "so does deep nesting")
    tab = zkt.write(zkt.tmp() + "/tab.yaml", "id: a\nports:\n\t- x\n")
    zkt.equal([(q["rule"], q["line"]) for q in lint(tab).rows], [("yaml_syntax", 3)], "a tab")
    r = zkt.zk("template", "lint", T / "invalid/shape-hexagon.json", "--report", "github")
    zkt.matches(r"^::error file=.*shape-hexagon.json,line=11,col=12", r.out, "annotations")


def test_register():
    with zeal.Server() as s:
        folder = zkt.tmp()
        zkt.write(folder + "/all.json", json.dumps(make(200)))
        r = s.zk("template", "register", "-n", "acme", folder, "-o", "json")
        zkt.equal((r.status, {t["status"] for t in r.json["templates"]}), (0, {"registered"}),
                  "200 are registered", r.err)
        log = s.log(forget=True)
        posts = [q for q in log if q["method"] == "POST"]
        zkt.equal([len(q["json"]["templates"]) for q in posts], [50] * 4, "in chunks of 50")
        zkt.ok(all(q["url"] == "/api/zip/templates/register"
                   and q["headers"]["content-type"] == "application/json"
                   and "content-encoding" not in q["headers"] for q in posts), "the requests")
        zkt.equal(posts[0]["json"]["namespace"], "acme", "of the namespace")
        zkt.equal(posts[0]["json"]["templates"][0], make(1)[0], "as they stand in the file")
        r = s.zk("template", "diff", "-n", "acme", folder)
        zkt.equal((r.status, {q["status"] for q in r.rows}), (0, {"same"}), "diff after register is empty")
        r = s.zk("template", "register", "-n", "acme", folder)
        zkt.equal({q["status"] for q in r.rows}, {"unchanged"}, "again: nothing changes")
        zkt.ok(not [q for q in s.log(forget=True) if q["method"] == "PUT"], "and nothing is put")
        zkt.write(folder + "/all.json", json.dumps(make(200, "New")))
        r = s.zk("template", "diff", "-n", "acme", folder)
        zkt.equal((r.status, r.rows[0]["members"]), (1, "title"), "diff names the member")
        r = s.zk("template", "register", "-n", "acme", folder, "--dry-run")
        zkt.equal({q["status"] for q in r.rows}, {"updated"}, "--dry-run tells")
        zkt.ok(all(q["method"] == "GET" for q in s.log(forget=True)), "and sends nothing")
        r = s.zk("template", "register", "-n", "acme", folder)
        zkt.equal((r.status, {q["status"] for q in r.rows}), (0, {"updated"}),
                  "an upsert over 200 that exist", r)
        put = [q for q in s.log(forget=True) if q["method"] == "PUT"]
        zkt.equal(len(put), 200, "each is put")
        body = put[0]["json"]
        zkt.equal(put[0]["url"], "/api/zip/templates/acme/t0000", "at its own address")
        zkt.ok("id" not in body and body["ports"] == make(1)[0]["ports"], "whole, without its id")
        zkt.equal(body["inputs"], [{"id": "path", "label": "Path", "position": "left",
                                    "description": "string", "required": True, "multiple": False}],
                  "with the derived inputs")
        zkt.equal(body["outputs"][0], {"id": "rows", "label": "Rows", "position": "right",
                                       "description": "object", "multiple": True}, "and outputs")
        zkt.write(folder + "/all.json", json.dumps(make(3, "New")))
        r = s.zk("template", "register", "-n", "acme", folder, "--prune")
        zkt.equal(sorted(q["status"] for q in r.rows), ["pruned"] * 197 + ["unchanged"] * 3, "--prune")
        zkt.equal(len(s.state()["templates"]), 3, "the others are gone")
        r = s.zk("template", "register", "-n", "acme", folder, "--create-only")
        zkt.equal((r.status, {q["status"] for q in r.rows}), (69, {"failed"}), "--create-only")
        s.log(forget=True)
        r = s.zk("template", "register", "-n", "acme", folder, "--replace")
        zkt.equal({q["status"] for q in r.rows}, {"registered"}, "--replace")
        zkt.equal([q["method"] for q in s.log()].count("DELETE"), 3, "deletes first")
        bad = str(T / "invalid/several-at-once.json")
        s.log(forget=True)
        r = s.zk("template", "register", "-n", "acme", folder, bad)
        zkt.equal((r.status, s.log()), (65, []), "one invalid template: nothing is sent", r)
        zkt.matches(r"several-at-once.json:\d+:\d+", r.err, "with its place")
        r = s.zk("template", "register", folder)
        zkt.equal(r.status, 64, "without a namespace")
        r = s.zk("template", "register", T / "register-request.json")
        zkt.equal(r.status, 0, "the namespace of a request object", r)


def test_mixed_result():
    with zeal.Server() as s:
        item = {"registered": 1, "templates": [
            {"id": "t0000", "globalId": "a/t0000", "status": "registered"},
            {"id": "t0001", "globalId": "a/t0001", "status": "error", "error": "disk quota"}]}
        s.faults([{"on": "POST /templates/register", "do": "status", "status": 200,
                   "body": json.dumps(item)}])
        path = zkt.write(s.home + "/two.json", json.dumps(make(2)))
        r = s.zk("template", "register", "-n", "a", path)
        zkt.equal((r.status, [q["status"] for q in r.rows], r.rows[1]["error"]),
                  (3, ["registered", "failed"], "disk quota"), "a mixed result: 3, a line each", r)
        s.faults([{"on": "POST /templates/register", "do": "status", "status": 400, "body": json.dumps(
            {"error": {"code": "VALIDATION_ERROR", "message": "Invalid request format", "details": [
                {"code": "custom", "path": ["templates", 1, "ports", 0, "position"],
                 "message": "not today"}]}})}])
        r = s.zk("template", "register", "-n", "a", path)
        zkt.equal(r.status, 65, "what the server alone finds invalid", r)
        zkt.matches(r"ports\[0\]\.position: not today", r.err, "its words")
        zkt.matches(r"two\.json:1:\d{3,}", r.err, "at the place of the user's file")


def test_faults():
    faults = [("status-after", {"times": 2}), ("reset-after", {"at": [1]}), ("reset", {"at": [1]}), ("status", {"at": [1], "status": 503})]
    for do, when in faults:
        with zeal.Server() as s:
            path = zkt.write(s.home + "/all.json", json.dumps(make(60)))
            s.faults([{"on": "POST /templates/register", "do": do, **when}])
            r = s.zk("template", "register", "-n", "acme", path)
            zkt.equal((r.status, len(r.rows), len(s.state()["templates"])), (0, 60, 60),
                      f"{do} while registering: each is there once", r)
            s.faults([{"on": "PUT *", "do": do, **when}])
            zkt.write(path, json.dumps(make(60, "New")))
            r = s.zk("template", "register", "-n", "acme", path)
            zkt.equal((r.status, {t["title"][:3] for t in s.state()["templates"]}), (0, {"New"}),
                      f"{do} while updating: each is new")
            s.faults([{"on": "DELETE *", "do": do, **when}])
            r = s.zk("template", "delete", "-n", "acme", "t0001")
            zkt.equal((r.status, len(s.state()["templates"])), (0, 59), f"{do} while deleting")


def test_a_broken_answer():
    """It cannot be known what a 200 without its body means: said so, and a second run is safe."""
    with zeal.Server() as s:
        path = zkt.write(s.home + "/all.json", json.dumps(make(60)))
        s.faults([{"on": "POST /templates/register", "do": "truncate", "at": [1]}])
        zkt.equal(s.zk("template", "register", "-n", "acme", path).status, 76, "a truncated answer")
        r = s.zk("template", "register", "-n", "acme", path)
        zkt.equal((r.status, len(s.state()["templates"])), (0, 60), "the second run", r)


def test_reading():
    with zeal.Server() as s:
        one = json.loads((T / "valid/minimal.json").read_text())
        path = zkt.write(s.home + "/a.json", json.dumps(
            [{**one, "id": "a/b ü?#", "category": "x"}, {**one, "id": "plain", "category": "inputs"}]))
        zkt.equal(s.zk("template", "register", "-n", "ns", path).status, 0, "an id of any characters")
        r = s.zk("template", "get", "-n", "ns", "a/b ü?#", "-o", "json")
        zkt.equal(r.json["id"], "a/b ü?#", "get", r)
        s.log(forget=True)
        zkt.equal(s.zk("template", "delete", "-n", "ns", "a/b ü?#").status, 0, "delete")
        zkt.equal(s.log()[-1]["url"], "/api/zip/templates/ns/a%2Fb%20%C3%BC%3F%23",
                  "every character is encoded")
        zkt.equal(s.zk("template", "delete", "-n", "ns", "nope").status, 69, "delete of what is not there")
        zkt.equal(s.zk("template", "delete", "-n", "ns", "nope", "--no-verify").status, 0,
                  "--no-verify believes the server")
        zkt.equal(s.zk("template", "get", "-n", "ns", "nope").status, 69, "get of what is not there")
        zkt.equal(s.zk("template", "get", "-n", "..", "nope").status, 65, "a namespace that is a path")
        zkt.equal(len(s.zk("template", "list", "-n", "ns").rows), 1, "list")
        zkt.equal(s.zk("template", "list", "-n", "empty", "--exit-status").status, 1, "an empty list")
        r = s.zk("template", "export", "-n", "ns", "-o", "json")
        zkt.equal((r.json["namespace"], r.json["templates"][0]["id"]), ("ns", "plain"), "export")
        zkt.ok("globalId" not in r.json["templates"][0] and "lack ports" in r.err, "without what was made up")
        zkt.equal(s.zk("template", "lint", path, "--online").status, 0, "--online")
        zkt.ok("T116" in s.zk("template", "lint", path, "--online").out, "an unknown category")
        zkt.equal(s.zk("template", "diff", "-n", "ns", path, "--jq", ".status").out.split(),
                  ["missing", "same"], "diff")
        os.remove(s.home + "/state/zk/zeal.db")
        zkt.equal(s.zk("template", "diff", "-n", "ns", path, "--jq", ".status").out.split(),
                  ["missing", "unknown"], "diff without memory")
    with zeal.Server("as-built", "--no-template-store") as s:
        r = s.zk("template", "register", "-n", "ns", T / "valid/minimal.json")
        zkt.contains("template store is off", r.err, "a server that keeps nothing is named")
    with zeal.Server("path-blind") as s:
        r = s.zk("template", "list", "-n", "ns", "--log-format", "json")
        last = json.loads(r.err.splitlines()[-1])
        zkt.equal((r.status, last["kind"], last["attempts"]), (76, "server-unfit", 1), "path-blind", r)
    with zeal.Server("ideal") as s:
        s.zk("template", "register", "-n", "ns", T / "valid")
        r = s.zk("template", "register", "-n", "ns", T / "valid")
        zkt.equal((r.status, len(r.rows)), (0, 8), "an ideal server", r)


def test_categories_and_bundles():
    with zeal.Server() as s:
        r = s.zk("template", "category", "list")
        zkt.equal((len(r.rows), r.rows[0]["name"]), (11, "ai-models"), "canonical categories", r)
        path = zkt.write(s.home + "/c.yaml", "- name: machine-vision\n  displayName: Machine Vision\n"
                         "  subcategories:\n    - {name: ocr, displayName: OCR}\n")
        r = s.zk("template", "category", "register", path)
        zkt.equal((r.status, r.rows[0]["status"]), (0, "created"), "register", r)
        zkt.equal(s.log()[-1]["json"], {"categories": [{"name": "machine-vision", "displayName":
                  "Machine Vision", "subcategories": [{"name": "ocr", "displayName": "OCR"}]}]}, "as sent")
        r = s.zk("template", "category", "list")
        zkt.equal([(q["name"], q["label"], q["nodes"]) for q in r.rows],
                  [("machine-vision", "Machine Vision", 0)], "database categories, in the same form", r)
        bad = zkt.write(s.home + "/bad.json", '{"categories":[{"name":"Bad Name","displayName":"x"}]}')
        s.log(forget=True)
        r = s.zk("template", "category", "register", bad)
        zkt.equal((r.status, s.log()), (65, []), "a bad name is not sent", r)
        source = "customElements.define('a-b', class {}) // ü"
        js = zkt.write(s.home + "/el.js", source)
        want = hashlib.sha256(source.encode()).hexdigest()[:16] + ".js"
        r = s.zk("template", "bundle", "upload", "-n", "zk", js)
        zkt.equal((r.status, r.json["bundleId"], r.json["status"]), (0, want, "uploaded"), "upload", r)
        r = s.zk("template", "bundle", "upload", "-n", "zk", js)
        zkt.equal(r.json["status"], "unchanged", "once is enough")
        r = s.zk("template", "bundle", "get", "-n", "zk", want)
        zkt.equal(r.out, source, "get")
        zkt.equal(s.zk("template", "bundle", "get", "-n", "zk", "no.js").status, 69, "get of none")
        big = zkt.write(s.home + "/big.js", b"x" * 524289)
        zkt.equal(s.zk("template", "bundle", "upload", "-n", "zk", big).status, 65, "too large")
    with zeal.Server("older") as s:
        r = s.zk("template", "category", "list", "--log-format", "json")
        zkt.equal((r.status, json.loads(r.err.splitlines()[-1])["kind"]), (69, "no-such-endpoint"),
                  "an older server", r)


zkt.main()
