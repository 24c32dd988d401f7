/* MD5.
 * Layer: codec. RFC 1321. */
#include "codec/md5.h"

#include <string.h>

#include "base/attr.h"
#include "codec/le.h"

#include "base/ban.h"

#define BLOCK 64

/* floor(2^32 * |sin(i + 1)|) */
static const uint32_t sines[64] = {
	0xd76aa478, 0xe8c7b756, 0x242070db, 0xc1bdceee, 0xf57c0faf, 0x4787c62a,
	0xa8304613, 0xfd469501, 0x698098d8, 0x8b44f7af, 0xffff5bb1, 0x895cd7be,
	0x6b901122, 0xfd987193, 0xa679438e, 0x49b40821, 0xf61e2562, 0xc040b340,
	0x265e5a51, 0xe9b6c7aa, 0xd62f105d, 0x02441453, 0xd8a1e681, 0xe7d3fbc8,
	0x21e1cde6, 0xc33707d6, 0xf4d50d87, 0x455a14ed, 0xa9e3e905, 0xfcefa3f8,
	0x676f02d9, 0x8d2a4c8a, 0xfffa3942, 0x8771f681, 0x6d9d6122, 0xfde5380c,
	0xa4beea44, 0x4bdecfa9, 0xf6bb4b60, 0xbebfbc70, 0x289b7ec6, 0xeaa127fa,
	0xd4ef3085, 0x04881d05, 0xd9d4d039, 0xe6db99e5, 0x1fa27cf8, 0xc4ac5665,
	0xf4292244, 0x432aff97, 0xab9423a7, 0xfc93a039, 0x655b59c3, 0x8f0ccc92,
	0xffeff47d, 0x85845dd1, 0x6fa87e4f, 0xfe2ce6e0, 0xa3014314, 0x4e0811a1,
	0xf7537e82, 0xbd3af235, 0x2ad7d2bb, 0xeb86d391,
};

static const uint8_t turns[4][4] = {
	{ 7, 12, 17, 22 }, { 5, 9, 14, 20 }, { 4, 11, 16, 23 }, { 6, 10, 15, 21 }
};

static uint32_t rol(uint32_t v, unsigned n)
{
	return v << n | v >> (32 - n);
}

static uint32_t mix(unsigned round, uint32_t b, uint32_t c, uint32_t d)
{
	switch (round) {
	case 0:
		return (b & c) | (~b & d);
	case 1:
		return (d & b) | (~d & c);
	case 2:
		return b ^ c ^ d;
	}
	return c ^ (b | ~d);
}

static void take_block(struct zk_md5 *m, const uint8_t *p)
{
	static const uint8_t steps[4][2] = { { 1, 0 }, { 5, 1 }, { 3, 5 }, { 7, 0 } };
	uint32_t w[16], a = m->h[0], b = m->h[1], c = m->h[2], d = m->h[3];

	for (unsigned i = 0; i < 16; i++)
		w[i] = zk_le_u32(p + (size_t)i * 4);
	for (unsigned i = 0; i < 64; i++) {
		unsigned round = i / 16, k = (steps[round][0] * i + steps[round][1]) % 16;
		uint32_t f = mix(round, b, c, d) + a + sines[i] + w[k];

		a = d;
		d = c;
		c = b;
		b += rol(f, turns[round][i % 4]);
	}
	m->h[0] += a;
	m->h[1] += b;
	m->h[2] += c;
	m->h[3] += d;
}

void zk_md5_init(struct zk_md5 *m)
{
	*m = (struct zk_md5){ .h = { 0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476 } };
}

void zk_md5_put(struct zk_md5 *m, const void *bytes, size_t n)
{
	const uint8_t *p = bytes;
	size_t have = m->n % BLOCK;

	m->n += n;
	if (have) {
		size_t take = ZK_MIN(n, BLOCK - have);

		memcpy(m->block + have, p, take);
		p += take;
		n -= take;
		if (have + take < BLOCK)
			return;
		take_block(m, m->block);
	}
	for (; n >= BLOCK; p += BLOCK, n -= BLOCK)
		take_block(m, p);
	if (n)
		memcpy(m->block, p, n);
}

void zk_md5_end(struct zk_md5 *m, uint8_t out[ZK_MD5_SIZE])
{
	static const uint8_t pad[BLOCK] = { 0x80 };
	uint64_t bits = m->n * 8;
	size_t have = m->n % BLOCK;
	uint8_t length[8];

	zk_le_put64(length, bits);
	zk_md5_put(m, pad, have < 56 ? 56 - have : 120 - have);
	zk_md5_put(m, length, sizeof(length));
	for (unsigned i = 0; i < 4; i++)
		zk_le_put32(out + (size_t)i * 4, m->h[i]);
}

void zk_md5(zk_str text, uint8_t out[ZK_MD5_SIZE])
{
	struct zk_md5 m;

	zk_md5_init(&m);
	zk_md5_put(&m, text.p, text.n);
	zk_md5_end(&m, out);
}
