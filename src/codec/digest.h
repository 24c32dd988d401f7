/* digest: SHA-256 (FIPS 180-4), HMAC-SHA-256 (RFC 2104), hexadecimal, CRC-32, comparison
 * in constant time. Layer: codec. Pure functions; any thread. The processor's SHA
 * instructions are used where it has them. */
#ifndef ZK_CODEC_DIGEST_H
#define ZK_CODEC_DIGEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/str.h"

struct zk_buf;

#define ZK_SHA256_SIZE 32

struct zk_sha256 {
	uint32_t h[8];
	uint64_t n; /* bytes so far */
	uint8_t block[64];
};

void zk_sha256_init(struct zk_sha256 *s);
void zk_sha256_put(struct zk_sha256 *s, const void *p, size_t n);
/* Writes the digest and wipes `s`. */
void zk_sha256_end(struct zk_sha256 *s, uint8_t out[ZK_SHA256_SIZE]);
void zk_sha256(zk_str text, uint8_t out[ZK_SHA256_SIZE]);

/* A key made ready once: saves two of the four blocks of a short message. A secret. */
struct zk_hmac_key {
	uint32_t inner[8], outer[8];
};

void zk_hmac_key_init(struct zk_hmac_key *k, zk_str key);
void zk_hmac_key_done(struct zk_hmac_key *k); /* wipes */

/* HMAC in pieces; `k` must live until the end. */
struct zk_hmac {
	struct zk_sha256 sha;
	const struct zk_hmac_key *k;
};

void zk_hmac_init(struct zk_hmac *h, const struct zk_hmac_key *k);
void zk_hmac_put(struct zk_hmac *h, const void *p, size_t n);
void zk_hmac_end(struct zk_hmac *h, uint8_t out[ZK_SHA256_SIZE]);
void zk_hmac_sha256(const struct zk_hmac_key *k, zk_str text,
                    uint8_t out[ZK_SHA256_SIZE]);

/* True when the `n` bytes are equal; the time does not depend on where they differ. */
bool zk_equal_ct(const void *a, const void *b, size_t n);

/* Lower-case hexadecimal. */
void zk_hex_encode(zk_str bytes, struct zk_buf *b);
/* Exactly 2 * `n` digits of either case into `n` bytes; false otherwise. */
bool zk_hex_decode(zk_str text, uint8_t *out, size_t n);

/* CRC-32 (zlib's) of `text` continued from `crc`, 0 at the start. */
uint32_t zk_crc32(uint32_t crc, zk_str text);

/* For tests: true = use the portable code although the processor could do better. */
void zk_sha256_portable(bool on);

#endif
