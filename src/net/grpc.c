/* A gRPC call over its own connection.
 * Layer: net. specs/zerobus.md §5.2, §6.2, §6.3. */
#include "net/grpc.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "codec/uri.h"
#include "net/conn.h"
#include "net/net.h"
#include "net/url.h"
#include "rt/loop.h"
#include "rt/text.h"

#include "base/ban.h"

#define OUT_BYTES     ((size_t)128 << 10)
#define OUT_CAP       ((size_t)4 << 20)
#define TURN_BYTES    ((size_t)4 << 20) /* written in one turn */
#define MESSAGE_MAX   65536
#define HEADERS_MAX   16
#define QUIET_MS      20000
#define PING_MS       10000
#define MAX_PINGS     2
#define NOT_GRPC_MS   1000
#define SHOWN_MESSAGE 1024
#define SHOWN_BODY    200

struct zk_grpc {
	struct zk_loop *loop;
	struct zk_grpc_conf conf;
	struct zk_conn *conn;
	struct zk_h2 *h2;
	int32_t id; /* of the stream, 0 = not begun */

	struct zk_buf head; /* the texts of the request's head */
	struct zk_h2_header headers[HEADERS_MAX];
	size_t n_headers;

	struct zk_buf out;
	size_t out_at; /* sent of it */
	bool blocked;  /* the connection takes nothing now */
	bool pumping;
	struct zk_timer *again;

	struct zk_grpc_split split;
	struct zk_buf body; /* the beginning of an answer that is not gRPC */
	char status[16], pushback[24];
	struct zk_buf message; /* grpc-message as it came */
	int http_status;
	bool is_grpc, got_head;
	struct zk_timer *not_grpc;

	struct zk_timer *alive;
	int64_t heard_ms, ping_ms; /* ping_ms: when one was sent, 0 = none is out */
	unsigned pings;            /* since the last DATA */

	bool half_closed; /* our half is over */
	bool ended, told, freed;
	struct zk_grpc_end end;
};

/* ---- the end ---- */

static void set_message(struct zk_grpc *c, zk_str text, size_t max)
{
	struct zk_buf b ZK_CLEANUP(zk_buf_done) = { 0 };

	zk_buf_init(&b, 16384);
	zk_text_scrub(&b, zk_str_n(text.p, zk_text_fit(text, max)), /* lines */ false);
	(void)snprintf(c->end.message, sizeof(c->end.message), "%.*s",
	               ZK_STR_ARG(zk_buf_str(&b)));
}

/* The first thing that ends it counts. */
static bool finish(struct zk_grpc *c, int code, enum zk_grpc_from from)
{
	if (c->ended)
		return false;
	c->ended = true;
	c->end.code = code;
	c->end.from = from;
	c->end.http_status = c->http_status;
	c->end.retryable = zk_grpc_code_is_retryable(code);
	return true;
}

static void finish_err(struct zk_grpc *c, enum zk_grpc_from from,
                       const struct zk_error *err)
{
	if (!finish(c, from == ZK_GRPC_FROM_US ? ZK_GRPC_INTERNAL : ZK_GRPC_UNAVAILABLE,
	            from))
		return;
	c->end.err = *err;
	c->end.retryable = err->retryable;
	set_message(c, zk_str_of(err->msg), SHOWN_MESSAGE);
}

static void pump(struct zk_grpc *c);

/* Tells the owner, once nothing of the engine is on the stack. */
static void settle(struct zk_grpc *c)
{
	if (!c->ended || c->told || c->freed)
		return;
	c->told = true;
	zk_timer_stop(c->alive);
	zk_timer_stop(c->not_grpc);
	if (c->id && !c->half_closed && c->conn)
		zk_h2_reset(c->h2, c->id,
		            c->end.code == 0 ? ZK_H2_NO_ERROR : ZK_H2_CANCEL);
	pump(c);
	c->conf.on_end(c->conf.ctx, &c->end);
}

