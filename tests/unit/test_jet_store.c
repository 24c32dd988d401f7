/* The store's files while the writer switches to the next one.
 * Layer: tests. */
#include "jetstream/store.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "rt/loop.h"
#include "store/sqlite.h"

#include "base/ban.h"

static char dir[96];
static struct zk_loop *loop;
static struct zk_jet_store *store;
static struct zk_error err;

static void on_commit(void *ctx, struct zk_jet_commit *c, const struct zk_error *why)
{
	(void)ctx;
	(void)c;
	cr_assert_null(why, "%s", why ? why->msg : "");
}

static void open_store(void)
{
	struct zk_jet_store_conf conf = { .dir = dir, .on_commit = on_commit };

	cr_assert_eq(zk_jet_store_open(loop, &conf, &store, &err), 0, "%s", err.msg);
	zk_loop_run(loop);
}

static void setup(void)
{
	(void)snprintf(dir, sizeof(dir), "%s/jet_store.XXXXXX",
	               getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
	cr_assert_not_null(mkdtemp(dir));
	loop = zk_loop_new(&err);
	cr_assert_not_null(loop);
	open_store();
}

static void remove_all(void)
{
	DIR *d = opendir(dir);
	struct dirent *e;

	cr_assert_not_null(d);
	while ((e = readdir(d)) != NULL)
		if (e->d_name[0] != '.')
			cr_expect_eq(unlinkat(dirfd(d), e->d_name, 0), 0);
	(void)closedir(d);
	cr_expect_eq(rmdir(dir), 0);
}

static void teardown(void)
{
	zk_jet_store_close(ZK_TAKE(store));
	zk_loop_free(loop);
	remove_all();
}

TestSuite(jet_store, .init = setup, .fini = teardown);

static bool is_there(const char *name, const char *suffix)
{
	char *path = zk_asprintf("%s/%s%s", dir, name, suffix);
	bool is = access(path, F_OK) == 0;

	free(path);
	return is;
}

static void exec_in(const char *name, int flags, const char *sql)
{
	char *path = zk_asprintf("%s/%s", dir, name);
	struct zk_db_conf conf = { .path = path, .flags = (unsigned)flags };
	struct zk_db *db = NULL;

	cr_assert_eq(zk_db_open(&conf, &db, &err), 0, "%s", err.msg);
	cr_assert_eq(zk_db_exec(db, sql, &err), 0, "%s", err.msg);
	zk_db_close(db);
	free(path);
}

/* What the writer has done when it was halted in a switch: the file is made, and DIR/live names
 * the one before it. */
static void begin_switch(char next[ZK_JET_NAME_MAX])
{
	struct zk_jet_files files;

	cr_assert_eq(zk_jet_files_list(dir, &files, &err), 0, "%s", err.msg);
	zk_jet_files_fresh(&files, dir, 0, next);
	zk_jet_files_done(&files);
	exec_in(next, ZK_DB_CREATE, "CREATE TABLE records(id INTEGER PRIMARY KEY)");
}

static void look_after(void)
{
	struct zk_jet_retention all = { .max_bytes = 1 };
	unsigned removed;

	zk_jet_store_repack(store);
	zk_loop_run(loop);
	(void)zk_jet_store_retain(store, &all, &removed);
}

Test(jet_store, a_file_in_the_making_is_nobodys_else)
{
	char next[ZK_JET_NAME_MAX];

	begin_switch(next);
	look_after();
	cr_expect(is_there(next, ""), "the writer has it open, and goes on there");
	cr_expect(is_there(zk_jet_store_live(store), ""));
}

Test(jet_store, what_a_failed_switch_left_goes_after_the_next)
{
	struct zk_jet_commit c = { .rotate = true };
	char next[ZK_JET_NAME_MAX], first[ZK_JET_NAME_MAX];

	(void)snprintf(first, sizeof(first), "%s", zk_jet_store_live(store));
	zk_jet_store_close(ZK_TAKE(store));
	exec_in(first, 0,
	        "INSERT INTO records(message, created_at, hydrated_at) "
	        "VALUES('{}', '', '')");
	open_store();
	begin_switch(next);
	zk_jet_store_commit(store, &c);
	zk_loop_run(loop);
	cr_expect(is_there(first, ".zst") && !is_there(first, ""), "sealed and packed");
	cr_expect(zk_jet_name_cmp(zk_jet_store_live(store), next) > 0);
	zk_jet_store_repack(store);
	zk_loop_run(loop);
	cr_expect(!is_there(next, ""), "nothing is in it");
	cr_expect(is_there(first, ".zst"));
	cr_expect(is_there(zk_jet_store_live(store), ""));
}

/* Also where nothing is packed, so that nothing else looks at left files. */
Test(jet_store, a_file_that_was_being_read_is_sealed_later)
{
	struct zk_jet_store_conf plain = { .dir = dir,
		                           .on_commit = on_commit,
		                           .compress = ZK_JET_PLAIN };
	struct zk_jet_commit c = { .rotate = true };
	char first[ZK_JET_NAME_MAX];
	struct zk_db *reader = NULL;
	struct zk_stmt *st;
	char *path;

	(void)snprintf(first, sizeof(first), "%s", zk_jet_store_live(store));
	zk_jet_store_close(ZK_TAKE(store));
	exec_in(first, 0,
	        "INSERT INTO records(message, created_at, hydrated_at) "
	        "VALUES('{}', '', '')");
	cr_assert_eq(zk_jet_store_open(loop, &plain, &store, &err), 0, "%s", err.msg);
	path = zk_asprintf("%s/%s", dir, first);
	cr_assert_eq(zk_jet_file_open(path, &reader, &err), 0, "%s", err.msg);
	cr_assert_eq(zk_db_prepare(reader, "SELECT message FROM records", &st, &err), 0);
	cr_assert_eq(zk_stmt_step(st, &err), 1);
	zk_jet_store_commit(store, &c);
	zk_loop_run(loop);
	cr_expect(is_there(first, "-wal"), "it is not sealed while it is read");
	zk_stmt_free(st);
	zk_db_close(reader);
	free(path);
	zk_jet_store_repack(store);
	zk_loop_run(loop);
	cr_expect(is_there(first, "") && !is_there(first, "-wal"), "then it is");
}
