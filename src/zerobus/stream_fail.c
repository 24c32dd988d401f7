/* What a stream does after a failure: retry, a fresh token, the search for refused rows, death.
 * Layer: zerobus. specs/zerobus.md §8.3, §9, §14.2. */
#include <ctype.h>
#include <string.h>

#include "base/clock.h"
#include "zerobus/request.h"
#include "zerobus/stream_int.h"

#include "base/ban.h"

#define FULL_BASE_MS      2000
#define PIPELINE_MS       60000
#define PIPELINE_EXTRA_MS 30000
#define YOUNG_MS          60000 /* a token younger than this is not the reason */
#define ISOLATE_EVERY_MS  250   /* at most four openings a second */
#define SYSTEMATIC        8
#define FULL_TRIES        3

/* ---- retries ---- */

static void used_up(struct zk_zb_stream *s, const struct zk_zb_failure *f)
{
	struct zk_error err = f->err;

	err.code = ZK_E_ZB_RETRIES;
	err.retryable = false;
	(void)zk_wrap(&err, "gave up after %u attempts in %.1f s", s->failures,
	              (double)(zk_mono_ms() - s->retry.start_ms) / 1000);
	zk_zb_die(s, &err, ZK_H2_CANCEL);
}

/* How long to wait; -1 = no more attempts. */
static int64_t next_wait(struct zk_zb_stream *s, const struct zk_zb_failure *f)
{
	int64_t now = zk_mono_ms(), wait;

	if (!s->failures)
		zk_retry_init(&s->retry, &s->retry_conf, now);
	s->failures++;
	if (f->pushback_ms == -2)
		return -1;
	s->retry.conf.base_ms = s->retry_conf.base_ms;
	if (f->why == ZK_ZB_WHY_STATUS && f->status == ZK_GRPC_RESOURCE_EXHAUSTED)
		s->retry.conf.base_ms = FULL_BASE_MS;
	wait = zk_retry_next(&s->retry, now, 0, s->conf.rnd);
	if (wait < 0)
		return -1;
	if (f->no_pipelines)
		wait = PIPELINE_MS +
		       (int64_t)zk_rand_below(s->conf.rnd, PIPELINE_EXTRA_MS + 1);
	return ZK_MAX(wait, f->pushback_ms);
}

void zk_zb_again(struct zk_zb_stream *s, const struct zk_zb_failure *f)
{
	int64_t wait = next_wait(s, f);
	struct zk_zb_retrying r = { .attempt = s->failures + 1,
		                    .of = (unsigned)s->retry_conf.max_retries + 1,
		                    .wait_ms = wait,
		                    .why = f->why,
		                    .status = f->status,
		                    .err = &f->err };

	if (wait < 0) {
		used_up(s, f);
		return;
	}
	/* While the end is near a pause is a waste (§7). */
	zk_zb_go(s, ZK_ZB_BACKOFF, wait);
	s->conf.ops->on_retry(s->conf.ctx, &r);
}

/* ---- rotation ---- */

void zk_zb_rotate(struct zk_zb_stream *s)
{
	struct zk_zb_failure f = { .why = s->rotation, .pushback_ms = -1 };
	struct zk_zb_retrying r = { .why = s->rotation, .err = &f.err };

	(void)zk_fail(&f.err, ZK_E_ZB_STREAM,
	              "the service closed the stream without acknowledging the rest");
	s->drained_in_vain = s->acked_here ? 0 : s->drained_in_vain + 1;
	if (s->drained_in_vain >= 2) {
		zk_zb_again(s, &f);
		return;
	}
	s->conf.ops->on_retry(s->conf.ctx, &r);
	zk_zb_begin(s, false);
}

/* ---- refused rows ---- */

static void reopen_search(struct zk_zb_stream *s)
{
	int64_t now = zk_mono_ms();
	int64_t wait = s->opened_ms ? s->opened_ms + ISOLATE_EVERY_MS - now : 0;

	wait = ZK_MAX(wait, (int64_t)0);
	s->opened_ms = now + wait;
	s->fresh_next = false;
	if (wait)
		zk_zb_go(s, ZK_ZB_BACKOFF, wait);
	else
		zk_zb_begin(s, false);
}

static bool is_systematic(const struct zk_zb_stream *s)
{
	return s->isolate_rejected >= SYSTEMATIC && !s->isolate_acked;
}

static void systematic(struct zk_zb_stream *s, const struct zk_error *why)
{
	struct zk_error err = *why;

	err.code = ZK_E_ZB_ERRORS;
	(void)zk_wrap(&err, "the first %u rows were all refused", SYSTEMATIC);
	(void)zk_err_hint(&err,
	                  "compare the schema with the table: zk zerobus table -t %.*s",
	                  ZK_STR_ARG(s->conf.table));
	zk_zb_die(s, &err, ZK_H2_CANCEL);
}

/* The one request that was under way is refused. */
static void refused_alone(struct zk_zb_stream *s, const struct zk_error *err)
{
	struct zk_zb_request *r = zk_zb_window_take_first(&s->w), *a, *b;

	if (r->rows > 1) {
		zk_zb_request_split(r, &a, &b);
		zk_zb_window_push_front(&s->w, b);
		zk_zb_window_push_front(&s->w, a);
		s->isolate_left++;
		reopen_search(s);
		return;
	}
	s->isolate_left--;
	s->isolate_rejected++;
	s->conf.ops->on_rejected(s->conf.ctx, r, err, /* suspect */ false);
	if (s->state == ZK_ZB_DEAD)
		return; /* the owner had enough */
	if (is_systematic(s))
		systematic(s, err);
	else if (s->w.n)
		reopen_search(s);
	else
		zk_zb_rest(s);
}

