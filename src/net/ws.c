/* WebSocket client: the life of a connection, its messages, its end.
 * Layer: net. */
#include "net/ws.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "net/http_priv.h"
#include "net/ws_int.h"
#include "rt/loop.h"

#include "base/ban.h"

#define MESSAGE_MAX     (32u << 20)
#define UNSENT_MAX      (16u << 20)
#define PING_AFTER_MS   45000
#define PONG_WITHIN_MS  20000
#define CLOSE_WITHIN_MS 1000
#define ASK_WITHIN_MS   5000
#define WATCH_MS        1000
#define BODY_MAX        4096
#define HEAD_KEPT       4096
#define MAX_HOPS        3

static void on_deadline(void *ctx);
static void on_watch(void *ctx);
static void try_next(struct zk_ws *ws);
static void on_flow(void *ctx);

/* ---- the end ---- */

static void let_go(struct zk_ws *ws)
{
	zk_ws_lookup_cancel(ZK_TAKE(ws->lookup));
	if (ws->driver)
		ws->driver->drop(ws);
	if (ws->ask)
		zk_http_cancel(ZK_TAKE(ws->ask));
	zk_timer_stop(ws->deadline);
	zk_timer_stop(ws->watch);
}

static void free_ws(struct zk_ws *ws)
{
	zk_list_remove(&ws->link);
	zk_timer_free(ws->deadline);
	zk_timer_free(ws->watch);
	ZK_LIST_EACH (it, &ws->out)
		free(ZK_LIST_ENTRY(it, struct zk_ws_out, entry));
	for (size_t i = 0; i < ws->n_headers; i++)
		zk_secret_free(ws->headers[i]);
	free(ws->headers);
	for (size_t i = 0; i < ws->n_addresses; i++)
		free(ws->addresses[i]);
	free(ws->addresses);
	zk_url_done(&ws->to);
	zk_secret_free(ws->url);
	free(ws->target);
	free(ws->host_header);
	free(ws->protocol);
	zk_buf_done(&ws->part);
	zk_buf_done(&ws->body);
	free(ws);
}

static void on_ended(void *ctx)
{
	struct zk_ws *ws = ctx;
	struct zk_ws_end end = {
		.opened = ws->opened,
		.by_peer = ws->by_peer,
		.code = ws->code,
		.reason = zk_str_n(ws->reason, ws->reason_n),
		.http_status = ws->http_status,
		.body = zk_buf_str(&ws->body),
		.err = &ws->err,
	};

	zk_list_remove(&ws->link);
	ws->conf.on_end(ws->conf.ctx, &end);
	free_ws(ws);
}

/* on_end comes at the end of this turn. */
static void end(struct zk_ws *ws)
{
	if (ws->state == ZK_WS_ENDED)
		return;
	let_go(ws);
	zk_loop_forget(ws->lib->net->loop, on_flow, ws);
	ws->state = ZK_WS_ENDED;
	zk_loop_defer(ws->lib->net->loop, on_ended, ws);
}

static void add_where(struct zk_ws *ws)
{
	struct zk_buf b ZK_CLEANUP(zk_buf_done);

	zk_buf_init(&b, 1024);
	zk_http_safe_url(ws->url, &b);
	ZK_IGNORE(zk_err_where(&ws->err, "%s", zk_buf_cstring(&b)) < 0); /* its code */
}

static void end_with(struct zk_ws *ws, enum zk_code code, bool retryable,
                     const char *text)
{
	ZK_IGNORE(zk_fail(&ws->err, code, "%s", text) < 0); /* its code */
	ws->err.retryable = retryable;
	ws->err.http_status = ws->http_status;
	add_where(ws);
	end(ws);
}

void zk_ws_abort(struct zk_ws *ws)
{
	if (!ws)
		return;
	let_go(ws);
	zk_loop_forget(ws->lib->net->loop, on_flow, ws);
	zk_loop_forget(ws->lib->net->loop, on_ended, ws);
	free_ws(ws);
}

/* ---- connecting ---- */

