/* Sends events over a socket.
 * Layer: cmd. */
#include "cmd/events_send.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "rt/loop.h"
#include "rt/progress.h"
#include "rt/queue.h"
#include "rt/status.h"
#include "rt/stop.h"
#define ZK_LOGGER "events"
#include "base/log.h"

#include "base/ban.h"

#define HIGH_ITEMS  1000
#define HIGH_BYTES  ((size_t)8 << 20)
#define UNSENT_HIGH ((size_t)4 << 20)
#define POLL_MS     5 /* while the system takes nothing */
#define TRIES       5 /* §1.2: connections of a one-shot */

struct parcel {
	struct zk_item item;
	uint64_t line;
	size_t name_n, json_n, attachment_n;
	bool acked, has_attachment;
	char bytes[];
};

struct events_send {
	struct zk_app *app;
	struct events_send_conf conf;
	struct events events;
	struct zk_loop *loop;
	struct zk_stop *stop;
	struct zk_zip_live *live;
	struct zk_progress *progress;
	struct zk_queue queue;
	struct zk_timer *timer;  /* of the next try to send */
	struct zk_timer *silent; /* no acknowledgement for so long */
	double rate;
	int64_t rate_from_ms;
	uint64_t rate_n; /* sent since then */
	uint64_t read, emitted, open, acked, refused, rejected, unknown;
	struct zk_error err;
	bool full, ended, closing, stopping, over;
};

/* ---- the end ------------------------------------------------------------------------------- */

static void finish(struct events_send *s)
{
	if (s->over)
		return;
	s->over = true;
	if (s->stopping)
		zk_stop_drained(s->stop);
	else
		zk_stop_begin(s->stop);
}

static void close_live(struct events_send *s)
{
	if (s->closing)
		return;
	s->closing = true;
	zk_timer_stop(s->timer);
	zk_timer_stop(s->silent);
	zk_zip_live_close(s->live);
}

static void fail(struct events_send *s, const struct zk_error *err)
{
	if (!s->err.code)
		s->err = *err;
	close_live(s);
}

void events_send_fail(struct events_send *s, const struct zk_error *err)
{
	fail(s, err);
}

static bool is_settled(const struct events_send *s)
{
	return s->ended && !s->queue.items && (!s->open || !s->conf.wait) &&
	       zk_zip_live_unsent(s->live) == 0;
}

/* ---- sending ------------------------------------------------------------------------------- */

static int64_t wait_for_rate(struct events_send *s)
{
	int64_t now = zk_loop_now_ms(s->loop), due;

	if (s->rate <= 0)
		return 0;
	if (!s->rate_n)
		s->rate_from_ms = now;
	due = s->rate_from_ms + (int64_t)((double)s->rate_n * 1000.0 / s->rate);
	/* After a pause it does not make up for what was not sent. */
	if (due < now - 1000) {
		s->rate_n = 0;
		return 0;
	}
	return ZK_MAX(due - now, (int64_t)0);
}

/* Milliseconds until the next one may go; -1 = something else has to happen first. */
static int64_t may_send(struct events_send *s, const struct parcel *p)
{
	if (zk_zip_live_state(s->live) != ZK_ZIP_LIVE)
		return -1;
	if (p->acked && s->open >= s->conf.window)
		return -1;
	if (zk_zip_live_unsent(s->live) > UNSENT_HIGH)
		return POLL_MS;
	return wait_for_rate(s);
}

static int64_t silence_ms(const struct events_send *s)
{
	int64_t ms = s->app->http.request_timeout_ms;

	return ms > 0 ? ms : 30000;
}

static void sent(struct events_send *s, const struct parcel *p)
{
	s->emitted++;
	s->rate_n++;
	if (!p->acked)
		return;
	if (s->open++ == 0)
		zk_timer_start(s->silent, silence_ms(s), 0);
}

static void reject(struct events_send *s, uint64_t line, const struct zk_error *err)
{
	struct zk_buf b ZK_CLEANUP(zk_buf_done);

	s->rejected++;
	zk_buf_init(&b, 4096);
	zk_buf_printf(&b, "\"line\":%llu,\"code\":\"ZK%04d\",\"message\":",
	              (unsigned long long)line, (int)err->code);
	zk_buf_json_str(&b, zk_str_of(err->msg));
	zk_status_event(zk_app_status(s->app), "reject", zk_buf_str(&b));
	zk_warn("a record was rejected", "line=%llu reason=%s", (unsigned long long)line,
	        err->msg);
}

void events_send_reject(struct events_send *s, uint64_t line, const struct zk_error *err)
{
	s->read++;
	reject(s, line, err);
}

/* False when it has to wait after all. */
static bool send(struct events_send *s, const struct parcel *p)
{
	const char *json = p->bytes + p->name_n;
	zk_str attachment = zk_str_n(json + p->json_n, p->attachment_n);
	struct zk_error err = { 0 };

	if (zk_zip_live_emit(s->live, zk_str_n(p->bytes, p->name_n),
	                     zk_str_n(json, p->json_n), &attachment,
	                     p->has_attachment ? 1 : 0, &err) == 0) {
		sent(s, p);
		return true;
	}
	if (err.code != ZK_E_LIMIT)
		return false;
	reject(s, p->line, &err);
	return true;
}

