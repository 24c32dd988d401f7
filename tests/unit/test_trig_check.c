/* Looking at a database file and bringing it up to date (specs/triggers.md §14.1).
 * Layer: tests. */
#include "triggers/check.h"

#include <criterion/criterion.h>

#include "trigrepo.h"

#include "base/ban.h"

static struct rig g;
static zk_uuid org;
static unsigned faults;
static char last_fault[512];

static void start(void)
{
	rig_start(&g);
	org = rig_org(&g, "http://h/");
	faults = 0;
}

static void stop(void)
{
	rig_done(&g);
}

TestSuite(trig_check, .init = start, .fini = stop);

static void on_fault(void *ctx, const char *text)
{
	(void)ctx;
	faults++;
	(void)snprintf(last_fault, sizeof(last_fault), "%s", text);
}

static struct zk_trig_check check(void)
{
	struct zk_trig_check c = { .path = g.db, .fault = on_fault };

	cr_assert_eq(zk_trig_check_file(&c, &g.err), 0, "%s", g.err.msg);
	return c;
}

Test(trig_check, counts_under_a_running_server)
{
	int64_t before = zk_wall_us() / 1000 * 1000;
	zk_uuid a = rig_add(&g, &org, &(struct rig_event){ .due = true, .dedup = "x" });
	zk_uuid b = rig_add(&g, &org, &(struct rig_event){ .due = true });
	zk_uuid c = rig_add(&g, &org, &(struct rig_event){ .due = true });
	zk_uuid d = rig_add(&g, &org, &(struct rig_event){ .due = true });

	(void)rig_add(&g, &org, &(struct rig_event){ 0 });
	(void)rig_ack(&g, &org, &a, 1);
	cr_assert(rig_outcome(&g, &org, &b, 1, ZK_TRIG_DELIVERED, 0));
	cr_assert(rig_outcome(&g, &org, &c, 1, ZK_TRIG_FAILED, 0));
	cr_assert(rig_outcome(&g, &org, &d, 1, ZK_TRIG_RETRYING, 5));
	struct zk_trig_check k = check();

	cr_expect_eq(faults, 0u, "%s", last_fault);
	cr_expect_eq(k.faults, 0u);
	cr_expect_eq(k.version, 1);
	cr_expect_eq(k.counts.organizations, 1);
	cr_expect_eq(k.counts.api_keys, 1);
	cr_expect_eq(k.counts.events, 5);
	cr_expect_eq(k.counts.pending, 1);
	cr_expect_eq(k.counts.retrying, 1);
	cr_expect_eq(k.counts.delivered, 2);
	cr_expect_eq(k.counts.acknowledged, 1);
	cr_expect_eq(k.counts.failed, 1);
	cr_expect_eq(k.counts.attempts, 3);
	cr_expect_eq(k.counts.deduplication, 1);
	cr_expect_geq(k.oldest_us, before);
	cr_expect_geq(k.newest_us, k.oldest_us);
	cr_expect_gt(k.bytes, 0u);
	(void)rig_add(&g, &org, &(struct rig_event){ 0 }); /* the server goes on */
}

Test(trig_check, a_running_server_keeps_migrations_out)
{
	int from, to;

	cr_expect_eq(zk_trig_migrate_file(g.db, &from, &to, &g.err), -ZK_E_STORE_LOCKED);
	rig_close(&g);
	cr_expect_eq(zk_trig_migrate_file(g.db, &from, &to, &g.err), 0, "%s", g.err.msg);
	cr_expect_eq(from, to);
	cr_assert_eq(rig_open(&g), 0);
}

Test(trig_check, migration_makes_a_file_that_the_server_takes)
{
	int from = -1, to = -1;

	rig_close(&g);
	(void)snprintf(g.db, sizeof(g.db), "%s/fresh.db", g.dir);
	cr_assert_eq(zk_trig_migrate_file(g.db, &from, &to, &g.err), 0, "%s", g.err.msg);
	cr_expect_eq(from, 0);
	cr_expect_eq(to, 1);
	cr_assert_eq(rig_open(&g), 0, "%s", g.err.msg);
	org = rig_org(&g, NULL);
	(void)rig_add(&g, &org, &(struct rig_event){ 0 });
}

Test(trig_check, a_missing_file)
{
	struct zk_trig_check c = { .path = "/nonexistent/x.db" };

	cr_expect_eq(zk_trig_check_file(&c, &g.err), -ZK_E_NO_INPUT, "%s", g.err.msg);
}
