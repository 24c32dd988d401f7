/* One delivery: an HTTP request, repeated as long as that makes sense.
 * Layer: net. ux.md §8. */
#include "net/send.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/mem.h"
#include "net/guard.h"
#include "net/http_priv.h"
#include "rt/loop.h"
#include "rt/metrics.h"

#include "base/ban.h"

#define MAX_COMPLAINT ((size_t)1 << 20)

struct zk_send {
	struct zk_list link; /* zk_net.sends */
	struct zk_net *net;
	struct zk_http *http;   /* the attempt that runs */
	struct zk_timer *timer; /* the wait for the next one */
	zk_http_done_fn done;
	void *done_ctx;
	struct zk_send_conf conf; /* own copies */
	void *user_ctx;
	char **headers, *body;
	size_t n_headers;
	struct zk_guard guard;
	struct zk_retry retry;
	struct zk_error last; /* why the latest attempt failed */
	enum zk_code ending;  /* zk_send_end_all was called */
	/* With on_data: whether the answer that comes is one for it, whether it was given some of
	 * it; else what the server says about the failure. */
	bool good, given;
	struct zk_buf complaint;
	bool ended;
};

static void attempt(void *ctx);

static char *copy(const char *s)
{
	return s ? zk_strdup(s) : NULL;
}

static void copy_conf(struct zk_send *s, const struct zk_send_conf *conf)
{
	struct zk_http_conf *h = &s->conf.http;

	s->conf = *conf;
	s->user_ctx = conf->http.ctx;
	h->method = copy(conf->http.method);
	h->url = copy(conf->http.url);
	h->bearer = copy(conf->http.bearer);
	h->content_type = copy(conf->http.content_type);
	h->resolve = copy(conf->http.resolve);
	h->target = copy(conf->http.target);
	h->route = copy(conf->http.route);
	h->attrs = zk_http_copy_attrs(conf->http.attrs);
	for (const char *const *p = conf->http.headers; p && *p; p++)
		s->n_headers++;
	s->headers = zk_alloc_array(s->n_headers + 1, sizeof(char *));
	for (size_t i = 0; conf->http.headers && i < s->n_headers; i++)
		s->headers[i] = zk_strdup(conf->http.headers[i]);
	h->headers = (const char *const *)s->headers;
	if (h->body.n && !h->body_borrowed) {
		s->body = zk_alloc(h->body.n);
		memcpy(s->body, h->body.p, h->body.n);
		h->body.p = s->body;
	}
	h->body_borrowed = true; /* this copy serves all attempts */
	if (!h->guard)
		return;
	s->guard = *h->guard;
	s->guard.allow = NULL;
	if (s->guard.n_allow) {
		s->guard.allow =
		        zk_alloc_array(s->guard.n_allow, sizeof(*s->guard.allow));
		memcpy(s->guard.allow, h->guard->allow,
		       s->guard.n_allow * sizeof(*s->guard.allow));
	}
	h->guard = &s->guard;
}

static void send_free(struct zk_send *s)
{
	struct zk_http_conf *h = &s->conf.http;

	zk_list_remove(&s->link);
	zk_timer_free(s->timer);
	free((void *)h->method);
	zk_secret_free((char *)h->url);
	zk_secret_free((char *)h->bearer);
	free((void *)h->content_type);
	free((void *)h->resolve);
	free((void *)h->target);
	free((void *)h->route);
	zk_http_free_attrs(h->attrs);
	for (size_t i = 0; i < s->n_headers; i++)
		zk_secret_free(s->headers[i]);
	free(s->headers);
	zk_buf_done(&s->complaint);
	free(s->body);
	free(s->guard.allow);
	free(s);
}

/* The last thing that happens to it. */
static void finish(struct zk_send *s, const struct zk_http_res *res, struct zk_error *err)
{
	s->ended = true;
	s->done(s->done_ctx, res, err);
	send_free(s);
}

/* Ends it without an attempt that could be reported on. */
static void finish_alone(struct zk_send *s, struct zk_error *err)
{
	struct zk_http_res none = { .start_us = zk_mono_us(), .fault = err };

	finish(s, &none, err);
}

