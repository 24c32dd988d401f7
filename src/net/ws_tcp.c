/* WebSocket client: connections without TLS and proxy, on uv_tcp with frames of our own
 * (codec/wsframe.h says why).
 * Layer: net. */
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <uv.h>

#include "base/mem.h"
#include "base/rand.h"
#include "codec/wsframe.h"
#include "net/http1.h"
#include "net/http_priv.h"
#include "net/ws_int.h"
#include "rt/loop.h"

#include "base/ban.h"

#define HEAD_MAX     16384 /* of the answer to the handshake */
#define BATCH        8     /* messages of one write */
#define KEEPALIVE_S  60
#define RANDOM_BYTES 512
#define KEY_CHARS    24

/* Lives until its handle is closed, longer than the connection it belongs to. */
struct zk_ws_tcp {
	uv_tcp_t tcp;
	union {
		uv_connect_t connect;
		uv_write_t write;
	} req;
	struct zk_ws *ws; /* NULL once dropped */
	struct zk_wsframe frames;
	struct zk_buf head; /* of the answer, until it is complete */
	char key[KEY_CHARS + 1];
	struct zk_ws_out *batch[BATCH]; /* what is being written */
	uv_buf_t bufs[BATCH];
	unsigned n_batch;
	bool open, writing, flush_due;
	bool farewell; /* it ends when all is written */
};

static void on_flush(void *ctx);

static struct zk_loop *loop_of(const struct zk_ws_tcp *t)
{
	return t->ws->lib->net->loop;
}

/* ---- the end ---- */

static void on_closed(uv_handle_t *h)
{
	struct zk_ws_tcp *t = h->data;

	for (unsigned i = 0; i < t->n_batch; i++)
		free(t->batch[i]);
	zk_buf_done(&t->head);
	free(t);
}

static void drop(struct zk_ws *ws)
{
	struct zk_ws_tcp *t = ws->tcp;

	if (!t)
		return;
	zk_loop_forget(loop_of(t), on_flush, t);
	ws->tcp = NULL;
	t->ws = NULL;
	uv_close((uv_handle_t *)&t->tcp, on_closed);
}

static void gone(struct zk_ws_tcp *t)
{
	struct zk_ws *ws = t->ws;

	drop(ws);
	zk_ws_on_gone(ws);
}

static void refuse(struct zk_ws_tcp *t, const char *why, int status, zk_str retry_after)
{
	struct zk_ws *ws = t->ws;
	ZK_CLEANUP(zk_freep)
	char *after = zk_strndup(retry_after.n ? retry_after.p : "", retry_after.n);

	drop(ws);
	zk_ws_on_refused(ws, why, status, zk_str_of(after));
}

/* ---- writing ---- */

/* Masks have to be random for the sake of proxies that are not there; they are all the same. */
static void random_mask(struct zk_ws_lib *l, uint8_t mask[4])
{
	if (l->noise_n < 4) {
		l->noise = l->noise ? l->noise : zk_alloc(RANDOM_BYTES);
		zk_rand_secret(l->noise, RANDOM_BYTES);
		l->noise_n = RANDOM_BYTES;
	}
	l->noise_n -= 4;
	memcpy(mask, l->noise + l->noise_n, 4);
}

static void push_control(struct zk_ws *ws, enum zk_wsframe_op op, zk_str bytes)
{
	struct zk_ws_out *o = zk_alloc(sizeof(*o) + ZK_WSFRAME_HEAD_MAX + bytes.n);

	*o = (struct zk_ws_out){ .n = bytes.n, .control = (unsigned char)op };
	if (bytes.n)
		memcpy(o->bytes + ZK_WSFRAME_HEAD_MAX, bytes.p, bytes.n);
	zk_list_init(&o->entry);
	if (op == ZK_WSFRAME_CLOSE)
		zk_list_push(&ws->out, &o->entry);
	else
		zk_list_push_front(&ws->out, &o->entry);
}

static void push_close(struct zk_ws *ws, unsigned code)
{
	char text[2 + sizeof(ws->reason)];

	text[0] = (char)(code >> 8);
	text[1] = (char)code;
	memcpy(text + 2, ws->reason, ws->reason_n);
	ws->close_sent = true;
	push_control(ws, ZK_WSFRAME_CLOSE, zk_str_n(text, 2 + ws->reason_n));
}

