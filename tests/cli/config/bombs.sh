# shellcheck shell=bash
# Each is refused at once, whatever its size.
make() {
	python3 -c "import sys; sys.stdout.write($1)" >c.yaml
	timeout 5 "$ZK" config validate -c c.yaml 2>&1 | head -n 1 || true
}
make "'[' * 200000"
make "'{a: ' * 60000"
make "'- ' * 120000"
make "'? ' * 120000"
make "'a: 1\\n' * 40000"
make "'x: [' + '1,' * 120000"
make "'#' * 300000"
make "'\\n'.join('k%d: 1' % i for i in range(20000))"
