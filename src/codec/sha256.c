/* SHA-256 (FIPS 180-4), portable and with the x86 SHA instructions, and HMAC on top.
 * Layer: codec. */
#include "codec/digest.h"

#include <stdatomic.h>
#include <string.h>

#if defined(__x86_64__)
#include <cpuid.h>
#include <immintrin.h>
#endif

#include "base/mem.h"

#include "base/ban.h"

#define BLOCK 64

/* Fractional parts of the cube roots of the first 64 primes (§4.2.2). */
static const uint32_t k256[64] __attribute__((aligned(16))) = {
	0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1,
	0x923f82a4, 0xab1c5ed5, 0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3,
	0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786,
	0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
	0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147,
	0x06ca6351, 0x14292967, 0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13,
	0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85, 0xa2bfe8a1, 0xa81a664b,
	0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
	0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a,
	0x5b9cca4f, 0x682e6ff3, 0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208,
	0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
};

/* ---- portable ---- */

static inline uint32_t rotr(uint32_t x, unsigned n)
{
	return x >> n | x << (32 - n);
}

static inline uint32_t get_be32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static inline void put_be32(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 24);
	p[1] = (uint8_t)(v >> 16);
	p[2] = (uint8_t)(v >> 8);
	p[3] = (uint8_t)v;
}

static inline uint32_t schedule(const uint32_t *w, unsigned t)
{
	uint32_t a = w[(t - 15) & 15], b = w[(t - 2) & 15];

	return w[t & 15] + w[(t - 7) & 15] + (rotr(a, 7) ^ rotr(a, 18) ^ a >> 3) +
	       (rotr(b, 17) ^ rotr(b, 19) ^ b >> 10);
}

/* One round. Instead of moving the eight words of the state, their places turn: `a` is at -i. */
static inline void round_at(uint32_t s[8], unsigned i, uint32_t kw)
{
	uint32_t a = s[(0 - i) & 7], b = s[(1 - i) & 7], c = s[(2 - i) & 7];
	uint32_t e = s[(4 - i) & 7], f = s[(5 - i) & 7], g = s[(6 - i) & 7];
	uint32_t *d = &s[(3 - i) & 7], *h = &s[(7 - i) & 7];
	uint32_t t1 =
	        *h + (rotr(e, 6) ^ rotr(e, 11) ^ rotr(e, 25)) + ((e & f) ^ (~e & g)) + kw;

	*d += t1;
	*h = t1 + (rotr(a, 2) ^ rotr(a, 13) ^ rotr(a, 22)) +
	     ((a & b) ^ (a & c) ^ (b & c));
}

static void blocks_portable(uint32_t h[8], const uint8_t *p, size_t n)
{
	uint32_t w[16], s[8];

	for (; n > 0; n--, p += BLOCK) {
		memcpy(s, h, sizeof(s));
		for (unsigned t = 0; t < 64; t += 8) {
#pragma GCC unroll 8
			for (unsigned i = 0; i < 8; i++) {
				unsigned at = (t + i) & 15;

				w[at] = t < 16 ? get_be32(p + 4 * at)
				               : schedule(w, t + i);
				round_at(s, i, k256[t + i] + w[at]);
			}
		}
		for (unsigned i = 0; i < 8; i++)
			h[i] += s[i];
	}
	zk_wipe(w, sizeof(w)); /* a key block may have passed through */
	zk_wipe(s, sizeof(s));
}

/* ---- x86 SHA instructions ---- */

#if defined(__x86_64__)
#define NI __attribute__((target("sha,sse4.1,ssse3")))

/* The instructions want the state as (a b e f) and (c d g h), highest word first, and do
 * two rounds each. */
static NI void blocks_ni(uint32_t h[8], const uint8_t *p, size_t n)
{
	const __m128i swap = _mm_set_epi64x(0x0c0d0e0f08090a0b, 0x0405060700010203);
	__m128i cdab = _mm_shuffle_epi32(_mm_loadu_si128((const void *)h), 0xb1);
	__m128i efgh = _mm_shuffle_epi32(_mm_loadu_si128((const void *)(h + 4)), 0x1b);
	__m128i abef = _mm_alignr_epi8(cdab, efgh, 8);
	__m128i cdgh = _mm_blend_epi16(efgh, cdab, 0xf0);

	for (; n > 0; n--, p += BLOCK) {
		__m128i abef0 = abef, cdgh0 = cdgh, w[4];

		for (unsigned i = 0; i < 4; i++)
			w[i] = _mm_shuffle_epi8(
			        _mm_loadu_si128((const void *)(p + 16 * i)), swap);
#pragma GCC unroll 16
		for (unsigned i = 0; i < 16; i++) {
			__m128i *w0 = &w[i & 3], w1 = w[(i + 1) & 3], w2 = w[(i + 2) & 3];
			__m128i w3 = w[(i + 3) & 3];
			__m128i k = _mm_add_epi32(
			        *w0, _mm_load_si128((const void *)&k256[4 * i]));

			cdgh = _mm_sha256rnds2_epu32(cdgh, abef, k);
			abef = _mm_sha256rnds2_epu32(abef, cdgh,
			                             _mm_shuffle_epi32(k, 0x0e));
			if (i < 12)
				*w0 = _mm_sha256msg2_epu32(
				        _mm_add_epi32(_mm_sha256msg1_epu32(*w0, w1),
				                      _mm_alignr_epi8(w3, w2, 4)),
				        w3);
		}
		abef = _mm_add_epi32(abef, abef0);
		cdgh = _mm_add_epi32(cdgh, cdgh0);
	}
	cdab = _mm_shuffle_epi32(abef, 0x1b); /* f e b a, lowest word first: a b e f */
	efgh = _mm_shuffle_epi32(cdgh, 0xb1);
	_mm_storeu_si128((void *)h, _mm_blend_epi16(cdab, efgh, 0xf0));
	_mm_storeu_si128((void *)(h + 4), _mm_alignr_epi8(efgh, cdab, 8));
}

