/* PostgreSQL behind our error type: connections that wait (any thread), and connections on the
 * loop in pipeline mode with prepared statements; parameters and results in binary.
 * Layer: store. libpq, opened on first use.
 *
 * Errors, here and below: -ZK_E_CONNECT (no server, connection lost; retryable), -ZK_E_AUTH,
 * -ZK_E_FORBIDDEN, -ZK_E_TLS, -ZK_E_CONFIG_VALUE (URL, no such database), -ZK_E_UNKNOWN_OUTCOME
 * (lost after sending), -ZK_E_STORE_FULL, -ZK_E_CONFLICT (deadlock, serialization; retryable),
 * -ZK_E_DATA (the server refuses a value), -ZK_E_TIMEOUT, -ZK_E_STORE (all else). The password is
 * in no message. */
#ifndef ZK_STORE_PG_H
#define ZK_STORE_PG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/rand.h"
#include "base/str.h"

struct zk_loop;
struct zk_pg;
struct zk_pg_conn;
struct zk_pg_dialer;
struct zk_pg_res;

/* ---- parameters --------------------------------------------------------------------------- */

#define ZK_PG_MAX_PARAMS 16

/* The parameters of one statement in the order they are put. Between zk_pg_array and the last of
 * its elements, values are elements. The SQL says the types ($1::uuid[]): the server does not
 * guess from binary. */
struct zk_pg_params {
	struct zk_buf buf;
	size_t n;
	size_t off[ZK_PG_MAX_PARAMS];
	int len[ZK_PG_MAX_PARAMS]; /* -1 = NULL */
	size_t elements;           /* of the open array that are still to come */
};

enum zk_pg_type {
	ZK_PG_BOOL = 16,
	ZK_PG_BYTEA = 17,
	ZK_PG_INT8 = 20,
	ZK_PG_INT2 = 21,
	ZK_PG_INT4 = 23,
	ZK_PG_TEXT = 25,
	ZK_PG_JSON = 114,
	ZK_PG_FLOAT8 = 701,
	ZK_PG_TIMESTAMPTZ = 1184,
	ZK_PG_UUID = 2950,
};

void zk_pg_params_init(struct zk_pg_params *p);
void zk_pg_params_clear(struct zk_pg_params *p);
void zk_pg_params_done(struct zk_pg_params *p);
/* The next parameter is an array of `n` elements of `type`, which follow. */
void zk_pg_array(struct zk_pg_params *p, enum zk_pg_type type, size_t n);
void zk_pg_put_null(struct zk_pg_params *p);
void zk_pg_put_bytes(struct zk_pg_params *p,
                     zk_str s); /* text, json, bytea; p NULL = NULL */
void zk_pg_put_uuid(struct zk_pg_params *p, const zk_uuid *id);
void zk_pg_put_bool(struct zk_pg_params *p, bool v);
void zk_pg_put_i16(struct zk_pg_params *p, int v);
void zk_pg_put_i32(struct zk_pg_params *p, int v);
void zk_pg_put_i64(struct zk_pg_params *p, int64_t v);
void zk_pg_put_double(struct zk_pg_params *p, double v);
/* Microseconds since 1970; 0 = NULL, INT64_MAX = 'infinity'. */
void zk_pg_put_time(struct zk_pg_params *p, int64_t us);

/* ---- results ------------------------------------------------------------------------------ */

size_t zk_pg_rows(const struct zk_pg_res *r);
/* Rows that an INSERT, UPDATE or DELETE touched. */
uint64_t zk_pg_touched(const struct zk_pg_res *r);
bool zk_pg_is_null(const struct zk_pg_res *r, size_t row, int col);
/* The bytes of a value; p NULL for NULL. Valid as long as the result. */
zk_str zk_pg_str(const struct zk_pg_res *r, size_t row, int col);
/* 0 or all zero for NULL and for values of another size. */
zk_uuid zk_pg_uuid(const struct zk_pg_res *r, size_t row, int col);
int64_t zk_pg_i64(const struct zk_pg_res *r, size_t row,
                  int col); /* int2, int4, int8, bool */
double zk_pg_double(const struct zk_pg_res *r, size_t row, int col);
int64_t zk_pg_time(const struct zk_pg_res *r, size_t row, int col); /* µs since 1970 */
/* A copy, NULL for NULL; the caller frees. */
char *zk_pg_dup(const struct zk_pg_res *r, size_t row, int col);

