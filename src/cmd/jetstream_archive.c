/* `zk jetstream archive list|push|verify`.
 * Layer: cmd. specs/jetstream.md §2, §15.2. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "cmd/cmds.h"
#include "cmd/jetstream_s3.h"
#include "cmd/jetstream_store.h"
#include "codec/digest.h"
#include "jetstream/archive.h"
#include "rt/loop.h"
#include "rt/out.h"
#include "rt/progress.h"

#define ZK_LOGGER "jetstream"
#include "base/log.h"

#include "base/ban.h"

struct archive_opts {
	struct jet_store_opts store;
	struct jet_s3_opts s3;
	bool full, keep_local;
	int compress;
	const char *shard;
};

static const char *const compressions[] = { "zstd", "zip", "gzip", "none", NULL };

static const struct zk_opt list_rows[] = { JET_STORE_ROW, ZK_OPT_END };

static const struct zk_opt push_rows[] = {
	JET_STORE_ROW,
	JET_S3_ROWS(struct archive_opts),
	{ .type = ZK_OPT_ENUM,
	  .name = "compress",
	  .meta = "HOW",
	  .def = "zstd",
	  .values = compressions,
	  .off = offsetof(struct archive_opts, compress),
	  .conf = "jetstream.store.compress",
	  .help = "what sealed files become that are not packed yet" },
	{ .type = ZK_OPT_BOOL,
	  .name = "s3-keep-local",
	  .off = offsetof(struct archive_opts, keep_local),
	  .conf = "jetstream.s3.keep_local",
	  .group = JET_G_S3,
	  .help = "keep files here that the bucket has" },
	{ .type = ZK_OPT_STR,
	  .name = "shard",
	  .meta = "I/N",
	  .off = offsetof(struct archive_opts, shard),
	  .help = "what {shard} in the prefix stands for" },
	ZK_OPT_END,
};

static const struct zk_opt verify_rows[] = {
	JET_STORE_ROW,
	JET_S3_ROWS(struct archive_opts),
	{ .type = ZK_OPT_BOOL,
	  .name = "full",
	  .flags = ZK_OPT_NO_CONF,
	  .off = offsetof(struct archive_opts, full),
	  .help = "fetch each object and compute its checksum" },
	ZK_OPT_END,
};

/* A command at work. */
struct archive {
	struct zk_app *app;
	const struct archive_opts *o;
	char *dir;
	struct zk_db *ledger;
	struct zk_s3 *s3;
	struct zk_loop *loop;
	struct zk_out *out;
	struct zk_jet_sealed *v; /* what the ledger knows, oldest first */
	size_t n, room;
	bool bad;
};

/* ---- what all of them need ---- */

static int collect(void *ctx, const struct zk_jet_sealed *f)
{
	struct archive *a = ctx;

	if (a->n == a->room) {
		a->room = a->room ? a->room * 2 : 32;
		a->v = zk_realloc(a->v, a->room * sizeof(*a->v));
	}
	a->v[a->n++] = *f;
	return 0;
}

static int by_name(const void *x, const void *y)
{
	const struct zk_jet_sealed *a = x, *b = y;

	return zk_jet_name_cmp(a->name, b->name);
}

static int open_all(struct archive *a, bool with_bucket, struct zk_error *err)
{
	static const struct zk_out_shape shape = { .kind = ZK_OUT_LIST, .noun = "files" };
	char live[ZK_JET_NAME_MAX];

	a->dir = jet_store_dir(a->app, a->o->store.store, err);
	if (!a->dir)
		return -(int)err->code;
	if (zk_jet_live_read(a->dir, live) < 0)
		return zk_fail(err, ZK_E_NO_INPUT, "there is no store in '%s'", a->dir);
	a->loop = zk_app_loop(a->app, err);
	a->out = zk_app_out(a->app, err);
	if (!a->loop || !a->out || zk_out_begin(a->out, &shape, err) < 0)
		return -(int)err->code;
	if (zk_jet_ledger_open(a->dir, &a->ledger, err) < 0)
		return -(int)err->code;
	return with_bucket ? jet_s3_open(a->app, &a->o->s3, &a->s3, err) : 0;
}

