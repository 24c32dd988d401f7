/* The cache of objects, and the memory of events (specs/jetstream.md §8.4, §11.3).
 * Layer: tests. */
#include <criterion/criterion.h>
#include <stdio.h>

#include "base/mem.h"
#include "jetstream/cache.h"
#include "jetstream/dedup.h"

#include "base/ban.h"

static const struct zk_jet_cache_conf conf = { .max_entries = 3,
	                                       .max_bytes = 1u << 20,
	                                       .ttl_ms = 100,
	                                       .negative_ttl_ms = 50,
	                                       .poison_ttl_ms = 500,
	                                       .by_owner = true };

static void put(struct zk_jet_cache *c, const char *id, const char *json, int64_t now)
{
	struct zk_jet_obj *o = zk_jet_obj_new(zk_str_of(json));

	zk_jet_cache_put(c, zk_str_of(id), o, now);
	zk_jet_obj_unref(o);
}

static enum zk_jet_hit get(struct zk_jet_cache *c, const char *id, int64_t now)
{
	struct zk_jet_obj *o = NULL;

	return zk_jet_cache_get(c, zk_str_of(id), now, &o);
}

Test(jet_cache, ages)
{
	struct zk_jet_cache c;

	zk_jet_cache_init(&c, &conf);
	put(&c, "a", "{}", 0);
	zk_jet_cache_put_absent(&c, ZK_STR("b"), false, 0);
	zk_jet_cache_put_absent(&c, ZK_STR("p"), true, 0);
	cr_expect_eq(get(&c, "a", 100), ZK_JET_HIT);
	cr_expect_eq(get(&c, "a", 101), ZK_JET_STALE);
	cr_expect_eq(get(&c, "a", 201), ZK_JET_MISS);
	cr_expect_eq(get(&c, "b", 50), ZK_JET_NEGATIVE);
	cr_expect_eq(get(&c, "b", 51), ZK_JET_MISS);
	cr_expect_eq(get(&c, "p", 500), ZK_JET_POISON);
	cr_expect_eq(get(&c, "x", 0), ZK_JET_MISS);
	zk_jet_cache_done(&c);
}

Test(jet_cache, least_recently_used_goes_first)
{
	struct zk_jet_cache c;

	zk_jet_cache_init(&c, &conf);
	put(&c, "a", "{}", 0);
	put(&c, "b", "{}", 0);
	put(&c, "c", "{}", 0);
	cr_expect_eq(get(&c, "a", 0), ZK_JET_HIT);
	put(&c, "d", "{}", 0);
	cr_expect_eq(get(&c, "b", 0), ZK_JET_MISS);
	cr_expect_eq(get(&c, "a", 0), ZK_JET_HIT);
	cr_expect_eq(c.evictions, 1);
	zk_jet_cache_done(&c);
}

Test(jet_cache, bytes_and_owners)
{
	struct zk_jet_cache_conf small = conf;
	struct zk_jet_cache c;

	small.max_entries = 1000;
	small.max_bytes = 1000;
	zk_jet_cache_init(&c, &small);
	for (int i = 0; i < 50; i++) {
		char id[64];

		(void)snprintf(id, sizeof(id), "at://did:x:%d/c/%d", i % 2, i);
		put(&c, id, "{\"x\":1}", 0);
		cr_expect_leq(c.bytes, 1000);
	}
	cr_expect_gt(zk_jet_cache_entries(&c), 1);
	zk_jet_cache_drop_owner(&c, ZK_STR("did:x:1"));
	cr_expect_eq(get(&c, "at://did:x:1/c/49", 0), ZK_JET_MISS);
	cr_expect_eq(get(&c, "at://did:x:0/c/48", 0), ZK_JET_HIT);
	zk_jet_cache_done(&c);
}

Test(jet_dedup, remembers_the_last)
{
	struct zk_jet_dedup d;
	const uint64_t n = ZK_JET_DEDUP_EVENTS;

	zk_jet_dedup_init(&d);
	for (uint64_t i = 1; i <= 2 * n; i++)
		cr_assert_not(
		        zk_jet_dedup_seen(&d, i * UINT64_C(0x9e3779b97f4a7c15), 7, true));
	for (uint64_t i = n + 1; i <= 2 * n; i++)
		cr_assert(
		        zk_jet_dedup_seen(&d, i * UINT64_C(0x9e3779b97f4a7c15), 8, true));
	cr_expect_not(zk_jet_dedup_seen(&d, UINT64_C(0x9e3779b97f4a7c15), 7, true));
	/* Outside of an overlap the bytes count too. */
	cr_expect_not(zk_jet_dedup_seen(&d, 5, 1, false));
	cr_expect(zk_jet_dedup_seen(&d, 5, 1, false));
	cr_expect_not(zk_jet_dedup_seen(&d, 5, 2, false));
	cr_expect(zk_jet_dedup_seen(&d, 5, 3, true));
	zk_jet_dedup_done(&d);
}
