/* One request: its head, its body, the calls of the handlers, its end.
 * Layer: net. */
#include <stdlib.h>

#include "base/clock.h"
#include "codec/uri.h"
#include "net/httpd_int.h"
#include "net/tls_server.h"
#include "rt/loop.h"

#include "base/ban.h"

#define MAX_FREE_REQS 64
/* Answers to pipelined requests are gathered up to this size before they are written. */
#define MAX_GATHER (32 * 1024)
#define MAX_KEEP   (1024 * 1024)

/* ------------------------------------------------------------------ life */

/* All but the header lines, which count only up to n_headers. */
static void clear_head(struct zk_http1_head *h)
{
	memset(h, 0, offsetof(struct zk_http1_head, headers));
	h->keep_alive = h->expect_continue = h->upgrade = false;
	h->chunked = h->has_length = false;
	h->length = 0;
}

static struct zk_httpd_req *req_new(struct zk_httpd_conn *c)
{
	struct zk_httpd *s = c->s;
	struct zk_httpd_req *r = s->free_reqs;

	if (r) {
		s->free_reqs = r->next;
		s->n_free_reqs--;
	} else {
		r = zk_new(struct zk_httpd_req);
	}
	/* Everything but the header lines, which the parser fills, and the texts. */
	memset(r, 0, offsetof(struct zk_httpd_req, small));
	memset(r->user, 0, sizeof(r->user));
	clear_head(&r->head);
	r->conn = c;
	r->limits = s->conf.head;
	r->start_us = zk_mono_us();
	r->counted = true;
	s->in_progress++;
	zk_http1_init(&r->parser, &r->limits);
	zk_buf_init_secret(&r->decoded, r->limits.max_head);
	zk_arena_init(&r->arena, MAX_KEEP);
	c->req = r;
	c->n_requests++;
	/* The limits may have been raised since the connection began. */
	c->in.cap = ZK_MAX(c->in.cap, r->limits.max_head + ZK_HTTPD_CHUNK);
	return r;
}

static void req_free(struct zk_httpd_conn *c)
{
	struct zk_httpd *s = c->s;
	struct zk_httpd_req *r = ZK_TAKE(c->req);

	if (r->counted)
		s->in_progress--;
	zk_httpd_body_drop(c);
	zk_buf_done(&r->decoded);
	zk_arena_done(&r->arena);
	if (s->n_free_reqs >= MAX_FREE_REQS || s->freed) {
		free(r);
		return;
	}
	r->next = s->free_reqs;
	s->free_reqs = r;
	s->n_free_reqs++;
}

void zk_httpd_req_finish(struct zk_httpd_conn *c)
{
	struct zk_httpd_req *r = c->req;
	struct zk_httpd *s = c->s;

	ZK_ASSERT(!r->in_handler);
	if (r->seen && s->conf.on_finish)
		s->conf.on_finish(s->conf.ctx, r, r->status, zk_mono_us() - r->start_us);
	req_free(c);
}

void zk_httpd_req_abandon(struct zk_httpd_conn *c)
{
	struct zk_httpd_req *r = c->req;

	if (!r)
		return;
	r->gone = true;
	if (!r->in_handler && (r->answered || !r->owed))
		zk_httpd_req_finish(c);
}

void zk_httpd_req_orphan(struct zk_httpd_conn *c)
{
	struct zk_httpd_req *r = c->req;
	struct zk_httpd *s = c->s;

	if (!r)
		return;
	r->gone = true;
	if (r->seen && s->conf.on_finish)
		s->conf.on_finish(s->conf.ctx, r, r->status, zk_mono_us() - r->start_us);
	r->seen = false;
}

/* ------------------------------------------------------------------ failures */

void zk_httpd_req_fail(struct zk_httpd_conn *c, int status, const char *detail,
                       const char *allow, bool close)
{
	struct zk_httpd_req *r = c->req;
	struct zk_httpd *s = c->s;

	c->phase = ZK_HTTPD_ANSWER;
	zk_httpd_wheel_set(c, 0);
	if (close)
		c->last = true;
	r->seen = r->owed = r->in_handler = true;
	if (s->conf.on_error)
		s->conf.on_error(s->conf.ctx, r, status, detail, allow);
	else
		zk_httpd_reply_error(r, status, detail, allow);
	r->in_handler = false;
}

bool zk_httpd_req_is_refusable(const struct zk_httpd_conn *c)
{
	return c->refused && c->phase == ZK_HTTPD_IDLE &&
	       (!c->tls || zk_tls_conn_is_ready(c->tls));
}

/* 503 to a connection that is over a limit, whatever it wants. */
static bool refuse(struct zk_httpd_conn *c)
{
	if (!zk_httpd_req_is_refusable(c))
		return c->eof && zk_httpd_req_input_ended(c);
	(void)req_new(c);
	zk_httpd_req_fail(c, 503, "too many connections", NULL, true);
	return true;
}

