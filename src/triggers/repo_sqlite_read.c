/* The SQLite store: the reader lanes: keys, organizations, pages, single events.
 * Layer: triggers. Reader lanes. specs/triggers.md §5.7, §5.10. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "triggers/repo_sqlite.h"

#include "base/ban.h"

enum { BEGIN, COMMIT, KEY, ORG, STATE, ROW, ATTEMPTS, PENDING, N_SQL };

#define MAX_ATTEMPTS 20

static const char *const sql[N_SQL] = {
	[BEGIN] = "BEGIN",
	[COMMIT] = "COMMIT",
	[KEY] = "SELECT "
	        "k.hash,k.mac,k.created_at,k.expires_at,k.last_used_at," ZK_LITE_ORG_COLS(
	                "o.") " FROM api_keys k JOIN organizations o ON "
	                      "o.id=k.organization_id"
	                      " WHERE k.key_id=?1",
	[ORG] = "SELECT " ZK_LITE_ORG_COLS("") " FROM organizations WHERE id=?1",
	[STATE] = "SELECT status FROM event_deliveries"
	          " WHERE status IN (0,1,2,3,4,5) AND organization_id=?1 AND event_id=?2",
	[ROW] = "SELECT e.event_type,e.dedup_id,e.payload,d.attempts,d.response_status,"
	        "d.error_message,e.created_at,d.updated_at,d.next_attempt_at,d.delivered_"
	        "at,"
	        "d.acknowledged_at FROM event_deliveries d CROSS JOIN events e ON "
	        "e.seq=d.seq"
	        " WHERE d.status=?1 AND d.organization_id=?2 AND d.event_id=?3",
	[ATTEMPTS] = "SELECT "
	             "attempt,started_at,duration_ms,response_status,error,response_body"
	             " FROM delivery_attempts WHERE event_id=?1 ORDER BY attempt DESC "
	             "LIMIT 20",
	[PENDING] = "SELECT count(*) FROM event_deliveries"
	            " WHERE status IN (0,1,2) AND organization_id=?1",
};

int zk_lite_reader_init(struct zk_lite_reader *r, struct zk_error *err)
{
	if (zk_lite_prepare(r->db, sql, N_SQL, r->rd, err) < 0 ||
	    zk_lite_claim_init(r, err) < 0 ||
	    zk_lite_walker_init(&r->walker, r->db, err) < 0)
		return zk_lite_code(err);
	return 0;
}

/* ---- keys and organizations --------------------------------------------------------------- */

static int not_found(struct zk_error *err, const char *what)
{
	return zk_fail(err, ZK_E_NOT_FOUND, "%s", what);
}

static int find_key(struct zk_lite_reader *r, struct zk_trig_find_key *op,
                    struct zk_error *err)
{
	struct zk_stmt *st = r->rd[KEY];
	struct zk_trig_key *key = &op->key;
	int got;

	zk_bind_text(st, 1, zk_str_of(op->key_id));
	got = zk_stmt_step(st, err);
	if (got <= 0)
		return got < 0 ? got : not_found(err, "the key does not exist");
	zk_str hash = zk_col_text(st, 0), mac = zk_col_blob(st, 1);

	*key = (struct zk_trig_key){
		.created_us = zk_col_i64(st, 2),
		.expires_us = zk_col_i64(st, 3),
		.last_used_us = zk_col_i64(st, 4),
	};
	memcpy(key->key_id, op->key_id, sizeof(key->key_id));
	if (hash.n < sizeof(key->hash))
		memcpy(key->hash, hash.p, hash.n);
	key->has_mac = mac.n == sizeof(key->mac);
	if (key->has_mac)
		memcpy(key->mac, mac.p, sizeof(key->mac));
	zk_lite_read_org(st, 5, &op->org);
	key->org = op->org.id;
	zk_stmt_reset(st);
	return 0;
}

static int find_org(struct zk_lite_reader *r, struct zk_trig_find_org *op,
                    struct zk_error *err)
{
	struct zk_stmt *st = r->rd[ORG];
	int got;

	zk_lite_bind_id(st, 1, &op->id);
	got = zk_stmt_step(st, err);
	if (got <= 0)
		return got < 0 ? got : not_found(err, "the organization does not exist");
	zk_lite_read_org(st, 0, &op->org);
	zk_stmt_reset(st);
	return 0;
}

static int count(struct zk_lite_reader *r, struct zk_trig_count *op, struct zk_error *err)
{
	struct zk_stmt *st = r->rd[PENDING];
	int got;

	zk_lite_bind_id(st, 1, &op->org);
	got = zk_stmt_step(st, err);
	if (got < 0)
		return got;
	op->pending = got > 0 ? (uint64_t)zk_col_i64(st, 0) : 0;
	zk_stmt_reset(st);
	return 0;
}

/* ---- rows --------------------------------------------------------------------------------- */

