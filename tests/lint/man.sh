#!/bin/bash
# The manual pages are clean for mandoc -T lint, and each .so link points at a page.
set -euo pipefail
# shellcheck source=tests/lint/lib.sh
. "$(dirname "$0")/lib.sh"
need mandoc

readarray -t pages < <(tree_files 'man/*.[1-9]')
[ ${#pages[@]} -gt 0 ] || skip "no manual pages yet"
for page in "${pages[@]}"; do
	if [[ $(head -n 1 "$page") =~ ^\.so\ (.*)$ ]]; then
		target=${BASH_REMATCH[1]}
		[ -e "man/${target##*/}" ] || finding "$page:1: link to $target, which does not exist"
		continue
	fi
	# A page of ours that is not installed here is not an unknown one.
	findings_from < <(mandoc -T lint -W all "$page" 2>&1 |
		grep -vE 'referenced manual not found: Xr zk' | sed 's/^mandoc: //' || true)
done
finish
