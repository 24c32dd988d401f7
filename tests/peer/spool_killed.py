"""`zk spool flush` under kill -9, with the real triggers server at the other end: whatever the
moment, every event arrives, and none twice."""

import json
import sqlite3
import time

import zkt
from triggers_lib import Triggers, free_port

EVENTS = 3000
ROUNDS = 20


def lines(n):
    return "".join(json.dumps({"type": "t", "payload": {"n": i}}) + "\n" for i in range(n)).encode()


def test_flushes_that_are_killed():
    with Triggers() as s:
        org = s.org("Flush", "enterprise")
        home = zkt.tmp()
        env = {"HOME": home, "XDG_STATE_HOME": home, "ZK_TRIGGERS_URL": s.url,
               "ZK_TRIGGERS_KEY": org.key}
        dead = {**env, "ZK_TRIGGERS_URL": f"http://127.0.0.1:{free_port()}"}
        r = zkt.zk("triggers", "send", "--retries", "0", stdin=lines(EVENTS), env=dead)
        zkt.equal(r.status, 75, "nobody answers: all is spooled", r)
        target = f"triggers:{s.url}"
        move(home, target)

        def left():
            return sum(x["waiting"] for x in zkt.zk("spool", "list", env=env).rows)

        zkt.equal(left(), EVENTS, "all wait")
        killed = 0
        for _ in range(ROUNDS):
            pair = [zkt.Process("spool", "flush", env=env) for _ in range(2)]
            time.sleep(zkt.rng.random() * 0.25 * zkt.SLOW)  # the moment is what is tested
            for p in pair:
                killed += p.status is None
                p.kill()
        zkt.ok(killed > 0, f"{killed} flushes killed, {EVENTS - left()} events gone from the spool")
        r = zkt.zk("spool", "flush", env=env)
        zkt.equal((r.status, left()), (0, 0), "the last flush sends the rest", r)
        got = sorted(e["payload"]["n"] for e in org.all())
        zkt.equal(len(got), EVENTS, "as many events as were sent")
        zkt.ok(got == list(range(EVENTS)), "each of them once")


def move(home, target):
    """The server moved: what waits for the old address is for the new one."""
    db = sqlite3.connect(home + "/zk/spool/default.db")
    db.execute("UPDATE targets SET dest = ?", (target.partition(":")[2],))
    db.commit()
    db.close()


zkt.main()
