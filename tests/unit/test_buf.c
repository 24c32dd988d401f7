/* zk_buf: growth, cap, encodings.
 * Layer: tests. */
#include <criterion/criterion.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/err.h"

#include "base/ban.h"

Test(buf, grows_to_its_cap_and_no_further)
{
	struct zk_error err;
	struct zk_buf b;

	zk_buf_init(&b, 1000);
	cr_expect_str_eq(zk_buf_cstring(&b), "");
	for (int i = 0; i < 1000; i++)
		zk_buf_char(&b, (char)('a' + i % 26));
	cr_expect_eq(b.n, 1000);
	cr_expect_eq(zk_buf_check(&b, &err), 0);
	cr_expect_eq(strlen(zk_buf_cstring(&b)), 1000);
	zk_buf_char(&b, 'x');
	cr_expect_eq(b.n, 1000, "what does not fit is not appended");
	cr_expect_eq(zk_buf_check(&b, &err), -ZK_E_LIMIT);
	cr_expect_str_eq(err.msg, "the text is larger than 1000 bytes");
	cr_expect_str_eq(zk_buf_cstring(&b), "", "a failed buffer shows nothing");
	zk_buf_clear(&b);
	cr_expect_eq(zk_buf_check(&b, &err), 0);
	zk_buf_done(&b);
}

Test(buf, all_or_nothing)
{
	struct zk_buf b;

	zk_buf_init(&b, 5);
	zk_buf_lit(&b, "abc");
	zk_buf_lit(&b, "def");
	cr_expect(b.failed);
	cr_expect(zk_str_eq(zk_buf_str(&b), ZK_STR("abc")));
	zk_buf_clear(&b);
	zk_buf_printf(&b, "%s", "123456");
	cr_expect(b.failed && b.n == 0);
	zk_buf_clear(&b);
	cr_expect_null(zk_buf_reserve(&b, 6));
	zk_buf_clear(&b);
	cr_expect_not_null(zk_buf_reserve(&b, 5));
	zk_buf_done(&b);
	zk_buf_init(&b, 0);
	zk_buf_add(&b, ZK_STR_NULL);
	zk_buf_put(&b, NULL, 0);
	cr_expect_not(b.failed);
	zk_buf_char(&b, 'x');
	cr_expect(b.failed);
	zk_buf_done(&b);
	zk_buf_init(&b, SIZE_MAX); /* no overflow in the room for the NUL */
	zk_buf_char(&b, 'x');
	cr_expect_str_eq(zk_buf_cstring(&b), "x");
	cr_expect_null(zk_buf_reserve(&b, SIZE_MAX - 1));
	zk_buf_done(&b);
}

Test(buf, numbers)
{
	struct zk_buf b;

	zk_buf_init(&b, 1000);
	zk_buf_u64(&b, 0);
	zk_buf_char(&b, ' ');
	zk_buf_u64(&b, UINT64_MAX);
	zk_buf_char(&b, ' ');
	zk_buf_i64(&b, INT64_MIN);
	zk_buf_char(&b, ' ');
	zk_buf_i64(&b, -1);
	zk_buf_char(&b, ' ');
	zk_buf_i64(&b, INT64_MAX);
	cr_expect_str_eq(
	        zk_buf_cstring(&b),
	        "0 18446744073709551615 -9223372036854775808 -1 9223372036854775807");
	zk_buf_done(&b);
}

Test(buf, printf_of_any_length)
{
	struct zk_buf b;

	for (int n = 0; n < 600; n += 7) {
		zk_buf_init(&b, 600);
		zk_buf_printf(&b, "%*d", n, 1);
		cr_expect_eq(b.n, n ? (size_t)n : 1u);
		cr_expect_eq(b.p[b.n - 1], '1');
		zk_buf_done(&b);
	}
}

Test(buf, json_strings)
{
	static const struct {
		zk_str in, out;
	} cases[] = {
		{ ZK_STR_INIT(""), ZK_STR_INIT("\"\"") },
		{ ZK_STR_INIT("abc"), ZK_STR_INIT("\"abc\"") },
		{ ZK_STR_INIT("\"\\/"), ZK_STR_INIT("\"\\\"\\\\/\"") },
		{ ZK_STR_INIT("\b\f\n\r\t"), ZK_STR_INIT("\"\\b\\f\\n\\r\\t\"") },
		{ ZK_STR_INIT("a\0b\x1f"), ZK_STR_INIT("\"a\\u0000b\\u001f\"") },
		{ ZK_STR_INIT("é€😀"), ZK_STR_INIT("\"é€😀\"") },
		{ ZK_STR_INIT("\xff"
		              "a\xc3"),
		  ZK_STR_INIT("\"\xEF\xBF\xBD"
		              "a\xEF\xBF\xBD\"") },
		{ ZK_STR_INIT("\xed\xa0\x80"),
		  ZK_STR_INIT("\"\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\"") },
	};

	for (size_t i = 0; i < ZK_ARRAY_LEN(cases); i++) {
		struct zk_buf b;

		zk_buf_init(&b, 100);
		zk_buf_json_str(&b, cases[i].in);
		cr_expect(zk_str_eq(zk_buf_str(&b), cases[i].out), "case %zu: %.*s", i,
		          ZK_STR_ARG(zk_buf_str(&b)));
		zk_buf_done(&b);
	}
}

Test(buf, percent)
{
	struct zk_buf b;

	zk_buf_init(&b, 100);
	zk_buf_percent(&b, ZK_STR("aZ09-._~ /?é\0%+"));
	cr_expect_str_eq(zk_buf_cstring(&b), "aZ09-._~%20%2F%3F%C3%A9%00%25%2B");
	zk_buf_done(&b);
}

Test(buf, consume)
{
	struct zk_buf b;

	zk_buf_init_secret(&b, 100);
	zk_buf_lit(&b, "abcdef");
	zk_buf_consume(&b, 0);
	zk_buf_consume(&b, 4);
	cr_expect_str_eq(zk_buf_cstring(&b), "ef");
	cr_expect_eq(b.p[3], 0, "what was taken off a secret is wiped");
	zk_buf_consume(&b, 2);
	cr_expect_eq(b.n, 0);
	zk_buf_done(&b);
}

Test(buf, secret_grows_by_copying)
{
	struct zk_buf b;

	zk_buf_init_secret(&b, 10000);
	for (int i = 0; i < 5000; i++)
		zk_buf_char(&b, 's');
	cr_expect_eq(b.n, 5000);
	cr_expect_eq(b.p[4999], 's');
	zk_buf_printf(&b, "%s", "formatted");
	zk_buf_clear(&b);
	cr_expect_eq(b.p[0], 0);
	zk_buf_done(&b);
	cr_expect(b.secret && b.cap == 10000, "usable again in the same way");
}

Test(buf, take)
{
	struct zk_buf b;
	char *s;

	zk_buf_init(&b, 100);
	s = zk_buf_take(&b);
	cr_expect_str_eq(s, "");
	free(s);
	zk_buf_cstr(&b, "text");
	s = zk_buf_take(&b);
	cr_expect_str_eq(s, "text");
	cr_expect(b.n == 0 && b.p == NULL);
	free(s);
	zk_buf_done(&b);
}
