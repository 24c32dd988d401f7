/* What an answer of a Zeal server means.
 * Layer: zip. specs/zeal-zip.md §1.3, §2.1, §2.4. */
#include "zip/fault.h"

#include <string.h>

#include "base/buf.h"
#include "net/http.h"

#include "base/ban.h"

#define DEPTH 512

static const struct {
	const char *name;
	enum zk_code code;
} kinds[] = {
	[ZK_ZIP_OK] = { "", ZK_E_NONE },
	[ZK_ZIP_VALIDATION] = { "validation", ZK_E_INVALID },
	[ZK_ZIP_AUTH] = { "auth", ZK_E_AUTH },
	[ZK_ZIP_NOT_FOUND] = { "not-found", ZK_E_NOT_FOUND },
	[ZK_ZIP_NO_ENDPOINT] = { "no-such-endpoint", ZK_E_NO_ENDPOINT },
	[ZK_ZIP_METHOD] = { "method-not-allowed", ZK_E_NO_ENDPOINT },
	[ZK_ZIP_TOO_LARGE] = { "too-large", ZK_E_TOO_LARGE },
	[ZK_ZIP_RATE_LIMIT] = { "rate-limit", ZK_E_HTTP_BUSY },
	[ZK_ZIP_SERVER] = { "server", ZK_E_HTTP_BUSY },
	[ZK_ZIP_NETWORK] = { "network", ZK_E_TRANSFER },
	[ZK_ZIP_TIMEOUT] = { "timeout", ZK_E_TRANSFER },
	[ZK_ZIP_AMBIGUOUS] = { "ambiguous", ZK_E_UNKNOWN_OUTCOME },
	[ZK_ZIP_PROTOCOL] = { "protocol", ZK_E_PROTOCOL },
	[ZK_ZIP_UNFIT] = { "server-unfit", ZK_E_SERVER_UNFIT },
	[ZK_ZIP_REFUSED] = { "refused", ZK_E_HTTP },
};

const char *zk_zip_kind_name(enum zk_zip_kind kind)
{
	return kinds[kind].name;
}

enum zk_code zk_zip_kind_code(enum zk_zip_kind kind)
{
	return kinds[kind].code;
}

static bool may_be_json(const struct zk_zip_answer *a)
{
	zk_str body = zk_str_trim(a->body);

	if (!body.n)
		return false;
	return zk_str_starts_nocase(a->content_type, ZK_STR("application/json")) ||
	       body.p[0] == '{' || body.p[0] == '[';
}

static void take_error(struct zk_zip_fault *f, const struct zk_jval *error)
{
	struct zk_jval v;

	if (error->type == ZK_J_STRING) {
		f->message = error->raw;
		return;
	}
	if (error->type != ZK_J_OBJECT)
		return;
	if (zk_jscan_get(error->raw, ZK_STR("code"), &v) && v.type == ZK_J_STRING)
		(void)zk_jstr_plain(v.raw, &f->code);
	if (zk_jscan_get(error->raw, ZK_STR("message"), &v) && v.type == ZK_J_STRING)
		f->message = v.raw;
	if (zk_jscan_get(error->raw, ZK_STR("details"), &v) && v.type != ZK_J_NULL)
		f->details = v.raw;
	if (zk_jscan_get(error->raw, ZK_STR("traceId"), &v) && v.type == ZK_J_STRING)
		(void)zk_jstr_plain(v.raw, &f->trace_id);
}

/* The three forms of an error body, and the answer of an unhealthy health endpoint. */
static void take_body(struct zk_zip_fault *f, const struct zk_zip_answer *a)
{
	struct zk_jwant want[] = { { .name = ZK_STR_INIT("error") },
		                   { .name = ZK_STR_INIT("status") },
		                   { .name = ZK_STR_INIT("meta") } };
	struct zk_jscan js;
	struct zk_jval v;

	if (!may_be_json(a) ||
	    zk_jscan(a->body, DEPTH, want, ZK_ARRAY_LEN(want), &js) < 0)
		return;
	take_error(f, &want[0].val);
	if (!f->code.n && want[1].val.type == ZK_J_STRING &&
	    zk_jstr_eq(want[1].val.raw, ZK_STR("unhealthy")))
		f->code = ZK_STR("UNHEALTHY");
	if (!f->trace_id.n && want[2].val.type == ZK_J_OBJECT &&
	    zk_jscan_get(want[2].val.raw, ZK_STR("requestId"), &v) &&
	    v.type == ZK_J_STRING)
		(void)zk_jstr_plain(v.raw, &f->trace_id);
}

/* 400 without details where the path has a parameter: the server lost it [T 3]. */
static enum zk_zip_kind kind_of_400(const struct zk_zip_fault *f,
                                    const struct zk_zip_answer *a)
{
	if (a->has_param && !f->details.n)
		return ZK_ZIP_UNFIT;
	return ZK_ZIP_VALIDATION;
}

static enum zk_zip_kind kind_of(const struct zk_zip_fault *f,
                                const struct zk_zip_answer *a, bool json)
{
	switch (a->status) {
	case 400:
		return json ? kind_of_400(f, a) : ZK_ZIP_VALIDATION;
	case 401:
	case 403:
		return ZK_ZIP_AUTH;
	case 404:
		return json ? ZK_ZIP_NOT_FOUND : ZK_ZIP_NO_ENDPOINT;
	case 405:
		return ZK_ZIP_METHOD;
	case 408:
	case 499:
		return ZK_ZIP_TIMEOUT;
	case 413:
		return ZK_ZIP_TOO_LARGE;
	case 425:
	case 429:
		return ZK_ZIP_RATE_LIMIT;
	}
	return a->status >= 500 ? ZK_ZIP_SERVER : ZK_ZIP_REFUSED;
}

