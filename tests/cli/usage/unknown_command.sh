# shellcheck shell=bash
for word in versoin serve xyzzy zk-version; do
	"$ZK" "$word" || echo "status $?"
done
"$ZK" config valdate || echo "status $?"
("$ZK" config 2>&1 || true) | head -n 1
"$ZK" config 2>/dev/null || echo "status $?"
