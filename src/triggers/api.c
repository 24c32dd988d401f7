/* The frame of every request: checks in order, common headers, hooks of the server.
 * Layer: triggers. specs/triggers.md §2, §3.1, §7. */
#include "triggers/api.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/rand.h"
#include "codec/digest.h"
#include "codec/uri.h"
#define ZK_LOGGER "triggers"
#include "base/log.h"

#include "base/ban.h"

#define E_READ (ZK_TRIG_E_KEY)
#define E_POST (ZK_TRIG_E_KEY | ZK_TRIG_E_BODY)

const struct zk_trig_endpoint zk_trig_endpoints[] = {
	{ "POST", "/api/events", E_POST | ZK_TRIG_E_COUNTED | ZK_TRIG_E_INGEST, 0,
	  zk_trig_api_event_post },
	{ "POST", "/api/events/batch", E_POST | ZK_TRIG_E_INGEST | ZK_TRIG_E_NDJSON,
	  4 * 1024 * 1024, zk_trig_api_event_batch },
	{ "GET", "/api/events/:event_id", E_READ, 0, zk_trig_api_event_get },
	{ "POST", "/api/events/:event_id/replay", E_READ, 0, zk_trig_api_replay_one },
	{ "POST", "/api/replay", E_POST, 65536, zk_trig_api_replay_many },
	{ "GET", "/api/inbox", E_READ, 0, zk_trig_api_inbox },
	{ "GET", "/api/inbox/stream", E_READ, 0, zk_trig_api_stream },
	{ "POST", "/api/ack/:event_id", E_READ, 0, zk_trig_api_ack_one },
	{ "POST", "/api/inbox/ack/:event_id", E_READ, 0, zk_trig_api_ack_one },
	{ "POST", "/api/inbox/ack", E_POST, 65536, zk_trig_api_ack_many },
	{ "POST", "/api/keys/generate", ZK_TRIG_E_BODY, 16384, zk_trig_api_key_generate },
	{ "GET", "/api/keys", E_READ, 0, zk_trig_api_key_info },
	{ "POST", "/api/keys/rotate", E_POST, 16384, zk_trig_api_key_rotate },
	{ "POST", "/api/webhook/config", E_POST, 16384, zk_trig_api_webhook_set },
	{ "GET", "/api/webhook/config", E_READ, 0, zk_trig_api_webhook_get },
	{ "POST", "/api/webhook/secret/rotate", E_POST, 16384,
	  zk_trig_api_webhook_secret },
	{ "POST", "/api/webhook/test", E_READ, 0, zk_trig_api_webhook_test },
	{ "GET", "/health", ZK_TRIG_E_DRAINING, 0, zk_trig_api_health },
	{ "GET", "/api/health", ZK_TRIG_E_DRAINING, 0, zk_trig_api_health_service },
	{ "GET", "/health/live", ZK_TRIG_E_DRAINING, 0, zk_trig_api_live },
	{ "GET", "/health/ready", ZK_TRIG_E_DRAINING, 0, zk_trig_api_ready },
	{ "GET", "/api/health/detailed", ZK_TRIG_E_DRAINING, 0, zk_trig_api_detailed },
	{ "GET", "/metrics", ZK_TRIG_E_DRAINING, 0, zk_trig_api_metrics_get },
	{ "GET", "/openapi.json", 0, 0, zk_trig_api_openapi },
	{ "GET", "/", 0, 0, zk_trig_api_root },
};
const size_t zk_trig_n_endpoints = ZK_ARRAY_LEN(zk_trig_endpoints);

_Static_assert(sizeof(struct zk_trig_call) <= ZK_HTTPD_USER_BYTES,
               "a call fits its request");

/* ---- the call ------------------------------------------------------------------------- */

static bool is_plain_id(zk_str s)
{
	if (s.n == 0 || s.n > 128)
		return false;
	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i];

		if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
		      (c >= '0' && c <= '9') || c == '.' || c == '_' || c == '-'))
			return false;
	}
	return true;
}

