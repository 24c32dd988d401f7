/* `zk events tail`.
 * Layer: cmd. specs/zeal-zip.md §7, §9. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "cli/term.h"
#include "cmd/cmds.h"
#include "cmd/events.h"
#include "cmd/events_diff.h"
#include "cmd/events_line.h"
#include "cmd/events_ops.h"
#include "cmd/events_ui.h"
#include "cmd/webhook_work.h"
#include "codec/jwrite.h"
#include "codec/sio.h"
#include "rt/loop.h"
#include "rt/out.h"
#include "rt/progress.h"
#include "rt/queue.h"
#include "rt/status.h"
#include "rt/stop.h"
#include "zip/recent.h"
#include "zip/watch.h"
#define ZK_LOGGER "events"
#include "base/log.h"

#include "base/ban.h"

#define RECENT_IDS   4096 /* §7.7 */
#define RECENT_MS    INT64_MAX
#define WRAPPED_MAX  ((size_t)256 << 20)
#define FD_SPARE     256
#define MANY_SOCKETS 64
#define DROPS_TOLD   1000 /* one line for so many events that were dropped */

enum overflow { OVERFLOW_BLOCK, OVERFLOW_DROP_OLD, OVERFLOW_DROP_NEW };
static const char *const overflows[] = { "block", "drop-old", "drop-new", NULL };

struct tail_opts {
	struct events_opts events;
	struct events_ops_opts ops;
	struct hook_work_opts work;
	bool wait, diff, gaps, with_name, ui, fail_fast;
	int overflow;
	int64_t diff_every_ms;
	uint64_t queue, queue_bytes, sockets;
};

/* An event that waits for room. */
struct waiting {
	struct zk_item item;
	size_t n;
	char json[];
};

struct tail {
	struct zk_app *app;
	const struct tail_opts *o;
	struct events events;
	struct zk_loop *loop;
	struct zk_stop *stop;
	struct zk_out *out; /* NULL with --exec and --forward */
	struct hook_work *work;
	struct events_ops_opts ops_opts;
	struct events_ops *ops;
	struct events_line *line;   /* of a terminal, NULL = rows */
	struct events_ui *ui;       /* --ui */
	struct zk_zip_watch *watch; /* without --diff */
	struct events_diff *diff;   /* with it */
	struct zk_zip_recent *recent;
	struct zk_zip_live **lives;
	size_t *live_of; /* the socket of each workflow */
	size_t n_lives, n_ended, n_ready;
	struct zk_queue queue;
	struct zk_buf wrapped;
	struct zk_error err; /* why it ended; code 0 = as asked */
	struct zk_error
	        no_socket; /* why there is none, where the editor's API has to do */
	uint64_t received, duplicates, printed, failed, dropped, reconnects;
	uint64_t lost; /* received, but no command was run for them */
	bool paused, work_full, stopping, drained, ready;
	bool no_updates; /* the editor's API does not have them */
};

static void finish(struct tail *t, const struct zk_error *err)
{
	if (err && !t->err.code)
		t->err = *err;
	if (!t->stopping)
		zk_stop_begin(t->stop);
}

/* ---- the end of the line: stdout, or commands ----------------------------------------------- */

static bool has_room(const struct tail *t)
{
	return t->work ? !t->work_full : !t->out || !zk_out_is_full(t->out);
}

static void deliver(struct tail *t, zk_str json)
{
	struct zk_error err = { 0 };

	if (t->work) {
		t->work_full = !hook_work_push(t->work, hook_item_new(json, ZK_STR_NULL));
		return;
	}
	t->printed++;
	if (t->ui) {
		events_ui_put(t->ui, json);
		return;
	}
	if ((t->line ? events_line_put(t->line, json, &err)
	             : zk_out_row(t->out, json, &err)) < 0)
		finish(t, &err);
	else if (zk_out_closed(t->out))
		finish(t, NULL);
}

static void free_waiting(struct zk_item *item)
{
	free(ZK_CONTAINER_OF(item, struct waiting, item));
}

static void pause_all(struct tail *t, bool pause)
{
	t->paused = pause;
	for (size_t i = 0; i < t->n_lives; i++)
		zk_zip_live_pause(t->lives[i], pause);
	if (t->diff && !pause)
		(void)events_diff_ask(t->diff);
}

