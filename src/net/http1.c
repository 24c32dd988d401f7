/* Strict HTTP/1.x request heads; see the header for the contract. Bodies: http1_chunks.c.
 * Layer: net. */
#include "net/http1.h"

#if defined(__SSE2__) && !defined(ZK_NO_SIMD)
#include <emmintrin.h>
#endif

#include "net/http1_class.h"

#include "base/ban.h"

#define MAX_EMPTY_LINES 4

const uint8_t zk_http1_classes[256] = {
	8, 8, 8, 8, 8, 8, 8, 8, 8, 0, 8, 8, 8, 8, 8, 8, /* 0x00 */
	8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, /* 0x10 */
	0, 7, 0, 1, 7, 7, 7, 7, 6, 6, 7, 7, 6, 7, 7, 2, /*  !"#$%&'()*+,-./ */
	7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 2, 6, 0, 6, 0, 2, /* 0123456789:;<=>? */
	2, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, /* @ABCDEFGHIJKLMNO */
	7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 2, 2, 2, 3, 7, /* PQRSTUVWXYZ[\]^_ */
	3, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, /* `abcdefghijklmno */
	7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 2, 3, 2, 7, 8, /* pqrstuvwxyz{|}~ DEL */
};

/* How many bytes from the front of `s` are of this class. */
static inline size_t span(zk_str s, enum zk_http1_class class)
{
	size_t i = 0;

	while (i < s.n && zk_http1_is(s.p[i], class))
		i++;
	return i;
}

/* ------------------------------------------------------------------ scanning */

#if defined(__SSE2__) && !defined(ZK_NO_SIMD)

static inline unsigned ctl_mask(const char *p)
{
	__m128i v = _mm_loadu_si128((const __m128i *)(const void *)p);
	__m128i low = _mm_cmpeq_epi8(_mm_min_epu8(v, _mm_set1_epi8(0x1f)), v);
	__m128i tab = _mm_cmpeq_epi8(v, _mm_set1_epi8('\t'));
	__m128i del = _mm_cmpeq_epi8(v, _mm_set1_epi8(0x7f));

	return (unsigned)_mm_movemask_epi8(_mm_or_si128(_mm_andnot_si128(tab, low), del));
}

/* The first byte of class CTL at or behind `i`; `n` when there is none. */
static inline size_t find_ctl(const char *p, size_t i, size_t n)
{
	for (; n - i >= 16; i += 16) {
		unsigned m = ctl_mask(p + i);

		if (m)
			return i + (unsigned)__builtin_ctz(m);
	}
	if (i < n && n >= 16) {
		/* The last 16 bytes, without those already seen. */
		size_t base = n - 16;
		unsigned m = ctl_mask(p + base) >> (i - base);

		return m ? i + (unsigned)__builtin_ctz(m) : n;
	}
	while (i < n && !zk_http1_is(p[i], ZK_HTTP1_CTL))
		i++;
	return i;
}

#else

#define EACH_BYTE(x) ((uint64_t)0x0101010101010101 * (x))

/* False only when none of the 8 bytes is a control character, a tab or DEL. */
static inline bool may_be_ctl(uint64_t v)
{
	uint64_t del = v ^ EACH_BYTE(0x7f);

	return (((v - EACH_BYTE(0x20)) & ~v) | ((del - EACH_BYTE(1)) & ~del)) &
	       EACH_BYTE(0x80);
}

/* The first byte of class CTL at or behind `i`; `n` when there is none. */
static inline size_t find_ctl(const char *p, size_t i, size_t n)
{
	for (; n - i >= 8; i += 8) {
		uint64_t v;

		memcpy(&v, p + i, 8);
		if (!may_be_ctl(v))
			continue;
		for (size_t k = i; k < i + 8; k++) {
			if (zk_http1_is(p[k], ZK_HTTP1_CTL))
				return k;
		}
	}
	while (i < n && !zk_http1_is(p[i], ZK_HTTP1_CTL))
		i++;
	return i;
}

#endif

/* ------------------------------------------------------------------ request line */

static enum zk_http1_result bad(struct zk_http1 *p, const char *reason)
{
	p->reason = reason;
	return ZK_HTTP1_BAD;
}

/* The length of the host in front of an optional port: a reg-name, an IPv4 address or a
 * bracketed IPv6 address; SIZE_MAX when it is malformed. */