bool zk_httpd_req_input_ended(struct zk_httpd_conn *c)
{
	if (c->req) {
		c->req->gone = true;
		zk_httpd_req_finish(c);
	}
	c->last = true;
	if (c->phase != ZK_HTTPD_CLOSED)
		c->phase = ZK_HTTPD_ANSWERED;
	return true;
}

/* ------------------------------------------------------------------ head */

static void call_on_head(struct zk_httpd_conn *c)
{
	struct zk_httpd_req *r = c->req;
	enum zk_httpd_next next = ZK_HTTPD_BODY;

	r->seen = r->owed = r->in_handler = true;
	c->phase = ZK_HTTPD_DECIDE;
	if (r->route->on_head)
		next = r->route->on_head(c->s->conf.ctx, r);
	r->in_handler = false;
	if (r->answered || c->phase == ZK_HTTPD_CLOSED)
		return;
	switch (next) {
	case ZK_HTTPD_BODY:
		zk_httpd_body_start(c);
		break;
	case ZK_HTTPD_WAIT:
		if (r->proceed)
			zk_httpd_body_start(c);
		break;
	case ZK_HTTPD_DONE:
		c->phase = ZK_HTTPD_ANSWER;
		break;
	}
}

void zk_httpd_req_body_late(struct zk_httpd_conn *c)
{
	zk_httpd_req_fail(c, 408, "the body of the request did not arrive in time", NULL,
	                  true);
}

static void unknown_method(struct zk_httpd_conn *c, const char *allow)
{
	struct zk_httpd_req *r = c->req;
	const struct zk_httpd_conf *conf = &c->s->conf;

	if (conf->on_options && zk_str_eq(r->head.method, ZK_STR("OPTIONS"))) {
		r->seen = r->owed = r->in_handler = true;
		c->phase = ZK_HTTPD_ANSWER;
		bool taken = conf->on_options(conf->ctx, r, allow);
		r->in_handler = false;
		if (taken || r->answered || c->phase == ZK_HTTPD_CLOSED)
			return;
	}
	zk_httpd_req_fail(c, 405, "the method is not allowed here", allow, false);
}

/* Framing was checked; the order of the rest is that of specs/triggers.md §2. */
static void route_request(struct zk_httpd_conn *c)
{
	struct zk_httpd_req *r = c->req;
	struct zk_httpd_found found = { .route = NULL };

	zk_uri_split(r->head.target, &r->path, &r->query);
	if (r->path.n == 0)
		r->path = ZK_STR("/"); /* absolute form without a path */
	if (zk_str_eq(r->path, ZK_STR("*"))) {
		unknown_method(c, zk_httpd_router_methods(c->s->router));
		return;
	}
	switch (zk_httpd_router_match(c->s->router, r->path, r->head.method, &r->decoded,
	                              &found)) {
	case ZK_HTTPD_NO_PATH:
		zk_httpd_req_fail(c, 404, "there is nothing at this path", NULL, false);
		return;
	case ZK_HTTPD_NO_METHOD:
		unknown_method(c, found.allow);
		return;
	case ZK_HTTPD_FOUND:
		break;
	}
	r->route = found.route;
	memcpy(r->params, found.params, sizeof(r->params));
	if (r->head.has_length && r->head.length > zk_httpd_body_max(c)) {
		(void)zk_httpd_body_too_large(c);
		return;
	}
	call_on_head(c);
}

/* The head is complete; a chunked body needs some place behind it, and nobody has slices yet. */
static void make_room(struct zk_httpd_conn *c)
{
	struct zk_httpd_req *r = c->req;
	size_t used = 0;

	if (!r->head.chunked || c->in.room - c->in.n >= 1024)
		return;
	zk_httpd_in_shift(c, c->base);
	/* It fails only where more bytes than that stand behind the head, which will go. */
	if (c->in.n + 4096 <= c->in.cap)
		(void)zk_buf_reserve(&c->in, 4096);
	zk_http1_init(&r->parser, &r->limits);
	enum zk_http1_result again =
	        zk_http1_parse(&r->parser, zk_str_n(c->in.p + c->base, c->in.n - c->base),
	                       &r->head, &used);
	ZK_ASSERT(again == ZK_HTTP1_DONE);
}

/* Whatever the parser left in the head may point to where the buffer was before. */
static bool head_failed(struct zk_httpd_conn *c, int status, const char *detail)
{
	clear_head(&c->req->head);
	zk_httpd_req_fail(c, status, detail, NULL, true);
	return true;
}

void zk_httpd_req_head_late(struct zk_httpd_conn *c)
{
	(void)head_failed(c, 408, "the head of the request did not arrive in time");
}

