#!/bin/bash
# Every source, test program, fuzz target, check and golden folder is in the list of its
# meson.build, so that none is left out in silence; the lists are sorted; a fuzz target has
# seeds and a golden file has its script.
set -euo pipefail
# shellcheck source=tests/lint/lib.sh
. "$(dirname "$0")/lib.sh"

# usage: listed NAME FILE: whether a meson.build has the line '  'NAME','.
listed() {
	grep -qE "^ *'$1',?( *#.*)?$" "$2" 2>/dev/null
}

# usage: each PATTERN PREFIX SUFFIX MESON: the name between prefix and suffix must be listed.
each() {
	local file name
	while IFS= read -r file; do
		[[ $file != */tools/* && $file != *_lib.py && $file != *_lib.mjs ]] || continue # used by tests
		name=${file#"$2"}
		name=${name%"$3"}
		listed "$name" "$4" || finding "$file:1: '$name' is not listed in $4"
	done < <(tree_files "$1")
}

each 'tests/unit/test_*.c' tests/unit/test_ .c tests/unit/meson.build
each 'tests/stress/stress_*.c' tests/stress/stress_ .c tests/stress/meson.build
each 'tests/fuzz/fuzz_*.c' tests/fuzz/fuzz_ .c tests/fuzz/meson.build
each 'tests/cli/*/*.py' tests/cli/ .py tests/cli/meson.build
each 'tests/peer/*.py' tests/peer/ .py tests/peer/meson.build
each 'tests/peer/*.mjs' tests/peer/ .mjs tests/peer/meson.build
each 'tests/fault/test_*.py' tests/fault/ .py tests/fault/meson.build
while IFS= read -r file; do
	name=$(basename "$file" .sh)
	[ "$name" = lib ] || listed "$name" tests/lint/meson.build ||
		finding "$file:1: '$name' is not listed in tests/lint/meson.build"
done < <(tree_files 'tests/lint/*.sh')
while IFS= read -r area; do
	listed "$area" tests/cli/meson.build ||
		finding "tests/cli/$area:1: '$area' is not listed in tests/cli/meson.build"
done < <(tree_files 'tests/cli/*/*.sh' | cut -d/ -f3 | sort -u)
while IFS= read -r file; do
	[ -e "${file%.*}.sh" ] || finding "$file:1: there is no ${file%.*}.sh"
done < <(tree_files 'tests/cli/*/*.out' 'tests/cli/*/*.err' 'tests/cli/*/*.exit')
while IFS= read -r file; do
	seeds=tests/fuzz/corpus/$(basename "$file" .c | sed 's/^fuzz_//')
	[ -n "$(tree_files "$seeds/*")" ] || finding "$file:1: no seeds in $seeds"
done < <(tree_files 'tests/fuzz/fuzz_*.c')
while IFS= read -r file; do
	[ "$file" != src/main.c ] || continue
	layer=${file#src/}
	layer=${layer%%/*}
	name=${file#src/"$layer"/}
	listed "$name" "src/$layer/meson.build" ||
		finding "$file:1: '$name' is not listed in src/$layer/meson.build"
done < <(tree_files 'src/*/*.c')
while IFS= read -r file; do
	findings_from < <(awk -v file="$file" -v quote="'" '
		/\[$|\($/ { prev = "" }
		$0 ~ "^ +" quote "[^" quote "]*" quote ",?$" {
			if (prev != "" && $1 < prev) printf "%s:%d: %s is not in order\n", file, NR, $1
			prev = $1
		}' "$file")
done < <(tree_files 'src/*/meson.build' 'tests/*/meson.build')
finish
