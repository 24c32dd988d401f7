/* The parent's side: starts a worker, calls its methods (specs/procwire.md §21).
 * Layer: procwire. Loop thread only. */
#ifndef ZK_PROCWIRE_PARENT_H
#define ZK_PROCWIRE_PARENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/err.h"
#include "base/str.h"
#include "procwire/table.h"
#include "procwire/wire.h"

struct zk_loop;
struct zk_pw_call;
struct zk_pw_conn;
struct zk_pw_parent;

struct zk_pw_parent_conf {
	struct zk_loop *loop;
	char *const *argv;    /* of the worker, ends with NULL */
	const char *name;     /* PROCWIRE_MODULE_NAME */
	bool auth;            /* give it a token */
	uint32_t max_payload; /* of what it may send */
	int64_t init_ms;      /* how long it may take to introduce itself */
	void *ctx;
	/* Connected: methods can be called. */
	void (*on_ready)(void *ctx);
	void (*on_event)(void *ctx, const struct zk_pw_event *e, zk_str payload);
	void (*on_pong)(void *ctx);
	void (*on_room)(void *ctx);
	/* Once, when its process has ended: `status` as a shell would say, -1 when it was never
	 * started. `err` says why when that was not asked for. Calls in flight are told before. */
	void (*on_end)(void *ctx, int status, const struct zk_error *err);
};

/* Starts the process. 0, or a failure, and then no callback. */
int zk_pw_parent_start(const struct zk_pw_parent_conf *conf, struct zk_pw_parent **ret,
                       struct zk_error *err) ZK_MUST_USE;
/* $shutdown, then the connection is closed; killed after 5 s. on_end comes. */
void zk_pw_parent_stop(struct zk_pw_parent *p);
/* Kills what runs; no callback any more. NULL is fine. */
void zk_pw_parent_free(struct zk_pw_parent *p);
const struct zk_pw_table *zk_pw_parent_table(const struct zk_pw_parent *p);
int zk_pw_parent_pid(const struct zk_pw_parent *p);
void zk_pw_parent_ping(struct zk_pw_parent *p);

struct zk_pw_call_conf {
	void *ctx;
	/* A chunk of a stream, or the answer of a result or ack; borrowed. */
	void (*on_data)(void *ctx, zk_str payload);
	/* Instead of it, when the payload is large: its bytes as they arrive; NULL = collected. */
	void (*on_piece)(void *ctx, zk_str piece, bool last);
	/* Once, last. `error` is the msgpack of an error of the worker, empty without one; `err`
	 * is set when there was no answer. The call is gone. */
	void (*on_done)(void *ctx, zk_str error, const struct zk_error *err);
	bool borrowed; /* the payload stays until on_done: it is not copied */
};

/* Calls a method. For kind `none` nothing comes back: abort the call to forget it. NULL with `err` filled when there is no connection. */
struct zk_pw_call *zk_pw_parent_call(struct zk_pw_parent *p, const struct zk_pw_method *m,
                                     zk_str payload, const struct zk_pw_call_conf *conf,
                                     struct zk_error *err);
/* Gives it up: the worker is told, no callback comes any more. */
void zk_pw_call_abort(struct zk_pw_call *call);

#endif
