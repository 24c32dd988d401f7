/* HTTP client: the life of one request.
 * Layer: net. */
#include "net/http.h"

#include <curl/curl.h> /* its codes say how a transfer ended, whoever carried it */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "codec/press.h"
#include "net/http_priv.h"
#include "net/recent.h"
#include "net/trace.h"
#include "net/url.h"
#include "rt/metrics.h"

#include "base/ban.h"

static void request_free(struct zk_http *req)
{
	zk_http_forget(req);
	zk_unpress_free(req->unpress);
	zk_buf_done(&req->head);
	zk_buf_done(&req->body);
	free(req);
}

/* Takes it out of its engine. */
static void take_out(struct zk_http *req)
{
	if (req->on_way)
		req->engine->stop(req);
	req->on_way = false;
}

/* Also out of the lists of the net. */
static void detach(struct zk_http *req)
{
	take_out(req);
	if (req->engine)
		req->engine->forget(req);
	zk_net_ended(req->net, req);
}

static void end_span(struct zk_http *req, const struct zk_error *err)
{
	struct zk_otel_request r = { .method = req->method,
		                     .url = req->safe_url,
		                     .route = req->route,
		                     .attrs = req->attrs,
		                     .status = req->res.status,
		                     .http_version = req->res.http_version,
		                     .resend = req->conf.resend,
		                     .total_us = zk_mono_us() - req->start_us,
		                     .err = err };

	if (req->span.recording && req->net->conf.otel)
		zk_otel_request(req->net->conf.otel, &req->span, &r);
	req->span.recording = false;
}

void zk_http_discard(struct zk_http *req)
{
	struct zk_error err = { 0 };

	(void)zk_fail(&err, ZK_E_INTERRUPTED, "cancelled");
	if (req->on_way)
		end_span(req, &err);
	if (req->exchange)
		zk_trace_end(ZK_TAKE(req->exchange), NULL, NULL);
	detach(req);
	request_free(req);
}

static void set_deadline(struct zk_http *req)
{
	int64_t now = zk_mono_ms();

	req->active_ms = now;
	req->deadline_ms = INT64_MAX;
	if (req->conf.timeout_ms > 0 &&
	    __builtin_add_overflow(now, req->conf.timeout_ms, &req->deadline_ms))
		req->deadline_ms = INT64_MAX;
	zk_net_arm(req->net, zk_http_check_time(req, now));
}

static int set_up(struct zk_http *req, struct zk_error *err)
{
	req->engine = zk_http_take_plain(req) ? &zk_http_plain : &zk_http_curl;
	return req->engine->setup(req, err);
}

/* Everything that can fail before the request is on its way. */
static int prepare(struct zk_http *req, const struct zk_http_conf *conf,
                   struct zk_error *err)
{
	struct zk_net *net = req->net;
	int r = zk_http_copy(req, conf, err);

	if (r < 0)
		return r;
	if (net->trace && !(conf->flags & ZK_HTTP_INTERNAL))
		req->exchange = zk_trace_begin(net->trace, ++net->n_requests, conf);
	return set_up(req, err);
}

int zk_http_start(struct zk_net *net, const struct zk_http_conf *conf,
                  zk_http_done_fn done, struct zk_http **ret, struct zk_error *err)
{
	struct zk_http *req;
	int r = zk_net_open(net, err);

	if (r < 0)
		return r;
	req = zk_new0(struct zk_http);
	req->net = net;
	req->done = done;
	req->start_us = zk_mono_us();
	zk_list_init(&req->todo);
	zk_list_init(&req->link);
	zk_list_push(&net->running, &req->link);
	r = prepare(req, conf, err);
	if (r < 0) {
		if (req->safe_url)
			(void)zk_err_where(err, "%s %s", req->method, req->safe_url);
		zk_http_discard(req);
		return r;
	}
	zk_buf_init(&req->head, ZK_HTTP_HEAD_MAX);
	zk_buf_init(&req->body, req->conf.max_body);
	set_deadline(req);
	/* At the end of this turn: the caller may be a callback of an engine, and `*ret` has to be
	 * set before anything happens. */
	zk_net_todo(net, req, ZK_TODO_ADD);
	*ret = req;
	return 0;
}

