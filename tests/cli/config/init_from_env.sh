# shellcheck shell=bash
cat >server.env <<'END'
# a server that runs today
export PORT=9000
HOST="127.0.0.1"
DATABASE_URL=sqlite:///var/lib/x.db   # comment
RATE_LIMIT_FREE=50
RATE_LIMIT_PRO='500'
WEBHOOK_TIMEOUT=20
WEBHOOK_SECRET=canary-1234567890
ZK_RETRIES=7
ZK_PROXY='http://p:1/${X}'
SOMETHING_ELSE=1
EMPTY=
END
"$ZK" config init --from server.env --dry-run >out.yaml
cat out.yaml
"$ZK" config validate -c out.yaml && echo valid
grep -c canary out.yaml || true
"$ZK" config init --from missing.env || echo "status $?"
printf 'A=1\nnot a line\n' >bad.env
"$ZK" config init --from bad.env --dry-run || echo "status $?"
printf 'A="unclosed\n' >bad.env
"$ZK" config init --from bad.env --dry-run || echo "status $?"
printf 'ZK_RETRIES=many\n' >bad.env
"$ZK" config init --from bad.env --dry-run || echo "status $?"
