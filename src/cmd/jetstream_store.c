/* Looking into a Jetstream store.
 * Layer: cmd. */
#include "cmd/jetstream_store.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "cmd/jetstream_s3.h"
#include "jetstream/archive.h"
#include "rt/loop.h"
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

/* ---- one file ---- */

static const char *tmp_dir(void)
{
	const char *tmp = getenv("TMPDIR");

	return tmp && tmp[0] ? tmp : "/tmp";
}

/* A name for a temporary file; the caller frees and removes it. */
static char *temporary(const char *suffix, struct zk_error *err)
{
	char *path = zk_asprintf("%s/zk-query-XXXXXX%s", tmp_dir(), suffix);
	int fd = mkstemps(path, (int)strlen(suffix));

	if (fd < 0) {
		(void)zk_fail_errno(err, ZK_E_CREATE, errno, "cannot make '%s'", path);
		free(path);
		return NULL;
	}
	(void)close(fd); /* it is empty */
	return path;
}

/* A file of the store: here, or only in the bucket. */
struct place {
	char name[ZK_JET_NAME_MAX];
	char packed[8];
	bool plain;
	char *key; /* NULL = it is here */
};

struct fetching {
	struct jet_s3_wait w;
	FILE *f;
};

static void on_begin(void *ctx)
{
	struct fetching *f = ctx;

	rewind(f->f);
	ZK_IGNORE(ftruncate(fileno(f->f), 0) < 0); /* then the object is no database */
}

static bool on_data(void *ctx, zk_str piece)
{
	struct fetching *f = ctx;

	return fwrite(piece.p, 1, piece.n, f->f) == piece.n;
}

static int fetch(struct zk_app *app, struct zk_s3 *s3, const char *key, const char *to,
                 struct zk_error *err)
{
	struct zk_s3_get get = { .key = zk_str_of(key),
		                 .begin = on_begin,
		                 .data = on_data };
	struct fetching f = { .f = fopen(to, "we") };
	struct zk_loop *loop = zk_app_loop(app, err);
	int e = errno;

	if (!loop)
		return -(int)err->code;
	if (!f.f)
		return zk_fail_errno(err, ZK_E_CREATE, e, "cannot write '%s'", to);
	zk_s3_get(s3, &get, jet_s3_on_done, &f);
	zk_loop_until(loop, &f.w.over);
	if (fclose(f.f) != 0 && !f.w.err.code)
		return zk_fail_errno(err, ZK_E_OUTPUT, errno, "cannot write '%s'", to);
	*err = f.w.err;
	return f.w.err.code ? -(int)f.w.err.code : 0;
}

static int open_there(struct zk_app *app, struct zk_s3 *s3, const struct place *f,
                      struct zk_db **ret, struct zk_error *err)
{
	char *path = temporary(f->packed, err);
	int r;

	if (!path)
		return -(int)err->code;
	r = fetch(app, s3, f->key, path, err);
	if (r == 0)
		r = f->packed[0] ? zk_jet_packed_open(path, tmp_dir(), ret, err)
		                 : zk_jet_file_open(path, ret, err);
	(void)unlink(path); /* may be gone */
	free(path);
	return r;
}

/* ---- all of them ---- */

struct places {
	struct place *v;
	size_t n, room;
};

static struct place *add(struct places *p, const char *name)
{
	for (size_t i = 0; i < p->n; i++)
		if (strcmp(p->v[i].name, name) == 0)
			return NULL;
	if (p->n == p->room) {
		p->room = p->room ? p->room * 2 : 32;
		p->v = zk_realloc(p->v, p->room * sizeof(*p->v));
	}
	p->v[p->n] = (struct place){ 0 };
	(void)snprintf(p->v[p->n].name, sizeof(p->v[p->n].name), "%s", name);
	return &p->v[p->n++];
}

static void places_done(struct places *p)
{
	for (size_t i = 0; i < p->n; i++)
		free(p->v[i].key);
	free(p->v);
}

