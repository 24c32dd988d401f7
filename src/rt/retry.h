/* Backoff with full jitter, and a circuit breaker: pure state machines.
 * Layer: rt. The caller passes time and random numbers in; any thread, one owner. */
#ifndef ZK_RT_RETRY_H
#define ZK_RT_RETRY_H

#include <stdbool.h>
#include <stdint.h>

struct zk_rand;

struct zk_retry_conf {
	uint64_t max_retries;
	int64_t base_ms, cap_ms;
	int64_t max_time_ms; /* 0 = no limit on the sum */
};

struct zk_retry {
	struct zk_retry_conf conf;
	uint64_t tries; /* failures so far */
	int64_t start_ms;
};

void zk_retry_init(struct zk_retry *r, const struct zk_retry_conf *conf, int64_t now_ms);
/* After a failure: milliseconds to wait before the next attempt (uniform in 0 to base
 * doubled per failure, at most the cap and what is left of the time), or -1 when
 * attempts or time are used up. `retry_after_ms` > 0 is a floor; one above the cap or
 * the time left ends the run (-1). */
int64_t zk_retry_next(struct zk_retry *r, int64_t now_ms, int64_t retry_after_ms,
                      struct zk_rand *rnd);

enum zk_breaker_state { ZK_BREAKER_CLOSED, ZK_BREAKER_OPEN, ZK_BREAKER_HALF_OPEN };

struct zk_breaker {
	unsigned threshold;           /* consecutive failures that open it */
	int64_t open_ms, max_open_ms; /* first opening, doubled up to the maximum */
	enum zk_breaker_state state;
	unsigned failures;
	int64_t cur_open_ms, until_ms;
	bool probing;
};

void zk_breaker_init(struct zk_breaker *b, unsigned threshold, int64_t open_ms,
                     int64_t max_open_ms);
/* True when an attempt may start now; in half-open state one probe at a time. */
bool zk_breaker_allow(struct zk_breaker *b, int64_t now_ms);
/* The attempt that zk_breaker_allow granted ended; a probe that never ran is given back
 * with zk_breaker_cancel. */
void zk_breaker_result(struct zk_breaker *b, bool ok, int64_t now_ms);
void zk_breaker_cancel(struct zk_breaker *b);
/* When an attempt will be allowed next (now_ms when it is now). While a probe runs:
 * when it would be if the probe failed now. */
int64_t zk_breaker_next_ms(const struct zk_breaker *b, int64_t now_ms);

#endif
