/* The durable queue of a webhook receiver.
 * Layer: zip. */
#include "zip/hook_store.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/mem.h"
#include "rt/lane.h"
#include "store/sqlite.h"
#define ZK_LOGGER "webhook"
#include "base/log.h"

#include "base/ban.h"

#define BUSY_MS     5000
#define MAX_BYTES   ((size_t)128 << 20)
#define BATCH_JOBS  512
#define BATCH_BYTES ((size_t)8 << 20)
#define MAX_JOBS    20000
#define TIDY_US     (60 * 1000000LL)

static const char *const schema[] = {
	"CREATE TABLE event (seq INTEGER PRIMARY KEY, id TEXT UNIQUE, type TEXT NOT NULL,"
	" received INTEGER NOT NULL, payload TEXT NOT NULL, state TEXT NOT NULL,"
	" attempts INTEGER NOT NULL DEFAULT 0, error TEXT, changed INTEGER NOT NULL);"
	"CREATE INDEX event_open ON event (seq) WHERE state <> 'done';"
	"CREATE INDEX event_done ON event (changed) WHERE state = 'done';",
};

static const char sql_put[] =
        "INSERT INTO event (id, type, received, payload, state, changed)"
        " VALUES (?1, ?2, ?3, ?4, 'new', ?3) ON CONFLICT (id) DO NOTHING";
static const char sql_mark[] = "UPDATE event SET state = ?2, attempts = ?3, error = ?4,"
                               " changed = ?5 WHERE seq = ?1";
static const char sql_tidy[] = "DELETE FROM event WHERE seq IN (SELECT seq FROM event"
                               " WHERE state = 'done' AND changed < ?1 LIMIT 2000)";
static const char sql_next[] =
        "SELECT seq, id, type, payload, state, received, attempts, error FROM event"
        " WHERE seq > ?1 AND (?2 IS NULL OR state = ?2) AND received >= ?3"
        " ORDER BY seq LIMIT 1";

const char *zk_zip_hook_state_name(enum zk_zip_hook_state s)
{
	static const char *const names[] = { "new", "done", "failed" };

	return names[s];
}

enum what { PUT, MARK };

struct op {
	struct zk_job job;
	struct zk_zip_hook_store *s;
	enum what what;
	/* PUT */
	struct zk_zip_hook_row *rows;
	size_t n;
	zk_zip_hook_put_fn done;
	void *ctx;
	/* MARK */
	int64_t seq;
	enum zk_zip_hook_state state;
	unsigned attempts;
	char *why;
	struct zk_error err;
};

struct zk_zip_hook_store {
	struct zk_lane *lane;
	int lock_fd; /* -1 = none */
	int64_t keep_ms;
	/* Lane thread, from open to close. */
	struct zk_db *db;
	struct zk_stmt *put, *mark, *tidy;
	int64_t tidied_us;
};

/* ---- lane thread --------------------------------------------------------------------------- */

static int put_row(struct zk_zip_hook_store *s, struct zk_zip_hook_row *row,
                   struct zk_error *err)
{
	int r;

	zk_bind_text(s->put, 1, row->id.n ? row->id : ZK_STR_NULL);
	zk_bind_text(s->put, 2, row->type);
	zk_bind_i64(s->put, 3, row->received_us);
	zk_bind_text(s->put, 4, row->payload);
	r = zk_stmt_run(s->put, err);
	row->seq = r == 0 && zk_db_changes(s->db) ? zk_db_last_rowid(s->db) : 0;
	return r;
}

static int mark_row(struct zk_stmt *st, const struct op *op, struct zk_error *err)
{
	zk_bind_i64(st, 1, op->seq);
	zk_bind_text(st, 2, zk_str_of(zk_zip_hook_state_name(op->state)));
	zk_bind_i64(st, 3, op->attempts);
	zk_bind_text(st, 4, op->why ? zk_str_of(op->why) : ZK_STR_NULL);
	zk_bind_i64(st, 5, zk_wall_us());
	return zk_stmt_run(st, err);
}

static int perform(struct op *op, struct zk_error *err)
{
	struct zk_zip_hook_store *s = op->s;

	if (op->what == MARK)
		return mark_row(s->mark, op, err);
	for (size_t i = 0; i < op->n; i++)
		if (put_row(s, &op->rows[i], err) < 0)
			return -(int)err->code;
	return 0;
}

