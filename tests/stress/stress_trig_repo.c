/* Everything at once on one store: ingestion with duplicates, acknowledgements, claims with
 * outcomes, webhooks switched on and off, pages, retention and checkpoints; then the books are
 * compared. Meant for ThreadSanitizer. Layer: tests. */
#include "rt/metrics.h"
#include "tap.h"
#include "trigrepo.h"
#include "triggers/repo_sqlite.h"

#include "base/ban.h"

enum { ORGS = 5, SLOTS = 40, MAX_EVENTS = 300000, RUN_MS = 9000 };

struct event {
	zk_uuid id;
	uint8_t org;
	bool final; /* acknowledged or delivered: retention may take it */
};

static struct rig g;
static zk_uuid orgs[ORGS];
static struct zk_rand rnd;
static struct event *events;
static size_t n_events;
static uint64_t duplicates, errors, acks, claims, outcomes, pages, switches, rows_seen;
static uint64_t wal_peak;
static unsigned running;
static bool over, all_done;

static void begin(void)
{
	running++;
}

/* One activity ended for good. */
static void end(void)
{
	if (--running == 0 && over)
		all_done = true;
}

static void note(const struct zk_trig_op *op)
{
	const struct zk_trig_health *h = g.repo->ops->health(g.repo);

	errors += op->code < 0;
	wal_peak = ZK_MAX(wal_peak, h->wal_bytes);
}

/* ---- ingestion ---- */

struct slot {
	struct zk_trig_ingest in[3]; /* now and then a batch */
	char dedup[3][24], payload[400];
	uint8_t org;
};

static void ingest(struct slot *s);

static void on_stored(struct zk_trig_op *op)
{
	struct slot *s = op->ctx;

	note(op);
	for (struct zk_trig_ingest *in = &s->in[0]; in; in = in->next) {
		duplicates += in->duplicate;
		if (op->code == 0 && !in->duplicate && n_events < MAX_EVENTS)
			events[n_events++] = (struct event){ in->id, s->org, false };
	}
	if (over || n_events >= MAX_EVENTS - 10)
		end();
	else
		ingest(s);
}

static void ingest(struct slot *s)
{
	size_t n = zk_rand_below(&rnd, 4) ? 1 : 3;

	s->org = (uint8_t)zk_rand_below(&rnd, ORGS);
	memset(s->payload, '1', sizeof(s->payload));
	for (size_t i = 0; i < n; i++) {
		struct rig_event e = { .type = i ? "a.b" : "c", .due = s->org % 2 };

		(void)snprintf(s->dedup[i], sizeof(s->dedup[i]), "%llu",
		               (unsigned long long)zk_rand_below(&rnd, 60000));
		e.dedup = zk_rand_below(&rnd, 3) ? s->dedup[i] : NULL;
		rig_fill(&s->in[i], &orgs[s->org], &e);
		s->in[i].payload = zk_str_n(s->payload, 1 + zk_rand_below(&rnd, 399));
		s->in[i].next = i + 1 < n ? &s->in[i + 1] : NULL;
	}
	s->in[0].op.done = on_stored;
	s->in[0].op.ctx = s;
	if (!g.repo->ops->ingest(g.repo, &s->in[0])) {
		errors++;
		end();
	}
}

/* ---- acknowledgements ---- */

static struct zk_trig_ack ack;
static struct zk_trig_ack_one ack_ids[700];
static size_t ack_events[700];

static void start_ack(void);

static void on_acked(struct zk_trig_op *op)
{
	note(op);
	for (size_t i = 0; i < ack.n && op->code == 0; i++) {
		if (ack_ids[i].result != ZK_TRIG_ACK_UNKNOWN)
			events[ack_events[i]].final = true;
		else if (!events[ack_events[i]].final)
			errors++; /* an event that nobody finished is gone */
	}
	acks++;
	if (over)
		end();
	else
		start_ack();
}

static void start_ack(void)
{
	size_t n = zk_rand_below(&rnd, 20) ? 1 : 700;
	uint8_t org = (uint8_t)zk_rand_below(&rnd, ORGS);

	ack = (struct zk_trig_ack){ .op.done = on_acked,
		                    .org = orgs[org],
		                    .now_us = zk_wall_us(),
		                    .ids = ack_ids };
	for (size_t i = 0; i < 3 * n && n_events && ack.n < n; i++) {
		size_t at = zk_rand_below(&rnd, n_events);

		if (events[at].org != org)
			continue;
		ack_events[ack.n] = at;
		ack_ids[ack.n++].id = events[at].id;
	}
	g.repo->ops->ack(g.repo, &ack);
}

