/* HTTP client: the engine for everything, libcurl.
 * Layer: net, internal to the HTTP client; one of the owners of libcurl. */
#include <curl/curl.h>
#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "net/curl.def"
#include "net/http_priv.h"
#include "net/trace.h"
#include "net/url.h"

#include "base/ban.h"

_Static_assert(ZK_HTTP_ERRBUF_BYTES >= CURL_ERROR_SIZE, "libcurl writes that much");

#define KEEP_IDLE_S  60
#define KEEP_INTVL_S 20
#define UPLOAD_MAX   262144 /* of a large body that libcurl copies in one go */
#define MAX_AGE_S    55     /* below the idle limits of common servers and balancers */

/* No callback may return this as a count: it fails the transfer. */
#define STOP ((size_t)-1)

/* ---- what libcurl calls ---- */

/* CURLOPT_CLOSESOCKETFUNCTION; the request is long gone when a pooled connection closes. */
static int on_close(void *ctx, curl_socket_t fd)
{
	zk_net_count(ctx, -1);
	return close(fd);
}

/* CURLOPT_OPENSOCKETFUNCTION: once per address that is tried, never for a pooled connection. */
static curl_socket_t on_open(void *ctx, curlsocktype purpose, struct curl_sockaddr *a)
{
	struct zk_http *req = ctx;
	const char *why = NULL;
	int fd;

	if (purpose != CURLSOCKTYPE_IPCXN || req->cancelled)
		return CURL_SOCKET_BAD;
	if (req->guarded && !req->via_proxy)
		why = zk_guard_judge(&req->guard, &a->addr);
	if (why) {
		char ip[64] = "";

		if (getnameinfo(&a->addr, a->addrlen, ip, sizeof(ip), NULL, 0,
		                NI_NUMERICHOST))
			ip[0] = '\0';
		zk_http_note_blocked(req, ip, why);
		return CURL_SOCKET_BAD;
	}
	fd = socket(a->family, a->socktype | SOCK_CLOEXEC, a->protocol);
	req->opened++;
	if (fd < 0) {
		req->sys_errno = errno;
		return CURL_SOCKET_BAD;
	}
	zk_net_count(req->net, 1);
	return fd;
}

/* CURLOPT_PREREQFUNCTION: the connection is there, new or pooled, and nothing was sent yet. */
static int on_prereq(void *ctx, char *peer, char *local, int port, int local_port)
{
	struct zk_http *req = ctx;
	const char *why = NULL;

	(void)local;
	(void)local_port;
	if (req->cancelled)
		return CURL_PREREQFUNC_ABORT;
	if (req->guarded && !req->via_proxy)
		why = zk_guard_judge_text(&req->guard, peer, port);
	if (why) {
		zk_http_note_blocked(req, peer, why);
		req->end = ZK_HTTP_END_BLOCKED;
		return CURL_PREREQFUNC_ABORT;
	}
	/* libcurl repeats by itself what it had sent on a pooled connection that died. */
	if (req->prereqs++ > 0 && !req->repeatable) {
		req->end = ZK_HTTP_END_REPEAT;
		return CURL_PREREQFUNC_ABORT;
	}
	req->connected = true;
	return CURL_PREREQFUNC_OK;
}

/* "HTTP/1.1 200 OK" to 200. */
static int status_of(zk_str line)
{
	zk_str version, code = zk_str_cut(line, ' ', &version);

	if (code.n < 3)
		return 0;
	return (code.p[0] - '0') * 100 + (code.p[1] - '0') * 10 + (code.p[2] - '0');
}

/* CURLOPT_HEADERFUNCTION: one whole line at a time; the lines of a trailer too. */
static size_t on_header(char *p, size_t size, size_t n, void *ctx)
{
	struct zk_http *req = ctx;
	zk_str line = zk_str_n(p, size * n);

	if (req->cancelled)
		return STOP;
	req->active_ms = zk_mono_ms();
	if (req->head_done)
		return line.n; /* a trailer: it may not change what was said */
	if (zk_str_starts(line, ZK_STR("HTTP/"))) {
		if (!req->first_byte_us)
			req->first_byte_us = zk_mono_us();
		zk_buf_clear(&req->head);
		req->res.status = status_of(line);
	}
	zk_buf_add(&req->head, line);
	if (req->head.failed) {
		req->end = ZK_HTTP_END_HEAD;
		return STOP;
	}
	return zk_str_trim(line).n == 0 && !zk_http_on_head(req) ? STOP : line.n;
}

