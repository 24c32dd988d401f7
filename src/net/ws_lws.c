/* WebSocket client: libwebsockets, opened on first use, as a guest on our loop.
 * Layer: net. The only file that knows the library (specs/jetstream.md §22). For TLS and proxies;
 * the others are in ws_tcp.c. */
#include <libwebsockets.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <uv.h>

#include "base/dl.h"
#include "base/mem.h"
#include "net/http_priv.h"
#include "net/ws_int.h"
#include "rt/loop.h"

#define ZK_LOGGER "ws"
#include "base/log.h"

#include "base/ban.h"

#define LWS_SYMS(X)                      \
	X(lws_create_context)            \
	X(lws_context_destroy)           \
	X(lws_get_vhost_by_name)         \
	X(lws_set_log_level)             \
	X(lws_set_proxy)                 \
	X(lws_client_connect_via_info)   \
	X(lws_callback_on_writable)      \
	X(lws_write)                     \
	X(lws_set_timeout)               \
	X(lws_rx_flow_control)           \
	X(lws_is_first_fragment)         \
	X(lws_is_final_fragment)         \
	X(lws_frame_is_binary)           \
	X(lws_hdr_copy)                  \
	X(lws_http_client_http_response) \
	X(lws_get_opaque_user_data)      \
	X(lws_set_opaque_user_data)      \
	X(lws_get_socket_fd)             \
	X(lws_tls_peer_cert_info)
static struct {
	LWS_SYMS(ZK_DL_FIELD)
} lw;
#define ROW(s) ZK_DL_ROW_OF(lw, s)
static const struct zk_dl_sym syms[] = { LWS_SYMS(ROW) };
ZK_DL_NOTE("websocket", "WebSocket client", "recommended", "libwebsockets.so.17");
static struct zk_dl lib = ZK_DL_INIT("libwebsockets.so.17", "libwebsockets17", &lw, syms);

#define VHOST        "zk"
#define SMALL        "zk-small"
#define READ_BYTES   65536
#define SMALL_BYTES  2048 /* each connection has a buffer of this size */
#define FD_LIMIT     256
#define FD_LIMIT_MAX 65536
#define WRITE_CLOSE  4    /* LWS_WRITE_CLOSE, which its headers do not show */
#define STEP_S       3600 /* the library's own time-outs; ours come first */
/* Turns of the loop in which the library's handles close. */
#define FAREWELL_TURNS 8

static struct zk_ws *of(struct lws *wsi)
{
	return wsi ? (lw.lws_get_opaque_user_data)(wsi) : NULL;
}

static void on_log(int level, const char *line)
{
	if (zk_log_enabled(ZK_LOG_DEBUG))
		zk_log_write(ZK_LOG_DEBUG, ZK_LOGGER, "libwebsockets",
		             "level=%d text=%.*s", level, (int)strcspn(line, "\n"), line);
}

static void drop(struct zk_ws *ws);

/* ---- what the library asks and reports ---- */

static zk_str header(struct lws *wsi, enum lws_token_indexes token, char *to, int room)
{
	int n = (lw.lws_hdr_copy)(wsi, to, room, token);

	return n > 0 ? zk_str_n(to, (size_t)n) : ZK_STR_NULL;
}

bool zk_ws_is_credential(zk_str line)
{
	return zk_str_starts_nocase(line, ZK_STR("Authorization:")) ||
	       zk_str_starts_nocase(line, ZK_STR("Cookie:"));
}

static int put_headers(struct zk_ws *ws, char **p, size_t room)
{
	const char *agent = ws->lib->net->conf.user_agent;
	struct zk_buf b ZK_CLEANUP(zk_buf_done);

	zk_buf_init(&b, room);
	zk_buf_printf(&b, "User-Agent: %s\r\n", agent);
	for (size_t i = 0; i < ws->n_headers; i++)
		if (!ws->hops || !zk_ws_is_credential(zk_str_of(ws->headers[i])))
			zk_buf_printf(&b, "%s\r\n", ws->headers[i]);
	if (b.failed)
		return -1;
	memcpy(*p, b.p, b.n);
	*p += b.n;
	return 0;
}

static void report_open(struct zk_ws *ws, struct lws *wsi)
{
	char protocol[128], date[64];
	union lws_tls_cert_info_results cert;

	if (ws->tls && (lw.lws_tls_peer_cert_info)(wsi, LWS_TLS_CERT_INFO_VALIDITY_TO,
	                                           &cert, 0) == 0)
		ws->cert_until_s = cert.time;
	zk_ws_on_open(ws, header(wsi, WSI_TOKEN_PROTOCOL, protocol, sizeof(protocol)),
	              header(wsi, WSI_TOKEN_HTTP_DATE, date, sizeof(date)));
}

