"""What the tests of the triggers server share: a server on a free port, organizations, events.

With DATABASE_URL in the environment (scripts/dev-services run) every server gets a schema of its
own in that PostgreSQL instead of a database file: the same tests, on the other store."""

import json
import os
import socket
import subprocess
import time
import urllib.parse
import uuid

import zkt


# Kept from the programs under test, which would read it too.
PG_URL = os.environ.pop("DATABASE_URL", None)
os.environ.pop("REDIS_URL", None)


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


def is_uuid(text):
    try:
        return str(uuid.UUID(text)) == text
    except ValueError:
        return False


def dumps(value):
    return json.dumps(value).encode()


def now():
    return time.monotonic()
