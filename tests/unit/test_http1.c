/* net/http1: every rule of specs/triggers.md §2 and every hostile head of the list, each fed
 * whole, cut in two at every place, byte by byte and in random pieces. */
#include "net/http1.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/rand.h"

#include "base/ban.h"

enum {
	MORE = ZK_HTTP1_MORE,
	DONE = ZK_HTTP1_DONE,
	BAD = ZK_HTTP1_BAD,
	LONG = ZK_HTTP1_TOO_LONG,
	URI = ZK_HTTP1_URI_LONG,
	VERSION = ZK_HTTP1_VERSION
};

#define H    "Host: a\r\n"
#define END  "\r\n"
#define GET  "GET / HTTP/1.1\r\n"
#define POST "POST / HTTP/1.1\r\n"

static const struct zk_http1_limits defaults = { 16384, 8192, 100 };

struct outcome {
	enum zk_http1_result r;
	size_t used;
	struct zk_http1_head head;
};

/* Feeds the prefixes of `text` that end at the given places; every prefix has a buffer of its
 * own of exactly its size, so that a look behind it is seen. */
static struct outcome feed(zk_str text, const struct zk_http1_limits *limits,
                           const size_t *ends, size_t n_ends, char **keep)
{
	struct outcome o = { .r = ZK_HTTP1_MORE };
	struct zk_http1 p;

	zk_http1_init(&p, limits);
	*keep = NULL;
	for (size_t i = 0; i < n_ends && o.r == ZK_HTTP1_MORE; i++) {
		free(*keep);
		*keep = malloc(ends[i]);
		if (ends[i])
			memcpy(*keep, text.p, ends[i]);
		o.r = zk_http1_parse(&p, zk_str_n(*keep, ends[i]), &o.head, &o.used);
	}
	if (o.r == ZK_HTTP1_BAD)
		cr_expect_not_null(p.reason, "BAD without a reason");
	return o;
}

static bool same_slice(zk_str a, zk_str b)
{
	return zk_str_eq(a, b) && !a.p == !b.p;
}

static bool same_head(const struct zk_http1_head *a, const struct zk_http1_head *b)
{
	if (!same_slice(a->method, b->method) || !same_slice(a->target, b->target) ||
	    !same_slice(a->authority, b->authority) || a->n_headers != b->n_headers)
		return false;
	for (unsigned i = 0; i < a->n_headers; i++) {
		if (!same_slice(a->headers[i].name, b->headers[i].name) ||
		    !same_slice(a->headers[i].value, b->headers[i].value))
			return false;
	}
	return a->minor == b->minor && a->keep_alive == b->keep_alive &&
	       a->expect_continue == b->expect_continue && a->upgrade == b->upgrade &&
	       a->chunked == b->chunked && a->has_length == b->has_length &&
	       a->length == b->length;
}

static void expect_same(const struct outcome *a, const struct outcome *b,
                        const char *name, const char *how, size_t at)
{
	cr_expect_eq(a->r, b->r, "%s: %s at %zu: %d instead of %d", name, how, at, b->r,
	             a->r);
	if (a->r != ZK_HTTP1_DONE || b->r != ZK_HTTP1_DONE)
		return;
	cr_expect_eq(a->used, b->used, "%s: %s at %zu: used %zu instead of %zu", name,
	             how, at, b->used, a->used);
	cr_expect(same_head(&a->head, &b->head), "%s: %s at %zu: another head", name, how,
	          at);
}

/* The outcome for the whole text, after it was compared with every other way to feed it. */
static struct outcome feed_all(zk_str text, const struct zk_http1_limits *limits,
                               const char *name, char **keep)
{
	struct outcome whole = feed(text, limits, &text.n, 1, keep);
	size_t *ends = zk_alloc_array(text.n + 1, sizeof(size_t));
	struct zk_rand rnd;
	char *k;

	for (size_t i = 0; i <= text.n; i++)
		ends[i] = i;
	struct outcome o = feed(text, limits, ends, text.n + 1, &k);
	expect_same(&whole, &o, name, "byte by byte", 0);
	free(k);
	for (size_t i = 0; text.n <= 2000 && i < text.n; i++) {
		size_t two[] = { i, text.n };

		o = feed(text, limits, two, 2, &k);
		expect_same(&whole, &o, name, "cut", i);
		free(k);
	}
	zk_rand_seed(&rnd, 7);
	for (unsigned round = 0; round < 20; round++) {
		size_t n = 0;

		for (size_t at = 0; at < text.n;) {
			at += 1 + (size_t)zk_rand_below(&rnd, 60);
			ends[n++] = ZK_MIN(at, text.n);
		}
		o = feed(text, limits, ends, n, &k);
		expect_same(&whole, &o, name, "random pieces", round);
		free(k);
	}
	free(ends);
	return whole;
}

