/* Connections, statements, migrations, checkpoints and lock files, with the faults that a store
 * meets: full disk, damaged file, busy file, newer schema, interruption.
 * Layer: tests. */
#include "store/sqlite.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"

#include "base/ban.h"

static char dir[256], file[300];

static void setup(void)
{
	const char *tmp = getenv("TMPDIR");

	(void)snprintf(dir, sizeof(dir), "%s/sqlite.XXXXXX", tmp ? tmp : "/tmp");
	cr_assert_not_null(mkdtemp(dir));
	(void)snprintf(file, sizeof(file), "%s/a.db", dir);
}

/* Removes the folder, which has files only. */
static void teardown(void)
{
	static const char *const names[] = { "a.db",         "a.db-wal",
		                             "a.db-shm",     "a.db.lock",
		                             ":memory:",     ":memory:-wal",
		                             ":memory:-shm", "a.db-journal",
		                             "target" };

	for (size_t i = 0; i < ZK_ARRAY_LEN(names); i++) {
		char path[400];

		(void)snprintf(path, sizeof(path), "%s/%s", dir, names[i]);
		(void)unlink(path);
	}
	(void)rmdir(dir);
}

TestSuite(sqlite, .init = setup, .fini = teardown);

static struct zk_db *open_flags(unsigned flags)
{
	struct zk_db_conf conf = { .path = file, .flags = flags, .busy_ms = 50 };
	struct zk_error err = { 0 };
	struct zk_db *db = NULL;

	cr_assert_eq(zk_db_open(&conf, &db, &err), 0, "%s", err.msg);
	return db;
}

static struct zk_db *open_db(void)
{
	return open_flags(ZK_DB_CREATE);
}

static int exec(struct zk_db *db, const char *sql, struct zk_error *err)
{
	*err = (struct zk_error){ 0 };
	return zk_db_exec(db, sql, err);
}

static void must(struct zk_db *db, const char *sql)
{
	struct zk_error err;

	cr_assert_eq(exec(db, sql, &err), 0, "%s: %s", sql, err.msg);
}

/* The first column of the first row, as text. */
static const char *query(struct zk_db *db, const char *sql)
{
	static char text[128];
	struct zk_error err = { 0 };
	struct zk_stmt *st = NULL;

	cr_assert_eq(zk_db_prepare(db, sql, &st, &err), 0, "%s", err.msg);
	cr_assert_eq(zk_stmt_step(st, &err), 1, "%s", err.msg);
	zk_str s = zk_col_text(st, 0);

	(void)snprintf(text, sizeof(text), "%.*s", ZK_STR_ARG(s));
	zk_stmt_free(st);
	return text;
}

static unsigned mode_of(const char *suffix)
{
	char path[400];
	struct stat st;

	(void)snprintf(path, sizeof(path), "%s%s", file, suffix);
	return stat(path, &st) == 0 ? st.st_mode & 07777 : 0;
}

/* Runs fn() in a child process; its result is the child's exit status. */
static int in_child(int (*fn)(void))
{
	int status;
	pid_t pid = fork();

	if (pid == 0)
		_exit(fn());
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	cr_assert(WIFEXITED(status), "status %d", status);
	return WEXITSTATUS(status);
}

/* ---- open ------------------------------------------------------------------------------ */

