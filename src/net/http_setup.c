/* From zk_http_conf to the options of a libcurl handle.
 * Layer: net, internal to the HTTP client. */
#include <curl/curl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/clock.h"
#include "base/mem.h"
#include "net/curl.def"
#include "net/http_priv.h"
#include "net/trace.h"
#include "net/url.h"

#include "base/ban.h"

_Static_assert(ZK_HTTP_ERRBUF_BYTES >= CURL_ERROR_SIZE, "libcurl writes that much");

#define MAX_HEADERS  100
#define MAX_URL      65536
#define KEEP_IDLE_S  60
#define KEEP_INTVL_S 20
#define UPLOAD_MAX   262144 /* of a large body that libcurl copies in one go */
#define MAX_AGE_S    55     /* below the idle limits of common servers and balancers */

static char *copy(const char *s)
{
	return s ? zk_strdup(s) : NULL;
}

const char *const *zk_http_copy_attrs(const char *const *attrs)
{
	size_t n = 0;

	if (!attrs)
		return NULL;
	while (attrs[n])
		n++;
	char **v = zk_alloc_array(n + 1, sizeof(*v));

	for (size_t i = 0; i < n; i++)
		v[i] = zk_strdup(attrs[i]);
	return (const char *const *)v;
}

void zk_http_free_attrs(const char *const *attrs)
{
	for (const char *const *a = attrs; a && *a; a++)
		free((void *)*a);
	free((void *)attrs);
}

static bool is_token(zk_str s)
{
	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i];
		bool alnum = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
		             (c >= 'A' && c <= 'Z');

		if (!alnum && (c == '\0' || !strchr("!#$%&'*+-.^_`|~", c)))
			return false;
	}
	return s.n > 0;
}

/* No control character but a tab: no header can be smuggled into a value. */
static bool is_field_value(zk_str s)
{
	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];

		if ((c < 0x20 && c != '\t') || c == 0x7f)
			return false;
	}
	return true;
}

static bool has_header(const struct zk_http_conf *conf, zk_str name)
{
	zk_str found;

	for (const char *const *h = conf->headers; h && *h; h++) {
		(void)zk_str_cut(zk_str_of(*h), ':', &found);
		if (zk_str_eq_nocase(found, name))
			return true;
	}
	return false;
}

static void add_line(struct zk_http *req, const char *line)
{
	struct curl_slist *list = (zk_curl.curl_slist_append)(req->headers, line);

	ZK_ASSERT(list); /* out of memory: as zk_alloc would */
	req->headers = list;
}

static void add_header(struct zk_http *req, const char *name, const char *value)
{
	char *line = zk_asprintf("%s: %s", name, value);

	add_line(req, line);
	zk_secret_free(line);
}

/* A line of the caller. libcurl takes "Name:" for "without this header", and "Name;" for one
 * without a value. */
static int add_given(struct zk_http *req, const char *line, struct zk_error *err)
{
	zk_str name, value = zk_str_cut(zk_str_of(line), ':', &name);

	if (!value.p || !is_token(name) || !is_field_value(value))
		return zk_fail(err, ZK_E_DATA, "'%.*s' is no header line of HTTP",
		               (int)ZK_MIN(name.n, (size_t)64), name.p);
	if (zk_str_trim(value).n) {
		add_line(req, line);
	} else {
		char *empty = zk_asprintf("%.*s;", ZK_STR_ARG(name));

		add_line(req, empty);
		free(empty);
	}
	return 0;
}

static bool has_body(const struct zk_http *req)
{
	return req->conf.body.n || req->conf.pull || strcmp(req->method, "POST") == 0 ||
	       strcmp(req->method, "PUT") == 0 || strcmp(req->method, "PATCH") == 0;
}

/* The trace that this request is a part of. */
static void add_context(struct zk_http *req)
{
	struct zk_otel *otel = req->net->conf.otel;
	char text[ZK_TRACEPARENT_TEXT + 1];

	if (req->conf.flags & ZK_HTTP_INTERNAL)
		return;
	if (!otel) {
		if (req->net->conf.traceparent)
			add_header(req, "traceparent", req->net->conf.traceparent);
		return;
	}
	zk_otel_begin(otel, &req->span, text);
	add_header(req, "traceparent", text);
	if (zk_otel_tracestate(otel))
		add_header(req, "tracestate", zk_otel_tracestate(otel));
}

