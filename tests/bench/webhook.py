"""Measures `zk webhook listen --store` on loopback: signed deliveries, each answered only when its
event is on disk. Prints one line per figure. scripts/bench runs it.

usage: webhook.py BENCH-BUILD-DIR [--deliveries N] [--connections N]
"""

import argparse
import hashlib
import hmac
import json
import os
import selectors
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time

SECRET = b"a secret of the benchmark"


def request(i):
    body = json.dumps({"webhook_id": "w", "events": [
        {"id": f"evt_{i}", "type": "node.updated", "timestamp": "2026-01-01T00:00:00.000Z",
         "workflowId": "wf_1", "nodeId": f"node_{i % 100}", "data": {"propertyValues": {"x": i}}}],
        "metadata": {"namespace": "default", "delivery_id": f"del_{i}"}}).encode()
    sign = hmac.new(SECRET, body, hashlib.sha256).hexdigest()
    return (f"POST /webhooks HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\n"
            f"X-Zeal-Signature: sha256={sign}\r\nContent-Length: {len(body)}\r\n\r\n").encode() + body


class Peer:
    """A connection that has one delivery on its way, as a server has."""

    def __init__(self, address):
        self.s = socket.create_connection(address)
        self.s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def deliver(address, requests, connections):
    """Seconds until all were answered, and the answers by their status."""
    todo = iter(requests)
    sel = selectors.DefaultSelector()
    answers = {}
    open_ = 0

    def send(p):
        nonlocal open_
        r = next(todo, None)
        if r is None:
            sel.unregister(p.s)
            p.s.close()
            return
        p.s.sendall(r)
        open_ += 1

    peers = [Peer(address) for _ in range(connections)]
    began = time.monotonic()
    for p in peers:
        sel.register(p.s, selectors.EVENT_READ, p)
        send(p)
    while open_:
        for key, _ in sel.select():
            data = key.data.s.recv(65536)
            if not data:
                sys.exit("the receiver closed a connection")
            status = data[9:12].decode()
            answers[status] = answers.get(status, 0) + 1
            open_ -= 1
            send(key.data)
    return time.monotonic() - began, answers


def main():
    p = argparse.ArgumentParser()
    p.add_argument("build")
    p.add_argument("--deliveries", type=int, default=10000)
    p.add_argument("--connections", type=int, default=200)
    a = p.parse_args()
    requests = [request(i) for i in range(a.deliveries)]
    home = tempfile.mkdtemp()
    for name, text in (("secret", SECRET), ("out", b"")):
        with open(f"{home}/{name}", "wb") as f:
            f.write(text)
    os.chmod(home + "/secret", 0o600)
    db = home + "/hooks.db"
    with open(home + "/out", "wb") as out:
        zk = subprocess.Popen(
            [os.path.join(a.build, "zk"), "webhook", "listen", "--no-register", "--listen", "127.0.0.1:0",
             "--secret-file", home + "/secret", "--store", db, "--queue", "100000",
             "--ready-file", home + "/ready"],
            env={"PATH": os.environ["PATH"], "HOME": home}, stdout=out)
    while not os.path.exists(home + "/ready"):
        time.sleep(0.01)
    with open(home + "/ready", encoding="utf-8") as f:
        host, port = json.load(f)["webhook"][0].rsplit(":", 1)
    seconds, answers = deliver((host, int(port)), requests, a.connections)
    zk.terminate()
    _, status, use = os.wait4(zk.pid, 0)
    rows = sqlite3.connect(db).execute("SELECT COUNT(*), COUNT(DISTINCT id) FROM event").fetchone()
    with open(home + "/out", "rb") as f:
        printed = sum(1 for _ in f)
    rate = a.deliveries / seconds
    cpu = use.ru_utime + use.ru_stime
    print(f"signed deliveries/s into --store   {rate:12,.0f}  {rate / 10e3:.2f} of 10,000  "
          f"({a.deliveries / cpu:,.0f} per CPU second of zk)")
    print(f"answers {answers}, rows {rows[0]}, different events {rows[1]}, printed {printed}, "
          f"exit {status}")
    if answers != {"200": a.deliveries} or rows != (a.deliveries, a.deliveries):
        sys.exit("something was lost or refused")
    subprocess.run(["rm", "-r", home], check=True)


main()
