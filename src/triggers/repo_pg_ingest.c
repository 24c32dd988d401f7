/* The PostgreSQL store: events in, one statement per batch (specs/triggers.md §6, §11.1, §11.4).
 * Layer: triggers. Loop thread.
 *
 * Everything that waits when the writer is free becomes a batch. Within it, only the first event
 * of equal (organization, dedup_id) goes to the database; the others are its duplicates. Rows go
 * sorted by that pair, so two servers never wait for each other in a circle. A batch with a value
 * that PostgreSQL refuses is cut in half until the operation that holds it stands alone. */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "rt/loop.h"
#include "rt/metrics.h"
#include "triggers/repo_pg.h"

#include "base/ban.h"

#define EVENT_COST  128 /* bytes of a row beside its texts */
#define MAX_RETRIES 5

struct item {
	struct zk_trig_ingest *in;
	struct item
	        *same; /* the first of its (organization, dedup_id), NULL = this is it */
	size_t ord;
	bool stored;
};

struct zk_pgr_batch {
	struct zk_list node;
	struct zk_pgr *r;
	struct zk_trig_ingest **ops; /* first events of the operations */
	size_t n_ops;
	struct item *items; /* every event, sorted */
	struct item **sent; /* those that go to the database */
	size_t n, n_sent;
	unsigned tries;
	int64_t start_us;
};

static void batch_free(struct zk_pgr_batch *b)
{
	free(b->ops);
	free(b->items);
	free(b->sent);
	free(b);
}

/* ---- ends ----------------------------------------------------------------------------------- */

/* One operation is over. */
static void end_op(struct zk_pgr *r, struct zk_trig_ingest *first,
                   const struct zk_error *err)
{
	r->health.queue_bytes -= first->op.job.bytes;
	for (struct zk_trig_ingest *in = first; in; in = in->next) {
		r->health.queue_events--;
		if (!err && !in->duplicate && !r->closing)
			zk_trig_news_note(&r->news, &in->org, in->due);
		if (err && in != first)
			zk_trig_op_failed(&in->op, err);
	}
	zk_pgr_end(&first->op, err);
}

static void end_batch(struct zk_pgr_batch *b, const struct zk_error *err)
{
	struct zk_pgr *r = b->r;

	for (size_t i = 0; i < b->n_ops; i++)
		end_op(r, b->ops[i], err);
	batch_free(b);
}

/* ---- making a batch --------------------------------------------------------------------------- */

static int by_dedup(const void *a, const void *b)
{
	const struct item *x = a, *y = b;
	int c = (x->in->dedup_id.n != 0) - (y->in->dedup_id.n != 0);

	if (c == 0 && x->in->dedup_id.n)
		c = memcmp(&x->in->org, &y->in->org, sizeof(x->in->org));
	if (c == 0 && x->in->dedup_id.n)
		c = zk_str_cmp(x->in->dedup_id, y->in->dedup_id);
	return c ? c : x->ord < y->ord ? -1 : 1;
}

static bool is_same(const struct item *x, const struct item *y)
{
	return x->in->dedup_id.n && zk_str_eq(x->in->dedup_id, y->in->dedup_id) &&
	       memcmp(&x->in->org, &y->in->org, sizeof(x->in->org)) == 0;
}

static void sort_items(struct zk_pgr_batch *b)
{
	struct item *first = NULL;

	qsort(b->items, b->n, sizeof(*b->items), by_dedup);
	b->n_sent = 0;
	for (size_t i = 0; i < b->n; i++) {
		struct item *it = &b->items[i];

		it->same = first && is_same(first, it) ? first : NULL;
		if (it->same)
			continue;
		first = it;
		b->sent[b->n_sent++] = it;
	}
}

static struct zk_pgr_batch *make_batch(struct zk_pgr *r, struct zk_trig_ingest **ops,
                                       size_t n_ops)
{
	struct zk_pgr_batch *b = zk_new0(struct zk_pgr_batch);
	size_t n = 0;

	b->r = r;
	b->ops = zk_alloc_array(n_ops, sizeof(struct zk_trig_ingest *));
	memcpy(b->ops, ops, n_ops * sizeof(struct zk_trig_ingest *));
	b->n_ops = n_ops;
	for (size_t i = 0; i < n_ops; i++) {
		for (const struct zk_trig_ingest *in = ops[i]; in; in = in->next)
			n++;
	}
	b->items = zk_alloc_array(n, sizeof(*b->items));
	b->sent = zk_alloc_array(n, sizeof(struct item *));
	for (size_t i = 0; i < n_ops; i++) {
		for (struct zk_trig_ingest *in = ops[i]; in; in = in->next) {
			b->items[b->n] = (struct item){ .in = in, .ord = b->n };
			b->n++;
		}
	}
	sort_items(b);
	return b;
}

