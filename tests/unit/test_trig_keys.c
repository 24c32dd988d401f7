/* API keys: format, making, the ways a check goes (specs/triggers.md §3).
 * Layer: tests. Hashes are slow on purpose: few of them per test. */
#include "triggers/keys.h"

#include <criterion/criterion.h>

#include "codec/argon2.h"
#include "trigrepo.h"
#include "triggers/key_hash.h"

#include "base/ban.h"

static struct rig g;
static struct zk_trig_keys *keys;
static struct zk_trig_keys_conf conf;

static void open_keys(bool mac)
{
	conf = (struct zk_trig_keys_conf){ .key_mac = mac, .hash_lanes = 1 };
	memset(conf.mac_key, 9, sizeof(conf.mac_key));
	cr_assert_eq(zk_trig_keys_new(g.loop, NULL, g.repo, &conf, &keys, &g.err), 0);
}

static void forget(void *ctx, const zk_uuid *org)
{
	(void)ctx;
	zk_trig_keys_forget(keys, org);
}

static void start(void)
{
	rig_start(&g);
	open_keys(true);
	g.repo->on_org_changed = forget;
}

static void stop(void)
{
	zk_trig_keys_free(keys);
	rig_done(&g);
}

TestSuite(trig_keys, .init = start, .fini = stop);

/* ---- helpers ---- */

struct made {
	bool flag;
	struct zk_trig_key_made m;
};

static void on_made(void *ctx, struct zk_trig_key_made *m)
{
	struct made *made = ctx;

	made->m = *m;
	made->flag = true;
}

static struct zk_trig_key_made make(const zk_uuid *org)
{
	struct made made = { .flag = false };

	cr_assert(zk_trig_keys_make(keys, org, on_made, &made));
	zk_loop_until(g.loop, &made.flag);
	cr_assert_eq(made.m.code, 0);
	return made.m;
}

/* An organization whose key is `text`. */
static zk_uuid org_with_key(char text[ZK_TRIG_KEY_TEXT], bool mac)
{
	struct zk_trig_create c = { .org = { .id = zk_uuid_v7(),
		                             .name = (char[]){ "Org" },
		                             .tier = ZK_TRIG_PRO,
		                             .rate_limit = -1,
		                             .webhook_enabled = true,
		                             .created_us = 1,
		                             .updated_us = 1 } };
	struct zk_trig_key_made m = make(&c.org.id);

	c.key = m.row;
	c.key.has_mac = mac;
	RIG_RUN(&g, &c, create);
	cr_assert_eq(c.op.code, 0);
	memcpy(text, m.text, ZK_TRIG_KEY_TEXT);
	return c.org.id;
}

struct answer {
	bool flag;
	enum zk_trig_auth result;
	zk_uuid org;
	enum zk_trig_tier tier;
	unsigned calls;
};

static void note(struct answer *a, enum zk_trig_auth r,
                 const struct zk_trig_caller *caller)
{
	a->result = r;
	if (r == ZK_TRIG_AUTH_OK) {
		a->org = caller->org.id;
		a->tier = caller->org.tier;
	}
	a->calls++;
	a->flag = true;
}

static void on_checked(void *ctx, enum zk_trig_auth r, struct zk_trig_caller *caller)
{
	note(ctx, r, caller);
}

/* Begins a check; the answer may be there at once. */
static enum zk_trig_auth begin(const char *key, struct answer *a)
{
	struct zk_trig_caller *caller = NULL;
	enum zk_trig_auth r;

	memset(a, 0, sizeof(*a));
	r = zk_trig_keys_check(keys, zk_str_of(key), &caller, on_checked, a);
	if (r != ZK_TRIG_AUTH_PENDING)
		note(a, r, caller);
	return r;
}

static enum zk_trig_auth check(const char *key)
{
	struct answer a;

	if (begin(key, &a) == ZK_TRIG_AUTH_PENDING)
		zk_loop_until(g.loop, &a.flag);
	return a.result;
}

/* Another secret for the same key id. */
static void change_secret(char text[ZK_TRIG_KEY_TEXT], unsigned n)
{
	char digits[9];

	(void)snprintf(digits, sizeof(digits), "%08x", n);
	memcpy(text + 40, digits, 8);
}

/* Waits until the writes that were submitted so far are committed. */
static void settle(void)
{
	struct zk_trig_ack nothing = { .org = zk_uuid_v7() };

	RIG_RUN(&g, &nothing, ack);
}

/* ---- format ---- */

