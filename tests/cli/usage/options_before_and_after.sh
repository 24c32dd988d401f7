# shellcheck shell=bash
# Order never matters; the last one wins.
ESC=$(printf '\033')
("$ZK" bogus --color never --color always 2>&1 || true) | grep -c "$ESC"
("$ZK" --color always bogus --color never 2>&1 || true) | grep -c "$ESC" || true
"$ZK" -q version -v --no-quiet | wc -l
"$ZK" version -vv -q --log-format text --no-input --input --log-format=json | wc -l
"$ZK" -p x -qv version --no-config --config | wc -l || true
