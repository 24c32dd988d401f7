/* pack: streams into gzip, zstd, or raw deflate (the inside of a ZIP member).
 * Layer: codec. One owner per stream. zstd is opened on first use. The way back is
 * codec/press.h. */
#ifndef ZK_CODEC_PACK_H
#define ZK_CODEC_PACK_H

#include <stdbool.h>

#include "base/attr.h"
#include "base/err.h"
#include "base/str.h"

struct zk_buf;
struct zk_pack;

enum zk_pack_kind { ZK_PACK_GZIP, ZK_PACK_ZSTD, ZK_PACK_RAW_DEFLATE };

/* `level` 0 = the library's usual one. 0, or -ZK_E_LIBRARY, -ZK_E_SYSTEM. */
int zk_pack_new(enum zk_pack_kind kind, int level, struct zk_pack **ret,
                struct zk_error *err) ZK_MUST_USE;
void zk_pack_free(struct zk_pack *p); /* NULL is fine */
/* Takes all of `in` and appends what is ready; with `last` also the end of the stream. 0, or
 * -ZK_E_LIMIT when `out` is full. */
int zk_pack_put(struct zk_pack *p, zk_str in, bool last, struct zk_buf *out,
                struct zk_error *err) ZK_MUST_USE;

#endif
