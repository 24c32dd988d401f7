# Files that are no spool, or one of a newer zk; folders that are none.
# shellcheck source=tests/cli/spool/lib.bash
. "$AREA/lib.bash"
spool_v1 new
python3 -c 'import sqlite3
db = sqlite3.connect("new/default.db"); db.execute("PRAGMA user_version=99"); db.close()'
mkdir text
echo 'this is a text and not a database' >text/default.db
mkdir other
python3 -c 'import sqlite3
db = sqlite3.connect("other/default.db"); db.execute("CREATE TABLE bookmarks(a)"); db.close()'
mkdir -p dir/default.db
touch file
for d in new text other dir file; do
	for c in list show export flush "drop --everything --yes"; do
		# shellcheck disable=SC2086  # a command and its options
		"$ZK" spool $c --spool "$d" || echo "$d $c: exit $?"
	done
done
