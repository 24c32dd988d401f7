/* The loop: order of posts, deferred functions, timers, descriptors, ends.
 * Layer: tests. */
#include "rt/loop.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/attr.h"
#include "base/clock.h"

#include "base/ban.h"

static struct zk_loop *loop;
static char seen[64];
static size_t n_seen;

static void setup(void)
{
	struct zk_error err;

	loop = zk_loop_new(&err);
	cr_assert(loop != NULL, "%s", err.msg);
	n_seen = 0;
}

static void teardown(void)
{
	zk_loop_free(loop);
}

TestSuite(loop, .init = setup, .fini = teardown);

/* Notes the letter that ctx points to. */
static void note(void *ctx)
{
	seen[n_seen++] = *(const char *)ctx;
	seen[n_seen] = '\0';
}

#define LETTER(c) ((void *)(c))

Test(loop, run_returns_when_nothing_is_left)
{
	zk_loop_run(loop);
	cr_expect_eq(n_seen, 0);
}

Test(loop, posts_run_in_order)
{
	zk_loop_post(loop, note, LETTER("a"));
	zk_loop_post(loop, note, LETTER("b"));
	zk_loop_post(loop, note, LETTER("c"));
	zk_loop_run(loop);
	cr_expect_str_eq(seen, "abc");
}

static void post_and_defer(void *ctx)
{
	zk_loop_defer(loop, note, LETTER("d"));
	zk_loop_post(loop, note, LETTER("p"));
	note(ctx);
}

Test(loop, deferred_functions_run_after_their_turn)
{
	zk_loop_post(loop, post_and_defer, LETTER("a"));
	zk_loop_post(loop, note, LETTER("b"));
	zk_loop_run(loop);
	cr_expect_str_eq(seen, "abdp");
}

static void again(void *ctx)
{
	unsigned *left = ctx;

	if (--*left)
		zk_loop_defer(loop, again, left);
}

/* More rounds than are run at once: I/O has its turn in between, but nothing is lost. */
Test(loop, deferring_from_deferred_goes_on)
{
	unsigned left = 1000;

	zk_loop_defer(loop, again, &left);
	zk_loop_run(loop);
	cr_expect_eq(left, 0);
}

static void post_again(void *ctx)
{
	unsigned *left = ctx;

	if (--*left)
		zk_loop_post(loop, post_again, left);
}

Test(loop, posting_from_posts_goes_on)
{
	unsigned left = 1000;

	zk_loop_post(loop, post_again, &left);
	zk_loop_run(loop);
	cr_expect_eq(left, 0);
}

Test(loop, forgotten_functions_do_not_run)
{
	zk_loop_post(loop, note, LETTER("a"));
	zk_loop_defer(loop, note, LETTER("b"));
	zk_loop_defer(loop, note, LETTER("c"));
	zk_loop_forget(loop, note, LETTER("a"));
	zk_loop_forget(loop, note, LETTER("b"));
	zk_loop_run(loop);
	cr_expect_str_eq(seen, "c");
}

static void forget_next(void *ctx)
{
	zk_loop_forget(loop, note, ctx);
}

Test(loop, one_function_may_forget_the_next)
{
	const char *a = "a";

	zk_loop_post(loop, forget_next, LETTER(a));
	zk_loop_post(loop, note, LETTER(a));
	zk_loop_defer(loop, note, LETTER("z"));
	zk_loop_run(loop);
	cr_expect_str_eq(seen, "z");
}

/* ---- timers ---- */

struct ticker {
	struct zk_timer *t;
	unsigned n, last;
	bool done;
};

static void tick(void *ctx)
{
	struct ticker *k = ctx;

	if (++k->n < k->last)
		return;
	zk_timer_free(k->t);
	k->t = NULL;
	k->done = true;
}

Test(loop, a_timer_repeats_and_may_free_itself)
{
	struct ticker k = { .last = 3 };
	int64_t start = zk_mono_ms();

	k.t = zk_timer_new(loop, tick, &k);
	cr_expect_not(zk_timer_is_active(k.t));
	zk_timer_start(k.t, 20, 5);
	cr_expect(zk_timer_is_active(k.t));
	zk_loop_run(loop);
	cr_expect_eq(k.n, 3);
	/* The loop's clock has a grain of up to 4 ms. */
	cr_expect_geq(zk_mono_ms() - start, 25);
}

Test(loop, a_stopped_timer_does_not_fire)
{
	struct zk_timer *t = zk_timer_new(loop, note, LETTER("t"));

	zk_timer_start(t, 1, 1);
	zk_timer_stop(t);
	zk_loop_run(loop);
	cr_expect_eq(n_seen, 0);
	zk_timer_free(t);
	zk_timer_free(NULL);
}

Test(loop, a_weak_timer_does_not_keep_the_loop)
{
	struct zk_timer *t = zk_timer_new(loop, note, LETTER("t"));

	zk_timer_start(t, 60000, 0);
	zk_timer_weak(t, true);
	zk_loop_run(loop);
	cr_expect_eq(n_seen, 0);
	zk_timer_free(t);
}

