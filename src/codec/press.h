/* press: gzip, deflate (zlib) and zstd with a cap on what comes out. zstd is opened on
 * first use. Layer: codec. One owner per stream; dictionaries may be shared by threads.
 */
#ifndef ZK_CODEC_PRESS_H
#define ZK_CODEC_PRESS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/attr.h"
#include "base/err.h"
#include "base/str.h"

struct zk_buf;

enum zk_press {
	ZK_PRESS_GZIP,    /* RFC 1952; several members in a row are one stream */
	ZK_PRESS_DEFLATE, /* HTTP's "deflate": zlib (RFC 1950), raw deflate accepted */
	ZK_PRESS_ZSTD,    /* RFC 8878; several frames in a row are one stream */
};

/* "gzip" (also "x-gzip"), "deflate", "zstd"; false for others. ASCII case does not count.
 */
bool zk_press_parse(zk_str name, enum zk_press *ret);

/* A zstd dictionary, digested once. */
struct zk_zdict;
/* 0, or -ZK_E_LIBRARY, -ZK_E_DATA. Copies `bytes`. */
int zk_zdict_new(zk_str bytes, struct zk_zdict **ret, struct zk_error *err) ZK_MUST_USE;
void zk_zdict_free(struct zk_zdict *d);
/* The id in the dictionary's head, 0 when it has none. */
unsigned zk_zdict_id(const struct zk_zdict *d);

/* One decompressor, used again for stream after stream. `dict` (may be NULL, zstd only)
 * is borrowed for its life. `cap_bytes` bounds what one stream may expand to. */
struct zk_unpress;
int zk_unpress_new(enum zk_press kind, const struct zk_zdict *dict, size_t cap_bytes,
                   struct zk_unpress **ret, struct zk_error *err) ZK_MUST_USE;
void zk_unpress_free(struct zk_unpress *u);
/* Begins a new stream. */
void zk_unpress_reset(struct zk_unpress *u);
/* Takes all of `in` and appends what it expands to. 0, -ZK_E_DATA when it is damaged, or
 * -ZK_E_LIMIT when the stream or `out` grew past its cap; after a failure only reset and
 * free. */
int zk_unpress_put(struct zk_unpress *u, zk_str in, struct zk_buf *out,
                   struct zk_error *err) ZK_MUST_USE;
/* The stream must be complete here: 0, or -ZK_E_DATA. */
int zk_unpress_end(struct zk_unpress *u, struct zk_error *err) ZK_MUST_USE;
/* reset, put and end in one: a whole message. */
int zk_unpress_all(struct zk_unpress *u, zk_str in, struct zk_buf *out,
                   struct zk_error *err) ZK_MUST_USE;

/* Appends `in` as one gzip member (level 1 to 9). 0, or -ZK_E_LIMIT when `out` is full.
 */
int zk_press_gzip(zk_str in, int level, struct zk_buf *out,
                  struct zk_error *err) ZK_MUST_USE;

#endif
