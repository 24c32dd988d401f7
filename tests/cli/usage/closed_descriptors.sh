# shellcheck shell=bash
"$ZK" version >&- || echo "stdout closed: status $?"
"$ZK" version </dev/null 2>&- >/dev/null && echo "stderr closed: fine"
"$ZK" version <&- >/dev/null && echo "stdin closed: fine"
"$ZK" version >/dev/full || echo "stdout full: status $?"
"$ZK" help errors | head -n 1
"$ZK" bogus 2>&- || echo "error without stderr: status $?"
