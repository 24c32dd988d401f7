/* What the end of an attempt means for the call: kind, repeatability, pacing, breaker.
 * Layer: zip. specs/zeal-zip.md §2. */
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "codec/jwrite.h"
#include "rt/metrics.h"
#include "zip/fault.h"
#include "zip/priv.h"

#include "base/ban.h"

/* What a failure without an answer is called. */
static enum zk_zip_kind kind_without_answer(const struct zk_error *err)
{
	switch ((int)err->code) {
	case ZK_E_NONE:
		return ZK_ZIP_OK;
	case ZK_E_UNKNOWN_OUTCOME:
		return ZK_ZIP_AMBIGUOUS;
	case ZK_E_TIMEOUT:
		return ZK_ZIP_TIMEOUT;
	case ZK_E_PROTOCOL:
	case ZK_E_TLS:
	case ZK_E_LIMIT:
		return ZK_ZIP_PROTOCOL;
	}
	return ZK_ZIP_NETWORK;
}

/* A status that says: not now. */
static bool is_transient(enum zk_zip_kind kind)
{
	return kind == ZK_ZIP_SERVER || kind == ZK_ZIP_RATE_LIMIT ||
	       kind == ZK_ZIP_TIMEOUT;
}

/* Nothing was done with the request, in so many words (§2.3). */
static bool is_not_processed(const struct zk_zip_answer *a)
{
	return a->status == 429 || a->status == 425 ||
	       (a->status == 503 && a->retry_after.n);
}

static void put_members(const struct zk_zip_call *c, const struct zk_zip_fault *f,
                        enum zk_zip_kind kind, struct zk_error *err)
{
	struct zk_buf b;
	struct zk_jwrite w;

	zk_buf_init(&b, 8192);
	zk_jwrite_init(&w, &b);
	zk_jw_key(&w, "kind");
	zk_jw_cstr(&w, zk_zip_kind_name(kind));
	if (f->code.n) {
		zk_jw_key(&w, "server_code");
		zk_jw_str(&w, zk_str_n(f->code.p, ZK_MIN(f->code.n, (size_t)64)));
	}
	if (f->trace_id.n) {
		zk_jw_key(&w, "trace_id");
		zk_jw_str(&w, zk_str_n(f->trace_id.p, ZK_MIN(f->trace_id.n, (size_t)80)));
	}
	zk_jw_key(&w, "method");
	zk_jw_cstr(&w, c->method);
	zk_jw_key(&w, "path");
	zk_jw_printf(&w, "%s%s", c->req.editor ? "/api" : "/api/zip", c->route);
	zk_jw_key(&w, "attempts");
	zk_jw_u64(&w, c->attempts);
	size_t without = b.n;

	if (f->details.n && f->details.n < 700) {
		zk_jw_key(&w, "details");
		zk_jw_raw(&w, f->details);
	}
	(void)zk_err_members(err,
	                     zk_str_n(b.p, b.n < sizeof(err->members) ? b.n : without));
	zk_buf_done(&b);
}

/* The server's words; of a list of issues the first one and how many there are. */
static void put_why(const struct zk_zip_fault *f, struct zk_error *err)
{
	struct zk_buf b;
	struct zk_jiter it;
	struct zk_zip_issue first, more;
	struct zk_error ignored;
	size_t n = 0;

	zk_buf_init(&b, 1u << 20);
	if (f->message.n)
		ZK_IGNORE(zk_jstr_decode(f->message, ZK_JLONE_REPLACE, &b, &ignored));
	if (f->code.n)
		zk_buf_printf(&b, "%s(%.*s)", b.n ? " " : "", ZK_STR_ARG(f->code));
	zk_zip_issues_init(&it, f->details);
	if (zk_zip_issues_next(&it, &first)) {
		zk_buf_lit(&b, "; ");
		zk_zip_issue_path(first.path, 0, &b);
		zk_buf_printf(&b, ": %.*s", ZK_STR_ARG(first.message));
		while (zk_zip_issues_next(&it, &more))
			n++;
		if (n)
			zk_buf_printf(&b, ", and %zu more", n);
	}
	if (b.n)
		(void)zk_err_why(err, "%s", zk_buf_cstring(&b));
	zk_buf_done(&b);
}