static int code_of_http(int status)
{
	switch (status) {
	case 400:
		return ZK_GRPC_INTERNAL;
	case 401:
		return ZK_GRPC_UNAUTHENTICATED;
	case 403:
		return ZK_GRPC_PERMISSION_DENIED;
	case 404:
		return ZK_GRPC_UNIMPLEMENTED;
	case 429:
	case 502:
	case 503:
	case 504:
		return ZK_GRPC_UNAVAILABLE;
	default:
		return ZK_GRPC_UNKNOWN;
	}
}

static void finish_http(struct zk_grpc *c)
{
	struct zk_buf b ZK_CLEANUP(zk_buf_done) = { 0 };
	zk_str body = zk_buf_str(&c->body);

	if (!finish(c, code_of_http(c->http_status), ZK_GRPC_FROM_HTTP))
		return;
	c->end.is_proxy_auth = c->http_status == 407;
	if (c->end.is_proxy_auth)
		c->end.retryable = false;
	zk_buf_init(&b, 4096);
	zk_buf_printf(&b, "not a gRPC answer (HTTP %d)", c->http_status);
	if (c->http_status == 401 || c->http_status == 403 || c->http_status == 407)
		zk_buf_lit(&b, "; it may come from a proxy");
	if (body.n)
		zk_buf_printf(&b, ": %.*s", (int)ZK_MIN(body.n, (size_t)SHOWN_BODY),
		              body.p);
	set_message(c, zk_buf_str(&b), SHOWN_MESSAGE);
}

static int64_t pushback_of(const char *text)
{
	int64_t v;
	struct zk_error ignored;

	if (!text[0])
		return -1;
	if (zk_parse_i64(zk_str_of(text), &v, &ignored) < 0 || v < 0)
		return -2;
	return v;
}

/* grpc-message: percent-decoded where it can be, as it stands otherwise. */
static void take_message(struct zk_grpc *c)
{
	struct zk_buf b ZK_CLEANUP(zk_buf_done) = { 0 };
	zk_str raw = zk_buf_str(&c->message);

	zk_buf_init(&b, 16384);
	set_message(c, zk_uri_decode(raw, ZK_URI_PATH, &b) ? zk_buf_str(&b) : raw,
	            SHOWN_MESSAGE);
}

static void finish_status(struct zk_grpc *c)
{
	uint64_t code;
	struct zk_error ignored;

	c->end.pushback_ms = pushback_of(c->pushback);
	if (!c->status[0]) {
		if (finish(c, ZK_GRPC_UNKNOWN, ZK_GRPC_FROM_NOTHING))
			set_message(c, ZK_STR("the stream ended without a status"),
			            SHOWN_MESSAGE);
		return;
	}
	if (zk_parse_u64(zk_str_of(c->status), &code, &ignored) < 0 || code > 1000)
		code = ZK_GRPC_UNKNOWN;
	if (finish(c, (int)code, ZK_GRPC_FROM_STATUS))
		take_message(c);
}

/* ---- what comes in ---- */

static void h2_header(void *ctx, int32_t id, zk_str name, zk_str value)
{
	struct zk_grpc *c = ctx;

	(void)id;
	if (zk_str_eq(name, ZK_STR(":status"))) {
		uint64_t v = 0;
		struct zk_error ignored;

		ZK_IGNORE(zk_parse_u64(value, &v, &ignored) < 0); /* 0 is no status */
		c->http_status = (int)ZK_MIN(v, (uint64_t)999);
	} else if (zk_str_eq(name, ZK_STR("content-type"))) {
		c->is_grpc = zk_str_starts_nocase(value, ZK_STR("application/grpc"));
	} else if (zk_str_eq(name, ZK_STR("grpc-status"))) {
		(void)snprintf(c->status, sizeof(c->status), "%.*s",
		               (int)ZK_MIN(value.n, (size_t)15), value.p);
	} else if (zk_str_eq(name, ZK_STR("grpc-message"))) {
		zk_buf_clear(&c->message);
		zk_buf_put(&c->message, value.p, ZK_MIN(value.n, (size_t)4096));
	} else if (zk_str_eq(name, ZK_STR("grpc-retry-pushback-ms"))) {
		(void)snprintf(c->pushback, sizeof(c->pushback), "%.*s",
		               (int)ZK_MIN(value.n, (size_t)23), value.p);
	}
}