static int tidy(struct zk_zip_hook_store *s, struct zk_error *err)
{
	int64_t now = zk_wall_us();

	if (now - s->tidied_us < TIDY_US)
		return 0;
	s->tidied_us = now;
	zk_bind_i64(s->tidy, 1, now - s->keep_ms * 1000);
	return zk_stmt_run(s->tidy, err);
}

/* All or nothing: a batch that cannot be written was not accepted. */
static int transact(struct zk_zip_hook_store *s, struct zk_job *batch,
                    struct zk_error *err)
{
	if (zk_db_exec(s->db, "BEGIN IMMEDIATE", err) < 0)
		return -(int)err->code;
	for (struct zk_job *j = batch; j; j = j->next)
		if (perform(ZK_CONTAINER_OF(j, struct op, job), err) < 0)
			return -(int)err->code;
	if (tidy(s, err) < 0)
		return -(int)err->code;
	return zk_db_exec(s->db, "COMMIT", err);
}

static void run(void *ctx, struct zk_job *batch, size_t n)
{
	struct zk_zip_hook_store *s = ctx;
	struct zk_error err = { 0 };

	(void)n;
	if (transact(s, batch, &err) == 0)
		return;
	zk_db_rollback(s->db);
	for (struct zk_job *j = batch; j; j = j->next)
		ZK_CONTAINER_OF(j, struct op, job)->err = err;
}

/* ---- loop thread --------------------------------------------------------------------------- */

static void on_done(struct zk_job *job)
{
	struct op *op = ZK_CONTAINER_OF(job, struct op, job);

	if (op->what == PUT)
		op->done(op->ctx, op->rows, op->n, op->err.code ? &op->err : NULL);
	else if (op->err.code)
		zk_log_error(ZK_LOG_ERROR, ZK_LOGGER,
		             "not noted in the store; the event will come again",
		             &op->err);
	free(op->why);
	free(op);
}

static int open_db(struct zk_zip_hook_store *s, const char *path, struct zk_error *err)
{
	struct zk_db_conf conf = { .path = path,
		                   .flags = ZK_DB_CREATE | ZK_DB_FULL | ZK_DB_GATHER,
		                   .busy_ms = BUSY_MS };

	if (zk_lock_file(path, &s->lock_fd, err) < 0 ||
	    zk_db_open(&conf, &s->db, err) < 0 ||
	    zk_db_migrate(s->db, schema, ZK_ARRAY_LEN(schema), NULL, err) < 0 ||
	    zk_db_prepare(s->db, sql_put, &s->put, err) < 0 ||
	    zk_db_prepare(s->db, sql_mark, &s->mark, err) < 0 ||
	    zk_db_prepare(s->db, sql_tidy, &s->tidy, err) < 0)
		return -(int)err->code;
	return 0;
}

int zk_zip_hook_store_open(struct zk_loop *loop, const char *path, int64_t keep_ms,
                           struct zk_zip_hook_store **ret, struct zk_error *err)
{
	struct zk_zip_hook_store *s = zk_new0(struct zk_zip_hook_store);
	struct zk_lane_conf lane = {
		.name = "webhook",
		.ctx = s,
		.run = run,
		.max_jobs = MAX_JOBS,
		.max_bytes = MAX_BYTES,
		.batch_jobs = BATCH_JOBS,
		.batch_bytes = BATCH_BYTES,
	};

	s->keep_ms = keep_ms;
	s->lock_fd = -1;
	if (open_db(s, path, err) < 0 || zk_lane_start(loop, &lane, &s->lane, err) < 0) {
		zk_zip_hook_store_close(s);
		return -(int)err->code;
	}
	*ret = s;
	return 0;
}

void zk_zip_hook_store_close(struct zk_zip_hook_store *s)
{
	if (!s)
		return;
	zk_lane_stop(s->lane);
	zk_db_close(s->db);
	if (s->lock_fd >= 0)
		zk_unlock_file(s->lock_fd);
	free(s);
}

bool zk_zip_hook_store_put(struct zk_zip_hook_store *s, struct zk_zip_hook_row *rows,
                           size_t n, zk_zip_hook_put_fn done, void *ctx)
{
	struct op *op = zk_new0(struct op);

	*op = (struct op){ .job = { .done = on_done },
		           .s = s,
		           .what = PUT,
		           .rows = rows,
		           .n = n,
		           .done = done,
		           .ctx = ctx };
	for (size_t i = 0; i < n; i++)
		op->job.bytes += rows[i].payload.n + rows[i].id.n + 64;
	if (zk_lane_push(s->lane, &op->job))
		return true;
	free(op);
	return false;
}

