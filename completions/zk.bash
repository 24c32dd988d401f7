# bash completion for zk. Made by zk emit bash; do not edit.
# shellcheck shell=bash disable=SC2207,SC2034

_zk_verbs() {
	case $1 in
	'') words='template triggers jetstream procwire health spool demo config profile completion explain help schema version' ;;
	'template') words='register list get delete export lint diff' ;;
	'triggers') words='serve keys send inbox ack webhook replay listen verify top migrate check' ;;
	'triggers keys') words='generate show rotate' ;;
	'triggers webhook') words='set show test disable rotate-secret' ;;
	'jetstream') words='run tail' ;;
	'procwire') words='worker call bench' ;;
	'spool') words='list show flush drop export' ;;
	'config') words='show path init trust validate' ;;
	'profile') words='list show use' ;;
	esac
}

_zk_options() {
	case $1 in
	'template register') words=' --base-url --token-file --token-fd --api-key-file --api-key-fd --as-user --client-id --server-kind --rate --verify --no-verify --compat -n --namespace --webhook-url --replace --no-replace --create-only --no-create-only --prune --no-prune --report -p --profile -c --config --no-config --config -q --quiet --no-quiet -v --verbose --log-level --log-format --log-file --color --progress --trace --trace-file --timeout --grace --dry-run --no-dry-run -y --yes --no-yes --confirm --no-input --input --status-fd --ready-file -h --help -V --version -o --output --fields --jq --format --list-fields --no-list-fields --limit --all --no-all --cursor --exit-status --no-exit-status --connect-timeout --request-timeout --proxy --ca-file --client-cert --client-key --tls-verify --no-tls-verify --otel-endpoint --otlp-file --retries --retry-base --retry-cap --retry-max-time' ;;
	'template list') words=' --base-url --token-file --token-fd --api-key-file --api-key-fd --as-user --client-id --server-kind --rate --verify --no-verify --compat -n --namespace -p --profile -c --config --no-config --config -q --quiet --no-quiet -v --verbose --log-level --log-format --log-file --color --progress --trace --trace-file --timeout --grace --dry-run --no-dry-run -y --yes --no-yes --confirm --no-input --input --status-fd --ready-file -h --help -V --version -o --output --fields --jq --format --list-fields --no-list-fields --limit --all --no-all --cursor --exit-status --no-exit-status --connect-timeout --request-timeout --proxy --ca-file --client-cert --client-key --tls-verify --no-tls-verify --otel-endpoint --otlp-file --retries --retry-base --retry-cap --retry-max-time' ;;
	'template get') words=' --base-url --token-file --token-fd --api-key-file --api-key-fd --as-user --client-id --server-kind --rate --verify --no-verify --compat -n --namespace -p --profile -c --config --no-config --config -q --quiet --no-quiet -v --verbose --log-level --log-format --log-file --color --progress --trace --trace-file --timeout --grace --dry-run --no-dry-run -y --yes --no-yes --confirm --no-input --input --status-fd --ready-file -h --help -V --version -o --output --fields --jq --format --list-fields --no-list-fields --limit --all --no-all --cursor --exit-status --no-exit-status --connect-timeout --request-timeout --proxy --ca-file --client-cert --client-key --tls-verify --no-tls-verify --otel-endpoint --otlp-file --retries --retry-base --retry-cap --retry-max-time' ;;
	'template delete') words=' --base-url --token-file --token-fd --api-key-file --api-key-fd --as-user --client-id --server-kind --rate --verify --no-verify --compat -n --namespace -p --profile -c --config --no-config --config -q --quiet --no-quiet -v --verbose --log-level --log-format --log-file --color --progress --trace --trace-file --timeout --grace --dry-run --no-dry-run -y --yes --no-yes --confirm --no-input --input --status-fd --ready-file -h --help -V --version -o --output --fields --jq --format --list-fields --no-list-fields --limit --all --no-all --cursor --exit-status --no-exit-status --connect-timeout --request-timeout --proxy --ca-file --client-cert --client-key --tls-verify --no-tls-verify --otel-endpoint --otlp-file --retries --retry-base --retry-cap --retry-max-time' ;;
	'template export') words=' --base-url --token-file --token-fd --api-key-file --api-key-fd --as-user --client-id --server-kind --rate --verify --no-verify --compat -n --namespace -p --profile -c --config --no-config --config -q --quiet --no-quiet -v --verbose --log-level --log-format --log-file --color --progress --trace --trace-file --timeout --grace --dry-run --no-dry-run -y --yes --no-yes --confirm --no-input --input --status-fd --ready-file -h --help -V --version -o --output --fields --jq --format --list-fields --no-list-fields --limit --all --no-all --cursor --exit-status --no-exit-status --connect-timeout --request-timeout --proxy --ca-file --client-cert --client-key --tls-verify --no-tls-verify --otel-endpoint --otlp-file --retries --retry-base --retry-cap --retry-max-time' ;;
	'template lint') words=' --base-url --token-file --token-fd --api-key-file --api-key-fd --as-user --client-id --server-kind --rate --verify --no-verify --compat --online --no-online --report -p --profile -c --config --no-config --config -q --quiet --no-quiet -v --verbose --log-level --log-format --log-file --color --progress --trace --trace-file --timeout --grace --dry-run --no-dry-run -y --yes --no-yes --confirm --no-input --input --status-fd --ready-file -h --help -V --version -o --output --fields --jq --format --list-fields --no-list-fields --limit --all --no-all --cursor --exit-status --no-exit-status --connect-timeout --request-timeout --proxy --ca-file --client-cert --client-key --tls-verify --no-tls-verify --otel-endpoint --otlp-file --retries --retry-base --retry-cap --retry-max-time' ;;
	'template diff') words=' --base-url --token-file --token-fd --api-key-file --api-key-fd --as-user --client-id --server-kind --rate --verify --no-verify --compat -n --namespace -p --profile -c --config --no-config --config -q --quiet --no-quiet -v --verbose --log-level --log-format --log-file --color --progress --trace --trace-file --timeout --grace --dry-run --no-dry-run -y --yes --no-yes --confirm --no-input --input --status-fd --ready-file -h --help -V --version -o --output --fields --jq --format --list-fields --no-list-fields --limit --all --no-all --cursor --exit-status --no-exit-status --connect-timeout --request-timeout --proxy --ca-file --client-cert --client-key --tls-verify --no-tls-verify --otel-endpoint --otlp-file --retries --retry-base --retry-cap --retry-max-time' ;;
	'triggers serve') words=' --listen --metrics-listen --cors --ui --no-ui --dev --no-dev --db --db-connections --durability --dedup-window --retain-delivered --retain-failed --retain-pending --redis --webhook-secret-file --webhook-secret-fd --accept-new-secret --no-accept-new-secret --delivery --no-delivery --delivery-max --delivery-timeout --delivery-body --retry-schedule --allow-private-webhooks --no-allow-private-webhooks --webhook-allow --require-https --no-require-https --webhook-proxy --alert-url --rate-limit --rate-limit-algorithm --key-prefix --admin-token-file --admin-token-fd --keygen-per-minute --key-mac --no-key-mac --hash-lanes --max-payload --max-body --max-depth --max-head --max-header-lines --max-target --max-connections --max-connections-per-client --max-requests --head-timeout --body-timeout --idle-timeout -p --profile -c --config --no-config --config -q --quiet --no-quiet -v --verbose --log-level --log-format --log-file --color --progress --trace --trace-file --timeout --grace --dry-run --no-dry-run -y --yes --no-yes --confirm --no-input --input --status-fd --ready-file -h --help -V --version --tls-cert --tls-key --trusted-proxy --admin' ;;
	'triggers keys generate') words=' --url --key-file --key-fd --name --tier --admin-token-file --admin-token-fd --save --no-save -p --profile -c --config --no-config --config -q --quiet --no-quiet -v --verbose --log-level --log-format --log-file --color --progress --trace --trace-file --timeout --grace --dry-run --no-dry-run -y --yes --no-yes --confirm --no-input --input --status-fd --ready-file -h --help -V --version -o --output --fields --jq --format --list-fields --no-list-fields --limit --all --no-all --cursor --exit-status --no-exit-status --connect-timeout --request-timeout --proxy --ca-file --client-cert --client-key --tls-verify --no-tls-verify --otel-endpoint --otlp-file --retries --retry-base --retry-cap --retry-max-time' ;;
	'triggers keys show') words=' --url --key-file --key-fd -p --profile -c --config --no-config --config -q --quiet --no-quiet -v --verbose --log-level --log-format --log-file --color --progress --trace --trace-file --timeout --grace --dry-run --no-dry-run -y --yes --no-yes --confirm --no-input --input --status-fd --ready-file -h --help -V --version -o --output --fields --jq --format --list-fields --no-list-fields --limit --all --no-all --cursor --exit-status --no-exit-status --connect-timeout --request-timeout --proxy --ca-file --client-cert --client-key --tls-verify --no-tls-verify --otel-endpoint --otlp-file --retries --retry-base --retry-cap --retry-max-time' ;;
	'triggers keys rotate') words=' --url --key-file --key-fd --key-grace --save --no-save -p --profile -c --config --no-config --config -q --quiet --no-quiet -v --verbose --log-level --log-format --log-file --color --progress --trace --trace-file --timeout --grace --dry-run --no-dry-run -y --yes --no-yes --confirm --no-input --input --status-fd --ready-file -h --help -V --version -o --output --fields --jq --format --list-fields --no-list-fields --limit --all --no-all --cursor --exit-status --no-exit-status --connect-timeout --request-timeout --proxy --ca-file --client-cert --client-key --tls-verify --no-tls-verify --otel-endpoint --otlp-file --retries --retry-base --retry-cap --retry-max-time' ;;
	'triggers send') words=' --url --key-file --key-fd --type --raw --no-raw --idempotency-key --resume --linger -p --profile -c --config --no-config --config -q --quiet --no-quiet -v --verbose --log-level --log-format --log-file --color --progress --trace --trace-file --timeout --grace --dry-run --no-dry-run -y --yes --no-yes --confirm --no-input --input --status-fd --ready-file -h --help -V --version --connect-timeout --request-timeout --proxy --ca-file --client-cert --client-key --tls-verify --no-tls-verify --otel-endpoint --otlp-file --retries --retry-base --retry-cap --retry-max-time --spool --no-spool --spool --durable --no-durable --spool-max-bytes --spool-when-full --on-error --rejects --receipts' ;;
	'triggers inbox') words=' --url --key-file --key-fd --status --type --since --follow --no-follow --ack --no-ack --exec --exec-timeout -p --profile -c --config --no-config --config -q --quiet --no-quiet -v --verbose --log-level --log-format --log-file --color --progress --trace --trace-file --timeout --grace --dry-run --no-dry-run -y --yes --no-yes --confirm --no-input --input --status-fd --ready-file -h --help -V --version -o --output --fields --jq --format --list-fields --no-list-fields --limit --all --no-all --cursor --exit-status --no-exit-status --connect-timeout --request-timeout --proxy --ca-file --client-cert --client-key --tls-verify --no-tls-verify --otel-endpoint --otlp-file --retries --retry-base --retry-cap --retry-max-time' ;;
	'triggers ack') words=' --url --key-file --key-fd -p --profile -c --config --no-config --config -q --quiet --no-quiet -v --verbose --log-level --log-format --log-file --color --progress --trace --trace-file --timeout --grace --dry-run --no-dry-run -y --yes --no-yes --confirm --no-input --input --status-fd --ready-file -h --help -V --version -o --output --fields --jq --format --list-fields --no-list-fields --limit --all --no-all --cursor --exit-status --no-exit-status --connect-timeout --request-timeout --proxy --ca-file --client-cert --client-key --tls-verify --no-tls-verify --otel-endpoint --otlp-file --retries --retry-base --retry-cap --retry-max-time' ;;
	'triggers webhook set') words=' --url --key-file --key-fd --deliver-backlog --no-deliver-backlog --ordered --no-ordered -p --profile -c --config --no-config --config -q --quiet --no-quiet -v --verbose --log-level --log-format --log-file --color --progress --trace --trace-file --timeout --grace --dry-run --no-dry-run -y --yes --no-yes --confirm --no-input --input --status-fd --ready-file -h --help -V --version -o --output --fields --jq --format --list-fields --no-list-fields --limit --all --no-all --cursor --exit-status --no-exit-status --connect-timeout --request-timeout --proxy --ca-file --client-cert --client-key --tls-verify --no-tls-verify --otel-endpoint --otlp-file --retries --retry-base --retry-cap --retry-max-time' ;;
	'triggers webhook show') words=' --url --key-file --key-fd -p --profile -c --config --no-config --config -q --quiet --no-quiet -v --verbose --log-level --log-format --log-file --color --progress --trace --trace-file --timeout --grace --dry-run --no-dry-run -y --yes --no-yes --confirm --no-input --input --status-fd --ready-file -h --help -V --version -o --output --fields --jq --format --list-fields --no-list-fields --limit --all --no-all --cursor --exit-status --no-exit-status --connect-timeout --request-timeout --proxy --ca-file --client-cert --client-key --tls-verify --no-tls-verify --otel-endpoint --otlp-file --retries --retry-base --retry-cap --retry-max-time' ;;
	'triggers webhook test') words=' --url --key-file --key-fd -p --profile -c --config --no-config --config -q --quiet --no-quiet -v --verbose --log-level --log-format --log-file --color --progress --trace --trace-file --timeout --grace --dry-run --no-dry-run -y --yes --no-yes --confirm --no-input --input --status-fd --ready-file -h --help -V --version -o --output --fields --jq --format --list-fields --no-list-fields --limit --all --no-all --cursor --exit-status --no-exit-status --connect-timeout --request-timeout --proxy --ca-file --client-cert --client-key --tls-verify --no-tls-verify --otel-endpoint --otlp-file --retries --retry-base --retry-cap --retry-max-time' ;;
	'triggers webhook disable') words=' --url --key-file --key-fd -p --profile -c --config --no-config --config -q --quiet --no-quiet -v --verbose --log-level --log-format --log-file --color --progress --trace --trace-file --timeout --grace --dry-run --no-dry-run -y --yes --no-yes --confirm --no-input --input --status-fd --ready-file -h --help -V --version -o --output --fields --jq --format --list-fields --no-list-fields --limit --all --no-all --cursor --exit-status --no-exit-status --connect-timeout --request-timeout --proxy --ca-file --client-cert --client-key --tls-verify --no-tls-verify --otel-endpoint --otlp-file --retries --retry-base --retry-cap --retry-max-time' ;;
	'triggers webhook rotate-secret') words=' --url --key-file --key-fd --secret-grace -p --profile -c --config --no-config --config -q --quiet --no-quiet -v --verbose --log-level --log-format --log-file --color --progress --trace --trace-file --timeout --grace --dry-run --no-dry-run -y --yes --no-yes --confirm --no-input --input --status-fd --ready-file -h --help -V --version -o --output --fields --jq --format --list-fields --no-list-fields --limit --all --no-all --cursor --exit-status --no-exit-status --connect-timeout --request-timeout --proxy --ca-file --client-cert --client-key --tls-verify --no-tls-verify --otel-endpoint --otlp-file --retries --retry-base --retry-cap --retry-max-time' ;;
	'triggers replay') words=' --url --key-file --key-fd --status --type --since --max -p --profile -c --config --no-config --config -q --quiet --no-quiet -v --verbose --log-level --log-format --log-file --color --progress --trace --trace-file --timeout --grace --dry-run --no-dry-run -y --yes --no-yes --confirm --no-input --input --status-fd --ready-file -h --help -V --version -o --output --fields --jq --format --list-fields --no-list-fields --limit --all --no-all --cursor --exit-status --no-exit-status --connect-timeout --request-timeout --proxy --ca-file --client-cert --client-key --tls-verify --no-tls-verify --otel-endpoint --otlp-file --retries --retry-base --retry-cap --retry-max-time' ;;
	'triggers listen') words=' --url --key-file --key-fd --forward --exec --type --secret-file --secret-fd --backlog --no-backlog -p --profile -c --config --no-config --config -q --quiet --no-quiet -v --verbose --log-level --log-format --log-file --color --progress --trace --trace-file --timeout --grace --dry-run --no-dry-run -y --yes --no-yes --confirm --no-input --input --status-fd --ready-file -h --help -V --version --connect-timeout --request-timeout --proxy --ca-file --client-cert --client-key --tls-verify --no-tls-verify --otel-endpoint --otlp-file --retries --retry-base --retry-cap --retry-max-time' ;;
	'triggers verify') words=' --secret-file --secret-fd --tolerance -p --profile -c --config --no-config --config -q --quiet --no-quiet -v --verbose --log-level --log-format --log-file --color --progress --trace --trace-file --timeout --grace --dry-run --no-dry-run -y --yes --no-yes --confirm --no-input --input --status-fd --ready-file -h --help -V --version' ;;
	'triggers top') words=' --url --key-file --key-fd --once --no-once --interval -p --profile -c --config --no-config --config -q --quiet --no-quiet -v --verbose --log-level --log-format --log-file --color --progress --trace --trace-file --timeout --grace --dry-run --no-dry-run -y --yes --no-yes --confirm --no-input --input --status-fd --ready-file -h --help -V --version -o --output --fields --jq --format --list-fields --no-list-fields --limit --all --no-all --cursor --exit-status --no-exit-status --connect-timeout --request-timeout --proxy --ca-file --client-cert --client-key --tls-verify --no-tls-verify --otel-endpoint --otlp-file --retries --retry-base --retry-cap --retry-max-time' ;;
	'triggers migrate') words=' --db -p --profile -c --config --no-config --config -q --quiet --no-quiet -v --verbose --log-level --log-format --log-file --color --progress --trace --trace-file --timeout --grace --dry-run --no-dry-run -y --yes --no-yes --confirm --no-input --input --status-fd --ready-file -h --help -V --version -o --output --fields --jq --format --list-fields --no-list-fields --limit --all --no-all --cursor --exit-status --no-exit-status' ;;
	'triggers check') words=' --db -p --profile -c --config --no-config --config -q --quiet --no-quiet -v --verbose --log-level --log-format --log-file --color --progress --trace --trace-file --timeout --grace --dry-run --no-dry-run -y --yes --no-yes --confirm --no-input --input --status-fd --ready-file -h --help -V --version -o --output --fields --jq --format --list-fields --no-list-fields --limit --all --no-all --cursor --exit-status --no-exit-status' ;;
	'jetstream run') words=' --host --wire --from --pace --since --until --zstd --zstd-dictionary --max-message-size --message-shape --stale-after --collection --did --exclude-did --kind --op --match --shard --limit --on-gap --hydrate --hydrate-deadline --api-url --api-rps --api-requests --api-linger --api-timeout --users-cache --posts-cache --users-cache-bytes --posts-cache-bytes --user-ttl --post-ttl --negative-ttl --login-identifier --login-password-file --login-password-fd --login-pds --graze-url --graze-secret-file --graze-secret-fd --envelope --store --no-store --store --batch --linger --durability --live-indexes --no-live-indexes --rotate --rotate-bytes --compress --keep-plain --no-keep-plain --retention --max-bytes --min-free --when-full --sink --redis --redis-stream --redis-maxlen --redis-fields --redis-id --listen --compat-metrics --no-compat-metrics -p --profile -c --config --no-config --config -q --quiet --no-quiet -v --verbose --log-level --log-format --log-file --color --progress --trace --trace-file --timeout --grace --dry-run --no-dry-run -y --yes --no-yes --confirm --no-input --input --status-fd --ready-file -h --help -V --version --connect-timeout --request-timeout --proxy --ca-file --client-cert --client-key --tls-verify --no-tls-verify --otel-endpoint --otlp-file --retries --retry-base --retry-cap --retry-max-time' ;;
	'jetstream tail') words=' --host --wire --from --pace --since --until --zstd --zstd-dictionary --max-message-size --message-shape --stale-after --collection --did --exclude-did --kind --op --match --shard --hydrate --hydrate-deadline --api-url --api-rps --api-requests --api-linger --api-timeout --users-cache --posts-cache --users-cache-bytes --posts-cache-bytes --user-ttl --post-ttl --negative-ttl --login-identifier --login-password-file --login-password-fd --login-pds --graze-url --graze-secret-file --graze-secret-fd --envelope -p --profile -c --config --no-config --config -q --quiet --no-quiet -v --verbose --log-level --log-format --log-file --color --progress --trace --trace-file --timeout --grace --dry-run --no-dry-run -y --yes --no-yes --confirm --no-input --input --status-fd --ready-file -h --help -V --version -o --output --fields --jq --format --list-fields --no-list-fields --limit --all --no-all --cursor --exit-status --no-exit-status --connect-timeout --request-timeout --proxy --ca-file --client-cert --client-key --tls-verify --no-tls-verify --otel-endpoint --otlp-file --retries --retry-base --retry-cap --retry-max-time' ;;
	'procwire worker') words=' --handle --event --expose --max-concurrency --max-queue --max-payload --max-output --kill-grace --allow-uid --triggers-url --triggers-key-file --triggers-key-fd --print-init --no-print-init --print-types --check --no-check -p --profile -c --config --no-config --config -q --quiet --no-quiet -v --verbose --log-level --log-format --log-file --color --progress --trace --trace-file --timeout --grace --dry-run --no-dry-run -y --yes --no-yes --confirm --no-input --input --status-fd --ready-file -h --help -V --version --connect-timeout --request-timeout --proxy --ca-file --client-cert --client-key --tls-verify --no-tls-verify --otel-endpoint --otlp-file --retries --retry-base --retry-cap --retry-max-time' ;;
	'procwire call') words=' --stream --no-stream --raw --no-raw --raw-request --no-raw-request --raw-response --no-raw-response --events --no-events --auth --no-auth --init-timeout --max-payload -p --profile -c --config --no-config --config -q --quiet --no-quiet -v --verbose --log-level --log-format --log-file --color --progress --trace --trace-file --timeout --grace --dry-run --no-dry-run -y --yes --no-yes --confirm --no-input --input --status-fd --ready-file -h --help -V --version' ;;
	'procwire bench') words=' -w --window -s --size -t --time --calls -m --method --raw --no-raw -p --profile -c --config --no-config --config -q --quiet --no-quiet -v --verbose --log-level --log-format --log-file --color --progress --trace --trace-file --timeout --grace --dry-run --no-dry-run -y --yes --no-yes --confirm --no-input --input --status-fd --ready-file -h --help -V --version -o --output --fields --jq --format --list-fields --no-list-fields --limit --all --no-all --cursor --exit-status --no-exit-status' ;;
	'health') words=' --base-url --token-file --token-fd --api-key-file --api-key-fd --as-user --client-id --server-kind --rate --verify --no-verify --compat --ws-url --deep --no-deep --watch --wait --nagios --no-nagios --server-kind-detect --no-server-kind-detect -p --profile -c --config --no-config --config -q --quiet --no-quiet -v --verbose --log-level --log-format --log-file --color --progress --trace --trace-file --timeout --grace --dry-run --no-dry-run -y --yes --no-yes --confirm --no-input --input --status-fd --ready-file -h --help -V --version -o --output --fields --jq --format --list-fields --no-list-fields --limit --all --no-all --cursor --exit-status --no-exit-status --connect-timeout --request-timeout --proxy --ca-file --client-cert --client-key --tls-verify --no-tls-verify --otel-endpoint --otlp-file --retries --retry-base --retry-cap --retry-max-time' ;;
	'spool list') words=' --spool -p --profile -c --config --no-config --config -q --quiet --no-quiet -v --verbose --log-level --log-format --log-file --color --progress --trace --trace-file --timeout --grace --dry-run --no-dry-run -y --yes --no-yes --confirm --no-input --input --status-fd --ready-file -h --help -V --version -o --output --fields --jq --format --list-fields --no-list-fields --limit --all --no-all --cursor --exit-status --no-exit-status' ;;
	'spool show') words=' --spool --state -p --profile -c --config --no-config --config -q --quiet --no-quiet -v --verbose --log-level --log-format --log-file --color --progress --trace --trace-file --timeout --grace --dry-run --no-dry-run -y --yes --no-yes --confirm --no-input --input --status-fd --ready-file -h --help -V --version -o --output --fields --jq --format --list-fields --no-list-fields --limit --all --no-all --cursor --exit-status --no-exit-status' ;;
	'spool flush') words=' --spool --retry-failed --no-retry-failed -p --profile -c --config --no-config --config -q --quiet --no-quiet -v --verbose --log-level --log-format --log-file --color --progress --trace --trace-file --timeout --grace --dry-run --no-dry-run -y --yes --no-yes --confirm --no-input --input --status-fd --ready-file -h --help -V --version --connect-timeout --request-timeout --proxy --ca-file --client-cert --client-key --tls-verify --no-tls-verify --otel-endpoint --otlp-file --retries --retry-base --retry-cap --retry-max-time' ;;
	'spool drop') words=' --spool --state --older-than --everything --no-everything -p --profile -c --config --no-config --config -q --quiet --no-quiet -v --verbose --log-level --log-format --log-file --color --progress --trace --trace-file --timeout --grace --dry-run --no-dry-run -y --yes --no-yes --confirm --no-input --input --status-fd --ready-file -h --help -V --version -o --output --fields --jq --format --list-fields --no-list-fields --limit --all --no-all --cursor --exit-status --no-exit-status' ;;
	'spool export') words=' --spool --state -p --profile -c --config --no-config --config -q --quiet --no-quiet -v --verbose --log-level --log-format --log-file --color --progress --trace --trace-file --timeout --grace --dry-run --no-dry-run -y --yes --no-yes --confirm --no-input --input --status-fd --ready-file -h --help -V --version' ;;
	'demo') words=' --only --keep --no-keep --json --no-json -p --profile -c --config --no-config --config -q --quiet --no-quiet -v --verbose --log-level --log-format --log-file --color --progress --trace --trace-file --timeout --grace --dry-run --no-dry-run -y --yes --no-yes --confirm --no-input --input --status-fd --ready-file -h --help -V --version' ;;
	'config show') words=' --origin --no-origin -p --profile -c --config --no-config --config -q --quiet --no-quiet -v --verbose --log-level --log-format --log-file --color --progress --trace --trace-file --timeout --grace --dry-run --no-dry-run -y --yes --no-yes --confirm --no-input --input --status-fd --ready-file -h --help -V --version -o --output --fields --jq --format --list-fields --no-list-fields --limit --all --no-all --cursor --exit-status --no-exit-status' ;;
	'config path') words=' -p --profile -c --config --no-config --config -q --quiet --no-quiet -v --verbose --log-level --log-format --log-file --color --progress --trace --trace-file --timeout --grace --dry-run --no-dry-run -y --yes --no-yes --confirm --no-input --input --status-fd --ready-file -h --help -V --version -o --output --fields --jq --format --list-fields --no-list-fields --limit --all --no-all --cursor --exit-status --no-exit-status' ;;
	'config init') words=' --from --force --no-force -p --profile -c --config --no-config --config -q --quiet --no-quiet -v --verbose --log-level --log-format --log-file --color --progress --trace --trace-file --timeout --grace --dry-run --no-dry-run -y --yes --no-yes --confirm --no-input --input --status-fd --ready-file -h --help -V --version' ;;
	'config trust') words=' --revoke --no-revoke -p --profile -c --config --no-config --config -q --quiet --no-quiet -v --verbose --log-level --log-format --log-file --color --progress --trace --trace-file --timeout --grace --dry-run --no-dry-run -y --yes --no-yes --confirm --no-input --input --status-fd --ready-file -h --help -V --version' ;;
	'config validate') words=' --for --allow-unset-env --no-allow-unset-env --report -p --profile -c --config --no-config --config -q --quiet --no-quiet -v --verbose --log-level --log-format --log-file --color --progress --trace --trace-file --timeout --grace --dry-run --no-dry-run -y --yes --no-yes --confirm --no-input --input --status-fd --ready-file -h --help -V --version' ;;
	'profile list') words=' -p --profile -c --config --no-config --config -q --quiet --no-quiet -v --verbose --log-level --log-format --log-file --color --progress --trace --trace-file --timeout --grace --dry-run --no-dry-run -y --yes --no-yes --confirm --no-input --input --status-fd --ready-file -h --help -V --version -o --output --fields --jq --format --list-fields --no-list-fields --limit --all --no-all --cursor --exit-status --no-exit-status' ;;
	'profile show') words=' -p --profile -c --config --no-config --config -q --quiet --no-quiet -v --verbose --log-level --log-format --log-file --color --progress --trace --trace-file --timeout --grace --dry-run --no-dry-run -y --yes --no-yes --confirm --no-input --input --status-fd --ready-file -h --help -V --version -o --output --fields --jq --format --list-fields --no-list-fields --limit --all --no-all --cursor --exit-status --no-exit-status' ;;
	'profile use') words=' -p --profile -c --config --no-config --config -q --quiet --no-quiet -v --verbose --log-level --log-format --log-file --color --progress --trace --trace-file --timeout --grace --dry-run --no-dry-run -y --yes --no-yes --confirm --no-input --input --status-fd --ready-file -h --help -V --version' ;;
	'completion') words=' -p --profile -c --config --no-config --config -q --quiet --no-quiet -v --verbose --log-level --log-format --log-file --color --progress --trace --trace-file --timeout --grace --dry-run --no-dry-run -y --yes --no-yes --confirm --no-input --input --status-fd --ready-file -h --help -V --version' ;;
	'explain') words=' -p --profile -c --config --no-config --config -q --quiet --no-quiet -v --verbose --log-level --log-format --log-file --color --progress --trace --trace-file --timeout --grace --dry-run --no-dry-run -y --yes --no-yes --confirm --no-input --input --status-fd --ready-file -h --help -V --version' ;;
	'help') words=' -p --profile -c --config --no-config --config -q --quiet --no-quiet -v --verbose --log-level --log-format --log-file --color --progress --trace --trace-file --timeout --grace --dry-run --no-dry-run -y --yes --no-yes --confirm --no-input --input --status-fd --ready-file -h --help -V --version' ;;
	'schema') words=' -p --profile -c --config --no-config --config -q --quiet --no-quiet -v --verbose --log-level --log-format --log-file --color --progress --trace --trace-file --timeout --grace --dry-run --no-dry-run -y --yes --no-yes --confirm --no-input --input --status-fd --ready-file -h --help -V --version' ;;
	'version') words=' -p --profile -c --config --no-config --config -q --quiet --no-quiet -v --verbose --log-level --log-format --log-file --color --progress --trace --trace-file --timeout --grace --dry-run --no-dry-run -y --yes --no-yes --confirm --no-input --input --status-fd --ready-file -h --help -V --version -o --output --fields --jq --format --list-fields --no-list-fields --limit --all --no-all --cursor --exit-status --no-exit-status' ;;
	*) words=' -p --profile -c --config --no-config --config -q --quiet --no-quiet -v --verbose --log-level --log-format --log-file --color --progress --trace --trace-file --timeout --grace --dry-run --no-dry-run -y --yes --no-yes --confirm --no-input --input --status-fd --ready-file -h --help -V --version' ;;
	esac
}

