/* SQLite to PostgreSQL.
 * Layer: triggers.
 *
 * Events have a sequence number in the file, so "what came since" is a range. States of deliveries
 * change behind the copy's back; every change but one leaves its time in updated_at, and those
 * rows are written again once the old server has stopped. (The exception, a row that loses its
 * plan because its organization stopped pushing, is mended by any server when it meets the row.) */
#include "triggers/copy.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/mem.h"
#include "store/pg.h"
#include "triggers/repo_pg.h"
#include "triggers/repo_sqlite.h"

#include "base/ban.h"

#define BATCH       2000
#define BATCH_BYTES ((size_t)8 << 20)
#define POLL_NS     200000000
#define MARGIN_US   ((int64_t)60 * 1000000) /* clocks that were set back a little */

enum { EVENTS, CHANGED, ORGS, KEYS, ATTEMPTS, DEDUP, COUNT, N_SQL };

#define EVENT_COLS                                                              \
	"e.seq,e.id,e.organization_id,e.event_type,e.dedup_id,e.payload,"       \
	"e.created_at,d.status,d.attempts,d.next_attempt_at,d.last_attempt_at," \
	"d.response_status,d.error_message,d.delivered_at,d.acknowledged_at,"   \
	"d.updated_at"

/* ?1 is where the last batch ended. */
static const char *const sql[N_SQL] = {
	[EVENTS] = "SELECT " EVENT_COLS " FROM events e CROSS JOIN event_deliveries d"
	           " ON d.status IN (0,1,2,3,4,5) AND d.organization_id=e.organization_id"
	           " AND d.event_id=e.id WHERE e.seq>?1 ORDER BY e.seq LIMIT ?2",
	[CHANGED] = "SELECT " EVENT_COLS
	            " FROM event_deliveries d CROSS JOIN events e ON e.seq=d.seq"
	            " WHERE d.updated_at>=?1",
	[ORGS] = "SELECT " ZK_LITE_ORG_COLS("") " FROM organizations",
	[KEYS] = "SELECT "
	         "key_id,organization_id,hash,mac,created_at,expires_at,last_used_at"
	         " FROM api_keys",
	[ATTEMPTS] =
	        "SELECT event_id,attempt,started_at,duration_ms,response_status,error,"
	        "response_body FROM delivery_attempts WHERE started_at>=?1",
	[DEDUP] = "SELECT organization_id,dedup_id,event_id,expires_at"
	          " FROM deduplication_cache WHERE event_id>=?1",
	[COUNT] = "SELECT count(*),coalesce(sum(length(CAST(payload AS BLOB))),0)"
	          " FROM events",
};

#define ROWS                                                                     \
	"unnest($1::uuid[],$2::uuid[],$3::text[],$4::text[],$5::json[],"         \
	"$6::timestamptz[],$7::text[],$8::int4[],$9::timestamptz[],"             \
	"$10::timestamptz[],$11::int4[],$12::text[],$13::timestamptz[],"         \
	"$14::timestamptz[],$15::timestamptz[]) AS t(id,org,type,dedup,payload," \
	"at,status,attempts,next_at,last_at,response,error,delivered,acked,updated)"

static const char put_events[] =
        "WITH t AS (SELECT * FROM " ROWS "),"
        "e AS (INSERT INTO events SELECT id,org,type,dedup,payload,at FROM t"
        " ON CONFLICT DO NOTHING)"
        "INSERT INTO event_deliveries(event_id,organization_id,status,attempts,"
        "next_attempt_at,last_attempt_at,response_status,error_message,delivered_at,"
        "acknowledged_at,updated_at) SELECT id,org,status,attempts,next_at,last_at,"
        "response,error,delivered,acked,updated FROM t ON CONFLICT DO NOTHING";
static const char put_changed[] =
        "UPDATE event_deliveries d SET status=t.status,attempts=t.attempts,"
        "next_attempt_at=t.next_at,last_attempt_at=t.last_at,"
        "response_status=t.response,error_message=t.error,delivered_at=t.delivered,"
        "acknowledged_at=t.acked,updated_at=t.updated FROM " ROWS
        " WHERE d.event_id=t.id";
