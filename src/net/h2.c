/* HTTP/2 by libnghttp2, without sockets.
 * Layer: net; owns libnghttp2. specs/zerobus.md §6.2. */
#include "net/h2.h"

#include <nghttp2/nghttp2.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/dl.h"
#include "base/list.h"
#include "base/mem.h"

#include "base/ban.h"

/* clang-format off */
#define H2_SYMS(X) \
	X(nghttp2_session_callbacks_new) X(nghttp2_session_callbacks_del) \
	X(nghttp2_session_callbacks_set_on_header_callback) \
	X(nghttp2_session_callbacks_set_on_frame_recv_callback) \
	X(nghttp2_session_callbacks_set_on_data_chunk_recv_callback) \
	X(nghttp2_session_callbacks_set_on_stream_close_callback) \
	X(nghttp2_session_callbacks_set_send_data_callback) \
	X(nghttp2_session_client_new2) X(nghttp2_session_server_new2) X(nghttp2_session_del) \
	X(nghttp2_option_new) X(nghttp2_option_del) \
	X(nghttp2_option_set_no_closed_streams) \
	X(nghttp2_session_mem_recv) X(nghttp2_session_mem_send) \
	X(nghttp2_session_want_read) X(nghttp2_session_want_write) \
	X(nghttp2_session_resume_data) \
	X(nghttp2_session_set_local_window_size) X(nghttp2_session_terminate_session) \
	X(nghttp2_submit_settings) X(nghttp2_submit_request) X(nghttp2_submit_response) \
	X(nghttp2_submit_trailer) X(nghttp2_submit_rst_stream) X(nghttp2_submit_ping) \
	X(nghttp2_submit_goaway) \
	X(nghttp2_session_get_last_proc_stream_id) X(nghttp2_strerror)
/* clang-format on */

static struct {
	H2_SYMS(ZK_DL_FIELD)
} ng;
#define ROW(s) ZK_DL_ROW_OF(ng, s)
static const struct zk_dl_sym syms[] = { H2_SYMS(ROW) };
ZK_DL_NOTE("grpc", "HTTP/2 streams", "suggested", "libnghttp2.so.14");
static struct zk_dl lib = ZK_DL_INIT("libnghttp2.so.14", "libnghttp2-14", &ng, syms);

#define WINDOW      (1 << 20)
#define HEADERS_MAX 24
#define FRAME_HEAD  9
#define SHOWN_BYTES 60

/* Trailers of an answer that are to come. */
struct tail {
	struct zk_list link;
	int32_t id;
	nghttp2_nv nv[HEADERS_MAX];
	size_t n;
	struct zk_buf text;
};

struct zk_h2 {
	struct zk_h2_conf conf;
	nghttp2_session *s;
	struct zk_buf *out; /* while zk_h2_fill is on the stack */
	size_t target;      /* of it */
	struct zk_list tails;
	bool proven; /* a whole frame of the peer was understood */
	char first[SHOWN_BYTES];
	size_t n_first;
};

/* ---- callbacks of libnghttp2 ---- */

/* The library gives so many. NOLINTNEXTLINE(readability-function-size) */
static int on_header(nghttp2_session *s, const nghttp2_frame *f, const uint8_t *name,
                     size_t name_n, const uint8_t *value, size_t value_n, uint8_t flags,
                     void *ctx)
{
	struct zk_h2 *h = ctx;

	(void)s;
	(void)flags;
	h->conf.on_header(h->conf.ctx, f->hd.stream_id,
	                  zk_str_n((const char *)name, name_n),
	                  zk_str_n((const char *)value, value_n));
	return 0;
}

static int on_frame(nghttp2_session *s, const nghttp2_frame *f, void *ctx)
{
	struct zk_h2 *h = ctx;
	int32_t id = f->hd.stream_id;

	(void)s;
	h->proven = true;
	switch (f->hd.type) {
	case NGHTTP2_HEADERS:
		h->conf.on_head(h->conf.ctx, id);
		break;
	case NGHTTP2_RST_STREAM:
		h->conf.on_reset(h->conf.ctx, id, f->rst_stream.error_code);
		return 0;
	case NGHTTP2_GOAWAY:
		h->conf.on_goaway(h->conf.ctx, f->goaway.last_stream_id,
		                  f->goaway.error_code);
		return 0;
	case NGHTTP2_DATA:
		break;
	default:
		return 0;
	}
	if (f->hd.flags & NGHTTP2_FLAG_END_STREAM)
		h->conf.on_end(h->conf.ctx, id);
	return 0;
}