static int read_ledger(struct archive *a, struct zk_error *err)
{
	int r = zk_jet_ledger_each(a->ledger, collect, a, err);

	if (a->n)
		qsort(a->v, a->n, sizeof(*a->v), by_name);
	return r;
}

static int close_all(struct archive *a, int r, struct zk_error *err)
{
	if (r >= 0 && zk_out_end(a->out, err) < 0)
		r = -(int)err->code;
	zk_s3_free(a->s3);
	zk_db_close(a->ledger);
	free(a->v);
	free(a->dir);
	if (r == 0 && a->bad)
		return ZK_EXIT_NO;
	return r;
}

/* ---- list ---- */

static void put_time(struct zk_row *row, const char *name, const struct zk_jet_sealed *f,
                     int64_t us)
{
	if (f && f->has_times)
		zk_row_time(row, name, us);
	else
		zk_row_null(row, name);
}

static const char *state_of(const struct zk_jet_file *here, const struct zk_jet_sealed *f)
{
	if (f && f->archived_at[0])
		return "archived";
	if (here && here->live)
		return "live";
	if (f && f->error[0])
		return "set aside";
	return here && here->packed[0] ? "packed" : "sealed";
}

/* Members that only an archived file has. */
static void put_copy(struct zk_row *row, const struct zk_jet_sealed *f)
{
	bool archived = f && f->archived_at[0];

	zk_row_cstr(row, "key", archived ? f->key : NULL);
	if (archived)
		zk_row_u64(row, "bytes", f->bytes);
	else
		zk_row_null(row, "bytes");
	zk_row_cstr(row, "sha256", archived ? f->sha256 : NULL);
	zk_row_cstr(row, "archived_at", archived ? f->archived_at : NULL);
}

/* One file: what is here of it, and what the ledger knows; either may be NULL. */
static int put_file(struct archive *a, const struct zk_jet_file *here,
                    const struct zk_jet_sealed *f, struct zk_error *err)
{
	struct zk_row row ZK_CLEANUP(zk_row_done);

	zk_row_init(&row);
	zk_row_cstr(&row, "file", here ? here->name : f->name);
	zk_row_cstr(&row, "state", state_of(here, f));
	if (f)
		zk_row_i64(&row, "rows", f->rows);
	else
		zk_row_null(&row, "rows");
	put_time(&row, "first", f, f ? f->first_us : 0);
	put_time(&row, "last", f, f ? f->last_us : 0);
	zk_row_u64(&row, "local_bytes", here ? here->bytes : 0);
	put_copy(&row, f);
	zk_row_cstr(&row, "error", f && f->error[0] ? f->error : NULL);
	return zk_out_row(a->out, zk_row_end(&row), err);
}

static int put_list(struct archive *a, struct zk_error *err)
{
	struct zk_jet_files files;
	size_t i = 0, k = 0;
	int r = 0;

	if (zk_jet_files_list(a->dir, &files, err) < 0)
		return -(int)err->code;
	while (r == 0 && (i < files.n || k < a->n)) {
		int c = i == files.n ? 1
		        : k == a->n  ? -1
		                     : zk_jet_name_cmp(files.v[i].name, a->v[k].name);
		/* One that was removed and never archived is of no interest. */
		bool gone = c > 0 && !a->v[k].archived_at[0];

		if (!gone)
			r = put_file(a, c <= 0 ? &files.v[i] : NULL,
			             c >= 0 ? &a->v[k] : NULL, err);
		i += c <= 0;
		k += c >= 0;
	}
	zk_jet_files_done(&files);
	return r < 0 ? r : 0;
}

static int list_run(struct zk_app *app, void *opts, int argc, char **argv,
                    struct zk_error *err)
{
	const struct jet_store_opts *store = opts;
	struct archive_opts o = { .store = *store };
	struct archive a = { .app = app, .o = &o };
	int r = open_all(&a, /* with_bucket */ false, err);

	(void)argc;
	(void)argv;
	if (r == 0)
		r = read_ledger(&a, err);
	if (r == 0)
		r = put_list(&a, err);
	return close_all(&a, r, err);
}

