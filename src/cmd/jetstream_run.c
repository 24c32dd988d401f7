/* `zk jetstream run`.
 * Layer: cmd. specs/jetstream.md §1, §2, §16. */
#include "cmd/jetstream_run.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "cmd/cmds.h"
#include "codec/jkv.h"
#include "jetstream/cachefile.h"
#include "jetstream/session.h"
#include "net/net.h"
#include "rt/loop.h"
#include "rt/out.h"
#include "rt/status.h"
#include "rt/stop.h"

#define ZK_LOGGER "jetstream"
#include "base/log.h"

#include "base/ban.h"

#define KEEP_MS 10000
#define MEND_MS INT64_C(600000)

/* ---- the end ---- */

static void on_sinks_drained(struct run *r)
{
	zk_stop_drained(r->stop);
}

/* Everything is stored; the sinks get what they can within the grace time. */
static void over(struct run *r)
{
	if (r->over)
		return;
	r->over = true;
	if (r->draining)
		jet_run_drain_sinks(r, on_sinks_drained);
	else
		zk_stop_begin(r->stop);
}

static void on_ended(void *ctx, const struct zk_error *err)
{
	struct run *r = ctx;

	if (err && !r->err.code)
		r->err = *err;
	over(r);
}

static void on_enough(void *ctx)
{
	struct run *r = ctx;

	if (!r->draining && r->stop)
		zk_stop_begin(r->stop);
}

static void on_gap(void *ctx, const struct zk_jet_gap *gap)
{
	struct run *r = ctx;

	(void)gap;
	if (r->o->jet.on_gap != 1 || r->gap_stop)
		return;
	r->gap_stop = true;
	on_enough(r);
}

static void on_state(void *ctx, enum zk_jet_state state, const char *host)
{
	struct run *r = ctx;
	char text[400];

	(void)snprintf(text, sizeof(text), "\"state\":\"%s\",\"host\":\"%s\"",
	               zk_jet_state_name(state), host);
	zk_status_event(r->status, "progress", zk_str_of(text));
	(void)snprintf(text, sizeof(text), "%s %s", zk_jet_state_name(state), host);
	zk_status_text(r->status, text);
	jet_show_look(r);
}

static void on_drain(void *ctx)
{
	struct run *r = ctx;

	r->draining = true;
	zk_status_stopping(r->status);
	if (r->over) {
		jet_run_drain_sinks(r, on_sinks_drained);
		return;
	}
	r->source->ops->finish(r->source);
	if (!r->over && !r->o->jet.from)
		zk_jet_pipe_hurry(r->pipe);
}

static void save_cache(struct run *r)
{
	struct zk_error err = { 0 };

	if (r->hydrator && r->dir && zk_jet_cachefile_save(r->dir, r->hydrator, &err) < 0)
		zk_log_error(ZK_LOG_WARN, ZK_LOGGER, "the cache was not saved", &err);
}

static void on_flush(void *ctx, bool expired)
{
	struct run *r = ctx;

	if (expired)
		zk_warn("the grace time is over; what was not stored comes again");
	else
		save_cache(r);
	zk_stop_done(r->stop);
}

static void on_reload(void *ctx)
{
	struct run *r = ctx;
	struct run_opts fresh = *r->o;
	struct jet_input in;
	struct zk_error err = { 0 };

	zk_status_reloading(r->status);
	if (zk_app_reload(r->app, &fresh, &err) < 0 ||
	    jet_input_make(r->app, &fresh.jet, &in, &err) < 0) {
		zk_log_error(ZK_LOG_ERROR, ZK_LOGGER, "the old configuration stays",
		             &err);
	} else {
		struct zk_jet_filter old = r->in.filter;

		/* Everybody points to this one. */
		r->in.filter = in.filter;
		in.filter = old;
		jet_input_done(&in);
		*r->o = fresh;
		if (r->source->ops->refilter)
			r->source->ops->refilter(r->source);
		jet_run_config(r);
		zk_notice("configuration reloaded", "event=%s", "reload");
	}
	zk_status_ready(r->status, r->loop, ZK_STR_NULL);
}