Test(sqlite, a_fresh_file_is_private_and_set_up)
{
	struct zk_db_conf conf = { .path = file,
		                   .flags = ZK_DB_CREATE | ZK_DB_FULL,
		                   .page_bytes = 8192,
		                   .incremental_vacuum = true };
	struct zk_error err = { 0 };
	struct zk_db *db = NULL;

	(void)umask(0);
	cr_assert_eq(zk_db_open(&conf, &db, &err), 0, "%s", err.msg);
	must(db, "CREATE TABLE t(a)");
	cr_expect_eq(mode_of(""), 0600);
	cr_expect_eq(mode_of("-wal"), 0600);
	cr_expect_eq(mode_of("-shm"), 0600);
	cr_expect_str_eq(query(db, "PRAGMA journal_mode"), "wal");
	cr_expect_str_eq(query(db, "PRAGMA synchronous"), "2");
	cr_expect_str_eq(query(db, "PRAGMA foreign_keys"), "1");
	cr_expect_str_eq(query(db, "PRAGMA trusted_schema"), "0");
	cr_expect_str_eq(query(db, "PRAGMA mmap_size"), "0");
	cr_expect_str_eq(query(db, "PRAGMA page_size"), "8192");
	cr_expect_str_eq(query(db, "PRAGMA auto_vacuum"), "2");
	cr_expect_str_eq(query(db, "PRAGMA cache_size"), "-2048");
	cr_expect_str_eq(zk_db_path(db), file);
	zk_db_close(db);
}

Test(sqlite, options_of_a_connection)
{
	struct zk_error err;
	struct zk_db *db = open_db();

	must(db, "CREATE TABLE t(a)");
	cr_expect_str_eq(query(db, "PRAGMA synchronous"), "1");
	cr_expect_str_eq(query(db, "PRAGMA wal_autocheckpoint"), "1000");
	zk_db_close(db);
	db = open_flags(ZK_DB_NO_AUTO_CHECKPOINT | ZK_DB_QUERY_ONLY);
	cr_expect_str_eq(query(db, "PRAGMA wal_autocheckpoint"), "0");
	cr_expect_eq(exec(db, "INSERT INTO t VALUES(1)", &err), -ZK_E_CREATE);
	zk_db_close(db);
	db = open_flags(ZK_DB_READONLY);
	cr_expect_eq(exec(db, "INSERT INTO t VALUES(1)", &err), -ZK_E_CREATE);
	cr_expect_str_eq(query(db, "SELECT count(*) FROM t"), "0");
	zk_db_close(db);
}

Test(sqlite, what_cannot_be_opened)
{
	struct zk_db_conf conf = { .path = file };
	struct zk_error err = { 0 };
	struct zk_db *db = NULL;

	cr_expect_eq(zk_db_open(&conf, &db, &err), -ZK_E_NO_INPUT);
	cr_expect_not_null(strstr(err.msg, "a.db': No such file or directory"), "%s",
	                   err.msg);
	conf.path = dir;
	conf.flags = ZK_DB_CREATE;
	cr_expect_eq(zk_db_open(&conf, &db, &err), -ZK_E_CREATE);
	cr_expect_not_null(strstr(err.msg, "not a regular file"), "%s", err.msg);
	conf.path = "";
	cr_expect_eq(zk_db_open(&conf, &db, &err), -ZK_E_CREATE);
	char deep[400];

	(void)snprintf(deep, sizeof(deep), "%s/missing/a.db", dir);
	conf.path = deep;
	cr_expect_eq(zk_db_open(&conf, &db, &err), -ZK_E_CREATE);
	cr_expect_eq(err.sys_errno, ENOENT);
	cr_expect_null(db);
	/* A link into nowhere is not followed to make its target. */
	(void)snprintf(deep, sizeof(deep), "%s/target", dir);
	cr_assert_eq(symlink(deep, file), 0);
	conf.path = file;
	cr_expect_eq(zk_db_open(&conf, &db, &err), -ZK_E_CREATE);
	cr_expect_neq(access(deep, F_OK), 0);
	zk_db_close(NULL);
}

Test(sqlite, names_that_sqlite_would_take_for_something_else)
{
	struct zk_db_conf conf = { .path = ":memory:", .flags = ZK_DB_CREATE };
	struct zk_error err = { 0 };
	struct zk_db *db = NULL;

	cr_assert_eq(chdir(dir), 0);
	cr_assert_eq(zk_db_open(&conf, &db, &err), 0, "%s", err.msg);
	must(db, "CREATE TABLE t(a)");
	cr_expect_eq(access(":memory:", F_OK), 0);
	zk_db_close(db);
}

