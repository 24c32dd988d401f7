"""What the tests of the triggers server share: a server on a free port, organizations, events."""

import json
import os
import socket
import time
import urllib.parse
import uuid

import zkt


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Triggers(zkt.Server):
    """`zk triggers serve` on a database of its own (or on `db`, to restart on it)."""

    def __init__(self, *args, db=None, listen="127.0.0.1:0", env=None, **kwargs):
        self.db = db or os.path.join(zkt.tmp(), "t.db")
        home = os.path.dirname(self.db)
        base = {"HOME": home, "XDG_STATE_HOME": home, "XDG_CONFIG_HOME": home}
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
