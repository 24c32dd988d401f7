/* Where a row is written: bytes with a cap that keep counting behind it, so that the size of a
 * row that is too large is known exactly.
 * Layer: zerobus, internal. */
#ifndef ZK_ZEROBUS_OUT_H
#define ZK_ZEROBUS_OUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/attr.h"
#include "base/str.h"
#include "codec/pb.h"

#define ZK_ZB_OUT_SPARE 64 /* bytes a writer may take with zk_zb_out_need() */

struct zk_zb_out {
	char *p;
	size_t n; /* written, or counted */
	size_t room, cap;
	bool over; /* the cap was passed: `n` still counts */
	char spare[ZK_ZB_OUT_SPARE];
};

void zk_zb_out_init(struct zk_zb_out *o, size_t cap_bytes);
void zk_zb_out_done(struct zk_zb_out *o);
/* Makes room, or begins to count only. */
void zk_zb_out_grow(struct zk_zb_out *o, size_t more);

static inline void zk_zb_out_clear(struct zk_zb_out *o)
{
	o->n = 0;
	o->over = false;
}

/* Room for `k` bytes (at most ZK_ZB_OUT_SPARE); the writer adds what it wrote to o->n. */
static inline char *zk_zb_out_need(struct zk_zb_out *o, size_t k)
{
	if (ZK_UNLIKELY(o->over || o->room - o->n < k)) {
		if (!o->over)
			zk_zb_out_grow(o, k);
		if (o->over)
			return o->spare;
	}
	return o->p + o->n;
}

static inline void zk_zb_out_put(struct zk_zb_out *o, const char *p, size_t n)
{
	if (ZK_UNLIKELY(!o->over && o->room - o->n < n))
		zk_zb_out_grow(o, n);
	if (ZK_LIKELY(!o->over && n))
		memcpy(o->p + o->n, p, n);
	o->n += n;
}

static inline void zk_zb_out_char(struct zk_zb_out *o, char c)
{
	*zk_zb_out_need(o, 1) = c;
	o->n++;
}

/* A nested message: one byte is left for its length. */
static inline size_t zk_zb_out_open(struct zk_zb_out *o)
{
	zk_zb_out_char(o, 0);
	return o->n;
}

void zk_zb_out_close(struct zk_zb_out *o, size_t mark);

/* ---- JSON ---- */

/* With quotes and the shortest legal escapes; `s` is valid UTF-8. */
void zk_zb_out_json_str(struct zk_zb_out *o, zk_str s);
void zk_zb_out_base64(struct zk_zb_out *o, zk_str bytes);
void zk_zb_out_i64(struct zk_zb_out *o, int64_t v);
void zk_zb_out_u64(struct zk_zb_out *o, uint64_t v);
/* The shortest text that reads back equal, by the rules of its own width. Finite only. */
void zk_zb_out_double(struct zk_zb_out *o, double v);
void zk_zb_out_float(struct zk_zb_out *o, float v);

static inline zk_str zk_zb_out_str(const struct zk_zb_out *o)
{
	return zk_str_n(o->p, o->over ? 0 : o->n);
}

#endif