static size_t count_events(const struct zk_trig_ingest *first)
{
	size_t n = 0;

	for (; first; first = first->next)
		n++;
	return n;
}

/* What waits, up to the bounds of a batch. */
static struct zk_pgr_batch *next_batch(struct zk_pgr *r)
{
	struct zk_trig_ingest *ops[ZK_PGR_BATCH_EVENTS];
	size_t n = 0, events = 0, bytes = 0;

	if (!zk_list_is_empty(&r->batches))
		return ZK_LIST_ENTRY(zk_list_pop(&r->batches), struct zk_pgr_batch, node);
	while (r->ingest.first && n < ZK_PGR_BATCH_EVENTS && bytes < ZK_PGR_BATCH_BYTES) {
		struct zk_trig_ingest *in =
		        ZK_CONTAINER_OF(r->ingest.first, struct zk_trig_ingest, op);

		events += count_events(in);
		if (n && events > ZK_PGR_BATCH_EVENTS)
			break;
		bytes += in->op.job.bytes;
		(void)zk_pgr_pop(&r->ingest);
		ops[n++] = in;
	}
	return n ? make_batch(r, ops, n) : NULL;
}

/* ---- sending ------------------------------------------------------------------------------------ */

static void put_arrays(struct zk_pg_params *p, const struct zk_pgr_batch *b)
{
	zk_pg_array(p, ZK_PG_UUID, b->n_sent);
	for (size_t i = 0; i < b->n_sent; i++)
		zk_pg_put_uuid(p, &b->sent[i]->in->id);
	zk_pg_array(p, ZK_PG_UUID, b->n_sent);
	for (size_t i = 0; i < b->n_sent; i++)
		zk_pg_put_uuid(p, &b->sent[i]->in->org);
	zk_pg_array(p, ZK_PG_TEXT, b->n_sent);
	for (size_t i = 0; i < b->n_sent; i++)
		zk_pg_put_bytes(p, b->sent[i]->in->type);
	zk_pg_array(p, ZK_PG_TEXT, b->n_sent);
	for (size_t i = 0; i < b->n_sent; i++) {
		const struct zk_trig_ingest *in = b->sent[i]->in;

		zk_pg_put_bytes(p, in->dedup_id.n ? in->dedup_id : ZK_STR_NULL);
	}
	zk_pg_array(p, ZK_PG_JSON, b->n_sent);
	for (size_t i = 0; i < b->n_sent; i++)
		zk_pg_put_bytes(p, b->sent[i]->in->payload);
	zk_pg_array(p, ZK_PG_TIMESTAMPTZ, b->n_sent);
	for (size_t i = 0; i < b->n_sent; i++)
		zk_pg_put_time(p, b->sent[i]->in->created_us);
	zk_pg_array(p, ZK_PG_INT2, b->n_sent);
	for (size_t i = 0; i < b->n_sent; i++) {
		const struct zk_trig_ingest *in = b->sent[i]->in;

		zk_pg_put_i16(p, in->delivered ? 2 : in->due ? 1 : 0);
	}
}

static void on_stored(void *ctx, struct zk_pg_res *const *res, size_t n,
                      const struct zk_error *err);

static void send_batch(struct zk_pgr *r, struct zk_pgr_batch *b)
{
	struct zk_pg_params *p = zk_pgr_params(r);
	struct zk_error err = { 0 };
	int64_t latest = 0;

	for (size_t i = 0; i < b->n; i++) {
		struct zk_trig_ingest *in = b->items[i].in;

		in->created_us = zk_trig_event_time(&in->id, in->created_us);
		in->duplicate = false;
		latest = ZK_MAX(latest, in->created_us);
		b->items[i].stored = false;
	}
	put_arrays(p, b);
	if (r->dedup_window_us)
		zk_pg_put_i64(p, r->dedup_window_us);
	else
		zk_pg_put_null(p);
	zk_pg_put_time(p, latest);
	b->start_us = zk_mono_us();
	r->writing++;
	if (zk_pg_run(r->conn[ZK_PGR_WRITER], ZK_PGR_INGEST, p, on_stored, b, &err) < 0) {
		r->writing--;
		end_batch(b, &err);
	}
}