static void report_refused(struct zk_ws *ws, struct lws *wsi, const char *why, size_t n)
{
	char text[200], after[64];
	unsigned status = (lw.lws_http_client_http_response)(wsi);
	zk_str retry = header(wsi, WSI_TOKEN_HTTP_RETRY_AFTER, after, sizeof(after));

	n = why ? strnlen(why, ZK_MIN(n ? n : sizeof(text) - 1, sizeof(text) - 1)) : 0;
	memcpy(text, why ? why : "", n);
	text[n] = '\0';
	ws->wsi = NULL;
	(lw.lws_set_opaque_user_data)(wsi, NULL);
	zk_ws_on_refused(ws, text, status > 0 && status < 1000 ? (int)status : 0, retry);
}

/* The library's own way to say goodbye (a reason, and -1 from a callback) ends at once, without
 * a word, when its loop is libuv: the frame is written here. */
static int write_close(struct zk_ws *ws, struct lws *wsi)
{
	unsigned char frame[LWS_PRE + 2 + sizeof(ws->reason)];
	unsigned char *p = frame + LWS_PRE;

	p[0] = (unsigned char)(ws->code >> 8);
	p[1] = (unsigned char)ws->code;
	memcpy(p + 2, ws->reason, ws->reason_n);
	ws->close_sent = true;
	return (lw.lws_write)(wsi, p, ws->reason_n + 2,
	                      (enum lws_write_protocol)WRITE_CLOSE) < 0
	               ? -1
	               : 0;
}

static int write_message(struct zk_ws *ws, struct lws *wsi, struct zk_ws_out *o)
{
	int r = (lw.lws_write)(wsi, (unsigned char *)o->bytes + LWS_PRE, o->n,
	                       o->binary ? LWS_WRITE_BINARY : LWS_WRITE_TEXT);

	ws->unsent -= o->n;
	free(o);
	return r < 0 ? -1 : 0;
}

/* Writes one message, a ping, or, when nothing else is left, the close frame. */
static int write_next(struct zk_ws *ws, struct lws *wsi)
{
	unsigned char ping[LWS_PRE + 1];
	struct zk_list *e = NULL;
	int r = 0;

	if (ws->close_sent)
		return 0;
	if (ws->pinging) {
		ws->pinging = false;
		r = (lw.lws_write)(wsi, ping + LWS_PRE, 0, LWS_WRITE_PING) < 0 ? -1 : 0;
	} else if ((e = zk_list_pop(&ws->out)) != NULL) {
		r = write_message(ws, wsi, ZK_LIST_ENTRY(e, struct zk_ws_out, entry));
	} else if (ws->state == ZK_WS_CLOSING) {
		r = write_close(ws, wsi);
	}
	if (ws->pinging || !zk_list_is_empty(&ws->out) ||
	    (ws->state == ZK_WS_CLOSING && !ws->close_sent))
		(void)(lw.lws_callback_on_writable)(wsi);
	return r;
}

static int receive(struct zk_ws *ws, struct lws *wsi, const char *p, size_t n)
{
	bool go = zk_ws_on_piece(ws, zk_str_n(p, n), (lw.lws_frame_is_binary)(wsi),
	                         (lw.lws_is_first_fragment)(wsi),
	                         (lw.lws_is_final_fragment)(wsi));

	/* It may have been aborted meanwhile. */
	return go && of(wsi) == ws ? 0 : -1;
}

static int peer_close(struct zk_ws *ws, const unsigned char *p, size_t n)
{
	unsigned code = n >= 2 ? (unsigned)p[0] << 8 | p[1] : 1005;

	zk_ws_on_peer_close(
	        ws, code,
	        zk_str_n((const char *)p + ZK_MIN(n, (size_t)2), n > 2 ? n - 2 : 0));
	/* 0: the library echoes it. The echo of ours needs no answer. */
	return ws->close_sent ? -1 : 0;
}

/* The library would follow it with all headers and to anywhere. */
static int redirect(struct zk_ws *ws, struct lws *wsi)
{
	char to[2048];
	zk_str location = header(wsi, WSI_TOKEN_HTTP_LOCATION, to, sizeof(to));

	drop(ws);
	zk_ws_on_redirect(ws, location);
	return -1;
}

