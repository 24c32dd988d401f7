# shellcheck shell=bash disable=SC2119,SC2120
check() {
	cat >c.yaml
	"$ZK" config validate -c c.yaml "$@" || echo "status $?"
}
check <<'END'
version: 1
defaults:
  retries: { max: many }
END
check <<'END'
version: 1
defaults:
  request_timeout: 30
END
check <<'END'
version: 1
defaults:
  spool: { max_bytes: 1000 }
END
check <<'END'
version: 1
defaults:
  color: alwasy
END
check <<'END'
version: 1
defaults:
  tls_verify: perhaps
END
check <<'END'
version: 1
defaults:
  retries: 5
END
check <<'END'
version: 1
defaults:
  log: { level: [info] }
END
check <<'END'
version: 1
profiles:
  local:
    triggers: { rate_limit: [free, 100] }
END
check <<'END'
version: 1
defaults:
  retries:
    max:
END
