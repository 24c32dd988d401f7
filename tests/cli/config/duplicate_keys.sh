# shellcheck shell=bash disable=SC2119,SC2120
check() {
	cat >c.yaml
	"$ZK" config validate -c c.yaml "$@" || echo "status $?"
}
check <<'END'
version: 1
defaults:
  log: { level: info, level: debug }
END
check <<'END'
version: 1
profiles:
  local: {}
  staging: {}
  local: {}
END
check <<'END'
version: 1
version: 1
END
