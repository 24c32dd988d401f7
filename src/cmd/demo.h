/* What the stages of `zk demo` share: the folder, the loop, waiting, one row of facts per stage.
 * Layer: cmd. */
#ifndef ZK_CMD_DEMO_H
#define ZK_CMD_DEMO_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "cli/cmd.h"
#include "codec/jwrite.h"

struct zk_loop;
struct zk_net;

struct demo {
	struct zk_app *app;
	struct zk_loop *loop;
	struct zk_net *net;
	char *dir;  /* private temporary folder */
	char *self; /* this program */
	bool keep;
};

/* One stage: computes its line from what it did. */
struct demo_stage {
	const char *name;
	const char *command; /* what the user would type */
	/* Appends the text of its line to `line` and its facts as members to `facts`. 0, or an
	 * error when something did not add up. `*state` lives until `stop`. */
	int (*run)(struct demo *d, void **state, struct zk_buf *line,
	           struct zk_jwrite *facts, struct zk_error *err);
	/* With --keep, after all stages: prints what to try. */
	void (*invite)(struct demo *d, void *state);
	/* Ends what runs and frees. */
	void (*stop)(struct demo *d, void *state);
};

extern const struct demo_stage zk_demo_jetstream;
extern const struct demo_stage zk_demo_procwire;
extern const struct demo_stage zk_demo_triggers;
extern const struct demo_stage zk_demo_zerobus;

/* A file in the folder; its path, which the caller frees, or NULL. */
char *demo_write_file(struct demo *d, const char *name, zk_str text,
                      struct zk_error *err);
/* Turns the loop until cond(ctx) or for `ms`; whether the condition holds. */
bool demo_wait(struct demo *d, bool (*cond)(void *ctx), void *ctx, int64_t ms);

#endif
