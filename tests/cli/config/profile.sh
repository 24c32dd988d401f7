# shellcheck shell=bash
"$ZK" profile list
mkdir -p "$HOME/.config/zk" && chmod 700 "$HOME/.config/zk"
f=$HOME/.config/zk/config.yaml
"$ZK" profile use x || echo "status $?"
cat >"$f" <<'END'
# a comment that stays
version: 1 # and this one
profiles:
  local: { triggers: { listen: "localhost:1" } }
  staging: { extends: local, protected: true, triggers: { payload_max: 1MiB } }
END
sed -i 's/payload_max/max_payload/' "$f"
chmod 640 "$f"
"$ZK" profile list -o plain | sed "s,$HOME,~,"
"$ZK" profile use staging
cat "$f"
stat -c %a "$f"
"$ZK" profile list -o json --jq '.[] | select(.active) | .name'
"$ZK" profile show -o plain --fields key,value,profile
"$ZK" profile show local -o plain --fields key,value,profile
sed -i 's/default_profile: staging/default_profile: "staging"   # note/' "$f"
mv "$f" real.yaml && ln -s "$PWD/real.yaml" "$f"
"$ZK" profile use local
cat real.yaml
[ -L "$f" ] && echo "still a link"
"$ZK" profile use stagin || echo "status $?"
"$ZK" profile use local --dry-run && "$ZK" profile use staging --dry-run
head -n 3 real.yaml
printf 'version: 1\ndefault_profile: staging\n' >.zk.yaml
git init -q .
"$ZK" profile use local 2>&1 | sed "s,$PWD,.,"
