# shellcheck shell=bash
# For the tests of `zk spool`: a spool file as an earlier zk left it.

# usage: spool_v1 DIR [PROFILE]: makes DIR/PROFILE.db with four records for three targets.
spool_v1() {
	mkdir -p "$1"
	python3 - "$1/${2:-default}.db" "$AREA/v1.sql" <<-'END'
		import sqlite3, sys
		db = sqlite3.connect(sys.argv[1])
		db.executescript(open(sys.argv[2], encoding="utf-8").read())
		db.close()
	END
}
