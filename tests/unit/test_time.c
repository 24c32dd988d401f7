/* RFC 3339, HTTP dates, clocks.
 * Layer: tests. */
#include <criterion/criterion.h>
#include <stdint.h>
#include <time.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/rand.h"
#include "base/str.h"

#include "base/ban.h"

#define BAD (-ZK_E_DATA)
#define US  INT64_C(1000000)

Test(time, rfc3339)
{
	static const struct {
		zk_str in;
		int r;
		int64_t us;
	} cases[] = {
		{ ZK_STR_INIT("1970-01-01T00:00:00Z"), 0, 0 },
		{ ZK_STR_INIT("2025-11-10T12:00:00.123456Z"), 0,
		  INT64_C(1762776000123456) },
		{ ZK_STR_INIT("2025-11-10t12:00:00.5z"), 0, INT64_C(1762776000500000) },
		{ ZK_STR_INIT("2025-11-10T12:00:00.1234569Z"), 0,
		  INT64_C(1762776000123456) },
		{ ZK_STR_INIT("1985-04-12T23:20:50.52Z"), 0, INT64_C(482196050520000) },
		{ ZK_STR_INIT("1996-12-19T16:39:57-08:00"), 0, INT64_C(851042397) * US },
		{ ZK_STR_INIT("1990-12-31T23:59:60Z"), 0, INT64_C(662688000) * US },
		{ ZK_STR_INIT("1990-12-31T15:59:60-08:00"), 0, INT64_C(662688000) * US },
		{ ZK_STR_INIT("1937-01-01T12:00:27.87+00:20"), 0,
		  INT64_C(-1041337172130000) },
		{ ZK_STR_INIT("2000-02-29T00:00:00Z"), 0, INT64_C(951782400) * US },
		{ ZK_STR_INIT("2024-02-29T00:00:00Z"), 0, INT64_C(1709164800) * US },
		{ ZK_STR_INIT("0001-01-01T00:00:00Z"), 0, INT64_C(-62135596800) * US },
		{ ZK_STR_INIT("9999-12-31T23:59:59.999999Z"), 0,
		  INT64_C(253402300799999999) },
		{ ZK_STR_INIT("1969-12-31T23:59:59.999999Z"), 0, -1 },
		{ ZK_STR_INIT("2025-11-10T12:00:00-00:00"), 0, INT64_C(1762776000) * US },
		{ ZK_STR_INIT("1900-02-29T00:00:00Z"), BAD, 77 },
		{ ZK_STR_INIT("2023-02-29T00:00:00Z"), BAD, 77 },
		{ ZK_STR_INIT("0000-01-01T00:00:00Z"), BAD, 77 },
		{ ZK_STR_INIT("2025-00-10T12:00:00Z"), BAD, 77 },
		{ ZK_STR_INIT("2025-13-10T12:00:00Z"), BAD, 77 },
		{ ZK_STR_INIT("2025-11-31T12:00:00Z"), BAD, 77 },
		{ ZK_STR_INIT("2025-11-00T12:00:00Z"), BAD, 77 },
		{ ZK_STR_INIT("2025-11-10T24:00:00Z"), BAD, 77 },
		{ ZK_STR_INIT("2025-11-10T12:60:00Z"), BAD, 77 },
		{ ZK_STR_INIT("2025-11-10T12:00:61Z"), BAD, 77 },
		{ ZK_STR_INIT("2025-11-10T12:00:60Z"), BAD, 77 },
		{ ZK_STR_INIT("2025-11-10T12:00:00"), BAD, 77 },
		{ ZK_STR_INIT("2025-11-10 12:00:00Z"), BAD, 77 },
		{ ZK_STR_INIT("2025-11-10T12:00:00.Z"), BAD, 77 },
		{ ZK_STR_INIT("2025-11-10T12:00:00+1:00"), BAD, 77 },
		{ ZK_STR_INIT("2025-11-10T12:00:00+24:00"), BAD, 77 },
		{ ZK_STR_INIT("2025-11-10T12:00:00+01:60"), BAD, 77 },
		{ ZK_STR_INIT("2025-11-10T12:00:00Zx"), BAD, 77 },
		{ ZK_STR_INIT("25-11-10T12:00:00Z"), BAD, 77 },
		{ ZK_STR_INIT("2025-11-10"), BAD, 77 },
		{ ZK_STR_INIT(""), BAD, 77 },
	};

	for (size_t i = 0; i < ZK_ARRAY_LEN(cases); i++) {
		struct zk_error err;
		int64_t us = 77;

		cr_expect_eq(zk_parse_rfc3339(cases[i].in, &us, &err), cases[i].r,
		             "case %zu", i);
		cr_expect_eq(us, cases[i].us, "case %zu: %lld", i, (long long)us);
	}
}

