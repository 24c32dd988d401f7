/* The event loop: one uv_loop_t, posts from other threads, functions at the end of a
 * turn.
 * Layer: rt. */
#include "rt/loop.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include <uv.h>

#define ZK_LOGGER "loop"
#include "base/log.h"
#include "base/mem.h"

#include "base/ban.h"

/* How often functions that came meanwhile are run before I/O gets its turn again. */
#define ROUNDS_MAX    8
#define FREE_LIMIT_MS 5000

struct call {
	zk_loop_fn fn; /* NULL = forgotten */
	void *ctx;
};

struct calls {
	struct call *v;
	size_t n, room;
};

struct zk_loop {
	uv_loop_t uv;
	uv_async_t async;     /* wakes the poll; counts for zk_loop_run only while held */
	uv_prepare_t prepare; /* last thing before the poll */
	uv_check_t check;     /* first thing after the I/O callbacks */
	uv_idle_t idle;       /* active when the poll must not wait */
	uv_timer_t limit;     /* of zk_loop_free */
	unsigned holds;
	bool turning, quit, expired;
	const bool *until; /* what zk_loop_until waits for */

	struct calls deferred,
	        running;    /* `running`: those of the list that is being run */
	struct calls taken; /* posts that are being run */
	/* The poll waits or is about to: a post must write to the eventfd. The first
	 * one that does clears it. */
	atomic_bool asleep;
	pthread_mutex_t lock;
	struct calls posts; /* under `lock` */
};

/* ---- lists of calls ---- */

static void calls_add(struct calls *c, zk_loop_fn fn, void *ctx)
{
	if (c->n == c->room) {
		c->room = c->room ? c->room * 2 : 16;
		c->v = zk_realloc(c->v, c->room * sizeof(*c->v));
	}
	c->v[c->n++] = (struct call){ fn, ctx };
}

static void calls_swap(struct calls *a, struct calls *b)
{
	struct calls c = *a;

	*a = *b;
	*b = c;
}

/* Runs all of `c`; nothing is added to it meanwhile, but entries may be forgotten. */
static void calls_run(struct calls *c)
{
	for (size_t i = 0; i < c->n; i++) {
		struct call call = c->v[i];

		c->v[i].fn = NULL;
		if (call.fn)
			call.fn(call.ctx);
	}
	c->n = 0;
}

static void calls_forget(struct calls *c, zk_loop_fn fn, const void *ctx)
{
	for (size_t i = 0; i < c->n; i++)
		if (c->v[i].fn == fn && c->v[i].ctx == ctx)
			c->v[i].fn = NULL;
}

/* ---- posts and deferred functions ---- */

static void run_deferred(struct zk_loop *l)
{
	for (unsigned i = 0; i < ROUNDS_MAX && l->deferred.n; i++) {
		calls_swap(&l->deferred, &l->running);
		calls_run(&l->running);
	}
}

/* Takes the whole list under one lock; true when there was something. */
static bool run_posts(struct zk_loop *l)
{
	(void)pthread_mutex_lock(&l->lock); /* fails only for misuse */
	calls_swap(&l->posts, &l->taken);
	(void)pthread_mutex_unlock(&l->lock);
	if (!l->taken.n)
		return false;
	calls_run(&l->taken);
	return true;
}

static bool has_posts(struct zk_loop *l)
{
	bool r;

	(void)pthread_mutex_lock(&l->lock);
	r = l->posts.n > 0;
	(void)pthread_mutex_unlock(&l->lock);
	return r;
}

static void on_idle(uv_idle_t *h)
{
	(void)uv_idle_stop(h);
}

static void on_prepare(uv_prepare_t *h)
{
	struct zk_loop *l = h->data;

	for (unsigned i = 0; i < ROUNDS_MAX; i++) {
		run_deferred(l);
		if (!run_posts(l))
			break;
	}
	if (l->until && *l->until)
		uv_stop(&l->uv); /* it was set since the poll: do not wait there again */
	/* From here on a post wakes the poll; one that came just before is seen below. */
	atomic_store(&l->asleep, true);
	if (!l->deferred.n && !has_posts(l))
		return;
	atomic_store(&l->asleep, false);
	(void)uv_idle_start(&l->idle, on_idle); /* the poll returns at once */
}

static void on_check(uv_check_t *h)
{
	struct zk_loop *l = h->data;

	atomic_store_explicit(&l->asleep, false, memory_order_relaxed);
	run_deferred(l);
}

static void on_async(uv_async_t *h)
{
	(void)run_posts(h->data);
}

void zk_loop_post(struct zk_loop *l, zk_loop_fn fn, void *ctx)
{
	(void)pthread_mutex_lock(&l->lock);
	calls_add(&l->posts, fn, ctx);
	(void)pthread_mutex_unlock(&l->lock);
	if (atomic_load(&l->asleep) && atomic_exchange(&l->asleep, false))
		(void)uv_async_send(&l->async);
}

void zk_loop_defer(struct zk_loop *l, zk_loop_fn fn, void *ctx)
{
	calls_add(&l->deferred, fn, ctx);
}