static const char put_org[] =
        "INSERT INTO organizations VALUES($1::uuid,$2::text,$3::text,$4::bigint,"
        "$5::text,$6::bool,$7::text,$8::bool,$9::bigint,$10::timestamptz,"
        "$11::timestamptz,$12::timestamptz) ON CONFLICT (id) DO UPDATE SET"
        " name=$2,tier=$3,rate_limit_per_minute=$4,webhook_url=$5,webhook_enabled=$6,"
        "webhook_disabled_reason=$7,webhook_ordered=$8,secret_version=$9,"
        "old_secret_expires_at=$10,updated_at=$12";
static const char put_key[] =
        "INSERT INTO api_keys VALUES($1::text,$2::uuid,$3::text,$4::bytea,"
        "$5::timestamptz,$6::timestamptz,$7::timestamptz) ON CONFLICT (key_id)"
        " DO UPDATE SET hash=$3,mac=$4,expires_at=$6,last_used_at=$7";
static const char put_attempts[] =
        "INSERT INTO delivery_attempts SELECT * FROM unnest($1::uuid[],$2::int4[],"
        "$3::timestamptz[],$4::float8[],$5::int4[],$6::text[],$7::text[])"
        " ON CONFLICT DO NOTHING";
static const char put_dedup[] =
        "INSERT INTO deduplication_cache SELECT * FROM unnest($1::uuid[],$2::text[],"
        "$3::uuid[],$4::timestamptz[]) ON CONFLICT (organization_id,dedup_id)"
        " DO UPDATE SET event_id=excluded.event_id,expires_at=excluded.expires_at";

/* Columns of a batch on their way: each value where its parameter will want it. */
struct cell {
	int64_t i;
	double d;
	char *p;
	size_t n;
	bool null;
};

#define MAX_COLS 16

struct run {
	struct zk_trig_copy *c;
	struct zk_db *db;
	struct zk_stmt *st[N_SQL];
	struct zk_pg_conn *pg;
	struct zk_pg_params p;
	struct cell *cells; /* BATCH rows of MAX_COLS */
	size_t n;           /* rows */
	size_t bytes;
	int64_t seq, start_us, said_ms;
	enum zk_trig_copy_phase phase;
	uint64_t copied;
};

/* What a column is in the file and becomes in the server. */
enum kind { UUID, TEXT, JSON, BYTES, INT4, TIME, FLOAT };

struct shape {
	const char *put;
	size_t n;
	enum kind kinds[MAX_COLS];
};

static const struct shape event_shape = {
	.put = put_events,
	.n = 15,
	.kinds = { UUID, UUID, TEXT, TEXT, JSON, TIME, TEXT, INT4, TIME, TIME, INT4, TEXT,
	           TIME, TIME, TIME },
};
static const struct shape attempt_shape = {
	.put = put_attempts,
	.n = 7,
	.kinds = { UUID, INT4, TIME, FLOAT, INT4, TEXT, TEXT },
};
static const struct shape dedup_shape = {
	.put = put_dedup,
	.n = 4,
	.kinds = { UUID, TEXT, UUID, TIME },
};

/* ---- batches ------------------------------------------------------------------------------ */

static struct cell *cell_at(struct run *r, size_t row, size_t col)
{
	return &r->cells[row * MAX_COLS + col];
}

static void clear(struct run *r)
{
	for (size_t i = 0; i < r->n * MAX_COLS; i++) {
		free(r->cells[i].p);
		memset(&r->cells[i], 0, sizeof(r->cells[i]));
	}
	r->n = 0;
	r->bytes = 0;
}

static void set_text(struct run *r, struct cell *c, zk_str s)
{
	c->null = !s.p;
	free(c->p);
	c->p = s.p ? zk_strndup(s.p, s.n) : NULL;
	c->n = s.n;
	r->bytes += s.n;
}

/* Column `col` of the statement becomes cell `to` of row r->n. */
static void take(struct run *r, struct zk_stmt *st, int col, size_t to, enum kind kind)
{
	struct cell *c = cell_at(r, r->n, to);

	c->null = zk_col_is_null(st, col);
	switch (kind) {
	case UUID:
	case BYTES:
		set_text(r, c, zk_col_blob(st, col));
		break;
	case TEXT:
	case JSON:
		set_text(r, c, zk_col_text(st, col));
		break;
	case INT4:
	case TIME:
		c->i = zk_col_i64(st, col);
		break;
	case FLOAT:
		c->d = zk_col_double(st, col);
		break;
	}
}

