/* The archive as a sink.
 * Layer: jetstream. */
#include "jetstream/archive.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/map.h"
#include "base/mem.h"
#include "net/net.h"
#include "rt/lane.h"
#include "rt/loop.h"
#include "rt/metrics.h"

#define ZK_LOGGER "jetstream"
#include "base/log.h"

#include "base/ban.h"

#define LOOK_MS  10000 /* for files that nobody told us of */
#define AGAIN_MS 60000 /* after a failure that passes */
#define KNOWN    ((void *)(uintptr_t)1)

struct zk_jet_archive {
	struct zk_loop *loop;
	struct zk_jet_archive_conf conf;
	char *dir, *prefix, *shard;
	int lock_fd;
	struct zk_s3 *s3;
	struct zk_lane *lane;
	struct zk_timer *timer;
	/* The lane's while `looking`: */
	struct zk_job job;
	struct zk_db *ledger;
	struct zk_jet_due found;
	struct zk_jet_due_sums sums;
	char gone[16][ZK_JET_NAME_MAX]; /* files to be removed first */
	unsigned n_gone;
	struct zk_jet_sealed keep; /* what became of a file: to be written */
	bool keeps;
	char (*aside)[ZK_JET_NAME_MAX];
	size_t n_aside;
	struct zk_map fresh; /* archived ones, as far as they are new to `has` */
	struct zk_error err;
	/* The loop's: */
	struct zk_jet_due due; /* is being sent; or, `settled`, what became of it */
	bool sending, settled;
	struct zk_map has;
	bool looking, kicked, down, once;
	struct zk_jet_due_sums seen;
	uint64_t delivered;
	char why[520];
	void (*idle)(void *ctx);
	void *idle_ctx;
	struct zk_gauge *lag, *states[3], *archived;
};

static void look(struct zk_jet_archive *a);

/* ---- the lane ---- */

static int on_known(void *ctx, const struct zk_jet_sealed *f)
{
	struct zk_jet_archive *a = ctx;

	if (f->archived_at[0])
		(void)zk_map_set(&a->fresh, zk_str_of(f->name), KNOWN);
	return 0;
}

static int keep(struct zk_jet_archive *a)
{
	if (!a->keeps)
		return 0;
	if (zk_jet_ledger_put(a->ledger, &a->keep, &a->err) < 0)
		return -(int)a->err.code;
	a->keeps = false;
	if (!a->keep.error[0])
		return 0;
	a->aside = zk_realloc(a->aside, (a->n_aside + 1) * sizeof(*a->aside));
	memcpy(a->aside[a->n_aside++], a->keep.name, ZK_JET_NAME_MAX);
	return 0;
}

static int find_due(struct zk_jet_archive *a)
{
	struct zk_jet_due_conf conf = { .dir = a->dir,
		                        .prefix = a->prefix,
		                        .shard = a->shard,
		                        .compress = a->conf.compress,
		                        .aside = (const char(*)[ZK_JET_NAME_MAX])a->aside,
		                        .n_aside = a->n_aside };

	return zk_jet_archive_due(a->ledger, &conf, &a->found, &a->sums, &a->err);
}

static void hand_over(struct zk_jet_archive *a)
{
	if (!a->settled)
		return;
	a->keep = a->due.file;
	a->keeps = true;
	a->settled = false;
}

static void run(void *ctx, struct zk_job *job, size_t n)
{
	struct zk_jet_archive *a = ctx;
	int r = 0;

	(void)job;
	(void)n;
	a->err = (struct zk_error){ 0 };
	if (!a->ledger)
		r = zk_jet_ledger_open(a->dir, &a->ledger, &a->err);
	if (r == 0)
		r = keep(a);
	for (unsigned i = 0; r == 0 && i < a->n_gone; i++)
		zk_jet_files_remove(a->dir, a->gone[i]);
	if (r == 0)
		r = find_due(a);
	if (r == 0 && a->sums.last[0])
		r = zk_jet_ledger_move(a->ledger, "s3", a->sums.last, a->sums.last_rows,
		                       &a->err);
	if (r == 0)
		ZK_IGNORE(zk_jet_ledger_each(a->ledger, on_known, a, &a->err) < 0);
}

static void lane_end(void *ctx)
{
	struct zk_jet_archive *a = ctx;

	a->err = (struct zk_error){ 0 };
	hand_over(a); /* the loop waits for us */
	if (a->ledger)
		ZK_IGNORE(keep(a) < 0); /* then it is found in the bucket */
	zk_db_close(ZK_TAKE(a->ledger));
}

/* ---- the loop ---- */

static const char *state_of(const struct zk_jet_archive *a)
{
	return a->down ? "down" : a->seen.files > 1 ? "behind" : "up";
}

static void set_gauges(struct zk_jet_archive *a)
{
	static const char *const names[] = { "up", "behind", "down" };

	zk_gauge_set(a->lag, (double)a->seen.rows);
	zk_gauge_set(a->archived, (double)a->seen.archived);
	for (unsigned i = 0; i < 3; i++)
		zk_gauge_set(a->states[i], strcmp(names[i], state_of(a)) == 0);
}

