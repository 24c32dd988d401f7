/* The SQLite store: events in (specs/triggers.md §6, §11.1, §11.3).
 * Layer: triggers. Writer lane, inside its transaction.
 *
 * The events of a transaction gather and go in by several rows per statement: a cursor that stays
 * open finds the place of the next row at once, so that an event costs a third less than with
 * statements of one row. */
#include <string.h>

#include "triggers/repo_sqlite.h"

#include "base/ban.h"

enum { DEDUP, EVENT, DELIVERY, N_TABLES };
enum { FIRST, CREATED, N_LOOKUPS };

/* So many rows go into one statement, as long as there are so many. */
static const unsigned sizes[] = { 8, 2, 1 };
_Static_assert(ZK_ARRAY_LEN(sizes) == ZK_LITE_ROW_SIZES, "one statement for each");
_Static_assert(N_TABLES == ZK_LITE_ROW_TABLES && N_LOOKUPS == ZK_LITE_LOOKUPS,
               "there is a place for each");

/* "OR FAIL": a failure ends the transaction anyway, so no statement has to be undone alone. */
static const struct {
	const char *head, *tail;
	int columns;
} tables[N_TABLES] = {
	[DEDUP] = { "INSERT OR FAIL INTO "
	            "deduplication_cache(organization_id,dedup_id,event_id,expires_at)",
	            " ON CONFLICT(organization_id,dedup_id) DO UPDATE SET"
	            " event_id=excluded.event_id,expires_at=excluded.expires_at"
	            " WHERE expires_at<=?",
	            4 },
	[EVENT] = { "INSERT OR FAIL INTO events(id,organization_id,event_type,dedup_id,"
	            "payload,created_at)",
	            "", 6 },
	[DELIVERY] = { "INSERT OR FAIL INTO event_deliveries(status,organization_id,"
	               "event_id,seq,event_type,response_status,delivered_at)",
	               "", 7 },
};

static const char *const lookups[N_LOOKUPS] = {
	[FIRST] = "SELECT event_id FROM deduplication_cache"
	          " WHERE organization_id=?1 AND dedup_id=?2",
	[CREATED] = "SELECT e.created_at FROM event_deliveries d CROSS JOIN events e ON "
	            "e.seq=d.seq WHERE d.status IN (0,1,2,3,4,5)"
	            " AND d.organization_id=?1 AND d.event_id=?2",
};

/* ---- statements --------------------------------------------------------------------------- */

/* HEAD VALUES(?,?),(?,?)… TAIL */
static void rows_sql(struct zk_buf *b, int table, unsigned rows)
{
	zk_buf_clear(b);
	zk_buf_cstr(b, tables[table].head);
	for (unsigned i = 0; i < rows; i++) {
		zk_buf_cstr(b, i ? ",(" : " VALUES(");
		for (int c = 0; c < tables[table].columns; c++)
			zk_buf_cstr(b, c ? ",?" : "?");
		zk_buf_char(b, ')');
	}
	zk_buf_cstr(b, tables[table].tail);
}

int zk_lite_ingest_init(struct zk_lite_writer *w, struct zk_error *err)
{
	struct zk_buf sql ZK_CLEANUP(zk_buf_done);
	const char *text;

	zk_buf_init(&sql, 4096);
	for (int t = 0; t < N_TABLES; t++) {
		for (size_t s = 0; s < ZK_ARRAY_LEN(sizes); s++) {
			rows_sql(&sql, t, sizes[s]);
			text = zk_buf_cstring(&sql);
			if (zk_lite_prepare(w->db, &text, 1, &w->rows[t][s], err) < 0)
				return zk_lite_code(err);
		}
	}
	return zk_lite_prepare(w->db, lookups, N_LOOKUPS, w->lookups, err);
}

/* The place in `sizes` of the largest statement that `n` rows fill. */
static size_t size_for(size_t n)
{
	size_t s = 0;

	while (sizes[s] > n)
		s++;
	return s;
}