static int open_and_close(void)
{
	struct zk_db *db = open_db();

	(void)query(db, "SELECT count(*) FROM t");
	zk_db_close(db);
	return 0;
}

/* POSIX locks go when any descriptor of the file is closed: a second open must not cost the
 * first connection its lock, or the next process to leave would remove the log under it. */
Test(sqlite, a_second_open_keeps_the_locks_of_the_first)
{
	struct zk_db *db = open_db();

	must(db, "CREATE TABLE t(a); INSERT INTO t VALUES(1)");
	zk_db_close(open_db());
	cr_expect_eq(in_child(open_and_close), 0);
	cr_expect_eq(mode_of("-wal"), 0600, "the log is gone");
	zk_db_close(db);
	cr_expect_eq(mode_of("-wal"), 0, "the last one removes the log");
}

/* ---- statements ------------------------------------------------------------------------ */

Test(sqlite, values_come_back_as_they_went_in)
{
	static const char bytes[] = "a\0b";
	struct zk_error err = { 0 };
	struct zk_stmt *put = NULL, *get = NULL;
	struct zk_db *db = open_db();

	must(db, "CREATE TABLE t(a, b, c, d, e, f, g)");
	cr_assert_eq(zk_db_prepare(db, "INSERT INTO t VALUES(?1,?2,?3,?4,?5,?6,?7)", &put,
	                           &err),
	             0);
	zk_bind_i64(put, 1, INT64_MIN);
	zk_bind_double(put, 2, 0.1);
	zk_bind_text(put, 3, ZK_STR("text"));
	zk_bind_blob(put, 4, zk_str_n(bytes, 3));
	zk_bind_null(put, 5);
	zk_bind_text(put, 6, ZK_STR_NULL);
	zk_bind_blob(put, 7, ZK_STR(""));
	cr_assert_eq(zk_stmt_step(put, &err), 0, "%s", err.msg);
	cr_expect_eq(zk_db_changes(db), 1);
	cr_expect_eq(zk_db_last_rowid(db), 1);
	cr_assert_eq(zk_db_prepare(db, "SELECT a, b, c, d, e, f, g FROM t", &get, &err),
	             0);
	cr_assert_eq(zk_stmt_step(get, &err), 1);
	cr_expect_eq(zk_col_count(get), 7);
	cr_expect_str_eq(zk_col_name(get, 2), "c");
	cr_expect_eq(zk_col_i64(get, 0), INT64_MIN);
	cr_expect_eq(zk_col_double(get, 1), 0.1);
	cr_expect(zk_str_eq(zk_col_text(get, 2), ZK_STR("text")));
	cr_expect(zk_str_eq(zk_col_blob(get, 3), zk_str_n(bytes, 3)));
	cr_expect(zk_col_is_null(get, 4) && zk_col_is_null(get, 5));
	cr_expect_null(zk_col_blob(get, 5).p);
	cr_expect_null(zk_col_text(get, 5).p);
	cr_expect(!zk_col_is_null(get, 6));
	cr_expect_not_null(zk_col_blob(get, 6).p);
	cr_expect_eq(zk_col_blob(get, 6).n, 0);
	cr_assert_eq(zk_stmt_step(get, &err), 0);
	zk_stmt_free(get);
	zk_db_close(db); /* with `put` */
}

