"""What test_httpd.py and test_httpd_net.py share: the server httpd_echo.c, requests as text."""

import contextlib
import os
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(os.environ["TEST_SRC"]) / "tests" / "lib"))
import zkt  # noqa: E402

ECHO = os.environ["TEST_BUILD"] + "/tests/peer/httpd_echo"
HOST = "Host: a\r\n"


@contextlib.contextmanager
def server(*args, ends=True, **kwargs):
    if not any(a.startswith(("listen=", "fd=")) for a in args):
        args = ("listen=127.0.0.1:0", *args)
    s = zkt.Server(*args, argv0=ECHO, **kwargs)
    try:
        yield s
        if ends:
            status = s.stop()
            if status != 0:
                zkt.ok(False, f"the server ends well ({' '.join(args)})", f"{status}: {s.err}")
    finally:
        if s.status is None:
            s.kill()


def stats(s):
    return s.request("GET", "/stats").json


def served(s, after):
    r = s.request("POST", "/echo", b"still here")
    if (r.status, r.body) != (200, b"still here"):
        zkt.ok(False, f"another client is served after {after}", r)


def one_answer(c, status, name, *, method="GET"):
    """Exactly one answer with this status, then the end of the connection."""
    try:
        r = c.response(method)
        rest = c.read_all()
    except (EOFError, ConnectionResetError) as e:
        return zkt.ok(False, name, f"{type(e).__name__} instead of {status}")
    return zkt.ok(r.status == status and rest == b"" and r.header("connection") == "close",
                  f"{name}: {status} and close", r, f"then {rest[:200]!r}")


def post(*lines, body="", version="1.1", host=HOST):
    return f"POST /echo HTTP/{version}\r\n{host}" + "".join(x + "\r\n" for x in lines) \
        + "\r\n" + body


def get(target="/", *lines, version="1.1", host=HOST):
    return f"GET {target} HTTP/{version}\r\n{host}" + "".join(x + "\r\n" for x in lines) + "\r\n"


def chunked(data, size):
    parts = [data[i:i + size] for i in range(0, len(data), size)]
    return b"".join(b"%x\r\n%s\r\n" % (len(p), p) for p in parts) + b"0\r\n\r\n"
