/* A lane: worker thread, inbox handed over once per turn, results handed back once per
 * batch.
 * Layer: rt. */
#include "rt/lane.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

#include "base/clock.h"
#include "base/mem.h"
#include "rt/loop.h"

#include "base/ban.h"

#define CLASSES          4
#define MAX_JOBS_DEFAULT 1000
#define HANG_LOOK_MS     20 /* between two looks at what is late */

struct joblist {
	struct zk_job *head, **tail;
	size_t n;
};

struct waiter {
	void (*fn)(void *ctx);
	void *ctx;
};

struct zk_lane {
	struct zk_lane_conf conf;
	struct zk_loop *loop;
	pthread_t thread;

	/* Loop thread. */
	struct joblist local; /* pushed in this turn */
	size_t jobs, bytes;   /* waiting or running */
	bool flush_waits;     /* on_turn_end is deferred */
	bool held;            /* the loop waits for us */
	bool stopping;
	struct waiter *waiters;
	size_t n_waiters;

	pthread_mutex_t lock;
	pthread_cond_t work; /* monotonic clock */
	pthread_cond_t back; /* monotonic clock */
	/* Under `lock`: */
	struct joblist in, out;
	bool asleep;       /* the thread waits for `work` */
	bool posted;       /* on_results was posted and has not run */
	bool collect, end; /* stop: signal `back` instead of posting; leave */
	bool abandoned;    /* nobody is there any more: never come back */

	atomic_bool posting; /* a post is under way, without the lock */

	/* Lane thread. */
	struct joblist classes[CLASSES];
	size_t n_classed;
};

/* ---- lists of jobs ---- */

static void list_init(struct joblist *l)
{
	l->head = NULL;
	l->tail = &l->head;
	l->n = 0;
}

static void list_add(struct joblist *l, struct zk_job *job)
{
	job->next = NULL;
	*l->tail = job;
	l->tail = &job->next;
	l->n++;
}

/* Moves all of `from` to the end of `to`. */
static void list_move(struct joblist *to, struct joblist *from)
{
	if (!from->head)
		return;
	*to->tail = from->head;
	to->tail = from->tail;
	to->n += from->n;
	list_init(from);
}

static struct zk_job *list_pop(struct joblist *l)
{
	struct zk_job *job = l->head;

	l->head = job->next;
	l->n--;
	if (!l->head)
		l->tail = &l->head;
	job->next = NULL;
	return job;
}

/* ---- lane thread ---- */

/* The class whose first job comes next: of class 0 and of those whose first job waited
 * too long the one that waits longest, otherwise the lowest. */
static struct joblist *next_class(struct zk_lane *l, int64_t now_us)
{
	struct joblist *first = NULL, *due = NULL;

	for (size_t i = 0; i < CLASSES; i++) {
		struct joblist *c = &l->classes[i];

		if (!c->head)
			continue;
		if (!first)
			first = c;
		if (i > 0 && (l->conf.max_wait_ms <= 0 ||
		              now_us - c->head->pushed_us <= l->conf.max_wait_ms * 1000))
			continue;
		if (!due || c->head->pushed_us < due->head->pushed_us)
			due = c;
	}
	return due ? due : first;
}

static void take_batch(struct zk_lane *l, struct joblist *batch)
{
	size_t max = ZK_MAX(l->conf.batch_jobs, (size_t)1), bytes = 0;
	int64_t now_us = zk_mono_us();

	while (l->n_classed && batch->n < max) {
		struct joblist *c = next_class(l, now_us);

		bytes += c->head->bytes;
		if (batch->n && l->conf.batch_bytes && bytes > l->conf.batch_bytes)
			break;
		list_add(batch, list_pop(c));
		l->n_classed--;
	}
}

static void sort_in(struct zk_lane *l, struct joblist *in)
{
	while (in->head) {
		struct zk_job *job = list_pop(in);

		list_add(&l->classes[job->class_], job);
		l->n_classed++;
	}
}

/* With the lock held: waits until there is work or the end has come; runs `idle` on the
 * way. */
static void wait_for_work(struct zk_lane *l)
{
	bool idle_due = l->conf.idle != NULL;
	struct timespec until = zk_real_in(l->conf.idle_ms);

	while (!l->in.head && !l->end) {
		int r = 0;

		l->asleep = true;
		if (idle_due)
			r = pthread_cond_timedwait(&l->work, &l->lock, &until);
		else
			(void)pthread_cond_wait(&l->work, &l->lock);
		l->asleep = false;
		if (r == 0 || l->in.head || l->end)
			continue;
		idle_due = false;
		(void)pthread_mutex_unlock(&l->lock);
		l->conf.idle(l->conf.ctx);
		(void)pthread_mutex_lock(&l->lock);
	}
}

static void on_results(void *ctx);

/* Gives the results of `batch` back and takes what came in; both under one lock. False
 * at the end. */
