/* One delivery: HTTP request + retry + the time limit, as every client command uses it.
 * Layer: net. Loop thread only. */
#ifndef ZK_NET_SEND_H
#define ZK_NET_SEND_H

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/err.h"
#include "base/str.h"
#include "net/http.h"
#include "rt/retry.h"

struct zk_net;
struct zk_send;

struct zk_send_conf {
	/* `pull` is not allowed here. on_data gets bodies of 2xx only, those of other answers
	 * are collected; what it was given is not repeated, unless there is a `restart`. */
	struct zk_http_conf http;
	struct zk_retry_conf retry;
	/* Before each wait: the number of the coming retry and of all that are allowed, how long,
	 * and which failure. May cancel. May be NULL. ctx is http.ctx. */
	void (*on_retry)(void *ctx, unsigned retry, unsigned max, int64_t wait_ms,
	                 const struct zk_error *err);
	/* What the service makes of the end of each attempt, before it counts: `err` is the
	 * failure (code 0 = none) and may be changed, to one that the body of the answer
	 * explains better, to another `retryable` or `retry_after_ms`, or from none to one.
	 * May be NULL. ctx is http.ctx. */
	void (*judge)(void *ctx, const struct zk_http_res *res, struct zk_error *err);
	/* Before an attempt that follows one whose body on_data was given a part of: that is
	 * void. May be NULL. ctx is http.ctx. */
	void (*restart)(void *ctx);
};

/* Starts it; everything but a borrowed body is copied. `done` comes once, with the last answer or
 * failure (zk_http_res.req is NULL when the failure is not that of an attempt). Repeats what
 * failed with zk_error.retryable, which follows ux.md §8; with ZK_HTTP_ANY_STATUS too: then the
 * last answer is no error. The timeout of `http` is that of each attempt. */
int zk_send_start(struct zk_net *net, const struct zk_send_conf *conf,
                  zk_http_done_fn done, struct zk_send **ret,
                  struct zk_error *err) ZK_MUST_USE;
void zk_send_cancel(struct zk_send *s);
void zk_send_cancel_all(struct zk_net *net);
/* Pending waits end now (while draining). */
void zk_send_hurry(struct zk_send *s);
void zk_send_hurry_all(struct zk_net *net);
/* Every delivery, also one that zk_send_wait waits for, ends soon with `code` (ZK_E_INTERRUPTED
 * or ZK_E_TIMEOUT), or ZK_E_UNKNOWN_OUTCOME where that is the truth: when the grace time or
 * --timeout is over. */
void zk_send_end_all(struct zk_net *net, enum zk_code code);

/* The same for a one-shot: turns the loop until the answer is there; never from a callback. The
 * body is moved into `body`, also that of an error answer, the status into `*status` (both may be
 * NULL). */
struct zk_buf;
int zk_send_wait(struct zk_net *net, const struct zk_send_conf *conf, int *status,
                 struct zk_buf *body, struct zk_error *err) ZK_MUST_USE;

#endif
