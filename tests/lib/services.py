"""Private PostgreSQL and Redis for the black-box tests, through scripts/dev-services.

    with services.start("redis") as s:
        s.redis_url
        s.redis_kill(); s.redis_start()

Skipped (None) is never an answer: what is not installed is a failed test."""

import os
import pathlib
import re
import signal
import subprocess
import tempfile

import zkt

SCRIPT = str(zkt.SRC / "scripts" / "dev-services")


class Services:
    def __init__(self, only=None, fast=True):
        self.dir = tempfile.mkdtemp(prefix="s")
        # PostgreSQL runs as another user, who has to get into the sandbox of this test.
        for folder in [self.dir, *pathlib.Path(self.dir).parents]:
            if str(folder).startswith(os.environ.get("HOME", "-").rsplit("/", 1)[0]):
                os.chmod(folder, 0o711)
        command = [SCRIPT, "start", "--dir", self.dir]
        command += ["--only", only] if only else []
        command += ["--fast"] if fast else []
        p = subprocess.run(command, capture_output=True, text=True, timeout=120 * zkt.SLOW)
        if p.returncode:
            raise zkt.Failure(f"dev-services: {p.stdout}{p.stderr}")
        self.env = dict(re.findall(r"(\w+)='([^']*)'", p.stdout))
        self.db_url = self.env.get("DATABASE_URL")
        self.redis_url = self.env.get("REDIS_URL")

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.stop()

    def stop(self):
        subprocess.run([SCRIPT, "stop", "--dir", self.dir], timeout=60 * zkt.SLOW)

    # ---- Redis ----

    @property
    def redis_port(self):
        return int(self.redis_url.rpartition(":")[2])

    def redis_pid(self):
        return int(pathlib.Path(self.env["REDIS_PIDFILE"]).read_text())

    def redis_signal(self, number):
        os.kill(self.redis_pid(), number)

    def redis_kill(self):
        pid = self.redis_pid()
        os.kill(pid, signal.SIGKILL)
        zkt.wait_for(lambda: not os.path.exists(f"/proc/{pid}") or self._is_zombie(pid),
                     "Redis to be gone")

    @staticmethod
    def _is_zombie(pid):
        try:
            return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
        except OSError:
            return True

    def redis_start(self, *options):
        """Starts it again on the same port, empty."""
        log = pathlib.Path(self.dir, "redis.log")
        log.unlink(missing_ok=True)
        subprocess.run(["redis-server", "--port", str(self.redis_port), "--bind", "127.0.0.1",
                        "--daemonize", "yes", "--dir", self.dir, "--save", "", "--appendonly",
                        "no", "--pidfile", self.env["REDIS_PIDFILE"], "--logfile", str(log),
                        *options], check=True, stdout=subprocess.DEVNULL)
        zkt.wait_for(lambda: log.exists() and "Ready to accept" in log.read_text(),
                     "Redis to start")

    def redis(self, *words):
        """redis-cli WORDS; its output."""
        p = subprocess.run(["redis-cli", "-p", str(self.redis_port), *map(str, words)],
                           capture_output=True, text=True, timeout=20 * zkt.SLOW)
        return p.stdout.strip()


def start(only=None, fast=True):
    return Services(only, fast)