Test(sqlite, a_statement_is_ready_again_after_it_ended)
{
	struct zk_error err = { 0 };
	struct zk_stmt *st = NULL;
	struct zk_db *db = open_db();

	must(db, "CREATE TABLE t(a NOT NULL UNIQUE)");
	cr_assert_eq(zk_db_prepare(db, "INSERT INTO t VALUES(?1)", &st, &err), 0);
	zk_bind_i64(st, 1, 7);
	cr_assert_eq(zk_stmt_step(st, &err), 0);
	/* The bindings are cleared: NULL now. */
	cr_expect_eq(zk_stmt_step(st, &err), -ZK_E_STORE);
	cr_expect_not_null(strstr(err.msg, "NOT NULL constraint failed"), "%s", err.msg);
	zk_bind_i64(st, 1, 7);
	cr_expect_eq(zk_stmt_run(st, &err), -ZK_E_STORE);
	cr_expect_not_null(strstr(err.msg, "UNIQUE constraint failed"), "%s", err.msg);
	zk_bind_i64(st, 1, 8);
	cr_expect_eq(zk_stmt_run(st, &err), 0, "%s", err.msg);
	zk_bind_blob(st, 1, zk_str_n("x", (size_t)1 << 32));
	cr_expect_eq(zk_stmt_run(st, &err), -ZK_E_LIMIT, "%s", err.msg);
	zk_bind_i64(st, 1, 9);
	cr_expect_eq(zk_stmt_run(st, &err), 0, "%s", err.msg);
	cr_expect_str_eq(query(db, "SELECT count(*) FROM t"), "3");
	cr_expect_eq(zk_db_prepare(db, "SELECT missing FROM t", &st, &err), -ZK_E_STORE);
	cr_expect_not_null(strstr(err.msg, "no such column"), "%s", err.msg);
	zk_db_close(db);
}

Test(sqlite, transactions)
{
	struct zk_db *db = open_db();

	must(db, "CREATE TABLE t(a)");
	cr_expect(!zk_db_in_transaction(db));
	zk_db_rollback(db);
	must(db, "BEGIN IMMEDIATE; INSERT INTO t VALUES(1)");
	cr_expect(zk_db_in_transaction(db));
	zk_db_rollback(db);
	cr_expect(!zk_db_in_transaction(db));
	cr_expect_str_eq(query(db, "SELECT count(*) FROM t"), "0");
	zk_db_trim(db);
	zk_db_close(db);
}

/* ---- faults ---------------------------------------------------------------------------- */

static int fill(struct zk_db *db, int rows, struct zk_error *err)
{
	char sql[64];
	int r = 0;

	for (int i = 0; r == 0 && i < rows; i++) {
		(void)snprintf(sql, sizeof(sql),
		               "INSERT INTO t VALUES(randomblob(3000))");
		r = exec(db, sql, err);
	}
	return r;
}

static void expect_full(struct zk_db *db)
{
	struct zk_error err;

	cr_expect_eq(fill(db, 10000, &err), -ZK_E_STORE_FULL, "%s", err.msg);
	cr_expect_not_null(strstr(err.hint, "free some space"), "%s", err.hint);
	cr_expect(!zk_db_in_transaction(db));
	cr_expect_str_eq(query(db, "PRAGMA integrity_check"), "ok");
	cr_expect_str_neq(query(db, "SELECT count(*) FROM t"), "0");
}

Test(sqlite, full_by_pages)
{
	struct zk_db *db = open_db();

	must(db, "CREATE TABLE t(a); PRAGMA max_page_count=100");
	expect_full(db);
	zk_db_close(db);
}

Test(sqlite, full_by_file_size_limit)
{
	struct rlimit limit = { 200000, RLIM_INFINITY };
	struct zk_db *db = open_db();

	must(db, "CREATE TABLE t(a)");
	(void)signal(SIGXFSZ, SIG_IGN);
	cr_assert_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
	expect_full(db);
	limit.rlim_cur = RLIM_INFINITY;
	cr_assert_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
	must(db, "INSERT INTO t VALUES(1)");
	zk_db_close(db);
}