static int copy_headers(struct zk_http *req, const struct zk_http_conf *conf,
                        struct zk_error *err)
{
	unsigned n = 0;

	for (const char *const *h = conf->headers; h && *h; h++) {
		if (++n > MAX_HEADERS)
			return zk_fail(err, ZK_E_LIMIT, "more than %d headers",
			               MAX_HEADERS);
		if (add_given(req, *h, err) < 0)
			return -(int)err->code;
	}
	if (conf->bearer) {
		if (!is_field_value(zk_str_of(conf->bearer)))
			return zk_fail(err, ZK_E_DATA,
			               "the bearer token contains control characters");
		char *value = zk_asprintf("Bearer %s", conf->bearer);

		add_header(req, "Authorization", value);
		zk_secret_free(value);
	}
	if (conf->content_type) {
		if (!is_field_value(zk_str_of(conf->content_type)))
			return zk_fail(err, ZK_E_DATA, "the content type is malformed");
		add_header(req, "Content-Type", conf->content_type);
	} else if (has_body(req) && !has_header(conf, ZK_STR("Content-Type"))) {
		add_line(req, "Content-Type:"); /* not the one of a form */
	}
	if (has_body(req))
		add_line(req, "Expect:"); /* it would cost a second with most servers */
	if (!has_header(conf, ZK_STR("traceparent")))
		add_context(req);
	return 0;
}

static int copy_url(struct zk_http *req, const char *url, struct zk_error *err)
{
	struct zk_buf b;

	if (!url || strlen(url) > MAX_URL)
		return zk_fail(err, ZK_E_URL, "the URL is %s",
		               url ? "too long" : "missing");
	if (!is_field_value(zk_str_of(url)) || strpbrk(url, " \t"))
		return zk_fail(err, ZK_E_URL,
		               "the URL contains white space or control characters");
	req->url = zk_strdup(url);
	zk_buf_init(&b, 1024);
	zk_http_safe_url(url, &b);
	req->safe_url = zk_buf_take(&b);
	/* Scheme and authority of it. */
	const char *p = strstr(req->safe_url, "://");

	p = p ? p + 3 : req->safe_url;
	p = strchr(p + strspn(p, "/"), '/');
	req->origin = p ? zk_strndup(req->safe_url, (size_t)(p - req->safe_url))
	                : zk_strdup(req->safe_url);
	return 0;
}

static void copy_guard(struct zk_http *req, const struct zk_guard *g)
{
	if (!g)
		return;
	req->guarded = true;
	req->guard = *g;
	req->guard.allow = NULL;
	if (g->n_allow) {
		req->guard.allow = zk_alloc_array(g->n_allow, sizeof(*g->allow));
		memcpy(req->guard.allow, g->allow, g->n_allow * sizeof(*g->allow));
	}
}

/* Safe methods and those that RFC 9110 §9.2.2 calls idempotent may be sent twice; others only
 * when the caller says so, or with a key by which the server knows the second one. */
static bool is_repeatable(const struct zk_http *req, const struct zk_http_conf *conf)
{
	static const char *const methods[] = { "GET", "HEAD", "OPTIONS", "PUT",
		                               "DELETE" };

	if (conf->flags & ZK_HTTP_IDEMPOTENT)
		return true;
	for (size_t i = 0; i < ZK_ARRAY_LEN(methods); i++)
		if (strcmp(req->method, methods[i]) == 0)
			return true;
	return has_header(conf, ZK_STR("Idempotency-Key"));
}

int zk_http_copy(struct zk_http *req, const struct zk_http_conf *conf,
                 struct zk_error *err)
{
	const struct zk_net_conf *net = &req->net->conf;
	struct zk_http_conf *c = &req->conf;

