#!/bin/bash
# Spelling (codespell); no reminder without the number of its issue; no path of one machine and
# no package registry's host in any committed file.
set -euo pipefail
# shellcheck source=tests/lint/lib.sh
. "$(dirname "$0")/lib.sh"
need codespell

readarray -t files < <(tree_files "*" | grep -vE '^tests/(data|fuzz/corpus)/|package-lock\.json$' || true)
text=()
for file in "${files[@]}"; do
	if grep -qI . "$file"; then text+=("$file"); fi
done
[ ${#text[@]} -gt 0 ] || finish

findings_from < <(codespell --ignore-words-list "$(tr '\n' , <"$lint_dir/words.txt")" \
	"${text[@]}" 2>&1 || true)
# The patterns are written so that they do not find themselves.
findings_from < <(grep -nE '\<(TO[D]O|FIX[M]E|X[X]X)\>[^_]' "${text[@]}" /dev/null |
	grep -vE '(TO[D]O|FIX[M]E)\(#[0-9]+\)' | sed 's/$/  <- needs an issue number: FIX''ME(#12)/' || true)
findings_from < <(grep -nE '(^|[^A-Za-z0-9_.-])/(wor[k]|roo[t]|Users)/[A-Za-z0-9]|/home/[a-z]+/|/tmp/bas[h]_jobs' \
	"${text[@]}" /dev/null | sed 's/$/  <- path of one machine/' || true)
findings_from < <(grep -nE '(registr[y]\.(npmjs|yarnpkg)|npmj[s]\.(org|com)|pyp[i]\.org|files\.pythonhosted|crates\.i[o]|proxy\.golan[g]|deb\.[d]ebian\.org)' \
	"${text[@]}" tests/peer/package-lock.json /dev/null 2>/dev/null | sed 's/$/  <- host of a registry/' || true)
finish
