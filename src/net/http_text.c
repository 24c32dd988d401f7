/* The pure parts of the HTTP client: Retry-After, URLs for messages, traceparent.
 * Layer: net. */
#include "net/http.h"

#include "base/buf.h"
#include "net/net.h"

#include "base/ban.h"

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_lower_hex(zk_str s)
{
	for (size_t i = 0; i < s.n; i++)
		if (!is_digit(s.p[i]) && (s.p[i] < 'a' || s.p[i] > 'f'))
			return false;
	return true;
}

/* delta-seconds to milliseconds; more than fits is "very long", not malformed. */
static int64_t seconds_to_ms(zk_str s)
{
	int64_t v = 0;

	for (size_t i = 0; i < s.n; i++)
		if (__builtin_mul_overflow(v, 10, &v) ||
		    __builtin_add_overflow(v, s.p[i] - '0', &v))
			return INT64_MAX;
	return __builtin_mul_overflow(v, 1000, &v) ? INT64_MAX : v;
}

int64_t zk_http_retry_after(zk_str value, int64_t wall_us)
{
	zk_str s = zk_str_trim(value);
	struct zk_error ignored;
	size_t digits = 0;
	int64_t at_s, us;

	while (digits < s.n && is_digit(s.p[digits]))
		digits++;
	if (s.n && digits == s.n)
		return seconds_to_ms(s);
	if (zk_parse_http_date(s, &at_s, &ignored) < 0)
		return -1;
	if (__builtin_mul_overflow(at_s, 1000000, &us) ||
	    __builtin_sub_overflow(us, wall_us, &us))
		return at_s > 0 ? INT64_MAX : 0;
	/* Rounded up: half a second early is too early. */
	return us <= 0 ? 0 : us / 1000 + (us % 1000 != 0);
}

/* Length of "scheme:" at the start of `s`, 0 when there is none. */
static size_t scheme_len(zk_str s)
{
	size_t i = 0;

	while (i < s.n) {
		char c = s.p[i];
		bool alpha = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');

		if (c == ':' && i > 0)
			return i + 1;
		if (!alpha &&
		    (i == 0 || (!is_digit(c) && c != '+' && c != '-' && c != '.')))
			return 0;
		i++;
	}
	return 0;
}

/* Whether `s` (authority and path) begins with "host", "host:port" or "[v6]:port" up to
 * its first '/'. It does not in "user:pass/word@host/", where cutting at the '/' first
 * would show half of a password. */
static bool has_plain_authority(zk_str s)
{
	zk_str authority, port;
	ptrdiff_t close;

	(void)zk_str_cut(s, '/', &authority); /* the path is of no interest here */
	if (zk_str_find_char(authority, '@') >= 0)
		return false;
	close = zk_str_find_char(authority, ']');
	if (close >= 0)
		authority = zk_str_from(authority, (size_t)close + 1);
	port = zk_str_cut(authority, ':', &authority);
	for (size_t i = 0; i < port.n; i++)
		if (!is_digit(port.p[i]))
			return false;
	return true;
}

static zk_str drop_user_info(zk_str s)
{
	zk_str authority;
	size_t i;

	if (has_plain_authority(s))
		return s;
	(void)zk_str_cut(s, '/', &authority);
	/* The last '@' of the authority; when it has none, of everything. */
	i = zk_str_find_char(authority, '@') >= 0 ? authority.n : s.n;
	while (i > 0 && s.p && s.p[i - 1] != '@')
		i--;
	return zk_str_from(s, i);
}

/* Not white space and not a control character of ASCII or Unicode (U+0080 to U+009F). */
static bool is_shown(const char *p, size_t seq)
{
	unsigned char c = (unsigned char)p[0];

	if (seq == 1)
		return c > 0x20 && c != 0x7f;
	return seq > 2 || (seq == 2 && (c != 0xc2 || (unsigned char)p[1] >= 0xa0));
}

#define SAFE_URL_MAX 200

void zk_http_safe_url(const char *url, struct zk_buf *b)
{
	zk_str s = zk_str_of(url), rest;
	size_t n, end = 0;

	(void)zk_str_cut(s, '#', &s); /* the fragment is dropped */
	(void)zk_str_cut(s, '?', &s); /* and so is the query */
	n = scheme_len(s);
	while (n && n < s.n && (s.p[n] == '/' || s.p[n] == '\\'))
		n++;
	zk_buf_put(b, s.p, n);
	rest = drop_user_info(zk_str_from(s, n));
	while (end < rest.n && end < SAFE_URL_MAX) {
		size_t seq = zk_utf8_seq(rest.p + end, rest.n - end);

		if (is_shown(rest.p + end, seq))
			zk_buf_put(b, rest.p + end, seq);
		else
			zk_buf_char(b, '?');
		end += seq ? seq : 1;
	}
	if (end < rest.n)
		zk_buf_lit(b, "...");
}

bool zk_net_traceparent_ok(const char *text)
{
	/* version "-" trace-id "-" parent-id "-" flags */
	static const unsigned lens[] = { 2, 32, 16, 2 };
	zk_str s = zk_str_of(text), part[4];
	size_t at = 0;

	for (size_t i = 0; i < ZK_ARRAY_LEN(lens); i++) {
		if (s.n < at + lens[i] || (i && s.p[at - 1] != '-'))
			return false;
		part[i] = zk_str_n(s.p + at, lens[i]);
		if (!is_lower_hex(part[i]))
			return false;
		at += lens[i] + 1;
	}
	if (zk_str_eq(part[0], ZK_STR("ff")) ||
	    zk_str_eq(part[1], ZK_STR("00000000000000000000000000000000")) ||
	    zk_str_eq(part[2], ZK_STR("0000000000000000")))
		return false;
	return s.n == at - 1;
}
