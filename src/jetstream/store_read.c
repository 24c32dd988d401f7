/* Reading store files, packed or not.
 * Layer: jetstream; any thread, blocks. specs/jetstream.md §14. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "jetstream/store_int.h"

#include "base/ban.h"

#define COPY "zk-unpacked-" /* names of temporary files begin with it */

/* ---- opening ---- */

int zk_jet_file_open(const char *path, struct zk_db **ret, struct zk_error *err)
{
	struct zk_db_conf conf = { .path = path,
		                   .flags = ZK_DB_READONLY | ZK_DB_QUERY_ONLY,
		                   .busy_ms = 5000,
		                   .cache_kib = 4096 };

	return zk_db_open(&conf, ret, err);
}

int zk_jet_packed_open(const char *path, const char *tmp, struct zk_db **ret,
                       struct zk_error *err)
{
	char *to = zk_asprintf("%s/" COPY "XXXXXX", tmp);
	int fd = mkostemp(to, O_CLOEXEC), r;

	if (fd < 0) {
		r = zk_fail_errno(err, ZK_E_CREATE, errno, "cannot make '%s'", to);
		free(to);
		return r;
	}
	(void)close(fd); /* it is empty */
	r = zk_jet_unpack(path, to, err);
	if (r == 0)
		r = zk_jet_file_open(to, ret, err);
	(void)unlink(to); /* the connection keeps it */
	free(to);
	return r;
}

static bool is_there(const char *path)
{
	return access(path, F_OK) == 0;
}

/* The packed form of a file; 0 when there is none. */
static int open_packed(const char *dir, const char *name, const char *tmp,
                       struct zk_db **ret, struct zk_error *err)
{
	int r = 0;

	for (size_t i = 0; i < ZK_JET_PLAIN && !*ret && r == 0; i++) {
		char *path = zk_asprintf("%s/%s%s", dir, name, zk_jet_suffixes[i]);

		if (is_there(path))
			r = zk_jet_packed_open(path, tmp, ret, err);
		free(path);
	}
	return r;
}

int zk_jet_form_open(const char *dir, const char *name, const char *tmp,
                     struct zk_db **ret, struct zk_error *err)
{
	char *path = zk_asprintf("%s/%s", dir, name);
	struct zk_db *db = NULL;
	int r;

	r = is_there(path) ? zk_jet_file_open(path, &db, err) : 0;
	/* It may have been packed just now. */
	if (!db && !is_there(path))
		r = open_packed(dir, name, tmp, &db, err);
	if (!db && r == 0)
		r = zk_fail(err, ZK_E_NO_INPUT, "there is no '%s'", path);
	free(path);
	if (db)
		*ret = db;
	return db ? 0 : r;
}

void zk_jet_unpacked_sweep(const char *dir)
{
	DIR *d = opendir(dir);
	struct dirent *e;

	while (d && (e = readdir(d)) != NULL)
		if (strncmp(e->d_name, COPY, sizeof(COPY) - 1) == 0)
			(void)unlinkat(dirfd(d), e->d_name, 0); /* the next start does */
	if (d)
		(void)closedir(d); /* only read */
}

/* ---- rows ---- */

static zk_str or_null(struct zk_stmt *st, int i)
{
	return zk_col_is_null(st, i) ? ZK_STR_NULL : zk_col_text(st, i);
}

void zk_jet_row_read(struct zk_stmt *st, struct zk_jet_row *ret)
{
	*ret = (struct zk_jet_row){
		.at_uri = or_null(st, 1),
		.did = or_null(st, 2),
		.has_time = !zk_col_is_null(st, 3),
		.time_us = zk_col_i64(st, 3),
		.message = zk_col_text(st, 4),
		.metadata = or_null(st, 5),
		.processed_at = zk_col_text(st, 6),
		.hydration_ms = zk_col_i64(st, 7),
		.calls = zk_col_i64(st, 8),
		.hits = zk_col_i64(st, 9),
		.misses = zk_col_i64(st, 10),
		.kind = or_null(st, 11),
		.operation = or_null(st, 12),
		.collection = or_null(st, 13),
		.has_cursor = !zk_col_is_null(st, 14),
		.cursor = (uint64_t)zk_col_i64(st, 14),
		.hydration = (int)zk_col_i64(st, 15),
	};
}
