#!/bin/bash
# Every C file is formatted as clang-format 14 with .clang-format would.
set -euo pipefail
# shellcheck source=tests/lint/lib.sh
. "$(dirname "$0")/lib.sh"
need clang-format-14

findings_from < <(tree_files 'src/*.[ch]' 'tests/*.[ch]' |
	xargs -r -n 10 -P "$(nproc)" clang-format-14 --dry-run --Werror 2>&1 |
	sed -n 's/^\([^ :]*\):\([0-9]*\):[0-9]*: error: code should.*/\1:\2: not formatted: scripts\/format \1/p' |
	sort -u -t : -k 1,1)
finish
