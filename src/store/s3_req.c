/* One request to S3: signed for each attempt, repeated, its failure put into words.
 * Layer: store. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "net/net.h"
#include "rt/loop.h"
#include "store/s3_int.h"

#include "base/ban.h"

#define ANSWER_MAX  (8u << 20)
#define IDLE_MS     60000
#define SLOW_MS     600000
#define SKEW_MIN_US INT64_C(60000000)

struct zk_s3_req {
	struct zk_list link;
	struct zk_s3 *s;
	struct zk_s3_ask ask; /* own copies */
	char *method, *key, *query, *body;
	char **headers;
	size_t n_headers;
	struct zk_http *http; /* the attempt that runs */
	struct zk_timer *timer;
	struct zk_retry retry;
	struct zk_error last;
	int status; /* of the attempt */
	bool began, cut, skewed;
};

static void attempt(void *ctx);

static void req_free(struct zk_s3_req *r)
{
	zk_list_remove(&r->link);
	zk_loop_forget(r->s->loop, attempt, r);
	zk_timer_free(r->timer);
	zk_s3_slice_free(r->ask.slice);
	free(r->ask.owned);
	free(r->method);
	free(r->key);
	free(r->query);
	free(r->body);
	for (size_t i = 0; i < r->n_headers; i++)
		free(r->headers[i]);
	free(r->headers);
	free(r);
}

void zk_s3_req_cancel(struct zk_s3_req *r)
{
	if (r->http)
		zk_http_cancel(r->http);
	req_free(r);
}

void zk_s3_reqs_free(struct zk_s3 *s)
{
	ZK_LIST_EACH (it, &s->reqs)
		zk_s3_req_cancel(ZK_LIST_ENTRY(it, struct zk_s3_req, link));
}

void zk_s3_hurry(struct zk_s3 *s)
{
	ZK_LIST_EACH (it, &s->reqs) {
		struct zk_s3_req *r = ZK_LIST_ENTRY(it, struct zk_s3_req, link);

		if (!r->http)
			zk_timer_start(r->timer, 0, 0);
	}
}

static void finish(struct zk_s3_req *r, const struct zk_http_res *res,
                   const struct zk_error *err)
{
	r->http = NULL;
	r->ask.done(r->ask.ctx, res, err);
	req_free(r);
}

/* ---- the headers ---- */

struct lines {
	struct zk_s3_header v[ZK_S3_HEADERS];
	char *texts[2 * ZK_S3_HEADERS];
	size_t n, n_texts;
};

static void add(struct lines *l, const char *name, zk_str value)
{
	ZK_ASSERT(l->n < ZK_S3_HEADERS);
	l->v[l->n++] = (struct zk_s3_header){ .name = name, .value = value };
}

static int by_name(const void *a, const void *b)
{
	const struct zk_s3_header *x = a, *y = b;

	return strcmp(x->name, y->name);
}

/* Names and values of what is signed; `names` holds what the given ones are cut into. */
static void collect(struct zk_s3_req *r, const struct zk_s3_sign *sign, struct lines *l)
{
	const struct zk_s3 *s = r->s;

	add(l, "host", zk_str_of(s->host));
	add(l, "x-amz-content-sha256", sign->payload);
	add(l, "x-amz-date", zk_str_of(sign->time));
	if (s->cred.token)
		add(l, "x-amz-security-token", zk_str_of(s->cred.token));
	for (size_t i = 0; i < r->n_headers; i++) {
		char *name = zk_strdup(r->headers[i]), *colon = strchr(name, ':');

		ZK_ASSERT(colon);
		*colon = '\0';
		l->texts[l->n_texts++] = name;
		add(l, name, zk_str_trim(zk_str_of(colon + 1)));
	}
	qsort(l->v, l->n, sizeof(l->v[0]), by_name);
}

static void lines_done(struct lines *l)
{
	for (size_t i = 0; i < l->n_texts; i++)
		zk_secret_free(l->texts[i]);
}

/* ---- one attempt ---- */

