/* Rate limits with a clock of our own (specs/triggers.md §7).
 * Layer: tests. */
#include "triggers/limit.h"

#include <criterion/criterion.h>
#include <string.h>

#include "base/attr.h"
#include "base/rand.h"

#include "base/ban.h"

static const uint8_t one[16] = { 1 }, two[16] = { 2 };

/* A whole number of wheel slots and not: the first call starts the wheel anywhere. */
static const int64_t starts[] = { 0,
	                          1,
	                          4095,
	                          4096,
	                          123456789,
	                          ((int64_t)1 << 32) - 30000,
	                          ((int64_t)1 << 32) * 7 + 11 };

Test(trig_limit, exactly_the_limit_in_a_window)
{
	for (size_t s = 0; s < ZK_ARRAY_LEN(starts); s++) {
		struct zk_trig_limit *l = zk_trig_limit_new(/* sliding */ false);
		int64_t t = starts[s];

		for (unsigned i = 0; i < 100; i++) {
			struct zk_trig_verdict v =
			        zk_trig_limit_take(l, one, 100, 1, t + i * 10);

			cr_assert(v.ok, "request %u", i);
			cr_expect_eq(v.limit, 100u);
			cr_expect_eq(v.remaining, 99u - i);
			cr_expect_eq(v.reset_ms, 60000 - (int64_t)i * 10);
		}
		struct zk_trig_verdict v = zk_trig_limit_take(l, one, 100, 1, t + 59999);

		cr_expect_not(v.ok);
		cr_expect_eq(v.remaining, 0u);
		cr_expect_eq(v.reset_ms, 1);
		v = zk_trig_limit_take(l, one, 100, 1, t + 60000);
		cr_expect(v.ok, "a new window");
		cr_expect_eq(v.remaining, 99u);
		cr_expect_eq(v.reset_ms, 60000);
		zk_trig_limit_free(l);
	}
}

Test(trig_limit, the_window_opens_with_the_first_counted_request)
{
	struct zk_trig_limit *l = zk_trig_limit_new(false);

	cr_expect(zk_trig_limit_take(l, one, 2, 1, 1000).ok);
	cr_expect(zk_trig_limit_take(l, one, 2, 1, 60000).ok);
	cr_expect_not(zk_trig_limit_take(l, one, 2, 1, 60999).ok);
	/* refused requests do not count and do not move the window */
	struct zk_trig_verdict v = zk_trig_limit_take(l, one, 2, 1, 90000);

	cr_expect(v.ok);
	cr_expect_eq(v.reset_ms, 60000, "opened at 90000, not at 61000");
	zk_trig_limit_free(l);
}

Test(trig_limit, keys_are_separate_and_zero_is_unlimited)
{
	struct zk_trig_limit *l = zk_trig_limit_new(false);

	cr_expect(zk_trig_limit_take(l, one, 1, 1, 5).ok);
	cr_expect_not(zk_trig_limit_take(l, one, 1, 1, 5).ok);
	cr_expect(zk_trig_limit_take(l, two, 1, 1, 5).ok);
	for (unsigned i = 0; i < 1000; i++)
		cr_assert(zk_trig_limit_take(l, (const uint8_t[16]){ 3 }, 0, 1, 5).ok);
	cr_expect_eq(zk_trig_limit_entries(l), 2u);
	zk_trig_limit_free(l);
}

Test(trig_limit, a_batch_counts_whole_or_not_at_all)
{
	struct zk_trig_limit *l = zk_trig_limit_new(false);

	cr_expect(zk_trig_limit_take(l, one, 100, 60, 0).ok);
	struct zk_trig_verdict v = zk_trig_limit_take(l, one, 100, 41, 0);

	cr_expect_not(v.ok);
	cr_expect_eq(v.remaining, 40u);
	cr_expect(zk_trig_limit_take(l, one, 100, 40, 0).ok);
	cr_expect_not(zk_trig_limit_take(l, one, 100, 1, 0).ok);
	cr_expect_not(zk_trig_limit_take(l, two, 100, UINT64_MAX, 0).ok);
	cr_expect_not(
	        zk_trig_limit_take(l, two, UINT64_MAX, (uint64_t)UINT32_MAX + 1, 0).ok);
	zk_trig_limit_free(l);
}

