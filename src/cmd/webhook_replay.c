/* `zk webhook replay`: does again what is in the database of a receiver.
 * Layer: cmd. specs/zeal-zip.md §8.4. */
#include <stdlib.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/mem.h"
#include "cmd/cmds.h"
#include "cmd/webhook_work.h"
#include "codec/expr.h"
#include "conf/secret.h"
#include "rt/loop.h"
#include "rt/out.h"
#include "rt/progress.h"
#include "rt/stop.h"
#include "zip/delivery.h"
#include "zip/hook_store.h"

#include "base/ban.h"

static const char *const states[] = { "failed", "new", "done", "all", NULL };
static const int state_of[] = { ZK_ZIP_HOOK_FAILED, ZK_ZIP_HOOK_NEW, ZK_ZIP_HOOK_DONE,
	                        -1 };

struct replay_opts {
	struct hook_work_opts work;
	struct zk_secret secret;
	const char *since, *filter;
	int state;
};

struct replay {
	const struct replay_opts *o;
	struct zk_loop *loop;
	struct zk_stop *stop;
	struct zk_zip_hook_reader *reader;
	struct hook_work *work;
	struct zk_expr *filter;
	struct zk_error err;
	int64_t after, since_us, last; /* rows up to `last` are gone through */
	uint64_t done, failed, passed;
	bool paused, at_end, stopping;
};

static void finish(struct replay *p)
{
	if (!p->stopping)
		zk_loop_quit(p->loop);
	else
		zk_stop_drained(p->stop);
}

static void check_end(struct replay *p)
{
	if ((p->at_end || p->stopping || p->err.code) && !hook_work_count(p->work))
		finish(p);
}

static void on_over(void *ctx, struct hook_item *item, enum hook_end end, const char *why)
{
	struct replay *p = ctx;
	struct zk_error err = { 0 };

	p->done += end == HOOK_DONE;
	p->failed += end == HOOK_FAILED;
	if (end != HOOK_STOPPED &&
	    zk_zip_hook_reader_mark(p->reader, item->seq,
	                            end == HOOK_DONE ? ZK_ZIP_HOOK_DONE
	                                             : ZK_ZIP_HOOK_FAILED,
	                            item->attempts, zk_str_of(why), &err) < 0 &&
	    !p->err.code)
		p->err = err;
	hook_item_free(item);
}

static void on_idle(void *ctx)
{
	check_end(ctx);
}

static void on_fatal(void *ctx, const struct zk_error *err)
{
	struct replay *p = ctx;

	if (!p->err.code)
		p->err = *err;
}

static void push(struct replay *p, const struct zk_zip_hook_row *row)
{
	struct hook_item *item;

	if (p->filter && !zk_expr_match(p->filter, row->payload)) {
		p->passed++;
		return;
	}
	item = hook_item_new(row->payload, row->id);
	item->seq = row->seq;
	p->paused = !hook_work_push(p->work, item);
}

static void pull(struct replay *p)
{
	struct zk_zip_hook_row row;
	int got = 1;

	while (!p->paused && !p->stopping && !p->at_end && !p->err.code) {
		got = zk_zip_hook_reader_next(p->reader, p->after, state_of[p->o->state],
		                              p->since_us, &row, &p->err);
		if (got <= 0 || row.seq > p->last) {
			p->at_end = true;
			break;
		}
		p->after = row.seq;
		push(p, &row);
	}
	check_end(p);
}

static void on_room(void *ctx)
{
	struct replay *p = ctx;

	p->paused = false;
	pull(p);
}

static void on_drain(void *ctx)
{
	struct replay *p = ctx;

	p->stopping = true;
	hook_work_hurry(p->work);
	check_end(p);
}

static void on_flush(void *ctx, bool expired)
{
	struct replay *p = ctx;

	(void)expired;
	zk_stop_done(p->stop);
}

static void begin(void *ctx)
{
	pull(ctx);
}

static int prepare(struct zk_app *app, struct replay *p, struct zk_buf *secret,
                   struct zk_error *err)
{
	struct zk_expr_conf expr = { .grammar = ZK_EXPR_EVENT, .what = "--filter" };
	struct zk_stop_conf stop = { .ctx = p, .drain = on_drain, .flush = on_flush };
	struct hook_work_conf work = { .opts = &p->o->work,
		                       .ctx = p,
		                       .over = on_over,
		                       .on_room = on_room,
		                       .on_idle = on_idle,
		                       .on_fatal = on_fatal };

