/* Request bodies: collecting and skipping them.
 * Layer: net. */
#include "net/httpd_int.h"
#include "rt/loop.h"

#include "base/ban.h"

/* A longer rest of an unwanted body is not worth reading: the connection is closed. */
#define MAX_SKIP (64 * 1024)
/* A body buffer grows with what arrives, not with what was announced. */
#define BODY_STEP (32 * 1024)

void zk_httpd_body_drop(struct zk_httpd_conn *c)
{
	c->s->body_bytes -= c->body.room;
	zk_buf_done(&c->body);
	c->body_aside = false;
}

/* Room for `n` more bytes of the body; false when all bodies together would be too large. */
static bool body_reserve(struct zk_httpd_conn *c, size_t n)
{
	struct zk_httpd *s = c->s;
	size_t room = c->body.room;
	size_t grown = ZK_MIN(ZK_MAX(room, n), c->body.cap - room); /* as zk_buf does */

	if (n <= room - c->body.n)
		return true;

	if (s->body_bytes + grown > s->conf.max_bodies)
		return false;
	if (!zk_buf_reserve(&c->body, n))
		return false;
	s->body_bytes += c->body.room - room;
	return true;
}

/* Absolute, but longer for more bytes, announced or received. */
static void set_body_deadline(struct zk_httpd_conn *c, uint64_t bytes)
{
	const struct zk_httpd_conf *conf = &c->s->conf;
	int64_t extra = 0;

	if (conf->body_bytes_per_s)
		extra = (int64_t)(bytes * 1000 / conf->body_bytes_per_s);
	zk_httpd_wheel_set(c, c->body_since_ms + conf->body_timeout_ms + extra);
}

uint64_t zk_httpd_body_max(const struct zk_httpd_conn *c)
{
	const struct zk_route *route = c->req->route;

	return route && route->max_body ? route->max_body : c->s->conf.max_body;
}

/* What follows the end of the head in `in`. */
static zk_str unread(const struct zk_httpd_conn *c)
{
	return c->in.p ? zk_str_n(c->in.p + c->pos, c->in.n - c->pos) : ZK_STR_NULL;
}

bool zk_httpd_body_too_large(struct zk_httpd_conn *c)
{
	zk_httpd_req_fail(c, 413, "the body is larger than allowed", NULL, true);
	return true;
}

static bool no_room(struct zk_httpd_conn *c)
{
	zk_httpd_req_fail(c, 503, "too many request bodies in progress", NULL, true);
	return true;
}

/* The body is here: the handler's turn. */
static bool body_complete(struct zk_httpd_conn *c, zk_str body)
{
	struct zk_httpd_req *r = c->req;

	zk_httpd_wheel_set(c, 0);
	r->body = body;
	r->body_done = true;
	r->owed = r->in_handler = true;
	c->phase = ZK_HTTPD_ANSWER;
	r->route->on_body(c->s->conf.ctx, r);
	r->in_handler = false;
	return true;
}

/* Moves bytes of a body with a length out of `in`; the next reads go to `body` directly. */
static bool collect_length(struct zk_httpd_conn *c)
{
	const struct zk_http1_head *h = &c->req->head;
	zk_str here = unread(c);

	if (!c->body_aside) {
		if (here.n < h->length)
			return false;
		c->pos += (size_t)h->length;
		return body_complete(c, zk_str_n(here.p, (size_t)h->length));
	}
	here.n = ZK_MIN(here.n, (size_t)(h->length - c->body.n));
	if (here.n) {
		if (!body_reserve(c, here.n))
			return no_room(c);
		zk_buf_add(&c->body, here);
		c->pos += here.n;
	}

	size_t left = (size_t)(h->length - c->body.n);
	if (left == 0)
		return body_complete(c, zk_buf_str(&c->body));
	if (c->body.n == c->body.room &&
	    !body_reserve(c, ZK_MIN(left, ZK_MAX(c->body.n, (size_t)BODY_STEP))))
		return no_room(c);
	return false;
}