static void on_addresses(void *ctx, char **addresses, size_t n, const char *why)
{
	struct zk_ws *ws = ctx;
	char text[300];

	ws->lookup = NULL;
	ws->addresses = addresses;
	ws->n_addresses = n;
	if (n) {
		try_next(ws);
		return;
	}
	(void)snprintf(text, sizeof(text), "cannot resolve '%s': %s", ws->to.host, why);
	end_with(ws, ZK_E_CONNECT, true, text);
}

static void try_next(struct zk_ws *ws)
{
	const char *address = ws->addresses[ws->next_address++];

	ws->state = ZK_WS_CONNECTING;
	/* When it fails at once it has been reported already, or the library has no words. */
	if (!ws->driver->connect(ws, address) && ws->state == ZK_WS_CONNECTING)
		zk_ws_on_refused(ws, "no connection", 0, ZK_STR_NULL);
}

static int look_up(struct zk_ws *ws, struct zk_error *err)
{
	char *auth = NULL, *proxy = zk_ws_proxy(ws, &auth);
	const char *host = ws->to.host;
	int port = ws->to.port;

	zk_secret_free(auth);
	ws->driver = proxy || ws->tls ? &zk_ws_lws_driver : &zk_ws_tcp_driver;
	if (ws->driver == &zk_ws_lws_driver && zk_ws_lws_open(ws->lib, err) < 0) {
		free(proxy);
		return -(int)err->code;
	}
	if (proxy) {
		char *colon = strrchr(proxy, ':');

		if (colon)
			*colon = '\0';
		if (proxy[0] == '[') {
			memmove(proxy, proxy + 1, strlen(proxy));
			proxy[strcspn(proxy, "]")] = '\0';
		}
		host = proxy;
	}
	ws->lookup = zk_ws_lookup(ws->lib->net, host, port, on_addresses, ws);
	free(proxy);
	return 0;
}

/* Only to a WebSocket that is as safe as the one it began with. */
void zk_ws_on_redirect(struct zk_ws *ws, zk_str location)
{
	bool tls = ws->tls;
	char *url;

	if (ws->state != ZK_WS_CONNECTING)
		return;
	if (++ws->hops > MAX_HOPS || !location.n) {
		end_with(ws, ZK_E_PROTOCOL, false, "the server redirects too often");
		return;
	}
	url = location.p[0] == '/' ? zk_asprintf("%s://%s%.*s", ws->to.scheme,
	                                         ws->host_header, ZK_STR_ARG(location))
	                           : zk_strndup(location.p, location.n);
	while (ws->n_addresses)
		free(ws->addresses[--ws->n_addresses]);
	free(ZK_TAKE(ws->addresses));
	ws->next_address = 0;
	ws->state = ZK_WS_RESOLVING;
	if (zk_ws_set_url(ws, url, &ws->err) < 0 || look_up(ws, &ws->err) < 0) {
		end(ws);
	} else if (tls && !ws->tls) {
		end_with(ws, ZK_E_PROTOCOL, false,
		         "the server redirects to a connection without TLS");
	}
	free(url);
}

/* ---- a refusal ---- */

/* TLS libraries have many words; these stand in all of them that concern a certificate. */
static bool is_tls(const char *why)
{
	static const char *const words[] = { "X509", "certificate", "cert didn't",
		                             "SSL",  "tls",         "TLS" };

	for (size_t i = 0; i < ZK_ARRAY_LEN(words); i++)
		if (strstr(why, words[i]))
			return true;
	return false;
}

static enum zk_code status_code(int status, bool *retryable)
{
	static const struct {
		int status;
		enum zk_code code;
	} rows[] = { { 401, ZK_E_AUTH },      { 403, ZK_E_FORBIDDEN },
		     { 404, ZK_E_NOT_FOUND }, { 408, ZK_E_HTTP_BUSY },
		     { 425, ZK_E_HTTP_BUSY }, { 429, ZK_E_HTTP_BUSY },
		     { 200, ZK_E_PROTOCOL } };
	enum zk_code code = status >= 500   ? ZK_E_HTTP_BUSY
	                    : status >= 400 ? ZK_E_HTTP
	                                    : ZK_E_PROTOCOL;

	for (size_t i = 0; i < ZK_ARRAY_LEN(rows); i++)
		if (rows[i].status == status)
			code = rows[i].code;
	*retryable = code == ZK_E_HTTP_BUSY;
	return code;
}