	if (hook_work_check(&p->o->work, err) < 0)
		return -(int)err->code;
	if (p->o->since &&
	    zk_parse_since(zk_str_of(p->o->since), zk_wall_us(), &p->since_us, err) < 0) {
		err->code = ZK_E_USAGE;
		return -(int)err->code;
	}
	if (p->o->filter &&
	    zk_expr_compile(zk_str_of(p->o->filter), &expr, &p->filter, err) < 0)
		return -(int)err->code;
	if (p->o->secret.kind != ZK_SECRET_NONE &&
	    zk_secret_load(&p->o->secret, secret, err) < 0)
		return -(int)err->code;
	work.secret = zk_buf_str(secret);
	p->loop = zk_app_loop(app, err);
	if (!p->loop || hook_work_new(app, &work, &p->work, err) < 0)
		return -(int)err->code;
	p->stop = zk_app_stop(app, &stop, err);
	return p->stop ? 0 : -(int)err->code;
}

static int replay_run(struct zk_app *app, void *opts, int argc, char **argv,
                      struct zk_error *err)
{
	struct zk_buf secret ZK_CLEANUP(zk_buf_done);
	struct replay p = { .o = opts, .last = INT64_MAX };
	int r;

	(void)argc;
	zk_buf_init_secret(&secret, ZK_SECRET_MAX + 1);
	r = zk_zip_hook_reader_open(argv[0], &p.reader, err);
	if (r == 0)
		r = zk_zip_hook_reader_last(p.reader, &p.last, err);
	if (r == 0)
		r = prepare(app, &p, &secret, err);
	if (r == 0) {
		zk_loop_defer(p.loop, begin, &p);
		zk_loop_run(p.loop);
	}
	hook_work_free(p.work);
	zk_expr_free(p.filter);
	zk_zip_hook_reader_close(p.reader);
	if (r < 0)
		return r;
	if (p.err.code) {
		*err = p.err;
		return -(int)err->code;
	}
	if (app->out && zk_out_end(app->out, err) < 0)
		return -(int)err->code;
	zk_say("%llu done, %llu failed", (unsigned long long)p.done,
	       (unsigned long long)p.failed);
	return p.failed ? ZK_EXIT_PARTIAL : ZK_EXIT_OK;
}

#define OFF(m) .off = offsetof(struct replay_opts, m)

static const struct zk_opt replay_rows[] = {
	{ .type = ZK_OPT_ENUM,
	  .name = "state",
	  .values = states,
	  .def = "failed",
	  OFF(state),
	  .flags = ZK_OPT_NO_CONF,
	  .help = "which events" },
	{ .type = ZK_OPT_STR,
	  .name = "since",
	  .meta = "TIME",
	  OFF(since),
	  .flags = ZK_OPT_NO_CONF,
	  .help = "only those received since then: 15m, or RFC 3339" },
	{ .type = ZK_OPT_STR,
	  .name = "filter",
	  .conf = "webhook.filter",
	  .meta = "EXPR",
	  OFF(filter),
	  .help = "only events for which this holds" },
	{ .type = ZK_OPT_SECRET_REF,
	  .name = "secret",
	  .conf = "webhook.secret",
	  OFF(secret),
	  .help = "sign what --forward posts" },
	HOOK_WORK_ROWS(struct replay_opts, "webhook"),
	ZK_OPT_END,
};

const struct zk_cmd zk_cmd_webhook_replay = {
	.path = "webhook replay",
	.args = "DB",
	.min_args = 1,
	.max_args = 1,
	.help = "do events of a receiver's database again",
	.about = "DB is what zk webhook listen --store wrote; it may run meanwhile. Each "
	         "event "
	         "that succeeds is marked as done.",
	.examples = "zk webhook replay hooks.db --exec ./sync.sh\n"
	            "zk webhook replay hooks.db --state all --since 1d > events.ndjson",
	.args_help = "DB    the database",
	.output = "the events, without --exec and --forward",
	.exits = "0 · 3 some failed again · 66 no such file",
	.see = "zk webhook listen",
	.groups = ZK_OPTS_OUTPUT | ZK_OPTS_HTTP | ZK_OPTS_RETRY,
	.opts = replay_rows,
	.opts_size = sizeof(struct replay_opts),
	.complete_arg = "file",
	.run = replay_run,
};
