# shellcheck shell=bash
"$ZK" --help | sed -n '1,/^$/p; /--profile/,$p'
echo ----
"$ZK" config validate --help
echo ----
"$ZK" help explain