static void seal(struct zk_ws_tcp *t, struct zk_ws_out *o)
{
	char *end = o->bytes + ZK_WSFRAME_HEAD_MAX, *p;
	uint8_t mask[4];

	random_mask(t->ws->lib, mask);
	p = zk_wsframe_seal(end, o->n,
	                    o->control  ? (enum zk_wsframe_op)o->control
	                    : o->binary ? ZK_WSFRAME_BINARY
	                                : ZK_WSFRAME_TEXT,
	                    mask);
	t->bufs[t->n_batch] = uv_buf_init(p, (unsigned)((size_t)(end - p) + o->n));
	t->batch[t->n_batch++] = o;
}

static void batch_done(struct zk_ws_tcp *t)
{
	for (unsigned i = 0; i < t->n_batch; i++) {
		if (t->ws && !t->batch[i]->control)
			t->ws->unsent -= t->batch[i]->n;
		free(t->batch[i]);
	}
	t->n_batch = 0;
}

static void on_written(uv_write_t *req, int status)
{
	struct zk_ws_tcp *t = req->handle->data;

	t->writing = false;
	if (!t->ws)
		return; /* on_closed frees the rest */
	batch_done(t);
	if (status < 0)
		gone(t);
	else
		on_flush(t);
}

/* What the system took of the batch at once; the rest is written when it takes more. */
static void write_batch(struct zk_ws_tcp *t)
{
	int r = uv_try_write((uv_stream_t *)&t->tcp, t->bufs, t->n_batch);
	size_t n = r > 0 ? (size_t)r : 0;
	unsigned at = 0;

	while (at < t->n_batch && n >= t->bufs[at].len)
		n -= t->bufs[at++].len;
	if (at == t->n_batch) {
		batch_done(t);
		return;
	}
	t->bufs[at].base += n;
	t->bufs[at].len -= n;
	t->req.write = (uv_write_t){ 0 };
	t->writing = true;
	if (uv_write(&t->req.write, (uv_stream_t *)&t->tcp, t->bufs + at, t->n_batch - at,
	             on_written) < 0) {
		t->writing = false;
		gone(t);
	}
}

static void on_flush(void *ctx)
{
	struct zk_ws_tcp *t = ctx;
	struct zk_ws *ws = t->ws;
	struct zk_list *e;

	t->flush_due = false;
	if (t->writing || !t->open)
		return;
	if (ws->pinging) {
		ws->pinging = false;
		push_control(ws, ZK_WSFRAME_PING, ZK_STR_NULL);
	}
	for (;;) {
		if (zk_list_is_empty(&ws->out) && ws->state == ZK_WS_CLOSING &&
		    !ws->close_sent)
			push_close(ws, ws->code);
		while (t->n_batch < BATCH && (e = zk_list_pop(&ws->out)) != NULL)
			seal(t, ZK_LIST_ENTRY(e, struct zk_ws_out, entry));
		if (!t->n_batch)
			break;
		write_batch(t);
		if (!t->ws || t->writing)
			return;
	}
	if (t->farewell)
		gone(t);
}

static void want_write(struct zk_ws *ws)
{
	struct zk_ws_tcp *t = ws->tcp;

	if (!t || t->flush_due || t->writing)
		return;
	t->flush_due = true;
	zk_loop_defer(loop_of(t), on_flush, t);
}

/* ---- reading ---- */

static void broken(struct zk_ws_tcp *t, const char *what)
{
	struct zk_ws *ws = t->ws;
	struct zk_list *e;

	/* The goodbye goes out when it can at once; nobody waits for it. */
	if (!t->writing && !ws->close_sent) {
		push_close(ws, ZK_WS_PROTOCOL);
		while ((e = zk_list_pop(&ws->out)) != NULL && t->n_batch < BATCH)
			seal(t, ZK_LIST_ENTRY(e, struct zk_ws_out, entry));
		(void)uv_try_write((uv_stream_t *)&t->tcp, t->bufs, t->n_batch);
		if (e)
			free(ZK_LIST_ENTRY(e, struct zk_ws_out, entry));
	}
	drop(ws);
	zk_ws_on_broken(ws, what);
}

