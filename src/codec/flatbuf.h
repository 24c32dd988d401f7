/* flatbuf: bounded reader of flatbuffers, the metadata of Arrow (specs/zerobus.md, appendix B).
 * Layer: codec. One owner; slices borrow the bytes. Alignment is not assumed.
 *
 * Every getter checks what it touches. What is malformed gives the default and sets `bad`, which
 * stays; the caller looks at it before it believes anything. */
#ifndef ZK_CODEC_FLATBUF_H
#define ZK_CODEC_FLATBUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/str.h"

struct zk_fb {
	const uint8_t *p;
	size_t n;
	const char *bad; /* NULL, or what was malformed first */
};

/* A table; absent ones have fb == NULL and give defaults. */
struct zk_fb_table {
	struct zk_fb *fb;
	uint32_t pos, vtable;
	uint16_t vtable_n, size;
};

/* A vector; absent ones have count 0. */
struct zk_fb_vec {
	struct zk_fb *fb;
	uint32_t pos, count;
};

void zk_fb_init(struct zk_fb *fb, zk_str bytes);
void zk_fb_root(struct zk_fb *fb, struct zk_fb_table *ret);

uint8_t zk_fb_u8(const struct zk_fb_table *t, unsigned id, uint8_t def);
int16_t zk_fb_i16(const struct zk_fb_table *t, unsigned id, int16_t def);
int32_t zk_fb_i32(const struct zk_fb_table *t, unsigned id, int32_t def);
int64_t zk_fb_i64(const struct zk_fb_table *t, unsigned id, int64_t def);
/* Empty when absent. */
zk_str zk_fb_str(const struct zk_fb_table *t, unsigned id);
void zk_fb_sub(const struct zk_fb_table *t, unsigned id, struct zk_fb_table *ret);
/* A vector of elements of `size` bytes (tables: 4). */
void zk_fb_vector(const struct zk_fb_table *t, unsigned id, size_t size,
                  struct zk_fb_vec *ret);
/* The `i`th element of a vector of `size` bytes each; i < count. */
const uint8_t *zk_fb_at(const struct zk_fb_vec *v, uint32_t i, size_t size);
void zk_fb_table_at(const struct zk_fb_vec *v, uint32_t i, struct zk_fb_table *ret);

#endif
