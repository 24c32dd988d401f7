/* The handler http: a request of the shared transport; hosts from an allow list.
 * Layer: procwire. specs/cli.md §Procwire. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "codec/msgpack.h"
#include "net/http.h"
#include "net/url.h"
#include "procwire/answer.h"
#include "procwire/spec.h"
#include "procwire/template.h"

#include "base/ban.h"

#define URL_MAX 8192u

struct http {
	const struct zk_pw_env *env;
	char *method, *url;
	struct zk_pw_words allow, headers;
	enum zk_pw_out out;
	size_t max_body;
};

struct fetch {
	struct zk_pw_req *req;
	const struct http *h;
	struct zk_http *http;
};

static void on_cancel(void *ctx)
{
	struct fetch *f = ctx;
	struct zk_pw_req *req = f->req;

	zk_http_cancel(f->http);
	free(f);
	zk_pw_done(req);
}

static void http_drop(struct zk_pw_req *req)
{
	struct fetch *f = zk_pw_data(req);

	zk_http_cancel(f->http);
	free(f);
}

static void on_room(void *ctx)
{
	struct fetch *f = ctx;

	zk_http_resume_download(f->http);
}

/* The error map of an answer that is one: {message, code, status}. */
static void fail_status(struct fetch *f, const struct zk_error *err)
{
	struct zk_buf b;

	if (!err->http_status) {
		(void)zk_pw_fail(f->req, err);
		return;
	}
	zk_buf_init(&b, 4096);
	zk_mp_map(&b, 3);
	zk_mp_cstr(&b, "message");
	zk_mp_text(&b, zk_str_of(err->msg));
	zk_mp_cstr(&b, "code");
	zk_mp_cstr(&b, "HTTP");
	zk_mp_cstr(&b, "status");
	zk_mp_i64(&b, err->http_status);
	(void)zk_pw_fail_raw(f->req, zk_buf_str(&b));
	zk_buf_done(&b);
}

static int answer(struct fetch *f, const struct zk_http_res *res, struct zk_error *err)
{
	const struct zk_pw_method *m = zk_pw_method_of(f->req);
	struct zk_pw_exit how = { .status = res->status };
	struct zk_buf b ZK_CLEANUP(zk_buf_done) = { 0 };

	if (m->kind == ZK_PW_STREAMED)
		return zk_pw_end(f->req, err);
	if (m->kind == ZK_PW_ACKED)
		return zk_pw_ack_empty(f->req, err);
	zk_buf_init(&b, f->h->max_body * 2 + 1024);
	if (zk_pw_out_whole(f->h->out, m, res->body, &how, &b, err) < 0)
		return -(int)err->code;
	return zk_pw_respond_buf(f->req, &b, err);
}

static void on_done(void *ctx, const struct zk_http_res *res, struct zk_error *err)
{
	struct fetch *f = ctx;
	struct zk_pw_req *req = f->req;
	struct zk_error own = { 0 };

	if (err)
		fail_status(f, err);
	else if (answer(f, res, &own) < 0)
		(void)zk_pw_fail(req, &own);
	free(f);
	zk_pw_done(req);
}

/* A piece of a streamed answer; false = later again. */
static bool on_data(void *ctx, zk_str piece)
{
	struct fetch *f = ctx;
	struct zk_error err = { 0 };
	struct zk_buf b;

	if (zk_pw_is_full(f->req)) {
		zk_pw_when_room(f->req, on_room, f);
		return false;
	}
	zk_buf_init(&b, piece.n + 64);
	if (zk_pw_out_record(ZK_PW_OUT_RAW, zk_pw_method_of(f->req), piece, &b, &err) ==
	    0)
		(void)zk_pw_chunk_buf(f->req, &b, &err); /* refused: nobody is there */
	zk_buf_done(&b);
	return true;
}

/* Whether the host of the finished URL may be contacted. */
static int check_host(const struct http *h, zk_str url, struct zk_error *err)
{
	struct zk_url u;
	bool ok = false;

	if (zk_url_parse(url, &u, err) < 0)
		return -(int)err->code;
	for (size_t i = 0; i < h->allow.n; i++)
		ok = ok || zk_str_glob(zk_str_of(h->allow.v[i]), zk_str_of(u.host));
	if (!ok)
		(void)zk_fail(err, ZK_E_BLOCKED, "the host '%s' is not allowed", u.host);
	zk_url_done(&u);
	return ok ? 0 : -(int)err->code;
}

static bool has_body(const char *method)
{
	return strcmp(method, "GET") != 0 && strcmp(method, "HEAD") != 0 &&
	       strcmp(method, "DELETE") != 0;
}

