# shellcheck shell=bash disable=SC2119,SC2120
check() {
	cat >c.yaml
	"$ZK" config validate -c c.yaml "$@" || echo "status $?"
}
check <<'END'
version: 1
defaults: &anchor { log: { level: info } }
END
check <<'END'
version: 1
defaults: *alias
END
check <<'END'
version: 1
defaults: !!map {}
END
check <<'END'
version: 1
defaults:
  <<: { log: {} }
END
check <<'END'
%YAML 1.1
---
version: 1
END