Test(sqlite, full_by_disk)
{
	struct zk_error err = { 0 };

	if (unshare(CLONE_NEWNS) < 0 ||
	    mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("tmpfs", dir, "tmpfs", 0, "size=256k") < 0)
		cr_skip_test("a file system cannot be mounted here");
	struct zk_db *db = open_db();

	must(db, "CREATE TABLE t(a)");
	expect_full(db);
	zk_db_close(db);
	/* Nothing left for a new file either. */
	char more[400];
	struct zk_db_conf conf = { .path = more, .flags = ZK_DB_CREATE };
	FILE *f;

	(void)snprintf(more, sizeof(more), "%s/filler", dir);
	f = fopen(more, "we");
	cr_assert_not_null(f);
	while (fputs("0123456789012345678901234567890123456789", f) >= 0)
		;
	(void)fclose(f);
	(void)snprintf(more, sizeof(more), "%s/b.db", dir);
	int r = zk_db_open(&conf, &db, &err);

	if (r == 0) {
		r = exec(db, "CREATE TABLE t(a)", &err);
		zk_db_close(db);
	}
	cr_expect_eq(r, -ZK_E_STORE_FULL, "%d %s", r, err.msg);
	cr_assert_eq(umount2(dir, MNT_DETACH), 0);
}

Test(sqlite, no_database)
{
	struct zk_db_conf conf = { .path = file, .flags = ZK_DB_CREATE };
	struct zk_error err = { 0 };
	struct zk_db *db = NULL;
	static const zk_str texts[] = {
		ZK_STR_INIT("hello"),
		ZK_STR_INIT("SQLite format 2\0"),
		ZK_STR_INIT("{\"a\":1}\n{\"a\":2}\n{\"a\":2}\n{\"a\":2}\n{\"a\":2}\n{"
		            "\"a\":2}\n{\"a\":2}\n"
		            "{\"a\":2}\n{\"a\":2}\n{\"a\":2}\n{\"a\":2}\n{\"a\":2}\n{"
		            "\"a\":2}\n{\"a\":2}\n"),
	};

	for (size_t i = 0; i < ZK_ARRAY_LEN(texts); i++) {
		FILE *f = fopen(file, "we");

		cr_assert_eq(fwrite(texts[i].p, 1, texts[i].n, f), texts[i].n);
		(void)fclose(f);
		cr_expect_eq(zk_db_open(&conf, &db, &err), -ZK_E_STORE_CORRUPT,
		             "case %zu", i);
		cr_expect_not_null(strstr(err.hint, "is no database"), "%s", err.hint);
		cr_expect_eq(zk_code_exit((int)err.code), ZK_EXIT_IOERR);
	}
}

Test(sqlite, damaged_pages)
{
	struct zk_error err = { 0 };
	struct zk_db *db = open_db();
	char bad[4096];

	must(db, "CREATE TABLE t(a)");
	cr_assert_eq(fill(db, 20, &err), 0);
	zk_db_close(db);
	int fd = open(file, O_WRONLY | O_CLOEXEC);

	memset(bad, 0xa5, sizeof(bad));
	for (off_t page = 2; page < 12; page++)
		cr_assert_eq(pwrite(fd, bad, sizeof(bad), page * 4096),
		             (ssize_t)sizeof(bad));
	(void)close(fd);
	db = open_db();
	cr_expect_eq(exec(db, "SELECT sum(length(a)) FROM t", &err), -ZK_E_STORE_CORRUPT);
	cr_expect_not_null(strstr(err.hint, "keep a copy"), "%s", err.hint);
	zk_db_close(db);
}

Test(sqlite, busy)
{
	struct zk_error err;
	struct zk_db *a = open_db(), *b = open_db();

	must(a, "CREATE TABLE t(a); BEGIN IMMEDIATE; INSERT INTO t VALUES(1)");
	cr_expect_eq(exec(b, "INSERT INTO t VALUES(2)", &err), -ZK_E_STORE_LOCKED);
	cr_expect(err.retryable);
	must(a, "COMMIT");
	must(b, "INSERT INTO t VALUES(2)");
	zk_db_close(a);
	zk_db_close(b);
}

