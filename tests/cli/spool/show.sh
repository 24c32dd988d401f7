# Records with their bodies: JSON as it is, everything else as base64.
# shellcheck source=tests/cli/spool/lib.bash
. "$AREA/lib.bash"
spool_v1 s
"$ZK" spool show --spool s
"$ZK" spool show --spool s 1 -o json
"$ZK" spool show --spool s 4 1 --format '{id} {body_base64}'
"$ZK" spool show --spool s --state failed --fields id,last_error
"$ZK" spool show --spool s 'triggers:*' --limit 1 --fields id
"$ZK" spool show --spool s 99 || echo "exit $?"
"$ZK" spool show 1 || echo "exit $?"
"$ZK" spool show --spool s 1 'triggers:*' || echo "exit $?"
"$ZK" spool show --spool s 99999999999999999999 || echo "exit $?"
