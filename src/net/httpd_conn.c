/* One connection: reading, writing, closing, deadlines.
 * Layer: net. */
#include <linux/sockios.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uv.h>

#include "net/httpd_int.h"
#include "net/tls_server.h"
#include "rt/loop.h"

#include "base/ban.h"

/* What a client may send after our last answer before we stop listening. */
#define MAX_LINGER_BYTES (8 * 1024 * 1024)
/* What a client may send while it is given an endless answer. */
#define MAX_STREAM_INPUT (64 * 1024)
/* Refused connections that may wait for their 503 to be read. */
#define MAX_REFUSED 128

/* The connection beside its libuv handle. */
struct conn_io {
	union {
		uv_handle_t handle;
		uv_stream_t stream;
		uv_tcp_t tcp;
		uv_pipe_t pipe;
	} uv;
	struct zk_httpd_conn c;
};

struct zk_httpd_write {
	uv_write_t req;
	struct zk_httpd_conn *conn;
	struct zk_buf data;
	size_t left; /* not yet taken by the client when the deadline was set */
};

static struct conn_io *io_of(const struct zk_httpd_conn *c)
{
	return ZK_CONTAINER_OF(c, struct conn_io, c);
}

/* ------------------------------------------------------------------ end */

void zk_httpd_conn_release(struct zk_httpd_conn *c)
{
	struct zk_httpd *s = c->s;

	if (c->handle_open || c->req || c->stream || c->running ||
	    !zk_list_is_empty(&c->dirty))
		return;
	zk_httpd_chunk_put(s, &c->in);
	zk_httpd_chunk_put(s, &c->out);
	zk_httpd_chunk_put(s, &c->sealed);
	zk_tls_conn_free(c->tls);
	zk_list_remove(&c->node);
	s->n_live--;
	free(io_of(c));
	zk_httpd_check_end(s);
}

static void on_closed(uv_handle_t *h)
{
	struct zk_httpd_conn *c = h->data;

	c->handle_open = false;
	zk_httpd_conn_release(c);
}

void zk_httpd_conn_detach(struct zk_httpd_conn *c)
{
	c->phase = ZK_HTTPD_CLOSED;
	zk_httpd_wheel_remove(c);
	zk_httpd_peer_leave(c);
	c->s->n_conns--;
	c->s->n_refused -= c->refused;
	uv_close(&io_of(c)->uv.handle, on_closed);
}

void zk_httpd_conn_abort(struct zk_httpd_conn *c)
{
	if (c->phase == ZK_HTTPD_CLOSED)
		return;
	zk_httpd_conn_detach(c);
	zk_httpd_stream_close(c);
	if (!c->running)
		zk_httpd_req_abandon(c);
}

/* ------------------------------------------------------------------ writing */

size_t zk_httpd_conn_unsent(const struct zk_httpd_conn *c)
{
	size_t queued = c->writing ? io_of(c)->uv.stream.write_queue_size : 0;

	return c->out.n + c->sealed.n + queued;
}

/* Bytes that the client has not taken: those that wait here, and those that wait in the kernel,
 * which takes new ones only in large steps. */
static size_t untaken(const struct zk_httpd_conn *c)
{
	int queued = 0;

	if (ioctl(zk_httpd_conn_fd(c), SIOCOUTQ, &queued) < 0 || queued < 0)
		queued = 0;
	return io_of(c)->uv.stream.write_queue_size + (size_t)queued;
}

static void write_deadline(struct zk_httpd_conn *c)
{
	zk_httpd_wheel_set_write(c, zk_loop_now_ms(c->s->loop) +
	                                    c->s->conf.write_timeout_ms);
}

static void shut_down(struct zk_httpd_conn *c)
{
	(void)shutdown(zk_httpd_conn_fd(c), SHUT_WR); /* the client may be gone */
	zk_httpd_wheel_set(c, zk_loop_now_ms(c->s->loop) +
	                              (c->s->draining ? ZK_HTTPD_LINGER_MS / 4
	                                              : ZK_HTTPD_LINGER_MS));
}