_zk_value() {
	case "$1 $2" in
	'template register --token-file') kind='file' ;;
	'template register --api-key-file') kind='file' ;;
	'template register --server-kind') words='auto ideal as-built path-blind older' ;;
	'template list --token-file') kind='file' ;;
	'template list --api-key-file') kind='file' ;;
	'template list --server-kind') words='auto ideal as-built path-blind older' ;;
	'template get --token-file') kind='file' ;;
	'template get --api-key-file') kind='file' ;;
	'template get --server-kind') words='auto ideal as-built path-blind older' ;;
	'template delete --token-file') kind='file' ;;
	'template delete --api-key-file') kind='file' ;;
	'template delete --server-kind') words='auto ideal as-built path-blind older' ;;
	'template export --token-file') kind='file' ;;
	'template export --api-key-file') kind='file' ;;
	'template export --server-kind') words='auto ideal as-built path-blind older' ;;
	'template lint --token-file') kind='file' ;;
	'template lint --api-key-file') kind='file' ;;
	'template lint --server-kind') words='auto ideal as-built path-blind older' ;;
	'template diff --token-file') kind='file' ;;
	'template diff --api-key-file') kind='file' ;;
	'template diff --server-kind') words='auto ideal as-built path-blind older' ;;
	'triggers serve --db') kind='file' ;;
	'triggers serve --durability') words='full process' ;;
	'triggers serve --webhook-secret-file') kind='file' ;;
	'triggers serve --delivery-body') words='standard legacy' ;;
	'triggers serve --rate-limit-algorithm') words='fixed sliding' ;;
	'triggers serve --key-prefix') words='live test' ;;
	'triggers serve --admin-token-file') kind='file' ;;
	'triggers keys generate --key-file') kind='file' ;;
	'triggers keys generate --tier') words='free pro business enterprise' ;;
	'triggers keys generate --admin-token-file') kind='file' ;;
	'triggers keys show --key-file') kind='file' ;;
	'triggers keys rotate --key-file') kind='file' ;;
	'triggers send --key-file') kind='file' ;;
	'triggers send --resume') kind='file' ;;
	'triggers inbox --key-file') kind='file' ;;
	'triggers ack --key-file') kind='file' ;;
	'triggers webhook set --key-file') kind='file' ;;
	'triggers webhook show --key-file') kind='file' ;;
	'triggers webhook test --key-file') kind='file' ;;
	'triggers webhook disable --key-file') kind='file' ;;
	'triggers webhook rotate-secret --key-file') kind='file' ;;
	'triggers replay --key-file') kind='file' ;;
	'triggers listen --key-file') kind='file' ;;
	'triggers listen --secret-file') kind='file' ;;
	'triggers verify --secret-file') kind='file' ;;
	'triggers top --key-file') kind='file' ;;
	'triggers migrate --db') kind='file' ;;
	'triggers check --db') kind='file' ;;
	'jetstream run --wire') words='auto v1 v2' ;;
	'jetstream run --from') kind='file' ;;
	'jetstream run --zstd') words='auto on off' ;;
	'jetstream run --zstd-dictionary') kind='file' ;;
	'jetstream run --message-shape') words='v1 upstream' ;;
	'jetstream run --on-gap') words='continue stop' ;;
	'jetstream run --login-password-file') kind='file' ;;
	'jetstream run --graze-secret-file') kind='file' ;;
	'jetstream run --envelope') words='zk rust raw' ;;
	'jetstream run --store') kind='dir' ;;
	'jetstream run --durability') words='normal full' ;;
	'jetstream run --compress') words='zstd zip gzip none' ;;
	'jetstream run --when-full') words='block drop-oldest' ;;
	'jetstream run --redis-fields') words='data python rust' ;;
	'jetstream run --redis-id') words='auto position' ;;
	'jetstream tail --wire') words='auto v1 v2' ;;
	'jetstream tail --from') kind='file' ;;
	'jetstream tail --zstd') words='auto on off' ;;
	'jetstream tail --zstd-dictionary') kind='file' ;;
	'jetstream tail --message-shape') words='v1 upstream' ;;
	'jetstream tail --login-password-file') kind='file' ;;
	'jetstream tail --graze-secret-file') kind='file' ;;
	'jetstream tail --envelope') words='zk rust raw' ;;
	'procwire worker --triggers-key-file') kind='file' ;;
	'procwire worker --print-types') words='none ts mjs' ;;
	'health --token-file') kind='file' ;;
	'health --api-key-file') kind='file' ;;
	'health --server-kind') words='auto ideal as-built path-blind older' ;;
	'spool list --spool') kind='dir' ;;
	'spool show --spool') kind='dir' ;;
	'spool show --state') words='any waiting sending failed' ;;
	'spool flush --spool') kind='dir' ;;
	'spool drop --spool') kind='dir' ;;
	'spool drop --state') words='any waiting sending failed' ;;
	'spool export --spool') kind='dir' ;;
	'spool export --state') words='any waiting sending failed' ;;
	'config init --from') kind='file' ;;
	'config validate --for') kind='command' ;;
	*' -p' | *' --profile') kind='profile' ;;
	*' -c' | *' --config') kind='file' ;;
	*' --log-level') words='auto error warn notice info debug' ;;
	*' --log-format') words='auto text logfmt json journald' ;;
	*' --log-file') kind='file' ;;
	*' --color') words='auto always never' ;;
	*' --progress') words='auto bar plain none' ;;
	*' --trace-file') kind='file' ;;
	*' --confirm') kind='profile' ;;
	*' --status-fd') kind='file' ;;
	*' --ready-file') kind='file' ;;
	*' -o' | *' --output') words='auto table plain json ndjson yaml csv tsv' ;;
	*' --fields') kind='fields' ;;
	*' --ca-file') kind='file' ;;
	*' --client-cert') kind='file' ;;
	*' --client-key') kind='file' ;;
	*' --otlp-file') kind='file' ;;
	*' --spool') kind='dir' ;;
	*' --spool-when-full') words='block drop-newest fail' ;;
	*' --on-error') words='stop skip' ;;
	*' --rejects') kind='file' ;;
	*' --receipts') kind='file' ;;
	*' --tls-cert') kind='file' ;;
	*' --tls-key') kind='file' ;;
	esac
}