static void end_refused(struct zk_ws *ws)
{
	bool retryable;
	enum zk_code code = status_code(ws->http_status, &retryable);
	int64_t after = ws->err.retry_after_ms;
	char text[64];

	(void)snprintf(text, sizeof(text), "the server refused the WebSocket (HTTP %d)",
	               ws->http_status);
	end_with(ws, code, retryable, text);
	ws->err.retry_after_ms = after;
	if (ws->body.n)
		ZK_IGNORE(zk_err_why(&ws->err, "%.*s",
		                     (int)ZK_MIN(ws->body.n, (size_t)200),
		                     ws->body.p) < 0); /* its code */
}

static void on_answer(void *ctx, const struct zk_http_res *res, struct zk_error *err)
{
	struct zk_ws *ws = ctx;

	ws->ask = NULL;
	if (!err && res->status == ws->http_status && zk_utf8_valid(res->body))
		zk_buf_add(&ws->body, zk_str_trim(res->body));
	end_refused(ws);
}

/* The library drops the text of a refusal, which says what is wrong with the request: the same
 * request is made once more by the HTTP client. */
static bool ask_why(struct zk_ws *ws)
{
	static const char *const upgrade[] = {
		"Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13",
		"Sec-WebSocket-Key: AQIDBAUGBwgJCgsMDQ4PEA==", /* RFC 6455 §4.1: any nonce */
	};
	size_t n = 0;
	const char **headers = zk_alloc_array(ws->n_headers + ZK_ARRAY_LEN(upgrade) + 2,
	                                      sizeof(*headers));
	char *protocol = NULL,
	     *url = zk_asprintf("%s://%s%s", ws->to.scheme, ws->host_header, ws->target);
	struct zk_http_conf conf = {
		.url = url,
		.headers = headers,
		.ctx = ws,
		.max_body = BODY_MAX,
		.timeout_ms = ASK_WITHIN_MS,
		.flags = ZK_HTTP_ANY_STATUS | ZK_HTTP_TRUNCATE | ZK_HTTP_1_1,
	};
	struct zk_error err;
	bool asked;

	for (size_t i = 0; i < ZK_ARRAY_LEN(upgrade); i++)
		headers[n++] = upgrade[i];
	for (size_t i = 0; i < ws->n_headers; i++)
		headers[n++] = ws->headers[i];
	if (ws->protocol)
		headers[n++] = protocol =
		        zk_asprintf("Sec-WebSocket-Protocol: %s", ws->protocol);
	asked = zk_http_start(ws->lib->net, &conf, on_answer, &ws->ask, &err) == 0;
	free(headers);
	free(protocol);
	zk_secret_free(url);
	return asked;
}

void zk_ws_on_refused(struct zk_ws *ws, const char *why, int status, zk_str retry_after)
{
	char text[300];

	if (ws->state != ZK_WS_CONNECTING)
		return;
	ws->http_status = status;
	if (status && status != 101) {
		if (retry_after.n)
			ws->err.retry_after_ms =
			        ZK_MAX(zk_http_retry_after(retry_after, zk_wall_us()),
			               (int64_t)0);
		ws->state = ZK_WS_ASKING;
		if (status < 400 || status >= 500 || status == 429 || ws->hops ||
		    !ask_why(ws))
			end_refused(ws);
		return;
	}
	if (!status && !is_tls(why) && ws->next_address < ws->n_addresses) {
		try_next(ws);
		return;
	}
	if (status == 101) {
		(void)snprintf(text, sizeof(text), "the WebSocket handshake failed: %s",
		               why);
		end_with(ws, ZK_E_PROTOCOL, true, text);
	} else if (is_tls(why)) {
		(void)snprintf(text, sizeof(text), "the TLS connection failed: %s", why);
		end_with(ws, ZK_E_TLS, false, text);
	} else {
		(void)snprintf(text, sizeof(text), "cannot connect to %s: %s",
		               ws->host_header, why);
		end_with(ws, ZK_E_CONNECT, true, text);
	}
}

/* ---- open ---- */

