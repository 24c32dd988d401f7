/* The sinks and the HTTP side of `zk jetstream run`.
 * Layer: cmd. specs/jetstream.md §15, §17. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "cmd/jetstream_run.h"
#include "jetstream/session.h"
#include "rt/loop.h"
#include "rt/stop.h"

#include "base/ban.h"

/* ---- sinks ---- */

static int add(struct run *r, struct zk_jet_follower *f, struct zk_error *err)
{
	if (r->n_followers == ZK_JET_FOLLOWERS_MAX)
		return zk_fail(err, ZK_E_USAGE, "more than %d sinks",
		               ZK_JET_FOLLOWERS_MAX);
	r->followers[r->n_followers++] = f;
	return 0;
}

static int add_lines(struct run *r, const char *name, int fd, bool sync,
                     struct zk_error *err)
{
	struct zk_jet_follower_conf conf = {
		.name = name,
		.dir = r->dir,
		.envelope = (enum zk_jet_envelope)r->o->jet.envelope,
		.fd = fd,
		.sync = sync
	};
	struct zk_jet_follower *f;

	if (zk_jet_follower_new(r->loop, &conf, zk_app_metrics(r->app), &f, err) < 0)
		return -(int)err->code;
	return add(r, f, err);
}

static int add_file(struct run *r, const char *name, const char *path,
                    struct zk_error *err)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);

	if (fd < 0)
		return zk_fail_errno(err, ZK_E_CREATE, errno, "cannot write '%s'", path);
	r->fds[r->n_fds++] = fd;
	return add_lines(r, name, fd, /* sync */ true, err);
}

static int add_redis(struct run *r, struct zk_error *err)
{
	struct zk_jet_redis_conf conf = {
		.url = r->o->redis_url,
		.stream = r->o->redis_stream,
		.maxlen = r->o->redis_maxlen,
		.fields = (enum zk_jet_redis_fields)r->o->redis_fields,
		.position_ids = r->o->redis_id == 1,
		.dir = r->dir,
		.envelope = (enum zk_jet_envelope)r->o->jet.envelope,
	};

	if (r->redis)
		return zk_fail(err, ZK_E_USAGE, "--sink redis is there twice");
	if (zk_jet_redis_new(r->loop, &conf, zk_app_metrics(r->app), &r->redis, err) < 0)
		return -(int)err->code;
	return add(r, zk_jet_redis_follower(r->redis), err);
}

static void on_refused(void *ctx, const struct zk_error *err)
{
	struct run *r = ctx;

	if (!r->err.code)
		r->err = *err;
	zk_stop_begin(r->stop);
}

/* Repeats for ever, from a second on up to five minutes unless the options say otherwise. */
static int add_s3(struct run *r, struct zk_error *err)
{
	struct zk_s3_cred cred = { 0 };
	struct zk_jet_archive_conf conf = {
		.dir = r->dir,
		.prefix = r->o->s3.prefix,
		.shard = r->o->jet.shard,
		.compress = (enum zk_jet_compress)r->o->compress,
		.keep_local = r->o->s3_keep_local,
		.ctx = r,
		.may_go = jet_run_passed,
		.refused = on_refused,
	};
	int x;

	if (r->archive)
		return zk_fail(err, ZK_E_USAGE, "--sink s3 is there twice");
	x = jet_s3_conf(&r->o->s3, &conf.s3, &cred, err);
	conf.s3.retry = (struct zk_retry_conf){
		.max_retries = UINT64_MAX,
		.base_ms = r->app->retry.base_ms * 4,
		.cap_ms = r->app->retry.cap_ms * 10,
	};
	if (x == 0)
		x = zk_jet_archive_new(r->net, &conf, zk_app_metrics(r->app), &r->archive,
		                       err);
	zk_s3_cred_done(&cred);
	return x;
}

