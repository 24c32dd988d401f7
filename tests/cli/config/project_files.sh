# shellcheck shell=bash
mkdir -p "$HOME/p/.git"
cd "$HOME/p" || exit
mkdir -p deep/er
cat >.zk.yaml <<'END'
version: 1
defaults: { retries: { max: 3 } }
END
(cd deep/er && "$ZK" config validate) && echo "harmless: fine"
cat >.zk.yaml <<'END'
version: 1
defaults:
  tls_verify: false
END
(cd deep/er && "$ZK" config validate) || echo "status $?"
(cd deep/er && "$ZK" config trust | sed 's,/.*/,DIR/,')
"$ZK" config validate && echo "trusted"
echo '# changed' >>.zk.yaml
"$ZK" config validate || echo "status $?"
"$ZK" config trust .zk.yaml
"$ZK" config trust --revoke | sed "s,/.*/,DIR/,"
"$ZK" config validate || echo "status $?"
for text in 'triggers: { key_command: [true] }' 'log: { file: /tmp/x }' 'spool: { dir: /tmp/x }' \
	'ca_file: x.pem'; do
	printf 'version: 1\ndefaults: { %s }\n' "$text" >.zk.yaml
	"$ZK" config validate 2>&1 | head -n 1 || true
done
rm .zk.yaml
"$ZK" config trust || echo "status $?"
stat -c %A "$HOME/.local/state/zk/trusted"