static ptrdiff_t on_pull(void *ctx, char *p, size_t room)
{
	struct zk_s3_req *r = ctx;

	return zk_s3_slice_pull(r->ask.slice, p, room);
}

static void on_bytes(void *ctx)
{
	struct zk_s3_req *r = ctx;

	if (r->http)
		zk_http_resume_upload(r->http);
}

static void on_head(void *ctx, int status, struct zk_http *http)
{
	struct zk_s3_req *r = ctx;

	(void)http;
	r->status = status;
	if (status == 200 && r->ask.begin)
		r->ask.begin(r->ask.data_ctx);
}

static bool on_data(void *ctx, zk_str piece)
{
	struct zk_s3_req *r = ctx;

	/* The text of an error answer is not what was asked for; its status has to do. */
	if (r->status == 200 && !r->cut && !r->ask.data(r->ask.data_ctx, piece))
		r->cut = true;
	return true;
}

static void on_done(void *ctx, const struct zk_http_res *res, struct zk_error *err);

static void set_body(struct zk_s3_req *r, struct zk_http_conf *h)
{
	if (r->ask.slice) {
		zk_s3_slice_on_bytes(r->ask.slice, on_bytes, r);
		zk_s3_slice_rewind(r->ask.slice);
		h->pull = on_pull;
		h->length = (int64_t)zk_s3_slice_size(r->ask.slice);
	} else {
		h->body = r->ask.body;
		h->body_borrowed = true;
	}
	if (r->ask.data) {
		h->on_data = on_data;
		h->on_head = on_head;
	} else {
		h->max_body = ANSWER_MAX;
	}
}

/* SHA-256 of the body, or that it is not signed: over TLS nobody can change it on the way. */
static zk_str payload_of(const struct zk_s3_req *r, char hex[ZK_S3_HEX])
{
	uint8_t digest[ZK_SHA256_SIZE];
	struct zk_buf b;

	if (r->ask.slice)
		return r->ask.payload ? zk_str_of(r->ask.payload)
		                      : ZK_STR("UNSIGNED-PAYLOAD");
	zk_sha256(r->ask.body, digest);
	zk_buf_init(&b, ZK_S3_HEX);
	zk_hex_encode(zk_str_n((const char *)digest, sizeof(digest)), &b);
	(void)snprintf(hex, ZK_S3_HEX, "%s", zk_buf_cstring(&b));
	zk_buf_done(&b);
	return zk_str_of(hex);
}

static int start(struct zk_s3_req *r, struct zk_error *err)
{
	struct zk_s3 *s = r->s;
	struct zk_http_conf h = { .method = r->method,
		                  .ctx = r,
		                  .timeout_ms = -1,
		                  .idle_timeout_ms = r->ask.slow ? SLOW_MS : IDLE_MS,
		                  .target = "s3",
		                  .flags = ZK_HTTP_IDEMPOTENT | ZK_HTTP_1_1 };
	struct zk_s3_sign sign = { .method = r->method,
		                   .region = s->conf.region,
		                   .cred = &s->cred };
	struct lines l = { 0 };
	const char *headers[ZK_S3_HEADERS + 2];
	char hex[ZK_S3_HEX];
	struct zk_buf path, auth, url;
	size_t n = 0;
	int x;

	zk_buf_init(&path, 8192);
	zk_buf_init(&auth, 16384);
	zk_buf_init(&url, 65536);
	zk_s3_put_path(&path, zk_str_of(s->base));
	if (r->key[0] || !path.n) {
		zk_buf_char(&path, '/');
		zk_s3_put_path(&path, zk_str_of(r->key));
	}
	zk_buf_printf(&url, "%s%.*s%s%s", s->origin, ZK_STR_ARG(zk_buf_str(&path)),
	              r->query ? "?" : "", r->query ? r->query : "");
	sign.path = zk_buf_str(&path);
	sign.query = zk_str_of(r->query ? r->query : "");
	sign.payload = payload_of(r, hex);
	zk_s3_time(zk_wall_us() + s->skew_us, sign.time);
	collect(r, &sign, &l);
	sign.headers = l.v;
	sign.n_headers = l.n;
	zk_buf_lit(&auth, "Authorization: ");
	zk_s3_sign(&sign, &auth);
	for (size_t i = 0; i < l.n; i++) {
		l.texts[l.n_texts] =
		        zk_asprintf("%s: %.*s", l.v[i].name, ZK_STR_ARG(l.v[i].value));
		headers[n++] = l.texts[l.n_texts++];
	}
	headers[n++] = zk_buf_cstring(&auth);
	headers[n] = NULL;
	h.headers = headers;
	h.url = zk_buf_cstring(&url);
	r->status = 0;
	r->cut = false;
	set_body(r, &h);
	x = zk_http_start(s->net, &h, on_done, &r->http, err);
	lines_done(&l);
	zk_buf_done(&path);
	zk_buf_done(&auth);
	zk_buf_done(&url);
	return x;
}