Test(trig_keys, plausible_keys)
{
	static const struct {
		const char *key;
		bool ok;
	} cases[] = {
		{ "zap_live_"
		  "5c0d0f6f7a1b2c3d000000000000000000000000000000000000000000000000",
		  true },
		{ "zap_1234567890123456", true },
		{ "zap_123456789012345", false }, /* 19 */
		{ "zap_live_ABC-def_1234567890", true },
		{ "zap_live_abc def_1234567890", false },
		{ "zap_live_abc\r\ndef_1234567890", false },
		{ "zip_live_1234567890123456", false },
		{ "", false },
	};
	char longest[130];

	for (size_t i = 0; i < ZK_ARRAY_LEN(cases); i++)
		cr_expect_eq(zk_trig_key_plausible(zk_str_of(cases[i].key)), cases[i].ok,
		             "case %zu", i);
	memset(longest, 'a', sizeof(longest));
	memcpy(longest, "zap_", 4);
	cr_expect(zk_trig_key_plausible(zk_str_n(longest, 128)));
	cr_expect_not(zk_trig_key_plausible(zk_str_n(longest, 129)));
}

Test(trig_keys, weak_hashes)
{
	static const struct {
		zk_str phc;
		bool weak;
	} cases[] = {
		{ ZK_STR_INIT("$argon2id$v=19$m=19456,t=2,p=1$c2FsdA$aGFzaA"), false },
		{ ZK_STR_INIT("$argon2id$v=19$m=65536,t=3,p=4$c2FsdA$aGFzaA"), false },
		{ ZK_STR_INIT("$argon2id$v=19$m=19455,t=2,p=1$c2FsdA$aGFzaA"), true },
		{ ZK_STR_INIT("$argon2id$v=19$m=65536,t=1,p=1$c2FsdA$aGFzaA"), true },
		{ ZK_STR_INIT("$argon2id$v=19$m=,t=2,p=1$c2FsdA$aGFzaA"), true },
		{ ZK_STR_INIT(""), true },
	};

	for (size_t i = 0; i < ZK_ARRAY_LEN(cases); i++)
		cr_expect_eq(zk_trig_hash_is_weak(cases[i].phc), cases[i].weak,
		             "case %zu", i);
}

Test(trig_keys, a_made_key_has_the_documented_form)
{
	zk_uuid org = zk_uuid_v7();
	struct zk_trig_key_made a = make(&org), b = make(&org);

	cr_expect_eq(strlen(a.text), 73u);
	cr_expect_eq(strncmp(a.text, "zap_live_", 9), 0);
	cr_expect_eq(strspn(a.text + 9, "0123456789abcdef"), 64u);
	cr_expect_eq(memcmp(a.text + 9, a.row.key_id, 16), 0);
	cr_expect_eq(a.row.key_id[16], 0);
	cr_expect(a.row.has_mac);
	cr_expect_eq(strncmp(a.row.hash, "$argon2id$v=19$m=19456,t=2,p=1$", 31), 0, "%s",
	             a.row.hash);
	cr_expect_null(strstr(a.row.hash, a.text + 25), "the secret is not in the row");
	cr_expect_str_neq(a.text, b.text);
	cr_expect_str_neq(a.row.hash, b.row.hash, "a salt per key");
	cr_expect_neq(memcmp(a.row.mac, b.row.mac, 32), 0);
	zk_trig_keys_free(keys);
	conf.test_prefix = true;
	cr_assert_eq(zk_trig_keys_new(g.loop, NULL, g.repo, &conf, &keys, &g.err), 0);
	a = make(&org);
	cr_expect_eq(strncmp(a.text, "zap_test_", 9), 0);
}

/* ---- ways of a check ---- */

Test(trig_keys, the_mac_decides_both_ways_and_the_cache_remembers)
{
	char text[ZK_TRIG_KEY_TEXT], wrong[ZK_TRIG_KEY_TEXT];
	zk_uuid org = org_with_key(text, true);
	struct answer a;

	cr_expect_eq(begin(text, &a), ZK_TRIG_AUTH_PENDING, "not cached yet");
	zk_loop_until(g.loop, &a.flag);
	cr_expect_eq(a.result, ZK_TRIG_AUTH_OK);
	cr_expect_eq(memcmp(&a.org, &org, 16), 0);
	cr_expect_eq(a.tier, ZK_TRIG_PRO);
	cr_expect_eq(begin(text, &a), ZK_TRIG_AUTH_OK, "at once from the cache");
	cr_expect_eq(memcmp(&a.org, &org, 16), 0);
	memcpy(wrong, text, sizeof(wrong));
	change_secret(wrong, 1);
	cr_expect_eq(begin(wrong, &a), ZK_TRIG_AUTH_PENDING);
	zk_loop_until(g.loop, &a.flag);
	cr_expect_eq(a.result, ZK_TRIG_AUTH_BAD);
	cr_expect_eq(begin(wrong, &a), ZK_TRIG_AUTH_BAD, "at once from the failed cache");
	cr_expect_eq(begin(text, &a), ZK_TRIG_AUTH_OK);
}

