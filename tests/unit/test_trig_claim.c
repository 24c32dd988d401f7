/* Rows that are due: fairness between organizations, order within one, plans, strays
 * (specs/triggers.md §8.4). Layer: tests. */
#include <criterion/criterion.h>

#include "trigrepo.h"

#include "base/ban.h"

#define URL "http://h/"

static struct rig g;

static void start(void)
{
	rig_start(&g);
}

static void stop(void)
{
	rig_done(&g);
}

TestSuite(trig_claim, .init = start, .fini = stop);

static struct rig_event due(void *ctx, size_t i)
{
	(void)ctx;
	(void)i;
	return (struct rig_event){ .due = true, .payload = "{\"a\":1}" };
}

static bool same(const zk_uuid *a, const zk_uuid *b)
{
	return memcmp(a, b, sizeof(*a)) == 0;
}

/* Claims now; release with zk_trig_claim_done. */
static struct zk_trig_claim claim(size_t max_rows, size_t per_org)
{
	struct zk_trig_claim c = { .now_us = zk_wall_us(),
		                   .max_rows = max_rows,
		                   .per_org = per_org };

	RIG_RUN(&g, &c, claim);
	cr_assert_eq(c.op.code, 0, "%s", c.op.reason);
	return c;
}

static size_t rows_of(const struct zk_trig_claim *c, const zk_uuid *org)
{
	size_t n = 0;

	for (size_t i = 0; i < c->n; i++)
		n += same(&c->rows[i].org, org);
	return n;
}

Test(trig_claim, a_row_brings_what_the_request_needs)
{
	zk_uuid org = rig_org(&g, URL);
	zk_uuid id = rig_add(&g, &org,
	                     &(struct rig_event){ .due = true,
	                                          .type = "user.created",
	                                          .payload = "{\"n\":1.10}" });
	struct zk_trig_claim c = claim(10, 10);

	cr_assert_eq(c.n, 1u);
	cr_expect(same(&c.rows[0].id, &id));
	cr_expect(same(&c.rows[0].org, &org));
	cr_expect(zk_str_eq(zk_str_n(c.rows[0].type, c.rows[0].type_n),
	                    ZK_STR("user.created")));
	cr_expect(zk_str_eq(zk_str_n(c.rows[0].payload, c.rows[0].payload_n),
	                    ZK_STR("{\"n\":1.10}")));
	cr_expect_eq(c.rows[0].attempts, 0);
	cr_expect_eq(c.rows[0].next_attempt_us, c.rows[0].created_us);
	cr_expect_eq(c.oldest_due_us / 1000, c.rows[0].created_us / 1000);
	cr_expect_eq(c.due, 1u);
	cr_expect_not(c.more);
	cr_expect_eq(c.next_due_us, 0);
	zk_trig_claim_done(&c);
	c = claim(10, 10);
	cr_expect_eq(c.n, 1u, "it comes again until its outcome is written");
	zk_trig_claim_done(&c);
	cr_assert(rig_outcome(&g, &org, &id, 1, ZK_TRIG_DELIVERED, 0));
	c = claim(10, 10);
	cr_expect_eq(c.n, 0u);
	zk_trig_claim_done(&c);
}

Test(trig_claim, events_without_a_webhook_never_come)
{
	zk_uuid org = rig_org(&g, NULL);

	(void)rig_add(&g, &org, &(struct rig_event){ 0 });
	struct zk_trig_claim c = claim(10, 10);

	cr_expect_eq(c.n, 0u);
	cr_expect_eq(c.due, 0u);
	zk_trig_claim_done(&c);
}

Test(trig_claim, organizations_take_turns)
{
	enum { ORGS = 7, EACH = 40 };
	zk_uuid orgs[ORGS];
	size_t taken[ORGS] = { 0 };

	for (size_t i = 0; i < ORGS; i++) {
		orgs[i] = rig_org(&g, URL);
		rig_add_many(&g, &orgs[i], i == 2 ? 1000 : EACH, due, NULL, NULL);
	}
	struct zk_trig_claim c = claim(1000, 10);

	cr_expect_eq(c.n, ORGS * 10u);
	cr_expect(c.more);
	for (size_t i = 0; i < ORGS; i++)
		cr_expect_eq(rows_of(&c, &orgs[i]), 10u);
	zk_trig_claim_done(&c);
	/* A narrow claim goes round: nobody is left out. */
	for (size_t i = 0; i < ORGS; i++) {
		c = claim(10, 10);
		cr_expect_eq(c.n, 10u);
		cr_expect(c.more);
		for (size_t o = 0; o < ORGS; o++)
			taken[o] += rows_of(&c, &orgs[o]);
		zk_trig_claim_done(&c);
	}
	for (size_t i = 0; i < ORGS; i++)
		cr_expect_eq(taken[i], 10u, "organization %zu", i);
}

