/* The SQLite store: the writer lane. Everything that waits becomes one transaction.
 * Layer: triggers. Writer lane. specs/triggers.md §11.1, §11.3. */
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "base/clock.h"
#include "base/log.h"
#include "rt/metrics.h"
#include "triggers/repo_sqlite.h"

#include "base/ban.h"

enum { BEGIN, COMMIT, PROBE, PAGE_COUNT, FIRST_SEQ, LAST_SEQ, N_SQL };

static const char *const sql[N_SQL] = {
	[BEGIN] = "BEGIN IMMEDIATE",
	[COMMIT] = "COMMIT",
	[PROBE] = "INSERT OR REPLACE INTO server_state VALUES('probe',?1)",
	[PAGE_COUNT] = "PRAGMA page_count",
	[FIRST_SEQ] = "SELECT min(seq) FROM events",
	[LAST_SEQ] = "SELECT max(seq) FROM events",
};

/* Acknowledgements of up to so many ids travel with others; longer ones go alone. */
#define LIGHT_ACKS 16

static void on_wal(void *ctx, int pages)
{
	struct zk_lite_writer *w = ctx;

	w->wal_pages = pages;
	atomic_store_explicit(&w->shared->wal_pages, pages, memory_order_relaxed);
}

/* Is the file that is open still the one that has the name? */
static void look_at_file(struct zk_lite_writer *w)
{
	struct stat st;
	bool found = stat(zk_db_path(w->db), &st) == 0;

	if (!w->ino && found) {
		w->dev = st.st_dev;
		w->ino = st.st_ino;
	}
	w->gone = !found || st.st_dev != w->dev || st.st_ino != w->ino;
}

int zk_lite_writer_init(struct zk_lite_writer *w, struct zk_error *err)
{
	look_at_file(w);
	zk_db_on_wal(w->db, on_wal, w);
	if (zk_lite_prepare(w->db, sql, N_SQL, w->tx, err) < 0 ||
	    zk_lite_ingest_init(w, err) < 0 || zk_lite_hot_init(w, err) < 0 ||
	    zk_lite_admin_init(w, err) < 0 || zk_lite_keep_init(w, err) < 0 ||
	    zk_lite_walker_init(&w->walker, w->db, err) < 0)
		return zk_lite_code(err);
	return 0;
}

/* ---- transactions ------------------------------------------------------------------------- */

int zk_lite_begin(struct zk_lite_writer *w, struct zk_error *err)
{
	/* What is written to a file without a name is lost at the next start. */
	if (w->gone) {
		(void)zk_fail(err, ZK_E_STORE,
		              "the database file '%s' was removed or replaced",
		              zk_db_path(w->db));
		return zk_err_hint(err, "put it back, or restart the server");
	}
	return zk_stmt_run(w->tx[BEGIN], err);
}

int zk_lite_commit(struct zk_lite_writer *w, struct zk_error *err)
{
	return zk_stmt_run(w->tx[COMMIT], err);
}

void zk_lite_rollback(struct zk_lite_writer *w)
{
	zk_db_rollback(w->db);
}

/* ---- operations --------------------------------------------------------------------------- */

static struct zk_trig_op *op_of(struct zk_job *job)
{
	return ZK_CONTAINER_OF(job, struct zk_trig_op, job);
}

static int apply(struct zk_lite_writer *w, struct zk_trig_op *op, struct zk_error *err)
{
	op->code = 0;
	switch ((enum zk_lite_kind)op->kind) {
	case ZK_LITE_INGEST:
		return zk_lite_ingest(w, ZK_CONTAINER_OF(op, struct zk_trig_ingest, op),
		                      err);
	case ZK_LITE_ACK:
		return zk_lite_ack(w, ZK_CONTAINER_OF(op, struct zk_trig_ack, op), err);
	case ZK_LITE_OUTCOME:
		return zk_lite_outcome(w, ZK_CONTAINER_OF(op, struct zk_trig_outcome, op),
		                       err);
	case ZK_LITE_CREATE:
		return zk_lite_create(w, ZK_CONTAINER_OF(op, struct zk_trig_create, op),
		                      err);
	case ZK_LITE_ROTATE:
		return zk_lite_rotate(w, ZK_CONTAINER_OF(op, struct zk_trig_rotate, op),
		                      err);
	case ZK_LITE_KEY_UPDATE:
		return zk_lite_key_update(
		        w, ZK_CONTAINER_OF(op, struct zk_trig_key_update, op), err);
	case ZK_LITE_WEBHOOK:
	case ZK_LITE_HEAL:
		return zk_lite_webhook(w, ZK_CONTAINER_OF(op, struct zk_trig_webhook, op),
		                       err);
	case ZK_LITE_REPLAY:
		return zk_lite_replay(w, ZK_CONTAINER_OF(op, struct zk_trig_replay, op),
		                      err);
	case ZK_LITE_PROBE:
		return zk_lite_probe(w, err);
	case ZK_LITE_KEEP:
	case ZK_LITE_FIND_KEY:
	case ZK_LITE_FIND_ORG:
	case ZK_LITE_PAGE:
	case ZK_LITE_EVENT:
	case ZK_LITE_CLAIM:
	case ZK_LITE_COUNT:
	case ZK_LITE_CHECKPOINT:
	case ZK_LITE_KINDS:
		break;
	}
	return zk_fail(err, ZK_E_BUG, "operation %u is not the writer's", op->kind);
}

