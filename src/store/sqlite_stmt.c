/* Prepared statements of SQLite: bind, step, columns.
 * Layer: store. */
#include <stdlib.h>

#include <sqlite3.h>

#include "base/mem.h"
#include "store/sqlite_int.h"

#include "base/ban.h"

int zk_db_prepare(struct zk_db *db, const char *sql, struct zk_stmt **ret,
                  struct zk_error *err)
{
	struct zk_stmt *st = zk_new0(struct zk_stmt);
	int rc = sqlite3_prepare_v3(db->h, sql, -1, SQLITE_PREPARE_PERSISTENT, &st->h,
	                            NULL);

	if (rc != SQLITE_OK) {
		free(st);
		return zk_db_fail(db, rc, "cannot prepare a statement for", err);
	}
	ZK_ASSERT(st->h != NULL); /* an empty text is a mistake of the caller */
	st->db = db;
	zk_list_push(&db->stmts, &st->entry);
	*ret = st;
	return 0;
}

void zk_stmt_free(struct zk_stmt *st)
{
	if (!st)
		return;
	zk_list_remove(&st->entry);
	(void)sqlite3_finalize(st->h);
	free(st);
}

static void note(struct zk_stmt *st, int rc)
{
	/* A parameter that does not exist, or a statement that was not reset. */
	ZK_ASSERT(rc != SQLITE_RANGE && rc != SQLITE_MISUSE);
	if (rc != SQLITE_OK && st->bind_rc == SQLITE_OK)
		st->bind_rc = rc;
}

void zk_bind_i64(struct zk_stmt *st, int i, int64_t v)
{
	note(st, sqlite3_bind_int64(st->h, i, v));
}

void zk_bind_double(struct zk_stmt *st, int i, double v)
{
	note(st, sqlite3_bind_double(st->h, i, v));
}

void zk_bind_text(struct zk_stmt *st, int i, zk_str s)
{
	if (s.p)
		note(st,
		     sqlite3_bind_text64(st->h, i, s.p, s.n, SQLITE_STATIC, SQLITE_UTF8));
	else
		zk_bind_null(st, i);
}

void zk_bind_blob(struct zk_stmt *st, int i, zk_str s)
{
	if (s.p)
		note(st, sqlite3_bind_blob64(st->h, i, s.p, s.n, SQLITE_STATIC));
	else
		zk_bind_null(st, i);
}

void zk_bind_null(struct zk_stmt *st, int i)
{
	note(st, sqlite3_bind_null(st->h, i));
}

void zk_stmt_reset(struct zk_stmt *st)
{
	(void)sqlite3_reset(st->h);
	(void)sqlite3_clear_bindings(st->h);
	st->bind_rc = SQLITE_OK;
}

int zk_stmt_step(struct zk_stmt *st, struct zk_error *err)
{
	int rc = st->bind_rc == SQLITE_OK ? sqlite3_step(st->h) : st->bind_rc;

	if (rc == SQLITE_ROW)
		return 1;
	int r = rc == SQLITE_DONE
	                ? 0
	                : zk_db_fail(st->db, rc, "cannot use the database", err);

	zk_stmt_reset(st);
	return r;
}

int zk_stmt_run(struct zk_stmt *st, struct zk_error *err)
{
	int r;

	do {
		r = zk_stmt_step(st, err);
	} while (r > 0);
	return r;
}

int64_t zk_col_i64(struct zk_stmt *st, int i)
{
	return sqlite3_column_int64(st->h, i);
}

double zk_col_double(struct zk_stmt *st, int i)
{
	return sqlite3_column_double(st->h, i);
}

zk_str zk_col_text(struct zk_stmt *st, int i)
{
	const char *p = (const char *)sqlite3_column_text(st->h, i);

	return zk_str_n(p, p ? (size_t)sqlite3_column_bytes(st->h, i) : 0);
}

zk_str zk_col_blob(struct zk_stmt *st, int i)
{
	const char *p = sqlite3_column_blob(st->h, i);

	if (p)
		return zk_str_n(p, (size_t)sqlite3_column_bytes(st->h, i));
	return zk_col_is_null(st, i) ? ZK_STR_NULL : ZK_STR("");
}

bool zk_col_is_null(struct zk_stmt *st, int i)
{
	return sqlite3_column_type(st->h, i) == SQLITE_NULL;
}

int zk_col_count(struct zk_stmt *st)
{
	return sqlite3_column_count(st->h);
}

const char *zk_col_name(struct zk_stmt *st, int i)
{
	return sqlite3_column_name(st->h, i);
}

enum zk_col zk_col_type(struct zk_stmt *st, int i)
{
	switch (sqlite3_column_type(st->h, i)) {
	case SQLITE_INTEGER:
		return ZK_COL_I64;
	case SQLITE_FLOAT:
		return ZK_COL_DOUBLE;
	case SQLITE_TEXT:
		return ZK_COL_TEXT;
	case SQLITE_BLOB:
		return ZK_COL_BLOB;
	default:
		return ZK_COL_NULL;
	}
}

int zk_stmt_params(struct zk_stmt *st)
{
	return sqlite3_bind_parameter_count(st->h);
}

const char *zk_stmt_param(struct zk_stmt *st, int i)
{
	return sqlite3_bind_parameter_name(st->h, i);
}
