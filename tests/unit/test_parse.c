/* Parsers of whole slices: numbers, booleans, durations, sizes.
 * Layer: tests. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"

#include "base/ban.h"

#define BAD (-ZK_E_DATA)

Test(parse, u64)
{
	static const struct {
		zk_str in;
		int r;
		uint64_t v;
	} cases[] = {
		{ ZK_STR_INIT("0"), 0, 0 },
		{ ZK_STR_INIT("007"), 0, 7 },
		{ ZK_STR_INIT("18446744073709551615"), 0, UINT64_MAX },
		{ ZK_STR_INIT("18446744073709551616"), BAD, 77 },
		{ ZK_STR_INIT("99999999999999999999999"), BAD, 77 },
		{ ZK_STR_INIT(""), BAD, 77 },
		{ ZK_STR_INIT("-1"), BAD, 77 },
		{ ZK_STR_INIT("+1"), BAD, 77 },
		{ ZK_STR_INIT(" 1"), BAD, 77 },
		{ ZK_STR_INIT("1 "), BAD, 77 },
		{ ZK_STR_INIT("0x1"), BAD, 77 },
		{ ZK_STR_INIT("1\0"), BAD, 77 },
	};

	for (size_t i = 0; i < ZK_ARRAY_LEN(cases); i++) {
		struct zk_error err;
		uint64_t v = 77;

		cr_expect_eq(zk_parse_u64(cases[i].in, &v, &err), cases[i].r, "case %zu",
		             i);
		cr_expect_eq(v, cases[i].v, "case %zu", i);
	}
}

Test(parse, i64)
{
	static const struct {
		zk_str in;
		int r;
		int64_t v;
	} cases[] = {
		{ ZK_STR_INIT("0"), 0, 0 },
		{ ZK_STR_INIT("-0"), 0, 0 },
		{ ZK_STR_INIT("9223372036854775807"), 0, INT64_MAX },
		{ ZK_STR_INIT("9223372036854775808"), BAD, 77 },
		{ ZK_STR_INIT("-9223372036854775808"), 0, INT64_MIN },
		{ ZK_STR_INIT("-9223372036854775809"), BAD, 77 },
		{ ZK_STR_INIT("-"), BAD, 77 },
		{ ZK_STR_INIT("--1"), BAD, 77 },
		{ ZK_STR_INIT(""), BAD, 77 },
		{ ZK_STR_INIT("1.0"), BAD, 77 },
	};

	for (size_t i = 0; i < ZK_ARRAY_LEN(cases); i++) {
		struct zk_error err;
		int64_t v = 77;

		cr_expect_eq(zk_parse_i64(cases[i].in, &v, &err), cases[i].r, "case %zu",
		             i);
		cr_expect_eq(v, cases[i].v, "case %zu", i);
	}
}

Test(parse, doubles)
{
	static const struct {
		zk_str in;
		int r;
		double v;
	} cases[] = {
		{ ZK_STR_INIT("0"), 0, 0 },
		{ ZK_STR_INIT("-1.5e-3"), 0, -1.5e-3 },
		{ ZK_STR_INIT("1E+2"), 0, 100 },
		{ ZK_STR_INIT("1e308"), 0, 1e308 },
		{ ZK_STR_INIT("1e-999"), 0, 0 },
		{ ZK_STR_INIT(
		          "0."
		          "00000000000000000000000000000000000000000000000000000000000000"
		          "000000000000000000000000000000000000000001"),
		  0, 1e-104 },
		{ ZK_STR_INIT("1e309"), BAD, 77 },
		{ ZK_STR_INIT("-1e999999"), BAD, 77 },
		{ ZK_STR_INIT(""), BAD, 77 },
		{ ZK_STR_INIT("."), BAD, 77 },
		{ ZK_STR_INIT("1."), BAD, 77 },
		{ ZK_STR_INIT(".5"), BAD, 77 },
		{ ZK_STR_INIT("1e"), BAD, 77 },
		{ ZK_STR_INIT("1e+"), BAD, 77 },
		{ ZK_STR_INIT("+1"), BAD, 77 },
		{ ZK_STR_INIT("nan"), BAD, 77 },
		{ ZK_STR_INIT("inf"), BAD, 77 },
		{ ZK_STR_INIT("0x10"), BAD, 77 },
		{ ZK_STR_INIT("1,5"), BAD, 77 },
		{ ZK_STR_INIT("1\0"), BAD, 77 },
	};

	for (size_t i = 0; i < ZK_ARRAY_LEN(cases); i++) {
		struct zk_error err;
		double v = 77;

		cr_expect_eq(zk_parse_double(cases[i].in, &v, &err), cases[i].r,
		             "case %zu", i);
		cr_expect(fabs(v - cases[i].v) <= fabs(cases[i].v) * 1e-15,
		          "case %zu: %g", i, v);
	}
}

Test(parse, booleans)
{
	static const char *const yes[] = { "true", "yes", "on", "1" };
	static const char *const no[] = { "false", "no", "off", "0" };
	static const char *const bad[] = { "", "True", "2", "y", " true", "on " };
	struct zk_error err;
	bool v = false;

	for (size_t i = 0; i < ZK_ARRAY_LEN(yes); i++) {
		cr_expect_eq(zk_parse_bool(zk_str_of(yes[i]), &v, &err), 0);
		cr_expect(v);
		cr_expect_eq(zk_parse_bool(zk_str_of(no[i]), &v, &err), 0);
		cr_expect_not(v);
	}
	for (size_t i = 0; i < ZK_ARRAY_LEN(bad); i++)
		cr_expect_eq(zk_parse_bool(zk_str_of(bad[i]), &v, &err), BAD, "'%s'",
		             bad[i]);
}

Test(parse, durations)
{
	static const struct {
		zk_str in;
		int r;
		int64_t ms;
	} cases[] = {
		{ ZK_STR_INIT("250ms"), 0, 250 },
		{ ZK_STR_INIT("1.5s"), 0, 1500 },
		{ ZK_STR_INIT("0.25m"), 0, 15000 },
		{ ZK_STR_INIT("2m"), 0, 120000 },
		{ ZK_STR_INIT("1h"), 0, 3600000 },
		{ ZK_STR_INIT("7d"), 0, 604800000 },
		{ ZK_STR_INIT("0"), 0, 0 },
		{ ZK_STR_INIT("0s"), 0, 0 },
		{ ZK_STR_INIT("1.50000s"), 0, 1500 },
		{ ZK_STR_INIT("106751991167d"), 0, INT64_C(106751991167) * 86400000 },
		{ ZK_STR_INIT("106751991168d"), BAD, 77 },
		{ ZK_STR_INIT("99999999999999999999s"), BAD, 77 },
		{ ZK_STR_INIT("10"), BAD, 77 }, /* a unit is required */
		{ ZK_STR_INIT("00"), BAD, 77 },
		{ ZK_STR_INIT(""), BAD, 77 },
		{ ZK_STR_INIT("s"), BAD, 77 },
		{ ZK_STR_INIT("-1s"), BAD, 77 },
		{ ZK_STR_INIT("1 s"), BAD, 77 },
		{ ZK_STR_INIT("1S"), BAD, 77 },
		{ ZK_STR_INIT("1s "), BAD, 77 },
		{ ZK_STR_INIT("1.s"), BAD, 77 },
		{ ZK_STR_INIT(".5s"), BAD, 77 },
		{ ZK_STR_INIT("0.5ms"), BAD, 77 },
		{ ZK_STR_INIT("1.0000000000000000000000001s"), BAD, 77 },
		{ ZK_STR_INIT("1.9999999999999999999d"), BAD, 77 },
		{ ZK_STR_INIT("1h30m"), BAD, 77 },
		{ ZK_STR_INIT("1us"), BAD, 77 },
	};

	for (size_t i = 0; i < ZK_ARRAY_LEN(cases); i++) {
		struct zk_error err;
		int64_t ms = 77;

		cr_expect_eq(zk_parse_duration(cases[i].in, &ms, &err), cases[i].r,
		             "case %zu", i);
		cr_expect_eq(ms, cases[i].ms, "case %zu", i);
	}
}

