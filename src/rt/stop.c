/* Shutdown phases and the signals that drive them.
 * Layer: rt. */
#include "rt/stop.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <uv.h>

#include "base/clock.h"
#define ZK_LOGGER "stop"
#include "base/log.h"
#include "base/mem.h"
#include "rt/loop.h"

#include "base/ban.h"

#define LAST_MS 250

enum { SIG_AT_INT, SIG_AT_TERM, SIG_AT_HUP, SIG_AT_USR1, SIG_AT_USR2, SIGNALS };

static const int numbers[SIGNALS] = { SIGINT, SIGTERM, SIGHUP, SIGUSR1, SIGUSR2 };

struct zk_stop {
	struct zk_stop_conf conf;
	struct zk_loop *loop;
	struct zk_timer *grace;
	enum zk_stop_phase phase;
	int signal;
	int64_t until_ms; /* end of the grace time, monotonic */
	bool expired;
	bool armed; /* the next INT or TERM ends the process */
	pthread_t exiter;
	unsigned open; /* handles not closed yet */
	uv_signal_t sig[SIGNALS];
};

/* ---- the second signal ---- */

/* A signal handler has no context. Written only while no handler is installed. */
static atomic_int second_fd = -1;

/* What is written to it; values add up. */
#define INT_VALUE  1u
#define TERM_VALUE 1000u
#define END_VALUE  1000000u /* the owner is done */

static void on_second_signal(int n)
{
	uint64_t v = n == SIGINT ? INT_VALUE : TERM_VALUE;
	int saved = errno, fd = atomic_load(&second_fd);

	if (fd >= 0 && write(fd, &v, sizeof(v)) < 0)
		_exit(128 + n);
	errno = saved;
}

/* Waits for the second signal beside the loop, which may hang in a flush to disk. */
static void *exiter_main(void *arg)
{
	uint64_t v = 0;
	int fd = atomic_load(&second_fd);

	(void)arg;
	while (read(fd, &v, sizeof(v)) != (ssize_t)sizeof(v))
		if (errno != EINTR)
			return NULL;
	if (v >= END_VALUE)
		return NULL;
	zk_log_flush();
	_exit(128 + (v < TERM_VALUE ? SIGINT : SIGTERM));
}

static void set_action(int n, void (*fn)(int))
{
	struct sigaction sa = { .sa_handler = fn, .sa_flags = SA_RESTART };

	(void)sigfillset(&sa.sa_mask);
	(void)sigaction(n, &sa, NULL); /* cannot fail for these numbers */
}

/* 0 when the thread runs and watches `second_fd`. */
static int start_exiter(struct zk_stop *s)
{
	int r, fd = eventfd(0, EFD_CLOEXEC);

	if (fd < 0)
		return -1;
	atomic_store(&second_fd, fd);
	r = pthread_create(&s->exiter, NULL, exiter_main, NULL);
	if (r == 0)
		return 0;
	atomic_store(&second_fd, -1);
	(void)close(fd);
	return -1;
}

void zk_stop_arm(struct zk_stop *s)
{
	sigset_t all, old;

	if (s->armed)
		return;
	/* No signal for the thread, and none here while there is no handler. */
	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &old);
	/* Without the thread the loop's own handlers see the second signal. */
	if (start_exiter(s) == 0) {
		s->armed = true;
		if (!s->conf.ignore_int) {
			(void)uv_signal_stop(&s->sig[SIG_AT_INT]);
			set_action(SIGINT, on_second_signal);
		}
		(void)uv_signal_stop(&s->sig[SIG_AT_TERM]);
		set_action(SIGTERM, on_second_signal);
	}
	(void)pthread_sigmask(SIG_SETMASK, &old, NULL);
}

static void disarm(struct zk_stop *s)
{
	uint64_t v = END_VALUE;
	int fd = atomic_load(&second_fd);

	if (!s->armed)
		return;
	if (!s->conf.ignore_int)
		set_action(SIGINT, SIG_DFL);
	set_action(SIGTERM, SIG_DFL);
	ZK_ASSERT(write(fd, &v, sizeof(v)) == (ssize_t)sizeof(v));
	(void)pthread_join(s->exiter, NULL);
	atomic_store(&second_fd, -1);
	(void)close(fd);
}

/* ---- phases ---- */

static void run_flush(void *ctx)
{
	struct zk_stop *s = ctx;

	s->conf.flush(s->conf.ctx, s->expired);
}