void zk_zip_hook_store_mark(struct zk_zip_hook_store *s, int64_t seq,
                            enum zk_zip_hook_state state, unsigned attempts, zk_str why)
{
	struct op *op = zk_new0(struct op);

	*op = (struct op){ .job = { .done = on_done },
		           .s = s,
		           .what = MARK,
		           .seq = seq,
		           .state = state,
		           .attempts = attempts,
		           .why = why.n ? zk_strndup(why.p, why.n) : NULL };
	zk_lane_push_always(s->lane, &op->job);
}

/* ---- reader -------------------------------------------------------------------------------- */

struct zk_zip_hook_reader {
	struct zk_db *db;
	struct zk_stmt *next, *mark;
};

int zk_zip_hook_reader_open(const char *path, struct zk_zip_hook_reader **ret,
                            struct zk_error *err)
{
	struct zk_db_conf conf = { .path = path,
		                   .flags = ZK_DB_FULL,
		                   .busy_ms = BUSY_MS };
	struct zk_zip_hook_reader *r = zk_new0(struct zk_zip_hook_reader);

	if (zk_db_open(&conf, &r->db, err) < 0 ||
	    zk_db_migrate(r->db, schema, ZK_ARRAY_LEN(schema), NULL, err) < 0 ||
	    zk_db_prepare(r->db, sql_next, &r->next, err) < 0 ||
	    zk_db_prepare(r->db, sql_mark, &r->mark, err) < 0) {
		zk_zip_hook_reader_close(r);
		return -(int)err->code;
	}
	*ret = r;
	return 0;
}

void zk_zip_hook_reader_close(struct zk_zip_hook_reader *r)
{
	if (!r)
		return;
	zk_db_close(r->db);
	free(r);
}

int zk_zip_hook_reader_last(struct zk_zip_hook_reader *r, int64_t *ret,
                            struct zk_error *err)
{
	struct zk_stmt *st;
	int got;

	if (zk_db_prepare(r->db, "SELECT coalesce(max(seq), 0) FROM event", &st, err) < 0)
		return -(int)err->code;
	got = zk_stmt_step(st, err);
	if (got > 0)
		*ret = zk_col_i64(st, 0);
	zk_stmt_free(st);
	return got < 0 ? got : 0;
}

static enum zk_zip_hook_state state_of(zk_str name)
{
	for (int i = ZK_ZIP_HOOK_NEW; i <= ZK_ZIP_HOOK_FAILED; i++)
		if (zk_str_eq(name, zk_str_of(zk_zip_hook_state_name(i))))
			return i;
	return ZK_ZIP_HOOK_FAILED;
}

int zk_zip_hook_reader_next(struct zk_zip_hook_reader *r, int64_t after, int state,
                            int64_t since_us, struct zk_zip_hook_row *row,
                            struct zk_error *err)
{
	struct zk_stmt *st = r->next;
	int got;

	zk_stmt_reset(st);
	zk_bind_i64(st, 1, after);
	zk_bind_text(st, 2,
	             state < 0 ? ZK_STR_NULL
	                       : zk_str_of(zk_zip_hook_state_name(
	                                 (enum zk_zip_hook_state)state)));
	zk_bind_i64(st, 3, since_us);
	got = zk_stmt_step(st, err);
	if (got <= 0)
		return got;
	*row = (struct zk_zip_hook_row){
		.seq = zk_col_i64(st, 0),
		.id = zk_col_text(st, 1),
		.type = zk_col_text(st, 2),
		.payload = zk_col_text(st, 3),
		.state = state_of(zk_col_text(st, 4)),
		.received_us = zk_col_i64(st, 5),
		.attempts = (unsigned)zk_col_i64(st, 6),
		.error = zk_col_text(st, 7),
	};
	return 1;
}

int zk_zip_hook_reader_mark(struct zk_zip_hook_reader *r, int64_t seq,
                            enum zk_zip_hook_state state, unsigned attempts, zk_str why,
                            struct zk_error *err)
{
	struct op op = { .seq = seq, .state = state, .attempts = attempts };
	int rc;

	op.why = why.n ? zk_strndup(why.p, why.n) : NULL;
	rc = mark_row(r->mark, &op, err);
	free(op.why);
	return rc;
}