void zk_pgr_pump_ingest(struct zk_pgr *r)
{
	struct zk_pgr_batch *b;

	while (!r->writing && zk_pg_is_up(r->conn[ZK_PGR_WRITER]) &&
	       (b = next_batch(r)) != NULL)
		send_batch(r, b);
}

static void pump_deferred(void *ctx)
{
	struct zk_pgr *r = ctx;

	r->pumping_ingest = false;
	zk_pgr_pump_ingest(r);
}

static void pump_later(struct zk_pgr *r)
{
	if (r->pumping_ingest)
		return;
	r->pumping_ingest = true;
	zk_loop_defer(r->loop, pump_deferred, r);
}

void zk_pgr_fail_ingest(struct zk_pgr *r, const struct zk_error *err)
{
	struct zk_error e = *err;
	struct zk_trig_op *op;
	struct zk_list *l;

	while ((l = zk_list_pop(&r->batches)) != NULL)
		end_batch(ZK_LIST_ENTRY(l, struct zk_pgr_batch, node), &e);
	while ((op = zk_pgr_pop(&r->ingest)) != NULL)
		end_op(r, ZK_CONTAINER_OF(op, struct zk_trig_ingest, op), &e);
}

/* ---- results ------------------------------------------------------------------------------------ */

/* Two batches of half the operations, before what waits. */
static void split(struct zk_pgr_batch *b)
{
	struct zk_pgr *r = b->r;
	size_t half = b->n_ops / 2;
	struct zk_pgr_batch *front = make_batch(r, b->ops, half);
	struct zk_pgr_batch *back = make_batch(r, b->ops + half, b->n_ops - half);

	zk_list_push_front(&r->batches, &back->node);
	zk_list_push_front(&r->batches, &front->node);
	batch_free(b);
}

static void not_stored(struct zk_pgr_batch *b, const struct zk_error *err)
{
	struct zk_pgr *r = b->r;

	if (err->code == ZK_E_CONFLICT && b->tries++ < MAX_RETRIES && !r->closing) {
		zk_list_push_front(&r->batches, &b->node);
		return;
	}
	if (err->code == ZK_E_DATA && b->n_ops > 1) {
		split(b);
		return;
	}
	if (err->code != ZK_E_DATA)
		zk_pgr_note(r, err);
	end_batch(b, err);
}

static int by_id(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(zk_uuid));
}

/* Which of what was sent came back. Returns how many did not. */
static size_t mark_stored(struct zk_pgr_batch *b, const struct zk_pg_res *res)
{
	size_t n = zk_pg_rows(res), missing = 0;
	zk_uuid *ids = zk_alloc_array(n ? n : 1, sizeof(*ids));

	for (size_t i = 0; i < n; i++)
		ids[i] = zk_pg_uuid(res, i, 0);
	qsort(ids, n, sizeof(*ids), by_id);
	for (size_t i = 0; i < b->n_sent; i++) {
		struct item *it = b->sent[i];

		it->stored = bsearch(&it->in->id, ids, n, sizeof(*ids), by_id) != NULL;
		missing += !it->stored;
	}
	free(ids);
	return missing;
}

/* Those that were equal to another one of the batch share its fate. */
static void finish(struct zk_pgr_batch *b)
{
	for (size_t i = 0; i < b->n; i++) {
		struct item *it = &b->items[i];
		const struct item *first = it->same ? it->same : it;

		it->in->duplicate = it->same || !it->stored;
		if (!it->same)
			continue;
		it->in->first_id = first->stored ? first->in->id : first->in->first_id;
		it->in->first_created_us = first->stored ? first->in->created_us
		                                         : first->in->first_created_us;
	}
	end_batch(b, NULL);
}

