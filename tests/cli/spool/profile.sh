# One file per profile.
# shellcheck source=tests/cli/spool/lib.bash
. "$AREA/lib.bash"
cat >c.yaml <<'END'
version: 1
profiles:
  a: {}
  b: {}
END
chmod 600 c.yaml
spool_v1 s b
"$ZK" -c c.yaml -p a spool list --spool s --format '{target}'
"$ZK" -c c.yaml -p b spool list --spool s --format '{target}'
cat >>c.yaml <<'END'
  guarded: { protected: true }
END
spool_v1 s guarded
"$ZK" -c c.yaml -p guarded spool drop --spool s --everything --yes || echo "exit $?"
"$ZK" -c c.yaml -p guarded spool drop --spool s --everything --yes --confirm guarded