/* ---- push ---- */

/* What a run that was killed left unsealed or unpacked; only when no run does that itself. */
static int pack_rest(struct archive *a, struct zk_error *err)
{
	char *lock = zk_asprintf("%s/store", a->dir);
	struct zk_jet_files files = { 0 };
	int fd = -1, r = zk_lock_file(lock, &fd, err);

	free(lock);
	if (r == -ZK_E_STORE_LOCKED)
		return 0;
	if (r == 0)
		r = zk_jet_files_list(a->dir, &files, err);
	for (size_t i = 0; r == 0 && i < files.n; i++) {
		const struct zk_jet_file *f = &files.v[i];

		if (f->live || !f->plain || f->packed[0])
			continue;
		r = zk_jet_seal(a->dir, f->name, err);
		if (r == 1) {
			r = 0;
			continue;
		}
		if (r == 0)
			r = zk_jet_ledger_note(a->dir, f->name, err);
		if (r == 0 && a->o->compress != ZK_JET_PLAIN)
			r = zk_jet_pack(a->dir, f->name,
			                (enum zk_jet_compress)a->o->compress,
			                /* keep: sinks may need it */ true, err);
	}
	zk_jet_files_done(&files);
	if (fd >= 0)
		zk_unlock_file(fd);
	return r;
}

/* Whether every sink has passed the file. */
static bool may_go(struct archive *a, const char *name)
{
	struct zk_stmt *st;
	struct zk_error ignored;
	bool ok = true;

	if (zk_db_prepare(a->ledger, "SELECT file FROM followers WHERE name<>'s3'", &st,
	                  &ignored) < 0)
		return false;
	while (ok && zk_stmt_step(st, &ignored) == 1) {
		char file[ZK_JET_NAME_MAX];

		(void)snprintf(file, sizeof(file), "%.*s",
		               ZK_STR_ARG(zk_col_text(st, 0)));
		ok = zk_jet_name_cmp(file, name) > 0;
	}
	zk_stmt_free(st);
	return ok;
}

static int put_pushed(struct archive *a, const struct zk_jet_due *due,
                      const struct jet_s3_wait *w, struct zk_error *err)
{
	struct zk_row row ZK_CLEANUP(zk_row_done);

	zk_row_init(&row);
	zk_row_cstr(&row, "file", due->form);
	zk_row_cstr(&row, "key", due->file.key);
	zk_row_bool(&row, "archived", !w->err.code);
	zk_row_i64(&row, "rows", due->file.rows);
	zk_row_u64(&row, "bytes", w->bytes);
	zk_row_bool(&row, "was_there", w->was_there);
	zk_row_cstr(&row, "error", w->err.code ? w->err.msg : NULL);
	return zk_out_row(a->out, zk_row_end(&row), err);
}

static int push_one(struct archive *a, struct zk_jet_due *due, struct zk_error *err)
{
	char *path = zk_asprintf("%s/%s", a->dir, due->form);
	struct zk_jet_archive_meta meta;
	struct zk_s3_put put = { .path = path,
		                 .key = zk_str_of(due->file.key),
		                 .content_type = zk_jet_archive_type(due->form),
		                 .meta = meta.v,
		                 .replaces =
		                         due->file.sha256[0] ? due->file.sha256 : NULL };
	struct jet_s3_wait w = { 0 };
	struct zk_jet_sealed *f = &due->file;
	int r = 0;

	zk_jet_archive_meta(f, &meta);
	zk_s3_put(a->s3, &put, jet_s3_on_done, &w);
	zk_loop_until(a->loop, &w.over);
	free(path);
	if (w.err.code && (w.err.retryable || !w.err.http_status)) {
		*err = w.err; /* the bucket, not this file */
		return -(int)err->code;
	}
	if (w.err.code) {
		a->bad = true;
		(void)snprintf(f->error, sizeof(f->error), "%s", w.err.msg);
	} else {
		f->bytes = w.bytes;
		f->error[0] = '\0';
		(void)snprintf(f->sha256, sizeof(f->sha256), "%.*s",
		               (int)sizeof(f->sha256) - 1, w.sha256);
		(void)zk_format_rfc3339(zk_wall_us(), f->archived_at);
	}
	r = zk_jet_ledger_put(a->ledger, f, err);
	if (r == 0)
		r = put_pushed(a, due, &w, err);
	if (r == 0 && !w.err.code && !a->o->keep_local && may_go(a, f->name))
		zk_jet_files_remove(a->dir, f->name);
	return r;
}

