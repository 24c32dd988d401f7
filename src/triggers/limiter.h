/* Rate limits of organizations, alone or shared by several servers through Redis
 * (specs/triggers.md §7).
 * Layer: triggers. Loop thread only.
 *
 * The window of an organization lives in Redis under zk:rl:ORGANIZATION. A server takes a share
 * of it at a time (a hundredth of the limit) and serves from that, so Redis is asked once per
 * share and never twice for one organization at the same time. What is not used of a share lapses
 * with the window. Without an answer within 50 ms, and while Redis is away, this server's own
 * window decides. */
#ifndef ZK_TRIGGERS_LIMITER_H
#define ZK_TRIGGERS_LIMITER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/err.h"
#include "base/rand.h"
#include "triggers/limit.h"

struct zk_loop;
struct zk_metrics;
struct zk_redis_url;
struct zk_trig_limiter;

/* `redis` NULL = this server alone; copied. 0 or -ZK_E_LIBRARY. */
int zk_trig_limiter_new(struct zk_loop *l, struct zk_metrics *m,
                        const struct zk_redis_url *redis, bool sliding,
                        struct zk_trig_limiter **ret, struct zk_error *err) ZK_MUST_USE;
/* Nobody is called back any more. NULL is fine. */
void zk_trig_limiter_free(struct zk_trig_limiter *l);
/* Sliding weighs the previous window where this server decides alone; windows in Redis are fixed. */
void zk_trig_limiter_set_sliding(struct zk_trig_limiter *l, bool sliding);

typedef void (*zk_trig_limit_fn)(void *ctx, const struct zk_trig_verdict *verdict);

struct zk_trig_want {
	const zk_uuid *org;
	uint64_t limit; /* events per window; 0 = unlimited */
	uint64_t n;
};

/* As zk_trig_limit_take. True and *ret at once, or false and `done(ctx)` comes once, within about
 * 50 ms and not before this has returned. */
bool zk_trig_limiter_take(struct zk_trig_limiter *l, const struct zk_trig_want *want,
                          struct zk_trig_verdict *ret, zk_trig_limit_fn done,
                          void *ctx) ZK_MUST_USE;

#endif