static void drop_one(struct tail *t)
{
	if (t->dropped++ % DROPS_TOLD == 0)
		zk_warn("events are dropped, what reads them is too slow", "dropped=%llu",
		        (unsigned long long)t->dropped);
}

static void enqueue(struct tail *t, zk_str json)
{
	bool full = t->queue.items >= t->o->queue ||
	            t->queue.bytes + json.n > t->o->queue_bytes;
	struct waiting *w;

	if (full && t->o->overflow == OVERFLOW_DROP_NEW) {
		drop_one(t);
		return;
	}
	while (full && t->o->overflow == OVERFLOW_DROP_OLD && t->queue.items) {
		free_waiting(zk_queue_pop(&t->queue));
		drop_one(t);
		full = t->queue.items >= t->o->queue ||
		       t->queue.bytes + json.n > t->o->queue_bytes;
	}
	w = zk_alloc(sizeof(*w) + json.n);
	memcpy(w->json, json.p, json.n);
	w->n = json.n;
	w->item = (struct zk_item){ .bytes = json.n };
	/* What was received cannot be sent back: it is taken, and no more is read. */
	if (zk_queue_push(&t->queue, &w->item) == ZK_PUSHED_HIGH && !t->paused &&
	    t->o->overflow == OVERFLOW_BLOCK && !t->stopping)
		pause_all(t, true);
}

static void sink(struct tail *t, zk_str json)
{
	if (ZK_LIKELY(!t->queue.items && has_room(t)))
		deliver(t, json);
	else
		enqueue(t, json);
}

static void deliver_waiting(struct tail *t, struct zk_item *item)
{
	struct waiting *w = ZK_CONTAINER_OF(item, struct waiting, item);

	deliver(t, zk_str_n(w->json, w->n));
	free(w);
}

static void check_drained(struct tail *t);

static void on_room(void *ctx)
{
	struct tail *t = ctx;
	struct zk_item *item;

	while (has_room(t) && (item = zk_queue_pop(&t->queue)) != NULL)
		deliver_waiting(t, item);
	check_drained(t);
}

static void on_queue_items(void *ctx)
{
	(void)ctx;
}

static void on_queue_room(void *ctx)
{
	struct tail *t = ctx;

	if (t->paused && !t->stopping)
		pause_all(t, false);
}

static void on_emit(void *ctx, zk_str json, void *const *tags, size_t n)
{
	(void)tags;
	(void)n;
	sink(ctx, json);
}

static void on_enough(void *ctx)
{
	finish(ctx, NULL);
}

/* ---- commands ------------------------------------------------------------------------------- */

static void on_over(void *ctx, struct hook_item *item, enum hook_end end, const char *why)
{
	struct tail *t = ctx;

	(void)why;
	t->printed += end == HOOK_DONE;
	t->failed += end == HOOK_FAILED;
	t->lost += end == HOOK_STOPPED;
	hook_item_free(item);
	if (end == HOOK_FAILED && t->o->fail_fast)
		finish(t, NULL);
}

static void on_work_room(void *ctx)
{
	struct tail *t = ctx;

	t->work_full = false;
	on_room(t);
}

static void on_work_idle(void *ctx)
{
	check_drained(ctx);
}

static void on_fatal(void *ctx, const struct zk_error *err)
{
	finish(ctx, err);
}

/* ---- what comes on the sockets --------------------------------------------------------------- */

/* {"event":NAME,"data":…} */
static zk_str wrap(struct tail *t, const struct zk_zip_live_event *ev)
{
	struct zk_jwrite w;

	zk_buf_clear(&t->wrapped);
	zk_jwrite_init(&w, &t->wrapped);
	zk_jw_obj(&w);
	zk_jw_key(&w, "event");
	zk_jw_str(&w, ev->name);
	if (ev->json.type != ZK_J_NONE) {
		zk_jw_key(&w, "data");
		if (ev->n_attachments)
			zk_sio_fill(ev->json.raw, ev->attachments, ev->n_attachments,
			            &t->wrapped);
		else
			zk_jw_raw(&w, ev->json.raw);
	}
	zk_buf_char(&t->wrapped, '}');
	return zk_buf_str(&t->wrapped);
}

