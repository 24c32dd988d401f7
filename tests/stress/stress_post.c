/* Posts from many threads arrive once each and in the order of their thread; the loop
 * sleeps in between and is always woken.
 * Layer: tests. */
#include <sched.h>
#include <string.h>

#include "base/attr.h"
#include "base/rand.h"
#include "rt/loop.h"
#include "tap.h"

#include "base/ban.h"

enum { THREADS = 4, POSTS = 50000, NAPS = 300 };

static struct zk_loop *loop;

struct poster {
	pthread_t thread;
	uint64_t seed;
	/* Loop thread: */
	unsigned got;
	bool in_order;
};

/* The argument is the number of the post, so that nothing has to be allocated. */
static struct poster posters[THREADS];
static struct {
	unsigned char mark[POSTS];
} slots[THREADS];

static void on_post(void *ctx)
{
	unsigned char *slot = ctx;

	for (unsigned i = 0; i < THREADS; i++) {
		if (slot < slots[i].mark || slot >= slots[i].mark + POSTS)
			continue;
		posters[i].in_order &= slot == slots[i].mark + posters[i].got;
		posters[i].got++;
		++*slot;
		if (posters[i].got == POSTS)
			zk_loop_release(loop);
	}
}

static void *post_main(void *arg)
{
	struct poster *p = arg;
	struct zk_rand rnd;

	zk_rand_seed(&rnd, p->seed);
	for (unsigned k = 0; k < POSTS; k++) {
		zk_loop_post(loop, on_post, &slots[p - posters].mark[k]);
		/* Now and then the loop gets the time to fall asleep. */
		if (zk_rand_below(&rnd, POSTS / NAPS) == 0)
			tap_pause();
		else if (zk_rand_below(&rnd, 20) == 0)
			(void)sched_yield();
	}
	return NULL;
}

static void test_many(uint64_t seed)
{
	bool once = true, in_order = true;

	for (unsigned i = 0; i < THREADS; i++) {
		posters[i] = (struct poster){ .seed = seed + i, .in_order = true };
		zk_loop_hold(loop);
		if (pthread_create(&posters[i].thread, NULL, post_main, &posters[i]) != 0)
			exit(1);
	}
	zk_loop_run(loop);
	for (unsigned i = 0; i < THREADS; i++) {
		(void)pthread_join(posters[i].thread, NULL);
		in_order &= posters[i].in_order;
		for (unsigned k = 0; k < POSTS; k++)
			once &= slots[i].mark[k] == 1;
	}
	(void)tap_ok(once, "%u posts of %u threads run once each", THREADS * POSTS,
	             THREADS);
	(void)tap_ok(in_order, "in the order of their thread");
}

/* ---- one at a time: each post finds a sleeping loop ---- */

struct echo {
	pthread_mutex_t lock;
	pthread_cond_t cond;
	unsigned asked, answered;
};

static void on_echo(void *ctx)
{
	struct echo *e = ctx;

	(void)pthread_mutex_lock(&e->lock);
	e->answered++;
	(void)pthread_mutex_unlock(&e->lock);
	(void)pthread_cond_signal(&e->cond);
}

static void on_last(void *ctx)
{
	(void)ctx;
	zk_loop_release(loop);
}

static void *echo_main(void *arg)
{
	struct echo *e = arg;

	for (unsigned i = 0; i < 5000; i++) {
		zk_loop_post(loop, on_echo, e);
		(void)pthread_mutex_lock(&e->lock);
		e->asked++;
		while (e->answered < e->asked)
			(void)pthread_cond_wait(&e->cond, &e->lock);
		(void)pthread_mutex_unlock(&e->lock);
	}
	zk_loop_post(loop, on_last, NULL);
	return NULL;
}

static void test_echo(void)
{
	struct echo e = { .lock = PTHREAD_MUTEX_INITIALIZER,
		          .cond = PTHREAD_COND_INITIALIZER };
	pthread_t t;

	zk_loop_hold(loop);
	if (pthread_create(&t, NULL, echo_main, &e) != 0)
		exit(1);
	zk_loop_run(loop);
	(void)pthread_join(t, NULL);
	(void)tap_ok(e.answered == 5000, "a sleeping loop wakes for each of 5000 posts");
}

int main(void)
{
	struct zk_error err = { 0 };
	uint64_t seed = tap_seed();

	loop = zk_loop_new(&err);
	if (!tap_ok(loop != NULL, "a loop"))
		return tap_done();
	test_many(seed);
	test_echo();
	zk_loop_free(loop);
	return tap_done();
}