void zk_http_cancel(struct zk_http *req)
{
	if (req->ended)
		return;
	req->cancelled = true;
	if (req->net->depth)
		zk_net_todo(req->net, req, ZK_TODO_DISCARD);
	else
		zk_http_discard(req);
}

void zk_http_resume_upload(struct zk_http *req)
{
	req->wake_up = true;
	if (req->paused_up && !req->ended)
		zk_net_todo(req->net, req, ZK_TODO_RESUME);
}

void zk_http_resume_download(struct zk_http *req)
{
	req->wake_down = true;
	if (req->paused_down && !req->ended)
		zk_net_todo(req->net, req, ZK_TODO_RESUME);
}

zk_str zk_http_header(struct zk_http *req, const char *name)
{
	zk_str rest, want = zk_str_of(name), found = ZK_STR_NULL;

	rest = req ? zk_buf_str(&req->head) : ZK_STR_NULL;
	while (rest.n) {
		zk_str line, key, value;

		rest = zk_str_cut(rest, '\n', &line);
		value = zk_str_cut(line, ':', &key);
		if (value.p && zk_str_eq_nocase(key, want))
			found = zk_str_trim(value);
	}
	return found;
}

void zk_http_take_body(struct zk_http *req, struct zk_buf *ret)
{
	zk_buf_done(ret);
	ret->p = req->body.p;
	ret->n = req->body.n;
	ret->room = req->body.room;
	ret->cap = ZK_MAX(ret->cap, req->body.room);
	req->body.p = NULL;
	req->body.n = req->body.room = 0;
	req->res.body = ZK_STR_NULL;
}

int64_t zk_http_check_time(struct zk_http *req, int64_t now_ms)
{
	int64_t idle_at = INT64_MAX;

	/* While it is us who make the transfer wait, silence is not the peer's fault. */
	if (req->conf.idle_timeout_ms > 0 && !req->paused_up && !req->paused_down &&
	    __builtin_add_overflow(req->active_ms, req->conf.idle_timeout_ms, &idle_at))
		idle_at = INT64_MAX;
	if (now_ms < req->deadline_ms && now_ms < idle_at)
		return ZK_MIN(req->deadline_ms, idle_at);
	if (!(req->todo_bits & (ZK_TODO_END | ZK_TODO_DISCARD))) {
		req->end = now_ms >= req->deadline_ms ? ZK_HTTP_END_DEADLINE
		                                      : ZK_HTTP_END_IDLE;
		req->end_curl = CURLE_OPERATION_TIMEDOUT;
		zk_net_todo(req->net, req, ZK_TODO_END);
	}
	return INT64_MAX;
}

void zk_http_end_with(struct zk_http *req, enum zk_code code)
{
	if (req->ended || req->todo_bits & (ZK_TODO_END | ZK_TODO_DISCARD))
		return;
	req->end = ZK_HTTP_END_STOPPED;
	req->stop_code = code;
	req->end_curl = CURLE_ABORTED_BY_CALLBACK;
	zk_net_todo(req->net, req, ZK_TODO_END);
}

static void add(struct zk_http *req)
{
	req->on_way = req->engine->start(req);
	if (!req->on_way) {
		req->end_curl = CURLE_OUT_OF_MEMORY;
		zk_net_todo(req->net, req, ZK_TODO_END);
	}
}

static void resume(struct zk_http *req)
{
	/* The engine hands over what it kept back, which may pause the request again. */
	req->paused_up = req->paused_down = req->wake_up = req->wake_down = false;
	req->active_ms = zk_mono_ms();
	zk_net_arm(req->net, zk_http_check_time(req, req->active_ms));
	req->engine->resume(req);
}

void zk_http_do(struct zk_http *req)
{
	unsigned bits = req->todo_bits;

	req->todo_bits = 0;
	if (bits & ZK_TODO_DISCARD) {
		zk_http_discard(req);
	} else if (bits & ZK_TODO_END) {
		zk_http_end(req, req->end_curl);
	} else if (bits & ZK_TODO_ADD) {
		add(req);
	} else if (bits & ZK_TODO_RESUME && req->on_way) {
		resume(req);
	}
}

