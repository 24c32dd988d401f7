#!/bin/bash
# The release binary links only what it may, maps at most ten shared objects for `zk version`,
# and is hardened. Looks at $ZK, or at build-release/zk when $ZK is a sanitizer build.
set -euo pipefail
# shellcheck source=tests/lint/lib.sh
. "$(dirname "$0")/lib.sh"
need readelf

allowed='libuv.so.1 libsqlite3.so.0 libcjson.so.1 libyaml-0.so.2 libz.so.1 libc.so.6 libm.so.6
	ld-linux-x86-64.so.2 ld-linux-aarch64.so.1'

is_release() {
	[ -x "$1" ] && ! readelf -d "$1" | grep -qE 'NEEDED.*lib(asan|tsan|ubsan|gcov)' &&
		! readelf -Ws "$1" | grep -qE '__(asan|tsan|ubsan)_|__gcov_'
}

zk=${ZK:-build-release/zk}
is_release "$zk" || zk=build-release/zk
is_release "$zk" || skip "no release build here (scripts/test makes one)"
[ "$zk" != build-release/zk ] || [ -z "$(find src -name '*.[ch]' -newer "$zk" -print -quit)" ] ||
	skip "build-release is older than the sources"

while IFS= read -r lib; do
	grep -qwF -- "$lib" <<<"$allowed" || finding "zk:1: links $lib; open it on first use (base/dl.h)"
done < <(readelf -d "$zk" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p')
readelf -lW "$zk" | grep -q GNU_RELRO || finding "zk:1: no RELRO"
readelf -dW "$zk" | grep -qE 'BIND_NOW|NOW' || finding "zk:1: lazy binding"
readelf -hW "$zk" | grep -q 'DYN (' || finding "zk:1: not position independent"
! readelf -lW "$zk" | grep -E 'GNU_STACK.*RWE' || finding "zk:1: executable stack"

# The loader itself names what it maps, at start and by dlopen().
maps=$(mktemp)
LD_DEBUG=files LD_DEBUG_OUTPUT="$maps" "$zk" version >/dev/null
objects=$(sed -n 's/.*file=\([^ ]*\) \[[0-9]*\];  generating link map.*/\1/p' "$maps".* | sort -u)
rm -f "$maps" "$maps".*
n=$(($(grep -c . <<<"$objects") + 1)) # and the loader
[ "$n" -le 10 ] || finding "zk:1: zk version maps $n shared objects, at most 10: ${objects//$'\n'/ }"
for heavy in libcurl libwebsockets libpq libhiredis libjq libargon2 libzstd libnghttp2 libmsgpackc; do
	! grep -q "^$heavy" <<<"$objects" || finding "zk:1: zk version opens $heavy"
done
finish
