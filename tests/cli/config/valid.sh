# shellcheck shell=bash disable=SC2119,SC2120
check() {
	cat >c.yaml
	"$ZK" config validate -c c.yaml "$@" || echo "status $?"
}
check <<'END'
END
check <<'END'
# nothing but a comment
END
check <<'END'
version: 1
default_profile: local
defaults:
  retries: { max: 5, base: 250ms, cap: 30s, max_time: 5m }
  log: { level: info, format: auto }
  spool: { max_bytes: 1GiB, when_full: block }
profiles:
  local:
    triggers:
      listen: localhost:8080
      db: triggers.db
      max_payload: 256KiB
      rate_limit: { free: 100, pro: 1000 }
      delivery_max: 256
      delivery_timeout: 10s
  staging:
    extends: local
    protected: true
    request_timeout: 1.5s
    tls_verify: no
END
echo "all valid"