static void attempt(void *ctx)
{
	struct zk_s3_req *r = ctx;
	struct zk_error err = { 0 };

	if (start(r, &err) < 0)
		finish(r, NULL, &err);
}

/* ---- what came of it ---- */

/* Codes of S3 that mean: again. The status says the rest. */
static bool is_passing(zk_str code)
{
	static const zk_str codes[] = {
		ZK_STR_INIT("InternalError"),
		ZK_STR_INIT("SlowDown"),
		ZK_STR_INIT("ServiceUnavailable"),
		ZK_STR_INIT("RequestTimeout"),
		ZK_STR_INIT("OperationAborted"),
		ZK_STR_INIT("BadDigest"),
		ZK_STR_INIT("IncompleteBody"),
		ZK_STR_INIT("XAmzContentSHA256Mismatch"),
	};

	for (size_t i = 0; i < ZK_ARRAY_LEN(codes); i++)
		if (zk_str_eq(code, codes[i]))
			return true;
	return false;
}

/* The server's clock, when it complained about ours: the next attempt is signed with it. */
static bool learn_clock(struct zk_s3_req *r, const struct zk_http_res *res)
{
	zk_str date = zk_http_header(res->req, "Date");
	struct zk_error ignored;
	int64_t s, skew;

	if (!date.n || r->skewed || zk_parse_http_date(date, &s, &ignored) < 0)
		return false;
	skew = s * 1000000 - zk_wall_us();
	if (skew < SKEW_MIN_US && skew > -SKEW_MIN_US)
		return false;
	r->skewed = true;
	r->s->skew_us = skew;
	return true;
}

static void say(struct zk_s3_req *r, int status, struct zk_buf *code, struct zk_buf *text,
                struct zk_error *err)
{
	enum zk_code c = status == 403    ? ZK_E_FORBIDDEN
	                 : status == 401  ? ZK_E_AUTH
	                 : status == 404  ? ZK_E_NOT_FOUND
	                 : err->code      ? err->code
	                 : err->retryable ? ZK_E_HTTP_BUSY
	                                  : ZK_E_HTTP;
	struct zk_error was = *err;

	(void)zk_fail(err, c, "S3 answered %s (HTTP %d)%s%.300s",
	              code->n ? zk_buf_cstring(code) : "an error", status,
	              text->n ? ": " : "", zk_buf_cstring(text));
	err->retryable = was.retryable;
	err->http_status = status;
	err->retry_after_ms = was.retry_after_ms;
	(void)zk_err_where(err, "%s %s%s/%s", r->method, r->s->origin, r->s->base,
	                   r->key);
}

static void hint(const struct zk_http_res *res, zk_str code, struct zk_error *err)
{
	zk_str region = zk_http_header(res->req, "x-amz-bucket-region");

	if (region.n && (res->status == 301 || res->status == 400))
		(void)zk_err_hint(err, "the bucket is in region %.*s",
		                  (int)ZK_MIN(region.n, (size_t)64), region.p);
	else if (zk_str_eq(code, ZK_STR("SignatureDoesNotMatch")))
		(void)zk_err_hint(err, "check the secret key and the region");
}