static struct {
	struct zk_db *db;
	atomic_bool done;
} victim;

static void *interrupter(void *ctx)
{
	/* Until it takes effect: the statement may not have begun yet. */
	for (; !atomic_load(&victim.done);
	     nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL))
		zk_db_interrupt(victim.db);
	return ctx;
}

Test(sqlite, interrupted)
{
	struct zk_error err;
	struct zk_db *db = open_db();
	pthread_t t;

	victim.db = db;
	cr_assert_eq(pthread_create(&t, NULL, interrupter, NULL), 0);
	cr_expect_eq(
	        exec(db,
	             "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) "
	             "SELECT count(*) FROM n",
	             &err),
	        -ZK_E_STORE);
	cr_expect_not_null(strstr(err.msg, "interrupted"), "%s", err.msg);
	atomic_store(&victim.done, true);
	(void)pthread_join(t, NULL);
	must(db, "CREATE TABLE t(a)");
	zk_db_close(db);
}

/* ---- migrations ------------------------------------------------------------------------ */

static const char *const steps[] = {
	"CREATE TABLE t(a INTEGER)",
	"ALTER TABLE t ADD COLUMN b; INSERT INTO t VALUES(1, 2)",
	"CREATE TABLE u(a)",
};

Test(sqlite, migrations)
{
	struct zk_error err = { 0 };
	struct zk_db *db = open_db();
	int from = -1;

	cr_assert_eq(zk_db_migrate(db, steps, 1, &from, &err), 0, "%s", err.msg);
	cr_expect_eq(from, 0);
	cr_assert_eq(zk_db_migrate(db, steps, 3, &from, &err), 0, "%s", err.msg);
	cr_expect_eq(from, 1);
	cr_assert_eq(zk_db_migrate(db, steps, 3, &from, &err), 0, "%s", err.msg);
	cr_expect_eq(from, 3);
	cr_expect_str_eq(query(db, "SELECT count(*) FROM t"), "1");
	/* An older program meets a newer file. */
	cr_expect_eq(zk_db_migrate(db, steps, 2, NULL, &err), -ZK_E_STORE_VERSION);
	cr_expect_not_null(strstr(err.msg, "version 3, this zk knows 2"), "%s", err.msg);
	cr_expect_eq(zk_code_exit((int)err.code), ZK_EXIT_CONFIG);
	must(db, "PRAGMA user_version=-1");
	cr_expect_eq(zk_db_migrate(db, steps, 3, NULL, &err), -ZK_E_STORE_VERSION);
	zk_db_close(db);
}

Test(sqlite, a_failing_step_changes_nothing)
{
	static const char *const bad[] = {
		"CREATE TABLE t(a)", "CREATE TABLE u(a); INSERT INTO nowhere VALUES(1)"
	};
	struct zk_error err = { 0 };
	struct zk_db *db = open_db();

	cr_expect_eq(zk_db_migrate(db, bad, 2, NULL, &err), -ZK_E_STORE);
	cr_expect(!zk_db_in_transaction(db));
	cr_expect_str_eq(query(db, "PRAGMA user_version"), "1");
	cr_expect_str_eq(query(db, "SELECT count(*) FROM sqlite_schema"), "1");
	cr_expect_eq(zk_db_migrate(db, steps, 3, NULL, &err), 0, "%s", err.msg);
	zk_db_close(db);
}

Test(sqlite, a_database_of_somebody_else_is_left_alone)
{
	struct zk_error err = { 0 };
	struct zk_db *db = open_db();

	must(db, "CREATE TABLE bookmarks(a)");
	cr_expect_eq(zk_db_migrate(db, steps, 3, NULL, &err), -ZK_E_STORE);
	cr_expect_not_null(strstr(err.msg, "another program"), "%s", err.msg);
	cr_expect_str_eq(query(db, "SELECT count(*) FROM sqlite_schema"), "1");
	zk_db_close(db);
}

