/* HTTP/2 server on uv_tcp.
 * Layer: net. */
#include "net/h2d.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <uv.h>

#include "base/buf.h"
#include "base/list.h"
#include "base/mem.h"
#include "net/tls_server.h"
#include "rt/loop.h"

#include "base/ban.h"

#define READ_BYTES ((size_t)256 << 10)
#define OUT_BYTES  ((size_t)64 << 10)
#define OUT_CAP    ((size_t)8 << 20)
#define BACKLOG    128

struct zk_h2d {
	struct zk_h2d_conf conf;
	struct zk_loop *loop;
	uv_tcp_t listener;
	struct zk_tls_server *tls; /* NULL = none */
	struct zk_list conns;
	char *chunk, *plain;
	int port;
	unsigned handles; /* open ones; freed with the last */
	bool closing;
};

struct zk_h2d_conn {
	struct zk_list link;
	struct zk_h2d *d;
	uv_tcp_t tcp;
	uv_write_t req;
	struct zk_h2 *h2;
	struct zk_tls_conn *tls;
	void *ctx;
	struct zk_buf out;    /* being written */
	struct zk_buf sealed; /* the same with TLS */
	bool writing, closing, busy, over;
};

static void unref(struct zk_h2d *d)
{
	if (--d->handles)
		return;
	zk_tls_server_unref(d->tls);
	free(d->chunk);
	free(d->plain);
	free(d);
}

static void on_conn_closed(uv_handle_t *h)
{
	struct zk_h2d_conn *c = h->data;
	struct zk_h2d *d = c->d;

	zk_h2_free(c->h2);
	zk_tls_conn_free(c->tls);
	zk_buf_done(&c->sealed);
	zk_buf_done(&c->out);
	free(c);
	unref(d);
}

static void close_conn(struct zk_h2d_conn *c)
{
	if (c->closing)
		return;
	c->closing = true;
	zk_list_remove(&c->link);
	if (c->ctx)
		c->d->conf.on_close(ZK_TAKE(c->ctx));
	uv_close((uv_handle_t *)&c->tcp, on_conn_closed);
}

/* ---- the engine's callbacks ---- */

static void h2_header(void *ctx, int32_t id, zk_str name, zk_str value)
{
	struct zk_h2d_conn *c = ctx;

	if (c->ctx)
		c->d->conf.on_header(c->ctx, id, name, value);
}

static void h2_head(void *ctx, int32_t id)
{
	struct zk_h2d_conn *c = ctx;

	if (c->ctx)
		c->d->conf.on_head(c->ctx, id);
}

static void h2_data(void *ctx, int32_t id, zk_str bytes)
{
	struct zk_h2d_conn *c = ctx;

	if (c->ctx)
		c->d->conf.on_data(c->ctx, id, bytes);
}

static void h2_end(void *ctx, int32_t id)
{
	struct zk_h2d_conn *c = ctx;

	if (c->ctx)
		c->d->conf.on_end(c->ctx, id);
}

static void h2_reset(void *ctx, int32_t id, uint32_t code)
{
	(void)ctx; /* h2_closed follows */
	(void)id;
	(void)code;
}

static void h2_closed(void *ctx, int32_t id)
{
	struct zk_h2d_conn *c = ctx;

	if (c->ctx)
		c->d->conf.on_closed(c->ctx, id);
}

static void h2_goaway(void *ctx, int32_t last, uint32_t code)
{
	(void)ctx; /* the client closes the connection itself */
	(void)last;
	(void)code;
}

static size_t h2_ready(void *ctx, int32_t id, size_t room, enum zk_h2_more *more)
{
	struct zk_h2d_conn *c = ctx;

	return c->ctx ? c->d->conf.ready(c->ctx, id, room, more) : 0;
}

static void h2_take(void *ctx, int32_t id, char *to, size_t n)
{
	struct zk_h2d_conn *c = ctx;

	c->d->conf.take(c->ctx, id, to, n);
}

/* ---- bytes ---- */

static void on_written(uv_write_t *req, int status)
{
	struct zk_h2d_conn *c = req->data;

	c->writing = false;
	if (c->closing)
		return;
	if (status < 0)
		close_conn(c);
	else
		zk_h2d_flush(c);
}

