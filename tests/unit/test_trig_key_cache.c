/* The cache of presented keys (specs/triggers.md §3.3).
 * Layer: tests. */
#include "triggers/key_cache.h"

#include <criterion/criterion.h>
#include <string.h>

#include "base/attr.h"

#include "base/ban.h"

static unsigned dropped;
static void *last_dropped;

static void on_drop(void *ctx, void *value)
{
	cr_expect_eq(ctx, &dropped);
	dropped++;
	last_dropped = value;
}

static struct zk_trig_kcache *cache(uint32_t max)
{
	struct zk_trig_kcache_conf conf = {
		.max_entries = max, .lifetime_ms = 1000, .drop = on_drop, .ctx = &dropped
	};

	dropped = 0;
	return zk_trig_kcache_new(&conf);
}

/* Digests whose first bytes are equal fall into one bucket. */
static const uint8_t *digest(uint32_t n, bool same_bucket)
{
	static uint8_t d[ZK_TRIG_DIGEST];

	memset(d, 0, sizeof(d));
	memcpy(d + (same_bucket ? 8 : 0), &n, sizeof(n));
	return d;
}

static int values[1000];

Test(trig_key_cache, put_get_del)
{
	for (int same = 0; same < 2; same++) {
		struct zk_trig_kcache *c = cache(1000);

		cr_expect_null(zk_trig_kcache_get(c, digest(1, same), 0));
		for (uint32_t i = 0; i < 500; i++)
			zk_trig_kcache_put(c, digest(i, same), NULL, &values[i], 0);
		cr_expect_eq(zk_trig_kcache_count(c), 500u);
		for (uint32_t i = 0; i < 500; i++)
			cr_assert_eq(zk_trig_kcache_get(c, digest(i, same), 10),
			             &values[i]);
		cr_expect_null(zk_trig_kcache_get(c, digest(500, same), 10));
		zk_trig_kcache_del(c, digest(7, same));
		cr_expect_null(zk_trig_kcache_get(c, digest(7, same), 10));
		cr_expect_eq(last_dropped, &values[7]);
		cr_expect_eq(zk_trig_kcache_get(c, digest(8, same), 10), &values[8]);
		zk_trig_kcache_free(c);
		cr_expect_eq(dropped, 500u, "every value comes back once");
	}
}

Test(trig_key_cache, lifetime_counts_from_the_put)
{
	struct zk_trig_kcache *c = cache(10);

	zk_trig_kcache_put(c, digest(1, false), NULL, &values[1], 0);
	cr_expect(zk_trig_kcache_get(c, digest(1, false), 999));
	cr_expect_null(zk_trig_kcache_get(c, digest(1, false), 1000),
	               "use does not prolong it");
	cr_expect_eq(dropped, 1u);
	zk_trig_kcache_free(c);
}

Test(trig_key_cache, the_least_recently_used_goes_first)
{
	struct zk_trig_kcache *c = cache(3);

	for (uint32_t i = 1; i <= 3; i++)
		zk_trig_kcache_put(c, digest(i, false), NULL, &values[i], 0);
	cr_expect(zk_trig_kcache_get(c, digest(1, false), 1));
	zk_trig_kcache_put(c, digest(4, false), NULL, &values[4], 1);
	cr_expect_eq(last_dropped, &values[2]);
	cr_expect(zk_trig_kcache_get(c, digest(1, false), 1));
	cr_expect(zk_trig_kcache_get(c, digest(3, false), 1));
	cr_expect(zk_trig_kcache_get(c, digest(4, false), 1));
	cr_expect_eq(zk_trig_kcache_count(c), 3u);
	zk_trig_kcache_free(c);
}

Test(trig_key_cache, replacing_drops_the_old_value)
{
	struct zk_trig_kcache *c = cache(3);

	zk_trig_kcache_put(c, digest(1, false), NULL, &values[1], 0);
	zk_trig_kcache_put(c, digest(1, false), NULL, &values[2], 500);
	cr_expect_eq(last_dropped, &values[1]);
	cr_expect_eq(zk_trig_kcache_get(c, digest(1, false), 1400), &values[2]);
	cr_expect_eq(zk_trig_kcache_count(c), 1u);
	zk_trig_kcache_free(c);
}

Test(trig_key_cache, forgetting_an_organization_leaves_the_others)
{
	struct zk_trig_kcache *c = cache(1000);
	zk_uuid orgs[7];

	for (size_t i = 0; i < 7; i++)
		orgs[i] = (zk_uuid){ { (uint8_t)i } };
	for (uint32_t i = 0; i < 700; i++)
		zk_trig_kcache_put(c, digest(i, false), i < 7 ? NULL : &orgs[i % 7],
		                   &values[i], 0);
	zk_trig_kcache_forget(c, &orgs[3]);
	for (uint32_t i = 0; i < 700; i++)
		cr_assert_eq(zk_trig_kcache_get(c, digest(i, false), 1) != NULL,
		             i < 7 || i % 7 != 3, "%u", i);
	zk_trig_kcache_forget(c, &orgs[3]);
	cr_expect_eq(zk_trig_kcache_count(c), 601u);
	zk_trig_kcache_forget(c, NULL);
	cr_expect_eq(zk_trig_kcache_count(c), 0u);
	cr_expect_eq(dropped, 700u);
	zk_trig_kcache_put(c, digest(9, false), &orgs[1], &values[9], 0);
	cr_expect_eq(zk_trig_kcache_get(c, digest(9, false), 1), &values[9],
	             "usable again");
	zk_trig_kcache_free(c);
}
