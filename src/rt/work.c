/* Bounded concurrent work with order by key and retries.
 * Layer: rt. */
#include "rt/work.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/rand.h"
#include "rt/child.h"
#include "rt/loop.h"

#include "base/ban.h"

#define HIGH 1000

/* The tasks of one key that wait for the one under way. */
struct chain {
	struct zk_list tasks;
	char *key;
	size_t n;
};

struct zk_work {
	struct zk_loop *loop;
	struct zk_work_conf conf;
	struct zk_rand rnd;
	struct zk_map chains;
	struct zk_list ready;   /* may start now */
	struct zk_list running; /* and those that wait for a retry */
	unsigned n_running;
	size_t n;
	bool asked; /* for a pause */
	bool hurry, closing, pumping;
};

static void pump(struct zk_work *w);

struct zk_work *zk_work_new(struct zk_loop *loop, const struct zk_work_conf *conf)
{
	struct zk_work *w = zk_new0(struct zk_work);
	uint64_t seed;

	w->loop = loop;
	w->conf = *conf;
	w->conf.jobs = conf->jobs ? conf->jobs : 1;
	w->conf.high = conf->high ? conf->high : HIGH;
	zk_rand_secret(&seed, sizeof(seed));
	zk_rand_seed(&w->rnd, seed);
	zk_map_init(&w->chains);
	zk_list_init(&w->ready);
	zk_list_init(&w->running);
	return w;
}

static struct chain *chain_of(struct zk_work *w, zk_str key)
{
	struct chain *c = zk_map_get(&w->chains, key);

	if (c)
		return c;
	c = zk_new0(struct chain);
	zk_list_init(&c->tasks);
	c->key = zk_strndup(key.p, key.n);
	c->n = key.n;
	zk_map_set(&w->chains, key, c);
	return c;
}

/* Lets the next task of the key start, or forgets the key. */
static void release_key(struct zk_work *w, struct chain *c)
{
	struct zk_list *next = zk_list_pop(&c->tasks);

	if (next) {
		zk_list_push(&w->ready, next);
		return;
	}
	zk_map_del(&w->chains, zk_str_n(c->key, c->n));
	free(c->key);
	free(c);
}

static void over(struct zk_work *w, struct zk_task *t, const struct zk_error *err)
{
	struct chain *c = t->chain;

	zk_timer_free(t->timer);
	t->timer = NULL;
	zk_list_remove(&t->entry);
	if (c)
		release_key(w, c);
	w->n--;
	w->conf.over(w->conf.ctx, t, err);
	if (w->closing)
		return;
	pump(w);
	if (w->asked && w->n <= w->conf.high / 2) {
		w->asked = false;
		if (w->conf.on_room)
			w->conf.on_room(w->conf.ctx);
	}
	if (!w->n && w->conf.on_idle)
		w->conf.on_idle(w->conf.ctx);
}

static void attempt(struct zk_work *w, struct zk_task *t)
{
	t->running = true;
	w->n_running++;
	w->conf.start(w->conf.ctx, t);
}

static void pump(struct zk_work *w)
{
	/* An attempt may end inside its start. */
	if (w->pumping)
		return;
	w->pumping = true;
	while (w->n_running < w->conf.jobs && !w->closing) {
		struct zk_list *e = zk_list_pop(&w->ready);

		if (!e)
			break;
		struct zk_task *t = ZK_LIST_ENTRY(e, struct zk_task, entry);

		zk_list_push(&w->running, &t->entry);
		attempt(w, t);
	}
	w->pumping = false;
}

/* The wait is over: it stands first in line. */
static void again(void *ctx)
{
	struct zk_task *t = ctx;
	struct zk_work *w = t->work;

	zk_timer_free(ZK_TAKE(t->timer));
	zk_list_remove(&t->entry);
	zk_list_push_front(&w->ready, &t->entry);
	pump(w);
}

void zk_work_end(struct zk_task *t, const struct zk_error *err)
{
	struct zk_work *w = t->work;
	int64_t wait = -1;

	ZK_ASSERT(t->running);
	t->running = false;
	w->n_running--;
	if (err) {
		t->err = *err;
		if (err->retryable)
			wait = zk_retry_next(&t->retry, zk_loop_now_ms(w->loop),
			                     err->retry_after_ms, &w->rnd);
	}
	if (wait < 0) {
		over(w, t, err ? &t->err : NULL);
		return;
	}
	if (w->hurry)
		wait = 0;
	if (w->conf.on_retry)
		w->conf.on_retry(w->conf.ctx, t, wait);
	t->timer = zk_timer_new(w->loop, again, t);
	zk_timer_start(t->timer, wait, 0);
	pump(w);
}

bool zk_work_push(struct zk_work *w, struct zk_task *t, zk_str key)
{
	*t = (struct zk_task){ .work = w };
	zk_list_init(&t->entry);
	zk_retry_init(&t->retry, &w->conf.retry, zk_loop_now_ms(w->loop));
	w->n++;
	if (key.n) {
		bool busy = zk_map_get(&w->chains, key) != NULL;
		struct chain *c = chain_of(w, key);

		t->chain = c;
		zk_list_push(busy ? &c->tasks : &w->ready, &t->entry);
	} else {
		zk_list_push(&w->ready, &t->entry);
	}
	pump(w);
	w->asked = w->asked || w->n >= w->conf.high;
	return !w->asked;
}

size_t zk_work_count(const struct zk_work *w)
{
	return w->n;
}

void zk_work_hurry(struct zk_work *w)
{
	w->hurry = true;
	ZK_LIST_EACH (e, &w->running) {
		struct zk_task *t = ZK_LIST_ENTRY(e, struct zk_task, entry);

		if (t->timer)
			zk_timer_start(t->timer, 0, 0);
	}
}

static void hand_back(struct zk_work *w, struct zk_list *head)
{
	struct zk_error err = { 0 };

	(void)zk_fail(&err, ZK_E_INTERRUPTED, "stopped before it was done");
	while (head->next != head) {
		struct zk_task *t = ZK_LIST_ENTRY(head->next, struct zk_task, entry);

		if (t->running) {
			t->running = false;
			w->n_running--;
			w->conf.cancel(w->conf.ctx, t);
		}
		over(w, t, &err);
	}
}

void zk_work_free(struct zk_work *w)
{
	if (!w)
		return;
	w->closing = true;
	/* A key that is released moves its next task to `ready`. */
	hand_back(w, &w->running);
	hand_back(w, &w->ready);
	zk_map_done(&w->chains);
	free(w);
}

const struct zk_error *zk_work_child_error(const struct zk_child_result *res,
                                           struct zk_error *err)
{
	if (res->status == 0)
		return NULL;
	if (res->timed_out)
		(void)zk_fail(err, ZK_E_TIMEOUT, "the command took too long");
	else if (res->signal)
		(void)zk_fail(err, ZK_E_COMMAND, "the command was ended by signal %d",
		              res->signal);
	else
		(void)zk_fail(err, ZK_E_COMMAND, "the command ended with status %d",
		              res->status);
	err->retryable = res->status != 126 && res->status != 127;
	return err;
}
