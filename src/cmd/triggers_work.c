/* Works through followed events one after the other.
 * Layer: cmd. specs/triggers.md §14.1. */
#include "cmd/triggers_work.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/rand.h"
#include "cmd/cmds.h"
#include "codec/jscan.h"
#include "rt/child.h"
#include "rt/loop.h"
#include "rt/progress.h"
#include "rt/stop.h"
#include "rt/work.h"
#include "triggers/follow.h"
#include "triggers/sign.h"
#define ZK_LOGGER "triggers"
#include "base/log.h"

#include "base/ban.h"

#define MAX_WAITING 64
#define MAX_BODY    (8 * 1024 * 1024)
#define FORWARD_MS  30000

const struct zk_out_col trig_event_cols[TRIG_EVENT_COLS] = {
	{ .name = "id", .flags = ZK_COL_WHOLE },
	{ .name = "type" },
	{ .name = "status" },
	{ .name = "attempts", .flags = ZK_COL_RIGHT },
	{ .name = "created_at" },
	{ .name = "payload" },
};

struct work;

struct item {
	struct zk_task task;
	struct work *w;
	char *id, *type;
	char *json;
	size_t n;
	int64_t start_us;
	struct zk_child *child;
	struct zk_http *http;
	struct zk_send *ack;
};

struct work {
	struct trig_session *s;
	const struct trig_work_conf *conf;
	struct zk_loop *loop;
	struct zk_out *out;
	struct zk_trig_follow *follow;
	struct zk_stop *stop;
	struct zk_work *work;
	struct zk_error err; /* why it ended, code 0 = by a signal */
	bool stopping, closed;
};

static struct item *item_of(struct zk_task *t)
{
	return ZK_CONTAINER_OF(t, struct item, task);
}

static void finish(struct work *w, const struct zk_error *err)
{
	if (err && !w->err.code)
		w->err = *err;
	zk_loop_quit(w->loop);
}

static void report(const struct item *i, const char *what, const char *why)
{
	double ms = (double)(zk_mono_us() - i->start_us) / 1000.0;

	if (i->w->conf->report)
		zk_say("%-12s %s %s %.0f ms%s%s", what, i->type, i->id, ms,
		       why[0] ? "  " : "", why);
}

/* An event that fails stays pending at the server, which has the schedule: no retry here. */
static void item_over(struct item *i)
{
	zk_work_end(&i->task, NULL);
}

/* ---- acknowledging ------------------------------------------------------------------------ */

static void on_acked(void *ctx, const struct zk_http_res *res, struct zk_error *err)
{
	struct item *i = ctx;

	i->ack = NULL;
	if (err && err->http_status != 404) {
		zk_trig_explain(&i->w->s->client, res->body, err);
		zk_log_error(ZK_LOG_WARN, ZK_LOGGER, "not acknowledged, it stays pending",
		             err);
	}
	item_over(i);
}

static void acknowledge(struct item *i)
{
	struct zk_error err = { 0 };
	char path[96];

	if (!i->w->conf->ack) {
		item_over(i);
		return;
	}
	(void)snprintf(path, sizeof(path), "/api/ack/%.40s", i->id);
	struct zk_trig_request rq = { .method = "POST",
		                      .path = path,
		                      .repeatable = true };

	if (zk_trig_start(&i->w->s->client, &rq, on_acked, i, &i->ack, &err) < 0)
		finish(i->w, &err);
}

/* ---- a command ---------------------------------------------------------------------------- */

static void on_child_exit(void *ctx, const struct zk_child_result *res)
{
	struct item *i = ctx;
	char why[64] = "";

	i->child = NULL;
	if (res->status == 0) {
		report(i, "done", "");
		acknowledge(i);
		return;
	}
	(void)snprintf(why, sizeof(why), "exit %d, stays pending", res->status);
	report(i, "failed", why);
	item_over(i);
}

static void run_command(struct item *i)
{
	struct zk_error err = { 0 };
	ZK_CLEANUP(zk_freep)
	char *id = zk_asprintf("ZK_EVENT_ID=%s", i->id);
	ZK_CLEANUP(zk_freep)
	char *type = zk_asprintf("ZK_EVENT_TYPE=%s", i->type);
	const char *env[] = { id, type, NULL };
	struct zk_child_conf conf = {
		.ctx = i,
		.shell = i->w->conf->exec,
		.env = env,
		.input = zk_str_n(i->json, i->n),
		.out = ZK_CHILD_INHERIT,
		.err = ZK_CHILD_INHERIT,
		.timeout_ms = i->w->conf->exec_timeout_ms,
		.on_exit = on_child_exit,
	};

	if (zk_child_start(i->w->loop, &conf, &i->child, &err) < 0)
		finish(i->w, &err);
}

