# shellcheck shell=bash
printf 'version: 1\ndefaults:\n  retries: { max: 1, max: 2 }\n' >c.yaml
"$ZK" config validate -c c.yaml --report github 2>/dev/null || echo "status $?"
GITHUB_STEP_SUMMARY=$PWD/summary.md "$ZK" config validate -c c.yaml --report github 2>/dev/null || true
cat summary.md
"$ZK" config validate -c c.yaml --report junit=r.xml 2>/dev/null || echo "status $?"
cat r.xml
python3 -c 'import xml.dom.minidom; xml.dom.minidom.parse("r.xml")' && echo "well-formed"
printf 'version: 1\n' >c.yaml
"$ZK" config validate -c c.yaml --report junit=r.xml && cat r.xml
ZK_BOGUS=1 "$ZK" config validate -c c.yaml --report github 2>/dev/null || echo "status $?"
"$ZK" config validate -c c.yaml --report html || echo "status $?"
"$ZK" config validate -c c.yaml --report junit=no/such/r.xml || echo "status $?"
# A workflow command hidden in a key does not become one.
printf 'version: 1\n"a\\n::warning::x": 1\n' >c.yaml
"$ZK" config validate -c c.yaml --report github 2>/dev/null || true