Test(trig_keys, foreign_and_unknown_keys)
{
	struct answer a;

	cr_expect_eq(begin("zap_live_ZZZZZZZZZZZZZZZZ", &a), ZK_TRIG_AUTH_BAD,
	             "foreign form");
	cr_expect_eq(begin("nonsense", &a), ZK_TRIG_AUTH_BAD);
	cr_expect_eq(
	        check("zap_live_"
	              "5c0d0f6f7a1b2c3d000000000000000000000000000000000000000000000000"),
	        ZK_TRIG_AUTH_BAD);
}

Test(trig_keys, without_a_mac_argon2_decides_and_the_mac_is_written)
{
	char text[ZK_TRIG_KEY_TEXT], wrong[ZK_TRIG_KEY_TEXT];
	struct zk_trig_find_key f = { .op.code = 0 };

	(void)org_with_key(text, false);
	memcpy(wrong, text, sizeof(wrong));
	change_secret(wrong, 1);
	cr_expect_eq(check(wrong), ZK_TRIG_AUTH_BAD);
	cr_expect_eq(check(text), ZK_TRIG_AUTH_OK);
	memcpy(f.key_id, text + 9, 16);
	settle();
	RIG_RUN(&g, &f, find_key);
	cr_assert_eq(f.op.code, 0);
	cr_expect(f.key.has_mac);
	zk_trig_org_done(&f.org);
	/* and it is the right one */
	zk_trig_keys_forget(keys, NULL);
	cr_expect_eq(check(text), ZK_TRIG_AUTH_OK);
	change_secret(wrong, 2);
	cr_expect_eq(check(wrong), ZK_TRIG_AUTH_BAD);
}

Test(trig_keys, macs_can_be_turned_off)
{
	char text[ZK_TRIG_KEY_TEXT];
	struct zk_trig_find_key f = { .op.code = 0 };

	zk_trig_keys_free(keys);
	open_keys(false);
	(void)org_with_key(text, false);
	cr_expect_eq(check(text), ZK_TRIG_AUTH_OK);
	memcpy(f.key_id, text + 9, 16);
	settle();
	RIG_RUN(&g, &f, find_key);
	cr_expect_not(f.key.has_mac);
	zk_trig_org_done(&f.org);
}

Test(trig_keys, a_weak_hash_is_made_anew_after_success)
{
	struct zk_argon2_params weak = { .m_kib = 64, .t = 1, .p = 1 };
	struct zk_argon2 *a2 = zk_argon2_new();
	struct zk_trig_key_update u = { .set_hash = true };
	struct zk_trig_find_key f = { .op.code = 0 };
	char text[ZK_TRIG_KEY_TEXT];
	struct zk_buf phc;

	(void)org_with_key(text, false);
	memcpy(f.key_id, text + 9, 16);
	memcpy(u.key_id, f.key_id, sizeof(u.key_id));
	zk_buf_init(&phc, 159);
	cr_assert_eq(zk_argon2_hash(a2, weak, zk_str_of(text), &phc, &g.err), 0);
	memcpy(u.hash, phc.p, phc.n);
	zk_buf_done(&phc);
	RIG_RUN(&g, &u, key_update);
	cr_expect_eq(check(text), ZK_TRIG_AUTH_OK);
	settle();
	RIG_RUN(&g, &f, find_key);
	zk_trig_org_done(&f.org);
	cr_expect_str_neq(f.key.hash, u.hash);
	cr_expect_not(zk_trig_hash_is_weak(zk_str_of(f.key.hash)));
	bool match = false;

	cr_assert_eq(zk_argon2_verify(a2, zk_str_of(f.key.hash), zk_str_of(text), &match,
	                              &g.err),
	             0);
	cr_expect(match);
	zk_argon2_free(a2);
}

