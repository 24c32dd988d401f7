/* Bounded edge between two stages inside the loop: counts items and bytes, says when the
 * source has to pause and when it may go on (style.md §1.6).
 * Layer: rt. Loop thread only. */
#ifndef ZK_RT_QUEUE_H
#define ZK_RT_QUEUE_H

#include <stdbool.h>
#include <stddef.h>

struct zk_loop;

/* Embedded in what is queued. */
struct zk_item {
	struct zk_item *next;
	size_t bytes; /* cost, set before the push and not changed while queued */
};

struct zk_queue_conf {
	struct zk_loop *loop;
	void *ctx;
	/* The first items came into an empty queue: take them. At the end of the turn. */
	void (*on_items)(void *ctx);
	/* It had been high and fell to half of both marks: the source may go on. At the
	 * end of the turn; may be NULL. */
	void (*on_room)(void *ctx);
	size_t high_items; /* 0 = no bound */
	size_t high_bytes; /* 0 = no bound */
};

struct zk_queue {
	struct zk_queue_conf conf;
	struct zk_item *head, **tail;
	size_t items, bytes;
	bool high;               /* reported, on_room is owed */
	bool told, room_waiting; /* on_items, on_room are deferred */
};

enum zk_pushed { ZK_PUSHED, ZK_PUSHED_HIGH };

void zk_queue_init(struct zk_queue *q, const struct zk_queue_conf *conf);
/* Gives each item that is left to `drop` (may be NULL when there is none). */
void zk_queue_done(struct zk_queue *q, void (*drop)(struct zk_item *item));
/* Always takes the item; ZK_PUSHED_HIGH when a mark is reached: pause the source. */
enum zk_pushed zk_queue_push(struct zk_queue *q, struct zk_item *item);
/* Puts an item back that was popped: it is the next one again. */
void zk_queue_unpop(struct zk_queue *q, struct zk_item *item);
/* The oldest item, or NULL; it is the caller's then. */
struct zk_item *zk_queue_pop(struct zk_queue *q);
/* The same, but it stays. */
struct zk_item *zk_queue_peek(const struct zk_queue *q);

#endif
