/* zk_str: a borrowed run of bytes, and the parsing of numbers, sizes, durations and times.
 * Layer: base. Pure functions; any thread. */
#ifndef ZK_BASE_STR_H
#define ZK_BASE_STR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/attr.h"

struct zk_error;

/* Bytes that somebody else owns; not NUL-terminated. An empty slice may have p == NULL. */
typedef struct {
	const char *p;
	size_t n;
} zk_str;

#define ZK_STR(lit) ((zk_str){ (lit), sizeof(lit) - 1 })
#define ZK_STR_INIT(lit)               \
	{                              \
		(lit), sizeof(lit) - 1 \
	}
#define ZK_STR_NULL ((zk_str){ NULL, 0 })
/* For printf: "%.*s". */
#define ZK_STR_ARG(s) (int)(s).n, (s).n ? (s).p : ""

static inline zk_str zk_str_of(const char *s)
{
	return (zk_str){ s, s ? strlen(s) : 0 };
}

static inline zk_str zk_str_n(const char *p, size_t n)
{
	return (zk_str){ p, n };
}

/* The slice from `from` on; empty when `from` lies behind the end. */
static inline zk_str zk_str_from(zk_str s, size_t from)
{
	return from >= s.n ? (zk_str){ s.p ? s.p + s.n : NULL, 0 }
	                   : (zk_str){ s.p + from, s.n - from };
}

static inline bool zk_str_eq(zk_str a, zk_str b)
{
	return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

bool zk_str_eq_nocase(zk_str a, zk_str b); /* ASCII only */
int zk_str_cmp(zk_str a, zk_str b);        /* bytewise, like strcmp */
bool zk_str_starts(zk_str s, zk_str prefix);
bool zk_str_ends(zk_str s, zk_str suffix);
bool zk_str_starts_nocase(zk_str s, zk_str prefix);
zk_str zk_str_trim(zk_str s); /* without leading and trailing space, \t, \r, \n */
/* Splits at the first `sep`: `*head` is before it, the result after it. Without a `sep` the head
 * is everything and the result is empty with p == NULL. */
zk_str zk_str_cut(zk_str s, char sep, zk_str *head);
/* Position of the first `c`, or -1. */
ptrdiff_t zk_str_find_char(zk_str s, char c);
ptrdiff_t zk_str_find(zk_str s, zk_str needle);
/* Glob with `*` and `?` only; case-sensitive, linear time in practice and never recursive. */
bool zk_str_glob(zk_str pattern, zk_str s);
/* True when every byte is valid UTF-8 (no surrogates, no overlong forms, max U+10FFFF). */
bool zk_utf8_valid(zk_str s);
/* Length (1 to 4) of the valid UTF-8 sequence at the start of the `n` bytes at `p`; 0 when there
 * is none. */
size_t zk_utf8_seq(const char *p, size_t n);
/* Number of code points of valid UTF-8. */
size_t zk_utf8_len(zk_str s);
/* Damerau-Levenshtein distance (optimal string alignment), at most `max` + 1. Texts of more than
 * 128 bytes are similar to nothing but themselves. */
unsigned zk_str_distance(zk_str a, zk_str b, unsigned max);

/* Whole numbers without a message: false for anything else, an overflow too. */
bool zk_str_u64(zk_str s, uint64_t *ret);
bool zk_str_i64(zk_str s, int64_t *ret);

/* Whole-slice parsers: 0, or -ZK_E_DATA with a message that quotes the text. Nothing is
 * written on failure; surrounding space, signs where they make no sense, and overflow are
 * errors. */
int zk_parse_u64(zk_str s, uint64_t *ret, struct zk_error *err) ZK_MUST_USE;
int zk_parse_i64(zk_str s, int64_t *ret, struct zk_error *err) ZK_MUST_USE;
int zk_parse_double(zk_str s, double *ret, struct zk_error *err) ZK_MUST_USE;
/* true/false, yes/no, on/off, 1/0. */
int zk_parse_bool(zk_str s, bool *ret, struct zk_error *err) ZK_MUST_USE;
/* "250ms", "1.5s", "2m", "1h", "7d" to milliseconds; "0" is allowed, any other bare number is
 * an error (ux.md §1). */
int zk_parse_duration(zk_str s, int64_t *ret_ms, struct zk_error *err) ZK_MUST_USE;
/* "64KiB", "10MB", "512B", "1GiB" to bytes; "0" is allowed, any other bare number is an error. */
int zk_parse_size(zk_str s, uint64_t *ret_bytes, struct zk_error *err) ZK_MUST_USE;
/* RFC 3339 ("2025-11-10T12:00:00.123456Z", offsets allowed) to microseconds since 1970. */
int zk_parse_rfc3339(zk_str s, int64_t *ret_us, struct zk_error *err) ZK_MUST_USE;
/* A moment: RFC 3339, or a duration before `now_us` ("15m"); microseconds since 1970. */
int zk_parse_since(zk_str s, int64_t now_us, int64_t *ret_us,
                   struct zk_error *err) ZK_MUST_USE;
/* RFC 9110 HTTP date (IMF-fixdate, and the two obsolete forms) to seconds since 1970. */
int zk_parse_http_date(zk_str s, int64_t *ret_s, struct zk_error *err) ZK_MUST_USE;

/* "2025-11-10T12:00:00.123456Z" into `out` (28 bytes with NUL). Years 0001 to 9999; others are
 * clamped. Returns the length, 27. */
#define ZK_RFC3339_MAX 28
size_t zk_format_rfc3339(int64_t us, char out[ZK_RFC3339_MAX]);
/* Decimal digits of `v` into `out` (no NUL); returns their number, at most 20. */
size_t zk_format_u64(uint64_t v, char out[20]);

#endif