/* Payloads of unknown events may have attachments; they are shown in base64. */
static zk_str fill(struct tail *t, const struct zk_zip_live_event *ev)
{
	zk_buf_clear(&t->wrapped);
	zk_sio_fill(ev->json.raw, ev->attachments, ev->n_attachments, &t->wrapped);
	return zk_buf_str(&t->wrapped);
}

static void pass(struct tail *t, const struct zk_zip_live_event *ev)
{
	zk_str shown = ev->json.raw;

	if (t->o->with_name)
		shown = wrap(t, ev);
	else if (ev->json.type == ZK_J_NONE)
		return; /* there is nothing that could be printed */
	else if (ev->n_attachments)
		shown = fill(t, ev);
	events_ops_push(t->ops, ev->json.type == ZK_J_NONE ? shown : ev->json.raw, shown,
	                /* tag */ NULL);
}

static void on_diff(void *ctx, zk_str event)
{
	struct tail *t = ctx;
	struct zk_zip_live_event ev = { .name = ZK_STR("zip.event"),
		                        .json = { .raw = event, .type = ZK_J_OBJECT } };

	if (!t->stopping)
		pass(t, &ev);
}

/* A snapshot is news when it differs from the one before. */
static void on_state(struct tail *t, const struct zk_zip_live_event *ev)
{
	enum zk_zip_seen seen;

	if (ev->json.type != ZK_J_OBJECT)
		return;
	if (t->diff) {
		events_diff_state(t->diff, ev->json.raw);
		return;
	}
	seen = zk_zip_watch_state(t->watch, ev->json.raw, NULL, NULL);
	if (seen == ZK_ZIP_SEEN_CHANGED || seen == ZK_ZIP_SEEN_NOT)
		pass(t, ev);
}

static void on_server_error(const struct zk_zip_live_event *ev)
{
	zk_warn("the server reports an error", "error=%.*s", ZK_STR_ARG(ev->json.raw));
}

/* Events that are no news to somebody who watches; false for all others. */
static bool on_own_event(struct tail *t, const struct zk_zip_live_event *ev)
{
	if (zk_str_eq(ev->name, ZK_STR("workflow.state"))) {
		on_state(t, ev);
		return true;
	}
	if (zk_str_eq(ev->name, ZK_STR("error"))) {
		on_server_error(ev);
		return !t->o->with_name;
	}
	/* Its data comes as stream.frame.parsed too; zk events stream --save keeps it. */
	if (zk_str_eq(ev->name, ZK_STR("stream.frame")))
		return !t->o->with_name;
	return zk_str_eq(ev->name, ZK_STR("event.acknowledged")) ||
	       zk_str_eq(ev->name, ZK_STR("update.acknowledged"));
}

static void on_event(void *ctx, struct zk_zip_live *live,
                     const struct zk_zip_live_event *ev)
{
	struct tail *t = ctx;
	const struct zk_jval *id = &ev->members[ZK_ZIP_LIVE_ID].val;

	(void)live;
	if (t->stopping)
		return;
	t->received++;
	if (!zk_str_eq(ev->name, ZK_STR("zip.event"))) {
		if (!on_own_event(t, ev))
			pass(t, ev);
		return;
	}
	if (id->type == ZK_J_STRING &&
	    !zk_zip_recent_add(t->recent, id->raw, zk_loop_now_ms(t->loop))) {
		t->duplicates++;
		return;
	}
	pass(t, ev);
}

static void tell_gap(struct tail *t, const struct zk_zip_live_gap *gap)
{
	struct zk_buf b ZK_CLEANUP(zk_buf_done);

	zk_buf_init(&b, 4096);
	events_put_gap(gap, &b);
	if (t->o->gaps)
		sink(t, zk_buf_str(&b));
	else
		zk_log_say(ZK_LOG_NOTICE, zk_buf_str(&b));
	zk_status_event(zk_app_status(t->app), "reconnected", zk_str_n(b.p + 1, b.n - 2));
}

static void announce(struct tail *t, const char *carrier)
{
	struct zk_buf b ZK_CLEANUP(zk_buf_done);
	struct zk_jwrite w;

	t->ready = true;
	zk_buf_init(&b, 65536);
	zk_jwrite_init(&w, &b);
	zk_jw_key(&w, "url");
	zk_jw_cstr(&w, t->events.conf.url);
	zk_jw_key(&w, "carrier");
	zk_jw_cstr(&w, carrier);
	zk_jw_key(&w, "sockets");
	zk_jw_u64(&w, t->n_lives);
	zk_status_ready(zk_app_status(t->app), t->loop, zk_buf_str(&b));
}

