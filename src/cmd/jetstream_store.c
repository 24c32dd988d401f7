/* Looking into a Jetstream store.
 * Layer: cmd. */
#include "cmd/jetstream_store.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/mem.h"
#include "store/sqlite.h"

#include "base/ban.h"

char *jet_store_dir(struct zk_app *app, const char *store, struct zk_error *err)
{
	const char *dir = store ? store : "jetstream";
	char *data, *path;

	if (dir[0] == '/')
		return zk_strdup(dir);
	data = zk_app_data_dir(app, /* make */ false, err);
	if (!data)
		return NULL;
	path = zk_asprintf("%s/%s", data, dir);
	free(data);
	return path;
}

/* A packed file is unpacked to where temporary files go, and removed at once: the open
 * connection keeps it. */
static int open_packed(const char *dir, const struct zk_jet_file *f, struct zk_db **ret,
                       struct zk_error *err)
{
	const char *tmp = getenv("TMPDIR");
	char *to = zk_asprintf("%s/zk-query-XXXXXX", tmp && tmp[0] ? tmp : "/tmp");
	char *from = zk_asprintf("%s/%s%s", dir, f->name, f->packed);
	int fd = mkstemp(to), r;

	if (fd < 0) {
		r = zk_fail_errno(err, ZK_E_CREATE, errno, "cannot make '%s'", to);
	} else {
		(void)close(fd); /* it is empty */
		r = zk_jet_unpack(from, to, err);
		if (r == 0)
			r = zk_jet_file_open(to, ret, err);
		(void)unlink(to); /* may be gone */
	}
	free(from);
	free(to);
	return r;
}

static int open_any(const char *dir, const struct zk_jet_file *f, struct zk_db **ret,
                    struct zk_error *err)
{
	char *path;
	int r;

	if (!f->plain)
		return open_packed(dir, f, ret, err);
	path = zk_asprintf("%s/%s", dir, f->name);
	r = zk_jet_file_open(path, ret, err);
	free(path);
	return r;
}

int jet_store_each(struct zk_app *app, const struct jet_store_opts *o, bool oldest,
                   int (*fn)(void *ctx, struct zk_db *db, struct zk_error *err),
                   void *ctx, struct zk_error *err)
{
	char *dir = jet_store_dir(app, o->store, err);
	struct zk_jet_files files;
	int r = 0;

	if (!dir)
		return -(int)err->code;
	if (zk_jet_files_list(dir, &files, err) < 0) {
		free(dir);
		return -(int)err->code;
	}
	for (size_t i = 0; i < files.n && r == 0; i++) {
		const struct zk_jet_file *f = &files.v[oldest ? i : files.n - 1 - i];
		struct zk_db *db = NULL;

		r = open_any(dir, f, &db, err);
		if (r == 0)
			r = fn(ctx, db, err);
		zk_db_close(db);
	}
	zk_jet_files_done(&files);
	free(dir);
	return r < 0 ? r : 0;
}
