# shellcheck shell=bash
try() {
	"$ZK" version "$@" || echo "status $?"
}
try --log-level dbug
try --log-level
try --log-level=
try --quiet=1
try --no-quiet=1
try --timeout 10
try --timeout -5s
try --timeout 5parsecs
try --grace
try -p