static int on_chunk(nghttp2_session *s, uint8_t flags, int32_t id, const uint8_t *p,
                    size_t n, void *ctx)
{
	struct zk_h2 *h = ctx;

	(void)s;
	(void)flags;
	h->conf.on_data(h->conf.ctx, id, zk_str_n((const char *)p, n));
	return 0;
}

static void drop_tail(struct tail *t)
{
	zk_list_remove(&t->link);
	zk_buf_done(&t->text);
	free(t);
}

static struct tail *find_tail(struct zk_h2 *h, int32_t id)
{
	ZK_LIST_EACH (it, &h->tails) {
		struct tail *t = ZK_LIST_ENTRY(it, struct tail, link);

		if (t->id == id)
			return t;
	}
	return NULL;
}

static int on_close(nghttp2_session *s, int32_t id, uint32_t code, void *ctx)
{
	struct zk_h2 *h = ctx;
	struct tail *t = find_tail(h, id);

	(void)s;
	(void)code;
	if (t)
		drop_tail(t);
	h->conf.on_closed(h->conf.ctx, id);
	return 0;
}

/* How much of a body goes into the next DATA frame. The library gives so many.
 * NOLINTNEXTLINE(readability-function-size) */
static ssize_t on_read(nghttp2_session *s, int32_t id, uint8_t *p, size_t n,
                       uint32_t *flags, nghttp2_data_source *src, void *ctx)
{
	struct zk_h2 *h = ctx;
	enum zk_h2_more more = ZK_H2_MORE;
	size_t got = h->conf.ready(h->conf.ctx, id, n, &more);
	struct tail *t;

	(void)p;
	(void)src;
	if (!got && more == ZK_H2_MORE)
		return NGHTTP2_ERR_DEFERRED;
	*flags |= NGHTTP2_DATA_FLAG_NO_COPY;
	if (more == ZK_H2_MORE)
		return (ssize_t)got;
	*flags |= NGHTTP2_DATA_FLAG_EOF;
	t = more == ZK_H2_TRAILERS ? find_tail(h, id) : NULL;
	if (t) {
		*flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
		(void)(ng.nghttp2_submit_trailer)(s, id, t->nv, t->n);
	}
	return (ssize_t)got;
}

/* The DATA frame itself: straight from the owner into the out buffer. */
static int on_send_data(nghttp2_session *s, nghttp2_frame *f, const uint8_t *head,
                        size_t n, nghttp2_data_source *src, void *ctx)
{
	struct zk_h2 *h = ctx;
	char *to;

	(void)s;
	(void)src;
	/* libnghttp2 would go on as long as the peer's window is open. */
	if (h->out->n >= h->target)
		return NGHTTP2_ERR_WOULDBLOCK;
	to = zk_buf_reserve(h->out, FRAME_HEAD + n);
	if (!to)
		return NGHTTP2_ERR_CALLBACK_FAILURE;
	memcpy(to, head, FRAME_HEAD);
	if (n)
		h->conf.take(h->conf.ctx, f->hd.stream_id, to + FRAME_HEAD, n);
	h->out->n += FRAME_HEAD + n;
	return 0;
}

/* ---- session ---- */

static int settings(struct zk_h2 *h, struct zk_error *err)
{
	nghttp2_settings_entry v[4];
	size_t n = 0;
	int r;

	if (!h->conf.server)
		v[n++] = (nghttp2_settings_entry){ NGHTTP2_SETTINGS_ENABLE_PUSH, 0 };
	else
		v[n++] =
		        (nghttp2_settings_entry){ NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS,
			                          100 };
	v[n++] = (nghttp2_settings_entry){ NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE,
		                           h->conf.stream_window };
	if (h->conf.max_frame)
		v[n++] = (nghttp2_settings_entry){ NGHTTP2_SETTINGS_MAX_FRAME_SIZE,
			                           h->conf.max_frame };
	r = (ng.nghttp2_submit_settings)(h->s, NGHTTP2_FLAG_NONE, v, n);
	if (r == 0)
		r = (ng.nghttp2_session_set_local_window_size)(
		        h->s, NGHTTP2_FLAG_NONE, 0, (int32_t)h->conf.conn_window);
	return r == 0 ? 0
	              : zk_fail(err, ZK_E_SYSTEM, "HTTP/2: %s", (ng.nghttp2_strerror)(r));
}

