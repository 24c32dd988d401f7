"""A TCP proxy that breaks connections in exact places, and records both directions.

In a test (Python):

    from proxy import Proxy, Fault

    with Proxy("127.0.0.1", server.port, [Fault(reset_down_at=100), Fault()]) as p:
        ...connect to 127.0.0.1:p.port...
        p.connections[0].up      # bytes the client sent through the first connection
        p.connections[0].down    # bytes the server sent

"up" is client to server, "down" server to client. The n-th connection gets the n-th fault; the
last one (default: none) serves all that follow. All byte positions count from the start of the
connection in that direction; exactly that many bytes pass before the fault. Fields of Fault:

    refuse=True              reset at once after accepting
    delay_up_s, delay_down_s     waits so long before passing a piece on
    piece_up, piece_down     at most so many bytes in one piece
    rate_up, rate_down       bytes per second
    reset_up_at, reset_down_at   then both sides get a reset (RST)
    cut_up_at, cut_down_at   then both sides get an orderly end (FIN): half a frame
    stall_up_at, stall_down_at   then nothing more passes, and nothing is closed

p.reset_all() and p.stall_all() act on all open connections at once; p.faults may be replaced at
any time (for connections to come). With record=False nothing is kept (for loads).

From another language:

    python3 proxy.py --to HOST:PORT [--fault '{"reset_down_at": 100}']... [--record DIR]

prints {"port": N} and ends with its stdin. --record writes DIR/N.up and DIR/N.down.
"""

import argparse
import contextlib
import dataclasses
import json
import os
import socket
import struct
import sys
import threading
import time

RESET = struct.pack("ii", 1, 0)  # linger on, for no time: close() sends RST


@dataclasses.dataclass
class Fault:
    refuse: bool = False
    delay_up_s: float = 0
    delay_down_s: float = 0
    piece_up: int = 0
    piece_down: int = 0
    rate_up: float = 0
    rate_down: float = 0
    reset_up_at: int = -1
    reset_down_at: int = -1
    cut_up_at: int = -1
    cut_down_at: int = -1
    stall_up_at: int = -1
    stall_down_at: int = -1

    def of(self, direction):
        """The fields of one direction: (delay, piece, rate, position, what happens there)."""
        ends = [(getattr(self, f"{what}_{direction}_at"), what)
                for what in ("reset", "cut", "stall")]
        ends = [e for e in ends if e[0] >= 0]
        at, what = min(ends) if ends else (-1, None)
        return (getattr(self, f"delay_{direction}_s"), getattr(self, f"piece_{direction}"),
                getattr(self, f"rate_{direction}"), at, what)