	*c = *conf;
	c->headers = NULL;
	c->url = c->method = c->bearer = c->content_type = c->resolve = NULL;
	c->route = NULL;
	c->attrs = NULL;
	c->guard = NULL;
	req->method = zk_strdup(conf->method ? conf->method : "GET");
	if (!is_token(zk_str_of(req->method)) || strlen(req->method) > 32)
		return zk_fail(err, ZK_E_DATA, "the method is not one of HTTP");
	if (copy_url(req, conf->url, err) < 0 || copy_headers(req, conf, err) < 0)
		return -(int)err->code;
	if (conf->body.n && !conf->body_borrowed) {
		req->body_copy = zk_alloc(conf->body.n);
		memcpy(req->body_copy, conf->body.p, conf->body.n);
		c->body.p = req->body_copy;
	}
	if (conf->resolve)
		req->resolve = (zk_curl.curl_slist_append)(NULL, conf->resolve);
	copy_guard(req, conf->guard);
	req->repeatable = is_repeatable(req, conf);
	req->target = copy(conf->target);
	req->route = copy(conf->route);
	req->attrs = zk_http_copy_attrs(conf->attrs);
	if (!c->connect_timeout_ms)
		c->connect_timeout_ms = net->connect_timeout_ms;
	if (!c->timeout_ms)
		c->timeout_ms = net->request_timeout_ms;
	if (!c->max_body && !c->on_data)
		c->max_body = ZK_HTTP_BODY_MAX;
	return 0;
}

bool zk_http_decodes(const struct zk_http *req)
{
	return req->conf.flags & ZK_HTTP_DECODE && !req->conf.on_data;
}

static void wipe_list(struct curl_slist *list)
{
	for (struct curl_slist *l = list; l; l = l->next)
		zk_wipe(l->data, strlen(l->data));
	(zk_curl.curl_slist_free_all)(list);
}

void zk_http_forget(struct zk_http *req)
{
	if (req->headers)
		wipe_list(req->headers);
	if (req->resolve)
		(zk_curl.curl_slist_free_all)(req->resolve);
	free(req->method);
	zk_secret_free(req->url);
	free(req->safe_url);
	free(req->origin);
	free(req->target);
	free(req->route);
	zk_http_free_attrs(req->attrs);
	free(req->body_copy);
	free(req->guard.allow);
}

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
	const char *custom = req->method;
	CURL *e = req->easy;

	if (c->pull) {
		ZK_SET_LONG(e, CURLOPT_UPLOAD, 1);
		ZK_SET_OFF(e, CURLOPT_INFILESIZE_LARGE, c->length);
	} else if (has_body(req)) {
		ZK_SET_OFF(e, CURLOPT_POSTFIELDSIZE_LARGE, c->body.n);
		ZK_SET_STR(e, CURLOPT_POSTFIELDS, c->body.n ? c->body.p : "");
		if (c->body.n > ZK_HTTP_PLAIN_BODY)
			ZK_SET_LONG(e, CURLOPT_UPLOAD_BUFFERSIZE,
			            ZK_MIN(c->body.n, (size_t)UPLOAD_MAX));
	} else if (strcmp(req->method, "HEAD") == 0) {
		ZK_SET_LONG(e, CURLOPT_NOBODY, 1);
		custom = NULL;
	} else {
		ZK_SET_LONG(e, CURLOPT_HTTPGET, 1);
		if (strcmp(req->method, "GET") == 0)
			custom = NULL;
	}
	ZK_SET_STR(e, CURLOPT_CUSTOMREQUEST, custom);
}

/* Not for large or streamed bodies, of which libcurl 7.88 sends bytes twice (style.md §1.9), and
 * not for a reader that may pause: over HTTP/1.1 that is felt by nobody else, while a server of
 * HTTP/2 may refuse the other requests of the connection because of what it has to hold. */
bool zk_http_may_be_http2(const struct zk_http *req)
{
	const struct zk_http_conf *c = &req->conf;

	return strncasecmp(req->url, "https:", 6) == 0 && !(c->flags & ZK_HTTP_1_1) &&
	       !c->pull && !c->on_data && c->body.n <= ZK_HTTP_PLAIN_BODY;
}

int zk_http_setup(struct zk_http *req, struct zk_error *err)
{
	const struct zk_net_conf *net = &req->net->conf;
	bool http2 = zk_http_may_be_http2(req);
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
	if (req->headers)
		ZK_SET_PTR(e, CURLOPT_HTTPHEADER, req->headers);
	if (req->resolve)
		ZK_SET_PTR(e, CURLOPT_RESOLVE, req->resolve);
	set_body(req);
	zk_http_set_tls(e, net);
	zk_http_set_callbacks(req);
	return set_proxy(req, err);
}
