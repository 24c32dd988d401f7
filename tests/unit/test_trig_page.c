/* Pages of the inbox: every filter against a plain model, paging while the inbox changes
 * (specs/triggers.md §5.7). Layer: tests. */
#include <criterion/criterion.h>

#include "trigrepo.h"

#include "base/ban.h"

enum { EVENTS = 1500 };

static struct rig g;
static zk_uuid org, other;

static void start(void)
{
	rig_start(&g);
	org = rig_org(&g, NULL);
	other = rig_org(&g, NULL);
}

static void stop(void)
{
	rig_done(&g);
}

TestSuite(trig_page, .init = start, .fini = stop);

/* ---- a plain model ---- */

struct known {
	zk_uuid id;
	int64_t at_us;
	char type[24];
	enum zk_trig_status status;
	bool acked;
};

static struct known model[EVENTS];
static size_t n_model;
static struct zk_rand rnd;

/* A few events per millisecond, a few milliseconds apart, in the order of time. */
static int64_t base_us;

static struct rig_event make_event(void *ctx, size_t i)
{
	const char *const *types = ctx;
	size_t n = 0;
	struct rig_event e = { .at_us = i ? model[i - 1].at_us : base_us };

	while (types[n])
		n++;
	e.at_us += (int64_t)zk_rand_below(&rnd, 900);
	e.due = zk_rand_below(&rnd, 2);
	(void)snprintf(model[i].type, sizeof(model[i].type), "%s",
	               types[zk_rand_below(&rnd, n)]);
	e.type = model[i].type;
	model[i].at_us = e.at_us;
	model[i].status = ZK_TRIG_PENDING;
	model[i].acked = false;
	return e;
}

/* Moves the event on to some other state. */
static void advance(struct known *k)
{
	enum zk_trig_status s = (enum zk_trig_status)(1 + zk_rand_below(&rnd, 3));

	if (zk_rand_below(&rnd, 4) == 0) {
		(void)rig_ack(&g, &org, &k->id, 1);
		k->status = ZK_TRIG_DELIVERED;
		k->acked = true;
	} else if (rig_outcome(&g, &org, &k->id, 1, s, s == ZK_TRIG_RETRYING ? 5 : 0)) {
		k->status = s;
	}
}

static void fill(size_t n, const char *const *types, size_t changes)
{
	zk_uuid *ids = zk_alloc_array(n, sizeof(*ids));

	n_model = n;
	base_us = zk_wall_us() - DAY_US;
	rig_add_many(&g, &org, n, make_event, (void *)(uintptr_t)types, ids);
	for (size_t i = 0; i < n; i++) {
		model[i].id = ids[i];
		(void)i;
	}
	free(ids);
	(void)rig_add(&g, &other, &(struct rig_event){ .type = "user.created" });
	for (size_t i = 0; i < changes; i++)
		advance(&model[zk_rand_below(&rnd, n)]);
}

static bool type_fits(const char *type, zk_str want)
{
	if (!want.n)
		return true;
	if (zk_str_ends(want, ZK_STR("*")))
		return zk_str_starts(zk_str_of(type), zk_str_n(want.p, want.n - 1));
	return zk_str_eq(zk_str_of(type), want);
}

static bool status_fits(const struct known *k, enum zk_trig_filter f)
{
	switch (f) {
	case ZK_TRIG_ANY:
		return true;
	case ZK_TRIG_ONLY_PENDING:
		return k->status == ZK_TRIG_PENDING || k->status == ZK_TRIG_RETRYING;
	case ZK_TRIG_ONLY_RETRYING:
		return k->status == ZK_TRIG_RETRYING;
	case ZK_TRIG_ONLY_DELIVERED:
		return k->status == ZK_TRIG_DELIVERED;
	case ZK_TRIG_ONLY_ACKNOWLEDGED:
		return k->acked;
	case ZK_TRIG_ONLY_FAILED:
		return k->status == ZK_TRIG_FAILED;
	}
	return false;
}

static bool fits(const struct known *k, const struct zk_trig_page *p)
{
	int c = memcmp(&k->id, &p->cursor, sizeof(k->id));

	return status_fits(k, p->filter) && type_fits(k->type, p->type) &&
	       (!p->since_us || k->at_us >= p->since_us) &&
	       (!p->until_us || k->at_us < p->until_us) &&
	       (!p->has_cursor || (p->ascending ? c > 0 : c < 0));
}