static void put_hint(const struct zk_zip_call *c, enum zk_zip_kind kind, int status,
                     struct zk_error *err)
{
	if (kind == ZK_ZIP_AUTH && status == 401 && !c->z->conf.token &&
	    !c->z->conf.api_key)
		(void)zk_err_hint(err,
		                  "give a credential: ZK_ZEAL_TOKEN, --token-file or the "
		                  "profile");
	else if (kind == ZK_ZIP_AUTH && status == 401)
		(void)zk_err_hint(err,
		                  "see what the token says: zk auth token show; then get "
		                  "a fresh one");
	else if (kind == ZK_ZIP_NO_ENDPOINT || kind == ZK_ZIP_METHOD)
		(void)zk_err_hint(err,
		                  "see what kind of server this is: zk health "
		                  "--deep --base-url %s",
		                  c->z->base);
	else if (kind == ZK_ZIP_UNFIT)
		(void)zk_err_hint(err,
		                  "this build of the server loses the parameters of its "
		                  "paths; see: zk health --deep");
	else if (kind == ZK_ZIP_AMBIGUOUS)
		(void)zk_err_hint(err, "look at the server before you repeat it");
}

/* Says in the words of the kind what the transport called by its status. */
static void rename_failure(const struct zk_zip_call *c, const struct zk_zip_fault *f,
                           enum zk_zip_kind kind, int status, struct zk_error *err)
{
	struct zk_error was = *err;
	enum zk_code code = kind == ZK_ZIP_AUTH && status == 403 ? ZK_E_FORBIDDEN
	                                                         : zk_zip_kind_code(kind);

	if (was.code == code)
		return;
	if (kind == ZK_ZIP_PROTOCOL && f->what)
		(void)zk_fail(err, code, "%s", f->what);
	else if (kind == ZK_ZIP_AMBIGUOUS)
		(void)zk_fail(err, code, "%s: it may have taken effect all the same",
		              was.msg);
	else if (kind == ZK_ZIP_UNFIT)
		(void)zk_fail(err, code,
		              "the server cannot read its own paths (HTTP 400)");
	else if (kind == ZK_ZIP_VALIDATION)
		(void)zk_fail(err, code,
		              "the server found the request invalid (HTTP 400)");
	else if (kind == ZK_ZIP_NO_ENDPOINT)
		(void)zk_fail(err, code, "the server has no such endpoint (HTTP 404)");
	else
		(void)zk_fail(err, code, "%s", was.msg);
	err->http_status = status;
	err->retry_after_ms = was.retry_after_ms;
	(void)zk_err_where(err, "%s", was.where);
	if (!was.where[0])
		(void)zk_err_where(err, "%s %s%s%s", c->method, c->z->base,
		                   c->req.editor ? "/api" : "/api/zip", c->route);
	(void)zk_err_why(err, "%s", was.why);
	memcpy(err->remote_id, was.remote_id, sizeof(err->remote_id));
}

/* The failure as the user sees it. `err` holds what the transport made of it. */
static void explain(const struct zk_zip_call *c, const struct zk_zip_fault *f,
                    enum zk_zip_kind kind, int status, struct zk_error *err)
{
	put_why(f, err);
	put_hint(c, kind, status, err);
	if (f->trace_id.n)
		(void)snprintf(err->remote_id, sizeof(err->remote_id), "%.*s",
		               (int)ZK_MIN(f->trace_id.n, sizeof(err->remote_id) - 1),
		               f->trace_id.p);
	put_members(c, f, kind, err);
}

/* Five failures of the origin in a row open the breaker; while it is open the next attempt waits
 * for it. */
static void count_breaker(struct zk_zip *z, enum zk_zip_kind kind, int status,
                          struct zk_error *err)
{
	int64_t now = zk_mono_ms();
	bool bad = kind == ZK_ZIP_NETWORK || kind == ZK_ZIP_TIMEOUT ||
	           (!status && kind == ZK_ZIP_AMBIGUOUS) || status == 502 ||
	           status == 503 || status == 504;

	/* Ended by ourselves: says nothing about the server. */
	if (err->code == ZK_E_INTERRUPTED || err->code == ZK_E_TIMEOUT) {
		zk_breaker_cancel(&z->breaker);
		return;
	}
	if (z->breaker.state == ZK_BREAKER_OPEN && now >= z->breaker.until_ms)
		(void)zk_breaker_allow(&z->breaker, now);
	zk_breaker_result(&z->breaker, !bad, now);
	if (bad && err->retryable && z->breaker.state == ZK_BREAKER_OPEN)
		err->retry_after_ms = ZK_MAX(err->retry_after_ms,
		                             zk_breaker_next_ms(&z->breaker, now) - now);
}

