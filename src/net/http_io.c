/* What libcurl calls while a transfer runs: sockets, heads, bodies.
 * Layer: net, internal to the HTTP client.
 *
 * Everything here runs inside libcurl: nothing may be started, removed or freed; see
 * http_priv.h. After zk_http_cancel() the owner's callbacks are not called any more. */
#include <curl/curl.h>
#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "codec/press.h"
#include "net/curl.def"
#include "net/http_priv.h"
#include "net/trace.h"
#include "rt/metrics.h"

#include "base/ban.h"

/* No callback may return this as a count: it fails the transfer. */
#define STOP ((size_t)-1)

static size_t stop(struct zk_http *req, enum zk_http_end why)
{
	req->end = why;
	return STOP;
}

static void note_blocked(struct zk_http *req, const char *ip, const char *why)
{
	(void)snprintf(req->blocked_ip, sizeof(req->blocked_ip), "%s", ip);
	req->blocked_why = why;
}

static void count_connection(struct zk_net *n, double by)
{
	if (!n->active && n->metrics)
		n->active =
		        zk_metrics_gauge(n->metrics, "zk_active_connections",
		                         "Open connections of outgoing requests.", NULL);
	if (n->active)
		zk_gauge_add(n->active, by);
}

/* CURLOPT_CLOSESOCKETFUNCTION; the request is long gone when a pooled connection closes. */
static int on_close(void *ctx, curl_socket_t fd)
{
	count_connection(ctx, -1);
	return close(fd);
}

/* CURLOPT_OPENSOCKETFUNCTION: once per address that is tried, never for a pooled connection. */
static curl_socket_t on_open(void *ctx, curlsocktype purpose, struct curl_sockaddr *a)
{
	struct zk_http *req = ctx;
	const char *why = NULL;
	int fd;

	if (purpose != CURLSOCKTYPE_IPCXN || req->cancelled)
		return CURL_SOCKET_BAD;
	if (req->guarded && !req->via_proxy)
		why = zk_guard_judge(&req->guard, &a->addr);
	if (why) {
		char ip[64] = "";

		if (getnameinfo(&a->addr, a->addrlen, ip, sizeof(ip), NULL, 0,
		                NI_NUMERICHOST))
			ip[0] = '\0';
		note_blocked(req, ip, why);
		return CURL_SOCKET_BAD;
	}
	fd = socket(a->family, a->socktype | SOCK_CLOEXEC, a->protocol);
	req->opened++;
	if (fd < 0) {
		req->sys_errno = errno;
		return CURL_SOCKET_BAD;
	}
	count_connection(req->net, 1);
	return fd;
}

/* CURLOPT_PREREQFUNCTION: the connection is there, new or pooled, and nothing was sent yet. */
static int on_prereq(void *ctx, char *peer, char *local, int port, int local_port)
{
	struct zk_http *req = ctx;
	const char *why = NULL;

	(void)local;
	(void)local_port;
	if (req->cancelled)
		return CURL_PREREQFUNC_ABORT;
	if (req->guarded && !req->via_proxy)
		why = zk_guard_judge_text(&req->guard, peer, port);
	if (why) {
		note_blocked(req, peer, why);
		req->end = ZK_HTTP_END_BLOCKED;
		return CURL_PREREQFUNC_ABORT;
	}
	/* libcurl repeats by itself what it had sent on a pooled connection that died. */
	if (req->prereqs++ > 0 && !req->repeatable) {
		req->end = ZK_HTTP_END_REPEAT;
		return CURL_PREREQFUNC_ABORT;
	}
	req->connected = true;
	return CURL_PREREQFUNC_OK;
}

/* "HTTP/1.1 200 OK" to 200. */
static int status_of(zk_str line)
{
	zk_str version, code = zk_str_cut(line, ' ', &version);

	if (code.n < 3)
		return 0;
	return (code.p[0] - '0') * 100 + (code.p[1] - '0') * 10 + (code.p[2] - '0');
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

/* False when the transfer is to be stopped. */
static bool head_is_done(struct zk_http *req)
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
	return true;
}

/* CURLOPT_HEADERFUNCTION: one whole line at a time; the lines of a trailer too. */
static size_t on_header(char *p, size_t size, size_t n, void *ctx)
{
	struct zk_http *req = ctx;
	zk_str line = zk_str_n(p, size * n);

	if (req->cancelled)
		return STOP;
	req->active_ms = zk_mono_ms();
	if (req->head_done)
		return line.n; /* a trailer: it may not change what was said */
	if (zk_str_starts(line, ZK_STR("HTTP/"))) {
		if (!req->first_byte_us)
			req->first_byte_us = zk_mono_us();
		zk_buf_clear(&req->head);
		req->res.status = status_of(line);
	}
	zk_buf_add(&req->head, line);
	if (req->head.failed)
		return stop(req, ZK_HTTP_END_HEAD);
	if (zk_str_trim(line).n == 0 && !head_is_done(req))
		return STOP;
	return req->cancelled ? STOP : line.n;
}

/* Keeps a piece of the body, up to its cap. */
static size_t keep(struct zk_http *req, zk_str piece)
{
	size_t room = req->conf.max_body - req->body.n;
	bool fits = piece.n <= room;

	if (!fits && !(req->conf.flags & ZK_HTTP_TRUNCATE))
		return stop(req, ZK_HTTP_END_BODY);
	zk_buf_put(&req->body, piece.p, fits ? piece.n : room);
	if (fits)
		return piece.n;
	req->res.truncated = true;
	return STOP;
}