Test(trig_claim, rows_of_one_organization_come_in_event_order)
{
	zk_uuid org = rig_org(&g, URL), ids[30];

	rig_add_many(&g, &org, 30, due, NULL, ids);
	/* two of them failed once and are due again */
	cr_assert(rig_outcome(&g, &org, &ids[3], 1, ZK_TRIG_RETRYING, zk_wall_us() - 5));
	cr_assert(rig_outcome(&g, &org, &ids[7], 1, ZK_TRIG_RETRYING, zk_wall_us() - 9));
	struct zk_trig_claim c = claim(100, 20);

	cr_assert_eq(c.n, 20u);
	for (size_t i = 0; i < 20; i++) {
		cr_expect(same(&c.rows[i].id, &ids[i]), "row %zu", i);
		cr_expect_eq(c.rows[i].attempts, i == 3 || i == 7);
	}
	zk_trig_claim_done(&c);
}

Test(trig_claim, retries_wait_for_their_time)
{
	zk_uuid org = rig_org(&g, URL), ids[3];
	int64_t now = zk_wall_us(), soon = now + 3600 * (int64_t)1000000;

	rig_add_many(&g, &org, 3, due, NULL, ids);
	cr_assert(rig_outcome(&g, &org, &ids[0], 1, ZK_TRIG_RETRYING, soon));
	cr_assert(rig_outcome(&g, &org, &ids[1], 1, ZK_TRIG_RETRYING, soon + 5));
	cr_assert(rig_outcome(&g, &org, &ids[2], 1, ZK_TRIG_FAILED, 0));
	struct zk_trig_claim c = claim(100, 20);

	cr_expect_eq(c.n, 0u);
	cr_expect_eq(c.next_due_us, soon);
	zk_trig_claim_done(&c);
	c = (struct zk_trig_claim){ .now_us = soon, .max_rows = 10, .per_org = 10 };
	RIG_RUN(&g, &c, claim);
	cr_assert_eq(c.n, 1u);
	cr_expect(same(&c.rows[0].id, &ids[0]));
	cr_expect_eq(c.rows[0].next_attempt_us, soon);
	cr_expect_eq(c.next_due_us, soon + 5);
	cr_expect_eq(c.oldest_due_us, soon);
	zk_trig_claim_done(&c);
}

Test(trig_claim, skipped_organizations_are_left_out)
{
	zk_uuid orgs[5], skip[2];

	for (size_t i = 0; i < 5; i++) {
		orgs[i] = rig_org(&g, URL);
		rig_add_many(&g, &orgs[i], 3, due, NULL, NULL);
	}
	skip[0] = orgs[3]; /* in no order */
	skip[1] = orgs[1];
	struct zk_trig_claim c = { .now_us = zk_wall_us(),
		                   .max_rows = 100,
		                   .per_org = 10,
		                   .skip = skip,
		                   .n_skip = 2 };

	RIG_RUN(&g, &c, claim);
	cr_expect_eq(c.n, 9u);
	cr_expect_eq(rows_of(&c, &orgs[1]), 0u);
	cr_expect_eq(rows_of(&c, &orgs[3]), 0u);
	cr_expect_not(c.more);
	zk_trig_claim_done(&c);
}

static void set_webhook(const zk_uuid *org, unsigned set, const char *url, bool flag)
{
	struct zk_trig_webhook w = { .org = *org,
		                     .set = set,
		                     .url = url,
		                     .enabled = flag,
		                     .ordered = flag,
		                     .now_us = zk_wall_us() };

	RIG_RUN(&g, &w, webhook);
	cr_assert_eq(w.op.code, 0);
	zk_trig_org_done(&w.result);
}