/* What may take long, or has steps to come back for, gets a transaction of its own. */
static bool goes_alone(const struct zk_trig_op *op)
{
	switch ((enum zk_lite_kind)op->kind) {
	case ZK_LITE_WEBHOOK:
	case ZK_LITE_HEAL:
	case ZK_LITE_KEEP:
	case ZK_LITE_PROBE:
		return true;
	case ZK_LITE_REPLAY:
		return !ZK_CONTAINER_OF(op, const struct zk_trig_replay, op)->one;
	case ZK_LITE_ACK:
		return ZK_CONTAINER_OF(op, const struct zk_trig_ack, op)->n > LIGHT_ACKS;
	case ZK_LITE_INGEST:
	case ZK_LITE_CREATE:
	case ZK_LITE_ROTATE:
	case ZK_LITE_KEY_UPDATE:
	case ZK_LITE_OUTCOME:
	case ZK_LITE_FIND_KEY:
	case ZK_LITE_FIND_ORG:
	case ZK_LITE_PAGE:
	case ZK_LITE_EVENT:
	case ZK_LITE_CLAIM:
	case ZK_LITE_COUNT:
	case ZK_LITE_CHECKPOINT:
	case ZK_LITE_KINDS:
		break;
	}
	return false;
}

/* Rows that one job adds to a transaction. */
static size_t weight_of(const struct zk_trig_op *op)
{
	size_t n = 0;

	if (op->kind != ZK_LITE_INGEST)
		return 1;
	for (const struct zk_trig_ingest *in =
	             ZK_CONTAINER_OF(op, const struct zk_trig_ingest, op);
	     in; in = in->next)
		n++;
	return n;
}

/* ---- batches ------------------------------------------------------------------------------ */

/* Jobs [first, end) of a batch. */
struct group {
	struct zk_job *first, *end;
	size_t jobs, rows;
};

static int try_group(struct zk_lite_writer *w, const struct group *g,
                     struct zk_error *err)
{
	int64_t start_us = zk_mono_us();

	if (op_of(g->first)->kind == ZK_LITE_PROBE)
		look_at_file(w);
	int r = zk_lite_begin(w, err);

	zk_lite_ingest_begin(w);
	for (struct zk_job *job = g->first; r == 0 && job != g->end; job = job->next) {
		struct zk_trig_op *op = op_of(job);

		if (!goes_alone(op))
			op->step = 0; /* an earlier try was rolled back */
		if (op->kind != ZK_LITE_INGEST)
			r = zk_lite_ingest_end(w, err);
		if (r == 0)
			r = apply(w, op, err);
	}
	if (r == 0)
		r = zk_lite_ingest_end(w, err);
	if (r == 0)
		r = zk_lite_commit(w, err);
	if (r < 0) {
		zk_lite_rollback(w);
		return r;
	}
	if (w->batch_events) {
		zk_histogram_observe(w->batch_events, (double)g->rows);
		zk_histogram_observe(w->commit_seconds,
		                     (double)(zk_mono_us() - start_us) / 1e6);
	}
	return 0;
}

static void fail_group(const struct group *g, const struct zk_error *err)
{
	for (struct zk_job *job = g->first; job != g->end; job = job->next) {
		op_of(job)->again = false;
		zk_trig_op_failed(op_of(job), err);
	}
}

/* An oversized burst does not fail a small event: after a full disk or a failed write each half
 * gets one more try (§11.3). */
static void retry_halves(struct zk_lite_writer *w, const struct group *g)
{
	struct group half = { .first = g->first };
	struct zk_error err = { 0 };

	while (half.first != g->end) {
		half.end = half.first;
		half.rows = half.jobs = 0;
		while (half.end != g->end &&
		       (half.first != g->first || half.jobs < g->jobs / 2)) {
			half.rows += weight_of(op_of(half.end));
			half.jobs++;
			half.end = half.end->next;
		}
		if (try_group(w, &half, &err) < 0)
			fail_group(&half, &err);
		half.first = half.end;
	}
}

