# shellcheck shell=bash
"$ZK" config validate --status-fd 3 3>status
"$ZK" config validate --status-fd 3 -p nope 3>>status 2>/dev/null || echo "status $?"
"$ZK" config validate --status-fd named.ndjson
python3 - <<'END'
import json
for name in ("status", "named.ndjson"):
    for line in open(name):
        d = json.loads(line)
        print(name, d["type"], d.get("command"), d.get("code"), d.get("status"))
END
"$ZK" config validate --status-fd 99 || echo "status $?"