static size_t host_length(zk_str s)
{
	if (s.n == 0 || s.p[0] != '[')
		return span(s, ZK_HTTP1_HOST);

	size_t i = 1;
	while (i < s.n && (zk_http1_is_hex(s.p[i]) || s.p[i] == ':' || s.p[i] == '.'))
		i++;
	return i > 2 && i < s.n && s.p[i] == ']' ? i + 1 : SIZE_MAX;
}

/* host [":" port] of RFC 3986 §3.2; userinfo is not part of it (RFC 9110 §4.2.4). */
static bool is_authority(zk_str s, bool need_port)
{
	size_t n = host_length(s);

	if (n == SIZE_MAX)
		return false;
	if (n == s.n)
		return !need_port;
	if (s.p[n] != ':' || n == 0 || s.n - n - 1 > 5)
		return false;
	for (size_t i = n + 1; i < s.n; i++) {
		if (!zk_http1_is_digit(s.p[i]))
			return false;
	}
	return !need_port || s.n > n + 1;
}

/* "http://authority/path": the authority goes to the head, the target keeps the rest. */
static bool absolute_form(struct zk_http1_head *h)
{
	zk_str rest;

	if (zk_str_starts_nocase(h->target, ZK_STR("http://")))
		rest = zk_str_from(h->target, 7);
	else if (zk_str_starts_nocase(h->target, ZK_STR("https://")))
		rest = zk_str_from(h->target, 8);
	else
		return false;

	size_t n = 0;
	while (n < rest.n && rest.p[n] != '/' && rest.p[n] != '?')
		n++;
	h->authority = zk_str_n(rest.p, n);
	h->target = zk_str_from(rest, n);
	return n > 0 && is_authority(h->authority, false);
}

/* RFC 9112 §3.2. */
static enum zk_http1_result check_target(struct zk_http1 *p, struct zk_http1_head *h)
{
	zk_str t = h->target;

	if (zk_str_eq(h->method, ZK_STR("CONNECT"))) {
		h->authority = t;
		return is_authority(t, true) ? ZK_HTTP1_MORE
		                             : bad(p, "CONNECT needs host:port");
	}
	if (t.p[0] == '/')
		return ZK_HTTP1_MORE;
	if (t.n == 1 && t.p[0] == '*') {
		return zk_str_eq(h->method, ZK_STR("OPTIONS"))
		               ? ZK_HTTP1_MORE
		               : bad(p, "the target * is for OPTIONS only");
	}
	return absolute_form(h) ? ZK_HTTP1_MORE : bad(p, "malformed request target");
}

static enum zk_http1_result check_version(struct zk_http1 *p, zk_str v,
                                          struct zk_http1_head *h)
{
	if (v.n != 8 || memcmp(v.p, "HTTP/", 5) != 0 || v.p[6] != '.' ||
	    !zk_http1_is_digit(v.p[5]) || !zk_http1_is_digit(v.p[7]))
		return bad(p, "malformed HTTP version");
	if (v.p[5] != '1')
		return ZK_HTTP1_VERSION;
	h->minor = v.p[7] != '0';
	return ZK_HTTP1_MORE;
}

static enum zk_http1_result request_line(struct zk_http1 *p, zk_str line,
                                         struct zk_http1_head *h)
{
	size_t method = span(line, ZK_HTTP1_TOKEN);

	if (method == 0 || method == line.n || line.p[method] != ' ')
		return bad(p, "malformed request method");
	h->method = zk_str_n(line.p, method);
	line = zk_str_from(line, method + 1);

	size_t target = span(line, ZK_HTTP1_TARGET);
	if (target == 0 || target == line.n || line.p[target] != ' ')
		return bad(p, "malformed request target");
	h->target = zk_str_n(line.p, target);
	h->authority = ZK_STR_NULL;

	/* The version first: "PRI * HTTP/2.0" shall hear about the version. */
	enum zk_http1_result r = check_version(p, zk_str_from(line, target + 1), h);
	return r == ZK_HTTP1_MORE ? check_target(p, h) : r;
}

/* True when the part of the request line received so far has a longer target than allowed. */
static bool target_too_long(const struct zk_http1 *p, zk_str part)
{
	if (part.n <= p->limits->max_target)
		return false;

	zk_str method;
	zk_str rest = zk_str_cut(part, ' ', &method);
	zk_str target;

	(void)zk_str_cut(rest, ' ', &target);
	return target.n > p->limits->max_target;
}

