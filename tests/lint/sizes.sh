#!/bin/bash
# A .c file has at most 1000 lines, a function at most 80 lines and a cyclomatic complexity
# (pmccabe, a switch counts once) of at most 15. There is no list of exceptions.
set -euo pipefail
# shellcheck source=tests/lint/lib.sh
. "$(dirname "$0")/lib.sh"
need pmccabe

readarray -t files < <(tree_files 'src/*.c' 'src/*.h' 'tests/*.c' 'tests/*.h')
[ ${#files[@]} -gt 0 ] || finish
for file in "${files[@]}"; do
	lines=$(wc -l <"$file")
	[ "$lines" -le 1000 ] || finding "$file:1: $lines lines, at most 1000"
done
# Fields: modified complexity, complexity, statements, first line, lines, FILE(LINE): NAME
findings_from < <(pmccabe "${files[@]}" | awk '{
	sub(/\([0-9]+\):$/, "", $6)
	if ($5 > 80) printf "%s:%d: %s has %d lines, at most 80\n", $6, $4, $7, $5
	if ($1 > 15) printf "%s:%d: %s has complexity %d, at most 15\n", $6, $4, $7, $1
}')
finish
