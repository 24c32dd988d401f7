/* `zk triggers top`.
 * Layer: cmd. specs/triggers.md §14.1, §12.4. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "cli/term.h"
#include "cmd/cmds.h"
#include "cmd/triggers_client.h"
#include "codec/jscan.h"
#include "net/send.h"
#include "rt/loop.h"
#include "rt/progress.h"
#include "rt/stop.h"
#include "triggers/figures.h"

#include "base/ban.h"

#define MAX_ANSWER (8 * 1024 * 1024)
#define LINES      5

struct top_opts {
	struct trig_opts trig;
	bool once;
	int64_t interval_ms;
};

struct top {
	struct trig_session s;
	const struct top_opts *o;
	struct zk_loop *loop;
	struct zk_stop *stop;
	struct zk_out *out; /* NULL = drawn in place */
	struct zk_timer *timer;
	bool tick, stopping, drawn;
	bool has_old, has_metrics;
	struct zk_trig_figures now, old;
	int64_t now_us, old_us; /* monotonic */
	/* of the detailed health */
	char status[32], version[32];
	uint64_t uptime_s;
	struct zk_error err; /* why there is no answer; code 0 = there is one */
};

/* ---- readings ----------------------------------------------------------------------------- */

static int get(struct top *t, const char *path, struct zk_buf *body, struct zk_error *err)
{
	struct zk_trig_request rq = {
		.method = "GET", .path = path, .no_key = true, .once = !t->o->once
	};

	zk_buf_clear(body);
	return zk_trig_call(&t->s.client, &rq, body, err);
}

static void text_of(zk_str doc, const char *name, char *out, size_t room)
{
	struct zk_jval v;
	zk_str s;

	if (zk_jscan_get(doc, zk_str_of(name), &v) && v.type == ZK_J_STRING &&
	    zk_jstr_plain(v.raw, &s))
		(void)snprintf(out, room, "%.*s", (int)ZK_MIN(s.n, room - 1), s.p);
}

static void read_health(struct top *t, zk_str doc)
{
	struct zk_jscan js;
	struct zk_jval v;

	(void)snprintf(t->status, sizeof(t->status), "unknown");
	t->version[0] = '\0';
	if (zk_jscan(doc, 64, NULL, 0, &js) < 0)
		return;
	text_of(doc, "status", t->status, sizeof(t->status));
	text_of(doc, "version", t->version, sizeof(t->version));
	if (zk_jscan_get(doc, ZK_STR("uptime_seconds"), &v))
		(void)zk_jnum_u64(v.raw, &t->uptime_s);
}

static int sample(struct top *t, struct zk_error *err)
{
	struct zk_buf body ZK_CLEANUP(zk_buf_done) = { 0 };

	zk_buf_init(&body, MAX_ANSWER);
	/* An unhealthy server answers 503 with the same document. */
	if (get(t, "/api/health/detailed", &body, err) < 0 && err->http_status != 503)
		return -(int)err->code;
	read_health(t, zk_buf_str(&body));
	t->has_metrics = get(t, "/metrics", &body, err) == 0;
	if (!t->has_metrics && err->http_status != 404)
		return -(int)err->code;
	t->old = t->now;
	t->old_us = t->now_us;
	t->now_us = zk_mono_us();
	zk_trig_figures_read(zk_buf_str(&body), &t->now);
	return 0;
}

/* Per second between the readings; below 0 = not known yet. */
static double rate(const struct top *t, double now, double old)
{
	double seconds = (double)(t->now_us - t->old_us) / 1e6;

	if (!t->has_old || !t->has_metrics || seconds <= 0)
		return -1;
	return now < old ? now / seconds : (now - old) / seconds;
}

static double quantile_ms(const struct top *t, double q)
{
	double s = t->has_metrics ? zk_trig_figures_quantile(
	                                    &t->now, t->has_old ? &t->old : NULL, q)
	                          : -1;

	return s < 0 ? -1 : s * 1000;
}

/* ---- rows --------------------------------------------------------------------------------- */