static zk_str cors_origin(const struct zk_trig_server *s, struct zk_httpd_req *req)
{
	if (!s->conf.n_cors)
		return ZK_STR_NULL;
	zk_str origin = zk_httpd_header(req, ZK_STR("Origin"));

	for (size_t i = 0; i < s->conf.n_cors; i++) {
		zk_str allowed = zk_str_of(s->conf.cors[i]);

		if (zk_str_eq(allowed, ZK_STR("*")) ||
		    (origin.n && zk_str_eq(allowed, origin)))
			return allowed;
	}
	return ZK_STR_NULL;
}

struct zk_trig_call *zk_trig_call_of(struct zk_trig_server *s, struct zk_httpd_req *req)
{
	struct zk_trig_call *c = zk_httpd_user(req);

	if (c->s)
		return c;
	c->s = s;
	c->req = req;
	c->request_id = zk_httpd_header(req, ZK_STR("X-Request-Id"));
	if (!is_plain_id(c->request_id)) {
		zk_uuid id = zk_uuid_v7();

		zk_uuid_format(&id, c->id_text);
		c->request_id = zk_str_n(c->id_text, ZK_UUID_TEXT);
	}
	c->origin = cors_origin(s, req);
	const struct zk_route *route = zk_httpd_route(req);

	if (route)
		c->e = &zk_trig_endpoints[route->id];
	return c;
}

static void call_end(struct zk_trig_call *c)
{
	if (c->caller) {
		zk_trig_caller_unref(c->caller);
		c->caller = NULL;
	}
}

/* ---- answers -------------------------------------------------------------------------- */

static void limit_headers(const struct zk_trig_call *c, struct zk_buf *h)
{
	int64_t reset_s = (zk_wall_us() / 1000 + c->verdict.reset_ms + 999) / 1000;

	zk_buf_lit(h, "X-RateLimit-Limit: ");
	zk_buf_u64(h, c->verdict.limit);
	zk_buf_lit(h, "\r\nX-RateLimit-Remaining: ");
	zk_buf_u64(h, c->verdict.remaining);
	zk_buf_lit(h, "\r\nX-RateLimit-Reset: ");
	zk_buf_i64(h, reset_s);
	zk_buf_lit(h, "\r\n");
}

/* "0.42ms" without floating point. */
static void response_time(const struct zk_trig_call *c, struct zk_buf *h)
{
	int64_t us = zk_mono_us() - zk_httpd_start_us(c->req);
	uint64_t hundredths = us > 0 ? (uint64_t)(us + 5) / 10 : 0;
	unsigned rest = (unsigned)(hundredths % 100);
	char two[2] = { (char)('0' + rest / 10), (char)('0' + rest % 10) };

	zk_buf_lit(h, "X-Response-Time: ");
	zk_buf_u64(h, hundredths / 100);
	zk_buf_char(h, '.');
	zk_buf_put(h, two, 2);
	zk_buf_lit(h, "ms\r\n");
}

void zk_trig_common_headers(struct zk_trig_call *c, const char *type, zk_str extra)
{
	struct zk_buf *h = &c->s->head;

	zk_buf_clear(h);
	if (!type) {
		zk_buf_lit(h, "Content-Type: application/json\r\n");
	} else if (type[0]) {
		zk_buf_lit(h, "Content-Type: ");
		zk_buf_cstr(h, type);
		zk_buf_lit(h, "\r\n");
	}
	zk_buf_lit(h, "Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n"
	              "X-Request-Id: ");
	zk_buf_add(h, c->request_id);
	zk_buf_lit(h, "\r\n");
	response_time(c, h);
	if (c->limited)
		limit_headers(c, h);
	if (c->origin.n) {
		zk_buf_lit(h, "Access-Control-Allow-Origin: ");
		zk_buf_add(h, c->origin);
		zk_buf_lit(h, "\r\nAccess-Control-Expose-Headers: X-RateLimit-Limit, "
		              "X-RateLimit-Remaining, X-RateLimit-Reset, Retry-After, "
		              "X-Request-Id, X-Response-Time\r\n");
		if (c->origin.p[0] != '*')
			zk_buf_lit(h, "Vary: Origin\r\n");
	}
	zk_buf_add(h, extra);
}

