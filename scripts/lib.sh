# shellcheck shell=bash
# What the scripts beside this file share: source it, then work in $root.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
export root
from=$PWD # where the caller stands: relative arguments mean that
export from
cd "$root" || exit

# Programs that scripts/deps unpacked instead of installing them.
export PATH="$PATH:$root/.cache/tools/usr/bin:$root/.cache/tools/usr/lib/postgresql/15/bin"
export PATH="$PATH:/usr/lib/postgresql/15/bin"

note() {
	printf '%s\n' "$*" >&2
}

die() {
	note "$(basename "$0"): $*"
	exit 1
}

# usage: usage_of FILE: prints the comment at the head of a script, without the marks.
usage_of() {
	sed -n '2,/^[^#]/{/^#/{s/^# \{0,1\}//;p;}}' "$1"
}

# usage: setup DIR [MESON OPTION...]: configures a build folder, or brings it up to date when
# its options have changed. $CC of the caller decides the compiler of a new folder only.
setup() {
	local dir=$1
	shift
	local stamp="$dir/.setup" want="${CC:-gcc} $*"
	if [ -e "$dir/build.ninja" ] && [ "$(cat "$stamp" 2>/dev/null)" = "$want" ]; then
		return 0
	fi
	rm -rf "$dir"
	mkdir -p "$dir"
	CC=${CC:-gcc} meson setup "$dir" "$@" >"$dir.setup.log" 2>&1 || {
		cat "$dir.setup.log" >&2
		rm -f "$dir.setup.log"
		die "cannot configure $dir"
	}
	rm -f "$dir.setup.log"
	printf '%s\n' "$want" >"$stamp"
}

# usage: build DIR [TARGET...]: quiet unless it fails.
build() {
	local dir=$1
	shift
	local log="$dir/build.log"
	ninja -C "$dir" "$@" >"$log" 2>&1 || {
		grep -v '^\[[0-9]*/[0-9]*\] ' "$log" >&2
		return 1
	}
}

# The release build: what demo runs, package ships and the lint of the binary looks at.
build_release() {
	setup build-release --prefix=/usr --sysconfdir=/etc --buildtype=release && build build-release
}
