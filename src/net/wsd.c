/* The server's side of a WebSocket.
 * Layer: net. */
#include "net/wsd.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uv.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/mem.h"
#include "codec/b64.h"
#include "codec/wsframe.h"
#include "net/httpd.h"
#include "net/ws.h"
#include "rt/loop.h"

#include "base/ban.h"

#define MESSAGE_MAX     65536
#define UNSENT_MAX      (16u << 20)
#define PING_AFTER_MS   30000
#define PONG_WITHIN_MS  20000
#define CLOSE_WITHIN_MS 1000
#define WATCH_MS        1000
#define READ_MAX        4096
#define REST_MAX        65536 /* read behind the request's head */
#define KEY_CHARS       24
#define REASON_MAX      123

enum state {
	OPEN,
	GOODBYE, /* our close frame is written behind what waits */
	LINGER,  /* it is; the client may read it before the end */
	ENDED,
};

/* Lives until its handle is closed, longer than the owner's use of it. */
struct zk_wsd {
	union {
		uv_handle_t handle;
		uv_stream_t stream;
		uv_tcp_t tcp;
		uv_pipe_t pipe;
	} uv;
	uv_write_t req;
	uv_shutdown_t shutdown;
	struct zk_wsd_conf conf;
	enum state state;
	struct zk_wsframe frames;
	struct zk_buf part;          /* the message that comes in pieces */
	struct zk_buf next, current; /* what is to be written, what is being written */
	struct zk_buf rest;          /* read before the handshake was answered */
	struct zk_timer *watch;
	int64_t moved_ms; /* a byte went in or out */
	int64_t ping_ms;  /* since when it has to move, for a ping; 0 = it has not */
	bool ping_due;    /* what is written next is the ping, which is no sign of life */
	int64_t close_ms; /* the goodbye was begun */
	char pong[ZK_WSFRAME_CONTROL_MAX];
	size_t pong_n;
	bool pong_due, flush_due, close_sent;
	char room[READ_MAX];
};

static void on_flush(void *ctx);
static void on_begin(void *ctx);
static void on_ended(void *ctx);

/* ---- the end ---- */

static void on_closed(uv_handle_t *h)
{
	struct zk_wsd *w = h->data;

	zk_buf_done(&w->part);
	zk_buf_done(&w->next);
	zk_buf_done(&w->current);
	zk_buf_done(&w->rest);
	free(w);
}

void zk_wsd_abort(struct zk_wsd *w)
{
	if (!w)
		return;
	w->state = ENDED;
	zk_loop_forget(w->conf.loop, on_flush, w);
	zk_loop_forget(w->conf.loop, on_begin, w);
	zk_loop_forget(w->conf.loop, on_ended, w);
	zk_timer_free(ZK_TAKE(w->watch));
	if (!uv_is_closing(&w->uv.handle))
		uv_close(&w->uv.handle, on_closed);
}

static void on_ended(void *ctx)
{
	struct zk_wsd *w = ctx;

	w->conf.on_end(w->conf.ctx);
	zk_wsd_abort(w);
}

/* on_end comes at the end of this turn. */
static void end(struct zk_wsd *w)
{
	if (w->state == ENDED)
		return;
	w->state = ENDED;
	(void)uv_read_stop(&w->uv.stream); /* cannot fail */
	zk_loop_defer(w->conf.loop, on_ended, w);
}

/* ---- writing ---- */

/* A sign of life. */
static void moved(struct zk_wsd *w)
{
	w->moved_ms = zk_mono_ms();
	w->ping_ms = 0;
}

static void written_some(struct zk_wsd *w)
{
	if (w->ping_due)
		w->ping_due = false;
	else
		moved(w);
}

static void put_frame(struct zk_wsd *w, enum zk_wsframe_op op, zk_str bytes)
{
	char room[ZK_WSFRAME_HEAD_MAX], *end = room + sizeof(room);
	const char *p = zk_wsframe_seal(end, bytes.n, op, /* mask */ NULL);

	zk_buf_put(&w->next, p, (size_t)(end - p));
	zk_buf_add(&w->next, bytes);
}

static void want_flush(struct zk_wsd *w)
{
	if (w->flush_due || w->state == ENDED)
		return;
	w->flush_due = true;
	zk_loop_defer(w->conf.loop, on_flush, w);
}

static void on_shut(uv_shutdown_t *req, int status)
{
	(void)req;
	(void)status; /* the reader sees the end, or the watch ends it */
}