static const struct {
	const char *name;
	zk_str text;
	enum zk_http1_result r;
} verdicts[] = {
#define ROW(name, r, ...)                                                 \
	{                                                                 \
		name, ZK_STR_INIT(__VA_ARGS__), (enum zk_http1_result)(r) \
	}
	ROW("the simplest", DONE, GET H END),
	ROW("HTTP/1.0 needs no Host", DONE, "GET / HTTP/1.0\r\n\r\n"),
	ROW("incomplete", MORE, GET H),
	ROW("nothing", MORE, ""),
	ROW("all token characters", DONE, "!#$%&'*+-.^_`|~aZ9 / HTTP/1.0\r\n\r\n"),
	/* Content-Length */
	ROW("length", DONE, POST H "Content-Length: 2\r\n\r\n"),
	ROW("length 0", DONE, POST H "Content-Length: 0\r\n\r\n"),
	ROW("length of 10 digits", DONE, POST H "Content-Length: 9999999999\r\n\r\n"),
	ROW("length with zeros in front", DONE,
	    POST H "Content-Length: 0000000002\r\n\r\n"),
	ROW("length in odd case", DONE, POST H "cOnTeNt-LeNgTh:2\r\n\r\n"),
	ROW("length of 11 digits", BAD, POST H "Content-Length: 00000000002\r\n\r\n"),
	ROW("length +2", BAD, POST H "Content-Length: +2\r\n\r\n"),
	ROW("length -1", BAD, POST H "Content-Length: -1\r\n\r\n"),
	ROW("length 0x2", BAD, POST H "Content-Length: 0x2\r\n\r\n"),
	ROW("length 2, 2", BAD, POST H "Content-Length: 2, 2\r\n\r\n"),
	ROW("length 2 2", BAD, POST H "Content-Length: 2 2\r\n\r\n"),
	ROW("length empty", BAD, POST H "Content-Length:\r\n\r\n"),
	ROW("length blank", BAD, POST H "Content-Length: \t \r\n\r\n"),
	ROW("length of 23 digits", BAD,
	    POST H "Content-Length: 99999999999999999999999\r\n\r\n"),
	ROW("length 1e3", BAD, POST H "Content-Length: 1e3\r\n\r\n"),
	ROW("length 2.0", BAD, POST H "Content-Length: 2.0\r\n\r\n"),
	ROW("length 2;", BAD, POST H "Content-Length: 2;\r\n\r\n"),
	ROW("length in Arabic digits", BAD, POST H "Content-Length: \xd9\xa2\r\n\r\n"),
	ROW("two equal lengths", BAD,
	    POST H "Content-Length: 2\r\nContent-Length: 2\r\n\r\n"),
	ROW("two lengths", BAD, POST H "Content-Length: 2\r\ncontent-length: 3\r\n\r\n"),
	ROW("length and chunked", BAD,
	    POST H "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n"),
	ROW("chunked and length", BAD,
	    POST H "Transfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n"),
	ROW("length and unknown coding", BAD,
	    POST H "Transfer-Encoding: x\r\nContent-Length: 2\r\n\r\n"),
	/* Transfer-Encoding */
	ROW("chunked", DONE, POST H "Transfer-Encoding: chunked\r\n\r\n"),
	ROW("Chunked", DONE, POST H "Transfer-Encoding: Chunked\r\n\r\n"),
	ROW("gzip, chunked", BAD, POST H "Transfer-Encoding: gzip, chunked\r\n\r\n"),
	ROW("chunked, gzip", BAD, POST H "Transfer-Encoding: chunked, gzip\r\n\r\n"),
	ROW("chunked, chunked", BAD,
	    POST H "Transfer-Encoding: chunked, chunked\r\n\r\n"),
	ROW("chunked,", BAD, POST H "Transfer-Encoding: chunked,\r\n\r\n"),
	ROW("chunked;q=1", BAD, POST H "Transfer-Encoding: chunked;q=1\r\n\r\n"),
	ROW("\"chunked\"", BAD, POST H "Transfer-Encoding: \"chunked\"\r\n\r\n"),
	ROW("identity", BAD, POST H "Transfer-Encoding: identity\r\n\r\n"),
	ROW("xchunked", BAD, POST H "Transfer-Encoding: xchunked\r\n\r\n"),
	ROW("gzip", BAD, POST H "Transfer-Encoding: gzip\r\n\r\n"),
	ROW("empty coding", BAD, POST H "Transfer-Encoding:\r\n\r\n"),
	ROW("vertical tab before chunked", BAD,
	    POST H "Transfer-Encoding: \vchunked\r\n\r\n"),
	ROW("two codings", BAD,
	    POST H "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n"),
	ROW("chunked in 1.0", BAD,
	    "POST / HTTP/1.0\r\n" H "Transfer-Encoding: chunked\r\n\r\n"),
	/* Host */
	ROW("no Host", BAD, GET END),
	ROW("no Host among others", BAD, GET "X-Host: a\r\nHosts: b\r\n\r\n"),
	ROW("two Hosts", BAD, GET H "Host: b\r\n\r\n"),
	ROW("two equal Hosts", BAD, GET H H END),
	ROW("two Hosts in 1.0", BAD, "GET / HTTP/1.0\r\n" H H END),
	ROW("empty Host", DONE, GET "Host:\r\n\r\n"),
	ROW("Host with port", DONE, GET "Host: a.example:8080\r\n\r\n"),
	ROW("Host with empty port", DONE, GET "Host: a:\r\n\r\n"),
	ROW("Host [::1]:80", DONE, GET "Host: [::1]:80\r\n\r\n"),
	ROW("Host [::ffff:1.2.3.4]", DONE, GET "Host: [::ffff:1.2.3.4]\r\n\r\n"),
	ROW("Host with user", BAD, GET "Host: u@a\r\n\r\n"),
	ROW("Host with path", BAD, GET "Host: a/b\r\n\r\n"),
	ROW("Host with space", BAD, GET "Host: a b\r\n\r\n"),
	ROW("Host with bad port", BAD, GET "Host: a:8o\r\n\r\n"),
	ROW("Host with long port", BAD, GET "Host: a:123456\r\n\r\n"),
	ROW("Host with two ports", BAD, GET "Host: a:1:2\r\n\r\n"),
	ROW("Host :80", BAD, GET "Host: :80\r\n\r\n"),
	ROW("Host [::1", BAD, GET "Host: [::1\r\n\r\n"),
	ROW("Host []", BAD, GET "Host: []\r\n\r\n"),
	ROW("Host [::1]x", BAD, GET "Host: [::1]x\r\n\r\n"),
	ROW("Host in UTF-8", BAD, GET "Host: \xc3\xa4\r\n\r\n"),
	/* header lines */
	ROW("space before the colon", BAD, GET H "X-A : b\r\n\r\n"),
	ROW("tab before the colon", BAD, GET H "X-A\t: b\r\n\r\n"),
	ROW("length with a space before the colon", BAD,
	    POST H "Content-Length : 2\r\n\r\n"),
	ROW("space in a name", BAD, GET H "X A: b\r\n\r\n"),
	ROW("empty name", BAD, GET H ": b\r\n\r\n"),
	ROW("no colon", BAD, GET H "X-A\r\n\r\n"),
	ROW("name with a bracket", BAD, GET H "X[A]: b\r\n\r\n"),
	ROW("name with a quote", BAD, GET H "\"X\": b\r\n\r\n"),
	ROW("name in UTF-8", BAD, GET H "X-\xc3\xa4: b\r\n\r\n"),
	ROW("name with NUL", BAD, GET H "X\0A: b\r\n\r\n"),
	ROW("folded line", BAD, GET H "X-A: b\r\n c\r\n\r\n"),
	ROW("folded line with tab", BAD, GET H "X-A: b\r\n\tc: d\r\n\r\n"),
	ROW("blank before the first line", BAD, GET " " H END),
	ROW("line of blanks", BAD, GET H " \r\n\r\n"),
	ROW("empty value", DONE, GET H "X-A:\r\n\r\n"),
	ROW("value in UTF-8", DONE, GET H "X-A: \xc3\xa4\r\n\r\n"),
	ROW("value with tabs", DONE, GET H "X-A:\tb\tc\t\r\n\r\n"),
	ROW("NUL in a value", BAD, GET H "X-A: b\0c\r\n\r\n"),
	ROW("BEL in a value", BAD, GET H "X-A: b\ac\r\n\r\n"),
	ROW("DEL in a value", BAD, GET H "X-A: b\x7f\r\n\r\n"),
	ROW("escape in a value", BAD, GET H "X-A: \x1b[31m\r\n\r\n"),
	ROW("bare CR in a value", BAD, GET H "X-A: b\rc\r\n\r\n"),
	ROW("CR CR LF", BAD, GET H "X-A: b\r\r\n\r\n"),
	ROW("bare CR ends a line", BAD, GET H "X-A: b\rX-B: c\r\n\r\n"),
	ROW("bare LF in a value", BAD, GET H "X-A: b\nX-B: c\r\n\r\n"),
	ROW("bare LF everywhere", BAD, "GET / HTTP/1.1\nHost: a\n\n"),
	ROW("bare LF at the end", BAD, GET H "\n"),
	ROW("LF CR", BAD, "GET / HTTP/1.1\n\rHost: a\n\r\n\r"),
	ROW("CR without LF at the end", BAD, GET H "\r\r\n"),
	/* request line */
	ROW("no version", BAD, "GET /\r\n\r\n"),
	ROW("no target", BAD, "GET HTTP/1.1\r\n" H END),
	ROW("only a method", BAD, "GET\r\n\r\n"),
	ROW("two spaces", BAD, "GET  / HTTP/1.1\r\n" H END),
	ROW("two spaces before the version", BAD, "GET /  HTTP/1.1\r\n" H END),
	ROW("tab as separator", BAD, "GET\t/ HTTP/1.1\r\n" H END),
	ROW("space in front", BAD, " GET / HTTP/1.1\r\n" H END),
	ROW("space behind", BAD, "GET / HTTP/1.1 \r\n" H END),
	ROW("a fourth word", BAD, "GET / HTTP/1.1 x\r\n" H END),
	ROW("method with a slash", BAD, "GE/T / HTTP/1.1\r\n" H END),
	ROW("method in brackets", BAD, "[GET] / HTTP/1.1\r\n" H END),
	ROW("method in UTF-8", BAD, "G\xc3\x84T / HTTP/1.1\r\n" H END),
	ROW("NUL in the method", BAD, "G\0T / HTTP/1.1\r\n" H END),
	ROW("NUL in the target", BAD, "GET /a\0b HTTP/1.1\r\n" H END),
	ROW("DEL in the target", BAD, "GET /a\x7f HTTP/1.1\r\n" H END),
	ROW("UTF-8 in the target", BAD, "GET /\xc3\xa4 HTTP/1.1\r\n" H END),
	ROW("fragment", BAD, "GET /a#b HTTP/1.1\r\n" H END),
	ROW("quote in the target", BAD, "GET /\"a\" HTTP/1.1\r\n" H END),
	ROW("angle in the target", BAD, "GET /<a> HTTP/1.1\r\n" H END),
	ROW("odd but sent by browsers", DONE, "GET /a[0]|b?c={d}^`\\ HTTP/1.1\r\n" H END),
	ROW("HTTP/1.2", DONE, "GET / HTTP/1.2\r\n" H END),
	ROW("HTTP/2.0", VERSION, "GET / HTTP/2.0\r\n" H END),
	ROW("HTTP/0.9", VERSION, "GET / HTTP/0.9\r\n\r\n"),
	ROW("HTTP/3.0", VERSION, "GET / HTTP/3.0\r\n\r\n"),
	ROW("HTTP/2 preface", VERSION, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
	ROW("HTTP/1.10", BAD, "GET / HTTP/1.10\r\n" H END),
	ROW("HTTP/01.1", BAD, "GET / HTTP/01.1\r\n" H END),
	ROW("HTTP/1", BAD, "GET / HTTP/1\r\n" H END),
	ROW("HTTP/1.", BAD, "GET / HTTP/1.\r\n" H END),
	ROW("http/1.1", BAD, "GET / http/1.1\r\n" H END),
	ROW("HTTP/a.1", BAD, "GET / HTTP/a.1\r\n" H END),
	ROW("HTTPS/1.1", BAD, "GET / HTTPS/1.1\r\n" H END),
	ROW("ICY/1.1", BAD, "GET / ICY//1.1\r\n" H END),
	ROW("TLS hello", BAD, "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"),
	/* target forms */
	ROW("absolute form", DONE, "GET http://b/c HTTP/1.1\r\n" H END),
	ROW("absolute form with port", DONE, "GET HTTP://b:80/c?d HTTP/1.1\r\n" H END),
	ROW("absolute form without path", DONE, "GET https://b HTTP/1.1\r\n" H END),
	ROW("absolute form without Host", BAD, "GET http://b/ HTTP/1.1\r\n\r\n"),
	ROW("absolute form without host", BAD, "GET http:///c HTTP/1.1\r\n" H END),
	ROW("absolute form with user", BAD, "GET http://u:p@b/ HTTP/1.1\r\n" H END),
	ROW("absolute form with bad port", BAD, "GET http://b:x/ HTTP/1.1\r\n" H END),
	ROW("another scheme", BAD, "GET ftp://b/c HTTP/1.1\r\n" H END),
	ROW("path without slash", BAD, "GET c HTTP/1.1\r\n" H END),
	ROW("query only", BAD, "GET ?a HTTP/1.1\r\n" H END),
	ROW("OPTIONS *", DONE, "OPTIONS * HTTP/1.1\r\n" H END),
	ROW("GET *", BAD, "GET * HTTP/1.1\r\n" H END),
	ROW("OPTIONS **", BAD, "OPTIONS ** HTTP/1.1\r\n" H END),
	ROW("CONNECT", DONE, "CONNECT b:443 HTTP/1.1\r\n" H END),
	ROW("CONNECT without port", BAD, "CONNECT b HTTP/1.1\r\n" H END),
	ROW("CONNECT with a path", BAD, "CONNECT /b HTTP/1.1\r\n" H END),
	ROW("authority with GET", BAD, "GET b:443 HTTP/1.1\r\n" H END),
	/* empty lines in front */
	ROW("one empty line", DONE, "\r\n" GET H END),
	ROW("four empty lines", DONE, "\r\n\r\n\r\n\r\n" GET H END),
	ROW("five empty lines", BAD, "\r\n\r\n\r\n\r\n\r\n" GET H END),
	ROW("LF in front", BAD, "\n" GET H END),
	ROW("CR in front", BAD, "\r" GET H END),
	ROW("only an empty line", MORE, "\r\n"),
#undef ROW
};

Test(http1, words_of_a_list)
{
	cr_expect(zk_http1_list_has(ZK_STR("keep-alive, Upgrade"), ZK_STR("upgrade")));
	cr_expect(zk_http1_list_has(ZK_STR("upgrade"), ZK_STR("Upgrade")));
	cr_expect_not(zk_http1_list_has(ZK_STR("upgraded, no"), ZK_STR("upgrade")));
	cr_expect_not(zk_http1_list_has(ZK_STR_NULL, ZK_STR("upgrade")));
}

Test(http1, verdicts)
{
	for (size_t i = 0; i < ZK_ARRAY_LEN(verdicts); i++) {
		char *keep;
		struct outcome o =
		        feed_all(verdicts[i].text, &defaults, verdicts[i].name, &keep);

		cr_expect_eq(o.r, verdicts[i].r, "%s: %d instead of %d", verdicts[i].name,
		             o.r, verdicts[i].r);
		if (o.r == ZK_HTTP1_DONE)
			cr_expect_eq(o.used, verdicts[i].text.n, "%s: used %zu",
			             verdicts[i].name, o.used);
		free(keep);
	}
}

/* Every byte value at a place of a head; `ok` says which are accepted. */
static void every_byte(const char *before, const char *after, bool (*ok)(int c),
                       const char *name)
{
	for (int c = 0; c < 256; c++) {
		char text[256];
		size_t n = strlen(before);
		char *keep;

		memcpy(text, before, n);
		text[n] = (char)c;
		memcpy(text + n + 1, after, strlen(after));
		n += 1 + strlen(after);

		struct outcome o = feed_all(zk_str_n(text, n), &defaults, name, &keep);
		cr_expect_eq(o.r, ok(c) ? ZK_HTTP1_DONE : ZK_HTTP1_BAD,
		             "%s: byte %02x: %d", name, c, o.r);
		free(keep);
	}
}

static bool in_token(int c)
{
	return c && (strchr("!#$%&'*+-.^_`|~", c) || (c >= '0' && c <= '9') ||
	             (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z'));
}

static bool in_name(int c)
{
	return in_token(c) || c == ':'; /* the name ends there */
}

static bool in_value(int c)
{
	return c == '\t' || (c >= ' ' && c != 0x7f);
}

static bool in_target(int c)
{
	return c > ' ' && c < 0x7f && !strchr("\"#<>", c);
}

Test(http1, every_byte_value)
{
	every_byte("G", "T /long/enough/for/vectors HTTP/1.1\r\nHost: a\r\n\r\n",
	           in_token, "method");
	every_byte("GET /a", "bcdefghijklmnopqrstuvwxyz HTTP/1.1\r\nHost: a\r\n\r\n",
	           in_target, "target");
	every_byte("GET / HTTP/1.1\r\nHost: a\r\nX", "Y: c\r\n\r\n", in_name, "name");
	every_byte("GET / HTTP/1.1\r\nHost: a\r\nX: 0123456789",
	           "0123456789abcdef\r\n\r\n", in_value, "value");
}

static struct outcome parse(zk_str text, const struct zk_http1_limits *limits)
{
	char *keep;
	struct outcome o = feed_all(text, limits, "head", &keep);

	free(keep); /* only flags and numbers of the outcome are used */
	return o;
}

Test(http1, slices)
{
	zk_str text = ZK_STR("\r\nPOST /a/b?c=d HTTP/1.1\r\nHOST:\t a.example:80 \t\r\n"
	                     "X-Empty:\r\nX-Two: b  c \r\nx-two: "
	                     "second\r\nContent-Length:7\r\n\r\n{}");
	struct zk_http1 p;
	struct zk_http1_head h;
	size_t used = 0;

	zk_http1_init(&p, &defaults);
	cr_assert_eq(zk_http1_parse(&p, text, &h, &used), ZK_HTTP1_DONE);
	cr_expect_eq(used, text.n - 2);
	cr_expect(zk_str_eq(h.method, ZK_STR("POST")));
	cr_expect(zk_str_eq(h.target, ZK_STR("/a/b?c=d")));
	cr_expect(zk_str_eq(h.authority, ZK_STR("a.example:80")));
	cr_expect_eq(h.n_headers, 5);
	cr_expect_eq(h.length, 7);
	cr_expect(h.has_length && !h.chunked && h.keep_alive && h.minor == 1);
	cr_expect(zk_str_eq(zk_http1_header(&h, ZK_STR("host")), ZK_STR("a.example:80")));
	cr_expect(zk_str_eq(zk_http1_header(&h, ZK_STR("X-TWO")), ZK_STR("b  c")));
	cr_expect(zk_http1_header(&h, ZK_STR("x-empty")).p != NULL);
	cr_expect_eq(zk_http1_header(&h, ZK_STR("x-empty")).n, 0);
	cr_expect_null(zk_http1_header(&h, ZK_STR("x-none")).p);
	cr_expect_null(zk_http1_header(&h, ZK_STR("x-tw")).p);
}

Test(http1, absolute_form_overrules_host)
{
	static const struct {
		zk_str line, target, authority;
	} cases[] = {
		{ ZK_STR_INIT("GET http://b.example:81/c?d HTTP/1.1\r\nHost: a\r\n\r\n"),
		  ZK_STR_INIT("/c?d"), ZK_STR_INIT("b.example:81") },
		{ ZK_STR_INIT("GET https://b HTTP/1.1\r\nHost: a\r\n\r\n"),
		  ZK_STR_INIT(""), ZK_STR_INIT("b") },
		{ ZK_STR_INIT("GET http://[::1]?d HTTP/1.1\r\nHost: a\r\n\r\n"),
		  ZK_STR_INIT("?d"), ZK_STR_INIT("[::1]") },
		{ ZK_STR_INIT("CONNECT b:443 HTTP/1.1\r\nHost: a\r\n\r\n"),
		  ZK_STR_INIT("b:443"), ZK_STR_INIT("b:443") },
		{ ZK_STR_INIT("GET /x HTTP/1.0\r\n\r\n"), ZK_STR_INIT("/x"),
		  ZK_STR_INIT("") },
	};

	for (size_t i = 0; i < ZK_ARRAY_LEN(cases); i++) {
		struct zk_http1 p;
		struct zk_http1_head h;
		size_t used;

		zk_http1_init(&p, &defaults);
		cr_assert_eq(zk_http1_parse(&p, cases[i].line, &h, &used), ZK_HTTP1_DONE,
		             "%zu", i);
		cr_expect(zk_str_eq(h.target, cases[i].target), "%zu", i);
		cr_expect(zk_str_eq(h.authority, cases[i].authority), "%zu", i);
	}
}

Test(http1, connection_expect_upgrade)
{
	static const struct {
		zk_str text;
		bool keep_alive, expect, upgrade;
	} cases[] = {
		{ ZK_STR_INIT(GET H END), true, false, false },
		{ ZK_STR_INIT(GET H "Connection: close\r\n\r\n"), false, false, false },
		{ ZK_STR_INIT(GET H "Connection: x , CLOSE\r\n\r\n"), false, false,
		  false },
		{ ZK_STR_INIT(GET H "Connection: x\r\nConnection: close\r\n\r\n"), false,
		  false, false },
		{ ZK_STR_INIT(GET H "Connection: keep-alive, close\r\n\r\n"), false,
		  false, false },
		{ ZK_STR_INIT(GET H "Connection: closed,, ,\r\n\r\n"), true, false,
		  false },
		{ ZK_STR_INIT("GET / HTTP/1.0\r\n\r\n"), false, false, false },
		{ ZK_STR_INIT("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n"), true,
		  false, false },
		{ ZK_STR_INIT(POST H "Expect: 100-Continue\r\n\r\n"), true, true, false },
		{ ZK_STR_INIT(POST H "Expect: 200-ok\r\n\r\n"), true, false, false },
		{ ZK_STR_INIT("POST / HTTP/1.0\r\nExpect: 100-continue\r\n\r\n"), false,
		  false, false },
		{ ZK_STR_INIT(GET H "Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n"),
		  true, false, true },
		{ ZK_STR_INIT(GET H "Connection: Upgrade\r\n\r\n"), true, false, false },
		{ ZK_STR_INIT(GET H "Upgrade: websocket\r\n\r\n"), true, false, false },
		{ ZK_STR_INIT(GET H "Upgrade: websocket\r\nConnection: keep-alive, "
		                    "upgrade\r\n\r\n"),
		  true, false, true },
	};

	for (size_t i = 0; i < ZK_ARRAY_LEN(cases); i++) {
		struct outcome o = parse(cases[i].text, &defaults);

		cr_assert_eq(o.r, ZK_HTTP1_DONE, "%zu", i);
		cr_expect_eq(o.head.keep_alive, cases[i].keep_alive, "%zu", i);
		cr_expect_eq(o.head.expect_continue, cases[i].expect, "%zu", i);
		cr_expect_eq(o.head.upgrade, cases[i].upgrade, "%zu", i);
	}
}

/* A head of exactly `n` bytes. */
static zk_str head_of(size_t n, char **keep)
{
	static const char front[] = GET H "X: ";
	char *p = malloc(n);

	memset(p, 'y', n);
	memcpy(p, front, sizeof(front) - 1);
	memcpy(p + n - 4, "\r\n\r\n", 4);
	*keep = p;
	return zk_str_n(p, n);
}

Test(http1, limit_of_the_head)
{
	static const struct zk_http1_limits small = { 200, 100, 3 };
	char *keep;

	cr_expect_eq(parse(head_of(200, &keep), &small).r, ZK_HTTP1_DONE);
	free(keep);
	cr_expect_eq(parse(head_of(201, &keep), &small).r, ZK_HTTP1_TOO_LONG);
	free(keep);
	cr_expect_eq(parse(head_of(5000, &keep), &small).r, ZK_HTTP1_TOO_LONG);
	free(keep);
	cr_expect_eq(parse(head_of(16384, &keep), &defaults).r, ZK_HTTP1_DONE);
	free(keep);
	cr_expect_eq(parse(head_of(16385, &keep), &defaults).r, ZK_HTTP1_TOO_LONG);
	free(keep);
}

Test(http1, limit_decides_before_what_stands_behind_it)
{
	static const struct zk_http1_limits small = { 64, 40, 3 };
	char text[300];

	/* A control character behind the limit is not seen. */
	memset(text, 'A', sizeof(text));
	text[200] = '\n';
	cr_expect_eq(parse(zk_str_n(text, sizeof(text)), &small).r, ZK_HTTP1_TOO_LONG);
	text[63] = '\n';
	cr_expect_eq(parse(zk_str_n(text, sizeof(text)), &small).r, ZK_HTTP1_BAD);
	text[63] = '\r';
	cr_expect_eq(parse(zk_str_n(text, sizeof(text)), &small).r, ZK_HTTP1_TOO_LONG);
}

Test(http1, limit_of_the_target)
{
	static const struct zk_http1_limits small = { 2000, 50, 3 };
	static const struct {
		size_t n;
		enum zk_http1_result r;
	} cases[] = { { 50, ZK_HTTP1_DONE },
		      { 51, ZK_HTTP1_URI_LONG },
		      { 900, ZK_HTTP1_URI_LONG } };

	for (size_t i = 0; i < ZK_ARRAY_LEN(cases); i++) {
		char text[1100] = "GET /";
		size_t n = 5;

		memset(text + n, 'x', cases[i].n - 1);
		n += cases[i].n - 1;
		memcpy(text + n, " HTTP/1.1\r\nHost: a\r\n\r\n", 22);
		cr_expect_eq(parse(zk_str_n(text, n + 22), &small).r, cases[i].r, "%zu",
		             i);
		/* Incomplete, it is too long as soon as it is. */
		cr_expect_eq(parse(zk_str_n(text, n), &small).r,
		             cases[i].r == ZK_HTTP1_DONE ? ZK_HTTP1_MORE : cases[i].r,
		             "%zu", i);
	}
}

Test(http1, limit_of_the_lines)
{
	char text[16384] = GET H;
	size_t n = strlen(text);
	struct zk_http1_limits limits = { 16384, 100, 7 };

	for (unsigned i = 1; i < 7; i++) {
		memcpy(text + n, "X: y\r\n", 6);
		n += 6;
	}
	memcpy(text + n, "\r\n", 2);
	cr_expect_eq(parse(zk_str_n(text, n + 2), &limits).r, ZK_HTTP1_DONE);
	memcpy(text + n, "X: y\r\n\r\n", 8);
	cr_expect_eq(parse(zk_str_n(text, n + 8), &limits).r, ZK_HTTP1_TOO_LONG);

	/* However many the caller allows, there is room for 256. */
	limits.max_lines = 100000;
	for (unsigned i = 7; i < 256; i++) {
		memcpy(text + n, "X: y\r\n", 6);
		n += 6;
	}
	memcpy(text + n, "\r\n", 2);
	cr_expect_eq(parse(zk_str_n(text, n + 2), &limits).r, ZK_HTTP1_DONE);
	memcpy(text + n, "X: y\r\n\r\n", 8);
	cr_expect_eq(parse(zk_str_n(text, n + 8), &limits).r, ZK_HTTP1_TOO_LONG);
}

/* ------------------------------------------------------------------ chunks */

struct body {
	enum zk_http1_result r;
	size_t used, n;
	char data[512];
};

/* Feeds the body in pieces of at most `step` bytes, each in a buffer of its own. */
static struct body decode(zk_str text, size_t step)
{
	struct body b = { .r = ZK_HTTP1_MORE };
	struct zk_http1_chunks c;

	zk_http1_chunks_init(&c);
	for (size_t at = 0; at < text.n && b.r == ZK_HTTP1_MORE; at += step) {
		size_t n = ZK_MIN(step, text.n - at);
		char *piece = malloc(n);
		zk_str in = zk_str_n(memcpy(piece, text.p + at, n), n);

		while (in.n && b.r == ZK_HTTP1_MORE) {
			zk_str data;
			size_t used;

			b.r = zk_http1_chunks_next(&c, in, &data, &used);
			cr_assert(used <= in.n && used > 0);
			if (data.n)
				memcpy(b.data + b.n, data.p, data.n);
			b.n += data.n;
			b.used += used;
			in = zk_str_from(in, used);
		}
		free(piece);
	}
	return b;
}

static const struct {
	const char *name;
	zk_str text;
	enum zk_http1_result r;
	zk_str data;
	size_t left; /* bytes behind the body */
} chunk_cases[] = {
#define ROW(name, r, data, left, ...)                                      \
	{                                                                  \
		name, ZK_STR_INIT(__VA_ARGS__), (enum zk_http1_result)(r), \
		        ZK_STR_INIT(data), left                            \
	}
	ROW("empty", DONE, "", 0, "0\r\n\r\n"),
	ROW("one", DONE, "abc", 0, "3\r\nabc\r\n0\r\n\r\n"),
	ROW("two", DONE, "abcde", 0, "3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"),
	ROW("hexadecimal", DONE, "0123456789abcdef", 0,
	    "0000010\r\n0123456789abcdef\r\n000\r\n\r\n"),
	ROW("upper and lower case", DONE, "0123456789abcdefghij0123456", 0,
	    "A\r\n0123456789\r\na\r\nabcdefghij\r\n7\r\n0123456\r\n0\r\n\r\n"),
	ROW("the next request behind", DONE, "abc", 3, "3\r\nabc\r\n0\r\n\r\nGET"),
	ROW("extension", DONE, "abc", 0, "3;a=b;c=\"d e\"\r\nabc\r\n0;x\r\n\r\n"),
	ROW("trailer", DONE, "abc", 0, "3\r\nabc\r\n0\r\nX-A: b\r\nY:\r\n\r\n"),
	ROW("data with CRLF", DONE, "\r\n\r\n", 0, "4\r\n\r\n\r\n\r\n0\r\n\r\n"),
	ROW("incomplete size", MORE, "", 0, "3"),
	ROW("incomplete data", MORE, "ab", 0, "3\r\nab"),
	ROW("incomplete end", MORE, "abc", 0, "3\r\nabc\r\n0\r\n"),
	ROW("size of 8 digits", MORE, "a", 0, "ffffffff\r\na"),
	ROW("size of 9 digits", BAD, "", 0, "000000003\r\nabc\r\n0\r\n\r\n"),
	ROW("no size", BAD, "", 0, "\r\nabc\r\n0\r\n\r\n"),
	ROW("sign", BAD, "", 0, "+3\r\nabc\r\n0\r\n\r\n"),
	ROW("minus", BAD, "", 0, "-3\r\nabc\r\n0\r\n\r\n"),
	ROW("0x", BAD, "", 0, "0x3\r\nabc\r\n0\r\n\r\n"),
	ROW("space in front", BAD, "", 0, " 3\r\nabc\r\n0\r\n\r\n"),
	ROW("space behind", BAD, "", 0, "3 \r\nabc\r\n0\r\n\r\n"),
	ROW("space before the extension", BAD, "", 0, "3 ;a\r\nabc\r\n0\r\n\r\n"),
	ROW("not a digit", BAD, "", 0, "g\r\nabc\r\n0\r\n\r\n"),
	ROW("comma", BAD, "", 0, "3,3\r\nabc\r\n0\r\n\r\n"),
	ROW("bare LF behind the size", BAD, "", 0, "3\nabc\r\n0\r\n\r\n"),
	ROW("bare LF in the extension", BAD, "", 0, "3;a\nabc\r\n0\r\n\r\n"),
	ROW("bare CR in the extension", BAD, "", 0, "3;a\rb\r\nabc\r\n0\r\n\r\n"),
	ROW("NUL in the extension", BAD, "", 0, "3;a\0\r\nabc\r\n0\r\n\r\n"),
	ROW("CR CR LF", BAD, "", 0, "3\r\r\nabc\r\n0\r\n\r\n"),
	ROW("bare LF behind the data", BAD, "abc", 0, "3\r\nabc\n0\r\n\r\n"),
	ROW("data too long", BAD, "abc", 0, "3\r\nabcd\r\n0\r\n\r\n"),
	ROW("data too short", BAD, "ab\r", 0, "3\r\nab\r\n0\r\n\r\n"),
	ROW("bare LF at the end", BAD, "abc", 0, "3\r\nabc\r\n0\r\n\n"),
	ROW("bare LF behind the last size", BAD, "", 0, "0\n\r\n"),
	ROW("trailer without colon", BAD, "", 0, "0\r\nX\r\n\r\n"),
	ROW("trailer without name", BAD, "", 0, "0\r\n: x\r\n\r\n"),
	ROW("trailer with a space in the name", BAD, "", 0, "0\r\nX : x\r\n\r\n"),
	ROW("folded trailer", BAD, "", 0, "0\r\nX: x\r\n y\r\n\r\n"),
	ROW("control character in the trailer", BAD, "", 0, "0\r\nX: \x01\r\n\r\n"),
	ROW("bare LF in the trailer", BAD, "", 0, "0\r\nX: x\n\r\n"),
#undef ROW
};

Test(http1, chunks)
{
	for (size_t i = 0; i < ZK_ARRAY_LEN(chunk_cases); i++) {
		const char *name = chunk_cases[i].name;
		zk_str text = chunk_cases[i].text;

		for (size_t step = 1; step <= text.n; step++) {
			struct body b = decode(text, step);

			cr_expect_eq(b.r, chunk_cases[i].r, "%s: step %zu: %d", name,
			             step, b.r);
			cr_expect(zk_str_eq(zk_str_n(b.data, b.n), chunk_cases[i].data),
			          "%s: step %zu: '%.*s'", name, step, (int)b.n, b.data);
			if (b.r == ZK_HTTP1_DONE)
				cr_expect_eq(b.used, text.n - chunk_cases[i].left,
				             "%s: step %zu", name, step);
		}
	}
}

/* `n` bytes of filling between two texts. */
static zk_str filled(const char *before, size_t n, const char *after, char **keep)
{
	size_t a = strlen(before), z = strlen(after);
	char *p = malloc(a + n + z);

	memcpy(p, before, a);
	memset(p + a, 'x', n);
	memcpy(p + a + n, after, z);
	*keep = p;
	return zk_str_n(p, a + n + z);
}

Test(http1, chunk_extensions_and_trailers_are_bounded)
{
	static const struct {
		const char *before, *after;
		size_t n;
		enum zk_http1_result r;
	} cases[] = {
		{ "0;", "\r\n\r\n", 8192, ZK_HTTP1_DONE },
		{ "0;", "\r\n\r\n", 8193, ZK_HTTP1_TOO_LONG },
		/* all chunks together */
		{ "1;yyyy\r\nz\r\n0;", "\r\n\r\n", 8188, ZK_HTTP1_DONE },
		{ "1;yyyy\r\nz\r\n0;", "\r\n\r\n", 8189, ZK_HTTP1_TOO_LONG },
		{ "0\r\nX:", "\r\n\r\n", 8190, ZK_HTTP1_DONE },
		{ "0\r\nX:", "\r\n\r\n", 8191, ZK_HTTP1_TOO_LONG },
		{ "0\r\nX", ":\r\n\r\n", 8190, ZK_HTTP1_DONE },
		{ "0\r\nX", ":\r\n\r\n", 8191, ZK_HTTP1_TOO_LONG },
	};

	for (size_t i = 0; i < ZK_ARRAY_LEN(cases); i++) {
		char *keep;
		zk_str text = filled(cases[i].before, cases[i].n, cases[i].after, &keep);

		cr_expect_eq(decode(text, text.n).r, cases[i].r, "%zu", i);
		cr_expect_eq(decode(text, 1).r, cases[i].r, "%zu", i);
		cr_expect_eq(decode(text, 1000).r, cases[i].r, "%zu", i);
		free(keep);
	}
}

Test(http1, chunks_after_the_end_and_after_an_error)
{
	struct zk_http1_chunks c;
	zk_str data;
	size_t used;

	zk_http1_chunks_init(&c);
	cr_expect_eq(zk_http1_chunks_next(&c, ZK_STR("0\r\n\r\nx"), &data, &used),
	             ZK_HTTP1_DONE);
	cr_expect_eq(used, 5);
	cr_expect_eq(zk_http1_chunks_next(&c, ZK_STR("x"), &data, &used), ZK_HTTP1_BAD);
}