static bool parse_head(struct zk_httpd_conn *c)
{
	struct zk_httpd_req *r = c->req;
	zk_str head = zk_str_n(c->in.p + c->base, c->in.n - c->base);
	size_t used = 0;

	switch (zk_http1_parse(&r->parser, head, &r->head, &used)) {
	case ZK_HTTP1_MORE:
		c->pos = c->in.n; /* all of it was looked at */
		return c->eof && zk_httpd_req_input_ended(c);
	case ZK_HTTP1_DONE:
		zk_httpd_wheel_set(c, 0);
		c->pos = c->base + used;
		make_room(c);
		r->head_end = c->pos;
		route_request(c);
		return true;
	case ZK_HTTP1_BAD:
		return head_failed(c, 400, r->parser.reason);
	case ZK_HTTP1_TOO_LONG:
		return head_failed(c, 431, "the head of the request is too large");
	case ZK_HTTP1_URI_LONG:
		return head_failed(c, 414, "the request target is too long");
	case ZK_HTTP1_VERSION:
		return head_failed(c, 505, "only HTTP/1.1 and 1.0 are spoken here");
	}
	return false;
}

static bool begin(struct zk_httpd_conn *c)
{
	if (c->pos == c->in.n)
		return c->eof && zk_httpd_req_input_ended(c);
	c->base = c->pos;
	(void)req_new(c);
	c->phase = ZK_HTTPD_HEAD;
	if (parse_head(c))
		return true;
	/* The first head's time runs from the connect. */
	if (c->n_requests > 1)
		zk_httpd_wheel_set(c, zk_loop_now_ms(c->s->loop) +
		                              c->s->conf.head_timeout_ms);
	return false;
}

/* ------------------------------------------------------------------ steps */

/* More requests are here already: their answers go out together with this one. */
static bool gather(struct zk_httpd_conn *c)
{
	if (c->last || c->stream || c->writing || c->pos == c->in.n ||
	    c->out.n > MAX_GATHER || c->skip)
		return false;
	zk_httpd_req_finish(c);
	c->phase = ZK_HTTPD_IDLE;
	return true;
}

bool zk_httpd_req_step(struct zk_httpd_conn *c)
{
	switch (c->phase) {
	case ZK_HTTPD_IDLE:
		return c->refused ? refuse(c) : begin(c);
	case ZK_HTTPD_HEAD:
		return parse_head(c);
	case ZK_HTTPD_COLLECT:
		return zk_httpd_body_collect(c);
	case ZK_HTTPD_SKIP:
		return zk_httpd_body_skip(c);
	case ZK_HTTPD_ANSWERED:
		return c->req && gather(c);
	case ZK_HTTPD_DECIDE:
	case ZK_HTTPD_ANSWER:
	case ZK_HTTPD_STREAM:
	case ZK_HTTPD_LINGER:
	case ZK_HTTPD_CLOSED:
		break;
	}
	return false;
}

void zk_httpd_continue(struct zk_httpd_req *r)
{
	struct zk_httpd_conn *c = r->conn;

	ZK_ASSERT(!r->answered);
	if (r->in_handler) {
		r->proceed = true;
		return;
	}
	if (c->phase == ZK_HTTPD_CLOSED)
		r->owed = false;
	else
		zk_httpd_body_start(c);
	zk_httpd_conn_dirty(c);
}

/* ------------------------------------------------------------------ accessors */

zk_str zk_httpd_keep(struct zk_httpd_req *r, zk_str s)
{
	char *p;

	if (s.n <= sizeof(r->small) - r->small_n) {
		p = r->small + r->small_n;
		if (s.n)
			memcpy(p, s.p, s.n);
		r->small_n += s.n;
		return zk_str_n(p, s.n);
	}
	p = zk_arena_strndup(&r->arena, s.p, s.n);
	return p ? zk_str_n(p, s.n) : ZK_STR_NULL;
}

const struct zk_http1_head *zk_httpd_head(const struct zk_httpd_req *r)
{
	return &r->head;
}

zk_str zk_httpd_header(const struct zk_httpd_req *r, zk_str name)
{
	return zk_http1_header(&r->head, name);
}

zk_str zk_httpd_path(const struct zk_httpd_req *r)
{
	return r->path;
}

zk_str zk_httpd_query(const struct zk_httpd_req *r)
{
	return r->query;
}

zk_str zk_httpd_param(const struct zk_httpd_req *r, unsigned i)
{
	return i < ZK_HTTPD_MAX_PARAMS ? r->params[i] : ZK_STR_NULL;
}

zk_str zk_httpd_body(const struct zk_httpd_req *r)
{
	return r->body;
}

const struct zk_route *zk_httpd_route(const struct zk_httpd_req *r)
{
	return r->route;
}

bool zk_httpd_client_is_loopback(const struct zk_httpd_req *r)
{
	return r->conn->loopback;
}

int64_t zk_httpd_start_us(const struct zk_httpd_req *r)
{
	return r->start_us;
}

bool zk_httpd_gone(const struct zk_httpd_req *r)
{
	return r->gone;
}

void *zk_httpd_user(struct zk_httpd_req *r)
{
	return r->user;
}