/* CURLOPT_WRITEFUNCTION */
static size_t on_write(char *p, size_t size, size_t n, void *ctx)
{
	if (size * n == 0)
		return 0;
	switch (zk_http_on_body(ctx, zk_str_n(p, size * n))) {
	case ZK_HTTP_TAKEN:
		return size * n;
	case ZK_HTTP_PAUSED:
		return CURL_WRITEFUNC_PAUSE;
	case ZK_HTTP_STOP:
		break;
	}
	return STOP;
}

/* CURLOPT_READFUNCTION */
static size_t on_read(char *p, size_t size, size_t n, void *ctx)
{
	ptrdiff_t got = zk_http_on_pull(ctx, p, size * n);

	if (got == -1)
		return CURL_READFUNC_PAUSE;
	return got < 0 ? CURL_READFUNC_ABORT : (size_t)got;
}

/* CURLOPT_DEBUGFUNCTION: for the trace only. */
static int on_debug(CURL *easy, curl_infotype type, char *p, size_t n, void *ctx)
{
	struct zk_http *req = ctx;

	(void)easy;
	if (!req->exchange)
		return 0;
	if (type == CURLINFO_TEXT)
		zk_trace_lines(req->exchange, ZK_TRACE_NOTE, zk_str_n(p, n));
	else if (type == CURLINFO_HEADER_OUT)
		zk_trace_lines(req->exchange, ZK_TRACE_OUT, zk_str_n(p, n));
	else if (type == CURLINFO_HEADER_IN)
		zk_trace_lines(req->exchange, ZK_TRACE_IN, zk_str_n(p, n));
	return 0;
}

static void set_callbacks(struct zk_http *req)
{
	CURL *e = req->easy;

	ZK_SET_FN(e, CURLOPT_OPENSOCKETFUNCTION, on_open);
	ZK_SET_PTR(e, CURLOPT_OPENSOCKETDATA, req);
	ZK_SET_FN(e, CURLOPT_CLOSESOCKETFUNCTION, on_close);
	ZK_SET_PTR(e, CURLOPT_CLOSESOCKETDATA, req->net);
	ZK_SET_FN(e, CURLOPT_PREREQFUNCTION, on_prereq);
	ZK_SET_PTR(e, CURLOPT_PREREQDATA, req);
	ZK_SET_FN(e, CURLOPT_HEADERFUNCTION, on_header);
	ZK_SET_PTR(e, CURLOPT_HEADERDATA, req);
	ZK_SET_FN(e, CURLOPT_WRITEFUNCTION, on_write);
	ZK_SET_PTR(e, CURLOPT_WRITEDATA, req);
	if (req->conf.pull) {
		ZK_SET_FN(e, CURLOPT_READFUNCTION, on_read);
		ZK_SET_PTR(e, CURLOPT_READDATA, req);
	}
	if (req->exchange && zk_trace_wants_lines(req->exchange)) {
		ZK_SET_LONG(e, CURLOPT_VERBOSE, 1);
		ZK_SET_FN(e, CURLOPT_DEBUGFUNCTION, on_debug);
		ZK_SET_PTR(e, CURLOPT_DEBUGDATA, req);
	}
}

/* ---- its options ---- */

void zk_http_set_tls(void *easy, const struct zk_net_conf *net)
{
	CURL *e = easy;

	ZK_SET_LONG(e, CURLOPT_SSLVERSION, CURL_SSLVERSION_TLSv1_2);
	ZK_SET_LONG(e, CURLOPT_SSL_VERIFYPEER, net->tls_verify);
	ZK_SET_LONG(e, CURLOPT_SSL_VERIFYHOST, net->tls_verify ? 2 : 0);
	if (net->ca_file)
		ZK_SET_STR(e, CURLOPT_CAINFO, net->ca_file);
	if (net->client_cert)
		ZK_SET_STR(e, CURLOPT_SSLCERT, net->client_cert);
	if (net->client_key)
		ZK_SET_STR(e, CURLOPT_SSLKEY, net->client_key);
}