static bool exchange(struct zk_lane *l, struct joblist *batch)
{
	struct joblist in;
	bool post = false, end;

	list_init(&in);
	(void)pthread_mutex_lock(&l->lock); /* fails only for misuse */
	if (batch->head) {
		list_move(&l->out, batch);
		if (l->collect)
			(void)pthread_cond_signal(&l->back);
		else
			post = !l->posted;
		l->posted |= post;
		atomic_store(&l->posting, post);
	}
	while (l->abandoned)
		(void)pthread_cond_wait(&l->work, &l->lock);
	/* The post comes before the sleep, without the lock. */
	if (!post && !l->n_classed)
		wait_for_work(l);
	list_move(&in, &l->in);
	end = l->end && !in.head && !l->n_classed;
	(void)pthread_mutex_unlock(&l->lock);
	if (post) {
		zk_loop_post(l->loop, on_results, l);
		atomic_store(&l->posting, false);
	}
	sort_in(l, &in);
	return !end;
}

static void *lane_main(void *arg)
{
	struct zk_lane *l = arg;
	struct joblist batch;

	list_init(&batch);
	if (l->conf.begin)
		l->conf.begin(l->conf.ctx);
	while (exchange(l, &batch)) {
		take_batch(l, &batch);
		if (batch.head)
			l->conf.run(l->conf.ctx, batch.head, batch.n);
	}
	if (l->conf.end)
		l->conf.end(l->conf.ctx);
	return NULL;
}

/* ---- loop thread ---- */

static void deliver(struct zk_lane *l, struct joblist *out)
{
	while (out->head) {
		struct zk_job *job = list_pop(out);

		l->jobs--;
		l->bytes -= job->bytes;
		job->done(job);
	}
}

static void run_waiters(void *ctx)
{
	struct zk_lane *l = ctx;
	struct waiter *w = ZK_TAKE(l->waiters);
	size_t n = l->n_waiters;

	/* Work may have come since; then they wait for the next time. */
	if (l->jobs) {
		l->waiters = w;
		return;
	}
	l->n_waiters = 0;
	for (size_t i = 0; i < n; i++)
		w[i].fn(w[i].ctx);
	free(w);
}

/* After results were delivered. */
static void check_empty(struct zk_lane *l)
{
	if (l->jobs || !l->held)
		return;
	l->held = false;
	zk_loop_release(l->loop);
	if (l->n_waiters)
		zk_loop_defer(l->loop, run_waiters, l);
}

static void on_results(void *ctx)
{
	struct zk_lane *l = ctx;
	struct joblist out;

	list_init(&out);
	(void)pthread_mutex_lock(&l->lock);
	list_move(&out, &l->out);
	l->posted = false;
	(void)pthread_mutex_unlock(&l->lock);
	deliver(l, &out);
	check_empty(l);
}

/* Hands over what was pushed in this turn. */
static void flush_local(struct zk_lane *l)
{
	bool wake;

	if (!l->local.head)
		return;
	(void)pthread_mutex_lock(&l->lock);
	list_move(&l->in, &l->local);
	wake = l->asleep;
	l->asleep = false;
	(void)pthread_mutex_unlock(&l->lock);
	if (wake)
		(void)pthread_cond_signal(&l->work);
}

static void on_turn_end(void *ctx)
{
	struct zk_lane *l = ctx;

	l->flush_waits = false;
	flush_local(l);
}

void zk_lane_push_always(struct zk_lane *l, struct zk_job *job)
{
	ZK_ASSERT(job->done && job->class_ < CLASSES);
	job->pushed_us = zk_mono_us();
	list_add(&l->local, job);
	l->jobs++;
	l->bytes += job->bytes;
	if (!l->held) {
		l->held = true;
		zk_loop_hold(l->loop);
	}
	if (!l->flush_waits) {
		l->flush_waits = true;
		zk_loop_defer(l->loop, on_turn_end, l);
	}
}

bool zk_lane_push(struct zk_lane *l, struct zk_job *job)
{
	if (l->stopping || l->jobs >= l->conf.max_jobs)
		return false;
	/* One job always fits, or a large one would never be taken. */
	if (l->conf.max_bytes && l->jobs &&
	    (job->bytes > l->conf.max_bytes || l->bytes > l->conf.max_bytes - job->bytes))
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

void zk_lane_when_empty(struct zk_lane *l, void (*fn)(void *ctx), void *ctx)
{
	l->waiters = zk_realloc(l->waiters, (l->n_waiters + 1) * sizeof(*l->waiters));
	l->waiters[l->n_waiters++] = (struct waiter){ fn, ctx };
	if (!l->jobs && l->n_waiters == 1)
		zk_loop_defer(l->loop, run_waiters, l);
}

/* ---- start and stop ---- */

static void lane_free(struct zk_lane *l)
{
	(void)pthread_cond_destroy(&l->work);
	(void)pthread_cond_destroy(&l->back);
	(void)pthread_mutex_destroy(&l->lock);
	free(l->waiters);
	free(l);
}

static int start_thread(struct zk_lane *l)
{
	sigset_t all, old;
	int r;

	/* Signals belong to the loop thread. */
	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &old);
	r = pthread_create(&l->thread, NULL, lane_main, l);
	(void)pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (r == 0 && l->conf.name)
		(void)pthread_setname_np(l->thread,
		                         l->conf.name); /* only for ps and gdb */
	return r;
}

