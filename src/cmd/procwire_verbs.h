/* zk's own verbs as methods of a worker ("zk:triggers.send"): one file each.
 * Layer: cmd, private. specs/cli.md §Procwire. */
#ifndef ZK_CMD_PROCWIRE_VERBS_H
#define ZK_CMD_PROCWIRE_VERBS_H

#include "cmd/procwire_cmd.h"
#include "cmd/triggers_client.h"
#include "conf/secret.h"

/* What the worker's options say about other services. */
struct procwire_remotes {
	struct trig_opts triggers;       /* triggers.send */
	const char *zeal_url;            /* trace.push, template.*, events.tail */
	struct zk_secret webhook_secret; /* webhook.verify */
};

/* The context behind the env of `zk procwire worker`. */
struct zk_app *procwire_app(const struct zk_pw_env *env,
                            const struct procwire_remotes **remotes);

/* The `make` of each (struct zk_pw_verb), and its handler. */
extern const struct zk_pw_handler procwire_triggers_send, procwire_trace_push,
        procwire_webhook_verify, procwire_template, procwire_events_tail,
        procwire_jetstream_stream, procwire_zerobus_append;
int procwire_triggers_send_make(const struct zk_pw_env *env, struct zk_pw_method *m,
                                const struct zk_pw_spec *spec, struct zk_error *err);
int procwire_trace_push_make(const struct zk_pw_env *env, struct zk_pw_method *m,
                             const struct zk_pw_spec *spec, struct zk_error *err);
int procwire_webhook_verify_make(const struct zk_pw_env *env, struct zk_pw_method *m,
                                 const struct zk_pw_spec *spec, struct zk_error *err);
int procwire_template_list_make(const struct zk_pw_env *env, struct zk_pw_method *m,
                                const struct zk_pw_spec *spec, struct zk_error *err);
int procwire_template_get_make(const struct zk_pw_env *env, struct zk_pw_method *m,
                               const struct zk_pw_spec *spec, struct zk_error *err);
int procwire_template_register_make(const struct zk_pw_env *env, struct zk_pw_method *m,
                                    const struct zk_pw_spec *spec, struct zk_error *err);
int procwire_template_delete_make(const struct zk_pw_env *env, struct zk_pw_method *m,
                                  const struct zk_pw_spec *spec, struct zk_error *err);
int procwire_events_tail_make(const struct zk_pw_env *env, struct zk_pw_method *m,
                              const struct zk_pw_spec *spec, struct zk_error *err);
int procwire_jetstream_stream_make(const struct zk_pw_env *env, struct zk_pw_method *m,
                                   const struct zk_pw_spec *spec, struct zk_error *err);
int procwire_zerobus_append_make(const struct zk_pw_env *env, struct zk_pw_method *m,
                                 const struct zk_pw_spec *spec, struct zk_error *err);

/* Answers a result or ack with a msgpack value; -ZK_E_… when the worker cannot take it. */
int procwire_answer(struct zk_pw_req *req, zk_str value, struct zk_error *err);

#endif
