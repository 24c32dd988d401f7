/* Random numbers: a seedable generator for jitter, the kernel's for secrets; UUIDs.
 * Layer: base. */
#ifndef ZK_BASE_RAND_H
#define ZK_BASE_RAND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

/* xoshiro256**: for jitter and tests, never for secrets. One owner. */
struct zk_rand {
	uint64_t s[4];
};

void zk_rand_seed(struct zk_rand *r, uint64_t seed);
uint64_t zk_rand_u64(struct zk_rand *r);
/* Uniform in [0, n); 0 when n is 0. */
uint64_t zk_rand_below(struct zk_rand *r, uint64_t n);
/* Uniform in [0, 1). */
double zk_rand_unit(struct zk_rand *r);

/* `n` bytes of the kernel's generator; aborts when there is none. Any thread. */
void zk_rand_secret(void *p, size_t n);

#define ZK_UUID_TEXT 36
typedef struct {
	uint8_t b[16];
} zk_uuid;

/* Version 7, strictly increasing within this process: in the same millisecond the 12 random-a
 * bits count up, then the random-b bits (RFC 9562 §6.2). Any thread. */
zk_uuid zk_uuid_v7(void);
/* Version 4 from the kernel's generator. */
zk_uuid zk_uuid_v4(void);
/* 36 lower-case characters into `out`, no NUL. */
void zk_uuid_format(const zk_uuid *u, char out[ZK_UUID_TEXT]);
/* Accepts exactly the 8-4-4-4-12 form, any case; false for everything else. */
bool zk_uuid_parse(zk_str s, zk_uuid *ret);

#endif