static enum zk_pg_type type_of(enum kind k)
{
	static const enum zk_pg_type types[] = {
		[UUID] = ZK_PG_UUID,    [TEXT] = ZK_PG_TEXT, [JSON] = ZK_PG_JSON,
		[BYTES] = ZK_PG_BYTEA,  [INT4] = ZK_PG_INT4, [TIME] = ZK_PG_TIMESTAMPTZ,
		[FLOAT] = ZK_PG_FLOAT8,
	};

	return types[k];
}

static void put_cell(struct zk_pg_params *p, const struct cell *c, enum kind kind)
{
	zk_uuid id = { { 0 } };

	if (c->null) {
		zk_pg_put_null(p);
		return;
	}
	switch (kind) {
	case UUID:
		if (c->n == sizeof(id.b))
			memcpy(id.b, c->p, sizeof(id.b));
		zk_pg_put_uuid(p, &id);
		break;
	case TEXT:
	case JSON:
	case BYTES:
		zk_pg_put_bytes(p, zk_str_n(c->p ? c->p : "", c->n));
		break;
	case INT4:
		zk_pg_put_i32(p, (int)c->i);
		break;
	case TIME:
		zk_pg_put_time(p, c->i);
		break;
	case FLOAT:
		zk_pg_put_double(p, c->d);
		break;
	}
}

/* Writes the rows that were collected. */
static int flush(struct run *r, const struct shape *s, const char *put,
                 struct zk_error *err)
{
	int code = 0;

	if (r->n == 0)
		return 0;
	zk_pg_params_clear(&r->p);
	for (size_t col = 0; col < s->n; col++) {
		zk_pg_array(&r->p, type_of(s->kinds[col]), r->n);
		for (size_t row = 0; row < r->n; row++)
			put_cell(&r->p, cell_at(r, row, col), s->kinds[col]);
	}
	code = zk_pg_query(r->pg, put, &r->p, NULL, err);
	clear(r);
	return code;
}

static bool is_full(const struct run *r)
{
	return r->n == BATCH || r->bytes >= BATCH_BYTES;
}

static void say(struct run *r)
{
	int64_t now = zk_mono_ms();

	if (!r->c->progress || (r->said_ms && now - r->said_ms < 1000))
		return;
	r->said_ms = now;
	r->c->progress(r->c->ctx, r->phase, r->copied);
}

/* ---- events and deliveries ---------------------------------------------------------------- */

/* The finer states of the file, as status and plan. */
static void take_event(struct run *r, struct zk_stmt *st)
{
	enum zk_lite_state state = (enum zk_lite_state)zk_col_i64(st, 7);
	struct cell *status = cell_at(r, r->n, 6), *next = cell_at(r, r->n, 8);
	struct cell *updated = cell_at(r, r->n, 14), *created = cell_at(r, r->n, 5);

	for (size_t col = 0; col < 6; col++)
		take(r, st, (int)col + 1, col, event_shape.kinds[col]);
	for (size_t col = 7; col < 15; col++)
		take(r, st, (int)col + 1, col, event_shape.kinds[col]);
	set_text(r, status,
	         state <= ZK_LITE_DUE        ? ZK_STR("pending")
	         : state == ZK_LITE_RETRYING ? ZK_STR("retrying")
	         : state == ZK_LITE_FAILED   ? ZK_STR("failed")
	                                     : ZK_STR("delivered"));
	/* NULL = as of creation; a first attempt is due since its last change. */
	if (updated->null)
		*updated = (struct cell){ .i = created->i };
	if (state == ZK_LITE_DUE)
		*next = (struct cell){ .i = updated->i };
	r->n++;
}

/* Copies events behind r->seq, at most one batch. *more: there may be others. */
static int copy_some(struct run *r, bool *more, struct zk_error *err)
{
	struct zk_stmt *st = r->st[EVENTS];
	int64_t seq = r->seq;
	size_t n;
	int got = 0;

	zk_bind_i64(st, 1, r->seq);
	zk_bind_i64(st, 2, BATCH);
	while (!is_full(r) && (got = zk_stmt_step(st, err)) > 0) {
		seq = zk_col_i64(st, 0);
		take_event(r, st);
	}
	zk_stmt_reset(st);
	*more = is_full(r);
	n = r->n;
	if (got < 0 || flush(r, &event_shape, put_events, err) < 0)
		return -(int)err->code;
	r->seq = seq;
	r->copied += n;
	return 0;
}

