# What is sent is said by tests of each family; here: what cannot be, and what is not tried.
# shellcheck source=tests/cli/spool/lib.bash
. "$AREA/lib.bash"
"$ZK" spool flush
"$ZK" spool flush -v
spool_v1 s
"$ZK" spool flush --spool s 'nothing:*'
"$ZK" spool flush --spool s --dry-run
"$ZK" spool flush --spool s 'zerobus:*' || echo "exit $?"
"$ZK" spool list --spool s --format '{target} {waiting} {failed}'
"$ZK" spool flush --spool s --retry-failed 'zerobus:*' || echo "exit $?"
"$ZK" spool list --spool s --format '{target} {waiting} {failed}'
