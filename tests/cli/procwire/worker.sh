# shellcheck shell=bash
# Declarations: what is right, what is wrong, what is printed.
worker() {
	"$ZK" procwire worker --no-config "$@" || echo "status $?"
}
worker --check --expose echo --handle 'a,codec=raw,timeout=5s=exec:cat -n'
worker --print-init --handle 'a,kind=stream,timeout=none=exec:cat' --event e
worker --print-types mjs --handle 'a,codec=raw=exec:cat'
worker --check --handle 'a=b'
worker --check --handle 'a,kimd=stream=exec:cat'
worker --check --handle 'a,kind=steam=exec:cat'
worker --check --handle 'a,codec=raw=exec:cat {x}'
worker --check --handle 'a=exec:{program}'
worker --check --handle 'a=exec:'
worker --check --handle 'a=exec:cat "'
worker --check --handle 'a=echo' --handle 'a=echo'
worker --check --expose nothing
worker --check --handle 'a,out=full,kind=stream=exec:cat'
worker --check --handle 'a=sql:x.db'
worker --check --handle 'a=http:get http://localhost/'
worker --check --handle 'a=http:GET http://{host}/'
worker --check --handle 'a=zk:nothing'
worker --check --handle 'a,codec=raw=co:cat'
worker --check --handle 'a,ok=300=exec:cat'
cat >w.yaml <<'END'
version: 1
profiles:
  p:
    procwire:
      methods:
        a: { handler: "exec:cat", knd: stream }
END
"$ZK" procwire worker --config w.yaml -p p --check || echo "status $?"
sed -i 's/, knd: stream/, kind: steam/' w.yaml
"$ZK" procwire worker --config w.yaml -p p --check || echo "status $?"
