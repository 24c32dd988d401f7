# shellcheck shell=bash
"$ZK" config validate -c missing.yaml || echo "status $?"
mkdir folder
"$ZK" config validate -c folder || echo "status $?"
# A file that is not there is no error where it was not asked for.
"$ZK" config validate
mkdir -p "$HOME/.config/zk"
mkdir "$HOME/.config/zk/config.yaml"
"$ZK" config validate || echo "status $?"
"$ZK" config validate --no-config
ZK_NO_CONFIG=1 "$ZK" config validate
ZK_NO_CONFIG=maybe "$ZK" config validate || echo "status $?"
rmdir "$HOME/.config/zk/config.yaml"
ZK_CONFIG=missing.yaml "$ZK" config validate || echo "status $?"