/* Every row of a statement in batches. */
static int copy_all(struct run *r, int which, const struct shape *s, const char *put,
                    uint64_t *count, struct zk_error *err)
{
	struct zk_stmt *st = r->st[which];
	int got;

	while ((got = zk_stmt_step(st, err)) > 0) {
		if (which == CHANGED) {
			take_event(r, st);
		} else {
			for (size_t col = 0; col < s->n; col++)
				take(r, st, (int)col, col, s->kinds[col]);
			r->n++;
		}
		(*count)++;
		if (is_full(r) && flush(r, s, put, err) < 0) {
			zk_stmt_reset(st);
			return -(int)err->code;
		}
		say(r);
	}
	zk_stmt_reset(st);
	return got < 0 ? got : flush(r, s, put, err);
}

/* ---- the small tables --------------------------------------------------------------------- */

static void put_text(struct zk_pg_params *p, const char *s)
{
	zk_pg_put_bytes(p, zk_str_of(s));
}

static int copy_org(struct run *r, struct zk_error *err)
{
	struct zk_pg_params *p = &r->p;
	struct zk_trig_org o;
	int code;

	zk_lite_read_org(r->st[ORGS], 0, &o);
	zk_pg_params_clear(p);
	zk_pg_put_uuid(p, &o.id);
	put_text(p, o.name);
	put_text(p, zk_trig_tier_name(o.tier));
	if (o.rate_limit >= 0)
		zk_pg_put_i64(p, o.rate_limit);
	else
		zk_pg_put_null(p);
	put_text(p, o.webhook_url);
	zk_pg_put_bool(p, o.webhook_enabled);
	put_text(p, o.webhook_disabled_reason);
	zk_pg_put_bool(p, o.webhook_ordered);
	zk_pg_put_i64(p, o.secret_version);
	zk_pg_put_time(p, o.old_secret_expires_us);
	zk_pg_put_time(p, o.created_us);
	zk_pg_put_time(p, o.updated_us);
	code = zk_pg_query(r->pg, put_org, p, NULL, err);
	zk_trig_org_done(&o);
	return code;
}

static int copy_key(struct run *r, struct zk_error *err)
{
	static const enum kind kinds[] = { TEXT, UUID, TEXT, BYTES, TIME, TIME, TIME };
	int code;

	zk_pg_params_clear(&r->p);
	for (size_t col = 0; col < ZK_ARRAY_LEN(kinds); col++) {
		take(r, r->st[KEYS], (int)col, col, kinds[col]);
		put_cell(&r->p, cell_at(r, 0, col), kinds[col]);
	}
	code = zk_pg_query(r->pg, put_key, &r->p, NULL, err);
	r->n = 1;
	clear(r);
	return code;
}

static int copy_owners(struct run *r, struct zk_error *err)
{
	int (*const fns[])(struct run *, struct zk_error *) = { copy_org, copy_key };
	uint64_t *const counts[] = { &r->c->organizations, &r->c->api_keys };

	for (int i = 0; i < 2; i++) {
		struct zk_stmt *st = r->st[ORGS + i];
		int got;

		*counts[i] = 0;
		while ((got = zk_stmt_step(st, err)) > 0) {
			if (fns[i](r, err) < 0) {
				zk_stmt_reset(st);
				return -(int)err->code;
			}
			(*counts[i])++;
		}
		zk_stmt_reset(st);
		if (got < 0)
			return got;
	}
	return 0;
}

/* History and deduplication rows of events from `since_us` on. */
static int copy_rest(struct run *r, int64_t since_us, struct zk_error *err)
{
	zk_uuid from = zk_trig_id_at(zk_trig_id_clamp(since_us), 0);

	zk_bind_i64(r->st[ATTEMPTS], 1, since_us);
	zk_lite_bind_id(r->st[DEDUP], 1, &from);
	if (copy_all(r, ATTEMPTS, &attempt_shape, put_attempts, &r->c->attempts, err) < 0)
		return -(int)err->code;
	return copy_all(r, DEDUP, &dedup_shape, put_dedup, &r->c->dedup_ids, err);
}