static bool is_grpc_answer(const struct zk_grpc *c)
{
	return c->http_status == 200 && c->is_grpc;
}

static void h2_head(void *ctx, int32_t id)
{
	struct zk_grpc *c = ctx;

	(void)id;
	if (c->got_head || c->http_status / 100 == 1)
		return;
	c->got_head = true;
	if (!is_grpc_answer(c))
		zk_timer_start(c->not_grpc, NOT_GRPC_MS, 0);
}

static void h2_data(void *ctx, int32_t id, zk_str bytes)
{
	struct zk_grpc *c = ctx;
	struct zk_error err = { 0 };
	zk_str msg;
	int r;

	(void)id;
	c->pings = 0;
	if (c->ended)
		return;
	if (!is_grpc_answer(c)) {
		zk_buf_put(&c->body, bytes.p, ZK_MIN(bytes.n, c->body.cap - c->body.n));
		return;
	}
	while ((r = zk_grpc_split_next(&c->split, &bytes, &msg, &err)) > 0) {
		c->conf.on_message(c->conf.ctx, msg);
		if (c->freed)
			return;
	}
	if (r < 0)
		finish_err(c, ZK_GRPC_FROM_US, &err);
}

static void h2_end(void *ctx, int32_t id)
{
	struct zk_grpc *c = ctx;

	(void)id;
	if (is_grpc_answer(c))
		finish_status(c);
	else
		finish_http(c);
}

static void h2_reset(void *ctx, int32_t id, uint32_t code)
{
	struct zk_grpc *c = ctx;
	int status = ZK_GRPC_INTERNAL;
	char text[64];

	(void)id;
	/* After trailers a server may say that it does not want the rest. */
	if (c->status[0]) {
		finish_status(c);
		return;
	}
	if (code == ZK_H2_REFUSED_STREAM)
		status = ZK_GRPC_UNAVAILABLE;
	else if (code == ZK_H2_CANCEL)
		status = ZK_GRPC_CANCELLED;
	else if (code == ZK_H2_ENHANCE_YOUR_CALM)
		status = ZK_GRPC_RESOURCE_EXHAUSTED;
	if (!finish(c, status, ZK_GRPC_FROM_RESET))
		return;
	c->end.reset_code = code;
	c->end.unprocessed = code == ZK_H2_REFUSED_STREAM;
	if (code == ZK_H2_INADEQUATE_SECURITY || code == ZK_H2_HTTP_1_1_REQUIRED)
		c->end.retryable = false;
	(void)snprintf(text, sizeof(text), "the stream was reset with HTTP/2 code %u",
	               code);
	set_message(c, zk_str_of(text), SHOWN_MESSAGE);
}

static void h2_closed(void *ctx, int32_t id)
{
	(void)ctx;
	(void)id; /* the end was seen in h2_end or h2_reset */
}

static void h2_goaway(void *ctx, int32_t last_id, uint32_t code)
{
	struct zk_grpc *c = ctx;
	char text[80];

	if (c->ended)
		return;
	if (code == 0 && (!c->id || last_id >= c->id)) {
		c->conf.on_goaway(c->conf.ctx);
		return;
	}
	if (!finish(c, ZK_GRPC_UNAVAILABLE, ZK_GRPC_FROM_GOAWAY))
		return;
	c->end.reset_code = code;
	c->end.unprocessed = !c->id || last_id < c->id;
	(void)snprintf(text, sizeof(text), "the server closed the connection (GOAWAY %u)",
	               code);
	set_message(c, zk_str_of(text), SHOWN_MESSAGE);
}

