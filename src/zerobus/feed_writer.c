/* The thread between the reader's and the loop that writes debug files: a disk takes as long as it
 * takes, and neither reading nor sending waits for it as long as there is room.
 * Layer: zerobus. specs/zerobus.md §16. */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/mem.h"
#include "zerobus/feed_int.h"

#include "base/ban.h"

#define PART_BYTES ((size_t)16 << 20) /* of Arrow messages that wait; one may be larger */

struct zk_zb_writer {
	struct zk_zb_writer_conf conf;
	pthread_t thread;

	pthread_mutex_t lock; /* of the following */
	pthread_cond_t work, room;
	struct zk_item *first, **tail;
	size_t parts; /* bytes of parts that were not written */
	bool ending;

	/* its thread */
	bool dirty;       /* something was written and not flushed */
	int64_t dirty_ms; /* since when */
};

/* ---- its thread ---- */

/* What has come in; waits for it, but no longer than what was written may wait for its flush.
 * *ret_end: nothing will come any more. */
static struct zk_item *take(struct zk_zb_writer *w, bool *ret_end)
{
	int64_t left = w->dirty_ms + w->conf.feed->flush_ms - zk_mono_ms();
	struct timespec until = zk_real_in(ZK_MAX(left, (int64_t)0));
	struct zk_item *list;
	int r = 0;

	(void)pthread_mutex_lock(&w->lock);
	while (!w->first && !w->ending && r != ETIMEDOUT) {
		if (w->dirty)
			r = pthread_cond_timedwait(&w->work, &w->lock, &until);
		else
			(void)pthread_cond_wait(&w->work, &w->lock);
	}
	list = w->first;
	w->first = NULL;
	w->tail = &w->first;
	*ret_end = !list && w->ending;
	(void)pthread_mutex_unlock(&w->lock);
	return list;
}

static void flush(struct zk_zb_writer *w)
{
	if (w->dirty)
		w->conf.feed->on_flush(w->conf.feed->ctx);
	w->dirty = false;
}

static void flush_when_due(struct zk_zb_writer *w)
{
	if (w->dirty && zk_mono_ms() - w->dirty_ms >= w->conf.feed->flush_ms)
		flush(w);
}

static void be_dirty(struct zk_zb_writer *w)
{
	if (!w->dirty)
		w->dirty_ms = zk_mono_ms();
	w->dirty = true;
}

static void write_part(struct zk_zb_writer *w, struct zk_zb_note *n)
{
	be_dirty(w);
	w->conf.feed->on_part(w->conf.feed->ctx, &n->part);
	(void)pthread_mutex_lock(&w->lock);
	w->parts -= n->item.bytes;
	(void)pthread_cond_signal(&w->room);
	(void)pthread_mutex_unlock(&w->lock);
	zk_zb_note_free(n);
}

static void handle(struct zk_zb_writer *w, struct zk_zb_note *n)
{
	switch (n->what) {
	case ZK_ZB_NOTE_PART:
		write_part(w, n);
		return;
	case ZK_ZB_NOTE_REQUEST:
		if (!w->conf.feed->on_built)
			break;
		be_dirty(w);
		w->conf.feed->on_built(w->conf.feed->ctx, n->request);
		break;
	case ZK_ZB_NOTE_END:
		flush(w);
		break;
	case ZK_ZB_NOTE_BAD:
	case ZK_ZB_NOTE_SKIPPED:
	case ZK_ZB_NOTE_KIND:
	case ZK_ZB_NOTE_TEXT:
		break;
	}
	w->conf.pass(w->conf.ctx, n);
}

static void *writer(void *ctx)
{
	struct zk_zb_writer *w = ctx;
	bool end = false;

	while (!end) {
		struct zk_item *list = take(w, &end);

		while (list) {
			struct zk_zb_note *n = zk_zb_note_of(list);

			list = list->next;
			handle(w, n);
			flush_when_due(w);
		}
		flush_when_due(w);
	}
	flush(w);
	return NULL;
}

/* ---- the others ---- */

void zk_zb_writer_put(struct zk_zb_writer *w, struct zk_zb_note *n)
{
	size_t bytes = n->what == ZK_ZB_NOTE_PART ? n->item.bytes : 0;

	n->item.next = NULL;
	(void)pthread_mutex_lock(&w->lock);
	while (bytes && w->parts && w->parts + bytes > PART_BYTES)
		(void)pthread_cond_wait(&w->room, &w->lock);
	w->parts += bytes;
	if (!w->first)
		(void)pthread_cond_signal(&w->work);
	*w->tail = &n->item;
	w->tail = &n->item.next;
	(void)pthread_mutex_unlock(&w->lock);
}

static void free_now(struct zk_zb_writer *w)
{
	(void)pthread_cond_destroy(&w->work);
	(void)pthread_cond_destroy(&w->room);
	(void)pthread_mutex_destroy(&w->lock);
	free(w);
}

int zk_zb_writer_start(const struct zk_zb_writer_conf *conf, struct zk_zb_writer **ret,
                       struct zk_error *err)
{
	struct zk_zb_writer *w = zk_new0(struct zk_zb_writer);
	pthread_condattr_t attr;
	int r;

	w->conf = *conf;
	w->tail = &w->first;
	(void)pthread_condattr_init(&attr);
	(void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	(void)pthread_cond_init(&w->work, &attr);
	(void)pthread_cond_init(&w->room, NULL);
	(void)pthread_condattr_destroy(&attr);
	(void)pthread_mutex_init(&w->lock, NULL);
	r = pthread_create(&w->thread, NULL, writer, w);
	if (r != 0) {
		free_now(w);
		return zk_fail_errno(err, ZK_E_SYSTEM, r, "cannot start a thread");
	}
	*ret = w;
	return 0;
}

void zk_zb_writer_free(struct zk_zb_writer *w)
{
	if (!w)
		return;
	(void)pthread_mutex_lock(&w->lock);
	w->ending = true;
	(void)pthread_cond_signal(&w->work);
	(void)pthread_mutex_unlock(&w->lock);
	(void)pthread_join(w->thread, NULL);
	free_now(w);
}