static void count_retry(struct zk_send *s, const struct zk_error *err)
{
	const char *reason = err->code == ZK_E_CONNECT ? "connect" : "transfer";
	char status[16];

	if (!s->net->metrics || !s->conf.http.target)
		return;
	if (err->http_status) {
		(void)snprintf(status, sizeof(status), "%d", err->http_status);
		reason = status;
	}
	const char *labels[] = { "target", s->conf.http.target, "reason", reason, NULL };

	zk_counter_add(zk_metrics_counter(s->net->metrics, "zk_retries_total",
	                                  "Repeated outgoing requests.", labels),
	               1);
}

/* Says in `err` why there is no further attempt. */
static void gave_up(const struct zk_send *s, struct zk_error *err)
{
	int64_t cap = s->retry.conf.cap_ms;

	if (!s->retry.conf.max_retries)
		return;
	if (err->retry_after_ms > cap)
		(void)zk_err_why(
		        err,
		        "the server asks to come back in %lld s, which is longer than "
		        "the longest wait of %lld s",
		        (long long)((err->retry_after_ms + 999) / 1000),
		        (long long)(cap / 1000));
	else if (s->retry.tries > 1)
		(void)zk_err_why(err, "gave up after %llu attempts in %lld s",
		                 (unsigned long long)s->retry.tries,
		                 (long long)((zk_mono_ms() - s->retry.start_ms) / 1000));
}

/* Lets the service judge the attempt. `judged` holds what it says, in `*res` and the result. */
static struct zk_error *ask(struct zk_send *s, struct zk_http_res *res,
                            struct zk_error *err, struct zk_error *judged)
{
	bool answer = !err;

	if (!s->conf.judge)
		return err;
	*judged = (struct zk_error){ 0 };
	if (res->fault)
		*judged = *res->fault;
	bool had_fault = res->fault;

	s->conf.judge(s->user_ctx, res, judged);
	res->fault = judged->code ? judged : NULL;
	/* With ZK_HTTP_ANY_STATUS a bad status stays an answer. */
	return judged->code && !(answer && had_fault) ? judged : NULL;
}

static void on_done(void *ctx, const struct zk_http_res *given, struct zk_error *err)
{
	struct zk_send *s = ctx;
	struct zk_http_res copy_of = *given, *res = &copy_of;
	struct zk_error judged;
	int64_t wait;

	s->http = NULL;
	if (s->complaint.n)
		res->body = zk_buf_str(&s->complaint);
	err = ask(s, res, err, &judged);
	if (!res->fault || !res->fault->retryable || s->ending ||
	    (s->given && !s->conf.restart)) {
		finish(s, res, err);
		return;
	}
	s->last = *res->fault;
	wait = zk_retry_next(&s->retry, zk_mono_ms(), s->last.retry_after_ms,
	                     &s->net->jitter);
	if (wait < 0) {
		if (err)
			gave_up(s, err);
		finish(s, res, err);
		return;
	}
	count_retry(s, &s->last);
	/* First: on_retry may cancel, which frees the timer with the rest. */
	zk_timer_start(s->timer, wait, 0);
	if (s->conf.on_retry)
		s->conf.on_retry(s->user_ctx, (unsigned)s->retry.tries,
		                 (unsigned)ZK_MIN(s->retry.conf.max_retries, UINT32_MAX),
		                 wait, &s->last);
}

static void on_head(void *ctx, int status, struct zk_http *req)
{
	struct zk_send *s = ctx;

	s->good = status >= 200 && status < 300;
	if (s->conf.http.on_head)
		s->conf.http.on_head(s->user_ctx, status, req);
}

static bool on_data(void *ctx, zk_str piece)
{
	struct zk_send *s = ctx;

	if (s->good) {
		s->given = true;
		return s->conf.http.on_data(s->user_ctx, piece);
	}
	zk_buf_put(&s->complaint, piece.p,
	           ZK_MIN(piece.n, s->complaint.cap - s->complaint.n));
	return true;
}

/* The answer of an earlier attempt, if there was one, is void. */
static void forget(struct zk_send *s)
{
	zk_buf_clear(&s->complaint);
	if (s->given && s->conf.restart)
		s->conf.restart(s->user_ctx);
	s->good = s->given = false;
}