/* What goes out next, sealed where it must be; empty = nothing. -1: it is over. */
static int collect(struct zk_h2d_conn *c, zk_str *ret)
{
	struct zk_error err = { 0 };
	int r = 0;

	zk_buf_clear(&c->out);
	zk_buf_clear(&c->sealed);
	/* Nothing may be said before the handshake is done. */
	if (!c->tls || zk_tls_conn_is_ready(c->tls))
		r = zk_h2_fill(c->h2, &c->out, OUT_BYTES, &err);
	*ret = zk_buf_str(&c->out);
	if (c->tls && !c->closing) {
		if (zk_tls_conn_seal(c->tls, zk_buf_str(&c->out), &c->sealed) < 0)
			r = -1;
		*ret = zk_buf_str(&c->sealed);
	}
	return r;
}

void zk_h2d_flush(struct zk_h2d_conn *c)
{
	zk_str bytes;
	uv_buf_t b;
	int r;

	if (c->writing || c->closing || c->busy)
		return;
	c->busy = true;
	r = collect(c, &bytes);
	c->busy = false;
	if (c->closing)
		return;
	if (!bytes.n) {
		if (r < 0 || c->over)
			close_conn(c);
		return;
	}
	b = uv_buf_init((char *)(uintptr_t)bytes.p, (unsigned)bytes.n);
	c->req.data = c;
	c->writing = true;
	if (uv_write(&c->req, (uv_stream_t *)&c->tcp, &b, 1, on_written) < 0) {
		c->writing = false;
		close_conn(c);
	}
}

static void on_alloc(uv_handle_t *h, size_t n, uv_buf_t *b)
{
	struct zk_h2d_conn *c = h->data;

	(void)n;
	*b = uv_buf_init(c->d->chunk, (unsigned)READ_BYTES);
}

static void feed(struct zk_h2d_conn *c, zk_str bytes)
{
	struct zk_error err = { 0 };
	ptrdiff_t n;

	if (!c->tls) {
		if (zk_h2_feed(c->h2, bytes, &err) < 0)
			c->over = true; /* its GOAWAY still goes out */
		return;
	}
	zk_tls_conn_feed(c->tls, bytes);
	while (!c->over && (n = zk_tls_conn_read(c->tls, c->d->plain, READ_BYTES)) != 0)
		if (n < 0 ||
		    zk_h2_feed(c->h2, zk_str_n(c->d->plain, (size_t)n), &err) < 0)
			c->over = true;
}

static void on_read(uv_stream_t *st, ssize_t n, const uv_buf_t *b)
{
	struct zk_h2d_conn *c = st->data;

	if (n == 0)
		return;
	if (n < 0) {
		close_conn(c);
		return;
	}
	c->busy = true;
	feed(c, zk_str_n(b->base, (size_t)n));
	c->busy = false;
	zk_h2d_flush(c);
}

static void on_connection(uv_stream_t *st, int status)
{
	struct zk_h2d *d = st->data;
	struct zk_h2d_conn *c;
	struct zk_error err = { 0 };
	struct zk_h2_conf h2 = {
		.server = true,
		.stream_window = d->conf.window,
		.conn_window = d->conf.window,
		.max_frame = d->conf.max_frame,
		.on_header = h2_header,
		.on_head = h2_head,
		.on_data = h2_data,
		.on_end = h2_end,
		.on_reset = h2_reset,
		.on_closed = h2_closed,
		.on_goaway = h2_goaway,
		.ready = h2_ready,
		.take = h2_take,
	};

	if (status < 0)
		return;
	c = zk_new0(struct zk_h2d_conn);
	c->d = d;
	h2.ctx = c;
	zk_buf_init(&c->out, OUT_CAP);
	zk_buf_init(&c->sealed, OUT_CAP);
	if (d->tls)
		c->tls = zk_tls_conn_new(d->tls);
	(void)uv_tcp_init(zk_loop_uv(d->loop), &c->tcp);
	c->tcp.data = c;
	d->handles++;
	zk_list_push(&d->conns, &c->link);
	if (uv_accept(st, (uv_stream_t *)&c->tcp) < 0 ||
	    zk_h2_new(&h2, &c->h2, &err) < 0) {
		close_conn(c);
		return;
	}
	(void)uv_tcp_nodelay(&c->tcp, 1);
	c->ctx = d->conf.on_open(d->conf.ctx, c);
	if (uv_read_start((uv_stream_t *)&c->tcp, on_alloc, on_read) < 0)
		close_conn(c);
	else
		zk_h2d_flush(c);
}