static const struct zk_out_col cols[] = {
	{ .name = "time" },
	{ .name = "status" },
	{ .name = "requests_per_second", .title = "req/s", .flags = ZK_COL_RIGHT },
	{ .name = "accepted_per_second", .title = "events/s", .flags = ZK_COL_RIGHT },
	{ .name = "delivered_per_second", .title = "deliv/s", .flags = ZK_COL_RIGHT },
	{ .name = "p95_ms", .flags = ZK_COL_RIGHT },
	{ .name = "queue", .flags = ZK_COL_RIGHT },
	{ .name = "due", .flags = ZK_COL_RIGHT },
	{ .name = "in_flight", .flags = ZK_COL_RIGHT },
	{ .name = "dead_letters", .title = "dead", .flags = ZK_COL_RIGHT },
	{ .name = "circuits_open", .title = "circuits", .flags = ZK_COL_RIGHT },
	{ .name = "p50_ms", .flags = ZK_COL_RIGHT | ZK_COL_EXTRA },
	{ .name = "p99_ms", .flags = ZK_COL_RIGHT | ZK_COL_EXTRA },
	{ .name = "duplicates_per_second", .flags = ZK_COL_RIGHT | ZK_COL_EXTRA },
	{ .name = "server_errors_per_second", .flags = ZK_COL_RIGHT | ZK_COL_EXTRA },
	{ .name = "attempts_per_second", .flags = ZK_COL_RIGHT | ZK_COL_EXTRA },
	{ .name = "oldest_due_seconds", .flags = ZK_COL_RIGHT | ZK_COL_EXTRA },
	{ .name = "connections", .flags = ZK_COL_RIGHT | ZK_COL_EXTRA },
	{ .name = "accepted", .flags = ZK_COL_RIGHT | ZK_COL_EXTRA },
	{ .name = "wal_bytes", .flags = ZK_COL_RIGHT | ZK_COL_EXTRA },
	{ .name = "db_bytes", .flags = ZK_COL_RIGHT | ZK_COL_EXTRA },
	{ .name = "uptime_seconds", .flags = ZK_COL_RIGHT | ZK_COL_EXTRA },
	{ .name = "version", .flags = ZK_COL_EXTRA },
};

static void put(struct zk_row *row, const char *name, double v)
{
	if (v < 0)
		zk_row_null(row, name);
	else
		zk_row_double(row, name, round(v * 1000) / 1000);
}

static void put_gauge(struct zk_row *row, const struct top *t, const char *name, double v)
{
	put(row, name, t->has_metrics ? v : -1);
}

static int print_row(struct top *t, struct zk_error *err)
{
	struct zk_row row ZK_CLEANUP(zk_row_done) = { 0 };
	const struct zk_trig_figures *n = &t->now, *o = &t->old;

	zk_row_init(&row);
	zk_row_time(&row, "time", zk_wall_us());
	zk_row_cstr(&row, "status", t->status);
	put(&row, "requests_per_second", rate(t, n->requests, o->requests));
	put(&row, "accepted_per_second", rate(t, n->accepted, o->accepted));
	put(&row, "delivered_per_second", rate(t, n->delivered, o->delivered));
	put(&row, "p95_ms", quantile_ms(t, 0.95));
	put_gauge(&row, t, "queue", n->queue);
	put_gauge(&row, t, "due", n->due);
	put_gauge(&row, t, "in_flight", n->in_flight);
	put_gauge(&row, t, "dead_letters", n->dead_letters);
	put_gauge(&row, t, "circuits_open", n->circuits_open);
	put(&row, "p50_ms", quantile_ms(t, 0.5));
	put(&row, "p99_ms", quantile_ms(t, 0.99));
	put(&row, "duplicates_per_second", rate(t, n->duplicates, o->duplicates));
	put(&row, "server_errors_per_second",
	    rate(t, n->server_errors, o->server_errors));
	put(&row, "attempts_per_second", rate(t, n->attempts, o->attempts));
	put_gauge(&row, t, "oldest_due_seconds", n->oldest_due_s);
	put_gauge(&row, t, "connections", n->connections);
	put_gauge(&row, t, "accepted", n->accepted);
	put_gauge(&row, t, "wal_bytes", n->wal_bytes);
	put_gauge(&row, t, "db_bytes", n->db_bytes);
	zk_row_u64(&row, "uptime_seconds", t->uptime_s);
	zk_row_cstr(&row, "version", t->version);
	if (zk_out_row(t->out, zk_row_end(&row), err) < 0)
		return -(int)err->code;
	return t->o->once ? 0 : zk_out_flush(t->out, err);
}

