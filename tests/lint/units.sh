#!/bin/bash
# The systemd units are accepted by systemd-analyze verify, and each service of the system
# scores under 2 in systemd-analyze security.
set -euo pipefail
# shellcheck source=tests/lint/lib.sh
. "$(dirname "$0")/lib.sh"
need systemd-analyze

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
mkdir "$tmp/bin"
ln -s /bin/true "$tmp/bin/zk"
for kind in system user; do
	dir=contrib/systemd
	[ "$kind" = system ] || dir=contrib/systemd/user
	mkdir "$tmp/$kind"
	while IFS= read -r unit; do
		[ "$(dirname "$unit")" = "$dir" ] || continue
		sed -e "s,@bindir@,$tmp/bin," -e 's,@[a-z]*@,,' "$unit" \
			>"$tmp/$kind/$(basename "$unit" .in)"
	done < <(tree_files "$dir/*.service.in" "$dir/*.socket" "$dir/*.timer")
	# A template that is made from another unit's text.
	made="$TEST_BUILD/contrib/systemd/zk-triggers@.service"
	[ "$kind" = user ] || sed "s,=[^ ]*/bin/zk ,=$tmp/bin/zk ," "$made" >"$tmp/system/zk-triggers@1.service"
	units=("$tmp/$kind"/*.*)
	[ -e "${units[0]}" ] || continue
	mode=()
	[ "$kind" = system ] || mode=(--user)
	# What is said about other units of this machine is not our finding.
	findings_from < <(XDG_RUNTIME_DIR="$tmp" systemd-analyze verify "${mode[@]}" --man=no "${units[@]}" 2>&1 |
		grep -F -e "$tmp" -e 'zk-' | sed "s,$tmp/$kind/,$dir/," || true)
done
for unit in "$tmp"/system/*.service; do
	[ -e "$unit" ] || continue
	out=$(systemd-analyze security --offline=true --threshold=20 --no-pager "$unit" 2>&1) ||
		finding "contrib/systemd/$(basename "$unit").in:1: $(tail -n 1 <<<"$out")"
done
finish
