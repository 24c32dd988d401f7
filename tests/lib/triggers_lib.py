"""What the tests of the triggers server share: a server on a free port, organizations, events.

With DATABASE_URL in the environment (scripts/dev-services run) every server gets a schema of its
own in that PostgreSQL instead of a database file: the same tests, on the other store."""

import collections
import json
import os
import socket
import subprocess
import threading
import time
import urllib.parse
import uuid

import zkt


# Kept from the programs under test, which would read it too.
PG_URL = os.environ.pop("DATABASE_URL", None)
os.environ.pop("REDIS_URL", None)


# How long a killed server keeps the rows that it had claimed, on PostgreSQL only.
LEASE_S = 75 if PG_URL else 0


def psql(sql, url=None):
    """Runs SQL in the PostgreSQL of this run; rows as lists of text."""
    p = subprocess.run([os.path.join(os.environ["PGBIN"], "psql"), url or PG_URL, "-qAtX", "-v",
                        "ON_ERROR_STOP=1", "-F", "\t", "-c", sql],
                       capture_output=True, text=True, timeout=60 * zkt.SLOW)
    zkt.need(p.returncode == 0, f"{sql}: {p.stderr}")
    return [line.split("\t") for line in p.stdout.splitlines()]


def fresh_schema():
    """The URL of an empty schema."""
    name = "t" + uuid.uuid4().hex[:12]
    psql(f"CREATE SCHEMA {name}")
    return f"{PG_URL}?options=-csearch_path%3D{name}"


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Triggers(zkt.Server):
    """`zk triggers serve` on a database of its own (or on `db`, to restart on it)."""

    def __init__(self, *args, db=None, listen="127.0.0.1:0", env=None, **kwargs):
        if db is None:
            db = fresh_schema() if PG_URL else os.path.join(zkt.tmp(), "t.db")
        self.db = db
        self.is_pg = "://" in db
        home = zkt.tmp() if self.is_pg else os.path.dirname(db)
        base = {"HOME": home, "XDG_STATE_HOME": home, "XDG_CONFIG_HOME": home}
        if self.is_pg:
            base["WEBHOOK_SECRET"] = "a secret that all servers of a test share"
        super().__init__("triggers", "serve", "--listen", listen, "--db", self.db, *args,
                         env={**base, **(env or {})}, **kwargs)

    def restart(self, *args, **kwargs):
        """A new server on the same database (after kill or stop)."""
        return Triggers(*args, db=self.db, **kwargs)

    def api(self, method, path, body=None, key=None, headers=None, **kwargs):
        h = dict(headers or {})
        if key:
            h["X-API-Key"] = key
        return self.request(method, path, body, h, **kwargs)

    def org(self, name="Test Org", tier="enterprise"):
        r = self.api("POST", "/api/keys/generate", {"organization_name": name, "tier": tier})
        zkt.need(r.status == 201, f"an organization: {r!r}")
        return Org(self, r.json)


class Org:
    def __init__(self, server, made):
        self.server = server
        self.made = made
        self.key = made["api_key"]
        self.id = made["organization_id"]

    def api(self, method, path, body=None, headers=None, **kwargs):
        return self.server.api(method, path, body, self.key, headers, **kwargs)

    def send(self, type="test.event", payload=None, dedup_id=None, **kwargs):
        body = {"type": type, "payload": {"n": 1} if payload is None else payload}
        if dedup_id is not None:
            body["dedup_id"] = dedup_id
        return self.api("POST", "/api/events", body, **kwargs)

    def sent(self, *args, **kwargs):
        r = self.send(*args, **kwargs)
        zkt.need(r.status == 202, f"an accepted event: {r!r}")
        return r.json["id"]

    def inbox(self, **query):
        q = "?" + urllib.parse.urlencode(query) if query else ""
        r = self.api("GET", "/api/inbox" + q)
        zkt.need(r.status == 200, f"the inbox: {r!r}")
        return r.json

    def event(self, id):
        return self.api("GET", f"/api/events/{id}")

    def all(self, **query):
        """Every event of the inbox, page by page."""
        found = []
        query.setdefault("limit", 1000)
        while True:
            page = self.inbox(**query)
            found += page["events"]
            if not page["has_more"]:
                return found
            query["cursor"] = page["next_cursor"]

    def webhook(self, url, **more):
        r = self.api("POST", "/api/webhook/config", {"webhook_url": url, **more})
        zkt.need(r.status == 200, f"a webhook: {r!r}")
        return r.json


# Retries at once, private webhooks, no limit for the organizations that Triggers.org() makes.
FAST = ("--retry-schedule", "100ms,200ms,400ms,800ms", "--allow-private-webhooks",
        "--rate-limit", "enterprise=0")


class Load:
    """Clients that send numbered events over keep-alive connections until the server is gone."""

    def __init__(self, server, keys, threads=8):
        self.server = server
        self.keys = keys
        self.name = str(uuid.uuid4())
        self.accepted = {}      # number -> (id, organization index)
        self.other = collections.Counter()
        self.unanswered = 0
        self.lock = threading.Lock()
        self.next = 0
        self.over = threading.Event()
        self.threads = [threading.Thread(target=self._run, args=(i,)) for i in range(threads)]
        for t in self.threads:
            t.start()

    def _number(self):
        with self.lock:
            self.next += 1
            return self.next

    def _run(self, i):
        o = i % len(self.keys)
        try:
            with self.server.raw() as c:
                while not self.over.is_set():
                    n = self._number()
                    body = {"type": "load", "payload": {"n": n}, "dedup_id": f"{self.name}-{n}"}
                    r = c.request("POST", "/api/events", body, {"X-API-Key": self.keys[o]})
                    with self.lock:
                        if r.status == 202:
                            self.accepted[n] = (r.json["id"], o)
                        else:
                            self.other[r.status] += 1
                    if r.header("Connection") == "close":
                        return
        except (OSError, EOFError, zkt.Failure):
            with self.lock:
                self.unanswered += 1

    def join(self):
        for t in self.threads:
            t.join()


def stored(org):
    return collections.Counter(e["id"] for e in org.all())


def is_uuid(text):
    try:
        return str(uuid.UUID(text)) == text
    except ValueError:
        return False


def dumps(value):
    return json.dumps(value).encode()


def now():
    return time.monotonic()