static int push_all(struct archive *a, struct zk_error *err)
{
	struct zk_jet_due_conf conf = { .dir = a->dir,
		                        .prefix = a->o->s3.prefix,
		                        .shard = a->o->shard,
		                        .compress =
		                                (enum zk_jet_compress)a->o->compress };
	char(*aside)[ZK_JET_NAME_MAX] = NULL;
	struct zk_jet_due due;
	struct zk_jet_due_sums sums;
	int r;

	while ((r = zk_jet_archive_due(a->ledger, &conf, &due, &sums, err)) == 0 &&
	       due.form[0]) {
		r = push_one(a, &due, err);
		if (r < 0)
			break;
		aside = zk_realloc(aside, (conf.n_aside + 1) * sizeof(*aside));
		memcpy(aside[conf.n_aside++], due.file.name, ZK_JET_NAME_MAX);
		conf.aside = (const char(*)[ZK_JET_NAME_MAX])aside;
	}
	if (r == 0 && sums.last[0])
		r = zk_jet_ledger_move(a->ledger, "s3", sums.last, sums.last_rows, err);
	free(aside);
	return r;
}

static int push_run(struct zk_app *app, void *opts, int argc, char **argv,
                    struct zk_error *err)
{
	struct archive a = { .app = app, .o = opts };
	int fd = -1, r = open_all(&a, /* with_bucket */ true, err);

	(void)argc;
	(void)argv;
	if (r == 0)
		r = zk_jet_archive_lock(a.dir, &fd, err);
	if (r == 0 && !app->common.dry_run)
		r = pack_rest(&a, err);
	if (r == 0 && !app->common.dry_run)
		r = push_all(&a, err);
	if (fd >= 0)
		zk_unlock_file(fd);
	return close_all(&a, r, err);
}

/* ---- verify ---- */

struct fetched {
	struct jet_s3_wait w;
	struct zk_sha256 sha;
	uint64_t bytes;
};

static void on_begin(void *ctx)
{
	struct fetched *f = ctx;

	zk_sha256_init(&f->sha);
	f->bytes = 0;
}

static bool on_data(void *ctx, zk_str piece)
{
	struct fetched *f = ctx;

	zk_sha256_put(&f->sha, piece.p, piece.n);
	f->bytes += piece.n;
	return true;
}

/* What the object really holds. */
static void fetch(struct archive *a, const struct zk_jet_sealed *f,
                  struct jet_s3_wait *ret)
{
	struct zk_s3_get get = { .key = zk_str_of(f->key),
		                 .begin = on_begin,
		                 .data = on_data };
	struct fetched got = { 0 };
	uint8_t digest[ZK_SHA256_SIZE];
	struct zk_buf hex;

	on_begin(&got);
	zk_s3_get(a->s3, &get, jet_s3_on_done, &got);
	zk_loop_until(a->loop, &got.w.over);
	*ret = got.w;
	if (got.w.err.code)
		return;
	zk_sha256_end(&got.sha, digest);
	zk_buf_init(&hex, 65);
	zk_hex_encode(zk_str_n((const char *)digest, sizeof(digest)), &hex);
	(void)snprintf(ret->sha256, sizeof(ret->sha256), "%s", zk_buf_cstring(&hex));
	zk_buf_done(&hex);
	ret->bytes = got.bytes;
}

static const char *judge(const struct zk_jet_sealed *f, const struct jet_s3_wait *w)
{
	if (w->err.code == ZK_E_NOT_FOUND || (!w->err.code && !w->exists))
		return "missing";
	if (w->err.code)
		return w->err.msg;
	if (w->bytes != f->bytes)
		return "the size differs";
	if (!zk_str_eq_nocase(zk_str_of(w->sha256), zk_str_of(f->sha256)))
		return w->sha256[0] ? "the checksum differs" : "it carries no checksum";
	return NULL;
}

