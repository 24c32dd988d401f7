"""net/httpd over raw sockets, through the small server httpd_echo.c: specs/triggers.md §2."""

import os
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(os.environ["TEST_SRC"]) / "tests" / "lib"))
import zkt  # noqa: E402

ECHO = os.environ["TEST_BUILD"] + "/tests/peer/httpd_echo"


def server(*args, **kwargs):
    if not any(a.startswith(("listen=", "fd=")) for a in args):
        args = ("listen=127.0.0.1:0", *args)
    return zkt.Server(*args, argv0=ECHO, **kwargs)


def test_plain_requests():
    with server() as s:
        r = s.request("GET", "/")
        zkt.equal((r.status, r.body), (202, b'{"status":"accepted"}'), "GET")
        r = s.request("POST", "/echo", b"hello")
        zkt.equal((r.status, r.body), (200, b"hello"), "POST")
        zkt.equal(s.request("GET", "/none").status, 404, "404")


zkt.main()