void zk_loop_forget(struct zk_loop *l, zk_loop_fn fn, void *ctx)
{
	calls_forget(&l->deferred, fn, ctx);
	calls_forget(&l->running, fn, ctx);
	calls_forget(&l->taken, fn, ctx);
	(void)pthread_mutex_lock(&l->lock);
	calls_forget(&l->posts, fn, ctx);
	(void)pthread_mutex_unlock(&l->lock);
}

/* ---- life ---- */

static int fail_uv(struct zk_error *err, int r, const char *what)
{
	return zk_fail_errno(err, ZK_E_SYSTEM, -r, "%s", what);
}

static int init_handles(struct zk_loop *l, struct zk_error *err)
{
	int r = uv_async_init(&l->uv, &l->async, on_async);

	if (r < 0)
		return fail_uv(err, r, "cannot set up the event loop");
	(void)uv_prepare_init(&l->uv, &l->prepare); /* these cannot fail */
	(void)uv_check_init(&l->uv, &l->check);
	(void)uv_idle_init(&l->uv, &l->idle);
	(void)uv_timer_init(&l->uv, &l->limit);
	l->async.data = l->prepare.data = l->check.data = l->limit.data = l;
	/* The handle that was started first runs last: ours is the last before the
	 * poll. */
	(void)uv_prepare_start(&l->prepare, on_prepare);
	(void)uv_check_start(&l->check, on_check);
	uv_unref((uv_handle_t *)&l->async);
	uv_unref((uv_handle_t *)&l->prepare);
	uv_unref((uv_handle_t *)&l->check);
	return 0;
}

struct zk_loop *zk_loop_new(struct zk_error *err)
{
	struct zk_loop *l = zk_new0(struct zk_loop);
	int r = uv_loop_init(&l->uv);

	if (r < 0) {
		(void)fail_uv(err, r, "cannot set up the event loop");
		free(l);
		return NULL;
	}
	l->uv.data = l;
	(void)pthread_mutex_init(&l->lock, NULL);
	if (init_handles(l, err) < 0) {
		(void)uv_loop_close(&l->uv);
		(void)pthread_mutex_destroy(&l->lock);
		free(l);
		return NULL;
	}
	return l;
}

static bool is_own(const struct zk_loop *l, const uv_handle_t *h)
{
	return h == (const uv_handle_t *)&l->async ||
	       h == (const uv_handle_t *)&l->prepare ||
	       h == (const uv_handle_t *)&l->check ||
	       h == (const uv_handle_t *)&l->idle || h == (const uv_handle_t *)&l->limit;
}

struct open_walk {
	struct zk_loop *l;
	size_t n;
	bool report;
};

static void on_walk(uv_handle_t *h, void *arg)
{
	struct open_walk *w = arg;

	if (is_own(w->l, h))
		return;
	w->n++;
	if (w->report)
		zk_logerr("a handle was left open", "code=ZK9001 type=%s active=%d",
		          uv_handle_type_name(h->type), uv_is_active(h));
}

static size_t count_open(struct zk_loop *l, bool report)
{
	struct open_walk w = { .l = l, .report = report };

	uv_walk(&l->uv, on_walk, &w);
	return w.n;
}

static void on_limit(uv_timer_t *h)
{
	struct zk_loop *l = h->data;

	l->expired = true;
}

void zk_loop_free(struct zk_loop *l)
{
	if (!l)
		return;
	ZK_ASSERT(!l->turning);
	uv_update_time(&l->uv);
	(void)uv_timer_start(&l->limit, on_limit, FREE_LIMIT_MS, 0);
	l->turning = true;
	while (!l->expired) {
		/* Not left to uv_run, which would wait for the limit behind the last of
		 * them. */
		run_deferred(l);
		(void)run_posts(l);
		if (l->deferred.n || has_posts(l))
			continue;
		if (!count_open(l, false) && !l->uv.active_reqs.count)
			break;
		(void)uv_run(&l->uv, UV_RUN_ONCE);
	}
	if (l->expired)
		(void)count_open(l, /* report */ true);
	uv_close((uv_handle_t *)&l->async, NULL);
	uv_close((uv_handle_t *)&l->prepare, NULL);
	uv_close((uv_handle_t *)&l->check, NULL);
	uv_close((uv_handle_t *)&l->idle, NULL);
	uv_close((uv_handle_t *)&l->limit, NULL);
	(void)uv_run(&l->uv, l->expired ? UV_RUN_NOWAIT : UV_RUN_DEFAULT);
	if (uv_loop_close(&l->uv) < 0)
		return; /* reported above; what is open still points into the loop */
	(void)pthread_mutex_destroy(&l->lock);
	free(l->deferred.v);
	free(l->running.v);
	free(l->taken.v);
	free(l->posts.v);
	free(l);
}

/* ---- turning ---- */

static bool is_alive(struct zk_loop *l)
{
	return uv_loop_alive(&l->uv) || l->deferred.n || has_posts(l);
}

