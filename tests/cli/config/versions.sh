# shellcheck shell=bash disable=SC2119,SC2120
check() {
	cat >c.yaml
	"$ZK" config validate -c c.yaml "$@" || echo "status $?"
}
check <<'END'
defaults: {}
END
check <<'END'
version: 2
whatever: {}
END
check <<'END'
version: new
END
