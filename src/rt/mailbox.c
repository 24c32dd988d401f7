/* Bounded edge from other threads into the loop.
 * Layer: rt. */
#include "rt/mailbox.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "base/clock.h"
#include "base/mem.h"
#include "rt/loop.h"

#include "base/ban.h"

struct zk_mailbox {
	struct zk_mailbox_conf conf;
	struct zk_loop *loop;
	pthread_mutex_t lock;
	pthread_cond_t room; /* monotonic clock */
	/* Under `lock`: */
	struct zk_item *head, **tail;
	size_t items, bytes;
	unsigned waiting; /* threads in zk_mailbox_push_wait */
	bool posted, closed;
};

struct zk_mailbox *zk_mailbox_new(struct zk_loop *loop,
                                  const struct zk_mailbox_conf *conf)
{
	struct zk_mailbox *m = zk_new0(struct zk_mailbox);
	pthread_condattr_t attr;

	m->conf = *conf;
	m->loop = loop;
	m->tail = &m->head;
	(void)pthread_mutex_init(&m->lock, NULL); /* these fail only for misuse */
	(void)pthread_condattr_init(&attr);
	(void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	(void)pthread_cond_init(&m->room, &attr);
	(void)pthread_condattr_destroy(&attr);
	zk_loop_hold(loop);
	return m;
}

/* Loop thread. Hands over everything. */
static void deliver(void *ctx)
{
	struct zk_mailbox *m = ctx;
	struct zk_item *list;
	size_t n;

	(void)pthread_mutex_lock(&m->lock);
	list = m->head;
	n = m->items;
	m->head = NULL;
	m->tail = &m->head;
	m->items = m->bytes = 0;
	m->posted = false;
	if (m->waiting)
		(void)pthread_cond_broadcast(&m->room);
	(void)pthread_mutex_unlock(&m->lock);
	if (list)
		m->conf.on_items(m->conf.ctx, list, n);
}

static bool fits(const struct zk_mailbox *m, const struct zk_item *item)
{
	if (!m->items)
		return true;
	if (m->conf.max_items && m->items >= m->conf.max_items)
		return false;
	return !m->conf.max_bytes || (item->bytes <= m->conf.max_bytes &&
	                              m->bytes <= m->conf.max_bytes - item->bytes);
}

/* With the lock held; true when the caller has to post. */
static bool put(struct zk_mailbox *m, struct zk_item *item)
{
	bool post = !m->posted;

	item->next = NULL;
	*m->tail = item;
	m->tail = &item->next;
	m->items++;
	m->bytes += item->bytes;
	m->posted = true;
	return post;
}

/* Waits as long as it is full. With the lock held. */
static void wait_room(struct zk_mailbox *m, const struct zk_item *item,
                      int64_t timeout_ms)
{
	struct timespec until = zk_real_in(ZK_MAX(timeout_ms, (int64_t)0));

	m->waiting++;
	while (!m->closed && !fits(m, item)) {
		if (timeout_ms < 0)
			(void)pthread_cond_wait(&m->room, &m->lock);
		else if (pthread_cond_timedwait(&m->room, &m->lock, &until) == ETIMEDOUT)
			break;
	}
	m->waiting--;
}

enum zk_mail zk_mailbox_push_wait(struct zk_mailbox *m, struct zk_item *item,
                                  int64_t timeout_ms)
{
	enum zk_mail r = ZK_MAIL_TAKEN;
	bool post = false;

	(void)pthread_mutex_lock(&m->lock);
	if (timeout_ms != 0 && !m->closed && !fits(m, item))
		wait_room(m, item, timeout_ms);
	if (m->closed)
		r = ZK_MAIL_CLOSED;
	else if (!fits(m, item))
		r = ZK_MAIL_FULL;
	else
		post = put(m, item);
	/* Under the lock, so that a close that follows finds the post. */
	if (post)
		zk_loop_post(m->loop, deliver, m);
	(void)pthread_mutex_unlock(&m->lock);
	return r;
}

enum zk_mail zk_mailbox_push(struct zk_mailbox *m, struct zk_item *item)
{
	return zk_mailbox_push_wait(m, item, 0);
}

void zk_mailbox_close(struct zk_mailbox *m)
{
	bool first;

	(void)pthread_mutex_lock(&m->lock);
	first = !m->closed;
	m->closed = true;
	(void)pthread_cond_broadcast(&m->room);
	(void)pthread_mutex_unlock(&m->lock);
	if (!first)
		return;
	zk_loop_forget(m->loop, deliver, m);
	deliver(m);
	zk_loop_release(m->loop);
}

void zk_mailbox_free(struct zk_mailbox *m)
{
	if (!m)
		return;
	zk_mailbox_close(m);
	(void)pthread_cond_destroy(&m->room);
	(void)pthread_mutex_destroy(&m->lock);
	free(m);
}