static void turn(struct zk_loop *l, uv_run_mode mode)
{
	l->turning = true;
	/* What was deferred or posted outside of a turn does not make the loop alive:
	 * without the idle handle uv_run would return before it ran any of it. */
	if (l->deferred.n || has_posts(l))
		(void)uv_idle_start(&l->idle, on_idle);
	(void)uv_run(&l->uv, mode);
	l->turning = false;
}

void zk_loop_run(struct zk_loop *l)
{
	ZK_ASSERT(!l->turning);
	while (!l->quit && is_alive(l))
		turn(l, UV_RUN_DEFAULT);
	l->quit = false;
}

void zk_loop_quit(struct zk_loop *l)
{
	l->quit = true;
	uv_stop(&l->uv);
}

void zk_loop_until(struct zk_loop *l, const bool *flag)
{
	ZK_ASSERT(!l->turning);
	/* A post may be what sets the flag. */
	zk_loop_hold(l);
	l->until = flag;
	while (!*flag)
		turn(l, UV_RUN_ONCE);
	l->until = NULL;
	zk_loop_release(l);
}

void zk_loop_hold(struct zk_loop *l)
{
	if (l->holds++ == 0)
		uv_ref((uv_handle_t *)&l->async);
}

void zk_loop_release(struct zk_loop *l)
{
	ZK_ASSERT(l->holds > 0);
	if (--l->holds == 0)
		uv_unref((uv_handle_t *)&l->async);
}

int64_t zk_loop_now_ms(const struct zk_loop *l)
{
	return (int64_t)uv_now(&l->uv);
}

struct uv_loop_s *zk_loop_uv(struct zk_loop *l)
{
	return &l->uv;
}

/* ---- timers ---- */

struct zk_timer {
	uv_timer_t t;
	struct zk_loop *loop;
	zk_loop_fn fn;
	void *ctx;
};

static void on_timer(uv_timer_t *h)
{
	struct zk_timer *t = h->data;

	t->fn(t->ctx);
}

static void on_closed(uv_handle_t *h)
{
	free(h->data);
}

struct zk_timer *zk_timer_new(struct zk_loop *l, zk_loop_fn fn, void *ctx)
{
	struct zk_timer *t = zk_new0(struct zk_timer);

	(void)uv_timer_init(&l->uv, &t->t); /* cannot fail */
	t->t.data = t;
	t->loop = l;
	t->fn = fn;
	t->ctx = ctx;
	return t;
}

void zk_timer_start(struct zk_timer *t, int64_t after_ms, int64_t repeat_ms)
{
	/* Outside of a turn the loop's time may be old, and the timer would fire early.
	 */
	if (!t->loop->turning)
		uv_update_time(&t->loop->uv);
	(void)uv_timer_start(&t->t, on_timer, (uint64_t)ZK_MAX(after_ms, 0),
	                     (uint64_t)ZK_MAX(repeat_ms, 0));
}

void zk_timer_stop(struct zk_timer *t)
{
	(void)uv_timer_stop(&t->t);
}

bool zk_timer_is_active(const struct zk_timer *t)
{
	return uv_is_active((const uv_handle_t *)&t->t);
}

void zk_timer_weak(struct zk_timer *t, bool weak)
{
	if (weak)
		uv_unref((uv_handle_t *)&t->t);
	else
		uv_ref((uv_handle_t *)&t->t);
}

void zk_timer_free(struct zk_timer *t)
{
	if (t)
		uv_close((uv_handle_t *)&t->t, on_closed);
}

/* ---- descriptors ---- */

_Static_assert((int)ZK_POLL_IN == (int)UV_READABLE &&
                       (int)ZK_POLL_OUT == (int)UV_WRITABLE,
               "the masks are the same");

struct zk_poll {
	uv_poll_t p;
	zk_poll_fn fn;
	void *ctx;
};

static void on_poll(uv_poll_t *h, int status, int events)
{
	struct zk_poll *p = h->data;

	p->fn(p->ctx, events, status);
}

struct zk_poll *zk_poll_new(struct zk_loop *l, int fd, zk_poll_fn fn, void *ctx,
                            struct zk_error *err)
{
	struct zk_poll *p = zk_new0(struct zk_poll);
	int r = uv_poll_init(&l->uv, &p->p, fd);

	if (r < 0) {
		(void)fail_uv(err, r, "cannot watch a descriptor");
		free(p);
		return NULL;
	}
	p->p.data = p;
	p->fn = fn;
	p->ctx = ctx;
	return p;
}

void zk_poll_set(struct zk_poll *p, int events)
{
	if (events)
		(void)uv_poll_start(&p->p, events,
		                    on_poll); /* fails only while closing */
	else
		(void)uv_poll_stop(&p->p);
}

void zk_poll_weak(struct zk_poll *p, bool weak)
{
	if (weak)
		uv_unref((uv_handle_t *)&p->p);
	else
		uv_ref((uv_handle_t *)&p->p);
}

void zk_poll_free(struct zk_poll *p)
{
	if (!p)
		return;
	(void)uv_poll_stop(&p->p);
	uv_close((uv_handle_t *)&p->p, on_closed);
}