void zk_ws_on_open(struct zk_ws *ws, zk_str protocol, zk_str date)
{
	struct zk_ws_hello hello = { .protocol = protocol,
		                     .cert_until_s = ws->cert_until_s };
	struct zk_error ignored;

	if (ws->state != ZK_WS_CONNECTING)
		return;
	if (date.n && zk_parse_http_date(date, &hello.date_s, &ignored) < 0)
		hello.date_s = 0;
	zk_timer_stop(ws->deadline);
	ws->state = ZK_WS_OPEN;
	ws->opened = true;
	zk_timer_start(ws->watch, WATCH_MS, WATCH_MS);
	if (ws->conf.on_open)
		ws->conf.on_open(ws->conf.ctx, &hello); /* `ws` may be gone */
}

static void too_big(struct zk_ws *ws, zk_str piece)
{
	struct zk_buf head;
	size_t kept = ZK_MIN(ws->part.n, (size_t)HEAD_KEPT);

	zk_buf_init(&head, HEAD_KEPT);
	zk_buf_put(&head, ws->part.p, kept);
	zk_buf_put(&head, piece.p, ZK_MIN(piece.n, HEAD_KEPT - kept));
	zk_buf_done(&ws->part);
	ws->skipping = true;
	if (ws->state == ZK_WS_OPEN) {
		zk_ws_close(ws, ZK_WS_TOO_BIG, ZK_STR_NULL);
		ws->asked_to_close = false; /* the owner did not */
	}
	if (ws->conf.on_too_big)
		ws->conf.on_too_big(ws->conf.ctx,
		                    zk_buf_str(&head)); /* `ws` may be gone */
	zk_buf_done(&head);
}

bool zk_ws_on_piece(struct zk_ws *ws, zk_str piece, bool binary, bool first, bool last)
{
	if (ws->state != ZK_WS_OPEN && ws->state != ZK_WS_CLOSING)
		return true;
	if (ws->skipping)
		return true;
	if (piece.n > ws->conf.max_message - ws->part.n) {
		too_big(ws, piece);
		return true;
	}
	if (first && last && !ws->part.n) {
		ws->conf.on_message(ws->conf.ctx, piece, binary); /* `ws` may be gone */
		return true;
	}
	zk_buf_add(&ws->part, piece);
	if (last) {
		struct zk_buf whole = ws->part;

		/* The callback may end the connection. */
		zk_buf_init(&ws->part, ws->conf.max_message);
		ws->conf.on_message(ws->conf.ctx, zk_buf_str(&whole), binary);
		zk_buf_done(&whole);
	}
	return true;
}

void zk_ws_on_peer_close(struct zk_ws *ws, unsigned code, zk_str reason)
{
	if (ws->by_peer)
		return;
	ws->by_peer = true;
	if (ws->state == ZK_WS_CLOSING)
		return; /* the echo of ours */
	ws->code = code;
	ws->reason_n = ZK_MIN(reason.n, sizeof(ws->reason) - 1);
	if (ws->reason_n)
		memcpy(ws->reason, reason.p, ws->reason_n);
}

void zk_ws_on_gone(struct zk_ws *ws)
{
	char text[200];

	if (ws->state == ZK_WS_CONNECTING) {
		zk_ws_on_refused(ws, "the connection was lost", 0, ZK_STR_NULL);
		return;
	}
	if (ws->state == ZK_WS_ENDED || ws->state == ZK_WS_ASKING ||
	    ws->state == ZK_WS_RESOLVING)
		return;
	if (ws->asked_to_close) {
		end(ws);
		return;
	}
	if (ws->state == ZK_WS_CLOSING) { /* too big, or silent */
		end_with(ws, ws->code == ZK_WS_TOO_BIG ? ZK_E_LIMIT : ZK_E_TRANSFER, true,
		         ws->code == ZK_WS_TOO_BIG ? "a message was too large"
		                                   : "the connection was silent");
		return;
	}
	if (!ws->by_peer) {
		ws->code = ZK_WS_ABNORMAL;
		end_with(ws, ZK_E_TRANSFER, true, "the connection was lost");
		return;
	}
	(void)snprintf(text, sizeof(text), "the server closed the connection (%u%s%.*s)",
	               ws->code, ws->reason_n ? " " : "", (int)ZK_MIN(ws->reason_n, 120),
	               ws->reason);
	end_with(ws, ZK_E_TRANSFER,
	         ws->code == 1001 || (ws->code >= 1011 && ws->code <= 1013), text);
}

