/* `zk jetstream tail`.
 * Layer: cmd. specs/jetstream.md §2. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "cmd/cmds.h"
#include "cmd/jetstream_opts.h"
#include "net/net.h"
#include "rt/loop.h"
#include "rt/out.h"
#include "rt/progress.h"
#include "rt/stop.h"

#include "base/ban.h"

struct tail_opts {
	struct jet_opts jet;
};

static const struct zk_opt rows[] = {
	JET_SOURCE_ROWS,
	JET_HYDRATE_ROWS("none"),
	ZK_OPT_END,
};

struct tail {
	struct zk_app *app;
	const struct tail_opts *o;
	struct jet_input in;
	struct zk_loop *loop;
	struct zk_out *out;
	struct zk_stop *stop;
	struct zk_jet_hydrator *hydrator;
	struct zk_jet_pipe *pipe;
	struct zk_jet_source *source;
	struct zk_progress *progress;
	struct zk_error err; /* of the output or the source */
	bool over, draining;
};

static const struct zk_out_col cols[] = {
	{ .name = "time_us", .flags = ZK_COL_RIGHT },
	{ .name = "did", .flags = ZK_COL_WHOLE },
	{ .name = "kind" },
	{ .name = "commit.operation", .title = "op" },
	{ .name = "commit.collection", .title = "collection" },
	{ .name = "commit.record.text", .title = "text" },
};

static void over(struct tail *t)
{
	if (t->over)
		return;
	t->over = true;
	if (t->draining)
		zk_stop_drained(t->stop);
	else
		zk_stop_begin(t->stop);
}

static bool on_record(void *ctx, zk_str record)
{
	struct tail *t = ctx;

	if (t->err.code || t->over)
		return true;
	if (zk_out_row(t->out, record, &t->err) < 0 || zk_out_closed(t->out)) {
		over(t);
		return true;
	}
	return !zk_out_is_full(t->out);
}

static void on_room(void *ctx)
{
	struct tail *t = ctx;

	if (t->pipe && !t->over)
		zk_jet_pipe_room(t->pipe);
}

static void on_enough(void *ctx)
{
	struct tail *t = ctx;

	over(t);
}

static void on_ended(void *ctx, const struct zk_error *err)
{
	struct tail *t = ctx;

	if (err && !t->err.code)
		t->err = *err;
	over(t);
}

static void on_gap(void *ctx, const struct zk_jet_gap *gap)
{
	(void)ctx;
	(void)gap;
}

static void on_drain(void *ctx)
{
	struct tail *t = ctx;

	t->draining = true;
	if (t->over)
		zk_stop_drained(t->stop);
	else
		t->source->ops->finish(t->source);
	if (!t->over && t->hydrator)
		zk_jet_pipe_hurry(t->pipe);
}

static void on_flush(void *ctx, bool expired)
{
	struct tail *t = ctx;

	(void)expired;
	zk_stop_done(t->stop);
}

static int start(struct tail *t, struct zk_error *err)
{
	static const struct zk_out_shape shape = { .kind = ZK_OUT_STREAM,
		                                   .noun = "events",
		                                   .cols = cols,
		                                   .n_cols = ZK_ARRAY_LEN(cols),
		                                   .open = true };
	struct zk_jet_hydrator_conf hydr = { .on_ready = zk_jet_pipe_ready };
	struct zk_jet_pipe_conf pipe = {
		.loop = t->loop,
		.metrics = zk_app_metrics(t->app),
		.filter = &t->in.filter,
		.wanted = t->in.wanted,
		.envelope = t->in.hydrates ? (enum zk_jet_envelope)t->o->jet.envelope
		                           : ZK_JET_ENV_RAW,
		.limit = t->app->output.limit,
		.until = t->in.until,
		.fixed_filter = true, /* no reload */
		.ctx = t,
		.emit = on_record,
		.enough = on_enough,
		.ended = on_ended,
		.gap = on_gap,
	};
	struct zk_jet_place nowhere = { 0 };
	struct zk_jet_source_hooks hooks;
	struct zk_stop_conf stop = { .ctx = t, .drain = on_drain, .flush = on_flush };
	struct zk_progress_conf show = { .mode = ZK_PROGRESS_NONE,
		                         .quiet = t->app->common.quiet,
		                         .verbose = t->app->common.verbose > 0,
		                         .status = zk_app_status(t->app) };

	t->out = zk_app_out_on_loop(t->app, on_room, t, err);
	if (!t->out || zk_out_begin(t->out, &shape, err) < 0)
		return -(int)err->code;
	t->progress = zk_progress_new(t->loop, &show);
	t->stop = zk_app_stop(t->app, &stop, err);
	if (!t->stop)
		return -(int)err->code;
	/* The pipe and the hydrator know each other. */
	t->pipe = zk_jet_pipe_new(&pipe);
	hydr.ctx = t->pipe;
	if (jet_hydrator(t->app, &t->o->jet, &t->in, &hydr, &t->hydrator, err) < 0)
		return -(int)err->code;
	zk_jet_pipe_use(t->pipe, t->hydrator, NULL, NULL);
	hooks = zk_jet_pipe_hooks(t->pipe);
	t->source = jet_source(t->app, &t->o->jet, &t->in, &nowhere, &hooks, err);
	if (!t->source)
		return -(int)err->code;
	zk_jet_pipe_attach(t->pipe, t->source);
	return 0;
}