static size_t h2_ready(void *ctx, int32_t id, size_t room, enum zk_h2_more *more)
{
	struct zk_grpc *c = ctx;
	bool end = false;
	size_t n;

	(void)id;
	if (c->ended || c->freed)
		return 0;
	n = c->conf.ready(c->conf.ctx, room, &end);
	if (end) {
		*more = ZK_H2_END;
		c->half_closed = true;
	}
	return n;
}

static void h2_take(void *ctx, int32_t id, char *to, size_t n)
{
	struct zk_grpc *c = ctx;

	(void)id;
	/* A frame that was announced before the end: its bytes mean nothing any more. */
	if (c->ended || c->freed)
		memset(to, 0, n);
	else
		c->conf.take(c->conf.ctx, to, n);
}

/* ---- the connection ---- */

/* Sends what waits in `out`; false when the connection takes no more or is lost. */
static bool flush(struct zk_grpc *c)
{
	while (c->out_at < c->out.n) {
		ptrdiff_t n = zk_conn_write(
		        c->conn, zk_str_n(c->out.p + c->out_at, c->out.n - c->out_at));

		if (n < 0)
			return false;
		c->out_at += (size_t)n;
		if (c->out_at < c->out.n) {
			c->blocked = true;
			return false;
		}
	}
	zk_buf_clear(&c->out);
	c->out_at = 0;
	return true;
}

static void pump(struct zk_grpc *c)
{
	struct zk_error err = { 0 };
	size_t total = 0;

	if (!c->id || c->pumping || c->blocked || !c->conn)
		return;
	c->pumping = true;
	while (flush(c)) {
		if (total >= TURN_BYTES) {
			zk_timer_start(c->again, 0, 0);
			break;
		}
		if (zk_h2_fill(c->h2, &c->out, OUT_BYTES, &err) < 0) {
			finish_err(c, ZK_GRPC_FROM_CONN, &err);
			break;
		}
		if (!c->out.n)
			break;
		total += c->out.n;
	}
	c->pumping = false;
}

static void on_again(void *ctx)
{
	struct zk_grpc *c = ctx;

	pump(c);
	settle(c);
}

static void conn_writable(void *ctx)
{
	struct zk_grpc *c = ctx;

	c->blocked = false;
	on_again(c);
}

static void conn_data(void *ctx, zk_str bytes)
{
	struct zk_grpc *c = ctx;
	struct zk_error err = { 0 };

	c->heard_ms = zk_mono_ms();
	c->ping_ms = 0;
	if (zk_h2_feed(c->h2, bytes, &err) < 0) {
		/* A broken session is tried once more by who knows how often it happened. */
		err.retryable = err.code == ZK_E_PROTOCOL;
		finish_err(c, ZK_GRPC_FROM_CONN, &err);
	}
	if (c->freed)
		return;
	pump(c);
	settle(c);
}

static void conn_end(void *ctx, const struct zk_error *err)
{
	struct zk_grpc *c = ctx;
	struct zk_error lost = { 0 };

	if (!err) {
		(void)zk_fail(&lost, ZK_E_TRANSFER, "the server closed the connection");
		lost.retryable = true;
		err = &lost;
	}
	/* Trailers may have come without END_STREAM being seen. */
	if (c->status[0])
		finish_status(c);
	else
		finish_err(c, ZK_GRPC_FROM_CONN, err);
	zk_conn_close(ZK_TAKE(c->conn));
	settle(c);
}

static void conn_open(void *ctx)
{
	struct zk_grpc *c = ctx;
	struct zk_error err = { 0 };

	c->heard_ms = zk_mono_ms();
	if (zk_h2_request(c->h2, c->headers, c->n_headers, &c->id, &err) < 0) {
		finish_err(c, ZK_GRPC_FROM_CONN, &err);
	} else {
		zk_timer_start(c->alive, c->conf.quiet_ms, 0);
		c->conf.on_open(c->conf.ctx);
		if (c->freed)
			return;
		pump(c);
	}
	settle(c);
}