static int start(struct fetch *f, zk_str payload, struct zk_error *err)
{
	const struct zk_pw_method *m = zk_pw_method_of(f->req);
	struct zk_net *net = f->h->env->net(f->h->env->ctx, err);
	struct zk_buf url ZK_CLEANUP(zk_buf_done) = { 0 };
	struct zk_buf body ZK_CLEANUP(zk_buf_done) = { 0 };
	struct zk_http_conf conf = {
		.method = f->h->method,
		.headers = (const char *const *)f->h->headers.v,
		.content_type = m->request == ZK_PW_RAW ? "application/octet-stream"
		                                        : "application/json",
		.ctx = f,
		.on_data = m->kind == ZK_PW_STREAMED ? on_data : NULL,
		.max_body = f->h->max_body,
		.target = "procwire",
	};
	zk_str fields = m->request == ZK_PW_RAW ? ZK_STR("\x80") : payload;

	zk_buf_init(&url, URL_MAX);
	zk_buf_init(&body, payload.n * 8 + 4096);
	if (!net ||
	    zk_pw_template_fill(f->h->url, fields, ZK_PW_QUOTE_URL, &url, err) < 0 ||
	    check_host(f->h, zk_buf_str(&url), err) < 0)
		return -(int)err->code;
	if (has_body(f->h->method) && m->request == ZK_PW_RAW)
		zk_buf_add(&body, payload);
	else if (has_body(f->h->method) && zk_mp_to_json(payload, &body, err) < 0)
		return -(int)err->code;
	conf.url = zk_buf_cstring(&url);
	conf.body = zk_buf_str(&body);
	if (!body.n)
		conf.content_type = NULL;
	return zk_http_start(net, &conf, on_done, &f->http, err);
}

static enum zk_pw_then http_request(struct zk_pw_req *req, zk_str payload)
{
	struct fetch *f = zk_new0(struct fetch);
	struct zk_error err = { 0 };

	f->req = req;
	f->h = zk_pw_method_of(req)->conf;
	if (start(f, payload, &err) < 0) {
		free(f);
		return zk_pw_fail(req, &err);
	}
	zk_pw_set_data(req, f);
	zk_pw_on_cancel(req, on_cancel, f);
	return ZK_PW_THEN_KEEP;
}

static const struct zk_pw_handler http = { .name = "http",
	                                   .request = http_request,
	                                   .drop = http_drop };

/* ---- what is known before the start ---- */

static void http_free(void *conf)
{
	struct http *h = conf;

	zk_pw_words_done(&h->allow);
	zk_pw_words_done(&h->headers);
	free(h->method);
	free(h->url);
	free(h);
}

/* The host stands in the URL, or in the list when a request may choose it. */
static int take_hosts(struct http *h, const struct zk_strlist *allow,
                      struct zk_error *err)
{
	const char *host = strstr(h->url, "://");
	size_t n = host ? strcspn(host + 3, "/?#") : 0;
	char *copy;

	for (size_t i = 0; i < allow->n; i++)
		zk_pw_words_add(&h->allow, allow->v[i]);
	if (!host)
		return allow->n ? 0
		                : zk_fail(err, ZK_E_PW_TABLE,
		                          "the URL begins with a field: name the hosts "
		                          "with allow");
	copy = zk_strndup(host + 3, n);
	if (!zk_pw_template_has_field(copy)) {
		struct zk_buf plain;
		struct zk_url u;

		zk_buf_init(&plain, URL_MAX);
		zk_buf_put(&plain, h->url, (size_t)(host - h->url) + 3 + n);
		if (zk_url_parse(zk_buf_str(&plain), &u, err) == 0) {
			zk_pw_words_add(&h->allow, u.host);
			zk_url_done(&u);
		}
		zk_buf_done(&plain);
	} else if (!allow->n) {
		(void)zk_fail(err, ZK_E_PW_TABLE,
		              "the host has a field: name the hosts with allow");
	}
	free(copy);
	return err->code ? -(int)err->code : 0;
}

static int http_make(const struct zk_pw_env *env, struct zk_pw_method *m,
                     const struct zk_pw_spec *spec, const char *rest,
                     struct zk_error *err)
{
	struct http *h = zk_new0(struct http);
	zk_str method, url = zk_str_cut(zk_str_of(rest), ' ', &method);

	m->conf = h;
	m->free_conf = http_free;
	h->env = env;
	h->method = zk_strndup(method.p, method.n);
	url = zk_str_trim(url);
	h->url = zk_strndup(url.p ? url.p : "", url.n);
	h->max_body = spec->max_output ? spec->max_output : env->max_output;
	if (!method.n || !url.n)
		return zk_fail(err, ZK_E_PW_TABLE, "http needs METHOD URL");
	for (size_t i = 0; i < method.n; i++)
		if (method.p[i] < 'A' || method.p[i] > 'Z')
			return zk_fail(err, ZK_E_PW_TABLE,
			               "'%s' is no method of HTTP (upper case)",
			               h->method);
	for (size_t i = 0; i < spec->headers.n; i++)
		zk_pw_words_add(&h->headers, spec->headers.v[i]);
	if (zk_pw_template_has_field(h->url) && m->request == ZK_PW_RAW)
		return zk_fail(err, ZK_E_PW_TABLE,
		               "{field} needs the request codec msgpack");
	h->out = m->kind == ZK_PW_STREAMED ? ZK_PW_OUT_RAW : zk_pw_out_of(spec->out, m);
	if (zk_pw_out_check(h->out, m, err) < 0)
		return -(int)err->code;
	return take_hosts(h, &spec->allow, err);
}

const struct zk_pw_maker zk_pw_http[] = {
	{ .name = "http", .handler = &http, .takes_rest = true, .make = http_make },
	{ .name = NULL },
};
