/* The part of struct zk_app that only cli sees.
 * Layer: cli, private. */
#ifndef ZK_CLI_STATE_H
#define ZK_CLI_STATE_H

#include <stdbool.h>

#include "cli/cmd.h"
#include "cli/parse.h"
#include "conf/opt.h"

struct zk_cli {
	struct zk_parse parse;
	struct zk_optpool pool; /* values of the start; reloads have their own */
	bool is_filled;         /* the option structs hold their final values */
};

/* Writes defaults, configuration, environment and options into the structs of the app and of the
 * command. 0, or an error that says where the wrong value came from. */
int zk_cli_fill(struct zk_app *app, struct zk_error *err) ZK_MUST_USE;
/* Stops and frees what the getters made. Returns the exit status, made worse when something
 * failed at the very end (output not written). */
int zk_app_done(struct zk_app *app, int status);

#endif
