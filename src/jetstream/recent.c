/* The last events of a store.
 * Layer: jetstream. */
#include "jetstream/recent.h"

#include <stdbool.h>
#include <stdlib.h>

#include "base/mem.h"
#include "jetstream/dedup.h"
#include "jetstream/event.h"
#include "jetstream/ledger.h"
#include "jetstream/store.h"

#define ZK_LOGGER "jetstream"
#include "base/log.h"

#include "base/ban.h"

struct walk {
	struct zk_jet_decoder decoder;
	struct zk_buf key;
	int (*fn)(struct walk *w, const struct zk_jet_event *e, struct zk_error *err);
	zk_jet_recent_fn *each;
	void *ctx;
	struct zk_stmt *put;
	/* How far back: known from the newest file that has times on. */
	bool has_since, passed;
	int64_t since_us;
	size_t left;
};

static void walk_init(struct walk *w)
{
	*w = (struct walk){ .left = ZK_JET_DEDUP_EVENTS };
	zk_jet_decoder_init(&w->decoder, /* records */ false);
	zk_buf_init(&w->key, ZK_JET_EVENT_MAX);
}

static void walk_done(struct walk *w)
{
	zk_jet_decoder_done(&w->decoder);
	zk_buf_done(&w->key);
}

/* The newest time is that of the last rows: a host may be a little out of order. */
static int find_since(struct walk *w, struct zk_db *db, struct zk_error *err)
{
	struct zk_stmt *st;
	int r;

	if (w->has_since)
		return 0;
	if (zk_db_prepare(db,
	                  "SELECT max(time_us) FROM (SELECT time_us FROM records "
	                  "ORDER BY id DESC LIMIT 1000)",
	                  &st, err) < 0)
		return -(int)err->code;
	r = zk_stmt_step(st, err);
	if (r == 1 && !zk_col_is_null(st, 0)) {
		w->since_us = zk_col_i64(st, 0) - ZK_JET_RECENT_US;
		w->has_since = true;
	}
	zk_stmt_free(st);
	return r < 0 ? r : 0;
}

/* The first row of `db` that counts; 0 = none does. There is no index over times in a live file,
 * and none is needed: from the end, by id. */
static int find_first(struct walk *w, struct zk_db *db, int64_t *ret,
                      struct zk_error *err)
{
	struct zk_stmt *st;
	int r = 0;

	*ret = 0;
	if (find_since(w, db, err) < 0 ||
	    zk_db_prepare(db, "SELECT id, time_us FROM records ORDER BY id DESC", &st,
	                  err) < 0)
		return -(int)err->code;
	while (w->left && (r = zk_stmt_step(st, err)) == 1) {
		w->passed = w->has_since && !zk_col_is_null(st, 1) &&
		            zk_col_i64(st, 1) < w->since_us;
		if (w->passed)
			break;
		*ret = zk_col_i64(st, 0);
		w->left--;
	}
	w->passed = w->passed || !w->left;
	zk_stmt_free(st);
	return r < 0 ? r : 0;
}

static int walk_rows(struct walk *w, struct zk_db *db, int64_t first,
                     struct zk_error *err)
{
	struct zk_jet_event e;
	struct zk_stmt *st;
	int r;

	if (zk_db_prepare(db, "SELECT message FROM records WHERE id>=? ORDER BY id", &st,
	                  err) < 0)
		return -(int)err->code;
	zk_bind_i64(st, 1, first);
	while ((r = zk_stmt_step(st, err)) == 1) {
		if (zk_jet_decode(&w->decoder, zk_col_text(st, 0), &e) != ZK_JET_ALIVE)
			continue;
		zk_buf_clear(&w->key);
		zk_jet_key(&e, &w->key);
		r = w->fn(w, &e, err);
		if (r < 0)
			break;
	}
	zk_stmt_free(st);
	return r < 0 ? r : 0;
}

/* ---- into the ledger ---- */

static int put(struct walk *w, const struct zk_jet_event *e, struct zk_error *err)
{
	zk_bind_text(w->put, 1, zk_buf_str(&w->key));
	zk_bind_i64(w->put, 2, zk_jet_dedup_text(e->raw));
	if (e->has_time)
		zk_bind_i64(w->put, 3, e->time_us);
	return zk_stmt_run(w->put, err);
}

