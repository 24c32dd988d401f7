/* Calendar texts: RFC 3339 and RFC 9110 HTTP dates, and numbers to decimal text.
 * Layer: base. */
#include "base/clock.h"
#include "base/err.h"
#include "base/str.h"

#include "base/ban.h"

struct civil {
	int year, month, day, hour, minute, second;
};

#define DAY_S 86400

static bool is_leap(int year)
{
	return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

static int month_days(int year, int month)
{
	static const int days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };

	return days[month - 1] + (month == 2 && is_leap(year));
}

/* Days since 1970-01-01 of a date in the years 0 to 9999. A year is counted from March,
 * so that the leap day comes last. */
static int64_t days_of(int year, int month, int day)
{
	int y = month > 2 ? year : year - 1;
	int from_march = (month + 9) % 12;
	int64_t yy = (int64_t)y + 400; /* keeps the divisions below positive */

	return 365 * yy + yy / 4 - yy / 100 + yy / 400 + (153 * from_march + 2) / 5 +
	       day - 1 - 719468 - 146097;
}

static bool civil_is_valid(const struct civil *c)
{
	return c->year >= 1 && c->month >= 1 && c->month <= 12 && c->day >= 1 &&
	       c->day <= month_days(c->year, c->month) && c->hour <= 23 &&
	       c->minute <= 59 && c->second <= 60;
}

/* Seconds since 1970; `offset_s` is local time minus UTC. A leap second is only right at
 * the end of a UTC day and counts as the second after it. */
static bool civil_to_seconds(const struct civil *c, int offset_s, int64_t *ret)
{
	int64_t s;

	if (!civil_is_valid(c))
		return false;
	s = days_of(c->year, c->month, c->day) * DAY_S + c->hour * 3600 + c->minute * 60 +
	    c->second - offset_s;
	if (c->second == 60 && ((s % DAY_S) + DAY_S) % DAY_S != 0)
		return false;
	*ret = s;
	return true;
}

/* Reads exactly `n` digits at *at. */
static bool take_digits(zk_str s, size_t *at, unsigned n, int *ret)
{
	int v = 0;

	if (s.n - *at < n)
		return false;
	for (unsigned i = 0; i < n; i++) {
		char c = s.p[*at + i];

		if (c < '0' || c > '9')
			return false;
		v = v * 10 + (c - '0');
	}
	*at += n;
	*ret = v;
	return true;
}

static bool take_char(zk_str s, size_t *at, char c)
{
	if (*at >= s.n || s.p[*at] != c)
		return false;
	(*at)++;
	return true;
}

static bool take_text(zk_str s, size_t *at, zk_str text)
{
	if (!zk_str_starts(zk_str_from(s, *at), text))
		return false;
	*at += text.n;
	return true;
}

static bool take_clock(zk_str s, size_t *at, struct civil *c)
{
	return take_digits(s, at, 2, &c->hour) && take_char(s, at, ':') &&
	       take_digits(s, at, 2, &c->minute) && take_char(s, at, ':') &&
	       take_digits(s, at, 2, &c->second);
}

/* ---- RFC 3339 ---- */

/* ".digits" to microseconds; what is finer is cut off. */
static bool take_fraction(zk_str s, size_t *at, int *ret_us)
{
	int us = 0, scale = 100000;
	size_t from;

	*ret_us = 0;
	if (!take_char(s, at, '.'))
		return true;
	from = *at;
	for (; *at < s.n && s.p[*at] >= '0' && s.p[*at] <= '9'; (*at)++) {
		us += (s.p[*at] - '0') * scale;
		scale /= 10;
	}
	*ret_us = us;
	return *at > from;
}

static bool take_offset(zk_str s, size_t *at, int *ret_s)
{
	int sign = 1, hour, minute;

	*ret_s = 0;
	if (take_char(s, at, 'Z') || take_char(s, at, 'z'))
		return true;
	if (take_char(s, at, '-'))
		sign = -1;
	else if (!take_char(s, at, '+'))
		return false;
	if (!take_digits(s, at, 2, &hour) || !take_char(s, at, ':') ||
	    !take_digits(s, at, 2, &minute) || hour > 23 || minute > 59)
		return false;
	*ret_s = sign * (hour * 3600 + minute * 60);
	return true;
}

