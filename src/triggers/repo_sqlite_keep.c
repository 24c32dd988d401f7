/* The SQLite store: retention (specs/triggers.md §11.5).
 * Layer: triggers. Writer lane. A run is a chain of steps, each a transaction of at most
 * ZK_LITE_STEP_ROWS rows; the loop pauses between them. */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "triggers/repo_sqlite.h"

#include "base/ban.h"

enum {
	OLD_ORG,
	OLD_ROWS,
	DROP_DELIVERY,
	DROP_EVENT,
	DROP_ATTEMPTS,
	SWEEP_END,
	SWEEP,
	SWEEP_REST,
	SWEEP_REST_COUNT,
	FREELIST,
	PAGES,
	VACUUM,
	N_SQL,
};

#define VISITS_PER_STEP   500              /* organizations */
#define SWEEP_ROWS        ((uint64_t)500)  /* rows of the sweep in a step, looked at */
#define SWEEP_MIN         ((uint64_t)5000) /* and in a run, at least */
#define SWEEP_MAX         ((uint64_t)1000000)
#define RUNS_PER_PASS     60 /* a pass through all deduplication rows takes about an hour */
#define VACUUM_PAGES      64  /* per step; the number stands in the statement too */
#define VACUUM_KEEP       256 /* free pages that stay for new events */
#define VACUUM_KEEP_SHARE 20  /* or a twentieth of the file */

static const char *const sql[N_SQL] = {
	[OLD_ORG] = "SELECT organization_id,event_id FROM event_deliveries"
	            " WHERE status=?1 AND organization_id>?2"
	            " ORDER BY organization_id,event_id LIMIT 1",
	[OLD_ROWS] = "SELECT event_id,seq FROM event_deliveries"
	             " WHERE status=?1 AND organization_id=?2 AND event_id<?3"
	             " ORDER BY event_id LIMIT ?4",
	[DROP_DELIVERY] = "DELETE FROM event_deliveries"
	                  " WHERE status=?1 AND organization_id=?2 AND event_id=?3",
	[DROP_EVENT] = "DELETE FROM events WHERE seq=?1",
	[DROP_ATTEMPTS] = "DELETE FROM delivery_attempts WHERE event_id=?1",
	[SWEEP_END] = "SELECT organization_id,dedup_id FROM deduplication_cache"
	              " WHERE (organization_id,dedup_id)>(?1,?2)"
	              " ORDER BY organization_id,dedup_id LIMIT 1 OFFSET ?3",
	[SWEEP] =
	        "DELETE FROM deduplication_cache WHERE (organization_id,dedup_id)>(?1,?2)"
	        " AND (organization_id,dedup_id)<=(?3,?4) AND expires_at<=?5",
	[SWEEP_REST_COUNT] = "SELECT count(*) FROM deduplication_cache"
	                     " WHERE (organization_id,dedup_id)>(?1,?2)",
	[SWEEP_REST] =
	        "DELETE FROM deduplication_cache WHERE (organization_id,dedup_id)>(?1,?2)"
	        " AND expires_at<=?3",
	[FREELIST] = "PRAGMA freelist_count",
	[PAGES] = "PRAGMA page_count",
	[VACUUM] = "PRAGMA incremental_vacuum(64)",
};

enum { START, EVENTS, DEDUP, FREE_PAGES, END };

int zk_lite_keep_init(struct zk_lite_writer *w, struct zk_error *err)
{
	return zk_lite_prepare(w->db, sql, N_SQL, w->house, err);
}

void zk_lite_keep_done(struct zk_lite_keep *k)
{
	free(k->sweep_id);
	k->sweep_id = NULL;
}

/* ---- events ------------------------------------------------------------------------------- */

struct old_row {
	zk_uuid id;
	int64_t seq;
};

static int drop(struct zk_lite_writer *w, const struct old_row *row, struct zk_error *err)
{
	struct zk_lite_keep *k = &w->keep;

	zk_bind_i64(w->house[DROP_DELIVERY], 1, k->state);
	zk_lite_bind_id(w->house[DROP_DELIVERY], 2, &k->org);
	zk_lite_bind_id(w->house[DROP_DELIVERY], 3, &row->id);
	if (zk_stmt_run(w->house[DROP_DELIVERY], err) < 0)
		return zk_lite_code(err);
	zk_bind_i64(w->house[DROP_EVENT], 1, row->seq);
	if (zk_stmt_run(w->house[DROP_EVENT], err) < 0)
		return zk_lite_code(err);
	zk_lite_bind_id(w->house[DROP_ATTEMPTS], 1, &row->id);
	return zk_stmt_run(w->house[DROP_ATTEMPTS], err);
}

