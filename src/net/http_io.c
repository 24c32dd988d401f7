/* What comes of a request while it is under way: the head of its answer, its body, the source of
 * the body that is sent.
 * Layer: net, internal to the HTTP client.
 *
 * All of it runs inside an engine: nothing may be started, removed or freed; see http_priv.h. */
#include <stdio.h>

#include "base/clock.h"
#include "codec/press.h"
#include "net/http_priv.h"
#include "net/trace.h"

#include "base/ban.h"

static enum zk_http_took stop(struct zk_http *req, enum zk_http_end why)
{
	req->end = why;
	return ZK_HTTP_STOP;
}

void zk_http_note_blocked(struct zk_http *req, const char *ip, const char *why)
{
	(void)snprintf(req->blocked_ip, sizeof(req->blocked_ip), "%s", ip);
	req->blocked_why = why;
}

static bool is_redirect(int status)
{
	return status == 301 || status == 302 || status == 303 || status == 307 ||
	       status == 308;
}

/* Whether this answer only leads to another one: its body is of no interest. */
static bool will_follow(struct zk_http *req)
{
	return req->conf.flags & ZK_HTTP_FOLLOW && is_redirect(req->res.status) &&
	       zk_http_header(req, "Location").p;
}

/* Looks for what has to be decoded. libcurl could do it, but takes a stream that was cut off for
 * a whole one. False for an encoding that was not asked for. */
static bool prepare_decoding(struct zk_http *req)
{
	zk_str name = zk_http_header(req, "Content-Encoding");
	enum zk_press kind;
	struct zk_error ignored;

	if (!zk_http_decodes(req) || !name.n ||
	    zk_str_eq_nocase(name, ZK_STR("identity")))
		return true;
	return zk_press_parse(name, &kind) && kind == ZK_PRESS_GZIP &&
	       zk_unpress_new(kind, NULL, req->conf.max_body, &req->unpress, &ignored) ==
	               0;
}

bool zk_http_on_head(struct zk_http *req)
{
	/* 1xx is not the answer yet. */
	if (req->res.status < 200)
		return true;
	req->head_done = true;
	req->follow = will_follow(req);
	if (req->follow)
		return true;
	if (!prepare_decoding(req)) {
		req->end = ZK_HTTP_END_ENCODING;
		return false;
	}
	if (!req->conf.on_head)
		return true;
	req->told_head = true;
	req->conf.on_head(req->conf.ctx, req->res.status, req);
	return !req->cancelled;
}

/* Keeps a piece of the body, up to its cap. */
static enum zk_http_took keep(struct zk_http *req, zk_str piece)
{
	size_t room = req->conf.max_body - req->body.n;
	bool fits = piece.n <= room;

	if (!fits && !(req->conf.flags & ZK_HTTP_TRUNCATE))
		return stop(req, ZK_HTTP_END_BODY);
	zk_buf_put(&req->body, piece.p, fits ? piece.n : room);
	if (fits)
		return ZK_HTTP_TAKEN;
	req->res.truncated = true;
	return ZK_HTTP_STOP;
}

static enum zk_http_took decode(struct zk_http *req, zk_str piece)
{
	struct zk_error err;
	int r = zk_unpress_put(req->unpress, piece, &req->body, &err);

	req->body_bytes += piece.n;
	if (r == 0)
		return ZK_HTTP_TAKEN;
	if (r != -ZK_E_LIMIT)
		return stop(req, ZK_HTTP_END_ENCODING);
	if (!(req->conf.flags & ZK_HTTP_TRUNCATE))
		return stop(req, ZK_HTTP_END_BODY);
	req->res.truncated = true;
	return ZK_HTTP_STOP;
}

static enum zk_http_took hand_on(struct zk_http *req, zk_str piece)
{
	size_t max = req->conf.max_body;

	if (max && piece.n > max - ZK_MIN(max, req->body_bytes))
		return stop(req, ZK_HTTP_END_BODY);
	req->wake_down = false;
	if (!req->conf.on_data(req->conf.ctx, piece) && !req->cancelled) {
		req->paused_down = true;
		if (req->wake_down)
			zk_net_todo(req->net, req, ZK_TODO_RESUME);
		return ZK_HTTP_PAUSED;
	}
	if (req->cancelled)
		return ZK_HTTP_STOP;
	req->body_bytes += piece.n;
	return ZK_HTTP_TAKEN;
}

static enum zk_http_took skip(struct zk_http *req, zk_str piece)
{
	req->body_bytes += piece.n;
	return req->body_bytes <= ZK_HTTP_HEAD_MAX ? ZK_HTTP_TAKEN
	                                           : stop(req, ZK_HTTP_END_BODY);
}

enum zk_http_took zk_http_on_body(struct zk_http *req, zk_str piece)
{
	enum zk_http_took r;

	if (req->cancelled)
		return ZK_HTTP_STOP;
	req->active_ms = zk_mono_ms();
	if (req->follow)
		return skip(req, piece);
	if (req->unpress)
		r = decode(req, piece);
	else
		r = req->conf.on_data ? hand_on(req, piece) : keep(req, piece);
	if (req->exchange && r == ZK_HTTP_TAKEN && !req->unpress)
		zk_trace_body(req->exchange, ZK_TRACE_IN, piece);
	return r;
}

ptrdiff_t zk_http_on_pull(struct zk_http *req, char *p, size_t room)
{
	ptrdiff_t got;

	if (req->cancelled)
		return -2;
	req->active_ms = zk_mono_ms();
	req->wake_up = false;
	got = req->conf.pull(req->conf.ctx, p, room);
	if (req->cancelled)
		return -2;
	if (got == -1) {
		req->paused_up = true;
		if (req->wake_up)
			zk_net_todo(req->net, req, ZK_TODO_RESUME);
		return -1;
	}
	if (got < 0) {
		req->end = ZK_HTTP_END_PULL;
		return -2;
	}
	ZK_ASSERT((size_t)got <= room);
	if (req->exchange && got)
		zk_trace_body(req->exchange, ZK_TRACE_OUT, zk_str_n(p, (size_t)got));
	return got;
}
