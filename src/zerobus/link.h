/* A stream with its gRPC call, token and timer.
 * Layer: zerobus, private to sender.c. Loop thread only. */
#ifndef ZK_ZEROBUS_LINK_H
#define ZK_ZEROBUS_LINK_H

#include "zerobus/sender.h"

struct zk_zb_link;

struct zk_zb_link_conf {
	const struct zk_zb_sender_conf *sender; /* lives as long as the link */
	struct zk_zb_kind *kind;
	size_t index; /* of the stream */
	void *ctx;
	/* As in zk_zb_stream_ops. */
	void (*on_acked)(void *ctx, size_t index, struct zk_zb_request *r);
	void (*on_rejected)(void *ctx, size_t index, struct zk_zb_request *r,
	                    const struct zk_error *err, bool suspect);
	void (*on_change)(void *ctx, size_t index);
	void (*on_dead)(void *ctx, size_t index, const struct zk_error *err);
	void (*on_done)(void *ctx, size_t index);
};

struct zk_zb_link *zk_zb_link_new(const struct zk_zb_link_conf *conf);
/* From its callbacks too: it goes at the end of the turn. NULL is fine. */
void zk_zb_link_free(struct zk_zb_link *l);
struct zk_zb_stream *zk_zb_link_stream(struct zk_zb_link *l);
/* Opens the connection although nothing is to be sent yet. */
void zk_zb_link_warm(struct zk_zb_link *l);
/* A request of this stream, or that it would have got, is not sent: its span. */
void zk_zb_link_unsent(struct zk_zb_link *l, const struct zk_zb_request *r,
                       const struct zk_error *err);

#endif
