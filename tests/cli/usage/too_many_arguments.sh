# shellcheck shell=bash
"$ZK" version now || echo "status $?"
"$ZK" explain || echo "status $?"
"$ZK" explain ZK1001 ZK1002 || echo "status $?"