/* A guard sees the addresses that zk connects to, so it never lets the environment put a proxy
 * in between. A proxy that the operator named is trusted to judge names; a target given as an
 * address is judged here. */
static int set_proxy(struct zk_http *req, struct zk_error *err)
{
	const char *proxy = req->net->conf.proxy;
	CURL *e = req->easy;
	struct zk_url u;
	const char *why;

	if (proxy && proxy[0]) {
		ZK_SET_STR(e, CURLOPT_PROXY, proxy);
		ZK_SET_STR(e, CURLOPT_NOPROXY, "");
		ZK_SET_LONG(e, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1);
		req->via_proxy = true;
	} else if (proxy || req->guarded || req->conf.flags & ZK_HTTP_NO_PROXY) {
		ZK_SET_STR(e, CURLOPT_PROXY, "");
		ZK_SET_STR(e, CURLOPT_NOPROXY, "*");
	} else {
		ZK_SET_LONG(e, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1);
	}
	if (!req->guarded || !req->via_proxy)
		return 0;
	if (zk_url_parse(zk_str_of(req->url), &u, err) < 0)
		return -(int)err->code;
	why = zk_url_has_address(&u) ? zk_guard_judge_text(&req->guard, u.host, u.port)
	                             : NULL;
	if (why)
		(void)zk_fail(err, ZK_E_BLOCKED,
		              "blocked address %s (%s); see --webhook-allow", u.host,
		              why);
	zk_url_done(&u);
	return why ? -(int)err->code : 0;
}

static void set_body(struct zk_http *req)
{
	const struct zk_http_conf *c = &req->conf;
	const char *method = zk_http_method(req), *custom = method;
	CURL *e = req->easy;

	if (c->pull && !req->see_other) {
		ZK_SET_LONG(e, CURLOPT_UPLOAD, 1);
		ZK_SET_OFF(e, CURLOPT_INFILESIZE_LARGE, c->length);
	} else if (zk_http_has_body(req)) {
		ZK_SET_OFF(e, CURLOPT_POSTFIELDSIZE_LARGE, c->body.n);
		ZK_SET_STR(e, CURLOPT_POSTFIELDS, c->body.n ? c->body.p : "");
		if (c->body.n > ZK_HTTP_PLAIN_BODY)
			ZK_SET_LONG(e, CURLOPT_UPLOAD_BUFFERSIZE,
			            ZK_MIN(c->body.n, (size_t)UPLOAD_MAX));
	} else if (strcmp(method, "HEAD") == 0) {
		ZK_SET_LONG(e, CURLOPT_NOBODY, 1);
		custom = NULL;
	} else {
		ZK_SET_LONG(e, CURLOPT_HTTPGET, 1);
		if (strcmp(method, "GET") == 0)
			custom = NULL;
	}
	ZK_SET_STR(e, CURLOPT_CUSTOMREQUEST, custom);
}

/* Not for large or streamed bodies, of which libcurl 7.88 sends bytes twice (style.md §1.9), and
 * not for a reader that may pause: over HTTP/1.1 that is felt by nobody else, while a server of
 * HTTP/2 may refuse the other requests of the connection because of what it has to hold. */
static bool may_be_http2(const struct zk_http *req)
{
	const struct zk_http_conf *c = &req->conf;

	return strncasecmp(req->url, "https:", 6) == 0 && !(c->flags & ZK_HTTP_1_1) &&
	       !c->pull && !c->on_data && c->body.n <= ZK_HTTP_PLAIN_BODY;
}

static void add_line(struct zk_http *req, const char *line)
{
	struct curl_slist *list = (zk_curl.curl_slist_append)(req->curl_headers, line);

	ZK_ASSERT(list); /* out of memory: as zk_alloc would */
	req->curl_headers = list;
}

