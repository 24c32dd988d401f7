/* pb: the protobuf wire format, reader and writer, without a code generator.
 * Layer: codec. Pure functions, any thread; slices borrow the bytes given.
 *
 *	struct zk_pb_in in;
 *	struct zk_pb_item it;
 *	int r;
 *
 *	zk_pb_in_init(&in, bytes);
 *	while ((r = zk_pb_next(&in, &it)) > 0)
 *		if (it.number == 1 && it.wire == ZK_PB_LEN) name = it.bytes;
 *	if (r < 0) … not protobuf, in.what says why …
 */
#ifndef ZK_CODEC_PB_H
#define ZK_CODEC_PB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/attr.h"
#include "base/str.h"

struct zk_buf;

enum zk_pb_wire {
	ZK_PB_VARINT = 0,
	ZK_PB_I64 = 1,
	ZK_PB_LEN = 2,
	/* 3 and 4, groups, are refused. */
	ZK_PB_I32 = 5,
};

/* The numbers of FieldDescriptorProto.Type. */
enum zk_pb_type {
	ZK_PB_DOUBLE = 1,
	ZK_PB_FLOAT = 2,
	ZK_PB_INT64 = 3,
	ZK_PB_UINT64 = 4,
	ZK_PB_INT32 = 5,
	ZK_PB_FIXED64 = 6,
	ZK_PB_FIXED32 = 7,
	ZK_PB_BOOL = 8,
	ZK_PB_STRING = 9,
	ZK_PB_GROUP = 10,
	ZK_PB_MESSAGE = 11,
	ZK_PB_BYTES = 12,
	ZK_PB_UINT32 = 13,
	ZK_PB_ENUM = 14,
	ZK_PB_SFIXED32 = 15,
	ZK_PB_SFIXED64 = 16,
	ZK_PB_SINT32 = 17,
	ZK_PB_SINT64 = 18,
};

/* "int32", "string", …; "?" for a number that is none. */
const char *zk_pb_type_name(unsigned type);
/* The wire type of a scalar, string, bytes or message type; -1 for others. */
int zk_pb_type_wire(unsigned type);

#define ZK_PB_VARINT_MAX 10
#define ZK_PB_NUMBER_MAX 0x1fffffffu

/* ---- writing into memory that is large enough ---- */

static inline char *zk_pb_write_varint(char *p, uint64_t v)
{
	while (v >= 0x80) {
		*p++ = (char)(v | 0x80);
		v >>= 7;
	}
	*p++ = (char)v;
	return p;
}

/* Bytes that `v` takes: 1 to 10. */
static inline size_t zk_pb_varint_size(uint64_t v)
{
	unsigned bits = 64u - (unsigned)__builtin_clzll(v | 1);

	return (bits * 9 + 64) / 64;
}

static inline uint32_t zk_pb_tag(uint32_t number, enum zk_pb_wire wire)
{
	return number << 3 | (uint32_t)wire;
}

/* ---- writing into a buffer; its cap is checked by the caller (zk_buf_check) ---- */

void zk_pb_put_varint(struct zk_buf *b, uint64_t v);
/* A field with tag. Negative numbers take ten bytes, as int32 and int64 demand. */
void zk_pb_put_int(struct zk_buf *b, uint32_t number, int64_t v);
void zk_pb_put_bytes(struct zk_buf *b, uint32_t number, zk_str bytes);
/* A nested message: everything put between the two calls; `open` returns the mark for
 * `close`. Open messages nest like parentheses. */
size_t zk_pb_put_open(struct zk_buf *b, uint32_t number);
void zk_pb_put_close(struct zk_buf *b, size_t mark);

/* ---- reading ---- */

struct zk_pb_in {
	const char *p, *end;
	const char *what; /* why the last zk_pb_next() failed */
};

struct zk_pb_item {
	uint32_t number; /* 1 to ZK_PB_NUMBER_MAX */
	enum zk_pb_wire wire;
	uint64_t v;   /* VARINT, I32 and I64 */
	zk_str bytes; /* LEN */
};

void zk_pb_in_init(struct zk_pb_in *in, zk_str bytes);
/* 1 and the next field; 0 at the end; -1 when the bytes are no protobuf: cut short, a
 * varint of more than 64 bits, number 0, a group, wire type 6 or 7. */
int zk_pb_next(struct zk_pb_in *in, struct zk_pb_item *ret) ZK_MUST_USE;
/* A bare varint off the front of `*s`: 1; 0 when it is cut short; -1 when it is longer than
 * 64 bits. `*s` moves on success only. */
int zk_pb_take_varint(zk_str *s, uint64_t *ret) ZK_MUST_USE;

static inline int64_t zk_pb_zigzag(uint64_t v)
{
	return (int64_t)(v >> 1) ^ -(int64_t)(v & 1);
}

#endif