/* An answer with an error in it: its words, and whether to try again. */
static void judge(struct zk_s3_req *r, const struct zk_http_res *res,
                  struct zk_error *err)
{
	struct zk_buf code, text;

	zk_buf_init(&code, 256);
	zk_buf_init(&text, 2048);
	(void)zk_s3_error_parse(res->body, &code, &text); /* HEAD has no body */
	if (is_passing(zk_buf_str(&code)))
		err->retryable = true;
	if (res->status == 403 &&
	    (zk_str_eq(zk_buf_str(&code), ZK_STR("RequestTimeTooSkewed")) || !code.n) &&
	    learn_clock(r, res))
		err->retryable = true;
	say(r, res->status, &code, &text, err);
	hint(res, zk_buf_str(&code), err);
	zk_buf_done(&code);
	zk_buf_done(&text);
}

/* Some operations answer 200 before they know, and an error in the body. */
static bool is_late_error(const struct zk_s3_req *r, const struct zk_http_res *res)
{
	struct zk_buf code, text;
	bool is;

	if (!r->ask.slow || res->status != 200)
		return false;
	zk_buf_init(&code, 256);
	zk_buf_init(&text, 2048);
	is = zk_s3_error_parse(res->body, &code, &text);
	zk_buf_done(&code);
	zk_buf_done(&text);
	return is;
}

static void again(struct zk_s3_req *r, const struct zk_error *err)
{
	int64_t wait = zk_retry_next(&r->retry, zk_mono_ms(), err->retry_after_ms,
	                             &r->s->jitter);

	if (wait < 0 || r->ask.once) {
		finish(r, NULL, err);
		return;
	}
	r->last = *err;
	zk_timer_start(r->timer, r->skewed && err->http_status == 403 ? 0 : wait, 0);
	if (r->s->conf.on_retry)
		r->s->conf.on_retry(r->s->conf.ctx, wait, err);
}

static void on_done(void *ctx, const struct zk_http_res *res, struct zk_error *given)
{
	struct zk_s3_req *r = ctx;
	struct zk_error err = { 0 };

	r->http = NULL;
	if (r->ask.quiet_404 && res->status == 404) {
		finish(r, res, NULL);
		return;
	}
	if (given)
		err = *given;
	if ((given && res->status >= 300) || is_late_error(r, res)) {
		judge(r, res, &err);
	} else if (r->cut) {
		(void)zk_fail(&err, ZK_E_OUTPUT, "what came cannot be written");
	}
	if (!err.code)
		finish(r, res, NULL);
	else if (err.retryable)
		again(r, &err);
	else
		finish(r, res->status ? res : NULL, &err);
}

/* ---- making it ---- */

struct zk_s3_req *zk_s3_ask(struct zk_s3 *s, const struct zk_s3_ask *ask)
{
	struct zk_s3_req *r = zk_new0(struct zk_s3_req);

	r->s = s;
	r->ask = *ask;
	r->method = zk_strdup(ask->method);
	r->key = zk_strndup(ask->key.n ? ask->key.p : "", ask->key.n);
	r->query = ask->query ? zk_strdup(ask->query) : NULL;
	r->body = zk_strndup(ask->body.n ? ask->body.p : "", ask->body.n);
	r->ask.body.p = r->body;
	while (ask->headers && ask->headers[r->n_headers])
		r->n_headers++;
	r->headers = zk_alloc_array(r->n_headers + 1, sizeof(char *));
	for (size_t i = 0; ask->headers && i < r->n_headers; i++)
		r->headers[i] = zk_strdup(ask->headers[i]);
	r->timer = zk_timer_new(s->loop, attempt, r);
	zk_retry_init(&r->retry, &s->conf.retry, zk_mono_ms());
	zk_list_init(&r->link);
	zk_list_push(&s->reqs, &r->link);
	zk_loop_defer(s->loop, attempt, r);
	return r;
}
