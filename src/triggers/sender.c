/* Sends many events in batches, in order, one request at a time.
 * Layer: triggers. specs/triggers.md §14.1, §5.6, §7. */
#include "triggers/sender.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "codec/jscan.h"
#include "rt/loop.h"

#include "base/ban.h"

#define MAX_BATCH     500
#define BATCHES_AHEAD 4
#define MAX_DEPTH     128
/* A server that was found dead is asked again after so long; until then records are UNSENT at
 * once, so that a dead server does not hold up a pipe for the whole retry time again and again. */
#define COOL_DOWN_MS 5000

struct zk_trig_sender {
	struct zk_loop *loop;
	struct zk_trig_sender_conf conf;
	struct zk_list waiting; /* records */
	struct zk_list flying;  /* the batch under way, in order */
	size_t n_waiting, waiting_bytes, n_flying;
	size_t batch_events; /* smaller than asked when the server's limits say so */
	size_t split; /* not 0: the next batch is a part of one that was refused as a whole */
	unsigned attempts; /* of the batch under way */
	struct zk_send *send;
	struct zk_timer *linger;
	bool flush, paused, pumping;
	int64_t down_until_ms;
	struct zk_error down;
};

struct zk_trig_record *zk_trig_record_new(zk_str text)
{
	struct zk_trig_record *r = zk_alloc(sizeof(*r) + text.n + 1);

	memset(r, 0, sizeof(*r));
	zk_list_init(&r->entry);
	r->n = text.n;
	memcpy(r->text, text.p ? text.p : "", text.n);
	r->text[text.n] = '\0';
	return r;
}

static void answer_list(struct zk_trig_sender *s, struct zk_list *list,
                        const struct zk_trig_answer *a)
{
	struct zk_list *e;

	while ((e = zk_list_pop(list)) != NULL)
		s->conf.on_answer(s->conf.ctx,
		                  ZK_LIST_ENTRY(e, struct zk_trig_record, entry), a);
}

static void set_pause(struct zk_trig_sender *s)
{
	size_t events = s->conf.batch_events * BATCHES_AHEAD;
	size_t bytes = s->conf.batch_bytes * BATCHES_AHEAD;
	bool full = s->n_waiting >= events || s->waiting_bytes >= bytes;
	bool low = s->n_waiting < events / 2 && s->waiting_bytes < bytes / 2;

	if (!s->paused && full) {
		s->paused = true;
		s->conf.on_pause(s->conf.ctx, true);
	} else if (s->paused && low) {
		s->paused = false;
		s->conf.on_pause(s->conf.ctx, false);
	}
}

/* ---- answers ------------------------------------------------------------------------------ */

static enum zk_trig_sent what_of(int status)
{
	if (status >= 200 && status < 300)
		return ZK_TRIG_SENT;
	if (status == 409)
		return ZK_TRIG_DUPLICATE;
	return ZK_TRIG_REJECTED;
}

static void answer_one(struct zk_trig_sender *s, zk_str result)
{
	struct zk_jval v;
	uint64_t status = 0;
	zk_str id = ZK_STR_NULL;
	struct zk_list *e = zk_list_pop(&s->flying);

	if (!e)
		return;
	if (zk_jscan_get(result, ZK_STR("status"), &v) && v.type == ZK_J_NUMBER)
		(void)zk_jnum_u64(v.raw, &status);
	if (zk_jscan_get(result, ZK_STR("id"), &v) && v.type == ZK_J_STRING)
		(void)zk_jstr_plain(v.raw, &id);
	struct zk_trig_answer a = { .what = what_of((int)status),
		                    .status = (int)status,
		                    .attempts = s->attempts,
		                    .id = id,
		                    .reason = result };

	s->conf.on_answer(s->conf.ctx, ZK_LIST_ENTRY(e, struct zk_trig_record, entry),
	                  &a);
}

