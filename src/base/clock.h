/* Monotonic and wall time behind a source that tests replace.
 * Layer: base. Any thread. */
#ifndef ZK_BASE_CLOCK_H
#define ZK_BASE_CLOCK_H

#include <stdint.h>
#include <time.h>

/* Milliseconds and microseconds of the monotonic clock. */
int64_t zk_mono_ms(void);
int64_t zk_mono_us(void);
/* Microseconds since 1970, UTC. */
int64_t zk_wall_us(void);
/* Nanoseconds of CPU this process used (for reports). */
int64_t zk_cpu_ns(void);

/* The real monotonic time `ms` from now, not the replaced one: for waits on CLOCK_MONOTONIC. */
struct timespec zk_real_in(int64_t ms);

/* For tests: from now on both clocks stand at the given values until they are set again or
 * released with zk_clock_real(). Not for use beside other threads. */
void zk_clock_fake(int64_t mono_us, int64_t wall_us);
void zk_clock_advance(int64_t us);
void zk_clock_real(void);

#endif
