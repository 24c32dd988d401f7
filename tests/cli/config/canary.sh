# shellcheck shell=bash
# A secret in a broken file shows neither in text nor in JSON nor in reports.
for text in 'defaults: { triggers: { key: canary-zap_live_1, x: 1 } }' \
	'defaults: { triggers: { key: "canary-zap_live_1" ' \
	'defaults: { triggers: { key: canary-zap_live_1, key: canary-zap_live_2 } }' \
	'defaults: { triggers: { key: [canary-zap_live_1] } }' \
	'secret: canary-zap_live_1: x' \
	'defaults: { triggers: { key: canary-zap_live_1, key_file: x } }'; do
	printf 'version: 1\n%s\n' "$text" >c.yaml
	for how in '' '--log-format json' '--report github' '--report junit=/dev/stdout' '-vv'; do
		# shellcheck disable=SC2086  # words
		"$ZK" config validate -c c.yaml $how >out 2>&1 && echo "accepted: $text"
		! grep canary out || echo "shown ($how): $text"
	done
done
echo checked
