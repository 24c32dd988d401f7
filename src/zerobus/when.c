/* Dates, times, durations as numbers and text.
 * Layer: zerobus. specs/zerobus.md §11. */
#include "zerobus/when.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/ban.h"

bool zk_zb_to_micros(int64_t v, unsigned unit, int64_t *ret)
{
	static const int64_t factor[] = { 1000000, 1000, 1 };

	if (unit == 3) {
		*ret = zk_zb_floor_div(v, 1000);
		return true;
	}
	return !__builtin_mul_overflow(v, factor[unit], ret);
}

/* `n` digits off the front. */
static bool digits(zk_str *s, size_t n, int64_t *ret)
{
	int64_t v = 0;

	if (s->n < n)
		return false;
	for (size_t i = 0; i < n; i++) {
		if (s->p[i] < '0' || s->p[i] > '9')
			return false;
		v = v * 10 + (s->p[i] - '0');
	}
	*s = zk_str_from(*s, n);
	*ret = v;
	return true;
}

static bool eat(zk_str *s, char c)
{
	if (!s->n || s->p[0] != c)
		return false;
	*s = zk_str_from(*s, 1);
	return true;
}

static bool is_leap(int64_t y)
{
	return (y % 4 == 0 && y % 100 != 0) || y % 400 == 0;
}

static int64_t days_of(int64_t y, int64_t m, int64_t d)
{
	/* Years that begin in March: the leap day is the last one. */
	int64_t year = y - (m <= 2), era = zk_zb_floor_div(year, 400),
	        yoe = year - era * 400;
	int64_t doy = (153 * (m + (m > 2 ? -3 : 9)) + 2) / 5 + d - 1;

	return era * 146097 + yoe * 365 + yoe / 4 - yoe / 100 + doy - 719468;
}

static bool take_date(zk_str *s, int64_t *days)
{
	static const int64_t lengths[] = {
		31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31
	};
	int64_t y, m, d;

	if (!digits(s, 4, &y) || !eat(s, '-') || !digits(s, 2, &m) || !eat(s, '-') ||
	    !digits(s, 2, &d))
		return false;
	if (m < 1 || m > 12 || d < 1 || d > lengths[m - 1] + (m == 2 && is_leap(y)))
		return false;
	*days = days_of(y, m, d);
	return true;
}

bool zk_zb_parse_date(zk_str s, int64_t *days)
{
	return take_date(&s, days) && s.n == 0;
}

/* ".123456789" in microseconds. */
static bool take_fraction(zk_str *s, int64_t *us)
{
	int64_t v = 0, n = 0;

	*us = 0;
	if (!eat(s, '.'))
		return true;
	for (; s->n && s->p[0] >= '0' && s->p[0] <= '9'; n++) {
		if (n < 6)
			v = v * 10 + (s->p[0] - '0');
		*s = zk_str_from(*s, 1);
	}
	for (int64_t k = n; k < 6; k++)
		v *= 10;
	*us = v;
	return n > 0;
}

static bool take_zone(zk_str *s, enum zk_zb_zone zone, int64_t *minutes)
{
	bool minus;
	int64_t h, m;

	*minutes = 0;
	if (!s->n)
		return zone != ZK_ZB_ZONE_NEEDED;
	if (zone == ZK_ZB_ZONE_NONE)
		return false;
	if (eat(s, 'Z') || eat(s, 'z'))
		return true;
	minus = s->p[0] == '-';
	if (!minus && s->p[0] != '+')
		return false;
	*s = zk_str_from(*s, 1);
	if (!digits(s, 2, &h) || !eat(s, ':') || !digits(s, 2, &m) || h > 23 || m > 59)
		return false;
	*minutes = (h * 60 + m) * (minus ? -1 : 1);
	return true;
}

/* "HH:MM:SS" and a fraction; seconds may be a leap second. */
static bool take_clock(zk_str *s, int64_t *us)
{
	int64_t h, m, sec, frac;

	if (!digits(s, 2, &h) || !eat(s, ':') || !digits(s, 2, &m) || !eat(s, ':') ||
	    !digits(s, 2, &sec) || !take_fraction(s, &frac))
		return false;
	*us = ((h * 60 + m) * 60 + sec) * 1000000 + frac;
	return h <= 23 && m <= 59 && sec <= 60;
}

bool zk_zb_parse_time(zk_str s, enum zk_zb_zone zone, int64_t *us)
{
	int64_t days, clock, offset;

	if (!take_date(&s, &days) || !(eat(&s, 'T') || eat(&s, 't') || eat(&s, ' ')) ||
	    !take_clock(&s, &clock) || !take_zone(&s, zone, &offset) || s.n)
		return false;
	*us = days * ZK_ZB_DAY_US + clock - offset * 60000000;
	return true;
}

size_t zk_zb_format_time(int64_t us, char out[ZK_ZB_TIME_TEXT])
{
	uint64_t v = us < 0 ? -(uint64_t)us : (uint64_t)us, s = v / 1000000;

	return (size_t)snprintf(out, ZK_ZB_TIME_TEXT,
	                        "%s%02" PRIu64 ":%02" PRIu64 ":%02" PRIu64 ".%06" PRIu64,
	                        us < 0 ? "-" : "", s / 3600, s / 60 % 60, s % 60,
	                        v % 1000000);
}

/* Seconds with as much of a fraction as is there. */
static size_t put_seconds(int64_t ns, char *out, size_t room)
{
	uint64_t v = ns < 0 ? -(uint64_t)ns : (uint64_t)ns, frac = v % 1000000000;
	int n = snprintf(out, room, "T%s%" PRIu64, ns < 0 ? "-" : "", v / 1000000000);

	if (frac) {
		n += snprintf(out + n, room - (size_t)n, ".%09" PRIu64, frac);
		while (out[n - 1] == '0')
			n--;
	}
	out[n++] = 'S';
	return (size_t)n;
}

size_t zk_zb_format_span(int32_t months, int32_t days, int64_t ns,
                         char out[ZK_ZB_SPAN_TEXT])
{
	size_t n = 1;

	out[0] = 'P';
	if (months / 12)
		n += (size_t)snprintf(out + n, ZK_ZB_SPAN_TEXT - n, "%dY", months / 12);
	if (months % 12)
		n += (size_t)snprintf(out + n, ZK_ZB_SPAN_TEXT - n, "%dM", months % 12);
	if (days)
		n += (size_t)snprintf(out + n, ZK_ZB_SPAN_TEXT - n, "%dD", days);
	if (ns || n == 1)
		n += put_seconds(ns, out + n, ZK_ZB_SPAN_TEXT - n);
	return n;
}
