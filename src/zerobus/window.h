/* The requests of a stream that are not acknowledged: what is sent next, what an acknowledgement
 * frees, what goes again after a failure (specs/zerobus.md §8).
 * Layer: zerobus. Pure; one owner. */
#ifndef ZK_ZEROBUS_WINDOW_H
#define ZK_ZEROBUS_WINDOW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/list.h"
#include "zerobus/proto.h"

struct zk_zb_request;

struct zk_zb_window {
	struct zk_list requests; /* zk_zb_request.link, in order of offset */
	size_t n, bytes;         /* bytes: of rows */
	uint64_t rows;
	int64_t next_offset; /* of the next request that is pushed */
	int64_t acked,
	        sent; /* highest offset: acknowledged; completely sent. -1 = none */
	struct zk_list *next; /* the request that is sent next; the head = none */
	size_t at;            /* bytes of its message that were sent */
	char head[ZK_ZB_HEAD_MAX];
	size_t n_head; /* 0 = not made yet */
	bool hold;     /* nothing but the rest of a message that was begun */
	bool solo;     /* nothing while a request is under way */
};

void zk_zb_window_init(struct zk_zb_window *w);
/* At the end; takes the request over. */
void zk_zb_window_push(struct zk_zb_window *w, struct zk_zb_request *r);
/* In front, instead of what was taken with zk_zb_window_take_first: two halves of it. Nothing of
 * them may have been sent. */
void zk_zb_window_push_front(struct zk_zb_window *w, struct zk_zb_request *r);
struct zk_zb_request *zk_zb_window_first(const struct zk_zb_window *w);
/* The oldest request, out of the window; NULL when it is empty. The caller's then. */
struct zk_zb_request *zk_zb_window_take_first(struct zk_zb_window *w);

/* How many bytes can be sent now, at most `room`; zk_zb_window_take fetches exactly so many. */
size_t zk_zb_window_ready(const struct zk_zb_window *w, size_t room);
void zk_zb_window_take(struct zk_zb_window *w, char *to, size_t n);
/* Nothing is half sent, and everything that was sent is acknowledged. */
bool zk_zb_window_is_quiet(const struct zk_zb_window *w);

enum zk_zb_acked { ZK_ZB_ACK_OLD, ZK_ZB_ACK_NEW, ZK_ZB_ACK_BAD };
/* What an acknowledgement means (§8.1). NEW: take what it frees with
 * zk_zb_window_take_acked until NULL. */
enum zk_zb_acked zk_zb_window_ack(struct zk_zb_window *w, int64_t value);
struct zk_zb_request *zk_zb_window_take_acked(struct zk_zb_window *w);

/* For another stream: offsets from 0, everything goes again from the start. Returns how many rows
 * belong to requests that had been begun. */
uint64_t zk_zb_window_rewind(struct zk_zb_window *w);

#endif