Test(trig_claim, strict_order_gives_the_head_only)
{
	zk_uuid org = rig_org(&g, URL), ids[4];
	int64_t now = zk_wall_us();

	set_webhook(&org, ZK_TRIG_SET_ORDERED, NULL, true);
	rig_add_many(&g, &org, 4, due, NULL, ids);
	struct zk_trig_claim c = claim(100, 10);

	cr_assert_eq(c.n, 1u);
	cr_expect(same(&c.rows[0].id, &ids[0]));
	zk_trig_claim_done(&c);
	/* the head failed and waits: so do the others */
	cr_assert(rig_outcome(&g, &org, &ids[0], 1, ZK_TRIG_RETRYING, now + 3600000000));
	c = claim(100, 10);
	cr_expect_eq(c.n, 0u);
	zk_trig_claim_done(&c);
	cr_assert(rig_outcome(&g, &org, &ids[0], 1, ZK_TRIG_RETRYING, now - 1));
	c = claim(100, 10);
	cr_assert_eq(c.n, 1u);
	cr_expect(same(&c.rows[0].id, &ids[0]));
	zk_trig_claim_done(&c);
	cr_assert(rig_outcome(&g, &org, &ids[0], 2, ZK_TRIG_FAILED, 0));
	c = claim(100, 10);
	cr_assert_eq(c.n, 1u);
	cr_expect(same(&c.rows[0].id, &ids[1]));
	zk_trig_claim_done(&c);
}

Test(trig_claim, a_dead_organization_hides_nobody)
{
	zk_uuid dead = rig_org(&g, URL), fine = rig_org(&g, URL);
	zk_uuid *ids = zk_alloc_array(3000, sizeof(*ids)), id;

	rig_add_many(&g, &dead, 3000, due, NULL, ids);
	for (size_t i = 0; i < 3000; i++)
		cr_assert(rig_outcome(&g, &dead, &ids[i], 1, ZK_TRIG_RETRYING,
		                      1000 + (int64_t)i));
	id = rig_add(&g, &fine, &(struct rig_event){ .due = true });
	struct zk_trig_claim c = { .now_us = zk_wall_us(),
		                   .max_rows = 20,
		                   .per_org = 10,
		                   .skip = &dead,
		                   .n_skip = 1 };

	RIG_RUN(&g, &c, claim);
	cr_assert_eq(c.n, 1u);
	cr_expect(same(&c.rows[0].id, &id));
	cr_expect_eq(c.oldest_due_us, 1000, "the gauge counts what waits");
	cr_expect_eq(c.due, 3001u);
	zk_trig_claim_done(&c);
	free(ids);
}

/* Planned although the organization does not push: an event that was on its way when the webhook
 * went. The store unplans such rows by itself. */
Test(trig_claim, strays_are_unplanned)
{
	zk_uuid org = rig_org(&g, NULL);
	zk_uuid id = rig_add(&g, &org, &(struct rig_event){ .due = true });
	struct rig_one one;
	struct zk_trig_claim c = claim(10, 10);

	cr_expect_eq(c.n, 0u);
	cr_expect(c.has_stray);
	zk_trig_claim_done(&c);
	for (int i = 0; i < 1000; i++) {
		cr_assert(rig_get(&g, &org, &id, &one));
		if (!one.row.row.next_attempt_us)
			break;
	}
	cr_expect_eq(one.row.row.status, ZK_TRIG_PENDING);
	cr_expect_eq(one.row.row.next_attempt_us, 0);
	c = claim(10, 10);
	cr_expect_not(c.has_stray);
	cr_expect_eq(c.due, c.due);
	zk_trig_claim_done(&c);
}

Test(trig_claim, disabled_webhooks_keep_their_rows_until_enabled)
{
	zk_uuid org = rig_org(&g, URL);

	rig_add_many(&g, &org, 5, due, NULL, NULL);
	set_webhook(&org, ZK_TRIG_SET_ENABLED | ZK_TRIG_SET_UNPLAN, NULL, false);
	struct zk_trig_claim c = claim(10, 10);

	cr_expect_eq(c.n, 0u);
	cr_expect_not(c.has_stray);
	zk_trig_claim_done(&c);
	set_webhook(&org, ZK_TRIG_SET_ENABLED | ZK_TRIG_SET_BACKLOG, NULL, true);
	c = claim(10, 10);
	cr_expect_eq(c.n, 5u);
	zk_trig_claim_done(&c);
}