int zk_lane_start(struct zk_loop *loop, const struct zk_lane_conf *conf,
                  struct zk_lane **ret, struct zk_error *err)
{
	struct zk_lane *l = zk_new0(struct zk_lane);
	pthread_condattr_t attr;
	int r;

	l->conf = *conf;
	l->loop = loop;
	if (!l->conf.max_jobs)
		l->conf.max_jobs = MAX_JOBS_DEFAULT;
	list_init(&l->local);
	list_init(&l->in);
	list_init(&l->out);
	for (size_t i = 0; i < CLASSES; i++)
		list_init(&l->classes[i]);
	(void)pthread_mutex_init(&l->lock, NULL);
	(void)pthread_condattr_init(&attr);
	(void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	(void)pthread_cond_init(&l->work, &attr);
	(void)pthread_cond_init(&l->back, &attr);
	(void)pthread_condattr_destroy(&attr);
	r = start_thread(l);
	if (r != 0) {
		lane_free(l);
		return zk_fail_errno(err, ZK_E_SYSTEM, r, "cannot start the thread '%s'",
		                     conf->name ? conf->name : "lane");
	}
	*ret = l;
	return 0;
}

/* How long a stop may take. */
struct limit {
	int64_t ms;
	bool (*hangs)(void *ctx);
	void *ctx;
	struct timespec until;
};

static bool is_late(struct limit *m)
{
	m->until = zk_real_in(HANG_LOOK_MS);
	return !m->hangs || m->hangs(m->ctx);
}

/* With the lock held: waits for results; the lane is given up when none came in time. */
static void wait_for_results(struct zk_lane *l, struct limit *m)
{
	l->collect = true;
	while (!l->out.head && !l->abandoned) {
		int r = m->ms < 0 ? pthread_cond_wait(&l->back, &l->lock)
		                  : pthread_cond_timedwait(&l->back, &l->lock, &m->until);

		l->abandoned = r == ETIMEDOUT && !l->out.head && is_late(m);
	}
}

/* Delivers results while jobs are outstanding; false when the lane was given up. */
static bool drain(struct zk_lane *l, struct limit *m)
{
	m->until = zk_real_in(ZK_MAX(m->ms, (int64_t)0));
	while (l->jobs) {
		struct joblist out;

		list_init(&out);
		flush_local(l);
		(void)pthread_mutex_lock(&l->lock);
		wait_for_results(l, m);
		list_move(&out, &l->out);
		(void)pthread_mutex_unlock(&l->lock);
		if (!out.head)
			return false;
		deliver(l, &out);
	}
	check_empty(l);
	return true;
}

/* The thread hangs in `run`. It keeps its memory, so that it can hang on. */
static void abandon(struct zk_lane *l)
{
	/* A post that began before this one's jobs is a matter of microseconds. */
	while (atomic_load(&l->posting))
		(void)sched_yield();
	zk_loop_forget(l->loop, on_results, l);
	zk_loop_forget(l->loop, on_turn_end, l);
	zk_loop_forget(l->loop, run_waiters, l);
	zk_loop_release(l->loop); /* held: it has jobs */
	(void)pthread_detach(l->thread);
}

void zk_lane_stop(struct zk_lane *l)
{
	(void)zk_lane_stop_within(l, -1, NULL, NULL);
}

bool zk_lane_stop_within(struct zk_lane *l, int64_t ms, bool (*hangs)(void *ctx),
                         void *ctx)
{
	struct limit limit = { .ms = ms, .hangs = hangs, .ctx = ctx };
	struct waiter *w;

	if (!l)
		return true;
	ZK_ASSERT(!l->stopping);
	l->stopping = true;
	if (!drain(l, &limit)) {
		abandon(l);
		return false;
	}
	(void)pthread_mutex_lock(&l->lock);
	l->end = true;
	(void)pthread_mutex_unlock(&l->lock);
	(void)pthread_cond_signal(&l->work);
	(void)pthread_join(l->thread, NULL);
	/* The thread is gone, so nothing is posted any more. */
	zk_loop_forget(l->loop, on_results, l);
	zk_loop_forget(l->loop, on_turn_end, l);
	zk_loop_forget(l->loop, run_waiters, l);
	w = ZK_TAKE(l->waiters);
	for (size_t i = 0; i < l->n_waiters; i++)
		w[i].fn(w[i].ctx);
	free(w);
	lane_free(l);
	return true;
}
