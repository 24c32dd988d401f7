/* press_block: whole blocks of known size, LZ4 frames and ZSTD, as Arrow stores them. Both
 * libraries are opened on first use.
 * Layer: codec. Any thread; a zk_unblock belongs to one at a time. */
#ifndef ZK_CODEC_PRESS_BLOCK_H
#define ZK_CODEC_PRESS_BLOCK_H

#include <stddef.h>

#include "base/attr.h"
#include "base/err.h"
#include "base/str.h"

enum zk_block { ZK_BLOCK_LZ4, ZK_BLOCK_ZSTD };

/* Expands `in`, which holds one frame (bytes behind it are ignored), into exactly `n` bytes at
 * `out`. 0, -ZK_E_LIBRARY, or -ZK_E_DATA with "the LZ4 frame holds 12 bytes, not 10" or what the
 * library says. */
int zk_block_expand(enum zk_block kind, zk_str in, char *out, size_t n,
                    struct zk_error *err) ZK_MUST_USE;

#endif
