/* followers.db.
 * Layer: jetstream. */
#include "jetstream/ledger.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "jetstream/recent.h"
#include "jetstream/store.h"

#include "base/ban.h"

#define BUSY_MS 5000
#define COLUMNS "name, rows, first_us, last_us, key, sha256, bytes, archived_at, error"

static const char *const schema[] = {
	"CREATE TABLE followers(name TEXT PRIMARY KEY, file TEXT, row INTEGER) WITHOUT "
	"ROWID",
	"CREATE TABLE files(name TEXT PRIMARY KEY, rows INTEGER, first_us INTEGER,"
	" last_us INTEGER, key TEXT, sha256 TEXT, bytes INTEGER, archived_at TEXT,"
	" error TEXT) WITHOUT ROWID",
	"CREATE TABLE positions(source TEXT PRIMARY KEY, host TEXT, wire TEXT, seq "
	"INTEGER,"
	" time_us INTEGER, updated_at TEXT) WITHOUT ROWID",
	"CREATE TABLE recent(id INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE,"
	" text INTEGER NOT NULL, time_us INTEGER)",
};

int zk_jet_ledger_open(const char *dir, struct zk_db **ret, struct zk_error *err)
{
	char *path = zk_asprintf("%s/followers.db", dir);
	struct zk_db_conf conf = { .path = path,
		                   .flags = ZK_DB_CREATE,
		                   .busy_ms = BUSY_MS };
	struct zk_db *db = NULL;
	int r = zk_db_open(&conf, &db, err);

	free(path);
	if (r == 0)
		r = zk_db_migrate(db, schema, ZK_ARRAY_LEN(schema), NULL, err);
	if (r < 0) {
		zk_db_close(db);
		return r;
	}
	*ret = db;
	return 0;
}

int zk_jet_sealed_read(struct zk_db *db, struct zk_jet_sealed *ret, struct zk_error *err)
{
	struct zk_stmt *st;
	int r;

	if (zk_db_prepare(db,
	                  "SELECT (SELECT value FROM zk_meta WHERE key='rows'),"
	                  "(SELECT value FROM zk_meta WHERE key='first_us'),"
	                  "(SELECT value FROM zk_meta WHERE key='last_us')",
	                  &st, err) < 0)
		return -(int)err->code;
	r = zk_stmt_step(st, err);
	if (r == 1) {
		ret->rows = zk_col_i64(st, 0);
		ret->has_times = !zk_col_is_null(st, 1) && !zk_col_is_null(st, 2);
		ret->first_us = zk_col_i64(st, 1);
		ret->last_us = zk_col_i64(st, 2);
	}
	zk_stmt_free(st);
	return r < 0 ? r : 0;
}

static int note(struct zk_db *db, const struct zk_jet_sealed *f, struct zk_error *err)
{
	struct zk_stmt *st;
	int r;

	if (zk_db_prepare(db,
	                  "INSERT INTO files(name, rows, first_us, last_us) "
	                  "VALUES(?1,?2,?3,?4) ON CONFLICT(name) DO UPDATE SET "
	                  "rows=?2, first_us=?3, last_us=?4",
	                  &st, err) < 0)
		return -(int)err->code;
	zk_bind_text(st, 1, zk_str_of(f->name));
	zk_bind_i64(st, 2, f->rows);
	if (f->has_times) {
		zk_bind_i64(st, 3, f->first_us);
		zk_bind_i64(st, 4, f->last_us);
	}
	r = zk_stmt_run(st, err);
	zk_stmt_free(st);
	return r;
}

int zk_jet_positions_copy(struct zk_db *from, const char *table, struct zk_stmt *to,
                          struct zk_error *err)
{
	char *sql = zk_asprintf(
	        "SELECT source, host, wire, seq, time_us, updated_at FROM %s", table);
	struct zk_stmt *st;
	int n = 0, r = zk_db_prepare(from, sql, &st, err);

	free(sql);
	if (r < 0)
		return r;
	while ((r = zk_stmt_step(st, err)) == 1) {
		for (int i = 0; i < 6; i++) {
			if (zk_col_is_null(st, i))
				zk_bind_null(to, i + 1);
			else if (i == 3 || i == 4)
				zk_bind_i64(to, i + 1, zk_col_i64(st, i));
			else
				zk_bind_text(to, i + 1, zk_col_text(st, i));
		}
		r = zk_stmt_run(to, err);
		if (r < 0)
			break;
		n++;
	}
	zk_stmt_free(st);
	return r < 0 ? r : n;
}

static int note_positions(struct zk_db *ledger, struct zk_db *file, struct zk_error *err)
{
	struct zk_stmt *st;
	int r = zk_db_prepare(
	        ledger, "INSERT OR REPLACE INTO positions VALUES(?,?,?,?,?,?)", &st, err);

	if (r < 0)
		return r;
	r = zk_jet_positions_copy(file, "zk_position", st, err);
	zk_stmt_free(st);
	return r < 0 ? r : 0;
}