/* ---- both ends ---------------------------------------------------------------------------- */

static int open_file(struct run *r, struct zk_error *err)
{
	struct zk_stmt *st;
	int64_t version = 0;
	int got;

	if (zk_lite_open(r->c->from, ZK_DB_READONLY, /* cache_kib */ 16384, &r->db, err) <
	    0)
		return zk_lite_code(err);
	if (zk_db_prepare(r->db, "PRAGMA user_version", &st, err) < 0)
		return zk_lite_code(err);
	got = zk_stmt_step(st, err);
	if (got > 0)
		version = zk_col_i64(st, 0);
	zk_stmt_reset(st);
	if (got < 0)
		return got;
	if (version != zk_lite_version()) {
		(void)zk_fail(err, ZK_E_STORE_VERSION,
		              "'%s' has schema version %lld, this zk copies version %d",
		              r->c->from, (long long)version, zk_lite_version());
		return zk_err_hint(err, "'zk triggers migrate --db' brings an older file "
		                        "up to date");
	}
	return zk_lite_prepare(r->db, sql, N_SQL, r->st, err);
}

/* A run may go on where another one broke off; anything else in the target is not ours to touch. */
static int check_target(struct run *r, struct zk_error *err)
{
	struct zk_pg_res *res;
	bool foreign;

	if (zk_pg_query(r->pg,
	                "SELECT NOT EXISTS (SELECT FROM server_state WHERE "
	                "name='" ZK_PGR_COPYING
	                "') AND EXISTS (SELECT FROM organizations)",
	                NULL, &res, err) < 0)
		return -(int)err->code;
	foreign = zk_pg_i64(res, 0, 0) != 0;
	zk_pg_res_free(res);
	if (!foreign)
		return 0;
	(void)zk_fail(err, ZK_E_CONFLICT, "the target has organizations already");
	return zk_err_hint(err, "copy into an empty database or schema; what is there is "
	                        "not overwritten");
}

/* The target takes the server secret of the file, and is marked as unfinished. */
static int claim_target(struct run *r, struct zk_error *err)
{
	struct zk_stmt *st;
	uint8_t check[32] = { 0 };
	struct zk_pg_res *res;
	int got;

	if (zk_db_prepare(r->db,
	                  "SELECT value FROM server_state WHERE name='secret_check'", &st,
	                  err) < 0)
		return zk_lite_code(err);
	got = zk_stmt_step(st, err);
	zk_str v = got > 0 ? zk_col_blob(st, 0) : ZK_STR_NULL;

	if (v.n == sizeof(check))
		memcpy(check, v.p, sizeof(check));
	zk_stmt_reset(st);
	if (got < 0)
		return got;
	if (v.n == sizeof(check) && zk_pgr_check_secret(r->pg, check, false, err) < 0)
		return -(int)err->code;
	/* A run that goes on where another one broke off looks back to its beginning. */
	if (zk_pg_query(r->pg,
	                "WITH i AS (INSERT INTO server_state VALUES('" ZK_PGR_COPYING
	                "',NULL,now()) ON CONFLICT DO NOTHING RETURNING at)"
	                "SELECT at FROM i UNION ALL SELECT at FROM server_state"
	                " WHERE name='" ZK_PGR_COPYING "'",
	                NULL, &res, err) < 0)
		return -(int)err->code;
	r->start_us = ZK_MIN(zk_pg_time(res, 0, 0), zk_wall_us()) - MARGIN_US;
	zk_pg_res_free(res);
	return 0;
}

static int open_server(struct run *r, struct zk_error *err)
{
	struct zk_pg_conf conf = { .url = r->c->to,
		                   .app = "zk triggers migrate",
		                   .query_ms = -1,
		                   .setup = "SET synchronous_commit=off;SET jit=off" };

	if (zk_pg_open(&conf, &r->pg, err) < 0 || zk_pgr_migrate(r->pg, NULL, err) < 0 ||
	    check_target(r, err) < 0)
		return -(int)err->code;
	return claim_target(r, err);
}