/* ------------------------------------------------------------------ header lines */

static inline bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

static enum zk_http1_result header_line(struct zk_http1 *p, zk_str line,
                                        struct zk_http1_header *ret)
{
	size_t name = span(line, ZK_HTTP1_TOKEN);

	if (name == 0)
		return bad(p, is_blank(line.p[0]) ? "folded header line"
		                                  : "malformed header name");
	if (name == line.n || line.p[name] != ':')
		return bad(p, "malformed header name");

	size_t from = name + 1;
	size_t to = line.n;
	while (from < to && is_blank(line.p[from]))
		from++;
	while (to > from && is_blank(line.p[to - 1]))
		to--;
	ret->name = zk_str_n(line.p, name);
	ret->value = zk_str_n(line.p + from, to - from);
	return ZK_HTTP1_MORE;
}

/* One line without its CRLF; DONE for the empty one that ends the head. */
static enum zk_http1_result take_line(struct zk_http1 *p, zk_str line,
                                      struct zk_http1_head *h)
{
	if (!p->started) {
		if (line.n == 0)
			return ++p->skipped > MAX_EMPTY_LINES
			               ? bad(p, "empty lines instead of a request")
			               : ZK_HTTP1_MORE;
		p->started = true;
		return request_line(p, line, h);
	}
	if (line.n == 0)
		return ZK_HTTP1_DONE;
	if (p->lines >= p->limits->max_lines || p->lines >= ZK_HTTP1_MAX_HEADERS)
		return ZK_HTTP1_TOO_LONG;
	return header_line(p, line, &h->headers[p->lines++]);
}

/* ------------------------------------------------------------------ framing */

/* What the header lines say about the message itself. */
struct facts {
	unsigned hosts, lengths, codings;
	zk_str host, length, coding;
	bool close, keep_alive, upgrade, has_upgrade, expect;
};

/* Connection is a list of tokens, in one or many lines (RFC 9110 §7.6.1). */
static void connection_options(zk_str list, struct facts *f)
{
	while (list.n) {
		zk_str item;

		list = zk_str_cut(list, ',', &item);
		item = zk_str_trim(item);
		if (zk_str_eq_nocase(item, ZK_STR("close")))
			f->close = true;
		else if (zk_str_eq_nocase(item, ZK_STR("keep-alive")))
			f->keep_alive = true;
		else if (zk_str_eq_nocase(item, ZK_STR("upgrade")))
			f->upgrade = true;
	}
}

static inline bool named(const struct zk_http1_header *h, const char *name)
{
	return zk_str_eq_nocase(h->name, zk_str_n(name, h->name.n));
}

static void note_header(const struct zk_http1_header *h, struct facts *f)
{
	switch (h->name.n) {
	case 4:
		if (named(h, "host")) {
			f->hosts++;
			f->host = h->value;
		}
		break;
	case 6:
		if (named(h, "expect"))
			f->expect = zk_str_eq_nocase(h->value, ZK_STR("100-continue"));
		break;
	case 7:
		if (named(h, "upgrade"))
			f->has_upgrade = true;
		break;
	case 10:
		if (named(h, "connection"))
			connection_options(h->value, f);
		break;
	case 14:
		if (named(h, "content-length")) {
			f->lengths++;
			f->length = h->value;
		}
		break;
	case 17:
		if (named(h, "transfer-encoding")) {
			f->codings++;
			f->coding = h->value;
		}
		break;
	default: /* a length, not an enum */
		break;
	}
}

/* The body's framing: RFC 9112 §6, stricter as specs/triggers.md §2 says. */
static enum zk_http1_result check_body(struct zk_http1 *p, const struct facts *f,
                                       struct zk_http1_head *h)
{
	h->chunked = f->codings > 0;
	h->has_length = f->lengths > 0;
	h->length = 0;
	if (h->chunked && h->has_length)
		return bad(p, "both Content-Length and Transfer-Encoding");
	if (f->codings > 1 ||
	    (h->chunked && !zk_str_eq_nocase(f->coding, ZK_STR("chunked"))))
		return bad(p, "unsupported Transfer-Encoding");
	if (h->chunked && h->minor == 0)
		return bad(p, "Transfer-Encoding in HTTP/1.0");
	if (f->lengths > 1)
		return bad(p, "more than one Content-Length");
	if (!h->has_length)
		return ZK_HTTP1_MORE;
	if (f->length.n == 0 || f->length.n > 10)
		return bad(p, "malformed Content-Length");
	for (size_t i = 0; i < f->length.n; i++) {
		if (!zk_http1_is_digit(f->length.p[i]))
			return bad(p, "malformed Content-Length");
		h->length = h->length * 10 + (uint64_t)(f->length.p[i] - '0');
	}
	return ZK_HTTP1_MORE;
}