static bool parse_rfc3339(zk_str s, int64_t *ret_us)
{
	struct civil c;
	int us, offset;
	int64_t sec;
	size_t at = 0;

	if (!take_digits(s, &at, 4, &c.year) || !take_char(s, &at, '-') ||
	    !take_digits(s, &at, 2, &c.month) || !take_char(s, &at, '-') ||
	    !take_digits(s, &at, 2, &c.day))
		return false;
	if (!take_char(s, &at, 'T') && !take_char(s, &at, 't'))
		return false;
	if (!take_clock(s, &at, &c) || !take_fraction(s, &at, &us) ||
	    !take_offset(s, &at, &offset) || at != s.n ||
	    !civil_to_seconds(&c, offset, &sec))
		return false;
	*ret_us = sec * 1000000 + us;
	return true;
}

int zk_parse_rfc3339(zk_str s, int64_t *ret_us, struct zk_error *err)
{
	if (parse_rfc3339(s, ret_us))
		return 0;
	return zk_fail(err, ZK_E_DATA,
	               "'%.*s' is not a time such as 2025-11-10T12:00:00Z",
	               (int)ZK_MIN(s.n, (size_t)80), s.n ? s.p : "");
}

int zk_parse_since(zk_str s, int64_t now_us, int64_t *ret_us, struct zk_error *err)
{
	int64_t ms;

	if (zk_parse_rfc3339(s, ret_us, err) == 0)
		return 0;
	if (zk_parse_duration(s, &ms, err) < 0)
		return zk_fail(err, ZK_E_DATA,
		               "'%.*s' is neither a duration (15m) nor a time "
		               "(2025-11-10T12:00:00Z)",
		               (int)ZK_MIN(s.n, (size_t)80), s.p);
	*ret_us = now_us - ms * 1000;
	return 0;
}

#define MIN_US (INT64_C(-62135596800) * 1000000)          /* 0001-01-01 */
#define MAX_US (INT64_C(253402300799) * 1000000 + 999999) /* end of 9999 */

static void put_digits(char *to, unsigned n, unsigned v)
{
	while (n-- > 0) {
		to[n] = (char)('0' + v % 10);
		v /= 10;
	}
}

/* The reverse of days_of(), with the same year that begins in March. */
static void date_of(int64_t days, unsigned *year, unsigned *month, unsigned *day)
{
	uint64_t d = (uint64_t)(days +
	                        719468); /* since 0000-03-01; not negative after MIN_US */
	uint64_t era = d / 146097, in_era = d % 146097;
	uint64_t y = (in_era - in_era / 1460 + in_era / 36524 - in_era / 146096) / 365;
	uint64_t in_year = in_era - (365 * y + y / 4 - y / 100);
	uint64_t from_march = (5 * in_year + 2) / 153;

	*day = (unsigned)(in_year - (153 * from_march + 2) / 5 + 1);
	*month = (unsigned)(from_march < 10 ? from_march + 3 : from_march - 9);
	*year = (unsigned)(era * 400 + y + (*month <= 2));
}

size_t zk_format_rfc3339(int64_t us, char out[ZK_RFC3339_MAX])
{
	int64_t sec, days;
	unsigned year, month, day, in_day;

	us = ZK_MAX(us, MIN_US);
	us = ZK_MIN(us, MAX_US);
	sec = (us - MIN_US) / 1000000 +
	      MIN_US / 1000000; /* rounds down before 1970 too */
	days = (sec - MIN_US / 1000000) / DAY_S + MIN_US / 1000000 / DAY_S;
	in_day = (unsigned)(sec - days * DAY_S);
	date_of(days, &year, &month, &day);

	memcpy(out, "0000-00-00T00:00:00.000000Z", ZK_RFC3339_MAX);
	put_digits(out, 4, year);
	put_digits(out + 5, 2, month);
	put_digits(out + 8, 2, day);
	put_digits(out + 11, 2, in_day / 3600);
	put_digits(out + 14, 2, in_day / 60 % 60);
	put_digits(out + 17, 2, in_day % 60);
	put_digits(out + 20, 6, (unsigned)(us - sec * 1000000));
	return ZK_RFC3339_MAX - 1;
}

/* ---- RFC 9110 §5.6.7 ---- */