static void show(struct events_send *s)
{
	zk_progress_set(s->progress, s->acked + s->refused + s->rejected, 0);
}

static void pump(struct events_send *s)
{
	struct zk_item *item;
	int64_t wait;

	zk_timer_stop(s->timer);
	while (!s->closing && (item = zk_queue_peek(&s->queue)) != NULL) {
		struct parcel *p = ZK_CONTAINER_OF(item, struct parcel, item);

		wait = may_send(s, p);
		if (wait > 0)
			zk_timer_start(s->timer, wait, 0);
		if (wait != 0 || !send(s, p))
			break;
		(void)zk_queue_pop(&s->queue);
		free(p);
	}
	show(s);
	if (is_settled(s))
		close_live(s);
	else if (s->ended && !s->queue.items && !s->conf.wait && !s->closing)
		zk_timer_start(s->timer, POLL_MS, 0);
}

static void on_timer(void *ctx)
{
	pump(ctx);
}

static void on_silent(void *ctx)
{
	struct events_send *s = ctx;
	struct zk_error err = { 0 };

	ZK_IGNORE(zk_fail(&err, ZK_E_UNKNOWN_OUTCOME,
	                  "%llu events were not acknowledged within %lld ms",
	                  (unsigned long long)s->open, (long long)silence_ms(s)) < 0);
	s->unknown += s->open;
	s->open = 0;
	fail(s, &err);
}

bool events_send_push(struct events_send *s, const struct events_message *m)
{
	size_t n = m->name.n + m->json.n + m->attachment.n;
	struct parcel *p = zk_alloc(sizeof(*p) + n);
	char *to = p->bytes;

	*p = (struct parcel){ .item = { .bytes = n },
		              .line = m->line,
		              .name_n = m->name.n,
		              .json_n = m->json.n,
		              .attachment_n = m->attachment.n,
		              .acked = m->acked,
		              .has_attachment = m->attachment.p != NULL };
	if (m->name.p)
		memcpy(to, m->name.p, m->name.n);
	if (m->json.p)
		memcpy(to + m->name.n, m->json.p, m->json.n);
	if (p->has_attachment && m->attachment.n)
		memcpy(to + m->name.n + m->json.n, m->attachment.p, m->attachment.n);
	s->read++;
	s->full = zk_queue_push(&s->queue, &p->item) == ZK_PUSHED_HIGH || s->full;
	pump(s);
	return !s->full;
}

static void on_queue_items(void *ctx)
{
	(void)ctx;
}

static void on_queue_room(void *ctx)
{
	struct events_send *s = ctx;

	if (!s->full)
		return;
	s->full = false;
	if (s->conf.on_room && !s->closing)
		s->conf.on_room(s->conf.ctx);
}

void events_send_end(struct events_send *s)
{
	s->ended = true;
	pump(s);
}

/* ---- what the server says ------------------------------------------------------------------- */

static void settle(struct events_send *s, uint64_t *counter)
{
	if (!s->open)
		return;
	s->open--;
	(*counter)++;
	if (s->open)
		zk_timer_start(s->silent, silence_ms(s), 0);
	else
		zk_timer_stop(s->silent);
	pump(s);
}

static void on_event(void *ctx, struct zk_zip_live *live,
                     const struct zk_zip_live_event *ev)
{
	struct events_send *s = ctx;

	(void)live;
	if (zk_str_eq(ev->name, ZK_STR("event.acknowledged")) ||
	    zk_str_eq(ev->name, ZK_STR("update.acknowledged"))) {
		settle(s, &s->acked);
	} else if (zk_str_eq(ev->name, ZK_STR("error"))) {
		zk_warn("the server refused an event", "error=%.*s",
		        ZK_STR_ARG(ev->json.raw));
		settle(s, &s->refused);
	}
}

static void on_live(void *ctx, struct zk_zip_live *live,
                    const struct zk_zip_live_gap *gap)
{
	struct events_send *s = ctx;

	(void)live;
	(void)gap;
	if (s->conf.on_live)
		s->conf.on_live(s->conf.ctx);
	pump(s);
}

/* What was on its way may have arrived or not; it is not sent twice. */
static void on_drop(void *ctx, struct zk_zip_live *live, const struct zk_error *err,
                    int64_t wait_ms)
{
	struct events_send *s = ctx;

	(void)live;
	zk_timer_stop(s->silent);
	s->unknown += s->open;
	s->open = 0;
	events_say_drop(&s->events, err, wait_ms);
}

static void on_deaf(void *ctx, struct zk_zip_live *live)
{
	struct events_send *s = ctx;

	(void)live;
	events_remember_deaf(&s->events);
}