static void peer_close(struct zk_ws_tcp *t, zk_str bytes)
{
	struct zk_ws *ws = t->ws;
	unsigned code;
	zk_str reason;

	if (!zk_wsframe_close_read(bytes, &code, &reason)) {
		broken(t, "a close frame without a proper code");
		return;
	}
	zk_ws_on_peer_close(ws, code, reason);
	if (ws->close_sent) {
		gone(t);
		return;
	}
	ws->close_sent = true;
	push_control(ws, ZK_WSFRAME_CLOSE, zk_str_n(bytes.p, ZK_MIN(bytes.n, (size_t)2)));
	t->farewell = true;
	want_write(ws);
}

static void on_control(struct zk_ws_tcp *t, const struct zk_wsframe_piece *p)
{
	if (p->op == ZK_WSFRAME_CLOSE) {
		peer_close(t, p->bytes);
	} else if (p->op == ZK_WSFRAME_PING && !t->ws->close_sent) {
		push_control(t->ws, ZK_WSFRAME_PONG, p->bytes);
		want_write(t->ws);
	}
}

static void on_frames(struct zk_ws_tcp *t, zk_str chunk)
{
	struct zk_wsframe_piece p;

	/* Any callback may drop the connection. */
	while (t->ws && !t->farewell && zk_wsframe_next(&t->frames, &chunk, &p)) {
		if (ZK_LIKELY(p.op < ZK_WSFRAME_CLOSE))
			(void)zk_ws_on_piece(t->ws, p.bytes, p.op == ZK_WSFRAME_BINARY,
			                     p.first, p.last);
		else
			on_control(t, &p);
	}
	if (t->ws && t->frames.failed)
		broken(t, t->frames.failed);
}

/* ---- the handshake ---- */

/* What the answer's head says. */
struct answer {
	int status;
	zk_str upgrade, connection, accept, protocol, extensions, date, location,
	        retry_after;
};

static bool read_answer(zk_str head, struct answer *a)
{
	static const struct {
		zk_str name;
		size_t off;
	} rows[] = {
		{ ZK_STR_INIT("upgrade"), offsetof(struct answer, upgrade) },
		{ ZK_STR_INIT("connection"), offsetof(struct answer, connection) },
		{ ZK_STR_INIT("sec-websocket-accept"), offsetof(struct answer, accept) },
		{ ZK_STR_INIT("sec-websocket-protocol"),
		  offsetof(struct answer, protocol) },
		{ ZK_STR_INIT("sec-websocket-extensions"),
		  offsetof(struct answer, extensions) },
		{ ZK_STR_INIT("date"), offsetof(struct answer, date) },
		{ ZK_STR_INIT("location"), offsetof(struct answer, location) },
		{ ZK_STR_INIT("retry-after"), offsetof(struct answer, retry_after) },
	};
	zk_str line, name;

	head = zk_str_cut(head, '\n', &line);
	if (!zk_str_starts(line, ZK_STR("HTTP/1.")) || line.n < 12 || line.p[8] != ' ')
		return false;
	for (size_t i = 9; i < 12; i++) {
		if (line.p[i] < '0' || line.p[i] > '9')
			return false;
		a->status = a->status * 10 + (line.p[i] - '0');
	}
	while (head.n) {
		head = zk_str_cut(head, '\n', &line);
		line = zk_str_trim(zk_str_cut(line, ':', &name));
		for (size_t i = 0; i < ZK_ARRAY_LEN(rows); i++)
			if (zk_str_eq_nocase(name, rows[i].name))
				*(zk_str *)(void *)((char *)a + rows[i].off) = line;
	}
	return true;
}

/* NULL, or what is wrong with a 101. */
static const char *check_upgrade(const struct zk_ws_tcp *t, const struct answer *a)
{
	char accept[ZK_WSFRAME_ACCEPT];

	zk_wsframe_accept(zk_str_of(t->key), accept);
	if (!zk_str_eq_nocase(a->upgrade, ZK_STR("websocket")) ||
	    !zk_http1_list_has(a->connection, ZK_STR("upgrade")))
		return "the answer upgrades to something else";
	if (!zk_str_eq(a->accept, zk_str_of(accept)))
		return "the answer has a wrong Sec-WebSocket-Accept";
	if (a->extensions.n)
		return "the answer has extensions that were not asked for";
	if (a->protocol.n &&
	    !(t->ws->protocol &&
	      zk_http1_list_has(zk_str_of(t->ws->protocol), a->protocol)))
		return "the answer has a subprotocol that was not asked for";
	return NULL;
}