/* Without the search all are under suspicion. */
static void suspect_all(struct zk_zb_stream *s, const struct zk_error *err)
{
	struct zk_zb_request *r;
	struct zk_error why = *err;

	while ((r = zk_zb_window_take_first(&s->w)) != NULL)
		s->conf.ops->on_rejected(s->conf.ctx, r, err, /* suspect */ true);
	why.code = ZK_E_ZB_ERRORS;
	zk_zb_die(s, &why, ZK_H2_CANCEL);
}

static void refused(struct zk_zb_stream *s, const struct zk_error *err)
{
	const struct zk_zb_request *first = zk_zb_window_first(&s->w);

	if (!s->conf.isolate) {
		suspect_all(s, err);
	} else if (s->isolate_left && first->started) {
		refused_alone(s, err);
	} else {
		if (!s->isolate_left) {
			s->isolate_left = s->w.n;
			s->isolate_acked = s->isolate_rejected = 0;
		}
		/* One request: it was alone under way already. */
		if (s->w.n == 1 && first->started)
			refused_alone(s, err);
		else
			reopen_search(s);
	}
}

/* §9.2: the same large first message meets RESOURCE_EXHAUSTED again and again. */
static bool is_poison_by_size(struct zk_zb_stream *s, const struct zk_grpc_end *end)
{
	const struct zk_zb_request *first = zk_zb_window_first(&s->w);

	if (end->code != ZK_GRPC_RESOURCE_EXHAUSTED || end->from != ZK_GRPC_FROM_STATUS ||
	    !first->started || first->n <= ZK_ZB_OLD_MAX_RECORD) {
		s->full_in_a_row = 0;
		return false;
	}
	if (s->full_first != first)
		s->full_in_a_row = 0;
	s->full_first = first;
	return ++s->full_in_a_row >= FULL_TRIES && s->conf.isolate;
}

/* ---- classes ---- */

static bool is_refused_token(const struct zk_grpc_end *end)
{
	return !end->is_proxy_auth && (end->code == ZK_GRPC_UNAUTHENTICATED ||
	                               end->code == ZK_GRPC_PERMISSION_DENIED);
}

/* One fresh token, not counted; then it is final unless the token is old again. */
static void bad_token(struct zk_zb_stream *s, const struct zk_error *err)
{
	struct zk_zb_retrying r = { .why = ZK_ZB_WHY_STATUS,
		                    .status = s->last_status,
		                    .err = err };

	if (s->fresh_tried && s->conf.ops->token_age_ms(s->conf.ctx) < YOUNG_MS) {
		zk_zb_die(s, err, ZK_H2_CANCEL);
		return;
	}
	s->fresh_tried = true;
	s->conf.ops->on_retry(s->conf.ctx, &r);
	zk_zb_begin(s, /* fresh_token */ true);
}

/* "6006" as a word of its own in the message of an overloaded service. */
static bool says_no_pipelines(const struct zk_grpc_end *end)
{
	const char *p = end->message;
	size_t n = strlen(ZK_ZB_PIPELINE_TEXT);

	if (end->code != ZK_GRPC_UNAVAILABLE && end->code != ZK_GRPC_RESOURCE_EXHAUSTED)
		return false;
	while ((p = strstr(p, ZK_ZB_PIPELINE_TEXT)) != NULL) {
		bool left = p == end->message || !isalnum((unsigned char)p[-1]);

		if (left && !isalnum((unsigned char)p[n]))
			return true;
		p += n;
	}
	return false;
}

static void transient(struct zk_zb_stream *s, const struct zk_grpc_end *end,
                      const struct zk_error *err)
{
	struct zk_zb_failure f = { .err = *err,
		                   .why = end->from == ZK_GRPC_FROM_CONN
		                                  ? ZK_ZB_WHY_CONNECT
		                          : end->from == ZK_GRPC_FROM_GOAWAY
		                                  ? ZK_ZB_WHY_GOAWAY
		                                  : ZK_ZB_WHY_STATUS,
		                   .status = end->code,
		                   .pushback_ms = end->pushback_ms,
		                   .no_pipelines = says_no_pipelines(end) };

	if (s->state == ZK_ZB_DRAINING)
		zk_zb_rotate(s);
	else
		zk_zb_again(s, &f);
}

void zk_zb_classify(struct zk_zb_stream *s, const struct zk_grpc_end *end)
{
	struct zk_error err = { 0 };
	bool row = end->from == ZK_GRPC_FROM_STATUS &&
	           (end->code == ZK_GRPC_INVALID_ARGUMENT ||
	            end->code == ZK_GRPC_OUT_OF_RANGE);

	(void)zk_zb_end_to_error(end, s->created, s->conf.table, &err);
	if (err.code == ZK_E_ZB_HTTP2_FAULT)
		err.retryable = s->h2_faults++ == 0;
	if (is_refused_token(end)) {
		bad_token(s, &err);
	} else if (s->created && (row || is_poison_by_size(s, end))) {
		err.code = ZK_E_ZB_ROW_REFUSED;
		refused(s, &err);
	} else if (err.retryable) {
		transient(s, end, &err);
	} else {
		zk_zb_die(s, &err, ZK_H2_CANCEL);
	}
}