static void commit_group(struct zk_lite_writer *w, const struct group *g)
{
	struct zk_error err = { 0 };

	if (try_group(w, g, &err) == 0)
		return;
	zk_logerr("store.write_failed", "jobs=%zu rows=%zu error=%s cause=%s", g->jobs,
	          g->rows, err.msg, err.why);
	if (g->jobs > 1 && (err.code == ZK_E_STORE_FULL || err.code == ZK_E_STORE))
		retry_halves(w, g);
	else
		fail_group(g, &err);
}

static void keep_step(struct zk_lite_writer *w, struct zk_trig_op *op)
{
	struct zk_error err = { 0 };

	op->code = 0;
	if (zk_lite_keep_step(w, op, &err) == 0)
		return;
	zk_lite_rollback(w);
	op->again = false;
	zk_trig_op_failed(op, &err);
	zk_warn("retention failed", "error=%s", err.msg);
}

/* The longest run of jobs that fits one transaction. */
static struct group next_group(struct zk_job *first)
{
	struct group g = { .first = first };
	size_t bytes = 0;

	for (struct zk_job *job = first; job; job = job->next) {
		size_t rows = weight_of(op_of(job));
		bool alone = goes_alone(op_of(job));

		if (g.jobs && (alone || g.rows + rows > ZK_LITE_BATCH_EVENTS ||
		               bytes + job->bytes > ZK_LITE_BATCH_BYTES))
			break;
		g.rows += rows;
		g.jobs++;
		bytes += job->bytes;
		g.end = job->next;
		if (alone)
			break;
	}
	return g;
}

/* 1 = everything is in the file and the next transaction starts the log over, 0 = not yet. */
static int checkpoint(struct zk_lite_writer *w)
{
	struct zk_error err = { 0 };
	int pages, moved;
	bool busy;

	if (zk_db_checkpoint(w->db, ZK_CHECKPOINT_PASSIVE, &pages, &moved, &busy, &err) <
	    0) {
		zk_warn("checkpoint failed", "error=%s", err.msg);
		return 1;
	}
	if (busy)
		return 0;
	if (moved == pages)
		w->wal_pages = 0; /* until the next commit says more */
	return 1;
}

/* The checkpoint lane has copied nearly all of it; copying the rest here lets the next
 * transaction start the log over. Busy: the lane is at it, so after the next batch (§11.3). When
 * the disk is so slow that the log would outgrow its bound meanwhile, the writer waits for it. */
static void help_checkpoint(struct zk_lite_writer *w)
{
	struct timespec pause = { .tv_nsec = 2000000 };
	int tries = w->wal_pages > ZK_LITE_WAIT_WAL ? 500 : 1;

	while (tries-- > 0 && !checkpoint(w)) {
		if (tries)
			(void)nanosleep(&pause, NULL);
	}
}

void zk_lite_writer_run(void *ctx, struct zk_job *batch, size_t n)
{
	struct zk_lite_writer *w = ctx;
	struct zk_job *job = batch;

	(void)n;
	while (job) {
		struct group g = next_group(job);

		if (w->wal_pages > ZK_LITE_MAX_WAL)
			help_checkpoint(w);
		if (op_of(g.first)->kind == ZK_LITE_KEEP)
			keep_step(w, op_of(g.first));
		else
			commit_group(w, &g);
		job = g.end;
	}
}

/* ---- the probe ---------------------------------------------------------------------------- */

static int read_number(struct zk_stmt *st, int64_t *ret, struct zk_error *err)
{
	int r = zk_stmt_step(st, err);

	*ret = r > 0 ? zk_col_i64(st, 0) : 0;
	zk_stmt_reset(st);
	return r < 0 ? r : 0;
}

/* Writes one row, so that its commit says whether the store can be written, and takes the figures
 * of the health answers. */
int zk_lite_probe(struct zk_lite_writer *w, struct zk_error *err)
{
	int64_t pages, first, last;

	zk_bind_i64(w->tx[PROBE], 1, zk_wall_us());
	if (zk_stmt_run(w->tx[PROBE], err) < 0 ||
	    read_number(w->tx[PAGE_COUNT], &pages, err) < 0 ||
	    read_number(w->tx[FIRST_SEQ], &first, err) < 0 ||
	    read_number(w->tx[LAST_SEQ], &last, err) < 0)
		return zk_lite_code(err);
	atomic_store_explicit(&w->shared->db_bytes, pages * 4096, memory_order_relaxed);
	atomic_store_explicit(&w->shared->first_seq, first, memory_order_relaxed);
	atomic_store_explicit(&w->shared->last_seq, last, memory_order_relaxed);
	return 0;
}
