/* What the archive lacks.
 * Layer: jetstream; any thread, blocks. specs/jetstream.md §15.2. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "jetstream/archive.h"

#include "base/ban.h"

struct scan {
	struct zk_db *ledger;
	const struct zk_jet_due_conf *conf;
	struct zk_jet_due *due;
	struct zk_jet_due_sums *sums;
	char first[ZK_JET_NAME_MAX]; /* that waits */
};

static bool is_aside(const struct zk_jet_due_conf *c, const char *name)
{
	for (size_t i = 0; i < c->n_aside; i++)
		if (strcmp(c->aside[i], name) == 0)
			return true;
	return false;
}

/* A packed file of which nothing is known: older than the ledger, or brought from elsewhere. */
static int look_into(const struct zk_jet_due_conf *c, const struct zk_jet_file *f,
                     struct zk_jet_sealed *ret, struct zk_error *err)
{
	char *from = zk_asprintf("%s/%s%s", c->dir, f->name, f->packed);
	char *to = zk_asprintf("%s/%s.look", c->dir, f->name);
	struct zk_db *db = NULL;
	int r = f->packed[0] ? zk_jet_unpack(from, to, err) : 0;

	if (r == 0)
		r = zk_jet_file_open(f->packed[0] ? to : from, &db, err);
	if (r == 0)
		r = zk_jet_sealed_read(db, ret, err);
	zk_db_close(db);
	if (f->packed[0])
		(void)unlink(to); /* there may be none */
	free(from);
	free(to);
	return r;
}

/* Whether it can be uploaded, and as what; 0 = not yet. */
static int take_form(const struct scan *s, const struct zk_jet_file *f, bool known,
                     struct zk_jet_due *due)
{
	if (!f->packed[0] && (s->conf->compress != ZK_JET_PLAIN || !known))
		return 0;
	(void)snprintf(due->form, sizeof(due->form), "%s%s", f->name, f->packed);
	return 1;
}

static int take_key(const struct scan *s, const struct zk_jet_file *f,
                    struct zk_jet_due *due, struct zk_error *err)
{
	struct zk_buf key ZK_CLEANUP(zk_buf_done);
	int64_t us = due->file.has_times ? due->file.first_us : f->created_s * 1000000;

	zk_buf_init(&key, sizeof(due->file.key));
	if (zk_jet_archive_key(s->conf->prefix, s->conf->shard, us, due->form, &key,
	                       err) < 0)
		return -(int)err->code;
	(void)snprintf(due->file.key, sizeof(due->file.key), "%s", zk_buf_cstring(&key));
	return 0;
}

static void count_archived(struct scan *s, const struct zk_jet_file *f)
{
	struct zk_jet_due_sums *n = s->sums;

	if (n->n_here < ZK_ARRAY_LEN(n->here))
		memcpy(n->here[n->n_here++], f->name, sizeof(f->name));
}

static void count_waiting(struct scan *s, const struct zk_jet_file *f, int64_t rows)
{
	s->sums->files++;
	s->sums->rows += rows;
	if (!s->first[0])
		memcpy(s->first, f->name, sizeof(s->first));
}

static int look_at(struct scan *s, const struct zk_jet_file *f, struct zk_error *err)
{
	struct zk_jet_due this = { 0 };
	int known = zk_jet_ledger_get(s->ledger, f->name, &this.file, err);
	int r;

	if (known < 0)
		return known;
	if (known && this.file.archived_at[0]) {
		count_archived(s, f);
		return 0;
	}
	if (is_aside(s->conf, f->name))
		return 0;
	/* One that is still to be sealed or packed must not be passed over. */
	if (!take_form(s, f, known, &this)) {
		count_waiting(s, f, this.file.rows);
		return 0;
	}
	if (!known) {
		(void)snprintf(this.file.name, sizeof(this.file.name), "%s", f->name);
		r = look_into(s->conf, f, &this.file, err);
		if (r == 0)
			r = zk_jet_ledger_put(s->ledger, &this.file, err);
		if (r < 0)
			return r;
	}
	count_waiting(s, f, this.file.rows);
	if (s->due->form[0])
		return 0;
	if (take_key(s, f, &this, err) < 0)
		return -(int)err->code;
	*s->due = this;
	return 0;
}

static int on_known(void *ctx, const struct zk_jet_sealed *f)
{
	struct scan *s = ctx;

	if (!f->archived_at[0])
		return 0;
	s->sums->archived++;
	if (s->first[0] && zk_jet_name_cmp(f->name, s->first) > 0)
		return 0;
	if (s->sums->last[0] && zk_jet_name_cmp(f->name, s->sums->last) < 0)
		return 0;
	memcpy(s->sums->last, f->name, sizeof(f->name));
	s->sums->last_rows = f->rows;
	return 0;
}

int zk_jet_archive_due(struct zk_db *ledger, const struct zk_jet_due_conf *conf,
                       struct zk_jet_due *ret, struct zk_jet_due_sums *sums,
                       struct zk_error *err)
{
	struct scan s = { .ledger = ledger, .conf = conf, .due = ret, .sums = sums };
	struct zk_jet_files files;
	int r = 0;

	memset(ret, 0, sizeof(*ret));
	memset(sums, 0, sizeof(*sums));
	if (zk_jet_files_list(conf->dir, &files, err) < 0)
		return -(int)err->code;
	for (size_t i = 0; i < files.n && r == 0; i++)
		if (!files.v[i].live)
			r = look_at(&s, &files.v[i], err);
	zk_jet_files_done(&files);
	return r < 0 ? r : zk_jet_ledger_each(ledger, on_known, &s, err);
}

int zk_jet_archive_lock(const char *dir, int *ret_fd, struct zk_error *err)
{
	char *path = zk_asprintf("%s/archive", dir);
	int r = zk_lock_file(path, ret_fd, err);

	free(path);
	return r;
}
