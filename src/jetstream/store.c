/* The store: opening, commits, sealing in the background, what may be removed.
 * Layer: jetstream. */
#include "jetstream/store.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "jetstream/ledger.h"
#include "jetstream/store_int.h"
#include "rt/loop.h"

#define ZK_LOGGER "jetstream"
#include "base/log.h"

#include "base/ban.h"

/* ---- the lanes ---- */

static void run_commits(void *ctx, struct zk_job *batch, size_t n)
{
	struct zk_jet_store *s = ctx;

	(void)n;
	for (struct zk_job *j = batch; j; j = j->next)
		zk_jet_live_run(s, ZK_CONTAINER_OF(j, struct zk_jet_commit, job));
}

struct seal {
	struct zk_job job;
	struct zk_list again; /* in zk_jet_store.unsealed */
	struct zk_jet_store *s;
	char name[ZK_JET_NAME_MAX];
	bool pack, sealed;
	struct zk_error err;
};

/* It was the oldest, and made place before its turn came. */
static bool is_gone(const struct zk_jet_store *s, const char *name)
{
	char *path = zk_asprintf("%s/%s", s->dir, name);
	bool gone = access(path, F_OK) < 0 && errno == ENOENT;

	free(path);
	return gone;
}

static void run_seals(void *ctx, struct zk_job *batch, size_t n)
{
	struct zk_jet_store *s = ctx;

	(void)n;
	for (struct zk_job *j = batch; j; j = j->next) {
		struct seal *job = ZK_CONTAINER_OF(j, struct seal, job);
		struct zk_error ignored;

		if (zk_jet_seal(s->dir, job->name, &job->err) != 0) {
			if (job->err.code && is_gone(s, job->name))
				job->err = (struct zk_error){ 0 };
			else if (job->err.code == ZK_E_STORE_CORRUPT)
				zk_jet_set_aside(s, job->name);
			continue;
		}
		job->sealed = true;
		/* Before it is packed: afterwards it would have to be unpacked for that. */
		ZK_IGNORE(zk_jet_ledger_note(s->dir, job->name, &ignored) < 0);
		if (job->pack && s->conf.compress != ZK_JET_PLAIN)
			ZK_IGNORE(zk_jet_pack(s->dir, job->name, s->conf.compress,
			                      s->conf.keep_plain, &job->err) < 0);
	}
}

/* Somebody may have read the file; a damaged one was set aside. */
static bool can_seal_later(const struct seal *job)
{
	return !job->sealed && job->err.code && job->err.code != ZK_E_STORE_CORRUPT;
}

static bool may_pack(const struct zk_jet_store *s, const char *name)
{
	return !s->conf.may_pack || s->conf.may_pack(s->conf.ctx, name);
}

static void push_seal(struct seal *job)
{
	struct zk_jet_store *s = job->s;

	job->err = (struct zk_error){ 0 };
	job->sealed = false;
	job->pack = may_pack(s, job->name);
	zk_lane_push_always(s->sealer, &job->job);
}

/* It could not be packed when it was sealed: at the start, when nobody can tell yet. */
static bool can_pack_now(const struct seal *job)
{
	const struct zk_jet_store *s = job->s;

	return s->check && job->sealed && !job->pack &&
	       s->conf.compress != ZK_JET_PLAIN && may_pack(s, job->name);
}

static void on_sealed(struct zk_job *j)
{
	struct seal *job = ZK_CONTAINER_OF(j, struct seal, job);
	struct zk_jet_store *s = job->s;

	if (job->err.code)
		zk_log_error(ZK_LOG_WARN, ZK_LOGGER,
		             "a file could not be sealed, trying again later", &job->err);
	if (job->sealed && s->conf.on_sealed)
		s->conf.on_sealed(s->conf.ctx, job->name);
	if (can_seal_later(job))
		zk_list_push(&s->unsealed, &job->again);
	else if (can_pack_now(job))
		push_seal(job);
	else
		free(job);
}

static void seal_later(struct zk_jet_store *s, const char *name)
{
	struct seal *job = zk_new0(struct seal);

	job->s = s;
	job->job.done = on_sealed;
	(void)snprintf(job->name, sizeof(job->name), "%s", name);
	push_seal(job);
}

/* From the live file on they are the writer's: while it switches, the next one is there before
 * DIR/live names it. Our copy of the name may be behind the writer, never ahead. */
static bool is_left(const struct zk_jet_store *s, const struct zk_jet_file *f)
{
	return zk_jet_name_cmp(f->name, s->live_name) < 0;
}