static bool have_ni(void)
{
	unsigned a, b, c, d;
	bool sse, sha;

	if (!__get_cpuid(1, &a, &b, &c, &d))
		return false;
	sse = (c & bit_SSSE3) && (c & bit_SSE4_1);
	sha = __get_cpuid_count(7, 0, &a, &b, &c, &d) && (b & bit_SHA);
	return sse && sha;
}
#else
static void blocks_ni(uint32_t h[8], const uint8_t *p, size_t n)
{
	blocks_portable(h, p, n);
}

static bool have_ni(void)
{
	return false;
}
#endif

enum { UNKNOWN, PORTABLE, FAST };
static atomic_int mode = UNKNOWN;

void zk_sha256_portable(bool on)
{
	atomic_store(&mode, on ? PORTABLE : UNKNOWN);
}

static void blocks(uint32_t h[8], const uint8_t *p, size_t n)
{
	int m = atomic_load_explicit(&mode, memory_order_relaxed);

	if (ZK_UNLIKELY(m == UNKNOWN)) {
		m = have_ni() ? FAST : PORTABLE;
		atomic_store_explicit(&mode, m, memory_order_relaxed);
	}
	if (m == FAST)
		blocks_ni(h, p, n);
	else
		blocks_portable(h, p, n);
}

/* ---- SHA-256 ---- */

/* Fractional parts of the square roots of the first eight primes (§5.3.3). */
static const uint32_t start[8] = { 0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
	                           0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19 };

void zk_sha256_init(struct zk_sha256 *s)
{
	memcpy(s->h, start, sizeof(start));
	s->n = 0;
}

void zk_sha256_put(struct zk_sha256 *s, const void *p, size_t n)
{
	const uint8_t *from = p;
	size_t have = s->n % BLOCK, take;

	if (n == 0)
		return;
	s->n += n;
	if (have) {
		take = ZK_MIN(n, BLOCK - have);
		memcpy(s->block + have, from, take);
		from += take;
		n -= take;
		if (have + take < BLOCK)
			return;
		blocks(s->h, s->block, 1);
	}
	if (n >= BLOCK) {
		blocks(s->h, from, n / BLOCK);
		from += n - n % BLOCK;
		n %= BLOCK;
	}
	if (n)
		memcpy(s->block, from, n);
}

void zk_sha256_end(struct zk_sha256 *s, uint8_t out[ZK_SHA256_SIZE])
{
	uint64_t bits = s->n * 8;
	size_t have = s->n % BLOCK;

	s->block[have++] = 0x80;
	if (have > BLOCK - 8) {
		memset(s->block + have, 0, BLOCK - have);
		blocks(s->h, s->block, 1);
		have = 0;
	}
	memset(s->block + have, 0, BLOCK - 8 - have);
	put_be32(s->block + BLOCK - 8, (uint32_t)(bits >> 32));
	put_be32(s->block + BLOCK - 4, (uint32_t)bits);
	blocks(s->h, s->block, 1);
	for (unsigned i = 0; i < 8; i++)
		put_be32(out + 4 * i, s->h[i]);
	zk_wipe(s, sizeof(*s));
}

void zk_sha256(zk_str text, uint8_t out[ZK_SHA256_SIZE])
{
	struct zk_sha256 s;

	zk_sha256_init(&s);
	zk_sha256_put(&s, text.p, text.n);
	zk_sha256_end(&s, out);
}

/* ---- HMAC (RFC 2104) ---- */

void zk_hmac_key_init(struct zk_hmac_key *k, zk_str key)
{
	uint8_t block[BLOCK] = { 0 };

	if (key.n > BLOCK)
		zk_sha256(key, block);
	else if (key.n)
		memcpy(block, key.p, key.n);
	for (unsigned i = 0; i < BLOCK; i++)
		block[i] ^= 0x36;
	memcpy(k->inner, start, sizeof(start));
	blocks(k->inner, block, 1);
	for (unsigned i = 0; i < BLOCK; i++)
		block[i] ^= 0x36 ^ 0x5c;
	memcpy(k->outer, start, sizeof(start));
	blocks(k->outer, block, 1);
	zk_wipe(block, sizeof(block));
}

void zk_hmac_key_done(struct zk_hmac_key *k)
{
	zk_wipe(k, sizeof(*k));
}

void zk_hmac_init(struct zk_hmac *h, const struct zk_hmac_key *k)
{
	memcpy(h->sha.h, k->inner, sizeof(k->inner));
	h->sha.n = BLOCK;
	h->k = k;
}

void zk_hmac_put(struct zk_hmac *h, const void *p, size_t n)
{
	zk_sha256_put(&h->sha, p, n);
}

void zk_hmac_end(struct zk_hmac *h, uint8_t out[ZK_SHA256_SIZE])
{
	uint8_t inner[ZK_SHA256_SIZE];

	zk_sha256_end(&h->sha, inner);
	memcpy(h->sha.h, h->k->outer, sizeof(h->k->outer));
	h->sha.n = BLOCK;
	zk_sha256_put(&h->sha, inner, sizeof(inner));
	zk_sha256_end(&h->sha, out);
}

void zk_hmac_sha256(const struct zk_hmac_key *k, zk_str text, uint8_t out[ZK_SHA256_SIZE])
{
	struct zk_hmac h;

	zk_hmac_init(&h, k);
	zk_hmac_put(&h, text.p, text.n);
	zk_hmac_end(&h, out);
}
