/* Commits whose log goes out in one piece (ZK_DB_GATHER): the same bytes reach the file, at the
 * same moments, as without it. Layer: tests. */
#include "store/sqlite.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"

#include "base/ban.h"

static char dir[256], file[300], copy[300];

static void setup(void)
{
	const char *tmp = getenv("TMPDIR");

	(void)snprintf(dir, sizeof(dir), "%s/wal.XXXXXX", tmp ? tmp : "/tmp");
	cr_assert_not_null(mkdtemp(dir));
	(void)snprintf(file, sizeof(file), "%s/a.db", dir);
	(void)snprintf(copy, sizeof(copy), "%s/b.db", dir);
}

static void teardown(void)
{
	static const char *const names[] = { "a.db", "a.db-wal", "a.db-shm",
		                             "b.db", "b.db-wal", "b.db-shm" };

	for (size_t i = 0; i < ZK_ARRAY_LEN(names); i++) {
		char path[400];

		(void)snprintf(path, sizeof(path), "%s/%s", dir, names[i]);
		(void)unlink(path);
	}
	(void)rmdir(dir);
}

TestSuite(sqlite_wal, .init = setup, .fini = teardown);

static struct zk_db *open_at(const char *path, unsigned flags, int cache_kib)
{
	struct zk_db_conf conf = {
		.path = path, .flags = flags, .busy_ms = 1000, .cache_kib = cache_kib
	};
	struct zk_error err = { 0 };
	struct zk_db *db = NULL;

	cr_assert_eq(zk_db_open(&conf, &db, &err), 0, "%s", err.msg);
	return db;
}

/* With and without a flush at the end of each commit. */
#define NORMAL (ZK_DB_CREATE | ZK_DB_GATHER | ZK_DB_NO_AUTO_CHECKPOINT)
#define FULL   (NORMAL | ZK_DB_FULL)

static void must(struct zk_db *db, const char *sql)
{
	struct zk_error err = { 0 };

	cr_assert_eq(zk_db_exec(db, sql, &err), 0, "%s: %s", sql, err.msg);
}

static int64_t number(struct zk_db *db, const char *sql)
{
	struct zk_error err = { 0 };
	struct zk_stmt *st;
	int64_t v;

	cr_assert_eq(zk_db_prepare(db, sql, &st, &err), 0, "%s", err.msg);
	cr_assert_eq(zk_stmt_step(st, &err), 1, "%s", err.msg);
	v = zk_col_i64(st, 0);
	zk_stmt_free(st);
	return v;
}

static bool is_sound(struct zk_db *db)
{
	return number(db, "SELECT count(*) FROM pragma_integrity_check"
	                  " WHERE integrity_check='ok'") == 1;
}

/* What a crash right now would leave behind. */
static void copy_file(const char *suffix)
{
	char from[400], to[400];
	char *text = zk_alloc((size_t)64 << 20);
	size_t n;
	FILE *f;

	(void)snprintf(from, sizeof(from), "%s%s", file, suffix);
	(void)snprintf(to, sizeof(to), "%s%s", copy, suffix);
	f = fopen(from, "rbe");
	cr_assert(f);
	n = fread(text, 1, (size_t)64 << 20, f);
	cr_assert_eq(fclose(f), 0);
	f = fopen(to, "wbe");
	cr_assert(f);
	cr_assert_eq(fwrite(text, 1, n, f), n);
	cr_assert_eq(fclose(f), 0);
	free(text);
}

static void every_commit_is_seen_by_others_and_in_the_file(unsigned flags)
{
	struct zk_db *w = open_at(file, flags, 0);
	struct zk_db *r = open_at(file, ZK_DB_QUERY_ONLY, 0);

	must(w, "CREATE TABLE t(a INTEGER PRIMARY KEY, b)");
	for (int i = 1; i <= 100; i++) {
		must(w, "BEGIN IMMEDIATE; INSERT INTO t(b) VALUES(randomblob(900));"
		        "INSERT INTO t(b) VALUES(randomblob(9000)); COMMIT");
		cr_assert_eq(number(r, "SELECT count(*) FROM t"), 2 * i);
		if (i % 25)
			continue;
		copy_file("");
		copy_file("-wal");
		struct zk_db *c = open_at(copy, 0, 0);

		cr_expect_eq(number(c, "SELECT count(*) FROM t"), 2 * i, "after a crash");
		cr_expect(is_sound(c));
		zk_db_close(c);
	}
	zk_db_close(r);
	zk_db_close(w);
}

