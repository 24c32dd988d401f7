/* A worker thread with a bounded inbox; results come back to the loop in whole batches.
 * Layer: rt. */
#include "rt/lane.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/clock.h"
#include "base/mem.h"
#include "rt/loop.h"

#include "base/ban.h"

#define CLASSES      4
#define DEFAULT_JOBS 1000

struct fifo {
	struct zk_job *head, **tail;
};

struct zk_lane {
	struct zk_loop *loop;
	struct zk_lane_conf conf;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t cond;
	/* Under lock. */
	struct fifo inbox[CLASSES];
	struct fifo finished; /* on their way back */
	size_t waiting;       /* jobs in the inbox */
	bool sleeping, stopping, posted;
	/* Loop thread. */
	size_t jobs, bytes; /* pushed and not yet done */
	void (*when_empty)(void *ctx);
	void *when_empty_ctx;
	bool freeing;
};

static void fifo_init(struct fifo *f)
{
	f->head = NULL;
	f->tail = &f->head;
}

static void fifo_push(struct fifo *f, struct zk_job *job)
{
	job->next = NULL;
	*f->tail = job;
	f->tail = &job->next;
}

static struct zk_job *fifo_pop(struct fifo *f)
{
	struct zk_job *job = f->head;

	f->head = job->next;
	if (!f->head)
		f->tail = &f->head;
	return job;
}

/* ---- lane thread ----------------------------------------------------------------------- */

/* The class to take from next: one that waited too long, else the first that has jobs. */
static struct fifo *next_fifo(struct zk_lane *l, int64_t now_us)
{
	struct fifo *first = NULL;

	for (size_t i = 0; i < CLASSES; i++) {
		struct fifo *f = &l->inbox[i];

		if (!f->head)
			continue;
		if (!first)
			first = f;
		else if (l->conf.max_wait_ms &&
		         now_us - f->head->pushed_us > l->conf.max_wait_ms * 1000)
			return f;
	}
	return first;
}

/* Under lock. Takes a batch within its limits (at least one job). */
static size_t take_batch(struct zk_lane *l, struct fifo *batch)
{
	size_t n = 0, bytes = 0;
	int64_t now_us = zk_mono_us();

	fifo_init(batch);
	while (n < l->conf.batch_jobs) {
		struct fifo *f = next_fifo(l, now_us);

		if (!f)
			break;
		if (n && l->conf.batch_bytes &&
		    bytes + f->head->bytes > l->conf.batch_bytes)
			break;
		struct zk_job *job = fifo_pop(f);

		bytes += job->bytes;
		fifo_push(batch, job);
		n++;
	}
	l->waiting -= n;
	return n;
}

static void deliver(void *ctx);

/* Under lock. Hands the batch back; the loop is woken once until it has looked. */
static void give_back(struct zk_lane *l, struct zk_job *batch)
{
	while (batch) {
		struct zk_job *next = batch->next;

		fifo_push(&l->finished, batch);
		batch = next;
	}
	if (!l->posted) {
		l->posted = true;
		zk_loop_post(l->loop, deliver, l);
	}
}

static void wait_for_work(struct zk_lane *l)
{
	struct timespec until;

	l->sleeping = true;
	if (!l->conf.idle || !l->conf.idle_ms) {
		pthread_cond_wait(&l->cond, &l->lock);
		l->sleeping = false;
		return;
	}
	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += l->conf.idle_ms / 1000;
	until.tv_nsec += (l->conf.idle_ms % 1000) * 1000000;
	if (until.tv_nsec >= 1000000000) {
		until.tv_nsec -= 1000000000;
		until.tv_sec++;
	}
	int r = pthread_cond_timedwait(&l->cond, &l->lock, &until);

	l->sleeping = false;
	if (r != 0 && !l->waiting && !l->stopping) {
		pthread_mutex_unlock(&l->lock);
		l->conf.idle(l->conf.ctx);
		pthread_mutex_lock(&l->lock);
	}
}

static void *lane_main(void *arg)
{
	struct zk_lane *l = arg;

	if (l->conf.begin)
		l->conf.begin(l->conf.ctx);
	pthread_mutex_lock(&l->lock);
	for (;;) {
		struct fifo batch;

		while (!l->waiting && !l->stopping)
			wait_for_work(l);
		if (!l->waiting)
			break;
		size_t n = take_batch(l, &batch);

		pthread_mutex_unlock(&l->lock);
		l->conf.run(l->conf.ctx, batch.head, n);
		pthread_mutex_lock(&l->lock);
		give_back(l, batch.head);
	}
	pthread_mutex_unlock(&l->lock);
	if (l->conf.end)
		l->conf.end(l->conf.ctx);
	return NULL;
}