static enum zk_trig_status status_of(enum zk_lite_state s)
{
	switch (s) {
	case ZK_LITE_PENDING:
	case ZK_LITE_DUE:
		return ZK_TRIG_PENDING;
	case ZK_LITE_RETRYING:
		return ZK_TRIG_RETRYING;
	case ZK_LITE_FAILED:
		return ZK_TRIG_FAILED;
	case ZK_LITE_DELIVERED:
	case ZK_LITE_ACKED:
	case ZK_LITE_STATES:
		break;
	}
	return ZK_TRIG_DELIVERED;
}

/* 1 = the row is there, its slices valid until the statement is reset. */
static int read_row(struct zk_lite_reader *r, const zk_uuid *org,
                    enum zk_lite_state state, const zk_uuid *id, struct zk_trig_row *row,
                    struct zk_error *err)
{
	struct zk_stmt *st = r->rd[ROW];
	int got;

	zk_bind_i64(st, 1, state);
	zk_lite_bind_id(st, 2, org);
	zk_lite_bind_id(st, 3, id);
	got = zk_stmt_step(st, err);
	if (got <= 0)
		return got;
	*row = (struct zk_trig_row){
		.id = *id,
		.org = *org,
		.type = zk_col_text(st, 0),
		.dedup_id = zk_col_text(st, 1),
		.payload = zk_col_text(st, 2),
		.status = status_of(state),
		.attempts = zk_col_i64(st, 3),
		.response_status = (int)zk_col_i64(st, 4),
		.last_error = zk_col_text(st, 5),
		.created_us = zk_col_i64(st, 6),
		.updated_us = zk_col_i64(st, 7),
		.next_attempt_us = zk_col_i64(st, 8),
		.delivered_us = zk_col_i64(st, 9),
		.acknowledged_us = zk_col_i64(st, 10),
	};
	if (!row->updated_us)
		row->updated_us = row->created_us;
	if (state == ZK_LITE_DUE)
		row->next_attempt_us = row->updated_us;
	return 1;
}

/* ---- pages -------------------------------------------------------------------------------- */

static int skip_offset(struct zk_lite_walk *walk, uint64_t offset, struct zk_error *err)
{
	enum zk_lite_state state;
	zk_uuid id;

	while (offset-- > 0) {
		int r = zk_lite_walk_next(walk, &state, &id, err);

		if (r <= 0)
			return r;
	}
	return 1;
}

static int put_rows(struct zk_lite_reader *r, struct zk_trig_page *p,
                    struct zk_lite_walk *walk, struct zk_error *err)
{
	size_t bytes = 0;

	for (;;) {
		enum zk_lite_state state;
		struct zk_trig_row row;
		zk_uuid id;
		int got = zk_lite_walk_next(walk, &state, &id, err);

		if (got <= 0)
			return got;
		if (p->count >= p->limit || (p->max_bytes && bytes > p->max_bytes)) {
			p->has_more = true;
			return 0;
		}
		got = read_row(r, &p->org, state, &id, &row, err);
		if (got < 0)
			return got;
		if (got == 0)
			return zk_fail(err, ZK_E_STORE_CORRUPT,
			               "a delivery has no event");
		bytes += row.payload.n;
		p->row(p, &row);
		zk_stmt_reset(r->rd[ROW]);
		p->last_id = id;
		p->count++;
	}
}

int zk_lite_page(struct zk_lite_reader *r, struct zk_trig_page *p, struct zk_error *err)
{
	struct zk_lite_query q = {
		.org = p->org,
		.filter = p->filter,
		.type = p->type,
		.ascending = p->ascending,
		.has_cursor = p->has_cursor,
		.cursor = p->cursor,
		.since_us = p->since_us,
		.until_us = p->until_us,
	};
	ZK_CLEANUP(zk_lite_walk_closep)
	struct zk_lite_walk *walk = NULL;
	bool offset = p->has_offset && !p->has_cursor;
	int got = 1;

	p->count = p->total = 0;
	p->has_more = false;
	if (offset && zk_lite_walk_count(&r->walker, &q, &p->total, err) < 0)
		return zk_lite_code(err);
	if (offset && p->offset >= p->total)
		return 0;
	if (zk_lite_walk_open(&r->walker, &q,
	                      (size_t)ZK_MIN(p->limit + 1, (uint64_t)1024), &walk,
	                      err) < 0)
		return zk_lite_code(err);
	if (offset)
		got = skip_offset(walk, p->offset, err);
	return got > 0 ? put_rows(r, p, walk, err) : got;
}

/* ---- one event ---------------------------------------------------------------------------- */

struct attempts {
	struct zk_trig_attempt v[MAX_ATTEMPTS];
	size_t n;
	struct zk_buf text; /* what their slices point into */
};

/* Newest last. The texts are copied: the statement yields the newest first. */
static int read_attempts(struct zk_lite_reader *r, const zk_uuid *id, struct attempts *a,
                         struct zk_error *err)
{
	struct zk_stmt *st = r->rd[ATTEMPTS];
	size_t at[MAX_ATTEMPTS] = { 0 };
	int got = 1;

