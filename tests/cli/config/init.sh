# shellcheck shell=bash
"$ZK" config init --dry-run | head -n 3
"$ZK" config init | sed 's,/.*/home,HOME,'
stat -c %A "$HOME/.config/zk/config.yaml"
"$ZK" config validate && echo valid
"$ZK" config init 2>&1 | sed 's,/.*/home,HOME,' || true
"$ZK" config init --force | sed 's,/.*/home,HOME,'
"$ZK" config init -c other.yaml
"$ZK" config validate -c other.yaml && echo valid
"$ZK" config init -c no/such/folder/x.yaml || echo "status $?"