static void on_written(uv_write_t *req, int status)
{
	struct zk_httpd_write *w = ZK_CONTAINER_OF(req, struct zk_httpd_write, req);
	struct zk_httpd_conn *c = w->conn;

	c->writing = NULL;
	zk_httpd_chunk_put(c->s, &w->data);
	free(w);
	if (c->phase == ZK_HTTPD_CLOSED)
		return; /* on_closed comes next */
	zk_httpd_wheel_set_write(c, 0);
	if (status < 0) {
		zk_httpd_conn_abort(c);
		return;
	}
	if (c->phase == ZK_HTTPD_LINGER && zk_httpd_conn_unsent(c) == 0)
		shut_down(c);
	zk_httpd_conn_run(c);
}

/* libuv takes over what the kernel did not. */
static void queue_rest(struct zk_httpd_conn *c, struct zk_buf *b, size_t sent)
{
	struct zk_httpd_write *w = zk_new0(struct zk_httpd_write);
	uv_buf_t rest;

	w->conn = c;
	w->data = *b;
	rest = uv_buf_init(b->p + sent, (unsigned)(b->n - sent));
	b->p = NULL;
	b->n = b->room = 0;
	c->writing = w;

	int r = uv_write(&w->req, &io_of(c)->uv.stream, &rest, 1, on_written);
	if (r < 0) {
		on_written(&w->req, r);
		return;
	}
	w->left = untaken(c);
	write_deadline(c);
}

/* Encrypts the answers; false when the connection is broken. */
static bool seal(struct zk_httpd_conn *c)
{
	if (!c->sealed.p && c->out.n < ZK_HTTPD_CHUNK / 2)
		zk_httpd_chunk_get(c->s, &c->sealed);
	if (zk_tls_conn_seal(c->tls, zk_buf_str(&c->out), &c->sealed) < 0)
		return false;
	zk_httpd_chunk_put(c->s, &c->out);
	return true;
}

void zk_httpd_conn_flush(struct zk_httpd_conn *c)
{
	struct zk_buf *b = c->tls ? &c->sealed : &c->out;

	if (c->phase == ZK_HTTPD_CLOSED || c->writing)
		return;
	if (c->tls && !seal(c)) {
		zk_httpd_conn_abort(c);
		return;
	}
	if (b->n == 0) {
		zk_httpd_chunk_put(c->s, b);
		return;
	}

	uv_buf_t all = uv_buf_init(b->p, (unsigned)ZK_MIN(b->n, (size_t)INT32_MAX));
	int sent = uv_try_write(&io_of(c)->uv.stream, &all, 1);
	if (sent < 0 && sent != UV_EAGAIN) {
		zk_httpd_conn_abort(c);
		return;
	}
	if (sent > 0 && (size_t)sent == b->n)
		zk_httpd_chunk_put(c->s, b);
	else
		queue_rest(c, b, sent > 0 ? (size_t)sent : 0);
}

/* The last answer is with the kernel. A close with unread input would reset the connection and
 * could destroy the answer on its way, so the client may go first. */
static void linger(struct zk_httpd_conn *c)
{
	zk_httpd_chunk_put(c->s, &c->in);
	c->pos = c->base = 0;
	c->skip = 0;
	c->phase = ZK_HTTPD_LINGER;
	if (c->tls) {
		zk_tls_conn_shutdown(c->tls);
		zk_httpd_conn_flush(c);
	}
	if (c->phase == ZK_HTTPD_LINGER && c->eof)
		zk_httpd_conn_abort(c);
	else if (c->phase == ZK_HTTPD_LINGER && !c->writing)
		shut_down(c);
}

void zk_httpd_conn_idle(struct zk_httpd_conn *c)
{
	struct zk_httpd *s = c->s;

	if (c->pos == c->in.n) {
		zk_httpd_chunk_put(s, &c->in);
		c->pos = c->base = 0;
	}
	c->phase = ZK_HTTPD_IDLE;
	zk_httpd_wheel_set(c, zk_loop_now_ms(s->loop) + s->conf.idle_timeout_ms);
}