/* A timer that is started after long work outside of a turn waits from then on. */
Test(loop, a_timer_counts_from_its_start)
{
	struct ticker k = { .last = 1 };
	int64_t start;

	zk_loop_run(loop);
	start = zk_mono_ms();
	while (zk_mono_ms() - start < 60)
		;
	start = zk_mono_ms();
	k.t = zk_timer_new(loop, tick, &k);
	zk_timer_start(k.t, 40, 0);
	zk_loop_run(loop);
	cr_expect_geq(zk_mono_ms() - start, 35);
}

/* Waiting costs no CPU, also after deferred work and posts. */
Test(loop, waiting_does_not_spin)
{
	struct ticker k = { .last = 1 };
	int64_t cpu = zk_cpu_ns();

	zk_loop_defer(loop, note, LETTER("d"));
	zk_loop_post(loop, note, LETTER("p"));
	k.t = zk_timer_new(loop, tick, &k);
	zk_timer_start(k.t, 300, 0);
	zk_loop_run(loop);
	cr_expect_eq(k.n, 1);
	cr_expect_lt(zk_cpu_ns() - cpu, 100 * INT64_C(1000000));
}

/* ---- ends ---- */

static void quit(void *ctx)
{
	note(ctx);
	zk_loop_quit(loop);
}

Test(loop, quit_ends_the_run_from_every_kind_of_callback)
{
	struct zk_timer *keep = zk_timer_new(loop, note, LETTER("k"));
	struct zk_timer *t = zk_timer_new(loop, quit, LETTER("t"));

	zk_timer_start(keep, 60000, 0);
	zk_timer_start(t, 1, 0);
	zk_loop_run(loop);
	zk_loop_post(loop, quit, LETTER("p"));
	zk_loop_run(loop);
	zk_loop_defer(loop, quit, LETTER("d"));
	zk_loop_run(loop);
	cr_expect_str_eq(seen, "tpd");
	zk_timer_free(keep);
	zk_timer_free(t);
}

Test(loop, quit_before_run_is_not_lost)
{
	struct zk_timer *keep = zk_timer_new(loop, note, LETTER("k"));

	zk_timer_start(keep, 60000, 0);
	zk_loop_quit(loop);
	zk_loop_run(loop);
	cr_expect_eq(n_seen, 0);
	zk_timer_free(keep);
}

static void set(void *ctx)
{
	*(bool *)ctx = true;
}

Test(loop, until_returns_whoever_sets_the_flag)
{
	struct zk_timer *keep = zk_timer_new(loop, note, LETTER("k"));
	struct ticker k = { .last = 1 };
	bool posted = false, deferred = false, already = true;

	zk_timer_start(keep, 60000, 0);
	zk_loop_until(loop, &already);
	zk_loop_post(loop, set, &posted);
	zk_loop_until(loop, &posted);
	zk_loop_defer(loop, set, &deferred);
	zk_loop_until(loop, &deferred);
	k.t = zk_timer_new(loop, tick, &k);
	zk_timer_start(k.t, 1, 0);
	zk_loop_until(loop, &k.done);
	cr_expect(posted && deferred && k.done);
	zk_timer_free(keep);
}

/* ---- descriptors ---- */

struct watch {
	struct zk_poll *p;
	int fd, events;
};

static void on_ready(void *ctx, int events, int status)
{
	struct watch *w = ctx;
	char c;

	cr_expect_eq(status, 0);
	w->events |= events;
	cr_expect_eq(read(w->fd, &c, 1), 1);
	note(&c);
	if (c == 'b') {
		zk_poll_free(w->p);
		(void)close(w->fd);
		w->fd = -1;
	}
}

Test(loop, a_poll_reports_and_may_free_itself)
{
	struct zk_error err;
	struct watch w = { 0 };
	int fd[2];

	cr_assert_eq(pipe2(fd, O_CLOEXEC), 0);
	w.fd = fd[0];
	w.p = zk_poll_new(loop, fd[0], on_ready, &w, &err);
	cr_assert(w.p != NULL, "%s", err.msg);
	cr_assert_eq(write(fd[1], "ab", 2), 2);
	zk_loop_run(loop);
	cr_expect_eq(n_seen, 0, "nothing is watched yet");
	zk_poll_set(w.p, ZK_POLL_IN);
	zk_loop_run(loop);
	cr_expect_str_eq(seen, "ab");
	cr_expect_eq(w.events, ZK_POLL_IN);
	cr_expect_eq(w.fd, -1);
	(void)close(fd[1]);
}

static void set_flag(void *ctx)
{
	*(bool *)ctx = true;
}

/* Owners free themselves that way when no turn comes any more. */
Test(loop, freeing_runs_what_was_deferred_without_waiting)
{
	int64_t begin_ms = zk_mono_ms();
	bool ran = false;

	zk_loop_defer(loop, set_flag, &ran);
	zk_loop_free(loop);
	loop = NULL;
	cr_expect(ran);
	cr_expect_lt(zk_mono_ms() - begin_ms, 4000,
	             "not the limit for handles left open");
}

Test(loop, what_cannot_be_watched_is_an_error)
{
	struct zk_error err;
	int fd = open("/proc/self/status", O_RDONLY | O_CLOEXEC);

	cr_assert_geq(fd, 0);
	cr_expect(zk_poll_new(loop, -1, on_ready, NULL, &err) == NULL);
	cr_expect_eq(err.code, ZK_E_SYSTEM);
	(void)close(fd);
}