_zk_arg() {
	case $1 in
	'template register') kind='file' ;;
	'template lint') kind='file' ;;
	'template diff') kind='file' ;;
	'triggers send') kind='file' ;;
	'config trust') kind='file' ;;
	'profile show') kind='profile' ;;
	'profile use') kind='profile' ;;
	'completion') kind='shell' ;;
	'explain') kind='code' ;;
	'help') kind='topic' ;;
	'schema') kind='schema' ;;
	esac
}

_zk_with_value() {
	case "$1 $2" in
	'template register --base-url') return 0 ;;
	'template register --token-file') return 0 ;;
	'template register --api-key-file') return 0 ;;
	'template register --as-user') return 0 ;;
	'template register --client-id') return 0 ;;
	'template register --server-kind') return 0 ;;
	'template register --rate') return 0 ;;
	'template register -n' | 'template register --namespace') return 0 ;;
	'template register --webhook-url') return 0 ;;
	'template register --report') return 0 ;;
	'template list --base-url') return 0 ;;
	'template list --token-file') return 0 ;;
	'template list --api-key-file') return 0 ;;
	'template list --as-user') return 0 ;;
	'template list --client-id') return 0 ;;
	'template list --server-kind') return 0 ;;
	'template list --rate') return 0 ;;
	'template list -n' | 'template list --namespace') return 0 ;;
	'template get --base-url') return 0 ;;
	'template get --token-file') return 0 ;;
	'template get --api-key-file') return 0 ;;
	'template get --as-user') return 0 ;;
	'template get --client-id') return 0 ;;
	'template get --server-kind') return 0 ;;
	'template get --rate') return 0 ;;
	'template get -n' | 'template get --namespace') return 0 ;;
	'template delete --base-url') return 0 ;;
	'template delete --token-file') return 0 ;;
	'template delete --api-key-file') return 0 ;;
	'template delete --as-user') return 0 ;;
	'template delete --client-id') return 0 ;;
	'template delete --server-kind') return 0 ;;
	'template delete --rate') return 0 ;;
	'template delete -n' | 'template delete --namespace') return 0 ;;
	'template export --base-url') return 0 ;;
	'template export --token-file') return 0 ;;
	'template export --api-key-file') return 0 ;;
	'template export --as-user') return 0 ;;
	'template export --client-id') return 0 ;;
	'template export --server-kind') return 0 ;;
	'template export --rate') return 0 ;;
	'template export -n' | 'template export --namespace') return 0 ;;
	'template lint --base-url') return 0 ;;
	'template lint --token-file') return 0 ;;
	'template lint --api-key-file') return 0 ;;
	'template lint --as-user') return 0 ;;
	'template lint --client-id') return 0 ;;
	'template lint --server-kind') return 0 ;;
	'template lint --rate') return 0 ;;
	'template lint --report') return 0 ;;
	'template diff --base-url') return 0 ;;
	'template diff --token-file') return 0 ;;
	'template diff --api-key-file') return 0 ;;
	'template diff --as-user') return 0 ;;
	'template diff --client-id') return 0 ;;
	'template diff --server-kind') return 0 ;;
	'template diff --rate') return 0 ;;
	'template diff -n' | 'template diff --namespace') return 0 ;;
	'triggers serve --listen') return 0 ;;
	'triggers serve --metrics-listen') return 0 ;;
	'triggers serve --cors') return 0 ;;
	'triggers serve --db') return 0 ;;
	'triggers serve --db-connections') return 0 ;;
	'triggers serve --durability') return 0 ;;
	'triggers serve --dedup-window') return 0 ;;
	'triggers serve --retain-delivered') return 0 ;;
	'triggers serve --retain-failed') return 0 ;;
	'triggers serve --retain-pending') return 0 ;;
	'triggers serve --redis') return 0 ;;
	'triggers serve --webhook-secret-file') return 0 ;;
	'triggers serve --delivery-max') return 0 ;;
	'triggers serve --delivery-timeout') return 0 ;;
	'triggers serve --delivery-body') return 0 ;;
	'triggers serve --retry-schedule') return 0 ;;
	'triggers serve --webhook-allow') return 0 ;;
	'triggers serve --webhook-proxy') return 0 ;;
	'triggers serve --alert-url') return 0 ;;
	'triggers serve --webhook-max-retries') return 0 ;;
	'triggers serve --webhook-backoff-base') return 0 ;;
	'triggers serve --rate-limit') return 0 ;;
	'triggers serve --rate-limit-algorithm') return 0 ;;
	'triggers serve --key-prefix') return 0 ;;
	'triggers serve --admin-token-file') return 0 ;;
	'triggers serve --keygen-per-minute') return 0 ;;
	'triggers serve --hash-lanes') return 0 ;;
	'triggers serve --max-payload') return 0 ;;
	'triggers serve --max-body') return 0 ;;
	'triggers serve --max-depth') return 0 ;;
	'triggers serve --max-head') return 0 ;;
	'triggers serve --max-header-lines') return 0 ;;
	'triggers serve --max-target') return 0 ;;
	'triggers serve --max-connections') return 0 ;;
	'triggers serve --max-connections-per-client') return 0 ;;
	'triggers serve --max-requests') return 0 ;;
	'triggers serve --head-timeout') return 0 ;;
	'triggers serve --body-timeout') return 0 ;;
	'triggers serve --idle-timeout') return 0 ;;
	'triggers keys generate --url') return 0 ;;
	'triggers keys generate --key-file') return 0 ;;
	'triggers keys generate --name') return 0 ;;
	'triggers keys generate --tier') return 0 ;;
	'triggers keys generate --admin-token-file') return 0 ;;
	'triggers keys show --url') return 0 ;;
	'triggers keys show --key-file') return 0 ;;
	'triggers keys rotate --url') return 0 ;;
	'triggers keys rotate --key-file') return 0 ;;
	'triggers keys rotate --key-grace') return 0 ;;
	'triggers send --url') return 0 ;;
	'triggers send --key-file') return 0 ;;
	'triggers send --type') return 0 ;;
	'triggers send --idempotency-key') return 0 ;;
	'triggers send --resume') return 0 ;;
	'triggers send --linger') return 0 ;;
	'triggers inbox --url') return 0 ;;
	'triggers inbox --key-file') return 0 ;;
	'triggers inbox --status') return 0 ;;
	'triggers inbox --type') return 0 ;;
	'triggers inbox --since') return 0 ;;
	'triggers inbox --exec') return 0 ;;
	'triggers inbox --exec-timeout') return 0 ;;
	'triggers ack --url') return 0 ;;
	'triggers ack --key-file') return 0 ;;
	'triggers webhook set --url') return 0 ;;
	'triggers webhook set --key-file') return 0 ;;
	'triggers webhook show --url') return 0 ;;
	'triggers webhook show --key-file') return 0 ;;
	'triggers webhook test --url') return 0 ;;
	'triggers webhook test --key-file') return 0 ;;
	'triggers webhook disable --url') return 0 ;;
	'triggers webhook disable --key-file') return 0 ;;
	'triggers webhook rotate-secret --url') return 0 ;;
	'triggers webhook rotate-secret --key-file') return 0 ;;
	'triggers webhook rotate-secret --secret-grace') return 0 ;;
	'triggers replay --url') return 0 ;;
	'triggers replay --key-file') return 0 ;;
	'triggers replay --status') return 0 ;;
	'triggers replay --type') return 0 ;;
	'triggers replay --since') return 0 ;;
	'triggers replay --max') return 0 ;;
	'triggers listen --url') return 0 ;;
	'triggers listen --key-file') return 0 ;;
	'triggers listen --forward') return 0 ;;
	'triggers listen --exec') return 0 ;;
	'triggers listen --type') return 0 ;;
	'triggers listen --secret-file') return 0 ;;
	'triggers verify --secret-file') return 0 ;;
	'triggers verify --tolerance') return 0 ;;
	'triggers top --url') return 0 ;;
	'triggers top --key-file') return 0 ;;
	'triggers top --interval') return 0 ;;
	'triggers migrate --db') return 0 ;;
	'triggers check --db') return 0 ;;
	'jetstream run --host') return 0 ;;
	'jetstream run --wire') return 0 ;;
	'jetstream run --from') return 0 ;;
	'jetstream run --pace') return 0 ;;
	'jetstream run --since') return 0 ;;
	'jetstream run --until') return 0 ;;
	'jetstream run --zstd') return 0 ;;
	'jetstream run --zstd-dictionary') return 0 ;;
	'jetstream run --max-message-size') return 0 ;;
	'jetstream run --message-shape') return 0 ;;
	'jetstream run --stale-after') return 0 ;;
	'jetstream run --collection') return 0 ;;
	'jetstream run --did') return 0 ;;
	'jetstream run --exclude-did') return 0 ;;
	'jetstream run --kind') return 0 ;;
	'jetstream run --op') return 0 ;;
	'jetstream run --match') return 0 ;;
	'jetstream run --shard') return 0 ;;
	'jetstream run --limit') return 0 ;;
	'jetstream run --on-gap') return 0 ;;
	'jetstream run --hydrate') return 0 ;;
	'jetstream run --hydrate-deadline') return 0 ;;
	'jetstream run --api-url') return 0 ;;
	'jetstream run --api-rps') return 0 ;;
	'jetstream run --api-requests') return 0 ;;
	'jetstream run --api-linger') return 0 ;;
	'jetstream run --api-timeout') return 0 ;;
	'jetstream run --users-cache') return 0 ;;
	'jetstream run --posts-cache') return 0 ;;
	'jetstream run --users-cache-bytes') return 0 ;;
	'jetstream run --posts-cache-bytes') return 0 ;;
	'jetstream run --user-ttl') return 0 ;;
	'jetstream run --post-ttl') return 0 ;;
	'jetstream run --negative-ttl') return 0 ;;
	'jetstream run --login-identifier') return 0 ;;
	'jetstream run --login-password-file') return 0 ;;
	'jetstream run --login-pds') return 0 ;;
	'jetstream run --graze-url') return 0 ;;
	'jetstream run --graze-secret-file') return 0 ;;
	'jetstream run --envelope') return 0 ;;
	'jetstream run --store') return 0 ;;
	'jetstream run --batch') return 0 ;;
	'jetstream run --linger') return 0 ;;
	'jetstream run --durability') return 0 ;;
	'jetstream run --rotate') return 0 ;;
	'jetstream run --rotate-bytes') return 0 ;;
	'jetstream run --compress') return 0 ;;
	'jetstream run --retention') return 0 ;;
	'jetstream run --max-bytes') return 0 ;;
	'jetstream run --min-free') return 0 ;;
	'jetstream run --when-full') return 0 ;;
	'jetstream run --sink') return 0 ;;
	'jetstream run --redis') return 0 ;;
	'jetstream run --redis-stream') return 0 ;;
	'jetstream run --redis-maxlen') return 0 ;;
	'jetstream run --redis-fields') return 0 ;;
	'jetstream run --redis-id') return 0 ;;
	'jetstream run --listen') return 0 ;;
	'jetstream tail --host') return 0 ;;
	'jetstream tail --wire') return 0 ;;
	'jetstream tail --from') return 0 ;;
	'jetstream tail --pace') return 0 ;;
	'jetstream tail --since') return 0 ;;
	'jetstream tail --until') return 0 ;;
	'jetstream tail --zstd') return 0 ;;
	'jetstream tail --zstd-dictionary') return 0 ;;
	'jetstream tail --max-message-size') return 0 ;;
	'jetstream tail --message-shape') return 0 ;;
	'jetstream tail --stale-after') return 0 ;;
	'jetstream tail --collection') return 0 ;;
	'jetstream tail --did') return 0 ;;
	'jetstream tail --exclude-did') return 0 ;;
	'jetstream tail --kind') return 0 ;;
	'jetstream tail --op') return 0 ;;
	'jetstream tail --match') return 0 ;;
	'jetstream tail --shard') return 0 ;;
	'jetstream tail --hydrate') return 0 ;;
	'jetstream tail --hydrate-deadline') return 0 ;;
	'jetstream tail --api-url') return 0 ;;
	'jetstream tail --api-rps') return 0 ;;
	'jetstream tail --api-requests') return 0 ;;
	'jetstream tail --api-linger') return 0 ;;
	'jetstream tail --api-timeout') return 0 ;;
	'jetstream tail --users-cache') return 0 ;;
	'jetstream tail --posts-cache') return 0 ;;
	'jetstream tail --users-cache-bytes') return 0 ;;
	'jetstream tail --posts-cache-bytes') return 0 ;;
	'jetstream tail --user-ttl') return 0 ;;
	'jetstream tail --post-ttl') return 0 ;;
	'jetstream tail --negative-ttl') return 0 ;;
	'jetstream tail --login-identifier') return 0 ;;
	'jetstream tail --login-password-file') return 0 ;;
	'jetstream tail --login-pds') return 0 ;;
	'jetstream tail --graze-url') return 0 ;;
	'jetstream tail --graze-secret-file') return 0 ;;
	'jetstream tail --envelope') return 0 ;;
	'procwire worker --handle') return 0 ;;
	'procwire worker --event') return 0 ;;
	'procwire worker --expose') return 0 ;;
	'procwire worker --methods') return 0 ;;
	'procwire worker --max-concurrency') return 0 ;;
	'procwire worker --max-queue') return 0 ;;
	'procwire worker --max-payload') return 0 ;;
	'procwire worker --max-output') return 0 ;;
	'procwire worker --kill-grace') return 0 ;;
	'procwire worker --allow-uid') return 0 ;;
	'procwire worker --triggers-url') return 0 ;;
	'procwire worker --triggers-key-file') return 0 ;;
	'procwire worker --print-types') return 0 ;;
	'procwire call --init-timeout') return 0 ;;
	'procwire call --max-payload') return 0 ;;
	'procwire bench -w' | 'procwire bench --window') return 0 ;;
	'procwire bench -s' | 'procwire bench --size') return 0 ;;
	'procwire bench -t' | 'procwire bench --time') return 0 ;;
	'procwire bench --calls') return 0 ;;
	'procwire bench -m' | 'procwire bench --method') return 0 ;;
	'health --base-url') return 0 ;;
	'health --token-file') return 0 ;;
	'health --api-key-file') return 0 ;;
	'health --as-user') return 0 ;;
	'health --client-id') return 0 ;;
	'health --server-kind') return 0 ;;
	'health --rate') return 0 ;;
	'health --ws-url') return 0 ;;
	'health --watch') return 0 ;;
	'health --wait') return 0 ;;
	'spool list --spool') return 0 ;;
	'spool show --spool') return 0 ;;
	'spool show --state') return 0 ;;
	'spool flush --spool') return 0 ;;
	'spool drop --spool') return 0 ;;
	'spool drop --state') return 0 ;;
	'spool drop --older-than') return 0 ;;
	'spool export --spool') return 0 ;;
	'spool export --state') return 0 ;;
	'demo --only') return 0 ;;
	'config init --from') return 0 ;;
	'config validate --for') return 0 ;;
	'config validate --report') return 0 ;;
	*' -p' | *' --profile') return 0 ;;
	*' -c' | *' --config') return 0 ;;
	*' --log-level') return 0 ;;
	*' --log-format') return 0 ;;
	*' --log-file') return 0 ;;
	*' --color') return 0 ;;
	*' --progress') return 0 ;;
	*' --trace-file') return 0 ;;
	*' --timeout') return 0 ;;
	*' --grace') return 0 ;;
	*' --confirm') return 0 ;;
	*' --status-fd') return 0 ;;
	*' --ready-file') return 0 ;;
	*' -o' | *' --output') return 0 ;;
	*' --fields') return 0 ;;
	*' --jq') return 0 ;;
	*' --format') return 0 ;;
	*' --limit') return 0 ;;
	*' --cursor') return 0 ;;
	*' --connect-timeout') return 0 ;;
	*' --request-timeout') return 0 ;;
	*' --proxy') return 0 ;;
	*' --ca-file') return 0 ;;
	*' --client-cert') return 0 ;;
	*' --client-key') return 0 ;;
	*' --otel-endpoint') return 0 ;;
	*' --otlp-file') return 0 ;;
	*' --retries') return 0 ;;
	*' --retry-base') return 0 ;;
	*' --retry-cap') return 0 ;;
	*' --retry-max-time') return 0 ;;
	*' --spool') return 0 ;;
	*' --spool-max-bytes') return 0 ;;
	*' --spool-when-full') return 0 ;;
	*' --on-error') return 0 ;;
	*' --rejects') return 0 ;;
	*' --receipts') return 0 ;;
	*' --tls-cert') return 0 ;;
	*' --tls-key') return 0 ;;
	*' --trusted-proxy') return 0 ;;
	*' --admin') return 0 ;;
	esac
	return 1
}

