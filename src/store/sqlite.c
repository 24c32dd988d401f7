/* SQLite behind our error type: connections, pragmas, migrations, checkpoints, lock files.
 * Layer: store. Statements are in sqlite_stmt.c. */
#include "store/sqlite.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <sqlite3.h>

#include "base/clock.h"
#include "base/mem.h"
#include "store/sqlite_int.h"

#include "base/ban.h"

#define AUTO_CHECKPOINT_PAGES 1000
#define ORPHAN_TRIES          200 /* of 5 ms each */

/* ---- errors ---------------------------------------------------------------------------- */

static bool is_disk_full(int errnum)
{
	return errnum == ENOSPC || errnum == EDQUOT || errnum == EFBIG;
}

static enum zk_code code_of(int rc, int errnum)
{
	switch (rc & 0xff) {
	case SQLITE_FULL:
		return ZK_E_STORE_FULL;
	case SQLITE_IOERR:
		return is_disk_full(errnum) ? ZK_E_STORE_FULL : ZK_E_STORE;
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
		return ZK_E_STORE_CORRUPT;
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return ZK_E_STORE_LOCKED;
	case SQLITE_READONLY:
	case SQLITE_PERM:
	case SQLITE_CANTOPEN:
		return ZK_E_CREATE;
	case SQLITE_TOOBIG:
		return ZK_E_LIMIT;
	default:
		return ZK_E_STORE;
	}
}

static void add_hint(struct zk_error *err, int rc, const char *path)
{
	switch (rc & 0xff) {
	case SQLITE_NOTADB:
		(void)zk_err_hint(err,
		                  "'%s' is no database, or its head is damaged: choose "
		                  "another file, or move it away",
		                  path);
		break;
	case SQLITE_CORRUPT:
		(void)zk_err_hint(err,
		                  "keep a copy of '%s' and of its -wal file before "
		                  "anything else, then move them away",
		                  path);
		break;
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		(void)zk_err_hint(err, "another process is writing to '%s'; try again",
		                  path);
		break;
	default:
		if (err->code == ZK_E_STORE_FULL)
			(void)zk_err_hint(err, "free some space where '%s' is", path);
		break;
	}
}

/* The errno behind a failure, 0 = none. A commit that fails to write the log has it in the file
 * object of the log only. */
static int errno_of(struct zk_db *db, int rc)
{
	sqlite3_file *log = NULL;
	int errnum = sqlite3_system_errno(db->h);

	if (errnum || (rc & 0xff) != SQLITE_IOERR)
		return errnum;
	if (sqlite3_file_control(db->h, "main", SQLITE_FCNTL_JOURNAL_POINTER, &log) ==
	            SQLITE_OK &&
	    log && log->pMethods)
		(void)log->pMethods->xFileControl(log, SQLITE_FCNTL_LAST_ERRNO, &errnum);
	return errnum;
}

int zk_db_fail(struct zk_db *db, int rc, const char *what, struct zk_error *err)
{
	int io = (rc & 0xff) == SQLITE_IOERR || (rc & 0xff) == SQLITE_CANTOPEN;
	int errnum = io ? errno_of(db, rc) : 0;
	/* The connection's own text says more, but only when it is about this failure. */
	const char *text = (sqlite3_errcode(db->h) & 0xff) == (rc & 0xff)
	                           ? sqlite3_errmsg(db->h)
	                           : sqlite3_errstr(rc);

	if (errnum)
		(void)zk_fail_errno(err, code_of(rc, errnum), errnum, "%s '%s': %s", what,
		                    db->path, text);
	else
		(void)zk_fail(err, code_of(rc, 0), "%s '%s': %s", what, db->path, text);
	err->retryable = err->code == ZK_E_STORE_LOCKED;
	add_hint(err, rc, db->path);
	return -(int)err->code;
}

/* ---- open and close -------------------------------------------------------------------- */

static void init_once(void)
{
	/* No statistics: they cost a lock per allocation. Fails only when somebody was first. */
	(void)sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
}