static void start_over(struct zk_http *req)
{
	req->end = ZK_HTTP_END_CURL;
	req->head_done = req->follow = false;
	req->body_bytes = 0;
	req->opened = req->prereqs = 0;
	req->connected = false;
	req->blocked_why = NULL;
	req->res.status = 0;
	zk_buf_clear(&req->head);
	zk_net_todo(req->net, req, ZK_TODO_ADD);
}

/* What is to be said about a redirect that is not followed; NULL = it can be. */
static const char *judge_redirect(struct zk_http *req, const char *to)
{
	struct zk_url from, target;
	struct zk_error ignored;
	bool same;
	int s = req->res.status;

	bool strict = req->conf.flags & ZK_HTTP_FOLLOW_SAME;

	if (++req->hops > (strict ? ZK_HTTP_MAX_HOPS_SAME : ZK_HTTP_MAX_HOPS))
		return "too many redirects";
	if (strict && s != 307 && s != 308)
		return "it is none that keeps the method";
	if (req->conf.pull)
		return "the body cannot be sent again";
	if ((s == 301 || s == 302) && strcmp(req->method, "GET") != 0 &&
	    strcmp(req->method, "HEAD") != 0)
		return "it would change the method";
	if (zk_url_parse(zk_str_of(req->url), &from, &ignored) < 0)
		return "the URL is malformed";
	if (zk_url_parse(zk_str_of(to), &target, &ignored) < 0) {
		zk_url_done(&from);
		return "the target is no http or https URL";
	}
	same = zk_url_same_origin(&from, &target) && !target.user;
	zk_url_done(&from);
	zk_url_done(&target);
	return same ? NULL : "the target is on another origin";
}

/* Goes on with the target of a redirect: true. False when this is the answer, then *why says
 * why it was not followed (NULL = it was none). */
static bool follow(struct zk_http *req, int curl, const char **why)
{
	struct zk_error ignored;
	char *to;

	*why = NULL;
	if (!req->follow || curl != CURLE_OK)
		return false;
	to = zk_url_join(req->url, zk_http_header(req, "Location"));
	*why = to ? judge_redirect(req, to) : "the target is malformed";
	if (*why) {
		zk_secret_free(to);
		return false;
	}
	take_out(req);
	req->engine->forget(req);
	zk_secret_free(req->url);
	req->url = to;
	if (req->res.status == 303)
		req->see_other = true;
	if (set_up(req, &ignored) < 0) {
		*why = "the target cannot be asked";
		return false;
	}
	start_over(req);
	return true;
}

static void collect(struct zk_http *req)
{
	struct zk_http_res *res = &req->res;

	req->engine->collect(req);
	res->sent = res->sent || req->end == ZK_HTTP_END_REPEAT;
	res->start_us = req->start_us;
	res->first_byte_us = req->first_byte_us ? req->first_byte_us - req->start_us : 0;
	res->total_us = zk_mono_us() - req->start_us;
	res->body = zk_buf_str(&req->body);
	res->req = req;
}

/* Who ended it, when all the engine knows is that a connection could not be made. */
static enum zk_http_end end_of(const struct zk_http *req, int curl)
{
	if (req->end == ZK_HTTP_END_CURL && curl == CURLE_COULDNT_CONNECT &&
	    req->blocked_why && req->opened == 0)
		return ZK_HTTP_END_BLOCKED;
	return req->end;
}

static void remote_id(struct zk_http *req, char text[80])
{
	zk_str id = zk_http_header(req, "X-Request-Id");

	text[0] = '\0';
	for (size_t i = 0; i < id.n; i++)
		if (id.p[i] <= 0x20 || id.p[i] == 0x7f)
			return;
	(void)snprintf(text, 80, "%.*s", (int)ZK_MIN(id.n, (size_t)79), id.n ? id.p : "");
}

