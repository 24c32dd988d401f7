/* md5: MD5 (RFC 1321), for peers whose protocols carry it as a checksum (S3: ETag, Content-MD5).
 * It protects from damage, from nobody's intent. Layer: codec. Pure functions; any thread. */
#ifndef ZK_CODEC_MD5_H
#define ZK_CODEC_MD5_H

#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

#define ZK_MD5_SIZE 16

struct zk_md5 {
	uint32_t h[4];
	uint64_t n; /* bytes so far */
	uint8_t block[64];
};

void zk_md5_init(struct zk_md5 *m);
void zk_md5_put(struct zk_md5 *m, const void *p, size_t n);
void zk_md5_end(struct zk_md5 *m, uint8_t out[ZK_MD5_SIZE]);
void zk_md5(zk_str text, uint8_t out[ZK_MD5_SIZE]);

#endif
