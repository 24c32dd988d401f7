# shellcheck shell=bash disable=SC2119,SC2120
check() {
	cat >c.yaml
	"$ZK" config validate -c c.yaml "$@" || echo "status $?"
}
check <<'END'
version: 1
defaults: { proxy: "${PROXY_URL}" }
END
check --allow-unset-env <<'END'
version: 1
defaults: { proxy: "${PROXY_URL}" }
END
check <<'END'
version: 1
defaults: { proxy: "${PROXY_URL:-http://localhost:1}", retries: { max: "${N:-5}" } }
END
check <<'END'
version: 1
defaults: { retries: { max: "${N:-five}" } }
END
check <<'END'
version: 1
defaults: { proxy: "${PROXY_URL:?ask the network people}" }
END
check <<'END'
version: 1
defaults: { proxy: "${PROXY URL}" } # ${NOT_IN_COMMENTS}
END
N=7 "$ZK" config validate -c c.yaml --for version
# A profile that is not used may lack its variables.
cat >two.yaml <<'END'
version: 1
default_profile: a
profiles:
  a: {}
  b: { triggers: { db: "${B_DB}" } }
END
"$ZK" config validate -c two.yaml --for 'triggers serve' && echo "a: fine"
"$ZK" config validate -c two.yaml --for 'triggers serve' -p b || echo "status $?"