static void count_request(const struct zk_zip_call *c, int status)
{
	struct zk_metrics *m = c->z->conf.metrics;
	char text[16];

	if (!m)
		return;
	(void)snprintf(text, sizeof(text), "%d", status);
	const char *labels[] = { "method", c->method, "route", c->route,
		                 "status", text,      NULL };

	zk_counter_add(zk_metrics_counter(m, "zk_requests_total",
	                                  "Attempts of requests to Zeal servers.",
	                                  labels),
	               1);
}

static zk_str header(const struct zk_http_res *res, const char *name)
{
	return res->req ? zk_http_header(res->req, name) : ZK_STR_NULL;
}

static bool has_param(const struct zk_zip_call *c)
{
	return !c->req.editor && strchr(c->route, '{');
}

static void read_answer(const struct zk_zip_call *c, const struct zk_http_res *res,
                        struct zk_zip_answer *a)
{
	*a = (struct zk_zip_answer){
		.status = res->status,
		.body = res->body,
		.content_type = header(res, "content-type"),
		.retry_after = header(res, "retry-after"),
		.rate_reset = header(res, "x-ratelimit-reset"),
		.rate_left = header(res, "x-ratelimit-remaining"),
		.has_param = has_param(c),
		.raw = c->req.raw,
		.wall_us = zk_wall_us(),
	};
}

static void note_unfit(struct zk_zip *z)
{
	if (z->server == ZK_ZIP_PATH_BLIND)
		return;
	z->server = ZK_ZIP_PATH_BLIND;
	if (z->conf.on_unfit)
		z->conf.on_unfit(z->conf.ctx);
}

/* Whether the answer settles the matter although it is a failure that may pass. */
static bool may_repeat(const struct zk_zip_call *c, const struct zk_zip_answer *a,
                       enum zk_zip_kind kind)
{
	if (kind == ZK_ZIP_PROTOCOL)
		return c->req.class == ZK_ZIP_R0;
	if (!is_transient(kind))
		return false;
	return c->req.class != ZK_ZIP_R2 || is_not_processed(a);
}

void zk_zip_judge(void *ctx, const struct zk_http_res *res, struct zk_error *err)
{
	struct zk_zip_call *c = ctx;
	struct zk_zip_answer a;
	struct zk_zip_fault f = { 0 };
	enum zk_zip_kind kind = kind_without_answer(err);
	/* A status whose body broke off is a failure of the transfer. */
	bool answered = res->status && (!err->code || err->http_status == res->status) &&
	                err->code != ZK_E_TRANSFER && err->code != ZK_E_UNKNOWN_OUTCOME &&
	                err->code != ZK_E_LIMIT;

	c->attempts++;
	count_request(c, res->status);
	if (answered) {
		read_answer(c, res, &a);
		zk_zip_fault_read(&a, &f);
		kind = f.kind;
		err->retryable = may_repeat(c, &a, kind);
		err->retry_after_ms = ZK_MAX(err->retry_after_ms, f.wait_ms);
		if (zk_zip_pace_ms(&a))
			c->z->pace_until_ms = zk_mono_ms() + zk_zip_pace_ms(&a);
		if (kind == ZK_ZIP_UNFIT)
			note_unfit(c->z);
		if (kind != ZK_ZIP_OK && is_transient(kind) && !err->retryable &&
		    c->req.class == ZK_ZIP_R2)
			kind = ZK_ZIP_AMBIGUOUS;
	}
	bool retryable = err->retryable;

	if (kind != ZK_ZIP_OK) {
		if (answered)
			rename_failure(c, &f, kind, res->status, err);
		explain(c, &f, kind, res->status, err);
		err->retryable = retryable;
	} else {
		*err = (struct zk_error){ 0 };
	}
	count_breaker(c->z, kind, res->status, err);
}

bool zk_zip_is_ambiguous(const struct zk_error *err)
{
	return err->code == ZK_E_UNKNOWN_OUTCOME || err->code == ZK_E_PROTOCOL;
}
