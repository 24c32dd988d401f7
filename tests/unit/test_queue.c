/* Bounded queues inside the loop.
 * Layer: tests. */
#include "rt/queue.h"

#include <criterion/criterion.h>

#include "base/attr.h"
#include "base/err.h"
#include "rt/loop.h"

#include "base/ban.h"

struct thing {
	struct zk_item item;
	int id;
};

static struct zk_loop *loop;
static struct zk_queue q;
static unsigned items_told, room_told, dropped;

static void on_items(void *ctx)
{
	(void)ctx;
	items_told++;
}

static void on_room(void *ctx)
{
	(void)ctx;
	room_told++;
}

static void drop(struct zk_item *item)
{
	(void)item;
	dropped++;
}

static void setup(void)
{
	struct zk_error err;

	loop = zk_loop_new(&err);
	items_told = room_told = dropped = 0;
}

static void start(size_t high_items, size_t high_bytes)
{
	zk_queue_init(&q, &(struct zk_queue_conf){ .loop = loop,
	                                           .on_items = on_items,
	                                           .on_room = on_room,
	                                           .high_items = high_items,
	                                           .high_bytes = high_bytes });
}

static void teardown(void)
{
	zk_queue_done(&q, drop);
	zk_loop_free(loop);
}

TestSuite(queue, .init = setup, .fini = teardown);

static int id_of(struct zk_item *item)
{
	return item ? ZK_CONTAINER_OF(item, struct thing, item)->id : -1;
}

Test(queue, first_in_first_out)
{
	static struct thing t[3] = { { .id = 0 }, { .id = 1 }, { .id = 2 } };

	start(0, 0);
	cr_expect_eq(zk_queue_pop(&q), NULL);
	for (size_t i = 0; i < 3; i++)
		cr_expect_eq(zk_queue_push(&q, &t[i].item), ZK_PUSHED);
	cr_expect_eq(id_of(zk_queue_peek(&q)), 0);
	cr_expect_eq(id_of(zk_queue_pop(&q)), 0);
	zk_queue_unpop(&q, &t[0].item);
	cr_expect_eq(q.items, 3);
	for (int i = 0; i < 3; i++)
		cr_expect_eq(id_of(zk_queue_pop(&q)), i);
	cr_expect_eq(zk_queue_pop(&q), NULL);
	/* An item put back into an empty queue is its last one too. */
	zk_queue_unpop(&q, &t[1].item);
	(void)zk_queue_push(&q, &t[2].item);
	cr_expect_eq(id_of(zk_queue_pop(&q)), 1);
	cr_expect_eq(id_of(zk_queue_pop(&q)), 2);
}

Test(queue, says_once_that_items_came)
{
	static struct thing t[3];

	start(0, 0);
	for (size_t i = 0; i < 2; i++)
		(void)zk_queue_push(&q, &t[i].item);
	cr_expect_eq(items_told, 0, "not at once");
	zk_loop_run(loop);
	cr_expect_eq(items_told, 1);
	(void)zk_queue_push(&q, &t[2].item);
	zk_loop_run(loop);
	cr_expect_eq(items_told, 1, "it was not empty");
	while (zk_queue_pop(&q))
		;
	(void)zk_queue_push(&q, &t[0].item);
	zk_loop_run(loop);
	cr_expect_eq(items_told, 2);
	(void)zk_queue_pop(&q);
	(void)zk_queue_push(&q, &t[1].item);
	(void)zk_queue_pop(&q);
	zk_loop_run(loop);
	cr_expect_eq(items_told, 2, "it is empty again");
}

Test(queue, marks_of_items)
{
	static struct thing t[6];

	start(4, 0);
	for (size_t i = 0; i < 3; i++)
		cr_expect_eq(zk_queue_push(&q, &t[i].item), ZK_PUSHED);
	cr_expect_eq(zk_queue_push(&q, &t[3].item), ZK_PUSHED_HIGH);
	cr_expect_eq(zk_queue_push(&q, &t[4].item), ZK_PUSHED_HIGH,
	             "what was read is taken");
	for (size_t i = 0; i < 2; i++)
		(void)zk_queue_pop(&q);
	zk_loop_run(loop);
	cr_expect_eq(room_told, 0, "3 of 4 is not room");
	(void)zk_queue_pop(&q);
	cr_expect_eq(room_told, 0, "not from inside pop");
	zk_loop_run(loop);
	cr_expect_eq(room_told, 1);
	(void)zk_queue_pop(&q);
	zk_loop_run(loop);
	cr_expect_eq(room_told, 1, "once");
}

Test(queue, marks_of_bytes)
{
	static struct thing t[3] = { { .item.bytes = 60 },
		                     { .item.bytes = 39 },
		                     { .item.bytes = 1 } };

	start(100, 100);
	cr_expect_eq(zk_queue_push(&q, &t[0].item), ZK_PUSHED);
	cr_expect_eq(zk_queue_push(&q, &t[1].item), ZK_PUSHED);
	cr_expect_eq(zk_queue_push(&q, &t[2].item), ZK_PUSHED_HIGH);
	cr_expect_eq(q.bytes, 100);
	(void)zk_queue_pop(&q);
	zk_loop_run(loop);
	cr_expect_eq(room_told, 1);
}

Test(queue, room_that_is_gone_again_is_not_told)
{
	static struct thing t[4];

	start(2, 0);
	(void)zk_queue_push(&q, &t[0].item);
	(void)zk_queue_push(&q, &t[1].item);
	(void)zk_queue_pop(&q);
	(void)zk_queue_push(&q, &t[2].item);
	zk_loop_run(loop);
	cr_expect_eq(room_told, 0);
	(void)zk_queue_pop(&q);
	zk_loop_run(loop);
	cr_expect_eq(room_told, 1);
}

Test(queue, done_drops_what_is_left_and_forgets_calls)
{
	static struct thing t[3];

	start(2, 0);
	for (size_t i = 0; i < 3; i++)
		(void)zk_queue_push(&q, &t[i].item);
	zk_queue_done(&q, drop);
	zk_loop_run(loop);
	cr_expect_eq(dropped, 3);
	cr_expect_eq(items_told + room_told, 0);
}