/* Makes an empty file of mode 0600 (SQLite would use 0644; its -wal and -shm inherit the mode).
 * An existing file is never opened here: closing it would drop the POSIX locks that another
 * connection of this process holds on it. */
static int make_file(const char *path, bool create, bool *ret_fresh, struct zk_error *err)
{
	struct stat st;

	if (create) {
		int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

		if (fd >= 0)
			(void)close(fd);
		else if (errno != EEXIST)
			return zk_fail_errno(err, ZK_E_CREATE, errno,
			                     "cannot create database '%s'", path);
	}
	if (stat(path, &st) < 0)
		return zk_fail_errno(
		        err, errno == ENOENT && !create ? ZK_E_NO_INPUT : ZK_E_CREATE,
		        errno, "cannot open database '%s'", path);
	if (!S_ISREG(st.st_mode))
		return zk_fail(err, ZK_E_CREATE,
		               "cannot open database '%s': not a regular file", path);
	*ret_fresh = st.st_size == 0;
	return 0;
}

/* One row, one text column into `out`. */
static int get_text(struct zk_db *db, const char *sql, char *out, size_t room,
                    struct zk_error *err)
{
	sqlite3_stmt *st = NULL;
	int rc = sqlite3_prepare_v2(db->h, sql, -1, &st, NULL);

	out[0] = '\0';
	if (rc == SQLITE_OK)
		rc = sqlite3_step(st);
	if (rc == SQLITE_ROW)
		(void)snprintf(out, room, "%s", (const char *)sqlite3_column_text(st, 0));
	if (rc == SQLITE_ROW || rc == SQLITE_DONE) {
		(void)sqlite3_finalize(st);
		return 0;
	}
	int r = zk_db_fail(db, rc, "cannot read database", err);

	(void)sqlite3_finalize(st);
	return r;
}

/* SQLite does not call its busy handler while it changes the journal mode: when two processes
 * make the same file at the same moment, one of them has to come again. */
static int set_wal(struct zk_db *db, int64_t busy_ms, struct zk_error *err)
{
	int64_t end = zk_mono_ms() + ZK_MAX(busy_ms, 1000);
	char mode[16];

	for (;;) {
		int r = get_text(db, "PRAGMA journal_mode=WAL", mode, sizeof(mode), err);

		if (r != -ZK_E_STORE_LOCKED || zk_mono_ms() >= end) {
			if (r < 0)
				return r;
			break;
		}
		nanosleep(&(struct timespec){ .tv_nsec = 2000000 }, NULL);
	}
	if (sqlite3_stricmp(mode, "wal") == 0)
		return 0;
	(void)zk_fail(err, ZK_E_STORE, "cannot use a write-ahead log for '%s'", db->path);
	return zk_err_hint(
	        err, "the file system lacks shared memory or locks; use a local disk");
}

/* Also the connection's first read, without which it does not know that the file is in WAL mode
 * and its checkpoints do nothing. */
static int ensure_wal(struct zk_db *db, const struct zk_db_conf *conf,
                      struct zk_error *err)
{
	char mode[16];
	int r = get_text(db, "PRAGMA journal_mode", mode, sizeof(mode), err);

	if (r < 0 || sqlite3_stricmp(mode, "wal") == 0 || (conf->flags & ZK_DB_READONLY))
		return r;
	return set_wal(db, conf->busy_ms, err);
}

static int set_pragmas(struct zk_db *db, const struct zk_db_conf *conf, bool fresh,
                       struct zk_error *err)
{
	char sql[256];