/* The `results` of a batch; false when the answer is not one. */
static bool answer_batch(struct zk_trig_sender *s, zk_str body)
{
	struct zk_jwant want[] = { { .name = ZK_STR_INIT("results") } };
	struct zk_jscan js;
	struct zk_jiter it;
	struct zk_jval v;
	size_t n = 0;

	if (zk_jscan(body, MAX_DEPTH, want, 1, &js) < 0 || want[0].val.type != ZK_J_ARRAY)
		return false;
	zk_jiter_init(&it, want[0].val.raw);
	while (zk_jiter_element(&it, &v))
		n++;
	if (n != s->n_flying)
		return false;
	zk_jiter_init(&it, want[0].val.raw);
	while (zk_jiter_element(&it, &v))
		answer_one(s, v.raw);
	return true;
}

/* The batch goes back to the front, to be sent in smaller pieces. */
static void requeue(struct zk_trig_sender *s)
{
	while (!zk_list_is_empty(&s->flying)) {
		struct zk_list *e = s->flying.prev;
		struct zk_trig_record *r = ZK_LIST_ENTRY(e, struct zk_trig_record, entry);

		zk_list_remove(e);
		zk_list_push_front(&s->waiting, e);
		s->n_waiting++;
		s->waiting_bytes += r->n;
	}
}

static void batch_failed(struct zk_trig_sender *s, const struct zk_http_res *res,
                         struct zk_error *err)
{
	/* These are about the events; everything else is about the server or the key. */
	bool about_events = err->http_status == 400 || err->http_status == 413 ||
	                    err->http_status == 422;

	if (about_events && s->n_flying > 1) {
		s->split = s->n_flying / 2;
		if (err->http_status == 413)
			s->batch_events = s->split;
		requeue(s);
		return;
	}
	zk_trig_explain(s->conf.client, res->body, err);
	struct zk_trig_answer a = { .what = ZK_TRIG_UNSENT,
		                    .status = err->http_status,
		                    .attempts = s->attempts,
		                    .err = err };

	if (about_events) {
		a.what = ZK_TRIG_REJECTED;
		a.reason = res->body;
	} else {
		s->down = *err;
		s->down_until_ms = zk_loop_now_ms(s->loop) + COOL_DOWN_MS;
	}
	answer_list(s, &s->flying, &a);
}

static void pump(struct zk_trig_sender *s);

static void on_done(void *ctx, const struct zk_http_res *res, struct zk_error *err)
{
	struct zk_trig_sender *s = ctx;
	struct zk_error bad = { 0 };

	s->send = NULL;
	s->pumping = true;
	s->split = 0;
	if (!err && !answer_batch(s, res->body)) {
		(void)zk_fail(&bad, ZK_E_PROTOCOL,
		              "the server's answer to a batch cannot be read");
		err = &bad;
	}
	if (err)
		batch_failed(s, res, err);
	s->n_flying = 0;
	s->pumping = false;
	pump(s);
}

/* ---- sending ------------------------------------------------------------------------------ */

static void take(struct zk_trig_sender *s, struct zk_buf *body, bool *repeatable)
{
	size_t most = s->split ? s->split : s->batch_events;

	*repeatable = true;
	while (s->n_waiting && s->n_flying < most) {
		struct zk_list *e = s->waiting.next;
		struct zk_trig_record *r = ZK_LIST_ENTRY(e, struct zk_trig_record, entry);

		if (s->n_flying && body->n + r->n + 1 > s->conf.batch_bytes)
			break;
		zk_list_remove(e);
		zk_list_push(&s->flying, e);
		s->n_flying++;
		s->n_waiting--;
		s->waiting_bytes -= r->n;
		zk_buf_put(body, r->text, r->n);
		zk_buf_char(body, '\n');
		*repeatable = *repeatable && r->dedup.n > 0;
	}
}

static void on_retry(void *ctx, unsigned retry, unsigned max, int64_t wait_ms,
                     const struct zk_error *err)
{
	struct zk_trig_sender *s = ctx;

	s->attempts++;
	if (s->conf.on_retry)
		s->conf.on_retry(s->conf.ctx, retry, max, wait_ms, err);
}

