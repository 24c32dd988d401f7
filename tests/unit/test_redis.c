/* Redis URLs and the wire format; the client itself meets a real server in peer/redis_client.py.
 * Layer: tests. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "store/redis_int.h"

#include "base/ban.h"

static const char *or_none(const char *s)
{
	return s ? s : "-";
}

Test(redis, urls)
{
	static const struct {
		const char *text,
		        *parts; /* host port path user password db tls; NULL = refused */
	} cases[] = {
		{ "redis://localhost", "localhost 6379 - - - 0 0" },
		{ "redis://", "localhost 6379 - - - 0 0" },
		{ "REDIS://h:1/7", "h 1 - - - 7 0" },
		{ "rediss://h:6380", "h 6380 - - - 0 1" },
		{ "redis://:p%40ss@h/1", "h 6379 - - p@ss 1 0" },
		{ "redis://bob:s@cret@h:2", "h 2 - bob s@cret 0 0" },
		{ "redis://[::1]:3/2", "::1 3 - - - 2 0" },
		{ "redis://[::1]", "::1 6379 - - - 0 0" },
		{ "redis://h?db=4", "h 6379 - - - 4 0" },
		{ "unix:/run/r.sock", "- 0 /run/r.sock - - 0 0" },
		{ "unix:///run/r.sock?db=3", "- 0 /run/r.sock - - 3 0" },
		{ "unix://:pw@/run/r.sock", "- 0 /run/r.sock - pw 0 0" },
		{ "http://h", NULL },
		{ "localhost:6379", NULL },
		{ "redis://h:0", NULL },
		{ "redis://h:65536", NULL },
		{ "redis://h/x", NULL },
		{ "redis://h?foo=1", NULL },
		{ "redis://[::1", NULL },
		{ "redis://user@h", NULL },
		{ "redis://a b", NULL },
		{ "redis://:%zz@h", NULL },
		{ "redis://:%00@h", NULL },
		{ "unix:", NULL },
		{ "", NULL },
	};

	for (size_t i = 0; i < ZK_ARRAY_LEN(cases); i++) {
		struct zk_error err = { 0 };
		struct zk_redis_url u = { 0 };
		char got[256];
		int r = zk_redis_url_parse(zk_str_of(cases[i].text), &u, &err);

		cr_expect_eq(r, cases[i].parts ? 0 : -ZK_E_CONFIG_VALUE, "%s",
		             cases[i].text);
		if (r < 0)
			continue;
		(void)snprintf(got, sizeof(got), "%s %d %s %s %s %u %d", or_none(u.host),
		               u.port, or_none(u.path), or_none(u.user),
		               or_none(u.password), u.db, u.tls);
		cr_expect_str_eq(got, or_none(cases[i].parts), "%s gave %s",
		                 cases[i].text, got);
		zk_redis_url_done(&u);
	}
}

Test(redis, refused_urls_are_not_quoted)
{
	struct zk_error err = { 0 };
	struct zk_redis_url u;

	cr_assert_lt(zk_redis_url_parse(ZK_STR("redis://:hunter2@h:x"), &u, &err), 0);
	cr_expect_null(strstr(err.msg, "hunter2"));
	cr_expect_null(strstr(err.why, "hunter2"));
}

Test(redis, commands_are_arrays_of_bulk_strings)
{
	struct zk_buf b;

	zk_buf_init(&b, 1000);
	zk_resp_put(&b, (zk_str[]){ ZK_STR("SET"), zk_str_n("k\0\r\n", 4), ZK_STR_NULL },
	            3);
	cr_expect(zk_str_eq(zk_buf_str(&b),
	                    ZK_STR("*3\r\n$3\r\nSET\r\n$4\r\nk\0\r\n\r\n$0\r\n\r\n")));
	zk_buf_done(&b);
}

