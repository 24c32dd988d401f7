/* A command behind a method: what is known of it before the start.
 * Layer: procwire, shared by the handlers that run programs. */
#ifndef ZK_PROCWIRE_COMMAND_H
#define ZK_PROCWIRE_COMMAND_H

#include "procwire/spec.h"
#include "procwire/template.h"

struct zk_pw_command {
	const struct zk_pw_env *env_of;
	struct zk_pw_words words; /* of exec and co */
	char *script;             /* of sh */
	struct zk_pw_words env;   /* NAME=VALUE */
	char *cwd;
	int *ok; /* exit statuses that are no failure; none = 0 */
	size_t n_ok;
	enum zk_pw_out out;
	size_t max_output;
	int64_t kill_grace_ms;
	char *done_event; /* of an ack method */
};

/* Sets m->conf and m->free_conf. */
struct zk_pw_command *zk_pw_command_new(const struct zk_pw_env *env,
                                        struct zk_pw_method *m,
                                        const struct zk_pw_spec *spec);
void zk_pw_command_free(void *command);
/* Takes ok, env and out of `spec`. 0, or -ZK_E_PW_TABLE. */
int zk_pw_command_common(struct zk_pw_command *c, const struct zk_pw_method *m,
                         const struct zk_pw_spec *spec, struct zk_error *err) ZK_MUST_USE;
/* Changes of the environment for a start: without our own variables, with those of the user. */
void zk_pw_command_env(const struct zk_pw_command *c, struct zk_pw_words *env);
/* The words of `spec` or of `rest`; at least one. 0, or -ZK_E_PW_TABLE. */
int zk_pw_command_words(struct zk_pw_command *c, const struct zk_pw_spec *spec,
                        const char *rest, struct zk_error *err) ZK_MUST_USE;

#endif