/* Everything was written. */
static void written(struct zk_wsd *w)
{
	if (w->close_sent) {
		w->state = LINGER;
		w->shutdown = (uv_shutdown_t){ 0 };
		if (uv_shutdown(&w->shutdown, &w->uv.stream, on_shut) < 0)
			end(w);
	} else if (w->conf.on_sent) {
		w->conf.on_sent(w->conf.ctx); /* `w` may be gone */
	}
}

static void on_written(uv_write_t *req, int status)
{
	struct zk_wsd *w = req->handle->data;

	zk_buf_done(&w->current);
	if (w->state == ENDED)
		return;
	if (status < 0) {
		end(w);
		return;
	}
	written_some(w);
	if (w->next.n || w->pong_due)
		on_flush(w);
	else
		written(w);
}

/* What the system takes at once; it writes the rest when it can. */
static void write_some(struct zk_wsd *w)
{
	uv_buf_t b = uv_buf_init(w->next.p, (unsigned)w->next.n);
	int r = uv_try_write(&w->uv.stream, &b, 1);

	if (r == (int)w->next.n) {
		written_some(w);
		zk_buf_clear(&w->next);
		written(w);
		return;
	}
	if (r > 0)
		zk_buf_consume(&w->next, (size_t)r);
	w->current = w->next;
	zk_buf_init(&w->next, w->current.cap);
	b = uv_buf_init(w->current.p, (unsigned)w->current.n);
	w->req = (uv_write_t){ 0 };
	if (uv_write(&w->req, &w->uv.stream, &b, 1, on_written) < 0) {
		zk_buf_done(&w->current);
		end(w);
	}
}

static void on_flush(void *ctx)
{
	struct zk_wsd *w = ctx;

	w->flush_due = false;
	if (w->state == ENDED || w->state == LINGER || w->current.n)
		return;
	if (w->pong_due && !w->close_sent)
		put_frame(w, ZK_WSFRAME_PONG, zk_str_n(w->pong, w->pong_n));
	w->pong_due = false;
	if (w->next.n)
		write_some(w);
}

bool zk_wsd_send(struct zk_wsd *w, zk_str message, bool binary)
{
	if (w->state != OPEN ||
	    message.n > w->conf.max_unsent - ZK_MIN(zk_wsd_unsent(w), w->conf.max_unsent))
		return false;
	put_frame(w, binary ? ZK_WSFRAME_BINARY : ZK_WSFRAME_TEXT, message);
	want_flush(w);
	return true;
}

size_t zk_wsd_unsent(const struct zk_wsd *w)
{
	return w->next.n + w->current.n;
}

/* ---- closing ---- */

static void goodbye(struct zk_wsd *w, unsigned code, zk_str reason)
{
	char text[2 + REASON_MAX];
	size_t n = ZK_MIN(reason.n, (size_t)REASON_MAX);

	if (w->state != OPEN)
		return;
	while (n && !zk_utf8_valid(zk_str_n(reason.p, n)))
		n--; /* cut inside of a character */
	w->state = GOODBYE;
	w->close_sent = true;
	w->close_ms = zk_mono_ms();
	text[0] = (char)(code >> 8);
	text[1] = (char)code;
	if (n)
		memcpy(text + 2, reason.p, n);
	/* 1005 stands for none, and is never sent. */
	put_frame(w, ZK_WSFRAME_CLOSE, zk_str_n(text, code == 1005 ? 0 : 2 + n));
	want_flush(w);
}

void zk_wsd_close(struct zk_wsd *w, unsigned code, zk_str reason)
{
	goodbye(w, code, reason);
}

static void peer_close(struct zk_wsd *w, zk_str bytes)
{
	unsigned code;
	zk_str reason;

	if (w->close_sent)
		end(w); /* the echo of ours */
	else if (zk_wsframe_close_read(bytes, &code, &reason))
		goodbye(w, code, ZK_STR_NULL);
	else
		goodbye(w, ZK_WS_PROTOCOL, ZK_STR("a close frame without a proper code"));
}

/* ---- reading ---- */

static void on_control(struct zk_wsd *w, const struct zk_wsframe_piece *p)
{
	if (p->op == ZK_WSFRAME_CLOSE) {
		peer_close(w, p->bytes);
	} else if (p->op == ZK_WSFRAME_PING) {
		/* Of many the last one is answered: what waits has a bound. */
		memcpy(w->pong, p->bytes.p, p->bytes.n);
		w->pong_n = p->bytes.n;
		w->pong_due = true;
		want_flush(w);
	}
}

