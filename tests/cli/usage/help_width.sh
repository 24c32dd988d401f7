# shellcheck shell=bash
COLUMNS=50 "$ZK" version --help
COLUMNS=50 "$ZK" help cron | awk 'length($0) > 76 { print "too wide: " $0 }'
COLUMNS=1000 "$ZK" help secrets | awk 'length($0) > 80 { print "too wide: " $0 }'
COLUMNS=nonsense "$ZK" version -h | head -n 1