static int on_event(struct lws *wsi, enum lws_callback_reasons reason, void *user,
                    void *in, size_t len)
{
	struct zk_ws *ws;

	(void)user;
	ws = of(wsi);
	if (!ws) /* dropped: nobody cares, and it is to end */
		return reason == LWS_CALLBACK_CLIENT_RECEIVE ||
		                       reason == LWS_CALLBACK_CLIENT_WRITEABLE ||
		                       reason == LWS_CALLBACK_CLIENT_ESTABLISHED
		               ? -1
		               : 0;
	switch ((int)reason) {
	case LWS_CALLBACK_CLIENT_APPEND_HANDSHAKE_HEADER:
		return put_headers(ws, in, len);
	case LWS_CALLBACK_CLIENT_HTTP_REDIRECT:
		ws->wsi = wsi;
		return redirect(ws, wsi);
	case LWS_CALLBACK_CLIENT_FILTER_PRE_ESTABLISH:
		ws->wsi = wsi;
		report_open(ws, wsi);
		return of(wsi) == ws ? 0 : -1;
	case LWS_CALLBACK_CLIENT_CONNECTION_ERROR:
		report_refused(ws, wsi, in, len);
		return 0;
	case LWS_CALLBACK_CLIENT_RECEIVE:
		return receive(ws, wsi, in, len);
	case LWS_CALLBACK_CLIENT_WRITEABLE:
		return write_next(ws, wsi);
	case LWS_CALLBACK_WS_PEER_INITIATED_CLOSE:
		return peer_close(ws, in, len);
	case LWS_CALLBACK_CLIENT_CLOSED:
	case LWS_CALLBACK_WSI_DESTROY:
		(lw.lws_set_opaque_user_data)(wsi, NULL);
		ws->wsi = NULL;
		zk_ws_on_gone(ws);
		return 0;
	default:
		return 0;
	}
}

static const struct lws_protocols protocols[] = {
	{ .name = VHOST, .callback = on_event, .rx_buffer_size = READ_BYTES },
	{ .name = SMALL, .callback = on_event, .rx_buffer_size = SMALL_BYTES },
	{ 0 },
};

/* ---- the context ---- */

/* As many connections as the process may have descriptors. */
static unsigned fd_limit(void)
{
	struct rlimit now = { 0 };

	if (getrlimit(RLIMIT_NOFILE, &now) < 0)
		return FD_LIMIT;
	return (unsigned)ZK_MIN(ZK_MAX(now.rlim_cur, (rlim_t)FD_LIMIT),
	                        (rlim_t)FD_LIMIT_MAX);
}

static int make_context(struct zk_ws_lib *l, struct zk_error *err)
{
	const struct zk_net_conf *net = &l->net->conf;
	void *loops[1] = { zk_loop_uv(l->net->loop) };
	struct lws_context_creation_info info = {
		.port = CONTEXT_PORT_NO_LISTEN,
		.protocols = protocols,
		.vhost_name = VHOST,
		.options = LWS_SERVER_OPTION_LIBUV |
		           LWS_SERVER_OPTION_DO_SSL_GLOBAL_INIT |
		           (net->ca_file ? LWS_SERVER_OPTION_DISABLE_OS_CA_CERTS : 0),
		.foreign_loops = loops,
		.fd_limit_per_thread = fd_limit(),
		.pt_serv_buf_size = READ_BYTES,
		.max_http_header_data = 8192,
		.timeout_secs = STEP_S,
		.connect_timeout_secs = STEP_S,
		.http_proxy_address = "", /* it would read the environment */
		.client_ssl_ca_filepath = net->ca_file,
		.client_ssl_cert_filepath = net->client_cert,
		.client_ssl_private_key_filepath = net->client_key,
		.gid = (gid_t)-1,
		.uid = (uid_t)-1,
	};

	(lw.lws_set_log_level)(LLL_ERR | LLL_WARN, on_log);
	l->context = (lw.lws_create_context)(&info);
	if (!l->context) {
		(void)zk_fail(err, ZK_E_LIBRARY,
		              "libwebsockets could not be initialised");
		return zk_err_hint(err, "install the package libwebsockets-evlib-uv");
	}
	l->vhost = (lw.lws_get_vhost_by_name)(l->context, VHOST);
	return 0;
}

int zk_ws_lws_open(struct zk_ws_lib *l, struct zk_error *err)
{
	if (l->context)
		return 0;
	if (zk_dl_open(&lib, err) < 0)
		return -(int)err->code;
	return make_context(l, err);
}

/* A context on a loop of somebody else ends in two steps: the first closes its handles, the
 * second, when they are closed, frees it. */
struct farewell {
	uv_idle_t turn;
	struct lws_context *context;
	unsigned turns;
};