static void on_first(void *ctx, struct zk_pg_res *const *res, size_t n,
                     const struct zk_error *err)
{
	struct zk_pgr_batch *b = ctx;
	struct zk_pgr *r = b->r;
	size_t at = 0;

	(void)n;
	r->writing--;
	if (err) {
		/* What was new is stored, and nobody learns which: as after a lost commit. */
		end_batch(b, err);
		zk_pgr_pump_ingest(r);
		return;
	}
	struct item **missing = zk_alloc_array(b->n_sent, sizeof(struct item *));

	for (size_t i = 0; i < b->n_sent; i++) {
		if (!b->sent[i]->stored)
			missing[at++] = b->sent[i];
	}
	for (size_t i = 0; i < zk_pg_rows(res[0]); i++) {
		int64_t ord = zk_pg_i64(res[0], i, 0);

		if (ord < 1 || (size_t)ord > at)
			continue;
		struct zk_trig_ingest *in = missing[ord - 1]->in;

		in->first_id = zk_pg_uuid(res[0], i, 1);
		/* Retention may have removed the event: its id still knows the millisecond. */
		in->first_created_us = zk_pg_is_null(res[0], i, 2)
		                               ? zk_trig_id_ms(&in->first_id) * 1000
		                               : zk_pg_time(res[0], i, 2);
	}
	free(missing);
	finish(b);
	zk_pgr_pump_ingest(r);
}

/* Asks for the first events of the duplicates. */
static void ask_first(struct zk_pgr_batch *b, size_t missing)
{
	struct zk_pgr *r = b->r;
	struct zk_pg_params *p = zk_pgr_params(r);
	struct zk_error err = { 0 };

	zk_pg_array(p, ZK_PG_UUID, missing);
	for (size_t i = 0; i < b->n_sent; i++) {
		if (!b->sent[i]->stored)
			zk_pg_put_uuid(p, &b->sent[i]->in->org);
	}
	zk_pg_array(p, ZK_PG_TEXT, missing);
	for (size_t i = 0; i < b->n_sent; i++) {
		if (!b->sent[i]->stored)
			zk_pg_put_bytes(p, b->sent[i]->in->dedup_id);
	}
	if (zk_pg_run(r->conn[ZK_PGR_WRITER], ZK_PGR_FIRST, p, on_first, b, &err) == 0)
		r->writing++;
	else
		end_batch(b, &err);
}

static void on_stored(void *ctx, struct zk_pg_res *const *res, size_t n,
                      const struct zk_error *err)
{
	struct zk_pgr_batch *b = ctx;
	struct zk_pgr *r = b->r;
	size_t missing;

	(void)n;
	r->writing--;
	if (err) {
		not_stored(b, err);
		zk_pgr_pump_ingest(r);
		return;
	}
	if (r->batch_events) {
		zk_histogram_observe(r->batch_events, (double)b->n);
		zk_histogram_observe(r->commit_seconds,
		                     (double)(zk_mono_us() - b->start_us) / 1e6);
	}
	if (!r->health.writable)
		zk_pgr_note(r, NULL);
	missing = mark_stored(b, res[0]);
	if (missing) {
		ask_first(b, missing);
	} else {
		/* The next batch goes out before this one is answered. */
		zk_pgr_pump_ingest(r);
		finish(b);
	}
	zk_pgr_pump_ingest(r);
}

/* ---- entry -------------------------------------------------------------------------------------- */

bool zk_pgr_ingest(struct zk_trig_repo *repo, struct zk_trig_ingest *first)
{
	struct zk_pgr *r = zk_pgr_of(repo);
	struct zk_error err = { 0 };
	uint64_t events = 0, bytes = 0;

	ZK_ASSERT(first);
	for (const struct zk_trig_ingest *in = first; in; in = in->next) {
		events++;
		bytes += EVENT_COST + in->type.n + in->dedup_id.n + in->payload.n;
	}
	if (r->closing || r->health.queue_events + events > r->health.queue_capacity ||
	    r->health.queue_bytes + bytes > r->max_bytes)
		return false;
	zk_pgr_begin(r, &first->op, ZK_PGR_K_INGEST);
	if (!zk_pg_is_up(r->conn[ZK_PGR_WRITER])) {
		/* Answered at once: nothing hangs while the database is away. */
		(void)zk_fail(&err, ZK_E_CONNECT, "PostgreSQL is not connected");
		for (struct zk_trig_ingest *in = first->next; in; in = in->next)
			zk_trig_op_failed(&in->op, &err);
		zk_pgr_end_later(&first->op, &err);
		return true;
	}
	first->op.job.bytes = bytes;
	r->health.queue_events += events;
	r->health.queue_bytes += bytes;
	zk_pgr_push(&r->ingest, &first->op);
	pump_later(r);
	return true;
}
