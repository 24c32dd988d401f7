# shellcheck shell=bash
cat >c.yaml <<'END'
version: 1
default_profile: local
profiles:
  local: {}
  staging: { extends: local }
  loop: { extends: pool }
  pool: { extends: loop }
END
try() {
	"$ZK" config validate -c c.yaml "$@" || echo "status $?"
}
try -p stagin
try -p staging && echo fine
ZK_PROFILE=nope try
ZK_PROFILE=nope try -p staging && echo "the option wins"
try -p loop
try -p ''
"$ZK" config validate --no-config -p local || echo "status $?"
printf 'version: 1\ndefault_profile: x\n' >d.yaml
"$ZK" config validate -c d.yaml || echo "status $?"
printf 'version: 1\nprofiles: { a: { extends: b } }\n' >e.yaml
"$ZK" config validate -c e.yaml || echo "status $?"