static void on_end(void *ctx, struct zk_zip_live *live, const struct zk_error *err)
{
	struct events_send *s = ctx;

	(void)live;
	if (err && !s->err.code && !s->closing)
		s->err = *err;
	s->closing = true;
	finish(s);
}

/* ---- stop ---------------------------------------------------------------------------------- */

static void on_drain(void *ctx)
{
	struct events_send *s = ctx;

	s->stopping = true;
	if (s->over) {
		zk_stop_drained(s->stop);
		return;
	}
	if (s->conf.on_stop)
		s->conf.on_stop(s->conf.ctx);
	else
		events_send_end(s);
}

static void on_flush(void *ctx, bool expired)
{
	struct events_send *s = ctx;

	if (expired && !s->err.code)
		ZK_IGNORE(zk_fail(&s->err, ZK_E_TIMEOUT,
		                  "%zu events could not be sent in time",
		                  s->queue.items) < 0);
	zk_stop_done(s->stop);
}

static void free_parcel(struct zk_item *item)
{
	free(ZK_CONTAINER_OF(item, struct parcel, item));
}

/* ---- life ---------------------------------------------------------------------------------- */

int events_send_new(struct zk_app *app, const struct events_send_conf *conf,
                    struct events_send **ret, struct zk_error *err)
{
	struct events_send *s = zk_new0(struct events_send);
	struct zk_stop_conf stop = { .ctx = s, .drain = on_drain, .flush = on_flush };
	struct zk_queue_conf queue = { .ctx = s,
		                       .on_items = on_queue_items,
		                       .on_room = on_queue_room,
		                       .high_items = HIGH_ITEMS,
		                       .high_bytes = HIGH_BYTES };
	struct zk_progress_conf progress = { .mode = app->common.progress,
		                             .quiet = app->common.quiet,
		                             .verbose = app->common.verbose > 0,
		                             .title = "events",
		                             .unit = conf->unit,
		                             .status = zk_app_status(app) };

	*ret = s;
	s->app = app;
	s->conf = *conf;
	s->loop = zk_app_loop(app, err);
	if (!s->loop ||
	    (conf->rated && zeal_parse_rate(conf->opts->zeal.rate, &s->rate, err) < 0))
		return -(int)err->code;
	queue.loop = s->loop;
	zk_queue_init(&s->queue, &queue);
	s->timer = zk_timer_new(s->loop, on_timer, s);
	s->silent = zk_timer_new(s->loop, on_silent, s);
	if (events_one_workflow(conf->opts, err) < 0 ||
	    events_open(app, conf->opts, TRIES, /* client */ false, &s->events, err) < 0)
		return -(int)err->code;
	s->stop = zk_app_stop(app, &stop, err);
	if (!s->stop)
		return -(int)err->code;
	s->progress = zk_progress_new(s->loop, &progress);
	s->events.conf.ctx = s;
	s->events.conf.on_event = on_event;
	s->events.conf.on_live = on_live;
	s->events.conf.on_drop = on_drop;
	s->events.conf.on_deaf = on_deaf;
	s->events.conf.on_end = on_end;
	s->live = zk_zip_live_new(&s->events.conf);
	return 0;
}

void events_send_free(struct events_send *s)
{
	if (!s)
		return;
	zk_zip_live_free(s->live);
	zk_progress_free(s->progress);
	if (s->queue.conf.loop)
		zk_queue_done(&s->queue, free_parcel);
	zk_timer_free(s->timer);
	zk_timer_free(s->silent);
	events_close(&s->events);
	free(s);
}

static int outcome(struct events_send *s, struct zk_error *err)
{
	if (s->err.code) {
		*err = s->err;
		return -(int)err->code;
	}
	if (s->unknown)
		return zk_fail(err, ZK_E_UNKNOWN_OUTCOME,
		               "whether the server has %llu of the events is not known",
		               (unsigned long long)s->unknown);
	if (s->refused && s->refused + s->rejected == s->read)
		return ZK_EXIT_REFUSED;
	return s->refused + s->rejected ? ZK_EXIT_PARTIAL : ZK_EXIT_OK;
}

int events_send_run(struct events_send *s, struct zk_error *err)
{
	char text[120];
	struct zk_summary sum = { .title = "events", .text = text };
	int r;

	zk_loop_run(s->loop);
	r = outcome(s, err);
	(void)snprintf(text, sizeof(text), "%llu %s sent, %llu acknowledged",
	               (unsigned long long)s->emitted, s->conf.unit,
	               (unsigned long long)s->acked);
	sum.sums.read = s->read;
	sum.sums.acked = s->conf.wait ? s->acked : s->emitted - s->refused - s->unknown;
	sum.sums.rejected = s->refused + s->rejected;
	sum.sums.skipped = s->read - sum.sums.acked - sum.sums.rejected;
	sum.sums.acked_word = s->conf.wait ? "acknowledged" : "sent";
	sum.exit = r < 0 ? (int)zk_code_exit(-r) : r;
	zk_progress_summary(s->progress, &sum);
	return r;
}
