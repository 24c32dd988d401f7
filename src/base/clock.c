/* Monotonic and wall time behind a source that tests replace.
 * Layer: base. */
#include "base/clock.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <time.h>

#include "base/attr.h"

#include "base/ban.h"

static atomic_bool fake;
static _Atomic int64_t fake_mono, fake_wall;

static int64_t read_ns(clockid_t id)
{
	struct timespec ts;
	int r = clock_gettime(id, &ts);

	ZK_ASSERT(r == 0);
	return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

int64_t zk_mono_us(void)
{
	if (ZK_UNLIKELY(atomic_load_explicit(&fake, memory_order_relaxed)))
		return atomic_load(&fake_mono);
	return read_ns(CLOCK_MONOTONIC) / 1000;
}

int64_t zk_mono_ms(void)
{
	return zk_mono_us() / 1000;
}

int64_t zk_wall_us(void)
{
	if (ZK_UNLIKELY(atomic_load_explicit(&fake, memory_order_relaxed)))
		return atomic_load(&fake_wall);
	return read_ns(CLOCK_REALTIME) / 1000;
}

int64_t zk_cpu_ns(void)
{
	return read_ns(CLOCK_PROCESS_CPUTIME_ID);
}

struct timespec zk_real_in(int64_t ms)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	ts.tv_sec += ms / 1000;
	ts.tv_nsec += ms % 1000 * 1000000;
	if (ts.tv_nsec >= 1000000000) {
		ts.tv_sec++;
		ts.tv_nsec -= 1000000000;
	}
	return ts;
}

void zk_clock_fake(int64_t mono_us, int64_t wall_us)
{
	atomic_store(&fake_mono, mono_us);
	atomic_store(&fake_wall, wall_us);
	atomic_store(&fake, true);
}

void zk_clock_advance(int64_t us)
{
	ZK_ASSERT(atomic_load(&fake));
	atomic_fetch_add(&fake_mono, us);
	atomic_fetch_add(&fake_wall, us);
}

void zk_clock_real(void)
{
	atomic_store(&fake, false);
}
