/* Inside of the Redis client: the wire format.
 * Layer: store, private to redis*.c and their tests. */
#ifndef ZK_STORE_REDIS_INT_H
#define ZK_STORE_REDIS_INT_H

#include <stdint.h>

#include "store/redis.h"

struct zk_buf;
struct zk_resp;

/* Appends a command: an array of bulk strings. */
void zk_resp_put(struct zk_buf *b, const zk_str *args, size_t n);

/* Answers out of any chunking of the bytes. `max_bytes` bounds one answer, texts and structure
 * together, and what is buffered of it. Opens hiredis: -ZK_E_LIBRARY. */
int zk_resp_new(size_t max_bytes, struct zk_resp **ret, struct zk_error *err) ZK_MUST_USE;
void zk_resp_free(struct zk_resp *p);
/* Takes bytes from the peer. 0, or -ZK_E_LIMIT, -ZK_E_PROTOCOL: then it is of no use any more. */
int zk_resp_feed(struct zk_resp *p, zk_str bytes, struct zk_error *err) ZK_MUST_USE;
/* 1 and the next whole answer, which the caller frees; 0 = it is not there yet; negative as
 * zk_resp_feed. */
int zk_resp_next(struct zk_resp *p, struct zk_redis_reply **ret,
                 struct zk_error *err) ZK_MUST_USE;
void zk_redis_reply_free(struct zk_redis_reply *r);

#endif