/* ---- signs of life ---- */

static void on_alive(void *ctx)
{
	struct zk_grpc *c = ctx;
	struct zk_error err = { 0 };
	int64_t now = zk_mono_ms(), quiet = now - c->heard_ms;

	if (c->ping_ms && now - c->ping_ms >= c->conf.ping_ms) {
		(void)zk_fail(&err, ZK_E_TRANSFER,
		              "the connection is dead: no answer to a PING for %.0f s",
		              (double)c->conf.ping_ms / 1000);
		err.retryable = true;
		finish_err(c, ZK_GRPC_FROM_CONN, &err);
		settle(c);
		return;
	}
	if (quiet >= c->conf.quiet_ms && !c->ping_ms && c->pings < MAX_PINGS &&
	    c->conf.is_waiting && c->conf.is_waiting(c->conf.ctx)) {
		c->pings++;
		c->ping_ms = now;
		zk_h2_ping(c->h2);
		pump(c);
	}
	zk_timer_start(c->alive,
	               c->ping_ms                 ? c->conf.ping_ms
	               : quiet < c->conf.quiet_ms ? c->conf.quiet_ms - quiet
	                                          : c->conf.quiet_ms,
	               0);
	settle(c);
}

static void on_not_grpc(void *ctx)
{
	struct zk_grpc *c = ctx;

	finish_http(c);
	settle(c);
}

/* ---- begin ---- */

static void add_header(struct zk_grpc *c, zk_str name, zk_str value, bool secret)
{
	ZK_ASSERT(c->n_headers < HEADERS_MAX && !c->head.failed);
	c->headers[c->n_headers++] = (struct zk_h2_header){ name, value, secret };
}

/* A copy in `head`, whose memory does not move any more. */
static zk_str keep(struct zk_grpc *c, zk_str text)
{
	size_t at = c->head.n;

	zk_buf_add(&c->head, text);
	return zk_str_n(c->head.p + at, text.n);
}

static zk_str keep_authority(struct zk_grpc *c, const struct zk_url *u)
{
	bool is_default = u->port == (strcmp(u->scheme, "https") == 0 ? 443 : 80);
	bool six = strchr(u->host, ':') != NULL;
	size_t at = c->head.n;

	zk_buf_printf(&c->head, "%s%s%s", six ? "[" : "", u->host, six ? "]" : "");
	if (!is_default)
		zk_buf_printf(&c->head, ":%d", u->port);
	return zk_str_n(c->head.p + at, c->head.n - at);
}

static int make_head(struct zk_grpc *c, const struct zk_grpc_conf *conf,
                     struct zk_error *err)
{
	struct zk_url u = { 0 };
	size_t at, total = 8192 + (conf->bearer ? strlen(conf->bearer) : 0);

	if (zk_url_parse(zk_str_of(conf->endpoint), &u, err) < 0)
		return -(int)err->code;
	for (size_t i = 0; i < conf->n_headers; i++)
		total += conf->headers[i].name.n + conf->headers[i].value.n;
	zk_buf_init_secret(&c->head, total);
	(void)zk_buf_reserve(&c->head, total);
	add_header(c, ZK_STR(":method"), ZK_STR("POST"), false);
	add_header(c, ZK_STR(":scheme"), keep(c, zk_str_of(u.scheme)), false);
	add_header(c, ZK_STR(":path"), keep(c, zk_str_of(conf->path)), false);
	add_header(c, ZK_STR(":authority"), keep_authority(c, &u), false);
	add_header(c, ZK_STR("te"), ZK_STR("trailers"), false);
	add_header(c, ZK_STR("content-type"), ZK_STR("application/grpc"), false);
	add_header(c, ZK_STR("user-agent"), keep(c, zk_str_of(conf->user_agent)), false);
	if (conf->bearer) {
		at = c->head.n;
		zk_buf_printf(&c->head, "Bearer %s", conf->bearer);
		add_header(c, ZK_STR("authorization"),
		           zk_str_n(c->head.p + at, c->head.n - at), /* secret */ true);
	}
	for (size_t i = 0; i < conf->n_headers; i++)
		add_header(c, keep(c, conf->headers[i].name),
		           keep(c, conf->headers[i].value), conf->headers[i].secret);
	zk_url_done(&u);
	return 0;
}

