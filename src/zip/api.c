/* One call to a Zeal server.
 * Layer: zip. specs/zeal-zip.md §1, §2. */
#include "zip/api.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "net/net.h"
#include "net/url.h"
#include "rt/loop.h"
#include "zip/priv.h"

#include "base/ban.h"

#define MAX_ANSWER     ((size_t)256 << 20)
#define WRITE_IDLE_MS  4000 /* [T 1] */
#define BREAKER_FAILS  5
#define BREAKER_MS     5000
#define BREAKER_MAX_MS 60000

static const char *const servers[] = { "auto", "ideal", "as-built", "path-blind",
	                               "older" };

const char *zk_zip_server_name(enum zk_zip_server kind)
{
	return servers[kind];
}

static char *copy(const char *s)
{
	return s && s[0] ? zk_strdup(s) : NULL;
}

static int set_base(struct zk_zip *z, const char *base_url, struct zk_error *err)
{
	struct zk_url u = { 0 };
	struct zk_buf origin;
	zk_str base = zk_str_of(base_url);

	if (zk_url_parse(base, &u, err) < 0)
		return zk_wrap(err, "--base-url");
	if (u.query || u.user) {
		(void)zk_fail(err, ZK_E_URL,
		              "--base-url may hold neither a query nor a user name");
		zk_url_done(&u);
		return -(int)err->code;
	}
	while (base.n && base.p[base.n - 1] == '/')
		base.n--;
	z->base = zk_strndup(base.p, base.n);
	zk_buf_init(&origin, 4096);
	zk_url_origin(&u, &origin);
	z->origin = zk_buf_take(&origin);
	zk_url_done(&u);
	return 0;
}

/* The credential is a secret from here on. */
static int check_secret(const char *s, const char *name, struct zk_error *err)
{
	for (const char *p = s; p && *p; p++)
		if ((unsigned char)*p <= 0x20 || (unsigned char)*p >= 0x7f)
			return zk_fail(err, ZK_E_DATA,
			               "the %s holds characters that no header can carry",
			               name);
	return 0;
}

static void set_headers(struct zk_zip *z)
{
	size_t n = 0;

	z->headers[n++] = zk_strdup("Accept: application/json");
	z->headers[n++] = zk_asprintf(
	        "X-User-Id: %s", z->conf.as_user ? z->conf.as_user : "zip-integration");
	if (z->conf.client_id)
		z->headers[n++] = zk_asprintf("X-Client-Id: %s", z->conf.client_id);
	if (z->conf.api_key && !z->conf.token)
		z->headers[n++] = zk_asprintf("X-API-Key: %s", z->conf.api_key);
}

int zk_zip_new(struct zk_net *net, const struct zk_zip_conf *conf, struct zk_zip **ret,
               struct zk_error *err)
{
	struct zk_zip *z;

	if (check_secret(conf->token, "token", err) < 0 ||
	    check_secret(conf->api_key, "API key", err) < 0)
		return -(int)err->code;
	z = zk_new0(struct zk_zip);
	z->net = net;
	z->conf = *conf;
	z->conf.base_url = NULL;
	z->conf.token = copy(conf->token);
	z->conf.api_key = copy(conf->api_key);
	z->conf.as_user = copy(conf->as_user);
	z->conf.client_id = copy(conf->client_id);
	z->server = conf->server;
	zk_list_init(&z->calls);
	zk_breaker_init(&z->breaker, BREAKER_FAILS, BREAKER_MS, BREAKER_MAX_MS);
	if (set_base(z, conf->base_url, err) < 0) {
		zk_zip_free(z);
		return -(int)err->code;
	}
	set_headers(z);
	*ret = z;
	return 0;
}

static void call_free(struct zk_zip_call *c)
{
	zk_list_remove(&c->link);
	zk_timer_free(c->timer);
	free(c->url);
	free(c->route);
	free(c->method);
	free(c->body);
	free(c->workflow);
	free(c);
}

void zk_zip_free(struct zk_zip *z)
{
	if (!z)
		return;
	ZK_LIST_EACH (it, &z->calls)
		zk_zip_cancel(ZK_LIST_ENTRY(it, struct zk_zip_call, link));
	for (size_t i = 0; i < ZK_ZIP_HEADERS; i++)
		zk_secret_free(z->headers[i]);
	zk_secret_free((char *)z->conf.token);
	zk_secret_free((char *)z->conf.api_key);
	free((char *)z->conf.as_user);
	free((char *)z->conf.client_id);
	free(z->base);
	free(z->origin);
	free(z->workflow);
	free(z);
}

struct zk_net *zk_zip_net(const struct zk_zip *z)
{
	return z->net;
}

struct zk_metrics *zk_zip_metrics(const struct zk_zip *z)
{
	return z->conf.metrics;
}

const char *zk_zip_base(const struct zk_zip *z)
{
	return z->base;
}

const char *zk_zip_origin(const struct zk_zip *z)
{
	return z->origin;
}

bool zk_zip_compat(const struct zk_zip *z)
{
	return z->conf.compat;
}