/* ---- loop thread ----------------------------------------------------------------------- */

static void check_empty(struct zk_lane *l)
{
	if (l->jobs || !l->when_empty)
		return;
	void (*fn)(void *) = l->when_empty;

	l->when_empty = NULL;
	fn(l->when_empty_ctx);
}

static void deliver_all(struct zk_lane *l)
{
	struct zk_job *job;

	pthread_mutex_lock(&l->lock);
	job = l->finished.head;
	fifo_init(&l->finished);
	pthread_mutex_unlock(&l->lock);
	while (job) {
		struct zk_job *next = job->next;

		l->jobs--;
		l->bytes -= job->bytes;
		job->next = NULL;
		job->done(job);
		job = next;
	}
}

static void lane_free(struct zk_lane *l)
{
	pthread_cond_destroy(&l->cond);
	pthread_mutex_destroy(&l->lock);
	free(l);
}

static void deliver(void *ctx)
{
	struct zk_lane *l = ctx;

	if (l->freeing) {
		lane_free(l);
		return;
	}
	pthread_mutex_lock(&l->lock);
	l->posted = false;
	pthread_mutex_unlock(&l->lock);
	deliver_all(l);
	check_empty(l);
}

int zk_lane_start(struct zk_loop *loop, const struct zk_lane_conf *conf,
                  struct zk_lane **ret, struct zk_error *err)
{
	struct zk_lane *l = zk_new0(struct zk_lane);
	pthread_condattr_t attr;

	l->loop = loop;
	l->conf = *conf;
	if (!l->conf.max_jobs)
		l->conf.max_jobs = DEFAULT_JOBS;
	if (!l->conf.batch_jobs)
		l->conf.batch_jobs = 1;
	for (size_t i = 0; i < CLASSES; i++)
		fifo_init(&l->inbox[i]);
	fifo_init(&l->finished);
	pthread_mutex_init(&l->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&l->cond, &attr);
	pthread_condattr_destroy(&attr);
	int r = pthread_create(&l->thread, NULL, lane_main, l);

	if (r) {
		lane_free(l);
		return zk_fail_errno(err, ZK_E_SYSTEM, r, "cannot start the thread '%s'",
		                     conf->name);
	}
	char name[16];

	(void)snprintf(name, sizeof(name), "%s", conf->name);
	(void)pthread_setname_np(l->thread, name);
	*ret = l;
	return 0;
}

void zk_lane_push_always(struct zk_lane *l, struct zk_job *job)
{
	ZK_ASSERT(job->class_ < CLASSES);
	job->pushed_us = zk_mono_us();
	l->jobs++;
	l->bytes += job->bytes;
	pthread_mutex_lock(&l->lock);
	fifo_push(&l->inbox[job->class_], job);
	l->waiting++;
	bool wake = l->sleeping;

	pthread_mutex_unlock(&l->lock);
	if (wake)
		pthread_cond_signal(&l->cond);
}

bool zk_lane_push(struct zk_lane *l, struct zk_job *job)
{
	if (l->jobs >= l->conf.max_jobs ||
	    (l->conf.max_bytes && l->bytes + job->bytes > l->conf.max_bytes))
		return false;
	zk_lane_push_always(l, job);
	return true;
}

size_t zk_lane_jobs(const struct zk_lane *l)
{
	return l->jobs;
}

size_t zk_lane_bytes(const struct zk_lane *l)
{
	return l->bytes;
}

void zk_lane_stop(struct zk_lane *l)
{
	if (!l)
		return;
	/* A `done` may push more; the thread goes on until nothing comes any more. */
	for (;;) {
		pthread_mutex_lock(&l->lock);
		l->stopping = true;
		pthread_mutex_unlock(&l->lock);
		pthread_cond_signal(&l->cond);
		pthread_join(l->thread, NULL);
		deliver_all(l);
		if (!l->waiting)
			break;
		l->stopping = false;
		ZK_ASSERT(pthread_create(&l->thread, NULL, lane_main, l) == 0);
	}
	check_empty(l);
	/* A wake-up may still be on its way to `deliver`, which frees the lane then. */
	l->freeing = true;
	if (!l->posted)
		lane_free(l);
}

void zk_lane_when_empty(struct zk_lane *l, void (*fn)(void *ctx), void *ctx)
{
	l->when_empty = fn;
	l->when_empty_ctx = ctx;
	if (l->jobs)
		return;
	/* Through `deliver`, so that a lane that is stopped meanwhile is not touched. */
	pthread_mutex_lock(&l->lock);
	if (!l->posted) {
		l->posted = true;
		zk_loop_post(l->loop, deliver, l);
	}
	pthread_mutex_unlock(&l->lock);
}
