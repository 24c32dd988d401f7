/* Endless answers (text/event-stream) and sockets that leave the server.
 * Layer: net. */
#include <fcntl.h>
#include <stdlib.h>

#include "net/httpd_int.h"

#include "base/ban.h"

struct zk_httpd_stream *zk_httpd_stream_start(struct zk_httpd_req *r, int status,
                                              zk_str headers, void (*on_close)(void *ctx),
                                              void *ctx)
{
	struct zk_httpd_conn *c = r->conn;
	struct zk_httpd_stream *st = zk_new0(struct zk_httpd_stream);

	ZK_ASSERT(!r->answered && !c->stream);
	st->conn = c;
	st->on_close = on_close;
	st->ctx = ctx;
	st->chunked = r->head.minor > 0;
	c->stream = st;
	if (!r->gone) {
		c->last = true; /* the connection ends with the stream */
		zk_httpd_reply_head(c, status, headers, -1, 0);
	}
	zk_httpd_reply_booked(r, status);
	return st;
}

bool zk_httpd_stream_write(struct zk_httpd_stream *st, zk_str data)
{
	static const char hex[] = "0123456789abcdef";
	struct zk_httpd_conn *c = st->conn;
	size_t max = c->s->conf.max_out;
	size_t pending = zk_httpd_conn_unsent(c);

	if (st->slow || c->phase == ZK_HTTPD_CLOSED)
		return false;
	if (data.n == 0)
		return true; /* an empty chunk would be the end */
	if (pending > max || data.n > max - pending) {
		st->slow = true;
		zk_httpd_conn_dirty(c);
		return false;
	}
	if (!c->out.p && data.n <= ZK_HTTPD_CHUNK / 2)
		zk_httpd_chunk_get(c->s, &c->out);
	if (st->chunked) {
		char size[18];
		size_t at = sizeof(size);

		size[--at] = '\n';
		size[--at] = '\r';
		for (size_t n = data.n; n; n >>= 4)
			size[--at] = hex[n & 15];
		zk_buf_put(&c->out, size + at, sizeof(size) - at);
	}
	zk_buf_add(&c->out, data);
	if (st->chunked)
		zk_buf_lit(&c->out, "\r\n");
	st->above = st->above || zk_httpd_conn_unsent(c) > max / 2;
	zk_httpd_conn_dirty(c);
	return true;
}

size_t zk_httpd_stream_pending(const struct zk_httpd_stream *st)
{
	return zk_httpd_conn_unsent(st->conn);
}

void zk_httpd_stream_on_drain(struct zk_httpd_stream *st, void (*fn)(void *ctx))
{
	st->on_drain = fn;
}

void zk_httpd_stream_end(struct zk_httpd_stream *st)
{
	struct zk_httpd_conn *c = st->conn;

	if (st->chunked && c->phase != ZK_HTTPD_CLOSED)
		zk_buf_lit(&c->out, "0\r\n\r\n");
	c->stream = NULL;
	free(st);
	if (c->phase == ZK_HTTPD_STREAM)
		c->phase = ZK_HTTPD_ANSWERED; /* nothing to finish but the connection */
	zk_httpd_conn_dirty(c);
}

void zk_httpd_stream_close(struct zk_httpd_conn *c)
{
	struct zk_httpd_stream *st = c->stream;

	if (!st)
		return;
	if (st->on_close)
		st->on_close(st->ctx);
	/* The owner may have ended it in the callback. */
	if (c->stream != st)
		return;
	c->stream = NULL;
	free(st);
}

void zk_httpd_stream_sent(struct zk_httpd_conn *c)
{
	struct zk_httpd_stream *st = c->stream;

	if (!st || !st->above || zk_httpd_conn_unsent(c) > c->s->conf.max_out / 2)
		return;
	st->above = false;
	if (st->on_drain)
		st->on_drain(st->ctx);
}

int zk_httpd_take_socket(struct zk_httpd_req *r, struct zk_buf *rest)
{
	struct zk_httpd_conn *c = r->conn;

	if (r->gone || r->answered || c->tls || r->head.chunked || r->head.length)
		return -1;
	zk_httpd_conn_flush(c); /* answers to requests before it */
	if (c->phase == ZK_HTTPD_CLOSED || zk_httpd_conn_unsent(c))
		return -1;

	/* libuv cannot let go of a descriptor, but it closes only its own. */
	int fd = fcntl(zk_httpd_conn_fd(c), F_DUPFD_CLOEXEC, 3);
	if (fd < 0)
		return -1;
	zk_buf_put(rest, c->in.p + c->pos, c->in.n - c->pos);
	zk_httpd_reply_booked(r, 101);
	zk_httpd_conn_detach(c);
	return fd;
}