/* libcurl takes "Name:" for "without this header", and "Name;" for one without a value. */
static void set_headers(struct zk_http *req)
{
	zk_str rest = zk_buf_str(&req->lines), line, name;

	while (rest.n) {
		rest = zk_str_cut(rest, '\n', &line);
		line = zk_str_n(line.p, line.n - 1); /* without its CR */
		bool empty = !zk_str_trim(zk_str_cut(line, ':', &name)).n;
		char *text = empty ? zk_asprintf("%.*s;", ZK_STR_ARG(name))
		                   : zk_strndup(line.p, line.n);

		add_line(req, text);
		zk_secret_free(text);
	}
	if (zk_http_has_body(req)) {
		if (!(req->given & ZK_GIVEN_TYPE))
			add_line(req, "Content-Type:"); /* not the one of a form */
		add_line(req, "Expect:"); /* it would cost a second with most servers */
	}
	if (req->curl_headers)
		ZK_SET_PTR(req->easy, CURLOPT_HTTPHEADER, req->curl_headers);
}

static void set_resolve(struct zk_http *req)
{
	if (!req->resolve)
		return;
	req->curl_resolve = (zk_curl.curl_slist_append)(NULL, req->resolve);
	ZK_SET_PTR(req->easy, CURLOPT_RESOLVE, req->curl_resolve);
}

static int set_options(struct zk_http *req, struct zk_error *err)
{
	const struct zk_net_conf *net = &req->net->conf;
	bool http2 = may_be_http2(req);
	CURL *e = req->easy;

	ZK_SET_PTR(e, CURLOPT_PRIVATE, req);
	ZK_SET_STR(e, CURLOPT_URL, req->url);
	ZK_SET_PTR(e, CURLOPT_ERRORBUFFER, req->errbuf);
	ZK_SET_LONG(e, CURLOPT_NOSIGNAL, 1);
	/* Giving up on a name that is being resolved must not wait for the resolver's thread. */
	ZK_SET_LONG(e, CURLOPT_QUICK_EXIT, 1);
	ZK_SET_STR(e, CURLOPT_PROTOCOLS_STR, "http,https");
	ZK_SET_LONG(e, CURLOPT_DISALLOW_USERNAME_IN_URL, 1);
	ZK_SET_LONG(e, CURLOPT_FOLLOWLOCATION, 0);
	ZK_SET_LONG(e, CURLOPT_TCP_NODELAY, 1);
	ZK_SET_LONG(e, CURLOPT_TCP_KEEPALIVE, 1);
	ZK_SET_LONG(e, CURLOPT_TCP_KEEPIDLE, KEEP_IDLE_S);
	ZK_SET_LONG(e, CURLOPT_TCP_KEEPINTVL, KEEP_INTVL_S);
	ZK_SET_LONG(e, CURLOPT_MAXAGE_CONN,
	            req->conf.pool_idle_ms ? req->conf.pool_idle_ms / 1000 : MAX_AGE_S);
	ZK_SET_LONG(e, CURLOPT_CONNECTTIMEOUT_MS, req->conf.connect_timeout_ms);
	ZK_SET_LONG(e, CURLOPT_HTTP_VERSION,
	            http2 ? CURL_HTTP_VERSION_2TLS : CURL_HTTP_VERSION_1_1);
	ZK_SET_STR(e, CURLOPT_USERAGENT, net->user_agent);
	/* Many requests at once share one connection of HTTP/2, rather than open many to find out
	 * that they could have. */
	ZK_SET_LONG(e, CURLOPT_PIPEWAIT, http2);
	if (zk_http_decodes(req))
		ZK_SET_STR(e, CURLOPT_ACCEPT_ENCODING, "gzip");
	ZK_SET_LONG(e, CURLOPT_HTTP_CONTENT_DECODING, 0); /* http_io.c does it */
	set_headers(req);
	set_resolve(req);
	set_body(req);
	zk_http_set_tls(e, net);
	set_callbacks(req);
	return set_proxy(req, err);
}

/* ---- the engine ---- */

static void forget(struct zk_http *req)
{
	for (struct curl_slist *l = req->curl_headers; l; l = l->next)
		zk_wipe(l->data, strlen(l->data));
	if (req->curl_headers)
		(zk_curl.curl_slist_free_all)(ZK_TAKE(req->curl_headers));
	if (req->curl_resolve)
		(zk_curl.curl_slist_free_all)(ZK_TAKE(req->curl_resolve));
	if (req->easy)
		zk_net_put_easy(req->net, ZK_TAKE(req->easy));
}

