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
	struct zk_http_conf http; /* pull and on_data are not allowed here */
	struct zk_retry_conf retry;
	/* Before each wait: which failure, how long. May be NULL. */
	void (*on_retry)(void *ctx, unsigned attempt, unsigned max, int64_t wait_ms,
			 const struct zk_error *err);
};

/* Starts it; `done` comes once, with the last answer or failure. Repeats only what zk_error
 * marks retryable and what ux.md §8 allows to repeat. */
int zk_send_start(struct zk_net *net, const struct zk_send_conf *conf, zk_http_done_fn done,
		  struct zk_send **ret, struct zk_error *err) ZK_MUST_USE;
void zk_send_cancel(struct zk_send *s);
/* Pending waits end now (while draining). */
void zk_send_hurry(struct zk_send *s);

/* The same for a one-shot: turns the loop until the answer is there. The body is moved into
 * `body` (may be NULL), the status into `*status`. */
struct zk_buf;
int zk_send_wait(struct zk_net *net, const struct zk_send_conf *conf, int *status, struct zk_buf *body,
		 struct zk_error *err) ZK_MUST_USE;

#endif
