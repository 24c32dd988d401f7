#!/bin/bash
# Every shell script is clean for shellcheck and begins in strict mode.
set -euo pipefail
# shellcheck source=tests/lint/lib.sh
. "$(dirname "$0")/lib.sh"
need shellcheck

scripts=()
while IFS= read -r file; do
	case $(head -c 64 "$file" | head -n 1 | tr -d '\0') in
	'#!'*sh | '#!'*sh' '*)
		scripts+=("$file")
		grep -qE '^set -eu(o pipefail)?$' "$file" || finding "$file:1: no set -euo pipefail"
		;;
	*'shellcheck shell='*) scripts+=("$file") ;;
	*)
		# Golden tests run under bash -euo pipefail.
		case $file in tests/cli/*.sh) scripts+=("$file") ;; esac
		;;
	esac
done < <(tree_files 'scripts/*' '.ci/*' 'tests/*' 'contrib/*')
[ ${#scripts[@]} -gt 0 ] || finish
findings_from < <(shellcheck -x -s bash -f gcc "${scripts[@]}" || true)
finish
