/* Answers: status line, framing headers, Date; the default error body.
 * Layer: net. */
#include <stdlib.h>
#include <time.h>

#include "base/clock.h"
#include "net/httpd_int.h"
#include "rt/loop.h"

#include "base/ban.h"

#define STATUSES(X)                               \
	X(200, "OK")                              \
	X(201, "Created")                         \
	X(202, "Accepted")                        \
	X(204, "No Content")                      \
	X(206, "Partial Content")                 \
	X(207, "Multi-Status")                    \
	X(301, "Moved Permanently")               \
	X(302, "Found")                           \
	X(303, "See Other")                       \
	X(304, "Not Modified")                    \
	X(307, "Temporary Redirect")              \
	X(308, "Permanent Redirect")              \
	X(400, "Bad Request")                     \
	X(401, "Unauthorized")                    \
	X(403, "Forbidden")                       \
	X(404, "Not Found")                       \
	X(405, "Method Not Allowed")              \
	X(406, "Not Acceptable")                  \
	X(408, "Request Timeout")                 \
	X(409, "Conflict")                        \
	X(410, "Gone")                            \
	X(411, "Length Required")                 \
	X(412, "Precondition Failed")             \
	X(413, "Content Too Large")               \
	X(414, "URI Too Long")                    \
	X(415, "Unsupported Media Type")          \
	X(417, "Expectation Failed")              \
	X(421, "Misdirected Request")             \
	X(422, "Unprocessable Content")           \
	X(425, "Too Early")                       \
	X(426, "Upgrade Required")                \
	X(429, "Too Many Requests")               \
	X(431, "Request Header Fields Too Large") \
	X(500, "Internal Server Error")           \
	X(501, "Not Implemented")                 \
	X(502, "Bad Gateway")                     \
	X(503, "Service Unavailable")             \
	X(504, "Gateway Timeout")                 \
	X(505, "HTTP Version Not Supported")

