# shellcheck shell=bash
# A fresh file, an old one, files that are something else.
run() {
	"$ZK" triggers "$@" || echo "status $?"
}
export XDG_STATE_HOME=$PWD/state
run check
run migrate -o json --fields from,to
run migrate -o json --fields from,to
run check -o json --fields sound,faults,version,events,oldest
[ "$(stat -c %a state/zk/triggers.db)" = 600 ] && echo "mode 0600"
DATABASE_URL="sqlite://$PWD/b.db?mode=rwc" run migrate -o json --fields from,to
[ -s b.db ] && echo "DATABASE_URL was used"
run check --db "$PWD/b.db" -o json --fields sound

echo "no database at all" >c.db
run check --db "$PWD/c.db"
run migrate --db "$PWD/c.db"
python3 -c 'import sqlite3; sqlite3.connect("d.db").execute("CREATE TABLE t(a)")'
run check --db "$PWD/d.db"
python3 -c 'import sqlite3; sqlite3.connect("b.db").execute("PRAGMA user_version=7")'
run check --db "$PWD/b.db"
run migrate --db "$PWD/b.db"
run migrate --db postgres://user:secret@127.0.0.1:1/db
run check --db "$PWD/nowhere/e.db"
