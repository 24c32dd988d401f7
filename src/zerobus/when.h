/* when: dates, times, durations as numbers and text.
 * Layer: zerobus, internal. specs/zerobus.md §11. Pure functions. */
#ifndef ZK_ZEROBUS_WHEN_H
#define ZK_ZEROBUS_WHEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

#define ZK_ZB_DAY_US 86400000000LL

/* Division that rounds down, also below zero; `by` > 0. */
static inline int64_t zk_zb_floor_div(int64_t v, int64_t by)
{
	int64_t q = v / by;

	return q - (v % by < 0);
}

/* A number of `unit` (enum zk_arrow_unit) in microseconds, nanoseconds floored; false on
 * overflow. */
bool zk_zb_to_micros(int64_t v, unsigned unit, int64_t *ret);

/* "YYYY-MM-DD" to days since 1970. */
bool zk_zb_parse_date(zk_str s, int64_t *days);
enum zk_zb_zone {
	ZK_ZB_ZONE_NEEDED, /* RFC 3339 with offset */
	ZK_ZB_ZONE_NONE,   /* a date and time without offset */
	ZK_ZB_ZONE_MAYBE,  /* none means UTC */
};
/* "YYYY-MM-DD", 'T' or a space, "HH:MM:SS", a fraction, an offset: to microseconds; a fraction
 * beyond them is floored. */
bool zk_zb_parse_time(zk_str s, enum zk_zb_zone zone, int64_t *us);

/* "[-]HH:MM:SS.ffffff"; hours may have more digits. Returns the length. */
#define ZK_ZB_TIME_TEXT 40
size_t zk_zb_format_time(int64_t us, char out[ZK_ZB_TIME_TEXT]);
/* An ISO 8601 duration such as P1Y2M or P3DT4.005S. */
#define ZK_ZB_SPAN_TEXT 64
size_t zk_zb_format_span(int32_t months, int32_t days, int64_t ns,
                         char out[ZK_ZB_SPAN_TEXT]);

#endif