/* After a write: ends what was answered. True when there may be more to do. */
static bool settle(struct zk_httpd_conn *c)
{
	struct zk_httpd *s = c->s;

	if (c->phase != ZK_HTTPD_ANSWERED || c->writing)
		return false;
	if (c->req)
		zk_httpd_req_finish(c);
	if (c->phase == ZK_HTTPD_CLOSED)
		return false;
	if (c->stream) {
		c->phase = ZK_HTTPD_STREAM;
		zk_httpd_chunk_put(s, &c->in);
		c->pos = c->base = 0;
		c->skip = 0;
		return false;
	}
	if (c->last || s->draining) {
		linger(c);
		return false;
	}
	if (c->skip) {
		c->phase = ZK_HTTPD_SKIP;
		zk_httpd_wheel_set(c, zk_loop_now_ms(s->loop) + s->conf.body_timeout_ms);
	} else {
		zk_httpd_conn_idle(c);
	}
	return c->pos < c->in.n || c->eof;
}

/* ------------------------------------------------------------------ reading */

/* True when the bytes of this phase are thrown away. */
static bool discards(const struct zk_httpd_conn *c)
{
	return c->phase == ZK_HTTPD_SKIP || c->phase == ZK_HTTPD_LINGER ||
	       c->phase == ZK_HTTPD_STREAM;
}

static bool reads_body(const struct zk_httpd_conn *c)
{
	return c->phase == ZK_HTTPD_COLLECT && c->body_aside && !c->req->head.chunked;
}

/* While a request is with its handler the next ones are read ahead as far as there is room: that
 * is how we learn that the client has gone. */
static bool wants_input(const struct zk_httpd_conn *c)
{
	if (c->eof || c->phase == ZK_HTTPD_CLOSED)
		return false;
	if (c->phase == ZK_HTTPD_DECIDE || c->phase == ZK_HTTPD_ANSWER ||
	    c->phase == ZK_HTTPD_ANSWERED)
		return !c->in.p || c->in.n < c->in.room;
	return true;
}

/* Where the next bytes go. */
static uv_buf_t read_target(struct zk_httpd_conn *c)
{
	if (discards(c)) {
		uint64_t n = c->phase == ZK_HTTPD_SKIP ? c->skip : ZK_HTTPD_SCRATCH;

		return uv_buf_init(c->s->scratch,
		                   (unsigned)ZK_MIN(n, (uint64_t)ZK_HTTPD_SCRATCH));
	}
	if (reads_body(c)) {
		size_t left = (size_t)(c->req->head.length - c->body.n);

		return uv_buf_init(c->body.p + c->body.n,
		                   (unsigned)ZK_MIN(left, c->body.room - c->body.n));
	}
	zk_httpd_in_reserve(c);
	return uv_buf_init(c->in.p + c->in.n, (unsigned)(c->in.room - c->in.n));
}

/* Books `n` bytes that were put there. */
static void took(struct zk_httpd_conn *c, size_t n)
{
	if (c->phase == ZK_HTTPD_SKIP) {
		c->skip -= n;
	} else if (discards(c)) {
		c->skip += n;
		if (c->skip >
		    (c->phase == ZK_HTTPD_STREAM ? MAX_STREAM_INPUT : MAX_LINGER_BYTES))
			zk_httpd_conn_abort(c);
	} else if (reads_body(c)) {
		c->body.n += n;
	} else {
		c->in.n += n;
	}
}

/* Decrypts the next bytes; false when there are none. */
static bool unseal(struct zk_httpd_conn *c)
{
	if (!c->tls || !wants_input(c))
		return false;

	uv_buf_t to = read_target(c);
	ptrdiff_t n = zk_tls_conn_read(c->tls, to.base, to.len);
	if (n > 0) {
		took(c, (size_t)n);
		return true;
	}
	if (n == 0)
		return false;
	c->eof = true; /* close_notify; a broken record ends the same way */
	if (c->phase == ZK_HTTPD_STREAM || c->phase == ZK_HTTPD_LINGER)
		zk_httpd_conn_abort(c);
	return true;
}