static void enter_flush(struct zk_stop *s, bool expired)
{
	if (s->phase != ZK_DRAIN)
		return;
	s->phase = ZK_FLUSH;
	s->expired = expired;
	zk_timer_stop(s->grace);
	zk_loop_defer(s->loop, run_flush, s);
}

static void on_grace(void *ctx)
{
	enter_flush(ctx, /* expired */ true);
}

static int64_t grace_end(const struct zk_stop *s)
{
	return zk_mono_ms() + s->conf.grace_ms;
}

int64_t zk_stop_left_ms(const struct zk_stop *s)
{
	return ZK_MAX(s->until_ms - zk_mono_ms(), (int64_t)LAST_MS);
}

void zk_stop_begin(struct zk_stop *s)
{
	if (s->phase != ZK_RUN)
		return;
	s->phase = ZK_DRAIN;
	s->until_ms = grace_end(s);
	zk_timer_start(s->grace, s->conf.grace_ms, 0);
	s->conf.drain(s->conf.ctx);
}

void zk_stop_drained(struct zk_stop *s)
{
	enter_flush(s, /* expired */ false);
}

void zk_stop_done(struct zk_stop *s)
{
	s->phase = ZK_CLOSED;
	zk_timer_stop(s->grace);
	zk_loop_quit(s->loop);
}

enum zk_stop_phase zk_stop_phase(const struct zk_stop *s)
{
	return s->phase;
}

int zk_stop_signal(const struct zk_stop *s)
{
	return s->signal;
}

/* ---- signals ---- */

static void on_term(struct zk_stop *s, int n)
{
	if (s->signal) {
		zk_log_flush();
		_exit(128 + n);
	}
	s->signal = n;
	s->until_ms = grace_end(s);
	zk_stop_arm(s);
	zk_stop_begin(s);
}

static void on_signal(uv_signal_t *h, int n)
{
	struct zk_stop *s = h->data;

	if (n == SIGINT && s->conf.ignore_int)
		return;
	if (n == SIGINT || n == SIGTERM)
		on_term(s, n);
	else if (n == SIGHUP && s->phase == ZK_RUN)
		s->conf.reload(s->conf.ctx);
	else if (n == SIGUSR1 && s->conf.snapshot)
		s->conf.snapshot(s->conf.ctx);
	else if (n == SIGUSR2 && s->phase == ZK_RUN)
		s->conf.rotate(s->conf.ctx);
}

static void on_closed(uv_handle_t *h)
{
	struct zk_stop *s = h->data;

	if (--s->open == 0)
		free(s);
}

static int start_signals(struct zk_stop *s, struct zk_error *err)
{
	for (size_t i = 0; i < SIGNALS; i++) {
		int r = uv_signal_init(zk_loop_uv(s->loop), &s->sig[i]);

		if (r < 0)
			return zk_fail_errno(err, ZK_E_SYSTEM, -r,
			                     "cannot watch signals");
		s->sig[i].data = s;
		s->open++;
		uv_unref((uv_handle_t *)&s->sig[i]);
		if ((numbers[i] == SIGHUP && !s->conf.reload) ||
		    (numbers[i] == SIGUSR2 && !s->conf.rotate))
			continue;
		r = uv_signal_start(&s->sig[i], on_signal, numbers[i]);
		if (r < 0)
			return zk_fail_errno(err, ZK_E_SYSTEM, -r,
			                     "cannot watch signals");
	}
	set_action(SIGPIPE, SIG_IGN);
	return 0;
}

int zk_stop_new(struct zk_loop *l, const struct zk_stop_conf *conf, struct zk_stop **ret,
                struct zk_error *err)
{
	struct zk_stop *s = zk_new0(struct zk_stop);

	ZK_ASSERT(conf->drain && conf->flush);
	s->conf = *conf;
	s->loop = l;
	s->grace = zk_timer_new(l, on_grace, s);
	if (start_signals(s, err) < 0) {
		zk_stop_free(s);
		return -(int)err->code;
	}
	*ret = s;
	return 0;
}

void zk_stop_free(struct zk_stop *s)
{
	unsigned n;

	if (!s)
		return;
	disarm(s);
	zk_loop_forget(s->loop, run_flush, s);
	zk_timer_free(s->grace);
	n = s->open;
	for (size_t i = 0; i < n; i++)
		uv_close((uv_handle_t *)&s->sig[i], on_closed);
	if (n == 0)
		free(s);
}
