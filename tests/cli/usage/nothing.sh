# shellcheck shell=bash
# Without a command: the overview, on stderr, status 64.
"$ZK" 2>text || echo "status $?"
grep -c 'zk COMMAND --help' text
"$ZK" -h | cmp - text && echo "the same as -h"
