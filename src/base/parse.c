/* Parsers of whole slices: numbers, booleans, durations, sizes.
 * Layer: base. */
#include <math.h>
#include <stdlib.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"

#include "base/ban.h"

/* How much of a wrong text a message shows. */
static int shown(zk_str s)
{
	return (int)ZK_MIN(s.n, (size_t)80);
}

#define SHOW(s) shown(s), (s).n ? (s).p : ""

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* Digits only; false on an empty slice, another character or overflow. */
static bool digits_u64(zk_str s, uint64_t *ret)
{
	uint64_t v = 0;

	if (s.n == 0)
		return false;
	for (size_t i = 0; i < s.n; i++) {
		if (!is_digit(s.p[i]) || __builtin_mul_overflow(v, 10u, &v) ||
		    __builtin_add_overflow(v, (uint64_t)(s.p[i] - '0'), &v))
			return false;
	}
	*ret = v;
	return true;
}

bool zk_str_u64(zk_str s, uint64_t *ret)
{
	return digits_u64(s, ret);
}

bool zk_str_i64(zk_str s, int64_t *ret)
{
	bool minus = s.n && s.p[0] == '-';
	uint64_t v;

	if (!digits_u64(minus ? zk_str_from(s, 1) : s, &v) ||
	    v > (uint64_t)INT64_MAX + (minus ? 1 : 0))
		return false;
	*ret = minus ? (int64_t)(0 - v) : (int64_t)v;
	return true;
}

int zk_parse_u64(zk_str s, uint64_t *ret, struct zk_error *err)
{
	if (zk_str_u64(s, ret))
		return 0;
	return zk_fail(err, ZK_E_DATA, "'%.*s' is not a whole number from 0 to %llu",
	               SHOW(s), (unsigned long long)UINT64_MAX);
}

int zk_parse_i64(zk_str s, int64_t *ret, struct zk_error *err)
{
	if (zk_str_i64(s, ret))
		return 0;
	return zk_fail(err, ZK_E_DATA, "'%.*s' is not a whole number of 64 bits",
	               SHOW(s));
}

static size_t skip_digits(zk_str s, size_t i)
{
	while (i < s.n && is_digit(s.p[i]))
		i++;
	return i;
}

/* -?digits[.digits][(e|E)[+-]digits] */
static bool is_decimal(zk_str s)
{
	size_t i = s.n && s.p[0] == '-', from = i;

	i = skip_digits(s, i);
	if (i == from)
		return false;
	if (i < s.n && s.p[i] == '.') {
		from = ++i;
		i = skip_digits(s, i);
		if (i == from)
			return false;
	}
	if (i < s.n && (s.p[i] == 'e' || s.p[i] == 'E')) {
		i++;
		if (i < s.n && (s.p[i] == '+' || s.p[i] == '-'))
			i++;
		from = i;
		i = skip_digits(s, i);
		if (i == from)
			return false;
	}
	return i == s.n;
}

int zk_parse_double(zk_str s, double *ret, struct zk_error *err)
{
	char text[64];
	char *copy;
	double v;

	if (!is_decimal(s))
		return zk_fail(err, ZK_E_DATA, "'%.*s' is not a number", SHOW(s));
	/* zk never leaves the "C" numeric locale. */
	if (s.n < sizeof(text)) {
		memcpy(text, s.p, s.n);
		text[s.n] = '\0';
		v = strtod(text, NULL);
	} else {
		copy = zk_strndup(s.p, s.n);
		v = strtod(copy, NULL);
		free(copy);
	}
	if (!isfinite(v))
		return zk_fail(err, ZK_E_DATA, "the number '%.*s' is too large", SHOW(s));
	*ret = v;
	return 0;
}

int zk_parse_bool(zk_str s, bool *ret, struct zk_error *err)
{
	static const zk_str yes[] = { ZK_STR_INIT("true"), ZK_STR_INIT("yes"),
		                      ZK_STR_INIT("on"), ZK_STR_INIT("1") };
	static const zk_str no[] = { ZK_STR_INIT("false"), ZK_STR_INIT("no"),
		                     ZK_STR_INIT("off"), ZK_STR_INIT("0") };

	for (size_t i = 0; i < ZK_ARRAY_LEN(yes); i++) {
		if (zk_str_eq(s, yes[i]) || zk_str_eq(s, no[i])) {
			*ret = zk_str_eq(s, yes[i]);
			return 0;
		}
	}
	return zk_fail(err, ZK_E_DATA,
	               "'%.*s' is not one of true, false, yes, no, on, off, 1, 0",
	               SHOW(s));
}

struct unit {
	zk_str name;
	uint64_t factor;
};

enum scaled { SCALED_OK, SCALED_SYNTAX, SCALED_UNIT, SCALED_FRACTION, SCALED_RANGE };

static const struct unit *find_unit(zk_str name, const struct unit *units, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (zk_str_eq(name, units[i].name))
			return &units[i];
	return NULL;
}

