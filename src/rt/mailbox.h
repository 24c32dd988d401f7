/* Bounded edge from other threads into the loop: whole lists under one lock, one
 * wake-up per idle period.
 * Layer: rt. (From the loop to a thread: rt/lane.h.) */
#ifndef ZK_RT_MAILBOX_H
#define ZK_RT_MAILBOX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "rt/queue.h"

struct zk_loop;
struct zk_mailbox;

struct zk_mailbox_conf {
	void *ctx;
	/* Loop thread; takes over `list` (linked by `next`), `n` items in order of
	 * arrival. */
	void (*on_items)(void *ctx, struct zk_item *list, size_t n);
	size_t max_items; /* 0 = no bound */
	size_t max_bytes; /* 0 = no bound; an empty mailbox takes any one item */
};

enum zk_mail { ZK_MAIL_TAKEN, ZK_MAIL_FULL, ZK_MAIL_CLOSED };

/* Holds the loop (zk_loop_hold) until it is closed. */
struct zk_mailbox *zk_mailbox_new(struct zk_loop *loop,
                                  const struct zk_mailbox_conf *conf);
/* Any thread. Unless the item is taken it stays the caller's. */
enum zk_mail zk_mailbox_push(struct zk_mailbox *m, struct zk_item *item) ZK_MUST_USE;
/* Any thread but the loop's: waits for room, at most `timeout_ms` (below 0 = for ever).
 */
enum zk_mail zk_mailbox_push_wait(struct zk_mailbox *m, struct zk_item *item,
                                  int64_t timeout_ms) ZK_MUST_USE;
/* Loop thread. From now on nothing is taken, and those who wait return; what is inside is
 * still delivered, at once. */
void zk_mailbox_close(struct zk_mailbox *m);
/* Loop thread, after the other threads let go of it. Closes it first. NULL is fine. */
void zk_mailbox_free(struct zk_mailbox *m);

#endif
