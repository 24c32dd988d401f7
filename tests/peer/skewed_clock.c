/* Other clocks than the machine's: preloaded. The monotonic clock is as it was unless MONO_RATE is set.
 *   SKEW_S            seconds that are added (may begin with '-'), from SKEW_AT on, a real time
 *   SKEW_FROM SKEW_TO SKEW_RATE   the real time SKEW_FROM is SKEW_TO, and from then on each second
 *                     is SKEW_RATE seconds
 *   MONO_RATE         each second of the monotonic clock is so many, from the start of the process on;
 *                     what sleeps still sleeps as long as it says
 * Layer: tests. */
#include <stdbool.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/ban.h"

static long number(const char *name)
{
	const char *p = getenv(name);
	bool negative = p && *p == '-';
	long n = 0;

	for (p = p && negative ? p + 1 : p; p && *p >= '0' && *p <= '9'; p++)
		n = n * 10 + *p - '0';
	return negative ? -n : n;
}

static long mono_rate;
static struct timespec mono_from;

__attribute__((constructor)) static void begin(void)
{
	mono_rate = number("MONO_RATE");
	(void)syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &mono_from); /* it is there */
}

static void hasten(struct timespec *t)
{
	long long ns = (long long)(t->tv_sec - mono_from.tv_sec) * 1000000000 +
	               t->tv_nsec - mono_from.tv_nsec;

	if (!mono_rate || ns < 0)
		return;
	ns = ns * mono_rate + mono_from.tv_nsec;
	t->tv_sec = mono_from.tv_sec + (time_t)(ns / 1000000000);
	t->tv_nsec = (long)(ns % 1000000000);
}

__attribute__((visibility("default"))) int clock_gettime(clockid_t id, struct timespec *t)
{
	static long skew, at, from, to, rate, known;
	int r = (int)syscall(SYS_clock_gettime, id, t);

	if (!known) {
		skew = number("SKEW_S");
		at = number("SKEW_AT");
		from = number("SKEW_FROM");
		to = number("SKEW_TO");
		rate = number("SKEW_RATE");
		known = 1;
	}
	if (id == CLOCK_MONOTONIC || id == CLOCK_MONOTONIC_COARSE)
		hasten(t);
	if (id != CLOCK_REALTIME)
		return r;
	if (rate) {
		long long ns =
		        ((long long)(t->tv_sec - from) * 1000000000 + t->tv_nsec) * rate;

		t->tv_sec = to + (time_t)(ns / 1000000000);
		t->tv_nsec = (long)(ns % 1000000000);
	} else if (t->tv_sec >= at) {
		t->tv_sec += skew;
	}
	return r;
}