Test(trig_limit, a_lowered_limit_holds_at_once)
{
	struct zk_trig_limit *l = zk_trig_limit_new(false);

	cr_expect(zk_trig_limit_take(l, one, 100, 50, 0).ok);
	struct zk_trig_verdict v = zk_trig_limit_take(l, one, 10, 1, 1);

	cr_expect_not(v.ok);
	cr_expect_eq(v.remaining, 0u);
	zk_trig_limit_free(l);
}

Test(trig_limit, sliding_weighs_the_previous_window)
{
	struct zk_trig_limit *l = zk_trig_limit_new(true);

	cr_expect(zk_trig_limit_take(l, one, 100, 100, 0).ok);
	cr_expect_not(zk_trig_limit_take(l, one, 100, 1, 60000).ok, "100 %% overlap");
	/* a quarter of the new window is over: 75 of the old ones still weigh */
	struct zk_trig_verdict v = zk_trig_limit_take(l, one, 100, 25, 75000);

	cr_expect(v.ok);
	cr_expect_eq(v.remaining, 0u);
	cr_expect_not(zk_trig_limit_take(l, one, 100, 1, 75000).ok);
	v = zk_trig_limit_take(l, one, 100, 50, 105000); /* 25 old + 25 new */
	cr_expect(v.ok);
	cr_expect_eq(v.remaining, 0u);
	v = zk_trig_limit_take(l, one, 100, 1, 300000); /* long ago */
	cr_expect_eq(v.remaining, 99u);
	zk_trig_limit_free(l);
}

Test(trig_limit, idle_entries_are_dropped_and_memory_is_reused)
{
	struct zk_trig_limit *l = zk_trig_limit_new(false);
	int64_t t = 1000;

	for (unsigned round = 0; round < 20; round++) {
		for (uint32_t i = 0; i < 1000; i++) {
			uint8_t key[16] = { 0 };
			uint32_t id = round * 1000 + i;

			memcpy(key, &id, sizeof(id));
			cr_assert(zk_trig_limit_take(l, key, 10, 1, t + i).ok);
		}
		cr_assert_leq(zk_trig_limit_entries(l), 4000u, "round %u", round);
		t += 60000;
	}
	t += 200000;
	cr_expect(zk_trig_limit_take(l, one, 10, 1, t).ok);
	cr_expect_eq(zk_trig_limit_entries(l), 1u);
	zk_trig_limit_free(l);
}

Test(trig_limit, a_busy_entry_outlives_the_wheel)
{
	struct zk_trig_limit *l = zk_trig_limit_new(true);

	for (int64_t t = 0; t < 1200000; t += 500)
		(void)zk_trig_limit_take(l, one, 1000000, 1, t);
	cr_expect_eq(zk_trig_limit_entries(l), 1u);
	/* 120 per window: the count of the previous one is still known */
	struct zk_trig_verdict v = zk_trig_limit_take(l, one, 1000000, 1, 1200000);

	cr_expect_eq(v.remaining, 1000000u - 121u);
	zk_trig_limit_free(l);
}

/* Against a model that keeps every request. */
Test(trig_limit, random_against_a_plain_model)
{
	enum { KEYS = 40, LIMIT = 7 };
	struct zk_trig_limit *l = zk_trig_limit_new(false);
	struct {
		int64_t start;
		unsigned n;
		bool open;
	} model[KEYS] = { 0 };
	struct zk_rand r;
	int64_t t = 0;

	zk_rand_seed(&r, 42);
	for (unsigned i = 0; i < 200000; i++) {
		size_t k = zk_rand_below(&r, KEYS);
		uint8_t key[16] = { 0, 0, (uint8_t)k };
		uint64_t n = 1 + zk_rand_below(&r, 3);
		struct zk_trig_verdict v;
		bool ok;

		t += (int64_t)zk_rand_below(&r,
		                            zk_rand_below(&r, 1000) == 0 ? 200000 : 2000);
		if (!model[k].open || t - model[k].start >= 60000) {
			model[k].open = true;
			model[k].start = t;
			model[k].n = 0;
		}
		ok = model[k].n + n <= LIMIT;
		if (ok)
			model[k].n += (unsigned)n;
		v = zk_trig_limit_take(l, key, LIMIT, n, t);
		cr_assert_eq(v.ok, ok, "step %u", i);
		cr_assert_eq(v.remaining, LIMIT - model[k].n, "step %u", i);
		cr_assert_eq(v.reset_ms, model[k].start + 60000 - t, "step %u", i);
	}
	zk_trig_limit_free(l);
}