static int verify_one(struct archive *a, const struct zk_jet_sealed *f,
                      struct zk_error *err)
{
	struct zk_row row ZK_CLEANUP(zk_row_done);
	struct jet_s3_wait w = { 0 };
	const char *problem;

	zk_row_init(&row);
	if (a->o->full) {
		fetch(a, f, &w);
	} else {
		zk_s3_head(a->s3, zk_str_of(f->key), jet_s3_on_done, &w);
		zk_loop_until(a->loop, &w.over);
	}
	if (w.err.code && w.err.code != ZK_E_NOT_FOUND) {
		*err = w.err;
		return -(int)err->code;
	}
	problem = judge(f, &w);
	a->bad = a->bad || problem;
	zk_row_cstr(&row, "file", f->name);
	zk_row_cstr(&row, "key", f->key);
	zk_row_bool(&row, "ok", !problem);
	zk_row_u64(&row, "bytes", f->bytes);
	zk_row_i64(&row, "rows", f->rows);
	zk_row_cstr(&row, "problem", problem);
	return zk_out_row(a->out, zk_row_end(&row), err);
}

static int verify_run(struct zk_app *app, void *opts, int argc, char **argv,
                      struct zk_error *err)
{
	struct archive a = { .app = app, .o = opts };
	int r = open_all(&a, /* with_bucket */ true, err);

	(void)argc;
	(void)argv;
	if (r == 0)
		r = read_ledger(&a, err);
	for (size_t i = 0; i < a.n && r == 0; i++)
		if (a.v[i].archived_at[0])
			r = verify_one(&a, &a.v[i], err);
	return close_all(&a, r, err);
}

/* ---- the commands ---- */

const struct zk_cmd zk_cmd_jetstream_archive = {
	.path = "jetstream archive",
	.help = "sealed files and their copies in a bucket",
	.see = "man zk-jetstream",
};

const struct zk_cmd zk_cmd_jetstream_archive_list = {
	.path = "jetstream archive list",
	.help = "show the files of the store and which of them are archived",
	.output =
	        "one file per row, the oldest first; also those that only the bucket has",
	.exits = "0 · 66 no store",
	.see = "man zk-jetstream",
	.groups = ZK_OPTS_OUTPUT,
	.opts = list_rows,
	.opts_size = sizeof(struct jet_store_opts),
	.conf = "jetstream",
	.flags = ZK_CMD_READER,
	.run = list_run,
};

const struct zk_cmd zk_cmd_jetstream_archive_push = {
	.path = "jetstream archive push",
	.help = "upload sealed files now",
	.about = "Does once what `zk jetstream run --sink s3` does all the time: sealed "
	         "files go to the bucket, each once, and leave the disk when the bucket "
	         "has them. Needs no run, and does not disturb one.",
	.examples = "zk jetstream archive push --s3-bucket acme-firehose",
	.output = "one uploaded file per row",
	.exits = "0 · 1 a file was refused · 66 no store · 69 no bucket · 73 a run "
	         "archives "
	         "already · 75 · 77 credentials",
	.see = "man zk-jetstream",
	.groups = ZK_OPTS_OUTPUT | ZK_OPTS_HTTP | ZK_OPTS_RETRY,
	.opts = push_rows,
	.opts_size = sizeof(struct archive_opts),
	.conf = "jetstream",
	.run = push_run,
};

const struct zk_cmd zk_cmd_jetstream_archive_verify = {
	.path = "jetstream archive verify",
	.help = "compare size and checksum of archived files with the bucket",
	.output = "one archived file per row",
	.exits = "0 all right · 1 something is missing or differs · 66 no store · 69 · "
	         "75 · "
	         "77 credentials",
	.see = "man zk-jetstream",
	.groups = ZK_OPTS_OUTPUT | ZK_OPTS_HTTP | ZK_OPTS_RETRY,
	.opts = verify_rows,
	.opts_size = sizeof(struct archive_opts),
	.conf = "jetstream",
	.flags = ZK_CMD_READER,
	.run = verify_run,
};