void zk_trig_reply_type(struct zk_trig_call *c, int status, const char *type,
                        zk_str extra, zk_str body)
{
	struct zk_trig_server *s = c->s;
	struct zk_httpd_req *req = c->req;
	bool close = c->close || s->draining;

	zk_trig_common_headers(c, type, extra);
	call_end(c);
	if (close)
		zk_httpd_reply_close(req, status, zk_buf_str(&s->head), body);
	else
		zk_httpd_reply(req, status, zk_buf_str(&s->head), body);
}

void zk_trig_reply(struct zk_trig_call *c, int status, zk_str extra, zk_str body)
{
	zk_trig_reply_type(c, status, NULL, extra, body);
}

/* ---- checks --------------------------------------------------------------------------- */

static bool ip_parse(zk_str s, uint8_t ip[16])
{
	char text[64];
	struct in_addr v4;

	s = zk_str_trim(s);
	if (s.n >= sizeof(text))
		return false;
	memcpy(text, s.p ? s.p : "", s.n);
	text[s.n] = 0;
	if (inet_pton(AF_INET, text, &v4) == 1) {
		memset(ip, 0, 10);
		ip[10] = ip[11] = 0xff;
		memcpy(ip + 12, &v4, 4);
		return true;
	}
	return inet_pton(AF_INET6, text, ip) == 1;
}

static bool is_trusted(const struct zk_trig_server *s, const uint8_t ip[16])
{
	for (size_t i = 0; i < s->conf.n_trusted; i++) {
		if (zk_cidr_has(&s->conf.trusted[i], ip))
			return true;
	}
	return false;
}

/* The right-most address of X-Forwarded-For that is not itself a trusted proxy. */
void zk_trig_client(struct zk_trig_call *c, uint8_t ip[16])
{
	memset(ip, 0, 16);
	if (!ip_parse(zk_str_of(zk_httpd_client(c->req)), ip) || !is_trusted(c->s, ip))
		return;
	zk_str list = zk_httpd_header(c->req, ZK_STR("X-Forwarded-For"));

	while (list.n) {
		size_t at = list.n;

		while (at > 0 && list.p[at - 1] != ',')
			at--;
		uint8_t hop[16];

		if (!ip_parse(zk_str_from(list, at), hop))
			return;
		memcpy(ip, hop, 16);
		if (!is_trusted(c->s, ip) || at == 0)
			return;
		list.n = at - 1;
	}
}

uint64_t zk_trig_limit_of(const struct zk_trig_server *s, const struct zk_trig_org *org)
{
	if (org->rate_limit >= 0)
		return (uint64_t)org->rate_limit;
	return s->conf.rate_limit[org->tier];
}

/* The verdict is there: headers, metrics, and the 429. True when there was room. */
static bool judge(struct zk_trig_call *c, const struct zk_trig_verdict *v)
{
	struct zk_trig_server *s = c->s;
	uint64_t limit = v->limit;

	c->verdict = *v;
	c->limited = limit > 0;
	zk_trig_metric_limit(s, v->ok, zk_mono_us() - c->limit_us);
	if (v->ok)
		return true;

	int64_t wait_s = ZK_MAX((c->verdict.reset_ms + 999) / 1000, 1);
	char members[160], extra[48];
	int n_members =
	        snprintf(members, sizeof(members),
	                 ",\"limit\":%llu,\"remaining\":0,\"window\":\"1 minute\","
	                 "\"retry_after\":%lld",
	                 (unsigned long long)limit, (long long)wait_s);
	int n_extra = snprintf(extra, sizeof(extra), "Retry-After: %lld\r\n",
	                       (long long)wait_s);

	c->verdict.remaining = 0;
	zk_trig_fail(
	        c,
	        &(struct zk_trig_problem){
	                .status = 429,
	                .code = "rate_limit_exceeded",
	                .error = "Rate limit exceeded",
	                .members = zk_str_n(members, (size_t)n_members),
	                .extra = zk_str_n(extra, (size_t)n_extra),
	        },
	        "the organization may send %llu events per minute; try again in %lld s",
	        (unsigned long long)limit, (long long)wait_s);
	return false;
}