static int make_session(struct zk_h2 *h)
{
	nghttp2_session_callbacks *cb = NULL;
	nghttp2_option *opt = NULL;
	int r = (ng.nghttp2_session_callbacks_new)(&cb);

	if (r == 0)
		r = (ng.nghttp2_option_new)(&opt);
	if (r == 0) {
		(ng.nghttp2_session_callbacks_set_on_header_callback)(cb, on_header);
		(ng.nghttp2_session_callbacks_set_on_frame_recv_callback)(cb, on_frame);
		(ng.nghttp2_session_callbacks_set_on_data_chunk_recv_callback)(cb,
		                                                               on_chunk);
		(ng.nghttp2_session_callbacks_set_on_stream_close_callback)(cb, on_close);
		(ng.nghttp2_session_callbacks_set_send_data_callback)(cb, on_send_data);
		(ng.nghttp2_option_set_no_closed_streams)(opt, 1);
		r = (h->conf.server ? ng.nghttp2_session_server_new2
		                    : ng.nghttp2_session_client_new2)(&h->s, cb, h, opt);
	}
	(ng.nghttp2_option_del)(opt);
	(ng.nghttp2_session_callbacks_del)(cb);
	return r;
}

int zk_h2_new(const struct zk_h2_conf *conf, struct zk_h2 **ret, struct zk_error *err)
{
	struct zk_h2 *h;
	int r = zk_dl_open(&lib, err);

	if (r < 0)
		return r;
	h = zk_new0(struct zk_h2);
	h->conf = *conf;
	if (!h->conf.stream_window)
		h->conf.stream_window = WINDOW;
	if (!h->conf.conn_window)
		h->conf.conn_window = WINDOW;
	zk_list_init(&h->tails);
	r = make_session(h);
	if (r != 0)
		r = zk_fail(err, ZK_E_SYSTEM, "HTTP/2: %s", (ng.nghttp2_strerror)(r));
	else
		r = settings(h, err);
	if (r < 0) {
		zk_h2_free(h);
		return r;
	}
	*ret = h;
	return 0;
}

void zk_h2_free(struct zk_h2 *h)
{
	if (!h)
		return;
	if (h->s)
		(ng.nghttp2_session_del)(h->s);
	ZK_LIST_EACH (it, &h->tails)
		drop_tail(ZK_LIST_ENTRY(it, struct tail, link));
	free(h);
}

static void keep_first(struct zk_h2 *h, zk_str bytes)
{
	size_t n = ZK_MIN(bytes.n, sizeof(h->first) - h->n_first);

	if (n)
		memcpy(h->first + h->n_first, bytes.p, n);
	h->n_first += n;
}

/* The first bytes of something that is not HTTP/2, as far as they are text. */
static int not_http2(struct zk_h2 *h, struct zk_error *err)
{
	char text[SHOWN_BYTES + 1];
	size_t n = 0;

	while (n < h->n_first && h->first[n] >= ' ' && h->first[n] < 0x7f) {
		text[n] = h->first[n];
		n++;
	}
	text[n] = '\0';
	return zk_fail(err, ZK_E_HTTP2, "the peer does not speak HTTP/2%s%s%s",
	               n ? "; it said \"" : "", text, n ? "\"" : "");
}

int zk_h2_feed(struct zk_h2 *h, zk_str bytes, struct zk_error *err)
{
	ssize_t r;

	if (!h->proven)
		keep_first(h, bytes);
	/* A server's answer of HTTP/1 would be taken for the head of a huge frame. */
	if (!h->proven && !h->conf.server && h->n_first >= 5 &&
	    memcmp(h->first, "HTTP/", 5) == 0)
		return not_http2(h, err);
	r = (ng.nghttp2_session_mem_recv)(h->s, (const uint8_t *)bytes.p, bytes.n);
	if (r >= 0 && (h->proven || (ng.nghttp2_session_want_read)(h->s)))
		return 0;
	if (!h->proven)
		return not_http2(h, err);
	return zk_fail(err, ZK_E_PROTOCOL, "HTTP/2: %s", (ng.nghttp2_strerror)((int)r));
}

bool zk_h2_is_over(const struct zk_h2 *h)
{
	return !(ng.nghttp2_session_want_read)(h->s) &&
	       !(ng.nghttp2_session_want_write)(h->s);
}

