/* What an attempt's end means: outcome, schedule, breaker, dead letters; test calls and alerts
 * (specs/triggers.md §8.2, §8.3, §5.4).
 * Layer: triggers. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "codec/jwrite.h"
#include "rt/metrics.h"
#include "triggers/deliver_int.h"
#define ZK_LOGGER "delivery"
#include "base/log.h"

#include "base/ban.h"

#define KEEP_ANSWER    1024
#define ALERT_EVERY_US 3600000000LL
#define JITTER_LOW     0.8
#define JITTER_SPAN    0.4

/* ---- the schedule ---------------------------------------------------------------------- */

static const int64_t default_steps_s[] = { 5, 30, 120, 600, 3600, 21600, 86400 };
static const int64_t seed_steps_s[] = { 1, 2, 4, 8 };
static const int64_t standard_steps_s[] = { 5,     300,   1800,  7200, 18000,
	                                    36000, 50400, 72000, 86400 };

static void set_steps(struct zk_trig_deliver_conf *conf, const int64_t *s, size_t n,
                      bool jitter)
{
	conf->n_steps = (unsigned)n;
	conf->jitter = jitter;
	for (size_t i = 0; i < n; i++)
		conf->steps_ms[i] = s[i] * 1000;
}

int zk_trig_schedule_parse(zk_str s, struct zk_trig_deliver_conf *conf,
                           struct zk_error *err)
{
	unsigned n = 0;

	if (s.n == 0) {
		set_steps(conf, default_steps_s, ZK_ARRAY_LEN(default_steps_s), true);
		return 0;
	}
	if (zk_str_eq(s, ZK_STR("seed"))) {
		set_steps(conf, seed_steps_s, ZK_ARRAY_LEN(seed_steps_s), false);
		return 0;
	}
	if (zk_str_eq(s, ZK_STR("standard"))) {
		set_steps(conf, standard_steps_s, ZK_ARRAY_LEN(standard_steps_s), true);
		return 0;
	}
	int64_t steps[ZK_TRIG_MAX_STEPS];

	while (s.p) {
		zk_str one;

		s = zk_str_cut(s, ',', &one);
		one = zk_str_trim(one);
		if (one.n == 0)
			continue;
		if (n == ZK_TRIG_MAX_STEPS)
			return zk_fail(err, ZK_E_DATA,
			               "a retry schedule has at most %d waits",
			               ZK_TRIG_MAX_STEPS);
		if (zk_parse_duration(one, &steps[n], err) < 0)
			return zk_wrap(err, "retry schedule");
		n++;
	}
	memcpy(conf->steps_ms, steps, n * sizeof(steps[0]));
	conf->n_steps = n;
	conf->jitter = true;
	return 0;
}

static int64_t longest_step(const struct zk_trig_deliver_conf *conf)
{
	int64_t ms = 0;

	for (unsigned i = 0; i < conf->n_steps; i++)
		ms = ZK_MAX(ms, conf->steps_ms[i]);
	return ms;
}

/* Milliseconds until the attempt after number `attempt` (1-based); -1 = there is none. */
static int64_t next_wait(struct zk_trig_deliver *d, int64_t attempt,
                         int64_t retry_after_ms)
{
	const struct zk_trig_deliver_conf *conf = &d->conf;

	if (attempt < 1 || attempt > conf->n_steps)
		return -1;
	int64_t ms = conf->steps_ms[attempt - 1];

	if (conf->jitter)
		ms = llround((double)ms *
		             (JITTER_LOW + JITTER_SPAN * zk_rand_unit(&d->rnd)));
	return ZK_MAX(ms, ZK_MIN(retry_after_ms, longest_step(conf)));
}

/* ---- the outcome ----------------------------------------------------------------------- */

static void on_outcome(struct zk_trig_op *op)
{
	struct attempt *a = op->ctx;
	struct zk_trig_deliver *d = a->t->d;

	a->outcome.op.done = NULL;
	if (d->closing) {
		zk_trig_attempt_free(a);
		return;
	}
	/* A claim that is under way may still bring the row as it was before this outcome. */
	zk_list_remove(&a->entry);
	if (d->claim)
		zk_list_push(&d->limbo, &a->entry);
	else
		zk_trig_attempt_free(a);
	d->need_claim = true;
	zk_trig_deliver_pump_later(d);
}