	(void)sqlite3_db_config(db->h, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
	(void)sqlite3_db_config(db->h, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
	(void)sqlite3_db_config(db->h, SQLITE_DBCONFIG_ENABLE_FKEY, 1, NULL);
	/* Both take effect before the first page only, and the second takes a write lock. */
	if (fresh && !(conf->flags & ZK_DB_READONLY)) {
		(void)snprintf(sql, sizeof(sql),
		               "PRAGMA page_size=%d; PRAGMA auto_vacuum=%s",
		               conf->page_bytes ? conf->page_bytes : 4096,
		               conf->incremental_vacuum ? "INCREMENTAL" : "NONE");
		int r = zk_db_exec(db, sql, err);

		if (r < 0)
			return r;
	}
	int r = ensure_wal(db, conf, err);

	if (r < 0)
		return r;
	(void)snprintf(
	        sql, sizeof(sql),
	        "PRAGMA synchronous=%s; PRAGMA mmap_size=0; PRAGMA cache_size=-%d; "
	        "PRAGMA wal_autocheckpoint=%d; PRAGMA query_only=%d",
	        conf->flags & ZK_DB_FULL ? "FULL" : "NORMAL",
	        conf->cache_kib > 0 ? conf->cache_kib : 2048,
	        db->auto_checkpoint ? AUTO_CHECKPOINT_PAGES : 0,
	        conf->flags & ZK_DB_QUERY_ONLY ? 1 : 0);
	return zk_db_exec(db, sql, err);
}

int zk_db_open(const struct zk_db_conf *conf, struct zk_db **ret, struct zk_error *err)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	ZK_CLEANUP(zk_db_closep)
	struct zk_db *db = zk_new0(struct zk_db);
	/* EXRESCODE: "busy in recovery" and the like; NOMUTEX: one thread at a time. */
	int mode = SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE |
	           (conf->flags & ZK_DB_READONLY ? SQLITE_OPEN_READONLY
	                                         : SQLITE_OPEN_READWRITE);
	bool fresh = false;

	(void)pthread_once(&once, init_once);
	zk_list_init(&db->stmts);
	/* With "./" in front neither ":memory:" nor "file:…" means anything special. */
	bool special = conf->path[0] == ':' ||
	               zk_str_starts(zk_str_of(conf->path), ZK_STR("file:"));

	db->path = zk_asprintf("%s%s", special ? "./" : "", conf->path);
	db->auto_checkpoint = !(conf->flags & ZK_DB_NO_AUTO_CHECKPOINT);
	int r = make_file(db->path, conf->flags & ZK_DB_CREATE, &fresh, err);

	if (r < 0)
		return r;
	int rc = sqlite3_open_v2(db->path, &db->h, mode,
	                         conf->flags & ZK_DB_GATHER ? zk_db_gather_vfs() : NULL);

	if (rc != SQLITE_OK)
		return zk_db_fail(db, rc, "cannot open database", err);
	(void)sqlite3_busy_timeout(db->h, (int)ZK_MIN(conf->busy_ms, 1000000));
	r = set_pragmas(db, conf, fresh, err);
	if (r < 0)
		return r;
	*ret = ZK_TAKE(db);
	return 0;
}

void zk_db_close(struct zk_db *db)
{
	if (!db)
		return;
	ZK_LIST_EACH (it, &db->stmts)
		zk_stmt_free(ZK_LIST_ENTRY(it, struct zk_stmt, entry));
	/* Cannot be refused: no statement, blob or backup is left. */
	(void)sqlite3_close(db->h);
	free(db->path);
	free(db);
}

void zk_db_closep(struct zk_db **db)
{
	zk_db_close(*db);
	*db = NULL;
}

const char *zk_db_path(const struct zk_db *db)
{
	return db->path;
}

int zk_db_exec(struct zk_db *db, const char *sql, struct zk_error *err)
{
	int rc = sqlite3_exec(db->h, sql, NULL, NULL, NULL);

	return rc == SQLITE_OK ? 0 : zk_db_fail(db, rc, "database", err);
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
	return !sqlite3_get_autocommit(db->h);
}

void zk_db_rollback(struct zk_db *db)
{
	/* Some failures have rolled back already; another one here changes nothing. */
	if (zk_db_in_transaction(db))
		(void)sqlite3_exec(db->h, "ROLLBACK", NULL, NULL, NULL);
}

void zk_db_trim(struct zk_db *db)
{
	(void)sqlite3_db_release_memory(db->h);
}

void zk_db_interrupt(struct zk_db *db)
{
	sqlite3_interrupt(db->h);
}

/* ---- migrations ------------------------------------------------------------------------ */

static int get_i64(struct zk_db *db, const char *sql, int64_t *ret, struct zk_error *err)
{
	struct zk_stmt *st;
	int r = zk_db_prepare(db, sql, &st, err);

	if (r < 0)
		return r;
	r = zk_stmt_step(st, err);
	if (r > 0)
		*ret = zk_col_i64(st, 0);
	zk_stmt_free(st);
	return r < 0 ? r : 0;
}

static int check_version(struct zk_db *db, int64_t version, int n, struct zk_error *err)
{
	int64_t tables = 0;

	if (version < 0 || version > n) {
		(void)zk_fail(err, ZK_E_STORE_VERSION,
		              "database '%s' has schema version %lld, this zk knows %d",
		              db->path, (long long)version, n);
		return zk_err_hint(err, "use the zk that wrote it, or a newer one");
	}
	if (version > 0)
		return 0;
	int r = get_i64(db, "SELECT count(*) FROM sqlite_schema", &tables, err);

	if (r < 0 || tables == 0)
		return r;
	(void)zk_fail(err, ZK_E_STORE, "database '%s' belongs to another program",
	              db->path);
	return zk_err_hint(err, "choose another file");
}

/* One step under the write lock; another process may have been faster. *version is what is
 * there afterwards. */
static int migrate_step(struct zk_db *db, const char *const *sql, int n, int64_t *version,
                        struct zk_error *err)
{
	char set[64];
	int r = zk_db_exec(db, "BEGIN IMMEDIATE", err);

