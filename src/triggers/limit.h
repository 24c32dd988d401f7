/* Rate limits per organization, and per address for key generation (specs/triggers.md §7, §3.4).
 * Layer: triggers. Loop thread only; time is passed in. */
#ifndef ZK_TRIGGERS_LIMIT_H
#define ZK_TRIGGERS_LIMIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct zk_trig_limit;

/* Windows of 60 s that open with the first counted request; `sliding` weighs the previous window
 * by its overlap. Entries idle for two windows are dropped. */
struct zk_trig_limit *zk_trig_limit_new(bool sliding);
void zk_trig_limit_free(struct zk_trig_limit *l);
void zk_trig_limit_set_sliding(struct zk_trig_limit *l, bool sliding);

struct zk_trig_verdict {
	bool ok;
	uint64_t limit, remaining;
	int64_t reset_ms; /* until the window ends */
};
/* Counts `n` requests of `key` (16 bytes: an organization id, or an address) against `limit` per
 * window; 0 = unlimited (ok, nothing counted). All n or none are counted. */
struct zk_trig_verdict zk_trig_limit_take(struct zk_trig_limit *l, const uint8_t key[16],
                                          uint64_t limit, uint64_t n, int64_t now_ms);
size_t zk_trig_limit_entries(const struct zk_trig_limit *l);

#endif
