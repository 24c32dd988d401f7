# shellcheck shell=bash
"$ZK" explain ZK1207
"$ZK" explain zk1001 | head -n 1
"$ZK" explain 9001 | head -n 1
"$ZK" explain ZK9999 || echo "status $?"
"$ZK" explain nonsense || echo "status $?"
# Every code of the table has a text.
"$ZK" __complete code | cut -f 1 | while read -r code; do
	[ "$("$ZK" explain "$code" | wc -l)" -ge 3 ] || echo "$code: no text"
done
