/* A bounded cache from the digest of a presented key to what it stands for: least recently used
 * goes first, entries live for a fixed time (specs/triggers.md §3.3).
 * Layer: triggers. Loop thread only; time is passed in.
 *
 * The digest is HMAC-SHA-256 under a secret of this process, so nobody outside can choose which
 * entries fall together or tell from the time of a comparison how much of a digest was right; the
 * comparison itself takes constant time all the same. A hit costs no allocation. */
#ifndef ZK_TRIGGERS_KEY_CACHE_H
#define ZK_TRIGGERS_KEY_CACHE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/rand.h"

#define ZK_TRIG_DIGEST 32

struct zk_trig_kcache;

struct zk_trig_kcache_conf {
	uint32_t max_entries;
	int64_t lifetime_ms;
	/* Called with the value of every entry that leaves. May be NULL. */
	void (*drop)(void *ctx, void *value);
	void *ctx;
};

struct zk_trig_kcache *zk_trig_kcache_new(const struct zk_trig_kcache_conf *conf);
/* Drops every entry. */
void zk_trig_kcache_free(struct zk_trig_kcache *c);
/* The value of a live entry, which becomes the most recently used one; NULL when there is none. */
void *zk_trig_kcache_get(struct zk_trig_kcache *c, const uint8_t digest[ZK_TRIG_DIGEST],
                         int64_t now_ms);
/* Sets the entry; `value` is not NULL. `org` groups entries for zk_trig_kcache_forget, NULL = none. */
void zk_trig_kcache_put(struct zk_trig_kcache *c, const uint8_t digest[ZK_TRIG_DIGEST],
                        const zk_uuid *org, void *value, int64_t now_ms);
/* How long entries live that are put from now on. */
void zk_trig_kcache_set_lifetime(struct zk_trig_kcache *c, int64_t lifetime_ms);
void zk_trig_kcache_del(struct zk_trig_kcache *c, const uint8_t digest[ZK_TRIG_DIGEST]);
/* Drops the entries of an organization; NULL = all. */
void zk_trig_kcache_forget(struct zk_trig_kcache *c, const zk_uuid *org);
size_t zk_trig_kcache_count(const struct zk_trig_kcache *c);

#endif