static int drop_old(struct zk_db *ledger, struct zk_error *err)
{
	char *sql = zk_asprintf("DELETE FROM recent WHERE time_us < "
	                        "(SELECT max(time_us) FROM recent) - %lld OR id <= "
	                        "(SELECT max(id) FROM recent) - %d",
	                        (long long)ZK_JET_RECENT_US, ZK_JET_DEDUP_EVENTS);
	int r = zk_db_exec(ledger, sql, err);

	free(sql);
	return r;
}

int zk_jet_recent_note(struct zk_db *ledger, struct zk_db *file, struct zk_error *err)
{
	struct walk w;
	int64_t first;
	int r;

	walk_init(&w);
	w.fn = put;
	r = find_first(&w, file, &first, err);
	if (r == 0)
		r = zk_db_exec(ledger, "BEGIN IMMEDIATE", err);
	if (r == 0) {
		r = zk_db_prepare(ledger,
		                  "INSERT OR REPLACE INTO recent(key, text, time_us) "
		                  "VALUES(?,?,?)",
		                  &w.put, err);
		if (r == 0 && first)
			r = walk_rows(&w, file, first, err);
		zk_stmt_free(w.put);
		if (r == 0)
			r = drop_old(ledger, err);
		if (r == 0)
			r = zk_db_exec(ledger, "COMMIT", err);
		if (r < 0)
			zk_db_rollback(ledger);
	}
	walk_done(&w);
	return r;
}

/* ---- at the start ---- */

static int pass_on(struct walk *w, const struct zk_jet_event *e, struct zk_error *err)
{
	(void)err;
	w->each(w->ctx, zk_buf_str(&w->key), zk_jet_dedup_text(e->raw));
	return 0;
}

static void each_of_ledger(struct walk *w, const char *dir)
{
	struct zk_db *ledger = NULL;
	struct zk_error ignored;
	struct zk_stmt *st;

	if (zk_jet_ledger_open(dir, &ledger, &ignored) < 0)
		return;
	if (zk_db_prepare(ledger,
	                  "SELECT key, text FROM recent WHERE time_us IS NULL OR "
	                  "time_us >= ? ORDER BY id",
	                  &st, &ignored) == 0) {
		zk_bind_i64(st, 1, w->has_since ? w->since_us : INT64_MIN);
		while (zk_stmt_step(st, &ignored) == 1)
			w->each(w->ctx, zk_col_text(st, 0), (uint32_t)zk_col_i64(st, 1));
		zk_stmt_free(st);
	}
	zk_db_close(ledger);
}

/* From this file on back: those before it first, as they are older. */
static void each_of_files(struct walk *w, const char *dir,
                          const struct zk_jet_files *files, size_t i)
{
	struct zk_error err = { 0 };
	struct zk_db *db = NULL;
	int64_t first = 0;
	char *path;
	int r;

	while (i-- > 0 && !files->v[i].plain)
		;
	if (i == SIZE_MAX) {
		each_of_ledger(w, dir);
		return;
	}
	path = zk_asprintf("%s/%s", dir, files->v[i].name);
	r = zk_jet_file_open(path, &db, &err);
	if (r == 0)
		r = find_first(w, db, &first, &err);
	if (!w->passed)
		each_of_files(w, dir, files, i);
	if (r == 0 && first)
		r = walk_rows(w, db, first, &err);
	/* Of a switch that was cut off, or another program has packed it meanwhile. */
	if (r < 0) {
		zk_debug("the last events of a file are not known", "file=%s why=%s",
		         files->v[i].name, err.msg);
		each_of_ledger(w, dir);
	}
	zk_db_close(db);
	free(path);
}

void zk_jet_recent_each(const char *dir, zk_jet_recent_fn *fn, void *ctx)
{
	struct zk_jet_files files;
	struct zk_error err;
	struct walk w;

	if (zk_jet_files_list(dir, &files, &err) < 0)
		return;
	walk_init(&w);
	w.fn = pass_on;
	w.each = fn;
	w.ctx = ctx;
	each_of_files(&w, dir, &files, files.n);
	walk_done(&w);
	zk_jet_files_done(&files);
}