static void on_piece(struct zk_wsd *w, const struct zk_wsframe_piece *p)
{
	zk_str message;
	size_t at;

	if (w->state != OPEN)
		return;
	at = w->part.n;
	zk_buf_add(&w->part, p->bytes);
	if (w->part.failed) {
		zk_buf_done(&w->part);
		goodbye(w, ZK_WS_TOO_BIG, ZK_STR_NULL);
		return;
	}
	if (p->bytes.n)
		zk_wsframe_unmask(w->part.p + at, p->bytes.n, p->mask);
	if (!p->last)
		return;
	message = zk_buf_str(&w->part);
	if (p->op == ZK_WSFRAME_TEXT && !zk_utf8_valid(message))
		goodbye(w, ZK_WS_BAD_DATA, ZK_STR_NULL);
	else if (w->conf.on_message)
		w->conf.on_message(w->conf.ctx, message, p->op == ZK_WSFRAME_BINARY);
	zk_buf_clear(&w->part); /* an aborted one lives until the loop turns */
}

static void on_bytes(struct zk_wsd *w, zk_str chunk)
{
	struct zk_wsframe_piece p;

	while ((w->state == OPEN || w->state == GOODBYE || w->state == LINGER) &&
	       zk_wsframe_next(&w->frames, &chunk, &p)) {
		if (p.op < ZK_WSFRAME_CLOSE)
			on_piece(w, &p);
		else
			on_control(w, &p);
	}
	if (w->frames.failed && w->state == OPEN)
		goodbye(w, ZK_WS_PROTOCOL, zk_str_of(w->frames.failed));
}

static void on_alloc(uv_handle_t *h, size_t size, uv_buf_t *buf)
{
	struct zk_wsd *w = h->data;

	(void)size;
	*buf = uv_buf_init(w->room, sizeof(w->room));
}

static void on_read(uv_stream_t *s, ssize_t n, const uv_buf_t *buf)
{
	struct zk_wsd *w = s->data;

	if (w->state == ENDED || n == 0)
		return;
	if (n < 0) {
		end(w);
		return;
	}
	moved(w);
	on_bytes(w, zk_str_n(buf->base, (size_t)n));
}

/* ---- silence ---- */

static void on_watch(void *ctx)
{
	struct zk_wsd *w = ctx;
	int64_t now = zk_mono_ms();

	if (w->close_sent) {
		if (now - w->close_ms >= CLOSE_WITHIN_MS)
			end(w);
	} else if (w->ping_ms && now - w->ping_ms >= w->conf.pong_within_ms) {
		end(w); /* nobody is there, or it takes nothing */
	} else if (!w->ping_ms && now - w->moved_ms >= w->conf.ping_after_ms) {
		/* One that takes nothing gets no ping, but the same time to move. */
		w->ping_ms = now;
		if (!zk_wsd_unsent(w)) {
			w->ping_due = true;
			put_frame(w, ZK_WSFRAME_PING, ZK_STR_NULL);
			want_flush(w);
		}
	}
}

/* ---- the handshake ---- */

static bool is_key(zk_str key)
{
	struct zk_buf b ZK_CLEANUP(zk_buf_done);

	zk_buf_init(&b, 32);
	return key.n == KEY_CHARS && zk_b64_decode(key, ZK_B64_STD, &b) && b.n == 16;
}

/* The host of an origin, "scheme://host:port", is the one that was asked. */
static bool is_own_origin(const struct zk_httpd_req *r)
{
	zk_str origin = zk_httpd_header(r, ZK_STR("Origin"));
	ptrdiff_t at = zk_str_find(origin, ZK_STR("://"));

	if (!origin.p)
		return true;
	return at > 0 && zk_str_eq_nocase(zk_str_from(origin, (size_t)at + 3),
	                                  zk_httpd_head(r)->authority);
}

static bool refuse(struct zk_wsd_refusal *ret, int status, const char *why,
                   zk_str headers)
{
	*ret = (struct zk_wsd_refusal){ status, why, headers };
	return false;
}

