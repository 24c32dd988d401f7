#!/bin/bash
# The last include of each .c file, tables (.def) aside, is base/ban.h, and names that it cannot poison (because some
# header of the C library or of a library uses them) do not occur either.
set -euo pipefail
# shellcheck source=tests/lint/lib.sh
. "$(dirname "$0")/lib.sh"

# Calls that block the loop thread, share hidden state, or that lazy libraries cannot bear.
banned='curl_easy_perform|dlclose|popen|sleep|usleep|signal|gethostbyname|inet_ntoa|localeconv'
banned+='|readdir_r|vfork'

while IFS= read -r file; do
	last=$(grep -nE '^[[:space:]]*#[[:space:]]*include' "$file" | grep -v '\.def"' | tail -n 1 || true)
	case $last in
	*'"base/ban.h"'*) ;;
	*) finding "$file:${last%%:*}: the last include is not base/ban.h" ;;
	esac
	case $file in src/*) ;; *) continue ;; esac
	# Comments and strings may name them.
	findings_from < <(sed -E 's,"([^"\\]|\\.)*","",g; s,/\*([^*]|\*[^/])*\*/,,g; s,^[[:space:]]*(/\*|\*[ /]).*,,' \
		"$file" | grep -nE "(^|[^A-Za-z0-9_.>])($banned)[[:space:]]*\(" |
		sed -E "s,^([0-9]+):[[:space:]]*(.*)$,$file:\1: banned call: \2," || true)
done < <(tree_files 'src/*.c' 'tests/*.c')
finish