static void on_verdict(void *ctx, const struct zk_trig_verdict *v)
{
	struct zk_trig_call *c = ctx;

	c->go(c, judge(c, v));
}

enum zk_trig_taken zk_trig_take(struct zk_trig_call *c, uint64_t n, zk_trig_go_fn go)
{
	struct zk_trig_server *s = c->s;
	struct zk_trig_want want = { .org = &c->caller->org.id,
		                     .limit = zk_trig_limit_of(s, &c->caller->org),
		                     .n = n };
	struct zk_trig_verdict v;

	c->limit_us = zk_mono_us();
	c->go = go;
	if (!zk_trig_limiter_take(s->limiter, &want, &v, on_verdict, c))
		return ZK_TRIG_TAKE_LATER;
	return judge(c, &v) ? ZK_TRIG_TAKEN : ZK_TRIG_NO_ROOM;
}

static bool is_type_param_ok(zk_str params)
{
	while (params.p) {
		zk_str one, name;

		params = zk_str_cut(params, ';', &one);
		one = zk_str_trim(one);
		if (one.n == 0)
			continue;
		zk_str value = zk_str_cut(one, '=', &name);

		if (!zk_str_eq_nocase(name, ZK_STR("charset")))
			continue;
		if (value.n >= 2 && value.p[0] == '"' && value.p[value.n - 1] == '"')
			value = zk_str_n(value.p + 1, value.n - 2);
		if (!zk_str_eq_nocase(value, ZK_STR("utf-8")) &&
		    !zk_str_eq_nocase(value, ZK_STR("utf8")))
			return false;
	}
	return true;
}

static bool is_type_ok(const struct zk_trig_call *c)
{
	zk_str type = zk_httpd_header(c->req, ZK_STR("Content-Type")), media;

	if (!type.p)
		return true;
	zk_str params = zk_str_cut(type, ';', &media);

	media = zk_str_trim(media);
	if (media.n == 0 || !is_type_param_ok(params))
		return false;
	if (zk_str_eq_nocase(media, ZK_STR("application/json")))
		return true;
	if (media.n > 5 &&
	    zk_str_eq_nocase(zk_str_from(media, media.n - 5), ZK_STR("+json")))
		return true;
	return (c->e->flags & ZK_TRIG_E_NDJSON) &&
	       zk_str_eq_nocase(media, ZK_STR("application/x-ndjson"));
}

static void fail_draining(struct zk_trig_call *c)
{
	zk_trig_fail(c,
	             &(struct zk_trig_problem){ .status = 503,
	                                        .code = "shutting_down",
	                                        .error = "Server is shutting down",
	                                        .close = true },
	             "the server is shutting down; try another one or later");
}

static void fail_auth(struct zk_trig_call *c, bool missing)
{
	zk_trig_fail(c,
	             &(struct zk_trig_problem){
	                     .status = 401,
	                     .code = "unauthorized",
	                     .error = missing ? "Missing API key" : "Invalid API key",
	                     .extra = ZK_STR("WWW-Authenticate: ApiKey\r\n"),
	             },
	             "send the key of an organization in the X-API-Key header");
}