Test(parse, sizes)
{
	static const struct {
		zk_str in;
		int r;
		uint64_t n;
	} cases[] = {
		{ ZK_STR_INIT("512B"), 0, 512 },
		{ ZK_STR_INIT("64KiB"), 0, 65536 },
		{ ZK_STR_INIT("1.5KiB"), 0, 1536 },
		{ ZK_STR_INIT("10MB"), 0, 10000000 },
		{ ZK_STR_INIT("1kB"), 0, 1000 },
		{ ZK_STR_INIT("1KB"), 0, 1000 },
		{ ZK_STR_INIT("1GiB"), 0, 1073741824 },
		{ ZK_STR_INIT("1GB"), 0, 1000000000 },
		{ ZK_STR_INIT("2TiB"), 0, UINT64_C(2) << 40 },
		{ ZK_STR_INIT("2TB"), 0, UINT64_C(2000000000000) },
		{ ZK_STR_INIT("1MiB"), 0, 1048576 },
		{ ZK_STR_INIT("0"), 0, 0 },
		{ ZK_STR_INIT("10"), BAD, 77 },
		{ ZK_STR_INIT("1.5B"), BAD, 77 },
		{ ZK_STR_INIT("1kib"), BAD, 77 },
		{ ZK_STR_INIT("1M"), BAD, 77 },
		{ ZK_STR_INIT("-1B"), BAD, 77 },
		{ ZK_STR_INIT("B"), BAD, 77 },
		{ ZK_STR_INIT("99999999TiB"), BAD, 77 },
		{ ZK_STR_INIT("16777215.99999999TiB"), BAD, 77 },
	};

	for (size_t i = 0; i < ZK_ARRAY_LEN(cases); i++) {
		struct zk_error err;
		uint64_t n = 77;

		cr_expect_eq(zk_parse_size(cases[i].in, &n, &err), cases[i].r, "case %zu",
		             i);
		cr_expect_eq(n, cases[i].n, "case %zu", i);
	}
}

Test(parse, messages_quote_the_text)
{
	struct zk_error err;
	char text[200];
	uint64_t n;
	int64_t ms;

	cr_expect_eq(zk_parse_duration(ZK_STR("10"), &ms, &err), BAD);
	cr_expect_str_eq(err.msg,
	                 "'10' is not a duration such as 250ms, 5s, 2m, 1h or 7d");
	cr_expect_eq(zk_parse_size(ZK_STR("\033x"), &n, &err), BAD);
	cr_expect_str_eq(err.msg, "'?x' is not a size such as 512B, 64KiB, 10MB or 1GiB");
	memset(text, 'x', sizeof(text));
	cr_expect_eq(zk_parse_u64(zk_str_n(text, sizeof(text)), &n, &err), BAD);
	cr_expect_lt(strlen(err.msg), 150, "a long text is cut: %s", err.msg);
}
