# Nothing goes that was not named, and nothing without --yes.
# shellcheck source=tests/cli/spool/lib.bash
. "$AREA/lib.bash"
spool_v1 s
"$ZK" spool drop --spool s || echo "exit $?"
"$ZK" spool drop --spool s --everything || echo "exit $?"
"$ZK" spool drop --spool s --everything --dry-run
"$ZK" spool drop --spool s 99
"$ZK" spool drop --spool s --yes 99
"$ZK" spool drop --spool s --yes --state failed
"$ZK" spool show --spool s --format '{id}'
"$ZK" spool drop --spool s --yes --older-than 100000d
"$ZK" spool drop --spool s --yes 'zerobus:*'
"$ZK" spool drop --spool s --yes 1
"$ZK" spool show --spool s --format '{id}'
"$ZK" spool drop --spool s --yes --older-than 1ms
"$ZK" spool list --spool s
"$ZK" spool drop --everything --yes