/* Compares what the store says about p->op with the model. */
static void compare(struct rig_page *p, unsigned query)
{
	const struct zk_trig_page *q = &p->op;
	size_t hits = 0, shown = 0;
	uint64_t skip = q->has_offset && !q->has_cursor ? q->offset : 0;

	rig_read(&g, p);
	cr_assert_eq(q->op.code, 0, "%s", q->op.reason);
	for (size_t n = 0; n < n_model; n++) {
		const struct known *k = &model[q->ascending ? n : n_model - 1 - n];

		if (!fits(k, q))
			continue;
		if (hits++ < skip)
			continue;
		if (shown < q->limit) {
			const struct rig_row *row = &p->rows[shown];

			cr_assert_lt(shown, p->n, "query %u: %zu rows", query, p->n);
			cr_assert_eq(memcmp(&row->row.id, &k->id, 16), 0,
			             "query %u row %zu", query, shown);
			cr_assert_eq(row->row.status, k->status);
			cr_assert_eq(row->row.created_us, k->at_us);
			cr_assert_str_eq(row->type, k->type);
		}
		shown++;
	}
	cr_assert_eq(p->n, ZK_MIN(shown, (size_t)q->limit), "query %u", query);
	cr_assert_eq(q->count, p->n);
	cr_assert_eq(q->has_more, shown > q->limit, "query %u", query);
	if (q->has_offset && !q->has_cursor)
		cr_assert_eq(q->total, hits, "query %u", query);
	if (p->n)
		cr_assert_eq(memcmp(&q->last_id, &p->rows[p->n - 1].row.id, 16), 0);
}

/* A time at, just before or just after some event. */
static int64_t some_time(void)
{
	return model[zk_rand_below(&rnd, n_model)].at_us +
	       (int64_t)zk_rand_below(&rnd, 3) - 1;
}

static void random_query(struct zk_trig_page *q, const zk_str *types, size_t n_types)
{
	static const uint64_t limits[] = { 1, 2, 7, 100, 1000 };

	*q = (struct zk_trig_page){
		.org = org,
		.filter = (enum zk_trig_filter)zk_rand_below(&rnd, 6),
		.type = types[zk_rand_below(&rnd, n_types)],
		.ascending = zk_rand_below(&rnd, 2),
		.limit = limits[zk_rand_below(&rnd, ZK_ARRAY_LEN(limits))]
	};
	if (zk_rand_below(&rnd, 3) == 0)
		q->since_us = some_time();
	if (zk_rand_below(&rnd, 3) == 0)
		q->until_us = some_time();
	if (zk_rand_below(&rnd, 8) == 0 && q->since_us)
		q->until_us = q->since_us + (int64_t)zk_rand_below(&rnd, 500);
	if (zk_rand_below(&rnd, 3) == 0) {
		q->has_cursor = true;
		q->cursor = zk_rand_below(&rnd, 4)
		                    ? model[zk_rand_below(&rnd, n_model)].id
		                    : zk_uuid_v4();
	}
	if (zk_rand_below(&rnd, 3) == 0) {
		q->has_offset = true;
		q->offset = zk_rand_below(&rnd, zk_rand_below(&rnd, 2) ? 20 : EVENTS);
	}
}

static void run_queries(unsigned n, const zk_str *types, size_t n_types)
{
	struct rig_page *p = zk_new0(struct rig_page);

	for (unsigned i = 0; i < n; i++) {
		random_query(&p->op, types, n_types);
		compare(p, i);
	}
	free(p);
}

Test(trig_page, random_queries_against_a_model)
{
	static const char *const types[] = { "user.created",
		                             "user.deleted",
		                             "user.x\xc3\xa9",
		                             "order.paid",
		                             "order",
		                             "z",
		                             NULL };
	static const zk_str wanted[] = {
		ZK_STR_INIT(""),
		ZK_STR_INIT(""),
		ZK_STR_INIT("user.created"),
		ZK_STR_INIT("user.*"),
		ZK_STR_INIT("order*"),
		ZK_STR_INIT("z"),
		ZK_STR_INIT("nope"),
		ZK_STR_INIT("nope*"),
		ZK_STR_INIT("*"),
		ZK_STR_INIT("user.x\xc3*"),
	};

	zk_rand_seed(&rnd, 7);
	fill(EVENTS, types, 900);
	run_queries(400, wanted, ZK_ARRAY_LEN(wanted));
}

