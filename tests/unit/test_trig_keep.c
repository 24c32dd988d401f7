/* Retention: what is old enough goes, in small steps, and nothing else (specs/triggers.md §11.5).
 * Layer: tests. The steps are called here as the writer lane would, under a clock of our own. */
#include <criterion/criterion.h>

#include "trigrepo.h"
#include "triggers/repo_sqlite.h"

#include "base/ban.h"

#define HOUR_US ((int64_t)3600 * 1000000)

static struct rig g;
static zk_uuid org, other;
static struct zk_lite_shared shared;
static struct zk_lite_writer w;

static void start(void)
{
	rig_start(&g);
	org = rig_org(&g, "http://h/");
	other = rig_org(&g, NULL);
}

/* The store is closed; its writer is ours now. */
static void take_writer(int64_t delivered_us, int64_t failed_us, int64_t pending_us)
{
	rig_close(&g);
	memset(&w, 0, sizeof(w));
	w.shared = &shared;
	for (size_t i = 0; i < ZK_LITE_STATES; i++)
		w.retain_us[i] = pending_us;
	w.retain_us[ZK_LITE_DELIVERED] = w.retain_us[ZK_LITE_ACKED] = delivered_us;
	w.retain_us[ZK_LITE_FAILED] = failed_us;
	cr_assert_eq(zk_lite_open(g.db, ZK_DB_NO_AUTO_CHECKPOINT, 0, &w.db, &g.err), 0);
	cr_assert_eq(zk_lite_writer_init(&w, &g.err), 0);
}

static void give_back(void)
{
	zk_clock_real();
	zk_lite_keep_done(&w.keep);
	zk_db_close(w.db);
	w.db = NULL;
}

static void stop(void)
{
	if (w.db)
		give_back();
	rig_done(&g);
}

TestSuite(trig_keep, .init = start, .fini = stop);

static int64_t number(const char *sql)
{
	struct zk_stmt *st;
	int64_t v;

	cr_assert_eq(zk_db_prepare(w.db, sql, &st, &g.err), 0, "%s", g.err.msg);
	cr_assert_eq(zk_stmt_step(st, &g.err), 1);
	v = zk_col_i64(st, 0);
	zk_stmt_free(st);
	return v;
}

/* One run to its end; returns the number of steps. No step removes more than 500 rows. */
static unsigned run(void)
{
	struct zk_trig_op op = { .code = 0 };
	unsigned steps = 0;
	int64_t left = number("SELECT count(*) FROM event_deliveries");

	do {
		cr_assert_eq(zk_lite_keep_step(&w, &op, &g.err), 0, "%s", g.err.msg);
		cr_assert_not(zk_db_in_transaction(w.db));
		int64_t now = number("SELECT count(*) FROM event_deliveries");

		cr_assert_leq(left - now, 500);
		left = now;
		steps++;
		cr_assert_lt(steps, 10000u);
	} while (op.again);
	return steps;
}

static bool sound(void)
{
	return number("SELECT count(*) FROM pragma_integrity_check"
	              " WHERE integrity_check='ok'") == 1 &&
	       number("SELECT count(*) FROM event_deliveries d"
	              " LEFT JOIN events e ON e.seq=d.seq WHERE e.seq IS NULL") == 0 &&
	       number("SELECT (SELECT count(*) FROM events)-"
	              "(SELECT count(*) FROM event_deliveries)") == 0;
}

/* An event of that age (in days) in that state; returns its id. */
static zk_uuid aged(const zk_uuid *o, int days, enum zk_trig_status status, bool acked)
{
	zk_uuid id =
	        rig_add(&g, o,
	                &(struct rig_event){ .due = true,
	                                     .at_us = zk_wall_us() - days * DAY_US });

	if (acked)
		(void)rig_ack(&g, o, &id, 1);
	else if (status != ZK_TRIG_PENDING)
		cr_assert(rig_outcome(&g, o, &id, 1, status, 5));
	return id;
}

static bool there(const zk_uuid *id)
{
	struct zk_stmt *st;
	int r;

	cr_assert_eq(zk_db_prepare(w.db, "SELECT 1 FROM events WHERE id=?1", &st, &g.err),
	             0);
	zk_lite_bind_id(st, 1, id);
	r = zk_stmt_step(st, &g.err);
	zk_stmt_free(st);
	return r == 1;
}