static void tell_idle(struct zk_jet_archive *a)
{
	void (*fn)(void *ctx) = a->idle;

	a->idle = NULL;
	if (fn)
		fn(a->idle_ctx);
}

static void fail(struct zk_jet_archive *a, const struct zk_error *err)
{
	if (!a->down)
		zk_log_error(ZK_LOG_WARN, ZK_LOGGER, "the archive is down, trying again",
		             err);
	a->down = true;
	(void)snprintf(a->why, sizeof(a->why), "%s", err->msg);
	set_gauges(a);
}

static void works(struct zk_jet_archive *a)
{
	if (a->down)
		zk_notice("the archive works again");
	a->down = false;
	a->why[0] = '\0';
}

static void on_retry(void *ctx, int64_t wait_ms, const struct zk_error *err)
{
	(void)wait_ms;
	fail(ctx, err);
}

/* This one cannot be archived; the others can. */
static void set_aside(struct zk_jet_archive *a, const struct zk_error *err)
{
	zk_log_error(ZK_LOG_ERROR, ZK_LOGGER,
	             "a file cannot be archived; it stays, others go on", err);
	(void)snprintf(a->due.file.error, sizeof(a->due.file.error), "%s", err->msg);
}

/* What the bucket says of this file, or that it cannot be read; anything else may be over soon. */
static bool is_its_fault(const struct zk_error *err)
{
	return !err->retryable && (err->http_status || err->code == ZK_E_CONFLICT ||
	                           err->code == ZK_E_NO_INPUT);
}

static void on_put(void *ctx, const struct zk_s3_object *o, const struct zk_error *err)
{
	struct zk_jet_archive *a = ctx;
	struct zk_jet_sealed *f = &a->due.file;

	a->sending = false;
	if (err && !is_its_fault(err)) {
		fail(a, err);
		zk_timer_start(a->timer, AGAIN_MS, 0);
		return;
	}
	if (err) {
		set_aside(a, err);
	} else {
		works(a);
		f->bytes = o->bytes;
		f->error[0] = '\0';
		(void)snprintf(f->sha256, sizeof(f->sha256), "%.*s",
		               ZK_STR_ARG(o->sha256));
		(void)zk_format_rfc3339(zk_wall_us(), f->archived_at);
		a->delivered += (uint64_t)f->rows;
		zk_notice("archived", "key=%s bytes=%llu rows=%lld there=%d", f->key,
		          (unsigned long long)f->bytes, (long long)f->rows, o->was_there);
	}
	a->settled = true;
	look(a);
}

static void send(struct zk_jet_archive *a)
{
	char *path = zk_asprintf("%s/%s", a->dir, a->found.form);
	struct zk_jet_archive_meta meta;
	struct zk_s3_put put = { .path = path, .meta = meta.v };

	a->due = a->found;
	put.key = zk_str_of(a->due.file.key);
	put.content_type = zk_jet_archive_type(a->due.form);
	put.replaces = a->due.file.sha256[0] ? a->due.file.sha256 : NULL;
	zk_jet_archive_meta(&a->due.file, &meta);
	a->sending = true;
	zk_s3_put(a->s3, &put, on_put, a);
	free(path);
}

static void take_known(struct zk_jet_archive *a)
{
	size_t pos = 0;
	zk_str name;
	void *v;

	while (zk_map_next(&a->fresh, &pos, &name, &v))
		(void)zk_map_set(&a->has, name, KNOWN);
	zk_map_done(&a->fresh);
	zk_map_init(&a->fresh);
}

/* Local copies that nobody needs any more. */
static void choose_gone(struct zk_jet_archive *a)
{
	a->n_gone = 0;
	if (a->conf.keep_local)
		return;
	for (unsigned i = 0; i < a->seen.n_here; i++)
		if (!a->conf.may_go || a->conf.may_go(a->conf.ctx, a->seen.here[i]))
			memcpy(a->gone[a->n_gone++], a->seen.here[i], ZK_JET_NAME_MAX);
}

static void on_looked(struct zk_job *job)
{
	struct zk_jet_archive *a = ZK_CONTAINER_OF(job, struct zk_jet_archive, job);

	a->looking = false;
	if (!a->lane)
		return;
	if (a->err.code) {
		fail(a, &a->err);
		zk_timer_start(a->timer, AGAIN_MS, 0);
		return;
	}
	a->seen = a->sums;
	take_known(a);
	choose_gone(a);
	set_gauges(a);
	/* When one is settled this look has not seen what became of it. */
	if (a->found.form[0] && a->once && !a->sending && !a->settled) {
		send(a);
	} else if (a->settled || a->n_gone || a->kicked) {
		look(a);
	} else {
		zk_timer_start(a->timer, LOOK_MS, 0);
		if (a->once && !a->sending)
			tell_idle(a);
	}
}

