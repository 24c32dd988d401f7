/* The event loop on libuv: timers, descriptors, posts from other threads, deferred work.
 * Layer: rt. */
#include "rt/loop.h"

#include <pthread.h>
#include <stdlib.h>

#include <uv.h>

#include "base/mem.h"

#include "base/ban.h"

#define CLOSE_LIMIT_MS 5000

struct work {
	zk_loop_fn fn;
	void *ctx;
};

/* A growing array of work; one is filled while the other is run. */
struct works {
	struct work *v;
	size_t n, room;
};

struct zk_loop {
	uv_loop_t uv;
	uv_async_t wake;  /* posts */
	uv_check_t check; /* end of the turn: runs deferred work */
	uv_idle_t
	        spin; /* active while deferred work waits, so that poll does not sleep */
	bool spinning;
	pthread_mutex_t lock;
	struct works posted;  /* under lock */
	struct works running; /* loop thread */
	struct works deferred, deferring;
};

struct zk_timer {
	uv_timer_t uv;
	zk_loop_fn fn;
	void *ctx;
};

struct zk_poll {
	uv_poll_t uv;
	zk_poll_fn fn;
	void *ctx;
};

static void works_add(struct works *w, zk_loop_fn fn, void *ctx)
{
	if (w->n == w->room) {
		w->room = w->room ? w->room * 2 : 64;
		w->v = zk_realloc(w->v, w->room * sizeof(*w->v));
	}
	w->v[w->n++] = (struct work){ fn, ctx };
}

static void works_run(struct works *w)
{
	for (size_t i = 0; i < w->n; i++)
		w->v[i].fn(w->v[i].ctx);
	w->n = 0;
}

static void works_swap(struct works *a, struct works *b)
{
	struct works t = *a;

	*a = *b;
	*b = t;
}

static void on_wake(uv_async_t *h)
{
	struct zk_loop *l = h->data;

	pthread_mutex_lock(&l->lock);
	works_swap(&l->posted, &l->running);
	pthread_mutex_unlock(&l->lock);
	works_run(&l->running);
}

static void on_spin(uv_idle_t *h)
{
	(void)h; /* its presence alone keeps the poll from sleeping */
}

static void run_deferred(struct zk_loop *l)
{
	works_swap(&l->deferred, &l->deferring);
	works_run(&l->deferring);
	if (!l->deferred.n && l->spinning) {
		uv_idle_stop(&l->spin);
		l->spinning = false;
	}
}

static void on_check(uv_check_t *h)
{
	run_deferred(h->data);
}

struct zk_loop *zk_loop_new(struct zk_error *err)
{
	struct zk_loop *l = zk_new0(struct zk_loop);
	int r = uv_loop_init(&l->uv);

	if (r < 0) {
		free(l);
		(void)zk_fail(err, ZK_E_SYSTEM, "cannot make the event loop: %s",
		              uv_strerror(r));
		return NULL;
	}
	pthread_mutex_init(&l->lock, NULL);
	(void)uv_async_init(&l->uv, &l->wake, on_wake);
	(void)uv_check_init(&l->uv, &l->check);
	(void)uv_idle_init(&l->uv, &l->spin);
	l->wake.data = l->check.data = l->spin.data = l;
	(void)uv_check_start(&l->check, on_check);
	/* None of the loop's own handles is a reason to go on. */
	uv_unref((uv_handle_t *)&l->wake);
	uv_unref((uv_handle_t *)&l->check);
	return l;
}

static void on_limit(uv_timer_t *t)
{
	(void)t;
	ZK_ASSERT(!"a handle of the loop was never closed");
}

void zk_loop_free(struct zk_loop *l)
{
	uv_timer_t limit;

	if (!l)
		return;
	/* Deferred frees and posted completions may close handles. */
	on_wake(&l->wake);
	while (l->deferred.n)
		run_deferred(l);
	uv_close((uv_handle_t *)&l->wake, NULL);
	uv_close((uv_handle_t *)&l->check, NULL);
	uv_close((uv_handle_t *)&l->spin, NULL);
	(void)uv_timer_init(&l->uv, &limit);
	(void)uv_timer_start(&limit, on_limit, CLOSE_LIMIT_MS, 0);
	uv_unref((uv_handle_t *)&limit);
	uv_run(&l->uv, UV_RUN_DEFAULT);
	uv_close((uv_handle_t *)&limit, NULL);
	uv_run(&l->uv, UV_RUN_DEFAULT);
	ZK_ASSERT(uv_loop_close(&l->uv) == 0);
	pthread_mutex_destroy(&l->lock);
	free(l->posted.v);
	free(l->running.v);
	free(l->deferred.v);
	free(l->deferring.v);
	free(l);
}