/* Every prefix of a valid time is none, and no byte may be another. */
Test(time, rfc3339_is_strict_everywhere)
{
	static const char good[] = "2025-11-10T12:00:00.123456+01:30";
	struct zk_error err;
	int64_t us;

	for (size_t n = 0; n + 1 < sizeof(good); n++)
		cr_expect_eq(zk_parse_rfc3339(zk_str_n(good, n), &us, &err), BAD, "%zu",
		             n);
	for (size_t i = 0; i + 1 < sizeof(good); i++) {
		char text[sizeof(good)];

		memcpy(text, good, sizeof(good));
		text[i] = 'x';
		cr_expect_eq(
		        zk_parse_rfc3339(zk_str_n(text, sizeof(good) - 1), &us, &err),
		        BAD, "%zu", i);
	}
}

Test(time, format_is_the_reverse)
{
	char text[ZK_RFC3339_MAX];
	struct zk_error err;
	struct zk_rand r;
	int64_t back;

	zk_rand_seed(&r, 42);
	for (int i = 0; i < 20000; i++) {
		int64_t us =
		        (int64_t)zk_rand_below(&r, UINT64_C(315537897600) * 1000000) -
		        INT64_C(62135596800) * US;

		cr_assert_eq(zk_format_rfc3339(us, text), 27);
		cr_assert_eq(text[27], 0);
		cr_assert_eq(zk_parse_rfc3339(zk_str_n(text, 27), &back, &err), 0, "%s",
		             text);
		cr_assert_eq(back, us, "%s", text);
	}
}

/* The days of 400 years against the C library. */
Test(time, calendar_agrees_with_libc)
{
	char text[ZK_RFC3339_MAX], want[32];

	for (int64_t day = -200 * 366; day < 200 * 366; day += 1) {
		time_t s = (time_t)(day * 86400 + 86399);
		struct tm tm;

		cr_assert_not_null(gmtime_r(&s, &tm));
		cr_assert_neq(
		        strftime(want, sizeof(want), "%Y-%m-%dT%H:%M:%S.000000Z", &tm),
		        0);
		(void)zk_format_rfc3339((int64_t)s * US, text);
		cr_assert_str_eq(text, want);
	}
}

Test(time, format_clamps)
{
	char text[ZK_RFC3339_MAX];

	(void)zk_format_rfc3339(INT64_MIN, text);
	cr_expect_str_eq(text, "0001-01-01T00:00:00.000000Z");
	(void)zk_format_rfc3339(INT64_MAX, text);
	cr_expect_str_eq(text, "9999-12-31T23:59:59.999999Z");
}

