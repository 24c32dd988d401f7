"""The Redis client (src/store/redis.h) against a real Redis: answers, pipelines, bounds, loss of
the server, passwords, servers that say nothing or nonsense."""

import os
import signal
import socket
import subprocess

import services
import zkt

DRIVER = os.path.join(os.environ["TEST_BUILD"], "tests", "peer", "redis_client")


class Driver:
    def __init__(self, url, max_out=0, stall_ms=0):
        self.p = subprocess.Popen([DRIVER], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                  text=True, bufsize=1)
        self.tell(f"open {url} {max_out} {stall_ms}")

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.tell("quit")
        try:
            zkt.equal(self.p.wait(30 * zkt.SLOW), 0, "the driver ends cleanly")
        finally:
            self.p.kill()
            self.p.stdin.close()
            self.p.stdout.close()

    def tell(self, line):
        self.p.stdin.write(line + "\n")
        self.p.stdin.flush()

    def event(self):
        line = self.p.stdout.readline()
        zkt.need(line, "the driver ended")
        return line.rstrip("\n")

    def until(self, start):
        """The next event that starts so; those before it are dropped."""
        while True:
            e = self.event()
            if e.startswith(start):
                return e


def test_answers():
    with services.start("redis") as s, Driver(s.redis_url + "/3") as d:
        zkt.equal(d.event(), "up", "connected")
        d.tell("send 1 0 SET k v")
        d.tell("send 2 0 GET k")
        d.tell("send 3 0 LPUSH k x")
        d.tell("send 4 0 MGET k none")
        d.tell("send 5 0 CLIENT GETNAME")
        zkt.equal([d.event() for _ in range(5)],
                  ["reply 1 OK", "reply 2 v",
                   "reply 3 WRONGTYPE Operation against a key holding the wrong kind of value",
                   "reply 4  v (nil)", "reply 5 zk-test"], "answers in order, errors among them")
        zkt.equal(s.redis("-n", 3, "GET", "k"), "v", "in the database of the URL")


def test_many_in_pipelines_with_bounded_output():
    with services.start("redis") as s, Driver(s.redis_url, max_out=1 << 20) as d:
        d.until("up")
        d.tell("burst 1 20000 1400")
        words = d.until("burst").split()
        zkt.equal(words[:6], ["burst", "1", "ok", "20000", "errors", "0"], "each is answered")
        zkt.ok(int(words[7]) > 0, "output was full at times, and room was announced", words)
        d.tell("burst 2 3 3000000")
        zkt.contains("ok 3 errors 0", d.until("burst"), "a command larger than the bound fits alone")


def test_server_killed_and_back():
    with services.start("redis") as s, Driver(s.redis_url) as d:
        d.until("up")
        d.tell("send 1 -1 BLPOP nothing 0")
        zkt.wait_for(lambda: "blocked_clients:1" in s.redis("INFO", "clients"), "the block")
        s.redis_kill()
        zkt.equal(d.event(), "error 1 3007", "what was sent has an unknown outcome")
        zkt.matches(r"^down 3003 ", d.event(), "and the state is told")
        d.tell("send 2 0 PING")
        zkt.equal(d.until("refused"), "refused 2 3003", "nothing piles up meanwhile")
        s.redis_start()
        zkt.equal(d.until("up"), "up", "it comes back by itself")
        d.tell("send 3 0 PING")
        zkt.equal(d.event(), "reply 3 PONG", "and works")


def test_late_answers_and_silence():
    with services.start("redis") as s, Driver(s.redis_url, stall_ms=700) as d:
        d.until("up")
        s.redis_signal(signal.SIGSTOP)
        d.tell("send 1 50 INCR n")
        zkt.equal(d.event(), "error 1 1307", "one command is late")
        s.redis_signal(signal.SIGCONT)
        d.tell("send 2 5000 INCR n")
        zkt.equal(d.event(), "reply 2 2", "its answer is thrown away, the connection stays")
        s.redis_signal(signal.SIGSTOP)
        d.tell("send 3 50 INCR n")
        zkt.equal(d.event(), "error 3 1307", "late again")
        zkt.matches("^down 3003 .*does not answer", d.event(), "silence ends the connection")
        s.redis_signal(signal.SIGCONT)
        d.until("up")
        zkt.ok(True, "and it is made anew")


def test_passwords():
    with services.start("redis") as s:
        s.redis("CONFIG", "SET", "requirepass", "s3cret")
        url = f"127.0.0.1:{s.redis_port}"
        with Driver(f"redis://:s3cret@{url}") as d:
            zkt.equal(d.event(), "up", "with the password")
        with Driver(f"redis://default:s3cret@{url}") as d:
            zkt.equal(d.event(), "up", "with user name and password")
        with Driver(f"redis://{url}") as d:
            zkt.matches("^down 3010 .*NOAUTH", d.event(), "without")
        with Driver(f"redis://:wrong@{url}") as d:
            e = d.event()
            zkt.matches("^down 3010 .*WRONGPASS", e, "with a wrong one")
            zkt.ok("wrong@" not in e and ":wrong" not in e, "which is not shown", e)


def test_tls():
    cert, key = zkt.certificate(name="localhost")
    with services.start("redis") as s:
        s.redis_kill()
        with socket.create_server(("127.0.0.1", 0)) as l:
            port = l.getsockname()[1]
        s.redis_start("--tls-port", str(port), "--tls-cert-file", cert, "--tls-key-file",
                      key, "--tls-auth-clients", "no", "--requirepass", "s3cret")
        os.environ["SSL_CERT_FILE"] = cert
        try:
            with Driver(f"rediss://:s3cret@localhost:{port}", max_out=1 << 20) as d:
                zkt.equal(d.event(), "up", "through TLS")
                d.tell("burst 1 5000 1400")
                zkt.contains("ok 5000 errors 0", d.until("burst"), "a long pipeline")
                s.redis_kill()
                zkt.matches("^down 3003", d.until("down"), "the end is noticed")
                s.redis_start("--tls-port", str(port), "--tls-cert-file", cert,
                              "--tls-key-file", key, "--tls-auth-clients", "no",
                              "--requirepass", "s3cret")
                zkt.equal(d.until("up"), "up", "and it comes back")
            with Driver(f"rediss://:s3cret@127.0.0.1:{port}") as d:
                zkt.equal(d.event(), "up", "by address, which the certificate has")
            with Driver(f"rediss://:s3cret@ip6-localhost:{port}") as d:
                zkt.matches("^down 300[34] ", d.event(), "a name that it has not")
            del os.environ["SSL_CERT_FILE"]
            with Driver(f"rediss://:s3cret@localhost:{port}") as d:
                zkt.matches("^down 3004 .*certificate", d.event(), "an authority nobody knows")
            with Driver(f"rediss://localhost:{s.redis_port}") as d:
                zkt.matches("^down 300[34] ", d.event(), "a port without TLS")
        finally:
            os.environ.pop("SSL_CERT_FILE", None)


def test_no_redis_at_all():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        with Driver(f"redis://127.0.0.1:{port}") as d:
            c, _ = listener.accept()
            with c:
                c.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
                zkt.matches("^down 3005 .*no RESP", d.event(), "another protocol")
    with Driver(f"redis://127.0.0.1:{port}") as d:
        zkt.matches("^down 3003 ", d.event(), "nobody listens")
    with Driver("redis://no.such.host.invalid") as d:
        zkt.matches("^down 3003 .*no.such.host.invalid", d.event(), "no such name")
    with Driver("unix:/nowhere/redis.sock") as d:
        zkt.matches("^down 3003 .*No such file", d.event(), "no such socket")


zkt.main()