/* ---- deduplication ------------------------------------------------------------------------ */

/* Whose dedup_id it is now. */
static int owner(struct zk_lite_writer *w, struct zk_trig_ingest *in,
                 struct zk_error *err)
{
	struct zk_stmt *st = w->lookups[FIRST];
	int r;

	zk_lite_bind_id(st, 1, &in->org);
	zk_bind_text(st, 2, in->dedup_id);
	r = zk_stmt_step(st, err);
	if (r < 0)
		return r;
	if (r == 0)
		return zk_fail(err, ZK_E_STORE_CORRUPT, "a deduplication row vanished");
	in->first_id = zk_lite_col_id(st, 0);
	zk_stmt_reset(st);
	in->duplicate = memcmp(&in->first_id, &in->id, sizeof(in->id)) != 0;
	return 0;
}

static int64_t expiry(const struct zk_lite_writer *w, const struct zk_trig_ingest *in)
{
	int64_t expires;

	if (!w->dedup_window_us ||
	    __builtin_add_overflow(in->created_us, w->dedup_window_us, &expires))
		return INT64_MAX;
	return expires;
}

/* Notes the dedup_ids of sizes[s] events, or finds that some are taken. */
static int dedup(struct zk_lite_writer *w, struct zk_trig_ingest *const *v, size_t s,
                 struct zk_error *err)
{
	struct zk_stmt *st = w->rows[DEDUP][s];
	int at = 1;

	for (unsigned i = 0; i < sizes[s]; i++, at += tables[DEDUP].columns) {
		zk_lite_bind_id(st, at, &v[i]->org);
		zk_bind_text(st, at + 1, v[i]->dedup_id);
		zk_lite_bind_id(st, at + 2, &v[i]->id);
		zk_bind_i64(st, at + 3, expiry(w, v[i]));
	}
	zk_bind_i64(st, at, v[0]->created_us);
	if (zk_stmt_run(st, err) < 0)
		return zk_lite_code(err);
	if (zk_db_changes(w->db) == (int64_t)sizes[s])
		return 0;
	for (unsigned i = 0; i < sizes[s]; i++) {
		if (owner(w, v[i], err) < 0)
			return zk_lite_code(err);
	}
	return 0;
}

static int dedup_all(struct zk_lite_writer *w, struct zk_error *err)
{
	struct zk_trig_ingest *with_id[ZK_LITE_BATCH_EVENTS];
	size_t n = 0;

	for (size_t i = 0; i < w->n_fresh; i++) {
		if (w->fresh[i]->dedup_id.n)
			with_id[n++] = w->fresh[i];
	}
	for (size_t i = 0; i < n;) {
		size_t s = size_for(n - i);

		if (dedup(w, with_id + i, s, err) < 0)
			return zk_lite_code(err);
		i += sizes[s];
	}
	return 0;
}

/* Fills what a 409 tells about the first event. The event itself may have been removed by
 * retention: then its id still knows the millisecond. */
static int describe_first(struct zk_lite_writer *w, struct zk_trig_ingest *in,
                          struct zk_error *err)
{
	struct zk_stmt *st = w->lookups[CREATED];
	int r;

	in->first_created_us = zk_trig_id_ms(&in->first_id) * 1000;
	zk_lite_bind_id(st, 1, &in->org);
	zk_lite_bind_id(st, 2, &in->first_id);
	r = zk_stmt_step(st, err);
	if (r > 0)
		in->first_created_us = zk_col_i64(st, 0);
	zk_stmt_reset(st);
	return r < 0 ? r : 0;
}

/* ---- rows --------------------------------------------------------------------------------- */

