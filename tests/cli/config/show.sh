# shellcheck shell=bash
# Values, where they come from, what they override; secrets are never read.
mkdir -p "$HOME/.config/zk" && chmod 700 "$HOME/.config/zk"
cat >"$HOME/.config/zk/config.yaml" <<'END'
version: 1   # ours
default_profile: local
defaults:
  retries: { max: 7 }
profiles:
  local:
    triggers:
      url: http://localhost:8080
      key_command: [false]
  staging:
    extends: local
    protected: true
    triggers: { url: "https://staging.example" }
END
chmod 600 "$HOME/.config/zk/config.yaml"
rows() {
	"$ZK" config show -o plain --fields key,value,origin,profile,note "$@"
}
echo "set:"
rows
echo "with what is overridden:"
ZK_RETRIES=3 rows --origin retries.max triggers.url
echo "a credential of another server does not come along:"
rows -p staging --origin triggers.key
echo "a secret in a variable:"
ZK_TRIGGERS_KEY=zk_live_0123456789012345678901234567890123456789 rows triggers.key
echo "one value:"
"$ZK" config show retries.base -o plain --fields value
echo "nothing:"
"$ZK" config show --no-config --exit-status --fields key -o json || echo "status $?"
echo "no such key:"
"$ZK" config show retries.maxx --exit-status -o plain || echo "status $?"
echo "broken:"
printf 'version: 1\ndefaults: { retriez: { max: 1 } }\n' >broken.yaml
"$ZK" config show -c broken.yaml 2>/dev/null || echo "status $?"
