/* `zk jetstream repair`.
 * Layer: cmd. specs/jetstream.md §11.5. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "cmd/cmds.h"
#include "cmd/jetstream_opts.h"
#include "cmd/jetstream_store.h"
#include "jetstream/ledger.h"
#include "jetstream/repair.h"
#include "jetstream/session.h"
#include "rt/loop.h"
#include "rt/out.h"

#define ZK_LOGGER "jetstream"
#include "base/log.h"

#include "base/ban.h"

#define AT_A_TIME 500
#define BUSY_MS   5000

struct repair_opts {
	struct jet_opts jet;
	struct jet_store_opts store;
};

static const struct zk_opt rows[] = {
	{ .type = ZK_OPT_STR,
	  .name = "store",
	  .meta = "DIR",
	  .off = offsetof(struct repair_opts, store.store),
	  .conf = "jetstream.store.dir",
	  .complete = "dir",
	  .help = "folder of the store; relative to the data directory" },
	JET_API_ROWS,
	ZK_OPT_END,
};

struct repair {
	struct zk_app *app;
	const struct repair_opts *o;
	struct zk_loop *loop;
	struct zk_out *out;
	char *dir;
	struct jet_input in;
	struct zk_jet_hydrator *hydrator;
	struct zk_jet_sessions *sessions;
	struct zk_jet_mends mends; /* whose lookups run */
	bool complete;
	struct zk_jet_repaired all;
};

/* ---- the rows of one file ---- */

static bool is_complete(const struct repair *r)
{
	for (const struct zk_jet_mend *m = r->mends.list; m; m = m->next)
		if (m->item->waiting)
			return false;
	return true;
}

static void on_ready(void *ctx)
{
	struct repair *r = ctx;

	r->complete = is_complete(r);
}

/* 1 = there may be more. */
static int some_rows(struct repair *r, struct zk_db *db, int64_t *after,
                     struct zk_jet_repaired *sum, struct zk_error *err)
{
	int x = zk_jet_repair_load(db, r->hydrator, *after, AT_A_TIME, &r->mends, err);

	if (x < 0 || !r->mends.last)
		return x;
	*after = r->mends.last;
	r->complete = is_complete(r);
	zk_loop_until(r->loop, &r->complete);
	for (struct zk_jet_mend *m = r->mends.list; m; m = m->next)
		zk_jet_hydrate_close(r->hydrator, m->item);
	x = zk_jet_repair_store(db, &r->mends, sum, err);
	zk_jet_mends_free(&r->mends);
	return x < 0 ? x : 1;
}

static int put_row(struct repair *r, const char *name, uint64_t n,
                   const struct zk_jet_repaired *sum, struct zk_error *err)
{
	struct zk_row row ZK_CLEANUP(zk_row_done);

	zk_row_init(&row);
	zk_row_cstr(&row, "file", name);
	zk_row_u64(&row, "rows", n);
	zk_row_u64(&row, "full", sum->full);
	zk_row_u64(&row, "partial", sum->partial);
	zk_row_u64(&row, "again", sum->passing);
	return zk_out_row(r->out, zk_row_end(&row), err);
}

static int all_rows(struct repair *r, const char *name, struct zk_db *db,
                    struct zk_error *err)
{
	struct zk_jet_repaired sum = { 0 };
	uint64_t n = 0;
	int64_t after = 0;
	int x = zk_jet_repair_count(db, &n, err);

	if (x < 0 || !n)
		return x;
	if (r->app->common.dry_run)
		return put_row(r, name, n, &sum, err);
	while ((x = some_rows(r, db, &after, &sum, err)) == 1)
		;
	if (x < 0)
		return x;
	r->all.full += sum.full;
	r->all.partial += sum.partial;
	r->all.passing += sum.passing;
	return put_row(r, name, n, &sum, err);
}

/* ---- the file around them ---- */

static int open_rw(const char *path, struct zk_db **ret, struct zk_error *err)
{
	struct zk_db_conf conf = { .path = path, .busy_ms = BUSY_MS, .cache_kib = 16384 };

	return zk_db_open(&conf, ret, err);
}

static int mend(struct repair *r, const char *name, struct zk_error *err)
{
	char *path = zk_asprintf("%s/%s", r->dir, name);
	struct zk_db *db = NULL;
	int x = open_rw(path, &db, err);

	if (x == 0)
		x = all_rows(r, name, db, err);
	zk_db_close(db);
	free(path);
	return x;
}

/* The archive has an older form of it now: it is due again. */
static int tell_ledger(struct repair *r, const char *name, struct zk_error *err)
{
	struct zk_jet_sealed f;
	struct zk_db *db = NULL;
	int x = zk_jet_ledger_open(r->dir, &db, err);

	if (x == 0)
		x = zk_jet_ledger_get(db, name, &f, err);
	if (x == 1) {
		f.archived_at[0] = '\0';
		x = zk_jet_ledger_put(db, &f, err);
	}
	zk_db_close(db);
	return x < 0 ? x : 0;
}

static int count_in(const char *path, uint64_t *n, struct zk_error *err)
{
	struct zk_db *db = NULL;
	int x = zk_jet_file_open(path, &db, err);

	if (x == 0)
		x = zk_jet_repair_count(db, n, err);
	zk_db_close(db);
	return x;
}

/* Brings a packed file back when something in it is to be repaired; a crash from here on leaves a
 * plain file, which the next run packs again. 1 = there is nothing. */