static bool chunks_broken(struct zk_httpd_conn *c, enum zk_http1_result result)
{
	if (result == ZK_HTTP1_TOO_LONG)
		zk_httpd_req_fail(c, 431, "chunk extensions or trailers are too long",
		                  NULL, true);
	else
		zk_httpd_req_fail(c, 400, "malformed chunked body", NULL, true);
	return true;
}

static bool collect_chunked(struct zk_httpd_conn *c)
{
	struct zk_httpd_req *r = c->req;

	while (c->pos < c->in.n) {
		zk_str data;
		size_t used;
		enum zk_http1_result result =
		        zk_http1_chunks_next(&r->chunks, unread(c), &data, &used);

		c->pos += used;
		if (data.n > c->body.cap - c->body.n)
			return zk_httpd_body_too_large(c);
		if (data.n && !body_reserve(c, data.n))
			return no_room(c);
		zk_buf_add(&c->body, data);
		if (result == ZK_HTTP1_DONE)
			return body_complete(c, zk_buf_str(&c->body));
		if (result != ZK_HTTP1_MORE)
			return chunks_broken(c, result);
	}
	/* The place behind the head is free for the next read. */
	c->pos = c->in.n = r->head_end;
	return false;
}

bool zk_httpd_body_collect(struct zk_httpd_conn *c)
{
	bool chunked = c->req->head.chunked;

	if (chunked ? collect_chunked(c) : collect_length(c))
		return true;
	if (c->eof)
		return zk_httpd_req_input_ended(c);
	if (chunked)
		set_body_deadline(c, c->body.n);
	return false;
}

/* The handler wants the body. */
void zk_httpd_body_start(struct zk_httpd_conn *c)
{
	struct zk_httpd_req *r = c->req;
	const struct zk_http1_head *h = &r->head;

	c->phase = ZK_HTTPD_COLLECT;
	r->owed = false;
	ZK_ASSERT(r->route->on_body);
	c->body_since_ms = zk_loop_now_ms(c->s->loop);
	if (!h->chunked && h->length == 0)
		return;
	if (h->expect_continue && c->pos == c->in.n)
		zk_buf_lit(&c->out, "HTTP/1.1 100 Continue\r\n\r\n");
	set_body_deadline(c, h->length);
	c->body_aside = h->chunked || h->length > c->in.room - c->pos;
	if (!c->body_aside)
		return;
	zk_buf_init(&c->body,
	            h->chunked ? (size_t)zk_httpd_body_max(c) : (size_t)h->length);
	zk_http1_chunks_init(&r->chunks);
	if (!h->chunked &&
	    !body_reserve(c, (size_t)ZK_MIN(h->length, (uint64_t)BODY_STEP)))
		(void)no_room(c);
}

/* A chunked body can only be skipped when its end is here already. */
static bool skip_chunks(struct zk_httpd_conn *c)
{
	struct zk_httpd_req *r = c->req;
	enum zk_http1_result result = ZK_HTTP1_MORE;

	if (!c->body_aside)
		zk_http1_chunks_init(&r->chunks);
	while (result == ZK_HTTP1_MORE && c->pos < c->in.n) {
		zk_str data;
		size_t used;

		result = zk_http1_chunks_next(&r->chunks, unread(c), &data, &used);
		c->pos += used;
	}
	return result == ZK_HTTP1_DONE;
}

bool zk_httpd_body_forget(struct zk_httpd_conn *c)
{
	struct zk_httpd_req *r = c->req;
	const struct zk_http1_head *h = &r->head;

	if (r->body_done)
		return true;
	r->body_done = true;
	if (h->chunked)
		return skip_chunks(c);

	uint64_t left = h->length - (c->body_aside ? c->body.n : 0);
	size_t here = (size_t)ZK_MIN((uint64_t)(c->in.n - c->pos), left);
	c->pos += here;
	left -= here;
	if (left > MAX_SKIP || (left && h->expect_continue))
		return false;
	c->skip = left;
	return true;
}

bool zk_httpd_body_skip(struct zk_httpd_conn *c)
{
	size_t here = (size_t)ZK_MIN((uint64_t)(c->in.n - c->pos), c->skip);

	c->pos += here;
	c->skip -= here;
	if (c->skip)
		return c->eof && zk_httpd_req_input_ended(c);
	zk_httpd_conn_idle(c);
	return true;
}
