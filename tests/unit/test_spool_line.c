/* The lines of `zk spool export`.
 * Layer: tests. */
#include "store/spool_line.h"

#include <criterion/criterion.h>

#include "codec/jwrite.h"

#include "base/ban.h"

static const struct {
	zk_str body;
	const char *out;
} bodies[] = {
	{ ZK_STR_INIT("{\"a\":1}"), "{\"body\":{\"a\":1}}" },
	{ ZK_STR_INIT("{ \"n\" : 5000000000000001 }"),
	  "{\"body\":{ \"n\" : 5000000000000001 }}" },
	{ ZK_STR_INIT("\"text\""), "{\"body\":\"text\"}" },
	{ ZK_STR_INIT("1e400"), "{\"body\":1e400}" },
	/* what would not come back byte for byte */
	{ ZK_STR_INIT(" 1"), "{\"body_base64\":\"IDE=\"}" },
	{ ZK_STR_INIT("1 "), "{\"body_base64\":\"MSA=\"}" },
	{ ZK_STR_INIT("[1,\n2]"), "{\"body_base64\":\"WzEsCjJd\"}" },
	{ ZK_STR_INIT("[1,\r2]"), "{\"body_base64\":\"WzEsDTJd\"}" },
	/* what is no JSON */
	{ ZK_STR_INIT(""), "{\"body_base64\":\"\"}" },
	{ ZK_STR_INIT("text"), "{\"body_base64\":\"dGV4dA==\"}" },
	{ ZK_STR_INIT("\"\xff\""), "{\"body_base64\":\"Iv8i\"}" },
	{ ZK_STR_INIT("{}{}"), "{\"body_base64\":\"e317fQ==\"}" },
	{ ZK_STR_INIT("\0"), "{\"body_base64\":\"AA==\"}" },
	{ ZK_STR_INIT("\xef\xbb\xbf{}"), "{\"body_base64\":\"77u/e30=\"}" },
};

Test(spool_line, bodies)
{
	for (size_t i = 0; i < ZK_ARRAY_LEN(bodies); i++) {
		struct zk_jwrite w;
		struct zk_buf b;

		zk_buf_init(&b, 4096);
		zk_jwrite_init(&w, &b);
		zk_jw_obj(&w);
		zk_spool_put_body(&w, bodies[i].body);
		zk_jw_obj_end(&w);
		cr_expect_str_eq(zk_buf_cstring(&b), bodies[i].out, "case %zu: %s", i,
		                 zk_buf_cstring(&b));
		zk_buf_done(&b);
	}
}

Test(spool_line, a_body_that_is_nested_too_deep)
{
	struct zk_jwrite w;
	struct zk_buf b;
	char deep[4000];

	for (size_t i = 0; i < sizeof(deep); i++)
		deep[i] = i < sizeof(deep) / 2 ? '[' : ']';
	zk_buf_init(&b, 65536);
	zk_jwrite_init(&w, &b);
	zk_spool_put_body(&w, zk_str_n(deep, sizeof(deep)));
	cr_expect(zk_str_starts(zk_buf_str(&b), ZK_STR("\"body_base64\":\"W1tb")));
	zk_buf_done(&b);
}

Test(spool_line, records)
{
	static const struct {
		struct zk_spool_rec rec;
		const char *out;
	} cases[] = {
		{ { .id = 7,
		    .created_us = 1762776000123456,
		    .attempts = 2,
		    .state = ZK_SPOOL_FAILED,
		    .kind = ZK_STR_INIT("triggers"),
		    .dest = ZK_STR_INIT("http://a"),
		    .key = ZK_STR_INIT("k\"1"),
		    .meta = ZK_STR_INIT("{ \"line\": 1,\n\"x\": 5000000000000001 }"),
		    .last_error = ZK_STR_INIT("no \xff"),
		    .body = ZK_STR_INIT("[]") },
		  "{\"type\":\"record\",\"id\":7,\"target\":\"triggers:http://a\","
		  "\"key\":\"k\\\"1\",\"created\":\"2025-11-10T12:00:00.123456Z\","
		  "\"attempts\":2,\"state\":\"failed\",\"last_error\":\"no "
		  "\xef\xbf\xbd\","
		  "\"meta\":{\"line\":1,\"x\":5000000000000001},\"body\":[]}\n" },
		{ { .id = 1,
		    .kind = ZK_STR_INIT("a"),
		    .dest = ZK_STR_INIT("b:c"),
		    .meta = ZK_STR_INIT("{broken\n") },
		  "{\"type\":\"record\",\"id\":1,\"target\":\"a:b:c\","
		  "\"created\":\"1970-01-01T00:00:00.000000Z\",\"attempts\":0,"
		  "\"state\":\"waiting\",\"meta\":\"{broken\\n\",\"body_base64\":\"\"}"
		  "\n" },
	};

	for (size_t i = 0; i < ZK_ARRAY_LEN(cases); i++) {
		struct zk_buf b;

		zk_buf_init(&b, 4096);
		zk_spool_put_record(&b, &cases[i].rec);
		cr_expect_str_eq(zk_buf_cstring(&b), cases[i].out, "case %zu: %s", i,
		                 zk_buf_cstring(&b));
		zk_buf_done(&b);
	}
}

Test(spool_line, attachments)
{
	struct zk_spool_target t = { ZK_STR("zerobus"), ZK_STR("h/a.b.c") };
	struct zk_buf b;

	zk_buf_init(&b, 4096);
	zk_spool_put_attachment(&b, &t, ZK_STR("9f"), zk_str_n("\x0a\x04", 2));
	cr_expect_str_eq(
	        zk_buf_cstring(&b),
	        "{\"type\":\"attachment\",\"target\":\"zerobus:h/a.b.c\",\"name\":\"9f\","
	        "\"body_base64\":\"CgQ=\"}\n");
	zk_buf_done(&b);
}