Test(trig_keys, one_verification_for_all_who_wait)
{
	enum { N = 200 };
	static struct answer a[N];
	char text[ZK_TRIG_KEY_TEXT];

	(void)org_with_key(text, false);
	/* The hashing lane takes 64: without single flight most of these were busy. */
	for (size_t i = 0; i < N; i++)
		cr_assert_eq(begin(text, &a[i]), ZK_TRIG_AUTH_PENDING);
	for (size_t i = 0; i < N; i++) {
		zk_loop_until(g.loop, &a[i].flag);
		cr_assert_eq(a[i].result, ZK_TRIG_AUTH_OK, "%zu", i);
		cr_assert_eq(a[i].calls, 1u);
	}
}

Test(trig_keys, a_flood_of_wrong_keys_ends_in_429_and_leaves_others_alone)
{
	char text[ZK_TRIG_KEY_TEXT], wrong[ZK_TRIG_KEY_TEXT], cached[ZK_TRIG_KEY_TEXT];
	unsigned bad = 0, flood = 0;

	(void)org_with_key(text, false);
	(void)org_with_key(cached, false);
	cr_expect_eq(check(cached), ZK_TRIG_AUTH_OK);
	memcpy(wrong, text, sizeof(wrong));
	for (unsigned i = 0; i < 30; i++) {
		change_secret(wrong, i);
		enum zk_trig_auth r = check(wrong);

		bad += r == ZK_TRIG_AUTH_BAD;
		flood += r == ZK_TRIG_AUTH_FLOOD;
	}
	cr_expect_eq(bad, 20u);
	cr_expect_eq(flood, 10u);
	cr_expect_eq(check(text), ZK_TRIG_AUTH_FLOOD,
	             "the right one too, until the minute is over");
	cr_expect_eq(check(cached), ZK_TRIG_AUTH_OK);
}

Test(trig_keys, the_hashing_lane_is_bounded)
{
	enum { N = 100 };
	static struct answer a[N];
	static struct made m[N];
	char text[ZK_TRIG_KEY_TEXT];
	zk_uuid org = org_with_key(text, false);
	unsigned refused = 0;

	for (size_t i = 0; i < N; i++) {
		m[i].flag = false;
		if (!zk_trig_keys_make(keys, &org, on_made, &m[i])) {
			refused++;
			m[i].flag = true;
		}
	}
	cr_expect_eq(refused, N - 65u);
	cr_expect_eq(begin(text, &a[0]), ZK_TRIG_AUTH_PENDING);
	zk_loop_until(g.loop, &a[0].flag);
	cr_expect_eq(a[0].result, ZK_TRIG_AUTH_BUSY);
	/* free() ends what has not begun; each `done` comes. */
	zk_trig_keys_free(keys);
	for (size_t i = 0; i < N; i++)
		cr_assert(m[i].flag, "%zu", i);
	open_keys(true);
}

/* ---- change ---- */

static void rotate(const zk_uuid *org, const char *key_id, int64_t old_expires_us)
{
	struct zk_trig_rotate r = { .key = { .org = *org, .created_us = 1 },
		                    .old_expires_us = old_expires_us };

	(void)snprintf(r.key.key_id, sizeof(r.key.key_id), "%s", key_id);
	(void)snprintf(r.key.hash, sizeof(r.key.hash), "h");
	RIG_RUN(&g, &r, rotate);
	cr_assert_eq(r.op.code, 0);
}

Test(trig_keys, a_rotated_key_fails_from_the_answer_on)
{
	char text[ZK_TRIG_KEY_TEXT];
	zk_uuid org = org_with_key(text, true);
	struct answer a;

	cr_expect_eq(check(text), ZK_TRIG_AUTH_OK);
	rotate(&org, "aaaaaaaaaaaaaaaa", zk_wall_us());
	cr_expect_neq(begin(text, &a), ZK_TRIG_AUTH_OK);
	if (!a.flag)
		zk_loop_until(g.loop, &a.flag);
	cr_expect_eq(a.result, ZK_TRIG_AUTH_BAD);
}

Test(trig_keys, a_read_that_overlaps_a_rotation_is_repeated)
{
	char text[ZK_TRIG_KEY_TEXT];
	zk_uuid org = org_with_key(text, true);

	for (unsigned i = 0; i < 15; i++) {
		struct answer a;
		char id[17];

		(void)snprintf(id, sizeof(id), "%016x", i);
		cr_assert_neq(begin(text, &a), ZK_TRIG_AUTH_OK);
		rotate(&org, id, zk_wall_us());
		if (!a.flag)
			zk_loop_until(g.loop, &a.flag);
		/* It may have been answered before the rotation; afterwards never. */
		cr_assert_eq(check(text), ZK_TRIG_AUTH_BAD, "round %u", i);
		zk_trig_keys_free(keys);
		open_keys(true);
		org = org_with_key(text, true);
	}
}

