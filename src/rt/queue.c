/* Bounded edge between two stages inside the loop.
 * Layer: rt. */
#include "rt/queue.h"

#include "base/attr.h"
#include "rt/loop.h"

#include "base/ban.h"

void zk_queue_init(struct zk_queue *q, const struct zk_queue_conf *conf)
{
	*q = (struct zk_queue){ .conf = *conf };
	q->tail = &q->head;
}

static void tell_items(void *ctx)
{
	struct zk_queue *q = ctx;

	q->told = false;
	if (q->head)
		q->conf.on_items(q->conf.ctx);
}

static void tell_room(void *ctx)
{
	struct zk_queue *q = ctx;

	q->room_waiting = false;
	/* It may be full again; then the next fall is told. */
	if (!q->high)
		q->conf.on_room(q->conf.ctx);
}

void zk_queue_done(struct zk_queue *q, void (*drop)(struct zk_item *item))
{
	struct zk_item *item;

	zk_loop_forget(q->conf.loop, tell_items, q);
	zk_loop_forget(q->conf.loop, tell_room, q);
	q->high = false;
	while ((item = zk_queue_pop(q)) != NULL) {
		ZK_ASSERT(drop);
		drop(item);
	}
}

static bool reaches(size_t v, size_t mark)
{
	return mark && v >= mark;
}

enum zk_pushed zk_queue_push(struct zk_queue *q, struct zk_item *item)
{
	if (!q->head && !q->told) {
		q->told = true;
		zk_loop_defer(q->conf.loop, tell_items, q);
	}
	item->next = NULL;
	*q->tail = item;
	q->tail = &item->next;
	q->items++;
	q->bytes += item->bytes;
	if (reaches(q->items, q->conf.high_items) ||
	    reaches(q->bytes, q->conf.high_bytes)) {
		q->high = true;
		return ZK_PUSHED_HIGH;
	}
	return ZK_PUSHED;
}

void zk_queue_unpop(struct zk_queue *q, struct zk_item *item)
{
	item->next = q->head;
	q->head = item;
	if (!item->next)
		q->tail = &item->next;
	q->items++;
	q->bytes += item->bytes;
}

static bool is_low(const struct zk_queue *q)
{
	return (!q->conf.high_items || q->items <= q->conf.high_items / 2) &&
	       (!q->conf.high_bytes || q->bytes <= q->conf.high_bytes / 2);
}

struct zk_item *zk_queue_pop(struct zk_queue *q)
{
	struct zk_item *item = q->head;

	if (!item)
		return NULL;
	q->head = item->next;
	if (!q->head)
		q->tail = &q->head;
	item->next = NULL;
	q->items--;
	q->bytes -= item->bytes;
	if (q->high && is_low(q)) {
		q->high = false;
		if (q->conf.on_room && !q->room_waiting) {
			q->room_waiting = true;
			zk_loop_defer(q->conf.loop, tell_room, q);
		}
	}
	return item;
}

struct zk_item *zk_queue_peek(const struct zk_queue *q)
{
	return q->head;
}
