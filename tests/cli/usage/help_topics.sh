# shellcheck shell=bash
# Every topic prints, within 80 columns, without escapes.
for topic in quickstart config environment secrets exit-codes formatting cron ci node errors \
	metrics options; do
	"$ZK" help "$topic" >text
	awk -v t="$topic" 'length($0) > 80 { print t ": " NR ": " length($0) }' text
	grep -q "$(printf '\033')" text && echo "$topic: escape"
	head -n 1 text
done
"$ZK" help confg || echo "status $?"
