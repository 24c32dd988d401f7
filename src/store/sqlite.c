/* SQLite behind our error type: connections, pragmas, migrations, checkpoints.
 * Layer: store. Statements are in stmt.c. */
#include "store/sqlite.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <sqlite3.h>

#include "base/mem.h"
#include "store/sqlite_int.h"

#include "base/ban.h"

#define DEFAULT_CACHE_KIB 2048
#define DEFAULT_PAGE      4096

static enum zk_code code_of(int rc)
{
	switch (rc & 0xff) {
	case SQLITE_FULL:
		return ZK_E_STORE_FULL;
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
		return ZK_E_STORE_CORRUPT;
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return ZK_E_STORE_LOCKED;
	case SQLITE_CANTOPEN:
	case SQLITE_READONLY:
	case SQLITE_PERM:
		return ZK_E_CREATE;
	default:
		return ZK_E_STORE;
	}
}

int zk_db_fail(struct zk_db *db, int rc, const char *what, struct zk_error *err)
{
	int extended = db->h ? sqlite3_extended_errcode(db->h) : rc;
	int sys = db->h ? sqlite3_system_errno(db->h) : 0;
	enum zk_code code = code_of(rc);
	const char *why = db->h ? sqlite3_errmsg(db->h) : sqlite3_errstr(rc);

	/* A write that fails for want of space comes as an I/O error on some file systems. */
	if (code == ZK_E_STORE && sys == ENOSPC)
		code = ZK_E_STORE_FULL;
	(void)zk_fail(err, code, "%s '%s': %s", what, db->path, why);
	err->sys_errno = sys;
	err->retryable = code == ZK_E_STORE_LOCKED || code == ZK_E_STORE_FULL;
	if ((rc & 0xff) == SQLITE_IOERR)
		(void)zk_err_why(err, "%s (code %d)%s%s", sqlite3_errstr(extended),
		                 extended, sys ? ": " : "", sys ? strerror(sys) : "");
	if (code == ZK_E_STORE_CORRUPT)
		(void)zk_err_hint(
		        err,
		        "keep a copy of the file, then look with: zk triggers check");
	return -(int)code;
}

/* ---- open and close --------------------------------------------------------------------- */