static void fail_auth_result(struct zk_trig_call *c, enum zk_trig_auth result)
{
	switch (result) {
	case ZK_TRIG_AUTH_OK:
	case ZK_TRIG_AUTH_PENDING:
		break;
	case ZK_TRIG_AUTH_BAD:
		fail_auth(c, false);
		return;
	case ZK_TRIG_AUTH_BUSY:
		zk_trig_fail(c,
		             &(struct zk_trig_problem){
		                     .status = 503,
		                     .code = "system_capacity_exceeded",
		                     .error = "System capacity exceeded, please try "
		                              "again later",
		                     .members = ZK_STR(",\"retry_after_seconds\":1"),
		                     .extra = ZK_STR("Retry-After: 1\r\n"),
		             },
		             "too many keys wait for their first verification");
		return;
	case ZK_TRIG_AUTH_FLOOD:
		zk_trig_fail(c,
		             &(struct zk_trig_problem){
		                     .status = 429,
		                     .code = "rate_limit_exceeded",
		                     .error = "Rate limit exceeded",
		                     .members = ZK_STR(
		                             ",\"limit\":20,\"remaining\":0,\"window\":"
		                             "\"1 minute\",\"retry_after\":60"),
		                     .extra = ZK_STR("Retry-After: 60\r\n"),
		             },
		             "too many failed verifications of this key");
		return;
	case ZK_TRIG_AUTH_STORE:
		zk_trig_fail(c,
		             &(struct zk_trig_problem){
		                     .status = 503,
		                     .code = "storage_unavailable",
		                     .error = "Storage unavailable",
		                     .extra = ZK_STR("Retry-After: 5\r\n") },
		             "the key could not be looked up; try again");
		return;
	}
	zk_trig_fail_request(c, "Invalid request",
	                     "the request could not be authenticated");
}

/* Everything behind the rate limit: true when the request goes on, false when it is answered. */
static bool after_limit(struct zk_trig_call *c)
{
	unsigned flags = c->e->flags;

	if (flags & ZK_TRIG_E_INGEST) {
		const struct zk_trig_health *h = c->s->repo->ops->health(c->s->repo);

		if (h->queue_events >= h->queue_capacity) {
			zk_trig_fail_busy(c);
			return false;
		}
	}
	if ((flags & ZK_TRIG_E_BODY) && !is_type_ok(c)) {
		zk_trig_fail(
		        c,
		        &(struct zk_trig_problem){ .status = 415,
		                                   .code = "unsupported_media_type",
		                                   .error = "Unsupported media type" },
		        "send the header 'Content-Type: application/json'%s",
		        flags & ZK_TRIG_E_NDJSON ? " or application/x-ndjson" : "");
		return false;
	}
	return true;
}

/* The endpoint itself, or its body first. */
static enum zk_httpd_next go_on(struct zk_trig_call *c)
{
	if (c->e->flags & ZK_TRIG_E_BODY)
		return ZK_HTTPD_BODY;
	c->e->run(c);
	return ZK_HTTPD_DONE;
}

/* The same after the caller had to wait. */
static void resume(struct zk_trig_call *c, enum zk_httpd_next next)
{
	if (next == ZK_HTTPD_BODY)
		zk_httpd_continue(c->req);
}

static void on_taken(struct zk_trig_call *c, bool taken)
{
	if (taken && after_limit(c))
		resume(c, go_on(c));
}

/* Everything behind the key. */
static enum zk_httpd_next after_auth(struct zk_trig_call *c)
{
	enum zk_trig_taken taken = c->e->flags & ZK_TRIG_E_COUNTED
	                                   ? zk_trig_take(c, 1, on_taken)
	                                   : ZK_TRIG_TAKEN;

	if (taken == ZK_TRIG_TAKE_LATER)
		return ZK_HTTPD_WAIT;
	return taken == ZK_TRIG_TAKEN && after_limit(c) ? go_on(c) : ZK_HTTPD_DONE;
}

static void on_auth(void *ctx, enum zk_trig_auth result, struct zk_trig_caller *caller)
{
	struct zk_trig_call *c = ctx;

	zk_trig_metric_auth(c->s, result == ZK_TRIG_AUTH_OK, zk_mono_us() - c->auth_us);
	if (result != ZK_TRIG_AUTH_OK) {
		fail_auth_result(c, result);
		return;
	}
	zk_trig_caller_ref(caller);
	c->caller = caller;
	resume(c, after_auth(c));
}

