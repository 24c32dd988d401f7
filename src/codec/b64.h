/* b64: base64 (RFC 4648).
 * Layer: codec. Pure functions; any thread. */
#ifndef ZK_CODEC_B64_H
#define ZK_CODEC_B64_H

#include <stdbool.h>

#include "base/attr.h"
#include "base/str.h"

struct zk_buf;

enum zk_b64 {
	ZK_B64_STD, /* + and /, padded with = */
	ZK_B64_RAW, /* + and /, no padding (PHC texts) */
	ZK_B64_URL, /* - and _, no padding */
};

void zk_b64_encode(zk_str bytes, enum zk_b64 kind, struct zk_buf *b);
/* Appends the bytes of `text`. Strict: no white space, exactly the padding of `kind`,
 * unused bits zero; false otherwise, or when `b` is full, and `b` is as before. */
bool zk_b64_decode(zk_str text, enum zk_b64 kind, struct zk_buf *b) ZK_MUST_USE;

#endif
