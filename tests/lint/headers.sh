#!/bin/bash
# Each header compiles alone, with gcc and with clang, has the guard its path asks for, and opens
# with a comment that names its layer.
set -euo pipefail
# shellcheck source=tests/lint/lib.sh
. "$(dirname "$0")/lib.sh"
need gcc clang

flags=(-std=c17 -D_GNU_SOURCE -Wall -Wextra -Wpedantic -Werror -fsyntax-only -Isrc -x c)
while IFS= read -r header; do
	for cc in gcc clang; do
		"$cc" "${flags[@]}" -include "$header" - <<<"extern int zk_lint;" ||
			finding "$header:1: does not compile alone with $cc"
	done
	case $header in src/*) ;; *) continue ;; esac
	guard=ZK_$(sed 's,^src/,,; s,[/.-],_,g' <<<"$header" | tr '[:lower:]' '[:upper:]')
	grep -qx "#ifndef $guard" "$header" || finding "$header:1: no guard $guard"
	grep -q 'Layer: ' <(sed '/^#/q' "$header") ||
		finding "$header:1: no opening comment with purpose and layer"
done < <(tree_files 'src/*.h' 'tests/*.h')
finish
