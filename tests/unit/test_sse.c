/* The decoder of server-sent events, at every chunking (WHATWG HTML §9.2.6).
 * Layer: tests. */
#include "net/sse.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "base/ban.h"

/* Each event is written as "id|event|data;", and "!" at the end says too long. */
static const struct {
	zk_str in;
	const char *out;
	int64_t retry_ms;
	unsigned comments;
} cases[] = {
	{ ZK_STR_INIT(""), "", -1, 0 },
	{ ZK_STR_INIT("data: a\n\n"), "||a;", -1, 0 },
	{ ZK_STR_INIT("data: a\r\n\r\n"), "||a;", -1, 0 },
	{ ZK_STR_INIT("data: a\r\r"), "||a;", -1, 0 },
	{ ZK_STR_INIT("data: a\r\n\r"), "||a;", -1, 0 },
	{ ZK_STR_INIT("data: a\r\n\ndata: b\r\r\n"), "||a;||b;", -1, 0 },
	{ ZK_STR_INIT("data: a\n"), "", -1, 0 },
	{ ZK_STR_INIT("data: a"), "", -1, 0 },
	{ ZK_STR_INIT("data: a\n\ndata: b"), "||a;", -1, 0 },
	{ ZK_STR_INIT("data: a\ndata: b\ndata: c\n\n"), "||a\nb\nc;", -1, 0 },
	{ ZK_STR_INIT("data:a\ndata:  b\ndata:\n\n"), "||a\n b\n;", -1, 0 },
	{ ZK_STR_INIT("data\n\n"), "||;", -1, 0 },
	{ ZK_STR_INIT("data\ndata\n\n"), "||\n;", -1, 0 },
	{ ZK_STR_INIT("id: 7\nevent: user.created\ndata: {\"a\":1}\n\n"),
	  "7|user.created|{\"a\":1};", -1, 0 },
	/* the id stays, the type does not */
	{ ZK_STR_INIT("id: 7\nevent: x\ndata: a\n\ndata: b\n\n"), "7|x|a;7||b;", -1, 0 },
	{ ZK_STR_INIT("id: 7\ndata: a\n\nid\ndata: b\n\n"), "7||a;||b;", -1, 0 },
	/* no data, no event; its id counts all the same, its type is forgotten */
	{ ZK_STR_INIT("id: 8\nevent: x\n\ndata: a\n\n"), "8||a;", -1, 0 },
	{ ZK_STR_INIT("id: 1\nid: 2\ndata: a\n\n"), "2||a;", -1, 0 },
	{ ZK_STR_INIT("id: a\0b\ndata: a\n\n"), "||a;", -1, 0 },
	{ ZK_STR_INIT(": hello\n\n:\n:: x\ndata: a\n\n"), "||a;", -1, 3 },
	{ ZK_STR_INIT("retry: 2500\n\n"), "", 2500, 0 },
	{ ZK_STR_INIT("retry: 10\nretry: 1x\nretry:\nretry: -1\nretry: +1\nretry: 1.5\n"),
	  "", 10, 0 },
	{ ZK_STR_INIT("retry: 99999999999999999999\n"), "", -1, 0 },
	{ ZK_STR_INIT("dat: x\nDATA: x\n data: x\nfoo\nx:y:z\n\n"), "", -1, 0 },
	{ ZK_STR_INIT("data: a: b\n\n"), "||a: b;", -1, 0 },
	{ ZK_STR_INIT("data:\ta\n\n"), "||\ta;", -1, 0 },
	{ ZK_STR_INIT("\xEF\xBB\xBF"
	              "data: a\n\n"),
	  "||a;", -1, 0 },
	/* a second mark is part of a field name */
	{ ZK_STR_INIT("\xEF\xBB\xBF\xEF\xBB\xBF"
	              "data: a\n\n"),
	  "", -1, 0 },
	{ ZK_STR_INIT("\xEF\xBB"
	              "data: a\n\n"),
	  "", -1, 0 },
	{ ZK_STR_INIT("\xEF"
	              "\ndata: a\n\n"),
	  "||a;", -1, 0 },
	{ ZK_STR_INIT("\xEF\xBB\xBF\n\ndata: a\n\n"), "||a;", -1, 0 },
	{ ZK_STR_INIT("data: \xff\xfe\n\n"), "||\xff\xfe;", -1, 0 },
	{ ZK_STR_INIT("\n\n\r\n\r\rdata: a\n\n\n\n"), "||a;", -1, 0 },
	{ ZK_STR_INIT("data: 0123456789012345678901234\n\n"),
	  "||0123456789012345678901234;", -1, 0 },
	/* the cap is 32: one line, or all data of an event */
	{ ZK_STR_INIT("data: 012345678901234567890123456\n\n"), "!", -1, 0 },
	{ ZK_STR_INIT("data: 012345678901234567890123456"), "!", -1, 0 },
	{ ZK_STR_INIT("data: 01234567890123456789\ndata: 01234567890123456789\n\n"), "!",
	  -1, 0 },
	{ ZK_STR_INIT("data: a\n\n: 0123456789012345678901234567890\n"), "||a;!", -1, 0 },
};