static void bind_event(struct zk_stmt *st, int at, const struct zk_trig_ingest *in)
{
	zk_lite_bind_id(st, at, &in->id);
	zk_lite_bind_id(st, at + 1, &in->org);
	zk_bind_text(st, at + 2, in->type);
	if (in->dedup_id.n)
		zk_bind_text(st, at + 3, in->dedup_id);
	zk_bind_text(st, at + 4, in->payload);
	zk_bind_i64(st, at + 5, in->created_us);
}

static void bind_delivery(struct zk_stmt *st, int at, const struct zk_trig_ingest *in,
                          int64_t seq)
{
	enum zk_lite_state state = in->due ? ZK_LITE_DUE : ZK_LITE_PENDING;

	zk_bind_i64(st, at, in->delivered ? ZK_LITE_DELIVERED : state);
	zk_lite_bind_id(st, at + 1, &in->org);
	zk_lite_bind_id(st, at + 2, &in->id);
	zk_bind_i64(st, at + 3, seq);
	zk_bind_text(st, at + 4, in->type);
	if (!in->delivered)
		return;
	zk_bind_i64(st, at + 5, 200);
	zk_bind_i64(st, at + 6, in->created_us);
}

/* Event and delivery rows of sizes[s] events. */
static int insert(struct zk_lite_writer *w, struct zk_trig_ingest *const *v, size_t s,
                  struct zk_error *err)
{
	struct zk_stmt *st = w->rows[EVENT][s];
	int at = 1;

	for (unsigned i = 0; i < sizes[s]; i++, at += tables[EVENT].columns)
		bind_event(st, at, v[i]);
	if (zk_stmt_run(st, err) < 0)
		return zk_lite_code(err);

	/* A new row gets the number behind the largest one. */
	int64_t seq = zk_db_last_rowid(w->db) - (int64_t)sizes[s] + 1;

	st = w->rows[DELIVERY][s];
	at = 1;
	for (unsigned i = 0; i < sizes[s]; i++, at += tables[DELIVERY].columns)
		bind_delivery(st, at, v[i], seq + i);
	return zk_stmt_run(st, err);
}

/* Puts what is no duplicate in front; returns how many that are. */
static size_t part(struct zk_trig_ingest **v, size_t n)
{
	struct zk_trig_ingest *duplicates[ZK_LITE_BATCH_EVENTS];
	size_t kept = 0, left = 0;

	for (size_t i = 0; i < n; i++) {
		if (v[i]->duplicate)
			duplicates[left++] = v[i];
		else
			v[kept++] = v[i];
	}
	for (size_t i = 0; i < left; i++)
		v[kept + i] = duplicates[i];
	return kept;
}

void zk_lite_ingest_begin(struct zk_lite_writer *w)
{
	w->n_fresh = 0;
}

int zk_lite_ingest(struct zk_lite_writer *w, struct zk_trig_ingest *first,
                   struct zk_error *err)
{
	for (struct zk_trig_ingest *in = first; in; in = in->next) {
		if (w->n_fresh == ZK_LITE_BATCH_EVENTS && zk_lite_ingest_end(w, err) < 0)
			return zk_lite_code(err);
		in->created_us = zk_trig_event_time(&in->id, in->created_us);
		in->duplicate = false;
		w->fresh[w->n_fresh++] = in;
	}
	return 0;
}

int zk_lite_ingest_end(struct zk_lite_writer *w, struct zk_error *err)
{
	struct zk_trig_ingest **v = w->fresh;
	size_t n = w->n_fresh;

	if (n == 0)
		return 0;
	if (dedup_all(w, err) < 0)
		return zk_lite_code(err);
	w->n_fresh = 0;

	size_t kept = part(v, n);
	for (size_t i = 0; i < kept;) {
		size_t s = size_for(kept - i);

		if (insert(w, v + i, s, err) < 0)
			return zk_lite_code(err);
		i += sizes[s];
	}
	/* Now that the first ones are there as well. */
	for (size_t i = kept; i < n; i++) {
		if (describe_first(w, v[i], err) < 0)
			return zk_lite_code(err);
	}
	return 0;
}