Test(time, http_dates)
{
	static const struct {
		zk_str in;
		int r;
		int64_t s;
	} cases[] = {
		{ ZK_STR_INIT("Sun, 06 Nov 1994 08:49:37 GMT"), 0, 784111777 },
		{ ZK_STR_INIT("Sunday, 06-Nov-94 08:49:37 GMT"), 0, 784111777 },
		{ ZK_STR_INIT("Sun Nov  6 08:49:37 1994"), 0, 784111777 },
		{ ZK_STR_INIT("Wed Nov 16 08:49:37 1994"), 0, 784975777 },
		{ ZK_STR_INIT("Thu, 01 Jan 1970 00:00:00 GMT"), 0, 0 },
		{ ZK_STR_INIT("Tue, 29 Feb 2000 23:59:59 GMT"), 0, 951868799 },
		{ ZK_STR_INIT("Sat, 31 Dec 2016 23:59:60 GMT"), 0, 1483228800 },
		{ ZK_STR_INIT("Wednesday, 01-Jan-70 00:00:00 GMT"), 0, 3155760000 },
		{ ZK_STR_INIT("Saturday, 01-Jan-77 00:00:00 GMT"), 0, 220924800 },
		{ ZK_STR_INIT("Sun, 06 Nov 1994 08:49:37"), BAD, 77 },
		{ ZK_STR_INIT("Sun, 06 Nov 1994 08:49:37 UTC"), BAD, 77 },
		{ ZK_STR_INIT("Sun, 06 Nov 1994 08:49:37 +0000"), BAD, 77 },
		{ ZK_STR_INIT("Sun, 6 Nov 1994 08:49:37 GMT"), BAD, 77 },
		{ ZK_STR_INIT("sun, 06 Nov 1994 08:49:37 GMT"), BAD, 77 },
		{ ZK_STR_INIT("Sun, 06 nov 1994 08:49:37 GMT"), BAD, 77 },
		{ ZK_STR_INIT("Sun, 31 Nov 1994 08:49:37 GMT"), BAD, 77 },
		{ ZK_STR_INIT("Sun, 06 Nov 1994 25:49:37 GMT"), BAD, 77 },
		{ ZK_STR_INIT("Sun, 06-Nov-94 08:49:37 GMT"), BAD, 77 },
		{ ZK_STR_INIT("Sunday, 06 Nov 1994 08:49:37 GMT"), BAD, 77 },
		{ ZK_STR_INIT("Sunday Nov  6 08:49:37 1994"), BAD, 77 },
		{ ZK_STR_INIT("Sun Nov 06 08:49:37 1994x"), BAD, 77 },
		{ ZK_STR_INIT("Sun, 06 Nov 1994 08:49:37 GMT "), BAD, 77 },
		{ ZK_STR_INIT("784111777"), BAD, 77 },
		{ ZK_STR_INIT("Sun, "), BAD, 77 },
		{ ZK_STR_INIT(""), BAD, 77 },
	};

	/* 2025-11-10: two-digit years reach until 2075. */
	zk_clock_fake(0, INT64_C(1762776000) * US);
	for (size_t i = 0; i < ZK_ARRAY_LEN(cases); i++) {
		struct zk_error err;
		int64_t s = 77;

		cr_expect_eq(zk_parse_http_date(cases[i].in, &s, &err), cases[i].r,
		             "case %zu", i);
		cr_expect_eq(s, cases[i].s, "case %zu: %lld", i, (long long)s);
	}
	zk_clock_real();
}

Test(clock, real_ones_go_forward)
{
	int64_t mono = zk_mono_us(), wall = zk_wall_us(), cpu = zk_cpu_ns();

	cr_expect_geq(zk_mono_us(), mono);
	cr_expect_geq(zk_mono_ms(), mono / 1000);
	cr_expect_gt(wall, INT64_C(1700000000) * US);
	cr_expect_geq(zk_cpu_ns(), cpu);
}

Test(clock, fake_ones_stand)
{
	zk_clock_fake(5000, 7000000);
	cr_expect_eq(zk_mono_us(), 5000);
	cr_expect_eq(zk_mono_ms(), 5);
	cr_expect_eq(zk_wall_us(), 7000000);
	zk_clock_advance(2500);
	cr_expect_eq(zk_mono_us(), 7500);
	cr_expect_eq(zk_wall_us(), 7002500);
	zk_clock_real();
	cr_expect_gt(zk_wall_us(), INT64_C(1700000000) * US);
}

Test(time, u64_to_text)
{
	char text[20];

	cr_expect_eq(zk_format_u64(0, text), 1);
	cr_expect_eq(text[0], '0');
	cr_expect_eq(zk_format_u64(UINT64_MAX, text), 20);
	cr_expect_eq(memcmp(text, "18446744073709551615", 20), 0);
	cr_expect_eq(zk_format_u64(1000, text), 4);
	cr_expect_eq(memcmp(text, "1000", 4), 0);
}