/* ---- claims and outcomes ---- */

static struct zk_trig_claim claim;
static struct zk_trig_outcome *outs;
static size_t n_out;

static void start_claim(void);

static int by_id(const void *a, const void *b)
{
	return memcmp(&((const struct event *)a)->id, &((const struct event *)b)->id,
	              sizeof(zk_uuid));
}

static void on_outcome(struct zk_trig_op *op)
{
	struct zk_trig_outcome *o = ZK_CONTAINER_OF(op, struct zk_trig_outcome, op);

	note(op);
	outcomes++;
	if (o->status == ZK_TRIG_DELIVERED && o->applied) {
		/* Ids of one thread are ascending: so is the list. */
		struct event *e = bsearch(&(struct event){ .id = o->id }, events,
		                          n_events, sizeof(*events), by_id);

		if (e)
			e->final = true;
	}
	if (--n_out)
		return;
	zk_trig_claim_done(&claim);
	free(outs);
	if (over)
		end();
	else
		start_claim();
}

static void on_claim(struct zk_trig_op *op)
{
	note(op);
	claims++;
	n_out = claim.n;
	if (!n_out) {
		zk_trig_claim_done(&claim);
		if (over)
			end();
		else
			start_claim();
		return;
	}
	outs = zk_alloc_array(claim.n, sizeof(*outs));
	for (size_t i = 0; i < claim.n; i++) {
		bool fine = zk_rand_below(&rnd, 3);

		outs[i] = (struct zk_trig_outcome){
			.op.done = on_outcome,
			.id = claim.rows[i].id,
			.org = claim.rows[i].org,
			.attempt = claim.rows[i].attempts + 1,
			.started_us = zk_wall_us(),
			.now_us = zk_wall_us(),
			.response_status = fine ? 200 : 500,
			.status = fine ? ZK_TRIG_DELIVERED : ZK_TRIG_RETRYING,
			.next_attempt_us =
			        zk_wall_us() + (int64_t)zk_rand_below(&rnd, 2000000),
		};
		g.repo->ops->outcome(g.repo, &outs[i]);
	}
}

static void start_claim(void)
{
	claim = (struct zk_trig_claim){
		.op.done = on_claim, .now_us = zk_wall_us(), .max_rows = 50, .per_org = 10
	};
	g.repo->ops->claim(g.repo, &claim);
}

/* ---- webhooks ---- */

static struct zk_trig_webhook hook;

static void start_switch(void);

static void on_switched(struct zk_trig_op *op)
{
	note(op);
	zk_trig_org_done(&hook.result);
	switches++;
	if (over)
		end();
	else
		start_switch();
}

static void start_switch(void)
{
	bool on = switches % 2;

	hook = (struct zk_trig_webhook){
		.op.done = on_switched,
		.org = orgs[1],
		.set = ZK_TRIG_SET_ENABLED |
		       (on ? ZK_TRIG_SET_BACKLOG : ZK_TRIG_SET_UNPLAN),
		.enabled = on,
		.now_us = zk_wall_us(),
	};
	g.repo->ops->webhook(g.repo, &hook);
}

/* ---- pages ---- */

static struct reading {
	struct zk_trig_page op;
	zk_uuid last;
	bool disorder;
} reading[2];

static void on_row(struct zk_trig_page *p, const struct zk_trig_row *row)
{
	struct reading *r = ZK_CONTAINER_OF(p, struct reading, op);

	if (p->count && memcmp(&row->id, &r->last, sizeof(row->id)) >= 0)
		r->disorder = true;
	r->last = row->id;
}

static void start_page(struct reading *r);

static void on_page(struct zk_trig_op *op)
{
	struct reading *r = ZK_CONTAINER_OF(op, struct reading, op.op);

	note(op);
	pages++;
	rows_seen += r->op.count;
	if (over)
		end();
	else
		start_page(r);
}

static void start_page(struct reading *r)
{
	r->op = (struct zk_trig_page){
		.op.done = on_page,
		.org = orgs[zk_rand_below(&rnd, ORGS)],
		.filter = (enum zk_trig_filter)zk_rand_below(&rnd, 6),
		.type = r == &reading[1] ? ZK_STR("a*") : ZK_STR_NULL,
		.limit = 50,
		.row = on_row,
		.has_offset = zk_rand_below(&rnd, 3) == 0,
		.offset = 5,
	};
	g.repo->ops->page(g.repo, &r->op);
}

/* ---- the books ---- */

