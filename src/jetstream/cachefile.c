/* Saved caches.
 * Layer: jetstream. */
#include "jetstream/cachefile.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "jetstream/hydrate.h"
#include "store/sqlite.h"

#include "base/ban.h"

static const char *const schema[] = {
	"CREATE TABLE cache(kind INTEGER, id TEXT, json TEXT, put_us INTEGER)",
};

struct writer {
	struct zk_stmt *st;
	int kind;
	int64_t now_us;
	struct zk_error *err;
	int r;
};

static void put(void *ctx, zk_str id, const struct zk_jet_obj *obj, int64_t age_ms)
{
	struct writer *w = ctx;

	if (w->r < 0)
		return;
	zk_bind_i64(w->st, 1, w->kind);
	zk_bind_text(w->st, 2, id);
	zk_bind_text(w->st, 3, zk_jet_obj_str(obj));
	zk_bind_i64(w->st, 4, w->now_us - age_ms * 1000);
	w->r = zk_stmt_run(w->st, w->err);
}

static int fill(struct zk_db *db, struct zk_jet_hydrator *h, struct zk_error *err)
{
	struct writer w = { .now_us = zk_wall_us(), .err = err };

	if (zk_db_migrate(db, schema, ZK_ARRAY_LEN(schema), NULL, err) < 0 ||
	    zk_db_prepare(db, "INSERT INTO cache VALUES(?,?,?,?)", &w.st, err) < 0 ||
	    zk_db_exec(db, "BEGIN", err) < 0)
		return -(int)err->code;
	for (w.kind = 0; w.kind < 2; w.kind++)
		zk_jet_cache_each(zk_jet_hydrator_cache(h, w.kind), zk_mono_ms(), put,
		                  &w);
	if (w.r == 0)
		w.r = zk_db_exec(db, "COMMIT; PRAGMA journal_mode=DELETE", err);
	return w.r;
}

int zk_jet_cachefile_save(const char *dir, struct zk_jet_hydrator *h,
                          struct zk_error *err)
{
	char *path = zk_asprintf("%s/cache.db", dir), *tmp = zk_asprintf("%s.tmp", path);
	struct zk_db_conf conf = { .path = tmp, .flags = ZK_DB_CREATE };
	struct zk_db *db = NULL;
	int r;

	(void)unlink(tmp); /* there may be none */
	r = zk_db_open(&conf, &db, err);
	if (r == 0)
		r = fill(db, h, err);
	zk_db_close(db);
	if (r == 0 && rename(tmp, path) < 0)
		r = zk_fail_errno(err, ZK_E_STORE, errno, "cannot rename '%s'", tmp);
	free(path);
	free(tmp);
	return r;
}

void zk_jet_cachefile_load(const char *dir, struct zk_jet_hydrator *h)
{
	char *path = zk_asprintf("%s/cache.db", dir);
	struct zk_db_conf conf = { .path = path,
		                   .flags = ZK_DB_READONLY | ZK_DB_QUERY_ONLY };
	struct zk_db *db = NULL;
	struct zk_stmt *st;
	struct zk_error err;
	int64_t now = zk_wall_us();

	if (access(path, R_OK) == 0 && zk_db_open(&conf, &db, &err) == 0 &&
	    zk_db_prepare(db, "SELECT kind, id, json, put_us FROM cache", &st, &err) == 0)
		while (zk_stmt_step(st, &err) == 1) {
			int64_t age_ms = (now - zk_col_i64(st, 3)) / 1000;

			/* A clock that went back makes nothing older than it is. */
			zk_jet_hydrate_warm(h, zk_col_i64(st, 0) != 0, zk_col_text(st, 1),
			                    zk_col_text(st, 2),
			                    ZK_MAX(age_ms, (int64_t)0));
		}
	zk_db_close(db);
	free(path);
}
