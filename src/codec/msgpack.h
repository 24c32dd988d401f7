/* msgpack: MessagePack as the peers of procwire speak it: a walker over raw bytes, a writer,
 * conversion from and to JSON. Layer: codec. Pure functions, any thread; slices borrow the text.
 *
 * Nothing recurses and nothing is allocated for what a peer announces: element counts are
 * checked against the bytes that are there. Extension types of the peers
 * (specs/procwire.md §12.2): 1 is a byte buffer, -1 the standard time stamp, 2 (read only) a
 * float64 of milliseconds since 1970. */
#ifndef ZK_CODEC_MSGPACK_H
#define ZK_CODEC_MSGPACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/err.h"
#include "base/str.h"

struct zk_buf;

/* Deepest nesting that is accepted; `[]` has depth 1. */
#define ZK_MP_DEPTH 128

enum { ZK_MP_EXT_BUFFER = 1, ZK_MP_EXT_DATE = 2, ZK_MP_EXT_TIME = -1 };

enum zk_mptype {
	ZK_MP_NIL,
	ZK_MP_BOOL,
	ZK_MP_UINT, /* any integer from 0 up */
	ZK_MP_INT,  /* below 0 */
	ZK_MP_FLOAT,
	ZK_MP_STR,
	ZK_MP_BIN,
	ZK_MP_EXT,
	ZK_MP_ARRAY, /* `n` values follow */
	ZK_MP_MAP,   /* `n` pairs follow */
};

/* One value, or the head of a container. */
struct zk_mpval {
	enum zk_mptype type;
	int8_t ext; /* EXT: its type */
	bool b;
	uint32_t n; /* ARRAY, MAP */
	uint64_t u; /* UINT */
	int64_t i;  /* INT */
	double f;   /* FLOAT */
	zk_str s;   /* STR, BIN, EXT */
};

/* Takes one value or head off the front of `in`. False when the bytes end inside it, when it
 * is no value (0xc1), or when it announces more elements than bytes are left. */
bool zk_mp_next(zk_str *in, struct zk_mpval *ret) ZK_MUST_USE;
/* Takes one whole value off the front of `in` and returns its bytes; empty when there is no
 * sound one. Strings are not checked. */
zk_str zk_mp_take(zk_str *in);
/* That `text` is exactly one value, nested at most ZK_MP_DEPTH deep, all strings of it UTF-8. 0,
 * or -ZK_E_DATA saying where and what. */
int zk_mp_check(zk_str text, struct zk_error *err) ZK_MUST_USE;
/* The value of the last member `key` of the map `text`; false when there is none. */
bool zk_mp_get(zk_str text, zk_str key, zk_str *ret);
/* Same, and it must be of this kind. */
bool zk_mp_get_str(zk_str text, zk_str key, zk_str *ret);
bool zk_mp_get_u64(zk_str text, zk_str key, uint64_t *ret);
/* The bytes of a string, bin or buffer value; false for other values. */
bool zk_mp_bytes(zk_str text, zk_str *ret);
/* Microseconds since 1970 of a date (EXT -1 or 2); false for what is none. */
bool zk_mp_time(const struct zk_mpval *v, int64_t *ret_us);

/* ---- writing: the shortest form of each value, as the peers write it ---- */

void zk_mp_nil(struct zk_buf *b);
void zk_mp_bool(struct zk_buf *b, bool v);
void zk_mp_u64(struct zk_buf *b, uint64_t v);
void zk_mp_i64(struct zk_buf *b, int64_t v);
void zk_mp_double(struct zk_buf *b, double v);
/* Must be UTF-8; at most 2^32 - 1 bytes, like the two below. */
void zk_mp_str(struct zk_buf *b, zk_str s);
void zk_mp_cstr(struct zk_buf *b, const char *s); /* NULL is nil */
/* The same for text that came from outside: what is no UTF-8 becomes U+FFFD. */
void zk_mp_text(struct zk_buf *b, zk_str s);
void zk_mp_bin(struct zk_buf *b, zk_str bytes);
void zk_mp_ext(struct zk_buf *b, int8_t type, zk_str bytes);
void zk_mp_array(struct zk_buf *b, uint32_t n);
void zk_mp_map(struct zk_buf *b, uint32_t n);
/* A date: extension type -1. */
void zk_mp_date(struct zk_buf *b, int64_t us);

/* ---- JSON ---- */

/* Appends checked `text` as JSON: nil null, bytes as base64 text, dates in RFC 3339, NaN and the
 * infinities null; integer keys become text. 0, or -ZK_E_DATA for other keys and extension
 * types, -ZK_E_LIMIT when `b` is full. */
int zk_mp_to_json(zk_str text, struct zk_buf *b, struct zk_error *err) ZK_MUST_USE;
/* Appends the one JSON value in `json` as msgpack. Integers keep all 64 bits, other numbers are
 * float64, lone surrogates become U+FFFD. 0, or -ZK_E_JSON, -ZK_E_UTF8, -ZK_E_LIMIT. */
int zk_mp_from_json(zk_str json, struct zk_buf *b, struct zk_error *err) ZK_MUST_USE;

#endif