static void on_snapshot(void *ctx)
{
	struct run *r = ctx;
	struct zk_jet_figures f;

	zk_jet_pipe_figures(r->pipe, &f);
	zk_notice(
	        "snapshot",
	        "state=%s host=%s received=%llu stored=%llu filtered=%llu duplicate=%llu "
	        "dead=%llu waiting=%zu",
	        zk_jet_state_name(f.state), f.host, (unsigned long long)f.received,
	        (unsigned long long)f.stored, (unsigned long long)f.filtered,
	        (unsigned long long)f.duplicate, (unsigned long long)f.dead, f.waiting);
}

static void on_rotate(void *ctx)
{
	struct run *r = ctx;

	zk_jet_pipe_rotate(r->pipe);
}

/* ---- retention ---- */

static void on_keep(void *ctx)
{
	struct run *r = ctx;
	struct zk_jet_retention keep = { .retention_ms = r->o->retention_ms,
		                         .max_bytes = r->o->max_bytes,
		                         .may_go = r->o->when_full == 1 ? NULL
		                                                        : jet_run_may_go,
		                         .ctx = r };
	unsigned removed;
	uint64_t over_by = zk_jet_store_retain(r->store, &keep, &removed);

	if (over_by && !r->blocked) {
		zk_warn("the store is larger than its limit, reading stops", "bytes=%llu",
		        (unsigned long long)over_by);
		zk_jet_pipe_hold(r->pipe, "store full");
	} else if (!over_by && r->blocked) {
		zk_jet_pipe_hold(r->pipe, NULL);
	}
	r->blocked = over_by != 0;
	zk_jet_store_repack(r->store);
}

/* ---- without a store ---- */

static void on_stored(void *ctx, const struct zk_jet_commit *c)
{
	struct run *r = ctx;

	if (r->web && c->items)
		zk_jet_web_stored(r->web, c->n,
		                  (double)(zk_mono_us() - c->items->received_us) / 1e6);
	jet_run_kick(r, c->n);
}

static void on_sealed(void *ctx, const char *name)
{
	const struct run *r = zk_jet_pipe_owner(ctx);

	(void)name;
	if (r->archive)
		zk_jet_archive_kick(r->archive);
}

static bool before_seal(void *ctx, const char *name)
{
	const struct run *r = zk_jet_pipe_owner(ctx);

	if (!r->mender || r->draining)
		return false;
	zk_jet_mender_add(r->mender, name);
	return true;
}

static void on_mended(void *ctx, const char *name)
{
	struct run *r = ctx;

	zk_jet_store_seal(r->store, name);
}

static bool may_pack(void *ctx, const char *name)
{
	/* The store knows the pipe only. */
	struct run *r = zk_jet_pipe_owner(ctx);

	/* Before that the sinks, which may want it, are not there. */
	return r->started && jet_run_passed(r, name) &&
	       (!r->fan || zk_jet_fan_passed(r->fan, name));
}

static bool on_record(void *ctx, zk_str record)
{
	struct run *r = ctx;

	if (r->err.code || r->over)
		return true;
	if (zk_out_row(r->out, record, &r->err) < 0 || zk_out_closed(r->out)) {
		over(r);
		return true;
	}
	return !zk_out_is_full(r->out);
}

static void on_room(void *ctx)
{
	struct run *r = ctx;

	if (r->pipe && !r->over)
		zk_jet_pipe_room(r->pipe);
}

static int open_out(struct run *r, struct zk_error *err)
{
	static const struct zk_out_shape shape = { .kind = ZK_OUT_STREAM, .open = true };

	r->out = zk_app_out_on_loop(r->app, on_room, r, err);
	return r->out ? zk_out_begin(r->out, &shape, err) : -(int)err->code;
}

/* ---- starting ---- */

static char *store_dir(struct run *r, struct zk_error *err)
{
	const char *dir = r->o->store ? r->o->store : "jetstream";
	char *data, *base, *path;
	const char *shard = r->o->jet.shard;
	zk_str i, n;

	if (dir[0] == '/') {
		base = zk_strdup(dir);
	} else {
		data = zk_app_data_dir(r->app, /* make */ true, err);
		if (!data)
			return NULL;
		base = zk_asprintf("%s/%s", data, dir);
		free(data);
	}
	if (!shard || r->in.filter.shards == 1)
		return base;
	n = zk_str_cut(zk_str_of(shard), '/', &i);
	path = zk_asprintf("%s/shard-%.*s-of-%.*s", base, ZK_STR_ARG(i), ZK_STR_ARG(n));
	free(base);
	return path;
}

