/* Connected byte streams: CURLOPT_CONNECT_ONLY on a multi handle of its own, then the socket on the
 * loop.
 * Layer: net; one of the owners of libcurl. specs/zerobus.md §6.1, §6.2. */
#include "net/conn.h"

#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "net/curl.def"
#include "net/http_priv.h"
#include "net/proxy_env.h"
#include "net/tls_client.h"
#include "net/url.h"
#include "rt/loop.h"

#include "base/ban.h"

#define READ_BYTES      ((size_t)256 << 10)
#define TURN_BYTES      ((size_t)1 << 20) /* read in one turn; others want theirs */
#define KEEP_IDLE_S     60
#define KEEP_INTERVAL_S 20

struct zk_conn {
	struct zk_list link;
	struct zk_net *net;
	struct zk_conn_conf conf;
	struct zk_url url;
	char *alpn;
	char *origin; /* "https://host:port" */
	void *easy;
	struct zk_pool *pool;
	struct zk_poll *poll;  /* once it is connected */
	struct zk_timer *more; /* there is more to read than one turn may */
	char *chunk;
	bool in_multi, open, ended, closed;
	bool is_tls, want_write;
	char errbuf[ZK_HTTP_ERRBUF_BYTES];
};

static void free_now(struct zk_conn *c)
{
	zk_list_remove(&c->link);
	zk_timer_free(c->more);
	zk_poll_free(c->poll);
	if (c->in_multi)
		(void)(zk_curl.curl_multi_remove_handle)(c->pool->multi, c->easy);
	if (c->easy)
		(zk_curl.curl_easy_cleanup)(c->easy);
	zk_url_done(&c->url);
	free(c->alpn);
	free(c->origin);
	free(c->chunk);
	free(c);
}

static void on_gone(void *ctx)
{
	free_now(ctx);
}

static void on_broken(void *ctx);

void zk_conn_drop_all(struct zk_net *n)
{
	ZK_LIST_EACH (it, &n->conns) {
		struct zk_conn *c = ZK_LIST_ENTRY(it, struct zk_conn, link);

		zk_loop_forget(n->loop, on_gone, c);
		zk_loop_forget(n->loop, on_broken, c);
		free_now(c);
	}
}

void zk_conn_close(struct zk_conn *c)
{
	if (!c || c->closed)
		return;
	c->closed = true;
	/* Nothing is watched from here on; libcurl may be on the stack. */
	zk_poll_free(ZK_TAKE(c->poll));
	zk_timer_free(ZK_TAKE(c->more));
	zk_loop_defer(c->net->loop, on_gone, c);
}

static void end(struct zk_conn *c, const struct zk_error *err)
{
	if (c->ended || c->closed)
		return;
	c->ended = true;
	if (c->poll)
		zk_poll_set(c->poll, 0);
	c->conf.on_end(c->conf.ctx, err);
}

static void fail(struct zk_conn *c, int curl)
{
	struct zk_error err = { 0 };
	struct zk_http_fault f = {
		.end = ZK_HTTP_END_CURL,
		.curl = curl,
		.connect_status =
		        (int)zk_curl_info_long(c->easy, CURLINFO_HTTP_CONNECTCODE),
		.sys_errno = (int)zk_curl_info_long(c->easy, CURLINFO_OS_ERRNO),
		.connected = c->open,
		.repeatable = true,
		.retry_after_ms = -1,
		.connect_ms = c->conf.connect_timeout_ms,
		.method = "CONNECT",
		.safe_url = c->origin,
		.origin = c->origin,
		.detail = c->errbuf,
		.blocked_ip = "",
		.blocked_why = "",
		.redirect = "",
		.remote_id = "",
	};

	(void)zk_http_fault_to_error(&f, &err);
	(void)zk_err_where(&err, "%s", c->origin);
	end(c, &err);
}

/* ---- reading ---- */

static void read_some(struct zk_conn *c)
{
	size_t total = 0;

	while (!c->closed && !c->ended) {
		size_t got = 0;
		CURLcode r =
		        (zk_curl.curl_easy_recv)(c->easy, c->chunk, READ_BYTES, &got);

		if (r == CURLE_AGAIN)
			return;
		if (r != CURLE_OK) {
			fail(c, CURLE_RECV_ERROR);
			return;
		}
		if (!got) {
			end(c, NULL);
			return;
		}
		c->conf.on_data(c->conf.ctx, zk_str_n(c->chunk, got));
		total += got;
		if (total >= TURN_BYTES && !c->closed) {
			/* TLS keeps bytes that no poll sees: come back without one. */
			zk_timer_start(c->more, 0, 0);
			return;
		}
	}
}

static void watch(struct zk_conn *c)
{
	zk_poll_set(c->poll, ZK_POLL_IN | (c->want_write ? ZK_POLL_OUT : 0));
}