static size_t decode(struct zk_http *req, zk_str piece)
{
	struct zk_error err;
	int r = zk_unpress_put(req->unpress, piece, &req->body, &err);

	req->body_bytes += piece.n;
	if (r == 0)
		return piece.n;
	if (r != -ZK_E_LIMIT)
		return stop(req, ZK_HTTP_END_ENCODING);
	if (!(req->conf.flags & ZK_HTTP_TRUNCATE))
		return stop(req, ZK_HTTP_END_BODY);
	req->res.truncated = true;
	return STOP;
}

static size_t hand_on(struct zk_http *req, zk_str piece)
{
	size_t max = req->conf.max_body;

	if (max && piece.n > max - ZK_MIN(max, req->body_bytes))
		return stop(req, ZK_HTTP_END_BODY);
	req->wake_down = false;
	if (!req->conf.on_data(req->conf.ctx, piece) && !req->cancelled) {
		req->paused_down = true;
		if (req->wake_down)
			zk_net_todo(req->net, req, ZK_TODO_RESUME);
		return CURL_WRITEFUNC_PAUSE;
	}
	if (req->cancelled)
		return STOP;
	req->body_bytes += piece.n;
	return piece.n;
}

/* CURLOPT_WRITEFUNCTION */
static size_t on_write(char *p, size_t size, size_t n, void *ctx)
{
	struct zk_http *req = ctx;
	zk_str piece = zk_str_n(p, size * n);
	size_t r;

	if (req->cancelled)
		return STOP;
	req->active_ms = zk_mono_ms();
	if (piece.n == 0)
		return 0;
	if (req->follow) {
		req->body_bytes += piece.n;
		return req->body_bytes <= ZK_HTTP_HEAD_MAX ? piece.n
		                                           : stop(req, ZK_HTTP_END_BODY);
	}
	if (req->unpress)
		r = decode(req, piece);
	else
		r = req->conf.on_data ? hand_on(req, piece) : keep(req, piece);
	if (req->exchange && r == piece.n && !req->unpress)
		zk_trace_body(req->exchange, ZK_TRACE_IN, piece);
	return r;
}

/* CURLOPT_READFUNCTION */
static size_t on_read(char *p, size_t size, size_t n, void *ctx)
{
	struct zk_http *req = ctx;
	ptrdiff_t got;

	if (req->cancelled)
		return CURL_READFUNC_ABORT;
	req->active_ms = zk_mono_ms();
	req->wake_up = false;
	got = req->conf.pull(req->conf.ctx, p, size * n);
	if (req->cancelled)
		return CURL_READFUNC_ABORT;
	if (got == -1) {
		req->paused_up = true;
		if (req->wake_up)
			zk_net_todo(req->net, req, ZK_TODO_RESUME);
		return CURL_READFUNC_PAUSE;
	}
	if (got < 0) {
		req->end = ZK_HTTP_END_PULL;
		return CURL_READFUNC_ABORT;
	}
	ZK_ASSERT((size_t)got <= size * n);
	if (req->exchange && got)
		zk_trace_body(req->exchange, ZK_TRACE_OUT, zk_str_n(p, (size_t)got));
	return (size_t)got;
}

/* CURLOPT_DEBUGFUNCTION: for the trace only. */
static int on_debug(CURL *easy, curl_infotype type, char *p, size_t n, void *ctx)
{
	struct zk_http *req = ctx;

	(void)easy;
	if (!req->exchange)
		return 0;
	if (type == CURLINFO_TEXT)
		zk_trace_lines(req->exchange, ZK_TRACE_NOTE, zk_str_n(p, n));
	else if (type == CURLINFO_HEADER_OUT)
		zk_trace_lines(req->exchange, ZK_TRACE_OUT, zk_str_n(p, n));
	else if (type == CURLINFO_HEADER_IN)
		zk_trace_lines(req->exchange, ZK_TRACE_IN, zk_str_n(p, n));
	return 0;
}

void zk_http_set_callbacks(struct zk_http *req)
{
	CURL *e = req->easy;

	ZK_SET_FN(e, CURLOPT_OPENSOCKETFUNCTION, on_open);
	ZK_SET_PTR(e, CURLOPT_OPENSOCKETDATA, req);
	ZK_SET_FN(e, CURLOPT_CLOSESOCKETFUNCTION, on_close);
	ZK_SET_PTR(e, CURLOPT_CLOSESOCKETDATA, req->net);
	ZK_SET_FN(e, CURLOPT_PREREQFUNCTION, on_prereq);
	ZK_SET_PTR(e, CURLOPT_PREREQDATA, req);
	ZK_SET_FN(e, CURLOPT_HEADERFUNCTION, on_header);
	ZK_SET_PTR(e, CURLOPT_HEADERDATA, req);
	ZK_SET_FN(e, CURLOPT_WRITEFUNCTION, on_write);
	ZK_SET_PTR(e, CURLOPT_WRITEDATA, req);
	if (req->conf.pull) {
		ZK_SET_FN(e, CURLOPT_READFUNCTION, on_read);
		ZK_SET_PTR(e, CURLOPT_READDATA, req);
	}
	if (req->exchange && zk_trace_wants_lines(req->exchange)) {
		ZK_SET_LONG(e, CURLOPT_VERBOSE, 1);
		ZK_SET_FN(e, CURLOPT_DEBUGFUNCTION, on_debug);
		ZK_SET_PTR(e, CURLOPT_DEBUGDATA, req);
	}
}
