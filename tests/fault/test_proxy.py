"""The fault proxy does what it says."""
import contextlib
import socket
import time

import zkt
from zkt import Fault, Proxy, Responder


class Echo(Responder):
    """Sends every byte back (not HTTP: the connection's thread is replaced)."""

    def _serve(self, sock, number):
        with sock, contextlib.suppress(ConnectionError):
            while data := sock.recv(65536):
                sock.sendall(data)


def through(fault, data=b"0123456789" * 100):
    """Sends data through the proxy to an echo server; (bytes back, how it ended, proxy)."""
    with Echo() as echo, Proxy("127.0.0.1", echo.port, [fault]) as p:
        s = socket.socket()
        s.settimeout(5)
        got, end = b"", "open"
        try:
            s.connect(("127.0.0.1", p.port))
            s.sendall(data)
            s.settimeout(1)
            while len(got) < len(data):
                piece = s.recv(65536)
                if not piece:
                    end = "fin"
                    break
                got += piece
        except TimeoutError:
            end = "silent"
        except ConnectionError:
            end = "rst"
        s.close()
        return got, end, p


def test_plain():
    got, end, p = through(Fault())
    zkt.equal((len(got), end), (1000, "open"), "passes everything on")
    zkt.wait_for(lambda: p.connections[0].closed.is_set(), "the end of the connection")
    zkt.equal(bytes(p.connections[0].up), b"0123456789" * 100, "records what went up")
    zkt.equal(bytes(p.connections[0].down), b"0123456789" * 100, "records what went down")


def test_ends():
    got, end, p = through(Fault(reset_down_at=100))
    zkt.equal(end, "rst", "a reset arrives as one")
    zkt.equal(p.connections[0].down_bytes, 100, "after exactly 100 bytes")
    got, end, p = through(Fault(reset_up_at=7))
    zkt.equal((end, p.connections[0].up_bytes), ("rst", 7), "the same on the way up")
    got, end, p = through(Fault(cut_down_at=100))
    zkt.equal((len(got), end), (100, "fin"), "half a frame, then FIN")
    got, end, p = through(Fault(stall_down_at=100))
    zkt.equal((len(got), end), (100, "silent"), "half a frame, then silence")
    got, end, p = through(Fault(refuse=True))
    zkt.equal((len(got), end), (0, "rst"), "a refused connection is reset")


def test_pace():
    begin = time.monotonic()
    got, end, _ = through(Fault(delay_down_s=0.2))
    zkt.ok(len(got) == 1000 and time.monotonic() - begin >= 0.2, "delays")
    begin = time.monotonic()
    got, end, _ = through(Fault(rate_up=5000, piece_up=50))
    took = time.monotonic() - begin
    zkt.ok(len(got) == 1000 and took >= 0.19, "limits the rate", f"{len(got)} in {took}")


def test_all():
    with Echo() as echo, Proxy("127.0.0.1", echo.port, [Fault(reset_up_at=0), Fault()]) as p:
        for i, expected in enumerate((b"", b"x", b"x")):
            try:
                with socket.create_connection(("127.0.0.1", p.port), timeout=5) as s:
                    s.sendall(b"x")
                    got = s.recv(1)
            except ConnectionError:
                got = b""
                zkt.equal(got, expected, f"connection {i} has its own fault")
        s = socket.create_connection(("127.0.0.1", p.port), timeout=5)
        s.sendall(b"x")
        zkt.equal(s.recv(1), b"x", "works before")
        p.reset_all()
        try:
            end = s.recv(1)
        except ConnectionResetError:
            end = "rst"
        zkt.equal(end, "rst", "reset_all ends what is open")


zkt.main()
