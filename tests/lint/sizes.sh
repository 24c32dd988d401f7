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
# pmccabe knows no macro that stands for members of a struct; and what it says about a file it
# cannot follow is a finding, not a reason to pass over the rest.
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
for file in "${files[@]}"; do
	mkdir -p "$tmp/$(dirname "$file")"
	sed '/^#/! s/(ZK_DL_FIELD)/&;/' "$file" >"$tmp/$file"
done
# Fields: modified complexity, complexity, statements, first line, lines, FILE(LINE): NAME
findings_from < <(cd "$tmp" && pmccabe "${files[@]}" 2>"$tmp/errors" | awk '
	{ sub(/\([0-9]+\):$/, "", $6) }
	$5 > 80 { printf "%s:%d: %s has %d lines, at most 80\n", $6, $4, $7, $5 }
	$1 > 15 { printf "%s:%d: %s has complexity %d, at most 15\n", $6, $4, $7, $1 }')
findings_from <"$tmp/errors"
finish