void zk_jet_store_repack(struct zk_jet_store *s)
{
	struct zk_jet_files files;
	struct zk_list *unsealed;
	struct zk_error err;

	while ((unsealed = zk_list_pop(&s->unsealed)) != NULL)
		push_seal(ZK_CONTAINER_OF(unsealed, struct seal, again));
	if (s->conf.compress == ZK_JET_PLAIN || s->leaving || zk_lane_jobs(s->sealer) ||
	    zk_jet_files_list(s->dir, &files, &err) < 0)
		return;
	for (size_t i = 0; i < files.n; i++) {
		const struct zk_jet_file *f = &files.v[i];

		if (!is_left(s, f) || !f->plain || (f->packed[0] && s->conf.keep_plain))
			continue;
		if (may_pack(s, f->name))
			seal_later(s, f->name);
	}
	zk_jet_files_done(&files);
}

static void on_committed(struct zk_job *j)
{
	struct zk_jet_commit *c = ZK_CONTAINER_OF(j, struct zk_jet_commit, job);
	struct zk_jet_store *s = c->store;

	if (c->file[0])
		memcpy(s->live_name, c->file, sizeof(s->live_name));
	/* Without one the store is being closed: sealed at the next start. */
	if (s->check && c->sealed[0]) {
		s->leaving++;
		zk_jet_check_leave(s->check, c->sealed);
	}
	c->sealed[0] = '\0';
	if (s->check && !c->err.code)
		zk_jet_check_committed(s->check, c);
	s->conf.on_commit(s->conf.ctx, c, c->err.code ? &c->err : NULL);
}

void zk_jet_store_seal(struct zk_jet_store *s, const char *name)
{
	s->leaving--;
	seal_later(s, name);
}

void zk_jet_store_left(struct zk_jet_store *s, const char *name)
{
	if (!s->conf.before_seal || !s->conf.before_seal(s->conf.ctx, name))
		zk_jet_store_seal(s, name);
}

void zk_jet_store_write(struct zk_jet_store *s, struct zk_jet_commit *c)
{
	c->store = s;
	c->job.done = on_committed;
	zk_lane_push_always(s->writer, &c->job);
}

void zk_jet_store_commit(struct zk_jet_store *s, struct zk_jet_commit *c)
{
	if (!zk_jet_check_hold(s->check, c))
		zk_jet_store_write(s, c);
}

/* ---- opening ---- */

static int make_dirs(const char *dir, struct zk_error *err)
{
	char *path = zk_strdup(dir);
	int r = 0;

	for (char *p = path + 1; r == 0; p++) {
		char c = *p;

		if (c != '/' && c)
			continue;
		*p = '\0';
		if (mkdir(path, 0700) < 0 && errno != EEXIST)
			r = zk_fail_errno(err, ZK_E_CREATE, errno, "cannot make '%s'",
			                  path);
		*p = c;
		if (!c)
			break;
	}
	free(path);
	return r;
}

static int check_shard(struct zk_jet_store *s, struct zk_error *err)
{
	struct zk_stmt *st;
	const char *mine = s->shard ? s->shard : "0/1";
	int r;

	if (zk_db_prepare(s->live.db, "SELECT value FROM zk_meta WHERE key='shard'", &st,
	                  err) < 0)
		return -(int)err->code;
	r = zk_stmt_step(st, err);
	if (r == 1 && !zk_str_eq(zk_col_text(st, 0), zk_str_of(mine)))
		r = zk_fail(err, ZK_E_CONFIG,
		            "the store '%s' belongs to shard %.*s, not %s", s->dir,
		            ZK_STR_ARG(zk_col_text(st, 0)), mine);
	zk_stmt_free(st);
	return r < 0 ? r : 0;
}

void zk_jet_set_aside(const struct zk_jet_store *s, const char *name)
{
	static const char *const suffixes[] = { "", "-wal", "-shm" };

	for (size_t i = 0; i < ZK_ARRAY_LEN(suffixes); i++) {
		char *from = zk_asprintf("%s/%s%s", s->dir, name, suffixes[i]);
		char *to = zk_asprintf("%s/%s.corrupt%s", s->dir, name, suffixes[i]);

		ZK_IGNORE(rename(from, to) < 0); /* there may be none */
		free(from);
		free(to);
	}
	zk_warn("a damaged file was set aside, going on with a new one", "file=%s", name);
}