static void on_live(void *ctx, struct zk_zip_live *live,
                    const struct zk_zip_live_gap *gap)
{
	struct tail *t = ctx;

	if (t->ui)
		events_ui_state(t->ui, "live");
	if (gap) {
		t->reconnects++;
		tell_gap(t, gap);
		return;
	}
	if (++t->n_ready == t->n_lives && !t->ready)
		announce(t, zk_zip_live_carrier(live));
}

static void on_drop(void *ctx, struct zk_zip_live *live, const struct zk_error *err,
                    int64_t wait_ms)
{
	struct tail *t = ctx;

	(void)live;
	if (t->ui)
		events_ui_state(t->ui, "reconnecting");
	events_say_drop(&t->events, err, wait_ms);
	if (t->diff)
		(void)events_diff_ask(t->diff);
}

static void on_deaf(void *ctx, struct zk_zip_live *live)
{
	struct tail *t = ctx;

	(void)live;
	events_remember_deaf(&t->events);
}

/* ---- without a socket ----------------------------------------------------------------------- */

static bool is_deaf(void *ctx, size_t i)
{
	const struct tail *t = ctx;

	return !t->stopping && !t->paused && !t->no_updates &&
	       zk_zip_live_state(t->lives[t->live_of[i]]) != ZK_ZIP_LIVE;
}

/* A server without sockets, not one that lets nobody in or knows no such workflow: what changes in
 * the graphs can be had all the same. */
static bool goes_on_without(struct tail *t, const struct zk_error *err)
{
	if (!err || !err->http_status || err->code == ZK_E_AUTH ||
	    err->code == ZK_E_FORBIDDEN || !t->diff || !events_diff_ask(t->diff))
		return false;
	zk_notice("there is no socket: the server is asked for changes of the graphs, "
	          "other "
	          "events cannot be had",
	          "reason=%s", err->msg);
	t->no_socket = *err;
	return true;
}

static void on_updates(void *ctx)
{
	struct tail *t = ctx;

	if (!t->ready)
		announce(t, "updates");
}

static void on_no_updates(void *ctx, const struct zk_error *err)
{
	struct tail *t = ctx;

	t->no_updates = !err->retryable;
	if (t->no_updates && t->no_socket.code)
		finish(t, &t->no_socket);
	else
		zk_log_error(ZK_LOG_WARN, ZK_LOGGER,
		             "the server cannot be asked for changes of the graphs", err);
}

static void on_end(void *ctx, struct zk_zip_live *live, const struct zk_error *err)
{
	struct tail *t = ctx;

	(void)live;
	t->n_ended++;
	if (!t->stopping && !goes_on_without(t, err))
		finish(t, err);
	check_drained(t);
}

/* ---- stop ---------------------------------------------------------------------------------- */

static void check_drained(struct tail *t)
{
	if (!t->stopping || t->drained || t->n_ended < t->n_lives || t->queue.items ||
	    (t->work && hook_work_count(t->work)))
		return;
	t->drained = true;
	zk_stop_drained(t->stop);
}

static void on_drain(void *ctx)
{
	struct tail *t = ctx;

	t->stopping = true;
	zk_status_stopping(zk_app_status(t->app));
	events_ops_flush(t->ops);
	for (size_t i = 0; i < t->n_lives; i++)
		zk_zip_live_close(t->lives[i]);
	if (t->work)
		hook_work_hurry(t->work);
	check_drained(t);
}

static void on_flush(void *ctx, bool expired)
{
	struct tail *t = ctx;
	struct zk_item *item;

	/* What stdout has not taken is its own matter from here on: it waits as long as it may, and
	 * says what nobody read. */
	while (expired && !t->work && (item = zk_queue_pop(&t->queue)) != NULL)
		deliver_waiting(t, item);
	t->lost += t->queue.items;
	zk_stop_done(t->stop);
}

/* ---- start --------------------------------------------------------------------------------- */

static const struct zk_out_col cols[] = {
	{ .name = "timestamp" },
	{ .name = "type" },
	{ .name = "workflowId", .title = "workflow" },
	{ .name = "nodeId", .title = "node" },
};