/* ---- in place ----------------------------------------------------------------------------- */

static void figure(struct zk_buf *b, const char *name, double v, const char *unit)
{
	if (v < 0)
		zk_buf_printf(b, "  %s -", name);
	else
		zk_buf_printf(b, v < 10 && v != floor(v) ? "  %s %.1f%s" : "  %s %.0f%s",
		              name, v, unit);
}

static void line_end(struct zk_buf *b)
{
	zk_buf_lit(b, "\033[K\n");
}

static void draw_figures(struct zk_buf *b, const struct top *t)
{
	const struct zk_trig_figures *n = &t->now, *o = &t->old;

	zk_buf_lit(b, "requests  ");
	figure(b, "rate", rate(t, n->requests, o->requests), "/s");
	figure(b, "5xx", rate(t, n->server_errors, o->server_errors), "/s");
	figure(b, "p50", quantile_ms(t, 0.5), " ms");
	figure(b, "p95", quantile_ms(t, 0.95), " ms");
	figure(b, "p99", quantile_ms(t, 0.99), " ms");
	figure(b, "connections", n->connections, "");
	line_end(b);
	zk_buf_lit(b, "events    ");
	figure(b, "accepted", rate(t, n->accepted, o->accepted), "/s");
	figure(b, "duplicates", rate(t, n->duplicates, o->duplicates), "/s");
	figure(b, "queue", n->queue, "");
	figure(b, "all", n->accepted, "");
	line_end(b);
	zk_buf_lit(b, "deliveries");
	figure(b, "delivered", rate(t, n->delivered, o->delivered), "/s");
	figure(b, "in flight", n->in_flight, "");
	figure(b, "due", n->due, "");
	figure(b, "oldest", n->oldest_due_s, " s");
	line_end(b);
	zk_buf_lit(b, "failing   ");
	figure(b, "dead letters", n->dead_letters, "");
	figure(b, "circuits open", n->circuits_open, "");
	figure(b, "log", n->wal_bytes / 1048576, " MiB");
	figure(b, "database", n->db_bytes / 1048576, " MiB");
	line_end(b);
}

/* The frame is drawn over the one before. The cursor is never hidden and stands below: whatever
 * ends the process leaves the terminal as it should be. */
static int draw(struct top *t, struct zk_error *err)
{
	struct zk_buf b ZK_CLEANUP(zk_buf_done) = { 0 };

	zk_buf_init(&b, 65536);
	if (t->drawn)
		zk_buf_printf(&b, "\033[%dA", LINES);
	/* Lines that do not fit are cut, not folded. */
	zk_buf_lit(&b, "\033[?7l");
	if (t->err.code)
		zk_buf_printf(&b, "%s  no answer: %s", t->o->trig.url, t->err.msg);
	else
		zk_buf_printf(&b, "%s  %s  zk %s  up %llu:%02llu:%02llu", t->o->trig.url,
		              t->status, t->version,
		              (unsigned long long)(t->uptime_s / 3600),
		              (unsigned long long)(t->uptime_s / 60 % 60),
		              (unsigned long long)(t->uptime_s % 60));
	line_end(&b);
	draw_figures(&b, t);
	zk_buf_lit(&b, "\033[?7h");
	t->drawn = true;
	return zk_print(zk_buf_str(&b), err);
}

/* ---- again and again ---------------------------------------------------------------------- */

static void on_tick(void *ctx)
{
	struct top *t = ctx;

	t->tick = true;
}

static void on_drain(void *ctx)
{
	struct top *t = ctx;

	t->stopping = t->tick = true;
	zk_send_end_all(t->s.client.net, ZK_E_INTERRUPTED);
	zk_stop_drained(t->stop);
}

static void on_flush(void *ctx, bool expired)
{
	struct top *t = ctx;

	(void)expired;
	zk_stop_done(t->stop);
}