static int open_fresh(struct zk_jet_store *s, const struct zk_jet_files *files,
                      struct zk_error *err)
{
	char name[ZK_JET_NAME_MAX];
	int64_t now = zk_wall_us() / 1000000;

	zk_jet_files_fresh(files, s->dir, now, name);
	if (zk_jet_live_open(s, name, /* fresh */ true, &s->live, err) < 0)
		return -(int)err->code;
	s->live.opened_s = now;
	return zk_jet_live_write(s->dir, name, err);
}

static bool inherit_from(struct zk_jet_store *s, struct zk_db *db, const char *table)
{
	struct zk_error ignored;

	return zk_jet_positions_copy(db, table, s->live.place, &ignored) > 0;
}

/* The positions of the newest file that has some; those of packed files stand in the ledger. */
static void inherit(struct zk_jet_store *s, const struct zk_jet_files *files)
{
	struct zk_db *db = NULL;
	struct zk_error ignored;
	bool any = false;

	for (size_t i = files->n; i-- > 0 && !any;) {
		const struct zk_jet_file *f = &files->v[i];
		char *path;

		if (!f->plain || strcmp(f->name, s->live.name) == 0)
			continue;
		path = zk_asprintf("%s/%s", s->dir, f->name);
		if (zk_jet_file_open(path, &db, &ignored) == 0)
			any = inherit_from(s, db, "zk_position");
		zk_db_close(ZK_TAKE(db));
		free(path);
	}
	if (!any && zk_jet_ledger_open(s->dir, &db, &ignored) == 0)
		ZK_IGNORE(inherit_from(s, db, "positions")); /* the first start */
	zk_db_close(db);
}

static int open_live(struct zk_jet_store *s, struct zk_error *err)
{
	struct zk_jet_files files;
	char name[ZK_JET_NAME_MAX];
	const struct zk_jet_file *f;
	int r = 0;

	if (zk_jet_files_list(s->dir, &files, err) < 0)
		return -(int)err->code;
	f = zk_jet_live_read(s->dir, name) == 0 ? zk_jet_files_find(&files, name) : NULL;
	if (f && f->plain) {
		r = zk_jet_live_open(s, name, /* fresh */ false, &s->live, err);
		s->live.opened_s = f->created_s;
		if (r == -ZK_E_STORE_CORRUPT) {
			zk_jet_set_aside(s, name);
			f = NULL;
		}
	}
	if (!f || !f->plain) {
		r = open_fresh(s, &files, err);
		if (r == 0)
			inherit(s, &files);
	}
	if (r == 0)
		r = check_shard(s, err);
	zk_jet_files_done(&files);
	return r;
}

/* What a crash left behind: sealed again, or, when nothing is in it, removed. */
static void recover(struct zk_jet_store *s)
{
	struct zk_jet_files files;
	struct zk_error err;

	zk_jet_unpacked_sweep(s->dir);
	if (zk_jet_files_list(s->dir, &files, &err) < 0)
		return;
	for (size_t i = 0; i < files.n; i++)
		if (files.v[i].plain && strcmp(files.v[i].name, s->live.name) != 0 &&
		    !(files.v[i].packed[0] && s->conf.keep_plain))
			seal_later(s, files.v[i].name);
	zk_jet_files_done(&files);
}

static int start_lanes(struct zk_jet_store *s, struct zk_error *err)
{
	struct zk_lane_conf writer = { .name = "jet-store",
		                       .ctx = s,
		                       .run = run_commits,
		                       .max_jobs = 64,
		                       .batch_jobs = 1 };
	struct zk_lane_conf sealer = { .name = "jet-seal",
		                       .ctx = s,
		                       .run = run_seals,
		                       .max_jobs = 10000,
		                       .batch_jobs = 1 };

	if (zk_lane_start(s->loop, &writer, &s->writer, err) < 0)
		return -(int)err->code;
	if (zk_lane_start(s->loop, &sealer, &s->sealer, err) < 0)
		return -(int)err->code;
	return zk_jet_check_new(s, &s->check, err);
}

int zk_jet_store_open(struct zk_loop *loop, const struct zk_jet_store_conf *conf,
                      struct zk_jet_store **ret, struct zk_error *err)
{
	struct zk_jet_store *s = zk_new0(struct zk_jet_store);
	char *lock;
	int r;