class Connection:
    """One connection through the proxy; `up` and `down` grow while it lives."""

    def __init__(self, number, client, server, fault, record):
        self.number = number
        self.up = bytearray()
        self.down = bytearray()
        self.up_bytes = 0
        self.down_bytes = 0
        self.closed = threading.Event()
        self._client = client
        self._server = server
        self._fault = fault
        self._record = record
        self._over = threading.Event()   # no more bytes pass
        self._stall = threading.Event()  # pass no more, but stay open
        self._halves = 2
        self._threads = []
        self._lock = threading.Lock()

    def start(self):
        for args in ((self._client, self._server, "up"), (self._server, self._client, "down")):
            thread = threading.Thread(target=self._pump, args=args, daemon=True)
            self._threads.append(thread)
            thread.start()

    def join(self):
        """After end(): waits until nothing more passes or is recorded."""
        for thread in self._threads:
            thread.join()

    def end(self, reset):
        """Ends both sides; with a reset the peers see ECONNRESET."""
        self._over.set()
        with self._lock:
            for s in (self._client, self._server):
                with contextlib.suppress(OSError):
                    if reset:
                        s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
                    # Wakes a thread blocked in recv(), which close() alone would not; reading
                    # only, since a FIN must not precede the RST.
                    s.shutdown(socket.SHUT_RD if reset else socket.SHUT_RDWR)
                s.close()
        self.closed.set()

    def stall(self):
        self._stall.set()

    def _pump(self, source, sink, direction):
        delay, piece, rate, at, what = self._fault.of(direction)
        passed = 0
        try:
            while not self._over.is_set():
                if at >= 0 and passed >= at:
                    self._strike(what)
                    return
                size = piece or 65536
                if at >= 0:
                    size = min(size, at - passed)
                try:
                    data = source.recv(size)
                except TimeoutError:
                    continue
                if self._stall.is_set():
                    self._over.wait()
                    return
                if not data:
                    break
                if self._over.wait(delay + (len(data) / rate if rate else 0)):
                    return
                self._send(sink, data)
                passed += len(data)
                self._keep(direction, data)
            if not self._over.is_set():
                with contextlib.suppress(OSError):
                    sink.shutdown(socket.SHUT_WR)
        except OSError:
            # One side was reset: so is the other.
            self.end(reset=True)
        finally:
            with self._lock:
                self._halves -= 1
                last = self._halves == 0
            if last and not self._over.is_set():
                self.end(reset=False)

    def _send(self, sink, data):
        view = memoryview(data)
        while view and not self._over.is_set():
            with contextlib.suppress(TimeoutError):
                view = view[sink.send(view):]

    def _strike(self, what):
        if what == "stall":
            self.stall()
            self._over.wait()
        else:
            self.end(reset=what == "reset")

    def _keep(self, direction, data):
        setattr(self, direction + "_bytes", getattr(self, direction + "_bytes") + len(data))
        if self._record:
            getattr(self, direction).extend(data)


class Proxy:
    """Listens on a free loopback port until the end of the `with` block, or stop()."""

    def __init__(self, host, port, faults=(), record=True):
        self.target = (host, port)
        self.faults = list(faults)
        self.connections = []
        self._record = record
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.stop()

    def stop(self):
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()
        for c in self.connections:
            c.end(reset=False)
        for c in self.connections:
            c.join()

    def reset_all(self):
        for c in list(self.connections):
            c.end(reset=True)

    def stall_all(self):
        for c in list(self.connections):
            c.stall()

    def wait(self, n, timeout_s=10):
        """Waits for n connections to have come; whether they did."""
        end = time.monotonic() + timeout_s
        while len(self.connections) < n and time.monotonic() < end:
            time.sleep(0.005)
        return len(self.connections) >= n

    def _next_fault(self):
        if not self.faults:
            return Fault()
        return self.faults.pop(0) if len(self.faults) > 1 else self.faults[0]

    def _accept(self):
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            fault = self._next_fault()
            server = None
            if not fault.refuse:
                with contextlib.suppress(OSError):
                    server = socket.create_connection(self.target, timeout=10)
            if server is None:
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
                client.close()
                continue
            for s in (client, server):
                s.settimeout(0.1)  # how soon a blocked thread sees that it is over
                s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            c = Connection(len(self.connections), client, server, fault, self._record)
            self.connections.append(c)
            c.start()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--to", required=True, metavar="HOST:PORT")
    parser.add_argument("--fault", action="append", default=[], metavar="JSON")
    parser.add_argument("--record", metavar="DIR")
    args = parser.parse_args()
    host, _, port = args.to.rpartition(":")
    faults = [Fault(**json.loads(text)) for text in args.fault]
    with Proxy(host, int(port), faults, record=args.record is not None) as p:
        print(json.dumps({"port": p.port}), flush=True)
        sys.stdin.buffer.read()
    if args.record:
        os.makedirs(args.record, exist_ok=True)
        for c in p.connections:
            for direction in ("up", "down"):
                with open(os.path.join(args.record, f"{c.number}.{direction}"), "wb") as f:
                    f.write(getattr(c, direction))


if __name__ == "__main__":
    main()