static void on_poll(void *ctx, int events, int status)
{
	struct zk_conn *c = ctx;

	if (status < 0)
		events = ZK_POLL_IN | ZK_POLL_OUT; /* the calls find out what it is */
	if (events & ZK_POLL_OUT && c->want_write) {
		c->want_write = false;
		watch(c);
		c->conf.on_writable(c->conf.ctx);
	}
	if (events & ZK_POLL_IN && !c->closed)
		read_some(c);
}

static void on_more(void *ctx)
{
	read_some(ctx);
}

ptrdiff_t zk_conn_write(struct zk_conn *c, zk_str bytes)
{
	size_t n = 0, some;
	CURLcode r;

	if (!c->open || c->ended || c->closed)
		return -1;
	/* TLS takes one record at a time; of TCP less than everything means that it is full. */
	do {
		some = 0;
		r = (zk_curl.curl_easy_send)(c->easy, bytes.p + n, bytes.n - n, &some);
		n += some;
	} while (r == CURLE_OK && some && c->is_tls && n < bytes.n);
	if (r != CURLE_OK && r != CURLE_AGAIN) {
		/* What the peer said before it went away still can be read. */
		zk_timer_start(c->more, 0, 0);
		return -1;
	}
	if (n < bytes.n) {
		c->want_write = true;
		watch(c);
	}
	return (ptrdiff_t)n;
}

/* ---- connecting ---- */

static int check_alpn(struct zk_conn *c, struct zk_error *err)
{
	struct curl_tlssessioninfo *info = NULL;
	zk_str got = ZK_STR_NULL;

	if (!c->alpn || !c->is_tls)
		return 0;
	if ((zk_curl.curl_easy_getinfo)(c->easy, CURLINFO_TLS_SSL_PTR, &info) ==
	            CURLE_OK &&
	    info && info->backend == CURLSSLBACKEND_OPENSSL && info->internals)
		got = zk_tls_client_alpn(info->internals);
	if (zk_str_eq(got, zk_str_of(c->alpn)))
		return 0;
	(void)zk_fail(err, ZK_E_HTTP2,
	              "'%s' does not offer HTTP/2 (a proxy that opens TLS?)", c->origin);
	return zk_err_where(err, "%s", c->origin);
}

static int opened(struct zk_conn *c, struct zk_error *err)
{
	curl_socket_t fd = CURL_SOCKET_BAD;
	size_t n;
	char none;

	(void)(zk_curl.curl_easy_getinfo)(c->easy, CURLINFO_ACTIVESOCKET, &fd);
	if (fd == CURL_SOCKET_BAD)
		return zk_fail(err, ZK_E_CONNECT, "the connection to '%s' was lost",
		               c->origin);
	/* Binds the handle to its connection. */
	(void)(zk_curl.curl_easy_recv)(c->easy, &none, 0, &n);
	if (check_alpn(c, err) < 0)
		return -(int)err->code;
	c->poll = zk_poll_new(c->net->loop, fd, on_poll, c, err);
	if (!c->poll)
		return -(int)err->code;
	c->more = zk_timer_new(c->net->loop, on_more, c);
	c->chunk = zk_alloc(READ_BYTES);
	return 0;
}

/* CURLMSG_DONE: the handle stays in the multi, removing it would close the connection. */
void zk_conn_ended(void *conn, int curl)
{
	struct zk_conn *c = conn;
	struct zk_error err = { 0 };

	if (c->closed)
		return;
	if (curl != CURLE_OK) {
		fail(c, curl);
		return;
	}
	if (opened(c, &err) < 0) {
		end(c, &err);
		return;
	}
	c->open = true;
	watch(c);
	c->conf.on_open(c->conf.ctx);
	if (!c->closed)
		zk_timer_start(c->more, 0, 0); /* a server may have spoken first */
}

static void on_broken(void *ctx)
{
	struct zk_conn *c = ctx;

	if (!c->closed)
		fail(c, CURLE_FAILED_INIT);
}

void zk_conn_broken(void *conn)
{
	struct zk_conn *c = conn;

	zk_loop_defer(c->net->loop, on_broken, c);
}

static CURLcode on_ssl_ctx(CURL *easy, void *ssl_ctx, void *ctx)
{
	struct zk_conn *c = ctx;

	(void)easy;
	return zk_tls_client_prepare(ssl_ctx, c->alpn) ? CURLE_OK : CURLE_OUT_OF_MEMORY;
}