static int try(struct zk_send *s, struct zk_error *err)
{
	struct zk_http_conf h = s->conf.http;

	h.ctx = s;
	h.resend = (unsigned)ZK_MIN(s->retry.tries, (uint64_t)UINT32_MAX);
	if (h.on_head || h.on_data)
		h.on_head = on_head;
	if (h.on_data)
		h.on_data = on_data;
	forget(s);
	return zk_http_start(s->net, &h, on_done, &s->http, err);
}

/* The wait is over. */
static void attempt(void *ctx)
{
	struct zk_send *s = ctx;
	struct zk_error err = { 0 };

	if (s->ending) {
		err = s->last;
		(void)zk_fail(&err, s->ending, "%s",
		              s->ending == ZK_E_TIMEOUT
		                      ? "the time given ran out"
		                      : "stopped before the next attempt");
		if (s->last.code)
			(void)zk_err_why(&err, "the latest attempt: %s", s->last.msg);
		finish_alone(s, &err);
	} else if (try(s, &err) < 0) {
		finish_alone(s, &err);
	}
}

static int start(struct zk_net *net, const struct zk_send_conf *conf,
                 zk_http_done_fn done, void *done_ctx, struct zk_send **ret,
                 struct zk_error *err)
{
	struct zk_send *s = zk_new0(struct zk_send);
	int r;

	ZK_ASSERT(!conf->http.pull);
	s->net = net;
	s->done = done;
	s->done_ctx = done_ctx;
	copy_conf(s, conf);
	zk_buf_init(&s->complaint, MAX_COMPLAINT);
	s->timer = zk_timer_new(net->loop, attempt, s);
	zk_list_push(&net->sends, &s->link);
	zk_retry_init(&s->retry, &conf->retry, zk_mono_ms());
	r = try(s, err);
	if (r < 0) {
		send_free(s);
		return r;
	}
	*ret = s;
	return 0;
}

int zk_send_start(struct zk_net *net, const struct zk_send_conf *conf,
                  zk_http_done_fn done, struct zk_send **ret, struct zk_error *err)
{
	return start(net, conf, done, conf->http.ctx, ret, err);
}

void zk_send_cancel(struct zk_send *s)
{
	if (s->ended)
		return;
	s->ended = true;
	if (s->http)
		zk_http_cancel(s->http);
	send_free(s);
}

void zk_send_cancel_all(struct zk_net *net)
{
	ZK_LIST_EACH (it, &net->sends) {
		struct zk_send *s = ZK_LIST_ENTRY(it, struct zk_send, link);

		if (!(s->conf.http.flags & ZK_HTTP_INTERNAL))
			zk_send_cancel(s);
	}
}

void zk_send_hurry(struct zk_send *s)
{
	if (!s->ended && !s->http)
		zk_timer_start(s->timer, 0, 0);
}

void zk_send_hurry_all(struct zk_net *net)
{
	ZK_LIST_EACH (it, &net->sends)
		zk_send_hurry(ZK_LIST_ENTRY(it, struct zk_send, link));
}

void zk_send_end_all(struct zk_net *net, enum zk_code code)
{
	ZK_LIST_EACH (it, &net->sends) {
		struct zk_send *s = ZK_LIST_ENTRY(it, struct zk_send, link);

		s->ending = code;
		if (s->http)
			zk_http_end_with(s->http, code);
		else
			zk_send_hurry(s);
	}
}

struct waiting {
	bool over;
	int r, *status;
	struct zk_buf *body;
	struct zk_error *err;
};

static void on_waited(void *ctx, const struct zk_http_res *res, struct zk_error *err)
{
	struct waiting *w = ctx;

	w->over = true;
	if (w->status)
		*w->status = res->status;
	if (w->body && res->req)
		zk_http_take_body(res->req, w->body);
	if (err) {
		*w->err = *err;
		w->r = -(int)err->code;
	}
}

int zk_send_wait(struct zk_net *net, const struct zk_send_conf *conf, int *status,
                 struct zk_buf *body, struct zk_error *err)
{
	struct waiting w = { .status = status, .body = body, .err = err };
	struct zk_send *s;
	int r = start(net, conf, on_waited, &w, &s, err);

	if (r < 0)
		return r;
	zk_loop_until(net->loop, &w.over);
	return w.r;
}