/* Pages that do not fit the cache go to the log early and are read back from there. */
static void transactions_larger_than_cache_and_buffer(unsigned flags)
{
	struct zk_db *w = open_at(file, flags, /* cache */ 64);
	struct zk_db *r = open_at(file, ZK_DB_QUERY_ONLY, 0);

	must(w, "CREATE TABLE t(a INTEGER PRIMARY KEY, b); CREATE INDEX i ON t(b)");
	must(w, "BEGIN IMMEDIATE");
	must(w,
	     "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x+1 FROM n WHERE x<5000)"
	     " INSERT INTO t SELECT x, randomblob(300) FROM n");
	must(w, "UPDATE t SET b=randomblob(300) WHERE a%3=0");
	cr_expect_eq(number(w, "SELECT count(*) FROM t"), 5000);
	cr_expect_eq(number(r, "SELECT count(*) FROM t"), 0);
	must(w, "COMMIT");
	/* Also where frames that had left the cache were mended. */
	copy_file("");
	copy_file("-wal");
	struct zk_db *c = open_at(copy, 0, 0);

	cr_expect_eq(number(c, "SELECT count(*) FROM t"), 5000, "after a crash");
	cr_expect(is_sound(c));
	zk_db_close(c);
	cr_expect_eq(number(r, "SELECT count(*) FROM t"), 5000);
	cr_expect(is_sound(r));
	must(w, "BEGIN; DELETE FROM t WHERE a%2; ROLLBACK");
	cr_expect_eq(number(w, "SELECT count(*) FROM t"), 5000);
	cr_expect(is_sound(w));
	zk_db_close(r);
	zk_db_close(w);
}

static void the_log_starts_over_after_a_checkpoint(unsigned flags)
{
	struct zk_db *w = open_at(file, flags, 0);
	struct zk_error err = { 0 };
	int pages, moved;
	bool busy;
	struct stat st;
	char log[320];

	(void)snprintf(log, sizeof(log), "%s-wal", file);
	must(w, "CREATE TABLE t(a INTEGER PRIMARY KEY, b)");
	for (int i = 0; i < 300; i++) {
		must(w, "INSERT INTO t(b) VALUES(randomblob(3000))");
		if (i % 10 == 9) {
			cr_assert_eq(zk_db_checkpoint(w, ZK_CHECKPOINT_PASSIVE, &pages,
			                              &moved, &busy, &err),
			             0);
			cr_assert_eq(pages, moved);
		}
	}
	cr_assert_eq(stat(log, &st), 0);
	cr_expect_lt(st.st_size, 400000);
	copy_file("");
	copy_file("-wal");
	struct zk_db *c = open_at(copy, 0, 0);

	cr_expect_eq(number(c, "SELECT count(*) FROM t"), 300);
	cr_expect(is_sound(c));
	zk_db_close(c);
	zk_db_close(w);
}

static void a_write_that_fails_fails_the_commit(unsigned flags)
{
	struct zk_db *w = open_at(file, flags, 0);
	struct zk_db *r = open_at(file, ZK_DB_QUERY_ONLY, 0);
	struct rlimit old, limit;
	struct zk_error err = { 0 };

	must(w, "CREATE TABLE t(a INTEGER PRIMARY KEY, b); INSERT INTO t(b) VALUES(1)");
	cr_assert_eq(getrlimit(RLIMIT_FSIZE, &old), 0);
	(void)signal(SIGXFSZ, SIG_IGN);
	limit = old;
	limit.rlim_cur = 100000;
	cr_assert_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
	int r1 = zk_db_exec(w, "INSERT INTO t(b) VALUES(randomblob(300000))", &err);

	cr_assert_eq(setrlimit(RLIMIT_FSIZE, &old), 0);
	cr_expect_eq(r1, -ZK_E_STORE_FULL, "%s", err.msg);
	zk_db_rollback(w);
	cr_expect_eq(number(r, "SELECT count(*) FROM t"), 1);
	cr_expect_eq(number(w, "SELECT count(*) FROM t"), 1);
	must(w, "INSERT INTO t(b) VALUES(randomblob(300000))");
	cr_expect_eq(number(r, "SELECT count(*) FROM t"), 2);
	cr_expect(is_sound(r));
	zk_db_close(r);
	zk_db_close(w);
}

Test(sqlite_wal, every_commit_is_seen_by_others_and_in_the_file_full)
{
	every_commit_is_seen_by_others_and_in_the_file(FULL);
}

Test(sqlite_wal, every_commit_is_seen_by_others_and_in_the_file_normal)
{
	every_commit_is_seen_by_others_and_in_the_file(NORMAL);
}

Test(sqlite_wal, transactions_larger_than_cache_and_buffer_full)
{
	transactions_larger_than_cache_and_buffer(FULL);
}

Test(sqlite_wal, transactions_larger_than_cache_and_buffer_normal)
{
	transactions_larger_than_cache_and_buffer(NORMAL);
}

Test(sqlite_wal, the_log_starts_over_after_a_checkpoint_full)
{
	the_log_starts_over_after_a_checkpoint(FULL);
}

Test(sqlite_wal, the_log_starts_over_after_a_checkpoint_normal)
{
	the_log_starts_over_after_a_checkpoint(NORMAL);
}

Test(sqlite_wal, a_write_that_fails_fails_the_commit_full)
{
	a_write_that_fails_fails_the_commit(FULL);
}

Test(sqlite_wal, a_write_that_fails_fails_the_commit_normal)
{
	a_write_that_fails_fails_the_commit(NORMAL);
}