	zk_lite_bind_id(st, 1, id);
	while (a->n < MAX_ATTEMPTS && (got = zk_stmt_step(st, err)) > 0) {
		struct zk_trig_attempt *t = &a->v[a->n];
		zk_str error = zk_col_text(st, 4), body = zk_col_blob(st, 5);

		*t = (struct zk_trig_attempt){
			.attempt = zk_col_i64(st, 0),
			.started_us = zk_col_i64(st, 1),
			.duration_ms = zk_col_double(st, 2),
			.response_status = (int)zk_col_i64(st, 3),
			.error.n = error.n,
			.response_body.n = body.n,
		};
		at[a->n++] = a->text.n;
		zk_buf_add(&a->text, error);
		zk_buf_add(&a->text, body);
	}
	zk_stmt_reset(st);
	if (got < 0 || zk_buf_check(&a->text, err) < 0)
		return zk_lite_code(err);
	for (size_t i = 0; i < a->n; i++) {
		if (a->v[i].error.n)
			a->v[i].error.p = a->text.p + at[i];
		if (a->v[i].response_body.n)
			a->v[i].response_body.p = a->text.p + at[i] + a->v[i].error.n;
	}
	for (size_t i = 0; i < a->n / 2; i++) {
		struct zk_trig_attempt t = a->v[i];

		a->v[i] = a->v[a->n - 1 - i];
		a->v[a->n - 1 - i] = t;
	}
	return 0;
}

int zk_lite_event(struct zk_lite_reader *r, struct zk_trig_event *e, struct zk_error *err)
{
	struct zk_stmt *st = r->rd[STATE];
	struct attempts a = { .n = 0 };
	enum zk_lite_state state;
	struct zk_trig_row row;
	int got;

	e->found = false;
	zk_lite_bind_id(st, 1, &e->org);
	zk_lite_bind_id(st, 2, &e->id);
	got = zk_stmt_step(st, err);
	if (got <= 0)
		return got;
	state = (enum zk_lite_state)zk_col_i64(st, 0);
	zk_stmt_reset(st);
	zk_buf_init(&a.text,
	            /* cap: 20 texts that the delivery stage bounds */ (size_t)1 << 20);
	got = read_attempts(r, &e->id, &a, err);
	if (got == 0)
		got = read_row(r, &e->org, state, &e->id, &row, err);
	if (got > 0) {
		e->found = true;
		e->row(e, &row, a.v, a.n);
		zk_stmt_reset(r->rd[ROW]);
	}
	zk_buf_done(&a.text);
	return got < 0 ? got : 0;
}

/* ---- the lane ----------------------------------------------------------------------------- */

static int apply(struct zk_lite_reader *r, struct zk_trig_op *op, struct zk_error *err)
{
	switch ((enum zk_lite_kind)op->kind) {
	case ZK_LITE_FIND_KEY:
		return find_key(r, ZK_CONTAINER_OF(op, struct zk_trig_find_key, op), err);
	case ZK_LITE_FIND_ORG:
		return find_org(r, ZK_CONTAINER_OF(op, struct zk_trig_find_org, op), err);
	case ZK_LITE_COUNT:
		return count(r, ZK_CONTAINER_OF(op, struct zk_trig_count, op), err);
	case ZK_LITE_PAGE:
		return zk_lite_page(r, ZK_CONTAINER_OF(op, struct zk_trig_page, op), err);
	case ZK_LITE_EVENT:
		return zk_lite_event(r, ZK_CONTAINER_OF(op, struct zk_trig_event, op),
		                     err);
	case ZK_LITE_CLAIM:
		return zk_lite_claim(r, ZK_CONTAINER_OF(op, struct zk_trig_claim, op),
		                     err);
	case ZK_LITE_INGEST:
	case ZK_LITE_CREATE:
	case ZK_LITE_ROTATE:
	case ZK_LITE_KEY_UPDATE:
	case ZK_LITE_WEBHOOK:
	case ZK_LITE_ACK:
	case ZK_LITE_REPLAY:
	case ZK_LITE_OUTCOME:
	case ZK_LITE_HEAL:
	case ZK_LITE_PROBE:
	case ZK_LITE_KEEP:
	case ZK_LITE_CHECKPOINT:
	case ZK_LITE_KINDS:
		break;
	}
	return zk_fail(err, ZK_E_BUG, "operation %u is not a reader's", op->kind);
}

/* One read transaction per operation: what it sees belongs together. */
void zk_lite_reader_run(void *ctx, struct zk_job *batch, size_t n)
{
	struct zk_lite_reader *r = ctx;

	(void)n;
	for (struct zk_job *job = batch; job; job = job->next) {
		struct zk_trig_op *op = ZK_CONTAINER_OF(job, struct zk_trig_op, job);
		struct zk_error err = { 0 }, ignored = { 0 };
		int got = zk_stmt_run(r->rd[BEGIN], &err);

		op->code = 0;
		if (got == 0)
			got = apply(r, op, &err);
		if (got < 0)
			zk_trig_op_failed(op, &err);
		if (zk_db_in_transaction(r->db))
			ZK_IGNORE(zk_stmt_run(r->rd[COMMIT], &ignored));
	}
}