void zk_h2d_pause(struct zk_h2d_conn *c, bool pause)
{
	if (c->closing)
		return;
	if (pause)
		(void)uv_read_stop((uv_stream_t *)&c->tcp);
	else if (uv_read_start((uv_stream_t *)&c->tcp, on_alloc, on_read) < 0)
		close_conn(c);
}

struct zk_h2 *zk_h2d_h2(struct zk_h2d_conn *c)
{
	return c->h2;
}

void zk_h2d_cut(struct zk_h2d_conn *c, bool reset)
{
	if (c->closing)
		return;
	if (!reset || c->busy) {
		close_conn(c);
		return;
	}
	c->closing = true;
	zk_list_remove(&c->link);
	if (c->ctx)
		c->d->conf.on_close(ZK_TAKE(c->ctx));
	if (uv_tcp_close_reset(&c->tcp, on_conn_closed) < 0)
		uv_close((uv_handle_t *)&c->tcp, on_conn_closed);
}

/* ---- listening ---- */

static void on_listener_closed(uv_handle_t *h)
{
	unref(h->data);
}

static int fill_address(const struct zk_h2d_conf *conf, struct sockaddr_storage *ret)
{
	return uv_ip4_addr(conf->addr, conf->port, (struct sockaddr_in *)(void *)ret) ==
	                               0 ||
	                       uv_ip6_addr(conf->addr, conf->port,
	                                   (struct sockaddr_in6 *)(void *)ret) == 0
	               ? 0
	               : -1;
}

static int port_of(uv_tcp_t *tcp)
{
	struct sockaddr_storage a = { 0 };
	int n = sizeof(a);

	if (uv_tcp_getsockname(tcp, (struct sockaddr *)&a, &n) < 0)
		return 0;
	return a.ss_family == AF_INET6
	               ? ntohs(((struct sockaddr_in6 *)(void *)&a)->sin6_port)
	               : ntohs(((struct sockaddr_in *)(void *)&a)->sin_port);
}

int zk_h2d_listen(struct zk_loop *l, const struct zk_h2d_conf *conf, struct zk_h2d **ret,
                  struct zk_error *err)
{
	struct sockaddr_storage a = { 0 };
	struct zk_tls_server *tls = NULL;
	struct zk_h2d *d;
	int r;

	if (conf->tls_cert) {
		if (zk_tls_server_new(conf->tls_cert, conf->tls_key, &tls, err) < 0)
			return -(int)err->code;
		zk_tls_server_protocol(tls, "h2");
	}
	d = zk_new0(struct zk_h2d);
	d->tls = tls;
	d->plain = tls ? zk_alloc(READ_BYTES) : NULL;

	d->conf = *conf;
	d->loop = l;
	d->handles = 1;
	d->chunk = zk_alloc(READ_BYTES);
	zk_list_init(&d->conns);
	(void)uv_tcp_init(zk_loop_uv(l), &d->listener);
	d->listener.data = d;
	r = fill_address(conf, &a) < 0
	            ? UV_EINVAL
	            : uv_tcp_bind(&d->listener, (struct sockaddr *)&a, 0);
	if (r == 0)
		r = uv_listen((uv_stream_t *)&d->listener, BACKLOG, on_connection);
	if (r < 0) {
		uv_close((uv_handle_t *)&d->listener, on_listener_closed);
		return zk_fail(err, ZK_E_ADDRESS, "cannot listen on %s:%d: %s",
		               conf->addr, conf->port, uv_strerror(r));
	}
	d->port = port_of(&d->listener);
	*ret = d;
	return 0;
}

int zk_h2d_port(const struct zk_h2d *d)
{
	return d->port;
}

void zk_h2d_free(struct zk_h2d *d)
{
	if (!d || d->closing)
		return;
	d->closing = true;
	ZK_LIST_EACH (it, &d->conns)
		close_conn(ZK_LIST_ENTRY(it, struct zk_h2d_conn, link));
	uv_close((uv_handle_t *)&d->listener, on_listener_closed);
}
