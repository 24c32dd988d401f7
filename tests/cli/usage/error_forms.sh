# shellcheck shell=bash
"$ZK" bogus --log-format json 2>&1 | python3 -m json.tool --no-ensure-ascii || true
ZK_LOG_FORMAT=json "$ZK" version --bogus 2>json.txt || true
python3 -c 'import json; d = json.load(open("json.txt")); print(d["code"], d["exit"], d["fix"])'
"$ZK" bogus --log-format journald || true
"$ZK" bogus --log-format logfmt 2>&1 | sed 's/^.*level=/level=/; s/^ts=[^ ]* //' || true