/* ---- forwarding --------------------------------------------------------------------------- */

static void on_forwarded(void *ctx, const struct zk_http_res *res, struct zk_error *err)
{
	struct item *i = ctx;
	char what[16];

	i->http = NULL;
	if (err) {
		report(i, "failed", err->msg);
		item_over(i);
		return;
	}
	(void)snprintf(what, sizeof(what), "%d", res->status);
	report(i, what, res->status < 300 ? "" : "stays pending");
	if (res->status >= 200 && res->status < 300)
		acknowledge(i);
	else
		item_over(i);
}

/* The same body that a delivery has (§8.1), made from the inbox object. */
static bool make_body(const struct item *i, struct zk_buf *b)
{
	zk_str json = zk_str_n(i->json, i->n);
	struct zk_jwant want[] = { { .name = ZK_STR_INIT("payload") },
		                   { .name = ZK_STR_INIT("created_at") },
		                   { .name = ZK_STR_INIT("type") } };
	struct zk_jscan js;

	if (zk_jscan(json, 512, want, ZK_ARRAY_LEN(want), &js) < 0)
		return false;
	zk_buf_printf(b, "{\"id\":\"%s\",\"event_id\":\"%s\",\"type\":", i->id, i->id);
	zk_buf_add(b, want[2].val.raw);
	zk_buf_lit(b, ",\"timestamp\":");
	zk_buf_add(b, want[1].val.raw);
	zk_buf_lit(b, ",\"data\":");
	zk_buf_add(b, want[0].val.raw);
	zk_buf_char(b, '}');
	return !b->failed;
}

static void forward(struct item *i)
{
	struct zk_buf body ZK_CLEANUP(zk_buf_done);
	struct zk_buf id ZK_CLEANUP(zk_buf_done);
	struct zk_buf at ZK_CLEANUP(zk_buf_done);
	struct zk_buf sig ZK_CLEANUP(zk_buf_done);
	struct zk_error err = { 0 };
	int64_t now_s = zk_wall_us() / 1000000;

	zk_buf_init(&body, MAX_BODY);
	zk_buf_init(&id, 256);
	zk_buf_init(&at, 64);
	zk_buf_init(&sig, 256);
	if (!make_body(i, &body)) {
		report(i, "failed", "the event cannot be read");
		item_over(i);
		return;
	}
	zk_buf_printf(&id, "webhook-id: %s", i->id);
	zk_buf_printf(&at, "webhook-timestamp: %lld", (long long)now_s);
	zk_buf_lit(&sig, "webhook-signature: ");
	zk_trig_sign(i->w->conf->secret, zk_str_of(i->id), now_s, zk_buf_str(&body),
	             &sig);
	const char *headers[] = { zk_buf_cstring(&id), zk_buf_cstring(&at),
		                  zk_buf_cstring(&sig), "X-Delivery-Attempt: 1", NULL };
	struct zk_http_conf conf = {
		.method = "POST",
		.url = i->w->conf->forward,
		.headers = headers,
		.body = zk_buf_str(&body),
		.content_type = "application/json",
		.ctx = i,
		.max_body = 65536,
		.timeout_ms = FORWARD_MS,
		.flags = ZK_HTTP_ANY_STATUS | ZK_HTTP_TRUNCATE,
	};

	if (zk_http_start(i->w->s->client.net, &conf, on_forwarded, &i->http, &err) < 0)
		finish(i->w, &err);
}

/* ---- one after the other ------------------------------------------------------------------ */

/* False: it ended, nobody reads on. */
static bool print_item(struct item *i)
{
	struct work *w = i->w;
	struct zk_error err = { 0 };

	if (zk_out_row(w->out, zk_str_n(i->json, i->n), &err) < 0 ||
	    zk_out_flush(w->out, &err) < 0) {
		finish(w, &err);
		return false;
	}
	if (zk_out_closed(w->out)) {
		/* Nobody read it: it is not acknowledged. */
		w->closed = true;
		finish(w, NULL);
		return false;
	}
	return true;
}

static void start_item(void *ctx, struct zk_task *t)
{
	struct work *w = ctx;
	struct item *i = item_of(t);

	if (w->stopping) {
		item_over(i);
		return;
	}
	i->start_us = zk_mono_us();
	if (w->conf->print && !print_item(i))
		return;
	if (w->conf->exec)
		run_command(i);
	else if (w->conf->forward)
		forward(i);
	else
		acknowledge(i);
}