int zk_jet_ledger_note(const char *dir, const char *name, struct zk_error *err)
{
	char *path = zk_asprintf("%s/%s", dir, name);
	struct zk_jet_sealed f = { 0 };
	struct zk_db *db = NULL, *ledger = NULL;
	int r = zk_jet_file_open(path, &db, err);

	(void)snprintf(f.name, sizeof(f.name), "%s", name);
	if (r == 0)
		r = zk_jet_sealed_read(db, &f, err);
	if (r == 0)
		r = zk_jet_ledger_open(dir, &ledger, err);
	if (r == 0)
		r = note(ledger, &f, err);
	if (r == 0)
		r = note_positions(ledger, db, err);
	if (r == 0)
		r = zk_jet_recent_note(ledger, db, err);
	zk_db_close(ledger);
	zk_db_close(db);
	free(path);
	return r;
}

static void bind_or_null(struct zk_stmt *st, int i, const char *text)
{
	if (text[0])
		zk_bind_text(st, i, zk_str_of(text));
	else
		zk_bind_null(st, i);
}

int zk_jet_ledger_put(struct zk_db *db, const struct zk_jet_sealed *f,
                      struct zk_error *err)
{
	struct zk_stmt *st;
	int r;

	if (zk_db_prepare(db, "INSERT OR REPLACE INTO files VALUES(?,?,?,?,?,?,?,?,?)",
	                  &st, err) < 0)
		return -(int)err->code;
	zk_bind_text(st, 1, zk_str_of(f->name));
	zk_bind_i64(st, 2, f->rows);
	if (f->has_times) {
		zk_bind_i64(st, 3, f->first_us);
		zk_bind_i64(st, 4, f->last_us);
	}
	bind_or_null(st, 5, f->key);
	bind_or_null(st, 6, f->sha256);
	if (f->key[0])
		zk_bind_i64(st, 7, (int64_t)f->bytes);
	bind_or_null(st, 8, f->archived_at);
	bind_or_null(st, 9, f->error);
	r = zk_stmt_run(st, err);
	zk_stmt_free(st);
	return r;
}

static void copy(char *to, size_t room, struct zk_stmt *st, int i)
{
	(void)snprintf(to, room, "%.*s", ZK_STR_ARG(zk_col_text(st, i)));
}

static void read_row(struct zk_stmt *st, struct zk_jet_sealed *f)
{
	memset(f, 0, sizeof(*f));
	copy(f->name, sizeof(f->name), st, 0);
	f->rows = zk_col_i64(st, 1);
	f->has_times = !zk_col_is_null(st, 2);
	f->first_us = zk_col_i64(st, 2);
	f->last_us = zk_col_i64(st, 3);
	copy(f->key, sizeof(f->key), st, 4);
	copy(f->sha256, sizeof(f->sha256), st, 5);
	f->bytes = (uint64_t)zk_col_i64(st, 6);
	copy(f->archived_at, sizeof(f->archived_at), st, 7);
	copy(f->error, sizeof(f->error), st, 8);
}

int zk_jet_ledger_get(struct zk_db *db, const char *name, struct zk_jet_sealed *ret,
                      struct zk_error *err)
{
	struct zk_stmt *st;
	int r;

	if (zk_db_prepare(db, "SELECT " COLUMNS " FROM files WHERE name=?", &st, err) < 0)
		return -(int)err->code;
	zk_bind_text(st, 1, zk_str_of(name));
	r = zk_stmt_step(st, err);
	if (r == 1)
		read_row(st, ret);
	zk_stmt_free(st);
	return r;
}

int zk_jet_ledger_each(struct zk_db *db,
                       int (*fn)(void *ctx, const struct zk_jet_sealed *f), void *ctx,
                       struct zk_error *err)
{
	struct zk_jet_sealed f;
	struct zk_stmt *st;
	int r;

	if (zk_db_prepare(db, "SELECT " COLUMNS " FROM files", &st, err) < 0)
		return -(int)err->code;
	while ((r = zk_stmt_step(st, err)) == 1) {
		read_row(st, &f);
		if (fn(ctx, &f) != 0) {
			r = 0;
			break;
		}
	}
	zk_stmt_free(st);
	return r;
}

int zk_jet_ledger_move(struct zk_db *db, const char *follower, const char *file,
                       int64_t row, struct zk_error *err)
{
	struct zk_stmt *st;
	int r;

	if (zk_db_prepare(db, "INSERT OR REPLACE INTO followers VALUES(?,?,?)", &st,
	                  err) < 0)
		return -(int)err->code;
	zk_bind_text(st, 1, zk_str_of(follower));
	zk_bind_text(st, 2, zk_str_of(file));
	zk_bind_i64(st, 3, row);
	r = zk_stmt_run(st, err);
	zk_stmt_free(st);
	return r;
}
