/* The sinks and the HTTP side of `zk jetstream run`.
 * Layer: cmd. specs/jetstream.md §15, §17. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "cli/state.h"
#include "cmd/config_view.h"
#include "cmd/jetstream_run.h"
#include "jetstream/session.h"
#include "rt/loop.h"
#include "rt/stop.h"

#include "base/ban.h"

#define CONFIG_MAX (1u << 20)

/* ---- sinks ---- */

static void free_follower(void *ctx)
{
	zk_jet_follower_free(ctx);
}

static int add_lines(struct run *r, const char *name, int fd, bool sync,
                     struct jet_sink *ret, struct zk_error *err)
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
	*ret = (struct jet_sink){ .follower = f, .free = free_follower, .ctx = f };
	return 0;
}

static int add_stdout(struct run *r, const char *name, const char *where,
                      struct jet_sink *ret, struct zk_error *err)
{
	(void)where;
	return add_lines(r, name, STDOUT_FILENO, /* sync */ false, ret, err);
}

static int add_file(struct run *r, const char *name, const char *path,
                    struct jet_sink *ret, struct zk_error *err)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);

	if (fd < 0)
		return zk_fail_errno(err, ZK_E_CREATE, errno, "cannot write '%s'", path);
	r->fds[r->n_fds++] = fd;
	return add_lines(r, name, fd, /* sync */ true, ret, err);
}

static void free_redis(void *ctx)
{
	zk_jet_redis_free(ctx);
}

static int add_redis(struct run *r, const char *name, const char *where,
                     struct jet_sink *ret, struct zk_error *err)
{
	struct zk_jet_redis_conf conf = {
		.url = r->o->redis_url,
		.stream = r->o->redis_stream,
		.maxlen = r->o->redis_maxlen,
		.partitions = (unsigned)r->o->redis_partitions,
		.fields = (enum zk_jet_redis_fields)r->o->redis_fields,
		.position_ids = r->o->redis_id == 1,
		.dir = r->dir,
		.envelope = (enum zk_jet_envelope)r->o->jet.envelope,
	};

	(void)name;
	(void)where;
	if (r->redis)
		return zk_fail(err, ZK_E_USAGE, "--sink redis is there twice");
	if (zk_jet_redis_new(r->loop, &conf, zk_app_metrics(r->app), &r->redis, err) < 0)
		return -(int)err->code;
	*ret = (struct jet_sink){ .follower = zk_jet_redis_follower(r->redis),
		                  .free = free_redis,
		                  .ctx = r->redis };
	return 0;
}

static void on_refused(void *ctx, const struct zk_error *err)
{
	struct run *r = ctx;

	if (!r->err.code)
		r->err = *err;
	zk_stop_begin(r->stop);
}

/* Repeats for ever, from a second on up to five minutes unless the options say otherwise. */
static int add_s3(struct run *r, const char *name, const char *where,
                  struct jet_sink *ret, struct zk_error *err)
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

	(void)name;
	(void)where;
	*ret = (struct jet_sink){ 0 }; /* it takes files, not rows */
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

enum where { NO_WHERE, MAY_WHERE, MUST_WHERE };

/* What --sink knows: "NAME" or "NAME:WHERE". */
static const struct {
	const char *name;
	enum where where;
	int (*add)(struct run *r, const char *name, const char *where,
	           struct jet_sink *ret, struct zk_error *err);
} kinds[] = {
	{ "stdout", NO_WHERE, add_stdout },
	{ "redis", NO_WHERE, add_redis },
	{ "s3", NO_WHERE, add_s3 },
	{ "file", MUST_WHERE, add_file },
	{ "triggers", MAY_WHERE, jet_run_triggers },
	{ "zerobus", MUST_WHERE, jet_run_zerobus },
};

static int add(struct run *r, const char *name, struct jet_sink *ret,
               struct zk_error *err)
{
	zk_str kind, where = zk_str_cut(zk_str_of(name), ':', &kind);

	for (size_t i = 0; i < ZK_ARRAY_LEN(kinds); i++) {
		if (!zk_str_eq(kind, zk_str_of(kinds[i].name)) ||
		    (kinds[i].where == NO_WHERE && where.p) ||
		    (kinds[i].where == MUST_WHERE && !where.n))
			continue;
		return kinds[i].add(r, name, where.n ? where.p : NULL, ret, err);
	}
	return zk_fail(err, ZK_E_USAGE, "--sink: there is no '%s'", name);
}

int jet_run_sinks(struct run *r, struct zk_error *err)
{
	for (size_t i = 0; i < r->o->sinks.n; i++) {
		struct jet_sink *s = &r->sinks[r->n_sinks];

		if (r->n_sinks == ZK_JET_FOLLOWERS_MAX)
			return zk_fail(err, ZK_E_USAGE, "more than %d sinks",
			               ZK_JET_FOLLOWERS_MAX);
		if (add(r, r->o->sinks.v[i], s, err) < 0)
			return -(int)err->code;
		r->n_sinks += s->follower != NULL;
	}
	return 0;
}

