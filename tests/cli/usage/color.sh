# shellcheck shell=bash
ESC=$(printf '\033')
has() {
	if grep -q "$ESC"; then echo "$1: colour"; else echo "$1: plain"; fi
}
"$ZK" version --help | has 'pipe'
"$ZK" --color always version --help | has '--color always'
CLICOLOR_FORCE=1 "$ZK" version --help | has 'CLICOLOR_FORCE'
NO_COLOR=1 CLICOLOR_FORCE=1 "$ZK" version --help | has 'NO_COLOR wins'
NO_COLOR=1 "$ZK" --color=always version --help | has '--color wins'
CLICOLOR_FORCE=0 "$ZK" version --help | has 'CLICOLOR_FORCE=0'
("$ZK" bogus 2>&1 || true) | has 'error in a pipe'
("$ZK" bogus --color always 2>&1 || true) | has 'error --color always'