/* ---- the run ------------------------------------------------------------------------------ */

/* Copies and follows until no server holds the file; then we hold it. */
static int follow(struct run *r, int *lock_fd, struct zk_error *err)
{
	bool first = true;

	for (;;) {
		struct zk_error locked = { 0 };
		bool more = true;

		while (more) {
			if (copy_some(r, &more, err) < 0)
				return -(int)err->code;
			say(r);
		}
		if (first && (copy_owners(r, err) < 0 || copy_rest(r, 0, err) < 0))
			return -(int)err->code;
		first = false;
		if (zk_lock_file(r->c->from, lock_fd, &locked) == 0)
			return 0;
		if (locked.code != ZK_E_STORE_LOCKED) {
			*err = locked;
			return -(int)err->code;
		}
		r->phase = ZK_TRIG_COPY_FOLLOW;
		say(r);
		(void)nanosleep(&(struct timespec){ .tv_nsec = POLL_NS }, NULL);
	}
}

static int finish(struct run *r, struct zk_error *err)
{
	bool more = true;

	r->said_ms = 0;
	r->phase = ZK_TRIG_COPY_FINISH;
	say(r);
	while (more) {
		if (copy_some(r, &more, err) < 0)
			return -(int)err->code;
	}
	zk_bind_i64(r->st[CHANGED], 1, r->start_us);
	if (copy_owners(r, err) < 0 ||
	    copy_all(r, CHANGED, &event_shape, put_changed, &r->c->changed, err) < 0)
		return -(int)err->code;
	r->c->attempts = r->c->dedup_ids = 0;
	return copy_rest(r, 0, err);
}

/* Nothing may be missing. More than in the file: retention removed it there meanwhile. */
static int compare(struct run *r, struct zk_error *err)
{
	struct zk_stmt *st = r->st[COUNT];
	struct zk_pg_res *res;
	int got = zk_stmt_step(st, err);
	uint64_t events, bytes;

	if (got < 0)
		return got;
	events = got > 0 ? (uint64_t)zk_col_i64(st, 0) : 0;
	bytes = got > 0 ? (uint64_t)zk_col_i64(st, 1) : 0;
	zk_stmt_reset(st);
	if (zk_pg_query(r->pg,
	                "SELECT "
	                "count(*),coalesce(sum(octet_length(payload::text)),0)::bigint,"
	                "(SELECT count(*) FROM event_deliveries) FROM events",
	                NULL, &res, err) < 0)
		return -(int)err->code;
	r->c->events = (uint64_t)zk_pg_i64(res, 0, 0);
	r->c->payload_bytes = (uint64_t)zk_pg_i64(res, 0, 1);
	bool missing = r->c->events < events || r->c->payload_bytes < bytes ||
	               (uint64_t)zk_pg_i64(res, 0, 2) < events;

	zk_pg_res_free(res);
	if (missing)
		return zk_fail(
		        err, ZK_E_SUMS,
		        "the file has %llu events of %llu bytes, the server %llu of "
		        "%llu",
		        (unsigned long long)events, (unsigned long long)bytes,
		        (unsigned long long)r->c->events,
		        (unsigned long long)r->c->payload_bytes);
	return zk_pg_exec(r->pg,
	                  "SET synchronous_commit=on;"
	                  "DELETE FROM server_state WHERE name='" ZK_PGR_COPYING "';"
	                  "ANALYZE events,event_deliveries,deduplication_cache",
	                  err);
}

int zk_trig_copy_run(struct zk_trig_copy *c, struct zk_error *err)
{
	struct run r = { .c = c };
	int lock_fd = -1, code;

	zk_pg_params_init(&r.p);
	r.cells = zk_alloc_array((size_t)BATCH * MAX_COLS, sizeof(*r.cells));
	code = open_file(&r, err);
	if (code == 0)
		code = open_server(&r, err);
	if (code == 0)
		code = follow(&r, &lock_fd, err);
	if (code == 0)
		code = finish(&r, err);
	if (code == 0)
		code = compare(&r, err);
	clear(&r);
	free(r.cells);
	zk_pg_params_done(&r.p);
	zk_pg_close(r.pg);
	zk_db_close(r.db);
	if (lock_fd >= 0)
		zk_unlock_file(lock_fd);
	return code;
}
