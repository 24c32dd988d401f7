# fish completion for zk. Made by zk emit fish; do not edit.

set -g __zk_paths \
    'triggers' \
    'triggers serve' \
    'demo' \
    'config' \
    'config init' \
    'config trust' \
    'config validate' \
    'completion' \
    'explain' \
    'help' \
    'schema' \
    'version'

# The words of the command on the line so far.
function __zk_path
    set -l path
    for w in (commandline -opc)[2..-1]
        string match -q -- '-*' $w; and continue
        contains -- (string join ' ' $path $w) $__zk_paths; and set path $path $w
    end
    string join ' ' $path
end

function __zk_at
    set -l path (__zk_path)
    test "$path" = "$argv[1]"
end

function __zk_ask
    set -l program (commandline -opc)[1]
    $program __complete $argv[1] 2>/dev/null
end

complete -c zk -f
complete -c zk -n '__zk_at ""' -a triggers -d 'serve or call the triggers API'
complete -c zk -n '__zk_at ""' -a demo -d 'see the whole product work in 30 s, without an account'
complete -c zk -n '__zk_at ""' -a config -d 'look at, check and write the configuration'
complete -c zk -n '__zk_at ""' -a completion -d 'print a completion script for a shell'
complete -c zk -n '__zk_at ""' -a explain -d 'say what an error code means and what to do'
complete -c zk -n '__zk_at ""' -a help -d 'explain a command or a topic'
complete -c zk -n '__zk_at ""' -a schema -d 'print a JSON Schema of what zk reads or writes'
complete -c zk -n '__zk_at ""' -a version -d 'print the version and what it was built with'
complete -c zk -n '__zk_at "triggers"' -a serve -d 'serve the triggers API on an embedded database'
complete -c zk -n '__zk_at "config"' -a init -d 'write a configuration file to start from'
complete -c zk -n '__zk_at "config"' -a trust -d 'allow a project file everything, in exactly its present form'
complete -c zk -n '__zk_at "config"' -a validate -d 'check files, variables and options of the configuration'
complete -c zk -n true -l profile -s p -x -a '(__zk_ask profile)' -d 'profile of the configuration to use'
complete -c zk -n true -l config -s c -r -F -d 'read only this configuration file'
complete -c zk -n true -l no-config -d 'read no configuration file at all'
complete -c zk -n true -l config -d 'read no configuration file at all'
complete -c zk -n true -l quiet -s q -d 'hide progress and information, never warnings or errors'
complete -c zk -n true -l no-quiet -d 'hide progress and information, never warnings or errors'
complete -c zk -n true -l verbose -s v -d 'show more; -v is log level debug'
complete -c zk -n true -l log-level -x -a 'auto error warn notice info debug' -d 'least severe messages that are logged'
complete -c zk -n true -l log-format -x -a 'auto text logfmt json journald' -d 'form of log lines and errors on stderr'
complete -c zk -n true -l log-file -r -F -d 'append the log to FILE'
complete -c zk -n true -l color -x -a 'auto always never' -d 'colours and bold text'
complete -c zk -n true -l progress -x -a 'auto bar plain none' -d 'progress display on stderr'
complete -c zk -n true -l trace -d 'log the wire: headers,bodies,curl,errors,timing'
complete -c zk -n true -l trace-file -r -F -d 'write the wire log to FILE'
complete -c zk -n true -l timeout -x -d 'time for the whole command (no limit)'
complete -c zk -n true -l grace -x -d 'time to drain after a stop signal or end of input'
complete -c zk -n true -l dry-run -d 'validate and show what would be done, change nothing'
complete -c zk -n true -l no-dry-run -d 'validate and show what would be done, change nothing'
complete -c zk -n true -l yes -s y -d 'answer questions with yes'
complete -c zk -n true -l no-yes -d 'answer questions with yes'
complete -c zk -n true -l confirm -x -a '(__zk_ask profile)' -d 'allow a destructive command on this protected profile'
complete -c zk -n true -l no-input -d 'never ask; implied without a terminal'
complete -c zk -n true -l input -d 'never ask; implied without a terminal'
complete -c zk -n true -l status-fd -r -F -d 'write machine-readable status lines there'
complete -c zk -n true -l ready-file -r -F -d 'write FILE when ready, remove it at exit'
complete -c zk -n true -l help -s h -d '-h: one screen of help, --help: all of it'
complete -c zk -n true -l version -s V -d 'print the version'
complete -c zk -n '__zk_at "triggers serve"' -l listen -x -d 'HOST:PORT, [V6]:PORT, :PORT or unix:PATH; port 0 takes a free one'
complete -c zk -n '__zk_at "triggers serve"' -l metrics-listen -x -d 'serve /metrics here and not on the main address'
complete -c zk -n '__zk_at "triggers serve"' -l cors -x -d 'origins that browsers may call from; \'*\' any, \'off\' none'
complete -c zk -n '__zk_at "triggers serve"' -l ui -d 'serve the built-in page at /'
complete -c zk -n '__zk_at "triggers serve"' -l no-ui -d 'serve the built-in page at /'
complete -c zk -n '__zk_at "triggers serve"' -l dev -d 'try it: temporary store, private webhooks, one key made and shown'
complete -c zk -n '__zk_at "triggers serve"' -l no-dev -d 'try it: temporary store, private webhooks, one key made and shown'
complete -c zk -n '__zk_at "triggers serve"' -l db -r -F -d 'database file'
complete -c zk -n '__zk_at "triggers serve"' -l db-connections -x -d 'connections to a database server'
complete -c zk -n '__zk_at "triggers serve"' -l durability -x -a 'full process' -d 'what an accepted event survives: power cut, or process kill'
complete -c zk -n '__zk_at "triggers serve"' -l dedup-window -x -d 'how long a dedup_id is remembered; 0 for ever'
complete -c zk -n '__zk_at "triggers serve"' -l retain-delivered -x -d 'delete delivered events after this; 0 never'
complete -c zk -n '__zk_at "triggers serve"' -l retain-failed -x -d 'delete failed events after this; 0 never'
complete -c zk -n '__zk_at "triggers serve"' -l retain-pending -x -d 'delete pending events after this; 0 never'
complete -c zk -n '__zk_at "triggers serve"' -l redis -x -d 'shared rate limits of several servers'
complete -c zk -n '__zk_at "triggers serve"' -l webhook-secret-file -r -F -d 'server secret; default: server.secret beside the database'
complete -c zk -n '__zk_at "triggers serve"' -l webhook-secret-fd -x -d 'server secret; default: server.secret beside the database'
complete -c zk -n '__zk_at "triggers serve"' -l accept-new-secret -d 'start although the server secret changed'
complete -c zk -n '__zk_at "triggers serve"' -l no-accept-new-secret -d 'start although the server secret changed'
complete -c zk -n '__zk_at "triggers serve"' -l delivery -d 'deliver events to webhooks'
complete -c zk -n '__zk_at "triggers serve"' -l no-delivery -d 'deliver events to webhooks'
complete -c zk -n '__zk_at "triggers serve"' -l delivery-max -x -d 'webhook requests in flight'
complete -c zk -n '__zk_at "triggers serve"' -l delivery-timeout -x -d 'time for one webhook request'
complete -c zk -n '__zk_at "triggers serve"' -l delivery-body -x -a 'standard legacy' -d 'members of the webhook body'
complete -c zk -n '__zk_at "triggers serve"' -l retry-schedule -x -d 'waits between attempts, \'seed\' or \'standard\''
complete -c zk -n '__zk_at "triggers serve"' -l allow-private-webhooks -d 'let webhooks reach private and local addresses'
complete -c zk -n '__zk_at "triggers serve"' -l no-allow-private-webhooks -d 'let webhooks reach private and local addresses'
complete -c zk -n '__zk_at "triggers serve"' -l webhook-allow -x -d 'let webhooks reach this range (repeatable)'
complete -c zk -n '__zk_at "triggers serve"' -l require-https -d 'refuse http webhooks'
complete -c zk -n '__zk_at "triggers serve"' -l no-require-https -d 'refuse http webhooks'
complete -c zk -n '__zk_at "triggers serve"' -l webhook-proxy -x -d 'proxy for webhook requests'
complete -c zk -n '__zk_at "triggers serve"' -l alert-url -x -d 'told once an hour and organization about dead letters'
complete -c zk -n '__zk_at "triggers serve"' -l rate-limit -x -d 'events per minute of a tier; 0 = unlimited (repeatable)'
complete -c zk -n '__zk_at "triggers serve"' -l rate-limit-algorithm -x -a 'fixed sliding' -d 'how the minute is counted'
complete -c zk -n '__zk_at "triggers serve"' -l key-prefix -x -a 'live test' -d 'zap_live_ or zap_test_ keys'
complete -c zk -n '__zk_at "triggers serve"' -l admin-token-file -r -F -d 'making organizations needs this token'
complete -c zk -n '__zk_at "triggers serve"' -l admin-token-fd -x -d 'making organizations needs this token'
complete -c zk -n '__zk_at "triggers serve"' -l keygen-per-minute -x -d 'organizations made per minute and client; 0 = unlimited'
complete -c zk -n '__zk_at "triggers serve"' -l key-mac -d 'keep a keyed digest beside each Argon2id hash'
complete -c zk -n '__zk_at "triggers serve"' -l no-key-mac -d 'keep a keyed digest beside each Argon2id hash'
complete -c zk -n '__zk_at "triggers serve"' -l hash-lanes -x -d 'threads that compute Argon2id'
complete -c zk -n '__zk_at "triggers serve"' -l max-payload -x -d 'payload of one event'
complete -c zk -n '__zk_at "triggers serve"' -l max-body -x -d 'body of one request'
complete -c zk -n '__zk_at "triggers serve"' -l max-depth -x -d 'nesting of JSON'
complete -c zk -n '__zk_at "triggers serve"' -l max-head -x -d 'request line and headers'
complete -c zk -n '__zk_at "triggers serve"' -l max-header-lines -x -d 'header lines of a request'
complete -c zk -n '__zk_at "triggers serve"' -l max-target -x -d 'request target'
complete -c zk -n '__zk_at "triggers serve"' -l max-connections -x -d 'open connections'
complete -c zk -n '__zk_at "triggers serve"' -l max-connections-per-client -x -d 'of one address; loopback is exempt'
complete -c zk -n '__zk_at "triggers serve"' -l max-requests -x -d 'requests on one connection'
complete -c zk -n '__zk_at "triggers serve"' -l head-timeout -x -d 'time to finish the head of a request'
complete -c zk -n '__zk_at "triggers serve"' -l body-timeout -x -d 'time to finish a body, and 1 s per 16 KiB of it'
complete -c zk -n '__zk_at "triggers serve"' -l idle-timeout -x -d 'keep an idle connection so long'
complete -c zk -n '__zk_at "triggers serve"' -l tls-cert -r -F -d 'serve HTTPS with this certificate (PEM)'
complete -c zk -n '__zk_at "triggers serve"' -l tls-key -r -F -d 'private key of --tls-cert'
complete -c zk -n '__zk_at "triggers serve"' -l trusted-proxy -x -d 'believe X-Forwarded-For of these'
complete -c zk -n '__zk_at "triggers serve"' -l admin -x -d 'listen here for /healthz /readyz /status /metrics'
complete -c zk -n '__zk_at "demo"' -l only -x -d 'just this stage'
complete -c zk -n '__zk_at "demo"' -l keep -d 'stay up afterwards and say what to try'
complete -c zk -n '__zk_at "demo"' -l no-keep -d 'stay up afterwards and say what to try'
complete -c zk -n '__zk_at "demo"' -l json -d 'print the facts as one JSON document'
complete -c zk -n '__zk_at "demo"' -l no-json -d 'print the facts as one JSON document'
complete -c zk -n '__zk_at "config init"' -l from -r -F -d 'make a profile of the variables of another server'
complete -c zk -n '__zk_at "config init"' -l force -d 'overwrite the file'
complete -c zk -n '__zk_at "config init"' -l no-force -d 'overwrite the file'
complete -c zk -n '__zk_at "config trust"' -l revoke -d 'forget that the file was trusted'
complete -c zk -n '__zk_at "config trust"' -l no-revoke -d 'forget that the file was trusted'
complete -c zk -n '__zk_at "config trust"' -F
complete -c zk -n '__zk_at "config validate"' -l for -x -a '(__zk_ask command)' -d 'check what this command, or family, would use'
complete -c zk -n '__zk_at "config validate"' -l allow-unset-env -d 'a ${NAME} that is not set is no error'
complete -c zk -n '__zk_at "config validate"' -l no-allow-unset-env -d 'a ${NAME} that is not set is no error'
complete -c zk -n '__zk_at "config validate"' -l report -x -d 'github, or junit=FILE'
complete -c zk -n '__zk_at "completion"' -a '(__zk_ask shell)'
complete -c zk -n '__zk_at "explain"' -a '(__zk_ask code)'
complete -c zk -n '__zk_at "help"' -a '(__zk_ask topic)'
complete -c zk -n '__zk_at "schema"' -a '(__zk_ask schema)'
