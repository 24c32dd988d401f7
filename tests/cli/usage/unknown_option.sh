# shellcheck shell=bash
try() {
	"$ZK" "$@" || echo "status $?"
}
try version --quite
try version --profil x
try --colour always version
try version -x
try version -qx
try version --no-verbos
try version --grcae=5s
try version -- | sed 's/ [0-9].*/ N/'
