"""The stand-in of a Zeal server (tests/peer/tools/zeal.mjs) for black-box tests.

    with zeal.Server("as-built") as s:
        s.zk("health", "--deep")          zk with --base-url, a HOME of its own
        s.faults([{"on": "POST /orchestrator/nodes", "at": [2], "do": "reset-after"}])
        s.log()                           the requests: method, url, headers, body
        s.state()                         what is stored
"""

import json
import subprocess
import urllib.request

import zkt

TOOL = zkt.SRC / "tests/peer/tools/zeal.mjs"
DATA = zkt.SRC / "tests/data/zeal"


# Stand-ins that a test is done with, by their options: node takes longer to start than most tests.
# They end with their stdin, which is this process.
_spare = {}


def _start(options):
    p = subprocess.Popen(["node", str(TOOL), "--profile", *options],
                         stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    line = p.stdout.readline()
    zkt.need(line, "the stand-in did not start")
    return p, json.loads(line)


class Server:
    def __init__(self, profile="as-built", *options):
        self._options = (profile, *options)
        spare = _spare.get(self._options)
        self._p, self._ready = spare.pop() if spare else _start(self._options)
        self.url, self.ws_url = self._ready["url"], self._ready["ws_url"]
        self.home = zkt.tmp()
        self.env = {"HOME": self.home, "XDG_STATE_HOME": self.home + "/state",
                    "XDG_CONFIG_HOME": self.home + "/config",
                    "XDG_DATA_HOME": self.home + "/data", "ZK_ZEAL_BASE_URL": self.url}
        zkt._running.append(self)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.stop()

    def stop(self):
        if self in zkt._running:
            zkt._running.remove(self)
            if self._p.poll() is None and self._is_reset():
                _spare.setdefault(self._options, []).append((self._p, self._ready))
                return
        if self._p.poll() is None:
            self._p.stdin.close()
            try:
                self._p.wait(10)
            except subprocess.TimeoutExpired:
                self._p.kill()
                self._p.wait()
        self._p.stdout.close()

    def _is_reset(self):
        try:
            return self._own("POST", "reset")["reset"]
        except (OSError, ValueError):
            return False

    def kill(self):
        """As a crash of the server would be."""
        self._p.kill()
        self._p.wait()
        self.stop()

    def _own(self, method, path, value=None):
        data = None if value is None else json.dumps(value).encode()
        request = urllib.request.Request(self.url + "/__/" + path, data=data, method=method,
                                         headers={"content-type": "application/json"})
        with urllib.request.urlopen(request, timeout=60 * zkt.SLOW) as answer:
            return json.load(answer)

    def faults(self, faults):
        self._own("POST", "faults", faults)

    def conf(self, **values):
        self._own("POST", "conf", values)

    def state(self):
        return self._own("GET", "state")

    def connections(self):
        """Those of clients that are open."""
        return self._own("GET", "open")["connections"]

    def log(self, forget=False):
        log = self._own("GET", "log")
        if forget:
            self._own("DELETE", "log")
        for r in log:
            r["json"] = json.loads(r["body"]) if r["body"] else None
        return log

    def graph(self, workflow=0, name="main"):
        return self.state()["workflows"][workflow]["graphs"][name]

    def zk(self, *args, env=None, **kwargs):
        """Quick retries, so that tests need not wait for them."""
        quick = {"ZK_RETRY_BASE": "1ms", "ZK_RETRY_CAP": "2s"}
        return zkt.zk(*args, env={**self.env, **quick, **(env or {})}, **kwargs)

    def process(self, *args, env=None, **kwargs):
        return zkt.Process(*args, env={**self.env, "ZK_RETRY_BASE": "1ms", **(env or {})},
                           **kwargs)