int jet_run_sinks(struct run *r, struct zk_error *err)
{
	for (size_t i = 0; i < r->o->sinks.n; i++) {
		const char *s = r->o->sinks.v[i];
		int x;

		if (strcmp(s, "redis") == 0)
			x = add_redis(r, err);
		else if (strcmp(s, "s3") == 0)
			x = add_s3(r, err);
		else if (strcmp(s, "stdout") == 0)
			x = add_lines(r, "stdout", STDOUT_FILENO, false, err);
		else if (strncmp(s, "file:", 5) == 0 && s[5] &&
		         r->n_fds < ZK_JET_FOLLOWERS_MAX)
			x = add_file(r, s, s + 5, err);
		else
			x = zk_fail(err, ZK_E_USAGE, "--sink: there is no '%s'", s);
		if (x < 0)
			return x;
	}
	return 0;
}

void jet_run_sinks_done(struct run *r)
{
	for (size_t i = 0; i < r->n_followers; i++)
		if (!r->redis || r->followers[i] != zk_jet_redis_follower(r->redis))
			zk_jet_follower_free(r->followers[i]);
	zk_jet_redis_free(r->redis);
	zk_jet_archive_free(ZK_TAKE(r->archive));
	for (size_t i = 0; i < r->n_fds; i++)
		(void)close(r->fds[i]); /* synced by their followers */
}

void jet_run_kick(struct run *r, size_t n)
{
	for (size_t i = 0; i < r->n_followers; i++)
		zk_jet_follower_kick(r->followers[i], n);
}

bool jet_run_passed(void *run, const char *file)
{
	const struct run *r = run;

	for (size_t i = 0; i < r->n_followers; i++)
		if (!zk_jet_follower_passed(r->followers[i], file))
			return false;
	return true;
}

bool jet_run_may_go(void *run, const char *file)
{
	const struct run *r = run;

	return jet_run_passed(run, file) &&
	       (!r->archive || zk_jet_archive_has(r->archive, file));
}

static void on_idle(void *ctx)
{
	struct run *r = ctx;

	if (--r->draining_sinks == 0)
		r->drained(r);
}

void jet_run_drain_sinks(struct run *r, void (*fn)(struct run *r))
{
	r->drained = fn;
	r->draining_sinks = r->n_followers + 1 + (r->archive != NULL);
	for (size_t i = 0; i < r->n_followers; i++)
		zk_jet_follower_when_idle(r->followers[i], on_idle, r);
	if (r->archive)
		zk_jet_archive_when_idle(r->archive, on_idle, r);
	on_idle(r);
}

/* ---- HTTP ---- */

static void collect(void *ctx, struct zk_jet_view *v)
{
	struct run *r = ctx;

	memset(v, 0, sizeof(*v));
	zk_jet_pipe_figures(r->pipe, &v->pipe);
	if (r->hydrator)
		zk_jet_hydrator_figures(r->hydrator, &v->hydrator);
	v->has_store = r->store != NULL;
	v->from_host = !r->o->jet.from;
	if (r->store)
		zk_jet_store_sizes(r->store, &v->store_bytes, &v->sealed);
	if (r->sessions)
		v->sessions = zk_jet_sessions_count(r->sessions);
	if (r->redis) {
		v->redis = true;
		v->redis_up = zk_jet_redis_is_up(r->redis);
		v->redis_stream = r->o->redis_stream;
		v->redis_maxlen = r->o->redis_maxlen;
	}
	for (size_t i = 0; i < r->n_followers; i++)
		zk_jet_follower_view(r->followers[i], &v->followers[v->n_followers++]);
	if (r->archive && v->n_followers < ZK_JET_FOLLOWERS_MAX)
		zk_jet_archive_view(r->archive, &v->followers[v->n_followers++]);
}

int jet_run_web(struct run *r, struct zk_error *err)
{
	struct zk_jet_web_conf conf = { .listen = r->o->listen.v,
		                        .n_listen = r->o->listen.n,
		                        .metrics = zk_app_metrics(r->app),
		                        .compat = r->o->compat_metrics,
		                        .ctx = r,
		                        .collect = collect };

	if (!conf.n_listen || strcmp(conf.listen[0], "off") == 0)
		return 0;
	return zk_jet_web_new(r->loop, &conf, &r->web, err);
}