void zk_ws_on_broken(struct zk_ws *ws, const char *what)
{
	char text[200];

	(void)snprintf(text, sizeof(text), "the server broke the protocol: %s", what);
	ws->code = ZK_WS_PROTOCOL;
	end_with(ws, ZK_E_PROTOCOL, true, text);
}

/* ---- timers ---- */

static void on_deadline(void *ctx)
{
	struct zk_ws *ws = ctx;
	char text[100];

	if (ws->state == ZK_WS_CLOSING) { /* no echo came */
		ws->driver->drop(ws);
		zk_ws_on_gone(ws);
		return;
	}
	(void)snprintf(text, sizeof(text), "no WebSocket within %lld ms",
	               (long long)ws->conf.connect_timeout_ms);
	end_with(ws, ZK_E_CONNECT, true, text);
}

static void on_watch(void *ctx)
{
	struct zk_ws *ws = ctx;
	int64_t silent = ws->driver->silence_ms(ws), now = zk_mono_ms();

	if (ws->paused || ws->state != ZK_WS_OPEN || ws->conf.ping_after_ms < 0)
		return;
	if (silent < ws->conf.ping_after_ms) {
		ws->ping_sent_ms = 0;
	} else if (!ws->ping_sent_ms) {
		ws->ping_sent_ms = now;
		ws->pinging = true;
		ws->driver->want_write(ws);
	} else if (now - ws->ping_sent_ms >= ws->conf.pong_within_ms &&
	           silent >= now - ws->ping_sent_ms) {
		ws->code = ZK_WS_ABNORMAL;
		ws->driver->drop(ws);
		end_with(ws, ZK_E_TRANSFER, true, "the connection was silent");
	}
}

int64_t zk_ws_silence_ms(const struct zk_ws *ws)
{
	return ws->state == ZK_WS_OPEN ? ws->driver->silence_ms(ws) : 0;
}

/* ---- what the owner wants ---- */

/* Switching inside the library's callback makes it spin, so it is done at the end of the turn. */
static void on_flow(void *ctx)
{
	struct zk_ws *ws = ctx;

	ws->flow_due = false;
	if (ws->flow_off == ws->paused)
		return;
	ws->flow_off = ws->paused;
	ws->driver->flow(ws, !ws->paused);
}

static void want_flow(struct zk_ws *ws, bool paused)
{
	ws->paused = paused;
	if (ws->flow_due)
		return;
	ws->flow_due = true;
	zk_loop_defer(ws->lib->net->loop, on_flow, ws);
}

void zk_ws_pause(struct zk_ws *ws)
{
	want_flow(ws, true);
}

void zk_ws_resume(struct zk_ws *ws)
{
	want_flow(ws, false);
}

int zk_ws_send(struct zk_ws *ws, zk_str message, bool binary, struct zk_error *err)
{
	size_t pre = ws->state == ZK_WS_OPEN ? ws->driver->headroom : 0;
	struct zk_ws_out *o;

	if (ws->state != ZK_WS_OPEN)
		return zk_fail(err, ZK_E_TRANSFER, "the WebSocket is not open");
	if (message.n > ws->conf.max_unsent - ws->unsent)
		return zk_fail(err, ZK_E_BUSY, "more than %zu bytes wait to be sent",
		               ws->conf.max_unsent);
	o = zk_alloc(sizeof(*o) + pre + message.n);
	*o = (struct zk_ws_out){ .n = message.n, .binary = binary };
	if (message.n)
		memcpy(o->bytes + pre, message.p, message.n);
	zk_list_init(&o->entry);
	zk_list_push(&ws->out, &o->entry);
	ws->unsent += message.n;
	ws->driver->want_write(ws);
	return 0;
}

size_t zk_ws_unsent(const struct zk_ws *ws)
{
	return ws->unsent;
}