static int unpack(struct repair *r, const struct zk_jet_file *f, struct zk_error *err)
{
	char *from = zk_asprintf("%s/%s%s", r->dir, f->name, f->packed);
	char *tmp = zk_asprintf("%s/%s.repair", r->dir, f->name);
	char *to = zk_asprintf("%s/%s", r->dir, f->name);
	uint64_t n = 0;
	int x = zk_jet_unpack(from, tmp, err);

	if (x == 0)
		x = count_in(tmp, &n, err);
	if (x == 0 && !n)
		x = 1;
	if (x == 0 && rename(tmp, to) < 0)
		x = zk_fail_errno(err, ZK_E_STORE, errno, "cannot rename '%s'", tmp);
	if (x != 0)
		(void)unlink(tmp); /* there may be none */
	free(from);
	free(tmp);
	free(to);
	return x;
}

static enum zk_jet_compress form_of(const char *suffix)
{
	enum zk_jet_compress form = ZK_JET_ZSTD;

	while (form < ZK_JET_GZIP && strcmp(suffix, zk_jet_suffixes[form]) != 0)
		form++;
	return form;
}

static int sealed_file(struct repair *r, const struct zk_jet_file *f,
                       struct zk_error *err)
{
	char *path = zk_asprintf("%s/%s", r->dir, f->name);
	uint64_t n = 0;
	int x = f->plain ? count_in(path, &n, err) : unpack(r, f, err);

	free(path);
	if (x != 0 || (f->plain && !n))
		return x < 0 ? x : 0;
	x = mend(r, f->name, err);
	if (r->app->common.dry_run || x < 0)
		return x;
	x = zk_jet_seal(r->dir, f->name, err);
	if (x == 0 && f->packed[0])
		x = zk_jet_pack(r->dir, f->name, form_of(f->packed), f->plain, err);
	return x == 0 ? tell_ledger(r, f->name, err) : x;
}

/* ---- all of them ---- */

static int all_files(struct repair *r, struct zk_error *err)
{
	struct zk_jet_files files;
	int x = 0;

	if (zk_jet_files_list(r->dir, &files, err) < 0)
		return -(int)err->code;
	for (size_t i = 0; i < files.n && x == 0; i++)
		x = files.v[i].live ? mend(r, files.v[i].name, err)
		                    : sealed_file(r, &files.v[i], err);
	zk_jet_files_done(&files);
	return x;
}

static int start(struct repair *r, struct zk_error *err)
{
	static const struct zk_out_shape shape = { .kind = ZK_OUT_LIST, .noun = "files" };
	struct zk_jet_hydrator_conf conf = { .ctx = r, .on_ready = on_ready };

	r->loop = zk_app_loop(r->app, err);
	r->out = zk_app_out(r->app, err);
	if (!r->loop || !r->out || zk_out_begin(r->out, &shape, err) < 0)
		return -(int)err->code;
	r->in.hydrates = true;
	r->in.deadline_ms = -1;
	if (jet_sessions(r->app, &r->o->jet, &r->sessions, err) < 0)
		return -(int)err->code;
	conf.api.sessions = r->sessions;
	return jet_hydrator(r->app, &r->o->jet, &r->in, &conf, &r->hydrator, err);
}

static int lock_store(struct repair *r, int *fd, struct zk_error *err)
{
	char name[ZK_JET_NAME_MAX], *lock;
	int x;

	r->dir = jet_store_dir(r->app, r->o->store.store, err);
	if (!r->dir)
		return -(int)err->code;
	if (zk_jet_live_read(r->dir, name) < 0)
		return zk_fail(err, ZK_E_NO_INPUT, "there is no store in '%s'", r->dir);
	lock = zk_asprintf("%s/store", r->dir);
	x = zk_lock_file(lock, fd, err);
	free(lock);
	return x;
}

static int repair_run(struct zk_app *app, void *opts, int argc, char **argv,
                      struct zk_error *err)
{
	struct repair r = { .app = app, .o = opts };
	int fd = -1, x = lock_store(&r, &fd, err);

	(void)argc;
	(void)argv;
	if (x == 0)
		x = start(&r, err);
	if (x == 0)
		x = all_files(&r, err);
	if (x == 0)
		x = zk_out_end(r.out, err);
	zk_jet_mends_free(&r.mends);
	zk_jet_hydrator_free(r.hydrator);
	zk_jet_sessions_free(r.sessions);
	if (fd >= 0)
		zk_unlock_file(fd);
	free(r.dir);
	if (x == 0 && r.all.passing)
		return zk_fail(err, ZK_E_HTTP_BUSY,
		               "%llu rows lack something still, for a reason that passes",
		               (unsigned long long)r.all.passing);
	return x;
}

const struct zk_cmd zk_cmd_jetstream_repair = {
	.path = "jetstream repair",
	.help = "look up again what the API did not give in time",
	.about =
	        "Rows whose profiles or posts are missing because the API was slow, down "
	        "or out of budget are completed, in the live file and the sealed ones; "
	        "packed files are packed again, archived ones are due again. What is not "
	        "there at all stays so. No run may use the store.",
	.examples = "zk jetstream repair\n"
	            "zk jetstream repair --dry-run",
	.output =
	        "one file per row: how many rows were to be repaired, are full now, are "
	        "not, and could be tried again",
	.exits = "0 · 66 no store · 73 store in use · 74 disk · 75 the API still fails",
	.see = "man zk-jetstream",
	.groups = ZK_OPTS_OUTPUT | ZK_OPTS_HTTP,
	.opts = rows,
	.opts_size = sizeof(struct repair_opts),
	.conf = "jetstream",
	.run = repair_run,
};