static zk_str default_code(enum zk_zip_kind kind)
{
	if (kind == ZK_ZIP_NO_ENDPOINT)
		return ZK_STR("NO_SUCH_ENDPOINT");
	if (kind == ZK_ZIP_METHOD)
		return ZK_STR("METHOD_NOT_ALLOWED");
	if (kind == ZK_ZIP_SERVER)
		return ZK_STR("INTERNAL_ERROR");
	return ZK_STR("UNKNOWN");
}

static int64_t reset_time_ms(const struct zk_zip_fault *f, int64_t wall_us)
{
	struct zk_error ignored;
	struct zk_jval v;
	zk_str text;
	int64_t us;

	if (!zk_jscan_get(f->details, ZK_STR("resetTime"), &v) || v.type != ZK_J_STRING ||
	    !zk_jstr_plain(v.raw, &text) || zk_parse_rfc3339(text, &us, &ignored) < 0 ||
	    us <= wall_us)
		return 0;
	return (us - wall_us + 999) / 1000;
}

/* An epoch in milliseconds to milliseconds from now. */
static int64_t epoch_ms(zk_str text, int64_t wall_us)
{
	struct zk_error ignored;
	int64_t at;

	if (!text.n || zk_parse_i64(text, &at, &ignored) < 0)
		return 0;
	return ZK_MAX(at - wall_us / 1000, 0);
}

int64_t zk_zip_pace_ms(const struct zk_zip_answer *a)
{
	return zk_str_eq(a->rate_left, ZK_STR("0")) ? epoch_ms(a->rate_reset, a->wall_us)
	                                            : 0;
}

static int64_t wait_of(const struct zk_zip_fault *f, const struct zk_zip_answer *a)
{
	int64_t ms = 0;

	if (a->status != 429 && a->status != 503)
		return 0;
	if (a->retry_after.n)
		ms = zk_http_retry_after(a->retry_after, a->wall_us);
	ms = ZK_MAX(ms, epoch_ms(a->rate_reset, a->wall_us));
	return ZK_MAX(ms, reset_time_ms(f, a->wall_us));
}

/* A good status: is the body what it must be? */
static void check_good(const struct zk_zip_answer *a, struct zk_zip_fault *ret)
{
	struct zk_jscan js;

	if (a->raw || a->status == 304)
		return;
	if (zk_jscan(a->body, DEPTH, NULL, 0, &js) < 0)
		ret->what = !zk_str_trim(a->body).n ? "the answer is empty"
		            : may_be_json(a)        ? "the answer is broken JSON"
		                                    : "the answer is no JSON";
	else if (js.top.type != ZK_J_OBJECT)
		ret->what = "the answer is no object";
	else
		return;
	ret->kind = ZK_ZIP_PROTOCOL;
}

void zk_zip_fault_read(const struct zk_zip_answer *a, struct zk_zip_fault *ret)
{
	*ret = (struct zk_zip_fault){ 0 };
	if (a->status >= 200 && a->status < 300) {
		check_good(a, ret);
		return;
	}
	take_body(ret, a);
	ret->kind = kind_of(ret, a, may_be_json(a));
	if (!ret->code.n)
		ret->code = default_code(ret->kind);
	ret->wait_ms = wait_of(ret, a);
}

static zk_str plain_of(zk_str object, zk_str name)
{
	struct zk_jval v;
	zk_str text = ZK_STR_NULL;

	if (zk_jscan_get(object, name, &v) && v.type == ZK_J_STRING)
		(void)zk_jstr_plain(v.raw, &text);
	return text;
}

void zk_zip_issues_init(struct zk_jiter *it, zk_str details)
{
	if (details.n && details.p[0] == '[')
		zk_jiter_init(it, details);
	else
		*it = (struct zk_jiter){ 0 };
}

bool zk_zip_issues_next(struct zk_jiter *it, struct zk_zip_issue *ret)
{
	struct zk_jval v, path;

	while (it->p && zk_jiter_element(it, &v)) {
		if (v.type != ZK_J_OBJECT)
			continue;
		*ret = (struct zk_zip_issue){
			.code = plain_of(v.raw, ZK_STR("code")),
			.message = plain_of(v.raw, ZK_STR("message")),
			.expected = plain_of(v.raw, ZK_STR("expected")),
			.received = plain_of(v.raw, ZK_STR("received")),
		};
		if (zk_jscan_get(v.raw, ZK_STR("path"), &path) && path.type == ZK_J_ARRAY)
			ret->path = path.raw;
		return true;
	}
	return false;
}

void zk_zip_issue_path(zk_str path, size_t skip, struct zk_buf *b)
{
	struct zk_jiter it;
	struct zk_jval v;
	struct zk_error ignored;
	bool first = true;

	if (!path.n)
		return;
	zk_jiter_init(&it, path);
	while (zk_jiter_element(&it, &v)) {
		if (skip) {
			skip--;
			continue;
		}
		if (v.type == ZK_J_NUMBER) {
			zk_buf_printf(b, "[%.*s]", ZK_STR_ARG(v.raw));
		} else if (v.type == ZK_J_STRING) {
			if (!first)
				zk_buf_char(b, '.');
			ZK_IGNORE(zk_jstr_decode(v.raw, ZK_JLONE_REPLACE, b, &ignored));
		}
		first = false;
	}
}

bool zk_zip_issue_index(zk_str path, size_t i, uint64_t *ret)
{
	struct zk_jiter it;
	struct zk_jval v;

	if (!path.n)
		return false;
	zk_jiter_init(&it, path);
	while (zk_jiter_element(&it, &v))
		if (i-- == 0)
			return v.type == ZK_J_NUMBER && zk_jnum_u64(v.raw, ret);
	return false;
}