static int open_sink(struct tail *t, struct zk_error *err)
{
	static const struct zk_out_shape shape = { .kind = ZK_OUT_STREAM,
		                                   .cols = cols,
		                                   .n_cols = ZK_ARRAY_LEN(cols),
		                                   .open = true };
	struct hook_work_conf work = { .opts = &t->o->work,
		                       .high = t->o->queue,
		                       .ctx = t,
		                       .over = on_over,
		                       .on_room = on_work_room,
		                       .on_idle = on_work_idle,
		                       .on_fatal = on_fatal };
	const struct zk_output_opts *out = &t->app->output;

	if (t->o->work.exec || t->o->work.forward)
		return hook_work_new(t->app, &work, &t->work, err);
	if (t->o->ui) {
		t->ui = events_ui_new(t->loop, zk_term_color(t->app->common.color, 2));
		return 0;
	}
	t->out = zk_app_out_on_loop(t->app, on_room, t, err);
	if (!t->out || zk_out_begin(t->out, &shape, err) < 0)
		return -(int)err->code;
	if (zk_out_format(t->out) == ZK_OUT_TABLE && !out->fields && !out->jq &&
	    !out->format && !t->o->with_name && !t->o->ops.buffer)
		t->line = events_line_new(t->out, zk_term_color(t->app->common.color, 1));
	return 0;
}

/* Room for the descriptors of so many sockets. */
static void raise_limit(size_t sockets)
{
	struct rlimit now;
	rlim_t want = (rlim_t)sockets + FD_SPARE;

	if (getrlimit(RLIMIT_NOFILE, &now) < 0 || now.rlim_cur >= want)
		return;
	now.rlim_cur = ZK_MIN(want, now.rlim_max);
	ZK_IGNORE(setrlimit(RLIMIT_NOFILE, &now) < 0); /* what fails later says why */
}

/* Spreads the workflows over the sockets, each as many as the others. */
static void open_sockets(struct tail *t)
{
	size_t n = t->o->events.workflows.n, at = 0;
	struct zk_zip_live_conf conf = t->events.conf;

	t->n_lives = t->o->sockets ? (size_t)ZK_MIN(t->o->sockets, (uint64_t)n) : n;
	raise_limit(t->n_lives);
	t->lives = zk_alloc_array(t->n_lives, sizeof(struct zk_zip_live *));
	t->live_of = zk_alloc_array(n, sizeof(*t->live_of));
	conf.ctx = t;
	conf.wait = t->o->wait;
	conf.many = t->n_lives >= MANY_SOCKETS;
	conf.on_event = on_event;
	conf.on_live = on_live;
	conf.on_drop = on_drop;
	conf.on_deaf = on_deaf;
	conf.on_end = on_end;
	for (size_t i = 0; i < t->n_lives; i++) {
		conf.workflows = t->events.conf.workflows + at;
		conf.n_workflows = (n - at) / (t->n_lives - i);
		for (size_t k = 0; k < conf.n_workflows; k++)
			t->live_of[at++] = i;
		t->lives[i] = zk_zip_live_new(&conf);
	}
}

static void open_diff(struct tail *t)
{
	struct events_diff_conf diff = { .events = &t->events,
		                         .every_ms = t->o->diff_every_ms,
		                         .ctx = t,
		                         .is_deaf = is_deaf,
		                         .on_event = on_diff,
		                         .on_answer = on_updates,
		                         .on_failure = on_no_updates };

	if (t->o->diff)
		t->diff = events_diff_new(&diff);
	else
		t->watch = zk_zip_watch_new();
}

static int check(const struct tail_opts *o, struct zk_error *err)
{
	if (!o->events.workflows.n)
		return zk_fail(err, ZK_E_USAGE, "which workflow? -w WF");
	if (hook_work_check(&o->work, err) < 0)
		return -(int)err->code;
	if (o->ui && (o->work.exec || o->work.forward || o->ops.buffer || o->with_name))
		return zk_fail(err, ZK_E_USAGE,
		               "--ui shows nodes; --exec, --forward, --buffer and "
		               "--with-name do not go with it");
	if (o->ui && isatty(2) != 1)
		return zk_fail(err, ZK_E_USAGE, "--ui needs a terminal on stderr");
	return 0;
}