static enum zk_http1_result check_host(struct zk_http1 *p, const struct facts *f,
                                       struct zk_http1_head *h)
{
	if (f->hosts > 1)
		return bad(p, "more than one Host");
	if (f->hosts == 0)
		return h->minor ? bad(p, "no Host") : ZK_HTTP1_MORE;
	if (!is_authority(f->host, false))
		return bad(p, "malformed Host");
	if (!h->authority.p)
		h->authority = f->host;
	return ZK_HTTP1_MORE;
}

static enum zk_http1_result finish(struct zk_http1 *p, struct zk_http1_head *h)
{
	struct facts f = { 0 };

	h->n_headers = p->lines;
	for (unsigned i = 0; i < h->n_headers; i++)
		note_header(&h->headers[i], &f);

	enum zk_http1_result r = check_host(p, &f, h);
	if (r == ZK_HTTP1_MORE)
		r = check_body(p, &f, h);
	if (r != ZK_HTTP1_MORE)
		return r;
	h->keep_alive = !f.close && (h->minor || f.keep_alive);
	h->expect_continue = f.expect && h->minor;
	h->upgrade = f.upgrade && f.has_upgrade && h->minor;
	return ZK_HTTP1_DONE;
}

/* ------------------------------------------------------------------ head */

/* Goes on line by line from where it stood; never looks at a byte behind the limit. */
static enum zk_http1_result walk(struct zk_http1 *p, zk_str in, struct zk_http1_head *h)
{
	size_t cut = ZK_MIN(in.n, p->limits->max_head);

	for (;;) {
		size_t eol = find_ctl(in.p, p->seen, cut);
		zk_str line = zk_str_n(in.p + p->line, eol - p->line);

		if (!p->started && target_too_long(p, line))
			return ZK_HTTP1_URI_LONG;
		if (eol < cut && in.p[eol] != '\r')
			return bad(p, "control character or bare LF in the head");
		p->seen = eol;
		if (eol + 1 >= cut)
			return cut == p->limits->max_head ? ZK_HTTP1_TOO_LONG
			                                  : ZK_HTTP1_MORE;
		if (in.p[eol + 1] != '\n')
			return bad(p, "bare CR in the head");
		p->line = p->seen = eol + 2;

		enum zk_http1_result r = take_line(p, line, h);
		if (r != ZK_HTTP1_MORE)
			return r;
	}
}

void zk_http1_init(struct zk_http1 *p, const struct zk_http1_limits *limits)
{
	*p = (struct zk_http1){ .limits = limits };
}

enum zk_http1_result zk_http1_parse(struct zk_http1 *p, zk_str head,
                                    struct zk_http1_head *ret, size_t *used)
{
	bool resumed = p->seen > 0;
	enum zk_http1_result r = walk(p, head, ret);

	if (r != ZK_HTTP1_DONE)
		return r;
	if (resumed) {
		/* The lines before were cut from a buffer that may have moved since. */
		zk_http1_init(p, p->limits);
		r = walk(p, head, ret);
		ZK_ASSERT(r == ZK_HTTP1_DONE);
	}
	*used = p->line;
	return finish(p, ret);
}

bool zk_http1_list_has(zk_str list, zk_str word)
{
	zk_str one;

	while (list.n) {
		list = zk_str_cut(list, ',', &one);
		if (zk_str_eq_nocase(zk_str_trim(one), word))
			return true;
	}
	return false;
}

zk_str zk_http1_header(const struct zk_http1_head *h, zk_str name)
{
	for (unsigned i = 0; i < h->n_headers; i++) {
		if (zk_str_eq_nocase(h->headers[i].name, name))
			return h->headers[i].value;
	}
	return ZK_STR_NULL;
}