/* X-API-Key or Authorization: Bearer; both must be equal. False = there is none. */
static bool find_key(struct zk_trig_call *c, zk_str *key, bool *conflict)
{
	zk_str plain = zk_httpd_header(c->req, ZK_STR("X-API-Key"));
	zk_str auth = zk_httpd_header(c->req, ZK_STR("Authorization"));
	zk_str bearer = ZK_STR_NULL;

	if (auth.n > 7 && zk_str_starts_nocase(auth, ZK_STR("Bearer ")))
		bearer = zk_str_trim(zk_str_from(auth, 7));
	*conflict = plain.n && bearer.n && !zk_str_eq(plain, bearer);
	*key = plain.n ? plain : bearer;
	return key->n > 0;
}

static enum zk_httpd_next check_key(struct zk_trig_call *c)
{
	zk_str key;
	bool conflict;

	if (!find_key(c, &key, &conflict) || conflict) {
		zk_trig_metric_auth(c->s, false, 0);
		fail_auth(c, !conflict);
		return ZK_HTTPD_DONE;
	}
	struct zk_trig_caller *caller = NULL;

	c->auth_us = zk_mono_us();
	enum zk_trig_auth result =
	        zk_trig_keys_check(c->s->keys, key, &caller, on_auth, c);

	if (result == ZK_TRIG_AUTH_PENDING)
		return ZK_HTTPD_WAIT;
	zk_trig_metric_auth(c->s, result == ZK_TRIG_AUTH_OK, zk_mono_us() - c->auth_us);
	if (result != ZK_TRIG_AUTH_OK) {
		fail_auth_result(c, result);
		return ZK_HTTPD_DONE;
	}
	zk_trig_caller_ref(caller);
	c->caller = caller;
	return after_auth(c);
}

enum zk_httpd_next zk_trig_on_head(void *ctx, struct zk_httpd_req *req)
{
	struct zk_trig_call *c = zk_trig_call_of(ctx, req);

	if (c->s->draining && !(c->e->flags & ZK_TRIG_E_DRAINING)) {
		fail_draining(c);
		return ZK_HTTPD_DONE;
	}
	if (c->e->flags & ZK_TRIG_E_KEY)
		return check_key(c);
	return after_auth(c);
}

void zk_trig_on_body(void *ctx, struct zk_httpd_req *req)
{
	struct zk_trig_call *c = zk_trig_call_of(ctx, req);

	c->e->run(c);
}

/* ---- the other hooks ------------------------------------------------------------------ */

static const struct {
	int status;
	const char *code, *error;
} server_problems[] = {
	{ 400, "invalid_request", "Bad request" },
	{ 404, "not_found", "Not found" },
	{ 405, "method_not_allowed", "Method not allowed" },
	{ 408, "request_timeout", "Request timeout" },
	{ 414, "uri_too_long", "URI too long" },
	{ 431, "headers_too_large", "Request header fields too large" },
	{ 503, "system_capacity_exceeded",
	  "System capacity exceeded, please try again later" },
	{ 505, "http_version_not_supported", "HTTP version not supported" },
};

static void fail_too_large(struct zk_trig_call *c, const char *detail)
{
	uint64_t limit =
	        c->e && c->e->max_body ? c->e->max_body : c->s->conf.http.max_body;
	char error[64], members[64];

	(void)snprintf(error, sizeof(error), "Payload too large (max %lluKB)",
	               (unsigned long long)(c->s->conf.max_payload / 1024));
	int n = snprintf(members, sizeof(members), ",\"limit\":%llu",
	                 (unsigned long long)limit);

	zk_trig_count_invalid(c->s, "payload_too_large");
	zk_trig_fail(c,
	             &(struct zk_trig_problem){ .status = 413,
	                                        .code = "payload_too_large",
	                                        .error = error,
	                                        .members = zk_str_n(members, (size_t)n),
	                                        .close = true },
	             "%s; the body may have at most %llu bytes", detail,
	             (unsigned long long)limit);
}

