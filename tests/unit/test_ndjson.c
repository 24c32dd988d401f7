/* The line splitter, at every chunk size.
 * Layer: tests. */
#include <criterion/criterion.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/mem.h"
#include "codec/ndjson.h"

#include "base/ban.h"

#define MAX_LINE 8

/* Each line as "NUMBER@OFFSET:TEXT" with '!' for too long, joined by '|'. Chunks are copied to
 * memory of their own, so that a slice that outlives its chunk is seen. */
static void run(zk_str in, size_t chunk, struct zk_buf *out)
{
	struct zk_ndjson s;
	struct zk_ndjson_line line;

	zk_ndjson_init(&s, MAX_LINE);
	for (size_t at = 0; at < in.n; at += chunk) {
		size_t n = ZK_MIN(chunk, in.n - at);
		char *copy = zk_alloc(n);
		zk_str rest = zk_str_n(copy, n);

		memcpy(copy, in.p + at, n);
		while (zk_ndjson_next(&s, &rest, &line))
			zk_buf_printf(out, "%llu@%llu:%.*s%s|",
			              (unsigned long long)line.number,
			              (unsigned long long)line.offset,
			              ZK_STR_ARG(line.text), line.too_long ? "!" : "");
		cr_assert_eq(rest.n, 0);
		free(copy);
	}
	if (zk_ndjson_last(&s, &line))
		zk_buf_printf(out, "%llu@%llu:%.*s%s|", (unsigned long long)line.number,
		              (unsigned long long)line.offset, ZK_STR_ARG(line.text),
		              line.too_long ? "!" : "");
	cr_assert_not(zk_ndjson_last(&s, &line), "the last line comes once");
	zk_ndjson_done(&s);
}

Test(ndjson, every_chunking_gives_the_same_lines)
{
	static const struct {
		zk_str in;
		const char *want;
	} cases[] = {
		{ ZK_STR_INIT(""), "" },
		{ ZK_STR_INIT("\n"), "" },
		{ ZK_STR_INIT("a\n"), "1@0:a|" },
		{ ZK_STR_INIT("a"), "1@0:a|" },
		{ ZK_STR_INIT("a\nb"), "1@0:a|2@2:b|" },
		{ ZK_STR_INIT("a\r\n\r\n \t\nb\r\n"), "1@0:a|4@8:b|" },
		{ ZK_STR_INIT("\n\n\nx"), "4@3:x|" },
		{ ZK_STR_INIT("a\rb\n"), "1@0:a\rb|" },
		{ ZK_STR_INIT("a\r\r\n"), "1@0:a\r|" },
		{ ZK_STR_INIT("x\r"), "1@0:x|" },
		{ ZK_STR_INIT(" \r"), "" },
		{ ZK_STR_INIT("\xEF\xBB\xBF{}\n\xEF\xBB\xBF{}\n"),
		  "1@3:{}|2@6:\xEF\xBB\xBF{}|" },
		{ ZK_STR_INIT("\xEF\xBB\xBF\n\xEF\xBB\n"), "2@4:\xEF\xBB|" },
		{ ZK_STR_INIT("\xEF\xBB\xBF"), "" },
		{ ZK_STR_INIT("12345678\n"), "1@0:12345678|" },
		{ ZK_STR_INIT("12345678\r\n"), "1@0:12345678|" },
		{ ZK_STR_INIT("\xEF\xBB\xBF"
		              "12345678\r\nx"),
		  "1@3:12345678|2@13:x|" },
		{ ZK_STR_INIT("\xEF\xBB\xBF"
		              "123456789\r\nx"),
		  "1@3:12345678!|2@14:x|" },
		{ ZK_STR_INIT("123456789\nok\n"), "1@0:12345678!|2@10:ok|" },
		{ ZK_STR_INIT("12345678\r\r\nok\n"), "1@0:12345678!|2@11:ok|" },
		{ ZK_STR_INIT("1234567890123456789012345678901234567890\r\nok"),
		  "1@0:12345678!|2@42:ok|" },
		{ ZK_STR_INIT("123456789"), "1@0:12345678!|" },
		{ ZK_STR_INIT("          \nok"), "1@0:        !|2@11:ok|" },
		{ ZK_STR_INIT("a\n123456789012345678901234567890"),
		  "1@0:a|2@2:12345678!|" },
	};

	for (size_t i = 0; i < ZK_ARRAY_LEN(cases); i++) {
		for (size_t chunk = 1; chunk <= cases[i].in.n + 1; chunk++) {
			struct zk_buf out;

			zk_buf_init(&out, 1000);
			run(cases[i].in, chunk, &out);
			cr_expect_str_eq(zk_buf_cstring(&out), cases[i].want,
			                 "case %zu in chunks of %zu: %s", i, chunk,
			                 zk_buf_cstring(&out));
			zk_buf_done(&out);
		}
	}
}

Test(ndjson, whole_lines_are_not_copied)
{
	zk_str chunk = ZK_STR("abc\ndef\n"), all = chunk;
	struct zk_ndjson_line line;
	struct zk_ndjson s;

	zk_ndjson_init(&s, 100);
	cr_assert(zk_ndjson_next(&s, &chunk, &line));
	cr_expect_eq(line.text.p, all.p);
	cr_assert(zk_ndjson_next(&s, &chunk, &line));
	cr_expect_eq(line.text.p, all.p + 4);
	cr_expect_not(zk_ndjson_next(&s, &chunk, &line));
	cr_expect_null(s.part.p, "no memory was needed");
	zk_ndjson_done(&s);
}

Test(ndjson, memory_is_bounded)
{
	static char big[100000];
	struct zk_ndjson_line line;
	struct zk_ndjson s;

	memset(big, 'x', sizeof(big));
	zk_ndjson_init(&s, 1000);
	for (int i = 0; i < 100; i++) {
		zk_str chunk = zk_str_n(big, sizeof(big));

		cr_assert_not(zk_ndjson_next(&s, &chunk, &line));
		cr_assert_leq(s.part.room, 1005);
	}
	cr_assert(zk_ndjson_last(&s, &line));
	cr_expect(line.too_long);
	cr_expect_eq(line.text.n, 1000);
	zk_ndjson_done(&s);
}