Test(trig_keep, each_status_has_its_own_time)
{
	static const struct {
		int days;
		enum zk_trig_status status;
		bool acked, stays, stays_with_pending;
	} cases[] = {
		{ 6, ZK_TRIG_DELIVERED, false, true, true },
		{ 8, ZK_TRIG_DELIVERED, false, false, false },
		{ 6, ZK_TRIG_DELIVERED, true, true, true },
		{ 8, ZK_TRIG_DELIVERED, true, false, false },
		{ 29, ZK_TRIG_FAILED, false, true, true },
		{ 31, ZK_TRIG_FAILED, false, false, false },
		{ 300, ZK_TRIG_PENDING, false, true, false },
		{ 300, ZK_TRIG_RETRYING, false, true, false },
		{ 99, ZK_TRIG_PENDING, false, true, true },
	};
	zk_uuid ids[2][ZK_ARRAY_LEN(cases)], plain;

	for (size_t i = 0; i < ZK_ARRAY_LEN(cases); i++) {
		ids[0][i] = aged(&org, cases[i].days, cases[i].status, cases[i].acked);
		ids[1][i] = aged(&other, cases[i].days, cases[i].status, cases[i].acked);
	}
	plain = rig_add(&g, &other,
	                &(struct rig_event){ .at_us = zk_wall_us() - 200 * DAY_US });
	take_writer(7 * DAY_US, 30 * DAY_US, 0);
	(void)run();
	for (size_t i = 0; i < ZK_ARRAY_LEN(cases); i++) {
		cr_expect_eq(there(&ids[0][i]), cases[i].stays, "case %zu", i);
		cr_expect_eq(there(&ids[1][i]), cases[i].stays, "case %zu", i);
	}
	cr_expect(there(&plain), "pending events stay for ever");
	for (size_t i = 0; i < ZK_LITE_FAILED; i++)
		w.retain_us[i] = 100 * DAY_US;
	(void)run();
	for (size_t i = 0; i < ZK_ARRAY_LEN(cases); i++)
		cr_expect_eq(there(&ids[0][i]), cases[i].stays_with_pending, "case %zu",
		             i);
	cr_expect_not(there(&plain));
	cr_expect(sound());
}

Test(trig_keep, everything_of_an_event_goes_with_it)
{
	zk_uuid id = aged(&org, 8, ZK_TRIG_DELIVERED, false);
	zk_uuid young = aged(&org, 1, ZK_TRIG_DELIVERED, false);

	take_writer(7 * DAY_US, 30 * DAY_US, 0);
	cr_assert_eq(number("SELECT count(*) FROM delivery_attempts"), 2);
	(void)run();
	cr_expect_not(there(&id));
	cr_expect(there(&young));
	cr_expect_eq(number("SELECT count(*) FROM delivery_attempts"), 1);
	cr_expect_eq(number("SELECT count(*) FROM event_deliveries"), 1);
	cr_expect(sound());
}

static struct rig_event old(void *ctx, size_t i)
{
	int64_t *at = ctx;

	return (struct rig_event){ .delivered = true, .at_us = *at + (int64_t)i * 1000 };
}

Test(trig_keep, many_rows_go_in_steps)
{
	int64_t at = zk_wall_us() - 20 * DAY_US;

	rig_add_many(&g, &org, 2300, old, &at, NULL);
	rig_add_many(&g, &other, 700, old, &at, NULL);
	(void)aged(&org, 1, ZK_TRIG_DELIVERED, false);
	take_writer(7 * DAY_US, 0, 0);
	cr_expect_geq(run(), 6u);
	cr_expect_eq(number("SELECT count(*) FROM events"), 1);
	cr_expect(sound());
}

Test(trig_keep, nothing_configured_removes_nothing)
{
	zk_uuid id = aged(&org, 3000, ZK_TRIG_DELIVERED, false);

	take_writer(0, 0, 0);
	(void)run();
	cr_expect(there(&id));
}

