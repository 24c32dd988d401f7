/* Backoff with full jitter and the circuit breaker, on a clock that is only a number.
 * Layer: tests. */
#include "rt/retry.h"

#include <criterion/criterion.h>

#include "base/attr.h"
#include "base/rand.h"

#include "base/ban.h"

#define SEED 20250117

static const struct zk_retry_conf conf = {
	.max_retries = 5,
	.base_ms = 250,
	.cap_ms = 30000,
	.max_time_ms = 0,
};

static struct zk_rand seeded(uint64_t seed)
{
	struct zk_rand rnd;

	zk_rand_seed(&rnd, seed);
	return rnd;
}

Test(retry, stops_after_max_retries)
{
	struct zk_rand rnd = seeded(SEED);
	struct zk_retry r;

	zk_retry_init(&r, &conf, 0);
	for (unsigned i = 0; i < 5; i++)
		cr_expect_geq(zk_retry_next(&r, 0, 0, &rnd), 0, "retry %u", i);
	cr_expect_eq(zk_retry_next(&r, 0, 0, &rnd), -1);
	cr_expect_eq(r.tries, 6);
}

Test(retry, zero_retries_means_none)
{
	struct zk_rand rnd = seeded(SEED);
	struct zk_retry_conf none = conf;
	struct zk_retry r;

	none.max_retries = 0;
	zk_retry_init(&r, &none, 0);
	cr_expect_eq(zk_retry_next(&r, 0, 0, &rnd), -1);
}

/* The n-th wait is uniform over 0 to min(cap, base * 2^(n-1)): both ends are reached nearly,
 * nothing lies outside, the mean is in the middle. */
Test(retry, jitter_is_full_and_doubles)
{
	static const int64_t limits[] = { 250,  500,   1000,  2000, 4000,
		                          8000, 16000, 30000, 30000 };
	enum { RUNS = 4000 };
	struct zk_rand rnd = seeded(SEED);
	struct zk_retry_conf many = conf;

	many.max_retries = ZK_ARRAY_LEN(limits);
	for (size_t n = 0; n < ZK_ARRAY_LEN(limits); n++) {
		int64_t limit = limits[n], low = INT64_MAX, high = -1, sum = 0;

		for (unsigned run = 0; run < RUNS; run++) {
			struct zk_retry r;
			int64_t ms = -1;

			zk_retry_init(&r, &many, 0);
			for (size_t i = 0; i <= n; i++)
				ms = zk_retry_next(&r, 0, 0, &rnd);
			low = ZK_MIN(low, ms);
			high = ZK_MAX(high, ms);
			sum += ms;
		}
		cr_expect_geq(low, 0, "wait %zu", n);
		cr_expect_leq(high, limit, "wait %zu", n);
		cr_expect_lt(low, limit / 50 + 1, "wait %zu: lowest %ld", n, (long)low);
		cr_expect_gt(high, limit - limit / 50 - 1, "wait %zu: highest %ld", n,
		             (long)high);
		cr_expect_lt(labs(sum / RUNS - limit / 2), limit / 20,
		             "wait %zu: mean %ld", n, (long)(sum / RUNS));
	}
}

Test(retry, huge_numbers_do_not_overflow)
{
	struct zk_rand rnd = seeded(SEED);
	struct zk_retry_conf c = { .max_retries = 200,
		                   .base_ms = 1,
		                   .cap_ms = INT64_MAX - 1 };
	struct zk_retry r;

	zk_retry_init(&r, &c, 0);
	for (unsigned i = 0; i < 200; i++)
		cr_expect_geq(zk_retry_next(&r, 0, 0, &rnd), 0, "try %u", i);
}

Test(retry, retry_after_is_a_floor_up_to_the_cap)
{
	struct zk_rand rnd = seeded(SEED);
	struct zk_retry r;

	for (unsigned i = 0; i < 100; i++) {
		int64_t ms;

		zk_retry_init(&r, &conf, 0);
		ms = zk_retry_next(&r, 0, 100, &rnd);
		cr_expect(ms >= 100 && ms <= 250, "%ld", (long)ms);
	}
	zk_retry_init(&r, &conf, 0);
	cr_expect_eq(zk_retry_next(&r, 0, 30000, &rnd), 30000);
	cr_expect_eq(zk_retry_next(&r, 0, 30001, &rnd), -1);
}