	if (r == 0)
		r = get_i64(db, "PRAGMA user_version", version, err);
	if (r == 0)
		r = check_version(db, *version, n, err);
	if (r == 0 && *version < n) {
		(void)snprintf(set, sizeof(set), "PRAGMA user_version=%d",
		               (int)*version + 1);
		r = zk_db_exec(db, sql[*version], err);
		if (r == 0)
			r = zk_db_exec(db, set, err);
	}
	if (r == 0)
		r = zk_db_exec(db, "COMMIT", err);
	if (r == 0 && *version < n)
		++*version;
	if (r < 0)
		zk_db_rollback(db);
	return r;
}

int zk_db_migrate(struct zk_db *db, const char *const *sql, int n, int *from,
                  struct zk_error *err)
{
	int64_t version = 0;
	int r = get_i64(db, "PRAGMA user_version", &version, err);

	/* A fresh one only under the lock: another process may be at its first step. */
	if (r == 0 && version != 0)
		r = check_version(db, version, n, err);
	int found = (int)version;

	while (r == 0 && version < n)
		r = migrate_step(db, sql, n, &version, err);
	if (r < 0)
		return r;
	if (from)
		*from = found;
	return 0;
}

/* ---- checkpoints ----------------------------------------------------------------------- */

int zk_db_checkpoint(struct zk_db *db, enum zk_checkpoint mode, int *wal_pages,
                     int *moved, bool *busy, struct zk_error *err)
{
	static const int modes[] = {
		[ZK_CHECKPOINT_PASSIVE] = SQLITE_CHECKPOINT_PASSIVE,
		[ZK_CHECKPOINT_FULL] = SQLITE_CHECKPOINT_FULL,
		[ZK_CHECKPOINT_TRUNCATE] = SQLITE_CHECKPOINT_TRUNCATE,
	};
	int log = -1, done = -1;
	int rc = sqlite3_wal_checkpoint_v2(db->h, "main", modes[mode], &log, &done);

	if (rc != SQLITE_OK && (rc & 0xff) != SQLITE_BUSY)
		return zk_db_fail(db, rc, "cannot checkpoint database", err);
	*wal_pages = log;
	*moved = done;
	*busy = rc != SQLITE_OK;
	return 0;
}

/* A hook takes the place of SQLite's automatic checkpoint, which is one itself. */
static int on_wal(void *ctx, sqlite3 *h, const char *name, int pages)
{
	struct zk_db *db = ctx;

	if (db->auto_checkpoint && pages >= AUTO_CHECKPOINT_PAGES)
		(void)sqlite3_wal_checkpoint_v2(h, name, SQLITE_CHECKPOINT_PASSIVE, NULL,
		                                NULL);
	if (db->wal_fn)
		db->wal_fn(db->wal_ctx, pages);
	return SQLITE_OK;
}

void zk_db_on_wal(struct zk_db *db, void (*fn)(void *ctx, int pages), void *ctx)
{
	db->wal_fn = fn;
	db->wal_ctx = ctx;
	(void)sqlite3_wal_hook(db->h, on_wal, db);
}

/* ---- lock files ------------------------------------------------------------------------ */

/* False when the holder has not written its number yet, or cleared it a moment ago. */
static bool read_holder(int fd, uint64_t *pid)
{
	char text[24] = "";
	ssize_t n = pread(fd, text, sizeof(text) - 1, 0);

	return zk_str_u64(zk_str_trim(zk_str_n(text, n > 0 ? (size_t)n : 0)), pid) &&
	       *pid > 0 && *pid <= INT32_MAX;
}

static int fail_held(int fd, const char *path, struct zk_error *err)
{
	uint64_t pid = 0;

	if (!read_holder(fd, &pid))
		(void)zk_fail(err, ZK_E_STORE_LOCKED, "'%s' is held by another process",
		              path);
	else
		(void)zk_fail(err, ZK_E_STORE_LOCKED, "'%s' is held by process %llu",
		              path, (unsigned long long)pid);
	err->retryable = true;
	return -(int)err->code;
}

/* The lock outlives a holder that was killed while it started a child, until that child has become
 * another program: a moment. */
static bool is_orphaned(int fd)
{
	uint64_t pid;

	return read_holder(fd, &pid) && kill((pid_t)pid, 0) < 0 && errno == ESRCH;
}

/* 0, or what fcntl failed with. */
static int take_lock(int fd)
{
	static const struct timespec moment = { .tv_nsec = 5000000 };
	struct flock whole = { .l_type = F_WRLCK, .l_whence = SEEK_SET };

	for (unsigned i = 0;; i++) {
		/* Of the open file, not of the process: it also holds against a second opener
		 * in here. */
		if (fcntl(fd, F_OFD_SETLK, &whole) == 0)
			return 0;
		int errnum = errno;

		if ((errnum != EAGAIN && errnum != EACCES) || i == ORPHAN_TRIES ||
		    !is_orphaned(fd))
			return errnum;
		(void)nanosleep(&moment, NULL);
	}
}

int zk_lock_file(const char *path, int *ret_fd, struct zk_error *err)
{
	char *name = zk_asprintf("%s.lock", path);
	int fd = open(name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	int errnum = errno;

	if (fd < 0) {
		(void)zk_fail_errno(err, ZK_E_CREATE, errnum, "cannot create '%s'", name);
		free(name);
		return -(int)err->code;
	}
	free(name);
	errnum = take_lock(fd);
	if (errnum) {
		bool held = errnum == EAGAIN || errnum == EACCES;
		int r = held ? fail_held(fd, path, err)
		             : zk_fail_errno(err, ZK_E_SYSTEM, errnum,
		                             "cannot lock '%s.lock'", path);

		(void)close(fd);
		return r;
	}
	char text[24];
	int n = snprintf(text, sizeof(text), "%ld\n", (long)getpid());

	/* The number is for people; the lock holds without it (on a full disk). */
	if (ftruncate(fd, 0) == 0 && pwrite(fd, text, (size_t)n, 0) != n)
		ZK_IGNORE(ftruncate(fd, 0));
	*ret_fd = fd;
	return 0;
}

void zk_unlock_file(int fd)
{
	if (fd < 0)
		return;
	/* The file stays: removing it would let two processes lock two files of one name. */
	ZK_IGNORE(ftruncate(fd, 0));
	(void)close(fd);
}
