#!/bin/bash
# usage: sandbox.sh COMMAND [ARG...]
#
# Runs one test in a private world and passes its exit status on:
#   - the environment is empty but for PATH, the locale, TZ and what the build passes on
#     (ZK, TEST_*, ZK_UPDATE, *_OPTIONS of the sanitizers, MALLOC_PERTURB_);
#   - HOME and TMPDIR lie in a fresh directory that is removed afterwards;
#   - each report of a sanitizer, from whatever process of the test, fails the test with
#     status 99. (A leak in a Criterion test would leave status 0 otherwise.)
# TEST_WRAP='valgrind -q' puts a command line before the test program itself, TEST_ZK_WRAP
# before each run of $ZK that the test makes.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
dir=$(mktemp -d "${TMPDIR:-/tmp}/zk-test.XXXXXX")
trap 'rm -rf "$dir"' EXIT
mkdir "$dir/home" "$dir/tmp"

vars=(
	# The last one: what scripts/deps unpacked instead of installing it.
	PATH="/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin:${here%/tests/lib}/.cache/tools/usr/bin"
	HOME="$dir/home" TMPDIR="$dir/tmp" LC_ALL=C.UTF-8 TZ=UTC TERM=dumb
	PYTHONPATH="$here" PYTHONDONTWRITEBYTECODE=1
	ASAN_OPTIONS="${ASAN_OPTIONS:+$ASAN_OPTIONS:}log_path=$dir/san:quarantine_size_mb=16:detect_stack_use_after_return=1:strict_string_checks=1:exitcode=86"
	UBSAN_OPTIONS="${UBSAN_OPTIONS:+$UBSAN_OPTIONS:}log_path=$dir/san:print_stacktrace=1"
	LSAN_OPTIONS="${LSAN_OPTIONS:+$LSAN_OPTIONS:}exitcode=86:print_suppressions=0:suppressions=$here/lsan.supp"
	TSAN_OPTIONS="${TSAN_OPTIONS:+$TSAN_OPTIONS:}log_path=$dir/san:halt_on_error=0:second_deadlock_stack=1:exitcode=86"
)
while IFS='=' read -r name _; do
	case $name in
	TEST_WRAP | TEST_ZK_WRAP) ;;
	ZK | ZK_UPDATE | TEST_* | MALLOC_PERTURB_) vars+=("$name=${!name}") ;;
	esac
done < <(env)

if [ -n "${TEST_ZK_WRAP:-}" ]; then
	mkdir "$dir/bin"
	printf '#!/bin/sh\nexec %s %q "$@"\n' "$TEST_ZK_WRAP" "$ZK" >"$dir/bin/zk"
	chmod +x "$dir/bin/zk"
	vars+=("ZK=$dir/bin/zk")
fi

ulimit -c 0
status=0
# shellcheck disable=SC2086  # TEST_WRAP is a command line of its own
env -i "${vars[@]}" ${TEST_WRAP:-} "$@" || status=$?

for report in "$dir"/san.*; do
	[ -e "$report" ] || continue
	# Said of a thread that went away, or was killed, during the search for leaks: its stack is
	# passed over, which hides no leak. One that is found makes a line of its own.
	if [ -s "$report" ] && ! grep -qvE '^(==[0-9]+==)?Unable to get registers from thread [0-9]+\.$' "$report"; then
		continue
	fi
	{
		echo "# sanitizer report of process ${report##*.}:"
		sed 's/^/# /' "$report"
	} >&2
	status=99
done
exit "$status"