/* What to write for people: the error, or the status when it is no success. */
static void describe(struct attempt *a, const struct zk_http_res *res,
                     const struct zk_error *err)
{
	zk_buf_init(&a->error, 1024);
	if (err)
		zk_buf_cstr(&a->error, err->msg);
	else if (res->status >= 300 && res->status < 400)
		zk_buf_printf(&a->error, "HTTP %d (redirects are not followed)",
		              res->status);
	else if (res->status < 200 || res->status >= 300)
		zk_buf_printf(&a->error, "HTTP %d", res->status);
}

/* The longest beginning of `s` of at most `max` bytes that is whole UTF-8; p NULL when empty or
 * not text. */
static zk_str answer_text(zk_str s, size_t max)
{
	size_t n = ZK_MIN(s.n, max);

	for (unsigned cut = 0; cut < 4 && n > 0; cut++, n--) {
		if (zk_utf8_valid(zk_str_n(s.p, n)) && !memchr(s.p, 0, n))
			return zk_str_n(s.p, n);
	}
	return ZK_STR_NULL;
}

static void on_gone(struct zk_trig_op *op)
{
	struct zk_trig_webhook *w = ZK_CONTAINER_OF(op, struct zk_trig_webhook, op);
	struct zk_trig_repo *repo = op->ctx;

	zk_trig_org_done(&w->result);
	if (op->code == 0 && repo->on_org_changed)
		repo->on_org_changed(repo->ctx, &w->org);
	free(w);
}

/* 410: the endpoint wants no more (§8.2). */
static void disable_webhook(struct target *t)
{
	struct zk_trig_webhook *w = zk_new0(struct zk_trig_webhook);
	struct zk_trig_deliver *d = t->d;
	char id[ZK_UUID_TEXT + 1] = { 0 };

	w->op.done = on_gone;
	w->op.ctx = d->repo;
	w->org = t->org.id;
	w->set = ZK_TRIG_SET_REASON | ZK_TRIG_SET_UNPLAN;
	w->reason = "gone";
	w->now_us = zk_wall_us();
	zk_uuid_format(&t->org.id, id);
	zk_warn("the webhook answered 410 and is switched off until it is configured "
	        "again",
	        "event=webhook.disabled org_id=%s", id);
	d->repo->ops->webhook(d->repo, w);
}

static void dead_letter(struct attempt *a, const char *reason)
{
	char org[ZK_UUID_TEXT + 1] = { 0 }, event[ZK_UUID_TEXT + 1] = { 0 };

	zk_uuid_format(&a->row.org, org);
	zk_uuid_format(&a->row.id, event);
	zk_counter_add(a->t->d->dead, 1);
	zk_logerr(
	        "an event could not be delivered",
	        "event=delivery.dead_letter org_id=%s event_id=%s attempt=%lld error=%s",
	        org, event, (long long)a->outcome.attempt, reason);
	zk_trig_deliver_alert(a, reason);
}

/* Success, failure and what the breaker hears of it. */
static void judge(struct attempt *a, const struct zk_http_res *res,
                  int64_t retry_after_ms)
{
	struct target *t = a->t;
	struct zk_trig_deliver *d = t->d;
	struct zk_trig_outcome *o = &a->outcome;
	/* A 2xx whose body broke off may come from a handler that crashed: not delivered. */
	bool ok = res->status >= 200 && res->status < 300 && !a->error.n;
	int64_t now_ms = zk_mono_ms();

	if (ok) {
		o->status = ZK_TRIG_DELIVERED;
		t->last_success_us = o->now_us;
	} else {
		int64_t wait_ms = res->status == 410
		                          ? -1
		                          : next_wait(d, o->attempt, retry_after_ms);

		t->last_failure_us = o->now_us;
		(void)snprintf(t->last_error, sizeof(t->last_error), "%s",
		               zk_buf_cstring(&a->error));
		o->status = wait_ms < 0 ? ZK_TRIG_FAILED : ZK_TRIG_RETRYING;
		o->next_attempt_us = wait_ms < 0 ? 0 : o->now_us + wait_ms * 1000;
	}
	if (res->status == 429)
		zk_breaker_cancel(&t->breaker);
	else
		zk_breaker_result(&t->breaker, ok, now_ms);
	if (t->breaker.state == ZK_BREAKER_OPEN)
		zk_trig_target_drop_waiting(t);
	if (t->org.webhook_ordered && o->status == ZK_TRIG_RETRYING) {
		t->held = a->row.id;
		t->held_until_us = o->next_attempt_us;
		zk_trig_target_drop_waiting(t);
	} else if (t->held_until_us &&
	           memcmp(&t->held, &a->row.id, sizeof(t->held)) == 0) {
		t->held_until_us = 0;
	}
}

