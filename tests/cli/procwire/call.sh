# shellcheck shell=bash
# Calls of a worker from a shell: values, streams, raw bytes, events, errors.
call() {
	"$ZK" procwire call "$@" || echo "status $?"
}
worker=("$ZK" procwire worker --no-config)
call echo '{"a":[1,2.5,"ż"],"n":9007199254740993}' -- "${worker[@]}" --expose echo
call echo -- "${worker[@]}" --expose echo
echo '[1]' | call echo - -- "${worker[@]}" --expose echo
echo '"from a file"' >in.json
call --auth echo @in.json -- "${worker[@]}" --expose echo
call lines '{"n":3}' -- "${worker[@]}" --handle 'lines,kind=stream=exec:seq {n}'
call --raw upper 'abc' -- "${worker[@]}" --handle 'upper,codec=raw=exec:tr a-z A-Z'
echo
# shellcheck disable=SC2016  # the script is the worker's
call --events job '{"w":"x y"}' -- "${worker[@]}" --event e --handle \
	'job=sh:echo "{\"event\":\"e\",\"data\":1}" >&3; echo "$ZK_ARG_w"'
call bad -- "${worker[@]}" --handle 'bad=exec:sh -c "echo no >&2; exit 2"'
call nothing -- "${worker[@]}" --expose echo
call --stream echo -- "${worker[@]}" --expose echo
call echo '{' -- "${worker[@]}" --expose echo
call echo
call -- "${worker[@]}"
call x -- false
call x -- /nonexistent/worker
"$ZK" procwire check -o plain --fields ok -- "${worker[@]}" --expose echo 2>/dev/null | sort | uniq -c |
	tr -s ' '
