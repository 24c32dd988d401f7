#!/bin/bash
# Every C file is formatted as clang-format 14 with .clang-format would.
set -euo pipefail
# shellcheck source=tests/lint/lib.sh
. "$(dirname "$0")/lib.sh"
need clang-format-14

while IFS= read -r file; do
	clang-format-14 --dry-run --Werror "$file" 2>/dev/null ||
		finding "$file:1: not formatted: scripts/format $file"
done < <(tree_files 'src/*.[ch]' 'tests/*.[ch]')
finish