static int64_t number(struct zk_db *db, const char *sql)
{
	struct zk_stmt *st;
	int64_t v = -1;

	if (zk_db_prepare(db, sql, &st, &g.err) == 0 && zk_stmt_step(st, &g.err) == 1)
		v = zk_col_i64(st, 0);
	zk_stmt_free(st);
	return v;
}

/* Events that are gone although nobody acknowledged or delivered them. */
static size_t count_lost(struct zk_db *db, size_t *removed)
{
	struct zk_stmt *st;
	size_t lost = 0;

	*removed = 0;
	if (zk_db_prepare(db,
	                  "SELECT 1 FROM event_deliveries WHERE status IN (0,1,2,3,4,5)"
	                  " AND organization_id=?1 AND event_id=?2",
	                  &st, &g.err) < 0)
		return SIZE_MAX;
	for (size_t i = 0; i < n_events; i++) {
		zk_lite_bind_id(st, 1, &orgs[events[i].org]);
		zk_lite_bind_id(st, 2, &events[i].id);
		if (zk_stmt_step(st, &g.err) != 1) {
			(*removed)++;
			lost += !events[i].final;
		}
		zk_stmt_reset(st);
	}
	zk_stmt_free(st);
	return lost;
}

static void compare_books(void)
{
	struct zk_db *db;
	size_t removed, lost;

	if (!tap_ok(zk_lite_open(g.db, ZK_DB_QUERY_ONLY, 0, &db, &g.err) == 0,
	            "opens again"))
		return;
	lost = count_lost(db, &removed);
	tap_ok(lost == 0, "%zu of %zu events lost", lost, n_events);
	tap_ok(removed > 0, "retention removed %zu", removed);
	tap_ok(number(db, "SELECT count(*) FROM events") == (int64_t)(n_events - removed),
	       "as many events as the books say");
	tap_ok(number(db, "SELECT count(*) FROM event_deliveries") ==
	               number(db, "SELECT count(*) FROM events"),
	       "a delivery per event");
	tap_ok(number(db, "SELECT count(*) FROM pragma_integrity_check"
	                  " WHERE integrity_check='ok'") == 1,
	       "integrity");
	tap_ok(number(db, "SELECT count(*) FROM event_deliveries"
	                  " WHERE next_attempt_at IS NOT NULL AND status<>2") == 0,
	       "only retrying rows are planned");
	zk_db_close(db);
}

static void on_time(void *ctx)
{
	(void)ctx;
	over = true;
}

int main(void)
{
	static struct slot slots[SLOTS];
	struct zk_timer *timer;
	int64_t start = tap_now_ms();

	zk_rand_seed(&rnd, tap_seed());
	events = zk_alloc_array(MAX_EVENTS, sizeof(*events));
	rig_init(&g);
	g.conf.retain_delivered_us = 1000000;
	if (rig_open(&g) < 0)
		return 1;
	for (size_t i = 0; i < ORGS; i++)
		orgs[i] = rig_org(&g, i % 2 ? "http://h/" : NULL);
	timer = zk_timer_new(g.loop, on_time, NULL);
	zk_timer_start(timer, RUN_MS, 0);
	for (size_t i = 0; i < SLOTS; i++) {
		begin();
		ingest(&slots[i]);
	}
	begin();
	start_ack();
	begin();
	start_claim();
	begin();
	start_switch();
	for (size_t i = 0; i < 2; i++) {
		begin();
		start_page(&reading[i]);
	}
	zk_loop_until(g.loop, &all_done);
	zk_timer_free(timer);
	tap_note("%lld ms: %zu events, %llu duplicates, %llu acks, %llu claims, %llu "
	         "outcomes, "
	         "%llu pages, %llu rows, %llu switches, wal %llu KiB",
	         (long long)(tap_now_ms() - start), n_events,
	         (unsigned long long)duplicates, (unsigned long long)acks,
	         (unsigned long long)claims, (unsigned long long)outcomes,
	         (unsigned long long)pages, (unsigned long long)rows_seen,
	         (unsigned long long)switches, (unsigned long long)wal_peak / 1024);
	tap_ok(errors == 0, "%llu operations failed", (unsigned long long)errors);
	tap_ok(n_events > 100 && duplicates && acks && claims && outcomes && pages &&
	               switches,
	       "everything happened");
	tap_ok(!reading[0].disorder && !reading[1].disorder, "pages are in order");
	tap_ok(wal_peak < (uint64_t)64 << 20, "the log stays under 64 MiB");
	tap_ok(g.repo->ops->health(g.repo)->queue_events == 0, "nothing is queued");
	rig_close(&g);
	compare_books();
	rig_done(&g);
	free(events);
	return tap_done();
}
