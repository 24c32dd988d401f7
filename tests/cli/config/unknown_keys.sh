# shellcheck shell=bash disable=SC2119,SC2120
check() {
	cat >c.yaml
	"$ZK" config validate -c c.yaml "$@" || echo "status $?"
}
check <<'END'
version: 1
defaults:
  retries:
    maxx: 1
END
check <<'END'
version: 1
profiles:
  local:
    triggers:
      max-payload: 1KiB
END
check <<'END'
version: 1
trigers: {}
END
check <<'END'
version: 1
log: { level: info }
END
check <<'END'
version: 1
profiles: { local: { jetstreem: { hosts: [a] } } }
END
check <<'END'
version: 1
defaults: { profile: x }
END