/* Each of many processes makes the file, and exactly one of them each step. */
Test(sqlite, many_processes_open_and_migrate_at_once)
{
	pid_t pids[8];
	struct zk_db_conf conf = { .path = file,
		                   .flags = ZK_DB_CREATE,
		                   .busy_ms = 20000,
		                   .incremental_vacuum = true };

	for (size_t i = 0; i < ZK_ARRAY_LEN(pids); i++) {
		pids[i] = fork();
		if (pids[i] == 0) {
			struct zk_error err = { 0 };
			struct zk_db *db = NULL;
			int r = zk_db_open(&conf, &db, &err);

			if (r == 0)
				r = zk_db_migrate(db, steps, 3, NULL, &err);
			if (r < 0)
				(void)fprintf(stderr, "%s\n", err.msg);
			zk_db_close(db);
			_exit(r < 0);
		}
	}
	for (size_t i = 0; i < ZK_ARRAY_LEN(pids); i++) {
		int status = -1;

		cr_assert_eq(waitpid(pids[i], &status, 0), pids[i]);
		cr_expect_eq(status, 0, "process %zu", i);
	}
	struct zk_db *db = open_db();

	cr_expect_str_eq(query(db, "SELECT count(*) FROM t"), "1");
	cr_expect_str_eq(query(db, "PRAGMA auto_vacuum"), "2");
	zk_db_close(db);
}

/* ---- checkpoints ----------------------------------------------------------------------- */

Test(sqlite, a_fresh_connection_checkpoints)
{
	struct zk_error err = { 0 };
	int pages = -2, moved = -2;
	bool busy = true;
	struct zk_db *a = open_flags(ZK_DB_CREATE | ZK_DB_NO_AUTO_CHECKPOINT);

	must(a, "CREATE TABLE t(a)");
	cr_assert_eq(fill(a, 10, &err), 0);
	struct zk_db *b = open_flags(0);

	cr_assert_eq(
	        zk_db_checkpoint(b, ZK_CHECKPOINT_PASSIVE, &pages, &moved, &busy, &err),
	        0);
	cr_expect_gt(pages, 10);
	cr_expect_eq(moved, pages);
	cr_expect(!busy);
	cr_assert_eq(
	        zk_db_checkpoint(b, ZK_CHECKPOINT_TRUNCATE, &pages, &moved, &busy, &err),
	        0);
	cr_expect_eq(pages, 0);
	zk_db_close(a);
	zk_db_close(b);
}

Test(sqlite, a_checkpoint_that_must_wait_says_busy)
{
	struct zk_error err = { 0 };
	int pages = -2, moved = -2;
	bool busy = false;
	struct zk_db *a = open_db(), *b = open_db();

	must(a, "CREATE TABLE t(a); INSERT INTO t VALUES(1)");
	must(b, "BEGIN; SELECT * FROM t");
	must(a, "INSERT INTO t VALUES(2)");
	cr_assert_eq(
	        zk_db_checkpoint(a, ZK_CHECKPOINT_TRUNCATE, &pages, &moved, &busy, &err),
	        0);
	cr_expect(busy);
	must(b, "COMMIT");
	cr_assert_eq(
	        zk_db_checkpoint(a, ZK_CHECKPOINT_TRUNCATE, &pages, &moved, &busy, &err),
	        0);
	cr_expect(!busy);
	/* Inside a transaction it is a mistake. */
	must(a, "BEGIN IMMEDIATE");
	cr_expect_lt(
	        zk_db_checkpoint(a, ZK_CHECKPOINT_PASSIVE, &pages, &moved, &busy, &err),
	        0);
	zk_db_close(a);
	zk_db_close(b);
}

struct seen {
	int calls, pages, most;
};