enum zk_zip_server zk_zip_server(const struct zk_zip *z)
{
	return z->server;
}

void zk_zip_set_server(struct zk_zip *z, enum zk_zip_server kind)
{
	z->server = kind;
}

void zk_zip_about(struct zk_zip *z, const char *workflow)
{
	free(z->workflow);
	z->workflow = copy(workflow);
}

int zk_zip_segment(struct zk_buf *path, const char *what, zk_str segment,
                   struct zk_error *err)
{
	if (!segment.n)
		return zk_fail(err, ZK_E_DATA, "the %s is empty", what);
	if (zk_str_eq(segment, ZK_STR(".")) || zk_str_eq(segment, ZK_STR("..")))
		return zk_fail(err, ZK_E_DATA, "the %s '%.*s' cannot stand in a path",
		               what, ZK_STR_ARG(segment));
	if (zk_str_find_char(segment, '\0') >= 0 || !zk_utf8_valid(segment))
		return zk_fail(err, ZK_E_DATA, "the %s is no text", what);
	zk_buf_char(path, '/');
	zk_buf_percent(path, segment);
	return 0;
}

void zk_zip_query(struct zk_buf *path, const char *name, zk_str value)
{
	if (!value.p)
		return;
	zk_buf_char(path, zk_str_find_char(zk_buf_str(path), '?') < 0 ? '?' : '&');
	zk_buf_cstr(path, name);
	zk_buf_char(path, '=');
	zk_buf_percent(path, value);
}

static void finish(struct zk_zip_call *c, const struct zk_http_res *res,
                   struct zk_error *err)
{
	struct zk_zip_end end = {
		.status = res->status,
		.body = res->body,
		.sent = res->sent,
		.attempts = c->attempts,
		.total_us = res->total_us,
		.connect_us = res->connect_us,
		.first_byte_us = res->first_byte_us,
		.call = c,
	};

	c->ended = true;
	c->send = NULL;
	c->answer = res->req;
	if (res->req)
		end.cached = zk_str_eq_nocase(zk_http_header(res->req, "x-nextjs-cache"),
		                              ZK_STR("HIT"));
	c->done(c->ctx, &end, err);
	call_free(c);
}

static void on_done(void *ctx, const struct zk_http_res *res, struct zk_error *err)
{
	finish(ctx, res, err);
}

static void fail_alone(struct zk_zip_call *c, struct zk_error *err)
{
	struct zk_http_res none = { 0 };

	finish(c, &none, err);
}

static void on_retry(void *ctx, unsigned retry, unsigned max, int64_t wait_ms,
                     const struct zk_error *err)
{
	struct zk_zip_call *c = ctx;

	if (c->z->conf.on_retry)
		c->z->conf.on_retry(c->z->conf.ctx, retry, max, wait_ms, err);
}

static bool on_data(void *ctx, zk_str piece)
{
	struct zk_zip_call *c = ctx;

	c->req.on_data(c->ctx, piece);
	return true;
}

static void on_restart(void *ctx)
{
	struct zk_zip_call *c = ctx;

	c->req.restart(c->ctx);
}

static int send(struct zk_zip_call *c, struct zk_error *err)
{
	struct zk_zip *z = c->z;
	bool writes = strcmp(c->method, "GET") != 0;
	const char *attrs[] = { "zeal.workflow_id", c->workflow, NULL };
	struct zk_send_conf conf = {
		.http = {
			.method = c->method,
			.url = c->url,
			.headers = (const char *const *)z->headers,
			.bearer = z->conf.token,
			.body = c->req.body,
			.body_borrowed = true,
			.content_type = c->req.body.p ? "application/json" : NULL,
			.ctx = c,
			.max_body = c->req.max_body ? c->req.max_body : MAX_ANSWER,
			.timeout_ms = c->req.timeout_ms,
			.pool_idle_ms = writes ? WRITE_IDLE_MS : 0,
			.target = "zeal",
			.route = c->route,
			.attrs = attrs[1] ? attrs : NULL,
			.on_data = c->req.on_data ? on_data : NULL,
			.flags = ZK_HTTP_DECODE | ZK_HTTP_FOLLOW | ZK_HTTP_FOLLOW_SAME |
				 ZK_HTTP_TRUST_BUSY |
				 (c->req.class == ZK_ZIP_R2 ? 0 : ZK_HTTP_IDEMPOTENT),
		},
		.retry = z->conf.retry,
		.on_retry = on_retry,
		.judge = zk_zip_judge,
		.restart = c->req.restart ? on_restart : NULL,
	};

	if (c->req.once)
		conf.retry.max_retries = 0;
	return zk_send_start(z->net, &conf, on_done, &c->send, err);
}

/* Milliseconds until the call may start: what the server asked for, --rate, the breaker. -1 when
 * it may not wait for the breaker. */