/* The file exists with mode 0600 before SQLite creates it with the umask's. */
static int make_file(const struct zk_db_conf *conf, struct zk_error *err)
{
	int fd = open(conf->path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

	if (fd < 0 && errno == ELOOP)
		fd = open(conf->path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0)
		return zk_fail_errno(err, ZK_E_CREATE, errno,
		                     "cannot open the database '%s'", conf->path);
	(void)close(fd);
	return 0;
}

static int run_pragmas(struct zk_db *db, const struct zk_db_conf *conf,
                       struct zk_error *err)
{
	char sql[512];

	if (sqlite3_busy_timeout(db->h, (int)conf->busy_ms) != SQLITE_OK)
		return zk_db_fail(db, SQLITE_ERROR, "cannot set up the database", err);
	(void)snprintf(sql, sizeof(sql), "PRAGMA page_size=%d; PRAGMA cache_size=-%d;",
	               conf->page_bytes ? conf->page_bytes : DEFAULT_PAGE,
	               conf->cache_kib ? conf->cache_kib : DEFAULT_CACHE_KIB);
	if (zk_db_exec(db, sql, err) < 0)
		return -(int)err->code;
	if (conf->incremental_vacuum &&
	    zk_db_exec(db, "PRAGMA auto_vacuum=INCREMENTAL", err) < 0)
		return -(int)err->code;
	/* Reading the mode also makes the connection look at the file: without that a checkpoint
	 * on a fresh connection does nothing. */
	if (!(conf->flags & ZK_DB_READONLY) &&
	    zk_db_exec(db, "PRAGMA journal_mode=WAL", err) < 0)
		return -(int)err->code;
	(void)snprintf(
	        sql, sizeof(sql),
	        "PRAGMA synchronous=%s; PRAGMA foreign_keys=ON; PRAGMA mmap_size=0;"
	        "PRAGMA trusted_schema=OFF;%s%s",
	        conf->flags & ZK_DB_FULL ? "FULL" : "NORMAL",
	        conf->flags & ZK_DB_NO_AUTO_CHECKPOINT ? "PRAGMA wal_autocheckpoint=0;"
	                                               : "",
	        conf->flags & ZK_DB_QUERY_ONLY ? "PRAGMA query_only=ON;" : "");
	return zk_db_exec(db, sql, err);
}

int zk_db_open(const struct zk_db_conf *conf, struct zk_db **ret, struct zk_error *err)
{
	ZK_CLEANUP(zk_db_closep)
	struct zk_db *db = zk_new0(struct zk_db);
	int flags = SQLITE_OPEN_NOMUTEX;

	db->path = zk_strdup(conf->path);
	zk_list_init(&db->stmts);
	flags |= conf->flags & ZK_DB_READONLY ? SQLITE_OPEN_READONLY
	                                      : SQLITE_OPEN_READWRITE;
	if (conf->flags & ZK_DB_CREATE && make_file(conf, err) < 0)
		return -(int)err->code;
	int rc = sqlite3_open_v2(conf->path, &db->h, flags, NULL);

	if (rc != SQLITE_OK)
		return zk_db_fail(db, rc, "cannot open the database", err);
	(void)sqlite3_extended_result_codes(db->h, 1);
	(void)sqlite3_db_config(db->h, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
	if (run_pragmas(db, conf, err) < 0)
		return -(int)err->code;
	*ret = ZK_TAKE(db);
	return 0;
}

void zk_db_close(struct zk_db *db)
{
	if (!db)
		return;
	ZK_LIST_EACH (e, &db->stmts)
		zk_stmt_free(ZK_LIST_ENTRY(e, struct zk_stmt, entry));
	(void)sqlite3_close(db->h);
	free(db->path);
	free(db);
}

void zk_db_closep(struct zk_db **db)
{
	zk_db_close(*db);
}

const char *zk_db_path(const struct zk_db *db)
{
	return db->path;
}

int zk_db_exec(struct zk_db *db, const char *sql, struct zk_error *err)
{
	int rc = sqlite3_exec(db->h, sql, NULL, NULL, NULL);

	return rc == SQLITE_OK ? 0
	                       : zk_db_fail(db, rc, "cannot change the database", err);
}

int64_t zk_db_changes(struct zk_db *db)
{
	return sqlite3_changes64(db->h);
}

int64_t zk_db_last_rowid(struct zk_db *db)
{
	return sqlite3_last_insert_rowid(db->h);
}

bool zk_db_in_transaction(struct zk_db *db)
{
	return sqlite3_get_autocommit(db->h) == 0;
}

void zk_db_interrupt(struct zk_db *db)
{
	sqlite3_interrupt(db->h);
}

/* ---- migrations ------------------------------------------------------------------------- */

static int read_version(struct zk_db *db, int *ret, struct zk_error *err)
{
	struct zk_stmt *st;

	if (zk_db_prepare(db, "PRAGMA user_version", &st, err) < 0)
		return -(int)err->code;
	int r = zk_stmt_step(st, err);

	if (r > 0)
		*ret = (int)zk_col_i64(st, 0);
	zk_stmt_free(st);
	return r < 0 ? r : 0;
}

static int migrate_step(struct zk_db *db, const char *sql, int version,
                        struct zk_error *err)
{
	char set[64];
	struct zk_error ignored = { 0 };

	(void)snprintf(set, sizeof(set), "PRAGMA user_version=%d", version);
	if (zk_db_exec(db, sql, err) == 0 && zk_db_exec(db, set, err) == 0 &&
	    zk_db_exec(db, "COMMIT", err) == 0)
		return 0;
	if (zk_db_in_transaction(db))
		ZK_IGNORE(zk_db_exec(db, "ROLLBACK", &ignored));
	return zk_wrap(err, "migration to version %d", version);
}

int zk_db_migrate(struct zk_db *db, const char *const *sql, int n, int *from,
                  struct zk_error *err)
{
	int version = 0;

	for (bool first = true;; first = false) {
		/* Another process may migrate at the same time: look again inside the lock. */
		if (zk_db_exec(db, "BEGIN IMMEDIATE", err) < 0)
			return -(int)err->code;
		struct zk_error ignored = { 0 };
		int r = read_version(db, &version, err);

		if (r == 0 && first && from)
			*from = version;
		if (r == 0 && version > n)
			r = zk_fail(err, ZK_E_STORE_VERSION,
			            "the database '%s' has version %d, this zk knows up "
			            "to %d",
			            db->path, version, n);
		if (r < 0 || version == n) {
			ZK_IGNORE(zk_db_exec(db, "ROLLBACK", &ignored));
			return r;
		}
		if (migrate_step(db, sql[version], version + 1, err) < 0)
			return -(int)err->code;
	}
}

/* ---- write-ahead log -------------------------------------------------------------------- */

int zk_db_checkpoint(struct zk_db *db, enum zk_checkpoint mode, int *wal_pages,
                     int *moved, bool *busy, struct zk_error *err)
{
	static const int modes[] = { SQLITE_CHECKPOINT_PASSIVE, SQLITE_CHECKPOINT_FULL,
		                     SQLITE_CHECKPOINT_TRUNCATE };
	int pages = -1, done = -1;
	int rc = sqlite3_wal_checkpoint_v2(db->h, NULL, modes[mode], &pages, &done);

	*busy = rc == SQLITE_BUSY || rc == SQLITE_LOCKED;
	*wal_pages = pages;
	*moved = done;
	if (rc != SQLITE_OK && !*busy)
		return zk_db_fail(db, rc, "cannot checkpoint the database", err);
	return 0;
}

static int on_wal(void *ctx, sqlite3 *h, const char *name, int pages)
{
	struct zk_db *db = ctx;

	(void)h;
	(void)name;
	db->wal_fn(db->wal_ctx, pages);
	return SQLITE_OK;
}

void zk_db_on_wal(struct zk_db *db, void (*fn)(void *ctx, int pages), void *ctx)
{
	db->wal_fn = fn;
	db->wal_ctx = ctx;
	(void)sqlite3_wal_hook(db->h, fn ? on_wal : NULL, db);
}

/* ---- lock file -------------------------------------------------------------------------- */

static int locked_by(const char *path, int fd, struct zk_error *err)
{
	char text[64] = { 0 };
	ssize_t n = pread(fd, text, sizeof(text) - 1, 0);
	zk_str who = zk_str_trim(zk_str_n(text, n > 0 ? (size_t)n : 0));

	(void)close(fd);
	(void)zk_fail(err, ZK_E_STORE_LOCKED, "'%s' is in use by process %.*s", path,
	              ZK_STR_ARG(who.n ? who : ZK_STR("(unknown)")));
	return zk_err_hint(err,
	                   "stop that process, or give this one another file with --db");
}

int zk_lock_file(const char *path, int *ret_fd, struct zk_error *err)
{
	ZK_CLEANUP(zk_freep)
	char *name = zk_asprintf("%s.lock", path);
	struct flock whole = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	int fd = open(name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

	if (fd < 0)
		return zk_fail_errno(err, ZK_E_CREATE, errno,
		                     "cannot make the lock file '%s'", name);
	/* The lock belongs to this open file: it also holds against a second opener in this very
	 * process, and ends with it. */
	if (fcntl(fd, F_OFD_SETLK, &whole) < 0)
		return locked_by(path, fd, err);
	char pid[32];
	int n = snprintf(pid, sizeof(pid), "%ld\n", (long)getpid());

	if (ftruncate(fd, 0) < 0 || pwrite(fd, pid, (size_t)n, 0) != n) {
		int e = errno;

		(void)close(fd);
		return zk_fail_errno(err, e == ENOSPC ? ZK_E_STORE_FULL : ZK_E_CREATE, e,
		                     "cannot write the lock file '%s'", name);
	}
	*ret_fd = fd;
	return 0;
}

void zk_unlock_file(int fd)
{
	if (fd >= 0)
		(void)close(fd);
}