void jet_run_sinks_done(struct run *r)
{
	for (size_t i = 0; i < r->n_sinks; i++)
		r->sinks[i].free(r->sinks[i].ctx);
	r->n_sinks = 0;
	zk_jet_archive_free(ZK_TAKE(r->archive));
	for (size_t i = 0; i < r->n_fds; i++)
		(void)close(r->fds[i]); /* synced by their followers */
}

void jet_run_kick(struct run *r, size_t n)
{
	for (size_t i = 0; i < r->n_sinks; i++)
		zk_jet_follower_kick(r->sinks[i].follower, n);
	if (r->fan)
		zk_jet_fan_kick(r->fan, n);
}

bool jet_run_passed(void *run, const char *file)
{
	const struct run *r = run;

	for (size_t i = 0; i < r->n_sinks; i++)
		if (!zk_jet_follower_passed(r->sinks[i].follower, file))
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
	r->draining_sinks = r->n_sinks + 1 + (r->archive != NULL) + (r->fan != NULL);
	for (size_t i = 0; i < r->n_sinks; i++)
		zk_jet_follower_when_idle(r->sinks[i].follower, on_idle, r);
	if (r->archive)
		zk_jet_archive_when_idle(r->archive, on_idle, r);
	if (r->fan)
		zk_jet_fan_drain(r->fan, on_idle, r);
	on_idle(r);
}

/* ---- HTTP ---- */

void jet_run_view_sinks(struct run *r, struct zk_jet_view *v)
{
	v->n_followers = 0;
	for (size_t i = 0; i < r->n_sinks; i++)
		zk_jet_follower_view(r->sinks[i].follower,
		                     &v->followers[v->n_followers++]);
	if (r->archive && v->n_followers < ZK_JET_FOLLOWERS_MAX)
		zk_jet_archive_view(r->archive, &v->followers[v->n_followers++]);
}

static void collect(void *ctx, struct zk_jet_view *v)
{
	struct run *r = ctx;

	memset(v, 0, sizeof(*v));
	zk_jet_pipe_figures(r->pipe, &v->pipe);
	if (r->hydrator)
		zk_jet_hydrator_figures(r->hydrator, &v->hydrator);
	v->has_store = r->store != NULL;
	v->from_host = !r->o->jet.from || jet_run_from_redis(r);
	if (r->store)
		zk_jet_store_sizes(r->store, &v->store_bytes, &v->sealed);
	if (r->sessions)
		v->sessions = zk_jet_sessions_count(r->sessions);
	v->login = r->sessions != NULL;
	if (r->redis) {
		v->redis = true;
		v->redis_up = zk_jet_redis_is_up(r->redis);
		v->redis_stream = r->o->redis_stream;
		v->redis_maxlen = r->o->redis_maxlen;
	}
	jet_run_view_sinks(r, v);
}

static void on_config_row(void *ctx, zk_str json)
{
	struct zk_buf *b = ctx;

	zk_buf_char(b, b->n ? ',' : '[');
	zk_buf_add(b, json);
}

void jet_run_config(struct run *r)
{
	static char key[] = "jetstream";
	char *const keys[] = { key };
	struct config_view view = { .rows = &r->app->cli->rows,
		                    .conf = r->app->conf,
		                    .row = on_config_row,
		                    .ctx = &r->config,
		                    .keys = keys,
		                    .n_keys = 1,
		                    .options = true };
	struct zk_error ignored;
	size_t n;

	zk_buf_done(&r->config);
	zk_buf_init(&r->config, CONFIG_MAX);
	/* One that is wrong would not have come so far. */
	if (r->app->conf && config_view_rows(&view, &n, &ignored) == 0 && r->config.n)
		zk_buf_char(&r->config, ']');
	if (r->config.failed || !r->config.n || r->config.p[r->config.n - 1] != ']')
		zk_buf_done(&r->config);
}

static zk_str config(void *ctx)
{
	return zk_buf_str(&((const struct run *)ctx)->config);
}

int jet_run_web(struct run *r, struct zk_error *err)
{
	struct zk_jet_web_conf conf = { .listen = (const char *const *)r->o->listen.v,
		                        .n_listen = r->o->listen.n,
		                        .admin = r->o->admin,
		                        .metrics = zk_app_metrics(r->app),
		                        .compat = r->o->compat_metrics,
		                        .required = r->o->required.v,
		                        .n_required = r->o->required.n,
		                        .net = r->net,
		                        .ctx = r,
		                        .config = config,
		                        .collect = collect };

	if (conf.n_listen && strcmp(conf.listen[0], "off") == 0)
		conf.n_listen = 0;
	if (!conf.n_listen && !conf.admin)
		return 0;
	if (r->store)
		r->fan = zk_jet_fan_new(r->loop, r->dir,
		                        (enum zk_jet_envelope)r->o->jet.envelope,
		                        conf.metrics);
	conf.fan = r->fan;
	jet_run_config(r);
	return zk_jet_web_new(r->loop, &conf, &r->web, err);
}
