# shellcheck shell=bash
"$ZK" config validate
ZK_RETRYS=1 "$ZK" config validate || echo "status $?"
ZK_RETRIES=many "$ZK" config validate || echo "status $?"
ZK_RETRIES='' ZK_BOGUS='' "$ZK" config validate && echo "empty is unset"
ZK_EVENT_ID=1 ZK_ARG_x=1 ZK_TRACE_NODE=1 ZK_EXE=zk "$ZK" config validate && echo "for children"
ZK_TRIGGERS_LISTN=x "$ZK" config validate || echo "status $?"
ZK_TRIGGERS_DB_CONNECTIONS=0 "$ZK" config validate --for 'triggers serve' || echo "status $?"
ZK_LOG_LEVEL=bogus "$ZK" version >/dev/null && echo "version runs in spite of it"
ZK_LOG_LEVEL=bogus "$ZK" explain ZK1106 >/dev/null && echo "explain too"
