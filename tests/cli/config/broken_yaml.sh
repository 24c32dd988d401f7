# shellcheck shell=bash disable=SC2119,SC2120
check() {
	cat >c.yaml
	"$ZK" config validate -c c.yaml "$@" || echo "status $?"
}
printf 'version: 1\ndefaults:\n\tlog: {}\n' | check
check <<'END'
version: 1
defaults: { log: [1,
profiles: {}
END
check <<'END'
version: 1
defaults: "unclosed
END
check <<'END'
version: 1
- list
END
printf 'version: 1\nx: \xff\n' | check
printf 'version: 1\nx: \0\n' | check
printf 'just text\n' | check
printf 'version: 1\n---\nversion: 1\n' | check