static bool is_redirect(int status)
{
	return status == 301 || status == 302 || status == 303 || status == 307 ||
	       status == 308;
}

static void on_answer(struct zk_ws_tcp *t, zk_str head)
{
	struct answer a = { 0 };
	struct zk_ws *ws = t->ws;
	const char *wrong;

	if (!read_answer(head, &a)) {
		refuse(t, "the answer is no HTTP", 101, ZK_STR_NULL);
		return;
	}
	if (is_redirect(a.status)) {
		ZK_CLEANUP(zk_freep)
		char *to = zk_strndup(a.location.n ? a.location.p : "", a.location.n);

		drop(ws);
		zk_ws_on_redirect(ws, zk_str_of(to));
		return;
	}
	if (a.status != 101) {
		refuse(t, "refused", a.status, a.retry_after);
		return;
	}
	wrong = check_upgrade(t, &a);
	if (wrong) {
		refuse(t, wrong, 101, ZK_STR_NULL);
		return;
	}
	t->open = true;
	if (ws->flow_off)
		(void)uv_read_stop((uv_stream_t *)&t->tcp); /* cannot fail */
	zk_ws_on_open(ws, a.protocol, a.date);
}

static void on_head(struct zk_ws_tcp *t, zk_str chunk)
{
	size_t from = t->head.n > 3 ? t->head.n - 3 : 0, had = t->head.n;
	zk_str rest;
	ptrdiff_t end;

	zk_buf_put(&t->head, chunk.p, ZK_MIN(chunk.n, HEAD_MAX - had));
	end = zk_str_find(zk_str_from(zk_buf_str(&t->head), from), ZK_STR("\r\n\r\n"));
	if (end < 0) {
		if (t->head.n == HEAD_MAX)
			refuse(t, "the head of the answer is too long", 101, ZK_STR_NULL);
		return;
	}
	rest = zk_str_from(chunk, from + (size_t)end + 4 - had);
	on_answer(t, zk_str_n(t->head.p, from + (size_t)end));
	zk_buf_done(&t->head);
	if (t->ws && t->open)
		on_frames(t, rest);
}

static void put_request(struct zk_ws_tcp *t, struct zk_buf *b)
{
	struct zk_ws *ws = t->ws;
	char nonce[16];
	struct zk_buf key ZK_CLEANUP(zk_buf_done);

	zk_buf_init(&key, KEY_CHARS + 1);
	zk_rand_secret(nonce, sizeof(nonce));
	zk_buf_base64(&key, zk_str_n(nonce, sizeof(nonce)), false, true);
	memcpy(t->key, zk_buf_cstring(&key), KEY_CHARS + 1);
	zk_buf_printf(b,
	              "GET %s HTTP/1.1\r\nHost: %s\r\nUpgrade: websocket\r\n"
	              "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
	              "Sec-WebSocket-Key: %s\r\nUser-Agent: %s\r\n",
	              ws->target, ws->host_header, t->key, ws->lib->net->conf.user_agent);
	if (ws->protocol)
		zk_buf_printf(b, "Sec-WebSocket-Protocol: %s\r\n", ws->protocol);
	for (size_t i = 0; i < ws->n_headers; i++)
		if (!ws->hops || !zk_ws_is_credential(zk_str_of(ws->headers[i])))
			zk_buf_printf(b, "%s\r\n", ws->headers[i]);
	zk_buf_lit(b, "\r\n");
}

static void on_alloc(uv_handle_t *h, size_t size, uv_buf_t *buf)
{
	struct zk_ws_tcp *t = h->data;

	(void)size;
	/* All connections share it: what was read is done with before the next one reads. */
	*buf = t->ws ? uv_buf_init(t->ws->lib->room, ZK_WS_ROOM) : uv_buf_init(NULL, 0);
}

