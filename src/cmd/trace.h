/* What the commands of `zk trace` share: the session, its local sums, its place in the spool.
 * Layer: cmd. specs/zeal-zip.md §6. */
#ifndef ZK_CMD_TRACE_H
#define ZK_CMD_TRACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cmd/zeal.h"
#include "store/spool.h"
#include "zip/trace_sum.h"

/* First member of the struct of every command of the group. */
struct trace_opts {
	struct zeal_opts zeal;
	const char *session;
	bool optional;
};

/* The rows that fill it. */
#define TRACE_SESSION_ROW                                                         \
	{ .type = ZK_OPT_STR,                                                     \
	  .key = 's',                                                             \
	  .name = "session",                                                      \
	  .meta = "ID",                                                           \
	  .flags = ZK_OPT_NO_CONF,                                                \
	  .off = offsetof(struct trace_opts, session),                            \
	  .help = "trace session; $ZK_TRACE_SESSION without it" },                \
	{                                                                         \
		.type = ZK_OPT_BOOL, .name = "optional", .flags = ZK_OPT_NO_CONF, \
		.off = offsetof(struct trace_opts, optional),                     \
		.help = "do nothing when there is no session"                     \
	}

/* A session that was begun while the server was away: the spool opens it later. */
#define TRACE_LOCAL "local-"
bool trace_is_local(const char *session);

/* The session of --session or the environment into *ret: 1; 0 without one and with --optional;
 * else -ZK_E_USAGE. */
int trace_session(const struct trace_opts *o, const char **ret, struct zk_error *err);
/* --node, $ZK_TRACE_NODE, or `other`. */
const char *trace_node(const char *given, const char *other);

/* Where the sums of a session are kept; the caller frees. NULL with `err`. */
char *trace_sum_path(struct zk_app *app, const char *session, bool make,
                     struct zk_error *err);
/* Adds to them; a failure is logged and nothing more. */
void trace_sum_save(struct zk_app *app, const char *session, const struct zk_zip_sum *s);

/* 32 hexadecimal digits: what the events of this run are marked with. */
#define TRACE_MARK_TEXT 32
void trace_make_mark(char out[TRACE_MARK_TEXT + 1]);

/* PREFIX and a new UUID, which the caller frees: names of executions and local sessions. */
char *trace_make_id(const char *prefix);

/* ---- the spool ---- */

/* What a record is; member "op" of its meta. */
enum trace_op { TRACE_OP_EVENT, TRACE_OP_START, TRACE_OP_COMPLETE };
const char *trace_op_name(enum trace_op op);

/* "http://host:3000/api/zip/traces/SESSION", appended: the destination of records. */
void trace_dest(const char *base, const char *session, struct zk_buf *b);
/* Its parts; the caller frees both. False when it is none. */
bool trace_dest_parse(zk_str dest, char **base, char **session);

/* The folder of the spool, made, without opening it; the caller frees. NULL with `err`. */
char *trace_spool_dir(struct zk_app *app, struct zk_error *err);
/* Appends one record that is no event; `sp` NULL = the spool is opened for it. */
int trace_spool_op(const struct zeal *z, struct zk_spool *sp, const char *session,
                   enum trace_op op, zk_str body, struct zk_error *err) ZK_MUST_USE;
/* Meta and key of an event in the spool, appended to `text`, which must not move (it has room for
 * TRACE_PUT_TEXT bytes). */
#define TRACE_PUT_TEXT 256
void trace_event_put(zk_str mark, uint64_t seq, uint64_t line, struct zk_buf *text,
                     struct zk_spool_put *ret);
/* The key alone, appended. */
void trace_event_key(zk_str mark, uint64_t seq, struct zk_buf *b);

#endif