static void free_now(void *ctx)
{
	struct zk_grpc *c = ctx;

	zk_h2_free(c->h2);
	zk_timer_free(c->again);
	zk_timer_free(c->not_grpc);
	zk_timer_free(c->alive);
	zk_buf_done(&c->head);
	zk_buf_done(&c->out);
	zk_buf_done(&c->body);
	zk_buf_done(&c->message);
	zk_grpc_split_done(&c->split);
	free(c);
}

void zk_grpc_free(struct zk_grpc *c, uint32_t h2_code)
{
	if (!c || c->freed)
		return;
	if (!c->ended && c->id && c->conn && !c->pumping) {
		zk_h2_reset(c->h2, c->id, h2_code);
		c->ended = true;
		pump(c);
	}
	c->freed = true;
	zk_timer_stop(c->again);
	zk_timer_stop(c->not_grpc);
	zk_timer_stop(c->alive);
	zk_conn_close(ZK_TAKE(c->conn));
	/* The engine may be on the stack. */
	zk_loop_defer(c->loop, free_now, c);
}

static int open_parts(struct zk_grpc *c, struct zk_net *net,
                      const struct zk_grpc_conf *conf, struct zk_error *err)
{
	struct zk_h2_conf h2 = {
		.ctx = c,
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
	struct zk_conn_conf conn = {
		.url = conf->endpoint,
		.alpn = "h2",
		.connect_timeout_ms = conf->connect_timeout_ms,
		.ctx = c,
		.on_open = conn_open,
		.on_data = conn_data,
		.on_writable = conn_writable,
		.on_end = conn_end,
	};

	if (make_head(c, conf, err) < 0 || zk_h2_new(&h2, &c->h2, err) < 0)
		return -(int)err->code;
	return zk_conn_open(net, &conn, &c->conn, err);
}

int zk_grpc_start(struct zk_net *net, const struct zk_grpc_conf *conf,
                  struct zk_grpc **ret, struct zk_error *err)
{
	struct zk_grpc *c = zk_new0(struct zk_grpc);
	int r;

	c->loop = zk_net_loop(net);
	c->conf = *conf;
	c->conf.endpoint = c->conf.path = c->conf.bearer = NULL; /* were the caller's */
	c->conf.headers = NULL;
	if (!c->conf.quiet_ms)
		c->conf.quiet_ms = QUIET_MS;
	if (!c->conf.ping_ms)
		c->conf.ping_ms = PING_MS;
	c->end.pushback_ms = -1;
	zk_buf_init(&c->out, OUT_CAP);
	zk_buf_init(&c->body, 4096);
	zk_buf_init(&c->message, 4096);
	zk_grpc_split_init(&c->split,
	                   conf->max_message ? conf->max_message : MESSAGE_MAX);
	c->again = zk_timer_new(c->loop, on_again, c);
	c->not_grpc = zk_timer_new(c->loop, on_not_grpc, c);
	c->alive = zk_timer_new(c->loop, on_alive, c);
	r = open_parts(c, net, conf, err);
	if (r < 0) {
		free_now(c);
		return r;
	}
	*ret = c;
	return 0;
}

void zk_grpc_wake(struct zk_grpc *c)
{
	if (c->freed || c->ended || !c->id)
		return;
	zk_h2_resume(c->h2, c->id);
	/* From inside a callback of the engine the pump runs behind it anyway. */
	if (!c->pumping)
		zk_timer_start(c->again, 0, 0);
}