static void set_proxy(struct zk_conn *c)
{
	const char *proxy = c->net->conf.proxy;

	if (!proxy)
		proxy = zk_proxy_env(strcmp(c->url.scheme, "https") == 0 ? ZK_PROXY_GRPCS
		                                                         : ZK_PROXY_GRPC,
		                     zk_str_of(c->url.host));
	ZK_SET_STR(c->easy, CURLOPT_NOPROXY, "");
	ZK_SET_STR(c->easy, CURLOPT_PROXY, proxy ? proxy : "");
	if (proxy && proxy[0])
		ZK_SET_LONG(c->easy, CURLOPT_HTTPPROXYTUNNEL, 1);
}

static void set_up(struct zk_conn *c)
{
	CURL *e = c->easy;

	ZK_SET_PTR(e, CURLOPT_PRIVATE, c);
	ZK_SET_STR(e, CURLOPT_URL, c->url.text);
	ZK_SET_PTR(e, CURLOPT_ERRORBUFFER, c->errbuf);
	ZK_SET_LONG(e, CURLOPT_CONNECT_ONLY, 1);
	ZK_SET_LONG(e, CURLOPT_NOSIGNAL, 1);
	ZK_SET_LONG(e, CURLOPT_QUICK_EXIT, 1);
	ZK_SET_LONG(e, CURLOPT_SSL_ENABLE_ALPN, 0);
	ZK_SET_LONG(e, CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1);
	ZK_SET_LONG(e, CURLOPT_FRESH_CONNECT, 1);
	ZK_SET_LONG(e, CURLOPT_TCP_NODELAY, 1);
	ZK_SET_LONG(e, CURLOPT_TCP_KEEPALIVE, 1);
	ZK_SET_LONG(e, CURLOPT_TCP_KEEPIDLE, KEEP_IDLE_S);
	ZK_SET_LONG(e, CURLOPT_TCP_KEEPINTVL, KEEP_INTERVAL_S);
	ZK_SET_LONG(e, CURLOPT_BUFFERSIZE, (long)READ_BYTES);
	ZK_SET_LONG(e, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1);
	ZK_SET_LONG(e, CURLOPT_CONNECTTIMEOUT_MS, c->conf.connect_timeout_ms);
	ZK_SET_STR(e, CURLOPT_USERAGENT, c->net->conf.user_agent);
	zk_http_set_tls(e, &c->net->conf);
	if (c->alpn) {
		ZK_SET_FN(e, CURLOPT_SSL_CTX_FUNCTION, on_ssl_ctx);
		ZK_SET_PTR(e, CURLOPT_SSL_CTX_DATA, c);
	}
	set_proxy(c);
}

static int need_openssl(struct zk_error *err)
{
	const char *tls = (zk_curl.curl_version_info)(CURLVERSION_NOW)->ssl_version;

	if (tls && strstr(tls, "OpenSSL"))
		return zk_tls_client_open(err);
	(void)zk_fail(err, ZK_E_LIBRARY, "this libcurl uses %s instead of OpenSSL",
	              tls ? tls : "no TLS");
	return zk_err_hint(err, "install the package libcurl4");
}

static int start(struct zk_conn *c, struct zk_error *err)
{
	struct zk_buf origin ZK_CLEANUP(zk_buf_done) = { 0 };

	if (zk_net_open(c->net, err) < 0 ||
	    zk_url_parse(zk_str_of(c->conf.url), &c->url, err) < 0)
		return -(int)err->code;
	zk_buf_init(&origin, 4096);
	zk_url_origin(&c->url, &origin);
	c->origin = zk_buf_take(&origin);
	c->is_tls = strcmp(c->url.scheme, "https") == 0;
	c->pool = zk_net_pool(c->net, ZK_POOL_CONNECT, err); /* opens libcurl */
	if (!c->pool || (c->alpn && c->is_tls && need_openssl(err) < 0))
		return -(int)err->code;
	c->easy = (zk_curl.curl_easy_init)();
	if (!c->easy)
		return zk_fail(err, ZK_E_SYSTEM, "libcurl could not get memory");
	set_up(c);
	if ((zk_curl.curl_multi_add_handle)(c->pool->multi, c->easy) != CURLM_OK)
		return zk_fail(err, ZK_E_SYSTEM, "libcurl could not get memory");
	c->in_multi = true;
	c->pool->added = true;
	zk_net_kick(c->net);
	return 0;
}

int zk_conn_open(struct zk_net *net, const struct zk_conn_conf *conf,
                 struct zk_conn **ret, struct zk_error *err)
{
	struct zk_conn *c = zk_new0(struct zk_conn);
	int r;

	c->net = net;
	zk_list_push(&net->conns, &c->link);
	c->conf = *conf;
	if (!c->conf.connect_timeout_ms)
		c->conf.connect_timeout_ms = net->conf.connect_timeout_ms;
	c->alpn = conf->alpn ? zk_strdup(conf->alpn) : NULL;
	r = start(c, err);
	if (r < 0) {
		free_now(c);
		return r;
	}
	*ret = c;
	return 0;
}
