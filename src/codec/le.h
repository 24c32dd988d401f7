/* le: little-endian numbers at any address.
 * Layer: codec. Pure; any thread. */
#ifndef ZK_CODEC_LE_H
#define ZK_CODEC_LE_H

#include <stdint.h>
#include <string.h>

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#define ZK_LE_SWAP(bits, v) __builtin_bswap##bits(v)
#else
#define ZK_LE_SWAP(bits, v) (v)
#endif

static inline uint16_t zk_le_u16(const void *p)
{
	uint16_t v;

	memcpy(&v, p, sizeof(v));
	return ZK_LE_SWAP(16, v);
}

static inline uint32_t zk_le_u32(const void *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return ZK_LE_SWAP(32, v);
}

static inline uint64_t zk_le_u64(const void *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof(v));
	return ZK_LE_SWAP(64, v);
}

static inline void zk_le_put32(void *p, uint32_t v)
{
	v = ZK_LE_SWAP(32, v);
	memcpy(p, &v, sizeof(v));
}

static inline void zk_le_put64(void *p, uint64_t v)
{
	v = ZK_LE_SWAP(64, v);
	memcpy(p, &v, sizeof(v));
}

static inline int32_t zk_le_i32(const void *p)
{
	return (int32_t)zk_le_u32(p);
}

static inline int64_t zk_le_i64(const void *p)
{
	return (int64_t)zk_le_u64(p);
}

#endif