static zk_str status_line(int status)
{
	switch (status) {
#define X(code, text) \
	case code:    \
		return ZK_STR("HTTP/1.1 " #code " " text "\r\nDate: ");
		STATUSES(X)
#undef X
	default:
		return ZK_STR_NULL;
	}
}

static const char *reason(int status)
{
	switch (status) {
#define X(code, text) \
	case code:    \
		return text;
		STATUSES(X)
#undef X
	default:
		return "Error";
	}
}

/* ------------------------------------------------------------------ date */

static void format_date(time_t t, char out[32])
{
	static const char days[] = "SunMonTueWedThuFriSat";
	static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
	struct tm tm = { 0 };
	struct zk_buf b;

	(void)gmtime_r(&t, &tm);
	zk_buf_init(&b, 31);
	zk_buf_printf(&b, "%.3s, %02d %.3s %04d %02d:%02d:%02d GMT",
	              days + 3 * (tm.tm_wday % 7), tm.tm_mday,
	              months + 3 * (tm.tm_mon % 12), 1900 + tm.tm_year, tm.tm_hour,
	              tm.tm_min, tm.tm_sec);
	if (b.n == 29)
		memcpy(out, b.p, 29);
	zk_buf_done(&b);
}

/* RFC 9110 §6.6.1; formatted once per second. */
static zk_str date(struct zk_httpd *s)
{
	int64_t second = zk_loop_now_ms(s->loop) / 1000;

	if (second != s->date_s) {
		s->date_s = second;
		format_date((time_t)(zk_wall_us() / 1000000), s->date);
	}
	return zk_str_n(s->date, 29);
}

/* ------------------------------------------------------------------ head */

static inline char *put(char *to, zk_str s)
{
	if (s.n)
		memcpy(to, s.p, s.n);
	return to + s.n;
}

#define PUT_LIT(to, lit) put((to), ZK_STR(lit))

/* More than all lines together that are not the caller's. */
#define OWN_LINES 256

static char *put_framing(char *to, const struct zk_httpd_conn *c, int status,
                         int64_t length)
{
	const struct zk_http1_head *h = &c->req->head;

	if (length >= 0 && status != 204 && status != 304) {
		char digits[20];

		to = PUT_LIT(to, "\r\nContent-Length: ");
		to = put(to, zk_str_n(digits, zk_format_u64((uint64_t)length, digits)));
	} else if (length < 0 && h->minor) {
		to = PUT_LIT(to, "\r\nTransfer-Encoding: chunked");
	}
	if (c->last)
		to = PUT_LIT(to, "\r\nConnection: close\r\n");
	else if (h->minor == 0)
		to = PUT_LIT(to, "\r\nConnection: keep-alive\r\n");
	else
		to = PUT_LIT(to, "\r\n");
	return to;
}

void zk_httpd_reply_head(struct zk_httpd_conn *c, int status, zk_str headers,
                         int64_t length, size_t extra)
{
	zk_str first = status_line(status);
	char *start;

	if (!c->out.p && headers.n + extra + OWN_LINES <= ZK_HTTPD_CHUNK)
		zk_httpd_chunk_get(c->s, &c->out);
	start = zk_buf_reserve(&c->out, headers.n + extra + OWN_LINES);
	ZK_ASSERT(start);

	char *to = start;
	if (first.n) {
		to = put(to, first);
	} else {
		char digits[20];

		ZK_ASSERT(status >= 200 && status <= 999);
		to = PUT_LIT(to, "HTTP/1.1 ");
		to = put(to, zk_str_n(digits, zk_format_u64((uint64_t)status, digits)));
		to = PUT_LIT(to, " \r\nDate: ");
	}
	to = put(to, date(c->s));
	to = put_framing(to, c, status, length);
	to = put(to, headers);
	to = PUT_LIT(to, "\r\n");
	c->out.n += (size_t)(to - start);
}

/* ------------------------------------------------------------------ replies */

void zk_httpd_reply_booked(struct zk_httpd_req *r, int status)
{
	struct zk_httpd_conn *c = r->conn;

	ZK_ASSERT(!r->answered);
	r->answered = true;
	r->status = status;
	if (r->counted) {
		r->counted = false;
		c->s->in_progress--;
	}
	if (c->phase != ZK_HTTPD_CLOSED) {
		c->phase = ZK_HTTPD_ANSWERED;
		zk_httpd_wheel_set(c, 0);
	}
	zk_httpd_conn_dirty(c);
}

/* Whether this is the last answer of the connection. */
static void decide_last(struct zk_httpd_req *r)
{
	struct zk_httpd_conn *c = r->conn;

	if (!r->head.keep_alive || c->s->draining ||
	    c->n_requests >= c->s->conf.max_requests)
		c->last = true;
	if (!c->last && !zk_httpd_body_forget(c))
		c->last = true;
}

void zk_httpd_reply(struct zk_httpd_req *r, int status, zk_str headers, zk_str body)
{
	struct zk_httpd_conn *c = r->conn;

	ZK_ASSERT(!r->answered);
	if (!r->gone) {
		bool bare = status == 204 || status == 304 ||
		            zk_str_eq(r->head.method, ZK_STR("HEAD"));

		decide_last(r);
		zk_httpd_reply_head(c, status, headers, (int64_t)body.n,
		                    bare ? 0 : body.n);
		if (!bare)
			zk_buf_add(&c->out, body);
	}
	zk_httpd_reply_booked(r, status);
}

void zk_httpd_reply_close(struct zk_httpd_req *r, int status, zk_str headers, zk_str body)
{
	r->conn->last = true;
	zk_httpd_reply(r, status, headers, body);
}

void zk_httpd_reply_error(struct zk_httpd_req *r, int status, const char *detail,
                          const char *allow)
{
	struct zk_buf headers, body;

	zk_buf_init(&headers, 2048);
	zk_buf_init(&body, 2048);
	zk_buf_lit(&headers,
	           "Content-Type: application/json\r\nCache-Control: no-store\r\n"
	           "X-Content-Type-Options: nosniff\r\n");
	if (allow)
		zk_buf_printf(&headers, "Allow: %s\r\n", allow);
	if (status == 503)
		zk_buf_lit(&headers, "Retry-After: 1\r\n");
	zk_buf_lit(&body, "{\"error\":");
	zk_buf_json_str(&body, zk_str_of(reason(status)));
	if (detail) {
		zk_buf_lit(&body, ",\"message\":");
		zk_buf_json_str(&body, zk_str_of(detail));
	}
	zk_buf_lit(&body, "}");
	zk_httpd_reply(r, status, zk_buf_str(&headers), zk_buf_str(&body));
	zk_buf_done(&headers);
	zk_buf_done(&body);
}
