#!/bin/bash
# Completions, manual pages and tables of the README are those that `zk emit` writes.
set -euo pipefail
# shellcheck source=tests/lint/lib.sh
. "$(dirname "$0")/lib.sh"
[ -n "${ZK:-}" ] || ZK=$root/build/zk
export ZK
"$ZK" emit list >/dev/null 2>&1 || skip "this zk cannot emit"
findings_from < <(scripts/gen --check 2>&1 || true)
finish