void zk_ws_close(struct zk_ws *ws, unsigned code, zk_str reason)
{
	if (ws->state == ZK_WS_CLOSING || ws->state == ZK_WS_ENDED)
		return;
	ws->asked_to_close = true;
	if (ws->state != ZK_WS_OPEN) {
		end(ws);
		return;
	}
	ws->state = ZK_WS_CLOSING;
	ws->code = code;
	ws->reason_n = ZK_MIN(reason.n, sizeof(ws->reason) - 1);
	if (ws->reason_n)
		memcpy(ws->reason, reason.p, ws->reason_n);
	zk_timer_stop(ws->watch);
	zk_timer_start(ws->deadline, CLOSE_WITHIN_MS, 0);
	/* A connection that is not read would never see the echo. */
	if (ws->paused)
		zk_ws_resume(ws);
	ws->driver->want_write(ws);
}

/* ---- opening ---- */

static bool is_header(zk_str line)
{
	ptrdiff_t colon = zk_str_find_char(line, ':');

	for (size_t i = 0; i < line.n; i++) {
		unsigned char c = (unsigned char)line.p[i];

		if ((c < 0x20 && c != '\t') || c == 0x7f)
			return false;
		if ((ptrdiff_t)i < colon && c <= ' ')
			return false;
	}
	return colon > 0;
}

static int copy_headers(struct zk_ws *ws, const char *const *headers,
                        struct zk_error *err)
{
	size_t n = 0;

	while (headers && headers[n])
		n++;
	ws->headers = zk_alloc_array(n + 1, sizeof(*ws->headers));
	for (size_t i = 0; i < n; i++) {
		if (!is_header(zk_str_of(headers[i])))
			return zk_fail(err, ZK_E_DATA, "a header line is malformed");
		ws->headers[ws->n_headers++] = zk_strdup(headers[i]);
	}
	return 0;
}

static void set_defaults(struct zk_ws *ws)
{
	struct zk_ws_conf *c = &ws->conf;

	if (!c->max_message)
		c->max_message = MESSAGE_MAX;
	if (!c->max_unsent)
		c->max_unsent = UNSENT_MAX;
	if (!c->connect_timeout_ms)
		c->connect_timeout_ms = ws->lib->net->conf.connect_timeout_ms;
	if (!c->ping_after_ms)
		c->ping_after_ms = PING_AFTER_MS;
	if (!c->pong_within_ms)
		c->pong_within_ms = PONG_WITHIN_MS;
	zk_buf_init(&ws->part, c->max_message);
	zk_buf_init(&ws->body, BODY_MAX);
}

static struct zk_ws_lib *lib_of(struct zk_net *net)
{
	struct zk_ws_lib *l = net->ws;

	if (l)
		return l;
	net->ws = l = zk_new0(struct zk_ws_lib);
	l->net = net;
	zk_list_init(&l->all);
	return l;
}

void zk_ws_lib_free(struct zk_ws_lib *l)
{
	if (!l)
		return;
	ZK_LIST_EACH (it, &l->all)
		zk_ws_abort(ZK_LIST_ENTRY(it, struct zk_ws, link));
	zk_ws_lws_close(l);
	free(l->room);
	free(l->noise);
	free(l);
}

int zk_ws_open(struct zk_net *net, const struct zk_ws_conf *conf, struct zk_ws **ret,
               struct zk_error *err)
{
	struct zk_ws_lib *lib;
	struct zk_ws *ws;

	lib = lib_of(net);
	ws = zk_new0(struct zk_ws);
	ws->lib = lib;
	ws->conf = *conf;
	ws->conf.url = ws->conf.protocol = NULL;
	ws->conf.headers = NULL;
	ws->url = zk_strdup(conf->url);
	ws->protocol = conf->protocol ? zk_strdup(conf->protocol) : NULL;
	zk_list_init(&ws->link);
	zk_list_init(&ws->out);
	set_defaults(ws);
	ws->deadline = zk_timer_new(net->loop, on_deadline, ws);
	ws->watch = zk_timer_new(net->loop, on_watch, ws);
	zk_timer_weak(ws->watch, true);
	if (copy_headers(ws, conf->headers, err) < 0 ||
	    zk_ws_set_url(ws, ws->url, err) < 0 || look_up(ws, err) < 0) {
		free_ws(ws);
		return -(int)err->code;
	}
	zk_list_push(&lib->all, &ws->link);
	zk_timer_start(ws->deadline, ws->conf.connect_timeout_ms, 0);
	*ret = ws;
	return 0;
}