int zk_h2_fill(struct zk_h2 *h, struct zk_buf *out, size_t target, struct zk_error *err)
{
	const uint8_t *p;
	ssize_t n;

	h->out = out;
	h->target = target;
	do {
		n = (ng.nghttp2_session_mem_send)(h->s, &p);
		if (n > 0)
			zk_buf_put(out, (const char *)p, (size_t)n);
	} while (n > 0 && out->n < target);
	h->out = NULL;
	if (n < 0)
		return zk_fail(err, ZK_E_PROTOCOL, "HTTP/2: %s",
		               (ng.nghttp2_strerror)((int)n));
	if (!out->n && zk_h2_is_over(h))
		return h->proven ? zk_fail(err, ZK_E_PROTOCOL,
		                           "HTTP/2: the session is over after an error")
		                 : not_http2(h, err);
	return zk_buf_check(out, err);
}

/* ---- streams ---- */

static size_t to_nv(const struct zk_h2_header *v, size_t n, nghttp2_nv nv[HEADERS_MAX])
{
	ZK_ASSERT(n <= HEADERS_MAX);
	for (size_t i = 0; i < n; i++)
		nv[i] = (nghttp2_nv){
			.name = (uint8_t *)v[i].name.p,
			.value = (uint8_t *)(v[i].value.n ? v[i].value.p : ""),
			.namelen = v[i].name.n,
			.valuelen = v[i].value.n,
			.flags = v[i].secret ? NGHTTP2_NV_FLAG_NO_INDEX
			                     : NGHTTP2_NV_FLAG_NONE,
		};
	return n;
}

int zk_h2_request(struct zk_h2 *h, const struct zk_h2_header *v, size_t n,
                  int32_t *ret_id, struct zk_error *err)
{
	nghttp2_data_provider body = { .read_callback = on_read };
	nghttp2_nv nv[HEADERS_MAX];
	int32_t id;

	n = to_nv(v, n, nv);
	id = (ng.nghttp2_submit_request)(h->s, NULL, nv, n, &body, NULL);
	if (id < 0)
		return zk_fail(err, ZK_E_PROTOCOL, "HTTP/2: %s",
		               (ng.nghttp2_strerror)(id));
	*ret_id = id;
	return 0;
}

/* The calls below fail only for streams that have ended meanwhile; nothing is to be done. */

void zk_h2_respond(struct zk_h2 *h, int32_t id, const struct zk_h2_header *v, size_t n,
                   bool body)
{
	nghttp2_data_provider data = { .read_callback = on_read };
	nghttp2_nv nv[HEADERS_MAX];

	n = to_nv(v, n, nv);
	(void)(ng.nghttp2_submit_response)(h->s, id, nv, n, body ? &data : NULL);
}

void zk_h2_trailers(struct zk_h2 *h, int32_t id, const struct zk_h2_header *v, size_t n)
{
	struct tail *t = find_tail(h, id);
	struct zk_h2_header copy[HEADERS_MAX];
	size_t total = 1;

	if (t)
		drop_tail(t);
	t = zk_new0(struct tail);
	t->id = id;
	for (size_t i = 0; i < n; i++)
		total += v[i].name.n + v[i].value.n;
	zk_buf_init(&t->text, total);
	(void)zk_buf_reserve(&t->text, total); /* so that it does not move */
	for (size_t i = 0; i < n; i++) {
		copy[i] = v[i];
		copy[i].name.p = t->text.p + t->text.n;
		zk_buf_add(&t->text, v[i].name);
		copy[i].value.p = t->text.p + t->text.n;
		zk_buf_add(&t->text, v[i].value);
	}
	t->n = to_nv(copy, n, t->nv);
	zk_list_push(&h->tails, &t->link);
}

void zk_h2_resume(struct zk_h2 *h, int32_t id)
{
	(void)(ng.nghttp2_session_resume_data)(h->s, id);
}

void zk_h2_reset(struct zk_h2 *h, int32_t id, uint32_t code)
{
	(void)(ng.nghttp2_submit_rst_stream)(h->s, NGHTTP2_FLAG_NONE, id, code);
}

void zk_h2_ping(struct zk_h2 *h)
{
	(void)(ng.nghttp2_submit_ping)(h->s, NGHTTP2_FLAG_NONE, NULL);
}

void zk_h2_goaway(struct zk_h2 *h, uint32_t code)
{
	int32_t last = (ng.nghttp2_session_get_last_proc_stream_id)(h->s);

	if (code == ZK_H2_NO_ERROR)
		(void)(ng.nghttp2_submit_goaway)(h->s, NGHTTP2_FLAG_NONE, last, code,
		                                 NULL, 0);
	else
		(void)(ng.nghttp2_session_terminate_session)(h->s, code);
}
