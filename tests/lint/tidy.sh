#!/bin/bash
# clang-tidy with the list in .clang-tidy, every finding an error, on src/ and with TEST_ALL
# also on tests/; or on the FILEs of `tidy.sh ROOT FILE...`. A file that was clean, with the same list, is not
# looked at again (.cache/tidy).
set -euo pipefail
# shellcheck source=tests/lint/lib.sh
. "$(dirname "$0")/lib.sh"
need clang-tidy-14 clang-14

export cache="$root/.cache/tidy"
export flags="-std=c17 -D_GNU_SOURCE -DZK_VERSION=\"0\" -Isrc -Itests/lib -Wno-everything"
flags+=" $(pkg-config --cflags-only-I libcjson libpq hiredis)"
# How far the analyzer follows the paths of one function: its own limit (225,000 nodes) costs
# eight times as much and is for --all.
[ -n "${TEST_ALL:-}" ] || flags+=" -Xclang -analyzer-config -Xclang max-nodes=20000"
export knows=
[ ! -e src/base/err.h ] || knows="-include $lint_dir/analyzer.h"
mkdir -p "$cache"

# shellcheck disable=SC2317  # called through xargs
one() {
	local key out flags=$flags checks=
	case $1 in
	# They define what analyzer.h wraps.
	src/base/err.c | src/codec/jscan.c) flags+=" -DZK_LINT_ERR_C $knows" ;;
	src/*) flags+=" $knows" ;;
	# The macros of Criterion open blocks of their own, and sanitizers run the tests.
	tests/*) checks='-readability-function-size,-clang-analyzer-*' ;;
	esac
	# shellcheck disable=SC2086  # flags is a list
	key=$({
		cat .clang-tidy
		echo "$flags"
		clang-14 $flags -E "$1" 2>&1
	} | sha256sum | cut -c1-40)
	[ ! -e "$cache/$key" ] || return 0
	# shellcheck disable=SC2086
	if out=$(clang-tidy-14 --quiet ${checks:+"-checks=$checks"} "$1" -- $flags 2>/dev/null); then
		: >"$cache/$key"
	fi
	grep -E '(warning|error): ' <<<"$out" | sed "s,^$PWD/,," || true
}
export -f one

files() {
	if [ $# -gt 0 ]; then
		printf '%s\n' "$@"
	else
		tree_files 'src/*.c' ${TEST_ALL:+'tests/*.c'} | grep -v '^tests/bench/'
	fi
}

# shellcheck disable=SC2016  # expanded by the inner shell
findings_from < <(files "${@:2}" |
	xargs -r -P "$(nproc)" -I '{}' bash -c 'one "$1"' one '{}' | sort -u)
# Keys of files that have changed since are of no use.
find "$cache" -type f -mtime +14 -delete
finish