static int show(struct top *t, struct zk_error *err)
{
	struct zk_error why = { 0 };
	bool was_down = t->err.code != 0;
	int r = sample(t, &why);

	if (r < 0 && (t->o->once || !why.retryable)) {
		*err = why;
		return t->stopping ? 0 : r;
	}
	t->err = r < 0 ? why : (struct zk_error){ 0 };
	if (t->stopping)
		return 0;
	if (!t->out)
		r = draw(t, err);
	else if (r < 0 && !was_down)
		zk_say("no answer: %s", why.msg), r = 0;
	else
		r = r < 0 ? 0 : print_row(t, err);
	t->has_old = t->err.code == 0;
	return r;
}

static int loop(struct top *t, struct zk_error *err)
{
	int r = show(t, err);

	while (r == 0 && !t->o->once && !t->stopping &&
	       !(t->out && zk_out_closed(t->out))) {
		t->tick = false;
		zk_timer_start(t->timer, t->o->interval_ms, 0);
		zk_loop_until(t->loop, &t->tick);
		if (!t->stopping)
			r = show(t, err);
	}
	return r;
}

static int start(struct top *t, struct zk_app *app, struct zk_error *err)
{
	static const struct zk_out_shape stream = { .kind = ZK_OUT_STREAM,
		                                    .cols = cols,
		                                    .n_cols = ZK_ARRAY_LEN(cols) };
	static const struct zk_out_shape one = { .kind = ZK_OUT_ONE,
		                                 .cols = cols,
		                                 .n_cols = ZK_ARRAY_LEN(cols) };
	const struct zk_output_opts *o = &app->output;
	struct zk_stop_conf stop = { .ctx = t, .drain = on_drain, .flush = on_flush };
	bool live = !t->o->once && isatty(STDOUT_FILENO) == 1 && !o->fields && !o->jq &&
	            !o->format && (o->output == ZK_OUT_AUTO || o->output == ZK_OUT_TABLE);

	t->loop = zk_app_loop(app, err);
	t->out = live || !t->loop ? NULL : zk_app_out(app, err);
	if (!t->loop ||
	    (!live &&
	     (!t->out || zk_out_begin(t->out, t->o->once ? &one : &stream, err) < 0)))
		return -(int)err->code;
	t->stop = zk_app_stop(app, &stop, err);
	if (!t->stop)
		return -(int)err->code;
	t->timer = zk_timer_new(t->loop, on_tick, t);
	return 0;
}

static int top_run(struct zk_app *app, void *opts, int argc, char **argv,
                   struct zk_error *err)
{
	struct top *t = zk_new0(struct top);

	(void)argc;
	(void)argv;
	t->o = opts;
	int r = trig_open(app, &t->o->trig, /* need_key */ false, &t->s, err);

	if (r == 0)
		r = start(t, app, err);
	if (r == 0)
		r = loop(t, err);
	if (r == 0 && t->out)
		r = zk_out_end(t->out, err);
	if (t->timer)
		zk_timer_free(t->timer);
	trig_close(&t->s);
	free(t);
	return r;
}

static const struct zk_opt top_rows[] = {
	TRIG_CLIENT_ROWS,
	{ .type = ZK_OPT_BOOL,
	  .name = "once",
	  .flags = ZK_OPT_NO_CONF,
	  .off = offsetof(struct top_opts, once),
	  .help = "one reading, without rates" },
	{ .type = ZK_OPT_DURATION,
	  .name = "interval",
	  .meta = "D",
	  .def = "1s",
	  .min = 100,
	  .max = 3600000,
	  .flags = ZK_OPT_NO_CONF,
	  .off = offsetof(struct top_opts, interval_ms),
	  .help = "time between two readings" },
	ZK_OPT_END,
};

const struct zk_cmd zk_cmd_triggers_top = {
	.path = "triggers top",
	.help = "live view of a server",
	.about = "Rates, latency, queues and failing webhooks, from /metrics and "
	         "/api/health/detailed; redrawn in place on a terminal, a row per "
	         "interval everywhere else. Rates and quantiles are those of the "
	         "interval; with --once the quantiles are those since the start.",
	.examples = "zk triggers top\n"
	            "zk triggers top --once -o json --jq .due",
	.output = "one row per reading",
	.exits = "0 · 75 no answer",
	.see = "man zk-triggers · man zk-metrics",
	.groups = ZK_OPTS_OUTPUT | TRIG_GROUPS,
	.opts = top_rows,
	.opts_size = sizeof(struct top_opts),
	.conf = "triggers",
	.flags = ZK_CMD_READER,
	.run = top_run,
};