static int by_name(const void *a, const void *b)
{
	return zk_jet_name_cmp(((const struct place *)a)->name,
	                       ((const struct place *)b)->name);
}

static int add_here(struct places *p, const char *dir, bool may_lack,
                    struct zk_error *err)
{
	struct zk_jet_files files;
	int r = zk_jet_files_list(dir, &files, err);

	if (r < 0)
		return may_lack ? 0 : r;
	for (size_t i = 0; i < files.n; i++) {
		struct place *f = add(p, files.v[i].name);

		if (!f)
			continue;
		f->plain = files.v[i].plain;
		memcpy(f->packed, files.v[i].packed, sizeof(f->packed));
	}
	zk_jet_files_done(&files);
	return 0;
}

/* Keys of ours end in the name of a file. */
struct listing {
	struct jet_s3_wait w;
	struct places *p;
};

static void on_key(void *ctx, zk_str key, uint64_t bytes)
{
	struct listing *l = ctx;
	char name[ZK_JET_NAME_MAX], suffix[8];
	zk_str rest = key, part;
	struct place *f;

	(void)bytes;
	do
		rest = zk_str_cut(rest, '/', &part);
	while (rest.p);
	if (!zk_jet_name_split(part, name, suffix))
		return;
	f = add(l->p, name);
	if (!f)
		return;
	memcpy(f->packed, suffix, sizeof(f->packed));
	f->key = zk_strndup(key.p, key.n);
}

static int add_there(struct zk_app *app, const struct jet_store_walk *w, struct places *p,
                     struct zk_error *err)
{
	struct listing l = { .p = p };
	struct zk_loop *loop = zk_app_loop(app, err);

	if (!loop)
		return -(int)err->code;
	zk_s3_list(w->s3, zk_jet_archive_stem(w->prefix), on_key, jet_s3_on_done, &l);
	zk_loop_until(loop, &l.w.over);
	*err = l.w.err;
	return l.w.err.code ? -(int)l.w.err.code : 0;
}

/* What the ledger knows may save opening the file. */
static bool is_skipped(const struct jet_store_walk *w, struct zk_db *ledger,
                       const struct place *f)
{
	struct zk_jet_sealed known;
	struct zk_error ignored;

	return w->skip && ledger && (f->key || !f->plain) &&
	       zk_jet_ledger_get(ledger, f->name, &known, &ignored) == 1 &&
	       w->skip(w->ctx, &known);
}

static int walk(struct zk_app *app, const struct jet_store_walk *w, const char *dir,
                struct places *p, struct zk_error *err)
{
	struct zk_db *ledger = NULL;
	char *path = zk_asprintf("%s/followers.db", dir);
	struct zk_error ignored;
	int r = 0;

	ZK_IGNORE(zk_jet_file_open(path, &ledger, &ignored) < 0); /* there may be none */
	free(path);
	for (size_t i = 0; i < p->n && r == 0; i++) {
		const struct place *f = &p->v[w->oldest ? i : p->n - 1 - i];
		struct zk_db *db = NULL;

		if (is_skipped(w, ledger, f))
			continue;
		r = f->key ? open_there(app, w->s3, f, &db, err)
		           : zk_jet_form_open(dir, f->name, tmp_dir(), &db, err);
		if (r == 0)
			r = w->fn(w->ctx, db, err);
		zk_db_close(db);
	}
	zk_db_close(ledger);
	return r;
}

int jet_store_each(struct zk_app *app, const struct jet_store_walk *w,
                   struct zk_error *err)
{
	char *dir = jet_store_dir(app, w->o->store, err);
	struct places p = { 0 };
	int r;

	if (!dir)
		return -(int)err->code;
	r = add_here(&p, dir, /* may_lack */ w->s3 != NULL, err);
	if (r == 0 && w->s3)
		r = add_there(app, w, &p, err);
	if (r == 0 && p.n) {
		qsort(p.v, p.n, sizeof(*p.v), by_name);
		r = walk(app, w, dir, &p, err);
	}
	places_done(&p);
	free(dir);
	return r < 0 ? r : 0;
}