static int start(struct tail *t, struct zk_error *err)
{
	struct zk_stop_conf stop = { .ctx = t, .drain = on_drain, .flush = on_flush };
	struct events_ops_conf ops = {
		.opts = &t->ops_opts, .ctx = t, .emit = on_emit, .enough = on_enough
	};
	struct zk_queue_conf queue = { .ctx = t,
		                       .on_items = on_queue_items,
		                       .on_room = on_queue_room,
		                       .high_items = t->o->queue,
		                       .high_bytes = t->o->queue_bytes };

	if (check(t->o, err) < 0)
		return -(int)err->code;
	t->loop = zk_app_loop(t->app, err);
	if (!t->loop)
		return -(int)err->code;
	ops.loop = queue.loop = t->loop;
	t->ops_opts = t->o->ops;
	t->ops_opts.key = t->o->work.key;
	zk_queue_init(&t->queue, &queue);
	if (events_ops_new(&ops, &t->ops, err) < 0)
		return -(int)err->code;
	t->recent = zk_zip_recent_new(RECENT_IDS, RECENT_MS);
	if (events_open(t->app, &t->o->events, /* tries */ 0, /* client */ t->o->diff,
	                &t->events, err) < 0 ||
	    open_sink(t, err) < 0)
		return -(int)err->code;
	t->stop = zk_app_stop(t->app, &stop, err);
	if (!t->stop)
		return -(int)err->code;
	open_diff(t);
	open_sockets(t);
	return 0;
}

static void tail_done(struct tail *t)
{
	for (size_t i = 0; i < t->n_lives; i++)
		zk_zip_live_free(t->lives[i]);
	free(t->lives);
	free(t->live_of);
	hook_work_free(t->work);
	events_ops_free(t->ops);
	events_line_free(t->line);
	events_ui_free(t->ui);
	zk_zip_watch_free(t->watch);
	events_diff_free(t->diff);
	zk_zip_recent_free(t->recent);
	if (t->queue.conf.loop)
		zk_queue_done(&t->queue, free_waiting);
	zk_buf_done(&t->wrapped);
	events_close(&t->events);
}

static int outcome(struct tail *t, struct zk_error *err)
{
	zk_info("stopped",
	        "received=%llu duplicates=%llu printed=%llu failed=%llu dropped=%llu "
	        "reconnects=%llu",
	        (unsigned long long)t->received, (unsigned long long)t->duplicates,
	        (unsigned long long)t->printed, (unsigned long long)t->failed,
	        (unsigned long long)t->dropped, (unsigned long long)t->reconnects);
	if (t->dropped)
		zk_say("%llu events were dropped, what read them was too slow",
		       (unsigned long long)t->dropped);
	/* What was not begun. */
	hook_work_free(ZK_TAKE(t->work));
	if (t->app->out && zk_out_end(t->app->out, err) < 0 && !t->err.code)
		return -(int)err->code;
	if (t->err.code) {
		*err = t->err;
		return -(int)err->code;
	}
	if (t->lost)
		return zk_fail(err, ZK_E_INTERRUPTED,
		               "%llu events were received and not worked on",
		               (unsigned long long)t->lost);
	return t->failed ? ZK_EXIT_PARTIAL : ZK_EXIT_OK;
}

static int tail_run(struct zk_app *app, void *opts, int argc, char **argv,
                    struct zk_error *err)
{
	struct tail t = { .app = app, .o = opts };
	int r;

	(void)argc;
	(void)argv;
	zk_buf_init(&t.wrapped, WRAPPED_MAX);
	r = start(&t, err);
	if (r == 0) {
		zk_loop_run(t.loop);
		r = outcome(&t, err);
	}
	tail_done(&t);
	return r;
}

#define OFF(m) .off = offsetof(struct tail_opts, m)