/* digits[.digits] times `factor`; the product must be whole. */
static enum scaled scale(zk_str whole, zk_str fraction, uint64_t factor, uint64_t *ret)
{
	uint64_t v, part = 0, divisor = 1;

	if (!digits_u64(whole, &v) || __builtin_mul_overflow(v, factor, &v))
		return SCALED_RANGE;
	while (fraction.n && fraction.p[fraction.n - 1] == '0')
		fraction.n--;
	for (size_t i = 0; i < fraction.n; i++)
		if (__builtin_mul_overflow(divisor, 10u, &divisor))
			return SCALED_FRACTION;
	if (fraction.n &&
	    (!digits_u64(fraction, &part) || __builtin_mul_overflow(part, factor, &part)))
		return SCALED_FRACTION;
	if (part % divisor)
		return SCALED_FRACTION;
	if (__builtin_add_overflow(v, part / divisor, &v))
		return SCALED_RANGE;
	*ret = v;
	return SCALED_OK;
}

static enum scaled parse_scaled(zk_str s, const struct unit *units, size_t n,
                                uint64_t *ret)
{
	size_t end = skip_digits(s, 0), after = end;
	zk_str fraction = ZK_STR_NULL;
	const struct unit *u;

	if (end == 0)
		return SCALED_SYNTAX;
	if (s.n == 1 && s.p[0] == '0') {
		*ret = 0;
		return SCALED_OK;
	}
	if (end < s.n && s.p[end] == '.') {
		after = skip_digits(s, end + 1);
		fraction = zk_str_n(s.p + end + 1, after - end - 1);
		if (fraction.n == 0)
			return SCALED_SYNTAX;
	}
	u = find_unit(zk_str_from(s, after), units, n);
	if (!u)
		return SCALED_UNIT;
	return scale(zk_str_n(s.p, end), fraction, u->factor, ret);
}

int zk_parse_duration(zk_str s, int64_t *ret_ms, struct zk_error *err)
{
	static const struct unit units[] = { { ZK_STR_INIT("ms"), 1 },
		                             { ZK_STR_INIT("s"), 1000 },
		                             { ZK_STR_INIT("m"), 60 * 1000 },
		                             { ZK_STR_INIT("h"), 60 * 60 * 1000 },
		                             { ZK_STR_INIT("d"), 24 * 60 * 60 * 1000 } };
	enum scaled r;
	uint64_t v = 0;

	r = parse_scaled(s, units, ZK_ARRAY_LEN(units), &v);
	if (r == SCALED_OK && v > INT64_MAX)
		r = SCALED_RANGE;
	switch (r) {
	case SCALED_OK:
		*ret_ms = (int64_t)v;
		return 0;
	case SCALED_SYNTAX:
	case SCALED_UNIT:
		return zk_fail(err, ZK_E_DATA,
		               "'%.*s' is not a duration such as 250ms, 5s, 2m, 1h or 7d",
		               SHOW(s));
	case SCALED_FRACTION:
		return zk_fail(
		        err, ZK_E_DATA,
		        "the duration '%.*s' is not a whole number of milliseconds",
		        SHOW(s));
	case SCALED_RANGE:
		break;
	}
	return zk_fail(err, ZK_E_DATA, "the duration '%.*s' is too long", SHOW(s));
}

int zk_parse_size(zk_str s, uint64_t *ret_bytes, struct zk_error *err)
{
	static const struct unit units[] = {
		{ ZK_STR_INIT("B"), 1 },
		{ ZK_STR_INIT("kB"), 1000 },
		{ ZK_STR_INIT("KB"), 1000 },
		{ ZK_STR_INIT("MB"), 1000 * 1000 },
		{ ZK_STR_INIT("GB"), 1000 * 1000 * 1000 },
		{ ZK_STR_INIT("TB"), UINT64_C(1000) * 1000 * 1000 * 1000 },
		{ ZK_STR_INIT("KiB"), 1024 },
		{ ZK_STR_INIT("MiB"), 1024 * 1024 },
		{ ZK_STR_INIT("GiB"), 1024 * 1024 * 1024 },
		{ ZK_STR_INIT("TiB"), UINT64_C(1024) * 1024 * 1024 * 1024 },
	};

	switch (parse_scaled(s, units, ZK_ARRAY_LEN(units), ret_bytes)) {
	case SCALED_OK:
		return 0;
	case SCALED_SYNTAX:
	case SCALED_UNIT:
		return zk_fail(err, ZK_E_DATA,
		               "'%.*s' is not a size such as 512B, 64KiB, 10MB or 1GiB",
		               SHOW(s));
	case SCALED_FRACTION:
		return zk_fail(err, ZK_E_DATA,
		               "the size '%.*s' is not a whole number of bytes", SHOW(s));
	case SCALED_RANGE:
		break;
	}
	return zk_fail(err, ZK_E_DATA, "the size '%.*s' is too large", SHOW(s));
}