static void on_alloc(uv_handle_t *h, size_t hint, uv_buf_t *buf)
{
	struct zk_httpd_conn *c = h->data;

	(void)hint;
	*buf = c->tls ? uv_buf_init(c->s->scratch, ZK_HTTPD_SCRATCH) : read_target(c);
}

static void on_eof(struct zk_httpd_conn *c)
{
	c->eof = true;
	/* Nobody half-closes an endless answer; and after the last one there is nothing to do. */
	if (c->phase == ZK_HTTPD_STREAM || c->phase == ZK_HTTPD_LINGER)
		zk_httpd_conn_abort(c);
	else
		zk_httpd_conn_run(c);
}

static void on_read(uv_stream_t *st, ssize_t n, const uv_buf_t *buf)
{
	struct zk_httpd_conn *c = st->data;

	if (n == 0) {
		if (c->phase == ZK_HTTPD_IDLE && c->in.n == 0)
			zk_httpd_chunk_put(c->s, &c->in);
		return;
	}
	if (n < 0) {
		c->reading = false;
		(void)uv_read_stop(st);
		if (n == UV_EOF)
			on_eof(c);
		else
			zk_httpd_conn_abort(c);
		return;
	}
	if (c->tls)
		zk_tls_conn_feed(c->tls, zk_str_n(buf->base, (size_t)n));
	else
		took(c, (size_t)n);
	zk_httpd_conn_run(c);
}

static void update_reading(struct zk_httpd_conn *c)
{
	bool want = wants_input(c);

	if (want == c->reading || c->phase == ZK_HTTPD_CLOSED)
		return;
	c->reading = want;
	if (!want)
		(void)uv_read_stop(&io_of(c)->uv.stream);
	else if (uv_read_start(&io_of(c)->uv.stream, on_alloc, on_read) < 0)
		zk_httpd_conn_abort(c);
}

/* ------------------------------------------------------------------ running */

void zk_httpd_conn_run(struct zk_httpd_conn *c)
{
	if (c->running)
		return;
	c->running = true;
	do {
		while (zk_httpd_req_step(c))
			;
		if (c->stream && c->stream->slow)
			zk_httpd_conn_abort(c);
		zk_httpd_conn_flush(c);
	} while (settle(c) || unseal(c) || zk_httpd_req_is_refusable(c));
	if (c->tls) /* what the handshake has to say */
		zk_httpd_conn_flush(c);
	c->running = false;
	if (c->phase != ZK_HTTPD_CLOSED) {
		update_reading(c);
		zk_httpd_stream_sent(c);
	}
	if (c->phase == ZK_HTTPD_CLOSED) {
		zk_httpd_stream_close(c);
		zk_httpd_req_abandon(c);
	}
	zk_httpd_conn_release(c);
}

void zk_httpd_conn_dirty(struct zk_httpd_conn *c)
{
	if (c->running || !zk_list_is_empty(&c->dirty))
		return;
	zk_list_push(&c->s->dirty, &c->dirty);
	zk_httpd_defer(c->s);
}

/* True when the client took nothing of the answer for the whole time. */
static bool write_stalls(struct zk_httpd_conn *c)
{
	size_t left = untaken(c);
	bool stalls = left >= c->writing->left;

	c->writing->left = left;
	write_deadline(c);
	return stalls;
}

void zk_httpd_conn_expired(struct zk_httpd_conn *c, int64_t now_ms)
{
	if (c->writing && c->write_end_ms <= now_ms && write_stalls(c)) {
		zk_httpd_conn_abort(c);
		return;
	}
	if (!c->phase_end_ms || c->phase_end_ms > now_ms)
		return;
	c->phase_end_ms = 0;
	switch (c->phase) {
	case ZK_HTTPD_HEAD:
		zk_httpd_req_head_late(c);
		zk_httpd_conn_run(c);
		break;
	case ZK_HTTPD_COLLECT:
		zk_httpd_req_body_late(c);
		zk_httpd_conn_run(c);
		break;
	case ZK_HTTPD_IDLE:
	case ZK_HTTPD_SKIP:
	case ZK_HTTPD_LINGER:
		zk_httpd_conn_abort(c);
		break;
	case ZK_HTTPD_DECIDE:
	case ZK_HTTPD_ANSWER:
	case ZK_HTTPD_ANSWERED:
	case ZK_HTTPD_STREAM:
	case ZK_HTTPD_CLOSED:
		break;
	}
}