static int set_up(struct zk_http *req, struct zk_error *err)
{
	req->pool = zk_net_pool(req->net,
	                        may_be_http2(req) ? ZK_POOL_HTTP2 : ZK_POOL_HTTP1, err);
	if (!req->pool)
		return -(int)err->code;
	req->easy = zk_net_get_easy(req->net);
	if (!req->easy)
		return zk_fail(err, ZK_E_SYSTEM, "libcurl could not get memory");
	return set_options(req, err);
}

static bool start(struct zk_http *req)
{
	CURLMcode r;

	req->errbuf[0] = '\0';
	req->net->depth++;
	r = (zk_curl.curl_multi_add_handle)(req->pool->multi, req->easy);
	req->net->depth--;
	req->pool->added = r == CURLM_OK;
	return r == CURLM_OK;
}

static void stop(struct zk_http *req)
{
	req->net->depth++;
	(void)(zk_curl.curl_multi_remove_handle)(req->pool->multi,
	                                         req->easy); /* it is in there */
	req->net->depth--;
}

static void resume(struct zk_http *req)
{
	CURLcode r;

	req->net->depth++;
	r = (zk_curl.curl_easy_pause)(req->easy, CURLPAUSE_CONT);
	req->net->depth--;
	/* It ended meanwhile (43): the result is on its way. Any other failure is known to us
	 * only, and the multi would let the transfer go on. */
	if (r != CURLE_OK && r != CURLE_BAD_FUNCTION_ARGUMENT) {
		req->end_curl = (int)r;
		zk_net_todo(req->net, req, ZK_TODO_END);
	}
}

/* The guard refused a connection of the pool, made under another policy or for another address.
 * The name may lead somewhere else now: once with a new connection. */
static bool again(struct zk_http *req, int curl)
{
	(void)curl;
	if (req->end != ZK_HTTP_END_BLOCKED || req->refreshed ||
	    zk_curl_info_long(req->easy, CURLINFO_NUM_CONNECTS) > 0)
		return false;
	req->refreshed = true;
	ZK_SET_LONG(req->easy, CURLOPT_FRESH_CONNECT, 1);
	return true;
}

static int http_version(CURL *easy)
{
	switch (zk_curl_info_long(easy, CURLINFO_HTTP_VERSION)) {
	case CURL_HTTP_VERSION_1_0:
		return 10;
	case CURL_HTTP_VERSION_1_1:
		return 11;
	case CURL_HTTP_VERSION_2_0:
		return 20;
	}
	return 0;
}

static void collect(struct zk_http *req)
{
	struct zk_http_res *res = &req->res;
	const char *peer;
	int64_t connect;

	if (!req->easy)
		return;
	peer = zk_curl_info_str(req->easy, CURLINFO_PRIMARY_IP);
	connect = zk_curl_info_off(req->easy, CURLINFO_APPCONNECT_TIME_T);
	if (!connect)
		connect = zk_curl_info_off(req->easy, CURLINFO_CONNECT_TIME_T);
	(void)snprintf(res->peer, sizeof(res->peer), "%s", peer ? peer : "");
	res->peer_port = (int)zk_curl_info_long(req->easy, CURLINFO_PRIMARY_PORT);
	res->reused = req->connected &&
	              zk_curl_info_long(req->easy, CURLINFO_NUM_CONNECTS) == 0;
	/* The size counts the CONNECT to a proxy too. */
	res->sent =
	        req->connected && zk_curl_info_long(req->easy, CURLINFO_REQUEST_SIZE) > 0;
	res->connect_us = connect;
	res->http_version = http_version(req->easy);
}

static void blame(struct zk_http *req, struct zk_http_fault *f)
{
	if (!req->easy)
		return;
	f->connect_status = (int)zk_curl_info_long(req->easy, CURLINFO_HTTP_CONNECTCODE);
	f->sys_errno = (int)zk_curl_info_long(req->easy, CURLINFO_OS_ERRNO);
}

const struct zk_http_engine zk_http_curl = {
	.setup = set_up,
	.forget = forget,
	.start = start,
	.stop = stop,
	.resume = resume,
	.again = again,
	.collect = collect,
	.blame = blame,
};
