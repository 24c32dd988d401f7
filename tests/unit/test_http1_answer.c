/* Heads of answers: RFC 9112 §2.2, §5, §6.3, §9.3.
 * Layer: tests. */
#include "net/http1.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"

#include "base/ban.h"

#define OK   "HTTP/1.1 200 OK\r\n"
#define LEN  "Content-Length: 5\r\n"
#define CODE "Transfer-Encoding: chunked\r\n"
#define END  "\r\n"

/* How the body ends. */
enum framing { TO_THE_END, LENGTH, CHUNKED, REFUSED };

static const struct {
	const char *head;
	enum framing framing;
	int status;
	bool keep_alive;
	uint64_t length;
} cases[] = {
	{ OK LEN END, LENGTH, 200, true, 5 },
	{ OK CODE END, CHUNKED, 200, true, 0 },
	{ OK END, TO_THE_END, 200, true, 0 },
	{ "HTTP/1.1 200\r\n" LEN END, LENGTH, 200, true, 5 },
	{ "HTTP/1.1 200 \r\n" LEN END, LENGTH, 200, true, 5 },
	{ "HTTP/1.2 299 x\r\n" LEN END, LENGTH, 299, true, 5 },
	{ "HTTP/1.0 200 OK\r\n" LEN END, LENGTH, 200, false, 5 },
	{ "HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\n" LEN END, LENGTH, 200, true, 5 },
	{ "HTTP/1.1 200 OK\nContent-Length: 5\n\n", LENGTH, 200, true, 5 },
	{ OK "cOnTeNt-LeNgTh:\t 5 \r\n" END, LENGTH, 200, true, 5 },
	{ OK LEN "Connection: x, close\r\n" END, LENGTH, 200, false, 5 },
	{ OK "Connection: close\r\nConnection: keep-alive\r\n" LEN END, LENGTH, 200,
	  false, 5 },
	{ OK LEN LEN END, LENGTH, 200, true, 5 },
	{ OK "Content-Length: 5, 5\r\n" END, LENGTH, 200, true, 5 },
	{ OK "Content-Length: 5,\r\n 5\r\n" END, LENGTH, 200, true, 5 },
	{ OK "Content-Length:\r\n\t5\r\n" END, LENGTH, 200, true, 5 },
	{ OK "Transfer-Encoding: identity\r\n" LEN END, LENGTH, 200, true, 5 },
	{ OK "Transfer-Encoding: , ChunkeD\r\n" END, CHUNKED, 200, true, 0 },
	/* Two readers could disagree: believed, but nothing comes after it. */
	{ OK LEN CODE END, CHUNKED, 200, false, 0 },
	{ "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n" CODE END, CHUNKED, 200, false,
	  0 },
	/* Or they would disagree about what follows: refused. */
	{ OK LEN "Content-Length: 6\r\n" END, REFUSED, 0, false, 0 },
	{ OK "Content-Length: 5, 6\r\n" END, REFUSED, 0, false, 0 },
	{ OK "Content-Length: 5,\r\n" END, REFUSED, 0, false, 0 },
	{ OK "Content-Length: -5\r\n" END, REFUSED, 0, false, 0 },
	{ OK "Content-Length: +5\r\n" END, REFUSED, 0, false, 0 },
	{ OK "Content-Length: 0x5\r\n" END, REFUSED, 0, false, 0 },
	{ OK "Content-Length: 5 5\r\n" END, REFUSED, 0, false, 0 },
	{ OK "Content-Length:\r\n" END, REFUSED, 0, false, 0 },
	{ OK "Content-Length: 99999999999999999999\r\n" END, REFUSED, 0, false, 0 },
	{ OK "Content-Length : 5\r\n" END, REFUSED, 0, false, 0 },
	{ OK CODE CODE END, REFUSED, 0, false, 0 },
	{ OK "Transfer-Encoding: chunked, chunked\r\n" END, REFUSED, 0, false, 0 },
	{ OK "Transfer-Encoding: gzip, chunked\r\n" END, REFUSED, 0, false, 0 },
	{ OK "Transfer-Encoding: xchunked\r\n" END, REFUSED, 0, false, 0 },
	{ OK " folded: 1\r\n" LEN END, LENGTH, 200, true, 5 },
	{ OK "no colon\r\n" END, REFUSED, 0, false, 0 },
	{ OK ": no name\r\n" END, REFUSED, 0, false, 0 },
	{ OK "X: a\rb\r\n" END, REFUSED, 0, false, 0 },
	{ "HTTP/1.1 099 OK\r\n" END, REFUSED, 0, false, 0 },
	{ "HTTP/1.1 20 OK\r\n" END, REFUSED, 0, false, 0 },
	{ "HTTP/1.1 2000\r\n" END, REFUSED, 0, false, 0 },
	{ "HTTP/1.1  200\r\n" END, REFUSED, 0, false, 0 },
	{ "HTTP/1.x 200 OK\r\n" END, REFUSED, 0, false, 0 },
};

