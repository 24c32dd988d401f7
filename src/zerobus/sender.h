/* Sends requests over one or several streams: distribution, rate, the gRPC calls and tokens behind
 * the streams (specs/zerobus.md §7, §13).
 * Layer: zerobus. Loop thread only. */
#ifndef ZK_ZEROBUS_SENDER_H
#define ZK_ZEROBUS_SENDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/err.h"
#include "base/str.h"
#include "rt/retry.h"
#include "zerobus/rows.h"
#include "zerobus/stream.h"

struct zk_auth;
struct zk_net;
struct zk_zb_request;
struct zk_zb_sender;

struct zk_zb_sender_conf {
	struct zk_net *net;
	struct zk_auth *auth; /* borrowed; NULL = no tokens */
	const char *endpoint;
	zk_str table;
	uint64_t trace_sample; /* a span for one request in so many */
	size_t streams;        /* 1 to 32 */
	size_t max_inflight;   /* requests per stream */
	uint64_t rate;         /* rows per second; 0 = no limit */
	struct zk_retry_conf retry;
	int64_t connect_ms, create_ms, ack_ms, flush_ms;
	bool isolate;
	struct zk_rand *rnd;
	void *ctx;
	/* What became of a request; it is the callee's then. */
	void (*on_acked)(void *ctx, struct zk_zb_request *r, size_t stream);
	void (*on_rejected)(void *ctx, struct zk_zb_request *r,
	                    const struct zk_error *err, bool suspect);
	void (*on_unsent)(void *ctx, struct zk_zb_request *r, const struct zk_error *err);
	/* From here on NULL where nobody wants to know. */
	void (*on_retry)(void *ctx, size_t stream, const struct zk_zb_retrying *r);
	void (*on_recovered)(void *ctx, size_t stream, const struct zk_zb_recovered *r);
	/* After zk_zb_sender_finish: everything has an outcome. With `err` when the last stream
	 * died; also before zk_zb_sender_finish then: nothing can be sent any more. Once. */
	void (*on_over)(void *ctx, const struct zk_error *err);
};

/* What `conf` points to is borrowed, but for the table. */
struct zk_zb_sender *zk_zb_sender_new(const struct zk_zb_sender_conf *conf);
/* For owners that go on when a sender has died: leaves one in `*io` that takes requests. It is the
 * one that is there, or a new one in place of none (NULL) or of one that is over, which is freed:
 * not from its callbacks. */
void zk_zb_sender_renew(struct zk_zb_sender **io, const struct zk_zb_sender_conf *conf);
/* What has no outcome is freed without one: call zk_zb_sender_abort before. */
void zk_zb_sender_free(struct zk_zb_sender *s);

/* Begins to connect before there is anything to send (§20, goal 11). */
void zk_zb_sender_warm(struct zk_zb_sender *s, struct zk_zb_kind *kind);
/* Takes a request over. Requests of another kind than those before are sent when everything
 * before them is acknowledged. After on_over with an error it comes back by on_unsent. */
void zk_zb_sender_push(struct zk_zb_sender *s, struct zk_zb_request *r);
/* The input has ended. */
void zk_zb_sender_finish(struct zk_zb_sender *s);
/* A stop: no pauses any more, no rate limit. */
void zk_zb_sender_hurry(struct zk_zb_sender *s);
/* Everything without an outcome is unsent with `err`, now; then on_over. */
void zk_zb_sender_abort(struct zk_zb_sender *s, const struct zk_error *err);

struct zk_zb_sender_stat {
	size_t requests, bytes; /* without an outcome */
	uint64_t rows;
	uint64_t resent;      /* rows */
	int64_t oldest_us;    /* when the oldest of them entered; 0 = none */
	const char *word;     /* §7: connecting, sending, draining, retrying, … */
	unsigned attempt, of; /* of "retrying" */
};
void zk_zb_sender_stat(const struct zk_zb_sender *s, struct zk_zb_sender_stat *ret);

#endif
