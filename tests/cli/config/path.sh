# shellcheck shell=bash
mkdir -p "$HOME/.config/zk"
list() {
	"$ZK" config path -o plain "$@" | sed "s,$HOME,~,; s,$PWD,.,"
}
git init -q .
list
"$ZK" config init >/dev/null
echo 'version: 1' >.zk.yaml
list
"$ZK" config trust >/dev/null
list
list -c other.yaml
list --no-config
