/* argon2: Argon2id password hashes in PHC text (RFC 9106). libargon2 is opened on first
 * use. Layer: codec. A hash takes tens of milliseconds and its memory: never on the loop
 * thread. A struct zk_argon2 belongs to one thread (a lane) at a time and keeps the block
 * of memory between hashes, because the page faults cost more than a third of the time.
 */
#ifndef ZK_CODEC_ARGON2_H
#define ZK_CODEC_ARGON2_H

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/err.h"
#include "base/str.h"

struct zk_argon2;
struct zk_buf;

struct zk_argon2_params {
	uint32_t m_kib; /* 8 * p to 262,144 (256 MiB) */
	uint32_t t;     /* 1 to 10 */
	uint32_t p;     /* 1 to 4; computed by one thread */
};

#define ZK_ARGON2_PARAMS ((struct zk_argon2_params){ .m_kib = 19456, .t = 2, .p = 1 })

struct zk_argon2 *zk_argon2_new(void);
void zk_argon2_free(struct zk_argon2 *a);
/* Gives the memory back to the system until the next hash (after some idle seconds). */
void zk_argon2_idle(struct zk_argon2 *a);

/* Appends "$argon2id$v=19$m=…,t=…,p=…$salt$hash" with a fresh salt of 16 bytes and a hash
 * of 32. 0, or -ZK_E_LIBRARY, -ZK_E_DATA (parameters out of range), -ZK_E_SYSTEM. */
int zk_argon2_hash(struct zk_argon2 *a, struct zk_argon2_params params, zk_str secret,
                   struct zk_buf *phc, struct zk_error *err) ZK_MUST_USE;
/* The same with a salt given (8 to 64 bytes). */
int zk_argon2_hash_salted(struct zk_argon2 *a, struct zk_argon2_params params,
                          zk_str secret, zk_str salt, struct zk_buf *phc,
                          struct zk_error *err) ZK_MUST_USE;
/* Whether `secret` has the hash `phc`, which comes from a store and is not trusted:
 * parameters out of range or another form are -ZK_E_DATA. */
int zk_argon2_verify(struct zk_argon2 *a, zk_str phc, zk_str secret, bool *ret,
                     struct zk_error *err) ZK_MUST_USE;

#endif