bool zk_wsd_wanted(const struct zk_httpd_req *r, struct zk_wsd_refusal *ret)
{
	const struct zk_http1_head *h = zk_httpd_head(r);

	if (!h->minor || !h->upgrade ||
	    !zk_http1_list_has(zk_httpd_header(r, ZK_STR("Upgrade")),
	                       ZK_STR("websocket")))
		return refuse(ret, 426, "this is a WebSocket",
		              ZK_STR("Upgrade: websocket\r\n"));
	if (!zk_str_eq(zk_httpd_header(r, ZK_STR("Sec-WebSocket-Version")), ZK_STR("13")))
		return refuse(ret, 426, "the version of WebSocket is not 13",
		              ZK_STR("Sec-WebSocket-Version: 13\r\n"));
	if (!zk_str_eq(h->method, ZK_STR("GET")) || h->chunked || h->length)
		return refuse(ret, 400, "a WebSocket begins with a GET without a body",
		              ZK_STR_NULL);
	if (!is_key(zk_httpd_header(r, ZK_STR("Sec-WebSocket-Key"))))
		return refuse(ret, 400, "Sec-WebSocket-Key is not 16 bytes in base64",
		              ZK_STR_NULL);
	if (!is_own_origin(r))
		return refuse(ret, 403, "pages of other origins may not read this",
		              ZK_STR_NULL);
	return true;
}

static int open_handle(struct zk_wsd *w, int fd)
{
	struct sockaddr_storage a = { 0 };
	socklen_t n = sizeof(a);
	uv_loop_t *uv = zk_loop_uv(w->conf.loop);
	bool is_unix =
	        getsockname(fd, (struct sockaddr *)&a, &n) == 0 && a.ss_family == AF_UNIX;
	int r = is_unix ? uv_pipe_init(uv, &w->uv.pipe, /* ipc */ 0)
	                : uv_tcp_init(uv, &w->uv.tcp);

	if (r < 0) {
		on_closed(&(uv_handle_t){ .data = w });
		return r;
	}
	w->uv.handle.data = w;
	r = is_unix ? uv_pipe_open(&w->uv.pipe, fd) : uv_tcp_open(&w->uv.tcp, fd);
	if (r < 0)
		uv_close(&w->uv.handle, on_closed);
	else if (!is_unix)
		(void)uv_tcp_nodelay(&w->uv.tcp, 1); /* without it, it is later */
	return r;
}

/* What came behind the request, before anything else is read. */
static void on_begin(void *ctx)
{
	struct zk_wsd *w = ctx;
	struct zk_buf rest = w->rest;

	zk_buf_init(&w->rest, REST_MAX);
	if (rest.n)
		on_bytes(w, zk_buf_str(&rest));
	zk_buf_done(&rest);
	if (w->state != ENDED && uv_read_start(&w->uv.stream, on_alloc, on_read) < 0)
		end(w);
}

static struct zk_wsd *make(const struct zk_wsd_conf *conf)
{
	struct zk_wsd *w = zk_new0(struct zk_wsd);

	w->conf = *conf;
	if (!w->conf.max_message)
		w->conf.max_message = MESSAGE_MAX;
	if (!w->conf.max_unsent)
		w->conf.max_unsent = UNSENT_MAX;
	if (!w->conf.ping_after_ms)
		w->conf.ping_after_ms = PING_AFTER_MS;
	if (!w->conf.pong_within_ms)
		w->conf.pong_within_ms = PONG_WITHIN_MS;
	zk_wsframe_init(&w->frames, /* from_client */ true);
	zk_buf_init(&w->part, w->conf.max_message);
	/* Heads and control frames have room beside the messages. */
	zk_buf_init(&w->next, w->conf.max_unsent + 65536);
	zk_buf_init(&w->rest, REST_MAX);
	w->moved_ms = zk_mono_ms();
	return w;
}

int zk_wsd_accept(struct zk_httpd_req *r, const struct zk_wsd_conf *conf,
                  struct zk_wsd **ret, struct zk_error *err)
{
	struct zk_wsd *w = make(conf);
	char accept[ZK_WSFRAME_ACCEPT];
	int fd;

	zk_wsframe_accept(zk_httpd_header(r, ZK_STR("Sec-WebSocket-Key")), accept);
	zk_buf_printf(&w->next,
	              "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
	              "Connection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n\r\n",
	              accept);
	fd = zk_httpd_take_socket(r, &w->rest);
	if (fd < 0) {
		on_closed(&(uv_handle_t){ .data = w });
		return zk_fail(err, ZK_E_TRANSFER, "the connection cannot be taken over");
	}
	if (open_handle(w, fd) < 0) {
		(void)close(fd); /* it was never used */
		return zk_fail(err, ZK_E_TRANSFER, "the connection is lost");
	}
	w->watch = zk_timer_new(conf->loop, on_watch, w);
	zk_timer_weak(w->watch, true);
	zk_timer_start(w->watch, WATCH_MS, WATCH_MS);
	want_flush(w);
	zk_loop_defer(conf->loop, on_begin, w);
	*ret = w;
	return 0;
}