static const zk_str weekdays[] = {
	ZK_STR_INIT("Monday"),   ZK_STR_INIT("Tuesday"), ZK_STR_INIT("Wednesday"),
	ZK_STR_INIT("Thursday"), ZK_STR_INIT("Friday"),  ZK_STR_INIT("Saturday"),
	ZK_STR_INIT("Sunday"),
};
static const zk_str months[] = {
	ZK_STR_INIT("Jan"), ZK_STR_INIT("Feb"), ZK_STR_INIT("Mar"), ZK_STR_INIT("Apr"),
	ZK_STR_INIT("May"), ZK_STR_INIT("Jun"), ZK_STR_INIT("Jul"), ZK_STR_INIT("Aug"),
	ZK_STR_INIT("Sep"), ZK_STR_INIT("Oct"), ZK_STR_INIT("Nov"), ZK_STR_INIT("Dec"),
};

/* The name of a weekday, whole or its first three letters; says which form it was. */
static bool take_weekday(zk_str s, size_t *at, bool *ret_long)
{
	for (size_t i = 0; i < ZK_ARRAY_LEN(weekdays); i++) {
		*ret_long = take_text(s, at, weekdays[i]);
		if (*ret_long || take_text(s, at, zk_str_n(weekdays[i].p, 3)))
			return true;
	}
	return false;
}

static bool take_month(zk_str s, size_t *at, int *ret)
{
	for (size_t i = 0; i < ZK_ARRAY_LEN(months); i++) {
		if (take_text(s, at, months[i])) {
			*ret = (int)i + 1;
			return true;
		}
	}
	return false;
}

/* "06 Nov 1994 08:49:37 GMT" */
static bool take_imf(zk_str s, size_t *at, struct civil *c)
{
	return take_digits(s, at, 2, &c->day) && take_char(s, at, ' ') &&
	       take_month(s, at, &c->month) && take_char(s, at, ' ') &&
	       take_digits(s, at, 4, &c->year) && take_char(s, at, ' ') &&
	       take_clock(s, at, c) && take_text(s, at, ZK_STR(" GMT"));
}

/* A two-digit year more than 50 years ahead is one of the last century. */
static int whole_year(int two)
{
	char now[ZK_RFC3339_MAX];
	size_t at = 0;
	int year = 1970, full;

	(void)zk_format_rfc3339(zk_wall_us(), now);
	(void)take_digits(zk_str_n(now, 4), &at, 4, &year); /* digits always */
	full = year - year % 100 + two;
	return full > year + 50 ? full - 100 : full;
}

/* "06-Nov-94 08:49:37 GMT" */
static bool take_rfc850(zk_str s, size_t *at, struct civil *c)
{
	bool ok = take_digits(s, at, 2, &c->day) && take_char(s, at, '-') &&
	          take_month(s, at, &c->month) && take_char(s, at, '-') &&
	          take_digits(s, at, 2, &c->year) && take_char(s, at, ' ') &&
	          take_clock(s, at, c) && take_text(s, at, ZK_STR(" GMT"));

	if (ok)
		c->year = whole_year(c->year);
	return ok;
}

/* "Nov  6 08:49:37 1994" */
static bool take_asctime(zk_str s, size_t *at, struct civil *c)
{
	if (!take_month(s, at, &c->month) || !take_char(s, at, ' '))
		return false;
	if (!take_digits(s, at, take_char(s, at, ' ') ? 1 : 2, &c->day))
		return false;
	return take_char(s, at, ' ') && take_clock(s, at, c) && take_char(s, at, ' ') &&
	       take_digits(s, at, 4, &c->year);
}

int zk_parse_http_date(zk_str s, int64_t *ret_s, struct zk_error *err)
{
	struct civil c = { 0 };
	bool is_long = false, ok;
	size_t at = 0;

	ok = take_weekday(s, &at, &is_long);
	if (ok && take_text(s, &at, ZK_STR(", ")))
		ok = is_long ? take_rfc850(s, &at, &c) : take_imf(s, &at, &c);
	else
		ok = ok && !is_long && take_char(s, &at, ' ') && take_asctime(s, &at, &c);
	if (ok && at == s.n && civil_to_seconds(&c, 0, ret_s))
		return 0;
	return zk_fail(err, ZK_E_DATA, "'%.*s' is not an HTTP date",
	               (int)ZK_MIN(s.n, (size_t)80), s.n ? s.p : "");
}

size_t zk_format_u64(uint64_t v, char out[20])
{
	char text[20];
	size_t n = 0;

	do {
		text[sizeof(text) - ++n] = (char)('0' + v % 10);
		v /= 10;
	} while (v);
	memcpy(out, text + sizeof(text) - n, n);
	return n;
}