static void explain(struct zk_http *req, int curl, const char *redirect,
                    struct zk_error *err)
{
	zk_str after = zk_http_header(req, "Retry-After");
	char id[80];
	struct zk_http_fault f = {
		.end = redirect ? ZK_HTTP_END_REDIRECT : end_of(req, curl),
		.stop_code = req->stop_code,
		.curl = curl,
		.status = req->res.status,
		.connected = req->connected,
		.sent = req->res.sent,
		.repeatable = req->repeatable,
		.trust_busy = req->conf.flags & ZK_HTTP_TRUST_BUSY,
		.retry_after_ms = after.p ? zk_http_retry_after(after, zk_wall_us()) : -1,
		.connect_ms = req->conf.connect_timeout_ms,
		.timeout_ms = req->conf.timeout_ms,
		.idle_ms = req->conf.idle_timeout_ms,
		.method = req->method,
		.safe_url = req->safe_url,
		.origin = req->origin,
		.detail = req->errbuf,
		.blocked_ip = req->blocked_ip,
		.blocked_why = req->blocked_why,
		.redirect = redirect,
		.remote_id = id,
	};

	req->engine->blame(req, &f);
	if (req->sys_errno)
		f.sys_errno = req->sys_errno;
	f.limit_bytes = f.end == ZK_HTTP_END_HEAD ? ZK_HTTP_HEAD_MAX : req->conf.max_body;
	remote_id(req, id);
	(void)zk_http_fault_to_error(&f, err);
}

static void observe(const struct zk_http *req, const struct zk_error *err)
{
	static const char *const classes[] = { "1xx", "2xx", "3xx", "4xx", "5xx" };
	int status = req->res.status;
	bool answered = status >= 100 && status < 600 && (!err || err->http_status);
	const char *labels[] = { "target", req->target,
		                 "method", req->method,
		                 "class",  answered ? classes[status / 100 - 1] : "error",
		                 NULL };

	zk_net_recent_note(req->net, req->method, req->safe_url, answered ? status : 0,
	                   req->res.total_us, err);
	if (!req->net->metrics || !req->target)
		return;
	zk_histogram_observe(
	        zk_metrics_histogram(req->net->metrics, "zk_request_duration_seconds",
	                             "Time from the start of an outgoing request to "
	                             "the end of its answer.",
	                             zk_buckets_seconds, ZK_ARRAY_LEN(zk_buckets_seconds),
	                             labels),
	        (double)req->res.total_us / 1e6);
}

/* Whether all of an answer is there, whatever it says. */
static bool is_complete(struct zk_http *req, int curl)
{
	struct zk_error ignored;

	if (req->end != ZK_HTTP_END_CURL)
		return false;
	if (req->res.truncated)
		return true;
	if (curl == CURLE_OK && req->unpress && req->body_bytes &&
	    zk_unpress_end(req->unpress, &ignored) < 0)
		req->end = ZK_HTTP_END_ENCODING;
	return curl == CURLE_OK && req->end == ZK_HTTP_END_CURL;
}

/* Tells everyone, the owner last. */
static void report(struct zk_http *req, struct zk_error *err)
{
	observe(req, err);
	end_span(req, err);
	if (req->exchange) {
		if (req->unpress)
			zk_trace_body(req->exchange, ZK_TRACE_IN, req->res.body);
		zk_trace_end(ZK_TAKE(req->exchange), &req->res, err);
	}
	req->ended = true;
	detach(req);
	if (!err && req->conf.on_head && !req->told_head)
		req->conf.on_head(req->conf.ctx, req->res.status, req);
	req->done(req->conf.ctx, &req->res, err);
}

void zk_http_end(struct zk_http *req, int curl)
{
	struct zk_error err = { 0 };
	const char *redirect = NULL;
	bool complete, bad_status;

	if (req->cancelled) {
		zk_http_discard(req);
		return;
	}
	if (req->engine->again && req->engine->again(req, curl)) {
		take_out(req);
		start_over(req);
		return;
	}
	if (follow(req, curl, &redirect))
		return;
	complete = is_complete(req, curl);
	collect(req);
	bad_status = redirect || zk_http_status_is_error(req->res.status);
	if (!complete || bad_status) {
		explain(req, complete ? CURLE_OK : curl, redirect, &err);
		req->res.fault = &err;
	}
	if (complete && req->conf.flags & ZK_HTTP_ANY_STATUS && req->res.status >= 200)
		bad_status = false;
	report(req, complete && !bad_status ? NULL : &err);
	request_free(req);
}