/* More types than one walk merges: it looks at each row instead. */
Test(trig_page, a_prefix_of_very_many_types)
{
	static char names[400][24];
	static const char *types[401];
	static const zk_str wanted[] = { ZK_STR_INIT("t.*"), ZK_STR_INIT("t.1*"),
		                         ZK_STR_INIT("t.*"), ZK_STR_INIT("u*") };

	for (size_t i = 0; i < 400; i++) {
		(void)snprintf(names[i], sizeof(names[i]), "%c.%zu", i % 5 ? 't' : 'u',
		               i);
		types[i] = names[i];
	}
	zk_rand_seed(&rnd, 8);
	fill(EVENTS, types, 700);
	run_queries(200, wanted, ZK_ARRAY_LEN(wanted));
}

/* ---- pages ---- */

static struct rig_event plain(void *ctx, size_t i)
{
	(void)i;
	return *(struct rig_event *)ctx;
}

Test(trig_page, an_empty_inbox)
{
	struct rig_page *p = zk_new0(struct rig_page);

	p->op = (struct zk_trig_page){ .org = org, .has_offset = true };
	rig_read(&g, p);
	cr_expect_eq(p->op.op.code, 0);
	cr_expect_eq(p->n, 0u);
	cr_expect_eq(p->op.total, 0u);
	cr_expect_not(p->op.has_more);
	free(p);
}

Test(trig_page, a_page_ends_early_when_its_payloads_are_large)
{
	struct rig_event e = { .payload =
		                       "\"0123456789012345678901234567890123456789\"" };
	struct rig_page *p = zk_new0(struct rig_page);

	rig_add_many(&g, &org, 50, plain, &e, NULL);
	p->op = (struct zk_trig_page){ .org = org, .max_bytes = 100 };
	rig_read(&g, p);
	cr_expect_eq(p->n, 3u, "the one that passes the bound is the last");
	cr_expect(p->op.has_more);
	free(p);
}

/* Walks to the end in pages of `limit`; each id once. Between pages the inbox changes. */
static void walk_while_changing(bool ascending, uint64_t limit)
{
	static struct zk_trig_ingest extra[3];
	struct rig_event e = { .type = "a" };
	struct rig_page *p = zk_new0(struct rig_page);
	zk_uuid *ids = zk_alloc_array(EVENTS, sizeof(*ids));
	size_t seen = 0, late = 0;

	rig_add_many(&g, &org, EVENTS, plain, &e, ids);
	p->op = (struct zk_trig_page){ .org = org,
		                       .ascending = ascending,
		                       .limit = limit };
	do {
		rig_read(&g, p);
		cr_assert_eq(p->op.op.code, 0);
		for (size_t i = 0; i < p->n; i++) {
			size_t at = ascending ? seen : EVENTS - 1 - seen;

			if (seen == EVENTS) {
				late++; /* ascending: events that came meanwhile */
				continue;
			}
			cr_assert_eq(memcmp(&p->rows[i].row.id, &ids[at], 16), 0,
			             "event %zu", seen);
			seen++;
		}
		p->op.has_cursor = true;
		p->op.cursor = p->op.last_id;
		for (size_t i = 0; i < 3 && seen < EVENTS; i++) {
			rig_fill(&extra[i], &org, &e);
			cr_assert(rig_ingest(&g, &extra[i]));
			zk_uuid *id = &ids[zk_rand_below(&rnd, EVENTS)];

			(void)rig_ack(&g, &org, id, 1);
			(void)rig_outcome(&g, &org, &ids[zk_rand_below(&rnd, EVENTS)], 1,
			                  ZK_TRIG_FAILED, 0);
		}
	} while (p->op.has_more);
	cr_expect_eq(seen, (size_t)EVENTS);
	if (!ascending)
		cr_expect_eq(late, 0u, "newer events never show up behind a cursor");
	free(ids);
	free(p);
}

Test(trig_page, paging_down_while_the_inbox_changes)
{
	zk_rand_seed(&rnd, 9);
	walk_while_changing(/* ascending */ false, 100);
}

Test(trig_page, paging_up_while_the_inbox_changes)
{
	zk_rand_seed(&rnd, 10);
	walk_while_changing(/* ascending */ true, 37);
}

Test(trig_page, the_other_organization_sees_nothing)
{
	struct rig_event e = { .type = "a" };
	struct rig_page *p = zk_new0(struct rig_page);

	rig_add_many(&g, &org, 20, plain, &e, NULL);
	p->op = (struct zk_trig_page){ .org = other,
		                       .has_offset = true,
		                       .type = ZK_STR("a*") };
	rig_read(&g, p);
	cr_expect_eq(p->n, 0u);
	cr_expect_eq(p->op.total, 0u);
	free(p);
}
