# Every record on a line of JSON, what they share before them; the spool keeps all.
# shellcheck source=tests/cli/spool/lib.bash
. "$AREA/lib.bash"
spool_v1 s
"$ZK" spool export --spool s
echo --
"$ZK" spool export --spool s 'zerobus:*' 'triggers:https://events.*'
echo --
"$ZK" spool export --spool s 2 1
echo --
"$ZK" spool export --spool s --state failed | head -1
"$ZK" spool export --spool s | wc -l
"$ZK" spool export