static void send_batch(struct zk_trig_sender *s)
{
	struct zk_buf body ZK_CLEANUP(zk_buf_done);
	struct zk_error err = { 0 };
	bool repeatable;

	zk_buf_init(&body, SIZE_MAX / 2);
	take(s, &body, &repeatable);
	struct zk_trig_request rq = {
		.method = "POST",
		.path = "/api/events/batch",
		.body = zk_buf_str(&body),
		.content_type = "application/x-ndjson",
		.repeatable = repeatable,
		.on_retry = on_retry,
	};

	s->attempts = 1;
	if (zk_trig_start(s->conf.client, &rq, on_done, s, &s->send, &err) < 0) {
		struct zk_trig_answer a = { .what = ZK_TRIG_UNSENT, .err = &err };

		answer_list(s, &s->flying, &a);
		s->n_flying = 0;
	}
}

static void give_up_waiting(struct zk_trig_sender *s, const struct zk_error *err)
{
	struct zk_trig_answer a = { .what = ZK_TRIG_UNSENT, .err = err };

	answer_list(s, &s->waiting, &a);
	s->n_waiting = 0;
	s->waiting_bytes = 0;
}

static void pump(struct zk_trig_sender *s)
{
	if (s->pumping)
		return;
	s->pumping = true;
	if (s->n_waiting && s->down_until_ms > zk_loop_now_ms(s->loop))
		give_up_waiting(s, &s->down);
	bool full = s->split || s->n_waiting >= s->batch_events ||
	            s->waiting_bytes >= s->conf.batch_bytes;

	if (!s->send && s->n_waiting && (full || s->flush)) {
		zk_timer_stop(s->linger);
		send_batch(s);
	} else if (!s->send && s->n_waiting && !zk_timer_is_active(s->linger)) {
		zk_timer_start(s->linger, s->conf.linger_ms, 0);
	}
	set_pause(s);
	s->pumping = false;
	if (!s->send && !s->n_waiting)
		s->conf.on_idle(s->conf.ctx);
}

static void on_linger(void *ctx)
{
	struct zk_trig_sender *s = ctx;
	bool flush = s->flush;

	s->flush = true;
	pump(s);
	s->flush = flush;
}

struct zk_trig_sender *zk_trig_sender_new(struct zk_loop *l,
                                          const struct zk_trig_sender_conf *conf)
{
	struct zk_trig_sender *s = zk_new0(struct zk_trig_sender);

	s->loop = l;
	s->conf = *conf;
	s->conf.batch_events =
	        ZK_MIN(ZK_MAX(conf->batch_events, (size_t)1), (size_t)MAX_BATCH);
	s->batch_events = s->conf.batch_events;
	zk_list_init(&s->waiting);
	zk_list_init(&s->flying);
	s->linger = zk_timer_new(l, on_linger, s);
	return s;
}

void zk_trig_sender_push(struct zk_trig_sender *s, struct zk_trig_record *rec)
{
	rec->start_ms = zk_loop_now_ms(s->loop);
	zk_list_push(&s->waiting, &rec->entry);
	s->n_waiting++;
	s->waiting_bytes += rec->n;
	pump(s);
}

void zk_trig_sender_flush(struct zk_trig_sender *s)
{
	s->flush = true;
	pump(s);
}

void zk_trig_sender_abort(struct zk_trig_sender *s, const struct zk_error *err)
{
	struct zk_trig_answer a = { .what = ZK_TRIG_UNSENT, .err = err };

	if (s->send)
		zk_send_cancel(ZK_TAKE(s->send));
	s->pumping = true;
	answer_list(s, &s->flying, &a);
	s->n_flying = 0;
	give_up_waiting(s, err);
	s->pumping = false;
}

size_t zk_trig_sender_waiting(const struct zk_trig_sender *s)
{
	return s->n_waiting + s->n_flying;
}

void zk_trig_sender_free(struct zk_trig_sender *s)
{
	struct zk_error err = { 0 };

	if (!s)
		return;
	if (zk_trig_sender_waiting(s)) {
		(void)zk_fail(&err, ZK_E_INTERRUPTED, "sending was cut short");
		zk_trig_sender_abort(s, &err);
	}
	zk_timer_free(s->linger);
	free(s);
}