void zk_trig_on_error(void *ctx, struct zk_httpd_req *req, int status, const char *detail,
                      const char *allow)
{
	struct zk_trig_call *c = zk_trig_call_of(ctx, req);
	struct zk_trig_problem p = { .status = status,
		                     .code = "internal_error",
		                     .error = "Internal server error" };
	char extra[256];

	if (status == 413) {
		fail_too_large(c, detail);
		return;
	}
	for (size_t i = 0; i < ZK_ARRAY_LEN(server_problems); i++) {
		if (server_problems[i].status == status) {
			p.code = server_problems[i].code;
			p.error = server_problems[i].error;
		}
	}
	if (allow) {
		int n = snprintf(extra, sizeof(extra), "Allow: %s\r\n", allow);

		p.extra = zk_str_n(extra, ZK_MIN((size_t)n, sizeof(extra) - 1));
	} else if (status == 503) {
		p.extra = ZK_STR("Retry-After: 1\r\n");
		p.members = ZK_STR(",\"retry_after_seconds\":1");
	}
	zk_trig_fail(c, &p, "%s", detail ? detail : p.error);
}

static bool is_header_list(zk_str s)
{
	if (s.n == 0 || s.n > 1024)
		return false;
	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i];

		if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
		      (c >= '0' && c <= '9') || c == '-' || c == '_' || c == ',' ||
		      c == ' '))
			return false;
	}
	return true;
}

bool zk_trig_on_options(void *ctx, struct zk_httpd_req *req, const char *allow)
{
	struct zk_trig_server *s = ctx;
	(void)allow; /* the list of CORS is fixed by §2 */

	if (!s->conf.n_cors)
		return false;
	struct zk_trig_call *c = zk_trig_call_of(s, req);
	zk_str asked = zk_httpd_header(req, ZK_STR("Access-Control-Request-Headers"));
	struct zk_buf extra ZK_CLEANUP(zk_buf_done);

	zk_buf_init(&extra, 4096);
	if (c->origin.n) {
		zk_buf_lit(&extra, "Access-Control-Allow-Methods: GET, POST, OPTIONS\r\n"
		                   "Access-Control-Max-Age: 600\r\n"
		                   "Access-Control-Allow-Headers: *");
		if (is_header_list(asked)) {
			zk_buf_lit(&extra, ", ");
			zk_buf_add(&extra, asked);
		}
		zk_buf_lit(&extra, "\r\n");
	}
	zk_trig_reply_type(c, 204, "", zk_buf_str(&extra), ZK_STR_NULL);
	return true;
}

void zk_trig_on_finish(void *ctx, struct zk_httpd_req *req, int status, int64_t micros)
{
	struct zk_trig_server *s = ctx;
	const struct zk_route *route = zk_httpd_route(req);
	const struct zk_trig_endpoint *e = route ? &zk_trig_endpoints[route->id] : NULL;

	zk_trig_metric_request(s, e, status, micros);
	if (!zk_log_enabled(ZK_LOG_DEBUG))
		return;
	const struct zk_trig_call *c = zk_httpd_user(req);
	zk_str method = zk_httpd_head(req)->method;

	zk_debug("request",
	         "method=%.*s route=%s status=%d duration_ms=%.2f client=%s "
	         "request_id=%.*s",
	         ZK_STR_ARG(method), e ? e->pattern : "-", status,
	         (double)micros / 1000.0, zk_httpd_client(req),
	         ZK_STR_ARG(c->s ? c->request_id : ZK_STR("-")));
}

void zk_trig_org_changed(struct zk_trig_server *s, const zk_uuid *org, bool reset)
{
	if (s->keys)
		zk_trig_keys_forget(s->keys, org);
	zk_trig_deliver_org_changed(s->deliver, org, reset);
}
