"""A headless Chromium for tests of pages, over its debugging pipe; needs nothing but the browser.

    import zkt
    from browser import Browser

    with Browser() as b:
        page = b.open(server.url + "/")
        page.wait("document.querySelectorAll('tr').length > 1")   # polls JavaScript
        page.press("Tab"), page.press("Enter"), page.type("order.created")
        page.eval("document.activeElement.id")
        page.errors       # console errors, exceptions, CSP violations, failed loads: list of text
        page.requests     # URLs of everything that was asked for
        page.screenshot("page.png")

Each page has a context of its own: no cookies or storage of another.
"""

import base64
import contextlib
import json
import os
import queue
import shutil
import signal
import subprocess
import tempfile
import threading
import time

import zkt

KEYS = {
    "Tab": (9, "Tab", None), "Enter": (13, "Enter", "\r"), "Escape": (27, "Escape", None),
    "Space": (32, " ", " "), "ArrowUp": (38, "ArrowUp", None), "Delete": (46, "Delete", None),
    "ArrowDown": (40, "ArrowDown", None), "ArrowLeft": (37, "ArrowLeft", None),
    "ArrowRight": (39, "ArrowRight", None), "Home": (36, "Home", None), "End": (35, "End", None),
    "Backspace": (8, "Backspace", None),
}


class Browser:
    def __init__(self, width=1000, height=800):
        program = shutil.which("chromium") or shutil.which("chromium-headless-shell")
        zkt.need(program, "chromium is missing: scripts/deps test")
        self._home = tempfile.mkdtemp(prefix="b")
        to_read, self._to = os.pipe()
        self._from, from_write = os.pipe()
        # The browser reads commands from descriptor 3 and answers on 4.
        self._p = subprocess.Popen(
            ["bash", "-c", 'exec 3<&"$1" 4>&"$2"; shift 2; exec "$@"', "bash",
             str(to_read), str(from_write), program, "--headless", "--no-sandbox",
             "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
             "--disable-background-networking", "--disable-component-update",
             "--disable-default-apps", "--disable-sync", "--no-default-browser-check",
             f"--window-size={width},{height}", f"--user-data-dir={self._home}/data",
             "--remote-debugging-pipe", "about:blank"],
            pass_fds=(to_read, from_write), stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
            env={**os.environ, "HOME": self._home, "XDG_RUNTIME_DIR": self._home})
        os.close(to_read)
        os.close(from_write)
        self._id = 0
        self._answers = queue.Queue()
        self._pages = {}
        threading.Thread(target=self._read, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.stop()

    def stop(self):
        with contextlib.suppress(zkt.Failure, OSError):
            self.call("Browser.close")
        os.close(self._to)
        try:
            self._p.wait(5 * zkt.SLOW)
        except subprocess.TimeoutExpired:
            os.killpg(self._p.pid, signal.SIGKILL)
            self._p.wait()
        shutil.rmtree(self._home, ignore_errors=True)

    def _read(self):
        rest = b""
        while True:
            try:
                data = os.read(self._from, 65536)
            except OSError:
                data = b""
            if not data:
                self._answers.put(None)
                return
            *messages, rest = (rest + data).split(b"\0")
            for m in messages:
                m = json.loads(m)
                if "id" in m:
                    self._answers.put(m)
                elif m.get("sessionId") in self._pages:
                    self._pages[m["sessionId"]].on_event(m["method"], m["params"])

    def call(self, method, session=None, **params):
        """One command of the DevTools protocol; its result."""
        self._id += 1
        message = {"id": self._id, "method": method, "params": params}
        if session:
            message["sessionId"] = session
        os.write(self._to, json.dumps(message).encode() + b"\0")
        end = time.monotonic() + 30 * zkt.SLOW
        while True:
            try:
                answer = self._answers.get(timeout=max(0.01, end - time.monotonic()))
            except queue.Empty:
                raise zkt.Failure(f"the browser does not answer {method}") from None
            zkt.need(answer is not None, f"the browser ended during {method}")
            if answer["id"] == self._id:
                zkt.need("error" not in answer, f"{method}: {answer.get('error')}")
                return answer["result"]

    def open(self, url):
        """A new page in a fresh context, loaded."""
        context = self.call("Target.createBrowserContext")["browserContextId"]
        target = self.call("Target.createTarget", url="about:blank",
                           browserContextId=context)["targetId"]
        session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        page = Page(self, session)
        self._pages[session] = page
        for domain in ("Page", "Runtime", "Log", "Network"):
            page.call(domain + ".enable")
        page.go(url)
        return page


class Page:
    def __init__(self, browser, session):
        self._browser = browser
        self._session = session
        self.errors = []
        self.requests = []
        self._loaded = threading.Event()

    def call(self, method, **params):
        return self._browser.call(method, self._session, **params)

    def on_event(self, method, params):
        if method == "Page.loadEventFired":
            self._loaded.set()
        elif method == "Network.requestWillBeSent":
            self.requests.append(params["request"]["url"])
        elif method == "Runtime.exceptionThrown":
            details = params["exceptionDetails"]
            text = details.get("exception", {}).get("description") or details["text"]
            self.errors.append("exception: " + text)
        elif method == "Runtime.consoleAPICalled" and params["type"] in ("error", "assert"):
            self.errors.append("console: " + " ".join(
                str(a.get("value", a.get("description"))) for a in params["args"]))
        elif method == "Log.entryAdded" and params["entry"]["level"] == "error":
            self.errors.append("log: " + params["entry"]["text"])

    def go(self, url):
        self._loaded.clear()
        answer = self.call("Page.navigate", url=url)
        zkt.need("errorText" not in answer, f"cannot load {url}: {answer.get('errorText')}")
        zkt.need(self._loaded.wait(30 * zkt.SLOW), f"{url} does not finish loading")

    def eval(self, script):
        """The value of a JavaScript expression; promises are awaited."""
        answer = self.call("Runtime.evaluate", expression=script, awaitPromise=True,
                           returnByValue=True)
        zkt.need("exceptionDetails" not in answer, f"{script}: {answer.get('exceptionDetails')}")
        return answer["result"].get("value")

    def wait(self, script, timeout_s=10):
        """Polls an expression until it is true; returns its value."""
        return zkt.wait_for(lambda: self.eval(script), f"the page: {script}", timeout_s)

    def press(self, key, shift=False):
        """One key: a name of KEYS or a single character."""
        code, name, text = KEYS.get(key) or (ord(key.upper()), key, key)
        params = {"key": name, "windowsVirtualKeyCode": code, "modifiers": 8 if shift else 0,
                  "code": key if key in KEYS else ""}
        self.call("Input.dispatchKeyEvent", type="keyDown" if text else "rawKeyDown",
                  **({"text": text} if text else {}), **params)
        self.call("Input.dispatchKeyEvent", type="keyUp", **params)

    def type(self, text):
        self.call("Input.insertText", text=text)

    def screenshot(self, path):
        data = self.call("Page.captureScreenshot", format="png")["data"]
        with open(path, "wb") as f:
            f.write(base64.b64decode(data))