/* The oldest rows of the current organization and state. Returns how many there were. */
static int drop_some(struct zk_lite_writer *w, const zk_uuid *before, int max,
                     struct zk_error *err)
{
	struct zk_lite_keep *k = &w->keep;
	struct zk_stmt *st = w->house[OLD_ROWS];
	struct old_row rows[ZK_LITE_STEP_ROWS];
	int n = 0, r = 1;

	zk_bind_i64(st, 1, k->state);
	zk_lite_bind_id(st, 2, &k->org);
	zk_lite_bind_id(st, 3, before);
	zk_bind_i64(st, 4, max);
	while (n < max && (r = zk_stmt_step(st, err)) > 0)
		rows[n++] = (struct old_row){ zk_lite_col_id(st, 0), zk_col_i64(st, 1) };
	zk_stmt_reset(st);
	if (r < 0)
		return r;
	for (int i = 0; i < n; i++) {
		if (drop(w, &rows[i], err) < 0)
			return zk_lite_code(err);
	}
	return n;
}

/* The next organization that has a row of this state before the cutoff. 1, 0 or negative. */
static int next_old_org(struct zk_lite_writer *w, const zk_uuid *before, unsigned *visits,
                        struct zk_error *err)
{
	struct zk_lite_keep *k = &w->keep;
	struct zk_stmt *st = w->house[OLD_ORG];

	while ((*visits)++ < VISITS_PER_STEP) {
		zk_bind_i64(st, 1, k->state);
		zk_lite_bind_id(st, 2, &k->org);
		int r = zk_stmt_step(st, err);

		if (r <= 0)
			return r;
		k->org = zk_lite_col_id(st, 0);
		zk_uuid oldest = zk_lite_col_id(st, 1);

		zk_stmt_reset(st);
		if (memcmp(&oldest, before, sizeof(oldest)) < 0) {
			k->has_org = true;
			return 1;
		}
	}
	return 1; /* has_org is false: go on in the next step */
}

/* Ids from this one on are young enough. */
static zk_uuid cutoff(int64_t retain_us)
{
	int64_t ms = (zk_wall_us() - retain_us) / 1000;
	zk_uuid id = { { 0 } };

	for (unsigned i = 0; ms > 0 && i < 6; i++)
		id.b[i] = (uint8_t)(ms >> (40 - 8 * i));
	return id;
}

static void next_state(struct zk_lite_keep *k)
{
	k->has_org = false;
	memset(&k->org, 0, sizeof(k->org));
	if (++k->state == ZK_LITE_STATES)
		k->phase = DEDUP;
}

static int events_step(struct zk_lite_writer *w, struct zk_error *err)
{
	struct zk_lite_keep *k = &w->keep;
	int left = ZK_LITE_STEP_ROWS;
	unsigned visits = 0;

	while (k->phase == EVENTS && left > 0 && visits < VISITS_PER_STEP) {
		int64_t retain_us = w->retain_us[k->state];
		zk_uuid before = cutoff(retain_us);
		int n = 1;

		if (retain_us && !k->has_org)
			n = next_old_org(w, &before, &visits, err);
		if (n < 0)
			return n;
		if (!retain_us || n == 0) {
			next_state(k);
			continue;
		}
		if (!k->has_org)
			continue;
		n = drop_some(w, &before, left, err);
		if (n < 0)
			return n;
		k->has_org = n == left;
		k->events += (uint64_t)n;
		left -= n;
	}
	return 0;
}

/* ---- deduplication rows ------------------------------------------------------------------- */

static void bind_from(struct zk_lite_writer *w, struct zk_stmt *st)
{
	struct zk_lite_keep *k = &w->keep;

	zk_bind_blob(st, 1,
	             zk_str_n(k->sweep_org, k->sweeping ? sizeof(k->sweep_org) : 0));
	zk_bind_text(st, 2, zk_str_n(k->sweep_id ? k->sweep_id : "", k->sweep_id_n));
}

/* The last rows of a pass; the next one begins at the first row. */
static int sweep_rest(struct zk_lite_writer *w, int64_t now_us, struct zk_error *err)
{
	struct zk_lite_keep *k = &w->keep;
	struct zk_stmt *st = w->house[SWEEP_REST_COUNT];
	int r;

	bind_from(w, st);
	r = zk_stmt_step(st, err);
	if (r < 0)
		return r;
	k->swept += r > 0 ? (uint64_t)zk_col_i64(st, 0) : 0;
	zk_stmt_reset(st);
	st = w->house[SWEEP_REST];
	bind_from(w, st);
	zk_bind_i64(st, 3, now_us);
	if (zk_stmt_run(st, err) < 0)
		return zk_lite_code(err);
	k->dedups += (uint64_t)zk_db_changes(w->db);
	k->swept_last_pass = k->swept;
	k->swept = 0;
	k->sweeping = false;
	k->sweep_id_n = 0;
	k->phase = FREE_PAGES;
	return 0;
}