static int64_t wait_ms(struct zk_zip *z, int64_t now)
{
	int64_t at = ZK_MAX(z->pace_until_ms, now);

	if (z->conf.rate > 0)
		at = ZK_MAX(at, z->next_ms);
	if (z->breaker.state != ZK_BREAKER_CLOSED &&
	    zk_breaker_next_ms(&z->breaker, now) > now) {
		if (!z->conf.patient)
			return -1;
		at = ZK_MAX(at, zk_breaker_next_ms(&z->breaker, now));
	}
	return at - now;
}

static void take_turn(struct zk_zip *z, int64_t now)
{
	double step;

	(void)zk_breaker_allow(&z->breaker, now);
	if (z->conf.rate <= 0)
		return;
	step = 1000 / z->conf.rate + z->next_part;
	z->next_ms = ZK_MAX(z->next_ms, now) + (int64_t)step;
	z->next_part = step - (double)(int64_t)step;
}

static int fail_open(struct zk_zip *z, int64_t now, struct zk_error *err)
{
	(void)zk_fail(err, ZK_E_CONNECT,
	              "'%s' failed %d times in a row and is left alone for %lld s",
	              z->origin, BREAKER_FAILS,
	              (long long)(zk_breaker_next_ms(&z->breaker, now) - now + 999) /
	                      1000);
	return zk_err_members(err, ZK_STR("\"kind\":\"network\""));
}

static void on_turn(void *ctx)
{
	struct zk_zip_call *c = ctx;
	struct zk_error err = { 0 };
	int64_t now = zk_mono_ms(), wait = wait_ms(c->z, now);

	if (wait > 0) {
		zk_timer_start(c->timer, wait, 0);
		return;
	}
	if (wait < 0) {
		(void)fail_open(c->z, now, &err);
		fail_alone(c, &err);
		return;
	}
	take_turn(c->z, now);
	if (send(c, &err) < 0)
		fail_alone(c, &err);
}

static int begin(struct zk_zip_call *c, struct zk_error *err)
{
	int64_t now = zk_mono_ms(), wait = wait_ms(c->z, now);

	if (wait < 0)
		return fail_open(c->z, now, err);
	if (wait == 0) {
		take_turn(c->z, now);
		return send(c, err);
	}
	c->timer = zk_timer_new(zk_net_loop(c->z->net), on_turn, c);
	zk_timer_start(c->timer, wait, 0);
	return 0;
}

int zk_zip_start(struct zk_zip *z, const struct zk_zip_req *r, zk_zip_done_fn done,
                 void *ctx, struct zk_zip_call **ret, struct zk_error *err)
{
	struct zk_zip_call *c = zk_new0(struct zk_zip_call);

	c->z = z;
	c->req = *r;
	c->done = done;
	c->ctx = ctx;
	c->route = zk_strdup(r->route);
	c->method = zk_strdup(r->method ? r->method : "GET");
	c->url = zk_asprintf("%s%s%s", z->base, r->editor ? "/api" : "/api/zip",
	                     r->path ? r->path : r->route);
	c->workflow = copy(r->workflow ? r->workflow : z->workflow);
	c->req.route = c->req.path = c->req.method = c->req.workflow = NULL;
	c->req.raw |= r->on_data != NULL;
	if (r->body.n && !r->body_borrowed) {
		c->body = zk_alloc(r->body.n);
		memcpy(c->body, r->body.p, r->body.n);
		c->req.body.p = c->body;
	}
	zk_list_push(&z->calls, &c->link);
	if (begin(c, err) < 0) {
		call_free(c);
		return -(int)err->code;
	}
	*ret = c;
	return 0;
}

void zk_zip_cancel(struct zk_zip_call *c)
{
	if (c->ended)
		return;
	c->ended = true;
	if (c->send)
		zk_send_cancel(c->send);
	zk_breaker_cancel(&c->z->breaker);
	call_free(c);
}

void zk_zip_take_body(struct zk_zip_call *c, struct zk_buf *ret)
{
	if (c->answer)
		zk_http_take_body(c->answer, ret);
}

struct waiting {
	bool over;
	int r;
	struct zk_buf *body;
	struct zk_zip_end *end;
	struct zk_error *err;
};

static void on_waited(void *ctx, const struct zk_zip_end *end, struct zk_error *err)
{
	struct waiting *w = ctx;

	w->over = true;
	if (w->end) {
		*w->end = *end;
		w->end->body = ZK_STR_NULL;
		w->end->call = NULL;
	}
	if (w->body)
		zk_zip_take_body(end->call, w->body);
	if (err) {
		*w->err = *err;
		w->r = -(int)err->code;
	}
}

int zk_zip_call(struct zk_zip *z, const struct zk_zip_req *r, struct zk_buf *body,
                struct zk_zip_end *end, struct zk_error *err)
{
	struct waiting w = { .body = body, .end = end, .err = err };
	struct zk_zip_req borrowed = *r;
	struct zk_zip_call *c;

	borrowed.body_borrowed = true;
	if (zk_zip_start(z, &borrowed, on_waited, &w, &c, err) < 0)
		return -(int)err->code;
	zk_loop_until(zk_net_loop(z->net), &w.over);
	return w.r;
}
