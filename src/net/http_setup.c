/* From zk_http_conf to a request, whatever will carry it.
 * Layer: net, internal to the HTTP client. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "net/http_priv.h"

#include "base/ban.h"

#define MAX_HEADERS 100
#define MAX_LINES   (1U << 20) /* bytes of all headers */
#define MAX_URL     65536

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

static void add_header(struct zk_http *req, const char *name, const char *value)
{
	zk_buf_cstr(&req->lines, name);
	zk_buf_lit(&req->lines, ": ");
	zk_buf_cstr(&req->lines, value);
	zk_buf_lit(&req->lines, "\r\n");
}

static unsigned given_by(zk_str name)
{
	static const struct {
		zk_str name;
		unsigned bit;
	} names[] = {
		{ ZK_STR_INIT("Content-Type"), ZK_GIVEN_TYPE },
		{ ZK_STR_INIT("Host"), ZK_GIVEN_HOST },
		{ ZK_STR_INIT("User-Agent"), ZK_GIVEN_AGENT },
		{ ZK_STR_INIT("Accept"), ZK_GIVEN_ACCEPT },
		{ ZK_STR_INIT("Accept-Encoding"), ZK_GIVEN_ENCODING },
		{ ZK_STR_INIT("Content-Length"), ZK_GIVEN_FRAMING },
		{ ZK_STR_INIT("Transfer-Encoding"), ZK_GIVEN_FRAMING },
		{ ZK_STR_INIT("Expect"), ZK_GIVEN_FRAMING },
		{ ZK_STR_INIT("TE"), ZK_GIVEN_FRAMING },
		{ ZK_STR_INIT("Trailer"), ZK_GIVEN_FRAMING },
		{ ZK_STR_INIT("traceparent"), ZK_GIVEN_TRACE },
		{ ZK_STR_INIT("Idempotency-Key"), ZK_GIVEN_KEY },
	};

	for (size_t i = 0; i < ZK_ARRAY_LEN(names); i++)
		if (zk_str_eq_nocase(name, names[i].name))
			return names[i].bit;
	return 0;
}

/* A line of the caller. */
static int add_given(struct zk_http *req, const char *line, struct zk_error *err)
{
	zk_str name, value = zk_str_cut(zk_str_of(line), ':', &name);

	if (!value.p || !is_token(name) || !is_field_value(value))
		return zk_fail(err, ZK_E_DATA, "'%.*s' is no header line of HTTP",
		               (int)ZK_MIN(name.n, (size_t)64), name.p);
	req->given |= given_by(name);
	zk_buf_cstr(&req->lines, line);
	zk_buf_lit(&req->lines, "\r\n");
	return 0;
}

const char *zk_http_method(const struct zk_http *req)
{
	return req->see_other && strcmp(req->method, "HEAD") != 0 ? "GET" : req->method;
}

bool zk_http_has_body(const struct zk_http *req)
{
	if (req->see_other)
		return false;
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

	zk_buf_init_secret(&req->lines, MAX_LINES);
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
		zk_buf_lit(&req->lines, "Authorization: Bearer ");
		zk_buf_cstr(&req->lines, conf->bearer);
		zk_buf_lit(&req->lines, "\r\n");
	}
	if (conf->content_type) {
		if (!is_field_value(zk_str_of(conf->content_type)))
			return zk_fail(err, ZK_E_DATA, "the content type is malformed");
		req->given |= ZK_GIVEN_TYPE;
		add_header(req, "Content-Type", conf->content_type);
	}
	if (!(req->given & ZK_GIVEN_TRACE))
		add_context(req);
	if (req->lines.failed)
		return zk_fail(err, ZK_E_LIMIT, "more than %u bytes of headers",
		               MAX_LINES);
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
	return req->given & ZK_GIVEN_KEY;
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
	req->resolve = copy(conf->resolve);
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

void zk_http_forget(struct zk_http *req)
{
	zk_buf_done(&req->lines);
	free(req->resolve);
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