Test(trig_keep, time_passes)
{
	int64_t now = zk_wall_us();
	zk_uuid id =
	        rig_add(&g, &org, &(struct rig_event){ .delivered = true, .dedup = "x" });

	take_writer(7 * DAY_US, 0, 0);
	zk_clock_fake(1, now + 7 * DAY_US - HOUR_US);
	(void)run();
	cr_expect(there(&id));
	zk_clock_fake(1, now + 7 * DAY_US + HOUR_US);
	(void)run();
	cr_expect_not(there(&id));
}

/* ---- deduplication rows ---- */

static struct rig_event with_dedup(void *ctx, size_t i)
{
	static char text[500][24];
	int64_t *at = ctx;

	(void)snprintf(text[i % 500], sizeof(text[0]), "%c-%zu", i % 2 ? 'a' : 'z', i);
	return (struct rig_event){ .dedup = text[i % 500], .at_us = *at };
}

Test(trig_keep, expired_dedup_rows_go_and_others_stay)
{
	int64_t at = zk_wall_us() - 2 * DAY_US;

	rig_add_many(&g, &org, 1200, with_dedup, &at, NULL);
	at = zk_wall_us() - HOUR_US;
	rig_add_many(&g, &other, 900, with_dedup, &at, NULL);
	take_writer(0, 0, 0);
	cr_assert_eq(number("SELECT count(*) FROM deduplication_cache"), 2100);
	(void)run();
	cr_expect_eq(number("SELECT count(*) FROM deduplication_cache"), 900);
	cr_expect_eq(number("SELECT count(*) FROM events"), 2100, "the events stay");
	zk_clock_fake(1, zk_wall_us() + DAY_US);
	(void)run();
	cr_expect_eq(number("SELECT count(*) FROM deduplication_cache"), 0);
	(void)run();
}

Test(trig_keep, a_large_table_is_swept_over_several_runs)
{
	int64_t at = zk_wall_us() - 2 * DAY_US;
	int64_t left = 12000, now;
	unsigned runs = 0;

	rig_add_many(&g, &org, 6000, with_dedup, &at, NULL);
	rig_add_many(&g, &other, 6000, with_dedup, &at, NULL);
	take_writer(0, 0, 0);
	while (left) {
		(void)run();
		now = number("SELECT count(*) FROM deduplication_cache");
		cr_assert_lt(now, left);
		cr_assert_leq(left - now, 5000);
		left = now;
		runs++;
	}
	cr_expect_eq(runs, 3u);
}

Test(trig_keep, for_ever_means_for_ever)
{
	rig_close(&g);
	g.conf.dedup_window_us = 0;
	cr_assert_eq(rig_open(&g), 0);
	(void)rig_add(&g, &org, &(struct rig_event){ .dedup = "x" });
	take_writer(0, 0, 0);
	zk_clock_fake(1, zk_wall_us() + 36500 * DAY_US);
	(void)run();
	cr_expect_eq(number("SELECT count(*) FROM deduplication_cache"), 1);
}

/* A duplicate of an event that retention has removed still names it. */
Test(trig_keep, the_dedup_row_outlives_its_event)
{
	struct zk_trig_ingest in;
	int64_t at = zk_wall_us() - 2 * HOUR_US;
	zk_uuid id = rig_add(
	        &g, &org,
	        &(struct rig_event){ .delivered = true, .dedup = "x", .at_us = at });

	take_writer(HOUR_US, 0, 0);
	(void)run();
	cr_assert_not(there(&id));
	give_back();
	cr_assert_eq(rig_open(&g), 0);
	rig_fill(&in, &org, &(struct rig_event){ .dedup = "x" });
	cr_assert(rig_ingest(&g, &in));
	cr_assert(in.duplicate);
	cr_expect_eq(memcmp(&in.first_id, &id, 16), 0);
	cr_expect_eq(in.first_created_us, at / 1000 * 1000, "from the id");
}

/* ---- free pages ---- */

Test(trig_keep, the_file_shrinks_after_a_large_removal)
{
	int64_t at = zk_wall_us() - 20 * DAY_US, before;

	rig_add_many(&g, &org, 20000, old, &at, NULL);
	take_writer(7 * DAY_US, 0, 0);
	before = number("PRAGMA page_count");
	(void)run();
	cr_expect_lt(number("PRAGMA page_count"), before / 2);
	cr_expect_leq(number("PRAGMA freelist_count"), 256);
	cr_expect(sound());
}