/* Also while one is sent, which may take for ever: what waits behind it is counted. */
static void look(struct zk_jet_archive *a)
{
	if (a->looking || !a->lane)
		return;
	hand_over(a);
	a->kicked = false;
	a->looking = true;
	a->job = (struct zk_job){ .done = on_looked };
	zk_lane_push_always(a->lane, &a->job);
}

static void on_timer(void *ctx)
{
	look(ctx);
}

/* Whether the bucket is there, before anything is sent to it. */
static void on_bucket(void *ctx, const struct zk_s3_object *o, const struct zk_error *err)
{
	struct zk_jet_archive *a = ctx;

	(void)o;
	if (err && !err->retryable) {
		fail(a, err);
		if (a->conf.refused)
			a->conf.refused(a->conf.ctx, err);
		return;
	}
	if (!err)
		works(a);
	a->once = true;
	look(a);
}

void zk_jet_archive_kick(struct zk_jet_archive *a)
{
	a->kicked = true;
	look(a);
}

bool zk_jet_archive_has(const struct zk_jet_archive *a, const char *name)
{
	return zk_map_get(&a->has, zk_str_of(name)) != NULL;
}

void zk_jet_archive_when_idle(struct zk_jet_archive *a, void (*fn)(void *ctx), void *ctx)
{
	a->idle = fn;
	a->idle_ctx = ctx;
	zk_jet_archive_kick(a);
	zk_s3_hurry(a->s3);
}

void zk_jet_archive_view(const struct zk_jet_archive *a, struct zk_jet_follower_view *ret)
{
	memset(ret, 0, sizeof(*ret));
	ret->name = "s3";
	ret->state = state_of(a);
	memcpy(ret->file, a->seen.last, sizeof(ret->file));
	ret->row = a->seen.last_rows;
	ret->delivered = a->delivered;
	ret->lag = (uint64_t)a->seen.rows;
	ret->error = a->why;
}

static void add_gauges(struct zk_jet_archive *a, struct zk_metrics *m)
{
	static const char *const states[] = { "up", "behind", "down" };

	a->lag = zk_metrics_gauge(m, "zk_jetstream_follower_lag_records",
	                          "records that a sink has not got yet",
	                          (const char *[]){ "follower", "s3", NULL });
	for (unsigned i = 0; i < 3; i++)
		a->states[i] = zk_metrics_gauge(
		        m, "zk_jetstream_follower_state", "1 for the state a sink is in",
		        (const char *[]){ "follower", "s3", "state", states[i], NULL });
	a->archived = zk_metrics_gauge(m, "zk_jetstream_files", "store files",
	                               (const char *[]){ "state", "archived", NULL });
}

static int check_prefix(const struct zk_jet_archive_conf *conf, struct zk_error *err)
{
	struct zk_buf key ZK_CLEANUP(zk_buf_done);

	zk_buf_init(&key, 4096);
	return zk_jet_archive_key(conf->prefix, conf->shard, zk_wall_us(),
	                          "jetstream_20260101_000000_99.db.zst", &key, err);
}

int zk_jet_archive_new(struct zk_net *net, const struct zk_jet_archive_conf *conf,
                       struct zk_metrics *m, struct zk_jet_archive **ret,
                       struct zk_error *err)
{
	struct zk_jet_archive *a;
	struct zk_s3_conf s3 = conf->s3;
	struct zk_lane_conf lane = { .name = "jet-archive", .run = run, .end = lane_end };
	int r = check_prefix(conf, err);

	if (r < 0)
		return r;
	a = zk_new0(struct zk_jet_archive);
	a->loop = zk_net_loop(net);
	a->conf = *conf;
	a->dir = zk_strdup(conf->dir);
	a->prefix = zk_strdup(conf->prefix ? conf->prefix : "");
	a->shard = conf->shard ? zk_strdup(conf->shard) : NULL;
	a->lock_fd = -1;
	zk_map_init(&a->has);
	zk_map_init(&a->fresh);
	a->timer = zk_timer_new(a->loop, on_timer, a);
	zk_timer_weak(a->timer, true);
	add_gauges(a, m);
	s3.ctx = a;
	s3.on_retry = on_retry;
	lane.ctx = a;
	r = zk_jet_archive_lock(a->dir, &a->lock_fd, err);
	if (r == 0)
		r = zk_s3_new(net, &s3, &a->s3, err);
	if (r == 0)
		r = zk_lane_start(a->loop, &lane, &a->lane, err);
	if (r < 0) {
		zk_jet_archive_free(a);
		return r;
	}
	zk_s3_head_bucket(a->s3, on_bucket, a);
	*ret = a;
	return 0;
}

void zk_jet_archive_free(struct zk_jet_archive *a)
{
	if (!a)
		return;
	a->idle = NULL;
	zk_s3_free(a->s3);
	zk_lane_stop(ZK_TAKE(a->lane));
	zk_timer_free(a->timer);
	if (a->lock_fd >= 0)
		zk_unlock_file(a->lock_fd);
	zk_map_done(&a->has);
	zk_map_done(&a->fresh);
	free(a->aside);
	free(a->dir);
	free(a->prefix);
	free(a->shard);
	free(a);
}