static void cancel_item(void *ctx, struct zk_task *t)
{
	struct item *i = item_of(t);

	(void)ctx;
	if (i->child)
		zk_child_free(ZK_TAKE(i->child));
	if (i->http)
		zk_http_cancel(ZK_TAKE(i->http));
	if (i->ack)
		zk_send_cancel(ZK_TAKE(i->ack));
}

static void on_over(void *ctx, struct zk_task *t, const struct zk_error *err)
{
	struct item *i = item_of(t);

	(void)ctx;
	(void)err;
	free(i->id);
	free(i->type);
	free(i->json);
	free(i);
}

static void on_room(void *ctx)
{
	struct work *w = ctx;

	if (!w->stopping)
		zk_trig_follow_pause(w->follow, false);
}

static void on_idle(void *ctx)
{
	struct work *w = ctx;

	if (w->stopping)
		zk_stop_drained(w->stop);
}

static void on_event(void *ctx, zk_str id, zk_str type, zk_str json)
{
	struct work *w = ctx;
	struct item *i = zk_new0(struct item);

	i->w = w;
	i->id = zk_strndup(id.p, id.n);
	i->type = zk_strndup(type.p ? type.p : "", type.n);
	i->json = zk_strndup(json.p, json.n);
	i->n = json.n;
	if (!zk_work_push(w->work, &i->task, (zk_str){ 0 }))
		zk_trig_follow_pause(w->follow, true);
}

static void on_state(void *ctx, const char *state, int64_t wait_ms,
                     const struct zk_error *err)
{
	struct work *w = ctx;

	(void)w;
	if (wait_ms)
		zk_say("connection lost%s%s, next try in %.1f s", err ? ": " : "",
		       err ? err->msg : "", (double)wait_ms / 1000);
	else
		zk_debug("following", "state=%s", state);
}

static void on_follow_end(void *ctx, const struct zk_error *err)
{
	finish(ctx, err);
}

static void on_drain(void *ctx)
{
	struct work *w = ctx;

	w->stopping = true;
	zk_trig_follow_pause(w->follow, true);
	if (!zk_work_count(w->work))
		zk_stop_drained(w->stop);
}

static void on_flush(void *ctx, bool expired)
{
	struct work *w = ctx;

	(void)expired;
	zk_stop_done(w->stop);
}

static void work_done(struct work *w)
{
	zk_trig_follow_free(w->follow);
	zk_work_free(w->work);
}

static int start(struct work *w, struct zk_error *err)
{
	static const struct zk_out_shape shape = { .kind = ZK_OUT_STREAM,
		                                   .noun = "events",
		                                   .cols = trig_event_cols,
		                                   .n_cols = TRIG_EVENT_COLS,
		                                   .open = true };
	struct zk_work_conf work = {
		.ctx = w,
		.jobs = 1,
		.high = MAX_WAITING,
		.start = start_item,
		.cancel = cancel_item,
		.over = on_over,
		.on_room = on_room,
		.on_idle = on_idle,
	};
	struct zk_stop_conf stop = { .ctx = w, .drain = on_drain, .flush = on_flush };
	struct zk_trig_follow_conf follow = {
		.client = &w->s->client,
		.query = w->conf->query,
		.after = w->conf->after,
		.ctx = w,
		.on_event = on_event,
		.on_state = on_state,
		.on_end = on_follow_end,
	};

	w->loop = zk_app_loop(w->s->app, err);
	w->out = w->conf->print ? zk_app_out(w->s->app, err) : NULL;
	if (!w->loop ||
	    (w->conf->print && (!w->out || zk_out_begin(w->out, &shape, err) < 0)))
		return -(int)err->code;
	w->stop = zk_app_stop(w->s->app, &stop, err);
	if (!w->stop)
		return -(int)err->code;
	w->work = zk_work_new(w->loop, &work);
	w->follow = zk_trig_follow_new(w->loop, &follow);
	return 0;
}

int trig_work(struct trig_session *s, const struct trig_work_conf *conf,
              struct zk_error *err)
{
	struct work w = { .s = s, .conf = conf };
	int r;

	r = start(&w, err);
	if (r == 0) {
		zk_loop_run(w.loop);
		if (w.out && !w.closed)
			r = zk_out_end(w.out, err);
	}
	if (r == 0 && w.err.code) {
		*err = w.err;
		r = -(int)err->code;
	}
	work_done(&w);
	return r;
}