static int open_store(struct run *r, struct zk_error *err)
{
	struct zk_jet_store_conf conf = {
		.shard = r->o->jet.shard,
		.envelope = (enum zk_jet_envelope)r->o->jet.envelope,
		.rotate_ms = r->o->rotate_ms,
		.rotate_bytes = r->o->rotate_bytes,
		.full_durability = r->o->durability == 1,
		.live_indexes = r->o->live_indexes,
		.keep_plain = r->o->keep_plain,
		.compress = (enum zk_jet_compress)r->o->compress,
		.ctx = r->pipe,
		.known = zk_jet_pipe_known,
		.on_commit = zk_jet_pipe_committed,
		.on_sealed = on_sealed,
		.before_seal = before_seal,
		.may_pack = may_pack,
	};

	r->dir = store_dir(r, err);
	if (!r->dir)
		return -(int)err->code;
	conf.dir = r->dir;
	if (zk_jet_store_open(r->loop, &conf, &r->store, err) < 0)
		return -(int)err->code;
	r->dead = zk_jet_dead_new(r->dir);
	r->keep = zk_timer_new(r->loop, on_keep, r);
	zk_timer_weak(r->keep, true);
	zk_timer_start(r->keep, 100, KEEP_MS);
	return 0;
}

static struct zk_jet_pipe *make_pipe(struct run *r)
{
	struct zk_jet_pipe_conf conf = {
		.loop = r->loop,
		.metrics = zk_app_metrics(r->app),
		.filter = &r->in.filter,
		.wanted = r->in.wanted,
		.envelope = (enum zk_jet_envelope)r->o->jet.envelope,
		.batch = r->o->batch,
		.linger_ms = r->o->linger_ms,
		.retry_max_ms = (int64_t)r->app->retry.max_time_ms,
		.min_free = r->o->min_free,
		.redelivers = jet_run_from_redis(r),
		.limit = r->o->limit,
		.until = r->in.until,
		.ctx = r,
		.emit = on_record,
		.enough = on_enough,
		.ended = on_ended,
		.gap = on_gap,
		.state = on_state,
		.stored = on_stored,
	};

	return zk_jet_pipe_new(&conf);
}

static int make_mender(struct run *r, struct zk_error *err)
{
	struct zk_jet_mender_conf conf = {
		.dir = r->dir,
		.hydrator = r->hydrator,
		/* The next file comes before it is too late. */
		.within_ms =
		        r->o->rotate_ms ? ZK_MIN(r->o->rotate_ms / 2, MEND_MS) : MEND_MS,
		.ctx = r,
		.done = on_mended,
	};

	if (r->o->repair != 1 || !r->store || !r->hydrator || r->in.cached_only)
		return 0;
	return zk_jet_mender_new(r->loop, &conf, &r->mender, err);
}

static int make_hydrator(struct run *r, struct zk_error *err)
{
	struct zk_jet_hydrator_conf conf = { .ctx = r->pipe,
		                             .on_ready = zk_jet_pipe_ready };

	if (r->in.hydrates && !r->in.cached_only &&
	    jet_sessions(r->app, &r->o->jet, &r->sessions, err) < 0)
		return -(int)err->code;
	conf.api.sessions = r->sessions;
	if (jet_hydrator(r->app, &r->o->jet, &r->in, &conf, &r->hydrator, err) < 0)
		return -(int)err->code;
	if (r->hydrator && r->dir)
		zk_jet_cachefile_load(r->dir, r->hydrator);
	return make_mender(r, err);
}

static void announce(struct run *r)
{
	const char *address = r->web ? zk_jet_web_address(r->web, 0) : NULL;
	const char *admin = r->web ? zk_jet_web_admin(r->web) : NULL;
	struct zk_buf b ZK_CLEANUP(zk_buf_done);
	struct zk_jwrite w;

	zk_buf_init(&b, 4096);
	zk_jwrite_init(&w, &b);
	if (address) {
		zk_jw_kv_arr(&w, "api");
		zk_jw_cstr(&w, address);
		zk_jw_arr_end(&w);
	}
	if (admin)
		zk_jw_kv_cstr(&w, "admin", admin);
	zk_status_ready(r->status, r->loop, zk_buf_str(&b));
	zk_notice("started", "store=%s address=%s", r->dir ? r->dir : "none",
	          address ? address : "none");
}