static void on_farewell_closed(uv_handle_t *h)
{
	free(h->data);
}

static void on_farewell(uv_idle_t *h)
{
	struct farewell *f = h->data;

	if (--f->turns)
		return;
	(lw.lws_context_destroy)(f->context);
	uv_close((uv_handle_t *)h, on_farewell_closed);
}

void zk_ws_lws_close(struct zk_ws_lib *l)
{
	struct farewell *f;

	if (!l->context)
		return;
	f = zk_new0(struct farewell);
	f->context = l->context;
	f->turns = FAREWELL_TURNS;
	f->turn.data = f;
	(void)uv_idle_init(zk_loop_uv(l->net->loop), &f->turn); /* cannot fail */
	(void)uv_idle_start(&f->turn, on_farewell);
	(lw.lws_context_destroy)(l->context);
}

/* ---- one connection ---- */

static int tls_flags(const struct zk_ws *ws)
{
	if (!ws->tls)
		return 0;
	return ws->lib->net->conf.tls_verify
	               ? LCCSCF_USE_SSL
	               : LCCSCF_USE_SSL | LCCSCF_ALLOW_SELFSIGNED |
	                         LCCSCF_SKIP_SERVER_CERT_HOSTNAME_CHECK |
	                         LCCSCF_ALLOW_EXPIRED | LCCSCF_ALLOW_INSECURE;
}

/* The proxy stands in the vhost; connections are begun one at a time. */
static void set_proxy(struct zk_ws *ws, const char *address)
{
	char *auth = NULL, *proxy = zk_ws_proxy(ws, &auth), *text = zk_strdup("");

	if (proxy) {
		const char *colon = strrchr(proxy, ':');

		free(text);
		text = zk_asprintf(strchr(address, ':') ? "%s[%s]:%s" : "%s%s:%s", auth,
		                   address, colon ? colon + 1 : "1080");
	}
	ZK_IGNORE((lw.lws_set_proxy)(ws->lib->vhost,
	                             text)); /* "" is an error that unsets */
	zk_secret_free(text);
	zk_secret_free(auth);
	zk_secret_free(proxy);
}

static bool connect_to(struct zk_ws *ws, const char *address)
{
	char *auth = NULL, *proxy = zk_ws_proxy(ws, &auth);
	struct lws_client_connect_info info = {
		.context = ws->lib->context,
		.vhost = ws->lib->vhost,
		.address = proxy ? ws->to.host : address,
		.port = ws->to.port,
		.ssl_connection = tls_flags(ws),
		.path = ws->target,
		.host = ws->host_header,
		.protocol = ws->protocol,
		.local_protocol_name = ws->conf.small ? SMALL : VHOST,
		.alpn = "http/1.1",
		.opaque_user_data = ws,
	};
	struct lws *wsi = NULL;

	set_proxy(ws, address);
	zk_secret_free(auth);
	zk_secret_free(proxy);
	info.pwsi = &ws->wsi;
	wsi = (lw.lws_client_connect_via_info)(&info);
	if (!wsi)
		ws->wsi = NULL;
	return wsi != NULL;
}

static void drop(struct zk_ws *ws)
{
	if (!ws->wsi)
		return;
	(lw.lws_set_opaque_user_data)(ws->wsi, NULL);
	(lw.lws_set_timeout)(ws->wsi, PENDING_TIMEOUT_CLOSE_SEND, LWS_TO_KILL_ASYNC);
	ws->wsi = NULL;
}

static void want_write(struct zk_ws *ws)
{
	if (ws->wsi)
		ZK_IGNORE((lw.lws_callback_on_writable)(ws->wsi) < 0); /* it is ending */
}

static void flow(struct zk_ws *ws, bool on)
{
	if (ws->wsi)
		ZK_IGNORE((lw.lws_rx_flow_control)(ws->wsi, on) < 0); /* it is ending */
}

int64_t zk_ws_fd_silence_ms(int fd)
{
	struct tcp_info info = { 0 };
	socklen_t n = sizeof(info);

	/* Nobody tells about pings; the system knows when a byte last came. */
	if (fd < 0 || getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &n) < 0)
		return 0;
	return info.tcpi_last_data_recv;
}

static int64_t silence_ms(const struct zk_ws *ws)
{
	return zk_ws_fd_silence_ms(ws->wsi ? (lw.lws_get_socket_fd)(ws->wsi) : -1);
}

const struct zk_ws_driver zk_ws_lws_driver = {
	.headroom = LWS_PRE,
	.connect = connect_to,
	.drop = drop,
	.want_write = want_write,
	.flow = flow,
	.silence_ms = silence_ms,
};