static enum framing read(const char *text, struct zk_http1_answer *a)
{
	size_t n = strlen(text), seen = 0, used = 0;
	char *copy = zk_strdup(text);
	enum zk_http1_result r;

	cr_assert_eq(zk_http1_answer_find(zk_str_n(text, n), &seen, &used), ZK_HTTP1_DONE,
	             "%s", text);
	cr_expect_eq(used, n, "%s", text);
	r = zk_http1_answer_read(copy, n, a);
	free(copy);
	if (r == ZK_HTTP1_BAD) {
		cr_expect(a->reason != NULL);
		return REFUSED;
	}
	cr_expect_eq(r, ZK_HTTP1_DONE);
	if (a->chunked)
		return CHUNKED;
	return a->has_length ? LENGTH : TO_THE_END;
}

Test(http1_answer, framing)
{
	for (size_t i = 0; i < ZK_ARRAY_LEN(cases); i++) {
		struct zk_http1_answer a;
		enum framing f = read(cases[i].head, &a);

		cr_assert_eq(f, cases[i].framing, "case %zu: %d\n%s", i, f,
		             cases[i].head);
		if (f == REFUSED)
			continue;
		cr_expect_eq(a.status, cases[i].status, "case %zu", i);
		cr_expect_eq(a.keep_alive, cases[i].keep_alive, "case %zu", i);
		cr_expect_eq(a.length, cases[i].length, "case %zu", i);
	}
}

Test(http1_answer, a_byte_at_a_time)
{
	for (size_t i = 0; i < ZK_ARRAY_LEN(cases); i++) {
		size_t n = strlen(cases[i].head), seen = 0, used;
		enum zk_http1_result r = ZK_HTTP1_MORE;

		for (size_t at = 0; at <= n; at++) {
			/* A buffer of exactly its size: a look behind it is seen. */
			char *part = zk_alloc(at + !at);

			memcpy(part, cases[i].head, at);
			r = zk_http1_answer_find(zk_str_n(part, at), &seen, &used);
			free(part);
			cr_assert_eq(r, at == n ? ZK_HTTP1_DONE : ZK_HTTP1_MORE,
			             "case %zu at %zu", i, at);
		}
		cr_expect_eq(used, n, "case %zu", i);
	}
}

Test(http1_answer, what_is_no_http_is_known_at_once)
{
	static const zk_str texts[] = {
		ZK_STR_INIT("\x15\x03"), ZK_STR_INIT("HTTP/2 200\r\n\r\n"),
		ZK_STR_INIT("HTTP/9"),   ZK_STR_INIT("\r\nHTTP/1.1 200 OK"),
		ZK_STR_INIT("<"),        ZK_STR_INIT("http/1.1"),
	};

	for (size_t i = 0; i < ZK_ARRAY_LEN(texts); i++) {
		size_t seen = 0, used;

		cr_expect_eq(zk_http1_answer_find(texts[i], &seen, &used), ZK_HTTP1_BAD,
		             "%zu", i);
	}
}

Test(http1_answer, nul_and_many_lines)
{
	char nul[] = OK "X: a\0b\r\n" END;
	struct zk_http1_answer a;
	struct zk_buf b;

	cr_expect_eq(zk_http1_answer_read(nul, sizeof(nul) - 1, &a), ZK_HTTP1_BAD);
	zk_buf_init(&b, 65536);
	zk_buf_lit(&b, OK);
	for (unsigned i = 0; i < 1000; i++)
		zk_buf_lit(&b, "X: y\r\n");
	cr_expect_eq(zk_http1_answer_read(b.p, b.n, &a), ZK_HTTP1_DONE);
	zk_buf_lit(&b, "X: y\r\n");
	cr_expect_eq(zk_http1_answer_read(b.p, b.n, &a), ZK_HTTP1_BAD);
	zk_buf_done(&b);
}