static void count(struct zk_trig_deliver *d, const struct attempt *a, int status)
{
	const struct zk_trig_outcome *o = &a->outcome;

	zk_histogram_observe(d->seconds, o->duration_ms / 1000.0);
	if (o->status == ZK_TRIG_DELIVERED)
		zk_counter_add(d->delivered, 1);
	else if (status == 410)
		zk_counter_add(d->gone, 1);
	else
		zk_counter_add(o->status == ZK_TRIG_FAILED ? d->failed : d->retried, 1);
}

static void log_attempt(struct attempt *a)
{
	const struct zk_trig_outcome *o = &a->outcome;
	char org[ZK_UUID_TEXT + 1] = { 0 }, event[ZK_UUID_TEXT + 1] = { 0 };

	if (!zk_log_enabled(ZK_LOG_DEBUG))
		return;
	zk_uuid_format(&a->row.org, org);
	zk_uuid_format(&a->row.id, event);
	zk_debug("attempt",
	         "event_id=%s org_id=%s attempt=%lld response_status=%d duration_ms=%.1f "
	         "error=%s",
	         event, org, (long long)o->attempt, o->response_status, o->duration_ms,
	         zk_buf_cstring(&a->error));
}

void zk_trig_attempt_done(void *ctx, const struct zk_http_res *res, struct zk_error *err)
{
	struct attempt *a = ctx;
	struct target *t = a->t;
	struct zk_trig_deliver *d = t->d;
	struct zk_trig_outcome *o = &a->outcome;
	int64_t retry_after_ms = 0;

	if ((res->status == 429 || res->status == 503) && res->req) {
		zk_str v = zk_http_header(res->req, "Retry-After");

		retry_after_ms =
		        v.p ? ZK_MAX(zk_http_retry_after(v, zk_wall_us()), 0) : 0;
	}
	a->http = NULL;
	a->flying = false;
	zk_list_remove(&a->entry);
	t->in_flight--;
	d->in_flight--;
	zk_trig_host_add(d, a->host, -1);
	describe(a, res, err);
	zk_str answer = answer_text(res->body, KEEP_ANSWER);

	zk_buf_init(&a->answer, KEEP_ANSWER + 1);
	zk_buf_add(&a->answer, answer);
	*o = (struct zk_trig_outcome){
		.op = { .done = on_outcome, .ctx = a },
		.id = a->row.id,
		.org = a->row.org,
		.attempt = a->row.attempts + 1,
		.started_us = a->started_us,
		.now_us = zk_wall_us(),
		.duration_ms = (double)(zk_mono_us() - a->started_mono_us) / 1000.0,
		.response_status = res->status,
		.error = a->error.n ? zk_buf_str(&a->error) : ZK_STR_NULL,
		.response_body = answer.n ? zk_buf_str(&a->answer) : ZK_STR_NULL,
	};
	judge(a, res, retry_after_ms);
	count(d, a, res->status);
	log_attempt(a);
	if (o->status == ZK_TRIG_FAILED)
		dead_letter(a, zk_buf_cstring(&a->error));
	if (res->status == 410)
		disable_webhook(t);
	d->repo->ops->outcome(d->repo, o);
	zk_trig_deliver_pump_later(d);
	zk_trig_deliver_check_drained(d);
}

/* ---- test calls and alerts -------------------------------------------------------------- */

/* A request about no stored event. */
struct side_call {
	struct zk_list entry;
	struct zk_trig_deliver *d;
	struct zk_http *http;
	struct zk_trig_org org;
	struct zk_buf body;
	char id[ZK_UUID_TEXT];
	int64_t start_us;
	void (*done)(void *ctx, const struct zk_trig_test_result *res);
	void *ctx;
};

static void side_free(struct side_call *c)
{
	zk_list_remove(&c->entry);
	zk_trig_org_done(&c->org);
	zk_buf_done(&c->body);
	free(c);
}

static void on_side_done(void *ctx, const struct zk_http_res *res, struct zk_error *err)
{
	struct side_call *c = ctx;
	struct zk_trig_test_result r = { .response_status = res->status };

	c->http = NULL;
	r.delivered = !err && res->status >= 200 && res->status < 300;
	r.duration_ms = (double)(zk_mono_us() - c->start_us) / 1000.0;
	(void)snprintf(r.address, sizeof(r.address), "%s", res->peer);
	if (err)
		(void)snprintf(r.error, sizeof(r.error), "%.199s", err->msg);
	else if (!r.delivered)
		(void)snprintf(r.error, sizeof(r.error), "HTTP %d", res->status);
	if (c->done)
		c->done(c->ctx, &r);
	else if (!r.delivered)
		zk_warn("the alert could not be sent", "error=%s", r.error);
	side_free(c);
}