void zk_loop_run(struct zk_loop *l)
{
	(void)uv_run(&l->uv, UV_RUN_DEFAULT);
}

void zk_loop_quit(struct zk_loop *l)
{
	uv_stop(&l->uv);
}

void zk_loop_until(struct zk_loop *l, const bool *flag)
{
	while (!*flag) {
		if (uv_run(&l->uv, UV_RUN_ONCE) == 0 && !*flag) {
			/* Nothing is left that could set it, except work from other threads. */
			uv_ref((uv_handle_t *)&l->wake);
			(void)uv_run(&l->uv, UV_RUN_ONCE);
			uv_unref((uv_handle_t *)&l->wake);
		}
	}
}

int64_t zk_loop_now_ms(const struct zk_loop *l)
{
	return (int64_t)uv_now(&l->uv);
}

struct uv_loop_s *zk_loop_uv(struct zk_loop *l)
{
	return &l->uv;
}

void zk_loop_post(struct zk_loop *l, zk_loop_fn fn, void *ctx)
{
	pthread_mutex_lock(&l->lock);
	bool first = l->posted.n == 0;

	works_add(&l->posted, fn, ctx);
	pthread_mutex_unlock(&l->lock);
	if (first)
		(void)uv_async_send(&l->wake);
}

void zk_loop_defer(struct zk_loop *l, zk_loop_fn fn, void *ctx)
{
	works_add(&l->deferred, fn, ctx);
	if (!l->spinning) {
		l->spinning = true;
		(void)uv_idle_start(&l->spin, on_spin);
	}
}

/* ---- timers --------------------------------------------------------------------------- */

static void on_timer(uv_timer_t *h)
{
	struct zk_timer *t = h->data;

	t->fn(t->ctx);
}

struct zk_timer *zk_timer_new(struct zk_loop *l, zk_loop_fn fn, void *ctx)
{
	struct zk_timer *t = zk_new0(struct zk_timer);

	(void)uv_timer_init(&l->uv, &t->uv);
	t->uv.data = t;
	t->fn = fn;
	t->ctx = ctx;
	return t;
}

void zk_timer_start(struct zk_timer *t, int64_t after_ms, int64_t repeat_ms)
{
	uv_update_time(t->uv.loop);
	(void)uv_timer_start(&t->uv, on_timer, (uint64_t)ZK_MAX(after_ms, 0),
	                     (uint64_t)ZK_MAX(repeat_ms, 0));
}

void zk_timer_stop(struct zk_timer *t)
{
	(void)uv_timer_stop(&t->uv);
}

bool zk_timer_is_active(const struct zk_timer *t)
{
	return uv_is_active((const uv_handle_t *)&t->uv) != 0;
}

void zk_timer_weak(struct zk_timer *t, bool weak)
{
	if (weak)
		uv_unref((uv_handle_t *)&t->uv);
	else
		uv_ref((uv_handle_t *)&t->uv);
}

static void free_handle(uv_handle_t *h)
{
	free(h->data);
}

void zk_timer_free(struct zk_timer *t)
{
	if (!t)
		return;
	(void)uv_timer_stop(&t->uv);
	uv_close((uv_handle_t *)&t->uv, free_handle);
}

/* ---- descriptors ---------------------------------------------------------------------- */

static void on_poll(uv_poll_t *h, int status, int events)
{
	struct zk_poll *p = h->data;
	int mask = (events & UV_READABLE ? ZK_POLL_IN : 0) |
	           (events & UV_WRITABLE ? ZK_POLL_OUT : 0);

	p->fn(p->ctx, mask, status);
}

struct zk_poll *zk_poll_new(struct zk_loop *l, int fd, zk_poll_fn fn, void *ctx,
                            struct zk_error *err)
{
	struct zk_poll *p = zk_new0(struct zk_poll);
	int r = uv_poll_init(&l->uv, &p->uv, fd);

	if (r < 0) {
		free(p);
		(void)zk_fail(err, ZK_E_SYSTEM, "cannot watch a descriptor: %s",
		              uv_strerror(r));
		return NULL;
	}
	p->uv.data = p;
	p->fn = fn;
	p->ctx = ctx;
	return p;
}

void zk_poll_set(struct zk_poll *p, int events)
{
	int mask = (events & ZK_POLL_IN ? UV_READABLE : 0) |
	           (events & ZK_POLL_OUT ? UV_WRITABLE : 0);

	if (mask)
		(void)uv_poll_start(&p->uv, mask, on_poll);
	else
		(void)uv_poll_stop(&p->uv);
}

void zk_poll_free(struct zk_poll *p)
{
	if (!p)
		return;
	/* Stopped here and not later: the descriptor may be closed right after. */
	(void)uv_poll_stop(&p->uv);
	uv_close((uv_handle_t *)&p->uv, free_handle);
}
