/* Bearer tokens that run out: fetched by OAuth2 client credentials, or read from a file; kept in
 * memory, refreshed before they expire, fetched once for all who wait (specs/zerobus.md §4).
 * Layer: net. Loop thread only. */
#ifndef ZK_NET_AUTH_H
#define ZK_NET_AUTH_H

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/err.h"
#include "base/str.h"
#include "rt/retry.h"

struct zk_auth;
struct zk_net;
struct zk_rand;

struct zk_auth_conf {
	/* OAuth2: the token endpoint, who asks, and the form (application/x-www-form-urlencoded).
	 * All copied; the secret into memory that is wiped. */
	const char *url, *client_id, *client_secret, *form;
	/* Instead: a file whose first line is the token; read again when it was refused. */
	const char *file;
	const char *token; /* or: this one; there is no other when it is refused */
	struct zk_retry_conf retry; /* of refreshes ahead of time */
	struct zk_rand *rnd;
	void *ctx;
	/* A fetch has ended, by itself or asked for: for metrics. May be NULL. */
	void (*on_fetched)(void *ctx, bool good);
};

int zk_auth_new(struct zk_net *net, const struct zk_auth_conf *conf, struct zk_auth **ret,
                struct zk_error *err) ZK_MUST_USE;
/* Whoever waits hears nothing any more. NULL is fine. */
void zk_auth_free(struct zk_auth *a);

/* `token` is borrowed until the next call into the loop. With `err` there is none: its `retryable`
 * says whether asking again makes sense. Never from inside zk_auth_get. */
typedef void (*zk_auth_fn)(void *ctx, const char *token, const struct zk_error *err);
/* The token at hand, or a new one. One fetch serves all who wait. */
void zk_auth_get(struct zk_auth *a, zk_auth_fn fn, void *ctx);
/* Forgets every zk_auth_get of this ctx. */
void zk_auth_cancel(struct zk_auth *a, void *ctx);
/* The peer refused this token: it is not given again, if it is still the one at hand. */
void zk_auth_refused(struct zk_auth *a, const char *token);
/* Milliseconds since the token at hand was made; INT64_MAX without one. */
int64_t zk_auth_age_ms(const struct zk_auth *a);

/* Reads the answer of a token endpoint: 0 and the token appended to `token` (an initialised secret
 * buffer) with its life in ms (0 = not said), or -ZK_E_ZB_TOKEN_ANSWER. Pure. */
struct zk_buf;
int zk_auth_parse(zk_str body, struct zk_buf *token, int64_t *ret_life_ms,
                  struct zk_error *err) ZK_MUST_USE;

#endif