static const struct zk_opt tail_rows[] = {
	EVENTS_ROWS,
	{ .type = ZK_OPT_BOOL,
	  .name = "wait",
	  OFF(wait),
	  .flags = ZK_OPT_NO_CONF,
	  .help = "wait for workflows that are not there yet" },
	{ .type = ZK_OPT_BOOL,
	  .name = "diff",
	  OFF(diff),
	  .flags = ZK_OPT_NO_CONF,
	  .help = "tell what changed in the graph, node by node",
	  .text = "Servers often tell only that a graph changed. The events are derived "
	          "from the snapshots they send; their source is zk-diff. While there is "
	          "no socket the editor's own API is asked instead (--compat=off: "
	          "not)." },
	{ .type = ZK_OPT_DURATION,
	  .name = "diff-every",
	  .conf = "events.diff_every",
	  .meta = "D",
	  .def = "2s",
	  .min = 10,
	  .max = 86400000,
	  OFF(diff_every_ms),
	  .group = "Socket",
	  .help = "how often the API is asked with --diff and no socket" },
	{ .type = ZK_OPT_BOOL,
	  .name = "gaps",
	  OFF(gaps),
	  .flags = ZK_OPT_NO_CONF,
	  .help = "tell in the stream, not on stderr, when events were missed" },
	{ .type = ZK_OPT_BOOL,
	  .name = "with-name",
	  OFF(with_name),
	  .flags = ZK_OPT_NO_CONF,
	  .help = "wrap each event as {\"event\":NAME,\"data\":...}" },
	{ .type = ZK_OPT_BOOL,
	  .name = "ui",
	  OFF(ui),
	  .flags = ZK_OPT_NO_CONF,
	  .help = "a table of the nodes on the terminal, kept up to date" },
	{ .type = ZK_OPT_UINT,
	  .name = "sockets",
	  .conf = "events.sockets",
	  .meta = "N",
	  .def = "1",
	  .max = 100000,
	  OFF(sockets),
	  .group = "Socket",
	  .help = "spread the workflows over N sockets; 0 = one each" },
	EVENTS_PICK_ROWS(struct tail_opts, "events"),
	EVENTS_TIME_ROWS(struct tail_opts),
	{ .type = ZK_OPT_ENUM,
	  .name = "overflow",
	  .conf = "events.overflow",
	  .meta = "POLICY",
	  .def = "block",
	  .values = overflows,
	  OFF(overflow),
	  .group = "Work",
	  .help = "what happens when events come faster than they go",
	  .text = "block stops reading; the server is told meanwhile that zk is alive. "
	          "What is dropped is counted and reported." },
	{ .type = ZK_OPT_UINT,
	  .name = "queue",
	  .conf = "events.queue",
	  .meta = "N",
	  .def = "10000",
	  .min = 1,
	  .max = 10000000,
	  OFF(queue),
	  .group = "Work",
	  .help = "events that may wait" },
	{ .type = ZK_OPT_SIZE,
	  .name = "queue-bytes",
	  .conf = "events.queue_bytes",
	  .meta = "SIZE",
	  .def = "64MiB",
	  .min = 1024,
	  .max = INT64_C(1) << 40,
	  OFF(queue_bytes),
	  .group = "Work",
	  .help = "their size in all" },
	HOOK_WORK_ROWS(struct tail_opts, "events"),
	HOOK_WORK_ORDERED_ROW(struct tail_opts, "events"),
	{ .type = ZK_OPT_BOOL,
	  .name = "fail-fast",
	  OFF(fail_fast),
	  .flags = ZK_OPT_NO_CONF,
	  .group = "Work",
	  .help = "stop when a command was given up" },
	ZEAL_ROWS,
	ZK_OPT_END,
};

const struct zk_cmd zk_cmd_events_tail = {
	.path = "events tail",
	.help = "print events of workflows as they happen",
	.about = "One JSON object per line, byte for byte as the server sent it; a "
	         "terminal "
	         "gets a short line instead. The socket comes back by itself; what may "
	         "have been missed meanwhile is told as a record of type zk.gap on "
	         "stderr. "
	         "No event is printed twice.",
	.examples =
	        "zk events tail -w wf_1 --filter 'type=node.failed' --exec ./notify.sh\n"
	        "zk events tail -w wf_1,wf_2 --buffer 100 --every 500ms -o ndjson\n"
	        "zk events tail -w wf_1 --diff --fields type,nodeId",
	.output = "one event per row",
	.exits = "0 stopped · 3 some commands failed · 69 no such workflow · 77",
	.see = "zk events emit · zk webhook listen · man zk-events",
	.groups = ZK_OPTS_OUTPUT | ZEAL_GROUPS,
	.opts = tail_rows,
	.opts_size = sizeof(struct tail_opts),
	.conf = "zeal",
	.flags = ZK_CMD_READER,
	.run = tail_run,
};