static void on_read(uv_stream_t *s, ssize_t n, const uv_buf_t *buf)
{
	struct zk_ws_tcp *t = s->data;

	if (!t->ws || n == 0)
		return;
	if (n < 0)
		gone(t);
	else if (t->open)
		on_frames(t, zk_str_n(buf->base, (size_t)n));
	else
		on_head(t, zk_str_n(buf->base, (size_t)n));
}

static void on_request_sent(uv_write_t *req, int status)
{
	struct zk_ws_tcp *t = req->handle->data;

	t->writing = false;
	zk_secret_free(req->data);
	if (t->ws && status < 0)
		refuse(t, uv_strerror(status), 0, ZK_STR_NULL);
	else if (t->ws && t->open)
		on_flush(t);
}

static void on_connected(uv_connect_t *req, int status)
{
	struct zk_ws_tcp *t = req->handle->data;
	struct zk_buf b;
	uv_buf_t buf;

	if (!t->ws)
		return;
	if (status < 0) {
		refuse(t, uv_strerror(status), 0, ZK_STR_NULL);
		return;
	}
	(void)uv_tcp_nodelay(&t->tcp, 1); /* these two may fail */
	(void)uv_tcp_keepalive(&t->tcp, 1, KEEPALIVE_S);
	zk_buf_init_secret(&b, 1u << 20);
	put_request(t, &b);
	if (b.failed) {
		zk_buf_done(&b);
		refuse(t, "the request is too long", 0, ZK_STR_NULL);
		return;
	}
	buf = uv_buf_init(b.p, (unsigned)b.n);
	t->req.write = (uv_write_t){ .data = zk_buf_take(&b) };
	buf.base = t->req.write.data;
	t->writing = true;
	if (uv_write(&t->req.write, (uv_stream_t *)&t->tcp, &buf, 1, on_request_sent) <
	            0 ||
	    uv_read_start((uv_stream_t *)&t->tcp, on_alloc, on_read) < 0)
		refuse(t, "the request cannot be sent", 0, ZK_STR_NULL);
}

static bool connect_to(struct zk_ws *ws, const char *address)
{
	struct zk_ws_tcp *t = zk_new0(struct zk_ws_tcp);
	struct sockaddr_storage to;
	struct sockaddr_in *v4 = (struct sockaddr_in *)(void *)&to;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)(void *)&to;

	if ((strchr(address, ':') ? uv_ip6_addr(address, ws->to.port, v6)
	                          : uv_ip4_addr(address, ws->to.port, v4)) < 0 ||
	    uv_tcp_init(zk_loop_uv(ws->lib->net->loop), &t->tcp) < 0) {
		free(t);
		return false;
	}
	if (!ws->lib->room)
		ws->lib->room = zk_alloc(ZK_WS_ROOM);
	t->tcp.data = t;
	t->ws = ws;
	ws->tcp = t;
	zk_buf_init(&t->head, HEAD_MAX);
	zk_wsframe_init(&t->frames, /* from_client */ false);
	if (uv_tcp_connect(&t->req.connect, &t->tcp, (struct sockaddr *)&to,
	                   on_connected) < 0) {
		drop(ws);
		return false;
	}
	return true;
}

static void flow(struct zk_ws *ws, bool on)
{
	uv_stream_t *s = ws->tcp ? (uv_stream_t *)&ws->tcp->tcp : NULL;

	if (!s || !ws->tcp->open)
		return;
	if (on)
		ZK_IGNORE(uv_read_start(s, on_alloc, on_read) < 0); /* it is ending */
	else
		(void)uv_read_stop(s); /* cannot fail */
}

static int64_t silence_ms(const struct zk_ws *ws)
{
	uv_os_fd_t fd;

	if (!ws->tcp || uv_fileno((const uv_handle_t *)&ws->tcp->tcp, &fd) < 0)
		return 0;
	return zk_ws_fd_silence_ms(fd);
}

const struct zk_ws_driver zk_ws_tcp_driver = {
	.headroom = ZK_WSFRAME_HEAD_MAX,
	.connect = connect_to,
	.drop = drop,
	.want_write = want_write,
	.flow = flow,
	.silence_ms = silence_ms,
};