# Files, folders, or what zk knows.
_zk_kind() {
	case $1 in
	file) compopt -o filenames 2>/dev/null; COMPREPLY=($(compgen -f -- "$2")) ;;
	dir) compopt -o filenames 2>/dev/null; COMPREPLY=($(compgen -d -- "$2")) ;;
	*) COMPREPLY=($(compgen -W "$("${COMP_WORDS[0]}" __complete "$1" 2>/dev/null |
		cut -f 1)" -- "$2")) ;;
	esac
}

_zk() {
	local IFS=$' \t\n' cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]}
	local path='' words='' kind='' option='' i w
	COMPREPLY=()
	for ((i = 1; i < COMP_CWORD; i++)); do
		w=${COMP_WORDS[i]}
		case $w in
		--) return ;;
		-*) [[ ${COMP_WORDS[i + 1]} != = ]] && _zk_with_value "$path" "$w" && ((i++)) ;;
		=) ((i++)) ;;
		*)
			words=''
			_zk_verbs "$path"
			[[ " $words " == *" $w "* ]] && path=${path:+$path }$w
			;;
		esac
	done
	words=''
	if [[ $cur == = ]]; then
		option=$prev cur=''
	elif [[ $prev == = ]]; then
		option=${COMP_WORDS[COMP_CWORD - 2]}
	elif _zk_with_value "$path" "$prev"; then
		option=$prev
	fi
	if [[ $option ]]; then
		_zk_value "$path" "$option"
	elif [[ $cur == -* ]]; then
		_zk_options "$path"
	else
		_zk_verbs "$path"
		[[ $words ]] || _zk_arg "$path"
	fi
	if [[ $kind ]]; then
		_zk_kind "$kind" "$cur"
	else
		COMPREPLY=($(compgen -W "$words" -- "$cur"))
	fi
}

complete -F _zk zk
