/* Waiting between two looks at something, until a signal ends it.
 * Layer: cmd. */
#ifndef ZK_CMD_PAUSE_H
#define ZK_CMD_PAUSE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "cli/cmd.h"

struct zk_timer;

struct pause {
	struct zk_app *app;
	struct zk_timer *timer;
	bool over;
	bool stop; /* a signal came, or --timeout is over */
};

/* INT, TERM and --timeout set `stop` from now on. pause_close in any case. */
int pause_open(struct zk_app *app, struct pause *p, struct zk_error *err) ZK_MUST_USE;
void pause_close(struct pause *p);
/* Turns the loop for so long, or until the stop. */
void pause_for(struct pause *p, int64_t ms);

#endif
