/* One stream to one table: the state machine of specs/zerobus.md §7, with acknowledgements, replay,
 * retries (§8), error classes (§9) and the search for refused rows (§14.2).
 * Layer: zerobus. Loop thread only. Pure but for the clock: everything else is reached through
 * zk_zb_stream_ops, so that every transition is tested without a network. */
#ifndef ZK_ZEROBUS_STREAM_H
#define ZK_ZEROBUS_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/rand.h"
#include "base/str.h"
#include "net/grpc.h"
#include "rt/retry.h"
#include "zerobus/window.h"

struct zk_zb_stream;

enum zk_zb_state {
	ZK_ZB_IDLE,
	ZK_ZB_TOKEN,
	ZK_ZB_CONNECT,
	ZK_ZB_CREATE,
	ZK_ZB_OPEN,
	ZK_ZB_DRAINING,
	ZK_ZB_FINISH,
	ZK_ZB_HALF,
	ZK_ZB_BACKOFF,
	ZK_ZB_ISOLATE,
	ZK_ZB_DEAD,
	ZK_ZB_DONE,
};

/* "OPEN", for logs and tests. */
const char *zk_zb_state_name(enum zk_zb_state state);

/* Why a stream was opened again; the labels of zerobus.reconnects. */
enum zk_zb_why {
	ZK_ZB_WHY_STATUS,
	ZK_ZB_WHY_CLOSE_SIGNAL,
	ZK_ZB_WHY_GOAWAY,
	ZK_ZB_WHY_ACK_TIMEOUT,
	ZK_ZB_WHY_CONNECT
};

struct zk_zb_retrying {
	unsigned attempt, of; /* the coming one */
	int64_t wait_ms;      /* 0 = at once */
	enum zk_zb_why why;
	int status; /* gRPC code, WHY_STATUS */
	const struct zk_error *err;
};

struct zk_zb_recovered {
	unsigned attempts;
	int64_t after_ms;
	uint64_t rows_again;
};

/* What the stream needs from outside. None may call back at once. */
struct zk_zb_stream_ops {
	/* zk_zb_stream_token answers. `fresh`: the last one was refused. */
	void (*get_token)(void *ctx, bool fresh);
	/* Milliseconds since the token at hand was made. */
	int64_t (*token_age_ms)(void *ctx);
	/* Opens the call: zk_zb_stream_opened, _message, _goaway, _ended follow; bytes are fetched
	 * with zk_zb_stream_ready and _take. */
	void (*connect)(void *ctx);
	void (*wake)(void *ctx); /* zk_zb_stream_ready has something */
	/* Ends the call at once. */
	void (*drop)(void *ctx, uint32_t h2_code);
	/* Half-closes it and forgets it; nothing of it is told any more. */
	void (*retire)(void *ctx);
	/* zk_zb_stream_tick after so long; replaces the timer before; -1 = none. */
	void (*set_timer)(void *ctx, int64_t ms);

	/* What became of requests; they are the callee's then. */
	void (*on_acked)(void *ctx, struct zk_zb_request *r);
	/* One row, refused by the service in the words of `err`; `suspect`: one of these, nobody
	 * knows which (several rows). */
	void (*on_rejected)(void *ctx, struct zk_zb_request *r,
	                    const struct zk_error *err, bool suspect);
	/* There is room again, or the state changed. */
	void (*on_change)(void *ctx);
	void (*on_retry)(void *ctx, const struct zk_zb_retrying *r);
	void (*on_recovered)(void *ctx, const struct zk_zb_recovered *r);
	/* The stream is DEAD; what is in its window is taken with zk_zb_stream_take_unsent. */
	void (*on_dead)(void *ctx, const struct zk_error *err);
	void (*on_done)(void *ctx);
};

struct zk_zb_stream_conf {
	struct zk_retry_conf retry;
	int64_t create_ms, ack_ms, flush_ms;
	size_t max_inflight; /* requests */
	bool isolate;
	zk_str table;
	struct zk_zb_kind *kind; /* a reference is taken */
	struct zk_rand *rnd;
	const struct zk_zb_stream_ops *ops;
	void *ctx;
};

struct zk_zb_stream *zk_zb_stream_new(const struct zk_zb_stream_conf *conf);
/* Frees what is left in the window too. */
void zk_zb_stream_free(struct zk_zb_stream *s);

/* ---- from the owner ---- */

/* Takes the request over. Not when DEAD, DONE or full. */
void zk_zb_stream_push(struct zk_zb_stream *s, struct zk_zb_request *r);
/* Opens it although nothing is to be sent yet. */
void zk_zb_stream_warm(struct zk_zb_stream *s);
bool zk_zb_stream_has_room(const struct zk_zb_stream *s);
/* Nothing will be pushed any more; on_done follows. */
void zk_zb_stream_finish(struct zk_zb_stream *s);
/* A stop signal: like finish, and a pause before the next attempt ends now. */
void zk_zb_stream_hurry(struct zk_zb_stream *s);
/* DEAD at once, with `err`. */
void zk_zb_stream_kill(struct zk_zb_stream *s, const struct zk_error *err);
/* One of the unacknowledged requests, in order; NULL = none left. */
struct zk_zb_request *zk_zb_stream_take_unsent(struct zk_zb_stream *s);

enum zk_zb_state zk_zb_stream_state(const struct zk_zb_stream *s);
/* Not counted as waiting: nothing is unacknowledged. */
const struct zk_zb_window *zk_zb_stream_window(const struct zk_zb_stream *s);
const char *zk_zb_stream_id(const struct zk_zb_stream *s);
uint64_t zk_zb_stream_resent(const struct zk_zb_stream *s);
unsigned zk_zb_stream_attempt(const struct zk_zb_stream *s);
int zk_zb_stream_last_status(const struct zk_zb_stream *s);

/* ---- from the outside world ---- */

void zk_zb_stream_token(struct zk_zb_stream *s, const struct zk_error *err);
void zk_zb_stream_opened(struct zk_zb_stream *s);
size_t zk_zb_stream_ready(struct zk_zb_stream *s, size_t room, bool *end);
void zk_zb_stream_take(struct zk_zb_stream *s, char *to, size_t n);
void zk_zb_stream_message(struct zk_zb_stream *s, zk_str message);
void zk_zb_stream_goaway(struct zk_zb_stream *s);
void zk_zb_stream_ended(struct zk_zb_stream *s, const struct zk_grpc_end *end);
void zk_zb_stream_tick(struct zk_zb_stream *s);

/* ---- inside ---- */

/* The error that a status means, with its ZK code (§9.1, §6.3); returns -code. Pure. */
int zk_zb_end_to_error(const struct zk_grpc_end *end, bool created, zk_str table,
                       struct zk_error *err);

#endif
