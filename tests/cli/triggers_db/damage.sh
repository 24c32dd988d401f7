# shellcheck shell=bash
# What a check finds: rows that do not belong together, an index that does not fit its table,
# pages that are no pages.
"$ZK" triggers migrate --db "$PWD/a.db" >/dev/null
python3 - <<'END'
import os, sqlite3

db = sqlite3.connect("a.db")
org = os.urandom(16)
db.execute("INSERT INTO organizations(id,name,tier,created_at,updated_at) VALUES(?,'o','free',1,1)", (org,))
for i in range(500):
    event = os.urandom(16)
    db.execute("INSERT INTO events VALUES(?,?,?,'t',NULL,'1',?)", (i, event, org, i + 1))
    db.execute("INSERT INTO event_deliveries(status,organization_id,event_id,seq,event_type)"
               " VALUES(?,?,?,?,'t')", (i % 6, org, event, i))
db.commit()
db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
END
check() {
	"$ZK" triggers check --db "$PWD/$1" -o json --fields "$2" || echo "status $?"
}
check a.db sound,pending,retrying,delivered,acknowledged,failed
cp a.db b.db
python3 - <<'END'
import os, sqlite3

db = sqlite3.connect("b.db")
db.execute("DELETE FROM events WHERE seq=7")
db.execute("DELETE FROM event_deliveries WHERE seq IN (9,10,11)")
db.execute("INSERT INTO event_deliveries(status,organization_id,event_id,seq,event_type,"
           "next_attempt_at) VALUES(9,?,?,1000,'t',5)", (os.urandom(16), os.urandom(16)))
db.commit()
END
check b.db sound,faults
python3 - <<'END'
size = len(open("a.db", "rb").read())
with open("a.db", "r+b") as f:
    f.seek(size // 2 // 4096 * 4096)
    f.write(b"\xa5" * 16384)
END
check a.db sound
