"""zk auth token: the vectors of tests/data/zeal/auth (specs/zeal-zip.md §1.4)."""

import json
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../lib"))
import zeal  # noqa: E402
import zkt  # noqa: E402

V = json.loads((zeal.DATA / "auth/tokens.json").read_text())


def test_vectors():
    folder = zkt.tmp()
    secret = zkt.write(folder + "/secret", V["key"] + "\n")
    p = V["payload"]
    r = zkt.zk("auth", "token", "mint", "--secret-file", secret, "--sub", p["sub"], "--type", p["type"],
               "--tenant", p["tenant_id"], *[x for q in p["permissions"] for x in ("--perm", q)],
               "--issued-at", "2026-01-01T00:00:00Z", "--ttl", f"{(p['exp'] - p['iat']) // 86400}d",
               "--session-id", p["session_id"])
    zkt.equal(r.out, V["token"] + "\n", "mint makes the token of the vectors", r)
    for i, c in enumerate(V["cases"]):
        key = zkt.write(f"{folder}/key{i}", c["key"])
        r = zkt.zk("auth", "token", "verify", "--secret-file", key, stdin=c["token"].encode() + b"\n")
        want = {True: 0, False: 1, None: 65}[c["valid"]]
        zkt.equal(r.status, want, f"case {i}: exit status", r)
        if c["valid"] is False:
            zkt.equal(r.out, c["why"] + "\n", f"case {i}: why")
        zkt.ok(c["token"] not in r.out + r.err and c["key"] not in r.err, f"case {i}: nothing is shown")
    r = zkt.zk("auth", "token", "show", "-o", "json", stdin=V["token"].encode())
    zkt.equal(r.json, p, "show")
    zkt.equal(zkt.zk("auth", "token", "show", stdin=b"opaque").status, 65, "show of an opaque one")


def test_sources():
    env = {"ZEAL_SECRET_KEY": "from-the-server"}
    r = zkt.zk("auth", "token", "mint", "--sub", "x", env=env)
    zkt.equal(r.status, 0, "the server's own variable", r)
    v = zkt.zk("auth", "token", "verify", env={"ZK_ZEAL_SECRET": "from-the-server"}, stdin=r.out.encode())
    zkt.equal((v.status, v.out), (0, "valid\n"), "and ours", v)
    other = zkt.zk("auth", "token", "mint", "--sub", "x", env=env)
    zkt.ok(other.out != r.out, "a session id of its own each time")
    zkt.equal(zkt.zk("auth", "token", "mint", "--sub", "x").status, 78, "no secret")
    zkt.equal(zkt.zk("auth", "token", "mint", env=env).status, 64, "no subject")


zkt.main()
