"""zk spool beside other processes: the lock of a target, records of a running process, output that
cannot be written. The locks are bytes of PROFILE.lock (src/store/spool_lock.c): an owner's number,
or 2^40 plus a quarter of the first eight bytes of SHA-256 of "KIND:DEST"."""

import fcntl
import hashlib
import os
import sqlite3
import struct
import subprocess

import zkt

TARGET = "triggers:http://localhost:8080"


def spool():
    """A folder with the spool of the golden tests."""
    folder = zkt.tmp()
    db = sqlite3.connect(folder + "/default.db")
    db.executescript((zkt.SRC / "tests/cli/spool/v1.sql").read_text())
    db.close()
    return folder


def hold(folder, at):
    """Locks a byte as another process would; returns the descriptor, whose end frees it."""
    fd = os.open(folder + "/default.lock", os.O_RDWR | os.O_CREAT, 0o600)
    lock = struct.pack("hhqqi4x", fcntl.F_WRLCK, os.SEEK_SET, at, 1, 0)
    fcntl.fcntl(fd, fcntl.F_OFD_SETLK, lock)
    return fd


def byte_of(target):
    head = hashlib.sha256(target.encode()).digest()[:8]
    return (1 << 40) + (int.from_bytes(head, "big") >> 2)


def counts(folder):
    rows = zkt.zk("spool", "list", "--spool", folder).rows
    return {r["target"]: (r["waiting"], r["sending"], r["failed"]) for r in rows}


def test_a_target_that_is_being_sent():
    folder = spool()
    fd = hold(folder, byte_of(TARGET))
    r = zkt.zk("spool", "flush", "--spool", folder, "-v", TARGET)
    zkt.equal(r.status, 0, "a second flush ends with 0", r.err)
    zkt.contains("1 left to the process that is sending it now", r.err, "and says why")
    r = zkt.zk("spool", "flush", "--spool", folder, TARGET)
    zkt.equal((r.status, r.out, r.err), (0, "", ""), "nothing at all from cron")
    zkt.equal(counts(folder)[TARGET], (1, 0, 1), "nothing was touched")
    os.close(fd)


def test_records_of_a_running_process():
    folder = spool()
    db = sqlite3.connect(folder + "/default.db")
    db.execute("INSERT INTO owners(id, pid, created) VALUES(7, 1, 0)")
    db.execute("UPDATE records SET slot=7 WHERE id=1")
    db.commit()
    db.close()
    fd = hold(folder, 7)
    zkt.equal(counts(folder)[TARGET], (0, 1, 1), "they are being sent")
    r = zkt.zk("spool", "drop", "--spool", folder, "--everything", "--yes", "-o", "json")
    zkt.equal(r.json, {"dropped": 3}, "nobody drops them")
    r = zkt.zk("spool", "flush", "--spool", folder, "-v")
    zkt.equal(r.status, 0, "and a flush leaves them alone", r.err)
    zkt.contains("nothing to send", r.err, "which it says")
    os.close(fd)
    zkt.equal(counts(folder), {TARGET: (1, 0, 0)}, "they wait when the process has ended")


def test_output_that_cannot_be_written():
    folder = spool()
    for command in ("list", "show", "export"):
        with open("/dev/full", "wb") as full:
            p = subprocess.run([zkt.ZK, "spool", command, "--spool", folder], stdout=full,
                               stderr=subprocess.PIPE, timeout=60 * zkt.SLOW, check=False)
        zkt.equal(p.returncode, 74, f"{command} to a full disk", p.stderr)
        p = subprocess.run(["bash", "-o", "pipefail", "-c", '"$0" "$@" | true', zkt.ZK, "spool",
                            command, "--spool", folder], capture_output=True,
                           timeout=60 * zkt.SLOW, check=False)
        zkt.equal((p.returncode, p.stderr), (0, b""), f"{command} to a reader that went away")
    zkt.equal(sum(map(sum, counts(folder).values())), 4, "all is still there")


def test_files_are_private():
    folder = zkt.tmp()
    os.umask(0)
    spool_dir = folder + "/spool"
    os.mkdir(spool_dir, 0o700)
    db = sqlite3.connect(spool_dir + "/default.db")
    db.executescript((zkt.SRC / "tests/cli/spool/v1.sql").read_text())
    db.close()
    os.chmod(spool_dir + "/default.db", 0o600)
    zkt.equal(zkt.zk("spool", "list", "--spool", spool_dir).status, 0, "list")
    modes = {f: oct(os.stat(os.path.join(spool_dir, f)).st_mode & 0o777)
             for f in os.listdir(spool_dir)}
    zkt.equal(set(modes.values()), {"0o600"}, "every file has mode 0600", modes)


zkt.main()
