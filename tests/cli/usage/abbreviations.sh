# shellcheck shell=bash
# getopt_long would take every one of these.
for option in --ver --quie --log-f=json --help-; do
	"$ZK" version "$option" || echo "status $?"
done
