# shellcheck shell=bash
"$ZK" schema | head -n 1
for name in $("$ZK" schema | cut -d ' ' -f 1); do
	"$ZK" schema "$name" | python3 -c 'import json, sys; json.load(sys.stdin)' || echo "$name"
done
"$ZK" schema confg || echo "status $?"
