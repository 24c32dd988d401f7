/* A client of one table for what has rows beside `zk zerobus send`: the spool, a sink, a method. Login and
 * endpoint are those of the configuration.
 *
 *	zb_client_load() → zb_client_open() → { zb_client_learn() } → hooks in `conf` → senders
 *
 * Layer: cmd. Loop thread only. */
#ifndef ZK_CMD_ZEROBUS_CLIENT_H
#define ZK_CMD_ZEROBUS_CLIENT_H

#include "cmd/zerobus_conf.h"
#include "zerobus/convert.h"
#include "zerobus/sender.h"

/* Zeroed at first; it must not move. */
struct zb_client {
	struct zk_optpool pool;
	struct zb_opts o;
	struct zb_session s;
	struct zk_auth *auth;
	struct zk_zb_schema *schema; /* NULL: rows travel as JSON */
	struct zk_zb_plan *plan;
	struct zk_zb_kind *kind;
	struct zk_zb_sender_conf conf; /* hooks are the owner's to set */
	struct zk_zb_sender *sender;   /* NULL = none yet: zk_zb_sender_renew */
};

/* The options, `o`, as a command would be given them. zb_client_close in any case. */
int zb_client_load(struct zb_client *c, struct zk_app *app,
                   struct zk_error *err) ZK_MUST_USE;
/* Then: for the table of the options. No connection yet. */
int zb_client_open(struct zb_client *c, struct zk_app *app,
                   struct zk_error *err) ZK_MUST_USE;
/* What the table's columns are, asked of the workspace: schema, plan and kind. Turns the loop.
 * `message` NULL = the last part of the table's name. */
int zb_client_learn(struct zb_client *c, const char *message, bool drop_unknown,
                    struct zk_error *err) ZK_MUST_USE;
/* What has no outcome is unsent, with `why`. */
void zb_client_close(struct zb_client *c, const char *why);

#endif