static void print(struct zk_buf *b, const struct zk_redis_reply *r)
{
	switch (r->type) {
	case ZK_REDIS_NIL:
		zk_buf_lit(b, "nil");
		break;
	case ZK_REDIS_INTEGER:
		zk_buf_i64(b, r->integer);
		break;
	case ZK_REDIS_STRING:
	case ZK_REDIS_STATUS:
	case ZK_REDIS_ERROR:
		zk_buf_char(b, "\"+-"[r->type - ZK_REDIS_STRING]);
		zk_buf_add(b, r->str);
		break;
	case ZK_REDIS_ARRAY:
		zk_buf_char(b, '[');
		for (size_t i = 0; i < r->n; i++) {
			print(b, r->items[i]);
			zk_buf_char(b, ' ');
		}
		zk_buf_char(b, ']');
		break;
	}
}

/* What comes out of `wire` fed in pieces of `piece` bytes; "!" and the code when it is refused. */
static const char *read_all(struct zk_buf *b, zk_str wire, size_t piece, size_t max)
{
	struct zk_error err = { 0 };
	struct zk_redis_reply *reply;
	struct zk_resp *p;
	int r = 0;

	zk_buf_clear(b);
	cr_assert_eq(zk_resp_new(max, &p, &err), 0, "%s", err.msg);
	for (size_t at = 0; at < wire.n && r >= 0; at += piece) {
		r = zk_resp_feed(p, zk_str_n(wire.p + at, ZK_MIN(piece, wire.n - at)),
		                 &err);
		while (r >= 0 && (r = zk_resp_next(p, &reply, &err)) > 0) {
			print(b, reply);
			zk_buf_char(b, ';');
			zk_redis_reply_free(reply);
		}
	}
	if (r < 0)
		zk_buf_printf(b, "!%d", -r);
	zk_resp_free(p);
	return zk_buf_cstring(b);
}

Test(redis, answers_in_any_chunking)
{
	static const struct {
		const char *wire, *got;
		size_t max;
	} cases[] = {
		{ "+OK\r\n:-7\r\n$-1\r\n*-1\r\n", "+OK;-7;nil;nil;", 10000 },
		{ "$5\r\na\r\nb:\r\n$0\r\n\r\n", "\"a\r\nb:;\";", 10000 },
		{ "-WRONGTYPE no\r\n", "-WRONGTYPE no;", 10000 },
		{ "*2\r\n*2\r\n:1\r\n$1\r\nx\r\n*0\r\n", "[[1 \"x ] [] ];", 10000 },
		{ ":9223372036854775807\r\n", "9223372036854775807;", 10000 },
		{ "HTTP/1.1 400\r\n", "!3005", 10000 },
		{ "+OK\r\nx", "+OK;!3005", 10000 },
		{ "*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n:1\r\n",
		  "!3005", 10000 },
		{ "*2000000000\r\n", "!2002", 10000 },
		{ "*200\r\n:1\r\n:2\r\n", "!2002", 1000 },
		{ "$100\r\n0123456789012345678901234567890123456789012345678901234567890"
		  "123456789012345678901234567890123456789\r\n",
		  "!2002", 100 },
	};
	struct zk_buf b;

	zk_buf_init(&b, 100000);
	for (size_t i = 0; i < ZK_ARRAY_LEN(cases); i++) {
		zk_str wire = zk_str_of(cases[i].wire);

		for (size_t piece = 1; piece <= wire.n; piece++)
			cr_expect_str_eq(read_all(&b, wire, piece, cases[i].max),
			                 cases[i].got, "case %zu in pieces of %zu: %s", i,
			                 piece, zk_buf_cstring(&b));
	}
	zk_buf_done(&b);
}

Test(redis, a_text_that_never_ends_is_refused)
{
	static char big[200000];
	struct zk_buf b;

	memset(big, 'x', sizeof(big));
	(void)snprintf(big, sizeof(big), "$500000000\r\n");
	zk_buf_init(&b, 1000);
	cr_expect_str_eq(read_all(&b, zk_str_n(big, sizeof(big)), 4096, 10000), "!2002");
	zk_buf_done(&b);
}