static struct side_call *side_new(struct zk_trig_deliver *d,
                                  const struct zk_trig_org *org)
{
	struct side_call *c = zk_new0(struct side_call);
	zk_uuid id = zk_uuid_v7();

	c->d = d;
	c->start_us = zk_mono_us();
	zk_trig_org_copy(&c->org, org);
	zk_buf_init(&c->body, 65536);
	zk_uuid_format(&id, c->id);
	zk_list_push(&d->tests, &c->entry);
	return c;
}

static int side_send(struct side_call *c, const char *url, zk_str type,
                     struct zk_error *err)
{
	struct zk_trig_post post = {
		.org = &c->org,
		.url = url,
		.id = zk_str_n(c->id, sizeof(c->id)),
		.type = type,
		.body = zk_buf_str(&c->body),
		.attempt = 1,
		.ctx = c,
	};

	return zk_trig_post(c->d, &post, on_side_done, &c->http, err);
}

static void side_head(struct zk_jwrite *w, const struct side_call *c, const char *type)
{
	zk_jw_obj(w);
	zk_jw_key(w, "id");
	zk_jw_str(w, zk_str_n(c->id, sizeof(c->id)));
	zk_jw_key(w, "event_id");
	zk_jw_str(w, zk_str_n(c->id, sizeof(c->id)));
	zk_jw_key(w, "type");
	zk_jw_cstr(w, type);
	zk_jw_key(w, "timestamp");
	zk_jw_time(w, zk_wall_us());
	zk_jw_key(w, "data");
	zk_jw_obj(w);
}

int zk_trig_deliver_test(struct zk_trig_deliver *d, const struct zk_trig_org *org,
                         void (*done)(void *ctx, const struct zk_trig_test_result *res),
                         void *ctx, struct zk_error *err)
{
	struct side_call *c = side_new(d, org);
	struct zk_jwrite w;

	c->done = done;
	c->ctx = ctx;
	zk_jwrite_init(&w, &c->body);
	side_head(&w, c, "zk.test");
	zk_jw_key(&w, "message");
	zk_jw_cstr(&w, "a test of this webhook; nothing was stored");
	zk_jw_obj_end(&w);
	zk_jw_obj_end(&w);
	if (side_send(c, c->org.webhook_url, ZK_STR("zk.test"), err) < 0) {
		side_free(c);
		return -(int)err->code;
	}
	return 0;
}

void zk_trig_deliver_alert(struct attempt *a, const char *reason)
{
	struct target *t = a->t;
	struct zk_trig_deliver *d = t->d;
	struct zk_error err = { 0 };
	struct zk_jwrite w;
	char org[ZK_UUID_TEXT], event[ZK_UUID_TEXT];
	int64_t now_us = zk_wall_us();

	if (!d->conf.alert_url ||
	    (t->last_alert_us && now_us - t->last_alert_us < ALERT_EVERY_US))
		return;
	t->last_alert_us = now_us;
	struct side_call *c = side_new(d, &t->org);

	zk_uuid_format(&a->row.org, org);
	zk_uuid_format(&a->row.id, event);
	zk_jwrite_init(&w, &c->body);
	side_head(&w, c, "zk.dead_letter");
	zk_jw_key(&w, "organization_id");
	zk_jw_str(&w, zk_str_n(org, sizeof(org)));
	zk_jw_key(&w, "event_id");
	zk_jw_str(&w, zk_str_n(event, sizeof(event)));
	zk_jw_key(&w, "event_type");
	zk_jw_str(&w, zk_str_n(a->row.type, a->row.type_n));
	zk_jw_key(&w, "attempts");
	zk_jw_i64(&w, a->outcome.attempt);
	zk_jw_key(&w, "last_error");
	zk_jw_cstr(&w, reason);
	zk_jw_obj_end(&w);
	zk_jw_obj_end(&w);
	if (side_send(c, d->conf.alert_url, ZK_STR("zk.dead_letter"), &err) < 0) {
		zk_warn("the alert could not be sent", "error=%s", err.msg);
		side_free(c);
	}
}

void zk_trig_deliver_tests_free(struct zk_trig_deliver *d)
{
	ZK_LIST_EACH (e, &d->tests) {
		struct side_call *c = ZK_LIST_ENTRY(e, struct side_call, entry);

		if (c->http)
			zk_http_cancel(c->http);
		side_free(c);
	}
}
