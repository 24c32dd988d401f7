/* A mailbox that several threads fill: nothing is lost, its bounds hold, close wakes
 * everybody.
 * Layer: tests. */
#include "rt/mailbox.h"

#include <sched.h>
#include <stdatomic.h>

#include "base/attr.h"
#include "base/mem.h"
#include "base/rand.h"
#include "rt/loop.h"
#include "tap.h"

#include "base/ban.h"

enum { THREADS = 4, ITEMS = 20000, MAX_ITEMS = 64, MAX_BYTES = 4000 };

struct thing {
	struct zk_item item;
	unsigned thread, id;
};

static struct zk_loop *loop;
static struct zk_mailbox *box;
static struct {
	unsigned next[THREADS], got;
	size_t most, most_bytes;
	bool in_order, counted;
} seen;
static atomic_uint left, refused, closed;
static uint64_t seed;

static void on_items(void *ctx, struct zk_item *list, size_t n)
{
	size_t bytes = 0, k = 0;

	(void)ctx;
	while (list) {
		struct thing *t = ZK_CONTAINER_OF(list, struct thing, item);

		list = list->next;
		seen.in_order &= t->id == seen.next[t->thread];
		seen.next[t->thread] = t->id + 1;
		seen.got++;
		bytes += t->item.bytes;
		k++;
		free(t);
	}
	seen.counted &= k == n;
	seen.most = ZK_MAX(seen.most, n);
	seen.most_bytes = ZK_MAX(seen.most_bytes, n > 1 ? bytes : 0);
}

static void all_done(void *ctx)
{
	(void)ctx;
	zk_mailbox_close(box);
}

static struct thing *thing_new(unsigned thread, unsigned id, size_t bytes)
{
	struct thing *t = zk_new0(struct thing);

	t->thread = thread;
	t->id = id;
	t->item.bytes = bytes;
	return t;
}

static void *fill_main(void *arg)
{
	unsigned me = *(unsigned *)arg;
	struct zk_rand rnd;

	zk_rand_seed(&rnd, seed + me);
	for (unsigned i = 0; i < ITEMS; i++) {
		struct thing *t = thing_new(me, i, zk_rand_below(&rnd, 200));
		enum zk_mail r = ZK_MAIL_FULL;

		/* Three ways to deal with a full one. */
		switch (zk_rand_below(&rnd, 3)) {
		case 0:
			r = zk_mailbox_push_wait(box, &t->item, -1);
			break;
		case 1:
			while ((r = zk_mailbox_push_wait(box, &t->item, 1)) ==
			       ZK_MAIL_FULL)
				atomic_fetch_add(&refused, 1);
			break;
		case 2:
			while ((r = zk_mailbox_push(box, &t->item)) == ZK_MAIL_FULL) {
				atomic_fetch_add(&refused, 1);
				(void)sched_yield();
			}
			break;
		}
		if (r != ZK_MAIL_TAKEN) {
			free(t);
			break;
		}
	}
	if (atomic_fetch_sub(&left, 1) == 1)
		zk_loop_post(loop, all_done, NULL);
	return NULL;
}

static void new_box(void)
{
	seen.got = 0;
	seen.in_order = seen.counted = true;
	seen.most = seen.most_bytes = 0;
	for (unsigned i = 0; i < THREADS; i++)
		seen.next[i] = 0;
	box = zk_mailbox_new(loop, &(struct zk_mailbox_conf){ .on_items = on_items,
	                                                      .max_items = MAX_ITEMS,
	                                                      .max_bytes = MAX_BYTES });
}

static void test_fill(void)
{
	pthread_t t[THREADS];
	unsigned ids[THREADS];

	new_box();
	atomic_store(&left, THREADS);
	for (unsigned i = 0; i < THREADS; i++) {
		ids[i] = i;
		if (pthread_create(&t[i], NULL, fill_main, &ids[i]) != 0)
			exit(1);
	}
	zk_loop_run(loop);
	for (unsigned i = 0; i < THREADS; i++)
		(void)pthread_join(t[i], NULL);
	zk_mailbox_free(box);
	tap_note("refused %u times, most at once %zu items, %zu bytes",
	         atomic_load(&refused), seen.most, seen.most_bytes);
	(void)tap_ok(seen.got == THREADS * ITEMS, "every item arrives");
	(void)tap_ok(seen.in_order && seen.counted, "in the order of its thread");
	(void)tap_ok(seen.most <= MAX_ITEMS && seen.most_bytes <= MAX_BYTES,
	             "the bounds hold");
}

/* Threads that wait for room when the mailbox is closed keep their item. */
static void *wait_main(void *arg)
{
	struct thing *t = thing_new(0, 0, 1);

	(void)arg;
	while (zk_mailbox_push_wait(box, &t->item, -1) == ZK_MAIL_TAKEN)
		t = thing_new(0, 0, 1);
	free(t);
	atomic_fetch_add(&closed, 1);
	return NULL;
}

static void test_close(void)
{
	pthread_t t[THREADS];
	struct thing *late;

	new_box();
	for (unsigned i = 0; i < THREADS; i++)
		if (pthread_create(&t[i], NULL, wait_main, NULL) != 0)
			exit(1);
	/* The loop does not turn: the mailbox fills and everybody waits. */
	late = thing_new(0, 0, 1);
	while (zk_mailbox_push(box, &late->item) == ZK_MAIL_TAKEN)
		late = thing_new(0, 0, 1);
	(void)tap_ok(zk_mailbox_push_wait(box, &late->item, 5) == ZK_MAIL_FULL,
	             "waiting for room has an end");
	zk_mailbox_close(box);
	for (unsigned i = 0; i < THREADS; i++)
		(void)pthread_join(t[i], NULL);
	(void)tap_ok(atomic_load(&closed) == THREADS, "close wakes who waits");
	(void)tap_ok(seen.got == MAX_ITEMS, "what was inside is delivered at once");
	(void)tap_ok(zk_mailbox_push(box, &late->item) == ZK_MAIL_CLOSED,
	             "nothing is taken");
	free(late);
	zk_mailbox_free(box);
	zk_mailbox_free(NULL);
	zk_loop_run(loop);
}

static void test_one_large(void)
{
	struct thing *big, *more = thing_new(0, 1, 1);

	new_box();
	big = thing_new(0, 0, 10 * MAX_BYTES);
	(void)tap_ok(zk_mailbox_push(box, &big->item) == ZK_MAIL_TAKEN,
	             "an empty one takes any item");
	(void)tap_ok(zk_mailbox_push(box, &more->item) == ZK_MAIL_FULL,
	             "and is full then");
	free(more);
	zk_mailbox_free(box);
	(void)tap_ok(seen.got == 1, "free delivers");
}

int main(void)
{
	struct zk_error err = { 0 };

	seed = tap_seed();
	loop = zk_loop_new(&err);
	if (!tap_ok(loop != NULL, "a loop"))
		return tap_done();
	test_fill();
	test_close();
	test_one_large();
	zk_loop_free(loop);
	return tap_done();
}
