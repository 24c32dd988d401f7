/* When to look again for a moment before going to sleep.
 * Layer: rt. Pure; one owner.
 *
 * A peer that answers within microseconds is served sooner, and with less CPU on both sides, by a
 * short look than by a sleep and a wake-up. A look that finds nothing is lost time, so that it is
 * taken only while answers come that fast, and more and more rarely when looks fail (one CPU for
 * both, a peer that thinks). */
#ifndef ZK_RT_SPIN_H
#define ZK_RT_SPIN_H

#include <stdbool.h>
#include <stdint.h>

/* How long one look lasts at most. */
#define ZK_SPIN_US 100

/* All zero is a new one. */
struct zk_spin {
	int64_t slept_us;
	uint32_t luck, need, late;
};

/* True when looking pays, by what was seen. */
bool zk_spin_pays(const struct zk_spin *s);
/* After how many microseconds a look brought something; -1 = it brought nothing. */
void zk_spin_looked(struct zk_spin *s, int64_t took_us);
/* The owner goes to sleep; it has been woken by its peer. Microseconds of one clock. */
void zk_spin_sleep(struct zk_spin *s, int64_t now_us);
void zk_spin_woken(struct zk_spin *s, int64_t now_us);

#endif