Test(retry, max_time_bounds_the_sum)
{
	struct zk_rand rnd = seeded(SEED);
	struct zk_retry_conf c = conf;
	struct zk_retry r;

	c.max_retries = 100;
	c.max_time_ms = 1000;
	for (unsigned run = 0; run < 200; run++) {
		int64_t now = 5000, ms;

		zk_retry_init(&r, &c, now);
		while ((ms = zk_retry_next(&r, now, 0, &rnd)) >= 0)
			now += ms + 1; /* the attempt takes a little */
		cr_expect_leq(now, 6002, "run %u ended at %ld", run, (long)now);
	}
	zk_retry_init(&r, &c, 0);
	cr_expect_eq(zk_retry_next(&r, 600, 401, &rnd), -1);
	zk_retry_init(&r, &c, 0);
	cr_expect_eq(zk_retry_next(&r, 600, 400, &rnd), 400);
}

/* ---- circuit breaker ---- */

Test(breaker, opens_after_the_threshold)
{
	struct zk_breaker b;

	zk_breaker_init(&b, 3, 1000, 8000);
	for (unsigned i = 0; i < 2; i++) {
		cr_assert(zk_breaker_allow(&b, 0));
		zk_breaker_result(&b, false, 0);
	}
	/* A success in between starts the count again. */
	zk_breaker_result(&b, true, 0);
	for (unsigned i = 0; i < 2; i++)
		zk_breaker_result(&b, false, 10);
	cr_expect_eq(b.state, ZK_BREAKER_CLOSED);
	cr_expect_eq(zk_breaker_next_ms(&b, 10), 10);
	zk_breaker_result(&b, false, 10);
	cr_expect_eq(b.state, ZK_BREAKER_OPEN);
	cr_expect_not(zk_breaker_allow(&b, 1009));
	cr_expect_eq(zk_breaker_next_ms(&b, 500), 1010);
	/* An attempt from before says nothing new. */
	zk_breaker_result(&b, true, 20);
	cr_expect_eq(b.state, ZK_BREAKER_OPEN);
}

Test(breaker, one_probe_at_a_time_and_doubling)
{
	int64_t now = 0;
	struct zk_breaker b;

	zk_breaker_init(&b, 1, 1000, 3000);
	zk_breaker_result(&b, false, now);
	for (unsigned i = 0; i < 4; i++) {
		static const int64_t open_ms[] = { 1000, 2000, 3000, 3000 };

		cr_expect_not(zk_breaker_allow(&b, now + open_ms[i] - 1), "%u", i);
		now += open_ms[i];
		cr_expect_eq(zk_breaker_next_ms(&b, now), now);
		cr_assert(zk_breaker_allow(&b, now), "%u", i);
		cr_expect_eq(b.state, ZK_BREAKER_HALF_OPEN);
		cr_expect_not(zk_breaker_allow(&b, now), "a second probe");
		cr_expect_gt(zk_breaker_next_ms(&b, now), now);
		zk_breaker_result(&b, false, now);
	}
	now += 3000;
	cr_assert(zk_breaker_allow(&b, now));
	zk_breaker_result(&b, true, now);
	cr_expect_eq(b.state, ZK_BREAKER_CLOSED);
	/* The next opening is a first one again. */
	zk_breaker_result(&b, false, now);
	cr_expect_eq(zk_breaker_next_ms(&b, now), now + 1000);
}

Test(breaker, a_cancelled_probe_is_given_back)
{
	struct zk_breaker b;

	zk_breaker_init(&b, 1, 1000, 3000);
	zk_breaker_result(&b, false, 0);
	cr_assert(zk_breaker_allow(&b, 1000));
	cr_assert_not(zk_breaker_allow(&b, 1000));
	zk_breaker_cancel(&b);
	cr_expect(zk_breaker_allow(&b, 1000));
}
