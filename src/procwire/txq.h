/* What waits to be written on a connection: whole frames in blocks, large payloads as they are.
 * Layer: procwire, private to conn.c. */
#ifndef ZK_PROCWIRE_TXQ_H
#define ZK_PROCWIRE_TXQ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/str.h"
#include "procwire/wire.h"

struct zk_pw_seg;

struct zk_pw_txq {
	struct zk_pw_seg *head, *tail;
	struct zk_pw_seg
	        *spare; /* one empty block, so that a busy queue allocates nothing */
	size_t bytes;
};

void zk_pw_txq_init(struct zk_pw_txq *q);
void zk_pw_txq_done(struct zk_pw_txq *q);
/* Appends a frame; small payloads are copied into a block. */
void zk_pw_txq_put(struct zk_pw_txq *q, const struct zk_pw_header *h, zk_str payload);
/* The same without a copy: the bytes stay until they are written. */
void zk_pw_txq_put_borrowed(struct zk_pw_txq *q, const struct zk_pw_header *h,
                            zk_str payload);
/* The same with bytes that are taken over. */
void zk_pw_txq_put_buf(struct zk_pw_txq *q, const struct zk_pw_header *h,
                       struct zk_buf *payload);
/* Appends bytes of a frame that is given in pieces: never dropped. */
void zk_pw_txq_put_bytes(struct zk_pw_txq *q, zk_str bytes);
/* Moves everything of `from` behind `q`. */
void zk_pw_txq_splice(struct zk_pw_txq *q, struct zk_pw_txq *from);
/* Writes what the descriptor takes. 0 all is written or it is full, -1 the connection failed;
 * adds to *writes and *bytes. */
int zk_pw_txq_write(struct zk_pw_txq *q, int fd, uint64_t *writes, uint64_t *bytes);
/* Drops frames with RESPONSE set that answer `request` and are not begun. */
void zk_pw_txq_drop(struct zk_pw_txq *q, uint32_t request);

#endif