static void summarise(struct tail *t, int status)
{
	struct zk_jet_figures f;
	char text[200];
	struct zk_summary s = { .title = "jetstream", .text = text, .exit = status };

	zk_jet_pipe_figures(t->pipe, &f);
	s.sums.read = f.received;
	s.sums.acked = f.stored;
	s.sums.acked_word = "printed";
	s.sums.rejected = f.dead;
	s.sums.skipped = f.filtered + f.duplicate;
	(void)snprintf(text, sizeof(text), "%llu events, %llu gaps",
	               (unsigned long long)f.stored, (unsigned long long)f.gaps);
	zk_progress_summary(t->progress, &s);
}

static int finish(struct tail *t, int r, struct zk_error *err)
{
	if (r == 0 && t->err.code && t->err.code != ZK_E_NONE) {
		*err = t->err;
		r = -(int)err->code;
	}
	if (t->out) {
		struct zk_error end = { 0 };

		if (zk_out_end(t->out, r == 0 ? err : &end) < 0 && r == 0)
			r = -(int)err->code;
	}
	if (t->pipe)
		summarise(t, r < 0 ? (int)zk_code_exit(-r) : r);
	zk_progress_free(t->progress);
	zk_jet_source_free(t->source);
	zk_jet_pipe_free(t->pipe);
	zk_jet_hydrator_free(t->hydrator);
	jet_input_done(&t->in);
	return r;
}

static int tail_run(struct zk_app *app, void *opts, int argc, char **argv,
                    struct zk_error *err)
{
	struct tail t = { .app = app, .o = opts };
	int r;

	(void)argc;
	(void)argv;
	t.loop = zk_app_loop(app, err);
	if (!t.loop)
		return -(int)err->code;
	r = jet_input_make(app, &t.o->jet, &t.in, err);
	if (r == 0)
		r = start(&t, err);
	if (r == 0)
		zk_loop_run(t.loop);
	return finish(&t, r, err);
}

const struct zk_cmd zk_cmd_jetstream_tail = {
	.path = "jetstream tail",
	.help = "print events of the stream; nothing is stored",
	.about = "Posts of everyone, as they come, unless options say otherwise. Events "
	         "are "
	         "printed byte for byte as the host sent them; with --hydrate they come "
	         "in an "
	         "envelope with what was looked up for them.",
	.examples =
	        "zk jetstream tail --match 'text~\"owl\"' --limit 5\n"
	        "zk jetstream tail --limit 1000 -o ndjson > sample.ndjson\n"
	        "zk jetstream tail --from sample.ndjson --fields did,commit.record.text",
	.output = "one event per row",
	.exits = "0 · 64 usage · 69 request refused · 75 no host · 78 configuration",
	.see = "man zk-jetstream",
	.groups = ZK_OPTS_OUTPUT | ZK_OPTS_HTTP | ZK_OPTS_RETRY,
	.opts = rows,
	.opts_size = sizeof(struct tail_opts),
	.conf = "jetstream",
	.flags = ZK_CMD_READER,
	.run = tail_run,
};
