/* SQLite behind our error type: open, prepare, bind, step, migrate.
 * Layer: store. A connection belongs to one thread at a time; nothing here is shared. */
#ifndef ZK_STORE_SQLITE_H
#define ZK_STORE_SQLITE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/err.h"
#include "base/str.h"

struct zk_db;
struct zk_stmt;

enum zk_db_flags {
	ZK_DB_CREATE = 1 << 0, /* made with mode 0600 when missing */
	ZK_DB_READONLY = 1 << 1,
	ZK_DB_FULL = 1 << 2, /* synchronous=FULL, else NORMAL */
	ZK_DB_NO_AUTO_CHECKPOINT = 1 << 3,
	ZK_DB_QUERY_ONLY = 1 << 4,
	/* The log of a commit goes out in one write instead of two per page (sqlite_wal.c); a
	 * commit of 20 small rows costs a sixth less. */
	ZK_DB_GATHER = 1 << 5,
};

struct zk_db_conf {
	const char *path;
	unsigned flags;
	int64_t busy_ms;         /* busy timeout */
	int cache_kib;           /* 0 = 2 MiB */
	int page_bytes;          /* of a fresh file; 0 = 4096 */
	bool incremental_vacuum; /* of a fresh file */
};

/* WAL, foreign_keys=ON, mmap_size=0, trusted_schema=OFF. Errors, here and below: -ZK_E_STORE,
 * -ZK_E_STORE_FULL (no space, quota, file size limit), -ZK_E_STORE_CORRUPT, -ZK_E_STORE_LOCKED
 * (retryable: busy for longer than busy_ms), -ZK_E_CREATE (not writable, not a file),
 * -ZK_E_NO_INPUT (missing, without ZK_DB_CREATE), -ZK_E_LIMIT (a value too large for SQLite).
 * The path is a path: ":memory:" and "file:" mean nothing special. */
int zk_db_open(const struct zk_db_conf *conf, struct zk_db **ret,
               struct zk_error *err) ZK_MUST_USE;
/* Finalises every statement prepared through it. NULL is fine. */
void zk_db_close(struct zk_db *db);
void zk_db_closep(struct zk_db **db);
const char *zk_db_path(const struct zk_db *db);
int zk_db_exec(struct zk_db *db, const char *sql, struct zk_error *err) ZK_MUST_USE;
int64_t zk_db_changes(struct zk_db *db);
int64_t zk_db_last_rowid(struct zk_db *db);
bool zk_db_in_transaction(struct zk_db *db);
/* Ends an open transaction without effect; fine when there is none. */
void zk_db_rollback(struct zk_db *db);
/* Gives the page cache back (after a burst, when idle). */
void zk_db_trim(struct zk_db *db);
/* Makes a running statement of another thread return -ZK_E_STORE ("interrupted"). Any thread. */
void zk_db_interrupt(struct zk_db *db);

/* Statements live as long as the connection unless finalised earlier. */
int zk_db_prepare(struct zk_db *db, const char *sql, struct zk_stmt **ret,
                  struct zk_error *err) ZK_MUST_USE;
void zk_stmt_free(struct zk_stmt *st);
/* Parameters are 1-based; text and blobs are borrowed until the next reset.
 * p == NULL binds NULL, for both. */
void zk_bind_i64(struct zk_stmt *st, int i, int64_t v);
void zk_bind_double(struct zk_stmt *st, int i, double v);
void zk_bind_text(struct zk_stmt *st, int i, zk_str s);
void zk_bind_blob(struct zk_stmt *st, int i, zk_str s);
void zk_bind_null(struct zk_stmt *st, int i);
/* Parameters of the statement, and the name of one with its mark (":id"); NULL when it has none. */
int zk_stmt_params(struct zk_stmt *st);
const char *zk_stmt_param(struct zk_stmt *st, int i);
/* 1 = a row is there, 0 = done, negative = failed. After 0 or a failure the statement is reset
 * and its bindings cleared. */
int zk_stmt_step(struct zk_stmt *st, struct zk_error *err) ZK_MUST_USE;
/* Runs it to the end, ignoring rows. */
int zk_stmt_run(struct zk_stmt *st, struct zk_error *err) ZK_MUST_USE;
void zk_stmt_reset(struct zk_stmt *st);
/* Columns are 0-based; slices are valid until the next step or reset; NULL has p == NULL, an
 * empty value has not. */
int64_t zk_col_i64(struct zk_stmt *st, int i);
double zk_col_double(struct zk_stmt *st, int i);
zk_str zk_col_text(struct zk_stmt *st, int i);
zk_str zk_col_blob(struct zk_stmt *st, int i);
bool zk_col_is_null(struct zk_stmt *st, int i);
enum zk_col { ZK_COL_I64, ZK_COL_DOUBLE, ZK_COL_TEXT, ZK_COL_BLOB, ZK_COL_NULL };
enum zk_col zk_col_type(struct zk_stmt *st, int i);
int zk_col_count(struct zk_stmt *st);
const char *zk_col_name(struct zk_stmt *st, int i);

/* Schema steps: sql[i] brings user_version from i to i + 1, each in a transaction
 * and safe beside other processes. A higher version than n is -ZK_E_STORE_VERSION; tables in a
 * file of version 0 are another program's: -ZK_E_STORE. `*from` (may be NULL) is the version
 * found. */
int zk_db_migrate(struct zk_db *db, const char *const *sql, int n, int *from,
                  struct zk_error *err) ZK_MUST_USE;

enum zk_checkpoint { ZK_CHECKPOINT_PASSIVE, ZK_CHECKPOINT_FULL, ZK_CHECKPOINT_TRUNCATE };
/* *wal_pages is the length of the log, *moved how many of them are in the database now. BUSY is
 * not an error: *busy says so. (SQLite's trap, a fresh connection that does not know of the log
 * and moves nothing, does not show: zk_db_open reads once.) */
int zk_db_checkpoint(struct zk_db *db, enum zk_checkpoint mode, int *wal_pages,
                     int *moved, bool *busy, struct zk_error *err) ZK_MUST_USE;
/* Called on the writing thread after each commit with the pages now in the WAL; NULL ends it.
 * It may call zk_db_checkpoint, nothing else of this connection. */
void zk_db_on_wal(struct zk_db *db, void (*fn)(void *ctx, int pages), void *ctx);

/* An advisory lock on the file `PATH.lock`, mode 0600, that holds the pid of its owner; kept
 * until zk_unlock_file or the end of the process, however it ends. -ZK_E_STORE_LOCKED
 * (retryable) says who has it. The file itself stays. Returns a descriptor. */
int zk_lock_file(const char *path, int *ret_fd, struct zk_error *err) ZK_MUST_USE;
void zk_unlock_file(int fd);

#endif