/* Looks at the next SWEEP_ROWS rows in key order and deletes the expired ones. */
static int sweep_step(struct zk_lite_writer *w, struct zk_error *err)
{
	struct zk_lite_keep *k = &w->keep;
	struct zk_stmt *st = w->house[SWEEP_END];
	int64_t now_us = zk_wall_us();
	char org[16] = { 0 };
	int r;

	bind_from(w, st);
	zk_bind_i64(st, 3, (int64_t)SWEEP_ROWS - 1);
	r = zk_stmt_step(st, err);
	if (r < 0)
		return r;
	if (r == 0)
		return sweep_rest(w, now_us, err);
	zk_uuid end = zk_lite_col_id(st, 0);
	zk_str text = zk_col_text(st, 1);
	char *id = zk_strndup(text.n ? text.p : "", text.n);
	size_t id_n = text.n;

	memcpy(org, end.b, sizeof(org));
	zk_stmt_reset(st);
	st = w->house[SWEEP];
	bind_from(w, st);
	zk_bind_blob(st, 3, zk_str_n(org, sizeof(org)));
	zk_bind_text(st, 4, zk_str_n(id, id_n));
	zk_bind_i64(st, 5, now_us);
	if (zk_stmt_run(st, err) < 0) {
		free(id);
		return zk_lite_code(err);
	}
	k->dedups += (uint64_t)zk_db_changes(w->db);
	memcpy(k->sweep_org, org, sizeof(org));
	free(k->sweep_id);
	k->sweep_id = id;
	k->sweep_id_n = id_n;
	k->sweeping = true;
	k->swept += SWEEP_ROWS;
	k->sweep_budget -= ZK_MIN(k->sweep_budget, SWEEP_ROWS);
	if (!k->sweep_budget)
		k->phase = FREE_PAGES;
	return 0;
}

/* ---- free pages --------------------------------------------------------------------------- */

static int read_number(struct zk_stmt *st, uint64_t *ret, struct zk_error *err)
{
	int r = zk_stmt_step(st, err);

	*ret = r > 0 ? (uint64_t)zk_col_i64(st, 0) : 0;
	zk_stmt_reset(st);
	return r < 0 ? r : 0;
}

/* Gives pages back to the file system while more are free than the next events will use. */
static int vacuum_step(struct zk_lite_writer *w, struct zk_error *err)
{
	struct zk_lite_keep *k = &w->keep;
	uint64_t free_pages, pages;

	if (read_number(w->house[FREELIST], &free_pages, err) < 0 ||
	    read_number(w->house[PAGES], &pages, err) < 0)
		return zk_lite_code(err);
	if (free_pages <= ZK_MAX((uint64_t)VACUUM_KEEP, pages / VACUUM_KEEP_SHARE)) {
		k->phase = END;
		return 0;
	}
	k->pages += ZK_MIN(free_pages, (uint64_t)VACUUM_PAGES);
	return zk_stmt_run(w->house[VACUUM], err);
}

/* ---- a run -------------------------------------------------------------------------------- */

static void start(struct zk_lite_keep *k)
{
	k->phase = EVENTS;
	k->state = ZK_LITE_PENDING;
	k->has_org = false;
	memset(&k->org, 0, sizeof(k->org));
	k->events = k->dedups = k->pages = 0;
	k->sweep_budget =
	        ZK_MIN(ZK_MAX(k->swept_last_pass / RUNS_PER_PASS, SWEEP_MIN), SWEEP_MAX);
}

static void finish(struct zk_lite_keep *k)
{
	k->phase = START;
	ZK_LOG_AT(k->events || k->dedups || k->pages ? ZK_LOG_INFO : ZK_LOG_DEBUG,
	          "retention", "events=%llu dedup_rows=%llu pages=%llu",
	          (unsigned long long)k->events, (unsigned long long)k->dedups,
	          (unsigned long long)k->pages);
}

/* In a transaction. */
static int step(struct zk_lite_writer *w, struct zk_error *err)
{
	if (zk_lite_begin(w, err) < 0)
		return zk_lite_code(err);
	if ((w->keep.phase == EVENTS ? events_step(w, err) : sweep_step(w, err)) < 0)
		return zk_lite_code(err);
	return zk_lite_commit(w, err);
}

int zk_lite_keep_step(struct zk_lite_writer *w, struct zk_trig_op *op,
                      struct zk_error *err)
{
	struct zk_lite_keep *k = &w->keep;
	int r;

	if (k->phase == START || op->step == 0)
		start(k);
	op->step++;
	r = k->phase == FREE_PAGES ? vacuum_step(w, err) : step(w, err);
	if (r < 0) {
		k->phase = START;
		return r;
	}
	op->again = k->phase != END;
	if (!op->again)
		finish(k);
	return 0;
}
