"""The CI job of README.md, as it stands there, against the stand-in of a Zeal server."""

import os
import re
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../lib"))
import zeal  # noqa: E402
import zkt  # noqa: E402


def task(word):
    """The fenced block of README.md that holds the word."""
    blocks = re.findall(r"```\n(.*?)```", (zkt.SRC / "README.md").read_text(), re.S)
    return zkt.need(next((b for b in blocks if word in b), None), f"README.md has no task with {word}")


def shell(s, script, cwd):
    folder = zkt.tmp()
    os.symlink(zkt.ZK, folder + "/zk")
    env = {**os.environ, **s.env, "PATH": folder + ":" + os.environ["PATH"], "CI": "1"}
    return subprocess.run(["bash", "-euo", "pipefail", "-c", script], cwd=cwd, env=env, capture_output=True,
                          text=True, check=False, timeout=120)


def test_ci_job():
    script = task("zk workflow apply")
    zkt.note(script)
    with zeal.Server() as s:
        work = zkt.tmp()
        os.mkdir(work + "/nodes")
        for name in ["csv-reader.json", "decision.json", "http-request.json", "minimal.json"]:
            zkt.write(f"{work}/nodes/{name}", (zeal.DATA / "templates/valid" / name).read_text())
        zkt.write(work + "/flow.yaml", (zeal.DATA / "workflows/etl.yaml").read_text())
        r = shell(s, script, work)
        zkt.equal(r.returncode, 0, "the job succeeds", r.stdout, r.stderr)
        zkt.equal((len(s.state()["templates"]), len(s.graph()["nodes"]), len(s.graph()["connections"])), (4, 4, 5),
                  "templates and the workflow are there")
        s.log(forget=True)
        r = shell(s, script, work)
        zkt.equal(r.returncode, 0, "it may run again", r.stderr)
        zkt.ok(not [q for q in s.log() if q["method"] not in ("GET",) and "register" not in q["url"]],
               "and changes nothing")
        zkt.write(work + "/nodes/broken.json", '{"id": "x"')
        s.log(forget=True)
        r = shell(s, script, work)
        zkt.equal((r.returncode, s.log()), (65, []), "a broken file stops it before anything is sent", r.stderr)
        zkt.contains('broken.json","line":1,"column":11', r.stdout, "with its place")


zkt.main()
