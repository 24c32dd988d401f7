# shellcheck shell=bash
# What the checks beside this file share. Each takes the root of the tree to look at as its
# argument (default: the tree it stands in), prints one line per finding, `FILE:LINE: what`, and
# ends with `finish`.

lint_dir=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "${1:-$lint_dir/../..}" && pwd)
cd "$root" || exit 99
findings=0

# usage: tree_files [PATTERN...]: the files that are, or will be, committed, matching a glob.
# A tree that is no git work tree (a release archive) is searched.
tree_files() {
	local list p
	list=$(git ls-files --cached --others --exclude-standard 2>/dev/null) && [ -n "$list" ] ||
		list=$(find . \( -name .git -o -name 'build*' -o -name node_modules -o -name .cache \) -prune \
			-o -type f -printf '%P\n')
	while IFS= read -r p; do
		[ -f "$p" ] || continue # deleted, not yet committed
		for glob in "${@:-*}"; do
			# shellcheck disable=SC2053  # the right side is a pattern
			if [[ $p == $glob ]]; then
				printf '%s\n' "$p"
				break
			fi
		done
	done < <(sort <<<"$list")
}

finding() {
	printf '%s\n' "$*"
	findings=$((findings + 1))
}

# Reads findings from stdin, one per line.
findings_from() {
	local line
	while IFS= read -r line; do
		finding "$line"
	done
}

skip() {
	printf 'skipped: %s\n' "$*"
	exit 77
}

need() {
	local c
	for c; do
		command -v "$c" >/dev/null || {
			printf '%s is missing: scripts/deps test\n' "$c"
			exit 1
		}
	done
}

finish() {
	[ "$findings" = 0 ] || {
		printf '%d findings\n' "$findings"
		exit 1
	}
	exit 0
}