Test(trig_keys, the_grace_time_ends_by_itself)
{
	char text[ZK_TRIG_KEY_TEXT];
	zk_uuid org = org_with_key(text, true);
	struct answer a;

	rotate(&org, "aaaaaaaaaaaaaaaa", zk_wall_us() + 3600 * (int64_t)1000000);
	cr_expect_eq(check(text), ZK_TRIG_AUTH_OK);
	cr_expect_eq(begin(text, &a), ZK_TRIG_AUTH_OK, "cached");
	zk_clock_fake(zk_mono_us(), zk_wall_us() + 3601 * (int64_t)1000000);
	cr_expect_eq(begin(text, &a), ZK_TRIG_AUTH_BAD, "checked on each use");
	zk_clock_real();
}

Test(trig_keys, cached_keys_are_looked_up_again_after_their_time)
{
	char text[ZK_TRIG_KEY_TEXT];
	struct answer a;

	(void)org_with_key(text, true);
	cr_expect_eq(check(text), ZK_TRIG_AUTH_OK);
	zk_clock_fake(zk_mono_us() + 300 * (int64_t)1000000, zk_wall_us());
	enum zk_trig_auth r = begin(text, &a);

	zk_clock_real();
	cr_expect_eq(r, ZK_TRIG_AUTH_PENDING);
	zk_loop_until(g.loop, &a.flag);
	cr_expect_eq(a.result, ZK_TRIG_AUTH_OK);
}

Test(trig_keys, use_is_noted_hourly)
{
	char text[ZK_TRIG_KEY_TEXT];
	struct zk_trig_find_key f = { .op.code = 0 };
	struct answer a;
	int64_t first;

	(void)org_with_key(text, true);
	memcpy(f.key_id, text + 9, 16);
	cr_expect_eq(check(text), ZK_TRIG_AUTH_OK);
	settle();
	RIG_RUN(&g, &f, find_key);
	first = f.key.last_used_us;
	cr_expect_neq(first, 0);
	zk_trig_org_done(&f.org);
	cr_expect_eq(check(text), ZK_TRIG_AUTH_OK);
	settle();
	RIG_RUN(&g, &f, find_key);
	cr_expect_eq(f.key.last_used_us, first);
	zk_trig_org_done(&f.org);
	zk_clock_fake(zk_mono_us(), zk_wall_us() + 3601 * (int64_t)1000000);
	cr_expect_eq(begin(text, &a), ZK_TRIG_AUTH_OK);
	zk_clock_real();
	settle();
	RIG_RUN(&g, &f, find_key);
	cr_expect_gt(f.key.last_used_us, first + 3600 * (int64_t)1000000);
	zk_trig_org_done(&f.org);
}

Test(trig_keys, cancelled_checks_are_never_answered)
{
	char text[ZK_TRIG_KEY_TEXT];
	struct answer a, b;

	(void)org_with_key(text, true);
	cr_expect_eq(begin(text, &a), ZK_TRIG_AUTH_PENDING);
	cr_expect_eq(begin(text, &b), ZK_TRIG_AUTH_PENDING);
	zk_trig_keys_cancel(keys, &a);
	zk_loop_until(g.loop, &b.flag);
	cr_expect_eq(b.result, ZK_TRIG_AUTH_OK);
	cr_expect_eq(a.calls, 0u);
}

Test(trig_keys, a_caller_that_is_held_outlives_its_entry)
{
	char text[ZK_TRIG_KEY_TEXT];
	struct zk_trig_caller *caller;
	zk_uuid org = org_with_key(text, true);

	cr_expect_eq(check(text), ZK_TRIG_AUTH_OK);
	cr_assert_eq(zk_trig_keys_check(keys, zk_str_of(text), &caller, NULL, NULL),
	             ZK_TRIG_AUTH_OK);
	zk_trig_caller_ref(caller);
	zk_trig_keys_forget(keys, &org);
	cr_expect_eq(check(text), ZK_TRIG_AUTH_OK); /* turns of the loop */
	cr_expect_str_eq(caller->org.name, "Org");
	zk_trig_caller_unref(caller);
}