/* ---- a connection that waits: one thread at a time ------------------------------------------ */

struct zk_pg_conf {
	const char *url;    /* postgresql://…; PG* variables fill what it leaves out */
	const char *app;    /* application_name */
	int64_t connect_ms; /* 0 = 5 s */
	int64_t query_ms;   /* 0 = 30 s, -1 = none */
	const char *setup;  /* SQL run on every new connection, may be NULL */
	const char *const *stmts; /* prepared on every new connection */
	size_t n_stmts;
};

/* Connects, checks that text is UTF-8 on both sides and the server is 13 or later, runs the
 * set-up. Blocks, at most connect_ms and what the resolver takes. */
int zk_pg_open(const struct zk_pg_conf *conf, struct zk_pg_conn **ret,
               struct zk_error *err) ZK_MUST_USE;
void zk_pg_close(struct zk_pg_conn *c); /* NULL is fine */
void zk_pg_closep(struct zk_pg_conn **c);
/* Statements without parameters and results, separated by ';'. */
int zk_pg_exec(struct zk_pg_conn *c, const char *sql, struct zk_error *err) ZK_MUST_USE;
/* One statement. `params` and `ret` may be NULL; the caller frees *ret. */
int zk_pg_query(struct zk_pg_conn *c, const char *sql, const struct zk_pg_params *params,
                struct zk_pg_res **ret, struct zk_error *err) ZK_MUST_USE;
void zk_pg_res_free(struct zk_pg_res *r);
/* "host port 5432, database zk", without a secret. */
void zk_pg_describe(const char *url, struct zk_buf *b);

/* ---- a connection on the loop ----------------------------------------------------------------- */

/* A thread that makes connections for any number of zk_pg: resolving names and reading
 * certificates may block. */
int zk_pg_dialer_new(struct zk_loop *l, struct zk_pg_dialer **ret,
                     struct zk_error *err) ZK_MUST_USE;
/* After the last zk_pg_free. Waits for an attempt that is under way. NULL is fine. */
void zk_pg_dialer_free(struct zk_pg_dialer *d);

struct zk_pg_hooks {
	/* Usable (err NULL), or not and why: at every change, and for each failed attempt. */
	void (*on_state)(void *ctx, bool up, const struct zk_error *err);
	void (*on_notify)(void *ctx, zk_str channel, zk_str payload, int from_pid);
	void *ctx;
};

/* The results of a unit in the order of its statements; `err` NULL when all worked. Valid during
 * the call. Called once, in the order of the units, never from inside zk_pg_run. */
typedef void (*zk_pg_done_fn)(void *ctx, struct zk_pg_res *const *res, size_t n,
                              const struct zk_error *err);

/* `conf` and what it points to must live as long as the connection. Connects in the background,
 * again and again with jittered back-off (at most 2 s). A connection that answers nothing for
 * query_ms while something is owed is given up. */
struct zk_pg *zk_pg_new(struct zk_loop *l, struct zk_pg_dialer *d,
                        const struct zk_pg_conf *conf, const struct zk_pg_hooks *hooks);
/* Calls what is outstanding with -ZK_E_INTERRUPTED; not from its callbacks. NULL is fine. */
void zk_pg_free(struct zk_pg *pg);
bool zk_pg_is_up(const struct zk_pg *pg);
/* The server process behind it; 0 when not up. */
int zk_pg_pid(const struct zk_pg *pg);
size_t zk_pg_pending(const struct zk_pg *pg); /* units without an answer */

/* Blocks until nothing is pending, the connection is gone or the time is over; answers are given as
 * ever. For the end, when the loop does not turn any more. */
void zk_pg_settle(struct zk_pg *pg, int64_t timeout_ms);

#define ZK_PG_MAX_UNIT 8
/* Adds conf->stmts[stmt] to the unit that is being built: statements that become one transaction
 * with the zk_pg_run that follows in the same call of the owner. Nothing when not up. */
void zk_pg_add(struct zk_pg *pg, size_t stmt, const struct zk_pg_params *params);
/* Adds the last statement of a unit and sends it. 0, or -ZK_E_CONNECT and `done` is not called. */
int zk_pg_run(struct zk_pg *pg, size_t stmt, const struct zk_pg_params *params,
              zk_pg_done_fn done, void *ctx, struct zk_error *err) ZK_MUST_USE;

#endif