	s->loop = loop;
	s->conf = *conf;
	s->dir = zk_strdup(conf->dir);
	s->shard = conf->shard ? zk_strdup(conf->shard) : NULL;
	s->lock_fd = -1;
	zk_list_init(&s->unsealed);
	lock = zk_asprintf("%s/store", s->dir);
	r = make_dirs(s->dir, err);
	if (r == 0)
		r = zk_lock_file(lock, &s->lock_fd, err);
	free(lock);
	if (r == 0)
		r = open_live(s, err);
	if (r == 0)
		r = start_lanes(s, err);
	if (r < 0) {
		zk_jet_store_close(s);
		return r;
	}
	memcpy(s->live_name, s->live.name, sizeof(s->live_name));
	/* Before anything is sealed, packed, and gone. */
	if (conf->known)
		zk_jet_recent_each(s->dir, conf->known, conf->ctx);
	recover(s);
	*ret = s;
	return 0;
}

void zk_jet_store_settle(struct zk_jet_store *s)
{
	if (!s)
		return;
	/* Commits that it holds back go to the writer now. */
	zk_jet_check_free(ZK_TAKE(s->check));
	zk_lane_stop(ZK_TAKE(s->writer));
	zk_lane_stop(ZK_TAKE(s->sealer));
}

void zk_jet_store_close(struct zk_jet_store *s)
{
	struct zk_list *unsealed;

	if (!s)
		return;
	zk_jet_store_settle(s);
	/* Sealed at the next start. */
	while ((unsealed = zk_list_pop(&s->unsealed)) != NULL)
		free(ZK_CONTAINER_OF(unsealed, struct seal, again));
	zk_jet_live_close(&s->live);
	if (s->lock_fd >= 0)
		zk_unlock_file(s->lock_fd);
	free(s->dir);
	free(s->shard);
	free(s);
}

/* ---- what is known at the start ---- */

static void copy_text(char *to, size_t room, zk_str s)
{
	(void)snprintf(to, room, "%.*s", ZK_STR_ARG(s));
}

bool zk_jet_store_place(struct zk_jet_store *s, const char *source,
                        struct zk_jet_place *ret)
{
	struct zk_stmt *st;
	struct zk_error err;
	bool found = false;

	memset(ret, 0, sizeof(*ret));
	if (zk_db_prepare(
	            s->live.db,
	            "SELECT host, wire, seq, time_us FROM zk_position WHERE source=?",
	            &st, &err) < 0)
		return false;
	zk_bind_text(st, 1, zk_str_of(source));
	if (zk_stmt_step(st, &err) == 1) {
		copy_text(ret->host, sizeof(ret->host), zk_col_text(st, 0));
		copy_text(ret->wire, sizeof(ret->wire), zk_col_text(st, 1));
		ret->seq = (uint64_t)zk_col_i64(st, 2);
		ret->time_us = zk_col_i64(st, 3);
		found = true;
	}
	zk_stmt_free(st);
	return found;
}

const char *zk_jet_store_dir(const struct zk_jet_store *s)
{
	return s->dir;
}

const char *zk_jet_store_live(const struct zk_jet_store *s)
{
	return s->live_name;
}

/* ---- retention ---- */

uint64_t zk_jet_store_retain(struct zk_jet_store *s, const struct zk_jet_retention *r,
                             unsigned *removed)
{
	struct zk_jet_files files;
	struct zk_error err;
	uint64_t all = 0;
	int64_t now_s = zk_wall_us() / 1000000;

	*removed = 0;
	if (zk_jet_files_list(s->dir, &files, &err) < 0)
		return 0;
	for (size_t i = 0; i < files.n; i++)
		all += files.v[i].bytes;
	s->sealed = 0;
	for (size_t i = 0; i < files.n; i++) {
		const struct zk_jet_file *f = &files.v[i];
		bool old = r->retention_ms &&
		           (now_s - f->created_s) * 1000 > r->retention_ms;
		bool over = r->max_bytes && all > r->max_bytes;

		if (!is_left(s, f))
			continue;
		if ((old || over) && (!r->may_go || r->may_go(r->ctx, f->name))) {
			zk_jet_files_remove(s->dir, f->name);
			zk_notice("an old file was removed", "file=%s bytes=%llu",
			          f->name, (unsigned long long)f->bytes);
			all -= f->bytes;
			(*removed)++;
		} else {
			s->sealed++;
		}
	}
	zk_jet_files_done(&files);
	s->bytes = all;
	return r->max_bytes && all > r->max_bytes ? all - r->max_bytes : 0;
}

void zk_jet_store_sizes(const struct zk_jet_store *s, uint64_t *bytes, unsigned *sealed)
{
	*bytes = s->bytes;
	*sealed = s->sealed;
}
