/* TAP for test programs that are not Criterion ones (threads, processes): counts checks,
 *prints a line per check and the plan at the end, and knows deadlines and the seed of the
 *run.
 *
 *	int main(void)
 *	{
 *		tap_ok(1 + 1 == 2, "addition");
 *		tap_ok(TAP_WAIT(5000, atomic_load(&n) == 3), "all three arrive");
 *		return tap_done();
 *	}
 *
 * Checks may be made from any thread. One translation unit per program.
 * Layer: tests. */
#ifndef ZK_TESTS_TAP_H
#define ZK_TESTS_TAP_H

#include <inttypes.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define TAP_UNUSED __attribute__((unused))

static struct {
	pthread_mutex_t lock;
	unsigned n, failed;
} tap = { .lock = PTHREAD_MUTEX_INITIALIZER };

/* Prints one result; returns `ok`, so that a caller can stop. */
__attribute__((format(printf, 2, 3))) TAP_UNUSED static bool tap_ok(bool ok,
                                                                    const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	pthread_mutex_lock(&tap.lock);
	printf("%sok %u - ", ok ? "" : "not ", ++tap.n);
	vprintf(fmt, ap);
	putchar('\n');
	tap.failed += !ok;
	(void)fflush(stdout);
	pthread_mutex_unlock(&tap.lock);
	va_end(ap);
	return ok;
}

/* Prints a comment line. */
__attribute__((format(printf, 1, 2))) TAP_UNUSED static void tap_note(const char *fmt,
                                                                      ...)
{
	va_list ap;

	va_start(ap, fmt);
	pthread_mutex_lock(&tap.lock);
	printf("# ");
	vprintf(fmt, ap);
	putchar('\n');
	(void)fflush(stdout);
	pthread_mutex_unlock(&tap.lock);
	va_end(ap);
}

/* Prints the plan; returns what main() returns. */
TAP_UNUSED static int tap_done(void)
{
	printf("1..%u\n", tap.n);
	return tap.failed || tap.n == 0 ? 1 : 0;
}

/* Milliseconds of the monotonic clock. */
TAP_UNUSED static int64_t tap_now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* One short pause of a poll loop. */
TAP_UNUSED static void tap_pause(void)
{
	nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
}

/* Polls `cond` until it holds or `deadline_ms` milliseconds have passed; whether it
 * holds. */
#define TAP_WAIT(deadline_ms, cond)                                    \
	__extension__({                                                \
		int64_t tap_end = tap_now_ms() + (deadline_ms);        \
		bool tap_held = false;                                 \
		while (!(tap_held = (cond)) && tap_now_ms() < tap_end) \
			tap_pause();                                   \
		tap_held;                                              \
	})

/* The seed of this run: TEST_SEED, or one from the clock; printed, so that a failure can
 * be repeated. */
TAP_UNUSED static uint64_t tap_seed(void)
{
	const char *text = getenv("TEST_SEED");
	uint64_t seed = 0;
	struct timespec t;

	if (!text || sscanf(text, "%" SCNu64, &seed) != 1) {
		clock_gettime(CLOCK_REALTIME, &t);
		seed = (uint64_t)t.tv_sec * 1000000007u + (uint64_t)t.tv_nsec;
	}
	tap_note("TEST_SEED=%" PRIu64, seed);
	return seed;
}

#endif
