/* Hash map from bytes to a pointer, seeded per process so that no peer can choose collisions.
 * Layer: base. Open addressing; keys are copied. One thread at a time. */
#ifndef ZK_BASE_MAP_H
#define ZK_BASE_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

struct zk_map_slot;

struct zk_map {
	struct zk_map_slot *slots;
	size_t room; /* a power of two, or 0 */
	size_t n;
	size_t tombs;
};

/* Keyed hash (SipHash-1-3 under a per-process random key) for tables of all kinds. Any thread. */
uint64_t zk_hash(zk_str s);

void zk_map_init(struct zk_map *m);
/* Frees the map and its keys; the values are the owner's. */
void zk_map_done(struct zk_map *m);
/* The value of `key`, or NULL. */
void *zk_map_get(const struct zk_map *m, zk_str key);
/* Sets `key`; returns the value that was there before, or NULL. `value` is not NULL. */
void *zk_map_set(struct zk_map *m, zk_str key, void *value);
/* Removes `key`; returns its value, or NULL. */
void *zk_map_del(struct zk_map *m, zk_str key);
/* Walks in no particular order: start with *pos = 0; false at the end. The current key may be
 * deleted during the walk, nothing may be added. */
bool zk_map_next(const struct zk_map *m, size_t *pos, zk_str *key, void **value);

#endif