static int start(struct run *r, struct zk_error *err)
{
	struct zk_stop_conf stop = { .ctx = r,
		                     .drain = on_drain,
		                     .flush = on_flush,
		                     .reload = on_reload,
		                     .snapshot = on_snapshot,
		                     .rotate = on_rotate };

	r->status = zk_app_status(r->app);
	jet_show_start(r);
	r->net = zk_app_net(r->app, err);
	if (!r->net)
		return -(int)err->code;
	r->pipe = make_pipe(r);
	if (r->o->no_store ? open_out(r, err) < 0 : open_store(r, err) < 0)
		return -(int)err->code;
	if (make_hydrator(r, err) < 0)
		return -(int)err->code;
	zk_jet_pipe_use(r->pipe, r->hydrator, r->store, r->dead);
	r->stop = zk_app_stop(r->app, &stop, err);
	if (!r->stop || (r->store && jet_run_sinks(r, err) < 0) ||
	    jet_run_web(r, err) < 0 || jet_run_source(r, err) < 0)
		return -(int)err->code;
	r->started = true;
	announce(r);
	jet_show_run(r);
	return 0;
}

static int finish(struct run *r, int x, struct zk_error *err)
{
	if (x == 0 && r->err.code) {
		*err = r->err;
		x = -(int)err->code;
	}
	if (r->out && x == 0 && zk_out_end(r->out, err) < 0)
		x = -(int)err->code;
	if (r->pipe && r->source)
		x = jet_show_summary(r, x == 0 && r->gap_stop ? ZK_EXIT_PARTIAL : x, err);
	zk_jet_source_free(r->source);
	zk_jet_mender_free(ZK_TAKE(r->mender));
	zk_timer_free(r->keep);
	/* It asks sinks and clients about its last files. */
	zk_jet_store_settle(r->store);
	zk_jet_web_free(ZK_TAKE(r->web));
	zk_jet_fan_free(ZK_TAKE(r->fan));
	jet_run_sinks_done(r);
	zk_jet_store_close(r->store);
	zk_jet_pipe_free(r->pipe);
	zk_jet_hydrator_free(r->hydrator);
	zk_jet_sessions_free(r->sessions);
	zk_jet_dead_free(r->dead);
	jet_show_done(r);
	zk_buf_done(&r->config);
	jet_input_done(&r->in);
	free(r->dir);
	return x;
}

static int run_run(struct zk_app *app, void *opts, int argc, char **argv,
                   struct zk_error *err)
{
	struct run r = { .app = app, .o = opts, .start_us = zk_mono_us() };
	int x;

	(void)argc;
	(void)argv;
	r.loop = zk_app_loop(app, err);
	if (!r.loop)
		return -(int)err->code;
	x = jet_input_make(app, &r.o->jet, &r.in, err);
	if (x == 0)
		x = start(&r, err);
	if (x == 0)
		zk_loop_run(r.loop);
	/* With a source and no end of it, something waits that nothing wakes. */
	if (x == 0 && !r.over && !r.draining && !r.err.code)
		x = zk_fail(err, ZK_E_BUG, "it ended before the input did");
	return finish(&r, x, err);
}

const struct zk_cmd zk_cmd_jetstream_run = {
	.path = "jetstream run",
	.help = "store the stream, enriched, and hand it on",
	.about = "Events go to SQLite files together with the position, in one "
	         "transaction: after "
	         "a crash nothing is missing and nothing is there twice. Profiles and "
	         "posts that "
	         "an event speaks of are looked up and stored with it.",
	.examples = "zk jetstream run --sink redis --hydrate user,quote\n"
	            "zk jetstream run --from sample.ndjson --hydrate cached",
	.output = "nothing, or with --no-store one record per row",
	.exits = "0 stopped · 3 gap with --on-gap stop · 69 refused · 73 store in use · "
	         "74 disk · "
	         "75 no host · 78 configuration",
	.see = "man zk-jetstream",
	.groups = ZK_OPTS_HTTP | ZK_OPTS_RETRY,
	.opts = zk_jetstream_run_rows,
	.opts_size = sizeof(struct run_opts),
	.conf = "jetstream",
	.flags = ZK_CMD_SERVER,
	.run = run_run,
};
