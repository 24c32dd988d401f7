/* A wall clock that is SKEW_S seconds ahead: preloaded. The monotonic clock is as it was.
 * Layer: tests. */
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/ban.h"

__attribute__((visibility("default"))) int clock_gettime(clockid_t id, struct timespec *t)
{
	static long skew;
	long now = 0;
	int r = (int)syscall(SYS_clock_gettime, id, t);

	for (const char *p = getenv("SKEW_S"); !skew && p && *p >= '0' && *p <= '9'; p++)
		now = now * 10 + *p - '0';
	if (!skew)
		skew = now;
	if (id == CLOCK_REALTIME)
		t->tv_sec += skew;
	return r;
}
