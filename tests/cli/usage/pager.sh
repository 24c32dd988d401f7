# shellcheck shell=bash
# Only on a terminal: a pipe gets the text itself.
PAGER='sh -c "echo PAGER; cat"' "$ZK" help errors | grep -c PAGER || true
python3 - <<'END'
import os, pty, struct, fcntl, termios

def run(pager, *args):
    pid, fd = pty.fork()
    if pid == 0:
        fcntl.ioctl(1, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        os.environ["PAGER"] = pager
        os.execv(os.environ["ZK"], ["zk", *args])
    out = b""
    while True:
        try:
            piece = os.read(fd, 65536)
        except OSError:
            break
        if not piece:
            break
        out += piece
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), out.decode()

status, out = run("sh -c 'echo PAGER; cat'", "help", "errors")
print("long text:", status, "PAGER" in out, "ZK9002" in out)
status, out = run("sh -c 'echo PAGER; cat'", "explain", "--help")
print("short text:", status, "PAGER" in out)
status, out = run("/nonexistent/pager", "help", "errors")
print("no such pager:", status, "ZK9002" in out)
status, out = run("true", "help", "errors")
print("pager that leaves:", status)
END