static void run(struct zk_sse *s, zk_str in, size_t step, struct zk_buf *out)
{
	for (size_t at = 0; at < in.n; at += step) {
		/* A heap copy of the exact size lets ASan see a look beyond the chunk. */
		size_t n = ZK_MIN(step, in.n - at), used;
		char *copy = malloc(n);
		zk_str piece = { copy, n };
		struct zk_sse_event ev;
		enum zk_sse_result r;

		memcpy(copy, in.p + at, n);
		while ((r = zk_sse_next(s, piece, &used, &ev)) == ZK_SSE_EVENT) {
			zk_buf_add(out, ev.id);
			zk_buf_char(out, '|');
			zk_buf_add(out, ev.event);
			zk_buf_char(out, '|');
			zk_buf_add(out, ev.data);
			zk_buf_char(out, ';');
			piece = zk_str_from(piece, used);
		}
		free(copy);
		if (r == ZK_SSE_TOO_LONG) {
			zk_buf_char(out, '!');
			return;
		}
		if (used != piece.n)
			zk_buf_cstr(out, "(bytes left over)");
	}
}

Test(sse, every_chunking)
{
	for (size_t i = 0; i < ZK_ARRAY_LEN(cases); i++)
		for (size_t step = 1; step <= cases[i].in.n + 1; step++) {
			struct zk_buf out;
			struct zk_sse s;

			zk_buf_init(&out, 4096);
			zk_sse_init(&s, 32);
			run(&s, cases[i].in, step, &out);
			cr_expect_str_eq(zk_buf_cstring(&out), cases[i].out,
			                 "case %zu, %zu bytes at a time: %s", i, step,
			                 zk_buf_cstring(&out));
			cr_expect_eq(s.retry_ms, cases[i].retry_ms, "case %zu", i);
			cr_expect_eq(s.comments, cases[i].comments, "case %zu", i);
			zk_sse_done(&s);
			zk_buf_done(&out);
		}
}

Test(sse, two_cuts)
{
	static const zk_str in =
	        ZK_STR_INIT("\xEF\xBB\xBF: c\r\nid: 1\r\nevent: e\r\ndata: a\r\ndata: "
	                    "b\r\n\r\nid: 2\rdata: c\r\r");

	for (size_t a = 0; a <= in.n; a++)
		for (size_t b = a; b <= in.n; b++) {
			struct zk_buf out;
			struct zk_sse s;

			zk_buf_init(&out, 4096);
			zk_sse_init(&s, 64);
			run(&s, zk_str_n(in.p, a), in.n, &out);
			run(&s, zk_str_n(in.p + a, b - a), in.n, &out);
			run(&s, zk_str_from(in, b), in.n, &out);
			cr_expect_str_eq(zk_buf_cstring(&out), "1|e|a\nb;2||c;",
			                 "cuts at %zu %zu", a, b);
			zk_sse_done(&s);
			zk_buf_done(&out);
		}
}

Test(sse, an_event_that_broke_off_does_not_move_the_last_id)
{
	struct zk_buf out;
	struct zk_sse s;

	zk_buf_init(&out, 4096);
	zk_sse_init(&s, 64);
	run(&s, ZK_STR("id: 1\ndata: a\n\nid: 2\ndata: b\n"), 100, &out);
	cr_expect(zk_str_eq(zk_buf_str(&s.id), ZK_STR("1")));
	zk_sse_restart(&s);
	run(&s,
	    ZK_STR("\xEF\xBB\xBF"
	           "data: c\n\n"),
	    100, &out);
	cr_expect_str_eq(zk_buf_cstring(&out), "1||a;1||c;");
	zk_sse_done(&s);
	zk_buf_done(&out);
}

Test(sse, too_long_stays_so_until_restart)
{
	struct zk_sse_event ev;
	struct zk_sse s;
	size_t used;

	zk_sse_init(&s, 8);
	cr_expect_eq(zk_sse_next(&s, ZK_STR("data: 0123456789"), &used, &ev),
	             ZK_SSE_TOO_LONG);
	cr_expect_eq(zk_sse_next(&s, ZK_STR("\n\ndata:1\n\n"), &used, &ev),
	             ZK_SSE_TOO_LONG);
	zk_sse_restart(&s);
	cr_expect_eq(zk_sse_next(&s, ZK_STR("data:1\n\n"), &used, &ev), ZK_SSE_EVENT);
	cr_expect_eq(used, 8);
	cr_expect_eq(zk_sse_next(&s, ZK_STR(""), &used, &ev), ZK_SSE_MORE);
	zk_sse_done(&s);
}