int zk_httpd_conn_fd(const struct zk_httpd_conn *c)
{
	uv_os_fd_t fd = -1;

	return uv_fileno(&io_of(c)->uv.handle, &fd) < 0 ? -1 : fd;
}

bool zk_httpd_conn_has_input(const struct zk_httpd_conn *c)
{
	char byte;

	return recv(zk_httpd_conn_fd(c), &byte, 1, MSG_PEEK | MSG_DONTWAIT) > 0;
}

/* ------------------------------------------------------------------ accept */

/* What is over a limit gets a short answer, over TLS after the handshake, and goes; a flood of it
 * only goes. */
static void refuse(struct zk_httpd_conn *c)
{
	struct zk_httpd *s = c->s;

	if (s->n_refused >= MAX_REFUSED) {
		zk_httpd_conn_abort(c);
		return;
	}
	c->refused = true;
	s->n_refused++;
	zk_httpd_wheel_set(c, zk_loop_now_ms(s->loop) + s->conf.head_timeout_ms);
	zk_httpd_conn_run(c);
}

static struct zk_httpd_conn *conn_new(struct zk_httpd *s, bool is_unix)
{
	struct conn_io *io = zk_new0(struct conn_io);
	struct zk_httpd_conn *c = &io->c;
	uv_loop_t *loop = zk_loop_uv(s->loop);

	if (is_unix)
		(void)uv_pipe_init(loop, &io->uv.pipe, 0);
	else
		(void)uv_tcp_init(loop, &io->uv.tcp);
	io->uv.handle.data = c;
	c->s = s;
	c->handle_open = true;
	c->loopback = is_unix;
	zk_list_init(&c->dirty);
	zk_list_init(&c->wheel);
	zk_list_push(&s->conns, &c->node);
	zk_buf_init_secret(&c->in, s->conf.head.max_head + ZK_HTTPD_CHUNK);
	zk_buf_init_secret(&c->out, SIZE_MAX);
	zk_buf_init(&c->body, 0);
	zk_buf_init(&c->sealed, SIZE_MAX);
	s->n_conns++;
	s->n_live++;
	return c;
}

/* The socket is open: counts it and begins to read. */
static void welcome(struct zk_httpd_conn *c)
{
	struct zk_httpd *s = c->s;

	if (!c->loopback && !zk_httpd_peer_address(c)) {
		zk_httpd_conn_abort(c); /* gone already */
		return;
	}
	if (s->tls)
		c->tls = zk_tls_conn_new(s->tls);
	if (s->n_conns - s->n_refused > s->conf.max_connections ||
	    !zk_httpd_peer_join(c)) {
		refuse(c);
		return;
	}
	zk_httpd_wheel_set(c, zk_loop_now_ms(s->loop) + s->conf.head_timeout_ms);
	update_reading(c);
}

void zk_httpd_conn_accept(struct zk_httpd *s, struct uv_stream_s *listener, bool is_unix)
{
	struct zk_httpd_conn *c = conn_new(s, is_unix);

	if (uv_accept(listener, &io_of(c)->uv.stream) < 0)
		zk_httpd_conn_abort(c); /* gone already */
	else
		welcome(c);
}

void zk_httpd_conn_adopt(struct zk_httpd *s, int fd, bool is_unix)
{
	struct zk_httpd_conn *c = conn_new(s, is_unix);
	struct conn_io *io = io_of(c);
	int r = is_unix ? uv_pipe_open(&io->uv.pipe, fd) : uv_tcp_open(&io->uv.tcp, fd);

	if (r == 0) {
		welcome(c);
		return;
	}
	(void)close(fd);
	zk_httpd_conn_abort(c);
}
