# What waits for whom, in every order of words; nothing there is no error.
# shellcheck source=tests/cli/spool/lib.bash
. "$AREA/lib.bash"
"$ZK" spool list
"$ZK" spool list --exit-status || echo "exit $?"
spool_v1 s
"$ZK" spool list --spool s
"$ZK" spool list --spool s -o json 'zerobus:*' 'nothing:*'
"$ZK" spool list --spool s -o tsv --fields target,records --limit 2
"$ZK" spool list --spool s -o plain --fields target 'triggers'
ZK_SPOOL_DIR=s "$ZK" spool list --format '{target} {failed}'
spool_v1 home-like/zk/spool
XDG_STATE_HOME=$PWD/home-like "$ZK" spool list --format '{target}'
spool_v1 s other
"$ZK" spool drop --spool s --everything --yes
"$ZK" spool list --spool s
