/* Binary frames of streams: one byte of type, the id of the stream, a payload.
 * Layer: zip. Pure; slices borrow the bytes given. specs/zeal-zip.md §7.6; vectors: fixtures
 * ws/stream-frames.json. */
#ifndef ZK_ZIP_FRAME_H
#define ZK_ZIP_FRAME_H

#include <stdint.h>

#include "base/attr.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

#define ZK_ZIP_FRAME_HEAD 9
/* The largest payload of a data frame that is sent. */
#define ZK_ZIP_CHUNK_MAX ((size_t)512 << 10)

/* The bytes on the wire. */
enum zk_zip_frame_type {
	ZK_ZIP_FRAME_BEGIN = 1, /* payload: JSON metadata */
	ZK_ZIP_FRAME_DATA,
	ZK_ZIP_FRAME_END,
	ZK_ZIP_FRAME_ERROR, /* payload: UTF-8 text */
};

struct zk_zip_frame {
	enum zk_zip_frame_type type;
	uint64_t stream;
	zk_str payload;
};

/* 0, or -ZK_E_PROTOCOL: shorter than 9 bytes, an unknown type, metadata that is no JSON, a text
 * that is no UTF-8. */
int zk_zip_frame_decode(zk_str bytes, struct zk_zip_frame *ret,
                        struct zk_error *err) ZK_MUST_USE;
void zk_zip_frame_encode(const struct zk_zip_frame *f, struct zk_buf *b);

#endif