static void on_wal(void *ctx, int pages)
{
	struct seen *s = ctx;

	s->calls++;
	s->pages = pages;
	s->most = ZK_MAX(s->most, pages);
}

Test(sqlite, the_hook_hears_of_commits_and_keeps_automatic_checkpoints)
{
	struct zk_error err = { 0 };
	struct seen seen = { 0 };
	struct zk_db *db = open_db();

	must(db, "CREATE TABLE t(a)");
	zk_db_on_wal(db, on_wal, &seen);
	cr_assert_eq(fill(db, 1500, &err), 0);
	cr_expect_eq(seen.calls, 1500);
	cr_expect_lt(seen.most, 1100, "%d", seen.most);
	zk_db_on_wal(db, NULL, NULL);
	cr_assert_eq(fill(db, 1, &err), 0);
	cr_expect_eq(seen.calls, 1500);
	zk_db_close(db);

	seen = (struct seen){ 0 };
	db = open_flags(ZK_DB_NO_AUTO_CHECKPOINT);
	zk_db_on_wal(db, on_wal, &seen);
	cr_assert_eq(fill(db, 1500, &err), 0);
	cr_expect_gt(seen.pages, 1500, "%d", seen.pages);
	zk_db_close(db);
}

/* ---- lock files ------------------------------------------------------------------------ */

static int try_lock(void)
{
	struct zk_error err = { 0 };
	char want[64];
	int fd = -1;
	int r = zk_lock_file(file, &fd, &err);

	if (r == 0)
		return 10; /* the process ends without zk_unlock_file */
	(void)snprintf(want, sizeof(want), "a.db' is held by process %ld",
	               (long)getppid());
	return r == -ZK_E_STORE_LOCKED && err.retryable && strstr(err.msg, want) ? 20
	                                                                         : 30;
}

Test(sqlite, one_holds_the_lock_file)
{
	struct zk_error err = { 0 };
	int fd = -1, other = -1;

	cr_assert_eq(zk_lock_file(file, &fd, &err), 0, "%s", err.msg);
	cr_expect_eq(mode_of(".lock"), 0600);
	cr_expect_eq(zk_lock_file(file, &other, &err), -ZK_E_STORE_LOCKED);
	cr_expect_eq(zk_code_exit((int)err.code), ZK_EXIT_CANTCREAT);
	cr_expect_eq(in_child(try_lock), 20);
	zk_unlock_file(fd);
	cr_expect_eq(in_child(try_lock), 10);
	cr_expect_eq(zk_lock_file(file, &fd, &err), 0, "the end of a process frees it");
	zk_unlock_file(fd);
	zk_unlock_file(-1);
}

/* Takes the lock, and is gone while a child of its own has not let go of it. */
static int lock_and_leave(void)
{
	static const struct timespec moment = { .tv_nsec = 50000000 };
	struct zk_error err = { 0 };
	int fd = -1;

	if (zk_lock_file(file, &fd, &err) < 0)
		return 1;
	if (fork() == 0) {
		(void)nanosleep(&moment, NULL);
		_exit(0);
	}
	return 0;
}

Test(sqlite, a_lock_that_outlives_its_holder_for_a_moment)
{
	struct zk_error err = { 0 };
	int fd = -1;

	cr_assert_eq(in_child(lock_and_leave), 0);
	cr_expect_eq(zk_lock_file(file, &fd, &err), 0, "%s", err.msg);
	zk_unlock_file(fd);
}

Test(sqlite, a_lock_file_that_is_a_link_is_refused)
{
	struct zk_error err = { 0 };
	char target[300], name[400];
	int fd = -1;

	(void)snprintf(target, sizeof(target), "%s/target", dir);
	(void)snprintf(name, sizeof(name), "%s.lock", file);
	cr_assert_eq(symlink(target, name), 0);
	cr_expect_eq(zk_lock_file(file, &fd, &err), -ZK_E_CREATE);
	cr_expect_neq(access(target, F_OK), 0);
}
