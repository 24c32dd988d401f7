# shellcheck shell=bash
# -h, --help and -V ignore everything else on the line.
[ "$("$ZK" version -h)" = "$("$ZK" --bogus version --log-level nonsense -h)" ] && echo same
[ "$("$ZK" version --help)" = "$("$ZK" version --log-level --help --bogus)" ] && echo same
"$ZK" -V | sed 's/[0-9.]*$/N/'
"$ZK" config validate --bogus --version | sed 's/[0-9.]*$/N/'
printf 'version: [' >broken.yaml
"$ZK" config validate -c broken.yaml -h | head -n 1
ZK_LOG_LEVEL=nonsense ZK_BOGUS=1 "$ZK" config -h | head -n 1
"$ZK" bogus --help
